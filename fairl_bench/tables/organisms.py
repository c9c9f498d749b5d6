"""The tables of how often audits are right, measured on models whose reward is known because it was planted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import Name, Settings
from fairl_bench.material import Material
from fairl_bench.results.organisms import STARC, Audit, Direction, Expected, Tally, always, audits, tally
from fairl_bench.results.share_texts import percent_interval
from fairl_bench.values.ceiling import PAIR_ACCURACY
from fairl_bench.values.comparison import Question
from fairl_bench.values.contents import REST
from fairl_bench.values.data import GOLD, PREFERRED
from fairl_bench.values.findings import ConceptFinding
from fairl_bench.values.phrases import listed
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

    def audits(self, material: Material) -> dict[str, list[Audit]]:
        """What each auditor has found of each model and replicate, in the order of the settings."""
        expected = {model: Expected(one.names, one.related) for model, one in self.expect.items()}
        nothing = dict.fromkeys((*self.nulls, *self.drifted))
        return audits(material, self.data, {**expected, **nothing}, self.methods)

    def headlines(self, material: Material) -> Iterator[str]:
        """How often each auditor names what was planted, and how many alarms it raises."""
        if found := self.audits(material):
            tallies = self._tallies(found)
            yield f"What was planted is named first {_by_auditor(tallies, 'named_first', 'organisms', 'models')}."
            if any(one.nulls for one in tallies.values()):
                yield (
                    "Of models that were rewarded for nothing, something is named "
                    f"{_by_auditor(tallies, 'alarms', 'nulls', '')}."
                )

    def tables(self, material: Material) -> Iterator[Table]:
        """How often each auditor is right, and for each of them what it has named."""
        found = self.audits(material)
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

    def _tallies(self, found: Mapping[str, Sequence[Audit]]) -> dict[str, Tally]:
        """The counts of each auditor, and of the control."""
        tallies = {name: tally(each, self.drifted) for name, each in found.items()}
        if self.control is not None:
            audited = always(self.control, next(iter(found.values())))
            tallies[f"always {self.control}"] = tally(audited, self.drifted)
        return tallies

    def _summary(self, material: Material, found: Mapping[str, Sequence[Audit]]) -> Table:
        """One row an auditor, and one for the control."""
        tallies = self._tallies(found)
        blends = any(one.blends for one in tallies.values())
        heads = tuple(("", head) for head in ("auditor", *_heads(blends=blends)))
        methods = material.run.methods
        rows = tuple((with_given(name, methods), *_counts(one, blends=blends)) for name, one in tallies.items())
        tidy = tuple({"auditor": name, **one._asdict()} for name, one in tallies.items())
        return Table("How often audits are right", heads, rows, self._notes(blends=blends), tidy, name="organisms")

    def _of_auditor(self, auditor: str, each: Sequence[Audit]) -> Table:
        """One row a model: what the auditor has named first, and what that is."""
        several = len({audit.found.replicate for audit in each}) > 1
        blends = any(audit.weights for audit in each)
        rows = []
        for audit in each:
            name = f"{audit.found.model}, {audit.found.replicate}" if several else audit.found.model
            weights = [_weights(audit)] if blends else []
            told = (_apart(audit), _number(audit.starc))
            rows.append((name, self._planted(audit.found.model), *_named(audit), *told, *weights))
        heads = tuple(("", head) for head in (*_MODEL_HEADS, *(["recovered weights"] if blends else [])))
        notes = (*_MODEL_NOTES, *([_WEIGHTS] if blends else []))
        tidy = tuple(_tidy(auditor, audit) for audit in each)
        file = f"organisms-{auditor.replace(', ', '-')}"
        return Table(f"What {auditor} names, {self.data}", heads, tuple(rows), notes, tidy, name=file)

    def _planted(self, model: str) -> str:
        if model in self.expect:
            return " or ".join(f"{direction} {name}" for name, direction in self.expect[model].names.items())
        return "nothing" if model in self.nulls else "noise"

    def _notes(self, *, blends: bool) -> tuple[str, ...]:
        control = f" The control names {self.control} whatever it is given." if self.control else ""
        return (*_NOTES[:-1], _NOTES[-1] + control, *([_WEIGHTS] if blends else []))


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
_WEIGHTS: Final = (
    "Recovered weights: what the reward pays for each objective of a blend, of the sum of their sizes, with the 95 % "
    "interval and the planted weight."
)
_MODEL_NOTES: Final = (
    "Named first: the named concept with the greatest share of the reward's variance within prompts, with the bounds "
    "that hold for all concepts at once. Nothing is named where the two sides are not told apart.",
    "Told apart: how often the reward ranks the text of the aligned model higher, with the 95 % interval.",
    "STARC per prompt: the distance from the auditor's reward to the planted one.",
)


def _heads(*, blends: bool) -> tuple[str, ...]:
    """What the summary says of each auditor."""
    first = ("objective named first", "related named first", "only wrong names", "nothing named")
    weights = ("planted weights in interval",) if blends else ()
    return (*first, "alarms on nulls", "names after noise", "STARC per prompt", *weights)


def _counts(one: Tally, *, blends: bool) -> list[str]:
    """The counts in words: so many of how many."""
    of_organisms = (one.named_first, one.related_first, one.only_wrong, one.nothing_named)
    counts = [*((count, one.organisms) for count in of_organisms), (one.alarms, one.nulls)]
    counts += [(one.names_after_noise, one.drifted)]
    texts = [*map(_of, counts), _number(one.starc)]
    return [*texts, _of((one.weights_inside, one.blends))] if blends else texts


def _by_auditor(tallies: Mapping[str, Tally], count: str, of: str, what: str) -> str:
    """A count of each auditor, the first with what it is of: ``in 12 of 12 models by log-ratio, in 9 by length``."""
    parts = [f"in {getattr(one, count)} by {_quoted(name)}" for name, one in tallies.items()]
    first, one = next(iter(tallies.items()))
    parts[0] = f"in {getattr(one, count)} of {getattr(one, of)}{f' {what}' if what else ''} by {first}"
    return listed(parts)


def _quoted(auditor: str) -> str:
    """
    >>> _quoted("log-ratio"), _quoted("always toxic-words")
    ('log-ratio', "'always toxic-words'")
    """
    return f"{auditor!r}" if " " in auditor else auditor


def _of(count: tuple[int, int]) -> str:
    """
    >>> _of((2, 3)), _of((0, 0))
    ('2 of 3', 'n/a')
    """
    return f"{count[0]} of {count[1]}" if count[1] else "n/a"


def _weights(audit: Audit) -> str:
    """The recovered weights of a blend, each with its interval and the planted one."""
    numbers = {
        name: "n/a" if math.isnan(one.low) else f"{one.recovered:.2f} [{one.low:.2f}, {one.high:.2f}]"
        for name, one in audit.weights.items()
    }
    return "; ".join(f"{name} {numbers[name]}, planted {one.planted:.2f}" for name, one in audit.weights.items())


def _named(audit: Audit) -> tuple[str, str, str, str]:
    """What was named first, its share, what that is, and what else was named."""
    first = audit.first
    if first is None:
        return ("nothing", "", "right" if audit.expected is None else "none", "")
    others = ", ".join(one.phrase() for one in audit.found.named[1:])
    return (first.phrase(), _percent(first), audit.answer, others)


def _percent(one: ConceptFinding) -> str:
    return percent_interval(one.share)


def _apart(audit: Audit) -> str:
    accuracy = audit.found.separable.accuracy
    if math.isnan(accuracy.value):
        return "n/a"
    return f"{accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]"


def _number(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.2f}"


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
