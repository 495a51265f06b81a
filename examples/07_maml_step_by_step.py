"""MAML, line by line as in Algorithm 1 of Finn, Abbeel, Levine 2017 (arXiv 1703.03400), with nothing hidden.

    1  randomly initialise theta
    2  while not done:
    3      sample a batch of tasks T_i
    4      for all T_i:
    5          evaluate the gradient of the loss of T_i at theta, on its K support points
    6          adapt: theta_i' = theta - alpha * gradient
    7      end for
    8      theta = theta - beta * gradient of the sum of the losses at theta_i', on the query points
    9  end while

Two departures keep it short: line 8 takes the average in place of the sum and leaves the step to Adam, as the authors' own
program does.  `tg.meta.maml_loss` is lines 4 to 7 for all tasks at once, many times faster and with the same result.
"""

import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tree import leaves, rebuild

alpha, beta, K = 0.01, 0.005, 10
rng = np.random.default_rng(0)
family = tg.tasks.SineTasks()


def loss(theta, x, y):
    return mse_loss(mlp(theta, x), y)


def adapted(theta, x, y):
    """Lines 5 and 6.  create_graph=True keeps the step itself differentiable: without it, this would be first-order MAML."""
    gradient = tg.grad(loss(theta, x, y), leaves(theta), create_graph=True)                              # line 5
    return rebuild(theta, [p - alpha * g for p, g in zip(leaves(theta), gradient, strict=True)])         # line 6


def query_losses(theta, batch):
    losses = []
    for x, y, query_x, query_y in zip(*batch.support, *batch.query, strict=True):                        # line 4
        theta_i = adapted(theta, x, y)
        losses.append(loss(theta_i, query_x, query_y))
    return tg.stack(losses)


def report(theta):
    """The average error on 100 new tasks, before and after one step."""
    batch = family.sample(100, K, K, rng=1)
    before = np.mean([loss(theta, x, y).item() for x, y in zip(*batch.query, strict=True)])
    return f"{before:6.2f} before adapting, {query_losses(theta, batch).mean():6.2f} after one step"


theta = init_mlp([1, 40, 40, 1], rng)                                                                    # line 1
optimizer = tg.optim.Adam(beta)

batch = family.sample(5, K, K, rng)
one_by_one, at_once = query_losses(theta, batch).mean(), tg.meta.maml_loss(loss, theta, batch, alpha)
print(f"the loss of line 8 for five tasks: {one_by_one:.12f} one by one, {at_once:.12f} all at once\n")

print("Mean squared error on 100 new tasks")
for iteration in range(301):                                                                             # line 2
    if iteration % 100 == 0:
        print(f"  after {iteration:3} meta-updates: {report(theta)}")
    batch = family.sample(10, K, K, rng)                                                                 # line 3
    meta_gradient = tg.grad(query_losses(theta, batch).mean(), leaves(theta))                            # line 8
    theta = optimizer.step(theta, rebuild(theta, meta_gradient))
print("The network does not learn the tasks; it learns to learn them from ten points and one step.")
