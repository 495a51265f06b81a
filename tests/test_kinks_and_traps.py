"""Derivatives where they are a matter of convention (kinks), and where a formula that is right elsewhere gives nan (traps)."""

import numpy as np
import pytest

import tinygrad_meta as tg

inf = np.inf


def derivatives(f, x, order):
    """The first, second ... derivative of ``f``, each summed over its entries before the next, as arrays."""
    found = []
    for _ in range(order):
        f = tg.func.grad(lambda x, f=f: tg.sum(f(x)))
        found.append(f(np.array(x, float)).data)
    return found


def assert_derivatives(f, x, *expected):
    with np.errstate(divide="ignore", invalid="ignore"):  # of sqrt(-1), log(0) and 1 / 0, in branches that are not taken
        found = derivatives(f, x, len(expected))
    for order, (value, due) in enumerate(zip(found, expected, strict=True), start=1):
        np.testing.assert_allclose(value, np.broadcast_to(due, value.shape), rtol=1e-12, err_msg=f"order {order}")


@pytest.mark.parametrize("f, x, first", [
    (tg.relu, [-1, 0, 1], [0, 0, 1]),
    (tg.abs, [-2, 0, 2], [-1, 0, 1]),
    (tg.leaky_relu, [-1, 0, 1], [0.01, 0.01, 1]),
    (lambda x: tg.maximum(x, 1), [0, 1, 2], [0, 0.5, 1]),
    (lambda x: tg.minimum(x, 1), [0, 1, 2], [1, 0.5, 0]),
    (lambda x: tg.maximum(x, x), [3], [1]),
    (lambda x: tg.clip(x, -1, 1), [-2, -1, 0, 1, 2], [0, 1, 1, 1, 0]),
    (tg.max, [1, 3, 3, 3], [0, 1 / 3, 1 / 3, 1 / 3]),
    (tg.min, [1, 1, 3, 3], [1 / 2, 1 / 2, 0, 0]),
    (lambda x: tg.max(x, axis=1), [[2, 2], [1, 4]], [[0.5, 0.5], [0, 1]]),
    (tg.norm, [0, 0, 0], [0, 0, 0]),
    (lambda x: tg.norm(x, axis=-1), [[0, 0], [3, 4]], [[0, 0], [0.6, 0.8]]),
    (tg.std, [3, 3, 3], [0, 0, 0]),
], ids=["relu", "abs", "leaky_relu", "maximum", "minimum", "maximum of itself", "clip", "max", "min", "max by row", "norm",
        "norm by row", "std"])
def test_kinks(f, x, first):
    assert_derivatives(f, x, first)


@pytest.mark.parametrize("f", [tg.relu, tg.abs, tg.leaky_relu, tg.max, tg.min, lambda x: tg.maximum(x, 0),
                               lambda x: tg.clip(x, 0, 1)])
def test_second_derivative_of_what_is_straight_on_both_sides_is_zero_at_the_kink_too(f):
    assert_derivatives(lambda x: f(x) * 2, [0, 0, 1], derivatives(f, [0, 0, 1], 1)[0] * 2, 0, 0)


@pytest.mark.parametrize("f, first, second, third", [
    (lambda x: tg.where(x > 0, tg.sqrt(x), 0), 1 / 4, -1 / 32, 3 / 256),
    (lambda x: tg.where(x > 0, tg.log(x), 0), 1 / 4, -1 / 16, 1 / 32),
    (lambda x: tg.where(x > 0, 1 / x, 0), -1 / 16, 1 / 32, -3 / 128),
    (lambda x: tg.where(x > 0, x * x / x, 0), 1, 0, 0),
    (lambda x: tg.where(x > 0, tg.log1p(x - 1), 0), 1 / 4, -1 / 16, 1 / 32),
], ids=["sqrt", "log", "1 / x", "x * x / x", "log1p"])
def test_a_branch_that_where_does_not_take_adds_nothing_at_any_order(f, first, second, third):
    assert_derivatives(f, [0, 4, -1], [0, first, 0], [0, second, 0], [0, third, 0])


def test_a_condition_may_be_a_number_that_requires_a_gradient():
    x = tg.tensor([0.0, 2.0], requires_grad=True)
    assert tg.grad(tg.sum(tg.where(x, x * x, 1)), x)[0].data.tolist() == [0, 4]


def test_one_array_joined_along_its_last_axis():
    assert tg.gradcheck(lambda x: tg.concat([x * x], axis=-1), [np.ones((2, 3))])


def test_the_slope_of_a_root_at_zero_is_infinite():
    assert_derivatives(tg.sqrt, [0, 4], [inf, 1 / 4], [-inf, -1 / 32])


def test_a_root_that_is_multiplied_by_zero():
    assert_derivatives(lambda x: x * x * tg.sqrt(x), [0, 4], [0, 20], [0, 7.5])


@pytest.mark.parametrize("n, expected", [
    (0, [[0, 0], [0, 0], [0, 0]]),
    (1, [[1, 1], [0, 0], [0, 0]]),
    (2, [[0, -4], [2, 2], [0, 0]]),
    (3, [[0, 12], [0, -12], [6, 6]]),
])
@pytest.mark.parametrize("power", [lambda x, n: x**n, lambda x, n: tg.power(x, n), lambda x, n: x ** tg.tensor(float(n))],
                         ids=["x**n", "power(x, n)", "x**tensor(n)"])
def test_powers_at_zero_and_of_a_negative_number(power, n, expected):
    assert_derivatives(lambda x: power(x, n), [0, -2], *expected)


def test_powers_of_zero():
    assert_derivatives(lambda y: tg.power(0.0, y), [0, 0.5, 1, 2], 0, 0, 0)


def test_mixed_derivatives_of_zero_squared():
    H = tg.func.hessian(lambda v: tg.power(v[0], v[1]))(np.array([0.0, 2.0]))
    np.testing.assert_array_equal(H.data, [[2, 0], [0, 0]])


@pytest.mark.parametrize("f", [tg.std, tg.var, lambda x: tg.std(x, axis=0)], ids=["std", "var", "std by column"])
@pytest.mark.parametrize("x", [[3], [3, 3]], ids=["one entry", "equal entries"])
def test_first_derivative_of_no_spread_is_zero(f, x):
    assert_derivatives(f, x, 0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("x", [[], [2.0], [1.0, 3.0]], ids=str)
@pytest.mark.parametrize("ddof", [0, 1, 2, 3])
def test_averages_over_too_few_entries_are_those_of_numpy(x, ddof):
    np.testing.assert_array_equal(tg.mean(tg.tensor(x)).data, np.mean(x))
    for ours, numpy in ((tg.var, np.var), (tg.std, np.std)):
        np.testing.assert_allclose(ours(tg.tensor(x), ddof=ddof).data, numpy(x, ddof=ddof))


@pytest.mark.parametrize("index", [((0, 0), slice(None)), ([0, 0, 1],), (0, (1, 1)), range(2), (True,), (None, 0)], ids=str)
def test_the_gradient_of_an_index_that_names_a_place_twice(index):
    assert tg.gradcheck(lambda x: x[index] * x[index], [np.arange(4.0).reshape(2, 2)])


@pytest.mark.parametrize("ours, numpy", [
    (tg.sigmoid, lambda x: 1 / (1 + np.exp(-x))), (tg.softplus, lambda x: np.log1p(np.exp(x))), (tg.norm, np.linalg.norm),
    (tg.logsumexp, lambda x: np.log(np.sum(np.exp(x)))), (tg.softmax, lambda x: np.exp(x) / np.sum(np.exp(x))),
    (lambda x: x**2.0, lambda x: x**2.0), (tg.std, np.std),
])
def test_integers_do_not_overflow(ours, numpy):
    for dtype in ("uint8", "int8", "int16"):
        x = np.array([3, 100], dtype)
        np.testing.assert_allclose(ours(tg.tensor(x)).data, numpy(x.astype(float)))


@pytest.mark.parametrize("f", [tg.relu, tg.abs, tg.exp, tg.tanh, tg.sigmoid, tg.sum, tg.mean, lambda x: tg.where(x > 0, x, 0)])
def test_half_precision_stays(f):
    for transform in (lambda f: f, tg.compile):
        assert transform(f)(tg.tensor([1.0, -2.0], "float16")).dtype == np.float16


@pytest.mark.parametrize("transform", [lambda f: f, tg.compile])
def test_a_mean_fits_where_the_sum_does_not(transform):
    x, direction = np.full((1000, 100), 8, np.float16), np.full(100, 2, np.float16)
    for axis, shape in ((None, ()), (0, (100,))):
        mean = transform(lambda x, axis=axis: tg.mean(x, axis))(x)
        assert (mean.dtype, mean.shape) == (np.float16, shape) and (mean.data == 8).all()
    gradient = transform(tg.func.grad(lambda x: tg.sum(tg.mean(x, axis=0) * direction)))(x)
    assert gradient.dtype == np.float16 and np.allclose(gradient.data, 0.002, rtol=1e-3)


@pytest.mark.parametrize("transform", [lambda f: f, tg.compile])
def test_half_precision_adds_up_further_than_to_2048(transform):
    ones = np.ones((4000, 3), np.float16)
    for axis in (0, None):
        np.testing.assert_allclose(transform(lambda x, axis=axis: tg.mean(x, axis))(ones).data, 1, rtol=1e-3)
    np.testing.assert_allclose(transform(lambda x: tg.softmax(x, axis=0))(0 * ones).data, 1 / 4000, rtol=1e-2)
    gradient = tg.func.grad(lambda x: tg.sum(x + np.ones((4000, 3, 2), np.float16)))
    assert (transform(gradient)(np.zeros((1, 3, 1), np.float16)).data == 8000).all()


def test_no_derivative_leads_through_complex_numbers():
    x, i = tg.tensor(2.0, requires_grad=True), np.array(1j)
    with pytest.raises(TypeError, match="multiply led through complex numbers"):
        tg.grad(tg.abs(x * i + 1), x)
    with pytest.raises(TypeError, match="grad_outputs must be real numbers"):
        tg.grad(x * 2, x, i)
    with pytest.raises(TypeError, match="it takes real numbers, and the dtype is complex128"):
        tg.norm(tg.tensor([i, 1]))
    np.testing.assert_allclose(tg.var(tg.tensor([1j, 1.0])).data, np.var([1j, 1.0]))


def test_std_of_a_single_element_is_a_constant():
    assert_derivatives(tg.std, [3], 0, 0, 0)


@pytest.mark.parametrize("f, first", [
    (tg.sigmoid, [0, 0]),
    (tg.softplus, [0, 1]),
    (tg.silu, [0, 1]),
    (tg.tanh, [0, 0]),
], ids=["sigmoid", "softplus", "silu", "tanh"])
def test_saturated(f, first):
    assert_derivatives(f, [-1000, 1000], first, 0, 0)


@pytest.mark.parametrize("f, expected", [
    (tg.sigmoid, [0, 1]),
    (tg.softplus, [0, 1000]),
    (tg.silu, [0, 1000]),
], ids=["sigmoid", "softplus", "silu"])
def test_saturated_values(f, expected):
    np.testing.assert_array_equal(f(np.array([-1000.0, 1000.0])).data, expected)


LOGITS = [1e4, 1e4 - 1, -1e4, -inf]
P = np.exp([0, -1, -inf, -inf]) / np.sum(np.exp([0, -1]))  # their softmax


@pytest.mark.parametrize("f, value, first", [
    (tg.softmax, P, 0),
    (lambda x: tg.softmax(x)[0], P[0], P[0] * ([1, 0, 0, 0] - P)),
    (lambda x: tg.log_softmax(x)[0], np.log(P[0]), [1, 0, 0, 0] - P),
    (lambda x: tg.log_softmax(x)[2], -2e4 + np.log(P[0]), [0, 0, 1, 0] - P),
    (tg.logsumexp, 1e4 - np.log(P[0]), P),
    (lambda x: tg.nn.cross_entropy(x, 1), -np.log(P[1]), P - [0, 1, 0, 0]),
    (lambda x: tg.nn.cross_entropy(x, 2), 2e4 - np.log(P[0]), P - [0, 0, 1, 0]),
], ids=["softmax", "softmax[0]", "log_softmax[0]", "log_softmax[2]", "logsumexp", "cross_entropy 1", "cross_entropy 2"])
def test_large_logits(f, value, first):
    np.testing.assert_allclose(f(np.array(LOGITS)).data, value, rtol=1e-12)
    found = derivatives(f, LOGITS, 1)[0]
    np.testing.assert_allclose(found, np.broadcast_to(first, 4), atol=1e-12)


@pytest.mark.parametrize("f, sign", [
    (tg.logsumexp, 1),
    (lambda x: tg.log_softmax(x)[0], -1),
    (lambda x: tg.nn.cross_entropy(x, 1), 1),
], ids=["logsumexp", "log_softmax", "cross_entropy"])
def test_second_derivatives_at_large_logits(f, sign):
    """All three are a linear function plus or minus logsumexp, whose Hessian is diag(p) - p p^T."""
    H = tg.func.hessian(f)(np.array(LOGITS)).data
    np.testing.assert_allclose(H, sign * (np.diag(P) - np.outer(P, P)), atol=1e-12)


def test_second_derivatives_of_softmax_at_large_logits():
    H = tg.func.hessian(lambda x: tg.softmax(x)[0])(np.array(LOGITS)).data
    e = np.eye(4)[0]
    np.testing.assert_allclose(H, P[0] * (np.outer(e - P, e - P) - np.diag(P) + np.outer(P, P)), atol=1e-12)


@pytest.mark.parametrize(("subscripts", "shapes"), [("ij,jk->ik", [(2, 1), (3, 4)]), ("ij,jk->ik", [(2, 3), (1, 4)]),
                                                    ("ij,ij->", [(2, 3), (1, 3)]), ("ii,i->i", [(3, 3), (1,)])])  # fmt: skip
def test_einsum_stretches_axes_of_length_one(subscripts, shapes):
    arrays = [np.random.default_rng(i).random(shape) for i, shape in enumerate(shapes)]
    f = lambda *operands: tg.einsum(subscripts, *operands)  # noqa: E731
    np.testing.assert_allclose(f(*arrays).data, np.einsum(subscripts, *arrays))
    assert tg.gradcheck(f, arrays) and tg.gradgradcheck(f, arrays)


def test_norm_and_std_of_numbers_whose_squares_vanish():
    for f, values in ((tg.norm, [1e-23, 1e-23]), (tg.std, [0, 1e-24])):
        x = tg.tensor(values, "float32", requires_grad=True)
        assert np.isfinite(tg.grad(f(x), x)[0].data).all()
