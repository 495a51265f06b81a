"""The command line, as a user meets it."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import tqdm
from PIL import Image

import tinygrad_meta as tg
from tinygrad_meta import bench, check, cli
from tinygrad_meta.meta import challenge, checkpoint, families
from tinygrad_meta.meta.experiment import Experiment
from tinygrad_meta.tasks import drawn_alphabet

TINY = ["--iterations", "20", "--tasks", "3", "--test-tasks", "30", "--hidden", "6", "--output"]
METHODS = ["MAML", "first-order", "pre-trained", "random", "oracle"]


def run(*words):
    """The exit code of ``python -m tinygrad_meta`` with these words."""
    with pytest.raises(SystemExit) as exit:
        cli.main([str(word) for word in words])
    return exit.value.code or 0


def results(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As if the program had been started with one thread, so that it does not start itself again."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bench.ONE_THREAD.items():
            patch.setenv(name, value)
        yield


# ---------------------------------------------------------------------------------------------------------- maml


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The output folder of a tiny experiment."""
    folder = tmp_path_factory.mktemp("results") / "made" / "on the way"
    assert run("maml", *TINY, folder, "--seed", 3) == 0
    return folder


def test_results_hold_configuration_numbers_and_versions(finished):
    found = results(finished)
    assert found["iterations"] == 20 and found["seconds"] > 0
    assert found["configuration"] == {
        "paper": False, "shots": 10, "tasks": 3, "test_tasks": 30, "iterations": 20, "inner_steps": 1, "inner_step_size": 0.01,
        "meta_step_size": 0.02, "schedule": "cosine", "clip": None, "first_order": False, "hidden": [6], "activation": "relu",
        "initializer": "glorot", "dtype": "float32", "seed": 3, "eager": False, "executor": None,
    }  # fmt: skip
    assert found["versions"]["tinygrad_meta"] == tg.__version__ and found["versions"]["numpy"] == np.__version__
    assert list(found["mean_squared_error"]) == METHODS
    for method, numbers in found["mean_squared_error"].items():
        for name in ("mean", "interval", "median", "diverged"):
            assert len(numbers[name]) == (1 if method == "oracle" else 11)
            assert all(value >= 0 for value in numbers[name])


@pytest.mark.parametrize("name", ["errors.png", "predictions.png"])
def test_pictures_show_something(finished, name):
    picture = matplotlib.image.imread(finished / name)[..., :3]
    colors = np.unique(picture.reshape(-1, 3).round(1), axis=0)
    assert min(picture.shape[:2]) > 500 and len(colors) > 20


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(finished, tmp_path):
    for seed, same in [(3, True), (4, False)]:
        run("maml", *TINY, tmp_path, "--seed", seed)
        assert (results(tmp_path)["mean_squared_error"] == results(finished)["mean_squared_error"]) is same


def test_the_table_and_the_progress_bar_are_printed(tmp_path, capsys):
    run(*TINY, tmp_path)  # maml is the command unless another is given
    printed = capsys.readouterr()
    rows = {line.split()[0]: line for line in printed.out.splitlines() if "±" in line}
    assert list(rows) == METHODS and rows["MAML"].count("±") == 4 and rows["oracle"].count("±") == 1
    assert "MAML 0.67, 0.38, 0.35" in printed.out and str(tmp_path) in printed.out
    assert "20/20" in printed.err and "MAML loss" in printed.err


def test_first_order_leaves_second_derivatives_out(tmp_path, capsys):
    run(*TINY, tmp_path, "--first-order")
    assert list(results(tmp_path)["mean_squared_error"]) == METHODS[1:]
    assert "first-order loss" in capsys.readouterr().err


def test_every_option_of_the_protocol_is_taken(tmp_path):
    options = "--shots 3 --inner-steps 2 --inner-step-size 0.02 --meta-step-size 0.001 --schedule constant --clip 5 " \
              "--hidden 4 4 --activation tanh --initializer he --dtype float64"
    assert run(*TINY, tmp_path, *options.split()) == 0
    assert results(tmp_path)["configuration"] | {
        "shots": 3, "inner_steps": 2, "inner_step_size": 0.02, "meta_step_size": 0.001, "schedule": "constant", "clip": 5.0,
        "hidden": [4, 4], "activation": "tanh", "initializer": "he", "dtype": "float64",
    } == results(tmp_path)["configuration"]  # fmt: skip


def test_paper_sets_the_protocol_and_other_options_still_apply(tmp_path):
    run("maml", "--paper", *TINY, tmp_path)
    configuration = results(tmp_path)["configuration"]
    assert (configuration["meta_step_size"], configuration["schedule"]) == (0.001, "constant")
    assert configuration["iterations"] == 20
    assert cli.PAPER["iterations"] == 70_000


def test_ctrl_c_reports_on_what_has_been_trained(tmp_path, monkeypatch, capsys):
    class Interrupted(tqdm.tqdm):
        def update(self):
            super().update()
            if self.n == 7:
                raise KeyboardInterrupt

    monkeypatch.setattr(tqdm, "tqdm", Interrupted)
    assert run(*TINY, tmp_path) == 0
    assert results(tmp_path)["iterations"] == 7
    assert "Stopped after 7 of 20 iterations" in capsys.readouterr().out
    assert (tmp_path / "checkpoint-7.npz").exists()
    assert (tmp_path / "predictions.png").exists()


def test_ctrl_c_before_the_first_iteration_reports_on_what_there_is(tmp_path, monkeypatch, capsys):
    def interrupted(self):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(Experiment, "batches", interrupted)
    assert run(*TINY, tmp_path) == 0
    assert results(tmp_path)["iterations"] == 0 and not list(tmp_path.glob("checkpoint*"))
    assert "Stopped after 0 of 20 iterations" in capsys.readouterr().out


def test_a_second_ctrl_c_ends_the_report(tmp_path, monkeypatch, capsys):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Experiment, "evaluate", interrupted)
    assert run(*TINY, tmp_path) == 130
    assert (tmp_path / "checkpoint-20.npz").exists()
    assert "stopped before the report was done. The last good checkpoint is " in capsys.readouterr().err


def test_a_training_that_diverges_stops_with_the_iteration_and_the_task(tmp_path, capsys):
    assert run(*TINY, tmp_path, "--meta-step-size", "1e30") == 1
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert complaint == ("python -m tinygrad_meta maml: MAML: the loss of iteration 2 is not finite, first in task 0 of its "
                         "batch: a smaller step size, or a bound on the gradient's norm, may help. There is no checkpoint of "
                         "this run yet")
    assert not list(tmp_path.iterdir())


def test_tasks_that_diverge_in_the_test_are_counted(tmp_path, capsys):
    assert run(*TINY, tmp_path, "--first-order", "--meta-step-size", "0", "--inner-step-size", "30") == 0
    assert " inf " in capsys.readouterr().out
    assert results(tmp_path)["mean_squared_error"]["first-order"]["mean"][10] is None


def test_gradients_can_be_computed_by_other_processes(tmp_path):
    for where, folder in [([], tmp_path / "here"), (["--executor", "processes:2"], tmp_path / "there")]:
        assert run(*TINY, folder, "--dtype", "float64", *where) == 0
    here, there = (results(tmp_path / name)["mean_squared_error"] for name in ("here", "there"))
    for method in METHODS:
        np.testing.assert_allclose(there[method]["mean"], here[method]["mean"], rtol=1e-6)


@pytest.mark.parametrize("where", ["processes:none", "processes", "threads:2", "processes:0"])
def test_an_executor_that_is_none_gets_one_sentence(where, tmp_path, capsys):
    assert run(*TINY, tmp_path, "--executor", where) == 2
    complaint = capsys.readouterr().err
    assert repr(where) in complaint and complaint.count("\n") == 1


# ---------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("words, sentence", [
    (["maml", "--shots", "0"], "argument --shots: must be a whole number, 1 or more, and is '0'"),
    (["--iterations", "many"], "argument --iterations: must be a whole number, 1 or more, and is 'many'"),
    (["--inner-step-size", "-0.1"], "argument --inner-step-size: must be a number, 0 or more, and is '-0.1'"),
    (["--meta-step-size", "nan"], "argument --meta-step-size: must be a number, 0 or more, and is 'nan'"),
    (["--hidden", "40", "0"], "argument --hidden: must be a whole number, 1 or more, and is '0'"),
    (["--dtype", "int8"], "argument --dtype: invalid choice: 'int8'"),
    (["--clip", "0"], "argument --clip: must be a number greater than 0, and is '0'"),
    (["graph", "--draw", "graph.pdf"], "argument --draw: must end in .svg or .png, and is 'graph.pdf'"),
    (["graph", "x1=2", "x1=3", "x2=1"], "each variable takes one value, and one of them was given two"),
    (["graph", "--expression", "-x", "x=1"], "expected one argument (a value that begins with - is written behind =, as in "),
    (["bench", "--json", "."], "argument --json: must be a file, and '.' is a folder"),
    (["--unknown"], "unrecognized arguments: --unknown"),
    (["train"], "invalid choice: 'train'"),
    (["graph", "x1=one"], "must be a number, and is 'one'"),
    (["graph", "x1"], "must be a variable and its value, such as x1=2, and is 'x1'"),
])  # fmt: skip
def test_a_wrong_option_gets_one_sentence(words, sentence, capsys):
    assert run(*words) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_a_folder_that_cannot_be_written_to_is_an_error_before_training(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(*TINY, tmp_path / "file" / "results") == 2
    printed = capsys.readouterr().err
    assert "argument --output: cannot write to" in printed and printed.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["maml"], ["graph"], ["check"], ["bench"]])
def test_help_teaches(words, capsys):
    assert run(*words, "--help") == 0
    assert len(capsys.readouterr().out) > 200


# ------------------------------------------------------------------------------------------------- the other commands


SLIDE = ["∂F/∂v3 = 1", "∂F/∂v1 = ∂F/∂v3 · ∂v3/∂v1 = v2 = 4", "∂F/∂v2 = ∂F/∂v3 · ∂v3/∂v2 = v1 = 5",
         "∂F/∂x1 = ∂F/∂v1 · ∂v1/∂x1 = v2 = 4", "∂F/∂x2 = ∂F/∂v1 · ∂v1/∂x2 + ∂F/∂v2 · ∂v2/∂x2 = v1 + v2 = 9"]  # fmt: skip


@pytest.mark.parametrize("ascii", [False, True])
def test_graph_prints_the_slides_table(ascii, capsys):
    assert run("graph", "x1=2", "x2=3", *["--ascii"] * ascii) == 0
    printed = capsys.readouterr().out
    for line in ["v1 = x1 + x2 = 5", "v2 = x2 + 1 = 4", "v3 = v1 * v2 = 20", *SLIDE]:
        assert f"  {line.translate({8706: 'd', 183: '*'}) if ascii else line}\n" in printed
    assert printed.isascii() or not ascii


def test_graph_of_second_order_goes_on_with_the_same_names(capsys):
    assert run("graph", "--expression", "x*x*y", "x=2", "y=3", "--order", 2) == 0
    printed = capsys.readouterr().out
    assert printed.count("v1 = x * x = 4") == 2
    assert "∂(∂F/∂x)/∂x = " in printed and "∂(∂F/∂y)/∂x = ∂(∂F/∂y)/∂v1 · ∂v1/∂x = 2*x = 4\n" in printed


@pytest.mark.parametrize("expression, sentence", [
    ("open(x)", "'open' is no function here"), ("x.real", "'x.real' is more than numbers"), ("x +", "is not an expression"),
    ("y * x", "y has no value"), ("sin(x, x)", "sin takes 1 argument, and got 2"),
    ("1", "x has a value and does not occur in '1'"), ("x(x)", "'x' is no function here"),
    ("[x]", "'[x]' is more than"), ("x if x else 1", "is more than"),
    ("x * 1e999", "too large"), ("x * True", "'True' is more"),
])  # fmt: skip
def test_a_wrong_expression_gets_one_sentence(expression, sentence, capsys):
    assert run("graph", "--expression", expression, "x=2") == 2
    printed = capsys.readouterr()
    assert sentence in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_a_variable_cannot_have_the_name_of_the_result(capsys):
    assert run("graph", "--expression", "F + 1", "F=2") == 2
    assert capsys.readouterr().err == "python -m tinygrad_meta graph: F is the result here: call the variable something else\n"


def test_an_expression_may_be_a_variable(tmp_path, capsys):
    assert run("graph", "--expression", "x", "x=0", "--order", 2, "--draw", tmp_path / "x.png") == 0
    assert (tmp_path / "x.png").exists() and "a constant: all its derivatives are 0" in capsys.readouterr().out


def test_a_variable_cannot_have_the_name_of_a_function(capsys):
    assert run("graph", "--expression", "sin(sin)", "sin=2") == 2
    assert "sin is a function here: call the variable something else\n" in capsys.readouterr().err


def test_trace_shows_functions_attributes_and_arrays():
    x = tg.tensor([[1.0, 2.0]], requires_grad=True)
    w = tg.tensor([[3.0], [4.0]], requires_grad=True, name="w")
    F = tg.sum(tg.relu(x @ w), axis=(0, 1))
    F.name = "loss"
    assert tg.graph.trace(F).splitlines() == [
        "forward", "  leaf1 = [[1., 2.]]", "  w = [[3.], [4.]]", "  v1 = leaf1 @ w = 11", "  v2 = relu(v1) = 11",
        "  loss = sum(v2, axis=(0, 1)) = 11",
        "backward", "  ∂loss/∂loss = 1", "  ∂loss/∂v2 = 1", "  ∂loss/∂v1 = ∂loss/∂v2 · ∂v2/∂v1 = step(v1) = 1",
        "  ∂loss/∂leaf1 = ∂loss/∂v1 · ∂v1/∂leaf1 = step(v1) @ w.mT = [[3., 4.]]",
        "  ∂loss/∂w = ∂loss/∂v1 · ∂v1/∂w = leaf1.mT @ step(v1) = [[1.], [2.]]",
    ]  # fmt: skip


def test_check_has_a_row_for_every_differentiable_operation(capsys):
    assert run("check") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [name for name, *_ in rows] == [name for name, op in tg.ops.OPERATIONS.items() if op.differentiable]
    assert max(float(error) for _, *errors in rows for error in errors) < 1e-6


def test_check_tells_on_a_wrong_rule(monkeypatch, capsys):
    monkeypatch.setattr(tg.ops.OPERATIONS["sin"], "rules", (lambda g, out, x: g * tg.cos(x) * 1.001,))
    assert run("check") == 1
    printed = capsys.readouterr().out
    [row] = [line for line in printed.splitlines() if line.startswith("sin ")]
    assert row.endswith("wrong") and float(row.split()[1]) > 1e-4
    assert "\nsin: the derivative of" in printed


def test_check_errors_are_relative_to_large_derivatives():
    assert check.worst_error(lambda x: 1e6 * tg.square(x), [np.array([3.0])]) < 1e-6


def test_importing_the_package_loads_nothing_but_numpy():
    heavy = "{'matplotlib', 'tqdm', 'argparse', 'torch'}"
    code = f"import sys, numpy; before = set(sys.modules); import tinygrad_meta; print(({heavy} & set(sys.modules)) - before)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_module_can_be_run():
    done = subprocess.run([sys.executable, "-m", "tinygrad_meta", "graph"], capture_output=True, text=True, check=True)
    assert "v3 = v1 * v2 = 20" in done.stdout


# ---------------------------------------------------------------------------------------- families, omniglot-challenge

FAMILIES = ["--iterations", "2", "--test-tasks", "30"]


@pytest.fixture
def little_omniglot(tmp_path):
    """A folder with archives like Omniglot's, in which all characters are drawn by this program."""
    folder = tmp_path / "omniglot"
    folder.mkdir()
    sets = {"images_background_small1": ["Greek", "Latin"], "images_background_small2": ["Latin", "Tagalog"]}
    for archive, alphabets in sets.items():
        images, _ = drawn_alphabet(classes=2 * 8, examples=8, rng=len(archive))
        with zipfile.ZipFile(folder / f"{archive}.zip", "w") as file:
            for i, image in enumerate(images):
                alphabet, character = alphabets[i // 64], i % 64 // 8
                file.writestr(f"{archive}/{alphabet}/character{character + 1:02}/0001_{i % 8 + 1:02}.png", png(image))
    with zipfile.ZipFile(folder / "all_runs.zip", "w") as file:
        images, _ = drawn_alphabet(classes=20, examples=2, rng=5)
        for run in range(1, 3):
            lines = [f"run{run:02}/test/item{i + 1:02}.png run{run:02}/training/class{i + 1:02}.png\n" for i in range(20)]
            file.writestr(f"run{run:02}/class_labels.txt", "".join(lines))
            for i, image in enumerate(images):
                name = f"training/class{i // 2 + 1:02}" if i % 2 else f"test/item{i // 2 + 1:02}"
                file.writestr(f"run{run:02}/{name}.png", png(image))
    return folder


def png(image):
    """A drawing of 28 pixels as a file of Omniglot's kind: 105 by 105 pixels, black ink on white."""
    large = np.kron(image < 128, np.ones((4, 4), bool))[3:108, 3:108]
    content = io.BytesIO()
    Image.fromarray(large).convert("1").save(content, "png")
    return content.getvalue()


@pytest.mark.parametrize("tasks, pictures", [("sine", ["learners.png"]), ("drawn", ["embedding.png", "episode.png"]),
                                             ("omniglot", ["embedding.png", "episode.png"])])
def test_families(tasks, pictures, tmp_path, little_omniglot, capsys):
    folder = tmp_path / "out"
    assert run("families", "--tasks", tasks, *FAMILIES, "--data", little_omniglot, "--output", folder) == 0
    n = len(results(folder)["methods"])
    checkpoints = [f"families-checkpoint-{n - 1}.npz", f"families-checkpoint-{n}.npz"]
    expected = ["families.png", "results.json", *checkpoints, *pictures]
    assert sorted(path.name for path in folder.iterdir()) == sorted(expected)
    scores, printed = results(folder)["methods"], capsys.readouterr().out
    for name in ["MAML", "first-order MAML", "Meta-SGD", "ANIL", "Reptile", "iMAML", "hypernetwork"]:
        assert scores[name]["iterations"] == 2 and scores[name]["parameters"] > 1000 and scores[name]["training_seconds"] > 0
        (row,) = [line for line in printed.splitlines() if line.startswith(name + " ")]
        assert row.endswith("none") == (name == "hypernetwork")
    assert results(folder)["configuration"]["tasks"] == tasks


@pytest.fixture
def few_methods(monkeypatch):
    """Four methods of the sine problem, the last of which needs no training."""
    problem = families.sine_problem(30)
    methods = {name: problem.methods[name] for name in ("MAML", "Meta-SGD", "attention", "oracle")}
    methods["oracle"] = methods["oracle"]._replace(objective=None)
    monkeypatch.setattr(cli, "family_problem", lambda args: problem._replace(methods=methods))


def values(folder):
    return {name: (score["value"], score["interval"]) for name, score in results(folder)["methods"].items()}


def test_ctrl_c_while_a_method_is_tested_does_not_throw_its_training_away(few_methods, tmp_path, monkeypatch, capsys):
    test, interrupted = families.test, []

    def interrupt_once(*args, **options):
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return test(*args, **options)

    monkeypatch.setattr(families, "test", interrupt_once)
    assert run("families", *FAMILIES, "--output", tmp_path) == 0
    assert "Not finished: Meta-SGD, attention. The same command" in capsys.readouterr().out
    assert list(values(tmp_path)) == ["MAML", "oracle"]


def test_what_does_not_fit_into_memory_is_one_sentence(tmp_path, capsys):
    assert run("maml", "--hidden", 1_000_000, 1_000_000, "--output", tmp_path) == 1
    assert capsys.readouterr().err.startswith("python -m tinygrad_meta maml: there is not enough memory: Unable to allocate")
    assert run("maml", *TINY[:-1], "--test-tasks", 10**13, "--output", tmp_path) == 1
    assert "The last good checkpoint is " in capsys.readouterr().err


def test_two_runs_do_not_share_a_folder(tmp_path, capsys):
    for command in (["maml", *TINY[:-1]], ["families", *FAMILIES], ["omniglot-challenge"]):
        with checkpoint.Checkpoints(tmp_path).alone():
            assert run(*command, "--output", tmp_path) == 2
        printed = capsys.readouterr()
        assert f"another run is writing to {tmp_path}: wait for it to end, or give this one" in printed.err and not printed.out


def test_families_keeps_what_was_trained_and_trains_the_others(few_methods, tmp_path, monkeypatch, capsys):
    words, compare, trained = ["families", *FAMILIES, "--output"], families.compare, []

    def interrupted(problem, seconds, iterations, seed, progress):
        def stop(method, share, loss):
            progress(method, share, loss)
            trained.append(method)
            if (method, share) == ("Meta-SGD", 0.5) and trained.count("Meta-SGD") == 1:
                raise KeyboardInterrupt

        return compare(problem, seconds, iterations, seed, stop)

    assert run(*words, tmp_path / "whole") == 0
    monkeypatch.setattr(families, "compare", interrupted)
    assert run(*words, tmp_path / "parts") == 0
    assert "Not finished: Meta-SGD, attention. The same command with --resume" in capsys.readouterr().out
    assert list(values(tmp_path / "parts")) == ["MAML", "Meta-SGD", "oracle"] and results(tmp_path / "parts")["stopped"]
    assert run(*words, tmp_path / "parts", "--resume") == 0
    assert "Going on after 2 of 4 methods.\n" in capsys.readouterr().out
    assert trained == ["MAML"] * 2 + ["Meta-SGD"] * 3 + ["attention"] * 2
    assert values(tmp_path / "parts") == values(tmp_path / "whole") and not results(tmp_path / "parts")["stopped"]
    assert run(*words, tmp_path / "parts", "--resume", "--shots", 3) == 2
    assert "is of another run: shots 10 there, 3 here" in capsys.readouterr().err
    assert run(*words, tmp_path / "none", "--resume") == 2
    assert "there is no checkpoint in" in capsys.readouterr().err


def test_families_on_a_disk_that_is_full(few_methods, tmp_path, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "open", full, raising=False)
    assert run("families", *FAMILIES, "--output", tmp_path) == 1
    assert "checkpoint-1.npz: No space left on device. There is no checkpoint of this run yet" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["families", "omniglot-challenge"])
def test_a_default_folder_that_cannot_be_written_to_is_one_sentence(command, tmp_path, monkeypatch, capsys):
    (tmp_path / "results").write_text("a file")
    monkeypatch.chdir(tmp_path)
    assert run(command) == 2
    assert capsys.readouterr().err.startswith(f"python -m tinygrad_meta {command}: cannot write to 'results/")


def test_commands_leave_each_others_checkpoints_alone(few_methods, tmp_path):
    assert run("maml", *TINY, tmp_path) == 0
    assert run("families", *FAMILIES, "--output", tmp_path) == 0
    assert (tmp_path / "checkpoint-20.npz").exists() and list(tmp_path.glob("families-checkpoint-*.npz"))


def test_ctrl_c_ends_the_training_for_the_challenge_and_takes_the_test(tmp_path, little_omniglot, capsys, monkeypatch):
    def interrupted(images, labels, seconds, iterations, seed, train=challenge.train_embedding):
        for step, trained in enumerate(train(images, labels, seconds, iterations, seed)):
            if step == after:
                raise KeyboardInterrupt
            yield trained

    monkeypatch.setattr(challenge, "WAYS", 10)
    monkeypatch.setattr(challenge, "train_embedding", interrupted)
    command = ["omniglot-challenge", "--iterations", 5, "--data", little_omniglot, "--output", tmp_path]
    after = 0
    assert run(*command) == 130 and not (tmp_path / "results.json").exists()
    after = 2
    assert run(*command) == 0
    found = results(tmp_path)
    assert found["stopped"] and found["steps"] == 2 and "seconds" not in found["configuration"]
    assert "Stopped after 2 steps; this is the report on those." in capsys.readouterr().out


def test_omniglot_challenge(tmp_path, little_omniglot, capsys, monkeypatch):
    monkeypatch.setattr(challenge, "WAYS", 10)
    folder = tmp_path / "out"
    assert run("omniglot-challenge", "--alphabets", "small2", "--iterations", 2, "--data", little_omniglot,
               "--output", folder) == 0
    found, printed = results(folder), capsys.readouterr().out
    assert found["steps"] == 2 and len(found["errors_of_runs"]) == 2
    assert found["error_percent"] == pytest.approx(100 * sum(found["errors_of_runs"]) / 40)
    assert "people" in printed and f"{found['error_percent']:.1f} %" in printed and (folder / "worst_run.png").exists()


@pytest.mark.parametrize("command", [["families", "--tasks", "omniglot"], ["omniglot-challenge"]])
def test_missing_archives_are_named(command, tmp_path, capsys):
    assert run(*command, "--data", tmp_path, "--output", tmp_path / "out") == 2
    message = capsys.readouterr().err
    assert "images_background_small1.zip" in message and "--download" in message and "Traceback" not in message


def test_commands_that_measure_time_start_again_on_one_thread(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def replaced(program, words, environment):
        raise SystemExit(7 if environment["OMP_NUM_THREADS"] == "1" else 1)

    monkeypatch.setattr(bench.os, "execve", replaced)
    for command in ("maml", "families", "omniglot-challenge", "bench"):
        monkeypatch.setattr(sys, "argv", ["tinygrad_meta", command])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        assert exit.value.code == 7


def run_as_typed(*words, **options):
    environment = os.environ | bench.ONE_THREAD | options.pop("env", {}) | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-m", "tinygrad_meta", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            env=environment, **options)


def test_a_terminal_without_the_signs_shows_others():
    process = run_as_typed("graph", env={"PYTHONIOENCODING": "ascii"})
    assert b"?F/?x2 = " in process.communicate()[0] and process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full, on Linux")
def test_what_cannot_be_printed_is_one_sentence():
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "tinygrad_meta", "graph"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr == "python -m tinygrad_meta graph: [Errno 28] No space left on device\n"


def test_results_are_saved_also_if_nobody_reads_the_table(tmp_path):
    process = run_as_typed("maml", "--iterations", "5", "--test-tasks", "30", "--output", str(tmp_path))
    process.stdout.close()
    assert process.wait() == 1
    assert {"results.json", "errors.png", "predictions.png"} <= {path.name for path in tmp_path.iterdir()}
