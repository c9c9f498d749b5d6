"""Alignments whose trainer reads completions and prompts once, of all weights or of an adapter: the same learning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from fairl_bench.builtin.lms import group_relative
from fairl_bench.builtin.lms.group_relative import Grpo, Rloo
from fairl_bench.builtin.lms.on_policy import OnPolicy
from fairl_bench.builtin.lms.read_once import behind_prompts
from fairl_bench.builtin.lms.tiny import TinyLM
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import Prompts
from fairl_bench.science.language_model import read
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.language_models import Model, Site

ARCHITECTURES = ["gpt-neox", "llama", "gemma3"]
BOTH = pytest.mark.parametrize("aligner", [Rloo, Grpo], ids=["rloo", "grpo"])


class Broken(Exception):
    """Breaks an alignment off."""


class Vowels(Judge):
    """How many vowels a text holds; may break off at a call."""

    stop: int = -1
    calls: int = 0

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        if CALLS.pop() if CALLS else False:
            raise Broken
        value = np.array([float(sum(letter in "aeiou" for letter in text)) for text in examples.text])
        return {GOLD: Truth(value, np.where(value > 6, 1, -1).astype(np.int8))}


CALLS: list[bool] = []
"""Whether the next call of the judge breaks off, the last one first."""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A small language model of each architecture."""
    from fairl_bench.builtin.testsets import ToyTexts

    shape: dict[str, Any] = {"layers": 2, "width": 16, "heads": 2, "vocab": 300, "steps": 20, "batch": 8, "length": 16}
    corpus = ToyTexts.named("toy-comments", n=80, shift=0.0)
    found = {}
    for name in ARCHITECTURES:
        place = Site(tmp_path_factory.mktemp(name), tmp_path_factory.mktemp(f"{name}-scratch"))
        lm = TinyLM.named("tiny-lm", corpus=corpus, architecture=name, lr=1e-2, **shape)
        found[name] = lm.make(place).folder
    return found


def aligned(aligner: type[OnPolicy], base: Path, folder: Path, **fields: Any) -> Model:
    for name in ("answer", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path in (folder / "answer").iterdir():
        path.unlink()
    registry = Registry(installed=False)
    prompts = registry.build(Prompts, {"use": "toy-prompts", "stances": ["hostile", "neutral"]})
    start: dict[str, Any] = {"steps": 3, "batch": 12, "per_prompt": 3, "lr": 1e-3, "sampling": {"max_new_tokens": 7}}
    own = {"prompts": prompts, "reward": Vowels.named("vowels"), "held_out": 0}
    part = aligner.named(aligner.__name__.lower(), **{**start, **own, **fields})
    return part.make(Site(folder / "answer", folder / "work", {"base": base}, 0))


def rows(model: Model) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((model.folder / "alignment.json").read_text())["steps"]
    return found


def weights(folder: Path) -> dict[str, Any]:
    return load_file(folder / "model.safetensors")


def apart(one: Path, other: Path) -> float:
    """The greatest difference of two models' weights."""
    theirs = weights(other)
    assert set(weights(one)) == set(theirs)
    return float(max(np.abs(each - theirs[name]).max() for name, each in weights(one).items()))


# --- what is read


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_behind_prompts_a_text_is_as_likely_as_in_one_piece(architecture: str, bases: Mapping[str, Path]) -> None:
    model, _ = read(bases[architecture])
    rng = torch.Generator().manual_seed(0)
    prompt = torch.randint(5, 200, (2, 4), generator=rng).repeat_interleave(3, 0)
    mask = torch.ones(6, 9, dtype=torch.long)
    mask[:3, :2] = 0  # padding before the first prompt
    mask[4, 7:] = 0  # and behind a text
    ids = torch.cat([prompt, torch.randint(5, 200, (6, 5), generator=rng)], 1)

    log, entropy = behind_prompts(model, ids, mask, 5, 3, temperature=0.7)

    whole = (model(input_ids=ids, attention_mask=mask).logits[:, 3:-1] / 0.7).log_softmax(-1)
    real = mask[:, 4:].bool()
    expected = whole.gather(2, ids[:, 4:, None]).squeeze(2)
    torch.testing.assert_close(log[real], expected[real], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(entropy[real], -(whole.exp() * whole).sum(-1)[real], atol=1e-5, rtol=1e-5)
    (log * real).sum().backward()
    learnt = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    (expected * real).sum().backward()
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(learnt[name], weight.grad, atol=1e-4, rtol=1e-4, msg=name)


@BOTH
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("train", ["all", "lora"])
def test_it_learns_the_same(
    aligner: type[OnPolicy], architecture: str, train: str, bases: Mapping[str, Path], tmp_path: Path
) -> None:
    base = bases[architecture]

    often, once = (aligned(aligner, base, tmp_path / str(i), train=train, once=bool(i)) for i in (0, 1))

    for one, other in zip(rows(often), rows(once), strict=True):
        assert one == pytest.approx(other, abs=2e-3)
    moved = apart(often.folder, base)
    assert moved > 1e-4
    assert apart(often.folder, once.folder) < 0.2 * moved  # Adam makes much of the last bits of a small gradient


@pytest.mark.parametrize("parts", [1, 2])
def test_each_completion_is_read_as_often_as_it_has_to_be(
    parts: int, bases: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the model once, and under its reference once; in parts, whose memory is short, the model reads twice."""
    from fairl_bench.builtin.lms import read_once

    batches: list[int] = []

    def counted(model: Any, ids: torch.Tensor, *rest: Any) -> Any:
        batches.append(len(ids))
        return behind_prompts(model, ids, *rest)

    monkeypatch.setattr(read_once, "behind_prompts", counted)
    aligned(Rloo, bases["gpt-neox"], tmp_path, steps=1, parts=parts, once=True)

    assert sum(batches) in ({1: [24], 2: [36, 24]}[parts])


# --- adapters


def test_an_adapter_is_added_into_the_weights(bases: Mapping[str, Path], tmp_path: Path) -> None:
    base = bases["llama"]

    made = aligned(Rloo, base, tmp_path, train="lora", lr=1e-2)

    assert not list(made.folder.glob("*adapter*"))
    ours, theirs = weights(made.folder), weights(base)
    assert set(ours) == set(theirs)
    changed = {name for name in ours if np.abs(ours[name] - theirs[name]).max() > 1e-5}
    assert changed == {name for name in ours if "_proj" in name}
    rank = np.linalg.matrix_rank(
        ours["model.layers.0.mlp.down_proj.weight"] - theirs["model.layers.0.mlp.down_proj.weight"]
    )
    assert 0 < rank <= 16


def test_a_narrow_base_is_not_what_is_kept(bases: Mapping[str, Path], tmp_path: Path) -> None:
    """The sum is that of the whole weights and the adapter, so that rounding is no part of the change."""
    base = bases["gpt-neox"]

    made = aligned(Rloo, base, tmp_path, train="lora", precision="bfloat16", lr=1e-9)

    assert json.loads((made.folder / "config.json").read_text())["dtype"] == "float32"
    assert apart(made.folder, base) < 1e-6


@pytest.mark.parametrize("once", [False, True])
def test_an_interrupted_adapter_goes_on_to_the_same_weights(
    once: bool, bases: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = bases["gpt-neox"]
    whole = aligned(Rloo, base, tmp_path / "whole", train="lora", once=once, steps=4)
    monkeypatch.setattr(group_relative, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(group_relative, "CHECKPOINT_SHARE", 1.0)
    CALLS[:] = [True, False, False]
    with pytest.raises(Broken):
        aligned(Rloo, base, tmp_path / "parted", train="lora", once=once, steps=4)
    assert list((tmp_path / "parted" / "work").glob("checkpoint-*"))

    again = aligned(Rloo, base, tmp_path / "parted", train="lora", once=once, steps=4)

    assert rows(again) == rows(whole)
    assert (again.folder / "model.safetensors").read_bytes() == (whole.folder / "model.safetensors").read_bytes()


def test_a_layer_that_is_not_there_is_named(bases: Mapping[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no layer for an adapter by the name of 'q_prj'"):
        aligned(Rloo, bases["llama"], tmp_path, train="lora", lora={"modules": ["q_prj"]})


# --- how far


def test_the_last_step_within_the_budget_is_kept(bases: Mapping[str, Path], tmp_path: Path) -> None:
    base, strong = bases["gpt-neox"], {"lr": 5e-3, "steps": 8, "held_out": 32, "kl": 0.01}
    free = aligned(Rloo, base, tmp_path / "free", **strong)
    budget = float(free.facts["held_out_kl"]) / 2

    kept = aligned(Rloo, base, tmp_path / "kept", **strong, stop={"kl": budget})

    assert float(kept.facts["held_out_kl"]) <= budget
    steps = int(kept.facts["steps"])
    assert 1 <= steps < 8
    assert rows(kept) == rows(free)[:steps]
    shorter = aligned(Rloo, base, tmp_path / "wide", **strong, stop={"kl": 1e6})
    assert shorter.facts == free.facts
    assert apart(shorter.folder, free.folder) == 0


def test_a_budget_that_no_step_keeps_says_what_to_change(bases: Mapping[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"further than 1e-09 nats from its base.*lower 'lr', or allow more"):
        aligned(Rloo, bases["gpt-neox"], tmp_path, lr=0.05, held_out=16, stop={"kl": 1e-9})


def test_a_budget_needs_held_out_prompts_and_a_measured_kl(bases: Mapping[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="measured on held-out prompts, and there are none"):
        aligned(Rloo, bases["gpt-neox"], tmp_path, stop={"kl": 1.0})
    with pytest.raises(ValueError, match="'stop' needs the KL from the base"):
        aligned(Rloo, bases["gpt-neox"], tmp_path, stop={"kl": 1.0}, kl=0.0)
