"""What a run says of itself while it works."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rich.console
from rich.console import Console

from fairl_bench.display import live as show
from fairl_bench.display.live import Progress
from fairl_bench.guards.printable import printable
from fairl_bench.pipeline import run
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.values.stage import Stage


def stage(kind: str, title: str) -> Stage:
    return Stage(kind, f"key of {title}", title)


ONE, TWO, SCORES = [stage("reward", "one")], [stage("reward", "two"), stage("reward", "b")], [stage("scores", "one")]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by a test."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


# --- not a terminal


def test_jobs_are_plain_lines_as_they_start(out: io.StringIO) -> None:
    with Progress(out) as progress:
        watcher = progress.watcher()
        watcher.started(ONE, 0, 3)
        watcher.started(TWO, 1, 3)
        watcher.finished(TWO, [])
        watcher.finished(ONE, [])
        watcher.started(SCORES, 2, 3)  # a moment's work says nothing
        watcher.finished(SCORES, [])
    assert out.getvalue() == "[1/3] reward: one\n[2/3] reward: two and 1 more together\n"


def test_a_long_job_says_where_it_is_at_most_every_ten_seconds(out: io.StringIO, clock: list[float]) -> None:
    with Progress(out) as progress:
        watcher = progress.watcher()
        watcher.started(ONE, 0, 2)
        watcher.started(TWO, 1, 2)
        for clock[0] in (1.0, 9.0, 11.0, 12.0, 20.0, 22.0):
            watcher.moved(ONE[0].key, clock[0] / 100, f"epoch {clock[0]:.0f}")
        watcher.moved(TWO[0].key, 0.5, "epoch 7")
        watcher.finished(ONE, [])
        clock[0] = 25.0
        watcher.finished(TWO, [])
    assert out.getvalue().splitlines()[2:] == [
        "       11% epoch 11 (reward: one)",
        "       22% epoch 22 (reward: one)",
        "       50% epoch 7 (reward: two and 1 more together)",
        "      done in 22 s (reward: one)",
        "      done in 25 s (reward: two and 1 more together)",
    ]


def test_a_failure_is_said_when_it_happens(out: io.StringIO, clock: list[float]) -> None:
    with Progress(out) as progress:
        watcher = progress.watcher()
        watcher.started(TWO, 0, 1)
        clock[0] = 60.0
        watcher.finished(TWO, ["two: ValueError: boom", "b: [red]no markup[/red]"])
        watcher.damaged("artefact ab is damaged")
    assert out.getvalue().splitlines()[1:] == [
        "failed: reward: two: ValueError: boom",
        "failed: reward: b: [red]no markup[/red]",
        "artefact ab is damaged",
    ]


def test_a_message_of_a_job_that_has_ended_is_dropped(out: io.StringIO, clock: list[float]) -> None:
    with Progress(out) as progress:
        watcher = progress.watcher()
        watcher.started(ONE, 0, 1)
        watcher.finished(ONE, [])
        clock[0] = 60.0
        watcher.moved(ONE[0].key, 0.5, "late")
    assert "late" not in out.getvalue()


def test_a_long_line_is_not_broken(out: io.StringIO) -> None:
    with Progress(out) as progress:
        progress.watcher().started([stage("reward", "x" * 500)], 0, 1)
    assert out.getvalue() == f"[1/1] reward: {'x' * 500}\n"


HOSTILE = "a\x1b[2Jb\x07c\rd\x9be\u202ef"


def test_control_characters_reach_no_terminal(out: io.StringIO, clock: list[float]) -> None:
    with Progress(out) as progress:
        watcher = progress.watcher()
        watcher.started([stage("reward", HOSTILE)], 0, 1)
        clock[0] = 11.0
        watcher.moved(f"key of {HOSTILE}", 0.5, HOSTILE)
        watcher.finished([stage("reward", HOSTILE)], [HOSTILE])
        watcher.damaged(HOSTILE)
    assert len(out.getvalue().splitlines()) == 4
    assert not set(out.getvalue()) & set("\x1b\x07\r\x9b\u202e")


def test_printable_keeps_text_and_lines() -> None:
    assert printable("two\nlines, é ± 日本") == "two\nlines, é ± 日本"
    assert printable(HOSTILE) == "a\ufffd[2Jb\ufffdc\ufffdd\ufffde\ufffdf"
    assert printable("a\tb") == "a\ufffdb"


# --- a terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written to takes itself for a terminal."""

    def console(**options: Any) -> Console:
        return Console(**options, force_terminal=True, width=100, legacy_windows=False)

    monkeypatch.setattr(rich.console, "Console", console)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_shows_a_bar_for_each_job_in_flight(out: io.StringIO) -> None:
    with Progress(out) as progress:
        assert progress.live
        watcher = progress.watcher()
        watcher.started(ONE, 0, 3)
        watcher.started(TWO, 1, 3)
        watcher.moved(ONE[0].key, 0.25, "epoch 1")
        watcher.moved(TWO[0].key, 0.75, "epoch 3")
        assert [(task.description, task.percentage, task.fields["note"]) for task in progress.bars.tasks] == [
            ("all", pytest.approx(100 / 3), "1 of 3 jobs"),
            ("reward: one", 25.0, "epoch 1"),
            ("reward: two and 1 more together", 75.0, "epoch 3"),
        ]
        watcher.finished(TWO, ["two: ValueError: boom"])
        watcher.moved(TWO[0].key, 1.0, "late")
        watcher.finished(ONE, [])
        watcher.started(SCORES, 2, 3)
        watcher.finished(SCORES, [])
        assert [task.description for task in progress.bars.tasks] == ["all"]
    assert "failed: reward: two: ValueError: boom" in out.getvalue()
    assert "[1/3]" not in out.getvalue()


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("title", ["[bold]x[/bold]", "[/]", "x[", "\x1b[2J"])
def test_a_title_is_no_markup_on_a_terminal(title: str, out: io.StringIO) -> None:
    job = [stage("reward", title)]
    with Progress(out) as progress:
        watcher = progress.watcher()
        watcher.started(job, 0, 1)
        watcher.moved(job[0].key, 0.5, title)
        progress.bars.refresh()
        watcher.finished(job, [title])
    assert printable(title) in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


@pytest.mark.usefixtures("terminal")
def test_a_run_shows_itself_on_a_terminal(
    out: io.StringIO, tiny: dict[str, Any], store: Store, write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    tiny["methods"] = tiny["methods"][1:]
    with Progress(out) as progress:
        finished = run(read_study(write_suite(tiny)), store, tmp_path / "results", progress.watcher())
        assert not progress.jobs
    assert not finished.outcome.failed
    assert "of 20 jobs" in out.getvalue()


def test_the_interval_is_that_of_these_tests() -> None:
    assert show._QUIET == 10.0
