"""Proof that the meta-gradient is second order.

Code that leaves out the second derivatives runs without complaint and even learns.  Three checks tell the difference, all in
float64:

(a) the meta-gradient equals finite differences of the whole meta-objective, inner steps included;
(b) first-order MAML, which takes the inner gradient for a constant, fails that same comparison;
(c) for one inner step theta' = theta - alpha * grad L(theta), the chain rule says what it must be:

        (I - alpha H) g      H: the Hessian of the support loss at theta;  g: the gradient of the query loss at theta'
"""

import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tree import leaves, rebuild, tree_map

alpha = 0.05
batch = tg.tasks.SineTasks(amplitude_min=1.0, amplitude_max=2.0).sample(n_tasks=4, n_support=5, n_query=5, rng=0)
theta = init_mlp([1, 10, 10, 1], rng=0)


def as_vector(params):
    return np.concatenate([p.data.ravel() for p in leaves(params)])


def as_parameters(vector):
    ends = np.cumsum([p.size for p in leaves(theta)])[:-1]
    return rebuild(theta, [part.reshape(p.shape) for part, p in zip(np.split(vector, ends), leaves(theta), strict=True)])


def meta_loss(theta, activation, steps, first_order=False):
    def loss(theta, x, y):
        return mse_loss(mlp(theta, x, activation), y)

    return tg.meta.maml_loss(loss, theta, batch, alpha, steps, first_order)


def meta_gradient(*setting):
    return as_vector(tg.grad(meta_loss(theta, *setting), leaves(theta)))


def finite_differences(*setting, h=1e-5):
    """Move one parameter at a time a little up and down, and see how much the meta-objective moves."""
    center = as_vector(theta)
    rises = [meta_loss(as_parameters(center + move), *setting) - meta_loss(as_parameters(center - move), *setting)
             for move in h * np.eye(center.size)]
    return np.array([rise.item() for rise in rises]) / (2 * h)


def off_by(gradient, truth):
    return np.linalg.norm(gradient - truth) / np.linalg.norm(truth)


print(f"(a), (b)  A meta-gradient over 4 tasks, {as_vector(theta).size} entries: relative distance from finite differences\n")
print("activation  inner steps       MAML  first-order MAML")
for activation in ("relu", "tanh"):
    for steps in (1, 2, 5):
        truth = finite_differences(activation, steps)
        second, first = meta_gradient(activation, steps), meta_gradient(activation, steps, True)
        print(f"{activation:10}  {steps:11}  {off_by(second, truth):9.0e}  {off_by(first, truth):16.2f}")


def loss(theta, x, y):
    return mse_loss(mlp(theta, x, "tanh"), y)


support, query = [(x[0], y[0]) for x, y in (batch.support, batch.query)]
adapted = tg.meta.adapt(loss, theta, support, alpha)
maml = as_vector(tg.grad(loss(adapted, *query), leaves(theta)))
g = tg.func.grad(loss)(tree_map(tg.Tensor.detach, adapted), *query)
H_g = tg.func.hvp(lambda theta: loss(theta, *support), theta, g)
formula = as_vector(g) - alpha * as_vector(H_g)
print("\n(c)  One task, one step, tanh: relative distance from (I - alpha H) g\n")
print(f"  MAML                                {off_by(maml, formula):.0e}")
print(f"  first-order MAML, which is g alone  {off_by(as_vector(g), formula):.2f}")
