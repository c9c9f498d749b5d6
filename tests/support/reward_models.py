"""Rewards on random tiny language models of several architectures, each with a tokenizer of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from fairl_bench.builtin.encoders.causal_lm import CausalLM
from fairl_bench.builtin.encoders.sentence_transformer import SentenceTransformer
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.methods.pairwise import MaxEntropy
from fairl_bench.builtin.methods.reward_model import RewardModel
from fairl_bench.builtin.methods.scalar_model import scalar_model
from fairl_bench.builtin.shared.training_environment import quiet
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.toy.grammar import comments
from fairl_bench.values.training import Reward

D, WIDTH = 32, 6
Embed = Literal["completion", "prompt+completion"]


def texts(n: int) -> tuple[list[str], list[str]]:
    """Prompts and completions of the toy world: each comment cut after its third word."""
    words = [comment.text.split() for comment in comments(n, np.random.default_rng(3))]
    return [" ".join(one[:3]) for one in words], [" ".join(one[3:]) for one in words]


def language_model(folder: Path, architecture: str, *, bos: bool = False, padding: bool = False) -> Path:
    """A random model of two blocks × 32 and a byte-level tokenizer, which may put a start before every text."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", *(["<pad>"] if padding else [])]
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(texts(200)[1], trainer)
    names = {"eos_token": "</s>", **({"pad_token": "<pad>"} if padding else {})}
    if bos:
        names["bos_token"] = "<s>"
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)  # type: ignore[no-untyped-call]
    shape: dict[str, Any] = {"vocab_size": tokenizer.get_vocab_size(), "hidden_size": D, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 4, "max_position_embeddings": 512, "initializer_range": 0.3}
    group = {"intermediate_size": 48, "num_key_value_heads": 2}
    config = {
        "gpt2": lambda: transformers.GPT2Config(**shape),  # positions are learnt
        "gpt-neox": lambda: transformers.GPTNeoXConfig(**shape, intermediate_size=48),
        "llama": lambda: transformers.LlamaConfig(**shape, **group),
        "gemma3": lambda: transformers.Gemma3TextConfig(
            **shape, **group, head_dim=8, sliding_window=8, sliding_window_pattern=2
        ),
    }[architecture]()
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def head(width: int | None = None, d: int = D) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32) / np.float32(np.sqrt(d))

    if width is None:
        return {"weight": drawn(d), "bias": np.float32(0.7) * np.ones((), np.float32)}
    two = {"hidden.weight": drawn(d, width), "hidden.bias": drawn(width)}
    return {**two, "weight": drawn(width), "bias": np.full((), 0.7, np.float32)}


def of_states(folder: Path, *, width: int | None = None, embed: Embed = "prompt+completion", **fields: Any) -> Any:
    """A reward on the states of a language model."""
    lm = Pretrained.named("pretrained", model=str(folder))
    encoder = CausalLM.named("causal-lm", lm=lm, workers=1, **fields)
    method = MaxEntropy.named("max-entropy")
    return RecoveredReward(method, encoder, Reward(head(width)), embed, upstream={"lm": folder}, name="mine")


def fine_tuned(folder: Path, **fields: Any) -> RecoveredReward:
    """A reward model whose weights are random."""
    lm = Pretrained.named("pretrained", model=str(folder))
    method = RewardModel.named("reward-model", lm=lm, **fields)
    torch.manual_seed(1)
    with quiet():
        scalar = scalar_model(folder, "the model", method.max_length, method.lora if method.train == "lora" else None)
    arrays = scalar.arrays()
    rng = np.random.default_rng(2)
    moved = {
        name: array + rng.normal(size=array.shape).astype(np.float32) * np.float32(0.05)
        for name, array in arrays.items()
    }
    return RecoveredReward(method, None, Reward(moved), name="mine", method_upstream={"lm": folder})


def of_sentences(*, width: int | None = 64, embed: Embed = "completion", **fields: Any) -> RecoveredReward:
    """A reward on the vectors of all-MiniLM-L6-v2."""
    encoder = SentenceTransformer.named("sentence-transformer", workers=1, **fields)
    return RecoveredReward(MaxEntropy.named("max-entropy"), encoder, Reward(head(width, 384)), embed, name="mine")
