"""Digests of values, files and folders: one rule for keys, locks and saved rewards.

Of a folder, the names and contents of its files count; its own name, times and permissions do not.  Links to files and
folders are followed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairl_bench.errors import DataError
from fairl_bench.guards.untrusted import open_file
from fairl_bench.textfiles import opened

_SHORT, _CHUNK = 2**14, 2**18  # bytes that are read at once: most files are short
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces; floats in their shortest form, NaN refused.

    >>> canonical({"b": 1.0, "a": [True, None, "é"]})
    '{"a":[true,null,"é"],"b":1.0}'
    """
    return _CANONICAL.encode(value)


def digest(value: object) -> str:
    """The SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_digest(path: Path | str, *, follow: bool = True) -> str:
    """The SHA-256 of a file's bytes.  Raises `DataError` where it cannot be read, or is a pipe, a device, a folder.

    A link is followed, or with ``follow`` off refused.
    """
    try:
        with opened(path) if follow else open_file(path, follow=False) as file:
            total = hashlib.sha256(start := file.read(_SHORT))
            if len(start) == _SHORT:
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
            return total.hexdigest()
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def folder_files(folder: Path, *, without: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """Each regular file below a folder: its name there, and its path; names come sorted within each folder.

    Links are followed.  A folder that is reached again gives its name alone, with the name under which it was read
    first; so does a link to a folder above this one.  Folders with a name in ``without`` are left out.  Raises
    `DataError` where a folder cannot be read.
    """
    yield from _below(folder, "", {}, os.path.realpath(folder), frozenset(without))


def _below(
    folder: Path, name: str, seen: dict[str, str], root: str, without: frozenset[str]
) -> Iterator[tuple[str, Path]]:
    seen[os.path.realpath(folder)] = name or "."
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}") from error
    for entry in entries:
        path, inner = Path(entry.path), f"{name}/{entry.name}" if name else entry.name
        if path.is_file():
            yield inner, path
        elif path.is_dir() and entry.name not in without:
            real = os.path.realpath(path)
            if root.startswith(real.rstrip("/") + "/"):
                yield f"{inner} -> ..", path
            elif real in seen:
                yield f"{inner} -> {seen[real]}", path
            else:
                yield from _below(path, inner, seen, root, without)


def content_sha256(path: Path) -> str:
    """One SHA-256 over a file's content, or over the names and contents of a folder's files."""
    if not is_folder(path):
        return file_digest(path)
    total = hashlib.sha256()
    for name, file in folder_files(path):
        total.update(f"{os.fsencode(name).hex()} {'' if file.is_dir() else file_digest(file)}\n".encode())
    return total.hexdigest()


def stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of change of a file, or of each file in a folder: quick to compare with an earlier stamp."""
    files = (file for _, file in folder_files(path)) if is_folder(path) else (path,)
    try:
        return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def is_folder(path: Path) -> bool:
    """Whether a folder has this path; a path that is too long, or that holds a null character, is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
