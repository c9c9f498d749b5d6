"""Weights and data in a local folder or on the Hugging Face hub, and the digests that stand for them in a key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BeforeValidator

from fairl_bench.component import PathText
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.textfiles import opened


def is_folder(path: Path) -> bool:
    """Whether a name is that of a folder; a name too long for a path is not."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _folder_or_name(value: Any) -> Any:
    """A folder beside the suite by its full path; any other name as it is."""
    if isinstance(value, PathText) and value and is_folder(value.folder / value):
        return str(value.folder / value)
    return value


def _beside(value: Any) -> Any:
    return str(value.folder / value) if isinstance(value, PathText) and value else value


FolderOrName = BeforeValidator(_folder_or_name)
"""On a field: a folder, relative to the suite, or a name on the hub."""

Beside = BeforeValidator(_beside)
"""On a field: a file or a folder, relative to the suite; what it holds is for `Component.reads` to say."""


def digest(path: Path) -> str:
    """One SHA-256 over a file's content, or over the names and contents of a folder's files."""
    total = hashlib.sha256()
    try:
        for file in _files(path):
            if file != path:
                total.update(str(file.relative_to(path)).encode())
            with opened(file) as content:
                total.update(hashlib.file_digest(content, "sha256").digest())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return total.hexdigest()


def stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of change of a file, or of each in a folder: cheap to ask whether it is still the same."""
    try:
        return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _files(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _files(path: Path) -> Iterator[Path]:
    if is_folder(path):
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    else:
        yield path


def snapshot(
    name: str,
    revision: str | None,
    *,
    what: str,
    hint: str,
    repo_type: Literal["model", "dataset"] = "model",
    files: Sequence[str] = (),
) -> Path:
    """The folder of a hub repository's files, named by its commit: the one on this machine, else fetched now.

    ``files`` are patterns of those to fetch; none: all.  Raises `MissingExtra` where it is neither; the sentence says
    ``what`` it is and ends with the ``hint``.
    """
    from huggingface_hub import constants, snapshot_download

    more: dict[str, Any] = {} if repo_type == "model" else {"repo_type": repo_type}
    if files:
        more["allow_patterns"] = list(files)
    reason = "the hub cannot be reached"
    for local in (True, False):
        if not local and constants.HF_HUB_OFFLINE:
            break
        try:
            return Path(snapshot_download(name, revision=revision, local_files_only=local, **more))
        except Exception as error:  # the hub's client raises a dozen kinds
            if not local:
                reason = f"the hub gives none ({type(error).__name__})"
    raise MissingExtra(f"{what} is not on this machine and {reason}; {hint}")
