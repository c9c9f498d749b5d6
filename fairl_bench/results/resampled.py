"""The metrics of a sheet that can be resampled, each as a function of weights that all its runs share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairl_bench.metrics import Metric
from fairl_bench.science.resampling import Clustered, Form, On, Sample
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import Floats, Rows
from fairl_bench.values.sheets import Sheet, Values


class Resampling:
    """The metrics of one sheet as functions of weights, each checked against the numbers that are on record.

    A metric that declares no form, or whose evaluator means something else by its name, has none.
    """

    def __init__(self, sheet: Sheet, runs: Sequence[Run], truth: str, values: Values, clusters: Rows) -> None:
        self.sheet, self.runs, self.truth, self.values = sheet, runs, truth, values
        of_truth = sheet.examples.truths.get(truth)
        n = len(sheet.examples)
        self.score = np.stack([sheet.rewards[run] for run in runs])
        self.label = np.zeros(n, np.int8) if of_truth is None else of_truth.label
        self.value = np.full(n, np.nan) if of_truth is None else of_truth.value
        pairs = sheet.examples.pair_rows()
        self.margins = self.score[:, pairs[:, 0]] - self.score[:, pairs[:, 1]]
        self.gaps = np.zeros(len(pairs)) if of_truth is None else sheet.examples.gaps(truth)
        ordered = np.flatnonzero(np.isfinite(self.gaps) & (self.gaps != 0))
        labelled, valued = np.flatnonzero(self.label), np.flatnonzero(np.isfinite(self.value))
        self.rows: dict[On, Rows] = {"labels": labelled, "values": valued, "ordered pairs": ordered}
        self.rows["pairs"] = np.arange(len(pairs))
        of_pairs = clusters[pairs[:, 0]]
        # arrays of their own: metrics on the same rows share weights by them
        self.clusters: dict[On, Rows] = {"labels": clusters[labelled], "values": clusters[valued]}
        self.clusters |= {"pairs": of_pairs, "ordered pairs": of_pairs[ordered]}

    def of(self, metric: Metric) -> Clustered | None:
        """The metric as a function of weights, if weights of one give what is on record for every run."""
        numbers = [self._recorded(run, metric.name) for run in self.runs]
        on_record = [at for at, number in enumerate(numbers) if number is not None]
        recorded = np.array(numbers, np.float64)[on_record]
        forms = (
            [form for form in metric.resampled if isinstance(form, Form) and len(self.rows[form.on])]
            if on_record
            else []
        )
        for form in forms:
            clustered = Clustered(form.of(self.sample(form)), self.clusters[form.on])
            plain = np.asarray(clustered.of(np.ones((1, len(clustered.cluster)), np.float32)))
            # float32 sums of the forms; what an evaluator means otherwise is further away
            fits = plain.shape == (1, len(self.runs))
            if fits and np.allclose(plain[0][on_record], recorded, rtol=2e-4, atol=2e-5, equal_nan=True):
                return clustered
        return None

    def sample(self, form: Form) -> Sample:
        """The sample that a form is measured on."""
        rows = self.rows[form.on]
        threshold = np.array(
            [self.values.threshold(self.sheet, run, self.truth) for run in self.runs], np.float64
        )  # None: NaN
        if form.on in ("labels", "values"):
            return Sample(self.score[:, rows], self.label[rows] > 0, self.value[rows], threshold)
        side: Floats = np.sign(self.gaps[rows]) if form.on == "ordered pairs" else np.ones(len(rows))
        return Sample(self.margins[:, rows] * side, side > 0, self.gaps[rows], threshold)

    def _recorded(self, run: Run, metric: str) -> float | None:
        """The number of a run on record; None where there is none."""
        return self.values.get(self.sheet, run, self.truth, metric)
