"""Checks of a plugin when it is loaded: its hooks exist, a suite can write its names, and its fields can be stored.

Each is refused with one sentence that says what to write instead.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from pydantic import SecretStr

from fairl_bench import hookspecs
from fairl_bench.component import Component, Settings
from fairl_bench.errors import FairlError, PluginError, message_of, suggest
from fairl_bench.kinds import KINDS, Detector, Evaluator, Method, Source, TestSet
from fairl_bench.metrics import Metric
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.values.comparison import Question, TwoMethods
from fairl_bench.views import ReportTable

_IMPL = "fairl_bench_impl"  # what pluggy puts on a function under @hookimpl
_NAME = re.compile(r"[^\W_][\w.+-]*")
_LONGEST = 100  # letters of a name


def check_hooks(module: object, plugin: str) -> None:
    """Raise `PluginError` for a function with a name like a hook's that is no hook."""
    known = {name for name in vars(hookspecs) if name.startswith("fairl_")}
    for name, hook in list(vars(module).items()):
        if not isinstance(name, str) or not name.startswith("fairl_") or not callable(hook):
            continue
        if name not in known:
            raise PluginError(f"plugin {plugin} has an unknown hook {name!r}; {suggest(name, known)}")
        if getattr(hook, _IMPL, None) is None:
            raise PluginError(
                f"plugin {plugin} defines {name} without @hookimpl, so nothing would call it; write "
                "'from fairl_bench import hookimpl', and @hookimpl above the function"
            )
        if inspect.iscoroutinefunction(hook) or inspect.isgeneratorfunction(hook) or inspect.isasyncgenfunction(hook):
            raise PluginError(f"plugin {plugin}: {name} waits or yields; make it a plain function that returns")


def check_name(kind: str, name: object, plugin: str) -> None:
    """Raise `PluginError` for a name that no suite could write after ``use:``."""
    if not isinstance(name, str) or len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise PluginError(
            f"plugin {plugin} registers a {kind} under the name {name!r:.60}; a name needs letters, digits and "
            f". _ + -, begins with a letter or digit, and has at most {_LONGEST} characters"
        )


# --- fields

_NAMED = ("source", "encoder", "method")  # kinds whose entries of a suite have a name of their own


def check_fields(kind: str, name: str, part: type[Component], plugin: str) -> None:
    """Raise `PluginError` for a field that a suite cannot set, or that hides an attribute of its kind."""
    base, what = KINDS[kind], f"{kind} {name!r} of {plugin}"
    if part.kind != kind:
        raise PluginError(f"{what} has the kind {part.kind!r:.40}; leave 'kind' as {base.__name__} has it")
    for field in part.model_fields:
        if field in ("use", "kind") or (field == "name" and kind in _NAMED):
            raise PluginError(f"{what} has a field {field!r}, a word that suites have for themselves; rename it")
        if field not in base.model_fields and any(field in vars(one) for one in base.__mro__ if one is not object):
            raise PluginError(f"{what} has a field {field!r}, which hides what every {base.__name__} has; rename it")
    for field, info in part.model_fields.items():
        for wrong in _wrong(info.annotation, set()):
            raise PluginError(f"{what}: the field {field!r} {wrong}")
    for fact in ("drawn", "seeded", "fitted", "reads_vectors", "by_step"):
        if hasattr(base, fact) and not isinstance(getattr(part, fact), bool):
            raise PluginError(f"{what}: {fact} is {getattr(part, fact)!r:.40}; make it True or False")


_INSTEAD: Mapping[Any, str] = {
    list: "tuple[{inner}, ...]",
    set: "tuple[{inner}, ...]",
    frozenset: "tuple[{inner}, ...]",
    Sequence: "tuple[{inner}, ...]",
    Iterator: "tuple[{inner}, ...]",
    bytes: "str",
    bytearray: "str",
}
_PLAIN = (str, int, float, bool, type(None), object, Any, SecretStr)


def _wrong(kind: object, seen: set[Any]) -> Iterator[str]:
    """What is wrong with the type of a field: parts are frozen, and their values must be writable as YAML."""
    origin, given = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _wrong(given[0], seen)
    elif origin in (Union, types.UnionType):
        for one in given:
            yield from _wrong(one, seen)
    elif origin is Literal or origin is ClassVar or isinstance(kind, TypeVar) or kind in _PLAIN:
        return
    elif origin is tuple or kind is tuple:
        for one in given:
            if one is not Ellipsis:
                yield from _wrong(one, seen)
    elif origin in (dict, Mapping) or kind in (dict, Mapping):
        yield from _wrong_mapping(given, seen)
    elif isinstance(kind, type) and issubclass(kind, Settings):
        if kind not in seen and not issubclass(kind, Component):
            seen.add(kind)
            for name, info in kind.model_fields.items():
                yield from (f"has {name!r}, which {wrong}" for wrong in _wrong(info.annotation, seen))
    elif isinstance(kind, type) and issubclass(kind, str) and not issubclass(kind, Enum):
        return
    else:
        yield _instead(kind, origin, given)


def _wrong_mapping(given: tuple[Any, ...], seen: set[Any]) -> Iterator[str]:
    if given and given[0] is not str and get_origin(given[0]) is not Literal:
        yield f"is a mapping from {_spelled(given[0])}; let it be from str, as a suite writes it"
    for one in given[1:]:
        yield from _wrong(one, seen)


def _instead(kind: object, origin: object, given: tuple[Any, ...]) -> str:
    form = _INSTEAD.get(origin or kind)
    inner = _spelled(given[0]) if given else "float"
    advice = (
        f"parts are frozen: make it {form.format(inner=inner)}"
        if form
        else (
            "a suite holds texts, numbers, true and false, tuples, mappings from text, and parts: make it one of these"
        )
    )
    return f"is of the type {_spelled(kind)}; {advice}"


def _spelled(kind: object) -> str:
    return getattr(kind, "__qualname__", str(kind)) if isinstance(kind, type) and not get_args(kind) else str(kind)


# --- what a part says of itself before any work


def check_part(part: Component, what: str) -> None:
    """Raise `PluginError` where a part declares something about itself that cannot be read."""
    for verb, (fits, needed) in _said_by(part).items():
        try:
            found = getattr(part, verb)()
        except FairlError:
            raise
        except Exception as error:
            raise PluginError(f"{what}: {verb} raised {type(error).__name__}: {message_of(error)}") from error
        if not fits(found):
            raise PluginError(f"{what}: {verb} gave {_shown(found)}; it needs {needed}")
    if isinstance(part, Evaluator):
        _check_metrics(part, what)


def _check_metrics(part: Evaluator, what: str) -> None:
    """Raise `PluginError` where an evaluator does not declare what it gives."""
    try:
        metrics = part.metrics
    except Exception as error:
        raise PluginError(f"{what}: metrics raised {type(error).__name__}: {message_of(error)}") from error
    needed = "a tuple of fairl_bench.Metric, one for each number it gives: Metric('NAME', better='higher')"
    if not isinstance(metrics, tuple) or not metrics or not all(isinstance(metric, Metric) for metric in metrics):
        raise PluginError(f"{what}: metrics is {_shown(metrics)}; it needs {needed}")
    names = [metric.name for metric in metrics]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise PluginError(f"{what}: metrics has {twice!r} twice; declare each number once")


def _said_by(part: Component) -> dict[str, tuple[Callable[[Any], bool], str]]:
    """For each method of a part: a test of its answer, and what is needed."""
    found: dict[str, tuple[Callable[[Any], bool], str]] = {
        "plain": (_is_json, "what a suite can hold"),
        "upstream": (_are_parts, "a dict of parts by role"),
        "draws": (_is_bool, "True or False"),
    }
    if isinstance(part, Source | TestSet):
        found |= {"size": (_is_size, "a whole number, or None"), "judged": (_is_bool, "True or False")}
    if isinstance(part, Method | Detector | Evaluator):
        found["truths"] = (_names, "a set of names")
    if isinstance(part, Method):
        found["stack"] = (_is_hashable, "a value that is hashable, or None")
    if isinstance(part, PairwiseMethod):
        found |= {"members": (_is_count, "a whole number of at least 1"), "weighs": (_is_bool, "True or False")}
    if isinstance(part, Evaluator):
        found |= {"needs": (_names, "a set of names"), "measured": (_names, "a set of names")}
    if isinstance(part, ReportTable):
        found |= dict.fromkeys(("datasets", "truths_by_data", "measures"), (_names, "a tuple of names"))
        found |= {"pair": (_is_pair, "two names, or None"), "seed_distances": (_names, "a tuple of names")}
        found["questions"] = (_all_are(Question), "a list of fairl_bench.Question")
        found["disagreements"] = (_all_are(TwoMethods), "a list of fairl_bench.TwoMethods")
    return found


def _is_pair(found: object) -> bool:
    return found is None or (isinstance(found, tuple) and len(found) == 2 and _names(found))


def _all_are(kind: type) -> Callable[[Any], bool]:
    """Whether an answer is a list of values of this type."""
    return lambda found: isinstance(found, tuple | list) and all(isinstance(value, kind) for value in found)


def _is_bool(found: object) -> bool:
    return isinstance(found, bool)


def _is_size(found: object) -> bool:
    return found is None or (isinstance(found, int) and not isinstance(found, bool) and found >= 0)


def _is_count(found: object) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and found >= 1


def _names(found: object) -> bool:
    return isinstance(found, set | frozenset | tuple | list) and all(isinstance(one, str) for one in found)


def _are_parts(found: object) -> bool:
    return isinstance(found, Mapping) and all(
        isinstance(role, str) and isinstance(one, Settings) for role, one in found.items()
    )


def _is_hashable(found: object) -> bool:
    try:
        hash(found)
    except Exception:
        return False
    return True


def _is_json(found: object) -> bool:
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(found, dict)


def _shown(found: object) -> str:
    try:
        return f"{found!r:.60}"
    except Exception:
        return f"a {type(found).__name__}"
