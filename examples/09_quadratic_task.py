"""A task that pencil and paper can solve, and what it says about "K steps, K-th derivative".

The loss of the task is a bowl, 1/2 (theta - c)' A (theta - c), for the support set and the query set alike.  A step of
gradient descent shrinks the distance to the centre c by the factor (I - alpha A), so after K steps, by the chain rule,

    theta_K - c    = (I - alpha A)^K (theta - c)
    meta-gradient  = (I - alpha A)^K  A  (theta_K - c)

Each step contributes one factor I - alpha A, and A is the Hessian.  So K steps make a product of K second derivatives, not a
derivative of order K: every derivative beyond the second is zero here, and the formula holds for any K.  First-order MAML
leaves the factors out.
"""

import numpy as np

import tinygrad_meta as tg

A = np.array([[3.0, 1.0], [1.0, 2.0]])
c = np.array([[1.0, -1.0]])  # a row, as all parameters are
theta = tg.tensor([[0.0, 0.0]], requires_grad=True)
alpha = 0.2


def loss(theta, A, c):
    distance = theta - c
    return 0.5 * tg.sum(distance @ A * distance, axis=(-2, -1))


def text(row):
    return "".join(f"{value:10.6f}" for value in np.ravel(row))


print("             meta-gradient          by the formula             first-order")
for steps in (0, 1, 2, 5, 10):
    adapted, adapted_first_order = (tg.meta.adapt(loss, theta, (A, c), alpha, steps, flag) for flag in (False, True))
    (meta_gradient,) = tg.grad(loss(adapted, A, c), theta)
    (first_order,) = tg.grad(loss(adapted_first_order, A, c), theta)

    shrink = np.linalg.matrix_power(np.eye(2) - alpha * A, steps)
    formula = (theta.data - c) @ shrink @ A @ shrink  # the transpose of the above, because theta is a row
    print(f"{steps:2} steps {text(meta_gradient.data)}    {text(formula)}    {text(first_order.data)}")
