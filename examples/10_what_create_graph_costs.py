"""
What create_graph costs
=======================

And what an inner step costs.  With ``create_graph=True`` the backward pass is recorded as
well, and what is recorded is kept until it is no longer needed: the price is memory, and
the time to differentiate a longer expression.  It is the same for every inner step, because
a gradient is followed back to the parameters that it was asked for and no further; walking
the whole history at every step would make ten steps cost not ten but fifty-five.
"""

from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import matplotlib.pyplot as plt

import tinygrad_meta as tg
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tree import leaves


def loss(theta, x, y):
    return mse_loss(mlp(theta, x), y)


def report(name, compute):
    """How many recorded operations lead to the result, and are kept as long as it is."""
    found, to_visit = set(), list(compute())
    while to_visit:
        t = to_visit.pop()
        if t.op is not None and t not in found:
            found.add(t)
            to_visit += t.inputs
    print(f"{name:28} {len(found):4} operations kept {milliseconds(compute):6.2f} ms")


def milliseconds(function):
    times = []
    for _ in range(30):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return 1000 * median(times)


# %%
# A network of three layers.

theta = init_mlp([1, 40, 40, 1], rng=0)
batch = tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=10, rng=0)
x, y = (part.reshape(-1, 1) for part in batch.support)
report("loss", lambda: [loss(theta, x, y)])
report("gradient", lambda: tg.grad(loss(theta, x, y), leaves(theta)))
report("gradient, create_graph=True",
       lambda: tg.grad(loss(theta, x, y), leaves(theta), create_graph=True))

# %%
# The meta-objective over 25 tasks, and the time for its gradient, to second and first order.

all_steps, times = (1, 2, 5, 10, 20), []
for steps in all_steps:
    second, first = (partial(tg.meta.maml_loss, loss, theta, batch, 0.01, steps, first_order)
                     for first_order in (False, True))
    report(f"loss after {steps:2} inner steps", lambda: [second()])
    times.append([milliseconds(lambda: tg.grad(f(), leaves(theta))) for f in (second, first)])
print("inner steps    ms   per step   first-order, ms")
for steps, (second, first) in zip(all_steps, times, strict=True):
    print(f"{steps:11} {second:5.1f} {second / steps:10.2f} {first:17.1f}")

figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
axes.plot(all_steps, times, "o-", label=["second order", "first order"])
axes.set(xlabel="inner steps", ylabel="milliseconds", xlim=(0, None), ylim=(0, None))
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/what_create_graph_costs.png", dpi=150)
