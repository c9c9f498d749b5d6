"""How likely the texts of a data set are under a language model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fairl_bench.engine.shards import rows_of
from fairl_bench.engine.stages.kind import Answer, StageInputs, StageKind
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds.lm import LM, AskLikelihoods
from fairl_bench.store import artefacts
from fairl_bench.values.data import Examples
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.stage import Stage


class TextLikelihoods(StageKind[Likelihoods, Likelihoods]):
    """The likelihoods of the texts of a data set, or the shards of them, merged."""

    name = "likelihoods"
    checkpoints = True
    save = staticmethod(artefacts.save_likelihoods)
    load = staticmethod(artefacts.load_likelihoods)

    @staticmethod
    def title(examples: str, role: str, prompts: str) -> str:
        """``likelihoods of pairs of toy, replicate 0 by expert, prompts given``."""
        return f"likelihoods of {examples} by {role}, prompts {prompts}"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Likelihoods]]:
        """Have a language model read the texts, or merge what was read."""
        (stage,) = job
        likelihoods = _read(stage, inputs) if stage.parts else Likelihoods.merged(inputs.shards(stage))
        return [Answer(stage, likelihoods, _facts(stage, likelihoods))]


class LikelihoodsShard(TextLikelihoods):
    """The likelihoods of some of the texts."""

    name = "likelihoods-shard"


def _read(stage: Stage, inputs: StageInputs) -> Likelihoods:
    """The likelihoods of the texts of a data set, or of one shard of them."""
    site = inputs.site(stage)
    lm = inputs.registry.build(LM, stage.parts["lm"])
    examples: Examples = inputs.load(stage.inputs["examples"])
    asked = AskLikelihoods(lm=lm, **stage.settings["asked"])
    continuations = asked.continuations(examples)
    texts = continuations.take(rows_of(stage.settings, len(continuations)))
    with unchanged_by(lm, continuations=texts, upstream=site.upstream):
        return answers.likelihoods(lm, lm.likelihoods(texts, site), len(texts))


def _facts(stage: Stage, likelihoods: Likelihoods) -> dict[str, Any]:
    return {
        "data": stage.settings["data"],
        "texts": len(likelihoods),
        "tokens": len(likelihoods.token),
        "ended": int(likelihoods.ended.sum()),
        "tokenised": int(likelihoods.tokenised.sum()),
    }
