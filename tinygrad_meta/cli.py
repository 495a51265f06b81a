"""The command line: ``python -m tinygrad_meta``."""

import argparse
import io
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import tinygrad_meta as tg

from . import bench
from .graph.expression import expression, history, named
from .graph.text import trace
from .meta.checkpoint import CheckpointError, Checkpoints, differences, write
from .nn import ACTIVATIONS, INITIALIZERS
from .tensor import as_tensor
from .tree import leaves, rebuild

SLIDE = "(x1 + x2) * (x2 + 1)"  # the expression of the command graph, unless another is given
STEPS = (0, 1, 5, 10)  # of adaptation, in the table
SECONDS = {"sine": 60.0, "drawn": 10.0, "omniglot": 90.0}  # of training, for each method of the command families
PAPER = {"iterations": 70_000, "meta_step_size": 0.001, "schedule": "constant"}  # where it differs from the defaults


def main(argv=None):
    """Run a command given as a list of words; without one, as typed by the user."""
    typed, argv = argv is None, sys.argv[1:] if argv is None else argv
    for stream in sys.stdout, sys.stderr:
        if typed and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± shows a question mark
    if not argv or argv[0].startswith("-") and argv[0] not in ("-h", "--help"):
        argv = ["maml", *argv]
    parser, maml_parser = parsers()
    args = parser.parse_args(argv)
    if getattr(args, "paper", False):
        maml_parser.set_defaults(**PAPER)
        args = parser.parse_args(argv)
    if typed and args.run in (run_maml, run_families, run_challenge, run_bench):
        bench.restart_on_one_thread()
    try:
        code = args.run(args)
        print(end="", flush=True)
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(complain(args.command, "stopped", 130))  # as shells have it: 128, and the number of the signal
    except argparse.ArgumentTypeError as error:  # of a folder that is not among the arguments
        sys.exit(complain(args.command, error))
    except MemoryError as error:
        sys.exit(complain(args.command, f"there is not enough memory: {error}", 1))
    except OSError as error:  # of print: a pipe is closed by who has seen enough, and a disk may be full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1 if isinstance(error, BrokenPipeError) else complain(args.command, error, 1))


# ------------------------------------------------------------------------------------------------------- the options


class Parser(argparse.ArgumentParser):
    def error(self, message):
        if message.endswith("expected one argument"):
            message += " (a value that begins with - is written behind =, as in --expression=-x1)"
        self.exit(2, f"{self.prog}: {message}\n")  # the one sentence, without a page of usage before it


def at_least(low, kind):
    """An option's type: a finite number, ``low`` or more."""

    def number(text):
        try:
            value = kind(text)
        except ValueError:
            value = np.nan
        if not low <= value < np.inf:
            raise argparse.ArgumentTypeError(f"must be {'a whole' if kind is int else 'a'} number, {low} or more, "
                                             f"and is {text!r}")
        return value

    return number


def positive(text):
    """An option's type: a finite number, greater than 0."""
    value = at_least(0, float)(text)
    if not value:
        raise argparse.ArgumentTypeError(f"must be a number greater than 0, and is {text!r}")
    return value


def parsers():
    """The parser, and the one of the command ``maml``."""
    parser = Parser(
        prog="python -m tinygrad_meta", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Meta-learning on sine waves and characters, on an autodiff engine small enough to read.",
        epilog="""examples:
  python -m tinygrad_meta                      meta-train on sine waves and compare, in about 20 seconds
  python -m tinygrad_meta maml --shots 5       the same with 5 points of each new wave to learn from
  python -m tinygrad_meta maml --paper         the protocol of the MAML paper, in about two minutes
  python -m tinygrad_meta maml --resume        go on with a training that was stopped
  python -m tinygrad_meta maml --help          all options of the experiment
  python -m tinygrad_meta families --tasks drawn   all families of meta-learning on drawn characters, in two minutes
  python -m tinygrad_meta omniglot-challenge --download   one handwritten character of each class: which is which?
  python -m tinygrad_meta graph x1=2 x2=3      the forward and backward pass of F = (x1 + x2)(x2 + 1), or of another F
  python -m tinygrad_meta check                every derivative rule against finite differences
  python -m tinygrad_meta bench --quick        how long a meta-gradient takes, here and in other libraries

To learn how it works, begin with the command graph, and with docs/course/index.md.""")
    commands = parser.add_subparsers(title="commands", required=True, dest="command",
                                     metavar="{maml,families,omniglot-challenge,graph,check,bench}")

    maml = commands.add_parser(
        "maml", help="meta-train on sine waves and compare with the alternatives (the default)",
        description="Learn to learn sine waves: meta-train with MAML (Finn et al. 2017), and compare with first-order MAML, "
        "pre-training on all waves, a random start, and an oracle that is told amplitude and phase. Prints a table, and saves "
        "two pictures, results.json and the latest two checkpoints of the training. Ctrl-C ends the training early and reports "
        "on what there is; --resume goes on with it.")
    maml.set_defaults(run=run_maml)
    maml.add_argument("--paper", action="store_true", help="the paper's protocol: 70,000 iterations with a constant meta step "
                      "size of 0.001 (7 times the steps); options beside it still apply")
    whole, real = at_least(1, int), at_least(0, float)
    option = maml.add_argument_group("tasks").add_argument
    option("--shots", type=whole, default=10, metavar="K",
           help="support points of each task, and as many query points (%(default)s)")
    option("--tasks", type=whole, default=25, metavar="N", help="tasks in a batch of meta-training (%(default)s)")
    option("--test-tasks", type=at_least(30, int), default=1000, metavar="N", help="new tasks to evaluate on (%(default)s)")
    option = maml.add_argument_group("training").add_argument
    option("--iterations", type=whole, default=10_000, metavar="N", help="meta-training steps of every method (%(default)s)")
    option("--inner-steps", type=whole, default=1, metavar="N", help="gradient steps to adapt with in training (%(default)s)")
    option("--inner-step-size", type=real, default=0.01, metavar="ALPHA", help="step size of adaptation (%(default)s)")
    option("--meta-step-size", type=real, default=0.02, metavar="BETA", help="step size of Adam, at its peak (%(default)s)")
    option("--schedule", choices=["cosine", "constant"], default="cosine",
           help="of the meta step size; the first tenth of the cosine is a warm-up (%(default)s)")
    option("--clip", type=positive, metavar="NORM", help="scale meta-gradients down to this norm where they exceed it")
    option("--first-order", action="store_true", help="ignore second derivatives: no MAML, only its first-order variant")
    option = maml.add_argument_group("network").add_argument
    option("--hidden", type=whole, nargs="+", default=[40, 40], metavar="N", help="sizes of the hidden layers (40 40)")
    option("--activation", choices=list(ACTIVATIONS), default="relu", help="of the hidden layers (%(default)s)")
    option("--initializer", choices=list(INITIALIZERS), default="glorot", help="of the weights (%(default)s)")
    option("--dtype", choices=["float32", "float64"], default="float32", help="of all numbers (%(default)s)")
    option = maml.add_argument_group("run").add_argument
    option("--eager", action="store_true", help="compute every step anew, instead of recording it once and replaying that")
    option("--seed", type=at_least(0, int), default=0, help="the same seed gives the same numbers (%(default)s)")
    option("--output", type=output_folder, default="results", metavar="FOLDER",
           help="where to save pictures, results.json and checkpoints (%(default)s)")
    option("--resume", action="store_true", help="go on from the latest checkpoint in that folder, as if training had "
           "never stopped")
    option("--checkpoint-every", type=whole, default=1000, metavar="N", help="iterations (%(default)s)")
    option("--executor", metavar="WHERE", help="compute gradients elsewhere: processes:2 for two processes on this machine, "
           "dask:tcp://HOST:PORT for the workers of a Dask scheduler (in this process)")

    families = commands.add_parser(
        "families", help="compare the three families of meta-learning on the same tasks",
        description="Train every method for the same time and test it on new tasks: optimisation based (MAML and relatives), "
        "metric based (matching and prototypical networks), model based (hypernetworks), and baselines. Prints a table, and "
        "saves pictures, results.json and a checkpoint after every method. Ctrl-C ends the training and reports on what there "
        "is; --resume goes on with the methods that are missing.")
    families.set_defaults(run=run_families)
    option = families.add_argument
    option("--tasks", choices=list(SECONDS), default="sine", help="sine waves, an alphabet drawn by the program, or "
           "handwritten characters (%(default)s)")
    option("--seconds", type=at_least(1, float), metavar="S",
           help="training time of each method (sine 60, drawn 10, omniglot 90)")
    option("--iterations", type=whole, metavar="N", help="training steps of each method, instead of a time: results then are "
           "the same every time, on the same machine")
    option("--ways", type=at_least(2, int), default=5, metavar="N",
           help="classes of a task, where there are classes (%(default)s)")
    option("--shots", type=whole, metavar="K",
           help="support points of a task, or support images of each class (sine 10, images 1)")
    option("--test-tasks", type=at_least(30, int), default=1000, metavar="N", help="new tasks to test on (%(default)s)")
    option("--seed", type=at_least(0, int), default=0, help="of parameters and tasks (%(default)s)")
    option("--resume", action="store_true", help="keep the methods that a checkpoint in the output folder holds, and train the "
           "others")
    add_data_options(families, "results/families-TASKS")

    challenge = commands.add_parser(
        "omniglot-challenge", help="the one-shot test of Lake, Salakhutdinov and Tenenbaum (2015)",
        description="Train a prototypical network on five alphabets, and take the official test: 20 runs, in each of which 20 "
        "characters of a new alphabet, drawn by somebody else, are to be matched with one example of each. Prints the error "
        "beside the published ones, and saves a picture of the worst run and results.json.")
    challenge.set_defaults(run=run_challenge)
    option = challenge.add_argument
    option("--alphabets", choices=["small1", "small2"], default="small1", help="the minimal set to train on (%(default)s)")
    option("--seconds", type=at_least(1, float), default=540.0, metavar="S", help="training time (%(default)s)")
    option("--iterations", type=whole, metavar="N", help="training steps, instead of a time")
    option("--seed", type=at_least(0, int), default=0, help="of parameters and tasks (%(default)s)")
    add_data_options(challenge, "results/omniglot-ALPHABETS")

    graph = commands.add_parser(
        "graph", help="print the forward and backward pass of an expression, as formulas",
        usage="%(prog)s [options] [x1=2 x2=3 ...]",
        description="Print how an expression is computed and differentiated, line by line: the forward pass, and the chain "
        "rule on the way back. The expression is one of numbers, variables, + - * / **, parentheses, and functions such as "
        "tanh(x).")
    graph.set_defaults(run=run_graph)
    graph.add_argument("values", type=assignment, nargs="*", metavar="x1=2", help="what each variable stands for (x1=2 x2=3)")
    graph.add_argument("--expression", default=SLIDE, metavar="F", help="what to differentiate (%(default)s)")
    graph.add_argument("--order", type=int, choices=[1, 2], default=1, help="2 is for second derivatives too (%(default)s)")
    graph.add_argument("--ascii", action="store_true", help="write d and * instead of ∂ and ·")
    picture = graph.add_mutually_exclusive_group()
    picture.add_argument("--draw", type=picture_file, metavar="PATH", help="also draw the graph, as .svg or .png")
    picture.add_argument("--output", type=output_folder, metavar="FOLDER", help="also draw it, as graph.svg in this folder")

    check = commands.add_parser("check", help="check every derivative rule against finite differences",
                                description="Check every operation's derivative rules against finite differences: the worst "
                                "error of its first and of its second derivatives, relative to their size.")
    check.set_defaults(run=run_check)

    bench = commands.add_parser("bench", help="measure how long things take, here and in other libraries",
                                description="Measure how long meta-gradients and training steps take: compiled (tg.compile), "
                                "eager, and in PyTorch, JAX and HIPS autograd, as far as they are installed. All run on one "
                                "thread, taking turns, after their results have been compared. A row is a workload: one "
                                "meta-gradient with 25 tasks of 10 + 10 points, a network 1-40-40-1 and one inner step, or "
                                "what the row's name says is different. Takes several minutes, most of them torch.compile's.")
    bench.set_defaults(run=run_bench)
    bench.add_argument("--quick", action="store_true", help="measure a tenth as long, and without torch.compile")
    bench.add_argument("--json", type=output_file, metavar="FILE", help="also write machine, versions and figures to this file")
    return parser, maml


def add_data_options(parser, output):
    parser.add_argument("--data", default="omniglot", type=Path, metavar="FOLDER",
                        help="where Omniglot's archives are, such as images_background_small1.zip, and small copies of their "
                        "images are kept (%(default)s)")
    parser.add_argument("--download", action="store_true", help="fetch archives that are missing there, 3 MB in all")
    parser.add_argument("--output", type=output_folder, metavar="FOLDER",
                        help=f"where to save pictures and results.json ({output})")


def assignment(text):
    """An argument's type: the value of a variable, as in ``x1=2``."""
    name, _, value = text.partition("=")
    if not name.strip().isidentifier() or "=" not in text:
        raise argparse.ArgumentTypeError(f"must be a variable and its value, such as x1=2, and is {text!r}")
    try:
        number = float(value)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise argparse.ArgumentTypeError(f"{name.strip()} must be a number, and is {value!r}")
    return name.strip(), number


def output_folder(text):
    """An option's type: a folder that files can be written to, made if there is none."""
    folder = Path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write to {str(text)!r}: {error.strerror}") from error
    return folder


def output_file(text):
    """An option's type: a file that can be written."""
    path = output_folder(Path(text).parent) / Path(text).name
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file, and {text!r} is a folder")
    return path


def picture_file(text):
    """An option's type: a picture that can be drawn."""
    if Path(text).suffix not in (".svg", ".png"):
        raise argparse.ArgumentTypeError(f"must end in .svg or .png, and is {text!r}")
    return output_file(text)


# ------------------------------------------------------------------------------------------------------- the commands


@np.errstate(over="ignore", invalid="ignore")  # what diverges gets a sentence
def run_maml(args):
    """Meta-train and report.  The exit code is 2 if that cannot be begun, and 1 if it has to be given up."""
    from .meta import Diverged
    from .meta.experiment import Experiment
    from .meta.parallel import open_executor

    start, experiment = time.perf_counter(), Experiment(args)
    with ExitStack() as stack:
        try:
            stack.enter_context(experiment.checkpoints.alone())
            begin_maml(experiment, args)
            elsewhere = stack.enter_context(open_executor(args.executor)) if args.executor else ()
        except (OSError, ValueError) as error:
            return complain("maml", error)
        try:
            train_maml(experiment, args, *elsewhere)
            report_maml(experiment, args, start)
        except (CheckpointError, Diverged, OSError, MemoryError) as error:
            return complain("maml", f"{error}. {experiment.checkpoints}", 1)
        except KeyboardInterrupt:
            return complain("maml", f"stopped before the report was done. {experiment.checkpoints}", 130)


def begin_maml(experiment, args):
    """Go on from a checkpoint, or say which one will be lost; an error if there is none, or no room for one."""
    experiment.checkpoints.check_space(sum(array.nbytes for array in experiment.arrays().values()))
    if args.resume:
        for problem in experiment.resume():
            print(f"Passed over: {problem}.")
        print(f"Going on after iteration {experiment.iterations:,}.")
    else:
        announce_loss(experiment.checkpoints)


def announce_loss(checkpoints):
    if stopped := checkpoints.unfinished():
        print(f"{stopped}; this new run will replace it, where --resume with the same options would have gone on.")


def train_maml(experiment, args, executor=None, workers=None):
    """With a progress bar and checkpoints."""
    from tqdm import tqdm  # here, because not every command has need of it

    first = next(iter(experiment.objectives))
    if args.resume and experiment.workers != (workers or 1):
        print(f"Another number of workers ({experiment.workers} before, {workers or 1} now) rounds sums differently: the "
              "numbers will agree with those of an uninterrupted run, but not to the last bit.")
    with tqdm(total=args.iterations, initial=experiment.iterations, desc="training", unit="step") as bar:

        def progress(loss):
            bar.set_postfix_str(f"{first} loss {loss:.3f}", refresh=False)
            bar.update()
            if experiment.iterations % args.checkpoint_every == 0:
                experiment.save()

        experiment.train(progress, executor, workers)
    if experiment.iterations:
        experiment.save()
    if experiment.iterations < args.iterations:
        print(f"Stopped after {experiment.iterations:,} of {args.iterations:,} iterations; this is the report on those."
              + " The same command with --resume goes on." * bool(experiment.iterations))


def report_maml(experiment, args, start):
    """Evaluate, save the numbers and the pictures, print the table: last, because whoever reads it may be gone."""
    from .meta.plots import plot_errors, plot_predictions

    errors = experiment.evaluate()
    save_results(args, start, {
        "iterations": experiment.iterations,
        "mean_squared_error": {method: {"step_size": experiment.step_sizes[method], **summary._asdict()}
                               for method, summary in errors.items()},
    })
    save_picture(args.output / "errors.png", plot_errors, errors)
    shown = [next(iter(experiment.objectives)), "pre-trained"]
    save_picture(args.output / "predictions.png", plot_predictions, *experiment.predict(shown))
    print(table(errors, experiment.step_sizes, args))
    print(f"\n{time.perf_counter() - start:.0f} seconds. Saved errors.png, predictions.png and results.json in {args.output}/")


def table(errors, step_sizes, args):
    """The numbers of an experiment as text, with the paper's for context."""
    lines = [(f"Mean squared error on {args.test_tasks:,} new tasks, with 95 % confidence, after gradient steps on "
              f"{args.shots} points of each:"),
             "",
             f"{'':12}{'step size':>10}" + "".join(f"{n:>14}" for n in STEPS) + f"{'median':>10}{'diverged':>10}"]
    for method, summary in errors.items():
        shown = [n for n in STEPS if n < len(summary.mean)]
        line = f"{method:12}{step_sizes[method] if len(shown) > 1 else '-':>10}"
        line += "".join(f"{cell(summary.mean[n], summary.interval[n]):>14}" for n in shown)
        if len(shown) == len(STEPS):
            line += f"{summary.median[-1]:>10.2f}{summary.diverged[-1]:>10}"
        lines.append(line)
    lines += ["", f"The last two columns are for {STEPS[-1]} steps. The paper's Table 2, with 5 points, after 1, 5, 10 steps:",
              "MAML 0.67, 0.38, 0.35; pre-trained 2.41, 2.23, 2.19."
              + (" More points make it easier: compare with --shots 5." if args.shots > 5 else "")]
    return "\n".join(lines)


def cell(mean, interval):
    if mean >= 100:  # some or all tasks diverged
        return f"{mean:.1e}"
    digits = 2 if mean >= 0.1 else 3
    return f"{mean:.{digits}f} ± {interval:.{digits}f}"


@np.errstate(over="ignore", invalid="ignore")
def run_families(args):
    """Train and test every method, print the table, save numbers and pictures.  The exit code is as for ``run_maml``."""
    args.seconds = args.seconds or SECONDS[args.tasks]
    args.shots = args.shots or (10 if args.tasks == "sine" else 1)
    args.output = args.output or output_folder(f"results/families-{args.tasks}")
    start, checkpoints = time.perf_counter(), Checkpoints(args.output, "methods", "families-checkpoint")
    with ExitStack() as stack:
        try:
            stack.enter_context(checkpoints.alone())
            problem = family_problem(args)
            problem.sample(1, np.random.default_rng(0))
            checkpoints.check_space(sum(p.data.nbytes for method in problem.methods.values() for p in leaves(method.params)))
            scores, trained = resume_families(args, problem, checkpoints) if args.resume else ({}, {})
            if not args.resume:
                announce_loss(checkpoints)
        except (OSError, ValueError) as error:
            return complain("families", error)
        try:
            train_families(args, problem, scores, trained, checkpoints)
            if not scores:
                return complain("families", "stopped before any method was trained")
            report_families(args, problem, scores, trained, start)
        except (OSError, MemoryError) as error:
            return complain("families", f"{error}. {checkpoints}", 1)


def train_families(args, problem, scores, trained, checkpoints):
    """Add the scores and parameters of all methods that are not there yet, and write a checkpoint after each."""
    from tqdm import tqdm

    from .meta import families

    missing = problem._replace(methods={name: method for name, method in problem.methods.items() if name not in scores})
    bar_format = "{l_bar}{bar}| {n:.2f}/{total} [{elapsed}<{remaining}{postfix}]"
    with tqdm(total=len(problem.methods), initial=len(scores), desc="methods", bar_format=bar_format) as bar:

        def progress(method, share, loss):
            bar.set_postfix_str(f"{method} loss {loss:.3f}", refresh=False)
            bar.update(len(scores) + min(share, 1) - bar.n)

        try:
            for name, params, score in families.compare(missing, args.seconds, args.iterations, args.seed, progress):
                scores[name], trained[name] = score, params
                bar.update(len(scores) - bar.n)
                done = {name: score for name, score in scores.items() if is_finished(problem.methods[name], score, args)}
                arrays = {f"{name} {i}": p.data for name in done for i, p in enumerate(leaves(trained[name]))}
                facts = {"configuration": family_configuration(args), "scores": done}
                checkpoints.save(len(done), len(problem.methods), arrays, facts)
        except KeyboardInterrupt:
            pass


def is_finished(method, score, args):
    """Whether a method has had all of its training, if it has any."""
    enough = score.training_seconds >= args.seconds if args.iterations is None else score.iterations == args.iterations
    return enough or not method.objective


def family_configuration(args):
    return {name: getattr(args, name) for name in ("tasks", "seconds", "iterations", "ways", "shots", "test_tasks", "seed")}


def resume_families(args, problem, checkpoints):
    """Scores and parameters of the methods that a checkpoint says were finished."""
    from .meta.families import Score

    def understand(arrays, facts):
        if different := differences(facts["configuration"], family_configuration(args)):
            raise CheckpointError(f"is of another run: {different}")
        scores = {name: Score(*score) for name, score in facts["scores"].items()}
        trained = {}
        for name in scores:
            start = problem.methods[name].params
            trained[name] = rebuild(start, [as_tensor(arrays[f"{name} {i}"]) for i in range(len(leaves(start)))])
        return scores, trained

    (scores, trained), passed_over = checkpoints.resume(understand)
    for complaint in passed_over:
        print(f"Passed over: {complaint}.")
    print(f"Going on after {len(scores)} of {len(problem.methods)} methods.")
    return scores, trained


def report_families(args, problem, scores, trained, start):
    """Save the numbers and the pictures, print the table."""
    from .meta import plots

    scores = {name: scores[name] for name in problem.methods if name in scores}
    unfinished = [name for name, method in problem.methods.items()
                  if name not in scores or not is_finished(method, scores[name], args)]
    methods = {name: score._asdict() for name, score in scores.items()}
    save_results(args, start, {"stopped": bool(unfinished), "methods": methods})
    save_picture(args.output / "families.png", plots.plot_comparison, scores, measure_of(args))
    saved = ["results.json", "families.png", *family_pictures(args, problem, trained)]
    print(family_table(scores, args))
    if unfinished:
        print(f"Not finished: {', '.join(unfinished)}. The same command with --resume does the rest.")
    print(f"\n{time.perf_counter() - start:.0f} seconds. Saved {', '.join(saved)} in {args.output}/")


def family_problem(args):
    """What the methods are compared on."""
    from .meta import families
    from .tasks import ImageTasks, centred, distort, drawn_alphabet, rotated

    if args.tasks == "sine":
        return families.sine_problem(args.test_tasks, args.shots, args.seed)
    options = {"test_tasks": args.test_tasks, "ways": args.ways, "shots": args.shots, "seed": args.seed}
    if args.tasks == "drawn":
        images, labels = drawn_alphabet(classes=1000, rng=args.seed)
        return families.image_problem(*ImageTasks(images, labels).split(0.2, args.seed), **options, encoder="dense")
    images, labels = omniglot("images_background_small1", args)
    others, other_labels = omniglot("images_background_small2", args)
    known = {label.split("/")[0] for label in labels}
    new = np.array([label.split("/")[0] not in known for label in other_labels])
    for_training, for_test = ImageTasks(*rotated(centred(images), labels)), ImageTasks(centred(others[new]), other_labels[new])
    return families.image_problem(for_training, for_test, **options, vary=distort)


def omniglot(name, args):
    from .tasks.omniglot import load_omniglot

    return load_omniglot(archive(name, args))


def archive(name, args):
    """Where an archive of Omniglot is."""
    from .tasks.omniglot import download

    if args.download:
        return download(name, args.data)
    path = args.data / f"{name}.zip"
    if not path.exists():
        raise ValueError(f"there is no {path}: name the folder that holds Omniglot's archives with --data, or say --download "
                         "to fetch what is missing")
    return path


def complain(command, error, code=2):
    print(f"python -m tinygrad_meta {command}: {error}", file=sys.stderr)
    return code


def measure_of(args):
    return "mean squared error" if args.tasks == "sine" else "accuracy"


def family_table(scores, args):
    """The scores as text."""
    tested = max(score.test_tasks for score in scores.values())
    if args.tasks == "sine":
        kind = f"sine waves, {args.shots} points of each given"
    else:
        kind = (f"tasks, {args.ways}-way {args.shots}-shot (guessing: {100 / args.ways:.0f} %), of "
                f"{'characters' if args.tasks == 'drawn' else 'alphabets'} not trained on")
    lines = [f"{measure_of(args).capitalize()} on {tested:,} new {kind}:", "",
             (f"{'':22}{'family':>14}{measure_of(args).split()[-1]:>18}{'parameters':>12}{'steps':>9}{'trained':>10}"
              f"{'new task':>11}{'gradients':>10}")]
    for name, score in scores.items():
        scale, digits, unit = (1, 4 if score.value < 0.01 else 3, "") if args.tasks == "sine" else (100, 1, " %")
        value = f"{scale * score.value:.{digits}f} ± {scale * score.interval:.{digits}f}{unit}"
        lines.append(f"{name:22}{score.family:>14}{value:>18}{score.parameters:>12,}{score.iterations:>9,}"
                     f"{score.training_seconds:>8.0f} s{score.milliseconds:>8.2f} ms{score.gradient_steps or 'none':>10}")
    few = [f"{name} on {score.test_tasks}" for name, score in scores.items() if score.test_tasks < tested]
    lines += ["", "± is 95 % confidence over test tasks, for one trained network. New task: the time to read a support set and",
              "answer for a query set. Gradients: the steps that takes, as many as in training; MAML gains from more, too."]
    return "\n".join(lines + [f"Tested on fewer tasks: {', '.join(few)}."] * bool(few))


def family_pictures(args, problem, trained):
    """Save the pictures of one new task, and return their names."""
    from .meta import plots
    from .meta.parallel import part

    one = part(problem.test, 0, 1)
    predict = {name: method.learner(trained[name], one.support) for name, method in problem.methods.items()
               if name in trained and method.family != "baseline"}
    if args.tasks == "sine":
        grid = np.linspace(-5, 5, 201, dtype=np.float32).reshape(1, -1, 1)
        wave = one._replace(query=(grid, one.amplitude * np.sin(one.phase + grid)))
        curves = {name: f(grid).numpy() for name, f in predict.items()}
        save_picture(args.output / "learners.png", plots.plot_learners, wave, curves)
        return ["learners.png"]
    if not predict:
        return []
    answers = {name: f(one.query[0]).numpy()[0].argmax(axis=-1) for name, f in predict.items()}
    name = "prototypes" if "prototypes" in answers else next(iter(answers))
    save_picture(args.output / "episode.png", plots.plot_episode, one, answers[name],
                 "A new task: support images of each class (blue), its query images,\n"
                 f"and what {name} took for another class")
    names = ["episode.png"]
    if "prototypes" in trained:
        embed = problem.methods["prototypes"].learner.args[0]
        x, y = one.query
        start = problem.methods["prototypes"].params
        points = {f"{when} training": embed(params, x).numpy()[0]
                  for when, params in [("before", start), ("after", trained["prototypes"])]}
        save_picture(args.output / "embedding.png", plots.plot_embeddings, y[0], points)
        names.append("embedding.png")
    return names


def run_challenge(args):
    """Train, take the test, print the errors, save the picture and the numbers; the exit code is 2 without data."""
    args.output = args.output or output_folder(f"results/omniglot-{args.alphabets}")
    try:
        with Checkpoints(args.output).alone():
            return take_challenge(args)
    except CheckpointError as error:
        return complain("omniglot-challenge", error)


def take_challenge(args):
    from tqdm import tqdm

    from .meta import Diverged, challenge, plots
    from .meta.parallel import part
    from .tasks.omniglot import load_runs

    try:
        images, labels = omniglot(f"images_background_{args.alphabets}", args)
        runs = load_runs(archive("all_runs", args))
        challenge.check_enough(images, labels)
    except (OSError, ValueError) as error:
        return complain("omniglot-challenge", error)
    steps, params, stopped, start = 0, None, False, time.perf_counter()
    with tqdm(total=args.iterations or round(args.seconds), desc="training", unit="step" if args.iterations else "s") as bar:
        try:
            for params, loss in challenge.train_embedding(images, labels, args.seconds, args.iterations, args.seed):
                steps += 1
                bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
                done = steps if args.iterations else int(bar.format_dict["elapsed"])
                bar.update(min(done, bar.total) - bar.n)
        except KeyboardInterrupt:
            stopped = True
        except Diverged as error:
            return complain("omniglot-challenge", error, 1)
    if params is None:
        return complain("omniglot-challenge", "stopped before the first step of training", 130)
    if stopped:
        print(f"Stopped after {steps:,} steps; this is the report on those.")
    training = time.perf_counter() - start
    answers = challenge.answers(params, runs)
    wrong = answers != runs.query[1]
    error = 100 * wrong.mean()
    interval = 209 * wrong.mean(axis=1).std(ddof=1) / np.sqrt(len(wrong))  # Student's t for 20 runs is 2.09
    worst = int(wrong.sum(axis=1).argmax())
    try:
        save_results(args, start, {"error_percent": error, "interval": interval, "errors_of_runs": wrong.sum(axis=1).tolist(),
                                   "stopped": stopped, "steps": steps, "training_seconds": training})
        save_picture(args.output / "worst_run.png", plots.plot_run, part(runs, worst, worst + 1), answers[worst],
                     f"The worst run, number {worst + 1}: {wrong[worst].sum()} of {len(wrong[worst])} wrong")
    except OSError as error:
        return complain("omniglot-challenge", error, 1)
    print(challenge_table(error, interval, args))
    print(f"\n{time.perf_counter() - start:.0f} seconds. Saved worst_run.png and results.json in {args.output}/")


def challenge_table(error, interval, args):
    """Our error beside the published ones."""
    from .meta.challenge import PUBLISHED

    def percent(value):
        return "" if value is None else f"{value:.1f} %"

    lines = ["Errors in 20 runs of 20-way one-shot classification within a new alphabet (Lake et al. 2015):", "",
             f"{'trained on':40}{'30 alphabets':>14}{'small1':>10}{'small2':>10}"]
    lines += [f"{name:40}{percent(all):>14}{percent(small1):>10}{percent(small2):>10}"
              for name, (all, small1, small2) in PUBLISHED.items()]
    ours = {args.alphabets: error}
    lines += [f"{'prototypical network, here':40}{'':14}{percent(ours.get('small1')):>10}{percent(ours.get('small2')):>10}",
              "", f"± {interval:.1f} is 95 % confidence over the runs, for one trained network."]
    return "\n".join(lines)


def save_results(args, start, results):
    """Write results.json, with what it takes to reproduce them."""
    import matplotlib

    configuration = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()
                     if name not in ("run", "command", "output", "resume", "checkpoint_every")}
    if configuration.get("iterations"):
        configuration.pop("seconds", None)  # which the iterations took the place of
    versions = {"tinygrad_meta": tg.__version__, "python": platform.python_version(), "numpy": np.__version__,
                "matplotlib": matplotlib.__version__}
    seconds = round(time.perf_counter() - start, 2)
    results = {"configuration": configuration, "seconds": seconds, **results, "versions": versions}
    write(args.output / "results.json", f"{json.dumps(for_json(results), indent=2, allow_nan=False)}\n".encode())


def save_picture(path, plot, *content):
    """So that its name never stands for half a picture."""
    file = io.BytesIO()
    plot(file, *content)
    write(path, file.getvalue())


def for_json(value):
    """The same numbers for JSON, which knows no arrays and no infinity: ``null`` stands for that."""
    if isinstance(value, dict):
        return {name: for_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [for_json(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


@np.errstate(all="ignore")  # log(-1) is nan, and the table says so
def run_graph(args):
    """Print the slide's table for any expression; the exit code is 2 if it is none."""
    from .graph.parse import parse

    values = dict(args.values) or ({"x1": 2.0, "x2": 3.0} if args.expression == SLIDE else {})
    try:
        if len(values) < len(args.values):
            raise ValueError("each variable takes one value, and one of them was given two")
        F, variables = parse(args.expression, values)
        if not F.requires_grad:
            raise ValueError(f"{args.expression!r} depends on no variable: there is nothing to differentiate by")
    except ValueError as error:
        print(f"python -m tinygrad_meta graph: {error}", file=sys.stderr)
        return 2
    print(f"F({', '.join(values)}) = {args.expression}\n")
    print(trace(F, args.ascii))
    if args.order == 2:
        print_second_order(F, variables, args.ascii)
    path = args.draw or args.output and args.output / "graph.svg"
    if path:
        try:
            tg.graph.draw(F, path, order=args.order)
        except OSError as error:
            return complain("graph", error, 1)
        print(f"\nPicture: {path}")


def print_second_order(F, variables, ascii):
    """A table for each first derivative."""
    d = "d" if ascii else "∂"
    gradients = tg.grad(F, variables, create_graph=True)
    keep_names(F, [F])  # so that v1 is the same in all tables
    formulas = {f"{d}F/{d}{x.name}": (g, expression(g)) for x, g in zip(variables, gradients, strict=True)}
    for name, (g, _) in formulas.items():
        g.name = name
    keep_names(F, [F, *gradients])
    for name, (g, formula) in formulas.items():
        g.name = name  # which may be that of another, where both derivatives are the same
        print(f"\n{name} = {formula}")
        print(trace(g, ascii) if g.requires_grad else "a constant: all its derivatives are 0")


def keep_names(F, tensors):
    """Name what tensors were computed from as ``trace`` would, all but F."""
    tensors = history(tensors)
    names = named(tensors)
    for t in tensors:
        if t is not F:
            t.name = names.get(t.order)


def run_check(args):
    """Print one row per operation; the exit code is 1 if a rule is wrong."""
    from .check import check_table

    print(f"{'worst error of':16}{'first':>12}{'second':>12} derivatives")
    complaints = {}
    for name, first, second, complaint in check_table():
        print(f"{name:16}{first:>12.1e}{second:>12.1e}{' wrong' if complaint else ''}", flush=True)
        if complaint:
            complaints[name] = complaint
    for name, complaint in complaints.items():
        print(f"\n{name}: {complaint}")
    return bool(complaints)


def run_bench(args):
    """Print one row per workload."""
    try:
        return bench.bench(args.quick, args.json)
    except OSError as error:
        return complain("bench", error, 1)
