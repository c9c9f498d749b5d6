from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from fairl_bench.builtin.methods.pairwise import MaxEntropy, MaxMargin
from fairl_bench.errors import FairlError
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.science.losses import bradley_terry
from fairl_bench.science.runs import Batch, Recipe, RowPairs, TrainingRun
from fairl_bench.science.stack import Data, Stack
from fairl_bench.values.training import Head, Preferences, Reward, Task, Training

# odd on purpose: nothing is a multiple of a vector register, and the last batch is short
D, WIDTH, BATCH, N = 7, 5, 3, 11
HEADS = pytest.mark.parametrize("head", [Head(use="linear"), Head(width=WIDTH)], ids=lambda head: head.use)
SHAPES = pytest.mark.parametrize("width", [None, WIDTH], ids=["linear", "mlp"])


class Ones(MaxEntropy):
    """Weight 1 everywhere, said out loud."""

    def weight(self, margin: Tensor, loss: Tensor, batch: Batch) -> Tensor:
        return torch.ones_like(loss)


class Threes(MaxEntropy):
    """Weight 3 everywhere."""

    def weight(self, margin: Tensor, loss: Tensor, batch: Batch) -> Tensor:
        return 3 * torch.ones_like(loss)


class Watching(MaxEntropy):
    """Writes down what it is asked to weigh."""

    seen: ClassVar[list[tuple[Tensor, Tensor, Batch]]] = []

    def weight(self, margin: Tensor, loss: Tensor, batch: Batch) -> Tensor:
        assert not margin.requires_grad
        assert not loss.requires_grad
        self.seen.append((margin, loss, batch))
        return loss.new_ones(loss.shape)


class Short(MaxEntropy):
    """One weight a batch."""

    def weight(self, margin: Tensor, loss: Tensor, batch: Batch) -> Tensor:
        return loss.mean(-1)


class Trio(MaxEntropy):
    """An ensemble of three that averages arrays (a linear head's mean)."""

    def members(self) -> int:
        return 3

    def combine(self, rewards: Sequence[Reward]) -> Reward:
        arrays = {name: np.mean([one.arrays[name] for one in rewards], 0) for name in rewards[0].arrays}
        return Reward(arrays, facts={"members": len(rewards)})


class Kept(Trio):
    """An ensemble that keeps one of its members."""

    which: int = 0

    def combine(self, rewards: Sequence[Reward]) -> Reward:
        return rewards[self.which]


def task(head: Head, seed: int = 0, **training: Any) -> Task:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2 * N + 8, D)).astype(np.float32)
    sides = rng.permutation(len(vectors)).reshape(-1, 2)
    wrong = (vectors[sides[:, 0], 0] < vectors[sides[:, 1], 0]) ^ (rng.random(len(sides)) < 1 / 3)
    sides[wrong] = sides[wrong][:, ::-1]
    train, validation = (Preferences(vectors, *part.T.copy()) for part in (sides[:N], sides[N:]))
    settings = Training(**{"lr": 1e-2, "batch": BATCH, "epochs": 4, "stop": None, **training})
    return Task(train, validation, head, settings, 0, seed)


def same(one: Reward, other: Reward) -> bool:
    """Bit for bit."""
    return one.arrays.keys() == other.arrays.keys() and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays
    )


# --- weights


@HEADS
def test_weight_1_everywhere_equals_no_weight_bit_for_bit(head: Head) -> None:
    given = task(head)
    one, none = Ones().fit(given), MaxEntropy().fit(given)
    assert Ones().weighs()
    assert not MaxEntropy().weighs()
    assert same(one, none)
    assert one.history == none.history


@HEADS
def test_weighted_and_unweighted_methods_train_in_one_stack_as_they_do_alone(head: Head) -> None:
    methods = (Threes(), MaxEntropy(), MaxMargin(), Threes(temperature=0.5), MaxEntropy(temperature=0.5))
    runs: list[tuple[PairwiseMethod, Task]] = [(method, task(head, seed)) for seed in (0, 1) for method in methods]
    for (method, given), together in zip(runs, PairwiseMethod.fit_many(runs), strict=True):
        assert same(method.fit(given), together)


def slope(weight: Any, pairs: RowPairs, vectors: np.ndarray, width: int | None) -> dict[str, np.ndarray]:
    """The gradient of one step over all pairs."""
    run = TrainingRun("one", lambda margin: bradley_terry(margin, 1.0), 0, 0, weight=weight)
    none = RowPairs(np.empty(0, np.int64), np.empty(0, np.int64))
    stack = Stack([run], Data.of(vectors, pairs, none, None), Recipe(width, batch=64))
    with torch.no_grad():
        stack.epoch(1)
    return {name: array[0].numpy().copy() for name, array in stack.base.slopes.items()}


@SHAPES
def test_weight_two_on_a_pair_equals_repeating_it_in_the_slope(width: int | None) -> None:
    """The mean is over pairs, not over weights: 11 pairs with one at 2, times 11/12, are 12 pairs with one twice."""
    train = task(Head()).train
    norm = np.linalg.norm(train.vectors[train.preferred[4]] - train.vectors[train.rejected[4]])

    def double(margin: Tensor, loss: Tensor, batch: Batch) -> Tensor:
        fourth = (batch.norm - float(norm)).abs() < 1e-5
        assert int(fourth.sum()) == 1
        return torch.where(fourth, 2.0, 1.0)

    once = RowPairs(train.preferred, train.rejected)
    twice = RowPairs(*(np.append(side, side[4]) for side in once))
    weighted, repeated, plain = (
        slope(double, once, train.vectors, width),
        slope(None, twice, train.vectors, width),
        slope(None, once, train.vectors, width),
    )
    for name in set(plain) - {"bias"}:  # whose gradient is nothing but rounding
        np.testing.assert_allclose(weighted[name] * N / (N + 1), repeated[name], rtol=0, atol=1e-6)  # float32
        assert np.abs(plain[name] - repeated[name]).max() > 1e-3


@SHAPES
def test_weight_zero_leaves_a_pair_out_of_the_slope(width: int | None) -> None:
    train = task(Head()).train
    hard = slope(lambda margin, loss, batch: (margin <= 0).float(), RowPairs(train.preferred, train.rejected),
                 train.vectors, width)  # fmt: skip
    kept = [i for i, margin in enumerate(first_margins(width)) if margin <= 0]
    assert 0 < len(kept) < N
    alone = slope(None, RowPairs(train.preferred[kept], train.rejected[kept]), train.vectors, width)
    for name in alone:
        np.testing.assert_allclose(hard[name] * N, alone[name] * len(kept), rtol=0, atol=1e-5)  # float32


def first_margins(width: int | None) -> list[float]:
    from fairl_bench.science import heads
    from fairl_bench.science.streams import stream

    train = task(Head()).train
    arrays = heads.layout(D, width).arrays(heads.initial(D, width, stream("initial", 0, 0)))
    score = heads.score(arrays, train.vectors)
    return [float(one) for one in score[train.preferred] - score[train.rejected]]


@SHAPES
def test_the_weight_is_not_differentiated(width: int | None) -> None:
    """Weighing by the loss itself is the slope of half the squared loss only if the weight stands still."""
    train = task(Head()).train
    pairs = RowPairs(train.preferred, train.rejected)
    by_loss = slope(lambda margin, loss, batch: loss, pairs, train.vectors, width)
    run = TrainingRun("one", lambda margin: bradley_terry(margin, 1.0) ** 2 / 2, 0, 0)
    none = RowPairs(np.empty(0, np.int64), np.empty(0, np.int64))
    stack = Stack([run], Data.of(train.vectors, pairs, none, None), Recipe(width, batch=64))
    with torch.no_grad():
        stack.epoch(1)
    for name, array in by_loss.items():
        np.testing.assert_allclose(array, stack.base.slopes[name][0], rtol=0, atol=1e-6)  # float32


@HEADS
def test_a_weight_sees_the_real_pairs_of_each_batch(head: Head) -> None:
    watching, given = Watching(), task(head, epochs=2)
    Watching.seen.clear()
    reward = watching.fit(given)
    seen = list(Watching.seen)
    for margin, loss, batch in seen:
        assert margin.shape == loss.shape == batch.norm.shape
    assert [margin.shape for margin, _, _ in seen] == [(1, 3), (1, 3), (1, 3), (1, 2)] * 2
    for margin, loss, _ in seen:
        torch.testing.assert_close(loss, bradley_terry(margin, 1.0))
    # the losses given are those of the epoch's mean
    for epoch, first in enumerate((0, 4)):
        total = sum(loss.sum().item() for _, loss, _ in seen[first : first + 4])
        assert total / N == pytest.approx(reward.history["train_loss"][epoch], rel=1e-5)
    lengths = np.linalg.norm(
        given.train.vectors[given.train.preferred] - given.train.vectors[given.train.rejected], axis=1
    )
    for first in (0, 4):
        norms = np.concatenate([batch.norm[0].numpy() for _, _, batch in seen[first : first + 4]])
        np.testing.assert_allclose(np.sort(norms), np.sort(lengths), rtol=1e-5)  # float32


def test_a_norm_belongs_to_the_pair_of_its_margin() -> None:
    """A linear margin is at most |w| times the norm: with the vectors of one direction, exactly in ratio."""
    train = task(Head()).train
    rng = np.random.default_rng(2)
    scale = rng.uniform(1, 9, (len(train.vectors), 1)).astype(np.float32)
    vectors = np.tile(np.ones(D, np.float32), (len(scale), 1)) * scale
    ratios = []

    def watch(margin: Tensor, loss: Tensor, batch: Batch) -> Tensor:
        ratios.append((margin.abs() / batch.norm)[0].numpy())
        return torch.ones_like(loss)

    slope(watch, RowPairs(train.preferred, train.rejected), vectors, None)
    np.testing.assert_allclose(ratios[0], ratios[0][0], rtol=1e-4)  # float32, by a difference


def test_progress_is_the_share_of_the_epochs_that_are_over() -> None:
    Watching.seen.clear()
    Watching().fit(task(Head(use="linear"), epochs=5))
    by_epoch = [batch.progress for _, _, batch in Watching.seen[::4]]
    assert by_epoch == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert [batch.progress for _, _, batch in Watching.seen] == [at for at in by_epoch for _ in range(4)]


def test_the_train_and_validation_losses_are_unweighted() -> None:
    given = task(Head(use="linear"), lr=1e-30)
    assert Threes().fit(given).history == MaxEntropy().fit(given).history


def test_a_weight_of_another_shape_is_refused() -> None:
    with pytest.raises(FairlError, match=r"the weight of 'Short' turned margins \[1, 3\] into \[1\]"):
        Short().fit(task(Head(use="linear")))


# --- ensembles


def test_an_ensembles_reward_is_what_it_makes_of_its_members() -> None:
    given = task(Head(use="linear"))
    members = [Kept(which=which).fit(given) for which in range(3)]
    together = Trio().fit(given)
    assert together.facts["members"] == 3
    for name, array in together.arrays.items():
        assert np.array_equal(array, np.mean([one.arrays[name] for one in members], 0))


@HEADS
def test_the_first_member_is_a_run_alone_and_the_members_differ(head: Head) -> None:
    given = task(head)
    members = [Kept(which=which).fit(given) for which in range(3)]
    assert same(members[0], MaxEntropy().fit(given))
    for i in range(3):
        for j in range(i):
            assert not any(
                np.array_equal(members[i].arrays[name], members[j].arrays[name]) for name in members[i].arrays
            )


def test_members_start_apart_and_see_other_batches() -> None:
    """A step of nothing shows the start; the seeds of batches are those of the start."""
    given = task(Head(use="linear"), lr=1e-30)
    starts = [Kept(which=which).fit(given).arrays["weight"] for which in range(3)]
    assert len({start.tobytes() for start in starts}) == 3
    one, other = TrainingRun("", bradley_terry, 0, 0, member=1), TrainingRun("", bradley_terry, 0, 1)  # type: ignore[arg-type]
    assert one.stream("batches", 1).permutation(50).tolist() != other.stream("batches", 1).permutation(50).tolist()


@HEADS
def test_ensembles_train_in_one_stack_as_they_do_alone(head: Head) -> None:
    methods: list[PairwiseMethod] = [Trio(), MaxEntropy(), Kept(which=2), MaxMargin()]
    runs = [(method, task(head, seed)) for seed in (0, 1) for method in methods]
    for (method, given), together in zip(runs, PairwiseMethod.fit_many(runs), strict=True):
        assert same(method.fit(given), together)


def test_the_members_of_two_seeds_are_six_heads() -> None:
    heads = [
        Kept(which=which).fit(task(Head(use="linear"), seed)).arrays["weight"] for seed in (0, 1) for which in range(3)
    ]
    assert len({one.tobytes() for one in heads}) == 6
