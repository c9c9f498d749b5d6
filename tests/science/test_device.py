"""What a GPU needs of the training loop: its numbers stay where they are, and no epoch asks for one.

A GPU works ahead of the program until the program reads a number.  On a processor the same reads can be seen: they
are the calls that this file forbids.  Where there is a GPU, the loop itself is run on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fairl_bench.kinds.method import Method
from fairl_bench.science import paths, stack
from fairl_bench.science.fit import fit
from fairl_bench.science.runs import Recipe, RowPairs, TrainingRun
from fairl_bench.suite.registry import Registry

N, D = 96, 6
READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero", "aten::masked_select")
DETECTORS = [
    {"use": "margin"},
    {"use": "bottom-fraction", "start": 0.5},
    {"use": "random"},
    {"use": "all"},
    {"use": "supervised"},
]


class Forbid(TorchDispatchMode):
    """Refuses the calls that wait for a GPU's number."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if str(func.name()).partition(".")[0] in READS:
            raise AssertionError(f"{func.name()} waits for the device")
        return func(*args, **(kwargs or {}))


@contextmanager
def epochs_forbidden_to_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Every epoch of every stack runs under `Forbid`, from the look for failures to the last step; the steps seen."""
    seen: list[int] = []
    before, step_before = stack.Stack.epoch, stack.Stack.step

    def epoch(self, *args):
        with Forbid():
            return before(self, *args)

    def step(self, *args):
        seen.append(1)
        return step_before(self, *args)

    monkeypatch.setattr(stack.Stack, "epoch", epoch)
    monkeypatch.setattr(stack.Stack, "step", step)
    # what a step does with a mask on a GPU
    monkeypatch.setattr(paths.Path, "step", _as_on_a_gpu(paths.Path.step))
    yield seen


def _as_on_a_gpu(step):
    def asked(self, mask=None):
        return step(self) if mask is None else self.masked_step(mask)

    return asked


def problem() -> tuple[np.ndarray, RowPairs, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2 * N, D)).astype(np.float32)
    labels = tuple(rng.choice(np.array([-1, 1], np.int8), N) for _ in range(2))
    return vectors, RowPairs(np.arange(N), np.arange(N, 2 * N)), labels


def runs(detector: dict[str, object] | None, **fields: object) -> list[TrainingRun]:
    registry = Registry(installed=False)
    base = {"use": "max-entropy"}
    spec = base if detector is None else {"use": "failure-aware", "base": base, "detector": detector, **fields}
    method = registry.build(Method, {**spec, "rounds": 3} if detector else spec)
    return [TrainingRun("one", method.loss, 0, seed, failures=method.failure_plan()) for seed in (0, 1)]


BY_STEP = [detector for detector in DETECTORS if Registry(installed=False).find("detector", detector["use"]).by_step]


@pytest.mark.parametrize(
    ("detector", "mine"),
    [*((detector, "round") for detector in DETECTORS), *((detector, "step") for detector in BY_STEP)],
)
def test_no_epoch_of_a_failure_aware_run_reads_a_number(
    detector: dict[str, object], mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, pairs, gold = problem()
    given = runs(detector, mine=mine)
    with epochs_forbidden_to_read(monkeypatch) as seen:
        fit(given, vectors, pairs, RowPairs(*(one[:8] for one in pairs)), Recipe(4, epochs=3), gold)
    assert len(seen) == 3 * N // 32


def test_no_epoch_of_a_plain_run_reads_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, pairs, _ = problem()
    with epochs_forbidden_to_read(monkeypatch) as seen:
        fit(runs(None), vectors, pairs, pairs, Recipe(4, epochs=2))
    assert len(seen) == 2 * N // 32


def test_a_planted_read_is_seen() -> None:
    with pytest.raises(AssertionError, match="_local_scalar_dense waits for the device"), Forbid():
        float(torch.ones(()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_rewards_of_the_processor() -> None:
    vectors, pairs, gold = problem()
    for detector in (None, *DETECTORS):
        here, there = (
            fit(runs(detector), vectors, pairs, pairs, Recipe(4, epochs=3), gold, device=device)
            for device in ("cpu", "cuda")
        )
        for one, other in zip(here, there, strict=True):
            for name, array in one.arrays.items():
                np.testing.assert_allclose(other.arrays[name], array, atol=1e-3)  # float32 through 9 steps of Adam
