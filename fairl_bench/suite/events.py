"""A text of YAML as the events that it is made of: within bounds, without tags, and each at its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from fairl_bench.errors import FairlError

DEPTH = 60
"""How deep a value may be nested."""
VALUES = 50_000
"""How many values a file may hold, each alias written out: so many take two seconds to read."""
_CORE = {f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = {8: re.compile(r"0o([0-7]+)"), 16: re.compile(r"0x([0-9a-fA-F]+)")}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS = {word: value for value, words in (
    (None, ("", "~", "null", "Null", "NULL")), (True, ("true", "True", "TRUE")), (False, ("false", "False", "FALSE")),
) for word in words}  # fmt: skip
_DATE = re.compile(  # what any reader of YAML takes for a date; a text that only begins with one is a text
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"
    r"([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?"
)
_NO_CHARACTER = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LARGEST = 2**63


class Scalar(NamedTuple):
    """A value that holds no others; ``tag`` is empty, or the name of one of YAML's own types."""

    text: str
    line: int
    plain: bool
    tag: str


class Sequence(NamedTuple):
    """The entries of a list."""

    entries: list[Any]
    line: int


class Mapping(NamedTuple):
    """The keys and values of a mapping, in turn."""

    entries: list[Any]
    line: int


Node = Scalar | Sequence | Mapping


class Unreadable(FairlError):
    """What cannot be read, and the line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def nodes(text: str) -> Node | None:
    """The one document of a text; None where it is empty.  What an alias stands for is the same object twice.

    Raises `Unreadable`.
    """
    text = text.removeprefix("\ufeff")
    if found := _NO_CHARACTER.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise Unreadable(f"is not YAML: special characters are not allowed, {found.group()!r} is one", line)
    whole, open_ones, anchors = None, list[tuple[Sequence | Mapping, str | None]](), dict[str, Node | None]()
    count = 0
    for kind, event, line in _events(text):
        made: Node
        if kind != "end":
            count += 1
        if count > VALUES:
            raise Unreadable(f"holds more than {VALUES:,} values", line)
        if kind == "end":
            done, anchor = open_ones.pop()
            if anchor:
                anchors[anchor] = done
            continue
        if kind == "alias":
            made = _aliased(anchors, event.anchor, line)
        elif kind == "scalar":
            made = Scalar(event.value, line, event.style is None, _tag(event, line))
        else:
            made = (Sequence if kind == "list" else Mapping)([], line)
            if _tag(event, line) not in ("", "seq" if kind == "list" else "map"):
                raise Unreadable(f"a {kind} is tagged as another type", line)
        if open_ones:
            open_ones[-1][0].entries.append(made)
        else:
            whole = made
        if kind in ("list", "mapping"):
            open_ones.append((made, event.anchor))  # type: ignore[arg-type]
            if len(open_ones) > DEPTH:
                raise Unreadable(f"is nested too deeply: more than {DEPTH} lists and mappings in one another", line)
        if kind != "alias" and event.anchor:
            anchors[event.anchor] = made if kind == "scalar" else None
    return whole


def _events(text: str) -> Iterator[tuple[str, Any, int]]:
    """The events of a single document: what each begins or ends, and its line."""
    from ruamel.yaml import YAML, events
    from ruamel.yaml.error import MarkedYAMLError

    kinds = {
        events.ScalarEvent: "scalar",
        events.AliasEvent: "alias",
        events.SequenceStartEvent: "list",
        events.MappingStartEvent: "mapping",
        events.SequenceEndEvent: "end",
        events.MappingEndEvent: "end",
    }
    line, documents = 1, 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable(
                        "is not YAML: expected a single document in the stream, but found another document", line
                    )
                if event.version and tuple(event.version) != (1, 2):
                    message = "asks for another YAML than 1.2, in which a suite is written; remove the '%YAML' line"
                    raise Unreadable(message, text.count("\n", 0, text.find("%YAML")) + 1)
            elif kind := kinds.get(type(event)):
                yield kind, event, line
    except MarkedYAMLError as error:
        raise _marked(error, text, line) from error
    except (FairlError, GeneratorExit):
        raise
    except Exception as error:  # what the parser does not expect itself; its words are none for a user
        raise Unreadable("is not YAML: it cannot be read from here on", line) from error


def _marked(error: Any, text: str, line: int) -> Unreadable:
    if mark := error.problem_mark or error.context_mark:
        line = mark.line + 1
    problem = str(error.problem)
    if problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    elif problem == "None":
        problem = str(error.context)
    if "${" in "".join(text.splitlines()[line - 1 : line]):
        problem += "; quote a text with ${...} in it"
    return Unreadable(f"is not YAML: {problem}", line)


def _aliased(anchors: dict[str, Node | None], name: str, line: int) -> Node:
    if name not in anchors:
        raise Unreadable(f"is not YAML: found undefined alias {name!r}", line)
    if (found := anchors[name]) is None:
        raise Unreadable(f"the alias {name!r} stands within what it names, which would hold itself", line)
    return found


def _tag(event: Any, line: int) -> str:
    """One of YAML's own types, or empty.  A tag of any other kind is refused."""
    tag = str(event.tag or "")
    if not tag or tag == "!":
        return "" if not tag else "str"
    if tag not in _CORE:
        name = tag.replace("tag:yaml.org,2002:", "!!")
        raise Unreadable(f"a value tagged {name!r} is no text, number, list or mapping", line)
    return _CORE[tag]


def value_of(scalar: Scalar) -> str | int | float | bool | None:
    """The value of a scalar by YAML 1.2's core schema.  Raises `Unreadable`, for dates and long numbers too."""
    if scalar.tag == "str" or (not scalar.plain and not scalar.tag):
        return scalar.text
    found = _resolved(scalar)
    names = {str: "str", int: "int", float: "float", bool: "bool", type(None): "null"}
    if scalar.tag == "float" and isinstance(found, int) and not isinstance(found, bool):
        return float(found)
    if scalar.tag and names[type(found)] != scalar.tag:
        raise Unreadable(f"{scalar.text!r} is tagged '!!{scalar.tag}', which it is not", scalar.line)
    return found


def _resolved(scalar: Scalar) -> str | int | float | bool | None:
    text = scalar.text
    if text in _WORDS:
        return _WORDS[text]
    if _DECIMAL.fullmatch(text):
        return _whole(text, 10, scalar.line)
    for base, form in _BASED.items():
        if found := form.fullmatch(text):
            return _whole(found.group(1), base, scalar.line)
    if _FLOAT.fullmatch(text):
        return float(text)
    if found := _SPECIAL.fullmatch(text):
        return float(f"{found.group(1) or ''}{text[-3:]}")
    if _DATE.fullmatch(text):
        message = f"{text} is a date, which nothing here needs; quote it to make it a text"
        raise Unreadable(message, scalar.line)
    return text


def _whole(text: str, base: int, line: int) -> int:
    # looked at before it is read: Python takes long to read a number of many digits, or refuses to
    if len(text.lstrip("+-").lstrip("0")) > 22 or abs(int(text, base)) >= _LARGEST:
        raise Unreadable("a number has more than 18 digits; none of ours can be so large", line)
    return int(text, base)
