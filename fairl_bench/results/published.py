"""Published results: numbers with their source, our names for their coordinates, and arithmetic between them.

A file is YAML, ``results/published/*.yaml``; a mistake in it is an error that names its line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self, TypeVar

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import Settings
from fairl_bench.errors import SuiteError, Undefined, suggest
from fairl_bench.science.disagreement import Counts, difference_in_points, mcnemar, relative_gain
from fairl_bench.suite.explain import explain
from fairl_bench.suite.yaml import load
from fairl_bench.values.truths import TruthName

T = TypeVar("T")
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+-]*$")]


class Citation(Settings):
    """The place of a number or sentence in its source."""

    table: str = Field(min_length=1, description="table, figure or section")
    row: str = ""


class Number(Settings):
    """One published number with its coordinates, in the source's own words (`Mapping` has ours)."""

    id: Id
    value: float
    sd: float | None = Field(None, ge=0, description="what the source prints after ±")
    runs: int | None = Field(None, ge=2, description="how many runs the ± is over")
    n: int | None = Field(None, ge=1, description="examples")
    digits: int = Field(3, ge=0, le=17, description="decimals printed: the value stands for all that round to it")
    metric: str
    method: str = ""
    other: str = Field("", description="the second method of a paired number")
    model: str = Field("", description="empty: the file's")
    data: str = ""
    slice: str = "all"
    truth: TruthName | Literal[""] = ""
    source: Citation
    note: str = ""

    @property
    def printed(self) -> str:
        """The value with as many decimals as the source prints."""
        return f"{self.value:,.{self.digits}f}"


class Margin(Settings):
    """The largest difference that counts as equal in a metric, and why."""

    within: float = Field(ge=0)
    kind: Literal["interval", "exact"] = Field(
        "interval", description="interval: the 90 % interval of the difference must lie within; exact: each mean"
    )
    why: str = Field(min_length=1)


class Ordering(Settings):
    """A statement that one number is better than another; it is compared whatever the model and data."""

    id: Id
    better: Id
    than: Id
    source: Citation


class Names(Settings):
    """From the source's names to ours; a name that is not here is its own."""

    model: dict[str, str] = Field(default_factory=dict)
    method: dict[str, str] = Field(default_factory=dict)
    data: dict[str, str] = Field(default_factory=dict)
    slice: dict[str, str] = Field(default_factory=dict)
    metric: dict[str, str] = Field(default_factory=dict)


Operation = Literal[
    "sum", "difference", "points", "accuracy-first", "accuracy-second", "mcnemar", "gain-mean", "gain-sd"
]
Statement = Literal["reduction", "lowest", "smaller-sd"]


class Check(Settings):
    """Arithmetic on the file's own numbers, beside what the source says of it.

    ``points``, ``accuracy-*`` and ``mcnemar`` are of four counts: both right, only the second, only the first, neither;
    ``gain-*`` of threes of these, without neither: mean and population sd of relative gains, in percent; ``reduction``
    of two numbers, in percent of the first; ``lowest`` of all that are compared; ``smaller-sd`` of twos, the one that
    is said to be smaller first.
    """

    id: Id
    sentence: str = Field(description="what is said")
    op: Operation | Statement
    of: tuple[Id, ...] = Field(min_length=1)
    says: Id | None = Field(None, description="the number that it should give; none: it is only derived")
    relation: Literal["equals", "at-most"] = "equals"
    source: Citation

    @model_validator(mode="after")
    def _has_as_many_as_it_needs(self) -> Self:
        every = _ARITY.get(self.op, 1)
        if len(self.of) % every or (self.op in _ONCE and len(self.of) != every):
            message = "'{op}' needs {every} numbers{more}, got {n}"
            more = "" if self.op in _ONCE else " or a multiple of it"
            context = {"op": self.op, "every": every, "n": len(self.of), "more": more, "field": "of"}
            raise PydanticCustomError("arity", message, context)
        if self.op == "lowest" and self.says is None:
            raise PydanticCustomError("says", "'lowest' needs 'says': which number is said to be the lowest")
        return self


_ARITY = {"points": 4, "accuracy-first": 4, "accuracy-second": 4, "mcnemar": 4, "gain-mean": 3, "gain-sd": 3}
_ARITY |= {"difference": 2, "reduction": 2, "smaller-sd": 2}
_STATED = ("lowest", "smaller-sd")  # compared and not computed
_ONCE = {"points", "accuracy-first", "accuracy-second", "mcnemar", "difference", "reduction"}


class Published(Settings):
    """A source's numbers."""

    name: str
    title: str
    model: str = Field("", description="what the numbers are of, unless one says otherwise")
    encoder: str = Field("", description="the encoder's name in our suites; empty: any")
    numbers: tuple[Number, ...] = Field(min_length=1)
    mapping: Names = Names()
    margins: dict[str, Margin] = Field(default_factory=dict, description="by our metric, or by the number's id")
    orderings: tuple[Ordering, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def by_id(self) -> dict[str, Number]:
        """The numbers by their id."""
        return {number.id: number for number in self.numbers}


class RecordKey(NamedTuple):
    """The coordinates of a number in our records."""

    model: str
    method: str
    other: str
    data: str
    slice: str
    truth: str
    metric: str


def record_key(published: Published, number: Number) -> RecordKey:
    """The key of the records that measure a published number."""
    names = published.mapping
    model = number.model or published.model
    method, other = (names.method.get(name, name) for name in (number.method, number.other))
    data, part = names.data.get(number.data, number.data), names.slice.get(number.slice, number.slice)
    metric = names.metric.get(number.metric, number.metric)
    return RecordKey(names.model.get(model, model), method, other, data, part, number.truth, metric)


def read_published(path: Path) -> Published:
    """The numbers of a file.  Raises `SuiteError` with the line of each mistake."""
    document = load(path)
    try:
        published = Published.model_validate(document.content)
    except ValidationError as error:
        raise SuiteError(explain(document, error)) from error
    for place, message in _loose_ends(published):
        raise SuiteError(message, *document.where(place))
    return published


def _loose_ends(published: Published) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The mistakes that the fields alone do not show, each with its place in the file."""
    ids = dict[str, Number]()
    for index, number in enumerate(published.numbers):
        if number.id in ids:
            yield ("numbers", index), f"numbers: the id {number.id!r} is given twice"
        ids[number.id] = number
    for index, ordering in enumerate(published.orderings):
        for number_id in (ordering.better, ordering.than):
            if number_id not in ids:
                yield ("orderings", index), f"orderings: number {number_id!r} is unknown; {suggest(number_id, ids)}"
    for index, check in enumerate(published.checks):
        for number_id in (*check.of, *([check.says] if check.says else [])):
            if number_id not in ids:
                yield ("checks", index), f"checks: number {number_id!r} is unknown; {suggest(number_id, ids)}"
        if why := _uncomputable(check, [ids[number_id] for number_id in check.of]):
            yield ("checks", index, "of"), f"checks: {check.id!r} cannot be computed: {why}"


_MOST = 2**53  # whole numbers beyond are not all float64


def _uncomputable(check: Check, of: Sequence[Number]) -> str:
    """Why a check's arithmetic cannot be done with these numbers; empty where it can."""
    if check.op in _STATED:
        return ""
    if _ARITY.get(check.op, 0) > 2:
        for number in of:
            if not (0 <= number.value <= _MOST and number.value.is_integer()):
                return f"{check.op!r} is of counts, and {number.id!r} is {number.value:g}, no whole number from 0"
    if check.op == "reduction" and not of[0].value:
        return f"a reduction is in percent of its first number, and {of[0].id!r} is 0"
    try:
        value = _computed(check.op, [number.value for number in of])
    except Undefined as reason:
        return str(reason)
    return "" if math.isfinite(value) else "the result is too large for a number"


class Outcome(NamedTuple):
    """The result of a check: ``holds`` is None for a number that is only derived."""

    check: Check
    computed: str
    said: str
    holds: bool | None


def checked(published: Published) -> list[Outcome]:
    """The outcome of every check of a file, computed from its numbers."""
    return [_outcome(check, published.by_id) for check in published.checks]


def _outcome(check: Check, by_id: Mapping[str, Number]) -> Outcome:
    numbers = [by_id[number_id] for number_id in check.of]
    stated = by_id[check.says] if check.says else None
    if check.op == "lowest" and stated is not None:
        least = min(numbers, key=lambda number: number.value)
        return Outcome(check, f"{least.printed} ({least.id})", f"{stated.printed} ({stated.id})", least.id == stated.id)
    if check.op == "smaller-sd":
        twos = list(_in(2, numbers))
        smaller = sum((first.sd or 0) < (second.sd or 0) for first, second in twos)
        return Outcome(check, f"{smaller} of {len(twos)}", f"{len(twos)} of {len(twos)}", smaller == len(twos))
    value = _computed(check.op, [number.value for number in numbers])
    if stated is None:
        return Outcome(check, f"{value:.2f}", "", None)
    # half a unit of the last digit stated, and the rounding of float64 itself
    room = 0.5 * 10**-stated.digits + 1e-9
    holds = value <= stated.value + room if check.relation == "at-most" else abs(value - stated.value) <= room
    limit = "at most " if check.relation == "at-most" else ""
    return Outcome(check, f"{value:.{max(stated.digits, 2)}f}", f"{limit}{stated.printed}", holds)


def _computed(op: str, of: Sequence[float]) -> float:
    """The result of an operation on numbers."""
    if op == "sum":
        return sum(of)
    if op == "difference":
        return of[0] - of[1]
    if op == "reduction":
        return 100 * (1 - of[1] / of[0])
    if op in ("gain-mean", "gain-sd"):
        gains = [relative_gain(Counts(both, first, second, 0)) for both, second, first in _in(3, of)]
        mean = sum(gains) / len(gains)
        return mean if op == "gain-mean" else (sum((gain - mean) ** 2 for gain in gains) / len(gains)) ** 0.5
    both, second, first, neither = map(int, of)
    counts = Counts(both, first, second, neither)
    if not counts.n:
        raise Undefined("four counts of 0 are of no example")
    if op == "points":
        return difference_in_points(counts)
    if op == "mcnemar":
        return mcnemar(counts).uncorrected
    return 100 * (both + (first if op == "accuracy-first" else second)) / counts.n


def _in(size: int, of: Sequence[T]) -> Iterator[Sequence[T]]:
    """The numbers in groups of a size."""
    return (of[start : start + size] for start in range(0, len(of), size))
