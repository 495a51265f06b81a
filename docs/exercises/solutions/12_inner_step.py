"""Solution 12: a recorded gradient, and new tensors.

theta' = theta - alpha * gradient depends on theta twice: directly,
and through the gradient. create_graph=True keeps the second way,
where the Hessian comes from.
"""

import tinygrad_meta as tg


def inner_step(loss_fn, params, support, step_size):
    x, y = support
    loss = loss_fn(params, x, y)
    gradients = tg.grad(loss, params, create_graph=True)
    return [p - step_size * g for p, g in zip(params, gradients)]
