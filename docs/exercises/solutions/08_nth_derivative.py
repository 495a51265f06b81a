"""Solution 8: differentiate, n times.

With create_graph=True the backward pass is recorded, and what comes
out of it can be differentiated in the next round.
"""

import tinygrad_meta as tg


def nth_derivative(f, x, n):
    x = tg.tensor(float(x), requires_grad=True)
    y = f(x)
    for _ in range(n):
        (y,) = tg.grad(y, x, create_graph=True)
    return y.item()
