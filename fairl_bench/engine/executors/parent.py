"""A worker process ends with the process that started it, whatever the worker is doing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_LOOK = 0.1  # seconds between two looks
_PR_SET_PDEATHSIG = 1  # Linux's prctl(2)


def end_with_parent(parent: int) -> None:
    """Have this process killed when process ``parent``, which started it, is gone.

    Linux does it itself, so that a loop in C which never gives Python a turn ends too; elsewhere a thread looks.
    """
    if sys.platform != "linux" or ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        watch_parent(parent)
    elif os.getppid() != parent:  # it was gone before Linux was asked
        os._exit(1)


def watch_parent(parent: int) -> None:
    """Have a thread of this process end it when process ``parent`` is gone."""
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)
