"""Exercise 1: the rule of the logarithm.

Given are `x`, a tensor of positive numbers; `out`, the result
`log(x)`; and `g`, the gradient of some number F with respect to
`out`. All three have the same shape.

Return the gradient of F with respect to `x`. Write it with
operations on tensors, not with NumPy: the result will be
differentiated again.

Hint: by the chain rule it is `g` times the derivative of log.
Read: course, chapters 2 and 6.
"""


def log_rule(g, out, x):
    ...
