"""Drop-ins: plugins that are one file, loaded under a name of their own.

The key of a drop-in's stages is the digest of its file.  So it must not import other loose files: these could be
edited, and no stage would be done again.  What it reads with ``open`` cannot be noticed; a field of the type
`DataFile`, or `Component.reads`, names such files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from fairl_bench.errors import PluginError, message_of
from fairl_bench.guards.isolation import PartEnded, isolated
from fairl_bench.suite import part_code as sources
from fairl_bench.suite.import_time import in_time

GROUP = "fairl_bench"
"""The entry points of installed plugins."""


def load(path: Path) -> ModuleType:
    """The module of a drop-in, loaded now or before.

    Raises `PluginError` for a broken one, and for one that imports what lies beside it.
    """
    content = _content(path)
    # by place and content: a copy elsewhere is another module, and so is the same file after an edit
    name = f"{sources.DROP_IN}{path.stem}_{hashlib.sha256(bytes(path) + content).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin {path} is not a Python file")
    return _executed(importlib.util.module_from_spec(spec), path, content)


def _content(path: Path) -> bytes:
    """The bytes of a drop-in.  Raises `PluginError` where it cannot be read."""
    if not path.is_file():
        raise PluginError(f"plugin {path} does not exist; name a Python file, or one that 'fairl-bench plugins' lists")
    try:
        return path.read_bytes()
    except OSError as error:
        raise PluginError(f"plugin {path} cannot be read: {error.strerror or error}") from error


def _executed(module: ModuleType, path: Path, content: bytes) -> ModuleType:
    """The module after its code has run.  Raises `PluginError`, and then leaves nothing of it in ``sys.modules``."""
    name, before = module.__name__, set(sys.modules)
    # it is in sys.modules before it runs, or its dataclasses would not find themselves
    sys.modules[name] = module
    try:
        with imported(str(path)):
            # compiled here: the bytecode that Python keeps may be of a version edited within the same second
            exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
            # still inside, where the file's own changes of sys.path hold
            _refuse_neighbours(path, module, set(sys.modules) - before - {name})
    except BaseException as error:
        for new in {name, *_loose(set(sys.modules) - before)}:  # or a second load would find them there
            sys.modules.pop(new, None)
        raise _broken(path, error) from error
    return module


def _broken(path: Path, error: BaseException) -> BaseException:
    """The error to raise for a drop-in whose code has raised this one."""
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
    """Import a plugin inside: within a limit of time; what it changes of the process is restored."""
    with isolated(), in_time(plugin), warnings.catch_warnings():
        # pydantic's warning of a field that hides another; ours comes when the part is registered
        warnings.filterwarnings("ignore", "Field name .* shadows an attribute", UserWarning)
        yield


# --- loose files


def _refuse_neighbours(path: Path, module: ModuleType, new: Iterable[str]) -> None:
    """Raise `PluginError` where a drop-in has imported, or imports later, or runs, code of no distribution."""
    tree = sources.parsed(path)
    for run in sources.code_runs(tree):
        raise PluginError(
            f"plugin {path} runs the code of another file, by {run.call} in line {run.line}; a drop-in is one "
            "file: put the code into it, or install it as a package"
        )
    for imported_here in sources.imports(tree):
        if imported_here.name == ".":
            raise PluginError(_sentence(path, "by a relative import", f"in line {imported_here.line}"))
        places = [place for place in sources.places(imported_here.name) if sources.loose(place)]
        if places and imported_here.name in sources.distributed():  # installed, be it in a folder of its own
            places = [place for place in places if place.is_relative_to(path.parent)]
        if imported_here.name in sys.modules and sys.modules[imported_here.name] is module:
            continue
        if not places and imported_here.name not in sys.modules and not sources.places(imported_here.name):
            places = [place for place in _beside(path, imported_here.name) if place.exists()]
        if places:
            raise PluginError(_sentence(path, str(places[0]), f"in line {imported_here.line}"))
    for name in sorted(_loose(new)):
        raise PluginError(_sentence(path, str(sources.files_of(sys.modules[name])[0])))


def _beside(path: Path, name: str) -> tuple[Path, ...]:
    return (path.with_name(f"{name}.py"), path.with_name(name) / "__init__.py")


def _sentence(path: Path, what: str, where: str = "") -> str:
    """The sentence on a drop-in that imports a loose file."""
    return (
        f"plugin {path} imports {what}{' ' * bool(where)}{where}; a drop-in must be one file, because an edit of "
        "another would not be seen: put the code into it, or install it as a package"
    )


def _loose(names: Iterable[str]) -> list[str]:
    """The modules among these whose files belong to no distribution, without drop-ins."""
    loose = []
    for name in names:
        module = sys.modules.get(name)
        if isinstance(module, ModuleType) and not name.startswith(sources.DROP_IN):
            files = [file for file in sources.files_of(module) if file.exists()]
            # known are libraries in a folder of their own, and code that a library has compiled, as torch does
            if files and all(map(sources.loose, files)) and name.partition(".")[0] not in sources.distributed():
                loose.append(name)
    return loose


@contextmanager
def no_loose_imports(plugins: Iterable[str]) -> Iterator[None]:
    """Refuse loose files that parts of these drop-ins import while they work inside.

    Raises `PluginError`, here or in `refuse_loose_imports`, and removes the module, so that it is noticed again.
    """
    names = sorted(plugins)
    token = _refuse.set(partial(_refuse_new, names, set(sys.modules)) if names else lambda: None)
    try:
        yield
        refuse_loose_imports()
    finally:
        _refuse.reset(token)


_refuse: ContextVar[Callable[[], None]] = ContextVar("refuse loose imports", default=lambda: None)


def refuse_loose_imports() -> None:
    """Raise `PluginError` where a drop-in has imported a loose file; to be called before an answer is stored."""
    _refuse.get()()


def _refuse_new(named: Sequence[str], before: set[str]) -> None:
    """Raise `PluginError` for a loose module that was not there before."""
    if new := _loose(set(sys.modules) - before):
        files = sorted(str(sources.files_of(sys.modules[name])[0]) for name in new)
        for name in new:
            del sys.modules[name]
        raise PluginError(_sentence(Path(named[0]), files[0], "while it works"))


# --- errors of plugins


def blame(error: BaseException) -> str | None:
    """A sentence about an error that the code of a plugin has raised; None for other errors."""
    trace, of_plugin = error.__traceback__, None
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if isinstance(name, str) and (name.startswith(sources.DROP_IN) or name.partition(".")[0] in _installed()):
            of_plugin = trace
        trace = trace.tb_next
    if of_plugin is None:
        return None
    code, kind = of_plugin.tb_frame.f_code, type(error).__name__
    place = f"in {code.co_qualname}, line {of_plugin.tb_lineno}"
    return f"plugin {code.co_filename} is broken: {place}: {kind}: {message_of(error)}".rstrip(": ")


@cache
def _installed() -> frozenset[str]:
    """The top-level modules of installed plugins."""
    return frozenset(point.module.partition(".")[0] for point in entry_points(group=GROUP)) - {"fairl_bench"}
