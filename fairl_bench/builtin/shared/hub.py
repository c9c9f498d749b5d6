"""Weights and data in a local folder or on the Hugging Face hub: fields that name them, and how they are fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BeforeValidator

from fairl_bench.component import PathText
from fairl_bench.digests import is_folder
from fairl_bench.errors import MissingExtra


def _folder_or_name(value: object) -> Any:
    """Return the full path of a folder beside the suite; any other name unchanged."""
    if isinstance(value, PathText) and value and is_folder(value.folder / value):
        return str(value.folder / value)
    return value


def _file_or_folder_or_name(value: object) -> Any:
    """Return the full path of a file or a folder beside the suite, a GGUF file's always; another name unchanged."""
    if (
        isinstance(value, PathText)
        and value
        and (is_file_name(value.folder / value) or is_folder(value.folder / value))
    ):
        return str(value.folder / value)
    return value


def is_file_name(path: Path) -> bool:
    """Return whether a path is that of a file: one is there, or it ends in ``.gguf`` and no folder is there."""
    try:
        return path.is_file() or (path.suffix == GGUF and not path.is_dir())
    except (OSError, ValueError):  # too long for a path
        return False


def _beside(value: object) -> Any:
    return str(value.folder / value) if isinstance(value, PathText) and value else value


GGUF: Final = ".gguf"

FolderOrName = BeforeValidator(_folder_or_name)
"""On a field: a folder, relative to the suite, or a name on the hub."""

FileOrFolderOrName = BeforeValidator(_file_or_folder_or_name)
"""On a field: a file or a folder, relative to the suite, or a name on the hub."""

Beside = BeforeValidator(_beside)
"""On a field: a file or a folder, relative to the suite; what it holds is for `Component.reads` to say."""


def snapshot(
    name: str,
    revision: str | None,
    *,
    what: str,
    hint: str,
    repo_type: Literal["model", "dataset"] = "model",
    files: Sequence[str] = (),
) -> Path:
    """Return the folder of a hub repository's files, named by its commit: the one on this machine, or one fetched now.

    ``files`` are patterns of the files to fetch; none: all.  Raises `MissingExtra` where there is neither; its sentence
    says ``what`` it is and ends with the ``hint``.
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
