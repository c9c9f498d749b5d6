"""How many labels of each data set are known: said beside its numbers wherever some are not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fairl_bench.known import Known, OfValues
from fairl_bench.results.folder import ResultsFolder
from fairl_bench.sheets import Sheet

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
