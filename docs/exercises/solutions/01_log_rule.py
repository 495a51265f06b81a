"""Solution 1: the derivative of log(x) is 1 / x.

`g / x` is a division of tensors, which has rules of its own, so the
second derivative, -g / x**2, comes for free.
"""


def log_rule(g, out, x):
    return g / x
