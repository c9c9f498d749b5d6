"""The lines of a stream in chunks: many at once, and those that have come already where a pipe pauses."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterable, Iterator, Sequence

from fairl_bench.errors import DataError

MOST_BYTES = 32 * 2**20  # of a line, and roughly of lines at once
_PAUSE = 0.2  # seconds: lines that are written without a break stay in one chunk


def chunks(lines: Iterable[bytes], most: int) -> Iterator[Sequence[bytes]]:
    """The lines in their order, up to ``most`` at once: fewer at the end, where they are long, or where a pipe pauses.

    Raises `DataError` where they cannot be read, or where one has no end.
    """
    held: list[bytes] = []
    size = 0
    try:
        for line in _lines(lines):
            if line is not None:
                held.append(line)
                size += len(line)
            if held and (line is None or len(held) == most or size > MOST_BYTES):
                yield held
                held, size = [], 0
    except OSError as error:
        raise DataError(f"the input cannot be read: {error.strerror or error}") from error
    if held:
        yield held


def _lines(lines: Iterable[bytes]) -> Iterator[bytes | None]:
    """Each line with its end; None where the input pauses."""
    if (pipe := _pipe(lines)) is not None:
        return _as_they_come(pipe)
    readline = getattr(lines, "readline", None)
    return iter(lines) if readline is None else _bounded(iter(lambda: readline(MOST_BYTES + 1), b""))


def _pipe(lines: object) -> int | None:
    """The descriptor of a stream that may pause: of a pipe, a socket or a terminal; None for a file."""
    try:
        descriptor = int(lines.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
    return None if os.name == "nt" or stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor


def _bounded(lines: Iterator[bytes]) -> Iterator[bytes]:
    for number, line in enumerate(lines, 1):
        _refuse_endless(number, len(line))
        yield line


def _as_they_come(descriptor: int) -> Iterator[bytes | None]:
    begun, number, fresh = bytearray(), 1, False  # the line so far; fresh: lines were given since the last pause
    while True:
        if not select.select([descriptor], [], [], _PAUSE if fresh else None)[0]:
            fresh = False
            yield None
            continue
        if not (data := os.read(descriptor, 2**16)):
            break
        first, *more = data.split(b"\n")
        begun += first
        _refuse_endless(number, len(begun))
        for rest in more:
            yield bytes(begun) + b"\n"
            begun, number, fresh = bytearray(rest), number + 1, True
    if begun:
        yield bytes(begun)


def _refuse_endless(number: int, size: int) -> None:
    if size > MOST_BYTES:
        raise DataError(f"line {number} of the input has over {MOST_BYTES} bytes; end each text with a line break")
