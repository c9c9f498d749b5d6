"""An encoder that pools the hidden states of a causal language model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.builtin.shared.batches import in_batches
from fairl_bench.builtin.shared.token_window import report_window, tokens_ahead
from fairl_bench.component import Component, RunTime
from fairl_bench.errors import DataError
from fairl_bench.guards.truncation import Tokens
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.lm import LM
from fairl_bench.values.data import Vectors
from fairl_bench.values.number_format import NUMBERS, NumberFormat

if TYPE_CHECKING:
    from torch import Tensor


class CausalLM(Encoder):
    """The hidden states of a causal language model, pooled over a text's tokens.

    Batches are fixed and sorted by length.  In float32 the unit vector of a text differs by at most 1e-5 from the one
    it has alone, whichever texts are beside it and on whichever side the padding is (measured: 2e-7; bfloat16: 2e-3).
    A text without a token is read as the model's BOS token or, where it has none, as its EOS token.
    """

    lm: LM
    layer: int = Field(
        -1, description="0: the input embeddings; 1: the first block's output; -1: the last one's, after the final norm"
    )
    pooling: Literal["mean", "weighted-mean", "last", "first"] = Field(
        "mean",
        description="over the text's tokens, without BOS and EOS; weighted-mean: by position, 1 to n (Muennighoff "
        "2022, arXiv:2202.08904); last, first: of all tokens; the first one sees itself alone",
    )
    normalise: bool = Field(True, description="scale every vector to unit length")
    dtype: NumberFormat = Field("float32", description=NUMBERS)
    batch: int = Field(16, ge=1, description="texts in a forward pass")
    max_length: int = Field(
        256, ge=2, description="most tokens read of a text; fewer where the model has fewer positions"
    )
    padding: Literal["right", "left"] = Field(
        "right", description="side on which shorter texts of a batch are filled up"
    )
    workers: Annotated[int, RunTime] = Field(0, ge=0, description="batches at once, one thread each; 0: one a core")

    def upstream(self) -> Mapping[str, Component]:
        """Return the language model."""
        return {"lm": self.lm}

    def check(self) -> None:
        """Check the language model."""
        self.lm.check()

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """Return what the tokenizer of a language model in a folder would read."""
        place = getattr(self.lm, "model", None)
        return tokens_ahead(Path(place), texts, self.max_length) if isinstance(place, str) else None

    def encode(self, texts: Sequence[str], corpus: Sequence[str], *, lm: Path | None = None) -> Vectors:
        """Return one row a text ``[n, hidden size]``, by the model in the folder ``lm``.

        Raises `DataError` for a layer that the model does not have, and for an empty text where it has no BOS or EOS.
        """
        from transformers.utils import logging

        from fairl_bench.science.language_model import read, vocabulary

        if lm is None:
            raise DataError("encoder 'causal-lm' needs the folder of its language model; call encode(..., lm=FOLDER)")
        if not (lm / "config.json").is_file():
            raise DataError(
                f"encoder 'causal-lm': language model {self.lm.use!r} has no weights on this machine; name one that has"
            )
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        whole, tokenizer = read(lm, self.dtype, head=False)
        # without its head: logits over a large vocabulary would cost more than the states
        model: Any = whole.base_model.eval()
        config = model.config.get_text_config()
        layer = self._layer(config.num_hidden_layers)
        if not texts:
            return np.empty((0, config.hidden_size), np.float32)
        longest = min(self.max_length, getattr(config, "max_position_embeddings", None) or self.max_length)
        tokens = _read(tokenizer, texts, longest)
        _refuse_unknown(texts, tokens, vocabulary(whole))
        report_window(self, tokenizer, texts, longest)
        order = sorted(range(len(texts)), key=lambda i: (-len(tokens[i].ids), tokens[i].ids))

        def vectors(rows: Sequence[int]) -> Vectors:
            return self._vectors(model, [tokens[i] for i in rows], layer)

        return in_batches(order, self.batch, vectors, self.workers)

    def _layer(self, blocks: int) -> int:
        """Return the layer's number, counted from the input embeddings."""
        layer = self.layer + blocks + 1 if self.layer < 0 else self.layer
        if not 0 <= layer <= blocks:
            raise DataError(
                f"encoder 'causal-lm': its language model has {blocks} blocks, so 'layer' must be {-blocks - 1} to "
                f"{blocks}, got {self.layer}"
            )
        return layer

    def _vectors(self, model: Any, batch: Sequence[_Read], layer: int) -> Vectors:
        """Return the pooled states of one batch ``[batch, hidden size]``."""
        import torch
        from torch.nn.functional import normalize

        inputs, weight = self._padded(model, batch)
        with torch.inference_mode():
            states = model(**inputs, use_cache=False, output_hidden_states=True).hidden_states[layer].float()
            # not a product: what stands at padding may be NaN
            states = states.masked_fill(weight[..., None] == 0, 0.0)  # [batch, tokens, hidden size]
            pooled = (states * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
            vectors: Vectors = (normalize(pooled) if self.normalise else pooled).numpy()
        return vectors

    def _padded(self, model: Any, batch: Sequence[_Read]) -> tuple[dict[str, Tensor], Tensor]:
        """Return the model's inputs and the weight of each token in the pool, both ``[batch, tokens]``."""
        import torch

        shape = (len(batch), max(len(read.ids) for read in batch))
        # the mask hides padding, so that any token will do: the model need not have one for it
        ids, mask, position = (torch.zeros(shape, dtype=torch.int64) for _ in range(3))
        weight = torch.zeros(shape)
        for row, read in enumerate(batch):
            n = len(read.ids)
            place = slice(shape[1] - n, None) if self.padding == "left" else slice(n)
            ids[row, place], mask[row, place] = torch.tensor(read.ids), 1
            position[row, place] = torch.arange(n)
            weight[row, place] = torch.tensor(_weight(self.pooling, read.own))
        inputs = {"input_ids": ids, "attention_mask": mask}
        if "position_ids" in inspect.signature(model.forward).parameters:
            inputs["position_ids"] = position  # by itself a model may count the padding on the left
        return inputs, weight


class _Read(NamedTuple):
    """A text as its model reads it: the tokens, and which of them are its own rather than BOS or EOS."""

    ids: tuple[int, ...]
    own: tuple[bool, ...]


def _read(tokenizer: Any, texts: Sequence[str], longest: int) -> list[_Read]:
    """Return the tokens of each text: at least one, at most the first ``longest``."""
    encoded = tokenizer(list(texts), truncation=True, max_length=longest, return_special_tokens_mask=True)
    rows = zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
    return [
        _Read(tuple(ids), tuple(not special for special in mask)) if ids else _Read((_start(tokenizer),), (False,))
        for ids, mask in rows
    ]


def _refuse_unknown(texts: Sequence[str], tokens: Sequence[_Read], vocabulary: int) -> None:
    """Raise `DataError` for a token that the model has no embedding for."""
    for text, read in zip(texts, tokens, strict=True):
        if (token := max(read.ids)) >= vocabulary:
            raise DataError(
                f"encoder 'causal-lm': its language model has {vocabulary} tokens, but its tokenizer reads the text"
                f" {text[:60]!r} as token {token}: the two do not belong together; give the model its own tokenizer"
            )


def _start(tokenizer: Any) -> int:
    """Return the token that stands for a text without any token."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise DataError(
        "encoder 'causal-lm': a text has no token and its language model has neither a BOS nor an EOS token to read "
        "instead; drop the empty texts"
    )


def _weight(pooling: str, own: Sequence[bool]) -> list[float]:
    """Return the weight of each token; where a text has no token of its own, the others count instead.

    >>> _weight("mean", [False, True, True])
    [0.0, 1.0, 1.0]
    >>> _weight("weighted-mean", [False, True, True])
    [0.0, 1.0, 2.0]
    >>> _weight("last", [True, True, False])
    [0.0, 0.0, 1.0]
    """
    n = len(own)
    if pooling in ("first", "last"):
        at = 0 if pooling == "first" else n - 1
        return [float(i == at) for i in range(n)]
    counted = np.array(own if any(own) else [True] * n, np.float64)
    weight: list[float] = (counted if pooling == "mean" else counted * counted.cumsum()).tolist()
    return weight
