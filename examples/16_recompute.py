"""Recomputing to save memory: MAML through 1 to 50 inner steps, with and without tg.func.checkpoint.

To differentiate through an inner step, everything that was computed inside it is kept until the backward pass comes by.  Under
checkpoint, a step keeps its parameters only, and is computed a second time when its derivative is due: memory for time.  How
good a bargain it is depends on how much lies inside a step, here on the number of support points, beside the parameters.
"""

import tracemalloc
from statistics import median
from time import perf_counter

import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tree import leaves, rebuild, tree_map

TASKS = 5
theta = init_mlp([1, 40, 40, 1], rng=0)


def meta_gradient(batch, steps, recompute):
    def step(params):
        """One inner step of every task."""
        inner = mse_loss(mlp(params, batch.support[0], "tanh"), batch.support[1]).sum()
        gradients = tg.grad(inner, leaves(params), create_graph=True)
        return rebuild(params, [p - 0.01 * g for p, g in zip(leaves(params), gradients, strict=True)])

    if recompute:
        step = tg.func.checkpoint(step)
    params = tree_map(lambda p: tg.broadcast_to(p, shape=(TASKS, *p.shape)), theta)
    for _ in range(steps):
        params = step(params)
    return tg.grad(mse_loss(mlp(params, batch.query[0], "tanh"), batch.query[1]).mean(), leaves(theta))


def megabytes(function, *arguments):
    tracemalloc.start()
    function(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def milliseconds(function, *arguments):
    times = []
    for _ in range(5):
        start = perf_counter()
        function(*arguments)
        times.append(1000 * (perf_counter() - start))
    return median(times)


print("                     peak memory, MB                     time, ms")
print("points   steps   kept  recomputed   ratio     kept  recomputed   ratio")
for points in (10, 100):
    batch = tg.tasks.SineTasks().sample(TASKS, points, 10, rng=0)
    for steps in (1, 2, 5, 10, 20, 50):
        kept, again = (meta_gradient(batch, steps, recompute) for recompute in (False, True))
        for g, expected in zip(again, kept, strict=True):
            np.testing.assert_allclose(g.data, expected.data, rtol=1e-6, atol=1e-9)
        memory, time = ([f(meta_gradient, batch, steps, recompute) for recompute in (False, True)]
                        for f in (megabytes, milliseconds))
        print(f"{points:6}  {steps:6} {memory[0]:6.1f}  {memory[1]:10.1f}  {memory[1] / memory[0]:6.2f}"
              f" {time[0]:8.1f}  {time[1]:10.1f}  {time[1] / time[0]:6.2f}")
