"""Tasks made of labelled images, tested as a distribution, and what is done to images before."""

from itertools import combinations, permutations

import numpy as np
import pytest

from tinygrad_meta.tasks import ImageTasks, centred, distort, rotated
from tinygrad_meta.tasks.images import draw_without_repetition, resampled

CLASSES, EXAMPLES = 7, 6
COUNT = CLASSES * EXAMPLES
LABELS = np.random.default_rng(0).permutation(np.repeat(list("abcdefg"), EXAMPLES))


def numbered(count=COUNT):
    """Images that can be told apart: the one at i has i / count everywhere."""
    return np.broadcast_to(np.arange(count)[:, None, None] / count, (count, 4, 5))


def numbers(x, count=COUNT):
    return np.rint(x[..., 0, 0] * count).astype(int)


TASKS = ImageTasks(numbered(), LABELS)
BATCH = TASKS.sample(n_tasks=4000, ways=3, shots=2, queries=3, rng=0)


def assert_equally_frequent(outcomes, possible):
    """A chi-squared test whose bound is four standard deviations above what equal frequencies give."""
    counts = np.bincount(outcomes, minlength=possible)
    expected = len(outcomes) / possible
    assert len(counts) == possible
    assert ((counts - expected) ** 2 / expected).sum() < possible - 1 + 4 * np.sqrt(2 * (possible - 1))


# ------------------------------------------------------------------------------------------------------- sampling


def test_shapes_and_dtypes():
    for (x, y), points in ((BATCH.support, 6), (BATCH.query, 9)):
        assert x.shape == (4000, points, 4, 5) and x.dtype == np.float32
        assert y.shape == (4000, points) and y.dtype == np.int64
    assert BATCH.classes.shape == (4000, 3)


def test_points_are_sorted_by_label():
    assert (BATCH.support[1] == [0, 0, 1, 1, 2, 2]).all() and (BATCH.query[1] == [0, 0, 0, 1, 1, 1, 2, 2, 2]).all()


def test_every_image_is_of_the_class_that_its_label_stands_for():
    for x, y in (BATCH.support, BATCH.query):
        classes = np.array(TASKS.classes)[np.take_along_axis(BATCH.classes, y, axis=1)]
        assert (LABELS[numbers(x)] == classes).all()


def test_nothing_is_repeated_within_a_task():
    points = np.sort(np.concatenate([numbers(BATCH.support[0]), numbers(BATCH.query[0])], axis=1))
    assert (np.diff(points) > 0).all() and (np.diff(np.sort(BATCH.classes)) > 0).all()


def test_every_class_is_equally_likely_under_every_label():
    for label in range(3):
        assert_equally_frequent(BATCH.classes[:, label], CLASSES)


def test_every_combination_of_classes_is_equally_likely():
    number = {triple: i for i, triple in enumerate(combinations(range(CLASSES), 3))}
    assert_equally_frequent([number[tuple(sorted(classes))] for classes in BATCH.classes.tolist()], len(number))


def test_every_example_is_equally_likely_at_every_place():
    for x, _ in (BATCH.support, BATCH.query):
        for point in range(x.shape[1]):
            assert_equally_frequent(numbers(x)[:, point], COUNT)


def test_tasks_are_independent_of_each_other():
    pairs = BATCH.classes[::2, 0] * CLASSES + BATCH.classes[1::2, 0]
    assert_equally_frequent(pairs, CLASSES**2)


@pytest.mark.parametrize("below, size", [(4, 3), (4, 4), (6, 2)])
def test_numbers_drawn_without_repetition_come_in_every_order_equally_often(below, size):
    number = {order: i for i, order in enumerate(permutations(range(below), size))}
    rows = draw_without_repetition(np.random.default_rng(1), np.full(300 * len(number), below), size)
    assert_equally_frequent([number[tuple(row)] for row in rows.tolist()], len(number))


def test_each_row_is_drawn_below_a_bound_of_its_own():
    below = np.tile([3, 5, 100], (200, 1))
    drawn = draw_without_repetition(np.random.default_rng(0), below, 3)
    assert drawn.shape == (200, 3, 3) and (drawn.max(axis=(0, 2)) == [2, 4, 99]).all() and (np.diff(np.sort(drawn)) > 0).all()


def test_seeds():
    same, other = (TASKS.sample(4000, 3, 2, 3, rng=seed) for seed in (0, 1))
    assert np.array_equal(same.support[0], BATCH.support[0]) and np.array_equal(same.query[0], BATCH.query[0])
    assert not np.array_equal(other.query[0], BATCH.query[0])
    generator = np.random.default_rng(0)
    first, second = (TASKS.sample(4000, 3, 2, 3, generator) for _ in range(2))
    assert np.array_equal(first.query[0], BATCH.query[0]) and not np.array_equal(first.query[0], second.query[0])


def test_the_defaults_are_five_ways_one_shot_and_fifteen_queries_of_each_class():
    batch = ImageTasks(numbered(320), np.arange(320) % 20).sample(2, rng=0)
    assert batch.support[1].shape == (2, 5) and batch.query[1].shape == (2, 75)


def test_all_examples_of_all_classes_can_be_used_and_classes_may_differ_in_size():
    labels = list("aaabbbb")
    batch = ImageTasks(numbered(7), labels).sample(500, ways=2, shots=1, queries=2, rng=0)
    used = np.concatenate([numbers(batch.support[0], 7), numbers(batch.query[0], 7)], axis=1)
    assert np.array_equal(np.unique(used), np.arange(7)) and all({0, 1, 2} <= set(row) for row in used.tolist())


@pytest.mark.parametrize("images, expected", [
    (np.array([[[0, 51], [255, 102]]], np.uint8), [[0, 0.2], [1, 0.4]]),
    (np.array([[[True, False], [False, True]]]), [[1, 0], [0, 1]]),
    (np.array([[[0, 0.25], [0.5, 1]]]), [[0, 0.25], [0.5, 1]]),
], ids=["uint8", "bool", "float64"])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_come_out_as_numbers_from_0_to_1(images, expected, dtype):
    (x, _), _, _ = ImageTasks(images.repeat(2, axis=0), [0, 0], dtype).sample(1, ways=1, shots=1, queries=1, rng=0)
    assert x.dtype == dtype and np.array_equal(x[0, 0], np.array(expected, dtype))


@pytest.mark.parametrize("labels", [["a", "b", "a", "b"], [("a", 0), ("a", 90)] * 2, [3, None] * 2, np.array([7, 5, 7, 5])])
def test_labels_are_anything_hashable(labels):
    tasks = ImageTasks(numbered(4), labels)
    assert tasks.classes == list(labels[:2]) and tasks.labels == list(labels)
    assert set(numbers(tasks.sample(1, 2, 1, 1, rng=0).support[0], 4).ravel() % 2) == {0, 1}


# --------------------------------------------------------------------------------------------------------- groups


def grouped(sizes):
    """Tasks whose groups have the given numbers of classes, two examples each; a class is (group, number)."""
    labels = [(group, i) for group, size in enumerate(sizes) for i in range(size)] * 2
    return ImageTasks(numbered(len(labels)), labels, groups=[group for group, _ in labels])


def test_the_classes_of_a_task_come_from_one_group_and_all_classes_are_equally_likely():
    tasks = grouped([3, 6, 4])
    batch = tasks.sample(4000, ways=3, shots=1, queries=1, rng=0)
    groups = np.array([group for group, _ in tasks.classes])[batch.classes]
    assert (groups == groups[:, :1]).all()
    for label in range(3):
        assert_equally_frequent(batch.classes[:, label], 13)


def test_groups_with_too_few_classes_are_not_used():
    tasks = grouped([3, 6, 4])
    batch = tasks.sample(200, ways=4, shots=1, queries=1, rng=0)
    assert {tasks.classes[i][0] for i in batch.classes.ravel()} == {1, 2}


def test_groups_that_are_not_used_may_have_classes_of_few_images():
    tasks = ImageTasks(numbered(7), list("abbccdd"), groups=[0, 1, 1, 1, 1, 1, 1])
    assert set(tasks.sample(50, ways=3, shots=1, queries=1, rng=0).classes.ravel()) == {1, 2, 3}
    with pytest.raises(ValueError, match="need 3 examples of every class, and 'b' has 2"):
        tasks.sample(1, ways=3, shots=2, queries=1)


def test_images_are_copied():
    images = np.zeros((4, 2, 2), np.uint8)
    tasks = ImageTasks(images, list("aabb"))
    images[:] = 255
    assert not tasks.sample(1, ways=2, shots=1, queries=1).support[0].any()


# ---------------------------------------------------------------------------------------------------------- split


def test_a_split_shares_no_class_and_loses_no_image():
    for held_out, size in ((0.3, 2), (0.5, 4), (["b", "e"], 2), ({"g"}, 1)):
        train, test = TASKS.split(held_out, rng=0)
        assert len(test.classes) == size and not set(train.classes) & set(test.classes)
        assert sorted(train.classes + test.classes) == list("abcdefg")
        both = np.concatenate([numbers(part.images) for part in (train, test)])
        assert np.array_equal(np.sort(both), np.arange(COUNT))
        assert (LABELS[both] == train.labels + test.labels).all()


def test_a_split_by_names_holds_out_those_and_one_by_share_depends_on_the_seed():
    assert set(TASKS.split(["c", "a"])[1].classes) == {"a", "c"}
    drawn = [frozenset(TASKS.split(0.4, rng=seed)[1].classes) for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1] and len(set(drawn)) > 1


@pytest.mark.parametrize("kind", [bool, np.bool_])
def test_a_split_by_labels_that_are_booleans_is_no_mask(kind):
    _, test = ImageTasks(numbered(4), [kind(i % 2) for i in range(4)]).split([np.True_])
    assert test.classes == [True]


def test_a_split_keeps_dtype_and_groups():
    tasks = ImageTasks(numbered(), LABELS, np.float64, groups=[label in "aei" for label in LABELS])
    train, _ = tasks.split(["b"])
    assert train.dtype == np.float64 and train.groups == [label == "e" or label == "a" for label in train.labels]


# ---------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("call, message", [
    (lambda: ImageTasks(numbered()[0], LABELS), r"\(count, height, width\).*\(4, 5\)"),
    (lambda: ImageTasks(numbered(), LABELS[1:]), "41 labels for 42 images"),
    (lambda: ImageTasks(numbered(), LABELS, groups="ab"), "2 groups for 42 images"),
    (lambda: ImageTasks(numbered(), LABELS, groups=range(COUNT)), "must be in one group"),
    (lambda: ImageTasks(2 * numbered(), LABELS), r"between 0 \(paper\) and 1 \(ink\), and run from 0.0 to 1.9"),
    (lambda: ImageTasks(-numbered(), LABELS), "run from -0.9"),
    (lambda: ImageTasks(np.full((1, 2, 2), np.nan), [0]), "nan"),
    (lambda: ImageTasks(np.eye(2, dtype=np.uint8)[None], [0]), "convert them to bool"),
    (lambda: TASKS.sample(1, ways=8, queries=1), "8-way tasks need 8 classes, and there are 7"),
    (lambda: grouped([2, 3]).sample(1, ways=4, shots=1, queries=1), "4-way .* there are 3 in the largest group"),
    (lambda: ImageTasks(numbered(0), []).sample(1), "there are 0"),
    (lambda: ImageTasks(numbered(3), list("aba")).sample(1, 2, 1, 1), "need 2 examples of every class, and 'b' has 1"),
    (lambda: TASKS.sample(0), "n_tasks.*0"),
    (lambda: TASKS.sample(1, ways=2.5), "ways.*2.5"),
    (lambda: TASKS.sample(1, shots=0), "shots.*0"),
    (lambda: TASKS.sample(1, queries=-1), "queries.*-1"),
    (lambda: TASKS.split(["a", "z"]), "no class 'z'"),
    (lambda: TASKS.split(list("abcdefg")), "both parts need"),
    (lambda: TASKS.split([]), "both parts need"),
    (lambda: TASKS.split(1.5), "held_out is 1.5"),
    (lambda: TASKS.split(0.01), "held_out is 0.01"),
    (lambda: rotated(np.zeros((2, 3, 4)), [0, 1]), r"\(count, size, size\).*\(2, 3, 4\)"),
    (lambda: rotated(np.zeros((2, 3, 3)), [0]), "1 labels for 2 images"),
    (lambda: centred(np.zeros(3)), r"height and a width.*\(3,\)"),
    (lambda: distort(np.zeros((3, 3)), scale=1), "scale.*1"),
])  # fmt: skip
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call, message", [
    (lambda: ImageTasks(numbered(), LABELS, dtype=int), "int64"),
    (lambda: ImageTasks(np.zeros((1, 2, 2), int), [0]), "int64"),
    (lambda: ImageTasks(numbered(2), [[0], [1]]), "labels must be one value per image.*list"),
    (lambda: ImageTasks(numbered(2), np.zeros((2, 2))), "labels must be one value per image"),
    (lambda: TASKS.split("ab"), "held_out must be a share.*of type str"),
    (lambda: ImageTasks(numbered(3), [0, 1, 2]).split(np.array([True, False, True])), "held_out.*looks like a mask"),
    (lambda: ImageTasks(numbered(3), [0, 1, 2]).split(list(np.array([True, False, True]))), "held_out.*looks like a mask"),
    (lambda: TASKS.split(np.array(0.2)), "held_out must be a share.*of type ndarray"),
])  # fmt: skip
def test_bad_types_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


# ------------------------------------------------------------------------------- images turned, centred and distorted


def test_rotated_makes_four_classes_of_one():
    images, labels = rotated(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.array(["a", "b"]))
    assert images.dtype == np.uint8
    assert labels == [("a", 0), ("b", 0), ("a", 90), ("b", 90), ("a", 180), ("b", 180), ("a", 270), ("b", 270)]
    assert images[::2].tolist() == [[[0, 1], [2, 3]], [[1, 3], [0, 2]], [[3, 2], [1, 0]], [[2, 0], [3, 1]]]


def blot(rng, shape=(12, 15)):
    """Ink in a few pixels near the middle."""
    image = np.zeros(shape)
    image[4:8, 5:10] = rng.random((4, 5))
    return image


def centre_of_mass(image):
    return [(image * place).sum() / image.sum() for place in np.indices(image.shape)]


def test_centred_moves_the_centre_of_mass_to_the_middle():
    rng = np.random.default_rng(0)
    images = np.array([np.roll(blot(rng), shift, axis=(0, 1)) for shift in [(0, 0), (-2, 3), (3, -4), (1, 1)]])
    for image in centred(images):
        np.testing.assert_allclose(centre_of_mass(image), [5.5, 7], atol=1e-12)
    np.testing.assert_allclose(centred(images).sum(axis=(1, 2)), images.sum(axis=(1, 2)))


def test_centred_images_no_longer_say_where_they_were():
    image = blot(np.random.default_rng(0))
    np.testing.assert_allclose(centred(np.roll(image, (3, -2), axis=(0, 1))), centred(image), atol=1e-12)


def test_blank_images_stay_blank_and_what_leaves_the_image_is_lost():
    assert not centred(np.zeros((2, 3, 3))).any()
    np.testing.assert_array_equal(resampled(np.eye(3), np.eye(2), np.array([1.0, 0.0])), np.eye(3, k=1))
    assert not resampled(np.ones((3, 3)), np.eye(2), np.array([0.0, 1e9])).any()


def slowly_resampled(image, matrix, offset):
    """Bilinear interpolation, one pixel at a time."""
    middle, result = (np.array(image.shape) - 1) / 2, np.zeros_like(image)
    for p in np.ndindex(image.shape):
        place = matrix @ (p - middle) + offset + middle
        for q in np.ndindex(image.shape):
            result[p] += image[q] * np.prod(np.maximum(0, 1 - np.abs(place - q)))
    return result


def test_resampled_interpolates_between_four_pixels():
    rng = np.random.default_rng(0)
    images, matrices, offsets = rng.random((70, 5, 6)), rng.normal(size=(70, 2, 2)), rng.normal(size=(70, 2))
    expected = [slowly_resampled(*each) for each in zip(images, matrices, offsets, strict=True)]
    np.testing.assert_allclose(resampled(images, matrices, offsets), expected, atol=1e-12)


def test_resampled_turns_as_rot90_does():
    images = np.random.default_rng(0).random((3, 6, 6))
    quarter = np.array([[0, 1], [-1, 0]])
    np.testing.assert_allclose(resampled(images, quarter, np.zeros(2)), np.rot90(images, axes=(1, 2)), atol=1e-12)


def test_no_distortion_is_none():
    images = np.random.default_rng(0).random((4, 3, 9, 10)).astype(np.float32)
    np.testing.assert_allclose(distort(images, 0, degrees=0, shift=0, scale=0, shear=0), images, atol=1e-5)


NONE = {"degrees": 0, "shift": 0, "scale": 0, "shear": 0}


def moments(images):
    """Centre (row, column) and covariance of the ink, per image."""
    ink = images / images.sum(axis=(1, 2), keepdims=True)
    places = np.indices(images.shape[1:]).reshape(2, -1).T
    weights = ink.reshape(len(images), -1)
    centres = weights @ places
    return centres, np.einsum("np,pi,pj->nij", weights, places, places) - centres[:, :, None] * centres[:, None]


def bar():
    image = np.zeros((31, 31))
    image[14:17, 5:26] = 1
    return np.repeat(image[None], 2000, axis=0)


def test_shifts_are_uniform_in_both_directions():
    centres, _ = moments(distort(bar(), 0, **NONE | {"shift": 3}))
    for shifts in (centres - 15).T:
        assert np.abs(shifts).max() <= 3 + 1e-9
        np.testing.assert_allclose(np.quantile(shifts, [0.01, 0.25, 0.5, 0.75, 0.99]), [-2.94, -1.5, 0, 1.5, 2.94], atol=0.3)
    assert abs(np.corrcoef(centres.T)[0, 1]) < 0.2


def test_turns_are_uniform():
    _, covariance = moments(distort(bar(), 0, **NONE | {"degrees": 30}))
    angles = np.degrees(np.arctan2(2 * covariance[:, 0, 1], covariance[:, 1, 1] - covariance[:, 0, 0]) / 2)
    assert np.abs(angles).max() < 30.5
    np.testing.assert_allclose(np.quantile(angles, [0.01, 0.25, 0.5, 0.75, 0.99]), [-29.4, -15, 0, 15, 29.4], atol=3)


def test_sizes_are_uniform():
    _, covariance = moments(distort(bar(), 0, **NONE | {"scale": 0.2}))
    sizes = np.sqrt(covariance[:, 1, 1] / moments(bar()[:1])[1][0, 1, 1])
    np.testing.assert_allclose(np.quantile(sizes, [0, 0.25, 0.5, 0.75, 1]), [0.8, 0.9, 1, 1.1, 1.2], atol=0.03)


def test_slants_are_uniform():
    upright = bar().swapaxes(1, 2)
    _, covariance = moments(distort(upright, 0, **NONE | {"shear": 0.3}))
    slants = covariance[:, 0, 1] / covariance[:, 0, 0]
    assert np.ptp(np.sqrt(covariance[:, 0, 0])) < 0.5  # it stays as high as it was
    np.testing.assert_allclose(np.quantile(slants, [0, 0.25, 0.5, 0.75, 1]), [-0.3, -0.15, 0, 0.15, 0.3], atol=0.03)


def test_distortions_differ_between_images_and_between_seeds_and_keep_float32():
    images = np.random.default_rng(0).random((2, 3, 9, 9)).astype(np.float32)
    images[:] = images[0, 0]
    distorted = distort(images, 0)
    assert distorted.dtype == np.float32 and distorted.min() >= 0 and distorted.max() <= 1
    assert len(np.unique(distorted.reshape(6, -1), axis=0)) == 6
    assert np.array_equal(distort(images, 0), distorted) and not np.array_equal(distort(images, 1), distorted)
