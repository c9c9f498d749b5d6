from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fairl_bench.builtin.detectors.lowest_share import lowest
from fairl_bench.builtin.detectors.margins import All, BottomFraction, MarginThreshold, Random
from fairl_bench.builtin.detectors.supervised import LineSix, Supervised
from fairl_bench.builtin.detectors.uncertainty import Laplace, McDropout
from fairl_bench.builtin.detectors.union import Union
from fairl_bench.kinds.method import Detector
from fairl_bench.science.failures import Signal
from fairl_bench.suite.registry import Registry

EVERY = Registry(installed=False)


def signal(preferred: Sequence[float], rejected: Sequence[float] | None = None, **fields: Any) -> Signal:
    """One run's rewards; without rejected ones they are 0, so that the preferred are the margins."""
    one = torch.tensor(preferred, dtype=torch.float32)
    return Signal(one, torch.zeros_like(one) if rejected is None else torch.tensor(rejected), **fields)


def labels(preferred: list[int], rejected: list[int]) -> tuple[Tensor, Tensor]:
    return torch.tensor(preferred, dtype=torch.int8), torch.tensor(rejected, dtype=torch.int8)


def flags(mask: Tensor) -> list[int]:
    """The pairs flagged by number."""
    assert mask.dtype == torch.bool
    assert mask.ndim == 1
    return [int(i) for i in torch.nonzero(mask)[:, 0]]


def drawn(n: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(*shape, n)).astype(np.float32))


def featured(n: int = 12, k: int = 4, seed: int = 0) -> Signal:
    """A run whose margins are those of its features."""
    rng = np.random.default_rng(seed)
    x, weights = torch.from_numpy(rng.normal(size=(n, k))), torch.from_numpy(rng.normal(size=k))
    return Signal(x @ weights, torch.zeros(n, dtype=torch.float64), features=lambda: (x, weights))


# --- margin


def test_a_margin_of_the_threshold_is_a_failure() -> None:
    found = MarginThreshold(start=0.5, end=0.5).failures(signal([0.5, 0.51, -1.0, 0.0, 2.0]))
    assert flags(found) == [0, 2, 3]


@pytest.mark.parametrize(("progress", "expected"), [(0.0, [0, 1, 2, 3]), (0.5, [0, 1, 2]), (0.75, [0, 1]), (1.0, [0])])
def test_the_threshold_moves_along_a_straight_line(progress: float, expected: list[int]) -> None:
    """gamma from 1 to -1: 1, 0, -0.5, -1."""
    detector = MarginThreshold(start=1.0, end=-1.0)
    assert flags(detector.failures(signal([-1.0, -0.5, 0.0, 1.0, 1.1], progress=progress))) == expected


def test_the_margin_is_preferred_minus_rejected() -> None:
    assert flags(MarginThreshold(start=0.0).failures(signal([2.0, 1.0], [3.0, 0.5]))) == [0]
    assert signal([2.0, 1.0], [3.0, 0.5]).margin.tolist() == [-1.0, 0.5]


def test_a_smaller_margin_is_surer_to_be_a_failure() -> None:
    for detector in (MarginThreshold(), BottomFraction()):
        assert detector.score(signal([2.0, -1.0, 0.0])).tolist() == [-2.0, 1.0, 0.0]


# --- bottom fraction


@pytest.mark.parametrize(
    ("share", "n", "count"),
    [(0.2, 10, 2), (0.2, 12, 2), (0.2, 13, 3), (0.25, 10, 2), (0.35, 10, 4), (0.0, 10, 0), (1.0, 7, 7), (0.04, 10, 0)],
)
def test_a_share_is_rounded_to_whole_pairs(share: float, n: int, count: int) -> None:
    """Halves go to the even number: 2.5 is 2, 3.5 is 4."""
    assert int(lowest(drawn(n), share).sum()) == count


def test_the_lowest_are_the_lowest_and_ties_go_to_the_earlier_pair() -> None:
    assert flags(lowest(torch.tensor([3.0, -1.0, 2.0, -2.0, 0.0]), 0.4)) == [1, 3]
    assert flags(lowest(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0]), 0.4)) == [1, 2]
    # far more ties than an unstable sort leaves in order
    assert flags(lowest(torch.zeros(1000), 0.3)) == list(range(300))


def test_no_pair_has_no_failure() -> None:
    for detector in (MarginThreshold(), BottomFraction(start=1.0), All()):
        assert detector.failures(signal([])).tolist() == []
    assert Random(start=1.0).failures(signal([], uniform=torch.empty(0))).tolist() == []
    assert Supervised().failures(signal([], [], gold=labels([], []))).tolist() == []


@pytest.mark.parametrize(("progress", "expected"), [(0.0, [1, 2, 4, 6]), (0.5, [2, 6]), (0.75, [6]), (1.0, [])])
def test_the_bottom_fraction_shrinks_toward_the_hardest(progress: float, expected: list[int]) -> None:
    """science.md errata 4: from broad to hardest, not from clear to subtle."""
    margins = [5.0, 0.5, -2.0, 3.0, 0.0, 1.0, -4.0, 2.0, 4.0, 6.0]
    assert flags(BottomFraction(start=0.4).failures(signal(margins, progress=progress))) == expected


def test_the_defaults_are_the_papers_fifth_to_none() -> None:
    margins = drawn(100)
    counts = [
        int(BottomFraction().failures(Signal(margins, torch.zeros(100), at)).sum()) for at in np.linspace(0, 1, 5)
    ]
    assert counts == [20, 15, 10, 5, 0]


def test_each_run_has_its_own_lowest() -> None:
    found = BottomFraction(start=0.5).failures(Signal(torch.tensor([[0.0, 1, 2, 3], [3, 2, 1, 0]]), torch.zeros(2, 4)))
    assert found.tolist() == [[True, True, False, False], [False, False, True, True]]


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"(?s)start.*input_value={share}"):
        BottomFraction(start=share)
    with pytest.raises(ValueError, match=f"(?s)end.*input_value={share}"):
        Random(end=share)


# --- random, all


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.77, 1.0])
def test_random_takes_as_many_as_the_bottom_fraction_whatever_the_margins(progress: float) -> None:
    uniform = torch.from_numpy(np.random.default_rng(1).random((2, 53)))
    one, other = (Signal(drawn(53, 2, seed=seed), drawn(53, 2, seed=9), progress, uniform) for seed in (3, 4))
    found = Random(start=0.4, end=0.1).failures(one)
    assert torch.equal(found.sum(-1), BottomFraction(start=0.4, end=0.1).failures(one).sum(-1))
    assert torch.equal(found, Random(start=0.4, end=0.1).failures(other))
    another = one._replace(uniform=torch.from_numpy(np.random.default_rng(2).random((2, 53))))
    assert not torch.equal(found, Random(start=0.4, end=0.1).failures(another))


def test_random_flags_the_lowest_of_its_numbers_and_is_surest_of_them() -> None:
    given = signal([0.0, 1.0, 2.0, 3.0], uniform=torch.tensor([0.5, 0.2, 0.9, 0.1]))
    assert flags(Random(start=0.5).failures(given)) == [1, 3]
    assert Random().score(given).argsort(descending=True).tolist() == [3, 1, 0, 2]


def test_random_needs_its_numbers() -> None:
    with pytest.raises(ValueError, match="the detector 'random' needs the signal's uniform numbers"):
        Random().failures(signal([1.0]))


def test_all_flags_every_pair() -> None:
    assert flags(All().failures(signal([1.0, -1.0, 0.0]))) == [0, 1, 2]
    assert All().score(signal([1.0, -1.0])).tolist() == [0.0, 0.0]


# --- supervised: y (R - c) <= 0

PREFERRED, REJECTED = [3.0, 1.0, 0.6, 2.0], [-1.0, 0.2, 0.8, 2.5]
GOLD = labels([1, 1, 1, -1], [-1, -1, -1, 1])


def test_the_centre_is_the_midpoint_of_the_class_means() -> None:
    """Good 3, 1, 0.6, 2.5: mean 1.775; bad -1, 0.2, 0.8, 2: mean 0.5; so 1.1375."""
    given = signal(PREFERRED, REJECTED, gold=GOLD)
    one, other = Supervised().sides(given)
    np.testing.assert_allclose(one, [3 - 1.1375, 1 - 1.1375, 0.6 - 1.1375, 1.1375 - 2], rtol=1e-6)
    np.testing.assert_allclose(other, [1.1375 + 1, 1.1375 - 0.2, 1.1375 - 0.8, 2.5 - 1.1375], rtol=1e-6)
    assert flags(Supervised().failures(given)) == [1, 2, 3]


def test_a_centre_of_zero_asks_for_the_sign_of_the_reward() -> None:
    """By the sign, every text above 0 is good: the bad ones of pairs 1, 2 and 3 are wrong."""
    given = signal(PREFERRED, REJECTED, gold=GOLD)
    assert flags(Supervised(centre="zero").failures(given)) == [1, 2, 3]
    shifted = signal([one - 1.1375 for one in PREFERRED], [one - 1.1375 for one in REJECTED], gold=GOLD)
    assert flags(Supervised(centre="zero").failures(shifted)) == [1, 2, 3]
    away = signal([one + 5 for one in PREFERRED], [one + 5 for one in REJECTED], gold=GOLD)
    assert flags(Supervised(centre="zero").failures(away)) == [0, 1, 2, 3]


def test_the_midpoint_cancels_a_bias_and_zero_does_not() -> None:
    """science.md errata 2: no pairwise loss can train the bias that a centre of zero depends on."""
    rng = np.random.default_rng(0)
    preferred, rejected = rng.normal(1, 1, 30), rng.normal(0, 1, 30)
    gold = labels([1] * 30, [-1] * 30)

    def found(detector: Detector, bias: float) -> list[int]:
        return flags(detector.failures(signal((preferred + bias).tolist(), (rejected + bias).tolist(), gold=gold)))

    assert found(Supervised(), 0.0) == found(Supervised(), 7.0)
    assert found(Supervised(centre="zero"), 0.0) != found(Supervised(centre="zero"), 7.0)


def test_a_text_on_the_centre_is_a_failure() -> None:
    given = signal([2.0, 0.0], [-2.0, -1.0], gold=labels([1, 1], [-1, -1]))
    assert flags(Supervised(centre="zero").failures(given)) == [1]


@pytest.mark.parametrize("detector", [Supervised(centre="zero"), LineSix()])
def test_a_text_of_unknown_label_is_no_failure(detector: Detector) -> None:
    assert flags(detector.failures(signal([-9.0, 9.0], [9.0, -9.0], gold=labels([0, 0], [0, 0])))) == []


def test_one_known_text_is_enough_for_a_failure() -> None:
    given = signal([-1.0, 5.0, -1.0], [9.0, 1.0, 9.0], gold=labels([1, 0, 0], [0, -1, 0]))
    assert flags(Supervised(centre="zero").failures(given)) == [0, 1]


def test_unknown_labels_do_not_move_the_centre() -> None:
    known = signal([2.0, 3.0], [0.0, 1.0], gold=labels([1, 1], [-1, -1]))
    more = signal([2.0, 3.0, 99.0], [0.0, 1.0, -50.0], gold=labels([1, 1, 0], [-1, -1, 0]))
    for one, other in zip(Supervised().sides(known), Supervised().sides(more), strict=True):
        assert torch.equal(one, other[:2])


def test_without_a_class_the_centre_is_the_mean_of_all() -> None:
    """All good: the mean of 4, 2, 1, -3 is 1; below or on it are 1 and -3."""
    given = signal([4.0, 2.0], [1.0, -3.0], gold=labels([1, 1], [1, 1]))
    one, other = Supervised().sides(given)
    assert one.tolist() == [3.0, 1.0]
    assert other.tolist() == [0.0, -4.0]
    assert flags(Supervised().failures(given)) == [0, 1]


def test_each_run_has_its_own_centre() -> None:
    first, second = (torch.tensor([PREFERRED, [one + 9 for one in PREFERRED]]), torch.tensor([REJECTED, REJECTED]))
    together = Supervised().failures(Signal(first, second, gold=GOLD))
    for at in (0, 1):
        assert torch.equal(together[at], Supervised().failures(Signal(first[at], second[at], gold=GOLD)))
    by_run = (torch.stack([GOLD[0]] * 2), torch.stack([GOLD[1]] * 2))  # as within a step
    assert torch.equal(together, Supervised().failures(Signal(first, second, gold=by_run)))


def test_a_supervised_score_is_above_zero_exactly_for_failures() -> None:
    rng = np.random.default_rng(1)
    gold = labels(rng.choice([1, -1], 50).tolist(), rng.choice([1, -1], 50).tolist())
    given = signal(rng.normal(size=50).tolist(), rng.normal(size=50).astype(np.float32).tolist(), gold=gold)
    found = Supervised().failures(given)
    assert torch.equal(Supervised().score(given) >= 0, found)
    assert 0 < int(found.sum()) < 50


@pytest.mark.parametrize("detector", [Supervised(), LineSix()])
def test_supervised_detectors_need_labels_and_say_so(detector: Detector) -> None:
    assert detector.truths() == {"gold"}
    with pytest.raises(ValueError, match="needs the truth 'gold' of the training pairs"):
        detector.failures(signal([1.0]))


def test_line_6_flags_rejected_texts_that_are_right_and_passes_over_wrong_ones() -> None:
    """science.md errata 1, by hand; all preferred texts are good and all rejected ones bad.

    Pair 0 is right on both sides: 4.3 passes it, line 6 flags it.  Pair 1 has its rejected text wrong: the other way
    round.  Pair 2 has its preferred text wrong, pair 3 its rejected one on the line: both flag them.
    """
    given = signal([1.0, 2.0, -1.0, 1.0], [-1.0, 1.0, -2.0, 0.0], gold=labels([1] * 4, [-1] * 4))
    assert flags(Supervised(centre="zero").failures(given)) == [1, 2, 3]
    assert flags(LineSix().failures(given)) == [0, 2, 3]


def test_line_6_is_the_opposite_of_section_4_3_of_the_rejected_text() -> None:
    rng = np.random.default_rng(0)
    rejected = rng.normal(size=40).astype(np.float32).tolist()
    given = signal([9.0] * 40, rejected, gold=labels([1] * 40, [-1] * 40))
    assert torch.equal(LineSix().failures(given), ~Supervised(centre="zero").failures(given))


# --- union


def test_a_union_flags_what_any_of_its_detectors_flags() -> None:
    given = signal(PREFERRED, REJECTED, gold=GOLD, uniform=torch.tensor([0.1, 0.9, 0.8, 0.7]))
    parts = (MarginThreshold(start=0.0), Random(start=0.25), Supervised())
    expected = parts[0].failures(given) | parts[1].failures(given) | parts[2].failures(given)
    assert torch.equal(Union(of=parts).failures(given), expected)
    assert flags(Union(of=parts[:2]).failures(given)) == [0, 2, 3]
    assert flags(Union(of=parts[:1]).failures(given)) == [2, 3]


def test_a_union_with_all_is_all_and_its_order_does_not_matter() -> None:
    given = signal([1.0, 2.0, -1.0])
    assert flags(Union(of=(MarginThreshold(), All())).failures(given)) == [0, 1, 2]
    one, other = BottomFraction(start=0.4), MarginThreshold()
    assert torch.equal(Union(of=(one, other)).failures(given), Union(of=(other, one)).failures(given))


def test_a_union_scores_by_the_highest_rank() -> None:
    """Margins rank the pairs 2, 0, 1 from the surest; the numbers 1, 2, 0."""
    given = signal([0.0, 1.0, -1.0], uniform=torch.tensor([0.9, 0.1, 0.5]))
    assert Union(of=(BottomFraction(), Random())).score(given).tolist() == [1.0, 2.0, 2.0]


def test_a_union_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"(?s)of.*at least 1 item"):
        Union(of=())


def test_a_union_knows_what_its_detectors_must_know() -> None:
    assert Union(of=(All(),)).truths() == frozenset()
    assert Union(of=(All(), Union(of=(Supervised(),)))).truths() == {"gold"}


def test_a_union_needs_rounds_where_one_of_its_detectors_does() -> None:
    assert Union(of=(All(), BottomFraction())).by_step
    assert not Union(of=(All(), Laplace())).by_step
    assert not Union(of=(All(), Union(of=(McDropout(),)))).by_step


# --- uncertainty


@pytest.mark.parametrize("prior", [0.1, 1.0, 5.0])
def test_the_laplace_variance_against_an_explicit_inverse(prior: float) -> None:
    given = featured()
    assert given.features is not None
    x = given.features()[0].numpy()
    p = 1 / (1 + np.exp(-given.margin.numpy()))
    hessian = prior * np.eye(4)
    for row, at in zip(x, p, strict=True):
        hessian += at * (1 - at) * np.outer(row, row)
    expected = [row @ np.linalg.inv(hessian) @ row for row in x]
    np.testing.assert_allclose(Laplace(prior=prior).score(given), expected, rtol=1e-6)  # the identity is float32


def test_the_laplace_hessian_is_that_of_the_penalised_loss() -> None:
    """By second differences of sum softplus(-x w) + prior/2 |w|^2 in float64."""
    given = featured()
    assert given.features is not None
    x, weights = (part.numpy() for part in given.features())

    def loss(w: np.ndarray) -> float:
        return float(np.logaddexp(0, -x @ w).sum() + 0.7 / 2 * w @ w)

    step, eye = 1e-4, np.eye(4)
    hessian = [
        [
            sum(a * b * loss(weights + step * (a * eye[i] + b * eye[j])) for a in (1, -1) for b in (1, -1))
            / 4
            / step**2
            for j in range(4)
        ]
        for i in range(4)
    ]
    expected = np.einsum("ni,ij,nj->n", x, np.linalg.inv(np.array(hessian)), x)
    np.testing.assert_allclose(Laplace(prior=0.7).score(given), expected, rtol=1e-5)  # second differences


def test_dropout_in_closed_form_is_what_sampling_approaches() -> None:
    given = featured(n=6)
    assert given.features is not None
    x, weights = (part.numpy() for part in given.features())
    kept = np.random.default_rng(0).random((40_000, 4)) >= 0.3
    margins = (kept / 0.7 * weights) @ x.T
    expected = margins.std(0) / np.abs(given.margin.numpy())
    # a deviation's standard error is about 1 / sqrt(2 * 40000) of it; four of them
    np.testing.assert_allclose(McDropout(rate=0.3).score(given), expected, rtol=4 / np.sqrt(80_000))


@pytest.mark.parametrize("detector", [Laplace(start=0.25), McDropout(start=0.25)])
def test_the_most_uncertain_pairs_are_flagged(detector: Detector) -> None:
    given = featured()
    surest = detector.score(given).argsort(descending=True)[:3].tolist()
    assert flags(detector.failures(given)) == sorted(surest)


def test_a_pair_of_equal_texts_has_no_laplace_variance_and_a_finite_dropout_ratio() -> None:
    x, weights = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([1.0, -1.0])
    given = signal([0.0, 0.0], features=lambda: (x, weights))
    assert Laplace().score(given)[0] == 0
    scores = McDropout().score(given)
    assert scores[0] == 0
    assert torch.isfinite(scores).all()
    assert scores[1] > 1e6


@pytest.mark.parametrize("detector", [Laplace(), McDropout()])
def test_detectors_of_the_last_layer_say_that_they_need_rounds(detector: Detector) -> None:
    assert not detector.by_step
    with pytest.raises(ValueError, match=r"the detector '(laplace|mc-dropout)' reads the last layer.*mine by round"):
        detector.failures(signal([1.0]))


# --- all of them


def spec(name: str) -> dict[str, Any]:
    return {"use": name, "of": [{"use": "all"}, {"use": "laplace"}]} if name == "union" else {"use": name}


@pytest.mark.parametrize("name", EVERY.names("detector"))
def test_a_detector_that_can_do_with_a_batch_asks_for_no_features(name: str) -> None:
    detector = EVERY.build(Detector, spec(name))
    rng = np.random.default_rng(0)
    gold = labels(rng.choice([1, -1], 20).tolist(), rng.choice([1, -1], 20).tolist())
    given = Signal(drawn(20), drawn(20, seed=1), 0.0, torch.from_numpy(rng.random(20)), gold)
    if detector.by_step:
        assert detector.failures(given).shape == (20,)
    else:
        with pytest.raises(ValueError, match="mine by round"):
            detector.failures(given)
