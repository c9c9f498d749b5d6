"""The mistakes that validation finds, in words: a sentence for each, with its place and what is there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from fairl_bench.component import NAME
from fairl_bench.errors import LINES, SuiteError
from fairl_bench.suite.yaml import Document, Place
from fairl_bench.values.truths import GOLD_NAME, TRUTH_NAME

_NEEDS = {
    "a whole number": ("int_type", "int_parsing", "int_from_float"),
    "a number": ("float_type", "float_parsing"),
    "a finite number": ("finite_number",),
    "true or false": ("bool_type", "bool_parsing"),
    "a text": ("string_type",),
    "a list": ("tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type"),
    "a mapping": ("dict_type", "model_type", "model_attributes_type", "mapping_type", "dataclass_type"),
    "null": ("none_required",),
    "one of {expected}": ("enum",),
    "{expected}": ("literal_error",),
}
_BOUNDS = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "too_long": "needs at most {max_length} entries",
    "string_too_long": "needs at most {max_length} characters",
}
_PATTERNS = {
    NAME: "a name starts with a letter or digit and holds letters, digits, '.', '_', '+' and '-' alone",
    GOLD_NAME: "needs 'gold' or 'gold:NAME'",
    TRUTH_NAME: "needs 'preferred', 'gold' or 'gold:NAME'",
}
_TAG = re.compile(r"\[.*\]")  # [key], and the types of a union of which the value itself says which it is
_NEEDED = {kind: need for need, kinds in _NEEDS.items() for kind in kinds}


class _Mistake(NamedTuple):
    error: Mapping[str, Any]
    place: Place
    union: Place | None  # where one of several types was tried, and which
    branch: str


_SHOWN = 60  # characters of a value, and so entries too
_MOST = 200
"""The most mistakes that are explained; of thousands, only the first ones."""


def explain(document: Document, error: ValidationError) -> str:
    """The first mistakes as ``file:line: place: sentence``, one in each line, and how many more there are."""
    errors = error.errors()
    mistakes = [_placed(document, each) for each in errors[:_MOST]]
    # a list is not called too short for the entry that was refused
    refused = {each.place[:end] for each in mistakes for end in range(len(each.place))}
    mistakes = [each for each in mistakes if each.error["type"] != "too_short" or each.place not in refused]
    sentences: dict[str, None] = {}
    for mistake in mistakes:
        of_union = [each for each in mistakes if each.union is not None and each.union == mistake.union]
        sentence = _sentence(document, mistake) if not of_union else _of_union(document, of_union)
        sentences |= dict.fromkeys(sentence.splitlines())
    lines = list(sentences)
    if len(lines) > LINES:
        more = f"{len(lines) - LINES + 1}{' or more' if len(errors) > _MOST else ''}"
        lines = [*lines[: LINES - 1], f"... and {more} other mistakes"]
    return "\n".join(lines)


def _placed(document: Document, error: Mapping[str, Any]) -> _Mistake:
    """A mistake at its place in the suite, without the steps that validators add to it."""
    content: Any = document.content
    place, union, branch = list[str | int](), None, ""
    steps: Sequence[str | int] = error["loc"][:-1] if error["type"] == "missing" else error["loc"]
    for step in steps:
        keys = content if isinstance(content, Mapping) else range(len(content)) if isinstance(content, list) else ()
        if step in keys:
            content = content[step]
            place.append(step)
        elif step != "part" and not _TAG.fullmatch(str(step)) and union is None:
            union, branch = tuple(place), str(step)
    return _Mistake(error, tuple(place), union, branch)


def _of_union(document: Document, tried: Sequence[_Mistake]) -> str:
    """The sentence on a value of several allowed types: the mistake in the best fitting type, else what it needs."""
    within = [mistake for mistake in tried if mistake.place != mistake.union]
    if within:
        first = within[0].branch
        return "\n".join(dict.fromkeys(_sentence(document, mistake) for mistake in within if mistake.branch == first))
    wrong = [mistake for mistake in tried if not _need(mistake.error)]
    if wrong:  # the type of one is right, and its value is not
        return _sentence(document, wrong[0])
    *needs, last = dict.fromkeys(_need(mistake.error) for mistake in tried)
    need = f"{', '.join(needs)} or {last}" if needs else last
    return _at(document, tried[0].place, f"needs {need}{_got(tried[0].error)}")


def _sentence(document: Document, mistake: _Mistake) -> str:
    """The sentence on a mistake, with its file and line."""
    error, place = mistake.error, mistake.place
    context = error.get("ctx", {})
    kind, last = error["type"], error["loc"][-1] if error["loc"] else ""
    if "url" not in error:  # our own words
        return _at(document, place, error["msg"], context.get("field"))
    if kind in {"value_error", "assertion_error"}:  # a part's own
        return _at(document, place, f"{context['error']}{_got(error)}")
    if kind == "missing" and isinstance(last, int):
        return _at(document, place, "has too few entries" + _got(error))
    if kind == "missing":
        return _at(document, place, f"{str(last)!r} is missing")
    if kind == "extra_forbidden":
        return _at(document, place[:-1], f"unknown field {str(last)!r}", last)
    if kind in {"too_short", "string_too_short"}:
        least = context["min_length"]
        return _at(document, place, "must not be empty" if least == 1 else f"needs at least {least} of them")
    if kind == "string_pattern_mismatch" and (sentence := _PATTERNS.get(context["pattern"])):
        return _at(document, place, sentence + _got(error))
    if need := _need(error):
        return _at(document, place, f"needs {need}{_got(error)}")
    if kind in _BOUNDS:
        bounds = {name: f"{value:g}" if isinstance(value, float) else value for name, value in context.items()}
        return _at(document, place, _BOUNDS[kind].format(**bounds) + _got(error))
    return _at(document, place, error["msg"][0].lower() + error["msg"][1:] + _got(error))


def _need(error: Mapping[str, Any]) -> str:
    """The type that a value needs; empty where its type is not wrong."""
    return _NEEDED.get(error["type"], "").format(**error.get("ctx", {}))


def _at(document: Document, place: Place, sentence: str, field: str | int | None = None) -> str:
    """``file:line: place: sentence``, at the line of the field, where one is named."""
    file, line = document.where(place if field is None else (*place, field))
    steps = ".".join(map(str, place))
    return str(SuiteError(f"{steps}: {sentence}" if steps else sentence, file, line))


def _got(error: Mapping[str, Any]) -> str:
    """The end of a sentence that shows the value."""
    value = error["input"]
    if value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = repr(_listed(value))
    return f", got {text if len(text) <= 60 else text[:57] + '...'}"


def _listed(value: object) -> Any:
    """Tuples as lists, as a suite has them; only the beginning of long ones, which is all that is shown."""
    if isinstance(value, tuple | list):
        return [_listed(entry) for entry in value[:_SHOWN]]
    if isinstance(value, Mapping):
        return {name: _listed(entry) for name, entry in itertools.islice(value.items(), _SHOWN)}
    return value[:_SHOWN] if isinstance(value, str) else value
