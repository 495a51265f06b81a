"""Solution 9: the gradient of the gradient's product with v.

The derivative of sum_i g_i v_i by x_j is sum_i H_ij v_i, row j of
H v, because H is symmetric. It costs a few gradients, however many
entries x has.
"""

import tinygrad_meta as tg


def hvp(f, x, v):
    (g,) = tg.grad(f(x), x, create_graph=True)
    (hv,) = tg.grad(tg.sum(g * v), x)
    return hv
