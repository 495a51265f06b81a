"""The outer loop: Algorithm 1 of the MAML paper without its inner part, which is the objective.

The same loop trains everything MAML is compared with.  Only what is minimised differs: for MAML and its first-order variant
:func:`~tinygrad_meta.meta.maml_loss`, for supervised pre-training :func:`~tinygrad_meta.meta.pooled_loss`.
"""

from ..autodiff import grad
from ..optim import Adam, clip_norm
from ..tree import leaves, rebuild


def train(objective, params, batches, step_sizes, max_norm=None):
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
    optimizer = Adam()                                                    # line 1 is the caller's: params
    for batch, step_size in zip(batches, step_sizes, strict=False):       # lines 2 and 3
        loss = objective(params, batch)                                   # lines 4 to 7
        gradients = rebuild(params, grad(loss, leaves(params)))           # line 8, and the step below
        if max_norm is not None:
            gradients = clip_norm(gradients, max_norm)
        optimizer.step_size = step_size
        params = optimizer.step(params, gradients)
        yield params, loss.item()                                         # line 9
