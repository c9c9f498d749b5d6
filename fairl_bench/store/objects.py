"""The store behind a URL, in an object store; a folder on this machine holds a copy of what was read and made here.

::

    PLACE/manifests/KEY.json       what makes an artefact exist: written last, names the folder of its files
    PLACE/files/KEY/ID/            its files, as one writer left them; two writers never share an ID
    PLACE/damaged/KEY-ID/          artefacts that did not match their checksums, set aside
    PLACE/runs/                    the runs that use the store now, and their keys

Locks, checkpoints and half-written artefacts are those of the folder, so processes of one machine wait for one another.
Of two machines each may do a stage: the first manifest stands, and both go on with its answer.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs
from filelock import Timeout

from fairl_bench.digests import digest
from fairl_bench.errors import DamagedArtefact, StoreError
from fairl_bench.guards.untrusted import is_digest, is_name
from fairl_bench.store.bucket import Bucket
from fairl_bench.store.folder import FolderStore, check_files
from fairl_bench.store.manifest import MANIFEST, MOST_BYTES, is_sealed, manifest_text, parse_manifest
from fairl_bench.store.running import DOUBT, Running, announced, announcement
from fairl_bench.store.store import Size, Store


class ObjectStore(Store):
    """Artefacts by key behind a URL; the folder is a copy that may be removed whenever nothing runs."""

    def __init__(self, url: str, root: Path | None = None) -> None:
        self.objects = Bucket(url)
        self.copy = FolderStore(root or copy_of(url))
        self.place, self.root = url, self.copy.root
        self._listed: set[str] | None = None
        self._held: set[str] = set()

    @property
    def has_locks(self) -> bool:
        """Whether the copy's file system has locks."""
        return self.copy.has_locks

    def path(self, key: str) -> Path:
        """Where this machine's copy of an artefact lies, or would."""
        return self.copy.path(key)

    def has(self, key: str) -> bool:
        """Whether the artefact is finished; one that only this machine has is put into the store first.

        The store is listed once; what it lacked then is asked for again.
        """
        if self._listed is None:
            self._listed = set(self.keys())
        if key not in self._listed and (self.objects.exists(_manifest(key)) or self._offered(key)):
            self._listed.add(key)
        return key in self._listed

    def _offered(self, key: str) -> bool:
        """Put a whole artefact of this machine into the store, if there is one: made while the store was away, say."""
        if not self.copy.has(key):
            return False
        if key in self._held:
            return self._put_whole(key)
        try:
            with self.lock(key, wait=False):
                return self._put_whole(key)
        except Timeout:  # another process puts it just now
            return False

    def _put_whole(self, key: str) -> bool:
        """Put an artefact of this machine into the store, if it is not damaged; whether it was."""
        try:
            self.copy.read(key)
        except DamagedArtefact:
            self._forget(key)
            return False
        self._put(key)
        return True

    @contextmanager
    def lock(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """Held while an artefact is made; processes on this machine wait for one another, those of others do not."""
        with self.copy.lock(key, wait=wait):
            self._forget_listed(key)  # another process may have removed it, or set it aside, since the store was listed
            self._held.add(key)
            try:
                yield
            finally:
                self._held.discard(key)

    def scratch(self, key: str) -> Path:
        """Where the unfinished work of an artefact keeps its checkpoints."""
        return self.copy.scratch(key)

    def clear(self, key: str) -> None:
        """Remove the checkpoints of work that is finished."""
        self.copy.clear(key)

    def store_errors(self) -> AbstractContextManager[None]:
        """Inside, what this machine's disk refuses is raised as a `StoreError`."""
        return self.copy.store_errors()

    def write(self, key: str, kind: str, save: Callable[[Path], None], facts: Mapping[str, Any]) -> None:
        """Keep an artefact: made here, put into the store file by file, and there once its manifest is."""
        self.copy.write(key, kind, save, facts)
        self._put(key)

    def _put(self, key: str) -> None:
        """Upload this machine's copy of an artefact, its manifest last."""
        folder, place = self.path(key), f"files/{key}/{uuid.uuid4().hex}"
        manifest = self.copy.manifest(key)
        for name in manifest["files"]:
            self.objects.upload(folder / name, f"{place}/{name}")
        text = manifest_text(key, {**manifest, "place": place}).encode()
        if not self.objects.create(_manifest(key), text):  # another machine was first: its answer stands
            self.objects.remove([f"{place}/{name}" for name in manifest["files"]])
            self._forget(key)

    def manifest(self, key: str) -> dict[str, Any]:
        """The kind, files and facts of an artefact.  Raises `DamagedArtefact`."""
        return self.copy.manifest(key) if self.copy.has(key) else self._remote_manifest(key)

    def _remote_manifest(self, key: str) -> dict[str, Any]:
        """The manifest as the store holds it."""
        text = self.objects.read(_manifest(key), MOST_BYTES)
        if text is None:
            raise DamagedArtefact(key, "its manifest is gone")
        if len(text) > MOST_BYTES:
            raise DamagedArtefact(key, f"its manifest holds more than {MOST_BYTES:,} bytes")
        manifest = parse_manifest(key, text)
        if "place" not in manifest:
            raise DamagedArtefact(key, "its manifest lacks fields")
        return manifest

    def sealed(self, key: str) -> bool:
        """Whether a manifest has a checksum of its own: those of earlier versions had none."""
        return is_sealed(self._remote_manifest(key))

    def settle(self) -> None:
        """Force this machine's copies to the disk."""
        self.copy.settle()

    def changed(self, key: str) -> bool:
        """Never: this machine's copy is checked when it is read."""
        return False

    def confirm(self, key: str) -> None:
        """Nothing: a copy that is damaged is fetched again."""

    def read(self, key: str) -> Path:
        """The folder of a finished artefact on this machine, fetched once and checked at every read.

        A damaged copy is fetched again.  Raises `DamagedArtefact` where what the store holds is damaged.
        """
        if not self.copy.has(key):
            self._fetch(key)
        try:
            return self.copy.read(key)
        except DamagedArtefact:
            self._forget(key)
        self._fetch(key)
        return self.copy.read(key)

    def checked(self, key: str) -> tuple[str, Path]:
        """The kind and the folder of a finished artefact, checked as by `read`."""
        folder = self.read(key)
        return str(self.copy.manifest(key)["kind"]), folder

    def _fetch(self, key: str) -> None:
        """Download an artefact into this machine's copy."""
        with self.store_errors(), self.copy.unfinished() as folder:
            manifest = self._fetched(key, folder)
            (folder / MANIFEST).write_text(manifest_text(key, manifest))
            self.copy.put(key, folder)

    def _fetched(self, key: str, folder: Path) -> dict[str, Any]:
        """Download the files of an artefact into a folder and check them; its manifest."""
        manifest = self._remote_manifest(key)
        for name in manifest["files"]:
            if not self.objects.download(f"{manifest['place']}/{name}", folder / name):
                raise DamagedArtefact(key, f"{name} is gone")
        check_files(key, folder, manifest["files"])
        return manifest

    def verify(self, key: str) -> None:
        """Check an artefact as the store holds it, not this machine's copy.  Raises `DamagedArtefact`."""
        with self.store_errors(), self.copy.unfinished() as folder:
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
        self._forget_listed(key)
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
        self._forget_listed(key)

    def leftovers(self) -> dict[str, Size]:
        """What no artefact is part of: this machine's, what was set aside, and files that no manifest names.

        A file of the last day may be one that another machine is writing.
        """
        sizes: dict[str, Size] = {}
        for folder, depth in (("damaged", 2), ("files", 3)):
            for path, size in self.objects.sizes(folder).items():
                name = "/".join(path.split("/")[:depth])
                before = sizes.get(name, Size(0, 0.0))
                sizes[name] = Size(before.bytes + size.bytes, max(before.made, size.made))
        used = {self._place(key) for key in self.keys()}
        old = time.time() - _DAY
        kept = {name: size for name, size in sizes.items() if name not in used and not _young(name, size, old)}
        return {**self.copy.leftovers(), **kept}

    def _place(self, key: str) -> str:
        """Where an artefact's files lie; nowhere where its manifest is broken."""
        try:
            return str(self._remote_manifest(key)["place"])
        except DamagedArtefact:
            return ""

    def discard(self, leftover: str) -> None:
        """Remove one of `leftovers`."""
        folder, *names = leftover.split("/")
        if folder in ("damaged", "files") and names and all(map(is_name, names)):
            self.objects.remove([name for name in self.objects.sizes(leftover) if name.startswith(f"{leftover}/")])
        if folder != "files":  # of this machine
            self.copy.discard(leftover)

    # --- who uses it

    @contextmanager
    def announce(self, suite: str, keys: Iterable[str]) -> Iterator[str]:
        """Announce a run, here and in the store; for other machines it counts for a week, unless it ends before."""
        used = frozenset(keys)
        with self.copy.announce(suite, used) as name:
            if name:
                with self.copy.store_errors():
                    self.copy.sweep(self.has)
            run = announcement(suite, used, name)
            try:
                self.objects.create(f"runs/{run.name}.json", run.text().encode())
            except StoreError as error:
                if not isinstance(error.__cause__, PermissionError):  # where nothing can be put, all may be finished
                    raise
            try:
                yield run.name
            finally:
                with suppress(StoreError):  # the store may be why the run ends
                    self.objects.remove([f"runs/{run.name}.json"])

    def pruning(self) -> AbstractContextManager[None]:
        """Held while a prune decides and removes: no run of this machine begins inside."""
        return self.copy.pruning()

    def running(self) -> list[Running]:
        """The runs that use the store now, as far as they are announced."""
        runs = (announced(self.objects.read(name, MOST_BYTES) or b"") for name in self.objects.sizes("runs"))
        return [run for run in runs if run is not None and self._alive(run)]

    def _alive(self, run: Running) -> bool:
        """Whether a run is alive: by its lock on this machine, else by its age."""
        if run.host == socket.gethostname() and self.copy.runs.folder.joinpath(f"{run.name}.json").exists():
            return self.copy.runs.holds(run.name)
        return time.time() - run.began < DOUBT

    def _forget(self, key: str) -> None:
        """Remove this machine's copy."""
        with self.store_errors():
            self.copy.remove(key)

    def _forget_listed(self, key: str) -> None:
        """Forget that the store was seen to have this artefact."""
        if self._listed is not None:
            self._listed.discard(key)


def copy_of(url: str) -> Path:
    """Where this machine keeps its copy of a store: ``FAIRL_COPY``, else the user's cache; one folder a URL."""
    root = os.environ.get("FAIRL_COPY") or platformdirs.user_cache_path("fairl-bench") / "copies"
    return Path(root) / digest(url.rstrip("/"))[:16]


_DAY = 24 * 3600.0


def _young(name: str, size: Size, old: float) -> bool:
    """Whether files without a manifest are so new that one may still come."""
    return name.startswith("files/") and size.made > old


def _manifest(key: str) -> str:
    return f"manifests/{key}.json"


def _keys_of(listing: Mapping[str, Size]) -> dict[str, Size]:
    """The keys of the manifests in a listing; other files in it are ignored."""
    keys = {name.removeprefix("manifests/").removesuffix(".json"): size for name, size in listing.items()}
    return {key: size for key, size in keys.items() if is_digest(key) and _manifest(key) in listing}
