"""Reading Omniglot's archives, whole and damaged ones, keeping what was read, and downloading them.

Most tests make small archives of the same form.  Those that need the real ones look for them in the folder that the variable
OMNIGLOT names.
"""

import hashlib
import http.server
import io
import os
import re
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinygrad_meta.tasks import omniglot as module
from tinygrad_meta.tasks.omniglot import download, load_omniglot, load_runs

FOLDER = Path(os.environ.get("OMNIGLOT", Path(__file__).parents[2] / "shared" / "data" / "omniglot"))


def omniglot(name):
    """The path of a real archive."""
    path = FOLDER / f"{name}.zip"
    if not path.exists():
        pytest.skip(f"needs Omniglot's {name}.zip in the folder that the variable OMNIGLOT names")
    return path


def png(ink, mode="1", kind="PNG"):
    content = io.BytesIO()
    Image.fromarray(np.where(ink, 0, 255).astype(np.uint8)).convert(mode).save(content, kind)
    return content.getvalue()


def archive(path, files, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


DRAWINGS = np.random.default_rng(0).random((6, 105, 105)) < 0.1
NAMES = ["Greek/character01/0394_01", "Greek/character01/0394_02", "Greek/character02/0395_01", "Greek/character02/0395_02",
         "Latin/character01/0683_01", "Latin/character01/0683_02"]
FILES = {f"images_tiny/{name}.png": png(ink) for name, ink in zip(NAMES, DRAWINGS, strict=True)}
LABELS = [name.rsplit("/", 1)[0] for name in NAMES]


@pytest.fixture
def tiny(tmp_path):
    """An archive of three characters, each drawn by two people, with its files in another order and others beside them."""
    others = {"images_tiny/": b"", "images_tiny/Greek/.DS_Store": b"", "__MACOSX/Greek/._0394_01.png": b""}
    return archive(tmp_path / "images_tiny.zip", others | dict(reversed(FILES.items())))


# --------------------------------------------------------------------------------------------------------- loading


def test_an_archive_is_images_and_labels_sorted_by_name(tiny):
    images, labels = load_omniglot(tiny, size=105)
    assert images.dtype == np.uint8 and np.array_equal(images, 255 * DRAWINGS)
    assert labels.tolist() == LABELS


def test_a_folder_with_the_same_files_is_the_same(tiny, tmp_path):
    with zipfile.ZipFile(tiny) as source:
        source.extractall(tmp_path)
    for folder in ("images_tiny", "images_tiny/Latin"):
        images, labels = load_omniglot(tmp_path / folder, size=105)
        expected = [i for i, name in enumerate(FILES) if name.startswith(folder)]
        assert np.array_equal(images, 255 * DRAWINGS[expected]) and labels.tolist() == [LABELS[i] for i in expected]


def test_smaller_images_are_means_over_areas(tiny):
    images, _ = load_omniglot(tiny, size=35)
    assert np.array_equal(images, np.round(255 * DRAWINGS.reshape(6, 35, 3, 35, 3).mean(axis=(2, 4))))
    images, _ = load_omniglot(tiny)
    weights = np.repeat(np.repeat(DRAWINGS, 28, axis=1), 28, axis=2).reshape(6, 28, 105, 28, 105).mean(axis=(2, 4))
    assert images.shape == (6, 28, 28) and np.array_equal(images, np.round(255 * weights))


def runs(count=2, ways=3):
    """The files of runs in which the test images are the training images in another order, and that order."""
    rng, files, orders = np.random.default_rng(1), {}, []
    for run in (f"run{i:02}" for i in range(1, count + 1)):
        order = rng.permutation(ways)
        orders.append(order)
        files[f"{run}/class_labels.txt"] = "".join(f"{run}/test/item{item + 1:02}.png {run}/training/class{answer + 1:02}.png\n"
                                                   for item, answer in enumerate(order)).encode()
        for i in range(ways):
            files[f"{run}/training/class{i + 1:02}.png"] = png(DRAWINGS[i])
            files[f"{run}/test/item{i + 1:02}.png"] = png(DRAWINGS[order[i]])
    return files, np.array(orders)


def test_runs_are_a_batch_of_tasks(tmp_path):
    files, orders = runs()
    (x, y), (query_x, query_y), classes = load_runs(archive(tmp_path / "runs.zip", files), size=105)
    assert x.dtype == np.float32 and np.array_equal(x, np.stack([DRAWINGS[:3]] * 2)) and y.tolist() == [[0, 1, 2]] * 2
    assert np.array_equal(query_y, orders) and np.array_equal(query_x, DRAWINGS[orders]) and query_y.dtype == np.int64
    assert classes[1].tolist() == ["run02/training/class01.png", "run02/training/class02.png", "run02/training/class03.png"]


def without(files, name):
    return {key: value for key, value in files.items() if key != name}


LABELS_FILE = "run01/class_labels.txt"


@pytest.mark.parametrize("change, message", [
    (lambda files: FILES, "holds no runs.*all_runs.zip"),
    (lambda files: without(files, LABELS_FILE), "run01/class_labels.txt must name"),
    (lambda files: files | {LABELS_FILE: b"run01/test/item01.png\n"}, "run01/class_labels.txt must name"),
    (lambda files: files | {LABELS_FILE: b"\xff\xfe"}, "run01/class_labels.txt must name"),
    (lambda files: without(files, "run02/training/class02.png"), "run02/class_labels.txt must name"),
    (lambda files: without(files, "run02/test/item02.png"), "no run02/test/item02.png, which run02/class_labels.txt names"),
    (lambda files: {**runs(1, 2)[0], **{k: v for k, v in files.items() if "run02" in k}}, "different numbers of classes"),
    (lambda files: files | {"run01/test/item02.png": b""}, "run01/test/item02.png is damaged"),
])  # fmt: skip
def test_incomplete_runs_are_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_runs(archive(tmp_path / "runs.zip", change(runs()[0])))


# -------------------------------------------------------------------------------------------- damaged and hostile files


DAMAGED = {
    "not a zip": (lambda path: path.write_bytes(b"<html>404</html>"), "is damaged, or no zip archive"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged, or no zip archive"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-200]), "is damaged, or no zip archive"),
    "another byte": (lambda path: path.write_bytes(path.read_bytes().replace(b"IDAT", b"IDAR", 1)), "is damaged"),
    "of something else": (lambda path: archive(path, {"readme.txt": b"hello"}), "holds no characters.*images_"),
    "of runs": (lambda path: archive(path, runs()[0]), "holds no characters"),
    "text as image": (lambda path: archive(path, FILES | {NAMES[3] + ".png": b"text"}), "0395_02.png is damaged, or no PNG"),
    "JPEG as image": (lambda path: archive(path, FILES | {NAMES[3] + ".png": png(DRAWINGS[0], "L", "JPEG")}),
                      "0395_02.png is damaged, or no PNG"),
    "half an image": (lambda path: archive(path, FILES | {NAMES[3] + ".png": png(DRAWINGS[0])[:800]}),
                      "0395_02.png is damaged"),
    "too large an image": (lambda path: archive(path, FILES | {NAMES[3] + ".png": png(np.zeros((106, 105)))}), "105 x 105"),
    "a grey image": (lambda path: archive(path, FILES | {NAMES[3] + ".png": png(DRAWINGS[0], "L")}), "no black and white"),
    "an image with a billion pixels": (lambda path: archive(path, FILES | {NAMES[3] + ".png": png(np.zeros((1, 1))).replace(
        b"IHDR\0\0\0\1\0\0\0\1", b"IHDR\0\0\x80\0\0\0\x80\0")}), "0395_02.png is damaged"),
    "a file that unpacks to much": (lambda path: archive(path, FILES | {NAMES[3] + ".png": bytes(2**17)}),
                                    "131,072 in the largest"),
    "packed without a limit": (lambda path: bzip2(path), "packed in a way"),
}


def bzip2(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as target:
        target.writestr(NAMES[0] + ".png", b"")


@pytest.mark.parametrize("damage, message", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
def test_damaged_archives_are_refused(damage, message, tiny):
    damage(tiny)
    with pytest.raises(ValueError, match=message):
        load_omniglot(tiny)
    assert list(tiny.parent.iterdir()) == [tiny]  # nothing was kept


@pytest.mark.parametrize("limit, message", [
    ({"MAX_ARCHIVE": 100}, "none of those has more than 100"),
    ({"MAX_FILES": 8}, "holds more than any archive of Omniglot's: 9 files"),
    ({"MAX_FILE": 100}, r"holds more than.*\d in the largest"),
    ({"MAX_TOTAL": 1000}, r"holds more than.*in those to be read \d,\d+ bytes"),
])  # fmt: skip
def test_there_are_limits_to_what_is_read(limit, message, tiny, monkeypatch):
    [(name, value)] = limit.items()
    monkeypatch.setattr(module, name, value)
    with pytest.raises(ValueError, match=message):
        load_omniglot(tiny)


def test_an_archive_with_a_wrong_byte_anywhere_is_read_right_or_refused(tmp_path):
    """Bytes outside checksums, such as times, may change; what is read must not."""
    path, rng = archive(tmp_path / "images_tiny.zip", FILES), np.random.default_rng(0)
    content = path.read_bytes()
    outcomes = set()
    for place in rng.integers(0, len(content), 200):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << rng.integers(8)]) + content[place + 1 :])
        try:
            images, labels = load_omniglot(path, size=105, cache=tmp_path / "cache")
        except ValueError:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert all((image == 255 * DRAWINGS).all(axis=(1, 2)).any() for image in images)
            assert len(images) == len(labels)
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("size", [0, 106, 27.5])
def test_impossible_sizes_are_refused(size, tiny):
    with pytest.raises(ValueError, match=f"size must be a whole number from 1 to 105.*{size}"):
        load_omniglot(tiny, size)


def test_a_missing_archive_is_an_error_that_says_how_to_get_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no .*images_background.zip: .*download fetches"):
        load_omniglot(tmp_path / "images_background.zip")


def test_the_same_limits_hold_for_folders(tiny, monkeypatch):
    with zipfile.ZipFile(tiny) as source:
        source.extractall(tiny.parent)
    for name, value in {"MAX_FILES": 5, "MAX_FILE": 100, "MAX_TOTAL": 1000}.items():
        with monkeypatch.context() as patch, pytest.raises(ValueError, match="holds more than"):
            patch.setattr(module, name, value)
            load_omniglot(tiny.parent / "images_tiny")


# ------------------------------------------------------------------------------------------------------- the cache


@pytest.fixture
def reads(monkeypatch):
    """How many times images were read from the archive itself."""
    calls, read = [], module.read_characters

    def counted(*args):
        calls.append(args)
        return read(*args)

    monkeypatch.setattr(module, "read_characters", counted)
    return calls


def assert_right(found):
    assert np.array_equal(found[0], 255 * DRAWINGS) and found[1].tolist() == LABELS


def test_the_second_call_reads_what_the_first_one_kept(tiny, reads):
    for _ in range(2):
        assert_right(load_omniglot(tiny, size=105))
    assert len(reads) == 1 and sorted(path.name for path in tiny.parent.iterdir()) == ["images_tiny.zip", "images_tiny_105.npz"]


def test_it_is_kept_in_the_folder_that_is_given_and_for_each_size(tiny, reads, tmp_path):
    folder = tmp_path / "made" / "on the way"
    assert [load_omniglot(tiny, size, folder)[0].shape[1] for size in (28, 105, 28, 105)] == [28, 105, 28, 105]
    assert len(reads) == 2 and {path.name for path in folder.iterdir()} == {"images_tiny_28.npz", "images_tiny_105.npz"}
    assert not list(tiny.parent.glob("*.npz"))


def test_another_archive_under_the_same_name_is_noticed(tiny, reads):
    load_omniglot(tiny, 105)
    archive(tiny, without(FILES, f"images_tiny/{NAMES[0]}.png"))
    assert load_omniglot(tiny, 105)[1].tolist() == LABELS[1:] and len(reads) == 2


def test_a_changed_file_in_a_folder_is_noticed(tiny, reads, tmp_path):
    with zipfile.ZipFile(tiny) as source:
        source.extractall(tmp_path)
    folder = tmp_path / "images_tiny"
    for _ in range(2):
        assert_right(load_omniglot(folder, 105, cache=folder))
    assert len(reads) == 1
    (folder / f"{NAMES[0]}.png").write_bytes(png(np.zeros((105, 105))))
    assert not load_omniglot(folder, 105, cache=folder)[0][0].any()
    os.utime(folder / f"{NAMES[1]}.png", (0, 0))  # of the same size still
    load_omniglot(folder, 105, cache=folder)
    assert len(reads) == 3


@pytest.mark.parametrize("damage", [
    lambda content: b"", lambda content: content[:-1], lambda content: content[: len(content) // 2], lambda content: b"junk",
    *(lambda content, share=share: content[: (i := int(share * len(content)))] + bytes([content[i] ^ 255]) + content[i + 1 :]
      for share in (0.2, 0.4, 0.6, 0.8)),
])  # fmt: skip
def test_a_damaged_cache_is_made_again(damage, tiny, reads):
    load_omniglot(tiny, 105)
    stored = tiny.with_name("images_tiny_105.npz")
    whole = stored.read_bytes()
    stored.write_bytes(damage(whole))
    assert_right(load_omniglot(tiny, 105))
    assert len(reads) == 2 and len(stored.read_bytes()) == len(whole)


@pytest.mark.parametrize("wrong", [
    {"images": np.zeros(2**20, np.uint8)}, {"images": np.zeros((6, 28, 28), np.uint8)},
    {"images": np.zeros((7, 105, 105), np.uint8)}, {"images": np.zeros((6, 105, 105))}, {"labels": np.zeros(6)},
], ids=["a long row", "another size", "another number", "floats", "labels that are numbers"])  # fmt: skip
def test_a_cache_of_something_else_is_made_again(wrong, tiny, reads):
    """With the right key: anybody can compute that."""
    load_omniglot(tiny, 105)
    stored = tiny.with_name("images_tiny_105.npz")
    with np.load(stored) as arrays:
        content = dict(arrays)
    np.savez_compressed(stored, **content | wrong)
    assert_right(load_omniglot(tiny, 105))
    assert len(reads) == 2


def test_a_cache_that_would_unpack_to_too_much_is_not_read(tiny, reads, monkeypatch):
    for limit, read in [(6 * 105**2, 2), (2**20, 2)]:  # the first leaves no room for the labels
        monkeypatch.setattr(module, "MAX_CACHE", limit)
        for _ in range(2):
            assert_right(load_omniglot(tiny, 105))
        assert len(reads) == read


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_no_pickle_is_ever_loaded(tiny, reads):
    load_omniglot(tiny, 105)
    stored = tiny.with_name("images_tiny_105.npz")
    with np.load(stored) as arrays:
        np.savez(stored, key=arrays["key"], images=arrays["images"], labels=np.array([Trap()], object))
    assert_right(load_omniglot(tiny, 105))
    assert len(reads) == 2


def test_a_folder_that_cannot_be_written_to_matters_only_if_it_was_asked_for(tiny, monkeypatch):
    with pytest.raises(OSError):
        load_omniglot(tiny, 105, cache=tiny / "a file is no folder")

    def full(*args, **options):
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full)
    assert_right(load_omniglot(tiny, 105))
    assert list(tiny.parent.iterdir()) == [tiny]


# ------------------------------------------------------------------------------------------------------ downloading


CONTENT = np.random.default_rng(0).bytes(300_000)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT as all_runs.zip, from any byte on, but no further than to ``server.stop_at``."""

    def do_GET(self):
        self.server.asked.append(self.headers["Range"])
        if self.path != "/python/all_runs.zip":
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1]) if self.headers["Range"] else 0
        if start >= len(CONTENT):
            return self.send_error(416)
        start *= self.server.resumes
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.stop_at])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setitem(module.SHA256, "all_runs", hashlib.sha256(CONTENT).hexdigest())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.stop_at, server.resumes = [], None, True
        server.source = f"http://127.0.0.1:{server.server_port}/python"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


def test_a_download_is_checked_kept_and_not_repeated(server, tmp_path, capsys):
    folder = tmp_path / "made" / "on the way"
    for _ in range(2):
        path = download("all_runs", folder, server.source)
        assert path == folder / "all_runs.zip" and path.read_bytes() == CONTENT and list(folder.iterdir()) == [path]
    assert server.asked == [None]
    assert "all_runs.zip: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("resumes", [True, False])
def test_an_interrupted_download_goes_on_where_it_ended_if_the_server_can(resumes, server, tmp_path):
    server.stop_at, server.resumes = 123_456, resumes
    with pytest.raises(OSError, match="could not download http.*all_runs.zip: it broke off after 123,456 of 300,000 bytes"):
        download("all_runs", tmp_path, server.source)
    assert [path.name for path in tmp_path.iterdir()] == ["all_runs.zip.part"]
    server.stop_at = None
    assert download("all_runs", tmp_path, server.source).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=123456-"]


def test_a_download_that_was_stopped_just_before_its_end_is_taken(server, tmp_path):
    (tmp_path / "all_runs.zip.part").write_bytes(CONTENT)
    assert download("all_runs", tmp_path, server.source).read_bytes() == CONTENT


@pytest.mark.parametrize("part", [None, CONTENT[:9] + b"x", bytes(400_000)], ids=["new", "resumed", "too long"])
def test_what_is_not_the_published_archive_is_deleted(part, server, tmp_path, monkeypatch):
    if part is None:
        monkeypatch.setitem(module.SHA256, "all_runs", hashlib.sha256(b"").hexdigest())
    else:
        (tmp_path / "all_runs.zip.part").write_bytes(part)
    with pytest.raises(ValueError, match=f"{server.source}/all_runs.zip is not the published archive.*deleted"):
        download("all_runs", tmp_path, server.source)
    assert not list(tmp_path.iterdir())


def test_a_download_without_end_is_stopped(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_ARCHIVE", 100_000)
    with pytest.raises(ValueError, match="is not the published archive"):
        download("all_runs", tmp_path, server.source)
    assert not list(tmp_path.iterdir())


def test_an_archive_that_is_there_and_not_the_published_one_is_left_alone(server, tmp_path):
    (tmp_path / "all_runs.zip").write_bytes(b"mine")
    with pytest.raises(ValueError, match="delete it to download it again"):
        download("all_runs", tmp_path, server.source)
    assert (tmp_path / "all_runs.zip").read_bytes() == b"mine" and not server.asked


def test_a_missing_page_and_a_missing_server_are_errors(server, tmp_path):
    with pytest.raises(OSError, match="could not download http.*images_evaluation.zip: HTTP Error 404"):
        download("images_evaluation", tmp_path, server.source)
    with pytest.raises(OSError, match="could not download http://127.0.0.1:1/all_runs.zip: "):
        download("all_runs", tmp_path, "http://127.0.0.1:1")
    assert not list(tmp_path.iterdir())


def test_unknown_archives_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no archive 'strokes'.*images_background_small1"):
        download("strokes", tmp_path)


def test_archives_come_over_https_from_the_authors_repository():
    assert module.SOURCE.startswith("https://raw.githubusercontent.com/brendenlake/omniglot/")
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in module.SHA256.values())


# ---------------------------------------------------------------------------------------------------- the real ones


@pytest.mark.parametrize("name", ["images_background_small1", "images_background_small2", "all_runs"])
def test_the_published_archives_are_those_that_downloads_are_compared_with(name, tmp_path):
    shutil.copy(omniglot(name), tmp_path)
    assert download(name, tmp_path, "nowhere") == tmp_path / f"{name}.zip"


@pytest.mark.parametrize("name, sizes", [
    ("images_background_small1", {"Balinese": 24, "Early_Aramaic": 22, "Greek": 24, "Korean": 40, "Latin": 26}),
    ("images_background_small2", {"Greek": 24, "Japanese_(katakana)": 47, "Latin": 26, "Sanskrit": 42, "Tagalog": 17}),
])  # fmt: skip
def test_the_background_sets(name, sizes, tmp_path):
    images, labels = load_omniglot(omniglot(name), cache=tmp_path)
    characters, counts = np.unique(labels, return_counts=True)
    assert images.shape == (20 * sum(sizes.values()), 28, 28) and (counts == 20).all()
    alphabets = [character.split("/")[0] for character in characters]
    assert {alphabet: alphabets.count(alphabet) for alphabet in alphabets} == sizes
    assert 0.06 < images.mean() / 255 < 0.1 and images.max() == 255  # ink is little and 255, paper is 0


def test_the_twenty_runs():
    (x, y), (query_x, query_y), classes = load_runs(omniglot("all_runs"))
    assert x.shape == query_x.shape == (20, 20, 28, 28) and classes.shape == (20, 20)
    assert (y == np.arange(20)).all() and (np.sort(query_y) == y).all()
    assert query_y[0, :5].tolist() == [7, 8, 1, 18, 9]
