"""What comes from elsewhere is read as data and never run: a scan of the source, and hostile archives and expressions."""

import ast
import io
import random
import struct
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinygrad_meta as tg
from tinygrad_meta.graph.parse import FUNCTIONS, LONGEST, MOST, parse
from tinygrad_meta.tasks import omniglot

PACKAGE = Path(tg.__file__).parent
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


# ------------------------------------------------------------------------------------------------ the source, read
# Each rule is a function (tree, file) -> the offending pieces of syntax.


def imports(tree):
    """The modules that a file imports, by dotted name, with the statement; imports of its own package are left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module, node


def imported(*modules, allowed=()):
    return lambda tree, file: [node for name, node in imports(tree) if file not in allowed and name.split(".")[0] in modules]


def called(*names, unless=lambda call: False):
    """Calls of functions or methods by name, however they are reached."""

    def offenders(tree, file):
        found = [(node, node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        return [call for call, f in found if getattr(f, "attr", getattr(f, "id", None)) in names and not unless(call)]

    return offenders


def builtin(*names):
    """Any mention of a builtin function by its bare name, unless the file has one of its own by that name."""

    def offenders(tree, file):
        own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        own |= {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
                for alias in node.names}
        return [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names and node.id not in own]

    return offenders


def keyword(call, name):
    return next((each.value for each in call.keywords if each.arg == name), None)


def says(name, value):
    return lambda call: isinstance(keyword(call, name), ast.Constant) and keyword(call, name).value is value


def shell(tree, file):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and keyword(node, "shell") is not None]


def plain_http(tree, file):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and node.value.startswith(("http://", "ftp://")) and "www.w3.org" not in node.value]  # fmt: skip


def imported_at_once(tree, file):
    """Imports outside functions of anything but NumPy and the standard library, except in the file that only pictures need."""
    if file == "meta/plots.py":
        return []
    inside = {id(node) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.Lambda)) for node in ast.walk(f)}
    known = {*sys.stdlib_module_names, "numpy", "tinygrad_meta"}
    return [node for name, node in imports(tree) if id(node) not in inside and name.split(".")[0] not in known]


# meta/parallel.py sends the objective to its own workers, as executors do; nothing there comes from a file or a user.
RULES = {
    "unpickles": imported("pickle", "cPickle", "dill", "joblib", "marshal", "shelve", allowed=("meta/parallel.py",)),
    "runs text": builtin("eval", "exec", "compile", "__import__", "breakpoint", "input"),
    "imports by a computed name": called("import_module", "load_module", "exec_module", "run_path", "run_module"),
    "loads arrays that may be pickles": called("load", "genfromtxt", unless=lambda call: (
        says("allow_pickle", False)(call) or ast.unparse(call.func).partition(".")[0] not in ("np", "numpy"))),
    "unpacks to the disk": called("extract", "extractall", "unpack_archive"),
    "uses a shell": shell,
    "runs a command": called("system", "popen", "execv", "execl", "spawnl", "spawnv"),
    "opens connections": imported("urllib", "http", "socket", "ssl", "ftplib", "requests", allowed=("tasks/omniglot.py",)),
    "does not encrypt": plain_http,
    "checks no certificates": called("_create_unverified_context", "CERT_NONE"),
    "makes temporary files that others may guess": called("mktemp"),
    "imports more than NumPy at once": imported_at_once,
}


def offences():
    return [f"{file}:{node.lineno} {rule}" for rule, find in RULES.items() for file, tree in TREES.items()
            for node in find(tree, file)]  # fmt: skip


def test_the_source_keeps_all_rules():
    assert len(TREES) > 30 and offences() == []


@pytest.mark.parametrize("rule, source", [
    ("unpickles", "import pickle"),
    ("unpickles", "def f():\n    from marshal import loads"),
    ("runs text", "eval(text)"),
    ("runs text", "run = exec"),
    ("runs text", "list(map(eval, texts))"),
    ("imports by a computed name", "importlib.import_module(name)"),
    ("loads arrays that may be pickles", "np.load(path)"),
    ("loads arrays that may be pickles", "np.load(path, allow_pickle=True)"),
    ("unpacks to the disk", "zipfile.ZipFile(path).extractall(folder)"),
    ("uses a shell", "subprocess.run(line, shell=True)"),
    ("runs a command", "os.system(line)"),
    ("opens connections", "import urllib.request"),
    ("does not encrypt", "SOURCE = 'http://example.org/archive.zip'"),
    ("imports more than NumPy at once", "import torch"),
])
def test_each_rule_finds_what_it_is_for(rule, source):
    assert RULES[rule](ast.parse(source), "ops.py")


@pytest.mark.parametrize("rule, source", [
    ("runs text", "from ..graph import compile\ncompile(f)"),
    ("runs text", "re.compile('a+')"),
    ("loads arrays that may be pickles", "np.load(file, allow_pickle=False)"),
    ("imports more than NumPy at once", "def plot():\n    import matplotlib"),
    ("unpickles", "from .checkpoint import load"),
])
def test_and_nothing_else(rule, source):
    assert not RULES[rule](ast.parse(source), "ops.py")


def test_a_compiled_function_is_a_list_of_calls_and_no_generated_source():
    """So nothing that a user has typed, such as the name of a tensor, can become code."""
    x = tg.tensor(2.0, name="__import__('os').abort()")
    compiled = tg.compile(lambda x: x * x)
    assert compiled(x).item() == 4
    assert all(callable(instruction) for instruction in compiled.program.instructions)
    assert "abort" in str(compiled.program)  # it is printed, and that is all


def test_downloads_have_a_pinned_checksum_each_and_come_from_one_https_address():
    assert omniglot.SOURCE.startswith("https://")
    assert len(omniglot.SHA256) == 5 and all(len(bytes.fromhex(digest)) == 32 for digest in omniglot.SHA256.values())
    assert len(set(omniglot.SHA256.values())) == 5


# --------------------------------------------------------------------------------------------- expressions as input
# Each is refused in one sentence, or computed as arithmetic, at once and without a crash.

HOSTILE = {
    "code": "__import__('os').system('true')",
    "code in a call": "sin(__import__('os').system('true'))*x",
    "a builtin": "exec(x)",
    "an attribute": "x.__class__.__bases__",
    "an attribute of a number": "(1).__class__*x",
    "a method": "x.backward()",
    "a subscript": "x[0]",
    "a function of its own": "(lambda: x)()",
    "a result that is called": "sin(x)(x)",
    "a loop": "[x for x in range(10**9)]",
    "an assignment": "(y := x)",
    "a string": "x*'a'",
    "a long string": "x*('a'*10**9)",
    "a formatted string": "f'{x}'",
    "a comparison": "x if x > 0 else 1",
    "bits": "x << 10**10",
    "a remainder": "x % 2",
    "a whole division": "x // 2",
    "a matrix product": "x @ x",
    "an imaginary number": "1j*x",
    "a tower of powers of integers": "9**9**9**9*x",
    "a large power": "x**9**9**9",
    "a large number": "9"*400 + "*x",
    "a number with too many digits": "9"*5000 + "*x",
    "a starred argument": "sin(*[x])",
    "a named argument": "sin(x=x)",
    "two lines": "x\nx",
    "two statements": "x; x",
    "nothing": "",
    "blanks": " \t\n",
    "a null byte": "x\0",
    "half a character": "x*\ud800",
    "deep parentheses": "(" * 4000 + "x" + ")" * 4000,
    "many parentheses": "(" * 150 + "x" + ")" * 150,
    "many signs": "-" * 9000 + "x",
    "deep calls": "sin(" * 1500 + "x" + ")" * 1500,
    "a long sum": "+".join(["x"] * 4500),
    "a long tower": "**".join(["x"] * 3000),
    "a long list": "[" + "x," * 4000 + "]",
    "too long a text": "x+" * 10**6 + "x",
}  # fmt: skip
COMPUTED = {"a large power", "a tower of powers of integers", "many parentheses"}


def refusal(expression):
    """What the user reads; ``""`` if the expression was computed; or what should not happen, after an exclamation mark."""
    start = time.perf_counter()
    try:
        with np.errstate(all="ignore"):
            F, _ = parse(expression, {"x": 2.0})
    except ValueError as error:
        text = str(error)
        if not text or "\n" in text or len(text) > 250:
            return f"! no short sentence: {text[:300]!r}"
    except BaseException as error:  # noqa: BLE001  whatever it is, it is none of what a user should read
        return f"! {type(error).__name__}: {error}"
    else:
        text = "" if isinstance(F, tg.Tensor) and F.shape == () else f"! {F!r}"
    return text if time.perf_counter() - start < 2 else f"! it took {time.perf_counter() - start:.1f} s"


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_a_hostile_expression_is_refused_in_a_sentence_and_at_once(name):
    answer = refusal(HOSTILE[name])
    assert not answer.startswith("!"), answer
    assert answer or name in COMPUTED


def test_the_size_of_an_expression_is_limited():
    assert "at most 10,000 characters, and this one has 10,001" in refusal("x" * (LONGEST + 1))
    assert "at most 50 operations, and this one has 51" in refusal("x*" * (MOST + 1) + "x")
    assert refusal("x*" * MOST + "x") == ""


def test_only_arithmetic_can_be_called():
    """The list of functions grows with a decision, not by itself."""
    assert set(FUNCTIONS) <= set(vars(tg)) and not {"tensor", "compile", "draw", "getitem"} & set(FUNCTIONS)


def random_expression(rng):
    """A text made of pieces that mean something to Python, in any order."""
    pieces = ["x", "1", "2.5", "1e308", "(", ")", "[", "]", "{", "}", "+", "-", "*", "**", "/", "//", "%", "@", ".", ",", ":",
              ":=", "=", "==", "<", "sin", "exp", "maximum", "__class__", "lambda", "if", "else", "for", "in", "not", "await",
              "'", '"', "\\", "#", "\n", "\0", "f'", "0x", "1j", "None", "True", "...", " ", "é", "∂"]  # fmt: skip
    return "".join(rng.choices(pieces, k=rng.randint(1, 30)))


# ------------------------------------------------------------------------------------------------------ archives
# Others are in test_omniglot.py.  These are archives whose table of contents lies.

NAME = "images_tiny/Greek/character01/0394_01.png"


def drawing():
    content = io.BytesIO()
    Image.fromarray(np.full((105, 105), 255, np.uint8)).convert("1").save(content, "PNG")
    return content.getvalue()


def written(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


def with_declared_size(path, size):
    """The same archive, whose table of contents says that its only file unpacks to ``size`` bytes."""
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", raw, raw.index(signature) + offset, size)
    path.write_bytes(raw)
    return path


def overlapping(path):
    """Two files of the table of contents in one place, as in archives that unpack to a thousand times their size."""
    written(path, {NAME: drawing(), NAME.replace("_01", "_02"): drawing()}, zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    second = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 1)
    struct.pack_into("<I", raw, second + 42, 0)
    path.write_bytes(raw)
    return path


def encrypted(path):
    written(path, {NAME: drawing()})
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", raw, raw.index(signature) + offset, 1)
    path.write_bytes(raw)
    return path


ARCHIVES = {
    "a bomb: 60 MB of zeros in a drawing": lambda path: written(path, {NAME: bytes(60 * 2**20)}),
    "a bomb that declares a small size": lambda path: with_declared_size(written(path, {NAME: bytes(2**24)}), 400),
    "a drawing that declares gigabytes": lambda path: with_declared_size(written(path, {NAME: drawing()}), 2**32 - 2),
    "60,000 files": lambda path: written(path, {f"{i}": b"" for i in range(60_000)}, zipfile.ZIP_STORED),
    "many drawings, each within the limit": lambda path: written(
        path, {NAME.replace("0394", f"{i:04}"): bytes(2**16) for i in range(1100)}),
    "an archive in place of a drawing": lambda path: written(
        path, {NAME: written(path.with_suffix(".inner"), {NAME: drawing()}).read_bytes()}),
    "files on top of each other": overlapping,
    "an encrypted drawing": encrypted,
    "half an archive": lambda path: path.write_bytes(written(path, {NAME: drawing()}).read_bytes()[:-40]),
    "a program": lambda path: path.write_bytes(b"\x7fELF" + bytes(1000)),
    "a pickle": lambda path: path.write_bytes(b"cos\nsystem\n(S'true'\ntR."),
}  # fmt: skip


def reading(path):
    """What the user reads when the archive is refused, or what should not happen, after an exclamation mark."""
    before, start = set(path.parent.rglob("*")), time.perf_counter()
    try:
        omniglot.load_omniglot(path)
    except ValueError as error:
        text = str(error) if "\n" not in str(error) else f"! more than one line: {error}"
    except BaseException as error:  # noqa: BLE001  as above
        text = f"! {type(error).__name__}: {error}"
    else:
        text = "! it was read"
    if set(path.parent.rglob("*")) != before:
        return "! something was written"
    return text if time.perf_counter() - start < 5 else f"! it took {time.perf_counter() - start:.1f} s"


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused_in_a_sentence_and_nothing_is_written(name, tmp_path):
    ARCHIVES[name](tmp_path / "images_tiny.zip")
    answer = reading(tmp_path / "images_tiny.zip")
    assert not answer.startswith("!"), answer


@pytest.mark.parametrize("outside", ["../../{}", "/{}", "C:\\{}", "a/../../../{}", "./../{}"])
def test_names_that_lead_elsewhere_lead_nowhere(outside, tmp_path):
    """A file is read into memory under whatever name it has, and written nowhere."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    path = written(folder / "images_tiny.zip", {outside.format(NAME): drawing()})
    before = set(tmp_path.rglob("*"))
    images, labels = omniglot.load_omniglot(path, cache=folder)
    assert images.shape == (1, 28, 28) and labels.tolist() == ["Greek/character01"]
    assert set(tmp_path.rglob("*")) - before == {folder / "images_tiny_28.npz"}


def count(quick):
    """For ``python -m tests.reliability``."""
    import tempfile
    import warnings

    from tqdm import tqdm

    wrong, rng = [], random.Random(0)
    expressions = [*HOSTILE.values(), *[random_expression(rng) for _ in range(2_000 if quick else 20_000)]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own, about odd syntax
        wrong += [f"{text[:200]!r}: {answer}" for text in tqdm(expressions, desc="expressions", leave=False)
                  if (answer := refusal(text)).startswith("!")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images_tiny.zip"
        for name, make in tqdm(ARCHIVES.items(), desc="archives", leave=False):
            make(path)
            if (answer := reading(path)).startswith("!"):
                wrong.append(f"{name}: {answer}")
    print(*wrong[:20], sep="\n", end="\n" * bool(wrong))
    return [("hostile archives and expressions refused", len(expressions) + len(ARCHIVES), len(wrong))]
