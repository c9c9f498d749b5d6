from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fairl_bench.builtin.lms.ppo import Ppo
from fairl_bench.builtin.lms.tiny import TinyLM
from fairl_bench.errors import MissingExtra, NotFinite
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import Prompts
from fairl_bench.kinds.source import TestSet
from fairl_bench.toy.grammar import corpus
from fairl_bench.toy.prompts import toy_prompts
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.language_models import Site

TRL = Path((find_spec("trl") or ModuleSpec("trl", None)).submodule_search_locations[0])  # type: ignore[index]
there = pytest.mark.skipif(not (TRL / "experimental" / "ppo").is_dir(), reason="this TRL has no PPO: run tox -e ppo")


class Toy(TestSet):
    """Comments of the synthetic world."""

    def examples(self, rng: np.random.Generator) -> Examples:
        return Examples(corpus(80, rng))


class Openings(Prompts):
    """Prompts of the synthetic world."""

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        return tuple(prompt.text for prompt in toy_prompts(n, rng))


class Letters(Judge):
    """How many e's a text holds, or what is no number; remembers what it was asked."""

    astray: bool = False
    asked: ClassVar[list[Examples]] = []

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        self.asked.append(examples)
        value = np.array([float(text.count("e")) for text in examples.text])
        return {GOLD: Truth(value * (np.nan if self.astray else 1.0), np.ones(len(value), np.int8))}


def small(**fields: Any) -> Ppo:
    """A few steps of eight short completions."""
    start: dict[str, Any] = {"steps": 3, "batch": 8, "lr": 1e-2, "sampling": {"max_new_tokens": 6}}
    own = {"prompts": Openings.named("openings"), "reward": Letters.named("letters")}
    return Ppo.named("ppo", **{**start, **own, **fields})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape: dict[str, Any] = {"layers": 1, "width": 16, "heads": 2, "vocab": 300, "steps": 30, "batch": 8, "length": 16}
    lm = TinyLM.named("tiny-lm", corpus=Toy(), lr=2e-2, **shape)
    return lm.make(site(tmp_path_factory.mktemp("base"))).folder


def site(folder: Path, **upstream: Any) -> Site:
    (folder / "answer").mkdir(parents=True)
    (folder / "work").mkdir()
    return Site(folder / "answer", folder / "work", upstream)


def test_a_trl_without_ppo_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = ModuleSpec("trl", None)
    bare.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr("fairl_bench.builtin.lms.ppo.find_spec", lambda name: bare)
    monkeypatch.setattr("fairl_bench.builtin.lms.ppo.version", lambda package: "1.16.0")
    sentence = "aligner 'ppo' needs TRL 1.12, the last that has PPO, and this is TRL 1.16.0; use 'rloo', or pip install"
    with pytest.raises(MissingExtra, match=sentence):
        small().check()
    (tmp_path / "experimental" / "ppo").mkdir(parents=True)
    small().check()


@pytest.mark.parametrize("field", [{"top_p": 0.9}, {"top_k": 5}])
def test_it_draws_from_the_whole_distribution_alone(field: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="TRL's PPO draws from the whole distribution; set 'sampling"):
        small(sampling=field)


def test_a_batch_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="batch 8 is no multiple of parts 3"):
        small(parts=3)


@there
def test_the_same_replicate_gives_the_same_model(base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one, same = (small().make(site(tmp_path / name, base=base)) for name in ("one", "same"))
    assert capfd.readouterr() == ("", "")
    files = {path.name: path.read_bytes() for path in one.folder.iterdir()}
    assert files == {path.name: path.read_bytes() for path in same.folder.iterdir()}
    assert files["model.safetensors"] != (base / "model.safetensors").read_bytes()
    assert one.facts == same.facts


@there
@pytest.mark.parametrize("parts", [1, 2])
def test_the_judge_reads_the_prompts_and_what_follows_them(base: Path, tmp_path: Path, parts: int) -> None:
    Letters.asked.clear()
    made = small(parts=parts).make(site(tmp_path, base=base))
    assert [len(one) for one in Letters.asked] == [8 // parts] * 3 * parts
    prompts = {prompt for one in Letters.asked for prompt in one.prompt}
    assert len(prompts) > 8
    from fairl_bench.science.streams import stream

    assert prompts <= set(Openings().texts(24, stream("prompts/align", 0)))
    rows = json.loads((made.folder / "alignment.json").read_text())["steps"]
    counts = [text.count("e") for one in Letters.asked for text in one.text]
    assert [row["reward"] for row in rows] == pytest.approx(
        [np.mean(counts[i : i + 8]) for i in range(0, 24, 8)], rel=1e-6
    )  # float32
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-4)  # it is its base still
    assert all(0 < row["length"] <= 6 and row["entropy"] > 0 for row in rows)


@there
def test_what_is_rewarded_becomes_more(base: Path, tmp_path: Path) -> None:
    made = small(steps=20, batch=16, lr=2e-2, kl=0.0).make(site(tmp_path, base=base))
    rows = json.loads((made.folder / "alignment.json").read_text())["steps"]
    first, last = (np.mean([row["reward"] for row in part]) for part in (rows[:3], rows[-3:]))
    assert last > first + 1  # another e in each completion


@there
def test_a_reward_that_is_no_number_is_refused_with_its_text(base: Path, tmp_path: Path) -> None:
    reward = Letters.named("letters", astray=True)
    with pytest.raises(NotFinite, match=r"judge 'letters' rewards the completion '.*' with nan, which nothing"):
        small(reward=reward).make(site(tmp_path, base=base))
