"""The executor of a Ray cluster: a job is a task, and placement, retries and the dashboard are Ray's own.

Nodes are sent plain data: stages, the place of a store that all nodes see, the content of drop-in files.  Artefacts go
through the store.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from fairl_bench.digests import digest
from fairl_bench.engine import resources
from fairl_bench.engine.executors import ray_node as node
from fairl_bench.errors import FairlError, MissingExtra
from fairl_bench.executor import Attempt, Job, JobReport, Moved
from fairl_bench.store.store import Store
from fairl_bench.values.resources import Resources, size_in_bytes

RETRIES = 3
"""The number of times that Ray begins a task again whose process or node was lost."""
_LOOK = 0.2  # seconds between two looks at the board
_PATIENCE = 5.0  # seconds for an address to answer, and until files of a node must be seen here
_WAITING = 2  # jobs more than there are cores: they show a cluster that grows what it could do


class Cluster:
    """Does jobs as tasks of a Ray cluster.

    Ray begins a task again, on another node if it must, when its process or node is lost.  A stage that was lost at
    every try fails; the stages of a job are tried one by one before that.  A stage that exceeds a limit is cancelled
    and fails.
    """

    def __init__(self, address: str, store: Store, drop_ins: Sequence[Path], moved: Moved) -> None:
        self.store, self.moved = store, moved
        self.ray = ray = _connected(address)
        self.tasks: dict[Any, _Task] = {}  # by the reference to its answer
        self.numbers = count()
        self.mark = digest({"mark": uuid.uuid4().hex})
        try:
            self.store.write(self.mark, "mark", lambda folder: None, {})
            self._check_nodes()
            here = ray.get_runtime_context().get_node_id()
            self.board = ray.remote(num_cpus=0)(node.Board).options(scheduling_strategy=_on(ray, here)).remote()
            files = ray.put(tuple((path.name, path.read_bytes()) for path in drop_ins))
        except BaseException:
            self.close(at_once=True)
            raise
        self.arguments = (store.place, self.mark, node.code(), files)
        self.do = ray.remote(max_retries=RETRIES)(node.do)

    @property
    def slots(self) -> int:
        """Every core of the cluster as it is now, and a few more."""
        return int(self.ray.cluster_resources().get("CPU", 0)) + _WAITING

    def submit(self, job: Job) -> None:
        """Give a job to Ray, which finds a place for it."""
        self._send(_JobState(job), job)

    def next(self) -> tuple[Job, JobReport]:
        """Wait for a job that is finished.  Raises `FairlError` for a node that cannot be worked on."""
        while True:
            ended, _ = self.ray.wait(list(self.tasks), num_returns=1, timeout=_LOOK)
            self._listen()
            self._cancel_at_limits()
            for reference in ended:
                state = self._ended(reference)
                if not state.left:
                    return state.job, state.report

    def close(self, *, at_once: bool) -> None:
        """Leave the cluster; work that still runs there ends."""
        for reference in self.tasks:
            with suppress(Exception):
                self.ray.cancel(reference, force=True)
        self.tasks = {}
        self.store.remove(self.mark)
        self.ray.shutdown()

    def _check_nodes(self) -> None:
        """Let every node check whether it can do the work.  Raises `FairlError` with the reason where one cannot."""
        look = self.ray.remote(num_cpus=0, max_retries=0)(node.look)
        looking = {}
        for one in _alive(self.ray):
            answer = digest({"mark": self.mark, "node": one["NodeID"]})
            there = look.options(scheduling_strategy=_on(self.ray, one["NodeID"]))
            reference = there.remote(self.store.place, self.mark, node.code(), answer)
            looking[answer] = (one["NodeManagerHostname"], reference)
        try:
            for answer, (name, reference) in looking.items():
                if refusal := self._refusal(name, reference, answer):
                    raise FairlError(refusal)
        finally:
            for answer in looking:
                self.store.remove(answer)

    def _refusal(self, name: str, reference: Any, answer: str) -> str:
        """Why a node cannot do the work; empty where it can, and where it has left the cluster meanwhile."""
        try:
            reason: str = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            return f"node {name} cannot do what {node.code()} asks ({_last_line(error)}); install the same there"
        except self.ray.exceptions.RayError:
            return ""
        if reason or _appears(self.store, answer):
            return reason
        return (
            f"what node {name} writes into the store {self.store.place} is not seen here; name a folder that all "
            "nodes share, or an object store, with --store"
        )

    def _send(self, state: _JobState, job: Job) -> None:
        asked, number = resources.of_job(job), next(self.numbers)
        task = self.do.options(
            name=f"{job[0].kind}: {job[0].title}",
            num_cpus=asked.num_cpus,
            num_gpus=asked.num_gpus,
            memory=size_in_bytes(asked.memory) if asked.memory else None,
        )
        reference = task.remote(*self.arguments, [replace(stage, stack=None) for stage in job], number, self.board)
        self.tasks[reference] = _Task(number, state, job, asked)
        state.left += 1
        if not any(_fits(asked, one) for one in _alive(self.ray)):
            self.moved(state.job[0].key, 0.0, f"waits for a node with {_spelt(asked)}")

    def _listen(self) -> None:
        """Take the messages of the board."""
        by_number = {task.number: task for task in self.tasks.values()}
        for message in self.ray.get(self.board.take.remote()):
            task = by_number.get(message.task)
            if task is None:  # of a worker whose task was given up
                continue
            if isinstance(message, node.Moved):
                self.moved(task.state.job[0].key, message.share, message.note)
            elif isinstance(message, node.Held):
                task.held = message.bytes
            else:
                task.begun.append(message)
                task.clock, task.held = time.monotonic(), 0
                if len({(one.host, one.pid) for one in task.begun}) > 1:
                    self.moved(task.state.job[0].key, 0.0, f"begun again on {message.host}, its worker was lost")

    def _cancel_at_limits(self) -> None:
        for reference, task in self.tasks.items():
            if task.begun and not task.over:
                seconds = time.monotonic() - task.clock
                task.over = resources.exceeded(task.asked, seconds, task.held, task.begun[-1].stages)
                if task.over:
                    self.ray.cancel(reference, force=True)

    def _ended(self, reference: Any) -> _JobState:
        """Take the answer of a task, or send its stages again one by one; the job that it belongs to."""
        task = self.tasks.pop(reference)
        state = task.state
        state.left -= 1
        answer: node.Answer | None = None
        try:
            result = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise FairlError(f"a worker cannot do what it is sent: {_last_line(error)}") from error
        except self.ray.exceptions.RayError as error:
            why = f"its worker process or its node was lost {RETRIES + 1} times ({_first_line(error)})"
            self._given_up(task, task.over or why)
        else:
            if isinstance(result, str):
                raise FairlError(result)
            answer = result
            state.report.add(answer.report)
        self._note_lost(task, answer)
        return state

    def _given_up(self, task: _Task, why: str) -> None:
        """Let a single stage fail, and send several again one by one."""
        if len(task.job) == 1:
            task.state.report.failed[task.job[0].key] = (why, "")
        else:
            for stage in task.job:
                self._send(task.state, [stage])

    def _note_lost(self, task: _Task, answer: node.Answer | None) -> None:
        """Note the attempts that ended without an answer."""
        gone = {one["NodeID"] for one in self.ray.nodes() if not one["Alive"]}
        processes = dict.fromkeys((one.host, one.pid, one.node) for one in task.begun)
        for host, pid, where in processes:
            if answer is None or (host, pid) != (answer.host, answer.pid):
                why = task.over or ("its node was lost" if where in gone else "its worker process or its node was lost")
                task.state.report.lost += [Attempt(stage.key, host, pid, why) for stage in task.job]


@dataclass
class _JobState:
    """A job that was taken: how many of its tasks are left, and the outcome of the others."""

    job: Job
    left: int = 0
    report: JobReport = field(default_factory=JobReport)


@dataclass
class _Task:
    """Stages that were given to Ray, and what is known about the processes that began them."""

    number: int
    state: _JobState
    job: Job
    asked: Resources
    begun: list[node.Begun] = field(default_factory=list)
    clock: float = 0.0  # when the last process began
    held: int = 0  # bytes of its process, where they were too many
    over: str = ""  # the limit that it was cancelled for


def _connected(address: str) -> Any:
    """Ray, connected to a cluster.  Raises `FairlError` where none answers, or where this process cannot join it."""
    ray = _ray()
    if address != "auto":
        _answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (RuntimeError, ValueError, OSError) as error:
        if address == "auto" and isinstance(error, ConnectionError):
            raise FairlError(
                "no Ray cluster runs on this machine; start one with 'ray start --head', or give the address "
                "HOST:PORT of another"
            ) from error
        raise FairlError(f"the Ray cluster at {address} cannot be joined: {_one_line(error)}") from error
    return ray


def _ray() -> Any:
    # before it is imported.  Its messages are shown on its dashboard; among tables they would disturb
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    # by default it would begin tasks that run out of memory again for ever
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))
    try:
        return import_module("ray")
    except ImportError as error:
        raise MissingExtra(
            "the executor 'ray' needs the package ray, which is not installed; pip install 'fairl-bench[ray]'"
        ) from error


def _answers(address: str) -> None:
    """Check that a server of Ray's protocol answers there: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise FairlError(f"address {address!r}: needs auto or HOST:PORT")
    try:
        with socket.create_connection((host, int(port)), _PATIENCE) as server:
            server.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
            reply = server.recv(len(_SETTINGS))
    except (OSError, OverflowError) as error:
        raise FairlError(
            f"nothing answers at {address} ({getattr(error, 'strerror', None) or error}); is the head of the Ray "
            "cluster there, and this its port?"
        ) from error
    if reply[3:4] != _SETTINGS[3:4]:
        raise FairlError(f"what answers at {address} is not the head of a Ray cluster; its port is 6379 unless set")


_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # HTTP/2's first frame, empty; gRPC begins with one too


def _alive(ray: Any) -> list[dict[str, Any]]:
    """The nodes of the cluster that are alive."""
    return [node_of_cluster for node_of_cluster in ray.nodes() if node_of_cluster["Alive"]]


def _on(ray: Any, identifier: str) -> Any:
    """The strategy that places a task on this node or nowhere."""
    strategies = import_module("ray.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(identifier, soft=False)


def _fits(wanted: Resources, node_of_cluster: dict[str, Any]) -> bool:
    """True where a node has these resources."""
    has = node_of_cluster["Resources"]
    memory = size_in_bytes(wanted.memory) if wanted.memory else 0
    amounts = {"CPU": wanted.num_cpus, "GPU": wanted.num_gpus, "memory": memory}
    return all(has.get(name, 0) >= amount for name, amount in amounts.items())


def _spelt(wanted: Resources) -> str:
    """The resources in words."""
    gpus = f", {wanted.num_gpus:g} GPU" if wanted.num_gpus else ""
    return f"{wanted.num_cpus:g} CPU{gpus}" + (f", {wanted.memory}" if wanted.memory else "")


def _appears(store: Store, key: str) -> bool:
    """True where an artefact is there, now or within seconds: shared folders may be late."""
    until = time.monotonic() + _PATIENCE
    while not store.has(key):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
