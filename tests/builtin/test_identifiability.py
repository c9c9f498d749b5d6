"""What the evaluator says of Theorem 1, on worlds where the answer is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fairl_bench.builtin.evaluators.identifiability import Identifiability
from fairl_bench.builtin.shared.spelled_vectors import read, spelled
from fairl_bench.builtin.sources.synthetic_linear import SyntheticLinear
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import GOLD, Pairs, Scored, Truth
from fairl_bench.values.records import Measure

EVERY = Registry(installed=False)
DATA = "pairs/train"
LOWEST = {"use": "bottom-fraction", "start": 0.2, "end": 0.0}
BY_LABEL = {"use": "supervised", "truth": "gold", "centre": "zero"}


def found(given: Scored, detector: Any = LOWEST, **fields: Any) -> dict[str, Measure]:
    built = EVERY.build(Evaluator, {"use": "identifiability", "data": [DATA], "detector": detector, **fields})
    measures = list(built.evaluate({DATA: given}))
    assert tuple(one.metric for one in measures) == tuple(metric.name for metric in Identifiability.metrics)
    assert {(one.data, one.truth) for one in measures} == {(DATA, GOLD)}
    return {one.metric: one for one in measures}


def scored(theta: Any = None, seed: int = 0, angle: float = 0.2, **fields: Any) -> Scored:
    """A world, and the reward ``theta`` of its texts: by default the true one, turned by about ``angle``."""
    rng = np.random.default_rng(seed)
    examples = SyntheticLinear(**{"n": 40, "dimension": 3, **fields}).pairs(rng).examples()
    vectors = read(examples.text)
    if theta is None:
        truth = np.linalg.lstsq(vectors, examples.truths[GOLD].value, rcond=None)[0]
        aside = rng.normal(size=len(truth))
        aside -= aside @ truth * truth
        theta = 4 * (truth * math.cos(angle) + aside / np.linalg.norm(aside) * math.sin(angle))
    return Scored(examples, vectors @ np.asarray(theta) + 7)


def pairs(differences: list[list[float]], failing: int) -> Scored:
    """Pairs of these differences about points that differ; the reward is the truth, (1, 0).

    The labels of one pair alone say otherwise, so that `BY_LABEL` calls it a failure.
    """
    x = np.array(differences)
    middle = 3 + np.arange(x.size).reshape(x.shape) / 8  # rewards above 0, so good
    examples = Pairs(spelled(middle + x / 2), spelled(middle - x / 2)).examples()
    value = read(examples.text)[:, 0]
    label = np.where(examples.pair == failing, -1, 1).astype(np.int8)
    return Scored(examples.knowing({GOLD: Truth(value, label)}), value)


@pytest.mark.parametrize("angle", [0.0, 0.1, 1.0])
def test_the_angle_to_the_true_reward_is_in_degrees_and_blind_to_scale_and_shift(angle: float) -> None:
    assert found(scored(angle=angle))["angle"].value == pytest.approx(math.degrees(angle), abs=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_the_true_halves_hold_and_the_false_ones_fail_where_the_lowest_margins_are_failures(seed: int) -> None:
    said = {name: one.value for name, one in found(scored(seed=seed)).items()}
    held = {name for name, value in said.items() if name.startswith(("theorem", "corollary")) and value == 1}
    assert {"theorem_strict", "theorem_weight", "corollary_width"} <= held
    assert not held & {"theorem_modulo_scale", "theorem_temperature"}
    assert said["direction_share"] == 1
    assert 0 < said["volume_share"] < 1
    assert 0 < said["width_share"] < 1
    assert said["weight_undercut"] == 0 < said["temperature_undercut"] <= 1
    assert {one.n for one in found(scored(seed=seed)).values()} == {40}


def test_where_the_failures_are_ranked_right_sharpening_undercuts_nearly_every_reward_near_by() -> None:
    """A temperature that is raised in place of lowered would undercut none of them."""
    assert found(scored(angle=0.0))["temperature_undercut"].value > 0.8


def test_a_triangle_refutes_the_corollary() -> None:
    """Pairs (1, 1), (1, -1) and the failure (1, 0): cutting the apex off leaves the wide end."""
    given = pairs([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]], failing=2)
    said = {name: one.value for name, one in found(given, BY_LABEL, room=2.1, samples=4000).items()}
    assert said["implied_share"] == 0
    assert said["theorem_strict"] == said["corollary_width"] == 1
    assert said["corollary_variance"] == said["corollary_distance"] == 0
    assert said["variance_ratio"] > 1
    assert said["distance_ratio"] > 1


@pytest.mark.parametrize(("third", "strict"), [([3.0, 1.5], 0.0), ([1.0, 1.0], 1.0)])
def test_a_failure_that_another_pair_implies_refutes_the_strict_inclusion(third: list[float], strict: float) -> None:
    """(3, 1.5) is three times the first pair, whose margin M gives it 3M; (1, 1) no pair gives 2M."""
    given = pairs([[1.0, 0.5], [1.0, -0.5], third], failing=2)
    said = {name: one.value for name, one in found(given, BY_LABEL).items()}
    assert said["theorem_strict"] == strict
    assert said["implied_share"] == 1 - strict
    assert (said["volume_share"] == 1) == (not strict)


def test_pairs_that_no_reward_ranks_leave_the_max_margin_half_open_and_not_the_other() -> None:
    said = found(scored(n=60, temperature=2.0))
    for name in ("volume_share", "theorem_strict", "corollary_distance"):
        assert math.isnan(said[name].value)
        assert said[name].note == "no linear reward ranks all 60 pairs right, so that F is empty"
    assert said["theorem_weight"].value == 1
    assert said["angle"].note == ""


@pytest.mark.parametrize(
    ("given", "detector", "note"),
    [
        (scored([0.0, 0.0, 0.0]), LOWEST, "the reward is constant: it has no direction"),
        (
            scored(n=2, dimension=5, theta=[1.0] * 5),
            {"use": "all"},
            "4 texts do not tell the 5 numbers of a linear reward",
        ),
        (scored(), {"use": "margin", "start": -1e6, "end": -1e6}, "detector 'margin' calls none of 40 pairs a failure"),
    ],
    ids=["constant", "few", "no failure"],
)
def test_what_has_no_answer_is_nan_with_its_reason(given: Scored, detector: Any, note: str) -> None:
    for one in found(given, detector).values():
        assert math.isnan(one.value)
        assert note in one.note


def test_a_bent_reward_is_told_from_a_linear_one() -> None:
    given = scored()
    said = found(given._replace(reward=given.reward**2))
    assert said["angle"].note.startswith("the reward is not linear in the numbers of the texts: it is off by up to ")
    rounded = found(given._replace(reward=given.reward.astype(np.float32).astype(np.float64)))
    assert rounded["angle"].note == ""


def test_texts_that_spell_nothing_have_no_answer() -> None:
    examples = Pairs(("good",), ("bad",)).examples()
    truth = Truth(np.array([1.0, -1.0]), np.array([1, -1], np.int8))
    said = found(Scored(examples.knowing({GOLD: truth}), np.array([1.0, 0.0])))
    assert said["angle"].note == "a text must spell numbers, and nothing else, got 'good'"
    assert found(Scored(examples, np.zeros(2)))["angle"].note == "needs pairs with the truth 'gold'"


def test_the_answer_is_the_same_whenever_it_is_asked() -> None:
    assert found(scored()) == found(scored())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"detector": {"use": "laplace"}}, "detector 'laplace' reads the last layer of a reward"),
        ({"detector": LOWEST, "stricter": 4.0}, r"room must exceed 'stricter', 4\.0, .* got 4\.0"),
        ({"detector": LOWEST, "stricter": 1.0}, "(?s)stricter.*greater than 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValidationError, ValueError), match=sentence):
        EVERY.build(Evaluator, {"use": "identifiability", "data": [DATA], **fields})
