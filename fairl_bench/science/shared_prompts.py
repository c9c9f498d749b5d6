"""Texts that a language model reads behind their prompts, of which it reads each beginning once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch

from fairl_bench.science.continued_tokens import Tokens
from fairl_bench.science.prompt_tree import PromptTree, memory_argument, reads_trees, takes

_MOST: Final = 8
"""The most batches of texts that are read behind the same prompts."""
_SHORT: Final = 64
"""Tokens of a prompt: a batch of prompts of this length, or of one longer prompt's, are remembered at once."""


class Block(NamedTuple):
    """Texts that are read one batch after the other."""

    rows: list[int]  # which texts
    shared: bool  # behind prompts that are read before


class Read(NamedTuple):
    """What a model says at each token of a batch, padded on the right: a causal model sees no later token."""

    texts: Sequence[Tokens]
    start: torch.Tensor  # [batch] the column of the last token of each prompt; the text follows
    ids: torch.Tensor  # [batch, columns]
    logits: torch.Tensor  # [batch, columns, vocabulary]


def blocks(model: Any, texts: Sequence[Tokens], batch: int) -> list[Block]:
    """All texts, in the order in which they are read: those of like lengths together, for little padding."""
    if reads_trees(model, max((len(one.prompt) for one in texts), default=0)):
        return [Block(rows, shared=True) for rows in _behind(texts, batch)]
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i].prompt) + len(texts[i].text), len(texts[i].prompt)))
    return [Block(order[start : start + batch], shared=False) for start in range(0, len(order), batch)]


def _behind(texts: Sequence[Tokens], batch: int) -> Iterator[list[int]]:
    """Texts whose prompts are remembered together: of like lengths, and those that begin alike side by side."""
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i].prompt).bit_length(), texts[i].prompt))
    found, tokens = list[list[int]](), 0
    for i in order:
        prompt = texts[i].prompt
        more = len(prompt) if not found or texts[found[-1][-1]].prompt != prompt else 0
        if not found or len(found[-1]) == _MOST * batch or tokens + more > batch * max(_SHORT, len(prompt)):
            found.append([])
            tokens, more = 0, len(prompt)
        found[-1].append(i)
        tokens += more
    return (sorted(rows, key=lambda i: (len(texts[i].text), i)) for rows in found)


def read(model: Any, texts: Sequence[Tokens], batch: int, *, shared: bool) -> Iterator[Read]:
    """What the model says of the texts of one of the `blocks`, a batch at a time."""
    prompts = PromptTree(model, [one.prompt[:-1] for one in texts]) if shared else None
    for start in range(0, len(texts), batch):
        some = texts[start : start + batch]
        yield _continued(model, prompts, some) if prompts else _whole(model, some)


def _whole(model: Any, texts: Sequence[Tokens]) -> Read:
    """What the model says of texts, read with their prompts.  What it says before the end of any prompt is left out."""
    ids = _padded([[*one.prompt, *one.text] for one in texts], model.device)
    lengths = torch.tensor([len(one.prompt) for one in texts], device=model.device)
    first = int(lengths.min()) - 1
    logits = passed(model, ids, ids.shape[1] - first, use_cache=False).logits
    return Read(texts, lengths - 1 - first, ids[:, first:], logits)


def _continued(model: Any, prompts: PromptTree, texts: Sequence[Tokens]) -> Read:
    """What the model says of texts behind prompts that it has read but for their last tokens."""
    cache, seen = prompts.memory([one.prompt[:-1] for one in texts])
    ids = _padded([[one.prompt[-1], *one.text] for one in texts], model.device)
    column = torch.arange(ids.shape[1], device=ids.device)
    start, length = (
        torch.tensor(numbers, device=ids.device)[:, None]
        for numbers in zip(*((len(one.prompt) - 1, len(one.text)) for one in texts), strict=True)
    )
    named = {
        "attention_mask": torch.cat([seen, torch.ones_like(ids)], 1),
        "position_ids": start + torch.minimum(column, length),  # a shorter text's padding has no further positions
        memory_argument(model): cache,
    }
    logits = passed(model, ids, ids.shape[1], use_cache=True, **named).logits
    return Read(texts, ids.new_zeros(len(texts)), ids, logits)


def _padded(rows: Sequence[Sequence[int]], device: Any) -> torch.Tensor:
    """Rows of tokens as one tensor; whatever fills the shorter ones is not looked at."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *(0,) * (width - len(row))] for row in rows], device=device)


def passed(model: Any, ids: torch.Tensor, columns: int, **own: Any) -> Any:
    """What a forward pass gives; the logits are those of the last ``columns`` tokens."""
    if takes(model, "logits_to_keep"):
        own["logits_to_keep"] = columns
    with torch.inference_mode():
        out = model(input_ids=ids, **own)
    out.logits = out.logits[:, -columns:]
    return out
