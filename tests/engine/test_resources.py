"""What stages ask for, and what becomes of one that takes more than it may."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fairl_bench.engine.executors.here import Here
from fairl_bench.engine.executors.pool import Pool
from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.engine.resources import exceeded, limited, needs
from fairl_bench.executor import JobReport
from fairl_bench.kinds import KINDS
from fairl_bench.pipeline import Finished, run
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.resources import Resources, size_in_bytes
from fairl_bench.values.stage import Stage

Write = Callable[..., Path]

GREEDY = """\
import os, time
from pathlib import Path

import numpy as np
from fairl_bench import Encoder, Method, Reward, hookimpl


class Letters(Encoder):
    def encode(self, texts, corpus):
        return np.array([[text.count(letter) for letter in "aeioustn"] for text in texts], "float32")


class Greedy(Method):
    seconds: float = 0.0
    megabytes: int = 0
    together: bool = False

    def stack(self):
        return "greedy" if self.together else None

    def fit(self, task):
        with Path(__file__).with_suffix(".pids").open("a") as file:
            print(os.getpid(), file=file)
        held = np.ones(self.megabytes * 2**17)
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            time.sleep(0.01)
        return Reward({"weight": np.ones(8, "float32"), "bias": np.float32(held.sum() * 0)[()]})


@hookimpl
def fairl_encoders(register):
    register("letters", Letters)


@hookimpl
def fairl_methods(register):
    register("greedy", Greedy)
"""


def asked(**fields: Any) -> dict[str, Any]:
    return Resources(**fields).plain()


def stages(made: Plan, kind: str) -> list[Stage]:
    return [stage for stage in made.stages.values() if stage.kind == kind]


# --- sizes and bounds


@pytest.mark.parametrize(("size", "n"), [("500MB", 5 * 10**8), ("8GB", 8 * 10**9), ("0.5TB", 5 * 10**11)])
def test_a_size_is_so_many_bytes(size: str, n: int) -> None:
    assert size_in_bytes(size) == n


@pytest.mark.parametrize("size", ["8", "8 GB", "8gb", "GB", "0GB", "-1GB", "8GiB"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(ValidationError, match=f"needs a size like 500MB or 8GB, got '{size}'"):
        Resources(memory=size)


@pytest.mark.parametrize("field", ["num_cpus", "num_gpus"])
def test_above_one_only_whole_cores_and_gpus_are_handed_out(field: str) -> None:
    assert Resources(**{field: 0.5})
    assert Resources(**{field: 2.0})
    with pytest.raises(ValidationError, match=r"needs a share of one or a whole number, got 1\.5"):
        Resources(**{field: 1.5})


# --- what a stage asks for


def test_an_alignment_of_several_threads_has_as_many_cores_and_what_is_drawn_from_it_has_one(
    tiny: dict[str, Any], write_suite: Write
) -> None:
    expert = {"use": "rloo", "reward": {"use": "toy-truth"}, "threads": 3, "resources": {"time_limit": 9.0}}
    tiny["models"] = [
        {
            **{"name": "lm", "use": "aligned-lm", "n": 9, "gold": {"use": "toy-truth"}},
            **{"prompts": {"use": "toy-prompts"}, "expert": expert},
            "base": {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}},
        }
    ]
    made = plan(read_study(write_suite(tiny)))
    assert [stage.resources for stage in stages(made, "lm")] == [{}, asked(num_cpus=3.0, time_limit=9.0)]
    assert [stage.resources for stage in stages(made, "completions")] == [{}, asked(time_limit=9.0)]


def test_a_stage_asks_for_the_most_that_its_parts_and_those_within_ask_for() -> None:
    registry = Registry(installed=False)
    base = {"use": "max-entropy", "resources": {"num_cpus": 4.0, "memory": "900MB", "time_limit": 5.0}}
    spec = {
        **{"use": "failure-aware", "base": base, "detector": {"use": "bottom-fraction"}},
        "resources": {"num_gpus": 1.0, "memory": "0.5GB", "memory_limit": "2GB"},
    }
    found = needs([registry.build(KINDS["method"], spec)])
    # the inner part's limit is not the stage's
    assert found == asked(num_cpus=4.0, num_gpus=1.0, memory="900MB", memory_limit="2GB")
    assert needs([]) == {}


def test_language_models_and_sources_within_a_part_ask_for_themselves(tiny: dict[str, Any], write_suite: Write) -> None:
    lm = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50, "resources": {"num_cpus": 2.0}}}
    expert = {"use": "rloo", "reward": {"use": "toy-truth"}, "resources": {"num_gpus": 1.0, "time_limit": 9.0}}
    tiny["models"] = [
        {
            **{"name": "lm", "use": "aligned-lm", "n": 9, "gold": {"use": "toy-truth"}},
            **{"prompts": {"use": "toy-prompts"}, "base": lm, "expert": expert, "resources": {"memory": "1GB"}},
        }
    ]
    made = plan(read_study(write_suite(tiny)))
    assert [stage.resources for stage in stages(made, "lm")] == [
        asked(num_cpus=2.0),
        asked(num_gpus=1.0, time_limit=9.0),
    ]
    # whoever makes a model completes prompts with it
    assert [stage.resources for stage in stages(made, "completions")] == [
        asked(num_cpus=2.0),
        asked(num_gpus=1.0, time_limit=9.0),
    ]
    pairs = next(stage for stage in stages(made, "examples") if "source" in stage.parts)
    assert pairs.resources == asked(memory="1GB")
    assert stages(made, "split")[0].resources == {}


def test_resources_are_in_no_key(tiny: dict[str, Any], write_suite: Write) -> None:
    before = plan(read_study(write_suite(tiny)))
    for part in (*tiny["models"], *tiny["encoders"], *tiny["methods"], *tiny["evaluate"], tiny["testsets"]["shifted"]):
        part["resources"] = {"num_gpus": 1.0, "time_limit": 60.0}
    after = plan(read_study(write_suite(tiny)))
    assert after.stages.keys() == before.stages.keys()
    assert {stage.kind for stage in after.stages.values() if stage.resources.get("num_gpus") == 1.0} == {
        *("examples", "embeddings", "reward", "scores", "measures")
    }
    assert limited(after.stages.values())
    assert not limited(before.stages.values())


def test_only_stages_that_ask_for_the_same_train_together(tiny: dict[str, Any], write_suite: Write) -> None:
    tiny["methods"][0]["resources"] = {"time_limit": 60.0}
    made = plan(read_study(write_suite(tiny)))
    shared = [stage.stack for stage in stages(made, "reward") if stage.stack is not None]
    assert len(shared) == 4
    assert len(set(shared)) == 2


# --- limits


def test_what_keeps_its_limits_has_exceeded_none() -> None:
    both = Resources(time_limit=10.0, memory_limit="1GB")
    assert exceeded(both, 10.0, 10**9) == ""
    assert exceeded(both, 29.0, 0, stages=3) == ""  # together they have the time of all
    assert exceeded(Resources(), 1e9, 10**15) == ""
    assert exceeded(both, 31.0, 0, stages=3) == (
        "it took longer than its time limit of 10 s and was ended; raise resources.time_limit"
    )
    assert exceeded(both, 0.0, 1_234_000_000) == (
        "its process held 1.23 GB, more than its memory limit of 1GB, and was ended; raise resources.memory_limit"
    )


@pytest.fixture
def greedy(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny suite without what takes a fresh process seconds to import, and a method that takes what it is told."""
    (tmp_path / "greedy.py").write_text(GREEDY)
    tiny["plugins"] = ["greedy.py"]
    tiny["encoders"] = [{"name": "letters", "use": "letters"}]
    tiny["methods"] = tiny["methods"][3:]
    tiny["evaluate"] = tiny["evaluate"][:1]
    tiny["report"]["table1"]["metrics"] = ["accuracy", "auc"]
    return tiny


def method(name: str, resources: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": name, "use": "greedy", "resources": resources, **fields}


def reasons(finished: Finished) -> dict[str, str]:
    return dict(sorted(reason.split(": ", 1) for reason in finished.outcome.failed.values()))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stage_that_takes_too_much_fails_alone(
    jobs: int, greedy: dict[str, Any], tmp_path: Path, store: Store, write_suite: Write
) -> None:
    greedy["seeds"] = [0]
    greedy["methods"] += [
        method("slow", {"time_limit": 0.3}, seconds=60.0),
        method("large", {"memory_limit": "1GB"}, seconds=60.0, megabytes=1200),
        method("modest", {"time_limit": 30.0, "memory_limit": "8GB"}, seconds=0.3),
    ]
    began = time.monotonic()
    finished = run(read_study(write_suite(greedy)), store, tmp_path / "results", jobs=jobs)
    assert time.monotonic() - began < 30
    found = reasons(finished)
    assert found.keys() == {"slow on toy, replicate 0, seed 0", "large on toy, replicate 0, seed 0"}
    assert found["slow on toy, replicate 0, seed 0"] == (
        "it took longer than its time limit of 0.3 s and was ended; raise resources.time_limit"
    )
    large = found["large on toy, replicate 0, seed 0"]
    assert large.startswith("its process held 1.")
    assert large.endswith(" GB, more than its memory limit of 1GB, and was ended; raise resources.memory_limit")
    done = {cell.method for cell in finished.plan.cells if store.has(cell.scores)}
    assert done == {"length", "modest"}
    assert {key for cell in finished.plan.cells if cell.method == "slow" for key in cell.judged()} <= set(
        finished.outcome.skipped
    )
    assert finished.outcome.attempts == []  # a limit is no accident


def test_of_stages_that_train_together_only_the_one_that_takes_too_long_fails(
    greedy: dict[str, Any], tmp_path: Path, store: Store, write_suite: Write
) -> None:
    greedy["seeds"] = [0]
    limit = {"time_limit": 0.5}
    greedy["methods"] += [
        method("quick", limit, together=True),
        method("slow", limit, seconds=60.0, together=True),
    ]
    finished = run(read_study(write_suite(greedy)), store, tmp_path / "results")
    assert list(reasons(finished)) == ["slow on toy, replicate 0, seed 0"]
    first = (tmp_path / "greedy.pids").read_text().split()[0]
    # the attempt of both is on record, under both
    assert {(attempt.pid, attempt.why) for attempt in finished.outcome.attempts} == {
        (int(first), "it took longer than its time limit of 0.5 s and was ended; raise resources.time_limit")
    }
    assert len(finished.outcome.attempts) == 2


def test_one_job_at_a_time_has_a_process_of_its_own_only_where_there_is_a_limit(
    greedy: dict[str, Any], tmp_path: Path, store: Store, write_suite: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[type] = []

    def watched(cls: type) -> None:
        before = cls.next  # type: ignore[attr-defined]

        def note(self: Any) -> tuple[Any, JobReport]:
            seen.append(cls)
            found: tuple[Any, JobReport] = before(self)
            return found

        monkeypatch.setattr(cls, "next", note)

    watched(Here)
    watched(Pool)
    greedy["seeds"] = [0]
    run(read_study(write_suite(greedy)), store, tmp_path / "results")
    assert set(seen) == {Here}
    seen.clear()
    greedy["methods"].append(method("limited", {"time_limit": 60.0}))
    run(read_study(write_suite(greedy)), store, tmp_path / "results")
    assert set(seen) == {Pool}


def test_a_finished_stage_tells_its_host_and_process(ran: Finished, store: Store) -> None:
    facts = [store.manifest(key)["facts"] for key in ran.plan.stages]
    assert {(fact["host"], fact["pid"]) for fact in facts} == {(platform.node(), os.getpid())}
