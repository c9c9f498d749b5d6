from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from fairl_bench.builtin.judges.known import Role
from fairl_bench.builtin.lms import group_relative
from fairl_bench.builtin.lms.group_relative import Grpo, Rloo
from fairl_bench.builtin.lms.on_policy import OnPolicy, Step, training_facts
from fairl_bench.builtin.lms.tiny import TinyLM
from fairl_bench.errors import DataError, MissingExtra, NotFinite, SuiteError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import Prompts
from fairl_bench.kinds.source import TestSet
from fairl_bench.progress import listening
from fairl_bench.science.streams import stream
from fairl_bench.toy.grammar import corpus
from fairl_bench.toy.prompts import toy_prompts
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.language_models import Model, Site

BOTH = pytest.mark.parametrize("aligner", [Rloo, Grpo], ids=["rloo", "grpo"])


class Toy(TestSet):
    """Comments of the synthetic world."""

    def examples(self, rng: np.random.Generator) -> Examples:
        return Examples(corpus(80, rng))


class Openings(Prompts):
    """Prompts of the synthetic world, so many at most."""

    most: int = 1000

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        return tuple(prompt.text for prompt in toy_prompts(min(n, self.most), rng))


class Blank(Prompts):
    """As many texts of nothing as are asked for, after a first one."""

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        return ("Hello,", *(" " for _ in range(n - 1)))


class Letters(Judge):
    """How many letters of a kind a text holds; remembers what it was asked, and may break off or go astray."""

    letters: str = "e"
    stop: int = -1  # the call that is interrupted, from 0
    astray: float | None = None
    asked: ClassVar[list[Examples]] = []

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        if len(self.asked) == self.stop:
            raise KeyboardInterrupt
        self.asked.append(examples)
        value = np.array([float(sum(text.count(letter) for letter in self.letters)) for text in examples.text])
        return {GOLD: Truth(value, np.ones(len(value), np.int8))}


class Astray(Judge):
    """Gives one text of each batch what is no number."""

    positive: bool | None = None

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        value = np.zeros(len(examples))
        value[3] = {None: np.nan, True: np.inf, False: -np.inf}[self.positive]
        return {GOLD: Truth(value, np.ones(len(value), np.int8))}


@pytest.fixture(autouse=True)
def _forget() -> None:
    Letters.asked.clear()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape: dict[str, Any] = {"layers": 1, "width": 16, "heads": 2, "vocab": 300, "steps": 30, "batch": 8, "length": 16}
    folder = tmp_path_factory.mktemp("base")
    lm = TinyLM.named("tiny-lm", corpus=Toy(), lr=2e-2, **shape)
    return lm.make(site(folder)).folder


def site(folder: Path, replicate: int = 0, **upstream: Any) -> Site:
    """A place to work at, its answer's folder empty and its scratch as it was."""
    for name in ("answer", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path in (folder / "answer").iterdir():
        path.unlink()
    return Site(folder / "answer", folder / "work", upstream, replicate)


def small(aligner: type[OnPolicy], **fields: Any) -> OnPolicy:
    """An aligner of a few steps of eight short completions."""
    start: dict[str, Any] = {"steps": 4, "batch": 8, "per_prompt": 2, "lr": 1e-2, "sampling": {"max_new_tokens": 6}}
    start["held_out"] = 0
    own = {"prompts": Openings.named("openings"), "reward": Letters.named("letters")}
    return aligner.named(aligner.__name__.lower(), **{**start, **own, **fields})


def rows(model: Model) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((model.folder / "alignment.json").read_text())["steps"]
    return found


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


# --- the same again


@BOTH
def test_the_same_replicate_gives_the_same_model_and_another_one_another(
    aligner: type[OnPolicy], base: Path, tmp_path: Path
) -> None:
    one, same = (small(aligner).make(site(tmp_path / name, base=base)) for name in ("one", "same"))
    other = small(aligner).make(site(tmp_path / "other", 1, base=base))
    for path in one.folder.iterdir():
        assert path.read_bytes() == (same.folder / path.name).read_bytes(), path.name
    assert one.facts == same.facts
    assert len({weights(folder) for folder in (base, one.folder, other.folder)}) == 3
    assert aligner.drawn


@pytest.mark.parametrize(("aligner", "parts"), [(Rloo, 1), (Grpo, 2)], ids=["rloo", "grpo-in-parts"])
def test_an_interrupted_alignment_ends_with_the_model_of_an_uninterrupted_one(
    aligner: type[OnPolicy], parts: int, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small(aligner, parts=parts).make(site(tmp_path / "whole", base=base))
    monkeypatch.setattr(group_relative, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(group_relative, "CHECKPOINT_SHARE", 1.0)
    Letters.asked.clear()
    stopped = small(aligner, parts=parts, reward=Letters.named("letters", stop=3))
    with pytest.raises(KeyboardInterrupt):
        stopped.make(site(tmp_path / "parted", base=base))
    scratch = tmp_path / "parted" / "work"
    assert {path.name for path in scratch.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-3"}
    (scratch / "checkpoint-4").mkdir()  # killed while it was written
    (scratch / "checkpoint-4" / "model.safetensors").write_text("half")
    Letters.asked.clear()
    again = small(aligner, parts=parts).make(site(tmp_path / "parted", base=base))
    assert len(Letters.asked) == 1
    assert weights(again.folder) == weights(whole.folder)
    assert rows(again) == rows(whole)
    assert again.facts == whole.facts


def test_what_a_budget_has_seen_of_a_narrow_model_is_not_told_of_the_whole_one(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    narrow = {"train": "lora", "precision": "bfloat16", "held_out": 16, "kl": 0.1, "lr": 5e-2}
    free = small(Rloo, **narrow).make(site(tmp_path / "free", base=base))
    within = small(Rloo, **narrow, stop={"kl": 1e6}).make(site(tmp_path / "within", base=base))
    assert free.facts["held_out_kl"] > 0  # type: ignore[operator]
    assert within.facts == free.facts


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
def test_other_architectures_align_and_go_on_too(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_relative, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(group_relative, "CHECKPOINT_SHARE", 1.0)
    shape: dict[str, Any] = {"layers": 1, "width": 16, "heads": 2, "vocab": 300, "steps": 1, "length": 16}
    lm = TinyLM.named("tiny-lm", corpus=Toy(), architecture=architecture, **shape)
    other = lm.make(site(tmp_path / "base")).folder
    whole = small(Rloo).make(site(tmp_path / "whole", base=other))
    shutil.rmtree(tmp_path / "whole" / "work" / "checkpoint-4")
    expected, Letters.asked[:] = weights(whole.folder), []
    again = small(Rloo).make(site(tmp_path / "whole", base=other))
    assert len(Letters.asked) == 1
    assert weights(again.folder) == expected != weights(other)


def test_bfloat16_gives_other_weights_and_leaves_nothing_behind(base: Path, tmp_path: Path) -> None:
    one, half, again = (
        small(Rloo, steps=1, precision=precision).make(site(tmp_path / str(i), base=base))
        for i, precision in enumerate(("float32", "bfloat16", "float32"))
    )
    assert weights(half.folder) != weights(one.folder) == weights(again.folder)
    assert json.loads((half.folder / "config.json").read_text())["dtype"] == "float32"


class Counted(Letters):
    """Notes how many threads there are as it is asked."""

    seen: ClassVar[list[int]] = []

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        self.seen.append(torch.get_num_threads())
        return super().judge(examples)


def test_an_alignment_has_the_threads_that_it_is_given_and_its_weights_repeat(base: Path, tmp_path: Path) -> None:
    Counted.seen.clear()
    aligner = small(Rloo, threads=2, reward=Counted.named("counted"), held_out=8, stop={"kl": 1e6})
    first = weights(aligner.make(site(tmp_path / "first", base=base)).folder)
    assert set(Counted.seen) == {2}
    assert len(Counted.seen) > 4  # a judge is asked in every step, and of the held-out prompts
    assert weights(aligner.make(site(tmp_path / "again", base=base)).folder) == first
    assert torch.get_num_threads() == 1


def test_nobody_elses_randomness_is_touched(base: Path, tmp_path: Path) -> None:
    import torch

    def drawn() -> tuple[float, ...]:
        return random.random(), float(np.random.random()), torch.rand(1).item()

    for module in (random, np.random):
        module.seed(1)  # type: ignore[attr-defined]
    torch.manual_seed(1)
    expected = drawn()
    for module in (random, np.random):
        module.seed(1)  # type: ignore[attr-defined]
    torch.manual_seed(1)
    small(Rloo, steps=1).make(site(tmp_path, base=base))
    assert drawn() == expected


def test_it_is_quiet_and_writes_nowhere_else(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants

    sent: list[Any] = []
    monkeypatch.setattr(
        "trl.trainer.base_trainer.send_telemetry", lambda **_: sent.append(constants.HF_HUB_DISABLE_TELEMETRY)
    )
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    made = small(Rloo, steps=1).make(site(tmp_path / "site", base=base))
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert sent == [True]  # asked to send, and told not to
    assert "alignment.json" in {path.name for path in made.folder.iterdir()}
    assert all(path.is_file() for path in made.folder.iterdir())


# --- what it learns from


@pytest.mark.parametrize("parts", [1, 2])
def test_every_prompt_is_completed_so_often_in_one_step(parts: int, base: Path, tmp_path: Path) -> None:
    small(Rloo, steps=3, batch=12, per_prompt=3, parts=parts).make(site(tmp_path, base=base))
    assert [len(one) for one in Letters.asked] == [12, 12, 12]
    prompts = [prompt for one in Letters.asked for prompt in one.prompt]
    groups = [prompts[i : i + 3] for i in range(0, 36, 3)]
    assert all(len(set(group)) == 1 for group in groups)
    assert tuple(group[0] for group in groups) == Openings().texts(12, stream("prompts/align", 0))
    assert all(text == text.strip() for one in Letters.asked for text in one.text)


def test_too_few_prompts_come_again_each_as_often_as_the_others(base: Path, tmp_path: Path) -> None:
    small(Rloo, steps=3, prompts=Openings.named("openings", most=4)).make(site(tmp_path, base=base))
    rounds = [sorted(one.prompt) for one in Letters.asked]
    assert rounds[0] == rounds[1] == rounds[2]
    assert len(set(rounds[0])) == 4
    assert len({one.prompt for one in Letters.asked}) > 1  # in another order


@BOTH
def test_what_is_rewarded_becomes_more(aligner: type[OnPolicy], base: Path, tmp_path: Path) -> None:
    made = small(aligner, steps=15, batch=16, lr=5e-2, kl=0.0).make(site(tmp_path, base=base))
    found = rows(made)
    first, last = (np.mean([row["reward"] for row in part]) for part in (found[:3], found[-3:]))
    assert last > first + 1  # another e in each completion
    assert made.facts["reward"] == pytest.approx(np.mean([row["reward"] for row in found[-2:]]), rel=1e-12)
    assert made.facts["collapsed"]


@BOTH
def test_the_penalty_keeps_it_near_its_base(aligner: type[OnPolicy], base: Path, tmp_path: Path) -> None:
    free, held = (
        small(aligner, steps=8, batch=16, lr=2e-2, kl=kl).make(site(tmp_path / str(kl), base=base))
        for kl in (0.01, 5.0)
    )
    assert abs(float(held.facts["kl"])) < 0.5 * float(free.facts["kl"])


@BOTH
def test_a_temperature_near_0_leaves_nothing_to_learn_from(aligner: type[OnPolicy], base: Path, tmp_path: Path) -> None:
    cold = {"max_new_tokens": 6, "temperature": 1e-3}
    made = small(aligner, steps=2, sampling=cold).make(site(tmp_path, base=base))
    assert all(len(set(one.text[i : i + 2])) == 1 for one in Letters.asked for i in range(0, 8, 2))
    assert rows(made)[0]["entropy"] == pytest.approx(0, abs=0.05)


def test_a_batch_in_parts_gives_the_update_of_the_whole(base: Path, tmp_path: Path) -> None:
    def update(parts: int) -> Any:
        made = small(Rloo, steps=1, parts=parts).make(site(tmp_path / str(parts), base=base))
        before, after = (load_file(folder / "model.safetensors") for folder in (base, made.folder))
        return np.concatenate([(after[name] - before[name]).ravel() for name in sorted(before)])

    whole, parted = update(1), update(2)
    # Adam's first step is the gradient's sign, which rounding turns where the gradient is 0 but for it
    assert (np.sign(whole) == np.sign(parted)).mean() > 0.98


def test_the_policy_drops_nothing_out(base: Path, tmp_path: Path) -> None:
    dropping = tmp_path / "base"
    shutil.copytree(base, dropping)
    config = {**json.loads((base / "config.json").read_text()), "hidden_dropout": 0.5}
    (dropping / "config.json").write_text(json.dumps(config))
    found = rows(small(Rloo, steps=1).make(site(tmp_path / "made", base=dropping)))
    assert found[0]["kl"] == pytest.approx(0, abs=1e-4)  # it is its base still; float32 over six tokens


def test_the_history_has_a_row_a_step(base: Path, tmp_path: Path) -> None:
    found = rows(small(Rloo).make(site(tmp_path, base=base)))
    assert [row["step"] for row in found] == [1, 2, 3, 4]
    assert all(set(row) == {"step", "reward", "kl", "entropy", "length", "distinct_2"} for row in found)
    assert [row["reward"] for row in found] == pytest.approx(
        [np.mean([text.count("e") for text in one.text]) for one in Letters.asked], rel=1e-6
    )  # float32
    assert found[0]["kl"] == pytest.approx(0, abs=1e-4)  # it is its base still; float32 over six tokens
    assert all(0 < row["length"] <= 6 for row in found)
    assert all(0 < row["entropy"] < math.log(300) for row in found)


def test_the_kl_is_that_of_a_completion() -> None:
    # two nats a token, over tokens of all completions together, times three tokens a completion
    log = {"step": 1, "reward": 0.5, "kl": 2.0, "entropy": 1.0, "completions/mean_length": 3.0, "texts": ["a b"]}
    step = group_relative._step(log)
    assert step == Step({"step": 1, "reward": 0.5, "kl": 6.0, "entropy": 1.0, "length": 3.0}, ["a b"])


def test_transformers_loads_it_as_it_loads_its_base(base: Path, tmp_path: Path) -> None:
    made = small(Rloo, steps=1).make(site(tmp_path, base=base))
    configs = [json.loads((folder / "config.json").read_text()) for folder in (base, made.folder)]
    assert configs[0] == configs[1]
    assert (base / "tokenizer.json").read_bytes() == (made.folder / "tokenizer.json").read_bytes()
    before, after = (json.loads((folder / "tokenizer_config.json").read_text()) for folder in (base, made.folder))
    assert before.items() <= after.items()  # the library adds how it was loaded


def test_progress_is_told_by_the_step(base: Path, tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    with listening(lambda share, note: told.append((share, note))):
        small(Rloo).make(site(tmp_path, base=base))
    assert [share for share, _ in told] == [0.25, 0.5, 0.75, 1.0]
    assert told[-1][1].startswith("step 4 of 4, reward ")


# --- what is refused


@BOTH
@pytest.mark.parametrize(("positive", "value"), [(None, "nan"), (True, "inf"), (False, "-inf")])
def test_a_reward_that_is_no_number_is_refused_with_its_text(
    aligner: type[OnPolicy], positive: bool | None, value: str, base: Path, tmp_path: Path
) -> None:
    reward = Astray.named("astray", positive=positive)
    with pytest.raises(NotFinite, match=rf"judge 'astray' rewards the completion '.*' with {value}, which nothing"):
        small(aligner, reward=reward).make(site(tmp_path, base=base))


def test_a_judge_that_cannot_judge_loose_texts_says_so(base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="judge 'role' needs pairs; 8 texts are in none"):
        small(Rloo, reward=Role.named("role")).make(site(tmp_path, base=base))


def test_without_a_base_or_prompts_it_says_what_it_lacks(base: Path, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="aligner 'rloo' has nothing to align: name its 'base'"):
        small(Rloo).make(site(tmp_path))
    with pytest.raises(SuiteError, match="aligner 'rloo' has nothing to complete: name its 'prompts'"):
        small(Rloo, prompts=None).make(site(tmp_path, base=base))


@pytest.mark.parametrize(("prompts", "found"), [(Blank(), "1 with and 15"), (Openings(most=0), "0 with and 0")])
def test_prompts_without_text_are_refused(prompts: Prompts, found: str, base: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"aligner 'rloo' needs prompts that hold text, got {found} without any"):
        small(Rloo, prompts=prompts).make(site(tmp_path, base=base))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"batch": 9}, "batch 9 is no multiple of per_prompt 2 times parts 1"),
        ({"batch": 8, "parts": 3}, "batch 8 is no multiple of per_prompt 2 times parts 3"),
        ({"per_prompt": 1}, "(?s)per_prompt.*greater than or equal to 2"),
        ({"kl": -0.1}, "(?s)kl.*greater than or equal to 0"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        small(Rloo, **fields)


def test_a_gpu_that_is_not_there_is_said_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    small(Grpo).check()
    with pytest.raises(MissingExtra, match="aligner 'grpo' is to train on 'cuda', but torch sees no GPU here"):
        small(Grpo, device="cuda").check()


def test_another_version_of_trl_is_another_aligner(monkeypatch: pytest.MonkeyPatch) -> None:
    before = small(Rloo).reads()
    monkeypatch.setattr("fairl_bench.builtin.lms.on_policy.version", lambda package: f"{package} 99")
    assert small(Rloo).reads() == {"trl": "trl 99"} != before


# --- collapse


def history(n: int, **last: float | list[str]) -> list[Step]:
    """Steps of equal numbers and texts, the last tenth of them with other ones."""
    texts = [" ".join(f"w{i}" for i in range(start, start + 10)) for start in range(0, 100, 10)]
    numbers = {"reward": 0.0, "kl": 0.0, "entropy": 2.0, "length": 10.0}
    end = {**numbers, **{name: value for name, value in last.items() if not isinstance(value, list)}}
    texts_then = last.get("texts", texts)
    assert isinstance(texts_then, list)
    tenth = max(1, n // 10)
    steps = [Step({"step": i + 1, **numbers}, texts) for i in range(n - tenth)]
    return steps + [Step({"step": n - tenth + i + 1, **end}, texts_then) for i in range(tenth)]


def repeated(share: float) -> list[str]:
    """Texts of a hundred runs of two words, this share of them different."""
    words = [f"w{i}" for i in range(round(share * 100))]
    return [f"{word} x" for word in (words * 100)[:100]]


@pytest.mark.parametrize(
    ("last", "collapsed"),
    [
        ({}, False),
        ({"entropy": 1.01}, False),
        ({"entropy": 0.99}, True),
        ({"length": 5.1}, False),
        ({"length": 4.9}, True),
        ({"length": 19.9}, False),
        ({"length": 20.1}, True),
        ({"texts": repeated(0.61)}, False),
        ({"texts": repeated(0.59)}, True),
        ({"texts": ["x", ""]}, True),
    ],
)
def test_collapse_is_less_variety_entropy_or_another_length(last: dict[str, Any], collapsed: bool) -> None:
    assert training_facts(history(20, **last))["collapsed"] is collapsed


def test_the_verdict_is_the_last_tenth_against_the_first() -> None:
    found = training_facts(history(40, reward=0.5, kl=3.0, entropy=1.5, length=8.0))
    assert found["reward_first"] == 0.0
    assert (found["reward"], found["kl"], found["entropy_kept"], found["length_kept"]) == (0.5, 3.0, 0.75, 0.8)
    # equal texts in four steps: a quarter of their runs of two words differ, before and after
    assert (found["distinct_2"], found["distinct_2_kept"]) == (0.25, 1.0)


def test_what_the_base_leaves_undefined_speaks_for_no_collapse() -> None:
    words = [Step({"reward": 0.0, "entropy": 0.0, "length": 1.0}, ["one"])] * 2
    found = training_facts(words)
    assert "distinct_2_kept" not in found
    assert "entropy_kept" not in found
    assert found["collapsed"] is False
