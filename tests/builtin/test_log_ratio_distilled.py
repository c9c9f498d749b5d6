"""A reward of vectors that learns the log-ratio: what it learns, what it leaves out, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from told import likelihoods

from fairl_bench.builtin.methods.log_ratio_distilled import LogRatioDistilled
from fairl_bench.kinds.lm import AskLikelihoods
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source
from fairl_bench.science.classification import auc
from fairl_bench.science.ridge import ridge
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_method, planted
from fairl_bench.values.data import Floats
from fairl_bench.values.training import Head, Inputs, Preferences, Reward, Stop, Task, Training

REGISTRY = Registry(installed=False)
PROBLEM = planted(n=120, d=6)
BETA = 4.0  # nats of a unit of reward
HEADS = pytest.mark.parametrize("head", [Head(use="linear"), Head(width=16)], ids=lambda head: head.use)
BOTH = pytest.mark.parametrize("regression", ["ridge", "head"])


def ratio(pairs: Preferences, constant: float = 0.0) -> tuple[Floats, Floats]:
    """The log-ratio of an optimal expert: the reward, and a number of each prompt."""
    rng = np.random.default_rng(len(pairs))
    prompt = constant * rng.normal(size=len(pairs))
    good, bad = (BETA * PROBLEM.reward[rows] + prompt for rows in (pairs.preferred, pairs.rejected))
    return good, bad


def knowing(pairs: Preferences, good: Floats, bad: Floats, **fields: Any) -> Preferences:
    """The pairs with two models whose log-ratios these are, each pair of a prompt of its own."""
    rng = np.random.default_rng(1)
    told = []
    for ratios in (good, bad):
        base = -10 - rng.random(len(ratios))
        told.append((likelihoods(base, **fields), likelihoods(base + ratios, **fields)))
    (good_base, good_expert), (bad_base, bad_expert) = told
    return replace(
        pairs,
        prompt=tuple(f"prompt {i}" for i in range(len(pairs))),
        likelihoods={"base": (good_base, bad_base), "expert": (good_expert, bad_expert)},
    )


def task(constant: float = 0.0, head: Head | None = None, seed: int = 0, **training: Any) -> Task:
    train, validation = (
        knowing(pairs, *ratio(pairs, constant)) for pairs in (PROBLEM.task.train, PROBLEM.task.validation)
    )
    settings = Training(**{"lr": 1e-2, "epochs": 60, **training})
    return Task(train, validation, head or Head(use="linear"), settings, 0, seed)


def changed(given: Task, good: Floats, bad: Floats) -> Task:
    """The task with other log-ratios of its training pairs."""
    return replace(given, train=knowing(given.train, good, bad))


def log_ratios(pairs: Preferences) -> Floats:
    """Those of the preferred and of the rejected texts ``[2, n]``."""
    base, expert = pairs.likelihoods["base"], pairs.likelihoods["expert"]
    return np.stack([expert[side].total - base[side].total for side in range(2)])


def equal(one: Reward, other: Reward) -> bool:
    return all(np.array_equal(one.arrays[name], array) for name, array in other.arrays.items())


# --- what is learnt


@pytest.mark.parametrize("constant", [0.0, 50.0])
def test_ridge_learns_the_reward_in_nats_whatever_the_number_of_each_prompt(constant: float) -> None:
    reward = LogRatioDistilled(clip=None).fit(task(constant))
    # no noise is left within a prompt: the least penalty is chosen, 1e-8 of the largest eigenvalue; float32
    np.testing.assert_allclose(reward.arrays["weight"], BETA * PROBLEM.theta, atol=1e-3)


def test_without_a_centre_the_number_of_each_prompt_is_noise() -> None:
    errors = [
        np.abs(LogRatioDistilled(clip=None, centre=centre).fit(task(50.0)).arrays["weight"] - BETA * PROBLEM.theta)
        for centre in ("prompt", "none")
    ]
    assert errors[1].max() > 100 * errors[0].max()


@HEADS
def test_a_head_learns_the_reward_in_nats_whatever_the_number_of_each_prompt(head: Head) -> None:
    method = LogRatioDistilled(regression="head", clip=None)
    given = task(50.0, head, lr=1e-2, epochs=200, stop=Stop(monitor="base-loss"))
    scores = method.score(method.fit(given), Inputs((), PROBLEM.vectors))[PROBLEM.held_out]
    wanted = BETA * PROBLEM.reward[PROBLEM.held_out]
    slope = np.polyfit(wanted, scores, 1)[0]
    assert slope == pytest.approx(1, abs=0.1)  # a rectified head is not quite linear
    assert np.corrcoef(scores, wanted)[0, 1] > 0.98


@BOTH
def test_the_reward_scores_texts_of_which_nothing_but_vectors_is_known(regression: Any) -> None:
    method = LogRatioDistilled(regression=regression)
    scores = method.score(method.fit(task()), Inputs(PROBLEM.texts, PROBLEM.vectors))
    good = np.where(PROBLEM.reward >= 0, 1, -1)
    assert auc(scores[PROBLEM.held_out], good[PROBLEM.held_out]) > 0.95


def test_ridge_is_the_regression_of_both_sides_centred_within_prompts() -> None:
    """Three pairs to a prompt, and log-ratios that no reward explains."""
    given, rng = task(), np.random.default_rng(2)
    n = len(given.train)
    good, bad = rng.normal(size=(2, n))
    train = replace(knowing(given.train, good, bad), prompt=tuple(f"prompt {i // 3}" for i in range(n)))
    reward = LogRatioDistilled(clip=None).fit(replace(given, train=train))
    rows = np.concatenate([train.preferred, train.rejected])
    expected = ridge(PROBLEM.vectors[rows], np.concatenate([good, bad]), np.tile(np.arange(n) // 3, 2))
    np.testing.assert_allclose(reward.arrays["weight"], expected.weight, rtol=1e-6, atol=1e-7)  # float32
    assert reward.arrays["bias"] == pytest.approx(expected.bias, rel=1e-5)
    assert reward.facts["penalty"] == pytest.approx(expected.penalty, rel=1e-9)
    assert reward.facts["free_slopes"] == pytest.approx(expected.freedom, rel=1e-9)


def test_texts_without_a_prompt_are_centred_as_one() -> None:
    given = task(3.0)
    promptless = replace(given, train=replace(given.train, prompt=("",) * len(given.train)))
    one, other = (LogRatioDistilled(centre=centre).fit(promptless) for centre in ("prompt", "none"))
    assert equal(one, other)
    assert not equal(one, LogRatioDistilled().fit(given))


@BOTH
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_a_log_ratio_that_is_larger_makes_the_reward_as_much_larger(regression: Any, factor: float) -> None:
    given, method = task(), LogRatioDistilled(regression=regression)
    larger = changed(given, *(factor * log_ratios(given.train)))
    one, other = (method.fit(each).arrays["weight"] for each in (given, larger))
    np.testing.assert_allclose(other, factor * one, rtol=1e-3, atol=1e-5 * factor)  # float32, and its loop


def test_by_token_each_models_mean_is_learnt() -> None:
    given = task()
    tokens = np.random.default_rng(3).integers(1, 9, len(given.train))
    by_token = replace(given, train=knowing(given.train, *(tokens * log_ratios(given.train)), tokens=tokens))
    one = LogRatioDistilled(clip=None, normalise="token").fit(by_token)
    np.testing.assert_allclose(one.arrays["weight"], BETA * PROBLEM.theta, atol=1e-3)


# --- clipping


def test_log_ratios_are_clipped_at_the_quantiles_of_all_training_texts() -> None:
    given = task()
    low, high = np.quantile(log_ratios(given.train), [0.05, 0.8])
    reward = LogRatioDistilled(clip=(0.05, 0.8)).fit(given)
    assert reward.facts["clipped_below"] == pytest.approx(low, rel=1e-9)
    assert reward.facts["clipped_above"] == pytest.approx(high, rel=1e-9)
    by_hand = changed(given, *log_ratios(given.train).clip(low, high))
    np.testing.assert_allclose(
        reward.arrays["weight"], LogRatioDistilled(clip=None).fit(by_hand).arrays["weight"], rtol=1e-5
    )


@BOTH
def test_how_far_outside_a_log_ratio_lies_does_not_matter(regression: Any) -> None:
    given, rewards = task(), []
    for far in (1e2, 1e6):
        ratios = log_ratios(given.train)
        ratios[0, 0], ratios[1, 5] = far, -far
        rewards.append(LogRatioDistilled(regression=regression).fit(changed(given, *ratios)))
    for name, array in rewards[0].arrays.items():
        # to the rounding of the likelihoods of 1e6 nats
        np.testing.assert_allclose(array, rewards[1].arrays[name], rtol=1e-4, atol=1e-5)


def test_without_clipping_it_does_and_no_bounds_are_told() -> None:
    given = task()
    ratios = log_ratios(given.train)
    ratios[0, 0] = 1e4
    clipped, free = (LogRatioDistilled(clip=clip).fit(changed(given, *ratios)) for clip in ((0.01, 0.99), None))
    assert np.abs(clipped.arrays["weight"] - BETA * PROBLEM.theta).max() < 0.5
    assert np.abs(free.arrays["weight"] - BETA * PROBLEM.theta).max() > 5
    assert {"clipped_below", "clipped_above"} <= clipped.facts.keys()
    assert not {"clipped_below", "clipped_above"} & free.facts.keys()


@pytest.mark.parametrize("clip", [(0.5, 0.5), (0.9, 0.1), (-0.1, 0.9), (0.1, 1.1)])
def test_quantiles_rise_within_0_to_1(clip: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=f"(?s)clip needs two rising .* within 0 to 1, got {clip[0]} and {clip[1]}"):
        LogRatioDistilled(clip=clip)


# --- what it says of itself


@BOTH
def test_it_tells_how_much_of_the_gaps_of_held_out_pairs_it_explains(regression: Any) -> None:
    """R squared about 0, not about the mean: which text of a pair comes first is no news of the texts."""
    given, method = task(30.0), LogRatioDistilled(regression=regression, clip=(0.1, 0.9))
    reward = method.fit(given)
    held_out = given.validation
    scores = method.score(reward, Inputs((), PROBLEM.vectors))
    low, high = np.quantile(log_ratios(given.train), [0.1, 0.9])
    good, bad = log_ratios(held_out).clip(low, high)
    rest = good - bad - (scores[held_out.preferred] - scores[held_out.rejected])
    explained = 1 - (rest @ rest) / ((good - bad) ** 2).sum()
    assert reward.facts["r2_of_validation_gaps"] == pytest.approx(explained, rel=1e-6)
    assert LogRatioDistilled(clip=None).fit(task()).facts["r2_of_validation_gaps"] == pytest.approx(1, abs=1e-6)


@BOTH
def test_without_a_rule_for_the_epoch_no_validation_pair_is_read(regression: Any) -> None:
    given = task(stop=None, epochs=3)
    unread = replace(given, validation=replace(given.validation, likelihoods={}))
    reward = LogRatioDistilled(regression=regression).fit(unread)
    assert "r2_of_validation_gaps" not in reward.facts
    assert equal(reward, LogRatioDistilled(regression=regression).fit(given))


@pytest.mark.parametrize("marks", [(0, 0), (7, 0), (7, 4)])
def test_it_counts_the_training_texts_that_the_models_had_to_tokenise(marks: tuple[int, int]) -> None:
    """So many of each side; a text that both have tokenised counts once."""
    given, counted = task(), sum(marks)
    told = {
        role: tuple(
            replace(side, tokenised=np.arange(len(side)) < first) for side, first in zip(both, marks, strict=True)
        )
        for role, both in given.train.likelihoods.items()
    }
    reward = LogRatioDistilled().fit(replace(given, train=replace(given.train, likelihoods=told)))
    assert reward.facts["texts_tokenised"] == counted


def test_a_head_tells_its_training_and_the_unit_of_its_losses() -> None:
    given = task(head=Head(width=8), epochs=12)
    reward = LogRatioDistilled(regression="head", clip=None).fit(given)
    gaps = log_ratios(given.train)[0] - log_ratios(given.train)[1]
    assert reward.facts["scale"] == pytest.approx(np.sqrt((gaps**2).mean()), rel=1e-9)
    assert len(reward.history["train_loss"]) == len(reward.history["calibrated_loss"]) == reward.facts["epochs"] == 12
    # in units of the gaps' mean square, a reward of nothing has the loss 1
    assert reward.history["train_loss"][0] < 1.2
    kept = reward.history["validation_loss"][int(reward.facts["kept_epoch"]) - 1]
    held_out = log_ratios(given.validation)[0] - log_ratios(given.validation)[1]
    unexplained = kept * float(reward.facts["scale"]) ** 2 / (held_out**2).mean()
    assert reward.facts["r2_of_validation_gaps"] == pytest.approx(1 - unexplained, abs=1e-4)  # float32


# --- runs


def test_a_head_depends_on_the_seed_and_ridge_does_not() -> None:
    head, closed = LogRatioDistilled(regression="head"), LogRatioDistilled()
    assert (head.seeded, closed.seeded) == (True, False)
    assert not equal(head.fit(task()), head.fit(task(seed=1)))
    assert equal(closed.fit(task()), closed.fit(task(seed=1)))


@HEADS
def test_heads_train_in_one_loop_as_they_do_alone(head: Head) -> None:
    methods = [LogRatioDistilled(regression="head", clip=clip) for clip in ((0.01, 0.99), None, (0.2, 0.8))]
    methods += [LogRatioDistilled(regression="head", normalise="token")]
    assert len({method.stack() for method in methods}) == 1
    runs = [(method, task(5.0, head, seed, epochs=9)) for seed in (0, 1) for method in methods]
    for (method, given), together in zip(runs, LogRatioDistilled.fit_many(runs), strict=True):
        alone = method.fit(given)
        assert equal(alone, together)
        assert alone.facts == together.facts
        assert alone.history == together.history


def test_ridge_and_heads_in_one_call_are_told_apart() -> None:
    assert LogRatioDistilled().stack() is None
    methods = [LogRatioDistilled(regression=one) for one in ("head", "ridge", "head")]
    runs = [(method, task(seed=seed, epochs=3)) for seed, method in enumerate(methods)]
    for (method, given), together in zip(runs, LogRatioDistilled.fit_many(runs), strict=True):
        assert equal(method.fit(given), together)


@BOTH
def test_of_a_model_and_itself_every_text_has_the_reward_0(regression: Any) -> None:
    given = task()
    nothing = np.zeros(len(given.train))
    method = LogRatioDistilled.named("log-ratio-distilled", regression=regression)
    reward = method.fit(changed(given, nothing, nothing))
    assert not method.score(reward, Inputs((), given.train.vectors)).any()


def test_a_head_has_no_centre_to_leave_out() -> None:
    with pytest.raises(ValueError, match="a head learns from the gaps of pairs, in which no centre is left"):
        LogRatioDistilled(regression="head", centre="none")


@HEADS
def test_a_head_keeps_the_contract_of_a_method(head: Head) -> None:
    method = REGISTRY.build(Method, {"use": "log-ratio-distilled", "regression": "head"})
    check_method(method, head=head, at_least=0.95, registry=REGISTRY)


# --- what it asks for


def test_it_is_ranked_and_scores_without_the_models() -> None:
    method = LogRatioDistilled()
    assert (method.given, method.reference, method.reads_upstream) == ("both models", False, False)
    assert method.head(Head(use="mlp")) == "linear"
    assert LogRatioDistilled(regression="head").head(Head(use="mlp")) == "mlp"


def test_it_asks_both_models_of_the_source_for_the_likelihoods() -> None:
    expert = {"use": "rloo", "reward": {"use": "toy-truth"}}
    base = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 20}}
    source = REGISTRY.build(
        Source, {"use": "aligned-lm", "base": base, "expert": expert, "prompts": {"use": "toy-prompts"}}
    )
    method = REGISTRY.build(Method, {"use": "log-ratio-distilled", "prompts": "withheld", "batch": 8}).of(source)
    origin = source.origin()
    assert origin is not None
    assert method.upstream() == {
        role: AskLikelihoods(lm=lm, prompts="withheld", batch=8)
        for role, lm in (("base", origin.base), ("expert", origin.expert))
    }
