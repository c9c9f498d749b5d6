"""Parts of every kind that write into what they are given, in every way: they fail alone, and no other number changes.

The short form tries a few of them, the long one (``tox -e faults``) all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.pipeline import Finished

LONG = os.environ.get("FAIRL_FAULTS") == "long"

WAYS = {
    "adds": "{0} += 1",
    "assigns": "{0}[...] = 0",
    "fills": "{0}.fill(1)",
    "sorts": "{0}[::-1].sort(0)",
    "view": "view = {0}.reshape(-1)\nview[0] = 5",
    "copyto": "np.copyto({0}, 0)",
    "out": "np.negative({0}, out={0})",
    "torch": "import torch\ntorch.from_numpy({0}).zero_()",
    "unlocked": "a = {0}\na.setflags(write=True)\na[...] = 0",
    "base": "a = {0}\nwhile isinstance(a.base, np.ndarray):\n    a = a.base\na.setflags(write=True)\na[...] = 0",
}
# of each verb, what it may write into
PLACES = {
    "fit": ("task.train.vectors", "task.train.preferred", "task.validation.rejected", "task.train.gold[1]"),
    "score": ("inputs.vectors", "reward.arrays['weight']"),
    "judge": ("examples.pair", "examples.role", "examples.truths['preferred'].label"),
    "evaluate": (
        "scored['pairs/test'].reward",
        "scored['pairs/test'].examples.role",
        "scored['pairs/test'].examples.truths['gold'].value",
    ),
}
EVERY = [(verb, place, way) for verb, places in PLACES.items() for place in places for way in WAYS]
CASES = EVERY if LONG else [*random.Random(20).sample(EVERY, 5), ("fit", "task.train.gold[1]", "assigns")]

PLUGIN = """\
import numpy as np
from fairl_bench import Evaluator, Judge, Measure, Method, Metric, Reward, Truth, hookimpl


class Fits(Method):
    def fit(self, task):
        {fit}
        return Reward({{"weight": np.ones(task.train.vectors.shape[1], np.float32)}})

    def score(self, reward, inputs):
        {score}
        return inputs.vectors @ reward.arrays["weight"]


class Judges(Judge):
    def judge(self, examples):
        {judge}
        return {{"gold": Truth(np.ones(len(examples)), np.ones(len(examples), np.int8))}}


class Measures(Evaluator):
    metrics = (Metric("own"),)

    def evaluate(self, scored):
        {evaluate}
        return [Measure("pairs/test", "gold", "own", 1.0, 1)]


@hookimpl
def fairl_methods(register):
    register("fits", Fits)


@hookimpl
def fairl_judges(register):
    register("judges", Judges)


@hookimpl
def fairl_evaluators(register):
    register("measures", Measures)
"""


def suite(hostile: bool) -> dict[str, Any]:
    toy: dict[str, Any] = {"use": "toy-comments", "n": 40}
    models = [{"name": "toy", **toy, "gold": {"use": "toy-truth"}}]
    judged = {"name": "other", **toy, "gold": {"use": "judges"}}
    return {
        "name": f"given-{hostile}",
        "seeds": [0],
        "models": [judged, *models] if hostile else models,
        "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 4}],
        "training": {"epochs": 1},
        "methods": [
            *([{"name": "fits", "use": "fits"}] if hostile else []),
            {"name": "me", "use": "max-entropy"},
            {"name": "md", "use": "mean-difference"},
        ],
        "evaluate": [
            *([{"use": "measures", "data": ["pairs/test"]}] if hostile else []),
            {"use": "fidelity", "data": ["pairs/test", "pairs/train"]},
        ],
        **({"plugins": ["plugin.py"]} if hostile else {}),
    }


@pytest.mark.parametrize(("verb", "place", "way"), CASES)
def test_what_one_part_writes_no_other_part_reads(
    verb: str, place: str, way: str, run_suite: Callable[..., Finished], tmp_path: Path
) -> None:
    lines = WAYS[way].format(place).replace("\n", "\n        ")
    (tmp_path / "plugin.py").write_text(PLUGIN.format(**{one: lines if one == verb else "pass" for one in PLACES}))

    def ran(hostile: bool) -> tuple[Finished, dict[tuple[str, ...], float]]:
        finished = run_suite(suite(hostile), f"results-{hostile}")
        own = [row for row in finished.records if row.model == "toy" and row.method != "fits" and row.metric != "own"]
        return finished, {(row.method, row.split, row.metric): row.value for row in own}

    finished, found = ran(True)
    for path in (tmp_path / "store").glob("??/*/manifest.json"):
        if '"kind": "reward"' in path.read_text():
            path.unlink()  # made again from what lies in the store
    assert found == ran(False)[1]
    assert found
    told = set(finished.outcome.failed.values())
    part = {"judge": "judge 'judges'", "evaluate": "evaluator 'measures'"}.get(verb, "method 'fits'")
    # a role is the label of the truth 'preferred' too: one array
    places = {place, "examples.role"} if "preferred" in place else {place}
    assert told
    assert all(any(f"{part} changed {one}, which it was given" in said for one in places) for said in told), told
