"""The sine waves of the MAML paper: each task is one wave, and a few of its points are all that a learner sees.

A task has a *support* set to adapt to and a *query* set to be judged by.  A batch holds many tasks, with the task as the
first axis of every array.
"""

from typing import NamedTuple

import numpy as np

from ..validate import floating, generator, number, whole


class TaskBatch(NamedTuple):
    """Many tasks at once.  ``support`` and ``query`` are pairs (x, y) of arrays of shape (tasks, points, 1)."""

    support: tuple
    query: tuple
    amplitude: np.ndarray  # (tasks, 1, 1): what the learner is not told
    phase: np.ndarray


class SineTasks:
    """The family ``y = amplitude * sin(phase + x)``, each of the three drawn uniformly between its bounds.

    The defaults are those of Finn, Abbeel, Levine 2017 (arXiv 1703.03400), section 5.1.

    Examples
    --------
    >>> batch = SineTasks().sample(n_tasks=25, n_support=10, n_query=10, rng=0)
    >>> x, y = batch.support
    >>> x.shape, y.shape
    ((25, 10, 1), (25, 10, 1))
    """

    def __init__(self, amplitude_min=0.1, amplitude_max=5.0, phase_min=0.0, phase_max=np.pi, x_min=-5.0, x_max=5.0,
                 dtype=np.float64):
        self.amplitude, self.phase, self.x = (amplitude_min, amplitude_max), (phase_min, phase_max), (x_min, x_max)
        for name in ("amplitude", "phase", "x"):
            low, high = (number(f"{name}_{end}", bound) for end, bound in zip(("min", "max"), getattr(self, name), strict=True))
            if low > high:
                raise ValueError(f"{name}_min and {name}_max must be in order, and are {low} and {high}")
        self.dtype = floating("the dtype of sine tasks", dtype)

    def sample(self, n_tasks, n_support, n_query, rng=None):
        """Draw new tasks, with support and query points drawn independently of each other.

        Parameters
        ----------
        n_tasks, n_support, n_query : int
            How many tasks, and how many points in each support set (the K of K-shot) and query set.
        rng : numpy Generator, seed or None

        Returns
        -------
        TaskBatch
        """
        whole("n_tasks", n_tasks, least=1)
        whole("n_support", n_support)
        whole("n_query", n_query)
        rng = generator(rng)
        amplitude = rng.uniform(*self.amplitude, (n_tasks, 1, 1)).astype(self.dtype)
        phase = rng.uniform(*self.phase, (n_tasks, 1, 1)).astype(self.dtype)
        x = rng.uniform(*self.x, (n_tasks, n_support + n_query, 1)).astype(self.dtype)
        y = amplitude * np.sin(phase + x)
        support, query = (x[:, :n_support], y[:, :n_support]), (x[:, n_support:], y[:, n_support:])
        return TaskBatch(support, query, amplitude, phase)
