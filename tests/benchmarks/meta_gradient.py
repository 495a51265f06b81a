"""How long one second-order meta-gradient takes, here and in other libraries.

    python tests/benchmarks/meta_gradient.py [--json FILE]

25 sine tasks of 10 support and 10 query points, MLP 1-40-40-1 with relu, one inner step, float32.  Every library that is
installed computes it in this process and on one thread; all results are compared before anything is timed.  The rounds are
interleaved, so that whatever else the machine does disturbs all of them alike; the minimum is the least disturbed figure.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[variable] = "1"  # read when NumPy is imported
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import tinygrad_meta as tg

ALPHA, TASKS, ROUNDS = 0.01, 25, 200
PARAMS = tg.nn.init_mlp([1, 40, 40, 1], rng=0, dtype="float32")
BATCH = tg.tasks.SineTasks(dtype="float32").sample(TASKS, 10, 10, rng=0)


def arrays(convert):
    """The parameters and (support x, support y, query x, query y) in a library's own arrays."""
    return ([convert(p.numpy()) for p in tg.tree.leaves(PARAMS)],
            [convert(np.ascontiguousarray(part)) for part in (*BATCH.support, *BATCH.query)])


def task_losses(params, x, y, relu):
    w1, b1, w2, b2, w3, b3 = params
    prediction = relu(relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3
    return ((prediction - y) ** 2).mean((-2, -1))


# Each of the following prepares a computation and returns it as a function without arguments.


def ours(steps=1):
    def loss(params, x, y):
        return tg.nn.mse_loss(tg.nn.mlp(params, x), y)

    return lambda: tg.grad(tg.meta.maml_loss(loss, PARAMS, BATCH, ALPHA, steps), tg.tree.leaves(PARAMS))


def torch_arrays():
    import torch

    torch.set_num_threads(1)
    params, data = arrays(torch.tensor)
    return torch, [p.requires_grad_() for p in params], data


def torch_batched():
    torch, params, (x, y, query_x, query_y) = torch_arrays()

    def compute():
        copies = [p.expand(TASKS, *p.shape) for p in params]
        gradients = torch.autograd.grad(task_losses(copies, x, y, torch.relu).sum(), copies, create_graph=True)
        adapted = [p - ALPHA * g for p, g in zip(copies, gradients, strict=True)]
        return torch.autograd.grad(task_losses(adapted, query_x, query_y, torch.relu).mean(), params)

    return compute


def torch_loop():
    torch, params, data = torch_arrays()

    def compute():
        losses = []
        for x, y, query_x, query_y in zip(*data, strict=True):
            gradients = torch.autograd.grad(task_losses(params, x, y, torch.relu), params, create_graph=True)
            adapted = [p - ALPHA * g for p, g in zip(params, gradients, strict=True)]
            losses.append(task_losses(adapted, query_x, query_y, torch.relu))
        return torch.autograd.grad(torch.stack(losses).mean(), params)

    return compute


def with_transforms(grad, vmap, relu):
    """One task as a function, differentiated and mapped over the tasks: the same program for torch.func and JAX."""

    def query_loss(params, x, y, query_x, query_y):
        gradients = grad(task_losses)(params, x, y, relu)
        adapted = [p - ALPHA * g for p, g in zip(params, gradients, strict=True)]
        return task_losses(adapted, query_x, query_y, relu)

    def meta_loss(params, *data):
        return vmap(query_loss, (None, 0, 0, 0, 0))(params, *data).mean()

    return grad(meta_loss)


def torch_vmap():
    torch, params, data = torch_arrays()
    params = [p.detach() for p in params]
    meta_gradient = with_transforms(torch.func.grad, torch.func.vmap, torch.relu)
    return lambda: meta_gradient(params, *data)


def jax_jit():
    import jax

    params, data = arrays(jax.numpy.array)
    meta_gradient = jax.jit(with_transforms(jax.grad, jax.vmap, jax.nn.relu))
    return lambda: jax.block_until_ready(meta_gradient(params, *data))


def hips_autograd():
    import autograd

    params, (x, y, query_x, query_y) = arrays(np.asarray)
    stretch = np.ones((TASKS, 1, 1), "float32")

    def relu(z):
        return autograd.numpy.maximum(z, 0)

    def meta_loss(params):
        copies = [p * stretch for p in params]
        gradients = autograd.grad(lambda copies: task_losses(copies, x, y, relu).sum())(copies)
        adapted = [p - ALPHA * g for p, g in zip(copies, gradients, strict=True)]
        return task_losses(adapted, query_x, query_y, relu).mean()

    meta_gradient = autograd.grad(meta_loss)
    return lambda: meta_gradient(params)


CONTENDERS = {  # name -> package, what prepares it
    "torch, batched over tasks": ("torch", torch_batched),
    "torch.func, vmap": ("torch", torch_vmap),
    "torch, loop over tasks": ("torch", torch_loop),
    "JAX, jit": ("jax", jax_jit),
    "HIPS autograd, batched": ("autograd", hips_autograd),
}


def prepare():
    """The computations that can run here, each checked to give our result."""
    computations, versions = {"tinygrad_meta": ours()}, {"numpy": version("numpy")}
    expected = np.concatenate([np.ravel(g.data) for g in computations["tinygrad_meta"]()])
    for name, (package, contender) in CONTENDERS.items():
        try:
            computations[name] = contender()
        except ImportError:
            print(f"{name}: not installed, left out")
            continue
        versions[package] = version(package)
        result = np.concatenate([np.ravel(g) for g in computations[name]()])
        assert np.linalg.norm(result - expected) < 1e-5 * np.linalg.norm(expected), f"{name} computes something else"
    return computations | {"tinygrad_meta, 10 inner steps": ours(steps=10)}, versions


def measure(computations):
    """Milliseconds per call: for each computation, one figure per round."""
    times = {name: [] for name in computations}
    for _ in range(ROUNDS):
        for name, compute in computations.items():
            compute()  # brings its own data back into the cache
            start = perf_counter()
            compute()
            times[name].append(1000 * (perf_counter() - start))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args()

    computations, versions = prepare()
    times = measure(computations)
    rows = {name: {"minimum_ms": min(ts), "median_ms": median(ts)} for name, ts in times.items()}
    own = rows["tinygrad_meta"]
    print(", ".join(f"{package} {number}" for package, number in versions.items()))
    print(f"\n{'':30}   minimum, ms   median, ms   tinygrad_meta takes (minimum, median)")
    for name, row in rows.items():
        row["ratio_of_minima"] = own["minimum_ms"] / row["minimum_ms"]
        row["ratio_of_medians"] = own["median_ms"] / row["median_ms"]
        print(f"{name:30}   {row['minimum_ms']:11.3f}   {row['median_ms']:10.3f}"
              f"   {row['ratio_of_minima']:.2f}, {row['ratio_of_medians']:.2f} times as long")
    ten = rows["tinygrad_meta, 10 inner steps"]
    print(f"\nTen inner steps take {ten['minimum_ms'] / own['minimum_ms']:.1f} times as long as one.")
    if options.json:
        options.json.write_text(json.dumps({"versions": versions, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
