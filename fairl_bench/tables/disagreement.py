"""Tables 2 and 3: where two methods disagree, in all and by subtype."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import Name
from fairl_bench.errors import Undefined
from fairl_bench.material import Material
from fairl_bench.science.disagreement import Counts, cohens_g, difference_in_points, relative_gain
from fairl_bench.tables.notes import explained
from fairl_bench.values.comparison import ALPHA, TwoMethods
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import GOLD
from fairl_bench.values.records import Record
from fairl_bench.values.rows import named, shown_axes
from fairl_bench.values.table import Table, Value
from fairl_bench.values.truths import objective_truth
from fairl_bench.values.two_runs import COUNTS, MCNEMAR
from fairl_bench.views import ReportTable, Truths, truth_of

_Runs = Mapping[tuple[int, int | None], Mapping[str, float]]  # by replicate and seed, the numbers by metric


class _Cell(NamedTuple):
    """One data set (and slice) of one model: mean counts over runs, and each run's own numbers."""

    counts: Counts
    runs: _Runs


class _OfTwoMethods(ReportTable):
    """The settings that both tables of two methods have."""

    methods: tuple[Name, Name] = Field(description="the baseline first")
    data: tuple[str, ...] = Field(min_length=1)
    truth: Truths = Field(
        GOLD, description="one truth, or one by data name ('pairs' stands for every part of the pairs)"
    )

    def datasets(self) -> Sequence[str]:
        """The data that texts are counted in."""
        return self.data

    def truth_of(self, data: str) -> str:
        """The truth that says what is right."""
        return truth_of(self.truth, data)

    def truths_by_data(self) -> Sequence[str]:
        """The names of data that have a truth of their own."""
        return () if isinstance(self.truth, str) else tuple(self.truth)

    def pair(self) -> tuple[str, str]:
        """The two methods, the baseline first."""
        return self.methods

    def between(self, methods: tuple[str, str]) -> Self:
        """The same settings for two other methods."""
        return self.model_copy(update={"methods": methods})


class Disagreement(_OfTwoMethods):
    """The disagreement of two methods: both right, only one, neither (the paper's Table 2)."""

    train_texts: int | None = Field(
        None, ge=1, description="how many texts of pairs/train, drawn once; none: all (the paper has 1,000)"
    )

    def tables(self, material: Material) -> Iterator[Table]:
        """Table 2."""
        records = [record for record in material.records if record.truth == self.truth_of(record.data)]
        yield explained(table2(records, self.methods, self.data), material, self.truth_of, self.data)

    def disagreements(self) -> Sequence[TwoMethods]:
        """Its two methods on each of its data."""
        texts = {"pairs/train": self.train_texts}
        return [TwoMethods(self.methods, data, self.truth_of(data), texts=texts.get(data)) for data in self.data]


class DisagreementBySubtype(_OfTwoMethods):
    """The disagreement of two methods by subtype (the paper's Table 3), or by objective of a blend."""

    by: Literal["subtype", "objective"] = Field(
        "subtype", description="objective: every text against the labels of each objective, whatever the 'truth'"
    )
    objectives: tuple[Name, ...] = Field((), description="with 'by: objective', the objectives that it shows")

    @model_validator(mode="after")
    def _names_objectives(self) -> Self:
        if (self.by == "objective") != bool(self.objectives):
            message = "'by: objective' and the names of 'objectives' go together; write both, or neither"
            raise PydanticCustomError("objectives", "{message}", {"message": message, "field": "objectives"})
        return self

    def tables(self, material: Material) -> Iterator[Table]:
        """Table 3."""
        by_objective = {objective_truth(name): name for name in self.objectives}

        def part_of(record: Record) -> str:
            if self.by == "objective":
                return by_objective.get(record.truth, "") if record.slice == "all" else ""
            return subtype_of(record) if record.truth == self.truth_of(record.data) else ""

        table = table3(material.records, self.methods, self.data, self.by, part_of)
        yield explained(table, material, lambda data: next(iter(self._truths(data))), self.data)

    def disagreements(self) -> Sequence[TwoMethods]:
        """Its two methods on each subtype of its data, or against each objective."""
        subtypes = self.by == "subtype"
        return [
            TwoMethods(self.methods, data, truth, subtypes=subtypes)
            for data in self.data
            for truth in self._truths(data)
        ]

    def _truths(self, data: str) -> Sequence[str]:
        """The truths that say what is right."""
        return list(map(objective_truth, self.objectives)) or [self.truth_of(data)]


def table2(records: Iterable[Record], methods: tuple[str, str], data: Sequence[str]) -> Table:
    """Both right, only the first, only the second, neither: mean counts over runs, with the difference in points.

    McNemar's test is of single runs; the table says in how many of them it rejects.
    """
    first, second = methods
    cells = _cells(records, methods, lambda record: record.slice)
    rows, tidy = [], []
    axes = list(dict.fromkeys(row for row, _, _ in cells))
    shown = [axis for axis in shown_axes(axes) if axis != "method"]
    categories = ("both right", f"only {first}", f"only {second}", "neither")
    lines: list[tuple[str, Callable[[_Cell], str]]] = [
        (category, _share_of(index)) for index, category in enumerate(categories)
    ]
    lines += [(f"{second} less {first}, points", _points), ("McNemar", _mcnemar)]
    for row in axes:
        by_data = {name: cells.get((row, name, "all")) for name in data}
        rows += [
            (*named(row, shown), head, *("n/a" if cell is None else show(cell) for cell in by_data.values()))
            for head, show in lines
        ]
        tidy += [_tidy(row, methods, name, "all", cell) for name, cell in by_data.items() if cell is not None]
    heads = [("", axis) for axis in shown] + [("", "right")] + [(name, "texts") for name in data]
    return Table("Table 2", tuple(heads), tuple(rows), tuple(_notes(cells.values())), tuple(tidy))


def table3(
    records: Iterable[Record],
    methods: tuple[str, str],
    data: Sequence[str],
    by: str = "subtype",
    part_of: Callable[[Record], str] | None = None,
) -> Table:
    """Table 2 by subtype or objective, with the gain in points of accuracy and the relative gain beside one another.

    ``part_of`` names the part that a record is of, by default its subtype; it is empty for a record of another table.
    """
    cells = _cells(records, methods, part_of or subtype_of)
    axes = list(dict.fromkeys(row for row, _, _ in cells))
    shown = [axis for axis in shown_axes(axes) if axis != "method"]
    rows, tidy, notes = [], [], list[str]()
    for row in axes:
        for name in data:
            parts = {part: cell for (r, d, part), cell in cells.items() if (r, d) == (row, name)}
            names = (*named(row, shown), name)
            rows += [(*names, part, *_numbers(cell)) for part, cell in parts.items()]
            tidy += [_tidy(row, methods, name, f"{by}:{part}", cell) for part, cell in parts.items()]
            notes += _notes_on_parts(names, by, parts)
    what = (
        f"Difference: accuracy of {methods[1]} less accuracy of {methods[0]}, in percentage points. Relative gain: "
        f"how many more texts {methods[1]} has right, in percent of those that {methods[0]} has right."
    )
    below = (what, *dict.fromkeys(notes), *_notes(cells.values()))
    return Table("Table 3", _heads_by(by, shown, methods), tuple(rows), below, tuple(tidy))


def subtype_of(record: Record) -> str:
    """The subtype whose texts a record is of; empty where it is of all texts."""
    return "" if record.slice == "all" else record.slice.removeprefix("subtype:")


def _heads_by(by: str, shown: Sequence[str], methods: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The heads of Table 3, below the axes that differ."""
    counts = ("both right", f"only {methods[0]}", f"only {methods[1]}", "neither")
    heads = [("", head) for head in (*shown, "data", by, *counts)]
    return (*heads, ("difference", "points"), ("relative", "gain, %"))


def _numbers(cell: _Cell) -> tuple[str, ...]:
    """The counts of a part, with the difference and the relative gain."""
    digits = 1 if len(cell.runs) > 1 else 0
    counts = [f"{count:,.{digits}f}" if cell.counts.n else "n/a" for count in cell.counts]
    gain = _or_none(relative_gain, cell.counts)
    return (*counts, _points(cell), "n/a" if gain is None else f"{gain:+.2f}")


def _notes_on_parts(names: Sequence[str], by: str, parts: Mapping[str, _Cell]) -> Iterator[str]:
    """The parts without a text, and the mean relative gain over the others."""
    for part, cell in parts.items():
        if not cell.counts.n:
            yield f"{names[-1]}: no text is of the {by} {part!r}."
    gains = [gain for cell in parts.values() if (gain := _or_none(relative_gain, cell.counts)) is not None]
    if len(gains) > 1 and by == "subtype":
        yield _mean_gain(" ".join(names), gains)


def _mean_gain(names: str, gains: Sequence[float]) -> str:
    """The note on the mean relative gain over subtypes."""
    mean, population, sample = np.mean(gains), np.std(gains), np.std(gains, ddof=1)
    return (
        f"{names}: mean relative gain {mean:.2f} ± {population:.2f} % over {len(gains)} subtypes, unweighted, ± the "
        f"population standard deviation as in the paper (the sample's is {sample:.2f}); no points of accuracy."
    )


def _cells(
    records: Iterable[Record], methods: tuple[str, str], part_of: Callable[[Record], str]
) -> dict[tuple[Row, str, str], _Cell]:
    """The disagreement of two methods by (model, encoder, variant), data and part; records of no part are left out."""
    runs_of: dict[tuple[Row, str, str], dict[tuple[int, int | None], dict[str, float]]] = {}
    for record in records:
        if (record.method, record.other) == methods and (part := part_of(record)):
            runs = runs_of.setdefault((record.row, record.data, part), {})
            runs.setdefault((record.replicate, record.seed), {})[record.metric] = record.value
    return {
        key: _Cell(Counts(*(float(np.mean([run[name] for run in runs.values()])) for name in COUNTS)), runs)
        for key, runs in runs_of.items()
    }


def _share_of(index: int) -> Callable[[_Cell], str]:
    """Shows one of the counts of a cell, with its share."""

    def show(cell: _Cell) -> str:
        count = cell.counts[index]
        return f"{count:,.0f} ({100 * count / cell.counts.n:.2f} %)" if cell.counts.n else "0"

    return show


def _points(cell: _Cell) -> str:
    """The difference in points of accuracy."""
    points = _or_none(difference_in_points, cell.counts)
    return "n/a" if points is None else f"{points:+.2f}"


def _mcnemar(cell: _Cell) -> str:
    """The statistic and p of a single run; of several runs the number in which the test rejects."""
    runs = list(cell.runs.values())
    if len(runs) == 1:
        plain, corrected, p = (runs[0][name] for name in MCNEMAR)
        return f"χ² {plain:.1f} ({corrected:.1f} corrected), p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
    better = [run["only_other"] > run["only_method"] for run in runs]
    rejected = [run["mcnemar_p"] < ALPHA for run in runs]
    for_second = sum(b and r for b, r in zip(better, rejected, strict=True))
    text = f"p < {ALPHA} in {sum(rejected)} of {len(runs)} runs"
    return f"{text}, {for_second} for the second" if any(rejected) else text


def _tidy(row: Row, methods: tuple[str, str], data: str, part: str, cell: _Cell) -> dict[str, Value]:
    """The values of a cell as the files of a table have them."""
    values: dict[str, Value] = {**row.setting._asdict(), "data": data, "slice": part}
    values |= {"first": methods[0], "second": methods[1]}
    values |= dict(zip(("both", "only_first", "only_second", "neither"), cell.counts, strict=True))
    values |= {"n": cell.counts.n, "difference_points": _or_none(difference_in_points, cell.counts)}
    values |= {
        "relative_gain_percent": _or_none(relative_gain, cell.counts),
        "cohens_g": _or_none(cohens_g, cell.counts),
    }
    rejected = sum(run["mcnemar_p"] < ALPHA for run in cell.runs.values())
    return {**values, "runs": len(cell.runs), "mcnemar_rejects": rejected}


def _notes(cells: Iterable[_Cell]) -> list[str]:
    runs = max((len(cell.runs) for cell in cells), default=0)
    return [f"Mean counts over {runs} runs; McNemar's test run by run is in the records."] if runs > 1 else []


def _or_none(function: Callable[[Counts], float], counts: Counts) -> float | None:
    """The number that a function gives; None where it is undefined."""
    try:
        return function(counts)
    except Undefined:
        return None
