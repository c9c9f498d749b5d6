from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from fairl_bench.builtin.judges.combined import Combined
from fairl_bench.builtin.judges.known import Role, ToyTruth
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.toy import truth
from fairl_bench.toy.lexicon import SUBTYPES
from fairl_bench.values.data import GOLD, Examples, Pairs, Truth


def test_role_takes_the_pairs_word_for_it() -> None:
    (gold,) = Role().judge(Pairs(("a", "b"), ("c", "d")).examples()).values()
    assert gold.value.tolist() == [1, -1, 1, -1]
    assert gold.label.tolist() == [1, -1, 1, -1]


def test_role_refuses_texts_outside_pairs_and_counts_them() -> None:
    with pytest.raises(DataError, match="judge 'role' needs pairs; 2 texts are in none"):
        Role().judge(Examples(("a", "b")))


def test_toy_truth_is_the_reward_and_its_sign() -> None:
    texts = ("Thank you, that was kind.", "you are a numbskull", "")
    value, label = ToyTruth().judge(Examples(texts))[GOLD]
    assert value.tolist() == [truth.reward(text) for text in texts]
    assert label.tolist() == [1, -1, 1]
    assert label.dtype == np.int8


def test_a_reward_of_exactly_zero_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "reward", lambda text: float(text))
    assert ToyTruth().judge(Examples(("0", "-0.01", "0.01")))[GOLD].label.tolist() == [1, -1, 1]


def test_toy_truth_tells_the_four_subtypes_apart() -> None:
    texts = ("you are a numbskull", "Have a good day.")
    truths = ToyTruth().judge(Examples(texts))
    assert set(truths) == {GOLD} | {f"subtype:{name}" for name in SUBTYPES}
    assert len(SUBTYPES) == 4
    for name in SUBTYPES:
        value, label = truths[f"subtype:{name}"]
        assert label.tolist() == [1 if name in truth.subtypes(text) else -1 for text in texts]
        assert value.tolist() == label.tolist()
    assert truths["subtype:insult"].label.tolist() == [1, -1]


class Lengths(Judge):
    """The longer the better; long ones are of the kind ``long``."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        length = np.array([float(len(text)) for text in examples.text])
        truth = Truth(length, np.where(length > 10, 1, -1).astype(np.int8))
        return {GOLD: truth, "subtype:long": truth}


def test_combined_takes_gold_of_the_one_and_the_subtypes_of_the_other() -> None:
    examples = Examples(("you are a numbskull", "Thank you", "a numbskull"))
    found = Combined(gold=Lengths(), subtypes=ToyTruth()).judge(examples)
    toy = ToyTruth().judge(examples)
    assert set(found) == set(toy)  # not the subtypes of the first
    assert found[GOLD].value.tolist() == [19, 9, 11]
    assert found[GOLD].label.tolist() == [1, -1, 1]
    for name in set(toy) - {GOLD}:
        assert found[name].label.tolist() == toy[name].label.tolist()
    other = Combined(gold=ToyTruth(), subtypes=Lengths()).judge(examples)
    assert set(other) == {GOLD, "subtype:long"}
    assert other[GOLD].value.tolist() == toy[GOLD].value.tolist()
