"""Exercise 8: derivatives of every order.

`f` is a function from a tensor with one number to a tensor with one
number. Return the `n`-th derivative of `f` at `x`, a Python number,
as a float. `n` is at least 1.

Hint: a gradient that was recorded is an expression like any other.
Read: course, chapter 6.
"""

import tinygrad_meta as tg


def nth_derivative(f, x, n):
    ...
