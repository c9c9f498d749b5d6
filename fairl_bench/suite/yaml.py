"""YAML 1.2 with the line of every value, duplicate keys refused, ``extends`` and ``${VAR}`` resolved."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairl_bench.component import PathText
from fairl_bench.digests import is_folder
from fairl_bench.errors import SuiteError
from fairl_bench.suite import events as nodes
from fairl_bench.suite.events import DEPTH, VALUES, Node, Scalar, Unreadable, value_of
from fairl_bench.suite.named_files import hint, is_file, located
from fairl_bench.suite.variables import WrongVariable, as_written, resolved

Place = tuple[str | int, ...]  # the path of a value in the document: ("methods", 0, "margin")
Where = tuple[Path, int | None]  # a file and a line; no line for what was set from outside
BYTES = 200_000
"""The most bytes that a file may have."""
CHARACTERS = 4_000_000
"""The most characters that its texts may have together, with each alias and variable written out."""
FILES = 16
"""The most files that may extend one another."""


class Lined(dict[Any, Any]):
    """A mapping with the lines of its entries."""

    def __init__(self, entries: Mapping[Any, Any] | None = None, lines: Mapping[Any, Where] | None = None) -> None:
        super().__init__(entries or {})
        self.lines: dict[Any, Where] = dict(lines or {})

    def copy(self) -> Lined:
        """A copy with the same lines."""
        return Lined(self, self.lines)


class Listed(list[Any]):
    """A list with the lines of its entries."""

    def __init__(self, entries: list[Any] | None = None, lines: Mapping[Any, Where] | None = None) -> None:
        super().__init__(entries or [])
        self.lines: dict[Any, Where] = dict(lines or {})

    def copy(self) -> Listed:
        """A copy with the same lines."""
        return Listed(self, self.lines)


class Document(NamedTuple):
    """The content of a file as plain data; its mappings and lists have the file and line of each entry."""

    content: Lined
    path: Path
    first: int | None = 1  # the line where it begins; None for data that was given and stands in no file

    def where(self, place: Place) -> Where:
        """The file and line of a value, or of what is nearest around it."""
        nearest: Where = self.path, self.first
        content: Any = self.content
        for step in place:
            lines = getattr(content, "lines", {})
            nearest = lines.get(step, nearest)
            try:
                content = content[step]
            except (LookupError, TypeError):
                break
        return nearest


def load(source: Path | Mapping[str, Any], *, variables: bool = True) -> Document:
    """Read a suite, a file or the data of one, and what it extends: a top-level key here replaces the whole key there.

    Without ``variables``, each ``${VAR}`` stays as it is: what a run has written is read without its secrets.
    """
    chain, seen = list[tuple[Lined, Path]](), list[Path]()
    given = isinstance(source, Mapping)
    here, left = Path("the suite") if isinstance(source, Mapping) else source, BYTES
    while True:
        if isinstance(source, Mapping) and not chain:
            content, read = _from_data(source, here)
        else:
            content, read = _read(here, left, variables=variables)
        left -= read
        chain.append((content, here))
        seen.append(here.resolve())
        where = content.lines.pop("extends", (here, None))
        parent = content.pop("extends", None)
        if parent is None:
            break
        here = _parent(parent, seen, where)
    whole = Lined()
    for content, file in reversed(chain):
        whole.update(content)
        whole.lines.update({key: content.lines.get(key, (file, 1)) for key in content})
    return Document(whole, chain[0][1], None if given else 1)


def _from_data(data: Mapping[str, Any], name: Path) -> tuple[Lined, int]:
    """The content of a mapping as if it were read from a file in the working directory, and that file's bytes."""
    from ruamel.yaml.error import YAMLError

    try:
        text = dump(data)
    except (YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise SuiteError(f"holds what YAML cannot: {reason:.100}; give plain data", name) from error
    content = parse_value(text, (name, None))
    return content if isinstance(content, Lined) else Lined(), len(text.encode())


def _parent(named: object, seen: list[Path], where: Where) -> Path:
    """The file that ``extends`` names.  Raises `SuiteError`."""
    if not isinstance(named, PathText):
        raise SuiteError(f"'extends' needs a file name, got {named!r}", *where)
    parent = located("suite", named, named.folder)
    if not is_file(parent):
        why = "is a folder" if is_folder(parent) else f"does not exist beside this file{hint('suite', named)}"
        raise SuiteError(f"'extends' names {str(named)!r}, which {why}", *where)
    if parent.resolve() in seen:
        raise SuiteError(f"'extends' goes round in a circle: {str(named)!r} leads back to this file", *where)
    if len(seen) >= FILES:
        raise SuiteError(f"'extends' leads through more than {FILES} files; put them into fewer", *where)
    return parent


def _read(path: Path, most: int, *, variables: bool) -> tuple[Lined, int]:
    """The content of one file of at most so many bytes, and its number of bytes."""
    data = _bytes(path, most)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        above = error.object[: error.start].count(b"\n")
        raise SuiteError("is not UTF-8; convert the file", path, above + 1) from error
    try:
        whole = nodes.nodes(text)
    except Unreadable as error:
        raise SuiteError(str(error), path, error.line) from error
    if not isinstance(whole, nodes.Mapping):
        raise SuiteError("is empty or no mapping; a suite starts with 'name: ...'", path, 1)
    content = _Builder(path, path.parent.absolute(), variables=variables).built(whole)
    return content, len(data)


def _bytes(path: Path, most: int) -> bytes:
    """The bytes of a file, at most so many; a pipe or a device is refused without waiting for it."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise SuiteError("cannot be read: it is a pipe or a device, and no file", path)
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise SuiteError(f"cannot be read: {error.strerror}", path) from error
    except ValueError as error:
        raise SuiteError("cannot be read: no file can have this name", path) from error
    if len(data) > most:
        with_others = "" if most == BYTES else " together with the files that extend it"
        raise SuiteError(f"has more than {BYTES:,} bytes{with_others}; is it the right file?", path, 1)
    return data


class _Builder:
    """Plain data from nodes: variables are replaced, keys may be given once, relative paths start from the folder."""

    def __init__(self, path: Path, folder: Path, *, lined: bool = True, variables: bool = True) -> None:
        self.path, self.folder, self.lined, self.variables = path, folder, lined, variables
        self.values = self.characters = 0
        self.section: int | None = None  # the line of the outermost key that is being read

    def built(self, node: Node, depth: int = 0) -> Any:
        """The value of a node."""
        self._count(node, depth)
        if isinstance(node, nodes.Scalar):
            value = self._value(node)
            return self._text(value, node.line) if isinstance(value, str) else value
        if isinstance(node, nodes.Sequence):
            lines = {index: self._at(entry.line) for index, entry in enumerate(node.entries)}
            return Listed([self.built(entry, depth + 1) for entry in node.entries], lines)
        return self._mapping(node, depth)

    def _mapping(self, node: nodes.Mapping, depth: int) -> Lined:
        """The content of a mapping, with what is merged into it."""
        mapping, merged = Lined(), list[Lined]()
        seen_merge = False
        for key_node, entry in zip(node.entries[::2], node.entries[1::2], strict=True):
            if isinstance(key_node, Scalar) and key_node.text == "<<" and key_node.plain and not key_node.tag:
                if seen_merge:
                    raise self._wrong("key '<<' is given twice; give it a list of what to merge", key_node.line)
                seen_merge = True
                merged = list(self._merged(entry, key_node.line, depth))
                continue
            key = self._key(key_node)
            if key in mapping:
                raise self._wrong(f"key {key!r} is given twice", key_node.line)
            if depth == 0:
                self.section = key_node.line
            mapping[key] = self.built(entry, depth + 1)
            mapping.lines[key] = self._at(key_node.line)
        for merged_in in merged:  # what is given here wins, and then the first; these have no line of their own
            for key, value in merged_in.items():
                mapping.setdefault(key, value)
        return mapping

    def _merged(self, node: Node, line: int, depth: int) -> Iterator[Lined]:
        """The mappings that a key ``<<`` merges."""
        mappings = node.entries if isinstance(node, nodes.Sequence) else [node]
        for mapping in mappings:
            if not isinstance(mapping, nodes.Mapping):
                raise self._wrong("'<<' needs a mapping or a list of mappings to merge", line)
            self._count(mapping, depth)
            yield self._mapping(mapping, depth + 1)

    def _key(self, node: Node) -> str | int:
        """The key of an entry.  Raises `SuiteError` where it is no text or whole number."""
        self._count(node, 0)
        key = self._value(node) if isinstance(node, Scalar) else None
        if isinstance(node, Scalar) and isinstance(key, str):
            self._characters(key, node.line)
            return key
        if isinstance(key, int) and not isinstance(key, bool):
            return key
        got = f"got {node.text!r}; quote it" if isinstance(node, Scalar) else "got a list or mapping"
        raise self._wrong(f"a key must be a text, {got}", node.line)

    def _value(self, node: Scalar) -> Any:
        """The value of a scalar.  Raises `SuiteError` where it has none."""
        try:
            return value_of(node)
        except Unreadable as error:
            raise self._wrong(str(error), error.line) from error

    def _text(self, text: str, line: int) -> PathText:
        """The text with its variables replaced."""
        try:
            replaced = resolved(text, self.folder) if self.variables else as_written(text, self.folder)
        except WrongVariable as error:
            raise self._wrong(str(error), line) from error
        self._characters(replaced, line)
        return replaced

    def _characters(self, text: str, line: int) -> None:
        """Count characters.  Raises `SuiteError` for one that is none, and where there are too many."""
        if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
            raise self._wrong(f"{text!r} holds what is no character", line)
        self.characters += len(text)
        if self.characters > CHARACTERS:
            raise self._wrong(
                f"holds more than {CHARACTERS:,} characters, once aliases are written out", self.section or line
            )

    def _count(self, node: Node, depth: int) -> None:
        """Count values.  Raises `SuiteError` where they are too many or too deep."""
        self.values += 1
        if self.values > VALUES:
            # not the node's own line: what an alias names may stand far above
            line = self.section or node.line
            raise self._wrong(f"holds more than {VALUES:,} values, once aliases are written out", line)
        if depth > DEPTH:
            line = self.section or node.line
            raise self._wrong(f"is nested too deeply: more than {DEPTH} lists and mappings in one another", line)

    def _at(self, line: int) -> Where:
        """The file and line of an entry."""
        return self.path, line if self.lined else None

    def _wrong(self, message: str, line: int | None) -> SuiteError:
        return SuiteError(message, self.path, line if self.lined else None)


def parse_value(text: str, where: Where) -> Any:
    """The value of an option, which is YAML; relative paths start from the working directory."""
    if len(text) > BYTES:
        raise SuiteError("is too long for an option; write it into a file", *where)
    try:
        node = nodes.nodes(text)
    except Unreadable as error:
        message = str(error)
        raise SuiteError(f"{text!r} is not YAML" if message.startswith("is not YAML") else message, *where) from error
    return None if node is None else _Builder(where[0], Path.cwd(), lined=False).built(node)


def load_written(text: str) -> Mapping[str, Any]:
    """The content of a suite that a run has written, a mapping; each ``${VAR}`` stays as it is.

    Raises `SuiteError`.
    """
    where = Path("suite.yaml")
    try:
        node = nodes.nodes(text)
    except Unreadable as error:
        raise SuiteError(str(error), where, error.line) from error
    content = None if node is None else _Builder(where, Path(), lined=False, variables=False).built(node)
    return content if isinstance(content, Mapping) else {}


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


def _bare(value: object) -> Any:
    """Plain data without our own types of text, list and mapping."""
    if isinstance(value, Mapping):
        return {str(key): _bare(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(entry) for entry in value]
    return str(value) if isinstance(value, str | Path) else value
