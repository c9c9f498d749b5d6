"""Human labels in the columns of a file: what each value means is declared, and any other value is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.rows import Row
from fairl_bench.component import Settings
from fairl_bench.data import Labels
from fairl_bench.errors import DataError
from fairl_bench.textfiles import brief, shown

Value = int | str | bool | float
Values = Value | Annotated[tuple[Value, ...], Field(min_length=1)]

READ = 100_000
"""Rows whose labels a check reads; beyond them it goes on only where they do not settle what is good."""
_MOST = 50  # different values of a column of labels; one that has more holds something else
_BLANK = {"", "-", "?", "na", "n/a", "nan", "nil", "none", "null", "unknown"}  # texts that may mean: not known
_NAME = "say what each value means under 'good', 'bad' and 'unknown', typed as it stands there"
_Key = tuple[str, Any]


class GoldColumn(Settings):
    """Which column holds the human label, and which of its values are good and bad, typed as the file has them.

    Null is unknown.
    """

    column: str
    good: Values = Field(description="the value of a good text, or a list of them")
    bad: Values | None = Field(None, description="that of a bad one; may be left out where the column has two values")
    unknown: tuple[Value, ...] = Field((), description="values that say nothing of a text, as null does")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        _refuse_overlap(good=self.good, bad=self.bad, unknown=self.unknown)
        return self

    def labels(self, rows: Sequence[Row]) -> Labels:
        """+1 good, -1 bad, 0 unknown of each row.  Raises `DataError` with the values found, where one is not named."""
        tally = self.tally()
        for row in rows:
            tally.add(row)
        return tally.coded(self.meaning(tally))

    def tally(self) -> Tally:
        """An empty count of its column's values."""
        return Tally(self.column, _MOST)

    def meaning(self, tally: Tally, *, whole: bool = True) -> Mapping[_Key, int] | None:
        """What each value means; None where more rows must say so, which can only be unless this is the ``whole``."""
        good, bad, unknown = _keys(self.good), _keys(self.bad), _keys(self.unknown)
        told = dict.fromkeys(unknown, 0) | dict.fromkeys(bad, -1) | dict.fromkeys(good, 1)
        other = sorted((key for key in tally.found if key not in told), key=lambda key: tally.count[key])
        seen = [key for key in tally.found if key in good]
        if other and self.bad is not None:
            raise tally.unnamed(other[0], f"{tally.value(other[0])} is named neither good nor bad nor unknown", _NAME)
        if len(other) > 1 or (other and len(seen) > 1):
            why = "with more than two values 'bad' must be named" if seen else self._never()
            raise tally.unnamed(other[0], why, _NAME)
        if other and seen and not _opposite(other[0], seen[0]):
            raise tally.unnamed(other[0], f"{tally.value(other[0])} need not mean bad", _NAME)
        if other and not seen:
            if not whole:
                return None
            raise tally.unnamed(other[0], self._never(), _NAME)
        told |= dict.fromkeys(other, -1)
        if not any(told[key] for key in tally.found):
            if not whole:
                return None
            raise tally.silent("the label", "fill the column, or leave 'gold' out")
        return told

    def _never(self) -> str:
        return f"never what is said to be good, {shown(self.good, 30)}"


class SubtypeColumn(Settings):
    """Which column says whether a text is of a subtype; null is unknown."""

    column: str
    name: str | None = Field(None, min_length=1, description="of the subtype; none: that of the column")
    present: Values = Field((1, True), description="the value where it is present, or a list of them")
    absent: Values = Field((0, False), description="that where it is not")
    unknown: tuple[Value, ...] = Field((), description="values that say nothing of a text, as null does")
    at_least: float | None = Field(None, description="for a fraction, say of raters: present from this number on")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        _refuse_overlap(present=self.present, absent=self.absent, unknown=self.unknown)
        if self.at_least is not None and {"present", "absent"} & self.model_fields_set:
            message = "'at_least' says what is present; leave 'present' and 'absent' out"
            raise PydanticCustomError("two_rules", message, {"field": "at_least"})
        return self

    def truth(self) -> str:
        """The name of the truth."""
        return f"subtype:{self.name or self.column}"

    def labels(self, rows: Sequence[Row]) -> Labels:
        """+1 present, -1 absent, 0 unknown of each row.  Raises `DataError` where it is nowhere present."""
        tally = self.tally()
        for row in rows:
            tally.add(row)
        return tally.coded(self.meaning(tally))

    def tally(self) -> Tally:
        """An empty count of its column's values: fractions may be many."""
        return Tally(self.column, _MOST if self.at_least is None else None)

    def meaning(self, tally: Tally, *, whole: bool = True) -> Mapping[_Key, int] | None:
        """What each value means; None where more rows must say so, which can only be unless this is the ``whole``."""
        told = dict.fromkeys(_keys(self.unknown), 0)
        if self.at_least is None:
            told |= dict.fromkeys(_keys(self.absent), -1) | dict.fromkeys(_keys(self.present), 1)
        for key in tally.found:
            if key not in told and self.at_least is not None and key[0] == "number":
                told[key] = 1 if key[1] >= self.at_least else -1
        other = next((key for key in tally.found if key not in told), None)
        if other is not None:
            why = f"{tally.value(other)} is named neither present nor absent nor unknown"
            raise tally.unnamed(other, why, self._advice(other))
        if not any(told[key] > 0 for key in tally.found):
            if not whole:
                return None
            raise tally.silent("the subtype", "leave it out of 'subtypes', or read more rows")
        return told

    def _advice(self, key: _Key) -> str:
        if self.at_least is not None:
            return "'at_least' needs numbers; name what else there is under 'unknown'"
        if key[0] == "number":
            return f"for fractions write {{column: {self.column}, at_least: 0.5}}, for other values present and absent"
        return f"write {{column: {self.column}, present: ..., absent: ...}} with the values, typed as there"


Subtypes = tuple[str | SubtypeColumn, ...]


def subtypes_of(columns: Subtypes) -> list[SubtypeColumn]:
    """Each as its settings; a name alone is a column of 0 and 1, or of false and true."""
    return [SubtypeColumn(column=one) if isinstance(one, str) else one for one in columns]


def refuse_twice(columns: Subtypes) -> None:
    """Raise for two subtypes of one name."""
    names = [one.truth() for one in subtypes_of(columns)]
    for name in names:
        if names.count(name) > 1:
            reason = f"two subtypes are named {name.removeprefix('subtype:')!r}; give one another 'name'"
            raise PydanticCustomError("twice", "{reason}", {"reason": reason, "field": "subtypes"})


def check_labels(rows: Iterator[Row], limit: int | None, gold: GoldColumn | None, subtypes: Subtypes) -> None:
    """Refuse what `labels` would, from the first rows, and from more where those do not settle it."""
    columns: list[GoldColumn | SubtypeColumn] = [*([] if gold is None else [gold]), *subtypes_of(subtypes)]
    waiting = [(one, one.tally()) for one in columns]
    rows, more = islice(rows, limit), True
    while waiting and more:
        before = len(waiting[0][1].rows)
        for row in islice(rows, READ):
            for _, tally in waiting:
                tally.add(row)
        more = len(waiting[0][1].rows) == before + READ
        waiting = [(one, tally) for one, tally in waiting if one.meaning(tally, whole=not more) is None]


class _Found(NamedTuple):
    value: Value
    place: str  # where it stands first


class Tally:
    """The values of a column: which there are, how often, where first, and that of each row."""

    def __init__(self, column: str, most: int | None) -> None:
        self.column, self.most = column, most
        self.found: dict[_Key, _Found] = {}
        self.count: dict[_Key, int] = {}
        self.rows: list[_Key | None] = []
        self.first = ""

    def add(self, row: Row) -> None:
        """Count a row's value.  Raises `DataError` for one that is no label."""
        value = row.value(self.column)
        self.first = self.first or row.place
        if value is None:
            self.rows.append(None)
            return
        if not isinstance(value, int | str | bool | float):
            raise DataError(f"{row.place}: column {self.column!r} needs a label, got {brief(value)}")
        key = _key(value)
        if key not in self.found:
            if self.most is not None and len(self.found) >= self.most:
                raise DataError(
                    f"{row.place}: column {self.column!r} has more than {self.most} different values, such as "
                    f"{self.shown(3)}; name a column of labels"
                )
            self.found[key] = _Found(value, row.place)
        self.count[key] = self.count.get(key, 0) + 1
        self.rows.append(key)

    def coded(self, meaning: Mapping[_Key, int] | None) -> Labels:
        """Each row's value as what it means; null is unknown."""
        told = meaning or {}
        return np.array([0 if key is None else told[key] for key in self.rows], np.int8)

    def shown(self, most: int = 6) -> str:
        """The values with how many rows have each, the most frequent first."""
        keys = sorted(self.found, key=lambda key: -self.count[key])
        each = [f"{self.value(key)} ({self.count[key]:,}×)" for key in keys[:most]]
        return ", ".join(each) + (", ..." if len(keys) > most else "")

    def value(self, key: _Key) -> str:
        """A value as JSON has it."""
        return shown(self.found[key].value, 30)

    def unnamed(self, key: _Key, why: str, advice: str) -> DataError:
        """A value that nothing says the meaning of, at the line where it stands first."""
        place = self.found[key].place
        return DataError(f"{place}: column {self.column!r} has {self.shown()}, and {why}; {advice}")

    def silent(self, what: str, advice: str) -> DataError:
        """A column that says nothing: no label is known, or a subtype is nowhere present."""
        path, n = self.first.rpartition(":")[0], len(self.rows)
        has = self.shown() or "null alone"
        return DataError(f"{path}: column {self.column!r} has {has}: {what} of none of {n:,} rows; {advice}")


def _key(value: Value) -> _Key:
    """What is equal for equal values alone: true is not 1, and 1 is not "1"."""
    if isinstance(value, bool):
        return "true or false", value
    return ("number", value) if isinstance(value, int | float) else ("text", value)


def _keys(values: Values | None) -> list[_Key]:
    if values is None:
        return []
    return [_key(value) for value in (values if isinstance(values, tuple) else (values,))]


def _opposite(other: _Key, good: _Key) -> bool:
    """Whether the one other value can only mean bad: of the good one's type, no fraction, no word for nothing."""
    if other[0] == "text" and other[1].strip().casefold() in _BLANK:
        return False
    return other[0] == good[0] and not (other[0] == "number" and other[1] % 1)


def _refuse_overlap(**named: Values | None) -> None:
    seen: dict[_Key, str] = {}
    for name, values in named.items():
        for key in _keys(values):
            if seen.setdefault(key, name) != name:
                reason = f"{shown(key[1], 30)} is named {seen[key]} and {name}; it can be one of them"
                raise PydanticCustomError("overlap", "{reason}", {"reason": reason, "field": name})
