"""What create_graph=True costs, and what an inner step costs.

With create_graph=True the backward pass is recorded as well, and what is recorded is kept until it is no longer needed: the
price is memory, and the time to differentiate a longer expression.  The price is the same for every inner step, because a
gradient is followed back to the parameters that it was asked for and no further; walking the whole history at every step
would make ten steps cost not ten but fifty-five.
"""

from statistics import median
from time import perf_counter

import tinygrad_meta as tg
from tinygrad_meta.nn import init_mlp, mlp, mse_loss
from tinygrad_meta.tree import leaves


def loss(theta, x, y):
    return mse_loss(mlp(theta, x), y)


def operations_behind(tensors):
    """How many recorded operations lead to these tensors, and are kept as long as they are."""
    found, to_visit = set(), list(tensors)
    while to_visit:
        t = to_visit.pop()
        if t.op is not None and t.order not in found:
            found.add(t.order)
            to_visit += t.inputs
    return len(found)


def milliseconds(function, *arguments):
    times = []
    for _ in range(30):
        start = perf_counter()
        function(*arguments)
        times.append(1000 * (perf_counter() - start))
    return median(times)


theta = init_mlp([1, 40, 40, 1], rng=0)
batch = tg.tasks.SineTasks().sample(n_tasks=25, n_support=10, n_query=10, rng=0)
x, y = (part.reshape(-1, 1) for part in batch.support)

print("A network of three layers                 operations kept       ms")
for name, compute in {
    "its loss": lambda: [loss(theta, x, y)],
    "its gradient": lambda: tg.grad(loss(theta, x, y), leaves(theta)),
    "its gradient, with create_graph=True": lambda: tg.grad(loss(theta, x, y), leaves(theta), create_graph=True),
}.items():
    print(f"  {name:38}  {operations_behind(compute()):15}  {milliseconds(compute):7.2f}")


def meta_gradient(steps, first_order):
    return tg.grad(tg.meta.maml_loss(loss, theta, batch, 0.01, steps, first_order), leaves(theta))


print("\nA meta-gradient over 25 tasks             operations kept       ms   ms per step   first-order, ms")
for steps in (1, 2, 5, 10, 20):
    kept = operations_behind([tg.meta.maml_loss(loss, theta, batch, 0.01, steps)])
    second, first = (milliseconds(meta_gradient, steps, flag) for flag in (False, True))
    print(f"  through {steps:2} inner steps                  {kept:15}  {second:7.2f}  {second / steps:12.2f}  {first:16.2f}")
