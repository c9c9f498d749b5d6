"""Likelihoods are stages: planned once, kept, divided into shards, and done again where they were interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.engine.worker import Worker
from fairl_bench.pipeline import run
from fairl_bench.progress import listening
from fairl_bench.results.results import read_results
from fairl_bench.science import text_likelihoods
from fairl_bench.store.store import Store
from fairl_bench.suite.read import Study, read_study
from fairl_bench.values.data import Examples
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.stage import Stage

Write = Callable[..., Path]
Changed = Callable[..., Study]


@pytest.fixture
def study(
    tiny: dict[str, Any], tiny_lm: Path, edited_lm: Callable[..., Path], write_suite: Write, tmp_path: Path
) -> Changed:
    """The tiny suite on completions of two language models that are there, with these methods."""
    expert = edited_lm(tiny_lm, tmp_path / "expert")

    def of(*methods: dict[str, Any], evaluate: Sequence[dict[str, Any]] = (), **source: Any) -> Study:
        base = {"use": "pretrained", "model": str(tiny_lm)}
        origin = {"base": base, "expert": {"use": "pretrained", "model": str(expert)}, "n": 15, "identical": "drop"}
        more = {"prompts": {"use": "toy-prompts"}, "sampling": {"max_new_tokens": 4}, "gold": {"use": "toy-truth"}}
        tiny["models"] = [{"name": "lm", "use": "aligned-lm", **origin, **more, **source}]
        tiny["testsets"]["shifted"]["n"] = 6
        tiny["methods"] = [{"name": f"row-{i}", "use": "log-ratio", **one} for i, one in enumerate(methods or ({},))]
        tiny["evaluate"] = [*tiny["evaluate"], *evaluate]
        return read_study(write_suite(tiny))

    return of


def of_kind(made: Plan, kind: str) -> list[Stage]:
    return [stage for stage in made.stages.values() if stage.kind == kind]


def worked(study: Study, store: Store, but: Sequence[str] = ()) -> Worker:
    """Do the stages before the rewards, but those of some kinds."""
    worker = Worker(store, study.registry)
    early = ("lm", "completions", "examples", "likelihoods-shard", "likelihoods")
    for stage in plan(study).stages.values():
        if stage.kind in early and stage.kind not in but and not store.has(stage.key):
            worker.perform([stage])
    return worker


def test_however_many_methods_ask_a_model_reads_a_data_set_once(study: Changed) -> None:
    made = plan(study({}, {"normalise": "token"}))
    assert sorted(stage.title for stage in of_kind(made, "likelihoods")) == [
        "likelihoods of pairs of lm, replicate 0 by base, prompts given",
        "likelihoods of pairs of lm, replicate 0 by expert, prompts given",
        "likelihoods of texts of shifted, replicate 0 by base, prompts given",
        "likelihoods of texts of shifted, replicate 0 by expert, prompts given",
    ]
    asked = {"lm", "completions", "examples", "split", "embeddings", "reward", "scores", "measures", "likelihoods"}
    assert {stage.kind for stage in made.stages.values()} == asked


TOKENS = {"use": "token-log-ratio", "data": ["pairs/test"], "least": 2}


def test_an_evaluator_asks_for_the_same_likelihoods_and_is_measured_once(study: Changed) -> None:
    made = plan(study({}, evaluate=[TOKENS]))
    assert len(of_kind(made, "likelihoods")) == 4  # no more than the method asks for
    (stage,) = (one for one in of_kind(made, "measures") if one.parts["evaluator"]["use"] == "token-log-ratio")
    asked = {role for role in stage.inputs if role.startswith("likelihoods/")}
    assert asked == {"likelihoods/pairs/base", "likelihoods/pairs/expert"}  # of its data alone
    kinds = {role: made.stages[key].kind for role, key in stage.inputs.items()}
    assert set(kinds.values()) == {"examples", "split", "likelihoods"}  # no reward, and no other artefact


def test_its_tokens_of_a_text_sum_to_the_reward_of_the_log_ratio(study: Changed, store: Store, tmp_path: Path) -> None:
    done = run(study({}, evaluate=[TOKENS]), store, tmp_path / "results")
    assert not done.outcome.failed
    found = read_results(tmp_path / "results")
    (texts,), (tokens,) = (found.evidence("token-log-ratio", name) for name in ("", "tokens"))
    (sheet,) = found.sheets(["pairs/test"])
    (reward,) = sheet.rewards.values()
    sums: dict[int, float] = {}
    for token in tokens.rows.to_pylist():
        sums[token["example"]] = sums.get(token["example"], 0.0) + token["expert"] - token["base"]
    assert sums == pytest.approx({row: float(reward[row]) for row in sums}, abs=1e-4)  # a reward is kept in float32
    assert set(sums) == set(range(len(reward)))  # few texts, so that all of them are kept
    assert [sheet.examples.text[row["example"]] for row in texts.rows.to_pylist()] == texts.rows["text"].to_pylist()


@pytest.mark.parametrize("other", [{"prompts": "withheld"}, {"batch": 7}, {"dtype": "bfloat16"}])
def test_what_is_asked_otherwise_is_another_stage(other: dict[str, Any], study: Changed) -> None:
    assert len(of_kind(plan(study({}, other)), "likelihoods")) == 8


def test_what_a_machine_is_asked_for_is_in_no_key(study: Changed, tiny_lm: Path) -> None:
    plain = of_kind(plan(study()), "likelihoods")
    base = {"use": "pretrained", "model": str(tiny_lm), "resources": {"num_gpus": 1.0}}
    asking = of_kind(plan(study(base=base)), "likelihoods")
    assert [stage.key for stage in plain] == [stage.key for stage in asking]
    gpus = {stage.resources.get("num_gpus") for stage in asking if "by base" in stage.title}
    assert gpus == {1.0}
    assert {stage.resources.get("num_gpus") for stage in asking if "by expert" in stage.title} == {None}


def test_a_run_reads_the_tokens_that_were_drawn_and_reads_nothing_twice(
    study: Changed, store: Store, tmp_path: Path
) -> None:
    one = study()
    finished = run(one, store, tmp_path / "results")
    assert not finished.outcome.failed
    worker = Worker(store, one.registry)
    for stage in of_kind(finished.plan, "likelihoods"):
        facts, examples = store.manifest(stage.key)["facts"], worker.load(stage.inputs["examples"])
        likelihoods = worker.load(stage.key)
        assert facts["texts"] == len(examples)
        assert facts["tokens"] == likelihoods.tokens.sum()
        # the test set was written by nobody here
        assert facts["tokenised"] == (len(examples) if "shifted" in stage.title else 0)
    again = run(study({}, {"normalise": "token"}), store, tmp_path / "results")
    assert not [key for key in again.outcome.done if store.manifest(key)["kind"] in ("likelihoods", "completions")]


def test_the_base_finds_its_own_texts_as_likely_as_when_it_drew_them(study: Changed, store: Store) -> None:
    one = study()
    worker = worked(one, store)
    pairs, base = (
        next(stage for stage in of_kind(plan(one), kind) if title in stage.title)
        for kind, title in (("examples", "pairs"), ("likelihoods", "pairs of lm, replicate 0 by base"))
    )
    examples: Examples = worker.load(pairs.key)
    likelihoods: Likelihoods = worker.load(base.key)
    rejected = examples.pair_rows()[:, 1]
    assert examples.drawn is not None
    found, told = likelihoods.total[rejected], examples.drawn.log_probability[rejected]
    assert found == pytest.approx(told, abs=1e-4)  # float32 over four tokens, read with and without a cache


def test_likelihoods_in_shards_are_those_in_one_piece(study: Changed, store: Store) -> None:
    def found(shards: int) -> list[Likelihoods]:
        one = study({"shards": shards})
        worker = worked(one, store)
        made = plan(one)
        assert len(of_kind(made, "likelihoods-shard")) == (4 * shards if shards > 1 else 0)
        return [worker.load(stage.key) for stage in of_kind(made, "likelihoods")]

    for whole, sharded in zip(found(1), found(3), strict=True):
        assert np.array_equal(whole.offsets, sharded.offsets)
        assert np.array_equal(whole.tokenised, sharded.tokenised)
        for name in ("total", "token", "before", "after"):  # float32 logits, in other batches
            assert getattr(sharded, name) == pytest.approx(getattr(whole, name), abs=1e-5), name


def test_only_the_part_that_reads_asks_for_resources(study: Changed, tiny_lm: Path) -> None:
    both = {"use": "pretrained", "model": str(tiny_lm), "resources": {"num_gpus": 1.0}}
    made = plan(study({"shards": 2}, base=both, expert={**both, "resources": {"num_gpus": 1.0}}))
    assert {stage.resources["num_gpus"] for stage in of_kind(made, "likelihoods-shard")} == {1.0}
    assert all(stage.resources == {} for stage in of_kind(made, "likelihoods"))


def test_progress_is_told_in_texts(study: Changed, store: Store) -> None:
    one = study({"batch": 4})
    worker = worked(one, store, but=["likelihoods"])
    stage = next(stage for stage in of_kind(plan(one), "likelihoods") if "shifted" in stage.title)
    told: list[str] = []
    with listening(lambda share, note: told.append(note)):
        worker.perform([stage])
    done = [0, *(int(note.removesuffix(" of 6 texts")) for note in told)]
    assert done[-1] == 6
    assert all(0 < after - before <= 4 for before, after in pairwise(done))  # a batch at a time


def test_a_stage_that_was_interrupted_goes_on_to_the_same_bytes(
    study: Changed, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = study({"batch": 4})
    worker = worked(one, store, but=["likelihoods"])
    stage = next(stage for stage in of_kind(plan(one), "likelihoods") if "pairs" in stage.title)
    monkeypatch.setattr(text_likelihoods, "_EVERY", -1.0)  # keep whatever is finished
    read, passes = text_likelihoods._said, 0

    def stops(*arguments: Any) -> Any:
        nonlocal passes
        passes += 1
        if passes == 4:
            raise KeyboardInterrupt
        return read(*arguments)

    monkeypatch.setattr(text_likelihoods, "_said", stops)
    with pytest.raises(KeyboardInterrupt):
        worker.perform([stage])
    assert not store.has(stage.key)
    worker.perform([stage])
    after = passes - 4
    went_on = (store.read(stage.key) / "likelihoods.safetensors").read_bytes()
    store.remove(stage.key)
    passes = 10
    worker.perform([stage])
    assert 0 < after < passes - 10  # less than from the start
    assert (store.read(stage.key) / "likelihoods.safetensors").read_bytes() == went_on
