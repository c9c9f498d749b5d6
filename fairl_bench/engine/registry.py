"""Which parts exist: built-in, installed and drop-in plugins, loaded lazily and one by one.

An installed plugin that is broken is reported and left out; a drop-in that a suite names is an error at once.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, TypeVar, cast

import pluggy

from fairl_bench import hookspecs
from fairl_bench.component import Component, Spec, tuples
from fairl_bench.errors import PluginError, UnknownName, suggest
from fairl_bench.kinds import KINDS

GROUP = "fairl_bench"
KIND_OF = {f"fairl_{kind.removesuffix('s')}s": kind for kind in KINDS}
"""The kind that a hook registers parts of; the other hooks follow a run."""
_BUILTIN = "fairl_bench.builtin"
C = TypeVar("C", bound=Component)


class Plugin(NamedTuple):
    """Where parts come from."""

    name: str
    origin: Literal["built-in", "installed", "drop-in"]
    version: str
    failure: str = ""
    hooks: tuple[str, ...] = ()


class _Entry(NamedTuple):
    plugin: str
    part: type[Component] | str


class Registry:
    """Every part by kind and name.  ``drop_ins`` are files; ``installed=False`` leaves installed plugins out."""

    def __init__(self, drop_ins: Sequence[Path] = (), *, installed: bool = True) -> None:
        self.plugins: dict[str, Plugin] = {}
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._manager = pluggy.PluginManager("fairl_bench")
        self._manager.add_hookspecs(hookspecs)
        self.drop_ins = tuple(sorted({Path(path).resolve() for path in drop_ins}))
        from fairl_bench import __version__

        self._add(importlib.import_module(_BUILTIN), Plugin(_BUILTIN, "built-in", __version__))
        if installed:
            self._load_installed()
        for path in self.drop_ins:
            self._add(_import_file(path), Plugin(str(path), "drop-in", _digest_of(path)[:12]))

    def _load_installed(self) -> None:
        """Load the entry points of `GROUP`, by name; one that fails is noted and takes nothing down."""
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            version = point.dist.version if point.dist else ""
            plugin = Plugin(point.name, "installed", version)
            try:
                self._add(point.load(), plugin)
            except (Exception, SystemExit) as error:  # a plugin that exits on import ends nothing but itself
                place = f"{point.name} (again)" if point.name in self.plugins else point.name
                self.plugins[place] = plugin._replace(failure=_reason(error))

    def _add(self, module: Any, plugin: Plugin) -> None:
        """Register one plugin with all its parts, or none of them."""
        if plugin.name in self.plugins:
            raise PluginError(f"another plugin is named {plugin.name!r} too")
        before = dict(self._entries)
        try:
            self._manager.register(module, plugin.name)
            self._refuse_misspelt(module, plugin)
            callers = self._manager.get_hookcallers(module) or []
            for caller in callers:
                if kind := KIND_OF.get(caller.name):
                    self._alone(caller.name, module)(register=self._register(kind, plugin.name))
            hooks = tuple(sorted(caller.name for caller in callers))
            self.plugins[plugin.name] = plugin._replace(hooks=hooks)
        except Exception as error:
            self._entries = before
            if self._manager.has_plugin(plugin.name):
                self._manager.unregister(name=plugin.name)
            if isinstance(error, PluginError):
                raise
            raise PluginError(f"plugin {plugin.name} is broken: {_reason(error)}") from error

    def _alone(self, hook: str, module: Any) -> Callable[..., Any]:
        """What calls a hook of one plugin and of no other."""
        return self._manager.subset_hook_caller(hook, [one for one in self._manager.get_plugins() if one is not module])

    def followers(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """The plugins with a hook, as they were registered: the name, and what calls the hook of this one alone."""
        names = [name for name, plugin in self.plugins.items() if hook in plugin.hooks]
        return [(name, self._alone(hook, self._manager.get_plugin(name))) for name in names]

    def _refuse_misspelt(self, module: Any, plugin: Plugin) -> None:
        known = {name for name in vars(hookspecs) if name.startswith("fairl_")}
        for name in vars(module):
            if name.startswith("fairl_") and name not in known and callable(getattr(module, name)):
                raise PluginError(f"plugin {plugin.name} has an unknown hook {name!r}; {suggest(name, known)}")
        self._manager.check_pending()

    def _register(self, kind: str, plugin: str) -> hookspecs.Register:
        def register(name: str, part: type[Component] | str, /) -> None:
            other = self._entries.get((kind, name))
            if other is not None:
                raise PluginError(
                    f"{kind} {name!r} is registered by both {other.plugin} and {plugin}; rename one of them"
                )
            self._entries[kind, name] = _Entry(plugin, part)

        return register

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of a kind, sorted."""
        return tuple(sorted(name for known, name in self._entries if known == kind))

    def plugin_of(self, kind: str, name: str) -> Plugin:
        """The plugin that registered a part."""
        return self.plugins[self._entries[kind, name].plugin]

    def find(self, kind: str, name: str) -> type[Component]:
        """The class of a part, imported now if it was registered by path."""
        entry = self._entries.get((kind, name))
        if entry is None:
            raise UnknownName(kind, str(name), self.names(kind))
        part = entry.part
        if isinstance(part, str):
            module, _, attribute = part.partition(":")
            try:
                part = cast("type[Component]", getattr(importlib.import_module(module), attribute))
            except Exception as error:
                raise PluginError(f"{kind} {name!r} of {entry.plugin} cannot be loaded: {_reason(error)}") from error
        if not (isinstance(part, type) and issubclass(part, KINDS[kind])):
            raise PluginError(f"{kind} {name!r} of {entry.plugin} is {part!r}; it must subclass {KINDS[kind].__name__}")
        if inspect.isabstract(part):
            verbs = ", ".join(sorted(part.__abstractmethods__))
            raise PluginError(f"{kind} {name!r} of {entry.plugin} is not whole: {part.__name__} must define {verbs}")
        return part

    def build(self, kind: type[C], spec: Spec) -> C:
        """The part that a spec describes.  Raises pydantic's ``ValidationError`` with the place of each mistake."""
        return kind.model_validate(tuples(spec), context=self.context())

    def context(self) -> Mapping[str, Any]:
        """The validation context in which nested specs find their classes."""
        return {"find": self.find}


def _import_file(path: Path) -> ModuleType:
    """Import a drop-in; it is in ``sys.modules`` before it runs, or its dataclasses would not find themselves."""
    if not path.is_file():
        raise PluginError(f"plugin {path} does not exist; name a Python file under 'plugins:'")
    # by place and content: a copy elsewhere is another module, and so is the same file after an edit
    name = f"fairl_bench_drop_in_{path.stem}_{hashlib.sha256(bytes(path) + path.read_bytes()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise PluginError(f"plugin {path} is not a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"plugin {path} is broken: {_reason(error)}") from error
    return module


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines() or [""]
    # pluggy says last what is wrong, and first where
    return f"{type(error).__name__}: {lines[-1 if isinstance(error, pluggy.PluginValidationError) else 0]}"
