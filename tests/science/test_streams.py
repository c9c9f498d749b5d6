from __future__ import annotations

import itertools

import numpy as np
import pytest

from fairl_bench.science.streams import stream

PURPOSES = ("world", "world/testset", "split", "initial", "batches", "failures")


@pytest.mark.parametrize(
    ("purpose", "numbers", "words"),
    [
        ("world", (0,), [3121246326, 2692672592, 719467021]),
        ("split", (0,), [3282598267, 2742196849, 777854504]),
        ("initial", (0, 0), [201128077, 2740446329, 2343125737]),
        ("initial", (1, 4), [295898595, 3521280324, 2888867374]),
        ("batches", (0, 0, 1), [2779947601, 3257391986, 1701228054]),
        ("x", (), [1690820666, 2852181301, 1028593342]),
    ],
)
def test_streams_are_pinned(purpose: str, numbers: tuple[int, ...], words: list[int]) -> None:
    """A change here makes every published number another one: raise the schema of the keys with it."""
    assert stream(purpose, *numbers).integers(0, 2**32, 3).tolist() == words


def test_a_stream_starts_anew_each_time() -> None:
    first = stream("batches", 0, 1, 2).permutation(50)
    stream("batches", 0, 1, 2).random(1000)
    assert np.array_equal(stream("batches", 0, 1, 2).permutation(50), first)


def test_no_two_purposes_or_numbers_share_a_stream() -> None:
    numbers = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1), (0, 0, 0), (2**40,)]
    drawn = [tuple(stream(p, *n).integers(0, 2**62, 2).tolist()) for p in PURPOSES for n in numbers]
    assert len(set(drawn)) == len(PURPOSES) * len(numbers)


def test_streams_of_neighbouring_seeds_are_uncorrelated() -> None:
    n = 4000
    drawn = [stream(purpose, seed).normal(size=n) for purpose in ("initial", "batches") for seed in range(4)]
    for one, other in itertools.combinations(drawn, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(n)  # four standard errors


def test_drawing_from_one_stream_leaves_the_others_alone() -> None:
    alone = stream("split", 3).random(5)
    other, mine = stream("world", 3), stream("split", 3)
    found = []
    for _ in range(5):
        other.random(7)
        found.append(mine.random())
    assert found == alone.tolist()


def test_streams_ignore_numpys_global_state() -> None:
    np.random.seed(1)
    first = stream("world", 0).random()
    np.random.seed(2)
    assert stream("world", 0).random() == first


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="expected non-negative integer"):
        stream("world", -1)
