"""The relatives of MAML against closed forms, finite differences, each other, and MAML."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
from test_maml import BATCH, finite_differences, network, relative_error

import tinygrad_meta as tg
from tinygrad_meta import meta, nn
from tinygrad_meta.meta import relatives
from tinygrad_meta.meta.maml import maml, maml_loss, query_loss
from tinygrad_meta.meta.relatives import anil, imaml, imaml_loss, init_meta_sgd, meta_sgd, reptile_loss
from tinygrad_meta.tasks.sine import TaskBatch
from tinygrad_meta.tree import leaves, tree_map

ALPHA = 0.05
PARAMS, LOSS_FN = network()
SPLIT = {"body": PARAMS[:2], "head": PARAMS[2:]}
MODEL = partial(nn.mlp, activation="tanh")


def body(params, x):
    return tg.tanh(MODEL(params, x))


def of_learner(learner, *model, **options):
    return partial(query_loss, partial(learner, *model, nn.mse_loss, **options), nn.mse_loss)


def with_spread_step_sizes(theta):
    """Step sizes that differ from entry to entry, some of them negative."""
    rng = np.random.default_rng(1)
    spread = tree_map(lambda p: tg.tensor(rng.normal(ALPHA, ALPHA, p.shape), p.dtype, requires_grad=True), theta)
    return {"theta": theta, "step_size": spread}


OBJECTIVES = {
    "maml": (of_learner(maml, MODEL, step_size=ALPHA, steps=2), PARAMS),
    "meta_sgd": (of_learner(meta_sgd, MODEL, steps=2), with_spread_step_sizes(PARAMS)),
    "anil": (of_learner(anil, body, MODEL, step_size=ALPHA, steps=2), SPLIT),
    "reptile": (partial(reptile_loss, MODEL, nn.mse_loss, step_size=ALPHA, steps=3), PARAMS),
    "imaml": (partial(imaml_loss, MODEL, nn.mse_loss, step_size=ALPHA, steps=6, strength=5.0, cg_steps=4), PARAMS),
}
each_objective = pytest.mark.parametrize("name", OBJECTIVES)


def gradient(objective, params, batch=BATCH):
    return np.concatenate([g.data.ravel() for g in tg.grad(objective(params, batch), leaves(params))])


# -------------------------------------------------------------------------------------------------- what all must do


@each_objective
def test_training_compiled_equals_training_eagerly(name):
    objective, params = OBJECTIVES[name]
    eager, compiled = (list(meta.train(objective, params, [BATCH] * 3, [0.01] * 3, eager=eager)) for eager in (True, False))
    for (params, loss), (expected_params, expected_loss) in zip(compiled, eager, strict=True):
        assert loss == pytest.approx(expected_loss, rel=1e-9)
        for a, b in zip(leaves(params), leaves(expected_params), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-6, atol=1e-9)


@each_objective
def test_all_tasks_at_once_equal_one_task_after_the_other(name):
    objective, params = OBJECTIVES[name]
    batches = [tree_map(lambda a, i=i: a[i : i + 1], BATCH) for i in range(3)]
    assert objective(params, BATCH).item() == pytest.approx(np.mean([objective(params, b).item() for b in batches]), rel=1e-10)
    expected = np.mean([gradient(objective, params, b) for b in batches], axis=0)
    np.testing.assert_allclose(gradient(objective, params), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("number", [np.float64, np.array])
def test_numbers_of_numpy_do_not_change_the_type_of_imaml(number):
    single, batch = tree_map(lambda p: tg.tensor(p.data, "float32", requires_grad=True), PARAMS), tree_map(np.float32, BATCH)
    losses = [imaml_loss(MODEL, nn.mse_loss, single, batch, kind(0.05), 2, kind(5.0)) for kind in (float, number)]
    assert losses[1].dtype == "float32" and losses[1].item() == losses[0].item()


@each_objective
def test_float32_stays_float32_and_agrees_with_float64(name):
    objective, params = OBJECTIVES[name]
    single = tree_map(lambda p: tg.tensor(p.data, "float32", requires_grad=True), params)
    batch = tree_map(np.float32, BATCH)
    loss = objective(single, batch)
    assert loss.dtype == np.float32 and {g.dtype for g in tg.grad(loss, leaves(single))} == {np.dtype(np.float32)}
    assert relative_error(gradient(objective, single, batch), gradient(objective, params)) < 1e-4


@each_objective
def test_a_loss_that_averages_over_tasks_is_refused(name):
    objective, params = OBJECTIVES[name]
    with pytest.raises(ValueError, match=r"one loss per task, of shape \(3,\), and returned shape \(\)"):
        with_loss(objective, lambda p, y: tg.mean((p - y) ** 2))(params, BATCH)


def with_loss(objective, loss):
    """The same objective with another loss wherever it has one."""
    args = [with_loss(a, loss) if isinstance(a, partial) else loss if a is nn.mse_loss else a for a in objective.args]
    return partial(objective.func, *args, **objective.keywords)


@pytest.mark.parametrize("name", ["meta_sgd", "anil"])
def test_gradient_equals_finite_differences_of_the_whole_objective(name):
    """By everything that is learned: the step sizes of Meta-SGD, the body and the head of ANIL."""
    objective, params = OBJECTIVES[name]
    assert relative_error(gradient(objective, params), finite_differences(lambda p: objective(p, BATCH), params)) < 1e-7


# --------------------------------------------------------------------------------------------------------- Meta-SGD


def test_meta_sgd_starts_with_one_step_size_in_the_shapes_and_types_of_the_parameters():
    theta = [tg.tensor([1.0, 2.0]), {"b": tg.tensor(3.0, "float32")}]
    params = init_meta_sgd(theta, 0.5)
    assert params["theta"] is theta
    first, second = leaves(params["step_size"])
    assert (first.data.tolist(), second.data.tolist()) == ([0.5, 0.5], 0.5)
    assert (first.dtype, second.dtype) == (np.float64, np.float32) and first.requires_grad and second.requires_grad


def test_meta_sgd_starts_as_maml():
    for batch in (BATCH, tree_map(lambda a: a[0], BATCH)):  # a batch of tasks, or one
        predict = meta_sgd(MODEL, nn.mse_loss, init_meta_sgd(PARAMS, ALPHA), batch.support, steps=2)
        expected = maml(MODEL, nn.mse_loss, PARAMS, batch.support, ALPHA, steps=2)
        np.testing.assert_allclose(predict(batch.query[0]).data, expected(batch.query[0]).data, rtol=1e-13)


@pytest.mark.parametrize("params, complaint", [
    (PARAMS, r"keys \['theta', 'step_size'\], and is a list of length 3"),
    ({"theta": PARAMS}, r"keys \['theta', 'step_size'\], and is a dict with keys \['theta'\]"),
    ({"theta": PARAMS, "step_size": PARAMS, "beta": 1}, r"and is a dict with keys \['theta', 'step_size', 'beta'\]"),
    ({"theta": PARAMS, "step_size": PARAMS[:2]}, "not built alike"),
    ({"theta": PARAMS, "step_size": tree_map(lambda p: tg.tensor(ALPHA), PARAMS)}, r"step sizes of shape \(\) for parameters"),
])
def test_meta_sgd_says_which_parameters_it_needs(params, complaint):
    with pytest.raises(ValueError, match=complaint):
        meta_sgd(MODEL, nn.mse_loss, params, BATCH.support)


# ------------------------------------------------------------------------------------------------------------- ANIL


@pytest.mark.parametrize("first_order", [False, True])
def test_anil_is_maml_with_a_step_size_of_0_for_the_body(first_order):
    options = {"steps": 3, "first_order": first_order}
    step_sizes = {part: tree_map(lambda p, a=a: tg.tensor(np.full(p.shape, a)), SPLIT[part])
                  for part, a in {"body": 0.0, "head": ALPHA}.items()}
    whole = lambda params, x: MODEL(params["head"], body(params["body"], x))
    actual = gradient(of_learner(anil, body, MODEL, step_size=ALPHA, **options), SPLIT)
    expected = gradient(of_learner(maml, whole, step_size=step_sizes, **options), SPLIT)
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-14)


def test_anil_adapts_to_a_single_task():
    learner = partial(anil, body, MODEL, nn.mse_loss, SPLIT, step_size=ALPHA)
    together = learner(BATCH.support)(BATCH.query[0]).data
    for i in range(3):
        np.testing.assert_allclose(learner([a[i] for a in BATCH.support])(BATCH.query[0][i]).data, together[i], rtol=1e-10)


def test_anil_says_which_parameters_it_needs():
    with pytest.raises(ValueError, match=r"keys \['body', 'head'\], and is a list of length 3"):
        anil(body, MODEL, nn.mse_loss, PARAMS, BATCH.support, ALPHA)


# ------------------------------------------------------------------------- linear regression: tasks with closed forms


def line(theta, x):
    return x @ theta


def linear_tasks(n_tasks=3, points=8, n=4, seed=0):
    """Tasks for the model ``x @ theta``; their losses are quadratic, with the Hessian 2 x'x / points."""
    rng = np.random.default_rng(seed)
    support, query = ((x, rng.normal(size=(n_tasks, points, 1))) for x in rng.normal(size=(2, n_tasks, points, n)))
    return TaskBatch(support, query, None, None), tg.tensor(rng.normal(size=(n, 1)), requires_grad=True)


def hessian_and_slope(x, y):
    """Of each task's loss at 0: its gradient anywhere else is ``H @ theta + slope``."""
    return 2 * x.swapaxes(-1, -2) @ x / x.shape[1], -2 * x.swapaxes(-1, -2) @ y / x.shape[1]


def test_reptile_is_the_way_that_gradient_descent_goes():
    """Steps on support, query and support points again, each of them theta - alpha (H theta + slope)."""
    batch, theta = linear_tasks()
    adapted = theta.data
    for points in (batch.support, batch.query, batch.support):
        H, slope = hessian_and_slope(*points)
        adapted = adapted - ALPHA * (H @ adapted + slope)
    away = theta.data - adapted
    loss = reptile_loss(line, nn.mse_loss, theta, batch, ALPHA, steps=3)
    assert loss.item() == pytest.approx(0.5 * np.square(away).sum() / 3)
    np.testing.assert_allclose(tg.grad(loss, theta)[0].data, away.mean(0))


def test_imaml_has_a_closed_form_for_linear_regression():
    """The minimum is (H + strength)^-1 (strength theta - slope), and moves with theta by strength (H + strength)^-1."""
    batch, theta = linear_tasks()
    strength, (H, slope), (query_H, query_slope) = 0.5, hessian_and_slope(*batch.support), hessian_and_slope(*batch.query)
    inverse = np.linalg.inv(H + strength * np.eye(4))
    phi = inverse @ (strength * theta.data - slope)
    expected = (strength * inverse @ (query_H @ phi + query_slope)).mean(0)

    loss = imaml_loss(line, nn.mse_loss, theta, batch, step_size=0.2, steps=300, strength=strength, cg_steps=4)
    assert loss.item() == pytest.approx(nn.mse_loss(line(phi, batch.query[0]), batch.query[1]).data.mean(), rel=1e-6)
    np.testing.assert_allclose(tg.grad(loss, theta)[0].data, expected, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------ iMAML


def test_the_implicit_gradient_is_where_gradients_through_many_steps_converge_to():
    """MAML of the same inner problem, unrolled: the two differ after few steps, and agree after many."""
    strength, distances = 30.0, {}

    def held_back(params, x, y):
        away = [tg.sum((p - q) ** 2, axis=(-2, -1)) for p, q in zip(leaves(params), leaves(PARAMS), strict=True)]
        return LOSS_FN(params, x, y) + 0.5 * strength * sum(away)

    def unrolled(params, batch):
        return tg.mean(LOSS_FN(meta.adapt(held_back, params, batch.support, 0.01, steps), *batch.query))

    for steps in (3, 150):
        implicit = partial(imaml_loss, MODEL, nn.mse_loss, step_size=0.01, steps=steps, strength=strength, cg_steps=53)
        distances[steps] = relative_error(gradient(implicit, PARAMS), gradient(unrolled, PARAMS))
    assert distances[3] > 0.1 and distances[150] < 1e-6, distances


def test_strongly_held_back_imaml_is_first_order_maml_without_adaptation():
    """As the strength grows, phi stays at theta and I + H / strength becomes I."""
    implicit = partial(imaml_loss, MODEL, nn.mse_loss, step_size=1e-9, steps=3, strength=1e8)
    expected = gradient(lambda params, batch: maml_loss(LOSS_FN, params, batch, ALPHA, steps=0), PARAMS)
    assert relative_error(gradient(implicit, PARAMS), expected) < 1e-5


def query_loss_of_maml(params, batch, steps):
    return query_loss(partial(maml, MODEL, nn.mse_loss, step_size=ALPHA, steps=steps), nn.mse_loss, params, batch)


@pytest.mark.parametrize("objective, grows", [
    (partial(imaml_loss, MODEL, nn.mse_loss, step_size=ALPHA, strength=5.0), False),
    (partial(reptile_loss, MODEL, nn.mse_loss, step_size=ALPHA), False),
    (query_loss_of_maml, True),
])
def test_only_an_unrolled_inner_loop_takes_memory_for_each_of_its_steps(objective, grows):
    def peak(steps):
        tracemalloc.start()
        gradient(partial(objective, steps=steps), PARAMS)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)  # what is set up once
    growth = peak(40) / peak(4)
    assert growth > 4 if grows else growth < 1.5, growth


@pytest.mark.parametrize("step_size", [0.2, 1e3])
def test_the_inner_loop_arrives_although_its_steps_are_far_too_large(step_size):
    batch, theta = linear_tasks()
    H, slope = hessian_and_slope(*batch.support)
    expected = np.linalg.solve(H + 0.5 * np.eye(4), 0.5 * theta.data - slope)
    loss_fn = relatives.loss_of(line, nn.mse_loss)
    phi = relatives.minimum(loss_fn, theta.detach(), batch.support, step_size, steps=300, strength=0.5, tasks=(3,))
    np.testing.assert_allclose(phi.data, expected[..., 0], rtol=1e-6)


def test_the_learner_of_imaml_arrives_where_its_objective_is_taken():
    options = {"step_size": ALPHA, "steps": 6, "strength": 5.0}
    value = query_loss(partial(imaml, MODEL, nn.mse_loss, **options), nn.mse_loss, PARAMS, BATCH)
    assert value.item() == pytest.approx(imaml_loss(MODEL, nn.mse_loss, PARAMS, BATCH, **options).item(), rel=1e-12)
    together = imaml(MODEL, nn.mse_loss, PARAMS, BATCH.support, **options)(BATCH.query[0]).data
    for i in range(3):
        single = imaml(MODEL, nn.mse_loss, PARAMS, [a[i] for a in BATCH.support], **options)
        np.testing.assert_allclose(single(BATCH.query[0][i]).data, together[i], rtol=1e-10)


def test_imaml_must_be_held_back():
    with pytest.raises(ValueError, match="must be positive, and is 0"):
        imaml_loss(MODEL, nn.mse_loss, PARAMS, BATCH, ALPHA, steps=1, strength=0)


# ----------------------------------------------------------------------------------------------- conjugate gradients


def systems(n=6, count=5, seed=0):
    """Symmetric positive definite matrices of rather different scales, and right-hand sides."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(count, n, n)) * np.logspace(-1, 2, count).reshape(-1, 1, 1)
    return factors @ factors.swapaxes(-1, -2) + np.eye(n), rng.normal(size=(count, n))


def times(matrices):
    return lambda rows: (matrices @ rows.reshape(*rows.shape, 1)).reshape(*rows.shape)


def test_conjugate_gradients_solve_n_equations_in_n_steps():
    matrices, b = systems()
    expected = np.linalg.solve(matrices, b[..., None])[..., 0]
    after = {steps: relatives.conjugate_gradients(times(matrices), tg.tensor(b), steps).data for steps in (5, 6)}
    errors = [np.abs(solution - expected).max() for solution in after.values()]
    assert errors[0] > 1e-6 and errors[1] < 1e-8


def test_conjugate_gradients_keep_what_they_have_found():
    """Further steps after the solution, in the less exact of the types: neither division by 0 nor drift."""
    matrices, b = (a.astype("float32") for a in systems())
    expected = np.linalg.solve(matrices, b[..., None])[..., 0]
    b[0], expected[0] = 0, 0
    solution = relatives.conjugate_gradients(times(matrices), tg.tensor(b), steps=100)
    assert solution.dtype == np.float32
    np.testing.assert_allclose(solution.data, expected, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("diagonal, expected", [
    ([2.0, 4.0], [0.5, 0.25]),
    ([4.0, -4.0], [0.0, 0.0]),   # the first direction, b, has no curvature
    ([-2.0, -4.0], [0.0, 0.0]),  # a negative one
    ([9.0, -1.0], [0.25, 0.25]),  # the second direction has a negative one: what the first gave is kept
])
def test_conjugate_gradients_stop_where_the_curvature_is_not_positive(diagonal, expected):
    solution = relatives.conjugate_gradients(lambda x: x * np.array(diagonal), tg.tensor([1.0, 1.0]), steps=5)
    np.testing.assert_allclose(solution.data, expected, rtol=1e-12)
