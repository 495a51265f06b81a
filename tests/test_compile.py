"""Replaying: a compiled function does what the function does, and nothing is stale or shared by surprise."""

import gc
import importlib
import math
import re
import threading
import tracemalloc
import weakref
from collections import namedtuple
from contextlib import nullcontext
from itertools import count, product

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.lib.stride_tricks import as_strided
from operation_table import TABLE
from random_graphs import functions

import tinygrad_meta as tg
from tinygrad_meta import func, nn, ops
from tinygrad_meta.graph.compile import CACHE_SIZE, Compiled, Piece
from tinygrad_meta.graph.record import Node
from tinygrad_meta.meta import maml_loss
from tinygrad_meta.tree import leaves, rebuild, tree_map

compile_module = importlib.import_module("tinygrad_meta.graph.compile")  # the package has a function of the same name


def assert_same(actual, expected, rtol=1e-9, atol=1e-12):
    """The same structure of tensors and other things, with the same shapes and dtypes, and values to rounding."""
    assert outline(actual) == outline(expected)
    for a, e in zip(leaves(actual), leaves(expected), strict=True):
        if isinstance(e, tg.Tensor):
            assert (a.shape, a.dtype) == (e.shape, e.dtype)
            np.testing.assert_allclose(a.data, e.data, rtol, atol)
        else:
            assert a == e


def outline(structure):
    """The structure, with types in place of leaves."""
    return type(structure), tree_map(type, structure)


def variables(*arrays):
    return [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in map(np.asarray, arrays)]


def random(*shape, dtype=np.float64, seed=0):
    return np.asarray(np.random.default_rng(seed).uniform(0.5, 2, shape), dtype)


# ------------------------------------------------------------------------------------------- the same results as eager

PRECISION = [(np.float64, {"rtol": 1e-10, "atol": 1e-12}), (np.float32, {"rtol": 2e-4, "atol": 2e-4})]
precisions = pytest.mark.parametrize("dtype, tolerance", PRECISION, ids=["float64", "float32"])


def each(rows):
    return pytest.mark.parametrize("row", rows, ids=str)


def value_and_derivatives(row):
    """The result, the gradient of a weighted sum of it, and the gradient of that gradient's squared length."""

    def f(*xs):
        out, floats = row(*xs), [x for x in xs if x.requires_grad]
        weights = np.random.default_rng(2).standard_normal(out.shape)
        first = tg.grad(tg.sum(out * weights.astype(out.dtype)), floats, create_graph=True)
        second = tg.grad([tg.sum(g * g) for g in first], floats, allow_unused=True) if first[0].requires_grad else None
        return out, first, second

    return f


@each([row for row in TABLE if row.derivative])
@precisions
def test_value_gradient_and_second_gradient_of_every_operation(row, dtype, tolerance):
    f, xs = value_and_derivatives(row), variables(*row.arrays(dtype=dtype))
    assert_same(tg.compile(f)(*xs), f(*xs), **tolerance)


single_operations = [row for row in TABLE if row.elementwise or not row.derivative]


@each(single_operations)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equal_to_the_bit_where_nothing_is_rewritten(row, dtype):
    arrays = row.arrays(dtype=dtype)
    assert_same(tg.compile(row)(*arrays), row(*arrays), rtol=0, atol=0)


@each([row for row in single_operations if row.name != "quotient" and row.attrs.get("y", 0) >= 0])
def test_integers_give_the_same_integers(row):
    arrays = [x if x.dtype == bool else x + 1 - x.min() for x in row.arrays(dtype=np.int32)]
    assert_same(tg.compile(row)(*arrays), row(*arrays), rtol=0, atol=0)


def network(sizes=(1, 8, 8, 1), dtype=np.float64):
    """Parameters away from symmetry, biases too."""
    rng = np.random.default_rng(0)
    return [(tg.tensor(w.data, requires_grad=True), tg.tensor(rng.normal(0, 0.3, b.shape), dtype, requires_grad=True))
            for w, b in nn.init_mlp(sizes, rng, dtype=dtype)]


Batch = namedtuple("Batch", "support query")


def tasks(n_tasks, n_points, dtype=np.float64):
    batch = tg.tasks.SineTasks(dtype=dtype).sample(n_tasks, n_points, n_points + 1, rng=1)
    return Batch(tuple(batch.support), tuple(batch.query))


def meta_gradient(activation="relu", **options):
    def gradient(params, batch):
        loss = maml_loss(lambda p, x, y: nn.mse_loss(nn.mlp(p, x, activation), y), params, batch, 0.05, **options)
        return loss, tg.grad(loss, leaves(params))

    return gradient


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("n_tasks, n_points, sizes", [
    (3, 4, (1, 8, 8, 1)),
    (1, 4, (1, 8, 8, 1)),
    (3, 1, (1, 8, 1)),
    (2, 3, (1, 40, 40, 1)),  # few points and wide layers: (h h') d in place of h (h' d)
    (3, 20, (1, 4, 4, 1)),
    (2, 5, (1, 1, 1)),
])  # fmt: skip
@precisions
def test_meta_gradient(activation, steps, first_order, n_tasks, n_points, sizes, dtype, tolerance):
    arguments = network(sizes, dtype), tasks(n_tasks, n_points, dtype)
    eager = meta_gradient(activation, steps=steps, first_order=first_order)
    assert_same(tg.compile(eager)(*arguments), eager(*arguments), **tolerance)


def cubic(x):
    return tg.sum(x * x * tg.sin(x))


V = random(3)
INSIDE = {
    "grad": lambda x: func.grad(cubic)(x),
    "grad of grad": lambda x: func.grad(lambda y: tg.sum(func.grad(cubic)(y)))(x),
    "grad of grad of grad": lambda x: func.grad(lambda z: tg.sum(func.grad(lambda y: tg.sum(func.grad(cubic)(y)))(z)))(x),
    "value_and_grad": lambda x: func.value_and_grad(cubic)(x),
    "vjp": lambda x: func.vjp(tg.sin, x)[1](V),
    "jvp": lambda x: func.jvp(tg.sin, (x,), (V,)),
    "hvp": lambda x: func.hvp(cubic, x, V),
    "jacobian": lambda x: func.jacobian(lambda y: tg.exp(y) * tg.sum(y))(x),
    "hessian": lambda x: func.hessian(cubic)(x),
    "hessian of a structure": lambda x: func.hessian(lambda p: tg.sum(p["a"] * p["b"] * p["b"]))({"a": x, "b": x[:1]}),
    "backward": lambda x: backward_of(x * 1.0),
    "a compiled function": lambda x: tg.compile(tg.sin)(x) * 2,
    "detach": lambda x: func.grad(lambda y: tg.sum(y * y.detach()))(x),
    "cross entropy": lambda x: func.grad(lambda y: tg.mean(nn.cross_entropy(tg.stack([y, y * y]), np.array([0, 2]))))(x),
    "NumPy's functions": lambda x: np.sum(np.exp(x)) + V @ x,
}


def backward_of(x):
    x = x.detach()
    x.requires_grad = True
    cubic(x).backward()
    return x.grad


@pytest.mark.parametrize("f", INSIDE.values(), ids=INSIDE)
def test_derivatives_inside(f):
    x = random(3, seed=1)
    for argument in (x, tg.tensor(x), tg.tensor(x, requires_grad=True)):
        assert_same(tg.compile(f)(argument), f(tg.tensor(x)))


def test_inside_a_compiled_function_another_one_can_be_differentiated():
    """It is then recorded like any other function."""
    assert_same(tg.compile(lambda x: func.grad(tg.compile(cubic))(x))(V), func.grad(cubic)(V))


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(functions())
def test_value_and_derivatives_of_random_graphs(f):
    def value_and_gradients(*xs):
        out = f(*xs)
        first = tg.grad(out, xs, create_graph=True, allow_unused=True)
        smooth = [tg.sum(g * g) for g in first if g is not None and g.requires_grad]
        return out, first, tg.grad(smooth, xs, allow_unused=True) if smooth else None

    xs = variables(*f.arrays())
    compiled = tg.compile(value_and_gradients)
    expected = value_and_gradients(*xs)
    scale = max([np.abs(t.data).max(initial=0) for t in leaves(expected) if t is not None])
    for _ in range(2):
        assert_same(compiled(*xs), expected, rtol=1e-8, atol=1e-10 * max(1, scale))
    assert_nothing_is_overwritten_too_early(compiled.program, xs)


# ------------------------------------------------------------------------------------------- what goes in and comes out

Pair = namedtuple("Pair", "first second")
X, Y = random(2, 3), random(2, 3, seed=1)

STRUCTURES = {
    "arrays": ((X, Y), {}),
    "a dict": (({"x": X, "y": Y},), {}),
    "lists and tuples": (([X, (Y,)],), {}),
    "a namedtuple": ((Pair(X, {"y": [Y]}),), {}),
    "keywords": ((X,), {"y": Y}),
    "leaves that are no arrays": ((X, 2, "three", None, 4.5, True), {"six": 6}),
    "nothing": (([], {}, ()), {}),
    "no arguments": ((), {}),
}


@pytest.mark.parametrize("args, options", STRUCTURES.values(), ids=STRUCTURES)
def test_structures_go_in_and_come_out(args, options):
    def f(*args, **options):
        return tree_map(lambda x: tg.exp(x) if isinstance(x, tg.Tensor) else x, (args, options))

    tensors = tree_map(lambda x: tg.tensor(x) if isinstance(x, np.ndarray) else x, (args, options))
    compiled = tg.compile(f)
    for _ in range(2):
        assert_same(compiled(*args, **options), f(*tensors[0], **tensors[1]))


@pytest.mark.parametrize("returned", [None, 3, "text", (), {}, [1, (2.5, None)], Pair(1, 2)], ids=str)
def test_what_is_no_tensor_is_returned_as_it_is(returned):
    assert tg.compile(lambda x: returned)(X) == returned
    tensor, rest = tg.compile(lambda x: (-x, returned))(X)
    assert rest == returned and isinstance(tensor, tg.Tensor)


INPUTS = {
    "one number": np.array(2.0),
    "a NumPy scalar": np.float32(2.0),
    "no entries": np.empty((0, 3)),
    "no entries in the last axis": np.empty((3, 0)),
    "Fortran order": np.asfortranarray(random(3, 4)),
    "a transpose": random(4, 3).T,
    "every other row, backwards": random(8, 3)[::-2],
    "one row stretched": np.broadcast_to(random(3), (4, 3)),
    "integers": np.arange(6).reshape(2, 3),
    "small integers": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "booleans": np.array([[True, False], [True, True]]),
    "half precision": random(2, 3, dtype=np.float16),
    "the other byte order": random(2, 3).astype(">f8"),
    "complex numbers": random(2, 3) + 1j,
    "read only": np.frombuffer(random(6).tobytes()).reshape(2, 3),
}


def test_long_doubles_of_which_some_bytes_mean_nothing():
    for _ in range(10):
        compiled = tg.compile(lambda x: x * 3.3 * np.arange(4, dtype=np.longdouble) / 7)
        assert compiled(np.ones(4, np.longdouble)).dtype == np.longdouble


def test_shapes_are_no_values_and_may_be_asked_for():
    compiled = tg.compile(lambda x: x * np.size(x) + np.ndim(x) + np.shape(x)[0])
    assert compiled(np.ones((2, 3))).data.tolist() == [[10.0] * 3] * 2


@pytest.mark.parametrize("x", INPUTS.values(), ids=INPUTS)
def test_arrays_of_every_kind(x):
    def f(x):
        return x, x.T, x + x.T.sum(), x * 2 * 3, x * x, tg.sum(x), tg.sum(x * 2, axis=0) if x.ndim else x, ops.sum_to(x, ())

    assert_same(tg.compile(f)(x), f(tg.tensor(x)), rtol=1e-3 if x.dtype == np.float16 else 1e-12)


def test_an_update_under_no_grad_inside():
    """A whole training step: gradient, and new parameters that are leaves again."""

    def step(params, x, y, size):
        loss = nn.mse_loss(nn.mlp(params, x, "tanh"), y)
        gradients = tg.grad(loss, leaves(params))
        with tg.no_grad():
            return loss, rebuild(params, [p - size * g for p, g in zip(leaves(params), gradients, strict=True)])

    params, x, y, compiled = network(), random(5, 1), random(5, 1, seed=1), tg.compile(step)
    expected = params
    for _ in range(5):
        loss, params = compiled(variables_like(params), x, y, 0.1)
        expected_loss, expected = step(variables_like(expected), x, y, 0.1)
        assert_same((loss, params), (expected_loss, expected))


def variables_like(params):
    return tree_map(lambda p: tg.tensor(p.data, requires_grad=True), params)


def test_what_no_grad_cuts_off_stays_cut_off():
    def f(w):
        with tg.no_grad():
            moved = w - 0.5
        moved.requires_grad = True
        return tg.grad(tg.sum(moved * moved), [moved, w], allow_unused=True)

    (w,) = variables(random(3))
    assert_same(tg.compile(f)(w), f(w))
    assert tg.compile(f)(w)[1] is None


def test_as_a_decorator():
    class Model:
        """Of a method, the instance is one of the arguments."""

        @tg.compile
        def double(self, x):
            """Twice x."""
            return x * 2

    assert Model.double.__name__ == "double" and Model.double.__doc__ == "Twice x."
    assert Model().double(X).data.tolist() == (X * 2).tolist()
    assert isinstance(Model.double, Compiled)


def test_a_module_whose_tensors_are_replaced_is_recorded_anew():
    """Whether it is what is compiled, an argument, or what a method belongs to."""

    class Square(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(2, 2, rng=0)]

        def forward(self, x):
            return tg.square(self.layers[0](x))

        @tg.compile
        def compiled_method(self, x):
            return self(x)

    module, x = Square(), random(3, 2)
    whole, bound = tg.compile(module), tg.compile(module.forward)
    argument, nested = tg.compile(lambda module, x: module(x)), tg.compile(lambda given: given["module"](given["x"]))
    for seed in (0, 1, 1):
        module.load_state_dict({name: random(*p.shape, seed=seed) for name, p in module.named_parameters().items()})
        for result in (whole(x), bound(x), argument(module, x), nested({"module": module, "x": x}), module.compiled_method(x)):
            np.testing.assert_allclose(result.data, module(x).data, rtol=1e-12)
    replays = len(whole.programs)
    whole(x)
    assert len(whole.programs) == replays


# --------------------------------------------------------------------------------------------- nothing stale or shared


def test_results_are_not_overwritten_by_the_next_call():
    compiled = tg.compile(lambda x: (x, x.T, tg.exp(x), tg.exp(x)[0]))
    first = compiled(X)
    before = [t.numpy() for t in first]
    compiled(Y)
    for t, value in zip(first, before, strict=True):
        np.testing.assert_array_equal(t.data, value)


def test_a_returned_array_is_a_new_one_at_every_call():
    compiled = tg.compile(lambda x: (x, [np.arange(3.0)]))
    compiled(X)[1][0][:] = 0
    assert compiled(X)[1][0].tolist() == [0, 1, 2]


def test_reuse_outputs_writes_into_the_same_arrays():
    compiled = tg.compile(tg.exp, reuse_outputs=True)
    first, second = compiled(X), compiled(Y)
    np.testing.assert_array_equal(first.data, np.exp(Y))
    assert np.shares_memory(first.data, second.data)


@pytest.mark.parametrize("as_argument", [lambda t: t, lambda t: t.data], ids=["as tensors", "as arrays"])
def test_a_reused_output_that_is_handed_back_is_changed_in_place(as_argument):
    compiled = tg.compile(lambda x, y, z: (x + z, y - z), reuse_outputs=True)
    x, y = map(as_argument, compiled(X, Y, X))
    z = np.ones_like(X)
    x, y = map(as_argument, compiled(x, y, z))
    new_x, new_y = compiled(x, y, z)
    program = compiled.program
    assert program.outputs[0] is program.inputs[0] and program.outputs[1] is program.inputs[1]
    assert np.shares_memory(as_array(new_x), as_array(x)) and np.shares_memory(as_array(new_y), as_array(y))


def test_a_reused_output_of_another_shape_or_type_than_the_argument_is_elsewhere():
    x, y = np.ones((2, 1), np.float32), random(2, 3)
    for f, args in [(lambda x, y: x * y, (x, y)), (lambda x, y: x * y, (x, y[:, :1])), (lambda x, y: x > y, (x, y))]:
        np.testing.assert_array_equal(tg.compile(f, reuse_outputs=True)(*args).data, f(*args))


def as_array(x):
    return x.data if isinstance(x, tg.Tensor) else x


@pytest.mark.parametrize("as_argument", [lambda t: t, lambda t: t.data], ids=["as tensors", "as arrays"])
@pytest.mark.parametrize("view", [lambda x: x[::-1], lambda x: as_strided(as_array(x)[::-1]),
                                  lambda x: np.asarray(as_array(x).data)], ids=["a slice", "strides", "a buffer"])
def test_a_reused_output_that_comes_back_elsewhere_is_read_before_it_is_overwritten(view, as_argument):
    """As another argument, or in part."""
    compiled = tg.compile(lambda x, y, z: (x + z, y - z), reuse_outputs=True)
    for places in product("xyzXY", repeat=3):
        x, y = map(as_argument, compiled(*[as_argument(tg.tensor(each)) for each in (X, Y, X)]))
        given = {"x": x, "y": y, "z": np.ones_like(X), "X": view(x), "Y": view(y)}
        arguments = [given[place] for place in places]
        before = [as_array(each).copy() for each in arguments]
        new_x, new_y = compiled(*arguments)
        np.testing.assert_array_equal(new_x.data, before[0] + before[2])
        np.testing.assert_array_equal(new_y.data, before[1] - before[2])


def test_an_argument_is_not_written_to_and_later_changes_to_it_are_not_seen():
    x = random(3)
    compiled, before = tg.compile(lambda x: (x, x + x)), x.copy()
    same, double = compiled(x)
    np.testing.assert_array_equal(x, before)
    x[:] = 0
    np.testing.assert_array_equal(same.data, before)
    np.testing.assert_array_equal(double.data, 2 * before)


TWO_IN_ONE = {  # name -> what the function does to x and y, with one tensor standing in several places at the first call
    "twice the same argument": lambda x, y: x - y,
    "twice the same, one of them unused": lambda x, y: y * 2,
    "returned": lambda x, y: (y, x),
}


@pytest.mark.parametrize("f", TWO_IN_ONE.values(), ids=TWO_IN_ONE)
def test_a_tensor_passed_twice_is_two_arguments(f):
    x, y = tg.tensor(2.0), tg.tensor(5.0)
    compiled = tg.compile(f)
    assert_same(compiled(x, x), f(x, x))
    assert_same(compiled(x, y), f(x, y))


def test_a_tensor_both_captured_and_passed_is_a_constant_and_an_argument():
    x = tg.tensor(2.0, name="weight")
    compiled = tg.compile(lambda y: x * y)
    assert [compiled(x).item(), compiled(tg.tensor(5.0)).item()] == [4, 10]


@pytest.mark.parametrize("change", [
    lambda x: x.astype(np.float32),
    lambda x: x.reshape(3, 2),
    lambda x: x[None],
    lambda x: [x],
    lambda x: (x,),
    lambda x: {"x": x},
    lambda x: {"y": x},
    lambda x: tg.tensor(x, requires_grad=True),
], ids=["dtype", "shape", "ndim", "list", "tuple", "dict", "another key", "requires_grad"])  # fmt: skip
def test_arguments_that_look_different_are_recorded_anew(change):
    def double(params):
        return tree_map(lambda x: tg.multiply(x, 2), params)

    compiled = tg.compile(double)
    for x in (X, change(X), X, change(X)):
        assert_same(compiled(x), double(x))
    assert len(compiled.programs) == 2


@pytest.mark.parametrize("one, other", [(2, 3), (1, True), (1, 1.0), (0.0, -0.0), ("a", "b"), (None, 0), ((), []), (0j, -0j),
                                        (frozenset([1]), frozenset([1.0])), ({1: 2}, {True: 2})], ids=str)
def test_every_value_of_a_constant_argument_has_a_program(one, other):
    seen = []
    compiled = tg.compile(lambda x, c: (seen.append(c), x)[1])
    for c in (one, other, one, other):
        compiled(X, c)
    assert list(dict.fromkeys(map(repr, seen))) == [repr(one), repr(other)]
    assert len(compiled.programs) == 2


@pytest.mark.parametrize("attribute, value", [("activation", "tanh"), ("scale", 2.0), ("scale", np.full(3, 2.0))], ids=repr)
def test_a_module_with_another_attribute_has_another_program(attribute, value):
    class Scaled(nn.Module):
        def __init__(self):
            self.inner, self.scale = nn.MLP([3, 20, 3], rng=0), 1.0

        def forward(self, x):
            return self.inner(x) * self.scale

    module = Scaled()
    compiled, x = tg.compile(module), random(2, 3)
    before = compiled(x)
    setattr(module.inner if hasattr(module.inner, attribute) else module, attribute, value)
    assert_same(compiled(x), module(x).detach())
    assert not np.allclose(compiled(x).data, before.data) and len(compiled.programs) == 2


def test_a_module_with_other_keys_or_names_has_another_program():
    class Named(nn.Module):
        def forward(self, x):
            return x * 10 if hasattr(self, "large") or "large" in getattr(self, "keys", ()) else x

    module = Named()
    compiled = tg.compile(module)
    for attributes in ({"small": 2.0}, {"large": 2.0}, {"keys": {"small": 2.0}}, {"keys": {"large": 2.0}}, {"keys": ["large"]}):
        vars(module).clear()
        vars(module).update(attributes)
        assert_same(compiled(X), tg.tensor(module(X)))
    assert len(compiled.programs) == 5


def test_a_module_with_an_attribute_set_anew_has_the_same_program_if_it_is_a_number_and_another_if_it_is_an_array():
    class Scale(nn.Module):
        def forward(self, x):
            return self.factor * x

    module = Scale()
    compiled = tg.compile(module)
    for kind in (float, np.float64, np.float32):
        for text in ("2.5", "2.5", "3.5"):
            module.factor = kind(text)
            assert_same(compiled(X), tg.tensor(kind(text) * X))
    assert len(compiled.programs) == 6
    for zero in (0.0, -0.0):
        module.factor = zero
        assert (np.signbit(compiled(X).data) == np.signbit(zero)).all()
    for i in range(5):
        module.factor = np.full(X.shape, float(i))
        assert_same(compiled(X), tg.tensor(i * X))
    last, module.factor = weakref.ref(module.factor), None
    gc.collect()
    assert last() is not None, "another array could take its place in memory, and be taken for it"


@pytest.mark.parametrize("f", [lambda x: x.sum(0), lambda x: tg.mean(x, axis=0), lambda x: tg.sum(x, axis=-1, keepdims=True),
                               lambda x: func.grad(lambda x: tg.softmax(x) * x)(x)])
def test_a_number_is_summed_over_an_axis_that_it_has_not(f):
    assert_same(tg.compile(f)(V[0]), f(tg.tensor(V[0])).detach())


def test_an_object_that_holds_arrays_is_refused():
    class Batch:
        pass

    batch = Batch()
    batch.inner = {"x": [X]}
    with pytest.raises(TypeError, match="of type Batch: make it a structure"):
        tg.compile(lambda batch: batch.inner["x"][0] * 2)(batch)


def test_an_optimizer_is_not_changed_while_recording():
    optimizer, (p, g) = tg.optim.Adam(), variables(X, Y)
    with pytest.raises(TypeError, match="changes the optimizer itself"):
        tg.compile(optimizer.step)(p, g)
    assert (optimizer.state, optimizer.steps) == (None, 0)
    optimizer.step(p, g)


def test_options_of_the_decorator():
    @tg.compile(reuse_outputs=True)
    def double(x):
        return 2 * x

    assert np.shares_memory(double(X).data, double(X).data) and double.__name__ == "double"


def test_an_argument_that_cannot_be_told_apart_from_others_is_an_error():
    with pytest.raises(TypeError, match="of type set"):
        tg.compile(lambda x, names: x)(X, {"a"})


def test_the_cache_stays_small_and_forgets_the_oldest():
    compiled = tg.compile(lambda x: x * 2)
    for n in range(CACHE_SIZE + 5):
        assert compiled(np.ones(n)).shape == (n,)
    assert len(compiled.programs) == CACHE_SIZE
    assert compiled(np.ones(0)).shape == (0,)


def test_the_gradient_of_a_compiled_result_is_an_error_and_not_wrong():
    (w,) = variables(X)
    compiled = tg.compile(cubic)
    for differentiate in (lambda: tg.grad(compiled(w), w), lambda: tg.grad(compiled(w) + tg.sum(w * w), w),
                          lambda: tg.grad(compiled(compiled(w)) + tg.sum(w * w), w), lambda: func.grad(compiled)(w),
                          lambda: func.grad(lambda w: compiled(w) + tg.sum(w))(w),
                          lambda: tg.grad(tg.compile(lambda x: cubic(w * x))(X) + tg.sum(w), w),
                          lambda: tg.grad(tg.compile(lambda w, x: (cubic(w), x * 2))(w, X)[0] + tg.sum(w), w)):
        with pytest.raises(RuntimeError, match="what a compiled function returns has no graph: differentiate inside"):
            differentiate()
    assert tg.grad(compiled(w).detach() + tg.sum(w), w)[0].data.tolist() == np.ones(w.shape).tolist()


def test_backward_does_not_reach_outside():
    (w,) = variables(X)
    for f, args in [(lambda x: tg.sum(w * x).backward(), (X,)), (lambda w: tg.sum(w * w).backward(), (w,))]:
        with pytest.raises(TypeError, match=r"backward\(\) in a .* return the result of tg.grad"):
            tg.compile(f)(*args)
        assert w.grad is None


def test_labels_are_checked_in_every_call():
    compiled = tg.compile(func.grad(nn.cross_entropy))
    for labels in ([0, 1], [0, 7], [-1, 1], [2, 0]):
        if min(labels) < 0 or max(labels) > 2:
            with pytest.raises(ValueError, match="for 3 classes: they must lie between 0 and 2"):
                compiled(np.zeros((2, 3)), np.array(labels))
        else:
            expected = func.grad(nn.cross_entropy)(np.zeros((2, 3)), np.array(labels)).data
            np.testing.assert_array_equal(compiled(np.zeros((2, 3)), np.array(labels)).data, expected)


def test_a_model_whose_layers_are_called_like_our_attributes():
    class Model(nn.Module):
        def __init__(self):
            self.f, self.programs, self.reuse_outputs = nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1), nn.Linear(2, 2, rng=2)

        def forward(self, x):
            return self.reuse_outputs(self.programs(self.f(x)))

    model, x = Model(), random(3, 2)
    np.testing.assert_allclose(tg.compile(model)(x).data, model(x).data)


@pytest.mark.parametrize("c, d, x, dtype", [(1e200, 1e200, 1e-300, "float64"), (1e-30, 1e-30, 1e30, "float32"),
                                            (300, 300, 0.1, "float16"), (0.0, 3, np.inf, "float64")])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_factors_are_gathered_where_the_product_is_a_number_of_that_type(c, d, x, dtype):
    x = np.array([x], dtype)
    np.testing.assert_array_equal(tg.compile(lambda x: x * c * d)(x).data, (tg.tensor(x) * c * d).data)


def test_a_factor_that_keeps_a_sum_small_stays_inside():
    x = np.full(1000, 100, np.float16)
    np.testing.assert_allclose(tg.compile(lambda x: tg.sum(x * 0.001))(x).data, 100, rtol=1e-3)


def test_a_compiled_result_requires_a_gradient_where_an_eager_one_does():
    (w,) = variables(X)
    f = tg.compile(lambda w: (tg.sum(w), tg.grad(tg.sum(w * w), w)[0], tg.sum(w.detach())))
    assert [out.requires_grad for out in f(w)] == [True, False, False]
    assert not tg.compile(tg.sum)(X).requires_grad
    for _ in range(3):
        w = tg.compile(lambda w: w - tg.grad(tg.sum(w * w), w)[0])(w)
    assert [x.op for x in w.inputs] == [None]  # the first w, and not all that came between


@pytest.mark.parametrize("order", [(False, True), (True, False, True)])  # whether gradients are on
def test_without_recording_it_is_another_program(order):
    """What was evaluated first under no_grad() is no constant afterwards, and what is differentiated inside fails as eagerly."""
    f, gradient = tg.compile(lambda w: w * w), tg.compile(lambda w: tg.grad(w * w, w)[0])
    (w,) = variables(3.0)
    for on in order:
        with nullcontext() if on else tg.no_grad():
            assert f(w).requires_grad == on
            with nullcontext() if on else pytest.raises(ValueError, match="no_grad"):
                assert gradient(w).item() == 6
    with pytest.raises(RuntimeError, match="differentiate inside"):
        tg.grad(f(w) + w, w)


CONNECTED = {  # functions of a variable that compile another one, whose arguments hang together or with what it captures
    "computed from another": lambda w, d: tg.compile(lambda a, b: d(a * b, a))(w, 2 * w),
    "computed from another, both in a structure": lambda w, d: tg.compile(lambda p: d(p[1] * p[0], p[0]))([w, 2 * w]),
    "captured": lambda w, d: tg.compile(lambda x: d(w * x, w))(w),
    "computed from what is captured": lambda w, d: tg.compile(lambda x: d(w * w * x, w))(2 * w),
    "computed from what is captured, linearly": lambda w, d: tg.compile(lambda x: d(w * x, w))(2 * w),
    "compiled from another": lambda w, d: tg.compile(lambda a, b: d(a * b, a))(w, tg.compile(lambda w: w * w)(w)),
    "computed from another, as is one more": lambda w, d: tg.compile(lambda a, b, c: d(a * b, a) + c)(w, 2 * w, 3 * w),
    "computed from another, beside an array": lambda w, d: tg.compile(lambda a, b, c: d(a * b, a) * c)(w, 2 * w, np.ones(())),
    "computed in two steps": lambda w, d: (lambda v: tg.compile(lambda a, b, c: d(a * c, a))(w, v, v * v))(2 * w),
}


@pytest.mark.parametrize("f", CONNECTED.values(), ids=CONNECTED)
def test_a_gradient_that_would_leave_by_an_argument_is_refused(f):
    (w,) = variables(3.0)
    with pytest.raises(RuntimeError, match="a gradient inside cannot follow"):
        f(w, lambda y, x: tg.grad(y, x)[0])
    value = f(w, lambda y, x: y)  # but nothing is wrong with values
    assert value.item() in (9, 18, 27, 54, 108) and value.requires_grad
    with tg.no_grad():
        assert f(w, lambda y, x: y).item() == value.item()


def test_what_does_not_leave_by_an_argument_is_differentiated():
    (w,) = variables(3.0)
    f = lambda a, b: tg.grad(a * b * b, b)[0]
    compiled = tg.compile(f)
    for arguments in ((w, 2 * w), (w, w), (w, tg.tensor(5.0, requires_grad=True)), (2 * w, 3 * w), (w, (2 * w).detach() * w)):
        assert compiled(*arguments).item() == f(*arguments).item()
    model = nn.MLP([2, 2], rng=0)
    compiled = tg.compile(model)
    assert_same(compiled(compiled(X[:, :2])), model(model(X[:, :2])).detach())


def test_a_gradient_is_refused_also_when_it_did_not_leave_the_first_time():
    (w,) = variables(3.0)
    f = tg.compile(lambda a, b: tg.grad(a * b, a)[0])
    assert f(w, tg.tensor(2.0, requires_grad=True)).item() == 2
    for _ in range(2):
        with pytest.raises(RuntimeError, match="cannot follow"):
            f(w, 2 * w)
    assert f(w, tg.tensor(2.0, requires_grad=True)).item() == 2


def test_the_same_tensor_given_twice_is_one_to_differentiate_by():
    (w, other) = variables(3.0, 5.0)
    f = lambda a, b, c: tg.grad(a * b * b + c, [a, b, c])
    compiled = tg.compile(f)
    for given in ((w, w, w), (w, w, other), (w, other, w), (other, w, w), (w, other, tg.tensor(1.0, requires_grad=True))):
        assert [g.item() for g in compiled(*given)] == [g.item() for g in f(*given)]
    double = tg.compile(lambda a, b: a + b)
    for twin in variables(np.ones(2), np.ones((3, 1)), np.ones((3, 1), "float32")):
        assert_same(double(twin, twin), tg.tensor(2 * twin.data))
    tied = tg.compile(lambda p: tg.grad(p["in"] * p["out"], list(p.values())))
    assert [g.item() for g in tied({"in": w, "out": w})] == [6, 6]


def test_a_tensor_of_the_outer_recording_captured_by_an_inner_one_is_an_error():
    with pytest.raises(TypeError, match="pass it as an argument"):
        tg.compile(lambda x: tg.compile(lambda y: y * x)(np.ones(3)))(V)


READ = {
    "item": lambda x, y: x.item(),
    "float": lambda x, y: float(x),
    "int": lambda x, y: int(x),
    "bool": lambda x, y: bool(x),
    "complex": lambda x, y: complex(x),
    "if": lambda x, y: x if x > 0 else y,
    "and": lambda x, y: x > 0 and y,
    "not": lambda x, y: not x,
    "max": lambda x, y: max(x, y),
    "sorted": lambda x, y: sorted([x, y]),
    "in": lambda x, y: x in [y],
    "numpy": lambda x, y: x.numpy(),
    "data": lambda x, y: x.data,
    "np.asarray": lambda x, y: np.asarray(x),
    "np.array": lambda x, y: np.array([x, y]),
    "np.isfinite": lambda x, y: np.isfinite(x),
    "math.sin": lambda x, y: math.sin(x),
    "a format": lambda x, y: f"{x:.3f}",
    "tensor": lambda x, y: tg.tensor(x),
    "an index": lambda x, y: tg.tensor(V)[x],
}


@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_reading_a_value_while_recording_is_an_error_that_says_what_to_do(read):
    with pytest.raises(TypeError, match="while a function was being recorded.*tg.where"):
        tg.compile(lambda x, y: (x + y, read(x * 2, y), x)[0])(*variables(1.0, 2.0))


def test_what_does_not_depend_on_values_may_be_read():
    def f(x):
        assert (x.shape, x.ndim, x.size, x.dtype, len(x), x.requires_grad) == ((2, 3), 2, 6, np.float64, 2, True)
        assert "recorded tensor of shape (2, 3)" in repr(x) and f"{x}" == repr(x) and x in {x}
        first, second = x
        return first + sum([row.sum() for row in x]) + second

    (x,) = variables(X)
    assert_same(tg.compile(f)(x), tg.tensor(X[0] + X.sum() + X[1]))


rng, clock = np.random.default_rng(0), count()
CHANGING = {  # name -> function that is another one at every call
    "values": lambda x, y: x * rng.standard_normal(3),
    "one number": lambda x, y: x * rng.standard_normal(),
    "large arrays": lambda x, y: x[0] * rng.standard_normal(20_000),
    "an index": lambda x, y: x[[0, next(clock) % 3]],
    "an attribute": lambda x, y: tg.pad(x, next(clock) % 3),
    "how often": lambda x, y: repeated(x, next(clock) % 3),
    "which operation": lambda x, y: tg.sin(x) if next(clock) % 2 else tg.cos(x),
    "which argument": lambda x, y: tg.sin((x, y)[next(clock) % 2]),
    "which comes first": lambda x, y: (x, y)[:: 1 if next(clock) % 2 else -1],
    "a returned number": lambda x, y: (x, rng.standard_normal()),
    "a returned array": lambda x, y: (x, rng.standard_normal(3)),
    "what is returned": lambda x, y: [x] if next(clock) % 2 else (x,),
}


def repeated(x, n):
    for _ in range(n):
        x = x + 1
    return x


@pytest.mark.parametrize("f", CHANGING.values(), ids=CHANGING)
def test_random_numbers_inside_are_an_error_that_says_what_to_do(f):
    with pytest.raises(ValueError, match="does not do the same twice.*pass them in"):
        tg.compile(f)(random(3), random(3))


def test_random_numbers_from_a_fixed_seed_are_no_error():
    noise = np.random.default_rng(5).standard_normal(3)
    assert_same(tg.compile(lambda x: x * np.random.default_rng(5).standard_normal(3))(V), tg.tensor(V * noise))


@pytest.mark.parametrize("fails_at", [1, 2], ids=["while recording", "while checking"])
def test_an_exception_leaves_the_function_usable(fails_at):
    calls = iter(range(1, 10))

    def f(x):
        y = tg.exp(x)
        if next(calls) == fails_at:
            raise RuntimeError("in the middle")
        return y * x

    compiled = tg.compile(f)
    with pytest.raises(RuntimeError, match="in the middle"):
        compiled(X)
    assert not compiled.programs
    assert_same(compiled(X), tg.tensor(np.exp(X) * X))
    assert tg.tensor(1.0, requires_grad=True).exp().requires_grad  # recording for gradients is as it was


def test_an_exception_while_running_leaves_the_function_usable():
    compiled = tg.compile(lambda x: tg.log(x) * 2 + tg.sin(x))
    compiled(V)
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        compiled(-V)
    assert_same(compiled(V), tg.tensor(np.log(V) * 2 + np.sin(V)))


def test_recording_under_no_grad_differentiates_all_the_same():
    compiled = tg.compile(func.grad(cubic))
    with tg.no_grad():
        inside = compiled(V)
    assert_same(inside, func.grad(cubic)(V))


def test_eight_threads_get_their_own_right_answers():
    """On one program, and while programs are recorded and dropped."""
    compiled, wrong = tg.compile(lambda x: tg.exp(tg.sin(x) * 2) @ tg.cos(x).T), []

    def work(seed):
        for i in range(60):
            x = random(3 if i % 2 else 3 + (seed * 7 + i) % 30, 20, seed=seed * 100 + i)
            if not np.allclose(compiled(x).data, np.exp(np.sin(x) * 2) @ np.cos(x).T):
                wrong.append((seed, i))

    def guarded(seed):
        try:
            work(seed)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=guarded, args=[seed]) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# -------------------------------------------------------------------------------------- buffers: the pass by liveness


def assert_nothing_is_overwritten_too_early(program, arguments):
    """Run a program one instruction at a time.  Whenever a value is read, it is what eager operations make of the inputs."""
    expected = {}
    for node, x in zip(program.input_nodes, arguments, strict=True):
        expected[node] = x.data
        np.copyto(program.arrays[node], x.data)
    pending = iter(program.instructions)
    for node in program.nodes:
        for x in node.inputs:
            np.testing.assert_allclose(program.arrays[x], expected[x], rtol=1e-7, atol=1e-9)
        if node.op:
            expected[node] = node.op.forward(*[expected[x] for x in node.inputs], **node.attrs)
            if program.owner[node] is node:
                next(pending)()
            np.testing.assert_allclose(program.arrays[node], expected[node], rtol=1e-7, atol=1e-9)
        elif node.value is not None:
            expected[node] = node.value
    assert list(pending) == []


def addresses(program):
    """Where the results lie that instructions compute."""
    computed = [node for node in program.nodes if node.op and program.owner[node] is node]
    return {program.arrays[node].__array_interface__["data"][0] for node in computed}


ADVERSARIAL = {  # name -> function of a square matrix x and of v = exp(x), which lies in a buffer
    "a sum with its own transpose": lambda x, v: v + v.T,
    "the same, twice": lambda x, v: (v - v.T * 2) + (v - v.T * 2).T,
    "with itself reversed": lambda x, v: v - v[::-1],
    "with its own first row": lambda x, v: v - v[0],
    "with a row of it, stretched": lambda x, v: v * ops.broadcast_to(v[0], v.shape),
    "with itself, reshaped": lambda x, v: v.reshape(9) - v.T.reshape(9),
    "reshaped, then used": lambda x, v: tg.sin(v.reshape(9)) + tg.cos(v).reshape(9),
    "a view outlives what it is a view of": lambda x, v: (v[0], tg.sin(tg.cos(tg.sin(v)))),
    "a view of a view": lambda x, v: tg.sin(tg.cos(v)) + v.T[1:].reshape(6)[0],
    "a product with itself": lambda x, v: v @ v,
    "a product with its transpose": lambda x, v: tg.sin(v @ v.T) + v,
    "a sum of it and of the rest": lambda x, v: tg.sin(v) * tg.sum(v) + tg.sum(tg.sin(v), axis=0),
    "the output is an input": lambda x, v: x,
    "the output is a view of an input": lambda x, v: x.T,
    "an input and what is computed from it": lambda x, v: (x, x + 1, x * 2),
    "the same output twice": lambda x, v: (v, v),
    "outputs that are views of each other": lambda x, v: (v, v.T, v[0], v + 1),
    "an output that is used further": lambda x, v: (v, tg.sin(v), tg.cos(tg.sin(v))),
    "only a view of it is an output": lambda x, v: (tg.sin(v)[1:], tg.cos(tg.cos(tg.cos(v)))),
    "an output that is a constant": lambda x, v: (tg.tensor([1.0, 2.0]), func.grad(lambda y: tg.sum(3 * y))(x)),
    "a smaller result": lambda x, v: tg.cos(tg.sum(v, axis=0)) + tg.sin(v),
    "from float to bool and back": lambda x, v: tg.where(v > 3, v, tg.sin(v)),
    "a chain": lambda x, v: tg.cos(tg.sin(tg.cos(tg.sin(v)))),
    "many at once": lambda x, v: sum([tg.sin(v * i) for i in range(2, 9)]),
    "slopes of relu, needed much later": lambda x, v: slopes_used_late(v),
    "joined": lambda x, v: tg.cos(tg.concat([tg.sin(v), v, tg.sum(v, axis=0, keepdims=True)])),
    "joined as columns": lambda x, v: tg.cos(tg.concat([tg.sin(v), tg.cos(v)], axis=-1)),
    "joined, and used later": lambda x, v: tg.sin(v) * tg.cos(tg.concat([tg.sin(v), v]))[1:4],
    "joined, and an output": lambda x, v: (tg.sin(v), tg.cos(tg.cos(tg.concat([tg.sin(v), v])))),
    "an output in place of an input, and joined": lambda x, v: (x + v, tg.concat([x + v, tg.sin(v)])),
    "joined with integers": lambda x, v: (tg.concat([v, tg.argmax(v, 0, keepdims=True)]), tg.argmax(v, 0, keepdims=True) + 1),
    "joined with itself": lambda x, v: tg.cos(tg.concat([v, v])),
    "joined with an input": lambda x, v: tg.cos(tg.concat([v, x])),
    "joined with a constant": lambda x, v: tg.cos(tg.concat([v, np.ones((1, 3))])),
    "joined with another type": lambda x, v: tg.cos(tg.concat([v, tg.astype(v, "float32")])),
    "joined twice": lambda x, v: (tg.cos(tg.concat([v, tg.sin(v)])), tg.cos(tg.concat([v, tg.cos(v)]))),
    "a join of joins": lambda x, v: tg.cos(tg.concat([tg.concat([v, tg.sin(v)]), tg.cos(v)])),
    "parts of it, joined": lambda x, v: tg.cos(tg.concat([v[1:], tg.sin(v)[0]], axis=None)),
    "transposed, joined": lambda x, v: tg.cos(tg.concat([v.T, tg.sin(v).T.reshape(3, 3)])),
    "flattened and joined": lambda x, v: tg.sin(tg.concat([v.reshape(9), tg.sum(tg.cos(v), axis=0), (v @ v).reshape(9)])),
    "a single entry of it": lambda x, v: v[0, 1] * x + v[-1][2] + v[tg.tensor(1), 0] + v[np.uint64(1), -1],
}


def slopes_used_late(v):
    early, late = [tg.relu(v - 1 - i) for i in range(3)], v
    for _ in range(150):
        late = tg.sin(late) + 0.1
    return [late * h * ops.step(v - 1 - i) for i, h in enumerate(early)]


@pytest.mark.parametrize("f", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_no_buffer_is_overwritten_while_it_is_needed(f):
    def of_x(x):
        return f(x, tg.exp(x))

    x, compiled, reusing = random(3, 3), tg.compile(of_x), tg.compile(of_x, reuse_outputs=True)
    for argument in (x, x.T, x + 1):
        assert_same(compiled(argument), of_x(tg.tensor(argument)))
        assert_same(reusing(argument), of_x(tg.tensor(argument)))
    assert_nothing_is_overwritten_too_early(compiled.program, [tg.tensor(x)])


BUFFERS = {  # name -> function, instructions, buffers
    "a chain runs in place": (lambda x: tg.cos(tg.sin(tg.exp(x))), 3, 1),
    "a chain of a thousand": (lambda x: chain(x, 1000), 1000, 1),
    "an input is not written to": (lambda x: (tg.sin(x), x), 1, 1),
    "two that are needed together": (lambda x: tg.sin(x) * tg.cos(x), 3, 2),
    "nothing is overwritten while it is read in another order": (lambda x: tg.sin(x) + tg.sin(x).T, 2, 2),
    "a product is not computed in place": (lambda x: tg.sin(x) @ tg.cos(x), 3, 3),
    "and leaves two buffers to others": (lambda x: tg.exp(tg.sin(x) @ tg.cos(x)) - tg.sin(x) @ x, 6, 3),
    "a smaller result takes a larger one that is free": (lambda x: tg.cos(tg.sin(x) @ x) @ x[:, :2], 4, 2),
    "views take none": (lambda x: tg.sin(x).T[0].reshape(3, 1), 1, 1),
    "an output keeps its own": (lambda x: (tg.exp(x), tg.sin(tg.exp(x))), 2, 2),
    "nothing to compute": (lambda x: x.T, 0, 0),
    "a join is made of its parts": (lambda x: tg.concat([tg.sin(x), tg.cos(x)]), 2, 2),
    "and so are others": (lambda x: tg.concat([tg.sin(x), tg.cos(x)]) - tg.concat([tg.exp(x), tg.tanh(x)]), 5, 4),
    "one of columns is not": (lambda x: tg.concat([tg.sin(x), tg.cos(x)], axis=1), 3, 3),
    "and then computed with in place": (lambda x: tg.sin(tg.exp(tg.concat([tg.sin(x), tg.cos(x)]))), 4, 2),
    "a single entry is a view": (lambda x: x * x[0, 1], 1, 1),
}


def chain(x, n):
    for i in range(n):
        x = tg.cos(x) if i % 2 else tg.sin(x)
    return x


@pytest.mark.parametrize("f, instructions, buffers", BUFFERS.values(), ids=BUFFERS)
def test_instructions_and_buffers(f, instructions, buffers):
    compiled = tg.compile(f)
    compiled(random(3, 3))
    assert (len(compiled.program.instructions), len(addresses(compiled.program))) == (instructions, buffers)


def test_inputs_and_buffers_start_where_cache_lines_do():
    compiled = tg.compile(lambda x, y: [tg.sin(x[:n]) @ y for n in range(1, 6)])
    compiled(random(5, 5), random(5, 5))
    starts = [compiled.program.arrays[node].__array_interface__["data"][0] for node in compiled.program.input_nodes]
    assert {start % 64 for start in [*starts, *addresses(compiled.program)]} == {0}


def test_the_parts_of_a_join_lie_next_to_each_other():
    compiled = tg.compile(lambda x: tg.sin(tg.exp(tg.concat([tg.sin(x), tg.cos(x)]))))
    compiled(np.zeros(1000))
    assert "4 instructions, 16,000 bytes beside" in str(compiled.program)
    assert "v2 = cos(input 0)          float64 (1000,)  at byte 8000" in str(compiled.program)
    assert "v3 = join(v1, v2, axis=0)  float64 (2000,)  in place" in str(compiled.program)


def test_what_a_buffer_is_made_of_may_be_an_argument():
    """All of the memory behind a result, as bytes: it owns its data, and shares it with the buffer of the first argument."""
    compiled = tg.compile(lambda a, b: (a * 2, b + 0), reuse_outputs=True)
    memory = compiled(np.ones(8), np.zeros(128, np.uint8))[0].data.base
    expected = memory.copy()
    np.testing.assert_array_equal(compiled(np.full(8, 5.0), memory)[1].data, expected)


def test_a_single_entry_of_swapped_bytes_is_in_the_usual_order():
    x = random(2, 2).astype(">f8")
    assert tg.compile(lambda x: x[0, 1])(x).dtype == tg.tensor(x)[0, 1].dtype == np.dtype("f8")


def test_pieces_of_memory_overlap_only_if_they_are_not_needed_together():
    rng = np.random.default_rng(0)
    for _ in range(100):
        pieces = []
        for _ in range(rng.integers(0, 30)):
            first, length = rng.integers(0, 50, 2)
            pieces.append(Piece(int(rng.integers(0, 1000)), int(first), int(first + length)))
        memory = compile_module.place(pieces)
        for x in pieces:
            assert 0 <= x.start and x.start + x.nbytes <= memory and x.start % 64 == 0
            for y in pieces:
                together = x.first <= y.last and y.first <= x.last
                assert x is y or not together or x.start + x.nbytes <= y.start or y.start + y.nbytes <= x.start


def test_memory_is_used_again():
    """Of 128 bytes each: two that are needed together, then a large one, which takes the place of both."""
    pieces = [Piece(128, 0, 1), Piece(128, 1, 2), Piece(256, 3, 4), Piece(64, 4, 5)]
    assert compile_module.place(pieces) == 320
    assert [piece.start for piece in pieces] == [0, 128, 0, 256]


def test_a_wrong_assignment_of_memory_would_be_noticed(monkeypatch):
    """One place for everything."""

    def at_zero(pieces):
        for piece in pieces:
            piece.start = 0
        return 1000

    monkeypatch.setattr(compile_module, "place", at_zero)
    compiled = tg.compile(lambda x: tg.sin(x) * tg.cos(x))
    compiled(random(3, 3))
    with pytest.raises(AssertionError):
        assert_nothing_is_overwritten_too_early(compiled.program, [tg.tensor(random(3, 3))])


LARGE = 100_000  # entries, so that there are several blocks, and the last one is shorter

IN_BLOCKS = {  # name -> function of two large vectors, and how many calls of NumPy for how many operations
    "a chain": (lambda x, y: tg.sin(tg.exp(x) * y), 21, 3),
    "numbers in between": (lambda x, y: (x * 3 + y) / 2, 21, 3),
    "a chain between sums": (lambda x, y: tg.sum(tg.exp(x - tg.sum(y)) * y), 23, 5),
    "a number before": (lambda x, y: (tg.sum(y) + 1) * x, 3, 3),
    "a number in between": (lambda x, y: [tg.exp(x) * y, tg.exp(tg.sum(x) * 1e-3), tg.sin(x)], 18, 6),
    "one operation only": (lambda x, y: x + y, 1, 1),
    "and one that is an output, too": (lambda x, y: [exp := tg.exp(x), tg.sin(exp) * y, exp * 2], 28, 4),
    "of another type": (lambda x, y: tg.greater(x, y) * tg.exp(x), 15, 3),
    "an input, read backwards": (lambda x, y: tg.sin(x * 2) + y[::-1], 15, 3),
    "of different lengths": (lambda x, y: [tg.exp(x), tg.sin(y[:50_000])], 2, 2),
    "one that is written where another one reads": (lambda x, y: twice_and_cosine(tg.sin(product_with_one(x)[1:])), 23, 5),
    "which is written where a number was": (lambda x, y: tg.astype(tg.greater(x, y), "float64") * 2 + y, 16, 4),
    "read in another order": (lambda x, y: tg.exp(x)[::-1] + tg.exp(x), 2, 2),
    "read one entry on": (lambda x, y: tg.sin(tg.exp(x))[1:] + tg.exp(x)[:-1], 15, 3),
    "a single entry of another one": (lambda x, y: tg.sin(tg.exp(x)) * tg.exp(x)[5], 15, 3),
    "in other shapes": (lambda x, y: tg.sin(tg.exp(x).reshape(2, -1)).reshape(-1) + y, 21, 3),
    "stretched": (lambda x, y: tg.exp(x) * tg.sum(y.reshape(2, -1), axis=1, keepdims=True).reshape(2)[0], 3, 3),
    "sums of rows": (lambda x, y: tg.exp(x.reshape(-1, 4)) * tg.sum(y.reshape(-1, 4), axis=0) + 1, 4, 4),
    "longer than a group": (lambda x, y: chain(x, 120), 840, 120),
}


def product_with_one(x):
    return (x.reshape(-1, 4) @ np.eye(4)).reshape(-1)


def twice_and_cosine(x):
    return x * 2 + tg.cos(x)


@pytest.mark.parametrize("f, calls, operations", IN_BLOCKS.values(), ids=IN_BLOCKS)
def test_large_arrays_are_computed_block_by_block(f, calls, operations):
    compiled, reusing = tg.compile(f), tg.compile(f, reuse_outputs=True)
    for _ in range(3):
        x, y = random(LARGE), random(LARGE)
        expected = leaves(f(tg.tensor(x), tg.tensor(y)))
        for g in (compiled, reusing):
            for a, b in zip(leaves(g(x, y)), expected, strict=True):
                np.testing.assert_allclose(a.data, b.data, rtol=1e-12)
    assert (len(compiled.program.instructions), len(compiled.program.computed)) == (calls, operations)


def test_parameters_that_are_handed_back_are_moved_block_by_block():
    optimizer, x, g = tg.optim.Adam(), random(LARGE), random(LARGE)
    step = tg.compile(optimizer.move, reuse_outputs=True)
    actual = expected = tg.tensor(x), [tg.tensor(0 * x), tg.tensor(0 * x)]
    for rates in ((0.1, 1e-8), (0.2, 1e-7), (0.3, 1e-6)):
        rates = [np.array(rate) for rate in rates]
        actual, expected = step(actual[0], g, actual[1], *rates), optimizer.move(expected[0], g, expected[1], *rates)
        for a, b in zip(leaves(actual), leaves(expected), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-13)
    assert len(step.program.instructions) == 7 * len(step.program.computed)


def test_a_running_sum_that_is_handed_back_stays_where_it_is():
    step = tg.compile(lambda total, new: (new + 0.9 * total, new * new), reuse_outputs=True)
    total = X
    for _ in range(3):
        total, _ = step(total, Y)
    np.testing.assert_allclose(total.data, 0.9 * (0.9 * (0.9 * X + Y) + Y) + Y)
    assert step.program.outputs[0] is step.program.inputs[0]


def test_a_running_sum_whose_old_value_is_needed_again_does_not():
    step = tg.compile(lambda total, new: (new + 0.9 * total, total * new), reuse_outputs=True)
    total, new = step(*step(X, Y))
    np.testing.assert_allclose(total.data, X * Y + 0.9 * (0.9 * X + Y))
    np.testing.assert_allclose(new.data, (0.9 * X + Y) * (X * Y))


PIECES = {  # name -> shapes of two matrices, dtype, whether the first one is transposed, and how many rows are computed at a time
    "the largest layer of a network": ((64, 784), (784, 256), "float32", False, 4),
    "a smaller one": ((64, 256), (256, 128), "float32", False, 16),
    "the gradient of its weights": ((64, 784), (64, 256), "float32", True, 56),
    "in double precision": ((64, 256), (256, 128), "float64", False, 16),
    "a million multiplications": ((500, 125), (125, 16), "float32", False, None),
    "one row more": ((112, 80), (80, 112), "float32", False, 56),
    "of whole numbers": ((64, 256), (256, 128), "int64", False, None),
    "in half precision": ((64, 256), (256, 128), "float16", False, None),
    "whose rows do not start where cache lines do": ((64, 256), (256, 120), "float32", False, None),
    "as large as the cache": ((64, 256), (256, 512), "float64", False, None),
    "a prime number of rows": ((61, 256), (256, 128), "float32", False, None),
    "a transposed matrix of few rows": ((784, 64), (784, 256), "float32", True, None),
}


@pytest.mark.parametrize("x_shape, y_shape, dtype, transposed, rows", PIECES.values(), ids=PIECES)
def test_a_large_product_of_matrices_is_many_small_ones_where_these_are_faster(x_shape, y_shape, dtype, transposed, rows, monkeypatch):
    def f(x, y):
        return (tg.permute_dims(x, (1, 0)) if transposed else x) @ y

    x, y = random(*x_shape, seed=1).astype(dtype), random(*y_shape, seed=2).astype(dtype)
    expected = np.matmul(np.float64(x.T if transposed else x), np.float64(y)).astype(dtype)
    for fast in (True, False):
        monkeypatch.setattr(compile_module, "is_small_fast", lambda fast=fast: fast)
        compiled = tg.compile(f)
        for _ in range(2):
            np.testing.assert_allclose(compiled(x, y).data, expected, rtol=1e-5 if dtype != "float16" else 1e-2)
        (run,) = compiled.program.instructions
        x_part, _, out = run.args
        assert run.func is (np.matmul if rows and fast else np.dot)
        assert out.shape[-2] == (rows if rows and fast else expected.shape[0])
        assert np.shares_memory(x_part, compiled.program.inputs[0]) and np.shares_memory(out, compiled.program.outputs[0])


def test_a_product_with_a_transposed_matrix_is_computed_at_once(monkeypatch):
    monkeypatch.setattr(compile_module, "is_small_fast", lambda: True)
    compiled = tg.compile(lambda x, y: x @ tg.permute_dims(y, (1, 0)))
    compiled(random(64, 256, dtype="float32"), random(128, 256, dtype="float32"))
    assert compiled.program.instructions[0].func is np.dot


@pytest.mark.parametrize("of_x, of_y", [
    (lambda x: x[:, ::2], lambda y: y[:256]), (lambda x: x[::-1, :256], lambda y: y[:256]),
    (lambda x: x[:, :256], lambda y: y[:256]), (lambda x: tg.broadcast_to(x[:1, :256], (64, 256)), lambda y: y[:256]),
    (lambda x: x * 1, lambda y: y[:, ::2]), (lambda x: x * 1, lambda y: y.reshape(-1)[1 : 1 + 512 * 64].reshape(512, 64)),
    (lambda x: x * 1, lambda y: tg.astype(y, "float32") * 1),
])  # fmt: skip
def test_a_product_of_matrices_that_blas_cannot_read_well_is_computed_at_once(of_x, of_y, monkeypatch):
    """Parts of others, rows that do not start where cache lines do, and two types."""
    monkeypatch.setattr(compile_module, "is_small_fast", lambda: True)
    x, y, compiled = random(64, 512), random(512, 128), tg.compile(lambda x, y: of_x(x) @ of_y(y))
    np.testing.assert_allclose(compiled(x, y).data, of_x(tg.tensor(x)).data @ of_y(tg.tensor(y)).data, rtol=1e-6)
    assert compiled.program.instructions[-1].func is np.dot


OF_NUMPY_2 = {"blas": {"name": "scipy-openblas"}}


@pytest.mark.parametrize("libraries, found, threads, fast", [
    (OF_NUMPY_2, ["X86_V3", "X86_V4"], "1", True), (OF_NUMPY_2, ["AVX2", "AVX512_SKX"], "1", True),
    (OF_NUMPY_2, ["AVX2"], "1", False), (OF_NUMPY_2, ["X86_V4"], "4", False), (OF_NUMPY_2, ["X86_V4"], None, False),
    ({"blas": {"name": "openblas64"}}, ["AVX512_SKX"], "1", False), (None, ["X86_V4"], "1", False), (OF_NUMPY_2, None, "1", False),
])  # fmt: skip
def test_small_products_are_fast_with_one_library_on_some_processors(libraries, found, threads, fast, monkeypatch):
    config = {"Build Dependencies": libraries, "SIMD Extensions": found and {"found": found}}
    monkeypatch.setattr(np, "show_config", lambda mode: {key: part for key, part in config.items() if part})
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads) if threads else monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert compile_module.is_small_fast.__wrapped__() is fast


# --------------------------------------------------------------------------------------------------- print and memory


def test_print_of_the_slides_example():
    x1, x2 = tg.tensor(2.0, name="x1"), tg.tensor(3.0, name="x2")

    @tg.compile
    def F(x1, x2):
        return (x1 + x2) * (x2 + 1)

    F(x1, x2)
    assert str(F.program) == """\
F: 3 operations recorded, 3 instructions, 128 bytes beside the inputs
  x1                     float64 ()  input
  x2                     float64 ()  input
  v2 = add(x1, x2)       float64 ()  at byte 0
  c3                     float64 ()  constant 1.
  v4 = add(x2, c3)       float64 ()  at byte 64
  v5 = multiply(v2, v4)  float64 ()  at byte 0"""


def test_print_of_the_gradient_of_the_slides_example():
    @tg.compile
    def gradient(x1, x2):
        return func.grad(lambda x1, x2: (x1 + x2) * (x2 + 1), argnums=(0, 1))(x1, x2)

    assert [g.item() for g in gradient(tg.tensor(2.0, name="x1"), tg.tensor(3.0, name="x2"))] == [4, 9]
    assert str(gradient.program) == """\
gradient: 7 operations recorded, 3 instructions, 128 bytes beside the inputs
  x1                float64 ()  input
  x2                float64 ()  input
  c2                float64 ()  constant 1.
  v3 = add(x2, c2)  float64 ()  at byte 0
  v4 = add(x1, x2)  float64 ()  at byte 64
  v5 = add(v3, v4)  float64 ()  at byte 64"""


def test_captured_constants_are_named_in_the_print():
    slope, ones, offset = (tg.tensor(value, name=name) for name, value in
                           {"slope": 3.0, "ones": np.ones(2), "offset": [0.5, 0.25]}.items())  # fmt: skip
    compiled = tg.compile(lambda x: x * slope * ones + offset)
    compiled(np.ones(2))
    text = str(compiled.program)
    for name, value in {"slope": "3.", "ones": "[1. 1.]", "offset": "[0.5 0.25]"}.items():
        assert any(line.split()[0] == name and line.endswith(f"constant {value}") for line in text.splitlines()[1:])


def test_the_print_is_the_same_every_time():
    def printed():
        compiled = tg.compile(func.hessian(lambda x: tg.sum(tg.sin(x) * x * tg.exp(x)) ** 2))
        compiled(V)
        return str(compiled.program)

    assert printed() == printed()


def test_there_is_nothing_to_print_before_the_first_call():
    with pytest.raises(ValueError, match="call the compiled function first"):
        print(tg.compile(tg.sin).program)


def peak_memory(f, *args):
    gc.collect()
    tracemalloc.start()
    try:
        f(*args)
        tracemalloc.reset_peak()
        f(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_peak_memory_of_ten_inner_steps_is_a_third_of_eager():
    """Buffers, and what a call asks for beside them.  (The objects that describe the program are extra: about 0.8 MB here.)"""
    eager = meta_gradient(steps=10)
    arguments = network((1, 40, 40, 1), np.float32), tasks(25, 10, np.float32)
    compiled = tg.compile(eager)
    compiled(*arguments)
    buffers = int(re.search(r"([\d,]+) bytes beside", str(compiled.program))[1].replace(",", ""))
    assert 3 * (buffers + peak_memory(compiled, *arguments)) <= peak_memory(eager, *arguments)


def test_memory_does_not_grow_over_calls_without_the_garbage_collector():
    compiled, arguments = tg.compile(meta_gradient(steps=2)), (network((1, 4, 1)), tasks(3, 4))
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            compiled(*arguments)
        tracemalloc.start()
        compiled(*arguments)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(500):
            compiled(*arguments)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 5_000 and gc.collect() == 0
    finally:
        gc.enable()


def test_a_compiled_function_inside_another_may_get_constants_beside_what_is_recorded():
    multiply = tg.compile(lambda x, y: x * y)
    outer = tg.compile(lambda x: multiply(x, Y))
    for x in (X, X + 1):
        assert_same(outer(x), tg.tensor(x * Y))


@pytest.mark.parametrize("batch", [(), (1,), (1, 1), (3,), (3, 1), (1, 3), (1, 1, 3)], ids=str)
def test_products_of_batches(batch):
    x, y = random(*batch, 2, 4), random(*batch, 4, 3)
    assert_same(tg.compile(tg.matmul)(x, y), tg.tensor(x @ y))
    assert_same(tg.compile(lambda x: tg.matmul(x, x.mT))(x), tg.tensor(x @ x.swapaxes(-1, -2)))
    assert_same(tg.compile(lambda x: tg.matmul(x.mT, x))(x), tg.tensor(x.swapaxes(-1, -2) @ x))


def test_a_row_times_a_column_of_every_matrix_of_many_batches():
    x, y = random(1, 1, 3, 1, 4), random(1, 1, 3, 4, 1)
    assert_same(tg.compile(tg.matmul)(x, y), tg.tensor(x @ y))
