from __future__ import annotations

import math

import numpy as np
import pytest

from fairl_bench.builtin.schedules import Constant, Cosine, Exponential, Linear
from fairl_bench.kinds.method import Schedule
from fairl_bench.suite.registry import Registry

EVERY = Registry(installed=False)


def values(schedule: Schedule, rounds: int) -> list[float]:
    return [schedule.at(turn, rounds) for turn in range(rounds)]


def test_constant_is_constant() -> None:
    assert values(Constant(value=0.3), 4) == [0.3] * 4


def test_linear_by_hand() -> None:
    assert values(Linear(start=10.0, end=2.0), 5) == [10.0, 8.0, 6.0, 4.0, 2.0]
    assert values(Linear(start=0.0, end=1.0), 3) == [0.0, 0.5, 1.0]


def test_exponential_by_hand() -> None:
    assert values(Exponential(start=8.0, factor=0.5), 4) == [8.0, 4.0, 2.0, 1.0]


def test_the_default_lambda_is_below_1_after_15_rounds() -> None:
    """science.md: 10 * 0.85^14 = 1.03, 10 * 0.85^15 = 0.87."""
    found = values(Exponential(start=10.0), 60)
    assert found[14] == pytest.approx(1.0277, abs=1e-4)
    assert found[15] == pytest.approx(0.8735, abs=1e-4)
    assert found[-1] == pytest.approx(10 * math.exp(59 * math.log(0.85)), rel=1e-12)


def test_exponential_does_not_depend_on_the_number_of_rounds() -> None:
    schedule = Exponential(start=10.0, factor=0.9)
    assert [schedule.at(7, rounds) for rounds in (8, 60, 1000)] == [schedule.at(7, 8)] * 3


def test_cosine_by_hand() -> None:
    """At the shares 0, 1/4, 1/2, 3/4, 1 half a cosine is 1, (1 + 1/sqrt 2)/2, 1/2, (1 - 1/sqrt 2)/2, 0."""
    root = math.sqrt(0.5)
    expected = [3.0, 1 + 2 * (1 + root) / 2, 2.0, 1 + 2 * (1 - root) / 2, 1.0]
    assert values(Cosine(start=3.0, end=1.0), 5) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", [Linear, Cosine])
@pytest.mark.parametrize("rounds", [2, 3, 60])
@pytest.mark.parametrize(("start", "end"), [(10.0, 0.1), (0.0, 1.0)])
def test_a_schedule_goes_from_start_to_end_one_way(
    kind: type[Linear] | type[Cosine], rounds: int, start: float, end: float
) -> None:
    found = values(kind(start=start, end=end), rounds)
    assert found[0] == pytest.approx(start, rel=1e-12)
    assert found[-1] == pytest.approx(end, rel=1e-12)
    steps = np.diff(found) * np.sign(end - start)
    assert (steps > 0).all()


@pytest.mark.parametrize("factor", [0.5, 0.85, 1.0, 1.2])
def test_exponential_falls_below_a_factor_of_1_and_rises_above(factor: float) -> None:
    steps = np.sign(np.diff(values(Exponential(start=2.0, factor=factor), 20)))
    assert set(steps.tolist()) == {float(np.sign(factor - 1))}


@pytest.mark.parametrize("spec", [
    {"use": "constant", "value": 3.0}, {"use": "linear", "start": 3.0, "end": 1.0},
    {"use": "exponential", "start": 3.0, "factor": 0.5}, {"use": "cosine", "start": 3.0, "end": 1.0},
], ids=lambda spec: spec["use"])  # fmt: skip
def test_a_single_round_has_the_first_value(spec: dict[str, object]) -> None:
    assert EVERY.build(Schedule, spec).at(0, 1) == 3.0


@pytest.mark.parametrize("factor", [0.0, -0.5])
def test_a_factor_of_the_exponential_is_positive(factor: float) -> None:
    with pytest.raises(ValueError, match=f"(?s)factor.*input_value={factor}"):
        Exponential(start=1.0, factor=factor)
