"""Memory stays flat, and nothing waits for the garbage collector: what is not referred to any more is freed at once."""

import gc
import tracemalloc
from contextlib import contextmanager
from functools import partial
from itertools import islice, repeat

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta.tensor import Primitive, call_with_one
from tinygrad_meta.tree import leaves, tree_map

# Bytes that may be more at the end than after warming up.  Python and NumPy keep small blocks for later use; one that was there
# before memory was traced, and is used again, looks like a new one.  That comes to an end, and a leak does not.
ALLOWED = 20_000
BATCH = tg.tasks.SineTasks().sample(n_tasks=2, n_support=3, n_query=3, rng=0)


def loss_fn(params, x, y):
    return tg.nn.mse_loss(tg.nn.mlp(params, x, "tanh"), y)


objective = partial(tg.meta.maml_loss, loss_fn, step_size=0.01)


def network():
    return tg.nn.init_mlp([1, 4, 1], rng=0)


@contextmanager
def collector_off():
    """No garbage collection; what exists already is none of ours."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def leaks(step, times):
    """What is wrong with the memory of a step that is taken many times: nothing, it is to be hoped.

    Python keeps some freed objects for later use, which look like a leak.  A collection gives them back, and says how many
    objects it found that only the collector could free: if none, it had no part in what was freed before.
    """
    with collector_off(), traced() as memory:
        for _ in range(times // 2):
            step()
        found, before = gc.collect(), memory()
        for _ in range(times):
            step()
        found, grown = found + gc.collect(), memory() - before
    return [f"{grown:,} bytes more after {times:,} steps"] * (grown > ALLOWED) + [f"{found:,} objects in cycles"] * (found > 0)


@contextmanager
def traced():
    """A function that says how many bytes Python and NumPy hold of what they have asked for meanwhile."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------------------------------ the steps


def meta_training(eager):
    """A function that takes one step of a training that goes on from call to call."""
    training = tg.meta.train(objective, network(), repeat(BATCH), repeat(0.01), eager=eager)
    return lambda: next(training)


def by_backward():
    """The way of those who come from PyTorch: ``backward()`` and an optimiser."""
    params, optimizer = network(), tg.optim.Adam(0.01)

    def step():
        nonlocal params
        objective(params, BATCH).backward()
        params = optimizer.step(params, tree_map(lambda p: p.grad, params))

    return step


def failing_backward():
    """An exception inside a derivative rule, caught by the caller."""
    x = tg.tensor(np.ones(3), requires_grad=True)

    def rule(g, out, x):
        raise ValueError("on purpose")

    apply = call_with_one(Primitive(identity, [rule]))

    def step():
        y = (apply(x * 2) * x).sum()
        try:
            tg.grad(y, x, create_graph=True)
        except RuntimeError:
            return
        raise AssertionError("the rule was not called")

    return step


def identity(x):
    return x


def refused_input():
    """Errors before anything is computed, and in the middle of an inner loop."""
    x, params = tg.tensor(np.ones(3), requires_grad=True), network()

    def step():
        for attempt in (lambda: x @ np.ones(4), lambda: tg.grad(x, x), lambda: tg.sin("abc"),
                        lambda: objective(params, BATCH._replace(query=(BATCH.query[0], BATCH.query[1][:, :1])))):  # fmt: skip
            with pytest.raises((TypeError, ValueError)):
                attempt()

    return step


def functional():
    x, v = tg.tensor(np.linspace(0, 1, 4), requires_grad=True), tg.tensor(np.ones(4))
    f = lambda x: tg.sum(tg.sin(x) * x)

    def step():
        tg.func.hvp(f, x, v)
        tg.func.jvp(f, (x,), (v,))
        tg.func.jacobian(tg.tanh)(x)
        tg.func.hessian(f)(x)

    return step


def checkpointed():
    inner = tg.func.checkpoint(lambda x: tg.sin(tg.exp(x)))
    x = tg.tensor(np.linspace(0, 1, 4), requires_grad=True)

    def step():
        (g,) = tg.grad(tg.sum(inner(inner(x))), x, create_graph=True)
        tg.grad(tg.sum(g * g), x)

    return step


def checked():
    x = tg.tensor(np.linspace(0.1, 1, 3))

    def step():
        assert tg.gradcheck(tg.tanh, x) and tg.gradgradcheck(tg.tanh, x)

    return step


def drawn_from_tasks():
    images, labels = tg.tasks.drawn_alphabet(6, 3)
    tasks, rng = tg.tasks.ImageTasks(images, labels), np.random.default_rng(0)
    return lambda: tasks.sample(2, ways=3, shots=1, queries=1, rng=rng)


def recorded_anew():
    """A program that is recorded, run and forgotten with the function."""

    def step():
        compiled = tg.compile(lambda x: tg.func.grad(lambda x: tg.sum(tg.sin(x) * x))(x))
        compiled(np.ones(3))

    return step


STEPS = {
    "meta-training, eager": (partial(meta_training, eager=True), 1000),
    "meta-training, compiled": (partial(meta_training, eager=False), 1000),
    "backward() and Adam": (by_backward, 100),
    "an exception in a rule": (failing_backward, 1000),
    "refused input": (refused_input, 200),
    "func": (functional, 50),
    "func.checkpoint": (checkpointed, 50),
    "gradcheck": (checked, 20),
    "image tasks": (drawn_from_tasks, 200),
    "compile": (recorded_anew, 120),
}


@pytest.mark.parametrize("name", STEPS)
def test_memory_is_flat_with_the_garbage_collector_off(name):
    make, times = STEPS[name]
    assert leaks(make(), times) == []


def test_a_leak_would_be_noticed():
    kept = []
    assert "bytes more" in leaks(lambda: kept.append(np.ones(10)), 200)[0]


def test_a_reference_cycle_would_be_noticed():
    def step():
        x = tg.tensor(np.ones(3), requires_grad=True)
        x.grad = x  # refers to itself

    assert any("in cycles" in complaint for complaint in leaks(step, 100))


def test_a_graph_is_freed_with_its_last_result():
    """However large: here, all that two hundred inner steps have computed."""
    params = network()
    with collector_off(), traced() as memory:
        adapted = tg.meta.adapt(loss_fn, params, BATCH.support, 0.01, steps=200)
        held = memory()
        del adapted
        found, left = gc.collect(), memory()
    assert held > 1_000_000 and found == 0 and left < ALLOWED


def test_training_keeps_only_the_latest_parameters():
    """No step remembers the one before, though each is made from it."""
    training = tg.meta.train(objective, network(), repeat(BATCH), repeat(0.01), eager=True)
    for params, _ in islice(training, 3):
        assert all(p.op is None and not p.inputs for p in leaves(params))


def count(quick):
    """For ``python -m tests.reliability``: 10,000 meta-steps of each kind."""
    times, rows = 1_000 if quick else 10_000, []
    for what, names in {
        "meta-steps with flat memory, garbage collector off": [name for name in STEPS if name.startswith("meta")],
        "other steps with flat memory, garbage collector off": [name for name in STEPS if not name.startswith("meta")],
    }.items():
        done = wrong = 0
        for name in names:
            make, few = STEPS[name]
            steps = times if name.startswith("meta") else few * times // 1000
            complaints = leaks(make(), steps)
            print(*[f"{name}: {text}" for text in complaints], sep="\n", end="\n" * bool(complaints))
            done, wrong = done + steps, wrong + steps * bool(complaints)
        rows.append((what, done, wrong))
    return rows
