"""Compares two methods of a results folder, or of two folders, example by example."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fairl_bench.errors import DataError, ResultsError, UnknownName
from fairl_bench.metrics import Metrics
from fairl_bench.results.paired import compared
from fairl_bench.results.results import StudyResults, read_results
from fairl_bench.results.scores_beside import ScoresBeside
from fairl_bench.results.two_runs import disagreements
from fairl_bench.values.comparison import Comparison, Question, TwoMethods
from fairl_bench.values.coordinates import Run, Within
from fairl_bench.values.data import GOLD, PREFERRED, Floats
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Sheet, Values
from fairl_bench.views import questions

METRICS = ("accuracy", "f1", "auc", "starc")


class Side(NamedTuple):
    """One side of the comparison: a results folder or a CSV file of scores, and a method of it or all."""

    folder: Path
    method: str | None

    @classmethod
    def read(cls, text: str) -> Side:
        """The side that ``FOLDER`` or ``FOLDER:METHOD`` names; a folder with a colon in its name is taken as it is."""
        folder, colon, method = text.rpartition(":")
        return cls(Path(folder), method) if colon and not Path(text).exists() else cls(Path(text), None)

    @property
    def is_file(self) -> bool:
        """True where it is a file of scores."""
        return self.folder.is_file()


Numbers = StudyResults | ScoresBeside
"""What each side is read as."""


class Difference(NamedTuple):
    """The paired difference of two methods in one metric, the first less the second, and the value of each."""

    comparison: Comparison
    first: float
    second: float


class Counted(NamedTuple):
    """Counts of texts that only one of two methods has right, run by run."""

    methods: tuple[str, str]  # as tables show them
    data: Sequence[str]
    records: Sequence[Record]


class Compared(NamedTuple):
    """The differences of two sides."""

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

    Each side is ``FOLDER:METHOD``, or ``FOLDER`` for every method that both have and that is no reference row; one of
    these is compared where it is named.  One of the two may be a CSV file of scores, ``FILE`` or ``FILE:METHOD``
    (`TextScores.read`), which is judged on the examples of the other.  Metrics are those of the first folder's Table 1.
    Raises `ResultsError` where the two were not judged on the same examples.
    """
    sides = (Side.read(first), Side.read(second))
    folders = _read(sides)
    duels = [_duel(folders, methods) for methods in _methods(sides, folders)]
    differences = [difference for duel in duels for difference in _differences(duel)]
    return Compared(_declared(folders), differences, [_counted(duel) for duel in duels])


def _read(sides: tuple[Side, Side]) -> tuple[Numbers, Numbers]:
    """The numbers of both sides; of a file those on the examples of the other side."""
    first, second = sides
    if first.is_file and second.is_file:
        raise DataError(
            f"{first.folder} and {second.folder} are both files; name a results folder on one side, or put both into "
            "one file with a column 'method' and use 'fairl-bench evaluate'"
        )
    if first.is_file:
        folder = read_results(second.folder)
        return ScoresBeside(first.folder, first.method or "", folder), folder
    folder = read_results(first.folder)
    if second.is_file:
        return folder, ScoresBeside(second.folder, second.method or "", folder)
    return folder, read_results(second.folder)


def _differences(duel: _Duel) -> Iterator[Difference]:
    """The differences of two methods, each with the two values."""
    rows = compared(duel.sheets, Values.read(duel.records), duel.questions, duel.metrics)
    value_of = {(row.group, row.method): row.value for row in rows if not row.other}
    for row in rows:
        if row.other:
            yield Difference(row, value_of[row.group, row.method], value_of[row.group, row.other])


def _counted(duel: _Duel) -> Counted:
    """The counts of two methods on all data that they share."""
    truth = {question.data: question.truth for question in duel.questions}
    values = Values.read(duel.records)
    two_methods = {data: TwoMethods(duel.labels, data, truth[data]) for data in truth}
    records = [row for sheet in duel.sheets for row in disagreements(sheet, values, two_methods[sheet.data])]
    return Counted(duel.labels, list(truth), records)


def _methods(sides: tuple[Side, Side], folders: tuple[Numbers, Numbers]) -> list[tuple[str, str]]:
    """The methods to set against one another."""
    names_of = [list(dict.fromkeys(row.method for row in folder.single_records)) for folder in folders]
    for side, names in zip(sides, names_of, strict=True):
        if side.method is not None and side.method not in names:
            raise UnknownName(f"{side.folder}: method", side.method, names)
    first, second = sides[0].method, sides[1].method
    if any(isinstance(folder, ScoresBeside) for folder in folders):
        return _with_the_file(folders, names_of, (first, second))
    if first is None and second is None:
        return _shared_methods(folders, names_of[0], names_of[1])
    first, second = first or second, second or first
    for folder, name, names in zip(folders, (first, second), names_of, strict=True):
        if name not in names:
            raise UnknownName(f"{folder.path}: method", str(name), names)
    return [(str(first), str(second))]


def _with_the_file(
    folders: tuple[Numbers, Numbers], names_of: Sequence[Sequence[str]], chosen: tuple[str | None, str | None]
) -> list[tuple[str, str]]:
    """The file's method against the chosen one of the folder, else against each that is no reference row."""
    sides = [
        [folder.method]
        if isinstance(folder, ScoresBeside)
        else [name]
        if name is not None
        else [method for method in names if method not in folder.references]
        for folder, names, name in zip(folders, names_of, chosen, strict=True)
    ]
    return list(itertools.product(sides[0], sides[1]))


def _shared_methods(
    folders: tuple[Numbers, Numbers], first: Sequence[str], second: Sequence[str]
) -> list[tuple[str, str]]:
    """Each method of both folders with itself, but for reference rows."""
    if folders[0].path.resolve() == folders[1].path.resolve():
        raise ResultsError(f"{folders[0].path} is both sides; name a method of each: {folders[0].path}:METHOD")
    references = {name for folder in folders for name in folder.references}
    both = [name for name in first if name in second]
    shared = [name for name in both if name not in references]
    if not shared:
        what = "no method but reference rows" if both else "no method"
        raise ResultsError(f"{folders[0].path} and {folders[1].path} share {what}; name one of each: FOLDER:METHOD")
    return [(name, name) for name in shared]


def _duel(folders: tuple[Numbers, Numbers], methods: tuple[str, str]) -> _Duel:
    """Two methods of two folders with the sheets, records and questions that they share."""
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
        replace(row, method=label, encoder=shared.encoder, variant=shared.variant)
        for folder, method, label, axes_of_side in zip(folders, methods, labels, axes, strict=True)
        for row in folder.single_records
        if row.method == method and (shared := axes_of_side.get(row.run.within)) is not None
    ]
    questions = _questions(folders[0], data, {sheet.data for sheet in sheets})
    return _Duel(labels, sheets, records, questions, _declared(folders))


def _questions(first: Numbers, data: Sequence[str], judged: Set[str]) -> list[Question]:
    """The questions of the first folder's report on the ``judged`` data, or common metrics if it has none."""
    every = questions(first.report)
    if not every:
        every = [Question(name, PREFERRED if name.startswith("pairs/") else GOLD, METRICS) for name in data]
    return [question for name in data if name in judged for question in every if question.data == name]


def _declared(folders: tuple[Numbers, Numbers]) -> Metrics:
    """The metrics of both folders; where they declare one name differently, as the first does."""
    return folders[0].metrics.or_else(folders[1].metrics)


def _labels(folders: tuple[Numbers, Numbers], methods: tuple[str, str]) -> tuple[str, str]:
    """The methods' names, with the folders' names where there are two folders."""
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


def _shared_data(folders: tuple[Numbers, Numbers]) -> list[str]:
    """The data that both folders have numbers of, among those that the first report compares if it compares any."""
    first, second = (dict.fromkeys(row.data for row in folder.single_records) for folder in folders)
    in_report = dict.fromkeys(question.data for question in questions(folders[0].report))
    return [data for data in (in_report or first) if data in first and data in second]


def _only(sheet: Sheet, method: str, label: str) -> Sheet:
    """The sheet with the runs of one method alone, under its label."""
    runs = {run._replace(method=label): reward for run, reward in sheet.rewards.items() if run.method == method}
    return replace(sheet, rewards=runs)


Axes = dict[Within, Within]  # encoder and variant: as they are, and as they are set side by side


def _axes(
    folders: tuple[Numbers, Numbers], methods: tuple[str, str], sides: Sequence[Sequence[Sheet]]
) -> tuple[Axes, Axes]:
    """The encoders and variants that belong together: the equal ones, or where each side has only one, these."""
    within = [dict.fromkeys(run.within for sheet in side for run in sheet.rewards) for side in sides]
    equal = {axes: axes for axes in within[0] if axes in within[1]}
    if equal:
        return equal, equal
    if len(within[0]) == len(within[1]) == 1:
        (first,), (second,) = within
        return {first: first}, {second: first}
    raise ResultsError(
        f"{folders[0].path}:{methods[0]} and {folders[1].path}:{methods[1]} share no encoder and variant, and are of "
        "several; compare folders of one encoder each"
    )


def _joined(sides: Sequence[Sequence[Sheet]], axes: tuple[Axes, Axes]) -> Iterator[Sheet]:
    """The sheets of equal examples, with the runs of both sides."""
    models = [dict.fromkeys(sheet.model for sheet in side) for side in sides]
    one_model_each = all(len(names) == 1 for names in models)  # whatever each suite calls it
    for first, second in itertools.product(*sides):
        same_data = (first.replicate, first.data) == (second.replicate, second.data)
        same_model = one_model_each or first.model == second.model
        if same_data and same_model and first.sample() == second.sample():
            rewards = {**_moved(first, axes[0]), **_moved(second, axes[1])}
            if len({run.method for run in rewards}) == 2:
                yield replace(first, rewards=rewards)


def _moved(sheet: Sheet, axes: Axes) -> dict[Run, Floats]:
    """The rewards of a sheet under the encoder and variant that both sides share."""
    return {
        run._replace(encoder=shared.encoder, variant=shared.variant, head=""): reward
        for run, reward in sheet.rewards.items()
        if (shared := axes.get(run.within)) is not None
    }
