"""
MAML, line by line
==================

Algorithm 1 of Finn, Abbeel, Levine 2017 (arXiv 1703.03400), with nothing hidden::

    1  randomly initialise theta
    2  while not done:
    3      sample a batch of tasks T_i
    4      for all T_i:
    5          evaluate the gradient of T_i's loss at theta, on K support points
    6          adapt: theta_i' = theta - alpha * gradient
    8      theta = theta - beta * gradient of the sum of the losses at theta_i',
               on the query points

Here line 8 takes the average and leaves the step to Adam, as the authors' program does.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tree import leaves, rebuild

alpha, beta, K, rng, family = 0.01, 0.005, 10, np.random.default_rng(0), tg.tasks.SineTasks()

# %%
# ``create_graph=True`` keeps the step itself differentiable: without it, this would be
# first-order MAML.


def loss(theta, x, y):
    return mse_loss(mlp(theta, x), y)


def adapted(theta, x, y):
    gradient = tg.grad(loss(theta, x, y), leaves(theta), create_graph=True)         # line 5
    return rebuild(theta, [p - alpha * g for p, g in zip(leaves(theta), gradient)]) # line 6


def query_losses(theta, batch):
    return tg.stack([loss(adapted(theta, x, y), query_x, query_y)                   # line 4
                     for x, y, query_x, query_y in zip(*batch.support, *batch.query)])


# %%
# ``tg.meta.maml_loss`` is lines 4 to 7 for all tasks at once: faster, with the same result.

theta, optimizer = init_mlp([1, 40, 40, 1], rng), tg.optim.Adam(beta)               # line 1
batch = family.sample(5, K, K, rng)
print(f"five tasks one by one  {query_losses(theta, batch).mean():.12f}")
print(f"all at once            {tg.meta.maml_loss(loss, theta, batch, alpha):.12f}")

# %%
# The network does not learn the tasks; it learns to learn them from ten points and one step.

new_tasks, curve = family.sample(100, K, K, rng=1), []
for iteration in range(301):                                                        # line 2
    if iteration % 25 == 0:
        before = np.mean([loss(theta, x, y).item() for x, y in zip(*new_tasks.query)])
        curve.append((iteration, before, query_losses(theta, new_tasks).mean().item()))
    batch = family.sample(10, K, K, rng)                                            # line 3
    meta_gradient = tg.grad(query_losses(theta, batch).mean(), leaves(theta))       # line 8
    theta = optimizer.step(theta, rebuild(theta, meta_gradient))

print("meta-updates   error before adapting   after one step")
for iteration, before, after in curve[::4]:
    print(f"{iteration:12} {before:23.2f} {after:16.2f}")

figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
axes.plot(*np.transpose(curve)[:2], label="before adapting")
axes.plot(*np.transpose(curve)[::2], label="after one step on ten points")
axes.set(xlabel="meta-updates", ylabel="error on new tasks", ylim=(0, None))
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/maml_step_by_step.png", dpi=150)
