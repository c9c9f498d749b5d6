"""Errors of a disk that is full, read-only or broken, whichever library raises them, and what to do about them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairl_bench.errors import message_of

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}
_BROKEN = {errno.EIO, errno.ESTALE, errno.ENOLCK}
_RUN_AGAIN = "run the same command again: finished work is kept"
_LEAST = 2**20  # free bytes: a disk with less counts as full


class Refusal(NamedTuple):
    """Why a disk cannot be written, and what to do."""

    what: str
    advice: str


def refusal(error: BaseException, root: Path, option: str = "--store") -> Refusal | None:
    """The refusal by the disk of ``root`` that led to an error; None where another disk, or something else, did.

    ``option`` is the command's option with which another folder can be named.
    """
    for cause in _chain(error):
        number = _number(cause)
        if number is None or not _is_below(cause, number, root):
            continue
        if number in _FULL:
            return Refusal(os.strerror(number), f"make room (fairl-bench store prune), then {_RUN_AGAIN}")
        if number in _NOT_WRITABLE:
            return Refusal(os.strerror(number), f"make it writable, or name another with {option}, then {_RUN_AGAIN}")
        return Refusal(str(cause), f"mend the disk, or name another with {option}, then {_RUN_AGAIN}")
    if isinstance(error, RuntimeError) and _free_bytes(root) < _LEAST:  # torch gives no cause
        return Refusal(os.strerror(errno.ENOSPC), f"make room (fairl-bench store prune), then {_RUN_AGAIN}")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _number(error: BaseException) -> int | None:
    """The system's number of an error of a disk; safetensors has it only in its message."""
    if isinstance(error, OSError):
        return error.errno if error.errno in _FULL | _NOT_WRITABLE | _BROKEN else None
    numbers = (number for number in sorted(_FULL | _NOT_WRITABLE) if f"(os error {number})" in message_of(error))
    return next(numbers, None)


def _is_below(error: BaseException, number: int, root: Path) -> bool:
    """Whether an error is about a file below ``root``; where it names none, whether its number fits a disk alone."""
    both = (error.filename, error.filename2) if isinstance(error, OSError) else ()  # a copy names two
    names = [Path(os.fsdecode(name)) for name in both if isinstance(name, str | bytes)]
    if not names:
        return number not in (errno.EACCES, errno.EPERM)
    return any(name.absolute().is_relative_to(root.absolute()) for name in names)


def _free_bytes(root: Path) -> int:
    """The free bytes of the disk; enough where that cannot be known."""
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return _LEAST
