"""Every operation, with sample inputs and two references: what NumPy makes of the values, and PyTorch of the derivatives.

``test_operations.py`` generates its tests from this table, and fails when an operation is missing from it.
"""

from dataclasses import dataclass, field

import numpy as np

import tinygrad_meta.convolution
from tinygrad_meta import ops

try:
    import torch
except ImportError:  # the references below are then never called
    torch = None


# -------------------------------------------------------------------------------- where sample inputs are drawn from


def real(rng, shape):
    return rng.standard_normal(shape)


def positive(rng, shape):
    return rng.uniform(0.5, 2, shape)


def nonzero(rng, shape):
    return rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape)


def truth(rng, shape):
    return rng.random(shape) < 0.5


@dataclass
class Row:
    """An operation, attributes for it, and inputs to try it on."""

    name: str
    numpy: object  # function of arrays and attributes
    torch: object = None  # the same for PyTorch's tensors; None where PyTorch has no such thing
    domains: tuple = (real,)
    shapes: tuple = ((2, 3),)
    attrs: dict = field(default_factory=dict)
    elementwise: bool = False
    derivative: bool = True
    call: object = None  # for operations that are not called as f(*tensors, **attrs)

    def __str__(self):
        arguments = [*map(str, self.shapes), *[f"{key}={value}" for key, value in self.attrs.items()]]
        return f"{self.name}({', '.join(arguments)})".replace(" ", "")

    def __call__(self, *tensors):
        return (self.call or getattr(ops, self.name, None) or getattr(tinygrad_meta.convolution, self.name))(*tensors, **self.attrs)

    def arrays(self, shapes=None, dtype=np.float64):
        """The inputs: the same numbers at every call."""
        rng = np.random.default_rng(1)
        drawn = [np.asarray(draw(rng, shape)) for draw, shape in zip(self.domains, shapes or self.shapes, strict=True)]
        return [x if x.dtype == bool else x.astype(dtype) for x in drawn]


def unary(name, numpy, torch=None, domain=real, **options):
    return Row(name, numpy, torch, (domain,), elementwise=True, **options)


def binary(name, numpy, torch=None, domains=(real, real), **options):
    return Row(name, numpy, torch, domains, ((2, 3), (2, 3)), elementwise=True, **options)


def comparison(name):
    return binary(name, getattr(np, name), derivative=False)


def reduction(name, numpy, torch, choices=({}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}), **options):
    """One row for each way to choose axes, and one for a single number."""
    return [*[Row(name, numpy, torch, shapes=((2, 3, 2),), attrs=attrs, **options) for attrs in choices],
            Row(name, numpy, torch, shapes=((),), **options)]


def einsum(subscripts, *shapes):
    return Row("einsum", lambda *xs, subscripts: np.einsum(subscripts, *xs),
               lambda *xs, subscripts: torch.einsum(subscripts, *xs), (real,) * len(shapes), shapes,
               {"subscripts": subscripts}, call=lambda *xs, subscripts: ops.einsum(subscripts, *xs))


def contract(terms, output, *shapes):
    subscripts = f"{','.join(terms)}->{output}"
    return Row("contract", lambda *xs, **attrs: np.einsum(subscripts, *xs),
               lambda *xs, **attrs: torch.einsum(subscripts, *xs), (real,) * len(shapes), shapes,
               {"subscripts": (terms, output)})


def products(name, numpy, torch, *pairs):
    return [Row(name, numpy, torch, (real, real), shapes) for shapes in pairs]


# ---------------------------------------------------------------------------- references that are longer than one word


def np_logsumexp(x, axis=None, keepdims=False):
    return np.log(np.sum(np.exp(x), axis, keepdims=keepdims))


def np_softmax(x, axis=-1):
    return np.exp(x) / np.sum(np.exp(x), axis, keepdims=True)


def np_norm(x, axis=None, keepdims=False):
    return np.sqrt(np.sum(x**2, axis, keepdims=keepdims))


def np_scatter(x, index, shape):
    out = np.zeros(shape, x.dtype)
    np.add.at(out, index, x)
    return out


def np_sum_to(x, shape):
    """For an ``x`` of shape (2, 3)."""
    return {(): x.sum(), (3,): x.sum(0), (1, 3): x.sum(0, keepdims=True), (2, 1): x.sum(1, keepdims=True), (2, 3): x}[shape]


def np_windows(x, size, stride=1):
    down, across = ((n - size) // stride + 1 for n in x.shape[-3:-1])
    corners = [[(stride * i, stride * j) for j in range(across)] for i in range(down)]
    flat = [np.stack([x[..., i : i + size, j : j + size, :].reshape(*x.shape[:-3], -1) for i, j in row], -2) for row in corners]
    return np.stack(flat, -3)


def torch_windows(x, size, stride=1):
    return x.unfold(-3, size, stride).unfold(-3, size, stride).movedim(-3, -1).flatten(-3)


def np_overlap_add(x, shape, size, stride=1):
    out = np.zeros(shape, x.dtype)
    for i, j in np.ndindex(x.shape[-3:-1]):
        window = x[..., i, j, :].reshape(*shape[:-3], size, size, shape[-1])
        out[..., stride * i : stride * i + size, stride * j : stride * j + size, :] += window
    return out


def torch_overlap_add(x, shape, size, stride=1):
    """PyTorch calls it fold, and has channels before pixels and windows in the last axis."""
    channels_first = x.unflatten(-1, (size, size, -1)).movedim(-1, -3).flatten(-3)
    columns = channels_first.flatten(-3, -2).mT.reshape(-1, x.shape[-1], x.shape[-3] * x.shape[-2])
    return torch.nn.functional.fold(columns, shape[-3:-1], size, stride=stride).movedim(-3, -1).reshape(shape)


def convolutions(windows, overlap_add, pad):
    """References for the three convolutions, in terms of windows."""

    def rows_of(x, stride):
        rows = windows(pad(x, ((0, 0),) * (x.ndim - 3) + ((1, 1), (1, 1), (0, 0))), 3, stride)
        return flat(rows), rows.shape[-4:-1]

    def flat(x):
        return x.reshape(*x.shape[:-4], -1, x.shape[-1])

    def convolve(x, y, stride=1):
        rows, sizes = rows_of(x, stride)
        out = rows @ y
        return out.reshape(*out.shape[:-2], *sizes, out.shape[-1])

    def convolve_nt(x, y, shape, stride=1):
        rows, (height, width, channels) = flat(x) @ y.swapaxes(-1, -2), shape
        rows = rows.reshape(*rows.shape[:-2], *x.shape[-4:-1], rows.shape[-1])
        return overlap_add(rows, (*rows.shape[:-3], height + 2, width + 2, channels), 3, stride)[..., 1:-1, 1:-1, :]

    def convolve_tn(x, y, stride=1):
        return rows_of(x, stride)[0].swapaxes(-1, -2) @ flat(y)

    return {"convolve": convolve, "convolve_nt": convolve_nt, "convolve_tn": convolve_tn}


np_convolutions = convolutions(np_windows, np_overlap_add, np.pad)


def torch_reduction(function):
    def reduce(x, axis=None, keepdims=False, **options):
        return function(x, dim=tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims, **options)

    return reduce


def torch_variance(function):
    return lambda x, ddof=0, **options: torch_reduction(function())(x, correction=ddof, **options)


def torch_pad(x, pad_width):
    return torch.nn.functional.pad(x, np.broadcast_to(pad_width, (x.ndim, 2))[::-1].ravel().tolist())


torch_convolutions = convolutions(torch_windows, torch_overlap_add, torch_pad)


def convolution(images, results, weights, **attrs):
    """A row for each of the three convolutions on data of these shapes."""
    shapes = {"convolve": (images, weights), "convolve_nt": (results, weights), "convolve_tn": (images, results)}
    return [Row(name, np_convolutions[name], torch_convolutions[name], (real, real), shapes[name],
                attrs | ({"shape": images[-3:]} if name == "convolve_nt" else {})) for name in shapes]


# ----------------------------------------------------------------------------------------------------------- the table

TABLE = [
    # arithmetic
    binary("add", np.add, lambda x, y: x + y),
    binary("subtract", np.subtract, lambda x, y: x - y),
    binary("multiply", np.multiply, lambda x, y: x * y),
    binary("divide", np.divide, lambda x, y: x / y, (real, nonzero)),
    binary("quotient", np.divide, lambda x, y: x / y, (nonzero, nonzero)),
    unary("negative", np.negative, lambda x: -x),
    binary("power", np.power, lambda x, y: x**y, (positive, real)),
    *[unary("power", lambda x, y: x**y, lambda x, y: x**y, nonzero, attrs={"y": y}) for y in (-2, -1, 0, 1, 2, 3)],
    unary("power", lambda x, y: x**y, lambda x, y: x**y, positive, attrs={"y": 0.5}),
    unary("square", np.square, lambda x: torch.square(x)),
    unary("sqrt", np.sqrt, lambda x: torch.sqrt(x), positive),
    unary("abs", np.abs, lambda x: torch.abs(x), nonzero),
    unary("sign", np.sign, derivative=False),
    # exponentials, logarithms, trigonometry, sigmoids
    unary("exp", np.exp, lambda x: torch.exp(x)),
    unary("expm1", np.expm1, lambda x: torch.expm1(x)),
    unary("log", np.log, lambda x: torch.log(x), positive),
    unary("log1p", np.log1p, lambda x: torch.log1p(x), positive),
    unary("sin", np.sin, lambda x: torch.sin(x)),
    unary("cos", np.cos, lambda x: torch.cos(x)),
    unary("tanh", np.tanh, lambda x: torch.tanh(x)),
    unary("sigmoid", lambda x: 1 / (1 + np.exp(-x)), lambda x: torch.sigmoid(x)),
    unary("softplus", lambda x: np.log1p(np.exp(x)), lambda x: torch.nn.functional.softplus(x)),
    unary("silu", lambda x: x / (1 + np.exp(-x)), lambda x: torch.nn.functional.silu(x)),
    # kinks and comparisons
    unary("relu", lambda x: np.where(x > 0, x, 0), lambda x: torch.relu(x), nonzero),
    unary("step", lambda x: (x > 0).astype(x.dtype), domain=nonzero, derivative=False),
    unary("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), lambda x: torch.nn.functional.leaky_relu(x), nonzero),
    binary("maximum", np.maximum, lambda x, y: torch.maximum(x, y)),
    binary("minimum", np.minimum, lambda x, y: torch.minimum(x, y)),
    *[unary("clip", lambda x, min, max: np.clip(x, min, max), lambda x, min, max: torch.clip(x, min, max), attrs=bounds)
      for bounds in ({"min": -0.5, "max": 0.7}, {"min": 0.0, "max": None}, {"min": None, "max": 0.0})],
    *[Row(name, np.where, lambda *xs: torch.where(*xs), (truth, real, real), ((2, 3),) * 3, elementwise=True)
      for name in ("where", "select")],
    *[comparison(name) for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")],
    # shapes and types
    Row("identity", lambda x: x, lambda x: x),
    Row("cast", lambda x, dtype: x.astype(dtype), attrs={"dtype": np.dtype(float)}),
    Row("constant_in", lambda x: x, lambda x: x),
    *[Row("reshape", lambda x, shape: np.reshape(x, shape), lambda x, shape: torch.reshape(x, shape), shapes=(before,), attrs={"shape": after})
      for before, after in [((2, 3), (3, 2)), ((2, 3), (-1, 1)), ((), (1, 1)), ((1,), ()), ((0, 3), (3, 0))]],
    *[Row("broadcast_to", np.broadcast_to, lambda x, shape: torch.broadcast_to(x, shape), shapes=(before,),
          attrs={"shape": after})
      for before, after in [((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2, 2)), ((1, 1), (2, 3)), ((0, 1), (0, 3)), ((2,), (2,))]],
    *[Row("sum_to", np_sum_to, lambda x, shape: x.sum_to_size(shape), attrs={"shape": shape})
      for shape in [(), (3,), (1, 3), (2, 1), (2, 3)]],
    *[Row("permute_dims", np.transpose, lambda x, axes=None: torch.permute(x, axes or tuple(range(x.ndim))[::-1]),
          shapes=(shape,), attrs=attrs)
      for shape, attrs in [((2, 3, 4), {}), ((2, 3, 4), {"axes": (2, 0, 1)}), ((2, 3), {"axes": (-1, 0)}), ((), {}),
                           ((0, 2), {})]],
    *[Row("swapaxes", lambda x, a, b: np.swapaxes(x, a, b), lambda x, a, b: torch.swapaxes(x, a, b), shapes=((2, 3, 4),),
          attrs={"a": a, "b": b}) for a, b in [(0, 1), (-1, 0), (1, 1)]],
    *[Row("expand_dims", np.expand_dims, torch_axis, shapes=(shape,), attrs={"axis": axis})
      for shape, axis, torch_axis in [((2, 3), 1, lambda x, axis: torch.unsqueeze(x, axis)),
                                      ((), 0, lambda x, axis: torch.unsqueeze(x, axis)), ((2, 3), (0, -1), None)]],
    *[Row("squeeze", np.squeeze, torch_axis, shapes=((1, 3, 1),), attrs=attrs)
      for attrs, torch_axis in [({}, lambda x: torch.squeeze(x)), ({"axis": 0}, lambda x, axis: torch.squeeze(x, axis)),
                                ({"axis": (0, 2)}, lambda x, axis: torch.squeeze(x, axis))]],
    *[Row("getitem", lambda x, index: x[index], lambda x, index: x[index], shapes=((3, 4),), attrs={"index": index})
      for index in (1, -1, slice(1, None, 2), (slice(None), 2), (..., 0), (None, 1), (1, 2), [0, 2, 0], ([0, 0], [1, 1]),
                    np.array([True, False, True]), [])],
    *[Row("scatter", np_scatter, shapes=(shape,), attrs={"index": index, "shape": (3, 4)})
      for index, shape in [(1, (4,)), ([0, 2, 0], (3, 4)), (slice(0, 2), (2, 4)), ((1, 2), ())]],
    *[Row("pad", np.pad, torch_pad, attrs={"pad_width": width}) for width in (1, (1, 2), ((1, 0), (0, 2)))],
    *[Row(name, numpy, torch, shapes=(before,), attrs=attrs | options)
      for shape, rows, attrs in [((3, 4, 1), (2, 3, 4), {"size": 2}), ((2, 4, 5, 2), (2, 2, 3, 18), {"size": 3}),
                                 ((5, 4, 2), (2, 1, 18), {"size": 3, "stride": 2}), ((2, 3, 2), (2, 3, 2), {"size": 1}),
                                 ((1, 2, 4, 5, 1), (1, 2, 1, 2, 4), {"size": 2, "stride": 3})]
      for name, numpy, torch, before, options in [("windows", np_windows, torch_windows, shape, {}),
                                                  ("overlap_add", np_overlap_add, torch_overlap_add, rows, {"shape": shape})]],
    *[Row("concat", lambda *xs, axis: np.concatenate(xs, axis), lambda *xs, axis: torch.cat(xs, axis), (real, real), shapes,
          {"axis": axis}, call=lambda *xs, axis: ops.concat(xs, axis))
      for axis, shapes in [(0, ((2, 3), (1, 3))), (-1, ((2, 3), (2, 1))), (1, ((2, 0), (2, 2)))]],
    *[Row("stack", lambda *xs, axis: np.stack(xs, axis), lambda *xs, axis: torch.stack(xs, axis), (real, real),
          (shape, shape), {"axis": axis}, call=lambda *xs, axis: ops.stack(xs, axis))
      for axis, shape in [(0, (2, 3)), (-1, (2, 3)), (0, ())]],
    Row("join", lambda *xs, axis: np.concatenate(xs, axis), lambda *xs, axis: torch.cat(xs, axis), (real,) * 3,
        ((1, 2), (3, 2), (2, 2)), {"axis": 0}),
    # reductions
    *reduction("sum", np.sum, torch_reduction(lambda *xs, **options: torch.sum(*xs, **options))),
    *reduction("mean", np.mean, torch_reduction(lambda *xs, **options: torch.mean(*xs, **options))),
    Row("sum", np.sum, torch_reduction(lambda *xs, **options: torch.sum(*xs, **options)), shapes=((0, 3),), attrs={"axis": 0}),
    *[row for name in ("var", "std") for row in reduction(
        name, getattr(np, name), torch_variance(lambda name=name: getattr(torch, name)),
        ({}, {"axis": 0}, {"axis": (0, 2), "ddof": 1}, {"axis": 1, "ddof": 1, "keepdims": True}))[:-1]],
    *reduction("max", np.max, torch_reduction(lambda *xs, **options: torch.amax(*xs, **options))),
    *reduction("min", np.min, torch_reduction(lambda *xs, **options: torch.amin(*xs, **options))),
    *reduction("argmax", np.argmax, None, ({}, {"axis": 1}, {"axis": -1, "keepdims": True}), derivative=False),
    *reduction("argmin", np.argmin, None, ({}, {"axis": 1}, {"axis": -1, "keepdims": True}), derivative=False),
    *reduction("norm", np_norm, torch_reduction(lambda *xs, **options: torch.linalg.vector_norm(*xs, **options))),
    *reduction("logsumexp", np_logsumexp, torch_reduction(lambda *xs, **options: torch.logsumexp(*xs, **options))),
    *[row for axis in (-1, 0) for row in (
        Row("softmax", np_softmax, lambda x, axis: torch.softmax(x, axis), attrs={"axis": axis}),
        Row("log_softmax", lambda x, axis: np.log(np_softmax(x, axis)), lambda x, axis: torch.log_softmax(x, axis),
            attrs={"axis": axis}))],
    # products
    *products("matmul", np.matmul, lambda x, y: torch.matmul(x, y),
              ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 1, 2, 3), (2, 3, 1)), ((3,), (2, 3, 2)),
              ((2, 2, 3), (3,)), ((2, 0), (0, 3)), ((0, 2), (2, 3))),
    *products("product", np.matmul, lambda x, y: x @ y, ((2, 3), (3, 4)), ((2, 2, 3), (3, 1)), ((2, 1), (1, 1))),
    *products("product_nt", lambda x, y: x @ y.swapaxes(-1, -2), lambda x, y: x @ y.mT,
              ((2, 3), (4, 3)), ((2, 2, 3), (1, 3)), ((2, 1), (1, 1))),
    *products("product_tn", lambda x, y: x.swapaxes(-1, -2) @ y, lambda x, y: x.mT @ y,
              ((3, 2), (3, 4)), ((2, 3, 2), (3, 1)), ((1, 2), (1, 1))),
    *products("outer", np.outer, lambda x, y: torch.outer(x, y), ((2,), (3,)), ((0,), (2,))),
    einsum("ij,jk->ik", (2, 3), (3, 4)),
    einsum("ij,jk", (2, 3), (3, 4)),
    einsum("ii->i", (3, 3)),
    einsum("ii", (3, 3)),
    einsum("ij->", (2, 3)),
    einsum("ij,k->i", (2, 3), (2,)),
    einsum("bij,bjk,bk->bi", (2, 2, 3), (2, 3, 2), (2, 2)),
    einsum("...ij,...jk->...ik", (2, 2, 3), (3, 2)),
    einsum("i,i,i->", (3,), (3,), (3,)),
    contract(("ij", "jk"), "ik", (2, 3), (3, 2)),
    contract(("ij", "ij"), "j", (2, 3), (2, 3)),
    # convolutions
    *convolution((2, 3, 2, 1), (2, 3, 2, 2), (9, 2)),
    *convolution((1, 4, 3, 2), (1, 2, 2, 1), (18, 1), stride=2),
    *convolution((2, 1, 2, 2, 1), (2, 1, 2, 2, 1), (2, 9, 1)),
    *convolution((1, 2, 1, 1), (2, 1, 1, 1, 2), (2, 9, 2), stride=2),
    *convolution((2, 1, 2, 1, 1), (1, 2, 1, 1), (1, 9, 1)),
]
