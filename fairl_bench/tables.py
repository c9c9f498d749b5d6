"""Tables as pure functions of records, and the texts they are printed and saved as."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from fairl_bench.records import Record

ARROWS = {
    "accuracy": "↑",
    "f1": "↑",
    "auc": "↑",
    "pair_accuracy": "↑",
    "starc": "↓",
    "starc_per_prompt": "↓",
    "affine_residual": "↓",
    "epic": "↓",
    "spearman": "↑",
    "kendall": "↑",
    "margin_snr": "↑",
}
"""Which way is better; a metric that is not here gets no arrow."""

_NAMES = {"f1": "F1", "auc": "AUC", "starc": "STARC", "epic": "EPIC"}


class Table(NamedTuple):
    """A table as it is shown: column heads (of one or two lines), rows of text, and the notes below."""

    title: str
    heads: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


class Layout(Protocol):
    """What a suite says of Table 1."""

    @property
    def data(self) -> tuple[str, ...]:
        """The data of its columns."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of each."""

    def truth_of(self, data: str) -> str:
        """The truth that they are measured against."""


_AXES = ("model", "encoder", "method", "variant")
Row = tuple[str, str, str, str]


class Runs(NamedTuple):
    """What a row should rest on: how many runs, how many of them failed, and what tells them apart."""

    all: int
    failed: int = 0
    unit: str = "runs"  # seeds, where they differ by nothing else

    def lack(self, found: int) -> str:
        """The sentence about the runs that are not among those found; empty where none is missing.

        >>> Runs(5, failed=2, unit="seeds").lack(3), Runs(5, failed=2).lack(0), Runs(5).lack(4)
        ('2 of 5 seeds failed', '2 of 5 runs failed, 3 are not finished', '1 of 5 runs is not finished')
        """
        waiting = self.all - found - self.failed
        failed = f"{self.failed} of {self.all} {self.unit} failed" if self.failed else ""
        if waiting <= 0:
            return failed
        unfinished = f"{'is' if waiting == 1 else 'are'} not finished"
        return f"{failed}, {waiting} {unfinished}" if failed else f"{waiting} of {self.all} {self.unit} {unfinished}"


def table1(records: Iterable[Record], layout: Layout, runs: Mapping[Row, Runs]) -> Table:
    """The leaderboard: one row a (model, encoder, method, variant), mean ± spread of each metric over training seeds.

    ``runs`` says what each row should rest on, in the order of the rows; a row that rests on less says so.
    """
    values: dict[tuple[Row, str, str], list[Record]] = {}
    for record in records:
        if record.slice == "all" and not record.other and record.truth == layout.truth_of(record.data):
            row = (record.model, record.encoder, record.method, record.variant)
            values.setdefault((row, record.data, record.metric), []).append(record)
    columns = [(data, metric) for data in layout.data for metric in layout.metrics]
    shown = [axis for axis in range(len(_AXES)) if _AXES[axis] == "method" or len({row[axis] for row in runs}) > 1]
    rows, notes = [], []
    for row, expected in runs.items():
        found = [values.get((row, *column), []) for column in columns]
        names = [_point(row[axis]) if _AXES[axis] == "variant" else row[axis] for axis in shown]
        rows.append((*names, *map(_cell, found)))
        if lack := expected.lack(max(map(len, found), default=0)):
            notes.append(f"{' '.join(names)}: {lack}.")
        notes += [
            f"{' '.join(names)}, {column[0]} {column[1]}: {note}."
            for column, cell in zip(columns, found, strict=True)
            if (note := _undefined(cell))
        ]
    heads = [("", _AXES[axis]) for axis in shown] + [(data, _head(metric)) for data, metric in columns]
    judged = ", ".join(f"{data} against {layout.truth_of(data)!r}" for data in layout.data)
    return Table("Table 1", tuple(heads), tuple(rows), (f"Truth: {judged}.", _spread(values), *dict.fromkeys(notes)))


def _point(variant: str) -> str:
    """A point of a product as a table shows it.

    >>> _point('{"head.width":32,"methods.max-entropy.temperature":0.5}')
    'width=32 temperature=0.5'
    """
    return " ".join(f"{path.rpartition('.')[2]}={value}" for path, value in json.loads(variant or "{}").items())


def _head(metric: str) -> str:
    return f"{_NAMES.get(metric, metric.replace('_', ' '))} {ARROWS.get(metric, '')}".strip()


def _cell(found: Sequence[Record]) -> str:
    """Mean over all runs ± the sample standard deviation over seeds, pooled within replicates."""
    values = [record.value for record in found]
    if not values or any(map(math.isnan, values)):
        return "n/a"
    worlds: dict[int, list[float]] = {}
    for record in found:
        worlds.setdefault(record.replicate, []).append(record.value)
    spreads = [np.var(world, ddof=1) for world in worlds.values() if len(world) > 1]
    spread = f" ± {math.sqrt(np.mean(spreads)):.3f}" if spreads else ""
    return f"{np.mean(values):.3f}{spread}"


def _undefined(found: Sequence[Record]) -> str:
    return next((record.note for record in found if math.isnan(record.value)), "")


def _spread(values: Mapping[tuple[Row, str, str], Sequence[Record]]) -> str:
    seeds = {record.seed for found in values.values() for record in found} - {None}
    replicates = {record.replicate for found in values.values() for record in found}
    if len(seeds) < 2:
        return "One training seed: no spread is known."
    worlds = f", pooled within {len(replicates)} replicates" if len(replicates) > 1 else ""
    return (
        f"± is the sample standard deviation over {len(seeds)} training seeds{worlds}; "
        "a method without ± draws nothing at random."
    )


def as_text(table: Table) -> str:
    """For a terminal."""
    from tabulate import tabulate

    tops = ["", *(head[0] for head in table.heads)]
    # the upper line once for each run of columns that share it
    heads = [
        f"{'' if head[0] == before else head[0]}\n{head[1]}" for before, head in zip(tops, table.heads, strict=False)
    ]
    body = tabulate(table.rows, heads, tablefmt="simple", disable_numparse=True)
    return "\n".join([table.title, "", body, "", *table.notes])


def as_markdown(table: Table) -> str:
    """GitHub's Markdown."""
    from tabulate import tabulate

    heads, *rows = ([cell.replace("|", "\\|") for cell in row] for row in (_flat(table), *table.rows))
    body = tabulate(rows, heads, tablefmt="github", disable_numparse=True)
    return "\n".join([f"**{table.title}**", "", body, "", *(f"{note}  " for note in table.notes), ""])


def as_latex(table: Table) -> str:
    """A booktabs tabular; needs ``\\usepackage{booktabs}``."""
    from tabulate import tabulate

    heads = [_tex(head) for head in _flat(table)]
    rows = [[_tex(cell) for cell in row] for row in table.rows]
    body: str = tabulate(rows, heads, tablefmt="latex_raw", disable_numparse=True)
    first, *rest = body.replace("\\hline", "\\midrule").split("\\midrule\n")
    body = f"{first}\\toprule\n{rest[0]}\\midrule\n{rest[1]}" + "\\bottomrule\n" + rest[2]
    return "".join(f"% {line}\n" for note in table.notes for line in note.splitlines()) + body + "\n"


def as_csv(table: Table) -> str:
    """Comma-separated values as a spreadsheet takes them; no cell can start a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in [_flat(table), *table.rows]:
        writer.writerow(["'" + cell if _formula(cell) else cell for cell in row])
    return out.getvalue()


_NUMBER = re.compile(r"-?\d+(\.\d+)?( ± \d+(\.\d+)?)?")


def _formula(cell: str) -> bool:
    return cell.startswith(("=", "+", "-", "@", "\t")) and not _NUMBER.fullmatch(cell)


FORMATS = {"md": as_markdown, "csv": as_csv, "tex": as_latex}


def _flat(table: Table) -> list[str]:
    return [" ".join(head).strip() for head in table.heads]


_TEX = {
    **{letter: f"\\{letter}" for letter in "_%&#${}"},
    **{"↑": "$\\uparrow$", "↓": "$\\downarrow$", "±": "$\\pm$"},
    **{"~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "\\": "\\textbackslash{}"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
