"""Windows, convolutions, layer normalisation and pooling: against PyTorch, against loops, and against themselves compiled."""

from functools import partial

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta import nn
from tinygrad_meta.tree import leaves, rebuild, tree_map

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
precisions = pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-10), (np.float32, 2e-4)], ids=["float64", "float32"])


def normal(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def network(channels, dtype=np.float64, seed=0):
    """Parameters with biases that are not 0."""
    return [(w, tg.tensor(normal(*b.shape, dtype=dtype, seed=seed), requires_grad=True))
            for w, b in nn.init_conv_net(channels, rng=seed, dtype=dtype)]  # fmt: skip


def assert_close(actual, expected, tolerance=1e-10):
    """Equal up to rounding, as measured by the largest entry."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1, np.abs(expected).max(initial=0)))


# ------------------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize("size, stride", [(3, 2), (3, 1), (2, 2), (2, 3), (1, 1)])
@pytest.mark.parametrize("shape", [(6, 7, 2), (3, 6, 7, 1), (2, 3, 5, 5, 3), (0, 5, 5, 1), (3, 0, 5, 5, 2)], ids=str)
def test_windows_and_overlap_add_are_opposites(shape, size, stride):
    """<windows(x), y> = <x, overlap_add(y)>, compiled or not."""
    x = normal(*shape)
    y = normal(*tg.windows(x, size, stride).shape, seed=1)
    there, back = tg.windows(x, size, stride), tg.overlap_add(y, shape, size, stride)
    assert np.vdot(there.data, y) == pytest.approx(np.vdot(x, back.data))
    assert_close(tg.compile(lambda x: tg.windows(x, size, stride))(x).data, there.data, 0)
    assert_close(tg.compile(lambda y: tg.overlap_add(y, shape, size, stride))(y).data, back.data, 0)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("tasks", [(), (2,)], ids=str)
def test_a_convolution_is_windows_and_a_product(tasks, stride):
    """For more images than are convolved at a time."""
    border = ((0, 0),) * (len(tasks) + 1) + ((1, 1), (1, 1), (0, 0))
    x, weight, bias = (tg.tensor(normal(*tasks, *shape), requires_grad=True) for shape in [(19, 16, 16, 32), (288, 3), (1, 3)])
    assert 16 * 16 * 288 * 19 > 4 * 2**18

    rows = tg.windows(tg.pad(x, border), 3, stride)
    expected = rows.reshape(*tasks, -1, 288) @ weight + bias
    actual = nn.convolution(x, weight, bias, stride)
    assert actual.shape == (*rows.shape[:-1], 3)
    assert_close(actual.reshape(expected.shape).data, expected.data)
    g, inputs = normal(*actual.shape), [x, weight, bias]
    for a, e in zip(tg.grad(actual, inputs, g), tg.grad(expected, inputs, g.reshape(expected.shape)), strict=True):
        assert_close(a.data, e.data)


def test_windows_of_views():
    """Compiled, an operation reads its input where it lies: stretched, turned or cut out of another one."""

    def f(x):
        cut_out = tg.pad(x, 1)[1:-1, 1:-1, 1:-1, 1:-1]
        views = tg.broadcast_to(x[:1], x.shape), tg.permute_dims(x, (0, 2, 1, 3)), x[:, ::-1], cut_out
        return [(tg.windows(v, 2), tg.overlap_add(v, (3, 5, 5, 1), 2)) for v in views]

    x = normal(3, 4, 4, 4)
    for actual, expected in zip(leaves(tg.compile(f)(x)), leaves(f(tg.tensor(x))), strict=True):
        assert_close(actual.data, expected.data)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tg.windows(np.ones((2, 5, 1)), 3), r"3 by 3 pixels.*\(2, 5, 1\)"),
        (lambda: tg.windows(np.ones((5, 5)), 3), r"must be \(\.\.\., height, width, channels\)"),
        (lambda: tg.windows(np.ones((5, 5, 1)), 0), "0 by 0"),
        (lambda: tg.windows(np.ones((5, 5, 1)), 3, stride=0), "0 apart"),
        (lambda: tg.overlap_add(np.ones((4, 1, 4)), (3, 3, 1), 2), r"\(3, 3, 1\) of windows of shape \(2, 2, 4\).*\(4, 1, 4\)"),
        (lambda: nn.conv_net(network([1, 2]), np.ones((5, 5))), r"\(\.\.\., points, height, width\).*\(5, 5\)"),
        (lambda: nn.conv_net(network([3, 2]), np.ones((1, 5, 5))), r"\(1, 5, 5, 1\) and \(27, 2\) and stride 2"),
        (lambda: nn.convolution(np.ones((5, 5, 1)), *network([1, 2])[0]), r"\(5, 5, 1\)"),
        (lambda: nn.convolution(np.ones((1, 5, 5, 1)), *network([1, 2])[0], stride=0), "stride 0"),
        (lambda: nn.conv_net(network([1, 2]), np.ones((1, 5, 5)), "max"), "'max'"),
        (lambda: nn.conv_net(network([1, 2]), np.ones((1, 5, 5)), ["pool", "pool"]), "each of the 1 layers"),
        (lambda: nn.conv_net(network([1, 2]), np.ones((1, 1, 5)), "pool"), r"2 by 2 pixels.*\(1, 1, 5, 2\)"),
        (lambda: nn.init_conv_net([1]), "input and an output"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------------------------------- parity with PyTorch


def torch_weight(w):
    """(rows, columns, channels, outputs), flattened but for the last, as PyTorch's (outputs, channels, rows, columns)."""
    return w.unflatten(0, (3, 3, -1)).permute(3, 2, 0, 1)


def torch_convolution(x, w, b, stride):
    return torch.conv2d(x.movedim(-1, -3), torch_weight(w), b[0], stride, padding=1).movedim(-3, -1)


def torch_max_pool(x):
    return torch.nn.functional.max_pool2d(x.movedim(-1, -3), 2).movedim(-3, -1)


def torch_layer_norm(x, axes):
    return torch.nn.functional.layer_norm(x, x.shape[-axes:])


def torch_conv_net(params, x, downsampling):
    x = x[..., None]
    for (w, b), how in zip(params, downsampling, strict=True):
        x = torch_convolution(x, w, b, 2 if how == "stride" else 1)
        x = torch_max_pool(x) if how == "pool" else x
        x = torch.relu(torch_layer_norm(x, 3))
    return x.flatten(-3)


def derivatives(f, grad, xs, as_tensor):
    """The value; the gradient of a weighted sum of its squares; the product of that sum's Hessian with a vector."""
    out = f(*xs)
    dtype = str(out.dtype).removeprefix("torch.")
    weights = [as_tensor(normal(*x.shape, dtype=dtype, seed=i)) for i, x in enumerate([out, *xs])]
    first = grad((out * weights[0] * out).sum(), xs, create_graph=True)
    along = [(g * v).sum() for g, v in zip(first, weights[1:], strict=True)]
    return [out, *first, *grad(along, xs)]


def assert_like_torch(ours, theirs, arrays, tolerance):
    actual = derivatives(ours, tg.grad, [tg.tensor(x, requires_grad=True) for x in arrays], tg.tensor)
    expected = derivatives(theirs, torch.autograd.grad, [torch.tensor(x, requires_grad=True) for x in arrays], torch.tensor)
    for a, e in zip(actual, expected, strict=True):
        assert_close(a.data, e.detach().clone().numpy(), tolerance)


@needs_torch
@precisions
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(6, 6), (7, 5), (1, 2)], ids=str)
def test_convolution_and_its_derivatives_are_those_of_pytorch(size, stride, dtype, tolerance):
    arrays = normal(4, *size, 3, dtype=dtype), normal(27, 2, dtype=dtype, seed=1), normal(1, 2, dtype=dtype, seed=2)
    assert_like_torch(partial(nn.convolution, stride=stride), partial(torch_convolution, stride=stride), arrays, tolerance)


@needs_torch
@precisions
def test_layer_norm_and_its_derivatives_are_those_of_pytorch(dtype, tolerance):
    for axis, axes in [(-1, 1), ((-3, -2, -1), 3)]:
        x = normal(2, 3, 4, 5, dtype=dtype) + 1
        assert_like_torch(partial(nn.layer_norm, axis=axis), partial(torch_layer_norm, axes=axes), [x], tolerance)


@needs_torch
@precisions
@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 5, 7, 3), (2, 2, 1)], ids=str)
def test_max_pool_and_its_derivatives_are_those_of_pytorch(shape, dtype, tolerance):
    assert_like_torch(nn.max_pool, torch_max_pool, [normal(*shape, dtype=dtype)], tolerance)


@needs_torch
@precisions
@pytest.mark.parametrize("size", [(8, 8), (7, 9)], ids=str)
@pytest.mark.parametrize("downsampling", [("stride", "stride"), ("pool", "pool"), ("stride", None), ("pool", "stride")])
def test_conv_net_and_its_derivatives_are_those_of_pytorch(size, downsampling, dtype, tolerance):
    arrays = [p.numpy() for p in leaves(network([1, 3, 2], dtype))] + [normal(5, *size, dtype=dtype)]

    def ours(*xs):
        return nn.conv_net(pairs(xs[:-1]), xs[-1], downsampling)

    def theirs(*xs):
        return torch_conv_net(pairs(xs[:-1]), xs[-1], downsampling)

    assert_like_torch(ours, theirs, arrays, 10 * tolerance)


def pairs(tensors):
    return list(zip(tensors[::2], tensors[1::2], strict=True))


# --------------------------------------------------------------------------------------------------- finite differences


@pytest.mark.parametrize("axis", [-1, 0, (-2, -1), (0, 2)], ids=str)
def test_layer_norm_standardises_over_any_axes(axis):
    x = 3 * normal(3, 4, 5) + 2
    out = nn.layer_norm(x, axis, epsilon=0).data
    np.testing.assert_allclose(out.mean(axis), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(axis), 1)
    assert tg.gradcheck(lambda x: nn.layer_norm(x, axis), [x])
    assert tg.gradgradcheck(lambda x: nn.layer_norm(x, axis), [x])


def test_layer_norm_does_not_overflow_in_half_precision():
    values = np.array([[0, 300, 600], [-60000, 0, 60000]])
    x, wide = tg.tensor(values, "float16", requires_grad=True), tg.tensor(values, float, requires_grad=True)
    out, expected = nn.layer_norm(x), nn.layer_norm(wide)
    assert out.dtype == "float16"
    np.testing.assert_allclose(out.data, expected.data, rtol=1e-3)
    g = 1000 * normal(2, 3)
    (found,), (due,) = tg.grad(out, x, g.astype("float16")), tg.grad(expected, wide, g)
    assert found.dtype == "float16"
    np.testing.assert_allclose(found.data, due.data, atol=0.01)


def test_layer_norm_of_equal_entries_is_0():
    x, g = tg.tensor(np.ones((2, 5)), requires_grad=True), normal(2, 5)
    out = nn.layer_norm(x, epsilon=0.01)
    assert_close(out.data, np.zeros((2, 5)))
    assert_close(tg.grad(out, x, g)[0].data, (g - g.mean(-1, keepdims=True)) / 0.1)


@pytest.mark.parametrize("downsampling", ["stride", "pool"])
def test_finite_differences_of_a_convolutional_network(downsampling):
    params, x = network([1, 2, 2]), normal(2, 5, 6)

    def f(x, *params):
        return nn.conv_net(pairs(params), x, downsampling)

    assert tg.gradcheck(f, [x, *[p.data for p in leaves(params)]])
    assert tg.gradgradcheck(f, [x, *[p.data for p in leaves(params)]])


def test_tied_maxima_share_the_gradient():
    x = tg.tensor([[[1.0], [1.0]], [[0.0], [1.0]]], requires_grad=True)
    assert tg.grad(nn.max_pool(x).sum(), x)[0].data.ravel() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])


# --------------------------------------------------------------------------------------------------- shapes and batches


@pytest.mark.parametrize(
    ("downsampling", "size", "features"),
    [
        ("stride", (28, 28), 2 * 2 * 3),
        ("pool", (28, 28), 1 * 1 * 3),
        (None, (28, 28), 28 * 28 * 3),
        (["stride", "pool", None, "stride"], (28, 28), 4 * 4 * 3),
        ("stride", (27, 1), 2 * 1 * 3),
        ("stride", (1, 1), 3),
    ],
)
def test_number_of_features(downsampling, size, features):
    params = nn.init_conv_net([1, 2, 3, 2, 3], rng=0, dtype=np.float32)
    for points in [(4,), (2, 4), (0,), (2, 0)]:
        out = nn.conv_net(params, np.ones((*points, *size), np.float32), downsampling)
        assert (out.shape, out.dtype) == ((*points, features), np.float32)


def test_no_images_have_gradients_too():
    params = network([1, 2, 2])
    gradients = tg.grad(nn.conv_net(params, np.ones((0, 8, 8))).sum(), leaves(params))
    assert [(g.shape, np.abs(g.data).max()) for g in gradients] == [(p.shape, 0) for p in leaves(params)]


@pytest.mark.parametrize("downsampling", ["stride", "pool"])
def test_one_network_per_task_is_a_loop_over_tasks(downsampling):
    networks, x = [network([1, 3, 2], seed=seed) for seed in range(4)], normal(4, 5, 8, 8)
    stacked = rebuild(networks[0], [tg.stack(tensors) for tensors in zip(*map(leaves, networks), strict=True)])
    shared = tree_map(lambda p: tg.expand_dims(p, 0), networks[0])
    for params, images, expected in [
        (stacked, x, [nn.conv_net(net, x[i], downsampling) for i, net in enumerate(networks)]),
        (stacked, x[0], [nn.conv_net(net, x[0], downsampling) for net in networks]),
        (networks[0], x, [nn.conv_net(networks[0], each, downsampling) for each in x]),
        (shared, x, [nn.conv_net(networks[0], each, downsampling) for each in x]),
    ]:
        actual, expected = nn.conv_net(params, images, downsampling), tg.stack(expected)
        assert_close(actual.data, expected.data)
        weights, inputs = normal(*actual.shape), [p for net in networks for p in leaves(net)]
        for g, h in zip(*[tg.grad(out, inputs, weights, allow_unused=True) for out in (actual, expected)], strict=True):
            assert (g is None and h is None) or assert_close(g.data, h.data) is None


def test_a_point_does_not_see_the_others():
    params, x = network([1, 3, 2]), normal(6, 9, 9)
    alone = [nn.conv_net(params, x[i : i + 1]).data[0] for i in range(6)]
    assert_close(nn.conv_net(params, x).data, alone)


# -------------------------------------------------------------------------------------------------------------- compiled


@pytest.mark.parametrize("downsampling", ["stride", "pool", ["stride", "pool"]], ids=str)
@precisions
def test_compiled_second_order_maml_with_a_convolutional_network(downsampling, dtype, tolerance):
    rng, labels = np.random.default_rng(0), np.tile(np.arange(3), (2, 1))
    body, images = network([1, 3, 4], dtype), [rng.random((2, 3, 10, 9)).astype(dtype) for _ in range(2)]
    features = nn.conv_net(body, images[0], downsampling).shape[-1]
    params = {"body": body, "head": nn.init_mlp([features, 3], rng, dtype=dtype)}

    def loss(params, x, y):
        return nn.cross_entropy(nn.mlp(params["head"], nn.conv_net(params["body"], x, downsampling)), y)

    def meta_gradient(params, x, query_x):
        adapted = tg.meta.adapt(loss, params, (x, labels), step_size=0.5, steps=2)
        return tg.grad(tg.mean(loss(adapted, query_x, labels)), leaves(params))

    compiled = tg.compile(meta_gradient)
    for _ in range(2):  # the second time, the buffers hold what the first has left in them
        for actual, expected in zip(compiled(params, *images), meta_gradient(params, *images), strict=True):
            assert_close(actual.data, expected.data, 10 * tolerance)
