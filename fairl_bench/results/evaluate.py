"""Computes the numbers of a CSV file of scores as those of a run are, so that it has the same tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np

from fairl_bench.errors import DataError, Undefined, UnknownName
from fairl_bench.metrics import Metrics
from fairl_bench.results.csv_scores import CsvScores, read_scores
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.judged import JudgedMaterial
from fairl_bench.results.known_labels import known_of
from fairl_bench.results.statistics import Statistics, statistics
from fairl_bench.science import classification
from fairl_bench.science.fidelity import by_value
from fairl_bench.suite.registry import Registry
from fairl_bench.values.coordinates import Row, Run
from fairl_bench.values.data import GOLD, Floats, Labels, Scored
from fairl_bench.values.evidence import CellEvidence
from fairl_bench.values.history import History
from fairl_bench.values.known import KnownByData
from fairl_bench.values.realigned import Realigned
from fairl_bench.values.records import Measure, Record, measured
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.table import Table
from fairl_bench.values.verdicts import Verdict
from fairl_bench.views import Report, ReportTable

LABELS = ("accuracy", "balanced_accuracy", "f1")
REWARDS = (*LABELS, "auc", "average_precision", "starc", "starc_per_prompt", "epic", "spearman", "pair_accuracy")
Class = Literal["good", "bad"]


class ScoredFile(JudgedMaterial):
    """The numbers and tables of a file of scores, with the same properties as those of a run."""

    def __init__(
        self,
        report: Report,
        registry: Registry,
        sheets: Sequence[Sheet],
        records: Sequence[Record],
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(registry, records)
        self._report, self._sheets, self._notes = report, sheets, notes

    @property
    def name(self) -> str:
        """No suite."""
        return ""

    @property
    def metrics(self) -> Metrics:
        """The metrics as the built-in evaluators declare them."""
        return built_in_metrics()

    @cached_property
    def statistics(self) -> Statistics:
        """The comparisons of the methods of the file."""
        return statistics(self._sheets, self.report, self.single_records, self.metrics, self.run)

    @property
    def rows(self) -> Mapping[Row, Runs]:
        """The rows of tables; nothing says how many runs each should rest on."""
        return {sheet.at(run).row: Runs(0) for sheet in self._sheets for run in sheet.rewards}

    @property
    def report(self) -> Report:
        """The tables that the file can fill."""
        return self._report

    @property
    def other_tables(self) -> Sequence[Table]:
        """A file has no tables."""
        return ()

    @cached_property
    def known(self) -> KnownByData:
        """The number of examples of each data set whose label is known."""
        return known_of(self._sheets)

    @property
    def notes(self) -> Sequence[str]:
        """The notes on how the labels were read and where the threshold is from."""
        return self._notes

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """No suite claims anything."""
        return ()

    def sheets(self, data: Iterable[str]) -> Sequence[Sheet]:
        """Examples and scores of these data sets."""
        wanted = set(data)
        return [sheet for sheet in self._sheets if sheet.data in wanted]

    @property
    def histories(self) -> Sequence[History]:
        """No training."""
        return ()

    @property
    def realigned(self) -> Sequence[Realigned]:
        """No re-alignment."""
        return ()

    def evidence(self, evaluator: str, name: str = "") -> Sequence[CellEvidence]:
        """No evaluator kept anything."""
        return ()

    @property
    def suite(self) -> str:
        """No suite."""
        return ""

    @property
    def run(self) -> RunFacts:
        """No run."""
        return RunFacts()


def evaluate(
    scores: Path,
    truth: Path | None = None,
    *,
    threshold: float | None = None,
    methods: tuple[str, str] | None = None,
    positive: Class = "good",
    against: str = "",
) -> ScoredFile:
    """The numbers and tables of a CSV file of scores.  Raises `DataError` where no example has a known truth.

    Texts above ``threshold`` are called good; where none is given, it is the one that is best on the split ``train`` of
    the same run, else on the data themselves, which the table then says.  F1 and average precision are of the class
    ``positive``.  Tables 2 and 3 are of two ``methods``, by default the two that there are.  All is held ``against``
    one truth of the file, by default ``gold`` and, where that is not known, ``preferred``.
    """
    file = read_scores(scores, truth)._replace(against=against)
    sheets = [sheet for sheet in file.sheets if file.truth_of(sheet)]
    if against and not sheets:
        known = {name for sheet in file.sheets for name in sheet.examples.truths}
        raise UnknownName(f"{scores}: truth", against, known)
    if not sheets:
        raise DataError(
            f"{scores}: no example has a known truth; add a column 'label' (1 good, -1 not) or 'value' (the true "
            "reward), or name a file with --truth"
        )
    records = [record for sheet in sheets for record in scored_records(sheet, file, threshold, positive)]
    registry = Registry()
    report = _report(sheets, file, _two_methods(sheets, methods, scores), registry)
    notes = [*_label_notes(sheets, file, threshold, positive), *file.notes]
    return ScoredFile(report, registry, sheets, records, notes)


def _two_methods(sheets: Sequence[Sheet], chosen: tuple[str, str] | None, path: Path) -> tuple[str, str] | None:
    """The chosen methods, else the two of the file; None where it has not two."""
    methods = list(dict.fromkeys(run.method for sheet in sheets for run in sheet.rewards))
    for method in chosen or ():
        if method not in methods:
            raise UnknownName(f"{path}: method", method, methods)
    return chosen or ((methods[0], methods[1]) if len(methods) == 2 else None)


def _report(sheets: Sequence[Sheet], file: CsvScores, methods: tuple[str, str] | None, registry: Registry) -> Report:
    """The report whose tables the data can fill."""
    truth = {sheet.data: name for sheet in sheets if (name := file.truth_of(sheet)) is not None}
    parts = {sheet.data for sheet in sheets if any(name.startswith("subtype:") for name in sheet.examples.truths)}
    tables: dict[str, dict[str, object]] = {
        "table1": {"data": list(truth), "truth": truth, "metrics": LABELS if file.predicted else REWARDS}
    }
    if methods is not None:
        tables["table2"] = {"data": list(truth), "truth": truth, "methods": methods}
    if methods is not None and parts:
        tables["table3"] = {"data": sorted(parts), "truth": truth, "methods": methods}
    return {name: registry.build(ReportTable, {"use": name, **settings}) for name, settings in tables.items()}


def scored_records(sheet: Sheet, file: CsvScores, threshold: float | None, positive: Class) -> Iterator[Record]:
    """The records of each run; where the file has predicted labels, only those that need no reward."""
    name = file.truth_of(sheet) or GOLD
    for run in sheet.rewards:
        cut = partial(_threshold, sheet, run, file, threshold)
        measures = [*_by_label(sheet, run, name, file, cut, positive), *_by_value(sheet, run, name)]
        for measure in measures:
            if measure.metric not in set(REWARDS) - set(LABELS) or not file.predicted:
                coordinates = sheet.at(run, name)
                yield Record.at(coordinates, sheet.suite, measure.metric, measure.value, measure.n, note=measure.note)


def _by_label(
    sheet: Sheet, run: Run, name: str, file: CsvScores, cut: Callable[[], float], positive: Class
) -> Iterator[Measure]:
    """The measures that need labels; where the truth has only numbers, the note of each says so."""
    score, label = _labelled(sheet, run, file)
    side = 1 if positive == "good" else -1
    for metric, function in classification.by_label(score, label, cut, side, name).items():
        yield measured(sheet.data, name, metric, len(label), function)


def _by_value(sheet: Sheet, run: Run, name: str) -> Iterator[Measure]:
    """The measures that compare the reward with the truth's values."""
    valued = np.flatnonzero(np.isfinite(sheet.examples.truths[name].value))
    reward, true = sheet.rewards[run][valued], sheet.examples.truths[name].value[valued]
    prompts = [sheet.examples.prompt[i] for i in valued]
    for metric, function in by_value(reward, true, prompts).items():
        if metric in REWARDS:
            yield measured(sheet.data, name, metric, len(valued), function)
    gaps = sheet.examples.gaps(name)
    ordered = np.flatnonzero(np.isfinite(gaps) & (gaps != 0))
    margins = Scored(sheet.examples, sheet.rewards[run]).margins()[ordered] * np.sign(gaps[ordered])
    yield measured(sheet.data, name, "pair_accuracy", len(ordered), _pair_accuracy, margins, len(gaps))


def _pair_accuracy(margins: Floats, pairs: int) -> float:
    """The accuracy on the pairs that the truth orders."""
    if not pairs:
        raise Undefined("the data has no pairs")
    if not len(margins):
        raise Undefined(f"the truth orders none of {pairs} pairs")
    return classification.pair_accuracy(margins)


def _training(sheet: Sheet, file: CsvScores) -> Sheet:
    """The sheet that sets a sheet's threshold: the split ``train`` of the same data set, else the sheet itself."""
    train = f"{sheet.data.partition('/')[0]}/train"
    world = (sheet.model, sheet.replicate, train)
    for other in file.sheets:
        if (other.model, other.replicate, other.data) == world and file.label(other).any():
            return other
    return sheet


def _threshold(sheet: Sheet, run: Run, file: CsvScores, threshold: float | None) -> float:
    """The reward above which a run calls a text good."""
    if threshold is not None or file.predicted:
        return threshold or 0.0
    train = _training(sheet, file)
    if run not in train.rewards:
        raise Undefined(f"no threshold: the run does not score {train.data}")
    return classification.best_threshold(*_labelled(train, run, file))


def _labelled(sheet: Sheet, run: Run, file: CsvScores) -> tuple[Floats, Labels]:
    """The rewards and labels of the texts whose label is known."""
    label = file.label(sheet)
    labelled = np.flatnonzero(label)
    return sheet.rewards[run][labelled], label[labelled]


def _label_notes(sheets: Sequence[Sheet], file: CsvScores, threshold: float | None, positive: Class) -> list[str]:
    """The notes on the class of F1 and of average precision, and on the threshold; none where no label is known."""
    labelled = [sheet for sheet in sheets if file.label(sheet).any()]
    if not labelled:
        return []
    other = "bad" if positive == "good" else "good"
    what = "F1 is" if file.predicted else "F1 and average precision are"
    of_class = f"{what} of the {positive} texts; --positive {other} gives that of the {other} ones."
    return [of_class, *_threshold_note(labelled, file, threshold)]


def _threshold_note(sheets: Sequence[Sheet], file: CsvScores, threshold: float | None) -> list[str]:
    """The note on where the threshold is from; none where the file has predicted labels."""
    if file.predicted:
        return []
    if threshold is not None:
        return [f"A text is called good above {repr(threshold).removesuffix('.0')}."]
    own = [sheet.data for sheet in sheets if _training(sheet, file) is sheet and not sheet.data.endswith("/train")]
    if not own:
        return ["The threshold is the best one on the split 'train'."]
    return [
        f"The threshold is the best one on the data themselves ({', '.join(dict.fromkeys(own))}), so that accuracy and "
        "F1 are too good; give --threshold, or a split 'train'."
    ]
