"""The table of how much each reward pays for each objective of a blend, planted against recovered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.material import Material
from fairl_bench.tables.attribution import Said
from fairl_bench.tables.notes import explained
from fairl_bench.values.contents import ENDS
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import GOLD
from fairl_bench.values.records import Record
from fairl_bench.values.references import labelled, reference_notes, references_first
from fairl_bench.values.rows import shown_axes
from fairl_bench.values.table import Table, Value
from fairl_bench.values.truths import objective_of
from fairl_bench.values.weights import EXPLAINED, PLANTED, WEIGHT, Weight
from fairl_bench.views import ReportTable

_HEADS: Final = ("objective", "planted", "recovered", "planted in interval", "explained")


class ObjectivesTable(ReportTable):
    """The weight of each objective in each recovered reward, with its interval, beside the planted one."""

    data: tuple[str, ...] = Field(("pairs/test",), min_length=1)
    methods: tuple[str, ...] = Field((), description="the rows; none: all")

    def tables(self, material: Material) -> Iterator[Table]:
        """One table a data set."""
        for data in self.data:
            table = objectives(material, data, self.methods)
            if table.rows:
                yield explained(table, material, lambda _: GOLD, (data,))

    def datasets(self) -> Sequence[str]:
        """The data of its tables."""
        return self.data

    def measures(self) -> Sequence[str]:
        """The recovered weight."""
        return (WEIGHT,)


class _Runs(NamedTuple):
    """The numbers of an objective in the runs of a row, NaN where one is not known: a recovered weight has two ends."""

    weight: list[Said]
    planted: float
    explained: float

    def mean(self) -> Said:
        """The means over the runs."""
        return Said(*(float(np.mean(column)) for column in zip(*self.weight, strict=True)))

    def inside(self) -> tuple[int, int]:
        """In how many runs the planted weight is in the interval, and in how many there is one."""
        known = [Weight(self.planted, *weight) for weight in self.weight if not math.isnan(weight.low)]
        return sum(weight.inside for weight in known), len(known)


def objectives(material: Material, data: str, methods: Sequence[str] = ()) -> Table:
    """A row for each reward and objective, in the order of the blend; empty where no weight is on record."""
    records = [record for record in material.records if record.data == data and record.slice == "all"]
    runs_of = _runs(records)
    measured = {row for row, _ in runs_of}
    rows = [row for row in references_first(material.rows, material.run.methods) if row in measured]
    rows = [row for row in rows if not methods or row.method in methods]
    shown = shown_axes(dict.fromkeys(rows))
    texts, tidy = [], []
    for row in rows:
        first = [*labelled(row, shown, material.run.methods)]
        for (of, name), runs in runs_of.items():
            if of == row:
                inside, known = runs.inside()
                found = f"{inside} of {known} runs" if known > 1 else ("yes" if inside else "no") if known else "n/a"
                explained_share = "n/a" if math.isnan(runs.explained) else f"{round(100 * runs.explained)} %"
                texts.append((*first, name, f"{runs.planted:.2f}", str(runs.mean()), found, explained_share))
                tidy.append(_tidy(row, data, name, runs))
    heads = [*(("", axis) for axis in shown), *(("", head) for head in _HEADS)]
    several = any(len(runs.weight) > 1 for runs in runs_of.values())
    notes = tuple(_notes(records, rows, material, several=several)) if rows else ()
    name = f"objectives-{data.replace('/', '-')}"
    return Table(f"Recovered weights, {data}", tuple(heads), tuple(texts), notes, tuple(tidy), name=name)


def _runs(records: Iterable[Record]) -> Mapping[tuple[Row, str], _Runs]:
    """The numbers of each reward and objective, run by run, in the order of the records."""
    numbers: dict[tuple[Row, str], dict[str, dict[tuple[int, int | None], float]]] = {}
    for record in records:
        if not record.other and record.metric in (*(WEIGHT + end for end in ENDS), PLANTED, EXPLAINED):
            place = numbers.setdefault((record.row, record.truth), {})
            place.setdefault(record.metric, {})[record.replicate, record.seed] = record.value
    found = {}
    for (row, truth), of in numbers.items():
        if (name := objective_of(truth)) and WEIGHT in of and PLANTED in of:
            ends = [of.get(WEIGHT + end, {}) for end in ENDS]
            weight = [Said(*(end.get(run, math.nan) for end in ends)) for run in ends[0]]
            shares = list(numbers.get((row, GOLD), {}).get(EXPLAINED, {}).values()) or [math.nan]
            planted = float(np.mean(list(of[PLANTED].values())))
            found[row, name] = _Runs(weight, planted, float(np.mean(shares)))
    return found


def _tidy(row: Row, data: str, objective: str, runs: _Runs) -> dict[str, Value]:
    inside, known = runs.inside()
    ends = {f"weight{end}": value for end, value in zip(ENDS, runs.mean(), strict=True)}
    counts = {"planted_inside": inside, "runs": known}
    return {
        **row._asdict(),
        "data": data,
        "objective": objective,
        "planted": runs.planted,
        **ends,
        **counts,
        "explained": runs.explained,
    }


def _notes(records: Sequence[Record], rows: Sequence[Row], material: Material, *, several: bool) -> Iterator[str]:
    yield (
        "Recovered: least-squares slopes of the reward's differences within prompts on those of the objectives, each "
        "on its standard scale, divided by the sum of their sizes; planted weights are divided so too. [ ] is the 95 % "
        "interval."
    )
    yield (
        "Explained: the share of the reward's variance within prompts that all objectives explain together. What is "
        "left is paid for something else, or for an objective in another shape than a straight line."
    )
    if several:
        yield "Numbers and ends of intervals are means over the runs, so that the intervals are those of one run."
    yield from reference_notes(rows, material.run.methods)
    yield from dict.fromkeys(
        f"{record.method}, {objective_of(record.truth)}: n/a, for {record.note}."
        for record in records
        if record.metric == WEIGHT and record.note
    )
