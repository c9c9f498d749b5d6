"""A results folder as the material of its tables, its figures and its page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fairl_bench.comparison import Comparison
from fairl_bench.coordinates import Row, Run
from fairl_bench.history import History
from fairl_bench.known import Known
from fairl_bench.material import Material
from fairl_bench.realigned import Realigned
from fairl_bench.records import Record
from fairl_bench.results import claims
from fairl_bench.results.folder import ResultsFolder, readable
from fairl_bench.results.read import RUN, SUITE, Folder
from fairl_bench.results.realigned import read_realigned
from fairl_bench.results.scores import coordinates, read_folder
from fairl_bench.rows import Runs
from fairl_bench.sheets import Sheet
from fairl_bench.suite.suite import Table1, Table3, truth_of
from fairl_bench.verdicts import Verdict


class FolderMaterial(Material):
    """What a results folder says, as it was read."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.files = ResultsFolder(folder.path)

    @property
    def name(self) -> str:
        """The name of the suite."""
        return self.folder.name

    @cached_property
    def records(self) -> Sequence[Record]:
        """Every number on record."""
        return [*self.folder.records, *self.folder.paired.records]

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """Intervals of each method, and paired differences of each two."""
        return self.folder.paired.comparisons

    @property
    def rows(self) -> Mapping[Row, Runs]:
        """The rows of tables, each with the runs that it should rest on."""
        return self.folder.runs

    @property
    def data(self) -> Sequence[str]:
        """The data sets that the suite's ``report:`` names, in its order."""
        return list(dict.fromkeys(name for table in self._asked for name in table.data))

    def truth_of(self, data: str) -> str:
        """The truth that the report holds a data set against."""
        given = next((table for table in self._asked if data in table.data), None)
        return given.truth_of(data) if given else truth_of("gold", data)

    @property
    def methods(self) -> Sequence[str]:
        """The two methods that are compared, the baseline first."""
        report = self.folder.report
        pair = next((table.methods for table in (report.table2, report.table3) if table), None)
        return pair or tuple(dict.fromkeys(row.method for row in self.folder.records))[:2]

    @property
    def known(self) -> Known:
        """Of how many examples of each data set the label is known, where it is not of all."""
        return self.folder.known

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about the whole run."""
        return self.folder.notes

    @cached_property
    def verdicts(self) -> Sequence[Verdict]:
        """The verdicts on the suite's claims."""
        folder = self.folder
        return claims.judge(folder.claims, folder.path, folder.name, folder.records, folder.paired.comparisons)

    def sheets(self, data: Iterable[str]) -> Sequence[Sheet]:
        """Examples and rewards of these data sets, models and runs in the order of the suite."""
        models = list(dict.fromkeys(row.model for row in self.rows))
        sheets = [self._in_order(sheet) for sheet in read_folder(self.folder.path, self.name, data)]
        return sorted(sheets, key=lambda sheet: models.index(sheet.model) if sheet.model in models else len(models))

    @cached_property
    def histories(self) -> Sequence[History]:
        """What was noted of each training."""
        return list(histories(self.folder.path))

    @cached_property
    def realigned(self) -> Sequence[Realigned]:
        """The completions of each re-alignment."""
        return read_realigned(self.folder.path)

    @cached_property
    def suite(self) -> str:
        """The suite as it was resolved, the text of ``suite.yaml``."""
        return self.files.text(SUITE)

    @cached_property
    def run(self) -> Mapping[str, Any]:
        """What ``run.json`` says of the run."""
        return self.files.json(RUN) if self.files.has(RUN) else {}

    @property
    def _asked(self) -> Sequence[Table1 | Table3]:
        report = self.folder.report
        return [table for table in (report.table1, report.table2, report.table3) if table]

    def _in_order(self, sheet: Sheet) -> Sheet:
        """The same sheet with its runs as the suite has them, not as their files are called."""
        order = {row: at for at, row in enumerate(self.rows)}

        def place(run: Run) -> tuple[int, int]:
            return order.get(sheet.at(run).row, len(order)), -1 if run.seed is None else run.seed

        return replace(sheet, rewards={run: sheet.rewards[run] for run in sorted(sheet.rewards, key=place)})


def histories(path: Path) -> Iterator[History]:
    """What a results folder knows of the training of its rewards."""
    files = ResultsFolder(path)
    for name in files.names("histories"):
        table = files.table(name)
        cell, _ = coordinates(table, files.path / name)
        with readable(files.path / name):
            series = {
                column: numbers[np.isfinite(numbers)]
                for column in table.column_names
                if len(numbers := table[column].to_numpy()) and np.isfinite(numbers).any()
            }
        yield History(cell, series)
