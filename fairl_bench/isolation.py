"""What a part finds around it and may change for a while: put back after each call, so that no other part reads it.

The working folder, the environment, the locale, the file mask, the limit of recursion, what signals do; numpy's and
torch's settings and random numbers; ``sys.path``, the modules that were there, and the warnings that are errors.  What
a part prints meanwhile goes to the standard error: the standard output is the answer of a command.
"""

from __future__ import annotations

import gc
import io
import locale
import multiprocessing
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

from fairl_bench.errors import FairlError

_exit = os._exit
_at_work = 0  # how many calls of parts are under way


class PartEnded(FairlError):
    """A part tried to end the process, or raised what is no `Exception`: that ends its own work alone."""


class _Exit(BaseException):
    def __init__(self, call: str) -> None:
        super().__init__(call)


def _exit_of_a_part(status: int) -> NoReturn:
    """``os._exit``, which ends the call of a part where there is one; a process that a part has forked does end."""
    if _at_work and os.getpid() == _home:
        raise _Exit(f"os._exit({status})")
    _exit(status)


def _abort_of_a_part() -> NoReturn:
    if _at_work and os.getpid() == _home:
        raise _Exit("os.abort()")
    _abort()


_abort, _home = os.abort, os.getpid()
_printing = 0  # how many calls are under way whose prints go aside
_streams: tuple[TextIO, TextIO] = (sys.stdout, sys.stderr)  # as they were before the first of these
_counting = threading.Lock()


@contextmanager
def isolated(*, quiet: bool = True) -> Iterator[None]:
    """Around the work of parts: whatever they change of the process is as it was afterwards.

    What they print goes to the standard error, if ``quiet``.

    Raises `PartEnded` for a part that calls ``sys.exit`` or ``os._exit``, or raises what is no `Exception`, such as a
    `KeyboardInterrupt` that nobody's Ctrl-C caused.  A child that the part has forked goes no further than this.
    """
    mine = _begin()
    had_torch, undo, signals = "torch" in sys.modules, list[Callable[[], None]](), _Signals()
    try:
        undo += [*_settings(), *_libraries()]
        signals.note()
        with prints_to_stderr() if quiet else nullcontext():
            yield
        if signals.raised is not None and os.getpid() == mine:  # caught by the part, or raised where nothing can rise
            raise signals.raised
    except BaseException as error:
        if os.getpid() != mine:
            _exit(1)
        if signals.raised is not None and error is not signals.raised:
            raise signals.raised from error
        if isinstance(error, Exception) or signals.came:
            raise
        raise PartEnded(_ending(error)) from error
    finally:
        if os.getpid() != mine:
            _exit(0)
        _end()
        signals.restore()
        for one in (*reversed(undo), *_late(had_torch)):
            with suppress(Exception):  # what cannot be put back is no reason to lose the rest
                one()


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Around what a plugin may print into: it goes to the standard error."""
    global _printing, _streams
    with _counting:
        if not _printing:
            _streams = sys.stdout, sys.stderr
            sys.stdout = sys.stderr = cast("TextIO", sys.stderr and _Aside(sys.stderr))
        _printing += 1
    try:
        yield
    finally:
        with _counting:
            _printing -= 1
            if not _printing:
                sys.stdout, sys.stderr = _streams


def _begin() -> int:
    """Count one more call of a part; the number of this process."""
    global _at_work, _home
    with _counting:
        if not _at_work:
            _home = os.getpid()
            if multiprocessing.parent_process() is None:  # a worker may end: that is told as well
                os._exit, os.abort = _exit_of_a_part, _abort_of_a_part
        _at_work += 1
        return _home


def _end() -> None:
    global _at_work
    with _counting:
        _at_work -= 1
        if not _at_work:
            os._exit, os.abort = _exit, _abort


def _ending(error: BaseException) -> str:
    if isinstance(error, _Exit):
        return f"it called {error}; a part raises an error, or returns"
    return f"{type(error).__name__}: {message_of(error)}".rstrip(": ")


def message_of(error: BaseException) -> str:
    """What an error says, in one line that any file can hold; also where its own ``__str__`` is broken."""
    try:
        text = str(error)
    except Exception as broken:
        text = f"(its message cannot be made: {type(broken).__name__})"
    line = " ".join(text[:_LONG].encode("utf-8", "backslashreplace").decode().split("\n"))
    return line + ("…" if len(text) > _LONG else "")


_LONG = 2000  # letters of a message


def end_forked_copy() -> None:
    """End a process that a part has forked and that comes back into our code as if it were the run."""
    if _at_work and os.getpid() != _home:
        _exit(0)


class _Aside(io.TextIOBase):
    """The standard error under another name: closing it closes nothing."""

    def __init__(self, real: TextIO) -> None:
        self._real = real

    def write(self, text: str) -> int:
        with suppress(ValueError):  # a handler of logs may still write when the real one is closed
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
        """Nothing."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the standard error."""
        return self._real.encoding or "utf-8"

    @property
    def buffer(self) -> Any:
        """That of the standard error."""
        return self._real.buffer


class _Signals:
    """What signals do: noted as they come, put back afterwards."""

    def __init__(self) -> None:
        self.came = False
        self.raised: BaseException | None = None  # by the handler of Ctrl-C or SIGTERM: it ends more than a part
        self.before: dict[signal.Signals, Any] = {}

    def note(self) -> None:
        """Note them from now on."""
        if threading.current_thread() is not threading.main_thread():
            return
        for one in _WATCHED:
            handler = signal.getsignal(one)
            self.before[one] = handler
            if callable(handler):
                signal.signal(one, self._noted(handler))

    def _noted(self, handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
        def handle(number: int, frame: FrameType | None) -> Any:
            self.came = True
            try:
                return handler(number, frame)
            except KeyboardInterrupt as error:
                self.raised = error
                raise

        return handle

    def restore(self) -> None:
        for one, handler in self.before.items():
            if handler is not None:  # None: not set from Python
                signal.signal(one, handler)


_WATCHED = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGPIPE")
    if hasattr(signal, name)
]


def _kept(read: Callable[[], Any], write: Callable[[Any], Any]) -> Callable[[], None]:
    """What puts a setting back, if it has changed by then."""
    before = read()

    def undo() -> None:
        if read() != before:
            write(before)

    return undo


def _settings() -> Iterator[Callable[[], None]]:
    """Python's own settings."""
    yield _kept(_folder, lambda folder: os.chdir(folder) if folder else None)
    yield _kept(lambda: dict(os.environ), _set_environment)
    yield _kept(lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name))
    yield _kept(_mask, os.umask)
    yield _kept(sys.getrecursionlimit, sys.setrecursionlimit)
    yield _kept(sys.getswitchinterval, sys.setswitchinterval)
    yield _kept(sys.gettrace, sys.settrace)
    yield _kept(sys.getprofile, sys.setprofile)
    yield _kept(lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path))
    yield _kept(lambda: list(sys.argv), lambda argv: setattr(sys, "argv", argv))
    yield _kept(lambda: sys.excepthook, lambda hook: setattr(sys, "excepthook", hook))
    yield _kept(lambda: sys.stdin, lambda stream: setattr(sys, "stdin", stream))
    yield _kept(gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable())
    yield _kept(socket.getdefaulttimeout, socket.setdefaulttimeout)
    yield _kept(random.getstate, random.setstate)
    yield _modules()
    yield _errors()


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it is gone
        return None


def _set_environment(before: dict[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


def _mask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def _modules() -> Callable[[], None]:
    """Modules that were there are there again, and the same ones; new ones stay."""
    before = dict(sys.modules)

    def undo() -> None:
        for name, module in before.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module

    return undo


def _errors() -> Callable[[], None]:
    """Warnings that have been made errors meanwhile are none again."""
    before = list(warnings.filters)

    def undo() -> None:
        kept = [one for one in warnings.filters if one in before or one[0] != "error"]
        if len(kept) != len(warnings.filters):
            warnings.filters[:] = kept  # type: ignore[index]
            getattr(warnings, "_filters_mutated", lambda: None)()

    return undo


def _libraries() -> Iterator[Callable[[], None]]:
    """Numpy's settings and torch's, where they are loaded."""
    if (numpy := sys.modules.get("numpy")) is not None:
        yield _kept(numpy.geterr, lambda before: numpy.seterr(**before))
        state = numpy.random.get_state()
        yield lambda: numpy.random.set_state(state)
    if (torch := sys.modules.get("torch")) is not None:
        for read, write in _of_torch(torch):
            yield _kept(read, write)
        drawn = torch.get_rng_state()
        yield lambda: torch.set_rng_state(drawn)


def _of_torch(torch: Any) -> list[tuple[Callable[[], Any], Callable[[Any], Any]]]:
    return [
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.get_default_device, lambda device: torch.set_default_device(None if device.type == "cpu" else device)),
        (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    ]


def _late(had_torch: bool) -> Iterator[Callable[[], None]]:
    """Torch's own defaults where it was loaded meanwhile; and one thread, as every part of ours asks for."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return
    if not had_torch:
        for (_, write), default in zip(_of_torch(torch), _defaults(torch), strict=True):
            yield partial(write, default)
    if torch.get_num_threads() != 1:
        yield lambda: torch.set_num_threads(1)


def _defaults(torch: Any) -> tuple[Any, ...]:
    return (torch.float32, True, torch.device("cpu"), False, "highest", False)
