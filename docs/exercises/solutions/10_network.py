"""Solution 10: a function of its parameters.

It holds nothing and changes nothing, so it can be called with
parameters that are themselves results, such as those after an inner
step, and stays differentiable by whatever these were made of.
"""

import tinygrad_meta as tg


def network(params, x):
    *hidden, (weight, bias) = params
    for w, b in hidden:
        x = tg.tanh(tg.matmul(x, w) + b)
    return tg.matmul(x, weight) + bias
