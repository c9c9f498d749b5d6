"""What is kept is what is loaded again, column by column."""

from __future__ import annotations

import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.store import artefacts
from fairl_bench.values.data import Examples, Pairs
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import Completions
from fairl_bench.values.likelihoods import Likelihoods
from tests.support.token_strategies import drawn_tokens, likelihoods

PERHAPS = st.none() | drawn_tokens()
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(likelihoods())
def test_likelihoods_are_loaded_as_they_were(found: Likelihoods) -> None:
    with tempfile.TemporaryDirectory() as folder:
        artefacts.save_likelihoods(Path(folder), found)
        loaded = artefacts.load_likelihoods(Path(folder))
    for field in fields(Likelihoods):
        before, after = getattr(found, field.name), getattr(loaded, field.name)
        if before is None:
            assert after is None, field.name
            continue
        assert before.dtype == after.dtype
        assert np.array_equal(before, after, equal_nan=before.dtype.kind == "f"), field.name
        assert not after.flags.writeable


@given(PERHAPS, st.data())
def test_completions_are_loaded_with_their_tokens(drawn: DrawnTokens | None, data: st.DataObject) -> None:
    n = 3 if drawn is None else len(drawn)
    texts = tuple(data.draw(WORDS) for _ in range(n))
    completions = Completions(texts[::-1], texts, tuple(range(n)), (0,) * n, drawn)
    with tempfile.TemporaryDirectory() as folder:
        artefacts.save_completions(Path(folder), completions)
        loaded = artefacts.load_completions(Path(folder))
    assert loaded == completions
    assert (loaded.drawn is None) == (drawn is None)
    if loaded.drawn and drawn:
        columns = ("ids", "offsets", "ended", "log_probability")
        assert [getattr(loaded.drawn, name).dtype for name in columns] == [
            getattr(drawn, name).dtype for name in columns
        ]


@given(PERHAPS)
def test_examples_are_loaded_with_their_tokens(drawn: DrawnTokens | None) -> None:
    n = 3 if drawn is None else len(drawn)
    examples = Examples(tuple(map(str, range(n))), drawn=drawn)
    with tempfile.TemporaryDirectory() as folder:
        artefacts.save_examples(Path(folder), examples)
        loaded = artefacts.load_examples(Path(folder))
    assert (loaded.text, loaded.drawn) == (examples.text, examples.drawn)


def test_examples_are_loaded_with_their_weights(tmp_path: Path) -> None:
    pairs = Pairs(("a", "c"), ("b", "d"), weight=(0.1, 1 / 3)).examples()
    artefacts.save_examples(tmp_path, pairs)
    loaded = artefacts.load_examples(tmp_path).weight
    assert loaded is not None
    assert pairs.weight is not None
    assert loaded.tolist() == pairs.weight.tolist()
    assert not loaded.flags.writeable
