"""Calls of parts that leave nothing behind: what they change of the process is restored, and they cannot end it.

What a part prints goes to the standard error, because the standard output is the answer of a command.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NoReturn, TextIO, cast

from fairl_bench.errors import FairlError, message_of
from fairl_bench.guards.process_state import ProcessState, SignalHandlers

_exit = os._exit
_calls = 0  # of parts, that are running now


class PartEnded(FairlError):
    """A part tried to end the process, or raised something that is no `Exception`; only its own work ends."""


class _Exit(BaseException):
    """Raised in the place of ``os._exit`` and ``os.abort``."""

    def __init__(self, call: str) -> None:
        super().__init__(call)


def _exit_of_a_part(status: int) -> NoReturn:
    """Stand for ``os._exit``: end the call of a part.  A process that a part has forked really ends."""
    if _calls and os.getpid() == _home:
        raise _Exit(f"os._exit({status})")
    _exit(status)


def _abort_of_a_part() -> NoReturn:
    """Stand for ``os.abort`` in the same way."""
    if _calls and os.getpid() == _home:
        raise _Exit("os.abort()")
    _abort()


_abort, _home = os.abort, os.getpid()
_printing = 0  # calls that are running now whose prints go to the standard error
_streams: tuple[TextIO, TextIO] = (sys.stdout, sys.stderr)  # as they were before the first of these calls
_counting = threading.Lock()


@contextmanager
def isolated(*, quiet: bool = True) -> Iterator[None]:
    """Let parts do their work inside; what they change of the process is restored afterwards.

    With ``quiet``, what they print goes to the standard error.  Raises `PartEnded` for a part that calls ``sys.exit``
    or ``os._exit``, or raises something that is no `Exception`, such as a `KeyboardInterrupt` without a Ctrl-C.  A
    process that a part has forked ends here.
    """
    run = _begin()
    state, signals = ProcessState(), SignalHandlers()
    try:
        state.note()
        signals.watch()
        with prints_to_stderr() if quiet else nullcontext():
            yield
        if signals.raised is not None and os.getpid() == run:  # the part has caught it
            raise signals.raised
    except BaseException as error:
        if os.getpid() != run:
            _exit(1)
        if signals.raised is not None and error is not signals.raised:
            raise signals.raised from error
        if isinstance(error, Exception) or signals.received:
            raise
        raise PartEnded(_ending(error)) from error
    finally:
        if os.getpid() != run:
            _exit(0)
        _end()
        signals.restore()
        state.restore()


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Send what is printed inside to the standard error."""
    global _printing, _streams
    with _counting:
        if not _printing:
            _streams = sys.stdout, sys.stderr
            sys.stdout = sys.stderr = cast("TextIO", sys.stderr and _StandardError(sys.stderr))
        _printing += 1
    try:
        yield
    finally:
        with _counting:
            _printing -= 1
            if not _printing:
                sys.stdout, sys.stderr = _streams


def _begin() -> int:
    """Count one more call of a part, and return the number of the process that runs it."""
    global _calls, _home
    with _counting:
        if not _calls:
            _home = os.getpid()
            if multiprocessing.parent_process() is None:  # a worker process may end: whoever started it reports that
                os._exit, os.abort = _exit_of_a_part, _abort_of_a_part
        _calls += 1
        return _home


def _end() -> None:
    """Count one call less."""
    global _calls
    with _counting:
        _calls -= 1
        if not _calls:
            os._exit, os.abort = _exit, _abort


def _ending(error: BaseException) -> str:
    """A few words on how a part tried to end the process."""
    if isinstance(error, _Exit):
        return f"it called {error}; a part raises an error, or returns"
    return f"{type(error).__name__}: {message_of(error)}".rstrip(": ")


def end_forked_copy() -> None:
    """End this process if a part has forked it: such a copy must not go on as if it were the run."""
    if _calls and os.getpid() != _home:
        _exit(0)


class _StandardError(io.TextIOBase):
    """The standard error, but closing it has no effect."""

    def __init__(self, real: TextIO) -> None:
        self._real = real

    def write(self, text: str) -> int:
        with suppress(ValueError):  # a log handler may still write after the real one is closed
            return self._real.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(ValueError):
            self._real.flush()

    def fileno(self) -> int:
        return self._real.fileno()

    def isatty(self) -> bool:
        return self._real.isatty()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: the real one stays open."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the standard error."""
        return self._real.encoding or "utf-8"

    @property
    def buffer(self) -> Any:
        """The buffer of the standard error."""
        return self._real.buffer
