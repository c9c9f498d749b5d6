"""How fast differences of methods are resampled; how often they are right is in ``benchmarks/calibration.py``.

``tox run -e bench`` or ``pytest benchmarks/test_statistics.py --benchmark-only -s``.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fairl_bench.science import resampling
from fairl_bench.science.intervals import bootstrap
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
            pairs = itertools.combinations(range(METHODS), 2)
            gaps = [
                (whole[i] - whole[j], one.draws[:, i] - one.draws[:, j], one.left[:, i] - one.left[:, j])
                for i, j in pairs
            ]
            count += len(holm([bootstrap(*gap).p for gap in gaps]))
        return count

    assert benchmark.pedantic(work, rounds=1) == 15 * len(metrics)
