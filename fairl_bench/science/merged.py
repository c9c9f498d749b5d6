"""A low-rank or other adapter of a language model, added into its weights, so that the whole lies in one folder.

peft reads the adapter.  Base and adapter are added up in float32 and written so: in bfloat16 the sum would lose most of
a small adapter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from fairl_bench.errors import DataError
from fairl_bench.science.endings import end_tokens
from fairl_bench.science.language_model import first_line, read, settle, vocabulary

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
_PICKLED: Final = "adapter_model.bin"
_NEAR: Final = 1e-3  # of the largest logit: sums of float32 in another order


def adapter_settings(folder: Path, what: str) -> Mapping[str, Any]:
    """Return what ``adapter_config.json`` says.  Raises `DataError` for a broken one; ``what`` names the adapter."""
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{what} has an {CONFIG} that cannot be read: {first_line(error)}; save it again") from error
    if not isinstance(settings, dict):
        raise DataError(f"{what} has an {CONFIG} that holds no JSON object; save the adapter again")
    return settings


def refuse_adapter(folder: Path, what: str) -> None:
    """Raise `DataError` where a folder holds no adapter that can be added into a causal language model.

    Needs peft; ``what`` names the adapter in messages.
    """
    from peft import PEFT_TYPE_TO_TUNER_MAPPING, PeftType

    settings = adapter_settings(folder, what)
    kind, task = settings.get("peft_type"), settings.get("task_type")
    known = {str(name.value): tuner for name, tuner in PEFT_TYPE_TO_TUNER_MAPPING.items()}
    if not hasattr(known.get(str(kind)), "merge_and_unload"):
        fault = "does not know" if kind not in {name.value for name in PeftType} else "cannot add into the weights"
        raise DataError(
            f"{what} is an adapter of kind {kind!r}, which peft {fault}; name one of LoRA, or a whole model"
        )
    if task not in (None, "CAUSAL_LM"):
        raise DataError(f"{what} is an adapter for {task!r}, which writes no text; name one of a causal language model")
    if settings.get("megatron_config"):
        raise DataError(f"{what} is an adapter of Megatron, whose code would be loaded; merge it, and name the result")
    if not (folder / WEIGHTS).is_file():
        pickled = f"has its weights in {_PICKLED}, which may run code when it is loaded, and"
        raise DataError(
            f"{what} {pickled if (folder / _PICKLED).is_file() else 'is an adapter that'} holds no {WEIGHTS}; save it"
            " again with save_pretrained of peft, which writes safetensors"
        )


def merge(base: Path, adapter: Path, folder: Path, what: str) -> Mapping[str, int | str]:
    """Write a base with its adapter added in, as `save_pretrained` does, in float32; its size, and the adapter's kind.

    The tokenizer is the adapter's, or the base's where it has none.  Raises `DataError` for an adapter that does not
    fit the base.
    """
    refuse_adapter(adapter, what)
    model, tokenizer = read(base)
    if any(adapter.glob("tokenizer*")):
        tokenizer = _tokenizer(adapter, model.config, what)
    ends = end_tokens(model.generation_config.eos_token_id, model.config, tokenizer, vocabulary(model))
    wrapped = _wrapped(model, adapter, base, what)
    probe = torch.arange(min(16, vocabulary(model)))[None]
    with torch.inference_mode():
        expected = wrapped(probe).logits
    try:
        model = wrapped.merge_and_unload(safe_merge=True)
    except Exception as error:  # weights that are not finite, or a layer that nothing can be added to
        raise DataError(f"{what} cannot be added into its base in {base}: {first_line(error)}") from error
    _tie(model)
    settle(model, tokenizer, ends)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    parameters = sum(weight.numel() for weight in model.parameters())
    del model, wrapped
    _refuse_another(folder, probe, expected, what)
    return {"parameters": parameters, "adapter": str(adapter_settings(adapter, what)["peft_type"])}


def _tokenizer(adapter: Path, config: Any, what: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(adapter, config=config, trust_remote_code=False)
    except Exception as error:  # every tokenizer has its own way to be broken
        raise DataError(f"the tokenizer of {what} cannot be read: {first_line(error)}") from error


def _wrapped(model: Any, adapter: Path, base: Path, what: str) -> Any:
    """Return the model with the adapter beside its weights.  Raises `DataError` where the two do not fit."""
    from peft import PeftConfig, PeftModelForCausalLM
    from safetensors.torch import load_file

    hint = f"so that it does not fit its base in {base}; name the model that it was trained on as its 'base'"
    try:
        weights = load_file(adapter / WEIGHTS)
        _resize(model, weights)
        _untie(model)
        wrapped = PeftModelForCausalLM(model, PeftConfig.from_pretrained(str(adapter)))
        found = wrapped.load_adapter(str(adapter), "default", torch_device="cpu", is_trainable=False)
    except Exception as error:  # peft raises a dozen kinds
        lines = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        raise DataError(f"{what} cannot be read by peft ({(lines or [first_line(error)])[0]:.120}), {hint}") from error
    if found.missing_keys or found.unexpected_keys:
        fault = "lacks" if found.missing_keys else "has weights that its base has no place for, such as"
        raise DataError(f"{what} {fault} {(found.missing_keys or found.unexpected_keys)[0]!r:.120}, {hint}")
    return wrapped.eval()


def _resize(model: Any, weights: Mapping[str, Any]) -> None:
    """Give the model as many tokens as an adapter has that was trained with added ones."""
    embedding = model.get_input_embeddings()
    name = next(name for name, module in model.named_modules() if module is embedding)
    of_embedding = f"base_model.model.{name}."
    rows = [len(weight) for key, weight in weights.items() if key.startswith(of_embedding) and key.endswith("weight")]
    if rows and rows[0] > vocabulary(model) and "lora" not in name:
        model.resize_token_embeddings(rows[0], mean_resizing=False)


def _untie(model: Any) -> None:
    """Give the head weights of its own: what is added to a tied one would be added to the embedding as well."""
    read, written = model.get_input_embeddings(), model.get_output_embeddings()
    if written is not None and written.weight is read.weight:
        written.weight = torch.nn.Parameter(read.weight.detach().clone())
        _say_tied(model, False)


def _tie(model: Any) -> None:
    """Let the head and the embedding be one again where they are equal."""
    read, written = model.get_input_embeddings(), model.get_output_embeddings()
    if written is not None and torch.equal(read.weight, written.weight):
        written.weight = read.weight
        _say_tied(model, True)


def _say_tied(model: Any, tied: bool) -> None:
    for config in {id(each): each for each in (model.config, model.config.get_text_config())}.values():
        config.tie_word_embeddings = tied


def _refuse_another(folder: Path, probe: Any, expected: Any, what: str) -> None:
    """Raise `DataError` where the model that was saved is not the base with its adapter."""
    saved, _ = read(folder)
    with torch.inference_mode():
        apart = (saved(probe).logits - expected).abs().max() / expected.abs().max()
    if not apart <= _NEAR:
        raise DataError(
            f"{what} is another model once it is added into its base and saved (its logits differ by {apart:.0%});"
            " merge it yourself (merge_and_unload of peft), save the result and name its folder"
        )
