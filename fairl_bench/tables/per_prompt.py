"""The note on rewards that are known up to a number for each prompt: what a metric over all texts charges them for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from fairl_bench.metrics import Metrics
from fairl_bench.tables.board import TruthOf
from fairl_bench.values.coordinates import Row
from fairl_bench.values.records import Record
from fairl_bench.values.references import Methods
from fairl_bench.values.rows import Column, summary

WITHIN: Final[Mapping[str, str]] = {"starc": "starc_per_prompt"}
"""By metric over all texts, the same metric within prompts."""


def within_prompts(
    records: Iterable[Record],
    rows: Iterable[Row],
    columns: Sequence[Column],
    truth_of: TruthOf,
    metrics: Metrics,
    methods: Methods,
) -> Iterator[str]:
    """A sentence for each row that is known up to a number a prompt: its numbers within prompts."""
    asked = [column for column in columns if column.metric in WITHIN and column.slice == "all"]
    of = {name for name, facts in methods.items() if facts.per_prompt}
    found: dict[tuple[Row, Column], list[Record]] = {}
    for record in records:
        if record.method in of and record.slice == "all" and not record.other and record.truth == truth_of(record.data):
            found.setdefault((record.row, Column(record.data, "all", record.metric)), []).append(record)
    for row in rows:
        numbers: dict[str, list[str]] = {}
        for column in asked:
            mean, _ = summary(found.get((row, column._replace(metric=WITHIN[column.metric])), []))
            if math.isfinite(mean):
                numbers.setdefault(column.metric, []).append(f"{mean:.3f} on {column.data}")
        for metric, told in numbers.items():
            called = metrics[metric].called
            yield (
                f"{row.method} adds a number of its own to all texts of a prompt, and {called} charges it for that; "
                f"within prompts its {called} is {', '.join(told)}."
            )
