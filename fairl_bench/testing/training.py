"""Promises of what a training asks: detectors and schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.kinds.method import Detector, Schedule
from fairl_bench.testing.promises import answer, check_spec, must

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.science.failures import Signal
    from fairl_bench.suite.registry import Registry


def check_detector(detector: Detector, *, n: int = 40, registry: Registry | None = None) -> None:
    """A boolean mask and a finite score a pair, the same for a run alone as among others."""
    import torch

    drawn = _drawn_signals(n)
    failures = _answers_of_runs(detector, detector.failures, drawn, n)
    must(failures.dtype == torch.bool, f"failures gave {failures.dtype}; return a mask of booleans")
    score = _answers_of_runs(detector, detector.score, drawn, n)
    must(bool(score.isfinite().all()), "score gave NaN or infinity; keep scores finite")
    check_spec(detector, registry)


class _Signals(NamedTuple):
    """What the rewards of three runs say of ``n`` pairs, drawn at random."""

    preferred: Tensor  # [runs, n]
    rejected: Tensor  # [runs, n]
    uniform: Tensor  # [runs, n]
    gold: tuple[Tensor, Tensor]  # [n] each
    features: Tensor  # [runs, n, d]
    weights: Tensor  # [runs, d]

    def of(self, runs: int | slice) -> Signal:
        """The signal of one run, or of all of them."""
        from fairl_bench.science.failures import Signal

        def read() -> tuple[Tensor, Tensor]:
            return self.features[runs], self.weights[runs]

        return Signal(self.preferred[runs], self.rejected[runs], 0.25, self.uniform[runs], self.gold, read)


def _drawn_signals(n: int) -> _Signals:
    import torch

    draw = torch.Generator().manual_seed(0)
    preferred, rejected, uniform = (torch.randn(3, n, generator=draw).sigmoid() for _ in range(3))
    features, weights = torch.randn(3, n, 5, generator=draw), torch.randn(3, 5, generator=draw)
    gold = (torch.where(uniform[0] < 0.5, -1, 1), torch.where(uniform[1] < 0.5, -1, 1))
    return _Signals(preferred, rejected, uniform, gold, features, weights)


def _answers_of_runs(detector: Detector, verb: Callable[[Signal], Tensor], drawn: _Signals, n: int) -> Tensor:
    """The answers ``[3, n]`` for three runs together, each of which must be as it is alone."""
    import torch

    def ask(runs: int | slice) -> Tensor:
        return answer(detector, lambda: verb(drawn.of(runs)), **drawn._asdict())

    name, together = verb.__name__, ask(slice(None))
    for run in range(3):
        alone = ask(run)
        for got, shape in ((alone, [n]), (together, [3, n])):
            must(
                list(got.shape) == shape,
                f"{name} gave shape {list(got.shape)} for margins {shape}; reduce over the last axis alone",
            )
        alike = torch.allclose if together.is_floating_point() else torch.equal
        must(
            alike(together[run], alone),
            f"{name} of run {run} differs among 3 runs from alone; reduce over the last axis alone",
        )
    return together


def check_schedule(schedule: Schedule, rounds: int = 10, *, registry: Registry | None = None) -> None:
    """A finite number in every round, the same whenever it is asked for."""
    numbers = [schedule.at(turn, rounds) for turn in range(rounds)]
    must(all(map(math.isfinite, numbers)), f"at gave {numbers}; give finite numbers")
    again = [schedule.at(turn, rounds) for turn in reversed(range(rounds))][::-1]
    must(again == numbers, "asked in another order, it gave other numbers; let a number depend on the round alone")
    check_spec(schedule, registry)
