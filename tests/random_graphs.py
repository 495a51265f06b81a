"""Random graphs for property tests, and the plainest way to run a graph, which everything faster is compared with."""

import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st

import tinygrad_meta as tg
from tinygrad_meta import ops
from tinygrad_meta.graph.simplify import order


def replay(inputs, outputs, arguments):
    """Run a graph node by node with the operations that it was recorded from.  The results can be differentiated."""
    values = dict(zip(inputs, arguments, strict=True))
    for node in order(outputs):
        if node.op:
            values[node] = getattr(ops, node.op.name)(*[values[x] for x in node.inputs], **node.attrs)
        elif node.value is not None:
            values[node] = tg.tensor(node.value)
    return [values[node] for node in outputs]


FAMILIES = [  # shapes that fit together, by broadcasting or in products
    [(), (3,), (1, 3), (2, 1), (2, 3), (3, 2), (2, 2, 3), (2, 1, 3), (0, 3)],
    [(2, 5), (5, 2), (5, 5), (1, 5), (5, 1)],
    [(3, 2, 5), (3, 5, 2), (3, 5, 5), (3, 1, 5), (3, 2, 1), (5, 5), (1, 5), (2, 5)],
]
INDICES = [0, slice(1, None), [1, 0]]
WITH_A_NUMBER = ["times", "plus", "over", "minus", "times constants"]
NUMBERS = [0.0, 1.0, -1.0, 2.0, 0.5, -3.0]
SMOOTH = ["sin", "tanh", "sigmoid", "negative", "square", "identity"]
PRODUCTS = ["product", "product_nt", "product_tn"]
LARGE = 20  # numbers that are larger go through tanh


@dataclass
class RandomFunction:
    """A straight-line program: each step is applied to results of earlier ones.  The value is a sum over the last three."""

    shapes: list
    steps: list  # of (operation, positions of its operands, what else it is called with)

    def __call__(self, *xs):
        values = list(xs)
        for name, positions, options in self.steps:
            values.append(apply(name, [values[i] for i in positions], options))
        total = tg.sum(values[-1] * np.cos(np.arange(values[-1].size)).reshape(values[-1].shape))  # each entry counts
        for v in values[-3:-1]:
            total = total + 0.5 * tg.sum(v)
        return total

    def arrays(self):
        rng = np.random.default_rng(1)
        return [np.asarray(rng.uniform(-1, 1, shape)) for shape in self.shapes]


def apply(name, operands, options):
    x = operands[0]
    if name in ("times", "plus", "over", "minus"):
        return {"times": x * options, "plus": options + x, "over": x / (options or 1.0), "minus": x - options}[name]
    if name == "times constants":
        return x * np.full(x.shape, options)
    if name == "join":
        return ops.join(*operands, axis=-1)
    return getattr(ops, name)(*operands, **options)


def possible_steps(values, shapes):
    """Everything that the operations can do with these values."""
    numbered = list(enumerate(values))
    steps = [(name, [i], {}) for name in SMOOTH for i, _ in numbered]
    # At the kink of relu, finite differences mean nothing.
    steps += [("relu", [i], {}) for i, x in numbered if np.abs(x).min(initial=1) > 1e-3]
    steps += [(name, [i], c) for name in WITH_A_NUMBER for c in NUMBERS for i, _ in numbered]
    steps += [("sum", [i], {"axis": axis}) for i, x in numbered for axis in (0, -1) if x.ndim]
    steps += [("getitem", [i], {"index": index}) for i, x in numbered for index in INDICES if x.ndim and len(x) > 1]
    steps += [("reshape", [i], {"shape": x.shape[::-1]}) for i, x in numbered if x.ndim > 1]
    steps += [("permute_dims", [i], {"axes": axes_swapped(x)}) for i, x in numbered if x.ndim > 1]
    steps += [("broadcast_to", [i], {"shape": shape}) for i, x in numbered for shape in shapes if stretches(x.shape, shape)]
    steps += [("sum_to", [i], {"shape": shape}) for i, x in numbered for shape in shapes if stretches(shape, x.shape)]
    for i, x in numbered:
        for j, y in numbered:
            if stretches(x.shape, y.shape) or stretches(y.shape, x.shape):
                steps += [(name, [i, j], {}) for name in ("add", "subtract", "multiply")]
            if x.ndim > 1 and y.ndim > 1:
                (*_, a, b), (*_, c, d) = x.shape, y.shape
                fits = zip(PRODUCTS, (b == c, b == d, a == c), strict=True)
                steps += [(name, [i, j], {}) for name, fit in fits if fit and stretches(y.shape[:-2], x.shape[:-2])]
                if x.shape[:-1] == y.shape[:-1]:
                    steps.append(("join", [i, j], {}))
    return steps


def axes_swapped(x):
    return (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)


@lru_cache(None)
def stretches(shape, to):
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def random_function(seed, n_steps):
    """Steps are run while they are drawn, so that each fits.  With the same seed, more steps begin with the fewer."""
    rng = random.Random(seed)
    family = rng.choice(FAMILIES)
    function = RandomFunction(rng.choices(family, k=rng.randint(1, 3)), [])
    values = function.arrays()

    def take(name, positions, options):
        function.steps.append((name, positions, options))
        values.append(apply(name, [tg.tensor(values[i]) for i in positions], options).data)

    for _ in range(n_steps):
        steps = possible_steps(values, family)
        names = sorted({name for name, *_ in steps})
        name = rng.choice(names + 2 * [name for name in names if name in PRODUCTS])
        newest = [step for step in steps if step[0] == name and len(values) - 1 in step[1]]
        take(*rng.choice(newest or [step for step in steps if step[0] == name]))
        if np.abs(values[-1]).max(initial=0) > LARGE:
            take("tanh", [len(values) - 1], {})
    return function


def functions(max_steps=15):
    """Random functions of one to three arrays."""
    return st.builds(random_function, st.integers(0, 10**9), st.integers(1, max_steps))
