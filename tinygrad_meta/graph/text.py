"""The graph as text: the forward pass line by line, then the chain rule at work on the way back."""

from itertools import count

import numpy as np

from ..autodiff import grad

INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "product": "@"}


def trace(F):
    """A table of how ``F`` was computed, and of its derivative with respect to everything on the way.

    Tensors go by their names; results without a name are numbered v1, v2, ... in the order they were computed.

    Parameters
    ----------
    F : Tensor
        With one element, computed from something that requires a gradient.

    Returns
    -------
    str

    Examples
    --------
    x2 is used twice, so two terms add up in its derivative:

    >>> import tinygrad_meta as tg
    >>> x1, x2 = (tg.tensor(value, requires_grad=True, name=name) for name, value in {"x1": 2.0, "x2": 3.0}.items())
    >>> print(trace((x1 + x2) * (x2 + 1)))
    forward
      x1 = 2
      x2 = 3
      v1 = x1 + x2 = 5
      v2 = x2 + 1 = 4
      v3 = v1 * v2 = 20
    backward
      dF/dv3 = 1
      dF/dv2 = dF/dv3 * dv3/dv2 = 5
      dF/dv1 = dF/dv3 * dv3/dv1 = 4
      dF/dx2 = dF/dv1 * dv1/dx2 + dF/dv2 * dv2/dx2 = 9
      dF/dx1 = dF/dv1 * dv1/dx1 = 4
    """
    tensors = history(F)
    results, unnamed = (f"v{i}" for i in count(1)), (f"leaf{i}" for i in count(1))
    names = {t: t.name or next(results if t.op else unnamed) for t in tensors}
    forward = [f"{names[t]} = {formula(t, names)}{value(t)}" for t in tensors]
    dF, backward = f"d{F.name or 'F'}", []
    for t, g in zip(tensors, grad(F, tensors), strict=True):
        terms = [f"{dF}/d{names[out]} * d{names[out]}/d{names[t]}" for out in tensors if any(x is t for x in out.inputs)]
        backward.append(f"{dF}/d{names[t]} = " + (" + ".join(terms) + " = " if terms else "") + value(g))
    return "\n  ".join(["forward", *forward]) + "\n" + "\n  ".join(["backward", *reversed(backward)])


def history(F):
    """Everything that requires a gradient and that ``F`` was computed from, in the order of computation."""
    found, to_visit = {}, [F]
    while to_visit:
        t = to_visit.pop()
        if t.requires_grad and t not in found:
            found[t] = None
            to_visit += t.inputs
    return sorted(found, key=lambda t: t.order)


def formula(t, names):
    """``x1 + x2 = `` for a result of two named tensors; nothing for a leaf."""
    if t.op is None:
        return ""
    inputs = [names.get(x) or value(x) for x in t.inputs]
    attributes = [f"{key}={setting}" for key, setting in t.attrs.items()]
    if t.op.name in INFIX:
        return f" {INFIX[t.op.name]} ".join(inputs) + " = "
    return f"{t.op.name}({', '.join(inputs + attributes)}) = "


def value(t):
    text = f"{t.item():.6g}" if t.size == 1 else np.array2string(t.data, precision=4, threshold=10, separator=", ")
    return " ".join(text.split())
