"""Notes on numbers that rest on labels: which class they are of, and where the larger class alone decides them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from fairl_bench.material import Material
from fairl_bench.results.evaluator_rules import positive_classes
from fairl_bench.tables.board import TruthOf, cells
from fairl_bench.values.coordinates import World
from fairl_bench.values.data import DISCORDANT
from fairl_bench.values.phrases import listed
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Column

_OF_A_CLASS: Final = {"f1": "F1", "average_precision": "average precision"}
_OF_CALLS: Final = ("accuracy", "balanced_accuracy", "f1")  # what follows from which texts a run calls good


def classes(suite: str, columns: Sequence[Column], truth_of: TruthOf) -> Iterator[str]:
    """The note on the class that F1 and average precision are of; none for an F1 of the good texts alone.

    ``suite`` is the text of ``suite.yaml``, empty where there is no suite.
    """
    metrics = [name for name in _OF_A_CLASS if any(column.metric == name for column in columns)]
    positive = positive_classes(suite) if metrics else {}
    places: dict[str, dict[str, None]] = {}
    for column in columns:
        if column.metric in metrics and (of := positive.get((column.data, truth_of(column.data)))):
            places.setdefault(of, {})[column.place] = None
    if "bad" in places or (places and metrics != ["f1"]):
        numbers = " and ".join(_OF_A_CLASS[name] for name in metrics)
        sides = "; ".join(f"of the {of} texts on {', '.join(names)}" for of, names in places.items())
        yield f"{numbers[0].upper()}{numbers[1:]}: {sides}."


def one_call(material: Material, columns: Sequence[Column], truth_of: TruthOf) -> Iterator[str]:
    """The note on the data and slices of which every method calls every text the same, be it good or bad."""
    numbers = cells(material.records, truth_of)
    places: dict[str, list[str]] = {}
    for place in dict.fromkeys(column._replace(metric="") for column in columns if column.metric in _OF_CALLS):
        records = [
            record
            for metric in _OF_CALLS
            for row in material.rows
            if row.method not in material.references
            for record in numbers.get((row, place._replace(metric=metric)), ())
        ]
        if _all_alike(records):
            accuracies = [record for record in records if record.metric == "accuracy"]
            call, share = _call(material, place, truth_of(place.data), accuracies)
            places.setdefault(call, []).append(f"{place.place}{share}")
    shown = dict.fromkeys(material.metrics[column.metric].called for column in columns if column.metric in _OF_CALLS)
    for call, where in places.items():
        yield (
            f"Every method calls every text {call} on {listed(where)}, so that {listed(list(shown))} "
            f"{'tell' if len(shown) > 1 else 'tells'} no two methods apart there. Read AUC and average precision, or "
            "choose the threshold with 'maximise: balanced' and read balanced accuracy."
        )


def _all_alike(records: Iterable[Record]) -> bool:
    """Whether each run calls all texts the same, by its accuracy, balanced accuracy and F1."""
    runs: dict[object, dict[str, float]] = {}
    for record in records:
        runs.setdefault((record.world, record.run), {})[record.metric] = record.value
    return bool(runs) and all(_alike(*(run.get(metric, math.nan) for metric in _OF_CALLS)) for run in runs.values())


def _alike(accuracy: float, balanced: float, f1: float) -> bool:
    """Whether a run with these numbers calls all texts the same.

    Then one class is all right and the other all wrong, and the class of F1 is either called everywhere or nowhere.

    >>> _alike(0.883, 0.5, 2 * 0.883 / 1.883), _alike(0.117, 0.5, 0.0), _alike(0.883, 0.5, 0.9)
    (True, True, False)
    """
    return balanced == 0.5 and (f1 == 0 or math.isclose(f1, 2 * accuracy / (1 + accuracy), rel_tol=1e-9))


def _call(material: Material, place: Column, truth: str, accuracies: Sequence[Record]) -> tuple[str, str]:
    """What runs of these accuracies call all texts, and how many are that: ``good`` and `` (88 % are)``."""
    share_of = _shares_of_good(material, place, truth)
    sides = {math.isclose(record.value, share_of.get(record.world, math.nan)) for record in accuracies}
    if not share_of or len(sides) > 1:
        return "the same", ""
    (good,) = sides
    shares = sorted(round(100 * (share if good else 1 - share)) for share in share_of.values())
    least, most = f"{shares[0]} %", f"{shares[-1]} %"
    return "good" if good else "bad", f" ({least if least == most else f'{shares[0]} to {most}'} are)"


def _shares_of_good(material: Material, place: Column, truth: str) -> dict[World, float]:
    """The share of good texts among those with a label, by world."""
    shares: dict[World, float] = {}
    for sheet in material.sheets([place.data]):
        examples = (sheet.discordant() if place.slice == DISCORDANT else sheet).examples
        label = examples.truths[truth].label if truth in examples.truths else np.empty(0, np.int8)
        if label.any():
            shares[sheet.world] = float(np.mean(label[label != 0] > 0))
    return shares
