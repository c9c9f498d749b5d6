"""What the values of a column of choices mean: the first response, the second, or a tie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.shared.label_columns import Values
from fairl_bench.builtin.sources.layouts.layout import Choices
from fairl_bench.errors import DataError
from fairl_bench.textfiles import number_of, shown

FIRST, SECOND, TIE = 0, 1, 2
SIGNED: Final = ("overall_preference", "preference_strength")
"""Columns whose sign chooses: below 0 the first response, above 0 the second (HelpSteer3, HelpSteer2)."""
_TURNED: Final = ("labels", "human_ref_A")
"""Of SHP, where 1 is the first response and 0 the second."""
_MARKS: Final = (("0", "1"), ("1", "2"), ("a", "b"))
_WORDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("a", "first", "model_a", "response_a", "a>b", "a>>b"), FIRST),
    **dict.fromkeys(("b", "second", "model_b", "response_b", "b>a", "b>>a"), SECOND),
    **dict.fromkeys(("tie", "tie (bothbad)", "bothbad", "both", "neither", "draw", "equal", "same", "a=b"), TIE),
}
_SAY = "say what each value means under 'choices', as {first: 0, second: 1}"


class Meaning:
    """What the values of one column mean, for two responses of these names."""

    def __init__(self, column: str, responses: Sequence[str], choices: Choices | None) -> None:
        self.column, self.responses, self.choices = column, [name.casefold() for name in responses], choices
        self.turned = (column, responses[0] if responses else "") == _TURNED
        self.from_one = bool(responses) and _mark(responses) == ("1", "2")
        self.by_letter = bool(responses) and _mark(responses) == ("a", "b") and not self.turned

    def of(self, row: Row) -> int | None:
        """Return which response is better, or a tie; None where the row says nothing.

        Raises `DataError` for a value that means nothing known.
        """
        value = row.value(self.column)
        if value is None or (row.texts and value == ""):
            return None
        found = self._said(value) if self.choices else self._usual(value)
        if found is None:
            raise DataError(f"{row.place}: column {self.column!r} has {shown(value)}, which chooses nothing; {_SAY}")
        return found

    def _said(self, value: Any) -> int | None:
        assert self.choices is not None
        said = {FIRST: self.choices.first, SECOND: self.choices.second, TIE: self.choices.tie}
        return next((code for code, values in said.items() if _is_one_of(value, values)), None)

    def _usual(self, value: Any) -> int | None:
        if isinstance(value, str):
            word = value.strip().casefold()
            if word in self.responses:
                return self.responses.index(word)
            if word in _WORDS:
                return _WORDS[word]
        number = _number(value)
        if number is None:
            return None
        if self.column in SIGNED:
            return TIE if number == 0 else FIRST if number < 0 else SECOND
        place = number - 1 if self.from_one else number
        if place not in (0, 1) or self.by_letter:
            return None
        return int(place) if not self.turned else int(1 - place)


def _mark(responses: Sequence[str]) -> tuple[str, str] | None:
    """Return what the names of two responses end in, where that is known.

    >>> _mark(["response_1", "response_2"]), _mark(["human_ref_A", "human_ref_B"]), _mark(["left", "right"])
    (('1', '2'), ('a', 'b'), None)
    """
    one, other = (name.casefold() for name in responses)
    return next((mark for mark in _MARKS if one.endswith(mark[0]) and other.endswith(mark[1])), None)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return number_of(value)
    return float(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def _is_one_of(value: Any, values: Values | None) -> bool:
    """Return whether a value is one of these: true is not 1, and 1 is not "1"."""
    named = () if values is None else values if isinstance(values, tuple) else (values,)
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in named)
