"""A CSV file of scores beside a results folder: the folder's own examples, with the rewards of the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

from fairl_bench.errors import DataError, Undefined
from fairl_bench.metrics import Metrics
from fairl_bench.results.csv_scores import CsvScores
from fairl_bench.results.evaluate import Class, scored_records
from fairl_bench.results.evaluator_rules import positive_classes, threshold_rules
from fairl_bench.results.results import StudyResults
from fairl_bench.science.classification import Maximised, best_threshold
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import Floats
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.text_scores import TextScores
from fairl_bench.views import Report


class ScoresBeside:
    """Scores of texts as one side of a comparison, judged as the methods of a results folder are.

    A reward stands beside the runs of every encoder and variant.  Its threshold is set by the rule of the folder's
    suite; where the file does not score the data of that rule, it is the best one on the data themselves.
    """

    references: tuple[str, ...] = ()

    def __init__(self, path: Path, method: str, folder: StudyResults) -> None:
        self.path, self.folder = path, folder
        self.method = method or path.stem
        self.scores = TextScores.read(path, method)
        self._lacking = dict[str, str]()  # what the file lacks, by data

    @property
    def report(self) -> Report:
        """The report of the folder."""
        return self.folder.report

    @property
    def metrics(self) -> Metrics:
        """The metrics of the folder."""
        return self.folder.metrics

    def sheets_as_filed(self, data: Iterable[str]) -> Sequence[Sheet]:
        """The sheets of those of these data whose every text has a reward in the file."""
        return [beside for sheet in self.folder.sheets_as_filed(data) if (beside := self._beside(sheet)) is not None]

    @cached_property
    def single_records(self) -> Sequence[Record]:
        """The numbers of the reward, of all data of the folder that the file scores.

        Raises `DataError` where the file scores none of them.
        """
        data = list(dict.fromkeys(row.data for row in self.folder.single_records))
        sheets = self.sheets_as_filed(data)
        if not sheets and self._lacking:
            raise DataError(next(iter(self._lacking.values())))
        rules, positive = threshold_rules(self.folder.suite), positive_classes(self.folder.suite)
        truth_of = dict.fromkeys((row.data, row.truth) for row in self.folder.single_records if row.truth)
        return [
            record
            for data_name, truth in truth_of
            for sheet in sheets
            if sheet.data == data_name and truth in sheet.examples.truths
            for record in scored_records(
                sheet,
                CsvScores([sheet], False, against=truth),
                self._threshold(sheet, rules.get((data_name, truth))),
                _class(positive, data_name, truth),
            )
        ]

    def _beside(self, sheet: Sheet) -> Sheet | None:
        """The sheet with the rewards of the file alone; None where a text has none."""
        prompts, texts = sheet.examples.prompt, sheet.examples.text
        if lacking := self.scores.lacking(texts, prompts):
            self._lacking.setdefault(sheet.data, lacking)
            return None
        reward: Floats = self.scores.of(texts, prompts)
        withins = dict.fromkeys(run.within for run in sheet.rewards)
        runs = {Run(within.encoder, "", self.method, within.variant, None): reward for within in withins}
        return Sheet(sheet.suite, sheet.model, sheet.replicate, sheet.data, sheet.examples, runs)

    def _threshold(self, sheet: Sheet, rule: tuple[str, str, str] | None) -> float | None:
        """The reward above which a text of a sheet is called good; None where the rule sets none."""
        if rule is None or rule[2] == "none":
            return None
        data, label, maximise = rule
        for other in self.sheets_as_filed([data]):
            if other.world == sheet.world and label in other.examples.truths:
                of_label, reward = other.examples.truths[label].label, next(iter(other.rewards.values()))
                try:
                    return best_threshold(reward[of_label != 0], of_label[of_label != 0], cast(Maximised, maximise))
                except Undefined:
                    return None
        return None


def _class(positive: Mapping[tuple[str, str], str], data: str, truth: str) -> Class:
    """The class that F1 and average precision are of."""
    return "bad" if positive.get((data, truth)) == "bad" else "good"
