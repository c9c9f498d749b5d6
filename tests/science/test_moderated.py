from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from fairl_bench.science.moderated import (
    LEAST_BLOCKS,
    LEAST_METHODS,
    Prior,
    common,
    differences,
    half_width,
    shrunk,
    trigamma_inverse,
)
from fairl_bench.science.power import two_sided
from fairl_bench.science.ranks import holm

Rng = np.random.Generator


def rng(seed: int = 0) -> Rng:
    return np.random.default_rng(seed)


def p_of(values: np.ndarray, examples: float = 0.0) -> np.ndarray:
    return two_sided(*differences(values, examples))


@pytest.mark.parametrize(("methods", "blocks"), [(LEAST_METHODS - 1, 9), (6, LEAST_BLOCKS - 1), (2, 2)])
def test_few_methods_or_blocks_are_tested_by_a_plain_t_a_pair(methods: int, blocks: int) -> None:
    values = rng().normal(size=(methods, blocks))
    theirs = [stats.ttest_rel(a, b).pvalue for a, b in itertools.combinations(values, 2)]
    assert p_of(values) == pytest.approx(theirs, abs=1e-12)


def test_what_all_methods_share_in_a_block_is_no_error() -> None:
    values = rng().normal(size=(6, 7))
    moved = values + rng(1).normal(size=7) * 100
    # float64: the blocks are a hundred times as large as the differences
    assert differences(moved).error == pytest.approx(differences(values).error, rel=1e-9)


def test_variances_are_shrunk_towards_what_the_pairs_have_in_common() -> None:
    values = rng(3).normal(size=(6, 6)) * np.array([0.2, 1, 1, 1, 1, 5])[:, None]
    apart = np.array([a - b for a, b in itertools.combinations(values, 2)])
    plain, found = apart.var(1, ddof=1), differences(values)
    moderated = found.error**2 * 6
    prior = common(plain, np.full(15, 5.0))
    assert ((moderated - plain) * (prior.variance - plain) >= 0).all()
    assert (np.abs(moderated - prior.variance) <= np.abs(plain - prior.variance) + 1e-12).all()
    assert (found.freedom > 5).all()
    assert (found.freedom <= 5 * 5).all()


def test_equal_variances_have_an_infinite_weight_in_common_and_the_pooled_freedom() -> None:
    assert common(np.array([1.0, 1.01, 0.99]), np.full(3, 4.0)).freedom == math.inf
    variance, freedom = shrunk(np.array([1.0, 3.0]), np.array([4.0, 4.0]), Prior(2.0, math.inf))
    assert (variance.tolist(), freedom.tolist()) == ([2.0, 2.0], [math.inf, math.inf])


def test_the_prior_of_many_variances_is_found_again() -> None:
    # variances drawn as Smyth's model says: d0 s0^2 / chi^2(d0), and sample variances around them
    draw, d0, s0, d = rng(5), 6.0, 2.0, 5.0
    true = d0 * s0 / draw.chisquare(d0, 40_000)
    found = common(true * draw.chisquare(d, 40_000) / d, np.full(40_000, d))
    assert found.freedom == pytest.approx(d0, rel=0.1)
    assert found.variance == pytest.approx(s0, rel=0.03)


@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0, 30.0, 1e4])
def test_the_inverse_of_the_trigamma_function(x: float) -> None:
    assert trigamma_inverse(special.zeta(2, x)) == pytest.approx(x, rel=1e-9)  # trigamma is Hurwitz's zeta at 2


def test_examples_that_all_blocks_share_add_to_the_error_and_give_no_freedom() -> None:
    values = rng().normal(size=(5, 5))
    without, found = differences(values), differences(values, 0.25)
    assert found.error**2 == pytest.approx(without.error**2 + 0.25)
    assert (found.freedom == without.freedom).all()


def test_a_block_that_a_method_lacks_is_left_out_of_its_pairs_alone() -> None:
    values = rng().normal(size=(3, 6))
    values[0, 2] = math.nan
    found, whole = differences(values), differences(values[:, [0, 1, 3, 4, 5]])
    assert found.value[:2] == pytest.approx(whole.value[:2])
    assert found.error[:2] == pytest.approx(whole.error[:2])
    assert found.freedom.tolist() == [4.0, 4.0, 5.0]


def test_one_block_and_a_difference_that_never_varies_have_no_error() -> None:
    assert np.isnan(differences([[1.0], [2.0]]).error).all()
    assert np.isnan(differences([[1.0, 2.0], [2.0, 3.0]]).error).all()
    assert np.isnan(p_of(np.array([[1.0, 2.0], [2.0, 3.0]]))).all()


def test_methods_that_are_equal_in_every_block_do_not_differ() -> None:
    values = rng().normal(size=(6, 6))
    values[3] = values[2] * (1 + 1e-15)
    found = p_of(values)
    pairs = list(itertools.combinations(range(6), 2))
    assert found[pairs.index((2, 3))] == pytest.approx(1.0)
    assert np.isfinite(found).all()


def test_a_method_that_is_the_same_as_another_tells_nothing_of_the_others_spread() -> None:
    values = rng(3).normal(size=(5, 6)) * np.array([1, 1, 2, 1, 3])[:, None]
    alone, beside = differences(values), differences(np.vstack([values, values[1], values[1]]))
    pairs = list(itertools.combinations(range(7), 2))
    kept = [at for at, (_, second) in enumerate(pairs) if second < 5]
    for mine, theirs in zip(alone, beside, strict=True):
        assert theirs[kept] == pytest.approx(mine, rel=1e-12)
    # and stands to the others as the one does that it is the same as
    assert beside.error[pairs.index((0, 6))] == pytest.approx(beside.error[pairs.index((0, 1))], rel=1e-12)


def test_the_interval_leaves_zero_out_just_when_p_is_below_its_level() -> None:
    for seed in range(20):
        found = differences(rng(seed).normal(size=(5, 6)) + np.arange(5)[:, None])
        for value, error, freedom, p in zip(*found, two_sided(*found), strict=True):
            assert (abs(value) > half_width(error, freedom)) == (p < 0.05)


# --- calibration: the same function at cheaper settings than benchmarks/test_statistics.py, which has the figures


def false_alarms(sd: list[float], blocks: int, repeats: int = 400) -> float:
    """The share of repeats in which some of equal methods, of these interaction sds, are found to differ."""
    draw = rng(len(sd) * blocks)
    worlds = 2 * draw.normal(size=(repeats, 1, blocks))
    values = worlds + draw.normal(size=(repeats, len(sd), blocks)) * np.array(sd)[:, None]
    return float(np.mean([min(holm(p_of(one))) <= 0.05 for one in values]))


@pytest.mark.parametrize("blocks", [2, 3, 5, 6])
@pytest.mark.parametrize("sd", [[1] * 6, [1, 1, 1, 2, 2, 2], [0.3] * 4 + [1, 3]], ids=["equal", "half", "clones"])
def test_equal_methods_are_called_a_tie(sd: list[float], blocks: int) -> None:
    # .06, and four standard errors of 400 repeats: .047; it is .22 with a Satterthwaite formula at two blocks
    assert false_alarms(sd, blocks) <= 0.06 + 0.047


def test_six_blocks_find_twice_what_a_plain_t_finds() -> None:
    draw, found = rng(7), np.zeros(2)
    for _ in range(200):
        values = draw.normal(size=(11, 6)) + 2 * draw.normal(size=6) + 3 * (np.arange(11) == 0)[:, None]
        plain = [stats.ttest_rel(a, b).pvalue for a, b in itertools.combinations(values, 2)]
        found += [np.mean(np.array(holm(p))[:10] <= 0.05) for p in (p_of(values), plain)]
    assert found[0] >= 2 * found[1]
