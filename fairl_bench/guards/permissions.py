"""Files that a library writes for their owner alone, such as safetensors, opened to all who may read their folder."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_FILE = 0o666  # of a folder's permissions, those that a file has


def as_its_folder(path: Path) -> None:
    """Give a file the permissions of its folder to read and to write; with 0o750 of the folder, it has 0o640.

    A file of somebody else stays as it is.
    """
    wanted = path.parent.stat().st_mode & _FILE
    if stat.S_IMODE(path.lstat().st_mode) & _FILE != wanted:
        with suppress(PermissionError):  # hard links may be of another user's file
            path.chmod(wanted)


def all_as_their_folder(folder: Path) -> None:
    """Give every plain file below a folder the permissions of the folder that it lies in; links are left alone."""
    for above, _, names in os.walk(folder):
        wanted = os.stat(above).st_mode & _FILE  # noqa: PTH116  # every answer that is kept comes here
        for name in names:
            place = f"{above}/{name}"
            mode = os.lstat(place).st_mode
            if stat.S_ISREG(mode) and stat.S_IMODE(mode) & _FILE != wanted:
                with suppress(PermissionError):  # hard links may be of another user's file
                    os.chmod(place, wanted)  # noqa: PTH101
