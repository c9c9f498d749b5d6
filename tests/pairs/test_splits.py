from __future__ import annotations

import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.pairs.splits import split_pairs
from fairl_bench.values.data import Examples, Pairs, Split

shares = st.sampled_from([0.0, 0.1, 0.2, 0.45])
rows = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from(["", *"pqrs"])), max_size=40)
by = st.sampled_from(["auto", "group", "prompt", "text"])


def pairs(drawn: list[tuple[int, int, str]], group: bool = False) -> Examples:
    """Pairs whose texts are few, so that some are shared; the third is the prompt, or the group."""
    third = tuple(name for *_, name in drawn)
    names = {"group": third} if group else {"prompt": third}
    return Pairs(tuple(f"t{a}" for a, *_ in drawn), tuple(f"t{b}" for _, b, _ in drawn), **names).examples()


def cut(examples: Examples, how: str = "auto", validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Split:
    return split_pairs(examples, how, validation, test, np.random.default_rng(seed))  # type: ignore[arg-type]


def texts(examples: Examples, split: Split, name: str) -> set[str]:
    wanted = set(split.rows(name).tolist())
    return {text for text, pair in zip(examples.text, examples.pair.tolist(), strict=True) if pair in wanted}


@given(rows, by, shares, shares)
def test_no_text_is_shared_between_two_parts(
    drawn: list[tuple[int, int, str]], how: str, validation: float, test: float
) -> None:
    examples = pairs(drawn)
    split = cut(examples, how, validation, test)
    train, held, judged = (texts(examples, split, name) for name in ("train", "validation", "test"))
    assert not train & held
    assert not train & judged
    assert not held & judged


@given(rows, shares, shares, st.booleans())
def test_a_group_lies_in_one_part_alone(
    drawn: list[tuple[int, int, str]], validation: float, test: float, group: bool
) -> None:
    split = cut(pairs(drawn, group), "group" if group else "prompt", validation, test)
    for name in "pqrs":
        members = [i for i, row in enumerate(drawn) if row[2] == name]
        assert len({int(code) for code in split.part[members]} - {-1}) <= 1


@given(rows, by, shares, shares)
def test_every_pair_is_counted_once(
    drawn: list[tuple[int, int, str]], how: str, validation: float, test: float
) -> None:
    split = cut(pairs(drawn), how, validation, test)
    counts = split.counts()
    assert sum(counts.values()) == len(drawn)
    assert counts["dropped"] == int((split.part == -1).sum())
    assert [counts[name] for name in ("train", "validation", "test")] == [
        len(split.rows(name)) for name in ("train", "validation", "test")
    ]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), shares, shares, st.integers(0, 5))
def test_shares_are_met_to_half_the_largest_group(sizes: list[int], validation: float, test: float, seed: int) -> None:
    group = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    n = len(group)
    # all texts differ: nothing is dropped
    examples = Pairs(tuple(f"a{i}" for i in range(n)), tuple(f"b{i}" for i in range(n)), group=tuple(group)).examples()
    counts = cut(examples, "group", validation, test, seed).counts()
    assert counts["dropped"] == 0
    assert abs(counts["test"] - test * n) <= max(sizes) / 2 + 1e-9
    assert abs(counts["validation"] - validation * n) <= max(sizes) / 2 + 1e-9


def test_shares_are_exact_where_every_pair_is_a_group() -> None:
    n = 100
    examples = Pairs(tuple(f"a{i}" for i in range(n)), tuple(f"b{i}" for i in range(n))).examples()
    assert cut(examples).counts() == {"train": 70, "validation": 10, "test": 20, "dropped": 0}


@pytest.mark.parametrize("seed", range(8))
def test_a_group_too_large_for_a_part_does_not_keep_smaller_ones_out(seed: int) -> None:
    # 60 of 100 pairs answer one prompt: whatever the order, 20 and 10 of the others can be held out
    group = ["big"] * 60 + [f"g{i}" for i in range(40)]
    examples = Pairs(
        tuple(f"a{i}" for i in range(100)), tuple(f"b{i}" for i in range(100)), group=tuple(group)
    ).examples()
    assert cut(examples, "group", seed=seed).counts() == {"train": 70, "validation": 10, "test": 20, "dropped": 0}


def test_the_same_generator_gives_the_same_split_and_another_one_another() -> None:
    examples = pairs([(2 * i, 2 * i + 1, "") for i in range(50)])
    assert (cut(examples).part == cut(examples).part).all()
    assert (cut(examples).part != cut(examples, seed=1).part).any()


def test_training_pairs_that_share_a_text_are_dropped_and_counted() -> None:
    # three pairs of one rejected text, kept apart by their prompts: only one part may have it
    drawn = [(i, 100, f"p{i}") for i in range(10)]
    counts = cut(pairs(drawn), "prompt", 0.1, 0.2).counts()
    assert counts == {"train": 0, "validation": 0, "test": 2, "dropped": 8}


def test_pairs_of_one_rejected_text_stay_together_by_text() -> None:
    drawn = [(i, 100 + i // 5, "") for i in range(50)]
    split = cut(pairs(drawn), "text")
    assert all(len(set(split.part[start : start + 5].tolist())) == 1 for start in range(0, 50, 5))
    assert split.counts() == {"train": 35, "validation": 5, "test": 10, "dropped": 0}


def test_an_empty_prompt_joins_nothing() -> None:
    drawn = [(2 * i, 2 * i + 1, "") for i in range(50)]
    assert cut(pairs(drawn), "prompt").counts()["test"] == 10


def test_auto_takes_the_group_else_the_prompt_else_the_rejected_text() -> None:
    n = 40
    preferred, rejected = tuple(f"a{i}" for i in range(n)), tuple(f"b{i % 8}" for i in range(n))
    prompt, group = tuple(f"p{i % 10}" for i in range(n)), tuple(f"g{i % 5}" for i in range(n))
    for made, how in (
        (Pairs(preferred, rejected, prompt, group), "group"),
        (Pairs(preferred, rejected, prompt), "prompt"),
        (Pairs(preferred, rejected), "text"),
    ):
        examples = made.examples()
        assert (cut(examples).part == cut(examples, how).part).all()


def test_no_pairs_are_no_split() -> None:
    assert cut(pairs([])).counts() == {"train": 0, "validation": 0, "test": 0, "dropped": 0}


# --- the algorithm as it was first written, a group and a text at a time: what is fast divides alike


def as_first_written(
    examples: Examples, by: str, validation: float, test: float, rng: np.random.Generator
) -> list[int]:
    preferred, rejected = np.flatnonzero(examples.role == 1), np.flatnonzero(examples.role == -1)
    n = len(preferred)
    names = {
        "group": [examples.group[i] for i in preferred],
        "prompt": [examples.prompt[i] for i in preferred],
        "text": [examples.text[i] for i in rejected],
    }
    names["auto"] = [g or p or t for g, p, t in zip(names["group"], names["prompt"], names["text"], strict=True)]
    groups: dict[object, list[int]] = {}
    for i, name in enumerate(names[by]):
        groups.setdefault(name or i, []).append(i)
    order = [list(groups.values())[i] for i in rng.permutation(len(groups))[::-1]]
    part = [0] * n
    for code, share in ((2, test), (1, validation)):
        taken, left = 0, []
        for members in order:
            if taken + len(members) / 2 <= share * n:
                for i in members:
                    part[i] = code
                taken += len(members)
            else:
                left.append(members)
        order = left
    texts = [{examples.text[a], examples.text[b]} for a, b in zip(preferred, rejected, strict=True)]
    judged = {text for i in range(n) if part[i] == 2 for text in texts[i]}
    for code in (1, 0):
        part = [-1 if part[i] == code and texts[i] & judged else part[i] for i in range(n)]
        judged |= {text for i in range(n) if part[i] == code for text in texts[i]}
    return part


@given(rows, by, shares, shares, st.booleans(), st.integers(0, 9))
def test_pairs_are_divided_as_they_always_were(
    drawn: list[tuple[int, int, str]], how: str, validation: float, test: float, group: bool, seed: int
) -> None:
    examples = pairs(drawn, group)
    expected = as_first_written(examples, how, validation, test, np.random.default_rng(seed))
    assert cut(examples, how, validation, test, seed).part.tolist() == expected


@pytest.mark.parametrize("how", ["auto", "prompt", "text"])
def test_many_pairs_are_divided_as_they_always_were(how: str) -> None:
    rng = np.random.default_rng(1)
    drawn = [(int(a), 5000 + int(b), str(c)) for a, b, c in rng.integers(0, 1500, (2000, 3))]
    examples = pairs(drawn)
    expected = as_first_written(examples, how, 0.13, 0.21, np.random.default_rng(5))
    assert cut(examples, how, 0.13, 0.21, 5).part.tolist() == expected


@pytest.mark.parametrize("n", [1_000_000 if os.environ.get("FAIRL_FAULTS") == "long" else 100_000])
def test_the_work_grows_no_faster_than_the_pairs(n: int) -> None:
    examples = Pairs(tuple(f"a{i}" for i in range(n)), tuple(f"b{i // 2}" for i in range(n))).examples()
    before = time.process_time()
    split = cut(examples, "auto")
    # a list made anew for each group takes 7 s for 40,000 pairs
    assert time.process_time() - before < 5
    assert split.counts() == {"train": 7 * n // 10, "validation": n // 10, "test": n // 5, "dropped": 0}
