"""The standard streams of a command: any letter can be printed, and a full disk is reported in one sentence."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO

from fairl_bench.errors import FairlError


def prepare_streams() -> None:
    """Make both streams take any letter, and make a command go on where the standard error cannot be written.

    A letter that the terminal's encoding does not have is shown as its escape, such as ``\\u2191``.
    """
    if sys.stdout is not None and sys.stdout is sys.__stdout__:
        sys.stdout = _wrapped(sys.stdout, _Remembering)
    if sys.stderr is not None and sys.stderr is sys.__stderr__:
        sys.stderr = _wrapped(sys.stderr, _Forgiving)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _wrapped(stream: Any, kind: type[io.FileIO]) -> io.TextIOWrapper:
    stream.flush()
    lines = kind is _Forgiving or stream.isatty()
    raw = kind(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, line_buffering=lines)


class _Remembering(io.FileIO):
    """A file that remembers why it could not be written."""

    refusal: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.refusal = error
            raise


class _Forgiving(io.FileIO):
    """A file whose failed writes are forgotten: a message that cannot be printed ends nothing."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def output_refusal() -> str:
    """Why the standard output cannot be written, empty where it can; then what is left to write is dropped."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Remembering):
        return ""
    with suppress(OSError):
        sys.stdout.flush()
    if raw.refusal is None:
        return ""
    os.dup2(os.open(os.devnull, os.O_WRONLY), raw.fileno())  # or the interpreter complains when it ends
    return "" if raw.refusal.errno == errno.EPIPE else raw.refusal.strerror or str(raw.refusal)


def standard_input() -> BinaryIO:
    """The bytes of the standard input.  Raises `FairlError` where its standard input is closed."""
    if sys.stdin is None:
        raise FairlError("the standard input is closed; feed the texts to it: ... < texts.txt")
    return sys.stdin.buffer


def print_data(lines: Iterable[str]) -> None:
    """Print each line of data as it comes, as UTF-8 whatever the locale.  Raises `FairlError` without an output.

    Half of a surrogate pair, which UTF-8 does not know, is written as JSON writes it.
    """
    if sys.stdout is None:
        raise FairlError("the standard output is closed; send it to a file or a pipe: ... > rewards.txt")
    sys.stdout.flush()
    for line in lines:
        sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.buffer.flush()
