"""Runs that learn from lists: against plain PyTorch, alone and in company, and beside runs that learn from pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fairl_bench.errors import FairlError, NotFinite
from fairl_bench.science import heads
from fairl_bench.science.calibrated import calibrated_loss
from fairl_bench.science.fit import fit
from fairl_bench.science.list_losses import best_of_k, plackett_luce
from fairl_bench.science.list_stack import ListStack
from fairl_bench.science.lists import Lists, lists_of
from fairl_bench.science.losses import bradley_terry
from fairl_bench.science.runs import Fitted, Recipe, RowPairs, TrainingRun
from fairl_bench.science.selection import Selection
from fairl_bench.science.streams import stream

D, WIDTH, BATCH = 7, 5, 3
SHAPES = pytest.mark.parametrize("width", [None, WIDTH], ids=["linear", "mlp"])
WHOLE_ORDER = partial(plackett_luce, temperature=1.0)
BEST = partial(best_of_k, temperature=1.0)
COLD = partial(plackett_luce, temperature=0.25)
LENGTHS = (2, 4, 3, 2, 5, 3, 2, 4, 2, 3, 4)  # an odd number of lists, and the last batch is short


class Problem:
    """Gaussian vectors in lists of given lengths, ordered by their first number and noise."""

    def __init__(self, lengths: Sequence[int] = LENGTHS, held_out: int = 4, d: int = D, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        every = [*lengths, *([3] * held_out)]
        self.vectors = rng.normal(size=(sum(every), d)).astype(np.float32)
        noisy = self.vectors[:, 0] + rng.normal(size=len(self.vectors))
        rows = rng.permutation(len(self.vectors))
        self.orders = [part[np.argsort(-noisy[part])].tolist() for part in np.split(rows, np.cumsum(every)[:-1])]
        self.train, self.validation = self.orders[: len(lengths)], self.orders[len(lengths) :]

    def pairs(self, orders: Sequence[Sequence[int]]) -> RowPairs:
        """All pairs of these lists."""
        both = np.array([pair for order in orders for pair in combinations(order, 2)], np.int64).reshape(-1, 2)
        return RowPairs(both[:, 0].copy(), both[:, 1].copy())

    def lists(self, orders: Sequence[Sequence[int]]) -> Lists:
        pairs = self.pairs(orders)
        return lists_of(pairs, [""] * len(pairs.preferred))

    def fit(self, runs: Sequence[TrainingRun], recipe: Recipe, *, judged: bool = True) -> list[Fitted]:
        held_out = self.validation if judged else []
        lists = (self.lists(self.train), self.lists(held_out))
        return fit(runs, self.vectors, self.pairs(self.train), self.pairs(held_out), recipe, lists=lists)


def run(loss: Callable[..., Tensor] = WHOLE_ORDER, seed: int = 0, name: str = "one", replicate: int = 0) -> TrainingRun:
    return TrainingRun(name, loss, replicate, seed)


def many() -> list[TrainingRun]:
    """Three losses out of order, three seeds, two worlds."""
    losses = {"order": WHOLE_ORDER, "best": BEST, "cold": COLD}
    return [
        TrainingRun(name, losses[name], replicate, seed)
        for seed in range(3)
        for name, replicate in (("order", 0), ("best", 0), ("cold", 0), ("order", 1))
    ]


def recipe(width: int | None, epochs: int = 5, batch: int = BATCH, lr: float = 1e-2, **fields: object) -> Recipe:
    return Recipe(width=width, lr=lr, batch=batch, epochs=epochs, **fields)._replace(  # type: ignore[arg-type]
        selection=fields.get("selection", Selection(patience=None))  # type: ignore[arg-type]
    )


def same(one: Fitted, other: Fitted) -> bool:
    """Bit for bit, history and all."""
    return one[1:] == other[1:] and all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


# --- against plain PyTorch


def plain_torch(
    given: Problem, one: TrainingRun, how: Recipe, best_alone: bool
) -> tuple[dict[str, np.ndarray], list[float]]:
    """The same training list by list, with autograd through PyTorch's cross-entropy, and `torch.optim.Adam`."""
    layout = heads.layout(given.vectors.shape[1], how.width)
    start = layout.arrays(heads.initial(given.vectors.shape[1], how.width, stream("initial", one.replicate, one.seed)))
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in start.items()}
    adam = torch.optim.Adam(list(leaves.values()), lr=how.lr)
    x = torch.from_numpy(given.vectors)

    def loss(order: Sequence[int]) -> Tensor:
        texts = x[list(order)]
        if how.width is not None:
            texts = (texts @ leaves["hidden.weight"] + leaves["hidden.bias"]).relu()
        reward = texts @ leaves["weight"] + leaves["bias"]
        stages = 1 if best_alone else len(order) - 1
        first = torch.tensor([0])
        return sum(torch.nn.functional.cross_entropy(reward[None, at:], first) for at in range(stages))  # type: ignore[return-value]

    trained = []
    for epoch in range(1, how.epochs + 1):
        order = stream("batches", one.replicate, one.seed, epoch).permutation(len(given.train))
        seen = 0.0
        for at in range(0, len(order), how.batch):
            losses = torch.stack([loss(given.train[i]) for i in order[at : at + how.batch]])
            prior = sum((leaf**2).sum() for name, leaf in leaves.items() if name.endswith("weight"))
            adam.zero_grad()
            (losses.mean() + how.l2 * prior).backward()
            adam.step()
            seen += losses.sum().item()
        trained.append(seen / len(order))
    return {name: leaf.detach().numpy() for name, leaf in leaves.items()}, trained


@SHAPES
@pytest.mark.parametrize(("loss", "best_alone"), [(WHOLE_ORDER, False), (BEST, True)], ids=["order", "best"])
@pytest.mark.parametrize("l2", [0.0, 0.05])
def test_fit_equals_a_plain_pytorch_loop(
    loss: Callable[..., Tensor], best_alone: bool, l2: float, width: int | None
) -> None:
    given, how, one = Problem(), recipe(width, epochs=3, l2=l2), run(loss, seed=4, replicate=1)
    (fitted,) = given.fit([one], how, judged=False)
    arrays, trained = plain_torch(given, one, how, best_alone)
    for name in set(arrays) - {"bias"}:  # its gradient is rounding, of which Adam makes a whole step
        np.testing.assert_allclose(fitted.arrays[name], arrays[name], rtol=0, atol=1e-5)  # float32
    np.testing.assert_allclose(fitted.train_loss, trained, rtol=0, atol=1e-5)
    assert len(given.train) % BATCH != 0  # so that a short batch was among them


def test_a_linear_head_comes_to_the_optimum_that_scipy_finds() -> None:
    """The likelihood as it is written, in numpy and with numeric slopes; full batches, so that Adam comes to rest."""
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    given = Problem(lengths=[4, 3, 2, 5] * 8, d=3)

    def likelihood(theta: np.ndarray) -> float:
        def of(order: list[int]) -> float:
            reward = given.vectors[order] @ theta
            return float(sum(logsumexp(reward[at:]) - reward[at] for at in range(len(order))))

        return float(np.mean([of(order) for order in given.train])) + 0.01 * float(theta @ theta)

    expected = minimize(likelihood, np.zeros(3), method="BFGS", options={"gtol": 1e-6}).x
    (fitted,) = given.fit([run()], recipe(None, epochs=600, batch=32, lr=0.02, l2=0.01), judged=False)
    np.testing.assert_allclose(fitted.arrays["weight"], expected, atol=1e-4)


# --- lists of two


@SHAPES
@pytest.mark.parametrize("monitor", ["calibrated-loss", "base-loss"])
def test_lists_of_two_train_as_pairs_do(monitor: str, width: int | None) -> None:
    """Bit for bit: the arrays, the losses of training, and the calibrated ones.

    The validation losses agree to their last bit or two: a loss lies in another place of a vector register.
    """
    given = Problem(lengths=[2] * 75, held_out=20)
    given.validation = [order[:2] for order in given.validation]
    how = recipe(width, epochs=12, batch=32, l2=0.01, selection=Selection(patience=5, monitor=monitor))  # type: ignore[arg-type]
    pairs, held_out = given.pairs(given.train), given.pairs(given.validation)
    for temperature in (1.0, 0.3):
        by_pairs = [run(partial(bradley_terry, temperature=temperature), seed) for seed in (0, 1)]
        expected = fit(by_pairs, given.vectors, pairs, held_out, how)
        for loss in (plackett_luce, best_of_k):
            found = given.fit([run(partial(loss, temperature=temperature), seed) for seed in (0, 1)], how)
            for one, other in zip(found, expected, strict=True):
                assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in other.arrays)
                assert one.kept_epoch == other.kept_epoch
                assert one.history["calibrated_loss"] == other.history["calibrated_loss"]
                assert one.train_loss == other.train_loss
                close = [history["validation_loss"] for history in (one.history, other.history)]
                np.testing.assert_allclose(*close, rtol=3e-7)


# --- alone and in company


@SHAPES
@pytest.mark.parametrize(
    ("lengths", "batch", "d"),
    [
        (LENGTHS, BATCH, D),
        ([2] * 11, BATCH, D),
        ([3] * 11, 1, 1),
        ([4, 5, 8] * 10, 20, 33),
        ([20, 2, 3], 2, 10),
        ([64, 2], 1, 4),
    ],
)
def test_stacked_equals_alone_bit_for_bit(lengths: list[int], batch: int, d: int, width: int | None) -> None:
    given, how = Problem(lengths, d=d), recipe(width, batch=batch, l2=0.01)
    stacked = given.fit(many(), how)
    for one, fitted in zip(many(), stacked, strict=True):
        assert same(given.fit([one], how)[0], fitted), one
    if d > 1:
        assert len({fitted.train_loss[-1] for fitted in stacked}) == (len(stacked) if max(lengths) > 2 else 9)


@SHAPES
def test_runs_that_stop_at_different_epochs_leave_the_others_alone(width: int | None) -> None:
    given = Problem()
    how = recipe(width, epochs=60, lr=5e-2, selection=Selection(patience=3))
    stacked = given.fit(many(), how)
    assert len({len(fitted.train_loss) for fitted in stacked}) > 2
    for one, fitted in zip(many(), stacked, strict=True):
        assert same(given.fit([one], how)[0], fitted), one
    assert all(map(same, stacked, given.fit(many()[::-1], how)[::-1]))


def test_runs_of_one_loss_share_its_calls() -> None:
    shapes = []

    def counted(reward: Tensor, below: Tensor) -> Tensor:
        shapes.append((tuple(reward.shape), tuple(below.shape)))
        return WHOLE_ORDER(reward, below)

    given = Problem([4] * 11)
    given.fit([run(counted), run(BEST), run(counted, 1)], recipe(None, epochs=1, batch=11), judged=False)
    assert shapes == [((2, 4, 16), (2, 4, 4, 16))]  # 64 texts: filled up to whole vector registers


def test_methods_of_one_seed_see_the_same_lists_and_each_once_an_epoch() -> None:
    seen: dict[str, list[list[float]]] = {"order": [], "best": []}

    def watching(name: str, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def watched(reward: Tensor, below: Tensor) -> Tensor:
            seen[name].append(list(dict.fromkeys(reward[0, 0].tolist())))  # the best text's reward names the list
            return loss(reward, below)

        return watched

    given, how = Problem(), recipe(None, epochs=2, lr=1e-30)
    given.fit([run(watching("order", WHOLE_ORDER)), run(watching("best", BEST))], how, judged=False)
    assert seen["order"] == seen["best"]
    assert [len(batch) for batch in seen["order"]] == [3, 3, 3, 2] * 2
    assert len({name for batch in seen["order"][:4] for name in batch}) == len(LENGTHS)


# --- the choice of an epoch


@pytest.mark.parametrize("loss", [WHOLE_ORDER, BEST])
def test_the_base_loss_is_that_of_the_lists_and_the_calibrated_loss_that_of_the_pairs(
    loss: Callable[..., Tensor],
) -> None:
    given = Problem(lengths=LENGTHS * 4, held_out=30)
    for monitor, column in (("base-loss", "validation_loss"), ("calibrated-loss", "calibrated_loss")):
        how = recipe(WIDTH, epochs=25, lr=0.05, selection=Selection(patience=None, monitor=monitor))  # type: ignore[arg-type]
        (found,) = given.fit([run(loss)], how)
        watched = found.history[column]
        assert found.kept_epoch == 1 + int(np.argmin(watched))
        reward, pairs, lists = (
            heads.score(found.arrays, given.vectors),
            given.pairs(given.validation),
            given.lists(given.validation),
        )
        kept = {
            "base-loss": loss(torch.from_numpy(reward[lists.rows]), torch.from_numpy(lists.below)).mean().item(),
            "calibrated-loss": calibrated_loss(reward[pairs.preferred] - reward[pairs.rejected]),
        }
        assert kept[monitor] == pytest.approx(watched[found.kept_epoch - 1], rel=1e-4)  # float32, another order


def test_each_list_counts_once_in_the_loss_of_an_epoch() -> None:
    """With a step size of nothing every epoch sees the start; the mean is over lists, not over texts or choices."""
    given = Problem()
    (found,) = given.fit([run()], recipe(None, lr=1e-30), judged=False)
    arrays = heads.layout(D, None).arrays(heads.initial(D, None, stream("initial", 0, 0)))
    reward = torch.from_numpy(heads.score(arrays, given.vectors))
    each = [
        sum((reward[order[at:]].logsumexp(0) - reward[order[at]]).item() for at in range(len(order)))
        for order in given.train
    ]
    np.testing.assert_allclose(found.train_loss, np.mean(each), rtol=1e-5)  # float32


# --- devices and refusals


class Forbid(TorchDispatchMode):
    """Refuses the calls for which a GPU would have to be waited."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        reads = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::masked_select")
        assert str(func.name()).partition(".")[0] not in reads, func.name()
        return func(*args, **(kwargs or {}))


def test_no_epoch_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs, before = [], ListStack.epoch

    def epoch(self: ListStack, *args: object) -> Tensor:
        epochs.append(1)
        with Forbid():
            return before(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ListStack, "epoch", epoch)
    Problem().fit([run(), run(BEST)], recipe(WIDTH, epochs=2))
    assert len(epochs) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_rewards_of_a_processor() -> None:
    given, how = Problem(lengths=LENGTHS * 4), recipe(WIDTH, epochs=4)
    lists = (given.lists(given.train), given.lists(given.validation))
    pairs = (given.pairs(given.train), given.pairs(given.validation))
    for one, other in zip(
        fit(many(), given.vectors, *pairs, how, lists=lists),
        fit(many(), given.vectors, *pairs, how, lists=lists, device="cuda"),
        strict=True,
    ):
        scores = [heads.score(fitted.arrays, given.vectors) for fitted in (one, other)]
        np.testing.assert_allclose(scores[0] - scores[0].mean(), scores[1] - scores[1].mean(), rtol=0, atol=1e-3)


def test_a_loss_that_leaves_the_finite_numbers_is_named_with_its_epoch() -> None:
    given = Problem()
    given.vectors *= 1e15
    with pytest.raises(NotFinite, match=r"the loss of 'one' is (nan|inf) in epoch 1; lower training\.lr"):
        given.fit([run()], recipe(WIDTH, lr=1e15))


def test_training_without_a_pair_is_refused() -> None:
    given = Problem(lengths=[])
    with pytest.raises(FairlError, match="training needs at least one pair, got none"):
        given.fit([run()], recipe(None))
