"""Where to put the nodes of a graph, so that edges run from left to right and cross little.

The method is Sugiyama's (Sugiyama, Tagawa, Toda 1981), in four steps:

1.  *Ranks.*  A node's column is one more than that of its last input, so every edge points to the right.
2.  *Lanes.*  An edge that passes columns gets an invisible node in each of them.  From here on, edges join neighbouring
    columns, and nodes that keep clear of each other keep clear of the edges as well.  A label is a lane with a size.
3.  *Order.*  Each column is sorted by where its neighbours are on average, from left to right and back, a few times.
4.  *Heights.*  Every node is pulled to where its neighbours are, as far as the others of its column let it.

Coordinates are in points, and ``y`` grows downwards.
"""

from collections import defaultdict
from dataclasses import dataclass, field

SWEEPS = 12


@dataclass(eq=False, kw_only=True)
class Cell:
    """Something with a place of its own: a node or a lane.  ``x, y`` is the middle of its left side."""

    width: float = 0
    height: float = 0
    x: float = 0
    y: float = 0
    side: str = ""  # "left" or "right": in the first column, or in the last
    column: tuple = (0, 0)  # where the column that it stands in begins and ends


@dataclass(eq=False, kw_only=True)
class Edge:
    """From a cell to a cell, leaving and entering at these distances below their middles.

    Edges with the same source and ``trunk`` run together as long as they can.
    """

    source: Cell
    target: Cell
    leave: float = 0
    enter: float | None = 0  # None: anywhere
    trunk: object = None
    label: tuple = (0, 0)  # the size to keep free above the edge
    label_at: tuple = (0, 0)  # where that is: the middle of its lower side
    route: list = field(default_factory=list)  # (x, y) from left to right: a straight piece in each column, a bend in between


def arrange(cells, edges):
    """Set the place of every cell and the route of every edge; return the width and the height of it all."""
    rank = ranks(cells, edges)
    columns = [[] for _ in range(max(rank.values()) + 1)]
    for cell in cells:
        columns[rank[cell]].append(cell)
    chains, links = lanes(edges, rank, columns)
    sort_columns(columns, links)
    set_heights(columns, links)
    straighten(columns, chains)
    spread(chains)
    width = set_columns(columns, links)
    for edge, chain in chains.items():
        route(edge, chain)
    top = min([cell.y - cell.height / 2 for column in columns for cell in column])
    for column in columns:
        for cell in column:
            cell.y -= top
    for edge in edges:
        edge.route = [(x, y - top) for x, y in edge.route]
        edge.label_at = edge.label_at[0], edge.label_at[1] - top
    return width, max([cell.y + cell.height / 2 for column in columns for cell in column])


def ranks(cells, edges):
    """The column of each cell.  Odd columns hold lanes and labels only.  Cells come with every source before its targets."""
    sources, targets = defaultdict(list), defaultdict(list)
    for edge in edges:
        sources[edge.target].append(edge.source)
        targets[edge.source].append(edge.target)
    rank = {}
    has_left = any([cell.side == "left" for cell in cells])
    for cell in cells:
        first = 0 if cell.side == "left" or not has_left else 2
        rank[cell] = max([rank[s] + 2 for s in sources[cell]], default=first)
    last = max(rank.values())
    for cell in cells:
        if cell.side == "right":
            rank[cell] = last
        elif not cell.side and not sources[cell] and targets[cell]:
            rank[cell] = min([rank[t] for t in targets[cell]]) - 2  # a constant stands beside its use
    first = min(rank.values())
    return {cell: r - first for cell, r in rank.items()}


def lanes(edges, rank, columns):
    """Lanes for every edge, entered into the columns.

    Returns ``{edge: [source, lane, ..., target]}`` and, per gap between columns, ``{(left, right): (leave, enter)}``.
    """
    chains, shared = {}, {}
    links = [{} for _ in columns[1:]]
    for edge in edges:
        begin, end = rank[edge.source], rank[edge.target]
        chain = [edge.source]
        for r in range(begin + 1, end - 1):
            key = edge.source, edge.trunk, r
            if key not in shared:
                shared[key] = Cell(height=2)
                columns[r].append(shared[key])
            chain.append(shared[key])
        width, height = edge.label
        chain.append(Cell(width=width, height=max(2, height)))
        columns[end - 1].append(chain[-1])
        chain.append(edge.target)
        below = chain[-2].height / 2 - 1  # the edge passes under its label
        for i, pair in enumerate(zip(chain, chain[1:], strict=False)):
            links[begin + i][pair] = (edge.leave if i == 0 else 0 if pair[0] is not chain[-2] else below,
                                      edge.enter or 0 if pair[1] is edge.target else below if pair[1] is chain[-2] else 0)
        chains[edge] = chain
    return chains, links


def neighbours(links, reverse=False):
    """``{cell: [(neighbour, its height above the cell)]}`` across one gap."""
    found = defaultdict(list)
    for (left, right), (leave, enter) in links.items():
        if reverse:
            found[left].append((right, enter - leave))
        else:
            found[right].append((left, leave - enter))
    return found


def sort_columns(columns, links):
    """The order within columns, by barycentres; the best of all sweeps is kept."""
    best, fewest = [list(column) for column in columns], crossings(columns, links)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for r in range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1):
            fixed = {cell: i for i, cell in enumerate(columns[r - 1 if forward else r + 1])}
            beside = neighbours(links[r - 1 if forward else r], reverse=not forward)
            own = {cell: i for i, cell in enumerate(columns[r])}
            means = {cell: mean([fixed[n] + offset / 1000 for n, offset in beside[cell]], own[cell]) for cell in columns[r]}
            columns[r].sort(key=means.get)
        count = crossings(columns, links)
        if count < fewest:
            best, fewest = [list(column) for column in columns], count
    columns[:] = best


def mean(values, default):
    return sum(values) / len(values) if values else default


def crossings(columns, links):
    """How many pairs of edges cross."""
    total = 0
    for left, right, gap in zip(columns, columns[1:], links, strict=False):
        begin, end = ({cell: i for i, cell in enumerate(column)} for column in (left, right))
        ends = [b for _, b in sorted([((begin[s], o[0]), (end[t], o[1])) for (s, t), o in gap.items()])]
        total += sum([a > b for i, b in enumerate(ends) for a in ends[:i]])
    return total


def set_heights(columns, links):
    """The height of every cell: sweeps again, each column at its least squares distance from its neighbours."""
    for column in columns:
        place(column, [0] * len(column), [1] * len(column))
    for sweep in range(2 * SWEEPS):
        both = sweep >= SWEEPS
        order = range(len(columns)) if sweep % 2 == 0 else range(len(columns) - 1, -1, -1)
        for r in order:
            left = neighbours(links[r - 1]) if r and (both or sweep % 2 == 0) else {}
            right = neighbours(links[r], reverse=True) if r < len(links) and (both or sweep % 2) else {}
            wishes, weights = [], []
            for cell in columns[r]:
                beside = left.get(cell, []) + right.get(cell, [])
                wishes.append(mean([n.y + offset for n, offset in beside], cell.y))
                weights.append(8 if beside and not cell.width else 1 if beside else 0.1)  # long edges are to be straight
            place(columns[r], wishes, weights)


def place(column, wishes, weights):
    """Put cells as close to where they wish as their order and heights allow (isotonic regression, pooling neighbours)."""
    pools, total = [], 0  # of [weighted mean, weight, cells]
    offsets = []
    for i, cell in enumerate(column):
        if i:
            above = column[i - 1]
            total += (above.height + cell.height) / 2 + (14 if above.width and cell.width else 8)
        offsets.append(total)
        pools.append([wishes[i] - total, weights[i], 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            m, w, n = pools.pop()
            pools[-1] = [(pools[-1][0] * pools[-1][1] + m * w) / (pools[-1][1] + w), pools[-1][1] + w, pools[-1][2] + n]
    means = [m for m, _, n in pools for _ in range(n)]
    for cell, m, offset in zip(column, means, offsets, strict=True):
        cell.y = m + offset


def straighten(columns, chains):
    """Once more, with the wish of every lane to be as high as the others of its edge."""
    wishes = {}
    for _ in range(SWEEPS):
        for edge, chain in chains.items():
            *trunk, label = chain[1:-1]
            level = (edge.source.y + edge.leave + edge.target.y + (edge.enter or 0)) / 2
            if trunk:
                level = sorted([lane.y for lane in trunk])[len(trunk) // 2]
                wishes.update(dict.fromkeys(trunk, level))
            wishes[label] = level - label.height / 2 + 1
        for column in columns:
            place(column, [wishes.get(cell, cell.y) for cell in column], [8 if cell in wishes else 1 for cell in column])


def spread(chains):
    """Edges that may enter their target anywhere do so side by side, in the order in which they come."""
    entering = defaultdict(list)
    for edge, chain in chains.items():
        if edge.enter is None:
            entering[edge.target].append((chain[-2].y, len(entering[edge.target]), edge))
    for target, edges in entering.items():
        step = min(10, (target.height - 10) / len(edges))
        for i, (_, _, edge) in enumerate(sorted(edges)):
            edge.enter = (i - (len(edges) - 1) / 2) * step


def set_columns(columns, links):
    """Where columns begin and end.  Gaps that edges cross steeply are wider."""
    x = 0
    for r, column in enumerate(columns):
        if r:
            steep = max([abs(left.y + a - right.y - b) for (left, right), (a, b) in links[r - 1].items()], default=0)
            x += min(45, max(14, 0.3 * steep))
        width = max([cell.width for cell in column], default=0)
        for cell in column:
            cell.column = x, x + width
            cell.x = x + (width - cell.width) * {"left": 0, "right": 1}.get(cell.side, 0.5)
        x += width
    return x


def route(edge, chain):
    """The points of an edge: where it leaves its source, both ends of every lane, where it enters its target."""
    y = edge.source.y + edge.leave
    edge.route = [(edge.source.x + edge.source.width, y), (edge.source.column[1], y)]
    for lane in chain[1:-1]:
        y = lane.y + (lane.height / 2 - 1 if lane is chain[-2] else 0)
        edge.route += [(lane.column[0], y), (lane.column[1], y)]
    edge.label_at = sum(chain[-2].column) / 2, y - 2
    y = edge.target.y + edge.enter
    edge.route += [(edge.target.column[0], y), (edge.target.x, y)]
