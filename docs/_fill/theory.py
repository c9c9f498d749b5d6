"""The generated table and figure of identifiability.md: Theorem 1 and Corollary 1, statement by statement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from fairl_bench.figures.theory import theorem1
from fairl_bench.science import identifiability as sets
from fairl_bench.science.identifiability import Feasible

M, STRICT, WORLDS = 0.8, 1.6, 10


def _world(seed: int, n: int = 30, d: int = 3) -> tuple[Feasible, Feasible, np.ndarray]:
    """Return F and F_FA of pairs that one reward ranks all right; the failures are the fifth of lowest margins."""
    rng = np.random.default_rng(seed)
    theta, x = rng.normal(size=d), rng.normal(size=(n, d))
    x *= np.sign(x @ theta)[:, None]
    base = sets.feasible(x, M, 4 * M / sets.largest_margin(x))
    failing = np.argsort(x @ theta).argsort() < n // 5
    return base, base.stricter(failing, STRICT), failing


def _triangle() -> tuple[Feasible, Feasible]:
    base = sets.feasible([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]], M, 1.7)
    return base, base.stricter(np.array([False, False, True]), STRICT)


def _implied() -> tuple[Feasible, Feasible]:
    base = sets.feasible([[1.0, 0.5], [0.2, 1.0], [3.0, 1.5]], M, 5.0)
    return base, base.stricter(np.array([False, False, True]), STRICT)


def _draws(within: Feasible, n: int = 1000) -> np.ndarray:
    return sets.draw(within, n, np.random.default_rng(0))


def _inclusion() -> tuple[bool, str]:
    held = 0
    for base, strict, _ in map(_world, range(WORLDS)):
        held += min(sets.least(strict, x) for x in base.differences) >= M - sets.SOLVED
    return (
        held == WORLDS,
        f"in {held} of {WORLDS} worlds the least margin within F_FA is at least M (by LP)",
    )


def _strict() -> tuple[bool, str]:
    base, strict = _implied()
    held = sum(
        not sets.implied(base, base.differences[failing], STRICT).all()
        for base, _, failing in map(_world, range(WORLDS))
    )
    share = strict.holds(_draws(base)).mean()
    return share < 1, (
        f"it is in {held} of {WORLDS} worlds where the lowest margins are the failures; pairs (1, 0.5), (0.2, 1) and a "
        f"failure (3, 1.5): F_FA keeps {share:.0%} of F, for 3M > M_fail"
    )


def _scale() -> tuple[bool, str]:
    kept = np.mean([strict.scalable(_draws(base, 200)).mean() for base, strict, _ in map(_world, range(WORLDS))])
    return bool(kept < 1), f"{kept:.0%} of the directions of F are directions of F_FA: (M_fail / M) theta"


def _entropy(**changed: float) -> tuple[bool, str]:
    shares = []
    for base, _, failing in map(_world, range(WORLDS)):
        factor = {name: np.where(failing, value, 1.0) for name, value in changed.items()}
        plain = sets.sublevel(base.differences, 0.5 * len(failing), 5.0)
        other = sets.sublevel(base.differences, 0.5 * len(failing), 5.0, **factor)
        theta = sets.uniform(other.chord, other.start(), 100, np.random.default_rng(0), 30)
        shares.append(sets.undercut(other, plain, theta).mean())
    found = sum(share > 0 for share in shares)
    return (
        not found,
        f"in {found} of {WORLDS} worlds some theta has L_FA(theta) < L(theta), so lies outside F(L_FA(theta))",
    )


def _width() -> tuple[bool, str]:
    held = 0
    for base, strict, _ in map(_world, range(WORLDS)):
        held += bool((sets.widths(strict, np.eye(3)) <= sets.widths(base, np.eye(3)) + 1e-6).all())
    return held == WORLDS, f"in {held} of {WORLDS} worlds no axis of F_FA is wider than F's"


def _variance() -> tuple[bool, str]:
    base, strict = _triangle()
    ratio = sets.squared_distances(_draws(strict)).mean() / sets.squared_distances(_draws(base)).mean()
    return bool(ratio <= 1), (
        f"pairs (1, 1), (1, -1) and a failure (1, 0), in the box of half-width 1.7: {ratio:.2f} times the variance"
    )


def _in_ball(within: Feasible, radius: float, n: int = 1_000_000) -> np.ndarray:
    """Rewards of two dimensions spread evenly over the part of a set that lies in the ball of this radius."""
    rng = np.random.default_rng(0)
    turn, length = 2 * np.pi * rng.random(n), radius * np.sqrt(rng.random(n))
    drawn = length[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    return drawn[within._replace(bound=np.inf).holds(drawn)]


def _variance_in_ball() -> tuple[bool, str]:
    def ratio(base: Feasible, strict: Feasible, radius: float) -> float:
        both = (sets.squared_distances(_in_ball(one, radius)).mean() for one in (strict, base))
        return float(next(both) / next(both))

    base = sets.feasible([[1.0, 0.5], [1.0, -0.5], [1.0, 0.0]], M, 1.2)
    narrow = ratio(base, base.stricter(np.array([False, False, True]), 1.03), 1.2)
    return narrow <= 1, (
        f"in the ball of radius 1.7 the same pairs have {ratio(*_triangle(), 1.7):.2f} times the variance; but pairs "
        f"(1, 0.5), (1, -0.5) and a failure (1, 0) with M_fail = 1.03 in the ball of radius 1.2: {narrow:.2f} times"
    )


def _additive() -> tuple[bool, str]:
    shares = []
    for base, _, failing in map(_world, range(WORLDS)):
        more = np.concatenate([base.differences, base.differences[failing]])
        own = len(base.differences)
        plain = sets.sublevel(base.differences, 0.5 * own, 5.0)
        tau, weight = (np.r_[np.ones(own), np.full(len(more) - own, value)] for value in (0.5, 2.0))
        other = sets.sublevel(more, 0.5 * own, 5.0, tau, weight)
        theta = sets.uniform(other.chord, other.start(), 100, np.random.default_rng(0), 30)
        shares.append(sets.undercut(other, plain, theta).mean())
    found = sum(share > 0 for share in shares)
    return not found, (
        f"in {found} of {WORLDS} worlds some theta has a lower loss: what is added is never negative, at half the "
        "temperature either"
    )


def _distance() -> tuple[bool, str]:
    before, after = (sets.angles(_draws(one), [1, 0]).mean() for one in _triangle())
    return bool(after <= before), f"the same pairs, truth (1, 0): {before:.0f} degrees on average become {after:.0f}"


def _diameter() -> tuple[bool, str]:
    theta = np.array([[10.0], [1e6]]) * np.array([1.0, 0.0])
    held = all(one._replace(bound=np.inf).holds(theta).all() for one in _triangle())
    return not held, "without a bound every multiple of a feasible reward is feasible: both sets have no end"


STATEMENTS: dict[str, Callable[[], tuple[bool, str]]] = {
    "Theorem 1, max-margin: F_FA is within F": _inclusion,
    "... and smaller, whenever there is a failure": _strict,
    "... so that fewer rewards, up to their unit, are left": _scale,
    "Theorem 1, max-entropy, failures weighed up: F_FA(eta) is within F(eta)": lambda: _entropy(weight=2.0),
    "... failures sharpened by a lower temperature: the same": lambda: _entropy(temperature=0.5),
    "Eq. 3, the failure loss added to the loss of all pairs: F_FA(eta) is within F(eta)": _additive,
    "Corollary 1: no direction is wider": _width,
    "... the rewards vary no more, in a box": _variance,
    "... the rewards vary no more, in a ball": _variance_in_ball,
    "... they are no further from the true one": _distance,
    "... the diameter, without a bound, is smaller": _diameter,
}


def statements() -> str:
    """Return each statement of the paper, whether it is true, and the computation that decides it."""
    rows = ["| the paper says | it is | computed |", "|---|---|---|"]
    for statement, ask in STATEMENTS.items():
        true, why = ask()
        rows.append(f"| {statement} | {'true' if true else '**false**'} | {why} |")
    return "\n".join(rows) + "\n"


def figure() -> Figure:
    """Return the picture of Figure 2."""
    base = sets.feasible([[1.0, 0.2], [0.2, 1.0], [0.6, 0.5]], M, 4.0)
    return theorem1(base, base.stricter(np.array([False, False, True]), 3.0))


TABLES: dict[str, Callable[[], str]] = {"statements": statements}
