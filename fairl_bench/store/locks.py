"""Locks between processes: those of the system where the file system has them, else files in their place.

A lock of the system (``flock``) ends with its process.  Some network file systems have none; there a file names the
process that holds the lock.  When that process is gone, another of the same machine may take the lock.
"""

from __future__ import annotations

import errno
import os
from functools import cache
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock

try:
    import fcntl
except ImportError:  # Windows, whose locks are always there
    _flock = None
else:
    _flock = fcntl

HELD = ".held"
"""The ending of a file in the place of a lock, so that it differs from the empty file of a lock."""
_REFUSED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


def lock_at(path: Path) -> BaseFileLock:
    """The lock of a file, not yet taken."""
    if has_locks(path.parent):
        return FileLock(path, fallback_to_soft=False)  # or it would test the folder each time
    return SoftFileLock(path.with_name(path.name + HELD))


@cache
def has_locks(folder: Path) -> bool:
    """Whether the file system of a folder has locks; tested on the folder itself, so that no file is left behind."""
    if _flock is None:
        return True
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return True  # the error is raised again when the lock is taken
    try:
        _flock.flock(handle, _flock.LOCK_EX | _flock.LOCK_NB)
    except OSError as error:
        return error.errno not in _REFUSED
    finally:
        os.close(handle)
    return True


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock, as far as this machine can know."""
    if not (os.path.lexists(path) or os.path.lexists(path.with_name(path.name + HELD))):
        return True
    lock = lock_at(path)
    try:
        lock.acquire(timeout=0)
    except OSError:  # held, or unknown
        return False
    lock.release()
    return True


def remove_free(folder: Path) -> None:
    """Remove the files of locks that nobody holds; a process that takes such a lock meanwhile makes its file again."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix == HELD:
            is_free(path.with_suffix(""))  # one of a dead process goes when it is taken
        else:
            _remove_free(path)


def _remove_free(path: Path) -> None:
    """Remove the file of one lock, if nobody holds it."""
    if _flock is None:
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        _flock.flock(handle, _flock.LOCK_EX | _flock.LOCK_NB)
        path.unlink()  # under the lock: filelock checks that the file which it has locked is still there
    except OSError:
        return
    finally:
        os.close(handle)
