"""A drop-in: one file, loaded under a name of its own, that imports no other loose file.

Its key is the digest of its file.  So what it takes from files beside it is refused: they could be edited, and no
stage would be done anew.  What it reads with ``open`` cannot be seen; a field of the type `DataFile`, or
`Component.reads`, names such files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from fairl_bench.errors import PluginError, message_of
from fairl_bench.isolation import PartEnded, isolated
from fairl_bench.suite import part_code as sources

GROUP = "fairl_bench"
"""The entry points of installed plugins."""
PATIENCE = "FAIRL_IMPORT_SECONDS"
"""The variable that says how many seconds a plugin has to import."""


def load(path: Path) -> ModuleType:
    """The module of a drop-in, loaded now or before.

    Raises `PluginError` for a broken one, and for one that imports what lies beside it.
    """
    if not path.is_file():
        raise PluginError(f"plugin {path} does not exist; name a Python file under 'plugins:'")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PluginError(f"plugin {path} cannot be read: {error.strerror or error}") from error
    # by place and content: a copy elsewhere is another module, and so is the same file after an edit
    name = f"{sources.DROP_IN}{path.stem}_{hashlib.sha256(bytes(path) + content).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise PluginError(f"plugin {path} is not a Python file")
    module = importlib.util.module_from_spec(found)
    before = set(sys.modules)
    # it is in sys.modules before it runs, or its dataclasses would not find themselves
    sys.modules[name] = module
    try:
        with imported(str(path)):
            # compiled here: bytecode that Python keeps is taken for that of a file edited within the same second
            exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
            # inside: the file's own changes of sys.path still hold
            _refuse_neighbours(path, module, set(sys.modules) - before - {name})
    except BaseException as error:
        for one in {name, *_loose(set(sys.modules) - before)}:  # or a second load would find them there
            sys.modules.pop(one, None)
        raise _broken(path, error) from error
    return module


def _broken(path: Path, error: BaseException) -> BaseException:
    if isinstance(error, PluginError):
        return error
    if isinstance(error, PartEnded):
        return PluginError(f"plugin {path} is broken: {error}")
    if isinstance(error, Exception):
        reason = message_of(error)
        return PluginError(f"plugin {path} is broken: {type(error).__name__}: {reason}".rstrip(": "))
    return error


@contextmanager
def imported(plugin: str) -> Iterator[None]:
    """Around the import of a plugin: it ends in time, and what it changes of the process is put back."""
    with isolated(), in_time(plugin), warnings.catch_warnings():
        # pydantic's word for a field that hides another; ours comes when the part is registered
        warnings.filterwarnings("ignore", "Field name .* shadows an attribute", UserWarning)
        yield


# --- what lies beside


def _refuse_neighbours(path: Path, module: ModuleType, new: Iterable[str]) -> None:
    """Raise `PluginError` where a drop-in has imported, imports later, or runs, code that no distribution holds."""
    tree = sources.parsed(path)
    for reading in sources.readings(tree):
        raise PluginError(
            f"plugin {path} runs the code of another file, by {reading.call} in line {reading.line}; a drop-in is one "
            "file: put the code into it, or install it as a package"
        )
    for one in sources.imports(tree):
        if one.name == ".":
            raise PluginError(_sentence(path, "by a relative import", f"in line {one.line}"))
        known = one.name in sources.distributed()  # installed, be it in a folder of its own
        places = [
            place
            for place in sources.places(one.name)
            if sources.loose(place) and not (known and not place.is_relative_to(path.parent))
        ]
        if one.name in sys.modules and sys.modules[one.name] is module:
            continue
        if not places and one.name not in sys.modules and not sources.places(one.name):
            places = [place for place in _beside(path, one.name) if place.exists()]
        if places:
            raise PluginError(_sentence(path, str(places[0]), f"in line {one.line}"))
    for name in sorted(_loose(new)):
        raise PluginError(_sentence(path, str(sources.files_of(sys.modules[name])[0])))


def _beside(path: Path, name: str) -> tuple[Path, ...]:
    return (path.with_name(f"{name}.py"), path.with_name(name) / "__init__.py")


def _sentence(path: Path, what: str, where: str = "") -> str:
    return (
        f"plugin {path} imports {what}{' ' * bool(where)}{where}; a drop-in must be one file, because an edit of "
        "another would not be seen: put the code into it, or install it as a package"
    )


def _loose(names: Iterable[str]) -> list[str]:
    """Those of these modules whose files belong to no distribution; drop-ins apart."""
    found = []
    for name in names:
        module = sys.modules.get(name)
        if isinstance(module, ModuleType) and not name.startswith(sources.DROP_IN):
            files = [file for file in sources.files_of(module) if file.exists()]
            # of a library: installed in a folder of its own, or code that it has compiled, as torch does
            known = name.partition(".")[0] in sources.distributed()
            if files and not known and all(map(sources.loose, files)):
                found.append(name)
    return found


@contextmanager
def no_neighbours(plugins: Iterable[str]) -> Iterator[None]:
    """Around the work of the parts of these drop-ins: a loose file that is imported meanwhile ends it.

    Raises `PluginError` here or in `look`, and forgets the file, so that it is found the next time too.
    """
    named = sorted(plugins)
    token = _looking.set(partial(_refuse_new, named, set(sys.modules)) if named else lambda: None)
    try:
        yield
        look()
    finally:
        _looking.reset(token)


_looking: ContextVar[Callable[[], None]] = ContextVar("looking", default=lambda: None)


def look() -> None:
    """Called before an answer is kept: raises `PluginError` where a drop-in has imported a loose file for it."""
    _looking.get()()


def _refuse_new(named: Sequence[str], before: set[str]) -> None:
    if new := _loose(set(sys.modules) - before):
        files = sorted(str(sources.files_of(sys.modules[name])[0]) for name in new)
        for name in new:
            del sys.modules[name]
        raise PluginError(_sentence(Path(named[0]), files[0], "while it works"))


# --- who raised an error


def blame(error: BaseException) -> str | None:
    """A sentence on an error that a plugin's code has raised; None where none of it was running."""
    trace, found = error.__traceback__, None
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if isinstance(name, str) and (name.startswith(sources.DROP_IN) or name.partition(".")[0] in _installed()):
            found = trace
        trace = trace.tb_next
    if found is None:
        return None
    code = found.tb_frame.f_code
    return (
        f"plugin {code.co_filename} is broken: in {code.co_qualname}, line {found.tb_lineno}: {type(error).__name__}: "
        f"{message_of(error)}"
    ).rstrip(": ")


@cache
def _installed() -> frozenset[str]:
    """The top-level modules of installed plugins."""
    return frozenset(point.module.partition(".")[0] for point in entry_points(group=GROUP)) - {"fairl_bench"}


# --- in time


class _TooLong(BaseException):
    """Raised within an import that does not end; no `Exception`, for a loop may go on after one."""


@contextmanager
def in_time(plugin: str) -> Iterator[None]:
    """Around an import: after `PATIENCE` it is ended with a sentence, and the process with it where it does not heed.

    Raises `PluginError`.
    """
    seconds = patience()
    told = (
        f"plugin {plugin} has not finished importing after {seconds:g} s; mend what it does at its top level, or give "
        f"it longer by {PATIENCE}"
    )
    over = threading.Event()
    watch = threading.Thread(target=_end_at_last, args=(over, seconds + _GRACE, told), daemon=True)
    watch.start()
    restore = _alarm(seconds)
    try:
        yield
    except _TooLong as error:
        raise PluginError(told) from error
    finally:
        restore()
        over.set()


_GRACE = 5.0  # seconds between the error raised within an import and the end of its process


def patience() -> float:
    """Seconds that a plugin has to import.  Raises `PluginError` where the variable holds no such number."""
    given = os.environ.get(PATIENCE, "120")
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise PluginError(f"{PATIENCE}={given}: needs a number of seconds above 0")
    return seconds


def _end_at_last(over: threading.Event, seconds: float, told: str) -> None:
    if not over.wait(seconds):
        os.write(2, f"error: {told}\n".encode(errors="replace"))
        _exit(2)


_exit: Callable[[int], Any] = os._exit


def _alarm(seconds: float) -> Callable[[], None]:
    """Have `_TooLong` raised in this thread, again each second until it is heeded; what takes that back."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return lambda: None

    def ring(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    handler = signal.signal(signal.SIGALRM, ring)
    began, (left, again) = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)

    def restore() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:  # somebody else's alarm goes on
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - began)), again)

    return restore
