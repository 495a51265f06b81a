"""
Proof that the meta-gradient is second order
============================================

Code that leaves out the second derivatives runs without complaint and even learns.  Three
checks in float64 tell the difference: (a) the meta-gradient equals finite differences of the
whole meta-objective; (b) first-order MAML, which takes the inner gradient for a constant,
does not; (c) for one inner step, theta' = theta - alpha * grad L(theta), the chain rule says
that it is (I - alpha H) g: H the Hessian of the support loss, g the gradient of the query's.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tree import leaves, rebuild, tree_map

alpha, theta = 0.05, init_mlp([1, 10, 10, 1], rng=0)
batch = tg.tasks.SineTasks(amplitude_min=1, amplitude_max=2).sample(4, 5, 5, rng=0)


def vector(params):
    return np.concatenate([p.data.ravel() for p in leaves(params)])


def parameters(entries):
    parts = np.split(entries, np.cumsum([p.size for p in leaves(theta)])[:-1])
    return rebuild(theta, [part.reshape(p.shape) for part, p in zip(parts, leaves(theta))])


def loss_with(activation):
    return lambda theta, x, y: mse_loss(mlp(theta, x, activation), y)


def off_by(gradient, truth):
    return np.linalg.norm(gradient - truth) / np.linalg.norm(truth)


# %%
# Checks (a) and (b): relative distance from finite differences, by each of 141 parameters.

print("activation, inner steps       MAML   first-order MAML")
for activation in ("relu", "tanh"):
    for steps in (1, 2, 5):
        def meta_loss(theta, first=False):
            return tg.meta.maml_loss(loss_with(activation), theta, batch, alpha, steps, first)
        rises = [meta_loss(parameters(vector(theta) + move))
                 - meta_loss(parameters(vector(theta) - move)) for move in 1e-5 * np.eye(141)]
        truth = np.array([rise.item() for rise in rises]) / 2e-5
        second, first = (vector(tg.grad(meta_loss(theta, flag), leaves(theta)))
                         for flag in (False, True))
        print(f"{activation} {steps:18} {off_by(second, truth):10.0e}"
              f" {off_by(first, truth):18.2f}")

# %%
# Every entry of the last one.  MAML's lie on the diagonal.

figure, axes = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
axes.plot(truth, first, "x", label="first-order MAML")
axes.plot(truth, second, ".", label="MAML")
axes.set(xlabel="by finite differences", ylabel="meta-gradient, 5 inner steps")
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/second_order_proof.png", dpi=150)

# %%
# Check (c), for one task, one step and tanh: relative distance from (I - alpha H) g.

support, query = [(x[0], y[0]) for x, y in (batch.support, batch.query)]
loss = loss_with("tanh")
adapted = tg.meta.adapt(loss, theta, support, alpha)
maml = vector(tg.grad(loss(adapted, *query), leaves(theta)))
g = tg.func.grad(loss)(tree_map(tg.Tensor.detach, adapted), *query)
formula = vector(g) - alpha * vector(tg.func.hvp(lambda p: loss(p, *support), theta, g))
print(f"MAML                                {off_by(maml, formula):.0e}")
print(f"first-order MAML, which is g alone  {off_by(vector(g), formula):.2f}")
