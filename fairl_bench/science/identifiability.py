"""Which linear rewards preference pairs leave open: feasible sets, sublevel sets, and how wide they are.

A reward is ``theta [d]``, a pair its difference of features ``x = h(o+) - h(o-)``, its margin ``x . theta``.  Theorem 1
of the paper says that stricter constraints on failures shrink these sets, Corollary 1 that every measure of ambiguity
shrinks with them; here both are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from fairl_bench.errors import Undefined

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Chord = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""Where lines ``theta + t u`` leave a set: from ``theta, u [k, d]`` the lowest and the highest ``t [k]``."""

SOLVED = 1e-7  # HiGHS keeps a constraint to 1e-7


class Feasible(NamedTuple):
    """The rewards that give every pair its margin: ``{theta: differences theta >= required, max |theta| <= bound}``."""

    differences: Floats  # [n, d]
    required: Floats  # [n]
    bound: float

    def holds(self, theta: Floats) -> Mask:
        """Return whether each reward ``theta [k, d]`` is in the set ``[k]``."""
        return _every(theta @ self.differences.T >= self.required) & _every(np.abs(theta) <= self.bound)

    def scalable(self, theta: Floats) -> Mask:
        """Return whether a multiple c theta, c > 0, of each reward ``[k, d]`` meets every margin ``[k]``.

        That is the set modulo scale: a reward and its multiples rank alike.
        """
        margin = theta @ self.differences.T
        return _every((margin > 0) | (self.required <= 0))

    def stricter(self, failing: Mask, required: float) -> Feasible:
        """Return FA-IRL's set: this one with another margin on the pairs of the mask ``failing [n]`` (Theorem 1)."""
        return self._replace(required=np.where(failing, required, self.required))

    def chord(self, theta: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """Return where lines leave the set."""
        rows, least = self.rows()
        slack, rate = theta @ rows.T - least, direction @ rows.T
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = -slack / rate
        low = np.where(rate > 0, reach, -np.inf).max(-1)
        high = np.where(rate < 0, reach, np.inf).min(-1)
        return np.minimum(low, 0), np.maximum(high, 0)  # rounding may put a point a last bit outside

    def rows(self) -> tuple[Floats, Floats]:
        """Return every constraint, the bound's too, as ``rows theta >= least``: ``[n + 2d, d]`` and ``[n + 2d]``."""
        unit = np.eye(self.differences.shape[1])
        box = np.full(2 * len(unit), -self.bound)
        return np.concatenate([self.differences, unit, -unit]), np.concatenate([self.required, box])


def _every(holds: Mask) -> Mask:
    return np.asarray(holds.all(-1), np.bool_)


def feasible(differences: ArrayLike, margin: float, bound: float) -> Feasible:
    """Return the feasible set of max-margin IRL: ``margin`` for every pair of ``differences [n, d]``."""
    x = np.asarray(differences, np.float64)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"differences must be [n, d] with n, d > 0, got shape {list(x.shape)}")
    return Feasible(x, np.full(len(x), float(margin)), float(bound))


def largest_margin(differences: ArrayLike) -> float:
    """The largest margin that one reward of ``max |theta| <= 1`` gives to all pairs ``[n, d]``.

    0 where no reward ranks them all: theta = 0 is always there.

    >>> largest_margin([[1.0, 0.0], [0.0, 2.0]])
    1.0
    """
    x = np.asarray(differences, np.float64)
    n, d = x.shape
    # maximise t in: x theta - t >= 0
    solved = optimize.linprog(
        np.r_[np.zeros(d), -1.0],
        A_ub=np.c_[-x, np.ones(n)],
        b_ub=np.zeros(n),
        bounds=[(-1, 1)] * d + [(0, None)],
    )
    return float(solved.x[-1])


class Ball(NamedTuple):
    """The largest ball within a feasible set."""

    centre: Floats  # [d]
    radius: float


def chebyshev(within: Feasible) -> Ball:
    """The largest Euclidean ball within a set, by linear programming; `Undefined` where the set is empty.

    >>> chebyshev(Feasible(np.eye(2), np.zeros(2), 2.0)).centre.tolist()
    [1.0, 1.0]
    """
    rows, least = within.rows()
    d = rows.shape[1]
    solved = optimize.linprog(
        np.r_[np.zeros(d), -1.0],
        A_ub=np.c_[-rows, np.linalg.norm(rows, axis=1)],
        b_ub=-least,
        bounds=[(None, None)] * d + [(0, None)],
    )
    if not solved.success:
        raise Undefined(f"no reward within the bound {within.bound:.3g} gives every pair its margin")
    return Ball(solved.x[:d], float(solved.x[-1]))


def least(within: Feasible, direction: ArrayLike) -> float:
    """Return the least ``direction . theta`` in a set.  Raises `Undefined` where the set is empty."""
    rows, bounds = within.rows()
    solved = optimize.linprog(np.asarray(direction, np.float64), A_ub=-rows, b_ub=-bounds, bounds=(None, None))
    if not solved.success:
        raise Undefined(f"no reward within the bound {within.bound:.3g} gives every pair its margin")
    return float(solved.fun)


def widths(within: Feasible, directions: ArrayLike) -> Floats:
    """How far a set reaches along each direction ``[k, d]``: its greatest minus its least ``u . theta`` ``[k]``.

    >>> widths(Feasible(np.eye(2), np.zeros(2), 2.0), [[1, 0], [1, 1]]).tolist()
    [2.0, 4.0]
    """
    every = np.asarray(directions, np.float64)
    return np.array([-least(within, -direction) - least(within, direction) for direction in every])


def implied(within: Feasible, differences: ArrayLike, required: float) -> Mask:
    """Return whether each pair ``[k, d]`` has the margin ``required`` for every reward of the set already ``[k]``.

    A failure among them adds nothing: where all are, F_FA = F and Theorem 1's inclusion is not strict.
    """
    lowest = np.array([least(within, difference) for difference in np.asarray(differences, np.float64)])
    holds: Mask = lowest >= required - SOLVED
    return holds


# --- max-entropy


class Sublevel(NamedTuple):
    """The rewards of low max-entropy loss: ``sum weight softplus(-margin / temperature) <= eta``, within a bound."""

    differences: Floats  # [n, d]
    temperature: Floats  # [n]
    weight: Floats  # [n]
    eta: float
    bound: float

    def loss(self, theta: Floats) -> Floats:
        """Return the summed loss of rewards ``[..., d]``, as in Appendix B."""
        return self._of_margins(theta @ self.differences.T)

    def holds(self, theta: Floats) -> Mask:
        """Return whether each reward ``theta [k, d]`` is in the set ``[k]``."""
        return _every(np.abs(theta) <= self.bound) & (self.loss(theta) <= self.eta)

    def chord(self, theta: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """Return where lines leave the set, by bisection from inside: short by at most 2^-16 of the bound's chord."""
        box = Feasible(np.empty((0, theta.shape[1])), np.empty(0), self.bound)
        outside = np.stack(box.chord(theta, direction))  # [2, k]
        margin, rate = theta @ self.differences.T, direction @ self.differences.T
        inside = np.zeros_like(outside)
        for _ in range(16):
            middle = (inside + outside) / 2
            low = self._of_margins(margin + middle[..., None] * rate) <= self.eta
            inside, outside = np.where(low, middle, inside), np.where(low, outside, middle)
        return inside[0], inside[1]

    def _of_margins(self, margin: Floats) -> Floats:
        scaled = margin / self.temperature
        # softplus(-scaled), six times as fast as logaddexp
        loss: Floats = (np.log1p(np.exp(-np.abs(scaled))) - np.minimum(scaled, 0)) @ self.weight
        return loss

    def start(self) -> Floats:
        """Return a reward ``[d]`` in the set, of about the least loss.  Raises `Undefined` where the set is empty."""
        x, tau, weight = self.differences, self.temperature, self.weight

        def slope(theta: Floats) -> Floats:
            share = np.exp(-np.logaddexp(0, x @ theta / tau))  # sigmoid(-margin / tau), without overflow
            return -(weight / tau * share) @ x

        d = x.shape[1]
        lowest = optimize.minimize(self.loss, np.zeros(d), jac=slope, bounds=[(-self.bound, self.bound)] * d)
        # a point on the bound has no room to move: step inside if the set goes there
        for theta in (0.95 * lowest.x, lowest.x):
            if self.loss(theta) <= self.eta:
                return np.asarray(theta, np.float64)
        raise Undefined(f"no reward within the bound {self.bound:.3g} has a loss of {self.eta:.3g} or less")


def sublevel(
    differences: ArrayLike,
    eta: float,
    bound: float,
    temperature: ArrayLike = 1.0,
    weight: ArrayLike = 1.0,
) -> Sublevel:
    """Return the sublevel set of max-entropy IRL; temperature and weight: one number, or one a pair ``[n]``."""
    x = np.asarray(differences, np.float64)
    n = len(x)
    tau, share = (np.broadcast_to(np.asarray(one, np.float64), n) for one in (temperature, weight))
    return Sublevel(x, tau, share, float(eta), float(bound))


def undercut(stricter: Sublevel, base: Sublevel, theta: Floats) -> Mask:
    """Return whether each reward ``[k, d]`` has a lower loss under the objective said to be stricter ``[k]``.

    "For any eta, F_FA(eta) is within F(eta)" (Theorem 1) says exactly that there is none: at eta = L_FA(theta) such a
    theta is in the one and not in the other.
    """
    loss = base.loss(theta)
    lower: Mask = stricter.loss(theta) < loss * (1 - 1e-9)  # sums of equal terms agree to rounding
    return lower


# --- sampling


def uniform(chord: Chord, start: ArrayLike, n: int, rng: np.random.Generator, steps: int = 100) -> Floats:
    """``n`` independent rewards ``[n, d]``, spread evenly over a bounded convex set, by hit-and-run.

    Each is the end of a chain of its own (Smith 1984) from ``start [d]``.  Half-way, directions take the shape that
    the set has shown so far, so that a narrow set is crossed as quickly as a round one; from there the shape is fixed,
    which leaves the chain's distribution uniform.  Near the start after few ``steps``; 100 are plenty to d = 10.
    """
    theta = np.tile(np.asarray(start, np.float64), (n, 1))
    shape = np.eye(theta.shape[1])
    for step in range(steps):
        if step == steps // 2:
            shape = _shape(theta)
        direction = rng.normal(size=theta.shape) @ shape.T
        low, high = chord(theta, direction)
        theta = theta + (low + (high - low) * rng.random(n))[:, None] * direction
    return theta


def _shape(theta: Floats) -> Floats:
    """Return a square root of the draws' covariance ``[d, d]``, kept away from zero: no direction is lost."""
    value, vector = np.linalg.eigh(np.atleast_2d(np.cov(theta.T)))
    if value[-1] <= 0:
        return np.eye(theta.shape[1])
    root: Floats = vector * np.sqrt(np.maximum(value / value[-1], 1e-8))
    return root


def draw(within: Feasible, n: int, rng: np.random.Generator, steps: int = 100) -> Floats:
    """Return ``n`` rewards ``[n, d]``, even over a feasible set.  Raises `Undefined` where it is empty or flat."""
    ball = chebyshev(within)
    if ball.radius <= SOLVED:
        raise Undefined(f"the feasible set within the bound {within.bound:.3g} has no volume")
    return uniform(within.chord, ball.centre, n, rng, steps)


# --- ambiguity


def angles(theta: ArrayLike, truth: ArrayLike) -> Floats:
    """Degrees between rewards ``theta [..., d]`` and a true one ``[d]`` (or one each ``[..., d]``), in [0, 180].

    NaN for a reward that is zero.

    >>> angles([[1, 1], [-2, 0]], [3, 0]).round(9).tolist()
    [45.0, 180.0]
    """
    reward, true = np.asarray(theta, np.float64), np.asarray(truth, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        reward = reward / np.linalg.norm(reward, axis=-1, keepdims=True)
        true = true / np.linalg.norm(true, axis=-1, keepdims=True)
    # the half-angle by its tangent: the cosine loses half the digits near 0 and 180
    half = np.arctan2(np.linalg.norm(reward - true, axis=-1), np.linalg.norm(reward + true, axis=-1))
    return np.asarray(np.degrees(2 * half), np.float64)


def squared_distances(theta: Floats) -> Floats:
    """Return each reward's squared distance from their mean, ``[k, d]`` to ``[k]``; its mean is the total variance."""
    distance: Floats = ((theta - theta.mean(0)) ** 2).sum(-1)
    return distance


def exceeds(numbers: Floats, others: Floats, errors: float = 4.0) -> bool:
    """Return whether the mean of independent draws ``[k]`` exceeds that of others by ``errors`` standard errors."""
    error = np.sqrt(numbers.var(ddof=1) / len(numbers) + others.var(ddof=1) / len(others))
    return bool(numbers.mean() - others.mean() > errors * error)
