"""The standard input and output of a command whose data they are: bytes of UTF-8, whatever the locale."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO

from fairl_bench.errors import FairlError


def given() -> BinaryIO:
    """What the command is fed.  Raises `FairlError` where it is closed."""
    if sys.stdin is None:
        raise FairlError("the standard input is closed; feed the texts to it: ... < texts.txt")
    return sys.stdin.buffer


def pour(lines: Iterable[str]) -> None:
    """Print each line as it comes.  Raises `FairlError` where it cannot be written; a reader that leaves ends it.

    Half of a surrogate pair, which UTF-8 does not know, is written as JSON writes it.
    """
    if sys.stdout is None:
        raise FairlError("the standard output is closed; send it to a file or a pipe: ... > rewards.txt")
    out = sys.stdout.buffer
    for line in lines:
        try:
            out.write(line.encode("utf-8", "backslashreplace") + b"\n")
            out.flush()
        except BrokenPipeError:  # head has seen enough
            _let_go(out)
            return
        except OSError as error:
            _let_go(out)
            raise FairlError(f"the standard output cannot be written: {error.strerror or error}") from error


def _let_go(out: BinaryIO) -> None:
    """Have what is left in the buffer go nowhere; at the end Python would try, and complain, once more."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), out.fileno())
