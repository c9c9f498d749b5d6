"""The reward of a cell as a judge within its own suite, where its method reads language models."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fairl_bench.builtin.judges.recovered_cell import RecoveredCell
from fairl_bench.builtin.methods.log_ratio import LogRatio
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.upstream import within
from fairl_bench.pipeline import Finished, run
from fairl_bench.store import artefacts
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import GOLD
from fairl_bench.values.stage import Stage

REGISTRY = Registry(installed=False)
LM: dict[str, Any] = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 60}, "layers": 1, "width": 16}
LM |= {"heads": 2, "vocab": 320, "context": 96, "length": 16, "batch": 4, "steps": 8}
PROMPTS = {"use": "toy-prompts"}
SAMPLING = {"max_new_tokens": 6}
SUITE: dict[str, Any] = {
    "name": "cell",
    "seeds": [0],
    "models": [
        {
            **{"name": "toy", "use": "aligned-lm", "base": LM, "expert": {**LM, "steps": 16}, "prompts": PROMPTS},
            **{"n": 40, "gold": {"use": "toy-truth"}, "sampling": SAMPLING, "identical": "drop", "empty": "drop"},
        }
    ],
    "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 4}],
    "methods": [
        {"name": "log-ratio", "use": "log-ratio"},
        {"name": "alone", "use": "log-ratio", "prompts": "withheld"},
    ],
    "testsets": {
        "samples": {
            **{"use": "completed", "lm": LM, "prompts": PROMPTS, "n": 4, "each": 2, "sampling": SAMPLING},
            "gold": {"use": "toy-truth"},
        }
    },
    "evaluate": [
        {
            **{"use": "realignment", "n": 3, "samples": 2, "probes": 4, "times": 1, "scale": 8, "budgets": [1e-6]},
            "aligner": {"use": "rloo", "reward": {"use": "toy-truth"}, "steps": 2, "batch": 8, "per_prompt": 2},
        },
        {"use": "best-of-n", "data": ["samples"], "counts": [1, 2]},
    ],
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("cell")
    (folder / "suite.yaml").write_text(json.dumps(SUITE))
    return run(read_study(folder / "suite.yaml"), FolderStore(folder / "store"), folder / "results")


def aligned_with(done: Finished, **fields: str) -> Stage:
    """The stage of the model that was aligned again with the reward of the method that has these fields."""
    (found,) = (
        stage
        for stage in done.plan.stages.values()
        if stage.kind == "lm"
        and (spec := stage.parts["lm"].get("reward", {}).get("judges")) is not None
        and {"use": "log-ratio", **fields}.items() <= spec["method"].items()
    )
    return found


def test_a_suite_aligns_again_and_chooses_of_n_with_the_log_ratio(done: Finished) -> None:
    assert done.outcome.failed == {}
    for method in ("log-ratio", "alone"):
        values = {(row.dataset, row.slice, row.metric): row.value for row in done.records if row.method == method}
        assert np.isfinite(values["realigned", "all", "toxicity_rate"])
        assert np.isfinite(values["samples", "all", "best_of_2"])
        assert np.isfinite(values["realigned", "all", "proxy_reward"])


@pytest.mark.parametrize(("method", "prompts"), [("log-ratio", "given"), ("alone", "withheld")])
def test_the_judge_says_of_each_text_with_its_prompt_what_the_cell_scores(
    method: str, prompts: str, done: Finished
) -> None:
    store, stage = FolderStore(done.folder.parent / "store"), aligned_with(done, prompts=prompts)
    judge = REGISTRY.build(Judge, stage.parts["lm"]["reward"]["judges"])
    keys = within("reward/judges", stage.upstream())
    assert sorted(keys) == ["method/base", "method/expert", "pairs", "reward", "split"]
    of_method: dict[str, Any] = {role: store.path(key) for role, key in keys.items() if role.startswith("method/")}
    examples = artefacts.load_examples(store.path(keys["pairs"]))
    assert examples.drawn is not None
    given = {
        "reward": artefacts.load_fitted_reward(store.path(keys["reward"])),
        "pairs": examples,
        "split": artefacts.load_split(store.path(keys["split"])),
    }
    scores = done.folder / "scores" / f"toy-tfidf-{method}-r0-s0.parquet"
    expected = pq.read_table(scores, filters=[("dataset", "=", "pairs")])["reward"].to_numpy()
    value, label = judge.ready({**given, **of_method})(examples)[GOLD]
    np.testing.assert_allclose(value, expected, atol=1e-4)  # float32 likelihoods in other batches
    assert label.tolist() == np.where(value > 0, 1, -1).tolist()
    assert np.ptp(value) > 0.1


def test_the_models_of_the_method_are_those_of_the_source_and_are_made_once(done: Finished) -> None:
    made = [
        stage for stage in done.plan.stages.values() if stage.kind == "lm" and stage.parts["lm"]["use"] == "tiny-lm"
    ]
    keys = within("reward/judges/method", aligned_with(done, prompts="given").upstream())
    assert sorted(keys.values()) == sorted(stage.key for stage in made)


def test_a_judge_names_the_language_model_of_each_request_for_likelihoods(done: Finished) -> None:
    stage = aligned_with(done, prompts="given")
    judge = REGISTRY.build(Judge, stage.parts["lm"]["reward"]["judges"])
    assert isinstance(judge, RecoveredCell)
    assert isinstance(judge.method, LogRatio)
    upstream = judge.upstream()
    assert (upstream["method/base"], upstream["method/expert"]) == (judge.method.base, judge.method.expert)
