"""The paper's Figure 2: the rewards that a failure's stricter margin prunes, and those that are left modulo scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fairl_bench.figures.style import BAD, GOOD, MUTED, canvas, styled
from fairl_bench.science.identifiability import Feasible, draw
from fairl_bench.values.data import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def theorem1(base: Feasible, strict: Feasible, samples: int = 400) -> Figure:
    """Rewards of F in the plane, those of F_FA marked, with the stricter borders; beside it the directions of both.

    ``strict`` is ``base`` with a larger margin on some pairs.  The left panel is the paper's Figure 2.  The right one
    is what it leaves out: as rankings, that is as directions, what is pruned is there again, further out.
    """
    if base.differences.shape[1] != 2:
        raise ValueError(f"Figure 2 is in the plane: needs differences [n, 2], got {list(base.differences.shape)}")
    figure, (left, right) = canvas(1, 2, 7.2, 3.2)
    theta = draw(base, samples, np.random.default_rng(0))
    _plane(left, base, strict, theta)
    _directions(right, base, strict, theta)
    return figure


def _plane(axis: Axes, base: Feasible, strict: Feasible, theta: Floats) -> None:
    """Draw the rewards of F, those of F_FA marked, and the borders of both."""
    kept = strict.holds(theta)
    for rows, look, label in ((~kept, BAD, "F alone"), (kept, GOOD, "F and F_FA")):
        axis.plot(*theta[rows].T, look.marker, color=look.colour, markersize=2.5, label=f"{label}: {rows.sum()}")
    for x, before, after in zip(base.differences, base.required, strict.required, strict=True):
        _border(axis, x, before, base.bound, "-")
        if after != before:
            _border(axis, x, after, base.bound, "--")
    axis.set(xlim=(-base.bound, base.bound), ylim=(-base.bound, base.bound), xlabel="theta 1", ylabel="theta 2")
    axis.set_title("Rewards; dashed: the failures' margin")
    axis.legend(loc="lower left")


def _border(axis: Axes, x: Floats, margin: float, bound: float, line: str) -> None:
    """Draw the rewards that give a pair exactly its margin."""
    foot, along = x * margin / (x @ x), np.array([-x[1], x[0]]) / np.linalg.norm(x)
    ends = foot + np.outer([-4 * bound, 4 * bound], along)
    axis.plot(*ends.T, line, color=MUTED, linewidth=0.9)


def _directions(axis: Axes, base: Feasible, strict: Feasible, theta: Floats) -> None:
    """Draw both sets modulo scale, without the bound: the directions that have a multiple within."""
    angle = np.degrees(np.arctan2(theta[:, 1], theta[:, 0]))
    for at, (within, look, label) in enumerate(((base, BAD, "F"), (strict, GOOD, "F_FA"))):
        angles = angle[within.scalable(theta)]
        axis.plot(angles, np.full(len(angles), at), look.marker, color=look.colour, markersize=2.5)
        axis.text(0.5, at + 0.1, f"{label}: {len(angles)} of {len(theta)}", ha="center", transform=_at(axis))
    axis.set(yticks=[], ylim=(-0.5, 1.5), xlabel="direction in degrees", title="Modulo scale, without a bound")


def _at(axis: Axes) -> object:
    """The coordinates of a text: across the panel from 0 to 1, up by the data."""
    return axis.get_yaxis_transform()
