"""The command line: ``python -m tinygrad_meta``."""

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import tinygrad_meta as tg

from .graph.expression import expression, history, named
from .graph.text import trace
from .nn import ACTIVATIONS, INITIALIZERS

SLIDE = "(x1 + x2) * (x2 + 1)"  # the expression of the command graph, unless another is given
STEPS = (0, 1, 5, 10)  # of adaptation, in the table
PAPER = {"iterations": 70_000, "meta_step_size": 0.001, "schedule": "constant"}  # where it differs from the defaults


def main(argv=None):
    """Run a command given as a list of words; without one, as typed by the user."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0].startswith("-") and argv[0] not in ("-h", "--help"):
        argv = ["maml", *argv]
    parser, maml_parser = parsers()
    args = parser.parse_args(argv)
    if getattr(args, "paper", False):
        maml_parser.set_defaults(**PAPER)
        args = parser.parse_args(argv)
    sys.exit(args.run(args))


# ------------------------------------------------------------------------------------------------------- the options


class Parser(argparse.ArgumentParser):
    def error(self, message):
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


def parsers():
    """The parser, and the one of the command ``maml``."""
    parser = Parser(
        prog="python -m tinygrad_meta", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Meta-learning on sine waves, on an autodiff engine small enough to read.",
        epilog="""examples:
  python -m tinygrad_meta                      meta-train on sine waves and compare, in 10 to 20 seconds
  python -m tinygrad_meta maml --shots 5       the same with 5 points of each new wave to learn from
  python -m tinygrad_meta maml --help          all options of the experiment
  python -m tinygrad_meta graph x1=2 x2=3      the forward and backward pass of F = (x1 + x2)(x2 + 1), or of another F
  python -m tinygrad_meta check                every derivative rule against finite differences
  python -m tinygrad_meta bench --quick        how long a meta-gradient takes, here and in other libraries""")
    commands = parser.add_subparsers(title="commands", metavar="{maml,graph,check,bench}", required=True)

    maml = commands.add_parser(
        "maml", help="meta-train on sine waves and compare with the alternatives (the default)",
        description="Learn to learn sine waves: meta-train with MAML (Finn et al. 2017), and compare with first-order MAML, "
        "pre-training on all waves, a random start, and an oracle that is told amplitude and phase. Prints a table, and saves "
        "two pictures and results.json. Ctrl-C ends the training early and reports on what there is.")
    maml.set_defaults(run=run_maml)
    maml.add_argument("--paper", action="store_true", help="the paper's protocol: 70,000 iterations with a constant meta step "
                      "size of 0.001 (7 times the steps); options beside it still apply")
    whole, real = at_least(1, int), at_least(0, float)
    option = maml.add_argument_group("tasks").add_argument
    option("--shots", type=whole, default=10, metavar="K",
           help="support points of each task, and as many query points (%(default)s)")
    option("--tasks", type=whole, default=25, metavar="N", help="tasks in a batch of meta-training (%(default)s)")
    option("--test-tasks", type=at_least(2, int), default=1000, metavar="N", help="new tasks to evaluate on (%(default)s)")
    option = maml.add_argument_group("training").add_argument
    option("--iterations", type=whole, default=10_000, metavar="N", help="meta-training steps of every method (%(default)s)")
    option("--inner-steps", type=whole, default=1, metavar="N", help="gradient steps to adapt with in training (%(default)s)")
    option("--inner-step-size", type=real, default=0.01, metavar="ALPHA", help="step size of adaptation (%(default)s)")
    option("--meta-step-size", type=real, default=0.02, metavar="BETA", help="step size of Adam, at its peak (%(default)s)")
    option("--schedule", choices=["cosine", "constant"], default="cosine",
           help="of the meta step size; the first tenth of the cosine is a warm-up (%(default)s)")
    option("--clip", type=real, metavar="NORM", help="scale meta-gradients down to this norm where they exceed it")
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
           help="where to save pictures and results.json (%(default)s)")

    graph = commands.add_parser(
        "graph", help="print the forward and backward pass of an expression, as formulas",
        usage="%(prog)s [options] [x1=2 x2=3 ...]",
        description="Print how an expression is computed and differentiated, line by line: the forward pass, and the chain "
        "rule on the way back. The expression is one of numbers, variables, + - * / **, parentheses, and functions such as tanh(x).")
    graph.set_defaults(run=run_graph)
    graph.add_argument("values", type=assignment, nargs="*", metavar="x1=2", help="what each variable stands for (x1=2 x2=3)")
    graph.add_argument("--expression", default=SLIDE, metavar="F", help="what to differentiate (%(default)s)")
    graph.add_argument("--order", type=int, choices=[1, 2], default=1, help="2 is for second derivatives too (%(default)s)")
    graph.add_argument("--ascii", action="store_true", help="write d and * instead of ∂ and ·")
    picture = graph.add_mutually_exclusive_group()
    picture.add_argument("--draw", type=output_file, metavar="PATH", help="also draw the graph, as .svg or .png")
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
        raise argparse.ArgumentTypeError(f"cannot write to {text!r}: {error.strerror}") from error
    return folder


def output_file(text):
    """An option's type: a file that can be written."""
    return output_folder(Path(text).parent) / Path(text).name


# ------------------------------------------------------------------------------------------------------- the commands


@np.errstate(over="ignore", invalid="ignore")  # the table says what diverged
def run_maml(args):
    """Meta-train, evaluate, print the table, save the pictures and the numbers."""
    import matplotlib  # here, because only this command has need of them
    from tqdm import tqdm

    from .meta.experiment import Experiment
    from .meta.plots import plot_errors, plot_predictions

    start = time.perf_counter()
    experiment = Experiment(args)
    first = next(iter(experiment.objectives))
    with tqdm(total=args.iterations, desc="training", unit="step") as bar:

        def progress(loss):
            bar.set_postfix_str(f"{first} loss {loss:.3f}", refresh=False)
            bar.update()

        experiment.train(progress)
    if experiment.iterations < args.iterations:
        print(f"Stopped after {experiment.iterations:,} of {args.iterations:,} iterations; this is the report on those.")
    errors = experiment.evaluate()
    print(table(errors, experiment.step_sizes, args))
    plot_errors(args.output / "errors.png", errors)
    plot_predictions(args.output / "predictions.png", *experiment.predict([first, "pre-trained"]))
    results = {
        "configuration": {name: value for name, value in vars(args).items() if name not in ("run", "output")},
        "iterations": experiment.iterations,
        "seconds": round(time.perf_counter() - start, 2),
        "mean_squared_error": {method: {"step_size": experiment.step_sizes[method], **as_lists(summary)}
                               for method, summary in errors.items()},
        "versions": {"tinygrad_meta": tg.__version__, "python": platform.python_version(), "numpy": np.__version__,
                     "matplotlib": matplotlib.__version__},
    }
    (args.output / "results.json").write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")
    print(f"\n{results['seconds']:.0f} seconds. Saved errors.png, predictions.png and results.json in {args.output}/")


def table(errors, step_sizes, args):
    """The numbers of an experiment as text, with the paper's for context."""
    lines = [f"Mean squared error on {args.test_tasks:,} new tasks, with 95 % confidence, after gradient steps on "
             f"{args.shots} points of each:",
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


def as_lists(summary):
    """For JSON, which knows no infinity: ``null`` stands for it."""
    return {name: [value if np.isfinite(value) else None for value in values.tolist()]
            for name, values in summary._asdict().items()}


@np.errstate(all="ignore")  # log(-1) is nan, and the table says so
def run_graph(args):
    """Print the slide's table for any expression; the exit code is 2 if it is none."""
    from .graph.parse import parse

    values = dict(args.values) or ({"x1": 2.0, "x2": 3.0} if args.expression == SLIDE else {})
    try:
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
        tg.graph.draw(F, path, order=args.order)
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
    from .bench import bench

    return bench(args.quick, args.json)
