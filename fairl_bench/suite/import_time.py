"""The limit of time for the import of a plugin."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fairl_bench.errors import PluginError

PATIENCE = "FAIRL_IMPORT_SECONDS"
"""The environment variable with the seconds that a plugin may take to import."""


class _TooLong(BaseException):
    """Raised within an import that does not end; no `Exception`, because a loop may catch those and go on."""


@contextmanager
def in_time(plugin: str) -> Iterator[None]:
    """Import a plugin inside.  Raises `PluginError` after the time of `PATIENCE`.

    An import that ignores this ends the process a few seconds later.
    """
    seconds = patience()
    message = (
        f"plugin {plugin} has not finished importing after {seconds:g} s; mend what it does at its top level, or give "
        f"it longer by {PATIENCE}"
    )
    over = threading.Event()
    watch = threading.Thread(target=_end_at_last, args=(over, seconds + _GRACE, message), daemon=True)
    watch.start()
    restore = _alarm(seconds)
    try:
        yield
    except _TooLong as error:
        raise PluginError(message) from error
    finally:
        restore()
        over.set()


_GRACE = 5.0  # seconds between the error raised within an import and the end of its process


def patience() -> float:
    """The seconds that a plugin may take to import.  Raises `PluginError` where the variable holds no such number."""
    text = os.environ.get(PATIENCE, "120")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise PluginError(f"{PATIENCE}={text}: needs a number of seconds above 0")
    return seconds


def _end_at_last(over: threading.Event, seconds: float, message: str) -> None:
    """End the process after so many seconds, unless the import is over before."""
    if not over.wait(seconds):
        os.write(2, f"error: {message}\n".encode(errors="replace"))
        _exit(2)


_exit: Callable[[int], Any] = os._exit


def _alarm(seconds: float) -> Callable[[], None]:
    """Raise `_TooLong` in this thread after so many seconds, and then each second; returns what cancels that."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return lambda: None

    def ring(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    handler = signal.signal(signal.SIGALRM, ring)
    began, (left, again) = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)

    def restore() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:  # another alarm that was set before goes on
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - began)), again)

    return restore
