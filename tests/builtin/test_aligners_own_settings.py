"""What a base's own settings do to its alignment: nothing, but for the tokens that end a completion."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.lms.group_relative import Grpo, Rloo
from fairl_bench.builtin.lms.on_policy import OnPolicy
from fairl_bench.builtin.lms.ppo import Ppo
from fairl_bench.errors import DataError
from fairl_bench.kinds.aligner import Probe
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import Prompts
from fairl_bench.science import endings
from fairl_bench.toy.prompts import toy_prompts
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.language_models import Model, Site

TRL = Path((find_spec("trl") or ModuleSpec("trl", None)).submodule_search_locations[0])  # type: ignore[index]
ALIGNERS = [Rloo, Grpo, *([Ppo] if (TRL / "experimental" / "ppo").is_dir() else [])]
EVERY = pytest.mark.parametrize("aligner", ALIGNERS, ids=lambda one: one.__name__.lower())
TOKENS = 5

ACTING = {
    "repetition_penalty": 50.0,
    "no_repeat_ngram_size": 1,
    "min_new_tokens": 4,
    "suppress_tokens": list(range(5, 200)),
    "begin_suppress_tokens": list(range(200, 260)),
    "bad_words_ids": [[201]],
    "sequence_bias": [[[7], 50.0]],
    "forced_eos_token_id": 7,
    "exponential_decay_length_penalty": [1, 9.0],
    "num_beams": 3,
    "stop_strings": ["e"],
    "max_time": 1e-9,
    "guidance_scale": 3.0,
    "temperature": 0.01,
    "min_p": 0.9,
    "typical_p": 0.01,
    "epsilon_cutoff": 0.5,
    "watermarking_config": {"bias": 50.0},
    "use_cache": False,
}


class Openings(Prompts):
    """Short prompts of the synthetic world, or those it is given."""

    given: tuple[str, ...] = ()

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        return self.given or tuple(" ".join(one.text.split()[:4]) for one in toy_prompts(n, rng))


class Length(Judge):
    """How many letters a text has."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        return {GOLD: Truth(np.array([float(len(text)) for text in examples.text]), np.ones(len(examples), np.int8))}


def aligned(aligner: type[OnPolicy], base: Path, folder: Path, **fields: Any) -> Model:
    """Two steps of eight completions, looked at before and after."""
    for name in ("answer", "work"):
        (folder / name).mkdir(parents=True)
    own: dict[str, Any] = {"prompts": Openings.named("openings"), "reward": Length.named("length"), "batch": 8}
    own |= {"steps": 2, "lr": 1e-2, "sampling": {"max_new_tokens": TOKENS}}
    own |= {"probe": Probe(prompts=Openings.named("openings"), n=6, times=1, max_new_tokens=TOKENS)}
    if aligner is not Ppo:
        own["per_prompt"] = 2
    made = aligner.named(aligner.__name__.lower(), **{**own, **fields})
    return made.make(Site(folder / "answer", folder / "work", {"base": base}))


def steps(made: Model) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((made.folder / "alignment.json").read_text())["steps"]
    return found


@EVERY
def test_no_setting_of_the_base_changes_its_alignment(
    aligner: type[OnPolicy], tiny_lm: Path, edited_lm: Callable[..., Path], tmp_path: Path
) -> None:
    acting = edited_lm(tiny_lm, tmp_path / "base", generation_config=ACTING)
    plain, other = (aligned(aligner, base, tmp_path / name) for name, base in (("a", tiny_lm), ("b", acting)))
    for name in ("model.safetensors", "alignment.json", "along.parquet", "generation_config.json"):
        assert (plain.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    assert plain.facts == other.facts


@EVERY
def test_lengths_texts_and_entropy_end_with_any_end_token(
    aligner: type[OnPolicy], tiny_lm: Path, edited_lm: Callable[..., Path], tmp_path: Path
) -> None:
    """Where all tokens end a text each completion is one token, whose entropy is that of the model's softmax."""
    import pyarrow.parquet as pq

    base = edited_lm(tiny_lm, tmp_path / "base", generation_config={"eos_token_id": list(range(320))})
    made = aligned(aligner, base, tmp_path / "made")
    assert [row["length"] for row in steps(made)] == [1.0, 1.0]
    assert all(row["reward"] == 0.0 for row in steps(made))  # an ending is no text
    assert json.loads((made.folder / "generation_config.json").read_text())["eos_token_id"] == list(range(320))
    along = pq.read_table(made.folder / "along.parquet").to_pydict()
    assert set(along["tokens"]) == {1.0}
    assert set(along["text"]) == {""}


@pytest.mark.parametrize("aligner", [Rloo, Grpo], ids=["rloo", "grpo"])
def test_entropy_and_length_are_those_of_the_tokens_up_to_the_first_end(
    aligner: type[OnPolicy],
    tiny_lm: Path,
    edited_lm: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from fairl_bench.science.generation import load

    ends = (0, *range(40, 110))
    base = edited_lm(tiny_lm, tmp_path / "base", generation_config={"eos_token_id": list(ends)})
    drawn: list[list[int]] = []
    spelled = endings.spelled

    def listen(tokenizer: Any, ids: Any, end: Any) -> str:
        drawn.append(list(ids))
        return spelled(tokenizer, ids, end)

    monkeypatch.setattr(endings, "spelled", listen)
    prompts = ("to be", "so we", "the list", "a kind reader")
    made = aligned(aligner, base, tmp_path / "made", steps=1, prompts=Openings(given=prompts), probe=None)
    model, tokenizer = load(base)
    found = []
    for row, new in enumerate(drawn):
        assert not set(new[:-1]) & set(ends)
        ids = tokenizer(prompts[row // 2])["input_ids"]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + new])).logits[0, len(ids) - 1 : -1].double()
        found.append(torch.distributions.Categorical(logits=logits).entropy())
    assert {len(new) for new in drawn} > {TOKENS}  # some end before, some do not
    (row,) = steps(made)
    assert row["length"] == pytest.approx(np.mean([len(new) for new in drawn]), rel=1e-6)
    assert row["entropy"] == pytest.approx(float(torch.cat(found).mean()), rel=1e-5)  # float32
    assert row["kl"] == pytest.approx(0, abs=1e-4)  # it is its base still


@EVERY
def test_a_base_without_padding_and_end_tokens_runs_to_the_last_token(
    aligner: type[OnPolicy], tiny_lm: Path, edited_lm: Callable[..., Path], tmp_path: Path
) -> None:
    none = dict.fromkeys(("eos_token_id", "bos_token_id", "pad_token_id"))
    words = dict.fromkeys(("eos_token", "bos_token", "pad_token"))
    base = edited_lm(tiny_lm, tmp_path / "base", generation_config=none, config=none, tokenizer_config=words)
    made = aligned(aligner, base, tmp_path / "made")
    assert [row["length"] for row in steps(made)] == [TOKENS, TOKENS]
    config = json.loads((made.folder / "config.json").read_text())
    assert [config.get(name) for name in none] == [None, None, None]


@EVERY
def test_a_padding_token_that_ends_texts_changes_no_number(
    aligner: type[OnPolicy], tiny_lm: Path, edited_lm: Callable[..., Path], tmp_path: Path
) -> None:
    ending = edited_lm(
        tiny_lm, tmp_path / "base", tokenizer_config={"pad_token": "<|endoftext|>"}, config={"pad_token_id": 0}
    )
    plain, other = (aligned(aligner, base, tmp_path / name) for name, base in (("a", tiny_lm), ("b", ending)))
    assert steps(plain) == steps(other)
    assert (plain.folder / "model.safetensors").read_bytes() == (other.folder / "model.safetensors").read_bytes()


@EVERY
def test_a_prompt_that_the_base_has_no_positions_for_is_refused(
    aligner: type[OnPolicy], tiny_lm: Path, tmp_path: Path
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    own = {"n_positions": 12, "n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 320}
    config = AutoConfig.for_model("gpt2", **own, bos_token_id=0, eos_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")  # type: ignore[no-untyped-call]
    AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(tmp_path / "base")
    prompts = Openings(given=("so we", "a kind reader of every word " * 4))
    with pytest.raises(DataError, match=r"has 12 positions, but \d of \d prompts with 5 new tokens need more"):
        aligned(aligner, tmp_path / "base", tmp_path / "made", prompts=prompts, batch=4)
