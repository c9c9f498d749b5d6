"""One path of a stack: a head for each run, its gradient and its Adam step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fairl_bench.science import heads

if TYPE_CHECKING:
    from torch import Tensor

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # Adam's own (Kingma & Ba 2015, arXiv:1412.6980)


class Path:
    """The parameters of every active run ``[runs, size]``, one row a run, and Adam's moments of them."""

    def __init__(self, layout: heads.Layout, rows: Sequence[NDArray[np.float32]], lr: float) -> None:
        import torch

        self.layout, self.lr = layout, lr
        self.flat = torch.from_numpy(np.stack(rows)).to(torch.get_default_device())
        self.moments = (torch.zeros_like(self.flat), torch.zeros_like(self.flat))
        self.count = torch.zeros(())  # steps made, as long as every run has made as many
        self.counts: Tensor | None = None  # [runs], from when one was passed over
        self.decayed = torch.from_numpy(layout.decayed()).to(self.flat.device)
        self._view()

    def _view(self) -> None:
        import torch

        self.slope = torch.zeros_like(self.flat)
        self.weights, self.slopes = self.layout.views(self.flat), self.layout.views(self.slope)
        self.each = [part.unbind() for part in (self.flat, self.slope, *self.moments)]  # the rows, for masked steps

    @property
    def steps(self) -> Tensor:
        """The number of steps that each run has made ``[runs]``."""
        return self.count.expand(len(self.flat)) if self.counts is None else self.counts

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the rewards ``[runs, n]`` and hidden activations of ``x [runs, n, d]``."""
        return heads.forward(self.weights, x)

    def backward(self, x: Tensor, hidden: Tensor | None, slope: Tensor) -> None:
        """Compute the gradient of a loss whose derivative by the rewards is ``slope [runs, n]``."""
        heads.backward(self.weights, self.slopes, x, hidden, slope)

    def pull(self, strength: float | Tensor) -> None:
        """Add the gradient of ``strength/2 * ||weights||^2`` to the slope; ``strength`` a number or ``[runs, 1]``."""
        for name, weights in self.weights.items():
            if not name.endswith("weight"):
                continue
            if isinstance(strength, float):
                self.slopes[name].add_(weights, alpha=strength)
            else:
                self.slopes[name].addcmul_(weights, strength.view(-1, *[1] * (weights.dim() - 1)))

    def step(self, mask: Tensor | None = None) -> None:
        """Make one Adam step, of all runs or of those in a mask ``[runs]``; others keep parameters and moments."""
        parts = (self.flat, self.slope, *self.moments)
        if mask is not None and not mask.is_cpu:  # to ask a GPU which runs these are would hold everything up
            self.masked_step(mask)
        elif self.counts is None and (mask is None or bool(mask.all())):
            self._adam([[part] for part in (*parts, self.count)])  # one tensor a kind: fewer calls than one a run
        else:
            self.counts = self._counted()
            moving = range(len(self.flat)) if mask is None else mask.nonzero()[:, 0].tolist()
            if moving:
                self._adam([[part[run] for run in moving] for part in (*self.each, self.counts.unbind())])

    def _adam(self, lists: Sequence[list[Tensor]]) -> None:
        """Make Adam's step of tensors, their slopes, both moments and step counts, each given as a list."""
        from torch.optim.adam import adam

        flat, slope, first, second, steps = lists
        adam(
            flat,
            slope,
            first,
            second,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=self.lr,
            weight_decay=0.0,
            eps=_EPSILON,
            maximize=False,
        )

    def _counted(self) -> Tensor:
        return self.count.repeat(len(self.flat)) if self.counts is None else self.counts

    def masked_step(self, mask: Tensor) -> None:
        """Make the step of `step` without reading the mask back from the device."""
        moving = mask[:, None].to(self.flat.dtype)
        first, second = self.moments
        self.counts = self._counted()
        self.counts += mask
        first.addcmul_(moving, self.slope - first, value=1 - _BETAS[0])
        second.addcmul_(moving, self.slope**2 - second, value=1 - _BETAS[1])
        count = self.counts.clamp(min=1)[:, None]
        scale = (second / (1 - _BETAS[1] ** count)).sqrt_().add_(_EPSILON)
        self.flat.addcmul_(moving, first / (1 - _BETAS[0] ** count) / scale, value=-self.lr)

    def keep(self, rows: Tensor) -> None:
        """Drop all runs but these."""
        self.flat = self.flat[rows]
        self.counts = None if self.counts is None else self.counts[rows]
        self.moments = (self.moments[0][rows], self.moments[1][rows])
        self._view()

    def one(self, run: int) -> Mapping[str, Tensor]:
        """Return the arrays of one run, as a stack of one."""
        return {name: array[run : run + 1] for name, array in self.weights.items()}

    def arrays(self, run: int) -> dict[str, NDArray[np.float32]]:
        """Return a copy of the arrays of one run."""
        return self.layout.arrays(self.flat[run].cpu().numpy())

    def norm(self, run: int) -> float:
        """Return the length of one run's weights, without biases."""
        return float((self.flat[run] * self.decayed).norm())
