"""What bad input gets: one sentence that names the argument, says what it should be and what it is.

Only that is asked for here which would otherwise be taken in silence, or be refused without a name.

>>> whole("steps", 1.5)
Traceback (most recent call last):
ValueError: steps must be a whole number, at least 0, and is 1.5
"""

from collections.abc import Iterable
from math import inf, isfinite

import numpy as np

from .tensor import Tensor


def whole(name, value, least=0):
    """``value``, if it is a whole number and not less than ``least``."""
    value = single(value)
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, and is {value!r}")
    return value


def number(name, value, least=-inf, above=-inf, below=inf):
    """``value``, if it is a real number, finite, and within these bounds."""
    plain = single(value.numpy() if type(value) is Tensor else value)
    if isinstance(plain, Tensor) and plain.size == 1:
        return value  # a function is being recorded, and the value will be another one
    real = isinstance(plain, (int, float, np.integer, np.floating)) and not isinstance(plain, bool)
    if not (real and isfinite(plain) and least <= plain < below and plain > above):
        bounds = {"at least": least, "greater than": above, "less than": below}
        said = " and ".join([f"{words} {bound}" for words, bound in bounds.items() if isfinite(bound)])
        raise ValueError(f"{name} must be a finite number{said and ', ' + said}, and is {value!r}")
    return value if isinstance(value, Tensor) else plain


def single(value):
    """The number in an array of one or a NumPy scalar, as Python's, which takes the type of what it meets; else ``value``."""
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else value


def listed(value):
    """What any collection in an order holds, as a list; what is none is returned as it is."""
    ordered = isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict, set)) and getattr(value, "ndim", 1)
    return list(value) if ordered else value


def floating(name, dtype):
    """``dtype`` as NumPy's, if it is one of real floating-point numbers."""
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"{name} must be a floating-point type such as float32, and is {dtype}")
    return dtype


def function(name, value):
    """``value``, if it can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, and is {kind(value)}")
    return value


def generator(rng):
    """A NumPy generator from what is given as ``rng``."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng must be a NumPy generator, a seed (a whole number from 0) or None, and is {rng!r}") from None


def pair(name, value):
    """``value``, if it is a pair."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:  # an array of two tasks would look like one
        raise TypeError(f"{name} must be a pair of arrays (x, y), and is {kind(value)}")
    return value


def matching_pair(name, value):
    """``value``, if it is a pair of arrays whose first axes, of tasks or of points, are equally long."""
    shapes = [each.shape for each in pair(name, value) if hasattr(each, "shape")]  # where there are inputs at all
    alike = [shape[:1] for shape in shapes if len(shape) == len(shapes[-1]) and shape[:1] != (1,)]  # others serve every task
    if len(set(alike)) > 1:
        raise ValueError(f"x and y in {name} must have first axes of one length, and got {shapes[0]} and {shapes[1]}")
    return value


def kind(value):
    length = f" of length {len(value)}" if isinstance(value, (list, tuple, dict)) else ""
    return f"of type {type(value).__name__}{length}"
