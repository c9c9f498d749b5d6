"""The one rule of ranks, which every table and figure asks."""

from __future__ import annotations

import math

import pytest

from fairl_bench.metrics import Better
from fairl_bench.results.places import compared_pairs, places_by_group
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Group, Row

ROWS = {name: Row("toy", "e", name, "") for name in ("a", "b", "c")}


def group_of(row: Row) -> Group:
    return Group.of(row.setting, "pairs/test", "gold", "m")


def comparison(first: str, other: str, p: float, units: int = 5) -> Comparison:
    numbers = dict.fromkeys(("value", "low", "high", "error", "freedom", "effect"), math.nan)
    where = ROWS[first].setting._asdict()
    return Comparison(
        **where, data="pairs/test", truth="gold", metric="m", method=first, other=other, p=p, p_holm=p, n=9,
        units=units, unit="seed", resamples=0, note="", **numbers,
    )  # fmt: skip


def ranks(means: dict[str, float], better: Better | None, *comparisons: Comparison) -> dict[str, int]:
    of_rows = {ROWS[name]: mean for name, mean in means.items()}
    by_group = places_by_group(of_rows, group_of, better, compared_pairs(comparisons))
    return {row.method: place.rank for places in by_group.values() for row, place in places.items()}


@pytest.mark.parametrize(
    ("better", "expected"), [("higher", {"a": 1, "b": 2}), ("lower", {"b": 1, "a": 2}), (None, {})]
)
def test_the_declared_side_is_the_better_one(better: Better | None, expected: dict[str, int]) -> None:
    assert ranks({"a": 0.9, "b": 0.1}, better, comparison("a", "b", 0.001)) == expected


def test_a_row_without_a_test_or_a_mean_has_no_place() -> None:
    test = comparison("a", "b", 0.001)
    assert ranks({"a": 0.9, "b": 0.1, "c": 0.5}, "higher", test) == {"a": 1, "b": 2}
    assert ranks({"a": 0.9, "b": math.nan}, "higher", test) == {}
    assert ranks({"a": 0.9, "b": 0.1}, "higher", comparison("a", "b", math.nan, units=1)) == {}


def test_a_difference_without_a_p_separates_nothing() -> None:
    assert ranks({"a": 0.9, "b": 0.1}, "higher", comparison("b", "a", math.nan)) == {"a": 1, "b": 1}
