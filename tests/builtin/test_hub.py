from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairl_bench.builtin.shared import hub
from fairl_bench.builtin.shared.batches import in_batches
from fairl_bench.errors import MissingExtra
from fairl_bench.progress import listening

# --- the hub's cache, as huggingface_hub lays it out


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds two commits of one model and one of a data set, and no hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for folder, commit, ref in (
        ("models--some--model", "a" * 40, "main"),
        ("models--some--model", "b" * 40, "v1"),
        ("datasets--some--data", "c" * 40, "main"),
    ):
        (tmp_path / folder / "snapshots" / commit).mkdir(parents=True)
        (tmp_path / folder / "refs").mkdir(exist_ok=True)
        (tmp_path / folder / "refs" / ref).write_text(commit)
    return tmp_path


def test_a_snapshot_on_this_machine_is_named_by_its_commit(cached: Path) -> None:
    def commit(name: str, revision: str | None = None, **more: object) -> str:
        return hub.snapshot(name, revision, what="", hint="", **more).name  # type: ignore[arg-type]

    assert commit("some/model") == "a" * 40
    assert commit("some/model", "v1") == "b" * 40
    assert commit("some/model", "b" * 40) == "b" * 40
    assert commit("some/data", repo_type="dataset") == "c" * 40
    for name, revision in (("some/data", None), ("some/model", "v2")):
        with pytest.raises(MissingExtra, match="it is not on this machine and the hub cannot be reached; do this"):
            hub.snapshot(name, revision, what="it", hint="do this")


def test_what_is_not_on_this_machine_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def fetch(name: str, **more: object) -> str:
        asked.append((name, more))
        if more["local_files_only"]:
            raise OSError("not on this machine")
        return "/hub/c0ffee"

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    found = hub.snapshot("a/b", "v1", what="", hint="", repo_type="dataset", files=("*.json",))
    assert found == Path("/hub/c0ffee")
    more = {"revision": "v1", "repo_type": "dataset", "allow_patterns": ["*.json"]}
    assert asked == [("a/b", {**more, "local_files_only": local}) for local in (True, False)]


def test_a_hub_that_refuses_is_told_from_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(name: str, **more: object) -> str:
        raise PermissionError("gated")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(
        MissingExtra, match=r"model 'a/b' is not on this machine and the hub gives none \(PermissionErr"
    ):
        hub.snapshot("a/b", None, what="model 'a/b'", hint="")


# --- batches


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_rows_come_back_in_the_order_of_the_texts(size: int, workers: int) -> None:
    order = [3, 0, 4, 1, 2]
    seen: list[tuple[int, ...]] = []

    def work(rows: object) -> np.ndarray:
        seen.append(tuple(rows))  # type: ignore[arg-type]
        return np.array([[row, row * 10] for row in rows])  # type: ignore[attr-defined]

    found = in_batches(order, size, work, workers)
    assert found.tolist() == [[row, row * 10] for row in range(5)]
    assert sorted(seen) == sorted(tuple(order[start : start + size]) for start in range(0, 5, size))


def test_batches_say_how_far_they_are() -> None:
    said: list[tuple[float, str]] = []
    with listening(lambda share, note: said.append((share, note))):
        in_batches([1, 0, 2, 3], 3, lambda rows: np.array(rows), 1)
    assert said == [(0.75, "3 of 4 texts"), (1.0, "4 of 4 texts")]
