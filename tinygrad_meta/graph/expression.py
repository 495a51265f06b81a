"""A graph as a formula, short enough that a person might have written it.

    read      the graph of a tensor, back to tensors with names and to leaves      graph_of
    simplify  the rewrites of ``simplify.py`` that shorten, and those below        rewritten
    print     infix, as few parentheses as Python needs                            written

School algebra does most of the work.  To collect, a node is looked at as a sum of products of powers, ``terms(node)``: from
``x*x + 3*x + x**2`` to ``2*x**2 + 3*x``.  Whether a product of sums reads better as it is, multiplied out, or with what is
common to all terms put in front, depends; all three are tried, and the shortest is kept.
"""

from collections import Counter
from fractions import Fraction
from functools import cache, reduce
from math import gcd, isfinite, lcm

import numpy as np

from ..ops import expm1
from ..tensor import Tensor
from .record import Node, Recorded
from .simplify import SAFE, is_real, is_transpose, number, order, rewrite, rewritten, same


def expression(t):
    """How a tensor was computed, as a formula: simplified, in terms of tensors with names and of leaves.

    It is the formula of mathematics: what the rules do to survive a division of 0 by 0 is left out.  Comparisons, sign and the
    slope of relu have no derivative and are not recorded: they appear as the constants that they were.

    Parameters
    ----------
    t : Tensor
        Computed from something that requires a gradient; otherwise its graph was not kept, and the formula is its value.

    Returns
    -------
    str
        What is long and needed more than once stands on lines before the formula, as ``t1 = ...``.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> x = tg.tensor(0.5, requires_grad=True, name="x")
    >>> y = tg.tanh(x)
    >>> for _ in range(3):
    ...     print(expression(y))
    ...     (y,) = tg.grad(y, x, create_graph=True)
    tanh(x)
    1 - tanh(x)**2
    2*tanh(x)**3 - 2*tanh(x)
    >>> z = tg.log(x * x + 3 * x + 1)
    >>> print(expression((z + 1) / tg.cos(z)))
    t1 = log(x*(x + 3) + 1)
    (t1 + 1)/cos(t1)
    """
    if not isinstance(t, Tensor):
        raise TypeError(f"expression takes a tensor, and got a {type(t).__name__}")
    tensors = history([t])
    names = named(tensors)
    for x in tensors:
        if x.op and (x is t or not x.name):  # only what has a name already is not taken apart
            del names[x.order]
    return simplest(graph_of(t, names))


# ------------------------------------------------------------------------------------------------- reading the graph


def history(tensors):
    """Everything that tensors were computed from, and they themselves, oldest first."""
    return reachable(tensors, lambda t: t.inputs)


def reachable(tensors, inputs_of):
    found, to_visit = {}, list(tensors)
    while to_visit:
        t = to_visit.pop()
        if t.order not in found:
            found[t.order] = t
            to_visit += inputs_of(t)
    return [found[i] for i in sorted(found)]


def named(tensors):
    """What to call each tensor, by its order: its name, or a number.  A constant that is one number needs no name.

    Where several have one name, x, the second is x_2.
    """
    taken, counts, names = {t.name for t in tensors}, Counter(), {}
    for t in tensors:
        kind = "v" if t.op else "leaf" if t.requires_grad else "c" if is_varied(t._data) else None
        stem = f"{t.name}_" if t.name else kind
        name = t.name if t.name and not counts[stem] else None
        counts[stem] += bool(name)
        while name is None and stem:
            counts[stem] += 1
            name = f"{stem}{counts[stem]}" if f"{stem}{counts[stem]}" not in taken else None
        if name:
            names[t.order] = name
    return names


def is_varied(array):
    return array.size > 1 and bool((array != array.flat[0]).any())


def graph_of(t, names):
    """The graph of a tensor.  Tensors with names, given by their order, are its inputs."""

    def origin(t):
        if t.order in names:
            return None, (), {}
        return t.origin if isinstance(t, Recorded) else (t.op, t.inputs, t.attrs)

    nodes = {}
    for x in reachable([t], lambda x: origin(x)[1]):
        op, inputs, attrs = origin(x)
        value = None if op or x.order in names else np.asarray(x._data)
        node = Node(op, tuple([nodes[y.order] for y in inputs]), attrs, x.shape, x.dtype, value, names.get(x.order, ""))
        nodes[x.order] = unguarded(node)
    return nodes[t.order]


def unguarded(node):
    """Without what only is there to survive a division of 0 by 0: ``where(x == 0, 1, x)`` is x."""
    match node:
        case Node("select", [Node("constant") as c, x, y]) if c.value.all() or not c.value.any():
            branch = x if c.value.all() else y  # comparisons are not recorded, only their results are
        case Node("select", [Node("add", [Node("not_equal" | "constant"), Node("greater" | "constant")]), x, _]):
            branch = x  # ops.settled
        case Node("select", [Node("multiply", [Node("multiply"), Node("less" | "constant")]), _, x]):
            branch = x  # ops.away_from_zero
        case Node("select", [Node("equal", [x, zero]), c, y]) if number(zero) == 0 and (y is x or number(c) == 0):
            branch = y  # the rules of power and norm
        case _:
            return node
    return branch if branch.shape == node.shape else node


# ------------------------------------------------------------------------------------- sums of products of powers

# A monomial is a tuple of pairs (base, exponent), and a sum a dictionary {monomial: coefficient}: 2*x**2/y + 1 is
# {((x, 2), (y, -1)): 2, (): 1}.  Coefficients and exponents are fractions; bases are nodes.

ARITHMETIC = "add subtract multiply divide quotient negative square sqrt power"
LONGEST = 40  # more terms than this are not taken apart


@cache
def terms(node, expand=False):
    """A node as a sum.  Products of sums are multiplied out only if asked to."""
    found = arithmetic(node, expand) if is_real(node) else None
    return power_of(node, 1) if found is None or len(found) > LONGEST or not within(found, node.dtype) else found


def within(found, dtype):
    """Whether all numbers are of that type, neither too large nor too small, and none infinite."""
    limits = np.finfo(dtype)
    return (all([float(limits.tiny) <= abs(c) <= float(limits.max) for c in found.values()])
            and all([is_finite(base) for monomial in found for base, _ in monomial]))


def is_finite(node):
    return node.value is None or bool(np.isfinite(node.value).all())


def arithmetic(node, expand):
    match node:
        case Node("constant") if (c := fraction(node)) is not None:
            return {(): c} if c else {}
        case Node("add", [x, y]):
            return plus(terms(x, expand), terms(y, expand))
        case Node("subtract", [x, y]):
            return plus(terms(x, expand), terms(y, expand), -1)
        case Node("negative", [x]):
            return plus({}, terms(x, expand), -1)
        case Node("multiply", [x, y]):
            return times(factor(x, expand), factor(y, expand))
        case Node("divide" | "quotient", [x, y]):
            return times(factor(x, expand), raised(y, -1, expand))
        case Node("square", [x]):
            return raised(x, 2, expand)
        case Node("sqrt", [x]):
            return raised(x, Fraction(1, 2), expand)
        case Node("power", [x, y]) if (exponent := fraction(y)) is not None:
            return raised(x, exponent, expand)


def power_of(node, exponent):
    return {((node, exponent),): Fraction(1)}


def factor(node, expand):
    """A node as a sum of one term, unless products are to be multiplied out."""
    found = terms(node, expand)
    return found if len(found) < 2 or expand else power_of(node, 1)


def raised(node, exponent, expand):
    found = terms(node, expand)
    if len(found) == 1:
        [(monomial, c)] = found.items()
        if exponent.denominator == 1 and abs(exponent) < 100 or (c == 1 and len(monomial) == 1 and monomial[0][1] == 1):
            c = c**exponent if c != 1 else c
            return {monomial_of({base: power * exponent for base, power in monomial}): c}
    if expand and exponent in (2, 3, 4):
        return reduce(times, [found] * int(exponent))
    return power_of(node, exponent)


def plus(p, q, sign=1):
    total = dict(p)
    for monomial, c in q.items():
        total[monomial] = total.get(monomial, 0) + sign * c
    return {monomial: c for monomial, c in total.items() if c}


def times(p, q):
    total = {}
    for m, c in p.items():
        for n, d in q.items():
            powers = dict(m)
            for base, exponent in n:
                powers[base] = powers.get(base, 0) + exponent
            total = plus(total, {monomial_of(powers): c * d})
    return total


def monomial_of(powers):
    """Numerator before denominator, older before newer."""
    return tuple(sorted([(base, e) for base, e in powers.items() if e], key=lambda pair: (pair[1] < 0, pair[0].number)))


def in_order(found):
    """The terms as they are written: those to be added before those to be subtracted, and the number last."""
    def key(term):
        monomial, c = term
        return c < 0, not monomial, [(base.number, -exponent) for base, exponent in monomial]

    return sorted(found.items(), key=key)


def fraction(node):
    """A constant as a fraction: 1/3 for what a float has made of it."""
    c = number(node) if node.dtype.kind == "f" else None
    if c is None or not isfinite(c):
        return None
    simple = Fraction(c).limit_denominator(1000)
    return simple if node.dtype.type(float(simple)) == c else Fraction(c)


def rebuilt(found, node, graph):
    """A sum as nodes again, to replace the node that it was."""
    def constant(c):
        return graph.constant(np.asarray(float(c), node.dtype))

    total = constant(0)
    for i, (monomial, c) in enumerate(in_order(found)):
        factors = [base if e == 1 else graph("sqrt", base) if e == 0.5 else graph("power", base, float(e))
                   for base, e in monomial]
        term = reduce(lambda x, y: graph("multiply", x, y), factors + [constant(abs(c))] * (abs(c) != 1 or not factors))
        if i == 0:
            total = term if c > 0 else graph("negative", term)
        else:
            total = graph("add" if c > 0 else "subtract", total, term)
    return same(node, total, graph)


# -------------------------------------------------------------------------------------------------------- rewrites

# Of the replayer's rewrites, those that make a formula shorter.  The others make arrays smaller, or calls fewer.
SHORTER = [each for each in SAFE if each.replace.__name__ not in (
    "twice gather_factors gather_signs factor_into_product factor_out_of_product step_of_relu outer_product "
    "transpose_of_product two_outer_products one_large_product one_large_sum").split()]  # fmt: skip
COLLECT, EXPAND, FACTOR = [], [], []


@rewrite(COLLECT, ARITHMETIC, "x*x + 3*x + x**2 = 2*x**2 + 3*x", lambda x: x * x + 3 * x + x**2, (3,))
def collect(node, graph):
    return unless_alike(node, rebuilt(terms(node), node, graph))


def unless_alike(node, replacement):
    """A replacement, unless it is made of the same operations: then only their order differs, and it would go on for ever."""
    return None if operations(node) == operations(replacement) else replacement


def operations(node):
    bases = {base for monomial in terms(node) for base, _ in monomial}
    kinds, to_visit = Counter(), [node]
    while to_visit:
        x = to_visit.pop()
        if x.op and x not in bases:
            kinds[x.kind] += 1
            to_visit += x.inputs
    return kinds


@rewrite(EXPAND, ARITHMETIC, "x * (x + y) = x**2 + x*y", lambda x, y: x * (x + y), (3,), (3,))
def multiply_out(node, graph):
    return unless_alike(node, rebuilt(terms(node, expand=True), node, graph))


@rewrite(EXPAND, "power", "x ** (y + 1) = x**y * x", lambda x, y: (x * x) ** (y + 1), (3,), (3,))
def split_exponent(node, graph):
    match node:
        case Node("power", [x, y]) if () in (found := terms(y)) and len(found) > 1:
            rest = {monomial: c for monomial, c in found.items() if monomial}
            return graph("multiply", graph("power", x, rebuilt(rest, y, graph)), graph("power", x, float(found[()])))


@rewrite(FACTOR, "add subtract", "2*x/y + x/y**2 = x*(2*y + 1)/y**2", lambda x, y: 2 * x / y + x / (y * y), (3,), (3,))
def put_in_front(node, graph):
    """What all terms have in common, above and below the fraction bar."""
    found = terms(node)
    powers = [dict(monomial) for monomial in found]
    common = {base: min([each.get(base, 0) for each in powers]) for base in {base: None for each in powers for base in each}}
    c = Fraction(gcd(*[c.numerator for c in found.values()]), lcm(*[c.denominator for c in found.values()]))
    front = {monomial_of(common): c if max(found.values()) > 0 else -c}
    if len(found) < 2 or front in ({(): 1}, {(): -1}):
        return None
    rest = {monomial_of({base: each.get(base, 0) - e for base, e in common.items()}): d / front[monomial_of(common)]
            for each, d in zip(powers, found.values(), strict=True)}
    if not within(rest, node.dtype):
        return None
    rest = terms(rebuilt(rest, node, graph), expand=True)  # where a denominator was a sum, its powers are in the terms now
    rest = rebuilt(rest, node, graph)
    return rebuilt(times(front, terms(rest) if len(terms(rest)) < 2 else power_of(rest, 1)), node, graph)


@rewrite(COLLECT, "add", "expm1(x) + 1 = exp(x)", lambda x: expm1(x) + 1, (3,))
def no_less_one(node, graph):
    match node:
        case Node("add", [Node("expm1", [x]), c]) if number(c) == 1:
            return graph("exp", x)


def simplest(node, share=True):
    """The shortest way to write a node that the rewrites find; on one line, if nothing is to be shared."""
    if not all(map(is_finite, order([node]))):
        return written(node, share)  # school algebra knows no infinity
    [collected] = rewritten([node], SHORTER + COLLECT)
    [expanded] = rewritten([collected], SHORTER + EXPAND)
    found = [written(each, share) for each in (collected, expanded)]
    if len(found[1]) < 2 * len(found[0]):  # else it would not become shorter, and take long
        found += [written(each, share) for each in rewritten([expanded], SHORTER + COLLECT + FACTOR)]
    terms.cache_clear()  # it keeps all these nodes
    return min(found, key=len)


# --------------------------------------------------------------------------------------------------------- printing

COMPARISON, SUM, MATMUL, PRODUCT, POWER, ATOM = range(6)  # how tightly the parts of a formula hold together
INFIX = {"greater": (">", COMPARISON), "greater_equal": (">=", COMPARISON), "less": ("<", COMPARISON),
         "less_equal": ("<=", COMPARISON), "equal": ("==", COMPARISON), "not_equal": ("!=", COMPARISON),
         "add": ("+", SUM), "subtract": ("-", SUM), "multiply": ("*", PRODUCT), "divide": ("/", PRODUCT)}  # not taken apart
PUBLIC = {"select": "where", "join": "concat", "cast": "astype"}  # where users call an operation by another name
SHORT, LONG = 12, 120  # characters: shorter parts are repeated rather than named, longer ones named even if needed once


def written(node, share=True):
    """A node as text, on lines before it what has been given a name."""
    while node.kind == "broadcast_to":
        [node] = node.inputs  # the value of every entry
    nodes, needed = order([node]), Counter({node: 1})
    for each in reversed(nodes):
        if each in needed:
            needed.update(parts(each))
    texts, lines = {}, []
    for each in nodes:
        if each in needed:
            text, strength = texts[each] = spelled(each, texts)
            if share and each is not node and (len(text) > SHORT and needed[each] > 1 or len(text) > LONG):
                texts[each] = f"t{len(lines) + 1}", ATOM
                lines.append(f"{texts[each][0]} = {text}")
    return "\n".join([*lines, texts[node][0]])


def parts(node):
    """The nodes that the text of a node is made of."""
    found = terms(node)
    if is_itself(node, found):
        return node.inputs
    return [base for monomial in found for base, _ in monomial]


def is_itself(node, found):
    return found == power_of(node, 1)


def spelled(node, texts):
    """The text of a node, and how tightly it holds together."""
    def part(x, strength=SUM):
        text, own = texts[x]
        return text if own >= strength else f"({text})"

    found = terms(node)
    if not is_itself(node, found):
        return spelled_sum(found, part)
    match node:
        case Node("input"):
            return node.name, ATOM if node.name.isidentifier() else MATMUL
        case Node("constant"):
            return (f"{node.value.item():.6g}", ATOM) if node.value.size == 1 else (f"array{node.shape}", ATOM)
        case Node("power", [x, y]):
            return f"{part(x, ATOM)}**{part(y, ATOM)}", POWER
        case Node("product", [x, y]):
            return f"{part(x, POWER)} @ {part(y, POWER)}", MATMUL
        case Node("product_nt", [x, y]):
            return f"{part(x, POWER)} @ {part(y, ATOM)}.mT", MATMUL
        case Node("product_tn", [x, y]):
            return f"{part(x, ATOM)}.mT @ {part(y, POWER)}", MATMUL
        case Node("permute_dims", [x]) if is_transpose(node):
            return f"{part(x, ATOM)}.mT", ATOM
        case Node("getitem", [x]):
            return f"{part(x, ATOM)}[{index_of(node.attrs['index'])}]", ATOM
        case Node(kind, [x, y]) if kind in INFIX:
            sign, strength = INFIX[kind]
            sign = sign if strength == PRODUCT else f" {sign} "
            return f"{part(x, max(strength, SUM))}{sign}{part(y, strength + 1)}", strength
    arguments = [part(x, COMPARISON) for x in node.inputs] + [f"{key}={value}" for key, value in node.attrs.items()]
    return f"{PUBLIC.get(node.kind, node.kind)}({', '.join(arguments)})", ATOM


def spelled_sum(found, part):
    if not found:
        return "0", ATOM
    signed = [("-" if c < 0 else "+", spelled_product(monomial, abs(c), part)) for monomial, c in in_order(found)]
    [(sign, (first, strength)), *others] = signed
    if sign == "-" or others:
        first, strength = "-" * (sign == "-") + first, SUM
    return first + "".join([f" {sign} {text}" for sign, (text, _) in others]), strength


def spelled_product(monomial, c, part):
    over = [spelled_power(base, e, part, PRODUCT) for base, e in monomial if e > 0]
    under = [spelled_power(base, -e, part, POWER) for base, e in monomial if e < 0]
    p, q = (c.numerator, c.denominator) if c.denominator < 1000 and c < 10**15 else (f"{float(c):.6g}", 1)
    over, under = over if p == 1 and over else [str(p), *over], under if q == 1 else [str(q), *under]
    text = "*".join(over) + ("/" + under[0] if len(under) == 1 else f"/({'*'.join(under)})" if under else "")
    strength = PRODUCT if len(over) + len(under) > 1 else POWER if "**" in text and monomial else ATOM
    return text, strength


def spelled_power(base, e, part, strength):
    if e == 1:
        return part(base, strength)
    if e == Fraction(1, 2):
        return f"sqrt({part(base)})"
    exponent = str(e) if e.denominator == 1 else f"({e})" if e.denominator < 10 else f"{float(e):.6g}"
    return f"{part(base, ATOM)}**{exponent}"


def index_of(index):
    if isinstance(index, tuple):
        return ", ".join([index_of(each) for each in index])
    if isinstance(index, slice):
        return ":".join(["" if each is None else str(each) for each in (index.start, index.stop)])
    return "..." if index is Ellipsis else "[...]" if isinstance(index, (list, np.ndarray)) else str(index)
