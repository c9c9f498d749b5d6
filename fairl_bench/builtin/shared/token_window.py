"""Models that read a limited number of tokens: how much of a text they cut off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairl_bench.component import Component
from fairl_bench.guards.truncation import Tokens, reads_are_logged, report_read

_CHUNK = 1024  # texts whose tokens are held at once


def report_window(part: Component, tokenizer: Any, texts: Sequence[str], limit: int) -> None:
    """Report that a part reads the first ``limit`` tokens of each text, where anybody listens."""
    if reads_are_logged():
        report_cut(part, token_counts(tokenizer, texts), limit)


def report_cut(part: Component, tokens: Sequence[int], limit: int) -> None:
    """Report that a part reads the first ``limit`` tokens of texts of so many."""
    report_read(part, tokens, [min(n, limit) for n in tokens])


def token_counts(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Return how many tokens each whole text has, with those that the tokenizer adds."""
    chunks = (list(texts[at : at + _CHUNK]) for at in range(0, len(texts), _CHUNK))
    return [len(ids) for chunk in chunks for ids in tokenizer(chunk, truncation=False, verbose=False)["input_ids"]]


def tokens_ahead(folder: Path, texts: Sequence[str], most: int | None = None) -> Tokens | None:
    """Return what the model in a folder would read of texts, by its tokenizer alone; None where that is not told.

    ``most`` is one more limit beside those in the model's files.
    """
    if not (folder / "tokenizer.json").is_file():
        return None
    from tokenizers import Tokenizer

    sentence = _number(folder / "sentence_bert_config.json", "max_seq_length")
    own = [_number(folder / "tokenizer_config.json", "model_max_length")]
    own.append(_number(folder / "config.json", "max_position_embeddings"))
    known = [n for n in ([sentence] if sentence else own) if n is not None] + ([] if most is None else [most])
    if not known:
        return None
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception:  # what is wrong with it is told by whoever loads the model
        return None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    whole = [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))]
    tokenizer.enable_truncation(min(known))
    return Tokens(whole, [encoding.ids for encoding in tokenizer.encode_batch(list(texts))])


def _number(path: Path, name: str) -> int | None:
    """Return a whole number from a JSON file, or None where it is not there."""
    try:
        value = json.loads(path.read_text(encoding="utf-8")).get(name)
    except (OSError, ValueError, AttributeError):
        return None
    return int(value) if isinstance(value, int) and 0 < value < 2**31 else None
