"""
Can a gradient be trusted?
==========================

Check it against the definition of the derivative, which needs no rules::

    f'(x) = (f(x + h) - f(x - h)) / 2h    for small h

First: how small?  Then two wrong rules are planted.  The first check finds one of them;
the other gives a perfect gradient, and only the check of second derivatives notices it.
"""

import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.ops import elementwise

# %%
# The derivative of sin at 1 by finite differences, and how wrong it is for each h.  Too
# large, and the curve bends between the two points; too small, and the difference is mostly
# rounding.  The best lies in between, and how good that is depends on the type of number.

figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
for dtype in ("float32", "float64"):
    steps = 10.0 ** np.linspace(-1, -14, 53)
    x, h = np.array(1, dtype), steps.astype(dtype)
    slopes = (np.sin(x + h) - np.sin(x - h)) / (2 * h)
    axes.loglog(steps, np.abs(slopes - np.cos(1.0)), ".-", label=dtype)
    print(dtype, *[f"h = {steps[i]:.0e}: off by {abs(slopes[i] - np.cos(1.0)):.0e}"
                   for i in (0, 20, 40)], sep="\n  ")
axes.set(title="How wrong is a finite difference?", xlabel="h", ylabel="error")
axes.grid(alpha=0.3)
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/finite_differences.png", dpi=150)

# %%
# Three rules for one operation.  The slope of ``x * x`` is 2x, so the second is wrong.  The
# third computes the right number with NumPy, and cuts it off from x.


@elementwise(lambda g, out, x: g * (x + x))
def right(x):
    return np.square(x)


@elementwise(lambda g, out, x: g * x)
def wrong(x):
    return np.square(x)


@elementwise(lambda g, out, x: g * tg.tensor(2 * x.data))
def detached(x):
    return np.square(x)


x = tg.tensor([0.5, -1.0, 2.0], requires_grad=True, name="x")
for operation in (right, wrong, detached):
    print(f"The rule of {operation.__name__}:")
    for order, check in {"first": tg.gradcheck, "second": tg.gradgradcheck}.items():
        try:
            check(operation, [x])
            print(f"  {order} order: correct")
        except tg.GradcheckError as error:
            print(f"  {order} order: WRONG", textwrap.fill(str(error), 76), sep="\n")
            break
