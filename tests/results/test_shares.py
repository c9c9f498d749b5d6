"""The share of the ceiling, from the scores of runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.paired import compared
from fairl_bench.science.ceiling import share_over_units
from fairl_bench.science.classification import pair_accuracy
from fairl_bench.values.ceiling import PAIR_ACCURACY, SHARE
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import PREFERRED, Examples, Truth
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Sheet, Values

PAIRS = 150
TEST = "pairs/test"
BOTH = {"toy": "log-ratio"}


def run(method: str, seed: int | None = 0) -> Run:
    return Run("e", "mlp", method, "", seed)


LOG_RATIO, COIN = run("log-ratio", None), run("coin", None)
METHODS = {run("a", seed): 0.6 for seed in range(3)}
RUNS = {LOG_RATIO: 1.2, COIN: 0.0, **METHODS}


def sheet(gains: Mapping[Run, float], replicate: int = 0, data: str = TEST, pairs: int = PAIRS) -> Sheet:
    """Pairs in which every run sees through the same noise; a higher gain ranks more of them, none ties them all."""
    rng = np.random.default_rng([replicate, 7])
    role = np.tile(np.array([1, -1], np.int8), pairs)
    hard = np.repeat(rng.normal(size=pairs), 2) * role
    rewards = {
        one: gain * role + hard + 0.5 * rng.normal(size=2 * pairs) if gain else np.zeros(2 * pairs)
        for one, gain in gains.items()
    }
    examples = Examples(
        tuple(f"text {i}" for i in range(2 * pairs)),
        pair=np.repeat(np.arange(pairs), 2),
        role=role,
        truths={PREFERRED: Truth(role * 1.0, role), "gold": Truth(role * 1.0, role)},
    )
    return Sheet("s", "toy", replicate, data, examples, rewards)


def accuracy(one: Sheet, who: Run) -> float:
    return pair_accuracy(one.rewards[who][0::2] - one.rewards[who][1::2])


def records(*sheets: Sheet, truth: str = PREFERRED) -> list[Record]:
    return [
        Record.at(one.at(who, truth), "s", PAIR_ACCURACY, accuracy(one, who), PAIRS)
        for one in sheets
        for who in one.rewards
    ]


def answers(*sheets: Sheet, ceilings: Mapping[str, str] = BOTH, truth: str = PREFERRED) -> list[Comparison]:
    values = Values.read(records(*sheets, truth=truth))
    asked = [Question(sheets[0].data, truth, (PAIR_ACCURACY,))]
    return compared(sheets, values, asked, built_in_metrics(), 400, references={"log-ratio"}, ceilings=ceilings)


def shares(*sheets: Sheet, **more: Any) -> dict[str, Comparison]:
    return {row.method: row for row in answers(*sheets, **more) if row.metric == SHARE}


WORLDS = [sheet(RUNS, replicate) for replicate in range(4)]


# --- over worlds


def test_over_worlds_it_is_fiellers_ratio_of_means_with_the_seeds_of_a_world_averaged() -> None:
    found = shares(*WORLDS)["a"]
    mine = [np.mean([accuracy(world, who) for who in METHODS]) for world in WORLDS]
    expected = share_over_units(mine, [accuracy(world, LOG_RATIO) for world in WORLDS])
    assert (found.value, found.low, found.high) == pytest.approx(expected[:3], abs=1e-12)
    assert (found.units, found.unit, found.freedom, found.resamples) == (4, "replicate", 3, 0)


def test_a_world_in_which_the_ceiling_is_missing_is_left_out() -> None:
    lacking = sheet({who: gain for who, gain in RUNS.items() if who != LOG_RATIO}, 4)
    assert shares(*WORLDS, lacking)["a"] == shares(*WORLDS)["a"]


def test_worlds_whose_ceilings_differ_too_much_give_no_share_and_the_reason() -> None:
    easy, hard = sheet({**RUNS, LOG_RATIO: 9.0}, 0), sheet({**RUNS, LOG_RATIO: 0.01}, 1)
    found = shares(easy, hard)["a"]
    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert "is not shown to lie above ½" in found.note


def test_discordant_pairs_have_the_ceiling_of_their_own_pair_accuracy() -> None:
    """They are chosen by what both texts are, whichever is whose."""
    worlds = [world.discordant() for world in WORLDS]  # every pair has one good text here
    found = shares(*worlds)["a"]
    whole = shares(*WORLDS)["a"]
    assert found.data == "pairs/test discordant"
    assert (found.value, found.low, found.high) == (whole.value, whole.low, whole.high)
    training = [sheet(RUNS, replicate, "pairs/train").discordant() for replicate in range(2)]
    assert shares(*training) == {}


# --- in one world


def test_a_single_run_has_the_noise_of_the_pairs() -> None:
    world = sheet({LOG_RATIO: 1.2, run("a"): 0.6})
    found = shares(world)["a"]
    expected = (accuracy(world, run("a")) - 0.5) / (accuracy(world, LOG_RATIO) - 0.5)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.low < found.value < found.high
    assert (found.resamples, found.freedom, found.units, found.unit) == (400, math.inf, 1, "")


def test_several_seeds_of_one_world_add_their_own_spread() -> None:
    alike = {run("a", seed): 0.6 for seed in range(3)}
    apart = {run("a", seed): gain for seed, gain in enumerate((0.2, 0.6, 1.0))}
    narrow, wide = (shares(sheet({LOG_RATIO: 1.2, **runs}))["a"] for runs in (alike, apart))
    assert (wide.units, wide.unit, wide.freedom) == (3, "seed", 2)
    assert wide.error > 1.5 * narrow.error


def test_without_the_noise_of_examples_several_seeds_have_that_of_the_seeds() -> None:
    few = sheet(RUNS, pairs=8)  # fewer clusters than are resampled
    found = shares(few)["a"]
    mine = [accuracy(few, who) for who in METHODS]
    spread = np.std(mine, ddof=1) / math.sqrt(3) / (accuracy(few, LOG_RATIO) - 0.5)
    assert found.error == pytest.approx(spread, abs=1e-12)
    assert found.resamples == 0


def test_a_single_run_on_a_handful_of_pairs_has_no_share_and_the_reason() -> None:
    found = shares(sheet({LOG_RATIO: 1.2, run("a"): 0.6}, pairs=8))["a"]
    assert math.isnan(found.value)
    assert found.note == "the noise of a single run on so few examples is not known"


# --- identities


@pytest.mark.parametrize("worlds", [WORLDS, WORLDS[:1]])
def test_the_ceiling_has_all_of_itself_and_a_coin_nothing(worlds: list[Sheet]) -> None:
    found = shares(*worlds)
    assert (found["log-ratio"].value, found["log-ratio"].low, found["log-ratio"].high) == (1, 1, 1)
    assert (found["coin"].value, found["coin"].low, found["coin"].high) == (0, 0, 0)


def test_shares_change_nothing_beside_them() -> None:
    plain = answers(*WORLDS, ceilings={})
    # as text, for NaN differs from itself
    assert list(map(repr, plain)) == [repr(row) for row in answers(*WORLDS) if row.metric != SHARE]


# --- where there is none


@pytest.mark.parametrize("ceilings", [{}, {"another": "log-ratio"}, {"toy": "not run"}])
def test_a_model_without_a_ceiling_has_no_share(ceilings: dict[str, str]) -> None:
    assert not shares(*WORLDS, ceilings=ceilings)


@pytest.mark.parametrize(("data", "truth"), [("pairs/train", PREFERRED), (TEST, "gold"), ("web", PREFERRED)])
def test_training_pairs_other_truths_and_test_sets_have_no_share(data: str, truth: str) -> None:
    assert not shares(sheet(RUNS, data=data), truth=truth)


def test_where_the_ceiling_shares_no_world_with_a_method_there_is_no_share_and_the_reason() -> None:
    rows = shares(sheet({LOG_RATIO: 1.2, COIN: 0.0}, 0), sheet({run("a"): 0.6, COIN: 0.0}, 1))
    assert math.isnan(rows["a"].value)
    assert rows["a"].note == "no run of it and of the ceiling"
    assert rows["coin"].note == "an interval over units needs at least 2, got 1"
