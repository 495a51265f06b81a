"""The outer loop: Algorithm 1 of the MAML paper without its inner part, which is the objective.

The same loop trains everything MAML is compared with.  Only what is minimised differs: for MAML and its first-order variant
:func:`~tinygrad_meta.meta.maml_loss`, for supervised pre-training :func:`~tinygrad_meta.meta.pooled_loss`.
"""

import numpy as np

from ..autodiff import grad, no_grad
from ..graph import compile
from ..optim import Adam, as_vector, clip_norm, split
from ..tree import leaves, rebuild
from .maml import leaf


def train(objective, params, batches, step_sizes, max_norm=None, eager=False):
    """Meta-train with Adam, one step per batch of tasks, and hand over the parameters after every step.

    It is a generator, so that progress bars, learning curves and early stopping are the caller's loop around it.

    Parameters
    ----------
    objective : function ``(params, batch) -> loss``
        What to minimise, such as :func:`maml_loss` with its other arguments filled in.
    params : structure of tensors
        Where to start; each must require a gradient.
    batches : iterable
        Batches of tasks.
    step_sizes : iterable of floats
        The paper's beta, one per step.  Training ends with the shorter of the two.
    max_norm : float, optional
        Scale larger meta-gradients down to this Euclidean norm.
    eager : bool
        Run ``objective`` anew at every step, instead of recording it once and replaying that.

    Yields
    ------
    params : structure of tensors
        After the step.
    loss : float
        Of the batch, before the step.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> loss_fn = lambda params, x, y: tg.nn.mse_loss(tg.nn.mlp(params, x), y)
    >>> objective = lambda params, batch: tg.meta.maml_loss(loss_fn, params, batch, step_size=0.01)
    >>> batches = [tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=10, rng=0)] * 20
    >>> params = tg.nn.init_mlp([1, 40, 40, 1], rng=0)
    >>> losses = [loss for params, loss in train(objective, params, batches, step_sizes=[0.01] * 20)]
    >>> losses[-1] < losses[0]
    True
    """

    optimizer, start = Adam(), params                                     # line 1 is the caller's: params
    like = leaves(start)

    def step(theta, averages, batch, rates):
        """One iteration.  The parameters are parts of one vector, which is what Adam moves."""
        params = [leaf(part) for part in split(theta, like)]
        loss = objective(rebuild(start, params), batch)                   # lines 4 to 7
        gradient = as_vector(grad(loss, params))                          # line 8
        with no_grad():
            if max_norm is not None:
                gradient = clip_norm(gradient, max_norm)
            theta, averages = optimizer.move(theta, gradient, averages, *rates)
            return loss, theta, averages, rebuild(start, split(theta, like))

    step = step if eager else compile(step)
    theta = as_vector(like).detach()
    averages = [0 * theta, 0 * theta]
    for i, (batch, step_size) in enumerate(zip(batches, step_sizes, strict=False)):  # lines 2 and 3
        optimizer.step_size = step_size
        rates = np.array(optimizer.rates(i + 1), theta.dtype)
        loss, theta, averages, params = step(theta, averages, batch, rates)
        yield params, loss.item()                                         # line 9
