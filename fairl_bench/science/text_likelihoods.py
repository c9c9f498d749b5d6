"""How likely texts are under a causal language model, given their prompts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fairl_bench.errors import NotFinite
from fairl_bench.science.continued_tokens import Continuation, Tokens, continued_tokens
from fairl_bench.science.endings import endings
from fairl_bench.science.generation import LOGITS, load
from fairl_bench.science.packed_weights import packed
from fairl_bench.science.shared_prompts import Block, Read, blocks, read
from fairl_bench.science.spelled_tokens import spelled_characters

_KEPT: Final = "likelihoods.npz"
_EVERY = 20.0  # seconds between two checkpoints


class TextLikelihoods(NamedTuple):
    """The log-probability of each text, in nats, with that of each of its tokens.

    Those of text ``i`` are ``token[offsets[i]:offsets[i + 1]]``.  ``before`` and ``after`` are the values
    ``temperature * logsumexp(logits / temperature)`` of the states before its first and behind its last token; 0 behind
    the end of a text.
    """

    total: NDArray[np.float64]  # [n]
    token: NDArray[np.float32]  # [tokens]
    offsets: NDArray[np.int64]  # [n + 1]
    before: NDArray[np.float64]  # [n]
    after: NDArray[np.float64]  # [n]
    ended: NDArray[np.bool_]  # [n] its last token is the end
    tokenised: NDArray[np.bool_]  # [n] its tokens were not known, or are of another vocabulary
    spelled: NDArray[np.int32]  # [tokens] characters of the text that its tokens up to this one spell


def text_likelihoods(
    folder: Path,
    continuations: Sequence[Continuation],
    *,
    temperature: float = 1.0,
    batch: int = 64,
    dtype: str = "float32",
    scratch: Path | None = None,
    moved: Callable[[int, int], None] = lambda done, total: None,
) -> TextLikelihoods:
    """How likely each text is as a continuation of its prompt, under the model in a folder.

    See `likelihoods_under`.  A GPU is used where there is one.
    """
    model, tokenizer = load(folder, dtype)
    return likelihoods_under(
        model, tokenizer, continuations, temperature=temperature, batch=batch, scratch=scratch, moved=moved
    )


def likelihoods_under(
    model: Any,
    tokenizer: Any,
    continuations: Sequence[Continuation],
    *,
    temperature: float = 1.0,
    batch: int = 64,
    scratch: Path | None = None,
    moved: Callable[[int, int], None] = lambda done, total: None,
) -> TextLikelihoods:
    """How likely each text is as a continuation of its prompt, under a loaded model.

    ``temperature`` divides the logits.  A text that has ended by itself has the end as its last token: any of the
    model's own end tokens, whose probabilities are added up.  A text whose tokens are not known, or are of another
    vocabulary, is tokenised behind its prompt.  An empty prompt is the model's own start.

    Batches are fixed and sorted by length; a prompt that several texts share is read once.  Finished work is kept in
    ``scratch`` and is not done again.  Raises `DataError` for texts that the model cannot read, and `NotFinite`.
    """
    tokens, ends = continued_tokens(model, tokenizer, continuations), endings(model, tokenizer)
    work = blocks(model, tokens, batch)
    found, finished = _kept(scratch, tokens, work)
    done, last = sum(len(block.rows) for block in work[:finished]), time.monotonic()
    with packed(model):
        for place, block in enumerate(work[finished:], finished + 1):
            for some in read(model, [tokens[i] for i in block.rows], batch, shared=block.shared):
                found.append(_said(some, ends, temperature))
                done += len(some.texts)
                moved(done, len(tokens))
            if scratch is not None and time.monotonic() - last > _EVERY:
                _keep(scratch, found, place)
                last = time.monotonic()
    spelled = _spelled(tokenizer, tokens, [one.text for one in continuations])
    return _in_order(_joined(found), tokens, [i for block in work for i in block.rows], spelled)


class _Found(NamedTuple):
    """What a model says of texts, one after the other."""

    token: NDArray[np.float32]  # [tokens]
    before: NDArray[np.float64]  # [texts]
    after: NDArray[np.float64]  # [texts]


def _said(some: Read, ends: Sequence[int], temperature: float) -> _Found:
    """What the logits of a batch say of its texts.  Raises `NotFinite`."""
    device = some.logits.device
    length = torch.tensor([len(one.text) for one in some.texts], device=device)[:, None]
    ended = torch.tensor([one.ended for one in some.texts], device=device)[:, None]
    column = torch.arange(some.ids.shape[1], device=device) - some.start[:, None]
    # a text's states: before each of its tokens, and behind the last one
    own, last = (column >= 0) & (column <= length), column == length
    logits, following = some.logits.flatten(0, 1), some.ids.roll(-1, 1).flatten()
    parts = list[tuple[torch.Tensor, ...]]()
    for rows in torch.split(own.flatten().nonzero()[:, 0], max(1, LOGITS // logits.shape[1])):
        scaled = logits[rows].float() / temperature
        total = scaled.logsumexp(-1)
        end = scaled[:, list(ends)].logsumexp(-1)  # minus infinity where there is none
        parts.append((scaled.gather(1, following[rows, None])[:, 0] - total, end - total, total))
    said, end, total = (torch.cat(numbers) for numbers in zip(*parts, strict=True))
    said = torch.where(last[own], end, said)[~last[own] | ended.expand_as(own)[own]]
    before, after = (temperature * total[state[own]].double() for state in (column == 0, last))
    found = _Found(*(one.cpu().numpy() for one in (said, before, after.masked_fill(ended[:, 0], 0.0))))
    if not all(np.isfinite(numbers).all() for numbers in found):
        raise NotFinite("the language model's logits are not finite; read it in a wider dtype, or train it slower")
    return found


def _joined(found: Sequence[_Found]) -> _Found:
    """What was found of all texts, in the order of work."""
    empty = np.empty(0, np.float32), np.empty(0), np.empty(0)
    token, before, after = (np.concatenate(columns) for columns in zip(empty, *found, strict=True))
    return _Found(token, before, after)


def _spelled(tokenizer: Any, tokens: Sequence[Tokens], texts: Sequence[str]) -> NDArray[np.int32]:
    """How many characters of its text each token and those before it spell; the end of a text spells no more."""
    each = zip(spelled_characters(tokenizer, [one.text for one in tokens], texts), tokens, texts, strict=True)
    columns = ([*spelled, *([len(text)] if one.ended else [])] for spelled, one, text in each)
    return np.concatenate([np.empty(0, np.int32), *(np.array(column, np.int32) for column in columns)])


def _in_order(
    found: _Found, tokens: Sequence[Tokens], order: Sequence[int], spelled: NDArray[np.int32]
) -> TextLikelihoods:
    """What was found of the texts, in their own order."""
    lengths = np.array([len(one.text) + one.ended for one in tokens], np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), lengths.cumsum()])
    token, (total, before, after) = np.empty(offsets[-1], np.float32), np.empty((3, len(tokens)))
    before[list(order)], after[list(order)] = found.before, found.after
    start = 0
    for i in order:
        own = found.token[start : start + lengths[i]]
        token[offsets[i] : offsets[i + 1]], total[i] = own, own.sum(dtype=np.float64)
        start += lengths[i]
    ended, tokenised = (np.array([getattr(one, name) for one in tokens], np.bool_) for name in ("ended", "tokenised"))
    return TextLikelihoods(total, token, offsets, before, after, ended, tokenised, spelled)


def _keep(scratch: Path, found: Sequence[_Found], finished: int) -> None:
    """Keep what is found of the first blocks."""
    partial = scratch / f"{_KEPT}.tmp"
    with partial.open("wb") as file:
        np.savez(file, finished=finished, **_joined(found)._asdict())
    partial.replace(scratch / _KEPT)


def _kept(scratch: Path | None, tokens: Sequence[Tokens], work: Sequence[Block]) -> tuple[list[_Found], int]:
    """What an interrupted run has kept of the first blocks, and how many these are; nothing where it is damaged."""
    if scratch is None or not (scratch / _KEPT).exists():
        return [], 0
    try:
        # NumPy leaves a damaged file open that it has opened itself
        with (scratch / _KEPT).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found, finished = _Found(*(file[name] for name in _Found._fields)), int(file["finished"])
    except Exception:  # every damage has an error of its own, and all of it can be done again
        return [], 0
    texts = [tokens[i] for block in work[:finished] for i in block.rows]
    sizes = [sum(len(one.text) + one.ended for one in texts), len(texts), len(texts)]
    return ([found], finished) if [len(found.token), len(found.before), len(found.after)] == sizes else ([], 0)
