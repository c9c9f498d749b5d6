"""Everything that a run writes can be read by whoever may read the folder that it lies in."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from fairl_bench.builtin.judges.linear import Weights
from fairl_bench.guards.permissions import all_as_their_folder, as_its_folder
from fairl_bench.pipeline import Finished

LM: dict[str, Any] = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 60}, "layers": 1, "width": 16}
LM |= {"heads": 2, "vocab": 320, "context": 96, "length": 16, "batch": 4, "steps": 2}


@pytest.fixture(params=[0o022, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_safetensors_alone_would_be_for_their_owner_only(tmp_path: Path, umask: int) -> None:
    """What the library does, so that these tests would fail without the mending."""
    save_file({"a": np.zeros(1)}, tmp_path / "a.safetensors")
    assert permissions(tmp_path / "a.safetensors") == 0o600


def test_a_run_writes_its_store_and_its_results_as_the_user_s_mask_says(
    umask: int, run_suite: Callable[..., Finished], tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["models"][0]["n"] = 40
    tiny["encoders"] = [{"name": "lm", "use": "causal-lm", "lm": LM}]
    tiny["methods"] = tiny["methods"][-2:]
    tiny["evaluate"] = [{"use": "fidelity", "data": ["pairs/test"]}]
    results = run_suite({name: value for name, value in tiny.items() if name not in ("testsets", "report")})
    assert results.outcome.failed == {}
    written = [path for path in (*results.folder.rglob("*"), *(tmp_path / "store").rglob("*")) if path.is_file()]
    assert {"reward.safetensors", "model.safetensors", "embeddings.safetensors"} <= {path.name for path in written}
    assert {path.name: oct(permissions(path)) for path in written} == {
        path.name: oct(0o666 & ~umask) for path in written
    }


def test_a_reward_of_an_older_store_is_opened_where_it_is_linked(
    run_suite: Callable[..., Finished], tiny: dict[str, Any], tmp_path: Path
) -> None:
    """Stores of before hold files for their owner alone, and a results folder has links to them."""
    tiny["methods"] = tiny["methods"][-2:]
    run_suite(tiny)
    for path in (tmp_path / "store").rglob("*.safetensors"):
        path.chmod(0o600)
    again = run_suite(tiny, results="again").folder
    arrays = list(again.glob("rewards/*/reward.safetensors"))
    assert len(arrays) == 2
    assert {permissions(path) for path in arrays} == {permissions(again) & 0o666}


def test_a_saved_linear_judge_is_written_as_the_mask_says(umask: int, tmp_path: Path) -> None:
    Weights(("gold",), ("a",), "word", 1, np.ones(1), np.ones((1, 1)), np.zeros(1)).save(tmp_path / "judge.safetensors")
    assert permissions(tmp_path / "judge.safetensors") == permissions(tmp_path) & 0o666 & ~umask | 0o600


def test_a_private_folder_keeps_its_files_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    (tmp_path / "inner").mkdir(mode=0o700)
    for path in (tmp_path / "a", tmp_path / "inner" / "b"):
        path.write_text("")
        path.chmod(0o600)
    (tmp_path / "link").symlink_to("/etc/hostname")
    all_as_their_folder(tmp_path)
    assert permissions(tmp_path / "a") == 0o640
    assert permissions(tmp_path / "inner" / "b") == 0o600


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    (tmp_path / "a").write_text("")
    (tmp_path / "a").chmod(0o600)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    as_its_folder(tmp_path / "a")
    assert permissions(tmp_path / "a") == 0o600
