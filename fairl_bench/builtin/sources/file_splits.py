"""The rows of a data set's splits, from a file or from a folder in the hub's layout.

The library `datasets` says which files make a split; files of JSON, CSV and Parquet are read as everywhere else here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fairl_bench.errors import DataError
from fairl_bench.textfiles import csv_rows, json_objects, lines, opened, parsed, shown, twice

Format = Literal["json", "csv", "parquet"]
_FORMATS: Mapping[str, Format] = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}
# what a data set's card may say of its files without another reading of them
_NAMES = {"name", "version", "data_dir", "data_files", "description", "features", "sep", "delimiter"}


class SplitRows(NamedTuple):
    """The rows of a split, their number where it is known, and whether every cell is a text."""

    rows: Iterator[dict[str, Any]]
    size: int | None
    texts: bool = False


def file_format(path: Path) -> Format:
    """Return the format of a file by its name.  Raises `ValueError` for an unknown one."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED]
    if not suffixes or suffixes[-1] not in _FORMATS:
        raise ValueError(f"a file of pairs ends in one of {', '.join(_FORMATS)}")
    return _FORMATS[suffixes[-1]]


def rows_of_files(paths: Sequence[Path], form: Format, delimiter: str = ",") -> SplitRows:
    """Return the rows of files of one format, one file after the other; all must have the columns of the first."""
    readers: dict[Format, Callable[[Path], Iterator[dict[str, Any]]]] = {
        "json": _json,
        "csv": partial(_csv, delimiter=delimiter),
        "parquet": _parquet,
    }
    read = readers[form]
    return SplitRows((row for path in paths for row in read(path)), _count(paths, form), form == "csv")


def _count(paths: Sequence[Path], form: Format) -> int | None:
    """Return the number of rows of one plain file; None where counting would take long."""
    if len(paths) > 1 or form == "parquet" or paths[0].suffix in _COMPRESSED:
        return None
    if form == "csv":
        return sum(1 for _ in csv_rows(paths[0])[1])
    return None if paths[0].suffix == ".json" else sum(1 for _, line in lines(paths[0]) if line.strip())


def _json(path: Path) -> Iterator[dict[str, Any]]:
    """Return the objects of a file: one a line, or all of them in one list."""
    plain = path.with_suffix("") if path.suffix in _COMPRESSED else path
    if plain.suffix == ".jsonl" or not _is_list(path):
        for _, values in json_objects(path, unpack=True):
            yield values
        return
    text = "".join(line for _, line in lines(path, unpack=True))
    try:
        values = parsed(text)
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}; write one object a line, in a .jsonl") from error
    for number, row in enumerate(values):
        if not isinstance(row, dict):
            raise DataError(f"{path}: entry {number} of the list needs to be a JSON object, got {shown(row)}")
        yield row


def _is_list(path: Path) -> bool:
    first = next((line for _, line in lines(path, unpack=True) if line.strip()), "")
    return first.lstrip().startswith("[")


def _csv(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    for _, values in csv_rows(path, unpack=True, delimiter=delimiter)[1]:
        yield values


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with opened(path) as file:
        table = pq.ParquetFile(file)
        if (name := twice(table.schema_arrow.names)) is not None:
            raise DataError(f"{path}: two columns are named {shown(name)}; rename one, or remove it")
        for batch in table.iter_batches(batch_size=1000):
            yield from batch.to_pylist()


# --- a folder as the hub lays it out


def rows_of_folder(
    place: Path, cache: Path, config: str | None, data_dir: str | None
) -> Mapping[str, Callable[[], SplitRows]]:
    """Return, by split, a function that gives its rows; ``cache`` is an empty folder that must last as long."""
    import datasets

    root = cache / "links" / _plain(place.resolve().name)
    files = _linked(place, root)
    folder = None if data_dir is None else _plain(data_dir)
    builder = datasets.load_dataset_builder(str(root), config, data_dir=folder, cache_dir=str(cache / "datasets"))
    files_by_split: Mapping[str, Iterable[str]] = builder.config.data_files or {}
    sizes = {str(name): split.num_examples for name, split in (builder.info.splits or {}).items()}
    known: Format | None = next((form for form in _FORMATS.values() if form == builder.name), None)
    local = {str(name): [files.get(Path(path)) for path in paths] for name, paths in files_by_split.items()}
    if known is None or not all(path for paths in local.values() for path in paths):
        return {str(name): partial(_streamed, builder, str(name), sizes) for name in files_by_split}
    delimiter = _delimiter(place, builder.config)
    return {
        name: partial(_told, [path for path in paths if path], known, delimiter, sizes.get(name))
        for name, paths in local.items()
    }


def _told(paths: Sequence[Path], form: Format, delimiter: str, size: int | None) -> SplitRows:
    return rows_of_files(paths, form, delimiter)._replace(size=size)


def _streamed(builder: Any, name: str, sizes: Mapping[str, int]) -> SplitRows:
    return SplitRows((dict(row) for row in builder.as_streaming_dataset(split=name)), sizes.get(name))


def _delimiter(place: Path, config: Any) -> str:
    """Return what separates the cells of CSV.  Raises `DataError` where the data set has reading options of its own."""
    usual = type(config)()
    own = [
        field.name
        for field in fields(config)
        if field.name not in _NAMES and getattr(config, field.name) != getattr(usual, field.name)
    ]
    if own:
        raise DataError(
            f"data set {place} asks for options of its own ({', '.join(own)}); write its rows to a plain file and name "
            "that under 'local:'"
        )
    return str(getattr(config, "delimiter", None) or getattr(config, "sep", ","))


def _linked(place: Path, root: Path) -> dict[Path, Path]:
    """Make a folder of links to the folder's files, with the letters escaped that would be read as a pattern."""
    links = {}
    for file in sorted(place.rglob("*")):
        if file.is_file():
            link = root / _plain(str(file.relative_to(place)))
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
            links[link] = file
    return links


def _plain(name: str) -> str:
    """Return a name with the letters escaped that mean something in a pattern.

    >>> _plain("a[br]/*.csv")
    'a%5bbr%5d/%2a.csv'
    """
    return re.sub(r"[*?\[\]{}!:]", lambda found: f"%{ord(found[0]):02x}", name)
