"""Compares the numbers of a run with published ones: reproduced, differs, or not comparable and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_ANY = ""  # stands for whatever model a number is of
_SWAPPED = {"only_method": "only_other", "only_other": "only_method"}


class Measured(NamedTuple):
    """The numbers of a results folder or of a CSV file."""

    records: Sequence[Record]  # of single runs and of two
    comparisons: Sequence[Comparison]
    sheets: ReadSheets
    metrics: Metrics


class Line(NamedTuple):
    """A published number, or the ordering of two, beside what was measured."""

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
    """The lines of every published number of a run, then those of the orderings; coordinates are matched exactly."""
    numbers = [number for number in published.numbers if number.method]
    by_key: dict[RecordKey, list[Record]] = {}
    for row in measured.records:
        for key in _keys(row):
            by_key.setdefault(key, []).append(row)
    lines = [line for number in numbers for line in _values(number, published, by_key)]
    if not any(line.measured for line in lines):
        raise ResultsError(
            f"nothing of {published.name!r} was measured: no method, data, truth and metric are the same; "
            "see 'fairl-bench published FILE' for its coordinates"
        )
    return [*lines, *_orderings(measured, published)]


def _keys(row: Record) -> Iterator[RecordKey]:
    """The keys of a record; of two methods there is one for either order."""
    key = RecordKey(_ANY, row.method, row.other, row.data, row.slice, row.truth, row.metric)
    yield key
    if row.metric in ("both", "neither", *_SWAPPED):
        yield key._replace(method=row.other, other=row.method, metric=_SWAPPED.get(row.metric, row.metric))


def _values(number: Number, published: Published, by_key: Mapping[RecordKey, Sequence[Record]]) -> Iterator[Line]:
    """The lines of a published number, one for each setting in which it was measured."""
    key = record_key(published, number)
    records = by_key.get(key._replace(model=_ANY), ())
    margin = published.margins.get(number.id) or published.margins.get(key.metric)
    printed = _printed(number.value, math.nan if number.sd is None else number.sd, number.digits)
    kind: Literal["value", "exact"] = "exact" if margin and margin.kind == "exact" else "value"
    if not records:
        nothing = ("", math.nan, math.nan, math.nan)
        yield Line(number.id, kind, Setting("", "", ""), printed, *nothing, "not comparable", _lack(key))
    for setting in dict.fromkeys(row.setting for row in records):
        of_setting = [row for row in records if row.setting == setting]
        difference, low, high = _difference(of_setting, number)
        shown = _printed(*summary(of_setting), number.digits)
        line = Line(number.id, kind, setting, printed, shown, difference, low, high, "not comparable", "")
        yield _judged(line, of_setting, number, key, margin, published.encoder)


def _printed(mean: float, sd: float, digits: int) -> str:
    """Mean ± sd with the source's decimals, and one more for a mean of counts.

    >>> _printed(0.747, 0.006, 3), _printed(1001.0, math.nan, 0), _printed(67.7, 23.77, 0)
    ('0.747 ± 0.006', '1,001', '67.7 ± 23.8')
    """
    if math.isnan(mean):
        return "n/a"
    digits += digits == 0 and not mean.is_integer()
    return f"{mean:,.{digits}f}" + ("" if math.isnan(sd) else f" ± {sd:.{digits}f}")


def _lack(key: RecordKey) -> str:
    """The reason of a number that was not measured."""
    methods = key.method + (f" and {key.other}" if key.other else "")
    part = "" if key.slice == "all" else f", {key.slice},"
    return f"no {key.metric} of {methods} on {key.data}{part} against {key.truth!r}"


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
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    run = Summary(float(np.mean(values)), spread, len(values))
    source = Summary(number.value)
    if number.sd is not None and number.runs:
        source = Summary(number.value, number.sd, number.runs)
    try:
        return welch(run, source, EQUIVALENCE)[:3]
    except Undefined:
        return run.mean - number.value, math.nan, math.nan


def _judged(
    line: Line, records: Sequence[Record], number: Number, key: RecordKey, margin: Margin | None, encoder: str
) -> Line:
    """The line with its verdict and the reason."""
    if reason := _other_conditions(line, records[0].n, number, key, encoder):
        return line._replace(why=reason)
    if margin is None:
        return line._replace(why=f"no margin is stated for {key.metric}")
    if math.isnan(line.difference):
        reason = next((row.note for row in records if row.note), "")
        return line._replace(verdict="differs", why=f"undefined: {reason}")
    return _within_margin(line, number, margin)


def _other_conditions(line: Line, n: int, number: Number, key: RecordKey, encoder: str) -> str:
    """A sentence on the condition in which a measured number differs from the published one; empty where none does."""
    model, used = line.setting.model, line.setting.encoder
    if model != key.model:
        return f"other model: {model or 'none named'}, not {key.model or 'none named'}"
    if encoder and used != encoder:
        return f"other encoder: {used or 'none named'}, not {encoder}"
    if number.n is not None and n != number.n:
        return f"other N: {n:,}, not {number.n:,}"
    return ""


def _within_margin(line: Line, number: Number, margin: Margin) -> Line:
    """The line judged by its margin: by its interval, or where it has none or is to be exact by its difference."""
    within = f"± {margin.within:g}"
    # the rounding of float64 alone must not tell a number from itself
    near = margin.within + 1e-12 * max(1.0, abs(number.value))
    if margin.kind == "exact" or math.isnan(line.low):
        inside = abs(line.difference) <= near
        no_interval = "" if margin.kind == "exact" else "; one run: no interval"
        return line._replace(
            verdict="reproduced" if inside else "differs",
            why=f"{'within' if inside else 'beyond'} {within}{no_interval}",
        )
    if -near <= line.low and line.high <= near:
        return line._replace(verdict="reproduced", why=f"its interval is within {within}")
    apart = line.low > near or line.high < -near
    return line._replace(verdict="differs", why=f"its interval {'is beyond' if apart else 'reaches beyond'} {within}")


def _orderings(measured: Measured, published: Published) -> Iterator[Line]:
    """The lines of the published orderings, each paired as in Table 1, on whatever model was measured."""
    single = [row for row in measured.records if not row.other]
    settings = list(dict.fromkeys(row.setting for row in single))
    keys = {ordering.id: _keys_of_ordering(ordering, published) for ordering in published.orderings}
    comparisons = [*measured.comparisons, *_missing_comparisons(keys.values(), single, measured)]
    for ordering in published.orderings:
        better, than = keys[ordering.id]
        metric = measured.metrics[better.metric]
        lines = [
            line
            for setting in settings
            if (line := _ordered(ordering, better, than, setting, comparisons, published, metric))
        ]
        nothing = ("", math.nan, math.nan, math.nan)
        gap = _gap(ordering, published)
        yield from lines or [
            Line(ordering.id, "ordering", Setting("", "", ""), gap, *nothing, "not comparable", _lack(better))
        ]


def _keys_of_ordering(ordering: Ordering, published: Published) -> tuple[RecordKey, RecordKey]:
    """The keys of the better number and of the one that it is better than."""
    better, than = (published.by_id[number_id] for number_id in (ordering.better, ordering.than))
    return record_key(published, better), record_key(published, than)


def _missing_comparisons(
    keys: Iterable[tuple[RecordKey, RecordKey]], records: Sequence[Record], measured: Measured
) -> list[Comparison]:
    """The comparisons that orderings need and that a run has not made, of what it measured."""
    on_record = {(row.method, row.data, row.truth, row.metric) for row in records if row.slice == "all"}
    wanted = [
        (better.method, than.method, better.metric, better.data, better.truth)
        for better, than in keys
        if all((key.method, key.data, key.truth, key.metric) in on_record for key in (better, than))
    ]
    return compared(wanted, measured.sheets, records, measured.comparisons, measured.metrics)


def _ordered(
    ordering: Ordering,
    better: RecordKey,
    than: RecordKey,
    setting: Setting,
    comparisons: Sequence[Comparison],
    published: Published,
    metric: Metric,
) -> Line | None:
    """The line of an ordering in one setting; None where its two methods were not compared there."""
    effect = effect_of(better.method, than.method, metric, (better.data, better.truth), setting, comparisons)
    if effect is None:
        return None
    shown = f"{effect.gain:+.3f}"
    holds = effect.gain > 0 and effect.p <= ALPHA
    reversed_order = effect.gain < 0 and effect.p <= ALPHA
    why = "is better" if holds else "the other is better" if reversed_order else "no difference is shown"
    verdict: Literal["reproduced", "differs"] = "reproduced" if holds else "differs"
    ends = (effect.gain, effect.low, effect.high)
    return Line(ordering.id, "ordering", setting, _gap(ordering, published), shown, *ends, verdict, why)


def _gap(ordering: Ordering, published: Published) -> str:
    """The published difference of an ordering, as it is printed."""
    better, than = (published.by_id[number_id] for number_id in (ordering.better, ordering.than))
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
