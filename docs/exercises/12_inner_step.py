"""Exercise 12: the inner step of MAML.

`loss_fn(params, x, y)` is the loss of a task, a single number.
`params` is a list of tensors that require a gradient. Take one step
of gradient descent on the support set `(x, y)` and return the new
parameters, a list, as a differentiable function of the old ones:
lines 5 and 6 of Algorithm 1.

Hint: one argument of `tg.grad` decides whether this is MAML.
Read: course, chapter 11.
"""

import tinygrad_meta as tg


def inner_step(loss_fn, params, support, step_size):
    ...
