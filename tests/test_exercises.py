"""The exercises in ``docs/exercises``: solutions pass, empty exercises do not, and mistakes are told from each other."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_meta as tg

EXERCISES = Path(__file__).parents[1] / "docs" / "exercises"
sys.path.insert(0, str(EXERCISES))

import grade  # noqa: E402
import notebook  # noqa: E402

EACH = pytest.mark.parametrize("number", grade.FILES, ids=grade.name_of)


def solution(number):
    return EXERCISES / "solutions" / grade.FILES[number].name


@EACH
def test_the_solution_is_right(number):
    assert grade.complaint(number, grade.answer_in(solution(number))) is None


@EACH
def test_the_empty_exercise_is_not(number):
    if grade.is_begun(number):
        pytest.skip("somebody has begun with it")
    assert "..." in grade.complaint(number)


@EACH
def test_solution_and_exercise_ask_for_the_same_and_lines_fit_a_phone(number):
    exercise, answer = (grade.answer_in(path) for path in (grade.FILES[number], solution(number)))
    assert inspect.signature(exercise) == inspect.signature(answer)
    for path, start in ((grade.FILES[number], f"Exercise {number}: "), (solution(number), f"Solution {number}: ")):
        question, code = notebook.question_and_code(path)
        assert question.startswith(start)
        assert [line for line in [*question.splitlines(), *code.splitlines()] if len(line) > 75] == []
        assert len(question.splitlines()) > 2


def test_every_exercise_has_a_check_and_a_row_on_the_page():
    assert sorted(grade.CHECKS) == sorted(grade.FILES) == [*range(1, len(grade.FILES) + 1)]
    index = (EXERCISES / "index.md").read_text(encoding="utf-8")
    for number, path in grade.FILES.items():
        assert f"\n| {number} | " in index
        for page, file in (("questions.md", path.name), ("solutions.md", f"solutions/{path.name}")):
            assert f"```{{literalinclude}} {file}\n" in (EXERCISES / page).read_text(encoding="utf-8")


# Mistakes that people make: the body of the function, and a piece of what the grader says.
WRONG = {
    1: [("return 1 / x", "multiply by g"),
        ("return g * x", "it should be"),
        ("return g.data / x.data", "must be a tensor"),
        ("return tg.tensor(g.data / x.data)", "no second one"),
        ("return g / x * (x / x.data)", "computed from .data")],
    2: [("gradients[x] = contribution; return gradients", "has replaced"),
        ("gradients.setdefault(x, contribution); return gradients", "not 3.0"),
        ("return {x: gradients.get(x, 0) + contribution}", "other tensors"),
        ("gradients[x] = [*gradients.get(x, []), contribution]; return gradients", "must be a tensor"),
        ("return contribution", "in the dictionary")],
    3: [("""
        found, to_visit = [], [output]
        while to_visit:
            t = to_visit.pop()
            found.append(t)
            to_visit += t.inputs
        return found[::-1]""", "more than once"),
        ("""
        found, to_visit = {}, [output]
        while to_visit:
            t = to_visit.pop()
            if t not in found:
                found[t] = True
                to_visit += reversed(t.inputs)
        return list(found)[::-1]""", "w comes before its input u"),
        ("""
        found, to_visit = set(), [output]
        while to_visit:
            t = to_visit.pop()
            found.add(t)
            to_visit += t.inputs
        return sorted(found, key=lambda t: t.order)""", "without t.order"),
        ("""
        found = {}
        def visit(t):
            for x in t.inputs:
                if x not in found:
                    visit(x)
            found[t] = True
        visit(output)
        return list(found)""", "keep a list"),
        ("return [output]", "x is missing")],
    4: [("""
        gradients = {output: tg.tensor(1.0)}
        to_visit = [output]
        while to_visit:
            t = to_visit.pop()
            for i, x in enumerate(t.inputs):
                gradients[x] = t.op.rules[i](gradients[t], t, *t.inputs, **t.attrs)
                to_visit.append(x)
        return gradients""", "used twice"),
        ("""
        gradients, visited, to_visit = {output: tg.tensor(1.0)}, set(), [output]
        while to_visit:
            t = to_visit.pop()
            if t in visited:
                continue
            visited.add(t)
            for i, x in enumerate(t.inputs):
                share = t.op.rules[i](gradients[t], t, *t.inputs, **t.attrs)
                gradients[x] = gradients[x] + share if x in gradients else share
            to_visit += t.inputs[::-1]
        return gradients""", "newest tensor first"),
        ("return {output: tg.tensor(1.0)}", "no gradient for v1")],
    5: [("return g.sum(axis=tuple(range(g.ndim - len(shape))))", "keepdims=True"),
        ("return np.broadcast_to(g.mean(), shape)", "should be"),
        ("return g.mean(axis=0, keepdims=True)", "this is the mean"),
        ("return g.sum(axis=0, keepdims=True)", "came out with shape"),
        ("return g", "came out with shape (2, 3)")],
    6: [("return g @ weight.T, x.T @ g, g", "has (4, 2): the bias was stretched"),
        ("return g @ weight.T, x.T @ g, g.sum(axis=0)", "must have its shape (1, 2), and has (2,)"),
        ("return g @ weight.T, x.T @ g, g.mean(axis=0, keepdims=True)", "summed over them"),
        ("return g @ weight.T, g.T @ x, g.sum(axis=0, keepdims=True)", "weight must have its shape"),
        ("return g @ weight.T", "three arrays")],
    7: [("""
        gradient = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            step = np.zeros(x.shape)
            step[index] = 1e-6
            gradient[index] = (f(x + step) - f(x)) / 1e-6
        return gradient""", "nearly"),
        ("""
        gradient = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            step = np.zeros(x.shape)
            step[index] = 1e-11
            gradient[index] = (f(x + step) - f(x - step)) / 2e-11
        return gradient""", "rounding"),
        ("""
        gradient = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            x[index] += 1e-6
            after = f(x)
            gradient[index] = (after - f(x - 1e-6)) / 1e-6
        return gradient""", "has been changed"),
        ("return (f(x + 1e-6) - f(x - 1e-6)) / 2e-6", "has shape ()")],
    8: [("x = tg.tensor(x, requires_grad=True); return tg.grad(f(x), x)[0].item()", "derivative 3 of x * x * x at 2 is 6"),
        ("""
        x = tg.tensor(x, requires_grad=True)
        y = f(x)
        for _ in range(n):
            (y,) = tg.grad(y, x)
        return y.item()""", "create_graph=True"),
        ("x = tg.tensor(x, requires_grad=True); return tg.grad(f(x), x)[0]", ".item()")],
    9: [("(g,) = tg.grad(f(x), x); return tg.grad(tg.sum(g * v), x)[0]", "create_graph=True"),
        ("(g,) = tg.grad(f(x), x, create_graph=True); return tg.grad(tg.sum(g), x)[0]", "vector of ones"),
        ("return tg.grad(f(x), x)[0] * v", "no Hessian"),
        ("return tg.func.hessian(f)(x) * v", "must have shape (3,)"),
        ("return -tg.func.hvp(f, x, v)", "H v should be")],
    10: [("""
        for w, b in params:
            x = tg.tanh(tg.matmul(x, w) + b)
        return x""", "after the last layer"),
         ("return tg.nn.mlp(params, x)", "not relu"),
         ("return tg.nn.mlp([(w, 0 * b) for w, b in params], x, 'tanh')", "is wrong"),
         ("return tg.nn.mlp([(w, b.data) for w, b in params], x, 'tanh')", "cut the graph"),
         ("return tg.nn.mlp(params, x, 'tanh').data", "must be a tensor")],
    11: [("""
        support, query, labels = [], [], rng.permutation(len(examples))[:ways]
        for c in labels:
            support.append(examples[c, rng.permutation(examples.shape[1])[:shots]])
            query.append(examples[c, rng.permutation(examples.shape[1])[:queries]])
        return (np.concatenate(support), np.repeat(range(ways), shots),
                np.concatenate(query), np.repeat(range(ways), queries))""", "measure memory"),
         ("""
        support, query, labels = [], [], rng.permutation(len(examples))[:ways]
        for c in labels:
            drawn = rng.permutation(examples.shape[1])
            support.append(examples[c, drawn[:shots]])
            query.append(examples[c, drawn[shots:shots + queries]])
        return (np.concatenate(support), np.repeat(labels, shots),
                np.concatenate(query), np.repeat(labels, queries))""", "numbered anew"),
         ("""
        support, query = examples[:ways, :shots], examples[:ways, shots:shots + queries]
        return (support.reshape(-1, 2), np.repeat(range(ways), shots),
                query.reshape(-1, 2), np.repeat(range(ways), queries))""", "at random"),
         ("""
        support, query = examples[:ways, :shots], examples[:ways, shots:shots + queries]
        return (support.reshape(-1, 2), np.tile(range(ways), shots),
                query.reshape(-1, 2), np.tile(range(ways), queries))""", "of two classes"),
         ("""
        support, query = [], []
        for c in rng.integers(0, 2, ways):
            drawn = rng.permutation(examples.shape[1])
            support.append(examples[c, drawn[:shots]])
            query.append(examples[c, drawn[shots:shots + queries]])
        return (np.concatenate(support), np.repeat(range(ways), shots),
                np.concatenate(query), np.repeat(range(ways), queries))""", "occurs twice")],
    12: [("""
        gradients = tg.grad(loss_fn(params, *support), params)
        return [p - step_size * g for p, g in zip(params, gradients)]""", "first-order MAML"),
         ("""
        gradients = tg.grad(loss_fn(params, *support), params)
        return [tg.tensor(p.data - step_size * g.data, requires_grad=True) for p, g in zip(params, gradients)]""",
          "nothing leads back"),
         ("""
        gradients = tg.grad(loss_fn(params, *support), params, create_graph=True)
        return [p + step_size * g for p, g in zip(params, gradients)]""", "uphill"),
         ("return params", "should be"),
         ("""
        for p, g in zip(params, tg.grad(loss_fn(params, *support), params)):
            p.data[...] -= step_size * g.data
        return params""", "your code raised ValueError in line 3")],
    13: [("return tg.meta.adapt(loss_fn, params, support, step_size)", "still that of MAML"),
         ("""
        gradients = tg.grad(loss_fn(params, *support), params)
        return [p.detach() - step_size * g for p, g in zip(params, gradients)]""", "nothing leads back")],
    14: [("return bool(np.linalg.norm(meta_gradient(theta)) > 0)", "True to the gradient of first-order MAML"),
         ("return False", "False to the gradient of MAML"),
         ("return meta_loss(theta - 0.01 * meta_gradient(theta)) < meta_loss(theta)", "True to"),
         ("""
        h, g = 1e-5, meta_gradient(theta)
        truth = np.array([(meta_loss(theta + e) - meta_loss(theta - e)) / (2 * h) for e in h * np.eye(theta.size)])
        return bool(np.dot(g, truth) > 0.999999 * np.linalg.norm(g) * np.linalg.norm(truth))""", "half"),
         ("return np.linalg.norm(meta_gradient(theta))", "return True or False")],
    15: [("return tg.matmul(tg.softmax(sharpness * tg.matmul(query, support.mT)), targets)", "no cosines"),
         ("""
        q, s = (x / tg.norm(x, axis=-1, keepdims=True) for x in (query, support))
        return tg.matmul(tg.softmax(tg.matmul(q, s.mT)), targets)""", "sharpness was left out"),
         ("""
        q, s = (x / tg.norm(x, axis=-1, keepdims=True) for x in (query, support))
        return tg.matmul(tg.softmax(sharpness * tg.matmul(q, s.mT), axis=0), targets)""", "over the queries"),
         ("""
        q, s = (x / tg.norm(x, axis=-1, keepdims=True) for x in (query, support))
        return tg.matmul(tg.softmax(sharpness.item() * tg.matmul(q, s.mT)), targets)""", "cut the graph")],
}


def answer(number, body):
    lines = body.strip("\n").splitlines()
    lines = [line[8:] for line in lines] if body.startswith("\n") else lines
    signature = inspect.signature(grade.answer_in(solution(number)))
    names = {"np": np, "tg": tg}
    exec(compile("\n    ".join([f"def {grade.name_of(number)}{signature}:", *lines]), f"answer {number}", "exec"), names)
    return names[grade.name_of(number)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "number, body, said", [(n, *mistake) for n, mistakes in WRONG.items() for mistake in mistakes],
    ids=[f"{grade.name_of(n)}: {said}" for n, mistakes in WRONG.items() for _, said in mistakes],
)
def test_the_grader_says_what_is_wrong(number, body, said):
    wrong = grade.complaint(number, answer(number, body))
    assert wrong is not None, "this was taken for right"
    assert said in wrong
    assert len(wrong) < 400


def test_the_page_shows_what_the_grader_prints():
    """For the first of the typical mistakes of exercise 12."""
    wrong = grade.complaint(12, answer(12, WRONG[12][0][0]))
    assert f"```text\n{grade.verdict(12, wrong)}\n```" in (EXERCISES / "index.md").read_text(encoding="utf-8")


def test_every_exercise_has_typical_mistakes():
    assert sorted(WRONG) == sorted(grade.FILES)
    assert min(map(len, WRONG.values())) >= 2


# --------------------------------------------------------------------------------------- the three ways to be graded


def run(folder, *command):
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def checkout(tmp_path):
    """A copy of the exercises, of which the first is answered, the second is wrong, the fourth is no Python."""
    folder = tmp_path / "docs" / "exercises"
    (folder / "solutions").mkdir(parents=True)
    for path in [*EXERCISES.glob("*.py"), *(EXERCISES / "solutions").glob("*.py")]:
        (folder / path.relative_to(EXERCISES)).write_bytes(path.read_bytes())
    (tmp_path / "setup.cfg").write_bytes((EXERCISES.parents[1] / "setup.cfg").read_bytes())
    for number in grade.FILES:
        if grade.is_begun(number):
            pytest.skip("somebody has begun with the exercises")
    for number, change in [(1, lambda text: solution(1).read_text()),
                           (2, lambda text: text.replace("...", "return {x: contribution}")),
                           (4, lambda text: text.replace("    ...", "    for"))]:
        path = folder / grade.FILES[number].name
        path.write_text(change(path.read_text()))
    return tmp_path


def test_the_command(checkout):
    code, output = run(checkout, "docs/exercises/grade.py")
    assert code == 1
    assert [name in output for name in map(grade.name_of, grade.FILES)] == [True] * len(grade.FILES)
    assert "1 log_rule: right." in output
    assert "2 add_contribution: not yet. the second contribution has replaced the first" in output
    assert "4 backward_pass: not yet. Python cannot read line" in output
    assert run(checkout, "docs/exercises/grade.py", "1") == (0, "1 log_rule: right.")
    code, output = run(checkout, "docs/exercises/grade.py", "99")
    assert code == 1
    assert "there is no exercise 99" in output


def test_the_marks(checkout):
    for mark, expected_code, expected in [("exercise_01", 0, "1 passed"), ("exercise_02", 1, "has replaced the first"),
                                          ("exercise_03", 1, "put your code in place of the ..."),
                                          ("exercise_01 or exercise_02", 1, "1 failed, 1 passed")]:
        code, output = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "docs/exercises", "-m", mark)
        assert code == expected_code, output
        assert expected in output
    code, output = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "docs/exercises")
    assert f"2 failed, 1 passed, {len(grade.FILES) - 3} skipped" in output, output


def test_the_notebook_is_up_to_date():
    written = notebook.NOTEBOOK.read_text(encoding="utf-8")
    assert written == notebook.notebook(), "write it anew: python docs/exercises/notebook.py"


def test_the_notebook_runs_with_the_solutions_filled_in(capsys):
    cells = [text for kind, text in notebook.cells() if kind == "code"]
    code = {notebook.question_and_code(path)[1]: notebook.question_and_code(solution(n))[1] for n, path in grade.FILES.items()}
    names = {}
    for text in cells:
        exec(compile(code.pop(text, text), "a cell", "exec"), names)
    assert not code, "every exercise has a cell"
    assert capsys.readouterr().out.splitlines() == [f"{n} {grade.name_of(n)}: right." for n in grade.FILES]


def test_the_notebook_says_what_is_missing(capsys):
    names = {}
    for kind, text in notebook.cells()[:5]:
        if kind == "code":
            exec(text, names)
    assert "log_rule returned None: put your code" in capsys.readouterr().out
