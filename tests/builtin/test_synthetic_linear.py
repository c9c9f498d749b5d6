"""The linear world: its texts are its vectors, its truth is known, its pairs are what its fields say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.encoders.numbers import Numbers
from fairl_bench.builtin.shared.spelled_vectors import read, spelled
from fairl_bench.builtin.sources.synthetic_linear import SyntheticLinear
from fairl_bench.errors import DataError
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.pairs.judged import judged_pairs
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_encoder
from fairl_bench.values.data import GOLD, Examples

EVERY = Registry(installed=False)


def world(seed: int = 0, **fields: Any) -> Examples:
    source = SyntheticLinear(**fields)
    return source.pairs(np.random.default_rng(seed)).examples()


def margins(examples: Examples) -> np.ndarray:
    """True margins of the pairs, the preferred text's reward minus the other's."""
    preferred, rejected = examples.pair_rows().T
    value = examples.truths[GOLD].value
    return np.asarray(value[preferred] - value[rejected])


def test_texts_spell_vectors_to_three_decimals_and_are_read_back() -> None:
    vectors = np.round(np.random.default_rng(0).normal(size=(200, 5)) * 10, 3)
    assert np.array_equal(read(spelled(vectors)), vectors)
    assert read(["1e-3 -2"]).tolist() == [[0.001, -2.0]]
    assert read([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["1.0 2.0", "1.0"], "a text must spell 2 numbers, as the first text does, got '1.0'"),
        (["good day"], "a text must spell numbers, and nothing else, got 'good day'"),
        (["1.0 nan"], "a text must spell numbers, and nothing else, got '1.0 nan'"),
        ([""], "a text must spell numbers, and nothing else, got ''"),
        (["1.0", "x"], "a text must spell 1 numbers, as the first text does, got 'x'"),
    ],
)
def test_other_texts_are_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        Numbers().encode(texts, ())


def test_the_encoder_keeps_the_contract() -> None:
    texts = ("0.500 -1.235", "2.000 0.000", "0.001 7.000", "0.500 -1.235")
    check_encoder(EVERY.build(Encoder, {"use": "numbers"}), texts, registry=EVERY)
    assert Numbers().encode(texts, ())[0].tolist() == [0.5, np.float32(-1.235)]


def test_the_truth_is_linear_in_what_the_texts_spell() -> None:
    examples = world(dimension=6)
    vectors, truth = read(examples.text), examples.truths[GOLD]
    theta, left, _, _ = np.linalg.lstsq(vectors, truth.value, rcond=None)
    assert left < 1e-20
    assert np.linalg.norm(theta) == pytest.approx(1, abs=1e-9)
    assert np.array_equal(truth.label, np.where(truth.value >= 0, 1, -1))


def test_the_better_text_is_preferred() -> None:
    assert (margins(world(n=300)) > 0).all()


@pytest.mark.parametrize("seed", range(2))
def test_a_choice_is_as_noisy_as_bradley_terry_says(seed: int) -> None:
    """Of 4,000 pairs, those that prefer the better one: the mean of sigmoid(|margin| / temperature)."""
    found = margins(world(seed, n=4000, temperature=1.5))
    right = 1 / (1 + np.exp(-np.abs(found) / 1.5))
    # four standard errors
    assert (found > 0).mean() == pytest.approx(right.mean(), abs=4 * np.sqrt((right * (1 - right)).mean() / 4000))
    steep = np.abs(found) > np.median(np.abs(found))
    assert (found > 0)[steep].mean() > (found > 0)[~steep].mean()


def test_a_near_tie_keeps_a_tenth_of_its_margin() -> None:
    plain, half = margins(world(n=3000)), margins(world(n=3000, near_ties=0.5))
    assert (half < 0.9 * plain).mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 3000))  # four standard errors
    # three decimals of four numbers of two texts
    np.testing.assert_allclose(margins(world(n=3000, near_ties=1.0)), 0.1 * plain, atol=4e-3)
    assert (margins(world(n=3000, near_ties=1.0)) > -4e-3).all()


def test_differences_on_a_cone_are_as_long_along_the_reward_as_aside() -> None:
    """Margins 1 and length sqrt 2; every fifth pair has margin and length 1/2."""
    examples = world(n=50, dimension=4, differences="cone")
    preferred, rejected = examples.pair_rows().T
    vectors, short = read(examples.text), np.arange(50) % 5 == 0
    length = np.linalg.norm(vectors[preferred] - vectors[rejected], axis=1)
    # three decimals of four numbers of two texts
    np.testing.assert_allclose(margins(examples), np.where(short, 0.5, 1.0), atol=4e-3)
    np.testing.assert_allclose(length, np.where(short, 0.5, np.sqrt(2)), atol=4e-3)


def test_the_world_is_its_generator_and_its_reward_is_the_worlds() -> None:
    one, again, other = world(1), world(1), world(2)
    assert one.text == again.text
    assert one.text != other.text
    assert SyntheticLinear().drawn
    assert SyntheticLinear(n=20).size() == 20


def test_its_truth_is_known_without_a_judge() -> None:
    source = SyntheticLinear.named("synthetic-linear", n=50)
    assert source.judged()
    examples, dropped = judged_pairs(source, 0, {})
    assert set(examples.truths) == {GOLD, "preferred"}
    assert dropped == {"identical": 0, "empty": 0}
