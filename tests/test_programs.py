"""Random programs, each held against everything that is known about it: finite differences, PyTorch, itself.

``HYPOTHESIS_PROFILE=nightly`` tries 20,000 programs instead of a few hundred.
"""

import inspect
import os
import re
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from operation_table import TABLE, torch
from random_programs import DRAWN, LAYOUT_NAMES, Input, Line, Program, programs, torch_names

import tinygrad_meta as tg
from tinygrad_meta import autodiff
from tinygrad_meta.graph import simplify as simplify_module
from tinygrad_meta.graph.simplify import Rewrite
from tinygrad_meta.ops import OPERATIONS

settings.register_profile("ci", max_examples=200, derandomize=True, deadline=None, database=None,
                          suppress_health_check=list(HealthCheck))
settings.register_profile("nightly", settings.get_profile("ci"), max_examples=20_000)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# ------------------------------------------------- what is compared: the functions here are also part of what a failure prints


def tensors(arrays):
    """Leaves whose memory is laid out like the arrays, which ``tg.tensor`` would tidy up."""
    made = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    for t, x in zip(made, arrays, strict=True):
        t._data = x
    return made


def directions(arrays):
    """For each array of floating-point numbers where to go, which is also what to weight its gradient with."""
    rng = np.random.default_rng(0)
    return [np.asarray(rng.standard_normal(x.shape) / 2, x.dtype) for x in arrays if x.dtype.kind == "f"]


def derivatives(f, xs, vs=None, grad=tg.grad):
    """The value, the gradients, and the Hessian times directions ``vs``; of our tensors, or of PyTorch's with its ``grad``."""
    leaves = [x for x in xs if x.requires_grad]
    out = f(*xs)
    first = gradients(grad, [out], leaves, create_graph=vs is not None)
    if vs is None:
        return [out, *first]
    return [out, *first, *gradients(grad, [(g * v).sum() for g, v in zip(first, vs, strict=True)], leaves)]


def gradients(grad, outputs, leaves, **options):
    """With 0 where nothing depends on an input."""
    outputs = [out for out in outputs if out.requires_grad]
    found = grad(outputs, leaves, allow_unused=True, **options) if outputs else [None for _ in leaves]
    return [x.detach() * 0 if g is None else g for g, x in zip(found, leaves, strict=True)]


def along(gradients, arrays):
    """The derivative in the fixed direction."""
    return sum([np.sum(g.data * v) for g, v in zip(gradients, directions(arrays), strict=True)])


def slope_and_curvature(f, arrays):
    """First and second derivative in the fixed direction, by the rules."""
    _, *both = derivatives(f, tensors(arrays), directions(arrays))
    return np.array([along(each, arrays) for each in (both[: len(both) // 2], both[len(both) // 2 :])])


def difference_quotients(f, arrays, h=1e-4):
    """The same by central differences, of the value and of the slope; and by how much they may be wrong.

    Two step sizes are extrapolated (Richardson).  In doubt are what that changes, the difference of the slopes to the left and
    to the right, in the limit (at a kink), and rounding.
    """

    def at(step):
        vs = iter(directions(arrays))
        value, *first = derivatives(f, tensors([x + step * next(vs) if x.dtype.kind == "f" else x for x in arrays]))
        return np.array([value.item(), along(first, arrays)])

    further_left, left, here, right, further_right = [at(k * h) for k in (-2, -1, 0, 1, 2)]
    near, far = (right - left) / (2 * h), (further_right - further_left) / (4 * h)
    kink = 2 * (right - 2 * here + left) / h - (further_right - 2 * here + further_left) / (2 * h)
    return (4 * near - far) / 3, np.abs(near - far) + np.abs(kink) + 1e-14 * (1 + np.abs(here)) / h


HELPERS = [tensors, directions, derivatives, gradients, along, slope_and_curvature, difference_quotients]

# ---------------------------------------------------------------------------------------------------------------- the checks


class Disagreement(AssertionError):
    """Two ways to compute the same that differ.  The message is code that shows it."""

    def __init__(self, program, *definitions, **ways):
        """``ways``: what they are, each with the expression that computes it."""
        definitions = [*definitions, *[inspect.getsource(each) for each in HELPERS]]
        shown = [f"print({name!r}, *{expression}, sep='\\n')" for name, expression in ways.items()]
        super().__init__("\n\n".join(["", str(program), *definitions, "\n".join(shown)]))
        self.program = program


OURS = "derivatives(program, tensors(arrays), directions(arrays))"


class Check:
    """What a program is held against: a method each.  ``skipped`` are comparisons that mean nothing for this program."""

    def __init__(self, program):
        self.as_drawn, self.program, self.skipped = program, program.with_dtype("float64"), []
        self.f, self.arrays = self.program.function(), self.program.arrays()
        self.vs = directions(self.arrays)
        self.ours = derivatives(self.f, tensors(self.arrays), self.vs)
        self.tolerance = 1e-10 * max([1, *[np.abs(t.data).max(initial=0) for t in self.ours]])

    def compare(self, theirs, *definitions, **ways):
        for x, y in zip(self.ours, theirs, strict=True):
            if x.shape != y.shape or x.dtype != y.dtype or not np.allclose(y, x.data, rtol=1e-8, atol=self.tolerance):
                raise Disagreement(self.program, *definitions, ours=OURS, **ways)

    def differences(self):
        n = len(self.vs)
        rules = [along(self.ours[1 : 1 + n], self.arrays), along(self.ours[1 + n :], self.arrays)]
        quotients, doubt = difference_quotients(self.f, self.arrays)
        for order, (rule, quotient, error) in enumerate(zip(rules, quotients, doubt, strict=True), start=1):
            if error > 1e-4 * (1 + abs(quotient)):
                self.skipped.append(f"differences of order {order}")
            elif not abs(rule - quotient) <= 1e-8 * (1 + abs(quotient)) + error:
                raise Disagreement(self.program, rules="slope_and_curvature(program, arrays)",
                                   differences="difference_quotients(program, arrays)[0]")

    def pytorch(self):
        xs = [torch.tensor(x.copy(), requires_grad=x.dtype.kind == "f") for x in self.arrays]
        out = derivatives(self.program.function(**torch_names()), xs, [torch.tensor(v) for v in self.vs], torch.autograd.grad)
        theirs = [t.detach().clone().numpy() for t in out]  # clone() turns a zero that exists in name only into numbers
        self.compare(theirs, pytorch=[t.tolist() for t in theirs])

    def compiled(self):
        theirs = tg.compile(lambda *xs: derivatives(self.f, xs, self.vs))(*tensors(self.arrays))
        self.compare([t.data for t in theirs], compiled="tg.compile(lambda *xs: derivatives(program, xs, directions(arrays)))"
                                                        "(*tensors(arrays))")

    def permuted(self):
        """Inputs in another order and memory layout, operands swapped where that makes no difference."""
        other, n = self.program.permuted(), len(self.vs)
        value, *both = derivatives(other.function(), tensors(other.arrays()), self.vs[::-1])
        inputs = f"tensors([{', '.join(map(str, other.inputs))}])"
        self.compare([t.data for t in [value, *both[:n][::-1], *both[n:][::-1]]], other.body("permuted") + "\n",
                     permuted_with_derivatives_from_last_to_first=f"derivatives(permuted, {inputs}, directions(arrays)[::-1])")

    def single_precision(self):
        """Types and shapes, always; value and slope, as closely as rounding permits."""
        allowed = rounding(self.f, self.arrays, self.vs)
        if max(allowed) > 1e-2:
            self.skipped.append("single precision")
        for program in [p for p in (self.as_drawn, self.program.with_dtype("float32")) if p != self.program]:
            arrays = program.arrays()
            value, *first = derivatives(self.f, tensors(arrays))
            inputs = f"[{', '.join(map(str, program.inputs))}]"
            types = [(g.shape, g.dtype) for g in first]
            narrow = all([x.dtype == np.float32 for x in arrays if x.dtype.kind == "f"])
            if types != [(x.shape, x.dtype) for x in arrays if x.dtype.kind == "f"] or narrow and value.dtype != np.float32:
                raise Disagreement(program, types="derivatives(program, tensors(arrays))")
            errors = [value.item() - self.ours[0].item(),
                      along(first, arrays) - along(self.ours[1 : 1 + len(self.vs)], self.arrays)]
            if max(allowed) <= 1e-2 and not np.all(np.abs(errors) <= allowed):
                raise Disagreement(self.program, double=OURS, single=f"derivatives(program, tensors({inputs}))")


def rounding(f, arrays, vs):
    """By how much value and slope may differ in float32: what it changes to round each result on the way, and ample room."""
    xs = tensors(arrays)
    leaves = [x for x in xs if x.requires_grad]
    value = f(*xs)
    slope = sum([(g * v).sum() for g, v in zip(gradients(tg.grad, [value], leaves, create_graph=True), vs, strict=True)])
    changes = []
    for out in (value, slope):
        path, _ = autodiff.between([out], leaves)
        changes.append(sum([np.abs(g.data * t.data).sum() for g, t in zip(gradients(tg.grad, [out], path), path, strict=True)]))
    return ROOM * np.finfo(np.float32).eps * (1 + np.array(changes))


ROOM = 16


CHECKS = ["differences", *["pytorch"] * bool(torch), "compiled", "permuted", "single_precision"]


def check(program, names=CHECKS):
    """Hold a program against everything.  Returns what was skipped."""
    try:
        checks = Check(program)
        for name in names:
            getattr(checks, name)()
    except Disagreement:
        raise
    except Exception as error:
        raise Disagreement(program, ours=OURS) from error
    return checks.skipped


# ----------------------------------------------------------------------------------------------------------------- the tests

NOT_DRAWN = {  # and why
    "cast": "it changes the dtype; programs with inputs of both dtypes have it in their gradients",
    "constant_in": "only func.py uses it, and its first input is all there is to see",
    "contract": "einsum makes it",
    "convolve": "test_convolution.py holds it to windows and a product, and windows are drawn",
    "convolve_nt": "the same",
    "convolve_tn": "the same",
}


def test_every_operation_with_a_derivative_is_drawn():
    assert {*OPERATIONS, *[row.name for row in TABLE]} - {*DRAWN} == {*NOT_DRAWN}


def test_programs_are_of_all_kinds():
    lengths, operations, shapes, layouts, dtypes = (Counter() for _ in range(5))

    @settings(PROFILE, max_examples=300, phases=[Phase.generate])
    @given(programs())
    def look_at(program):
        lengths.update([len(program.lines)])
        operations.update(program.operations)
        for x in program.inputs:
            shapes.update([x.shape, "stretched" if x.shape != x.drawn else "whole", "empty" if 0 in x.shape else "filled"])
            layouts.update([x.layout])
            dtypes.update([x.dtype])

    look_at()
    assert {*operations} == {*DRAWN}
    assert min(lengths) == 1 and max(lengths) >= 30 and len(lengths) > 20
    assert {(), "stretched", "empty"} < {*shapes}
    assert {*layouts} == {*LAYOUT_NAMES}
    assert {*dtypes} == {"float32", "float64", "bool", "int64"}


@PROFILE
@given(programs())
def test_a_random_program_agrees_with_everything(program):
    check(program)


# What is planted, and the check that has to find it alone.


def rule(name, position, wrong):
    rules = list(OPERATIONS[name].rules)
    rules[position] = wrong
    return lambda monkeypatch: monkeypatch.setattr(OPERATIONS[name], "rules", rules)


def function(name, wrong):
    return lambda monkeypatch: monkeypatch.setattr(tg, name, wrong)


def constant(x):
    return tg.tensor(x.numpy())


def first_entries(x, shape):
    """What sum_to must not be."""
    return tg.reshape(tg.reshape(x, -1)[: int(np.prod(shape))], shape)


def sign_in_memory_order(x):
    return tg.tensor(np.sign(x.numpy().ravel(order="K").reshape(x.shape)))


def coarse(x):
    return tg.astype(tg.astype(sin(x), "float16"), x.dtype) if x.dtype == np.float32 else sin(x)


def wrong_rewrite(monkeypatch):
    to_sine = Rewrite(["tanh"], "tanh(x) = sin(x)", lambda node, graph: graph("sin", *node.inputs), None, ())
    monkeypatch.setattr(simplify_module, "SAFE", [to_sine])


tanh_rule, divide_rule, multiply_rule = [OPERATIONS[name].rules[-1] for name in ("tanh", "divide", "multiply")]
sin = tg.sin

FAULTS = {
    "scaled by 1.0001": ("differences", rule("tanh", 0, lambda g, out, x: 1.0001 * tanh_rule(g, out, x))),
    "a sign dropped": ("differences", rule("divide", 1, lambda g, out, x, y: -divide_rule(g, out, x, y))),
    "a sum left out": ("differences", rule("log_softmax", 0, lambda g, out, x, axis=-1: g - tg.exp(out) * g)),
    "g detached": ("differences", rule("square", 0, lambda g, out, x: constant(g) * (x + x))),
    "input detached": ("differences", rule("square", 0, lambda g, out, x: g * constant(x + x))),
    "inputs swapped": ("differences", rule("multiply", 1, lambda g, out, x, y: g * y)),
    "no unbroadcasting": ("differences", lambda monkeypatch: monkeypatch.setattr(autodiff, "sum_to", lambda x, shape: x)),
    "some entries for their sum": ("differences", lambda monkeypatch: monkeypatch.setattr(autodiff, "sum_to", first_entries)),
    "another function": ("pytorch", function("sin", lambda x: sin(1.0001 * x))),
    "a wrong rewrite": ("compiled", wrong_rewrite),
    "read in memory order": ("permuted", function("sign", sign_in_memory_order)),
    "one operand's rule": ("permuted", rule("multiply", 1, lambda g, out, x, y: 1.0001 * multiply_rule(g, out, x, y))),
    "widened": ("single_precision", function("sin", lambda x: sin(x) + np.zeros(()))),
    "narrowed on the way": ("single_precision", function("sin", coarse)),
}
if not torch:
    del FAULTS["another function"]


def find(name, programs_tried=3000):
    """The first disagreement that one check finds."""

    @settings(PROFILE, max_examples=programs_tried, phases=[Phase.generate], report_multiple_bugs=False)
    @given(programs())
    def hold(program):
        check(program, [name])

    with pytest.raises(Disagreement) as found:
        hold()
    return found.value


@pytest.mark.parametrize("name, plant", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found_and_the_printed_code_shows_it(monkeypatch, capsys, name, plant):
    plant(monkeypatch)
    disagreement = find(name)
    capsys.readouterr()
    program = disagreement.program
    f, arrays = program.function(), program.arrays()
    try:
        ours = slope_and_curvature(f, arrays) if name == "differences" else derivatives(f, tensors(arrays))
    except (RuntimeError, ValueError) as error:  # a rule that fails, or what undoes broadcasting
        with pytest.raises(type(error), match=re.escape(str(error))):
            exec(str(disagreement), {})
    else:
        exec(str(disagreement), {})
        printed = capsys.readouterr().out.splitlines()
        assert printed[1] == str(ours[0])
        if name == "differences":
            assert printed[1:3] == [str(x) for x in ours] != printed[4:6]


def test_a_kink_is_noticed():
    line = Line("v0", "abs", ("x0",), {})
    program = Program((Input("x0", [0.0], (1,), (1,), "float64"),), (line,), ("v0",))
    assert check(program) == ["differences of order 1", "differences of order 2"]


@settings(PROFILE, max_examples=30)
@given(programs())
def test_the_printed_code_is_the_program(program):
    scope = {}
    exec(str(program), scope)
    for x, y in zip(program.arrays(), scope["arrays"], strict=True):
        assert (x.dtype, x.shape, x.strides, x.tobytes()) == (y.dtype, y.shape, y.strides, y.tobytes())
    assert scope["program"](*scope["arrays"]).data.tobytes() == program.function()(*program.arrays()).data.tobytes()


# -------------------------------------------------------------------------------------------------------------- large counts


def batch(number, size=500):
    """Some of the nightly programs, from a seed of their own: how many, what was skipped, and what is wrong with one."""
    tried, skipped = 0, Counter()

    def tally(program):
        nonlocal tried
        tried += 1
        skipped.update(check(program))

    profile = settings(PROFILE, max_examples=size, derandomize=False, report_multiple_bugs=False)
    try:
        seed(number)(profile(given(programs())(tally)))()
    except Disagreement as disagreement:
        return tried, skipped, str(disagreement)
    return tried, skipped, None


def count(quick):
    """The nightly programs, or a tenth of them: what, how often, how often wrong."""
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
    from multiprocessing import get_context

    from tqdm import tqdm

    tried, skipped, wrong = 0, Counter(), 0
    for number in tqdm(range(4 if quick else 40), "batches of 500 random programs", file=sys.stderr):
        with ProcessPoolExecutor(1, get_context("fork")) as process:  # of its own, which a peer may crash
            try:
                more, without, disagreement = process.submit(batch, number).result()
            except BrokenExecutor:
                more, without, disagreement = 0, {}, "the process ended"
        tried += more
        skipped.update(without)
        if disagreement:
            wrong += 1
            print(f"batch {number}: this program is wrong\n{disagreement}", file=sys.stderr)
    return [("random programs", tried, wrong),
            *[(f"programs without a comparison of {what}", n, int(n > 0.05 * tried)) for what, n in sorted(skipped.items())]]
