"""Many runs trained as one: one gather, one batched matrix product and one Adam step for all of them.

Methods of one seed see the same initial values and the same batches, so that their differences are paired.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import Changed, FairlError, NotFinite
from fairl_bench.science import heads
from fairl_bench.science.batches import steps
from fairl_bench.science.calibrated import calibrated_loss
from fairl_bench.science.losses import BradleyTerry, Hinge
from fairl_bench.science.paths import Path
from fairl_bench.science.runs import ALIKE, Batch, Fitted, Loss, PairWeights, Recipe, RowPairs, Targets, TrainingRun
from fairl_bench.science.selection import Choice

if TYPE_CHECKING:
    from torch import Tensor

LossOf = Callable[[TrainingRun], Loss]
BLOCK = 8192  # texts scored at once: their vectors are copied, and stay in the cache while each run reads them
_HISTORY = ("train_loss", "validation_loss", "calibrated_loss", "failure_weight", "failures", "second_norm")


class Data(NamedTuple):
    """The data that every run of a stack is trained on."""

    x: Tensor  # [m, d]
    train: Tensor  # [2, n] rows of x: preferred, rejected; of lists [k, n], the best first
    validation: Tensor  # [2, n]
    gold: tuple[Tensor, Tensor] | None  # labels [n] of both sides of the training pairs
    weight: Tensor | None = None  # [n] how much each training pair counts, 1 on average; None: all alike
    held_out_weight: NDArray[np.float64] | None = None  # [n] the same of the validation pairs

    @classmethod
    def of(
        cls,
        vectors: NDArray[np.float32],
        train: RowPairs,
        validation: RowPairs,
        gold: tuple[NDArray[np.int8], NDArray[np.int8]] | None,
        weights: PairWeights = ALIKE,
    ) -> Self:
        """Return the data as tensors; vectors are copied only where they must be."""
        import torch

        def tensor(array: NDArray[Any]) -> Tensor:
            with warnings.catch_warnings():  # torch has no read-only tensors, and nothing here writes into these
                warnings.filterwarnings("ignore", "The given NumPy array is not writable")
                return torch.from_numpy(array).to(torch.get_default_device())

        rows, held_out = (tensor(np.stack([pairs.preferred, pairs.rejected])) for pairs in (train, validation))
        of_train, of_validation = weights.shares()
        weight = None if of_train is None else tensor(of_train.astype(np.float32))
        labels = None if gold is None else (tensor(gold[0].copy()), tensor(gold[1].copy()))
        x = tensor(np.ascontiguousarray(vectors, np.float32))
        return cls(x, rows, held_out, labels, weight, of_validation)


class HeldOut(NamedTuple):
    """The losses of the active runs on the validation pairs, each pair with its weight."""

    loss: list[float]  # [active] the mean base loss
    calibrated: list[float] | None  # [active] the calibrated loss, where it is watched

    def watched(self, at: int) -> float:
        """Return the loss by which a run's epochs are chosen; lower is better."""
        return self.loss[at] if self.calibrated is None else self.calibrated[at]


class Stack:
    """The active runs: their parameters, and each one's best epoch so far."""

    def __init__(self, runs: Sequence[TrainingRun], data: Data, recipe: Recipe) -> None:
        self.runs, self.data, self.recipe = runs, data, recipe
        # runs of one loss lie side by side, so that the loss is called once for all of them
        self.active = sorted(range(len(runs)), key=lambda i: [_first(runs, i, loss) for loss in self.losses()])
        self.base = self.path("initial")
        self.histories: list[dict[str, list[float]]] = [{name: [] for name in _HISTORY} for _ in runs]
        self.choices = [Choice(recipe.selection) for _ in runs]
        self.kept: list[dict[str, NDArray[np.float32]]] = [{} for _ in runs]  # the arrays of each run's kept epoch
        self.targets = self._targets()
        self._group()

    @classmethod
    def losses(cls) -> tuple[LossOf, ...]:
        """Return what gives the losses of a run that each step computes."""
        return (base_loss,)

    def _group(self) -> None:
        """Find the neighbours that share a loss, once for the steps of all epochs."""
        self.sharing = {loss_of: list(self.groups(loss_of)) for loss_of in self.losses()}

    def path(self, purpose: str) -> Path:
        """Return a head for every run, with initial values from the stream of this purpose."""
        d, width = self.data.x.shape[1], self.recipe.width
        streams = (self.runs[i].stream(purpose) for i in self.active)
        return Path(heads.layout(d, width), [heads.initial(d, width, rng) for rng in streams], self.recipe.lr)

    def _targets(self) -> tuple[Tensor, Tensor] | None:
        """Return every run's targets of the training and of the validation pairs ``[active, n]``; None: no run's."""
        import torch

        given = [self.runs[i].targets for i in self.active]
        if not any(given):
            return None
        sizes = (self.data.train.shape[1], self.data.validation.shape[1])
        none = Targets(*(np.zeros(n, np.float32) for n in sizes))  # a margin less 0 is the margin, to the last bit
        both = zip(*(one or none for one in given), strict=True)
        train, held_out = (torch.from_numpy(np.stack(rows)).to(self.data.x.device) for rows in both)
        return train, held_out

    def paths(self) -> list[Path]:
        """The paths whose sum is the reward."""
        return [self.base]

    def epoch(self, epoch: int) -> Tensor:
        """Train one pass over the training pairs and return the mean base loss of each active run."""
        import torch

        self.start(epoch)
        seeds, d = [self.runs[i].seeds() for i in self.active], self.data.x.shape[1]
        total = torch.zeros(len(seeds), dtype=torch.float64)  # of thousands of steps
        room = self.data.x.new_empty(0, d)  # for the vectors of a step: megabytes that would be new pages each time
        for one in steps(self.data.train, seeds, epoch, self.recipe.batch):
            if len(room) < len(one.rows):
                room = self.data.x.new_empty(len(one.rows), d)
            x = torch.index_select(self.data.x, 0, one.rows, out=room[: len(one.rows)])
            total += self.step(x.view(len(seeds), -1, d), one.picked, one.real, epoch).sum(-1)
        return total / self.data.train.shape[1]

    def start(self, epoch: int) -> None:
        """Do what comes before an epoch: here nothing."""

    def step(self, x: Tensor, picked: Tensor, real: int, epoch: int) -> Tensor:
        """Train one step on a batch ``[active, 2B, d]`` of the pairs ``picked [active, B]``, of which ``real`` count.

        Returns their base losses ``[active, real]`` before the step, each times its pair's weight.
        """
        half = x.shape[1] // 2
        read = [path.forward(x) for path in self.paths()]
        reward = sum((one for one, _ in read[1:]), read[0][0])
        margin = reward[:, :half] - reward[:, half:]
        losses, slope = self.slope(self.beyond(margin, picked), base_loss)
        slope = self._weighed(slope, losses, margin, x, real, epoch) / real
        if self.data.weight is not None:
            slope, losses = slope * self.data.weight[picked], losses * self.data.weight[picked]
        if real < half:
            slope[:, real:] = 0
        self.learn(x, [hidden for _, hidden in read], reward, slope, picked, real)
        return losses[:, :real]

    def beyond(self, margin: Tensor, picked: Tensor) -> Tensor:
        """Return the margins of the training pairs ``picked [active, B]`` less their targets."""
        return margin if self.targets is None else margin - self.targets[0].gather(1, picked)

    def learn(
        self,
        x: Tensor,
        hidden: Sequence[Tensor | None],
        reward: Tensor,
        slope: Tensor,
        picked: Tensor,
        real: int,
    ) -> None:
        """Step down the slope of the base loss by the margins ``[active, B]``."""
        self.base.backward(x, hidden[0], reward_slopes(slope))
        self.step_base()

    def step_base(self) -> None:
        """Step the base path, under the L2 prior of Eq. 9."""
        if self.recipe.l2:
            self.base.pull(2 * self.recipe.l2)
        self.base.step()

    def _weighed(self, slope: Tensor, losses: Tensor, margin: Tensor, x: Tensor, real: int, epoch: int) -> Tensor:
        """Return the slopes under the weights that some methods give their pairs; those of other methods unchanged."""
        if not any(self.runs[i].weight for i in self.active):
            return slope
        half = x.shape[1] // 2
        weights = slope.new_ones(slope.shape)
        for rows, run in self.groups(lambda run: run.weight):
            if run.weight is not None:
                norm = (x[rows, :half] - x[rows, half:])[:, :real].norm(dim=-1)
                batch = Batch(norm, (epoch - 1) / self.recipe.epochs)
                what, given = f"weight of {run.name!r}", (margin[rows, :real].detach(), losses[rows, :real].detach())
                with settings_kept(), unchanged(what, *given):
                    weighed = run.weight(*given, batch)
                weights[rows, :real] = checked_answer(weighed, margin[rows, :real], what)
        return slope * weights

    def slope(self, margin: Tensor, loss_of: LossOf) -> tuple[Tensor, Tensor]:
        """Return each pair's loss and its derivative by the margin ``[active, B]``."""
        import torch

        each = [_sloped(loss_of(run), margin[rows], run.name) for rows, run in self.sharing[loss_of]]
        if len(each) == 1:
            return each[0]
        losses, slopes = zip(*each, strict=True)
        return torch.cat(losses), torch.cat(slopes)

    def groups(self, key: Callable[[TrainingRun], object]) -> Iterator[tuple[slice, TrainingRun]]:
        """Return the neighbours that share something: their rows among the active runs, and one of them."""
        start = 0
        for _, group in groupby(self.active, key=lambda i: key(self.runs[i])):
            members = list(group)
            yield slice(start, start + len(members)), self.runs[members[0]]
            start += len(members)

    def rewards(self, pairs: Tensor) -> tuple[Tensor, ...]:
        """Return every active run's rewards ``[active, n]`` of each side of ``pairs [2, n]``, or of lists ``[k, n]``.

        Blocks of texts are fetched once for all runs; each run's product is then computed alone, which is faster.
        """
        import torch

        runs = [[path.one(at) for path in self.paths()] for at in range(len(self.active))]

        def reward(rows: Tensor) -> Tensor:
            x = self.data.x.index_select(0, rows)[None]
            return torch.cat(
                [sum((heads.forward(one, x)[0] for one in ones[1:]), heads.forward(ones[0], x)[0]) for ones in runs]
            )

        return tuple(torch.cat([reward(rows) for rows in side.split(BLOCK)], 1) for side in pairs)

    def held_out(self) -> HeldOut | None:
        """Return the losses of each active run's whole reward on the validation pairs; None where there are none."""

        if self.data.validation.shape[1] == 0:
            return None
        preferred, rejected = self.rewards(self.data.validation)
        margin = preferred - rejected
        loss = self.held_out_losses(margin)
        if self.recipe.selection.monitor == "base-loss":
            return HeldOut(loss, None)
        return HeldOut(loss, [calibrated_loss(own, self.data.held_out_weight) for own in margin.cpu().numpy()])

    def held_out_losses(self, margin: Tensor) -> list[float]:
        """Return the mean base loss of each active run on the validation pairs, whose margins are ``[active, n]``."""
        import torch

        beyond = margin if self.targets is None else margin - self.targets[1]
        every = ((self.runs[i], beyond[at : at + 1]) for at, i in enumerate(self.active))
        weight = self.data.held_out_weight
        shares = 1.0 if weight is None else torch.from_numpy(weight.astype(np.float32)).to(margin.device)
        return [float((_losses_of(run.loss, own, run.name) * shares).mean()) for run, own in every]

    def judge(self, epoch: int, train: Tensor, held_out: HeldOut | None) -> None:
        """Record the epoch, keep the best weights, and drop the runs whose patience has run out."""
        keep = []
        for at, i in enumerate(self.active):
            choice, loss = self.choices[i], float(train[at])
            for one in (loss, *(() if held_out is None else (held_out.loss[at], held_out.watched(at)))):
                if not np.isfinite(one):
                    raise NotFinite(f"the loss of {self.runs[i].name!r} is {one} in epoch {epoch}; lower training.lr")
            self.note(at, i, loss, held_out)
            if choice.takes(epoch, None if held_out is None else held_out.watched(at), self.failure_weight(at)):
                self.kept[i] = self.arrays(at)
            if held_out is None or not choice.ended():
                keep.append(at)
        if len(keep) < len(self.active):
            self.keep(keep)

    def settle(self) -> list[Fitted]:
        """Return the fitted runs; a run of which no epoch could be chosen keeps its last epoch."""
        for at, i in enumerate(self.active):
            if not self.choices[i].kept_epoch:
                self.choices[i].keep_last(len(self.histories[i]["train_loss"]))
                self.kept[i] = self.arrays(at)
        every = zip(self.kept, self.histories, self.choices, strict=True)
        return [Fitted(arrays, history, one.kept_epoch, one.admissible_from) for arrays, history, one in every]

    def failure_weight(self, at: int) -> float:
        """Return lambda_t, the present weight of a run's failures; 0 where it learns from none."""
        return 0.0

    def note(self, at: int, i: int, train: float, held_out: HeldOut | None) -> None:
        """Add an epoch to a run's history."""
        history = self.histories[i]
        history["train_loss"].append(train)
        if held_out is not None:
            history["validation_loss"].append(held_out.loss[at])
        if held_out is not None and held_out.calibrated is not None:
            history["calibrated_loss"].append(held_out.calibrated[at])

    def arrays(self, at: int) -> dict[str, NDArray[np.float32]]:
        """Return a copy of one run's whole reward as one head."""
        return self.base.arrays(at)

    def keep(self, keep: list[int]) -> None:
        """Drop all runs but these."""
        import torch

        self.active = [self.active[at] for at in keep]
        if self.targets is not None:
            self.targets = (self.targets[0][keep], self.targets[1][keep])
        self._group()
        for path in self.paths():
            path.keep(torch.tensor(keep, dtype=torch.long))


def reward_slopes(slope: Tensor) -> Tensor:
    """Return the derivative by the rewards, preferred first, from the derivative by the margin."""
    import torch

    return torch.cat([slope, -slope], 1)


def base_loss(run: TrainingRun) -> Loss:
    """Return the loss of all pairs."""
    return run.loss


def _first(runs: Sequence[TrainingRun], i: int, loss_of: LossOf) -> int:
    return next(j for j, run in enumerate(runs) if loss_of(run) == loss_of(runs[i]))


def _sloped(loss: Loss, margin: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Return the losses of runs that share one and their derivative, in the margins' own type: wider sums round."""
    import torch

    if isinstance(loss, Hinge | BradleyTerry):
        return loss(margin), loss.slope(margin)
    margin = margin.detach().requires_grad_()
    with torch.enable_grad():
        losses = _losses_of(loss, margin, name)
        if not losses.requires_grad:
            raise FairlError(f"the loss of {name!r} does not depend on the margin it is given; compute it with torch")
        (slope,) = torch.autograd.grad(losses, margin, torch.ones_like(losses))
    return losses.detach().to(margin.dtype), slope


def _losses_of(loss: Loss, margin: Tensor, name: str) -> Tensor:
    """Call a loss on margins and return its answer."""
    what = f"loss of {name!r}"
    with settings_kept(), unchanged(what, margin):
        losses = loss(margin)
    return checked_answer(losses, margin, what)


@contextmanager
def unchanged(what: str, *given: Tensor) -> Iterator[None]:
    """Guard tensors while a plugin works on them: torch counts every change.  Raises `Changed`."""
    before = [tensor._version for tensor in given]
    try:
        yield
    except RuntimeError as error:
        if "in-place operation" not in str(error):
            raise
        raise _changed(what) from error
    if before != [tensor._version for tensor in given]:
        raise _changed(what)


def _changed(what: str) -> Changed:
    return Changed(f"the {what} changed the numbers it was given; let it change a copy, as .clone() makes one")


def checked_answer(answer: Tensor, margin: Tensor, what: str, *, mask: bool = False) -> Tensor:
    """Return what a plugin made of margins, if it is one number for each of them, or a mask of them."""
    import torch

    if not isinstance(answer, torch.Tensor):
        raise FairlError(f"the {what} turned margins into a {type(answer).__name__}; return a tensor")
    if answer.shape != margin.shape:
        raise FairlError(
            f"the {what} turned margins {list(margin.shape)} into {list(answer.shape)}; it must be elementwise, "
            "without a mean"
        )
    if mask and answer.dtype != torch.bool:
        raise FairlError(f"the {what} gave numbers ({answer.dtype}) for a mask; return booleans, such as margin < 0")
    if not mask and not answer.is_floating_point():
        raise FairlError(f"the {what} gave {answer.dtype}; return real numbers, such as float32")
    return answer


@contextmanager
def settings_kept() -> Iterator[None]:
    """Put torch's settings back after a plugin's turn, since other runs go on computing under them."""
    import torch

    dtype, grad, device = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_default_device()
    try:
        yield
    finally:
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)
        if torch.is_grad_enabled() != grad:
            torch.set_grad_enabled(grad)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)
