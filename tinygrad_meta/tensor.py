"""A tensor is an array that remembers how it was made; a primitive is an operation written down as data.

Read this file first, then ``ops.py`` (what the operations and their derivatives are), then ``autodiff.py`` (the chain
rule).  Together they are the whole of backpropagation.

When ``v3 = v1 * v2`` is computed from tensors that require a gradient, the result keeps four things beside its value: the
operation (``multiply``), its inputs (``v1`` and ``v2``), its attributes (none here; a sum would keep its ``axis``) and a
running number, its ``order``.  Nothing else is needed to walk back from a result to everything it depends on, and that walk
is all that a derivative takes:

>>> import tinygrad_meta as tg
>>> v1 = tg.tensor(5.0, requires_grad=True, name="v1")
>>> v2 = tg.tensor(4.0, requires_grad=True, name="v2")
>>> v3 = v1 * v2
>>> v3
Tensor(20.0, dtype=float64, op=multiply)
>>> v3.op.name, [x.name for x in v3.inputs], v3.attrs
('multiply', ['v1', 'v2'], {})

What a tensor does *not* keep is a function of its own that computes its derivative, a closure.  A closure can only be
called; an operation with a name can also be looked up, printed, drawn and replayed.
"""

from contextvars import ContextVar
from functools import wraps
from itertools import count
from reprlib import repr as shortened

import numpy as np

recording = ContextVar("recording", default=True)  # False inside no_grad(); every thread has its own
creation_number = count()
detectors = []  # those of detect_anomaly() that are at work, in any thread: see anomaly.py
NUMPY_FUNCTIONS = {}  # np.sin -> our sin: filled in by ops.py, read by the two protocols at the end of Tensor


class Tensor:
    """An array and, if it was computed from something that requires a gradient, how it was computed.

    Parameters
    ----------
    data : array_like
        The value.  It is copied, so later changes to your array do not reach into a graph.
    dtype : dtype, optional
        NumPy's choice for ``data`` unless given.
    requires_grad : bool
        Whether results computed from this tensor are to be recorded, so that they can be differentiated.
    name : str, optional
        Used wherever the graph is printed or drawn.

    Attributes
    ----------
    op, inputs, attrs
        The primitive that made this tensor, its input tensors and its keyword arguments; ``None, (), {}`` for a leaf, which
        is a tensor that no recorded operation made.
    order : int
        Tensors are numbered as they are created.  An operation's inputs exist before its result does, so their numbers
        are smaller: sorting by ``order`` is sorting topologically.
    grad : Tensor or None
        Where :meth:`backward` adds the gradient, on leaves only.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> x
    Tensor([1. 2.], dtype=float64, requires_grad=True, name='x')
    >>> (x * x).sum()
    Tensor(5.0, dtype=float64, op=sum)
    """

    __slots__ = ("_data", "requires_grad", "op", "inputs", "attrs", "order", "grad", "name", "__weakref__")
    __hash__ = object.__hash__  # == compares element by element, so a tensor's identity is its key in sets and dicts

    def __init__(self, data, dtype=None, requires_grad=False, name=None):
        if isinstance(data, Tensor):
            data = data.__array__()
        dtype = None if dtype is None else np.dtype(dtype)
        try:
            self._data = np.array(data, dtype=dtype)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"a tensor holds numbers{f' of dtype {dtype}' * (dtype is not None)}, in rows of equal length, "
                             f"and this {type(data).__name__} does not: {str(error).partition('. ')[0]}") from error
        if self._data.dtype.kind not in "biufc":
            raise TypeError(f"a tensor holds numbers, and this data has dtype {self._data.dtype}: convert it first "
                            "(to ask whether something is None, write `is None`)")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"a tensor's name is text, and got {name!r}")
        self.requires_grad = requires_grad
        if requires_grad:
            require_floating(self, "requires_grad=True")
        self.op, self.inputs, self.attrs = None, (), {}
        self.order = next(creation_number)
        self.grad, self.name = None, name

    @property
    def data(self):
        """The value, as a NumPy array that cannot be written to, because a graph would not notice the change."""
        view = np.asarray(self._data).view()
        view.flags.writeable = False
        return view

    @property
    def shape(self):
        return self._data.shape

    @property
    def ndim(self):
        return self._data.ndim

    @property
    def size(self):
        return self._data.size

    @property
    def dtype(self):
        return self._data.dtype

    def numpy(self):
        """The value as a new array, yours to change, and no longer connected to the graph."""
        return np.array(self.data)

    def item(self):
        """The value of a tensor with one element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item() takes a tensor with one element, and this one has shape {self.shape}")
        return self.data.item()

    def detach(self):
        """The same value as a new leaf that requires no gradient: a constant as far as derivatives are concerned."""
        return Tensor(self.data, name=self.name)

    def __reduce__(self):
        """What copy and pickle use: a copy is a new leaf, with a number of its own."""
        if self.op is not None:
            raise TypeError("a result cannot be copied apart from its graph: detach() it first")
        return Tensor, (self.numpy(), None, self.requires_grad, self.name)

    def __repr__(self):
        value = np.array2string(self.data, prefix="Tensor(", threshold=100) if self.ndim else str(self.item())
        text = f"Tensor({value}, dtype={self.dtype}"
        if self.op is not None:
            text += f", op={self.op.name}"
        elif self.requires_grad:
            text += ", requires_grad=True"
        return text + (f", name={self.name!r})" if self.name else ")")

    def __format__(self, spec):
        return format(self.item(), spec) if spec else repr(self)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("a tensor of shape () has no length and nothing to iterate over: item() is its value")
        return len(self._data)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise TypeError(
                "converting a tensor that requires a gradient to an array would cut it off from its graph unseen: "
                "use the operations of tinygrad_meta, or say .numpy() if a plain array is what you want"
            )
        return np.array(self.data, dtype=dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        """NumPy calls this for ``np.sin(tensor)`` and ``array + tensor``."""
        if "out" in options:
            raise TypeError(f"np.{ufunc.__name__} of a tensor makes a new tensor and cannot write it elsewhere: in place of "
                            "a += x or out=a, say a = a + x")
        if method != "__call__" or options or ufunc not in NUMPY_FUNCTIONS:
            call = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
            raise TypeError(
                f"np.{call}({', '.join(['tensor', *options])}) has no derivative rule here: use an operation of "
                "tinygrad_meta, or .numpy() where no derivative is needed"
            )
        return NUMPY_FUNCTIONS[ufunc](*inputs)

    def __array_function__(self, function, types, args, options):
        """NumPy calls this for functions that are not ufuncs, such as ``np.sum(tensor, axis=0)``."""
        if function not in NUMPY_FUNCTIONS:
            raise TypeError(
                f"{function.__module__}.{function.__name__} has no derivative rule here: use an operation of "
                "tinygrad_meta, or .numpy() where no derivative is needed"
            )
        return NUMPY_FUNCTIONS[function](*args, **options)

    # Operators and methods, such as * and sum, are operations: ops.py adds them.  backward is added by autodiff.py.


def tensor(data, dtype=None, requires_grad=False, name=None):
    """Make a :class:`Tensor` from anything that NumPy can make an array of.

    >>> import tinygrad_meta as tg
    >>> tg.tensor([[1, 2], [3, 4]], dtype="float32")
    Tensor([[1. 2.]
            [3. 4.]], dtype=float32)
    """
    return Tensor(data, dtype, requires_grad, name)


def require_floating(x, purpose):
    if x.dtype.kind != "f":
        raise TypeError(f"{purpose} needs a real floating-point tensor, and this one has dtype {x.dtype}: "
                        "make it with dtype=float, or leave it out of what you differentiate by")


class Primitive:
    """An operation as data: a name, how to compute it, and how to differentiate it.

    Parameters
    ----------
    forward : function of arrays
        Computes the value with NumPy.  Arguments after the arrays are *attributes*, such as ``axis``.
    rules : sequence of functions, one per input
        ``rule(g, out, *inputs, **attrs)`` takes the gradient ``g`` of some scalar with respect to the result ``out`` and
        returns its gradient with respect to that input: ``g`` times the local derivative, added up over all entries of
        ``out``, which is called a vector-Jacobian product.  Rules are written in operations, not in NumPy, which is why a
        gradient can be differentiated again.  ``None`` stands for an input without a derivative, such as a condition.
    elementwise : bool
        Whether the inputs are broadcast against each other.  The rules then need not care: ``autodiff.py`` undoes it.
    """

    def __init__(self, forward, rules, elementwise=False):
        self.name = forward.__name__
        self.forward, self.rules, self.elementwise = forward, rules, elementwise
        self.differentiable = rules[0] is not None or any(rule is not None for rule in rules)

    def __repr__(self):
        return f"<operation {self.name}>"

    def complaint(self, error, inputs, attrs):
        """What NumPy says, with the operation, its attributes and the shapes it was given."""
        settings = ", ".join([f"{name}={shortened(value)}" for name, value in attrs.items()])
        shapes = " and ".join([str(x.shape) for x in inputs])
        kind = next(kind for kind in (np.exceptions.AxisError, TypeError, IndexError, ValueError) if isinstance(error, kind))
        call = f"{self.name}({settings})" if settings else self.name
        return kind(f"{call} of shape{'s' * (len(inputs) > 1)} {shapes}: {str(error).strip()}")


NO_ATTRIBUTES = {}
new_object = object.__new__


def result(value, requires_grad, op, inputs, attrs):
    """Here the graph is built: a new tensor, which remembers its origin if a gradient may be asked of it.

    Unlike ``Tensor(...)``, this does not copy the value.
    """
    out = new_object(Tensor)
    out._data = value
    out.order = next(creation_number)
    out.grad = out.name = None
    if requires_grad and recording.get():
        out.requires_grad, out.op, out.inputs, out.attrs = True, op, inputs, attrs
    else:
        out.requires_grad, out.op, out.inputs, out.attrs = False, None, (), NO_ATTRIBUTES
    if detectors:
        for detector in [*detectors]:
            detector.inspect(out, op, inputs)
    return out


def as_tensor(value, beside=None):
    """``value`` as a tensor.  A Python number takes the type of a floating-point operand ``beside`` it: it never widens one."""
    if isinstance(value, Tensor):
        return value
    if type(value) in (float, int, bool) and hasattr(beside, "dtype"):
        dtype = beside.dtype if beside.dtype.kind in "fc" else np.result_type(beside.dtype, value)
        return result(dtype.type(value), False, None, (), NO_ATTRIBUTES)
    return Tensor(value)


# What a user calls is a function: it computes the value and lets the result remember where it came from.  The first of the
# three below shows how.  The other two take the usual one and two tensors in fewer steps, because on small arrays the time is
# spent here rather than in NumPy; and one takes attributes by position, too, the other a number on either side.


def call_with_any(op):
    """The function that applies a primitive to any number of tensors."""

    @wraps(op.forward)
    def call(*inputs, **attrs):
        inputs = tuple([as_tensor(x, beside=inputs[0]) for x in inputs])
        try:
            value = op.forward(*[x._data for x in inputs], **attrs)
        except (TypeError, IndexError, ValueError) as error:
            raise op.complaint(error, inputs, attrs) from error
        out = result(value, any([x.requires_grad for x in inputs]) and op.differentiable, op, inputs, attrs)
        for x in inputs:
            if type(x) is not Tensor:
                return type(x).made_by(op, inputs, attrs, out)  # Recorded, a subclass that remembers more: graph/record.py
        return out

    return call


def call_with_one(op):
    """The function that applies a primitive to one tensor; attributes may be given by position, as in ``sum(x, 0)``."""
    forward, differentiable, call_general = op.forward, op.differentiable, call_with_any(op)
    names = forward.__code__.co_varnames[1 : forward.__code__.co_argcount]  # of the attributes, for those given by position

    @wraps(forward)
    def call(x, *args, **attrs):
        if args:
            if len(args) > len(names):
                raise TypeError(f"{op.name} takes at most {1 + len(names)} by position, and got {1 + len(args)}")
            attrs = dict(**dict(zip(names, args, strict=False)), **attrs)
        if type(x) is not Tensor:
            return call_general(x, **attrs)
        try:
            value = forward(x._data, **attrs)
        except (TypeError, IndexError, ValueError) as error:
            raise op.complaint(error, (x,), attrs) from error
        return result(value, x.requires_grad and differentiable, op, (x,), attrs)

    return call


def call_with_two(op):
    """The function that applies a primitive to two tensors."""
    forward, differentiable, call_general = op.forward, op.differentiable, call_with_any(op)

    @wraps(forward)
    def call(x, y):
        if type(x) is not Tensor or type(y) is not Tensor:
            x, y = as_tensor(x, beside=y), as_tensor(y, beside=x)
            if type(x) is not Tensor or type(y) is not Tensor:
                return call_general(x, y)
        requires_grad = (x.requires_grad or y.requires_grad) and differentiable
        try:
            value = forward(x._data, y._data)
        except (TypeError, ValueError) as error:
            raise op.complaint(error, (x, y), NO_ATTRIBUTES) from error
        return result(value, requires_grad, op, (x, y), NO_ATTRIBUTES)

    return call
