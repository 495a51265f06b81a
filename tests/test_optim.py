"""Optimisers: against PyTorch's, and on structures of parameters."""

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta.optim import SGD, Adam, clip_norm, cosine_decay, without_remnants

SHAPES = [(2, 3), (1, 3), ()]


def arrays(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("ours, theirs, options", [
    (SGD(0.1), "SGD", {"lr": 0.1}),
    (SGD(0.1, momentum=0.9), "SGD", {"lr": 0.1, "momentum": 0.9}),
    (Adam(0.1), "Adam", {"lr": 0.1}),
    (Adam(0.1, betas=(0.5, 0.9), eps=1e-3), "Adam", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
])  # fmt: skip
def test_steps_are_those_of_pytorch(ours, theirs, options, dtype, rtol):
    torch = pytest.importorskip("torch")
    ours = type(ours)(**{name: value for name, value in vars(ours).items() if name not in ("state", "steps")})
    params = [tg.tensor(a, requires_grad=True) for a in arrays(0, dtype)]
    torch_params = [torch.tensor(a, requires_grad=True) for a in arrays(0, dtype)]
    optimizer = getattr(torch.optim, theirs)(torch_params, **options)
    for step in range(1, 6):
        params = ours.step(params, arrays(step, dtype))
        for p, g in zip(torch_params, arrays(step, dtype), strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
    for p, q in zip(params, torch_params, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=rtol)


@pytest.mark.parametrize("optimizer", [SGD(), Adam()], ids=["SGD", "Adam"])
def test_new_parameters_are_built_like_the_old_which_stay_as_they_were(optimizer):
    old = {"w": [tg.tensor([[1.0, 2.0]], name="w"), tg.tensor(3.0, dtype="float32")], "b": (tg.tensor(4.0),)}
    new = optimizer.step(old, {"w": [np.ones((1, 2)), 1.0], "b": (-1.0,)})
    assert new["w"][0].name == "w" and all(p.requires_grad for p in (*new["w"], *new["b"]))
    assert [p.dtype for p in (*new["w"], *new["b"])] == ["float64", "float32", "float64"]
    assert (new["w"][0].data < [[1, 2]]).all() and new["w"][1].item() < 3 and new["b"][0].item() > 4
    np.testing.assert_array_equal(old["w"][0].data, [[1, 2]])


@pytest.mark.parametrize("optimizer", [SGD(), Adam()], ids=["SGD", "Adam"])
def test_an_optimizer_is_for_one_model(optimizer):
    optimizer.step([tg.tensor([1.0])], [np.ones(1)])
    with pytest.raises(ValueError, match="kept sums of 1 numbers, and the parameters are 2: make one for each model"):
        optimizer.step([tg.tensor([1.0, 2.0])], [np.ones(2)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.1)], ids=["SGD", "Adam"])
def test_sums_of_gradients_that_are_zero_for_good_become_zero(make, dtype):
    """Before they are below the smallest normal number, with which processors are slow."""
    optimizer, params = make(), [tg.tensor(np.ones(2, dtype))]
    for step in range(9000):
        params = optimizer.step(params, [np.array([1e-9, step == 0], dtype)])
        kept, forgotten = optimizer.state[0].data
        assert kept > 1e-9 * 0.99 and (forgotten > np.finfo(dtype).tiny or forgotten == 0)
    assert forgotten == 0 and optimizer.state[0].dtype == dtype


@pytest.mark.parametrize("dtype, kept, dropped", [("float32", 1e-30, 1e-32), ("float64", 1e-291, 1e-293)])
def test_what_is_dropped_is_small_and_of_the_first_sum(dtype, kept, dropped):
    first = tg.tensor(np.array([1 / 3, kept, -kept, dropped, -dropped, np.inf, np.nan], dtype))
    second = tg.tensor(first.data)
    sums, same = without_remnants([first, second], 200)
    assert sums.dtype == dtype and same is second
    np.testing.assert_array_equal(sums.data, np.array([1 / 3, kept, -kept, 0, 0, np.inf, np.nan], dtype))
    assert without_remnants([first, second], 201)[0] is first and without_remnants([], 0) == []


@pytest.mark.parametrize("make", [lambda: SGD(1e-4, momentum=0.9), lambda: Adam(0.01)], ids=["SGD", "Adam"])
def test_in_half_precision_large_gradients_do_not_overflow(make):
    """The sum of 1,000 squares would."""
    params = {dtype: [tg.tensor(np.ones(2, dtype))] for dtype in ("float16", "float32")}
    optimizers = {dtype: make() for dtype in params}
    for _ in range(200):
        for dtype, optimizer in optimizers.items():
            params[dtype] = optimizer.step(params[dtype], [np.array([100.0, -1e-5], dtype)])
    assert params["float16"][0].dtype == "float16"
    np.testing.assert_allclose(params["float16"][0].data, params["float32"][0].data, rtol=0.05)
    with pytest.raises(ValueError, match="the parameters are 3"):
        optimizers["float16"].step([tg.tensor(np.ones(3, "float16"))], [np.ones(3, "float16")])


def test_an_optimizer_may_keep_no_sums():
    class Signs(tg.optim.Optimizer):
        sums = 0

        def rates(self, steps):
            return (self.step_size,)

        def move(self, x, g, state, step_size):
            return x - step_size * tg.sign(g), state

    optimizer = Signs(0.5)
    params = optimizer.step(optimizer.step([tg.tensor([1.0, 2.0])], [np.array([3.0, -4.0])]), [np.ones(2)])
    assert params[0].data.tolist() == [0, 2]


def test_gradients_of_another_structure_or_shape_are_refused():
    params = {"w": tg.tensor([1.0, 2.0])}
    with pytest.raises(ValueError, match="not built alike"):
        SGD().step(params, [np.ones(2)])
    with pytest.raises(ValueError, match=r"a parameter of shape \(2,\) came with a gradient of shape \(1, 2\)"):
        SGD().step(params, {"w": np.ones((1, 2))})
    with pytest.raises(ValueError, match="the step size must be a finite number, at least 0, and is -1"):
        Adam(-1)


def test_clipping_scales_all_gradients_together():
    grads = {"x": tg.tensor([3.0, 0.0]), "y": tg.tensor(4.0)}
    assert [g.data.tolist() for g in clip_norm(grads, 5.0).values()] == [[3, 0], 4]
    assert clip_norm({"x": tg.tensor(0.0)}, 1.0)["x"].item() == 0
    clipped = clip_norm(grads, 1.0)
    np.testing.assert_allclose([*clipped["x"].data, clipped["y"].item()], [0.6, 0, 0.8])


def test_clipping_keeps_types_and_does_not_overflow_in_half_precision():
    clipped = clip_norm([tg.tensor([300.0, 400.0], "float16"), tg.tensor([0.0], "float32"), np.zeros(1)], 1.0)
    assert [g.dtype for g in clipped] == ["float16", "float32", "float64"]
    np.testing.assert_allclose(clipped[0].data, [0.6, 0.8], rtol=1e-3)


def test_clipping_a_gradient_whose_squares_overflow_does_not_make_it_zero():
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(clip_norm([tg.tensor([1e30], "float32")], 1.0)[0].data).all()


@pytest.mark.parametrize("number", [np.float64, np.float32, np.array])
def test_numbers_of_numpy_do_not_change_the_type_of_parameters(number):
    params, grads = [tg.tensor([1.0], "float32")], [np.ones(1, "float32")]
    optimizers = SGD(number(0.5), number(0.5)), Adam(number(0.5), (number(0.5), number(0.5)), number(0.5))
    for optimizer, plain in zip(optimizers, (SGD(0.5, 0.5), Adam(0.5, (0.5, 0.5), 0.5)), strict=True):
        (moved,), (expected,) = optimizer.step(params, grads), plain.step(params, grads)
        assert moved.dtype == "float32" and moved.item() == expected.item()


def test_the_cosine_starts_at_the_step_size_and_ends_at_zero():
    np.testing.assert_allclose([cosine_decay(2.0, step, 4) for step in range(5)],
                               [2, 1 + np.sqrt(0.5), 1, 1 - np.sqrt(0.5), 0], atol=1e-15)
    assert cosine_decay(2.0, 1, 4, warmup=3) == 0.5 * cosine_decay(2.0, 1, 4)
    assert cosine_decay(2.0, 3, 4, warmup=3) == cosine_decay(2.0, 3, 4)


@pytest.mark.parametrize("options", [{}, {"step_size": 0.1, "betas": (0.5, 0.8), "eps": 0.01}], ids=["the defaults", "others"])
def test_the_outer_step_is_that_of_adam(options):
    """Kingma, Ba 2015, Algorithm 1, as it stands there."""
    alpha, (beta1, beta2), eps = ({"step_size": 0.001, "betas": (0.9, 0.999), "eps": 1e-8} | options).values()
    theta, optimizer = np.array([1.0, 2.0, 3.0]), tg.optim.Adam(**options)
    params, m, v = [tg.tensor(theta)], 0, 0
    for t, g in enumerate(np.array([[1.0, -3.0, 1e-8], [2.0, 0.5, 2e-8], [-1.0, 0.0, 1e-8]]), start=1):
        params = optimizer.step(params, [g])
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        theta = theta - alpha * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        np.testing.assert_allclose(params[0].data, theta, rtol=0, atol=1e-12 * alpha)


def test_gradient_descent_with_momentum():
    """v = momentum * v + g and x = x - step_size * v, where v starts at 0."""
    plain, heavy = tg.optim.SGD(), tg.optim.SGD(0.5, momentum=0.25)
    x, y = [tg.tensor(1.0)], [tg.tensor(1.0)]
    found = []
    for g in (1.0, 2.0, 4.0):
        x, y = plain.step(x, [g]), heavy.step(y, [g])
        found.append((x[0].item(), y[0].item()))
    np.testing.assert_allclose(found, [(0.99, 0.5), (0.97, -0.625), (0.93, -2.90625)])
