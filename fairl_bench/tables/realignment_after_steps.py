"""Re-alignments after all steps, where each method has paid its own KL."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from fairl_bench.tables.realignment_numbers import (
    SECOND,
    Column,
    Number,
    NumberRecords,
    ends_of,
    group_of,
    heads_of,
    lacking,
    tidy_row,
)
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import GOLD
from fairl_bench.values.realigned import AFTER, steps_of
from fairl_bench.values.records import Record
from fairl_bench.values.references import Methods, count_references, labelled, reference_notes
from fairl_bench.values.rows import Runs, mean_and_spread, named, shown_axes, summary
from fairl_bench.values.table import Table

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


def table_after_steps(
    records_of: NumberRecords, runs: Mapping[Row, Runs], comparisons: Sequence[Comparison], methods: Methods
) -> Table:
    """Everything that is measured of the models after the last step."""
    measured = {number for _, number in records_of}
    columns = [column for column in _STEPS if column.number in measured]
    ends = ends_of(comparisons)
    shown = shown_axes(runs)
    rows, tidy = [], []
    for row in runs:
        texts = []
        for column in columns:
            cell = records_of.get((row, column.number), [])
            before, _ = summary(records_of.get((row, column.number._replace(slice="before")), []))
            texts.append(_after(cell, column, before))
            low, high = ends.get((group_of(row, column.number), row.method), (math.nan, math.nan))
            tidy.append({**tidy_row(row, column, cell, methods), "low": low, "high": high, "before": before})
        rows.append((*labelled(row, shown, methods), *texts))
    steps = {steps_of(cut) for cut in _last(records_of).values()}
    title = f"Realignment after {steps.pop()} steps" if len(steps) == 1 else "Realignment after the last step"
    notes = [
        *_meant(columns),
        *reference_notes(runs, methods),
        *lacking(records_of, runs, columns),
        *_warned(records_of, runs, columns),
    ]
    table = Table(title, heads_of(shown, columns), tuple(rows), tuple(notes), tuple(tidy), name="realignment-steps")
    return table._replace(references=count_references(runs, methods))


def _after(cell: Sequence[Record], column: Column, before: float) -> str:
    """The text of a cell: the mean; of the toxicity rate with its spread and the rate before."""
    mean, spread = summary(cell)
    if column.number.metric == _ALWAYS and column.number.truth == GOLD:
        return (
            f"{before:.3f} → {mean_and_spread(mean, spread)}"
            if math.isfinite(before)
            else mean_and_spread(mean, spread)
        )
    digits = 1 if column.number.metric == "words" else 2
    return "n/a" if math.isnan(mean) else f"{mean:.{digits}f}"


def _last(records_of: NumberRecords) -> dict[Row, str]:
    """The slice of the last look of each row."""
    last: dict[Row, str] = {}
    for row, number in records_of:
        cut = number.slice
        if cut.startswith("step:") and steps_of(cut) >= steps_of(last.get(row, "step:0")):
            last[row] = cut
    return last


def _meant(columns: Sequence[Column]) -> list[str]:
    """The notes on what the heads stand for."""
    metrics = {column.number.metric for column in columns}
    notes = [
        "Not ranked: each method has paid its own KL for this; the same KL is where they compare. ± is the sample "
        "standard deviation over training seeds; means, deviations and intervals of every column are in the CSV file.",
        "Toxicity: rate of toxic samples before → after, mean, expected maximum over a prompt's samples, share of "
        "prompts with any toxic sample. KL: nats a completion, two estimators.",
    ]
    texts = "Texts: perplexity under the base, distinct-2 over a prompt's samples, words, share of empty ones."
    if "agreement" in metrics:
        texts += " Proxy, ρ: Spearman's of the reward and the true one over the completions of the last look."
    return [*notes, texts]


def _warned(records_of: NumberRecords, runs: Mapping[Row, Runs], columns: Sequence[Column]) -> list[str]:
    """The notes on what the perplexity leaves out, and on what refusals are judged by."""
    notes = []
    for row in runs:
        name = " ".join(named(row, shown_axes(runs)))
        along, _ = summary(records_of.get((row, Number(AFTER, GOLD, "agreement_along")), []))
        if along < 0:
            notes.append(f"{name}: over the looks the true reward falls as the proxy rises (ρ {along:.2f}).")
        dropped = [
            record for record in records_of.get((row, Number(AFTER, "", "perplexity_dropped")), []) if record.value > 0
        ]
        if dropped:
            lost, n = int(sum(record.value for record in dropped)), sum(record.n for record in dropped)
            notes.append(f"{name}: the perplexity leaves out {lost} of {n} texts (empty, or above 10,000).")
    metrics = {column.number.metric for column in columns}
    if "perplexity" in metrics and not any("perplexity leaves out" in note for note in notes):
        notes.append("The perplexity leaves out no text.")
    refusals = [
        row.note for (_, number), rows in records_of.items() for row in rows if number.metric == "refusal_correctness"
    ]
    if refusals:
        share = "Refusals, right: the mean of safe prompts answered and unsafe ones refused"
        notes.append(f"{share}; {next(filter(None, refusals), 'by what a text begins with')}.")
    return notes
