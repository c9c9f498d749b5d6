"""Which store a place names: a folder, or an object store behind a URL."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store


def default_store() -> str:
    """``FAIRL_STORE``, else a folder in the user's cache."""
    return os.environ.get("FAIRL_STORE") or str(platformdirs.user_cache_path("fairl-bench") / "store")


def open_store(place: str | Path) -> Store:
    """The store in a folder, or behind a URL that fsspec knows: ``s3://bucket/prefix``; ``file://`` is a folder.

    Raises `StoreError` for one that cannot be used, and `MissingExtra` where the URL needs a package.
    """
    scheme, mark, rest = str(place).partition("://")
    if not mark:
        return FolderStore(Path(place))
    if scheme == "file":
        return FolderStore(Path(rest))
    from fairl_bench.store.objects import ObjectStore  # not for a folder: fsspec takes a moment

    return ObjectStore(str(place))
