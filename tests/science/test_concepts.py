"""What a reward is about: verdicts on planted concepts, and what is said where nothing can be."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from fairl_bench.errors import Undefined
from fairl_bench.science.concepts import (
    Attribution,
    Explained,
    Interval,
    attribution,
    sign_of,
    told_prompts,
    turns,
)
from fairl_bench.science.shares import MOST


def found(n: int = 300, *, noise: float = 1.0, seed: int = 0, **weights: float) -> Attribution:
    """The attribution of a reward that is made of independent concepts; the preferred text has more of it."""
    rng = np.random.default_rng(seed)
    values = {name: rng.normal(size=2 * n) for name in weights}
    reward = sum((weight * values[name] for name, weight in weights.items()), noise * rng.normal(size=2 * n))
    prompt = np.repeat(np.arange(n), 2)
    higher = (reward[::2] > reward[1::2]).repeat(2)
    role = np.where(higher == np.tile([True, False], n), 1, -1).astype(np.int8)
    return attribution(reward, values, prompt, role, rng, resamples=200)


def test_what_a_reward_is_made_of_is_named_and_what_it_is_not_is_ruled_out() -> None:
    concepts = found(600, toxicity=1.0, length=0.0).concepts
    assert {name: one.verdict for name, one in concepts.items()} == {"toxicity": "named", "length": "ruled out"}


def test_few_prompts_cannot_tell_of_a_weak_concept() -> None:
    assert found(30, weak=0.4).concepts["weak"].verdict == "cannot tell"


def test_the_slope_of_a_concept_is_its_weight_in_the_spread_of_the_rejected_texts() -> None:
    rng = np.random.default_rng(0)
    n = 2000
    values = {"more": rng.normal(size=2 * n), "less": 3 * rng.normal(size=2 * n)}
    reward = 2 * values["more"] - values["less"] + 0.5 * rng.normal(size=2 * n)
    prompt, role = np.repeat(np.arange(n), 2), np.tile(np.array([1, -1], np.int8), n)
    concepts = attribution(reward, values, prompt, role, rng, resamples=200).concepts
    assert concepts["more"].slope.value == pytest.approx(2 * values["more"][1::2].std(), abs=0.05)  # 4 standard errors
    assert concepts["less"].slope.value == pytest.approx(-values["less"][1::2].std(), abs=0.05)
    assert concepts["less"].slope.low < concepts["less"].slope.value < concepts["less"].slope.high


def test_the_preferred_texts_have_more_of_what_is_rewarded() -> None:
    concepts = found(more=1.0, less=-1.0, none=0.0).concepts
    assert [sign_of(one.auc) for one in concepts.values()] == [1, -1, 0]


def test_shares_and_the_unexplained_rest_sum_to_one() -> None:
    whole = found(a=1.0, b=0.5, c=0.0)
    assert sum(one.share.value for one in whole.concepts.values()) + whole.unexplained.value == pytest.approx(1)


def test_concepts_that_go_together_share_one_share() -> None:
    rng = np.random.default_rng(0)
    words = rng.normal(size=400)
    values = {"words": words, "letters": 5 * words + 0.1 * rng.normal(size=400), "other": rng.normal(size=400)}
    prompt, role = np.repeat(np.arange(200), 2), np.tile(np.array([1, -1], np.int8), 200)
    concepts = attribution(words + rng.normal(size=400), values, prompt, role, rng, resamples=100).concepts
    assert concepts["words"].group == concepts["letters"].group == ("words", "letters")
    assert concepts["words"].share == concepts["letters"].share
    assert concepts["other"].group == ("other",)


def test_a_constant_concept_is_not_known_rather_than_zero() -> None:
    rng = np.random.default_rng(0)
    values = {"same": np.ones(100), "of the prompt": np.repeat(rng.normal(size=50), 2), "real": rng.normal(size=100)}
    prompt, role = np.repeat(np.arange(50), 2), np.tile(np.array([1, -1], np.int8), 50)
    concepts = attribution(values["real"] + rng.normal(size=100), values, prompt, role, rng, resamples=50).concepts
    for name in ("same", "of the prompt"):
        assert math.isnan(concepts[name].share.value)
        assert concepts[name].verdict is None
        assert concepts[name].why == "it is the same in all texts of each prompt"
    assert concepts["real"].verdict is not None


def test_a_concept_that_varies_by_rounding_alone_is_constant() -> None:
    rng = np.random.default_rng(0)
    prompt = np.repeat(np.arange(60), 3)
    values = {"constant": (0.1 * rng.normal(size=60))[prompt], "real": rng.normal(size=180)}
    said = attribution(values["real"] + rng.normal(size=180), values, prompt, np.zeros(180, np.int8), rng, resamples=50)
    assert said.concepts["constant"].verdict is None
    assert said.concepts["constant"].why == "it is the same in all texts of each prompt"


def test_prompts_of_one_cluster_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    prompt = np.repeat(np.arange(300), 2)
    topic = rng.normal(size=30)[prompt // 10]  # ten prompts of one author share how much the concept counts
    values = {"a": rng.normal(size=600)}
    reward = (0.5 + topic) * values["a"] + rng.normal(size=600)
    role = np.tile(np.array([1, -1], np.int8), 300)

    def width(cluster: np.ndarray | None) -> float:
        share = attribution(
            reward, values, prompt, role, np.random.default_rng(1), resamples=300, cluster=cluster
        ).concepts["a"].share  # fmt: skip
        return share.high - share.low

    assert width(prompt // 10) > 1.5 * width(None)
    assert width(prompt) == width(None)


def test_what_goes_along_with_another_named_concept_is_said() -> None:
    rng = np.random.default_rng(0)
    toxic = rng.normal(size=2000)
    values = {"toxic": toxic, "length": -0.7 * toxic + 0.7 * rng.normal(size=2000), "other": rng.normal(size=2000)}
    prompt, role = np.repeat(np.arange(1000), 2), np.tile(np.array([1, -1], np.int8), 1000)
    reward = 0.5 * values["length"] - toxic + 0.3 * rng.normal(size=2000)
    concepts = attribution(reward, values, prompt, role, rng, resamples=100).concepts
    assert concepts["toxic"].along == {"length": pytest.approx(-0.69, abs=0.06)}  # Spearman's of a normal r of -.71
    assert concepts["length"].along == {"toxic": concepts["toxic"].along["length"]}
    assert not concepts["other"].along


def test_what_adds_nothing_beside_a_named_concept_is_not_named() -> None:
    rng = np.random.default_rng(0)
    toxic = rng.normal(size=2000)
    values = {"toxic": toxic, "length": -0.7 * toxic + 0.7 * rng.normal(size=2000)}
    prompt, role = np.repeat(np.arange(1000), 2), np.tile(np.array([1, -1], np.int8), 1000)
    concepts = attribution(-toxic + 0.3 * rng.normal(size=2000), values, prompt, role, rng, resamples=100).concepts
    assert concepts["length"].share.low > 0.1 > 0.01 > concepts["length"].beside.high
    assert {name: one.verdict for name, one in concepts.items()} == {"toxic": "named", "length": "cannot tell"}
    assert concepts["length"].along.keys() == {"toxic"}
    assert not concepts["toxic"].along


def test_what_matters_beside_another_one_is_named_however_much_they_go_along() -> None:
    rng = np.random.default_rng(0)
    toxic = rng.normal(size=2000)
    values = {"toxic": toxic, "length": -0.7 * toxic + 0.7 * rng.normal(size=2000)}
    prompt, role = np.repeat(np.arange(1000), 2), np.tile(np.array([1, -1], np.int8), 1000)
    for weight in (1.0, -1.0):  # they work against each other, or in one direction
        reward = weight * values["length"] - toxic + rng.normal(size=2000)
        concepts = attribution(reward, values, prompt, role, rng, resamples=100).concepts
        assert {one.verdict for one in concepts.values()} == {"named"}


def test_concepts_of_which_each_follows_from_the_others_stay_named() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 1200))
    values = {"one": one, "other": other, "both": one + other}  # correlations of .71 at most
    prompt, role = np.repeat(np.arange(600), 2), np.tile(np.array([1, -1], np.int8), 600)
    reward = values["both"] + 0.3 * rng.normal(size=1200)
    concepts = attribution(reward, values, prompt, role, rng, resamples=100).concepts
    assert all(abs(concept.beside.value) < 0.01 for concept in concepts.values())
    assert {concept.verdict for concept in concepts.values()} == {"named"}


def chosen(politeness: float, *, n: int = 300, toss: float = 0.0) -> Attribution:
    """Pairs of which the shorter text is preferred, or the politer; a reward learnt from them pays for both.

    Short texts are politer.  ``toss``: how often the preferred text is drawn by a coin.
    """
    rng = np.random.default_rng(0)
    length = rng.integers(1, 8, 2 * n).astype(float)
    polite = (rng.random(2 * n) < np.where(length <= 3, 0.6, 0.2)) * rng.random(2 * n)
    value = politeness * 10 * polite - length + 0.001 * rng.random(2 * n)
    ahead = (value[::2] > value[1::2]) ^ (rng.random(n) < toss / 2)
    role = np.where(ahead.repeat(2) == np.tile([True, False], n), 1, -1).astype(np.int8)
    reward = 5 * polite - length
    values = {"length": length, "polite": polite, "noise": rng.normal(size=2 * n)}
    return attribution(reward, values, np.repeat(np.arange(n), 2), role, rng, resamples=200)


def test_the_pairs_say_whether_a_concept_of_the_reward_was_a_reason() -> None:
    by_length, by_both = chosen(0).concepts, chosen(1).concepts
    assert by_length["polite"].verdict == by_both["polite"].verdict == "named"  # the reward is the same
    assert by_length["length"].choice.low > 0.5
    assert by_both["length"].choice.low > 0.1
    assert by_length["polite"].choice.low <= 0
    assert by_length["polite"].choice.high < 0.05
    assert by_both["polite"].choice.low > 0.05
    assert by_both["noise"].choice.high < 0.05


def test_pairs_that_are_a_coin_toss_say_nothing_of_reasons() -> None:
    assert all(math.isnan(one.choice.value) for one in chosen(1, toss=1.0).concepts.values())


def test_a_rate_that_is_mostly_zero_goes_along_with_length_by_ranks() -> None:
    rng = np.random.default_rng(0)
    prompt = np.repeat(np.arange(1000), 2)
    rude = (rng.random(2000) < 0.3) * rng.exponential(size=2000) ** 3  # 0, or large in some short texts
    values = {"rude": rude, "length": (rude > 0) + 0.3 * rng.normal(size=2000)}
    differences = [column[::2] - column[1::2] for column in values.values()]
    reward = 0.3 * rng.normal(size=2000) - (rude > 0)
    role = np.sign(reward - np.repeat(reward.reshape(-1, 2).mean(1), 2)).astype(np.int8)
    concepts = attribution(reward, values, prompt, role, rng, resamples=100).concepts
    assert concepts["length"].verdict == "named"
    assert abs(np.corrcoef(*differences)[0, 1]) < 0.5 < concepts["rude"].along["length"]


def test_what_is_not_named_goes_along_where_its_two_sides_differ() -> None:
    def along(preferred_has_more: float) -> Mapping[str, float]:
        """Of a concept that is half another one, in a reward of which that explains a tenth."""
        rng = np.random.default_rng(0)
        prompt = np.repeat(np.arange(600), 2)
        toxic, role = rng.normal(size=1200), np.tile(np.array([1, -1], np.int8), 600)
        toxic -= preferred_has_more * role
        values = {"toxic": toxic, "length": 0.65 * toxic + 0.76 * rng.normal(size=1200)}
        concepts = attribution(-toxic + 2.2 * rng.normal(size=1200), values, prompt, role, rng, resamples=200).concepts
        assert [one.verdict == "named" for one in concepts.values()] == [True, False]
        return concepts["length"].along

    assert along(0.5).keys() == {"toxic"}
    assert not along(0)


def test_a_concept_whose_slope_turns_is_said_to() -> None:
    named = Interval(0.3, 0.2, 0.4)
    more, fewer = Interval(0.7, 0.6, 0.8), Interval(0.3, 0.2, 0.4)
    up, down = Interval(1.0, 0.5, 1.5), Interval(-1.0, -1.5, -0.5)
    assert [turns(Explained(("a",), named, slope, auc)) for slope in (up, down) for auc in (more, fewer)] == [
        False, True, True, False
    ]  # fmt: skip
    assert not turns(Explained(("a",), Interval(0.01, -0.1, 0.1), down, more))  # not named
    assert not turns(Explained(("a",), named, down, Interval(0.5, 0.4, 0.6)))  # no difference by itself


def test_where_no_concept_varies_all_is_unexplained() -> None:
    rng = np.random.default_rng(0)
    prompt, role = np.repeat(np.arange(50), 2), np.tile(np.array([1, -1], np.int8), 50)
    said = attribution(rng.normal(size=100), {"same": np.ones(100)}, prompt, role, rng, resamples=50)
    assert said.unexplained == (1, 1, 1)
    assert math.isnan(said.concepts["same"].share.value)


def test_of_more_than_twelve_groups_those_enter_that_go_most_along_with_the_reward() -> None:
    weights = {f"c{i:02}": float(i in (3, 9)) for i in range(MOST + 3)}
    concepts = found(200, **weights).concepts
    assert sum(not math.isnan(one.share.value) for one in concepts.values()) == MOST
    assert not math.isnan(concepts["c03"].share.value)
    assert not math.isnan(concepts["c09"].share.value)
    left_out = f"only the {MOST} groups of concepts entered that go most along with the reward"
    assert {one.why for one in concepts.values()} == {"", left_out}


def test_what_few_texts_have_is_not_known_however_much_they_are_rewarded() -> None:
    rng = np.random.default_rng(0)
    prompt, role = np.repeat(np.arange(200), 2), np.tile(np.array([1, -1], np.int8), 200)
    values = {"three": np.zeros(400), "twenty": np.zeros(400), "other": rng.normal(size=400)}
    values["three"][[0, 2, 4]] = 1
    values["twenty"][:40:2] = 1
    reward = 10 * values["three"] + 10 * values["twenty"] + rng.normal(size=400)
    concepts = attribution(reward, values, prompt, role, rng, resamples=200).concepts
    assert concepts["three"].verdict is None
    assert concepts["three"].why == "what differs of it within prompts rests on 3.0 prompts, and 5 are needed"
    assert not math.isnan(concepts["three"].auc.value)
    assert concepts["twenty"].verdict == "named"


def test_a_concept_of_the_detectable_share_is_named_four_times_in_five() -> None:
    rng = np.random.default_rng(0)
    n, worlds = 150, 80
    prompt, role = np.repeat(np.arange(n), 2), np.zeros(2 * n, np.int8)

    def of_world(share: float, frequency: float) -> Explained:
        """What is known of a concept that few or many texts have, and that explains this share beside another one."""
        values = {"a": (rng.random(2 * n) < frequency) * 1.0, "b": rng.normal(size=2 * n)}
        spread = math.sqrt(frequency * (1 - frequency))
        noise = values["b"] + rng.normal(size=2 * n)
        reward = values["a"] / spread * math.sqrt(2 * share / (1 - share)) + noise
        return attribution(reward, values, prompt, role, rng, resamples=150).concepts["a"]

    for frequency in (0.5, 0.1):
        wanted = np.mean([of_world(0.15, frequency).detectable for _ in range(10)])
        named = np.mean([of_world(float(wanted), frequency).verdict == "named" for _ in range(worlds)])
        assert named == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / worlds))


def test_more_prompts_show_smaller_shares() -> None:
    few, many = (found(n, a=1.0, b=0.0).detectable for n in (60, 600))
    assert 0.05 < many < 0.5 * few < 0.5


def test_outside_pairs_there_is_no_marginal_difference() -> None:
    rng = np.random.default_rng(0)
    value, prompt = rng.normal(size=120), np.repeat(np.arange(30), 4)
    said = attribution(value + rng.normal(size=120), {"a": value}, prompt, np.zeros(120, np.int8), rng, resamples=50)
    assert math.isnan(said.concepts["a"].auc.value)
    assert said.concepts["a"].share.value > 0.2
    assert said.prompts == 30


def test_texts_without_a_prompt_belong_to_their_pair() -> None:
    pair = np.array([0, 0, 1, 1, -1])
    assert len(set(told_prompts(["p", "p", "", "", ""], pair).tolist())) == 3
    with pytest.raises(Undefined, match="no two of the texts answer one prompt"):
        told_prompts(["a", "b", ""], np.full(3, -1))


def test_noise_raises_no_alarm_over_many_worlds() -> None:
    alarms = 0
    for seed in range(60):
        concepts = found(100, seed=seed, **{f"c{i}": 0.0 for i in range(8)}).concepts
        alarms += any(one.verdict == "named" for one in concepts.values())
    assert alarms <= 3
