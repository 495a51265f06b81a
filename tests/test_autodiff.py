"""The backward pass: the right gradients, at any order, in any shape of graph, and nothing besides."""

import gc
import threading
import tracemalloc

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta.tensor import Primitive, call_with_two


def variables(*values, **options):
    return [tg.tensor(v, requires_grad=True, **options) for v in values]


def test_the_slides_example():
    """F(x1, x2) = (x1 + x2)(x2 + 1): the five partial derivatives, and the Hessian from differentiating the gradient."""
    x1, x2 = variables(2.0, 3.0)
    v1, v2 = x1 + x2, x2 + 1
    v3 = v1 * v2
    by_v3, by_v1, by_v2, by_x1, by_x2 = tg.grad(v3, [v3, v1, v2, x1, x2], create_graph=True)
    assert [d.item() for d in (by_v3, by_v1, by_v2, by_x1, by_x2)] == [1, v2.item(), v1.item(), v2.item(), (v1 + v2).item()]
    hessian = [[0 if h is None else h.item() for h in tg.grad(d, [x1, x2], allow_unused=True)] for d in (by_x1, by_x2)]
    assert hessian == [[0, 1], [1, 2]]


def test_every_order():
    (x,) = variables(0.5)
    y = tg.exp(2 * x)
    for order in range(1, 7):
        (y,) = tg.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(2**order * np.exp(1.0))


def test_contributions_add_up_at_a_fork_and_broadcasting_is_undone():
    x, b = variables(np.ones((2, 3)), np.ones((1, 3)))
    y = (x + b) * b
    gx, gb = tg.grad(y.sum(), [x, b])
    np.testing.assert_array_equal(gx.data, np.ones((2, 3)))
    np.testing.assert_array_equal(gb.data, np.full((1, 3), 2 * (2 + 1)))


def test_a_requested_input_may_lie_on_the_way_to_another():
    (x,) = variables(3.0)
    v = x * x
    F = v * x
    assert [g.item() for g in tg.grad(F, [v, x])] == [3, 27]
    assert [g.item() for g in tg.grad(F, [x, v, x])] == [27, 3, 27]
    assert tg.grad(x, x)[0].item() == 1


def test_several_outputs_are_added():
    (x,) = variables(2.0)
    assert tg.grad([x * x, 3 * x], x)[0].item() == 7
    y = x * x
    assert tg.grad([y, y], x)[0].item() == 8


def test_grad_outputs():
    (x,) = variables([1.0, 2.0])
    y = x * x
    assert tg.grad(y, x, grad_outputs=np.array([1.0, 10.0]))[0].data.tolist() == [2, 40]
    (g,) = tg.grad(y, x, grad_outputs=x, create_graph=True)
    assert tg.grad(g.sum(), x)[0].data.tolist() == [4, 8]


def test_grad_changes_nothing():
    (x,) = variables(2.0)
    y = x * x
    tg.grad(y, x)
    assert x.grad is None and y.grad is None
    assert not tg.grad(y, x)[0].requires_grad


def test_a_fork_waits_for_all_its_uses():
    (x,) = variables(2.0)
    u = x * x
    assert tg.grad(u * (3 * u), x)[0].item() == 96, "12 x**3; a walk that goes depth first finds 48"


def test_backward_adds_into_the_leaves():
    x, unused = variables(3.0, 1.0)
    y = x * x * x
    y.backward()
    assert x.grad.item() == 27
    y.backward()
    assert x.grad.item() == 54, "27 twice: gradients inside the graph must not stay there from the first call"
    assert unused.grad is None
    x.grad = None
    (x * x).backward(create_graph=True)
    assert tg.grad(x.grad, x)[0].item() == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, z: tg.grad(x * x, z), ValueError, r"input 0 \(z\).*allow_unused"),
        (lambda x, z: tg.grad(x * 2, tg.tensor(1.0)), ValueError, "requires_grad=True"),
        (lambda x, z: (lambda constant: tg.grad(constant, constant))(tg.tensor(1.0)), ValueError, "requires_grad=True"),
        (lambda x, z: tg.grad(tg.stack([x, x]), x), ValueError, r"\(2,\).*grad_outputs"),
        (lambda x, z: tg.grad(x * x, x, grad_outputs=[1.0, 2.0]), ValueError, "1 outputs and 2"),
        (lambda x, z: tg.grad(x * x, x, grad_outputs=[[1.0]]), ValueError, r"\(1,\).*\(\)"),
        (lambda x, z: tg.grad(x * x, 2.0), TypeError, "inputs.*float"),
        (lambda x, z: tg.grad(2.0, x), TypeError, "outputs.*float"),
        (lambda x, z: tg.grad(x > z, x), TypeError, "bool"),
        (lambda x, z: tg.tensor(1.0).backward(), ValueError, "requires_grad"),
    ],
)
def test_errors_say_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call(tg.tensor(1.0, requires_grad=True, name="x"), tg.tensor(1.0, requires_grad=True, name="z"))


def test_unused_inputs_give_none_on_request():
    x, z = variables(1.0, 1.0)
    assert tg.grad(x * x, [x, z], allow_unused=True)[1] is None
    assert tg.grad(tg.sign(x), x, allow_unused=True) == (None,)


@pytest.mark.parametrize("rules, differentiable", [((lambda g, out, x, y: g, None), 0), ((None, lambda g, out, x, y: g), 1)])
def test_an_input_without_a_rule(rules, differentiable):
    """The others have their derivatives; one that requires a gradient itself is an error, and not silently left out."""
    add = call_with_two(Primitive(lambda x, y: x + y, rules, elementwise=True))
    x, y = inputs = variables(2.0, 3.0)
    assert tg.grad(add(x, y), inputs[differentiable])[0].item() == 1
    for constant in (add(*[1.0 if i == differentiable else each for i, each in enumerate(inputs)]), add(x, y)):
        with pytest.raises(ValueError, match=f"has no derivative by its input {1 - differentiable}: detach"):
            tg.grad(constant, inputs[1 - differentiable])


def test_an_operation_of_two_inputs_may_have_attributes(monkeypatch):
    monkeypatch.setattr(tg.ops, "OPERATIONS", {})

    @tg.ops.operation(lambda g, out, x, y, times=1: times * g, lambda g, out, x, y, times=1: times * g)
    def add(x, y, times=1):
        return times * (x + y)

    x, y = variables(2.0, 3.0)
    out = add(x, y, times=10)
    assert out.item() == 50 and [g.item() for g in tg.grad(out, [x, y])] == [10, 10]


def test_an_error_in_a_rule_names_operation_input_and_shapes(monkeypatch):
    multiply = tg.ops.OPERATIONS["multiply"]
    monkeypatch.setattr(multiply, "rules", (multiply.rules[0], lambda g, out, x, y: g.sum()))
    x, y = variables(np.ones((2, 3)), np.ones(3))
    with pytest.raises(RuntimeError, match=r"multiply for its input 1.*\(2, 3\), \(3,\).*returned shape \(\)"):
        tg.grad((x * y).sum(), y)
    assert tg.grad((x * y).sum(), x)[0].shape == (2, 3)


def test_no_grad_is_restored_after_an_exception_and_is_per_thread():
    (x,) = variables(1.0)
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        assert not (x * x).requires_grad
        1 / 0  # noqa: B018
    assert (x * x).requires_grad

    seen = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * x).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_no_grad_decorates():
    (x,) = variables(1.0)
    assert not tg.no_grad()(lambda: x * x)().requires_grad


def test_nothing_is_recorded_without_create_graph():
    (x,) = variables(np.ones(3))
    (g,) = tg.grad((x**3).sum(), x)
    assert g.op is None and g.inputs == ()


def test_create_graph_records_also_under_no_grad():
    (x,) = variables(2.0)
    y = x**3
    with tg.no_grad():
        (g,) = tg.grad(y, x, create_graph=True)
        assert not (2 * g).requires_grad
    assert tg.grad(g, x)[0].item() == 12


def test_a_million_operations():
    (x,) = variables(1.0)
    one = tg.tensor(1.0)
    y = x
    for _ in range(1_000_000):
        y = y * one
    assert tg.grad(y, x)[0].item() == 1
    del y


def test_the_walk_stops_at_the_oldest_input():
    """Otherwise each inner step of MAML would walk through all the steps before it."""
    (first,) = variables(1.0)
    older = first * 1.0
    x = older * 1.0
    older.inputs = None  # whoever comes here fails
    y = x * x
    path, leading = tg.autodiff.between([y], [x])
    assert [id(t) for t in path] == [id(y)] and leading == {x, y}


def test_nothing_is_visited_twice():
    """From the end of forty forks in a row, 2**40 ways lead back."""
    (x,) = variables(1.0)
    y = x
    for _ in range(40):
        y = y + y
    assert tg.grad(y, x)[0].item() == 2**40


def test_no_reference_cycles_and_flat_memory():
    (w,) = variables(np.ones((20, 20)))

    def step():
        (g,) = tg.grad(tg.tanh(w @ w).sum(), w, create_graph=True)
        tg.grad((g * g).sum(), w)

    assert_memory_is_flat(step, 300)


def assert_memory_is_flat(step, times):
    """With the garbage collector off: what is not referred to is freed at once, so there are no reference cycles."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(60):
            step()
        tracemalloc.start()
        step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            step()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 20_000 and gc.collect() == 0
    finally:
        gc.enable()


def test_threads_give_the_results_of_one():
    results = []

    def work():
        (x,) = variables(np.linspace(0, 1, 50))
        for _ in range(50):
            with tg.no_grad():
                tg.sin(x)
            (g,) = tg.grad(tg.sin(x * x).sum(), x, create_graph=True)
            results.append(tg.grad(g.sum(), x)[0].data)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 400 and all(np.array_equal(r, results[0]) for r in results)


def test_backward_in_a_recording_leaves_what_is_outside_alone():
    (w,) = variables(2.0)

    @tg.compile
    def f(x):
        (x * w).backward()
        return x

    with pytest.raises(TypeError, match=r"cannot set \.grad of a tensor outside of it"):
        f(tg.tensor(3.0))
    assert w.grad is None


def test_backward_reaches_every_leaf():
    x, y = variables([1.0, 2.0], 3.0)
    (x * y).backward(gradient=np.array([1.0, 10.0]))
    assert (x.grad.data.tolist(), y.grad.item()) == ([3, 30], 1 * 1 + 2 * 10)


@pytest.mark.parametrize("dtype, other", [("float32", "float64"), ("float64", "float32")])
def test_a_gradient_that_is_given_takes_the_type_of_its_output(dtype, other):
    (x,) = variables([1.0, 2.0], dtype=dtype)
    for g in (tg.tensor([3.0, 4.0], other), [3, 4]):
        (by_itself,) = tg.grad(x, x, grad_outputs=[g])
        assert by_itself.dtype == dtype and by_itself.data.tolist() == [3, 4]


@pytest.mark.parametrize("narrow, wide", [("float16", "float32"), ("float16", "float64"), ("float32", "float64")])
def test_a_gradient_has_the_type_of_its_input_whatever_that_met(narrow, wide):
    (x,), (y,) = variables([1.0], dtype=narrow), variables([2.0], dtype=wide)
    assert [g.dtype for g in tg.grad(x * y * x, [x, y])] == [narrow, wide]
