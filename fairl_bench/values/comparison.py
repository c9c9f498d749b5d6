"""An interval of one method's metric, or the paired difference of two methods, as a tidy row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from fairl_bench.values.coordinates import Group, Row

ALPHA = 0.05  # of intervals and ranks


@dataclass(frozen=True, kw_only=True)
class Comparison(Group):
    """A row of ``intervals.parquet``: one method's metric, or with ``other`` its difference from another's, paired."""

    method: str
    other: str  # empty: the method's own metric
    value: float  # the mean over units; of two methods: method less other
    low: float  # the 95 % interval
    high: float
    p: float  # of a difference of zero; NaN for one method's own
    p_holm: float  # the same, adjusted for all pairs of methods of this model, encoder, variant, data, truth and metric
    error: float  # the standard error that the interval and p rest on
    freedom: float  # its degrees of freedom; inf: examples alone were resampled
    effect: float  # Cohen's d of the difference over units; NaN where a method has one value in all of them
    n: int  # examples
    units: int
    unit: str  # replicate, seed, or empty where one run stands for all
    resamples: int  # of the examples, whose noise is a part of the error; 0: it is in what replicates differ by
    note: str

    @property
    def group(self) -> Group:
        """The group within which methods are compared."""
        return Group.of(self.setting, self.data, self.truth, self.metric)

    @property
    def row(self) -> Row:
        """The row of a table that it belongs to."""
        return self.setting.row(self.method)


class Question(NamedTuple):
    """A question about methods: a data set, its truth, and the metrics to compare."""

    data: str
    truth: str
    metrics: tuple[str, ...]


class TwoMethods(NamedTuple):
    """Two methods whose right and wrong answers are counted on a data set, the baseline first."""

    methods: tuple[str, str]
    data: str
    truth: str
    subtypes: bool = False  # the texts of each subtype alone
    texts: int | None = None  # of how many texts, drawn once; None: of all
