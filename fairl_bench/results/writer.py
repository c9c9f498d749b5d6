"""Puts files into a results folder and removes them; everything that is written goes through here.

Files are written into a folder of their own beside the others, noted in the manifest with the checksum before and the
one to come, renamed into place, and noted for good.  Whatever ends a run meanwhile, each file is the old or the new
one, and the next run recognises it as ours.  Somebody else's file in the place of one of ours is refused by name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fairl_bench.digests import file_digest
from fairl_bench.errors import DataError, ResultsError
from fairl_bench.guards.permissions import as_its_folder
from fairl_bench.guards.secrets import hidden
from fairl_bench.results.before_manifests import BEFORE, files_of, owner_of
from fairl_bench.results.folder import (
    MANIFEST,
    NOTHING,
    DamagedManifest,
    Entry,
    Manifest,
    ResultsFolder,
    read_manifest,
)
from fairl_bench.results.lock import locked
from fairl_bench.store.disk import refusal

if TYPE_CHECKING:
    import pyarrow as pa

MOST_REMEMBERED = 2**28
"""Bytes of written files that are kept in memory, so that the same process need not read them."""
_HALF = ".fairl-bench-half-"  # and a number: a folder of half-written files


class Writer(ResultsFolder):
    """Writes into a results folder: files are staged inside of `held`, and put into place by `commit`."""

    def __init__(self, path: Path, suite: str | None = None) -> None:
        self.path, self._place, self.manifest = path, str(path), None
        self.suite = suite  # None: the one that the manifest names; without a manifest none is written
        self.adopts = False  # a folder of before: its files are taken for ours, and none for whole
        self._half: Path | None = None
        self._staged: dict[str, tuple[Path, Entry]] = {}
        self._dropped: set[str] = set()
        self._number = count()
        self._digests: dict[tuple[int, int], str] = {}  # by device and inode: rewards of one world share a file
        self._is_held = False
        self._written: dict[str, tuple[str, bytes | pa.Table]] = {}  # by place: SHA-256 and content
        self._bytes = 0  # of these

    @classmethod
    def of(cls, files: ResultsFolder) -> Writer:
        """The writer of a folder that was read; the one that a run writes with, where there is one."""
        if isinstance(files, Writer):
            return files
        writer = cls(files.path)
        writer.manifest = files.manifest
        return writer

    @contextmanager
    def held(self, waits: Callable[[str], None] = lambda message: None) -> Iterator[None]:
        """Lock the folder: another run waits, after a call of ``waits``.  What is not committed is forgotten.

        Inside of itself it does nothing.
        """
        if self._is_held:
            yield
            return
        with ExitStack() as stack:
            with self.refusals_explained():
                self.path.mkdir(parents=True, exist_ok=True)
                alone = stack.enter_context(locked(self.path, waits))
            stack.callback(self._release)
            self._is_held = True
            self._begin(alone=alone)
            yield

    def _begin(self, *, alone: bool) -> None:
        self._digests.clear()
        self._read_manifest()
        if alone:  # what a run that was killed left half-written
            for path in self.path.glob(f"{_HALF}*"):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)

    def _read_manifest(self) -> None:
        self.adopts, broken = False, False
        try:
            self.manifest = read_manifest(self.path)
        except DamagedManifest:
            self.manifest, broken = None, True
        if self.manifest is None and (owner := owner_of(self.path)) is not None:
            self.manifest, self.adopts = Manifest(owner, dict(files_of(self.path, self.there))), True
        elif broken:
            raise ResultsError(
                f"{self.path / MANIFEST} is damaged or none of ours, and nothing else in the folder says which run it "
                "is of; move it away, or name another folder with --results"
            )

    def owner(self) -> str | None:
        """The suite that the folder belongs to; None where it is nobody's yet."""
        return None if self.manifest is None else self.manifest.suite

    # --- what is there

    def there(self, name: str) -> str:
        """The SHA-256 of the file in a place; empty where there is no plain file."""
        path = f"{self._place}/{name}"
        try:
            status = os.lstat(path)  # a run asks thrice for each file
            if not stat.S_ISREG(status.st_mode):
                return NOTHING
            inode = (status.st_dev, status.st_ino)
            if inode not in self._digests:
                self._digests[inode] = file_digest(path, follow=False)
        except (OSError, DataError):
            return NOTHING
        return self._digests[inode]

    def entry(self, name: str) -> Entry | None:
        """The manifest's entry of a file."""
        return None if self.manifest is None else self.manifest.files.get(name)

    def damaged(self, name: str) -> bool:
        """True where a file of ours is not what was written."""
        entry = self.entry(name)
        return entry is not None and not entry.fits(self.there(name))

    def holds(self, name: str, of: str) -> bool:
        """True where a file that was made from this lies there, whole."""
        entry = self.entry(name)
        return not self.adopts and entry is not None and (entry.of, entry.sha256) == (of, self.there(name))

    def listed(self, start: str = "") -> list[str]:
        """The places of our committed files that begin so."""
        return [] if self.manifest is None else sorted(name for name in self.manifest.files if name.startswith(start))

    # --- what this process has written is not read again

    def read(self, name: str) -> bytes:
        """The content of a file: what was written here, else what lies on the disk."""
        content = self._remembered(name)
        return content if isinstance(content, bytes) else super().read(name)

    def table(self, name: str) -> pa.Table:
        """The rows of a Parquet file: what was written here, else what lies on the disk."""
        content = self._remembered(name)
        return super().table(name) if content is None or isinstance(content, bytes) else content

    def _remembered(self, name: str) -> bytes | pa.Table | None:
        """The content that was written here, unless another run has replaced it or it was too much to remember."""
        sha256, content = self._written.get(name, (NOTHING, None))
        entry = self._staged[name][1] if name in self._staged else self.entry(name)
        return content if entry is not None and entry.sha256 == sha256 else None

    def _remember(self, name: str, sha256: str, content: bytes | pa.Table) -> None:
        """Keep what was written in memory, as far as there is room."""
        _, before = self._written.pop(name, (NOTHING, b""))
        self._bytes += _size(content) - _size(before)
        if self._bytes <= MOST_REMEMBERED:
            self._written[name] = (sha256, content)
        else:  # it is read from the disk where it is asked for
            self._bytes -= _size(content)

    # --- what is to be there

    def stage(self, name: str, of: str, save: Callable[[Path], None], sha256: str | None = None) -> Entry:
        """Put a file into place at the next commit: ``save(path)`` writes or links it; ``sha256`` is known of it."""
        with self.refusals_explained():
            path = self._half_written()
            save(path)
            as_its_folder(path)
            entry = Entry(sha256 or self._digests.get(_inode(path)) or file_digest(path), of)
            self._stage(name, path, entry)
        return entry

    def put(self, name: str, of: str, text: str | bytes) -> None:
        """Put a text, without its secrets, into place at the next commit, unless it lies there already."""
        content = hidden(text).encode("utf-8") if isinstance(text, str) else text
        entry = Entry(_sha256(content), of)
        if name in self._staged or self.entry(name) != entry or self.damaged(name):
            self._write(name, entry, content)
        if isinstance(text, str):
            self._remember(name, entry.sha256, content)

    def put_table(self, name: str, of: str, table: pa.Table) -> None:
        """Put rows into place at the next commit, as a Parquet file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        content = sink.getvalue()
        entry = Entry(_sha256(content), of)
        self._write(name, entry, content)
        self._remember(name, entry.sha256, table)

    def _write(self, name: str, entry: Entry, content: bytes | pa.Buffer) -> None:
        with self.refusals_explained():
            path = self._half_written()
            _write(path, content)
            self._stage(name, path, entry)

    def _half_written(self) -> Path:
        """A path for a file until the next commit."""
        if self._half is None:
            self._half = self.path / f"{_HALF}{uuid.uuid4().hex[:8]}"
            self._half.mkdir()
        return self._half / str(next(self._number))

    def _stage(self, name: str, path: Path, entry: Entry) -> None:
        self._digests[_inode(path)] = entry.sha256  # it is not read again once it is in place
        self._staged[name] = (path, entry)
        self._dropped.discard(name)

    @property
    def dropped(self) -> frozenset[str]:
        """The files that are removed at the next commit."""
        return frozenset(self._dropped)

    def staged(self, name: str) -> Path | None:
        """The path of a file until the next commit; None where there is none for this place."""
        return self._staged[name][0] if name in self._staged else None

    def drop(self, name: str) -> None:
        """Remove a file of ours at the next commit."""
        entry = self.entry(name)
        if entry is not None and (entry.of != BEFORE or self.damaged(name)):  # what stays on the disk stays listed
            self._dropped.add(name)

    def refuse(self, names: Iterable[str]) -> None:
        """Raise `ResultsError` where somebody else's file lies in the place of one of these."""
        seen = set[str]()
        for name in names:
            folder, _, _ = name.rpartition("/")
            if folder and folder not in seen:
                seen.add(folder)
                for above in (*reversed(PurePosixPath(folder).parents[:-1]), folder):
                    self._refuse(str(above), folder=True)
            self._refuse(name, folder=False)

    def _refuse(self, name: str, *, folder: bool) -> None:
        """Raise `ResultsError` where something other than a file or folder of ours lies in a place."""
        path = f"{self._place}/{name}"
        try:
            mode = os.lstat(path).st_mode  # as `there`
        except OSError:  # nothing is there
            return
        if folder and stat.S_ISDIR(mode):
            return
        if not folder and stat.S_ISREG(mode) and self.entry(name) is not None:
            return
        kinds = ((stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"), (stat.S_ISREG, "a file"))
        what = next((kind for holds, kind in kinds if holds(mode)), "something")
        raise ResultsError(
            f"{path} is {what} that no run has written, in the place of {'a folder' if folder else 'a file'} of this "
            "run; move it away, or name another folder with --results"
        )

    def commit(self) -> None:
        """Put what was staged into place, and remove what was dropped."""
        before = {} if self.manifest is None else dict(self.manifest.files)
        gone = {name for name in self._dropped if name in before}
        new = {name: entry for name, (_, entry) in self._staged.items()}
        if not new and not gone and (self.manifest is None or self.manifest.settled):
            return
        self.refuse(new)
        settled = {name: self._settled(name, entry) for name, entry in before.items() if name not in gone} | new
        meanwhile = settled | {name: entry._replace(was=self.there(name)) for name, entry in new.items()}
        meanwhile |= {name: Entry(NOTHING, before[name].of, self.there(name)) for name in gone}
        with self.refusals_explained():
            self._note(meanwhile)
            for name, (path, _) in self._staged.items():
                self._forget_digest(name)
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                path.replace(self.path / name)
            for name in gone:
                if before[name].of != BEFORE:  # somebody else's, maybe
                    self._remove(name)
            self._note({name: entry for name, entry in settled.items() if entry.sha256 != NOTHING})
        self._forget()

    def _settled(self, name: str, entry: Entry) -> Entry:
        """The entry of a file that a run, ended while it wrote, may have left before or after."""
        if entry.was is None:
            return entry
        there = self.there(name)
        if entry.sha256 == there or not entry.fits(there):
            return entry._replace(was=None)
        # the one before, of which nothing but a Parquet file says what it was made from
        return Entry(there, (ResultsFolder.made_from(self, name) or "") if there else "")

    def _remove(self, name: str) -> None:
        path = self.path / name
        if path.is_symlink() or not path.is_file():  # it is gone, or what lies there is not ours
            return
        self._forget_digest(name)
        path.unlink()
        for above in path.relative_to(self.path).parents[:-1]:
            with suppress(OSError):  # it holds something still
                (self.path / above).rmdir()

    def _forget_digest(self, name: str) -> None:
        """Forget the digest of a file that goes: a new one may get its inode."""
        with suppress(OSError):
            self._digests.pop(_inode(self.path / name), None)

    def _note(self, files: dict[str, Entry]) -> None:
        """Write the manifest with these files."""
        self.manifest = Manifest(self.suite or (self.owner() or ""), files)
        if self.suite is None and self.adopts:
            return  # a page alone takes nothing of a folder of before for whole
        half = self.path / f"{_HALF}{uuid.uuid4().hex[:8]}" if self._half is None else self._half
        half.mkdir(exist_ok=True)
        self._half = half
        (half / MANIFEST).write_text(self.manifest.text(), encoding="utf-8")
        (half / MANIFEST).replace(self.path / MANIFEST)

    def _release(self) -> None:
        self._is_held = False
        self._forget()
        self._digests.clear()

    def _forget(self) -> None:
        self._staged.clear()
        self._dropped.clear()
        if self._half is not None:
            shutil.rmtree(self._half, ignore_errors=True)
            self._half = None

    @contextmanager
    def refusals_explained(self) -> Iterator[None]:
        """Turn an error of the disk inside into a `ResultsError` that says what to do about it."""
        try:
            yield
        except OSError as error:
            why = refusal(error, self.path, "--results")
            if why is None and not _below(error, self.path):
                raise
            what, advice = why or (error.strerror or str(error), "name another with --results")
            raise ResultsError(f"the results folder {self.path} cannot be written: {what}; {advice}") from error


def _below(error: OSError, root: Path) -> bool:
    """True where an error is about a place in the folder, or above it."""
    names = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return any(name.is_relative_to(root) or root.is_relative_to(name) for name in names)


def _write(path: Path, content: bytes | pa.Buffer) -> None:
    path.write_bytes(content)


def _inode(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _sha256(content: bytes | pa.Buffer) -> str:
    return hashlib.sha256(content).hexdigest()


def _size(content: bytes | pa.Table) -> int:
    return len(content) if isinstance(content, bytes) else int(content.nbytes)
