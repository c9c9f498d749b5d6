"""Every kind of stage, in the order in which a run does them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairl_bench.engine.stages.embeddings import TextVectors, VectorsShard
from fairl_bench.engine.stages.judgements import Judgements
from fairl_bench.engine.stages.kind import StageKind
from fairl_bench.engine.stages.likelihoods import LikelihoodsShard, TextLikelihoods
from fairl_bench.engine.stages.measures import Measures
from fairl_bench.engine.stages.models import CompletionsShard, LanguageModelCompletions, LanguageModels
from fairl_bench.engine.stages.rewards import Rewards, Scores
from fairl_bench.engine.stages.texts import JudgedTexts, Splits

_IN_ORDER: tuple[type[StageKind[Any, Any]], ...] = (
    *(LanguageModels, CompletionsShard, LanguageModelCompletions, JudgedTexts, Splits),
    *(VectorsShard, TextVectors, LikelihoodsShard, TextLikelihoods, Rewards, Scores, Judgements, Measures),
)
STAGE_KINDS: Mapping[str, StageKind[Any, Any]] = {kind.name: kind() for kind in _IN_ORDER}
