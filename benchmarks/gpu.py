"""Our speed on a GPU against the loops that one would write: ``python benchmarks/gpu.py heads``, run by ``gpu.sh``.

``heads``: the work of ``training.py table1``, six methods by five seeds, heads 384 -> 64 -> 1, batch 32, 20,000 pairs,
one epoch, with the vectors on the GPU.  In turn: a plain loop over tensors, one model at a time, for one seed, and our
two stacks.  Milliseconds of the clock for a run-step, to the end of all work.  Then one more epoch of ours runs under
`torch.cuda.set_sync_debug_mode`: a step that waits for the GPU ends the run with an error, and the waits of an epoch
outside of its steps are counted, which are copies of its order of pairs to the GPU.

It needs torch, numpy and scipy of the machine, and no other package.  ``--device cpu`` tries the script without a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch
from loops import BATCH, NAMES, SEEDS, WIDTH, batches_of_tensors, loop, vectors_and_pairs
from numpy.typing import NDArray
from torch import Tensor

from fairl_bench.science.failures import FailurePlan, Signal
from fairl_bench.science.fit import fit
from fairl_bench.science.losses import BradleyTerry, Hinge
from fairl_bench.science.runs import Recipe, RowPairs, TrainingRun
from fairl_bench.science.selection import Selection
from fairl_bench.science.stack import Stack

NOTHING = RowPairs(np.zeros(0, np.int64), np.zeros(0, np.int64))


# --- heads


def heads(device: str, pairs: int, rounds: int) -> None:
    """Time both, check that they find the same losses, and count the waits."""
    vectors, sides = vectors_and_pairs(2 * pairs, pairs)
    x, rows = torch.from_numpy(vectors).to(device), torch.from_numpy(np.stack(sides)).to(device)
    steps, place = -(-pairs // BATCH), torch.device(device)

    def loops() -> dict[str, float]:
        with place:
            return {name: loop(batches_of_tensors, x, rows, name) for name in NAMES}

    def ours() -> dict[str, float]:
        return fitted(vectors, sides, device)

    found: dict[Callable[[], Mapping[str, float]], list[float]] = {loops: [], ours: []}
    for at in range(rounds + 1):
        losses = {}
        for work, each in found.items():
            seconds, losses[work] = timed(work, device)
            if at:  # the first round warms up
                each.append(seconds)
    for name in NAMES:  # another order of sums, through hundreds of steps at a lambda of 10
        np.testing.assert_allclose(losses[ours][name], losses[loops][name], rtol=2e-2, err_msg=name)
    theirs = statistics.median(found[loops]) / (steps * len(NAMES)) * 1e3
    mine = statistics.median(found[ours]) / (steps * len(NAMES) * SEEDS) * 1e3
    print(f"heads: a plain loop {theirs:.4f} ms a run-step, ours {mine:.4f} ms: {theirs / mine:.1f} times as fast")
    if device != "cpu":
        print(f"heads: no step waits for the GPU; {waits(ours)} waits in two epochs outside of their steps")


def fitted(vectors: NDArray[np.float32], pairs: RowPairs, device: str) -> dict[str, float]:
    """One epoch of all methods by all seeds in two stacks; the mean loss of each first run."""
    recipe = Recipe(WIDTH, 1e-3, BATCH, 1, 0.0, Selection(patience=None))
    runs = [run(name, seed) for name in NAMES for seed in range(SEEDS)]
    losses = {}
    for aware in (False, True):
        stack = [one for one in runs if (one.failures is not None) == aware]
        for one, answer in zip(stack, fit(stack, vectors, pairs, NOTHING, recipe, device=device), strict=True):
            losses.setdefault(one.name, answer.train_loss[0])
    return losses


def run(name: str, seed: int) -> TrainingRun:
    """One run of a method, as its class has it with default fields."""
    loss, strict = (Hinge(0.8), Hinge(1.6)) if "mm" in name else (BradleyTerry(1.0), BradleyTerry(0.5))
    if not name.startswith("fa-"):
        return TrainingRun(name, loss, 0, seed)
    failing = lowest if name.endswith("bottom") else below
    return TrainingRun(name, loss, 0, seed, failures=FailurePlan(strict, failing, lambda _: 10.0, lambda _: 1.0, 1))


def below(signal: Signal) -> Tensor:
    """The pairs of a margin of at most 0.5."""
    return signal.margin <= 0.5


def lowest(signal: Signal) -> Tensor:
    """The fifth of the pairs with the lowest margins."""
    count = round(0.2 * signal.margin.shape[-1])
    mask = torch.zeros(signal.margin.shape, dtype=torch.bool)
    return mask.scatter(-1, signal.margin.argsort(dim=-1, stable=True)[..., :count], True)


def timed(work: Callable[[], Mapping[str, float]], device: str) -> tuple[float, Mapping[str, float]]:
    """The seconds of the clock that some work takes, all of it, and its answer."""
    settle = torch.cuda.synchronize if device != "cpu" else lambda: None
    settle()
    start = time.perf_counter()
    answer = work()
    settle()
    return time.perf_counter() - start, answer


def waits(work: Callable[[], object]) -> int:
    """How often the epochs of some work wait for the GPU outside of their steps.  Raises `RuntimeError` for a step."""
    epoch, step = Stack.epoch, Stack.step

    def watched_epoch(self: Stack, *given: int) -> Tensor:
        torch.cuda.set_sync_debug_mode("warn")
        try:
            return epoch(self, *given)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    def watched_step(self: Stack, *given: object) -> Tensor:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(self, *given)  # type: ignore[arg-type]
        finally:
            torch.cuda.set_sync_debug_mode("warn")

    Stack.epoch, Stack.step = watched_epoch, watched_step  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            work()
    finally:
        Stack.epoch, Stack.step = epoch, step  # type: ignore[method-assign]
    return sum("synchroniz" in str(one.message) for one in seen)


# --- the encoder, generation and likelihoods follow here, each a function of its own sizes


def main() -> None:
    """Measure one piece of work, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", choices=("heads",))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.device != "cpu":
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    heads(given.device, given.pairs, given.rounds)


if __name__ == "__main__":
    main()
