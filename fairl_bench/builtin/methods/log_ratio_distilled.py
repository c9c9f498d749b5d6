"""A reward of vectors that is fitted to what the two language models say of the training texts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.two_models import TwoModels
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.values.data import Floats, Vectors
from fairl_bench.values.training import Head, Inputs, Preferences, Reward, Task

if TYPE_CHECKING:
    from torch import Tensor


class LogRatioDistilled(TwoModels):
    """A reward of vectors that is fitted to the log-ratio of the training texts, not to one bit a pair.

    The log-ratio D of the aligned model and its base is, up to a number a prompt, the reward for which the aligned one
    would be optimal (`log-ratio`).  Here a reward that reads vectors alone learns it, so that it can score any text.

    ``ridge`` is linear: D and the vectors are centred within each prompt, which takes the prompt's number out of both
    (texts without a prompt share an empty one), each column of the vectors is divided by the root of its mean square,
    and the penalty is chosen by generalised cross-validation (`fairl_bench.science.ridge`).  ``head`` is the suite's
    head, trained as those of all pairwise methods are, on the squared difference of each pair's margin from the gap of
    its D; gaps are divided by their root mean square for that, and the reward is multiplied by it afterwards.  The
    reward of both is in the units of D.
    """

    reads_upstream: ClassVar[bool] = False

    regression: Literal["ridge", "head"] = Field(
        "ridge",
        description="ridge: linear, in closed form; head: the suite's head with the squared loss of pairs' gaps",
    )
    clip: tuple[float, float] | None = Field(
        (0.01, 0.99),
        description="the quantiles of the training texts' log-ratios that these are clipped at; null: none",
    )
    centre: Literal["prompt", "none"] = Field(
        "prompt",
        description="what ridge centres within: each prompt, or all texts as one; the gaps of a head have no centre",
    )

    @field_validator("clip")
    @classmethod
    def _are_quantiles(cls, clip: tuple[float, float] | None) -> tuple[float, float] | None:
        if clip is not None and not 0 <= clip[0] < clip[1] <= 1:
            message = "clip needs two rising quantiles within 0 to 1, got {low} and {high}"
            raise PydanticCustomError("quantiles", message, {"low": clip[0], "high": clip[1]})
        return clip

    @model_validator(mode="after")
    def _centres_a_ridge(self) -> Self:
        if self.regression == "head" and self.centre == "none":
            message = "a head learns from the gaps of pairs, in which no centre is left; leave 'centre: none' out"
            raise PydanticCustomError("centre", message, {"field": "centre"})
        return self

    @property
    def seeded(self) -> bool:  # type: ignore[override]  # a closed form draws nothing
        """True for a head."""
        return self.regression == "head"

    @property
    def per_prompt(self) -> bool:  # type: ignore[override]  # that of its base depends on fields
        """False: a reward of vectors adds nothing to the texts of a prompt."""
        return False

    @property
    def reads_validation(self) -> bool:  # type: ignore[override]  # a closed form has no epochs
        """True for a head."""
        return self.regression == "head"

    def fit(self, task: Task) -> Reward:
        """Return the reward learnt from the log-ratios; 0 for every text where the two models are the same."""
        return self.fit_many([(self, task)])[0]

    def stack(self) -> Hashable:
        """Return one value for all heads, which train together; ridge regressions have nothing to share."""
        return "log-ratio-distilled" if self.regression == "head" else None

    @classmethod
    def fit_many(cls, runs: Sequence[tuple[Self, Task]]) -> list[Reward]:
        """Return the reward of each run; heads are trained in one loop."""
        heads = [(method.gap_loss(task.train), task) for method, task in runs if method.regression == "head"]
        trained = iter(PairwiseMethod.fit_many(heads))
        return [
            method._told(next(trained) if method.regression == "head" else method.ridge(task.train), task)
            for method, task in runs
        ]

    def head(self, suite_head: Head) -> str:
        """Return ``linear`` for a ridge regression, and the shape of the suite's head for a head."""
        return "linear" if self.regression == "ridge" else suite_head.use

    def limits(self, train: Preferences) -> tuple[float, float] | None:
        """Return the least and the greatest log-ratio that is not clipped; None: nothing is."""
        if self.clip is None or not len(train):
            return None
        low, high = np.quantile(self.log_ratios(train, None), self.clip)
        return float(low), float(high)

    def log_ratios(self, pairs: Preferences, limits: tuple[float, float] | None) -> Floats:
        """Return the clipped log-ratios ``[2, n]`` of the preferred and of the rejected texts."""
        base, expert = pairs.likelihoods["base"], pairs.likelihoods["expert"]
        both = np.stack([self.ratio(*side) for side in zip(base, expert, strict=True)])
        return both if limits is None else both.clip(*limits)

    def ridge(self, train: Preferences) -> Reward:
        """Return the ridge regression of the log-ratios on the vectors."""
        from fairl_bench.science.ridge import ridge

        ratios = self.log_ratios(train, self.limits(train))
        rows = np.concatenate([train.preferred, train.rejected])
        group = None if self.centre == "none" else np.unique((*train.prompt, *train.prompt), return_inverse=True)[1]
        found = ridge(train.vectors[rows], ratios.ravel(), group)
        arrays = {"weight": found.weight.astype(np.float32), "bias": np.array(found.bias, np.float32)}
        return Reward(arrays, facts={"penalty": found.penalty, "free_slopes": found.freedom})

    def gap_loss(self, train: Preferences) -> SquaredGap:
        """Return the pairwise method that trains a head on the gaps."""
        limits = self.limits(train)
        scale = float(np.sqrt((gaps(self.log_ratios(train, limits)) ** 2).mean()))
        return SquaredGap.named(self.use, distilled=self, limits=limits, scale=scale)

    def _told(self, reward: Reward, task: Task) -> Reward:
        """Return the reward with what there is to say of its target."""
        limits = self.limits(task.train)
        facts: dict[str, float | int | str | bool] = {"texts_tokenised": _tokenised(task.train)}
        if limits is not None:
            facts |= {"clipped_below": limits[0], "clipped_above": limits[1]}
        if task.training.stop and len(task.validation):  # without a rule no validation pair is read
            held_out = task.validation
            sides = (held_out.preferred, held_out.rejected)
            margins = gaps(np.stack([self.score(reward, Inputs((), held_out.vectors[rows])) for rows in sides]))
            wanted = gaps(self.log_ratios(held_out, limits))
            if wanted.any():
                facts["r2_of_validation_gaps"] = float(1 - ((wanted - margins) ** 2).sum() / (wanted**2).sum())
        return Reward(reward.arrays, reward.history, {**reward.facts, **facts})


class SquaredGap(PairwiseMethod):
    """The squared difference of a pair's margin from the gap of its log-ratios, in units of ``scale``, a training's."""

    distilled: LogRatioDistilled
    limits: tuple[float, float] | None
    scale: float

    def loss(self, margin: Tensor) -> Tensor:
        """Return the square of a margin less its target."""
        return margin.square()

    def target(self, pairs: Preferences) -> Vectors:
        """Return the gap of each pair's log-ratios ``[n]``."""
        unit = self.scale or 1.0  # 0 for a model and itself
        return (gaps(self.distilled.log_ratios(pairs, self.limits)) / unit).astype(np.float32)

    def combine(self, rewards: Sequence[Reward]) -> Reward:
        """Return the reward in the units of the log-ratios."""
        (reward,) = rewards
        scaled = {name: reward.arrays[name] * np.float32(self.scale) for name in ("weight", "bias")}
        return Reward({**reward.arrays, **scaled}, reward.history, {**reward.facts, "scale": self.scale})


def gaps(ratios: Floats) -> Floats:
    """Return the log-ratio of each preferred text less that of the rejected one ``[n]``."""
    found: Floats = ratios[0] - ratios[1]
    return found


def _tokenised(train: Preferences) -> int:
    """Return how many training texts a model had to tokenise: it was not known of which tokens they were drawn."""
    sides = zip(*train.likelihoods.values(), strict=True)  # of each side, what each model says
    return sum(int(np.any([told.tokenised for told in side], 0).sum()) for side in sides)
