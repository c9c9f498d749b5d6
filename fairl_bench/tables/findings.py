"""The table of what an audit found: the verdict on each concept, and the sentence that all come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import Field

from fairl_bench.material import Material
from fairl_bench.results import findings
from fairl_bench.results.share_texts import percent_interval
from fairl_bench.science.concepts import Interval
from fairl_bench.values.ceiling import PAIR_ACCURACY
from fairl_bench.values.comparison import Question
from fairl_bench.values.contents import REST
from fairl_bench.values.data import PREFERRED
from fairl_bench.values.findings import ConceptFinding, Findings
from fairl_bench.values.table import Table, Value
from fairl_bench.views import ReportTable

_HEADS: Final = ("rewarded", "verdict", "share of the reward", "more in preferred")


class FindingsTable(ReportTable):
    """What was found of each model: whether two sides differ, and in which concepts.

    ``findings.json`` holds the same, and the page begins with it.
    """

    data: str = Field("pairs/test", description="held-out pairs; the evaluator 'attribution' reads the same")
    methods: tuple[str, ...] = Field(
        (),
        description="whose reward is read: the first of these that has one; none: the log-ratio of the two models, "
        "else the first method that is no reference row",
    )

    def findings(self, material: Material) -> Sequence[Findings]:
        """What was found of each model and replicate."""
        return findings.findings(material, self.data, self.methods)

    def tables(self, material: Material) -> Iterator[Table]:
        """One table a model and replicate."""
        found = self.findings(material)
        for one in found:
            yield _table(one, several=len(found) > 1)

    def datasets(self) -> Sequence[str]:
        """The data that it reads."""
        return (self.data,)

    def shown_methods(self) -> Sequence[str]:
        """The methods whose rewards it reads."""
        return self.methods

    def truth_of(self, data: str) -> str:
        """The truth that tells the two sides apart."""
        return PREFERRED

    def measures(self) -> Sequence[str]:
        """The pair accuracy, and the share that is left."""
        return (PAIR_ACCURACY, REST)

    def measured_against(self, metric: str, data: str) -> str:
        """No truth for the share that is left."""
        return "" if metric == REST else self.truth_of(data)

    def questions(self) -> Sequence[Question]:
        """The interval of the pair accuracy."""
        return [Question(self.data, PREFERRED, (PAIR_ACCURACY,))]


def _table(found: Findings, *, several: bool) -> Table:
    """The concepts of one model, the named ones first."""
    of = f"{found.model}, replicate {found.replicate}" if several else found.model
    rows: list[tuple[str, ...]] = [
        (_name(one), one.verdict or "n/a", _percent(one.share), _number(one.auc)) for one in found.concepts
    ]
    rows.append(("unexplained", "", _percent(found.unexplained), ""))
    notes = [f"{found.verdict}.", f"The reward is that of {found.method} on {found.data}.", *_notes(found)]
    name = f"findings-{found.model}-r{found.replicate}" if several else "findings"
    heads = tuple(("", head) for head in _HEADS)
    return Table(f"What was found of {of}", heads, tuple(rows), tuple(notes), tuple(_tidy(found)), name=name)


def _name(one: ConceptFinding) -> str:
    return one.phrase() if one.verdict == "named" else one.name


def _percent(share: Interval) -> str:
    if share.value != share.value:
        return "n/a"
    return percent_interval(share)


def _number(auc: Interval) -> str:
    return "n/a" if auc.value != auc.value else f"{auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"


def _notes(found: Findings) -> Iterator[str]:
    """Notes on what was said of single concepts."""
    for one in found.concepts:
        yield from (f"{sentence}." for sentence in findings.remarks(one))


def _tidy(found: Findings) -> Iterator[dict[str, Value]]:
    place: dict[str, Value] = {
        "model": found.model,
        "replicate": found.replicate,
        "method": found.method,
        "data": found.data,
    }
    for one in found.concepts:
        numbers = {
            f"{name}{end}": value
            for name, interval in (("share", one.share), ("auc", one.auc), ("slope", one.slope))
            for end, value in zip(("", "_low", "_high"), interval, strict=True)
        }
        yield {**place, "concept": one.name, "verdict": one.verdict or "", "direction": one.sign, **numbers}
