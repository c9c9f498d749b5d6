"""Completions drawn from a causal language model, each text with its own random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fairl_bench.errors import NotFinite
from fairl_bench.science.continued_tokens import vocabulary_digest
from fairl_bench.science.endings import ended, endings, spelled
from fairl_bench.science.language_model import (
    Tokens,
    padding,
    plain_settings,
    positions,
    prompt_tokens,
    read,
    vocabulary,
)
from fairl_bench.science.packed_weights import packed
from fairl_bench.science.prompt_tree import PromptTree, memory_argument, reads_trees, takes

_NOTHING = torch.empty(0, 0)
_BLOCK = 512  # tokens
LOGITS = 2**18  # so many are looked at together: they stay in a processor's cache
_FEWER = 0.9  # where less than this share of a batch goes on, the others leave it


class Completed(NamedTuple):
    """Completions: their texts without prompt and end, and the tokens that were drawn, the end token included."""

    text: list[str]
    tokens: list[list[int]]
    ended: list[bool]  # by the end token, which is then the last one
    log_probability: list[float]  # nats, at temperature 1 from the whole distribution, whatever was drawn from
    vocabulary: str  # the digest of the vocabulary that the tokens belong to


class Drawn(NamedTuple):
    """A batch of completions as tokens: ``tokens [batch, prompt + new]``, the prompts padded on the left."""

    rows: list[int]  # which prompts
    tokens: torch.Tensor
    attention: torch.Tensor  # [batch, prompt], 0 on padding
    ends: tuple[int, ...] = ()  # the tokens that end a text
    said: torch.Tensor = _NOTHING  # [batch, new] float64: log-probability of each token, whatever it was drawn from

    @property
    def new(self) -> torch.Tensor:
        """Return the completions' own tokens ``[batch, new]``."""
        return self.tokens[:, self.attention.shape[1] :]


def complete(
    folder: Path,
    prompts: Sequence[str],
    uniform: NDArray[np.float64],
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    batch: int = 64,
    dtype: str = "float32",
    moved: Callable[[int, int], None] = lambda done, total: None,
) -> Completed:
    """One text a prompt, without it, ended by any of the model's end tokens or by the last of ``uniform [n, tokens]``.

    The suite's sampling alone says how: what ``generation_config.json`` in the folder says besides its end tokens does
    nothing.  A prompt is read whole; where the model has too few positions for one, `DataError` says so.

    Token ``t`` of text ``i`` is drawn by ``uniform[i, t]``, so a text does not depend on its company.  Batches are
    fixed and sorted by length; another ``batch`` or ``dtype`` changes the logits' last bits, and so now and then a
    token.  A GPU is used where there is one.  Raises `NotFinite` where the logits are not.
    """
    model, tokenizer = load(folder, dtype)
    n = len(prompts)
    found = Completed([""] * n, [[]] * n, [False] * n, [0.0] * n, vocabulary_digest(tokenizer))
    warpers = _warpers(temperature, top_p, top_k)
    for done, drawn in enumerate(draw(model, tokenizer, prompts, uniform, warpers=warpers, batch=batch)):
        for at, (i, text) in enumerate(zip(drawn.rows, written(tokenizer, drawn), strict=True)):
            found.text[i] = text
            found.tokens[i] = ended(drawn.new[at].tolist(), drawn.ends)
            found.ended[i] = bool(found.tokens[i]) and found.tokens[i][-1] in drawn.ends
            found.log_probability[i] = float(drawn.said[at, : len(found.tokens[i])].sum())
        moved(min((done + 1) * batch, n), n)
    return found


def load(folder: Path, dtype: str = "float32") -> tuple[Any, Any]:
    """Return a causal language model, on a GPU where there is one, and its tokenizer, which pads on the left."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model, tokenizer = read(folder, dtype)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def draw(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    uniform: NDArray[np.float64],
    *,
    warpers: Sequence[Any] = (),
    batch: int = 64,
    ends: Sequence[int] | None = None,
) -> Iterator[Drawn]:
    """The completions of all prompts, a batch at a time, the longest prompts first.

    Each ends at the first of ``ends``, by default all of the model's (`endings`).  What the model's own generation
    settings say besides does nothing.
    """
    ends = endings(model, tokenizer) if ends is None else tuple(ends)
    tokens, new = vocabulary(model), uniform.shape[1]
    read = prompt_tokens(tokenizer, prompts, ends=ends, vocabulary=tokens, longest=positions(model.config), new=new)
    pad = padding(tokenizer, ends, tokens)
    drawing = _behind_tree if reads_trees(model, max(map(len, read), default=0)) else _generated
    with packed(model):
        for rows in _batches(read, batch):
            numbers = torch.tensor(uniform[rows], device=model.device)
            drawn = drawing(model, tokenizer, [read[i] for i in rows], Draw(numbers, warpers, ends), pad)
            yield drawn._replace(rows=rows)


def _behind_tree(model: Any, tokenizer: Any, prompts: Tokens, draw: Draw, pad: int) -> Drawn:
    """Draw the tokens behind prompts; a text that has ended leaves its batch."""
    ids, attention = _left(model, prompts, pad)
    cache, seen = PromptTree(model, [prompt[:-1] for prompt in prompts]).memory([prompt[:-1] for prompt in prompts])
    named = {memory_argument(model): cache, "use_cache": True}
    if takes(model, "logits_to_keep"):
        named["logits_to_keep"] = 1
    tokens = torch.full_like(draw.uniform, pad, dtype=torch.long)
    said = torch.zeros_like(draw.uniform)
    rows = torch.arange(len(prompts), device=model.device)
    last, position = ids[:, -1:], attention.sum(1, keepdim=True) - 1
    going = torch.ones_like(rows, dtype=torch.bool)
    steps = 0
    with torch.inference_mode():
        while steps < tokens.shape[1]:
            seen = torch.cat([seen, torch.ones_like(last)], 1)
            logits = model(input_ids=last, attention_mask=seen, position_ids=position, **named).logits[:, -1]
            last, log = draw.next(logits, draw.uniform[rows, steps, None])
            at = rows[going]
            tokens[at, steps], said[at, steps] = last[going, 0], log[going, 0]
            steps, position = steps + 1, position + 1
            going &= ~torch.isin(last[:, 0], draw.ends)
            left = int(going.sum())
            if not left:
                break
            if left < _FEWER * len(rows):
                cache.batch_select_indices(going.nonzero()[:, 0])
                rows, last, position, seen = rows[going], last[going], position[going], seen[going]
                going = going[going]
    return Drawn([], torch.cat([ids, tokens[:, :steps]], 1), attention, tuple(draw.ends.tolist()), said[:, :steps])


def _generated(model: Any, tokenizer: Any, prompts: Tokens, draw: Draw, pad: int) -> Drawn:
    """Draw the tokens behind prompts by `generate` of transformers, which knows every kind of memory."""
    ids, attention = _left(model, prompts, pad)
    ends = draw.ends.tolist()
    with torch.inference_mode(), _plain(model, tokenizer, ends):
        tokens = model.generate(
            input_ids=ids,
            attention_mask=attention,
            do_sample=False,
            use_cache=True,
            max_new_tokens=draw.uniform.shape[1],
            pad_token_id=pad,
            logits_processor=[draw],
        )
    return Drawn([], tokens, attention, tuple(ends), draw.said)


def _left(model: Any, read: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return prompts of one width, padded on the left, and the mask of their own tokens ``[batch, prompt]``."""
    width = max(map(len, read))
    ids = [[pad] * (width - len(one)) + list(one) for one in read]
    mask = [[0] * (width - len(one)) + [1] * len(one) for one in read]
    return torch.tensor(ids, device=model.device), torch.tensor(mask, device=model.device)


@contextmanager
def _plain(model: Any, tokenizer: Any, ends: Sequence[int]) -> Iterator[None]:
    """Remove the model's own generation settings: `generate` takes from them whatever it is not told."""
    own = model.generation_config
    model.generation_config = plain_settings(tokenizer, ends)
    try:
        yield
    finally:
        model.generation_config = own


def written(tokenizer: Any, drawn: Drawn) -> list[str]:
    """Return the texts of a batch, without what ends them."""
    return [spelled(tokenizer, ids, drawn.ends) for ids in drawn.new.tolist()]


def _batches(prompts: Tokens, batch: int) -> Iterator[list[int]]:
    """Return the rows of each batch, the longest prompts first; those of like lengths that begin alike are together."""
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]).bit_length(), prompts[i], i))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def _warpers(temperature: float, top_p: float, top_k: int) -> list[Any]:
    """Return the processors of temperature, top-k and top-p, in the order of transformers."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    warpers: list[Any] = [] if temperature == 1 else [TemperatureLogitsWarper(temperature)]
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    return warpers


def _inverse_transform(logits: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the token that each ``uniform [batch, 1]`` draws, and the logsumexp of the logits, both ``[batch, 1]``.

    The block of tokens is found first, then the token in it: a whole vocabulary in float64 would take as long as the
    forward pass of a small model.  Blocks are added up in float64: a float32 sum over a vocabulary does not reach 1.
    Raises `NotFinite` where the logits are not.
    """
    highest = logits.amax(-1, keepdim=True)
    weight = (logits - highest).exp_()
    short = -weight.shape[1] % _BLOCK
    blocks = torch.nn.functional.pad(weight, (0, short)).view(len(weight), -1, _BLOCK)
    cumulative = blocks.sum(-1).double().cumsum(-1)
    total = cumulative[:, -1:]
    if not bool(torch.isfinite(total).all()):
        raise NotFinite("the language model's logits are not finite; train it slower, or in a wider dtype")
    level = uniform * total
    at = torch.searchsorted(cumulative, level, right=True).clamp_max(cumulative.shape[1] - 1)
    within = blocks.gather(1, at[:, :, None].expand(-1, -1, _BLOCK))[:, 0].double().cumsum(-1)
    below = cumulative.gather(1, at) - within[:, -1:]
    # at both ends of a block, rounding must not lead to a token that has no probability
    inside = torch.searchsorted(within, (level - below).clamp_min(0), right=True)
    last = torch.searchsorted(within, within[:, -1:].contiguous())
    drawn = at * _BLOCK + torch.minimum(inside, last)
    return drawn, highest.double() + total.log()


class Draw:
    """A logits processor that leaves one token, drawn by inverse transform with the row's own number.

    Transformers draws a whole batch from one generator; then a text would depend on the texts beside it.  The token is
    drawn from what ``warpers`` leave of the logits, and `said` is how likely it was without them.
    """

    def __init__(self, uniform: torch.Tensor, warpers: Sequence[Any] = (), ends: Sequence[int] = ()) -> None:
        self.uniform, self.warpers = uniform, warpers  # [batch, tokens]
        self.ends = torch.tensor(ends, dtype=torch.long, device=uniform.device)
        self.log = list[torch.Tensor]()
        self.left: torch.Tensor | None = None  # [batch, vocabulary]: 0 at the token drawn last, else minus infinity

    def __call__(self, tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits ``[batch, vocabulary]`` with all but the drawn token at minus infinity."""
        drawn, log = self.next(logits, self.uniform[:, len(self.log), None])
        self.log.append(log)
        if self.left is None:
            self.left = torch.full_like(logits, -torch.inf)
        return self.left.fill_(-torch.inf).scatter_(1, drawn, 0.0)

    def next(self, logits: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the tokens that ``uniform [rows, 1]`` draws and their log-probabilities, both ``[rows, 1]``."""
        rows = max(1, LOGITS // logits.shape[1])
        parts = zip(torch.split(logits, rows), torch.split(uniform, rows), strict=True)
        drawn, log = zip(*(self._next(part.float(), numbers) for part, numbers in parts), strict=True)
        return torch.cat(drawn), torch.cat(log)

    def _next(self, logits: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        warped = logits
        for warper in self.warpers:
            warped = warper(None, warped)
        drawn, log_total = _inverse_transform(warped, uniform)
        return drawn, self._said(logits, drawn, logits.logsumexp(-1, keepdim=True) if self.warpers else log_total)

    def _said(self, logits: torch.Tensor, drawn: torch.Tensor, log_total: torch.Tensor) -> torch.Tensor:
        """Return the log-probability of the drawn tokens ``[batch, 1]`` float64."""
        said = logits.gather(1, drawn)
        if len(self.ends) > 1:  # whichever of them is drawn, the text is the same
            end = logits[:, self.ends].logsumexp(-1, keepdim=True)
            said = torch.where(torch.isin(drawn, self.ends), end, said)
        return said.double() - log_total

    @property
    def said(self) -> torch.Tensor:
        """Return the log-probability of each drawn token ``[batch, new]``; behind the end they mean nothing."""
        return torch.cat(self.log, 1)
