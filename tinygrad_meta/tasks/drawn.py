"""A drawn alphabet: images like Omniglot's, to learn from without a download.

A character is a few smooth strokes at random places.  Every example of it is drawn anew by a shaky hand, which moves, turns,
slants and resizes it and takes another pen.  That is much to whoever compares pixels, and little to a network that has learnt
from other characters.  Of five characters seen once, the nearest image is the right one half of the time (five times in six
once all are centred), and small networks come to more than nine times in ten within seconds of training.
"""

import numpy as np

from ..validate import generator, whole

SIZE = 28  # pixels

# How much examples of a character differ.  Lengths are in halves of a character's size, unless it says pixels.
JITTER = 0.04  # standard deviation of every control point
DEGREES, SLANT, GROWTH = 16, 0.1, 0.1  # at most, either way
SHIFT = 2.5  # pixels, at most, in either direction
PEN = (1, 3)  # pixels, its least and its greatest width

POINTS, STEPS = 4, 8  # a stroke is a curve with this many control points, drawn as so many straight lines
HALF = 9  # pixels, half of a character's size before a hand changes it


def drawn_alphabet(classes=300, examples=20, rng=0):
    """Characters that nobody has seen before, each drawn several times.

    Parameters
    ----------
    classes, examples : int
        How many characters, and how many drawings of each.
    rng : numpy Generator, seed or None

    Returns
    -------
    images : uint8 array of shape (classes * examples, 28, 28)
        From 0 (paper) to 255 (ink), sorted by character.
    labels : integer array of shape (classes * examples,)

    Examples
    --------
    >>> images, labels = drawn_alphabet(classes=3, examples=2)
    >>> images.shape, labels
    ((6, 28, 28), array([0, 0, 1, 1, 2, 2]))
    """
    whole("classes", classes, least=1)
    whole("examples", examples, least=1)
    rng = generator(rng)
    images = np.concatenate([ink(by_hand(character(rng), examples, rng), rng.uniform(*PEN, examples)) for _ in range(classes)])
    return np.round(255 * images).astype(np.uint8), np.repeat(np.arange(classes), examples)


def character(rng):
    """Control points of two to four strokes, filling the square from -1 to 1: an array of shape (strokes, 4, 2)."""
    points = rng.uniform(-1, 1, (rng.integers(2, 5), POINTS, 2))
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    return (points - (low + high) / 2) / (high - low).max() * 2


def by_hand(points, examples, rng):
    """Control points, in pixels, of several drawings of a character: an array of shape (examples, strokes, 4, 2)."""
    points = points + JITTER * rng.normal(size=(examples, *points.shape))
    angle, slant = (rng.uniform(-bound, bound, examples) for bound in (np.radians(DEGREES), SLANT))
    height, width = 1 + rng.uniform(-GROWTH, GROWTH, (2, examples))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([height * (cos + slant * sin), width * (slant * cos - sin), height * sin, width * cos], axis=-1)
    shift = rng.uniform(-SHIFT, SHIFT, (examples, 1, 1, 2))
    return HALF * points @ turn.reshape(examples, 1, 2, 2) + shift + (SIZE - 1) / 2


def ink(points, pen):
    """Strokes as images: a pixel is as dark as it is covered by the pen, up to half a pixel at the edge.

    Parameters
    ----------
    points : array of shape (drawings, strokes, 4, 2)
        Control points (row, column) of Bezier curves.
    pen : array of shape (drawings,)
        Its width in pixels.

    Returns
    -------
    float32 array of shape (drawings, 28, 28)
    """
    curves = bernstein(np.linspace(0, 1, STEPS + 1)) @ points
    return np.clip(pen[:, None, None].astype(np.float32) / 2 + 0.5 - distances(curves.astype(np.float32)), 0, 1)


def bernstein(t):
    """The weights of the four control points of a cubic Bezier curve at times t: an array of shape (times, 4)."""
    return np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=-1)


def distances(curves):
    """How far each pixel is from the nearest of the lines through points (drawings, strokes, points, 2)."""
    lines = (len(curves), -1, 2, 1, 1)
    start, along = curves[:, :, :-1].reshape(lines), np.diff(curves, axis=2).reshape(lines)
    pixels = np.arange(SIZE, dtype=curves.dtype)
    row, column = pixels[:, None] - start[:, :, 0], pixels - start[:, :, 1]  # from the start of a line to a pixel
    unit = along / np.maximum((along**2).sum(axis=2, keepdims=True), 1e-6)
    nearest = np.clip(row * unit[:, :, 0] + column * unit[:, :, 1], 0, 1)  # the share of the line up to its nearest point
    across = (row - nearest * along[:, :, 0]) ** 2 + (column - nearest * along[:, :, 1]) ** 2
    return np.sqrt(across.min(axis=1))
