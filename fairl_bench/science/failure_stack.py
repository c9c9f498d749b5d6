"""A stack whose runs learn from their failures: a second path, mined failures, a weight that falls (paper Alg. 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import FairlError
from fairl_bench.science import heads
from fairl_bench.science.failures import FailurePlan, Signal, shares
from fairl_bench.science.paths import Path
from fairl_bench.science.runs import Loss, Recipe, TrainingRun
from fairl_bench.science.stack import (
    BLOCK,
    Data,
    HeldOut,
    LossOf,
    Stack,
    base_loss,
    checked_answer,
    reward_slopes,
    settings_kept,
    unchanged,
)

if TYPE_CHECKING:
    from torch import Tensor


class FailureStack(Stack):
    """A stack of runs of one form: all with a second path or none, all with the same number of rounds."""

    def __init__(self, runs: Sequence[TrainingRun], data: Data, recipe: Recipe) -> None:
        super().__init__(runs, data, recipe)
        self.form = _plan(runs[0])
        self.second = self.path("initial/failures") if self.form.second_path else None
        self.turn = 0
        self.of_failures: Tensor  # [active, 1] how much of the failure loss the base path sees
        self.of_base: Tensor  # [active, 1] how much of the base loss the failure path sees
        self.strength: Tensor | None = None  # [active, 1] of the penalty on the failure path
        self.weight: Tensor  # [active, 1] lambda_t
        self.rate: Tensor  # [active, 1] p_t
        self.uniform: Tensor  # [active, 2, n] for the detector, and for p_t
        self.learnt: Tensor  # [active] how many pairs of this epoch were learnt from as failures
        self.failing: Tensor | None = None  # [active, n] this round's S_t; None: found in each step

    @classmethod
    def losses(cls) -> tuple[LossOf, ...]:
        """Return what gives the loss of all pairs, and that of the failures."""
        return base_loss, failure_loss

    def paths(self) -> list[Path]:
        """The base path, and the failure path if there is one."""
        return [self.base, self.second] if self.second else [self.base]

    def start(self, epoch: int) -> None:
        """Set up the first epoch of a round: lambda_t, p_t, which pairs fail, the couplings and the penalty."""
        import torch

        if not (epoch - 1) % self.form.round_epochs:
            self._start_round(epoch)
        self.learnt = torch.zeros(len(self.active), dtype=torch.long)
        # made here and not in each step: a number sent to a GPU holds the steps up
        plans = [_plan(self.runs[i]) for i in self.active]
        coupled = torch.tensor([shares(plan.coupling) for plan in plans])
        self.of_failures, self.of_base = coupled[:, :1], coupled[:, 1:]
        strengths = [plan.weight(self.turn) if plan.penalty is None else plan.penalty for plan in plans]
        self.strength = torch.tensor(strengths)[:, None] if any(strengths) else None

    def _start_round(self, epoch: int) -> None:
        import torch

        self.turn = (epoch - 1) // self.form.round_epochs
        weights, rates = zip(*(self._scheduled(i) for i in self.active), strict=True)
        self.weight, self.rate = torch.tensor(weights)[:, None], torch.tensor(rates)[:, None]
        uniform = np.stack([self._uniform(self.runs[i]) for i in self.active])
        self.uniform = torch.from_numpy(uniform).to(self.data.x.device)
        if self.form.by_step:
            return
        preferred, rejected = self.rewards(self.data.train)
        found = self._detect(preferred, rejected, self.data.gold, self.uniform[:, 0], mined=True)
        self.failing = found & (self.uniform[:, 1] < self.rate)

    def _scheduled(self, i: int) -> tuple[float, float]:
        """Return lambda_t and p_t of a run.  Raises `FairlError` where they have no meaning."""
        run, plan = self.runs[i], _plan(self.runs[i])
        with settings_kept():
            weight, rate = plan.weight(self.turn), plan.rate(self.turn)
        for value in (weight, rate):
            if isinstance(value, bool) or not isinstance(value, Real):
                raise FairlError(f"a schedule of {run.name!r} gave {value!r:.40} in round {self.turn}; return a number")
        if not 0 <= weight < math.inf or not 0 <= rate <= 1:
            raise FairlError(
                f"{run.name!r}, round {self.turn}: its failure_weight {weight} must be at least 0 and finite, its "
                f"sampling {rate} within 0 to 1"
            )
        return float(weight), float(rate)

    def _uniform(self, run: TrainingRun) -> NDArray[np.float32]:
        rng = run.stream("failures", self.turn)
        return rng.random((2, self.data.train.shape[1]), np.float32)

    def learn(
        self,
        x: Tensor,
        hidden: Sequence[Tensor | None],
        reward: Tensor,
        slope: Tensor,
        picked: Tensor,
        real: int,
    ) -> None:
        """Step down ``L_base + lambda_t L_fail(S_t)``; the coupling says which path sees which loss."""
        half = reward.shape[1] // 2
        failing = self._failing_here(reward, picked, real)
        self.learnt += failing.sum(-1)
        beyond = self.beyond(reward[:, :half] - reward[:, half:], picked)
        extra = self.slope(beyond, failure_loss)[1] * failing
        if self.data.weight is None:
            extra *= self.weight / failing.sum(-1, keepdim=True).clamp(min=1)
        else:  # the mean over the failures, too, is one of weighted pairs
            counted = failing * self.data.weight[picked]
            total = counted.sum(-1, keepdim=True)
            extra *= self.weight * counted / total.where(total > 0, 1.0)
        if self.second is None:
            self.base.backward(x, hidden[0], reward_slopes(slope + extra))
        else:
            self.base.backward(x, hidden[0], reward_slopes(slope + self.of_failures * extra))
            self.second.backward(x, hidden[1], reward_slopes(extra + self.of_base * slope))
            self._step_second(self.second, failing)
        self.step_base()

    def _step_second(self, second: Path, failing: Tensor) -> None:
        """Step the failure path where it has failures to learn from: without any, Adam would only shrink it."""
        if self.strength is not None:
            second.pull(self.strength)
        second.step(failing.any(-1) | (self.of_base[:, 0] != 0))

    def _failing_here(self, reward: Tensor, picked: Tensor, real: int) -> Tensor:
        """Return S_t within the batch ``[active, B]``: mined for the round, or found in this step (Alg. 1's letter)."""
        import torch

        if self.failing is not None:
            failing = self.failing.gather(1, picked)
        else:
            half, pairs = reward.shape[1] // 2, picked[:, :real]
            gold = None if self.data.gold is None else (self.data.gold[0][pairs], self.data.gold[1][pairs])
            uniform = self.uniform.gather(2, pairs[:, None].expand(-1, 2, -1))
            failing = torch.zeros_like(picked, dtype=torch.bool)
            preferred, rejected = reward[:, :real], reward[:, half : half + real]
            mined = self._detect(preferred, rejected, gold, uniform[:, 0], mined=False)
            failing[:, :real] = mined & (uniform[:, 1] < self.rate)
        failing[:, real:] = False
        return failing

    def _detect(
        self,
        preferred: Tensor,
        rejected: Tensor,
        gold: tuple[Tensor, Tensor] | None,
        uniform: Tensor,
        *,
        mined: bool,
    ) -> Tensor:
        """Return what each run's detector says of the pairs given ``[active, n]``."""
        import torch

        failing = torch.zeros(preferred.shape, dtype=torch.bool)
        progress = self.turn / max(self.form.rounds - 1, 1)
        for rows, run in self.groups(lambda run: _plan(run).failing):
            what = f"detector of {run.name!r}"
            # what all runs share goes out as copies
            good, bad = gold or (None, None)
            labels = None
            if good is not None and bad is not None:
                labels = (good.clone(), bad.clone()) if mined else (good[rows], bad[rows])
            features = partial(self._features, rows) if mined else None
            signal = Signal(preferred[rows], rejected[rows], progress, uniform[rows], labels, features)
            with settings_kept(), unchanged(what, preferred, rejected, uniform):
                mask = _plan(run).failing(signal)
            failing[rows] = checked_answer(mask, preferred[rows], what, mask=True)
        return failing

    def _features(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Return what each run's last layer reads of each pair's difference, and the layer's weights."""
        import torch

        of_runs = [self._features_of(at) for at in range(rows.start, rows.stop)]
        return torch.stack([one for one, _ in of_runs]), torch.stack([one for _, one in of_runs])

    def _features_of(self, at: int) -> tuple[Tensor, Tensor]:
        import torch

        differences, weights = [], []
        for path in self.paths():
            one = path.one(at)
            blocks = zip(*(rows.split(BLOCK) for rows in self.data.train), strict=True)
            differences.append(torch.cat([self._read(one, *block) for block in blocks]))
            weights.append(one["weight"][0])
        if self.recipe.width is None:  # both paths read the same numbers: their weights add up
            return differences[0], sum(weights[1:], weights[0])
        return torch.cat(differences, 1), torch.cat(weights)

    def _read(self, arrays: Mapping[str, Tensor], preferred: Tensor, rejected: Tensor) -> Tensor:
        """Return the difference of what the last layer of one path reads of two texts ``[n, k]``."""
        sides = [self.data.x[rows] for rows in (preferred, rejected)]
        if self.recipe.width is not None:
            hidden = (heads.forward(arrays, side[None])[1] for side in sides)
            sides = [layer[0] for layer in hidden if layer is not None]
        return sides[0] - sides[1]

    def failure_weight(self, at: int) -> float:
        """Return lambda_t of this round."""
        return float(self.weight[at])

    def note(self, at: int, i: int, train: float, held_out: HeldOut | None) -> None:
        """Record the losses, lambda_t, how many pairs were learnt from as failures, and ``||w_F||``."""
        super().note(at, i, train, held_out)
        history = self.histories[i]
        history["failure_weight"].append(float(self.weight[at]))
        history["failures"].append(float(self.learnt[at]))
        if self.second:
            history["second_norm"].append(self.second.norm(at))

    def arrays(self, at: int) -> dict[str, NDArray[np.float32]]:
        """Return the sum of both paths as one head: added up if linear, twice as wide if not."""
        first = super().arrays(at)
        if self.second is None:
            return first
        second = self.second.arrays(at)
        if self.recipe.width is None:
            return {name: first[name] + second[name] for name in first}
        joined = {name: np.concatenate([first[name], second[name]], -1) for name in first if name != "bias"}
        return {**joined, "bias": first["bias"] + second["bias"]}

    def keep(self, keep: list[int]) -> None:
        """Drop all runs but these."""
        super().keep(keep)
        self.learnt = self.learnt[keep]
        self.weight, self.rate, self.uniform = self.weight[keep], self.rate[keep], self.uniform[keep]
        self.failing = None if self.failing is None else self.failing[keep]


def failure_loss(run: TrainingRun) -> Loss:
    """Return the loss of the failures."""
    return _plan(run).loss


def _plan(run: TrainingRun) -> FailurePlan:
    assert run.failures is not None
    return run.failures
