"""Solution 13: the gradient becomes a constant.

detach() keeps the value and drops the history. Leaving out
create_graph=True has the same effect and is cheaper, which is why
the mistake is so easily made by accident.
"""

import tinygrad_meta as tg


def first_order_step(loss_fn, params, support, step_size):
    loss = loss_fn(params, *support)
    gradients = tg.grad(loss, params, create_graph=True)
    gradients = [g.detach() for g in gradients]
    return [p - step_size * g for p, g in zip(params, gradients)]
