"""Tables 2 and 3: where two methods disagree, in all and by subtype."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

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
        """The same for two other methods."""
        return self.model_copy(update={"methods": methods})


class Disagreement(_OfTwoMethods):
    """Where two methods disagree: both right, only one, neither (the paper's Table 2)."""

    train_texts: int | None = Field(
        None, ge=1, description="how many texts of pairs/train, drawn once; none: all (the paper has 1,000)"
    )

    def tables(self, material: Material) -> Iterator[Table]:
        """Table 2."""
        yield explained(table2(material.records, self.methods, self.data), material, self.truth_of, self.data)

    def disagreements(self) -> Sequence[TwoMethods]:
        """Its two methods on each of its data."""
        texts = {"pairs/train": self.train_texts}
        return [TwoMethods(self.methods, data, self.truth_of(data), texts=texts.get(data)) for data in self.data]


class DisagreementBySubtype(_OfTwoMethods):
    """Where two methods disagree, by subtype (the paper's Table 3)."""

    by: Literal["subtype"] = "subtype"

    def tables(self, material: Material) -> Iterator[Table]:
        """Table 3."""
        yield explained(table3(material.records, self.methods, self.data), material, self.truth_of, self.data)

    def disagreements(self) -> Sequence[TwoMethods]:
        """Its two methods on each subtype of its data."""
        return [TwoMethods(self.methods, data, self.truth_of(data), subtypes=True) for data in self.data]


def table2(records: Iterable[Record], methods: tuple[str, str], data: Sequence[str]) -> Table:
    """Both right, only the first, only the second, neither: mean counts over runs, with the difference in points.

    McNemar's test is of single runs; the table says in how many of them it rejects.
    """
    first, second = methods
    cells = _cells(records, methods)
    rows, tidy = [], []
    axes = list(dict.fromkeys(row for row, _, _ in cells))
    shown = [axis for axis in shown_axes(axes) if axis != "method"]
    categories = ("both right", f"only {first}", f"only {second}", "neither")
    lines: list[tuple[str, Callable[[_Cell], str]]] = [
        (name, _share_of(index)) for index, name in enumerate(categories)
    ]
    lines += [(f"{second} less {first}, points", _points), ("McNemar", _mcnemar)]
    for row in axes:
        found = {place: cells.get((row, place, "all")) for place in data}
        rows += [
            (*named(row, shown), name, *("n/a" if cell is None else show(cell) for cell in found.values()))
            for name, show in lines
        ]
        tidy += [_tidy(row, methods, place, "all", cell) for place, cell in found.items() if cell is not None]
    heads = [("", axis) for axis in shown] + [("", "right")] + [(place, "texts") for place in data]
    return Table("Table 2", tuple(heads), tuple(rows), tuple(_notes(cells.values())), tuple(tidy))


def table3(records: Iterable[Record], methods: tuple[str, str], data: Sequence[str]) -> Table:
    """Table 2 by subtype, with the gain in points of accuracy and the relative gain beside one another."""
    first, second = methods
    cells = _cells(records, methods)
    axes = list(dict.fromkeys(row for row, _, _ in cells))
    shown = [axis for axis in shown_axes(axes) if axis != "method"]
    rows, tidy, notes = [], [], []
    for row in axes:
        for place in data:
            found = {part: cell for (r, d, part), cell in cells.items() if (r, d) == (row, place) and part != "all"}
            gains = []
            for part, cell in found.items():
                digits = 1 if len(cell.runs) > 1 else 0
                texts = [f"{count:,.{digits}f}" if cell.counts.n else "n/a" for count in cell.counts]
                if not cell.counts.n:
                    notes.append(f"{place}: no text is of the subtype {part.removeprefix('subtype:')!r}.")
                gain = _or_none(relative_gain, cell.counts)
                gains += [] if gain is None else [gain]
                said = (_points(cell), "n/a" if gain is None else f"{gain:+.2f}")
                rows.append((*named(row, shown), place, part.removeprefix("subtype:"), *texts, *said))
                tidy.append(_tidy(row, methods, place, part, cell))
            if len(gains) > 1:
                notes.append(_mean_gain(" ".join((*named(row, shown), place)), gains))
    heads = [("", axis) for axis in shown] + [("", "data"), ("", "subtype"), ("", "both right")]
    heads += [("", f"only {first}"), ("", f"only {second}"), ("", "neither")]
    heads += [("difference", "points"), ("relative", "gain, %")]
    what = (
        f"Difference: accuracy of {second} less accuracy of {first}, in percentage points. Relative gain: how many "
        f"more texts {second} has right, in percent of those that {first} has right."
    )
    return Table(
        "Table 3", tuple(heads), tuple(rows), (what, *dict.fromkeys(notes), *_notes(cells.values())), tuple(tidy)
    )


def _mean_gain(place: str, gains: Sequence[float]) -> str:
    mean, population, sample = np.mean(gains), np.std(gains), np.std(gains, ddof=1)
    return (
        f"{place}: mean relative gain {mean:.2f} ± {population:.2f} % over {len(gains)} subtypes, unweighted, ± the "
        f"population standard deviation as in the paper (the sample's is {sample:.2f}); no points of accuracy."
    )


def _cells(records: Iterable[Record], methods: tuple[str, str]) -> dict[tuple[Row, str, str], _Cell]:
    """The disagreement of two methods by (model, encoder, variant), data and slice."""
    runs: dict[tuple[Row, str, str], dict[tuple[int, int | None], dict[str, float]]] = {}
    for record in records:
        if (record.method, record.other) == methods:
            place = (record.row, record.data, record.slice)
            runs.setdefault(place, {}).setdefault((record.replicate, record.seed), {})[record.metric] = record.value
    return {
        place: _Cell(Counts(*(float(np.mean([run[name] for run in found.values()])) for name in COUNTS)), found)
        for place, found in runs.items()
    }


def _share_of(index: int) -> Callable[[_Cell], str]:
    def show(cell: _Cell) -> str:
        count = cell.counts[index]
        return f"{count:,.0f} ({100 * count / cell.counts.n:.2f} %)" if cell.counts.n else "0"

    return show


def _points(cell: _Cell) -> str:
    found = _or_none(difference_in_points, cell.counts)
    return "n/a" if found is None else f"{found:+.2f}"


def _mcnemar(cell: _Cell) -> str:
    """The statistic and p of a single run; of several, in how many the test rejects."""
    runs = list(cell.runs.values())
    if len(runs) == 1:
        plain, corrected, p = (runs[0][name] for name in MCNEMAR)
        return f"χ² {plain:.1f} ({corrected:.1f} corrected), p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
    better = [run["only_other"] > run["only_method"] for run in runs]
    rejected = [run["mcnemar_p"] < ALPHA for run in runs]
    for_second = sum(b and r for b, r in zip(better, rejected, strict=True))
    said = f"p < {ALPHA} in {sum(rejected)} of {len(runs)} runs"
    return f"{said}, {for_second} for the second" if any(rejected) else said


def _tidy(row: Row, methods: tuple[str, str], data: str, part: str, cell: _Cell) -> dict[str, Value]:
    place = {**row.setting._asdict(), "data": data, "slice": part}
    found: dict[str, Value] = {**place, "first": methods[0], "second": methods[1]}
    found |= dict(zip(("both", "only_first", "only_second", "neither"), cell.counts, strict=True))
    found |= {"n": cell.counts.n, "difference_points": _or_none(difference_in_points, cell.counts)}
    found |= {
        "relative_gain_percent": _or_none(relative_gain, cell.counts),
        "cohens_g": _or_none(cohens_g, cell.counts),
    }
    rejected = sum(run["mcnemar_p"] < ALPHA for run in cell.runs.values())
    return {**found, "runs": len(cell.runs), "mcnemar_rejects": rejected}


def _notes(cells: Iterable[_Cell]) -> list[str]:
    runs = max((len(cell.runs) for cell in cells), default=0)
    return [f"Mean counts over {runs} runs; McNemar's test run by run is in the records."] if runs > 1 else []


def _or_none(function: Callable[[Counts], float], counts: Counts) -> float | None:
    try:
        return function(counts)
    except Undefined:
        return None
