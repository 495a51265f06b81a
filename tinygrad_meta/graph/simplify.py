"""From a graph to a smaller graph with the same value, up to rounding and the signs of zeros.

Three passes come with building a graph at all.  Dead code: a graph *is* what its outputs depend on, and what they do not
depend on is never copied.  Common subexpressions: the same operation on the same inputs is the same node.  Constant folding:
an operation on constants is computed at once.  What is left is algebra, the list of rewrites at the end of this file: each
has a pattern, a replacement and a test case.
"""

from collections import Counter, defaultdict
from math import isfinite, prod

import numpy as np

from ..ops import OPERATIONS, broadcast_to, identity, join, product_nt, product_tn, relu, step, sum_to
from .record import Node

ELEMENTWISE = {name for name, op in OPERATIONS.items() if op.elementwise}
COMMUTATIVE = {"add", "multiply", "maximum", "minimum", "equal", "not_equal"}
PRODUCTS = {"product", "product_nt", "product_tn"}


def simplify(outputs):
    """Apply the safe rewrites until nothing changes, and of what the others make of that keep the cheapest whole."""
    outputs = rewritten(outputs, SAFE)
    joined = [rewritten(outputs, SAFE + JOINING)]
    for n in range(1, len(REORDERING) + 1):
        joined.append(rewritten(joined[-1], SAFE + JOINING + REORDERING[:n]))
    costs = [cost(each) for each in joined]
    best = costs.index(min(costs))
    return min([outputs, joined[best], rewritten(outputs, SAFE + REORDERING[:best])], key=cost)


def rewritten(outputs, rewrites):
    """Copy the graph, replacing every node to which a rewrite applies, until none does."""
    by_kind = {kind: [rewrite for rewrite in rewrites if kind in rewrite.kinds] for kind in OPERATIONS}
    changes = True
    while changes:
        graph, nodes, changes = Graph(), order(outputs), 0
        new, uses, users = graph.new, Counter(outputs), defaultdict(list)
        for node in nodes:
            for x in node.inputs:
                uses[x] += 1
                users[x].append(node)
        for node in nodes:
            copy = graph.copy(node, [new[x] for x in node.inputs])
            for rewrite in by_kind.get(copy.kind, ()) if is_real(copy) else ():
                replacement = rewrite.replace(copy, graph)
                if replacement not in (None, copy) and (replacement.shape, replacement.dtype) == (copy.shape, copy.dtype):
                    copy, changes = replacement, changes + 1
                    break
            new[node] = copy
            graph.uses[copy] += uses[node]
            graph.users[copy] += users[node]
            graph.summed[copy] |= any(map(is_sum_of_rows, users[node]))
        outputs = [new[node] for node in outputs]
    return outputs


def is_real(node):
    """Whether a node is arithmetic on real numbers of one type.  Of integers, which wrap around, the algebra is not true."""
    return node.dtype.kind == "f" and all([x.dtype == node.dtype for x in node.inputs])


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
        self.new = {}  # of the graph that is being copied: node -> its copy, or what replaces it
        self.uses = Counter()  # how often is it an input, or an output of the graph?
        self.users = defaultdict(list)  # which operations use it, in the graph that is being copied?
        self.summed = defaultdict(bool)  # is the sum over its rows among them?
        self.low_rank = {}  # is it a product through a dimension much smaller than its own, or a sum with such a term?
        self.absorbs_sum = {}  # is it a kind of sum that can as well sum over more, or a sum with such a term?

    def __call__(self, kind, *inputs, **attrs):
        """A new operation: ``graph("multiply", x, 2)``.  Numbers become constants of the other operand's type."""
        dtype = next(x.dtype for x in inputs if isinstance(x, Node))
        inputs = [x if isinstance(x, Node) else self.constant(np.asarray(x, dtype)) for x in inputs]
        return self.build(OPERATIONS[kind], inputs, attrs)

    def find(self, kind, *inputs):
        """That operation on those inputs, if it is there already."""
        return self.known.get(key_of(OPERATIONS[kind], inputs, {}))

    def copy(self, node, inputs):
        if node.value is not None:
            return self.constant(node.value, node.name)
        if node.op is None:
            return node
        return self.build(node.op, inputs, node.attrs, node)

    def constant(self, value, name=""):
        if value.size > 1 and not name and value.tobytes() == value.flat[0].tobytes() * value.size:
            return self("broadcast_to", self.constant(value.flat[0].reshape(())), shape=value.shape)
        key = ("constant", value.dtype, value.shape, value.tobytes() if value.size < 10_000 else id(value))
        return self.known.setdefault(key, Node(None, (), {}, value.shape, value.dtype, value, name))

    def build(self, op, inputs, attrs, like=None):
        if op.name in COMMUTATIVE:
            inputs = sorted(inputs, key=lambda x: (x.value is not None, x.number))  # constants last
        key = key_of(op, inputs, attrs)
        if key not in self.known:
            if all([x.value is not None for x in inputs]) and op.name != "broadcast_to":
                self.known[key] = self.constant(np.asarray(op.forward(*[x.value for x in inputs], **attrs)))
            else:
                shape, dtype = (like.shape, like.dtype) if like else infer(op, inputs, attrs)
                self.known[key] = Node(op, tuple(inputs), attrs, shape, dtype)
                self.describe(self.known[key])
        return self.known[key]

    def describe(self, node):
        is_sum, is_product = node.kind in ("add", "subtract"), node.kind in PRODUCTS
        self.low_rank[node] = (is_product and 2 * inner_dimension(node) < min(node.shape[-2:])
                               or is_sum and any([self.low_rank.get(x) for x in node.inputs]))
        self.absorbs_sum[node] = (node.kind in ("product_tn", "sum_to")
                                  or is_sum and any([self.absorbs_sum.get(x) for x in node.inputs]))


def key_of(op, inputs, attrs):
    return op.name, tuple([id(x) for x in inputs]), frozen(attrs)


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
        return (type(value), *[frozen(part) for part in value])
    if isinstance(value, slice):
        return ("slice", value.start, value.stop, value.step)
    if isinstance(value, np.ndarray):
        bits = repr(value.tolist()) if value.dtype.char in "gG" else value.tobytes()  # some bytes of a longdouble mean nothing
        return (value.dtype.str, value.shape, bits)
    return (type(value).__name__, value)


# -------------------------------------------------------------------------------------------------------- rewrites


class Rewrite:
    """One line of algebra.

    ``pattern`` is its name, as a formula, and ``kinds`` are the operations that the formula may end with.
    ``replace(node, graph)`` returns the replacement, or None where the pattern does not match.  ``case`` is a function of
    arrays to which it applies, and ``shapes`` are the shapes of those arrays: its test.
    """

    def __init__(self, kinds, pattern, replace, case, shapes):
        self.kinds, self.pattern, self.replace, self.case, self.shapes = kinds, pattern, replace, case, shapes


def rewrite(group, kinds, pattern, case, *shapes):
    def enter(replace):
        group.append(Rewrite(kinds.split() if isinstance(kinds, str) else kinds, pattern, replace, case, shapes))
        return replace

    return enter


SAFE, JOINING, REORDERING = [], [], []  # the first do not make more work, whatever the graph; the others may


def number(node):
    """The value of a scalar constant, else None."""
    return node.value.item() if node.value is not None and node.value.size == 1 else None


def is_factor(c, *multiplied):
    """Whether ``c`` is a finite number of the type of all that it multiplies, so that it may as well multiply it elsewhere."""
    return number(c) is not None and isfinite(number(c)) and all([x.dtype == c.dtype for x in multiplied])


def same(node, replacement, graph):
    """The replacement in the shape of what it replaces."""
    return replacement if replacement.shape == node.shape else graph("broadcast_to", replacement, shape=node.shape)


# Ones, zeros and signs.  (x * 0 stays: it is nan where x is.)


@rewrite(SAFE, "multiply divide power", "x * 1 = x", lambda x: x * 1, (3,))
def times_one(node, graph):
    match node:
        case Node("multiply" | "divide" | "power", [x, c]) if number(c) == 1:
            return same(node, x, graph)


@rewrite(SAFE, "add subtract", "x + 0 = x", lambda x: x - 0 + 0, (3,))
def plus_zero(node, graph):
    match node:
        case Node("add" | "subtract", [x, c]) if number(c) == 0:
            return same(node, x, graph)


@rewrite(SAFE, "negative", "--x = x", lambda x: -(-x), (3,))
def double_negation(node, graph):
    match node:
        case Node("negative", [Node("negative", [x])]):
            return x


@rewrite(SAFE, "add subtract", "x + -y = x - y", lambda x, y: (-y + x) - (-x), (3,), (3,))
def add_negative(node, graph):
    match node:
        case Node("add", [x, Node("negative", [y])]) | Node("add", [Node("negative", [y]), x]):
            return graph("subtract", x, y)
        case Node("subtract", [x, Node("negative", [y])]):
            return graph("add", x, y)


@rewrite(SAFE, "add", "x + x = x * 2", lambda x: x + x, (3,))
def twice(node, graph):
    match node:
        case Node("add", [x, y]) if x is y:
            return graph("multiply", x, 2)


# Scalar factors are gathered, and kept where the arrays are small.


@rewrite(SAFE, "multiply", "(x * c) * d = x * (c * d)", lambda x: x * 3 * 5, (3,))
def gather_factors(node, graph):
    match node:
        case Node("multiply", [Node("multiply", [x, c]), d]) if is_factor(c, x) and is_factor(d, x) and x.value is None:
            factor, limits = number(c) * number(d), np.finfo(node.dtype)
            if float(limits.tiny) <= abs(factor) <= float(limits.max):  # where x * c * d may fit, c * d may not
                return graph("multiply", x, factor)


@rewrite(SAFE, "negative multiply", "-(x * c) = x * -c", lambda x: -(x * 3) + (-x) * 5, (3,))
def gather_signs(node, graph):
    match node:
        case Node("negative", [Node("multiply", [x, c])]) | Node("multiply", [Node("negative", [x]), c]) if is_factor(c, x):
            return graph("multiply", x, -number(c))


@rewrite(SAFE, "sum_to sum", "sum(x * c) = sum(x) * c", lambda x: sum_to(x * 3, (1, 4)), (3, 4))
def factor_out_of_sum(node, graph):
    match node:
        case Node("sum_to" | "sum", [Node("multiply", [x, c])]) if (
            is_factor(c, x) and x.shape == node.inputs[0].shape and graph.uses[node.inputs[0]] < 2
            and node.dtype.itemsize > 2  # float16 ends at 65,504
        ):
            return graph("multiply", graph(node.kind, x, **node.attrs), number(c))
        case Node("sum_to", [Node("negative", [x])]):
            return graph("negative", graph("sum_to", x, **node.attrs))


@rewrite(SAFE, "multiply negative", "(x @ y) * c = (x * c) @ y, if that is smaller", lambda x, y: (x @ y) * 3, (9, 2), (2, 9))
def factor_into_product(node, graph):
    match node:
        case Node("multiply", [Node(kind, [x, y]) as xy, c]) if kind in PRODUCTS and is_factor(c, x, y):
            factor = number(c)
        case Node("negative", [Node(kind, [x, y]) as xy]) if kind in PRODUCTS and is_real(xy):
            factor = -1
        case _:
            return None
    if graph.uses[xy] > 1:
        return None  # it would be computed twice, with the factor and without
    if size(x) <= size(y) and size(x) < size(node):
        return graph(kind, graph("multiply", x, factor), y)
    if size(y) < size(node):
        return graph(kind, x, graph("multiply", y, factor))


@rewrite(SAFE, PRODUCTS, "(x * c) @ y = (x @ y) * c or x @ (y * c), if that is smaller",
         lambda x, y: (x * 3) @ y, (2, 9), (9, 2))  # fmt: skip
def factor_out_of_product(node, graph):
    match node:
        case Node(kind, [Node("multiply", [x, c]), y]) if kind in PRODUCTS and is_factor(c, x, y):
            if size(node) < size(x):
                return graph("multiply", graph(kind, x, y), number(c))
            if size(y) < size(x):
                return graph(kind, x, graph("multiply", y, number(c)))
        case Node(kind, [x, Node("multiply", [y, c])]) if kind in PRODUCTS and is_factor(c, x, y):
            if size(node) < size(y):
                return graph("multiply", graph(kind, x, y), number(c))
            if size(x) < size(y):
                return graph(kind, graph("multiply", x, number(c)), y)


# Shapes: what cancels, and what broadcasting makes unnecessary.


@rewrite(SAFE, "identity constant_in reshape broadcast_to sum_to cast", "identity(x) = x", lambda x: identity(x) + 1, (3,))
def drop_identity(node, graph):
    match node:
        case Node("identity", [x]) | Node("constant_in", [x, *_]):
            return x
        case Node("reshape" | "broadcast_to" | "sum_to" | "cast", [x]) if (x.shape, x.dtype) == (node.shape, node.dtype):
            return x


@rewrite(SAFE, "reshape broadcast_to sum_to permute_dims", "reshape(reshape(x)) = reshape(x)",
         lambda x: x.reshape(4, 3).reshape(12), (3, 4))  # fmt: skip
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


@rewrite(SAFE, ELEMENTWISE, "broadcast(x) * y = x * y", lambda x, y: broadcast_to(x, (4, 3)) * y, (3,), (4, 3))
def broadcast_late(node, graph):
    if node.kind in ELEMENTWISE and any([x.kind == "broadcast_to" for x in node.inputs]):
        inputs = [x.inputs[0] if x.kind == "broadcast_to" else x for x in node.inputs]
        return same(node, graph(node.kind, *inputs, **node.attrs), graph)


@rewrite(SAFE, "sum_to sum", "sum_to(broadcast(x)) = x * n", lambda x: sum_to(broadcast_to(x, (4, 3)), (3,)), (3,))
def sum_of_broadcast(node, graph):
    match node:
        case Node("sum_to" | "sum", [stretched]) if not size(stretched) or node.dtype.itemsize == 2:
            return None  # of nothing the sum is 0, and the count may be too large for float16
        case Node("sum_to", [Node("broadcast_to", [x])]) if x.shape == node.shape:
            return graph("multiply", x, size(node.inputs[0]) / size(x))
        case Node("sum", [Node("broadcast_to", [x])]) if node.shape == ():
            return graph("multiply", graph("sum", x), size(node.inputs[0]) / size(x))


@rewrite(SAFE, "step", "step(x) = step(relu(x)), if that is there", lambda x: relu(x) * step(x), (3, 4))
def step_of_relu(node, graph):
    match node:
        case Node("step", [x]) if x.kind != "relu" and (y := graph.find("relu", x)):
            return graph("step", y)


# Products.


@rewrite(SAFE, PRODUCTS, "x @ y = x * y, if the inner dimension is 1", lambda x, y: x @ y, (5, 3, 1), (5, 1, 4))
def outer_product(node, graph):
    match node:
        case Node("product" | "product_nt" | "product_tn" as kind, [x, y]) if inner_dimension(node) == 1:
            x = transposed(x, graph) if kind == "product_tn" else x
            y = transposed(y, graph) if kind == "product_nt" else y
            return graph("multiply", x, y)


@rewrite(SAFE, PRODUCTS, "x.T @ y = one product", lambda x, y: x.mT @ y + y.mT @ x.mT.mT, (5, 4, 3), (5, 4, 3))
def product_of_transpose(node, graph):
    match node:
        case Node("product", [x, y]) if is_transpose(x):
            return graph("product_tn", x.inputs[0], y)
        case Node("product", [x, y]) if is_transpose(y):
            return graph("product_nt", x, y.inputs[0])
        case Node("product_nt", [x, y]) if is_transpose(y):
            return graph("product", x, y.inputs[0])
        case Node("product_tn", [x, y]) if is_transpose(x):
            return graph("product", x.inputs[0], y)


def is_transpose(node):
    ndim = len(node.shape)
    return node.kind == "permute_dims" and ndim > 1 and axes_of(node) == (*range(ndim - 2), ndim - 1, ndim - 2)


@rewrite(SAFE, "product_nt", "x @ y.T = (y @ x.T).T, if that is there",
         lambda x, y: product_nt(x, y) * 2 + product_nt(y, x).mT, (5, 3, 9), (5, 3, 9))  # fmt: skip
def transpose_of_product(node, graph):
    match node:
        case Node("product_nt", [x, y]) if x.number > y.number and (twin := graph.find("product_nt", y, x)):
            return transposed(twin, graph)


@rewrite(SAFE, "add", "x * a + y * b = [x y] @ [a; b], for columns x, y and rows a, b",
         lambda x, y, a, b: x * a + y * b, (5, 3, 1), (5, 3, 1), (5, 1, 4), (5, 1, 4))  # fmt: skip
def two_outer_products(node, graph):
    if len(node.shape) < 2 or node.shape[-2] == 1:
        return None
    (x, a), (y, b) = sorted([outer_factors(term, node, graph) for term in node.inputs], key=is_ones)
    if x and y and a.shape == b.shape and not is_ones((x, a)):
        return graph("product", graph("join", x, y, axis=-1), graph("join", a, b, axis=-2))


def is_ones(factors):
    return factors[0] is not None and factors[0].kind == "broadcast_to"


def outer_factors(term, node, graph):
    """A column and a row whose product is the term; of a row, the column is all ones."""
    column, rows = (*node.shape[:-1], 1), ((*node.shape[:-2], 1, node.shape[-1]), (1, node.shape[-1]))
    if node.shape[-1] > 1 and term.shape in rows:
        return ones(column, node.dtype, graph), term
    if term.kind == "multiply":
        for x, a in (term.inputs, term.inputs[::-1]):
            if x.shape == column and a.shape in rows and node.shape[-1] > 1:
                return x, a
    return None, None


@rewrite(SAFE, "product product_nt", "batches @ w = one large product", lambda x, w: x @ w, (5, 3, 4), (4, 2))
def one_large_product(node, graph):
    match node:
        case Node("product" | "product_nt" as kind, [x, y]):
            w = y.inputs[0] if y.kind == "broadcast_to" else y
            is_one_matrix = w.shape[-2:] == y.shape[-2:] and prod(w.shape[:-2]) == 1
            if len(x.shape) > 2 and len(w.shape) > 1 and is_one_matrix and x.shape[:-1] == node.shape[:-1]:
                flat = rows_of(x, graph)
                w = graph("reshape", w, shape=w.shape[-2:])
                return graph("reshape", graph(kind, flat, w), shape=node.shape)


@rewrite(SAFE, "sum_to", "sum over batches of x.T @ y = one large product, if only the sum is needed",
         lambda x, y: sum_to(product_tn(x, y), (4, 2)), (5, 3, 4), (5, 3, 2))  # fmt: skip
def one_large_sum(node, graph):
    match node:
        case Node("sum_to", [Node("product_tn", [x, y]) as xy]) if x.shape[:-1] == y.shape[:-1] and graph.uses[xy] == 1:
            if node.shape[-2:] != (x.shape[-1], y.shape[-1]) or prod(node.shape[:-2]) != 1:
                return None
            return graph("reshape", graph("product_tn", rows_of(x, graph), rows_of(y, graph)), shape=node.shape)


def ones(shape, dtype, graph):
    return graph("broadcast_to", graph.constant(np.ones((), dtype)), shape=shape)


def rows_of(x, graph):
    """All matrices of a batch below each other, as one matrix."""
    return graph("reshape", x, shape=(prod(x.shape[:-1]), x.shape[-1]))


# Joining: what is done to two things separately is done to both at once, and signs are taken along until they meet.  It pays if the
# joins and the signs disappear, which only the whole graph can tell: it is simplified without these and with them, and the cheapest
# is kept.


@rewrite(JOINING, "add subtract", "x + (-y) @ z = x - y @ z, -x - y = -(x + y)",
         lambda x, y, z: x + (-y) @ z + (-x - z), (4, 4), (4, 4), (4, 4))  # fmt: skip
def signs_of_terms(node, graph):
    match node:
        case Node("add", [x, y]) if negated(y, graph):
            return graph("subtract", x, negated(y, graph))
        case Node("add", [x, y]) if negated(x, graph):
            return graph("subtract", y, negated(x, graph))
        case Node("subtract", [x, y]) if negated(y, graph):
            return graph("add", x, negated(y, graph))
        case Node("subtract", [x, y]) if graph.uses[x] < 2 and negated(x, graph):
            return graph("negative", graph("add", negated(x, graph), y))


def negated(node, graph):
    """What the node is the negative of, if there is a sign that can be left out."""
    match node:
        case Node("negative", [x]):
            return x
        case Node("multiply" | "product" | "product_nt" | "product_tn", [x, y]) if graph.uses[node] < 2 and is_real(node):
            return without_signs(node, graph) if (x.kind == "negative") != (y.kind == "negative") else None


def without_signs(product, graph):
    return graph(product.kind, *[x.inputs[0] if x.kind == "negative" else x for x in product.inputs])


@rewrite(JOINING, [*PRODUCTS, "multiply"], "-x @ y = -(x @ y), if that is no larger, -x @ -y = x @ y",
         lambda x, y: ((-x) @ y) * ((-x) @ (-y)), (5, 9), (9, 4))  # fmt: skip
def sign_out_of_product(node, graph):
    signs = [x for x in node.inputs if x.kind == "negative"]
    if len(signs) == 1 and size(node) <= size(signs[0]):
        return graph("negative", without_signs(node, graph))
    if len(signs) == 2:
        return without_signs(node, graph)


@rewrite(JOINING, "product_tn sum_to", "x.T @ y and the sum over rows of y = the rows of [x 1].T @ y, for a column x",
         lambda x, y: product_tn(x, y) * sum_to(y, (5, 1, 4)), (5, 3, 1), (5, 3, 4))  # fmt: skip
def product_and_sum(node, graph):
    match node:
        case Node("product_tn", [x, y]) if x.shape == (*y.shape[:-1], 1) and graph.summed[y]:
            return row(0, graph("product_tn", with_ones(x, graph), y), graph)
        case Node("sum_to", [y]) if is_sum_of_rows(node):
            for user in graph.users[y]:
                x = graph.new.get(user.inputs[0])
                if user.kind == "product_tn" and x and x.shape == (*y.shape[:-1], 1):
                    return row(1, graph("product_tn", with_ones(x, graph), y), graph)


def is_sum_of_rows(node):
    return node.kind == "sum_to" and node.shape == (*node.inputs[0].shape[:-2], 1, *node.inputs[0].shape[-1:])


def with_ones(x, graph):
    return graph("join", x, ones(x.shape, x.dtype, graph), axis=-1)


def row(i, x, graph):
    return graph("getitem", x, index=(..., slice(i, i + 1), slice(None)))


def row_of(node):
    """What a node is a row of, and which, or None."""
    if node.kind == "getitem":
        match node.attrs["index"]:
            case (dots, slice(start=int(i), stop=int(j), step=None), slice(start=None, stop=None, step=None)):
                return (node.inputs[0], i) if dots is ... and j == i + 1 else None


@rewrite(JOINING, "add subtract", "row of x + row of y = row of (x + y), if these have two",
         lambda x, y: x[..., 1:2, :] + y[..., 1:2, :], (5, 2, 4), (5, 2, 4))  # fmt: skip
def sum_of_rows(node, graph):
    found = [row_of(x) for x in node.inputs]
    (whole, i) = next(filter(None, found), (None, None))
    if whole and whole.shape[-2] == 2 and 0 <= i < 2:
        rows = [each or joined_as_row(i, x, graph) for each, x in zip(found, node.inputs, strict=True)]
        if all(rows) and {(x.shape[-2], j) for x, j in rows} == {(2, i)}:
            return row(i, graph(node.kind, *[x for x, _ in rows]), graph)


def joined_as_row(i, x, graph):
    """The join that has ``x`` as its i-th row, and i, if there is one."""
    for user in graph.users[x]:
        if is_join_of_rows(user) and len(user.inputs) == 2 and graph.new.get(user.inputs[i]) is x:
            rows = [graph.new.get(each) for each in user.inputs]
            if None not in rows:
                return graph("join", *rows, axis=-2), i


def is_join_of_rows(node):
    ndim = len(node.shape)
    return node.kind == "join" and node.attrs["axis"] % ndim == ndim - 2 and all([x.shape[-2] == 1 for x in node.inputs])


@rewrite(JOINING, "join", "[first row of x; second row of x] = x",
         lambda x: join(x[..., 0:1, :], x[..., 1:2, :], axis=-2), (5, 2, 4))  # fmt: skip
def join_of_rows(node, graph):
    if is_join_of_rows(node):
        found = [row_of(x) for x in node.inputs]
        if None not in found and found == [(found[0][0], i) for i in range(found[0][0].shape[-2])]:
            return found[0][0]


# Reordering changes how much work there is, for better or worse.  The graph is simplified without these, with the first, with
# the first two, with all; of these, too, the cheapest is kept.


@rewrite(REORDERING, "product product_nt", "a @ (b @ c) = (a @ b) @ c",
         lambda a, b, c: a @ product_tn(b, c), (3, 9), (2, 9), (2, 9))  # fmt: skip
def reassociate(node, graph):
    match node:
        case Node("product", [a, Node("product_tn", [b, c])]):
            return cheaper(node, graph("product", graph("product_nt", a, b), c), node.inputs[1])
        case Node("product_nt", [a, Node("product_tn", [b, c])]):
            return cheaper(node, graph("product", graph("product_nt", a, c), b), node.inputs[1])


def cheaper(node, replacement, inner):
    def flops(node):
        return size(node) * inner_dimension(node) if node.kind in PRODUCTS else 0

    return replacement if flops(replacement) + flops(replacement.inputs[0]) < flops(node) + flops(inner) else None


@rewrite(REORDERING, "sum_to", "sum_to(x + y) = sum_to(x) + sum_to(y), if only the sum is needed",
         lambda x, y: sum_to(product_tn(x, x) + y, (1, 4)), (3, 4), (4, 4))  # fmt: skip
def distribute_sum(node, graph):
    match node:
        case Node("sum_to", [Node("add" | "subtract" as sign, [x, y])]) if x.shape == y.shape == node.inputs[0].shape:
            if graph.absorbs_sum[node.inputs[0]] and graph.uses[node.inputs[0]] == 1:
                return graph(sign, graph("sum_to", x, shape=node.shape), graph("sum_to", y, shape=node.shape))


@rewrite(REORDERING, "product product_nt", "x @ (a - b) = x @ a - x @ b",
         lambda x, a, b, c: x @ (a - product_tn(b, c)), (3, 9), (9, 9), (2, 9), (2, 9))  # fmt: skip
def distribute(node, graph):
    match node:
        case Node("product" | "product_nt" as kind, [x, Node("add" | "subtract" as sign, [a, b]) as matrix]):
            if graph.low_rank[matrix] and a.shape[-2:] == b.shape[-2:]:
                return graph(sign, graph(kind, x, a), graph(kind, x, b))


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
    stretched = any([x.kind == "broadcast_to" or x.shape not in (node.shape, ()) for x in node.inputs])
    return 1 + largest * (3e-4 if stretched and node.kind in ELEMENTWISE else 1e-4)
