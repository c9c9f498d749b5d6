"""What a recovered reward is about: the concepts that explain it within prompts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import Name
from fairl_bench.errors import DataError, Undefined
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.judge import Judge
from fairl_bench.metrics import Metric
from fairl_bench.science.streams import stream
from fairl_bench.values.contents import (
    ALONE,
    AUC,
    BESIDE,
    CHOICE,
    CONCEPT,
    DETECTABLE,
    DOSE_COLUMNS,
    DOSE_RESPONSE,
    ENDS,
    REST,
    SHARE,
    SLOPE,
)
from fairl_bench.values.data import Floats, Scored
from fairl_bench.values.records import Evidence, Measure

if TYPE_CHECKING:
    from fairl_bench.science.concepts import Attribution as Found
    from fairl_bench.science.concepts import Explained

_NUMBERS = {SHARE: "share", SLOPE: "slope", AUC: "auc", ALONE: "alone", BESIDE: "beside", CHOICE: "choice"}


class Attribution(Evaluator):
    """The share of a reward's variance within prompts that each concept explains, and what is left unexplained.

    A concept is a judge whose value says how much of something a text has.  Shares are Shapley values of the explained
    variance, of a regression that is fitted on one half of the prompts and measured on the other; their bounds hold for
    all concepts at once.  ``concept_alone`` and ``concept_beside`` are what a concept explains as the only one, and
    what it adds to all others; ``concept_slope`` is the change of the reward a standard deviation of it, beside all
    others, and ``concept_auc`` how often the preferred text of a pair has more of it.  ``concept_choice`` is what it
    adds to all others in telling which text of a pair is preferred, of what all concepts tell.  ``detectable_share`` is
    the share with which it would have been named four times in five.  What there is between two concepts is kept as
    evidence: their rank correlation within prompts, and whether they share one share, or the first goes along with the
    second; and so is the mean reward by quantile of each concept (``dose-response``).
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        *(Metric(f"{name}{end}") for name in (*_NUMBERS, REST) for end in ENDS),
        Metric(DETECTABLE),
    )

    concepts: dict[Name, Judge] = Field(min_length=1, description="by the name that tables show, a judge")
    together: float = Field(
        0.8, gt=0, le=1, description="correlation within prompts above which concepts share one share"
    )
    resamples: int = Field(1000, ge=100, description="resamples of prompts, for the intervals")

    @field_validator("concepts")
    @classmethod
    def _are_plain(cls, concepts: dict[str, Judge]) -> dict[str, Judge]:
        for name in concepts:
            if "+" in name:
                message = "the name of a concept needs to be without '+', got {name}"
                raise PydanticCustomError("name", message, {"name": repr(name)})
        return concepts

    def judges(self) -> Mapping[str, Judge]:
        """Return the concepts."""
        return {CONCEPT + name: judge for name, judge in self.concepts.items()}

    def measured(self) -> frozenset[str]:
        """Return the concepts, and no truth for what is left unexplained."""
        return frozenset({"", *(CONCEPT + name for name in self.concepts)})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterator[Measure | Evidence]:
        """Return 19 numbers a concept and four others a data set; NaN with a note where there is nothing to say."""
        relations: list[tuple[str, str, str, float, str]] = []
        doses: list[Mapping[str, Any]] = []
        for data in self.data:
            values = {name: self._values(name, scored[data]) for name in self.concepts}
            try:
                found = self._found(scored[data], values)
            except Undefined as reason:
                yield from _unknown(data, tuple(self.concepts), len(scored[data].examples), str(reason))
            else:
                yield from _numbers(data, found)
                relations += [(data, *relation) for relation in _relations(found)]
            doses += self._doses(data, scored[data], values)
        columns = zip(*relations, strict=True) if relations else ([] for _ in _RELATION)
        yield Evidence(dict(zip(_RELATION, map(list, columns), strict=True)))
        yield Evidence({name: [row[name] for row in doses] for name in DOSE_COLUMNS}, DOSE_RESPONSE)

    def _values(self, name: str, scored: Scored) -> Floats:
        """Return how much of a concept each text has ``[n]``."""
        value = scored.examples.truths[CONCEPT + name].value
        if len(unknown := np.flatnonzero(~np.isfinite(value))):
            text = scored.examples.text[unknown[0]]
            raise DataError(
                f"evaluator {self.use!r}: concept {name!r} has no value for {len(unknown)} of {len(value)} texts, such "
                f"as {text[:60]!r}; name a judge that knows every text"
            )
        return value

    def _doses(self, data: str, scored: Scored, values: Mapping[str, Floats]) -> Iterator[Mapping[str, Any]]:
        """Return a row for each group of texts that have about as much of a concept."""
        from fairl_bench.science.concepts import told_prompts
        from fairl_bench.science.dose_response import dose_responses

        examples, rng = scored.examples, stream("dose-response", 0)
        try:
            prompt = told_prompts(examples.prompt, examples.pair)
            found = dose_responses(
                scored.reward, values, prompt, rng, resamples=self.resamples, cluster=examples.clusters()
            )
        except Undefined:
            return  # the shares say why
        for name, dose in found.items():
            for group in zip(*(column.tolist() for column in dose), strict=True):
                yield dict(zip(DOSE_COLUMNS, (data, name, *group), strict=True))

    def _found(self, scored: Scored, values: Mapping[str, Floats]) -> Found:
        from fairl_bench.science.concepts import attribution, told_prompts

        examples = scored.examples
        return attribution(
            scored.reward,
            values,
            told_prompts(examples.prompt, examples.pair),
            examples.role,
            stream("attribution", 0),
            together=self.together,
            resamples=self.resamples,
            cluster=examples.clusters(),
        )


_NOT_TOLD = "it needs pairs that all concepts together tell apart"
_RELATION = ("data", "concept", "other", "correlation", "relation")


def _unknown(data: str, concepts: Iterable[str], n: int, reason: str) -> Iterator[Measure]:
    """NaN for the shares of a data set of which nothing can be said."""
    for truth, metric in (*((CONCEPT + name, SHARE) for name in concepts), ("", REST)):
        for end in ENDS:
            yield Measure(data, truth, metric + end, math.nan, n, reason)


def _numbers(data: str, found: Found) -> Iterator[Measure]:
    """The numbers of a data set."""
    n = found.prompts
    for name, one in found.concepts.items():
        said = _said(name, one)
        for metric, field in _NUMBERS.items():
            why = "it needs pairs" if metric == AUC else one.why or _NOT_TOLD if metric == CHOICE else one.why
            for end, value in zip(ENDS, getattr(one, field), strict=True):
                yield Measure(data, CONCEPT + name, metric + end, value, n, why if math.isnan(value) else said)
        yield Measure(data, CONCEPT + name, DETECTABLE, one.detectable, n, one.why)
    for end, value in zip(ENDS, found.unexplained, strict=True):
        yield Measure(data, "", REST + end, value, n)
    yield Measure(data, "", DETECTABLE, found.detectable, n, "" if found.detectable > 0 else "no concept can be known")


def _relations(found: Found) -> Iterator[tuple[str, str, float, str]]:
    """What there is between each two concepts that vary: the correlation, and what is said of it."""
    for i, (name, one) in enumerate(found.concepts.items()):
        for j, other in enumerate(found.concepts):
            if i != j and math.isfinite(correlation := float(found.correlation[i, j])):
                said = "one share" if other in one.group else "along" if other in one.along else ""
                yield name, other, correlation, said


def _said(name: str, one: Explained) -> str:
    """What there is to say of a concept beside its numbers."""
    from fairl_bench.science.concepts import turns

    others = [other for other in one.group if other != name]
    sentences = [f"it shares its share with {', '.join(others)}"] if others else []
    if one.along:
        sentences.append(f"it goes along with {', '.join(one.along)}, so that one may stand for the other")
    if one.leans:
        sentences.append("it adds nothing to the other concepts, so that it is not named beside them")
    if turns(one):
        sentences.append("beside the others its slope points the other way than its difference by itself")
    return "; ".join(sentences)
