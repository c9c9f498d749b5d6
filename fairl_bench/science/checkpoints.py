"""Checkpoints with checksums beside them, because torch reads flipped bits without an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


def seal(files: Iterable[Path], place: Path) -> None:
    """Write the checksum of each file, by its name, into the file ``place`` in their folder."""
    _write({path.name: [_digest(path)] for path in files}, place)


def replace(half: Path, checkpoint: Path) -> None:
    """Put a new checkpoint in the place of the old one; if that is interrupted, one of the two is still complete."""
    place = _beside(checkpoint)
    before = [_digest(checkpoint)] if checkpoint.exists() else []
    _write({checkpoint.name: [_digest(half), *before]}, place)
    half.replace(checkpoint)


def is_whole(checkpoint: Path) -> bool:
    """Return whether a checkpoint that `replace` wrote is unchanged."""
    return are_intact(_beside(checkpoint))


def are_intact(place: Path) -> bool:
    """Return whether every file that is named in a seal is unchanged."""
    try:
        told = json.loads(place.read_text())
        return all(_digest(place.with_name(name)) in digests for name, digests in told.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _beside(checkpoint: Path) -> Path:
    return checkpoint.with_name(f"{checkpoint.name}.sha256")


def _write(told: dict[str, list[str]], place: Path) -> None:
    half = place.with_name(f"{place.name}.half")
    half.write_text(json.dumps(told))
    half.replace(place)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
