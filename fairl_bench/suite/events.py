"""A text of YAML read into nodes with their lines, within limits of depth and size, and without foreign tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from fairl_bench.errors import FairlError

DEPTH = 60
"""The deepest that lists and mappings may be nested."""
VALUES = 50_000
"""The most values of a file, with each alias counted as what it stands for; these take two seconds to read."""
_CORE = {f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = {8: re.compile(r"0o([0-7]+)"), 16: re.compile(r"0x([0-9a-fA-F]+)")}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS = {word: value for value, words in (
    (None, ("", "~", "null", "Null", "NULL")), (True, ("true", "True", "TRUE")), (False, ("false", "False", "FALSE")),
) for word in words}  # fmt: skip
_DATE = re.compile(  # what readers of YAML take for a date; a text that only begins with a date is a text
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
    """A text that cannot be read, with the line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def nodes(text: str) -> Node | None:
    """The one document of a text; None where it is empty.  What an alias stands for is the same object twice.

    Raises `Unreadable`.
    """
    text = text.removeprefix("\ufeff")
    if special := _NO_CHARACTER.search(text):
        line = text.count("\n", 0, special.start()) + 1
        raise Unreadable(f"is not YAML: special characters are not allowed, {special.group()!r} is one", line)
    tree = _Tree()
    for kind, event, line in _events(text):
        if kind == "end":
            tree.close()
        else:
            tree.add(kind, event, line)
    return tree.whole


class _Tree:
    """The nodes of a document, put together event by event."""

    def __init__(self) -> None:
        self.whole: Node | None = None
        self.open: list[tuple[Sequence | Mapping, str | None]] = []  # not ended yet, the innermost last; its anchor
        self.anchors: dict[str, Node | None] = {}  # None: not ended yet
        self.count = 0

    def close(self) -> None:
        """End the innermost list or mapping."""
        ended, anchor = self.open.pop()
        if anchor:
            self.anchors[anchor] = ended

    def add(self, kind: str, event: Any, line: int) -> None:
        """Add a node to the innermost list or mapping.  Raises `Unreadable` for one too many."""
        self.count += 1
        if self.count > VALUES:
            raise Unreadable(f"holds more than {VALUES:,} values", line)
        node = self._node(kind, event, line)
        if self.open:
            self.open[-1][0].entries.append(node)
        else:
            self.whole = node
        if kind in ("list", "mapping"):
            self.open.append((node, event.anchor))  # type: ignore[arg-type]
            if len(self.open) > DEPTH:
                raise Unreadable(f"is nested too deeply: more than {DEPTH} lists and mappings in one another", line)
        if kind != "alias" and event.anchor:
            self.anchors[event.anchor] = node if kind == "scalar" else None

    def _node(self, kind: str, event: Any, line: int) -> Node:
        """The node that an event begins.  Raises `Unreadable` for a tag that does not fit it."""
        if kind == "alias":
            return _aliased(self.anchors, event.anchor, line)
        if kind == "scalar":
            return Scalar(event.value, line, event.style is None, _tag(event, line))
        if _tag(event, line) not in ("", "seq" if kind == "list" else "map"):
            raise Unreadable(f"a {kind} is tagged as another type", line)
        return (Sequence if kind == "list" else Mapping)([], line)


def _events(text: str) -> Iterator[tuple[str, Any, int]]:
    """The events of a single document, each with its kind and line."""
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
                _refuse_document(event, documents, text, line)
            elif kind := kinds.get(type(event)):
                yield kind, event, line
    except MarkedYAMLError as error:
        raise _marked(error, text, line) from error
    except (FairlError, GeneratorExit):
        raise
    except Exception as error:  # one that the parser itself does not expect, and whose message helps no user
        raise Unreadable("is not YAML: it cannot be read from here on", line) from error


def _refuse_document(event: Any, number: int, text: str, line: int) -> None:
    """Raise `Unreadable` for a second document, and for one of another version of YAML."""
    if number > 1:
        raise Unreadable("is not YAML: expected a single document in the stream, but found another document", line)
    if event.version and tuple(event.version) != (1, 2):
        message = "asks for another YAML than 1.2, in which a suite is written; remove the '%YAML' line"
        raise Unreadable(message, text.count("\n", 0, text.find("%YAML")) + 1)


def _marked(error: Any, text: str, line: int) -> Unreadable:
    """An error of the parser as ours, at its own line."""
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
    """The node that an alias stands for.  Raises `Unreadable` for an unknown one, and within that node itself."""
    if name not in anchors:
        raise Unreadable(f"is not YAML: found undefined alias {name!r}", line)
    if (node := anchors[name]) is None:
        raise Unreadable(f"the alias {name!r} stands within what it names, which would hold itself", line)
    return node


def _tag(event: Any, line: int) -> str:
    """The tag of an event: one of YAML's own types, or empty.  Raises `Unreadable` for any other."""
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
    value = _resolved(scalar)
    names = {str: "str", int: "int", float: "float", bool: "bool", type(None): "null"}
    if scalar.tag == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if scalar.tag and names[type(value)] != scalar.tag:
        raise Unreadable(f"{scalar.text!r} is tagged '!!{scalar.tag}', which it is not", scalar.line)
    return value


def _resolved(scalar: Scalar) -> str | int | float | bool | None:
    """The value of a plain text by its form."""
    text = scalar.text
    if text in _WORDS:
        return _WORDS[text]
    if _DECIMAL.fullmatch(text):
        return _whole(text, 10, scalar.line)
    for base, form in _BASED.items():
        if digits := form.fullmatch(text):
            return _whole(digits.group(1), base, scalar.line)
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _SPECIAL.fullmatch(text):
        return float(f"{special.group(1) or ''}{text[-3:]}")
    if _DATE.fullmatch(text):
        message = f"{text} is a date, which nothing here needs; quote it to make it a text"
        raise Unreadable(message, scalar.line)
    return text


def _whole(text: str, base: int, line: int) -> int:
    """A whole number.  Raises `Unreadable` for one of more than 18 digits."""
    # the digits are counted first: Python is slow to read very many of them, or refuses to
    if len(text.lstrip("+-").lstrip("0")) > 22 or abs(int(text, base)) >= _LARGEST:
        raise Unreadable("a number has more than 18 digits; none of ours can be so large", line)
    return int(text, base)
