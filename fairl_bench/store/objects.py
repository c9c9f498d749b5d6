"""The table of answers in an object store, through fsspec; a folder on this machine holds what it has read and made.

::

    PLACE/manifests/KEY.json       what makes an artefact exist: written last, names the folder of its files
    PLACE/files/KEY/ID/            its files, as one writer left them; two writers never share an ID
    PLACE/damaged/KEY-ID/          what did not match its checksums, set aside
    PLACE/runs/                    what runs now, and the keys that it uses

Locks, checkpoints and half-written artefacts are those of the folder, so processes of one machine wait for one another.
Of two machines each may do a stage: the first manifest stands, and both go on with its answer.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs
from filelock import Timeout

from fairl_bench.digests import digest
from fairl_bench.errors import DamagedArtefact, MissingExtra, StoreError
from fairl_bench.store.manifest import MANIFEST, MOST_BYTES, is_sealed, manifest_text, read_manifest
from fairl_bench.store.running import DOUBT, Running, announced, announcement
from fairl_bench.store.store import Size, Store, check
from fairl_bench.untrusted import is_digest, is_name


class ObjectStore(Store):
    """Artefacts by key behind a URL; ``root`` is a copy that may be removed whenever nothing runs."""

    def __init__(self, url: str, root: Path | None = None) -> None:
        self.objects = Objects(url)
        super().__init__(root or copy_of(url))
        self.place = url
        self._seen: set[str] | None = None
        self._held: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether the artefact is finished; one that only this machine has is put into the store first.

        The store is listed once; what it lacked then is asked for again.
        """
        if self._seen is None:
            self._seen = set(self.keys())
        if key not in self._seen and (self.objects.exists(_manifest(key)) or self._offered(key)):
            self._seen.add(key)
        return key in self._seen

    def _offered(self, key: str) -> bool:
        """Put a whole artefact of this machine into the store: one that was made while the store was away, say."""
        if not Store.has(self, key):
            return False
        if key in self._held:
            return self._put_whole(key)
        try:
            with self.lock(key, wait=False):
                return self._put_whole(key)
        except Timeout:  # another process puts it just now
            return False

    def _put_whole(self, key: str) -> bool:
        try:
            Store.read(self, key)
        except DamagedArtefact:
            self._forget(key)
            return False
        self._put(key)
        return True

    @contextmanager
    def lock(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """Held while an artefact is made; processes on this machine wait for one another, those of others do not."""
        with super().lock(key, wait=wait):
            self._unsee(key)  # what the list had may be gone, or damaged and set aside by another process
            self._held.add(key)
            try:
                yield
            finally:
                self._held.discard(key)

    def write(self, key: str, kind: str, save: Callable[[Path], None], facts: Mapping[str, Any]) -> None:
        """Keep an artefact: made here, put into the store file by file, and there once its manifest is."""
        super().write(key, kind, save, facts)
        self._put(key)

    def _put(self, key: str) -> None:
        folder, place = self.path(key), f"files/{key}/{uuid.uuid4().hex}"
        told = Store.manifest(self, key)
        for name in told["files"]:
            self.objects.upload(folder / name, f"{place}/{name}")
        text = manifest_text(key, {**told, "place": place}).encode()
        if not self.objects.create(_manifest(key), text):  # another machine was first: its answer stands
            self.objects.remove([f"{place}/{name}" for name in told["files"]])
            self._forget(key)

    def manifest(self, key: str) -> dict[str, Any]:
        """The kind, files and facts of an artefact.  Raises `DamagedArtefact`."""
        return super().manifest(key) if Store.has(self, key) else self._told(key)

    def _told(self, key: str) -> dict[str, Any]:
        """The manifest as the store holds it."""
        text = self.objects.read(_manifest(key), MOST_BYTES)
        if text is None:
            raise DamagedArtefact(key, "its manifest is gone")
        if len(text) > MOST_BYTES:
            raise DamagedArtefact(key, f"its manifest holds more than {MOST_BYTES:,} bytes")
        found = read_manifest(key, text)
        if "place" not in found:
            raise DamagedArtefact(key, "its manifest lacks fields")
        return found

    def sealed(self, key: str) -> bool:
        """Whether a manifest has a checksum of its own: those of earlier versions had none."""
        return is_sealed(self._told(key))

    def changed(self, key: str) -> bool:
        """Never: this machine's copy is checked when it is read."""
        return False

    def read(self, key: str) -> Path:
        """The folder of a finished artefact on this machine, fetched once and checked at every read.

        A damaged copy is fetched again.  Raises `DamagedArtefact` where what the store holds is damaged.
        """
        if not Store.has(self, key):
            self._fetch(key)
        try:
            return super().read(key)
        except DamagedArtefact:
            self._forget(key)
        self._fetch(key)
        return super().read(key)

    def checked(self, key: str) -> tuple[str, Path]:
        """The kind and the folder of a finished artefact, checked as by `read`."""
        folder = self.read(key)
        return str(Store.manifest(self, key)["kind"]), folder

    def _fetch(self, key: str) -> None:
        with self.told(), self.half() as folder:
            told = self._fetched(key, folder)
            (folder / MANIFEST).write_text(manifest_text(key, told))
            self.keep(key, folder)

    def _fetched(self, key: str, folder: Path) -> dict[str, Any]:
        """Fetch an artefact's files into a folder and check them; its manifest."""
        told = self._told(key)
        for name in told["files"]:
            if not self.objects.download(f"{told['place']}/{name}", folder / name):
                raise DamagedArtefact(key, f"{name} is gone")
        check(key, folder, told["files"])
        return told

    def verify(self, key: str) -> None:
        """Check an artefact as the store holds it, not this machine's copy.  Raises `DamagedArtefact`."""
        with self.told(), self.half() as folder:
            self._fetched(key, folder)

    def set_aside(self, key: str) -> str:
        """Move a damaged artefact out of the way; where it went.  A whole copy on this machine will replace it."""
        place = f"damaged/{key}-{uuid.uuid4().hex[:8]}"
        text = self.objects.read(_manifest(key))
        if text is not None:
            self.objects.create(f"{place}/{MANIFEST}", text)
        self.objects.remove([_manifest(key)])  # first: from here on it is to be made again
        for name in self.objects.sizes(f"files/{key}"):
            self.objects.move(name, f"{place}/{name.rpartition('/')[2]}")
        self._unsee(key)
        return f"{self.place.rstrip('/')}/{place}"

    # --- all of them

    def keys(self) -> list[str]:
        """The keys of all finished artefacts."""
        return sorted(_keys_of(self.objects.sizes("manifests")))

    def sizes(self) -> dict[str, Size]:
        """The size and age of every finished artefact, by key."""
        made = {key: size.made for key, size in _keys_of(self.objects.sizes("manifests")).items()}
        total = dict.fromkeys(made, 0)
        for name, size in self.objects.sizes("files").items():
            if (key := name.split("/")[1]) in total:
                total[key] += size.bytes
        return {key: Size(total[key], made[key]) for key in sorted(made)}

    def remove(self, key: str) -> None:
        """Remove an artefact, its manifest first, and this machine's copy."""
        self.objects.remove([_manifest(key)])
        self.objects.remove(list(self.objects.sizes(f"files/{key}")))
        self._forget(key)
        self._unsee(key)

    def leftovers(self) -> dict[str, Size]:
        """What no artefact is part of: this machine's, what was set aside, and files that no manifest names.

        A file of the last day may be one that another machine is writing.
        """
        found: dict[str, Size] = {}
        for room, depth in (("damaged", 2), ("files", 3)):
            for path, size in self.objects.sizes(room).items():
                name = "/".join(path.split("/")[:depth])
                before = found.get(name, Size(0, 0.0))
                found[name] = Size(before.bytes + size.bytes, max(before.made, size.made))
        used = {self._place(key) for key in self.keys()}
        old = time.time() - _DAY
        kept = {name: size for name, size in found.items() if name not in used and not _young(name, size, old)}
        return {**super().leftovers(), **kept}

    def _place(self, key: str) -> str:
        """Where an artefact's files lie; nowhere where its manifest is broken."""
        try:
            return str(self._told(key)["place"])
        except DamagedArtefact:
            return ""

    def discard(self, leftover: str) -> None:
        """Remove one of `leftovers`."""
        room, *names = leftover.split("/")
        if room in ("damaged", "files") and names and all(map(is_name, names)):
            self.objects.remove([name for name in self.objects.sizes(leftover) if name.startswith(f"{leftover}/")])
        if room != "files":  # of this machine
            super().discard(leftover)

    # --- who uses it

    @contextmanager
    def announce(self, suite: str, keys: Iterable[str]) -> Iterator[None]:
        """Say that a suite runs, here and in the store; other machines believe it for a week unless it takes leave."""
        used = frozenset(keys)
        with self._announced(suite, used) as name:
            run = announcement(suite, used, name)
            try:
                self.objects.create(f"runs/{run.name}.json", run.text().encode())
            except StoreError as error:
                if not isinstance(error.__cause__, PermissionError):  # where nothing can be put, all may be finished
                    raise
            try:
                yield
            finally:
                with suppress(StoreError):  # the store may be why the run ends
                    self.objects.remove([f"runs/{run.name}.json"])

    def running(self) -> list[Running]:
        """The runs that use the store now, as far as they said so."""
        told = (announced(self.objects.read(name, MOST_BYTES) or b"") for name in self.objects.sizes("runs"))
        return [run for run in told if run is not None and self._alive(run)]

    def _alive(self, run: Running) -> bool:
        if run.host == socket.gethostname() and self.runs.folder.joinpath(f"{run.name}.json").exists():
            return self.runs.holds(run.name)
        return time.time() - run.began < DOUBT

    def _forget(self, key: str) -> None:
        """Remove this machine's copy."""
        with self.told():
            super().remove(key)

    def _unsee(self, key: str) -> None:
        if self._seen is not None:
            self._seen.discard(key)


def copy_of(url: str) -> Path:
    """Where this machine keeps its copy of a store: ``FAIRL_COPY``, else the user's cache; one folder a URL."""
    root = os.environ.get("FAIRL_COPY") or platformdirs.user_cache_path("fairl-bench") / "copies"
    return Path(root) / digest(url.rstrip("/"))[:16]


_DAY = 24 * 3600.0


def _young(name: str, size: Size, old: float) -> bool:
    """Whether files without a manifest may still get one."""
    return name.startswith("files/") and size.made > old


def _manifest(key: str) -> str:
    return f"manifests/{key}.json"


def _keys_of(found: Mapping[str, Size]) -> dict[str, Size]:
    """The keys that a listing has manifests of; whatever else lies among them is none."""
    keys = {name.removeprefix("manifests/").removesuffix(".json"): size for name, size in found.items()}
    return {key: size for key, size in keys.items() if is_digest(key) and _manifest(key) in found}


class Objects:
    """Objects by name below a URL; every failure is a `StoreError` that says what to do."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        try:
            # no listing is kept: another machine may have written since
            self.system, self.root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            scheme = url.partition("://")[0]
            extra = "pip install 'fairl-bench[s3]'" if scheme in ("s3", "s3a") else f"the fsspec package of {scheme}://"
            raise MissingExtra(f"the store {url} needs {extra}: {_first_line(error)}") from error
        with self._told():
            if hasattr(self.system, "call_s3"):  # its find takes a bucket that does not exist for an empty one
                self.system.call_s3("list_objects_v2", Bucket=self.root.split("/")[0], MaxKeys=1)

    def _at(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (StoreError, DamagedArtefact, KeyboardInterrupt):
            raise
        except Exception as error:  # each backend has errors of its own
            raise StoreError(f"the store {self.url} {_reason(error)}") from error

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        with self._told():
            try:  # not fsspec's exists: to it a store that cannot be reached holds nothing
                self.system.info(self._at(name))
            except FileNotFoundError:
                return False
            return True

    def read(self, name: str, most: int | None = None) -> bytes | None:
        """An object's bytes, one more than ``most`` of a larger one; None where there is none."""
        with self._told():
            try:
                if most is None:
                    return bytes(self.system.cat_file(self._at(name)))
                return self._read_part(name, most + 1)
            except FileNotFoundError:
                return None

    def _read_part(self, name: str, size: int) -> bytes:
        try:
            return bytes(self.system.cat_file(self._at(name), start=0, end=size))
        except FileNotFoundError:
            raise
        except (NotImplementedError, TypeError, ValueError, OSError):  # an empty object has no part
            return bytes(self.system.cat_file(self._at(name)))

    def create(self, name: str, data: bytes) -> bool:
        """Make an object unless there is one; whether it was made.

        Where the backend has no conditional put, another writer may come between the look and the put: then the later
        of two equal answers stands.
        """
        with self._told():
            try:
                self.system.pipe_file(self._at(name), data, mode="create")
            except FileExistsError:
                return False
            except (NotImplementedError, TypeError):
                if self.exists(name):
                    return False
                self.system.pipe_file(self._at(name), data)
            return True

    def upload(self, path: Path, name: str) -> None:
        """Put a file."""
        with self._told():
            self.system.put_file(str(path), self._at(name))

    def download(self, name: str, path: Path) -> bool:
        """Get a file; whether there is one."""
        with self._told():
            try:
                self.system.get_file(self._at(name), str(path))
            except FileNotFoundError:
                return False
            return True

    def move(self, name: str, other: str) -> None:
        """Give an object another name."""
        with self._told():
            self.system.copy(self._at(name), self._at(other))
        self.remove([name])

    def remove(self, names: list[str]) -> None:
        """Remove objects; those that are gone already are none to remove."""
        for name in names:
            with self._told(), suppress(FileNotFoundError):
                self.system.rm_file(self._at(name))

    def sizes(self, below: str) -> dict[str, Size]:
        """Size and age of every object below a name, by name."""
        with self._told():
            try:
                found = self.system.find(self._at(below), detail=True)
            except FileNotFoundError:
                return {}
        cut = len(self.root.rstrip("/")) + 1
        return {name[cut:]: Size(int(info["size"] or 0), _made(info)) for name, info in sorted(found.items())}


def _made(info: Mapping[str, Any]) -> float:
    """When an object was written, as its backend calls it; now where it does not say."""
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        found = info.get(name)
        if isinstance(found, datetime):
            return found.timestamp()
        if isinstance(found, int | float):
            return float(found)
    return time.time()


def _reason(error: Exception) -> str:
    """What went wrong with a store and what to do, for any backend."""
    name, said = type(error).__name__, _first_line(error)
    if name in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError"):
        return (
            f"needs credentials and found none ({said}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a "
            "profile in AWS_PROFILE"
        )
    if isinstance(error, PermissionError):
        return f"does not let you: {said}; ask for the right to list, read and write it, or name another with --store"
    if isinstance(error, FileNotFoundError):
        return f"cannot be used: {said}; make its bucket, or name another store with --store"
    return f"cannot be reached: {said}; run the same command again when it is back: finished work is kept"


def _first_line(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__
