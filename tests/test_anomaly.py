"""Anomaly mode names the operation and the line where the first nan or infinity appears."""

import copy
import threading

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta.tensor import detectors

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def variable(*values):
    return tg.tensor(values if len(values) > 1 else values[0], requires_grad=True, dtype=float)


def message_of(f, *args):
    with pytest.raises(tg.AnomalyError) as caught, tg.detect_anomaly():
        f(*args)
    return str(caught.value)


def loss_with_a_logarithm(x):
    shifted = x - 1.0
    logarithm = tg.log(shifted)  # the line to be named
    return (logarithm * 0.0).sum()


def test_forward_the_operation_the_entry_and_the_line_are_named():
    message = message_of(loss_with_a_logarithm, variable(2.0, 1.0))
    assert message.startswith("log made -inf at index (1,), in ")
    line = loss_with_a_logarithm.__code__.co_firstlineno + 2
    assert f"test_anomaly.py, line {line}: logarithm = tg.log(shifted)  # the line to be named" in message


@pytest.mark.parametrize("f, x, first", [
    (lambda x: x / 0.0, 1.0, "divide made inf"),
    (lambda x: x - tg.exp(1000 * x), 1.0, "exp made inf"),
    (lambda x: tg.sqrt(x) + 1, -1.0, "sqrt made nan"),
    (lambda x: tg.matmul(x * 1e200, x.T * 1e200), [[1.0]], "product made inf at index (0, 0)"),
    (lambda x: tg.astype(x * 1e20, "float32") ** 3.0, 1.0, "power made inf"),
])
def test_the_first_one_is_named_and_not_what_it_spreads_to(f, x, first):
    assert message_of(lambda: f(tg.tensor(x, requires_grad=True))).startswith(first)
    assert message_of(lambda: f(tg.tensor(x))).startswith(first)  # where no gradient is asked for, too


def square_root_of_a_distance(x):
    distance = tg.sqrt(x * x)
    return distance.sum()


@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_the_rule_and_the_line_of_its_operation_are_named(create_graph):
    x = variable(3.0, 0.0)
    message = message_of(lambda: tg.grad(square_root_of_a_distance(x), x, create_graph=create_graph))
    assert message.startswith("the derivative rule of sqrt for its input 0 made inf at index (1,), when differentiated in ")
    assert "differentiated" in message and "tg.grad(square_root_of_a_distance(x), x" in message
    assert "That sqrt was computed in " in message and message.endswith("distance = tg.sqrt(x * x)")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_backward_what_overflows_when_it_is_added_up_or_rounded_is_found(dtype):
    x = tg.tensor([1.0], dtype, requires_grad=True)
    factor = np.full(4, 3e38, np.float32)  # whose sum float32 cannot hold, and float16 not even one
    message = message_of(lambda: tg.grad(x * factor, x, np.ones(4, np.float32)))
    assert message.startswith("the derivative rule of multiply for its input 0 made inf at index (0,)")


def test_second_order_the_rule_that_breaks_is_the_one_of_the_gradient():
    def cube_root_of_a_fifth_power(x):
        (g,) = tg.grad(x ** (5 / 3), x, create_graph=True)  # 5/3 x^(2/3), fine at 0
        return tg.grad(g, x)                                # 10/9 x^(-1/3), which is not

    assert "the derivative rule of power for its input 0 made inf" in message_of(cube_root_of_a_fifth_power, variable(0.0))


def test_a_graph_from_before_is_told_apart():
    x = variable(0.0)
    y = tg.sqrt(x)
    assert message_of(tg.grad, y, x).endswith("That sqrt was computed before detect_anomaly() began to look")
    nan = tg.tensor(np.nan, name="target")
    assert message_of(tg.add, x, nan).startswith("add was given nan as its input 1 (target), which no operation made while")


def test_infinity_put_there_on_purpose_is_none_of_our_business():
    with tg.detect_anomaly():
        x = variable(3.0, 4.0)
        masked = tg.where(tg.tensor([True, False]), x, -np.inf)
        assert tg.softmax(masked).data[1] == 0
        zero = variable(0.0, 0.0)
        assert (tg.grad(tg.norm(zero), zero)[0].data == 0).all()
    with pytest.raises(tg.AnomalyError, match="subtract made nan"), tg.detect_anomaly():
        masked - masked


def test_compiled_functions_are_looked_into():
    x = tg.tensor([1.0, 0.0])
    compiled = tg.compile(lambda x: (tg.log(x).sum(), 2 * x))
    compiled(x + 1)
    assert message_of(compiled, x).startswith("log made -inf at index (1,)")
    with tg.detect_anomaly():
        total, double = compiled(np.array([1.0, 2.0]))
    assert total.op is None and not double.requires_grad
    np.testing.assert_array_equal(double.data, [2, 4])


def test_outside_of_it_and_in_other_threads_nothing_changes():
    with tg.detect_anomaly():
        results = []
        thread = threading.Thread(target=lambda: results.append(tg.log(variable(0.0)).item()))
        thread.start()
        thread.join()
    assert results == [-np.inf]
    assert not detectors
    assert tg.log(variable(0.0)).item() == -np.inf


def test_it_ends_with_an_exception_and_may_be_nested():
    with pytest.raises(ZeroDivisionError), tg.detect_anomaly(), tg.detect_anomaly():
        raise ZeroDivisionError
    assert not detectors


def test_meta_training_says_where_it_went_wrong():
    loss_fn = lambda params, x, y: tg.nn.mse_loss(tg.nn.mlp(params, x), y)  # noqa: E731
    batch = copy.deepcopy(tg.tasks.SineTasks().sample(3, 5, 5, rng=0))
    batch.support[1][1, 2] = np.nan
    message = message_of(tg.meta.maml_loss, loss_fn, tg.nn.init_mlp([1, 8, 1], rng=0), batch, 0.01)
    assert "was given nan as its input 1" in message and "tg.nn.mse_loss(tg.nn.mlp(params, x), y)" in message


def test_lines_are_forgotten_with_their_tensors():
    with tg.detect_anomaly():
        (detector,) = detectors
        x = variable(1.0)
        for _ in range(100):
            x = x * 1.0
            x = x.detach()
        assert len(detector.lines) < 5
