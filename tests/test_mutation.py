"""The faults that mutation.py plants: of which kinds, where, how many; and that the tests do notice them."""

import ast

import mutation
import pytest
from mutation import KINDS, ROOT, TESTS, all_faults, catch, faults_in, sample

FAULTS = all_faults()

EXAMPLES = {  # kind -> a line, and what the faults of that kind make of it
    "a term dropped": ("a = x + y * z", ["a = x", "a = y * z", "a = x + y", "a = x + z"]),
    "a sign flipped": ("a = -x - y", ["a = -x + y", "a = x - y"]),
    "inputs swapped": ("a = norm(x, y) / add(x, y)", ["a = add(x, y) / norm(x, y)", "a = norm(y, x) / add(x, y)"]),
    "broadcasting not undone": ("g = sum_to(g, shape)", ["g = g"]),
    "an operation skipped": ("a = norm(len(x))", ["a = len(x)"]),
    "a statement skipped": ("x.grad = g", ["pass"]),
    "overwritten instead of added": ("g = a if g is None else g + a", ["g = a"]),
    "wrong order": ("path = sorted(found)", ["path = list(found)", "path = sorted(found, reverse=True)"]),
    "detached": ("rule = lambda g, x: g * x", ["rule = lambda g, x: g.detach() * x", "rule = lambda g, x: g * x.detach()"]),
    "a stale or shared buffer": ("values = [x.copy() for x in outputs]", ["values = [x for x in outputs]"]),
    "a type that leaks": ("a = cast(x, x.dtype)", ["a = x", "a = cast(x, 'float32')", "a = cast(x, 'float64')"]),
    "a boundary moved": ("a = x < 0", ["a = x <= 0"]),
    "a constant changed": ("a = 2 * 0.5", ["a = 3 * 0.5", "a = 1 * 0.5", "a = 2 * 1.0"]),
    "an attribute changed": ("sum(x, axis, keepdims=True)",
                             ["sum(x, axis, keepdims=False)", "sum(x, None, keepdims=True)", "sum(x, axis)"]),
    "a condition negated": ("if x or y: z = 0", ["if not (x or y)", "if x", "if y"]),
    "its neighbour called": ("a = exp(x)", ["a = expm1(x)"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    line, expected = EXAMPLES[kind]
    assert sorted([fault.new for fault in faults_in("file.py", line) if fault.kind == kind]) == sorted(expected)


def test_what_only_people_read_is_left_alone():
    source = 'def f(x: int = None):\n    """1 + 1"""\n    if x:\n        raise ValueError(f"{1 + 1}")\n'
    assert {fault.old for fault in faults_in("file.py", source)} == {"if x"}


def test_there_are_faults_of_every_kind_in_every_file():
    assert len(FAULTS) >= 60
    assert {fault.kind for fault in FAULTS} == set(KINDS)
    assert {fault.file for fault in FAULTS} == set(TESTS)


def test_a_sample_is_spread_out_and_reproducible():
    chosen = sample(FAULTS, 80, seed=0)
    assert len(set(map(str, chosen))) == 80 and chosen == sample(FAULTS, 80, seed=0) != sample(FAULTS, 80, seed=1)
    assert {fault.kind for fault in chosen} == set(KINDS)
    assert {fault.file for fault in chosen} == set(TESTS)


def test_every_fault_is_a_program_and_another_one():
    sources = {file: (ROOT / "tinygrad_meta" / file).read_text() for file in TESTS}
    trees = {file: ast.dump(ast.parse(source)) for file, source in sources.items()}
    for fault in sample(FAULTS, 150, seed=0):
        faulty = fault.planted_in(sources[fault.file])
        compile(faulty, fault.file, "exec")
        assert ast.dump(ast.parse(faulty)) != trees[fault.file], fault


def test_no_entry_of_the_table_of_equivalent_faults_is_out_of_date(monkeypatch):
    equivalent = set(mutation.EQUIVALENT)
    monkeypatch.setattr(mutation, "EQUIVALENT", {})
    found = [(fault.function, fault.old, fault.new) for fault in all_faults()]
    assert equivalent <= {*found, *[key[:2] for key in found]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutation")
    mutation.copy_the_package(folder)
    return folder


@pytest.mark.parametrize(("file", "new", "tests"), [
    ("ops.py", "elementwise(lambda g, out, x: quotient(g, 2))", "kinks_and_traps"),
    ("autodiff.py", "gradients[x] = contribution", "func"),
])  # fmt: skip
def test_a_planted_fault_is_caught_and_taken_out_again(file, new, tests, folder, monkeypatch):
    monkeypatch.setitem(TESTS, file, tests)
    path = f"tests/test_{tests}.py"
    (fault,) = [fault for fault in FAULTS if (fault.file, fault.new) == (file, new)]
    assert catch(fault, folder, dict.fromkeys(mutation.paths_of_tests(file), 10)).startswith(path)
    assert (folder / "tinygrad_meta" / file).read_text() == (ROOT / "tinygrad_meta" / file).read_text()


def test_a_fault_that_no_test_notices_survives(folder, monkeypatch):
    monkeypatch.setitem(TESTS, "ops.py", "import")
    seconds = dict.fromkeys(mutation.paths_of_tests("ops.py"), 10)
    assert catch(next(fault for fault in FAULTS if fault.function == "expm1"), folder, seconds) is None


def test_a_fault_that_never_ends_is_caught(folder):
    (folder / "test_endless.py").write_text("def test():\n    while True: pass")
    assert mutation.run_tests(folder, "test_endless.py", timeout=2) == "timeout"
