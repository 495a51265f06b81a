"""The drawn alphabet: what it holds, how it is drawn, and how hard it is."""

from itertools import pairwise

import numpy as np
import pytest

from tinygrad_meta.meta.pixels import nearest_neighbour
from tinygrad_meta.tasks import ImageTasks, centred, drawn, drawn_alphabet
from tinygrad_meta.tasks.drawn import bernstein, by_hand, character, distances, ink


def test_images_are_sorted_by_character():
    images, labels = drawn_alphabet(classes=4, examples=3)
    assert images.shape == (12, 28, 28) and images.dtype == np.uint8
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_there_are_300_characters_of_20_examples_unless_it_is_said():
    images, labels = drawn_alphabet()
    assert len(images) == 6000 and np.array_equal(np.bincount(labels), np.full(300, 20))


def test_seeds():
    first, same, other = (drawn_alphabet(3, 2, rng=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    generator = np.random.default_rng(0)
    assert np.array_equal(drawn_alphabet(3, 2, generator)[0], first)
    assert not np.array_equal(drawn_alphabet(3, 2, generator)[0], first)


def test_every_drawing_is_another_and_has_ink_and_more_paper():
    images = drawn_alphabet(30, 20)[0]
    assert len(np.unique(images.reshape(600, -1), axis=0)) == 600
    share = (images / 255).mean(axis=(1, 2))
    assert share.min() > 0.02 and share.max() < 0.4 and images.max(axis=(1, 2)).min() > 200


def test_characters_fill_a_square_and_have_two_to_four_strokes():
    rng = np.random.default_rng(0)
    characters = [character(rng) for _ in range(100)]
    assert {points.shape for points in characters} == {(2, 4, 2), (3, 4, 2), (4, 4, 2)}
    for points in characters:
        assert np.abs(points).max() == pytest.approx(1) and np.ptp(points, axis=(0, 1)).max() == pytest.approx(2)


def test_a_hand_maps_a_character_linearly_and_trembles_at_every_point():
    rng, examples = np.random.default_rng(0), 1000
    points = character(rng)
    before = np.c_[points.reshape(-1, 2), np.ones(points.size // 2)]
    after = by_hand(points, examples, rng).reshape(examples, -1, 2)
    maps = np.linalg.pinv(before) @ after
    trembling = np.sqrt(((after - before @ maps) ** 2).sum() / (examples * 2 * (len(before) - 3)))
    assert trembling == pytest.approx(drawn.HALF * drawn.JITTER, rel=0.05)

    linear, shifts = maps[:, :2] / drawn.HALF, maps[:, 2] - (drawn.SIZE - 1) / 2
    turns, areas = np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 1, 1])), np.linalg.det(linear)
    slants = (linear[:, 0] * linear[:, 1]).sum(axis=1)
    for values, bound in [(shifts[:, 0], drawn.SHIFT), (shifts[:, 1], drawn.SHIFT), (turns, drawn.DEGREES),
                          (slants, drawn.SLANT), (areas - 1, 2 * drawn.GROWTH)]:
        assert abs(values.mean()) < 0.1 * bound
        assert 0.7 * bound < np.quantile(values, 0.99) < 1.5 * bound  # bounds of what is drawn, and trembling on top


def test_pens_differ_in_width():
    amounts = drawn_alphabet(50, 20)[0].mean(axis=(1, 2)).reshape(50, 20)
    assert np.median(amounts.max(axis=1) / amounts.min(axis=1)) > 2


def test_little_ink_is_lost_at_the_edge():
    images = drawn_alphabet(100, 20)[0] / 255
    inside = images[:, 1:-1, 1:-1].sum()
    assert inside > 0.98 * images.sum()


def test_a_curve_begins_and_ends_at_its_first_and_last_control_point():
    points = np.random.default_rng(0).random((4, 2))
    curve = bernstein(np.linspace(0, 1, 11)) @ points
    np.testing.assert_allclose(curve[[0, -1]], points[[0, -1]])
    np.testing.assert_allclose(curve[5], (points[0] + 3 * points[1] + 3 * points[2] + points[3]) / 8)


def test_distances_are_those_to_the_nearest_point_of_any_line():
    curves = np.random.default_rng(0).uniform(0, drawn.SIZE, (2, 3, 4, 2))
    curves[0, 0, 1] = curves[0, 0, 0]  # a line without length
    share = np.linspace(0, 1, 2001)[:, None]
    for drawing, found in zip(curves, distances(curves), strict=True):
        along = np.concatenate([start + share * (end - start) for stroke in drawing for start, end in pairwise(stroke)])
        for pixel in [(0, 0), (3, 25), (14, 14), (27, 9)]:
            assert found[pixel] == pytest.approx(np.sqrt(((along - pixel) ** 2).sum(axis=1)).min(), abs=1e-2)


@pytest.mark.parametrize("pen, expected", [
    (1.0, [0, 1, 0, 0]), (2.0, [0.5, 1, 0.5, 0]), (3.0, [1, 1, 1, 0]), (4.0, [1, 1, 1, 0.5]),
])  # fmt: skip
def test_a_line_is_as_wide_as_the_pen(pen, expected):
    row = np.linspace([14, 3], [14, 24], 4)
    image = ink(row[None, None], np.array([pen]))[0]
    np.testing.assert_allclose(image[13:17, 14], expected, atol=1e-6)


def accuracy(tasks, prepare):
    batch = tasks.sample(200, rng=1)
    (x, y), (query_x, query_y) = batch.support, batch.query
    return (nearest_neighbour(prepare(x), y, prepare(query_x)) == query_y).mean()


@pytest.mark.parametrize("seed", [0, 1])
def test_pixels_alone_do_badly_because_of_places_first_and_then_of_the_hand(seed):
    tasks = ImageTasks(*drawn_alphabet(100, 20, rng=seed))
    assert 0.45 < accuracy(tasks, np.asarray) < 0.58
    assert 0.75 < accuracy(tasks, centred) < 0.9


@pytest.mark.parametrize("sizes", [{"classes": 0}, {"examples": 0}, {"classes": 1.5}])
def test_bad_sizes_are_refused(sizes):
    [(name, value)] = sizes.items()
    with pytest.raises(ValueError, match=f"{name} must be a whole number, at least 1, and is {value}"):
        drawn_alphabet(**sizes)
