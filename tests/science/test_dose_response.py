"""Mean reward by quantile of a concept: groups, scale and intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairl_bench.errors import Undefined
from fairl_bench.science.dose_response import MOST, dose_responses, quantile_groups

PAIRS = 400


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def paired(seed: int = 0, pairs: int = PAIRS, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewards that go up with a concept, which has most of its variance within prompts; each prompt has a level."""
    draw = rng(seed)
    prompt = np.repeat(np.arange(pairs), 2)
    concept = draw.normal(size=2 * pairs)
    reward = slope * concept + draw.normal(size=2 * pairs) + 5 * draw.normal(size=pairs)[prompt]
    return reward, concept, prompt


# --- groups


@example([0, 0, 1, -1], 2)
@given(st.lists(st.integers(-3, 12), min_size=1, max_size=300), st.integers(2, MOST))
def test_equal_values_are_in_one_group_and_greater_ones_in_no_earlier(values: list[int], most: int) -> None:
    array = np.array(values, np.float64)
    group = quantile_groups(array, most)
    order = np.argsort(array, kind="stable")
    assert (np.diff(group[order]) >= 0).all()
    assert all(len(set(group[array == value])) == 1 for value in set(values))
    assert sorted(set(group.tolist())) == list(range(int(group.max()) + 1))  # none is empty
    assert int(group.max()) < most


@given(st.lists(st.integers(-5, 5), min_size=40, max_size=300))
def test_many_zeros_stand_alone(values: list[int]) -> None:
    array = np.array(values, np.float64)
    group = quantile_groups(array)
    if 10 * (array == 0).sum() >= len(array) * 5:  # many, whatever the number of groups
        assert set(array[group == group[array == 0][0]]) == {0.0}


def test_groups_of_distinct_values_are_of_equal_size() -> None:
    assert np.bincount(quantile_groups(rng().normal(size=1000))).tolist() == [100] * 10


def test_few_texts_make_few_groups() -> None:
    assert [int(quantile_groups(np.arange(float(n))).max()) + 1 for n in (10, 60, 100, 5000)] == [2, 3, 5, 10]


def test_a_constant_concept_is_one_group() -> None:
    assert not quantile_groups(np.ones(100)).any()


# --- means


def test_by_hand() -> None:
    """Two prompts; within each the text with more of it has a reward 2 higher: -1 and +1, of a variance of 2."""
    reward, concept = np.array([10.0, 12, -3, -1]), np.array([0.0, 5, 0, 7])
    found = dose_responses(reward, {"c": concept}, np.array([0, 0, 1, 1]), rng())["c"]
    assert found.reward == pytest.approx([-1 / np.sqrt(2), 1 / np.sqrt(2)], abs=1e-12)
    assert (found.least.tolist(), found.most.tolist(), found.concept.tolist()) == ([0, 5], [0, 7], [0, 6])
    assert found.texts.tolist() == [2, 2]
    assert np.isnan(found.low).all()  # of two prompts nobody knows how sure that is


def test_the_level_of_a_prompt_does_not_matter() -> None:
    reward, concept, prompt = paired()
    moved = reward + 100 * rng(1).normal(size=PAIRS)[prompt]
    one, other = (dose_responses(each, {"c": concept}, prompt, rng())["c"] for each in (reward, moved))
    assert other.reward == pytest.approx(one.reward, abs=1e-9)


def test_the_unit_of_the_reward_does_not_matter() -> None:
    reward, concept, prompt = paired()
    one, other = (dose_responses(each, {"c": concept}, prompt, rng())["c"] for each in (reward, 7 * reward))
    assert other.low == pytest.approx(one.low, abs=1e-9)
    assert other.reward == pytest.approx(one.reward, abs=1e-12)


def test_the_scale_is_that_of_a_mixed_model() -> None:
    """Means of centred rewards divided by the square root of the mean square within prompts, of an analysis of
    variance."""
    from scipy.stats import f_oneway

    reward, concept, prompt = paired(pairs=50)
    of_prompts = [reward[prompt == code] for code in range(50)]
    between = 2 * np.var([one.mean() for one in of_prompts], ddof=1)
    within = between / f_oneway(*of_prompts).statistic
    found = dose_responses(reward, {"c": concept}, prompt, rng())["c"]
    group = quantile_groups(concept)
    centred = reward - np.array([one.mean() for one in of_prompts])[prompt]
    by_hand = [centred[group == code].mean() / np.sqrt(within) for code in range(int(group.max()) + 1)]
    assert found.reward == pytest.approx(by_hand, abs=1e-9)


def test_means_weighted_by_texts_sum_to_nothing() -> None:
    reward, concept, prompt = paired()
    found = dose_responses(reward, {"c": concept}, prompt, rng())["c"]
    assert found.reward @ found.texts == pytest.approx(0, abs=1e-9)


def test_a_text_without_another_of_its_prompt_says_nothing() -> None:
    reward, concept, prompt = paired()
    alone = np.concatenate([prompt, np.arange(PAIRS, PAIRS + 50)])
    more = np.concatenate([reward, np.full(50, 1e3)]), np.concatenate([concept, np.full(50, 9.0)])
    one = dose_responses(reward, {"c": concept}, prompt, rng())["c"]
    other = dose_responses(more[0], {"c": more[1]}, alone, rng())["c"]
    assert other.reward == pytest.approx(one.reward, abs=1e-12)
    assert other.low == pytest.approx(one.low, abs=1e-12)


def test_a_constant_concept_is_left_out_and_a_constant_reward_refused() -> None:
    reward, concept, prompt = paired()
    assert list(dose_responses(reward, {"same": np.ones(2 * PAIRS), "c": concept}, prompt, rng())) == ["c"]
    with pytest.raises(Undefined, match="got one that is equal in each"):
        dose_responses(np.arange(PAIRS)[prompt] * 0.1, {"c": concept}, prompt, rng())


# --- intervals


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Of 300 draws the interval of the top group covers its long-run mean in 95 %, within four standard errors."""
    truth = np.mean([dose_responses(*once(1000 + seed), rng(), resamples=2)["c"].reward for seed in range(300)], 0)
    inside = []
    for seed in range(300):
        found = dose_responses(*once(seed), rng(seed), resamples=300)["c"]
        inside.append((found.low <= truth) & (truth <= found.high))
    covered = np.mean(inside, 0)
    assert (np.abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 300)).all()


def once(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    reward, concept, prompt = paired(seed, pairs=60)
    return reward, {"c": np.where(concept > 0, 1.0, 0.0) + (concept > 0.6)}, prompt  # the same groups in every draw


def test_clusters_widen_intervals() -> None:
    """Twins of prompts are no further evidence: the interval of doubled prompts is that of single ones."""
    reward, concept, prompt = paired(pairs=100)
    twice = np.concatenate([prompt, prompt + 100])
    doubled, of_both = np.tile(reward, 2), {"c": np.tile(np.round(concept), 2)}
    single = dose_responses(reward, {"c": np.round(concept)}, prompt, rng(), resamples=2000)["c"]
    told = dose_responses(doubled, of_both, twice, rng(), resamples=2000, cluster=twice % 100)["c"]
    naive = dose_responses(doubled, of_both, twice, rng(), resamples=2000)["c"]
    # groups differ in number with the texts; the one of most has the same texts where its share is the same
    width = [float((each.high - each.low)[each.texts.argmax()]) for each in (single, told, naive)]
    assert width[1] == pytest.approx(width[0], rel=0.25)
    assert width[2] < 0.8 * width[1]


def test_the_same_seed_gives_the_same_intervals() -> None:
    reward, concept, prompt = paired()
    one, other = (dose_responses(reward, {"c": concept}, prompt, rng(3))["c"] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
