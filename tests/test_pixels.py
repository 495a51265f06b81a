"""Baselines that compare pixels, against slow versions of themselves and against published figures."""

import numpy as np
import pytest
from test_omniglot import omniglot

from tinygrad_meta.meta.pixels import euclidean, modified_hausdorff, nearest_neighbour
from tinygrad_meta.tasks import centred
from tinygrad_meta.tasks.omniglot import load_runs

RNG = np.random.default_rng(0)
SUPPORT, QUERY, LABELS = RNG.random((3, 4, 6, 5)), RNG.random((3, 7, 6, 5)), RNG.integers(0, 3, (3, 4))


def slow_euclidean(a, b):
    return np.sqrt(((a - b) ** 2).sum())


def slow_hausdorff(a, b):
    """As Dubuisson and Jain define it, from coordinates relative to the mean."""
    a, b = (np.argwhere(image > 0.5) for image in (a, b))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    there = np.mean([min(np.linalg.norm(p - q) for q in b) for p in a])
    back = np.mean([min(np.linalg.norm(p - q) for p in a) for q in b])
    return max(there, back)


@pytest.mark.parametrize("distances, slowly", [(euclidean, slow_euclidean), (modified_hausdorff, slow_hausdorff)])
def test_distances_equal_slow_ones_for_a_task_and_for_a_batch(distances, slowly):
    expected = [[[slowly(q, s) for s in support] for q in query] for query, support in zip(QUERY, SUPPORT, strict=True)]
    np.testing.assert_allclose(distances(QUERY, SUPPORT), expected, rtol=1e-7)
    np.testing.assert_allclose(distances(QUERY[1], SUPPORT[1]), expected[1], rtol=1e-7)


@pytest.mark.parametrize("distances, slowly", [(euclidean, slow_euclidean), (modified_hausdorff, slow_hausdorff)])
def test_the_label_is_that_of_the_nearest_support_image(distances, slowly):
    found = nearest_neighbour(SUPPORT, LABELS, QUERY, distances)
    assert found.shape == (3, 7)
    for task, query in np.ndindex(found.shape):
        nearest = np.argmin([slowly(QUERY[task, query], image) for image in SUPPORT[task]])
        assert found[task, query] == LABELS[task, nearest]
    assert np.array_equal(nearest_neighbour(SUPPORT[2], LABELS[2], QUERY[2], distances), found[2])


def test_of_equally_near_images_the_first_counts():
    image = np.eye(3)
    assert nearest_neighbour([image, image], [4, 5], [image]) == [4]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_images_may_be_of_any_dtype(dtype):
    ink = SUPPORT > 0.5
    images = (ink * 255).astype(dtype) if dtype == np.uint8 else ink.astype(dtype)
    for distances in (euclidean, modified_hausdorff):
        np.testing.assert_allclose(distances(images, images), distances(1.0 * ink, 1.0 * ink), atol=2e-3)


@pytest.mark.parametrize("distances", [euclidean, modified_hausdorff])
def test_an_image_is_at_no_distance_from_itself_in_spite_of_rounding(distances):
    images = np.random.default_rng(0).random((20, 28, 28), np.float32)
    np.testing.assert_allclose(np.diag(distances(images, images)), 0, atol=0.05)


def test_a_place_does_not_matter_to_the_hausdorff_distance():
    a, b = (np.pad(image, 5) for image in (SUPPORT[0, 0], QUERY[0, 0]))
    moved = np.roll(a, (3, -2), axis=(0, 1))
    np.testing.assert_allclose(modified_hausdorff([a, moved], [b]), modified_hausdorff([a, a], [b]))
    assert modified_hausdorff([a], [moved]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("call, message", [
    (lambda: nearest_neighbour(SUPPORT, LABELS[:, 1:], QUERY), r"needs a label.*\(3, 4, 6, 5\) and labels \(3, 3\)"),
    (lambda: nearest_neighbour(SUPPORT[:, :0], LABELS[:, :0], QUERY), "needs a label"),
    (lambda: nearest_neighbour(SUPPORT, LABELS, QUERY[:2]), r"same tasks.*\(3, 4, 6, 5\) and \(2, 7, 6, 5\)"),
    (lambda: nearest_neighbour(SUPPORT, LABELS, QUERY[..., 1:]), "same size"),
    (lambda: modified_hausdorff(SUPPORT[0], np.zeros((1, 6, 5))), "none that is darker than half"),
])  # fmt: skip
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------------------ the published one-shot test


def errors(runs, prepare=np.asarray, distances=euclidean):
    """Per cent of wrong answers."""
    (x, y), (query_x, query_y), _ = runs
    return 100 * (nearest_neighbour(prepare(x), y, prepare(query_x), distances) != query_y).mean()


def test_nearest_pixels_on_the_twenty_runs():
    runs = load_runs(omniglot("all_runs"))
    assert errors(runs) == pytest.approx(79.25)
    assert errors(runs, centred) == pytest.approx(51.75)


def test_the_hausdorff_distance_on_the_twenty_runs():
    """38.8 % at full size, in Lake, Salakhutdinov, Tenenbaum 2015; the first three runs here, as all take several seconds."""
    runs = load_runs(omniglot("all_runs"))
    assert errors(runs, distances=modified_hausdorff) == pytest.approx(44.25)
    support, query, _ = load_runs(omniglot("all_runs"), size=105)
    first = ([a[:3] for a in support], [a[:3] for a in query], None)
    assert errors(first, distances=modified_hausdorff) == pytest.approx(100 * (9 + 7 + 8) / 60)
