"""Every public function refuses what it cannot use, with an error that says what was wrong: the table in ``bad_inputs.py``."""

import importlib
import inspect
import re

import bad_inputs
import pytest
from bad_inputs import PAGE, TABLE, Row, complaint, page, rows

import tinygrad_meta as tg
import tinygrad_meta.tasks.omniglot

ROWS = list(rows())
REFERENCE = (PAGE.parent / "api.md").read_text(encoding="utf-8")

# Modules of the reference whose functions are called by their full name.
PARTS = ["meta.checkpoint", "meta.parallel", "meta.pixels", "meta.families", "meta.challenge", "graph.record", "graph.simplify"]

# Public functions without a row, and why.
EXEMPT = {
    **dict.fromkeys(["GradcheckError", "AnomalyError", "meta.Diverged", "meta.checkpoint.CheckpointError"],
                    "an error is raised, and not called"),
    **dict.fromkeys(["tasks.ImageBatch", "tasks.TaskBatch", "meta.Summary", "meta.families.Method", "meta.families.Problem",
                     "meta.families.Score", "graph.record.Node", "graph.simplify.Rewrite"], "a record takes what it is given"),
    **dict.fromkeys(["graph.record.record", "graph.record.Recorded", "graph.record.Recorded.item", "graph.record.Recorded.numpy",
                     "graph.simplify.simplify"], "a part of compile, in whose rows it speaks"),
    **dict.fromkeys(["nn.Linear.forward", "nn.MLP.forward"], "what calling the module calls"),
    **dict.fromkeys(["nn.named_tensors", "nn.with_tensors", "nn.load_tensors", "nn.check_labels", "nn.labels_within", "nn.record_check", "nn.check_matrix", "nn.chosen",
                     "nn.init_layers", "nn.check_labelled", "nn.check_layers", "nn.check_sizes", "nn.choose", "nn.one_per_layer",
                     "optim.Adam.rates", "optim.SGD.rates", "optim.Adam.move", "optim.SGD.move",
                     "optim.Optimizer.state_for", "optim.widened", "optim.without_remnants",
                     "detect_anomaly.inspect", "detect_anomaly.inspect_rule"],
                    "a part of others, which check what they pass"),
}  # fmt: skip


@pytest.fixture(scope="module")
def names():
    return bad_inputs.surroundings()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.name}: {row.wrong}" for row in ROWS])
def test_the_user_reads_the_sentence(row, names):
    assert complaint(row, names) is None, complaint(row, names)


@pytest.mark.parametrize("code, error, message, expected", [
    ("tg.sin(x)", TypeError, "...", "was accepted, and gave Tensor"),
    ("tg.sin('abc')", ValueError, "...", "raised   TypeError"),
    ("tg.sin('abc')", TypeError, "a tensor holds letters", "holds numbers"),
])
def test_what_differs_from_the_table_is_noticed(code, error, message, expected, names):
    assert expected in complaint(Row("sin", "nothing", code, error, message), names)


@pytest.mark.parametrize("message", sorted({row.message for row in ROWS}))
def test_messages_are_short_and_speak_of_what_was_passed(message):
    assert len(re.findall(r"\w[.!?] +[A-Z]", message)) <= 1, "more than two sentences"
    assert len(message) < 300
    for phrase in ("has no attribute", "unpack", "object of type", "not subscriptable", "is not callable", "index out of range",
                   "not supported between"):
        assert phrase not in message


def public(namespace, prefix):
    """The functions, classes and methods of a module or class that take arguments, by dotted name."""
    for name, value in vars(namespace).items():
        inherited = getattr(value, "__module__", "").partition(".")[0] != "tinygrad_meta"
        if name.startswith("_") or not callable(value) or inherited:
            continue
        if inspect.isclass(namespace) and len(inspect.signature(value).parameters) < 2:
            continue
        yield f"{prefix}{name}", value
        if inspect.isclass(value):
            yield from public(value, f"{prefix}{name}.")


def names_of(module):
    """The public names of a module: those that it exports itself, or else those that the reference lists."""
    if module is tg or hasattr(module, "__all__"):
        return getattr(module, "__all__", vars(module))
    listed = re.search(rf"automodule:: {module.__name__}\n +:members:(.*)", REFERENCE)[1]
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return listed.replace(" ", "").split(",") if listed else own


def test_every_public_function_has_a_row_and_every_row_is_of_one():
    modules = {"": tg, "func.": tg.func, "graph.": tg.graph, "nn.": tg.nn, "optim.": tg.optim, "tasks.": tg.tasks,
               "tasks.omniglot.": tg.tasks.omniglot, "meta.": tg.meta}
    modules |= {f"{name}.": importlib.import_module(f"tinygrad_meta.{name}") for name in PARTS}
    found = {}
    for prefix, module in modules.items():
        names = set(names_of(module))
        found |= {name: value for name, value in public(module, prefix) if name.removeprefix(prefix).partition(".")[0] in names}
    covered = {row.name for row in ROWS}
    functions = {id(found[name]) for name in covered & set(found)}  # Tensor.sum is sum, and tested there
    missing = {name for name, value in found.items() if name not in covered and id(value) not in functions} - set(EXEMPT)
    assert not missing
    for name in covered:
        value = tg
        for part in name.split("."):
            value = getattr(value, part)


def test_the_page_is_what_the_table_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.bad_inputs"


def test_every_section_has_rows():
    assert all(TABLE.values())


def count(quick):
    """For ``python -m tests.reliability``."""
    names = bad_inputs.surroundings()
    complaints = [text for row in ROWS if (text := complaint(row, names))]
    print(*complaints, sep="\n", end="\n" * bool(complaints))
    return [("bad inputs refused with a sentence", len(ROWS), len(complaints))]
