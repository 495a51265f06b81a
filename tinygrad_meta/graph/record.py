"""From a function to its graph: run it once on tensors that remember everything, and keep what they remember.

An eager tensor remembers its origin only where a gradient may be asked of it.  A :class:`Recorded` tensor always does, and so
does everything computed from it: with or without gradients, under ``no_grad()``, and through any number of ``tg.grad`` inside
the function, since a backward pass is made of operations too.  What it does not allow is to be read: a value that Python has
seen may have decided what Python did next, and replaying the graph for other values would then be wrong.
"""

from dataclasses import dataclass, field
from itertools import count

import numpy as np

from ..autodiff import no_grad
from ..ops import identity
from ..tensor import Primitive, Tensor, as_tensor
from ..tree import leaves, rebuild


@dataclass(eq=False, repr=False, slots=True)
class Node:
    """One operation of a graph.  ``Node("multiply", [x, y])`` matches in ``case`` statements."""

    op: Primitive | None  # None for inputs and constants
    inputs: tuple
    attrs: dict
    shape: tuple
    dtype: np.dtype
    value: np.ndarray | None = None  # of a constant
    name: str = ""
    number: int = field(default_factory=count().__next__)  # nodes are numbered as they are made

    __match_args__ = ("kind", "inputs")

    @property
    def kind(self):
        return self.op.name if self.op else "constant" if self.value is not None else "input"


class Recorded(Tensor):
    """A tensor inside a function that is being recorded."""

    __slots__ = ()

    def _refuse(self, *args, **options):
        raise TypeError(
            "a value was read while a function was being recorded (.item(), .numpy(), .data, float, if, ...); the recording "
            "would hold for this one value only. Decide with tg.where, or move the reading out of the compiled function"
        )

    data = property(_refuse)
    item = numpy = __array__ = __float__ = __int__ = __bool__ = _refuse

    def detach(self):
        with no_grad():
            return identity(self)

    def __repr__(self):
        return f"<recorded tensor of shape {self.shape}, dtype={self.dtype}>"

    @classmethod
    def made_by(cls, op, inputs, attrs, tensor):
        """The same tensor, which remembers its origin whatever happens."""
        out = object.__new__(cls)
        out._data, out.order, out.name, out.grad = tensor._data, tensor.order, tensor.name, None
        out.requires_grad, out.op, out.inputs, out.attrs = tensor.requires_grad, op, inputs, attrs
        return out


def record(f, args, options):
    """Run ``f(*args, **options)`` and return the graph of what it computed.

    Returns
    -------
    inputs : list of Nodes
        One for each tensor or array in the arguments.
    outputs : list of Nodes
        One for each tensor in what ``f`` returned.
    returned : structure
        What ``f`` returned.
    """
    given = leaves((args, options))
    recorded = [Recorded.made_by(None, (), {}, as_tensor(x)) if is_array(x) else x for x in given]
    args, options = rebuild((args, options), recorded)
    returned = f(*args, **options)

    inputs = [Node(None, (), {}, x.shape, x.dtype, name=x.name or f"input {i}")
              for i, x in enumerate([x for x in recorded if isinstance(x, Recorded)])]
    nodes = dict(zip([x.order for x in recorded if isinstance(x, Recorded)], inputs, strict=True))
    outputs = [t for t in leaves(returned) if isinstance(t, Tensor)]
    for t in history(outputs):
        if t.order not in nodes:
            parents = tuple([nodes[x.order] for x in t.inputs]) if isinstance(t, Recorded) else ()
            value = None if isinstance(t, Recorded) else t._data
            nodes[t.order] = Node(t.op if parents else None, parents, t.attrs, t.shape, t.dtype, value, t.name or "")
    return inputs, [nodes[t.order] for t in outputs], returned


def history(tensors):
    """Everything that recorded tensors were made from, oldest first; what is not recorded is a constant, and has no history."""
    found, to_visit = {}, list(tensors)
    while to_visit:
        t = to_visit.pop()
        if t.order not in found:
            found[t.order] = t
            to_visit += t.inputs if isinstance(t, Recorded) else ()
    return [found[order] for order in sorted(found)]


def is_array(x):
    return isinstance(x, (Tensor, np.ndarray, np.generic))
