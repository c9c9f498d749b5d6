"""A GGUF file as a folder of a language model: its weights as float32, written once, so that anything can start there.

transformers reads the file, with the help of the package gguf.  Three things that it leaves out of a file are put
right: whether a text begins at the start token, tokens that end a turn, and positions that are scaled.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from math import prod
from pathlib import Path
from typing import Any, Final

from fairl_bench.errors import DataError
from fairl_bench.science.continued_tokens import vocabulary_digest
from fairl_bench.science.endings import each_end
from fairl_bench.science.gguf_header import Header, read_header
from fairl_bench.science.gguf_positions import put_into, scaled_positions
from fairl_bench.science.language_model import first_line, refuse, settle

_ENDS: Final = ("eos_token_id", "eot_token_id", "eom_token_id")
# what llama.cpp takes for granted where a file does not say it
_STARTED: Final = ("llama-bpe", "llama3", "llama-v3", "falcon3", "tekken")
_PROBE: Final = "The reader's 2 dogs said: \"Où  est-il?\"\n\n\tI don't know, 12345."


def refuse_gguf(path: Path, what: str) -> Header:
    """The header of a GGUF file.  Raises `DataError` where no language model can be made of the file.

    Needs the package gguf; ``what`` names the model in messages.
    """
    header = read_header(path, what)
    if (parts := header.values.get("split.count", 1)) != 1:
        raise DataError(
            f"{what} is one of {parts} parts of a model; merge them (llama-gguf-split --merge) and name that"
        )
    if _plain(header.architecture) not in _architectures():
        raise DataError(
            f"{what} has the architecture {header.architecture!r}, which transformers does not read from GGUF; name a"
            " folder of safetensors of the model"
        )
    _refuse_weights(path, header, what)
    _refuse_vocabulary(header, what)
    scaled_positions(path, header, what)
    return header


def _plain(architecture: str) -> str:
    return architecture.replace("-", "").replace("_", "")


def _architectures() -> set[str]:
    """The architectures that transformers reads from GGUF, without hyphens, which it spells otherwise."""
    from transformers.integrations.gguf.gguf_config_mapping import GGUF_CONFIG_ARCHS
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    return {_plain(name) for name in (*GGUF_SUPPORTED_ARCHITECTURES, *GGUF_CONFIG_ARCHS)} - {"general", "tokenizer"}


def _refuse_weights(path: Path, header: Header, what: str) -> None:
    """Raise `DataError` for weights that are not all there, or written in a way that cannot be read."""
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

    if not header.tensors:
        raise DataError(f"{what} holds no weights; name a file that does")
    for kind in {tensor.kind for tensor in header.tensors.values()}:
        try:
            quantised = GGMLQuantizationType(kind)
            dequantize(np.zeros((1, GGML_QUANT_SIZES[quantised][1]), np.uint8), quantised)
        except (ValueError, NotImplementedError) as error:
            raise DataError(
                f"{what} has weights of kind {kind}, which the package gguf does not read: {first_line(error)}; name a"
                " file that is quantised otherwise, such as Q4_K_M or Q8_0"
            ) from error
    sizes = {int(kind): size for kind, size in GGML_QUANT_SIZES.items()}
    ends = (
        each.start + prod(each.shape) // sizes[each.kind][0] * sizes[each.kind][1] for each in header.tensors.values()
    )
    if (there := path.stat().st_size) < (whole := header.weights + max(ends)):
        raise DataError(f"{what} is cut short: it has {there:,} of {whole:,} bytes; fetch it again")


def _refuse_vocabulary(header: Header, what: str) -> None:
    """Raise `DataError` where there is no tokenizer, or one of other tokens than the model's."""
    tokens, embedding = header.values.get("tokenizer.ggml.tokens"), header.tensors.get("token_embd.weight")
    if not tokens or embedding is None:
        raise DataError(f"{what} holds no {'embedding' if tokens else 'tokenizer'}; name the file of a language model")
    if tokens > embedding.shape[0]:
        raise DataError(
            f"{what} has {embedding.shape[0]} tokens, but its tokenizer has {tokens}: the two do not belong together;"
            " fetch the file again, or convert the model anew"
        )


def file_ends(header: Header) -> tuple[int, ...]:
    """Return the tokens that end a text, a turn or a message, as the file names them, in order."""
    named = {end for name in _ENDS for end in each_end(header.values.get(f"tokenizer.ggml.{name}"))}
    return tuple(sorted(named & set(range(header.values.get("tokenizer.ggml.tokens") or 0))))


def begins(header: Header) -> bool:
    """Return whether a text begins at the start token."""
    kind, split = (header.values.get(f"tokenizer.ggml.{name}") for name in ("model", "pre"))
    return bool(header.values.get("tokenizer.ggml.add_bos_token", kind == "llama" or split in _STARTED))


def dequantise(path: Path, folder: Path, what: str) -> Mapping[str, int | str]:
    """Write the model of a GGUF file into a folder, as `save_pretrained` does, in float32; its size, and how it was.

    Raises `DataError` where transformers cannot read the file, or finds weights missing.
    """
    header = refuse_gguf(path, what)
    model, tokenizer = _read(path, header, what), file_tokenizer(path, what)
    ends = file_ends(header)
    settle(model, tokenizer, ends)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    refuse(folder, what)
    _refuse_tokenizer(folder, tokenizer, header, what)
    return {"parameters": sum(weight.numel() for weight in model.parameters()), "quantised": _kinds(header)}


def file_tokenizer(path: Path, what: str) -> Any:
    """The tokenizer of a file, which begins texts as the model's own runtime does, and ends none."""
    from transformers import PreTrainedTokenizerFast

    header = read_header(path, what)
    with _alone(path) as place, _told(what):
        # not by way of `AutoTokenizer`, which takes as long again to learn the architecture
        tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(**place)
        tokenizer.add_bos_token, tokenizer.add_eos_token = begins(header), False
        if header.values.get("tokenizer.ggml.pre") in _STARTED:
            tokenizer.backend_tokenizer.model.ignore_merges = True  # a word that is a token is that token
    return tokenizer


def file_configuration(path: Path, header: Header, what: str) -> Any:
    """The configuration of a file's model, which takes seconds where the vocabulary is large."""
    from transformers import AutoConfig

    with _alone(path) as place, _told(what):
        config = AutoConfig.from_pretrained(**place)
    put_into(config, scaled_positions(path, header, what))
    return config


def _read(path: Path, header: Header, what: str) -> Any:
    """The model of a file, plain as if it had never been quantised."""
    import torch
    from transformers import AutoModelForCausalLM

    from fairl_bench.science.threads import set_threads

    set_threads()
    config = file_configuration(path, header, what)
    with _alone(path) as place, _told(what):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            **place, config=config, dtype=torch.float32, output_loading_info=True
        )
    model, loading = loaded
    if missing := sorted(loading["missing_keys"]):
        raise DataError(
            f"{what} lacks {len(missing)} of its model's weights, such as {missing[0]!r}, as transformers reads it;"
            " name a folder of safetensors of the model"
        )
    # it could neither be saved nor trained as quantised
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model


@contextmanager
def _alone(path: Path) -> Iterator[dict[str, Any]]:
    """How transformers is told to read a file, in a folder without others, which it would read too."""
    with tempfile.TemporaryDirectory(prefix="fairl-bench-") as room:
        link = Path(room, "model.gguf")
        link.symlink_to(path.resolve())
        yield {"pretrained_model_name_or_path": room, "gguf_file": link.name, "trust_remote_code": False}


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what goes wrong while transformers reads a file into a `DataError`."""
    try:
        with redirect_stderr(StringIO()):  # a progress bar that nothing turns off
            yield
    except Exception as error:  # the libraries raise a dozen kinds
        raise DataError(f"{what} cannot be read by transformers: {first_line(error)}") from error


def _refuse_tokenizer(folder: Path, tokenizer: Any, header: Header, what: str) -> None:
    """Raise `DataError` where the saved tokenizer is another one, or begins texts otherwise than the file says."""
    from transformers import AutoTokenizer

    with _told(what):
        saved: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        before, after = (list(each(_PROBE)["input_ids"]) for each in (tokenizer, saved))
    same = before == after and vocabulary_digest(tokenizer) == vocabulary_digest(saved)
    if not same or (after[0] == saved.bos_token_id) != begins(header):
        raise DataError(
            f"{what} has a tokenizer that is not the same once transformers has saved it; name a folder of safetensors"
            " of the model"
        )


def _kinds(header: Header) -> str:
    """Return how the weights are written, the most frequent way first, such as ``Q4_K F32``."""
    from gguf import GGMLQuantizationType

    many = Counter[int]()
    for tensor in header.tensors.values():
        many[tensor.kind] += prod(tensor.shape)
    return " ".join(GGMLQuantizationType(kind).name for kind, _ in many.most_common())
