"""Counts the examples of each data set whose label is known."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from fairl_bench.results.folder import EXAMPLES, TRUTHS, ResultsFolder
from fairl_bench.values.known import Known, KnownByData
from fairl_bench.values.sheets import Sheet

if TYPE_CHECKING:
    import pyarrow as pa


def known_of(sheets: Iterable[Sheet]) -> KnownByData:
    """What is known of the examples of sheets."""
    counts_of: dict[tuple[str, str], set[tuple[int, int]]] = {}
    labelled = set[tuple[str, str]]()
    for sheet in sheets:
        for name, truth in sheet.examples.truths.items():
            counts_of.setdefault((sheet.data, name), set()).add((int(truth.known().sum()), len(truth.label)))
            labelled |= {(sheet.data, name)} if truth.label.any() else set()
    return {
        place: frozenset(Known(known, whole, place not in labelled) for known, whole in counts)
        for place, counts in counts_of.items()
    }


def read_known(files: ResultsFolder) -> KnownByData:
    """What is known of the examples of a results folder.  Raises `ResultsError` where a file is missing or broken."""
    counts: dict[tuple[str, str], set[tuple[int, int]]] = {}
    of_values = set[tuple[str, str]]()
    for name in files.names(TRUTHS):
        truths = files.table(name)
        if 0 in truths["label"].unique().to_pylist():  # else all are known
            examples = _examples_by_data(files.table(f"{EXAMPLES}/{PurePosixPath(name).name}"))
            without_labels = _without_labels(truths)
            of_values |= without_labels
            for (dataset, truth), numbers in _known_by_truth(truths, without_labels).items():
                for data, whole in examples.items():
                    if data.partition("/")[0] == dataset:
                        counts.setdefault((data, truth), set()).add((len(numbers & whole), len(whole)))
    return {
        (data, truth): frozenset(
            Known(known, whole, (data.partition("/")[0], truth) in of_values) for known, whole in of_place
        )
        for (data, truth), of_place in counts.items()
    }


def _rows(table: pa.Table, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The values of these columns, row by row."""
    return zip(*(table[name].to_pylist() for name in columns), strict=True)


def _examples_by_data(examples: pa.Table) -> dict[str, set[int]]:
    """The numbers of the examples of each data set."""
    numbers: dict[str, set[int]] = {}
    for dataset, split, number in _rows(examples, "dataset", "split", "example"):
        numbers.setdefault(f"{dataset}/{split}" if split else dataset, set()).add(number)
    return numbers


def _known_by_truth(truths: pa.Table, without_labels: Container[tuple[str, str]]) -> dict[tuple[str, str], set[int]]:
    """The numbers of the examples that each truth of a data set knows."""
    numbers_of: dict[tuple[str, str], set[int]] = {}
    for dataset, number, truth, value, label in _rows(truths, "dataset", "example", "truth", "value", "label"):
        numbers = numbers_of.setdefault((dataset, truth), set())
        if label or ((dataset, truth) in without_labels and math.isfinite(value)):
            numbers.add(number)
    return numbers_of


def _without_labels(truths: pa.Table) -> set[tuple[str, str]]:
    """The truths of a file, by data set, that have no label."""
    rows = list(_rows(truths, "dataset", "truth", "label"))
    with_labels = {(dataset, truth) for dataset, truth, label in rows if label}
    return {(dataset, truth) for dataset, truth, _ in rows} - with_labels
