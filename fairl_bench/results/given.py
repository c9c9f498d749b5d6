"""Material from values at hand: for tests, and for numbers that no run of a suite has made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.evidence import CellEvidence, table_of
from fairl_bench.values.findings import Findings
from fairl_bench.values.history import History
from fairl_bench.values.known import KnownByData
from fairl_bench.values.realigned import Realigned
from fairl_bench.values.records import Record
from fairl_bench.values.references import references_first
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.table import Table
from fairl_bench.values.verdicts import Verdict
from fairl_bench.views import Report, ReportTable, datasets_of, make_tables, truth_in, two_methods


class GivenMaterial(Material):
    """Material whose properties are given by keyword; those that are not given are empty.

    >>> GivenMaterial(name="mine").records
    ()
    """

    name: str = ""
    metrics: Metrics = Metrics()
    records: Sequence[Record] = ()
    comparisons: Sequence[Comparison] = ()
    rows: Mapping[Row, Runs] = MappingProxyType({})
    report: Report = MappingProxyType({})
    parts: Sequence[ReportTable] = ()
    other_tables: Sequence[Table] = ()
    known: KnownByData = MappingProxyType({})
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    verdicts: Sequence[Verdict] = ()
    findings: Sequence[Findings] = ()
    headlines: Sequence[str] = ()
    histories: Sequence[History] = ()
    realigned: Sequence[Realigned] = ()
    suite: str = ""
    run: RunFacts = RunFacts()

    def __init__(
        self,
        *,
        sheets: Sequence[Sheet] = (),
        evidence: Mapping[str, Sequence[CellEvidence]] = MappingProxyType({}),
        **given: Any,
    ) -> None:
        """``parts`` are the tables to make; by default those of ``report``.

        ``evidence`` is that of each table, ``EVALUATOR`` or ``EVALUATOR/NAME``.
        """
        for name, value in given.items():
            if name not in vars(GivenMaterial):
                raise TypeError(f"material has no {name!r}")
            setattr(self, name, value)
        self.rows = references_first(self.rows, self.run.methods)
        self._sheets, self._evidence = sheets, evidence

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Every table by name."""
        return make_tables(self.parts or self.report.values(), self)

    @cached_property
    def data(self) -> Sequence[str]:
        """The data sets that the report names; where there is no report, those of the sheets."""
        return datasets_of(self.report) or list(dict.fromkeys(sheet.data for sheet in self._sheets))

    def truth_of(self, data: str) -> str:
        """The truth that the report holds a data set against."""
        return truth_in(self.report, data)

    @cached_property
    def methods(self) -> Sequence[str]:
        """The two methods that are compared."""
        return two_methods(self.report, self.records, self.references)

    def sheets(self, data: Iterable[str]) -> Sequence[Sheet]:
        """The sheets of these data."""
        wanted = set(data)
        return [sheet for sheet in self._sheets if sheet.data in wanted]

    def evidence(self, evaluator: str, name: str = "") -> Sequence[CellEvidence]:
        """What an evaluator kept of each cell."""
        return self._evidence.get(table_of(evaluator, name), ())
