"""How a GGUF file scales the rotary positions of its model, in the words of transformers, which does not read it there.

Files of Llama 3 hold a divisor of each frequency; others say by what number all positions are divided.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairl_bench.errors import DataError
from fairl_bench.science.gguf_header import Header

DIVISORS: Final = "rope_freqs.weight"
_LONG: Final = ("rope_factors_long.weight", "rope_factors_short.weight")
# the numbers of every Llama from 3.1 on; `factor` is 8 there, and 32 in the small ones
_LLAMA: Final = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def scaled_positions(path: Path, header: Header, what: str) -> dict[str, Any]:
    """The settings of the scaling, such as ``{"rope_type": "linear", "factor": 8.0}``; empty where nothing is scaled.

    Raises `DataError` for a scaling that cannot be told to transformers; ``what`` names the model.
    """
    kind, factor = header.of_model("rope.scaling.type"), header.of_model("rope.scaling.factor")
    if DIVISORS in header.tensors:
        return _of_llama(path, header, what)
    if any(name in header.tensors for name in _LONG) or kind not in (None, "none", "linear"):
        if header.architecture == "gpt-oss":  # the one whose scaling transformers reads
            return {}
        raise _lost(what, f"scales its positions by {kind or 'factors of long and short texts'!r}")
    if kind == "none" or factor is None or factor == 1:
        return {}
    return {"rope_type": "linear", "factor": float(factor)}


def _of_llama(path: Path, header: Header, what: str) -> dict[str, Any]:
    """The settings of Llama 3 that give the divisors in the file."""
    there = _divisors(path, header)
    factor = float(there.max())
    base, n = float(header.of_model("rope.freq_base") or 10000.0), len(there)
    frequency = base ** -(np.arange(n) / n)
    if not np.allclose(llama_divisors(frequency, factor), there, rtol=1e-3):
        raise _lost(what, "has frequencies of its positions that are none of Llama 3")
    return {"rope_type": "llama3", "factor": factor, **_LLAMA}


def llama_divisors(frequency: np.ndarray[Any, Any], factor: float) -> np.ndarray[Any, Any]:
    """The number that Llama 3 divides each rotary frequency by ``[n]`` (radians a token): 1 of high ones, else more.

    Between the two wavelengths 8192 / 4 and 8192 / 1 tokens the inverse goes from 1 to 1 / factor in a straight line.
    """
    turns = _LLAMA["original_max_position_embeddings"] * frequency / (2 * math.pi)
    low, high = _LLAMA["low_freq_factor"], _LLAMA["high_freq_factor"]
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return np.asarray(1 / ((1 - smooth) / factor + smooth))


def _divisors(path: Path, header: Header) -> np.ndarray[Any, Any]:
    tensor = header.tensors[DIVISORS]  # always float32
    with path.open("rb") as file:
        file.seek(header.weights + tensor.start)
        return np.frombuffer(file.read(4 * tensor.shape[0]), "<f4").astype(np.float64)


def _lost(what: str, fault: str) -> DataError:
    return DataError(
        f"{what} {fault}, which transformers does not read from GGUF; name a folder of safetensors of the model"
    )


def put_into(config: Any, scaled: dict[str, Any]) -> None:
    """Put the settings of a scaling into a configuration; where layers differ, into that of the global ones."""
    if not scaled:
        return
    own = config.rope_parameters
    if "full_attention" in own:
        config.rope_parameters = {**own, "full_attention": {**own["full_attention"], **scaled}}
    else:
        config.rope_parameters = {**own, **scaled}
