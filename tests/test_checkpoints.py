"""Long runs: killed at any moment, their files damaged, the disk full; nothing may be lost, or silently wrong.

Run as a program, this file is a server from which the tests have runs forked: everything is imported once, and a run that is
killed costs a fraction of a second.
"""

import io
import itertools
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tinygrad_meta import bench, cli
from tinygrad_meta.meta import checkpoint, plots
from tinygrad_meta.meta.checkpoint import CheckpointError, Checkpoints
from tinygrad_meta.meta.experiment import Experiment

RUN = ["--iterations", "200", "--tasks", "2", "--shots", "3", "--test-tasks", "30", "--hidden", "4", "--checkpoint-every", "3"]


# ------------------------------------------------------------------------------------------- runs in another process


class Server:
    """Runs ``python -m tinygrad_meta maml`` in forks of a process that has imported everything, and kills them."""

    def __enter__(self):
        environment = os.environ | bench.ONE_THREAD | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def run(self, words, delay=None, fault=None):
        """The exit code of a run, minus 9 if it was killed: after a delay in seconds, or by a fault (see ``plant``)."""
        print(json.dumps([[str(word) for word in words], delay, fault]), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def serve():
    without_pictures(setattr)
    for line in sys.stdin:
        words, delay, fault = json.loads(line)
        child = os.fork()
        if not child:
            live(words, fault)
        if delay is not None:
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def without_pictures(setattr):
    """Plotting takes longer than a run; one test has real pictures."""
    for name in ("plot_errors", "plot_predictions"):
        setattr(plots, name, lambda file, *_: file.write(b"picture"))


def live(words, fault):
    """A run; what it prints goes to a file in its folder."""
    folder = Path(words[words.index("--output") + 1])
    folder.mkdir(exist_ok=True)
    printed = os.open(folder / "printed", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(printed, stream)
    if fault:
        plant(*fault)
    try:
        cli.main(["maml", *words])
    except SystemExit as exit:
        sys.stdout.flush()
        os._exit(exit.code or 0)
    except BaseException:  # noqa: BLE001  which must not lead back into the server
        import traceback

        traceback.print_exc()
        os._exit(99)


def plant(name, when, nth):
    """Make the nth call of a function that checkpoints are written with the last thing that happens."""
    original, calls = (open if name == "open" else getattr(os, name)), []

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    class Torn(io.FileIO):
        def write(self, content):
            super().write(content[: len(content) // 2])
            die()

    def deadly(*args, **options):
        calls.append(args)
        if len(calls) == nth and when == "before":
            die()
        if len(calls) == nth and when == "half":
            return Torn(args[0], "w")
        result = original(*args, **options)
        if len(calls) == nth and when == "after":
            die()
        return result

    if name == "open":
        checkpoint.open = deadly
    else:
        setattr(os, name, deadly)


FAULTS = [("open", "before"), ("open", "after"), ("open", "half"), ("fsync", "before"), ("fsync", "after"),
          ("replace", "before"), ("replace", "after"), ("unlink", "before"), ("unlink", "after")]


def outcome(folder):
    """All that a finished run has to say, but for the time that it took."""
    results = json.loads((folder / "results.json").read_text())
    del results["seconds"]
    printed = (folder / "printed").read_text()
    (_, arrays, facts), *_ = Checkpoints(folder).find()[0]
    return results, printed[printed.index("Mean squared") : printed.index(" seconds. ") - 3], exactly(arrays), facts


def exactly(arrays):
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}


def kill_and_resume(server, folder, deaths, expected):
    """Let a run die again and again, finish it, and compare it with one that was left alone.

    Returns how often it died, and a sentence about whatever was lost or is different.
    """
    reached, died = 0, 0
    for delay, fault in [*deaths, (None, None)]:
        goes_on = ["--resume"] if list(folder.glob("checkpoint-*.npz")) else []
        code = server.run([*RUN, "--output", folder, *goes_on], delay, fault)
        if code == 0:
            break
        if code != -signal.SIGKILL:
            return died, f"exit code {code}: {(folder / 'printed').read_text()}"
        died += 1
        whole, damaged = Checkpoints(folder).find()
        latest = whole[0][2]["iteration"] if whole else 0
        if damaged or latest < reached:
            return died, f"after {(delay, fault)}: {damaged}, iteration {latest} after {reached}"
        reached = latest
    return died, "" if outcome(folder) == expected else f"other results after {deaths}"


def random_deaths(rng, n, seconds):
    """Half at random moments of so many seconds, half at the calls that write a checkpoint, in random order."""
    kinds = [(rng.uniform(0, seconds), None) if i % 2 else (None, (*FAULTS[i // 2 % len(FAULTS)], rng.randrange(1, 9)))
             for i in range(n)]
    return rng.sample(kinds, n)


def killed(server, folder, n, rng, progress=lambda n: None):
    """Kill runs n times, each until it has had its ten deaths or is done: how often, and what went wrong."""
    done, complaints, start = 0, [], time.perf_counter()
    assert server.run([*RUN, "--output", folder / "finished"]) == 0
    seconds, expected = time.perf_counter() - start, outcome(folder / "finished")
    for run in itertools.count():
        if done >= n:
            break
        deaths = random_deaths(rng, min(10, n - done), seconds / 3)
        died, complaint = kill_and_resume(server, folder / f"run {run}", deaths, expected)
        complaints += [complaint] * bool(complaint)
        done += died
        progress(died)
    return done, complaints


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def finished(server, tmp_path_factory):
    """The folder of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("finished")
    assert server.run([*RUN, "--output", folder]) == 0
    return folder


def test_runs_killed_at_random_moments_and_in_the_middle_of_writing_end_as_if_nothing_had_happened(server, tmp_path):
    died, complaints = killed(server, tmp_path, 9, random.Random(0))
    assert died == 9 and not complaints


def test_ctrl_c_reports_and_the_run_goes_on_to_the_same_results(server, finished, tmp_path):
    heed = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, "-m", "tinygrad_meta", *RUN, "--output", str(tmp_path)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": os.environ | bench.ONE_THREAD}
    with subprocess.Popen([sys.executable, "-c", heed, *words], **options) as process:
        while not list(tmp_path.glob("checkpoint-*.npz")):
            time.sleep(0.01)
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate()
    assert process.returncode == 0 and "Traceback" not in errors
    (_, _, facts), *_ = Checkpoints(tmp_path).find()[0]
    done = facts["iteration"]
    assert f"Stopped after {done} of 200 iterations" in printed and "--resume goes on" in printed and "±" in printed
    assert 0 < done == json.loads((tmp_path / "results.json").read_text())["iterations"] < 200
    assert (tmp_path / "predictions.png").exists()
    assert server.run([*RUN, "--output", tmp_path, "--resume"]) == 0
    assert f"Going on after iteration {done}.\n" in (tmp_path / "printed").read_text()
    assert outcome(tmp_path) == outcome(finished)


def test_a_finished_run_reports_again(server, finished, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("results.json", "printed"))
    assert server.run([*RUN, "--output", folder, "--resume"]) == 0
    assert outcome(folder) == outcome(finished)


# ----------------------------------------------------------------------------------------------- runs in this process


def configuration(folder, words=()):
    words = ["maml", *RUN, "--output", folder, *words]
    return cli.parsers()[0].parse_args([str(word) for word in words])


def trained(folder, iterations, words=(), every=1000):
    """An experiment after some iterations."""
    experiment = Experiment(configuration(folder, words))

    def progress(loss):
        if experiment.iterations % every == 0:
            experiment.save()
        if experiment.iterations == iterations:
            raise KeyboardInterrupt

    if iterations:
        experiment.train(progress)
    return experiment


def resumed(folder, words=()):
    experiment = Experiment(configuration(folder, words))
    experiment.resume()
    return experiment


@pytest.mark.parametrize("words, stops", [
    (["--clip", "0.5"], [1, 49, 50, 51, 100]), (["--dtype", "float64"], [30]), (["--eager", "--first-order"], [7]),
])  # fmt: skip
def test_a_training_goes_on_bit_for_bit(words, stops, tmp_path):
    words, losses = [*words, "--iterations", "120"], []
    whole = Experiment(configuration(tmp_path / "whole", words))

    def progress(loss):
        losses.append(loss)
        if whole.iterations in stops:
            whole.checkpoints = Checkpoints(tmp_path / str(whole.iterations))
            whole.checkpoints.folder.mkdir()
            whole.save()

    whole.train(progress)
    for stop in stops:
        rest, experiment = [], resumed(tmp_path / str(stop), words)
        experiment.train(rest.append)
        assert rest == losses[stop:] and exactly(experiment.arrays()) == exactly(whole.arrays())


def test_ctrl_c_in_the_middle_of_an_iteration_keeps_the_one_before(tmp_path, monkeypatch):
    """When some methods have taken a step, and others have not."""
    moves, move = [], Experiment.run

    def interrupted(self, method, *rest):
        for step, each in enumerate(move(self, method, *rest), start=1):
            moves.append(method)
            if step == 50 and method == "pre-trained":
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(Experiment, "run", interrupted)
    experiment = trained(tmp_path, 100)
    assert moves.count("MAML") == 50 and moves.count("oracle") == experiment.iterations == 49
    assert exactly(experiment.arrays()) == exactly(trained(tmp_path, 49).arrays())
    experiment.save()
    assert resumed(tmp_path).state.drawn == 0


def test_a_training_can_be_interrupted_and_gone_on_with_in_one_process(tmp_path):
    experiment = trained(tmp_path, 30)
    experiment.train(lambda loss: None)
    whole = Experiment(configuration(tmp_path))
    whole.train(lambda loss: None)
    assert exactly(experiment.arrays()) == exactly(whole.arrays())


class Damage:
    """Two checkpoints in a folder, of iterations 50 and 60, and what becomes of a run whose files are damaged."""

    def __init__(self, folder):
        self.folder, self.words = folder, []
        experiment = trained(folder, 60, every=10)
        experiment.save()
        self.names = ["checkpoint-50.npz", "checkpoint-60.npz"]
        self.originals = [(folder / name).read_bytes() for name in self.names]
        self.arrays = {facts["iteration"]: exactly(arrays) for _, arrays, facts in Checkpoints(folder).find()[0]}

    def try_out(self, older, newer, words=()):
        """What is wrong with going on when the two files have these contents: nothing, or the sentence that says so."""
        for name, content in zip(self.names, (older, newer), strict=True):
            (self.folder / name).write_bytes(content)
        untouched = [content in self.originals for content in (older, newer)]
        experiment = Experiment(configuration(self.folder, words))
        try:
            passed_over = experiment.resume()
        except CheckpointError as error:
            return str(error) if any(untouched) and not words else check_sentence(error)
        except Exception as error:  # noqa: BLE001  where only a sentence should be
            return repr(error)
        complaints = [check_sentence(error) for error in passed_over]
        if exactly(experiment.arrays()) != self.arrays.get(experiment.iterations):
            return f"other numbers at iteration {experiment.iterations}"
        if experiment.iterations != (60 if self.originals[1] in (older, newer) else experiment.iterations):
            return f"the latest whole checkpoint is that of iteration 60, and it went on from {experiment.iterations}"
        if experiment.iterations == 50 and not passed_over and older != newer:
            return "the newer one was passed over in silence"
        return "".join(complaints)


def check_sentence(error):
    text = str(error)
    one = "checkpoint" in text and "\n" not in text and len(text) < 400
    return "" if one else f"no sentence: {text}"


def damaged(content, n, rng):
    """Ways to damage a file."""
    for i in range(n):
        yield "truncated", content[: len(content) * i // n]
        place = len(content) * i // n + rng.randrange(len(content) // n)
        yield "a byte", content[:place] + bytes([content[place] ^ rng.randrange(1, 256)]) + content[place + 1 :]
        yield "a page", content[:place] + rng.randbytes(min(512, len(content) - place)) + content[place + 512 :]
    for start in (b"", content[:4], content[:60]):
        yield "garbage", start + rng.randbytes(3000)
        yield "garbage with an end", start + rng.randbytes(3000) + content[-22:]
    yield "longer", content + rng.randbytes(100)
    yield "twice", content + content
    yield "zeros", bytes(len(content))


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy_header(shape, dtype="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


class Opened:
    """What a pickle may do when it is loaded."""

    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was loaded')",)


def hostile(content):
    """Files that somebody made, and a word of the sentence about each."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    fact = entries["checkpoint.npy"].replace(b'"drawn": 50', b'"drawn": 49')
    declared = len(entries["MAML.npy"])
    at = content.rindex(b"MAML.npy") - 46 + 20  # where the directory at the end has its two sizes
    sizes = declared.to_bytes(4, "little")
    assert content[at : at + 8] == 2 * sizes
    return {
        "a number changed": (zipped(entries | {"MAML.npy": entries["MAML.npy"][:-1] + b"!"}), "checksum is another one"),
        "a fact changed": (zipped(entries | {"checkpoint.npy": fact}), "checksum is another one"),
        "a compressed bomb": (zipped({"MAML.npy": bytes(10**8)}, zipfile.ZIP_DEFLATED), "not compressed"),
        "a stored bomb": (content[:at] + 2 * (2**31).to_bytes(4, "little") + content[at + 8 :], "too large"),
        "a header that asks for 4 terabytes": (zipped({"checkpoint.npy": npy_header((10**12,))}), "corrupt"),
        "a header that is no header": (zipped({"checkpoint.npy": b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16}), "corrupt"),
        "a pickle in an array": (npz(checkpoint=np.array([Opened()], object)), "pickled"),
        "a pickle": (pickle.dumps(Opened()), "not a checkpoint"),
        "a pickle in an archive": (zipped({"checkpoint.npy": pickle.dumps(Opened())}), "corrupt"),
        "somebody's arrays": (npz(x=np.arange(3)), "holds no 'checkpoint'"),
        "deep JSON": (npz(checkpoint=np.frombuffer(b"[" * 10**5, np.uint8)), "corrupt"),
        "JSON of another kind": (npz(checkpoint=np.frombuffer(b"[1, 2]", np.uint8)), "corrupt"),
        "an empty file": (b"", "empty"),
    }


@pytest.fixture(scope="module")
def damage(tmp_path_factory):
    return Damage(tmp_path_factory.mktemp("damage"))


def damage_all(damage, n, rng):
    """Damage the newer file in 3 n ways and some, each beside a whole older one and beside the same damage: what went wrong."""
    older, newer = damage.originals
    for kind, content in damaged(newer, n, rng):
        yield kind, damage.try_out(older, content)
        if content not in damage.originals:
            yield f"{kind}, older file", damage.try_out(content, newer)
            yield f"{kind}, both files", damage.try_out(content, content)
    for kind, (content, _) in hostile(newer).items():
        yield kind, damage.try_out(older, content)
        yield f"{kind}, both files", damage.try_out(content, content)
    yield "swapped", damage.try_out(newer, older)
    yield "the same twice", damage.try_out(newer, newer)
    yield "the older one twice", damage.try_out(older, older)
    yield "another configuration", damage.try_out(older, newer, ["--shots", "4"])


def test_a_damaged_checkpoint_is_passed_over_or_refused(damage):
    assert [what for what in damage_all(damage, 8, random.Random(0)) if what[1]] == []


def test_the_sentence_says_what_is_wrong_and_nothing_large_is_read(damage):
    path = damage.folder / "one.npz"
    for kind, (content, word) in hostile(damage.originals[1]).items():
        path.write_bytes(content)
        tracemalloc.start()
        with pytest.raises(CheckpointError, match=word) as raised:
            checkpoint.load(path)
        assert str(raised.value).startswith(f"{path} ") and tracemalloc.get_traced_memory()[1] < 10**7, kind
        tracemalloc.stop()


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "sparse.npz", "wb") as file:
        file.truncate(checkpoint.MAX_BYTES + 1)
    with pytest.raises(CheckpointError, match="too large: 4,294,967,297 bytes"):
        checkpoint.load(tmp_path / "sparse.npz")


def test_another_version_of_the_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 1)  # whose sums were averages
    checkpoint.save(tmp_path / "a.npz", {}, {})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="a.npz is of format 1, and this version reads format 2$"):
        checkpoint.load(tmp_path / "a.npz")


def test_the_checksum_is_over_names_types_shapes_bytes_and_facts():
    arrays, facts = {"a": np.zeros((2, 3), np.float32), "b": np.ones(2)}, {"n": 1}
    others = [{**arrays, "a": each} for each in (np.zeros((3, 2), np.float32), np.zeros((2, 3), np.int32), -arrays["a"])]
    others += [{"a": arrays["a"], "c": arrays["b"]}, {"a": arrays["a"]}]
    sums = [checkpoint.checksum(each, facts) for each in [arrays, *others]] + [checkpoint.checksum(arrays, {"n": 2})]
    assert len(set(sums)) == 7


@pytest.mark.parametrize("array", [np.float32([1, np.inf]), np.array([np.nan]), np.array([None]), np.array(["text"])])
def test_nothing_but_finite_numbers_is_written(array, tmp_path):
    with pytest.raises(CheckpointError, match="theta is not all finite numbers"):
        checkpoint.save(tmp_path / "a.npz", {"theta": array}, {})
    assert not list(tmp_path.iterdir())


def test_facts_are_read_as_json_holds_them(tmp_path):
    checkpoint.save(tmp_path / "a.npz", {}, {"of": {9: (1, None), 10: True}})
    assert checkpoint.load(tmp_path / "a.npz") == ({}, {"of": {"9": [1, None], "10": True}})


def test_what_could_not_be_read_is_not_written(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "a.npz", {"x": np.zeros(100)}, {})
    before = (tmp_path / "a.npz").read_bytes()
    for name in ("checkpoint", "file", "allow_pickle", "a\0b", 1):
        with pytest.raises(ValueError, match="cannot be called"):
            checkpoint.save(tmp_path / "a.npz", {name: np.zeros(2)}, {})
    monkeypatch.setattr(checkpoint, "MAX_BYTES", len(before))
    checkpoint.save(tmp_path / "a.npz", {"x": np.zeros(100)}, {})
    with pytest.raises(CheckpointError, match=f"would be too large: .* bytes, and a checkpoint has {len(before):,} at most"):
        checkpoint.save(tmp_path / "a.npz", {"x": np.zeros(101)}, {})
    assert (tmp_path / "a.npz").read_bytes() == before and checkpoint.load(tmp_path / "a.npz")[0]["x"].shape == (100,)


@pytest.mark.parametrize("before, now", [(None, 2), (2, None), (2, 2), (None, None)])
def test_another_number_of_workers_is_not_the_same_to_the_last_bit_and_that_is_said(before, now, tmp_path, capsys):
    words = ["--schedule", "constant", "--iterations", "4"]
    with ThreadPoolExecutor(2) as executor:
        cli.train_maml(Experiment(configuration(tmp_path, words)), configuration(tmp_path, words), executor if before else None,
                       before)
        config = configuration(tmp_path, [*words, "--resume", "--iterations", "6"])
        experiment = resumed(tmp_path, [*words, "--iterations", "6"])
        cli.train_maml(experiment, config, executor if now else None, now)
    said = f"Another number of workers ({before or 1} before, {now or 1} now) rounds sums differently" in capsys.readouterr().out
    assert said == (before != now) and experiment.iterations == 6


@pytest.mark.parametrize("words, sentence", [
    (["--shots", "4"], "is of another run: shots 3 there, 4 here"),
    (["--seed", "1", "--hidden", "4", "4"], "is of another run: hidden [4] there, [4, 4] here, seed 0 there, 1 here"),
    (["--iterations", "201"], "iterations 200 there, 201 here"),
    (["--first-order"], "first order False there, True here"),
    (["--schedule", "constant"], "schedule cosine there, constant here"),
])  # fmt: skip
def test_a_checkpoint_of_another_configuration_is_refused(words, sentence, damage):
    for name, content in zip(damage.names, damage.originals, strict=True):
        (damage.folder / name).write_bytes(content)
    with pytest.raises(CheckpointError) as refused:
        resumed(damage.folder, words)
    assert str(refused.value).startswith(str(damage.folder / "checkpoint-60.npz")) and sentence in str(refused.value)


@pytest.mark.parametrize("change, sentence", [
    (lambda arrays, facts: arrays.update(MAML=arrays["MAML"][:, 1:]), "holds other parameters"),
    (lambda arrays, facts: arrays.update(MAML=arrays["MAML"].astype(float)), "holds other parameters"),
    (lambda arrays, facts: arrays.pop("oracle"), "holds other parameters"),
    (lambda arrays, facts: facts.update(drawn=10), "holds other batches"),
    (lambda arrays, facts: facts.update(generator={"bit_generator": "MT19937"}), "is corrupt"),
    (lambda arrays, facts: facts.pop("configuration"), "is corrupt"),
    (lambda arrays, facts: facts.update(configuration={}), "is of another run: shots None there, 3 here"),
    (lambda arrays, facts: facts.update(iterations="many"), "does not say of which iteration"),
])  # fmt: skip
def test_a_whole_file_that_no_run_has_written_is_refused(change, sentence, tmp_path):
    trained(tmp_path, 5, ["--eager"]).save()
    arrays, facts = checkpoint.load(tmp_path / "checkpoint-5.npz")
    change(arrays, facts)
    checkpoint.save(tmp_path / "checkpoint-5.npz", arrays, facts)
    with pytest.raises(CheckpointError, match=f"checkpoint-5.npz {sentence}"):
        resumed(tmp_path, ["--eager"])


def test_a_training_with_a_constant_step_size_can_be_made_longer(tmp_path):
    constant = ["--schedule", "constant", "--iterations"]
    trained(tmp_path, 20, [*constant, "20"]).save()
    longer = resumed(tmp_path, [*constant, "30"])
    longer.train(lambda loss: None)
    assert exactly(longer.arrays()) == exactly(trained(tmp_path, 30, [*constant, "30"]).arrays())
    with pytest.raises(CheckpointError, match="is of iteration 20 already, and 10 are wanted"):
        resumed(tmp_path, [*constant, "10"])


def test_what_does_not_change_the_training_may_change(tmp_path):
    trained(tmp_path, 20).save()
    assert resumed(tmp_path, ["--test-tasks", "40", "--checkpoint-every", "7"]).iterations == 20


def test_two_checkpoints_are_kept_and_a_damaged_one_never_takes_the_place_of_a_whole_one(tmp_path):
    experiment = trained(tmp_path, 60, every=20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-40.npz", "checkpoint-60.npz"]
    (tmp_path / "checkpoint-60.npz").write_bytes(b"damaged")
    experiment = resumed(tmp_path)
    assert experiment.checkpoints.iteration == 40
    experiment.train(lambda loss: experiment.save() if experiment.iterations in (50, 60) else None)
    assert [facts["iteration"] for _, _, facts in experiment.checkpoints.find()[0]] == [60, 50]


# ---------------------------------------------------------------------------------------------- the disk, and NaN


@pytest.fixture
def maml(tmp_path, monkeypatch, capsys):
    """Run the command in this process: its exit code, what it printed, and the iterations of whole checkpoints after it."""
    for name, value in bench.ONE_THREAD.items():
        monkeypatch.setenv(name, value)
    without_pictures(monkeypatch.setattr)

    def run(*words):
        with pytest.raises(SystemExit) as exit:
            cli.main(["maml", *RUN, "--iterations", "12", "--output", str(tmp_path), *words])
        printed = capsys.readouterr()
        whole, damaged = Checkpoints(tmp_path).find()
        assert not damaged and not list(tmp_path.glob("*.part"))
        complaint = printed.err.splitlines()[-1] if exit.value.code else ""
        assert "Traceback" not in printed.err
        return exit.value.code or 0, complaint or printed.out, [facts["iteration"] for _, _, facts in whole]

    return run


def failing(original, reason, nth):
    """A function whose nth call, and all after it, fail."""
    calls = []

    def function(*args, **options):
        calls.append(args)
        if len(calls) >= nth:
            raise OSError(reason, os.strerror(reason))
        return original(*args, **options)

    return function


class Full(io.FileIO):
    """A file on a disk that has room for half of it."""

    def write(self, content):
        super().write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("fault", ["open", "write", "fsync", "replace"])
def test_a_disk_that_fills_up_leaves_the_last_checkpoint(fault, maml, tmp_path, monkeypatch):
    if fault == "write":
        opened = []
        monkeypatch.setattr(checkpoint, "open", lambda *args: (opened.append(1), (open if len(opened) < 3 else Full)(*args))[1],
                            raising=False)
    elif fault == "open":
        monkeypatch.setattr(checkpoint, "open", failing(open, 28, 3), raising=False)
    else:
        monkeypatch.setattr(os, fault, failing(getattr(os, fault), 28, 5 if fault == "fsync" else 3))
    code, complaint, whole = maml()
    assert code == 1 and whole == [6, 3]
    assert complaint == (f"python -m tinygrad_meta maml: cannot write {tmp_path / 'checkpoint-9.npz'}: No space left on device."
                         f" The last good checkpoint is {tmp_path / 'checkpoint-6.npz'}, after 6 iterations")


def test_a_disk_that_is_too_full_is_an_error_before_the_work_starts(maml, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100))
    code, complaint, whole = maml()
    assert code == 2 and not whole and "is too full: 100 bytes are free, and this run takes 1,0" in complaint


def test_a_folder_that_becomes_read_only_leaves_pictures_and_numbers_whole(maml, tmp_path, monkeypatch):
    assert maml()[0] == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(checkpoint, "open", failing(open, 13, 1), raising=False)
    code, complaint, _ = maml("--resume")
    assert code == 1 and f"cannot write {tmp_path / 'results.json'}: Permission denied. The last good checkpoint" in complaint
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for the superuser")
def test_a_read_only_folder_is_an_error_before_the_work_starts(maml, tmp_path):
    tmp_path.chmod(0o500)
    code, complaint, _ = maml()
    tmp_path.chmod(0o700)
    assert code == 2 and "cannot write to" in complaint


def test_a_loss_that_is_not_finite_stops_the_run_with_the_last_good_checkpoint(maml, tmp_path, monkeypatch):
    batches = Experiment.batches

    def poisoned(self):
        for i, batch in enumerate(batches(self), start=1):
            if i == 8:
                batch.query[1][1] = np.inf
            yield batch

    monkeypatch.setattr(Experiment, "batches", poisoned)
    code, complaint, whole = maml()
    assert code == 1 and whole == [6, 3]
    assert "MAML: the loss of iteration 8 is not finite, first in task 1 of its batch" in complaint
    assert complaint.endswith(f"The last good checkpoint is {tmp_path / 'checkpoint-6.npz'}, after 6 iterations")


def test_resuming_without_a_checkpoint_is_an_error(maml, tmp_path):
    assert maml("--resume") == (2, f"python -m tinygrad_meta maml: there is no checkpoint in {tmp_path}", [])


def test_a_new_run_says_which_one_it_replaces(maml, tmp_path):
    trained(tmp_path, 30).save()
    code, printed, whole = maml("--checkpoint-every", "6")
    assert code == 0 and whole == [12, 6]
    assert f"{tmp_path / 'checkpoint-30.npz'} is of a run that stopped after 30 of 200 iterations; this new" in printed
    assert "is of a run that stopped" not in maml()[1]


def test_files_that_somebody_else_put_there_stay(tmp_path):
    theirs = [tmp_path / name for name in ("checkpoint-1.npz.bak", "checkpoint-best.npz", "notes-checkpoint-1.npz")]
    for file in theirs:
        file.write_bytes(b"theirs")
    checkpoints = Checkpoints(tmp_path)
    for iteration in (1, 2, 3):
        checkpoints.save(iteration, 3, {"theta": np.zeros(2)}, {})
    assert {*tmp_path.iterdir()} == {*theirs, tmp_path / "checkpoint-2.npz", tmp_path / "checkpoint-3.npz"}


def test_a_damaged_checkpoint_is_mentioned(maml, tmp_path):
    maml()
    (tmp_path / "checkpoint-12.npz").write_bytes((tmp_path / "checkpoint-12.npz").read_bytes()[:-1])
    code, printed, whole = maml("--resume")
    assert code == 0 and whole == [12, 9]
    assert printed.startswith(f"Passed over: {tmp_path / 'checkpoint-12.npz'} is truncated.\nGoing on after iteration 9.\n")


# -------------------------------------------------------------------------------------------------------- the counts


def count(quick):
    """The long version, for ``python -m tests.reliability``: (what, how often, how often wrong)."""
    import tempfile

    from tqdm import tqdm

    kills, cuts = (10, 10) if quick else (100, 400)
    with tempfile.TemporaryDirectory() as folder, Server() as server, tqdm(total=kills, desc="kills") as bar:
        died, complaints = killed(server, Path(folder), kills, random.Random(1), bar.update)
    with tempfile.TemporaryDirectory() as folder:
        tried = list(tqdm(damage_all(Damage(Path(folder)), cuts, random.Random(1)), desc="damaged checkpoints"))
    wrong = [what for what in tried if what[1]]
    for what in [*complaints, *wrong]:
        print(what)
    return [("runs killed with SIGKILL and resumed bit for bit", died, len(complaints)),
            ("damaged checkpoints refused or survived", len(tried), len(wrong))]


if __name__ == "__main__":
    serve()
