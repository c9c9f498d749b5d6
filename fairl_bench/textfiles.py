"""Reads files of JSON lines and CSV in one way for all readers; what cannot be read is refused in a sentence.

Only regular files, so that none keeps its reader waiting; only UTF-8; no name twice in a row or a header; every cell is
the text that stands there, be it ``NA`` or ``null``, and as long as it is.
"""

from __future__ import annotations

import csv
import json
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from fairl_bench.errors import DataError

LONGEST = 2**28
"""Bytes of a line at most: a file of nothing but null characters has one line, however large it is."""
_KINDS = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}


def opened(path: Path | str) -> BufferedReader:
    """A file's bytes.  Raises `DataError` for what is not there or no file, such as a pipe, without waiting for it."""
    try:
        mode = Path(path).stat().st_mode
        kind = next((name for is_kind, name in _KINDS.items() if is_kind(mode)), None)
        if kind is not None:
            raise DataError(f"{path} cannot be read: it is {kind}; write its content to a file and name that")
        return Path(path).open("rb")
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def lines(path: Path | str, *, unpack: bool = False) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1, its end included; ``unpack``: also of a file compressed as its suffix says."""
    import lzma

    number = 0
    try:
        with ExitStack() as stack:  # decoded by the line: by the block, a complaint names the wrong one
            file = stack.enter_context(opened(path))
            source = stack.enter_context(_unpacked(file, Path(path).suffix)) if unpack else file
            for number, line in enumerate(iter(partial(source.readline, LONGEST), b""), 1):
                if len(line) == LONGEST:
                    raise DataError(f"{path}:{number}: is a line of more than {LONGEST:,} bytes; mend the file")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if "\0" in text:
                    raise DataError(f"{path}:{number}: holds a null character; convert the file to UTF-8, or mend it")
                yield number, text
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number or 1}: is not UTF-8; convert the file") from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _unpacked(file: BinaryIO, suffix: str) -> AbstractContextManager[BinaryIO]:
    """The content of a compressed file; any other file as it is."""
    import bz2
    import gzip
    import lzma

    unpack: dict[str, Callable[[BinaryIO], Any]] = {
        ".gz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
        ".zst": _zst,
    }
    content: AbstractContextManager[BinaryIO] = unpack.get(suffix, nullcontext)(file)
    return content


def _zst(file: BinaryIO) -> Any:
    """The content of a file compressed by zstd.  Raises `DataError` where that cannot be read here."""
    try:
        zstandard = import_module("zstandard")  # no part of the installation
    except ImportError as error:
        raise DataError(f"{file.name} is compressed by zstd; unpack it, or install zstandard") from error
    return zstandard.open(file)


# --- JSON


def parsed(text: str | bytes) -> Any:
    """The value of a JSON text, in UTF-8.  Raises `ValueError`, whose text says why, also where a name stands twice.

    >>> parsed('{"a": [1, null]}')
    {'a': [1, None]}
    """
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg[0].lower()}{error.msg[1:]}, at character {error.colno}") from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        if "integer string conversion" in str(error):  # Python's own words are for programmers
            raise ValueError(f"a number in it has over {sys.get_int_max_str_digits()} digits") from None
        raise


def twice(names: Sequence[str]) -> str | None:
    """The first name that occurs a second time.

    >>> twice(["a", "b", "a"])
    'a'
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The entries of a JSON object.  Raises `ValueError` where a name stands twice."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError(f"the name {shown(twice([name for name, _ in pairs]))} stands twice")
    return entries


def _finite(text: str) -> float:
    """The number of a JSON text.  Raises `ValueError` where it is infinite."""
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large for a number")
    return number


def _no_number(constant: str) -> None:
    """Raise `ValueError` for ``NaN`` and ``Infinity``."""
    raise ValueError(f"{constant} is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repetition, parse_constant=_no_number, parse_float=_finite)


def json_objects(path: Path | str, *, unpack: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's object with its number; blank lines apart.  Raises `DataError` at the line of a mistake."""
    for number, line in lines(path, unpack=unpack):
        if line.strip():
            try:
                values = parsed(line.rstrip())
            except ValueError as error:
                raise DataError(f"{path}:{number}: is not JSON: {error}") from error
            if not isinstance(values, dict):
                raise DataError(f"{path}:{number}: needs a JSON object, got {line.strip()[:40]!r}")
            yield number, values


def _json(value: object) -> str:
    """A value as JSON has it."""
    return json.dumps(value, ensure_ascii=False)


def shown(value: object, most: int = 60, write: Callable[[object], str] = _json) -> str:
    """A value as JSON has it, cut short: a text and the number that looks like it are told apart.

    >>> shown("1"), shown(1), shown(None), shown(True)
    ('"1"', '1', 'null', 'true')
    """
    try:
        text = write(value)
    except (TypeError, ValueError, RecursionError):  # nested deep, or digits by the thousand
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= most else text[: most - 3] + "..."


def brief(value: object) -> str:
    """A value as Python has it, cut short."""
    return shown(value, write=repr)


# --- numbers in texts

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,1000}")


def number_of(text: str) -> float | None:
    """The finite number that a text is; None for any other, for ``nan``, ``inf`` and Python's ``1_000`` too.

    >>> number_of("1e-3"), number_of(" 2. "), number_of("1_000"), number_of("inf"), number_of("1e999")
    (0.001, 2.0, None, None, None)
    """
    number = float(text) if _NUMBER.fullmatch(text.strip(" \t")) else float("nan")
    return number if abs(number) < float("inf") else None


def whole_of(text: str) -> int | None:
    """The whole number that a text is in plain digits; None for any other.

    >>> whole_of("12"), whole_of("1_2"), whole_of("1.0")
    (12, None, None)
    """
    return int(text) if _WHOLE.fullmatch(text.strip(" \t")) else None


# --- CSV


def csv_rows(
    path: Path | str, *, unpack: bool = False, delimiter: str = ","
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The names in the header line, and each row with the number of its last line; no name for an empty file.

    Raises `DataError` where a name stands twice or a row has not as many cells as there are names.
    """
    csv.field_size_limit(2**31 - 1)  # else a cell of more than 131,072 characters is an error
    reader = csv.reader((line for _, line in lines(path, unpack=unpack)), strict=True, delimiter=delimiter)
    rows = _cells(path, reader)
    number, names = next(rows, (1, []))
    if (name := twice(names)) is not None:
        raise DataError(f"{path}:{number}: two columns are named {shown(name)}; rename one, or remove it")
    return names, _named(path, names, rows)


def _cells(path: Path | str, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank."""
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not CSV: {error}") from error


def _named(
    path: Path | str, names: Sequence[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows by the names of their cells.  Raises `DataError` where the cells are not as many."""
    last = None
    for number, cells in rows:
        if len(cells) != len(names):
            raise DataError(f"{path}:{number}: has not as many cells as the header has names")
        if len(names) == 1 and last is not None and number > last + 1 and "\n" not in cells[0]:
            raise DataError(f"{path}:{number - 1}: is blank, which may be an empty cell; remove the line, or fill it")
        last = number
        yield number, dict(zip(names, cells, strict=True))
