"""Writes a tiny Llama, or Gemma 3, of a folder as a GGUF file, by the package gguf alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file
from transformers import AutoTokenizer

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def write_gguf(
    folder: Path,
    path: Path,
    *,
    architecture: str = "llama",
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    values: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    more: dict[str, np.ndarray[Any, Any]] | None = None,
) -> Path:
    """The model in a folder as a GGUF file; matrices are written as ``kind``, vectors as float32.

    ``values`` are entries of the header beside or in the place of the model's own, None leaves one out; ``without``
    are tensors to leave out, ``more`` others to add.
    """
    writer = gguf.GGUFWriter(path, architecture)
    config = json.loads((folder / "config.json").read_text())
    for name, value in (_values(folder, config, architecture) | (values or {})).items():
        _add(writer, name, value)
    weights = _weights(folder, config, architecture) | (more or {})
    for name, weight in weights.items():
        if name not in without:
            written = kind if weight.ndim > 1 else gguf.GGMLQuantizationType.F32
            data = weight if written.name == "F32" else gguf.quantize(weight, written)
            writer.add_tensor(name, data, raw_dtype=written)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, name: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(name, value)
    elif isinstance(value, int):
        writer.add_uint32(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    elif isinstance(value, str):
        writer.add_string(name, value)
    elif value is not None:
        writer.add_array(name, value)


def _values(folder: Path, config: dict[str, Any], architecture: str) -> dict[str, Any]:
    rope = config["rope_parameters"].get("full_attention", config["rope_parameters"])
    of_model = {
        "block_count": config["num_hidden_layers"],
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": config["head_dim"],
        "attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "attention.sliding_window": config.get("sliding_window"),
        "rope.freq_base": float(rope["rope_theta"]),
        "vocab_size": config["vocab_size"],
    }
    if architecture == "llama":
        of_model["rope.dimension_count"] = config["head_dim"]
    of_tokenizer = _byte_level(folder) if architecture == "llama" else pieces(config["vocab_size"])
    return {f"{architecture}.{name}": value for name, value in of_model.items()} | {
        f"tokenizer.ggml.{name}": value for name, value in of_tokenizer.items()
    }


def _byte_level(folder: Path) -> dict[str, Any]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = [tokenizer.convert_ids_to_tokens(i) for i in range(len(tokenizer))]
    return {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": tokens,
        "token_type": [CONTROL if i in tokenizer.all_special_ids else NORMAL for i in range(len(tokens))],
        "merges": [" ".join(pair) for pair in backend["model"]["merges"]],
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "padding_token_id": tokenizer.pad_token_id,
    }


def pieces(many: int) -> dict[str, Any]:
    """A vocabulary of pieces as Gemma has one: special tokens, bytes, then letters and pairs of letters."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    written = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz", "▁t", "th", "he"]
    tokens = [*special, *written, *letters]
    tokens += [f"<unused{i}>" for i in range(many - len(tokens))]
    types = [CONTROL, CONTROL, CONTROL, UNKNOWN, *[BYTE] * 256, *[NORMAL] * (many - 260)]
    return {
        "model": "llama",
        "pre": "default",
        "tokens": tokens,
        "scores": [-float(i) for i in range(many)],
        "token_type": types,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "unknown_token_id": 3,
        "padding_token_id": 0,
        "add_bos_token": True,
        "add_space_prefix": False,
    }


def _weights(folder: Path, config: dict[str, Any], architecture: str) -> dict[str, np.ndarray[Any, Any]]:
    known = gguf.get_tensor_name_map(_ARCHITECTURES[architecture], config["num_hidden_layers"])
    weights = {}
    for name, weight in load_file(folder / "model.safetensors").items():
        weight = weight.astype(np.float32)
        if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
            # the halves of a rotary head stand beside each other in ggml
            halves = weight.reshape(heads, 2, len(weight) // heads // 2, -1)
            weight = halves.swapaxes(1, 2).reshape(weight.shape)
        if architecture == "gemma3" and name.endswith("norm.weight"):
            weight = weight + 1
        weights[known.get_name(name, try_suffixes=(".weight",))] = weight
    return {name: np.ascontiguousarray(weight) for name, weight in weights.items() if name is not None}


_ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "gemma3": gguf.MODEL_ARCH.GEMMA3}
