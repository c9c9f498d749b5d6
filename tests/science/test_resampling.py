from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from fairl_bench.science import agreement, classification, resampling, starc
from fairl_bench.science.resampling import Clustered, Statistic, resampled

RNG = np.random.default_rng(0)
N = 83
GOOD = RNG.random(N) < 0.4
SCORE = np.round(RNG.normal(size=(3, N)) + GOOD, 1)  # rounded: ties
TRUTH = RNG.normal(size=N) + SCORE[0]
MARGIN = np.round(RNG.normal(0.3, 1, (3, N)), 1)
LABEL = np.where(GOOD, 1, -1)

# each form, and the metric that it must be under weights of one
FORMS = {
    "accuracy": (
        resampling.accuracy((SCORE > 0.3) == GOOD),
        lambda s, t: classification.accuracy(s, np.where(t[1], 1, -1), 0.3),
    ),
    "f1": (
        resampling.f1(SCORE > 0.3, GOOD),
        lambda s, t: classification.f1(s, np.where(t[1], 1, -1), 0.3),
    ),
    "balanced_accuracy": (
        resampling.balanced_accuracy((SCORE > 0.3) == GOOD, GOOD),
        lambda s, t: classification.balanced_accuracy(s, np.where(t[1], 1, -1), 0.3),
    ),
    "auc": (resampling.auc(SCORE, GOOD), lambda s, t: classification.auc(s, np.where(t[1], 1, -1))),
    "average_precision": (
        resampling.average_precision(SCORE, GOOD),
        lambda s, t: classification.average_precision(s, np.where(t[1], 1, -1)),
    ),
    "average_precision_bad": (
        resampling.average_precision(-SCORE, ~GOOD),
        lambda s, t: classification.average_precision(s, np.where(t[1], 1, -1), -1),
    ),
    "starc": (resampling.starc(SCORE, TRUTH), lambda s, t: starc.starc(s, t[0])),
    "epic": (resampling.epic(SCORE, TRUTH), lambda s, t: agreement.epic(s, t[0])),
    "affine_residual": (resampling.affine_residual(SCORE, TRUTH), lambda s, t: starc.affine_residual(s, t[0])),
    "margin_snr": (resampling.margin_snr(SCORE), lambda s, t: agreement.margin_snr(s)),
    "pair_accuracy": (
        resampling.accuracy((SCORE > 0) + 0.5 * (SCORE == 0)),
        lambda s, t: classification.pair_accuracy(s),
    ),
}


@pytest.mark.parametrize("metric", FORMS)
def test_weights_of_one_give_the_metric(metric: str) -> None:
    form, plain = FORMS[metric]
    expected = [plain(score, (TRUTH, GOOD)) for score in SCORE]
    assert form(np.ones((1, N), np.float32))[0] == pytest.approx(expected, rel=1e-5)  # float32


@pytest.mark.parametrize("metric", FORMS)
def test_a_weight_of_two_equals_repeating_the_example(metric: str) -> None:
    form, plain = FORMS[metric]
    weights = np.random.default_rng(1).integers(0, 4, (2, N)).astype(np.float32)
    for row, values in zip(weights, form(weights), strict=True):
        at = np.repeat(np.arange(N), row.astype(int))
        expected = [plain(score[at], (TRUTH[at], GOOD[at])) for score in SCORE]
        assert values == pytest.approx(expected, rel=2e-5)  # float32


def test_auc_of_weights_is_scikit_learns() -> None:
    weights = np.random.default_rng(2).integers(0, 4, (1, N)).astype(np.float32)
    expected = [metrics.roc_auc_score(GOOD, score, sample_weight=weights[0]) for score in SCORE]
    assert resampling.auc(SCORE, GOOD)(weights)[0] == pytest.approx(expected, abs=1e-6)


def test_average_precision_of_weights_is_scikit_learns() -> None:
    weights = np.random.default_rng(2).integers(0, 4, (1, N)).astype(np.float32)
    expected = [metrics.average_precision_score(GOOD, score, sample_weight=weights[0]) for score in SCORE]
    assert resampling.average_precision(SCORE, GOOD)(weights)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", ["auc", "average_precision", "balanced_accuracy"])
def test_a_resample_of_one_class_has_no_number_of_both(metric: str) -> None:
    weights = np.stack([GOOD, ~GOOD, np.ones(N)]).astype(np.float32)
    form, _ = FORMS[metric]
    assert np.isnan(form(weights)).tolist() == [[True] * 3, [True] * 3, [False] * 3]


def test_f1_of_a_class_that_is_neither_called_nor_true_is_undefined() -> None:
    form = resampling.f1(np.array([[0, 1]]), np.array([0, 1]))
    assert np.isnan(form(np.array([[1, 0]], np.float32))).all()


def test_a_constant_reward_is_one_away_under_any_weights() -> None:
    weights = np.random.default_rng(3).integers(0, 3, (5, N)).astype(np.float32)
    assert resampling.starc(np.full((1, N), 0.7), TRUTH)(weights) == pytest.approx(1.0)


@pytest.mark.parametrize("offset", [1e5, -1e8])
@pytest.mark.parametrize("metric", ["starc", "epic"])
def test_a_large_offset_changes_no_draw(metric: str, offset: float) -> None:
    form = getattr(resampling, metric)
    weights = np.random.default_rng(3).integers(0, 3, (5, N)).astype(np.float32)
    moved = form(offset + 0.01 * SCORE, TRUTH)(weights)
    assert moved == pytest.approx(form(SCORE, TRUTH)(weights), abs=2e-5)  # float32, and 1e-6 of the offset's rounding


def _mean_of(values: np.ndarray) -> Statistic:
    return resampling.accuracy(values[None])


def test_draws_spread_as_the_standard_error_says() -> None:
    values = np.random.default_rng(4).random(200)
    (found,) = resampled([Clustered(_mean_of(values), np.arange(200))], 200, 4000, np.random.default_rng(5))
    # the sd of 4,000 draws has a relative standard error of 1/sqrt(8,000)
    assert found.draws.std() == pytest.approx(values.std() / np.sqrt(200), rel=4 / np.sqrt(8000))
    assert found.draws.mean() == pytest.approx(values.mean(), abs=4 * values.std() / np.sqrt(200 * 4000))


def test_examples_of_one_cluster_are_drawn_together() -> None:
    values = np.repeat(np.random.default_rng(4).random(50), 4)  # four equal examples a cluster: a quarter of the facts
    cluster = np.repeat(np.arange(50), 4)
    (found,) = resampled([Clustered(_mean_of(values), cluster)], 50, 4000, np.random.default_rng(5))
    assert found.draws.std() == pytest.approx(values.std() / np.sqrt(50), rel=4 / np.sqrt(8000))


def test_statistics_share_their_resamples() -> None:
    values, cluster = np.random.default_rng(6).random(100), np.arange(100)
    forms = [Clustered(_mean_of(values), cluster), Clustered(_mean_of(1 - values), cluster.copy())]
    one, other = resampled(forms, 100, 500, np.random.default_rng(7))
    assert one.draws + other.draws == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("n", [40, 1000])
def test_the_jackknife_has_the_bootstraps_variance(n: int) -> None:
    values = np.random.default_rng(8).random(n)
    (found,) = resampled([Clustered(_mean_of(values), np.arange(n))], n, 10, np.random.default_rng(9))
    groups = len(found.left)
    assert groups == min(n, resampling.GROUPS)
    variance = (groups - 1) / groups * ((found.left - found.left.mean()) ** 2).sum()
    # with 200 groups the estimate's own relative standard error is 10 %
    assert variance == pytest.approx(values.var(ddof=1) / n, rel=0.4 if n > groups else 1e-4)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).random(30)
    statistics = [Clustered(_mean_of(values), np.arange(30))]
    whole = resampled(statistics, 30, 50, np.random.default_rng(5))[0]
    monkeypatch.setattr(resampling, "CHUNK", 100)
    blocks = resampled(statistics, 30, 50, np.random.default_rng(5))[0]
    # sums of another block differ in the last bits of float32
    assert blocks.draws == pytest.approx(whole.draws, rel=1e-6)
    assert blocks.left == pytest.approx(whole.left, rel=1e-6)


def test_equal_seeds_draw_equal_resamples() -> None:
    statistics = [Clustered(_mean_of(np.arange(9.0)), np.arange(9))]
    one, same, other = (resampled(statistics, 9, 20, np.random.default_rng(seed))[0].draws for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
