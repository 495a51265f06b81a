"""The graph as text: the forward pass line by line, then the chain rule at work on the way back."""

from functools import reduce
from operator import add

import numpy as np

from ..autodiff import apply_rule, first_gradients
from ..tensor import Tensor
from ..validate import kind
from .expression import PUBLIC, graph_of, history, named, simplest
from .record import Recorded

FORMS = {"add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "power": "{} ** {}",
         "negative": "-{}", "quotient": "{} / {}", "product": "{} @ {}", "product_nt": "{} @ {}.mT", "product_tn": "{}.mT @ {}"}
LONGEST = 50  # characters of a formula; beyond, the next ones are given in terms of the derivatives before them


def trace(F, ascii=False):
    """A table of how ``F`` was computed, and of its derivative with respect to everything on the way.

    Tensors go by their names; results without a name are numbered v1, v2, ... in the order they were computed.

    Parameters
    ----------
    F : Tensor
        With one element, computed from something that requires a gradient.  It may be a gradient itself, computed with
        ``create_graph=True``: then the table is one of second derivatives.
    ascii : bool
        Write d and * instead of ∂ and ·.

    Returns
    -------
    str

    Examples
    --------
    Each line of the backward pass is the chain rule, then what that comes to as a formula, then its value.  x2 is used twice,
    a fork in the graph, so the contributions of both ways add up in its derivative:

    >>> import tinygrad_meta as tg
    >>> x1, x2 = (tg.tensor(value, requires_grad=True, name=name) for name, value in {"x1": 2.0, "x2": 3.0}.items())
    >>> F = (x1 + x2) * (x2 + 1)
    >>> print(trace(F))
    forward
      x1 = 2
      x2 = 3
      v1 = x1 + x2 = 5
      v2 = x2 + 1 = 4
      v3 = v1 * v2 = 20
    backward
      ∂F/∂v3 = 1
      ∂F/∂v1 = ∂F/∂v3 · ∂v3/∂v1 = v2 = 4
      ∂F/∂v2 = ∂F/∂v3 · ∂v3/∂v2 = v1 = 5
      ∂F/∂x1 = ∂F/∂v1 · ∂v1/∂x1 = v2 = 4
        through v1: ∂F/∂v1 · ∂v1/∂x2 = v2 = 4
        through v2: ∂F/∂v2 · ∂v2/∂x2 = v1 = 5
      ∂F/∂x2 = ∂F/∂v1 · ∂v1/∂x2 + ∂F/∂v2 · ∂v2/∂x2 = v1 + v2 = 9

    The gradient of the gradient, if it has a name, is the second derivative.  (The graph of a gradient starts with the
    gradient 1, and nothing is simplified in it.)

    >>> (g,) = tg.grad(F, x2, create_graph=True)
    >>> g.name = "dF/dx2"
    >>> print(trace(g, ascii=True))
    forward
      x1 = 2
      x2 = 3
      v1 = x1 + x2 = 5
      v2 = x2 + 1 = 4
      v3 = 1 * v2 = 4
      v4 = 1 * v1 = 5
      dF/dx2 = v4 + v3 = 9
    backward
      d(dF/dx2)/d(dF/dx2) = 1
      d(dF/dx2)/dv3 = 1
      d(dF/dx2)/dv4 = 1
      d(dF/dx2)/dv1 = d(dF/dx2)/dv4 * dv4/dv1 = 1
      d(dF/dx2)/dv2 = d(dF/dx2)/dv3 * dv3/dv2 = 1
      d(dF/dx2)/dx1 = d(dF/dx2)/dv1 * dv1/dx1 = 1
        through v1: d(dF/dx2)/dv1 * dv1/dx2 = 1
        through v2: d(dF/dx2)/dv2 * dv2/dx2 = 1
      d(dF/dx2)/dx2 = d(dF/dx2)/dv1 * dv1/dx2 + d(dF/dx2)/dv2 * dv2/dx2 = 2
    """
    if not isinstance(F, Tensor):
        raise TypeError(f"trace takes a tensor, and this is {kind(F)}")
    if not F.requires_grad:
        raise ValueError("trace takes a tensor that was computed from something with requires_grad=True, and not under "
                         "no_grad(); a gradient remembers its graph if it was computed with create_graph=True")
    if F.size != 1:
        raise ValueError(f"trace takes a tensor with one element, such as F.sum(), and this one has shape {F.shape}")
    tensors = history([F])
    names = named(tensors)
    forward = [f"{names[t.order]} = {formula(t, names)}{value(t)}" for t in tensors if t.order in names]
    return "\n  ".join(["forward", *forward]) + "\n" + "\n  ".join(["backward", *chain_rule(F, tensors, names, ascii)])


def formula(t, names):
    """``x1 + x2 = `` for a result of two named tensors; nothing for a leaf."""
    if t.op is None:
        return ""
    inputs = [names.get(x.order) or value(x) for x in t.inputs]
    if t.op.name in FORMS:
        return FORMS[t.op.name].format(*inputs) + " = "
    attributes = [f"{key}={setting}" for key, setting in t.attrs.items()]
    return f"{PUBLIC.get(t.op.name, t.op.name)}({', '.join(inputs + attributes)}) = "


def value(t):
    """A number, the entries of a small array, or shape and range of a large one."""
    array = t._data
    if array.size == 1:
        return f"{array.item():.6g}"
    if array.size > 6 and array.dtype.kind != "c":
        return f"array {array.shape}, {float(array.min()):.4g} to {float(array.max()):.4g}"
    return " ".join(np.array2string(array, precision=4, separator=", ").split())


# The backward pass is walked here once more, as autodiff.py does, but on recorded tensors: for these, the gradients keep their
# whole formula, even where they depend on constants only.


def chain_rule(F, tensors, names, ascii):
    """The lines of the backward pass."""
    d, dot = ("d", "*") if ascii else ("∂", "·")

    def derivative(y, x):
        return "/".join([d + (name if name.isidentifier() else f"({name})") for name in (y, names[x.order])])

    def line(ways, g):
        ways = [out for out in ways if not (F.name and out.order == F.order)]  # dF/dF * dF/dx says nothing
        rule = [f"{derivative(of_F, out)} {dot} {derivative(names[out.order], t)}" for out in ways]
        text = simplest(graph_of(g, names), share=False)
        if len(text) > LONGEST and ways:
            names.update({gradients[out.order].order: derivative(of_F, out) for out in ways})
            text = simplest(graph_of(g, names), share=False)
        return " = ".join([" + ".join(rule)] * bool(rule) + [text] * (text != value(g)) + [value(g)])

    of_F = F.name or "F"
    gradients = {out.order: g for out, g in first_gradients([F], None).items()}
    contributions = {t.order: {} for t in tensors}
    for t in nearest_first(mirrored(tensors)):
        ways = contributions[t.order]
        if len(ways) > 1:
            yield from [f"  through {names[out.order]}: {line([out], g)}" for out, g in ways.items()]
        if ways:
            gradients[t.order] = reduce(add, ways.values())
        yield f"{derivative(of_F, t)} = {line(ways, gradients[t.order])}"
        for i, x in enumerate(t.inputs):
            if x.requires_grad:
                g = apply_rule(t, i, x, gradients[t.order])
                received = contributions[x.order]
                received[t] = received[t] + g if t in received else g


def mirrored(tensors):
    """The same tensors, at which a formula ends: as far as a recording is concerned, they were made from nothing."""
    mirrors = {}
    for t in tensors:
        mirrors[t.order] = Recorded.made_by(None, (), {}, t)
        mirrors[t.order].inputs = tuple([mirrors[x.order] for x in t.inputs])
    return list(mirrors.values())


def nearest_first(tensors):
    """What gets a gradient, in the slide's order: by the number of steps from the last tensor, and older before newer.

    A tensor is a step further away than everything that was made from it, so it comes after all that.
    """
    steps = {t.order: 0 for t in tensors}
    for t in reversed(tensors):
        for x in t.inputs:
            steps[x.order] = max(steps[x.order], steps[t.order] + 1)
    return sorted([t for t in tensors if t.requires_grad], key=lambda t: (steps[t.order], t.order))
