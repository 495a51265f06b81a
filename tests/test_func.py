"""Derivatives of functions: several routes to the same derivative must agree."""

import numpy as np
import pytest

import tinygrad_meta as tg

rng = np.random.default_rng(0)
A, X, V = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)


def f(x):
    return tg.sin(A @ x) @ tg.exp(x)


def numerical_gradient(f, x, eps=1e-6):
    steps = np.eye(len(x)) * eps
    return np.array([(f(x + s).item() - f(x - s).item()) / (2 * eps) for s in steps])


def test_gradient():
    g = tg.func.grad(f)(X)
    np.testing.assert_allclose(g.data, numerical_gradient(f, X), rtol=1e-6)
    assert not g.requires_grad, "a derivative at the top level holds on to no graph"


def test_five_routes_to_the_hessian_agree():
    hessian = tg.func.hessian(f)(X).data
    by_hvp = np.stack([tg.func.hvp(f, X, e).data for e in np.eye(3)], axis=1)
    by_jvp_of_grad = np.stack([tg.func.jvp(tg.func.grad(f), (X,), (e,))[1].data for e in np.eye(3)], axis=1)
    by_vjp_of_grad = np.stack([tg.func.vjp(tg.func.grad(f), X)[1](e)[0].data for e in np.eye(3)])
    by_differences = np.stack([(tg.func.grad(f)(X + e).data - tg.func.grad(f)(X - e).data) / 2e-5 for e in 1e-5 * np.eye(3)])
    for other in (by_hvp, by_jvp_of_grad, by_vjp_of_grad):
        np.testing.assert_allclose(other, hessian, rtol=1e-12)
    np.testing.assert_allclose(by_differences, hessian, rtol=1e-6)


def test_nested_gradients_do_not_confuse_their_variables():
    """d/dx [x * d/dy (x * y)] at y = x: the inner derivative is x, and not 2 x."""
    outer = tg.func.grad(lambda x: x * tg.func.grad(lambda y: x * y)(x))
    assert outer(3.0).item() == 6


def test_derivatives_of_every_order():
    d = tg.sin
    for expected in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        d = tg.func.grad(d)
        assert d(0.7).item() == pytest.approx(expected(0.7))


@pytest.mark.parametrize(
    ("derivative", "expected"),
    [
        (lambda: tg.func.grad(lambda x: x * tg.func.grad(lambda y: x * y)(2.0))(3.0), 6),
        (lambda: tg.func.grad(lambda x: tg.func.jvp(tg.sin, (x,), (1.0,))[1])(0.3), -np.sin(0.3)),
        (lambda: tg.func.grad(lambda t: t * t + tg.func.jvp(tg.sin, (0.3,), (t,))[1])(1.0), 2 + np.cos(0.3)),
        (lambda: tg.func.grad(lambda v: v * tg.func.hvp(lambda x: x**3, 2.0, v))(5.0), 2 * 5 * 12),
        (lambda: tg.func.jvp(lambda x: tg.func.jvp(tg.sin, (x,), (1.0,))[1], (0.3,), (1.0,))[1], -np.sin(0.3)),
        (lambda: tg.func.vjp(lambda x: x, 2.0)[1](1.0)[0], 1),
        (lambda: tg.func.jvp(tg.sqrt, (0.0,), (1.0,))[1], np.inf),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_transforms_of_transforms(derivative, expected):
    assert derivative().item() == pytest.approx(expected) and not derivative().requires_grad


def test_a_nested_derivative_leaves_nothing_behind():
    """Or every step of gradient descent on it would hang on to all the steps before."""
    f = lambda x: x * tg.func.grad(lambda y: x * y * y)(1.0)  # noqa: E731
    w = tg.tensor(1.0)
    for _ in range(3):
        w = w - 0.1 * tg.func.grad(f)(w)
    assert w.op is None and not w.requires_grad


def test_jvp_of_a_result_with_a_constant_part():
    _, tangent = tg.func.jvp(lambda x: {"a": x * 2, "b": tg.tensor(3.0)}, (1.0,), (1.0,))
    assert (tangent["a"].item(), tangent["b"].item()) == (2, 0)


def test_a_constant_derivative_has_derivative_zero():
    cube = lambda x: x * x * x  # noqa: E731
    fourth = tg.func.grad(tg.func.grad(tg.func.grad(tg.func.grad(cube))))
    assert fourth(2.0).item() == 0
    assert tg.func.hessian(lambda x: (A @ x).sum())(X).data.tolist() == np.zeros((3, 3)).tolist()
    assert tg.func.hvp(lambda x: x.sum(), X, V).data.tolist() == [0, 0, 0]


def test_but_a_result_that_is_cut_off_is_an_error():
    for cut in (lambda x: tg.tensor(np.sin(x.numpy())), lambda x: x.detach() * 2, lambda x: 3.0):
        with pytest.raises(ValueError, match="does not depend on argument"):
            tg.func.grad(cut)(1.0)
    with pytest.raises(ValueError, match="leaf 1"):
        tg.func.grad(lambda p: p[0] * 2)([1.0, 1.0])


def test_structures():
    params = {"layers": [(np.ones((2, 1)), np.zeros((1, 1)))], "scale": 2.0}

    def loss(p, x):
        ((w, b),) = p["layers"]
        return p["scale"] * tg.square(x @ w + b).sum()

    value, grads = tg.func.value_and_grad(loss)(params, np.ones((3, 2)))
    assert value.item() == 24 and grads["scale"].item() == 12 and list(grads) == ["layers", "scale"]
    assert grads["layers"][0][0].shape == (2, 1) and isinstance(grads["layers"][0], tuple)
    hessian = tg.func.hessian(loss)(params, np.ones((3, 2)))
    assert hessian["layers"][0][0]["layers"][0][1].shape == (2, 1, 1, 1)
    assert hessian["scale"]["scale"].item() == 0
    product = tg.func.hvp(lambda p: loss(p, np.ones((3, 2))), params, grads)
    assert product["scale"].item() == pytest.approx(
        (hessian["scale"]["layers"][0][0].data * grads["layers"][0][0].data).sum()
        + (hessian["scale"]["layers"][0][1].data * grads["layers"][0][1].data).sum()
    )


def test_keyword_arguments_are_handed_on():
    assert tg.func.grad(lambda x, n=2: x**n)(3.0, n=3).item() == 27
    assert [out.item() for out in tg.func.value_and_grad(lambda x, y, *, scale: scale * x * y, argnums=1)(3.0, 5.0, scale=2.0)] == [30, 6]


def test_argnums():
    F = lambda x1, x2: (x1 + x2) * (x2 + 1)  # noqa: E731
    assert tg.func.grad(F, 1)(2.0, 3.0).item() == 9
    blocks = tg.func.hessian(F, (0, 1))(2.0, 3.0)
    assert [[h.item() for h in row] for row in blocks] == [[0, 1], [1, 2]]


def test_jacobian_shapes_and_values():
    jacobian = tg.func.jacobian(lambda x: tg.stack([x.sum() * x, x * x]))(X)
    assert jacobian.shape == (2, 3, 3)
    np.testing.assert_allclose(jacobian.data[0], X[:, None] + np.eye(3) * X.sum())
    a, b = tg.func.jacobian(lambda x: (x * 2, x.sum()))(X)
    assert a.shape == (3, 3) and b.shape == (3,)
    assert tg.func.jacobian(lambda x: x * 2)(np.zeros((0,))).shape == (0, 0)


def test_vjp_and_jvp_transpose_each_other():
    g = lambda x, y: (x * y, tg.sin(x))  # noqa: E731
    out, vjp_fn = tg.func.vjp(g, X, V)
    cotangents, tangents = (rng.normal(size=3), rng.normal(size=3)), (rng.normal(size=3), rng.normal(size=3))
    _, pushed = tg.func.jvp(g, (X, V), tangents)
    pulled = vjp_fn(cotangents)
    left = sum((c * p.data).sum() for c, p in zip(cotangents, pushed, strict=True))
    right = sum((t * p.data).sum() for t, p in zip(tangents, pulled, strict=True))
    assert left == pytest.approx(right) and not out[0].requires_grad


def test_transforms_work_inside_no_grad_and_inside_recordings():
    x = tg.tensor(2.0, requires_grad=True)
    with tg.no_grad():
        assert tg.func.grad(lambda y: y * y * x)(3.0).item() == 12
        assert not tg.func.grad(lambda y: y * y * x)(3.0).requires_grad
    g = tg.func.grad(lambda y: y * y * x)(tg.tensor(3.0))
    assert tg.grad(g, x)[0].item() == 6, "the closed-over x can be differentiated afterwards"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tg.func.grad(lambda x: x * 2)(X), ValueError, r"single number.*\(3,\)"),
        (lambda: tg.func.grad(lambda x: (x, x))(1.0), ValueError, "tuple"),
        (lambda: tg.func.grad(lambda x: x * 2)(1), TypeError, "int64"),
        (lambda: tg.func.hvp(lambda p: p["a"] ** 2, {"a": 1.0}, {"b": 1.0}), ValueError, "keys"),
        (lambda: tg.func.vjp(tg.sin, X)[1](np.ones(2)), ValueError, r"\(2,\).*\(3,\)"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
