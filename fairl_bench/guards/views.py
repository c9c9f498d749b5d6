"""Calls of tables, figures and panels, so that none of a plugin can spoil what the others show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from fairl_bench.errors import PluginError, ResultsError, one_line, short
from fairl_bench.guards.isolation import isolated
from fairl_bench.guards.printable import safe
from fairl_bench.values.table import Table

FILE_NAME: Final = re.compile(r"\w[\w.+-]*")
"""What a table or a figure can be called."""
LONGEST: Final = 150
"""So many bytes may the name of a table have: half of what a file system takes."""


class ViewGuard:
    """Calls parts that show results: an error of a plugin's part is a warning, one of ours is a bug and is raised.

    ``owners`` is the plugin of each part by kind and name, empty for a built-in part.
    """

    def __init__(self, owners: Mapping[tuple[str, str], str] = MappingProxyType({})) -> None:
        self.owners = owners
        self.warnings: list[str] = []

    def plugin_of(self, kind: str, name: str) -> str:
        """The plugin that a part is of; empty for a built-in one."""
        return self.owners.get((kind, name), "")

    @contextmanager
    def call(self, kind: str, name: str) -> Iterator[None]:
        """Inside, a part may be called; what it raises ends the call, and nothing else where it is a plugin's."""
        plugin = self.plugin_of(kind, name)
        if not plugin:
            yield
            return
        try:
            with isolated():
                yield
        except ResultsError:  # a file that it asked for is damaged, for which it can do nothing
            raise
        except Exception as error:
            self._warn(f"{kind} {name!r} of plugin {plugin} failed and is left out: {_reason(error)}")

    def may_call(self, kind: str, part: str, name: str, taken: Iterable[str]) -> bool:
        """Whether a part may give this name to what it made: a plugin's part takes no name of another, in any case."""
        plugin, folded = self.plugin_of(kind, part), name.casefold()
        if not plugin:
            return True
        others = {other for known, other in self.owners if known == kind and other != part}
        if folded not in {other.casefold() for other in (*others, *taken)}:
            return True
        self._warn(
            f"{kind} {part!r} of plugin {plugin} gave a {kind} the name {name!r}, which another {kind} has; "
            "it is left out until it has a name of its own"
        )
        return False

    def _warn(self, message: str) -> None:
        line = short(safe(message))
        if line not in self.warnings:
            self.warnings.append(line)


def _reason(error: Exception) -> str:
    """An error of a part in one line; settings that it lacks by their names."""
    if not isinstance(error, ValidationError):
        return one_line(error)
    return "; ".join(": ".join((*map(str, flaw["loc"]), flaw["msg"])) for flaw in error.errors())


UNGUARDED: Final = ViewGuard()
"""For parts that no plugin has registered: what they raise is raised."""


def checked_table(table: object, name: str) -> Table:
    """A table of a part, under the part's name where it has none.  Raises `PluginError` for one that is not whole."""
    if flaw := table_flaw(table):
        raise PluginError(flaw)
    assert isinstance(table, Table)
    return table if table.name else table._replace(name=name)


def table_flaw(table: object) -> str:
    """What is wrong with a table, as a sentence; empty where it can be shown and saved."""
    if not isinstance(table, Table):
        return f"tables gave {table!r:.60}; make it a fairl_bench.Table"
    if not table.title:
        return "a table has no title; give it one"
    for row in (*table.rows, *table.heads):
        if not all(isinstance(text, str) for text in row):
            return f"{row} holds what is no text; format it"
    for row in table.rows:
        if len(row) != len(table.heads):
            return f"the row {row} has {len(row)} cells below {len(table.heads)} heads"
    if not all(row < len(table.rows) and column < len(table.heads) for row, column in table.bold):
        return f"bold {sorted(table.bold)} is outside of the table; count rows and columns from 0"
    if not isinstance(table.references, int) or not 0 <= table.references <= len(table.rows):
        return f"references is {table.references!r:.40}; it is the number of the first rows that are set apart"
    for numbers in table.tidy:
        if not all(isinstance(value, str | int | float | None) for value in numbers.values()):
            return f"{numbers} holds what is no text and no number"
    if not all(isinstance(note, str) for note in table.notes):
        return f"the notes {table.notes!r:.60} are no texts"
    if table.name and not (FILE_NAME.fullmatch(table.name) and len(table.name.encode()) <= LONGEST):
        return f"the name {table.name!r} is no name of a file; use letters, digits, -"
    return ""
