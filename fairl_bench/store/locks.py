"""Locks between processes: the system's where the file system has them, else files that stand for them.

A lock of the system (``flock``) ends with its process.  Some network file systems refuse it; there a file beside says
who holds the lock, and is taken over when that process is gone, which can be told on its own machine alone.
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
"""The end of the name of a file that stands for a lock: the empty file of a lock must not be taken for it."""
_REFUSED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


def lock_at(path: Path) -> BaseFileLock:
    """The lock of a file, not yet taken."""
    if has_locks(path.parent):
        return FileLock(path, fallback_to_soft=False)  # or it would ask the folder each time
    return SoftFileLock(path.with_name(path.name + HELD))


@cache
def has_locks(folder: Path) -> bool:
    """Whether the file system of a folder has locks; asked of the folder itself, so that nothing is left behind."""
    if _flock is None:
        return True
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return True  # why will be told when the lock is taken
    try:
        _flock.flock(handle, _flock.LOCK_EX | _flock.LOCK_NB)
    except OSError as error:
        return error.errno not in _REFUSED
    finally:
        os.close(handle)
    return True


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock, as far as can be told."""
    if not (os.path.lexists(path) or os.path.lexists(path.with_name(path.name + HELD))):
        return True
    lock = lock_at(path)
    try:
        lock.acquire(timeout=0)
    except OSError:  # held, or nothing can be told of it
        return False
    lock.release()
    return True


def remove_free(folder: Path) -> None:
    """Remove the files of locks that nobody holds; whoever comes to hold one meanwhile makes it anew."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix == HELD:
            is_free(path.with_suffix(""))  # one of a dead process goes when it is taken
        else:
            _remove_free(path)


def _remove_free(path: Path) -> None:
    if _flock is None:
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        _flock.flock(handle, _flock.LOCK_EX | _flock.LOCK_NB)
        path.unlink()  # under the lock: filelock looks whether what it has locked is still there
    except OSError:
        return
    finally:
        os.close(handle)
