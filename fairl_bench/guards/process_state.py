"""The state of the process that parts may change, noted before their work and restored after it.

That is the working folder, the environment, the locale, the file mask, the limit of recursion and the handlers of
signals; numpy's and torch's settings and random numbers; ``sys.path``, the imported modules, and which warnings are
errors.
"""

from __future__ import annotations

import gc
import locale
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any


class ProcessState:
    """The settings of the process, as they are when they are noted; those of signals apart."""

    def __init__(self) -> None:
        self._had_torch = "torch" in sys.modules
        self._undo: list[Callable[[], None]] = []

    def note(self) -> None:
        """Note the settings as they are now."""
        self._undo += [*_settings(), *_libraries()]

    def restore(self) -> None:
        """Restore the settings that were noted."""
        for undo in (*reversed(self._undo), *_late(self._had_torch)):
            with suppress(Exception):  # one that cannot be restored is no reason to lose the others
                undo()


class SignalHandlers:
    """The handlers of signals: which signals arrive is noted, and the handlers are restored afterwards."""

    def __init__(self) -> None:
        self.received = False
        self.raised: BaseException | None = None  # by the handler of Ctrl-C or SIGTERM, which end the whole run
        self.before: dict[signal.Signals, Any] = {}

    def watch(self) -> None:
        """Note the signals that arrive from now on."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _WATCHED:
            handler = signal.getsignal(number)
            self.before[number] = handler
            if callable(handler):
                signal.signal(number, self._noting(handler))

    def _noting(self, handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
        """The handler, with a note that its signal arrived."""

        def handle(number: int, frame: FrameType | None) -> Any:
            self.received = True
            try:
                return handler(number, frame)
            except KeyboardInterrupt as error:
                self.raised = error
                raise

        return handle

    def restore(self) -> None:
        """Restore the handlers."""
        for number, handler in self.before.items():
            if handler is not None:  # None: not set from Python
                signal.signal(number, handler)


_WATCHED = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGPIPE")
    if hasattr(signal, name)
]


def _kept(read: Callable[[], Any], write: Callable[[Any], Any]) -> Callable[[], None]:
    """A function that restores a setting to its present value, if it has changed by then."""
    before = read()

    def undo() -> None:
        if read() != before:
            write(before)

    return undo


def _settings() -> Iterator[Callable[[], None]]:
    """Functions that restore Python's own settings."""
    yield _kept(_folder, lambda folder: os.chdir(folder) if folder else None)
    yield _kept(_environment, _set_environment)
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


def _folder() -> str | None:
    """The working folder; None where it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109  # every call of a part asks twice
    except OSError:
        return None


def _environment() -> dict[Any, Any]:
    """The environment as Python keeps it: to decode each variable at every call of a part takes as long as the rest."""
    return dict(os.environ._data)  # type: ignore[attr-defined]


def _set_environment(before: dict[Any, Any]) -> None:
    """Give the environment these variables and no others."""
    for name in _environment().keys() - before.keys():
        del os.environ[os.fsdecode(name)]
    os.environ.update({os.fsdecode(name): os.fsdecode(value) for name, value in before.items()})


def _mask() -> int:
    """The file mask, which can only be read by setting it."""
    now = os.umask(0o077)
    os.umask(now)
    return now


def _modules() -> Callable[[], None]:
    """A function that restores the modules that are imported now; new ones stay."""
    before = dict(sys.modules)

    def undo() -> None:
        if before.items() <= sys.modules.items():  # a tenth of the time of the loop
            return
        for name, module in before.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module

    return undo


def _errors() -> Callable[[], None]:
    """A function that removes the warnings that were made errors meanwhile."""
    before = list(warnings.filters)

    def undo() -> None:
        kept = [entry for entry in warnings.filters if entry in before or entry[0] != "error"]
        if len(kept) != len(warnings.filters):
            warnings.filters[:] = kept  # type: ignore[index]
            getattr(warnings, "_filters_mutated", lambda: None)()

    return undo


def _libraries() -> Iterator[Callable[[], None]]:
    """Functions that restore the settings and random numbers of numpy and torch, where they are loaded."""
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
    """The functions that read and write each setting of torch."""
    return [
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.get_default_device, lambda device: torch.set_default_device(None if device.type == "cpu" else device)),
        (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    ]


def _late(had_torch: bool) -> Iterator[Callable[[], None]]:
    """Functions that set torch's defaults, if it was loaded meanwhile, and one thread, as all built-in parts do."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return
    if not had_torch:
        for (_, write), default in zip(_of_torch(torch), _defaults(torch), strict=True):
            yield partial(write, default)
    if torch.get_num_threads() != 1:
        yield lambda: torch.set_num_threads(1)


def _defaults(torch: Any) -> tuple[Any, ...]:
    """Torch's own values of these settings."""
    return (torch.float32, True, torch.device("cpu"), False, "highest", False)
