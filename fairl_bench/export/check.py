"""An exported folder is loaded and asked again: how far its numbers are from those of the reward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from fairl_bench.export.text_model import Joining, TextModel
from fairl_bench.export.tokenizer import Added
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.values.data import Floats

TEXTS: Final = (
    ("", "Thank you, that was kind."),
    ("You are", "a fool, and everybody knows it!"),
    ("You are ", "the best friend that I have ever had."),
    ("What is 2 + 2?", "4"),
    ("Say it:", "N'oublie pas l'été — 東京 😀"),
    ("I think that\n", "we should meet at 7:30.\nBring the papers (all of them)."),
    ("Why do they", "  never answer?  "),
    ("Tell me a long story.", "Once upon a time there was a miller who had three sons. " * 40),
)
"""Prompts and completions: short, in other letters, with space around, and at last one that no window holds."""
MOST: Final = 1e-4
"""The largest difference from a reward computed in float32 that is rounding, in units of the largest reward or 1."""


def tokens_differ(text: TextModel, tokenizer: Any, around: Added, *, spells: bool) -> bool:
    """Whether the folder's tokenizer reads any of the texts otherwise than the reward does."""
    for _, one in TEXTS:
        own = text.tokenizer(one.strip(), add_special_tokens=False)["input_ids"]
        wanted = [*around.starts, *own, *around.ends] if spells else own
        message = [{"role": "assistant", "content": one}]
        spelled = tokenizer.apply_chat_template(message, tokenize=False)
        if any(tokenizer(spelled, add_special_tokens=special)["input_ids"] != wanted for special in (True, False)):
            return True
    return False


class Asked(NamedTuple):
    """What a folder is asked, and what the reward says to it."""

    prompts: Sequence[str]
    texts: Sequence[str]
    rewards: Floats  # [n]

    @classmethod
    def of(cls, reward: RecoveredReward, *, long: bool = True) -> Asked:
        """All of the texts; without ``long``, those that any window holds."""
        prompts, texts = zip(*(TEXTS if long else TEXTS[:-1]), strict=True)
        return cls(prompts, texts, np.array(reward(texts, prompts)))

    def difference(self, found: Floats, constant: float) -> float:
        """The largest difference between the rewards and what was found ``[n]``, with the constant added."""
        return float(np.abs(found + constant - self.rewards).max())

    def most(self) -> float:
        """The largest difference that is rounding."""
        return MOST * max(1.0, float(np.abs(self.rewards).max()))


def read_by_classifier(folder: Path, asked: Asked, *, code: bool) -> Iterator[tuple[str, Floats]]:
    """How a model folder is read, and what it says of the texts ``[n]``."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=code)  # our own file
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=code).eval()
    spelled = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}], tokenize=False
        )
        for prompt, text in zip(asked.prompts, asked.texts, strict=True)
    ]
    n = len(spelled)
    for how, side, at_once in (
        ("each alone", "right", 1),
        ("with padding on the right", "right", n),
        ("with padding on the left", "left", n),
    ):
        values: list[float] = []
        for start in range(0, n, at_once):
            batch = tokenizer(
                spelled[start : start + at_once],
                padding=True,
                padding_side=side,
                truncation=True,
                return_tensors="pt",
            )
            with torch.inference_mode():
                values += model(**batch).logits[:, 0].tolist()
        yield how, np.array(values)


def read_by_sentences(folder: Path, asked: Asked, joined: Joining) -> Iterator[tuple[str, Floats]]:
    """What a sentence-transformers folder says of the texts ``[n]``."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    texts = [join(joined, *both) for both in zip(asked.prompts, asked.texts, strict=True)]
    yield "in one batch", np.array(model.encode(texts, show_progress_bar=False))[:, 0].astype(np.float64)


def join(how: Joining, prompt: str, text: str) -> str:
    """What is read of a prompt and a completion, as the chat template of `fairl_bench.export.tokenizer` spells it."""
    text = text.strip()
    if how == "completion":
        return text
    if how == "space":
        return f"{prompt} {text}".strip()
    return prompt + (" " if prompt and text and not prompt[-1].isspace() else "") + text
