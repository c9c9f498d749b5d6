"""The paper's source: a base language model and its aligned expert complete the same prompts (paper 5)."""

from __future__ import annotations

from fairl_bench.builtin.sources.completion_pairs import CompletionPairs
from fairl_bench.component import Component
from fairl_bench.kinds import LM, Aligner, base_request, judges_on_base


class AlignedLM(CompletionPairs):
    """A base language model and an aligned one complete the same prompts; the aligned completion is preferred.

    The base, the expert, and the completions of each are made once and kept.  An aligner as ``expert`` starts from
    ``base`` and completes ``prompts``, unless it names its own; a reward that needs a scale takes it from ``base`` too.
    """

    base: LM
    expert: LM

    def models(self) -> tuple[LM, LM]:
        """Return the base, and the expert with what it does not name itself."""
        expert = self.expert
        if not isinstance(expert, Aligner):
            return self.base, expert
        lacks: dict[str, Component] = {"base": expert.base or self.base, "prompts": expert.prompts or self.prompts}
        if expert.base is None:  # on the texts that the truth of the pairs is scaled on
            on = base_request(self.base, self.prompts, self.sampling)
            lacks["reward"] = judges_on_base(expert.reward, on)
        return self.base, expert.model_copy(update=lacks)
