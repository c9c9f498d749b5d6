"""A causal language model in a folder: which ones are refused, how one is read, and which prompts it can continue.

Its own generation settings are read for their end tokens only.  The caller says how it samples.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fairl_bench.errors import DataError
from fairl_bench.science.endings import End, each_end, end_tokens
from fairl_bench.science.threads import set_threads

Tokens = list[list[int]]


def read(folder: Path, dtype: str = "float32", *, head: bool = True) -> tuple[Any, Any]:
    """The model, on the CPU and ready to be asked, and its tokenizer, which pads on the left.

    Weights that are missing are refused; without ``head`` those of the head alone may be.

    The model's `generation_config` names its special tokens and nothing else: a penalty, a beam or a temperature in
    the folder's file would act on whatever is drawn from it.  Raises `DataError` for what cannot be read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    set_threads()
    refuse(folder, f"the language model in {folder}")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
        # a folder is data, not code: weights are safetensors, trust_remote_code stays off
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            generation_config=_settings(),  # so that the file is not even looked at
            output_loading_info=True,
        )
    except Exception as error:  # the libraries raise a dozen kinds
        raise DataError(f"the language model in {folder} cannot be read: {first_line(error)}") from error
    model, loading = loaded
    body = f"{model.base_model_prefix}."
    if missing := sorted(name for name in loading["missing_keys"] if head or name.startswith(body)):
        raise DataError(
            f"the language model in {folder} lacks {len(missing)} of its weights, such as {missing[0]!r}, and would"
            " write at random; name a folder that a causal language model was saved in"
        )
    own = own_settings(folder).get("eos_token_id")
    settle(model, tokenizer, end_tokens(own, model.config, tokenizer, vocabulary(model)))
    return model.eval(), tokenizer


def settle(model: Any, tokenizer: Any, ends: Sequence[int]) -> None:
    """Give the model generation settings that name its special tokens and leave its distribution as it is."""
    model.generation_config = plain_settings(tokenizer, ends)


def plain_settings(tokenizer: Any, ends: Sequence[int]) -> Any:
    """Return generation settings of special tokens only; one end token as a number, several as a list."""
    end = None if not ends else ends[0] if len(ends) == 1 else list(ends)
    return _settings(bos_token_id=tokenizer.bos_token_id, eos_token_id=end, pad_token_id=tokenizer.pad_token_id)


def _settings(**fields: object) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(**fields)  # type: ignore[no-untyped-call]


def own_settings(folder: Path) -> dict[str, Any]:
    """Return what ``generation_config.json`` in the folder says, if anything.  Raises `DataError` for a broken one."""
    place = folder / "generation_config.json"
    if not place.is_file():
        return {}
    try:
        settings = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{place} cannot be read: {first_line(error)}; mend it, or remove it") from error
    if not isinstance(settings, dict):
        raise DataError(f"{place} needs a JSON object, got {type(settings).__name__}; mend it, or remove it")
    return settings


_SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
_SILENT = (
    "transformers_version",
    "use_cache",
    "cache_implementation",
    "return_dict_in_generate",
    "num_return_sequences",
)
_ONE = ("temperature", "top_p", "typical_p", "repetition_penalty", "length_penalty", "num_beams", "num_beam_groups")


def idle_settings(folder: Path) -> dict[str, Any]:
    """Return the settings in ``generation_config.json`` that would change how tokens are drawn; they have no effect."""
    return {
        name: value
        for name, value in own_settings(folder).items()
        if name not in (*_SPECIAL, *_SILENT) and not name.startswith(("_", "output_"))
        # None, false, 0 and an empty list ask for nothing
        if value and not (name in _ONE and value == 1)
    }


def refuse(folder: Path, what: str) -> None:
    """Raise `DataError` where a folder holds no complete causal language model with safe weights; ``what`` names it."""
    if (folder / "adapter_config.json").is_file():
        raise DataError(
            f"{what} is an adapter, which changes another model, and no model by itself; read it as 'pretrained' does,"
            " which adds it into that one"
        )
    pickled = next((path.name for end in ("bin", "pt", "pth", "ckpt") for path in sorted(folder.glob(f"*.{end}"))), "")
    if pickled and not any(folder.glob("*.safetensors")):
        raise DataError(
            f"{what} has its weights in {pickled}, which may run code when it is loaded, and holds no *.safetensors;"
            " save it again with save_pretrained of transformers, which writes safetensors"
        )
    for pattern, lacks in (("config.json", "configuration"), ("*.safetensors", "weights"), ("token*", "tokenizer")):
        if not any(folder.glob(pattern)):
            raise DataError(f"{what} has no {lacks}: {folder} holds no {pattern}; name one that does")
    own_settings(folder)
    _refuse_other_kinds(configuration(folder, what), what)


def configuration(folder: Path, what: str) -> Any:
    """Return the model's configuration.  Raises `DataError` where it cannot be read."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # every configuration has its own way to be broken
        raise DataError(f"{what} cannot be read: {first_line(error)}") from error


def _refuse_other_kinds(config: Any, what: str) -> None:
    """Raise `DataError` where transformers has no causal language model of this kind."""
    from transformers.models.auto import modeling_auto as known

    causal = known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    kind = config.model_type
    # the mapping has the decoders of some encoder-decoders, which are another model than the whole
    if getattr(config, "is_encoder_decoder", False):
        raise DataError(
            f"{what} is a {kind!r} of encoder and decoder, which answers a text rather than going on from it; name a"
            " causal one"
        )
    if kind not in causal:
        raise DataError(f"{what} is a {kind!r}, which writes no text; name a causal one")
    names = set(config.architectures or ())
    others = (
        known.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        known.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
        known.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
        known.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    )
    wrong = sorted(names & set().union(*map(_names, others)))
    if wrong and not names & _names(causal):
        raise DataError(f"{what} is a {wrong[0]}, which writes no text; name a causal one")


def _names(mapping: Any) -> set[str]:
    return {name for value in mapping.values() for name in ((value,) if isinstance(value, str) else value)}


def positions(config: Any) -> int | None:
    """How many tokens a text of prompt and completion can have at most; None where nothing bounds it.

    Rotary and ALiBi positions go on behind those that a model was trained with (`trained_positions`); a table of
    learnt ones has no more rows.
    """
    text = config.get_text_config()
    rotary = any(getattr(text, name, None) for name in ("rope_parameters", "rope_theta", "rope_scaling", "alibi"))
    return None if rotary else trained_positions(config)


def trained_positions(config: Any) -> int | None:
    """Return how many tokens a text of the training could have; None where the configuration names no number."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def prompt_tokens(
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    ends: End,
    vocabulary: int,
    longest: int | None,
    new: int,
    what: str = "the language model",
) -> Tokens:
    """The tokens of each prompt; an empty one is the model's BOS token, else its end token.

    Nothing is cut off.  Raises `DataError` for prompts that with ``new`` tokens more have over ``longest``, for tokens
    beyond the model's ``vocabulary``, for a tokenizer that ends each text, and for an empty prompt with nothing to
    begin at.
    """
    if not prompts:
        return []
    encoded = tokenizer(list(prompts), return_special_tokens_mask=True, verbose=False)
    every: Tokens = [list(ids) for ids in encoded["input_ids"]]
    _refuse_ended(every, encoded["special_tokens_mask"], ends, what)
    every = [ids or [_start(tokenizer, ends, what)] for ids in every]
    beyond = max(max(ids) for ids in every)
    if beyond >= vocabulary:
        row = next(i for i, ids in enumerate(every) if max(ids) >= vocabulary)
        raise DataError(
            f"{what} has {vocabulary} tokens, but its tokenizer reads the prompt {_short(prompts[row])!r} as token"
            f" {beyond}: the two do not belong together; give the model its own tokenizer"
        )
    lengths = [len(ids) for ids in every]
    if longest is not None and max(lengths) + new > longest:
        many = sum(length + new > longest for length in lengths)
        raise DataError(
            f"{what} has {longest} positions, but {many} of {len(prompts)} prompts with {new} new tokens need more"
            f" (the longest has {max(lengths)} tokens); shorten or leave out long prompts, or lower max_new_tokens"
        )
    return every


def _refuse_ended(every: Tokens, special: Sequence[Sequence[int]], ends: End, what: str) -> None:
    ending = set(each_end(ends))
    for ids, added in zip(every, special, strict=True):
        # a lone one begins the text: it is the BOS token, too
        if len(ids) > 1 and added[-1] and ids[-1] in ending:
            raise DataError(
                f"{what} has a tokenizer that puts an end token behind every text, after which nothing can follow; set"
                " 'add_eos_token: false' in its tokenizer_config.json"
            )


def _start(tokenizer: Any, ends: End, what: str) -> int:
    """Return the token that an empty prompt begins with."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id, *each_end(ends)):
        if token is not None:
            return int(token)
    raise DataError(
        f"{what} has neither a BOS nor an end token to begin an empty prompt at; leave out the empty prompts"
    )


def padding(tokenizer: Any, ends: Sequence[int], vocabulary: int) -> int:
    """Return a token to fill the shorter prompts of a batch with; any will do, since the mask hides it."""
    known = (tokenizer.pad_token_id, *ends, 0)
    return next(int(token) for token in known if token is not None and 0 <= token < vocabulary)


def vocabulary(model: Any) -> int:
    """Return how many tokens the model has an embedding for."""
    return int(model.get_input_embeddings().weight.shape[0])


def first_line(error: Exception) -> str:
    """Return the first line of a library's message."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
