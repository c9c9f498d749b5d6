"""How likely texts are under a causal language model, given their prompts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fairl_bench.errors import NotFinite
from fairl_bench.science.continued_tokens import Continued, continued_tokens
from fairl_bench.science.endings import endings
from fairl_bench.science.generation import load

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


def text_likelihoods(
    folder: Path,
    prompts: Sequence[str],
    texts: Sequence[str],
    tokens: Mapping[int, Sequence[int]],
    *,
    vocabulary: Mapping[int, str],
    ended: Sequence[bool],
    temperature: float = 1.0,
    batch: int = 64,
    dtype: str = "float32",
    scratch: Path | None = None,
    moved: Callable[[int, int], None] = lambda done, total: None,
) -> TextLikelihoods:
    """How likely each text is as a continuation of its prompt, under the model in a folder.

    ``tokens[i]`` are the tokens that text ``i`` was drawn as, and ``vocabulary[i]`` is the digest of their vocabulary.
    A text whose tokens are not known, or are of another vocabulary, is tokenised behind the tokens of its prompt, as a
    model writes it.  A text that has ``ended`` by itself has the end as its last token: any of the model's own end
    tokens, whose probabilities are added up.  An empty prompt is the model's own start.

    Batches are fixed and sorted by length.  Finished ones are kept in ``scratch`` and are not done again.  Raises
    `DataError` for texts that the model cannot read, and `NotFinite`.
    """
    model, tokenizer = load(folder, dtype)
    ends = endings(model, tokenizer)
    read = continued_tokens(model, tokenizer, ends, prompts, texts, tokens, vocabulary, ended)
    order = sorted(range(len(read)), key=lambda i: (len(read[i]), len(read[i].prompt), i))
    found = _kept(scratch, read, order)
    last = time.monotonic()
    for start in range(len(found), len(order), batch):
        rows = order[start : start + batch]
        found += _batch(model, [read[i] for i in rows], ends, temperature)
        moved(len(found), len(order))
        if scratch is not None and time.monotonic() - last > _EVERY:
            _keep(scratch, found)
            last = time.monotonic()
    by_text = [found[place] for place in np.argsort(order)]
    return _columns(by_text, read)


class _Found(NamedTuple):
    """What a model says of one text."""

    token: NDArray[np.float32]
    before: float
    after: float


def _batch(model: Any, read: Sequence[Continued], ends: Sequence[int], temperature: float) -> list[_Found]:
    """What the model says of each text of one batch, padded on the right: a causal model sees no later token."""
    width = max(map(len, read))
    ids = torch.tensor([[*one.prompt, *one.text, *(0,) * (width - len(one))] for one in read], device=model.device)
    first = min(len(one.prompt) for one in read) - 1
    with torch.inference_mode():
        # the states before the shortest prompt's end say nothing of any text
        kept = torch.arange(first, width, device=model.device)
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=kept).logits
        logits = logits.float() if temperature == 1 else logits.float() / temperature
        value = logits.logsumexp(-1)  # [batch, kept]
        following = torch.cat([ids[:, first + 1 :], ids.new_zeros(len(ids), 1)], 1)
        said = logits.gather(2, following[..., None]).squeeze(2) - value
        end = logits[..., list(ends)].logsumexp(-1) - value if ends else None
    states = _States(first, value.cpu().numpy(), said.cpu().numpy(), None if end is None else end.cpu().numpy())
    return [_of_row(one, states, row, temperature) for row, one in enumerate(read)]


class _States(NamedTuple):
    """What the logits of a batch say of each state from column ``first`` on, ``[batch, kept]``."""

    first: int
    value: NDArray[np.float32]
    said: NDArray[np.float32]  # log-probability of the token that follows
    end: NDArray[np.float32] | None  # log-probability of the end


def _of_row(one: Continued, states: _States, row: int, temperature: float) -> _Found:
    """What a row of a batch says of its text."""
    start = len(one.prompt) - 1 - states.first
    stop = start + len(one.text)
    token = states.said[row, start:stop]
    before, after = (temperature * float(states.value[row, at]) for at in (start, stop))
    if one.ended and states.end is not None:
        token, after = np.append(token, states.end[row, stop]), 0.0
    if not np.isfinite(token).all() or not np.isfinite(before) or not np.isfinite(after):
        raise NotFinite("the language model's logits are not finite; read it in a wider dtype, or train it slower")
    return _Found(token, before, after)


def _columns(found: Sequence[_Found], read: Sequence[Continued]) -> TextLikelihoods:
    lengths = np.array([len(one.token) for one in found], np.int64)
    return TextLikelihoods(
        total=np.array([one.token.sum(dtype=np.float64) for one in found], np.float64),
        token=np.concatenate([np.empty(0, np.float32), *(one.token for one in found)]),
        offsets=np.concatenate([np.zeros(1, np.int64), lengths.cumsum()]),
        before=np.array([one.before for one in found], np.float64),
        after=np.array([one.after for one in found], np.float64),
        ended=np.array([one.ended for one in read], np.bool_),
        tokenised=np.array([one.tokenised for one in read], np.bool_),
    )


def _keep(scratch: Path, found: Sequence[_Found]) -> None:
    """Keep what is found of the first texts in the order of work."""
    token = np.concatenate([one.token for one in found])
    before, after = (np.array([getattr(one, name) for one in found]) for name in ("before", "after"))
    partial = scratch / f"{_KEPT}.tmp"
    with partial.open("wb") as file:
        np.savez(file, token=token, before=before, after=after)
    partial.replace(scratch / _KEPT)


def _kept(scratch: Path | None, read: Sequence[Continued], order: Sequence[int]) -> list[_Found]:
    """What an interrupted run has kept; nothing where it is damaged."""
    if scratch is None or not (scratch / _KEPT).exists():
        return []
    try:
        # NumPy leaves a damaged file open that it has opened itself
        with (scratch / _KEPT).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            token, before, after = (file[name] for name in ("token", "before", "after"))
    except Exception:  # every damage has an error of its own, and all of it can be done again
        return []
    lengths = [len(read[i].text) + read[i].ended for i in order[: len(before)]]
    if len(before) != len(after) or sum(lengths) != len(token):
        return []
    each = np.split(token, np.cumsum(lengths)[:-1]) if lengths else []
    return [_Found(one, float(start), float(stop)) for one, start, stop in zip(each, before, after, strict=True)]
