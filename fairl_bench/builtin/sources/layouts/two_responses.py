"""Rows of two responses, and a column that says which is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.shared.number_columns import number_in
from fairl_bench.builtin.sources.layouts.choices import FIRST, SECOND, SIGNED, TIE, Meaning
from fairl_bench.builtin.sources.layouts.layout import SUBTYPES, LaidOut, Layout, Reading, Sample, at
from fairl_bench.builtin.sources.layouts.messages import Parted, is_messages, parted_messages, prompt_text
from fairl_bench.errors import DataError
from fairl_bench.textfiles import brief
from fairl_bench.values.data import Pairs

_STEMS = ("response", "answer", "output", "completion", "conversation", "summary", "text", "human_ref")
_ENDS = (("_0", "_1"), ("_1", "_2"), ("0", "1"), ("1", "2"), ("_a", "_b"), ("_A", "_B"))
_BOTH = [(stem + one, stem + other) for stem, (one, other) in product(_STEMS, _ENDS)]
_CHOICES = ("better_response_id", "choice", "preference", "preferred", "winner", *SIGNED, "labels", "label")
_SCORES = (("score_0", "score_1"), ("score_1", "score_2"), ("score_a", "score_b"), ("score_A", "score_B"))
_LISTS = ("summaries", "responses", "answers", "completions", "outputs")
_TEXTS = ("text", "response", "answer", "content", "completion", "output", "summary")


class _Candidates(NamedTuple):
    """The two responses of a row, and what of the row is about each alone."""

    values: tuple[Any, Any]
    sides: tuple[str, str]  # what the names of their columns begin with


class TwoResponses(Layout):
    """Two responses, and which is better: a choice, or a score of each."""

    name = "choice"
    roles = frozenset(
        {"first", "second", "choice", "first_score", "second_score", "answers", "answer", "ratio", "prompt"}
    )
    settings = frozenset({"min_ratio", "choices"})

    def find(self, sample: Sample, named: Mapping[str, str]) -> dict[str, str]:
        """Return the columns of the responses and of the choice."""
        known = set(sample.names())
        roles = dict(self._responses(sample, named))
        if choice := sample.first(_CHOICES, str, int, float):
            roles["choice"] = choice
        scores = next((both for both in _SCORES if set(both) <= known), None)
        if scores and "choice" not in {*roles, *named}:
            roles |= {"first_score": scores[0], "second_score": scores[1]}
        if "score_ratio" in known:
            roles["ratio"] = "score_ratio"
        if {"first_score", "second_score"} <= named.keys():
            roles.pop("choice", None)
        return roles

    def _responses(self, sample: Sample, named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Return the columns of two responses, or that of a list of two."""
        known = set(sample.names())
        if both := next((both for both in _BOTH if set(both) <= known), None):
            yield from zip(("first", "second"), both, strict=True)
        elif "first" not in named and (answers := self._list(sample, named)):
            yield "answers", answers
            if text := _text_of(sample.value(answers)):
                yield "answer", text

    def _list(self, sample: Sample, named: Mapping[str, str]) -> str | None:
        lists = (named["answers"],) if "answers" in named else _LISTS
        return next((name for name in lists if _is_two(sample.value(name))), None)

    def lacks(self, roles: Mapping[str, str]) -> list[str]:
        """Return what is missing of the responses and of the choice."""
        missing = []
        if "answers" not in roles and not {"first", "second"} <= roles.keys():
            missing.append("two responses, such as 'response_0' and 'response_1'")
        if "choice" not in roles and not {"first_score", "second_score"} <= roles.keys():
            missing.append("the choice, such as 'better_response_id'")
        return missing

    def subtype(self, sample: Sample, roles: Mapping[str, str]) -> str | None:
        """Return the end of the columns of both responses' subtypes, as in response_0_harm_category, else a row's."""
        first, second = roles.get("first", ""), roles.get("second", "")
        ends = (name for name in SUBTYPES if sample.first((f"{first}_{name}", f"{second}_{name}"), str, dict))
        return next(ends, None) or super().subtype(sample, roles)

    def pairs(self, rows: Sequence[Row], how: Reading) -> LaidOut:
        """Return the pair of each row that chooses; ties and rows without a choice are dropped."""
        dropped = dict.fromkeys(("tied", "no_choice"), 0)
        if how.min_ratio is not None:
            dropped["below_min_ratio"] = 0
        responses = () if "answers" in how.roles else (how.roles["first"], how.roles["second"])
        meaning = Meaning(how.roles["choice"], responses, how.choices) if "choice" in how.roles else None
        kept, parted, better, subtypes = list[int](), list[Parted](), list[int](), list[Any]()
        for number_of_row, row in enumerate(rows):
            candidates = self._candidates(row, how)
            subtypes += [how.subtype(row, side) for side in candidates.sides]
            choice = _by_score(row, how) if meaning is None else meaning.of(row)
            if how.min_ratio is not None and _ratio(row, how) < how.min_ratio:
                dropped["below_min_ratio"] += 1
            elif choice is None:
                dropped["no_choice"] += 1
            elif choice == TIE:
                dropped["tied"] += 1
            else:
                kept.append(number_of_row)
                better.append(choice)
                parted.append(_parted(candidates.values, row, how))
        texts = [(one.one, one.other) for one in parted]
        pairs = Pairs(
            preferred=tuple(both[side] for both, side in zip(texts, better, strict=True)),
            rejected=tuple(both[1 - side] for both, side in zip(texts, better, strict=True)),
            prompt=tuple(one.prompt for one in parted),
            group=tuple(how.group(rows[i]) for i in kept),
            dropped=dropped,
        )
        sides = np.array(better, np.int64)
        first = 2 * np.array(kept, np.int64)
        where = np.stack([first + sides, first + 1 - sides], 1)
        return LaidOut(pairs, [rows[i] for i in kept], rows, where, subtypes)

    def _candidates(self, row: Row, how: Reading) -> _Candidates:
        if "answers" not in how.roles:
            first, second = how.roles["first"], how.roles["second"]
            return _Candidates((row.value(first), row.value(second)), (first, second))
        column = how.roles["answers"]
        value = row.value(column)
        if not _is_two(value):
            raise DataError(f"{row.place}: column {column!r} needs a list of two responses, got {brief(value)}")
        inner = how.roles.get("answer")
        both = [Row(row.place, one).value(inner) if inner else one for one in value]
        return _Candidates((both[0], both[1]), ("", ""))


def _parted(both: tuple[Any, Any], row: Row, how: Reading) -> Parted:
    """Return the prompt and two responses, which may be dialogues."""
    if all(map(is_messages, both)):
        return parted_messages(*both, row, how.prompt(row))
    names = ("answers", "answers") if "answers" in how.roles else ("first", "second")
    texts = (
        Row(row.place, {how.roles[role]: value}).text(how.roles[role], empty=True)
        for role, value in zip(names, both, strict=True)
    )
    return Parted(prompt_text(how.prompt(row), row), *texts)


def _by_score(row: Row, how: Reading) -> int | None:
    """Return which response has the higher score; None where one is unknown."""
    one, other = (number_in(row, how.roles[role]) for role in ("first_score", "second_score"))
    if np.isnan(one) or np.isnan(other):
        return None
    return TIE if one == other else FIRST if one > other else SECOND


def _ratio(row: Row, how: Reading) -> float:
    """Return the ratio of the scores; 0 where it is unknown.  Raises `DataError` where there is no column of it."""
    if "ratio" not in how.roles:
        raise DataError(f"{row.place}: 'min_ratio' needs a column of ratios; name it under 'columns: {{ratio: ...}}'")
    ratio = number_in(row, how.roles["ratio"])
    return 0.0 if np.isnan(ratio) else ratio


def _is_two(value: object) -> bool:
    """Return whether a value is a list of two responses: texts, or objects with a text."""
    return isinstance(value, list | tuple) and len(value) == 2 and not is_messages(value)


def _text_of(value: Any) -> str | None:
    """Return what the texts of two responses are called within them; None where they are texts themselves."""
    if not all(isinstance(one, Mapping) for one in value):
        return None
    return next((name for name in _TEXTS if isinstance(at(value[0], name), str)), None)
