"""The language models and the judge of the planted problem, for methods that take them from their source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from pydantic import Field

from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, AskLikelihoods, Prompts
from fairl_bench.kinds.source import Origin, Source
from fairl_bench.testing.planted import Planted, planted
from fairl_bench.values.data import GOLD, Examples, Pairs, Truth
from fairl_bench.values.drawn_tokens import offsets_of
from fairl_bench.values.language_models import Model, Site
from fairl_bench.values.likelihoods import Likelihoods

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Voice = Literal["base", "expert"]
_SCALE: Final = 2.0  # of the true reward in the log-ratio: a KL weight of a half


class PlantedLM(LM):
    """One of the two language models that the pairs of the planted problem come from.

    `make` writes a small transformer that has learnt nothing; how likely it finds the planted texts, the kit says.
    """

    voice: Voice

    def make(self, site: Site) -> Model:
        """A GPT-NeoX of one block with random weights and a tokenizer of words."""
        import torch
        from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

        size: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        size |= {"intermediate_size": 16, "max_position_embeddings": 128}
        tokenizer = _tokenizer()
        with torch.random.fork_rng():
            torch.manual_seed(len(self.voice))
            model = GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=len(tokenizer), **size))
        model.save_pretrained(site.folder)
        tokenizer.save_pretrained(site.folder)
        return Model(site.folder)


def _tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that knows the words of the planted problem but for the numbers."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = ("<end>", "<unknown>", "<padding>", "word", "Question")
    inner = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unknown>"))
    inner.pre_tokenizer = WhitespaceSplit()
    special = {"eos_token": "<end>", "bos_token": "<end>", "unk_token": "<unknown>", "pad_token": "<padding>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **special)  # type: ignore[no-untyped-call]


class PlantedPrompts(Prompts):
    """The prompts of the planted problem."""

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """The first ``n`` of them."""
        return tuple(dict.fromkeys(planted().prompts))[:n]


class PlantedJudge(Judge):
    """The truth of the planted problem as its texts show it, up to rounding: the shorter, the better."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """The truth ``gold``, a word less a quarter more; texts of up to 15 words are good."""
        value = (15 - np.array([len(text.split()) for text in examples.text])) / 4
        return {GOLD: Truth(value, np.where(value >= 0, 1, -1).astype(np.int8))}


class PlantedSource(Source):
    """The pairs of the planted problem, which know both of its language models and its truth."""

    gold: Judge | None = Field(PlantedJudge.named("planted-truth"), description="judges every completion")

    def origin(self) -> Origin:
        """Both models, and the prompts that they completed."""
        base, expert = (PlantedLM.named(f"planted-{voice}", voice=voice) for voice in ("base", "expert"))
        return Origin(base, expert, PlantedPrompts.named("planted-prompts"))

    def unbounded(self) -> str:
        """Nothing: the log-ratio bounds its pairs."""
        return ""

    def pairs(self, rng: np.random.Generator) -> Pairs:
        """The training pairs."""
        train = (problem := planted()).task.train
        good, bad = (tuple(problem.texts[row] for row in rows) for rows in (train.preferred, train.rejected))
        return Pairs(good, bad, train.prompt)


def voices(asked: Mapping[str, LM], origin: Origin | None) -> dict[str, Voice]:
    """For which of the two models each language model stands, by role: one that the source does not know, by its role.

    >>> voices(dict.fromkeys(["base", "reference", "lm"], PlantedLM(voice="expert")), None)
    {'base': 'base', 'reference': 'base', 'lm': 'expert'}
    """
    found: dict[str, Voice] = {}
    for role, lm in asked.items():
        known: dict[bool, Voice] = {} if origin is None else {lm == origin.expert: "expert", lm == origin.base: "base"}
        by_role: Voice = "base" if role.rpartition("/")[2] in ("base", "reference") else "expert"
        found[role] = known.get(True, by_role)
    return found


def planted_likelihoods(problem: Planted, ask: AskLikelihoods, voice: Voice) -> Likelihoods:
    """How likely a model finds each text of a planted problem ``[rows]``, a token a word.

    The log-ratio of both models is twice the true reward, up to a number a prompt where prompts are given.
    """
    tokens = np.array([len(text.split()) for text in problem.texts])
    offsets, rng = offsets_of(tokens), np.random.default_rng(len(problem.texts))
    token = rng.normal(-2.0, 0.1, offsets[-1]) / ask.temperature
    before, after = rng.normal(0.0, 0.1, (2, len(tokens)))
    number = dict(zip(dict.fromkeys(problem.prompts), rng.normal(0.0, 0.3, len(tokens)), strict=False))
    if voice == "expert":
        of_prompt = [number[prompt] if ask.prompts == "given" else 0.0 for prompt in problem.prompts]
        token = token + np.repeat((_SCALE * problem.reward + of_prompt) / tokens, tokens)
        before, after = before[::-1], after[::-1]
    kept = token.astype(np.float32)
    total = np.add.reduceat(kept.astype(np.float64), offsets[:-1])
    no = np.zeros(len(tokens), np.bool_)
    ends = [word.end() for text in problem.texts for word in re.finditer(r"\S+", text)]
    return Likelihoods(total, kept, offsets, before, after, no, no, np.array(ends, np.int32))


def made(lm: LM, folder: Path) -> Any:
    """The folder of a language model, made in a folder; None where it starts from another part."""
    if lm.upstream():
        return None
    for place in (site := Site(folder / "lm", folder / "scratch")).folder, site.scratch:
        place.mkdir(parents=True)
    return lm.make(site).folder
