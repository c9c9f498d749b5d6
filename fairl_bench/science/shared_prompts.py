"""Texts that a language model reads behind their prompts: a prompt that several of them share is read once."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch

from fairl_bench.science.continued_tokens import Tokens

_MOST: Final = 8
"""The most batches of texts that are read behind the same prompts."""
_SHORT: Final = 64
"""Tokens of a prompt, at most, for several batches of prompts to be read at once."""


class Block(NamedTuple):
    """Texts that are read one batch after the other."""

    rows: list[int]  # which texts
    shared: bool  # behind prompts of one length, each read once for all of its texts


class Read(NamedTuple):
    """What a model says at each token of a batch, padded on the right: a causal model sees no later token."""

    texts: Sequence[Tokens]
    start: torch.Tensor  # [batch] the column of the last token of each prompt; the text follows
    ids: torch.Tensor  # [batch, columns]
    logits: torch.Tensor  # [batch, columns, vocabulary]


def blocks(model: Any, texts: Sequence[Tokens], batch: int) -> list[Block]:
    """All texts, in the order in which they are read: short ones first, so that batches have little padding."""
    several = Counter(tuple(one.prompt) for one in texts) if remembers(model) else Counter()
    shared = {prompt for prompt, n in several.items() if n > 1 and len(prompt) > 1}
    alone = [i for i, one in enumerate(texts) if tuple(one.prompt) not in shared]
    alone.sort(key=lambda i: (len(texts[i].prompt) + len(texts[i].text), len(texts[i].prompt)))
    whole = [Block(alone[start : start + batch], shared=False) for start in range(0, len(alone), batch)]
    return [*_behind(shared, texts, batch), *whole]


def _behind(shared: Collection[tuple[int, ...]], texts: Sequence[Tokens], batch: int) -> list[Block]:
    """The blocks of texts behind these prompts: at most ``batch`` prompts each, or several times as many short ones."""
    rows: dict[tuple[int, ...], list[int]] = {prompt: [] for prompt in shared}
    for i in sorted(range(len(texts)), key=lambda i: -len(texts[i].text)):
        rows.get(tuple(texts[i].prompt), []).append(i)
    # prompts of one length, and there those with texts of like lengths, lie together
    order = sorted(rows, key=lambda prompt: (len(prompt), [len(texts[i].text) for i in rows[prompt]], prompt))
    most = _MOST * batch
    pieces = [rows[prompt][start : start + most] for prompt in order for start in range(0, len(rows[prompt]), most)]
    found = list[list[list[int]]]()
    for piece in pieces:
        length = len(texts[piece[0]].prompt)
        before = found[-1] if found and len(texts[found[-1][0][0]].prompt) == length else []
        if not before or len(before) == batch * max(1, _SHORT // length) or sum(map(len, before)) + len(piece) > most:
            found.append([])
        found[-1].append(piece)
    every = (sorted((i for piece in block for i in piece), key=lambda i: (len(texts[i].text), i)) for block in found)
    return [Block(block, shared=True) for block in every]


def read(model: Any, texts: Sequence[Tokens], batch: int, *, shared: bool) -> Iterator[Read]:
    """What the model says of the texts of one of the `blocks`, a batch at a time."""
    prompts = _Prompts(model, texts) if shared else None
    for start in range(0, len(texts), batch):
        some = texts[start : start + batch]
        yield prompts.continued(some) if prompts else _whole(model, some)


def _whole(model: Any, texts: Sequence[Tokens]) -> Read:
    """What the model says of texts, read with their prompts.  What it says before the end of any prompt is left out."""
    ids = _padded([[*one.prompt, *one.text] for one in texts], model.device)
    lengths = torch.tensor([len(one.prompt) for one in texts], device=model.device)
    first = int(lengths.min()) - 1
    logits = passed(model, ids, ids.shape[1] - first, use_cache=False).logits
    return Read(texts, lengths - 1 - first, ids[:, first:], logits)


class _Prompts:
    """The prompts of some texts, all of one length, which a model has read but for their last token and remembers."""

    def __init__(self, model: Any, texts: Sequence[Tokens]) -> None:
        self.row = {prompt: i for i, prompt in enumerate(dict.fromkeys(tuple(one.prompt) for one in texts))}
        self.model, self.argument = model, memory_argument(model)
        prompts = torch.tensor(list(self.row), device=model.device)
        self.memory = passed(model, prompts[:, :-1], 1, use_cache=True)[self.argument]

    def continued(self, texts: Sequence[Tokens]) -> Read:
        """What the model says of texts behind their prompts."""
        ids = _padded([[one.prompt[-1], *one.text] for one in texts], self.model.device)
        memory = copy.deepcopy(self.memory)  # the model writes into it
        memory.reorder_cache(torch.tensor([self.row[tuple(one.prompt)] for one in texts], device=ids.device))
        logits = passed(self.model, ids, ids.shape[1], use_cache=True, **{self.argument: memory}).logits
        return Read(texts, ids.new_zeros(len(texts)), ids, logits)


def _padded(rows: Sequence[Sequence[int]], device: Any) -> torch.Tensor:
    """Rows of tokens as one tensor; whatever fills the shorter ones is not looked at."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *(0,) * (width - len(row))] for row in rows], device=device)


def remembers(model: Any) -> bool:
    """True where a model can go on by several tokens at once; a recurrent one does so by one."""
    return bool(memory_argument(model)) and not getattr(model, "_is_stateful", False)


def memory_argument(model: Any) -> str:
    """The name of the argument for what a model remembers of earlier tokens; empty where it has none."""
    arguments = inspect.signature(model.forward).parameters
    return next((name for name in ("cache", "past_key_values") if name in arguments), "")


def passed(model: Any, ids: torch.Tensor, columns: int, **own: Any) -> Any:
    """What a forward pass gives; the logits are those of the last ``columns`` tokens."""
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        own["logits_to_keep"] = columns
    with torch.inference_mode():
        out = model(input_ids=ids, **own)
    out.logits = out.logits[:, -columns:]
    return out
