"""Judged texts (pairs of a source, examples of a test set), and how pairs are split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairl_bench.component import Component
from fairl_bench.engine.keys import identity, stage_key
from fairl_bench.engine.stages.kind import Answer, StageInputs, StageKind
from fairl_bench.errors import DataError
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.pairs.judged import judged_pairs
from fairl_bench.pairs.splits import divided
from fairl_bench.science.streams import stream
from fairl_bench.store import artefacts
from fairl_bench.store.checks import finite_truths
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import Examples, Split
from fairl_bench.values.stage import Stage


class JudgedTexts(StageKind[Examples, Examples]):
    """The pairs of a source or the texts of a test set, with their truths."""

    name = "examples"
    save = staticmethod(artefacts.save_examples)
    load = staticmethod(artefacts.load_examples)

    @staticmethod
    def title(part: Component, name: str) -> str:
        """``pairs of toy``, ``texts of shifted``."""
        return f"{'pairs' if isinstance(part, Source) else 'texts'} of {name}"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Examples]]:
        """Read or make the texts and judge them."""
        (stage,) = job
        examples, facts = _of_source(stage, inputs) if "source" in stage.parts else (_of_testset(stage, inputs), {})
        finite_truths("these examples", examples)
        _refuse_changed(stage, inputs.registry)
        facts |= {f"unknown_{name}": n for name, truth in examples.truths.items() if (n := int((~truth.known()).sum()))}
        return [Answer(stage, examples, {**facts, "examples": len(examples)})]


def _of_source(stage: Stage, inputs: StageInputs) -> tuple[Examples, dict[str, int]]:
    """The pairs of a source, and how many were dropped for what reason."""
    source = inputs.registry.build(Source, stage.parts["source"])
    examples, dropped = judged_pairs(source, stage.settings["replicate"], inputs.upstream(stage))
    return examples, {f"dropped_{why}": n for why, n in dropped.items()}


def _of_testset(stage: Stage, inputs: StageInputs) -> Examples:
    """The texts of a test set.  Raises `DataError` where it has none."""
    testset = inputs.registry.build(TestSet, stage.parts["testset"])
    upstream = inputs.upstream(stage)
    with unchanged_by(testset, upstream=upstream):
        drawn = testset.examples(stream("world/testset", stage.settings["replicate"]), **upstream)
        examples = answers.examples(testset.use, drawn)
    if not len(examples):
        raise DataError(f"test set {testset.use!r} holds no text")
    return examples


def _refuse_changed(stage: Stage, registry: Registry) -> None:
    """Raise `DataError` where what was read is no longer what the stage's key was made of."""
    kinds: dict[str, type[Component]] = {"source": Source, "testset": TestSet}
    parts = {role: registry.build(kinds[role], spec) for role, spec in stage.parts.items()}
    now = {role: identity(part, registry) for role, part in parts.items()}
    if stage_key(stage.kind, now, stage.settings, stage.inputs) != stage.key:
        raise DataError("a file that it reads, or its code, has changed since the run began; run it again")


class Splits(StageKind[Split, Split]):
    """The split of pairs into training, validation and test."""

    name = "split"
    save = staticmethod(artefacts.save_split)
    load = staticmethod(artefacts.load_split)

    @staticmethod
    def title(model: str, replicate: int) -> str:
        """``split of toy, replicate 0``."""
        return f"split of {model}, replicate {replicate}"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Split]]:
        """Divide the pairs."""
        (stage,) = job
        split = divided(inputs.load(stage.inputs["pairs"]), stage.settings)
        return [Answer(stage, split, split.counts())]
