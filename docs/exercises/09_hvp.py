"""Exercise 9: a Hessian-vector product.

`f` is a function from a tensor to a single number. `x` is a tensor
that requires a gradient, and `v` a tensor of the same shape. Return
H v, where H is the Hessian of `f` at `x`, without forming H: call
`tg.grad` twice and nothing else of the kind.

Hint: the gradient of the number <grad f, v> is H v, if v is held
constant (compare Pearlmutter 1994).
Read: course, chapter 7.
"""

import tinygrad_meta as tg


def hvp(f, x, v):
    ...
