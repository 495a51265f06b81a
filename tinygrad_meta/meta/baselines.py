"""What MAML is compared with: networks trained without regard to adaptation.

*Pre-training* pools the points of all tasks and fits one network to them, the usual way to prepare for fine-tuning.  On sine
waves the best such function is close to the average wave.  The *oracle* is trained in the same way, but is told each task's
amplitude and phase as two further inputs: what can be reached when there is nothing left to adapt to.
"""

import numpy as np

from ..ops import mean
from ..tree import tree_map
from ..validate import function, kind, listed
from .evaluate import evaluate
from .maml import losses_of, tasks_of

STEP_SIZES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05)  # of adaptation, to choose from where training has not fixed one


def pooled_loss(loss_fn, params, batch):
    """The loss of one network on the support and query points of all tasks together.

    >>> import tinygrad_meta as tg
    >>> batch = tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=10, rng=0)
    >>> zero = lambda params, x, y: tg.nn.mse_loss(0 * x, y)
    >>> bool(np.isclose(pooled_loss(zero, None, batch).item(), np.mean([batch.support[1] ** 2, batch.query[1] ** 2])))
    True
    """
    tasks_of(batch)
    x, y = (np.concatenate(pair, axis=1) for pair in zip(batch.support, batch.query, strict=True))
    return mean(losses_of(function("loss_fn", loss_fn)(params, x, y)))


def reveal(batch):
    """The same sine tasks, with every point's inputs being x, amplitude and phase: the oracle's data.

    >>> import tinygrad_meta as tg
    >>> batch = tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=10, rng=0)
    >>> reveal(batch).query[0].shape
    (25, 10, 3)
    """

    if not hasattr(batch, "amplitude"):
        raise TypeError(f"reveal takes a batch of sine tasks, which have an amplitude and a phase, and this is {kind(batch)}")

    def with_secrets(x, y):
        secrets = (np.broadcast_to(secret, x.shape) for secret in (batch.amplitude, batch.phase))
        return np.concatenate([x, *secrets], axis=-1), y

    return batch._replace(support=with_secrets(*batch.support), query=with_secrets(*batch.query))


def best_step_size(loss_fn, params, batch, step_sizes, steps=10):
    """The step size with the least mean error after ``steps`` steps of adaptation, on tasks set aside for this choice.

    Passed over is one that diverges on any of them when it is half as large again: there will be other tasks on which it does
    so itself.
    """
    step_sizes = listed(step_sizes)
    if not isinstance(step_sizes, (list, tuple)) or not step_sizes:
        raise ValueError(f"step_sizes must be a list of at least one number to choose from, and is {step_sizes!r}")

    def error(step_size, times=1):
        return evaluate(loss_fn, params, batch, tree_map(lambda s: times * s, step_size), steps)[-1].mean()

    errors = [error(each) for each in step_sizes]
    best_first = np.argsort(errors, kind="stable")
    leave_room = (i for i in best_first if np.isfinite(errors[i]) and np.isfinite(error(step_sizes[i], times=1.5)))
    return step_sizes[next(leave_room, best_first[0])]
