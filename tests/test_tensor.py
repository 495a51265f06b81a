"""Tensors: what they remember, how they print, how they meet NumPy and Python, and what they refuse."""

import copy
import pickle
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta.tensor import NUMPY_FUNCTIONS


def test_a_result_remembers_operation_inputs_and_attributes():
    x = tg.tensor([[1.0, 2.0]], requires_grad=True, name="x")
    total = tg.sum(x, 1)
    assert total.op.name == "sum" and total.inputs == (x,) and total.attrs == {"axis": 1}
    assert x.op is None and x.inputs == () and x.attrs == {}
    assert total.order > x.order


def test_constants_are_not_recorded():
    x = tg.tensor(1.0)
    assert (x * 2 + 1).op is None


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: tg.tensor(2.0), "Tensor(2.0, dtype=float64)"),
        (lambda: tg.tensor(1, requires_grad=False), "Tensor(1, dtype=int64)"),
        (lambda: tg.tensor([1.0, 2.0], "float32", True, "w"), "Tensor([1. 2.], dtype=float32, requires_grad=True, name='w')"),
        (lambda: tg.tensor(3.0, requires_grad=True) * 2, "Tensor(6.0, dtype=float64, op=multiply)"),
    ],
)
def test_repr(make, text):
    assert repr(make()) == text


def test_data_is_copied_in_and_read_only():
    array = np.ones(2)
    x = tg.tensor(array)
    array[0] = 7
    assert x.data.tolist() == [1, 1]
    with pytest.raises(ValueError, match="read-only"):
        x.data[0] = 7
    copy = x.numpy()
    copy[0] = 7
    assert x.data.tolist() == [1, 1]


def test_arrays_that_enter_a_graph_are_copied_too():
    x, array = tg.tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    y = (x * array).sum()
    array[:] = 0
    assert tg.grad(y, x)[0].data.tolist() == [3, 4]


def test_python_numbers_never_widen():
    for dtype in (np.float16, np.float32, np.float64):
        x = tg.tensor([1.5], dtype=dtype, requires_grad=True)
        for y in (x * 2, 2.0 * x, x + 1e300 * 0, x**3, 2**x, x / 3, 1 - x, tg.where(x > 0, x, 0.0), tg.maximum(x, 0), x.mean()):
            assert y.dtype == dtype
            assert tg.grad(y.sum(), x, allow_unused=True)[0].dtype == dtype
    assert (tg.tensor([1, 2]) * 2).dtype == np.int64
    assert (tg.tensor([1, 2]) * 2.5).dtype == np.float64


def test_mixed_precision_gradients_keep_their_inputs_type():
    x, y = tg.tensor([1.0], "float32", requires_grad=True), tg.tensor([2.0], "float64", requires_grad=True)
    gx, gy = tg.grad(x * y, [x, y])
    assert (gx.dtype, gy.dtype) == (np.float32, np.float64)


def test_python_conversions():
    x = tg.tensor(2.5)
    assert (float(x), int(x), bool(x), x.item(), f"{x:.2f}") == (2.5, 2, True, 2.5, "2.50")
    assert [v.item() for v in tg.tensor([1.0, 2.0])] == [1, 2]
    assert len(tg.tensor([1.0, 2.0])) == 2
    with pytest.raises(ValueError, match=r"one element.*\(2,\)"):
        bool(tg.tensor([1.0, 2.0]))


def test_tensors_are_hashable_by_identity():
    x, y = tg.tensor(1.0), tg.tensor(1.0)
    assert len({x, y}) == 2


NUMPY_CALLS = [
    lambda np, x: np.sin(x), lambda np, x: np.exp(x) / 2, lambda np, x: np.sum(x, axis=0), lambda np, x: np.mean(x, 1),
    lambda np, x: np.matmul(x, x.T), lambda np, x: np.where(x > 0.5, x, 0), lambda np, x: np.clip(x, 0.2, 0.8),
    lambda np, x: np.concatenate([x, x], axis=1), lambda np, x: np.stack([x, x]), lambda np, x: np.transpose(x),
    lambda np, x: np.reshape(x, (6,)), lambda np, x: np.max(x, axis=0), lambda np, x: np.std(x, axis=1, ddof=1),
    lambda np, x: np.einsum("ij,kj->ik", x, x), lambda np, x: np.expand_dims(x, 0), lambda np, x: np.linalg.norm(x, axis=1),
    lambda np, x: np.pad(x, 1), lambda np, x: np.maximum(x, 0.5), lambda np, x: np.swapaxes(x, 0, 1), lambda np, x: np.abs(x),
    lambda np, x: np.broadcast_to(x, (4, 2, 3)), lambda np, x: np.outer(x, x), lambda np, x: np.power(x, 2.0),
]  # fmt: skip


@pytest.mark.parametrize("call", NUMPY_CALLS)
def test_numpys_functions_give_tensors_with_a_graph(call):
    array = np.random.default_rng(0).random((2, 3))
    x = tg.tensor(array, requires_grad=True)
    result = call(np, x)
    assert isinstance(result, tg.Tensor) and result.requires_grad
    np.testing.assert_allclose(result.data, call(np, array))


def test_what_has_the_same_name_in_numpy_can_be_called_there():
    names = {name for name in dir(tg) if callable(getattr(tg, name)) and callable(getattr(np, name, None))}
    assert len(names) > 40
    for name in names - {"astype", "clip", "pad"}:  # NumPy's takes arrays only; and two whose arguments differ, above
        assert NUMPY_FUNCTIONS[getattr(np, name)] is getattr(tg, name), name


def test_array_and_tensor_mix_in_either_order():
    x, array = tg.tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    for mixed in (array + x, x + array, array @ x, np.float64(3) * x):
        assert isinstance(mixed, tg.Tensor) and mixed.requires_grad


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: np.sinh(x), "np.sinh"), (lambda x: np.cumsum(x), "cumsum"), (lambda x: np.add.reduce(x), "add.reduce"),
        (lambda x: np.sin(x, out=np.empty(2)), "np.sin"), (lambda x: np.median(x), "median"),
        (lambda x: np.linalg.norm(x, ord=1), "ord=1"), (lambda x: np.pad(x, 1, mode="edge"), "mode='edge'"),
    ],
)  # fmt: skip
def test_numpy_functions_without_a_rule_are_refused_by_name(call, name):
    with pytest.raises(TypeError, match=name):
        call(tg.tensor([1.0, 2.0], requires_grad=True))


def test_no_graph_is_cut_off_unseen():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    for convert in (np.asarray, np.array, lambda t: np.array([t[0], t[1]])):
        with pytest.raises(TypeError, match=r"\.numpy\(\)"):
            convert(x)
    with pytest.raises(TypeError):
        tg.tensor(x)
    array = np.zeros(2)
    with pytest.raises(TypeError):
        array += x
    assert np.asarray(tg.tensor([1.0])).tolist() == [1.0]


@pytest.mark.parametrize("data", ["text", [1.0, None], {"a": 1}])
def test_only_numbers_are_tensors(data):
    with pytest.raises(TypeError, match="numbers"):
        tg.tensor(data)


@pytest.mark.parametrize("dtype", [int, bool, complex])
def test_only_real_floats_require_a_gradient(dtype):
    with pytest.raises(TypeError, match="floating-point.*dtype=float"):
        tg.tensor([1, 0], dtype=dtype, requires_grad=True)
    with pytest.raises(TypeError, match="floating-point"):
        tg.grad(tg.tensor(1.0, requires_grad=True) * 2, tg.tensor([1, 0], dtype=dtype))


def test_detach_is_a_constant():
    x = tg.tensor(2.0, requires_grad=True)
    assert tg.grad(x * x.detach(), x)[0].item() == 2


def test_indexing():
    array = np.arange(24.0).reshape(2, 3, 4)
    x = tg.tensor(array, requires_grad=True)
    rows = tg.tensor([0, 0, 2])
    for index in (0, -1, slice(1), (slice(None), 1), (..., None, 2), (slice(None, None, -1), slice(0, 3, 2)),
                  np.array([1, 0, 1]), array > 3, (0, rows.data), ([0, 1], [2, 2])):  # fmt: skip
        y = x[index]
        np.testing.assert_array_equal(y.data, array[index])
        expected = np.zeros_like(array)
        np.add.at(expected, index, 1.0)
        np.testing.assert_array_equal(tg.grad(y.sum(), x)[0].data, expected)
    np.testing.assert_array_equal(x[0, rows].data, array[0, [0, 0, 2]])
    with pytest.raises(TypeError, match="assign"):
        x[0] = 1


def test_a_copy_is_a_leaf_of_its_own():
    """Its number is what the backward pass tells tensors apart by."""
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    for copied in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert copied.name == "x" and copied.requires_grad
        assert [g.data.tolist() for g in tg.grad((3 * x + 5 * copied).sum(), [x, copied])] == [[3, 3], [5, 5]]
    with pytest.raises(TypeError, match="detach"):
        copy.copy(x * 2)


def reverse(attribute):
    """In place, at the bottom of whatever structure it is."""
    if isinstance(attribute[0], (list, np.ndarray)) and isinstance(attribute, (list, tuple)):
        for part in attribute:
            reverse(part)
    else:
        attribute[:] = attribute[::-1] if isinstance(attribute, list) else attribute[::-1].copy()


@pytest.mark.parametrize("f, attribute", [
    (lambda x, i: x[i], [0, 1]), (lambda x, i: x[i], np.array([0, 1])), (lambda x, i: x[i], [np.array([0, 1]), np.array([1, 2])]),
    (tg.getitem, [0, 1]), (tg.getitem, np.array([0, 1])), (tg.getitem, (np.array([0, 1]), np.array([1, 2]))),
    (lambda x, i: tg.getitem(x, index=i), [0, 1]), (tg.pad, [1, 2]), (tg.pad, np.array([[1, 2], [3, 4], [5, 6]])),
    (tg.pad, [[1, 2], [3, 4], [5, 6]]), (np.pad, np.array([1, 2])), (tg.permute_dims, [2, 0, 1]), (np.transpose, [2, 0, 1]),
])  # fmt: skip
def test_what_the_backward_pass_reads_is_a_copy(f, attribute):
    x = tg.tensor(np.zeros((3, 4, 5)), requires_grad=True)
    out = f(x, attribute)
    expected = np.random.default_rng(0).random(out.shape)
    before = tg.grad(out, x, expected)
    reverse(attribute)
    np.testing.assert_array_equal(tg.grad(out, x, expected)[0].data, before[0].data)


@pytest.mark.parametrize("x", [2.0, tg.tensor(2.0)])
def test_arguments_too_many_or_twice_are_refused(x):
    with pytest.raises(TypeError, match="sin takes at most 1 by position, and got 2"):
        tg.sin(x, 5)
    with pytest.raises(TypeError, match="axis"):
        tg.sum(x, None, axis=0)


def test_an_array_made_from_a_tensor_is_a_copy():
    x = tg.tensor([1.0, 2.0])
    for array in (np.asarray(x), np.array(x), x.numpy()):
        array[0] = 7
    assert x.data.tolist() == [1, 2]


@pytest.mark.parametrize("call", [lambda x: tg.sum(x, axis=5), lambda x: tg.swapaxes(x, 0, 5), lambda x: tg.softmax(x, axis=5)])
def test_an_axis_that_does_not_exist_is_the_error_that_numpy_raises(call):
    with pytest.raises(np.exceptions.AxisError, match="axis 5 is out of bounds"):
        call(tg.tensor([1.0]))


HALF = tg.tensor(0.5, "float16")


@pytest.mark.parametrize("call, expected", [
    (lambda: tg.concat(tg.tensor([[1.0], [2.0]])).data.tolist(), [1, 2]),
    (lambda: tg.stack({"a": tg.tensor(1.0), "b": tg.tensor(2.0)}.values()).data.tolist(), [1, 2]),
    (lambda: len(tg.nn.init_mlp(np.array([1, 4, 1]), rng=0)), 2),
    (lambda: (+tg.tensor(2.0)).item(), 2),
    (lambda: [x.dtype for x in (tg.nn.mse_loss(HALF, 0.0), tg.nn.mse_loss(0.0, HALF), tg.outer(2.0, HALF), tg.outer(HALF, 2.0),
                                tg.einsum(",->", 2.0, HALF), tg.clip(0.5, HALF, 1.0), tg.clip(0.5, None, HALF))],
     ["float16"] * 7),
    (lambda: tg.tree.tree_map(lambda x: x + 1, OrderedDict(a=1, b=2)), OrderedDict(a=2, b=3)),
    (lambda: type(tg.tree.tree_map(lambda x: x, OrderedDict(a=1))), OrderedDict),
    (lambda: tg.tree.tree_map(lambda x: x, defaultdict(list, a=1))["b"], []),
    (lambda: tg.optim.SGD(np.array(0.1)).step_size, 0.1),
    (lambda: tg.optim.SGD(0.5).step([np.array([1.0])], [np.array([2.0])])[0].data.tolist(), [0]),
    (lambda: tg.var(tg.tensor([1.0, 3.0]), ddof=0.5).item(), 2 / 1.5),
    (lambda: len(tg.func.grad(lambda x, y: x * y, argnums=range(2))(2.0, 3.0)), 2),
    (lambda: tg.func.grad(lambda x, y: x * y, argnums=np.int64(1))(2.0, 3.0).item(), 2),
])
def test_arguments_of_related_types_are_taken(call, expected):
    assert call() == expected
