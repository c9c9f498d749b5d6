"""What a run and a file of scores have in common: tables and comparisons that follow from a report and records."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

from fairl_bench.guards.views import ViewGuard
from fairl_bench.material import Material
from fairl_bench.results.statistics import Statistics
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import tables_of
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.findings import Findings
from fairl_bench.values.records import Record
from fairl_bench.values.table import Table
from fairl_bench.views import Report, datasets_of, headlines, make_tables, truth_in, two_methods


class JudgedMaterial(Material):
    """Material whose tables are those of a report, made by the parts of a registry from the records of single runs."""

    def __init__(self, registry: Registry, records: Sequence[Record]) -> None:
        self.registry = registry
        self.guard = ViewGuard(registry.owners())
        self.single_records = records

    @property
    @abstractmethod
    def report(self) -> Report:
        """The tables that are asked for, with their settings."""

    @property
    @abstractmethod
    def statistics(self) -> Statistics:
        """The records of two runs, and the comparisons of methods over all runs."""

    @cached_property
    def records(self) -> Sequence[Record]:
        """Every number on record: those of single runs, and those of two."""
        return [*self.single_records, *self.statistics.records]

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """The interval of each method, and the paired difference of each two."""
        return self.statistics.comparisons

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Every table by name, as it was made."""
        return make_tables(tables_of(self.report, self.registry, self.guard), self, self.guard)

    @cached_property
    def findings(self) -> Sequence[Findings]:
        """What the tables of the report have found of each model."""
        found: list[Findings] = []
        for name, part in self.report.items():
            with self.guard.call(part.kind, name):
                found += part.findings(self)
        return found

    @cached_property
    def headlines(self) -> Sequence[str]:
        """What the tables of the report say first."""
        return headlines(self.report, self, self.guard)

    @cached_property
    def data(self) -> Sequence[str]:
        """The data sets that the report names, in its order."""
        return datasets_of(self.report)

    def truth_of(self, data: str) -> str:
        """The truth that the report holds a data set against."""
        return truth_in(self.report, data)

    @cached_property
    def methods(self) -> Sequence[str]:
        """The two methods that are compared, the baseline first."""
        return two_methods(self.report, self.single_records, self.references)

    @property
    def warnings(self) -> Sequence[str]:
        """What tables, figures and panels of plugins could not be shown so far, and why."""
        return self.guard.warnings
