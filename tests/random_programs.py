"""Random programs: straight lines of operations, drawn so that hypothesis can shrink them and printed as code that runs.

A program is drawn line by line, and each line is run at once, so that the next one can be chosen to fit: shapes that match,
values inside the domain of a logarithm, no kink nearer than finite differences reach.  What a test runs is the text that a
failure prints, with other names in place of ``np`` and ``tg``: the program in PyTorch is the same text.
"""

import inspect
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from math import prod
from types import SimpleNamespace

import numpy as np
from hypothesis import strategies as st
from operation_table import TABLE, torch

import tinygrad_meta as tg

# ------------------------------------------------------------------------------------------------ a program, and its text

LAYOUTS = {
    "C": "{}",
    "Fortran": "np.array({}, order='F')",
    "strided": "np.repeat({}, 2, axis=-1)[..., ::2]",
    "reversed": "np.flip(np.flip({}).copy())",
}
LAYOUT_NAMES = list(LAYOUTS)


@dataclass(frozen=True)
class Input:
    """An array, down to its last bit and its place in memory."""

    name: str
    numbers: list
    drawn: tuple  # the shape of the numbers
    shape: tuple  # and what it is stretched to, with strides of 0
    dtype: str
    layout: str = "C"

    def __str__(self):
        array = f"np.array({self.numbers}, {self.dtype!r}).reshape({self.drawn})"
        array = LAYOUTS[self.layout].format(array) if self.drawn else array
        return array if self.drawn == self.shape else f"np.broadcast_to({array}, {self.shape})"

    def array(self):
        return eval(str(self), {"np": np})

    @property
    def floating(self):
        return self.dtype.startswith("float")

    def elsewhere(self):
        """The same numbers, laid out differently in memory."""
        return replace(self, layout=LAYOUT_NAMES[(LAYOUT_NAMES.index(self.layout) + 1) % len(LAYOUTS)])


COMMUTATIVE = {"add", "multiply", "maximum", "minimum", "equal", "not_equal"}
OUTSIDE_THE_INTERFACE = {"identity", "join", "product", "product_nt", "product_tn", "quotient", "scatter", "select", "step"}


@dataclass(frozen=True)
class Line:
    """One operation.  Operands are names of earlier results, or numbers."""

    result: str
    operation: str
    operands: tuple
    attributes: dict

    def __str__(self):
        return f"{self.result} = {self.call}"

    @property
    def call(self):
        attributes, operands = dict(self.attributes), ", ".join(map(str, self.operands))
        if self.operation == "einsum":
            operands = f"{attributes.pop('subscripts')!r}, {operands}"
        if self.operation in ("concat", "stack"):
            operands = f"[{operands}]"
        where = "tg.ops" if self.operation in OUTSIDE_THE_INTERFACE else "tg"
        return f"{where}.{self.operation}({', '.join([operands, *[f'{name}={x!r}' for name, x in attributes.items()]])})"

    def swapped(self):
        """The same with its operands in another order, where that makes no difference."""
        if self.operation in COMMUTATIVE:
            return replace(self, operands=self.operands[::-1])
        if self.operation == "einsum":
            terms, _, output = self.attributes["subscripts"].partition("->")
            subscripts = f"{','.join(terms.split(',')[::-1])}->{output}"
            return replace(self, operands=self.operands[::-1], attributes={"subscripts": subscripts})
        return self


def weights(v):
    return np.cos(np.arange(v.size)).reshape(v.shape).astype(v.dtype)


@dataclass(frozen=True, repr=False)
class Program:
    """Inputs, lines, and the results that no line uses: their weighted sum is the value."""

    inputs: tuple
    lines: tuple
    results: tuple

    def body(self, name="program"):
        total = " + ".join([f"tg.sum({name} * weights({name}))" for name in self.results])
        names = ", ".join([x.name for x in self.inputs])
        return "\n    ".join([f"def {name}({names}):", *map(str, self.lines), f"return {total}"])

    def function(self, **names):
        """The program as a function of its inputs; ``names`` say what the text means by ``tg`` and ``weights``."""
        scope = {"np": np, "tg": tg, "weights": weights} | names
        exec(self.body(), scope)
        return scope["program"]

    def __str__(self):
        """Code that runs: the inputs as arrays, and the function."""
        names = ", ".join([x.name for x in self.inputs])
        return "\n".join(["import numpy as np", "import tinygrad_meta as tg", "", *[f"{x.name} = {x}" for x in self.inputs],
                          f"arrays = [{names}]", "", "", inspect.getsource(weights), "", self.body(), ""])

    __repr__ = __str__

    def arrays(self):
        return [x.array() for x in self.inputs]

    def with_dtype(self, dtype):
        return replace(self, inputs=tuple([replace(x, dtype=dtype) if x.floating else x for x in self.inputs]))

    def permuted(self):
        """The same, with inputs in another order and memory layout, and operands swapped where that makes no difference."""
        return replace(self, inputs=tuple([x.elsewhere() for x in self.inputs[::-1]]),
                       lines=tuple([line.swapped() for line in self.lines]))

    @property
    def operations(self):
        return {line.operation for line in self.lines}


# ------------------------------------------------------------------------------------------------------ drawing a program

LARGE = 5  # larger values are scaled down
SMALL = 0.1  # no division by less, and no root or logarithm of it
MARGIN = 1e-3  # no kink is nearer
MOST_ENTRIES, MOST_AXES = 48, 4
NUMBERS = [0.5, -1.5, 2.0, -0.25, 3]  # as operands


class Unfit(Exception):
    """What was drawn cannot be applied to any result so far."""


# One kind of number for all that is drawn.  Hypothesis also tries programs in which some draws are copied over others or left
# out, so that those after them are out of step; where they did not fit what is asked for, it would make them 0.
CHOICE = st.integers(0, 4095)


class Draft:
    """A program that is being drawn, and the value of each of its lines."""

    def __init__(self, draw):
        self.draw, self.inputs, self.lines, self.values = draw, [], [], {}
        self.floats, self.conditions = [], []  # names that can be used as operands, and as conditions

    def choose(self, options):
        if not options:
            raise Unfit
        return options[self.draw(CHOICE) % len(options)]

    def sometimes(self, one_in=4):
        return self.draw(CHOICE) % one_in == one_in - 1

    def shape_of(self, x):
        return np.shape(self.value(x))

    def value(self, x):
        return self.values[x]._data if isinstance(x, str) else x

    def operand(self, fits=lambda shape: True):
        """One of the results so far, of a shape that fits."""
        return self.choose([name for name in reversed(self.floats) if fits(self.values[name].shape)])

    def partner(self, x):
        """Another one, to be broadcast against ``x``."""
        return self.operand(partial(stretches_with, self.shape_of(x)))

    def positive(self):
        x = self.operand()
        return x if np.min(self.value(x), initial=1) > SMALL else self.add("add", self.add("square", x), 0.5)

    def nonzero(self, x):
        return x if np.abs(self.value(x)).min(initial=1) > SMALL else self.add("add", self.add("square", x), 0.5)

    def apart(self, *xs):
        """At a kink there is nothing to compare finite differences with."""
        x, y = map(self.value, xs)
        if np.abs(np.subtract(x, y)).min(initial=1) < MARGIN:
            raise Unfit

    def axis_of(self, x):
        return self.choose(range(-len(self.shape_of(x)), len(self.shape_of(x))))

    def axes_of(self, x):
        """What a reduction of a result takes: attributes axis and keepdims, at times left out."""
        ndim = len(self.shape_of(x))
        axis = self.choose([None, *range(-ndim, ndim), *[(0, i) for i in range(1, ndim)]])
        return ({} if axis is None else {"axis": axis}) | ({"keepdims": True} if self.sometimes() else {})

    def add(self, operation, *operands, **attributes):
        """One more line, run at once; its name."""
        line = Line(f"v{len(self.lines)}", operation, operands, attributes)
        value = eval(line.call, {"tg": tg}, self.values)
        if value.size > MOST_ENTRIES or value.ndim > MOST_AXES or not np.isfinite(value._data).all():
            raise Unfit
        self.lines.append(line)
        self.values[line.result] = value
        largest = np.abs(value._data).max(initial=0) if value.dtype.kind == "f" else 0
        if largest > LARGE:
            return self.add("multiply", line.result, 0.5 ** int(np.ceil(np.log2(largest / LARGE))))
        (self.floats if value.dtype.kind == "f" else self.conditions).append(line.result)
        return line.result

    def program(self):
        used = {x for line in self.lines for x in line.operands}
        results = [x for x in self.floats if x not in used] or self.floats[-1:]
        return Program(tuple(self.inputs), tuple(self.lines), tuple(results))


@lru_cache(None)
def stretches_with(shape, other):
    """Whether the two can be broadcast against each other."""
    return all([m == n or 1 in (m, n) for m, n in zip(shape[::-1], other[::-1], strict=False)])


SIZES = [2, 3, 1, 2, 3, 2, 3, 2, 3, 1, 2, 0]
VALUES = [sign * k / 1024 for k in range(2048) for sign in (1, -1)]  # float32 holds them exactly


def draw_input(draft, sizes, dtype):
    shape = tuple([1 if draft.sometimes(5) else n for n in sizes[draft.choose([3, 2, 1, 0, 1, 0]) :]])
    drawn = tuple([1 if draft.sometimes(8) else n for n in shape]) if draft.sometimes() else shape
    numbers = [draft.choose(VALUES if dtype.startswith("float") else range(2)) for _ in range(prod(drawn))]
    layout = draft.choose(LAYOUT_NAMES)
    x = Input(f"x{len(draft.inputs)}", numbers, drawn, shape, dtype, layout)
    draft.inputs.append(x)
    draft.values[x.name] = tg.tensor(x.array(), "float64" if x.floating else None)
    (draft.floats if x.floating else draft.conditions).append(x.name)


@st.composite
def programs(draw, most_lines=30):
    """Programs of one to ``most_lines`` operations, or of a few more, of numbers and some conditions."""
    draft = Draft(draw)
    n_lines = 1 + draft.choose(range(most_lines))
    sizes = [draft.choose(SIZES) for _ in range(3)]
    for kind in ["float", *draft.choose([[], ["float"], ["float", "float"], ["bool"], ["float", "int64"]])]:
        draw_input(draft, sizes, draft.choose(["float64", "float32"]) if kind == "float" else kind)
    while len(draft.lines) < n_lines:
        for _ in range(5):
            name = draft.choose(list(DRAWN))
            try:
                DRAWN[name](draft, name)
                break
            except Unfit:
                pass
        else:
            draft.add("sin", draft.operand())  # which always fits
    return draft.program()


# ------------------------------------------------------------------------------------------- how each operation is drawn

DRAWN = {}  # name of an operation -> function(draft, name) that adds it, and whatever is needed before it


def draws(*names):
    """Enter the function below this line for these operations."""

    def enter(function):
        DRAWN.update(dict.fromkeys(names, function))
        return function

    return enter


@draws("negative", "sin", "cos", "tanh", "square", "sigmoid", "softplus", "silu", "identity")
def smooth(draft, name):
    draft.add(name, draft.operand())


@draws("add", "subtract", "multiply")
def arithmetic(draft, name):
    x = draft.operand()
    y = draft.choose(NUMBERS) if draft.sometimes() else draft.partner(x)
    draft.add(name, *draft.choose([(x, y), (y, x)]))


@draws("divide", "quotient")
def division(draft, name):
    x = draft.operand()
    y = draft.choose(NUMBERS) if draft.sometimes() else draft.nonzero(draft.partner(x))
    draft.add(name, x, y)


@draws("power")
def power(draft, name):
    if draft.sometimes(2):
        draft.add(name, draft.nonzero(draft.operand()), draft.choose([-2, -1, 0, 1, 2, 3]))
    else:
        x = draft.positive()
        y = draft.choose([0.5, -1.5, draft.partner(x)])
        draft.apart(y, 0)  # where the exponent is exactly 0, PyTorch takes the mixed second derivative to be 0; it is 1 / x
        draft.add(name, x, y)


@draws("exp", "expm1")
def exponential(draft, name):
    draft.add(name, draft.operand())


@draws("sqrt", "log", "log1p")
def of_positive(draft, name):
    draft.add(name, draft.positive())


@draws("relu", "leaky_relu", "abs", "sign", "step")
def kink_at_zero(draft, name):
    x = draft.operand()
    draft.apart(x, 0)
    draft.add(name, x)


@draws("clip")
def clip(draft, name):
    x, bounds = draft.operand(), draft.choose([{"min": -0.5, "max": 0.75}, {"min": 0.0, "max": None}, {"max": 0.25}])
    for bound in bounds.values():
        draft.apart(x, np.inf if bound is None else bound)
    draft.add(name, x, **bounds)


@draws("maximum", "minimum", "greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
def comparison(draft, name):
    x = draft.operand()
    y = draft.partner(x)
    draft.apart(x, y)
    draft.add(name, x, y)


@draws("where", "select")
def choice(draft, name):
    if not draft.conditions:
        comparison(draft, "less")
    condition = draft.choose([x for x in draft.conditions if name == "where" or draft.value(x).dtype == bool])
    shape = draft.shape_of(condition)
    x = draft.operand(lambda other: stretches_with(other, shape))
    shape = np.broadcast_shapes(shape, draft.shape_of(x))
    y = draft.operand(lambda other: stretches_with(other, shape))
    draft.add(name, condition, *draft.choose([(x, y), (y, x)]))


@draws("reshape")
def reshape(draft, name):
    x = draft.operand()
    shape = draft.shape_of(x)
    draft.add(name, x, shape=draft.choose([shape[::-1], (prod(shape),), (1, *shape), (*shape, 1), (*shape[::-1], 1)]))


@draws("broadcast_to")
def broadcast_to(draft, name):
    x = draft.operand()
    longer = tuple([draft.choose([2, 3, 1]) if n == 1 else n for n in draft.shape_of(x)])
    draft.add(name, x, shape=draft.choose([longer, (2, *longer), (1, *longer)]))


@draws("sum_to")
def sum_to(draft, name):
    x = draft.operand()
    shape = tuple([draft.choose([1, n]) for n in draft.shape_of(x)])
    draft.add(name, x, shape=shape[draft.choose(range(len(shape) + 1)) :])


@draws("permute_dims")
def permute_dims(draft, name):
    x = draft.operand()
    axes = list(range(len(draft.shape_of(x))))
    options = [{}, {"axes": (*axes[1:], *axes[:1])}, {"axes": tuple([i - len(axes) for i in reversed(axes)])}]
    draft.add(name, x, **draft.choose(options))


@draws("swapaxes")
def swapaxes(draft, name):
    x = draft.operand(len)
    draft.add(name, x, a=draft.axis_of(x), b=draft.axis_of(x))


@draws("expand_dims")
def expand_dims(draft, name):
    x = draft.operand()
    draft.add(name, x, axis=draft.choose([0, -1, (0, -1), *range(1, len(draft.shape_of(x)))]))


@draws("squeeze")
def squeeze(draft, name):
    x = draft.operand(lambda shape: 1 in shape)
    ones = tuple([i for i, n in enumerate(draft.shape_of(x)) if n == 1])
    draft.add(name, x, **draft.choose([{}, {"axis": ones}, {"axis": ones[0]}]))


def draw_index(draft, shape):
    """An index of something with at least one entry along its first axis."""
    n = shape[0]
    options = [0, -1, slice(1, None), slice(None, None, 2), slice(None, None, -1), [n - 1, 0, n - 1], [], None, (None, -1),
               [i % 2 == 0 for i in range(n)], (slice(None), None)]
    if shape[-1]:
        options.append((..., 0))
    if len(shape) > 1 and shape[1]:
        options += [(slice(None), -1), (0, 0), ([0, 0], [0, -1]), (slice(None), [0, 0]), ([0], slice(None, 1))]
    return draft.choose(options)


@draws("getitem")
def getitem(draft, name):
    x = draft.operand(lambda shape: shape and shape[0])
    draft.add(name, x, index=draw_index(draft, draft.shape_of(x)))


@draws("scatter")
def scatter(draft, name):
    x = draft.operand()
    shape = draft.shape_of(x)
    options = [((2, *shape), 1), ((3, *shape), -1)]
    if shape:
        n = shape[0]
        options += [((n + 1, *shape[1:]), slice(1, None)), ((2, *shape[1:]), [i % 2 for i in range(n)])]
    larger, index = draft.choose(options)
    draft.add(name, x, index=index, shape=larger)


@draws("pad")
def pad(draft, name):
    x = draft.operand(len)
    each = tuple([(i % 2, 1) for i in range(len(draft.shape_of(x)))])
    draft.add(name, x, pad_width=draft.choose([1, (0, 1), each]))


@draws("concat", "join")
def concat(draft, name):
    x = draft.operand(len)
    axis, shape = draft.axis_of(x), draft.shape_of(x)
    others = [draft.operand(lambda s: same_but(axis, s, shape)) for _ in range(draft.choose([1, 2]))]
    draft.add(name, x, *others, axis=axis)


def same_but(axis, shape, other):
    """Whether the two can be joined along the axis."""
    if len(shape) != len(other):
        return False
    return all([m == n or i == axis % len(shape) for i, (m, n) in enumerate(zip(shape, other, strict=True))])


@draws("stack")
def stack(draft, name):
    x = draft.operand()
    shape = draft.shape_of(x)
    others = [draft.operand(lambda s: s == shape) for _ in range(draft.choose([1, 2]))]
    draft.add(name, x, *others, axis=draft.choose(range(-len(shape) - 1, len(shape) + 1)))


@draws("sum")
def add_up(draft, name):
    x = draft.operand()
    draft.add(name, x, **draft.axes_of(x))


@draws("mean", "logsumexp")
def reduction(draft, name):
    x = draft.operand(all)  # of at least one entry
    draft.add(name, x, **draft.axes_of(x))


@draws("softmax", "log_softmax")
def softmax(draft, name):
    x = draft.operand(lambda shape: shape and all(shape))
    draft.add(name, x, axis=draft.axis_of(x))


@draws("var", "std", "norm")
def spread(draft, name):
    x = draft.operand(all)
    options = draft.axes_of(x)
    several = draft.values[x].size > tg.sum(draft.values[x], **options).size  # entries for each result
    options |= {"ddof": 1} if name != "norm" and several and draft.sometimes() else {}
    if name != "var" and np.min(getattr(tg, name)(draft.values[x], **options).data) < SMALL:
        raise Unfit  # near the kink at 0
    draft.add(name, x, **options)


@draws("max", "min", "argmax", "argmin")
def extreme(draft, name):
    x = draft.operand(all)
    axes = draft.axes_of(x)
    if name.startswith("arg") and isinstance(axes.get("axis"), tuple):
        del axes["axis"]
    found = getattr(np, name[-3:])(draft.value(x), **(axes | {"keepdims": True}))
    if np.max(np.sum(np.abs(draft.value(x) - found) < MARGIN, **axes)) > 1:
        raise Unfit  # a tie, or nearly
    draft.add(name, x, **axes)


@draws("matmul")
def matmul(draft, name):
    x = draft.operand(len)
    shape = draft.shape_of(x)
    draft.add(name, x, draft.operand(lambda s: s and s[-2:][0] == shape[-1] and batches_fit(s, shape)))


def batches_fit(shape, other):
    return stretches_with(shape[:-2], other[:-2])


@draws("product", "product_nt", "product_tn")
def product(draft, name):
    x = draft.operand(lambda s: len(s) > 1)
    shape = draft.shape_of(x)
    inner, axis = (shape[-2] if name == "product_tn" else shape[-1]), (-1 if name == "product_nt" else -2)
    draft.add(name, x, draft.operand(lambda s: len(s) > 1 and s[axis] == inner and batches_fit(s, shape)))


@draws("outer")
def outer(draft, name):
    draft.add(name, draft.operand(), draft.operand())


EINSUMS = ["i->i", "i,i->", "i,j->ij", "ij->ji", "ij->j", "ij->", "ii->i", "ii->", "ij,jk->ik", "ij,j->i", "ij,ij->j",
           "ij,ik->jk", "ij,ik,i->jk", "ijk->ki", "ijk,ikl->ijl", "ijk,jk->i", "...i,...i->...", "...i,ij->...j"]


@draws("einsum")
def einsum(draft, name):
    subscripts = draft.choose(EINSUMS)
    sizes, operands = {}, []
    for term in subscripts.partition("->")[0].split(","):
        operands.append(draft.operand(partial(bound, term, sizes)))
        sizes = bound(term, sizes, draft.shape_of(operands[-1]))
    draft.add(name, *operands, subscripts=subscripts)


def bound(term, sizes, shape):
    """``sizes`` of the letters so far, with those of one more term; nothing where they do not agree."""
    letters = term.replace("...", "")
    if len(shape) < len(letters) or (len(shape) > len(letters) and letters == term):
        return None
    sizes, dots = dict(sizes), len(shape) - len(letters)
    if not stretches_with(sizes.setdefault("...", shape[:dots]), shape[:dots]):
        return None
    return sizes if all([sizes.setdefault(a, n) == n for a, n in zip(letters, shape[dots:], strict=True)]) else None


@draws("windows", "overlap_add")
def windows(draft, name):
    x = draft.operand(lambda shape: len(shape) > 2 and all(shape))
    height, width = draft.shape_of(x)[-3:-1]
    attributes = {"size": draft.choose([1, 2][: min(height, width)])} | draft.choose([{}, {"stride": 2}])
    rows = draft.add("windows", x, **attributes)
    if name == "overlap_add":
        draft.add("overlap_add", rows, shape=draft.shape_of(x), **attributes)


# --------------------------------------------------------------------------------------------------- the same in PyTorch


def flat_index(shape, index):
    return torch.tensor(np.arange(prod(shape)).reshape(shape)[index].copy())


def torch_scatter(x, index, shape):
    return torch.zeros(prod(shape), dtype=x.dtype).index_add(0, flat_index(shape, index).ravel(), x.reshape(-1)).reshape(shape)


def torch_argument(name):
    return lambda x, axis=None, keepdims=False: getattr(torch, name)(x, axis, keepdim=keepdims)


@lru_cache(None)
def torch_names():
    """What the text of a program means by ``tg`` and ``weights`` when it is run by PyTorch: the references of the table."""
    names = {row.name: row.torch for row in TABLE if row.torch}
    names |= {name: getattr(torch, name) for name in ("sign", "greater", "greater_equal", "less", "less_equal", "not_equal")}
    names |= {
        "equal": torch.eq,
        "step": lambda x: torch.greater(x, 0).to(x.dtype),
        "where": lambda condition, x, y: torch.where(condition != 0, x, y),
        "clip": lambda x, min=None, max=None: torch.clip(x, min, max),
        "argmax": torch_argument("argmax"),
        "argmin": torch_argument("argmin"),
        "expand_dims": lambda x, axis: x.reshape(np.expand_dims(np.empty(x.shape, bool), axis).shape),
        "squeeze": torch.squeeze,
        "getitem": lambda x, index: x.reshape(-1)[flat_index(x.shape, index)],
        "scatter": torch_scatter,
        "concat": lambda xs, axis: torch.cat(xs, axis),
        "stack": lambda xs, axis: torch.stack(xs, axis),
        "join": lambda *xs, axis: torch.cat(xs, axis),
        "einsum": torch.einsum,
        "outer": lambda x, y: torch.outer(x.ravel(), y.ravel()),
    }
    names = SimpleNamespace(**names)
    names.ops = names
    return {"tg": names, "weights": lambda v: torch.tensor(np.cos(np.arange(v.numel())).reshape(v.shape)).to(v.dtype)}
