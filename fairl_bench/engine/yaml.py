"""YAML 1.2 with the line of every value, duplicate keys refused, ``extends`` and ``${VAR}`` resolved."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from fairl_bench.component import PathText
from fairl_bench.errors import SuiteError

Place = tuple[str | int, ...]  # the path of a value in the document: ("methods", 0, "margin")
Where = tuple[Path, int | None]  # a file and a line; no line for what was set from outside
_OTHER_VERSION = re.compile(r"^%YAML(?!\s+1\.2\s)", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Document(NamedTuple):
    """A file's content as plain data, with the file and line of each value."""

    content: dict[str, Any]
    lines: dict[Place, Where]
    path: Path

    def where(self, place: Place) -> Where:
        """The file and line of a value, or of the nearest thing around it."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return self.path, 1


def load(path: Path, seen: tuple[Path, ...] = ()) -> Document:
    """Read a suite and what it extends: a top-level key given here replaces the whole key there."""
    here = _read(path)
    parent = here.content.pop("extends", None)
    if parent is None:
        return here
    line = here.where(("extends",))[1]
    if not isinstance(parent, PathText):
        raise SuiteError(f"'extends' needs a file name, got {parent!r}", path, line)
    if not is_file(parent.folder / parent):
        raise SuiteError(f"'extends' names {parent!r}, which does not exist beside this file", path, line)
    seen = (*seen, path.resolve())
    if (parent.folder / parent).resolve() in seen:
        raise SuiteError(f"'extends' goes round in a circle: {parent!r} leads back to this file", path, line)
    above = load(parent.folder / parent, seen)
    lines = {place: line for place, line in above.lines.items() if not place or place[0] not in here.content}
    return Document({**above.content, **here.content}, {**lines, **here.lines}, path)


def is_file(path: Path) -> bool:
    """Whether there is such a file; there is none where no file can have the name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _read(path: Path) -> Document:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SuiteError(f"cannot be read: {error.strerror}", path) from error
    except UnicodeDecodeError as error:
        above = error.object[: error.start].count(b"\n")
        raise SuiteError("is not UTF-8; convert the file", path, above + 1) from error
    if _OTHER_VERSION.search(text):
        raise SuiteError("asks for another YAML than 1.2, in which a suite is written; remove the '%YAML' line", path)
    try:
        raw = YAML(typ="rt", pure=True).load(text)
    except DuplicateKeyError as error:
        key = re.search(r'duplicate key "(.*?)"', str(error.problem))
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SuiteError(f"key {key.group(1) if key else '?'!r} is given twice", path, line) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = str(error.problem)
        if problem.startswith("but "):
            problem = f"{error.context}, {problem}"
        if "${" in "".join(text.splitlines()[line - 1 : line] if line else []):
            problem += "; quote a text with ${...} in it"
        raise SuiteError(f"is not YAML: {problem}", path, line) from error
    except RecursionError as error:
        raise SuiteError("is nested too deeply", path) from error
    except (YAMLError, ValueError) as error:  # the second: !!float on a text, a date of month 13
        raise SuiteError(f"is not YAML: {str(error).partition(chr(10))[0]}", path) from error
    except Exception as error:  # what the loader does not expect itself; its words are none for a user
        raise SuiteError("is not YAML, or has a tag that does not fit its value", path) from error
    if not isinstance(raw, dict):
        raise SuiteError("is empty or no mapping; a suite starts with 'name: ...'", path, 1)
    lines: dict[Place, Where] = {(): (path, 1)}
    try:
        content = _plain(raw, (), path, path.parent.absolute(), lines)
    except RecursionError as error:
        raise SuiteError("is nested too deeply, or holds itself by an alias", path) from error
    return Document(content, lines, path)


def _plain(value: Any, place: Place, path: Path, folder: Path, lines: dict[Place, Where]) -> Any:
    """Plain data from round-trip data, noting lines and resolving variables; relative paths start from the folder."""
    if isinstance(value, Mapping):
        found = {}
        for key, entry in value.items():
            at = (*place, key)
            with suppress(KeyError, TypeError):  # a key that a merge (<<) brings has no line of its own
                lines[at] = (path, value.lc.key(key)[0] + 1)  # type: ignore[attr-defined]
            _refuse_no_character(str(key), path, lines.get(at, (path, 1))[1])
            found[key] = _plain(entry, at, path, folder, lines)
        return found
    if isinstance(value, list):
        for index in range(len(value)):
            lines[*place, index] = (path, value.lc.item(index)[0] + 1)  # type: ignore[attr-defined]
        return [_plain(entry, (*place, index), path, folder, lines) for index, entry in enumerate(value)]
    line = lines.get(place, (path, 1))[1]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        if abs(value) >= 2**63:
            raise SuiteError("a number has more than 18 digits; none of ours can be so large", path, line)
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return _text(str(value), path, folder, line)
    if isinstance(value, date):
        raise SuiteError(f"{value} is a date, which nothing here needs; quote it to make it a text", path, line)
    tag = getattr(value, "tag", None)
    name = str(getattr(tag, "value", None) or "").replace("tag:yaml.org,2002:", "!!")
    raise SuiteError(
        f"{f'a value tagged {name!r}' if name else repr(value)} is no text, number, list or mapping", path, line
    )


def _text(text: str, path: Path, folder: Path, line: int | None) -> PathText:
    """``${VAR}`` and ``${VAR:-default}`` replaced; a path in a variable starts from the working directory."""

    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name) or default
        if found is None:
            raise SuiteError(f"${{{name}}} is not set; set it: {name}=... fairl-bench ...", path, line)
        return found

    _refuse_no_character(text, path, line)
    first = _VARIABLE.match(text)
    found = PathText(_VARIABLE.sub(value, text))
    found.folder = Path.cwd() if first and os.environ.get(first.group(1)) else folder
    return found


def _refuse_no_character(text: str, path: Path, line: int | None) -> None:
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise SuiteError(f"{text!r} holds what is no character", path, line)


def parse_value(text: str, where: Where) -> Any:
    """One value of YAML, as an option gives it; relative paths start from the working directory."""
    from ruamel.yaml import YAML

    try:
        raw = YAML(typ="rt", pure=True).load(text)
    except Exception as error:  # as for a file
        raise SuiteError(f"{text!r} is not YAML", *where) from error
    return _plain(raw, (), where[0], Path.cwd(), {(): where})


def dump(content: Mapping[str, Any]) -> str:
    """The YAML of plain data."""
    import io

    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = None
    writer.width = 110
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = io.StringIO()
    writer.dump(_bare(content), out)
    return out.getvalue()


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _bare(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(entry) for entry in value]
    return str(value) if isinstance(value, str) else value
