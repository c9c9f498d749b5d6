"""The files of a saved reward, read with limits: whoever hands one on may have made it up.

A kilobyte of Parquet can stand for a terabyte of text, a name for a device, JSON for more brackets than Python counts.
Each is refused in a sentence before it is used.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairl_bench.errors import DataError
from fairl_bench.textfiles import parsed
from fairl_bench.untrusted import depth, open_file, read_file

MOST_TOLD: Final = 16 * 2**20
"""Bytes of ``reward.json``."""
MOST_ARRAYS: Final = 2 * 2**30
"""Bytes of what a method learnt."""
MOST_TEXT: Final = 2 * 2**30
"""Bytes of all training texts together, as they are read."""
MOST_TEXTS: Final = 20_000_000
MOST_FILES: Final = 10_000
"""Files of a model's folder; the whole disk has more."""
_DEEPEST = 32
_BATCH = 4096  # texts that are looked at together


def read_told(path: Path) -> Any:
    """What a file of JSON says.  Raises `OSError` where it cannot be read, and `ValueError` where it is damaged."""
    found = parsed(read_file(path, MOST_TOLD, follow=False))
    if depth(found, _DEEPEST + 1) > _DEEPEST:
        raise ValueError("it is nested too deeply")
    return found


def checked(path: Path, expected: str, most: int) -> None:
    """Hold a file against its checksum.  Raises `DataError`, also for one of more bytes, and for what is no file."""
    try:
        with open_file(path, follow=False) as file:
            if (size := os.fstat(file.fileno()).st_size) > most:
                raise DataError(f"{path} holds {size:,} bytes, and {most:,} is the most for it; use another reward")
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if found != expected:
        raise DataError(f"{path} does not match its checksum; copy the whole folder again")


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of a safetensors file.  Raises `DataError` for one that is damaged or holds no finite numbers."""
    from safetensors.numpy import load_file

    try:
        found = dict(load_file(path))
    except Exception as error:  # safetensors has an error of its own, numpy others
        raise DataError(f"{path} is no file of arrays: {_one_line(error)}; use another reward") from error
    for name, array in found.items():
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise DataError(f"{path} holds something other than finite numbers in {name!r:.60}; use another reward")
    return found


def read_corpus(path: Path) -> tuple[str, ...]:
    """The training texts.  Raises `DataError` for a file that holds something else, or more than there is room for."""
    try:
        return _texts(path)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{path} is no Parquet file of texts: {_one_line(error)}; use another reward") from error


def _texts(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # dictionaries stay what they are: a text that stands in a million rows is held once
    with pq.ParquetFile(path, read_dictionary=["text"]) as file:
        told, types = file.metadata, file.schema_arrow
        if "text" not in types.names or types.field("text").type != pa.dictionary(pa.int32(), pa.string()):
            raise DataError(f"{path} needs a column 'text' of texts, has {types.names!r:.100}; use another reward")
        column = types.names.index("text")
        _refuse_more(path, told.num_rows, sum(_unpacked(told, group, column) for group in range(told.num_row_groups)))
        found: list[str] = []
        size = 0
        for batch in file.iter_batches(_BATCH, columns=["text"]):
            texts = batch.column(0)
            if texts.null_count:
                raise DataError(f"{path} has a text that is null, after {len(found)} others; use another reward")
            known = texts.dictionary.to_pylist()
            mine = [known[i] for i in texts.indices.to_pylist()]
            size += sum(map(len, mine))
            found += mine
            _refuse_more(path, len(found), size)
    return tuple(found)


def _unpacked(told: Any, group: int, column: int) -> int:
    """How many bytes a column of a row group is when it is no longer compressed, as the file says."""
    return int(told.row_group(group).column(column).total_uncompressed_size)


def _refuse_more(path: Path, rows: int, size: int) -> None:
    if rows > MOST_TEXTS or size > MOST_TEXT:
        raise DataError(
            f"{path} holds {rows:,} texts of {size:,} bytes or more, and {MOST_TEXTS:,} of {MOST_TEXT:,} are the most "
            "that are read; use another reward"
        )


def refuse_endless(value: Any) -> None:
    """Raise `DataError` for a name in a spec, however deep, of what would be read without an end: a device, the disk.

    A part reads what its fields name, and a stranger's may name anything.
    """
    for one in _strings(value):
        if one in (".", "..") or not {os.sep, "/"} & set(one):  # a name of something else, or of a file at most
            continue
        try:
            mode = Path(one).stat().st_mode
        except (OSError, ValueError):  # no path at all
            continue
        if stat.S_ISDIR(mode):
            files_of(Path(one))
        elif not stat.S_ISREG(mode):
            raise DataError(f"{one} is neither a file nor a folder; name what the part should read instead")


def files_of(folder: Path) -> list[Path]:
    """The files below a folder, sorted.  Raises `DataError` where there are more than a model has."""
    found: list[Path] = []
    seen = 0
    for place, folders, names in os.walk(folder):
        seen += len(folders) + len(names)
        if seen > MOST_FILES:
            raise DataError(f"{folder} holds more than {MOST_FILES:,} files and folders, so that it is no model's")
        found += [path for name in names if _is_file(path := Path(place, name))]
    return sorted(found)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
