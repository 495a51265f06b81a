"""One batch of tasks on many processes or machines.

Tasks know nothing of each other until their gradients are averaged.  So a batch can be split, each part sent to where there
is time for it, and the results, weighted by how many tasks they stand for, added up.

In every step, a worker is sent the vector of parameters and its part of the batch, and returns a loss and a gradient.  The
function that computes them, the *program*, is sent only to a worker that does not know it: jobs name it by a key, and a worker
that has not seen the key says so.
"""

import os
import pickle
import re
import threading
from contextlib import contextmanager
from itertools import pairwise
from warnings import warn

import numpy as np

from ..graph import compile
from ..tensor import as_tensor
from ..tree import leaves, tree_map
from ..validate import function, whole


def spread(gradient_of, executor, workers=None, eager=False):
    """The same function ``(theta, batch) -> loss, gradient``, computed by the workers of an executor.

    The result depends on the number of parts that a batch is split into, by rounding, and not on who computes which.  A part
    whose worker fails, for whatever reason, is computed in this process.

    Parameters
    ----------
    gradient_of : function ``(theta, batch) -> loss, gradient``
        Both are means over the tasks of the batch.
    executor : concurrent.futures.Executor
        From :func:`open_executor`, or any other.
    workers : int, optional
        How many parts to make of a batch, if it has as many tasks; the number of processors of this machine unless given.
    eager : bool
        Do not compile ``gradient_of`` where it is computed.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import tinygrad_meta as tg
    >>> distance = lambda theta, batch: (tg.mean((theta - batch) ** 2), tg.mean(2 * (theta - batch), axis=0))
    >>> with ThreadPoolExecutor(2) as executor:
    ...     spread(distance, executor, workers=2)(tg.tensor([1.0]), np.array([[2.0], [3.0], [7.0]]))
    [Tensor(13.666666666666666, dtype=float64), Tensor([-6.], dtype=float64)]
    """
    if not hasattr(executor, "submit"):
        raise TypeError(f"an executor is a concurrent.futures.Executor, and this one is of type {type(executor).__name__}: "
                        "open_executor makes one from a text such as 'processes:2'")
    function("gradient_of", gradient_of)
    workers = whole("workers", os.cpu_count() if workers is None else workers, least=1)
    key, program = os.urandom(16), portable((gradient_of, eager), executor)
    compute_here = gradient_of if eager else compile(gradient_of)
    checked, failures = [], []

    def loss_and_gradient(theta, batch):
        parts = split_batch(batch, workers)
        if not checked and count_tasks(batch) > 1:
            check_mean(gradient_of, theta, batch)
            checked.append(True)
        jobs = [(theta.data, part) for part in parts]
        answers = ask(jobs)
        unknown = [i for i, answer in enumerate(answers) if answer is None]
        for i, answer in zip(unknown, ask([jobs[i] for i in unknown], program), strict=True):
            answers[i] = answer
        return [as_tensor(average(each, parts)) for each in zip(*answers, strict=True)]

    def ask(jobs, program=None):
        """A loss and a gradient for each job, or ``None`` from workers that do not know the program."""
        futures = [submit(key, program, *job) for job in jobs]
        return [wait_for(future, *job) for future, job in zip(futures, jobs, strict=True)]

    def submit(*job):
        from concurrent.futures import Future

        try:
            return executor.submit(compute, *job)
        except Exception as error:  # it has been shut down, for instance
            future = Future()
            future.set_exception(error)
            return future

    def wait_for(future, theta, part):
        error = failure(future)
        if error is None:
            return future.result()
        loss, gradient = compute_here(as_tensor(theta), part)  # raises the error once more if the program is at fault
        if not failures:
            reason = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
            warn(f"a worker failed ({reason}), and its part of the batch was computed in this process instead: nothing is "
                 "lost, and further failures in this training are not announced", RuntimeWarning, stacklevel=2)
        failures.append(error)
        return loss.data, gradient.data

    return loss_and_gradient


def portable(program, executor):
    """Something that stands for the program wherever the executor's workers are."""
    from concurrent.futures import ThreadPoolExecutor

    if isinstance(executor, ThreadPoolExecutor):
        return program
    try:
        from cloudpickle import dumps  # comes with Dask, and pickles functions wherever they are defined
    except ImportError:
        from pickle import dumps
    try:
        return dumps(program)
    except Exception as error:
        raise TypeError(f"the objective or its parameters cannot be sent to workers ({error}): make the objective of functions "
                        "defined at the top level of a module, and fill in their arguments with functools.partial") from error


PROGRAMS = 16  # that a worker remembers; the oldest is forgotten first
known = threading.local()  # in the worker, by key: a compiled program serves one thread at a time


def compute(key, program, theta, part):
    """What a worker does.  ``None`` says that it does not know the program and was not sent it."""
    programs = vars(known)
    if key not in programs:
        if program is None:
            return None
        gradient_of, eager = pickle.loads(program) if isinstance(program, bytes) else program
        programs[key] = gradient_of if eager else compile(gradient_of)
        if len(programs) > PROGRAMS:
            del programs[next(iter(programs))]
    loss, gradient = programs[key](as_tensor(theta), part)
    return loss.data, gradient.data


def failure(future):
    """The exception that a future ends with, or ``None``.  What is raised here while waiting, as by Ctrl-C, is not caught."""
    from concurrent.futures import CancelledError

    try:
        return future.exception()
    except CancelledError as error:
        return error


def average(values, parts):
    """The mean over all tasks of values that are means over the tasks of each part."""
    tasks = [count_tasks(part) for part in parts]
    return sum([np.multiply(value, n / sum(tasks), dtype=value.dtype) for value, n in zip(values, tasks, strict=True)])


# Batches.  ``None`` may stand where there could be an array of one entry per task.


def count_tasks(batch):
    """How many tasks a batch holds."""
    return len(next(a for a in leaves(batch) if a is not None))


def part(batch, start, end):
    """Some tasks of a batch."""
    return tree_map(lambda a: None if a is None else a[start:end], batch)


def split_batch(batch, most):
    """Parts of nearly the same number of tasks: as many as asked for, unless there are fewer tasks."""
    shapes = [np.shape(a) for a in leaves(batch) if a is not None]
    if len({shape[:1] for shape in shapes}) != 1 or not all([shape and shape[0] for shape in shapes]):
        found = f"arrays of the shapes {', '.join(map(str, shapes))}" if shapes else "no arrays"
        raise ValueError("a batch can be split if each of its arrays has the tasks, at least one, as its first axis, "
                         f"and this one has {found}")
    tasks = count_tasks(batch)
    ends = np.linspace(0, tasks, min(most, tasks) + 1).round().astype(int)
    return [part(batch, start, end) for start, end in pairwise(ends)]


def check_mean(gradient_of, theta, batch):
    """Raise a ValueError if loss or gradient of the first two tasks is not the mean of those of each."""
    answers = [gradient_of(theta, part(batch, *ends)) for ends in ((0, 1), (1, 2), (0, 2))]
    for what, values in zip(("loss", "gradient, by its length,"), zip(*answers, strict=True), strict=True):
        first, second, both = (value.data.astype(float) for value in values)
        size = max(np.linalg.norm(first), np.linalg.norm(second))
        if np.linalg.norm(both - (first + second) / 2) > 1e-3 * size:  # and not if any is nan: that is somebody else's to say
            one, other, together = map(np.linalg.norm, (first, second, both))
            raise ValueError("an objective that is split over workers must be a mean over tasks, each on its own, and the "
                             f"{what} of this one is {one:.6g} for the first task, {other:.6g} for the second and "
                             f"{together:.6g} for both")


# Executors.

MOST_PER_PROCESSOR = 16  # processes: beyond one they only share its time, and each has Python and NumPy in memory
ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"], "1")


@contextmanager
def open_executor(text):
    """Where to compute, as it is written on the command line: an executor and its number of workers, while the context lasts.

    Parameters
    ----------
    text : str
        ``"processes:2"`` for two processes on this machine (at most 16 for each of its processors), which are replaced should
        they die, or ``"dask:tcp://host:port"`` for the workers of a Dask scheduler, one for each of their threads.

    Raises
    ------
    ValueError
        If the text is neither, or Dask is not installed, cannot be reached or has no workers.

    Examples
    --------
    >>> with open_executor("processes:2") as (executor, workers):
    ...     workers, executor.submit(sum, [1, 2]).result()
    (2, 3)
    """
    kind, _, where = str(text).partition(":")
    if kind == "processes" and where.isdecimal() and 0 < int(where) <= MOST_PER_PROCESSOR * os.cpu_count():
        opened = processes(int(where))
    elif kind == "dask" and re.fullmatch(r"(tcp|tls)://.+:\d+", where):
        opened = dask(where)
    else:
        raise ValueError("an executor is written processes:N, for N processes, at least one and at most "
                         f"{MOST_PER_PROCESSOR} for each processor of this machine, or dask:tcp://host:port, and not {text!r}")
    with opened as (executor, workers):
        yield executor, workers


@contextmanager
def processes(workers):
    pool = ProcessPool(workers)
    try:
        yield pool, workers
    finally:
        pool.shutdown()


class ProcessPool:
    """An executor of processes that starts new ones if the old ones have died."""

    def __init__(self, workers):
        self.workers, self.pool = workers, start(workers)

    def submit(self, function, /, *args, **options):
        from concurrent.futures import BrokenExecutor

        try:
            return self.pool.submit(function, *args, **options)
        except BrokenExecutor:
            self.shutdown()
            self.pool = start(self.workers)
            return self.pool.submit(function, *args, **options)

    def shutdown(self):
        stop(self.pool)


def start(workers):
    """A pool whose processes all run already, so that none is started later with another environment."""
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(workers, get_context("spawn"), end_with_the_program)
    try:
        with inherited():
            started = [pool.submit(os.getpid) for _ in range(workers)]
        for each in started:
            each.result()
    except BaseException as error:
        stop(pool)
        if not isinstance(error, BrokenExecutor):
            raise
        raise RuntimeError("the worker processes ended as soon as they were started. Each of them imports the program's main "
                           "file, which must therefore start its work under if __name__ == '__main__':") from None
    return pool


def end_with_the_program():
    """In a worker: do not outlive the training process, which may be killed before it can end its workers."""
    from multiprocessing import parent_process

    def wait():
        parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def inherited():
    """What worker processes inherit: one thread for BLAS, which asks when NumPy is imported, and no ear for Ctrl-C."""
    import signal

    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def stop(pool):
    """End a pool at once.  What its processes may still be computing is of no use to anybody."""
    processes, thread, jobs = dict(pool._processes or {}), pool._executor_manager_thread, pool._call_queue
    for process in processes.values():
        process.terminate()
    pool.shutdown(wait=False, cancel_futures=True)
    if thread is not None:
        thread.join(timeout=1)
        if thread.is_alive():  # it waits for a job to be sent to processes that have ended: before Python 3.11.5, for ever
            jobs._reader.close()
            thread.join()


TIMEOUT = 5  # seconds in which a scheduler must answer


@contextmanager
def dask(address):
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("dask needs one more package: pip install tinygrad_meta[distributed]") from None
    try:
        client = Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # the last where tls has no certificates
        raise ValueError(f"there is no Dask scheduler to be reached at {address}: {error}") from error
    try:
        workers = sum(client.nthreads().values())
        if not workers:
            raise ValueError(f"the Dask scheduler at {address} has no workers yet: start some with dask worker {address}")
        yield client.get_executor(pure=False), workers
    finally:
        client.close()
