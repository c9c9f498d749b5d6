"""What a judge says of the texts of a data set, where an evaluator asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairl_bench.engine.stages.kind import Answer, StageInputs, StageKind
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds.judge import Judge
from fairl_bench.store import artefacts
from fairl_bench.values.data import GOLD, Truth
from fairl_bench.values.stage import Stage

JUDGED = "judged/"
"""Before the name of data and of a truth: the role of a judgement among the inputs of measures."""


class Judgements(StageKind[Truth, Truth]):
    """The truth ``gold`` of a judge for each text of a data set, or of one part of the pairs."""

    name = "judgements"
    save = staticmethod(artefacts.save_truth)
    load = staticmethod(artefacts.load_truth)

    @staticmethod
    def title(judge: str, examples: str, part: str) -> str:
        """``words of pairs of toy, replicate 0, test``."""
        return f"{judge} of {examples}{f', {part}' if part else ''}"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Truth]]:
        """Judge the texts."""
        (stage,) = job
        judge = inputs.registry.build(Judge, stage.parts["judge"])
        examples, _ = inputs.texts(stage.inputs["examples"], stage.inputs.get("split", ""), stage.settings["part"])
        upstream = inputs.upstream(stage)
        with unchanged_by(judge, examples=examples, upstream=upstream):
            truths = answers.judged(judge.use, judge.ready(upstream)(examples), len(examples))
        return [Answer(stage, truths[GOLD], {"texts": len(examples)})]
