"""What others have made: names that are joined to a folder, and files that may be no files.

Manifests, saved rewards and the listing of a shared store say names.  One that is a path would lead out of its folder,
and what lies under a good one may be a pipe, a device, or a link to somewhere else.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path, PurePath
from typing import Any, Final

LONGEST: Final = 255  # bytes that file systems give a name
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def is_name(value: object) -> bool:
    r"""Whether a value names one thing in a folder and nothing elsewhere: no path, no character that cannot be seen.

    >>> is_name("a b.json"), is_name("../a"), is_name("/a"), is_name("a\n"), is_name(".."), is_name("\ud800")
    (True, False, False, False, False, False)
    """
    if isinstance(value, str) and _PLAIN.fullmatch(value):  # most are
        return True
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value or "\\" in value:
        return False
    # of a drive, say, where a system has them
    return value.isprintable() and len(value.encode()) <= LONGEST and PurePath(value).name == value


def is_digest(value: object) -> bool:
    """Whether a value is a SHA-256 as we write it; so are the keys of artefacts.

    >>> is_digest("0" * 64), is_digest("0" * 63), is_digest("../" + "0" * 61)
    (True, False, False)
    """
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def open_file(path: Path | str, *, follow: bool = True) -> BufferedReader:
    """A file, open to be read; a link is followed unless ``follow`` is off.

    Raises `OSError` where there is none, and where something else lies there: opening a pipe would wait for ever, and
    a device has no end.
    """
    try:
        handle = os.open(path, _READ if follow else _READ | _NO_LINK)
    except OSError as error:
        if (what := kind_of(Path(path), follow=follow)) is None:
            raise
        raise OSError(error.errno, f"it is {what}, not a file", str(path)) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, f"it is {kind_of(Path(path), follow=follow)}, not a file", str(path))
    return os.fdopen(handle, "rb")


def read_file(path: Path | str, most: int, *, follow: bool = True) -> bytes:
    """The bytes of a file.  Raises `OSError` as `open_file` does, and where there are more than ``most``."""
    with open_file(path, follow=follow) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most:,} bytes", str(path))
    return found


def kind_of(path: Path, *, follow: bool = False) -> str | None:
    """What lies there that is no file, in words; None for a file, and where nothing can be told."""
    try:
        mode = (path.stat() if follow else path.lstat()).st_mode
    except (OSError, ValueError):
        return None
    return next((what for is_one, what in _KINDS if is_one(mode)), None)


def remove(path: Path) -> None:
    """Remove whatever lies there, as far as it goes: a folder with all in it, of a link the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink()
    except OSError:
        return


def depth(value: Any, most: int = 64) -> int:
    """How many mappings and lists lie within one another, counted no further than ``most``.

    >>> depth(3), depth([]), depth({"a": [1, {"b": 2}]})
    (0, 1, 3)
    """
    level, found = [value], 0
    while found < most:
        inside = [one for one in level if isinstance(one, Mapping | list | tuple)]
        if not inside:
            break
        found += 1
        level = [below for one in inside for below in (one.values() if isinstance(one, Mapping) else one)]
    return found


def _flags(*names: str) -> int:
    """Flags of `os.open`, without those that the system lacks."""
    return sum(int(getattr(os, name, 0)) for name in names)


_READ = _flags("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_NO_LINK = _flags("O_NOFOLLOW")
