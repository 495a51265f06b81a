"""Simplifying: every rewrite and every pass makes the graph smaller, and leaves its value and its derivatives alone."""

from copy import copy

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from random_graphs import functions, replay

import tinygrad_meta as tg
from tinygrad_meta import ops
from tinygrad_meta.graph import simplify as simplify_module
from tinygrad_meta.graph.record import record
from tinygrad_meta.graph.simplify import JOINING, REORDERING, SAFE, Graph, Rewrite, order, rewritten, simplify


def graph_of(f, arrays):
    inputs, outputs, *_ = record(f, arrays, {})
    return inputs, outputs


def kinds(outputs):
    """The operations that are left, in alphabetical order."""
    return " ".join(sorted([node.kind for node in order(outputs) if node.op]))


def kinds_of(f, *shapes):
    return kinds(simplify(graph_of(f, numbers(shapes))[1]))


def numbers(shapes, dtype=np.float64):
    """Arrays of numbers of both signs, none close to 0, where relu has its kink."""
    rng = np.random.default_rng(3)
    return [np.asarray(rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape), dtype) for shape in shapes]


def assert_same_function(inputs, outputs, simplified, arrays):
    """Equal values, and equal gradients of them all by all inputs."""
    before, after = (results_and_gradients(inputs, each, arrays) for each in (outputs, simplified))
    for x, y in zip(before, after, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(y.data, x.data, rtol=1e-9, atol=1e-9)


def results_and_gradients(inputs, outputs, arrays):
    xs = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    out = replay(inputs, outputs, xs)
    real, floats = [t for t in out if t.requires_grad], [x for x in xs if x.requires_grad]
    gradients = tg.grad([tg.sum(t * (1 + i)) for i, t in enumerate(real)], floats, allow_unused=True) if real else []
    return [*out, *[tg.tensor(np.zeros(x.shape)) if g is None else g for g, x in zip(gradients, floats, strict=False)]]


# ---------------------------------------------------------------------------------------------------------- rewrites


def spy_on(rewrite):
    """The same rewrite, and a list of what it replaced."""
    spy, replaced = copy(rewrite), []

    def replace(node, graph):
        replacement = rewrite.replace(node, graph)
        if replacement is not None:
            replaced.append(node)
        return replacement

    spy.replace = replace
    return spy, replaced


every_rewrite = pytest.mark.parametrize("rewrite", SAFE + JOINING + REORDERING, ids=lambda rewrite: rewrite.pattern)


@every_rewrite
def test_a_rewrite_applies_to_its_case_and_keeps_value_and_derivatives(rewrite):
    spy, replaced = spy_on(rewrite)
    arrays = numbers(rewrite.shapes)
    inputs, outputs = graph_of(rewrite.case, arrays)
    simplified = rewritten(outputs, [spy])
    assert replaced
    assert_same_function(inputs, outputs, simplified, arrays)
    assert tg.gradcheck(lambda *xs: replay(inputs, simplified, xs)[0], arrays)


@every_rewrite
def test_a_rewrite_keeps_float32(rewrite):
    arrays = numbers(rewrite.shapes, np.float32)
    _, outputs = graph_of(rewrite.case, arrays)
    for node in order(rewritten(outputs, [rewrite])):
        assert node.dtype == np.float32


@every_rewrite
def test_a_rewrite_is_at_peace_with_all_others(rewrite):
    """All of them together come to an end, and keep the value."""
    arrays = numbers(rewrite.shapes)
    inputs, outputs = graph_of(lambda *xs: rewrite.case(*[tg.sin(x) for x in xs]), arrays)
    assert_same_function(inputs, outputs, rewritten(outputs, SAFE + JOINING + REORDERING), arrays)


A, B, C = (3,), (3,), (2, 3)  # shapes

BECOMES = [  # what is written, shapes of the inputs, and which operations are left
    ("1 * x", lambda x: 1 * x, [A], ""),
    ("x / 1", lambda x: x / 1, [A], ""),
    ("x ** 1", lambda x: x**1, [A], ""),
    ("0 + x", lambda x: 0 + x, [A], ""),
    ("x * ones", lambda x: x * np.ones(3), [A], ""),
    ("x + zeros of a larger shape", lambda x: x + np.zeros((2, 3)), [A], "broadcast_to"),
    ("-(-x)", lambda x: -(-x), [A], ""),
    ("-(-(-x))", lambda x: -(-(-x)), [A], "negative"),
    ("x - (-y)", lambda x, y: x - (-y), [A, B], "add"),
    ("(-y) + x", lambda x, y: (-y) + x, [A, B], "subtract"),
    ("-x - y", lambda x, y: -x - y, [A, B], "negative subtract"),
    ("-x - y, and -x", lambda x, y: [negative := -x, negative - y], [A, B], "negative subtract"),
    ("y - (-x) * z", lambda x, y: y - (-x) * y, [A, B], "add multiply"),
    ("a product of negatives", lambda x, y: (-x) * (-y) + x, [A, B], "add multiply"),
    ("the square of a negative", lambda x: (-x) * (-x), [A], "multiply"),
    ("signs of large factors", lambda x, y: tg.exp((-x) @ y), [(2, 9), (9, 2)], "exp negative product"),
    ("signs that meet", lambda x, y, z: z - ((-x) @ y + z * ((-x) @ y)), [(2, 9), (9, 2), (2, 2)], "add add multiply product"),
    ("2 * x * 3 / 1 * 4", lambda x: 2 * x * 3 / 1 * 4, [A], "multiply"),
    ("-(2 * x)", lambda x: -(2 * x), [A], "multiply"),
    ("x.T.T", lambda x: x.T.T, [C], ""),
    ("a cycle of three axes, three times", lambda x: cycle(cycle(cycle(x))), [(2, 3, 4)], ""),
    ("two permutations", lambda x: tg.permute_dims(cycle(x), (0, 2, 1)), [(2, 3, 4)], "permute_dims"),
    ("reshaped there and back", lambda x: x.reshape(3, 2).reshape(2, 3), [C], ""),
    ("stretched twice", lambda x: ops.broadcast_to(ops.broadcast_to(x, (1, 3)), (2, 3)), [A], "broadcast_to"),
    ("a sum of what was stretched", lambda x: tg.sum(ops.broadcast_to(x, (5, 3))), [A], "multiply sum"),
    ("a column times a row", lambda x, y: x @ y, [(3, 1), (1, 4)], "multiply"),
    ("a shared matrix", lambda x, w: x @ w, [(5, 3, 4), (4, 2)], "product reshape reshape"),
]


def cycle(x):
    return tg.permute_dims(x, (1, 2, 0))


@pytest.mark.parametrize("f, shapes, left", [row[1:] for row in BECOMES], ids=[row[0] for row in BECOMES])
def test_what_becomes_of(f, shapes, left):
    arrays = numbers(shapes)
    inputs, outputs = graph_of(f, arrays)
    simplified = simplify(outputs)
    assert kinds(simplified) == left
    assert_same_function(inputs, outputs, simplified, arrays)


LOOKS_ALIKE = [  # what no rewrite may touch: its operations are all left
    ("x * 2", lambda x: x * 2, [A]),
    ("x * 0, which is nan where x is", lambda x: x * 0, [A]),
    ("1 / x", lambda x: 1 / x, [A]),
    ("1 ** x", lambda x: 1**x, [A]),
    ("0 - x", lambda x: 0 - x, [A]),
    ("x - y", lambda x, y: x - y, [A, B]),
    ("x + 2 + y * 3", lambda x, y: x + 2 + y * 3, [A, B]),
    ("sum(x * y)", lambda x, y: tg.sum(x * y), [A, B]),
    ("sum(x) * y", lambda x, y: tg.sum(x) * y, [A, B]),
    ("rows, then columns", lambda x: tg.sum(tg.exp(tg.sum(x, axis=0))), [C]),
    ("another cycle of axes", lambda x: cycle(cycle(x)) + 1, [(2, 3, 4)]),
    ("a product with inner dimension 2", lambda x, y: x @ y, [(3, 2), (2, 4)]),
    ("a sum over rows that has as many entries as one over batches", lambda x, y: ops.sum_to(ops.product_tn(x, y), (2, 1, 3)),
     [(2, 4, 2), (2, 4, 3)]),
    ("a product for each that is needed, and its sum",
     lambda x, y: [product := ops.product_tn(x, y), ops.sum_to(product, (2, 3))], [(5, 4, 2), (5, 4, 3)]),
    ("a product with a stretched row", lambda x, y: x @ ops.broadcast_to(y, (5, 5)), [(2, 3, 5), (1, 5)]),
    ("a matrix for each", lambda x, y: x @ y, [(5, 3, 4), (5, 4, 2)]),
    ("whole numbers times 1.5", lambda x: tg.greater(x, 1) * 2.5 * 1.5, [A]),
]


@pytest.mark.parametrize("f, shapes", [row[1:] for row in LOOKS_ALIKE], ids=[row[0] for row in LOOKS_ALIKE])
def test_what_looks_alike_is_left_alone(f, shapes):
    arrays = numbers(shapes)
    inputs, outputs = graph_of(f, arrays)
    simplified = simplify(outputs)
    assert_same_function(inputs, outputs, simplified, arrays)
    if "cycle" not in f.__code__.co_names:
        assert kinds(simplified) == kinds(outputs)


OF_OTHER_TYPES = {  # name -> function of integers, booleans, or float32 and float64, to which a rewrite must not be tempted
    "int * 2.5 * 1.5": (lambda x: x * 2.5 * 1.5, [np.array([1, 2])]),
    "int / 1": (lambda x: x / 1, [np.array([1, 2])]),
    "int * 1.0": (lambda x: x * 1.0, [np.array([1, 2])]),
    "int + 0.0": (lambda x: x + 0.0, [np.array([1, 2])]),
    "-(int * 2.5)": (lambda x: -(x * 2.5), [np.array([1, 2])]),
    "sum(int * 2.5)": (lambda x: tg.sum(x * 2.5), [np.array([1, 2])]),
    "int8 * 100 * 100": (lambda x: x * 100 * 100, [np.array([1, 2], np.int8)]),
    "sum(int8 * 100)": (lambda x: tg.sum(x * 100), [np.array([1, 2], np.int8)]),
    "-(uint8 * 3)": (lambda x: -(x * 3), [np.array([1, 2], np.uint8)]),
    "bool + bool": (lambda x: x + x, [np.array([True, False])]),
    "sum of stretched bool": (lambda x: tg.sum_to(ops.broadcast_to(x, (3, 2)), (2,)), [np.array([True, False])]),
    "float32 * float64": (lambda x: x * tg.tensor(3.0) * tg.tensor(5.0), [np.ones(2, np.float32)]),
    "(float32 @ float64) * 3": (lambda x, y: (x @ y) * 3, [np.ones((9, 2), np.float32), np.ones((2, 9))]),
    "(int @ float) * 2.5": (lambda x, y: (x @ y) * 2.5, [np.ones((9, 2), int), np.ones((2, 9))]),
    "(float @ int) * 2.5": (lambda x, y: (x @ y) * 2.5, [np.ones((9, 2)), np.ones((2, 9), int)]),
    "float + (-int) * float": (lambda x, y, z: x + (-y) * z, [np.ones(3), np.array([1, 0, 3], np.uint8), np.array([1.0, 2, 3])]),
    "-(-int @ float) - float": (lambda x, y: -((-x) @ y) - (-x) @ y, [np.ones((9, 2), np.uint8), np.ones((2, 9))]),
    "-(int @ float)": (lambda x, y: -(x @ y), [np.ones((9, 2), np.uint8), np.ones((2, 9))]),
    "sum(int * inf)": (lambda x: tg.sum(x * np.inf), [np.array([1, 2])]),
    "-(int * nan)": (lambda x: -(x * np.nan), [np.array([1, 2])]),
    "float32 column @ float64 row": (lambda x, y: x @ y, [np.ones((3, 1), np.float32), np.ones((1, 3))]),
}


@pytest.mark.parametrize("f, arrays", OF_OTHER_TYPES.values(), ids=OF_OTHER_TYPES)
def test_values_and_types_of_what_is_not_of_one_floating_type(f, arrays):
    inputs, outputs = graph_of(f, arrays)
    expected = f(*[tg.tensor(x) for x in arrays])
    (actual,) = replay(inputs, simplify(outputs), [tg.tensor(x) for x in arrays])
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(actual.data, expected.data)


def test_a_count_that_does_not_fit_into_half_precision_is_no_factor():
    x = np.full((), 0.001, np.float16)
    for f in (lambda x: tg.sum(ops.broadcast_to(x, (70000,))), lambda x: ops.sum_to(ops.broadcast_to(x, (70000,)), ())):
        inputs, outputs = graph_of(f, [x])
        (actual,) = replay(inputs, simplify(outputs), [tg.tensor(x)])
        assert actual.item() == pytest.approx(70, rel=1e-3)


NOT_FINITE = {  # applied elsewhere, such a factor would meet other numbers, or none at all
    "sum(x * inf) of nothing": (lambda x: tg.sum(x * np.inf), [np.zeros(0)]),
    "the sum of means of nothing": (lambda x: tg.sum(tg.mean(x, axis=1)), [np.zeros((0, 3))]),
    "(x @ y) * inf": (lambda x, y: (x @ y) * np.inf, [np.array([[1.0, -1]] * 3), np.array([[2.0, 2, 3], [1, 1, 1]])]),
    "(x * inf) @ y": (lambda x, y: (x * np.inf) @ y, [np.array([[1.0, 2]] * 3), np.array([[2.0], [1]])]),
    "-(x * nan)": (lambda x: -(x * np.nan), [np.ones(2)]),
    "x * 2 * inf": (lambda x: x * 2 * np.inf, [np.array([1.0, -1])]),
}


@pytest.mark.parametrize("f, arrays", NOT_FINITE.values(), ids=NOT_FINITE)
def test_factors_that_are_not_finite_stay_where_they_are(f, arrays):
    inputs, outputs = graph_of(f, arrays)
    (actual,) = replay(inputs, simplify(outputs), [tg.tensor(x) for x in arrays])
    np.testing.assert_array_equal(actual.data, f(*[tg.tensor(x) for x in arrays]).data)
    assert kinds(simplify(outputs)) == kinds(outputs)


NUMBER = np.array([[3.0]])  # one number, and yet of a shape that adds axes

WIDENED = {
    "x * c": lambda x: x * (NUMBER / 3),
    "x + c": lambda x: x + (NUMBER - 3),
    "x ** c": lambda x: x ** tg.tensor(NUMBER / 3),
    "x * c * c": lambda x: x * 2 * NUMBER * 2,
    "-(x * c)": lambda x: -(x * NUMBER),
    "-x * c": lambda x: (-x) * NUMBER,
    "sum(x * c)": lambda x: tg.sum(x * NUMBER, axis=0),
    "sum_to(x * c)": lambda x: ops.sum_to(x * NUMBER, (3,)),
    "(x @ y) * c": lambda x: (x.reshape(3, 1) @ x.reshape(1, 3)) * NUMBER[None],
}


@pytest.mark.parametrize("f", WIDENED.values(), ids=WIDENED)
def test_a_constant_with_one_entry_may_add_axes(f):
    arrays = numbers([A])
    inputs, outputs = graph_of(f, arrays)
    assert_same_function(inputs, outputs, simplify(outputs), arrays)


@pytest.mark.parametrize("f, shapes", [
    (lambda x, w: x @ w, [(2, 3, 0), (0, 4)]),
    (lambda x, w: x @ w, [(0, 3, 2), (2, 4)]),
    (lambda x, y: ops.sum_to(ops.product_tn(x, y), (0, 2)), [(5, 3, 0), (5, 3, 2)]),
    (lambda x: ops.sum_to(ops.broadcast_to(x, (0, 3)), (1, 3)), [(1, 3)]),
    (lambda x: ops.sum_to(x * 3, (1, 0)), [(4, 0)]),
])  # fmt: skip
def test_arrays_without_entries(f, shapes):
    arrays = [x * np.nan for x in numbers(shapes)]
    inputs, outputs = graph_of(f, arrays)
    assert_same_function(inputs, outputs, simplify(outputs), arrays)


# ------------------------------------------------------------------------------------------------------------ passes


def test_dead_code_is_not_part_of_the_graph():
    def f(x):
        tg.exp(x)
        return tg.sin(x)

    assert kinds(rewritten(graph_of(f, numbers([A]))[1], [])) == "sin"


MERGED = [  # what is written, and which operations are left
    ("the same operation on the same input", lambda x, y: tg.sin(x) * tg.exp(tg.sin(x)), "exp multiply sin"),
    ("operands in either order", lambda x, y: (x * y) / (y * x), "divide multiply"),
    ("equal constants", lambda x, y: (x + 2) / (x + 2), "add divide"),
    ("equal arrays", lambda x, y: (x + np.arange(3.0)) / (x + np.arange(3.0)), "add divide"),
    ("a chain of operations", lambda x, y: tg.exp(tg.sin(x) + y) / tg.exp(y + tg.sin(x)), "add divide exp sin"),
]


@pytest.mark.parametrize("f, left", [row[1:] for row in MERGED], ids=[row[0] for row in MERGED])
def test_common_subexpressions_are_computed_once(f, left):
    assert kinds(rewritten(graph_of(f, numbers([A, B]))[1], [])) == left


def test_a_gradient_shares_the_forward_pass():
    """The value and the gradient of exp(sin(x)), which is cos(x) exp(sin(x)), take one sine and one exponential."""
    assert kinds_of(tg.func.value_and_grad(lambda x: tg.exp(tg.sin(x)).sum()), A) == "cos exp multiply sin sum"


NOT_MERGED = [  # pairs that differ in something small; both must be left
    ("operands in another order", lambda x: (x[0] - x[1], x[1] - x[0])),
    ("another axis", lambda x: (tg.sum(x, axis=0), tg.sum(x, axis=1))),
    ("a list is not a tuple as an index", lambda x: (x[[1, 2]], x[1, 2])),
    ("True is not 1 as an index", lambda x: (x[True], x[1])),
    ("an index array of another type", lambda x: (x[np.array([True, False, True])], x[np.array([1, 0, 1])])),
    ("-0.0 is not 0.0", lambda x: (x / 0.0, x / -0.0)),
    ("zeros of both signs are not all the same", lambda x: (x / np.array([0.0, -0.0, 0.0]), x / np.zeros(3))),
    ("arrays that differ at the end", lambda x: (x[0, 0] + differing(100, 1), x[0, 0] + differing(100, 2))),
    ("large arrays that differ at the end", lambda x: (x[0, 0] + differing(20_000, 1), x[0, 0] + differing(20_000, 2))),
    ("nan is not another nan's neighbour", lambda x: (x * np.array([np.nan, 1, 2]), x * np.array([np.nan, 1, 3]))),
    ("1 as another type", lambda x: (x * np.float32(1), x * 1.0)),
]


def differing(size, last):
    return np.array([*range(size - 1), last], float)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("f", [row[1] for row in NOT_MERGED], ids=[row[0] for row in NOT_MERGED])
def test_what_only_looks_the_same_is_computed_twice(f):
    arrays = numbers([(3, 3)])
    inputs, outputs = graph_of(f, arrays)
    xs = [tg.tensor(x) for x in arrays]
    for simplified in (rewritten(outputs, []), simplify(outputs)):
        for actual, expected in zip(replay(inputs, simplified, xs), f(*xs), strict=True):
            np.testing.assert_array_equal(actual.data, expected.data)


def test_operations_on_constants_are_computed_at_once():
    graph = Graph()
    two, three = (graph.constant(np.array(value)) for value in (2.0, 3.0))
    node = graph("multiply", graph("add", two, three), two)
    assert node.op is None and node.value == 10


@pytest.mark.parametrize("f, expected", [
    (lambda x: tg.func.grad(lambda y: (3 * y).sum())(x), [3, 3, 3]),
    (lambda x: tg.func.grad(lambda y: tg.func.grad(lambda z: (z * z).sum())(y).sum())(x), [2, 2, 2]),
])  # fmt: skip
def test_a_constant_derivative_takes_no_operation(f, expected):
    arrays = numbers([A])
    inputs, outputs = graph_of(f, arrays)
    simplified = simplify(outputs)
    assert set(kinds(simplified).split()) <= {"broadcast_to"}
    np.testing.assert_array_equal(replay(inputs, simplified, arrays)[0].data, expected)


@pytest.mark.parametrize("f, shapes, left", [
    # h (h' d): two thin products in place of one through a wide matrix, and not the other way round
    (lambda a, b, c: a @ ops.product_tn(b, c), [(10, 40), (10, 40), (10, 40)], "product product_nt"),
    (lambda a, b, c: a @ ops.product_tn(b, c), [(40, 3), (40, 3), (40, 3)], "product product_tn"),
    # x (W - h' d): for a few rows x of a wide layer, the updated weights are never formed
    (lambda x, w, b, c: x @ (w - ops.product_tn(b, c)), [(3, 400), (400, 400), (2, 400), (2, 400)],
     "product product product_nt subtract"),
    (lambda x, w, b, c: x @ (w - ops.product_tn(b, c)), [(100, 9), (9, 9), (2, 9), (2, 9)], "product product_tn subtract"),
])  # fmt: skip
def test_reordering_happens_where_it_pays(f, shapes, left):
    assert kinds_of(f, *shapes) == left


def test_what_is_needed_anyway_is_not_summed_term_by_term():
    """The gradients of an inner step are such sums: each is the last one and a little more, and the next one needs it whole."""
    f = lambda x, y: [total := ops.product_tn(x, x) + y, ops.sum_to(total, (1, 4))]
    _, outputs = graph_of(f, numbers([(3, 4), (4, 4)]))
    assert kinds(rewritten(outputs, REORDERING)) == kinds(outputs)
    assert kinds(rewritten(outputs[1:], REORDERING)) == "add product_tn sum_to sum_to"


@pytest.mark.parametrize("f", [
    lambda a, b: fibonacci(a, b, 60),
    lambda a, b: alternate(a, b, 3000),
], ids=["many paths", "a long chain"])  # fmt: skip
def test_large_graphs_are_simplified_in_one_pass_over_their_nodes(f):
    """Neither time nor depth of recursion may grow with the number of paths through a graph."""
    arrays = [np.eye(2), np.full((2, 2), 0.5)]
    inputs, outputs = graph_of(f, arrays)
    replayed = replay(inputs, simplify(outputs), [tg.tensor(x) for x in arrays])
    np.testing.assert_allclose(replayed[0].data, f(*[tg.tensor(x) for x in arrays]).data, rtol=1e-9)


def fibonacci(a, b, n):
    x = a
    for _ in range(n):
        a, b = b, a + b
    return x @ b


def alternate(a, b, n):
    x = a
    for i in range(n):
        a = a + b if i % 2 else a - b
    return ops.sum_to(x @ a, (1, 2))


# ----------------------------------------------------------------------------------------------------- random graphs

PASSES = {
    "no rewrites": lambda outputs: rewritten(outputs, []),
    "safe": lambda outputs: rewritten(outputs, SAFE),
    "reordering": lambda outputs: rewritten(outputs, REORDERING),
    "all": lambda outputs: rewritten(outputs, SAFE + JOINING + REORDERING),
    "the cheapest": simplify,
}


def value_and_gradient(f):
    """As a list, without the gradients that there are none of."""

    def value_and_gradient_of_f(*xs):
        out = f(*xs)
        return [out, *[g for g in tg.grad(out, xs, allow_unused=True) if g is not None]]

    return value_and_gradient_of_f


def check_random_graphs(examples, **options):
    @settings(max_examples=examples, derandomize=True, deadline=None, database=None, **options)
    @given(functions())
    def every_pass_keeps_value_and_derivatives(f):
        arrays = f.arrays()
        inputs, outputs = graph_of(value_and_gradient(f), [tg.tensor(x, requires_grad=True) for x in arrays])
        for simplified in [run(outputs) for run in PASSES.values()]:
            assert_same_function(inputs, outputs, simplified, arrays)
        assert tg.gradcheck(lambda *xs: tuple(replay(inputs, simplified, xs)), arrays, atol=1e-4, fast_mode=True)

    every_pass_keeps_value_and_derivatives()


def test_every_pass_keeps_value_and_derivatives_of_random_graphs():
    check_random_graphs(examples=250)


WRONG = {
    "x - y = x + y": ("subtract", lambda node, graph: graph("add", *node.inputs)),
    "tanh(x) = sin(x)": ("tanh", lambda node, graph: graph("sin", *node.inputs)),
    "x.T = x, if x is square": ("permute_dims", lambda node, graph: if_it_fits(node.inputs[0], node)),
    "x * c = x": ("multiply", lambda node, graph: node.inputs[0] if node.inputs[1].shape == () else None),
}


def if_it_fits(replacement, node):
    return replacement if replacement.shape == node.shape else None


@pytest.mark.parametrize("kind, replace", WRONG.values(), ids=WRONG)
def test_random_graphs_would_uncover_a_wrong_rewrite(monkeypatch, kind, replace):
    monkeypatch.setattr(simplify_module, "SAFE", [Rewrite([kind], "wrong", replace, None, ())])
    with pytest.raises(AssertionError):
        check_random_graphs(examples=150, phases=[Phase.generate])
