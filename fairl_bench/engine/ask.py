"""What is asked of a language model: which prompts, how often each."""

from __future__ import annotations

import numpy as np

from fairl_bench import answers
from fairl_bench.data import Asked, Sampling
from fairl_bench.errors import DataError
from fairl_bench.kinds import Prompts
from fairl_bench.science.streams import stream


def ask(
    prompts: Prompts, n: int, sampling: Sampling, voice: str, replicate: int, *, each: int = 1, occasion: str = ""
) -> Asked:
    """``n`` completions, ``each`` of a prompt: draw 0 of every prompt, then draw 1, and so on.

    Raises `DataError` without a prompt.
    """
    rng = stream(f"prompts/{occasion}" if occasion else "prompts", replicate)
    texts = answers.prompts(prompts, prompts.texts(-(-n // each), rng))
    if not texts:
        raise DataError(f"prompts {prompts.use!r} hold no text to go on from")
    row, draw = np.arange(n) % len(texts), np.arange(n) // len(texts)
    return Asked(tuple(texts[i] for i in row), tuple(row.tolist()), tuple(draw.tolist()), sampling, voice, replicate)
