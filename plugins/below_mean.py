"""A failure detector that adapts to the scale of the reward."""

from fairl_bench import Detector, Field, hookimpl


class BelowMean(Detector):
    """Failures are the pairs whose margin is a number of standard deviations below the mean margin."""

    deviations: float = Field(1.0, ge=0, description="distance below the mean, in standard deviations")

    def failures(self, signal):
        margin = signal.margin
        return margin < margin.mean(-1, keepdim=True) - self.deviations * margin.std(-1, keepdim=True)


@hookimpl
def fairl_detectors(register):
    register("below-mean", BelowMean)
