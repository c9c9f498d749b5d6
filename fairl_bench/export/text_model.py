"""The transformers model behind a recovered reward: how it makes a vector of a text, and the head on that vector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import DataError
from fairl_bench.kinds.method import Method
from fairl_bench.reward.function import RecoveredReward

Pooling = Literal["mean", "weighted-mean", "last", "first"]
Joining = Literal["completion", "space", "joint"]
"""What is read: the completion alone; prompt and completion with a space between; the same, but no second space."""


class TextModel(NamedTuple):
    """A transformers model without its head, and how it makes a vector of a text.

    The vector is that of the hidden states after ``layer`` (0: the input embeddings, -1: the last one, after the final
    norm), pooled over the tokens.  ``last`` and ``first`` are of all tokens; a mean is over all, or over the text's
    ``own``, without those that the tokenizer adds; ``weighted-mean`` weighs by position, 1 to n.
    """

    body: Any  # on the CPU, in float32
    tokenizer: Any
    pooling: Pooling
    longest: int  # most tokens that are read
    layer: int = -1
    counted: Literal["own", "all"] = "all"
    normalise: bool = False  # to unit length
    end: int | None = None  # a token behind those of the tokenizer
    loses: Literal["end", "beginning"] = "end"  # what of a longer text is not read
    dtype: str = "float32"  # what the run computed in


class Head(NamedTuple):
    """A fitted head on vectors ``[n, d]``: linear, or two layers with a ReLU between."""

    weight: NDArray[np.float32]  # [d], or [width]
    bias: float
    hidden_weight: NDArray[np.float32] | None = None  # [d, width]
    hidden_bias: NDArray[np.float32] | None = None  # [width]

    @property
    def width(self) -> int | None:
        """The hidden units; None for a linear head."""
        return None if self.hidden_weight is None else self.hidden_weight.shape[1]

    def layers(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """The weight ``[out, in]`` and the bias ``[out]`` of each layer, as torch's linear layers have them."""
        top = (np.array(self.weight[None], np.float32), np.array([self.bias], np.float32))
        if self.hidden_weight is None or self.hidden_bias is None:
            return [top]
        # copies in their own order: torch takes neither what is read-only nor what is strided backwards
        return [(np.array(self.hidden_weight.T, np.float32, order="C"), np.array(self.hidden_bias, np.float32)), top]


def joining(reward: RecoveredReward) -> Joining:
    """What the reward reads of a prompt and a completion, and what stands between them."""
    if not reward.reads_prompts:
        return "completion"
    return "joint" if reward.encoder is None else "space"


def head_of(reward: RecoveredReward) -> Head:
    """The head that a reward of vectors is.  Raises `DataError` for a method whose score is something else."""
    method, arrays = reward.method, reward.reward.kept().arrays
    if type(method).score is not Method.score or not method.reads_vectors:
        raise DataError(
            f"method {method.use!r} is no head on the vectors of an encoder, so that no model folder can hold it; use "
            "the reward by load_reward, or over HTTP by 'fairl-bench serve'"
        )
    hidden = (arrays["hidden.weight"], arrays["hidden.bias"]) if "hidden.weight" in arrays else (None, None)
    return Head(arrays["weight"], float(arrays["bias"]), *hidden)


def text_model(reward: RecoveredReward) -> tuple[TextModel, Head]:
    """The model that a reward reads texts by, and its head.

    Raises `DataError` for a reward that is not the head of a transformers model's states, with what to do instead.
    """
    from fairl_bench.builtin.encoders.causal_lm import CausalLM
    from fairl_bench.builtin.encoders.sentence_transformer import SentenceTransformer
    from fairl_bench.builtin.methods.reward_model import RewardModel

    if isinstance(reward.method, RewardModel):
        return _fine_tuned(reward.method, reward)
    head = head_of(reward)
    if isinstance(reward.encoder, CausalLM):
        return _of_language_model(reward.encoder, reward.upstream["lm"]), head
    if isinstance(reward.encoder, SentenceTransformer):
        return _of_sentences(reward.encoder), head
    raise DataError(
        f"encoder {reward.encoder and reward.encoder.use!r} has no transformers model whose folder could be written; "
        "fit the reward on the vectors of a 'causal-lm' or a 'sentence-transformer', or use it by load_reward or "
        "'fairl-bench serve'"
    )


def folder_of(reward: RecoveredReward) -> Path | None:
    """The folder of the language model that a reward starts from or reads; None where there is none."""
    place = reward.method_upstream.get("lm") if reward.encoder is None else reward.upstream.get("lm")
    return None if place is None else Path(place)


def _of_language_model(encoder: Any, folder: Path | None) -> TextModel:
    """The model of a ``causal-lm``, without its head.  Raises `DataError` where it has no weights here."""
    from fairl_bench.science.language_model import read

    if folder is None or not (folder / "config.json").is_file():
        raise DataError(f"encoder 'causal-lm': language model {encoder.lm.use!r} has no weights on this machine")
    whole, tokenizer = read(folder, head=False)
    config = whole.base_model.config.get_text_config()
    blocks = config.num_hidden_layers
    layer = encoder._layer(blocks)
    return TextModel(
        whole.base_model.eval(),
        tokenizer,
        encoder.pooling,
        min(encoder.max_length, getattr(config, "max_position_embeddings", None) or encoder.max_length),
        layer=-1 if layer == blocks else layer,
        counted="own",
        normalise=encoder.normalise,
        dtype=encoder.dtype,
    )


_POOLS: dict[str, Pooling] = {"mean": "mean", "cls": "first", "lasttoken": "last", "weightedmean": "weighted-mean"}


def _of_sentences(encoder: Any) -> TextModel:
    """The transformer of a ``sentence-transformer``.  Raises `DataError` where more than a pool and a norm follow."""
    model = sentence_transformer(encoder)
    first, *others = model
    kinds = [type(module).__name__ for module in others]
    mode = getattr(others[0], "pooling_mode", None) if others else None  # a name, or several
    pooling = _POOLS.get(mode) if isinstance(mode, str) and kinds in (["Pooling"], ["Pooling", "Normalize"]) else None
    body = getattr(first, "auto_model", None)
    if pooling is None or body is None or model.default_prompt_name is not None:
        raise DataError(
            f"encoder {encoder.use!r}: its model is of {', '.join([type(first).__name__, *kinds])}, and a folder for "
            "transformers holds a Transformer with one Pooling (mean, cls, lasttoken or weightedmean) and a Normalize, "
            "without a prompt of its own; export it with --to sentence-transformers"
        )
    longest = model.max_seq_length or body.config.max_position_embeddings
    return TextModel(
        body.eval(), model.tokenizer, pooling, longest, normalise="Normalize" in kinds, dtype=encoder.dtype
    )


def sentence_transformer(encoder: Any) -> Any:
    """The model of a ``sentence-transformer`` in float32, on the CPU, shared with nobody."""
    from fairl_bench.builtin.encoders.sentence_transformer import _loaded

    return _loaded.__wrapped__(*encoder._found(), "float32")


def _fine_tuned(method: Any, reward: RecoveredReward) -> tuple[TextModel, Head]:
    """The body of a ``reward-model`` with what was trained, an adapter added in, and its scalar head."""
    from fairl_bench.builtin.methods.reward_model import _Fitted, _rebuilt

    arrays: Mapping[str, Any] = reward.reward.kept().arrays
    scalar = _rebuilt.__wrapped__(_Fitted(method, Path(reward.method_upstream["lm"]), arrays))
    model = scalar.model.cpu()
    whole = model.merge_and_unload() if hasattr(model, "peft_config") else model
    body = f"{whole.base_model_prefix}."
    ((_, weight),) = [found for found in whole.named_parameters() if not found[0].startswith(body)]
    text = TextModel(whole.base_model, scalar.tokenizer, "last", scalar.longest, end=scalar.end, loses="beginning")
    return text, Head(weight.detach().numpy()[0].copy(), 0.0)
