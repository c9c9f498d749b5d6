"""A file that changes between the plan and its reading is no answer to the plan's question."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.builtin.sources.files import Jsonl
from fairl_bench.pipeline import run
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.values.data import Pairs


@pytest.mark.parametrize("when", ["before it is read", "after it is read"])
def test_a_file_that_changes_during_a_run_fails_its_stage_and_is_not_kept(
    when: str,
    tiny: dict[str, Any],
    tmp_path: Path,
    write_suite: Callable[..., Path],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [{"chosen": f"kind {i}", "rejected": f"rude {i}"} for i in range(60)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tiny["models"] = [{"name": "m", "use": "jsonl", "path": "pairs.jsonl", "gold": {"use": "role"}}]
    study = read_study(write_suite(tiny))
    read = Jsonl.pairs

    def changed(source: Jsonl, rng: Any) -> Pairs:
        if when == "before it is read":
            path.write_text(path.read_text() + '{"chosen": "new", "rejected": "old"}\n')
        found = read(source, rng)
        if when == "after it is read":
            path.write_text(path.read_text().replace("kind", "dull"))
        return found

    monkeypatch.setattr(Jsonl, "pairs", changed)
    outcome = run(study, store, tmp_path / "results").outcome
    (reason,) = outcome.failed.values()
    assert reason.endswith("a file that it reads, or its code, has changed since the run began; run it again")
    monkeypatch.undo()
    again = run(read_study(write_suite(tiny)), store, tmp_path / "results").outcome
    assert not again.failed
