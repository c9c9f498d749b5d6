"""A reward as a sentence-transformers model: that of its encoder, with the head as dense layers behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairl_bench.errors import DataError
from fairl_bench.export.text_model import head_of, sentence_transformer
from fairl_bench.reward.function import RecoveredReward


def is_of_sentences(reward: RecoveredReward) -> bool:
    """Whether the encoder of a reward is a sentence-transformers model."""
    from fairl_bench.builtin.encoders.sentence_transformer import SentenceTransformer

    return isinstance(reward.encoder, SentenceTransformer)


def folder_of(reward: RecoveredReward) -> Path | None:
    """The folder of the encoder's model; None for another encoder."""
    encoder: Any = reward.encoder
    return Path(encoder._found()[0]) if is_of_sentences(reward) else None


def with_head(reward: RecoveredReward) -> Any:
    """The encoder's model with the head behind it: its vectors ``[n, 1]`` are rewards.

    Raises `DataError` for the reward of another encoder, or of a method that is no head.
    """
    import torch
    from sentence_transformers import SentenceTransformer, models  # type: ignore[attr-defined]

    if not is_of_sentences(reward):
        what = "it has no encoder" if reward.encoder is None else f"its encoder is a {reward.encoder.use!r}"
        raise DataError(f"a sentence-transformers folder holds the reward of a 'sentence-transformer', and {what}")
    modules = list(sentence_transformer(reward.encoder))
    *hidden, top = head_of(reward).layers()
    for weight, bias in (*hidden, top):
        shown = torch.nn.Identity() if weight is top[0] else torch.nn.ReLU()
        dense = models.Dense(weight.shape[1], weight.shape[0], activation_function=shown)
        with torch.no_grad():
            dense.linear.weight.copy_(torch.from_numpy(weight))
            dense.linear.bias.copy_(torch.from_numpy(bias))
        modules.append(dense)
    return SentenceTransformer(modules=modules, device="cpu").eval()


def save(model: Any, folder: Path) -> None:
    """Write the folder, without a card."""
    model.save(str(folder), create_model_card=False)
