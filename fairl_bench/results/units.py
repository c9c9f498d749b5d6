"""What the units of methods say: the interval of one, the difference of two, its share of the ceiling, or why not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from fairl_bench.errors import Undefined
from fairl_bench.metrics import Metric
from fairl_bench.science.ceiling import Errors, share, share_over_units
from fairl_bench.science.intervals import Estimate, bootstrap, bounded, defined
from fairl_bench.science.moderated import differences, half_width
from fairl_bench.science.power import two_sided
from fairl_bench.values.data import Floats

EVERY: Final = -1
"""The unit of a run that stands for every seed."""


class Unit(NamedTuple):
    """A method's metric in one unit, and under resampled examples where these are a part of its error."""

    value: float
    draws: Floats | None = None  # [resamples]
    left: Floats | None = None  # [groups]


ByUnit = Mapping[int, Unit]
"""A method's metric by replicate, or in one replicate by seed."""


def estimated(metric: Metric, by_unit: ByUnit) -> Estimate | str:
    """The mean of a method over its units with its interval, or why it has none."""
    units = list(by_unit.values())
    if not units:
        return "no run"
    values = np.array([unit.value for unit in units])
    if not np.isfinite(values).all():
        return "the metric is undefined in a unit"
    try:
        if len(units) == 1:
            return _bootstrapped(units[0])
        value = float(values.mean())
        variance = _variance_of_examples([unit.draws for unit in units])
        error = math.sqrt(values.var(ddof=1) / len(values) + variance)
    except Undefined as reason:
        return str(reason)
    half = half_width(error, len(values) - 1)
    return Estimate(value, *bounded(value, half, metric.bounds), math.nan, error, len(values) - 1.0)


def _bootstrapped(unit: Unit) -> Estimate:
    """The interval of a single unit, from its resampled examples."""
    if unit.draws is None or unit.left is None:
        raise Undefined("an interval over runs needs at least 2, got 1")
    return bootstrap(unit.value, unit.draws, unit.left)


def _variance_of_examples(draws: Sequence[Floats | None]) -> float:
    """The variance that shared examples give the mean over units; 0 where they were not resampled."""
    drawn = [draws_of_unit for draws_of_unit in draws if draws_of_unit is not None]
    return float(defined(np.mean(drawn, axis=0)).var()) if drawn else 0.0


def estimated_differences(by_unit: Sequence[ByUnit]) -> list[Estimate | str]:
    """The difference of each two methods, or why there is none, in the order of `itertools.combinations`."""
    if len(by_unit) < 2:
        return []
    numbers = sorted({number for units in by_unit for number in units} - {EVERY}) or [EVERY]
    nothing = Unit(math.nan)
    values = [[units.get(number, units.get(EVERY, nothing)).value for number in numbers] for units in by_unit]
    pairs = [list(shared_units(first, second)) for first, second in itertools.combinations(by_unit, 2)]
    examples = np.array([_variance_of_gaps(pair) for pair in pairs])
    gaps = differences(values, np.nan_to_num(examples))
    p = two_sided(*gaps)
    return [
        _difference(pair, *moderated)
        for pair, *moderated in zip(pairs, gaps.value, gaps.error, gaps.freedom, p, examples, strict=True)
    ]


def shared_units(first: ByUnit, second: ByUnit) -> Iterator[tuple[Unit, Unit]]:
    """The units that both methods have; a run that stands for every unit is set against each."""
    for number in sorted((set(first) | set(second)) - {EVERY} or {EVERY}):
        both = first.get(number, first.get(EVERY)), second.get(number, second.get(EVERY))
        if both[0] is not None and both[1] is not None:
            yield both[0], both[1]


def _variance_of_gaps(pair: Sequence[tuple[Unit, Unit]]) -> float:
    """`_variance_of_examples` of a difference; NaN where too many resamples have no value."""
    try:
        return _variance_of_examples([_gap(first.draws, second.draws) for first, second in pair])
    except Undefined:
        return math.nan


def _gap(first: Floats | None, second: Floats | None) -> Floats | None:
    """The difference of resampled numbers, 0 where it is the rounding of float32: equal methods are to be equal."""
    if first is None or second is None:
        return None
    gap: Floats = first - second
    gap[np.abs(gap) <= 2e-6 * np.abs(first)] = 0.0
    return gap


def _difference(
    pair: Sequence[tuple[Unit, Unit]], value: float, error: float, freedom: float, p: float, examples: float
) -> Estimate | str:
    """The difference of two methods with its interval, or why it has none."""
    if not pair:
        return "no run of both"
    if not all(math.isfinite(unit.value) for both in pair for unit in both):
        return "the metric is undefined in a unit"
    if len(pair) == 1:
        ((first, second),) = pair
        draws, left = _gap(first.draws, second.draws), _gap(first.left, second.left)
        try:
            return _bootstrapped(Unit(first.value - second.value, draws, left))
        except Undefined as reason:
            return str(reason)
    if math.isnan(examples):
        return "the metric is undefined in too many resamples"
    if math.isnan(error):
        return "the difference is exactly the same in every run, so that no interval can be computed"
    half = half_width(float(error), float(freedom))
    return Estimate(float(value), float(value - half), float(value + half), float(p), float(error), float(freedom))


def share_of_ceiling(method: ByUnit, ceiling: ByUnit, *, worlds: bool) -> Estimate | str:
    """The share of the ceiling that a method reaches with its interval, or why it has none.

    ``worlds`` tells whether units are replicates.  If not, they are seeds, which share their examples.
    """
    both = list(shared_units(method, ceiling))
    if not both:
        return "no run of it and of the ceiling"
    if not all(math.isfinite(unit.value) for units in both for unit in units):
        return "the metric is undefined in a unit"
    accuracy, highest = [first.value for first, _ in both], [second.value for _, second in both]
    try:
        if worlds:
            return share_over_units(accuracy, highest)
        causes = [_errors_of_examples(both)]
        if len(both) > 1:
            causes.append(Errors.of_units(accuracy, highest))
        return share(float(np.mean(accuracy)), float(np.mean(highest)), causes)
    except Undefined as reason:
        return str(reason)


def _errors_of_examples(both: Sequence[tuple[Unit, Unit]]) -> Errors:
    """The errors that shared examples give the means of a method and of the ceiling over seeds.

    They are 0 where several seeds have no resampled examples.  Raises `Undefined` where a single one has none.
    """
    method = [first.draws for first, _ in both if first.draws is not None]
    ceiling = [second.draws for _, second in both if second.draws is not None]
    if len(method) < len(both) or len(ceiling) < len(both):
        if len(both) == 1:
            raise Undefined("the noise of a single run on so few examples is not known")
        return Errors()
    drawn = np.stack([np.mean(method, axis=0), np.mean(ceiling, axis=0)])
    defined(drawn.sum(0))
    return Errors.of_draws(*drawn[:, np.isfinite(drawn).all(0)])
