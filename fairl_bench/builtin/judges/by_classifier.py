"""The base of judges that are transformers with a classification head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.builtin.judges.by_probability import ByProbability
from fairl_bench.builtin.shared.batches import in_batches
from fairl_bench.builtin.shared.token_window import report_window
from fairl_bench.component import RunTime
from fairl_bench.values.data import Floats


class Head(NamedTuple):
    """A loaded model.  ``sigmoid``: each label has a probability of its own; otherwise they add up to 1."""

    model: Any
    tokenizer: Any
    pad: int  # the token that fills a batch up
    labels: tuple[str, ...]
    sigmoid: bool


def head(model: Any, tokenizer: Any, labels: tuple[str, ...], *, sigmoid: bool) -> Head:
    """Return the model and its tokenizer, ready for batches; a decoder without a padding token gets its end of text."""
    known = (model.config.pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    pad = next(token for token in known if token is not None)
    model.config.pad_token_id = pad
    return Head(model.eval(), tokenizer, pad, labels, sigmoid)


class ByClassifier(ByProbability):
    """A judge that is a transformer with a classification head.

    Batches are fixed and sorted by length; another ``batch`` changes a value's last bits and is another judge.
    """

    max_length: int = Field(512, ge=8, description="most tokens read of a text; fewer where the model takes fewer")
    batch: int = Field(16, ge=1, description="texts in a forward pass")
    workers: Annotated[int, RunTime] = Field(0, ge=0, description="batches at once, one thread each; 0: one a core")

    def classified(self, head: Head, texts: Sequence[str]) -> Floats:
        """Return the probability of each label ``[n, labels]``."""
        if not texts:
            return np.empty((0, len(head.labels)))
        import torch
        from scipy.special import expit, softmax

        from fairl_bench.science.threads import set_threads

        set_threads()
        tokens = self._tokens(head, texts)
        order = sorted(range(len(texts)), key=lambda i: (-len(tokens[i]), texts[i]))

        def logits(rows: Sequence[int]) -> Floats:
            batch = [tokens[i] for i in rows]
            width = max(map(len, batch))
            padded = [ids + [head.pad] * (width - len(ids)) for ids in batch]
            mask = [[1] * len(ids) + [0] * (width - len(ids)) for ids in batch]
            with torch.inference_mode():  # holds in this thread alone
                out = head.model(input_ids=torch.tensor(padded), attention_mask=torch.tensor(mask)).logits
            return np.asarray(out.double())

        values = in_batches(order, self.batch, logits, self.workers)
        shares: Floats = expit(values) if head.sigmoid else softmax(values, axis=1)
        return shares

    def _tokens(self, head: Head, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, at least one, before any thread starts: threads cannot share a tokenizer."""
        positions = getattr(head.model.config, "max_position_embeddings", None) or self.max_length
        most = min(self.max_length, head.tokenizer.model_max_length, positions)
        token_ids = head.tokenizer(list(texts), truncation=True, max_length=most)["input_ids"]
        report_window(self, head.tokenizer, texts, most)
        return [list(ids) or [head.pad] for ids in token_ids]
