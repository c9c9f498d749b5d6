"""A text without a prompt goes on from the model's own start, whether the tokenizer writes that start or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fairl_bench.science.continued_tokens import Continuation
from fairl_bench.science.text_likelihoods import text_likelihoods

TEXTS = ("a kind person", "on its own")


def test_a_tokenizer_that_writes_the_start_gives_the_same_likelihood(tiny_lm: Path, with_start: Path) -> None:
    bare, started = (
        text_likelihoods(folder, [Continuation("", text) for text in TEXTS]) for folder in (tiny_lm, with_start)
    )
    np.testing.assert_array_equal(started.offsets, bare.offsets)
    np.testing.assert_array_equal(started.token, bare.token)
    assert (np.diff(started.offsets) > 1).all()
