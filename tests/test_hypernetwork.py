"""Model-based learners: networks that write the parameters of other networks."""

from functools import partial

import numpy as np
import pytest
from test_matching import (
    EVERY_LEARNER,
    TASKS,
    WAYS,
    X,
    assert_renamed_classes_have_renamed_predictions,
    classification,
    embedding,
    regression,
)

import tinygrad_meta as tg
from tinygrad_meta import nn
from tinygrad_meta.meta.hypernetwork import head_hypernetwork, hypernetwork, init_head_hypernetwork, init_hypernetwork
from tinygrad_meta.tree import leaves, tree_map

BASE = nn.init_mlp([1, 4, 1], rng=0)
SINES = regression(partial(hypernetwork, nn.mlp), init_hypernetwork(BASE, width=5, code_size=3, rng=3))
CLASSES = classification(partial(head_hypernetwork, nn.mlp), init_head_hypernetwork(embedding(), features=3, width=5, rng=1))


@pytest.mark.parametrize("check", EVERY_LEARNER)
@pytest.mark.parametrize("case", [SINES, CLASSES], ids=["hypernetwork", "head"])
def test_every_learner(case, check):
    check(case)


def test_what_a_class_is_called_does_not_matter():
    assert_renamed_classes_have_renamed_predictions(CLASSES)


# ------------------------------------------------------------------------------------------------------ by definition


def mlp(params, x):
    """A multilayer perceptron in NumPy."""
    for i, (weight, bias) in enumerate(params):
        x = (np.maximum(x, 0) if i else x) @ weight.data + bias.data
    return x


def test_a_task_has_the_base_parameters_moved_along_the_directions():
    params, (x, y) = SINES.params, SINES.batch.support
    for task in range(TASKS):
        read = [mlp(params["read"], np.concatenate(pair)) for pair in zip(x[task], y[task], strict=True)]
        code = mlp(params["summarize"], np.mean(read, axis=0))[0]
        own = tree_map(lambda base, directions, code=code: tg.tensor(base.data + np.tensordot(code, directions.data, axes=1)),
                       params["base"], params["directions"])
        np.testing.assert_allclose(SINES.predict().data[task], mlp(own, SINES.batch.query[0][task]), rtol=1e-10)


def test_a_head_is_the_class_means_moved_by_what_is_written():
    params, (x, labels) = CLASSES.params, CLASSES.batch.support
    for task in range(TASKS):
        points, queries = (mlp(params["embed"], each[task]) for each in (x, CLASSES.batch.query[0]))
        means = np.array([points[labels[task] == c].mean(axis=0) for c in range(WAYS)])
        written = mlp(params["write"], means)
        expected = [[q @ (mean + row[:-1]) + row[-1] for mean, row in zip(means, written, strict=True)] for q in queries]
        np.testing.assert_allclose(CLASSES.predict().data[task], expected, rtol=1e-10)


def test_training_starts_close_to_the_base():
    """Of a network with large enough layers for the random moves to average out."""
    base = nn.init_mlp([1, 40, 40, 1], rng=0)
    params = init_hypernetwork(base, rng=1)
    written, alone = (predict(SINES.batch.query[0]).data for predict in
                      (hypernetwork(nn.mlp, params, SINES.batch.support), partial(nn.mlp, base)))
    assert 0 < np.abs(written - alone).mean() < 0.5 * np.abs(alone).mean()


def test_parameters_are_reproducible_and_take_their_dtype_from_what_they_are_made_around():
    base = nn.init_mlp([1, 4, 1], dtype=np.float32)
    for init in (partial(init_hypernetwork, base), partial(init_head_hypernetwork, base, 4)):
        first, second = leaves(init(rng=5)), leaves(init(rng=5))
        assert {p.dtype for p in first} == {np.dtype("float32")} and all(p.requires_grad for p in first)
        assert all((p.data == q.data).all() for p, q in zip(first, second, strict=True))


# ----------------------------------------------------------------------------------------------------------- errors


def test_a_model_whose_tasks_see_the_parameters_of_others_is_refused():
    base = {"slope": np.ones((1, 1)), "bias": np.zeros(1)}  # a bias that becomes (tasks, 1), and meets (tasks, points, 1)
    params, x = tg.meta.init_hypernetwork(base, rng=0), np.ones((4, 4, 1))
    with pytest.raises(ValueError, match="depends on the parameters of others.*Make a bias a row"):
        tg.meta.hypernetwork(lambda p, x: x @ p["slope"] + p["bias"], params, (x, x))


@pytest.mark.parametrize(
    ("case", "support", "message"),
    [
        (SINES, (X[:, :1], np.zeros(4)), r"pairs \(x, y\) of 2 numbers .* got \(4, 1\) and \(4,\)"),
        (SINES, (X[:, :1], np.zeros((3, 1))), r"got \(4, 1\) and \(3, 1\)"),
        (SINES, (X, np.zeros((4, 1))), r"got \(4, 3\) and \(4, 1\)"),
        (CLASSES, (X, [0, 1, 2, 4]), r"labels from 0 to 4 for 4 classes"),
        (CLASSES, (X, [0, 1, 2, 2]), r"every class needs a support point"),
        (CLASSES, (X, [0, 1, 2]), r"labels of shape \(3,\) for features of shape \(4, 3\)"),
    ],
)
def test_a_support_set_that_does_not_fit_is_refused(case, support, message):
    with pytest.raises(ValueError, match=message):
        case.learner(case.params, support)
