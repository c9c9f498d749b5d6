"""Completions drawn from a causal language model, each text with its own random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fairl_bench.errors import NotFinite


class Drawn(NamedTuple):
    """A batch of completions as tokens: ``tokens [batch, prompt + new]``, the prompts padded on the left."""

    rows: list[int]  # which prompts
    tokens: torch.Tensor
    attention: torch.Tensor  # [batch, prompt], 0 on padding

    @property
    def new(self) -> torch.Tensor:
        """The completions' own tokens ``[batch, new]``."""
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
) -> list[str]:
    """One text a prompt, without it, ended by the model's end of text or by the last of ``uniform [n, tokens]``.

    Token ``t`` of text ``i`` is drawn by ``uniform[i, t]``, so a text does not depend on its company.  Batches are
    fixed and sorted by length; another ``batch`` or ``dtype`` changes the logits' last bits, and so now and then a
    token.  A GPU is used where there is one.  Raises `NotFinite` where the logits are not.
    """
    model, tokenizer = load(folder, dtype)
    texts = [""] * len(prompts)
    warpers = _warpers(temperature, top_p, top_k)
    for done, drawn in enumerate(draw(model, tokenizer, prompts, uniform, warpers=warpers, batch=batch)):
        for i, text in zip(drawn.rows, written(tokenizer, drawn), strict=True):
            texts[i] = text
        moved(min((done + 1) * batch, len(prompts)), len(prompts))
    return texts


def load(folder: Path, dtype: str = "float32") -> tuple[Any, Any]:
    """A causal language model, on a GPU where there is one, and its tokenizer, which pads on the left."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    # a folder is data, not code: trust_remote_code stays off
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    return model.to(device).eval(), tokenizer


def draw(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    uniform: NDArray[np.float64],
    *,
    warpers: Sequence[Any] = (),
    batch: int = 64,
) -> Iterator[Drawn]:
    """The completions of all prompts, a batch at a time, the longest prompts first."""
    for rows in _batches(prompts, batch):
        inputs = tokenizer([prompts[i] for i in rows], return_tensors="pt", padding=True).to(model.device)
        with torch.inference_mode():
            tokens = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=False,
                use_cache=True,
                max_new_tokens=uniform.shape[1],
                pad_token_id=tokenizer.pad_token_id,
                logits_processor=[*warpers, Draw(torch.tensor(uniform[rows], device=model.device))],
            )
        yield Drawn(rows, tokens, inputs["attention_mask"])


def written(tokenizer: Any, drawn: Drawn) -> list[str]:
    """The texts of a batch."""
    return [text.strip() for text in tokenizer.batch_decode(drawn.new, skip_special_tokens=True)]


def _batches(prompts: Sequence[str], batch: int) -> Iterator[list[int]]:
    """The rows of each batch, the longest prompts first."""
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def _warpers(temperature: float, top_p: float, top_k: int) -> list[Any]:
    """What temperature, top-k and top-p make of the logits, in the order of transformers."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    warpers: list[Any] = [] if temperature == 1 else [TemperatureLogitsWarper(temperature)]
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    return warpers


class Draw:
    """A logits processor that leaves one token, drawn by inverse transform with the row's own number.

    Transformers draws a whole batch from one generator; so drawn, a text would depend on what is asked beside it.
    """

    def __init__(self, uniform: torch.Tensor) -> None:
        self.uniform, self.step = uniform, 0  # [batch, tokens]

    def __call__(self, tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """The logits ``[batch, vocabulary]`` with all but the drawn token at minus infinity."""
        # float64: over a large vocabulary a float32 sum does not reach 1
        cumulative = logits.double().softmax(-1).cumsum(-1)
        if not bool(torch.isfinite(cumulative[:, -1]).all()):
            raise NotFinite("the language model's logits are not finite; train it slower, or in a wider dtype")
        level = self.uniform[:, self.step, None] * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, level, right=True).clamp_max(logits.shape[1] - 1)
        self.step += 1
        return torch.full_like(logits, -torch.inf).scatter_(1, drawn, 0.0)
