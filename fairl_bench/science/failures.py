"""Learning from failures: what a detector sees, what a failure costs, and how two paths share that cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

Coupling = Literal["base-stopped", "both-stopped", "full"]


class Signal(NamedTuple):
    """What the current rewards say about ``n`` pairs, for any number of runs at once (leading axes ``...``).

    ``uniform`` holds numbers in [0, 1) drawn for this round and run, for detectors that choose at random.
    """

    preferred: Tensor  # [..., n] reward of the preferred text
    rejected: Tensor  # [..., n] reward of the rejected text
    progress: float = 0.0  # share of the rounds that are over
    uniform: Tensor | None = None  # [..., n]
    gold: tuple[Tensor, Tensor] | None = None  # labels [n] in {+1, -1, 0 unknown} of the preferred and the rejected
    features: Callable[[], tuple[Tensor, Tensor]] | None = None
    """Differences of what the last layer reads ``[..., n, k]``, and its weights ``[..., k]``; costly, so on call."""

    @property
    def margin(self) -> Tensor:
        """Return the reward of the preferred minus that of the rejected text ``[..., n]``."""
        return self.preferred - self.rejected


class FailurePlan(NamedTuple):
    """How a run learns from its failures (paper Eq. 3 and Algorithm 1); each round decides anew which pairs fail."""

    loss: Callable[[Tensor], Tensor]  # the stricter loss of a margin, elementwise
    failing: Callable[[Signal], Tensor]  # mask [..., n]
    weight: Callable[[int], float]  # lambda_t by round, from 0
    rate: Callable[[int], float]  # p_t by round: the share of the failures that are learnt from
    rounds: int = 60
    round_epochs: int = 1
    by_step: bool = False  # Algorithm 1's letter: detect within each minibatch
    second_path: bool = True
    coupling: Coupling = "base-stopped"
    penalty: float | None = 1e-3  # mu of mu/2 ||w_F||^2; None: the paper's lambda_t


def shares(coupling: Coupling) -> tuple[float, float]:
    """How much of the failure loss the base path sees, and how much of the base loss the failure path sees.

    >>> shares("base-stopped")  # base: R_D + sg(R_F); failure: R_D + R_F
    (1.0, 0.0)
    >>> shares("both-stopped")  # base: R_D + sg(R_F); failure: sg(R_D) + R_F
    (0.0, 0.0)
    >>> shares("full")  # both: R_D + R_F
    (1.0, 1.0)
    """
    return {"base-stopped": (1.0, 0.0), "both-stopped": (0.0, 0.0), "full": (1.0, 1.0)}[coupling]
