"""Meta-training, its baselines, and evaluation on new tasks."""

from functools import partial

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta import meta, nn
from tinygrad_meta.meta import baselines, plots
from tinygrad_meta.tree import leaves, rebuild


def loss_fn(params, x, y):
    return nn.mse_loss(nn.mlp(params, x, "tanh"), y)


def sample(seed=0, n_tasks=4):
    return tg.tasks.SineTasks().sample(n_tasks, 5, 5, seed)


def init():
    return nn.init_mlp([1, 8, 8, 1], rng=0)


def assert_same(params, expected, **tolerance):
    for p, q in zip(leaves(params), leaves(expected), strict=True):
        np.testing.assert_allclose(p.data, q.data, **{"rtol": 0} | tolerance)


maml = partial(meta.maml_loss, loss_fn, step_size=0.01)
pooled = partial(meta.pooled_loss, loss_fn)


# ------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("objective", [maml, partial(maml, first_order=True), partial(maml, steps=3), pooled])
def test_training_takes_one_adam_step_per_batch(objective, eager):
    batches, step_sizes, by_hand, optimizer = [sample(0), sample(1), sample(2)], [0.1, 0.01, 0.02], init(), tg.optim.Adam()
    trained = list(meta.train(objective, init(), batches, step_sizes, eager=eager))
    for batch, step_size, (params, loss) in zip(batches, step_sizes, trained, strict=True):
        assert loss == pytest.approx(objective(by_hand, batch).item(), rel=1e-9)
        optimizer.step_size = step_size
        by_hand = optimizer.step(by_hand, tg.func.grad(objective)(by_hand, batch))
        assert_same(params, by_hand, rtol=1e-7, atol=1e-10)


def test_training_leaves_its_start_alone_and_is_reproducible():
    start = init()
    runs = [list(meta.train(maml, start, [sample(0), sample(1)], [0.1] * 2)) for _ in range(2)]
    assert_same(start, init())
    assert_same(runs[0][-1][0], runs[1][-1][0])
    assert [loss for _, loss in runs[0]] == [loss for _, loss in runs[1]]


def test_training_ends_with_its_batches_or_its_step_sizes():
    assert len(list(meta.train(maml, init(), [sample()] * 2, [0.1] * 3))) == 2
    assert len(list(meta.train(maml, init(), [sample()] * 3, [0.1] * 2))) == 2


@pytest.mark.parametrize("eager", [True, False])
def test_parameters_and_optimizer_are_all_it_takes_to_go_on(eager):
    batches, optimizer = [sample(i) for i in range(5)], tg.optim.Adam()
    whole = list(meta.train(maml, init(), batches, [0.01] * 5, eager=eager))
    *_, (params, _) = meta.train(maml, init(), batches[:3], [0.01] * 3, eager=eager, optimizer=optimizer)
    assert optimizer.steps == 3
    fresh = rebuild(params, [tg.tensor(p.numpy(), requires_grad=True) for p in leaves(params)])
    rest = list(meta.train(maml, fresh, batches[3:], [0.01] * 2, eager=eager, optimizer=optimizer))
    assert [loss for _, loss in rest] == [loss for _, loss in whole[3:]]
    for p, q in zip(leaves(rest[-1][0]), leaves(whole[-1][0]), strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def spoiled(batch, task, value=np.nan):
    """The batch with a wrong value among the query points of a task."""
    x, y = batch.query
    y = y.copy()
    y[task, 2] = value
    return batch._replace(query=(x, y))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("spoil, what, task", [
    (lambda batch: spoiled(batch, 2), "the loss", 2),
    (lambda batch: spoiled(batch, 1, 1e200), "the loss", 1),
    (lambda batch: spoiled(spoiled(batch, 3), 1, np.inf), "the loss", 1),
])
def test_training_stops_where_a_loss_is_not_finite_and_says_where(spoil, what, task, eager):
    optimizer, seen = tg.optim.Adam(), []
    with pytest.raises(meta.Diverged, match=rf"^{what} of iteration 3 is not finite, first in task {task} ") as caught:
        for params, loss in meta.train(maml, init(), [sample(0), sample(1), spoil(sample(2)), sample(3)], [0.01] * 4,
                                       eager=eager, optimizer=optimizer):
            seen.append(loss)
    assert (caught.value.iteration, caught.value.task) == (3, task)
    assert len(seen) == optimizer.steps == 2 and np.isfinite(seen).all()
    assert all(np.isfinite(p.data).all() for p in leaves(params))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gradient_that_is_not_finite_is_no_step_either():
    def root_of_zero(params, batch):
        return (tg.sqrt(params["x"]) * batch["weight"]).sum() / len(batch["weight"])

    start = {"x": tg.tensor([0.0, 1.0], requires_grad=True)}
    batches = [{"weight": np.array([[0.0, 1.0], [0.0, 1.0]])}, {"weight": np.array([[0.0, 1.0], [1.0, 1.0]])}]
    with pytest.raises(meta.Diverged, match="^the gradient of iteration 2 is not finite, first in task 1"):
        list(meta.train(root_of_zero, start, batches, [0.0, 0.0]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_sum_that_overflows_is_no_single_tasks_fault():
    batch = {"weight": np.full((4, 1), 1.2e38, np.float32)}
    start = {"x": tg.tensor([1.0], dtype="float32", requires_grad=True)}
    with pytest.raises(meta.Diverged, match="^the loss of iteration 1 is not finite: ") as caught:
        list(meta.train(lambda params, batch: (params["x"] * batch["weight"]).sum() / 4, start, [batch], [0.1]))
    assert caught.value.task is None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_average_that_overflows_is_noticed_before_it_does_harm():
    start = {"x": tg.tensor([1.0], dtype="float32", requires_grad=True)}
    batch = {"weight": np.full((1, 1), 1e25, np.float32)}
    with pytest.raises(meta.Diverged, match="^the step of iteration 1 is not finite: "):
        list(meta.train(lambda params, batch: (params["x"] * batch["weight"]).sum(), start, [batch], [0.0]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("eager", [False, True])
def test_a_gradient_too_large_to_be_clipped_is_noticed(eager):
    start = {"x": tg.tensor([1.0], dtype="float32", requires_grad=True)}
    batch = {"weight": np.full((1, 1), 1e25, np.float32)}
    with pytest.raises(meta.Diverged, match="^the step of iteration 1 is not finite"):
        list(meta.train(lambda params, batch: (params["x"] * batch["weight"]).sum(), start, [batch], [0.1], 1.0, eager))


def test_parameters_of_two_types_are_refused():
    mixed = {"x": tg.tensor(1.0, "float32", requires_grad=True), "y": tg.tensor(1.0, "float64", requires_grad=True)}
    with pytest.raises(TypeError, match="must be of one dtype, and these are float32 and float64$"):
        next(meta.train(lambda params, batch: params["x"] * params["y"], mixed, [None], [0.1]))


def test_a_clipped_meta_gradient_has_the_norm_asked_for(monkeypatch):
    seen, move = [], tg.optim.Adam.move
    monkeypatch.setattr(tg.optim.Adam, "move", lambda self, x, g, *rest: seen.append(g.data) or move(self, x, g, *rest))
    for max_norm in (None, 1e6, 0.1):
        list(meta.train(maml, init(), [sample()], [0.1], max_norm, eager=True))
    whole, untouched, clipped = seen
    np.testing.assert_array_equal(untouched, whole)
    np.testing.assert_allclose(clipped, 0.1 * whole / np.linalg.norm(whole), rtol=1e-12)


def test_meta_training_improves_adaptation_to_new_tasks():
    tasks, rng, start = tg.tasks.SineTasks(), np.random.default_rng(0), nn.init_mlp([1, 40, 40, 1], rng=0)
    batches = (tasks.sample(10, 10, 10, rng) for _ in range(200))
    *_, (params, _) = meta.train(maml, start, batches, [0.01] * 200)
    before, after = (meta.evaluate(loss_fn, p, tasks.sample(100, 10, 10, 1), 0.01, steps=1).mean(1) for p in (start, params))
    assert after[1] < 0.6 * after[0] and after[1] < 0.6 * before[1]


# ------------------------------------------------------------------------------------------------------- baselines


def test_the_pooled_loss_is_the_mean_over_all_points_of_all_tasks():
    batch, params = sample(), init()
    points = [(x, y) for x, y in zip(*batch.support, strict=True)] + [(x, y) for x, y in zip(*batch.query, strict=True)]
    np.testing.assert_allclose(pooled(params, batch).item(), np.mean([loss_fn(params, x, y).item() for x, y in points]))


def test_the_oracle_can_compute_the_answer_from_its_inputs():
    for x, y in (meta.reveal(sample()).support, meta.reveal(sample()).query):
        np.testing.assert_allclose(x[..., 1:2] * np.sin(x[..., 2:3] + x[..., :1]), y)


def test_revealing_amplitude_and_phase_keeps_the_dtype():
    batch = tg.tasks.SineTasks(dtype="float32").sample(2, 3, 3, 0)
    assert meta.reveal(batch).support[0].dtype == np.float32


def test_the_best_step_size_is_neither_idle_nor_divergent():
    assert meta.best_step_size(loss_fn, init(), sample(), [0.0, 0.02, 1e6]) == 0.02


def parabola(params, x, y):
    """On which gradient descent converges with step sizes below 1: it multiplies ``params`` by 1 - 2 * step size."""
    return tg.mean(params * params + 0 * x, axis=(-2, -1))


@pytest.mark.parametrize("step_sizes, chosen", [([0.1, 0.5, 0.9], 0.5), ([0.1, 0.7, 0.9], 0.1), ([1.1, 0.8, 0.9], 0.8)],
                         ids=["the best", "the best that leaves room", "none that does"])  # fmt: skip
def test_the_best_step_size_leaves_room_before_it_diverges(step_sizes, chosen):
    start = tg.tensor([[1e150]], requires_grad=True)
    assert meta.best_step_size(parabola, start, sample(), step_sizes, steps=1000) == chosen


def test_if_all_step_sizes_diverge_the_first_is_chosen():
    assert meta.best_step_size(parabola, tg.tensor([[1e150]], requires_grad=True), sample(), [3, 5, 9], steps=1000) == 3


def test_a_step_size_that_diverges_itself_is_not_chosen_for_the_room_that_it_leaves(monkeypatch):
    errors = {1.0: 2.0, 1.5: np.inf, 2.0: np.inf, 3.0: 1.0}
    monkeypatch.setattr(baselines, "evaluate", lambda loss_fn, params, batch, step_size, steps: np.array([[errors[step_size]]]))
    assert meta.best_step_size(None, None, None, [1.0, 2.0]) == 1.0


def test_step_sizes_to_choose_from_may_be_one_for_each_parameter():
    start = {"a": tg.tensor([[1.0]], requires_grad=True)}
    choices = [{"a": 0.1}, {"a": 0.5}]
    assert meta.best_step_size(lambda p, x, y: parabola(p["a"], x, y), start, sample(), choices, steps=3) == {"a": 0.5}


def test_training_in_half_precision_keeps_its_sums_in_single():
    optimizer = tg.optim.Adam()
    run = meta.train(lambda p, x: tg.sum((p - x) * (p - x)), tg.tensor(np.ones(2, "float16"), requires_grad=True),
                     [np.full(2, 30, "float16")] * 300, 300 * [0.1], optimizer=optimizer)
    *_, (params, _) = run
    assert params.dtype == "float16" and optimizer.state[0].dtype == "float32"
    assert 15 < params.data.min() < 30


# ------------------------------------------------------------------------------------------------------ evaluation


def test_evaluation_is_the_query_loss_of_each_task_adapted_by_itself():
    batch, params = sample(), init()
    errors = meta.evaluate(loss_fn, params, batch, 0.05, steps=3)
    assert errors.shape == (4, 4)
    for i in range(4):
        support, query = ([each[i] for each in pair] for pair in (batch.support, batch.query))
        for steps in range(4):
            expected = loss_fn(meta.adapt(loss_fn, params, support, 0.05, steps), *query).item()
            np.testing.assert_allclose(errors[steps, i], expected, rtol=1e-12)


def test_divergence_is_counted_and_quiet():
    errors = meta.evaluate(loss_fn, init(), sample(), step_size=1e200, steps=10)
    summary = meta.summarize(errors)
    assert np.isfinite(summary.mean[0]) and summary.diverged[0] == 0
    assert summary.mean[-1] == np.inf and summary.diverged[-1] == 4


def test_one_diverged_task_leaves_the_median_meaningful():
    summary = meta.summarize(np.array([[1.0, 2.0, np.inf]]))
    assert (summary.mean, summary.median, summary.diverged) == (np.inf, 2.0, 1)


def test_the_confidence_interval_covers_the_true_mean_95_times_in_100():
    draws = np.random.default_rng(0).exponential(2.0, (2000, 200))
    summary = meta.summarize(draws)
    assert 0.93 < np.mean(np.abs(summary.mean - 2.0) < summary.interval) < 0.96


def test_parameters_rebuilt_after_training_have_the_structure_of_the_start():
    *_, (params, _) = meta.train(lambda p, batch: maml(p["net"], batch), {"net": init()}, [sample()], [0.1])
    assert rebuild(params, range(6)) == {"net": [(0, 1), (2, 3), (4, 5)]}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_any_object_with_a_support_and_a_query_is_a_batch():
    class Batch:
        support, query = sample().support, spoiled(sample(), 1).query

    with pytest.raises(meta.Diverged, match="^the loss of iteration 1 is not finite: ") as caught:
        list(meta.train(maml, init(), [Batch()], [0.1], eager=True))
    assert caught.value.task is None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("batch, task", [
    ({"weight": np.array([[1.0], [np.nan]]), "scale": np.array(2.0)}, None),  # which has no axis of tasks
    ({"weight": np.array([[1.0], [np.nan]]), "scale": None}, 1),
    ({"weight": np.array(np.nan), "scale": None}, None),
    ({"weight": None, "scale": None}, None),
])
def test_a_task_is_blamed_if_there_are_tasks(batch, task):
    def mean(params, batch):
        weight, scale = (batch[key] if batch[key] is not None else default for key, default in [("weight", np.nan), ("scale", 1)])
        return tg.mean(params["x"] * weight * scale)

    with pytest.raises(meta.Diverged, match="^the loss of iteration 1 is not finite") as caught:
        list(meta.train(mean, {"x": tg.tensor([1.0], requires_grad=True)}, [batch], [0.1], eager=True))
    assert caught.value.task == task


def test_an_optimizer_of_another_model_is_refused():
    used = tg.optim.Adam()
    used.step(tg.tensor([1.0]), np.ones(1))
    with pytest.raises(ValueError, match="kept sums of 1 numbers, and the parameters are 2: make one for each model"):
        next(meta.train(lambda p, batch: tg.sum(p * p), tg.tensor([1.0, 2.0]), [None], [0.1], optimizer=used))


def test_an_optimizer_of_another_model_is_refused_before_a_batch_is_drawn():
    used, batches = tg.optim.Adam(), iter([1, 2])
    used.step([tg.tensor([1.0])], [np.ones(1)])
    with pytest.raises(ValueError, match="make one for each model"):
        next(meta.train(lambda p, batch: tg.sum(p * p), tg.tensor([1.0, 2.0]), batches, [0.1], optimizer=used))
    assert next(batches) == 1 and used.step_size == 0.001


def test_two_trainings_do_not_share_their_sums():
    """Though they may be given one optimizer: only its count of steps is common, and SGD does not ask for it."""
    target, start, shared = np.array([3.0, -2.0]), tg.tensor([0.0, 0.0], requires_grad=True), tg.optim.SGD(momentum=0.9)

    def run(sign, optimizer):
        return meta.train(lambda p, x: tg.sum((p - sign * x) ** 2), start, 9 * [target], 9 * [0.01], optimizer=optimizer)

    alone = [params.data for params, _ in run(1, tg.optim.SGD(momentum=0.9))]
    beside = [params.data for (params, _), _ in zip(run(1, shared), run(-1, shared), strict=True)]
    np.testing.assert_array_equal(alone, beside)


@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
def test_where_there_is_no_gradient_any_more_training_does_not_get_slow(eager):
    """Because a sum of gradients that only decays becomes 0 before it is too small for a normal number."""
    optimizer, batches = tg.optim.Adam(), [np.full(2, x) for x in [1.0] + 999 * [0.0]]
    run = meta.train(lambda p, x: tg.sum(p * x), tg.tensor([1.0, 2.0], "float32", requires_grad=True), batches, 1000 * [0.01],
                     eager=eager, optimizer=optimizer)
    for _ in run:
        sums = optimizer.state[0].data
        assert ((sums == 0) | (sums > np.finfo("float32").tiny)).all()
    assert not sums.any()


# -------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("means, top", [([[3, 2], [4, 1e9]], 12), ([[3, 2], [4, np.inf]], 12), ([[3, 2], [np.inf, 1]], 9),
                                        ([[np.nan, 2], [3, 1e9]], 9), ([[3, 2], [1]], 9), ([[0, 5], [0, 5]], np.inf)])
def test_errors_that_rise_far_above_those_before_adaptation_leave_the_picture(means, top, monkeypatch):
    shown = []
    monkeypatch.setattr(plots.Figure, "savefig", lambda figure, *args, **options: shown.append(figure))
    summaries = [meta.Summary(np.array(mean, float), np.zeros(len(mean)), None, None) for mean in means]
    plots.plot_errors(None, dict(zip(("MAML", "pre-trained"), summaries, strict=True)))
    assert shown[0].axes[0].get_ylim()[1] <= top
