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
from typing import TYPE_CHECKING, Final

import numpy as np

from fairl_bench.errors import DataError
from fairl_bench.guards.untrusted import depth, open_file, read_file
from fairl_bench.textfiles import parsed
from fairl_bench.values.data import Vectors

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

MOST_ABOUT: Final = 16 * 2**20
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


def read_json(path: Path) -> object:
    """What a file of JSON says.  Raises `OSError` where it cannot be read, and `ValueError` where it is damaged."""
    content: object = parsed(read_file(path, MOST_ABOUT, follow=False))
    if depth(content, _DEEPEST + 1) > _DEEPEST:
        raise ValueError("it is nested too deeply")
    return content


def check_file(path: Path, expected: str, most: int) -> None:
    """Hold a file against its checksum.  Raises `DataError`, also for one of more bytes, and for what is no file."""
    try:
        with open_file(path, follow=False) as file:
            if (size := os.fstat(file.fileno()).st_size) > most:
                raise DataError(f"{path} holds {size:,} bytes, and {most:,} is the most for it; use another reward")
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if digest != expected:
        raise DataError(f"{path} does not match its checksum; copy the whole folder again")


def read_arrays(path: Path) -> dict[str, Vectors]:
    """The arrays of a safetensors file.  Raises `DataError` for one that is damaged or holds no finite numbers."""
    from safetensors.numpy import load_file

    try:
        arrays = dict(load_file(path))
    except Exception as error:  # safetensors has an error of its own, numpy others
        raise DataError(f"{path} is no file of arrays: {_one_line(error)}; use another reward") from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise DataError(f"{path} holds something other than finite numbers in {name!r:.60}; use another reward")
    return arrays


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
        metadata, types = file.metadata, file.schema_arrow
        if "text" not in types.names or types.field("text").type != pa.dictionary(pa.int32(), pa.string()):
            raise DataError(f"{path} needs a column 'text' of texts, has {types.names!r:.100}; use another reward")
        column = types.names.index("text")
        unpacked = sum(_unpacked(metadata, group, column) for group in range(metadata.num_row_groups))
        _refuse_more(path, metadata.num_rows, unpacked)
        texts: list[str] = []
        size = 0
        for batch in file.iter_batches(_BATCH, columns=["text"]):
            column_of_batch = batch.column(0)
            if column_of_batch.null_count:
                raise DataError(f"{path} has a text that is null, after {len(texts)} others; use another reward")
            known = column_of_batch.dictionary.to_pylist()
            read = [known[i] for i in column_of_batch.indices.to_pylist()]
            size += sum(map(len, read))
            texts += read
            _refuse_more(path, len(texts), size)
    return tuple(texts)


def _unpacked(metadata: FileMetaData, group: int, column: int) -> int:
    """How many bytes a column of a row group is when it is no longer compressed, as the file says."""
    return int(metadata.row_group(group).column(column).total_uncompressed_size)


def _refuse_more(path: Path, rows: int, size: int) -> None:
    if rows > MOST_TEXTS or size > MOST_TEXT:
        raise DataError(
            f"{path} holds {rows:,} texts of {size:,} bytes or more, and {MOST_TEXTS:,} of {MOST_TEXT:,} are the most "
            "that are read; use another reward"
        )


def refuse_endless(value: object) -> None:
    """Raise `DataError` for a name in a spec, however deep, of what would be read without an end: a device, the disk.

    A part reads what its fields name, and a stranger's may name anything.
    """
    for text in _strings(value):
        if text in (".", "..") or not {os.sep, "/"} & set(text):  # a name of something else, or of a file at most
            continue
        try:
            mode = Path(text).stat().st_mode
        except (OSError, ValueError):  # no path at all
            continue
        if stat.S_ISDIR(mode):
            files_of(Path(text))
        elif not stat.S_ISREG(mode):
            raise DataError(f"{text} is neither a file nor a folder; name what the part should read instead")


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


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _strings(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _strings(entry)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
