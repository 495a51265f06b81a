"""The distribution of sine tasks, tested as a distribution."""

import numpy as np
import pytest

from tinygrad_meta.tasks import SineTasks

BATCH = SineTasks().sample(n_tasks=4000, n_support=5, n_query=7, rng=0)


def test_shapes():
    for pair, points in ((BATCH.support, 5), (BATCH.query, 7)):
        assert [a.shape for a in pair] == [(4000, points, 1)] * 2


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [(BATCH.amplitude, 0.1, 5), (BATCH.phase, 0, np.pi), (BATCH.support[0], -5, 5), (BATCH.query[0], -5, 5)],
)
def test_everything_is_uniform_between_its_bounds(values, low, high):
    """Largest distance between the empirical and the uniform distribution function (Kolmogorov, Smirnov) at the 0.1 % level."""
    u = np.sort((values.ravel() - low) / (high - low))
    assert 0 <= u[0] and u[-1] <= 1
    assert np.abs(u - (np.arange(u.size) + 0.5) / u.size).max() < 1.95 / np.sqrt(u.size)


def test_targets_lie_on_the_tasks_wave():
    for x, y in (BATCH.support, BATCH.query):
        np.testing.assert_allclose(y, BATCH.amplitude * np.sin(BATCH.phase + x))


def test_what_is_drawn_is_independent():
    columns = [BATCH.amplitude[:, 0, 0], BATCH.phase[:, 0, 0], *BATCH.support[0][:, :2, 0].T, *BATCH.query[0][:, :2, 0].T]
    correlations = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlations).max() < 4 / np.sqrt(4000)


def test_seeds():
    again = SineTasks().sample(4000, 5, 7, rng=0)
    assert np.array_equal(again.query[1], BATCH.query[1])
    assert not np.array_equal(SineTasks().sample(4000, 5, 7, rng=1).query[1], BATCH.query[1])
    generator = np.random.default_rng(0)
    first, second = (SineTasks().sample(2, 1, 1, generator).amplitude for _ in range(2))
    assert not np.array_equal(first, second)


def test_the_family_is_given_by_six_bounds():
    batch = SineTasks(2.0, 2.0, 0.5, 0.5, 1.0, 3.0, dtype=np.float32).sample(10, 3, 0, rng=0)
    assert (batch.amplitude == 2).all() and (batch.phase == 0.5).all() and batch.query[0].shape == (10, 0, 1)
    assert batch.support[0].min() >= 1 and batch.support[0].max() <= 3 and batch.support[1].dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SineTasks(amplitude_min=2, amplitude_max=1), "amplitude_min and amplitude_max.*2 and 1"),
        (lambda: SineTasks(x_max=np.inf), "finite"),
        (lambda: SineTasks(phase_min=np.nan), "phase_min"),
        (lambda: SineTasks().sample(0, 1, 1), "n_tasks"),
        (lambda: SineTasks().sample(1, -1, 1), "n_support.*-1"),
        (lambda: SineTasks().sample(1, 1, 1.5), "n_query.*1.5"),
    ],
)
def test_bad_ranges_and_sizes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_integer_dtypes_are_refused():
    with pytest.raises(TypeError, match="int64"):
        SineTasks(dtype=int)
