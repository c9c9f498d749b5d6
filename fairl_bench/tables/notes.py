"""Notes that several tables have: how many labels are known, and which rows were selected differently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fairl_bench.material import Material
from fairl_bench.tables.selected import selected_differently
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.known import Known, KnownByData
from fairl_bench.values.realigned import DATA
from fairl_bench.values.table import Table


def explained(table: Table, material: Material, truth_of: Callable[[str], str], data: Iterable[str]) -> Table:
    """The table with the number of known labels of its data, with `tokenised` texts, and with `selected_apart`."""
    data = list(data)
    known = with_known(table, material.known, truth_of, data)
    return selected_apart(known._replace(notes=(*known.notes, *tokenised(material, data))), material)


def tokenised(material: Material, data: Iterable[str]) -> Iterator[str]:
    """The note on each data set of which language models have read texts that they had not drawn."""
    read = [stage for stage in material.run.stages if stage.get("kind") == "likelihoods" and stage.get("tokenised")]
    for name in dict.fromkeys(one.partition("/")[0] for one in data):
        counts = [(stage["tokenised"], stage["texts"]) for stage in read if stage.get("data") == name]
        if counts:
            most, texts = max(counts)
            yield (
                f"{name}: language models have read {most:,} of {texts:,} texts as the tokens of their characters, not "
                "as those that they were drawn as. The end of a text counts only where it is known to have ended."
            )


def selected_apart(table: Table, material: Material) -> Table:
    """The table with a first note where its rows could not keep the same epochs."""
    return table._replace(notes=(*selected_differently(material.records, material.rows), *table.notes))


def statistics_of_runs(material: Material) -> list[Comparison]:
    """The comparisons except those of re-alignments, whose units are other texts."""
    return [comparison for comparison in material.comparisons if comparison.data.partition("/")[0] != DATA]


def with_known(table: Table, known: KnownByData, truth_of: Callable[[str], str], data: Iterable[str]) -> Table:
    """The table with ``n of N known`` beside each data set that has unknown labels, and a note for each."""
    share_of = {name: _share(known.get((name, truth_of(name)), frozenset())) for name in data}
    share_of = {name: text for name, text in share_of.items() if text}
    if not share_of:
        return table

    def beside(text: str) -> str:
        return f"{text} ({share_of[text]} known)" if text in share_of else text

    heads = tuple((beside(head[0]), *head[1:]) for head in table.heads)
    at = next((i for i, head in enumerate(table.heads) if head == ("", "data")), None)
    rows = tuple(
        tuple(beside(cell) if i == at else cell for i, cell in enumerate(row)) if at is not None else row
        for row in table.rows
    )
    notes = [
        f"{name}: {text} {_kind(known[name, truth])} of the truth {truth!r} are known; its numbers are of these alone."
        for name, text in share_of.items()
        for truth in [truth_of(name)]
    ]
    return table._replace(heads=heads, rows=rows, notes=(*table.notes, *notes))


def _kind(counts: frozenset[Known]) -> str:
    """The word for what is known: values or labels."""
    return "values" if any(count.of_values for count in counts) else "labels"


def _share(counts: frozenset[Known]) -> str:
    """``10 of 40``, of several the least and the most; empty where all are known."""
    if all(count.known == count.whole for count in counts):
        return ""
    least, most = min(counts), max(counts)
    if len(counts) == 1:
        return f"{least.known:,} of {least.whole:,}"
    return f"{least.known:,} of {least.whole:,} to {most.known:,} of {most.whole:,}"
