"""Where the first nan or infinity comes from.

Not-a-number spreads: when a loss is nan, so is nearly everything by then, and the one operation that started it is hard to
find.  Inside ``detect_anomaly()`` every result is looked at as soon as it is made, in the forward pass and in derivative rules.
"""

import linecache
import os
import sys
import threading
import weakref

import numpy as np

from .tensor import detectors

PACKAGE = os.path.dirname(__file__) + os.sep


class AnomalyError(ArithmeticError):
    """What :func:`detect_anomaly` raises."""


class detect_anomaly:
    """Raise an error where the first nan appears, or an infinity made from finite numbers, forward or backward, in this thread.

    The error names the operation and the line of your code that called it; in a backward pass, the operation whose derivative
    rule it was, and the line that had computed that.  Compiled functions are run without replaying meanwhile.  All of this
    takes time: it is for finding a fault, not for every day.

    Raises
    ------
    AnomalyError

    Examples
    --------
    The square root of 0 is fine, but its derivative is infinite:

    >>> import numpy as np
    >>> import tinygrad_meta as tg
    >>> x = tg.tensor([0.0, 1.0], requires_grad=True)
    >>> with np.errstate(divide="ignore"), tg.detect_anomaly():   # doctest: +ELLIPSIS
    ...     y = tg.sqrt(x).sum()
    ...     tg.grad(y, x)
    Traceback (most recent call last):
    tinygrad_meta.anomaly.AnomalyError: the derivative rule of sqrt for its input 0 made inf at index (0,), ...
    """

    def __enter__(self):
        self.thread, self.lines = threading.get_ident(), {}
        detectors.append(self)

    def __exit__(self, *error):
        detectors.remove(self)
        self.lines.clear()

    def inspect(self, out, op, inputs):
        """Look at a result that was just made, and remember where.  Within a derivative rule only what it returns counts."""
        if op is None or threading.get_ident() != self.thread:
            return
        line, in_a_rule = where_we_are()
        found = None if in_a_rule else anomaly(out, inputs)
        if found:
            for i, x in enumerate(inputs):
                if np.isnan(x._data).any():
                    name = f" ({x.name})" if x.name else ""
                    raise AnomalyError(f"{op.name} was given nan as its input {i}{name}, which no operation made "
                                       f"while detect_anomaly() was looking. It was called {line}")
            raise AnomalyError(f"{op.name} made {found}, {line}")
        self.lines[out.order] = line, weakref.ref(out, lambda _, lines=self.lines, order=out.order: lines.pop(order, None))

    def inspect_rule(self, out, i, g, contribution):
        """Look at what a derivative rule returned."""
        if threading.get_ident() != self.thread:
            return
        found = anomaly(contribution, [g, *out.inputs])
        if found:
            made, _ = self.lines.get(out.order, ("before detect_anomaly() began to look", None))
            raise AnomalyError(f"the derivative rule of {out.op.name} for its input {i} made {found}, when differentiated "
                               f"{where_we_are()[0]}. That {out.op.name} was computed {made}")


def watching():
    """Whether :func:`detect_anomaly` is at work in this thread."""
    return any([detector.thread == threading.get_ident() for detector in [*detectors]])


def anomaly(out, inputs):
    """A nan, or an infinity where there was none before, in words; ``None`` if there is neither."""
    value = np.asarray(out._data)
    if np.isfinite(value).all():
        return None
    bad = np.isnan(value)
    if not bad.any():
        if any([np.isinf(x._data).any() for x in inputs]):
            return None
        bad = np.isinf(value)
    index = tuple([int(i) for i in np.argwhere(bad)[0]])
    return f"{value[index]}" + (f" at index {index}" if index else "")


def where_we_are():
    """The line of the user's code that is being run, and whether that is inside a derivative rule."""
    frame, in_a_rule = sys._getframe(1), False
    while frame.f_back and frame.f_code.co_filename.startswith(PACKAGE):
        in_a_rule |= frame.f_code.co_name == "apply_rule"
        frame = frame.f_back
    name, number = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(name, number).strip()
    return f"in {name}, line {number}" + (f": {code}" if code else ""), in_a_rule
