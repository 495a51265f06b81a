"""Proofs that MAML here is second order.

Each is a comparison that a first-order implementation fails, in float64: finite differences of the whole meta-objective,
(I - alpha H) times the query gradient, a closed form, and PyTorch.
"""

from functools import partial
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from test_autodiff import assert_memory_is_flat

import tinygrad_meta as tg
from tinygrad_meta import nn
from tinygrad_meta.meta import adapt, imaml_loss, maml_loss, maml_loss_task_by_task
from tinygrad_meta.meta.maml import leaf, maml, query_loss
from tinygrad_meta.tree import leaves, rebuild

SIZES = [1, 6, 5, 1]


def network(activation="tanh", sizes=SIZES, seed=0):
    """Parameters away from symmetry (biases too), and the loss of a task."""
    rng = np.random.default_rng(seed)
    shapes = [((i, o), (1, o)) for i, o in zip(sizes, sizes[1:], strict=False)]
    params = [tuple(tg.tensor(0.8 * rng.normal(size=shape), requires_grad=True) for shape in layer) for layer in shapes]
    return params, lambda p, x, y: nn.mse_loss(nn.mlp(p, x, activation), y)


BATCH = tg.tasks.SineTasks().sample(n_tasks=3, n_support=4, n_query=6, rng=1)
ALPHA = 0.05


def meta_gradient(loss_fn, params, batch=BATCH, **options):
    loss = maml_loss(loss_fn, params, batch, ALPHA, **options)
    return np.concatenate([g.data.ravel() for g in tg.grad(loss, leaves(params))])


def finite_differences(objective, params, eps=1e-6):
    """The whole objective, inner loop included, re-evaluated with each parameter moved a little."""
    flat = [p.numpy() for p in leaves(params)]
    gradient = []
    for array in flat:
        for i in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                array[i] += sign * eps
                moved = rebuild(params, [tg.tensor(a, requires_grad=True) for a in flat])
                values.append(objective(moved).item())
                array[i] -= sign * eps
            gradient.append((values[0] - values[1]) / (2 * eps))
    return np.array(gradient)


def relative_error(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_meta_gradient_equals_finite_differences_of_the_whole_objective(activation, steps):
    params, loss_fn = network(activation)
    numerical = finite_differences(lambda p: maml_loss(loss_fn, p, BATCH, ALPHA, steps), params)
    assert relative_error(meta_gradient(loss_fn, params, steps=steps), numerical) < 1e-7


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_first_order_gradient_fails_that_comparison(activation, steps):
    params, loss_fn = network(activation)
    numerical = finite_differences(lambda p: maml_loss(loss_fn, p, BATCH, ALPHA, steps), params)
    assert relative_error(meta_gradient(loss_fn, params, steps=steps, first_order=True), numerical) > 0.01


def test_one_step_is_identity_minus_alpha_hessian_times_query_gradient():
    params, loss_fn = network()
    (x, y), (query_x, query_y) = ([a[0] for a in pair] for pair in (BATCH.support, BATCH.query))
    adapted = adapt(loss_fn, params, (x, y), ALPHA)
    g = tg.func.grad(lambda p: loss_fn(p, query_x, query_y))(rebuild(adapted, [p.detach() for p in leaves(adapted)]))
    hg = tg.func.hvp(lambda p: loss_fn(p, x, y), params, g)
    expected = [gi.data - ALPHA * hi.data for gi, hi in zip(leaves(g), leaves(hg), strict=True)]
    actual = tg.grad(loss_fn(adapted, query_x, query_y), leaves(params))
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a.data, e, rtol=1e-10, atol=1e-14)
    first_order = tg.grad(loss_fn(adapt(loss_fn, params, (x, y), ALPHA, first_order=True), query_x, query_y), leaves(params))
    for a, e in zip(first_order, leaves(g), strict=True):
        np.testing.assert_allclose(a.data, e.data, rtol=1e-10)


@pytest.mark.parametrize("steps", [1, 3])
def test_quadratic_tasks_have_a_closed_form(steps):
    """Support loss (t - c)' A (t - c) / 2, query loss (t - d)' B (t - d) / 2.

    A step maps t - c to M (t - c) with M = I - alpha A, so after k steps the meta-gradient is M^k B (c + M^k (t - c) - d).
    """
    rng = np.random.default_rng(0)
    A, B = (m @ m.T for m in rng.normal(size=(2, 4, 4)))
    c, d, t = rng.normal(size=(3, 4, 1))

    def loss_fn(theta, matrix, centre):
        return (0.5 * (theta - centre).mT @ matrix @ (theta - centre)).reshape(())

    theta = tg.tensor(t, requires_grad=True)
    adapted = adapt(loss_fn, theta, (A, c), ALPHA, steps)
    (gradient,) = tg.grad(loss_fn(adapted, B, d), theta)
    M = np.linalg.matrix_power(np.eye(4) - ALPHA * A, steps)
    np.testing.assert_allclose(adapted.data, c + M @ (t - c))
    np.testing.assert_allclose(gradient.data, M @ B @ (c + M @ (t - c) - d))


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_all_tasks_at_once_equals_one_task_after_the_other(steps, first_order):
    params, loss_fn = network("relu")
    options = {"steps": steps, "first_order": first_order}
    together = maml_loss(loss_fn, params, BATCH, ALPHA, **options)
    one_by_one = maml_loss_task_by_task(loss_fn, params, BATCH, ALPHA, **options)
    assert together.item() == pytest.approx(one_by_one.item(), rel=1e-12)
    for a, b in zip(tg.grad(together, leaves(params)), tg.grad(one_by_one, leaves(params)), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-10, atol=1e-14)


def test_adapt_takes_one_task_or_a_batch():
    params, loss_fn = network()
    batch = adapt(loss_fn, params, BATCH.support, ALPHA, steps=2)
    for i in range(3):
        single = adapt(loss_fn, params, [a[i] for a in BATCH.support], ALPHA, steps=2)
        for b, s in zip(leaves(batch), leaves(single), strict=True):
            np.testing.assert_allclose(b.data[i], s.data, rtol=1e-10)


def test_every_task_gets_its_own_copy_even_if_shapes_suggest_that_it_has_one():
    """Two tasks, and parameters whose first axis has length 2 by coincidence."""
    w, x, y = tg.tensor([[1.0], [1.0]]), np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), np.zeros((2, 1, 1))
    adapted = adapt(lambda p, x, y: nn.mse_loss(x @ p, y), w, (x, y), step_size=0.5)
    assert adapted.data[..., 0].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("steps", [0, 1])
def test_a_loss_that_averages_over_tasks_is_refused(steps):
    """It would make the inner steps too small by the number of tasks."""
    params, _ = network()
    with pytest.raises(ValueError, match=r"one loss per task, of shape \(3,\), and returned shape \(\)"):
        maml_loss(lambda p, x, y: tg.mean((nn.mlp(p, x) - y) ** 2), params, BATCH, ALPHA, steps)


@pytest.mark.parametrize("step_size", [np.array(ALPHA), tg.tensor(ALPHA), np.full((1, 1), ALPHA), np.float64(ALPHA)])
def test_one_step_size_may_be_an_array(step_size):
    params, loss_fn = network()
    np.testing.assert_allclose(*[maml_loss(loss_fn, params, BATCH, alpha).data for alpha in (ALPHA, step_size)], rtol=1e-14)


def test_every_step_size_of_a_structure_is_checked():
    params, loss_fn = network()
    with pytest.raises(ValueError, match="step_size must be a finite number, at least 0, and is -0.1"):
        maml_loss(loss_fn, params, BATCH, [(0.1, 0.1)] * (len(params) - 1) + [(0.1, -0.1)])


def test_a_step_size_for_every_entry():
    """Step sizes of 0 leave what they belong to alone; the others move it as a single number would."""
    params, loss_fn = network()
    sizes = [tuple(tg.tensor(np.where(rng.random(p.shape) < 0.5, ALPHA, 0)) for p in layer)
             for rng, layer in zip(np.random.default_rng(0).spawn(3), params, strict=True)]
    one_for_all, one_each = (leaves(adapt(loss_fn, params, BATCH.support, alpha)) for alpha in (ALPHA, sizes))
    for p, size, a, b in zip(leaves(params), leaves(sizes), one_for_all, one_each, strict=True):
        np.testing.assert_allclose(b.data, np.where(size.data > 0, a.data, p.data), rtol=1e-14)
    with pytest.raises(ValueError, match="not built alike: the structure is a list of length 3 in one and a list of length 1"):
        adapt(loss_fn, params, BATCH.support, [ALPHA])


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_query_loss_of_maml_as_a_learner_is_the_maml_loss(steps, first_order):
    params, loss_fn = network()
    learner = partial(maml, partial(nn.mlp, activation="tanh"), nn.mse_loss, step_size=ALPHA, steps=steps, first_order=first_order)
    as_learner = query_loss(learner, nn.mse_loss, params, BATCH)
    expected = maml_loss(loss_fn, params, BATCH, ALPHA, steps, first_order)
    assert as_learner.item() == expected.item()
    for a, b in zip(tg.grad(as_learner, leaves(params)), tg.grad(expected, leaves(params)), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_a_learner_reads_one_support_set_or_a_batch():
    params, _ = network()
    learner = partial(maml, nn.mlp, nn.mse_loss, params, step_size=ALPHA)
    together = learner(BATCH.support)(BATCH.query[0])
    for i in range(3):
        np.testing.assert_allclose(learner([a[i] for a in BATCH.support])(BATCH.query[0][i]).data, together.data[i], rtol=1e-10)


def test_a_query_loss_that_averages_over_tasks_is_refused():
    params, _ = network()
    with pytest.raises(ValueError, match=r"one loss per task, of shape \(3,\), and returned shape \(\)"):
        query_loss(lambda params, support: lambda x: nn.mlp(params, x), lambda p, y: tg.mean((p - y) ** 2), params, BATCH)


def test_adapt_takes_plain_arrays_and_zero_steps():
    params, loss_fn = network()
    arrays = rebuild(params, [p.numpy() for p in leaves(params)])
    of_arrays, of_tensors = (leaves(adapt(loss_fn, p, BATCH.support, ALPHA)) for p in (arrays, params))
    for a, b in zip(of_arrays, of_tensors, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    zero = maml_loss(loss_fn, params, BATCH, ALPHA, steps=0)
    assert zero.item() == pytest.approx(loss_fn(params, *BATCH.query).data.mean())


def test_functional_call_of_a_module_is_a_model_too():
    model = nn.MLP(SIZES, "tanh", rng=0)
    params = model.named_parameters()
    loss_fn = lambda p, x, y: nn.mse_loss(nn.functional_call(model, p, x), y)  # noqa: E731
    gradients = tg.grad(maml_loss(loss_fn, params, BATCH, ALPHA), list(params.values()))
    assert [g.shape for g in gradients] == [p.shape for p in params.values()]


def test_float32_stays_float32():
    params = nn.init_mlp(SIZES, rng=0, dtype=np.float32)
    _, loss_fn = network()
    batch = tg.tasks.SineTasks(dtype=np.float32).sample(3, 4, 6, rng=1)
    loss = maml_loss(loss_fn, params, batch, 0.01, steps=2)
    assert loss.dtype == np.float32 and {g.dtype for g in tg.grad(loss, leaves(params))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("steps", [1, 2])
def test_equals_torch(steps):
    torch = pytest.importorskip("torch", reason="parity with PyTorch needs torch")
    params, loss_fn = network("relu")
    expected_loss = maml_loss(loss_fn, params, BATCH, ALPHA, steps=steps)
    ours = tg.grad(expected_loss, leaves(params))
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in leaves(params)]
    support_x, support_y, query_x, query_y = (torch.tensor(np.ascontiguousarray(a)) for a in (*BATCH.support, *BATCH.query))

    def loss(p, x, y):
        w1, b1, w2, b2, w3, b3 = p
        return ((torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3 - y) ** 2).mean()

    def by_autograd():
        total = 0
        for i in range(3):
            p = theirs
            for _ in range(steps):
                g = torch.autograd.grad(loss(p, support_x[i], support_y[i]), p, create_graph=True)
                p = [a - ALPHA * b for a, b in zip(p, g, strict=True)]
            total = total + loss(p, query_x[i], query_y[i]) / 3
        return torch.autograd.grad(total, theirs)

    def by_func():
        def task(p, x, y, qx, qy):
            for _ in range(steps):
                p = [a - ALPHA * b for a, b in zip(p, torch.func.grad(loss)(p, x, y), strict=True)]
            return loss(p, qx, qy)

        tasks = torch.func.vmap(task, in_dims=(None, 0, 0, 0, 0))
        return torch.func.grad(lambda p: tasks(p, support_x, support_y, query_x, query_y).mean())([t.detach() for t in theirs])

    for reference in (by_autograd(), by_func()):
        for a, b in zip(ours, reference, strict=True):
            np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-9, atol=1e-12)


def test_memory_is_flat_over_meta_steps_without_the_garbage_collector():
    params, loss_fn = network(sizes=[1, 4, 1])
    assert_memory_is_flat(lambda: tg.grad(maml_loss(loss_fn, params, BATCH, ALPHA), leaves(params)), 1000)


def test_the_cost_of_an_inner_step_is_constant():
    """Counted in operations rather than seconds: each further step adds as many as the one before."""
    params, loss_fn = network()
    counts = []
    for steps in (1, 2, 3, 4):
        first = maml_loss(loss_fn, params, BATCH, ALPHA, steps=steps)
        tg.grad(first, leaves(params))
        counts.append(tg.tensor(0.0).order)
    work = np.diff(counts)
    assert work[1] - work[0] == work[2] - work[1]


@pytest.mark.parametrize("name", ["adapt", "maml", "maml_loss", "maml_loss_task_by_task"])
def test_one_step_of_second_order_unless_told_otherwise(name):
    params, loss_fn = network()
    f = {
        "adapt": lambda *options: tg.sum(adapt(loss_fn, params, BATCH.support, ALPHA, *options)[0][0]),
        "maml": lambda *options: tg.sum(maml(nn.mlp, nn.mse_loss, params, BATCH.support, ALPHA, *options)(BATCH.query[0])),
        "maml_loss": lambda *options: maml_loss(loss_fn, params, BATCH, ALPHA, *options),
        "maml_loss_task_by_task": lambda *options: maml_loss_task_by_task(loss_fn, params, BATCH, ALPHA, *options),
    }[name]
    default, one_step_of_second_order = (tg.grad(f(*options), leaves(params)[:2]) for options in ((), (1, False)))
    for a, b in zip(default, one_step_of_second_order, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_a_python_number_is_a_parameter_too():
    adapted = adapt(lambda theta, x, y: tg.mean((theta - y) ** 2, axis=(-2, -1)), 0.0, (None, np.array([[3.0]])), 0.25)
    assert adapted.item() == 1.5


def test_a_batch_has_as_many_tasks_as_targets_whatever_its_inputs_are():
    y = np.array([[[1.0]], [[3.0]]])
    batch = BATCH._replace(support=(None, y), query=(None, y))
    loss = maml_loss(lambda theta, x, y: tg.mean((theta - y) ** 2, axis=(-2, -1)), tg.tensor([[0.0]]), batch, 0.25)
    assert loss.item() == (0.5**2 + 1.5**2) / 2


def test_a_loss_that_averages_over_tasks_of_the_support_set_alone_is_refused_too():
    params, loss_fn = network()

    def wrong_for_four_points(p, x, y):
        return tg.mean(loss_fn(p, x, y)) if x.shape[-2] == 4 else loss_fn(p, x, y)

    with pytest.raises(ValueError, match=r"of shape \(3,\), and returned shape \(\)"):
        maml_loss(wrong_for_four_points, params, BATCH, ALPHA)


def test_a_leaf_is_another_tensor():
    x = tg.tensor(2.0)
    assert leaf(x).requires_grad and not x.requires_grad



def test_a_step_size_for_every_entry_of_a_single_task():
    params, loss_fn = network()
    support = [a[0] for a in BATCH.support]
    sizes = [tuple(np.full(p.shape, ALPHA) for p in layer) for layer in params]
    for a, b in zip(*[leaves(adapt(loss_fn, params, support, alpha)) for alpha in (ALPHA, sizes)], strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-14)


def test_a_small_step_in_half_precision_is_not_rounded_away():
    """alpha / n, 1e-7, is too small for float16; alpha times the gradient, 0.05, is not."""
    x, theta = np.full((1000, 1), 500, np.float16), tg.tensor([[0.0]], "float16", requires_grad=True)
    adapted = adapt(lambda theta, x, y: tg.mean(theta * x, axis=(-2, -1)), theta, (x, x), step_size=1e-4)
    assert adapted.dtype == np.float16 and adapted.item() == pytest.approx(-0.05, rel=1e-2)


@pytest.mark.parametrize("eager", [False, True])
def test_meta_training_in_float32_stays_there(eager):
    batch = tg.tasks.SineTasks(dtype=np.float32).sample(3, 4, 6, rng=1)
    objective = partial(maml_loss, network()[1], step_size=ALPHA)
    start = nn.init_mlp(SIZES, rng=0, dtype=np.float32)
    for params, _ in tg.meta.train(objective, start, [batch] * 2, [0.01] * 2, eager=eager):
        assert {p.dtype for p in leaves(params)} == {np.dtype(np.float32)}


def test_meta_training_takes_no_batch_beyond_the_last_step():
    batches = iter([BATCH] * 5)
    objective = partial(maml_loss, network()[1], step_size=ALPHA)
    list(tg.meta.train(objective, network()[0], batches, [0.01] * 2))
    assert len(list(batches)) == 3


def test_step_sizes_that_would_stretch_the_parameters_are_refused():
    params, loss_fn = network()
    support = [a[0] for a in BATCH.support]
    sizes = [tuple(np.full((2, *p.shape), ALPHA) for p in layer) for layer in params]
    with pytest.raises(ValueError, match=r"step_size has an entry of shape \(2, 1, 6\) for parameters of shape \(1, 6\)"):
        adapt(loss_fn, params, support, sizes)


@pytest.mark.parametrize("transform", [lambda f: f, tg.compile])
def test_numbers_and_vectors_that_would_meet_the_wrong_axis_are_refused(transform):
    batch = tg.tasks.SineTasks().sample(4, 4, 4, rng=0)
    line = lambda p, x, y: tg.mean((x * p[0] + p[1] - y) ** 2, axis=(-2, -1))
    for shapes, start in product((((), ()), ((1,), (1, 1)), ((1, 1), (1,))), (0.0, 0.5)):
        params = [tg.tensor(np.full(shape, start), requires_grad=True) for shape in shapes]
        for f in (lambda p: maml_loss(line, p, batch, 0.1), lambda p: adapt(line, p, batch.support, 0.1)):
            with pytest.raises(ValueError, match=r"Make a bias a row, \(1, outputs\), and a number \(1, 1\)"):
                transform(f)(params)
    with pytest.raises(ValueError, match="Make a bias a row"):  # with the last of these shapes
        imaml_loss(lambda p, x: x * p[0] + p[1], nn.mse_loss, params, batch, 0.1, steps=1, strength=1.0)
    params = [tg.tensor([[0.5]], requires_grad=True), tg.tensor([[0.5]], requires_grad=True)]
    assert transform(lambda p: maml_loss(line, p, batch, 0.1))(params).item() == pytest.approx(
        maml_loss_task_by_task(line, params, batch, 0.1).item())


def test_numbers_and_vectors_that_line_up_are_taken():
    """One number per task in the batch; and a loss function that is for copies only."""
    batch = SimpleNamespace(support=(np.zeros((4, 1, 1)), np.arange(4.0).reshape(4, 1, 1) ** 2), query=(np.zeros((4, 1, 1)), np.ones((4, 1, 1))))
    theta, vector = tg.tensor(0.5, requires_grad=True), tg.tensor([0.5, 1.0], requires_grad=True)
    number = lambda p, x, y: tg.square(p - y[..., 0, 0])
    copies_only = lambda p, x, y: tg.einsum("ti,ti->t", p, p) * y[:, 0, 0]
    assert maml_loss(number, theta, batch, 0.1).shape == maml_loss(copies_only, vector, batch, 0.1).shape == ()
    assert np.isnan(maml_loss(number, tg.tensor(np.nan, requires_grad=True), batch, 0.1).item())
    assert adapt(number, theta, ([[0.0]], np.array([[3.0]])), 0.25).item() == 1.75
    with pytest.raises(IndexError):  # of a single task nothing is checked
        adapt(lambda p, x, y: tg.square(p[7, 7]), tg.tensor([[1.0]], requires_grad=True), ([[0.0]], [[3.0]]), 0.25)
