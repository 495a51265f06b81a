"""Replaying: record a function once, simplify its graph, give every result its memory, and run the list of NumPy calls.

    record     run the function and keep its graph (twice, to compare them)   record.py
    simplify   a smaller graph with the same value                            simplify.py
    order      a list of operations, each after those that it needs           freeing_early, compute_again
    allocate   memory for each result, used again when the result is dead     allocate
    run        the list, one NumPy call after the other                       Program.__call__

What is saved is everything but the arithmetic: no tensors are made on the way, no rules looked up, hardly any memory is
asked for, and what cancels is not computed.

>>> import tinygrad_meta as tg
>>> @tg.compile
... def gradient(x):
...     return tg.func.grad(lambda x: tg.sin(x * x))(x)
>>> gradient(tg.tensor(2.0, name="x"))
Tensor(-2.6145744834544478, dtype=float64)
>>> print(gradient.program)
gradient: 7 operations recorded, 4 instructions, 64 bytes beside the inputs
  x                      float64 ()  input
  v1 = multiply(x, x)    float64 ()  at byte 0
  v2 = cos(v1)           float64 ()  at byte 0
  v3 = multiply(x, v2)   float64 ()  at byte 0
  c4                     float64 ()  constant 2.
  v5 = multiply(v3, c4)  float64 ()  at byte 0
"""

import os
import threading
from collections import defaultdict
from copy import copy
from dataclasses import dataclass, replace
from functools import cache, partial, update_wrapper
from itertools import chain
from math import prod

import numpy as np

from ..anomaly import watching
from ..autodiff import between, leaves_of
from ..nn import Module
from ..ops import OPERATIONS, add_up, part, stretched_axes
from ..tensor import NO_ATTRIBUTES, Primitive, Tensor, as_tensor, detectors, recording, result
from ..tree import leaves, rebuild, tree_map
from ..validate import function
from .record import OUTPUT, Recorded, is_array, record
from .simplify import PRODUCTS, frozen, order, simplify, size

CACHE_SIZE = 16  # programs
CACHE = 2**20  # bytes of memory that a processor reads quickly, roughly


def compile(f=None, reuse_outputs=False):
    """A function that does what ``f`` does, recorded once and replayed.

    Results are the same up to rounding.  Factors may be applied later than written, after a sum for instance; so numbers close
    to the largest that their type can hold may overflow in one and not in the other.

    Parameters
    ----------
    f : function
        Of tensors, arrays and structures of them, made of this package's operations; it may differentiate inside.  It is run
        twice, to compare, and not again, so it must do the same whatever the values are.  What is no array (numbers, strings)
        is a constant of the recording, another one for each value; so are a :class:`~tinygrad_meta.nn.Module` and its tensors.
        Captured variables, entries of a Module's arrays, and attributes of other objects are constants whose later changes are
        not seen.  Where ``f`` differentiates, the gradient does not go through what arguments were computed from outside.
    reuse_outputs : bool
        Return arrays that the next call overwrites, also one that fails, instead of new ones.  Handed back as arguments in the
        same places, as the parameters of a training step are, they need not be copied.  Not for use from several threads.

    Returns
    -------
    Compiled
        To be called like ``f``.  Arguments of other shapes, dtypes or structure are recorded anew.  What it returns has no
        graph, and trying to differentiate it is an error: differentiate inside.
    """
    if f is None:
        return partial(compile, reuse_outputs=reuse_outputs)  # @tg.compile(reuse_outputs=True)
    return Compiled(function("what is compiled", f), reuse_outputs)


class Compiled:
    """What :func:`compile` returns."""

    def __init__(self, f, reuse_outputs):
        self.f, self.reuse_outputs = f, reuse_outputs
        owner = getattr(f, "__self__", f)  # of a method, what it is a method of
        self.model = owner if isinstance(owner, Module) else None  # whose tensors may be replaced between two calls
        self.programs = {}  # by what the arguments look like; the oldest leaves when there are too many
        update_wrapper(self, f, updated=())  # its name and documentation, and no attributes of a model

    def __call__(self, *args, **options):
        given = []
        key = recording.get(), look((args, options, self.model), given)
        if len(set(map(id, given))) < len(given):  # to differentiate by one is to differentiate by its twins
            key += tuple([[x is y for y in given].index(True) for x in given])
        if any([type(x) is Recorded for x in given]):
            return self.f(*args, **options)  # somebody else is recording, and this becomes part of it
        if detectors and watching():
            return run_eagerly(self.f, args, options)  # so that every result is looked at
        program = self.programs.get(key)
        if program is None:
            program = self.programs[key] = Program(self.f, args, options, self.reuse_outputs)
            if len(self.programs) > CACHE_SIZE:
                self.programs.pop(next(iter(self.programs)), None)
        ways = connections(given, program.used) if recording.get() else ()
        if ways not in program.ways:
            record(self.f, args, options, ways, program.used)  # fails where a gradient inside would follow one
            program.ways.add(ways)
        return program(given)

    def __get__(self, instance, owner):
        return self if instance is None else partial(self, instance)  # so that methods can be compiled too

    @property
    def program(self):
        """The program that was recorded last.  Print it."""
        if not self.programs:
            raise ValueError("nothing has been recorded yet: call the compiled function first")
        return list(self.programs.values())[-1]


def connections(given, used):
    """The ways outside of the function: which arguments were computed from other ones, or are or come from what it uses."""
    ways, everything = [], [*given, *used]
    for i, x in enumerate(given):
        if isinstance(x, Tensor) and (x.op or used):
            others = {j: y for j, y in enumerate(everything) if isinstance(y, Tensor) and (y is not x or j >= len(given))}
            _, reached = between([x], [*others.values()])
            origins = tuple([j for j, y in others.items() if y in reached])
            ways += [(i, origins)] if origins else []
    return tuple(ways)


def run_eagerly(f, args, options):
    """What a program gives, without one."""
    args, options = tree_map(lambda x: as_tensor(x) if is_array(x) else x, (args, options))
    return tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, f(*args, **options))


def look(part, given):
    """What a recording depends on: structure, shapes, dtypes, and whatever is no array.  The arrays are added to ``given``."""
    if isinstance(part, Tensor):
        given.append(part)
        return part._data.shape, part._data.dtype, part.requires_grad
    if isinstance(part, dict):
        return ("dict", *part, *map(type, part), *[look(each, given) for each in part.values()])
    if isinstance(part, (list, tuple)):
        return (type(part), *[look(each, given) for each in part])
    if is_array(part):
        given.append(part)
        return part.shape, part.dtype
    if isinstance(part, Module):
        return part, held(vars(part))
    if part.__hash__ is None:
        raise TypeError(f"a compiled function takes arrays, structures of them, and constants that can be compared by hash; "
                        f"this argument is of type {type(part).__name__}")
    if any(map(is_array, leaves(getattr(part, "__dict__", {})))):
        raise TypeError("a compiled function would not see other arrays in an object; this argument is of type "
                        f"{type(part).__name__}: make it a structure of arrays, such as a tuple, a dict or a NamedTuple")
    return constant(part)


def constant(part):
    same = isinstance(part, (float, complex, frozenset))  # which may be equal without that: 0.0 and -0.0, or {1} and {1.0}
    return type(part), repr(part) if same else part


def held(part):
    """What a recording depends on in a Module: names, structure, values of numbers, and which tensors and arrays they are."""
    if isinstance(part, Tensor):
        return part.order
    if isinstance(part, dict):
        return ("dict", *part, *map(type, part), *map(held, part.values()))
    if isinstance(part, (list, tuple)):
        return (type(part), *map(held, part))
    if isinstance(part, np.generic):
        return part.dtype, part.tobytes()
    if isinstance(part, Module):
        return look(part, [])
    return constant(part) if part.__hash__ else Itself(part)


class Itself:
    """What is compared by identity, and held so that nothing else can take its place in memory."""

    def __init__(self, held):
        self.held = held

    def __eq__(self, other):
        return isinstance(other, Itself) and self.held is other.held

    def __hash__(self):
        return id(self.held)


class Program:
    """A list of NumPy calls, and the memory that they read and write."""

    def __init__(self, f, args, options, reuse_outputs):
        self.reuse_outputs = reuse_outputs
        self.name = getattr(f, "__name__", "function")
        self.input_nodes, outputs, self.returned, self.requiring, self.captured = record(f, args, options)
        if description(self.input_nodes, outputs, self.returned) != description(*record(f, args, options)[:3]):
            raise ValueError(f"{self.name} does not do the same twice: something in it changes from call to call, such as "
                             "random numbers. Draw them outside and pass them in as arguments")
        self.used, self.ways = leaves_of(self.captured), {()}
        self.recorded = len([node for node in order(outputs) if node.op])
        outputs = simplify(outputs)
        self.nodes = freeing_early(order(outputs), outputs)
        self.arrays, self.owner, self.memory = allocate(self.nodes, self.input_nodes, outputs)
        if self.memory.nbytes > CACHE:  # where less memory is worth some work
            self.nodes = compute_again(self.nodes)
            self.arrays, self.owner, self.memory = allocate(self.nodes, self.input_nodes, outputs)
        self.leaves = leaves(self.returned)
        self.inputs, self.outputs = ([self.arrays[node] for node in nodes] for nodes in (self.input_nodes, outputs))
        self.computed = [node for node in self.nodes if node.op and self.owner[node] is node]
        self.instructions = [*calls(self.computed, self.arrays, readers_of(self.nodes, outputs))]
        self.lock = threading.Lock()

    def __call__(self, given):
        with self.lock:  # the buffers serve one call at a time
            self.read([x._data if isinstance(x, Tensor) else x for x in given])
            for run in self.instructions:
                run()
            values = self.outputs if self.reuse_outputs else [array.copy() for array in self.outputs]
        sources = origins([*given, *self.captured]) if any(self.requiring) else ()
        tensors = iter([result(value, required, COMPILED, sources, NO_ATTRIBUTES)
                        for value, required in zip(values, self.requiring, strict=True)])
        return rebuild(self.returned, [next(tensors) if leaf is OUTPUT else copy(leaf) for leaf in self.leaves])

    def read(self, values):
        """Copy the arguments into their buffers, unless they lie there: a result that is handed back may."""
        if self.reuse_outputs:  # or it lies in the buffer of another argument, and would be overwritten before it is read
            values = [x if x is own or not any([np.may_share_memory(x, buffer) for buffer in self.inputs]) else x.copy()
                      for own, x in zip(self.inputs, values, strict=True)]
        for buffer, x in zip(self.inputs, values, strict=True):
            if x is not buffer:
                buffer[...] = x

    def __repr__(self):
        return text_of(self)


def compiled(*inputs):
    """What a compiled function computes from tensors that require a gradient, as an operation: one without a rule."""


def refuse(g, out, *inputs):
    raise TypeError("what a compiled function returns has no graph: differentiate inside of the function that is compiled, "
                    "call the one that is not, or detach() the result")


COMPILED = Primitive(compiled, defaultdict(lambda: refuse))


def origins(given):
    """The tensors that require a gradient, and in place of what was compiled, those it was computed from."""
    requiring = [x for x in given if isinstance(x, Tensor) and x.requires_grad]
    return tuple(dict.fromkeys(chain.from_iterable([x.inputs if x.op is COMPILED else (x,) for x in requiring])))


def description(inputs, outputs, returned):
    """A graph as something that can be compared.  What is random or looks at the clock differs when it is recorded again."""
    position = {node: i for i, node in enumerate([*inputs, *[node for node in order(outputs) if node not in inputs]])}
    nodes = [(node.kind, [position[x] for x in node.inputs], frozen(node.attrs), frozen(node.value)) for node in position]
    return nodes, [position[x] for x in outputs], frozen(returned)


# Order.


def freeing_early(nodes, outputs):
    """The same list in another order: what frees as much memory as it takes comes as soon as it can be computed."""
    readers = readers_of(nodes, outputs)
    unread = {node: len(readers[node]) for node in nodes}
    missing = {None: 0} | {node: len(set(node.inputs)) for node in nodes}
    listed, ordered = {None}, []  # None, who called the function, is never ready

    def comes_for_free(node):
        if node in listed or missing[node]:
            return False
        return nbytes(node) <= sum([nbytes(x) for x in set(node.inputs) if x.op and unread[x] == 1])

    for next_node in nodes:
        ready = [] if next_node in listed else [next_node]
        listed.update(ready)
        for node in ready:  # which grows meanwhile
            ordered.append(node)
            for x in set(node.inputs):
                unread[x] -= 1
            for reader in readers[node]:
                missing[reader] -= 1
            last_readers = [reader for x in node.inputs if unread[x] == 1 for reader in readers[x]]
            for reader in filter(comes_for_free, [*readers[node], *last_readers]):
                listed.add(reader)
                ready.append(reader)
    return ordered


def readers_of(nodes, outputs):
    """For every node, those that read it, with None for whoever called the function."""
    readers = {node: [] for node in nodes}
    for node in nodes:
        for x in set(node.inputs):
            readers[x].append(node)
    for node in outputs:
        readers[node].append(None)
    return readers


def compute_again(nodes, distance=30):
    """Rather than keep the slope of a relu in memory for long, compute it once more where it is needed again."""
    ordered, last_use, copies = [], {}, {}
    for position, node in enumerate(nodes):
        for x in node.inputs:
            if x.kind == "step":
                if position - last_use.get(x, position) > distance:
                    copies[x] = replace(x)
                    ordered.append(copies[x])
                last_use[x] = position
        node.inputs = tuple([copies.get(x, x) for x in node.inputs])
        ordered.append(node)
    return ordered


# Allocate.  Views (a reshape, a transpose, a broadcast, a slice) are made once, here, and cost nothing when the program runs.

VIEWS = {"identity", "reshape", "broadcast_to", "permute_dims", "getitem"}


def allocate(nodes, inputs, outputs):
    """An array for every node, none of which is written to while anybody still needs what it holds, and the memory they share."""
    arrays = {x: in_shape_of(x, new_buffer(nbytes(x))) for x in inputs}
    scratch = np.empty(max(map(nbytes, [*inputs, *nodes]), default=0), np.uint8)
    sketch, owner = lay_out(nodes, arrays, lambda node: in_shape_of(node, scratch))
    places = places_in_joins(nodes, sketch, owner)
    holder = {x: places.get(node, (node,))[0] for x, node in owner.items()}  # of the memory: the owner, or what it is a part of
    last_use = {holder[x]: position for position, node in enumerate(nodes) for x in node.inputs}
    last_use |= {holder[x]: len(nodes) for x in outputs}
    # A result may be handed back as the argument in the same place, as parameters are, and best lies there already; in a running
    # sum, new + c * old, so does the product.
    replaces = dict(zip(outputs, inputs, strict=False))
    replaces = {x: old for node, old in replaces.items() if node.kind == "add"
                for x in node.inputs if x.kind == "multiply" and old in x.inputs} | replaces
    pieces, taken = {}, {}  # by node: the piece of memory where it lies, or the input
    for position, node in enumerate(nodes):
        if node.op and owner[node] is node:
            # An elementwise operation may write over an input that it is the last to read, if it reads it entry by entry.
            overwritten = [x for x in dict.fromkeys([holder[x] for x in node.inputs]) if last_use[x] == position
                           and node.kind in UFUNCS and (x.shape, x.dtype) == (node.shape, node.dtype)
                           and node not in places and all([y is x for y in node.inputs if holder[y] is x])]
            whole = holder[node]
            if replaces.get(node) in [taken.get(x, x) for x in overwritten]:
                taken[node] = replaces[node]
            elif whole not in pieces:
                piece = next((pieces[x] for x in overwritten if x in pieces), None)
                pieces[whole] = piece or Piece(nbytes(whole), position)
            if whole in pieces:
                pieces[whole].last = last_use.get(whole, position)
    memory = new_buffer(place({id(piece): piece for piece in pieces.values()}.values()))  # each once: results may share one

    def storage(node):
        if node in taken:
            return arrays[taken[node]]
        whole, part_of_it = places.get(node, (node, ...))
        return in_shape_of(whole, memory[pieces[whole].start :])[part_of_it].reshape(node.shape)

    arrays, owner = lay_out(nodes, arrays, storage)
    owner |= {join: node for node, (join, _) in places.items()}  # such a join needs no instruction either
    return arrays, owner, memory


@dataclass
class Piece:
    """A piece of memory, needed from one position of the list to another one."""

    nbytes: int
    first: int
    last: int = 0
    start: int = 0


def place(pieces):
    """Give every piece its start, so that none overlap that are needed together, and return how much memory that takes.

    Greedy: the largest first, each at the lowest place that is free for as long as it is needed.
    """
    pieces = sorted(pieces, key=lambda piece: -piece.nbytes)
    first, last, start, end = np.zeros((4, len(pieces)), int)
    for i, piece in enumerate(pieces):
        together = np.flatnonzero((first[:i] <= piece.last) & (last[:i] >= piece.first))
        together = together[np.argsort(start[together])]
        gaps = np.maximum.accumulate([0, *end[together]])  # where they begin; the last one has no end
        fitting = np.flatnonzero(start[together] - gaps[:-1] >= piece.nbytes)
        piece.start = int(gaps[fitting[0] if fitting.size else -1])
        lines = -(-piece.nbytes // ALIGNMENT)
        first[i], last[i], start[i], end[i] = piece.first, piece.last, piece.start, piece.start + lines * ALIGNMENT
    return int(end.max(initial=0))


def places_in_joins(nodes, arrays, owner):
    """What can be computed where it will lie in a join, which then costs nothing: for each such part, the join and where."""
    places = {}
    for join in nodes:
        if join.kind == "join" and prod(join.shape[: join.attrs["axis"]]) == 1:  # every part lies in one piece
            operands = [arrays[x] for x in join.inputs]
            parts = {owner[x]: (join, part(i, operands, join.attrs["axis"])) for i, x in enumerate(join.inputs)
                     if can_be_part(x, join, owner[x])}
            if len(parts) == len(operands) and places.keys().isdisjoint(parts):
                places |= parts
    return places


def can_be_part(x, join, node):
    """Whether ``x`` is all that ``node`` computes, perhaps in another shape."""
    origin = x.inputs[0] if x.kind == "reshape" else x
    return origin is node and node.op and node.kind != "join" and node.dtype == join.dtype


def lay_out(nodes, inputs, storage):
    """Arrays for all nodes, and for each the node in whose array its value lies: another one if it is a view."""
    arrays, owner = dict(inputs), {x: x for x in inputs}
    for node in nodes:
        if node.op is None:
            arrays.setdefault(node, np.asarray(node.value))
            owner[node] = node
        else:
            arrays[node] = view(node, arrays[node.inputs[0]]) if node.kind in VIEWS else None
            owner[node] = node if arrays[node] is None else owner[node.inputs[0]]
            if arrays[node] is None:
                arrays[node] = storage(node)
    return arrays, owner


def view(node, array):
    value = node.op.forward(array, **node.attrs)
    if isinstance(value, np.generic) and value.dtype == array.dtype:  # NumPy copies an entry, unless the index ends with dots
        index = node.attrs["index"]
        value = array[(*index, ...) if isinstance(index, tuple) else (index, ...)]
    return value if np.may_share_memory(value, array) else None


def new_buffer(nbytes):
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def address(array):
    return array.__array_interface__["data"][0]


def in_shape_of(node, buffer):
    return buffer[: nbytes(node)].view(node.dtype).reshape(node.shape)


def nbytes(node):
    return size(node) * node.dtype.itemsize


# Run.  An instruction is a NumPy function together with the arrays that it reads and the one that it writes.

UFUNCS = {name: getattr(np, name) for name in OPERATIONS if isinstance(getattr(np, name, None), np.ufunc)}
CONVOLUTIONS = {"convolve", "convolve_nt", "convolve_tn"}  # which can be told where to write


def calls(nodes, arrays, readers):
    """The instructions, one for each node or, in a group, for each node and block."""
    zeros = {}
    for group in in_groups(nodes, arrays):
        for node, operands, out in in_blocks(group, arrays, readers):
            yield instruction(node, operands, out, zeros)


def in_groups(nodes, arrays):
    """The list in pieces: elementwise operations on large arrays that follow each other are to be run block by block.

    Each on as many entries; and where one writes, no other one may read or write but exactly the same bytes.
    """
    group, written, touched = [], {}, {}
    for node in nodes:
        writes, touches = by_place([arrays[node]]), by_place([arrays[x] for x in (node, *node.inputs)])
        if group and not (runs_in_blocks(group[0], arrays) and runs_in_blocks(node, arrays) and len(group) < LONGEST
                          and arrays[node].size == arrays[group[0]].size
                          and are_apart(writes, touched | touches) and are_apart(written, touches)):
            yield group
            group, written, touched = [], {}, {}
        group.append(node)
        written |= writes
        touched |= touches
    if group:
        yield group


def runs_in_blocks(node, arrays):
    read, written = [arrays[x] for x in node.inputs], arrays[node]
    return (node.kind in UFUNCS and written.nbytes > BLOCK
            and all([x.flags.c_contiguous and x.size in (1, written.size) for x in (*read, written)]))


def by_place(arrays):
    return {(address(array), array.nbytes): array for array in arrays}


def are_apart(these, others):
    """Whether arrays that share memory share all of it."""
    return not any([np.may_share_memory(x, y) for here, x in these.items() for there, y in others.items() if here != there])


def in_blocks(group, arrays, readers):
    """What is to be read and written: by a group, one block after the other, while the block is in the processor's cache.

    What only the group reads never leaves the cache: a block of its own takes the place of its array, which stays untouched.
    """
    if len(group) == 1:
        yield group[0], [arrays[x] for x in group[0].inputs], arrays[group[0]]
        return
    entries, length = arrays[group[0]].size, BLOCK // max([arrays[node].itemsize for node in group])
    passing = {node for node in group if all([reader in group for reader in readers[node]])}  # so it has no views
    scratch = {address(arrays[node]): new_buffer(BLOCK) for node in passing}
    for start in range(0, entries, length):
        blocks = {}
        for node in group:
            for x in (*node.inputs, node):
                array = arrays[x].reshape(-1)
                block = array[start : start + length] if array.size > 1 else array.reshape(())
                if x in passing:
                    block = scratch[address(array)][: block.nbytes].view(block.dtype)
                blocks[x] = block
            yield node, [blocks[x] for x in node.inputs], blocks[node]


BLOCK, LONGEST = 2**17, 50  # bytes of each array that are read together; operations in a group


def instruction(node, operands, out, zeros):
    kind, attrs = node.kind, node.attrs
    if kind in ("maximum", "minimum"):
        return partial(UFUNCS[kind], *operands, out=out)  # NumPy wants this one spelled out; by position is faster
    if kind in UFUNCS:
        return partial(UFUNCS[kind], *operands, out)
    if kind == "relu":
        zero = zeros.setdefault((out.shape, out.dtype), np.zeros(out.shape, out.dtype))  # faster than a single 0
        return partial(np.maximum, *operands, zero, out=out)
    if kind == "step":
        return partial(np.greater, *operands, np.zeros((), operands[0].dtype), out)
    if kind in PRODUCTS:
        return product_into(kind, *operands, out)
    if kind == "sum":
        return sum_into(out, *operands, summed_axes(*operands, attrs.get("axis")))
    if kind == "sum_to":
        return sum_into(out, *operands, stretched_axes(out.shape, operands[0].shape))
    if kind == "join":
        return partial(np.concatenate, operands, out=out, **attrs)
    if kind in CONVOLUTIONS:
        return partial(node.op.forward, *operands, **attrs, out=out)
    return partial(compute_into, out, node.op.forward, operands, attrs)


def product_into(kind, x, y, out):
    x = x.swapaxes(-1, -2) if kind == "product_tn" else x
    y = y.swapaxes(-1, -2) if kind == "product_nt" else y
    if all([prod(z.shape[:-2]) == 1 for z in (x, y)]):  # one matrix each, for which NumPy has a shorter way
        x, y, out = (z[(0,) * (z.ndim - 2)] for z in (x, y, out))
        if n := rows_at_once(x, y):
            return partial(np.matmul, x.reshape(-1, n, x.shape[1]), y, out.reshape(-1, n, y.shape[1]))
        return partial(np.dot, x, y, out)
    return partial(np.matmul, x, y, out)


def rows_at_once(x, y):
    """How many rows of the product of two matrices to compute at a time, or 0 for all of them.

    A product of large matrices is faster as many small ones, each of a multiple of four rows, where OpenBLAS multiplies small
    matrices without copying them first.  Not where each would have to fetch ``y`` from outside the cache, or read rows of it
    that do not start where cache lines do.
    """
    rows, inner, columns = *x.shape, y.shape[1]
    if rows * inner * columns <= SMALL or x.dtype != y.dtype or x.dtype.char not in "fd" or not is_small_fast():
        return 0
    if not y.flags.c_contiguous or address(y) % ALIGNMENT or y.strides[0] % ALIGNMENT or y.nbytes >= CACHE:
        return 0
    if not (x.flags.c_contiguous or x.flags.f_contiguous):
        return 0
    least, most = 4 if x.flags.c_contiguous else 8, min(rows, SMALL // (inner * columns))  # fewer columns of x.T are slow
    return max([n for n in range(least, most + 1, 4) if rows % n == 0], default=0)


SMALL = 10**6  # multiplications, from OpenBLAS's sources, such as kernel/x86_64/sgemm_small_kernel_permit_skylakex.c


@cache
def is_small_fast():
    """Whether NumPy comes with such an OpenBLAS, for this processor, and is to use one thread (small products never use more)."""
    config = np.show_config(mode="dicts")
    library = config.get("Build Dependencies", {}).get("blas", {}).get("name")
    found = config.get("SIMD Extensions", {}).get("found", [])
    one_thread = os.environ.get("OPENBLAS_NUM_THREADS") == "1"
    return one_thread and library == "scipy-openblas" and ("X86_V4" in found or "AVX512_SKX" in found)


def summed_axes(x, axis):
    """The axes that ``sum`` adds up over, as positions.  (A number may be summed over axis 0, which it has not.)"""
    return tuple(range(x.ndim)) if axis is None or not x.ndim else tuple(np.atleast_1d(axis) % x.ndim)


def sum_into(out, x, axes):
    """Where the sum is over the first axes or the last ones, a product with ones does it faster than NumPy's own sum."""
    n = prod([x.shape[axis] for axis in axes])
    if x.dtype.kind == "f" and axes and x.flags.c_contiguous and x.size:
        if axes == tuple(range(x.ndim - len(axes), x.ndim)):
            return partial(np.dot, x.reshape(-1, n), np.ones(n, x.dtype), out.reshape(-1))
        if axes == tuple(range(len(axes))):
            return partial(np.dot, np.ones((1, n), x.dtype), x.reshape(n, -1), out.reshape(1, -1))
    kept = out.reshape([1 if axis in axes else size for axis, size in enumerate(x.shape)])
    if x.dtype.kind == "f" and axes == (x.ndim - 2,):
        return partial(np.matmul, np.ones((1, n), x.dtype), x, kept)
    if x.dtype == np.float16:
        return partial(compute_into, kept, add_up, [x], {"axis": axes, "keepdims": True})
    return partial(np.add.reduce, x, axes, None, kept, True)


def compute_into(out, forward, operands, attrs):
    """For operations that NumPy cannot be told where to write."""
    np.copyto(out, forward(*operands, **attrs))


# Print.


def text_of(program):
    """One line per operation: what it computes, of which type and shape, and where."""
    names, lines = {}, []
    for node in [*program.input_nodes, *program.nodes]:
        if node in names:
            continue
        if node.op is None:
            constant = node.value is not None
            names[node] = node.name or f"c{len(names)}"
            what = names[node]
            value = " ".join(np.array2string(node.value, threshold=4, precision=6).split()) if constant else ""
            where = f"constant {value}" if constant else "input"
        else:
            names[node] = f"v{len(names)}"
            arguments = [names[x] for x in node.inputs] + [f"{key}={value}" for key, value in node.attrs.items()]
            what = f"{names[node]} = {node.kind}({', '.join(arguments)})"
            if node.kind == "join" and program.owner[node] is not node:
                where = "in place"
            elif program.owner[node] is node:
                start = address(program.arrays[node]) - address(program.memory)
                where = f"at byte {start}" if 0 <= start < program.memory.nbytes else "in place of an input"
            else:
                where = f"view of {names[node.inputs[0]]}"
        lines.append((what, f"{node.dtype} {node.shape}", where))
    widths = [max([len(line[i]) for line in lines]) for i in range(2)]
    head = (f"{program.name}: {program.recorded} operations recorded, {len(program.computed)} instructions, "
            f"{program.memory.nbytes:,} bytes beside the inputs")
    return "\n".join([head, *[f"  {what:{widths[0]}}  {kind:{widths[1]}}  {where}" for what, kind, where in lines]])
