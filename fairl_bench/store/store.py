"""What a store is: a table of artefacts by key, whatever holds them.

`fairl_bench.store.folder` keeps it in a folder, `fairl_bench.store.objects` behind a URL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from fairl_bench.store.running import Running


class Size(NamedTuple):
    """How large something is, and when it was made (seconds since 1970)."""

    bytes: int
    made: float


class Store(ABC):
    """Artefacts by key that several processes may share.  What is promised where: ``docs/reference/store.md``."""

    place: str
    """What `open_store` takes, also in another process."""
    root: Path
    """The folder on this machine: all of the store, or a copy of what was used here."""

    @property
    @abstractmethod
    def has_locks(self) -> bool:
        """Whether the folder's file system has locks; where it has none, files stand for them."""

    # --- one artefact

    @abstractmethod
    def path(self, key: str) -> Path:
        """Where an artefact lies in the folder, or would.  Raises `StoreError` for what is no key."""

    @abstractmethod
    def has(self, key: str) -> bool:
        """Whether the artefact is finished; its bytes are checked when it is read."""

    @abstractmethod
    def write(self, key: str, kind: str, save: Callable[[Path], None], facts: Mapping[str, Any]) -> None:
        """Keep an artefact: ``save(folder)`` writes its files; it appears at once and whole, or not at all."""

    @abstractmethod
    def settle(self) -> None:
        """Force what was written, by whatever process of this machine, to the disk.  Raises `StoreError`."""

    @abstractmethod
    def manifest(self, key: str) -> dict[str, Any]:
        """The kind, files and facts of an artefact.  Raises `DamagedArtefact`."""

    @abstractmethod
    def read(self, key: str) -> Path:
        """The folder of a finished artefact, every file checked against its checksum.  Raises `DamagedArtefact`."""

    @abstractmethod
    def checked(self, key: str) -> tuple[str, Path]:
        """The kind and the folder of a finished artefact, checked as by `read`."""

    @abstractmethod
    def sealed(self, key: str) -> bool:
        """Whether a manifest has a checksum of its own: those of earlier versions had none."""

    @abstractmethod
    def changed(self, key: str) -> bool:
        """Whether something of a finished artefact is younger than its manifest, which is written last."""

    @abstractmethod
    def confirm(self, key: str) -> None:
        """Check what has `changed`, once.  Raises `DamagedArtefact`."""

    @abstractmethod
    def verify(self, key: str) -> None:
        """Check an artefact as the store holds it.  Raises `DamagedArtefact`."""

    @abstractmethod
    def set_aside(self, key: str) -> str:
        """Move a damaged artefact out of the way, so that it is made again; where it went."""

    # --- work on an artefact

    @abstractmethod
    def lock(self, key: str, *, wait: bool = True) -> AbstractContextManager[None]:
        """Held while an artefact is made: processes of this machine wait for one another.

        Raises `filelock.Timeout` where it is taken and ``wait`` is off.
        """

    @abstractmethod
    def scratch(self, key: str) -> Path:
        """Where the unfinished work of an artefact keeps its checkpoints; always on this machine."""

    @abstractmethod
    def clear(self, key: str) -> None:
        """Remove the checkpoints of work that is finished."""

    @abstractmethod
    def store_errors(self) -> AbstractContextManager[None]:
        """Inside, what the disk refuses is raised as a `StoreError` that says what to do."""

    # --- all of them

    @abstractmethod
    def keys(self) -> list[str]:
        """The keys of all finished artefacts."""

    @abstractmethod
    def sizes(self) -> dict[str, Size]:
        """The size and age of every finished artefact, by key."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove an artefact, at once for whoever looks."""

    @abstractmethod
    def leftovers(self) -> dict[str, Size]:
        """What no artefact is part of, by its place: damaged artefacts, checkpoints, what dead processes left."""

    @abstractmethod
    def discard(self, leftover: str) -> None:
        """Remove one of `leftovers`.  Raises `StoreError` for what is none."""

    # --- who uses it

    @abstractmethod
    def announce(self, suite: str, keys: Iterable[str]) -> AbstractContextManager[str]:
        """Say that a suite runs, so that nothing of these keys is pruned meanwhile; gives the name of the run."""

    @abstractmethod
    def pruning(self) -> AbstractContextManager[None]:
        """Held while a prune decides and removes: no run begins inside."""

    @abstractmethod
    def running(self) -> list[Running]:
        """The runs that use the store now, as far as they are announced."""
