"""A suite spread over a real Ray cluster of two raylets on this machine: the same answers, and what becomes of losses.

``tox -e ray`` runs these; elsewhere they are skipped unless Ray is there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.engine.execute import Watcher
from fairl_bench.engine.executors import ray as cluster
from fairl_bench.engine.executors.known import RayExecutor
from fairl_bench.errors import FairlError
from fairl_bench.executor import JobRunner, Workplace
from fairl_bench.pipeline import Finished, run
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

Write = Callable[..., Path]
ROOT = Path(__file__).parents[3]
NODE = {"num_cpus": 1, "object_store_memory": 80 * 10**6}

PARTS = """\
import os, signal, time
from pathlib import Path

import numpy as np
from fairl_bench import Encoder, Method, PairwiseMethod, Reward, hookimpl
from fairl_bench.progress import report


class Letters(Encoder):
    def encode(self, texts, corpus):
        return np.array([[text.count(letter) for letter in "aeioustn"] for text in texts], "float32")


class Square(PairwiseMethod):
    def loss(self, margin):
        return (1 - margin).square()


def good():
    return Reward({"weight": np.ones(8, "float32"), "bias": np.zeros((), "float32")})


class Bad(Method):
    def fit(self, task):
        raise ValueError("boom")


class Waits(Method):
    '''Waits at its first try until it is told to go on.'''

    folder: str

    def fit(self, task):
        tries = Path(self.folder) / f"{task.seed}.tries"
        with tries.open("a") as file:
            print(os.getpid(), os.getppid(), file=file)
        report(1, 2, "half done")
        while len(tries.read_text().splitlines()) == 1 and not tries.with_name("go").exists():
            time.sleep(0.02)
        return good()


class Greedy(Method):
    seconds: float = 0.0
    megabytes: int = 0

    def fit(self, task):
        held = np.ones(self.megabytes * 2**17)
        time.sleep(self.seconds)
        return good()


class Deadly(Method):
    guilty: bool = True

    def stack(self):
        return "together"

    def fit(self, task):
        if self.guilty:
            os.kill(os.getpid(), signal.SIGKILL)
        return good()


@hookimpl
def fairl_encoders(register):
    register("letters", Letters)


@hookimpl
def fairl_methods(register):
    for part in (Square, Bad, Waits, Greedy, Deadly):
        register(part.__name__.lower(), part)
"""


def on(raylets: Any) -> RayExecutor:
    return RayExecutor(address=raylets.address)


@pytest.fixture(scope="module")
def raylets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head and another raylet, started as processes; none of them is left afterwards."""
    pytest.importorskip("ray", reason="needs ray: tox -e ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # what its workers import
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))  # where its workers put drop-ins
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        found = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        try:
            found.add_node(**NODE)
            yield found
        finally:
            found.shutdown()


@pytest.fixture
def light(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny suite without what takes a fresh process seconds to import, with one drop-in."""
    (tmp_path / "parts.py").write_text(PARTS)
    tiny["plugins"] = ["parts.py"]
    tiny["encoders"] = [{"name": "letters", "use": "letters"}]
    tiny["methods"] = tiny["methods"][2:]
    tiny["evaluate"] = tiny["evaluate"][:1]
    tiny["report"]["table1"]["metrics"] = ["accuracy", "auc"]
    return tiny


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that no clock is in."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "manifest.json") and path.parent.name != "logs"
    }


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def reasons(finished: Finished) -> dict[str, str]:
    return dict(sorted(reason.split(": ", 1) for reason in finished.outcome.failed.values()))


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "nothing came of it"
        time.sleep(0.05)


# --- the same numbers


def test_one_process_two_and_a_cluster_leave_the_same_files(
    raylets: Any, tiny: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    tiny["plugins"] = ["parts.py"]
    tiny["methods"] += [{"name": name, "use": name} for name in ("square", "bad")]
    tiny["encoders"][0]["shards"] = 2
    study = read_study(write_suite(tiny))
    notes: list[tuple[str, float, str]] = []

    def done(name: str, **how: Any) -> Finished:
        watcher = Watcher(moved=lambda *move: notes.append(move))
        return run(study, FolderStore(tmp_path / name / "store"), tmp_path / name / "results", watcher, **how)

    one = done("one")
    others = [done("two", jobs=2)]
    notes.clear()
    others.append(done("ray", executor=on(raylets)))
    for other in others:
        assert contents(other.folder) == contents(one.folder)
        assert other.outcome.failed == one.outcome.failed
        assert other.outcome.skipped == one.outcome.skipped
        assert sorted(other.outcome.done) == sorted(one.outcome.done)
    assert set(reasons(one).values()) == {"ValueError: boom"}
    # messages of workers arrive, under the key of a job
    assert any(note.startswith("epoch ") for _, _, note in notes)
    assert all(0 <= share <= 1 and key in one.plan.stages for key, share, _ in notes)
    # in processes of the cluster, and the mark is gone
    assert os.getpid() not in {stage["pid"] for stage in told(others[1].folder)["stages"]}
    kinds = {
        FolderStore(tmp_path / "ray" / "store").manifest(path.parent.name)["kind"] for path in _manifests(tmp_path)
    }
    assert "mark" not in kinds


def _manifests(folder: Path) -> list[Path]:
    return list((folder / "ray" / "store").glob("??/*/manifest.json"))


# --- losses


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_only_a_stage_that_keeps_ending_its_process_fails(
    raylets: Any, light: dict[str, Any], tmp_path: Path, write_suite: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "RETRIES", 1)
    light["seeds"] = [0]
    light["methods"] += [
        {"name": "deadly", "use": "deadly"},
        {"name": "innocent", "use": "deadly", "guilty": False},
    ]
    finished = run(
        read_study(write_suite(light)),
        FolderStore(tmp_path / "store"),
        tmp_path / "results",
        executor=on(raylets),
    )
    ((title, why),) = reasons(finished).items()
    assert title == "deadly on toy, replicate 0, seed 0"
    assert why.startswith("its worker process or its node was lost 2 times (")
    lost = [attempt for attempt in finished.outcome.attempts if attempt.stage in finished.outcome.failed]
    assert len({attempt.pid for attempt in lost}) >= 2
    assert {attempt.why for attempt in lost} == {"its worker process or its node was lost"}


def test_a_stage_that_takes_too_much_fails_alone(
    raylets: Any, light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    light["seeds"] = [0]
    light["methods"] += [
        {"name": "slow", "use": "greedy", "seconds": 60.0, "resources": {"time_limit": 0.5}},
        {
            **{"name": "large", "use": "greedy", "seconds": 60.0, "megabytes": 1200},
            **{"resources": {"memory_limit": "1GB", "num_cpus": 0.5}},
        },
    ]
    finished = run(
        read_study(write_suite(light)),
        FolderStore(tmp_path / "store"),
        tmp_path / "results",
        executor=on(raylets),
    )
    found = reasons(finished)
    assert found["slow on toy, replicate 0, seed 0"] == (
        "it took longer than its time limit of 0.5 s and was ended; raise resources.time_limit"
    )
    assert found["large on toy, replicate 0, seed 0"].endswith(
        " GB, more than its memory limit of 1GB, and was ended; raise resources.memory_limit"
    )
    assert len(found) == 2
    assert "length" in {record.method for record in finished.records}


def test_a_stage_that_no_node_has_room_for_says_what_it_waits_for(
    raylets: Any, light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    light["models"][0]["resources"] = {"num_gpus": 1.0, "memory": "900TB"}
    suite = read_study(write_suite(light))
    said: list[str] = []

    class Enough(Exception):
        """What was to be seen has been."""

    def moved(key: str, share: float, note: str) -> None:
        said.append(note)
        raise Enough

    with pytest.raises(Enough):
        run(
            suite,
            FolderStore(tmp_path / "store"),
            tmp_path / "results",
            Watcher(moved=moved),
            executor=on(raylets),
        )
    assert said == ["waits for a node with 1 CPU, 1 GPU, 900TB"]


def test_it_takes_a_few_more_than_there_is_room_for_and_leaves_no_mark(raylets: Any, store: Store) -> None:
    runner = cluster.Cluster(raylets.address, store, (), lambda *move: None)
    try:
        assert runner.slots == 2 + 2
        assert store.has(runner.mark)
    finally:
        runner.close(at_once=True)
    assert list(store.root.glob("??/*")) == []


# --- the start and the end


def test_a_drop_in_that_the_workers_cannot_load_ends_the_run(
    raylets: Any, light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    (tmp_path / "late.py").write_text(
        f"import os\nif os.getpid() != {os.getpid()}:\n    raise RuntimeError('not here')\n"
    )
    light["plugins"].append("late.py")
    with pytest.raises(FairlError, match=r"plugin .*late\.py is broken: RuntimeError: not here"):
        run(
            read_study(write_suite(light)),
            FolderStore(tmp_path / "store"),
            tmp_path / "results",
            executor=on(raylets),
        )


def test_a_node_that_does_not_see_the_store_ends_the_run_at_its_start(
    raylets: Any, light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    store, elsewhere = FolderStore(tmp_path / "store"), str(tmp_path / "elsewhere")
    seen_here_alone = FolderStore(tmp_path / "store")
    seen_here_alone.place = elsewhere

    class Elsewhere(RayExecutor):
        def start(self, workplace: Workplace) -> JobRunner:
            return cluster.Cluster(self.address, seen_here_alone, workplace.drop_ins, workplace.moved)

    with pytest.raises(FairlError, match=rf"node \S+ does not see the store {elsewhere}; name a folder that all"):
        run(read_study(write_suite(light)), store, tmp_path / "results", executor=Elsewhere(address=raylets.address))


def test_ctrl_c_ends_the_work_and_keeps_what_is_finished(
    raylets: Any, light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    folder = tmp_path / "waits"
    folder.mkdir()
    light["seeds"] = [0]
    light["methods"].append({"name": "waits", "use": "waits", "folder": str(folder)})
    command = [sys.executable, "-m", "fairl_bench", "run", str(write_suite(light)), "--executor", "ray"]
    with subprocess.Popen(
        [*command, "--address", raylets.address, "--store", "store"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            wait_for(lambda: (folder / "0.tries").exists())
            os.killpg(process.pid, signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert said.endswith("interrupted; finished work is kept: run the same command again to go on\n")
    assert "Traceback" not in said
    worker = int((folder / "0.tries").read_text().split()[0])
    wait_for(lambda: _gone(worker))
    assert {"examples", "split"} <= {stage["kind"] for stage in told(tmp_path / "results" / "tiny")["stages"]}


# --- last: it leaves one raylet less


def test_a_stage_whose_raylet_is_killed_is_done_elsewhere_and_both_processes_are_on_record(
    raylets: Any, light: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    folder = tmp_path / "waits"
    folder.mkdir()
    light["methods"].append({"name": "waits", "use": "waits", "folder": str(folder)})
    suite = write_suite(light)
    command = [sys.executable, "-m", "fairl_bench", "run", str(suite), "--executor", "ray"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = [*command, "--address", raylets.address, "--store", "store", "--results", "results"]
    raylet = next(iter(raylets.worker_nodes)).all_processes["raylet"][0].process.pid
    with subprocess.Popen(
        began, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(lambda: len(list(folder.glob("*.tries"))) == 2)  # one on each node
            tries = {path: path.read_text().split() for path in folder.glob("*.tries")}
            ((path, (first, _)),) = ((path, pids) for path, pids in tries.items() if int(pids[1]) == raylet)
            os.kill(raylet, signal.SIGKILL)
            wait_for(lambda: _gone(int(first)))
            (folder / "go").touch()
            out, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, said
    second = path.read_text().split()[2]
    found = told(tmp_path / "results")
    title = f"waits on toy, replicate 0, seed {path.stem}"
    (stage,) = (one for one in found["stages"] if one["kind"] == "reward" and one["title"] == title)
    assert [(one["stage"], one["pid"], one["host"]) for one in found["lost"]] == [
        (stage["key"], int(first), stage["host"])
    ]
    assert found["lost"][0]["why"] in ("its node was lost", "its worker process or its node was lost")
    assert stage["pid"] == int(second) != int(first)
    # and no number is another
    here = run(read_study(suite), FolderStore(tmp_path / "here"), tmp_path / "there")
    assert contents(here.folder) == {
        name: content
        for name, content in contents(tmp_path / "results").items()
        if not name.startswith(("figures/", "report.html"))  # which the command makes
    }
    # Ray's own words are for its dashboard
    assert out.startswith("Table 1\n")
    assert [line for line in said.splitlines() if not line.startswith(("[", "      "))] == []
