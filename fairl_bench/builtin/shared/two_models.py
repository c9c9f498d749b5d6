"""The base of methods that are given the two language models of a source: how likely both find each text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field

from fairl_bench.builtin.shared.reads_likelihoods import ReadsLikelihoods
from fairl_bench.component import Settings
from fairl_bench.errors import DataError, FairlError
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.method import Given
from fairl_bench.kinds.source import Source
from fairl_bench.values.data import Floats
from fairl_bench.values.likelihoods import Likelihoods


class TwoModels(ReadsLikelihoods):
    """A method that reads the log-ratio of an expert and its base."""

    given: ClassVar[Given] = "both models"

    base: LM | None = Field(None, description="the language model before the alignment; none: the source's base")
    expert: LM | None = Field(None, description="the aligned language model; none: the source's expert")
    tokens: Literal["drawn", "text"] = Field(
        "drawn",
        description="text: both models read every text as the tokens of its characters, whatever it was drawn as; "
        "needed where their vocabularies differ, or one is behind a server",
    )

    def of(self, source: Source) -> Self:
        """Return the method with the source's models.

        Raises `DataError` where neither names one, and for two models that cannot read the tokens of one another.
        """
        base, expert = self.base, self.expert
        if base is None or expert is None:
            origin = source.models_for(self)
            base, expert = base or origin.base, expert or origin.expert
        if self.tokens == "drawn" and _are_apart(base, expert):
            raise DataError(
                f"method {self.use!r}: the two language models have different vocabularies, so that neither can read "
                "the tokens that the other has drawn; set 'tokens: text', and both read the same characters"
            )
        return self.model_copy(update={"base": base, "expert": expert})

    def upstream(self) -> Mapping[str, Settings]:
        """Return the requests for the likelihoods by both models."""
        return self.asked({"base": self.base, "expert": self.expert}, tokens=self.tokens)

    def ratio(self, base: Likelihoods, expert: Likelihoods) -> Floats:
        """Return ``D = log p_expert - log p_base`` of each text ``[n]``, in nats, or in nats a token.

        A text without a token has 0.  Raises `DataError` as `comparable` does.
        """
        base, expert = comparable(base, expert, f"method {self.use!r}")
        said: Floats = self.normalised(expert.total, expert) - self.normalised(base.total, base)
        return said


def _are_apart(base: LM, expert: LM) -> bool:
    """Whether two language models have different tokens, as far as that is known before they are made."""
    if base.tokens_of() == expert.tokens_of():  # to read 262,144 tokens takes seconds
        return False
    try:
        own = [lm.vocabulary().partition(":")[0] for lm in (base, expert)]
    except FairlError:  # the model's own check says more about it
        return False
    return all(own) and own[0] != own[1]


def comparable(base: Likelihoods, expert: Likelihoods, what: str) -> tuple[Likelihoods, Likelihoods]:
    """Return what two models say of the same texts, so that the difference is that of the models.

    Where one model alone counts the end of a text, as beside one behind a server, neither does.  Raises `DataError`,
    which begins with ``what`` asks, where one model has read a text by the tokens that it was drawn as, and the other
    by those of its characters: the difference would say who drew it.
    """
    if (apart := base.tokenised != expert.tokenised).any():
        raise DataError(
            f"{what}: {apart.sum()} of {len(apart)} texts were drawn as tokens that only one of the two language "
            "models has, or can be asked about; set 'tokens: text', and both read the same characters"
        )
    if (alone := base.ended != expert.ended).any():
        return base.without_end(alone), expert.without_end(alone)
    return base, expert
