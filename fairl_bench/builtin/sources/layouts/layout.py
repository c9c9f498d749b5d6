"""The base of a layout, with what it is given and what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.shared.label_columns import Values
from fairl_bench.builtin.sources.layouts.messages import is_prompt
from fairl_bench.builtin.sources.pair_columns import group_of
from fairl_bench.component import Settings
from fairl_bench.values.data import Pairs, Rows

Compared = Literal["all", "adjacent", "best-worst"]
PROMPTS = (
    *("prompt", "instruction", "question.full_text", "question", "query", "context", "history"),
    *("info.post", "info.article", "post", "input"),
)
SUBTYPES = ("subset", "harm_category")


class LayoutColumns(Settings):
    """The columns of a data set by their role; one that is not named is found by the name that it usually has."""

    preferred: str | None = Field(None, description="the better text or messages, as chosen")
    rejected: str | None = Field(None, description="the worse text or messages, as rejected")
    first: str | None = Field(None, description="one of two responses, as response_0")
    second: str | None = Field(None, description="the other response, as response_1")
    choice: str | None = Field(None, description="which response is better, as better_response_id")
    first_score: str | None = Field(None, description="in place of a choice: the first response's score, as score_0")
    second_score: str | None = Field(None, description="in place of a choice: the second response's score, as score_1")
    ratio: str | None = Field(None, description="the number that 'min_ratio' is about, as score_ratio")
    answers: str | None = Field(None, description="a list of answers, as completions; of two where there is a choice")
    answer: str | None = Field(None, description="the text of one answer, as response; within a list too")
    score: str | None = Field(None, description="how good an answer is, higher is better, as helpfulness")
    rank: str | None = Field(None, description="the place of an answer, 1 is best, as rank")
    prompt: str | None = Field(None, description="what is answered: a text, or messages")
    group: str | None = Field(None, description="what must stay on one side of a split, beside the prompt")
    subtype: str | None = Field(None, description="the subtype's name, or an object of true and false by subtype")

    def named(self) -> dict[str, str]:
        """Return the columns that are named, by role."""
        return {role: column for role, column in self if column is not None}


class Choices(Settings):
    """The values of a column of choices, typed as the file has them; null is no choice."""

    first: Values = Field(description="the value, or the list of values, by which the first response is better")
    second: Values = Field(description="those by which the second response is better")
    tie: Values | None = Field(None, description="those of a tie")


class Match(NamedTuple):
    """The columns of a data set that a layout can use, by role, and what it lacks, each in a few words."""

    roles: Mapping[str, str]
    lacks: Sequence[str] = ()


class Reading(NamedTuple):
    """How rows are read: which column plays which role, and the settings of the source."""

    roles: Mapping[str, str]
    named: frozenset[str] = frozenset()  # the roles of columns that the suite names
    compare: Compared = "all"
    min_ratio: float | None = None
    choices: Choices | None = None
    drops: frozenset[str] = frozenset()  # "identical" and "empty", where such pairs are dropped

    def prompt(self, row: Row) -> Any:
        """Return the prompt of a row as it stands; none in a row that lacks a column which no one named."""
        column = self.roles.get("prompt")
        if column is None or ("prompt" not in self.named and at(row.values, column) is None):
            return None
        return row.value(column)

    def group(self, row: Row) -> str:
        """Return the group of a row; empty for none."""
        return group_of(row, self.roles["group"]) if "group" in self.roles else ""

    def subtype(self, row: Row, side: str = "") -> Any:
        """Return what a row says of the subtypes of its texts, or of those of one side's text; None where unknown."""
        column = self.roles.get("subtype")
        if column is None:
            return None
        of_side = f"{side}_{column}"
        return row.values[of_side] if side and of_side in row.values else at(row.values, column)


class LaidOut(NamedTuple):
    """The pairs of rows, and where the truth of each text stands."""

    pairs: Pairs
    of: Sequence[Row]  # the row of each pair
    rows: Sequence[Row]  # rows of two texts each; of answers, of one text each
    texts: Rows  # [pairs, 2] the numbers of the preferred and the rejected text, counted through the rows
    subtypes: Sequence[Any]  # of each text, what its row says; None: nothing


@dataclass(frozen=True)
class Sample:
    """The first rows of a data set, by which its layout is found."""

    rows: Sequence[Row]

    def names(self) -> list[str]:
        """Return the columns, in their order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.values))

    def value(self, column: str) -> Any:
        """Return the first value of a column that is not null; ``a.b`` is ``b`` within ``a``."""
        return next((value for row in self.rows if (value := at(row.values, column)) is not None), None)

    def first(self, names: Iterable[str], *kinds: type) -> str | None:
        """Return the first of these names that is a column of one of these types."""
        return next((name for name in names if isinstance(self.value(name), kinds)), None)


class Layout(ABC):
    """A way in which preference data is laid out in rows."""

    name: ClassVar[str]
    roles: ClassVar[frozenset[str]]
    """The roles of columns that it reads, beside ``group`` and ``subtype``, which all read."""
    settings: ClassVar[frozenset[str]] = frozenset()
    """The settings of the source that it reads, of those that not all layouts do."""
    one_pair_a_row: ClassVar[bool] = False

    def match(self, sample: Sample, named: Mapping[str, str]) -> Match:
        """Return which column plays which role: those that are named, else those that have a usual name."""
        roles = {**self.find(sample, named), **named}
        prompt = next((name for name in PROMPTS if is_prompt(sample.value(name))), None)
        if prompt is not None and "prompt" in self.roles:
            roles.setdefault("prompt", prompt)
        if subtype := self.subtype(sample, roles):
            roles.setdefault("subtype", subtype)
        return Match({role: roles[role] for role in LayoutColumns.model_fields if role in roles}, self.lacks(roles))

    @abstractmethod
    def find(self, sample: Sample, named: Mapping[str, str]) -> dict[str, str]:
        """Return the columns that have a usual name, by role."""

    @abstractmethod
    def lacks(self, roles: Mapping[str, str]) -> list[str]:
        """Return what these roles leave open, each in a few words."""

    @abstractmethod
    def pairs(self, rows: Sequence[Row], how: Reading) -> LaidOut:
        """Return the pairs of the rows.  Raises `DataError` with the place of a row that it cannot read."""

    def subtype(self, sample: Sample, roles: Mapping[str, str]) -> str | None:
        """Return the column of subtypes that has a usual name."""
        return sample.first(SUBTYPES, str, dict)


def at(values: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column, ``a.b`` for ``b`` within ``a``; None where there is none.

    >>> at({"a": {"b": 1}, "a.c": 2}, "a.b"), at({"a": {"b": 1}, "a.c": 2}, "a.c"), at({"a": None}, "a.b")
    (1, 2, None)
    """
    if column in values:
        return values[column]
    outer, _, inner = column.partition(".")
    within = values.get(outer)
    return at(within, inner) if inner and isinstance(within, Mapping) else None


def two_a_row(pairs: Pairs, rows: Sequence[Row], subtypes: Sequence[Any]) -> LaidOut:
    """Return pairs of which each row holds one, the preferred text first."""
    return LaidOut(pairs, rows, rows, np.arange(2 * len(rows)).reshape(-1, 2), subtypes)


def unusable(one: str, other: str) -> str:
    """Return why two texts make no pair, ``empty`` or ``identical``; empty where they make one.

    >>> unusable("a", " "), unusable("a", "a"), unusable("a", "b")
    ('empty', 'identical', '')
    """
    if not (one.strip() and other.strip()):
        return "empty"
    return "identical" if one == other else ""
