"""
A task that pencil and paper can solve
======================================

And what it says about "K steps, K-th derivative".  The loss of the task is a bowl around a
centre c, for the support set and the query set alike.  A step of gradient descent shrinks
the distance to the centre by the factor (I - alpha A), so after K steps, by the chain rule::

    loss           = 1/2 (theta - c)' A (theta - c)
    theta_K - c    = (I - alpha A)^K (theta - c)
    meta-gradient  = (I - alpha A)^K  A  (theta_K - c)

Each step contributes one factor I - alpha A, and A is the Hessian.  So K steps make a
product of K second derivatives, not a derivative of order K: every derivative beyond the
second is zero here, and the formula holds for any K.  First-order MAML leaves the factors
out.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg

A = np.array([[3.0, 1.0], [1.0, 2.0]])
c = np.array([[1.0], [-1.0]])
theta = tg.tensor([[0.0], [0.0]], requires_grad=True)
alpha = 0.2


def loss(theta, A, c):
    distance = theta - c
    return 0.5 * tg.sum(distance * (A @ distance), axis=(-2, -1))


def text(row):
    return "".join(f"{value:10.6f}" for value in np.ravel(row))


# %%
# By differentiating through the steps, by the formula, and to first order.

print("             meta-gradient          by the formula             first-order")
for steps in (0, 1, 2, 5, 10):
    adapted, adapted_first_order = (tg.meta.adapt(loss, theta, (A, c), alpha, steps, flag)
                                    for flag in (False, True))
    (meta_gradient,) = tg.grad(loss(adapted, A, c), theta)
    (first_order,) = tg.grad(loss(adapted_first_order, A, c), theta)

    shrink = np.linalg.matrix_power(np.eye(2) - alpha * A, steps)
    formula = shrink @ A @ shrink @ (theta.data - c)
    print(f"{steps:2} steps {text(meta_gradient.data)}    {text(formula)}"
          f"    {text(first_order.data)}")

# %%
# The loss after two steps, as a function of where they start.  It is a bowl, too, and the
# meta-gradient (here with its sign turned) stands at right angles to its contours; the
# first-order one does not, since it belongs to the contours of the loss *at* theta_2.

figure, axes = plt.subplots(figsize=(5.6, 5), layout="constrained")
grid = np.stack(np.meshgrid(np.linspace(-0.8, 1.6, 81), np.linspace(-1.8, 0.6, 81)), axis=-1)
two_steps = np.linalg.matrix_power(np.eye(2) - alpha * A, 2)
after = loss(c + two_steps @ (grid[..., None] - c), A, c).data
axes.contour(grid[..., 0], grid[..., 1], np.sqrt(after), 12, colors="0.8")
path = [tg.meta.adapt(loss, theta, (A, c), alpha, steps).data.ravel() for steps in range(3)]
axes.plot(*np.transpose(path), "o-", color="black", label="two inner steps")
for label, flag, color in (("meta-gradient", False, "tab:blue"),
                           ("first-order", True, "tab:orange")):
    adapted = tg.meta.adapt(loss, theta, (A, c), alpha, 2, flag)
    arrow = -tg.grad(loss(adapted, A, c), theta)[0].numpy().ravel()
    axes.quiver(0, 0, *arrow / np.linalg.norm(arrow), angles="xy", scale_units="xy", scale=2,
                color=color, label=label)
axes.set(aspect="equal", xlabel="theta, first entry", ylabel="second entry")
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/quadratic_task.png", dpi=150)
