"""Formulas: right, and as short as a person would write them."""

import numpy as np
import pytest

import tinygrad_meta as tg

THIRTY = """
    x**3                    x**5 - 4*x**3 + x       (x + 1)**4              1/x                     1/(x**2 + 1)
    x/(x + 1)               (x - 1)/(x**2 + 2)      x**2.5                  sqrt(x)                 sqrt(x**2 + 1)
    1/sqrt(x)               exp(x)                  exp(-x**2)              x*exp(x)                exp(sin(x))
    log(x)                  log(x**2 + 1)           x*log(x)                log(x)/x                sin(x)
    cos(3*x + 1)            sin(x**2)               x*sin(x)                sin(x)*cos(x)           sin(x)/x
    tanh(x)                 x*tanh(x)               tanh(x)**2              exp(x)/(1 + exp(x))     x**x
""".split("  ")
THIRTY = [formula.strip() for formula in THIRTY if formula.strip()]
NAMESPACE = {name: getattr(tg, name) for name in ("sqrt", "exp", "log", "sin", "cos", "tanh")}


def value_of(formula, **values):
    """What a formula says, lines with shared parts included."""
    *lines, last = formula.split("\n")
    namespace = {**vars(np), "sigmoid": lambda x: 1 / (1 + np.exp(-x)), **values}
    for line in lines:
        exec(line, namespace)
    return eval(last, namespace)


def derivatives(f, point, n):
    """The tensors f, f', f'', ... at a point."""
    x = tg.tensor(point, requires_grad=True, name="x")
    found = [f(x)]
    for _ in range(n):
        found += tg.grad(found[-1], x, create_graph=True)
        if not found[-1].requires_grad:
            break
    return found


@pytest.mark.parametrize("formula", THIRTY)
def test_as_right_as_sympy_and_at_most_twice_as_long(formula):
    """Up to the third derivative.  SymPy's own formula is the shorter one of what diff returns, as it is and simplified.

    Of sin(x)*cos(x) it is the former: SymPy knows about double angles, and we do not.
    """
    sympy = pytest.importorskip("sympy", reason="formulas are compared with SymPy's")
    x = sympy.Symbol("x", positive=True)
    exact = sympy.nsimplify(sympy.sympify(formula, {"x": x}))
    for n in range(4):
        theirs = sympy.diff(exact, x, n)
        length = min(len(str(form)) for form in (theirs, theirs if formula == "sin(x)*cos(x)" else sympy.simplify(theirs)))
        for point in np.random.default_rng(n).uniform(0.2, 2, 3):
            tensors = derivatives(lambda x: eval(formula, NAMESPACE, {"x": x}), point, n)
            ours = tg.graph.expression(tensors[n])
            assert value_of(ours, x=point) == pytest.approx(float(theirs.subs(x, point)), rel=1e-5, abs=1e-6), ours
            assert value_of(ours, x=point) == pytest.approx(tensors[n].item(), rel=1e-5, abs=1e-6), ours
        assert len(ours) <= 2 * length, f"{ours} is too long for {theirs}"


def test_there_are_thirty():
    assert len(set(THIRTY)) == 30


def test_shared_parts_are_named_once():
    x = tg.tensor(0.5, requires_grad=True, name="x")
    z = tg.log(x * x + 3 * x + 1)
    assert tg.graph.expression((z + 1) / tg.cos(z)) == "t1 = log(x*(x + 3) + 1)\n(t1 + 1)/cos(t1)"


def test_tensors_of_one_name_are_told_apart():
    x, y, z = (tg.tensor(value, requires_grad=True, name=name) for value, name in {2.0: "x", 3.0: "x", 4.0: "x_2"}.items())
    assert tg.graph.expression(x - y * z) == "x - x_3*x_2"
    assert "v1 = x * x_3 = 6" in tg.explain(x * y + z, ascii=True)


def test_an_empty_name_is_none():
    x = tg.tensor(0.5, requires_grad=True, name="")
    assert "dF/dleaf1 = dF/dv1 * dv1/dleaf1 = 2*leaf1" in tg.explain(x * x, ascii=True)


def test_operations_go_by_the_names_that_users_call_them_by():
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    text = tg.explain(tg.astype(tg.concat([tg.where([True, False], x, 0.0), x]), "float32").sum())
    assert "where(" in text and "concat(x" not in text and "concat(v1, x, axis=0)" in text and "astype(v2, dtype=float32)" in text


def test_formulas_end_at_names():
    x = tg.tensor(0.5, requires_grad=True, name="x")
    v = tg.sin(x)
    v.name = "v"
    assert tg.graph.expression(2 * v * v - v) == "2*v**2 - v"


@pytest.mark.parametrize("formula, f", [
    ("-x", lambda x: -x), ("(-x) @ x.mT", lambda x: -x @ x.mT), ("x*(x @ x)", lambda x: x * (x @ x)), ("x[0]", lambda x: x[0]),
    ("x/2", lambda x: 0.5 * x), ("0", lambda x: x - x), ("2**x", lambda x: 2**x),
    ("sum(x, axis=0)", lambda x: tg.sum(x, axis=0)),
])  # fmt: skip
def test_notation(formula, f):
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="x")
    assert tg.graph.expression(f(x)) == formula


@pytest.mark.parametrize("formula, f", [
    ("1e+200*x*1e+200", lambda x: x * 1e200 * 1e200), ("1e-200*x*1e-200", lambda x: x * 1e-200 * 1e-200),
    ("x*(x + 1e+200)**2", lambda x: x * (x + 1e200) * (x + 1e200)), ("1e-200*x + 1e+200", lambda x: 1e-200 * x + 1e200),
    ("1e-200*x**2 + 1e+200*x", lambda x: 1e-200 * x * x + 1e200 * x),
])  # fmt: skip
def test_numbers_that_no_float_can_hold_are_not_collected(formula, f):
    x = tg.tensor(1e-300, requires_grad=True, name="x")
    assert tg.graph.expression(f(x)) == formula


def test_there_is_no_algebra_with_infinity():
    x = tg.tensor(2.0, requires_grad=True, name="x")
    assert tg.graph.expression(x - 1 / (x * np.inf)) == "x - 1/(x*inf)"
    with np.errstate(invalid="ignore"):
        assert tg.graph.expression(x * np.inf / np.inf) == "x*inf/inf"


def test_sums_too_long_to_take_apart_are_written_as_they_are():
    x = [tg.tensor(float(i), requires_grad=True, name=f"x{i}") for i in range(50)]
    formula = tg.graph.expression(sum(x[1:], x[0]))
    values = {f"x{i}": float(i) for i in range(50)}
    assert value_of(formula, **values) == sum(range(50)) and "add" not in formula


@pytest.mark.parametrize("f, times", [(tg.tanh, 6), (lambda y: (y + 2 / y) / 2, 20), (lambda y: 3.7 * y * (1 - y), 8)])
def test_formulas_of_nested_functions_take_no_more_than_seconds(f, times):
    """It once took minutes: every layer was taken apart anew for each that contains it."""
    x = tg.tensor(0.3, requires_grad=True, name="x")
    y = x
    for _ in range(times):
        y = f(y)
    (g,) = tg.grad(y, x, create_graph=True)
    (h,) = tg.grad(g, x, create_graph=True)
    for t in (y, g, h)[: 3 if f is tg.tanh else 2]:
        assert value_of(tg.graph.expression(t), x=0.3) == pytest.approx(t.item(), rel=1e-3)
