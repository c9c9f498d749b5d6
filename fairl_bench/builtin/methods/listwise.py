"""Methods that are a loss of whole lists of texts, as pairwise methods are a loss of margins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from fairl_bench.kinds.method import Method
from fairl_bench.pairwise import recipe_of, reward_of, shared, validation_pairs
from fairl_bench.science.list_losses import best_of_k, plackett_luce
from fairl_bench.values.training import Reward, Task

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.science.runs import TrainingRun


class ListwiseMethod(Method):
    """A reward that minimises the mean over lists of a loss of their texts' rewards.

    The texts of one prompt that pairs connect are a list, in the order that the pairs give them
    (`fairl_bench.science.lists`).  Each list counts once, whatever the weights of its pairs.  A step takes as many
    lists as hold ``training.batch`` pairs on average, at least one, so that an epoch has as many steps as that of a
    pairwise method.
    """

    reads_validation: ClassVar[bool] = True

    temperature: float = Field(1.0, gt=0, description="tau, in reward units")

    @abstractmethod
    def loss(self, reward: Tensor, below: Tensor) -> Tensor:
        """The loss of each list ``[..., B]``, of rewards ``[..., k, B]`` and what is below what ``[..., k, k, B]``.

        See `fairl_bench.science.list_losses`.
        """

    def fit(self, task: Task) -> Reward:
        """Train one head by Adam (`fairl_bench.science.fit`)."""
        return self.fit_many([(self, task)])[0]

    def stack(self) -> Hashable:
        """Every listwise method trains beside every other."""
        return "listwise"

    @classmethod
    def fit_many(cls, runs: Sequence[tuple[Self, Task]]) -> list[Reward]:
        """Train all runs in one loop; each gets the numbers that it would get alone."""
        from fairl_bench.progress import report
        from fairl_bench.science.fit import fit
        from fairl_bench.science.lists import lists_of
        from fairl_bench.science.runs import PairWeights, RowPairs

        task = runs[0][1]
        pairs, held_out = RowPairs(task.train.preferred, task.train.rejected), validation_pairs(task)
        train = lists_of(pairs, task.train.prompt)
        validation = lists_of(held_out, task.validation.prompt[: len(held_out.preferred)])
        recipe = recipe_of(task, task.training.epochs)
        fitted = fit(
            [_run(method, task) for method, task in shared(runs)],
            task.train.vectors,
            pairs,
            held_out,
            recipe._replace(batch=_lists_a_step(recipe.batch, len(train), len(task.train))),
            progress=report,
            device=task.training.device,
            weights=PairWeights(validation=task.validation.weight if task.training.stop else None),
            lists=(train, validation),
        )
        facts = {"lists": len(train), "longest_list": int(train.length.max())}
        return [Reward(one.arrays, one.history, {**one.facts, **facts}) for one in map(reward_of, fitted)]


def _run(method: ListwiseMethod, task: Task) -> TrainingRun:
    from fairl_bench.science.runs import TrainingRun

    return TrainingRun(method.use or type(method).__name__, method.loss, task.replicate, task.seed)


def _lists_a_step(batch: int, lists: int, pairs: int) -> int:
    """As many lists as hold ``batch`` pairs on average, at least one."""
    return max(1, round(batch * lists / max(1, pairs)))


class PlackettLuce(ListwiseMethod):
    """Plackett-Luce: the likelihood of each list's whole order (Plackett 1975; ListMLE, Xia et al. 2008).

    From the best text down, each is chosen among itself and the texts below it; the loss of a list is the sum of
    ``-log p`` of these choices.  Tied texts are not set against one another.  A list of two is Bradley-Terry.
    """

    def loss(self, reward: Tensor, below: Tensor) -> Tensor:
        """Return the negative log-likelihood of each list's order."""
        return plackett_luce(reward, below, self.temperature)


class BestOfK(ListwiseMethod):
    """InfoNCE: the best text of each list among those below it (van den Oord et al. 2018, arXiv:1807.03748).

    The loss of a list is ``-log p`` of its best text under a softmax; several that are tied for the best have an even
    share of it, each against the texts below it.  The order of the others is not read.  A list of two is Bradley-Terry.
    """

    def loss(self, reward: Tensor, below: Tensor) -> Tensor:
        """Return the loss of each list's best text."""
        return best_of_k(reward, below, self.temperature)
