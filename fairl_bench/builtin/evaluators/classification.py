"""The reward as a classifier of texts: accuracy, F1 and AUC, with a threshold found on other data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from fairl_bench.component import Settings
from fairl_bench.errors import DataError, Undefined
from fairl_bench.kinds import Evaluator
from fairl_bench.metrics import Metric
from fairl_bench.science import agreement, classification, resampling
from fairl_bench.values.data import GOLD, PREFERRED, Floats, Labels, Scored
from fairl_bench.values.records import Measure, measured
from fairl_bench.values.sheets import THRESHOLD
from fairl_bench.values.truths import TruthName


class Threshold(Settings):
    """The data on which the threshold is chosen: it maximises accuracy there and is then held fixed (paper 5)."""

    data: str = "pairs/train"
    label: TruthName = PREFERRED


class Classification(Evaluator):
    """Accuracy, F1 and ROC-AUC of the reward against a label; beside them, on pairs, pair accuracy and margin SNR."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(THRESHOLD),
        Metric("accuracy", "higher", bounds=(0, 1), resampled=(resampling.ACCURACY,)),
        Metric("f1", "higher", "F1", (0, 1), resampled=(resampling.F1_GOOD, resampling.F1_BAD)),
        Metric("auc", "higher", "AUC", (0, 1), resampled=(resampling.AUC,)),
        Metric("pair_accuracy", "higher", bounds=(0, 1), resampled=(resampling.ORDERED_PAIRS, resampling.RIGHT_PAIRS)),
        Metric("margin_snr", "higher", resampled=(resampling.MARGIN_SNR,)),
    )

    label: TruthName = Field(PREFERRED, description="the truth that the reward is measured against")
    threshold: Threshold = Threshold()
    positive: Literal["good", "bad"] = Field("good", description="the class of F1")

    def needs(self) -> frozenset[str]:
        """Return the evaluated data and the data that sets the threshold."""
        return frozenset({*self.data, self.threshold.data})

    def truths(self) -> frozenset[str]:
        """Return the label that is measured and the label that sets the threshold."""
        return frozenset({self.label, self.threshold.label})

    def measured(self) -> frozenset[str]:
        """Return the label that is measured, not the one that sets the threshold."""
        return frozenset({self.label})

    def truths_of(self, data: str) -> frozenset[str]:
        """Return the labels that are read of one data set: the measured one, the threshold's, or both."""
        labels = {self.label} if data in self.data else set()
        return frozenset(labels | ({self.threshold.label} if data == self.threshold.data else set()))

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        """Return five numbers a data set, and two more where it holds pairs."""
        at = self.threshold
        cut = partial(_cut, at.data, at.label, *_labelled(scored, at.data, at.label))
        positive = 1 if self.positive == "good" else -1
        for name in self.data:
            score, label = _labelled(scored, name, self.label)
            say = partial(measured, name, self.label)
            for metric, function in classification.by_label(score, label, cut, positive, self.label).items():
                yield say(metric, len(label), function)
            margins = scored[name].margins()
            if self.label == PREFERRED and len(margins):
                yield say("pair_accuracy", len(margins), classification.pair_accuracy, margins)
                yield say("margin_snr", len(margins), agreement.margin_snr, margins)


def _cut(data: str, truth: str, score: Floats, label: Labels) -> float:
    if not len(label):
        raise Undefined(f"no threshold on {data}: {classification.no_label(truth)}")
    try:
        return classification.best_threshold(score, label)
    except Undefined as reason:
        raise Undefined(f"no threshold on {data}: {reason}") from reason


def _labelled(scored: Mapping[str, Scored], name: str, label: str) -> tuple[Floats, Labels]:
    """Return the scores and labels of the examples whose label is known."""
    truth = scored[name].examples.truths.get(label)
    if truth is None:
        has = ", ".join(sorted(scored[name].examples.truths)) or "none"
        hint = "; give its source a 'gold:'" if label == GOLD else ""
        raise DataError(f"data {name!r} has no truth {label!r} (it has: {has}){hint}")
    known = np.flatnonzero(truth.label)
    return scored[name].reward[known], truth.label[known]
