"""What a table, a figure or a panel of the page is made of: everything that a results folder says, read on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fairl_bench.component import Component
from fairl_bench.metrics import Metrics
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.evidence import CellEvidence
from fairl_bench.values.findings import Findings
from fairl_bench.values.history import History
from fairl_bench.values.known import KnownByData
from fairl_bench.values.realigned import Realigned
from fairl_bench.values.records import Record
from fairl_bench.values.references import references_of
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.table import Table
from fairl_bench.values.verdicts import Verdict


class Picture(NamedTuple):
    """A figure as it is saved: its bytes by format, ``svg`` and ``png``."""

    name: str
    title: str
    formats: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"<figure {self.name}: {self.title}>"

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return self.formats["svg"].decode("utf-8")


class Material(ABC):
    """The finished work of a suite.  Reading a property reads what it needs of the results folder, and no more."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the suite."""

    @property
    @abstractmethod
    def metrics(self) -> Metrics:
        """What is declared of each metric: which way is better, how it is called and bounded."""

    @property
    @abstractmethod
    def records(self) -> Sequence[Record]:
        """Every number on record: those of single runs, and those of two runs, which have an ``other``."""

    def numbers(self, row: Row, data: str, metric: str) -> list[float]:
        """A row's value of a metric on all of a data set, one a run, by the truth that the report holds it against."""
        place = (row, data, "all", self.truth_of(data), metric, "")
        every = ((one.value, (one.row, one.data, one.slice, one.truth, one.metric, one.other)) for one in self.records)
        return [value for value, of in every if of == place]

    @property
    @abstractmethod
    def comparisons(self) -> Sequence[Comparison]:
        """Intervals of each method, and paired differences of each two that are no `references`."""

    @property
    @abstractmethod
    def rows(self) -> Mapping[Row, Runs]:
        """The rows of tables, each with the runs that it should rest on: `references` first, else as in the suite."""

    @property
    @abstractmethod
    def report(self) -> Mapping[str, Component]:
        """The tables that the suite asks for by name under ``report:``, with their settings."""

    @property
    @abstractmethod
    def tables(self) -> Mapping[str, Table]:
        """Every table by name, as it was made; for figures and panels: a table is not made of tables."""

    @property
    @abstractmethod
    def other_tables(self) -> Sequence[Table]:
        """The tables that lie in the results folder and that nobody here makes, such as one of a plugin elsewhere."""

    @property
    @abstractmethod
    def data(self) -> Sequence[str]:
        """The data sets that the suite's ``report:`` names, in its order."""

    @abstractmethod
    def truth_of(self, data: str) -> str:
        """The truth that the report holds a data set against; ``gold`` where it does not say."""

    @property
    @abstractmethod
    def methods(self) -> Sequence[str]:
        """The two methods that are compared, the baseline first.

        Where the report names none, they are the first two that are no `references`.
        """

    @property
    def references(self) -> Sequence[str]:
        """The methods of reference rows, in the suite's order; empty where none is known."""
        return references_of(self.run.methods)

    def given(self, method: str) -> str:
        """What a method was given, such as ``texts`` or ``both models``; empty where that is not known."""
        facts = self.run.methods.get(method)
        return facts.given if facts is not None else ""

    @property
    @abstractmethod
    def known(self) -> KnownByData:
        """Of how many examples of each data set the label is known, where it is not of all."""

    @property
    @abstractmethod
    def notes(self) -> Sequence[str]:
        """Sentences about the whole run, such as which texts were read only in part."""

    @property
    @abstractmethod
    def warnings(self) -> Sequence[str]:
        """What tables, figures and panels of plugins could not be shown so far, and why."""

    @property
    @abstractmethod
    def verdicts(self) -> Sequence[Verdict]:
        """The verdicts on the suite's claims; empty where it makes none."""

    @property
    def findings(self) -> Sequence[Findings]:
        """What the suite found of each of its models, where its report asks for `findings`; else empty."""
        return ()

    @property
    def headlines(self) -> Sequence[str]:
        """The sentences of the report's tables with which the first screen begins."""
        return ()

    @abstractmethod
    def sheets(self, data: Iterable[str]) -> Sequence[Sheet]:
        """Examples and rewards of these data sets, models and runs in the order of the suite."""

    @property
    @abstractmethod
    def histories(self) -> Sequence[History]:
        """What was noted of each training."""

    @property
    @abstractmethod
    def realigned(self) -> Sequence[Realigned]:
        """The completions of each re-alignment."""

    @abstractmethod
    def evidence(self, evaluator: str, name: str = "") -> Sequence[CellEvidence]:
        """The rows that an evaluator kept of each cell; of several tables, those of the one with this name.

        Empty where the suite has no such evaluator, or where it kept nothing.
        """

    @property
    @abstractmethod
    def suite(self) -> str:
        """The suite as it was resolved, the text of ``suite.yaml``."""

    @property
    @abstractmethod
    def run(self) -> RunFacts:
        """What ``run.json`` says of the run: machine, packages, stages, failures."""
