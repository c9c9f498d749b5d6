"""How many labels of each data set are known: said beside its numbers wherever some are not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fairl_bench.known import Known, OfValues
from fairl_bench.results.folder import ResultsFolder
from fairl_bench.sheets import Sheet
from fairl_bench.table import Table

if TYPE_CHECKING:
    import pyarrow as pa


def known_of(sheets: Iterable[Sheet]) -> Known:
    """What is known of the examples of sheets."""
    found: dict[tuple[str, str], set[tuple[int, int]]] = {}
    labelled = set[tuple[str, str]]()
    for sheet in sheets:
        for name, truth in sheet.examples.truths.items():
            found.setdefault((sheet.data, name), set()).add((int(truth.known().sum()), len(truth.label)))
            labelled |= {(sheet.data, name)} if truth.label.any() else set()
    return {place: (frozenset if place in labelled else OfValues)(counts) for place, counts in found.items()}


def read_known(files: ResultsFolder) -> Known:
    """What is known of the examples of a results folder.  Raises `ResultsError` where a file is missing or broken."""
    found: dict[tuple[str, str], set[tuple[int, int]]] = {}
    alone = set[tuple[str, str]]()
    for place in files.names("truths"):
        truths = files.table(place)
        if 0 not in truths["label"].unique().to_pylist():
            continue
        of: dict[str, set[int]] = {}
        examples = files.table(place.replace("truths", "examples", 1))
        for dataset, split, number in zip(
            *(examples[name].to_pylist() for name in ("dataset", "split", "example")), strict=True
        ):
            of.setdefault(f"{dataset}/{split}" if split else dataset, set()).add(number)
        told: dict[tuple[str, str], set[int]] = {}
        numbers_alone = _without_labels(truths)
        alone |= numbers_alone
        for dataset, number, truth, value, label in zip(
            *(truths[name].to_pylist() for name in ("dataset", "example", "truth", "value", "label")), strict=True
        ):
            mine = told.setdefault((dataset, truth), set())
            if label or ((dataset, truth) in numbers_alone and math.isfinite(value)):
                mine.add(number)
        for (dataset, truth), numbers in told.items():
            for data, whole in of.items():
                if data.partition("/")[0] == dataset:
                    found.setdefault((data, truth), set()).add((len(numbers & whole), len(whole)))
    return {
        (data, truth): (OfValues if (data.partition("/")[0], truth) in alone else frozenset)(counts)
        for (data, truth), counts in found.items()
    }


def _without_labels(truths: pa.Table) -> set[tuple[str, str]]:
    """The truths of a file, by data set, that have no label."""
    rows = list(zip(*(truths[name].to_pylist() for name in ("dataset", "truth", "label")), strict=True))
    return {(dataset, truth) for dataset, truth, _ in rows} - {(dataset, truth) for dataset, truth, on in rows if on}


def with_known(table: Table, known: Known, truth_of: Callable[[str], str], data: Iterable[str]) -> Table:
    """The table with ``n of N known`` beside each data set that has unknown labels, and a note for each."""
    said = {name: _said(known.get((name, truth_of(name)), frozenset())) for name in data}
    said = {name: text for name, text in said.items() if text}
    if not said:
        return table

    def beside(text: str) -> str:
        return f"{text} ({said[text]} known)" if text in said else text

    heads = tuple((beside(head[0]), *head[1:]) for head in table.heads)
    at = next((i for i, head in enumerate(table.heads) if head == ("", "data")), None)
    rows = tuple(
        tuple(beside(cell) if i == at else cell for i, cell in enumerate(row)) if at is not None else row
        for row in table.rows
    )
    notes = [
        f"{name}: {text} {_what(known[name, truth])} of the truth {truth!r} are known; its numbers are of these alone."
        for name, text in said.items()
        for truth in [truth_of(name)]
    ]
    return table._replace(heads=heads, rows=rows, notes=(*table.notes, *notes))


def _what(counts: frozenset[tuple[int, int]]) -> str:
    return "values" if isinstance(counts, OfValues) else "labels"


def _said(counts: frozenset[tuple[int, int]]) -> str:
    """``10 of 40``, of several the least and the most; empty where all are known."""
    if all(n == whole for n, whole in counts):
        return ""
    least, most = min(counts), max(counts)
    if len(counts) == 1:
        return f"{least[0]:,} of {least[1]:,}"
    return f"{least[0]:,} of {least[1]:,} to {most[0]:,} of {most[1]:,}"
