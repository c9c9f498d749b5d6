"""Judged pairs, chosen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fairl_bench.builtin.sources.select import Select
from fairl_bench.builtin.sources.toy import ToyComments
from fairl_bench.errors import DataError
from fairl_bench.values.data import Examples, Pairs, Truth
from fairl_bench.values.drawn_tokens import DrawnTokens

# rejected, preferred: the label of each pair's two sides
CHANGES = [(-1, 1)] * 6 + [(-1, -1)] * 3 + [(1, 1)] * 4 + [(1, -1)] * 2
NAMES = {(-1, 1): "bad-to-good", (-1, -1): "bad-to-bad", (1, 1): "good-to-good", (1, -1): "good-to-bad"}


def examples() -> Examples:
    n = len(CHANGES)
    pairs = Pairs(tuple(f"p{i}" for i in range(n)), tuple(f"r{i}" for i in range(n)), tuple(f"x{i}" for i in range(n)))
    label = np.array([side for rejected, preferred in CHANGES for side in (preferred, rejected)], np.int8)
    insult = np.array([1 if i % 4 == 1 else -1 for i in range(2 * n)], np.int8)  # every other rejected text
    truths = {"gold": Truth(label * 0.5, label), "subtype:insult": Truth(insult.astype(float), insult)}
    return pairs.examples().knowing(truths)


def chosen(seed: int = 0, **fields: Any) -> Pairs:
    source = Select(of=ToyComments(), **fields)
    return source.pairs(np.random.default_rng(seed), of=examples())


def changes(pairs: Pairs) -> Counter[str]:
    label = pairs.truths["gold"].label.reshape(-1, 2)
    return Counter(NAMES[int(rejected), int(preferred)] for preferred, rejected in label)


def test_without_a_rule_all_pairs_are_left_with_all_that_is_known_of_them() -> None:
    pairs = chosen()
    assert pairs.preferred == tuple(f"p{i}" for i in range(15))
    assert pairs.rejected == tuple(f"r{i}" for i in range(15))
    assert pairs.prompt == tuple(f"x{i}" for i in range(15))
    assert np.array_equal(pairs.truths["gold"].value, examples().truths["gold"].value)


@pytest.mark.parametrize("keep", [("bad-to-good",), ("bad-to-bad", "good-to-bad")])
def test_only_the_changes_named_are_kept(keep: tuple[str, ...]) -> None:
    found = changes(chosen(keep=keep))
    assert found == Counter({name: n for name, n in changes(chosen()).items() if name in keep})


def test_a_subtype_is_looked_for_in_the_rejected_text() -> None:
    assert chosen(subtype="insult").rejected == tuple(f"r{i}" for i in range(0, 15, 2))


def test_a_mix_is_as_large_as_its_scarcest_change_allows() -> None:
    assert changes(chosen(mix={"bad-to-good": 0.6, "good-to-bad": 0.4})) == {"bad-to-good": 3, "good-to-bad": 2}


def test_a_mix_is_cut_to_the_number_asked_for() -> None:
    assert changes(chosen(mix={"bad-to-good": 0.5, "good-to-good": 0.5}, n=4)) == {"bad-to-good": 2, "good-to-good": 2}


def test_a_number_is_drawn_at_random_by_the_replicate_and_left_in_order() -> None:
    drawn = [chosen(seed, n=5).preferred for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert list(drawn[2]) == sorted(drawn[2], key=lambda name: int(name[1:]))


def test_more_than_there_are_is_all_of_them() -> None:
    assert len(chosen(n=99)) == 15


def test_a_truth_that_is_missing_is_named_with_those_that_are_there() -> None:
    with pytest.raises(DataError, match=r"no truth 'subtype:insults'; did you mean 'subtype:insult'\?"):
        chosen(subtype="insults")
    with pytest.raises(DataError, match="no truth 'gold'; nothing is known here"):
        Select(of=ToyComments()).pairs(np.random.default_rng(0), of=Pairs(("a",), ("b",)).examples())


def test_nothing_left_is_refused() -> None:
    only_good_to_good = examples().take(np.arange(18, 26))
    with pytest.raises(DataError, match="none of 4 pairs is left; ask for less"):
        Select(of=ToyComments(), keep=("good-to-bad",)).pairs(np.random.default_rng(0), of=only_good_to_good)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep": ("bad-to-good",), "mix": {"bad-to-bad": 1.0}}, "takes 'keep' or 'mix', not both"),
        ({"mix": {"bad-to-bad": 0.5}}, "the shares of 'mix' must be above 0 and make 1"),
        ({"mix": {"bad-to-bad": 1.5, "good-to-bad": -0.5}}, "the shares of 'mix' must be above 0 and make 1"),
    ],
)
def test_rules_that_contradict_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Select(of=ToyComments(), **fields)


def test_it_is_judged_as_its_pairs_were() -> None:
    from fairl_bench.builtin.judges.known import ToyTruth

    assert not Select(of=ToyComments()).judged()
    assert Select(of=ToyComments(gold=ToyTruth())).judged()
    assert Select(of=ToyComments(), gold=ToyTruth()).judged()


def test_chosen_texts_keep_their_tokens() -> None:
    every = examples()
    drawn = DrawnTokens.made([[i] for i in range(len(every))], [False] * len(every), "v", [-1.0] * len(every))
    source = Select(of=ToyComments(), keep=("bad-to-bad",))
    pairs = source.pairs(np.random.default_rng(0), of=replace(every.turned(np.array([7])), drawn=drawn))
    assert pairs.preferred == ("p6", "r7", "p8")
    assert pairs.drawn == drawn.take([12, 13, 15, 14, 16, 17])


def test_chosen_pairs_keep_their_weights() -> None:
    of = examples()
    weighted = replace(of, weight=np.repeat(np.arange(1.0, len(of) // 2 + 1), 2))
    found = Select(of=ToyComments(), keep=("bad-to-bad",)).pairs(np.random.default_rng(0), of=weighted)
    assert found.preferred == ("p6", "p7", "p8")
    assert found.weight == (7.0, 8.0, 9.0)
