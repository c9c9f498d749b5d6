"""Human labels in the columns of a file: the suite declares what each value means; any other value is an error."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.textfiles import brief, shown
from fairl_bench.values.data import Labels

Value = int | str | bool | float
Values = Value | Annotated[tuple[Value, ...], Field(min_length=1)]

READ = 100_000
"""Rows whose labels a check reads; it reads on only where these do not decide what is good."""
_MOST = 50  # different values; a column with more of them holds something else than labels
_BLANK = {"", "-", "?", "na", "n/a", "nan", "nil", "none", "null", "unknown"}  # texts that may mean "unknown"
_NAME = "say what each value means under 'good', 'bad' and 'unknown', typed as it stands there"
_Key = tuple[str, Any]


class _LabelColumn(Settings):
    """A column whose values are declared to mean +1, -1 or 0 (unknown); null is unknown."""

    column: str

    @abstractmethod
    def tally(self) -> Tally:
        """Return an empty count of the column's values."""

    @abstractmethod
    def meaning(self, tally: Tally, *, whole: bool = True) -> Mapping[_Key, int] | None:
        """Return what each value means, or None where more rows must decide; the ``whole`` data always decides.

        Raises `DataError` with the values found, where one is not named or where none is known.
        """

    def labels(self, rows: Sequence[Row]) -> Labels:
        """Return the label of each row: +1, -1, or 0 where it is unknown.  Raises `DataError` as `meaning` does."""
        tally = self.tally()
        for row in rows:
            tally.add(row)
        return tally.coded(self.meaning(tally) or {})


class GoldColumn(_LabelColumn):
    """The column of the human label, and which of its values are good and bad, typed as the file has them."""

    good: Values = Field(description="the value of a good text, or a list of them")
    bad: Values | None = Field(
        None, description="the value of a bad text, or a list of them; not needed where the column has only two values"
    )
    unknown: tuple[Value, ...] = Field((), description="values that mean unknown, as null does")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        _refuse_overlap(good=self.good, bad=self.bad, unknown=self.unknown)
        return self

    def tally(self) -> Tally:
        """Return an empty count of the column's values."""
        return Tally(self.column, _MOST)

    def meaning(self, tally: Tally, *, whole: bool = True) -> Mapping[_Key, int] | None:
        """Return +1 for good values, -1 for bad and 0 for unknown ones; None where more rows must decide."""
        good, bad, unknown = _keys(self.good), _keys(self.bad), _keys(self.unknown)
        codes = dict.fromkeys(unknown, 0) | dict.fromkeys(bad, -1) | dict.fromkeys(good, 1)
        undeclared = sorted((key for key in tally.first if key not in codes), key=lambda key: tally.count[key])
        good_seen = [key for key in tally.first if key in good]
        if undeclared:
            rarest = undeclared[0]
            if self.bad is not None:
                raise tally.unnamed(rarest, f"{tally.value(rarest)} is named neither good nor bad nor unknown", _NAME)
            if len(undeclared) > 1 or len(good_seen) > 1:
                why = "with more than two values 'bad' must be named" if good_seen else self._never()
                raise tally.unnamed(rarest, why, _NAME)
            if good_seen and not _opposite(rarest, good_seen[0]):
                raise tally.unnamed(rarest, f"{tally.value(rarest)} need not mean bad", _NAME)
            if not good_seen and not whole:
                return None
            if not good_seen:
                raise tally.unnamed(rarest, self._never(), _NAME)
            codes[rarest] = -1
        if not any(codes[key] for key in tally.first):
            if not whole:
                return None
            raise tally.silent("the label is known", "fill the column, or leave 'gold' out")
        return codes

    def _never(self) -> str:
        return f"never what is said to be good, {shown(self.good, 30)}"


class SubtypeColumn(_LabelColumn):
    """The column that says whether a text is of a subtype: +1 where it is present, -1 where it is absent."""

    name: str | None = Field(None, min_length=1, description="name of the subtype; none: the column's name")
    present: Values = Field((1, True), description="the value that means present, or a list of them")
    absent: Values = Field((0, False), description="the value that means absent, or a list of them")
    unknown: tuple[Value, ...] = Field((), description="values that mean unknown, as null does")
    at_least: float | None = Field(
        None, description="for a column of fractions (of raters, say): present from this number on"
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        _refuse_overlap(present=self.present, absent=self.absent, unknown=self.unknown)
        if self.at_least is not None and {"present", "absent"} & self.model_fields_set:
            message = "'at_least' says what is present; leave 'present' and 'absent' out"
            raise PydanticCustomError("two_rules", message, {"field": "at_least"})
        return self

    def truth(self) -> str:
        """Return the name of the truth: ``subtype:NAME``."""
        return f"subtype:{self.name or self.column}"

    def tally(self) -> Tally:
        """Return an empty count of the column's values, of which there may be many where they are fractions."""
        return Tally(self.column, _MOST if self.at_least is None else None)

    def meaning(self, tally: Tally, *, whole: bool = True) -> Mapping[_Key, int] | None:
        """Return +1 for values that mean present, -1 for absent, 0 for unknown; None where more rows must decide."""
        codes = dict.fromkeys(_keys(self.unknown), 0)
        if self.at_least is None:
            codes |= dict.fromkeys(_keys(self.absent), -1) | dict.fromkeys(_keys(self.present), 1)
        for key in tally.first:
            if key not in codes and self.at_least is not None and key[0] == "number":
                codes[key] = 1 if key[1] >= self.at_least else -1
        undeclared = next((key for key in tally.first if key not in codes), None)
        if undeclared is not None:
            why = f"{tally.value(undeclared)} is named neither present nor absent nor unknown"
            raise tally.unnamed(undeclared, why, self._advice(undeclared))
        if not any(codes[key] > 0 for key in tally.first):
            if not whole:
                return None
            raise tally.silent("the subtype is present", "leave it out of 'subtypes', or read more rows")
        return codes

    def _advice(self, key: _Key) -> str:
        if self.at_least is not None:
            return "'at_least' needs numbers; name what else there is under 'unknown'"
        if key[0] == "number":
            return f"for fractions write {{column: {self.column}, at_least: 0.5}}, for other values present and absent"
        return f"write {{column: {self.column}, present: ..., absent: ...}} with the values, typed as there"


Subtypes = tuple[str | SubtypeColumn, ...]


def subtypes_of(columns: Subtypes) -> list[SubtypeColumn]:
    """Return the settings of each subtype; a name alone is a column of 0 and 1, or of false and true."""
    return [SubtypeColumn(column=subtype) if isinstance(subtype, str) else subtype for subtype in columns]


def refuse_twice(columns: Subtypes) -> None:
    """Raise `PydanticCustomError` where two subtypes have one name."""
    names = [subtype.truth() for subtype in subtypes_of(columns)]
    for name in names:
        if names.count(name) > 1:
            reason = f"two subtypes are named {name.removeprefix('subtype:')!r}; give one another 'name'"
            raise PydanticCustomError("twice", "{reason}", {"reason": reason, "field": "subtypes"})


def check_labels(rows: Iterator[Row], limit: int | None, gold: GoldColumn | None, subtypes: Subtypes) -> None:
    """Raise what `labels` would raise, after the first `READ` rows, or after more where those do not decide."""
    columns: list[_LabelColumn] = [*([] if gold is None else [gold]), *subtypes_of(subtypes)]
    undecided = [(column, column.tally()) for column in columns]
    rows, more = islice(rows, limit), True
    while undecided and more:
        before = len(undecided[0][1].rows)
        for row in islice(rows, READ):
            for _, tally in undecided:
                tally.add(row)
        more = len(undecided[0][1].rows) == before + READ
        undecided = [(column, tally) for column, tally in undecided if column.meaning(tally, whole=not more) is None]


class _Occurrence(NamedTuple):
    value: Value
    place: str  # file:line


class Tally:
    """A count of a column's values: which there are, how often, where each stands first, and which each row has."""

    def __init__(self, column: str, most: int | None) -> None:
        self.column, self.most = column, most
        self.first: dict[_Key, _Occurrence] = {}
        self.count: dict[_Key, int] = {}
        self.rows: list[_Key | None] = []
        self.start = ""  # the place of the first row

    def add(self, row: Row) -> None:
        """Count the value of a row.  Raises `DataError` for a value that is no label."""
        value = row.value(self.column)
        self.start = self.start or row.place
        if value is None:
            self.rows.append(None)
            return
        if not isinstance(value, int | str | bool | float):
            raise DataError(f"{row.place}: column {self.column!r} needs a label, got {brief(value)}")
        key = _key(value)
        if key not in self.first:
            if self.most is not None and len(self.first) >= self.most:
                raise DataError(
                    f"{row.place}: column {self.column!r} has more than {self.most} different values, such as "
                    f"{self.shown(3)}; name a column of labels"
                )
            self.first[key] = _Occurrence(value, row.place)
        self.count[key] = self.count.get(key, 0) + 1
        self.rows.append(key)

    def coded(self, codes: Mapping[_Key, int]) -> Labels:
        """Return the code of each row's value; 0 for null."""
        return np.array([0 if key is None else codes[key] for key in self.rows], np.int8)

    def shown(self, most: int = 6) -> str:
        """Return the values with the number of rows of each, the most frequent first."""
        keys = sorted(self.first, key=lambda key: -self.count[key])
        each = [f"{self.value(key)} ({self.count[key]:,}×)" for key in keys[:most]]
        return ", ".join(each) + (", ..." if len(keys) > most else "")

    def value(self, key: _Key) -> str:
        """Return a value as JSON writes it."""
        return shown(self.first[key].value, 30)

    def unnamed(self, key: _Key, why: str, advice: str) -> DataError:
        """Return the error for a value that the suite gives no meaning, with the line where it stands first."""
        place = self.first[key].place
        return DataError(f"{place}: column {self.column!r} has {self.shown()}, and {why}; {advice}")

    def silent(self, what: str, advice: str) -> DataError:
        """Return the error for a column that says nothing: no label is known, or the subtype is never present."""
        path, n = self.start.rpartition(":")[0], len(self.rows)
        has = self.shown() or "only null"
        return DataError(f"{path}: column {self.column!r} has {has}: {what} in none of {n:,} rows; {advice}")


def _key(value: Value) -> _Key:
    """Return a key that is equal for equal values only: true is not 1, and 1 is not "1"."""
    if isinstance(value, bool):
        return "true or false", value
    return ("number", value) if isinstance(value, int | float) else ("text", value)


def _keys(values: Values | None) -> list[_Key]:
    if values is None:
        return []
    return [_key(value) for value in (values if isinstance(values, tuple) else (values,))]


def _opposite(other: _Key, good: _Key) -> bool:
    """Return whether the only other value must mean bad: same type as the good one, no fraction, no "unknown"."""
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
