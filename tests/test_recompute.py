"""func.checkpoint: the same values and derivatives, without keeping what is computed on the way."""

import tracemalloc
from functools import partial

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta import meta, nn
from tinygrad_meta.tree import leaves, rebuild, tree_map


def structured(a, b):
    return {"product": tg.sin(a) * b, "energy": (tg.tanh(a * b) ** 2).sum()}


def total(f, a, b):
    out = f(a, b)
    return (out["product"] ** 2).sum() + 3 * out["energy"]


A, B = np.random.default_rng(0).normal(size=(2, 3)), np.random.default_rng(1).normal(size=3)
plain, checkpointed = partial(total, structured), partial(total, tg.func.checkpoint(structured))


def variable(value, **options):
    return tg.tensor(value, requires_grad=True, **options)


def test_derivatives_of_every_order_are_those_of_the_function():
    assert tg.gradcheck(checkpointed, (A, B)) and tg.gradgradcheck(checkpointed, (A, B))
    for derivative in (tg.func.grad, tg.func.hessian):
        np.testing.assert_allclose(derivative(checkpointed)(A, B).data, derivative(plain)(A, B).data, rtol=1e-12)

    def third(f):
        g = lambda x: tg.func.grad(lambda x: tg.func.grad(f)(x, B).sum())(x).sum()  # noqa: E731
        return tg.func.grad(g)(A).data

    np.testing.assert_allclose(third(checkpointed), third(plain), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_structures_and_constants_pass_through(dtype):
    x, labels = variable([1.0, 2.0, 3.0], dtype=dtype), np.array([0, 2])
    out = tg.func.checkpoint(lambda x, labels, n: [x[labels] * n, (x.sum(),)])(x, labels, 2)
    assert [each.dtype for each in leaves(out)] == [dtype] * 2 and isinstance(out[1], tuple)
    (g,) = tg.grad(out[0].sum() + out[1][0], x)
    assert g.dtype == dtype
    np.testing.assert_array_equal(g.data, [3, 1, 3])


def test_the_same_tensor_given_twice_counts_twice():
    x = variable(3.0)
    assert tg.grad(tg.func.checkpoint(lambda a, b: a * a * b)(x, x), x)[0].item() == 27


def test_not_connected_is_not_a_gradient_of_zero():
    a, b = variable(1.0), variable(2.0, name="b")
    y = tg.func.checkpoint(lambda a, b: 2 * a)(a, b)
    with pytest.raises(ValueError, match=r"no gradient for input 0 \(b\)"):
        tg.grad(y, b)


def test_what_is_captured_would_be_lost_and_is_refused():
    w = variable(2.0, name="w")
    inner = w * w
    for captured, name in ((w, r" \(w\)"), (inner, "")):
        with pytest.raises(ValueError, match=rf"uses a tensor{name} of shape \(\) .* pass it as an argument"):
            tg.func.checkpoint(lambda x, captured=captured: x * captured)(variable(1.0))
    assert tg.func.checkpoint(lambda x: x * w.detach())(variable(3.0)).item() == 6


def test_mixed_dtypes_are_refused():
    with pytest.raises(TypeError, match="got float32 and float64"):
        tg.func.checkpoint(lambda x: tg.astype(x, "float32"))(variable(1.0))


def test_an_array_that_changes_later_is_not_the_one_that_was_given():
    array, w = np.array([1.0, 2.0]), tg.tensor([1.0, 1.0], requires_grad=True)
    y = tg.func.checkpoint(lambda w, x: tg.sin(w * x))(w, array)
    array[:] = 100
    np.testing.assert_allclose(tg.grad(y.sum(), w)[0].data, np.cos([1, 2]) * [1, 2])


def test_nothing_is_recorded_where_nothing_can_be_asked():
    f = tg.func.checkpoint(tg.sin)
    assert f(tg.tensor(1.0)).op is None
    with tg.no_grad():
        assert f(variable(1.0)).op is None


def test_a_compiled_function_holds_no_copy_of_its_first_arguments():
    compiled = tg.compile(lambda a, b: tg.func.grad(checkpointed)(a, b))
    for shift in (0.0, 1.0):
        np.testing.assert_allclose(compiled(A + shift, B).data, tg.func.grad(plain)(A + shift, B).data, rtol=1e-12)


# ------------------------------------------------------------------------------------------------- MAML's inner steps


BATCH = tg.tasks.SineTasks().sample(n_tasks=4, n_support=50, n_query=5, rng=0)


def loss_fn(params, x, y):
    return nn.mse_loss(nn.mlp(params, x, "tanh"), y)


def inner_step(params):
    """One step of every task; the parameters are per task already."""
    theta = leaves(params)
    gradients = tg.grad(loss_fn(params, *BATCH.support).sum(), theta, create_graph=True)
    return rebuild(params, [p - 0.01 * g for p, g in zip(theta, gradients, strict=True)])


def meta_gradient(step, steps, params):
    adapted = tree_map(lambda p: tg.broadcast_to(p, shape=(4, *p.shape)), params)
    for _ in range(steps):
        adapted = step(adapted)
    loss = loss_fn(adapted, *BATCH.query).mean()
    return loss, tg.grad(loss, leaves(params))


def test_the_meta_gradient_is_the_same():
    params = nn.init_mlp([1, 8, 8, 1], rng=0)
    expected = tg.grad(meta.maml_loss(loss_fn, params, BATCH, 0.01, steps=3), leaves(params))
    for step in (inner_step, tg.func.checkpoint(inner_step)):
        _, gradients = meta_gradient(step, 3, params)
        for g, e in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(g.data, e.data, rtol=1e-9, atol=1e-14)


def test_memory_grows_by_the_parameters_of_a_step_and_not_by_its_activations():
    params = nn.init_mlp([1, 8, 8, 1], rng=0)

    def peak(step, steps):
        tracemalloc.start()
        meta_gradient(step, steps, params)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    growth = [peak(step, 12) - peak(step, 2) for step in (inner_step, tg.func.checkpoint(inner_step))]
    assert growth[1] < growth[0] / 4


def test_it_is_called_like_the_function():
    x = variable(3.0)
    scaled = tg.func.checkpoint(lambda x, factor=1.0, *, shift: [x * factor + shift, shift, "a word", np.arange(2)])
    y, shift, word, counts = scaled(x, factor=2.0, shift=1.0)
    assert (y.item(), shift, word, counts.tolist()) == (7, 1.0, "a word", [0, 1])
    assert tg.grad(y, x)[0].item() == 2


def test_a_compiled_function_may_capture_what_is_checkpointed():
    w = variable([1.0, 2.0])
    compiled = tg.compile(lambda x: tg.grad(tg.sum(tg.func.checkpoint(tg.sin)(w) * x), w)[0])
    for x in ([1.0, 1.0], [3.0, -1.0]):
        np.testing.assert_allclose(compiled(np.array(x)).data, np.cos(w.data) * x, rtol=1e-15)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_anomaly_inside_keeps_its_own_error():
    x = variable([0.0, 1.0])
    with pytest.raises(tg.AnomalyError, match="^the derivative rule of sqrt for its input 0 made inf"), tg.detect_anomaly():
        tg.grad(tg.func.checkpoint(lambda x: tg.sqrt(x))(x).sum(), x)
