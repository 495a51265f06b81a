"""The chain rule, walked backwards.

To differentiate an output, start there with the gradient 1 and visit the tensors it was made from, newest first.  At each
one, the gradient with respect to it is already complete, because everything that uses it is newer and has been visited.
Its operation's rules turn that gradient into a contribution for each input; where a tensor was used several times, a fork
in the graph, its contributions add up.

>>> import tinygrad_meta as tg
>>> x1, x2 = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0, requires_grad=True)
>>> v1 = x1 + x2
>>> v2 = x2 + 1
>>> F = v1 * v2
>>> dF_dx1, dF_dx2 = tg.grad(F, [x1, x2])
>>> dF_dx1.item(), dF_dx2.item()        # v2, and v1 + v2: x2 is a fork
(4.0, 9.0)

With ``create_graph=True`` the rules are recorded like any other computation, and the gradient can be differentiated again.
"""

from collections import deque
from contextlib import contextmanager, nullcontext
from operator import attrgetter

import numpy as np

from .anomaly import AnomalyError
from .ops import cast, sum_to
from .tensor import Tensor, as_tensor, creation_number, detectors, recording, require_floating


@contextmanager
def set_recording(on):
    token = recording.set(on)
    try:
        yield
    finally:
        recording.reset(token)


def no_grad():
    """Compute without recording: results remember nothing and require no gradient.

    >>> import tinygrad_meta as tg
    >>> x = tg.tensor(1.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    False
    """
    return set_recording(False)


def grad(outputs, inputs, grad_outputs=None, create_graph=False, allow_unused=False):
    """The gradients of ``outputs`` with respect to ``inputs``, as new tensors.  Nothing else changes.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensors
        What to differentiate.  Of several outputs, the sum is differentiated.
    inputs : Tensor or sequence of Tensors
        What to differentiate by: leaves made with ``requires_grad=True``, or results on the way to the outputs.
    grad_outputs : Tensor or sequence of Tensors, optional
        Where the walk starts: one gradient per output, of its shape.  May be left out for outputs with one element, where
        it is 1.
    create_graph : bool
        Record the walk, so that the gradients can be differentiated themselves; also under :func:`no_grad`.
    allow_unused : bool
        Return ``None`` for an input that the outputs do not depend on, instead of raising an error.

    Returns
    -------
    tuple of Tensors
        One gradient per input, of its shape and dtype.

    Examples
    --------
    The third power, and its first, second and third derivative at 2:

    >>> import tinygrad_meta as tg
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> y = x * x * x
    >>> for _ in range(3):
    ...     (y,) = tg.grad(y, x, create_graph=True)
    ...     print(y.item())
    12.0
    12.0
    6.0

    A fourth would be an error, since 6 does not depend on x any more; with ``allow_unused=True`` it is ``None``.
    """
    outputs, inputs = as_list(outputs, "outputs"), as_list(inputs, "inputs")
    for x in inputs:
        require_floating(x, "grad")
    path, dependent = between(outputs, inputs)
    wanted = set(inputs)

    newest = max([out.order for out in outputs], default=None)
    name_for_pictures = scope("backward", of=newest) if create_graph else nullcontext()
    with set_recording(create_graph), name_for_pictures:
        gradients = first_gradients(outputs, grad_outputs)  # tensor -> what has arrived at it so far
        for out in reversed(path):
            g = gradients[out] if out in wanted else gradients.pop(out)  # complete now; freed unless wanted
            for i, x in enumerate(out.inputs):
                if x in dependent:
                    contribution = apply_rule(out, i, x, g)
                    so_far = gradients.get(x)
                    gradients[x] = contribution if so_far is None else so_far + contribution

    for i, x in enumerate(inputs):
        if x not in dependent and not allow_unused:
            raise ValueError(why_not_connected(i, x))
    return tuple([gradients[x] if x in dependent else None for x in inputs])


creation_order = attrgetter("order")


def between(outputs, inputs):
    """The results on the way from inputs to outputs, oldest first, and the set of them and the inputs that were found.

    Tensors are numbered as they are created.  So sorting by number is a topological order, and nothing older than the oldest
    input was computed from an input: the search stops there, however long the history of the inputs is.
    """
    oldest = min([x.order for x in inputs], default=0)
    found, to_visit = set(), list(outputs)
    for out in to_visit:  # which grows meanwhile
        if out.requires_grad and out.order >= oldest and out not in found:
            found.add(out)
            to_visit += out.inputs

    path, dependent = [], found.intersection(inputs)
    for out in sorted(found, key=creation_order):
        if not dependent.isdisjoint(out.inputs):
            dependent.add(out)
            path.append(out)
    return path, dependent


def apply_rule(out, i, x, g):
    """What ``x``, input ``i`` of the operation that made ``out``, receives when ``out`` receives ``g``."""
    op = out.op
    try:
        contribution = op.rules[i](g, out, *out.inputs, **out.attrs)
        shape = contribution._data.shape
        due = (out if op.elementwise else x)._data.shape
        if shape != due:
            raise ValueError(f"it returned shape {shape} where {due} was due")
    except AnomalyError:
        raise  # which has its own story to tell
    except Exception as error:
        if op.rules[i] is None:
            raise ValueError(f"{op.name} has no derivative by its input {i}: detach() what is given there") from None
        raise RuntimeError(f"the derivative rule of {op.name} for its input {i} failed (inputs of shape "
                           f"{', '.join([str(y.shape) for y in out.inputs])}, result {out.shape}): {error}") from error
    if shape != x._data.shape:
        contribution = sum_to(contribution, shape=x._data.shape)  # x was stretched: each entry was used several times, a fork
    if contribution._data.dtype != x._data.dtype:
        if contribution.dtype.kind == "c":
            raise TypeError(f"{op.name} led through complex numbers, and there are no derivatives through those here")
        contribution = cast(contribution, x.dtype)
    for detector in [*detectors]:
        detector.inspect_rule(out, i, g, contribution)
    return contribution


def first_gradients(outputs, grad_outputs):
    """The gradients that the walk starts with."""
    if grad_outputs is None:
        for out in outputs:
            if out.size != 1:
                raise ValueError(f"grad of an output with shape {out.shape} needs grad_outputs of that shape: without it, "
                                 "only a single number can be differentiated, for instance out.sum()")
        grad_outputs = [Tensor(np.ones(out.shape, out.dtype)) for out in outputs]
    grad_outputs = list(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else [grad_outputs]
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad got {len(outputs)} outputs and {len(grad_outputs)} grad_outputs: one is needed for each")
    gradients = {}
    for out, g in zip(outputs, map(as_tensor, grad_outputs), strict=True):
        require_floating(out, "grad")
        if g.shape != out.shape:
            raise ValueError(f"grad_outputs has shape {g.shape} for an output of shape {out.shape}: they must be the same")
        if g.dtype.kind == "c":
            raise TypeError(f"grad_outputs must be real numbers, and has dtype {g.dtype}")
        g = g if g.dtype == out.dtype else cast(g, out.dtype)
        gradients[out] = gradients[out] + g if out in gradients else g
    return gradients


def why_not_connected(i, x):
    name = f" ({x.name})" if x.name else ""
    reason = ("the outputs do not depend on it, or only through what has no derivative, such as a comparison, detach() or "
              "no_grad()" if x.requires_grad else
              "it does not require a gradient: make it with requires_grad=True before computing the outputs")
    return f"there is no gradient for input {i}{name} of shape {x.shape}: {reason}. Say allow_unused=True to get None instead"


def as_list(tensors, role):
    tensors = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"grad takes tensors, and {role}[{i}] is of type {type(t).__name__}")
    return tensors


# The latest of each: name, creation numbers just before and after, and, of a backward pass, that of what is differentiated.
scopes, passes = deque(maxlen=1000), deque(maxlen=50)


@contextmanager
def scope(name, of=None):
    """Name what is computed inside: pictures put a frame around it, and can fold it into one box.

    >>> import tinygrad_meta as tg
    >>> x = tg.tensor(2.0, requires_grad=True, name="x")
    >>> with tg.graph.scope("square"):
    ...     y = x * x
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"a scope has a name, for instance scope('inner step 1'), and got {name!r}")
    before = next(creation_number)
    try:
        yield
    finally:
        (scopes if of is None else passes).append((name, before, next(creation_number), of))


def backward(self, gradient=None, create_graph=False):
    """Differentiate this tensor by every leaf that it was computed from, and add the result to that leaf's ``.grad``.

    As in PyTorch, gradients add up until you set ``.grad = None``; :func:`grad` has no such memory.  Unlike there, the same
    graph can be walked any number of times.

    >>> import tinygrad_meta as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> (x ** 3).backward()
    >>> x.grad
    Tensor(27.0, dtype=float64)
    """
    leaves = leaves_of([self])
    if not leaves:
        raise ValueError("backward() found nothing that requires a gradient: make your parameters with requires_grad=True")
    for leaf, g in zip(leaves, grad(self, leaves, None if gradient is None else [gradient], create_graph), strict=True):
        if type(g) is not type(leaf):
            raise TypeError("backward() in a function that is being recorded cannot set .grad of a tensor outside of it: "
                            "return the result of tg.grad(...) instead")
        leaf.grad = g if leaf.grad is None else leaf.grad + g


def leaves_of(outputs):
    """The leaves that require a gradient and that the outputs were computed from."""
    leaves, seen, to_visit = [], set(), list(outputs)
    while to_visit:
        out = to_visit.pop()
        if out.requires_grad and out not in seen:
            seen.add(out)
            to_visit += out.inputs
            leaves += [out] if out.op is None else []
    return leaves


Tensor.backward = backward  # a method, added here because tensor.py comes before the chain rule
