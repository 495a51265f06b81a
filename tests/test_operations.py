"""What holds for every operation, tested on every row of the table."""

import numpy as np
import pytest
from operation_table import TABLE, torch

import tinygrad_meta as tg
from tinygrad_meta.gradcheck import gradcheck, gradgradcheck
from tinygrad_meta.ops import OPERATIONS
from tinygrad_meta.tensor import detectors

PUBLIC = """
    add subtract multiply divide negative power square sqrt exp expm1 log log1p sin cos tanh sigmoid softplus relu leaky_relu
    silu abs sign maximum minimum clip where sum mean var std max min logsumexp softmax log_softmax norm matmul outer einsum
    permute_dims swapaxes reshape expand_dims squeeze broadcast_to sum_to concat stack pad getitem greater greater_equal less
    less_equal equal not_equal argmax argmin windows overlap_add
""".split()

# shapes that broadcast against each other; an operation of three inputs uses the first one twice
STRETCHED = [((3, 1), (1, 4)), ((2, 3), ()), ((), (2, 3)), ((3,), (2, 3)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3)), ((), ())]


def each(rows):
    return pytest.mark.parametrize("row", rows, ids=str)


smooth = each([row for row in TABLE if row.derivative])
several_inputs = [row for row in TABLE if row.elementwise and len(row.domains) > 1]
stretched = pytest.mark.parametrize("shapes", STRETCHED, ids=lambda shapes: "-".join(map(str, shapes)).replace(" ", ""))


def stretch(row, shapes):
    return row.arrays((*shapes, shapes[0])[: len(row.domains)])


def tensors(arrays):
    return [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]


def weights(out):
    """A fixed random cotangent.  With ones, as from ``out.sum()``, softmax and others have no gradient at all to compare."""
    return np.random.default_rng(2).standard_normal(out.shape)


def derivative(f, arrays):
    """The gradient of a weighted sum of the results, as a function: its own derivatives are the second ones of ``f``."""
    floating = tuple([i for i, x in enumerate(arrays) if x.dtype.kind == "f"])

    def weighted_sum(*xs):
        out = f(*xs)
        return tg.sum(out * weights(out))

    return tg.func.grad(weighted_sum, floating)


def test_the_table_is_complete():
    assert {*PUBLIC, *OPERATIONS} - {row.name for row in TABLE} == set()
    assert [name for name in PUBLIC if not hasattr(tg, name)] == []


@each(TABLE)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_values_and_dtype(row, dtype, tolerance):
    arrays = row.arrays(dtype=dtype)
    expected = row.numpy(*row.arrays(), **row.attrs)
    out = row(*tensors(arrays))
    assert out.shape == np.shape(expected)
    np.testing.assert_allclose(out.data, expected, rtol=tolerance, atol=tolerance)
    if row.derivative and row.name != "cast":
        assert out.dtype == dtype


@smooth
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_gradient_has_the_shape_and_dtype_of_its_input(row, dtype):
    xs = tensors(row.arrays(dtype=dtype))
    out, differentiable = row(*xs), [x for x in xs if x.requires_grad]
    for x, g in zip(differentiable, tg.grad(out, differentiable, weights(out)), strict=True):
        assert (g.shape, g.dtype) == (x.shape, x.dtype)


class Types:
    """Notes the dtypes of all results, from where detect_anomaly() looks at them."""

    thread = None

    def __enter__(self):
        self.seen = set()
        detectors.append(self)
        return self.seen

    def __exit__(self, *_):
        detectors.remove(self)

    def inspect(self, out, op, inputs):
        self.seen.add(str(out.dtype))

    def inspect_rule(self, *_):
        pass


@each([row for row in TABLE if row.derivative and row.name != "cast"])
def test_rules_widen_nothing_on_the_way(row):
    xs = tensors(row.arrays(dtype=np.float32))
    with Types() as seen:
        out, differentiable = row(*xs), [x for x in xs if x.requires_grad]
        cotangent = tg.tensor(weights(out), dtype="float32", requires_grad=True)
        first = tg.grad(out, differentiable, cotangent, create_graph=True)
        tg.grad([tg.sum(g * g) for g in first], [cotangent, *differentiable], allow_unused=True)
    assert "float64" not in seen


@smooth
def test_first_derivative(row):
    assert gradcheck(row, row.arrays())


@smooth
def test_second_derivative(row):
    assert gradgradcheck(row, row.arrays())


@smooth
def test_third_derivative(row):
    assert gradgradcheck(derivative(row, row.arrays()), row.arrays())


@each(several_inputs)
@stretched
def test_broadcasting(row, shapes):
    arrays = stretch(row, shapes)
    np.testing.assert_allclose(row(*arrays).data, row.numpy(*arrays), rtol=1e-12)
    if row.derivative:
        assert gradcheck(row, arrays)
        assert gradgradcheck(row, arrays)


@each([row for row in several_inputs if len(row.domains) == 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_python_number_on_either_side_widens_nothing(row, dtype):
    x, y = row.arrays(dtype=dtype)
    for args, expected in [((tg.tensor(x), 1.5), row.numpy(x, dtype(1.5))), ((1.5, tg.tensor(y)), row.numpy(dtype(1.5), y))]:
        out = row(*args)
        np.testing.assert_allclose(out.data, expected, rtol=1e-5)
        assert out.dtype == expected.dtype


@each([row for row in TABLE if row.elementwise])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3)], ids=str)
def test_single_numbers_and_no_numbers(row, shape):
    arrays = row.arrays([shape] * len(row.domains))
    out = row(*arrays)
    assert out.shape == shape
    np.testing.assert_allclose(out.data, row.numpy(*arrays, **row.attrs), rtol=1e-12)
    if row.derivative:
        assert gradcheck(row, arrays)
        assert gradgradcheck(row, arrays)


@smooth
def test_inputs_in_any_memory_layout(row):
    """Transposed and reversed views of the inputs give the same values and gradients as the inputs themselves."""
    arrays = row.arrays()

    def through_views(*xs):
        return row(*[tg.permute_dims(x[::-1] if x.ndim else x) for x in xs])

    def twisted(x):
        return x.T[::-1] if x.ndim else x

    def compare(f, xs):
        xs = tensors(xs)
        out = f(*xs)
        return out.data, [g.data for g in tg.grad(out, [x for x in xs if x.requires_grad], weights(out))]

    value, gradients = compare(row, arrays)
    value_too, twisted_gradients = compare(through_views, [twisted(x) for x in arrays])
    np.testing.assert_allclose(value_too, value, rtol=1e-12)
    for g, h in zip(gradients, twisted_gradients, strict=True):
        np.testing.assert_allclose(h, twisted(g), rtol=1e-12, atol=1e-15)


@each([row for row in TABLE if not row.derivative])
def test_no_derivative(row):
    xs = tensors(row.arrays())
    out = row(*xs)
    assert not out.requires_grad
    with pytest.raises((TypeError, ValueError), match="floating-point|no gradient for input 0"):
        tg.grad(out, xs, weights(out))


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@each([row for row in TABLE if row.torch and row.derivative])
def test_first_and_second_derivatives_are_those_of_pytorch(row):
    arrays = row.arrays()
    cotangent = weights(row.numpy(*arrays, **row.attrs))
    ours, theirs = tensors(arrays), [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]

    def derivatives(grad, out, xs, as_tensor):
        """The result, the gradients, and the gradients of the sum of their squares."""
        xs = [x for x in xs if x.requires_grad]
        first = grad(out, xs, as_tensor(cotangent), create_graph=True, allow_unused=True)
        squares = [(g * g).sum() for g in first if g.requires_grad]
        second = grad(squares, xs, allow_unused=True) if squares else [None for _ in xs]
        return [out, *first, *[x * 0 if g is None else g for g, x in zip(second, xs, strict=True)]]

    reference = derivatives(torch.autograd.grad, row.torch(*theirs, **row.attrs), theirs, torch.tensor)
    for t, expected in zip(derivatives(tg.grad, row(*ours), ours, tg.tensor), reference, strict=True):
        np.testing.assert_allclose(t.data, expected.detach().clone().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("operands, count", [([np.ones(2)], 1), ([np.ones(2)] * 3, 3)])
def test_einsum_counts_its_operands(operands, count):
    with pytest.raises(ValueError, match=f"{count} operands for the 2 terms of 'i,i->'"):
        tg.einsum("i,i->", *operands)


def test_einsum_without_an_output_sorts_the_letters_that_stand_once():
    x, y = np.arange(32.0).reshape(2, 1, 2, 1, 2, 1, 4), np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(tg.einsum("hgfedca, ha", x, y).data, np.einsum("hgfedca,ha", x, y))
    np.testing.assert_array_equal(tg.einsum("hgfedca", x).data, np.einsum("hgfedca", x))
    np.testing.assert_array_equal(tg.einsum("...ba, ba", x, np.ones((1, 4))).data, x.sum((-1, -2)))


def test_sums_of_no_exponentials():
    nothing = tg.tensor(np.ones((2, 0)), requires_grad=True)
    with np.errstate(divide="ignore"):
        assert tg.logsumexp(nothing, axis=-1).data.tolist() == [-np.inf, -np.inf]
        for f in (tg.softmax, tg.log_softmax):
            assert tg.grad(f(nothing).sum(), nothing)[0].shape == f(nothing).shape == (2, 0)


@pytest.mark.parametrize("axis", [0, 1])
def test_many_parts_are_joined_in_groups_and_each_gets_its_gradient(axis):
    parts = [tg.tensor(part, requires_grad=True) for part in np.split(np.arange(1000.0).reshape(2, 500), 500, axis=1)]
    parts = parts if axis else [tg.tensor(part.data.T, requires_grad=True) for part in parts]
    out = tg.concat(parts, axis)
    assert len(out.inputs) < 100 and out.shape == ((2, 500) if axis else (500, 2))
    gradients = tg.grad(out, parts, out.data)
    assert all((g.data == part.data).all() for g, part in zip(gradients, parts, strict=True))
    assert tg.stack([tg.tensor(1.0, "float32"), *range(500)]).dtype == "float32"
