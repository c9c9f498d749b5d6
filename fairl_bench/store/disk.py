"""What a disk that takes no more says, in whatever library's words, and what to do about it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairl_bench.errors import message_of

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_LOST = {errno.EIO, errno.ESTALE, errno.ENOLCK}
_AGAIN = "run the same command again: finished work is kept"
_LEAST = 2**20  # bytes: below it a disk counts as full


class Refusal(NamedTuple):
    """Why a disk takes nothing, and what to do."""

    what: str
    advice: str


def refusal(error: BaseException, root: Path, option: str = "--store") -> Refusal | None:
    """Why the disk under ``root`` refused what ended in ``error``; None where it did not, or another disk did.

    ``option`` names another folder in its place.
    """
    for one in _chain(error):
        number = _number(one)
        if number is None or not _here(one, number, root):
            continue
        if number in _FULL:
            return Refusal(os.strerror(number), f"make room (fairl-bench store prune), then {_AGAIN}")
        if number in _CLOSED:
            return Refusal(os.strerror(number), f"make it writable, or name another with {option}, then {_AGAIN}")
        return Refusal(str(one), f"mend the disk, or name another with {option}, then {_AGAIN}")
    if isinstance(error, RuntimeError) and _room(root) < _LEAST:  # torch names no cause
        return Refusal(os.strerror(errno.ENOSPC), f"make room (fairl-bench store prune), then {_AGAIN}")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def _number(error: BaseException) -> int | None:
    """The system's number of a refusal; safetensors tells it in its text alone."""
    if isinstance(error, OSError):
        return error.errno if error.errno in _FULL | _CLOSED | _LOST else None
    numbers = (number for number in sorted(_FULL | _CLOSED) if f"(os error {number})" in message_of(error))
    return next(numbers, None)


def _here(error: BaseException, number: int, root: Path) -> bool:
    """Whether it is about a place below ``root``; where it names none, whether only a disk says such a thing."""
    both = (error.filename, error.filename2) if isinstance(error, OSError) else ()  # a copy names two
    names = [Path(os.fsdecode(name)) for name in both if isinstance(name, str | bytes)]
    if not names:
        return number not in (errno.EACCES, errno.EPERM)
    return any(name.absolute().is_relative_to(root.absolute()) for name in names)


def _room(root: Path) -> int:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return _LEAST
