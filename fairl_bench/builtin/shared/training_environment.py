"""The surroundings of training a language model: device, precision, random seeds, and quiet libraries."""

from __future__ import annotations

import copy
import logging
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from fairl_bench.errors import MissingExtra
from fairl_bench.science.streams import stream
from fairl_bench.values.number_format import NUMBERS

Device = Literal["cpu", "cuda"]

NO_TOKEN = -1
"""Stands for an end token where a trainer wants one and the model has none: it is never drawn."""

DEVICE = "where it trains; on another, other numbers are drawn"
PRECISION = f"of the products; weights stay float32; {NUMBERS}"


def check_device(device: Device, what: str) -> None:
    """Raise `MissingExtra` where ``what`` is to train on a GPU and torch sees none."""
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise MissingExtra(f"{what} is to train on 'cuda', but torch sees no GPU here; set 'device: cpu'")


def with_tokens(tokenizer: Any, pad: int, ends: Sequence[int]) -> Any:
    """Return a copy of a tokenizer with these padding and end tokens, whatever its files say.

    Special tokens stay as they are: an ordinary token made special would be left out of the texts.
    """
    kind = type(tokenizer)
    own = tokenizer.eos_token_id
    end = own if own in ends else ends[0] if ends else NO_TOKEN
    named = copy.deepcopy(tokenizer)
    # above the attributes that the library looks up among the special tokens
    named.__class__ = type(kind.__name__, (kind,), {"pad_token_id": pad, "eos_token_id": end})
    return named


@contextmanager
def seeded(purpose: str, *numbers: int) -> Iterator[int]:
    """Seed Python's, NumPy's and torch's global generators for one purpose; give the seed; put all back afterwards."""
    import torch

    seed = int(stream(purpose, *numbers).integers(2**31))
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield seed
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the libraries: no progress bars, warnings or notes, and nothing sent to their makers."""
    from huggingface_hub import constants
    from transformers.utils import logging as transformers_logging

    level, bars, telemetry = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
        constants.HF_HUB_DISABLE_TELEMETRY,
    )
    others = {name: logging.getLogger(name) for name in ("trl", "accelerate", "datasets")}
    levels = {name: logger.level for name, logger in others.items()}
    try:
        constants.HF_HUB_DISABLE_TELEMETRY = True
        transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        for logger in others.values():
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = telemetry
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        for name, logger in others.items():
            logger.setLevel(levels[name])
