"""A text without a prompt goes on from the model's own start, whether the tokenizer writes that start or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from fairl_bench.science.continued_tokens import Continuation
from fairl_bench.science.text_likelihoods import text_likelihoods

TEXTS = ("a kind person", "on its own")


@pytest.fixture(scope="module")
def with_start(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny language model with a tokenizer that puts the start token before every text, as those of Llama do."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("start") / "lm"
    shutil.copytree(tiny_lm, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    start = tokenizer.bos_token or tokenizer.eos_token
    special = [(start, tokenizer.convert_tokens_to_ids(start))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{start} $A", special_tokens=special)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_tokenizer_that_writes_the_start_gives_the_same_likelihood(tiny_lm: Path, with_start: Path) -> None:
    bare, started = (
        text_likelihoods(folder, [Continuation("", text) for text in TEXTS]) for folder in (tiny_lm, with_start)
    )
    np.testing.assert_array_equal(started.offsets, bare.offsets)
    np.testing.assert_array_equal(started.token, bare.token)
    assert (np.diff(started.offsets) > 1).all()
