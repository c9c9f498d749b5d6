from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from fairl_bench.errors import NotFinite, Undefined
from fairl_bench.science.classification import (
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    best_threshold,
    f1,
    pair_accuracy,
)

# Whole scores in a narrow range tie often, and neighbouring midpoints differ by far more than rounding.
texts = st.lists(st.tuples(st.integers(-8, 8), st.sampled_from([1, -1])), min_size=2, max_size=20).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    score, label = zip(*rows, strict=True)
    return np.array(score, dtype=float), np.array(label)


def drawn(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes; scores rounded, so that they tie within and across the classes."""
    rng = np.random.default_rng(seed)
    label = rng.choice([1, -1], n)
    return np.round(rng.normal(size=n) + 0.7 * label, 1), label


# --- threshold


@given(texts)
def test_best_threshold_equals_a_search_over_every_interval(rows: list[tuple[int, int]]) -> None:
    score, label = columns(rows)
    chosen = best_threshold(score, label)

    def right(threshold: float) -> int:
        return sum((s > threshold) == (y == 1) for s, y in rows)

    values = sorted(set(score))
    midpoints = [values[0] - 1e-5, *((a + b) / 2 for a, b in pairwise(values)), values[-1] + 1e-5]
    most = max(map(right, midpoints))
    assert right(chosen) == most
    centre = (score[label == 1].mean() + score[label == -1].mean()) / 2
    nearest = min(abs(m - centre) for m in midpoints if right(m) == most)
    # an outer threshold lies anywhere just outside, here within 1e-5; distances that differ do so by 1/200 or more
    assert abs(abs(chosen - centre) - nearest) < 1e-4
    assert min(abs(chosen - m) for m in midpoints) < 1e-4


@given(texts)
def test_the_threshold_of_balanced_accuracy_equals_a_search_over_every_interval(rows: list[tuple[int, int]]) -> None:
    score, label = columns(rows)
    chosen = best_threshold(score, label, "balanced")
    values = sorted(set(score))
    midpoints = [values[0] - 1e-5, *((a + b) / 2 for a, b in pairwise(values)), values[-1] + 1e-5]
    best = max(balanced_accuracy(score, label, one) for one in midpoints)
    assert balanced_accuracy(score, label, chosen) == pytest.approx(best, abs=1e-15)
    # of equally balanced ones it is one of the most accurate
    equal = [one for one in midpoints if balanced_accuracy(score, label, one) == pytest.approx(best, abs=1e-12)]
    assert accuracy(score, label, chosen) == max(accuracy(score, label, one) for one in equal)


@given(texts)
def test_with_as_many_good_as_bad_texts_both_thresholds_are_one(rows: list[tuple[int, int]]) -> None:
    good, bad = ([score for score, label in rows if label == side] for side in (1, -1))
    even = min(len(good), len(bad))
    score, label = np.array(good[:even] + bad[:even], float), np.array([1] * even + [-1] * even)
    assert best_threshold(score, label, "balanced") == best_threshold(score, label)


@pytest.mark.parametrize(("label", "calls_good"), [([1, 1, -1], True), ([1, -1, -1], False)])
def test_a_constant_score_is_called_the_larger_class_whatever_is_maximised(label: list[int], calls_good: bool) -> None:
    for maximise in ("accuracy", "balanced"):
        assert (best_threshold([7.0] * 3, label, maximise) < 7.0) == calls_good  # type: ignore[arg-type]


@given(texts, st.integers(-50, 50))
def test_the_best_accuracy_ignores_monotone_shifts(rows: list[tuple[int, int]], shift: int) -> None:
    score, label = columns(rows)
    best = accuracy(score, label, best_threshold(score, label))
    assert accuracy(score + shift, label, best_threshold(score + shift, label)) == best
    assert accuracy(np.exp(score), label, best_threshold(np.exp(score), label)) == best


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_moves_with_a_shift_and_a_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.choice([1, -1], 200)
    score = rng.normal(size=200) + 0.5 * label
    # float64 rounding of values near 10
    assert best_threshold(2 * score + 10, label) == pytest.approx(2 * best_threshold(score, label) + 10, abs=1e-12)


@pytest.mark.parametrize("offset", [1e3, -1e6, 1e8, -1e10])
@pytest.mark.parametrize("good", [0.5, 0.9])
def test_a_large_offset_moves_the_threshold_and_no_number(offset: float, good: float) -> None:
    """Whole hundredths, which float64 keeps apart; with nine good of ten, calling all good may be best."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        label = np.where(rng.random(40) < good, 1, -1)
        label[:2] = 1, -1
        score = np.round(rng.normal(size=40) + 0.3 * label, 2)
        moved, cut = offset + 0.01 * score, best_threshold(score, label)
        far = best_threshold(moved, label)
        assert (moved > far).tolist() == (score > cut).tolist()
        # as far beyond an extreme as scores of no offset have it, in hundredths: below 1e-3 of their spread
        assert (far - offset) / 0.01 == pytest.approx(cut, abs=1e-2)
        assert auc(moved, label) == auc(score, label)


def test_a_gap_between_the_classes_is_cut_in_its_middle() -> None:
    assert best_threshold([-3, 1, 2, 7], [-1, -1, 1, 1]) == 1.5


def test_among_equally_accurate_intervals_the_nearest_to_the_middle_of_the_class_means_wins() -> None:
    # 0.5 and 5.5 both get 4 of 5 right; the means are 23/3 and 1, their middle 4.33
    assert best_threshold([0, 1, 2, 9, 13], [-1, 1, -1, 1, 1]) == 5.5
    # mirrored, so that neither the first nor the last maximum would do
    assert best_threshold([-13, -9, -2, -1, 0], [-1, -1, 1, -1, 1]) == -5.5


def test_the_middle_of_the_class_means_is_not_the_overall_mean() -> None:
    # 3.5 and 7.5 both get 4 of 6 right; the class means 6.5 and 5 meet at 5.75, nearer 7.5; the overall mean is 5.5
    assert best_threshold([0, 3, 4, 6, 9, 11], [-1, -1, 1, -1, 1, -1]) == 7.5


def test_at_equal_distance_the_lower_threshold_wins() -> None:
    # 0.5 and 6 both get 3 of 4 right and are 2.75 from the middle 3.25
    assert best_threshold([0, 1, 2, 10], [-1, 1, -1, 1]) == 0.5


@pytest.mark.parametrize(("label", "share"), [([1, 1, -1], 2 / 3), ([1, -1, -1], 2 / 3)])
@pytest.mark.parametrize("value", [0.5, 0.0, -3e4])
def test_a_constant_score_gets_the_larger_class_right(value: float, label: list[int], share: float) -> None:
    score = np.full(3, value, dtype=np.float32)
    threshold = best_threshold(score, label)
    assert accuracy(score, label, threshold) == share
    # the outer threshold survives a comparison in float32
    assert np.mean((score > np.float32(threshold)) == (np.array(label) == 1)) == share


@pytest.mark.parametrize("low", [1.0, np.nextafter(1.0, 2.0)])
def test_neighbouring_floats_are_still_separated(low: float) -> None:
    # the midpoint rounds to the even neighbour: the lower one at 1.0, the upper one next to it
    score = [low, np.nextafter(low, 2.0)]
    assert accuracy(score, [-1, 1], best_threshold(score, [-1, 1])) == 1.0


def test_float32_scores_are_compared_in_float64() -> None:
    score = np.array([1.0, np.nextafter(np.float32(1.0), np.float32(2.0))], dtype=np.float32)
    assert accuracy(score, [-1, 1], best_threshold(score, [-1, 1])) == 1.0


# --- accuracy, F1, AUC


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [-0.3, 0.0, 0.5])
def test_accuracy_and_f1_equal_scikit_learn(seed: int, threshold: float) -> None:
    score, label = drawn(seed)
    called = np.where(score > threshold, 1, -1)
    # ratios of the same whole numbers: one rounding apart
    assert accuracy(score, label, threshold) == pytest.approx(accuracy_score(label, called), abs=1e-15)
    for positive in (1, -1):
        theirs = f1_score(label, called, pos_label=positive)
        assert f1(score, label, threshold, positive) == pytest.approx(theirs, abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [-0.3, 0.0, 9.0])
def test_balanced_accuracy_equals_scikit_learn(seed: int, threshold: float) -> None:
    score, label = drawn(seed)
    theirs = balanced_accuracy_score(label, np.where(score > threshold, 1, -1))
    assert balanced_accuracy(score, label, threshold) == pytest.approx(theirs, abs=1e-15)


@given(texts)
def test_calling_all_texts_the_same_has_a_balanced_accuracy_of_a_half(rows: list[tuple[int, int]]) -> None:
    score, label = columns(rows)
    assert balanced_accuracy(score, label, 100.0) == balanced_accuracy(score, label, -100.0) == 0.5


@given(texts, st.sampled_from([1, -1]))
def test_average_precision_equals_scikit_learn(rows: list[tuple[int, int]], positive: int) -> None:
    score, label = columns(rows)
    theirs = average_precision_score(label == positive, positive * score)
    assert average_precision(score, label, positive) == pytest.approx(theirs, abs=1e-12)


@given(texts)
def test_average_precision_of_one_class_is_that_of_the_other_turned_round(rows: list[tuple[int, int]]) -> None:
    score, label = columns(rows)
    assert average_precision(score, label, -1) == average_precision(-score, -label, 1)


def test_average_precision_of_a_constant_score_is_the_share_of_the_class() -> None:
    label = [1, 1, 1, -1]
    assert (average_precision([2.0] * 4, label), average_precision([2.0] * 4, label, -1)) == (0.75, 0.25)
    assert auc([2.0] * 4, label) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_auc_equals_scikit_learn_and_the_rank_sum(seed: int) -> None:
    score, label = drawn(seed)
    good, bad = np.sum(label == 1), np.sum(label == -1)
    by_rank = (rankdata(score)[label == 1].sum() - good * (good + 1) / 2) / (good * bad)
    # float64; scikit-learn sums trapezoids
    assert auc(score, label) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert auc(score, label) == pytest.approx(by_rank, abs=1e-12)


@given(texts)
def test_auc_of_the_negated_score_is_the_complement(rows: list[tuple[int, int]]) -> None:
    score, label = columns(rows)
    assert auc(-score, label) == pytest.approx(1 - auc(score, label), abs=1e-15)


def test_a_tie_counts_half_in_auc() -> None:
    assert auc([2, 2], [1, -1]) == 0.5
    assert auc([2, 1, 2, 3], [1, -1, -1, -1]) == 0.5  # wins over 1, ties with 2, loses to 3


def test_a_score_equal_to_the_threshold_is_bad() -> None:
    assert accuracy([1.0], [1], 1.0) == 0.0
    assert accuracy([1.0], [-1], 1.0) == 1.0


def test_f1_by_hand() -> None:
    # called good: 2, 3, 4; of these 3, 4 are; 1 is missed
    score, label = [1, 2, 3, 4, 0], [1, -1, 1, 1, -1]
    assert f1(score, label, 1.5) == pytest.approx(2 / 3)  # precision 2/3, recall 2/3
    assert f1(score, label, 1.5, positive=-1) == 0.5  # precision 1/2, recall 1/2


def test_f1_is_zero_when_the_class_is_only_called_or_only_true() -> None:
    assert f1([1, 2], [-1, -1], 0.0) == 0.0
    assert f1([1, 2], [1, 1], 5.0) == 0.0


def test_pair_accuracy_equals_auc_of_each_pair_on_average() -> None:
    margins = np.array([1.5, 0.0, -2.0, 3.0, -0.0])
    assert pair_accuracy(margins) == np.mean([auc([m, 0.0], [1, -1]) for m in margins]) == 0.6


def test_labels_may_be_int8() -> None:
    score, label = drawn(0)
    assert best_threshold(score, label.astype(np.int8)) == best_threshold(score, label)
    assert auc(score, label.astype(np.int8)) == auc(score, label)


# --- what is refused


@pytest.mark.parametrize(("label", "which"), [([1, 1, 1], "got 3 all good"), ([-1, -1, -1], "got 3 all bad")])
def test_one_class_leaves_threshold_and_auc_undefined(label: list[int], which: str) -> None:
    with pytest.raises(Undefined, match=f"a threshold needs good and bad texts, {which}"):
        best_threshold([0, 1, 2], label)
    with pytest.raises(Undefined, match=f"AUC needs good and bad texts, {which}"):
        auc([0, 1, 2], label)
    with pytest.raises(Undefined, match=f"average precision needs good and bad texts, {which}"):
        average_precision([0, 1, 2], label)
    with pytest.raises(Undefined, match=f"balanced accuracy needs good and bad texts, {which}"):
        balanced_accuracy([0, 1, 2], label, 0.5)


@pytest.mark.parametrize(("positive", "label", "threshold"), [(1, -1, 9.0), (-1, 1, 0.0)])
def test_f1_of_a_class_neither_called_nor_true_is_undefined(positive: int, label: int, threshold: float) -> None:
    with pytest.raises(Undefined, match=rf"F1 of class \{positive:+d} needs .* got none of 2"):
        f1([1, 2], [label, label], threshold, positive)


def test_nothing_to_classify_is_undefined() -> None:
    for measure in (best_threshold, auc, average_precision):
        with pytest.raises(Undefined, match="score needs at least one value, got 0"):
            measure([], [])
    for measure_at in (accuracy, balanced_accuracy, f1):
        with pytest.raises(Undefined, match="score needs at least one value, got 0"):
            measure_at([], [], 0.0)
    with pytest.raises(Undefined, match="margin needs at least one value, got 0"):
        pair_accuracy([])


def test_nan_is_refused_with_its_count() -> None:
    with pytest.raises(NotFinite, match="score must be finite, got 2 NaN or infinite of 3 values"):
        auc([np.nan, 1.0, np.inf], [1, -1, 1])
    with pytest.raises(NotFinite, match="margin must be finite, got 1 NaN or infinite of 2 values"):
        pair_accuracy([np.nan, 1.0])
    with pytest.raises(NotFinite, match="threshold must be finite, got nan"):
        accuracy([1.0], [1], float("nan"))


@pytest.mark.parametrize(
    ("label", "got"), [([1, 0, -1], r"\[0\]"), ([2, 1, -1], r"\[2\]"), ([True, False, True], "False")]
)
def test_labels_other_than_plus_and_minus_one_are_refused(label: list[int], got: str) -> None:
    with pytest.raises(ValueError, match=rf"labels must be \+1 or -1, got .*{got}"):
        auc([0, 1, 2], label)


def test_other_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one value for each of 3 scores, got shape \(2,\)"):
        auc([0, 1, 2], [1, -1])
    with pytest.raises(ValueError, match=r"score must have one axis, got shape \(1, 2\)"):
        auc([[0, 1]], [[1, -1]])
    with pytest.raises(ValueError, match=r"positive must be \+1 or -1, got 0"):
        f1([0, 1], [1, -1], 0.5, positive=0)
    with pytest.raises(ValueError, match=r"positive must be \+1 or -1, got 2"):
        average_precision([0, 1], [1, -1], positive=2)
