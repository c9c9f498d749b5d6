"""Best of n: an aligned model that nothing has trained, the choice of a judge among completions of a base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairl_bench.builtin.shared.judged_completions import Rewarding, gold_of
from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Ask, AskDraws, AskLikelihoods, Candidates
from fairl_bench.kinds.upstream import base_request, judges_on_base, nested, within
from fairl_bench.science.best_of_n import log_ratio
from fairl_bench.science.realignment import best_of_kl
from fairl_bench.values.data import Floats
from fairl_bench.values.language_models import Asked, Completions, DrawnTexts, Sampling, Site
from fairl_bench.values.likelihoods import Continuations, Likelihoods

_VOICE = "candidates"


class BestOf(LM):
    """The completion that a judge likes best among ``n`` of a base; nothing is trained.

    Of candidates that are liked equally it is the first, as good as any.  The candidates have random numbers of their
    own, so that it is independent of a completion that the base gives beside it.  The facts of the completions hold
    ``best_of``, ``kl_at_most`` (from the base, ``log n - (n - 1) / n`` nats a completion; less where candidates are
    liked equally), ``reward`` of the judge, mean, ``reward_of_candidates``, and ``tied``, the share of completions that
    were not the only best.

    A text is as likely as under the base, times a number that depends on its reward alone, which is estimated from
    ``estimate_from`` further completions of its prompt (`fairl_bench.science.best_of_n`).
    """

    base: LM | None = Field(None, description="what completes; none: the base of the source that names it")
    reward: Judge = Field(description="its truth 'gold' is the reward of a completion")
    n: int = Field(4, ge=1, description="candidates for each completion; 1 is the base itself")
    estimate_from: int = Field(
        64, ge=1, description="completions of the base for each prompt, from which likelihoods are estimated"
    )
    sampling: Sampling | None = Field(None, description="how these are drawn; none: as the source samples")

    @property
    def tells_ends(self) -> bool:  # type: ignore[override]  # as its base does
        """Whether the base does."""
        return self.base is None or self.base.tells_ends

    def of(self, base: Ask) -> Self:
        """Return the model with the source's base and sampling, where it names none itself."""
        lm, sampling = self.base or base.lm, self.sampling or base.sampling
        on = base if self.base is None else base_request(lm, base.prompts, sampling)
        return self.model_copy(update={"base": lm, "sampling": sampling, "reward": judges_on_base(self.reward, on)})

    def refuses_weights(self) -> str:
        """Return that it has none."""
        return f"language model {self.use!r} chooses among texts and has no weights of its own; name its base instead"

    def make(self, site: Site) -> NoReturn:
        """Raise `DataError`: there is nothing to make."""
        raise DataError(self.refuses_weights())

    def fits(self, prompts: Sequence[str], new: int) -> Sequence[str]:
        """Return what its base says."""
        return () if self.base is None else self.base.fits(prompts, new)

    def weights(self) -> int:
        """Return 0: it chooses, and its base computes."""
        return 0

    def tokens_of(self) -> LM:
        """Return its base, or what that has its tokens from."""
        return self if self.base is None else self.base.tokens_of()

    def vocabulary(self) -> str:
        """Return that of its base."""
        return "" if self.base is None else self.base.vocabulary()

    def completes_from(self, ask: Ask | AskDraws) -> Mapping[str, Settings]:
        """Return the request for the candidates by the base, and what the judge starts from."""
        of_base = ask.model_copy(update={"lm": self._base(), "voice": f"{ask.voice}/{_VOICE}"})
        return {_VOICE: Candidates(of=of_base, times=self.n), **nested("reward", self.reward)}

    def complete(self, asked: Asked, site: Site) -> DrawnTexts:
        """Return the best candidate for each prompt.  Raises `NotFinite` for a reward that is no number."""
        candidates: Completions = site.upstream[_VOICE]
        row_of = {place: i for i, place in enumerate(zip(candidates.row, candidates.draw, strict=True))}
        rows = np.array(
            [
                [row_of[row, draw * self.n + i] for i in range(self.n)]
                for row, draw in zip(asked.row, asked.draw, strict=True)
            ],
            np.int64,
        ).reshape(len(asked), self.n)
        among = candidates.take(rows.ravel())
        reward = self._rewarding(site)(among.prompt, among.text).reshape(rows.shape)
        best = reward.argmax(1)
        chosen = candidates.take(rows[np.arange(len(rows)), best])
        tokens = chosen.drawn
        if tokens is not None:  # how likely they were was said by the base
            tokens = replace(tokens, log_probability=np.full(len(chosen), np.nan))
        return DrawnTexts(chosen.text, tokens, self._facts(reward))

    def _facts(self, reward: Floats) -> dict[str, float | int | str | bool]:
        """Return the facts of completions from the rewards of their candidates ``[completions, n]``."""
        highest = reward.max(1)
        tied = (reward == highest[:, None]).sum(1) > 1
        return {
            "best_of": self.n,
            "kl_at_most": best_of_kl(self.n),
            "reward": float(highest.mean()),
            "reward_of_candidates": float(reward.mean()),
            "tied": float(tied.mean()),
        }

    def estimates(self) -> str:
        """Return from how many completions."""
        return f"from {self.estimate_from} completions of its base for each prompt"

    def refuses_likelihoods(self, temperature: float = 1.0, *, values: bool = False) -> str:
        """Return why it cannot tell how likely a text is: it does so at temperature 1 alone, where its base can."""
        if self.base is None or self.sampling is None:
            lack = "base" if self.base is None else "sampling"
            return f"outside of a source its {lack!r} is not known; name it in language model {self.use!r}"
        if temperature != 1:
            return f"best of n has no logits that a temperature divides, got {temperature:g}; set 'temperature: 1'"
        if values:
            return "best of n has no logits, and so no values of states; name another model, or leave the method out"
        return self.base.refuses_likelihoods()

    def likelihoods_from(self, ask: AskLikelihoods) -> Mapping[str, Settings]:
        """Return the requests for draws of the base and for its likelihoods, and what the judge starts from."""
        base = self._base()
        more: dict[str, Any] = {"prompts": ask.prompts, "shards": ask.shards}
        draws = AskDraws(lm=base, each=self.estimate_from, sampling=self.sampling or Sampling(), voice="draws", **more)
        return {"draws": draws, "base": ask.model_copy(update={"lm": base}), **nested("reward", self.reward)}

    def likelihoods(self, continuations: Continuations, site: Site) -> Likelihoods:
        """Return the base's likelihoods, and for each text as a whole the estimated log-ratio to the base.

        Raises `NotFinite` for a reward that is no number.
        """
        draws: Completions = site.upstream["draws"]
        of_base: Likelihoods = site.upstream["base"]
        drawn, rewarding = _rows_by_prompt(draws.prompt), self._rewarding(site)
        of_draws = rewarding(draws.prompt, draws.text)
        reward = rewarding(continuations.prompt, continuations.text)
        ratio = np.empty(len(continuations))
        for prompt, rows in _rows_by_prompt(continuations.prompt).items():
            ratio[rows] = log_ratio(reward[rows], of_draws[drawn[prompt]], self.n)
        return of_base.reweighted(ratio)

    def _base(self) -> LM:
        """Return the base.  Raises `DataError` where none is known."""
        if self.base is None:
            raise DataError(
                f"language model {self.use!r} has nothing to choose from: name its 'base', or make it a source's "
                "'expert'"
            )
        return self.base

    def _rewarding(self, site: Site) -> Rewarding:
        """Return the judge as a function from prompts and texts to one reward each ``[n]``."""
        judging = self.reward.ready(within("reward", site.upstream))
        return lambda prompts, texts: gold_of(judging, self.reward.use, prompts, texts).value


def _rows_by_prompt(prompts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each prompt."""
    rows: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        rows.setdefault(prompt, []).append(i)
    return {prompt: np.array(of_prompt, np.int64) for prompt, of_prompt in rows.items()}
