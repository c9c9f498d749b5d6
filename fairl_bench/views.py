"""The kinds of part that show what a suite came to: tables, figures, and the sections of its page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from fairl_bench.component import Component, Spec
from fairl_bench.errors import PluginError
from fairl_bench.guards.views import UNGUARDED, ViewGuard, checked_table
from fairl_bench.material import Material, Picture
from fairl_bench.values.comparison import Question, TwoMethods
from fairl_bench.values.data import GOLD
from fairl_bench.values.findings import Findings
from fairl_bench.values.records import Record
from fairl_bench.values.table import Table
from fairl_bench.values.truths import TruthName

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Truths = TruthName | dict[str, TruthName]
"""One truth, or one by data name; ``pairs`` stands for every part of the pairs."""


def truth_of(truth: Truths, data: str) -> str:
    """The truth that is meant for this data.

    >>> truth_of({"pairs": "preferred", "jigsaw": "gold"}, "pairs/test")
    'preferred'
    """
    if isinstance(truth, str):
        return truth
    return truth.get(data) or truth.get(data.partition("/")[0]) or GOLD


class ReportTable(Component, ABC):
    """Tables of a report.

    Its fields are what a suite may set under its name in ``report:``.  What else it says of itself lets a suite be
    checked before a run, and has the statistics made that it shows.
    """

    kind = "table"
    named_by_place = True
    always: ClassVar[bool] = False
    """Whether it is made wherever its data is there; if not, only where the suite names it under ``report:``."""

    @abstractmethod
    def tables(self, material: Material) -> Iterable[Table]:
        """The tables that can be made of the material; none where it holds nothing for them.

        A table without a name gets that of the part.
        """

    def datasets(self) -> Sequence[str]:
        """The data sets that it is about; one that the suite does not have is refused."""
        return ()

    def truth_of(self, data: str) -> str:
        """The truth that a data set is held against."""
        return GOLD

    def truths_by_data(self) -> Sequence[str]:
        """The names of data that its settings give a truth of their own."""
        return ()

    def measures(self) -> Sequence[str]:
        """The metrics that it shows; one that no evaluator of the suite measures is refused."""
        return ()

    def measured_against(self, metric: str, data: str) -> str:
        """The truth that one of these metrics is measured against; by default that of the data set."""
        return self.truth_of(data)

    def models(self) -> Sequence[str]:
        """The models that its settings name; one that the suite does not have is refused."""
        return ()

    def concepts(self) -> Sequence[str]:
        """The concepts that its settings name; one that no evaluator of the suite measures is refused."""
        return ()

    def shown_methods(self) -> Sequence[str]:
        """The methods that its settings name beside a `pair`; one that the suite does not have is refused."""
        return ()

    def shown_slices(self) -> Sequence[str]:
        """The slices of the pairs that its settings name; one that the suite does not evaluate is refused."""
        return ()

    def pair(self) -> tuple[str, str] | None:
        """The two methods that it holds against one another, the baseline first; None where it is about all."""
        return None

    def findings(self, material: Material) -> Sequence[Findings]:
        """What was found of each model, for ``findings.json`` and the first screen of the page; by default nothing."""
        return ()

    def headlines(self, material: Material) -> Iterable[str]:
        """What was found, in a sentence or two that the first screen of the page begins with; by default nothing."""
        return ()

    def questions(self) -> Sequence[Question]:
        """What is to be compared over all runs, for intervals and ranks (`Material.comparisons`)."""
        return ()

    def disagreements(self) -> Sequence[TwoMethods]:
        """Where the right and wrong answers of two methods are to be counted (`Material.records` with an ``other``)."""
        return ()

    def seed_distances(self) -> Sequence[str]:
        """The data sets on which the rewards of each two seeds are to be held against one another, as records too."""
        return ()

    def between(self, methods: tuple[str, str]) -> Self:
        """The same for two other methods; by default nothing changes."""
        return self

    def for_two(self, methods: tuple[str, str]) -> Spec | None:
        """The spec of a table that holds two methods against one another on its data; None where it knows none."""
        return None

    def with_intervals(self) -> Self:
        """The same with the interval of each number in its cell; by default nothing changes."""
        return self


class Drawn(NamedTuple):
    """A figure: the name of its files, the sentence that says what it shows, and what matplotlib draws."""

    name: str
    title: str
    figure: Figure


class ReportFigure(Component, ABC):
    """Figures of a report, drawn wherever their data is there."""

    kind = "figure"

    @abstractmethod
    def figures(self, material: Material) -> Iterable[Drawn]:
        """The figures that can be drawn of the material; none where it holds nothing for them."""


@dataclass(frozen=True)
class Section:
    """One section of the page: its title, and what stands below it.

    Every text is escaped, and no script in it runs: ``html`` is shown in a frame of its own that may do nothing.
    """

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    html: str = ""


class Panel(Component, ABC):
    """A section of ``report.html``.

    It gives texts, tables and pictures, which the page escapes, or HTML of its own, which the page puts into a frame
    without scripts, forms, links and requests.  Nothing that it gives can change the rest of the page.
    """

    kind = "panel"

    @abstractmethod
    def section(self, material: Material, pictures: Mapping[str, Picture]) -> Section | None:
        """Its title and content; None where there is nothing to show.  ``pictures`` are all figures, by name."""


Report = Mapping[str, ReportTable]
"""The tables that a suite asks for under ``report:``, by name, in its order."""


def datasets_of(report: Report) -> list[str]:
    """The data sets that a report names, each once."""
    return list(dict.fromkeys(data for part in report.values() for data in part.datasets()))


def truth_in(report: Report, data: str) -> str:
    """The truth that a report holds a data set against: that of the first table which names it."""
    return next((part.truth_of(data) for part in report.values() if data in part.datasets()), GOLD)


def two_methods(report: Report, records: Iterable[Record], references: Container[str] = ()) -> tuple[str, ...]:
    """The two methods that a report holds against one another; where it names none, the first two on record.

    A reference row is no method to hold others against unless the report names it.
    """
    pair = next((pair for part in report.values() if (pair := part.pair()) is not None), None)
    return pair or tuple(dict.fromkeys(row.method for row in records if row.method not in references))[:2]


def questions(report: Report) -> list[Question]:
    """What a report asks to be compared over all runs: every metric of a data set and truth once."""
    metrics: dict[tuple[str, str], dict[str, None]] = {}
    for part in report.values():
        for question in part.questions():
            metrics.setdefault((question.data, question.truth), {}).update(dict.fromkeys(question.metrics))
    return [Question(data, truth, tuple(names)) for (data, truth), names in metrics.items()]


def seed_distances(report: Report) -> list[str]:
    """The data sets on which a report asks for the distance of each two seeds, each once."""
    return list(dict.fromkeys(data for part in report.values() for data in part.seed_distances()))


def with_intervals(report: Report, guard: ViewGuard) -> Report:
    """The same report with the interval of each number shown where a table can show it."""
    return changed(report, lambda part: part.with_intervals(), guard)


def changed(report: Report, change: Callable[[ReportTable], ReportTable], guard: ViewGuard) -> Report:
    """The report with each table changed; without one of a plugin's that cannot be."""
    tables = {}
    for name, part in report.items():
        with guard.call(part.kind, name):
            tables[name] = change(part)
            if not isinstance(tables[name], ReportTable):
                raise PluginError(f"it gave {tables.pop(name)!r:.60} for a table with other settings")
    return tables


def headlines(report: Report, material: Material, guard: ViewGuard = UNGUARDED) -> list[str]:
    """The sentences that the tables of a report have for the first screen, in their order."""
    said: list[str] = []
    for name, part in report.items():
        with guard.call(part.kind, name):
            sentences = part.headlines(material)
            if isinstance(sentences, str):
                raise PluginError(f"its headlines are the text {sentences!r:.60}; give a list of sentences")
            said += sentences
    return said


def make_tables(parts: Iterable[ReportTable], material: Material, guard: ViewGuard = UNGUARDED) -> dict[str, Table]:
    """The tables of these parts that have a row, by name."""
    tables: dict[str, Table] = {}
    for part in parts:
        made: list[Table] = []
        with guard.call(part.kind, part.use):
            made = [checked_table(table, part.use) for table in part.tables(material)]
        for table in made:
            if table.rows and guard.may_call(part.kind, part.use, table.name, tables):
                tables[table.name] = table
    return tables
