"""The table of the ceiling: how far each method comes from a coin toss to what the two language models say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.tables.board import board, cells, measured_runs
from fairl_bench.tables.notes import explained
from fairl_bench.tables.shares import Shares, models_without, pair_accuracies, percent, shares_of, told
from fairl_bench.values.ceiling import PAIR_ACCURACY, SHARE, no_ceiling
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import PREFERRED
from fairl_bench.values.records import Record
from fairl_bench.values.references import references_first
from fairl_bench.values.rows import Column, Runs
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.table import Table, Value
from fairl_bench.views import ReportTable

_HEAD: Final = "share of the ceiling ↑"
STOPPED_BY: Final = "pairs/validation"


class SharesOfCeiling(ReportTable):
    """How far each method comes from a coin toss to the ceiling, which is the pair accuracy of the log-ratio."""

    data: tuple[str, ...] = Field(
        ("pairs/test",), min_length=1, description="parts of the pairs that no method has learnt from"
    )

    @field_validator("data")
    @classmethod
    def _with_a_ceiling(cls, data: tuple[str, ...]) -> tuple[str, ...]:
        for name in data:
            if why := no_ceiling(name, PREFERRED):
                raise PydanticCustomError(
                    "no_ceiling", "{name} has no ceiling: {why}", {"name": repr(name), "why": why}
                )
        return data

    def tables(self, material: Material) -> Iterator[Table]:
        """One table, where any pair accuracy is on record."""
        table = ceiling(
            material.records, self.data, material.rows, material.metrics, material.comparisons, material.run
        )
        yield explained(table, material, self.truth_of, self.data)

    def datasets(self) -> Sequence[str]:
        """The data of its columns."""
        return self.data

    def truth_of(self, data: str) -> str:
        """The one truth whose ceiling is known: which of a pair is the aligned model's."""
        return PREFERRED

    def measures(self) -> Sequence[str]:
        """The pair accuracy."""
        return (PAIR_ACCURACY,)

    def questions(self) -> Sequence[Question]:
        """The intervals of pair accuracies, beside which the shares stand."""
        return [Question(name, PREFERRED, (PAIR_ACCURACY,)) for name in self.data]


def ceiling(
    records: Iterable[Record],
    data: Sequence[str],
    runs: Mapping[Row, Runs],
    metrics: Metrics,
    comparisons: Sequence[Comparison],
    run: RunFacts,
) -> Table:
    """A row for each (model, encoder, method, variant): pair accuracy and share of the ceiling, with 95 % intervals.

    No row where no pair accuracy is on record.  ``runs`` says what each row should rest on.
    """
    runs = references_first(runs, run.methods)
    columns = [Column(name, "all", PAIR_ACCURACY) for name in data]
    records = list(records)
    records_of = cells(records, lambda _: PREFERRED)
    if not any((row, column) in records_of for row in runs for column in columns):
        return Table("Ceiling", (), (), ())
    measured = measured_runs(records, columns)
    table = board(
        "Ceiling", records_of, lambda _: PREFERRED, runs, columns, metrics, measured=measured, methods=run.methods
    )
    names = len(table.heads) - len(columns)
    accuracies, shares = pair_accuracies(comparisons), shares_of(comparisons)
    places = [(row, column.data) for row in runs for column in columns]
    numbers = [text for texts in table.rows for text in texts[names:]]
    shown = [
        (number + _interval(accuracies.get(place)), _share(shares.get(place)))
        for number, place in zip(numbers, places, strict=True)
    ]
    rows = [
        (*texts[:names], *chain.from_iterable(shown[at * len(columns) : (at + 1) * len(columns)]))
        for at, texts in enumerate(table.rows)
    ]
    tidy = [
        values
        for cell, place in zip(table.tidy, places, strict=True)
        for values in _tidy(cell, accuracies.get(place), shares.get(place), run.ceilings.get(place[0].model))
    ]
    heads = [*table.heads[:names], *chain.from_iterable((head, (head[0], _HEAD)) for head in table.heads[names:])]
    notes = (*table.notes, *_notes(runs, data, shares, run))
    return table._replace(heads=tuple(heads), rows=tuple(rows), tidy=tuple(tidy), notes=notes)


def _share(share: Comparison | None) -> str:
    """A share with its interval."""
    if share is None or math.isnan(share.value):
        return "n/a"
    return f"{percent(share.value)} [{round(100 * share.low)}, {round(100 * share.high)}]"


def _interval(accuracy: Comparison | None) -> str:
    """The interval behind a pair accuracy; nothing where it is not known."""
    return f" [{accuracy.low:.3f}, {accuracy.high:.3f}]" if accuracy and math.isfinite(accuracy.low) else ""


def _tidy(
    cell: Mapping[str, Value], accuracy: Comparison | None, share: Comparison | None, method: str | None
) -> tuple[Mapping[str, Value], Mapping[str, Value]]:
    """The values of a pair accuracy and of its share as the files of a table have them."""
    place = {name: value for name, value in cell.items() if name not in ("sd", "t_low", "t_high")}
    value = math.nan if share is None else share.value
    return (
        {**cell, **_ends(accuracy), "ceiling": method},
        {**place, "metric": SHARE, "mean": value, **_ends(share), "ceiling": method},
    )


def _ends(comparison: Comparison | None) -> dict[str, Value]:
    """The ends of an interval; NaN where it is not known."""
    low, high = (math.nan, math.nan) if comparison is None else (comparison.low, comparison.high)
    return {"low": low, "high": high}


def _notes(rows: Iterable[Row], data: Sequence[str], shares: Shares, run: RunFacts) -> Iterator[str]:
    """What a share is, how its interval is found, and why some rows have none."""
    known = [one for one in shares.values() if math.isfinite(one.value)]
    if known:
        yield f"Share of the ceiling: the {told(run.methods)}"
        top = max(known, key=lambda one: one.units)
        over = f" over {top.units} {top.unit}s, by Student's t" if top.unit else ""
        noise = ("with" if over else "by") + " a bootstrap of the prompts" if top.resamples else ""
        yield (
            "[ ] is the 95 % interval; that of a share is Fieller's for the ratio of two paired means"
            f"{over}{', ' if over and noise else ' ' if noise else ''}{noise}."
        )
        if STOPPED_BY in data:
            yield f"{STOPPED_BY}: a method that stops early has chosen its epoch there, which favours it."
    yield from models_without(run, rows)
    for one in shares.values():
        if math.isnan(one.value) and one.data in data:
            yield f"{one.method}, {one.data}, {_HEAD.removesuffix(' ↑')}: {one.note}."
