"""Run-steps a second: our stacked loop against a plain PyTorch loop on the same work.

``tox run -e bench`` or ``pytest benchmarks --benchmark-only -s``.  The work is the paper's: six methods by five seeds,
heads 384 -> 64 -> 1, batch 32, 20,000 pairs, one epoch.  The plain loop is what one would write first: a DataLoader,
one model at a time, autograd, torch.optim.Adam, at its best number of threads, which is found and printed.  Ours is
timed in one process and, as ``--jobs`` has it, in as many one-thread processes as there are cores.  All are timed in
turn, and the ratios of their medians are printed; nothing fails on a time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

from fairl_bench.kinds import Method
from fairl_bench.science import heads
from fairl_bench.science.fit import fit
from fairl_bench.science.runs import Recipe, RowPairs, TrainingRun
from fairl_bench.science.streams import stream
from fairl_bench.suite.registry import Registry

D, WIDTH, BATCH, SEEDS = 384, 64, 32, 5
PAIRS = int(os.environ.get("FAIRL_BENCH_PAIRS", "20000"))
NOTHING = RowPairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
LAMBDA = 10.0


@pytest.fixture(scope="module")
def work() -> tuple[np.ndarray, RowPairs]:
    """The work of all tests here."""
    return made()


def made() -> tuple[np.ndarray, RowPairs]:
    """Unit vectors of 2 n texts, and n pairs of them."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2 * PAIRS, D)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = rng.permutation(2 * PAIRS)
    return vectors, RowPairs(order[:PAIRS], order[PAIRS:])


def methods() -> dict[str, Method]:
    """The six rows of the paper's Table 1; ground-truth failures by margin threshold, which costs the same."""
    registry = Registry(installed=False)
    base = {"mm": {"use": "max-margin"}, "me": {"use": "max-entropy"}}
    detectors = {"threshold": {"use": "margin"}, "bottom": {"use": "bottom-fraction"}}
    specs = dict(base)
    for name, loss in base.items():
        for how, detector in detectors.items():
            specs[f"fa-{name}-{how}"] = {"use": "failure-aware", "base": loss, "detector": detector, "rounds": 1}
    return {name: registry.build(Method, spec) for name, spec in specs.items()}


def ours(vectors: np.ndarray, pairs: RowPairs, names: list[str], slot: int = 0, slots: int = 1) -> dict[str, float]:
    """One epoch of these methods by all seeds, as `PairwiseMethod.fit_many` does it; each first run's mean loss.

    Of each stack a ``slot`` takes every ``slots``-th run, as the processes of ``--jobs`` do.
    """
    found = methods()
    losses = {}
    recipe = Recipe(WIDTH, 1e-3, BATCH, 1, 0.0, None)
    for form in (False, True):
        stack = [name for name in names if name.startswith("fa-") == form]
        plans = {name: found[name].failure_plan() for name in stack}
        runs = [TrainingRun(name, found[name].loss, 0, s, failures=plans[name]) for name in stack for s in range(SEEDS)]
        runs = runs[slot::slots]
        if runs:
            fitted = fit(runs, vectors, pairs, NOTHING, recipe)
            losses |= {run.name: one.train_loss[0] for run, one in zip(runs, fitted, strict=True) if run.seed == 0}
    return losses


class Crew:
    """As many one-thread processes as there are cores, which do `ours` together when told to."""

    def __init__(self) -> None:
        slots = os.cpu_count() or 1
        self.processes = [
            subprocess.Popen(
                [sys.executable, __file__, str(slot), str(slots)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for slot in range(slots)
        ]
        self._heard()

    def __call__(self) -> None:
        for process in self.processes:
            print("go", file=process.stdin, flush=True)
        self._heard()

    def _heard(self) -> None:
        assert [process.stdout.readline() for process in self.processes] == ["ready\n"] * len(self.processes)

    def close(self) -> None:
        for process in self.processes:
            process.communicate()


def serve(slot: int, slots: int) -> None:
    """Be one of the crew: do one share of the work for each line that comes."""
    vectors, pairs = made()
    ours(vectors, pairs, list(methods())[:1], slot, slots)
    print("ready", flush=True)
    for _ in sys.stdin:
        ours(vectors, pairs, list(methods()), slot, slots)
        print("ready", flush=True)


class Head(torch.nn.Sequential):
    """A two-layer head that starts where ours starts."""

    def __init__(self, purpose: str, seed: int) -> None:
        super().__init__(torch.nn.Linear(D, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, 1))
        row = heads.initial(D, WIDTH, stream(purpose, 0, seed))
        start = {name: torch.from_numpy(array) for name, array in heads.layout(D, WIDTH).arrays(row).items()}
        with torch.no_grad():
            self[0].weight.copy_(start["hidden.weight"].T)
            self[0].bias.copy_(start["hidden.bias"])
            self[2].weight.copy_(start["weight"][None])
            self[2].bias.copy_(start["bias"])


class Order(torch.utils.data.Sampler[int]):
    """The batch order that ours has in its first epoch."""

    def __init__(self, seed: int) -> None:
        self.rows = stream("batches", 0, seed, 1).permutation(PAIRS).tolist()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.rows)


def plain(data: TensorDataset, name: str, seed: int) -> float:
    """One epoch of one run in plain PyTorch; its mean base loss."""
    hinge: Callable[[torch.Tensor, float], torch.Tensor] = lambda m, k: (0.8 * k - m).clamp(min=0)  # noqa: E731
    loss = hinge if "mm" in name else (lambda m, k: softplus(-m * k))
    base = Head("initial", seed)
    second = Head("initial/failures", seed) if name.startswith("fa-") else None
    models = [base, second] if second else [base]
    adam = torch.optim.Adam([p for model in models for p in model.parameters()], lr=1e-3)
    failing = None
    if second:
        with torch.no_grad():
            margin = sum(m(data.tensors[0]) - m(data.tensors[1]) for m in models)[:, 0]
        failing = margin <= 0.5
        if name.endswith("bottom"):
            failing = torch.zeros(PAIRS, dtype=torch.bool)
            failing[margin.argsort(stable=True)[: round(0.2 * PAIRS)]] = True
    total = 0.0
    for preferred, rejected, row in DataLoader(data, BATCH, sampler=Order(seed)):
        adam.zero_grad()
        margin = (base(preferred) - base(rejected))[:, 0]
        if second is None or failing is None:
            objective = loss(margin, 1).mean()
            total += float(objective.detach()) * len(row)
        else:
            extra = (second(preferred) - second(rejected))[:, 0]
            base_loss = loss(margin + extra.detach(), 1).mean()
            mask = failing[row]
            objective = base_loss
            if mask.any():
                penalty = 0.5e-3 * sum((p**2).sum() for n, p in second.named_parameters() if n.endswith("weight"))
                objective = base_loss + LAMBDA * loss(margin + extra, 2)[mask].mean() + penalty
            total += float(base_loss.detach()) * len(row)
        objective.backward()
        adam.step()
    return total / PAIRS


def as_dataset(vectors: np.ndarray, pairs: RowPairs) -> TensorDataset:
    x = torch.from_numpy(vectors)
    return TensorDataset(x[pairs.preferred], x[pairs.rejected], torch.arange(PAIRS))


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def test_run_steps_a_second_against_a_plain_loop(benchmark, work) -> None:
    vectors, pairs = work
    names, steps = list(methods()), -(-PAIRS // BATCH)
    data = as_dataset(vectors, pairs)

    def at(threads: int) -> float:
        torch.set_num_threads(threads)
        return seconds(lambda: plain(data, "me", 0))

    at(1)  # warm up
    times = {
        threads: statistics.median(at(threads) for _ in range(2)) for threads in range(1, (os.cpu_count() or 1) + 1)
    }
    best = min(times, key=times.__getitem__)
    theirs_of, ours_of, crew_of = [], [], []
    ours(vectors, pairs, names[:1])
    crew = Crew()
    for _ in range(3):
        torch.set_num_threads(best)
        theirs_of.append(seconds(lambda: [plain(data, name, 0) for name in names]) / (len(names) * steps))
        ours_of.append(seconds(lambda: ours(vectors, pairs, names)) / (len(names) * SEEDS * steps))
        crew_of.append(seconds(crew) / (len(names) * SEEDS * steps))
    crew.close()
    theirs, mine, crews = (statistics.median(times) for times in (theirs_of, ours_of, crew_of))
    torch.set_num_threads(1)
    # the products alone: hidden layer and its gradient; FA runs have two heads
    x, w = torch.randn(10, 2 * BATCH, D), torch.randn(10, D, WIDTH)
    g = torch.randn(10, 2 * BATCH, WIDTH)
    gemm = statistics.median(
        seconds(lambda: [(torch.bmm(x, w), torch.bmm(x.mT, g)) for _ in range(50)]) / 500 for _ in range(5)
    )
    heads_a_run = sum(2 if name.startswith("fa-") else 1 for name in names) / len(names)
    by_threads = ", ".join(f"{threads}: {time / steps * 1e3:.3f}" for threads, time in times.items())
    products = gemm * heads_a_run
    print(
        f"\nplain loop {theirs * 1e3:.3f} ms a run-step at {best} of {os.cpu_count()} threads (by threads, one head: "
        f"{by_threads}); ours {mine * 1e3:.3f} ms in one process, one thread: {theirs / mine:.1f} times as fast; "
        f"{crews * 1e3:.3f} ms in {os.cpu_count()} processes: {theirs / crews:.1f} times; "
        f"products alone {products * 1e3:.3f} ms, {products / mine:.0%} of ours in one"
    )
    benchmark.extra_info.update(
        ratio=theirs / mine, ratio_processes=theirs / crews, plain_ms=theirs * 1e3, ours_ms=mine * 1e3, threads=best
    )
    benchmark.pedantic(ours, (vectors, pairs, names), rounds=1)


def test_identical_batches_give_equal_losses(benchmark, monkeypatch) -> None:
    """Not a time: the two loops do the same work.  50 steps, for rounding grows with every step at lambda = 10."""
    monkeypatch.setitem(globals(), "PAIRS", 1600)
    vectors, pairs = made()
    data = as_dataset(vectors, pairs)
    torch.set_num_threads(1)
    mine = benchmark.pedantic(ours, (vectors, pairs, list(methods())), rounds=1)
    for name, loss in mine.items():
        assert plain(data, name, 0) == pytest.approx(loss, rel=1e-5), name


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
