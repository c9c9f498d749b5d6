"""Which epoch of a run is kept, and when a run ends early."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Monitor = Literal["calibrated-loss", "base-loss"]


class Selection(NamedTuple):
    """The rule for the epoch that is kept: the best admissible one, by its loss on the validation pairs.

    The loss is the run's own base loss, or the calibrated loss, which means the same for every method and does not
    depend on the scale of its reward.  A run can neither end at an epoch that is not admissible nor keep it; a run
    without an admissible epoch keeps its last one.
    """

    patience: int | None = 15  # admissible epochs without a new best after which a run ends; None: none end early
    min_delta: float = 0.0  # by how much an epoch must be better than the best one to replace it
    start: int = 1  # the first admissible epoch
    most_weight: float = math.inf  # no epoch is admissible whose failure weight lambda_t is above it
    monitor: Monitor = "base-loss"
    average: int = 1  # how many epochs the watched loss is averaged over: this one and those before it

    def admits(self, epoch: int, weight: float) -> bool:
        """Return whether a run may keep this epoch, or end at it."""
        return epoch >= self.start and weight <= self.most_weight


@dataclass
class Choice:
    """The choice of an epoch for one run, made while its epochs are trained."""

    rule: Selection
    kept_epoch: int = 0  # counted from 1; 0: none so far
    admissible_from: int = 0  # the first admissible epoch; 0: none so far
    lowest: float = math.inf
    waited: int = 0  # admissible epochs since the kept one
    recent: list[float] = field(default_factory=list)  # what was watched last, admissible or not

    def takes(self, epoch: int, watched: float | None, weight: float = 0.0) -> bool:
        """Return whether this epoch is the best so far; ``watched`` is better when it is lower.

        Where nothing is ``watched`` (None), a later epoch is better.

        >>> choice = Choice(Selection(start=2))
        >>> [choice.takes(epoch, loss) for epoch, loss in enumerate((0.1, 0.3, 0.4, 0.2), 1)]
        [False, True, False, True]
        """
        if watched is not None:
            self.recent = [*self.recent, watched][-self.rule.average :]
            watched = sum(self.recent) / len(self.recent)
        if not self.rule.admits(epoch, weight):
            return False
        self.admissible_from = self.admissible_from or epoch
        if watched is not None and self.kept_epoch and not watched < self.lowest - self.rule.min_delta:
            self.waited += 1
            return False
        self.kept_epoch, self.waited, self.lowest = epoch, 0, math.inf if watched is None else watched
        return True

    def keep_last(self, epoch: int) -> None:
        """Keep the last epoch of a run none of whose epochs could be chosen."""
        self.kept_epoch = epoch

    def ended(self) -> bool:
        """Return whether as many admissible epochs as the patience have passed without a better one."""
        return self.rule.patience is not None and self.waited >= self.rule.patience
