"""
From tape to program
====================

``tg.compile`` runs a function and keeps the graph, gradients included.  The graph
becomes a program in four steps: simplify it, put its operations in order, give every result
a buffer, and turn each operation into one NumPy call.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.graph.record import record
from tinygrad_meta.graph.simplify import JOINING, REORDERING, SAFE, VIEWS, cost, order, rewritten

# %%
# Two programs that are small enough to check by hand: dF/dx1 = x2 + 1, and dF/dx2 =
# (x1 + x2) + (x2 + 1).  Nothing is left of the forward pass but what the gradient needs.


def F(x1, x2):
    return (x1 + x2) * (x2 + 1)


def gradient(x1, x2):
    return tg.func.grad(F, argnums=(0, 1))(x1, x2)


x1, x2 = tg.tensor(2.0, name="x1"), tg.tensor(3.0, name="x2")
for f in map(tg.compile, (F, gradient)):
    f(x1, x2)
    print(f.program, end="\n\n")

# %%
# MAML's meta-gradient, followed through the rewrites, one after the other.  Reshapes and
# other views are not counted: they move no numbers.  A dash: no occasion for this one here.


def loss(theta, x, y):
    return tg.nn.mse_loss(tg.nn.mlp(theta, x), y)


def meta_gradient(theta, batch):
    return tg.grad(tg.meta.maml_loss(loss, theta, batch, 0.01), tg.tree.leaves(theta))


theta = tg.nn.init_mlp([1, 40, 40, 1], rng=0, dtype="float32")
batch = tg.tasks.SineTasks(dtype="float32").sample(25, n_support=10, n_query=10, rng=0)
_, recorded, *_ = record(meta_gradient, (theta, batch), {})
rewrites = SAFE + JOINING + REORDERING
stages = {"as recorded": recorded, "merged, folded": rewritten(recorded, [])}
stages |= {rewrite.pattern: rewritten(recorded, rewrites[: i + 1])
           for i, rewrite in enumerate(rewrites)}
numbers = []
print("operations  estimated us  rewrite")
for pattern, outputs in stages.items():
    count = len([node for node in order(outputs) if node.op and node.kind not in VIEWS])
    numbers.append((count, cost(outputs)))
    changed = numbers[-1] not in numbers[:-1]
    text = f"{count:10}  {numbers[-1][1]:12.0f}" if changed else " " * 23 + "-"
    print(f"{text}  {pattern}")

# %%
# Some rewrites make the graph longer and cheaper all the same: the last ones reorder
# products so that no task needs a 40 x 40 matrix of its own.

eager, replayed = meta_gradient(theta, batch), tg.compile(meta_gradient)(theta, batch)
difference = max(np.abs(a.numpy() - b.numpy()).max() / np.abs(a.numpy()).max()
                 for a, b in zip(eager, replayed, strict=True))
print(f"Eager and replayed differ by {difference:.0e} of the largest entry.")
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
axes.step(range(len(numbers)), numbers, where="post", label=["operations", "estimated us"])
axes.set(xlabel="rewrites applied", ylim=(0, None))
axes.legend()
Path("results").mkdir(exist_ok=True)
figure.savefig("results/from_tape_to_program.png", dpi=150)
