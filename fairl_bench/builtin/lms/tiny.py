"""A language model trained from scratch, small enough for one core."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from fairl_bench.builtin.shared.training_environment import (
    DEVICE,
    PRECISION,
    Device,
    check_device,
    quiet,
    seeded,
)
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.source import TestSet
from fairl_bench.progress import report
from fairl_bench.science.streams import stream
from fairl_bench.values.data import Rows
from fairl_bench.values.language_models import Model, Site
from fairl_bench.values.number_format import NumberFormat

if TYPE_CHECKING:
    from fairl_bench.science.pretraining import Recipe

END, PAD = "<|endoftext|>", "<|pad|>"
_LEAST = 256 + 2  # every byte and the two special tokens
_ARCHITECTURES = {"gpt-neox": "gpt_neox", "llama": "llama", "gemma3": "gemma3_text"}


class TinyLM(LM):
    """A causal language model and its byte-level BPE, trained from scratch on a corpus.

    It learns to go on from any place of the corpus, whose texts (prompt and completion, where they have both) are
    joined by the end of text.  The facts hold its perplexity a token on texts that it has not seen.
    """

    drawn: ClassVar[bool] = True

    corpus: TestSet = Field(description="the texts to learn from; their truth is not read")
    architecture: Literal["gpt-neox", "llama", "gemma3"] = "gpt-neox"
    layers: int = Field(2, ge=1, description="transformer blocks")
    width: int = Field(128, ge=8, description="width of the hidden states; the inner layer is four times as wide")
    heads: int = Field(4, ge=1, description="number of attention heads, which share the width")
    vocab: int = Field(
        1024, ge=_LEAST, description="number of tokens, the 256 bytes among them; fewer if the corpus has fewer"
    )
    context: int = Field(128, ge=8, description="most tokens of a text")
    steps: int = Field(250, ge=1, description="updates of the weights")
    batch: int = Field(32, ge=1, description="windows in a step")
    length: int = Field(64, ge=2, description="tokens in a window")
    lr: float = Field(
        6e-3, gt=0, description="highest learning rate, between a linear warm-up and half a cosine down to 0"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="length of the warm-up, as a share of the steps")
    held_out: float = Field(
        0.05, gt=0, lt=1, description="share of the texts that are not learnt from and measure the perplexity"
    )
    device: Device = Field("cpu", description=DEVICE)
    precision: NumberFormat = Field("float32", description=PRECISION)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is no even multiple of {self.heads} heads")
        if self.length > self.context:
            raise ValueError(f"length {self.length} exceeds the context of {self.context} tokens")
        return self

    def check(self) -> None:
        """Check the corpus and the device."""
        self.corpus.check()
        check_device(self.device, f"language model {self.use!r}")

    def weights(self) -> int:
        """Return how many there are in its matrices."""
        return 12 * self.layers * self.width**2 + 2 * self.vocab * self.width

    def operations(self) -> float:
        """Return six a weight and token, for both directions."""
        return 6.0 * self.weights() * self.steps * self.batch * self.length

    def make(self, site: Site) -> Model:
        """Train the model; one replicate gives the same weights again, interrupted or not (on the CPU)."""
        from fairl_bench.science.pretraining import perplexity
        from fairl_bench.science.threads import set_threads

        set_threads()
        train, unseen = self._texts(site.replicate)
        with quiet(), seeded("tiny-lm", site.replicate):
            tokenizer = _tokenizer(train, self.vocab, self.context)
            tokens = _stream(tokenizer, train)
            model = self._model(tokenizer).to(self.device)
            losses = self._pretrain(model, tokens, site)
            surprise = perplexity(model, _stream(tokenizer, unseen), self._recipe())
            model.save_pretrained(site.folder)
            tokenizer.save_pretrained(site.folder)
        facts: dict[str, float | int] = {"steps": self.steps, "loss": _end(losses), "perplexity": surprise}
        facts |= {"texts": len(train), "tokens": len(tokens), "vocabulary": len(tokenizer)}
        facts["parameters"] = sum(weight.numel() for weight in model.parameters())
        return Model(site.folder, facts)

    def _pretrain(self, model: Any, tokens: Rows, site: Site) -> list[float]:
        """Train the model in place and return the loss of each step."""
        from fairl_bench.science.pretraining import pretrain

        if len(tokens) <= self.length:
            raise DataError(
                f"language model {self.use!r} reads {self.length} tokens at once, but its corpus has"
                f" {len(tokens)}; give it more texts"
            )

        def draw(step: int) -> np.random.Generator:
            return stream("tiny-lm/windows", site.replicate, step)

        def report_step(step: int, loss: float) -> None:
            report(step, self.steps, f"step {step} of {self.steps}, loss {loss:.2f}")

        return pretrain(model, tokens, self._recipe(), draw, site.scratch / "pretraining.pt", report_step)

    def _recipe(self) -> Recipe:
        from fairl_bench.science.pretraining import Recipe

        half = self.precision == "bfloat16"
        return Recipe(self.steps, self.batch, self.length, self.lr, self.warmup, bfloat16=half)

    def _texts(self, replicate: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the texts to learn from and those to measure with, at least one each."""
        drawn = self.corpus.examples(stream("tiny-lm/corpus", replicate)).inputs("prompt+completion")
        texts = [text for text in drawn if text.strip()]
        if len(texts) < 2:
            raise DataError(f"language model {self.use!r} needs a corpus of at least 2 texts, got {len(texts)}")
        order = stream("tiny-lm/held-out", replicate).permutation(len(texts))
        unseen = min(math.ceil(self.held_out * len(texts)), len(texts) - 1)
        return tuple(texts[i] for i in order[unseen:]), tuple(texts[i] for i in order[:unseen])

    def _model(self, tokenizer: Any) -> Any:
        """Return the network with its initial weights."""
        from transformers import AutoConfig, AutoModelForCausalLM

        shape = {
            "vocab_size": len(tokenizer),
            "hidden_size": self.width,
            "intermediate_size": 4 * self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "max_position_embeddings": self.context,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        if self.architecture != "gpt-neox":
            shape |= {"num_key_value_heads": self.heads, "head_dim": self.width // self.heads}
        config = AutoConfig.for_model(_ARCHITECTURES[self.architecture], **shape)
        # on a processor, torch's own attention spends longer on its way back in bfloat16 than all products take
        plain = {"attn_implementation": "eager"} if self.precision == "bfloat16" and self.device == "cpu" else {}
        return AutoModelForCausalLM.from_config(config, **plain)  # type: ignore[no-untyped-call]


def _tokenizer(texts: Sequence[str], vocab: int, context: int) -> Any:
    """Return a byte-level BPE of these texts: any text can be written in it and read back unchanged."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=[END, PAD], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _end(losses: Sequence[float]) -> float:
    """Return the mean loss of the last twentieth of the steps."""
    last = losses[-max(1, len(losses) // 20) :]
    return sum(last) / len(last)


def _stream(tokenizer: Any, texts: Sequence[str]) -> Rows:
    """Return the texts' tokens one after the other, each text with its end token ``[tokens]`` int64."""
    token_ids = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return np.array([token for ids in token_ids for token in (*ids, tokenizer.eos_token_id)], np.int64)
