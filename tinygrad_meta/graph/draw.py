"""The graph as a picture: what was computed from what, and how the gradient flows back.

A value stands in a box, the operation that made it in a circle before the box.  Values flow along the arrows from left to
right; an operation's inputs enter it from top to bottom, and numbers are written into it (``+ 1``).  The gradient is written in
a colour of its own: in a box, the derivative by that value; over an arrow, what flows back along it.  Where several arrows
leave a box, what they bring back adds up to the derivative in the box.

A graph may contain backward passes, since a gradient is computed like everything else: MAML's inner steps do.  Each has a frame
of its own, and the colour tells a backward pass from the backward pass of a backward pass.  ``autodiff.scope``
notes which numbers the tensors of a recorded backward pass have, and those of a part of the graph that you name.
"""

from dataclasses import dataclass, field
from os import PathLike

import numpy as np

from ..autodiff import apply_rule, grad, no_grad, passes, scopes
from ..tensor import Tensor
from .expression import PUBLIC, graph_of, history, named, simplest
from .layout import Cell, Edge, arrange
from .text import mirrored

SYMBOLS = {  # of operations that are not called by their name
    "add": "+", "subtract": "−", "multiply": "×", "divide": "/", "quotient": "/", "negative": "−", "power": "^", "square": "x²", "sqrt": "√",
    "sum": "Σ", "sum_to": "Σ", "product": "@", "product_tn": "ᵀ@", "product_nt": "@ᵀ", "permute_dims": "xᵀ",
    "broadcast_to": "broadcast", **PUBLIC,
}  # fmt: skip
COLORS = ["#0072B2", "#D55E00", "#007A5A", "#8A5A00"]  # forward, backward, backward of backward, ...
TINTS = ["#EAF3FA", "#FDF0E6", "#E6F5F0", "#F7F0E0"]
PASSES = ["forward", "backward", "backward of backward", "backward, third time"]
GRADIENT, CONSTANT, INK = "#B0207A", "#666666", "#222222"
FONT_SIZE, LINE, MARGIN = 9, 12, 5  # points
MANY = 40  # tensors; beyond, results without a name are drawn as their operation alone
LIMIT = 300  # boxes
FEW = 12  # tensors; up to here, derivatives are written as formulas too
LONGEST = 24  # letters of such a formula


def draw(F, path, gradients=True, order=1, fold=()):
    """Draw the graph that ``F`` was computed by.  Only matplotlib is needed.

    Parameters
    ----------
    F : Tensor
        Computed from something that requires a gradient.
    path : path ending in .svg or .png, or matplotlib Axes
        Where the picture goes.  As a file it is as large as it needs to be; Axes are filled, with smaller letters if need be.
    gradients : bool
        Write the gradient of ``F`` (of its sum, if it is an array) into the boxes and over the arrows.  Of an array, its norm.
        In a graph of more than 40 tensors only those with names, the inputs and ``F`` have boxes, and arrows are bare.
    order : int
        1 draws the graph of ``F``.  2 draws the graph of its gradient, in which the gradients are values like any other and
        stand in boxes; 3 that of its second derivatives, and so on.
    fold : name, names or True
        Scopes and backward passes (``"backward"``) to draw as one box each; ``True`` for the outermost ones.

    Examples
    --------
    >>> import tinygrad_meta as tg
    >>> x1, x2 = (tg.tensor(value, requires_grad=True, name=name) for name, value in {"x1": 2.0, "x2": 3.0}.items())
    >>> tg.graph.draw((x1 + x2) * (x2 + 1), "graph.svg")  # doctest: +SKIP
    """
    if hasattr(path, "add_patch"):
        root = layout(F, gradients, order, fold)
        paint(root, path, legend(root))
    else:
        check_ending(path, (".svg", ".png"))
        figure, _ = new_figure(layout(F, gradients, order, fold))
        figure.savefig(path, dpi=min(150, 60_000 / max(figure.get_size_inches())))  # Agg's limit is 65,535 pixels


def check_ending(path, endings):
    if not isinstance(path, (str, PathLike)) or not str(path).endswith(endings):
        raise ValueError(f"pictures are written to a path ending in {' or '.join(endings)}, and got {path!r}")


# ------------------------------------------------------------------------------------------------- what is drawn


@dataclass(eq=False, kw_only=True)
class Box(Cell):
    """A tensor, with the operation that made it; or, with members, the tensors of a scope or of a backward pass."""

    tensor: Tensor | None = None
    formula: str = ""
    symbol: str = ""  # of the operation, with the numbers that it takes
    rows: list = field(default_factory=list)  # of [text, text of the gradient]
    depth: int = 0  # 0 for the forward pass, 1 for a backward pass, 2 for the backward pass of one, ...
    title: str = ""
    interval: tuple = (-1, float("inf"))
    parent: "Box | None" = None
    members: list = field(default_factory=list)
    folded: bool = False
    edges: list = field(default_factory=list)  # between the members
    ports: dict = field(default_factory=dict)  # (tensor, "in" or "out") -> where it crosses the frame
    operation_width: float = 0

    def chain(self):
        """This box and the frames around it, from the outside in."""
        return [*(self.parent.chain() if self.parent else []), self]

    def visible(self):
        """The box that stands for this one: the outermost folded one around it, or itself."""
        return next((box for box in self.chain() if box.folded), self)


@dataclass(eq=False, kw_only=True)
class Arrow(Edge):
    """A tensor on its way from the box ``start`` to the box ``end``, or the part of that way between two frames."""

    tensor: object = None  # or the folded box that it comes from
    start: Box = None
    end: Box = None
    arrives: bool = True  # here at its end
    text: str = ""  # of the gradient that flows back


def layout(F, gradients=True, order=1, fold=()):
    """Everything there is to draw, each at its place: the outermost box."""
    check(F, order)
    outputs, derivatives = derivatives_of(F, order)
    tensors = history(outputs)
    names = names_of(tensors, derivatives)
    root, boxes = frames(tensors)
    for box in fold_frames(root, fold):
        box.folded = True
    flow = gradient_flow(F, tensors, boxes) if gradients and order == 1 else ({}, {})
    formulas = formulas_of(F, tensors, names) if flow[0] else {}
    describe(F, boxes, names, flow[0], formulas, set(outputs))
    place(root, connections(boxes, flow[1] if len(boxes) <= MANY else {}))
    return root


def check(F, order):
    if not isinstance(F, Tensor):
        raise TypeError(f"what is drawn is a tensor, and this is of type {type(F).__name__}")
    if not F.requires_grad:
        raise ValueError("this tensor does not remember an operation that made it: make the inputs with requires_grad=True, "
                         "and compute it outside no_grad()")
    if not isinstance(order, int) or isinstance(order, bool) or order < 1:
        raise ValueError(f"order is 1 for the graph of F, 2 for that of its gradient, ..., and got {order!r}")


def derivatives_of(F, order):
    """``F`` and its derivatives up to ``order - 1`` by the inputs, and the names of all on the way as ``{number: name}``."""
    tensors = [t for t in history([F]) if t.requires_grad]
    labels, names = names_of(tensors, {}), {}
    results, outputs = [F], {(): F}  # by what they are derivatives by
    for n in range(1, order):
        wanted = tensors if n == 1 else [t for t in tensors if t.op is None]
        higher = {}
        for by, out in outputs.items():
            ones = Tensor(np.ones(out.shape, out.dtype))
            for x, g in zip(wanted, grad(out, wanted, None if out.size == 1 else ones, True, allow_unused=True), strict=True):
                path = tuple(sorted([*by, labels[x]]))
                if g is not None and path not in higher:  # by x1 and x2 is by x2 and x1
                    same = [names[g.order]] if g.order in names else []  # F may have it by several tensors
                    names[g.order] = " = ".join([derivative_name(F.name or "F", path), *same])
                    higher[path] = g
        outputs = {by: g for by, g in higher.items() if n > 1 or by[0] in [labels[t] for t in tensors if t.op is None]}
        results += outputs.values()
    return results, names


def derivative_name(F, by):
    power = "" if len(by) == 1 else str(len(by)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"d{power}{F}/" + "".join([f"d{x}" for x in by])


def names_of(tensors, derivatives):
    """Names as ``trace`` gives them, but that derivatives of ``F`` are called so."""
    names = named(tensors)
    return {t: t.name or derivatives.get(t.order) or names.get(t.order, "") for t in tensors}


def formulas_of(F, tensors, names):
    """The derivatives by all tensors of a small graph, as formulas: ``v1 + v2``."""
    if len(tensors) > FEW or F.size != 1:
        return {}
    inner = mirrored(tensors)
    wanted = [t for t in inner if t.requires_grad]
    names = {t.order: name for t, name in names.items() if name}
    gradients = grad(inner[-1], wanted, create_graph=True)
    return {t.order: simplest(graph_of(g, names), share=False) for t, g in zip(wanted, gradients, strict=True)}


def frames(tensors):
    """The tree of scopes and backward passes that tensors stand in, and ``{tensor: box}``."""
    root = Box()
    numbers = [t.order for t in tensors]
    boxes, parents = {}, [root]
    intervals = [Box(title=PASSES[min(depth, 3)] if depth else name, interval=(a, b), depth=depth)
                 for name, a, b, depth in depths(tensors) if np.searchsorted(numbers, a) < np.searchsorted(numbers, b)]
    for item in sorted([*intervals, *tensors], key=lambda item: item.order if isinstance(item, Tensor) else item.interval[0]):
        number = item.order if isinstance(item, Tensor) else item.interval[1]
        while number > parents[-1].interval[1]:
            parents.pop()
        box = Box(tensor=item) if isinstance(item, Tensor) else item
        box.parent, box.depth = parents[-1], box.depth or parents[-1].depth
        parents[-1].members.append(box)
        if box.tensor is None:
            parents.append(box)
        else:
            boxes[item] = box
    return root, boxes


def depths(tensors):
    """The scopes, each with its depth: 1 for a backward pass, 2 for one that differentiates what is in such a pass, 0 else."""
    entries = []
    for name, begin, end, of in sorted([*scopes, *passes], key=lambda entry: entry[1]):
        sources = [x.order for t in tensors if begin < t.order < end for x in t.inputs if not begin < x.order < end]
        sources += [] if of is None else [of]
        inner = [depth for _, a, b, depth in entries if any([a < number < b for number in sources])]
        entries.append((name, begin, end, 0 if of is None else 1 + max(inner, default=0)))
    return entries


def fold_frames(root, fold):
    """The frames to fold."""
    found, to_visit = [], [root]
    while to_visit:
        frame = to_visit.pop()
        found.append(frame)
        to_visit += [box for box in frame.members if box.tensor is None]
    titles = sorted({frame.title for frame in found} - {""})
    if not isinstance(fold, (str, bool, list, tuple, set, frozenset, type(None))):
        raise TypeError(f"fold is the name of a scope, a collection of names, or True, and got {fold!r}")
    wanted = {fold} if isinstance(fold, str) else set(titles) if fold is True else set(fold or ())
    if wanted - set(titles):
        raise ValueError(f"there is no scope {min(wanted - set(titles))!r} to fold: this graph has {titles or 'none'}")
    return [frame for frame in found if frame.title in wanted]


def gradient_flow(F, tensors, boxes):
    """The gradient of ``F`` by every tensor, and what flows back from each result to each of its inputs."""
    tensors = [t for t in tensors if t.requires_grad]
    gradients = dict(zip(tensors, grad(F, tensors, [np.ones(F.shape, F.dtype)]), strict=True))
    flows = {}
    with no_grad():
        for out in tensors:
            for i, x in enumerate(out.inputs):
                if x.requires_grad and boxes[x].visible() is not boxes[out].visible():
                    flows[x, out, i] = apply_rule(out, i, x, gradients[out])
    return gradients, flows


def is_number(t):
    return t.op is None and not t.requires_grad and t.size == 1 and not t.name


def is_seed(box):
    """Whether a backward pass starts here: with the constant 1, made before anything else in it."""
    return box.depth and box.tensor.order == box.parent.interval[0] + 1


def describe(F, boxes, names, gradients, formulas, outputs):
    """What is written into the boxes."""
    dF = f"d{F.name or 'F'}"

    def rows(t, name):
        text = f"{name} = {amount(t)}" if name and t.size == 1 else amount(t) if not name else f"{name}  {amount(t)}"
        if t not in gradients:
            return [text, ""]
        if t.size > 1:
            return [text, f"‖{dF}/d{name}‖ = {amount(gradients[t], norm=True).strip('‖')}"]
        rule = formulas.get(t.order, "")
        says_more = len(rule) <= LONGEST and any(map(str.isalpha, rule))  # than its value
        return [text, " = ".join([f"{dF}/d{name}", *[rule] * says_more, amount(gradients[t])])]

    many = len(boxes) > MANY
    numbers = {t for t, box in boxes.items() if is_number(t) and not is_seed(box) and not names[t]}
    leaving = {}
    for t, box in boxes.items():
        for x in t.inputs:
            if boxes[x].visible() is not box.visible():
                leaving[x] = None
    leaving.update(dict.fromkeys(outputs))
    for t, box in boxes.items():
        if box.visible() is box:
            plain = many and t.op and names[t] != t.name and t not in outputs and not names[t].startswith("d")
            name = names[t] or ("seed" if is_seed(box) else "constant" if t.size > 1 else "")
            box.rows = [] if plain or t in numbers else [rows(t, name)]
            box.symbol = label_of(t, numbers) if t.op else ""
            box.formula = formula(t, names) if t.op else ""
    folded = {box.visible(): [] for box in boxes.values() if box.visible().tensor is None}
    for t in leaving:
        if boxes[t].visible() in folded and t not in numbers:
            folded[boxes[t].visible()].append(t)
    for frame, tensors in folded.items():
        tensors.sort(key=lambda t: (t.name is None and t not in outputs, t.order))
        named = [t for t in tensors if t.name or t in outputs or len(tensors) <= 4] or tensors
        frame.rows = [rows(t, names[t]) for t in named]
        frame.ports = {t: i for i, t in enumerate(named)}


def label_of(t, numbers):
    """The operation, with the numbers that it takes: ``+ 1``, ``1 −``, ``2 ×``."""
    symbol = SYMBOLS.get(t.op.name, t.op.name)
    if not any([x in numbers for x in t.inputs]):
        return symbol
    values = [amount(x) if x in numbers else "" for x in t.inputs]
    return " ".join([values[0], symbol, *values[1:]]).strip() if len(values) == 2 else f"{symbol} {' '.join(values)}".strip()


def formula(t, names):
    """``x1 + x2``, for the result of two named tensors."""
    inputs = [names[x] or amount(x) for x in t.inputs]
    if len(inputs) == 2:
        return f"{inputs[0]} {SYMBOLS.get(t.op.name, t.op.name)} {inputs[1]}"
    return f"{t.op.name}({', '.join(inputs)})"


def amount(t, norm=False):
    """A tensor in few letters: the value of a number, the shape of an array, or its norm."""
    if t.size == 1:
        return f"{t.numpy().item():.4g}".replace("-", "−")
    return f"‖{np.linalg.norm(t.numpy()):.2g}‖" if norm else " × ".join(map(str, t.shape))


# ---------------------------------------------------------------------------------------------- where it is drawn


def connections(boxes, flows):
    """What is joined by arrows: (tensor, box it comes from, box it goes to, which input, what flows back)."""
    found, seen = [], set()
    for out, box in boxes.items():
        for i, x in enumerate(out.inputs):
            source, target = boxes[x].visible(), box.visible()
            if source is target or not (source.rows or source.symbol):
                continue
            if source.folded and x not in source.ports:
                x = source  # a folded box has one exit for all that has no row
            if target.tensor is None and (x, target) in seen:
                continue
            seen.add((x, target))
            flow = flows.get((x, out, i)) if target.tensor is not None else None
            found.append((x, source, target, i, flow))
    return found


def place(frame, found):
    """Lay out a frame's members, those of the frames inside it first; set its size, and where arrows cross its frame.

    ``found`` are the connections of the whole graph.
    """
    members = [m for m in frame.members if visible_boxes(m)]
    number = len(visible_boxes(frame))
    if number > LIMIT:
        raise ValueError(f"this graph has {number} boxes, and more than {LIMIT} explain nothing: name parts of it, "
                         "with tg.graph.scope('a name'), and say fold=True")
    for box in members:
        if box.members and not box.folded:
            place(box, found)
        else:
            set_size(box)
    inside = set(members)
    child = {box: next((b for b in box.chain() if b in inside), None) for c in found for box in c[1:3]}
    entries, exits, edges, seen = {}, {}, [], set()
    for x, source, target, i, flow in found:
        a, b = child[source], child[target]
        if a is b:
            continue
        if a is None:
            a = entries.setdefault(x, Cell(side="left", height=2))
        if b is None:
            b = exits.setdefault(x, Cell(side="right", height=2))
        leads_to_box = b is target and not target.folded
        if not leads_to_box and (x, b) in seen:
            continue
        seen.add((x, b))
        text = amount(flow, norm=True) if flow is not None and leads_to_box else ""
        edges.append(Arrow(source=a, target=b, trunk=x, leave=leaves_at(a, x),
                           enter=enters_at(b, x, i if leads_to_box else None),
                           label=(text_width(text) * 0.85 + 4, LINE) if text else (0, 0),
                           tensor=x, start=source, end=target, arrives=b is target, text=text))
    frame.edges = edges
    for box in members:
        if frame.parent is None and box.tensor is not None and box.tensor.op is None and box.tensor.requires_grad:
            box.side = "left"
    cells = [*entries.values(), *members, *exits.values()]
    width, height = arrange(cells, edges)
    inset, head = (12, LINE + 10) if frame.title else (0, 0)
    frame.width, frame.height = max(width + 2 * inset, text_width(frame.title) + 16), height + head + inset
    for cell in cells:
        cell.x, cell.y = cell.x + inset, cell.y + head
    for cell in entries.values():
        cell.x = 0
    for cell in exits.values():
        cell.x = frame.width
    for edge in edges:
        edge.route = [(x + inset, y + head) for x, y in edge.route]
        edge.label_at = edge.label_at[0] + inset, edge.label_at[1] + head
        if edge.source in entries.values():
            edge.route[0] = 0, edge.route[0][1]
        if edge.target in exits.values():
            edge.route[-1] = frame.width, edge.route[-1][1]
    frame.ports = {(x, "in"): cell.y - frame.height / 2 for x, cell in entries.items()}
    frame.ports |= {(x, "out"): cell.y - frame.height / 2 for x, cell in exits.items()}


def visible_boxes(box):
    """What is drawn as a box: this one, or those in it."""
    if box.folded or not box.members:
        return [box] if box.rows or box.symbol else []
    return [inner for member in box.members for inner in visible_boxes(member)]


def leaves_at(cell, x):
    """How far below the middle of a box the arrow of a tensor leaves it."""
    if not isinstance(cell, Box) or cell.tensor is not None:
        return 0
    if cell.folded:
        return row_at(cell, cell.ports[x]) if x in cell.ports else 0
    return cell.ports[x, "out"]


def enters_at(cell, x, i):
    if isinstance(cell, Box) and cell.members:
        return None if cell.folded else cell.ports[x, "in"]
    if i is None or len(cell.tensor.inputs) < 2:
        return 0
    return (i - (len(cell.tensor.inputs) - 1) / 2) * 8


def row_at(box, i):
    """The middle of a row, below the middle of a folded box: under its title, gradients below values."""
    lines = 1 + sum([1 + bool(g) for row in box.rows[:i] for g in row[1:]])
    return (lines + 0.5) * LINE + MARGIN - box.height / 2


def set_size(box):
    lines = [text for text in [box.title, *[text for row in box.rows for text in row]] if text]
    box.height = max(len(lines) * LINE + 2 * MARGIN if lines else 0, 22 if box.symbol else 0)
    box.operation_width = max(20, text_width(box.symbol) + 12) if box.symbol else 0
    link = 7 if box.symbol and lines else 0
    box.width = box.operation_width + link + (max(map(text_width, lines)) + 2 * MARGIN + 2 if lines else 0)


def text_width(text):
    """In bold letters, which titles have, and what a film is about at the moment."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=FONT_SIZE, weight="bold")
    return text_to_path.get_text_width_height_descent(text, font, False)[0] if text else 0


# -------------------------------------------------------------------------------------------------------- with ink


def new_figure(root, footer=None):
    """A figure of the picture's size, and ``{box, edge or part of one: artists}``.  The footer is the legend unless given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    footer = legend(root) if footer is None else footer
    width, height = extent(root, footer)
    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    FigureCanvasAgg(figure)
    return figure, paint(root, figure.add_axes((0, 0, 1, 1)), footer)


def extent(root, footer):
    return max(root.width, sum([text_width(text) + 26 for text, _ in footer])) + 24, root.height + 24 + 2 * LINE


def legend(root):
    """What the colours mean: (text, colour) of those in use."""
    boxes = visible_boxes(root)
    depths = sorted({box.depth for box in boxes if box.tensor is None or box.tensor.op or box.depth})
    gradients = "".join([row[1] for box in boxes for row in box.rows])
    text = "gradient, flowing back" + " (‖ ‖ is the norm of an array)" * ("‖" in gradients)
    return [(PASSES[min(depth, 3)], COLORS[depth % 4]) for depth in depths] + [(text, GRADIENT)] * bool(gradients)


def paint(root, axes, footer):
    """Draw a layout into axes.  Returns the artists, by the box or edge that they belong to."""
    width, height = extent(root, footer)
    box = axes.get_window_extent()
    scale = min(box.width / width, box.height / height) * 72 / axes.figure.dpi
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.set_axis_off()
    brush = Brush(axes, scale)
    x = 12
    for text, color in footer:
        brush.patch(x, height - 12 - LINE / 2 - 4, 8, 8, color, color, 0, key="legend")
        brush.text(x + 12, height - 12 - LINE / 2, text, color, align="left", key="footer")
        x += text_width(text) + 26
    paint_frame(root, 12, 12, brush)
    return brush.artists


class Brush:
    """Puts shapes on axes, in points, with letters and lines as large as the axes allow."""

    def __init__(self, axes, scale):
        self.axes, self.scale, self.artists = axes, scale, {}

    def patch(self, x, y, width, height, edge, face, rounding, zorder=2, key=None):
        from matplotlib.patches import FancyBboxPatch

        style = f"round,pad=0,rounding_size={rounding}" if rounding else "square,pad=0"
        patch = FancyBboxPatch((x, y), width, height, boxstyle=style, edgecolor=edge, facecolor=face, zorder=zorder,
                               linewidth=1.1 * self.scale)
        self.artists.setdefault(key, []).append(self.axes.add_artist(patch))

    def text(self, x, y, text, color=INK, align="center", key=None, size=FONT_SIZE, **style):
        artist = self.axes.text(x, y, text, color=color, fontsize=size * self.scale, ha=align, va="center_baseline",
                                parse_math=False, zorder=5, **style)
        self.artists.setdefault(key, []).append(artist)

    def arrow(self, points, color, head, key=None):
        """Straight inside columns, bent between them."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        vertices, codes = [points[0], points[1]], [Path.MOVETO, Path.LINETO]
        for (x0, y0), (x1, y1), end in zip(points[1::2], points[2::2], points[3::2], strict=False):
            middle = (x0 + x1) / 2
            vertices += [(middle, y0), (middle, y1), (x1, y1)]
            codes += [Path.CURVE4] * 3
            if end[0] > x1:
                vertices, codes = [*vertices, end], [*codes, Path.LINETO]
        arrow = FancyArrowPatch(path=Path(vertices, codes), arrowstyle="-|>" if head else "-", color=color, zorder=1.5,
                                mutation_scale=8 * self.scale, linewidth=1.1 * self.scale, shrinkA=0, shrinkB=0)
        self.artists.setdefault(key, []).append(self.axes.add_artist(arrow))


def paint_frame(frame, left, top, brush):
    """A frame, its members and its arrows."""
    if frame.title:
        is_pass = frame.depth > frame.parent.depth
        color = COLORS[frame.depth % 4] if is_pass else CONSTANT
        brush.patch(left, top, frame.width, frame.height, color, "none", 6, zorder=1)
        brush.text(left + 8, top + LINE / 2 + 3, frame.title, color, align="left")
    for edge in frame.edges:
        points = [(a + left, b + top) for a, b in edge.route]
        brush.arrow(points, colors_of(edge.start)[0], edge.arrives, key=edge)
        if edge.text:
            x, y = edge.label_at
            brush.text(x + left, y + top - LINE / 2 + 1, edge.text, GRADIENT, key=(edge, "gradient"), size=0.85 * FONT_SIZE)
    for box in frame.members:
        if box.members and not box.folded:
            paint_frame(box, left + box.x, top + box.y - box.height / 2, brush)
        elif box.rows or box.symbol:
            paint_box(box, left + box.x, top + box.y, brush)


def colors_of(box):
    """Of lines and of the area: those of its pass, or grey for a constant that was given."""
    t = box.tensor
    if t is not None and t.op is None and not t.requires_grad and not box.depth:
        return CONSTANT, "#F4F4F4"
    return COLORS[box.depth % 4], TINTS[box.depth % 4]


def paint_box(box, x, y, brush):
    """The operation in a circle, and the value in a box behind it."""
    color, tint = colors_of(box)
    if box.symbol:
        brush.patch(x, y - 10, box.operation_width, 20, color, "white", 9.9, zorder=3, key=box)
        brush.text(x + box.operation_width / 2, y, box.symbol, color, key=box)
    lines = [(text, c) for row in box.rows for text, c in zip(row, (INK, GRADIENT), strict=True) if text]
    if box.title:
        lines.insert(0, (box.title, color))
    if not lines:
        return
    left, right = x + (box.operation_width + 7 if box.symbol else 0), x + box.width
    if box.symbol:
        brush.arrow([(left - 7, y), (left, y)], color, False, key=box)
    brush.patch(left, y - box.height / 2, right - left, box.height, color, tint, 5, zorder=3, key=box)
    for i, (text, c) in enumerate(lines):
        brush.text((left + right) / 2, y + (i - (len(lines) - 1) / 2) * LINE, text, c,
                   key=(box, "gradient") if c == GRADIENT else box, weight="bold" if box.title and i == 0 else "normal")
