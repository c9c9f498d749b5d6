"""The lock of a folder that one process at a time writes into; it leaves no file behind."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# what file systems of a network answer; two runs at once may mix their files there, each of which is whole still
_NO_LOCKS = {errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL}


@contextmanager
def locked(folder: Path, waits: Callable[[str], None]) -> Iterator[bool]:
    """Lock a folder until the block, or the process, ends; yields True where the file system has locks.

    Where another process holds the lock, ``waits`` is called with a sentence that says so.
    """
    if fcntl is None:
        yield from _by_file(folder, waits)
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield _flocked(handle, folder, waits)
    finally:
        os.close(handle)


def _flocked(handle: int, folder: Path, waits: Callable[[str], None]) -> bool:
    """Lock an open folder; False where the file system has no locks."""
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits(_waiting(folder))
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _by_file(folder: Path, waits: Callable[[str], None]) -> Iterator[bool]:
    """Lock a folder by a file beside the temporary ones, where folders cannot be locked."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"fairl-bench-{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waits(_waiting(folder))
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()


def _waiting(folder: Path) -> str:
    return f"waiting: another run writes into {folder}"
