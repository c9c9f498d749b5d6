"""A claim of a suite, and the verdict of a test on it."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import Name, Settings
from fairl_bench.guards.printable import printable
from fairl_bench.metrics import Metric
from fairl_bench.values.coordinates import Setting
from fairl_bench.values.data import GOLD
from fairl_bench.values.table import Value
from fairl_bench.values.truths import TruthName

Outcome = Literal["supported", "refuted", "equivalent", "inconclusive"]


class Claim(Settings):
    """A statement about records that a test can support or refute."""

    id: Name
    better: Name = Field(description="the method that is said to be better")
    than: Name | Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="the method that it is better than; of several it must be better than each"
    )
    metric: str
    data: str
    truth: TruthName = GOLD
    slice: str = "all"
    by_at_least: float = Field(0.0, ge=0, description="in units of the metric")
    within: float | None = Field(
        None, gt=0, description="in units of the metric: not better, but equivalent, no further apart than this"
    )
    under: tuple[Name, ...] = Field(
        (), description="selections of the suite; a verdict that is not the same under each depends on the selection"
    )
    alpha: float = Field(0.05, gt=0, lt=1)
    effect: float | None = Field(None, gt=0, description="the gain that the source reports: power is of finding it")
    expect: Literal["supported", "refuted", "inconclusive", "equivalent", "depends on the selection", "any"] = "any"
    source: str = Field("", description="the sentence that says so, and where it stands")

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if self.within is not None and self.by_at_least:
            message = "a claim is of a gain (by_at_least) or of equivalence (within); leave one out"
            raise PydanticCustomError("claim", message, {"field": "within"})
        return self

    def comparators(self) -> tuple[str, ...]:
        """The methods that it is compared with."""
        return (self.than,) if isinstance(self.than, str) else self.than


class Effect(NamedTuple):
    """The gain of one method over another, in the direction in which its metric is better."""

    than: str
    gain: float
    low: float
    high: float
    p: float  # of a gain of zero
    error: float  # the standard error of the gain
    freedom: float  # its degrees of freedom
    units: int
    unit: str
    n: int
    note: str


class Verdict(NamedTuple):
    """A claim of one model, encoder and variant, with what it was judged by."""

    claim: Claim
    metric: Metric
    setting: Setting
    effect: Effect  # of several comparators, the one that decides
    p: float  # of a gain of ``by_at_least``, or that the methods are further apart than ``within``
    p_holm: float  # over all claims of the suite; of a claim under selections, over those under the same one
    power: float  # of finding the effect that the source reports; NaN where it reports none
    detectable: float  # the gain found with a power of 0.8
    alone: Outcome  # by these numbers
    verdict: Outcome | Literal["depends on the selection"]  # of the claim: under all of its selections

    def __repr__(self) -> str:
        claim, effect = self.claim, self.effect
        gain = f"gain {effect.gain:+.4f} [{effect.low:+.4f}, {effect.high:+.4f}]"
        measured = effect.note if math.isnan(effect.gain) else f"{gain}, p (Holm) {self.p_holm:.3g}"
        where = f"{claim.metric} of {claim.data}, {claim.better} over {effect.than}"
        return printable(f"<claim {claim.id}: {self.verdict}; {where}: {measured}>")

    @property
    def met(self) -> bool:
        """True where it came out as the suite expects."""
        return self.claim.expect in ("any", self.verdict)

    def plain(self) -> dict[str, Value]:
        """A verdict as ``run.json`` and the tables' files keep it."""
        claim, effect = self.claim, self.effect
        content: dict[str, Value] = {"claim": claim.id, **self.setting._asdict()}
        content |= {"better": claim.better, "than": ",".join(claim.comparators()), "decided_by": effect.than}
        content |= {"metric": claim.metric, "data": claim.data, "within": claim.within}
        content |= {"truth": claim.truth, "slice": claim.slice, "by_at_least": claim.by_at_least, "alpha": claim.alpha}
        content |= {"gain": effect.gain, "low": effect.low, "high": effect.high, "p": self.p, "p_holm": self.p_holm}
        content |= {"power": self.power, "detectable": self.detectable, "n": effect.n, "units": effect.units}
        content |= {"unit": effect.unit, "under": ",".join(claim.under), "alone": self.alone}
        content |= {"verdict": self.verdict, "expect": claim.expect, "met": int(self.met)}
        return {**content, "source": claim.source, "note": effect.note}
