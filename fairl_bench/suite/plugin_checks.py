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
from fairl_bench.kinds import KINDS
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Ask, AskLikelihoods
from fairl_bench.kinds.method import Detector, Given, Method
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.kinds.upstream import Artefact, Refits
from fairl_bench.metrics import Metric
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.values.comparison import Question, TwoMethods
from fairl_bench.values.truths import Objective
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
        hides = any(field in vars(ancestor) for ancestor in base.__mro__ if ancestor is not object)
        if hides and field not in base.model_fields:
            raise PluginError(f"{what} has a field {field!r}, which hides what every {base.__name__} has; rename it")
    for field, info in part.model_fields.items():
        for problem in _wrong(info.annotation, set()):
            raise PluginError(f"{what}: the field {field!r} {problem}")
    for attribute in _YES_OR_NO:
        if hasattr(base, attribute) and not isinstance(getattr(part, attribute), bool | property):
            raise PluginError(f"{what}: {attribute} is {getattr(part, attribute)!r:.40}; make it True or False")
    if issubclass(part, Judge) and not isinstance(part.concept, property):
        _check_concept(part.concept, what)
    if issubclass(part, Method) and not isinstance(part.given, property) and part.given not in get_args(Given):
        known = ", ".join(map(repr, get_args(Given)))
        raise PluginError(f"{what}: given is {part.given!r:.40}; make it one of {known}")


def _check_concept(concept: object, what: str) -> None:
    """Raise `PluginError` for a concept that does not fit into a line."""
    fits = (
        isinstance(concept, str) and len(concept) <= _LONGEST and concept.isprintable() and concept == concept.strip()
    )
    if not fits:
        raise PluginError(
            f"{what}: concept is {_shown(concept)}; make it a few words on what it measures, at most {_LONGEST} "
            "characters in one line, or leave it empty"
        )


_YES_OR_NO = (
    *("drawn", "seeded", "fitted", "by_step"),
    *("reads_vectors", "reads_prompts", "reads_upstream", "reads_validation", "reference", "per_prompt"),
    *("learns", "reads_reward", "sliced"),
)
"""Attributes of classes that are True or False."""


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
    """The problems of a field's type, in words: a suite must be able to write its values."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _wrong(arguments[0], seen)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _wrong(argument, seen)
    elif origin is Literal or origin is ClassVar or isinstance(kind, TypeVar) or kind in _PLAIN:
        return
    elif origin is tuple or kind is tuple:
        for argument in arguments:
            if argument is not Ellipsis:
                yield from _wrong(argument, seen)
    elif origin in (dict, Mapping) or kind in (dict, Mapping):
        yield from _wrong_mapping(arguments, seen)
    elif isinstance(kind, type) and issubclass(kind, Settings):
        if kind not in seen and not issubclass(kind, Component):
            seen.add(kind)
            for name, info in kind.model_fields.items():
                yield from (f"has {name!r}, which {wrong}" for wrong in _wrong(info.annotation, seen))
    elif isinstance(kind, type) and issubclass(kind, str) and not issubclass(kind, Enum):
        return
    else:
        yield _instead(kind, origin, arguments)


def _wrong_mapping(arguments: tuple[Any, ...], seen: set[Any]) -> Iterator[str]:
    """The problems of the types of a mapping, in words."""
    if arguments and arguments[0] is not str and get_origin(arguments[0]) is not Literal:
        yield f"is a mapping from {_spelled(arguments[0])}; let it be from str, as a suite writes it"
    for argument in arguments[1:]:
        yield from _wrong(argument, seen)


def _instead(kind: object, origin: object, arguments: tuple[Any, ...]) -> str:
    """A sentence on a type that is not allowed, with the one to use in its place."""
    form = _INSTEAD.get(origin or kind)
    inner = _spelled(arguments[0]) if arguments else "float"
    advice = (
        f"parts are frozen: make it {form.format(inner=inner)}"
        if form
        else (
            "a suite holds texts, numbers, true and false, tuples, mappings from text, and parts: make it one of these"
        )
    )
    return f"is of the type {_spelled(kind)}; {advice}"


def _spelled(kind: object) -> str:
    """A type as its class is written."""
    return getattr(kind, "__qualname__", str(kind)) if isinstance(kind, type) and not get_args(kind) else str(kind)


# --- the answers that a part gives about itself before any work


def check_part(part: Component, what: str) -> None:
    """Raise `PluginError` where a part gives a wrong answer about itself."""
    for verb, (fits, needed) in _answers_of(part).items():
        try:
            answer = getattr(part, verb)()
        except FairlError:
            raise
        except Exception as error:
            raise PluginError(f"{what}: {verb} raised {type(error).__name__}: {message_of(error)}") from error
        if not fits(answer):
            raise PluginError(f"{what}: {verb} gave {_shown(answer)}; it needs {needed}")
        if verb == "upstream":
            _check_upstream(part, answer, what)
    if isinstance(part, Evaluator):
        _check_metrics(part, what)
    if isinstance(part, Judge):
        try:
            concept: object = part.concept
        except Exception as error:
            raise PluginError(f"{what}: concept raised {type(error).__name__}: {message_of(error)}") from error
        _check_concept(concept, what)
    if isinstance(part, Method):
        _check_declared(part, what)


def _check_declared(method: Method, what: str) -> None:
    """Raise `PluginError` where a property says of a method what no method can be."""
    needed = {attribute: (True, False) for attribute in _YES_OR_NO if hasattr(Method, attribute)}
    for attribute, known in {**needed, "given": get_args(Given)}.items():
        try:
            said = getattr(method, attribute)
        except Exception as error:
            raise PluginError(f"{what}: {attribute} raised {type(error).__name__}: {message_of(error)}") from error
        if not any(said is value or (said == value and isinstance(said, str)) for value in known):
            raise PluginError(f"{what}: {attribute} is {_shown(said)}; make it one of {', '.join(map(repr, known))}")


def placed(method: Method, source: Source) -> Method:
    """The method for the pairs of a source.  Raises `PluginError` where `Method.of` gives no such method."""
    what = f"{method.kind} {method.use!r}: of"
    try:
        found: object = method.of(source)
    except FairlError:
        raise
    except Exception as error:
        raise PluginError(f"{what} raised {type(error).__name__}: {message_of(error)}") from error
    if not isinstance(found, type(method)):
        raise PluginError(
            f"{what} gave {_shown(found)} for source {source.use!r}; it needs a method of the same class, such as "
            "self.model_copy(update={...})"
        )
    return found


def _check_upstream(part: Component, upstream: Mapping[str, Settings], what: str) -> None:
    """Raise `PluginError` for a start that no part of this kind can have."""
    for role, start in upstream.items():
        if isinstance(start, AskLikelihoods) and not isinstance(part, Method | Evaluator):
            raise PluginError(
                f"{what}: upstream asks for likelihoods as {role!r}, and only a method or an evaluator is given those"
            )
        if isinstance(start, Refits) and not isinstance(part, Evaluator):
            raise PluginError(
                f"{what}: upstream asks for a reward to be learnt again as {role!r}, as evaluators alone may"
            )
        if not isinstance(start, LM | Ask | Source | AskLikelihoods | Refits | Artefact):
            likelihoods = ", the likelihoods of texts (AskLikelihoods)" if isinstance(part, Method | Evaluator) else ""
            raise PluginError(
                f"{what}: upstream names {_shown(start)} as {role!r}; it needs a language model{likelihoods}, "
                "completions (Ask) or a source"
            )
        if isinstance(part, Encoder) and role.startswith("method/"):
            raise PluginError(
                f"{what}: upstream has the role {role!r}, and 'method/' begins the roles of what a method reads in a "
                "saved reward; rename it"
            )


def _check_metrics(part: Evaluator, what: str) -> None:
    """Raise `PluginError` where an evaluator does not declare what it gives."""
    try:
        metrics = part.metrics
    except Exception as error:
        raise PluginError(f"{what}: metrics raised {type(error).__name__}: {message_of(error)}") from error
    needed = "a tuple of fairl_bench.Metric, one for each number it gives: Metric('NAME', better='higher')"
    if not isinstance(metrics, tuple) or not metrics or not all(isinstance(metric, Metric) for metric in metrics):
        if isinstance(metrics, Metric):
            raise PluginError(f"{what}: metrics is one Metric and no tuple; it needs {needed}; for a tuple add a comma")
        raise PluginError(f"{what}: metrics is {_shown(metrics)}; it needs {needed}")
    names = [metric.name for metric in metrics]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise PluginError(f"{what}: metrics has {twice!r} twice; declare each number once")


def _answers_of(part: Component) -> dict[str, tuple[Callable[[Any], bool], str]]:
    """For each method of a part that is called before any work: a test of its answer, and what is needed."""
    tests: dict[str, tuple[Callable[[Any], bool], str]] = {
        "plain": (_is_json, "what a suite can hold"),
        "upstream": (_are_parts, "a dict of parts by role"),
        "draws": (_is_bool, "True or False"),
    }
    if isinstance(part, Source | TestSet):
        tests |= {"size": (_is_size, "a whole number, or None"), "judged": (_is_bool, "True or False")}
    if isinstance(part, Judge | Source | TestSet):
        tests["objectives"] = (_are_objectives, "a dict of fairl_bench.Objective by name")
    if isinstance(part, LM):
        refusals = ("refuses_likelihoods", "refuses_weights", "estimates")
        tests |= dict.fromkeys(refusals, (_is_text, "a sentence, or an empty text"))
    if isinstance(part, Source):
        tests["unbounded"] = (_is_text, "a text, empty where the log-ratio is a bound")
    if isinstance(part, Method | Detector | Evaluator):
        tests["truths"] = (_names, "a set of names")
    if isinstance(part, Method):
        tests["stack"] = (_is_hashable, "a value that is hashable, or None")
    if isinstance(part, PairwiseMethod):
        tests |= {"members": (_is_count, "a whole number of at least 1"), "weighs": (_is_bool, "True or False")}
    if isinstance(part, Evaluator):
        tests |= {"needs": (_names, "a set of names"), "measured": (_names, "a set of names")}
        tests["judges"] = (_are_judges, "a dict of judges by the name of a truth")
        tests["not_measured"] = (_are_reasons, "a dict of sentences by the name of a metric")
    if isinstance(part, ReportTable):
        named = ("datasets", "truths_by_data", "measures", "models", "concepts", "shown_methods", "shown_slices")
        tests |= dict.fromkeys(named, (_names, "a tuple of names"))
        tests |= {"pair": (_is_pair, "two names, or None"), "seed_distances": (_names, "a tuple of names")}
        tests["questions"] = (_all_are(Question), "a list of fairl_bench.Question")
        tests["disagreements"] = (_all_are(TwoMethods), "a list of fairl_bench.TwoMethods")
    return tests


def _is_pair(answer: object) -> bool:
    return answer is None or (isinstance(answer, tuple) and len(answer) == 2 and _names(answer))


def _all_are(kind: type) -> Callable[[Any], bool]:
    """A test that an answer is a list of values of this type."""
    return lambda answer: isinstance(answer, tuple | list) and all(isinstance(value, kind) for value in answer)


def _are_reasons(answer: object) -> bool:
    return isinstance(answer, Mapping) and all(isinstance(text, str) for both in answer.items() for text in both)


def _is_bool(answer: object) -> bool:
    return isinstance(answer, bool)


def _is_text(answer: object) -> bool:
    return isinstance(answer, str)


def _is_size(answer: object) -> bool:
    return answer is None or (isinstance(answer, int) and not isinstance(answer, bool) and answer >= 0)


def _is_count(answer: object) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool) and answer >= 1


def _names(answer: object) -> bool:
    return isinstance(answer, set | frozenset | tuple | list) and all(isinstance(name, str) for name in answer)


def _are_parts(answer: object) -> bool:
    return isinstance(answer, Mapping) and all(
        isinstance(role, str) and isinstance(part, Settings) for role, part in answer.items()
    )


def _are_judges(answer: object) -> bool:
    return isinstance(answer, Mapping) and all(
        isinstance(truth, str) and isinstance(judge, Judge) for truth, judge in answer.items()
    )


def _are_objectives(answer: object) -> bool:
    return isinstance(answer, Mapping) and all(
        isinstance(name, str) and isinstance(one, Objective) for name, one in answer.items()
    )


def _is_hashable(answer: object) -> bool:
    try:
        hash(answer)
    except Exception:
        return False
    return True


def _is_json(answer: object) -> bool:
    try:
        json.dumps(answer, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(answer, dict)


def _shown(answer: object) -> str:
    """The beginning of an answer as text."""
    try:
        return f"{answer!r:.60}"
    except Exception:
        return f"a {type(answer).__name__}"
