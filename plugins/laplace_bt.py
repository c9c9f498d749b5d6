"""Bradley-Terry without a training loop: the posterior's mode by Newton steps, and its width by Laplace.

MacKay 1992, "The evidence framework applied to classification networks"; for reward models Yang et al. 2024
(arXiv:2402.13210), who lower the reward by its standard deviation.  Deterministic; validation pairs are not used.
"""

import numpy as np

from fairl_bench import Field, Method, Reward, hookimpl


class LaplaceBT(Method):
    """The linear Bradley-Terry reward under a Gaussian prior, less ``caution`` posterior standard deviations."""

    seeded = False
    precision: float = Field(
        1.0, gt=0, description="precision of the prior: precision/2 ||w||^2 beside the summed loss"
    )
    caution: float = Field(0.0, ge=0, description="c of mean - c sd; sd of the reward above the mean text's")

    def fit(self, task):
        from scipy.linalg import cholesky, solve_triangular
        from scipy.optimize import root
        from scipy.special import expit

        vectors = task.train.vectors.astype(np.float64)
        preferred, rejected = vectors[task.train.preferred], vectors[task.train.rejected]
        x = preferred - rejected
        eye = np.eye(x.shape[1])

        def slope(w):
            return self.precision * w - expit(-x @ w) @ x

        def hessian(w):
            return self.precision * eye + (x.T * (expit(x @ w) * expit(-x @ w))) @ x

        # Powell's hybrid of Newton and gradient steps: plain Newton may overshoot where all pairs are sure
        found = root(slope, np.zeros(x.shape[1]), jac=hessian, tol=1e-10)
        arrays = {"weight": found.x, "bias": np.zeros(())}
        if self.caution:
            width = solve_triangular(cholesky(hessian(found.x), lower=True), eye, lower=True).T
            arrays |= {"centre": (preferred.mean(0) + rejected.mean(0)) / 2, "width": width}
        return Reward({name: array.astype(np.float32) for name, array in arrays.items()})

    def score(self, reward, inputs):
        mean = super().score(reward, inputs)
        if not self.caution:
            return mean
        away = (inputs.vectors - reward.arrays["centre"]) @ reward.arrays["width"]
        return mean - self.caution * np.linalg.norm(away.astype(np.float64), axis=1)

    def head(self, suite_head):
        return "linear"


@hookimpl
def fairl_methods(register):
    register("laplace-bt", LaplaceBT)
