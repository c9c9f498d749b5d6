"""What ``run.json`` says: who made the results, with what, when, and what became of every stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from fairl_bench.values.coordinates import Row
from fairl_bench.values.rows import Runs


class MethodFacts(NamedTuple):
    """What is to be said of a method beside its numbers."""

    given: str  # what it knew: "texts", "both models", "one model", "truth" or "scored elsewhere"
    reference: bool  # whether its row is a reference row, which is neither ranked nor compared
    per_prompt: bool = False  # whether it is known up to a number for each prompt only
    bounds: Sequence[str] = ()  # the models whose own log-ratio it is: where `RunFacts.unbounded` is "", their ceiling
    estimated: Mapping[str, str] = {}  # by model, how likelihoods that it reads are estimated


class Ceiling(NamedTuple):
    """The method whose pair accuracy no reward exceeds in expectation on the pairs of a model, or why there is none."""

    method: str  # empty where there is none
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The account of one run; empty where a folder holds none.

    What is known of a finished stage depends on its kind: its key, kind, title and seconds, and what it counted.
    """

    suite: str = ""
    finished: str = ""  # the time, as ISO 8601 writes it
    seconds: float | None = None
    command: Sequence[str] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)  # the version of each
    git: Mapping[str, Any] | None = None  # None outside a checkout
    seeds: Sequence[int] = ()
    replicates: Sequence[int] = ()
    methods: Mapping[str, MethodFacts] = field(default_factory=dict)  # by name, in the suite's order; empty: not known
    unbounded: Mapping[str, str] = field(default_factory=dict)  # by model, why no log-ratio bounds it; "" where it does
    failed: Mapping[str, str] = field(default_factory=dict)  # why, by the stage's key
    skipped: Mapping[str, str] = field(default_factory=dict)  # the failed stage, by the stage's key
    damaged: Sequence[str] = ()  # the keys of stages that were made again
    warnings: Sequence[str] = ()
    lost: Sequence[Mapping[str, Any]] = ()  # attempts that ended with their process
    stages: Sequence[Mapping[str, Any]] = ()
    rows: Mapping[Row, Runs] | None = None  # the rows of tables; None where nothing is known of them
    claims: Sequence[Mapping[str, Any]] | None = None  # the verdicts; None where none were judged

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> RunFacts:
        """Those of the object in ``run.json``.  Raises an error of Python's own where it is broken.

        >>> RunFacts.read({"suite": "toy", "rows": []}).suite
        'toy'
        """
        known = {name: value for name, value in content.items() if name in cls.__dataclass_fields__}
        rows = {Row(**_named(row["row"])): Runs(row["all"], row["failed"], row["unit"]) for row in content["rows"]}
        methods = {name: _method(facts) for name, facts in content.get("methods", {}).items()}
        return cls(**{**known, "rows": rows, "methods": methods})

    def plain(self) -> dict[str, Any]:
        """The object in ``run.json``.

        >>> facts = RunFacts(methods={"a": MethodFacts("texts", False)}, rows={Row("m", "e", "a", ""): Runs(2)})
        >>> RunFacts.read(facts.plain()) == facts
        True
        """
        content = {name: value for name, value in vars(self).items() if name != "claims"}
        content["methods"] = {name: facts._asdict() for name, facts in self.methods.items()}
        content["rows"] = [{"row": list(row), **runs._asdict()} for row, runs in (self.rows or {}).items()]
        return content if self.claims is None else {**content, "claims": self.claims}

    def ceiling_of(self, model: str) -> Ceiling:
        """The ceiling of a model's held-out pairs: the method that is the log-ratio of its two language models.

        >>> methods = {"a": MethodFacts("texts", False), "d": MethodFacts("both models", True, True, ("m",))}
        >>> facts = RunFacts(methods=methods, unbounded={"m": "", "chosen": "its pairs were chosen"})
        >>> facts.ceiling_of("m").method, facts.ceiling_of("chosen").why_not
        ('d', 'its pairs were chosen')
        """
        if why := self.unbounded.get(model, _NOT_SAID):
            return Ceiling("", why)
        method = next((name for name, facts in self.methods.items() if model in facts.bounds), "")
        return Ceiling(method, "" if method else NO_LOG_RATIO)

    @property
    def ceilings(self) -> dict[str, str]:
        """By model, the method that bounds its pair accuracy; without the models for which there is none."""
        found = {model: self.ceiling_of(model).method for model in self.unbounded}
        return {model: method for model, method in found.items() if method}


NO_LOG_RATIO: Final = "no method is the log-ratio of its two language models, with prompts given and summed over tokens"
_NOT_SAID: Final = "its run did not keep which method bounds it; run the suite again"


def _named(values: Sequence[str]) -> dict[str, str]:
    """The values of a row, written in the order of its axes, by name."""
    return dict(zip(Row._fields, values, strict=True))


def _method(facts: Mapping[str, Any]) -> MethodFacts:
    """The facts of a method as JSON has them; an earlier version did not write what it bounds."""
    return MethodFacts(**{**facts, "bounds": tuple(facts.get("bounds", ()))})
