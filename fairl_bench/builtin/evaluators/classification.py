"""The reward as a classifier of texts, with a threshold found on other data and without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from fairl_bench.component import Settings
from fairl_bench.errors import DataError, Undefined
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.metrics import Metric
from fairl_bench.science import agreement, classification, resampling
from fairl_bench.values.data import GOLD, PREFERRED, Floats, Labels, Scored
from fairl_bench.values.records import Measure, measured
from fairl_bench.values.sheets import THRESHOLD
from fairl_bench.values.truths import TruthName

NOT_CHOSEN: Final = "no threshold is chosen (maximise: none), and a recovered reward has no zero of its own"
_NEED_THRESHOLD: Final = (THRESHOLD, "accuracy", "balanced_accuracy", "f1")


class Threshold(Settings):
    """The data on which the threshold is chosen, and what it maximises there; it is then held fixed (paper 5)."""

    data: str = "pairs/train"
    label: TruthName = PREFERRED
    maximise: Literal["accuracy", "balanced", "none"] = Field(
        "accuracy",
        description="accuracy; balanced accuracy, to which good and bad texts contribute alike, however rare one of "
        "them is; or none: no threshold is chosen, and numbers that need one are n/a",
    )


class Classification(Evaluator):
    """Accuracy, F1, ROC-AUC and average precision of the reward against a label; on pairs pair accuracy, margin SNR."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(THRESHOLD),
        Metric("accuracy", "higher", bounds=(0, 1), resampled=(resampling.ACCURACY,)),
        Metric("balanced_accuracy", "higher", bounds=(0, 1), resampled=(resampling.BALANCED_ACCURACY,)),
        Metric("f1", "higher", "F1", (0, 1), resampled=(resampling.F1_GOOD, resampling.F1_BAD)),
        Metric("auc", "higher", "AUC", (0, 1), resampled=(resampling.AUC,)),
        Metric(
            "average_precision",
            "higher",
            bounds=(0, 1),
            resampled=(resampling.AVERAGE_PRECISION_GOOD, resampling.AVERAGE_PRECISION_BAD),
        ),
        Metric("pair_accuracy", "higher", bounds=(0, 1), resampled=(resampling.ORDERED_PAIRS, resampling.RIGHT_PAIRS)),
        Metric("margin_snr", "higher", resampled=(resampling.MARGIN_SNR,)),
    )

    label: TruthName = Field(PREFERRED, description="the truth that the reward is measured against")
    threshold: Threshold = Threshold()
    positive: Literal["good", "bad"] = Field("good", description="the class of F1 and of average precision")

    @property
    def _cuts(self) -> bool:
        """Whether a threshold is chosen."""
        return self.threshold.maximise != "none"

    def needs(self) -> frozenset[str]:
        """Return the evaluated data and the data that sets the threshold."""
        return frozenset({*self.data, self.threshold.data} if self._cuts else self.data)

    def truths(self) -> frozenset[str]:
        """Return the label that is measured and the label that sets the threshold."""
        return frozenset({self.label, self.threshold.label} if self._cuts else {self.label})

    def not_measured(self) -> Mapping[str, str]:
        """Return the numbers that need a threshold, where none is chosen."""
        return {} if self._cuts else dict.fromkeys(_NEED_THRESHOLD, NOT_CHOSEN)

    def measured(self) -> frozenset[str]:
        """Return the label that is measured, not the one that sets the threshold."""
        return frozenset({self.label})

    def truths_of(self, data: str) -> frozenset[str]:
        """Return the labels that are read of one data set: the measured one, the threshold's, or both."""
        labels = {self.label} if data in self.data else set()
        return frozenset(labels | ({self.threshold.label} if self._cuts and data == self.threshold.data else set()))

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        """Return six numbers a data set, and two more where it holds pairs."""
        cut = self._threshold(scored)
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

    def _threshold(self, scored: Mapping[str, Scored]) -> Callable[[], float]:
        """Return the function that gives the threshold, or raises `Undefined` and says why there is none."""
        at = self.threshold
        if at.maximise == "none":
            return _not_chosen
        return cache(partial(_cut, at.data, at.label, *_labelled(scored, at.data, at.label), at.maximise))


def _not_chosen() -> float:
    raise Undefined(NOT_CHOSEN)


def _cut(data: str, truth: str, score: Floats, label: Labels, maximise: classification.Maximised) -> float:
    if not len(label):
        raise Undefined(f"no threshold on {data}: {classification.no_label(truth)}")
    try:
        return classification.best_threshold(score, label, maximise)
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
