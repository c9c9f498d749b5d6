"""The text of the paired differences of two methods."""

from __future__ import annotations

import math

from fairl_bench.results.compare import Compared, Difference
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.tables.comparison import comparison_tables
from fairl_bench.values.comparison import Comparison


def test_an_effect_size_that_is_not_known_has_its_reason() -> None:
    known = Comparison(
        **{"model": "toy", "encoder": "tfidf", "variant": "", "data": "shifted", "truth": "gold", "metric": "auc"},
        **{"method": "a", "other": "length", "value": 0.1, "low": 0.05, "high": 0.15, "p": 0.01, "p_holm": 0.01},
        **{"error": 0.01, "freedom": 2.0, "effect": math.nan, "n": 9, "units": 3, "unit": "seed", "resamples": 0},
        note="",
    )
    (table,) = comparison_tables(Compared(built_in_metrics(), [Difference(known, 0.9, 0.8)], []))
    assert table.rows[0][-1] == "n/a"
    assert table.notes[-1] == (
        "d is n/a in shifted auc: a method, or the difference, has the same value in every seed, and no spread."
    )


def test_a_difference_that_is_not_known_is_not_available_in_every_cell() -> None:
    names = ("value", "low", "high", "p", "p_holm", "error", "freedom", "effect")
    unknown = Comparison(
        **{"model": "toy", "encoder": "tfidf", "variant": "", "data": "shifted", "truth": "gold", "metric": "auc"},
        **{"method": "a", "other": "b", **dict.fromkeys(names, math.nan)},
        **{"n": 0, "units": 0, "unit": "", "resamples": 0},
        note="no run of both",
    )
    differences = [Difference(unknown, math.nan, math.nan)]
    (table,) = comparison_tables(Compared(built_in_metrics(), differences, []))
    assert table.rows == (("shifted", "AUC ↑", *["n/a"] * 7),)
    assert table.notes[-1] == "shifted auc: no run of both."
