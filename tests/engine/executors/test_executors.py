"""Work in several processes: the same numbers, and what becomes of it when one of them dies or all are told to stop."""

from __future__ import annotations

import json
import os
import pickle
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.engine.execute import Watcher, jobs, missing
from fairl_bench.engine.planner import plan
from fairl_bench.errors import DamagedArtefact, FairlError
from fairl_bench.pipeline import Finished, run
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.manifest import MANIFEST
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

Write = Callable[..., Path]

HEAD = """\
import multiprocessing, os, signal, sys, time
from pathlib import Path
from fairl_bench import Field


def tries(path, seed, note=""):
    with Path(path).with_suffix(".tries").open("a") as file:
        print(seed, note, file=file)
    return Path(path).with_suffix(".tries").read_text().count(f"{seed} ")


def siblings():
    parent = multiprocessing.parent_process().pid
    found = [Path(f"/proc/{n}/cmdline") for n in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return sum(b"spawn_main" in path.read_bytes() for path in found)


def good():
    import numpy as np
    return Reward({"weight": np.ones(8, "float32"), "bias": np.zeros((), "float32")})

"""
METHOD = """
from fairl_bench import Method, PairwiseMethod, Reward, hookimpl


class Part({base}):
{body}

@hookimpl
def fairl_methods(register):
    register("{name}", Part)
"""


LETTERS = """
import numpy as np
from fairl_bench import Encoder, hookimpl


class Letters(Encoder):
    def encode(self, texts, corpus):
        return np.array([[text.count(letter) for letter in "aeioustn"] for text in texts], "float32")


@hookimpl
def fairl_encoders(register):
    register("letters", Letters)
"""


@pytest.fixture
def light(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny suite without what takes a fresh process seconds to import."""
    (tmp_path / "letters.py").write_text(LETTERS)
    tiny["encoders"] = [{"name": "letters", "use": "letters"}]
    tiny["plugins"] = ["letters.py"]
    tiny["methods"] = tiny["methods"][2:]
    tiny["evaluate"] = tiny["evaluate"][:1]
    tiny["report"]["table1"]["metrics"] = ["accuracy", "auc"]
    return tiny


def add_method(folder: Path, suite: dict[str, Any], name: str, body: str, base: str = "Method") -> None:
    """Write a drop-in method and name it in a suite."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (folder / f"{name}.py").write_text(HEAD + METHOD.format(base=base, body=lines, name=name))
    suite.setdefault("plugins", []).append(f"{name}.py")
    suite["methods"].append({"name": name, "use": name})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that no clock is in."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "manifest.json") and path.parent.name != "logs"
    }


# --- the same numbers


def test_two_processes_leave_the_files_of_one_bit_for_bit(
    tiny: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    add_method(tmp_path, tiny, "square", "def loss(self, margin):\n    return (1 - margin).square()", "PairwiseMethod")
    add_method(tmp_path, tiny, "bad", "def fit(self, task):\n    raise ValueError('boom')")
    study = read_study(write_suite(tiny))
    told: list[tuple[str, float, str]] = []
    here = run(study, FolderStore(tmp_path / "one"), tmp_path / "r1")
    two = FolderStore(tmp_path / "two")
    watcher = Watcher(moved=lambda *move: told.append(move))
    pool = run(study, two, tmp_path / "r2", watcher, jobs=2)

    assert contents(tmp_path / "r1") == contents(tmp_path / "r2")
    assert pool.outcome.failed == here.outcome.failed
    assert [reason.partition(": ")[2] for reason in pool.outcome.failed.values()] == ["ValueError: boom"] * 2
    assert pool.outcome.skipped == here.outcome.skipped
    assert sorted(pool.outcome.done) == sorted(here.outcome.done)
    # messages of workers arrive, under the key of a job
    assert {note for _, _, note in told} >= {"epoch 3, 3 of 3 runs"}
    assert all(0 <= share <= 1 and key in pool.plan.stages for key, share, _ in told)
    # three pairwise methods by two seeds: one job for each process
    together = [two.manifest(key)["facts"]["trained_together"] for key in pool.outcome.done if reward(pool, key)]
    assert sorted(together) == [1, 1, 3, 3, 3, 3, 3, 3]


def reward(finished: Finished, key: str) -> bool:
    return finished.plan.stages[key].kind == "reward"


def test_a_stack_is_divided_among_the_processes(tiny: dict[str, Any], write_suite: Write, store: Store) -> None:
    made = plan(read_study(write_suite(tiny)))
    stages = missing(made, store)

    def sizes(slots: int) -> list[int]:
        return sorted(len(job) for job in jobs(stages, slots) if job[0].kind == "reward" and job[0].stack)

    assert [sizes(slots) for slots in (1, 2, 3, 4, 9)] == [[4], [2, 2], [1, 1, 2], [1, 1, 1, 1], [1, 1, 1, 1]]
    for slots in (2, 3):
        assert sorted(stage.key for job in jobs(stages, slots) for stage in job) == sorted(made.stages)


def test_work_of_several_cores_has_no_other_beside_it_where_there_are_no_more(
    light: dict[str, Any], tmp_path: Path, write_suite: Write, store: Store
) -> None:
    body = """def fit(self, task):
    started = time.monotonic()
    time.sleep(0.3)
    with Path(__file__).with_suffix(".spans").open("a") as file:
        print(started, time.monotonic(), file=file)
    return good()"""
    for name in ("wide", "narrow"):
        add_method(tmp_path, light, name, body)
    light["methods"] = light["methods"][-2:]
    light["methods"][0]["resources"] = {"num_cpus": 2.0}
    assert not run(read_study(write_suite(light)), store, tmp_path / "results", jobs=2).outcome.failed

    def spans(name: str) -> list[tuple[float, float]]:
        lines = (tmp_path / f"{name}.spans").read_text().splitlines()
        return [(float(start), float(end)) for start, end in map(str.split, lines)]

    wide, narrow = spans("wide"), spans("narrow")
    assert len(wide) == len(narrow) == 2
    for number, (start, end) in enumerate(wide):
        others = [*wide[:number], *wide[number + 1 :], *narrow]
        assert all(end <= other_start or other_end <= start for other_start, other_end in others)


def test_damage_found_by_another_process_is_mended(
    ran: Finished, store: Store, tiny: dict[str, Any], write_suite: Write
) -> None:
    before = contents(ran.folder)
    (key,) = (key for key, stage in ran.plan.stages.items() if stage.kind == "split")
    for cell in ran.plan.cells:
        if cell.seed is None:  # these train in a moment
            shutil.rmtree(store.path(cell.reward))
            shutil.rmtree(store.path(cell.scores))
    path = next(path for path in store.path(key).iterdir() if path.name != MANIFEST)
    path.write_bytes(path.read_bytes()[:-1])
    said: list[str] = []
    again = run(read_study(write_suite(tiny)), store, ran.folder, Watcher(damaged=said.append), jobs=2)
    assert again.outcome.damaged == [key]
    assert not again.outcome.failed
    assert f"artefact {key[:12]} is damaged ({path.name} does not match its checksum); moved to " in said[0]
    assert contents(ran.folder) == before


def test_damage_is_the_same_error_in_another_process() -> None:
    there = pickle.loads(pickle.dumps(DamagedArtefact("ab" * 32, "its manifest lacks fields")))
    assert type(there) is DamagedArtefact
    assert there.key == "ab" * 32
    assert str(there) == "artefact abababababab is damaged (its manifest lacks fields)"


# --- processes that die

STACK = """\
guilty: bool = Field(False)

def stack(self):
    return "together"

def fit(self, task):
    raise AssertionError

@classmethod
def fit_many(cls, runs):
    if any(method.guilty for method, _ in runs):
        os.kill(os.getpid(), signal.SIGKILL)
    return [good() for _ in runs]
"""


def test_a_process_that_dies_takes_no_other_work_along(
    cli: Callable[..., Result], light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    add_method(tmp_path, light, "exit", "def fit(self, task):\n    tries(__file__, task.seed)\n    os._exit(9)")
    # it dies the first time alone
    meek = "def fit(self, task):\n    tries(__file__, task.seed) == 1 and os._exit(1)\n    return good()"
    add_method(tmp_path, light, "meek", meek)
    add_method(tmp_path, light, "innocent", STACK)
    light["methods"].append({"name": "guilty", "use": "innocent", "guilty": True})
    ran = cli("run", write_suite(light), "--jobs", "2", "--results", "results")

    assert ran.exit_code == 1
    failed = re.findall(r"^failed: (\S+) on toy, replicate 0, seed (\d): (.*)$", ran.stderr, re.MULTILINE)
    said = "its worker process ended twice, the second time with no other beside it"
    assert sorted(failed) == [
        *(("exit", seed, f"{said} (exit code 9)") for seed in "01"),
        *(("guilty", seed, f"{said} (signal SIGKILL, perhaps for want of memory)") for seed in "01"),
    ]
    assert "exit: 2 of 2 seeds failed." in ran.stdout
    told = json.loads((tmp_path / "results" / "run.json").read_text())
    titles = {stage["key"]: stage["title"] for stage in told["stages"]}
    meek = [one for one in told["lost"] if titles.get(one["stage"], "").startswith("meek on")]
    assert [(one["host"], one["why"]) for one in meek] == [
        (platform.node(), "its worker process ended (exit code 1)")
    ] * 2
    (finished,) = {stage["pid"] for stage in told["stages"] if stage["key"] == meek[0]["stage"]}
    assert finished != meek[0]["pid"]  # both are on record
    for name in ("exit", "meek"):
        assert sorted((tmp_path / f"{name}.tries").read_text().split()) == ["0", "0", "1", "1"]
    assert {path.name for path in (tmp_path / "results" / "scores").iterdir()} == {
        *(f"toy-letters-{name}-r0-s{seed}.parquet" for name in ("innocent", "meek") for seed in "01"),
        *(f"toy-letters-{name}-r0-sall.parquet" for name in ("mean-difference", "length")),
    }


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts processes in /proc")
def test_a_job_whose_process_died_is_alone_when_it_is_done_again(
    light: dict[str, Any], tmp_path: Path, store: Store, write_suite: Write
) -> None:
    begun = "begun = Path(__file__).with_suffix('.begun')\n    begun.open('a').write('.')"
    both = "while len(begun.read_text()) < 2:\n        time.sleep(0.01)"  # a process may begin late
    died = "tries(__file__, task.seed, siblings())\n    time.sleep(0.3)\n    os._exit(9)"
    add_method(tmp_path, light, "exit", f"def fit(self, task):\n    {begun}\n    {both}\n    {died}")
    light["methods"].reverse()  # both at once, at first
    finished = run(read_study(write_suite(light)), store, tmp_path / "results", jobs=2)
    assert len(finished.outcome.failed) == 2
    beside = [tuple(map(int, line.split())) for line in (tmp_path / "exit.tries").read_text().splitlines()]
    assert sorted(beside[:2]) == [(0, 2), (1, 2)]
    assert sorted(beside[2:]) == [(0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "raise RuntimeError('not here')",
            r"no worker process can begin: plugin .*late.py is broken: RuntimeError: not",
        ),
        ("os._exit(7)", r"a worker process ended before it could begin \(exit code 7\), .*--jobs 1"),
    ],
)
def test_a_process_that_cannot_begin_ends_the_run_with_the_reason(
    line: str, said: str, tiny: dict[str, Any], tmp_path: Path, store: Store, write_suite: Write
) -> None:
    (tmp_path / "late.py").write_text(f"{HEAD}if multiprocessing.parent_process():\n    {line}\n")
    tiny["plugins"] = ["late.py"]
    with pytest.raises(FairlError, match=said):
        run(read_study(write_suite(tiny)), store, tmp_path / "results", jobs=2)


def test_a_process_that_is_killed_while_it_begins_is_started_again(
    light: dict[str, Any], tmp_path: Path, store: Store, write_suite: Write
) -> None:
    begun = "tries(__file__, 0) < 3"
    (tmp_path / "late.py").write_text(
        f"{HEAD}if multiprocessing.parent_process() and {begun}:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    light["plugins"].append("late.py")
    finished = run(read_study(write_suite(light)), store, tmp_path / "results", jobs=1 + 1)
    assert not finished.outcome.lost()
    assert not finished.outcome.attempts  # no work was lost


def test_processes_that_are_always_killed_while_they_begin_end_the_run(
    light: dict[str, Any], tmp_path: Path, store: Store, write_suite: Write
) -> None:
    line = "if multiprocessing.parent_process():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    (tmp_path / "late.py").write_text(HEAD + line)
    light["plugins"].append("late.py")
    with pytest.raises(FairlError, match=r"a worker process ended before it could begin \(signal SIGKILL, perhaps"):
        run(read_study(write_suite(light)), store, tmp_path / "results", jobs=2)


def test_a_part_that_calls_exit_fails_alone(
    light: dict[str, Any], tmp_path: Path, store: Store, write_suite: Write
) -> None:
    add_method(tmp_path, light, "quit", "def fit(self, task):\n    sys.exit('enough')")
    finished = run(read_study(write_suite(light)), store, tmp_path / "results")
    assert [reason.partition(": ")[2] for reason in finished.outcome.failed.values()] == ["SystemExit: enough"] * 2
    assert len({cell.method for cell in finished.plan.cells if store.has(cell.scores)}) == 2


# --- Ctrl-C


@contextmanager
def start(suite: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a shell starts it: Ctrl-C reaches the workers too."""
    command = [sys.executable, "-m", "fairl_bench", "run", str(suite), "--store", "store", "--jobs", "2"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def interrupt(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Ctrl-C; how long it took to end, and what was said."""
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    return time.monotonic() - began, said


def all_gone(group: int) -> bool:
    """Whether no process of the group is left; multiprocessing's own tracker ends a moment after the others.

    On a busy machine that moment may take seconds.
    """
    for _ in range(1000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_ctrl_c_ends_all_processes_and_keeps_what_is_finished(
    light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    # one that does not even go when told to
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    os.write(1, b'READY\\n')\n    time.sleep(60)"
    add_method(tmp_path, light, "slow", f"def fit(self, task):\n    {body}")
    light["methods"].reverse()
    with start(write_suite(light), tmp_path) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["READY\n"] * 2
        seconds, said = interrupt(process)
    assert process.returncode == 130
    assert seconds < 10
    assert all_gone(process.pid)
    assert said.endswith("interrupted; finished work is kept: run the same command again to go on\n")
    assert "Traceback" not in said
    finished = json.loads((tmp_path / "results" / "tiny" / "run.json").read_text())
    kinds = Counter(stage["kind"] for stage in finished["stages"])
    assert kinds.items() >= {"examples": 2, "split": 1, "embeddings": 2}.items()


LOOPS = {
    "in Python": "while True:\n        pass",
    "in C, which gives no other thread a turn": "import re\n    re.match('(a+)+$', 'a' * 60 + 'b')",
}


@pytest.mark.skipif(sys.platform != "linux", reason="looks in /proc")
@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
def test_workers_in_an_endless_loop_end_with_their_parent(
    loop: str, light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    add_method(tmp_path, light, "slow", f"def fit(self, task):\n    os.write(1, b'READY\\n')\n    {loop}")
    light["methods"].reverse()
    with start(write_suite(light), tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        process.kill()
        process.communicate(timeout=10)
    assert all_gone(process.pid)


def test_ctrl_c_while_processes_begin_says_no_more_than_later(
    tiny: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    with start(write_suite(tiny), tmp_path) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("[1/")
        time.sleep(0.3)  # a fresh process is importing
        _, said = interrupt(process)
    assert process.returncode == 130
    assert all_gone(process.pid)
    assert said.endswith("interrupted; finished work is kept: run the same command again to go on\n")
    assert "Traceback" not in said
