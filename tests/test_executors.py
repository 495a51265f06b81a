"""Training on threads, processes and a Dask cluster: the results of one process, and nothing lost when workers are killed."""

import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta import meta, nn
from tinygrad_meta.meta import parallel
from tinygrad_meta.meta.parallel import MOST_PER_PROCESSOR, ONE_THREAD, PROGRAMS, open_executor, spread
from tinygrad_meta.optim import as_vector
from tinygrad_meta.tree import leaves

STEPS, LONG = 3, 40


def loss_fn(params, x, y):
    return nn.mse_loss(nn.mlp(params, x, "tanh"), y)


second_order = partial(meta.maml_loss, loss_fn, step_size=0.01)
first_order = partial(second_order, first_order=True)


def steps_of(objective, executor, workers, eager=False, dtype="float64", steps=STEPS, batches=None):
    batches = batches or [tg.tasks.SineTasks(dtype=dtype).sample(7, 5, 5, seed) for seed in range(steps)]
    return meta.train(objective, nn.init_mlp([1, 8, 8, 1], rng=0, dtype=dtype), batches, [0.01] * steps, eager=eager,
                      executor=executor, workers=workers)


def train(executor=None, workers=None, objective=second_order, after=None, **options):
    """The losses, and the parameters at the end."""
    losses = []
    for params, loss in steps_of(objective, executor, workers, **options):
        losses.append(loss)
        if after:
            after(len(losses))
    return losses, as_vector(leaves(params)).numpy()


def assert_close(trained, expected, rtol=1e-9):
    for got, wanted in zip(trained, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol)


def same_bits(trained, expected):
    return trained[0] == expected[0] and np.array_equal(trained[1], expected[1])


class Inline(Executor):
    """Computes at once, in this process, after what a test has to say about the job."""

    def __init__(self, before=lambda *job: None):
        self.before = before

    def submit(self, function, /, *job):
        future = Future()
        try:
            self.before(*job)
            future.set_result(function(*job))
        except CancelledError:
            future.cancel()
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def processes():
    with open_executor("processes:2") as (executor, workers):
        assert workers == 2
        yield executor


# ---------------------------------------------------------------------------------------------------- equal results


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("objective", [second_order, first_order])
@pytest.mark.parametrize("eager", [True, False])
def test_threads_give_the_result_of_one_process(objective, eager, workers):
    with ThreadPoolExecutor(min(workers, 4)) as executor:
        assert_close(train(executor, workers, objective, eager=eager), train(objective=objective, eager=eager))


@pytest.mark.parametrize("workers", [1, 2, 40])
def test_processes_give_the_result_of_one_process(processes, workers):
    assert_close(train(processes, workers), train())


@pytest.mark.parametrize("objective, eager", [(second_order, True), (first_order, False), (first_order, True)])
def test_processes_take_every_objective(processes, objective, eager):
    assert_close(train(processes, 2, objective, eager=eager), train(objective=objective, eager=eager))


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_parts_decides_the_last_bit_and_not_who_computes_them(processes, workers):
    with ThreadPoolExecutor(3) as threads:
        expected = train(Inline(), workers)
        assert same_bits(train(threads, workers), expected) and same_bits(train(processes, workers), expected)


def test_float32_stays_float32(processes):
    trained = train(processes, 3, dtype="float32")
    assert trained[1].dtype == np.float32
    assert_close(trained, train(dtype="float32"), rtol=1e-4)


def test_one_executor_serves_trainings_that_take_turns(processes):
    runs = [steps_of(objective, processes, 2) for objective in (second_order, first_order)]
    by_turns = zip(*[[loss for _, loss in states] for states in zip(*runs, strict=True)], strict=True)
    for objective, losses in zip((second_order, first_order), by_turns, strict=True):
        assert list(losses) == train(Inline(), 2, objective)[0]


def test_a_loss_that_is_not_finite_is_blamed_on_its_task(processes):
    batch = tg.tasks.SineTasks().sample(7, 5, 5, 0)
    batch.query[1][4] = np.inf
    with np.errstate(invalid="ignore"), pytest.raises(meta.Diverged, match="task 4") as caught:
        train(processes, 2, batches=[batch])
    assert (caught.value.iteration, caught.value.task) == (1, 4)


def test_entries_of_a_batch_may_be_none():
    batches = [tg.tasks.SineTasks().sample(7, 5, 5, 0)._replace(amplitude=None)]
    assert_close(train(Inline(), 2, batches=batches), train(batches=batches))


# --------------------------------------------------------------------------------------------------- what is sent


def test_the_program_is_sent_once_and_a_step_is_little_more_than_parameters_and_tasks():
    sent = []
    train(Inline(lambda key, program, theta, part: sent.append((program is not None, len(pickle.dumps((key, theta, part)))))),
          workers=2, batches=[tg.tasks.SineTasks().sample(6, 5, 5, seed) for seed in range(STEPS)])
    assert [with_program for with_program, _ in sent] == [False, False, True, True] + [False, False] * (STEPS - 1)
    size = 8 * (sum([p.size for p in nn.init_mlp([1, 8, 8, 1]) for p in leaves(p)]) + 3 * (4 * 5 + 2))
    assert all([size <= bytes_sent < size + 1000 for _, bytes_sent in sent])


def test_a_worker_that_has_forgotten_is_sent_the_program_again():
    sent = []
    forget = lambda step: vars(parallel.known).clear()
    expected = train(Inline(), 1)
    assert same_bits(train(Inline(lambda key, program, *job: sent.append(program is not None)), 1, after=forget), expected)
    assert sent == [False, True] * STEPS


def test_a_worker_remembers_a_bounded_number_of_programs():
    vars(parallel.known).clear()
    mean = lambda theta, batch: (tg.mean(theta * batch), tg.mean(batch, axis=0))
    for _ in range(PROGRAMS + 5):
        spread(mean, Inline(), 1)(tg.tensor([1.0]), np.ones((3, 1)))
    assert len(vars(parallel.known)) == PROGRAMS


def test_workers_replay_unless_told_not_to():
    calls = []

    def counted(params, batch):
        calls.append(len(batch.support[0]))
        return second_order(params, batch)

    with ThreadPoolExecutor(1) as executor:
        train(executor, 1, counted, steps=5)
        assert calls == [1, 1, 2, 7, 7]  # two tasks held against each other, then recorded, twice
        calls.clear()
        train(executor, 1, counted, eager=True, steps=5)
        assert calls == [1, 1, 2, 7, 7, 7, 7, 7]


# -------------------------------------------------------------------------------------------------------- failure


def fail_at(job, error):
    """An executor whose job of that number, and every third one after it, fails."""
    count = iter(range(10**6))

    def before(*_):
        i = next(count)
        if i >= job and (i - job) % 3 == 0:
            raise error

    return Inline(before)


@pytest.mark.parametrize("eager, job, error", [(True, i, error) for i, error in enumerate([
    BrokenProcessPool("died"), CancelledError(), OSError(), KeyboardInterrupt(), SystemExit(1)])] + [(False, 4, MemoryError())])
def test_a_part_whose_worker_fails_is_computed_here_and_said_once(eager, job, error):
    with pytest.warns(RuntimeWarning, match=f"a worker failed \\({type(error).__name__}.*nothing is lost") as caught:
        trained = train(fail_at(job, error), 2, eager=eager, steps=5)
    assert len(caught) == 1 and same_bits(trained, train(Inline(), 2, eager=eager, steps=5))


def test_a_closed_executor_leaves_all_to_this_process():
    executor = ThreadPoolExecutor(2)
    executor.shutdown()
    with pytest.warns(RuntimeWarning, match="cannot schedule new futures after shutdown") as caught:
        assert same_bits(train(executor, 2), train(Inline(), 2))
    assert len(caught) == 1


def at_fault(parent, params, batch):
    if os.getpid() != parent:
        raise KeyError("only elsewhere")
    raise ZeroDivisionError("an objective at fault")


def test_an_objective_at_fault_raises_its_own_error_with_its_own_traceback(processes):
    with pytest.raises(ZeroDivisionError, match="an objective at fault") as caught:
        train(processes, 2, partial(at_fault, os.getpid()))
    assert caught.traceback[-1].name == "at_fault"


def deadly(folder, parent, params, batch):
    """MAML; but the first worker that finds a certain file kills itself, in the middle of its step."""
    loss = second_order(params, batch)
    if os.getpid() != parent:
        with suppress(FileNotFoundError):
            Path(folder, "kill").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    return loss


@contextmanager
def killers():
    """An objective that can kill its workers, and a function that has it kill one of them in the next step."""
    with TemporaryDirectory() as folder:
        yield partial(deadly, folder, os.getpid()), lambda: Path(folder, "kill").touch()
        assert not list(Path(folder).iterdir()), "nobody was killed"


def killed_inside(executor, step):
    with killers() as (objective, kill):
        return train(executor, 2, objective, eager=True, steps=4, after=lambda done: kill() if done == step - 1 else None)


def test_a_process_killed_in_the_middle_of_a_step_loses_nothing():
    with killers() as (objective, kill), open_executor("processes:2") as (executor, _):
        before = set(executor.pool._processes)
        with pytest.warns(RuntimeWarning, match="BrokenProcessPool") as caught:
            trained = train(executor, 2, objective, eager=True, steps=5, after=lambda step: kill() if step in (1, 3) else None)
        assert len(caught) == 1 and same_bits(trained, train(Inline(), 2, eager=True, steps=5))
        assert before.isdisjoint(executor.pool._processes) and executor.submit(os.getpid).result() != os.getpid()


def test_a_process_killed_while_it_replays_or_waits_loses_nothing(processes):
    def kill(step):
        if step == 2:
            os.kill(next(iter(processes.pool._processes)), signal.SIGKILL)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a process that is found dead in time is replaced without a word
        assert same_bits(train(processes, 2, steps=5, after=kill), train(Inline(), 2, steps=5))


def test_training_goes_on_here_when_a_pool_of_the_standard_library_is_broken():
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        with pytest.warns(RuntimeWarning, match="BrokenProcessPool") as caught:
            trained = killed_inside(executor, step=2)
        assert len(caught) == 1 and same_bits(trained, train(Inline(), 2, eager=True, steps=4))


# ------------------------------------------------------------------------------------------------------ bad input


class Unpicklable:
    def __call__(self, params, batch):
        return second_order(params, batch)

    def __reduce__(self):
        raise TypeError("cannot pickle a lock, say")


def test_lambdas_are_sent_where_cloudpickle_is_installed(processes):
    pytest.importorskip("cloudpickle")
    assert same_bits(train(processes, 2, lambda params, batch: second_order(params, batch)), train(Inline(), 2))


@pytest.mark.parametrize("objective", [Unpicklable(), lambda params, batch: second_order(params, batch)])
def test_without_it_what_cannot_be_pickled_is_refused_before_the_first_step(objective, monkeypatch, processes):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(TypeError, match="cannot be sent to workers .*top level of a module, .* functools.partial"):
        train(processes, 2, objective)
    with ThreadPoolExecutor(2) as threads:
        assert same_bits(train(threads, 2, objective), train(Inline(), 2))  # to whom nothing is sent


def total(params, batch):
    return len(batch.support[0]) * second_order(params, batch)


@pytest.mark.parametrize("options, error, message", [
    ({"executor": "processes:2"}, TypeError, "of type str: open_executor makes one"),
    ({"workers": 0}, ValueError, "workers must be a whole number, at least 1, and is 0"),
    ({"objective": total}, ValueError, "must be a mean over tasks"),
])  # fmt: skip
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        train(**{"executor": Inline(), "workers": 2} | options)


def test_a_mean_over_tasks_that_see_each_other_is_noticed_even_where_the_losses_agree():
    def centred(theta, batch):
        """The tasks' mean is taken off, which for these tasks changes the gradient, and not the loss."""
        away = theta * batch - tg.mean(theta * batch, axis=0)
        return tg.mean(away * away) * 0 + 1, tg.sum(away * batch, axis=0)

    with pytest.raises(ValueError, match="the gradient, by its length, of this one is 0 for the first task, 0 for the second"):
        spread(centred, Inline(), 2)(tg.tensor([1.0]), np.array([[1.0], [3.0]]))


def test_a_mean_over_tasks_is_asked_for_also_after_a_batch_of_one():
    total = spread(lambda theta, batch: (tg.sum((theta - batch) ** 2), tg.sum(2 * (theta - batch), axis=0)), Inline(), 2)
    total(tg.tensor([1.0]), np.array([[2.0]]))
    with pytest.raises(ValueError, match="must be a mean over tasks"):
        total(tg.tensor([1.0]), np.array([[2.0], [3.0]]))


@pytest.mark.parametrize("shapes, named", [([(3, 1), (2, 1)], r"\(3, 1\), \(2, 1\)"), ([(3, 1), ()], r"\(3, 1\), \(\)"),
                                           ([(0, 1)], r"\(0, 1\)"), ([], "no arrays")])
def test_batches_that_cannot_be_split(shapes, named):
    with pytest.raises(ValueError, match=f"the tasks, at least one, as its first axis.*{named}"):
        spread(second_order, Inline(), 2)(tg.tensor([1.0]), [np.ones(shape) for shape in shapes])


def refused(text, message):
    with pytest.raises(ValueError, match=message), open_executor(text):
        pass


@pytest.mark.parametrize("text", ["", "processes", "processes:", "processes:0", "processes:-1", "processes:two",
                                  "processes:2.0", "processes:2:2", "threads:2", "dask", "dask:", "dask:localhost",
                                  "dask:tcp://localhost"])
def test_texts_that_name_no_executor(text):
    refused(text, f"written processes:N.* dask:tcp://host:port, and not '{text}'")


def test_more_processes_than_a_machine_has_use_for_are_refused_before_any_is_started(monkeypatch):
    started, most = [], MOST_PER_PROCESSOR * os.cpu_count()
    monkeypatch.setattr(parallel, "start", started.append)
    monkeypatch.setattr(parallel, "stop", lambda pool: None)
    with open_executor(f"processes:{most}") as (_, workers):
        assert workers == most
    refused(f"processes:{most + 1}", f"at most {MOST_PER_PROCESSOR} for each processor")
    assert started == [most]


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused("dask:tcp://localhost:1", r"pip install tinygrad_meta\[distributed\]")


# ------------------------------------------------------------------------------------------------ our own processes


def test_processes_have_one_thread_for_blas_and_this_process_keeps_its_environment(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    before = dict(os.environ)
    with open_executor("processes:1") as (executor, _):
        assert {name: executor.submit(os.getenv, name).result() for name in ONE_THREAD} == ONE_THREAD
        assert dict(os.environ) == before


def test_processes_ignore_ctrl_c(processes):
    pids = set(processes.pool._processes)
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    assert {processes.submit(os.getpid).result() for _ in range(9)} <= pids == set(processes.pool._processes)


def script(text, folder):
    """What a program prints and what it complains of.  Its processes are a group, as if started from a terminal."""
    file = folder / "script.py"
    file.write_text(textwrap.dedent(text))
    command = [sys.executable, file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, start_new_session=True, check=False)
    return done.stdout, done.stderr


def test_ctrl_c_ends_the_program_at_once_and_quietly(tmp_path):
    assert script("""
        import os, signal, threading, time
        from tinygrad_meta.meta.parallel import open_executor

        if __name__ == "__main__":
            signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
            start = time.monotonic()
            try:
                with open_executor("processes:2") as (executor, _):
                    pids = list(executor.pool._processes)
                    threading.Timer(0.2, os.killpg, (0, signal.SIGINT)).start()
                    executor.submit(time.sleep, 1000).result()
            except KeyboardInterrupt:
                print("interrupted", time.monotonic() - start < 15, [os.path.exists(f"/proc/{pid}") for pid in pids])
        """, tmp_path) == ("interrupted True [False, False]\n", "")


def test_workers_end_with_a_program_that_is_killed(tmp_path):
    printed, _ = script("""
        import os, signal
        from tinygrad_meta.meta.parallel import open_executor

        if __name__ == "__main__":
            with open_executor("processes:2") as (executor, _):
                print(*executor.pool._processes, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        """, tmp_path)  # which waits until nobody can print any more, workers included
    assert len(printed.split()) == 2


def test_a_program_that_would_start_itself_again_is_told_how_not_to(tmp_path):
    printed, complaints = script("""
        from tinygrad_meta.meta.parallel import open_executor

        with open_executor("processes:1"):
            print("not reached")
        """, tmp_path)
    assert printed == ""
    assert complaints.splitlines()[-1].endswith("must therefore start its work under if __name__ == '__main__':")


# ------------------------------------------------------------------------------------------------------------ Dask


@contextmanager
def local_cluster(workers=2):
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster:
        yield cluster


@contextmanager
def dask_executor(cluster):
    with open_executor(f"dask:{cluster.scheduler_address}") as (executor, workers):
        assert workers == 2
        yield executor


@pytest.fixture(scope="module")
def dask():
    pytest.importorskip("distributed")
    with local_cluster() as cluster, dask_executor(cluster) as executor:
        yield executor


def test_dask_gives_the_result_of_one_process(dask):
    trained = train(dask, 3)
    assert_close(trained, train())
    assert same_bits(trained, train(Inline(), 3))


def test_dask_takes_lambdas(dask):
    assert same_bits(train(dask, 2, lambda params, batch: second_order(params, batch)), train(Inline(), 2))


def test_what_a_dask_worker_was_computing_when_killed_is_given_to_another(dask):
    assert same_bits(killed_inside(dask, step=3), train(Inline(), 2, eager=True, steps=4))


def test_a_part_that_dask_gives_up_is_computed_here():
    pytest.importorskip("distributed")
    with local_cluster() as cluster, dask_executor(cluster) as executor:
        cluster.scheduler.allowed_failures = 0
        with pytest.warns(RuntimeWarning, match="KilledWorker") as caught:
            trained = killed_inside(executor, step=3)
    assert len(caught) == 1 and same_bits(trained, train(Inline(), 2, eager=True, steps=4))


def test_a_scheduler_without_workers_is_refused():
    pytest.importorskip("distributed")
    with local_cluster(workers=0) as empty:
        refused(f"dask:{empty.scheduler_address}", "has no workers yet: start some with dask worker tcp://")


def test_a_scheduler_that_cannot_be_reached_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(parallel, "TIMEOUT", 0.5)
    refused("dask:tcp://127.0.0.1:1", "no Dask scheduler to be reached at tcp://127.0.0.1:1")


# ----------------------------------------------------------------------------------------------------------- counts


def count(quick):
    """Kill workers of a process pool and of a Dask cluster in the middle of their steps, and at moments that nobody chose."""
    from tqdm import tqdm

    each = 4 if quick else 40
    expected = {steps: train(Inline(), 2, eager=steps == 4, steps=steps) for steps in (4, LONG)}
    wrong = []
    with tqdm(total=3 * each, desc="workers killed") as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)

        def hold(what, trained):
            bar.update()
            if not same_bits(trained, expected[len(trained[0])]):
                wrong.append(what)
                bar.write(f"{what}: {trained[0]} instead of {expected[len(trained[0])][0]}", file=sys.stderr)

        with open_executor("processes:2") as (executor, _):
            for i in range(each):
                hold(f"process killed in step {2 + i % 3}", killed_inside(executor, 2 + i % 3))
            for i in range(each):
                hold(f"process killed at a random moment, seed {i}", killed_outside(executor, random.Random(i)))
        for i in range(each):
            with local_cluster() as cluster, dask_executor(cluster) as executor:
                cluster.scheduler.allowed_failures = i % 2  # a part is given up by Dask, or given to the other worker
                hold(f"Dask worker killed in step {2 + i % 3}", killed_inside(executor, 2 + i % 3))
    return [("workers killed in the middle of a step, nothing lost", 3 * each, len(wrong))]


def killed_outside(executor, rng):
    """Killed by a thread of this process, some time after the second step has begun."""

    def kill():
        time.sleep(rng.uniform(0, 0.03))
        os.kill(rng.choice(sorted(executor.pool._processes)), signal.SIGKILL)

    def after(done):
        if done == 1:
            thread.start()
        assert done < LONG or not thread.is_alive(), "the kill came too late"

    thread = threading.Thread(target=kill)
    return train(executor, 2, steps=LONG, after=after)
