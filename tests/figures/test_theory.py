from __future__ import annotations

import numpy as np
import pytest

from fairl_bench.figures.style import render
from fairl_bench.figures.theory import theorem1
from fairl_bench.science.identifiability import Feasible, feasible

PAIRS = [[1.0, 0.2], [0.2, 1.0], [0.6, 0.5]]


def sets() -> tuple[Feasible, Feasible]:
    base = feasible(PAIRS, 0.8, 4.0)
    return base, base.stricter(np.array([False, False, True]), 3.0)


def test_figure_2_shows_every_reward_once_and_all_directions_twice() -> None:
    base, strict = sets()
    left, right = theorem1(base, strict, samples=200).axes
    alone, both = (line.get_xydata() for line in left.lines[:2])
    assert len(alone) + len(both) == 200
    assert len(both) > 20 < len(alone)
    assert strict.holds(np.asarray(both)).all()
    assert not strict.holds(np.asarray(alone)).any()
    assert len(left.lines) == 2 + 3 + 1  # three borders, and the failure's stricter one
    assert [len(line.get_xydata()) for line in right.lines] == [200, 200]
    assert [text.get_text() for text in right.texts] == ["F: 200 of 200", "F_FA: 200 of 200"]


def test_a_border_is_where_the_margin_is_just_met() -> None:
    base, strict = sets()
    left = theorem1(base, strict, samples=50).axes[0]
    margins = [np.asarray(line.get_xydata()) @ base.differences.T for line in left.lines[2:]]
    want = [(0, 0.8), (1, 0.8), (2, 0.8), (2, 3.0)]
    for found, (pair, margin) in zip(margins, want, strict=True):
        np.testing.assert_allclose(found[:, pair], margin, atol=1e-9)


def test_equal_figures_are_equal_bytes() -> None:
    assert render(theorem1(*sets(), samples=30))["svg"] == render(theorem1(*sets(), samples=30))["svg"]


def test_another_dimension_is_refused() -> None:
    base = feasible(np.eye(3), 0.8, 4.0)
    with pytest.raises(ValueError, match=r"needs differences \[n, 2\], got \[3, 3\]"):
        theorem1(base, base)
