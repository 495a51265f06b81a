"""Do the tests notice a fault?  Plant one at a time in the engine, and see.

A test that cannot fail proves nothing.  So take the mathematics that the tests are to protect, drop a term here, flip a sign
there, and run the tests on it: each fault must be caught.  One that is not, a *survivor*, is a test that is missing (DeMillo,
Lipton, Sayward 1978, who called it mutation analysis).

    python -m tests.mutation                     80 faults, spread over all kinds and all files
    python -m tests.mutation --only maml.py      those whose description contains this, as in the lists it prints
    python -m tests.mutation --all               every one, which takes hours
    python -m tests.mutation --list              only say what would be planted

Nobody thinks the faults up.  Each kind below is a small function from a node of the syntax tree to what a fault may put in its
place, and it is tried at every node.  A fault goes into a private copy of the package; the files here are only read.
"""

import argparse
import ast
import builtins
import os
import random
import re
import resource
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter

ROOT = Path(__file__).parent.parent

TESTS = {  # file -> its tests, the likely killers first; its own examples come last
    "ops.py": "operations kinks_and_traps tensor func autodiff compile bad_inputs",
    "convolution.py": "convolution operations bad_inputs",
    "tensor.py": "tensor autodiff func kinks_and_traps operations compile anomaly bad_inputs",
    "autodiff.py": "autodiff func tensor kinks_and_traps maml anomaly bad_inputs",
    "optim.py": "optim maml training bad_inputs",
    "meta/maml.py": "maml bad_inputs",
    "meta/train.py": "training maml bad_inputs",
    "graph/compile.py": "compile anomaly bad_inputs",
}
LAST = ["random_graphs", "peak_memory"]  # tests that take seconds
NEVER = ["a_million", "memory_is_flat", "flat_memory", "garbage_collector"]  # and are about something else

# Faults that nobody can notice, because no result depends on them: (function, old, new) -> why.  Without the new: any.
ONES = "grad_outputs = [Tensor(np.ones(out.shape, out.dtype)) for out in outputs]"
MOVED = "np.moveaxis(view, (-3, -2, -1), (0, 1, 2))"
APART = "apart, together = (spread(gradient_of, executor, workers, eager), faster(move))"
SCRATCH = "scratch = np.empty(max(map(nbytes, [*inputs, *nodes]), default=0), np.uint8)"
SIGMOID = "return np.where(x < 0, small, one) / (one + small)"
NONE_AT_ALL = "support[:1] != query[:1] or not support or 0 in support + query"
BESIDE = "x, y = (as_tensor(x, beside=y), as_tensor(y, beside=x))"
FAR = "if position - last_use.get(x, position) > distance"
BORDERED = "bordered = np.zeros((n, height + 2, width + 2, channels), images.dtype)"
VARIED = "varied = tree_map(lambda p: (p._data.T + np.linspace(0, 1, len(p))).T, params)"
CLOSE = "not np.allclose(together._data[-1], alone._data, rtol=0.001, equal_nan=True)"
COMPUTED = "if isinstance(x, Tensor) and (x.op or used)"
TWINS = "if len(set(map(id, given))) < len(given)"
ELSEWHERE = "x is own or not any([np.may_share_memory(x, buffer) for buffer in self.inputs])"
RATES = "rates = np.array(optimizer.rates(optimizer.steps + 1), widened(theta).dtype)"
REMNANTS = "if steps % 100 or not state"
KEPT = "Tensor(first * (abs(first) > numbers.tiny / numbers.eps), first.dtype)"
NUMBERS = "first, numbers = (state[0].data, np.finfo(state[0].dtype))"
EQUIVALENT = {
    ("the module", "scopes, passes = (deque(maxlen=1000), deque(maxlen=50))"): "how many names for pictures are remembered",
    ("between", "oldest = min([x.order for x in inputs], default=0)"): "without inputs there is nothing to search",
    ("grad", "newest = max([out.order for out in outputs], default=None)"): "where pictures put a frame",
    **{("first_gradients", ONES, ONES.replace(", out.dtype", other)): "1 is 1 in any type, and is cast below"
       for other in ("", ", 'float32'", ", 'float64'")},
    ("__array__", "return np.array(self.data, dtype=dtype)", "return np.array(self.data)"): "NumPy converts what it gets",
    ("the module", "CACHE_SIZE = 16"): "how many programs are remembered",
    ("train", "eager=False", "eager=True"): "the same results, later",
    ("train", RATES, "rates = optimizer.rates(optimizer.steps + 1)"): "recorded anew at every step: the same results, later",
    ("train", APART, APART.replace("faster(move)", "move")): "the same results, later",
    **{("without_remnants", REMNANTS, REMNANTS.replace("steps % 100", other)): "how often"
       for other in ("steps % 99", "steps % 101")},
    ("without_remnants", REMNANTS, "if not state"): "at every step",
    ("without_remnants", KEPT, KEPT.replace(">", ">=")): "how small is small",
    ("without_remnants", NUMBERS, NUMBERS.replace("np.finfo(state[0]", "np.finfo(state[1]")): "all sums are of one type",
    ("sigmoid", SIGMOID, SIGMOID.replace("<", "<=")): "at 0 both are 1",
    ("few_at_a_time", "few = 1 + 2 ** 18 // max(1, entries)"): "how many are few",
    ("read_subscripts", "not set(letters) <= set(ascii_letters)", "not set(letters) < set(ascii_letters)"):
        "nobody has 52 axes",
    ("tasks_of", NONE_AT_ALL, NONE_AT_ALL.replace("not support", "not query")): "if they begin alike, both are () or none is",
    ("call", BESIDE, "x, y = (as_tensor(x, beside=y), y)"): "the general way converts it too, but slower",
    **{("__call__", "if detectors and watching()", f"if {other}"): "run eagerly, with the same results, or asked more often"
       for other in ("detectors", "watching()")},
    **{("read", ELSEWHERE, other): "a copy more, which takes time" for other in ELSEWHERE.split(" or ")},
    ("check_axes", VARIED): "how the tasks differ",
    ("check_axes", CLOSE, CLOSE.replace("001", "002")): "how close is close",
    ("check_axes", CLOSE, "not np.allclose(alone._data, together._data[-1], rtol=0.001, equal_nan=True)"): "the same distance",
    ("connections", COMPUTED, COMPUTED.partition(" and ")[0]): "what was not computed has no origins",
    ("__call__", TWINS, TWINS.replace("<", "<=")): "the same programs, by longer names",
    ("allocate", SCRATCH, SCRATCH.replace("0", "1")): "a byte more",
    ("compute_again", FAR, FAR.replace(">", ">=")): "how far is far",
    ("in_groups", "len(group) < LONGEST", "len(group) <= LONGEST"): "how long a group may be",
    **{("rows_of", BORDERED, BORDERED.replace(", images.dtype", other)): "more precise than the result, into which it is cast"
       for other in ("", ", 'float64'")},
    ("windows", f"{MOVED}.copy()", MOVED): "reshape, one line below, copies it too, but slower",
}


# -------------------------------------------------------------------------------------------------- kinds of faults

KINDS = {}  # name -> functions from a node of the syntax tree to the nodes that may stand in its place


def kind(name):
    """Enter the function below this line as one that plants faults of this kind."""

    def enter(operator):
        KINDS.setdefault(name, []).append(operator)
        return operator

    return enter


def called(function):
    """The name in ``name(...)`` or ``module.name(...)``."""
    return getattr(function, "id", getattr(function, "attr", ""))


def expression(text):
    return ast.parse(text, mode="eval").body


def is_rule(node):
    """Whether this is a derivative rule: a function of the gradient ``g`` and of other things."""
    return isinstance(node, ast.Lambda) and len(node.args.args) > 1 and "g" in [arg.arg for arg in node.args.args[:2]]


@kind("a term dropped")
def drop_a_term(node):
    match node:
        case ast.BinOp(x, ast.Add() | ast.Mult(), y):
            yield from (x, y)
        case ast.BinOp(x, ast.Sub() | ast.Div() | ast.Pow() | ast.Mod() | ast.FloorDiv(), _):
            yield x


@kind("a sign flipped")
def flip_a_sign(node):
    match node:
        case ast.BinOp(x, ast.Add(), y):
            yield ast.BinOp(x, ast.Sub(), y)
        case ast.BinOp(x, ast.Sub(), y):
            yield ast.BinOp(x, ast.Add(), y)
        case ast.UnaryOp(ast.USub(), x):
            yield x
        case ast.Lambda(args, body) if is_rule(node):
            yield ast.Lambda(args, ast.UnaryOp(ast.USub(), body))


@kind("inputs swapped")
def swap_inputs(node):
    """Also swaps the rules of an operation of two inputs, which are arguments of its decorator."""
    match node:
        case ast.BinOp(x, ast.Sub() | ast.Div() | ast.Pow() | ast.MatMult() | ast.Mod() | ast.FloorDiv() as op, y):
            yield ast.BinOp(y, op, x)
        case ast.Call(f, [x, y, *rest], keywords) if called(f) not in SYMMETRIC:
            yield ast.Call(f, [y, x, *rest], keywords)


SYMMETRIC = {"add", "multiply", "maximum", "minimum", "equal", "not_equal", "may_share_memory", "result_type",
             "broadcast_shapes", "isinstance", "hasattr", "zeros", "ones", "empty", "partial", "map"}  # or of two types


@kind("broadcasting not undone")
def skip_unbroadcasting(node):
    match node:
        case ast.Call(ast.Name(f) | ast.Attribute(ast.Name("np"), f), [x, *_]) if f in RESHAPING:
            yield x
        case ast.Call(ast.Attribute(x, f)) if f in RESHAPING:
            yield x


RESHAPING = {"sum_to", "fit", "broadcast_to", "restore", "reshape", "squeeze", "stretch"}


@kind("an operation skipped")
def skip_an_operation(node):
    match node:
        case ast.Call(ast.Name(f), [x, *_]) if not (f in RESHAPING or f == "cast" or f[0].isupper() or hasattr(builtins, f)):
            yield x


@kind("a statement skipped")
def skip_a_statement(node):
    match node:
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Assign([ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()


@kind("overwritten instead of added")
def overwrite(node):
    match node:
        case ast.AugAssign(target, _, value):
            yield ast.Assign([target], value, lineno=0)
        case ast.IfExp(_, only, ast.BinOp(_, ast.Add(), _)) | ast.IfExp(_, ast.BinOp(_, ast.Add(), _), only):
            yield only
        case ast.Expr(ast.Call(ast.Attribute(_, "at"), [array, index, value])):
            yield ast.Assign([ast.Subscript(array, index)], value, lineno=0)


@kind("wrong order")
def change_the_order(node):
    match node:
        case ast.Call(ast.Name("reversed" | "sorted"), [x, *_]):
            yield ast.Call(ast.Name("list"), [x], [])
        case ast.Subscript(x, ast.Slice(None, None, ast.UnaryOp(ast.USub(), ast.Constant(1)))):
            yield x
    match node:
        case ast.Call(ast.Name("sorted"), args, keywords):
            yield ast.Call(ast.Name("sorted"), args, [*keywords, ast.keyword("reverse", ast.Constant(True))])


@kind("detached")
def detach(node):
    """Treat as a constant what must be differentiated: a whole gradient, or in a rule one of its factors."""
    match node:
        case ast.keyword("create_graph", _):
            yield ast.keyword("create_graph", ast.Constant(False))
        case ast.Call(f, args, keywords):
            for i, x in enumerate(args):
                if isinstance(x, ast.Name) and x.id == "first_order":
                    yield ast.Call(f, [*args[:i], ast.Constant(True), *args[i + 1 :]], keywords)
        case ast.BinOp(x, ast.Sub(), ast.BinOp(a, ast.Mult(), ast.Name("g") as g)):  # a step downhill
            yield ast.BinOp(x, ast.Sub(), ast.BinOp(a, ast.Mult(), detached(g)))
        case ast.Lambda(args, body) if is_rule(node):
            for new, *_ in variants(body, [detach_a_factor]):
                yield ast.Lambda(args, new)


def detach_a_factor(node):
    match node:
        case ast.BinOp(x, op, y):
            yield from [ast.BinOp(detached(x), op, y)] if isinstance(x, ast.Name) else []
            yield from [ast.BinOp(x, op, detached(y))] if isinstance(y, ast.Name) else []
        case ast.Call(f, args, keywords) if called(f) not in WITHOUT_DERIVATIVE:
            for i, x in enumerate(args):
                if isinstance(x, ast.Name) and x.id in ("g", "out", "x", "y") and i == DIFFERENTIATED.get(called(f), i):
                    yield ast.Call(f, [*args[:i], detached(x), *args[i + 1 :]], keywords)


def detached(x):
    return ast.Call(ast.Attribute(x, "detach"), [], [])


WITHOUT_DERIVATIVE = {"sign", "step", "equal", "not_equal", "greater", "less"}
DIFFERENTIATED = {"fit": 0, "restore": 0, "away_from_zero": 0, "settled": 1}  # of the others, only shapes or zeros matter


@kind("a stale or shared buffer")
def share_a_buffer(node):
    match node:
        case ast.Call(ast.Attribute(x, "copy"), []) | ast.Call(ast.Name("copy"), [x]):
            yield x
        case ast.Call(ast.Attribute(ast.Name("np"), "array"), [x, *_]):
            yield x
        case ast.Attribute(_, "lock", ast.Load()):
            yield expression("threading.Lock()")  # one that nobody else waits for
        case ast.Compare(ast.Subscript(ast.Name("last_use")) as last, [ast.Eq()], [position]):
            yield ast.Compare(ast.BinOp(last, ast.Sub(), ast.Constant(1)), [ast.Eq()], [position])


@kind("a type that leaks")
def leak_a_type(node):
    match node:
        case ast.Call(ast.Attribute(x, "astype"), _) | ast.Call(ast.Name("cast"), [x, *_]):
            yield x
        case ast.Call(ast.Attribute(ast.Name("np"), "zeros" | "ones" | "empty" | "array" | "asarray") as f, args, keywords):
            if len(args) > 1:
                yield ast.Call(f, args[:-1], keywords)
            if "dtype" in [k.arg for k in keywords]:
                yield ast.Call(f, args, [k for k in keywords if k.arg != "dtype"])
    match node:
        case ast.Call(f, args, keywords):
            for i, x in enumerate(args):
                if getattr(x, "attr", getattr(x, "id", "")) == "dtype":
                    for leaked in ("float32", "float64"):
                        yield ast.Call(f, [*args[:i], ast.Constant(leaked), *args[i + 1 :]], keywords)


@kind("a boundary moved")
def move_a_boundary(node):
    match node:
        case ast.Compare(x, [op, *ops], ys) if type(op) in BOUNDARIES:
            yield ast.Compare(x, [BOUNDARIES[type(op)](), *ops], ys)


BOUNDARIES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}


@kind("a constant changed")
def change_a_constant(node):
    match node:
        case ast.Constant(bool()):
            return
        case ast.Constant(int(n)):
            yield ast.Constant(n + 1)
            if n > 0:
                yield ast.Constant(n - 1)
        case ast.Constant(float(c)):
            yield ast.Constant(2 * c)


@kind("an attribute changed")
def change_an_attribute(node):
    match node:
        case ast.Constant(bool(flag)):
            yield ast.Constant(not flag)
        case ast.Call(f, args, keywords):
            for i, x in enumerate(args):
                if isinstance(x, ast.Name) and x.id in DEFAULTS:
                    yield ast.Call(f, [*args[:i], DEFAULTS[x.id], *args[i + 1 :]], keywords)
            for i, k in enumerate(keywords):
                if k.arg in DEFAULTS:
                    yield ast.Call(f, args, keywords[:i] + keywords[i + 1 :])


DEFAULTS = {name: expression(text) for name, text in {"axis": "None", "axes": "None", "keepdims": "not keepdims", "ddof": "0",
                                                      "stride": "1", "steps": "1", "step_size": "0.01"}.items()}  # fmt: skip


@kind("a condition negated")
def negate_a_condition(node):
    match node:
        case ast.If(test, [ast.Raise()] as error):  # what is to be refused is let through
            yield ast.If(ast.Constant(False), error, [])
        case ast.If(test, body) if not isinstance(test, ast.Compare):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, [])
        case ast.IfExp(test, x, y):
            yield ast.IfExp(test, y, x)
        case ast.comprehension(target, iterable, [test], is_async):
            yield ast.comprehension(target, iterable, [ast.UnaryOp(ast.Not(), test)], is_async)
            yield ast.comprehension(target, iterable, [], is_async)
        case ast.BoolOp(op, values):
            for i in range(len(values)):
                yield ast.BoolOp(op, values[:i] + values[i + 1 :]) if len(values) > 2 else values[1 - i]
        case ast.Compare(x, [op], [y]) if type(op) in OPPOSITES:
            yield ast.Compare(x, [OPPOSITES[type(op)]()], [y])


OPPOSITES = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}


@kind("its neighbour called")
def call_the_neighbour(node):
    match node:
        case ast.Name(name) if name in NEIGHBOURS:
            yield ast.Name(NEIGHBOURS[name])
        case ast.Attribute(x, name) if name in NEIGHBOURS:
            yield ast.Attribute(x, NEIGHBOURS[name])
        case ast.BinOp(x, ast.Mult(), y):
            yield ast.BinOp(x, ast.Div(), y)
        case ast.BinOp(x, ast.Div(), y):
            yield ast.BinOp(x, ast.Mult(), y)


PAIRS = """add subtract, multiply quotient, maximum minimum, max min, argmax argmin, exp expm1, log log1p, sin cos, square sqrt,
    equal not_equal, greater less, greater_equal less_equal, product_nt product_tn, convolve_nt convolve_tn, any all,
    zeros ones, support query, mean sum, tanh sigmoid, abs negative, norm sum"""
NEIGHBOURS = {"divide": "multiply", "sum": "mean", "product": "product_nt", "convolve": "convolve_tn"}
for pair in PAIRS.split(","):
    for one, other in (pair.split(), pair.split()[::-1]):
        NEIGHBOURS.setdefault(one, other)


# ------------------------------------------------------------------------------------------------ faults of a file


@dataclass(frozen=True)
class Fault:
    """One fault: where, of which kind, and what the file is with it."""

    file: str
    line: int
    function: str
    kind: str
    old: str
    new: str
    part: ast.AST
    faulty_part: ast.AST

    def __str__(self):
        return f"{self.file}:{self.line}  {self.kind}  in {self.function}: {self.old}  ->  {self.new}"

    def planted_in(self, source):
        """The source with its part replaced."""
        part, new = self.part, self.faulty_part
        match part, new:
            case (ast.If(test=part), ast.If(test=new)) | (ast.keyword(value=part), ast.keyword(value=new)):
                pass
        lines = source.splitlines(keepends=True)
        before = "".join(lines[: part.lineno - 1]) + lines[part.lineno - 1][: part.col_offset]
        after = lines[part.end_lineno - 1][part.end_col_offset :] + "".join(lines[part.end_lineno :])
        return before + ast.unparse(new) + after


def all_faults(root=ROOT):
    return [fault for file in TESTS for fault in faults_in(file, (root / "tinygrad_meta" / file).read_text())]


def faults_in(file, source):
    """Every fault that one of the kinds plants somewhere in a file."""
    found = {}
    for function, part in parts(ast.parse(source)):
        for name, operators in KINDS.items():
            for new, before, after in variants(part, operators):
                old, fresh = shown(before), shown(after)
                known = {(function, old), (function, old, fresh)} & EQUIVALENT.keys() or as_read(old) == as_read(fresh)
                if unparsed(new) != unparsed(part) and not known:
                    fault = Fault(file, before.lineno, function, name, old, fresh, part, new)
                    found.setdefault((part, unparsed(new)), fault)
    return list(found.values())


def as_read(text):
    """As NumPy reads it: to reshape, any negative length is the one that is left over; axes are swapped in either order."""
    return re.sub(r"(swapaxes\([^)]*)-2, -1", r"\1-1, -2", re.sub(r"(reshape\([^)]*)-2", r"\1-1", text))


def parts(node, function="the module"):
    """The statements without a body, and the expressions in the headings of those with one; each with the function it is in."""
    match node:
        case ast.arguments(args=positional, defaults=values):
            named = [*zip(positional[::-1], values[::-1], strict=False), *zip(node.kwonlyargs, node.kw_defaults, strict=True)]
            yield from [(function, ast.copy_location(ast.keyword(arg.arg, value), value)) for arg, value in named if value]
            return
        case ast.Import() | ast.ImportFrom() | ast.Raise() | ast.Expr(ast.Constant()):  # the last is a docstring
            return
        case ast.Call(ast.Name("lru_cache")):
            return
        case ast.FunctionDef("__repr__" | "__format__" | "text_of" | "why_not_connected" | "scope"):  # for people to read
            return
        case ast.FunctionDef(name) | ast.ClassDef(name):
            function = name
        case ast.If(test, body, _):
            yield function, ast.copy_location(ast.If(test, [b for b in body[:1] if isinstance(b, ast.Raise)], []), node)
    children = [child for child in ast.iter_child_nodes(node) if not (isinstance(node, ast.If) and child is node.test)]
    body = [child for child in children if isinstance(child, (ast.stmt, ast.match_case))]
    if isinstance(node, ast.expr) or (isinstance(node, ast.stmt) and not body):
        yield function, node
    else:
        for child in children:
            yield from parts(child, function)


def variants(node, operators):
    """Copies of a syntax tree with one fault in each; and, before and after, the piece of it that tells where the fault is."""
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.keyword("strict", _):  # messages, and a question that nothing depends on
            return
    for operator in operators:
        for new in operator(node):
            if not isinstance(new, ast.Starred):
                yield new, node, new
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for i, child in enumerate(children):
            for new, before, after in variants(child, operators) if isinstance(child, ast.AST) else ():
                whole = copy(node)
                setattr(whole, field, [*value[:i], new, *value[i + 1 :]] if isinstance(value, list) else new)
                telling = isinstance(node, (ast.expr, ast.stmt, ast.keyword)) and len(unparsed(node)) <= 80
                yield whole, *((node, whole) if telling or not hasattr(before, "lineno") else (before, after))


@lru_cache(None)
def unparsed(node):
    return ast.unparse(node)


def shown(node):
    return "if " + ast.unparse(node.test) if isinstance(node, ast.If) else ast.unparse(node)


def sample(faults, count, seed):
    """Some of them, spread out: each time one of the kind, and then of the file, that was drawn least often so far."""
    faults = sorted(faults, key=lambda fault: random.Random(f"{seed} {fault.function} {fault.old} {fault.new}").random())
    drawn, chosen = Counter(), []
    while faults and len(chosen) < count:
        fault = min(faults, key=lambda fault: (drawn[fault.kind], drawn[fault.file], drawn[fault.kind, fault.file]))
        faults.remove(fault)
        chosen.append(fault)
        drawn.update([fault.kind, fault.file, (fault.kind, fault.file)])
    return chosen


# ----------------------------------------------------------------------------------------------------- plant and run

PROCESSES = get_context("forkserver")  # each run of the tests is a process of its own, with what it needs loaded already
PROCESSES.set_forkserver_preload(["numpy", "pytest", "hypothesis"])


def copy_the_package(folder):
    """To where faults may be planted."""
    for name in ("tinygrad_meta", "tests", "docs"):  # what users are told is tested, too
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "benchmarks", "pictures"))
    shutil.copy(ROOT / "setup.cfg", folder)


def run_tests(folder, path, near="", timeout=600):
    """Run the tests of one file, those that are called like the faulty function first: None, or the first that failed."""
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=send_first_failure, args=(sender, folder, path, near))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(timeout) else "timeout"
    except EOFError:
        return f"crash in {path}"
    finally:
        process.kill()
        process.join()


def send_first_failure(sender, folder, path, near):
    """What each process does."""
    import pytest

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.modules["torch"] = None  # takes longer to load than most tests
    sys.dont_write_bytecode = near != ""  # of a faulty file
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # a fault may ask for more and more memory
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    watch = Watch(near)
    code = pytest.main(["-x", "-q", "--tb=no", "-p", "no:cacheprovider", path], plugins=[watch])
    sender.send(watch.failed or (f"pytest ended with {code!r} on {path}" if code else None))


class Watch:
    """A plugin of pytest that puts the tests in order and notes which of them failed first."""

    def __init__(self, near):
        self.near, self.failed = near, None

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if not named(NEVER, item)]
        items.sort(key=lambda item: (named(LAST, item), not named([self.near], item)))

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed = self.failed or report.nodeid

    pytest_collectreport = pytest_runtest_logreport


def named(words, item):
    return any(word in item.name for word in words)


def paths_of_tests(file):
    return [*[f"tests/test_{name}.py" for name in TESTS[file].split()], f"tinygrad_meta/{file}"]


def time_of_tests(folder, path):
    """Seconds that a file of tests takes where there is no fault.  They must pass."""
    start = perf_counter()
    if failed := run_tests(folder, path):
        raise RuntimeError(f"a test fails before any fault is planted: {failed}")
    return perf_counter() - start


def catch(fault, folder, seconds):
    """Plant a fault, run its tests, and take it out again.  Which test noticed, or None."""
    target = folder / "tinygrad_meta" / fault.file
    original = target.read_text()
    target.write_text(fault.planted_in(original))
    try:
        paths = paths_of_tests(fault.file)
        return next(filter(None, [run_tests(folder, path, fault.function, 5 + 5 * seconds[path]) for path in paths]), None)
    finally:
        target.write_text(original)


def plant(choose, workers=2):
    """Plant the faults that ``choose`` picks from all of them, one at a time: pairs of a fault and what caught it, or None."""
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(workers) as pool:
        first, *others = folders = [Path(temporary) / str(i) for i in range(workers)]
        first.mkdir()
        copy_the_package(first)
        faults = choose(all_faults(first))
        paths = dict.fromkeys([path for fault in faults for path in paths_of_tests(fault.file)])
        seconds = dict(zip(paths, pool.map(partial(time_of_tests, first), paths), strict=True))
        for folder in others:
            shutil.copytree(first, folder)
        free = SimpleQueue()
        for folder in folders:
            free.put(folder)

        def catch_in_a_free_folder(fault):
            folder = free.get()
            try:
                return catch(fault, folder, seconds)
            finally:
                free.put(folder)

        yield from zip(faults, pool.map(catch_in_a_free_folder, faults), strict=True)


def count(quick=False, seed=0):
    """What ``python -m tests.reliability`` reports."""
    n = 20 if quick else 80
    results = list(progress(plant(lambda faults: sample(faults, n, seed)), n))
    survivors = [fault for fault, caught_by in results if caught_by is None]
    for fault in survivors:
        print("not caught:", fault)
    return [("faults planted in the engine", len(results), len(survivors))]


def progress(results, total=None):
    from tqdm import tqdm

    return tqdm(results, total=total, desc="faults", file=sys.stderr)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Plant faults in the engine, run its tests.")
    parser.add_argument("--count", type=int, default=80, help="how many faults (80), spread over all kinds and files")
    parser.add_argument("--seed", type=int, default=0, help="which faults (0)")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--only", default="", metavar="PATTERN", help="only those whose line in the report contains this")
    parser.add_argument("--list", action="store_true", help="say which, and plant none")
    options = parser.parse_args(arguments)

    def choose(faults):
        faults = [fault for fault in faults if options.only in str(fault)]
        return faults if options.all else sample(faults, options.count, options.seed)

    if options.list:
        print(*choose(all_faults()), sep="\n")
        return 0
    results = []
    for fault, caught_by in progress(plant(choose)):
        results.append((fault, caught_by))
        print(f"caught      {fault}\n            by {caught_by}" if caught_by else f"NOT CAUGHT  {fault}", flush=True)
    print(table(results))
    return int(None in [caught_by for _, caught_by in results])


def table(results):
    """How many faults were planted and how many caught, by kind and by file."""
    lines = [f"\n{'':32} planted  caught"]
    for attribute in ("kind", "file"):
        planted = Counter([getattr(fault, attribute) for fault, _ in results])
        caught = Counter([getattr(fault, attribute) for fault, caught_by in results if caught_by])
        lines += [f"{name:32} {planted[name]:7} {caught[name]:7}" for name in planted] + [""]
    return "\n".join([*lines, f"{'all':32} {len(results):7} {sum(caught.values()):7}"])


if __name__ == "__main__":
    sys.exit(main())
