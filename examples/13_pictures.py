"""
Pictures of graphs
==================

Values stand in boxes, operations in circles.  Blue is the forward pass, orange a backward
pass, green the backward pass of a graph that contains one.  What is written in purple is
the gradient that flows back along the arrows.
"""

from pathlib import Path

import numpy as np

import tinygrad_meta as tg

results = Path("results")
results.mkdir(exist_ok=True)
rng = np.random.default_rng(0)


def inputs(**values):
    return [tg.tensor(v, requires_grad=True, name=name) for name, v in values.items()]


# %%
# F = (x1 + x2)(x2 + 1).  Two arrows leave x2, and what flows back along them adds up:
# 4 + 5 = 9.  A path that ends in ``.html`` gives a page to step through with the arrow keys.

x1, x2 = inputs(x1=2.0, x2=3.0)
F = (x1 + x2) * (x2 + 1)
tg.graph.animate(F, results / "graph.gif")

# %%
# The graph of its gradient: dF/dx2 = v1 + v2 is computed from values of the forward pass.

tg.graph.draw(F, results / "gradient.svg", order=2)

# %%
# tanh, its derivative and the derivative of that.

(x,) = inputs(x=0.5)
tg.graph.draw(tg.tanh(x), results / "second_derivative.svg", order=3)

# %%
# The loss of a network with two layers, and how its gradient reaches the weights.


def loss(params, x, y):
    W1, b1, W2, b2 = params
    return tg.nn.mse_loss(tg.tanh(x @ W1 + b1) @ W2 + b2, y)


def data(name):
    x = rng.uniform(-5, 5, (5, 1))
    return tg.tensor(x, name=f"{name} x"), tg.tensor(np.sin(x), name=f"{name} y")


params = inputs(W1=rng.normal(size=(1, 8)), b1=np.zeros((1, 8)),
                W2=rng.normal(size=(8, 1)), b2=np.zeros((1, 1)))
support, query = data("support"), data("query")
tg.graph.draw(loss(params, *support), results / "network.svg")

# %%
# MAML: two steps of gradient descent on the support set, then the loss on the query set.
# Folded, it is three boxes, and the meta-gradient flows back through them; unfolded, every
# step contains a backward pass, and it flows through that.

adapted = params
for step in (1, 2):
    with tg.graph.scope(f"inner step {step}"):
        gradients = tg.grad(loss(adapted, *support), adapted, create_graph=True)
        adapted = [p - 0.01 * g for p, g in zip(adapted, gradients, strict=True)]
    for p, original in zip(adapted, params, strict=True):
        p.name = original.name + "'" * step
with tg.graph.scope("query loss"):
    L = loss(adapted, *query)
tg.graph.draw(L, results / "maml_folded.svg", fold=True)
tg.graph.draw(L, results / "maml_gradients_folded.svg", fold="backward")
tg.graph.draw(L, results / "maml.svg")
