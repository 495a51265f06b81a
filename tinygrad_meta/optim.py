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

from .autodiff import no_grad
from .ops import astype, maximum, norm, sqrt
from .tensor import Tensor, as_tensor
from .tree import as_vector, check_alike, leaves, rebuild, split, tree_map
from .validate import listed, number


class Optimizer:
    """What optimisers have in common: all parameters are moved at once, as one long vector.

    A subclass says how many ``sums`` over the past it keeps, the first one that of the gradients; how a vector moves (``move``,
    made of operations, so that it can be compiled); and which numbers it needs that change from step to step (``rates``).
    """

    def __init__(self, step_size):
        self.step_size = number("the step size", step_size, least=0)
        self.state = None  # one vector for each sum
        self.steps = 0

    def step(self, params, grads):
        """The parameters after one step."""
        check_alike(params, grads)
        old, grads = [as_tensor(p) for p in leaves(params)], [as_tensor(g) for g in leaves(grads)]
        if any([type(x) is not Tensor for x in old + grads]):
            raise TypeError("step() changes the optimizer itself, which a compiled function cannot: compile what computes the "
                            "gradients, and call step() with what that returns")
        for p, g in zip(old, grads, strict=True):
            if p.shape != g.shape:
                raise ValueError(f"a parameter of shape {p.shape} came with a gradient of shape {g.shape}")
            if not np.can_cast(g.dtype, p.dtype, "same_kind"):
                raise TypeError(f"a parameter of dtype {p.dtype} came with a gradient of dtype {g.dtype}")
        with no_grad():
            x, g = widened(as_vector(old)), widened(as_vector(grads))
            state = without_remnants(self.state_for(x), self.steps)
            self.steps += 1
            x, self.state = self.move(x, g, state, *self.rates(self.steps))
            new = [Tensor(part, p.dtype, requires_grad=True, name=p.name) for part, p in zip(split(x, old), old, strict=True)]
        return rebuild(params, new)

    def state_for(self, x):
        """The sums, which are 0 before the first step."""
        state = self.state or [0 * widened(x) for _ in range(self.sums)]
        if [each.shape for each in state] != self.sums * [x.shape]:
            raise ValueError(f"this optimizer has kept sums of {state[0].size} numbers, and the parameters are {x.size}: "
                             "make one for each model")
        return state


def widened(x):
    """Half precision as single: it ends at 65,504, and squares of gradients do not."""
    return astype(x, np.float32) if x.dtype == np.float16 else x


def without_remnants(state, steps):
    """The same sums, of whose first one every hundredth step drops what is left of gradients that have long been 0.

    Where a relu is off for good, the sum of gradients only decays, to numbers so small that processors take many times as long
    for them, and stays there.  Dropped is what would get there before the next time, if each step leaves nine tenths.
    """
    if steps % 100 or not state:
        return state
    first, numbers = state[0].data, np.finfo(state[0].dtype)
    return [Tensor(first * (abs(first) > numbers.tiny / numbers.eps), first.dtype), *state[1:]]


class SGD(Optimizer):
    """Gradient descent, with momentum as in PyTorch: ``v = momentum * v + g``, ``x = x - step_size * v``."""

    sums = 1

    def __init__(self, step_size=0.01, momentum=0.0):
        super().__init__(step_size)
        self.momentum = number("momentum", momentum, least=0, below=1)

    def rates(self, steps):
        return (self.step_size,)

    def move(self, x, g, state, step_size):
        velocity = g + self.momentum * state[0]
        return x - step_size * velocity, [velocity]


class Adam(Optimizer):
    """Steps scaled by weighted averages of the gradient and of its square (Kingma, Ba 2015, Algorithm 1).

    The latest gradient has weight 1, the one before ``beta``, the one before that ``beta**2``.  Kept are the two weighted sums:
    a sum is the old one times ``beta`` plus what is new, and divided by the sum of its weights it is the average.
    """

    sums = 2

    def __init__(self, step_size=0.001, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(step_size)
        betas = listed(betas)
        if not isinstance(betas, (list, tuple)) or len(betas) != 2:
            raise ValueError(f"betas must be a pair of numbers, one for each running average, and is {betas!r}")
        self.betas = tuple([number("each of Adam's betas", beta, least=0, below=1) for beta in betas])
        self.eps = number("eps", eps, least=0)

    def rates(self, steps):
        """What turns sums into averages, as two numbers: ``step_size * (sum1 / w1) / (sqrt(sum2 / w2) + eps)`` is the step."""
        weights, weights_of_squares = [(1 - beta**steps) / (1 - beta) for beta in self.betas]
        root = math.sqrt(weights_of_squares)
        return self.step_size * root / weights, self.eps * root

    def move(self, x, g, state, step_size, eps):
        gradients = g + self.betas[0] * state[0]
        squares = g * g + self.betas[1] * state[1]
        return x - step_size * gradients / (sqrt(squares) + eps), [gradients, squares]


def clip_norm(grads, max_norm):
    """The same gradients, scaled down together if their common Euclidean norm exceeds ``max_norm`` (Pascanu et al. 2013).

    >>> import tinygrad_meta as tg
    >>> clip_norm({"x": tg.tensor(3.0), "y": tg.tensor(4.0)}, max_norm=2.5)
    {'x': Tensor(1.5, dtype=float64), 'y': Tensor(2.0, dtype=float64)}
    """
    number("max_norm", max_norm, above=0)
    length = norm(as_vector([widened(as_tensor(g)) for g in leaves(grads)]))
    scale = max_norm / maximum(max_norm, length) + 0 * length  # nan where the squares overflow, in place of a gradient of 0
    return tree_map(lambda g: g * astype(scale, as_tensor(g).dtype), grads)


def cosine_decay(step_size, step, steps, warmup=0):
    """The step size at step 0, 1, ..., ``steps`` of a half cosine from ``step_size`` down to 0 (Loshchilov, Hutter 2017).

    Over the first ``warmup`` steps it is held down by a straight line that rises to 1: early gradients are large and Adam's
    averages of them still rough, and a large first step can be hard to recover from.

    >>> [round(cosine_decay(1.0, step, steps=8, warmup=3), 3) for step in range(9)]
    [0.25, 0.481, 0.64, 0.691, 0.5, 0.309, 0.146, 0.038, 0.0]
    """
    number("the step size", step_size, least=0)
    number("steps", steps, above=0)
    number("warmup", warmup, least=0)
    if not 0 <= number("step", step) <= steps:
        raise ValueError(f"step must lie between 0 and the number of steps, {steps}, and is {step}")
    return min(1, (step + 1) / (warmup + 1)) * step_size * 0.5 * (1 + math.cos(math.pi * step / steps))
