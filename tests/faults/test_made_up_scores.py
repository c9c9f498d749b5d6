"""Files of scores made from a number, far from zero or near it: every number is that of another library, or n/a.

The short form makes 12 of them, the long one (``FAIRL_FAULTS=long``) 400.
"""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from fairl_bench.results.evaluate import evaluate

LONG = os.environ.get("FAIRL_FAULTS") == "long"
SEED = int(os.environ.get("FAIRL_FAULTS_SEED", "20"))
NAN = math.nan


class Made:
    """A reward before it is moved, what is known of each text, and the file that says so."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([SEED, seed])
        n = 2 * int(rng.integers(4, 25))
        self.value = np.round(rng.normal(size=n), int(rng.integers(0, 3)))
        self.reward = np.round(self.value + rng.normal(size=n), int(rng.integers(1, 7)))
        if rng.random() < 0.15:
            self.reward[:] = self.reward[0]
        if rng.random() < 0.15:
            self.value[:] = self.value[0]
        self.label = np.where(self.value + rng.normal(size=n) > 0, 1, -1)
        if rng.random() < 0.2:
            self.label[:] = 1
        self.has_label, self.has_value = [(True, True), (True, False), (False, True)][int(rng.integers(3))]
        unknown = rng.random(n) < rng.choice([0, 0.2])
        self.known = ~unknown
        self.known[:2] = True
        if not self.has_value:
            self.value = self.label.astype(np.float64)
        self.prompt = rng.integers(0, 4, n) if rng.random() < 0.5 else None
        self.paired = rng.random() < 0.5
        self.positive: Any = rng.choice(["good", "bad"])
        self.offset = float(rng.choice([0, 1e3, -1e5, 1e8, 3e9])) + rng.normal()
        self.scale = float(rng.choice([1e-2, 1.0, 250.0]))
        self.cut = float(np.median(self.reward)) + 0.03

    def moved(self, reward: Any) -> Any:
        """The reward as the file has it."""
        return self.offset + self.scale * reward

    def write(self, path: Path) -> None:
        columns: dict[str, list[str]] = {"reward": [repr(float(one)) for one in self.moved(self.reward)]}
        for name, has, told in (("label", self.has_label, self.label), ("value", self.has_value, self.value)):
            if has:
                columns[name] = [str(one) if on else "" for one, on in zip(told.tolist(), self.known, strict=True)]
        if self.prompt is not None:
            columns["prompt"] = [f"p{one}" for one in self.prompt]
        if self.paired:
            columns["pair"] = [str(i // 2) for i in range(len(self.reward))]
            columns["role"] = ["preferred", "rejected"] * (len(self.reward) // 2)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])

    def expected(self) -> dict[str, float]:
        """Every metric by other means; NaN where it has no value."""
        reward, value, label = self.reward[self.known], self.value[self.known], self.label[self.known]
        said, both = np.where(reward > self.cut, 1, -1), len(set(label.tolist())) == 2
        side = 1 if self.positive == "good" else -1
        f1 = f1_score(label, said, pos_label=side, zero_division=0) if side in {*label, *said} else NAN
        by_label = {"accuracy": accuracy_score(label, said), "f1": f1}
        by_label["auc"] = roc_auc_score(label, reward) if both else NAN
        by_label["balanced_accuracy"] = balanced_accuracy_score(label, said) if both else NAN
        by_label["average_precision"] = average_precision_score(label == side, side * reward) if both else NAN
        varies = np.ptp(reward) > 0 and np.ptp(value) > 0
        rho = stats.pearsonr(reward, value).statistic if varies else NAN
        return {
            **(by_label if self.has_label else dict.fromkeys(by_label, NAN)),
            "starc": self._starc(reward, value, np.zeros(len(reward))),
            "starc_per_prompt": NAN if self.prompt is None else self._starc(reward, value, self.prompt[self.known]),
            "epic": math.sqrt(max(0, 1 - rho) / 2) if varies else NAN,
            "spearman": stats.spearmanr(reward, value).statistic if varies else NAN,
            "pair_accuracy": self._pairs(),
        }

    def _starc(self, reward: np.ndarray, value: np.ndarray, prompt: np.ndarray) -> float:
        shared = np.array([(prompt == one).sum() > 1 for one in prompt])
        sides = []
        for column in (value, reward):
            apart = [column[i] - column[prompt == prompt[i]].mean() for i in np.flatnonzero(shared)]
            length = sum(map(abs, apart))
            sides.append(np.array(apart) / length if length > 1e-12 else np.zeros(len(apart)))
        return float(np.abs(sides[0] - sides[1]).sum()) if sides[0].any() else NAN

    def _pairs(self) -> float:
        won = []
        for i in range(0, len(self.reward) if self.paired else 0, 2):
            gap = self.value[i] - self.value[i + 1]
            if self.known[i] and self.known[i + 1] and gap:
                won.append((1 + np.sign(gap * (self.reward[i] - self.reward[i + 1]))) / 2)
        return float(np.mean(won)) if won else NAN


@pytest.mark.parametrize("seed", range(400 if LONG else 12))
def test_every_number_of_a_file_of_scores_is_another_librarys_or_not_there(seed: int, tmp_path: Path) -> None:
    made = Made(seed)
    made.write(tmp_path / "s.csv")
    found = evaluate(tmp_path / "s.csv", threshold=float(made.moved(made.cut)), positive=made.positive)
    said = {row.metric: row for row in found.single_records}
    expected = made.expected()
    assert set(said) == {"threshold", *expected}
    for metric, value in expected.items():
        # the offset leaves 16 digits less its own
        assert said[metric].value == pytest.approx(value, abs=2e-4, nan_ok=True), metric
        assert bool(said[metric].note) == math.isnan(value), metric
