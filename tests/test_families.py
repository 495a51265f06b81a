"""The comparison of the three families: every method learns, is tested alike, and can be stopped."""

from functools import partial

import numpy as np
import pytest

import tinygrad_meta as tg
from tinygrad_meta.meta import challenge, families, plots
from tinygrad_meta.tasks import ImageTasks, drawn_alphabet
from tinygrad_meta.tree import leaves

SINE = families.sine_problem(test_tasks=100)


@pytest.fixture(scope="module")
def image_problem():
    images, labels = drawn_alphabet(60, rng=0)
    return families.image_problem(*ImageTasks(images, labels).split(0.5, 0), test_tasks=20, encoder="dense")


def scores(problem, iterations, names=None):
    """After some training: of all methods, or of some."""
    methods = {name: problem.methods[name] for name in names or problem.methods}
    return {name: score for name, _, score in families.compare(problem._replace(methods=methods), 0, iterations)}


def test_all_methods_of_the_lab_and_their_families():
    families_of = {"optimisation": ["MAML", "first-order MAML", "Meta-SGD", "ANIL", "Reptile", "iMAML"],
                   "metric": ["attention"], "model": ["hypernetwork"], "baseline": ["pre-trained", "oracle"]}
    expected = {name: family for family, names in families_of.items() for name in names}
    assert {name: method.family for name, method in SINE.methods.items()} == expected


@pytest.mark.parametrize("name", SINE.methods)
def test_every_method_learns_on_sines(name):
    before, after = (scores(SINE, iterations, [name])[name] for iterations in (1, 200))
    assert after.value < 0.95 * before.value
    assert (after.iterations, after.test_tasks) == (200, 100) and 0 < after.interval < after.value


@pytest.mark.parametrize("name", ["MAML", "ANIL", "matching", "prototypes", "hypernetwork"])
def test_methods_learn_on_images(image_problem, name):
    before, after = (scores(image_problem, iterations, [name])[name] for iterations in (1, 150))
    assert after.value > before.value + 0.05


def test_only_gradients_need_gradients(image_problem):
    """A learner that says it takes no gradient works where none can be taken."""
    for problem in (SINE, image_problem):
        for method in problem.methods.values():
            task = families.part(method.sees(problem.test), 0, 1)
            params = tg.tree.tree_map(lambda p: p.detach(), method.params)
            answer = partial(method.learner, params, task.support)
            with tg.no_grad():
                if method.gradient_steps:
                    with pytest.raises(ValueError, match="no gradient"):
                        answer()
                else:
                    answer()(task.query[0])


def test_the_oracle_sees_what_others_do_not():
    shown = [method.sees(SINE.test).query[0].shape[-1] for method in SINE.methods.values()]
    assert shown == [1] * 9 + [3]


def test_all_methods_with_the_same_network_start_from_the_same_parameters():
    starts = [np.concatenate([np.ravel(p.data) for p in leaves(SINE.methods[name].params)])
              for name in ("MAML", "first-order MAML", "ANIL", "Reptile", "iMAML", "pre-trained")]
    assert all(np.array_equal(start, starts[0]) for start in starts)


def test_the_same_seed_gives_the_same_numbers():
    first, again = (scores(families.sine_problem(50, seed=3), 20, ["MAML", "hypernetwork"]) for _ in range(2))
    assert [s.value for s in first.values()] == [s.value for s in again.values()]


def test_training_ends_with_its_time():
    method = SINE.methods["MAML"]
    batches = families.batches_of(SINE.sample, 5, 10, np.random.default_rng(0))
    assert 0 < len(list(families.train_for(method, batches, seconds=0.5))) < 20_000


def test_interrupted_training_still_scores_what_there_is():
    def stop(name, share, loss):
        if name == "Meta-SGD" and share > 0.5:
            raise KeyboardInterrupt

    found = {name: score for name, _, score in families.compare(SINE, 0, 10, progress=stop)}
    assert {name: score.iterations for name, score in found.items()} == {"MAML": 10, "first-order MAML": 10, "Meta-SGD": 6}


def test_batches_drawn_at_once_are_cut_up_in_order():
    many = SINE.sample(6, np.random.default_rng(5))
    batches = families.batches_of(SINE.sample, 2, 3, np.random.default_rng(5))
    for start in (0, 2, 4):
        assert np.array_equal(next(batches).query[1], many.query[1][start : start + 2])


# ------------------------------------------------------------------------------------------------------- the challenge


def test_the_challenge_network_learns_and_answers_every_question():
    images, labels = drawn_alphabet(40, examples=4, rng=1)
    runs = ImageTasks(*drawn_alphabet(20, examples=2, rng=2)).sample(3, 20, 1, 1, rng=0)
    run = challenge.train_embedding(images, labels, seconds=0, iterations=8, rng=0)
    losses = []
    for params, loss in run:
        losses.append(loss)
    assert len(losses) == 8 and losses[-1] < losses[0]
    answers = challenge.answers(params, runs)
    assert answers.shape == (3, 20) and (answers != runs.query[1]).mean() < 0.6  # guessing: 0.95


def test_answers_do_not_depend_on_other_questions():
    params = challenge.init_embedding(0)
    runs = ImageTasks(*drawn_alphabet(20, examples=2, rng=2)).sample(1, 20, 1, 1, rng=0)
    (x, y) = runs.query
    alone = [challenge.answers(params, runs._replace(query=(x[:, i : i + 1], y[:, i : i + 1])))[0, 0] for i in range(20)]
    assert alone == challenge.answers(params, runs)[0].tolist()


# ------------------------------------------------------------------------------------------------------------ pictures


def test_pictures(tmp_path, image_problem):
    found = scores(image_problem._replace(test=families.part(image_problem.test, 0, 5)), 1, ["MAML", "matching"])
    plots.plot_comparison(tmp_path / "a.png", found, "accuracy")
    task = families.part(image_problem.test, 0, 1)
    plots.plot_episode(tmp_path / "b.png", task, (task.query[1][0] + 1) % 5, "all wrong")
    plots.plot_embeddings(tmp_path / "c.png", task.query[1][0], {"one": np.random.default_rng(0).normal(size=(25, 7))})
    wave = families.part(SINE.test, 0, 1)
    plots.plot_learners(tmp_path / "d.png", wave, {f"method {i}": wave.query[1] for i in range(7)})
    run = ImageTasks(*drawn_alphabet(20, examples=2, rng=2)).sample(1, 20, 1, 1, rng=0)
    plots.plot_run(tmp_path / "e.png", run, run.query[1][0][::-1], "mistakes")
    plots.plot_episode(tmp_path / "f.png", run, run.query[1][0], "twenty classes")
    plots.plot_embeddings(tmp_path / "g.png", np.arange(20), {"one": np.random.default_rng(0).normal(size=(20, 7))})
    for name in "abcdefg":
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000
