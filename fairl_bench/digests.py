"""The digest that stands for a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fairl_bench.errors import DataError
from fairl_bench.textfiles import opened


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes.  Raises `DataError` where it cannot be read."""
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
