"""The paper's source: a base language model and its aligned expert complete the same prompts (paper 5)."""

from __future__ import annotations

from fairl_bench.builtin.sources.completion_pairs import CompletionPairs
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.upstream import base_request


class AlignedLM(CompletionPairs):
    """A base language model and an aligned one complete the same prompts; the aligned completion is preferred.

    The base, the expert, and the completions of each are made once and kept.  An aligner as ``expert`` starts from
    ``base`` and completes ``prompts``, unless it names its own; a reward that needs a scale takes it from ``base`` too.
    So does the best of n completions (`best-of`).
    """

    base: LM
    expert: LM

    def models(self) -> tuple[LM, LM]:
        """Return the base, and the expert with what it does not name itself."""
        return self.base, self.expert.of(base_request(self.base, self.prompts, self.sampling))
