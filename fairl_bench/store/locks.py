"""Locks between processes: those of the system where the file system has them, else files in their place.

A lock of the system (``flock``) ends with its process.  Some network file systems have none; there a file names the
process that holds the lock.  When that process is gone, another of the same machine may take the lock.
"""

from __future__ import annotations

import errno
import os
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Protocol

from filelock import FileLock, SoftFileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows, whose locks are always there
    _flock = None
else:
    _flock = fcntl

HELD = ".held"
"""The ending of a file in the place of a lock, so that it differs from the empty file of a lock."""
_OPEN = os.O_RDWR | os.O_CREAT | sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"))
_REFUSED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class Lock(Protocol):
    """A lock between processes; a block inside ``with`` holds it."""

    def acquire(self, timeout: float | None = None) -> object:
        """Take the lock: wait for it, or with ``timeout=0`` raise `filelock.Timeout` where another holds it."""

    def release(self) -> None:
        """Let it go."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class SystemLock:
    """A lock of the system, on a file.  A process that is forked meanwhile cannot let it go.

    filelock's takes a third of a millisecond, and short stages take two locks each.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._handle, self._owner = -1, 0

    def acquire(self, timeout: float | None = None) -> None:
        """Take the lock: wait for it, or with ``timeout=0`` raise `filelock.Timeout` where another holds it."""
        assert _flock is not None
        how = _flock.LOCK_EX if timeout is None else _flock.LOCK_EX | _flock.LOCK_NB
        while True:
            handle = os.open(self.path, _OPEN, 0o666)
            try:
                _flock.flock(handle, how)
                there = _is_at(handle, self.path)
            except BlockingIOError:
                os.close(handle)
                raise Timeout(self.path) from None
            except BaseException:
                os.close(handle)
                raise
            if there:
                self._handle, self._owner = handle, os.getpid()
                return
            os.close(handle)  # whoever held it has removed its file meanwhile

    def release(self) -> None:
        """Let it go; its file stays, for whoever waits."""
        assert _flock is not None
        handle, self._handle = self._handle, -1
        try:
            if self._owner == os.getpid():
                _flock.flock(handle, _flock.LOCK_UN)  # a process that a part has forked may still have it open
        finally:
            os.close(handle)

    def __enter__(self) -> SystemLock:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def _is_at(handle: int, path: str) -> bool:
    """Whether an open file is the one that lies in this place now."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def lock_at(path: Path) -> Lock:
    """The lock of a file, not yet taken."""
    if not has_locks(path.parent):
        return SoftFileLock(path.with_name(path.name + HELD))
    return FileLock(path) if _flock is None else SystemLock(path)


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
