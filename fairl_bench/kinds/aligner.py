"""Language models that are made out of others by a reward."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field

from fairl_bench.component import Component, Settings
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Ask, Prompts
from fairl_bench.kinds.upstream import base_request, judges_on_base, nested
from fairl_bench.values.language_models import Sampling


class Probe(Settings):
    """Held-out prompts that an aligner completes along the way, drawn from the whole distribution at temperature 1."""

    prompts: Prompts
    n: int = Field(256, ge=1, description="completions each time")
    times: int = Field(4, ge=1, description="evenly over the steps, beside the one before the first step")
    max_new_tokens: int = Field(20, ge=1, description="tokens of a completion, at most")


class Aligner(LM, ABC):
    """RLHF: a language model made out of another by a reward."""

    base: LM | None = Field(None, description="what is aligned; none: the base of the source that names it")
    prompts: Prompts | None = Field(None, description="what is completed meanwhile; none: the source's prompts")
    reward: Judge = Field(description="its truth 'gold' is the reward of a completion")
    draw: int = Field(0, ge=0, description="another number draws other prompts and completions")
    probe: Probe | None = Field(None, description="looks at the model along the way; none: only at the training")

    def of(self, base: Ask) -> Self:
        """The aligner with the source's base and prompts, where it names none itself.

        A reward that needs a scale takes it from the texts that the truth of the source's pairs is scaled on.
        """
        lacks: dict[str, Component] = {"base": self.base or base.lm, "prompts": self.prompts or base.prompts}
        if self.base is None:
            lacks["reward"] = judges_on_base(self.reward, base)
        return self.model_copy(update=lacks)

    def upstream(self) -> Mapping[str, Settings]:
        """The ``base``, and what the ``reward`` starts from."""
        base = {} if self.base is None else {"base": self.base}
        return {**base, **nested("reward", self.reward_on_base())}

    def completes(self) -> Sampling:
        """How it samples the completions that it rewards; by default from the whole distribution."""
        return Sampling()

    def reward_on_base(self) -> Judge:
        """The ``reward`` with what it takes from the base, where the base and the prompts are known."""
        if self.base is None or self.prompts is None:
            return self.reward
        return judges_on_base(self.reward, base_request(self.base, self.prompts, self.completes()))

    def fits(self, prompts: Sequence[str], new: int) -> Sequence[str]:
        """As for its base: an aligned model has the same tokens and positions."""
        return () if self.base is None else self.base.fits(prompts, new)

    def tokens_of(self) -> LM:
        """Its base, or what that has its tokens from."""
        return self if self.base is None else self.base.tokens_of()

    def vocabulary(self) -> str:
        """As of its base: an aligned model has the same tokens."""
        return "" if self.base is None else self.base.vocabulary()

    def look(self) -> Sequence[str]:
        """`fits` for the prompts that it completes during the alignment, where it knows them and its base."""
        return ()
