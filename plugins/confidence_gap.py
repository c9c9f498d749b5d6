"""An evaluator in twenty lines: how much surer a reward is where it is right than where it is wrong."""

import numpy as np

from fairl_bench import Evaluator, Form, Metric, Undefined, hookimpl, measured


def gap(margin):
    """Return the gap of one reward's margins."""
    if not ((margin > 0).any() and (margin < 0).any()):
        raise Undefined("needs pairs ranked right and pairs ranked wrong")
    return (abs(margin[margin > 0]).mean() - abs(margin[margin < 0]).mean()) / abs(margin).mean()


def weighted_gap(sample):
    """Return the same as a function of the weights of pairs, for intervals that resample them."""
    size, right, wrong = abs(sample.score), sample.score > 0, sample.score < 0  # [runs, pairs]

    def of(weights):  # [resamples, pairs] -> [resamples, runs]
        with np.errstate(invalid="ignore"):  # where no pair is left, NaN
            means = [(weights @ (size * kept).T) / (weights @ kept.T) for kept in (right, wrong, size >= 0)]
            return (means[0] - means[1]) / means[2]

    return of


class ConfidenceGap(Evaluator):
    """Mean |margin| of rightly ranked pairs minus that of wrongly ranked ones, over the mean |margin|."""

    metrics = (Metric("confidence_gap", better="higher", resampled=(Form("confidence gap", "pairs", weighted_gap),)),)

    def truths(self):
        """Return the truth that it is measured against."""
        return frozenset({"preferred"})

    def evaluate(self, scored):
        """Return one number a data set."""
        for name in self.data:
            margin = scored[name].margins()
            yield measured(name, "preferred", "confidence_gap", len(margin), gap, margin)


@hookimpl
def fairl_evaluators(register):
    """Register the evaluator."""
    register("confidence-gap", ConfidenceGap)
