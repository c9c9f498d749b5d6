"""A recovered reward as a classifier of one label: a transformers model, a pool of its states, a head.

This file lies in the folder of such a model and is run with ``trust_remote_code=True`` alone.  It needs torch and
transformers.  Logits ``[batch, 1]`` are rewards.  Padding may be on either side; the model reads the tokens that the
attention mask keeps, puts those around them that its tokenizer would add, and cuts what is too long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class RecoveredRewardConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """What it reads of a text, and the shape of its head."""

    model_type = "recovered-reward"

    def __init__(
        self,
        backbone: dict[str, Any] | None = None,  # its configuration
        layer: int = -1,  # 0: the input embeddings; -1: the last one, after the final norm
        pooling: str = "mean",  # mean, weighted-mean, first or last
        counted: str = "all",  # the tokens of a mean: all, or the text's own
        normalise: bool = False,  # vectors to unit length
        starts: tuple[int, ...] = (),  # tokens before a text
        ends: tuple[int, ...] = (),  # tokens behind it
        instead: int = 0,  # the token of a text that has none
        longest: int = 512,  # tokens that are read, these included
        loses: str = "end",  # what of a longer text is not read
        vector: int = 1,  # numbers of a vector
        width: int | None = None,  # hidden units of the head; none: linear
        **settings: Any,
    ) -> None:
        self.backbone, self.layer, self.pooling, self.counted = backbone, layer, pooling, counted
        self.normalise, self.starts, self.ends, self.instead = normalise, list(starts), list(ends), instead
        self.longest, self.loses, self.vector, self.width = longest, loses, vector, width
        super().__init__(**settings)


class RecoveredRewardForSequenceClassification(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Texts to rewards."""

    config_class = RecoveredRewardConfig
    base_model_prefix = "backbone"

    def __init__(self, config: RecoveredRewardConfig) -> None:
        super().__init__(config)
        self.num_labels = 1
        backbone = AutoConfig.for_model(**(config.backbone or {}))
        self.backbone = AutoModel.from_config(backbone)  # type: ignore[no-untyped-call]
        hidden = [] if config.width is None else [nn.Linear(config.vector, config.width), nn.ReLU()]
        self.score = nn.Sequential(*hidden, nn.Linear(config.width or config.vector, 1))
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module:
        """Those of the transformers model."""
        found: nn.Module = self.backbone.get_input_embeddings()
        return found

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: all weights are in the folder."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **others: Any
    ) -> SequenceClassifierOutput:
        """The reward of each row of tokens ``[batch, tokens]``, as logits ``[batch, 1]``."""
        texts = self._texts(input_ids, attention_mask)
        ids, mask, weight = self._padded(texts, input_ids.device)
        whole = self.config.layer != -1
        read = self.backbone(input_ids=ids, attention_mask=mask, output_hidden_states=whole)
        states = (read.hidden_states[self.config.layer] if whole else read.last_hidden_state).float()
        states = states.masked_fill(weight[..., None] == 0, 0.0)  # [batch, tokens, vector]
        pooled = (states * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
        if self.config.normalise:
            pooled = nn.functional.normalize(pooled)
        return SequenceClassifierOutput(logits=self.score(pooled.to(next(self.score.parameters()).dtype)))

    def _texts(self, ids: Tensor, mask: Tensor | None) -> list[list[int]]:
        """The tokens of each text, without padding."""
        kept = ids != self.config.pad_token_id
        if mask is not None:
            kept &= mask.bool()
        return [row[keep].tolist() for row, keep in zip(ids, kept)]  # noqa: B905

    def _padded(self, texts: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, mask and weight in the pool, all ``[batch, tokens]``, filled up on the right."""
        before, behind = self.config.starts, self.config.ends
        room = max(self.config.longest - len(before) - len(behind), 0)
        rows, weights = [], []
        for text in texts:
            cut = text[:room] if self.config.loses == "end" else text[max(len(text) - room, 0) :]
            rows.append([*before, *cut, *behind] or [self.config.instead])
            weights.append(self._weights(len(before), len(cut), len(rows[-1])))
        shape = (len(rows), max(map(len, rows)))
        ids, mask = (torch.zeros(shape, dtype=torch.long) for _ in range(2))
        weight = torch.zeros(shape)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
            weight[i, : len(row)] = torch.tensor(weights[i])
        return ids.to(device), mask.to(device), weight.to(device)

    def _weights(self, before: int, own: int, n: int) -> list[float]:
        """The weight of each of a text's ``n`` tokens."""
        if self.config.pooling in ("first", "last"):
            at = 0 if self.config.pooling == "first" else n - 1
            return [float(i == at) for i in range(n)]
        if self.config.counted == "all" or not own:
            before, own = 0, n
        counted = [float(before <= i < before + own) for i in range(n)]
        if self.config.pooling == "mean":
            return counted
        return [max(i + 1 - before, 0) * one for i, one in enumerate(counted)]
