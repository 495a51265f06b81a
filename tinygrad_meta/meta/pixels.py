"""Few-shot classification without learning: which support image is nearest, pixel by pixel?

What any learner of images has to beat.  :func:`euclidean` compares what is at the same place in both images;
:func:`modified_hausdorff` asks for each inked pixel how far the nearest ink of the other image is, so it forgives strokes that
are a little out of place.
"""

import numpy as np

from ..tasks.images import as_floats, check_images
from ..validate import function


def euclidean(a, b):
    """Distances as lists of pixels: of images (..., m, height, width) and (..., n, height, width), an array (..., m, n).

    >>> euclidean(np.zeros((1, 2, 2)), np.ones((3, 2, 2)))
    array([[2., 2., 2.]])
    """
    a, b = (as_floats(images) for images in check_sets(a, b))
    if a.shape[-2:] != b.shape[-2:]:
        raise ValueError(f"images are compared pixel by pixel if they have one size, and got shapes {a.shape} and {b.shape}")
    a, b = (images.reshape(*images.shape[:-2], -1) for images in (a, b))
    squares = (a**2).sum(axis=-1)[..., :, None] + (b**2).sum(axis=-1)[..., None, :]
    return np.sqrt(np.maximum(squares - 2 * a @ b.swapaxes(-1, -2), 0))


def modified_hausdorff(a, b):
    """Distances as shapes of ink: of images (..., m, height, width) and (..., n, height, width), an array (..., m, n).

    The mean, over the inked pixels of one image, of how far the nearest ink of the other is; of the two such means the larger
    (Dubuisson, Jain 1994).  Images are laid on top of each other with their ink's centres of mass in one place, as in the
    baseline of Lake, Salakhutdinov, Tenenbaum 2015.

    Examples
    --------
    >>> line, two_lines = np.zeros((3, 3)), np.ones((3, 3))
    >>> line[0], two_lines[1] = 1, 0
    >>> modified_hausdorff([line], [line, two_lines])
    array([[0., 1.]])
    """
    a, b = check_sets(a, b)
    if a.ndim > 3:
        return np.array([modified_hausdorff(*task) for task in zip(a, b, strict=True)])
    from_a, to_b = [ink_factors(image)[0] for image in a], [ink_factors(image)[1] for image in b]
    return np.array([[larger_mean(p @ q) for q in to_b] for p in from_a])


def check_sets(a, b):
    a, b = check_images(a), check_images(b)
    if a.ndim < 3 or a.shape[:-3] != b.shape[:-3]:
        raise ValueError("distances are those between images of two sets, (..., m, height, width) and (..., n, height, width), "
                         f"and got shapes {a.shape} and {b.shape}")
    return a, b


def ink_factors(image):
    """Two arrays (pixels, 4) and (4, pixels) of the inked pixels, those darker than half, counted from their centre.

    The product of one image's first and another's second is the square of the distance between each pixel of the one and each
    of the other, (p - q)^2 = -2 p q + p^2 + q^2.
    """
    places = np.argwhere(as_floats(image) > 0.5)
    if not len(places):
        raise ValueError("the Hausdorff distance is one between inked pixels, and an image has none that is darker than half")
    places = places - places.mean(axis=0)
    squares = (places**2).sum(axis=1, keepdims=True)
    ones = np.ones_like(squares)
    return np.hstack([-2 * places, squares, ones]), np.ascontiguousarray(np.hstack([places, ones, squares]).T)


def larger_mean(squares):
    """Of the mean distances to the nearest pixel, there and back, the larger one."""
    return max(np.sqrt(np.maximum(squares.min(axis=axis), 0)).mean() for axis in (0, 1))


def nearest_neighbour(support_x, support_y, query_x, distances=euclidean):
    """The label of the nearest support image, for every query image of a task or of a batch of tasks.

    Parameters
    ----------
    support_x, query_x : arrays of shape (..., points, height, width)
    support_y : array of shape (..., points)
    distances : function ``(query_x, support_x) -> array of shape (..., queries, points)``
        :func:`euclidean` or :func:`modified_hausdorff`.

    Returns
    -------
    array of shape (..., queries)
        Where several support images are equally near, the first one's label.

    Examples
    --------
    >>> dot, line = np.eye(9).reshape(9, 3, 3)[4], np.eye(3)
    >>> nearest_neighbour(np.stack([dot, line]), np.array([0, 1]), np.stack([line, line, dot]))
    array([1, 1, 0])
    """
    support_x, query_x, support_y = check_images(support_x), check_images(query_x), np.asarray(support_y)
    if support_x.shape[:-2] != support_y.shape or not support_y.size:
        raise ValueError(f"every support image needs a label, and there are images {support_x.shape} and labels "
                         f"{support_y.shape}")
    if query_x.shape[:-3] != support_x.shape[:-3] or query_x.shape[-2:] != support_x.shape[-2:]:
        raise ValueError("support and query images must have the same size and the same tasks, and have shapes "
                         f"{support_x.shape} and {query_x.shape}")
    nearest = function("distances", distances)(query_x, support_x).argmin(axis=-1)
    return np.take_along_axis(support_y, nearest, axis=-1)
