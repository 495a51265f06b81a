"""Eight threads at once get what one gets, bit for bit; and what leaves a process or is copied arrives whole, or is refused."""

import copy
import multiprocessing
import pickle
import sys
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta.tree import leaves, tree_map

THREADS = 8
BATCHES = [tg.tasks.SineTasks(dtype=np.float32).sample(3, 4, 4, rng=seed) for seed in range(4)]


def loss_fn(params, x, y):
    return tg.nn.mse_loss(tg.nn.mlp(params, x, "tanh"), y)


objective = partial(tg.meta.maml_loss, loss_fn, step_size=0.05)


# ------------------------------------------------------------------------------------------------------- threads
# Each workload takes a seed and returns arrays.  Threads run it with seeds of their own, so that one which got another one's
# numbers would show.


def variable(seed, shape=(5, 4)):
    return tg.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def gradients(seed):
    x = variable(seed)
    (g,) = tg.grad(tg.sin(x * x).sum(), x, create_graph=True)
    (h,) = tg.grad((g * g).sum(), x)
    tg.sum(tg.exp(x)).backward()
    return [g.data, h.data, x.grad.data]


def without_recording(seed):
    x = variable(seed)
    with tg.no_grad():
        inside = [x * 2, tg.func.grad(lambda x: tg.sum(x**3))(x)]
    outside = x * 2
    assert [t.requires_grad for t in (*inside, outside)] == [False, False, True]
    return [t.data for t in (*inside, outside)]


@tg.compile
def compiled(x):
    """One program and its buffers, for all threads."""
    return tg.func.value_and_grad(lambda x: tg.sum(tg.tanh(x @ x.mT)))(x)


def replayed(seed):
    """Of two shapes in turn, so that programs are also recorded while others run."""
    results = [compiled(variable(seed + i, shape)) for i, shape in enumerate([(5, 4), (3, 2)])]
    return [t.data for t in leaves(results)]


def derivatives_of_functions(seed):
    f = lambda x: tg.sum(tg.sin(x) * tg.exp(x))
    x, v = variable(seed), variable(seed + 100)
    found = [tg.func.hvp(f, x, v), tg.func.jvp(f, (x,), (v,)), tg.func.jacobian(tg.tanh)(x[0])]
    return [t.data for t in leaves(found)]


def twenty_sines(x):
    for _ in range(20):
        x = tg.sin(x)
    return x


_, pull_back = tg.func.vjp(twenty_sines, np.linspace(-1, 1, 20).reshape(5, 4))  # one, for all threads


def pulled_back(seed):
    return [pull_back(variable(seed).detach())[0].data for _ in range(50)]


def meta_trained(seed, eager):
    batches = BATCHES[seed % 4 :] + BATCHES[: seed % 4]
    params = tg.nn.init_mlp([1, 6, 1], rng=seed, dtype=np.float32)
    *_, (params, loss) = tg.meta.train(objective, params, batches, [0.01] * 4, eager=eager)
    return [*[p.data for p in leaves(params)], np.float64(loss)]


def scoped(seed):
    """Scopes only name: numbers and results must not depend on what other threads name."""
    x = variable(seed)
    with tg.graph.scope(f"of seed {seed}"):
        y = tg.sum(x * x)
    (g,) = tg.grad(y, x, create_graph=True)
    return [y.data, g.data]


WORKLOADS = {
    "grad": gradients,
    "no_grad": without_recording,
    "compile": replayed,
    "func": derivatives_of_functions,
    "vjp": pulled_back,
    "scope": scoped,
    "train, eager": partial(meta_trained, eager=True),
    "train, compiled": partial(meta_trained, eager=False),
}


@contextmanager
def quick_switches():
    """Let Python change from thread to thread thousands of times more often than it does by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(work, rounds):
    """What threads got for their seeds, in a list; all start each round together."""
    results, barrier = [], threading.Barrier(THREADS)

    def run(seed):
        try:
            for _ in range(rounds):
                barrier.wait()
                results.append((seed, work(seed)))
        except BaseException as error:  # noqa: BLE001  whatever it is, it must not be lost with the thread
            results.append((seed, error))
            barrier.abort()

    threads = [threading.Thread(target=run, args=[seed]) for seed in range(THREADS)]
    with quick_switches():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return results


def wrong_results(work, rounds):
    """The results of threads that are not those of one thread."""
    alone = [work(seed) for seed in range(THREADS)]
    results = at_once(work, rounds)
    assert len(results) == THREADS * rounds or any(isinstance(found, BaseException) for _, found in results)
    return [(seed, found) for seed, found in results if not identical(found, alone[seed])]


def identical(found, expected):
    if isinstance(found, BaseException):
        return False
    return [(a.dtype, a.shape, a.tobytes()) for a in found] == [(a.dtype, a.shape, a.tobytes()) for a in expected]


@pytest.mark.parametrize("name", WORKLOADS)
def test_eight_threads_at_once_get_the_results_of_one(name):
    assert wrong_results(WORKLOADS[name], rounds=3) == []


def test_a_result_of_another_thread_would_be_noticed():
    shared = []

    def careless(seed):
        shared[:] = [variable(seed)]
        threading.Event().wait(0.001)
        return [shared[0].data]

    assert wrong_results(careless, rounds=3)


def test_an_error_in_a_thread_would_be_noticed():
    def failing(seed):
        if threading.current_thread() is not threading.main_thread() and seed == 3:
            raise OSError("lost")
        return [np.zeros(1)]

    found = [error for _, error in wrong_results(failing, rounds=2)]
    assert any(isinstance(error, OSError) for error in found)


def test_no_grad_holds_in_its_own_thread_only():
    inside, outside, seen = threading.Event(), threading.Event(), []

    def other():
        inside.wait()
        seen.append(variable(0).sum().requires_grad)
        outside.set()

    thread = threading.Thread(target=other)
    thread.start()
    with tg.no_grad():
        inside.set()
        outside.wait()
        seen.append(variable(0).sum().requires_grad)
    thread.join()
    assert seen == [True, False]


# --------------------------------------------------------------------------------------------- copies and pickles


def copies_of(value):
    """By every way there is, each protocol of pickle included."""
    ways = [copy.copy, copy.deepcopy]
    ways += [lambda v, protocol=p: pickle.loads(pickle.dumps(v, protocol)) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    return [way(value) for way in ways]


LEAVES = [
    lambda: tg.tensor(3.0, requires_grad=True, name="x"),
    lambda: tg.tensor(np.arange(6.0).reshape(2, 3).T, "float32", requires_grad=True),
    lambda: tg.tensor([[1, 2], [3, 4]]),
    lambda: tg.tensor([True, False]),
    lambda: tg.tensor(np.zeros((0, 3))),
    lambda: tg.tensor([float("nan"), float("-inf"), -0.0]),
    lambda: tg.tensor(2.0, requires_grad=True).detach(),
    lambda: (tg.tensor(2.0, requires_grad=True) * 3).detach(),
    lambda: tg.tensor(2.0) * 3,  # of constants, so it has no graph
]
RESULTS = [
    lambda: tg.tensor(2.0, requires_grad=True) * 3,
    lambda: variable(0)[1],
    lambda: tg.func.grad(tg.sin)(tg.tensor(1.0, requires_grad=True)),
    lambda: tg.meta.adapt(loss_fn, tg.nn.init_mlp([1, 3, 1], rng=0), BATCHES[0].support, 0.1)[0][0],
]


def is_a_leaf_like(copied, original):
    """Same value, dtype, name and wish for a gradient, no graph, and no memory or number in common."""
    same = [(t.data.tobytes(), t.dtype, t.shape, t.requires_grad, t.name) for t in (copied, original)]
    apart = copied is not original and copied.order > original.order and not np.shares_memory(copied.data, original.data)
    return same[0] == same[1] and copied.op is None and copied.inputs == () and copied.grad is None and apart


@pytest.mark.parametrize("make", LEAVES)
def test_a_copied_or_pickled_tensor_is_a_leaf_of_its_own(make):
    original = make()
    assert all(is_a_leaf_like(copied, original) for copied in copies_of(original))


@pytest.mark.parametrize("make", RESULTS)
def test_a_result_is_neither_copied_nor_pickled_with_its_graph(make):
    result = make()
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"a result cannot be copied apart from its graph: detach\(\) it first"):
            way(result)
    for way in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="detach"):
            way({"params": [result]})


def test_structures_of_parameters_arrive_whole():
    params = {"theta": tg.nn.init_mlp([1, 4, 1], rng=0), "step_size": (tg.tensor(0.1, "float32"), [tg.tensor(2)])}
    for copied in copies_of(params)[1:]:  # a shallow copy shares its leaves, and is meant to
        assert all(leaves(tree_map(is_a_leaf_like, copied, params)))
    assert copies_of(params)[0]["theta"] is params["theta"]


def test_a_module_arrives_whole():
    model = tg.nn.MLP([2, 3, 1], "tanh", rng=0)
    for copied in copies_of(model)[1:]:
        assert copied([[1.0, 2.0]]).item() == model([[1.0, 2.0]]).item()
        assert all(is_a_leaf_like(a, b) for a, b in zip(copied.parameters(), model.parameters(), strict=True))


def test_tied_tensors_stay_tied():
    (a, b) = copies_of([tg.tensor(1.0)] * 2)[1]
    assert a is b


def after_two_more_steps(optimizer, params):
    for step in range(2):
        params = optimizer.step(params, tree_map(lambda p, step=step: np.cos(p.data + step), params))
    return [p.data.tobytes() for p in leaves(params)]


@pytest.mark.parametrize("make", [lambda: tg.optim.SGD(0.1, momentum=0.9), lambda: tg.optim.Adam(0.1)], ids=["SGD", "Adam"])
def test_an_optimizer_goes_on_where_it_was(make):
    optimizer, params = make(), {"w": [variable(0), variable(1, (3,))]}
    params = optimizer.step(params, tree_map(lambda p: p.data, params))
    others = [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]
    continued = [after_two_more_steps(way(optimizer), params) for way in others]
    expected = after_two_more_steps(optimizer, params)
    assert all(found == expected for found in continued)
    assert after_two_more_steps(make(), params) != expected  # the sums matter, so they were not lost


# -------------------------------------------------------------------------------------------------- another process


def in_another_process(params, optimizer, batch):
    """Two steps of meta-training, as a worker would do them."""
    training = tg.meta.train(objective, params, [batch] * 2, [0.01] * 2)
    *_, (trained, loss) = training
    stepped = optimizer.step(params, tree_map(lambda p: np.sin(p.data), params))
    return trained, loss, stepped, optimizer


def test_what_another_process_gets_and_returns_is_the_same():
    params, optimizer = tg.nn.init_mlp([1, 6, 1], rng=0, dtype=np.float32), tg.optim.Adam(0.01)
    params = optimizer.step(params, tree_map(lambda p: p.data, params))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(in_another_process, (params, optimizer, BATCHES[0]))
    here = in_another_process(params, optimizer, BATCHES[0])
    assert there[1] == here[1] and there[3].steps == here[3].steps
    for a, b in zip(leaves([there[0], there[2], there[3].state]), leaves([here[0], here[2], here[3].state]), strict=True):
        assert (a.dtype, a.shape, a.data.tobytes()) == (b.dtype, b.shape, b.data.tobytes())


# ---------------------------------------------------------------------------------------------------------- counts


def count(quick):
    """For ``python -m tests.reliability``."""
    from tqdm import tqdm

    rounds, wrong = 10 if quick else 100, 0
    for name, work in tqdm(WORKLOADS.items(), desc="threads", leave=False):
        differing = wrong_results(work, rounds)
        for seed, found in differing[:3]:
            print(f"{name}, in the thread with seed {seed}: {found!r}")
        wrong += len(differing)
    return [("results from 8 threads at once", len(WORKLOADS) * THREADS * rounds, wrong), pickles(200 if quick else 2000)]


def pickles(times):
    """Random tensors, half of them results, which must be refused."""
    from tqdm import tqdm

    wrong = 0
    for seed in tqdm(range(times), desc="pickles", leave=False):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers(0, 4, rng.integers(0, 4)))
        array = rng.standard_normal(shape).astype(rng.choice(["f2", "f4", "f8"]))
        x = tg.tensor(array, requires_grad=bool(rng.integers(2)), name=rng.choice([None, "x"]))
        if seed % 2:
            right = all(is_a_leaf_like(copied, x) for copied in copies_of(x))
        else:
            x.requires_grad = True
            right = is_refused(tg.sin(x))
        if not right:
            print(f"with seed {seed}: {x!r}")
        wrong += not right
    return "tensors pickled or refused", times, wrong


def is_refused(result):
    try:
        pickle.dumps(result)
    except TypeError as error:
        return "detach() it first" in str(error)
    return False
