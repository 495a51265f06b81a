"""Omniglot: 1,623 characters of 50 alphabets, each drawn by 20 people (Lake, Salakhutdinov, Tenenbaum, Science 2015).

The data set is published under the MIT licence at https://github.com/brendenlake/omniglot and is not part of this package:
:func:`download` fetches its archives, and they are read as they are, without being unpacked.  :func:`load_omniglot` reads
characters to learn from, :func:`load_runs` the authors' test: 20 runs of 20-way one-shot classification within an alphabet.
"""

import hashlib
import http.client
import io
import os
import re
import urllib.error
import urllib.request
import zipfile
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from .images import ImageBatch, as_floats

SOURCE = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
SHA256 = {
    "images_background": "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",         # 30 alphabets
    "images_evaluation": "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",         # the other 20
    "images_background_small1": "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",  # 5 of the 30
    "images_background_small2": "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",  # 5 of the 30
    "all_runs": "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",                  # the test
}
DRAWN_SIZE = 105  # pixels, height and width

# What a file from elsewhere may cost to read.  The largest archive has 9.5 MB, 20,000 files, and 400 bytes in each of them.
MAX_ARCHIVE, MAX_FILES, MAX_FILE, MAX_TOTAL = 16 * 2**20, 50_000, 2**16, 64 * 2**20
MAX_CACHE = 256 * 2**20  # of what is kept after reading: 20,000 images of 105 pixels squared are 210 MB

CHARACTER = re.compile(r"(?:.*/)?([^/]+/character\d+)/\d+_\d+\.png")
RUN = re.compile(r"(?:.*/)?(run\d+)/(training/class\d+\.png|test/item\d+\.png|class_labels\.txt)")


# --------------------------------------------------------------------------------------------------------- loading


def load_omniglot(path, size=28, cache=None):
    """The images of one of the archives, and the character that each of them shows.

    Parameters
    ----------
    path : path
        One of the archives such as ``images_background_small1.zip``, or the folder that it was unpacked to.
    size : int
        Height and width of the images; the originals' 105 pixels are averaged over areas.
    cache : path, optional
        The folder for a file that makes the next call fast.  It is the archive's own unless another is given; if that cannot
        be written to, there is no such file.  One that is damaged or was made from another archive is replaced.

    Returns
    -------
    images : uint8 array of shape (count, size, size)
        From 0 (paper) to 255 (ink).
    labels : array of strings of shape (count,)
        Alphabet and character, such as "Greek/character01", sorted.

    Examples
    --------
    Tasks whose characters come from one alphabet each::

        images, labels = load_omniglot(download("images_background_small1", "data"))
        tasks = ImageTasks(images, labels, groups=[label.split("/")[0] for label in labels])
    """
    path = check_path(path, size)
    key = f"1 {size} {fingerprint(path)}"  # 1 is the version of what is done to the images
    stored = Path(cache or path.parent) / f"{path.stem}_{size}.npz"
    found = read_cache(stored, key, size)
    if found is None:
        found = read_characters(path, size)
        try:
            write_cache(stored, key, *found)
        except OSError:
            if cache is not None:
                raise
    return found


def load_runs(path, size=28, dtype=np.float32):
    """The authors' one-shot test as a batch of 20 tasks, each with 20 classes, one support and one query image of each.

    A run's characters are of one alphabet, from none of the background set, and two people drew them.  Results are quoted as
    the share of errors among all 400 answers: people 4.5 %, by comparing pixels 38.8 %
    (:func:`~tinygrad_meta.meta.pixels.modified_hausdorff`).

    Parameters
    ----------
    path : path
        The archive ``all_runs.zip``, or the folder that it was unpacked to.
    size : int
        As for :func:`load_omniglot`.
    dtype : floating-point dtype

    Returns
    -------
    ImageBatch
        Images of shape (20, 20, size, size) from 0 (paper) to 1 (ink), labels of shape (20, 20); its ``classes`` are the names
        of the support images.
    """
    path = check_path(path, size)
    runs = {}
    for name, content in read_files(path, RUN).items():
        run, file = RUN.fullmatch(name).groups()
        runs.setdefault(run, {})[f"{run}/{file}"] = content
    if not runs:
        raise ValueError(f"{path} holds no runs, which are files such as run01/training/class01.png: is it Omniglot's "
                         "all_runs.zip?")
    tasks = [read_run(path, run, files, size) for run, files in sorted(runs.items())]
    if len({labels.shape for _, _, labels, _ in tasks}) > 1:
        raise ValueError(f"the runs in {path} have different numbers of classes, so some of its files are missing")
    support_x, query_x, query_y, classes = map(np.stack, zip(*tasks, strict=True))
    support_y = np.tile(np.arange(classes.shape[1]), (len(tasks), 1))
    return ImageBatch((as_floats(support_x, dtype), support_y), (as_floats(query_x, dtype), query_y), classes)


def read_run(path, run, files, size):
    """Support images, query images, the class of each query, and the names of the classes."""
    training, test = ({name: content for name, content in sorted(files.items()) if name.startswith(f"{run}/{part}/")}
                      for part in ("training", "test"))
    classes, labels_file = list(training), f"{run}/class_labels.txt"
    with blame(f"{path}: {labels_file} must name a training image for each of the test images"):
        answers = dict(line.split() for line in files[labels_file].decode().splitlines())
        labels = np.array([classes.index(answers.pop(name)) for name in test])
    if answers:
        raise ValueError(f"{path} has no {next(iter(answers))}, which {labels_file} names")
    return read_drawings(training, size), read_drawings(test, size), labels, np.array(classes)


def read_characters(path, size):
    files = read_files(path, CHARACTER)
    if not files:
        raise ValueError(f"{path} holds no characters, which are files such as Greek/character01/0394_01.png: is it one of "
                         "Omniglot's images_*.zip?")
    return read_drawings(files, size), np.array([CHARACTER.fullmatch(name)[1] for name in files])


def check_path(path, size):
    if not isinstance(size, (int, np.integer)) or not 1 <= size <= DRAWN_SIZE:
        raise ValueError(f"size must be a whole number from 1 to {DRAWN_SIZE}, the size of the originals, and is {size}")
    path = Path(path).resolve()
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: tinygrad_meta.tasks.omniglot.download fetches {', '.join(SHA256)}")
    if path.is_file() and path.stat().st_size > MAX_ARCHIVE:
        raise ValueError(f"{path} is no archive of Omniglot's: it has {path.stat().st_size:,} bytes, and none of those has "
                         f"more than {MAX_ARCHIVE:,}")
    return path


# ------------------------------------------------------------------------------------------------ archives and images


def read_files(path, pattern):
    """The files of an archive or a folder whose names match: a dict of name and content, sorted by name."""
    if path.is_dir():
        files = files_in(path)
        chosen = {file.as_posix(): file for file in files if pattern.fullmatch(file.as_posix())}
        check_limits(path, len(files), [file.stat().st_size for file in chosen.values()])
        return {name: file.read_bytes() for name, file in chosen.items()}
    damaged = f"{path} is damaged, or no zip archive"
    with blame(damaged):
        archive = zipfile.ZipFile(path)
    with archive:
        files = archive.infolist()
        chosen = {file.filename: file for file in files if pattern.fullmatch(file.filename)}
        check_limits(path, len(files), [file.file_size for file in chosen.values()])
        if any(file.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for file in chosen.values()):
            raise ValueError(f"{path} is packed in a way that could unpack to anything, which Omniglot's archives are not")
        with blame(damaged):
            return {name: archive.read(file) for name, file in sorted(chosen.items())}


@contextmanager
def blame(complaint):
    """Turn all errors into one that says what is wrong: what reads damaged files raises errors of many kinds."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{complaint}: {error!r}") from error


def files_in(folder):
    """All files below a folder, sorted; no more than show that there are too many."""
    return sorted(islice(filter(Path.is_file, folder.rglob("*")), MAX_FILES + 1))


def check_limits(path, count, sizes):
    if count > MAX_FILES or max(sizes, default=0) > MAX_FILE or sum(sizes) > MAX_TOTAL:
        raise ValueError(f"{path} holds more than any archive of Omniglot's: {count:,} files, and in those to be read "
                         f"{sum(sizes):,} bytes, {max(sizes, default=0):,} in the largest")


def read_drawings(files, size):
    """PNG images as a uint8 array of shape (files, size, size), whose pixels are mean values over equal areas."""
    share = area_shares(size)
    ink = (decode(name, content) for name, content in files.items())
    return np.array([np.round(255 * (share @ drawing @ share.T)) for drawing in ink], np.uint8)


def area_shares(size):
    """What each pixel of a row of 105 contributes to each of a row of ``size``: an array of shape (size, 105)."""
    edges, pixels = np.linspace(0, DRAWN_SIZE, size + 1)[:, None], np.arange(DRAWN_SIZE)
    overlap = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return np.maximum(overlap, 0) * size / DRAWN_SIZE


def decode(name, content):
    """A drawing as a bool array of shape (105, 105), with True for ink."""
    from PIL import Image

    damaged = f"{name} is damaged, or no PNG image"
    with blame(damaged):
        image = Image.open(io.BytesIO(content), formats=["PNG"])
    with image:
        if (image.mode, image.size) != ("1", (DRAWN_SIZE, DRAWN_SIZE)):  # before any memory is spent on its pixels
            raise ValueError(f"{name} is no black and white image of {DRAWN_SIZE} x {DRAWN_SIZE} pixels")
        with blame(damaged):
            return ~np.array(image)


# -------------------------------------------------------------------------------------------------------- the cache


def fingerprint(path):
    """A text that is another one when the archive is, or when a file in the folder has changed."""
    if path.is_file():
        return sha256(path.read_bytes())
    files = [(file.as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for file in files_in(path)
             if file.suffix == ".png"]
    return sha256(repr(files).encode())


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def read_cache(stored, key, size):
    """Images and labels, or None if they are not there, of another key, or damaged."""
    try:
        with zipfile.ZipFile(stored) as archive:
            if sum(file.file_size for file in archive.infolist()) > MAX_CACHE:
                return None
        with open(stored, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
            right = images.dtype == np.uint8 and images.shape == (len(labels), size, size) and labels.dtype.kind == "U"
            return (images, labels) if right and arrays["key"].item() == key else None
    except Exception:  # noqa: BLE001  whatever is wrong with it, it can be made again
        return None


def write_cache(stored, key, images, labels):
    """Under another name first, so that what has the right name is complete."""
    stored.parent.mkdir(parents=True, exist_ok=True)
    part = stored.with_suffix(f".{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            np.savez_compressed(file, key=key, images=images, labels=labels)
        part.replace(stored)
    finally:
        part.unlink(missing_ok=True)


# ----------------------------------------------------------------------------------------------------- downloading


def download(name, folder, source=SOURCE):
    """Fetch one of Omniglot's archives from its authors' repository, unless it is there already.

    What arrives is compared with the SHA-256 of the published archive.  A download that was interrupted goes on where it
    ended when it is called again.

    Parameters
    ----------
    name : str
        "images_background_small1", "images_background_small2", "images_background", "images_evaluation" or "all_runs".
    folder : path
        Where to keep the archive.

    Returns
    -------
    Path
        Of the archive.
    """
    if name not in SHA256:
        raise ValueError(f"Omniglot has no archive {name!r}: choose one of {', '.join(SHA256)}")
    path, url = Path(folder) / f"{name}.zip", f"{source}/{name}.zip"
    if path.exists():
        if sha256(path.read_bytes()) != SHA256[name]:
            raise ValueError(f"{path} is not the published archive, for its SHA-256 is another: delete it to download it again")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".zip.part")
    try:
        fetch(url, part)
    except (OSError, http.client.HTTPException) as error:
        raise OSError(f"could not download {url}: {error}") from error
    if sha256(part.read_bytes()) != SHA256[name]:
        part.unlink()
        raise ValueError(f"what came from {url} is not the published archive, for its SHA-256 is another; it was deleted")
    part.replace(path)
    return path


def fetch(url, part):
    """Download to a file, after what is in it already."""
    from tqdm import tqdm

    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        start = start if resumed else 0
        total = None if response.length is None else start + response.length
        bar = tqdm(desc=part.stem, total=total, initial=start, unit="B", unit_scale=True)
        with open(part, "ab" if resumed else "wb") as file, bar:
            while file.tell() <= MAX_ARCHIVE and (chunk := response.read(2**16)):
                bar.update(file.write(chunk))
            if total is not None and file.tell() < min(total, MAX_ARCHIVE):
                raise OSError(f"it broke off after {file.tell():,} of {total:,} bytes; call it again to go on from there")
