"""What ``run.json`` says: who made the results, with what, when, and what became of every stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fairl_bench.values.coordinates import Row
from fairl_bench.values.rows import Runs


class MethodFacts(NamedTuple):
    """What is to be said of a method beside its numbers."""

    given: str  # what it knew: "texts", "both models", "one model" or "truth"
    reference: bool  # whether it is a bound, which is neither ranked nor compared


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
        methods = {name: MethodFacts(**facts) for name, facts in content.get("methods", {}).items()}
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


def _named(values: Sequence[str]) -> dict[str, str]:
    """The values of a row, written in the order of its axes, by name."""
    return dict(zip(Row._fields, values, strict=True))
