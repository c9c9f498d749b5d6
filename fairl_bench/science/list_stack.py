"""A stack whose runs learn from lists of texts: the same loop with a loss of whole lists in the place of margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairl_bench.science.lists import Lists
from fairl_bench.science.runs import Recipe, TrainingRun
from fairl_bench.science.stack import Data, Stack, base_loss

if TYPE_CHECKING:
    from torch import Tensor


class ListStack(Stack):
    """A stack of runs that learn from lists; what it calls a pair is a list, but for the pairs of the validation."""

    def __init__(
        self, runs: Sequence[TrainingRun], data: Data, recipe: Recipe, train: Lists, validation: Lists
    ) -> None:
        import torch

        device = data.x.device
        super().__init__(runs, data._replace(train=torch.from_numpy(train.rows).to(device)), recipe)
        self.below = torch.from_numpy(train.below).to(device)  # [k, k, n]
        self.held_out_rows = torch.from_numpy(validation.rows).to(device)  # [k, n of the validation lists]
        self.held_out_below = torch.from_numpy(validation.below).to(device)

    def step(self, x: Tensor, picked: Tensor, real: int, epoch: int) -> Tensor:
        """Train one step on a batch ``[active, kB, d]`` of the lists ``picked [active, B]``, of which ``real`` count.

        Returns their losses ``[active, real]`` before the step.
        """
        reward, hidden = self.base.forward(x)
        below = self.below[:, :, picked].permute(2, 0, 1, 3).contiguous()  # [active, k, k, B]
        losses, slope = self.slope_of_lists(reward.reshape(len(x), -1, picked.shape[1]), below)
        slope /= real
        slope[..., real:] = 0
        self.base.backward(x, hidden, slope.flatten(1))
        self.step_base()
        return losses[:, :real]

    def slope_of_lists(self, reward: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        """Return each list's loss ``[active, B]`` and its derivative by the rewards ``[active, k, B]``."""
        import torch

        reward = reward.detach().requires_grad_()
        with torch.enable_grad():
            losses = torch.cat([run.loss(reward[rows], below[rows]) for rows, run in self.sharing[base_loss]])
            (slope,) = torch.autograd.grad(losses.sum(), reward)
        return losses.detach(), slope

    def held_out_losses(self, margin: Tensor) -> list[float]:
        """Return the mean loss of each active run on the validation lists."""
        import torch

        reward = torch.stack(self.rewards(self.held_out_rows), 1)  # [active, k, n]
        every = ((self.runs[i], reward[at : at + 1]) for at, i in enumerate(self.active))
        return [float(run.loss(own, self.held_out_below[None]).mean()) for run, own in every]
