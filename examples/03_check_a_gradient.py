"""Can a gradient be trusted?  Check it against the definition of the derivative, which needs no rules.

    f'(x) = (f(x + h) - f(x - h)) / 2h    for small h

First: how small?  Then two wrong rules are planted.  The first check finds one of them; the other gives a perfect gradient,
and only the check of second derivatives notices it.
"""

import textwrap

import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.ops import elementwise

print("The derivative of sin at 1 by finite differences, and how wrong it is for each h:")
for h in 10.0 ** np.arange(-1, -14, -2):
    slope = (np.sin(1 + h) - np.sin(1 - h)) / (2 * h)
    print(f"  h = {h:.0e}   error {abs(slope - np.cos(1)):.0e}")
print("Too large, and the curve bends between the two points; too small, and the difference is mostly rounding.")


@elementwise(lambda g, out, x: g * (x + x))
def right(x):
    return np.square(x)


@elementwise(lambda g, out, x: g * x)  # wrong: the slope of x * x is 2x
def wrong(x):
    return np.square(x)


@elementwise(lambda g, out, x: g * tg.tensor(2 * x.data))  # computed with NumPy: the right number, cut off from x
def detached(x):
    return np.square(x)


x = tg.tensor([0.5, -1.0, 2.0], requires_grad=True, name="x")
for operation in (right, wrong, detached):
    print(f"\nThe rule of {operation.__name__}:")
    for order, check in {"first": tg.gradcheck, "second": tg.gradgradcheck}.items():
        try:
            check(operation, [x])
            print(f"  {order} order: correct")
        except tg.GradcheckError as error:
            print(f"  {order} order: WRONG\n{textwrap.fill(str(error), 110, initial_indent='    ', subsequent_indent='    ')}")
            break
