"""Optimisers: from parameters and their gradients to new parameters.

Tensors are never changed in place, because a graph may still need them; ``step`` returns new ones.  Parameters may be any
structure of tensors, and gradients the same structure.

>>> import tinygrad_meta as tg
>>> params, optimizer = {"x": tg.tensor(1.0, requires_grad=True)}, SGD(step_size=0.1)
>>> for _ in range(3):
...     params = optimizer.step(params, tg.func.grad(lambda p: p["x"] ** 2)(params))
>>> round(params["x"].item(), 6)
0.512
"""

import math

import numpy as np

from .tensor import Tensor, as_tensor
from .tree import check_alike, leaves, rebuild


class Optimizer:
    def __init__(self, step_size):
        if not step_size >= 0:
            raise ValueError(f"the step size must not be negative, and got {step_size}")
        self.step_size = step_size
        self.state = None  # one list of arrays per running average, one array per parameter
        self.steps = 0

    def step(self, params, grads):
        """The parameters after one step."""
        check_alike(params, grads)
        arrays = [as_tensor(p).data for p in leaves(params)]
        self.steps += 1
        if self.state is None:
            self.state = [[np.zeros_like(a) for a in arrays] for _ in range(self.averages)]
        new = [Tensor(self.move(i, a, as_tensor(g).data), a.dtype, requires_grad=True, name=getattr(p, "name", None))
               for i, (p, a, g) in enumerate(zip(leaves(params), arrays, leaves(grads), strict=True))]
        return rebuild(params, new)


class SGD(Optimizer):
    """Gradient descent, with momentum as in PyTorch: ``v = momentum * v + g``, ``x = x - step_size * v``."""

    averages = 1

    def __init__(self, step_size=0.01, momentum=0.0):
        super().__init__(step_size)
        self.momentum = momentum

    def move(self, i, x, g):
        velocity = self.state[0][i] = self.momentum * self.state[0][i] + g
        return x - self.step_size * velocity


class Adam(Optimizer):
    """Steps scaled by running averages of the gradient and of its square (Kingma, Ba 2015, Algorithm 1)."""

    averages = 2

    def __init__(self, step_size=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(step_size)
        self.betas, self.eps = betas, eps

    def move(self, i, x, g):
        (beta1, beta2), (mean, square) = self.betas, self.state
        mean[i] = beta1 * mean[i] + (1 - beta1) * g
        square[i] = beta2 * square[i] + (1 - beta2) * g * g
        unbiased_mean = mean[i] / (1 - beta1**self.steps)
        unbiased_square = square[i] / (1 - beta2**self.steps)
        return x - self.step_size * unbiased_mean / (np.sqrt(unbiased_square) + self.eps)


def cosine_decay(step_size, step, steps):
    """The step size at step 0, 1, ..., ``steps`` of a half cosine from ``step_size`` down to 0 (Loshchilov, Hutter 2017)."""
    return step_size * 0.5 * (1 + math.cos(math.pi * step / steps))
