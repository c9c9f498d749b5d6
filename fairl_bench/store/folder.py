"""The store in a folder: artefacts, each under its key, written once and checked on every read.

::

    STORE/ab/ab12…/        one artefact: its files and ``manifest.json`` (`fairl_bench.store.manifest`)
    STORE/tmp/             unfinished artefacts, renamed into place when complete; each has a lock while it is written
    STORE/scratch/KEY/     checkpoints of unfinished work, gone when it is finished
    STORE/damaged/         artefacts that did not match their checksums, set aside
    STORE/locks/           one lock a key, so that two processes do not do one piece of work twice; gone with its run
    STORE/runs/            what runs now, and the keys that it uses

Artefacts are forced to the disk together with others of the same half second, and all of them before a run ends.  A
crash of the machine loses no more than that, or leaves an artefact incomplete: its checksums, or that of its manifest,
show it when the artefact is read, and it is made again.

"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import Timeout

from fairl_bench.digests import file_digest
from fairl_bench.errors import DamagedArtefact, DataError, StoreError
from fairl_bench.guards.permissions import all_as_their_folder
from fairl_bench.guards.untrusted import is_digest, is_name, kind_of, read_file, remove
from fairl_bench.progress import report
from fairl_bench.store.disk import refusal
from fairl_bench.store.locks import HELD, has_locks, is_free, lock_at, remove_free
from fairl_bench.store.manifest import MANIFEST, MOST_BYTES, is_sealed, manifest_text, parse_manifest
from fairl_bench.store.running import RunAnnouncements, Running
from fairl_bench.store.store import Size, Store

AT_RISK = 0.5
"""Seconds of work that a crash of the machine loses, at most; thousands of short stages are forced to disk together."""


class FolderStore(Store):
    """Artefacts by key in a folder that several processes may share.  What is promised: docs/reference/store.md."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._settled = time.monotonic()
        self.place = str(root.absolute())
        """What `open_store` takes, also in another process."""
        try:
            for name in ("tmp", "locks", "runs"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # a NUL in its name
            reason = error.strerror if isinstance(error, OSError) else error
            raise StoreError(f"the store {root} cannot be made: {reason}; name another with --store") from error
        self.runs = RunAnnouncements(root / "runs")

    @property
    def has_locks(self) -> bool:
        """Whether the file system has locks; where it has none, files stand for them (`fairl_bench.store.locks`)."""
        return has_locks(self.root / "locks")

    # --- one artefact

    def path(self, key: str) -> Path:
        """Where an artefact lies, or would.  Raises `StoreError` for what is no key."""
        if not is_digest(key):
            raise StoreError(f"{key!r:.100} is no key of an artefact: it needs 64 digits from 0 to f")
        return Path(f"{self.root}/{key[:2]}/{key}")

    def has(self, key: str) -> bool:
        """Whether the artefact is finished; its bytes are checked when it is read."""
        return os.path.isfile(f"{self.root}/{key[:2]}/{key}/{MANIFEST}")  # noqa: PTH113  # asked ten times a stage

    def write(self, key: str, kind: str, save: Callable[[Path], None], facts: Mapping[str, Any]) -> None:
        """Keep an artefact: ``save(folder)`` writes its files; it appears at once and whole, or not at all."""
        with self.store_errors(), self.unfinished() as folder:
            save(folder)
            all_as_their_folder(folder)
            files = {path.name: _digest_of(path) for path in sorted(folder.iterdir())}
            text = manifest_text(key, {"kind": kind, "files": files, "facts": dict(facts)})
            (folder / MANIFEST).write_text(text)
            if _syncfs is None:
                for name in (*files, MANIFEST):
                    _force(folder / name)
            self.put(key, folder)

    def put(self, key: str, folder: Path) -> None:
        """Move a whole artefact into its place; another process may have been first, with the same answer."""
        place = self.path(key)
        if not os.path.lexists(place):
            place.parent.mkdir(exist_ok=True)
        elif not self.has(key):
            remove(place)
        try:
            folder.rename(place)
        except OSError:
            if not self.has(key):
                raise
        if _syncfs is None:
            _force(place.parent)
        elif time.monotonic() - self._settled > AT_RISK:
            self._settle(_syncfs)

    def settle(self) -> None:
        """Force what was written, by whatever process of this machine, to the disk.  Raises `StoreError`."""
        if _syncfs is not None:
            with self.store_errors():
                self._settle(_syncfs)

    def _settle(self, sync: Callable[[int], int]) -> None:
        handle = os.open(self.root, os.O_RDONLY)
        try:
            if sync(handle):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(handle)
        self._settled = time.monotonic()

    def manifest(self, key: str) -> dict[str, Any]:
        """The kind, files and facts of an artefact.  Raises `DamagedArtefact`."""
        try:
            text = read_file(f"{self.path(key)}/{MANIFEST}", MOST_BYTES, follow=False)
        except OSError as error:
            raise DamagedArtefact(key, f"its manifest cannot be read: {error.strerror or error}") from error
        return parse_manifest(key, text)

    def read(self, key: str) -> Path:
        """The folder of a finished artefact, every file checked against its checksum.  Raises `DamagedArtefact`."""
        return self.checked(key)[1]

    def checked(self, key: str) -> tuple[str, Path]:
        """The kind and the folder of a finished artefact, checked as by `read`."""
        manifest = self._whole(key)
        if not is_sealed(manifest):
            self._seal(key, manifest)
        return str(manifest["kind"]), self.path(key)

    def _whole(self, key: str) -> dict[str, Any]:
        """The manifest of an artefact, all of whose files match it.  Raises `DamagedArtefact`."""
        manifest = self.manifest(key)
        check_files(key, self.path(key), manifest["files"])
        return manifest

    def _seal(self, key: str, manifest: Mapping[str, Any]) -> None:
        """Add the checksum to a manifest of an earlier version, if the store can be written."""
        place = self.path(key) / MANIFEST
        new = self.root / "tmp" / uuid.uuid4().hex
        with suppress(OSError):
            new.write_text(manifest_text(key, manifest))
            new.replace(place)

    def sealed(self, key: str) -> bool:
        """Whether a manifest has a checksum of its own: those of earlier versions had none."""
        return is_sealed(self.manifest(key))

    def changed(self, key: str) -> bool:
        """Whether something of a finished artefact is younger than its manifest, which is written last.

        Damage by the disk itself does not change any time; it is found when the artefact is read.
        """
        folder = f"{self.root}/{key[:2]}/{key}"
        try:
            with os.scandir(folder) as entries:
                times = {entry.name: entry.stat(follow_symlinks=False).st_mtime_ns for entry in entries}
            return max(os.stat(folder).st_mtime_ns, *times.values()) > times[MANIFEST]  # noqa: PTH116  # as `has`
        except (OSError, KeyError):
            return False

    def confirm(self, key: str) -> None:
        """Check what has `changed`, once.  Raises `DamagedArtefact`."""
        self.read(key)
        with suppress(OSError):
            os.utime(self.path(key) / MANIFEST)

    def verify(self, key: str) -> None:
        """Check an artefact as the store holds it.  Raises `DamagedArtefact`."""
        self._whole(key)

    def set_aside(self, key: str) -> str:
        """Move a damaged artefact out of the way, so that it is made again; where it went."""
        damaged = self.path(key)
        place = self.root / "damaged" / f"{key}-{uuid.uuid4().hex[:8]}"
        with self.store_errors():
            place.parent.mkdir(exist_ok=True)
            if os.path.lexists(damaged):
                damaged.rename(place)
        return str(place)

    # --- work on an artefact

    @contextmanager
    def lock(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """Held while an artefact is made, so that another process waits for it instead of making it again.

        It ends with the process that holds it.  Raises `filelock.Timeout` where it is taken and ``wait`` is off.
        """
        lock = lock_at(self.root / "locks" / key)
        with self.store_errors():
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if not wait:
                    raise
                report(0, 1, "waiting: another process does this")
                lock.acquire()
        try:
            yield
        finally:
            with suppress(OSError):  # one that stays does no harm
                os.unlink(f"{self.root}/locks/{key}")  # noqa: PTH108  # as `has`
            lock.release()

    def scratch(self, key: str) -> Path:
        """Where the unfinished work of an artefact keeps its checkpoints; always on this machine."""
        folder = self.root / "scratch" / key
        with self.store_errors():
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear(self, key: str) -> None:
        """Remove the checkpoints of work that is finished."""
        shutil.rmtree(self.root / "scratch" / key, ignore_errors=True)

    @contextmanager
    def unfinished(self) -> Iterator[Path]:
        """An empty folder for an unfinished artefact, removed at the end; its lock shows that its process is alive."""
        folder = self.root / "tmp" / uuid.uuid4().hex
        lock = lock_at(folder.with_suffix(".lock"))
        lock.acquire()  # before the folder is made: `sweep` removes folders without a lock
        try:
            folder.mkdir()
            yield folder
        finally:
            if os.path.lexists(folder):  # it was not put into its place
                shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # or it would hide an error of the work
                folder.with_suffix(".lock").unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def store_errors(self) -> Iterator[None]:
        """Inside, what the disk refuses is raised as a `StoreError` that says what to do."""
        try:
            yield
        except Exception as error:
            if what := _in_the_way(error, self.root):
                raise StoreError(f"the store {self.root} cannot be used: {what}; move it away") from error
            if (why := refusal(error, self.root)) is None:
                raise
            raise StoreError(f"the store {self.root} cannot be written: {why.what}; {why.advice}") from error

    # --- all of them

    def keys(self) -> list[str]:
        """The keys of all finished artefacts."""
        places = (path.parent for path in self.root.glob(f"??/*/{MANIFEST}"))
        return sorted(place.name for place in places if is_digest(place.name) and place.parent.name == place.name[:2])

    def sizes(self) -> dict[str, Size]:
        """The size and age of every finished artefact, by key."""
        return {key: measured(self.path(key)) for key in self.keys()}

    def remove(self, key: str) -> None:
        """Remove an artefact, at once for whoever looks."""
        with self.store_errors(), self.unfinished() as folder:
            if os.path.lexists(self.path(key)):
                self.path(key).rename(folder / key)

    def leftovers(self) -> dict[str, Size]:
        """What no artefact is part of, by its place: ``damaged/``, ``scratch/KEY`` and what dead processes left in
        ``tmp/``."""
        kept = (path for name in ("damaged", "scratch") for path in _all_of(self.root / name))
        return {path.relative_to(self.root).as_posix(): measured(path) for path in (*kept, *self.stale())}

    def discard(self, leftover: str) -> None:
        """Remove one of `leftovers`.  Raises `StoreError` for what is none."""
        folder, _, name = leftover.partition("/")
        if folder not in ("damaged", "scratch", "tmp") or not is_name(name):
            raise StoreError(f"{leftover!r:.100} is no leftover of the store {self.root}")
        remove(self.root / folder / name)
        if folder == "tmp":
            remove(self.root / folder / f"{name}.lock")

    def stale(self) -> list[Path]:
        """What dead processes left half-written."""
        with self.store_errors():
            unfinished = (path for path in _all_of(self.root / "tmp") if path.suffix not in (".lock", HELD))
            return [path for path in unfinished if is_free(path.with_suffix(".lock"))]

    def sweep(self, finished: Callable[[str], bool]) -> None:
        """Remove what dead processes left: what is half-written, and the checkpoints of what is finished."""
        for path in self.stale():
            self.discard(f"tmp/{path.name}")
        remove_free(self.root / "tmp")
        for path in _all_of(self.root / "scratch"):
            if is_digest(path.name) and finished(path.name) and is_free(self.root / "locks" / path.name):
                remove(path)

    # --- who uses it

    @contextmanager
    def announce(self, suite: str, keys: Iterable[str]) -> Iterator[str]:
        """Say that a suite runs, so that nothing of these keys is pruned meanwhile; begins when no prune is under way.

        What exists is to be asked inside.  Gives the name of the run; empty where the store cannot be written: then it
        cannot be pruned either.
        """
        if not os.access(self.root / "runs", os.W_OK):
            yield ""
            return
        with self.store_errors():
            name = self.runs.begin(suite, keys)
            self.sweep(self.has)
        try:
            yield name
        finally:
            self.runs.end(name)
            with suppress(OSError):  # locks that stay do no harm
                remove_free(self.root / "locks")

    @contextmanager
    def pruning(self) -> Iterator[None]:
        """Held while a prune decides and removes: no run begins inside."""
        with self.store_errors(), self.runs.mutex():
            yield

    def running(self) -> list[Running]:
        """The runs that use the store now."""
        return self.runs.now()


def check_files(key: str, folder: Path, files: Mapping[str, str]) -> None:
    """Check every file against its checksum, and that the folder holds no other file.  Raises `DamagedArtefact`."""
    for name, expected in files.items():
        try:
            digest = file_digest(folder / name, follow=False)
        except DataError as error:
            raise DamagedArtefact(key, str(error)) from error
        if digest != expected:
            raise DamagedArtefact(key, f"{name} does not match its checksum")
    for name in os.listdir(folder):  # noqa: PTH208  # asked at every read
        # all files in the folder of a model are read, but not those that a system hides there (.nfs…)
        if name not in files and name != MANIFEST and not name.startswith("."):
            raise DamagedArtefact(key, f"{name!r} was not written with it")


def _digest_of(path: Path) -> str:
    """The checksum of a file of an artefact; a link is replaced by the file that it leads to.

    Raises `DataError` for what an artefact cannot hold.
    """
    if path.is_symlink() and path.is_file():
        there = path.resolve()
        path.unlink()
        shutil.copyfile(there, path)
    if (what := kind_of(path)) is not None:
        raise DataError(f"what is kept in the store needs files alone, and {path.name!r} is {what}; leave it out")
    if not is_name(path.name) or path.name == MANIFEST:
        raise DataError(f"what is kept in the store cannot have a file named {path.name!r}; name it otherwise")
    return file_digest(path, follow=False)


def _in_the_way(error: BaseException, root: Path) -> str | None:
    """What lies in the place of a file or folder of the store; None where that did not cause the error."""
    if not isinstance(error, OSError) or error.errno not in _IN_THE_WAY or not isinstance(error.filename, str):
        return None
    place = Path(error.filename)
    try:
        own = len(place.absolute().relative_to(root.absolute()).parts) <= 2
    except ValueError:
        return None
    return f"something else lies in the place of {place}, or above it" if own else None


_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO}


def measured(folder: Path) -> Size:
    """The bytes of all files in a folder, and when it was last changed; zeros where it is gone."""
    try:
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return Size(sum(sizes), folder.stat().st_mtime)
    except OSError:
        return Size(0, 0.0)


def _all_of(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where there is none."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _force(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _found_syncfs() -> Callable[[int], int] | None:
    """Linux's call that forces a whole file system to disk; None elsewhere, where each file is forced by itself."""
    try:
        syncfs: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError, TypeError):
        return None
    return syncfs


_syncfs = _found_syncfs()
