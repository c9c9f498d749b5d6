"""The table of what a reward is about: the share of each concept, and its verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.material import Material
from fairl_bench.results.share_texts import percent_end
from fairl_bench.science.concepts import Interval, leaning, verdict
from fairl_bench.science.detectable import NAMED_FROM
from fairl_bench.tables.notes import explained
from fairl_bench.values.contents import ALONE, AUC, BESIDE, CONCEPT, DETECTABLE, ENDS, REST, SHARE, SLOPE
from fairl_bench.values.coordinates import Row
from fairl_bench.values.records import Record
from fairl_bench.values.references import labelled, references_first
from fairl_bench.values.rows import shown_axes
from fairl_bench.values.table import Table, Value
from fairl_bench.views import ReportTable


class AttributionTable(ReportTable):
    """What each reward is about: how much of its variance within prompts every concept explains."""

    data: tuple[str, ...] = Field(("pairs/test",), min_length=1)
    methods: tuple[str, ...] = Field((), description="the rows whose rewards are explained; none: all")

    def tables(self, material: Material) -> Iterator[Table]:
        """One table a data set."""
        for data in self.data:
            table = attribution(material, data, self.methods)
            if table.rows:
                yield explained(table, material, lambda _: "", (data,))

    def datasets(self) -> Sequence[str]:
        """The data of its tables."""
        return self.data

    def shown_methods(self) -> Sequence[str]:
        """The methods whose rewards it reads."""
        return self.methods

    def truth_of(self, data: str) -> str:
        """No truth: a reward is held against concepts."""
        return ""

    def measures(self) -> Sequence[str]:
        """The share that is left, which every attribution measures."""
        return (REST,)


class Said(NamedTuple):
    """A number with its interval, as the mean over runs; NaN where it is not known."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "n/a" if math.isnan(self.value) else f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def percent(self) -> str:
        """The number as a share, with its interval.

        >>> Said(0.25, 0.1, 0.4).percent()
        '25 % [10, 40]'
        """
        ends = "" if math.isnan(self.value) else f" [{percent_end(self.low)}, {percent_end(self.high)}]"
        return f"{_percent(self.value)}{ends}"


def _percent(share: float) -> str:
    return "n/a" if math.isnan(share) else f"{round(100 * share)} %"


def attribution(material: Material, data: str, methods: Sequence[str] = ()) -> Table:
    """A row for each reward and concept, the greatest share first, and one for what is left; empty without records."""
    records = [record for record in material.records if record.data == data and record.slice == "all"]
    numbers = _numbers(records)
    runs = references_first(material.rows, material.run.methods)
    rows = [row for row in runs if (row, "", REST) in numbers and (not methods or row.method in methods)]
    shown = shown_axes(dict.fromkeys(rows))
    texts, tidy, several = [], [], False
    for row in rows:
        names = labelled(row, shown, material.run.methods)
        concepts = sorted(
            {truth for of, truth, _ in numbers if of == row and truth.startswith(CONCEPT)},
            key=lambda truth: (-_sized(numbers.get((row, truth, SHARE), _UNKNOWN)), truth),
        )
        leans = _leaning(numbers, row, concepts)
        several = several or len({(one.replicate, one.seed) for one in records if one.row == row}) > 1
        for truth in concepts:
            said = {name: numbers.get((row, truth, metric), _UNKNOWN) for name, metric in _NUMBERS.items()}
            share, judged = said["share"], _judged(said["share"], leans=truth in leans)
            name = truth.removeprefix(CONCEPT)
            apart = f"{_percent(said['alone'].value)}, {_percent(said['beside'].value)}"
            texts.append((*names, name, share.percent(), judged, apart, str(said["auc"]), str(said["slope"])))
            tidy.append(_tidy(row, data, name, judged, said))
        rest = numbers[row, "", REST]
        texts.append((*names, "unexplained", rest.percent(), "", "", "", ""))
        tidy.append(_tidy(row, data, "unexplained", "", {"share": rest}))
    heads = [*(("", axis) for axis in shown), *(("", head) for head in _HEADS)]
    notes = tuple(_notes(records, data, several=several)) if rows else ()
    return Table(f"What rewards are about, {data}", tuple(heads), tuple(texts), notes, tuple(tidy), name=_file(data))


def _sized(share: Said) -> float:
    """A share for sorting; one that is not known comes last."""
    return -math.inf if math.isnan(share.value) else share.value


_HEADS: Final = (
    "concept", "share of the reward", "verdict", "alone, beside others", "more in preferred", "slope"
)  # fmt: skip
_NUMBERS: Final = {"share": SHARE, "auc": AUC, "slope": SLOPE, "alone": ALONE, "beside": BESIDE}
_UNKNOWN: Final = Said(math.nan, math.nan, math.nan)


def _judged(share: Said, *, leans: bool) -> str:
    if math.isnan(share.value):
        return "n/a"
    return "cannot tell" if leans else verdict(Interval(*share))


def _leaning(numbers: Mapping[tuple[Row, str, str], Said], row: Row, truths: Sequence[str]) -> set[str]:
    """The truths of the concepts that would be named by their share, but add nothing to the others."""
    both = {truth: [numbers.get((row, truth, metric), _UNKNOWN) for metric in (SHARE, BESIDE)] for truth in truths}
    return leaning({truth: (Interval(*share), Interval(*beside)) for truth, (share, beside) in both.items()})


def _file(data: str) -> str:
    return f"attribution-{data.replace('/', '-')}"


def _numbers(records: Iterable[Record]) -> Mapping[tuple[Row, str, str], Said]:
    """By row, truth and metric, the mean over runs of a number and of its interval's ends; only where all know it."""
    values: dict[tuple[Row, str, str], list[float]] = {}
    for record in records:
        if not record.other:
            values.setdefault((record.row, record.truth, record.metric), []).append(record.value)
    means = {key: float(np.mean(each)) for key, each in values.items()}
    return {
        (row, truth, metric): Said(mean, means[row, truth, f"{metric}_low"], means[row, truth, f"{metric}_high"])
        for (row, truth, metric), mean in means.items()
        if metric in (*_NUMBERS.values(), REST) and (row, truth, f"{metric}_low") in means
    }


def _tidy(row: Row, data: str, concept: str, verdict: str, said: Mapping[str, Said]) -> dict[str, Value]:
    return {
        **row._asdict(),
        "data": data,
        "concept": concept,
        "verdict": verdict,
        **{
            f"{name}{end}": value
            for name in _NUMBERS
            for end, value in zip(ENDS, said.get(name, _UNKNOWN), strict=True)
        },
    }


def _notes(records: Sequence[Record], data: str, *, several: bool) -> Iterator[str]:
    yield (
        "Share: of the reward's variance within prompts, by Shapley values of a regression that is fitted on one half "
        "of the prompts and measured on the other; with the unexplained rest, shares sum to one."
    )
    yield (
        f"Named: the lower bound of the share is at least {round(100 * NAMED_FROM)} %, and it is shown to add "
        "something to all others where another one is; ruled out: the upper bound is below that. The bounds of one "
        "reward hold for all of its concepts at once (95 %, max-t over prompts)."
    )
    yield (
        "Alone, beside others: the share that it explains as the only concept, and what it adds to all others. More in "
        "preferred: how often the preferred text of a pair has more of it, ties as half. Slope: the change of the "
        "reward a standard deviation of the concept, beside all others. [ ] is the 95 % interval."
    )
    yield from _detectable(records)
    if several:
        yield "Numbers and ends of intervals are means over the runs, so that the intervals are those of one run."
    yield from dict.fromkeys(
        f"{record.method}, {record.truth.removeprefix(CONCEPT)}: {record.note}."
        for record in records
        if record.truth.startswith(CONCEPT) and record.metric == SHARE and record.note
    )


def _detectable(records: Sequence[Record]) -> Iterator[str]:
    """What half of the concepts would have been named with, from the reward where that is least."""
    shares = [record.value for record in records if record.metric == DETECTABLE and not record.truth]
    known = sorted({round(100 * share) for share in shares if not math.isnan(share)})
    if known:
        span = f"{known[0]} %" if len(known) == 1 else f"{known[0]} to {known[-1]} %, by reward,"
        yield f"With a share of {span} half of the concepts would have been named four times in five."
