"""A stage that went on after an interruption has taken the time of both parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.engine import worked_time
from fairl_bench.engine.worked_time import WorkedTime
from fairl_bench.pipeline import Finished
from fairl_bench.progress import following, listening, report
from fairl_bench.store.store import Store

SLOW = """
import shutil
import time
from pathlib import Path

from fairl_bench import LM, Model, hookimpl, report


class Slow(LM):
    place: str

    def make(self, site):
        time.sleep(0.4)
        report(1, 2)
        begun = site.scratch / "begun"
        if not begun.exists():
            begun.write_text("")
            raise RuntimeError('not yet')
        shutil.copytree(self.place, site.folder, dirs_exist_ok=True)
        return Model(site.folder)


@hookimpl
def fairl_lms(register):
    register("slow", Slow)
"""


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(worked_time.time, "perf_counter", clock)
    return clock


def test_time_before_an_interruption_counts_up_to_the_last_note(tmp_path: Path, clock: Clock) -> None:
    first = WorkedTime(tmp_path)
    for clock.now in (100.5, 103.0, 103.4):  # noted at 103: half a second is no new note
        first.note()
    clock.now = 900.0
    second = WorkedTime(tmp_path)
    clock.now = 907.0
    assert second.seconds() == pytest.approx(10.0)


@pytest.mark.parametrize("half", ["", "3.", "-4", "nan", "x"])
def test_a_note_that_was_being_written_is_no_time_or_some(half: str, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "seconds").write_text(half)
    assert WorkedTime(tmp_path).seconds() == (3.0 if half == "3." else 0.0)


def test_who_follows_is_called_beside_who_listens() -> None:
    told = list[object]()
    with listening(lambda share, note: told.append((share, note))), following(lambda: told.append("noted")):
        report(1, 4, "a")
    with following(lambda: told.append("alone")):
        report(1, 1)
    report(1, 1)
    assert told == ["noted", (0.25, "a"), "alone"]


def test_a_resumed_stage_tells_its_whole_time(
    run_suite: Callable[..., Finished],
    tiny: dict[str, Any],
    tiny_lm: Path,
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worked_time, "_EVERY", 0.0)
    (tmp_path / "slow.py").write_text(SLOW)
    tiny["plugins"] = ["slow.py"]
    tiny["encoders"] = [{"name": "states", "use": "causal-lm", "lm": {"use": "slow", "place": str(tiny_lm)}}]
    assert run_suite(tiny).outcome.failed
    finished = run_suite(tiny)
    (key,) = (stage.key for stage in finished.plan.stages.values() if stage.kind == "lm")
    assert 0.8 <= store.manifest(key)["facts"]["seconds"] < 30
