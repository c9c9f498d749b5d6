"""Names and files that somebody else may have made, used with care.

Manifests, saved rewards and the listing of a shared store contain names.  A name that is really a path would lead out
of its folder; under a good name there may be a pipe, a device, or a link to somewhere else.
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
from typing import Final

LONGEST: Final = 255  # bytes of a name that file systems allow
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
    r"""True where a value is the name of one file or folder: no path, and no invisible character.

    >>> is_name("a b.json"), is_name("../a"), is_name("/a"), is_name("a\n"), is_name(".."), is_name("\ud800")
    (True, False, False, False, False, False)
    """
    if isinstance(value, str) and _PLAIN.fullmatch(value):  # most are
        return True
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value or "\\" in value:
        return False
    # the last test refuses the name of a drive, on systems that have them
    return value.isprintable() and len(value.encode()) <= LONGEST and PurePath(value).name == value


def is_digest(value: object) -> bool:
    """True where a value is a SHA-256 in hexadecimal digits, as keys of artefacts are.

    >>> is_digest("0" * 64), is_digest("0" * 63), is_digest("../" + "0" * 61)
    (True, False, False)
    """
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def open_file(path: Path | str, *, follow: bool = True) -> BufferedReader:
    """A file, opened for reading; a link is followed unless ``follow`` is off.

    Raises `OSError` where there is no file, also for a pipe, which would keep its reader waiting, and for a device.
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
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, most) + 1)  # room for ``most`` bytes is slow to get
        if len(content) > size:  # it has grown meanwhile
            content += file.read(most + 1 - len(content))
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most:,} bytes", str(path))
    return content


def kind_of(path: Path, *, follow: bool = False) -> str | None:
    """The kind of a thing that is no file, in words; None for a file, and where it cannot be known."""
    try:
        mode = (path.stat() if follow else path.lstat()).st_mode
    except (OSError, ValueError):
        return None
    return next((what for is_kind, what in _KINDS if is_kind(mode)), None)


def remove(path: Path) -> None:
    """Remove a file, a folder with its content, or a link alone, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink()
    except OSError:
        return


def depth(value: object, most: int = 64) -> int:
    """The depth of nested mappings and lists, counted up to ``most``.

    >>> depth(3), depth([]), depth({"a": [1, {"b": 2}]})
    (0, 1, 3)
    """
    level, deep = [value], 0
    while deep < most:
        outer = [entry for entry in level if isinstance(entry, Mapping | list | tuple)]
        if not outer:
            break
        deep += 1
        level = [inner for entry in outer for inner in (entry.values() if isinstance(entry, Mapping) else entry)]
    return deep


def _flags(*names: str) -> int:
    """Flags of `os.open`, without those that the system lacks."""
    return sum(int(getattr(os, name, 0)) for name in names)


_READ = _flags("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_NO_LINK = _flags("O_NOFOLLOW")
