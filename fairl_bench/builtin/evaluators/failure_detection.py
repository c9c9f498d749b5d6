"""How well a detector finds the pairs that the reward really ranks wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.errors import DataError, Undefined
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.method import Detector, truth_of_labels
from fairl_bench.metrics import Metric
from fairl_bench.science.failures import Signal
from fairl_bench.values.data import GOLD, Floats, Scored
from fairl_bench.values.records import Measure, measured
from fairl_bench.values.truths import GoldName


class FailureDetection(Evaluator):
    """AUROC and AUPRC of a detector's score against the pairs whose order the reward has wrong by a truth.

    Pairs whose two texts are equally good by the truth have no right order and are left out.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        # of the detector, and a property of the data: neither says that a reward is better
        Metric("detector_auroc"),
        Metric("detector_auprc"),
        Metric("misranked_share"),
    )

    detector: Detector = Field(description="the detector whose score is measured")
    truth: GoldName = Field(GOLD, description="the truth that says which pairs are misranked: gold, or gold:NAME")

    @model_validator(mode="after")
    def _reads_rewards(self) -> Self:
        if not self.detector.by_step:
            message = "detector {use} reads the last layer of a reward, and only its rewards are known here"
            raise PydanticCustomError("detector", message, {"use": repr(self.detector.use)})
        return self

    def truths(self) -> frozenset[str]:
        """Return the truth that says which pairs are misranked, and the one whose labels the detector reads."""
        return frozenset({self.truth, truth_of_labels(self.detector)} if self.detector.truths() else {self.truth})

    def measured(self) -> frozenset[str]:
        """Return the truth that says which pairs are misranked."""
        return frozenset({self.truth})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        """Return three numbers a data set."""
        for name in self.data:
            surely, wrong = self._judged(name, scored[name])
            yield measured(name, self.truth, "detector_auroc", len(wrong), _auroc, wrong, surely)
            yield measured(name, self.truth, "detector_auprc", len(wrong), _auprc, wrong, surely)
            yield measured(name, self.truth, "misranked_share", len(wrong), _share, wrong)

    def _judged(self, name: str, scored: Scored) -> tuple[Floats, np.ndarray]:
        """Return the detector's score of each pair that has a right order, and whether the reward has it wrong."""
        import torch

        pairs, truth = scored.pair_rows(), scored.examples.truths.get(self.truth)
        if truth is None or not len(pairs):
            raise DataError(f"failure-detection needs pairs with the truth {self.truth!r}; data {name!r} has none")
        of_labels = truth_of_labels(self.detector)
        labels = scored.examples.truths.get(of_labels)
        if self.detector.truths() and (labels is None or not labels.label.any()):
            lack = f"data {name!r} has only numbers; give its 'gold' a 'label_above'"
            raise DataError(f"detector {self.detector.use!r} reads the labels of the truth {of_labels!r}: {lack}")
        preferred, rejected = pairs.T
        label = np.zeros(len(scored.reward)) if labels is None else labels.label.astype(np.float64)
        reward, gold = torch.tensor(scored.reward), torch.from_numpy(label)
        signal = Signal(
            reward[preferred],
            reward[rejected],
            uniform=torch.from_numpy(np.random.default_rng(0).random(len(pairs))),
            gold=(gold[preferred], gold[rejected]),
        )
        right = truth.value[preferred] - truth.value[rejected]
        ordered = np.flatnonzero(np.isfinite(right) & (right != 0))
        margin = scored.reward[preferred] - scored.reward[rejected]
        return self.detector.score(signal).numpy()[ordered], (margin * right)[ordered] <= 0


def _need_both(wrong: np.ndarray) -> None:
    if wrong.all() or not wrong.any():
        raise Undefined(
            f"needs pairs ranked right and pairs ranked wrong, got {int(wrong.sum())} wrong of {len(wrong)}"
        )


def _auroc(wrong: np.ndarray, surely: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    _need_both(wrong)
    return float(roc_auc_score(wrong, surely))


def _auprc(wrong: np.ndarray, surely: Floats) -> float:
    from sklearn.metrics import average_precision_score

    _need_both(wrong)
    return float(average_precision_score(wrong, surely))


def _share(wrong: np.ndarray) -> float:
    if not len(wrong):
        raise Undefined("no pair has a right order by the truth")
    return float(wrong.mean())
