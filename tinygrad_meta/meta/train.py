"""The outer loop: Algorithm 1 of the MAML paper without its inner part, which is the objective.

The same loop trains everything MAML is compared with.  Only what is minimised differs: for MAML and its first-order variant
:func:`~tinygrad_meta.meta.maml_loss`, for supervised pre-training :func:`~tinygrad_meta.meta.pooled_loss`.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np

from ..autodiff import grad, no_grad
from ..graph import compile
from ..ops import astype
from ..optim import Adam, Optimizer, clip_norm, widened, without_remnants
from ..tensor import as_tensor
from ..tree import as_vector, leaves, rebuild, split
from ..validate import function, kind, number
from .maml import leaf
from .parallel import count_tasks, part, spread


class Diverged(ArithmeticError):
    """A loss or a gradient that is not a number, or infinite: training on would only spread it.

    Attributes
    ----------
    iteration : int
        Which step it was, counted from 1.
    task : int or None
        The first task of the batch with such a loss or gradient; ``None`` if only the sum over all of them is.
    """

    def __init__(self, what, iteration, task):
        self.iteration, self.task = iteration, task
        where = "" if task is None else f", first in task {task} of its batch"
        super().__init__(f"{what} of iteration {iteration:,} is not finite{where}: a smaller step size, or a bound on the "
                         "gradient's norm, may help")


def train(objective, params, batches, step_sizes, max_norm=None, eager=False, optimizer=None, executor=None, workers=None):
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
    optimizer : Adam, optional
        Its ``state`` and ``steps`` are those after the latest step.  With the parameters they are all that there is to a
        training: given both, it goes on as if it had never stopped.
    executor : concurrent.futures.Executor, optional
        Where to compute the gradients: each batch is split, by tasks, into as many parts as there are ``workers``.  The
        objective must then be a mean over tasks, and one that can be pickled.
    workers : int, optional
        The number of processors of this machine unless given.

    Yields
    ------
    params : structure of tensors
        After the step.
    loss : float
        Of the batch, before the step.

    Raises
    ------
    Diverged
        In place of a step that would lead to parameters that are not finite.

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

    function("objective", objective)
    for name, given in {"batches": batches, "step_sizes": step_sizes}.items():
        if not isinstance(given, Iterable):
            raise TypeError(f"{name} must be a sequence or a generator, with one entry for each step, and is {kind(given)}")
    if not isinstance(optimizer, Optimizer | None):
        raise TypeError(f"optimizer must be one of tg.optim, such as Adam(), and is {kind(optimizer)}")
    optimizer, start = optimizer or Adam(), params                        # line 1 is the caller's: params
    like, faster = leaves(start), (lambda f: f) if eager else compile
    dtypes = sorted({str(as_tensor(p).dtype) for p in like})
    if len(dtypes) > 1:
        raise TypeError(f"parameters that are trained together must be of one dtype, and these are {' and '.join(dtypes)}")
    gradient_of = partial(loss_and_gradient, objective, start)            # lines 4 to 8

    def move(theta, sums, loss, gradient, rates):
        """Line 8's step.  The parameters are parts of one vector, which is what Adam moves."""
        with no_grad():
            if max_norm is not None:
                gradient = clip_norm(gradient, max_norm)
            moved, sums = optimizer.move(widened(theta), widened(gradient), sums, *rates)
            theta = astype(moved, theta.dtype)
            return loss, theta, sums, rebuild(start, split(theta, like))

    if executor is None:
        step = faster(lambda theta, sums, batch, rates: move(theta, sums, *gradient_of(theta, batch), rates))
    else:
        apart, together = spread(gradient_of, executor, workers, eager), faster(move)

        def step(theta, sums, batch, rates):
            return together(theta, sums, *apart(theta, batch), rates)

    theta = as_vector(like).detach()
    sums = optimizer.state_for(theta)
    for step_size, batch in zip(step_sizes, batches, strict=False):       # lines 2 and 3
        optimizer.step_size = number("each of the step sizes", step_size, least=0)
        rates = np.array(optimizer.rates(optimizer.steps + 1), widened(theta).dtype)
        before, sums = theta, without_remnants(sums, optimizer.steps)
        loss, theta, sums, params = step(theta, sums, batch, rates)
        if not all([np.isfinite(value.data).all() for value in (loss, theta, *sums)]):
            raise Diverged(*blame(gradient_of, before, batch, optimizer.steps + 1))
        optimizer.state, optimizer.steps = sums, optimizer.steps + 1
        yield params, loss.item()                                         # line 9


def loss_and_gradient(objective, start, theta, batch):
    """Of an objective whose parameters, built like ``start``, are parts of the vector ``theta``."""
    params = [leaf(part) for part in split(theta, leaves(start))]
    loss = objective(rebuild(start, params), batch)
    return loss, as_vector(grad(loss, params))


def blame(gradient_of, theta, batch, iteration):
    """What a step that did not work out is told apart by: what is not finite, in which iteration, and for which task."""

    def broken(batch):
        named = zip(("the loss", "the gradient"), gradient_of(theta, batch), strict=True)
        return next((name for name, value in named if not np.isfinite(value.data).all()), None)

    dimensions = [np.ndim(array) for array in leaves(batch) if array is not None]
    for i in range(count_tasks(batch) if dimensions and all(dimensions) else 0):  # else it cannot be split by tasks
        if what := broken(part(batch, i, i + 1)):
            return what, iteration, i
    return broken(batch) or "the step", iteration, None
