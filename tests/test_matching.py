"""Metric-based learners; and the checks that every learner passes which reads a support set in a single pass."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta import meta, nn
from tinygrad_meta.meta.matching import init_matching, matching, prototypes, squared_distances
from tinygrad_meta.tree import leaves, rebuild, tree_map

TASKS, WAYS, SHOTS, QUERIES, FEATURES = 3, 4, 2, 5, 3


class Batch(NamedTuple):
    support: tuple
    query: tuple


class Case(NamedTuple):
    """A learner with its parameters, tasks to use it on, other tasks, and their loss."""

    learner: object
    params: object
    batch: Batch
    other: Batch
    loss: object

    def predict(self, support=None, x=None):
        return self.learner(self.params, support or self.batch.support)(self.batch.query[0] if x is None else x)

    def objective(self, params, batch):
        return tg.mean(self.loss(self.learner(params, batch.support)(batch.query[0]), batch.query[1]))


def classification(learner, params):
    return Case(partial(learner, ways=WAYS), params, labelled(rng=1), labelled(rng=2), nn.cross_entropy)


def labelled(rng):
    """Tasks in which every class has ``SHOTS`` points, in random order."""
    rng = np.random.default_rng(rng)
    labels, query_labels = (rng.permuted(np.tile(np.arange(WAYS), (TASKS, n)), axis=-1) for n in (SHOTS, QUERIES))
    x, query_x = (rng.normal(size=(*y.shape, FEATURES)) for y in (labels, query_labels))
    return Batch((x, labels), (query_x, query_labels))


def regression(learner, params):
    sample = partial(tg.tasks.SineTasks().sample, TASKS, n_support=6, n_query=QUERIES)
    return Case(learner, params, *[Batch(*sample(rng=rng)[:2]) for rng in (1, 2)], nn.mse_loss)


embed = partial(nn.mlp, activation="leaky_relu")  # far away its features are large, and nowhere are they all 0


def embedding(inputs=FEATURES):
    return nn.init_mlp([inputs, 4, 3], rng=0)


CASES = {
    "matching": classification(partial(matching, embed), init_matching(embedding(), sharpness=3.0)),
    "matching of numbers": regression(partial(matching, embed), init_matching(embedding(1), sharpness=3.0)),
    "prototypes": classification(partial(prototypes, embed), embedding()),
}


# ------------------------------------------------------------------------------------------ what holds of every learner


def assert_order_does_not_matter(case):
    order = np.random.default_rng(0).permutation(case.batch.support[0].shape[1])
    shuffled = tuple(each[:, order] for each in case.batch.support)
    np.testing.assert_allclose(case.predict(support=shuffled).data, case.predict().data, rtol=1e-10)


def assert_renamed_classes_have_renamed_predictions(case):
    names = np.array([2, 0, 3, 1])  # class 0 is now called 2, and so on
    x, labels = case.batch.support
    np.testing.assert_allclose(case.predict(support=(x, names[labels])).data[..., names], case.predict().data, rtol=1e-10)


def assert_tasks_do_not_mix(case):
    together = case.predict().data
    for i in range(TASKS):
        alone = case.predict(support=[each[i] for each in case.batch.support], x=case.batch.query[0][i])
        np.testing.assert_allclose(alone.data, together[i], rtol=1e-10)


def assert_gradients_are_right(case):
    objective = lambda *tensors: case.objective(rebuild(case.params, tensors), case.batch)  # noqa: E731
    assert tg.gradcheck(objective, leaves(case.params))
    assert tg.gradgradcheck(objective, leaves(case.params), fast_mode=True)


def assert_far_away_stays_finite(case):
    far = case.batch._replace(query=(1e6 * case.batch.query[0], case.batch.query[1]))
    case, far = in_float32(case), tree_map(float32, far)
    assert np.isfinite(case.predict(x=far.query[0]).data).all()
    for gradient in tg.grad(case.objective(case.params, far), leaves(case.params)):
        assert np.isfinite(gradient.data).all()


def assert_float32_stays_float32(case):
    case = in_float32(case)
    loss = case.objective(case.params, case.batch)
    assert {each.dtype for each in (case.predict(), loss, *tg.grad(loss, leaves(case.params)))} == {np.dtype("float32")}


def in_float32(case):
    params = tree_map(lambda p: tg.tensor(p.data, "float32", requires_grad=True), case.params)
    return case._replace(params=params, batch=tree_map(float32, case.batch))


def float32(array):
    return array.astype("float32") if array.dtype.kind == "f" else array


def assert_training_replays(case):
    """Recorded once and replayed, on other tasks too, training takes the same steps as without."""
    train = partial(meta.train, case.objective, case.params, [case.batch, case.other] * 10, [0.01] * 20)
    eager, replayed = ([loss for _, loss in train(eager=eager)] for eager in (True, False))
    np.testing.assert_allclose(replayed, eager, rtol=1e-7)
    assert eager[-1] < eager[1]


EVERY_LEARNER = [
    assert_order_does_not_matter,
    assert_tasks_do_not_mix,
    assert_gradients_are_right,
    assert_far_away_stays_finite,
    assert_float32_stays_float32,
    assert_training_replays,
]


@pytest.mark.parametrize("check", EVERY_LEARNER)
@pytest.mark.parametrize("name", CASES)
def test_every_learner(name, check):
    check(CASES[name])


@pytest.mark.parametrize("name", ["matching", "prototypes"])
def test_what_a_class_is_called_does_not_matter(name):
    assert_renamed_classes_have_renamed_predictions(CASES[name])


# ------------------------------------------------------------------------------------------------------ by definition


def features(case, task):
    """The features of one task's support points and queries, as arrays."""
    params = case.params["embed"] if "embed" in case.params else case.params
    return [embed(params, x[task]).data for x in (case.batch.support[0], case.batch.query[0])]


def attention(case, task):
    points, queries = features(case, task)
    cosines = [[q @ p / np.sqrt((q @ q) * (p @ p)) for p in points] for q in queries]
    weights = np.exp(case.params["sharpness"].item() * np.array(cosines))
    return weights / weights.sum(axis=1, keepdims=True)


def test_matching_adds_up_the_attention_to_each_class():
    case = CASES["matching"]
    for task in range(TASKS):
        labels = case.batch.support[1][task]
        expected = [[row[labels == c].sum() for c in range(WAYS)] for row in attention(case, task)]
        np.testing.assert_allclose(np.exp(case.predict().data[task]), expected, rtol=1e-10)


def test_matching_of_numbers_is_their_mean_weighted_by_attention():
    case = CASES["matching of numbers"]
    for task in range(TASKS):
        np.testing.assert_allclose(case.predict().data[task], attention(case, task) @ case.batch.support[1][task], rtol=1e-10)


def test_prototypes_are_class_means():
    case = CASES["prototypes"]
    for task in range(TASKS):
        (points, queries), labels = features(case, task), case.batch.support[1][task]
        means = [points[labels == c].mean(axis=0) for c in range(WAYS)]
        expected = [[-((q - mean) ** 2).sum() for mean in means] for q in queries]
        np.testing.assert_allclose(case.predict().data[task], expected, rtol=1e-10)


def scaled(factor, x):
    return factor * tg.tensor(x)


def test_with_one_point_per_class_at_length_one_both_are_the_same():
    """There |a - b|^2 = 2 - 2 cos: minus the distance is the cosine times a sharpness of 2, and a number that cancels."""
    rng = np.random.default_rng(0)
    points, queries = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in rng.normal(size=(2, WAYS, FEATURES)))
    support = points, [2, 0, 1, 3]
    by_cosine = matching(scaled, {"embed": 1.0, "sharpness": tg.tensor(2.0)}, support, WAYS)(queries)
    by_distance = tg.log_softmax(prototypes(scaled, 1.0, support, WAYS)(queries))
    np.testing.assert_allclose(by_cosine.data, by_distance.data, rtol=1e-10)


# ------------------------------------------------------------------------------------------------------------ traps


def test_a_class_far_away_has_a_small_probability_and_not_0():
    support, params = ([[1.0, 0.0], [-1.0, 0.0]], [0, 1]), {"embed": 1.0, "sharpness": tg.tensor(1e4)}
    np.testing.assert_allclose(matching(scaled, params, support, ways=2)([[1.0, 0.0]]).data, [[0.0, -2e4]], atol=1e-9)


def test_features_of_zero_resemble_everything_equally():
    support, scale = ([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], [0, 1, 1]), tg.tensor(1.0, requires_grad=True)
    predict = matching(scaled, {"embed": scale, "sharpness": tg.tensor(3.0)}, support, ways=2)
    probabilities = tg.exp(predict([[0.0, 0.0]]))
    np.testing.assert_allclose(probabilities.data, [[1 / 3, 2 / 3]])
    assert tg.grad(tg.sum(probabilities[..., 0]), scale)[0].item() == 0


def test_distances_by_one_product_are_accurate_in_float32():
    """The formula takes differences of large numbers: what is lost is a small part of the lengths, not of the distances."""
    x, y = np.random.default_rng(0).normal(size=(2, 50, 64)).astype("float32")
    exact = np.square(x[:, None].astype(float) - y).sum(axis=-1)
    np.testing.assert_allclose(squared_distances(tg.tensor(x), tg.tensor(y)).data, exact, rtol=1e-5)


# ----------------------------------------------------------------------------------------------------------- errors

X = np.zeros((4, FEATURES))


@pytest.mark.parametrize(
    ("learner", "support", "message"),
    [
        ("matching", (X, [0, 1, 1, 2]), r"every class needs a support point: .*0 to 3 do not occur"),
        ("prototypes", (X, [0, 1, 1, 2]), r"every class needs a support point: .*0 to 3 do not occur"),
        ("prototypes", (X, [0, 1, 2, 4]), r"labels from 0 to 4 for 4 classes"),
        ("matching", (X, [0.0, 1.0, 2.0, 3.0]), r"labels are integers .*float64"),
        ("matching", (X, [0, 1, 2]), r"labels of shape \(3,\) for features of shape \(4, 3\)"),
        ("prototypes", (X, [[0], [1], [2], [3]]), r"labels of shape \(4, 1\) for features of shape \(4, 3\)"),
        ("matching of numbers", (X[:, :1], [0, 1, 2, 3]), r"int64: for labels, say how many classes"),
        ("matching of numbers", (X[:, :1], np.zeros(4)), r"numbers of shape \(4,\) for features of shape \(4, 3\)"),
    ],
)
def test_a_support_set_that_does_not_fit_is_refused(learner, support, message):
    with pytest.raises(ValueError, match=message):
        CASES[learner].learner(CASES[learner].params, support)
