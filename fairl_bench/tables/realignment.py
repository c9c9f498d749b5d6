"""Re-alignment as tables: at the same KL, where rewards compare, and after all steps, where each paid its own KL."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from fairl_bench.comparison import ALPHA, Comparison
from fairl_bench.coordinates import Group, Row
from fairl_bench.data import GOLD
from fairl_bench.material import Material
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.realigned import AFTER, DATA, budget, placed
from fairl_bench.records import Record
from fairl_bench.rows import Runs, mean_and_spread, named, shown_axes, summary
from fairl_bench.science.ranks import Place, places
from fairl_bench.table import Table, Value
from fairl_bench.tables.marks import APART, as_values, how, marked
from fairl_bench.views import ReportTable

SECOND: Final = "second"


class Number(NamedTuple):
    """What a column of numbers is of."""

    slice: str
    truth: str
    metric: str


class Column(NamedTuple):
    """One column: its numbers, and the two lines of its head."""

    number: Number
    top: str
    head: str


_Found = Mapping[tuple[Row, Number], Sequence[Record]]


class RealignmentTables(ReportTable):
    """Re-alignments: at the same KL by the suite's judge and by a second one, and after all steps."""

    always = True

    def tables(self, material: Material) -> Iterable[Table]:
        """Up to three tables; none where nothing was aligned again."""
        return realignment(material.records, material.rows, material.metrics, material.comparisons).values()


def realignment(
    records: Iterable[Record], runs: Mapping[Row, Runs], metrics: Metrics, comparisons: Sequence[Comparison] = ()
) -> dict[str, Table]:
    """The tables by name: at the same KL by the suite's judge and by a second one, and after all steps.

    Nothing where nothing was aligned again.  ``runs`` says what each row should rest on, in the order of the rows.
    """
    own = [row for row in records if row.dataset == DATA and not row.other]
    if not own:
        return {}
    found = _by_number(own)
    second = any(row.truth == SECOND for row in own)
    made = [_same_kl(found, runs, metrics, comparisons, truth) for truth in ((GOLD, SECOND) if second else (GOLD,))]
    return {table.name: table for table in (*made, _after_steps(found, runs, comparisons))}


def first_places(
    records: Iterable[Record], rows: Sequence[Row], comparisons: Sequence[Comparison], cut: str, metrics: Metrics
) -> frozenset[Row]:
    """The rows of the lowest toxicity rate at a KL, or not distinguishable from it."""
    found = _by_number(row for row in records if row.dataset == DATA and not row.other)
    number = Number(cut, GOLD, "toxicity_rate")
    order = _places(found, dict.fromkeys(rows, Runs(0)), comparisons, number, metrics[number.metric])
    return frozenset(row for row, place in order.items() if place.rank == 1)


def _by_number(records: Iterable[Record]) -> _Found:
    found: dict[tuple[Row, Number], list[Record]] = {}
    for record in records:
        found.setdefault((record.row, Number(record.slice, record.truth, record.metric)), []).append(record)
    return found


# --- at the same KL


def _same_kl(
    found: _Found, runs: Mapping[Row, Runs], metrics: Metrics, comparisons: Sequence[Comparison], truth: str
) -> Table:
    cuts = sorted({number.slice for _, number in found if number.slice.startswith("kl:")}, key=budget)
    columns = [
        Column(Number(cut, truth, metric), f"KL {budget(cut):g}", f"{head} {metrics[metric].arrow}")
        for cut in cuts
        for metric, head in (("toxicity_rate", "toxicity rate"), ("toxicity_area", "area"))
    ]
    ends = {(one.group, one.method): (one.low, one.high) for one in comparisons if not one.other}
    stand = {
        column: _places(found, runs, comparisons, column.number, metrics[column.number.metric]) for column in columns
    }
    first = {column: [row for row, place in mine.items() if place.rank == 1] for column, mine in stand.items()}
    rows, tidy, bold = [], [], set()
    shown = shown_axes(runs)
    for at, row in enumerate(runs):
        texts = []
        for column in columns:
            cell = found.get((row, column.number), [])
            low, high = ends.get((_group(row, column.number), row.method), (math.nan, math.nan))
            place = stand[column].get(row)
            texts.append(_at_kl(cell, column, (low, high), place))
            tidy.append({**_tidy(row, column, cell), "low": low, "high": high, **as_values(place)})
            if first[column] == [row]:
                bold.add((at, len(shown) + len(texts) - 1))
        rows.append((*named(row, shown), *texts))
    notes = [_judged(found, truth), *_lacking(found, runs, columns), *_explained(comparisons, columns, stand)]
    title = "Realignment at the same KL" + (", by the second judge" if truth == SECOND else "")
    name = "realignment-second" if truth == SECOND else "realignment"
    heads = _heads(shown, columns)
    return Table(title, heads, tuple(rows), tuple(notes), tuple(tidy), frozenset(bold), name)


def _at_kl(cell: Sequence[Record], column: Column, ends: tuple[float, float], place: Place | None) -> str:
    mean, _ = summary(cell)
    if math.isnan(mean):
        return "n/a"
    said = f"{mean:.3f}"
    if column.number.metric == "toxicity_rate" and math.isfinite(ends[0]):
        said += f" [{ends[0]:.3f}, {ends[1]:.3f}]"
    return said + marked(place)


def _group(row: Row, number: Number) -> Group:
    """What the number of a row is compared with."""
    return Group.of(row.setting, placed(number.slice), number.truth, number.metric)


def _places(
    found: _Found, runs: Mapping[Row, Runs], comparisons: Sequence[Comparison], number: Number, metric: Metric
) -> dict[Row, Place]:
    """The place of each row among those of its model, encoder and variant; none where nothing was compared."""
    p: dict[tuple[Group, str, str], float] = {}
    for one in comparisons:
        if one.other and not math.isnan(one.p_holm):
            p[one.group, one.method, one.other] = p[one.group, one.other, one.method] = one.p_holm
    groups: dict[Group, list[tuple[Row, float]]] = {}
    for row in runs:
        mean, _ = summary(found.get((row, number), []))
        if not math.isnan(mean):
            groups.setdefault(_group(row, number), []).append((row, mean))
    stand: dict[Row, Place] = {}
    for group, members in groups.items():
        both = {
            (i, j): p[group, one.method, other.method]
            for i, (one, _) in enumerate(members)
            for j, (other, _) in enumerate(members)
            if i < j and (group, one.method, other.method) in p
        }
        if both:
            order = places([mean for _, mean in members], both, ALPHA, higher=metric.better == "higher")
            stand |= {row: place for (row, _), place in zip(members, order, strict=True)}
    return stand


def _judged(found: _Found, truth: str) -> str:
    before = [
        row for (_, number), rows in found.items() for row in rows if number == Number("step:0", truth, "toxicity_rate")
    ]
    from_ = f", {summary(before)[0]:.3f} before the alignment" if before else ""
    return (
        f"Toxicity rate: the share of held-out completions that are toxic by {truth!r}{from_}, where a run's KL from "
        "the base (k3, nats a completion) first reaches the budget, on straight lines between its looks. Area: the "
        "mean of this curve from no KL to the budget."
    )


def _lacking(found: _Found, runs: Mapping[Row, Runs], columns: Sequence[Column]) -> list[str]:
    """What is not known of a row, and why, in as few sentences as there are reasons."""
    notes: dict[str, None] = {}
    for row, expected in runs.items():
        name = " ".join(named(row, shown_axes(runs)))
        cells = [found.get((row, column.number), []) for column in columns]
        if lack := expected.lack(max(map(len, cells), default=0)):
            notes[f"{name}: {lack}."] = None
        for cell, column in zip(cells, columns, strict=True):
            lost = [record for record in cell if math.isnan(record.value)]
            if lost:
                of = f" ({len(lost)} of {len(cell)} {expected.unit})" if len(cell) > 1 else ""
                where = f", {column.top}" if column.number.slice.startswith("kl:") else f", {column.top} {column.head}"
                notes[f"{name}{where}: {lost[0].note}{of}."] = None
    return list(notes)


def _explained(
    comparisons: Sequence[Comparison], columns: Sequence[Column], stand: Mapping[Column, Mapping[Row, Place]]
) -> list[str]:
    """What brackets and marks are, and where all methods are equal."""
    asked = {(placed(column.number.slice), column.number.truth, column.number.metric) for column in columns}
    mine = [one for one in comparisons if (one.data, one.truth, one.metric) in asked]
    if not mine:
        return []
    tested = how(mine, "prompts")
    notes = [f"[ ] is the 95 % interval ({tested})."] if any(math.isfinite(one.low) for one in mine) else []
    if any(stand.values()):
        notes.append(
            "¹ is the best of its column or not shown to differ from it (differences paired over the same prompts "
            f"and runs; Holm over all pairs of methods; α = {ALPHA}); a ¹ that stands alone is better than every other."
        )
    if any(marked(place) == APART for found in stand.values() for place in found.values()):
        notes.append("° is not shown to differ from the best either, but lies below a method that is.")
    equal = [
        f"{c.head[:-2]} at {c.top}"
        for c in columns
        if len(stand[c]) > 1 and {one.rank for one in stand[c].values()} == {1}
    ]
    told = "any column" if len(equal) == len(columns) else ", ".join(equal)
    return [*notes, f"No two methods differ in {told}."] if equal else notes


# --- after all steps

_STEPS: Final = (
    Column(Number(AFTER, GOLD, "toxicity_rate"), "toxicity", "rate"),
    Column(Number(AFTER, GOLD, "toxicity"), "toxicity", "mean"),
    Column(Number(AFTER, GOLD, "expected_maximum_toxicity"), "toxicity", "max"),
    Column(Number(AFTER, GOLD, "toxicity_probability"), "toxicity", "any"),
    Column(Number(AFTER, SECOND, "toxicity_rate"), "second", "rate"),
    Column(Number(AFTER, "", "kl_k1"), "KL", "k1"),
    Column(Number(AFTER, "", "kl_k3"), "KL", "k3"),
    Column(Number(AFTER, "", "perplexity"), "texts", "PPL"),
    Column(Number(AFTER, "", "distinct_2"), "texts", "dist-2"),
    Column(Number(AFTER, "", "words"), "texts", "words"),
    Column(Number(AFTER, "", "empty_rate"), "texts", "empty"),
    Column(Number(AFTER, GOLD, "agreement"), "proxy", "ρ"),
    Column(Number(AFTER, "", "refusal_correctness"), "refusals", "right"),
    Column(Number(AFTER, "", "safe_answered"), "refusals", "answered"),
    Column(Number(AFTER, "", "unsafe_refused"), "refusals", "refused"),
)
_ALWAYS: Final = "toxicity_rate"


def _after_steps(found: _Found, runs: Mapping[Row, Runs], comparisons: Sequence[Comparison]) -> Table:
    known = {number for _, number in found}
    columns = [column for column in _STEPS if column.number in known]
    ends = {(one.group, one.method): (one.low, one.high) for one in comparisons if not one.other}
    shown = shown_axes(runs)
    rows, tidy = [], []
    for row in runs:
        texts = []
        for column in columns:
            cell = found.get((row, column.number), [])
            before, _ = summary(found.get((row, column.number._replace(slice="before")), []))
            texts.append(_after(cell, column, before))
            low, high = ends.get((_group(row, column.number), row.method), (math.nan, math.nan))
            tidy.append({**_tidy(row, column, cell), "low": low, "high": high, "before": before})
        rows.append((*named(row, shown), *texts))
    steps = {int(cut.removeprefix("step:")) for cut in _last(found).values()}
    title = f"Realignment after {steps.pop()} steps" if len(steps) == 1 else "Realignment after the last step"
    notes = [*_meant(columns), *_lacking(found, runs, columns), *_warned(found, runs, columns)]
    return Table(title, _heads(shown, columns), tuple(rows), tuple(notes), tuple(tidy), name="realignment-steps")


def _after(cell: Sequence[Record], column: Column, before: float) -> str:
    mean, spread = summary(cell)
    if column.number.metric == _ALWAYS and column.number.truth == GOLD:
        return (
            f"{before:.3f} → {mean_and_spread(mean, spread)}"
            if math.isfinite(before)
            else mean_and_spread(mean, spread)
        )
    digits = 1 if column.number.metric == "words" else 2
    return "n/a" if math.isnan(mean) else f"{mean:.{digits}f}"


def _last(found: _Found) -> dict[Row, str]:
    """The slice of each row's last look."""
    last: dict[Row, str] = {}
    for row, number in found:
        cut = number.slice
        if cut.startswith("step:") and int(cut[5:]) >= int(last.get(row, "step:0")[5:]):
            last[row] = cut
    return last


def _meant(columns: Sequence[Column]) -> list[str]:
    """What the heads stand for."""
    metrics = {column.number.metric for column in columns}
    said = [
        "Not ranked: each method has paid its own KL for this; the same KL is where they compare. ± is the sample "
        "standard deviation over training seeds; means, deviations and intervals of every column are in the CSV file.",
        "Toxicity: rate of toxic samples before → after, mean, expected maximum over a prompt's samples, share of "
        "prompts with any toxic sample. KL: nats a completion, two estimators.",
    ]
    texts = "Texts: perplexity under the base, distinct-2 over a prompt's samples, words, share of empty ones."
    if "agreement" in metrics:
        texts += " Proxy, ρ: Spearman's of the reward and the true one over the completions of the last look."
    return [*said, texts]


def _warned(found: _Found, runs: Mapping[Row, Runs], columns: Sequence[Column]) -> list[str]:
    """What was left out of the perplexity, and what refusals do not say."""
    notes = []
    for row in runs:
        name = " ".join(named(row, shown_axes(runs)))
        along, _ = summary(found.get((row, Number(AFTER, GOLD, "agreement_along")), []))
        if along < 0:
            notes.append(f"{name}: over the looks the true reward falls as the proxy rises (ρ {along:.2f}).")
        dropped = [one for one in found.get((row, Number(AFTER, "", "perplexity_dropped")), []) if one.value > 0]
        if dropped:
            lost, n = int(sum(one.value for one in dropped)), sum(one.n for one in dropped)
            notes.append(f"{name}: the perplexity leaves out {lost} of {n} texts (empty, or above 10,000).")
    metrics = {column.number.metric for column in columns}
    if "perplexity" in metrics and not any("perplexity leaves out" in note for note in notes):
        notes.append("The perplexity leaves out no text.")
    refusals = [
        row.note for (_, number), rows in found.items() for row in rows if number.metric == "refusal_correctness"
    ]
    if refusals:
        share = "Refusals, right: the mean of safe prompts answered and unsafe ones refused"
        notes.append(f"{share}; {next(filter(None, refusals), 'by what a text begins with')}.")
    return notes


# --- both


def _heads(shown: Sequence[str], columns: Sequence[Column]) -> tuple[tuple[str, ...], ...]:
    return tuple([("", axis) for axis in shown] + [(column.top, column.head) for column in columns])


def _tidy(row: Row, column: Column, cell: Sequence[Record]) -> dict[str, Value]:
    mean, sd = summary(cell)
    return {**row._asdict(), "data": DATA, **column.number._asdict(), "mean": mean, "sd": sd, "runs": len(cell)}
