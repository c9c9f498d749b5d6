"""Every error that a user can cause or correct, in one tree.

::

    FairlError                 printed as one or two lines, exit code 2
    ├── SuiteError             a suite file says something wrong; carries file and line
    ├── PluginError            a plugin is broken, misspelt or collides with another
    │   └── UnknownName        no part of that name; carries near matches
    ├── DataError              an input file or its content
    ├── NotFinite              NaN or infinity where a number is needed
    ├── Changed                a part changed what it was given
    ├── Undefined              a number that is not defined here; becomes NaN with this reason
    ├── MissingExtra           an optional package or a model is not on this machine
    ├── ResultsError           the results folder cannot be used
    └── StoreError             the store cannot be used
        └── DamagedArtefact    an artefact does not match its checksum
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable
from pathlib import Path

WIDTH, LINES = 290, 4
"""How long a line of a message may be, and how many there may be."""


class FairlError(Exception):
    """An expected failure: says what is wrong, where, and what to do, in one or two lines."""


class SuiteError(FairlError):
    """A suite is wrong at a place: ``file:line: sentence``."""

    def __init__(self, message: str, path: Path | str | None = None, line: int | None = None) -> None:
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        place = short(place, WIDTH // 2)
        first, *others = message.split("\n")  # several mistakes are a line each
        most = WIDTH * (LINES - 1) - len(place) if not others else WIDTH - len(place)
        super().__init__("\n".join((f"{place}{short(first, most)}", *map(short, others))))


class PluginError(FairlError):
    """A plugin cannot be used."""


class UnknownName(PluginError):
    """A name that nothing is registered under."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name = what, name
        super().__init__(f"{what} {name!r} is unknown; {suggest(name, known)}")


class DataError(FairlError):
    """An input file is missing, unreadable or lacks what it should hold."""


class EmptyPart(DataError):
    """A split leaves no pair for a part that is read: of how many pairs and undivided groups, and how many dropped."""

    def __init__(self, message: str, *, pairs: int = 0, groups: int = 0, dropped: int = 0) -> None:
        self.pairs, self.groups, self.dropped = pairs, groups, dropped
        super().__init__(message)


class NotFinite(FairlError):
    """NaN or infinity where a finite number is needed."""


class Changed(FairlError):
    """A part has changed a value that it was given, or tried to; other parts read the same value."""


class Undefined(FairlError):
    """A number that is not defined for these inputs, with the reason."""


class MissingExtra(FairlError):
    """An optional package, or a model that no hub can be reached for, is not on this machine."""


class ResultsError(FairlError):
    """A results folder that cannot be used."""


class StoreError(FairlError):
    """A store that cannot be used."""


class DamagedArtefact(StoreError):
    """An artefact whose bytes do not match its checksum."""

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason
        super().__init__(f"artefact {key[:12]} is damaged ({reason})")

    def __reduce__(self) -> tuple[type[DamagedArtefact], tuple[str, str]]:
        return type(self), (self.key, self.reason)  # it travels between processes


_COMPARED, _SHOWN = 100, 24  # characters of a name that are compared, and names that are listed


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: its near matches, else all that is known.

    >>> suggest("max-margn", ["max-margin", "length"])
    "did you mean 'max-margin'?"
    >>> suggest("zzz", ["length"])
    "known: 'length'"
    >>> suggest("zzz", [])
    'nothing is known here'
    """
    names, name = sorted(known), name[:_COMPARED]
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(map(repr, near)) + "?"
    shown = ", ".join(map(repr, names[:_SHOWN])) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return f"known: {shown}" if names else "nothing is known here"


def one_line(error: BaseException) -> str:
    """An error in one line: one that we expect by its sentence, any other by its class too."""
    text = " ".join(message_of(error).split())
    if isinstance(error, FairlError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def short(text: str, width: int = WIDTH) -> str:
    """A text of at most ``width`` characters; a longer one loses its middle.

    >>> short("a very long text indeed", 15)
    'a very ... deed'
    """
    if len(text) <= width:
        return text
    end = (width - 5) // 2 - 1
    return f"{text[: width - 5 - end]} ... {text[len(text) - end :]}"


def brief(text: str) -> str:
    """A message of at most `LINES` lines of `WIDTH` characters; the last line counts those that are left out."""
    lines = [part for line in text.splitlines() for part in _folded(line)]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"... and {len(lines) - LINES + 1} more lines like these"]
    return "\n".join(map(short, lines))


def _folded(line: str) -> list[str]:
    """A line broken between words where it is wider than a message."""
    folded = textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False, drop_whitespace=True)
    return folded if len(line) > WIDTH else [line]


def message_of(error: BaseException) -> str:
    """The message of an error in one line that any file can hold, also where its own ``__str__`` fails."""
    try:
        text = str(error)
    except Exception as broken:
        text = f"(its message cannot be made: {type(broken).__name__})"
    line = " ".join(text[:_LONG].encode("utf-8", "backslashreplace").decode().split("\n"))
    return line + ("…" if len(text) > _LONG else "")


_LONG = 2000  # characters of a message
