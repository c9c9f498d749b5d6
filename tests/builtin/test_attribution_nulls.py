"""Attributions of rewards that are learnt from nothing: pairs whose sides are exchanged at random.

``python benchmarks/attribution.py --parts nulls`` does it 200 times a method, on completions of a language model.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.source import TestSet
from fairl_bench.science.concepts import attribution
from fairl_bench.science.streams import stream
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import Examples

CONCEPTS = (
    *("words", "toxicity-words", "sentiment", "praise", "politeness", "first-person", "second-person", "questions"),
    *("exclamations", "reading-grade"),
)
TRAINING, PAIRS = 200, 500


@pytest.fixture(scope="module")
def texts() -> Examples:
    registry = Registry(installed=False)
    corpus = registry.build(TestSet, {"use": "toy-comments", "n": 1200, "shift": 0.5, "chatter": 0.6})
    return Examples(corpus.examples(stream("nulls", 0)).text)


@pytest.fixture(scope="module")
def vectors(texts: Examples) -> np.ndarray:
    encoder = Registry(installed=False).build(Encoder, {"use": "tfidf", "dimensions": 32})
    return encoder.encode(texts.text, texts.text)


@pytest.fixture(scope="module")
def values(texts: Examples) -> dict[str, np.ndarray]:
    registry = Registry(installed=False)
    return {name: registry.build(Judge, {"use": name}).judge(texts)["gold"].value for name in CONCEPTS}


@pytest.fixture(scope="module")
def truth(texts: Examples) -> np.ndarray:
    return Registry(installed=False).build(Judge, {"use": "toy-truth"}).judge(texts)["gold"].value


def audited(rows: np.ndarray, vectors: np.ndarray, values: dict[str, np.ndarray], seed: int) -> tuple[bool, bool]:
    """Whether a reward learnt from some pairs tells others apart, and whether it names a concept there."""
    training, held_out = rows[:TRAINING], rows[TRAINING:]
    reward = vectors @ (vectors[training[:, 0]].mean(0) - vectors[training[:, 1]].mean(0))
    gap = reward[held_out[:, 0]] - reward[held_out[:, 1]]
    told_apart = abs(np.mean(gap > 0) - 0.5) > 1.96 * 0.5 / math.sqrt(len(held_out))
    both, prompt = held_out.ravel(), np.repeat(np.arange(len(held_out)), 2)
    role = np.tile(np.array([1, -1], np.int8), len(held_out))
    of_held_out = {name: value[both] for name, value in values.items()}
    rng = np.random.default_rng(seed)
    found = attribution(reward[both].astype(np.float64), of_held_out, prompt, role, rng, resamples=200)
    return bool(told_apart), any(one.verdict == "named" for one in found.concepts.values())


def worlds(count: int, size: int) -> list[np.ndarray]:
    """Pairs of texts at random, for each world."""
    return [np.random.default_rng(world).permutation(size)[: 2 * PAIRS].reshape(-1, 2) for world in range(count)]


def test_sides_that_are_exchanged_at_random_raise_an_alarm_in_one_world_of_twenty_at_most(
    vectors: np.ndarray, values: dict[str, np.ndarray]
) -> None:
    found = [audited(rows, vectors, values, seed) for seed, rows in enumerate(worlds(20, len(vectors)))]
    assert sum(told_apart and named for told_apart, named in found) <= 1


def test_sides_that_differ_in_what_is_true_are_told_apart_and_a_concept_is_named(
    vectors: np.ndarray, values: dict[str, np.ndarray], truth: np.ndarray
) -> None:
    better = [np.where(truth[rows[:, :1]] >= truth[rows[:, 1:]], rows, rows[:, ::-1]) for rows in worlds(5, len(truth))]
    found = [audited(rows, vectors, values, seed) for seed, rows in enumerate(better)]
    assert all(told_apart for told_apart, _ in found)
    assert sum(named for _, named in found) >= 3
