"""Training steps on one process and on several workers: measured here, and a model of what more of them would give.

    python tests/benchmarks/scaling.py

Second-order MAML on sine waves as in the paper (10 and 10 points, one inner step, float32), with two hidden layers of a given
width.  One process and all kinds of workers take turns; times are minima, because other programs on the machine only add to
them.  Where these keep the processors busy all the time, every long step is interrupted and no minimum is right: the load is
printed, and should be near 0 at the start.  The model

    time = fixed + task * tasks / workers + workers * (part + byte * bytes)

has two constants per width, fitted to one process (``fixed``, ``task``), and two per kind of executor, fitted to one worker
(``part``, ``byte``).  Two workers are not used for fitting: they are measured to be held against the model, and the table
says so.  ``bytes`` is what one worker is sent and returns in a step.
"""

import os
import platform
from contextlib import contextmanager
from functools import partial
from itertools import cycle, repeat

import numpy as np

from tinygrad_meta.bench import cpu, measure, restart_on_one_thread
from tinygrad_meta.meta import maml_loss, train
from tinygrad_meta.meta.parallel import open_executor
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tasks import SineTasks
from tinygrad_meta.tree import leaves

TASKS, WIDTHS, MEASURED, MODELLED = (25, 200, 1000), (40, 128, 512), (1, 2), (4, 8)
SECONDS = 2.0  # for each kind of step
NUMBER, BYTES_PER_TASK = 4, 4 * (2 * (10 + 10) + 2)  # a float32; the points, amplitude and phase of a task


def loss_fn(params, x, y):
    return mse_loss(mlp(params, x), y)


def step(tasks, width, executor=None, workers=None):
    """A function that takes one training step."""
    batches = [SineTasks(dtype="float32").sample(tasks, 10, 10, seed) for seed in range(4)]
    params, objective = init_mlp([1, width, width, 1], rng=0, dtype="float32"), partial(maml_loss, loss_fn, step_size=0.01)
    run = train(objective, params, cycle(batches), repeat(1e-4), executor=executor, workers=workers)
    for _ in range(3):  # the workers get to know the program
        next(run)
    return partial(next, run)


def traffic(tasks, width, workers):
    """Bytes that one worker is sent and returns: parameters and gradient, and its part of the batch."""
    return 2 * NUMBER * numbers(width) + BYTES_PER_TASK * tasks / workers


def numbers(width):
    return sum([p.size for p in leaves(init_mlp([1, width, width, 1]))])


# ---------------------------------------------------------------------------------------------------------- the model


def least_squares(columns, values, scale):
    """Two constants, not negative, for which the errors are least, each relative to the time that it is a part of."""
    columns, values = np.array(columns) / np.array(scale)[:, None], np.array(values) / np.array(scale)
    constants = np.linalg.lstsq(columns, values, rcond=None)[0]
    if min(constants) < 0:
        left = np.argmax(constants)
        constants = np.zeros(2)
        constants[left] = max(0, columns[:, left] @ values / (columns[:, left] @ columns[:, left]))
    return constants


class Model:
    """See the top of this file."""

    def __init__(self, times, kind):
        alone = {case: measured[None, None] for case, measured in times.items()}
        one = {case: measured[kind, 1] for case, measured in times.items()}
        self.work = {}
        for width in WIDTHS:
            of_width = [alone[tasks, width] for tasks in TASKS]
            self.work[width] = least_squares([(1, tasks) for tasks in TASKS], of_width, of_width)
        self.overhead = least_squares([(1, traffic(*case, 1)) for case in times], [one[case] - alone[case] for case in times],
                                      list(one.values()))

    def time(self, tasks, width, workers):
        (fixed, task), (part, byte) = self.work[width], self.overhead
        return fixed + task * tasks / workers + workers * (part + byte * traffic(tasks, width, workers))

    def break_even(self, width, workers):
        """The number of tasks from which on workers are faster than one process."""
        (_, task), (part, byte) = self.work[width], self.overhead
        gain_per_task = task * (1 - 1 / workers) - byte * BYTES_PER_TASK
        return workers * (part + byte * traffic(0, width, workers)) / gain_per_task if gain_per_task > 0 else np.inf


# --------------------------------------------------------------------------------------------------------- the tables


def main():
    from tqdm import tqdm

    times, load = {}, os.getloadavg()[0]
    with open_executor("processes:2") as (processes, _), local_dask() as (dask, _):
        executors = {"processes": processes, "dask": dask}
        for tasks, width in tqdm([(tasks, width) for width in WIDTHS for tasks in TASKS], leave=False):
            steps = {(None, None): step(tasks, width)}
            steps |= {(kind, workers): step(tasks, width, executor, workers)
                      for kind, executor in executors.items() for workers in MEASURED}
            times[tasks, width] = {which: min(each) for which, each in measure(steps, SECONDS).items()}

    print(f"Measured on {cpu()}, {os.cpu_count()} cores, load {load:.1f} at the start; python {platform.python_version()}, "
          f"numpy {np.__version__}. One process: ms per step. Workers: how many times as fast, measured with 1 and 2, "
          "in brackets by the model. The last row: from how many tasks on workers are faster, by the model.")
    for kind in executors:
        model = Model(times, kind)
        for width in WIDTHS:
            print(f"\n{kind}, width {width}, {numbers(width):,} parameters\n")
            print("\n".join(table(times, model, kind, width)))
        part, byte = model.overhead
        print(f"\n{kind}: {1e3 * part:.2g} ms for each part of a step, and {1e9 * byte:.2g} ms per megabyte to and fro. "
              f"On two workers, which it was not fitted to, the model is {error(times, model, kind)}.")


@contextmanager
def local_dask():
    """Two workers of a Dask cluster on this machine."""
    from distributed import LocalCluster

    with (LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
          open_executor(f"dask:{cluster.scheduler_address}") as (executor, workers)):
        yield executor, workers


def table(times, model, kind, width):
    yield "| tasks | ms | 1 | 2 | [2] | [4] | [8] |"
    yield "|---|---|---|---|---|---|---|"
    for tasks in TASKS:
        alone, measured = times[tasks, width][None, None], times[tasks, width]
        cells = [f"{1e3 * alone:.3g}", *[f"{alone / measured[kind, workers]:.2f}" for workers in MEASURED],
                 *[f"[{alone / model.time(tasks, width, workers):.2f}]" for workers in (2, *MODELLED)]]
        yield f"| {tasks:,} | {' | '.join(cells)} |"
    needed = [model.break_even(width, workers) for workers in (2, *MODELLED)]
    yield f"| from | | | | {' | '.join([f'[{np.ceil(n):,.0f}]' if np.isfinite(n) else '[never]' for n in needed])} |"


def error(times, model, kind):
    """How far the model is from what was measured with two workers, in per cent of that."""
    off = [100 * (model.time(tasks, width, 2) / measured[kind, 2] - 1) for (tasks, width), measured in times.items()]
    return f"off by {np.median(np.abs(off)):.0f} % (median over the cases) and {max(off, key=abs):+.0f} % (the worst case)"


if __name__ == "__main__":
    restart_on_one_thread()
    main()
