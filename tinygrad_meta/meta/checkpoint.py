"""Checkpoints: the state of a training, in a file that is whole or is refused.

A file is written under another name, forced to the disk, and then renamed, so whenever a program is killed, or the power fails,
every name stands for a whole file.  What happens to a file later shows in its checksum, and then the one before is there.

A checkpoint is an archive of NumPy's (``.npz``): arrays, and as one more, the bytes of a JSON text with the version of this
format, the checksum, and facts such as the state of a random generator.  Nothing in it is pickled, and nothing is unpickled:
a file from anywhere can be looked into.
"""

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..validate import kind

FORMAT = 2  # to be raised when files written before can no longer be understood
HEADER = "checkpoint"  # the name of the array that holds the JSON text
RESERVED = {HEADER, "file", "allow_pickle"}  # the last two are numpy.savez's own
MAX_BYTES = 2**32  # of a file


class CheckpointError(ValueError):
    """A file that cannot be gone on from: which one it is, and why."""


def save(path, arrays, facts):
    """Write a checkpoint.  At every moment ``path`` is what it was before, or whole.

    Parameters
    ----------
    path : path
        Of a file in a folder that exists.
    arrays : dict ``{name: array}``
        Of numbers, all of them finite.
    facts : dict
        Whatever JSON can hold.

    Raises
    ------
    CheckpointError
        If an array holds what is not a finite number, since such a state is not worth going on from, or if the file would be
        larger than :func:`load` reads.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/a.npz", {"theta": np.zeros(2)}, {"iteration": 7})
    ...     load(f"{folder}/a.npz")
    ({'theta': array([0., 0.])}, {'iteration': 7})
    """
    if not isinstance(arrays, Mapping) or not isinstance(facts, Mapping):
        raise TypeError(f"a checkpoint is made of a dict of arrays and a dict of facts, and got one {kind(arrays)} and one "
                        f"{kind(facts)}")
    try:
        facts = json.loads(json.dumps(facts))  # what will be read
    except (TypeError, ValueError) as error:
        raise TypeError(f"the facts in a checkpoint are what JSON can hold: {error}") from error
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if not isinstance(name, str) or name in RESERVED or "\0" in name:
            raise ValueError(f"an array in a checkpoint cannot be called {name!r}")
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise CheckpointError(f"{name} is not all finite numbers, so it does not become the checkpoint {path}")
    header = json.dumps({"format": FORMAT, "sha256": checksum(arrays, facts), "facts": facts})
    file = io.BytesIO()
    np.savez(file, **{HEADER: np.frombuffer(header.encode(), np.uint8)}, **arrays)
    if file.tell() > MAX_BYTES:
        raise CheckpointError(f"{path} would be too large: {file.tell():,} bytes, and a checkpoint has {MAX_BYTES:,} at most")
    write(path, file.getvalue())


def write(path, content):
    """Write a file whose name stands for the old content or for the new, whenever program or machine stop."""
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # before the name changes: else a power failure may leave the new name without content
        os.replace(part, path)
        if hasattr(os, "O_DIRECTORY"):  # where a folder can be opened, a new name is lasting only when that is on the disk
            folder = os.open(path.parent, os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def load(path):
    """Read a checkpoint.

    Returns
    -------
    arrays, facts : dicts
        As they were given to :func:`save`.

    Raises
    ------
    CheckpointError
        If they cannot be: the sentence names the file and the reason.
    """
    try:
        size = os.stat(path).st_size
        if size > MAX_BYTES:
            raise CheckpointError(f"{path} is too large: {size:,} bytes, and a checkpoint has {MAX_BYTES:,} at most")
        content = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if content[:4] != b"PK\x03\x04":  # what every zip archive starts with
        raise CheckpointError(f"{path} is {'not a checkpoint' if content else 'empty'}")
    if content[-22:-18] != b"PK\x05\x06":  # and how its last 22 bytes start
        raise CheckpointError(f"{path} is truncated")
    try:
        return unpack(content)
    except Exception as error:  # of which damaged archives raise many kinds
        raise blame(path, error) from error


def blame(path, error):
    """The same as a sentence about a file."""
    return CheckpointError(f"{path} {error if isinstance(error, CheckpointError) else f'is corrupt ({type(error).__name__})'}")


def unpack(content):
    """Arrays and facts of the bytes of a checkpoint."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise CheckpointError("is not a checkpoint: those are not compressed")
        declared = sum(entry.file_size for entry in entries)
        if declared > len(content):  # before anything is read
            raise CheckpointError(f"is too large: it declares {declared:,} bytes, and has {len(content):,}")
        parts = {entry.filename.removesuffix(".npy"): archive.read(entry) for entry in entries}
    if HEADER not in parts:
        raise CheckpointError(f"is not a checkpoint: it holds no {HEADER!r}")
    header = json.loads(array_of(parts.pop(HEADER)).tobytes())
    if header["format"] != FORMAT:
        raise CheckpointError(f"is of format {header['format']!r}, and this version reads format {FORMAT}")
    arrays = {name: array_of(part) for name, part in parts.items()}
    if header["sha256"] != checksum(arrays, header["facts"]):
        raise CheckpointError("is corrupt: its checksum is another one")
    return arrays, dict(header["facts"])


def array_of(content):
    """The array in the bytes of an ``.npy`` file, which must be as many as its shape takes."""
    file = io.BytesIO(content)
    np.lib.format.read_magic(file)
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject:
        raise CheckpointError("is not a checkpoint: it holds pickled Python objects, which are never loaded")
    return np.frombuffer(content[file.tell() :], dtype).reshape(shape, order="F" if fortran_order else "C")


def checksum(arrays, facts):
    """SHA-256 of everything that a checkpoint says."""
    digest = hashlib.sha256(json.dumps([FORMAT, facts], sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def differences(was, now):
    """In what a run was another one, or nothing if it was not.

    >>> differences({"shots": 10, "seed": 0}, {"shots": 5, "seed": 0})
    'shots 10 there, 5 here'
    """
    return ", ".join([f"{name.replace('_', ' ')} {was.get(name)} there, {now[name]} here" for name in now
                      if was.get(name) != now[name]])


class Checkpoints:
    """The latest checkpoint of a run and the one before, in a folder: ``checkpoint-1000.npz`` is that of iteration 1,000.

    Parameters
    ----------
    folder : path
    unit : str
        What is counted.
    name : str
        That of the files, without the number.  Runs of another kind in the same folder have another one.

    Attributes
    ----------
    latest : Path or None
        What was saved or gone on from last.
    iteration : int
        That of the latest.
    """

    def __init__(self, folder, unit="iterations", name="checkpoint"):
        self.folder, self.unit, self.name, self.latest, self.iteration = Path(folder), unit, name, None, 0

    def __str__(self):
        if self.latest is None:
            return "There is no checkpoint of this run yet"
        return f"The last good checkpoint is {self.latest}, after {self.iteration:,} {self.unit}"

    @contextmanager
    def alone(self):
        """Keep other runs out of the folder while the context lasts; a CheckpointError if this one is kept out.

        The folder itself is locked, which ends with the program, however that ends.
        """
        try:
            import fcntl
        except ImportError:  # not on Windows
            yield
            return
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CheckpointError(f"another run is writing to {self.folder}: wait for it to end, or give this one a folder "
                                      "of its own with --output") from None
            except OSError:  # some file systems of networks know no locks
                pass
            yield
        finally:
            os.close(folder)

    def save(self, iteration, iterations, arrays, facts):
        """Write the checkpoint of one of so many iterations, and delete all others but the latest: its turn is next time."""
        path = self.folder / f"{self.name}-{iteration}.npz"
        if iteration == self.iteration:
            return
        save(path, arrays, facts | {"iteration": iteration, "iterations": iterations})
        ours = re.compile(rf"{self.name}-\d+\.npz(\.part)?")  # parts of files are what killed programs leave
        for other in self.folder.iterdir():
            if ours.fullmatch(other.name) and other not in (path, self.latest):
                other.unlink(missing_ok=True)
        self.latest, self.iteration = path, iteration

    def resume(self, understand):
        """Go on from the latest checkpoint that is whole and of the same run.

        Parameters
        ----------
        understand : function ``(arrays, facts) -> state``
            Raises an error if the run is another one.

        Returns
        -------
        state
            As ``understand`` returned it.
        passed_over : list of CheckpointError
            What is wrong with other files.

        Raises
        ------
        CheckpointError
            If there is none.
        """
        whole, damaged = self.find()
        refused = []
        for path, arrays, facts in whole:
            try:
                state = understand(arrays, facts)
            except Exception as error:  # noqa: BLE001  a file that is whole may still be anybody's
                refused.append(blame(path, error))
                continue
            self.latest, self.iteration = path, facts["iteration"]
            return state, refused + damaged
        raise [*refused, *damaged, CheckpointError(f"there is no checkpoint in {self.folder}")][0]

    def unfinished(self):
        """A sentence about a run that was stopped and could be gone on with, if there is one."""
        for path, _, facts in self.find()[0][:1]:
            done, wanted = facts["iteration"], facts["iterations"]
            if done < wanted:
                return f"{path} is of a run that stopped after {done:,} of {wanted:,} {self.unit}"
        return None

    def find(self):
        """The whole checkpoints in the folder, the latest iteration first, and what is wrong with the others.

        What counts is the iteration that a file holds, and not its name.

        Returns
        -------
        whole : list of (path, arrays, facts)
        damaged : list of CheckpointError
        """
        whole, damaged = [], []
        for path in sorted(self.folder.glob(f"{self.name}-*.npz")):
            try:
                arrays, facts = load(path)
                if not all(isinstance(facts.get(name), int) for name in ("iteration", "iterations")):
                    raise CheckpointError(f"{path} does not say of which iteration it is")
                whole.append((path, arrays, facts))
            except CheckpointError as error:
                damaged.append(error)
        return sorted(whole, key=lambda each: each[2]["iteration"], reverse=True), damaged

    def check_space(self, size):
        """Raise an OSError if the disk has no room for checkpoints of that many bytes."""
        free = shutil.disk_usage(self.folder).free
        needed = 3 * size + 2**20  # two that are kept, one being written, and a megabyte for everything else
        if free < needed:
            raise OSError(f"the disk of {self.folder} is too full: {free:,} bytes are free, and this run takes {needed:,}")
