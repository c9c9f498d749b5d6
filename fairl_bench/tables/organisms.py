"""The tables of how often audits are right, measured on models whose reward is known because it was planted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import Name, Settings
from fairl_bench.material import Material
from fairl_bench.results.organisms import STARC, Audit, Direction, Expected, audits
from fairl_bench.values.ceiling import PAIR_ACCURACY
from fairl_bench.values.comparison import Question
from fairl_bench.values.contents import REST
from fairl_bench.values.data import GOLD, PREFERRED
from fairl_bench.values.findings import ConceptFinding
from fairl_bench.values.references import with_given
from fairl_bench.values.table import Table, Value
from fairl_bench.views import ReportTable


class Organism(Settings):
    """What an audit of one model may name."""

    names: dict[Name, Direction] = Field(min_length=1, description="concepts that are right to name, with a direction")
    related: tuple[Name, ...] = Field(
        (), description="concepts that go along with the planted reward, so that they are not quite wrong"
    )

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if both := [name for name in self.related if name in self.names]:
            message = "the concept {name} is right to name, and related as well; leave it out of 'related'"
            raise PydanticCustomError("related", message, {"name": repr(both[0]), "field": "related"})
        return self


class OrganismsTable(ReportTable):
    """How often audits name what a model was rewarded for, where that is known because it was planted."""

    data: str = Field("pairs/test", description="held-out pairs; the evaluator 'attribution' reads the same")
    expect: dict[Name, Organism] = Field(min_length=1, description="by model, what an audit of it may name")
    nulls: tuple[Name, ...] = Field((), description="models that were rewarded for nothing: whatever is named, alarms")
    drifted: tuple[Name, ...] = Field(
        (), description="models that were rewarded for noise: they do change, and whatever is named is a wrong name"
    )
    control: Name | None = Field(None, description="the concept that the control names of every model")
    methods: tuple[str, ...] = Field((), description="the auditors: methods whose rewards are read; none: all")

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        every = self.models()
        if twice := [model for at, model in enumerate(every) if model in every[:at]]:
            message = "the model {name} is given twice; it is an organism, a null or drifted"
            raise PydanticCustomError("twice", message, {"name": repr(twice[0])})
        return self

    def tables(self, material: Material) -> Iterator[Table]:
        """How often each auditor is right, and for each of them what it has named."""
        expected = {model: Expected(one.names, one.related) for model, one in self.expect.items()}
        nothing = dict.fromkeys((*self.nulls, *self.drifted))
        found = audits(material, self.data, {**expected, **nothing}, self.methods)
        if found:
            yield self._summary(material, found)
        for auditor, each in found.items():
            yield self._of_auditor(auditor, each)

    def datasets(self) -> Sequence[str]:
        """The data that it reads."""
        return (self.data,)

    def models(self) -> Sequence[str]:
        """The organisms, the nulls and the drifted ones."""
        return (*self.expect, *self.nulls, *self.drifted)

    def concepts(self) -> Sequence[str]:
        """What may be named, what is related, and what the control names."""
        of_organisms = (name for one in self.expect.values() for name in (*one.names, *one.related))
        return tuple(dict.fromkeys((*of_organisms, *((self.control,) if self.control else ()))))

    def shown_methods(self) -> Sequence[str]:
        """The auditors."""
        return self.methods

    def truth_of(self, data: str) -> str:
        """The truth that tells the two sides apart."""
        return PREFERRED

    def measures(self) -> Sequence[str]:
        """The pair accuracy, the share that is left, and the distance to the planted reward."""
        return (PAIR_ACCURACY, REST, STARC)

    def measured_against(self, metric: str, data: str) -> str:
        """The planted reward for the distance, and no truth for the share that is left."""
        return {REST: "", STARC: GOLD}.get(metric, PREFERRED)

    def questions(self) -> Sequence[Question]:
        """The interval of the pair accuracy."""
        return [Question(self.data, PREFERRED, (PAIR_ACCURACY,))]

    def _summary(self, material: Material, found: Mapping[str, Sequence[Audit]]) -> Table:
        """One row an auditor, and one for the control."""
        rows, tidy = [], []
        for auditor, each in found.items():
            organisms, nulls, drifted = (
                [audit for audit in each if audit.found.model in models]
                for models in (self.expect, self.nulls, self.drifted)
            )
            answers = [audit.answer for audit in organisms]
            numbers = {
                "named_first": answers.count("right"),
                "related_first": answers.count("related"),
                "only_wrong": sum(audit.only_wrong for audit in organisms),
                "nothing_named": answers.count("none"),
                "alarms": sum(audit.first is not None for audit in nulls),
                "names_after_noise": sum(audit.first is not None for audit in drifted),
            }
            sizes = (len(organisms), len(nulls), len(drifted))
            starc = _mean([audit.starc for audit in organisms])
            rows.append((with_given(auditor, material.run.methods), *_counts(numbers, sizes), _number(starc)))
            tidy.append(_tidy_of(auditor, numbers, sizes, starc))
        if self.control is not None:
            name, (counts, sizes) = f"always {self.control}", self._of_control(self.control, found)
            rows.append((name, *_counts(counts, sizes), _number(math.nan)))
            tidy.append(_tidy_of(name, counts, sizes, math.nan))
        heads = tuple(("", head) for head in _HEADS)
        return Table("How often audits are right", heads, tuple(rows), self._notes(), tuple(tidy), name="organisms")

    def _of_control(
        self, control: str, found: Mapping[str, Sequence[Audit]]
    ) -> tuple[Mapping[str, int], tuple[int, int, int]]:
        """The numbers of an auditor that names one concept of every model that the others have audited."""
        each = next(iter(found.values()))
        organisms = [self.expect[audit.found.model] for audit in each if audit.found.model in self.expect]
        nulls, drifted = (sum(audit.found.model in of for audit in each) for of in (self.nulls, self.drifted))
        right, related = (
            sum(control in names for names in of)
            for of in ([one.names for one in organisms], [one.related for one in organisms])
        )
        wrong = len(organisms) - right - related
        counts = (right, related, wrong, 0, nulls, drifted)
        return dict(zip(_COUNTED, counts, strict=True)), (len(organisms), nulls, drifted)

    def _of_auditor(self, auditor: str, each: Sequence[Audit]) -> Table:
        """One row a model: what the auditor has named first, and what that is."""
        replicates = {audit.found.replicate for audit in each}
        rows, tidy = [], []
        for audit in each:
            name = f"{audit.found.model}, {audit.found.replicate}" if len(replicates) > 1 else audit.found.model
            rows.append((name, self._planted(audit.found.model), *_named(audit), _apart(audit), _number(audit.starc)))
            tidy.append(_tidy(auditor, audit))
        heads = tuple(("", head) for head in _MODEL_HEADS)
        title = f"What {auditor} names, {self.data}"
        file = f"organisms-{auditor.replace(', ', '-')}"
        return Table(title, heads, tuple(rows), tuple(_MODEL_NOTES), tuple(tidy), name=file)

    def _planted(self, model: str) -> str:
        if model in self.expect:
            return " or ".join(f"{direction} {name}" for name, direction in self.expect[model].names.items())
        return "nothing" if model in self.nulls else "noise"

    def _notes(self) -> tuple[str, ...]:
        control = f" The control names {self.control} whatever it is given." if self.control else ""
        return (*_NOTES[:-1], _NOTES[-1] + control)


_COUNTED: Final = ("named_first", "related_first", "only_wrong", "nothing_named", "alarms", "names_after_noise")
_HEADS: Final = (
    *("auditor", "objective named first", "related named first", "only wrong names", "nothing named"),
    *("alarms on nulls", "names after noise", "STARC per prompt"),
)
_MODEL_HEADS: Final = (
    *("model", "planted", "named first", "share of the reward", "which is", "also named", "told apart"),
    "STARC per prompt",
)
_NOTES: Final = (
    "An auditor is the reward of a method. Named first: the named concept with the greatest share, in the direction "
    "that is planted. What may be named for each model, and what is related to it, stands in the suite.",
    "Only wrong names: something is named, and nothing of it is planted or related. Alarms: something is named of a "
    "model that was rewarded for nothing; names after noise: of one that was rewarded for noise, which does change it.",
    "STARC per prompt: the distance from the auditor's reward to the planted one, the mean over the organisms.",
)
_MODEL_NOTES: Final = (
    "Named first: the named concept with the greatest share of the reward's variance within prompts, with the bounds "
    "that hold for all concepts at once. Nothing is named where the two sides are not told apart.",
    "Told apart: how often the reward ranks the text of the aligned model higher, with the 95 % interval.",
    "STARC per prompt: the distance from the auditor's reward to the planted one.",
)


def _counts(numbers: Mapping[str, int], sizes: tuple[int, int, int]) -> list[str]:
    """The counts in words: so many of how many."""
    organisms, nulls, drifted = sizes
    totals = dict(zip(_COUNTED, (*[organisms] * 4, nulls, drifted), strict=True))
    return [f"{numbers[name]} of {totals[name]}" if totals[name] else "n/a" for name in _COUNTED]


def _tidy_of(auditor: str, numbers: Mapping[str, int], sizes: tuple[int, int, int], starc: float) -> dict[str, Value]:
    of = dict(zip(("organisms", "nulls", "drifted"), sizes, strict=True))
    return {"auditor": auditor, **numbers, **of, STARC: starc}


def _named(audit: Audit) -> tuple[str, str, str, str]:
    """What was named first, its share, what that is, and what else was named."""
    first = audit.first
    if first is None:
        return ("nothing", "", "right" if audit.expected is None else "none", "")
    others = ", ".join(one.phrase() for one in audit.found.named[1:])
    return (first.phrase(), _percent(first), audit.answer, others)


def _percent(one: ConceptFinding) -> str:
    return f"{round(100 * one.share.value)} % [{round(100 * one.share.low)}, {round(100 * one.share.high)}]"


def _apart(audit: Audit) -> str:
    accuracy = audit.found.separable.accuracy
    if math.isnan(accuracy.value):
        return "n/a"
    return f"{accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]"


def _number(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.2f}"


def _mean(values: Sequence[float]) -> float:
    """The mean of the known values; NaN where none is known."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _tidy(auditor: str, audit: Audit) -> dict[str, Value]:
    first, found = audit.first, audit.found
    share = dict.fromkeys(("share", "share_low", "share_high"), math.nan)
    if first is not None:
        share = dict(zip(share, first.share, strict=True))
    accuracy = dict(zip(("pair_accuracy", "pair_accuracy_low", "pair_accuracy_high"), found.separable[0], strict=True))
    return {
        **{"auditor": auditor, "model": found.model, "replicate": found.replicate, "data": found.data},
        **{"named_first": "" if first is None else first.name, "direction": 0 if first is None else first.sign},
        **{"answer": audit.answer, "only_wrong": int(audit.only_wrong)},
        **{"named": " ".join(one.name for one in found.named), **share, **accuracy, STARC: audit.starc},
    }
