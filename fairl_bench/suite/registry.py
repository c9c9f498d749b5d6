"""The registry of all parts: those of built-in, installed and drop-in plugins, each loaded when it is used.

A broken plugin that is installed is reported and left out; a broken drop-in, which a suite names, is an error.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, cast

import pluggy

from fairl_bench import hookspecs
from fairl_bench.component import Component, Spec, parts_within, tuples
from fairl_bench.errors import PluginError, UnknownName, message_of
from fairl_bench.guards.isolation import PartEnded, isolated
from fairl_bench.kinds import KINDS
from fairl_bench.suite.drop_ins import imported, load, no_loose_imports
from fairl_bench.suite.named_files import located
from fairl_bench.suite.plugin_checks import check_fields, check_hooks, check_name, check_part
from fairl_bench.version import __version__

GROUP = "fairl_bench"
KIND_OF = {f"fairl_{kind.removesuffix('s')}s": kind for kind in KINDS}
"""The kind that a hook registers parts of; the other hooks follow a run."""
_BUILTIN = "fairl_bench.builtin"
C = TypeVar("C", bound=Component)


class Plugin(NamedTuple):
    """A plugin that parts come from."""

    name: str
    origin: Literal["built-in", "installed", "drop-in"]
    version: str
    failure: str = ""
    hooks: tuple[str, ...] = ()


class _Entry(NamedTuple):
    plugin: str
    part: type[Component] | str
    role: str = ""


class Registry:
    """Every part by kind and name.  ``drop_ins`` are files, or names of those that come with the package.

    ``installed=False`` leaves installed plugins out.
    """

    def __init__(self, drop_ins: Sequence[Path] = (), *, installed: bool = True) -> None:
        self.plugins: dict[str, Plugin] = {}
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._manager = pluggy.PluginManager("fairl_bench")
        self._manager.add_hookspecs(hookspecs)
        self.drop_ins = tuple(sorted({_resolved(located("plugin", path)) for path in drop_ins}))
        self._found: dict[tuple[str, str], type[Component]] = {}
        self._add(importlib.import_module(_BUILTIN), Plugin(_BUILTIN, "built-in", __version__))
        if installed:
            self._load_installed()
        for path in self.drop_ins:
            self._add(load(path), Plugin(str(path), "drop-in", _digest_of(path)[:12]))

    def _load_installed(self) -> None:
        """Load the entry points of `GROUP`, by name; one that fails is noted, and the others are loaded."""
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            version = point.dist.version if point.dist else ""
            plugin = Plugin(point.name, "installed", version)
            try:
                with imported(point.name):
                    module = point.load()
                self._add(module, plugin)
            except Exception as error:
                place = f"{point.name} (again)" if point.name in self.plugins else point.name
                self.plugins[place] = plugin._replace(failure=_reason(error))

    def _add(self, module: object, plugin: Plugin) -> None:
        """Register one plugin with all its parts, or none of them."""
        if plugin.name in self.plugins:
            raise PluginError(f"another plugin is named {plugin.name!r} too")
        before = dict(self._entries)
        try:
            check_hooks(module, plugin.name)
            self._manager.register(module, plugin.name)
            self._manager.check_pending()
            callers = self._manager.get_hookcallers(module) or []
            for caller in callers:
                if kind := KIND_OF.get(caller.name):
                    with nullcontext() if plugin.origin == "built-in" else imported(plugin.name):
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

    def _alone(self, hook: str, module: object) -> Callable[..., Any]:
        """A function that calls the hook of one plugin alone."""
        others = [plugin for plugin in self._manager.get_plugins() if plugin is not module]
        return self._manager.subset_hook_caller(hook, others)

    def followers(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """The plugins with a hook, in the order of registration: the name, and a function that calls the hook."""
        names = [name for name, plugin in self.plugins.items() if hook in plugin.hooks]
        return [(name, self._alone(hook, self._manager.get_plugin(name))) for name in names]

    def _register(self, kind: str, plugin: str) -> hookspecs.Register:
        """The function that a plugin registers its parts of a kind with."""

        def register(name: str, part: type[Component] | str, /, *, role: str = "") -> None:
            check_name(kind, name, plugin)
            entry_before = self._entries.get((kind, name))
            if entry_before is not None and entry_before.plugin == plugin:
                raise PluginError(f"{kind} {name!r} is registered twice by {plugin}; give one of them another name")
            if entry_before is not None:
                raise PluginError(
                    f"{kind} {name!r} is registered by both {entry_before.plugin} and {plugin}; rename one of them"
                )
            if role and any(
                other_kind == kind and entry.role == role for (other_kind, _), entry in self._entries.items()
            ):
                raise PluginError(f"{kind} {name!r} of {plugin}: another {kind} has the role {role!r} already")
            self._entries[kind, name] = _Entry(plugin, part, role)

        return register

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of a kind, sorted."""
        return tuple(sorted(name for entry_kind, name in self._entries if entry_kind == kind))

    def name_of_role(self, kind: str, role: str) -> str:
        """The name of the part that was registered for a role.  Raises `PluginError` where none was."""
        for (entry_kind, name), entry in self._entries.items():
            if (entry_kind, entry.role) == (kind, role):
                return name
        raise PluginError(f"no {kind} is registered for the role {role!r}")

    def in_order(self, kind: str) -> tuple[str, ...]:
        """The names of a kind as they were registered: built-in ones first, then installed, then drop-ins."""
        return tuple(name for entry_kind, name in self._entries if entry_kind == kind)

    def plugin_of(self, kind: str, name: str) -> Plugin:
        """The plugin that registered a part."""
        return self.plugins[self._entries[kind, name].plugin]

    def owners(self) -> dict[tuple[str, str], str]:
        """The plugin of every part by kind and name; empty for a built-in part."""
        return {place: "" if entry.plugin == _BUILTIN else entry.plugin for place, entry in self._entries.items()}

    def find(self, kind: str, name: str) -> type[Component]:
        """The class of a part, imported now if it was registered by path."""
        entry = self._entries.get((kind, name))
        if entry is None:
            raise UnknownName(kind, str(name), self.names(kind))
        if (kind, name) not in self._found:
            self._found[kind, name] = self._class_of(kind, name, entry)
        return self._found[kind, name]

    def _class_of(self, kind: str, name: str, entry: _Entry) -> type[Component]:
        """The class of an entry.  Raises `PluginError` where it cannot be loaded or is no class of its kind."""
        part, origin = entry.part, self.plugins[entry.plugin].origin
        if isinstance(part, str):
            module, _, attribute = part.partition(":")
            try:
                if origin == "built-in":
                    part = cast("type[Component]", getattr(importlib.import_module(module), attribute))
                else:
                    with imported(entry.plugin), no_loose_imports([entry.plugin] if origin == "drop-in" else ()):
                        part = cast("type[Component]", getattr(importlib.import_module(module), attribute))
            except Exception as error:
                raise PluginError(f"{kind} {name!r} of {entry.plugin} cannot be loaded: {_reason(error)}") from error
        if not (isinstance(part, type) and issubclass(part, KINDS[kind])):
            raise PluginError(f"{kind} {name!r} of {entry.plugin} is {part!r}; it must subclass {KINDS[kind].__name__}")
        if inspect.isabstract(part):
            verbs = ", ".join(sorted(part.__abstractmethods__))
            raise PluginError(f"{kind} {name!r} of {entry.plugin} is not whole: {part.__name__} must define {verbs}")
        if origin != "built-in":
            check_fields(kind, name, part, entry.plugin)
        return part

    def check(self, settings: object) -> None:
        """Check the parts of plugins within these settings.  Raises `PluginError` for a wrong declaration."""
        parts = [part for part in parts_within(settings) if part.use]
        foreign = [part for part in parts if not type(part).__module__.startswith("fairl_bench.")]
        with isolated() if foreign else nullcontext():
            for part in foreign:
                plugin = self.plugin_of(part.kind, part.use)
                check_part(part, f"{part.kind} {part.use!r} of {plugin.name}")

    def dropped_in(self, specs: Iterable[Mapping[str, Any]]) -> set[str]:
        """The drop-ins that parts come from, by their specs, parts within parts too."""
        return {name for name in self.foreign(specs) if self.plugins[name].origin == "drop-in"}

    def foreign(self, specs: Iterable[Mapping[str, Any]]) -> set[str]:
        """The plugins other than the built-in one that parts come from, by their specs, parts within parts too."""
        plugins = {entry.plugin for entry in self._entries.values() if entry.plugin != _BUILTIN}
        if not plugins:
            return set()
        used = {use for spec in specs for use in _uses(spec)}
        return plugins & {entry.plugin for (_, name), entry in self._entries.items() if name in used}

    def build(self, kind: type[C], spec: Spec) -> C:
        """The part that a spec describes.  Raises pydantic's ``ValidationError`` with the place of each mistake."""
        return kind.model_validate(tuples(spec), context=self.context())

    def context(self) -> Mapping[str, Any]:
        """The validation context in which nested specs find their classes, and names of a kind are known."""
        return {"find": self.find, "names": self.names}


def _digest_of(path: Path) -> str:
    """The SHA-256 of a drop-in."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _uses(spec: object) -> Iterator[str]:
    """Every name after ``use`` in a spec."""
    if isinstance(spec, Mapping):
        if isinstance(use := spec.get("use"), str):
            yield use
        spec = tuple(spec.values())
    if isinstance(spec, list | tuple):
        for inner in spec:
            yield from _uses(inner)


def _resolved(path: Path) -> Path:
    """The path without links.  Raises `PluginError` where it cannot be one of a file."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a name with a zero in it
        raise PluginError(f"plugin {str(path)!r} is no file: {message_of(error)}") from error


def _reason(error: BaseException) -> str:
    """An error of a plugin in one line."""
    if isinstance(error, PartEnded):
        return str(error)
    # the last line of pluggy's message says what is wrong
    text = str(error).splitlines()[-1] if isinstance(error, pluggy.PluginValidationError) else message_of(error)
    return f"{type(error).__name__}: {text}"
