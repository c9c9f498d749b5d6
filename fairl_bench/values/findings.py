"""What an audit found: whether two sides differ, which concepts say in what, and how sure that is."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

from fairl_bench.science.concepts import Interval, Verdict

SCHEMA: Final = 1
"""The version of ``findings.json``."""
_CALLED: Final = 2
"""The names of concepts that cannot be held apart, of more than one more."""
Outcome = Literal["no difference shown", "named", "nothing named"]


class Separable(NamedTuple):
    """How often the reward ranks the preferred text of a pair higher, ties as half, and what would have been found."""

    accuracy: Interval  # 95 %, resampled by prompt
    pairs: int
    prompts: int
    could_have_found: float  # the pair accuracy that would have been told from 1/2 four times in five

    @property
    def shown(self) -> bool:
        """Whether the two sides are shown to differ.

        >>> [Separable(Interval(0.6, low, 0.7), 9, 9, 0.6).shown for low in (0.55, 0.45, math.nan)]
        [True, False, False]
        """
        return self.accuracy.low > 0.5


class ConceptFinding(NamedTuple):
    """What is known of one concept."""

    name: str
    verdict: Verdict | None  # None: it was not measured, and ``why`` says why not
    share: Interval  # of the reward's variance within prompts; its 95 % bounds hold for all concepts at once
    slope: Interval  # reward units a standard deviation of the concept, beside all others
    auc: Interval  # how often the preferred text of a pair has more of it, ties as half
    alone: Interval = Interval(math.nan)  # the share that it explains as the only concept
    beside: Interval = Interval(math.nan)  # the share that it adds to all others
    choice: Interval = Interval(math.nan)  # what it adds to telling preferred texts, of what all concepts tell
    with_it: tuple[str, ...] = ()  # the concepts that share its share, because these texts cannot hold them apart
    shortcut_for: tuple[str, ...] = ()  # named concepts that it goes along with, so that it may stand for them
    why: str = ""  # why it was not measured, or not named though its share is that of a named concept

    @property
    def sign(self) -> int:
        """+1 where more of it is rewarded, -1 where less is, 0 where neither is shown."""
        beside = (self.slope.low > 0) - (self.slope.high < 0)
        return beside or (self.auc.low > 0.5) - (self.auc.high < 0.5)

    @property
    def turns(self) -> bool:
        """Whether its slope beside the others points the other way than its difference by itself."""
        alone = (self.auc.low > 0.5) - (self.auc.high < 0.5)
        return ((self.slope.low > 0) - (self.slope.high < 0)) * alone < 0

    def phrase(self) -> str:
        """It with its direction: ``less toxic words``.

        >>> up = Interval(1.0, 0.5, 1.5)
        >>> ConceptFinding("first-person", "named", up, up, up).phrase()
        'more first person'
        """
        return f"{ {1: 'more ', -1: 'less '}.get(self.sign, '') }{self.called()}"

    def called(self) -> str:
        """It and those that cannot be held apart from it, in words; of many the first ones.

        >>> ConceptFinding("a", "named", *[Interval(0)] * 3, with_it=("b", "c", "d", "e")).called()
        'a or b or 3 others'
        """
        names = [name.replace("-", " ").replace("_", " ") for name in (self.name, *self.with_it)]
        more = len(names) - _CALLED
        return " or ".join(names if more < 2 else [*names[:_CALLED], f"{more} others"])


class WordFinding(NamedTuple):
    """A word or a bigram that one side uses more; positive numbers are more in preferred texts."""

    word: str
    z: float
    log_odds: float
    q: float  # the false discovery rate of the list that ends at it


class TextFinding(NamedTuple):
    """A text of the highest or the lowest reward, as it stands in the data; it may be hostile."""

    text: str
    prompt: str
    reward: float
    side: str  # preferred, rejected, or empty outside pairs


class Findings(NamedTuple):
    """What an audit says of one model: the verdict as a sentence, and what it rests on."""

    model: str
    replicate: int
    method: str  # whose reward was read
    given: str  # what that method knew: ``both models``, or ``texts``
    data: str
    outcome: Outcome
    verdict: str
    separable: Separable
    concepts: tuple[ConceptFinding, ...]  # named ones first, each kind by its share
    unexplained: Interval
    could_have_named: float  # the share that would have been named four times in five; NaN where that is not known
    words: tuple[WordFinding, ...]
    texts: tuple[TextFinding, ...] = ()  # of the highest rewards, the highest first, then of the lowest

    @property
    def named(self) -> tuple[ConceptFinding, ...]:
        """The named concepts, the greatest share first; none where no difference is shown."""
        if self.outcome == "no difference shown":
            return ()
        return tuple(one for one in self.concepts if one.verdict == "named")

    def plain(self) -> dict[str, Any]:
        """The object of ``findings.json``; what is not known is null."""
        accuracy = self.separable.accuracy
        separable = {"pair_accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high}
        separable |= {"n": self.separable.pairs, "prompts": self.separable.prompts}
        separable |= {"shown": self.separable.shown, "could_have_found": self.separable.could_have_found}
        content = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "outcome": self.outcome,
            "model": self.model,
            "replicate": self.replicate,
            "reward": {"method": self.method, "given": self.given, "data": self.data},
            "separable": separable,
            "concepts": [_plain(one) for one in self.concepts],
            "unexplained": self.unexplained._asdict(),
            "could_have_named": self.could_have_named,
            "words": [word._asdict() for word in self.words],
            "texts": [text._asdict() for text in self.texts],
        }
        known: dict[str, Any] = _without_nan(content)
        return known


def _plain(one: ConceptFinding) -> dict[str, Any]:
    return {
        "name": one.name,
        "verdict": one.verdict,
        "direction": {1: "more", -1: "less"}.get(one.sign),
        "share": one.share.value,
        "low": one.share.low,
        "high": one.share.high,
        "alone": one.alone.value,
        "beside": one.beside.value,
        "coefficient": one.slope.value,
        "coefficient_low": one.slope.low,
        "coefficient_high": one.slope.high,
        "marginal_auc": one.auc.value,
        "marginal_auc_low": one.auc.low,
        "marginal_auc_high": one.auc.high,
        "with_it": list(one.with_it),
        "shortcut_for": list(one.shortcut_for),
        "why": one.why,
    }


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
