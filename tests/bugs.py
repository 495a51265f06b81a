"""A gallery of bugs: each is planted into a copy of the package, to show what one sees and which check catches it.

The table below is a specification, which ``test_bugs.py`` tests row by row, and a page of the documentation, which
``python -m tests.bugs`` writes.  ``mutation.py`` plants faults by the hundred, to find checks that are missing.  Here are the
few that people do write, and what becomes of their numbers.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "bugs.md"


class Bug(NamedTuple):
    title: str
    what: str  # the mistake, and who makes it
    where: str  # file and function
    changes: list  # pieces of code and what is written in their place; each piece occurs once in the file
    program: str  # run with and without the bug
    seen: str  # what its output means
    check: tuple  # file of tests, and for -k what the name of one contains: fails with the bug, passes without
    why: str  # what this check does that others do not

    @property
    def file(self):
        return self.where.split()[0]


SETUP = """\
import numpy as np
import tinygrad_meta as tg
"""

DEPTH_FIRST = """\
def depth_first(outputs, path):
    visited, to_visit = {}, list(outputs)
    while to_visit:
        out = to_visit.pop()
        if out not in visited:
            visited[out] = out in set(path)
            to_visit += reversed(out.inputs)
    return [out for out in reversed(visited) if visited[out]]


"""

BUGS = [
    Bug("Broadcasting is not undone",
        "Addition stretches a bias of shape (1, 3) to the two rows of `x`, and its rule returns a gradient of the stretched "
        "shape. Somebody has to sum that back. In code with one rule per operation it is forgotten in one of them; here it is "
        "one line.",
        "tinygrad_meta/autodiff.py apply_rule",
        [("sum_to(contribution, shape=x._data.shape)", "contribution")],
        """\
x = tg.tensor(np.ones((2, 3)))
bias = tg.tensor(np.zeros((1, 3)), requires_grad=True)
(g,) = tg.grad(tg.sum((x + bias) ** 2), bias)
print("gradient", g.data.tolist())
print("shape after a step", (bias - 0.1 * g).shape)
""",
        "No error: the step broadcasts once more, and the bias has become a matrix with a row for each example. An error, if "
        "one comes at all, comes when the next batch has another size.",
        ("tests/test_autodiff.py", "broadcasting_is_undone"),
        "It compares shapes as well as values. A test that only multiplies arrays of one shape never gets here."),

    Bug("Overwritten at a fork instead of added",
        "In F = (x1 + x2)(x2 + 1) the input `x2` is used twice, and each use sends a contribution back. Here the later one "
        "replaces the earlier one.",
        "tinygrad_meta/autodiff.py grad",
        [("contribution if so_far is None else so_far + contribution", "contribution")],
        """\
x1 = tg.tensor(2.0, requires_grad=True)
x2 = tg.tensor(3.0, requires_grad=True)
F = (x1 + x2) * (x2 + 1)
print([g.item() for g in tg.grad(F, [x1, x2])])
""",
        "The first derivative is right. The second should be v2 + v1 = 4 + 5, and the contribution that came last has wiped "
        "out the 5. A plain network without forks is not affected at all.",
        ("tests/test_autodiff.py", "slides_example"),
        "It is the smallest graph with a fork, and every one of its five derivatives is compared with what comes out by hand."),

    Bug("Depth first instead of in topological order",
        "The walk goes from each tensor straight on to its inputs, as recursion would. A tensor at a fork then passes its "
        "gradient on before all of it has arrived.",
        "tinygrad_meta/autodiff.py between",
        [("def between(", DEPTH_FIRST + "def between("),
         ("return path, dependent", "return depth_first(outputs, path), dependent")],
        """\
x = tg.tensor(2.0, requires_grad=True)
u = x * x
F = u * (3 * u)                      # 3 x^4, by x: 12 x^3
print(tg.grad(F, x)[0].item())
""",
        "Half of it is lost. `F` sends to `u` twice, directly and through `3 * u`; `u` passed the first part on to `x` and was "
        "never visited again. [Chapter 3](course/03_order_and_forks.md) goes through it.",
        ("tests/test_func.py", "five_routes_to_the_hessian_agree"),
        "Graphs of gradients are full of forks, and five ways to the same Hessian have to agree. Where only leaves are forks, "
        "as in the bug before this one, nothing would show: leaves pass nothing on."),

    Bug("Gradients that stay from one backward() to the next",
        "Here inner tensors keep a gradient in `.grad`, as leaves do, and the next call adds to it. Leaves are meant to add up "
        "over calls; inner tensors are not.",
        "tinygrad_meta/autodiff.py grad",
        [("so_far = gradients.get(x)", "so_far = gradients.get(x, x.grad if x.op else None)"),
         ("contribution if so_far is None else so_far + contribution",
          "contribution if so_far is None else so_far + contribution\n                    if x.op:\n"
          "                        x.grad = gradients[x]")],
        """\
x = tg.tensor(3.0, requires_grad=True)
y = x * x * x
for call in (1, 2):
    y.backward()
    print("after call", call, x.grad.item())
""",
        "The first call is right, 27. The second should make it 54. But `x * x` starts with the 3 that the first call left "
        "there, receives another 3 and passes on twice as much: 9 + 36 = 45 is added instead of 27.",
        ("tests/test_autodiff.py", "requested_input_may_lie_on_the_way"),
        "It differentiates the same graph twice and has an inner tensor in it. With `x ** 3`, which is a single operation, "
        "there is nothing for the first call to leave behind."),

    Bug("A sign is wrong in one rule",
        "The derivative of the cosine is minus the sine.",
        "tinygrad_meta/ops.py cos",
        [("lambda g, out, x: -g * sin(x)", "lambda g, out, x: g * sin(x)")],
        """\
x = tg.tensor(1.0, requires_grad=True)
for _ in range(50):                  # down to the minimum at pi
    (g,) = tg.grad(tg.cos(x), x)
    x = tg.tensor(x.data - 0.5 * g.data, requires_grad=True)
print(f"{x:.3f}")
""",
        "Gradient descent climbs, to the maximum at 0. In a network with many other operations it would only train worse.",
        ("tests/test_operations.py", "test_first_derivative and cos"),
        "Finite differences know nothing about rules, and the test is made from the table of operations, so that no operation "
        "can be left out. `python -m tinygrad_meta check` does the same and prints a table."),

    Bug("A factor is wrong in one rule",
        "The rule of the square loses its 2, often because somebody had a loss with a factor of one half in mind.",
        "tinygrad_meta/ops.py square",
        [("lambda g, out, x: g * (x + x)", "lambda g, out, x: g * x")],
        """\
w = tg.tensor(0.0, requires_grad=True)
x = np.array([1.0, 2.0, 3.0])
for step in range(1, 21):            # learn that y = 3 x
    (g,) = tg.grad(tg.mean((w * x - 3 * x) ** 2), w)
    w = tg.tensor(w.data - 0.03 * g.data, requires_grad=True)
    if step in (1, 5, 20):
        print(f"step {step:2}: w = {w:.3f}")
""",
        "It still converges. A factor is hidden by the choice of the step size, and no training curve gives it away.",
        ("tests/test_operations.py", "test_first_derivative and square"),
        "It compares numbers. A test that the loss goes down, or that the gradient is not zero, passes."),

    Bug("A rule written in NumPy",
        "The factor 1 - tanh(x)^2 is computed from `out.data`. An array has no history, so it is a constant to whoever "
        "differentiates the gradient.",
        "tinygrad_meta/ops.py tanh",
        [("lambda g, out, x: g * (1 - square(out))", "lambda g, out, x: g * (1 - out.data**2)")],
        """\
x = tg.tensor(0.5, requires_grad=True)
y = x * tg.tanh(x)
(first,) = tg.grad(y, x, create_graph=True)
(second,) = tg.grad(first, x)
print(f"{first:.4f} {second:.4f}")
""",
        "The first derivative is right, so training works and every test of gradients passes. The second lacks a term. In MAML "
        "that is a part of the Hessian.",
        ("tests/test_operations.py", "test_second_derivative and tanh"),
        "Only a check of second derivatives can see it; the first-order test of the same row passes. "
        "[Chapter 6](course/06_backward_of_backward.md) has more."),

    Bug("Finite differences in float32",
        "A check is only as good as its quotient. Here the moved input is rounded to float32, and the step of 1e-6 is about "
        "ten times the distance between two such numbers near 1. The quotient is wrong in its second digit.",
        "tinygrad_meta/gradcheck.py outputs_at",
        [("Tensor(xs[i].data + step, xs[i].dtype,", "Tensor(xs[i].data + step, np.float32,")],
        """\
for f in (tg.sin, tg.exp, tg.tanh):
    try:
        print(f.__name__, tg.gradcheck(f, np.array([0.3, 0.7])))
    except tg.GradcheckError:
        print(f.__name__, "is blamed")
""",
        "Right rules are blamed. The usual reaction is to widen the tolerance until the blame stops, and then wrong rules pass "
        "too.",
        ("tests/test_gradcheck.py", "test_right_rules_pass"),
        "A checker needs tests of both kinds: wrong rules that it must catch, and right ones that it must let pass."),

    Bug("Softmax without subtracting the maximum",
        "exp(x) / sum(exp(x)) is unchanged if a number is subtracted from all `x`. Left out, the formula is still right, for "
        "real numbers.",
        "tinygrad_meta/ops.py log_softmax",
        [("shifted = x - finite_max(x, axis)", "shifted = x")],
        """\
np.seterr(all="ignore")
for scale in (1, 100, 1000):
    logits = tg.tensor([[2.0, 1.0, 0.0]], requires_grad=True)
    loss = tg.nn.cross_entropy(scale * logits, [1])
    (g,) = tg.grad(loss, logits)
    by_input = (g.data / scale).round(3).tolist()
    print(scale, round(loss.item(), 3), by_input)
""",
        "Nothing at first. When a network has become sure of itself, exp overflows: the loss is infinite, and the gradient no "
        "longer pushes the wrong class down. (NumPy warns of it; here it was told not to.)",
        ("tests/test_kinks_and_traps.py", "test_large_logits"),
        "It asks with logits of 10,000. Small random inputs, which most tests use, cannot tell the two formulas apart. "
        "`tg.detect_anomaly()` names the operation in which the infinity appears."),

    Bug("Parameters updated in place, through .data",
        "A graph holds the arrays that it was computed from, and its rules read them later. So `.data` is read-only here. This "
        "plants the opposite.",
        "tinygrad_meta/tensor.py Tensor.data",
        [("view.flags.writeable = False", "view.flags.writeable = True")],
        """\
theta = tg.tensor(2.0, requires_grad=True)
loss = theta ** 2
try:
    theta.data[...] -= 0.5           # a step downhill
except ValueError:
    print("refused: the array is read-only")
print("loss", loss.item(), "gradient", tg.grad(loss, theta)[0].item())
""",
        "With the bug, the loss is that at 2 and the gradient that at 1.5: each is right by itself, and they belong to "
        "different points. An inner step made in this way also leaves no trace in the graph, so that MAML could not "
        "differentiate through it.",
        ("tests/test_tensor.py", "read_only"),
        "It tries to write. No comparison of numbers helps, because code that does not write is right either way."),

    Bug("The inner gradient is detached",
        "In the inner step theta' = theta - alpha * gradient, the gradient is computed without `create_graph=True`. It is then "
        "a constant, and MAML has become its first-order variant.",
        "tinygrad_meta/meta/maml.py descend",
        [("create_graph=not first_order", "create_graph=False")],
        """\
def support_loss(theta, x, y):
    return theta ** 3

theta = tg.tensor(2.0, requires_grad=True)
task = (None, None)                  # this loss needs no points
adapted = tg.meta.adapt(support_loss, theta, task, step_size=0.1)
(g,) = tg.grad(adapted ** 2, theta)
print(f"adapted {adapted:.2f}, meta-gradient {g:.2f}")
""",
        "The adapted parameter is the same, and so are all losses. The meta-gradient is 2 theta' instead of 2 theta' (1 - 6 "
        "alpha theta), here even with the other sign. It trains, and nobody notices.",
        ("tests/test_maml.py", "equals_finite_differences"),
        "It compares with finite differences of the whole objective, inner step included, and its neighbour shows that the "
        "first-order variant fails the same comparison. A norm above zero proves nothing."),

    Bug("The adapted parameters are made from .data",
        "The step is right and its result is a new leaf: the habit of ordinary training, where the outcome of a step is not "
        "differentiated.",
        "tinygrad_meta/meta/maml.py descend",
        [("[p + move for p", "[Tensor(p.data + move.data, requires_grad=True) for p")],
        """\
def support_loss(theta, x, y):
    return theta ** 3

theta = tg.tensor(2.0, requires_grad=True)
adapted = tg.meta.adapt(support_loss, theta, (None, None), 0.1)
print(f"adapted {adapted:.2f}")
try:
    print(f"meta-gradient {tg.grad(adapted ** 2, theta)[0]:.2f}")
except ValueError as error:
    print(str(error)[:51])
""",
        "This engine refuses: nothing leads back to `theta`. An engine that returns zeros or `None` would hide it, and so "
        "would taking the gradient by the new leaves, which is first-order MAML again.",
        ("tests/test_maml.py", "equals_finite_differences"),
        "Whatever becomes of the connection, the meta-gradient must be the derivative of the meta-objective."),

    Bug("The query loss from before the adaptation",
        "The loss of line 8 is taken at theta instead of theta'. A variable has the wrong name, or the loss was computed once "
        "and used again.",
        "tinygrad_meta/meta/maml.py maml_loss",
        [("loss_fn(adapted, *batch.query)", "loss_fn(copies(params, tasks), *batch.query)")],
        """\
def loss_fn(params, x, y):
    return tg.nn.mse_loss(tg.nn.mlp(params, x), y)

params = tg.nn.init_mlp([1, 20, 1], rng=0)
batch = tg.tasks.SineTasks().sample(10, 5, 5, rng=0)
for alpha in (0.0, 0.01, 0.05):
    loss = tg.meta.maml_loss(loss_fn, params, batch, alpha)
    print(f"alpha {alpha}: {loss:.3f}")
""",
        "The inner step has no effect, which a glance at the loss for two step sizes shows. What is trained is an ordinary "
        "network on all tasks at once, and that is pre-training.",
        ("tests/test_maml.py", "equals_one_task_after_the_other"),
        "Two implementations, one over all tasks at once and one that follows the paper line by line, share no variable that "
        "could be confused."),

    Bug("The inner loss is averaged over the tasks too",
        "All tasks are adapted at once, by the gradient of one number. It must be the *sum* of the tasks' losses. The mean "
        "divides every task's inner step by the number of tasks.",
        "tinygrad_meta/meta/maml.py descend",
        [("grad(-alpha * sum(losses), theta,", "grad(-alpha * mean(losses), theta,")],
        """\
def loss_fn(theta, x, y):
    return tg.mean((theta - y) ** 2, axis=(-2, -1))

theta = tg.tensor([[0.0]], requires_grad=True)
for tasks in (1, 4, 16):
    y = np.full((tasks, 1, 1), 3.0)
    adapted = tg.meta.adapt(loss_fn, theta, (y, y), step_size=0.25)
    print(tasks, "tasks: theta' =", adapted.data.ravel()[0])
""",
        "What a task learns depends on how many others are in the batch. With one task it is right; with 25, alpha = 0.01 acts "
        "like 0.0004.",
        ("tests/test_maml.py", "equals_one_task_after_the_other"),
        "One task after the other cannot make this mistake. A loss function that averages over tasks is refused for the same "
        "reason."),

    Bug("The tasks share their adapted parameters",
        "Parameters are not copied per task before the inner step. The gradient of the summed loss is then the sum of all "
        "tasks' gradients, and all tasks take the same step.",
        "tinygrad_meta/meta/maml.py copies",
        [("broadcast_to(p, shape=(*tasks, *as_tensor(p).shape))", "as_tensor(p)")],
        """\
def loss_fn(slope, x, y):
    return tg.nn.mse_loss(slope * x, y)

slope = tg.tensor([[0.0]], requires_grad=True)
x = np.ones((2, 1, 1))               # two tasks, one point each:
y = np.array([[[3.0]], [[-3.0]]])    # slopes 3 and -3
adapted = tg.meta.adapt(loss_fn, slope, (x, y), step_size=0.5)
print(adapted.shape, adapted.data.ravel().tolist())
""",
        "Tasks that want opposite things cancel, and nothing is learned. With a state that is changed in place it is worse: "
        "the second task starts from what the first one left.",
        ("tests/test_maml.py", "adapt_takes_one_task_or_a_batch"),
        "It adapts to a batch, and to each task by itself, and the parameters must be the same."),

    Bug("The same points as support and query",
        "A slice is copied and not changed, so that a learner is judged on the points that it has just learned.",
        "tinygrad_meta/tasks/sine.py SineTasks.sample",
        [("(x[:, n_support:], y[:, n_support:])", "(x[:, :n_support], y[:, :n_support])")],
        """\
def loss_fn(params, x, y):
    return tg.nn.mse_loss(tg.nn.mlp(params, x, "tanh"), y)

params = tg.nn.init_mlp([1, 20, 1], rng=0)
batch = tg.tasks.SineTasks().sample(20, 5, 5, rng=0)
for steps in (0, 10, 100):
    loss = tg.meta.maml_loss(loss_fn, params, batch, 0.05, steps)
    print(f"{steps:3} steps: {loss:.2f}")
""",
        "An untrained network seems to be good at few-shot learning. Fitting five points is easy, and says nothing about the "
        "wave between them. If results are better than the paper's, look here first.",
        ("tests/test_sine_tasks.py", "independent"),
        "It looks at the data and not at the loss, which gets better."),
]


# ------------------------------------------------------------------------------------------------- planting and running

WORKER = """\
import sys
import pytest
import tinygrad_meta
print(tinygrad_meta.__file__)
exec(sys.stdin.read(), {})
sys.stdout.flush()
print("-- the check --")
sys.exit(pytest.main([*sys.argv[1:], "-q", "-x", "-p", "no:cacheprovider"]))
"""


class Outcome(NamedTuple):
    output: str  # of the program
    code: int  # of pytest: 0 if all tests passed, 1 if one failed, 5 if there was none
    report: str  # of pytest


def copy_of_the_package(folder):
    for name in ("tinygrad_meta", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "benchmarks"))
    shutil.copy(ROOT / "setup.cfg", folder)


def plant(bug, folder):
    path = folder / bug.file
    source = path.read_text(encoding="utf-8")
    for old, new in bug.changes:
        if source.count(old) != 1:
            raise ValueError(f"{bug.title}: {bug.file} has {source.count(old)} places with {old!r}, and should have one")
        source = source.replace(old, new)
    path.write_text(source, encoding="utf-8")


def run_copy(folder, program, *tests):
    """A program and some tests, in a process that imports the package from ``folder``."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", WORKER, *tests], input=program, cwd=folder, env=environment, text=True,
                          capture_output=True, timeout=600)
    origin, _, output = done.stdout.partition("\n")
    output, _, report = output.partition("-- the check --\n")
    if not origin.startswith(str(folder)):
        raise RuntimeError(f"the copy did not start, or {origin!r} was imported instead: {done.stderr}")
    return Outcome(output, done.returncode, report + done.stderr)


@cache
def broken(bug_number):
    """What the program prints, and what becomes of the check, in a copy with the bug."""
    bug = BUGS[bug_number]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        copy_of_the_package(folder)
        plant(bug, folder)
        return run_copy(folder, SETUP + bug.program, bug.check[0], "-k", bug.check[1])


def healthy(bug):
    """What the program prints here, without the bug."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), np.errstate():
        exec(SETUP + bug.program, {})
    return printed.getvalue()


def all_checks():
    """The checks of all bugs, in a copy without any."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        copy_of_the_package(folder)
        files = sorted({bug.check[0] for bug in BUGS})
        return run_copy(folder, "", *files, "-k", " or ".join([f"({bug.check[1]})" for bug in BUGS]))


# -------------------------------------------------------------------------------------------------------- the page

INTRODUCTION = f"""\
# A gallery of bugs

Mistakes that people make in backpropagation and in MAML. Most of them raise no error. Each was planted into a copy
of this package by changing the lines shown. A short program was then run without the bug and with it, and the test that is named
was run on both: it passes on the one and fails on the other. `tests/bugs.py` holds the list, `python -m tests.bugs` wrote this
page, and `tests/test_bugs.py` keeps it true.

To try one, change the line in your checkout, run the program and the command, and change it back. The programs begin with

```python
{SETUP}```

"""


def page():
    listed = [f"{i}. [{bug.title}](#{anchor(bug)})\n" for i, bug in enumerate(BUGS, 1)]
    return "\n".join([INTRODUCTION + "".join(listed), *[entry(i, bug) for i, bug in enumerate(BUGS)]])


def anchor(bug):
    """The identifier that MyST gives to a heading."""
    kept = "".join([a for a in bug.title.lower() if a.isalnum() or a in " -_"])
    return kept.replace(" ", "-")


def entry(number, bug):
    file, function = bug.where.split()
    tests, name = bug.check
    name = f'"{name}"' if " " in name else name
    changes = [marked("-", old) + marked("+", new) for old, new in map(without_what_is_equal, bug.changes)]
    return f"""\
## {bug.title}

{bug.what} In `{file}`, `{function}`:

```diff
{"".join(changes)}```

```python
{bug.program}```

Without the bug, this prints

```text
{healthy(bug)}```

and with it

```text
{broken(number).output}```

{bug.seen}

**Caught by**

```sh
python -m pytest {tests} \\
    -k {name}
```

{bug.why}
"""


def without_what_is_equal(change):
    """Lines that are only added need not be shown with the one before or after which they come."""
    old, new = change
    if new.endswith(old):
        return "", new.removesuffix(old).rstrip("\n") + "\n"
    if new.startswith(old):
        return "", new.removeprefix(old).lstrip("\n")
    return change


def marked(mark, code):
    lines = code.splitlines()
    margin = min([len(line) - len(line.lstrip()) for line in lines if line], default=0)
    return "".join([f"{mark} {line[margin:]}".rstrip() + "\n" for line in lines])


def main():
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
