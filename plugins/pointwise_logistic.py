"""A classifier that sees single texts and no pairs: which were preferred, which rejected.

The order-consistent alternative to Bradley-Terry of Sun, Shen & Ton 2024 (arXiv:2411.04991), and the control that says
what the pairing itself is worth.  Deterministic; validation pairs are not used.
"""

import numpy as np

from fairl_bench import Field, Method, Reward, hookimpl


class PointwiseLogistic(Method):
    """Logistic regression of single texts, preferred against rejected; the reward is the log odds."""

    seeded = False
    penalty: float = Field(1.0, gt=0, description="lambda of lambda/2 ||w||^2 beside the summed loss: 1/C")

    def fit(self, task):
        from sklearn.linear_model import LogisticRegression

        rows = np.concatenate([task.train.preferred, task.train.rejected])
        liked = np.repeat([1, 0], len(task.train))
        model = LogisticRegression(C=1 / self.penalty, tol=1e-6, max_iter=1000)
        model.fit(task.train.vectors[rows].astype(np.float64), liked)
        weight, bias = model.coef_[0], model.intercept_.reshape(())
        return Reward({"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)})

    def head(self, suite_head):
        return "linear"


@hookimpl
def fairl_methods(register):
    register("pointwise-logistic", PointwiseLogistic)
