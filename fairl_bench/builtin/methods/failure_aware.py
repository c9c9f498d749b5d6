"""Failure-aware IRL: the paper's method, composed of parts."""

from __future__ import annotations

import math
from collections.abc import Hashable
from numbers import Real
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.kinds.method import Detector, Schedule
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.values.data import Vectors
from fairl_bench.values.training import Preferences, Training

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.science.failures import FailurePlan
    from fairl_bench.science.runs import Batch, Loss


class FailureAware(PairwiseMethod):
    """Failure-aware IRL: a base path on all pairs, a failure path on those that fail now (paper 4, Algorithm 1).

    The loss is ``L_base + lambda_t L_fail(S_t) + mu/2 ||w_F||^2``.  In each round the detector says which pairs fail, a
    share p_t of them is S_t, and lambda_t falls.  Four things differ from the paper's letter: the penalty is constant
    (``penalty: failure-weight`` is Eq. 3's lambda_t/2, which drives w_F to zero), each path learns from its own loss
    (``coupling: full`` is Algorithm 1's), failures are mined by round (``mine: step`` is Algorithm 1's), and no step is
    taken on the failure path where no pair fails.  The suite's ``training.stop`` says which epoch is kept.
    """

    base: PairwiseMethod = Field(description="the loss of all pairs: max-margin, max-entropy or any pairwise one")
    detector: Detector = Field(description="the rule that says which pairs are failures in a round")
    failure_loss: Literal["stricter", "same"] = Field(
        "stricter",
        description="stricter: M_fail = 2M or tau_fail = tau/2; same: the base loss again, weight alone",
    )
    strictness: float = Field(2.0, gt=1, description="how many times the margin the stricter loss asks for")
    failure_weight: Schedule = Field(
        {"use": "exponential", "start": 10.0, "factor": 0.85}, description="lambda_t, by round", validate_default=True
    )
    sampling: Schedule = Field(
        {"use": "constant", "value": 1.0},
        description="p_t, by round: the share of the failures that is learnt from",
        validate_default=True,
    )
    rounds: int = Field(60, ge=1)
    round_epochs: int = Field(1, ge=1, description="epochs a round (paper 5: 8)")
    mine: Literal["round", "step"] = Field("round", description="when failures are looked for")
    failure_head: bool = Field(True, description="whether failures have a path of their own")
    coupling: Literal["base-stopped", "both-stopped", "full"] = Field(
        "base-stopped", description="which path a loss reaches: base-stopped keeps the base loss from the failure path"
    )
    penalty: Annotated[float, Field(ge=0)] | Literal["failure-weight"] = Field(
        1e-3, description="mu of mu/2 ||w_F||^2, on the weights and not on the biases"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if isinstance(self.base, FailureAware) or self.base.members() > 1:
            raise PydanticCustomError("base", "base needs a single loss, not {use}", {"use": repr(self.base.use)})
        if self.failure_loss == "stricter" and self.base.stricter(self.strictness) is None:
            message = "base {use} has no stricter form; set 'failure_loss: same'"
            raise PydanticCustomError("base", message, {"use": repr(self.base.use)})
        if self.mine == "step" and not self.detector.by_step:
            message = "detector {use} needs 'mine: round': it reads all pairs at once"
            raise PydanticCustomError("detector", message, {"use": repr(self.detector.use)})
        for turn in (0, self.rounds - 1):
            weight, rate = self.failure_weight.at(turn, self.rounds), self.sampling.at(turn, self.rounds)
            numbers = all(isinstance(value, Real) and not isinstance(value, bool) for value in (weight, rate))
            if not numbers or not 0 <= weight < math.inf or not 0 <= rate <= 1:
                message = "round {turn}: failure_weight {weight} must be at least 0, sampling {rate} within 0 to 1"
                raise PydanticCustomError("range", message, {"turn": turn, "weight": str(weight), "rate": str(rate)})
        return self

    @property
    def loss(self) -> Loss:  # the base's own, which runs of one base share
        """The base loss."""
        return self.base.loss

    def weight(self, margin: Tensor, loss: Tensor, batch: Batch) -> Tensor:
        """Return the base's weights, which depend on its own loss alone."""
        return self.base.weight(margin, loss, batch)

    def target(self, pairs: Preferences) -> Vectors | None:
        """Return the base's targets, for both losses."""
        return self.base.target(pairs)

    def weighs(self) -> bool:
        """Return whether the base weighs its pairs."""
        return self.base.weighs()

    def truths(self) -> frozenset[str]:
        """Return the truths that the detector reads."""
        return self.detector.truths()

    def epochs(self, training: Training) -> int:
        """Return the epochs of all rounds; the suite's number of epochs is for the other methods."""
        return self.rounds * self.round_epochs

    def stack(self) -> Hashable:
        """Return what must be equal for runs to train together: rounds, their epochs, mining, second path."""
        return ("failure-aware", self.rounds, self.round_epochs, self.mine, self.failure_head)

    def failure_plan(self) -> FailurePlan:
        """Return Algorithm 1 as plain functions."""
        from fairl_bench.science.failures import FailurePlan

        stricter = self.base.stricter(self.strictness) if self.failure_loss == "stricter" else None
        return FailurePlan(
            loss=(stricter or self.base).loss,
            failing=self.detector.failures,
            weight=lambda turn: self.failure_weight.at(turn, self.rounds),
            rate=lambda turn: self.sampling.at(turn, self.rounds),
            rounds=self.rounds,
            round_epochs=self.round_epochs,
            by_step=self.mine == "step",
            second_path=self.failure_head,
            coupling=self.coupling,
            penalty=None if self.penalty == "failure-weight" else self.penalty,
        )
