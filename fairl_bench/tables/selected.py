"""Finds out whether the epochs of all rows of a table were selected by one rule."""

from __future__ import annotations

from collections.abc import Iterable

from fairl_bench.values.coordinates import Row, Setting
from fairl_bench.values.records import Record

_METRIC = "admissible_from"


def selected_differently(records: Iterable[Record], rows: Iterable[Row]) -> list[str]:
    """The sentence that a table starts its notes with where its rows could not keep the same epochs; else none.

    Only rows of one model, encoder and variant are meant to be compared; a method without epochs selects nothing.
    """
    first: dict[Row, set[int]] = {}
    wanted = set(rows)
    for record in records:
        if record.metric == _METRIC and (row := record.row) in wanted:
            first.setdefault(row, set()).add(int(record.value))
    groups: dict[Setting, set[frozenset[int]]] = {}
    for row, epochs in first.items():
        groups.setdefault(row.setting, set()).add(frozenset(epochs))
    if all(len(group) == 1 for group in groups.values()):
        return []
    methods: dict[str, dict[str, None]] = {}
    for row, epochs in first.items():
        methods.setdefault(" or ".join(map(_epoch, sorted(epochs))), {})[row.method] = None
    each = "; ".join(f"{epochs_text} for {', '.join(of)}" for epochs_text, of in methods.items())
    return [
        "Rows were selected differently ('training.stop.admissible') and may differ for this reason alone: the first "
        f"epoch that could be kept was {each}."
    ]


def _epoch(epoch: int) -> str:
    """The words for the first epoch that could be kept; 0 stands for none."""
    return str(epoch) if epoch else "none, so that the last was kept,"
