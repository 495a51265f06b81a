"""From a function to its graph: run it once on tensors that remember everything, and keep what they remember.

An eager tensor remembers its origin only where a gradient may be asked of it.  A :class:`Recorded` tensor always does, and so
does everything computed from it: with or without gradients, under ``no_grad()``, and through any number of ``tg.grad`` inside
the function, since a backward pass is made of operations too.  What it does not allow is to be read: a value that Python has
seen may have decided what Python did next, and replaying the graph for other values would then be wrong.
"""

from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from ..autodiff import no_grad
from ..ops import identity
from ..tensor import NO_ATTRIBUTES, Primitive, Tensor, as_tensor, result
from ..tree import leaves, rebuild, tree_map


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


met = ContextVar("met", default=None)  # in a recording: the tensors from outside that it used and that require a gradient


class Recorded(Tensor):
    """A tensor inside a function that is being recorded.  Its ``origin`` is (operation, inputs, attributes), always."""

    __slots__ = ("origin",)

    def _refuse(self, *args, **options):
        raise TypeError(
            "a value was read while a function was being recorded (.item(), .numpy(), .data, float, if, an index, ...); the "
            "recording would hold for this one value only. Decide with tg.where, or move the reading out of the compiled function"
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
        """The same tensor, which remembers its origin even where no gradient may be asked of it."""
        out = object.__new__(cls)
        for slot in ("_data", "requires_grad", "op", "inputs", "attrs", "order", "grad", "name"):
            setattr(out, slot, getattr(tensor, slot))
        out.origin = op, inputs, attrs
        if met.get() is not None:
            met.get().update([x for x in inputs if x.requires_grad and not isinstance(x, Recorded)])
        return out

    @classmethod
    def argument(cls, x, origins=()):
        """A tensor or array as an argument of the function: a new leaf, except that no gradient may go on to its origins."""
        x = as_tensor(x)
        leaf = result(x._data, bool(origins), OUTSIDE, tuple(origins), NO_ATTRIBUTES)
        leaf.requires_grad, leaf.name = x.requires_grad, x.name
        return cls.made_by(None, (), {}, leaf)


def computed_outside(*origins):
    """What made an argument that was computed from others before the recorded function was called."""


def refuse(g, out, *origins):
    raise ValueError("an argument of a compiled function was computed from another one, or is or comes from what it captures, "
                     "and a gradient inside cannot follow: compute it inside, or detach() it")


OUTSIDE = Primitive(computed_outside, defaultdict(lambda: refuse))
OUTPUT = object()  # stands where a tensor stood in what the function returned


def record(f, args, options, ways=(), used=()):
    """Run ``f(*args, **options)`` and return the graph of what it computed.

    Parameters
    ----------
    ways : pairs (position of an argument, positions of those it was computed from before), optional
        A gradient that would go such a way is an error.  Positions after the last argument are those of tensors in ``used``.

    Returns
    -------
    inputs : list of Nodes
        One for each tensor or array in the arguments.
    outputs : list of Nodes
        One for each tensor in what ``f`` returned.
    returned : structure
        What ``f`` returned, with ``OUTPUT`` in place of the tensors.
    requiring : list of bools
        Which of the outputs require a gradient.
    captured : list of Tensors
        What ``f`` used or returned that requires one and was no argument.
    """
    given = leaves((args, options))
    recorded = recorded_arguments([x for x in given if is_array(x)], dict(ways), used)
    recorded = [recorded[id(x)] if is_array(x) else x for x in given]
    args, options = rebuild((args, options), recorded)
    token = met.set(set())
    try:
        returned = f(*args, **options)
        captured = met.get()
    finally:
        met.reset(token)

    arguments = [x for x in recorded if isinstance(x, Recorded)]
    if any([x.grad is not None for x in arguments]):
        raise TypeError("backward() in a compiled function cannot set .grad of its arguments: return the result of "
                        "tg.grad(...) instead")
    inputs = [Node(None, (), {}, x.shape, x.dtype, name=x.name or f"input {i}") for i, x in enumerate(arguments)]
    nodes = dict(zip([x.order for x in arguments], inputs, strict=True))
    outputs = [t for t in leaves(returned) if isinstance(t, Tensor)]
    everything = history(outputs)
    for t in everything:
        if t.order not in nodes:
            nodes[t.order] = node_of(t, nodes)
    returned = tree_map(lambda leaf: OUTPUT if isinstance(leaf, Tensor) else leaf, returned)
    captured |= {t for t in outputs if t.requires_grad and not isinstance(t, Recorded)}
    captured = sorted(captured, key=lambda t: t.order)
    return inputs, [nodes[t.order] for t in outputs], returned, [t.requires_grad for t in outputs], captured


def recorded_arguments(arrays, ways, used):
    """A new leaf for every array, by its identity.  Where there are ways to it from others, these come first."""
    found = {}
    for i, x in sorted(enumerate(arrays), key=lambda each: getattr(each[1], "order", 0)):
        origins = [found[id(arrays[j])] if j < len(arrays) else used[j - len(arrays)] for j in ways.get(i, ())]
        found.setdefault(id(x), Recorded.argument(x, origins))
    return found


def history(tensors):
    """Everything that recorded tensors were made from, oldest first; what is not recorded is a constant, and has no history."""
    found, to_visit = {}, list(tensors)
    while to_visit:
        t = to_visit.pop()
        if t.order not in found:
            found[t.order] = t
            to_visit += t.origin[1] if isinstance(t, Recorded) else ()
    return [found[order] for order in sorted(found)]


def node_of(t, nodes):
    if not isinstance(t, Recorded):
        return Node(None, (), {}, t.shape, t.dtype, np.asarray(t._data), t.name or "")
    op, inputs, attrs = t.origin
    if op is None:
        raise TypeError("a compiled function inside another one captured a tensor of the outer one: pass it as an argument")
    return Node(op, tuple([nodes[x.order] for x in inputs]), attrs, t.shape, t.dtype)


def is_array(x):
    return isinstance(x, (Tensor, np.ndarray, np.generic))
