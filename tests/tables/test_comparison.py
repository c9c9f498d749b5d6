"""The text of the paired differences of two methods."""

from __future__ import annotations

import math

from fairl_bench.results.compare import Compared, Difference
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.tables.comparison import comparison_tables
from fairl_bench.values.comparison import Comparison


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
