"""The table: every operation, how NumPy computes it, and right beside it one derivative rule per input.

Notation, the same in every row:

``x``, ``y``
    the inputs, and ``out`` the result.
``g``
    the gradient, with respect to ``out``, of whatever is being differentiated: a tensor shaped like ``out``.  A rule turns
    it into what one input receives by the chain rule: ``g`` times the local derivative, added up over all entries of ``out``
    that an entry of the input affects.

For ``out = x * y`` the local derivative by ``x`` is ``y``, so the rule is ``g * y``.  That product is itself an operation of
this table.  A gradient is therefore an expression like any other, with rules of its own, and can be differentiated again;
nothing else in this project makes second derivatives work.  It is also why a rule must never reach for NumPy, except for
constants.

Elementwise operations stretch their inputs to a common shape (broadcasting), and their rules pay no attention to it:
``autodiff.py`` undoes the stretching, in one place.  (Matrix products stretch all but the last two axes; they undo it
themselves, with ``fit``.)

At kinks, where the derivative is a matter of convention, the conventions are PyTorch's: relu'(0) = 0, the derivative of
``|x|`` is ``sign(x)``, ``clip`` passes the gradient at its bounds, tied maxima share it equally (as in ``amax``), and ``norm``
has gradient 0 at 0.  Where the derivative is 0 wherever it exists (``sign``, ``argmax``, comparisons), the rule is ``None``:
the result counts as a constant.
"""

import builtins  # for Python's own sum, max, min, abs and all: below, most of these names are operations
from functools import lru_cache, partial, wraps
from string import ascii_letters

import numpy as np

from .tensor import NUMPY_FUNCTIONS, Primitive, Tensor, as_tensor, call_with_any, call_with_one, call_with_two
from .validate import kind, listed, number

OPERATIONS = {}  # name -> primitive: the whole table


def operation(*rules, elementwise=False):
    """Enter the function below this line into the table, with one rule per input."""

    def entered(forward):
        attributes = forward.__code__.co_argcount - len(rules)
        call_with = call_with_one if len(rules) == 1 else call_with_two if (len(rules), attributes) == (2, 0) else call_with_any
        return call_with(enter(Primitive(forward, rules, elementwise)))

    return entered


def enter(primitive):
    OPERATIONS[primitive.name] = primitive
    return primitive


def elementwise(*rules):
    """Like ``operation``, for one that works element by element and broadcasts its inputs."""
    return operation(*rules, elementwise=True)


def any_number_of_inputs(rule):
    """Like ``operation``, for one with any number of inputs: one rule for all of them, told the position of its input."""

    class RuleForEach:
        def __getitem__(self, position):
            return partial(rule, position)

    return lambda forward: call_with_any(enter(Primitive(forward, RuleForEach())))


# ---------------------------------------------------------------------------------------------------- arithmetic


@elementwise(lambda g, out, x, y: g,
             lambda g, out, x, y: g)
def add(x, y):
    return np.add(x, y)


@elementwise(lambda g, out, x, y: g,
             lambda g, out, x, y: -g)
def subtract(x, y):
    return np.subtract(x, y)


@elementwise(lambda g, out, x, y: g * y,
             lambda g, out, x, y: g * x)
def multiply(x, y):
    return np.multiply(x, y)


# d(x / y) / dx = 1 / y, and d(x / y) / dy = -x / y**2.  quotient(a, b) is a / b, except that 0 divided by anything is 0; why,
# is said at the end of this file.
@elementwise(lambda g, out, x, y: quotient(g, y),
             lambda g, out, x, y: -quotient(quotient(g, y) * x, y))
def divide(x, y):
    return np.divide(x, y)


@elementwise(lambda g, out, x: -g)
def negative(x):
    return np.negative(x)


# d(x**y) / dx = y * x**(y - 1), and d(x**y) / dy = x**y * log(x).  The rest is for x = 0.
@elementwise(lambda g, out, x, y: g * y * away_from_zero(x, y, g) ** (y - 1),
             lambda g, out, x, y: g * out * log(where(equal(x, 0), 1, x)))
def power(x, y):
    """x to the power y.  At x = 0, the derivative by y is 0 for y >= 0, and so is the one by x if it would be 0 * infinity."""
    return np.power(x, y)


@elementwise(lambda g, out, x: g * (x + x))
def square(x):
    return np.square(x)


@elementwise(lambda g, out, x: quotient(g, 2 * out))
def sqrt(x):
    return np.sqrt(x)


@elementwise(lambda g, out, x: g * sign(x))
def abs(x):
    return np.abs(x)


@elementwise(None)
def sign(x):
    """-1, 0 or 1."""
    return np.sign(x)


# ----------------------------------------------------------------- exponentials, logarithms, trigonometry, sigmoids


@elementwise(lambda g, out, x: g * out)
def exp(x):
    return np.exp(x)


@elementwise(lambda g, out, x: g * (out + 1))
def expm1(x):
    """exp(x) - 1, accurate near 0."""
    return np.expm1(x)


@elementwise(lambda g, out, x: quotient(g, x))
def log(x):
    return np.log(x)


@elementwise(lambda g, out, x: quotient(g, 1 + x))
def log1p(x):
    """log(1 + x), accurate near 0."""
    return np.log1p(x)


@elementwise(lambda g, out, x: g * cos(x))
def sin(x):
    return np.sin(x)


@elementwise(lambda g, out, x: -g * sin(x))
def cos(x):
    return np.cos(x)


@elementwise(lambda g, out, x: g * (1 - square(out)))
def tanh(x):
    return np.tanh(x)


def real(x):
    """Integers as floating-point numbers, as NumPy's functions take them: on their own they would overflow."""
    if x.dtype.kind == "c":
        raise TypeError(f"it takes real numbers, and the dtype is {x.dtype}")
    return x if x.dtype.kind == "f" else x.astype(float)


@elementwise(lambda g, out, x: g * out * (1 - out))
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow."""
    x = real(x)
    small = np.exp(-np.abs(x))
    one = np.ones_like(small)  # not 1: NumPy 1.26 would widen a float32 of no dimensions
    return np.where(x < 0, small, one) / (one + small)


@elementwise(lambda g, out, x: g * sigmoid(x))
def softplus(x):
    """log(1 + exp(x)), without overflow."""
    x = real(x)
    return np.maximum(x, np.zeros_like(x)) + np.log1p(np.exp(-np.abs(x)))


# ------------------------------------------------------------------------------------------ kinks and comparisons


@elementwise(lambda g, out, x: g * step(x))
def relu(x):
    """max(x, 0)."""
    return np.maximum(x, np.zeros(x.shape, x.dtype))  # NumPy is faster with an array of zeros than with a single one


@elementwise(None)
def step(x):
    """1 where x > 0, else 0, in the type of x: the slope of relu."""
    return np.greater(x, 0).astype(x.dtype)


@elementwise(lambda g, out, x, y: where(equal(x, y), g * 0.5, where(greater(x, y), g, 0)),
             lambda g, out, x, y: where(equal(x, y), g * 0.5, where(greater(y, x), g, 0)))
def maximum(x, y):
    return np.maximum(x, y)


@elementwise(lambda g, out, x, y: where(equal(x, y), g * 0.5, where(less(x, y), g, 0)),
             lambda g, out, x, y: where(equal(x, y), g * 0.5, where(less(y, x), g, 0)))
def minimum(x, y):
    return np.minimum(x, y)


@elementwise(None,
             lambda g, out, condition, x, y: where(condition, g, 0),
             lambda g, out, condition, x, y: where(condition, 0, g))
def select(condition, x, y):
    return np.where(condition, x, y)


def where(condition, x, y):
    """``x`` where the condition holds, else ``y``.

    The branch not taken gets a gradient of exactly 0, even where its own derivative is infinite, if that is the slope of a
    division, root, logarithm or power.  Where a *value* in it is infinite, such as exp(1000), or log(0) in x * log(x), choose
    its argument first: ``x * log(where(x > 0, x, 1))``.

    >>> import tinygrad_meta as tg
    >>> x = tg.tensor([0.0, 4.0], requires_grad=True)
    >>> tg.grad(tg.sum(tg.where(x > 0, tg.sqrt(x), 0)), x)
    (Tensor([0.   0.25], dtype=float64),)
    """
    condition = as_tensor(condition)
    if condition.dtype != bool:
        condition = not_equal(condition, 0)
    return select(condition, as_tensor(x, beside=y), as_tensor(y, beside=x))


@elementwise(None, None)
def greater(x, y):
    return np.greater(x, y)


@elementwise(None, None)
def greater_equal(x, y):
    return np.greater_equal(x, y)


@elementwise(None, None)
def less(x, y):
    return np.less(x, y)


@elementwise(None, None)
def less_equal(x, y):
    return np.less_equal(x, y)


@elementwise(None, None)
def equal(x, y):
    return np.equal(x, y)


@elementwise(None, None)
def not_equal(x, y):
    return np.not_equal(x, y)


def leaky_relu(x, slope=0.01):
    """``x`` where it is positive, else ``slope * x``."""
    x = as_tensor(x)
    return where(x > 0, x, slope * x)


def silu(x):
    """x * sigmoid(x)."""
    x = as_tensor(x)
    return x * sigmoid(x)


def clip(x, min=None, max=None):
    """``x``, raised to ``min`` where it is less and lowered to ``max`` where it is more.  ``None`` is no bound.

    >>> import tinygrad_meta as tg
    >>> tg.clip([-2.0, 0.5, 2.0], -1, 1)
    Tensor([-1.   0.5  1. ], dtype=float64)
    """
    x = as_tensor(x, beside=max if min is None else min)
    if min is not None:
        x = where(x < min, min, x)
    if max is not None:
        x = where(x > max, max, x)
    return x


# ------------------------------------------------------------------------------------------------- shapes and types


@operation(lambda g, out, x: g)
def identity(x):
    """A new tensor with the same value, so that a function's argument can be told apart from what it was called with."""
    return x


@any_number_of_inputs(lambda i, g, out, *arrays: g if i == 0 else Tensor(np.zeros(arrays[i].shape, arrays[i].dtype)))
def constant_in(*arrays):
    """The first input.  Nothing depends on the others: asked for their gradient, it is 0, not an error (func.py needs that)."""
    return arrays[0]


@operation(lambda g, out, x, dtype: cast(g, x.dtype))
def cast(x, dtype):
    return x.astype(dtype)


def astype(x, dtype):
    """Convert to another floating-point type; the gradient is converted back."""
    x, dtype = as_tensor(x), np.dtype(dtype)
    if dtype.kind not in "biufc":
        raise TypeError(f"a tensor holds numbers, and dtype {dtype} is none of numbers")
    if x.requires_grad and dtype.kind != "f":
        raise TypeError(f"a conversion from {x.dtype} to {dtype} has no derivative: detach() the tensor first")
    return cast(x, dtype)


@operation(lambda g, out, x, shape: reshape(g, x.shape))
def reshape(x, shape):
    return x.reshape(shape)


@operation(lambda g, out, x, shape: sum_to(g, shape=x.shape))
def broadcast_to(x, shape):
    """Stretch axes of length 1, and add axes in front, until the shape is ``shape``."""
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if not x.flags.c_contiguous or x.size == 0:
        return np.broadcast_to(x, shape)
    return np.ndarray(shape, x.dtype, x, 0, stretched_strides(x.shape, x.strides, shape))  # the same, but faster


@lru_cache
def stretched_strides(shape, strides, new_shape):
    """How far apart the entries lie along each axis; along a stretched axis it is the same entry again, 0 bytes apart."""
    stretched = stretched_axes(shape, new_shape)
    strides = (0,) * (len(new_shape) - len(shape)) + strides
    return tuple([0 if axis in stretched else stride for axis, stride in enumerate(strides)])


@operation(lambda g, out, x, shape: broadcast_to(g, shape=x.shape))
def sum_to(x, shape):
    """The opposite of ``broadcast_to``: sum over the axes that stretching ``shape`` to ``x``'s shape would stretch.

    >>> import tinygrad_meta as tg
    >>> tg.sum_to(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), (1, 2))
    Tensor([[4. 6.]], dtype=float64)
    """
    axes = stretched_axes(tuple(shape), x.shape)
    if axes == (x.ndim - 2,) and x.dtype.kind == "f":
        return np.matmul(row_of_ones(x.shape[-2], x.dtype), x).reshape(shape)  # adds rows faster than np.add does
    return add_up(x, axes).reshape(shape)


def add_up(x, axis, keepdims=False):
    if x.dtype == np.float16:  # in which adding 1 to 2,048 gives 2,048
        return np.add.reduce(x, axis, np.float32, keepdims=keepdims).astype(np.float16)
    return np.add.reduce(x, axis, keepdims=keepdims)


@lru_cache
def stretched_axes(shape, new_shape):
    """The axes of ``new_shape`` that ``broadcast_to`` adds in front, or stretches from length 1."""
    added = len(new_shape) - len(shape)
    if added < 0 or builtins.any([n not in (1, m) for n, m in zip(shape, new_shape[added:], strict=True)]):
        raise ValueError(f"shape {shape} cannot be stretched to {new_shape}, nor {new_shape} be summed to {shape}")
    return (*range(added), *[added + i for i, n in enumerate(shape) if n == 1 != new_shape[added + i]])


@lru_cache(maxsize=8)
def row_of_ones(n, dtype):
    return np.ones((1, n), dtype)


def with_its_own(call):
    """Let an operation keep a copy of its attribute: the backward pass will read it, and nobody may change it until then."""

    @wraps(call)
    def call_with_copy(x, *args, **attrs):
        return call(x, *map(own, args), **{name: own(value) for name, value in attrs.items()})

    return call_with_copy


def own(value):
    """A copy, also of what is inside of lists and tuples, with arrays in place of tensors."""
    if isinstance(value, (list, tuple)):
        return [own(each) for each in value] if isinstance(value, list) else tuple([own(each) for each in value])
    if isinstance(value, Tensor):
        return value.data
    return value.copy() if isinstance(value, np.ndarray) else value


@with_its_own
@operation(lambda g, out, x, axes=None: permute_dims(g, None if axes is None else inverse(axes)))
def permute_dims(x, axes=None):
    """Reorder the axes; without ``axes``, reverse them."""
    return x.transpose(axes)


def inverse(axes):
    """The permutation that puts permuted axes back."""
    return tuple(np.argsort([axis % len(axes) for axis in axes]).tolist())


def swapaxes(x, a, b):
    """Swap two axes."""
    x = as_tensor(x)
    shape_after(np.swapaxes, x, a, b)  # says which axis does not exist
    axes = list(range(x.ndim))
    axes[a], axes[b] = axes[b], axes[a]
    return permute_dims(x, tuple(axes))


def expand_dims(x, axis):
    """Insert axes of length 1, so that they stand at the positions ``axis`` of the result."""
    x = as_tensor(x)
    return reshape(x, shape_after(np.expand_dims, x, axis))


def squeeze(x, axis=None):
    """Drop axes of length 1: all of them, or those at ``axis``."""
    x = as_tensor(x)
    return reshape(x, shape_after(np.squeeze, x, axis))


def shape_after(function, x, *axes):
    """The shape that a function of NumPy's gives for an array shaped like ``x``."""
    try:
        return function(np.empty(x.shape, bool), *axes).shape
    except (TypeError, ValueError) as error:
        complaint = next(kind for kind in (np.exceptions.AxisError, TypeError, ValueError) if isinstance(error, kind))
        raise complaint(f"{function.__name__}({', '.join(map(repr, axes))}) of shape {x.shape}: {error}") from error


@with_its_own
@operation(lambda g, out, x, index: scatter(g, index, x.shape))
def getitem(x, index):
    """``x[index]``, for any index that NumPy takes."""
    return x[index]


@operation(lambda g, out, x, index, shape: getitem(g, index))
def scatter(x, index, shape):
    """The opposite of ``getitem``: zeros of the given shape, with ``x`` put in at ``index``.

    A list of indices may name the same place twice; then its entries are added up.
    """
    out = np.zeros(shape, x.dtype)
    if builtins.all([isinstance(i, NAMES_A_PLACE_ONCE) for i in (index if isinstance(index, tuple) else (index,))]):
        out[index] = x
    else:
        np.add.at(out, index, x)
    return out


NAMES_A_PLACE_ONCE = (int, np.integer, slice, type(None), type(...))  # of an index; lists may do it twice


@with_its_own
@operation(lambda g, out, x, pad_width: getitem(g, inside(pad_width, x.shape)))
def pad(x, pad_width):
    """Surround with zeros: ``pad_width`` before and after each axis, one number, one pair, or a pair per axis."""
    return np.pad(x, before_and_after(pad_width, x.ndim))


def before_and_after(pad_width, ndim):
    return np.broadcast_to(pad_width, (ndim, 2))


def inside(pad_width, shape):
    """The index of what ``pad`` has surrounded."""
    before = before_and_after(pad_width, len(shape))[:, 0].tolist()
    return tuple([slice(start, start + n) for start, n in zip(before, shape, strict=True)])


@any_number_of_inputs(lambda i, g, out, *arrays, axis: getitem(g, part(i, arrays, axis)))
def join(*arrays, axis):
    return np.concatenate(arrays, axis)


def part(i, arrays, axis):
    """Where the i-th of the joined arrays lies in the result."""
    axis = axis % arrays[0].ndim
    start = builtins.sum([x.shape[axis] for x in arrays[:i]])
    return (slice(None),) * axis + (slice(start, start + arrays[i].shape[axis]),)


def concat(arrays, axis=0):
    """Join along an axis that the arrays already have; with ``axis=None``, flatten them first."""
    arrays = check_several(arrays)
    if axis is None:
        arrays, axis = [reshape(x, -1) for x in arrays], 0
    if len(arrays) > MANY:  # for each part, the rule adds up the lengths of those before it
        arrays = with_type(arrays)
        return concat([join(*arrays[i : i + MANY], axis=axis) for i in range(0, len(arrays), MANY)], axis)
    return join(*arrays, axis=axis)


MANY = 100


def check_several(arrays):
    several = listed(arrays)
    if not isinstance(several, (list, tuple)):
        raise TypeError(f"what is joined must be a list or tuple of tensors, and is {kind(arrays)}")
    if not several:
        raise ValueError("there is nothing to join: the list of tensors is empty")
    return several


def stack(arrays, axis=0):
    """Join along a new axis."""
    return concat([expand_dims(x, axis) for x in with_type(check_several(arrays))], axis)


def with_type(values):
    """Tensors; Python's numbers take the type of the first value that has one."""
    typed = next((x for x in values if hasattr(x, "dtype")), None)
    return [as_tensor(x, beside=typed) for x in values]


# ------------------------------------------------------------------------------------------------------- reductions


def restore(g, x, axis, keepdims):
    """Undo the shape of a reduction: give the reduced axes back their length in ``x``, each entry repeated along them."""
    if axis is not None and not keepdims and x.ndim:  # NumPy lets a number have an axis 0
        shape = list(x.shape)
        for i in axis if isinstance(axis, tuple) else (axis,):
            shape[i] = 1
        g = reshape(g, shape=tuple(shape))
    return broadcast_to(g, shape=x.shape)


@operation(lambda g, out, x, axis=None, keepdims=False: restore(g, x, axis, keepdims))
def sum(x, axis=None, keepdims=False):
    """Add up over ``axis`` (a number, a tuple, or ``None`` for all)."""
    return add_up(x, axis, keepdims)


def share_ties(g, out, x, axis=None, keepdims=False):
    """The rule of max and min: the gradient goes to the extreme entry, in equal shares where there are several."""
    extreme = cast(equal(x, restore(out, x, axis, keepdims)), x.dtype)
    return restore(g / sum(extreme, axis, keepdims), x, axis, keepdims) * extreme


@operation(share_ties)
def max(x, axis=None, keepdims=False):
    return np.max(x, axis, keepdims=keepdims)


@operation(share_ties)
def min(x, axis=None, keepdims=False):
    return np.min(x, axis, keepdims=keepdims)


@operation(None)
def argmax(x, axis=None, keepdims=False):
    return np.argmax(x, axis, keepdims=keepdims)


@operation(None)
def argmin(x, axis=None, keepdims=False):
    return np.argmin(x, axis, keepdims=keepdims)


@operation(lambda g, out, x, axis=None, keepdims=False:
           restore(g, x, axis, keepdims) * quotient(x, restore(where(equal(out, 0), np.inf, out), x, axis, keepdims)))
def norm(x, axis=None, keepdims=False):
    """The Euclidean length over ``axis``: the root of the sum of the squares.

    Its gradient is the unit vector ``x / norm(x)``, and 0 where the length is 0.  That is a convention, and second derivatives
    follow it: where a squared length can be 0, add up the squares, ``sum(x * x)``.
    """
    return np.sqrt(add_up(np.square(real(x)), axis, keepdims))


@operation(lambda g, out, x, axis=None, keepdims=False:
           restore(g, x, axis, keepdims) * exp(x - restore(out, x, axis, keepdims)))
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))), without overflow.  Its gradient is the softmax."""
    x = real(x)
    highest = finite_max(x, axis)
    total = np.log(add_up(np.exp(x - highest), axis, keepdims=True)) + highest
    return total if keepdims else np.squeeze(total, axis)


@operation(lambda g, out, x, axis=-1: g - exp(out) * sum(g, axis, keepdims=True))
def log_softmax(x, axis=-1):
    """x - logsumexp(x), without the rounding error of a difference of large numbers."""
    x = real(x)
    shifted = x - finite_max(x, axis)
    return shifted - np.log(add_up(np.exp(shifted), axis, keepdims=True))


def finite_max(x, axis):
    highest = np.maximum.reduce(x, axis, keepdims=True, initial=-np.inf)  # of no numbers
    return np.where(np.isfinite(highest), highest, highest.dtype.type(0))


def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) over ``axis``, without overflow.

    >>> import tinygrad_meta as tg
    >>> tg.softmax(tg.tensor([1000.0, 1000.0, 0.0]))
    Tensor([0.5 0.5 0. ], dtype=float64)
    """
    return exp(log_softmax(x, axis))


def mean(x, axis=None, keepdims=False):
    """The average over ``axis``."""
    x = as_tensor(x)
    if x.dtype == np.float16:  # which ends at 65,504, where the sum may be larger
        return astype(mean(astype(x, np.float32), axis, keepdims), np.float16)
    total = sum(x, axis, keepdims)
    return total * one_over(x.size, total.size)


def var(x, axis=None, ddof=0, keepdims=False):
    """The variance over ``axis``: squared distances from the mean, added up and divided by their number less ``ddof``."""
    distance = x - mean(x, axis, keepdims=True)
    length = distance if distance.dtype.kind == "f" else abs(distance)  # of a complex number
    total = sum(square(length), axis, keepdims)
    return total * one_over(distance.size, total.size, number("ddof", ddof))


def std(x, axis=None, ddof=0, keepdims=False):
    """The standard deviation over ``axis``; where all entries are equal, its gradient is 0."""
    distance = x - mean(x, axis, keepdims=True)
    total = norm(distance, axis, keepdims)
    return total * one_over(distance.size, total.size, number("ddof", ddof)) ** 0.5


def one_over(size, size_after, ddof=0):
    """1 / (n - ddof), where a reduction from ``size`` to ``size_after`` entries makes one of every n."""
    n = size // builtins.max(size_after, 1) - ddof
    return 1 / n if n > 0 else float("inf" if size else "nan")  # as in NumPy: with too large a ddof, and of no entries


# --------------------------------------------------------------------------------------------------------- products


def fit(g, x):
    """Sum ``g`` to the shape of ``x``, where batch axes of ``x`` were stretched."""
    return g if g._data.shape == x._data.shape else sum_to(g, shape=x._data.shape)


# Three products, which are each other's derivatives.  The letters are those of BLAS: n for a matrix as it is, t for one that is
# transposed.
# If out = x @ y, then x receives g @ y.mT, and y receives x.mT @ g.


@operation(lambda g, out, x, y: fit(product_nt(g, y), x),
           lambda g, out, x, y: fit(product_tn(x, g), y))
def product(x, y):
    """x @ y, for matrices or batches of them."""
    return times(x, y)


@operation(lambda g, out, x, y: fit(product(g, y), x),
           lambda g, out, x, y: fit(product_tn(g, x), y))
def product_nt(x, y):
    """x @ y.mT"""
    return times(x, y.swapaxes(-1, -2))


@operation(lambda g, out, x, y: fit(product_nt(y, g), x),
           lambda g, out, x, y: fit(product(x, g), y))
def product_tn(x, y):
    """x.mT @ y"""
    return times(x.swapaxes(-1, -2), y)


def times(x, y):
    """x @ y of arrays; where the inner dimension is 1, a product entry by entry is the same and faster."""
    try:
        return np.multiply(x, y) if x.shape[-1] == 1 == y.shape[-2] else np.matmul(x, y)
    except ValueError as error:
        raise ValueError("a matrix product takes shapes (..., n, k) and (..., k, m), with axes ... that can be broadcast, and "
                         f"got {x.shape} and {y.shape}") from error


def matmul(x, y):
    """The matrix product of the last two axes; axes before them are batches, broadcast against each other.

    As in NumPy, a one-dimensional ``x`` is a row, a one-dimensional ``y`` a column, and that axis is dropped again.
    """
    x, y = as_tensor(x), as_tensor(y)
    if x.ndim > 1 and y.ndim > 1:
        return product(x, y)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(f"matmul takes no scalars, and got shapes {x.shape} and {y.shape}: use * instead")
    if x.ndim == 1 and y.ndim == 1:
        return reshape(product(reshape(x, (1, -1)), reshape(y, (-1, 1))), ())
    if x.ndim == 1:
        return squeeze(product(reshape(x, (1, -1)), y), -2)
    return squeeze(product(x, reshape(y, (-1, 1))), -1)


def outer(x, y):
    """All products of an entry of ``x`` with an entry of ``y``, as a matrix."""
    return reshape(as_tensor(x, beside=y), (-1, 1)) * reshape(as_tensor(y, beside=x), (1, -1))


def rule_of_contract(i, g, out, *arrays, subscripts):
    """The gradient is the same kind of sum: ``g`` takes the operand's place, and the operand the output's."""
    terms, output = subscripts
    others = [(x, term) for j, (x, term) in enumerate(zip(arrays, terms, strict=True)) if j != i]
    gradient = contract(g, *[x for x, _ in others], subscripts=((output, *[term for _, term in others]), terms[i]))
    return fit(gradient, arrays[i])


@any_number_of_inputs(rule_of_contract)
def contract(*arrays, subscripts):
    terms, output = subscripts
    return np.einsum(",".join(terms) + "->" + output, *arrays, optimize=len(arrays) > 1)


def einsum(subscripts, *operands):
    """A sum of products, with one letter per axis: "ij,jk->ik" is the matrix product.

    May be skipped at first reading: nothing else here uses it.

    >>> import tinygrad_meta as tg
    >>> tg.einsum("ij,j->i", tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 10.0]))
    Tensor([21. 43.], dtype=float64)
    """
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum takes subscripts such as 'ij,jk->ik' first, and got a {type(subscripts).__name__}")
    operands = with_type(operands)
    terms, output = read_subscripts(subscripts, operands)
    long = {a for x, term in zip(operands, terms, strict=True) for a, n in zip(term, x.shape, strict=False) if n != 1}
    for i, x in enumerate(operands):
        if len(set(terms[i])) < len(terms[i]):
            operands[i], terms[i] = diagonal(x, terms[i])
        short = [axis for axis, (a, n) in enumerate(zip(terms[i], operands[i].shape, strict=False)) if n == 1 and a in long]
        if short:  # axes of length 1 that another operand stretches
            operands[i] = squeeze(operands[i], tuple(short))
            terms[i] = "".join([a for axis, a in enumerate(terms[i]) if axis not in short])
    for i, x in enumerate(operands):
        elsewhere = output + "".join(terms[:i] + terms[i + 1 :])
        alone = tuple([axis for axis, a in enumerate(terms[i]) if a not in elsewhere])
        if alone:  # letters of this operand only: summed now, and the rule need not care
            operands[i] = sum(x, alone)
            terms[i] = "".join([a for a in terms[i] if a in elsewhere])
    return contract(*operands, subscripts=(tuple(terms), output))


def read_subscripts(subscripts, operands):
    """The letters of each operand and of the output, with ``...`` and a missing output spelled out as NumPy would."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum got {len(operands)} operands for the {len(terms)} terms of {subscripts!r}")
    spare = [a for a in ascii_letters if a not in subscripts]
    hidden = [builtins.max(x.ndim - len(term.replace("...", "")), 0) for x, term in zip(operands, terms, strict=True)]
    dots = "".join(spare[: builtins.max([n for n, term in zip(hidden, terms, strict=True) if "..." in term], default=0)])
    terms = [term.replace("...", dots[len(dots) - n :]) for n, term in zip(hidden, terms, strict=True)]
    if not arrow:
        output = "..." + "".join(sorted([a for a in set(inputs) - set(",.") if inputs.count(a) == 1]))
    output = output.replace("...", dots)
    letters = "".join(terms)
    if not set(letters) <= set(ascii_letters) or not set(output) <= set(letters) or len(set(output)) < len(output):
        raise ValueError(f"einsum cannot read {subscripts!r}: it takes terms of letters and '...', joined by commas, then '->' "
                         "and once each the letters to keep")
    for x, term in zip(operands, terms, strict=True):
        if len(term) != x.ndim:
            raise ValueError(f"einsum got a tensor of shape {x.shape} for the term {term!r}: it needs a letter for each axis")
    return terms, output


def diagonal(x, term):
    """Keep one axis for each letter of ``term``, although a letter stands there several times."""
    letters = "".join(dict.fromkeys(term))
    for a, n in zip(term, x.shape, strict=True):
        if n != x.shape[term.index(a)]:
            raise ValueError(f"einsum takes the diagonal where a letter stands twice, as {a!r} in {term!r}, and the axes of "
                             f"shape {x.shape} are not equally long")
    positions = dict(zip(letters, np.ix_(*[range(x.shape[term.index(a)]) for a in letters]), strict=True))
    return getitem(x, tuple([positions[a] for a in term])), letters


# ------------------------------------------------------------------------------------- division that survives 0 / 0


@elementwise(lambda g, out, x, y: quotient(g, settled(x, y)),
             lambda g, out, x, y: -quotient(quotient(g, settled(x, y)) * x, settled(x, y)))
def quotient(x, y):
    """x / y, except that 0 divided by anything is 0.

    Rules divide with it.  Where ``g`` is 0 because ``where(x > 0, sqrt(x), 0)`` did not choose the root, the gradient is 0,
    although the root's own slope at 0 is infinite; plain division would make it 0 / 0 = nan.
    """
    return np.divide(x, y, out=np.zeros(np.broadcast_shapes(x.shape, y.shape), np.result_type(x, y)), where=x != 0)


def settled(x, y):
    """``y``, with infinity where 0 is divided by 0 (or by nan): there the quotient is 0, and stays 0 when differentiated."""
    return where(not_equal(x, 0) + greater(abs(y), 0), y, np.inf)  # + of booleans is or, and * is and


def away_from_zero(x, y, g):
    """``x``, with 1 in place of 0 where ``g * y * x ** (y - 1)`` would be 0 times infinity, and is to be 0."""
    return where(equal(x, 0) * equal(g * y, 0) * less(y, 1), 1, x)


# -------------------------------------------------------------------------------------- Python's operators and methods


for symbol, function in {"add": add, "sub": subtract, "mul": multiply, "truediv": divide, "matmul": matmul}.items():
    setattr(Tensor, f"__{symbol}__", function)
    setattr(Tensor, f"__r{symbol}__", lambda x, y, function=function: function(y, x))

for symbol, function in {"lt": less, "le": less_equal, "gt": greater, "ge": greater_equal, "eq": equal, "ne": not_equal,
                         "neg": negative, "pos": identity, "abs": abs}.items():
    setattr(Tensor, f"__{symbol}__", function)

for function in (sum, mean, var, std, max, min, argmax, argmin, norm, exp, log, sqrt, square, sin, cos, tanh, sigmoid, relu,
                 clip, astype, squeeze, swapaxes):
    setattr(Tensor, function.__name__, function)

Tensor.__pow__ = lambda x, y: square(x) if type(y) in (int, float) and y == 2 and x.dtype.kind == "f" else power(x, y)
Tensor.__rpow__ = lambda x, y: power(y, x)
Tensor.__getitem__ = getitem
Tensor.reshape = lambda x, *shape: reshape(x, shape[0] if len(shape) == 1 else shape)
Tensor.transpose = lambda x, *axes: permute_dims(x, axes[0] if len(axes) == 1 else axes or None)
Tensor.T = property(permute_dims)
Tensor.mT = property(lambda x: swapaxes(x, -1, -2))


# ---------------------------------------------------------------------------------------------- NumPy's own functions


def on_arrays(function, array=lambda x: x.data):
    """For questions about tensors whose answer has no derivative."""
    return lambda *args, **options: function(*[array(x) if isinstance(x, Tensor) else x for x in args], **options)


def np_clip(a, a_min=None, a_max=None, *, min=None, max=None):
    return clip(a, a_min if min is None else min, a_max if max is None else max)


def np_pad(array, pad_width, mode="constant"):
    if mode != "constant":
        raise TypeError(f"np.pad(tensor, mode={mode!r}) has no derivative rule here: only padding with zeros has")
    return pad(array, pad_width)


def np_norm(x, ord=None, axis=None, keepdims=False):
    axes = as_tensor(x).ndim if axis is None else np.size(axis)
    if ord not in (None, 2) or (ord == 2 and axes > 1):  # of a matrix, 2 asks for its largest singular value
        raise TypeError(f"np.linalg.norm(tensor, ord={ord!r}) has no derivative rule here: only the Euclidean norm has")
    return norm(x, axis, keepdims)


for function in (add, subtract, multiply, divide, negative, power, square, sqrt, sign, exp, expm1, log, log1p, sin, cos, tanh,
                 maximum, minimum, greater, greater_equal, less, less_equal, equal, not_equal, where, swapaxes, expand_dims,
                 squeeze, stack, reshape, broadcast_to, sum, mean, var, std, max, min, argmax, argmin, matmul, outer, einsum):
    NUMPY_FUNCTIONS[getattr(np, function.__name__)] = function

NUMPY_FUNCTIONS |= {np.absolute: abs, np.concatenate: concat, np.transpose: permute_dims, np.clip: np_clip, np.pad: np_pad,
                    np.linalg.norm: np_norm, np.amax: max, np.amin: min}
for function in (np.isfinite, np.isnan, np.isinf, np.isclose, np.allclose, np.array_equal):
    NUMPY_FUNCTIONS[function] = on_arrays(function)
for function in (np.shape, np.ndim, np.size):  # which do not look at values, and so are answered while recording, too
    NUMPY_FUNCTIONS[function] = on_arrays(function, lambda x: x._data)
