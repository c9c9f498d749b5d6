from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.errors import NotFinite
from fairl_bench.pipeline import run
from fairl_bench.store.checks import finite_reward, finite_rows, finite_truths
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.training import Reward

NAN, INF = math.nan, math.inf
TEXTS = tuple(f"text {i}" for i in range(6))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_rows_are_counted_and_the_first_named(bad: float) -> None:
    rows = np.ones((6, 2), np.float32)
    rows[[1, 2, 4, 5], [0, 1, 0, 1]] = bad
    sentence = r"what it gives is NaN or infinite in 4 of 6 rows \(1, 2, 4, …\), first of the text 'text 1'; mend it"
    with pytest.raises(NotFinite, match=sentence):
        finite_rows("what it gives", rows, TEXTS, "mend it")


def test_one_bad_row_is_named_alone() -> None:
    with pytest.raises(NotFinite, match=r"in 1 of 6 rows \(3\), first of the text 'text 3'"):
        finite_rows("it", np.array([0, 0, 0, NAN, 0, 0]), TEXTS, "mend it")


@pytest.mark.parametrize("shape", [(6,), (6, 3), (0,), (0, 3)])
def test_finite_rows_pass(shape: tuple[int, ...]) -> None:
    finite_rows("it", np.zeros(shape), TEXTS, "mend it")


def judged(value: Sequence[float], label: Sequence[int]) -> Examples:
    truth = Truth(np.array(value), np.array(label, np.int8))
    return Examples(TEXTS[: len(value)], truths={"gold": truth})


@pytest.mark.parametrize(("value", "label"), [((1.0, NAN), (1, -1)), ((1.0, INF), (1, 1)), ((1.0, -INF), (1, 0))])
def test_a_known_truth_has_a_value(value: Sequence[float], label: Sequence[int]) -> None:
    with pytest.raises(NotFinite, match=r"the truth 'gold' of these is NaN or infinite in 1 of 2 rows \(1\)"):
        finite_truths("these", judged(value, label))


def test_an_unknown_truth_needs_none() -> None:
    finite_truths("these", judged((1.0, NAN), (1, 0)))


@pytest.mark.parametrize(
    ("reward", "sentence"),
    [
        (
            Reward({"weight": np.array([0, 0, INF], np.float32)}),
            "array 'weight' .* in 1 of 3 entries, first in entry 2",
        ),
        (Reward({"bias": np.array(NAN, np.float32)}), "array 'bias' of the reward is NaN .* in 1 of 1 entries"),
        (Reward({}, {"train_loss": [0.5, NAN, INF]}), "'train_loss' of the training is nan in 2 of 3 epochs, first in"),
        (Reward({}, {}, {"temperature": INF}), "'temperature' of the fitted reward is inf; leave out"),
    ],
)
def test_a_fitted_reward_is_finite_throughout(reward: Reward, sentence: str) -> None:
    with pytest.raises(NotFinite, match=sentence):
        finite_reward(reward)


def test_a_reward_of_finite_numbers_passes() -> None:
    finite_reward(Reward({"weight": np.ones(3, np.float32)}, {"train_loss": [1.0]}, {"name": "x", "kept_epoch": 3}))


# --- at the door of the store

PLUGIN = """
import numpy as np
from fairl_bench import Encoder, Method, Reward, Truth, Judge, hookimpl


class Gaps(Encoder):
    def encode(self, texts, corpus):
        found = np.ones((len(texts), 2), np.float32)
        found[3] = np.nan
        return found


class Drifting(Method):
    where: str

    def fit(self, task):
        loss = [0.7, float("nan" if self.where == "loss" else 0.5)]
        return Reward({"weight": np.full(2, np.inf if self.where == "array" else 1, np.float32)}, {"train_loss": loss})

    def score(self, reward, inputs):
        found = np.zeros(len(inputs.text))
        found[5] = np.inf
        return found


class Silent(Judge):
    def judge(self, examples):
        n = len(examples)
        value = np.ones(n)
        value[7] = np.nan
        return {"gold": Truth(value, np.ones(n, np.int8))}


@hookimpl
def fairl_encoders(register):
    register("gaps", Gaps)


@hookimpl
def fairl_methods(register):
    register("drifting", Drifting)


@hookimpl
def fairl_judges(register):
    register("silent", Silent)
"""


def drifting(where: str) -> dict[str, Any]:
    return {"methods": [{"name": "drifting", "use": "drifting", "where": where}]}


@pytest.mark.parametrize(
    ("change", "sentence", "kind"),
    [
        ({"encoders": [{"name": "gaps", "use": "gaps"}]}, "what encoder 'gaps' gives is NaN or", "embeddings"),
        (drifting("array"), "the array 'weight' of the reward is NaN or infinite in 2 of 2 entries", "reward"),
        (drifting("loss"), "'train_loss' of the training is nan in 1 of 2 epochs, first in epoch 2", "reward"),
        (drifting("score"), "the reward of pairs by 'drifting' is NaN or infinite in 1 of", "scores"),
        (
            {"testsets": {"shifted": {"use": "toy-comments", "n": 60, "gold": {"use": "silent"}}}},
            "the truth 'gold' of these examples is NaN or infinite in 1 of 60 rows (7), first of the text '",
            "examples",
        ),
    ],
)
def test_a_number_that_is_none_ends_its_stage_and_is_not_kept(
    change: Mapping[str, Any],
    sentence: str,
    kind: str,
    tiny: dict[str, Any],
    store: Store,
    tmp_path: Path,
    write_suite: Callable[..., Path],
) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    study = read_study(write_suite({**tiny, **change, "plugins": ["plugin.py"]}))
    finished = run(study, store, tmp_path / "results")
    plan, outcome = finished.plan, finished.outcome
    assert sentence in next(iter(outcome.failed.values()))
    assert {plan.stages[key].kind for key in outcome.failed} == {kind}
    assert not [key for key in outcome.failed if store.has(key)]
    assert outcome.done  # the other stages go on
