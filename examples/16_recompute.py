"""
Recomputing to save memory
==========================

To differentiate through an inner step, everything that was computed inside it is kept until
the backward pass comes by.  Under ``tg.func.checkpoint``, a step keeps its parameters only,
and is computed a second time when its derivative is due: memory for time.  How good a
bargain it is depends on how much lies inside a step, here on the number of support points,
beside the parameters.
"""

import tracemalloc
from pathlib import Path
from statistics import median
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tree import leaves, rebuild, tree_map

TASKS, theta = 5, init_mlp([1, 40, 40, 1], rng=0)


def meta_gradient(batch, steps, recompute):
    def step(params):
        inner = mse_loss(mlp(params, batch.support[0], "tanh"), batch.support[1]).sum()
        gradients = tg.grad(inner, leaves(params), create_graph=True)
        return rebuild(params, [p - 0.01 * g for p, g in zip(leaves(params), gradients)])

    params = tree_map(lambda p: tg.broadcast_to(p, shape=(TASKS, *p.shape)), theta)
    for _ in range(steps):
        params = tg.func.checkpoint(step)(params) if recompute else step(params)
    query_loss = mse_loss(mlp(params, batch.query[0], "tanh"), batch.query[1]).mean()
    return tg.grad(query_loss, leaves(theta))


def megabytes(*arguments):
    tracemalloc.start()
    meta_gradient(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def milliseconds(*arguments):
    times = []
    for _ in range(5):
        start = perf_counter()
        meta_gradient(*arguments)
        times.append(perf_counter() - start)
    return 1000 * median(times)


# %%
# MAML through 1 to 50 inner steps.  The gradients are the same, and memory and time differ.

figure, panels = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained", sharey=True)
print("                peak memory, MB               time, ms")
print("points  steps    kept  again  ratio    kept  again  ratio")
for axes, points in zip(panels, (10, 100), strict=True):
    batch, ratios = tg.tasks.SineTasks().sample(TASKS, points, 10, rng=0), []
    for steps in (1, 2, 5, 10, 20, 50):
        kept, again = (meta_gradient(batch, steps, recompute) for recompute in (False, True))
        for g, expected in zip(again, kept, strict=True):
            np.testing.assert_allclose(g.data, expected.data, rtol=1e-6, atol=1e-9)
        memory, time = ([f(batch, steps, recompute) for recompute in (False, True)]
                        for f in (megabytes, milliseconds))
        ratios.append((steps, memory[1] / memory[0], time[1] / time[0]))
        print(f"{points:6}  {steps:5}  {memory[0]:6.1f} {memory[1]:6.1f} {ratios[-1][1]:6.2f}"
              f"  {time[0]:6.1f} {time[1]:6.1f} {ratios[-1][2]:6.2f}")
    axes.semilogx(*np.transpose(ratios)[:2], "o-", label="memory")
    axes.semilogx(*np.transpose(ratios)[::2], "o-", label="time")
    axes.set(title=f"{points} points: recomputed / kept", xlabel="inner steps", ylim=(0, None))
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/recompute.png", dpi=150)
