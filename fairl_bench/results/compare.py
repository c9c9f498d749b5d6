"""Compares two methods of a results folder, or of two folders, example by example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fairl_bench.errors import ResultsError, UnknownName
from fairl_bench.metrics import Metrics
from fairl_bench.results.paired import compared
from fairl_bench.results.results import Results, read_results
from fairl_bench.results.two_runs import disagreements
from fairl_bench.values.comparison import Comparison, Question, TwoMethods
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import GOLD, PREFERRED, Floats
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Sheet, Values
from fairl_bench.views import questions

METRICS = ("accuracy", "f1", "auc", "starc")


class Side(NamedTuple):
    """One of the two: a results folder, and a method of it or all."""

    folder: Path
    method: str | None

    @classmethod
    def read(cls, text: str) -> Side:
        """``FOLDER`` or ``FOLDER:METHOD``; a folder whose own name holds a colon is taken as it is."""
        folder, colon, method = text.rpartition(":")
        return cls(Path(folder), method) if colon and not Path(text).exists() else cls(Path(text), None)


class Difference(NamedTuple):
    """The paired difference of two methods in one metric, the first less the second, and the value of each."""

    comparison: Comparison
    first: float
    second: float


class Counted(NamedTuple):
    """How often each of two methods is right where the other is not, run by run."""

    methods: tuple[str, str]  # as tables show them
    data: Sequence[str]
    records: Sequence[Record]


class Compared(NamedTuple):
    """What two sides differ in."""

    metrics: Metrics
    differences: Sequence[Difference]
    counts: Sequence[Counted]


class _Duel(NamedTuple):
    """Two methods under the names that tables show, with all that they have in common."""

    labels: tuple[str, str]
    sheets: list[Sheet]
    records: list[Record]
    questions: list[Question]
    metrics: Metrics


def compare(first: str, second: str) -> Compared:
    """The differences of every metric on all data that both have, with their tests.

    Each side is ``FOLDER:METHOD``, or ``FOLDER`` for every method that both have.  Metrics are those of the first
    folder's Table 1.  Raises `ResultsError` where the two were not judged on the same examples.
    """
    sides = (Side.read(first), Side.read(second))
    folders = (read_results(sides[0].folder), read_results(sides[1].folder))
    duels = [_duel(folders, methods) for methods in _methods(sides, folders)]
    differences = [difference for duel in duels for difference in _differences(duel)]
    return Compared(_declared(folders), differences, [_counted(duel) for duel in duels])


def _differences(duel: _Duel) -> Iterator[Difference]:
    rows = compared(duel.sheets, Values.read(duel.records), duel.questions, duel.metrics)
    own = {(row.group, row.method): row.value for row in rows if not row.other}
    for row in rows:
        if row.other:
            yield Difference(row, own[row.group, row.method], own[row.group, row.other])


def _counted(duel: _Duel) -> Counted:
    truth = {question.data: question.truth for question in duel.questions}
    values = Values.read(duel.records)
    asked = {data: TwoMethods(duel.labels, data, truth[data]) for data in truth}
    records = [row for sheet in duel.sheets for row in disagreements(sheet, values, asked[sheet.data])]
    return Counted(duel.labels, list(truth), records)


def _methods(sides: tuple[Side, Side], folders: tuple[Results, Results]) -> list[tuple[str, str]]:
    """The methods to set against one another."""
    known = [list(dict.fromkeys(row.method for row in folder.single_records)) for folder in folders]
    for side, names in zip(sides, known, strict=True):
        if side.method is not None and side.method not in names:
            raise UnknownName(f"{side.folder}: method", side.method, names)
    if sides[0].method is None and sides[1].method is None:
        shared = [name for name in known[0] if name in known[1]]
        if folders[0].path.resolve() == folders[1].path.resolve():
            raise ResultsError(f"{folders[0].path} is both sides; name a method of each: {folders[0].path}:METHOD")
        if not shared:
            raise ResultsError(
                f"{folders[0].path} and {folders[1].path} share no method; name one of each: FOLDER:METHOD"
            )
        return [(name, name) for name in shared]
    one, other = sides[0].method or sides[1].method, sides[1].method or sides[0].method
    for folder, name, names in zip(folders, (one, other), known, strict=True):
        if name not in names:
            raise UnknownName(f"{folder.path}: method", str(name), names)
    return [(str(one), str(other))]


def _duel(folders: tuple[Results, Results], methods: tuple[str, str]) -> _Duel:
    labels = _labels(folders, methods)
    data = _shared_data(folders)
    sides = [
        [_only(sheet, method, label) for sheet in folder.sheets_as_filed(data)]
        for folder, method, label in zip(folders, methods, labels, strict=True)
    ]
    axes = _axes(folders, methods, sides)
    sheets = list(_joined(sides, axes))
    if not sheets:
        raise ResultsError(
            f"{labels[0]} and {labels[1]} were not judged on the same examples of {', '.join(data) or 'any data'}, so "
            "that nothing is paired; compare runs of one model, replicate and split"
        )
    records = [
        replace(row, method=label, encoder=new[0], variant=new[1])
        for folder, method, label, old in zip(folders, methods, labels, axes, strict=True)
        for row in folder.single_records
        if row.method == method and (new := old.get((row.encoder, row.variant))) is not None
    ]
    questions = _questions(folders[0], data, {sheet.data for sheet in sheets})
    return _Duel(labels, sheets, records, questions, _declared(folders))


def _questions(first: Results, data: Sequence[str], there: Set[str]) -> list[Question]:
    """What is compared on each of the data: what the first folder's report compares there, else some common metrics."""
    asked = questions(first.report)
    if not asked:
        asked = [Question(name, PREFERRED if name.startswith("pairs/") else GOLD, METRICS) for name in data]
    return [question for name in data if name in there for question in asked if question.data == name]


def _declared(folders: tuple[Results, Results]) -> Metrics:
    """The metrics of both; where they declare one name differently, as the first does."""
    return folders[0].metrics.or_else(folders[1].metrics)


def _labels(folders: tuple[Results, Results], methods: tuple[str, str]) -> tuple[str, str]:
    """The methods' names, with their folders' where they are of two."""
    paths = [folder.path.resolve() for folder in folders]
    if paths[0] == paths[1] and methods[0] != methods[1]:
        return methods
    if paths[0] == paths[1]:
        raise ResultsError(f"{folders[0].path}:{methods[0]} is both sides; name two methods or two folders")
    names = [
        path.name if paths[0].name != paths[1].name else str(folder.path)
        for path, folder in zip(paths, folders, strict=True)
    ]
    return f"{names[0]}:{methods[0]}", f"{names[1]}:{methods[1]}"


def _shared_data(folders: tuple[Results, Results]) -> list[str]:
    """The data that both have numbers of: of those that the first report compares, else of all."""
    both = [dict.fromkeys(row.data for row in folder.single_records) for folder in folders]
    asked = dict.fromkeys(question.data for question in questions(folders[0].report))
    return [data for data in (asked or both[0]) if data in both[0] and data in both[1]]


def _only(sheet: Sheet, method: str, label: str) -> Sheet:
    """The sheet with one method's runs alone, under its label."""
    runs = {run._replace(method=label): reward for run, reward in sheet.rewards.items() if run.method == method}
    return replace(sheet, rewards=runs)


Axes = dict[tuple[str, str], tuple[str, str]]  # encoder and variant: as they are, and as they are set side by side


def _axes(
    folders: tuple[Results, Results], methods: tuple[str, str], sides: Sequence[Sequence[Sheet]]
) -> tuple[Axes, Axes]:
    """Encoders and variants that belong together: the equal ones, or where each side has only one, these."""
    within = [dict.fromkeys(run.within for sheet in side for run in sheet.rewards) for side in sides]
    equal = {axes: axes for axes in within[0] if axes in within[1]}
    if equal:
        return equal, equal
    if len(within[0]) == len(within[1]) == 1:
        (one,), (other,) = within
        return {one: one}, {other: one}
    raise ResultsError(
        f"{folders[0].path}:{methods[0]} and {folders[1].path}:{methods[1]} share no encoder and variant, and are of "
        "several; compare folders of one encoder each"
    )


def _joined(sides: Sequence[Sequence[Sheet]], axes: tuple[Axes, Axes]) -> Iterator[Sheet]:
    """Sheets of equal examples, with the runs of both sides."""
    models = [dict.fromkeys(sheet.model for sheet in side) for side in sides]
    alone = all(len(names) == 1 for names in models)  # one model each, whatever each suite calls it
    for one in sides[0]:
        for other in sides[1]:
            place = (one.replicate, one.data) == (other.replicate, other.data)
            if place and (alone or one.model == other.model) and one.sample() == other.sample():
                rewards = {**_moved(one, axes[0]), **_moved(other, axes[1])}
                if len({run.method for run in rewards}) == 2:
                    yield replace(one, rewards=rewards)


def _moved(sheet: Sheet, axes: Axes) -> dict[Run, Floats]:
    return {
        run._replace(encoder=new[0], variant=new[1], head=""): reward
        for run, reward in sheet.rewards.items()
        if (new := axes.get(run.within)) is not None
    }
