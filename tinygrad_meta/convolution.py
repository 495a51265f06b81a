"""Convolutions: more rows of the table of operations, for images.  May be skipped at first reading.

A convolution is all windows of an image, one per row, and a matrix product with weights.  ``windows`` and its opposite,
``overlap_add``, say just that, and are each other's derivatives.  The three products below them compute the same without ever
holding all windows in memory.
"""

from math import prod

import numpy as np

from .ops import fit, operation
from .validate import whole


@operation(lambda g, out, x, size, stride=1: overlap_add(g, x.shape, size, stride))
def windows(x, size, stride=1):
    """All windows of ``size`` by ``size`` pixels: from (..., height, width, channels) to (..., down, across, entries).

    The entries are a window's pixels, row by row, and of each pixel all channels.  Neighbouring windows are ``stride`` pixels
    apart and lie inside the image; ``pad`` it first if they are to reach over its border.

    >>> import tinygrad_meta as tg
    >>> tg.windows([[[1.0], [2.0], [3.0]],
    ...             [[4.0], [5.0], [6.0]]], size=2)
    Tensor([[[1. 2. 4. 5.]
             [2. 3. 5. 6.]]], dtype=float64)
    """
    view = sliding(x, size, stride)
    if x.shape[-1] == 1:  # NumPy copies row by row of a window; where these are short, one entry of all windows is quicker
        view = np.moveaxis(np.moveaxis(view, (-3, -2, -1), (0, 1, 2)).copy(), (0, 1, 2), (-3, -2, -1))
    return view.reshape(in_rows(view))


@operation(lambda g, out, x, shape, size, stride=1: windows(g, size, stride))
def overlap_add(x, shape, size, stride=1):
    """The opposite of ``windows``: zeros of the given shape, with every window added in its place.

    >>> import tinygrad_meta as tg
    >>> two_windows = np.ones((1, 2, 4))
    >>> tg.overlap_add(two_windows, shape=(2, 3, 1), size=2).reshape(2, 3)
    Tensor([[1. 2. 1.]
            [1. 2. 1.]], dtype=float64)
    """
    out = np.zeros(shape, x.dtype)
    view = sliding(out, size, stride)
    if x.shape != in_rows(view):
        raise ValueError(f"overlap_add makes the shape {out.shape} of windows of shape {in_rows(view)}, and got {x.shape}")
    x = x.reshape(view.shape)
    pieces = [slice(n, n + stride) for n in range(0, size, stride)]  # so small that neighbours do not overlap in them
    first, *others = [(..., rows, columns, slice(None)) for rows in pieces for columns in pieces]
    view[first] = x[first]
    for part in others:
        view[part] += x[part]
    return out


def sliding(x, size, stride):
    """The windows as a view with axes (..., down, across, row, column, channel); where they overlap, they share memory."""
    for name, pixels in {"size": size, "stride": stride}.items():
        whole(name, pixels)
    if size < 1 or stride < 1 or x.ndim < 3 or size > min(x.shape[-3:-1]):
        raise ValueError(f"windows of {size} by {size} pixels, {stride} apart, do not fit an array of shape {x.shape}: it must "
                         "be (..., height, width, channels), and large enough for one window")
    *images, height, width, channels = x.shape
    *between_images, row, column, channel = x.strides
    shape = (*images, (height - size) // stride + 1, (width - size) // stride + 1, size, size, channels)
    strides = (*between_images, row * stride, column * stride, row, column, channel)
    return np.lib.stride_tricks.as_strided(x, shape, strides)


def in_rows(view):
    """The shape in which ``windows`` returns its view."""
    return (*view.shape[:-3], prod(view.shape[-3:]))


# A convolution is a product: of all windows of 3 by 3 pixels, one per row, and a matrix of weights.  So there are three of them
# again, each other's derivatives, with the letters as above.  The windows reach over the border by one pixel, which is 0 there.
# All of them together take up to nine times the memory of the images.  Therefore they are made of a few images at a time, and
# never leave the processor's cache.  (``out`` is where graph/compile.py wants the result.)


@operation(lambda g, out, x, y, stride=1: fit(convolve_nt(g, y, shape=x.shape[-3:], stride=stride), x),
           lambda g, out, x, y, stride=1: fit(convolve_tn(x, g, stride=stride), y))
def convolve(x, y, stride=1, out=None):
    """windows(x) @ y, of images (..., points, height, width, channels) and weights (..., 9 * channels, outputs)."""
    if out is None:
        sizes = [(n - 1) // stride + 1 for n in x.shape[-3:-1]]
        out = empty(x, y, x.shape[:-4], y.shape[:-2], (x.shape[-4], *sizes, y.shape[-1]))
    for images, rows, weights in few_at_a_time(x, out, y):
        np.matmul(rows_of(images, stride), weights, out=rows)
    return out


@operation(lambda g, out, x, y, shape, stride=1: fit(convolve(g, y, stride=stride), x),
           lambda g, out, x, y, shape, stride=1: fit(convolve_tn(g, x, stride=stride), y))
def convolve_nt(x, y, shape, stride=1, out=None):
    """Images of the given shape (height, width, channels): the windows x @ y.mT, added up."""
    if out is None:
        out = empty(x, y, x.shape[:-4], y.shape[:-2], (x.shape[-4], *shape))
    for images, rows, weights in few_at_a_time(out, x, y):
        images[...] = images_of(rows @ weights.T, images.shape, stride)
    return out


@operation(lambda g, out, x, y, stride=1: fit(convolve_nt(y, g, shape=x.shape[-3:], stride=stride), x),
           lambda g, out, x, y, stride=1: fit(convolve(x, g, stride=stride), y))
def convolve_tn(x, y, stride=1, out=None):
    """windows(x).mT @ y, of the windows of all points."""
    if out is None:
        out = empty(x, y, x.shape[:-4], y.shape[:-4], (9 * x.shape[-1], y.shape[-1]))
    out[...] = 0
    for images, rows, weights in few_at_a_time(x, y, out):
        weights += rows_of(images, stride).T @ rows
    return out


def empty(x, y, x_batch, y_batch, shape):
    """An array for the result of ``x`` and ``y``, which are batches of these shapes and are broadcast against each other."""
    return np.empty((*np.broadcast_shapes(x_batch, y_batch), *shape), np.result_type(x, y))


def few_at_a_time(images, rows, weights):
    """Views of some images, of the rows for their windows, and of the weights of their task, until all have had their turn."""
    batch = np.broadcast_shapes(images.shape[:-4], rows.shape[:-4])  # if the weights have more tasks, so has the result
    images, rows, weights = stretch(images, batch, 4), stretch(rows, batch, 4), stretch(weights, batch, 2)
    entries = prod(rows.shape[-3:-1]) * weights.shape[-2]  # in the windows of one image
    few = 1 + 2**18 // max(1, entries)  # 1 MB of them in float32
    for task in np.ndindex(batch):
        for start in range(0, images.shape[-4], few):
            part = (*task, slice(start, start + few))
            yield images[part], rows[part].reshape(-1, rows.shape[-1]), weights[task]


def stretch(x, batch, own):
    """``x`` as a batch of this shape: the axes in front of its last ``own`` ones are broadcast."""
    return x if x.shape[:-own] == batch else np.broadcast_to(x, (*batch, *x.shape[-own:]))


def rows_of(images, stride):
    """The windows, one per row."""
    n, height, width, channels = images.shape
    bordered = np.zeros((n, height + 2, width + 2, channels), images.dtype)
    bordered[:, 1:-1, 1:-1] = images
    return windows.__wrapped__(bordered, 3, stride).reshape(-1, 9 * channels)


def images_of(rows, shape, stride):
    """The opposite: the rows added up to images."""
    n, height, width, channels = shape
    sizes = [(size - 1) // stride + 1 for size in (height, width)]
    return overlap_add.__wrapped__(rows.reshape(n, *sizes, -1), (n, height + 2, width + 2, channels), 3, stride)[:, 1:-1, 1:-1]
