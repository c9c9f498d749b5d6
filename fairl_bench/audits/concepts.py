"""The concepts of an audit: those in the box, and those that a user names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from fairl_bench.errors import FairlError

IN_THE_BOX: Final[Mapping[str, Any]] = {
    "length": {"use": "words"},
    "toxic-words": {"use": "toxicity-words"},
    "profanity": {"use": "profanity"},
    "sentiment": {"use": "sentiment"},
    "praise": {"use": "praise"},
    "flattery": {"use": "flattery"},
    "politeness": {"use": "politeness"},
    "apology": {"use": "apology"},
    "refusal": {"use": "refusal"},
    "hedging": {"use": "hedging"},
    "first-person": {"use": "first-person"},
    "second-person": {"use": "second-person"},
    "questions": {"use": "questions"},
    "exclamations": {"use": "exclamations"},
    "numbers": {"use": "digits"},
    "lists": {"use": "lists"},
    "repetition": {"use": "repetition"},
    "reading-difficulty": {"use": "reading-grade"},
}
"""By the name that tables show, the judges that an audit asks unless it is told otherwise.

Without ``characters``, which is length once more: within pairs its correlation with words is .94 and more.
"""


def of_options(options: Iterable[str]) -> dict[str, Any]:
    """The concepts of ``--concept`` options: ``NAME``, ``NAME=USE``, or ``NAME={use: ..., ...}``.

    >>> of_options(["capitals", "shouting=capitals", "bus={use: word-list, words: [bus]}"])
    {'capitals': {'use': 'capitals'}, 'shouting': {'use': 'capitals'}, 'bus': {'use': 'word-list', 'words': ['bus']}}
    """
    found: dict[str, Any] = {}
    for option in options:
        name, equals, spec = option.partition("=")
        known = _parsed(spec if equals else name, f"--concept {option}")
        _add(found, name.strip(), known, f"--concept {option}")
    return found


def of_file(path: Path) -> dict[str, Any]:
    """The concepts of a YAML file: by name a judge, ``length: {use: words}`` or ``length: words``, or a list of these.

    Raises `FairlError` where it holds none.
    """
    from fairl_bench.suite.yaml import load, parse_value

    if not path.is_file():
        raise FairlError(f"--concepts: {path} does not exist, or is no file; name one that does")
    content: Any = parse_value(path.read_text(encoding="utf-8", errors="replace"), (path, None))
    if not isinstance(content, list):
        content = dict(load(path).content)
        content = content["concepts"] if set(content) == {"concepts"} else content
    found: dict[str, Any] = {}
    for name, spec in _entries(content, path):
        _add(found, name, spec, f"{path}: concept {name!r}")
    if not found:
        raise FairlError(f"{path} holds no concept; write one on each line, as 'length: {{use: words}}'")
    return found


def _entries(content: Any, path: Path) -> Iterable[tuple[str, Any]]:
    if isinstance(content, Mapping):
        return [(str(name), spec) for name, spec in content.items()]
    if isinstance(content, list) and all(isinstance(entry, str) for entry in content):
        return [(entry, entry) for entry in content]
    raise FairlError(f"{path} needs concepts by name, as 'length: {{use: words}}', or a list of names")


def _parsed(text: str, where: str) -> Any:
    """The value of a piece of YAML."""
    from fairl_bench.suite.yaml import parse_value

    value = parse_value(text, (Path(where), None))
    if isinstance(value, str | Mapping):
        return value
    raise FairlError(f"{where}: needs a judge's name, or its spec as {{use: word-list, words: [please]}}")


def _add(found: dict[str, Any], name: str, spec: Any, where: str) -> None:
    if name in found:
        raise FairlError(f"{where}: the name {name!r} is given twice; choose another")
    if isinstance(spec, str):
        spec = {"use": spec}
    if not isinstance(spec, Mapping) or "use" not in spec:
        raise FairlError(f"{where}: needs a judge, as {{use: words}}; 'fairl-bench list concepts' shows them")
    found[name] = _with_whole_paths(spec)


def _with_whole_paths(value: Any) -> Any:
    """Plain data in which the names of files beside the file that was read are absolute."""
    from fairl_bench.component import PathText

    if isinstance(value, Mapping):
        return {str(key): _with_whole_paths(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_whole_paths(entry) for entry in value]
    if isinstance(value, PathText):
        there = value.folder / value
        return str(there.resolve()) if there.suffix and there.is_file() else str(value)
    return value
