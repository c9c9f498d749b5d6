"""Holds the numbers of a run against published ones: reproduced, differs, or not comparable and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from fairl_bench.errors import ResultsError, Undefined
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.results.claims import ReadSheets, compared, effect_of
from fairl_bench.results.evaluate import Class, evaluate
from fairl_bench.results.published import Margin, Number, Ordering, Published, RecordKey, record_key
from fairl_bench.results.results import read_results
from fairl_bench.science.intervals import Summary, welch
from fairl_bench.values.comparison import ALPHA, Comparison
from fairl_bench.values.coordinates import Setting
from fairl_bench.values.records import Record
from fairl_bench.values.rows import summary

EQUIVALENCE = 0.9  # two one-sided tests at 5 % are this interval within the margin (Schuirmann 1987)
_ANY = ""  # a number is looked for whatever its model
_SWAPPED = {"only_method": "only_other", "only_other": "only_method"}


class Measured(NamedTuple):
    """The numbers of a results folder or of a CSV file."""

    records: Sequence[Record]  # of single runs and of two
    comparisons: Sequence[Comparison]
    sheets: ReadSheets
    metrics: Metrics


class Line(NamedTuple):
    """One published number, or ordering of two, beside what was measured."""

    id: str
    kind: Literal["value", "exact", "ordering"]
    setting: Setting
    published: str
    measured: str
    difference: float
    low: float
    high: float
    verdict: Literal["reproduced", "differs", "not comparable"]
    why: str


def measured(
    path: Path, truth: Path | None = None, *, threshold: float | None = None, positive: Class = "good"
) -> Measured:
    """The numbers of a results folder, or of a CSV file as `evaluate` takes it."""
    if path.is_file():
        scored = evaluate(path, truth, threshold=threshold, positive=positive)
        return Measured(scored.records, scored.comparisons, scored.sheets, scored.metrics)
    results = read_results(path)
    return Measured(results.records, results.comparisons, results.sheets_as_filed, results.metrics)


def regress(measured: Measured, published: Published) -> list[Line]:
    """Every number of a run that the file has, then its orderings; coordinates are matched exactly."""
    known = [number for number in published.numbers if number.method]
    by_place: dict[RecordKey, list[Record]] = {}
    for row in measured.records:
        for place in _places(row):
            by_place.setdefault(place, []).append(row)
    lines = [line for number in known for line in _values(number, published, by_place)]
    if not any(line.measured for line in lines):
        raise ResultsError(
            f"nothing of {published.name!r} was measured: no method, data, truth and metric are the same; "
            "see 'fairl-bench published FILE' for its coordinates"
        )
    return [*lines, *_orderings(measured, published)]


def _places(row: Record) -> Iterator[RecordKey]:
    """Where a record is looked for; of two methods, in either order."""
    place = RecordKey(_ANY, row.method, row.other, row.data, row.slice, row.truth, row.metric)
    yield place
    if row.metric in ("both", "neither", *_SWAPPED):
        yield place._replace(method=row.other, other=row.method, metric=_SWAPPED.get(row.metric, row.metric))


def _values(number: Number, published: Published, by_place: Mapping[RecordKey, Sequence[Record]]) -> Iterator[Line]:
    place = record_key(published, number)
    records = by_place.get(place._replace(model=_ANY), ())
    margin = published.margins.get(number.id) or published.margins.get(place.metric)
    printed = _printed(number.value, math.nan if number.sd is None else number.sd, number.digits)
    kind: Literal["value", "exact"] = "exact" if margin and margin.kind == "exact" else "value"
    if not records:
        nothing = ("", math.nan, math.nan, math.nan)
        yield Line(number.id, kind, Setting("", "", ""), printed, *nothing, "not comparable", _lack(place))
    for setting in dict.fromkeys(row.setting for row in records):
        mine = [row for row in records if row.setting == setting]
        difference, low, high = _difference(mine, number)
        shown = _printed(*summary(mine), number.digits)
        line = Line(number.id, kind, setting, printed, shown, difference, low, high, "not comparable", "")
        yield _judged(line, mine, number, place, margin, published.encoder)


def _printed(mean: float, sd: float, digits: int) -> str:
    """Mean ± sd with the source's decimals, and one more for a mean of counts.

    >>> _printed(0.747, 0.006, 3), _printed(1001.0, math.nan, 0), _printed(67.7, 23.77, 0)
    ('0.747 ± 0.006', '1,001', '67.7 ± 23.8')
    """
    if math.isnan(mean):
        return "n/a"
    digits += digits == 0 and not mean.is_integer()
    return f"{mean:,.{digits}f}" + ("" if math.isnan(sd) else f" ± {sd:.{digits}f}")


def _lack(place: RecordKey) -> str:
    who = place.method + (f" and {place.other}" if place.other else "")
    part = "" if place.slice == "all" else f", {place.slice},"
    return f"no {place.metric} of {who} on {place.data}{part} against {place.truth!r}"


def _units(records: Sequence[Record]) -> list[float]:
    """The values of runs; of several replicates, their means."""
    worlds: dict[int, list[float]] = {}
    for row in records:
        worlds.setdefault(row.replicate, []).append(row.value)
    if len(worlds) > 1:
        return [float(np.mean(values)) for values in worlds.values()]
    return [row.value for row in records]


def _difference(records: Sequence[Record], number: Number) -> tuple[float, float, float]:
    """Measured less published, with its interval; without one where neither side has a spread."""
    values = _units(records)
    if any(map(math.isnan, values)):
        return math.nan, math.nan, math.nan
    mine = Summary(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, len(values))
    theirs = Summary(number.value)
    if number.sd is not None and number.runs:
        theirs = Summary(number.value, number.sd, number.runs)
    try:
        return welch(mine, theirs, EQUIVALENCE)[:3]
    except Undefined:
        return mine.mean - number.value, math.nan, math.nan


def _judged(
    line: Line, records: Sequence[Record], number: Number, place: RecordKey, margin: Margin | None, encoder: str
) -> Line:
    model, used, n = line.setting.model, line.setting.encoder, records[0].n
    if model != place.model:
        return line._replace(why=f"other model: {model or 'none named'}, not {place.model or 'none named'}")
    if encoder and used != encoder:
        return line._replace(why=f"other encoder: {used or 'none named'}, not {encoder}")
    if number.n is not None and n != number.n:
        return line._replace(why=f"other N: {n:,}, not {number.n:,}")
    if margin is None:
        return line._replace(why=f"no margin is stated for {place.metric}")
    if math.isnan(line.difference):
        reason = next((row.note for row in records if row.note), "")
        return line._replace(verdict="differs", why=f"undefined: {reason}")
    within = f"± {margin.within:g}"
    # the rounding of float64 alone must not tell a number from itself
    near = margin.within + 1e-12 * max(1.0, abs(number.value))
    if margin.kind == "exact" or math.isnan(line.low):
        inside = abs(line.difference) <= near
        alone = "" if margin.kind == "exact" else "; one run: no interval"
        return line._replace(
            verdict="reproduced" if inside else "differs", why=f"{'within' if inside else 'beyond'} {within}{alone}"
        )
    if -near <= line.low and line.high <= near:
        return line._replace(verdict="reproduced", why=f"its interval is within {within}")
    apart = line.low > near or line.high < -near
    return line._replace(verdict="differs", why=f"its interval {'is beyond' if apart else 'reaches beyond'} {within}")


def _orderings(measured: Measured, published: Published) -> Iterator[Line]:
    """Whether what is said to be better is better still, paired as in Table 1, on whatever model was measured."""
    single = [row for row in measured.records if not row.other]
    settings = list(dict.fromkeys(row.setting for row in single))
    there = {(row.method, row.data, row.truth, row.metric) for row in single if row.slice == "all"}
    places = {}
    for ordering in published.orderings:
        better, than = (record_key(published, published.by_id[one]) for one in (ordering.better, ordering.than))
        places[ordering.id] = better, than
    wanted = [
        (better.method, than.method, better.metric, better.data, better.truth)
        for better, than in places.values()
        if all((one.method, one.data, one.truth, one.metric) in there for one in (better, than))
    ]
    known = [*measured.comparisons, *compared(wanted, measured.sheets, single, measured.comparisons, measured.metrics)]
    for ordering in published.orderings:
        better, than = places[ordering.id]
        lines = [
            line
            for one in settings
            if (line := _ordered(ordering, better, than, one, known, published, measured.metrics[better.metric]))
        ]
        nothing = ("", math.nan, math.nan, math.nan)
        gap = _gap(ordering, published)
        yield from lines or [
            Line(ordering.id, "ordering", Setting("", "", ""), gap, *nothing, "not comparable", _lack(better))
        ]


def _ordered(
    ordering: Ordering,
    better: RecordKey,
    than: RecordKey,
    setting: Setting,
    known: Sequence[Comparison],
    published: Published,
    metric: Metric,
) -> Line | None:
    effect = effect_of(better.method, than.method, metric, (better.data, better.truth), setting, known)
    if effect is None:
        return None
    shown = f"{effect.gain:+.3f}"
    holds = effect.gain > 0 and effect.p <= ALPHA
    other = effect.gain < 0 and effect.p <= ALPHA
    why = "is better" if holds else "the other is better" if other else "no difference is shown"
    verdict: Literal["reproduced", "differs"] = "reproduced" if holds else "differs"
    ends = (effect.gain, effect.low, effect.high)
    return Line(ordering.id, "ordering", setting, _gap(ordering, published), shown, *ends, verdict, why)


def _gap(ordering: Ordering, published: Published) -> str:
    better, than = (published.by_id[one] for one in (ordering.better, ordering.than))
    return f"{abs(better.value - than.value):+.3f}"


def renewed(lines: Sequence[Line], path: Path, published: Published) -> str:
    """The file's text with every exact value replaced by the one measured; comments and order stay.

    Raises `ResultsError` where a number was not measured: a renewal leaves none behind.
    """
    import io

    from ruamel.yaml import YAML

    new: dict[str, float] = {}
    for line in lines:
        if line.kind == "exact":
            if math.isnan(line.difference):
                raise ResultsError(f"{path}: number {line.id!r} cannot be renewed: {line.why or 'it is undefined'}")
            new[line.id] = published.by_id[line.id].value + line.difference
    yaml = YAML()
    yaml.width = 1000
    content = yaml.load(path.read_text(encoding="utf-8"))
    if "numbers" not in content:
        raise ResultsError(f"{path} extends the file that has its numbers; renew that one")
    for number in content["numbers"]:
        if number["id"] in new:
            number["value"] = float(f"{new[number['id']]:.9g}")
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()
