"""
Three families of meta-learning
===============================

As three ways to write one function.  A learner reads the support set of a task and returns
a function of x.  What happens in between is what the families differ in:

- optimisation: descend the support loss, and return the network at the parameters reached;
- metric: keep the support points, and answer by how much a new point resembles them;
- model: let one network write the parameters of another.

All are trained in the same way, on the loss of their predictions for the query set, here
for some seconds on sine waves.
"""

from functools import partial
from itertools import repeat
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.meta import (hypernetwork, init_hypernetwork, init_matching, maml, matching,
                                query_loss, train)
from tinygrad_meta.nn import init_mlp, mlp, mse_loss

waves = tg.tasks.SineTasks(dtype="float32")
network = partial(init_mlp, rng=0, dtype="float32")

# %%
# Each is a function ``learner(params, support)`` which returns a function of x, with
# parameters to start from and a number of training steps.

LEARNERS = {
    "optimisation": (partial(maml, mlp, mse_loss, step_size=0.01),
                     network([1, 40, 40, 1]), 4000),
    "metric": (partial(matching, mlp), init_matching(network([1, 40, 40])), 2000),
    "model": (partial(hypernetwork, mlp),
              init_hypernetwork(network([1, 40, 40, 1]), rng=0), 2000),
}


def error(learner, params):
    """The mean squared error on 500 new tasks."""
    return query_loss(learner, mse_loss, params, waves.sample(500, 10, 10, rng=1)).item()


# %%
# Train each, and look at what it makes of one new wave of which it knows ten points.

figure, panels = plt.subplots(3, figsize=(6.4, 7.2), layout="constrained", sharex=True)
grid = np.linspace(-5, 5, 201, dtype="float32").reshape(1, -1, 1)
task = waves.sample(1, 10, 0, rng=7)
wave = task.amplitude * np.sin(task.phase + grid)
print("family          before training   after")
for axes, (family, (learner, start, steps)) in zip(panels, LEARNERS.items(), strict=True):
    rng = np.random.default_rng(0)
    batches = (waves.sample(25, 10, 10, rng) for _ in repeat(None))
    objective, step_sizes = partial(query_loss, learner, mse_loss), np.linspace(0.01, 0, steps)
    for params, _ in train(objective, start, batches, step_sizes, max_norm=10.0):
        pass
    print(f"{family:16}{error(learner, start):15.2f}{error(learner, params):8.2f}")

    prediction = learner(params, task.support)(grid).numpy()
    axes.plot(grid.ravel(), wave.ravel(), color="black", label="truth")
    axes.plot(grid.ravel(), prediction.ravel(), color="tab:blue", label="prediction")
    axes.plot(*map(np.ravel, task.support), "o", color="tab:orange", label="support points")
    axes.set_title(family)
figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
Path("results").mkdir(exist_ok=True)
figure.savefig("results/three_families.png", dpi=150)
