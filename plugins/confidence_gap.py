"""An evaluator in ten lines: how much larger a reward's margins are where it is right than where it is wrong."""

from fairl_bench import Evaluator, Undefined, hookimpl, measured


class ConfidenceGap(Evaluator):
    """Mean |margin| of rightly ranked pairs minus that of wrongly ranked ones, over the mean |margin|."""

    def evaluate(self, scored):
        for name in self.data:
            yield measured(
                name, "preferred", "confidence_gap", len(scored[name].margins()), gap, scored[name].margins()
            )


def gap(margin):
    if not ((margin > 0).any() and (margin < 0).any()):
        raise Undefined("needs pairs ranked right and pairs ranked wrong")
    return (abs(margin[margin > 0]).mean() - abs(margin[margin < 0]).mean()) / abs(margin).mean()


@hookimpl
def fairl_evaluators(register):
    register("confidence-gap", ConfidenceGap)
