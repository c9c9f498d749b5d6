"""Language models are the long work of a suite: a run that is killed in it goes on and ends as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# one process that imports the libraries once, and forks: each run is a child of it, killed at its moment
DRIVER = """
import json, os, signal, sys
from pathlib import Path

import datasets, torch, transformers, trl  # noqa: what the children share

from fairl_bench.builtin.lms import group_relative
from fairl_bench.engine.execute import Watcher
from fairl_bench.suite.read import read_study
from fairl_bench.pipeline import run
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.science import pretraining

group_relative.CHECKPOINT_SECONDS = pretraining.CHECKPOINT_SECONDS = 0.0
group_relative.CHECKPOINT_SHARE = 1.0


def follow(log, moment):
    titles = {}

    def say(*line):
        print(json.dumps(line), file=log, flush=True)
        if moment and all(wanted in said for wanted, said in zip(moment, line)):
            os.kill(os.getpid(), signal.SIGKILL)

    def started(job, done, total):
        titles.update((stage.key, stage.title) for stage in job)
        say(job[0].kind, job[0].title, "started")

    return Watcher(started, lambda key, share, note: say("moved", titles[key], note))


suite, *attempts = map(json.loads, sys.argv[1:])
for number, (folder, moment) in enumerate(attempts):
    child = os.fork()
    if not child:
        with open(f"{number}.log", "w") as log:
            finished = run(read_study(Path(suite)), FolderStore(Path(folder, "store")), Path(folder, "results"),
                           follow(log, moment))
        os._exit(1 if finished.outcome.failed else 0)
    # at once: a child that flushes what it was born with would say it again
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

SUITE: dict[str, Any] = {
    "name": "killed",
    "seeds": [0],
    "models": [
        {
            "name": "tiny",
            "use": "aligned-lm",
            "base": {
                "use": "tiny-lm",
                "corpus": {"use": "toy-comments", "n": 80},
                **{"layers": 1, "width": 16, "heads": 2, "vocab": 300, "context": 64},
                **{"steps": 8, "batch": 4, "length": 16},
            },
            "expert": {
                "use": "rloo",
                "reward": {"use": "toy-truth"},
                "steps": 3,
                "batch": 8,
                "sampling": {"max_new_tokens": 6},
            },
            "prompts": {"use": "toy-prompts"},
            "n": 40,
            "sampling": {"max_new_tokens": 6},
            "gold": {"use": "toy-truth"},
        }
    ],
    "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 8}],
    "training": {"epochs": 3},
    "methods": [{"name": "max-entropy", "use": "max-entropy"}, {"name": "length", "use": "length"}],
    "evaluate": [
        {
            "use": "classification",
            "data": ["pairs/test"],
            "label": "preferred",
            "threshold": {"data": "pairs/train", "label": "preferred"},
        },
        {"use": "fidelity", "data": ["pairs/test"], "truth": "preferred"},
    ],
    "report": {"table1": {"data": ["pairs/test"], "truth": "preferred"}},
}
# kind or "moved", a part of the title, a part of the note
MOMENTS = (
    ("moved", "tiny-lm", "step 5 of 8"),
    ("moved", "rloo", "step 2 of 3"),
    ("moved", "completions of tiny, base", "0 of 40"),
    ("completions", "completions of tiny, expert", "started"),
    ("examples", "pairs of tiny", "started"),
    ("reward", "max-entropy", "started"),
    ("measures", "fidelity of max-entropy", "started"),
)


class Runs(NamedTuple):
    """What became of each run, what each was told, and where they all were."""

    codes: list[int]
    told: list[list[list[str]]]
    folder: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One that nothing happens to, in ``whole``; in ``killed`` one for each moment, and one that goes on to the end."""
    folder = tmp_path_factory.mktemp("runs")
    attempts = [("whole", ()), *(("killed", moment) for moment in MOMENTS), ("killed", ())]
    for name in ("whole", "killed"):
        (folder / name).mkdir()
    (folder / "suite.yaml").write_text(json.dumps(SUITE))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *map(json.dumps, ("suite.yaml", *attempts))],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    assert done.returncode == 0, done.stderr
    logs = [(folder / f"{i}.log").read_text() for i in range(len(attempts))]
    told = [[json.loads(line) for line in log.splitlines()] for log in logs]
    return Runs([int(line) for line in done.stdout.split()], told, folder)


def test_a_run_killed_in_every_stage_ends_with_the_files_of_one_that_was_not(runs: Runs) -> None:
    assert runs.codes == [0, *[-signal.SIGKILL] * len(MOMENTS), 0]
    whole, killed = runs.folder / "whole" / "results", runs.folder / "killed" / "results"
    found = {path.relative_to(whole) for path in whole.rglob("*.parquet")}
    assert {path.name for path in found} >= {"records.parquet"}
    assert found == {path.relative_to(killed) for path in killed.rglob("*.parquet")}
    for path in found:
        assert (killed / path).read_bytes() == (whole / path).read_bytes(), path
    assert not [path for path in (runs.folder / "killed" / "store" / "scratch").rglob("*") if path.is_file()]


def test_each_run_goes_on_where_the_one_before_was_killed(runs: Runs) -> None:
    _, *killed = runs.told
    for (_, title, _), before, after in zip(MOMENTS, killed[:-1], killed[1:], strict=True):
        assert before[-1][1] == after[0][1]
        assert title in after[0][1]
        assert after[0][2] == "started"


@pytest.mark.parametrize(("run", "first"), [(2, "step 5 of 8"), (3, "step 2 of 3")])
def test_a_training_goes_on_from_its_checkpoint(run: int, first: str, runs: Runs) -> None:
    moved = [note for kind, _, note in runs.told[run] if kind == "moved"]
    assert moved[0].startswith(first)
