"""Random graphs for property tests, and the plainest way to run a graph, which everything faster is compared with."""

from dataclasses import dataclass

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


SHAPES = [(), (3,), (1, 3), (2, 1), (2, 3), (3, 2), (2, 2), (2, 3, 1), (2, 2, 3), (2, 1, 3), (0, 3)]
NUMBERS = [0.0, 1.0, -1.0, 2.0, 0.5, -3.0]
SMOOTH = ["sin", "tanh", "sigmoid", "negative", "square", "identity"]  # a kink would make finite differences lie


@dataclass
class RandomFunction:
    """A straight-line program: each step is applied to results of earlier ones.  Its value is a weighted sum of all of them."""

    shapes: list
    steps: list  # of (operation, positions of its operands, what else it is called with)

    def __call__(self, *xs):
        values = list(xs)
        for name, positions, attrs in self.steps:
            values.append(apply(name, [values[i] for i in positions], attrs))
        return tg.stack([tg.sum(v) * (0.5 + i) for i, v in enumerate(values[-3:])]).sum()

    def arrays(self):
        rng = np.random.default_rng(len(self.steps))
        return [rng.uniform(-1, 1, shape) for shape in self.shapes]


def apply(name, operands, attrs):
    if name in ("times", "plus", "over"):
        (x,) = operands
        return {"times": x * attrs, "plus": attrs + x, "over": x / (attrs or 1.0)}[name]
    if name == "stretched":  # a constant that is the same everywhere
        return operands[0] * np.full((2, 3), attrs)
    if name == "join":
        return ops.join(*operands, axis=-1)
    return getattr(ops, name)(*operands, **attrs)


def fitting(values):
    """Everything that the operations can do with these values."""
    numbered = list(enumerate(values))
    steps = [(name, [i], {}) for name in SMOOTH for i, _ in numbered]
    steps += [(name, [i], c) for name in ("times", "plus", "over") for c in NUMBERS for i, _ in numbered]
    steps += [("permute_dims", [i], {}) for i, x in numbered if x.ndim > 1]
    steps += [("sum", [i], {"axis": axis}) for i, x in numbered for axis in (0, -1) if x.ndim]
    steps += [("getitem", [i], {"index": index}) for i, x in numbered for index in (0, slice(1, None), [1, 0]) if x.ndim and len(x) > 1]
    steps += [("reshape", [i], {"shape": (*x.shape[::-1],)}) for i, x in numbered if x.ndim > 1]
    steps += [("broadcast_to", [i], {"shape": shape}) for i, x in numbered for shape in SHAPES if stretches(x.shape, shape)]
    steps += [("sum_to", [i], {"shape": shape}) for i, x in numbered for shape in SHAPES if stretches(shape, x.shape)]
    for i, x in numbered:
        if stretches(x.shape, (2, 3)):
            steps += [("stretched", [i], c) for c in NUMBERS]
        for j, y in numbered:
            if stretches(x.shape, y.shape) or stretches(y.shape, x.shape):
                steps += [(name, [i, j], {}) for name in ("add", "subtract", "multiply")] * 2
            if x.ndim > 1 and y.ndim > 1:
                (*_, a, b), (*_, c, d) = x.shape, y.shape
                matching = {"product": b == c, "product_nt": b == d, "product_tn": a == c}
                steps += [(name, [i, j], {}) for name in matching if matching[name] and stacks(x.shape, y.shape)] * 3
                if x.shape[:-1] == y.shape[:-1]:
                    steps.append(("join", [i, j], {}))
    return steps


def stretches(shape, to):
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def stacks(shape, other):
    return stretches(shape[:-2], other[:-2]) or stretches(other[:-2], shape[:-2])


@st.composite
def functions(draw, max_steps=15):
    """Random functions of one to three arrays.  They are run while they are drawn, so that every step fits.  No value becomes large."""
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    function = RandomFunction(shapes, [])
    values = [np.asarray(x) for x in function.arrays()]
    for _ in range(draw(st.integers(1, max_steps))):
        steps = fitting(values)
        name = draw(st.sampled_from(sorted({name for name, *_ in steps})))
        new = [draw(st.sampled_from([step for step in steps if step[0] == name]))]
        if name in ("multiply", "square", "product", "times"):
            new.append(("tanh", [len(values)], {}))
        for name, positions, attrs in new:
            function.steps.append((name, positions, attrs))
            values.append(apply(name, [tg.tensor(values[i]) for i in positions], attrs).data)
    return function
