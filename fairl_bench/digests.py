"""The digest that stands for a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fairl_bench.errors import DataError
from fairl_bench.outside import open_file
from fairl_bench.textfiles import opened


def file_digest(path: Path, *, follow: bool = True) -> str:
    """The SHA-256 of a file's bytes.  Raises `DataError` where it cannot be read, or is a pipe, a device, a folder.

    A link is followed, or with ``follow`` off refused.
    """
    try:
        with opened(path) if follow else open_file(path, follow=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
