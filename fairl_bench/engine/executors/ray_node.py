"""Runs on a node of a Ray cluster: a job, a look at what the node has, and the board that workers write on.

Ray finds these by name and sends them plain data, so that the package must be the same on every node.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from fairl_bench.engine import resources
from fairl_bench.engine.executors.here import perform
from fairl_bench.engine.executors.parent import watch_parent
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import FairlError, StoreError
from fairl_bench.executor import Job, JobReport
from fairl_bench.guards.untrusted import is_name
from fairl_bench.store.place import open_store
from fairl_bench.suite.registry import Registry
from fairl_bench.version import __version__

Files = tuple[tuple[str, bytes], ...]
"""The names and the contents of drop-in files."""

_PAUSE = 0.2  # seconds between two messages of one job
_LOOK = 0.1  # seconds between two looks at the memory of limited work


class Code(NamedTuple):
    """The versions that decide numbers beside a stage's own description: they must be the same on every node."""

    version: str
    source: str
    python: str

    def __str__(self) -> str:
        return f"fairl-bench {self.version} ({self.source[:8]}) on Python {self.python}"


@cache
def code() -> Code:
    """The versions of this process."""
    package = Path(__file__).parents[2]
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        whole.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes())
    return Code(__version__, whole.hexdigest(), ".".join(map(str, sys.version_info[:2])))


class Begun(NamedTuple):
    """A process has begun on a task's stages."""

    task: int
    stages: int
    host: str
    pid: int
    node: str


class Moved(NamedTuple):
    """The progress of a task's stages."""

    task: int
    share: float
    note: str


class Held(NamedTuple):
    """A task's process holds more memory than it may."""

    task: int
    bytes: int


class Answer(NamedTuple):
    """The outcome of a task, and the process that did it."""

    report: JobReport
    host: str
    pid: int


class Board:
    """The messages of workers until they are fetched: an actor on the machine that runs the suite."""

    def __init__(self) -> None:
        self.messages: list[Begun | Moved | Held] = []

    def tell(self, message: Begun | Moved | Held) -> None:
        """Note a message."""
        self.messages.append(message)

    def take(self) -> list[Begun | Moved | Held]:
        """All messages since the last time."""
        messages, self.messages = self.messages, []
        return messages


def look(place: str, mark: str, theirs: Code, answer: str) -> str:
    """Why this node cannot do the work; if it can, empty, with the artefact ``answer`` in the store."""
    if refusal := _refusal(place, mark, theirs):
        return refusal
    open_store(place).write(answer, "mark", lambda folder: None, {"host": platform.node()})
    return ""


def _refusal(place: str, mark: str, theirs: Code) -> str:
    where = f"node {platform.node()}"
    if code() != theirs:
        return f"{where} has {code()}, and {theirs} is wanted; install the same on every node"
    try:
        there = open_store(place).has(mark)
    except FairlError as error:
        return f"{where}: {error}"
    if not there:
        return (
            f"{where} does not see the store {place}; name a folder that all nodes share, or an object store, "
            "with --store"
        )
    return ""


@cache
def _worker(place: str, mark: str, theirs: Code, files: Files) -> Worker:
    """This process's worker.  Raises `FairlError` where the node cannot be worked on, or a drop-in is broken."""
    if refusal := _refusal(place, mark, theirs):
        raise FairlError(refusal)
    return Worker(open_store(place), Registry(_written(files)))


def _written(files: Files) -> list[Path]:
    """Drop-in files as files again, each in a folder named by its content: what they are is that and their name."""
    paths = []
    for name, content in files:
        if not is_name(name):
            raise FairlError(f"a drop-in file needs a name without a folder, got {name!r:.100}")
        folder = platformdirs.user_cache_path("fairl-bench") / "drop-ins" / hashlib.sha256(content).hexdigest()[:32]
        folder.mkdir(parents=True, exist_ok=True)
        half = folder / f".{uuid.uuid4().hex}"  # another worker may write the same one now
        half.write_bytes(content)
        paths.append(half.replace(folder / name))
    return paths


def do(place: str, mark: str, theirs: Code, files: Files, job: Job, task: int, board: Any) -> Answer | str:
    """Do a job, telling the ``board`` of it; or why that cannot begin here."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    last = [0.0]

    def begun(stages: int) -> None:
        # waited for: whatever comes, it is known who had begun
        ray.get(board.tell.remote(Begun(task, stages, platform.node(), os.getpid(), node)))

    def moved(key: str, share: float, note: str) -> None:
        if time.monotonic() - last[0] > _PAUSE:
            last[0] = time.monotonic()
            board.tell.remote(Moved(task, share, note))

    def held(size: int) -> None:
        board.tell.remote(Held(task, size))

    _prepare()
    try:
        worker = _worker(place, mark, theirs, files)
    except FairlError as error:
        return str(error)
    with _watched(job, held):
        report = perform(job, worker, moved, begun)
    try:
        worker.store.settle()  # whoever runs the suite forces its own disk, not this one
    except StoreError as error:
        report.broken_store = report.broken_store or error
    return Answer(report, platform.node(), os.getpid())


@cache
def _prepare() -> None:
    """Make this process a worker: one thread for its sums, as in any other of a run, and an end with its raylet."""
    from threadpoolctl import threadpool_limits

    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    threadpool_limits(1)  # libraries that are loaded already; the others will read the variables
    watch_parent(os.getppid())  # what a lost raylet's process does has been given to another


@contextmanager
def _watched(job: Sequence[Any], held: Callable[[int], None]) -> Iterator[None]:
    """Report where this process holds more memory than the job may; the process of the run ends it."""
    limits, over = resources.of_job(job), threading.Event()
    if limits.memory_limit is None:
        yield
        return

    def watch() -> None:
        import psutil

        process = psutil.Process()
        while not over.wait(_LOOK):
            size = int(process.memory_info().rss)
            if resources.exceeded(limits, 0.0, size):
                held(size)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
