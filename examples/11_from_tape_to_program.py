"""From tape to program: what is left of a recorded function when everything but the arithmetic is gone.

tg.compile runs a function once and keeps the graph, gradients included.  The graph becomes a program in four steps: simplify
it, put its operations in order, give every result a buffer, and turn each operation into one NumPy call.  The first part shows
programs small enough to check by hand; the second follows MAML's meta-gradient through the rewrites, one after the other.
"""

import numpy as np

import tinygrad_meta as tg
from tinygrad_meta.graph.record import record
from tinygrad_meta.graph.simplify import REORDERING, SAFE, VIEWS, cost, order, rewritten


def F(x1, x2):
    return (x1 + x2) * (x2 + 1)


def gradient(x1, x2):
    return tg.func.grad(F, argnums=(0, 1))(x1, x2)


x1, x2 = tg.tensor(2.0, name="x1"), tg.tensor(3.0, name="x2")
for f in map(tg.compile, (F, gradient)):
    f(x1, x2)
    print(f.program, end="\n\n")
print("dF/dx1 = x2 + 1, and dF/dx2 = (x1 + x2) + (x2 + 1): nothing is left of the forward pass but what the gradient needs.")


def loss(theta, x, y):
    return tg.nn.mse_loss(tg.nn.mlp(theta, x), y)


def meta_gradient(theta, batch):
    return tg.grad(tg.meta.maml_loss(loss, theta, batch, step_size=0.01), tg.tree.leaves(theta))


def computed(outputs):
    """How many operations a graph has, not counting reshapes and other views: they move no numbers."""
    return len([node for node in order(outputs) if node.op and node.kind not in VIEWS])


theta = tg.nn.init_mlp([1, 40, 40, 1], rng=0, dtype="float32")
batch = tg.tasks.SineTasks(dtype="float32").sample(n_tasks=25, n_support=10, n_query=10, rng=0)
_, recorded, _ = record(meta_gradient, (theta, batch), {})

rewrites = SAFE + REORDERING
stages = {"as recorded": recorded, "equal operations merged, constants folded": rewritten(recorded, [])}
stages |= {rewrite.pattern: rewritten(recorded, rewrites[: i + 1]) for i, rewrite in enumerate(rewrites)}

print(f"\n{'MAML: its meta-gradient, by the rewrites applied so far':70}  operations   estimated us")
before = None
for pattern, outputs in stages.items():
    now = f"{computed(outputs):10}  {cost(outputs):13.0f}"
    print(f"  {pattern:68}  {'-' if now == before else now}")
    before = now
print("\nA dash: no occasion for this one here.  Some make the graph longer and cheaper all the same: the last ones reorder")
print("products so that no task needs a 40 x 40 matrix of its own.")

eager, replayed = meta_gradient(theta, batch), tg.compile(meta_gradient)(theta, batch)
difference = max(np.abs(a.numpy() - b.numpy()).max() / np.abs(a.numpy()).max() for a, b in zip(eager, replayed, strict=True))
print(f"Eager and replayed differ by {difference:.0e} of the largest entry.")
