"""Every operation of the table against finite differences: what ``python -m tinygrad_meta check`` runs."""

import numpy as np

from . import convolution, func, ops
from .gradcheck import GradcheckError, gradcheck, gradgradcheck

# Operations are tried on 3 by 3 matrices of numbers between 0.5 and 2 with random signs.  What differs:
POSITIVE = {"log", "log1p", "sqrt", "power"}
INPUTS = {"select": 2, "constant_in": 2, "join": 2, "contract": 2}  # that can have a derivative, where it is not one per rule
SHAPES = {
    "windows": [(3, 3, 1)],
    "overlap_add": [(2, 2, 4)],
    "convolve": [(1, 3, 3, 1), (9, 2)],
    "convolve_nt": [(1, 2, 2, 2), (9, 2)],
    "convolve_tn": [(1, 3, 3, 1), (1, 2, 2, 2)],
}
ATTRIBUTES = {
    "cast": {"dtype": np.dtype(float)},
    "reshape": {"shape": (9,)},
    "broadcast_to": {"shape": (2, 3, 3)},
    "sum_to": {"shape": (1, 3)},
    "getitem": {"index": np.array([0, 2, 2])},
    "scatter": {"index": np.array([0, 2, 2]), "shape": (4, 3)},
    "pad": {"pad_width": ((1, 0), (0, 2))},
    "windows": {"size": 2},
    "overlap_add": {"shape": (3, 3, 1), "size": 2},
    "convolve": {"stride": 2},
    "convolve_nt": {"shape": (3, 3, 1), "stride": 2},
    "convolve_tn": {"stride": 2},
    "join": {"axis": 1},
    "contract": {"subscripts": (("ij", "jk"), "ik")},
}


def check_table():
    """Check every operation that has a derivative.

    Yields
    ------
    name : str
    first, second : float
        The worst error of its derivatives of this order, as :func:`worst_error` has it.
    complaint : GradcheckError or None

    Examples
    --------
    >>> name, first, second, complaint = next(check_table())
    >>> name, first < 1e-6, second < 1e-6, complaint
    ('add', True, True, None)
    """
    for name, primitive in ops.OPERATIONS.items():
        if primitive.differentiable:
            f, xs = sample(name, INPUTS.get(name) or len(primitive.rules))
            yield name, worst_error(f, xs), worst_error(gradient_of(f, xs), xs), complaint(f, xs)


def sample(name, n_inputs):
    """An operation as a function of arrays alone, and arrays for it, the same at every call."""
    operation = getattr(ops, name, None) or getattr(convolution, name)
    rng, attributes = np.random.default_rng(0), ATTRIBUTES.get(name, {})
    xs = [rng.uniform(0.5, 2, shape) * (1 if name in POSITIVE else rng.choice([-1, 1], shape))
          for shape in SHAPES.get(name, [(3, 3)] * n_inputs)]
    if name == "select":
        return lambda x, y: operation(np.eye(3, dtype=bool), x, y), xs
    return lambda *xs: operation(*xs, **attributes), xs


def worst_error(f, xs, eps=1e-6):
    """The largest difference between derivatives by the rules and by finite differences; relative where they exceed 1."""
    by_rules, worst = func.jacobian(f, argnums=range(len(xs)))(*xs), 0.0
    for i, x in enumerate(xs):
        for index in np.ndindex(x.shape):
            step = np.zeros(x.shape)
            step[index] = eps
            there, back = (f(*xs[:i], moved, *xs[i + 1 :]).data for moved in (x + step, x - step))
            numerical = (there - back) / (2 * eps)
            error = np.abs(by_rules[i].data[(..., *index)] - numerical) / np.maximum(1, np.abs(numerical))
            worst = np.maximum(worst, error.max())  # nan stays nan
    return float(worst)


def gradient_of(f, xs):
    """The gradient of a random combination of all outputs, as one vector."""
    weights = np.random.default_rng(1).standard_normal(f(*xs).shape)
    gradient = func.grad(lambda *xs: (f(*xs) * weights).sum(), argnums=range(len(xs)))
    return lambda *xs: ops.concat([g.reshape(-1) for g in gradient(*xs)])


def complaint(f, xs):
    """The verdict of the two checks: their error, or None."""
    try:
        gradcheck(f, xs)
        gradgradcheck(f, xs)
    except GradcheckError as error:
        return error
