"""Objects by name below a URL, through fsspec."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from fairl_bench.errors import DamagedArtefact, MissingExtra, StoreError
from fairl_bench.store.store import Size


class Bucket:
    """The objects below a URL, by name; every failure is a `StoreError` that says what to do."""

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
        with self._store_errors():
            if hasattr(self.system, "call_s3"):  # its find takes a bucket that does not exist for an empty one
                self.system.call_s3("list_objects_v2", Bucket=self.root.split("/")[0], MaxKeys=1)

    def _at(self, name: str) -> str:
        """The full name of an object."""
        return f"{self.root.rstrip('/')}/{name}"

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        """Inside, errors of the backend are raised as `StoreError`."""
        try:
            yield
        except (StoreError, DamagedArtefact, KeyboardInterrupt):
            raise
        except Exception as error:  # each backend has errors of its own
            raise StoreError(f"the store {self.url} {_reason(error)}") from error

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        with self._store_errors():
            try:  # not fsspec's exists: it says no for a store that cannot be reached
                self.system.info(self._at(name))
            except FileNotFoundError:
                return False
            return True

    def read(self, name: str, most: int | None = None) -> bytes | None:
        """The bytes of an object, at most one more than ``most``; None where there is none."""
        with self._store_errors():
            try:
                if most is None:
                    return bytes(self.system.cat_file(self._at(name)))
                return self._read_part(name, most + 1)
            except FileNotFoundError:
                return None

    def _read_part(self, name: str, size: int) -> bytes:
        """The first bytes of an object; all of them where the backend cannot read a part."""
        try:
            return bytes(self.system.cat_file(self._at(name), start=0, end=size))
        except FileNotFoundError:
            raise
        except (NotImplementedError, TypeError, ValueError, OSError):  # an empty object has no part
            return bytes(self.system.cat_file(self._at(name)))

    def create(self, name: str, data: bytes) -> bool:
        """Make an object unless there is one; whether it was made.

        Where the backend has no conditional put, another writer may come between test and put: then the later of two
        equal answers stays.
        """
        with self._store_errors():
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
        with self._store_errors():
            self.system.put_file(str(path), self._at(name))

    def download(self, name: str, path: Path) -> bool:
        """Get a file; whether there is one."""
        with self._store_errors():
            try:
                self.system.get_file(self._at(name), str(path))
            except FileNotFoundError:
                return False
            return True

    def move(self, name: str, other: str) -> None:
        """Give an object another name."""
        with self._store_errors():
            self.system.copy(self._at(name), self._at(other))
        self.remove([name])

    def remove(self, names: list[str]) -> None:
        """Remove objects, if they are there."""
        for name in names:
            with self._store_errors(), suppress(FileNotFoundError):
                self.system.rm_file(self._at(name))

    def sizes(self, below: str) -> dict[str, Size]:
        """Size and age of every object below a name, by name."""
        with self._store_errors():
            try:
                listing = self.system.find(self._at(below), detail=True)
            except FileNotFoundError:
                return {}
        cut = len(self.root.rstrip("/")) + 1
        return {name[cut:]: Size(int(info["size"] or 0), _made(info)) for name, info in sorted(listing.items())}


def _made(info: Mapping[str, Any]) -> float:
    """When an object was written, under the name that its backend has for it; now where it has none."""
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        made = info.get(name)
        if isinstance(made, datetime):
            return made.timestamp()
        if isinstance(made, int | float):
            return float(made)
    return time.time()


def _reason(error: Exception) -> str:
    """What went wrong with a store and what to do, for any backend."""
    name, message = type(error).__name__, _first_line(error)
    if name in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError"):
        return (
            f"needs credentials and found none ({message}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a "
            "profile in AWS_PROFILE"
        )
    if isinstance(error, PermissionError):
        return (
            f"does not let you: {message}; ask for the right to list, read and write it, or name another with --store"
        )
    if isinstance(error, FileNotFoundError):
        return f"cannot be used: {message}; make its bucket, or name another store with --store"
    return f"cannot be reached: {message}; run the same command again when it is back: finished work is kept"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
