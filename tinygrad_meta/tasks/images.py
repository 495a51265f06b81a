"""Few-shot classification of images: each task is a choice of a few classes, to be told apart after a few examples of each.

:class:`ImageTasks` makes such tasks of any labelled images.  Around it, what is done to the images before they become tasks:
:func:`rotated` makes new classes of old ones, :func:`centred` takes position out, and :func:`distort` puts variety in.

An image is an array of height and width whose entries run from 0 (paper) to 1 (ink).  Images may also be given as uint8,
which is divided by 255, or as bool; they come out as floating-point numbers.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np

from ..validate import floating, generator, kind, number, whole


class ImageBatch(NamedTuple):
    """Many tasks at once.

    ``support`` and ``query`` are pairs (x, y): images of shape (tasks, points, height, width), and integer labels from 0 to
    ways - 1 of shape (tasks, points).
    """

    support: tuple
    query: tuple
    classes: np.ndarray  # (tasks, ways): the class behind each label, which the learner is not told


class ImageTasks:
    """All N-way K-shot tasks that can be made of labelled images.

    Parameters
    ----------
    images : array of shape (count, height, width)
        Numbers from 0 to 1, uint8 or bool.
    labels : sequence of length count
        The class of each image: numbers, strings, or anything else that can be a key of a dict.
    dtype : floating-point dtype
        Of the images in tasks.
    groups : sequence of length count, optional
        The group of each image, such as its alphabet, the same for all images of a class.  The classes of a task then come
        from one group, and groups of fewer classes than a task has are not used.

    Attributes
    ----------
    classes : list
        The label of each class, in order of first appearance.

    Examples
    --------
    >>> images, labels = np.random.default_rng(0).random((60, 8, 8)), [name for name in "abcdef" for _ in range(10)]
    >>> batch = ImageTasks(images, labels).sample(n_tasks=4, ways=3, shots=1, queries=2, rng=0)
    >>> x, y = batch.query
    >>> x.shape, y[0]
    ((4, 6, 8, 8), array([0, 0, 1, 1, 2, 2]))
    """

    def __init__(self, images, labels, dtype=np.float32, groups=None):
        self.dtype = floating("the dtype of images in tasks", dtype)
        images = check_images(images)
        if images.ndim != 3:
            raise ValueError(f"images must have shape (count, height, width), and have shape {images.shape}")
        self.images = images.astype(self.dtype if images.dtype.kind == "f" else images.dtype)
        self.labels = as_labels(labels, "labels", len(images))
        self.groups = as_labels([None] * len(images) if groups is None else groups, "groups", len(images))
        group_of = dict(zip(self.labels, self.groups, strict=True))
        for label, group in zip(self.labels, self.groups, strict=True):
            if group != group_of[label]:
                raise ValueError(f"the images of a class must be in one group, and those of {label!r} are in {group!r} and "
                                 f"{group_of[label]!r}")
        self.classes = list(group_of)
        self._examples, self._members = Partition(self.labels), Partition(group_of.values())

    def sample(self, n_tasks, ways=5, shots=1, queries=15, rng=None):
        """Draw new tasks: classes, their order, and examples of each, all uniformly and without repetition within a task.

        The points of a set are sorted by label; which class has which label is random.

        Parameters
        ----------
        n_tasks, ways : int
            How many tasks, and how many classes in each (the N of N-way).
        shots, queries : int
            How many examples of each class in the support set (the K of K-shot) and in the query set.
        rng : numpy Generator, seed or None

        Returns
        -------
        ImageBatch
            Its ``classes`` are places in the list ``classes`` of these tasks.
        """
        for name, n in {"n_tasks": n_tasks, "ways": ways, "shots": shots, "queries": queries}.items():
            whole(name, n, least=1)
        self._check_enough(ways, shots, queries)
        rng = generator(rng)
        sizes = self._members.sizes * (self._members.sizes >= ways)
        groups = rng.choice(len(sizes), n_tasks, p=sizes / sizes.sum())  # by size, so that all classes are equally likely
        classes = self._members.draw(rng, groups, ways)
        examples = self._examples.draw(rng, classes, shots + queries)
        support, query = (self._points(part) for part in (examples[..., :shots], examples[..., shots:]))
        return ImageBatch(support, query, classes)

    def _points(self, examples):
        """The pair (x, y) for indices of images of shape (tasks, ways, examples)."""
        tasks, ways, each = examples.shape
        x = as_floats(self.images[examples.reshape(tasks, -1)], self.dtype)
        return x, np.tile(np.repeat(np.arange(ways), each), (tasks, 1))

    def _check_enough(self, ways, shots, queries):
        most = self._members.sizes.max(initial=0)
        if most < ways:
            where = " in the largest group" * (len(self._members.sizes) > 1)
            raise ValueError(f"{ways}-way tasks need {ways} classes, and there are {most}{where}")
        used = self._members.members[np.repeat(self._members.sizes >= ways, self._members.sizes)]  # classes that can be drawn
        fewest = used[self._examples.sizes[used].argmin()]
        if self._examples.sizes[fewest] < shots + queries:
            raise ValueError(f"{shots} shots and {queries} queries need {shots + queries} examples of every class, and "
                             f"{self.classes[fewest]!r} has {self._examples.sizes[fewest]}")

    def split(self, held_out, rng=None):
        """Tasks to meta-train on and tasks to meta-test on, which share no class.

        Where classes are turned copies of others, split first and turn then: see :func:`rotated`.

        Parameters
        ----------
        held_out : float or collection of labels
            The share of the classes to test on, drawn at random, or the classes themselves.
        rng : numpy Generator, seed or None

        Returns
        -------
        pair of ImageTasks

        Examples
        --------
        >>> tasks = ImageTasks(np.zeros((6, 8, 8)), ["a", "b", "c", "a", "b", "c"])
        >>> train, test = tasks.split(["b"])
        >>> train.classes, test.classes
        (['a', 'c'], ['b'])
        """
        rng = generator(rng)
        if isinstance(held_out, (float, np.floating)):
            size = round(held_out * len(self.classes)) if 0 < held_out < 1 else 0
            order = rng.permutation(len(self.classes))
            chosen = {self.classes[i] for i in order[:size]}
        elif isinstance(held_out, Collection) and not isinstance(held_out, (str, bytes)) and getattr(held_out, "ndim", 1):
            chosen = set(held_out.tolist() if isinstance(held_out, np.ndarray) else held_out)
            if has_booleans(chosen) and not has_booleans(self.classes):
                raise TypeError("held_out must be a share, such as 0.2, or a collection of labels, and this looks like a mask")
        else:
            raise TypeError(f"held_out must be a share, such as 0.2, or a collection of labels, and is {kind(held_out)}")
        unknown = chosen - set(self.classes)
        if unknown:
            raise ValueError(f"there is no class {next(iter(unknown))!r} to hold out")
        if not 0 < len(chosen) < len(self.classes):
            raise ValueError(f"both parts need at least one of the {len(self.classes)} classes, and held_out is {held_out!r}")
        held_out = np.array([label in chosen for label in self.labels])
        return tuple(ImageTasks(self.images[part], [self.labels[i] for i in part], self.dtype, [self.groups[i] for i in part])
                     for part in map(np.flatnonzero, (~held_out, held_out)))


def has_booleans(labels):
    return any(isinstance(label, (bool, np.bool_)) for label in labels)


class Partition:
    """Numbers 0, 1, ... sorted into parts by a key each, to draw from the parts.

    >>> parts = Partition(["a", "b", "a", "a", "b"])
    >>> parts.sizes
    array([3, 2])
    >>> parts.draw(np.random.default_rng(0), np.array([1]), 2)  # both members of the second part, in random order
    array([[1, 4]])
    """

    def __init__(self, keys):
        places = {}
        parts = np.array([places.setdefault(key, len(places)) for key in keys], int)
        self.members = np.argsort(parts, kind="stable")
        self.sizes = np.bincount(parts)
        self.starts = np.cumsum(self.sizes) - self.sizes

    def draw(self, rng, parts, size):
        """Different members of each of the given parts, in random order: an array of shape (*parts.shape, size)."""
        return self.members[self.starts[parts][..., None] + draw_without_repetition(rng, self.sizes[parts], size)]


def draw_without_repetition(rng, below, size):
    """Different whole numbers from 0 to each of ``below`` (not included), in random order: an array (*below.shape, size).

    Floyd's algorithm (Bentley, Floyd 1987), for all rows at once: its cost does not depend on ``below``.
    """
    drawn = np.empty((*below.shape, size), int)
    for i in range(size):
        last = below - size + i
        new = rng.integers(0, last, endpoint=True)
        taken = (drawn[..., :i] == new[..., None]).any(axis=-1)
        drawn[..., i] = np.where(taken, last, new)
    return rng.permuted(drawn, axis=-1)


# ------------------------------------------------------------------------------------------------- images as arrays


def check_images(images):
    """Images as an array of floating-point numbers, uint8 or bool, with height and width as the last two axes."""
    try:
        images = np.asarray(images)
    except ValueError as error:
        raise ValueError("images must all have one size, to be one array") from error
    if images.dtype.kind not in "fb" and images.dtype != np.uint8:
        raise TypeError("images must be floating-point numbers from 0 to 1, uint8 from 0 to 255 or bool, and are of dtype "
                        f"{images.dtype}")
    if images.ndim < 2:
        raise ValueError(f"images need a height and a width as their last two axes, and have shape {images.shape}")
    if images.dtype == np.uint8 and images.size and images.max() == 1:
        raise ValueError("images of dtype uint8 run from 0 (paper) to 255 (ink), and these have only 0 and 1: convert them to "
                         "bool")
    if images.dtype.kind == "f" and not (images.size == 0 or 0 <= images.min() <= images.max() <= 1):
        raise ValueError(f"images must lie between 0 (paper) and 1 (ink), and run from {images.min()} to {images.max()}")
    return images


def as_floats(images, dtype=np.float32):
    """Images as numbers from 0 to 1: uint8 is divided by 255, bool becomes 0 and 1, and floating-point numbers stay."""
    if images.dtype == np.uint8:
        return np.divide(images, 255, dtype=dtype)
    return images if images.dtype.kind == "f" else images.astype(dtype)


def as_labels(labels, name, count):
    if not isinstance(labels, Iterable):
        raise TypeError(f"{name} must be a sequence with one value per image, and is {kind(labels)}")
    labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    if len(labels) != count:
        raise ValueError(f"there must be as many {name} as images, and there are {len(labels)} {name} for {count} images")
    try:
        set(labels)
    except TypeError as error:
        raise TypeError(f"{name} must be one value per image, such as a number or a string: {error}") from error
    return labels


# ------------------------------------------------------------------------------- images turned, centred and distorted


def rotated(images, labels):
    """All images four times: as they are, and turned by 90, 180 and 270 degrees, which makes new classes.

    Four times as many classes to learn from (Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, arXiv 1605.06065).

    Parameters
    ----------
    images : array of shape (count, size, size)
    labels : sequence of length count

    Returns
    -------
    array of shape (4 count, size, size)
    list of pairs (label, degrees)
        The new labels.

    Examples
    --------
    >>> images, labels = rotated(np.eye(2)[None], ["slash"])
    >>> labels
    [('slash', 0), ('slash', 90), ('slash', 180), ('slash', 270)]
    >>> images[1]
    array([[0., 1.],
           [1., 0.]])
    """
    images = check_images(images)
    if images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise ValueError(f"images to turn must have shape (count, size, size), and have shape {images.shape}")
    labels = as_labels(labels, "labels", len(images))
    turned = np.concatenate([np.rot90(images, quarters, axes=(1, 2)) for quarters in range(4)])
    return turned, [(label, degrees) for degrees in (0, 90, 180, 270) for label in labels]


def centred(images):
    """Images moved so that their centre of mass lies in the middle; what leaves the image is lost, and blank images stay.

    Parameters
    ----------
    images : array of shape (..., height, width)

    Examples
    --------
    >>> centred([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    array([[0., 0., 0.],
           [0., 1., 0.],
           [0., 0., 0.]])
    """
    images = as_floats(check_images(images))
    ink = images.sum(axis=(-2, -1))
    moments = np.stack([(images * place).sum(axis=(-2, -1)) for place in grid(*images.shape[-2:])], axis=-1)
    return resampled(images, np.eye(2), moments / np.where(ink, ink, 1)[..., None])


def distort(images, rng=None, degrees=15.0, shift=2.0, scale=0.1, shear=0.1):
    """Images as another hand might have drawn them: each is turned, moved, resized and slanted at random.

    Every amount is drawn uniformly between its bound and the opposite, for each image anew.

    Parameters
    ----------
    images : array of shape (..., height, width)
    rng : numpy Generator, seed or None
    degrees : float
        How far to turn at most.
    shift : float
        How many pixels to move at most, down and to the right.
    scale, shear : float
        By what share of its size an image may grow or shrink, and be slanted.

    Examples
    --------
    >>> distort(np.ones((20, 5, 28, 28), np.float32), rng=0).shape
    (20, 5, 28, 28)
    """
    images = as_floats(check_images(images))
    number("scale", scale, least=0, below=1)
    for name, bound in {"degrees": degrees, "shift": shift, "shear": shear}.items():
        number(name, bound, least=0)
    rng, count = generator(rng), images.shape[:-2]
    angle, slant, growth = (rng.uniform(-bound, bound, count) for bound in (np.radians(degrees), shear, scale))
    cos, sin = np.cos(angle) / (1 + growth), np.sin(angle) / (1 + growth)
    matrix = np.stack([cos - slant * sin, -sin, sin + slant * cos, cos], axis=-1).reshape(*count, 2, 2)
    return resampled(images, matrix, rng.uniform(-shift, shift, (*count, 2)))


def grid(height, width):
    """The row and the column of every pixel, counted from the middle of the image: arrays (height, 1) and (width,)."""
    return np.arange(height)[:, None] - (height - 1) / 2, np.arange(width) - (width - 1) / 2


def resampled(images, matrix, offset):
    """Images whose pixel at p is the old image at ``matrix @ p + offset``, with p = (row, column) counted from the middle.

    Parameters
    ----------
    images : array of floating-point numbers of shape (..., height, width)
    matrix : array of shape (2, 2) or (..., 2, 2)
    offset : array of shape (..., 2)
    """
    *count, height, width = images.shape
    dtype = np.result_type(images, np.float32)
    flat = images.reshape(-1, height, width)
    matrix = np.broadcast_to(matrix, (*count, 2, 2)).reshape(-1, 2, 2, 1, 1).astype(dtype)
    offset = offset.reshape(-1, 2, 1, 1).astype(dtype)
    row, column = (place.astype(dtype) for place in grid(height, width))
    result = np.empty_like(flat)
    for start in range(0, len(flat), BLOCK):
        block = slice(start, start + BLOCK)
        rows, columns = (matrix[block, i, 0] * row + (matrix[block, i, 1] * column + offset[block, i]) for i in range(2))
        result[block] = interpolated(flat[block], rows - row[0], columns - column[0])
    return result.reshape(images.shape)


BLOCK = 64  # images at a time: their temporary arrays then fit into a processor's cache


def interpolated(images, rows, columns):
    """The values of images between their pixels: bilinear interpolation, with paper all around.

    Parameters
    ----------
    images, rows, columns : arrays of shape (count, height, width)
        ``rows`` and ``columns`` are places in the image, counted from its first pixel.
    """
    count, height, width = images.shape
    paper = np.zeros((count, height + 3, width + 3), images.dtype)  # one row above, two below: places end on the first of them
    paper[:, 1:-2, 1:-2] = images
    rows, columns = np.clip(rows, -1, height) + 1, np.clip(columns, -1, width) + 1
    above, left = rows.astype(int), columns.astype(int)
    down, right = rows - above, columns - left
    first = (np.arange(count)[:, None, None] * (height + 3) + above) * (width + 3) + left
    upper, lower = (paper.take(corner) * (1 - right) + paper.take(corner + 1) * right for corner in (first, first + width + 3))
    return upper * (1 - down) + lower * down
