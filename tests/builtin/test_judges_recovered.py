from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench import load_reward
from fairl_bench.builtin.judges.recovered import RecoveredJudge
from fairl_bench.digests import digest
from fairl_bench.engine.keys import identity
from fairl_bench.engine.planner import plan
from fairl_bench.errors import DataError, PluginError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM
from fairl_bench.pipeline import Finished
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import GOLD, Examples
from fairl_bench.values.language_models import Site

REGISTRY = Registry(installed=False)
TEXTS = ("you are a numbskull", "thank you, that was kind", "")
MARGIN, OTHER = "toy-tfidf-max-margin-r0-s0", "toy-tfidf-max-margin-r0-s1"


@pytest.fixture
def shelf(ran_once: tuple[Path, Finished]) -> Path:
    return ran_once[1].folder / "rewards"


def judge_of(folder: Path, **fields: Any) -> Judge:
    return REGISTRY.build(Judge, {"use": "recovered", "folder": str(folder), **fields})


def key(folder: Path, **fields: Any) -> str:
    return digest(identity(judge_of(folder, **fields), REGISTRY))


def test_its_values_are_the_rewards_and_its_labels_their_side_of_the_threshold(shelf: Path) -> None:
    expected = load_reward(shelf / MARGIN).values(Examples(TEXTS))
    value, label = judge_of(shelf / MARGIN).judge(Examples(TEXTS))[GOLD]
    assert value.tolist() == expected.tolist()
    assert label.tolist() == np.where(expected > 0, 1, -1).tolist()
    middle = float(np.median(expected))
    above = judge_of(shelf / MARGIN, threshold=middle).judge(Examples(TEXTS))[GOLD].label
    assert sorted(above.tolist()) == [-1, -1, 1]  # the middle one is not above itself


def test_what_lies_in_the_folder_is_in_the_key_and_where_it_lies_is_not(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / MARGIN, tmp_path / "copy")
    assert key(tmp_path / "copy") == key(shelf / MARGIN)
    assert key(shelf / OTHER) != key(shelf / MARGIN)
    assert key(shelf / MARGIN, threshold=0.5) != key(shelf / MARGIN)


def test_its_folder_is_looked_for_beside_the_suite(
    shelf: Path, write_suite: Callable[..., Path], tiny: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(shelf / MARGIN, tmp_path / "suites" / "mine")
    tiny["testsets"]["shifted"]["gold"] = {"use": "recovered", "folder": "mine"}
    study = read_study(write_suite(tiny, "suites/suite.yaml"))
    assert plan(study).cells
    judge: Any = study.suite.testsets["shifted"].gold  # type: ignore[attr-defined]
    judge.check()
    assert judge.folder == str(tmp_path / "suites" / "mine")


def test_a_folder_without_a_reward_is_found_out_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone holds no saved reward"):
        judge_of(tmp_path / "gone").check()


def test_without_a_registry_it_cannot_find_the_rewards_parts(shelf: Path) -> None:
    with pytest.raises(PluginError, match="judge 'recovered' needs a registry to find its parts in"):
        RecoveredJudge(folder=str(shelf / MARGIN)).judge(Examples(TEXTS))


def test_it_is_read_again_where_the_folder_changed(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / MARGIN, tmp_path / "mine")
    judge = judge_of(tmp_path / "mine")
    before = judge.judge(Examples(TEXTS))[GOLD].value
    shutil.rmtree(tmp_path / "mine")
    shutil.copytree(shelf / OTHER, tmp_path / "mine")
    assert judge.judge(Examples(TEXTS))[GOLD].value.tolist() != before.tolist()


def test_an_aligner_takes_it_as_its_reward(shelf: Path, tiny_lm: Path, tmp_path: Path) -> None:
    spec = {
        "use": "rloo",
        "prompts": {"use": "toy-prompts"},
        "reward": {"use": "recovered", "folder": str(shelf / MARGIN)},
        **{"steps": 2, "batch": 8, "per_prompt": 2, "sampling": {"max_new_tokens": 6}},
    }
    for name in ("answer", "work"):
        (tmp_path / name).mkdir()
    aligner = REGISTRY.build(LM, spec)
    aligner.check()
    made = aligner.make(Site(tmp_path / "answer", tmp_path / "work", {"base": tiny_lm}))
    assert (made.folder / "model.safetensors").exists()
    assert made.facts["steps"] == 2
