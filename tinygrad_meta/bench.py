"""How long things take, here and in other libraries: ``python -m tinygrad_meta bench``.

A *workload* is a class with one method per *contender*.  The method makes everything ready and returns a function without
arguments: what is timed.  All contenders for a workload run in this process, on one thread, and taking turns, so that whatever
else the machine does disturbs them alike; before that, their results are compared.
"""

import json
import os
import platform
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain, cycle, repeat
from statistics import median
from time import perf_counter

import numpy as np

from .autodiff import grad
from .func import value_and_grad
from .graph import compile
from .meta import maml_loss, train
from .meta.checkpoint import write
from .meta.parallel import ONE_THREAD
from .nn import cross_entropy, init_mlp, mlp, mse_loss
from .ops import relu
from .optim import Adam
from .tasks import SineTasks
from .tensor import Tensor
from .tree import as_vector, leaves, split

CONTENDERS = {  # name -> package, what it is
    "compiled": ("numpy", "tinygrad_meta, recorded once and replayed: tg.compile"),
    "eager": ("numpy", "tinygrad_meta, operation by operation"),
    "torch": ("torch", "PyTorch, operation by operation, batched over tasks"),
    "torch_func": ("torch", "PyTorch, torch.func.grad and vmap over tasks"),
    "torch_compile": ("torch", "the same through torch.compile"),
    "jax": ("jax", "JAX, jax.grad and vmap over tasks, through jax.jit"),
    "autograd": ("autograd", "HIPS autograd, batched over tasks"),
}
CALLS, TURN = 200, 5  # how often each contender is called, and how often before it is another one's turn
LONG = 0.01  # seconds: after a call that takes longer it is another one's turn at once, so that all see the machine alike
SECONDS, QUICK_SECONDS = 4.0, 0.4  # what each may take altogether: the slow ones are called less often
TOLERANCE = 1e-4  # between results, relative to their norm


def restart_on_one_thread():
    """Unless this process has one thread only, let the same command take its place with one.

    More threads slow small matrix products down, by a factor of 50 where a processor is busy with something else.
    """
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):  # NumPy reads them when it is imported
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | ONE_THREAD)


def bench(quick=False, json_file=None):
    """Measure, print the table, write the JSON file; the return value is the exit code."""
    from tqdm import tqdm

    os.environ.setdefault("NPROC", "1")  # the processors that JAX counts; with one it is fastest
    left_out = {name: f"{package} is not installed" for name, (package, _) in CONTENDERS.items() if not find_spec(package)}
    if quick and "torch_compile" in CONTENDERS:
        left_out["torch_compile"] = "compiling takes too long for a quick run"
    versions = {"python": platform.python_version()}
    versions |= {package: version(package) for name, (package, _) in CONTENDERS.items() if name not in left_out}
    machine = {"cpu": cpu(), "cores": os.cpu_count()}
    print(f"{machine['cpu']}, {machine['cores']} cores, of which one is used; "
          + ", ".join([f"{package} {number}" for package, number in versions.items()]))
    print("\nMilliseconds of compiled, and how many times as long the others take: medians (minima).\n")
    shown = [name for name in CONTENDERS if name not in left_out]
    print(line("", shown))

    content = {"machine": machine, "versions": versions, "left_out": left_out, "workloads": (results := {})}
    with tqdm(WORKLOADS.items(), leave=False) as bar:
        for label, make in bar:
            computations = prepare(make(), left_out, lambda doing, label=label: bar.set_description(f"{label}: {doing}"))
            results[label] = summary(measure(computations, QUICK_SECONDS if quick else SECONDS))
            cells = {name: cell(name, figures) for name, figures in results[label].items()}
            bar.write(line(label, [cells.get(name, "-") for name in shown]))
            if json_file:  # after every row, so that Ctrl-C keeps those before it
                write(json_file, f"{json.dumps(content, indent=2)}\n".encode())

    print()
    for name, (_, meaning) in CONTENDERS.items():
        print(f"{name:13}  " + (f"left out: {left_out[name]}" if name in left_out else meaning))


def cpu():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def prepare(workload, left_out, announce):
    """The functions to be timed, each run once and checked to agree with ``compiled``."""
    computations, expected = {}, None
    for name in CONTENDERS:
        if name in left_out or not getattr(workload, name, None):
            continue
        announce(f"preparing {name}")
        try:
            compute = workload.prepare(name)
            result = flat(compute())
        except RuntimeError as error:  # such as torch.compile's, where there is no C++ compiler
            left_out[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            continue
        expected = result if expected is None else expected
        difference = np.linalg.norm(result - expected) / np.linalg.norm(expected)
        assert difference < TOLERANCE, f"{name} and compiled differ by {difference:.1e} of the result's norm"
        computations[name] = compute
    announce("measuring")
    return computations


def flat(arrays):
    return np.concatenate([np.ravel(np.asarray(x.detach() if hasattr(x, "detach") else x)) for x in arrays])


def measure(computations, seconds):
    """For each computation, the seconds of each call."""
    times = {name: [] for name in computations}
    to_do = list(computations)
    while to_do:
        for name in to_do:
            for _ in range(TURN):
                if sum(times[name]) < seconds:
                    start = perf_counter()
                    computations[name]()
                    times[name].append(perf_counter() - start)
                    if times[name][-1] > LONG:
                        break
        to_do = [name for name in to_do if len(times[name]) < CALLS and sum(times[name]) < seconds]
    return times


def summary(times):
    own = times["compiled"]
    return {name: {"median_ms": 1000 * median(ts), "minimum_ms": 1000 * min(ts), "calls": len(ts),
                   "ratio_of_medians": median(ts) / median(own), "ratio_of_minima": min(ts) / min(own)}
            for name, ts in times.items()}


def cell(name, figures):
    if name == "compiled":
        return f"{figures['median_ms']:.3g} ({figures['minimum_ms']:.3g})"
    return f"{figures['ratio_of_medians']:.2f} ({figures['ratio_of_minima']:.2f})"


def line(label, cells):
    return f"{label:24}" + "".join([f"{text:>15}" for text in cells])


# ------------------------------------------------------------------------------------- what the libraries have in common


def network(params, x, relu):
    w1, b1, w2, b2, w3, b3 = params
    return relu(relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3


def mapped_maml_loss(grad, vmap, relu, step_size, steps):
    """MAML for one task as a function, mapped over the tasks, for torch.func and JAX."""

    def loss(params, x, y):
        return ((network(params, x, relu) - y) ** 2).mean()

    def query_loss(params, x, y, query_x, query_y):
        for _ in range(steps):
            params = [p - step_size * g for p, g in zip(params, grad(loss)(params, x, y), strict=True)]
        return loss(params, query_x, query_y)

    return lambda params, *data: vmap(query_loss, (None, 0, 0, 0, 0))(params, *data).mean()


def torch_training(loss, params, batches):
    torch = one_threaded_torch()
    params = [torch.tensor(p).requires_grad_() for p in params]
    optimizer = torch.optim.Adam(params, fused=True)

    def compute():
        optimizer.zero_grad()
        value = loss(params, *map(torch.from_numpy, next(batches)))
        value.backward()
        optimizer.step()
        return [value.item(), *params]

    return compute


def jax_training(loss, params, batches):
    import jax
    from jax.numpy import array, sqrt, zeros_like

    def step(params, means, squares, t, *data):
        value, gradients = jax.value_and_grad(loss)(params, *data)
        rate, scale = 0.001 / (1 - 0.9**t), 1 / sqrt(1 - 0.999**t)
        means = [0.9 * m + 0.1 * g for m, g in zip(means, gradients, strict=True)]
        squares = [0.999 * s + 0.001 * g * g for s, g in zip(squares, gradients, strict=True)]
        params = [p - rate * m / (sqrt(s) * scale + 1e-8) for p, m, s in zip(params, means, squares, strict=True)]
        return params, means, squares, t + 1, value

    step = jax.jit(step, donate_argnums=(0, 1, 2, 3))
    params = [array(p) for p in params]
    state = params, [zeros_like(p) for p in params], [zeros_like(p) for p in params], array(1.0)

    def compute():
        nonlocal state
        *state, value = step(*state, *next(batches))
        return [float(value), *state[0]]

    return compute


def one_threaded_torch():
    import torch

    torch.set_num_threads(1)
    return torch


# ---------------------------------------------------------------------------------------------------------- workloads


class MetaGradient:
    """One meta-gradient of MAML, second order, on the sine waves and with the network of the paper."""

    step_size = 0.01

    def __init__(self, tasks=25, steps=1, width=40):
        self.tasks, self.steps = tasks, steps
        self.params = init_mlp([1, width, width, 1], rng=0, dtype="float32")
        self.batch = next(self.batches())

    def batches(self):
        rng, waves = np.random.default_rng(0), SineTasks(dtype="float32")
        while True:
            yield waves.sample(self.tasks, 10, 10, rng)

    def prepare(self, contender):
        return getattr(self, contender)()

    def arrays(self, convert=np.asarray):
        """The parameters and (support x, support y, query x, query y), in a library's own arrays."""
        return [convert(p.numpy()) for p in leaves(self.params)], [convert(part) for part in parts(self.batch)]

    def objective(self, params, batch):
        return maml_loss(lambda params, x, y: mse_loss(mlp(params, x), y), params, batch, self.step_size, self.steps)

    def meta_gradient(self, params, batch):
        return grad(self.objective(params, batch), leaves(params))

    def compiled(self):
        return partial(compile(self.meta_gradient), self.params, self.batch)

    def eager(self):
        return partial(self.meta_gradient, self.params, self.batch)

    def torch(self):
        torch = one_threaded_torch()
        params, data = self.arrays(torch.tensor)
        params = [p.requires_grad_() for p in params]
        return lambda: torch.autograd.grad(self.torch_loss(params, *data), params)

    def torch_loss(self, params, x, y, query_x, query_y):
        import torch

        def losses(params, x, y):  # baddbmm and mse_loss take three quarters of the time of +, @ and **
            w1, b1, w2, b2, w3, b3 = params
            h = torch.relu(torch.baddbmm(b1, x, w1))
            h = torch.relu(torch.baddbmm(b2, h, w2))
            return torch.nn.functional.mse_loss(torch.baddbmm(b3, h, w3), y, reduction="none").mean((-2, -1))

        adapted = [p.expand(self.tasks, *p.shape) for p in params]
        for _ in range(self.steps):
            gradients = torch.autograd.grad(losses(adapted, x, y).sum(), adapted, create_graph=True)
            adapted = [torch.sub(p, g, alpha=self.step_size) for p, g in zip(adapted, gradients, strict=True)]
        return losses(adapted, query_x, query_y).mean()

    def torch_func(self, transform=lambda f: f):
        torch = one_threaded_torch()
        params, data = self.arrays(torch.tensor)
        loss = mapped_maml_loss(torch.func.grad, torch.func.vmap, torch.relu, self.step_size, self.steps)
        return partial(transform(torch.func.grad(loss)), params, *data)

    def torch_compile(self):
        import torch

        torch.compiler.reset()  # else it compiles for any shapes as soon as it has seen two workloads, and to slower code
        return self.torch_func(partial(torch.compile, dynamic=False))

    def jax_loss(self):
        import jax

        return mapped_maml_loss(jax.grad, jax.vmap, jax.nn.relu, self.step_size, self.steps)

    def jax(self):
        import jax

        params, data = self.arrays(jax.numpy.array)
        meta_gradient = jax.jit(jax.grad(self.jax_loss()))
        return lambda: jax.block_until_ready(meta_gradient(params, *data))

    def autograd(self):
        import autograd

        params, (x, y, query_x, query_y) = self.arrays()
        copies = np.ones((self.tasks, 1, 1), "float32")

        def losses(params, x, y):
            return ((network(params, x, lambda z: autograd.numpy.maximum(z, 0)) - y) ** 2).mean((-2, -1))

        def meta_loss(params):
            adapted = [p * copies for p in params]
            for _ in range(self.steps):
                gradients = autograd.grad(lambda params: losses(params, x, y).sum())(adapted)
                adapted = [p - self.step_size * g for p, g in zip(adapted, gradients, strict=True)]
            return losses(adapted, query_x, query_y).mean()

        return partial(autograd.grad(meta_loss), params)


def parts(batch):
    return [np.ascontiguousarray(part) for part in (*batch.support, *batch.query)]


class ColdStart(MetaGradient):
    """From starting Python to the first meta-gradient: imports, recording and compiling included."""

    def prepare(self, contender):
        # Leaving at once spares the libraries the time to tidy up.
        program = ("import os; from tinygrad_meta.bench import MetaGradient, flat\n"
                   f"print(flat(MetaGradient().prepare({contender!r})()).tolist(), flush=True); os._exit(0)")

        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}  # as usual: what is imported was compiled before

        def compute():
            done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, check=True)
            return [json.loads(done.stdout)]

        return compute


class MetaTraining(MetaGradient):
    """Meta-training as a user meets it: sampling tasks, the meta-gradient and Adam, a hundred times."""

    def prepare(self, contender):
        step = super().prepare(contender)

        lengths = chain([1], repeat(100))  # results are compared after the first: later, Adam has enlarged rounding errors

        def compute():
            for _ in range(next(lengths)):
                result = step()
            return result

        return compute

    def compiled(self):
        return self.own(eager=False)

    def eager(self):
        return self.own(eager=True)

    def own(self, eager):
        run = train(self.objective, self.params, self.batches(), repeat(0.001), eager=eager)
        return lambda: [part for state in reversed(next(run)) for part in leaves(state)]

    def torch(self):
        return torch_training(self.torch_loss, self.arrays()[0], map(parts, self.batches()))

    def jax(self):
        return jax_training(self.jax_loss(), self.arrays()[0], map(parts, self.batches()))

    torch_func = torch_compile = autograd = None


class TrainingStep:
    """One step of training a classifier of 64 images: a network 784-256-128-10, cross entropy and Adam.

    With one batch alone it would soon be learned by heart, and the squares of its gradients too small for normal numbers, on
    which processors are slow (and which JAX takes for 0).
    """

    def __init__(self):
        rng = np.random.default_rng(0)
        self.params = [p.numpy() for p in leaves(init_mlp([784, 256, 128, 10], rng, "he", "float32"))]
        self.data = [(rng.random((64, 784), "float32"), rng.integers(10, size=64)) for _ in range(50)]

    def prepare(self, contender):
        return getattr(self, contender)()

    def compiled(self):
        return self.own(partial(compile, reuse_outputs=True))

    def eager(self):
        return self.own(lambda step: step)

    def own(self, transform):
        """One function, with Adam in it.  The parameters are parts of one vector, which is what Adam moves."""
        like, optimizer = [Tensor(p) for p in self.params], Adam()
        theta = as_vector(like)
        sums, batches = [0 * theta, 0 * theta], cycle(self.data)

        def loss(params, x, labels):
            return cross_entropy(network(params, x, relu), labels)

        @transform
        def step(theta, sums, rates, x, labels):
            value, gradients = value_and_grad(loss)(split(theta, like), x, labels)
            return *optimizer.move(theta, as_vector(gradients), sums, *rates), value

        def compute():
            nonlocal theta, sums
            optimizer.steps += 1
            rates = np.array(optimizer.rates(optimizer.steps), theta.dtype)
            theta, sums, value = step(theta, sums, rates, *next(batches))
            return [value.item(), theta]

        return compute

    def torch(self):
        import torch

        def loss(params, x, labels):
            return torch.nn.functional.cross_entropy(network(params, x, torch.relu), labels)

        return torch_training(loss, self.params, cycle(self.data))

    def jax(self):
        import jax

        def loss(params, x, labels):
            chosen = jax.nn.one_hot(labels, 10) * jax.nn.log_softmax(network(params, x, jax.nn.relu))
            return -chosen.sum(-1).mean()

        return jax_training(loss, self.params, cycle(self.data))


WORKLOADS = {
    "meta-gradient": MetaGradient,
    "5 inner steps": partial(MetaGradient, steps=5),
    "10 inner steps": partial(MetaGradient, steps=10),
    "1 task": partial(MetaGradient, tasks=1),
    "1,000 tasks": partial(MetaGradient, tasks=1000),
    "width 128": partial(MetaGradient, width=128),
    "width 512": partial(MetaGradient, width=512),
    "100 meta-training steps": MetaTraining,
    "MLP training step": TrainingStep,
    "cold start": ColdStart,
}
