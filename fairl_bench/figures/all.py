"""Every figure that a results folder has the data for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.comparison import Comparison
from fairl_bench.coordinates import Row
from fairl_bench.figures.leaderboard import by_encoder, by_selection, intervals
from fairl_bench.figures.realignment import against_kl, best_of_n, over_steps, proxy_against_truth
from fairl_bench.figures.rewards import distributions, reliability, subtypes
from fairl_bench.figures.sweeps import lines, sweep
from fairl_bench.figures.training import curves
from fairl_bench.figures.transfer import transfer
from fairl_bench.history import History
from fairl_bench.metrics import Metrics
from fairl_bench.records import Record
from fairl_bench.results.folder import alike, distinct
from fairl_bench.rows import selection_of
from fairl_bench.sheets import Sheet
from fairl_bench.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Material(NamedTuple):
    """What figures are made of."""

    table1: Table | None
    records: Sequence[Record]
    comparisons: Sequence[Comparison]
    sheets: Sequence[Sheet]
    histories: Sequence[History]
    truth_of: Callable[[str], str]
    methods: Sequence[str]  # the two that are compared, the baseline first
    rows: Sequence[Row] = ()  # of the suite, in its order
    metrics: Metrics = Metrics()


class Drawn(NamedTuple):
    """A figure with the sentence that says what it shows."""

    title: str
    figure: Figure


def figures(material: Material) -> Mapping[str, Drawn]:
    """The figures by the name of their files, each only where its data is there."""
    drawn = [(name, Drawn(title, figure)) for name, title, figure in _drawn(material) if figure is not None]
    no_name = alike(name for name, _ in drawn)
    return {
        distinct(name, hashlib.sha256(found.title.encode()).hexdigest()) if other else name: found
        for (name, found), other in zip(drawn, no_name, strict=True)
    }


def _drawn(material: Material) -> Iterator[tuple[str, str, Figure | None]]:
    sheets = material.sheets
    points = list(lines(row.variant for row in material.records))
    swept = any(row.variant for row in material.records)
    if material.table1 is not None and not swept:
        yield "leaderboard", "The leaderboard with its intervals", intervals(material.table1, material.metrics)
        yield "encoders", "Each method under each encoder", by_encoder(material.table1, material.metrics)
    if material.table1 is not None and _selections_alone({row.variant for row in material.records}):
        yield (
            "selections",
            "Each method under each rule for the kept epoch",
            by_selection(material.table1, material.metrics),
        )
    if material.table1 is not None:
        columns = list(dict.fromkeys((str(cell["data"]), str(cell["metric"])) for cell in material.table1.tidy))
        order = list(dict.fromkeys(str(cell["method"]) for cell in material.table1.tidy))
        rows = sorted((row for row in material.records if row.method in order), key=lambda row: order.index(row.method))
        for line in points:
            drawn = sweep(line, rows, material.comparisons, columns, material.truth_of, material.metrics)
            yield f"sweep-{_plain(line.path)}", f"Along {line.label}", drawn
    by_data: dict[str, list[Sheet]] = {}
    for sheet in sheets:
        by_data.setdefault(sheet.data, []).append(sheet)
    for data, mine in by_data.items():
        if data != "pairs/train" and not swept:
            title = f"Rewards of good and bad texts by {material.truth_of(data)!r}: {data}"
            yield f"rewards-{_plain(data)}", title, distributions(mine, material.truth_of)
        if not data.startswith("pairs/"):
            title = f"Transfer between subtypes: {data}"
            yield f"transfer-{_plain(data)}", title, transfer(mine, material.methods)
    if not swept:
        test = [sheet for sheet in sheets if sheet.data == "pairs/test"]
        yield "reliability", "How well a small margin tells a misranked pair: pairs/test", reliability(test)
        yield "training", "Training curves", curves(material.histories)
        yield "subtypes", "How often each subtype occurs", subtypes(_once(sheets))
    yield from _realigned(material)


def _selections_alone(variants: set[str]) -> bool:
    """Whether variants differ by their rule for the kept epoch, and by nothing else."""
    rules = set(map(selection_of, variants))
    return "" not in rules and len(rules) == len(variants)


def _realigned(material: Material) -> Iterator[tuple[str, str, Figure | None]]:
    records = material.records
    rows = list(dict.fromkeys((*material.rows, *(record.row for record in records))))
    yield "realignment-steps", "Toxicity over the steps of the re-alignment", over_steps(records, rows)
    yield (
        "realignment-kl",
        "Toxicity against KL from the base",
        against_kl(records, rows, material.comparisons, material.metrics),
    )
    yield "realignment-proxy", "The reward of the alignment against the true one", proxy_against_truth(records, rows)
    for data in dict.fromkeys(row.data for row in records if row.metric.startswith("best_of_")):
        yield f"best-of-n-{_plain(data)}", f"Best of n: {data}", best_of_n(records, rows, data)


def _once(sheets: Sequence[Sheet]) -> list[Sheet]:
    """The first replicate of each model and data set."""
    first: dict[tuple[str, str], Sheet] = {}
    for sheet in sheets:
        first.setdefault((sheet.model, sheet.data), sheet)
    return list(first.values())


def _plain(name: str) -> str:
    """A name that a file can have."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name).strip("-")
