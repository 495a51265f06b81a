"""From a graph to a smaller graph with the same value.

Three passes come with building a graph at all.  Dead code: a graph *is* what its outputs depend on, and what they do not
depend on is never copied.  Common subexpressions: the same operation on the same inputs is the same node.  Constant folding:
an operation on constants is computed at once.  What is left is algebra, the list of rewrites at the end of this file: each
has a pattern, a replacement and a test case.
"""

from math import prod

import numpy as np

from ..ops import OPERATIONS, broadcast_to, identity, product_tn, sum_to
from .record import Node

ELEMENTWISE = {name for name, op in OPERATIONS.items() if op.elementwise}
COMMUTATIVE = {"add", "multiply", "maximum", "minimum", "equal", "not_equal"}
PRODUCTS = {"product", "product_nt", "product_tn"}


def simplify(outputs, rewrites=None):
    """Apply all passes until nothing changes."""
    outputs = rewritten(outputs, SAFE if rewrites is None else rewrites)
    if rewrites is not None:
        return outputs
    candidates = [outputs, rewritten(outputs, SAFE + REORDERING)]
    return min(candidates, key=cost)


def rewritten(outputs, rewrites):
    """Copy the graph, replacing every node to which a rewrite applies, until none does."""
    changes = True
    while changes:
        graph, new, changes = Graph(), {}, 0
        for node in order(outputs):
            new[node] = graph.copy(node, [new[x] for x in node.inputs])
            for rewrite in rewrites:
                replacement = rewrite.replace(new[node], graph)
                if replacement is not None and replacement is not new[node]:
                    new[node], changes = replacement, changes + 1
        outputs = [new[node] for node in outputs]
    return outputs


def order(outputs):
    """All nodes that the outputs depend on, every node after its inputs."""
    done, ordered, to_visit = set(), [], [(node, False) for node in reversed(outputs)]
    while to_visit:
        node, inputs_are_done = to_visit.pop()
        if inputs_are_done:
            ordered.append(node)
        elif node not in done:
            done.add(node)
            to_visit.append((node, True))
            to_visit += [(x, False) for x in reversed(node.inputs)]
    return ordered


class Graph:
    """Builds nodes, each only once."""

    def __init__(self):
        self.known = {}

    def __call__(self, kind, *inputs, **attrs):
        """A new operation: ``graph("multiply", x, 2)``.  Numbers become constants of the other operand's type."""
        dtype = next(x.dtype for x in inputs if isinstance(x, Node))
        inputs = [x if isinstance(x, Node) else self.constant(np.asarray(x, dtype)) for x in inputs]
        return self.build(OPERATIONS[kind], inputs, attrs)

    def copy(self, node, inputs):
        if node.value is not None:
            return self.constant(node.value, node.name)
        if node.op is None:
            return node
        return self.build(node.op, inputs, node.attrs, node)

    def constant(self, value, name=""):
        if value.size > 1 and (value == value.flat[0]).all():
            return self("broadcast_to", self.constant(value.flat[0].reshape(())), shape=value.shape)
        key = ("constant", value.dtype, value.shape, value.tobytes() if value.size < 10_000 else id(value))
        return self.known.setdefault(key, Node(None, (), {}, value.shape, value.dtype, value, name))

    def build(self, op, inputs, attrs, like=None):
        if op.name in COMMUTATIVE:
            inputs = sorted(inputs, key=lambda x: (x.value is not None, x.number))  # constants last
        key = (op.name, tuple([id(x) for x in inputs]), frozen(attrs))
        if key not in self.known:
            if all([x.value is not None for x in inputs]) and op.name != "broadcast_to":
                self.known[key] = self.constant(np.asarray(op.forward(*[x.value for x in inputs], **attrs)))
            else:
                shape, dtype = (like.shape, like.dtype) if like else infer(op, inputs, attrs)
                self.known[key] = Node(op, tuple(inputs), attrs, shape, dtype)
        return self.known[key]


def infer(op, inputs, attrs):
    """Shape and dtype of an operation's result."""
    if op.name in PRODUCTS:
        x, y = (z.shape for z in inputs)
        rows = x[-1] if op.name == "product_tn" else x[-2]
        columns = y[-2] if op.name == "product_nt" else y[-1]
        return (*np.broadcast_shapes(x[:-2], y[:-2]), rows, columns), np.result_type(*[z.dtype for z in inputs])
    out = op.forward(*[np.broadcast_to(np.ones((), x.dtype), x.shape) for x in inputs], **attrs)
    return out.shape, out.dtype


def frozen(value):
    """Attributes as something that can be a dictionary's key."""
    if isinstance(value, dict):
        return tuple([(key, frozen(part)) for key, part in sorted(value.items())])
    if isinstance(value, (tuple, list)):
        return tuple([frozen(part) for part in value])
    if isinstance(value, slice):
        return ("slice", value.start, value.stop, value.step)
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    return (type(value).__name__, value)


# -------------------------------------------------------------------------------------------------------- rewrites


class Rewrite:
    """One line of algebra.

    ``pattern`` is its name, as a formula; ``replace(node, graph)`` returns the replacement, or None where the pattern does not
    match; ``case`` is a function of arrays to which it applies, and ``shapes`` are the shapes of those arrays: its test.
    """

    def __init__(self, pattern, replace, case, shapes):
        self.pattern, self.replace, self.case, self.shapes = pattern, replace, case, shapes


def rewrite(group, pattern, case, *shapes):
    def enter(replace):
        group.append(Rewrite(pattern, replace, case, shapes))
        return replace

    return enter


SAFE, REORDERING = [], []


def number(node):
    """The value of a scalar constant, else None."""
    return node.value.item() if node.value is not None and node.value.size == 1 else None


def same(node, replacement, graph):
    """The replacement in the shape of what it replaces."""
    return replacement if replacement.shape == node.shape else graph("broadcast_to", replacement, shape=node.shape)


# Ones, zeros and signs.  (x * 0 stays: it is nan where x is.)


@rewrite(SAFE, "x * 1 = x", lambda x: x * 1, (3,))
def times_one(node, graph):
    match node:
        case Node("multiply" | "divide" | "power", [x, c]) if number(c) == 1:
            return same(node, x, graph)


@rewrite(SAFE, "x + 0 = x", lambda x: x - 0 + 0, (3,))
def plus_zero(node, graph):
    match node:
        case Node("add" | "subtract", [x, c]) if number(c) == 0:
            return same(node, x, graph)


@rewrite(SAFE, "--x = x", lambda x: -(-x), (3,))
def double_negation(node, graph):
    match node:
        case Node("negative", [Node("negative", [x])]):
            return x


@rewrite(SAFE, "x + -y = x - y", lambda x, y: (-y + x) - (-x), (3,), (3,))
def add_negative(node, graph):
    match node:
        case Node("add", [x, Node("negative", [y])]) | Node("add", [Node("negative", [y]), x]):
            return graph("subtract", x, y)
        case Node("subtract", [x, Node("negative", [y])]):
            return graph("add", x, y)


@rewrite(SAFE, "x + x = x * 2", lambda x: x + x, (3,))
def twice(node, graph):
    match node:
        case Node("add", [x, y]) if x is y:
            return graph("multiply", x, 2)


# Scalar factors are gathered, and kept where the arrays are small.


@rewrite(SAFE, "(x * c) * d = x * (c * d)", lambda x: x * 3 * 5, (3,))
def gather_factors(node, graph):
    match node:
        case Node("multiply", [Node("multiply", [x, c]), d]) if None not in (number(c), number(d)) and x.value is None:
            return graph("multiply", x, number(c) * number(d))


@rewrite(SAFE, "-(x * c) = x * -c", lambda x: -(x * 3) + (-x) * 5, (3,))
def gather_signs(node, graph):
    match node:
        case Node("negative", [Node("multiply", [x, c])]) | Node("multiply", [Node("negative", [x]), c]) if number(c) is not None:
            return graph("multiply", x, -number(c))


@rewrite(SAFE, "sum(x * c) = sum(x) * c", lambda x: sum_to(x * 3, (1, 4)), (3, 4))
def factor_out_of_sum(node, graph):
    match node:
        case Node("sum_to" | "sum", [Node("multiply", [x, c])]) if number(c) is not None and x.shape == node.inputs[0].shape:
            return graph("multiply", graph(node.kind, x, **node.attrs), number(c))
        case Node("sum_to", [Node("negative", [x])]):
            return graph("negative", graph("sum_to", x, **node.attrs))


@rewrite(SAFE, "(x @ y) * c = (x * c) @ y", lambda x, y: (x @ y) * 3, (9, 2), (2, 9))
def factor_into_product(node, graph):
    match node:
        case Node("multiply", [Node(kind, [x, y]), c]) if kind in PRODUCTS and number(c) is not None:
            return scaled_product(kind, x, y, number(c), node, graph)
        case Node("negative", [Node(kind, [x, y])]) if kind in PRODUCTS:
            return scaled_product(kind, x, y, -1, node, graph)


def scaled_product(kind, x, y, factor, node, graph):
    if min(size(x), size(y)) < size(node):
        if size(x) < size(y):
            return graph(kind, graph("multiply", x, factor), y)
        return graph(kind, x, graph("multiply", y, factor))


# Shapes: what cancels, and what broadcasting makes unnecessary.


@rewrite(SAFE, "identity(x) = x", lambda x: identity(x) + 1, (3,))
def drop_identity(node, graph):
    match node:
        case Node("identity", [x]) | Node("constant_in", [x, *_]):
            return x
        case Node("reshape" | "broadcast_to" | "sum_to" | "cast", [x]) if (x.shape, x.dtype) == (node.shape, node.dtype):
            return x


@rewrite(SAFE, "reshape(reshape(x)) = reshape(x)", lambda x: x.reshape(4, 3).reshape(12), (3, 4))
def merge_shapes(node, graph):
    match node:
        case Node("reshape" | "broadcast_to" | "sum_to" as kind, [Node(inner, [x])]) if kind == inner:
            return graph(kind, x, shape=node.shape)
        case Node("permute_dims", [Node("permute_dims", [x])]):
            first, second = axes_of(node.inputs[0]), axes_of(node)
            axes = tuple([first[i] for i in second])
            return x if axes == tuple(range(len(axes))) else graph("permute_dims", x, axes=axes)


def axes_of(node):
    ndim = len(node.shape)
    axes = node.attrs.get("axes")
    return tuple(range(ndim))[::-1] if axes is None else tuple([a % ndim for a in axes])


@rewrite(SAFE, "broadcast(x) * y = x * y", lambda x, y: broadcast_to(x, (4, 3)) * y, (3,), (4, 3))
def broadcast_late(node, graph):
    if node.kind in ELEMENTWISE and any([x.kind == "broadcast_to" for x in node.inputs]):
        inputs = [x.inputs[0] if x.kind == "broadcast_to" else x for x in node.inputs]
        return same(node, graph(node.kind, *inputs, **node.attrs), graph)


@rewrite(SAFE, "sum_to(broadcast(x)) = x * n", lambda x: sum_to(broadcast_to(x, (4, 3)), (3,)), (3,))
def sum_of_broadcast(node, graph):
    match node:
        case Node("sum_to", [Node("broadcast_to", [x])]) if x.shape == node.shape and size(x):
            return graph("multiply", x, size(node.inputs[0]) / size(x))
        case Node("sum", [Node("broadcast_to", [x])]) if node.shape == () and size(x):
            return graph("multiply", graph("sum", x), size(node.inputs[0]) / size(x))


# Products.


@rewrite(SAFE, "x @ y = x * y, if the inner dimension is 1", lambda x, y: x @ y, (5, 3, 1), (5, 1, 4))
def outer_product(node, graph):
    match node:
        case Node("product" | "product_nt" | "product_tn" as kind, [x, y]) if inner_dimension(node) == 1:
            x = transposed(x, graph) if kind == "product_tn" else x
            y = transposed(y, graph) if kind == "product_nt" else y
            return graph("multiply", x, y)


@rewrite(SAFE, "x * a + y * b = [x y] @ [a; b], for columns x, y and rows a, b",
         lambda x, y, a, b: x * a + y * b, (5, 3, 1), (5, 3, 1), (5, 1, 4), (5, 1, 4))  # fmt: skip
def two_outer_products(node, graph):
    if node.kind != "add" or len(node.shape) < 2:
        return None
    (x, a), (y, b) = (outer_factors(term, node, graph) for term in node.inputs)
    if x and y and a.shape == b.shape and "multiply" in (node.inputs[0].kind, node.inputs[1].kind):
        return graph("product", graph("join", x, y, axis=-1), graph("join", a, b, axis=-2))


def outer_factors(term, node, graph):
    """A column and a row whose product is the term; of a row, the column is all ones."""
    column, rows = (*node.shape[:-1], 1), ((*node.shape[:-2], 1, node.shape[-1]), (1, node.shape[-1]))
    if node.shape[-1] > 1 and term.shape in rows:
        return graph("broadcast_to", graph.constant(np.ones((), node.dtype)), shape=column), term
    if term.kind == "multiply":
        for x, a in (term.inputs, term.inputs[::-1]):
            if x.shape == column and a.shape in rows and node.shape[-1] > 1:
                return x, a
    return None, None


@rewrite(SAFE, "batches @ w = one large product", lambda x, w: x @ w, (5, 3, 4), (4, 2))
def one_large_product(node, graph):
    match node:
        case Node("product" | "product_nt" as kind, [x, y]):
            w = y.inputs[0] if y.kind == "broadcast_to" else y
            if len(x.shape) > 2 and size(w) == w.shape[-1] * w.shape[-2] and x.shape[:-1] == node.shape[:-1]:
                flat = graph("reshape", x, shape=(-1, x.shape[-1]))
                w = graph("reshape", w, shape=w.shape[-2:])
                return graph("reshape", graph(kind, flat, w), shape=node.shape)


@rewrite(SAFE, "sum over batches of x.T @ y = one large product", lambda x, y: sum_to(product_tn(x, y), (4, 2)), (5, 3, 4), (5, 3, 2))
def one_large_sum(node, graph):
    match node:
        case Node("sum_to", [Node("product_tn", [x, y])]) if x.shape[:-1] == y.shape[:-1] and size(node) == x.shape[-1] * y.shape[-1]:
            x, y = (graph("reshape", z, shape=(-1, z.shape[-1])) for z in (x, y))
            return graph("reshape", graph("product_tn", x, y), shape=node.shape)


# Reordering changes how much work there is, for better or worse.  The graph is simplified with and without these, and the
# cheaper one is kept.


@rewrite(REORDERING, "a @ (b @ c) = (a @ b) @ c", lambda a, b, c: a @ product_tn(b, c), (3, 9), (2, 9), (2, 9))
def reassociate(node, graph):
    match node:
        case Node("product", [a, Node("product_tn", [b, c])]):
            return cheaper(node, graph("product", graph("product_nt", a, b), c), node.inputs[1])
        case Node("product_nt", [a, Node("product_tn", [b, c])]):
            return cheaper(node, graph("product", graph("product_nt", a, c), b), node.inputs[1])


def cheaper(node, replacement, inner):
    def flops(product):
        return size(product) * inner_dimension(product)

    return replacement if flops(replacement) + flops(replacement.inputs[0]) < flops(node) + flops(inner) else None


@rewrite(REORDERING, "x @ (a - b) = x @ a - x @ b", lambda x, a, b, c: x @ (a - product_tn(b, c)), (3, 9), (9, 9), (2, 9), (2, 9))
def distribute(node, graph):
    match node:
        case Node("product" | "product_nt" as kind, [x, Node("add" | "subtract" as sign, [a, b])]) if low_rank(a) or low_rank(b):
            if a.shape[-2:] == b.shape[-2:]:
                return graph(sign, graph(kind, x, a), graph(kind, x, b))


def low_rank(node):
    """Whether a matrix is a product through a dimension much smaller than its own."""
    if node.kind in ("add", "subtract"):
        return any([low_rank(x) for x in node.inputs])
    return node.kind in PRODUCTS and 2 * inner_dimension(node) < min(node.shape[-2:])


@rewrite(REORDERING, "sum_to(x + y) = sum_to(x) + sum_to(y)", lambda x, y: sum_to(x + y, (1, 4)), (3, 4), (3, 4))
def distribute_sum(node, graph):
    match node:
        case Node("sum_to", [Node("add" | "subtract" as sign, [x, y])]) if x.shape == y.shape == node.inputs[0].shape:
            if absorbs_sum(x) or absorbs_sum(y):
                return graph(sign, graph("sum_to", x, shape=node.shape), graph("sum_to", y, shape=node.shape))


def absorbs_sum(node):
    """Whether summing a term costs nothing, because it becomes part of what computes it."""
    return node.kind in ("product_tn", "sum_to") or node.kind in ("add", "subtract") and any([absorbs_sum(x) for x in node.inputs])


def size(node):
    return prod(node.shape)


def inner_dimension(product):
    return product.inputs[0].shape[-2 if product.kind == "product_tn" else -1]


def transposed(x, graph):
    return graph("permute_dims", x, axes=(*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2))


# ------------------------------------------------------------------------------------------------------------ cost

VIEWS = {"reshape", "broadcast_to", "permute_dims", "identity", "constant_in"}


def cost(outputs):
    """Microseconds that a graph takes, roughly: enough to choose between two."""
    return sum([cost_of(node) for node in order(outputs)])


def cost_of(node):
    if node.op is None or node.kind in VIEWS:
        return 0
    if node.kind in PRODUCTS:
        matrices = size(node) // max(1, node.shape[-1] * node.shape[-2])
        return 1 + matrices * 0.2 + size(node) * inner_dimension(node) * 2.2e-5
    largest = max([size(node), *[size(x) for x in node.inputs]])
    return 1 + largest * (1e-4 if all([x.shape in (node.shape, ()) for x in node.inputs]) else 3e-4)
