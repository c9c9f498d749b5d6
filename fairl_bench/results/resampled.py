"""Which metrics of a sheet can be resampled, each as a function of weights that all its runs share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fairl_bench.coordinates import Run
from fairl_bench.data import Floats, Rows
from fairl_bench.science import resampling
from fairl_bench.science.resampling import Clustered
from fairl_bench.sheets import Sheet, Values


class Forms:
    """The metrics of one sheet as functions of weights, each checked against the number that is on record.

    A metric that has no such form here, or of whose name an evaluator means something else, has none.
    """

    def __init__(self, sheet: Sheet, runs: Sequence[Run], truth: str, values: Values, clusters: Rows) -> None:
        self.sheet, self.runs, self.truth, self.values, self.clusters = sheet, runs, truth, values, clusters
        known = sheet.examples.truths.get(truth)
        self.score = np.stack([sheet.rewards[run] for run in runs])
        self.label = np.zeros(len(sheet.examples), np.int8) if known is None else known.label
        self.value = np.full(len(sheet.examples), np.nan) if known is None else known.value
        self.told = np.flatnonzero(self.label)
        self.valued = np.flatnonzero(np.isfinite(self.value))
        self.on_labels, self.on_values = clusters[self.told], clusters[self.valued]
        pairs = sheet.examples.pair_rows()
        self.margins, self.on_pairs = self.score[:, pairs[:, 0]] - self.score[:, pairs[:, 1]], clusters[pairs[:, 0]]
        gaps = np.zeros(len(pairs)) if known is None else sheet.examples.gaps(truth)
        self.ordered = np.flatnonzero(np.isfinite(gaps) & (gaps != 0))
        self.side = np.sign(gaps[self.ordered])

    def of(self, metric: str) -> Clustered | None:
        """The metric's form, if weights of one give what is on record for every run."""
        found = [self.values.get(self.sheet, run, self.truth, metric) for run in self.runs]
        known = [at for at, number in enumerate(found) if number is not None]
        recorded = np.array(found, np.float64)[known]
        for form in self._candidates(metric) if known and len(self._rows(metric)) else ():
            plain = form.of(np.ones((1, len(form.cluster)), np.float32))[0][known]
            # float32 sums of the forms; what an evaluator means otherwise is further away
            if np.allclose(plain, recorded, rtol=2e-4, atol=2e-5, equal_nan=True):
                return form
        return None

    def _rows(self, metric: str) -> Rows:
        """The clusters of what a metric is measured on; none where no label, or no value, is known."""
        if metric in ("starc", "epic", "affine_residual"):
            return self.on_values
        return self.on_pairs if metric in ("pair_accuracy", "margin_snr") else self.on_labels

    def _candidates(self, metric: str) -> Iterator[Clustered]:
        score, good = self.score[:, self.told], self.label[self.told] > 0
        rewards, value = self.score[:, self.valued], self.value[self.valued]
        if metric in ("accuracy", "f1"):
            cut = [self.values.get(self.sheet, run, self.truth, "threshold") for run in self.runs]
            called = score > np.array(cut, np.float64)[:, None]
            if metric == "accuracy":
                yield Clustered(resampling.accuracy(called == good), self.on_labels)
            else:
                yield Clustered(resampling.f1(called, good), self.on_labels)
                yield Clustered(resampling.f1(~called, ~good), self.on_labels)
        elif metric == "auc":
            yield Clustered(resampling.auc(score, good), self.on_labels)
        elif metric == "starc":
            yield Clustered(resampling.starc(rewards, value), self.on_values)
        elif metric == "epic":
            yield Clustered(resampling.epic(rewards, value), self.on_values)
        elif metric == "affine_residual":
            yield Clustered(resampling.affine_residual(rewards, value), self.on_values)
        elif metric == "pair_accuracy":
            by_truth = self.margins[:, self.ordered] * self.side
            if len(self.ordered):
                yield Clustered(resampling.accuracy(_won(by_truth)), self.on_pairs[self.ordered])
            yield Clustered(resampling.accuracy(_won(self.margins)), self.on_pairs)
        elif metric == "margin_snr":
            yield Clustered(resampling.margin_snr(self.margins), self.on_pairs)


def _won(margins: Floats) -> Floats:
    """What `classification.pair_accuracy` is the mean of: 1 where a pair is ranked right, a half where it ties."""
    won: Floats = (margins > 0) + 0.5 * (margins == 0)
    return won
