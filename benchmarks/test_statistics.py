"""The two-level bootstrap: how fast it is, and how often it is right.

``tox run -e bench`` or ``pytest benchmarks/test_statistics.py --benchmark-only -s``; a third of an hour, most of it the
calibration, whose figures are in docs/statistics.md.  The tests hold the same code to the same claims at cheaper
settings (tests/science/test_intervals.py).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from fairl_bench.science import resampling
from fairl_bench.science.intervals import Units, two_level
from fairl_bench.science.ranks import holm
from fairl_bench.science.resampling import Clustered, resampled

METHODS, EXAMPLES, RESAMPLES = 6, 10_000, 10_000


@pytest.mark.parametrize("metrics", [("accuracy",), ("f1",), ("auc",), ("starc",), ("accuracy", "f1", "auc", "starc")])
def test_fifteen_pairs_of_methods(benchmark, metrics: tuple[str, ...]) -> None:
    """10,000 resamples of 10,000 examples, all pairs of six methods: weights, metrics, BCa intervals, p and Holm."""
    rng = np.random.default_rng(0)
    good = rng.random(EXAMPLES) < 0.4
    score = rng.normal(size=(METHODS, EXAMPLES)) + good
    truth = rng.normal(size=EXAMPLES) + good
    forms = {
        "accuracy": resampling.accuracy((score > 0.5) == good),
        "f1": resampling.f1(score > 0.5, good),
        "auc": resampling.auc(score, good),
        "starc": resampling.starc(score, truth),
    }

    def work() -> int:
        cluster = np.arange(EXAMPLES)
        found = resampled(
            [Clustered(forms[m], cluster) for m in metrics], EXAMPLES, RESAMPLES, np.random.default_rng(1)
        )
        count = 0
        for one in found:
            whole = one.left.mean(0)
            units = [
                Units(whole[[m]], one.draws[:, [m]], one.left[:, [m]], np.zeros(1, np.int64)) for m in range(METHODS)
            ]
            pairs = [a.minus(b) for a, b in itertools.combinations(units, 2)]
            count += len(holm([two_level(pair, np.random.default_rng(2)).p for pair in pairs]))
        return count

    assert benchmark.pedantic(work, rounds=1) == 15 * len(metrics)


class World(NamedTuple):
    """How methods and their runs differ; spreads are in latent units, where examples spread by 1 and noise by 0.7."""

    units: int
    unit_sd: float
    replicates: bool  # each unit has examples of its own
    n: int


WORLDS = [
    World(1, 0.0, False, 2000),
    *(World(units, sd, False, 2000) for units in (2, 3, 5) for sd in (0.0, 0.05, 0.3)),
    *(World(units, sd, True, 1000) for units in (2, 3, 5, 10) for sd in (0.0, 0.1, 0.3)),
]


def decided(world: World, gap: float, seed: int, resamples: int = 1000) -> bool:
    """Whether two methods, ``gap`` apart, are found to differ."""
    rng = np.random.default_rng([seed, world.units])
    ability = 1.2 + rng.normal(0, world.unit_sd, (2, world.units)) + np.array([[0.0], [gap]])
    difficulty = rng.normal(0, 1, (world.units if world.replicates else 1, world.n))
    right = ability[:, :, None] + difficulty + rng.normal(0, 0.7, (2, world.units, world.n)) > 0
    groups = range(world.units) if world.replicates else [slice(world.units)]
    methods: list[list[Units]] = [[], []]
    for number, at in enumerate(groups):
        columns = right[:, at].reshape(-1, world.n)
        (found,) = resampled([Clustered(resampling.accuracy(columns), np.arange(world.n))], world.n, resamples, rng)
        half = len(columns) // 2
        for method, part in enumerate((slice(half), slice(half, None))):
            sample = np.full(half, number)
            methods[method].append(Units(columns[part].mean(1), found.draws[:, part], found.left[:, part], sample))
    one, other = (Units(*(np.concatenate(parts, -1) for parts in zip(*m, strict=True))) for m in methods)
    return two_level(other.minus(one), rng).p <= 0.05


def all_tied(world: World, seed: int, methods: int = 6) -> tuple[bool, bool]:
    """Whether equal methods all tie: by Holm over all pairs, and by Holm over the pairs with the best alone."""
    rng = np.random.default_rng([seed, world.units])
    ability = 1.2 + rng.normal(0, world.unit_sd, (methods, world.units))
    latent = ability[:, :, None] + rng.normal(0, 1, world.n) + rng.normal(0, 0.7, (methods, world.units, world.n))
    right = (latent > 0).reshape(-1, world.n)
    (found,) = resampled([Clustered(resampling.accuracy(right), np.arange(world.n))], world.n, 1000, rng)
    parts = [slice(method * world.units, (method + 1) * world.units) for method in range(methods)]
    units = [
        Units(right[at].mean(1), found.draws[:, at], found.left[:, at], np.zeros(world.units, np.int64)) for at in parts
    ]
    pairs = list(itertools.combinations(range(methods), 2))
    p = [two_level(units[i].minus(units[j]), rng).p for i, j in pairs]
    best = int(np.argmax([one.point.mean() for one in units]))
    with_best = [one for one, pair in zip(p, pairs, strict=True) if best in pair]
    return min(holm(p)) > 0.05, min(holm(with_best)) > 0.05


@pytest.mark.parametrize("world", [World(1, 0.0, False, 1000), World(5, 0.05, False, 1000), World(5, 0.3, False, 1000)])
def test_six_equal_methods(benchmark, world: World) -> None:
    """Of 200 repeats: how often no two of six equal methods are found to differ."""
    ties = benchmark.pedantic(lambda: [all_tied(world, seed) for seed in range(200)], rounds=1)
    pairs, best = (sum(column) for column in zip(*ties, strict=True))
    benchmark.extra_info.update(over_all_pairs=pairs, over_pairs_with_the_best=best)
    print(f"\n{world}: of 200 {pairs} with Holm over all pairs, {best} over the pairs with the best")


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_calibration(benchmark, world: World) -> None:
    """Of 200 repeats: how many equal methods are called a tie, how many gaps of 5 points are found."""

    def work() -> tuple[int, int]:
        ties = sum(not decided(world, 0.0, seed) for seed in range(200))
        return ties, sum(decided(world, 0.3, seed) for seed in range(200))

    ties, found = benchmark.pedantic(work, rounds=1)
    benchmark.extra_info.update(ties=ties, found=found)
    print(f"\n{world}: {ties} of 200 ties called ties, {found} of 200 gaps of 5 points found")
