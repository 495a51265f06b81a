"""One batch of tasks on many processes or machines.

Tasks know nothing of each other until their gradients are averaged.  So a batch can be split, each part sent to where there
is time for it, and the results, weighted by how many tasks they stand for, added up.
"""

import os

import numpy as np

from ..tensor import as_tensor
from ..tree import leaves, tree_map


def spread(gradient_of, executor, workers=None, eager=False):
    """The same function ``(theta, batch) -> loss, gradient``, computed by the workers of an executor."""
    workers = workers or os.cpu_count()

    def loss_and_gradient(theta, batch):
        tasks = tasks_of(batch)
        ends = np.linspace(0, tasks, min(workers, tasks) + 1).round().astype(int)
        futures = [executor.submit(compute, gradient_of, theta.numpy(), part(batch, start, end))
                   for start, end in zip(ends, ends[1:], strict=False)]
        results = [future.result() for future in futures]
        shares = np.diff(ends) / tasks
        return [as_tensor(np.sum([share * np.asarray(r) for share, r in zip(shares, each, strict=True)], axis=0, dtype=theta.dtype))
                for each in zip(*results, strict=True)]

    return loss_and_gradient


def compute(gradient_of, theta, batch):
    loss, gradient = gradient_of(as_tensor(theta), batch)
    return loss.numpy(), gradient.numpy()


def tasks_of(batch):
    """How many tasks a batch holds."""
    return len(leaves(batch)[0])


def part(batch, start, end):
    """Some tasks of a batch."""
    return tree_map(lambda a: a[start:end], batch)
