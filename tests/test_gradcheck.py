"""Tests of the checker: rules that are wrong on purpose, each of which it has to find and describe."""

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta import autodiff
from tinygrad_meta.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tinygrad_meta.ops import matmul, permute_dims
from tinygrad_meta.tensor import Primitive, call_with_one, call_with_two

rng = np.random.default_rng(0)
MATRIX, SQUARE, COLUMN, ROW = [rng.standard_normal(shape) for shape in [(3, 4), (3, 3), (3, 1), (1, 4)]]


def planted(forward, *rules, elementwise=True):
    """An operation with rules of our choice."""
    call_with = call_with_one if len(rules) == 1 else call_with_two
    return call_with(Primitive(forward, rules, elementwise))


def constant(x):
    return tg.tensor(x.numpy())


def cube(x):
    return x**3


def times(x, y):
    return x * y


def product(x, y):
    return x @ y


modes = pytest.mark.parametrize("fast_mode", [False, True], ids=["full", "fast"])

# name: (operation, inputs, order from which it is wrong)
WRONG = {
    "scaled": (planted(cube, lambda g, out, x: 2 * g * x * x), [MATRIX], 1),
    "off by 1e-4": (planted(cube, lambda g, out, x: g * 3 * x * x * (1 + 1e-4)), [MATRIX], 1),
    "off by 1e-4 in one of two inputs": (planted(times, lambda g, out, x, y: g * y,
                                                 lambda g, out, x, y: g * x * (1 - 1e-4)), [COLUMN, ROW], 1),
    "sign": (planted(cube, lambda g, out, x: -3 * g * x * x), [MATRIX], 1),
    "transposed": (planted(product, lambda g, out, x, y: matmul(g, y), lambda g, out, x, y: matmul(x.T, g),
                           elementwise=False), [SQUARE, SQUARE + 1], 1),
    "transposed result": (planted(product, lambda g, out, x, y: permute_dims(matmul(g, y.T)),
                                  lambda g, out, x, y: matmul(x.T, g), elementwise=False), [SQUARE, SQUARE + 1], 1),
    "swapped inputs": (planted(times, lambda g, out, x, y: g * x, lambda g, out, x, y: g * y), [MATRIX, MATRIX + 1], 1),
    "missing term": (planted(lambda x: x * np.sin(x), lambda g, out, x: g * tg.sin(x)), [MATRIX], 1),
    "added term": (planted(cube, lambda g, out, x: g * 3 * x * x + g * 1e-3), [MATRIX], 1),
    "g left out": (planted(cube, lambda g, out, x: 3 * x * x), [MATRIX], 1),
    "g squared": (planted(cube, lambda g, out, x: g * g * 3 * x * x), [MATRIX], 1),
    "zero": (planted(cube, lambda g, out, x: g * 0), [MATRIX], 1),
    "not a number": (planted(cube, lambda g, out, x: g * np.nan), [MATRIX], 1),
    "not summed after broadcasting": (planted(times, lambda g, out, x, y: g * y, lambda g, out, x, y: g * x,
                                              elementwise=False), [COLUMN, ROW], 1),
    "summed over the wrong axis": (planted(times, lambda g, out, x, y: g * y,
                                           lambda g, out, x, y: tg.sum(g * x, axis=1), elementwise=False),
                                   [SQUARE, SQUARE[0]], 1),
    "averaged after broadcasting": (planted(times, lambda g, out, x, y: tg.mean(g * y, axis=1, keepdims=True),
                                            lambda g, out, x, y: g * x, elementwise=False), [COLUMN, SQUARE], 1),
    "input detached": (planted(cube, lambda g, out, x: 3 * g * constant(x) ** 2), [MATRIX], 2),
    "result detached": (planted(lambda x: np.exp(x), lambda g, out, x: g * constant(out)), [MATRIX], 2),
    "g detached": (planted(cube, lambda g, out, x: constant(g) * 3 * x * x), [MATRIX], 2),
    "half detached": (planted(cube, lambda g, out, x: 3 * g * x * constant(x)), [MATRIX], 2),
}


@modes
@pytest.mark.parametrize("f, inputs, order", WRONG.values(), ids=WRONG)
def test_a_planted_wrong_rule_is_caught(f, inputs, order, fast_mode):
    if order == 1:
        with pytest.raises(GradcheckError):
            gradcheck(f, inputs, fast_mode=fast_mode)
    else:
        assert gradcheck(f, inputs, fast_mode=fast_mode)
        with pytest.raises(GradcheckError):
            gradgradcheck(f, inputs, fast_mode=fast_mode)


@modes
@pytest.mark.parametrize("f, inputs", [
    (lambda x: tg.where(x > 100, x, x * x), [MATRIX]),
    (lambda x, y: (x @ y, tg.sum(x)), [SQUARE, COLUMN]),
    (lambda x, y: [tg.exp(x) * y], [COLUMN, ROW]),
    (lambda x: x.sum(), [2.0]),
    (tg.sin, [np.zeros((0, 3))]),
    (lambda x: x, [MATRIX]),
    (lambda x: tg.tensor(1.0), [MATRIX]),
    (lambda x, index: x[index], [MATRIX, np.array([0, 2])]),
    (tg.where, [np.array([True, False]), 1.0, np.ones(2)]),
    (lambda x: tg.softmax(x).sum(), [MATRIX]),
    (lambda x: x * 1e-12, [MATRIX]),
    (lambda x: tg.exp(x) * 1e12, [MATRIX]),
    (tg.var, [MATRIX + 1e4]),
    (lambda x: 1 / x, [np.array([1e-3, 1e-2])]),
    (tg.sin, [np.array([1e4, -1e4])]),
    (lambda x: tg.sin(tg.exp(3 * x)), [MATRIX]),
])
def test_right_rules_pass(f, inputs, fast_mode):
    assert gradcheck(f, inputs, fast_mode=fast_mode) is True
    assert gradgradcheck(f, inputs, fast_mode=fast_mode) is True


def test_a_single_input_needs_no_list():
    assert gradcheck(tg.sin, 1.0)
    assert gradgradcheck(tg.sin, tg.tensor([1.0, 2.0]))


def message(check, f, *inputs, **options):
    with pytest.raises(GradcheckError) as error:
        check(f, inputs, **options)
    return str(error.value)


def test_the_message_names_input_index_both_values_and_cause():
    f = planted(times, lambda g, out, x, y: g * y, lambda g, out, x, y: g * x * np.array([[1.0, 1.0], [3.0, 2.0]]))
    x, y = tg.tensor([[1.0, 2.0], [5.0, 4.0]]), tg.tensor(np.ones((2, 2)), name="weight")
    assert message(gradcheck, f, x, y, eps=2**-20) == (
        "the derivative of output 0[1, 0] by input 1 (weight)[1, 0] is 15 by the rules and 5 by finite differences, and they "
        "should be within 5.01e-05 of each other. Likely cause: a wrong rule"
    )


def test_the_message_names_the_output():
    f = planted(cube, lambda g, out, x: 2 * g * x * x)
    assert "the derivative of output 1 by input 0[2]" in message(gradcheck, lambda x: (x * 1, f(x[2])), np.ones(3))


def test_the_message_of_second_order_names_the_gradient():
    f = WRONG["input detached"][0]
    text = message(gradgradcheck, lambda x, y: x * f(y), tg.tensor(2.0), tg.tensor(1.0, name="y"))
    assert "the derivative of the gradient by input 1 (y) by input 1 (y) is 0 by the rules" in text


def test_the_message_of_fast_mode_tells_how_to_find_the_entry():
    text = message(gradcheck, WRONG["scaled"][0], MATRIX, fast_mode=True)
    assert "input 0 in a random direction" in text
    assert "without fast_mode" in text


@pytest.mark.parametrize("f, x, cause", [
    (tg.sin, np.array([0.3, 1, 2], np.float32), "float32 is too coarse for finite differences: check in float64"),
    (tg.relu, np.array([1.0, 0.0]), "a kink, with slope 0 to the left and 1 to the right"),
    (lambda x: tg.clip(x, -1, 1), 1.0, "a kink, with slope 1 to the left and 0 to the right"),
    (lambda x: x.detach() * 2, 3.0, "not connected"),
    (lambda x: tg.tensor(np.sin(x.data)), 3.0, "not connected"),
    (lambda x: tg.log(x - 1), 0.5, "infinite or undefined"),
    (tg.sqrt, 0.0, "infinite or undefined"),
    (planted(cube, lambda g, out, x: g * np.nan), 1.0, "infinite or undefined"),
    (lambda x, rng=np.random.default_rng(0): x * rng.random(), 1.0, "the function is not the same twice"),
    (tg.square, 1e8, "values too large for finite differences with a step of 1e-06: try a larger eps"),
    (planted(cube, lambda g, out, x: g * g * 3 * x * x), 1.0, "not linear in g"),
    (planted(lambda x: np.abs(x), lambda g, out, x: g * 5), 0.0, "a wrong rule"),
], ids=["float32", "relu", "clip", "detach", "NumPy", "log", "sqrt", "nan", "random", "too large", "g squared", "beyond both slopes of a kink"])
def test_the_likely_cause(f, x, cause):
    assert cause in message(gradcheck, f, x)


@modes
def test_float32_passes_with_a_step_and_tolerances_of_its_own(fast_mode):
    assert gradcheck(tg.sin, np.float32([0.3, 1.0]), eps=1e-2, atol=1e-2, rtol=1e-2, fast_mode=fast_mode)


def test_a_rule_that_fails_is_a_gradcheck_error():
    f = planted(cube, lambda g, out, x: g * np.ones(7))
    assert "the derivative rule of cube for its input 0 failed" in message(gradcheck, f, np.ones(2))


def test_a_gradient_of_another_shape_is_caught(monkeypatch):
    monkeypatch.setattr(autodiff, "apply_rule", lambda out, i, x, g: tg.sum(g))
    text = message(gradcheck, lambda n, x: tg.sin(x), np.array([1, 2]), np.ones(3))
    assert "the gradient by input 1 has shape () and dtype float64, and the input itself has shape (3,)" in text


def test_a_gradient_of_another_dtype_is_caught(monkeypatch):
    monkeypatch.setattr(autodiff, "apply_rule", lambda out, i, x, g: tg.astype(g, np.float32))
    assert "dtype float32" in message(gradcheck, tg.sin, np.ones(3))


def test_inputs_that_do_not_require_a_gradient_are_constants_beside_one_that_does():
    f = planted(times, lambda g, out, x, y: g * y, lambda g, out, x, y: g * 0)
    x, y = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0)
    assert gradcheck(f, [x, y])
    with pytest.raises(GradcheckError, match="input 1"):
        gradcheck(f, [x.detach(), y])


def test_numbers_that_are_not_floating_point_are_constants():
    seen = []

    def f(x, n, mask):
        seen.append((n.dtype, mask.dtype))
        return tg.where(mask, x * n, x)

    assert gradcheck(f, [np.ones(2), np.array([2, 3]), np.array([True, False])])
    assert set(seen) == {(np.dtype(int), np.dtype(bool))}


def test_the_inputs_are_not_changed():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    gradcheck(tg.sin, x)
    assert x.data.tolist() == [1, 2]
    assert x.grad is None


def under_no_grad(x):
    with tg.no_grad():
        return tg.sin(x)


@modes
@pytest.mark.parametrize("f", [under_no_grad, lambda x: tg.sin(x.detach()), lambda x: tg.tensor(np.sin(x.data))],
                         ids=["no_grad", "detach", "NumPy"])
def test_second_order_of_what_is_cut_off_from_its_input_is_refused(f, fast_mode):
    text = message(gradgradcheck, f, tg.tensor(MATRIX, name="x"), fast_mode=fast_mode)
    assert "by input 0 (x)" in text and "is 0 by the rules" in text and "not connected to this input" in text
    text = message(gradgradcheck, lambda x, y: x * f(y), MATRIX, MATRIX, fast_mode=fast_mode)
    assert "by input 1" in text and "not connected to this input" in text


def test_grad_outputs_may_be_given():
    assert gradgradcheck(tg.sin, MATRIX, grad_outputs=np.ones((3, 4)))
    assert gradgradcheck(tg.sin, MATRIX, grad_outputs=tg.tensor(np.ones((3, 4)), requires_grad=True))
    with pytest.raises(GradcheckError):
        gradgradcheck(WRONG["input detached"][0], [MATRIX], grad_outputs=[tg.tensor(np.ones((3, 4)))])


def test_the_random_direction_is_the_same_every_time_unless_a_seed_is_given():
    texts = [message(gradcheck, WRONG["scaled"][0], MATRIX, fast_mode=True, rng=seed) for seed in (None, None, 1)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("f, inputs, error", [
    (tg.sin, [np.array([1, 2])], "no input to differentiate by"),
    (tg.argmax, [MATRIX], "no output to differentiate"),
    (lambda x: x.data, [MATRIX], "returns tensors, and this one returned a ndarray"),
])
def test_questions_without_an_answer(f, inputs, error):
    with pytest.raises((TypeError, ValueError), match=error):
        gradcheck(f, inputs)


def test_a_million_inputs_in_fast_mode():
    assert gradcheck(tg.tanh, rng.standard_normal(1_000_000), fast_mode=True)


def test_an_error_is_an_assertion_that_failed():
    assert issubclass(GradcheckError, AssertionError)
