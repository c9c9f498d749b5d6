"""The tables of ``compare``: the paired differences of two methods, and the texts that only one has right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairl_bench.metrics import Metrics
from fairl_bench.results.compare import Compared, Difference
from fairl_bench.science.ranks import holm
from fairl_bench.tables.disagreement import table2
from fairl_bench.tables.marks import how
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.phrases import listed
from fairl_bench.values.table import Table, Value


def comparison_tables(compared: Compared) -> list[Table]:
    """One table of all differences, second less first, and one of counts for each two methods."""
    counts = [
        table2(counted.records, counted.methods, counted.data)._replace(title=" and ".join(counted.methods))
        for counted in compared.counts
    ]
    return [_differences(compared.differences, compared.metrics), *(table for table in counts if table.rows)]


def _differences(differences: Sequence[Difference], metrics: Metrics) -> Table:
    """A line for each metric, data set and pair of methods."""
    rows = [difference.comparison for difference in differences]
    adjusted = holm([row.p for row in rows])
    several = len({row.row for row in rows}) > 1
    lines = [
        _line(difference, metrics, p, several=several) for difference, p in zip(differences, adjusted, strict=True)
    ]
    tidy = [_tidy(difference, p) for difference, p in zip(differences, adjusted, strict=True)]
    heads = ("model", "encoder", "methods") if several else ()
    first, second = (rows[0].method, rows[0].other) if rows and not several else ("first", "second")
    shown = (*heads, "data", "metric", first, second, "difference", "95 %", "p", "p (Holm)", "d")
    unit = max((row.units, row.unit) for row in rows)[1] or "run"
    notes = [
        f"Difference: second less first, paired; interval and p by {how(rows)}; Holm over all lines; d is Cohen's, the "
        f"mean difference over {unit}s in their standard deviations.",
        *_without_effect(rows),
        *dict.fromkeys(f"{row.data} {row.metric}: {row.note}." for row in rows if row.note),
    ]
    return Table("Comparison", tuple(("", name) for name in shown), tuple(lines), tuple(notes), tuple(tidy))


def _without_effect(rows: Sequence[Comparison]) -> list[str]:
    """The note on differences that are known and have no effect size."""
    without = [row for row in rows if row.units > 1 and math.isfinite(row.value) and math.isnan(row.effect)]
    if not without:
        return []
    places = listed(dict.fromkeys(f"{row.data} {row.metric}" for row in without))
    unit = without[0].unit
    return [f"d is n/a in {places}: a method, or the difference, has the same value in every {unit}, and no spread."]


def _line(difference: Difference, metrics: Metrics, p_holm: float, *, several: bool) -> tuple[str, ...]:
    """The cells of a difference."""
    row, first, second = difference
    # a row is first less second; what is shown is second less first
    gain, low, high = -row.value, -row.high, -row.low
    names = (row.model, row.encoder, f"{row.method} → {row.other}") if several else ()
    interval = "n/a" if math.isnan(low) or math.isnan(high) else f"[{low:+.3f}, {high:+.3f}]"
    numbers = (_number(first), _number(second), _number(gain, "+.3f"), interval, _p(row.p), _p(p_holm))
    return (*names, row.data, metrics[row.metric].head, *numbers, _number(-row.effect, "+.2f"))


def _tidy(difference: Difference, p_holm: float) -> dict[str, Value]:
    """The values of a difference as the files of a table have them."""
    row, first, second = difference
    values: dict[str, Value] = {**row.setting._asdict()}
    values |= {"data": row.data, "truth": row.truth, "metric": row.metric, "first": row.method, "second": row.other}
    values |= {"first_mean": first, "second_mean": second, "difference": -row.value}
    values |= {"low": -row.high, "high": -row.low, "p": row.p, "p_holm": p_holm, "cohens_d": -row.effect}
    return {**values, "units": row.units, "unit": row.unit, "note": row.note}


def _p(p: float) -> str:
    return "n/a" if p != p else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _number(value: float, spec: str = ".3f") -> str:
    """A number as text; n/a where it is not known."""
    return "n/a" if math.isnan(value) else format(value, spec)
