"""What happens to a run, and what it ends with: the records of one that nothing happened to, or a clear message.

The short form forks its runs from a process that has imported the libraries; the long one (``tox -e faults``) starts
``python -m fairl_bench`` anew each time, kills a hundred of them, and ends twenty by SIGTERM and twenty workers.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fairl_bench.engine.planner import plan
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study

LONG = os.environ.get("FAIRL_FAULTS") == "long"
SEED = int(os.environ.get("FAIRL_FAULTS_SEED", "20"))
pytestmark = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs Linux, whose locks can be looked at")
SUITE = Path(__file__).with_name("suite.yaml")
SMALL = """\
name: small
seeds: [0, 1]
models: [{name: toy, use: toy-comments, n: 120, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 16}]
training: {epochs: 3}
methods: [{name: max-entropy, use: max-entropy}, {name: max-margin, use: max-margin}, {name: length, use: length}]
testsets: {shifted: {use: toy-comments, n: 60, gold: {use: toy-truth}}}
evaluate: [{use: fidelity, data: [pairs/test, shifted]}]
report: {table1: {data: [pairs/test, shifted], truth: gold, metrics: [starc]}}
"""

# it imports once and forks: each child is the command line, in a process group of its own
ZYGOTE = """
import ctypes, json, os, resource, signal, sys

import torch, sklearn.feature_extraction.text, sklearn.decomposition  # noqa: what the children share

if os.environ.get("FAIRL_FAULTS") == "long":
    import datasets, transformers, trl  # noqa: language models too

import fairl_bench.html.write
from fairl_bench.builtin.lms import group_relative
from fairl_bench.cli.main import main
from fairl_bench.engine.worker import Worker
from fairl_bench import pipeline
from fairl_bench.science import pretraining

group_relative.CHECKPOINT_SECONDS = pretraining.CHECKPOINT_SECONDS = 0.0
group_relative.CHECKPOINT_SHARE = 1.0
fairl_bench.html.write.write_pages = lambda results, again=False: results.path  # figures are not what is tested
perform = Worker.perform


def logged(worker, job):
    with open(os.environ["PERFORMED"], "a") as log:
        for stage in job:
            print(os.getpid(), stage.key, file=log, flush=True)
    perform(worker, job)


Worker.perform = logged
print("ready", flush=True)
for line in sys.stdin:
    told = json.loads(line)
    if "wait" in told:
        print(os.waitstatus_to_exitcode(os.waitpid(told["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    os.setsid()
    os.chdir(told["cwd"])
    os.environ.update(told["environment"])
    out = os.open(told["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1), os.dup2(out, 2)
    if told["most"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (told["most"], told["most"]))
    # without root's capabilities, so that permissions mean something: version 3, this process, none of three sets
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
    try:
        main(told["arguments"], prog_name="fairl-bench")
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)
"""


class Blow(NamedTuple):
    """A signal that ends runs: the exit code, the processes of a run, how often, and in how many kinds of stage."""

    number: signal.Signals
    code: int
    jobs: int
    times: int
    kinds: int


KILL, TERM = (signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)
BLOWS = {
    "killed": Blow(*KILL, 1, *((50, 5) if LONG else (4, 3))),
    "killed-beside-workers": Blow(*KILL, 2, 50, 5),
    "terminated": Blow(*TERM, 1, *((10, 4) if LONG else (2, 2))),
    "terminated-beside-workers": Blow(*TERM, 2, *((10, 4) if LONG else (1, 1))),
}
if not LONG:
    del BLOWS["killed-beside-workers"]  # tests/engine/executors/test_executors.py kills one
WORKERS = 20 if LONG else 1


class Run(NamedTuple):
    """A command that was started: its process group, what it says, and how it is waited for."""

    pid: int
    out: Path
    wait: Callable[[], int]

    def kill(self) -> int:
        """SIGKILL to the whole group; the exit code."""
        os.killpg(self.pid, signal.SIGKILL)
        return self.wait()

    def end(self, number: signal.Signals) -> int:
        """A signal to the run's own process alone; the exit code, once no process of the group is left."""
        os.kill(self.pid, number)
        return self.ended()

    def ended(self) -> int:
        """Wait for the run, and until no process of the group is left; its exit code."""
        code = self.wait()
        until = time.monotonic() + 10
        while left := self.left():
            assert time.monotonic() < until, f"processes {left} have outlived their run"
            time.sleep(0.01)
        return code

    def left(self) -> list[str]:
        """The processes of the group that are alive."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                state, _, group, *_ = path.read_text().rpartition(")")[2].split()
                if int(group) == self.pid and state != "Z":
                    found.append(path.parent.name)
        return found

    def said(self) -> str:
        return self.out.read_text()


class Zygote:
    """Starts command lines by forking."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.performed = folder / "performed.log"
        self.environment = {"PERFORMED": str(self.performed), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ZYGOTE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )

    def ready(self) -> None:
        assert self._heard() == "ready"

    def _tell(self, **told: Any) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        return self._heard()

    def _heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(self, *arguments: object, most: int = 0) -> Run:
        """A command line in a process group of its own, with at most ``most`` bytes a file."""
        self.count += 1
        out = self.folder / f"{self.count}.out"
        pid = int(
            self._tell(
                arguments=[str(one) for one in arguments],
                cwd=str(self.folder),
                out=str(out),
                most=most,
                environment=self.environment,
            )
        )
        return Run(pid, out, lambda: int(self._tell(wait=pid)))

    def did(self) -> Counter[str]:
        """How often each stage was begun; forgets it."""
        text = self.performed.read_text() if self.performed.exists() else ""
        self.performed.unlink(missing_ok=True)
        return Counter(line.split()[1] for line in text.splitlines())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def anew(folder: Path, *arguments: object) -> Run:
    """``python -m fairl_bench`` in a process group of its own."""
    out = folder / f"{time.monotonic_ns()}.out"
    with out.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "fairl_bench", *map(str, arguments)],
            stdout=file,
            stderr=file,
            start_new_session=True,
            cwd=folder,
        )
    return Run(process.pid, out, process.wait)


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    made = Zygote(tmp_path_factory.mktemp("zygote"))
    try:
        made.ready()
        yield made
    finally:
        made.close()


class Whole(NamedTuple):
    """A run that nothing happened to: its files, its stages, and the seconds that each took."""

    suite: Path
    files: dict[str, bytes]
    kinds: dict[str, str]  # key -> kind, in the order of the plan
    seconds: dict[str, float]
    bytes: int


def undisturbed(zygote: Zygote, suite: Path, folder: Path) -> Whole:
    begun = zygote.start("run", suite, "--store", folder / "store", "--results", folder / "results")
    assert begun.wait() == 0, begun.said()
    store = FolderStore(folder / "store")
    kinds = {key: stage.kind for key, stage in plan(read_study(suite)).stages.items()}
    seconds = {key: store.manifest(key)["facts"]["seconds"] for key in kinds}
    room = sum(4096 * -(-path.stat().st_size // 4096) for path in store.root.rglob("*") if path.is_file())
    return Whole(suite, files(folder / "results"), kinds, seconds, room)


@pytest.fixture(autouse=True)
def forget(zygote: Zygote) -> None:
    """What was done before a test is not the test's."""
    zygote.did()


def files(results: Path) -> dict[str, bytes]:
    """All numbers of a results folder."""
    return {str(path.relative_to(results)): path.read_bytes() for path in sorted(results.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def whole(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return undisturbed(zygote, SUITE, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def either(request: pytest.FixtureRequest) -> Whole:
    """With language models in the long form, without in the short one."""
    found: Whole = request.getfixturevalue("whole" if LONG else "small")
    return found


@pytest.fixture(scope="module")
def small(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("small")
    (folder / "suite.yaml").write_text(SMALL)
    return undisturbed(zygote, folder / "suite.yaml", folder)


def held(store: Path) -> dict[str, int]:
    """The stages that run, by key, and the process of each; read from the system's table of locks, without a touch."""
    by_inode = {}
    for path in (store / "locks").glob("*"):
        with suppress(FileNotFoundError):  # a run that ends takes its locks along
            by_inode[path.stat().st_ino] = path
    lines = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    owners = {int(line[5].rpartition(":")[2]): int(line[4]) for line in lines if line[1] == "FLOCK"}
    return {by_inode[inode].name: owners[inode] for inode in owners.keys() & by_inode.keys()}


def alive(run: Run) -> bool:
    """Whether a process still runs; one that has ended waits for its parent as a zombie."""
    try:
        return Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(run: Run, store: Path, wanted: Callable[[str], bool]) -> str:
    """Wait for a stage to run; its key, or nothing where the process ends first."""
    while alive(run):
        for key in held(store):
            if wanted(key):
                return key
        time.sleep(0.0005)
    return ""


def stopped_in(run: Run, store: Path, wanted: Callable[[str], bool]) -> str:
    """Halt a process inside a stage; the stage's key."""
    while key := until(run, store, wanted):
        os.killpg(run.pid, signal.SIGSTOP)
        if key in held(store):
            return key
        os.killpg(run.pid, signal.SIGCONT)  # the stage was over just before
    pytest.fail(f"it ended: {run.said()}")


# --- killed


@pytest.mark.parametrize("blow", BLOWS.values(), ids=BLOWS.keys())
def test_a_run_ended_at_random_moments_ends_with_the_records_of_one_that_was_not(
    blow: Blow, zygote: Zygote, either: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(SEED)
    told = [f"seed {SEED}"]
    store, results, hit, this_time = tmp_path / "store", tmp_path / "results", Counter[str](), set[str]()

    def start(jobs: int = blow.jobs) -> Run:
        command = ("run", either.suite, "--store", store, "--results", results, "--jobs", jobs)
        return anew(tmp_path, *command) if LONG else zygote.start(*command)

    def ended(run: Run) -> None:
        assert run.wait() == 0, run.said()
        assert files(results) == either.files
        told.append("ended; its records are those of the undisturbed run")

    while hit.total() < blow.times:
        there = FolderStore(store)
        left = list(dict.fromkeys(kind for key, kind in either.kinds.items() if not there.has(key)))
        if not set(left) - this_time:  # to the end, and once more from the beginning
            if left:
                ended(start())
            shutil.rmtree(store)
            shutil.rmtree(results)
            this_time.clear()
            continue
        aim = str(rng.choice([kind for kind in left if kind not in this_time][:2]))
        this_time.add(aim)
        share = rng.random()
        run = start()
        key = until(run, store, lambda key, aim=aim: either.kinds.get(key) == aim)
        if key:
            time.sleep(share * either.seconds[key])
        if not key or key not in held(store):
            if key and alive(run):
                assert run.end(blow.number) in (blow.code, 0)
                told.append(f"{aim}: over before its moment; ended between stages")
            else:
                ended(run)
            continue
        assert run.end(blow.number) == blow.code, run.said()
        assert "Traceback" not in run.said()
        if there.has(key):
            told.append(f"{aim}: kept just before the signal came")
            continue
        hit[aim] += 1
        told.append(
            f"{blow.number.name} {hit.total()}, process {run.pid}: in {aim} {key[:12]}, {share:.0%} of its time"
        )
    ended(start(blow.jobs if LONG else 1))  # workers take seconds to begin
    told.append(f"{hit.total()} times {blow.number.name} by kind: {dict(hit)}")
    with capsys.disabled():
        print("", *told, sep="\n  ")
    assert len(hit) >= blow.kinds
    assert not list((store / "tmp").iterdir())
    assert FolderStore(store).running() == []


def test_a_run_whose_workers_are_killed_ends_with_the_records_of_one_whose_were_not(
    zygote: Zygote, either: Whole, tmp_path: Path
) -> None:
    rng, killed = np.random.default_rng(SEED), 0
    while killed < WORKERS:
        folder = tmp_path / str(time.monotonic_ns())
        command = ("run", either.suite, "--store", folder / "store", "--results", folder / "results", "--jobs", 2)
        run = anew(tmp_path, *command) if LONG else zygote.start(*command)
        aim = str(rng.choice(sorted(set(either.kinds.values()))))
        key = until(run, folder / "store", lambda key, aim=aim: either.kinds.get(key) == aim)
        if key:
            time.sleep(rng.random() * either.seconds[key])
            worker = held(folder / "store").get(key)
            if worker is not None and not FolderStore(folder / "store").has(key):
                os.kill(worker, signal.SIGKILL)
                killed += 1
        assert run.ended() == 0, run.said()
        assert files(folder / "results") == either.files
        shutil.rmtree(folder)


# --- damaged


def spoil(path: Path, rng: np.random.Generator) -> str:
    """Flip ten bytes of a file, or cut it; what was done."""
    data = bytearray(path.read_bytes())
    if rng.random() < 0.5:
        path.write_bytes(data[: int(rng.integers(len(data)))])
        return "cut"
    for i in rng.integers(len(data), size=10):
        data[i] ^= 0xFF
    if bytes(data) == path.read_bytes():  # the same place twice
        data[0] ^= 0xFF
    path.write_bytes(data)
    return "flipped"


def test_a_store_with_a_damaged_file_in_every_artefact_is_mended(zygote: Zygote, either: Whole, tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    store = FolderStore(tmp_path / "store")
    command = ("run", either.suite, "--store", store.root, "--results", tmp_path / "results")
    assert zygote.start(*command).wait() == 0
    shutil.rmtree(tmp_path / "results")
    done = Counter[str]()
    for key in store.sizes():
        done[spoil(rng.choice(sorted(store.path(key).iterdir())), rng)] += 1
    assert len(done) == 2
    zygote.did()
    again = zygote.start(*command)
    assert again.wait() == 0, again.said()
    assert files(tmp_path / "results") == either.files
    assert again.said().count("made again") >= 5
    # what no run reads again is found by whoever looks
    looked = zygote.start("store", "verify", "--store", store.root, "--repair")
    assert looked.wait() == 0, looked.said()
    assert zygote.start("store", "verify", "--store", store.root).wait() == 0


@pytest.mark.skipif(not LONG, reason="needs the long form: tox -e faults")
def test_a_damaged_checkpoint_is_not_gone_on_from(zygote: Zygote, whole: Whole, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = ("run", whole.suite, "--store", store, "--results", tmp_path / "results")
    run = zygote.start(*command)
    until(run, store, lambda key: bool(list((store / "scratch").rglob("pretraining.pt.sha256"))))
    assert run.kill() == -signal.SIGKILL
    (checkpoint,) = (store / "scratch").rglob("pretraining.pt")
    data = bytearray(checkpoint.read_bytes())
    data[len(data) // 2] ^= 0x40  # a weight: torch reads it without a word
    checkpoint.write_bytes(data)
    assert zygote.start(*command).wait() == 0
    assert files(tmp_path / "results") == whole.files


# --- two at once


def both(zygote: Zygote, small: Whole, folder: Path) -> list[Run]:
    return [
        zygote.start("run", small.suite, "--store", folder / "store", "--results", folder / f"results{i}")
        for i in range(2)
    ]


def test_two_processes_on_one_store_do_each_stage_once(zygote: Zygote, small: Whole, tmp_path: Path) -> None:
    runs = both(zygote, small, tmp_path)
    assert [run.wait() for run in runs] == [0, 0], [run.said() for run in runs]
    assert zygote.did() == Counter(small.kinds.keys())
    assert files(tmp_path / "results0") == files(tmp_path / "results1") == small.files


def test_who_waits_for_a_process_that_is_killed_takes_over(zygote: Zygote, either: Whole, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    commands = [("run", either.suite, "--store", store.root, "--results", tmp_path / f"results{i}") for i in range(2)]
    first = zygote.start(*commands[0])
    key = stopped_in(first, store.root, lambda key: either.kinds[key] in ("lm", "embeddings", "reward"))
    second = zygote.start(*commands[1])
    while len(store.running()) < 2:
        time.sleep(0.002)
    time.sleep(0.3)  # it asks for the first missing stage, which is that of the other
    assert alive(second)
    assert key in held(store.root)
    assert first.kill() == -signal.SIGKILL
    assert second.wait() == 0, second.said()
    # twice the one that was killed in, where it had begun on what it held the lock of, and no other
    assert zygote.did() in (Counter(either.kinds.keys()) + Counter([key]), Counter(either.kinds.keys()))
    assert files(tmp_path / "results1") == either.files


# --- no room, no right


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a disk of so many bytes, or changes its size."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def make(size: int) -> Path:
        nonlocal mounted
        options = f"{'remount,' if mounted else ''}size={size}"
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True)
        if made.returncode:
            pytest.skip("needs the right to mount a tmpfs")
        mounted = True
        return place

    try:
        yield make
    finally:
        if mounted:
            subprocess.run(["umount", place], check=True)


def test_a_full_disk_leaves_nothing_half_written_and_the_run_goes_on_after_room_is_made(
    zygote: Zygote, small: Whole, disk: Callable[[int], Path], tmp_path: Path
) -> None:
    store = disk(small.bytes // 2) / "store"
    command = ("run", small.suite, "--store", store, "--results", tmp_path / "results")
    full = zygote.start(*command)
    assert full.wait() == 2, full.said()
    sentence = f"error: the store {store} cannot be written: No space left on device; make room (fairl-bench store"
    assert sentence in full.said()
    assert "Traceback" not in full.said()
    there = FolderStore(store)
    assert not list((store / "tmp").iterdir())
    assert 0 < len(there.keys()) < len(small.kinds)
    for key in there.sizes():
        there.verify(key)
    disk(10 * small.bytes)
    zygote.did()
    again = zygote.start(*command)
    assert again.wait() == 0, again.said()
    assert max(zygote.did().values()) == 1
    assert files(tmp_path / "results") == small.files


def test_a_limit_on_files_is_told_like_a_full_disk(zygote: Zygote, small: Whole, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = ("run", small.suite, "--store", store, "--results", tmp_path / "results")
    limited = zygote.start(*command, most=8000)
    assert limited.wait() == 2, limited.said()
    assert f"error: the store {store} cannot be written: File too large; make room" in limited.said()
    assert not list((store / "tmp").iterdir())
    assert zygote.start(*command).wait() == 0
    assert files(tmp_path / "results") == small.files


def test_a_results_folder_on_a_full_disk_is_told_and_nothing_is_done_twice(
    zygote: Zygote, small: Whole, disk: Callable[[int], Path], tmp_path: Path
) -> None:
    results = disk(16 * 4096) / "results"
    command = ("run", small.suite, "--store", tmp_path / "store", "--results", results)
    full = zygote.start(*command)
    assert full.wait() == 2, full.said()
    assert f"error: the results folder {results} cannot be written: No space left on device" in full.said()
    disk(10 * small.bytes + 2**20)
    again = zygote.start(*command)
    assert again.wait() == 0, again.said()
    assert zygote.did() == Counter(small.kinds.keys())
    assert files(results) == small.files


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Path]:
    """The folder of a store whose permissions are put back."""
    yield tmp_path / "store"
    allow(tmp_path / "store", 0o755)


def allow(root: Path, mode: int) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        Path(folder).chmod(mode)


def test_a_store_turned_read_only_is_told_and_the_run_goes_on_when_it_can_be_written_again(
    zygote: Zygote, small: Whole, guarded: Path, tmp_path: Path
) -> None:
    command = ("run", small.suite, "--store", guarded, "--results", tmp_path / "results")
    turned = zygote.start(*command)
    assert until(turned, guarded, lambda key: small.kinds[key] == "reward")
    allow(guarded, 0o555)
    assert turned.wait() == 2, turned.said()
    sentence = f"error: the store {guarded} cannot be written: Permission denied; make it writable, or name another"
    assert sentence in turned.said()
    assert "Traceback" not in turned.said()
    there = FolderStore(guarded)
    assert 0 < len(there.keys()) < len(small.kinds)
    for key in there.sizes():
        there.verify(key)
    allow(guarded, 0o755)
    again = zygote.start(*command)
    assert again.wait() == 0, again.said()
    assert not list((guarded / "tmp").iterdir())
    assert files(tmp_path / "results") == small.files


def test_what_is_finished_is_read_from_a_store_that_cannot_be_written(
    zygote: Zygote, small: Whole, guarded: Path, tmp_path: Path
) -> None:
    command = ("run", small.suite, "--store", guarded, "--results", tmp_path / "results")
    assert zygote.start(*command).wait() == 0
    allow(guarded, 0o555)
    again = zygote.start(*command)
    assert again.wait() == 0, again.said()
    assert "nothing to compute: all was finished" in again.said()
