"""Meta-testing: how well do parameters adapt to tasks that training has not seen?"""

from typing import NamedTuple

import numpy as np

from ..tree import tree_map
from ..validate import whole
from .maml import check_shape, copies, descend, tasks_of


def evaluate(loss_fn, params, batch, step_size, steps=10):
    """The query loss of every task after 0, 1, ..., ``steps`` gradient steps on its support set.

    Parameters
    ----------
    loss_fn, params, step_size
        As for :func:`~tinygrad_meta.meta.adapt`.
    batch : object with ``support`` and ``query``, each a pair of arrays (x, y) with the task as the first axis

    Returns
    -------
    array of shape (steps + 1, tasks)
        A task on which gradient descent diverged has ``inf`` from there on.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> loss_fn = lambda params, x, y: tg.nn.mse_loss(tg.nn.mlp(params, x), y)
    >>> tasks = tg.tasks.SineTasks().sample(n_tasks=600, n_support=10, n_query=10, rng=0)
    >>> evaluate(loss_fn, tg.nn.init_mlp([1, 40, 40, 1], rng=0), tasks, step_size=0.01, steps=10).shape
    (11, 600)
    """
    tasks = tasks_of(batch)
    with np.errstate(over="ignore", invalid="ignore"):
        losses = [check_shape(loss_fn(params, *batch.query), tasks).data]
        params = copies(params, tasks)
        for _ in range(whole("steps", steps)):
            params = descend(loss_fn, params, batch.support, step_size, 1, first_order=True, tasks=tasks)
            params = tree_map(lambda p: p.detach(), params)  # or every step would keep all steps before it
            losses.append(loss_fn(params, *batch.query).data)
    losses = np.array(losses)
    return np.where(np.isfinite(losses), losses, np.inf)


class Summary(NamedTuple):
    """Errors over many tasks, one entry per number of gradient steps."""

    mean: np.ndarray
    interval: np.ndarray  # half the width of the 95 % confidence interval of the mean
    median: np.ndarray
    diverged: np.ndarray  # how many tasks have an infinite error; the mean then is infinite too


def summarize(losses):
    """Mean, 95 % confidence interval, median and number of diverged tasks, over the tasks.

    Parameters
    ----------
    losses : array of shape (steps, tasks), from :func:`evaluate`

    Examples
    --------
    >>> summarize(np.array([[1.0, 2.0, 3.0]])).mean
    array([2.])
    """
    losses = np.asarray(losses)
    if losses.dtype.kind != "f" or losses.ndim < 1 or losses.shape[-1] < 2:
        raise ValueError("losses must be an array of floating-point numbers of shape (steps, tasks), of at least two tasks, "
                         f"and are of dtype {losses.dtype} and shape {losses.shape}")
    with np.errstate(invalid="ignore"):
        interval = 1.96 * losses.std(axis=-1, ddof=1) / np.sqrt(losses.shape[-1])
    return Summary(losses.mean(axis=-1), interval, np.median(losses, axis=-1), np.isinf(losses).sum(axis=-1))
