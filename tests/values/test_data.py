"""Pairs, examples and what is known of them."""

import numpy as np
import pytest

from fairl_bench.values.data import GOLD, PREFERRED, Examples, Pairs, Scored, Split, Truth

PAIRS = Pairs(("a", "c", "e"), ("b", "d", "f"), prompt=("p", "", "q"))


def test_a_pair_is_two_examples_the_preferred_first():
    examples = PAIRS.examples()
    assert examples.text == ("a", "b", "c", "d", "e", "f")
    assert examples.pair.tolist() == [0, 0, 1, 1, 2, 2]
    assert examples.role.tolist() == [1, -1] * 3
    assert examples.truths[PREFERRED].label.tolist() == [1, -1] * 3


def test_columns_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match=r"columns of one length, got \[1, 2\]"):
        Pairs(("a", "b"), ("c",))


def test_turning_a_pair_around_changes_its_roles_and_no_other_truth():
    gold = Truth(np.arange(6.0), np.ones(6, np.int8))
    examples = PAIRS.examples().knowing({GOLD: gold})
    turned = examples.turned(np.array([1]))
    assert turned.role.tolist() == [1, -1, -1, 1, 1, -1]
    assert turned.truths[PREFERRED].label.tolist() == turned.role.tolist()
    assert all(np.array_equal(one, was) for one, was in zip(turned.truths[GOLD], gold, strict=True))
    assert examples.role.tolist() == [1, -1] * 3


def test_margins_follow_the_roles_and_the_order_of_the_pairs():
    reward = np.array([5.0, 1.0, 2.0, 4.0, 7.0, 7.0])
    examples = PAIRS.examples()
    assert Scored(examples, reward).margins().tolist() == [4.0, -2.0, 0.0]
    assert Scored(examples.turned(np.array([1])), reward).margins().tolist() == [4.0, 2.0, 0.0]
    mixed = np.array([3, 0, 5, 1, 4, 2])
    assert Scored(examples.take(mixed), reward[mixed]).margins().tolist() == [4.0, -2.0, 0.0]


def test_texts_outside_pairs_have_no_margins():
    assert len(Scored(Examples(("a", "b")), np.zeros(2)).margins()) == 0


def test_inputs_are_the_completion_or_the_prompt_before_it():
    examples = PAIRS.examples()
    assert examples.inputs() == examples.text
    assert examples.inputs("prompt+completion") == ("p a", "p b", "c", "d", "q e", "q f")


def test_a_split_counts_its_parts_and_what_was_dropped():
    split = Split(np.array([0, 0, 1, 2, -1], np.int8))
    assert split.counts() == {"train": 2, "validation": 1, "test": 1, "dropped": 1}
    assert split.rows("test").tolist() == [3]


def test_the_weight_of_a_pair_goes_with_its_texts():
    weighted = Pairs(PAIRS.preferred, PAIRS.rejected, PAIRS.prompt, weight=(0.5, 0.5, 1.0), dropped={"tied": 4})
    assert weighted.take([2, 0]).weight == (1.0, 0.5)
    assert weighted.take([2, 0]).dropped == {"tied": 4}
    weight = weighted.examples().weight
    assert weight.tolist() == [0.5, 0.5, 0.5, 0.5, 1.0, 1.0]
    assert weighted.examples().take(np.array([4, 0])).weight.tolist() == [1.0, 0.5]
    assert PAIRS.examples().weight is None
    with pytest.raises(ValueError, match="3 pairs need as many weights, got 2"):
        Pairs(PAIRS.preferred, PAIRS.rejected, weight=(1.0, 2.0))
