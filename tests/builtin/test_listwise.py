"""`plackett-luce` and `best-of-k`: what they make of a task, and what they learn from lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fairl_bench.builtin.methods import listwise
from fairl_bench.builtin.methods.listwise import BestOfK, ListwiseMethod, PlackettLuce
from fairl_bench.builtin.methods.pairwise import MaxEntropy
from fairl_bench.engine.execute import jobs
from fairl_bench.engine.planner import plan
from fairl_bench.kinds.method import Method
from fairl_bench.science import paths
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import planted
from fairl_bench.values.data import Floats, Rows, Vectors
from fairl_bench.values.training import Head, Preferences, Reward, Stop, Task, Training

BOTH = pytest.mark.parametrize("method", [PlackettLuce(), BestOfK()], ids=["plackett-luce", "best-of-k"])
EMPTY = np.empty(0, np.int64)


class Ranked(NamedTuple):
    """Lists of ``k`` texts, each in an order drawn by Plackett-Luce from a linear reward ``theta . h``."""

    theta: Floats  # [d]
    vectors: Vectors  # [n k, d]
    order: Rows  # [n, k] the rows of each list, the best first

    def preferences(self, places: Sequence[tuple[int, int]]) -> Preferences:
        """The pairs of these places of each list, the better one first; a prompt for each list."""
        better, worse = (np.concatenate([self.order[:, place[side]] for place in places]) for side in (0, 1))
        prompt = tuple(f"prompt {i}" for i in range(len(self.order))) * len(places)
        return Preferences(self.vectors, better, worse, prompt=prompt)

    def task(self, places: Sequence[tuple[int, int]], **training: Any) -> Task:
        settings = Training(**{"lr": 0.05, "epochs": 15, "batch": 60, "stop": None, **training})
        none = Preferences(self.vectors, EMPTY, EMPTY)
        return Task(self.preferences(places), none, Head(use="linear"), settings)

    def angle(self, reward: Reward) -> float:
        """The degrees between a linear reward and the true one."""
        weight = reward.arrays["weight"].astype(np.float64)
        cosine = weight @ self.theta / np.linalg.norm(weight) / np.linalg.norm(self.theta)
        return float(np.degrees(np.arccos(cosine)))


def ranked(seed: int = 0, n: int = 80, k: int = 4, d: int = 8) -> Ranked:
    """Gumbel noise makes an order by Plackett-Luce of one by reward (Yellott 1977)."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=d)
    theta *= 1.5 / np.linalg.norm(theta)
    vectors = rng.normal(size=(n * k, d)).astype(np.float32)
    noisy = (vectors @ theta + rng.gumbel(size=n * k)).reshape(n, k)
    return Ranked(theta, vectors, np.argsort(-noisy, 1) + k * np.arange(n)[:, None])


def every_pair(k: int = 4) -> list[tuple[int, int]]:
    return list(combinations(range(k), 2))


def equal(one: Reward, other: Reward) -> bool:
    """Bit for bit, but for the facts."""
    return one.history == other.history and same_arrays(one, other)


def same_arrays(one: Reward, other: Reward) -> bool:
    return all(np.array_equal(one.arrays[name], other.arrays[name]) for name in {**one.arrays, **other.arrays})


def is_max_entropy(reward: Reward, pairwise: Reward) -> bool:
    """Bit for bit, but for validation losses: they lie in other places of a vector register, which rounds otherwise."""
    histories = [dict(one.history) for one in (reward, pairwise)]
    losses = [history.pop("validation_loss", []) for history in histories]
    return same_arrays(reward, pairwise) and histories[0] == histories[1] and np.allclose(*losses, rtol=3e-7, atol=0)


# --- lists of two


@BOTH
@pytest.mark.parametrize("stop", [Stop(), None])
def test_with_one_pair_a_prompt_it_is_max_entropy(method: ListwiseMethod, stop: Stop | None) -> None:
    """To the last bit: vectors, batches, initial values and losses are the same."""
    task = planted(n=150, noise=0.2).task
    given = replace(task, training=Training(lr=1e-2, epochs=8, stop=stop))
    for temperature in (1.0, 0.3):
        one = method.model_copy(update={"temperature": temperature})
        assert is_max_entropy(one.fit(given), MaxEntropy(temperature=temperature).fit(given))


@BOTH
def test_pairs_drawn_twice_count_twice_as_they_do_in_max_entropy(method: ListwiseMethod) -> None:
    """As in a resample of the training pairs."""
    task = planted(n=60, noise=0.2).task
    drawn = np.random.default_rng(0).integers(60, size=60)
    given = replace(task, train=task.train.take(drawn), training=Training(lr=1e-2, epochs=4))
    assert is_max_entropy(method.fit(given), MaxEntropy().fit(given))


# --- lists of several


@BOTH
def test_all_pairs_of_a_list_and_those_of_its_neighbours_are_one_list(method: ListwiseMethod) -> None:
    """With one batch an epoch the number of pairs that a list was given by does not matter."""
    world = ranked(n=20)
    all_of_them, neighbours = (
        method.fit(world.task(places, batch=500, epochs=5)) for places in (every_pair(), [(0, 1), (1, 2), (2, 3)])
    )
    assert equal(all_of_them, neighbours)
    assert all_of_them.facts["lists"] == neighbours.facts["lists"] == 20
    assert all_of_them.facts["longest_list"] == 4


@BOTH
def test_a_list_counts_once_whatever_the_weights_of_its_pairs(method: ListwiseMethod) -> None:
    task = ranked(n=20).task(every_pair(), epochs=3)
    weight = np.random.default_rng(0).uniform(0.2, 3, len(task.train))
    weighed = replace(task, train=replace(task.train, weight=weight))
    assert equal(method.fit(weighed), method.fit(task))
    assert not equal(MaxEntropy().fit(weighed), MaxEntropy().fit(task))


def test_the_two_differ_where_lists_are_longer_than_two() -> None:
    task = ranked(n=20).task(every_pair())
    assert not equal(PlackettLuce().fit(task), BestOfK().fit(task))


@pytest.mark.parametrize(("batch", "lists", "pairs", "expected"), [(32, 70, 70, 32), (32, 100, 600, 5), (2, 9, 90, 1)])
def test_a_step_has_the_lists_that_hold_a_batch_of_pairs(batch: int, lists: int, pairs: int, expected: int) -> None:
    assert listwise._lists_a_step(batch, lists, pairs) == expected


def test_an_epoch_has_as_many_steps_as_that_of_a_pairwise_method(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, before = [], paths.Path.step

    def step(self: paths.Path, mask: Any = None) -> None:
        counted.append(1)
        before(self, mask)

    monkeypatch.setattr(paths.Path, "step", step)
    steps = []
    for method in (MaxEntropy(), PlackettLuce()):
        counted.clear()
        method.fit(ranked(n=80).task(every_pair(), batch=30, epochs=1))
        steps.append(len(counted))
    assert steps == [16, 16]  # 480 pairs by 30, and 80 lists by 5


def test_both_train_in_one_stack_as_they_do_alone() -> None:
    world = ranked(n=30)
    held_out = ranked(seed=0, n=30).preferences(every_pair())
    tasks = [
        replace(world.task(every_pair(), stop=Stop(patience=3), epochs=12), validation=held_out, seed=seed)
        for seed in (0, 1, 2)
    ]
    methods: list[ListwiseMethod] = [PlackettLuce(), BestOfK(), PlackettLuce(temperature=0.5)]
    runs = [(method, task) for task in tasks for method in methods]
    assert len({method.stack() for method in methods}) == 1
    assert MaxEntropy().stack() != PlackettLuce().stack()
    together = BestOfK.fit_many(runs)  # type: ignore[arg-type]
    for (method, task), reward in zip(runs, together, strict=True):
        assert equal(method.fit(task), reward)
    assert len({tuple(reward.history["train_loss"]) for reward in together}) == len(runs)


def test_a_suite_trains_both_by_all_seeds_as_one_job(tiny: dict[str, Any], write_suite: Callable[..., Path]) -> None:
    names = ("plackett-luce", "best-of-k", "max-entropy")
    made = plan(read_study(write_suite({**tiny, "methods": [{"name": name, "use": name} for name in names]})))
    stages = [stage for stage in made.stages.values() if stage.kind == "reward"]
    assert sorted(len(job) for job in jobs(stages)) == [2, 4]


# --- what is learnt


@pytest.mark.parametrize("method", [PlackettLuce(), BestOfK(), PlackettLuce(temperature=2.0)])
def test_a_planted_reward_is_found(method: ListwiseMethod) -> None:
    world = ranked(n=250)
    assert world.angle(method.fit(world.task(every_pair()))) < 15


@pytest.fixture(scope="module")
def found() -> dict[str, Floats]:
    """The degrees between each method's reward and the true one, in eight worlds of 100 lists of four."""
    whole, ends = every_pair(), [(0, 3)]
    asked: dict[str, tuple[Method, list[tuple[int, int]]]] = {
        "plackett-luce": (PlackettLuce(), whole),
        "best-of-k": (BestOfK(), whole),
        "max-entropy of all pairs": (MaxEntropy(), whole),
        "max-entropy of best and worst": (MaxEntropy(), ends),
    }
    worlds = [ranked(seed, n=100) for seed in range(8)]
    return {
        name: np.array([world.angle(method.fit(world.task(places))) for world in worlds])
        for name, (method, places) in asked.items()
    }


def gain(found: dict[str, Floats], better: str, worse: str) -> float:
    """By how many standard errors over worlds the mean angle of one is smaller than that of the other."""
    difference = found[worse] - found[better]
    return float(difference.mean() / (difference.std(ddof=1) / np.sqrt(len(difference))))


def test_whole_orders_say_more_than_their_best_and_worst_texts(found: dict[str, Floats]) -> None:
    assert gain(found, "plackett-luce", "max-entropy of best and worst") > 4


def test_whole_orders_say_more_than_their_best_texts(found: dict[str, Floats]) -> None:
    assert gain(found, "plackett-luce", "best-of-k") > 4


def test_whole_orders_are_learnt_at_least_as_well_as_from_all_their_pairs(found: dict[str, Floats]) -> None:
    """Orders are drawn by Plackett-Luce, so that its likelihood is the best; pairs of one list are not independent."""
    assert gain(found, "plackett-luce", "max-entropy of all pairs") > -1
    assert found["plackett-luce"].mean() < found["max-entropy of all pairs"].mean() + 0.5


# --- settings


@BOTH
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_the_temperature_is_positive(method: ListwiseMethod, value: float) -> None:
    with pytest.raises(ValueError, match=f"(?s)temperature.*input_value={value}"):
        type(method)(temperature=value)


def test_the_temperature_scales_the_reward() -> None:
    """Of a linear head at its optimum, whatever the loss: tau times the weights of tau = 1."""
    task = ranked(n=40).task(every_pair(), epochs=200, batch=240, lr=0.1)
    once, twice = (PlackettLuce(temperature=tau).fit(task).arrays["weight"] for tau in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, atol=0.05)  # Adam goes on moving by its step of 0.1


def test_failures_are_learnt_from_pairs_and_not_from_lists() -> None:
    registry = Registry(installed=False)
    base = {"use": "plackett-luce"}
    with pytest.raises(ValueError, match="needs a PairwiseMethod, which method 'plackett-luce' is not"):
        registry.build(Method, {"use": "failure-aware", "base": base, "detector": {"use": "all"}})
