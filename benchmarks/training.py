"""Training of heads, ours against the loops that one would write: ``python benchmarks/training.py table1``.

Three pieces of work:

``table1``: six methods by five seeds, heads 384 -> 64 -> 1, batch 32, 20,000 pairs, one epoch.  In turn, in one-thread
processes: a DataLoader loop and a plain loop over tensors (one model at a time, autograd, Adam's fused kernel), each at
its best number of threads, which is found first; ours; ours of an older checkout (``--against FOLDER``); and the matrix
products alone, at the stacks' own sizes and with memory as they have it.  Milliseconds of a run-step.

``million``: five methods by five seeds on pairs of 2,000,000 vectors (3.07 GB), the same contenders.  The epoch is one
over 20,000 pairs, drawn from all vectors: a step reads as far apart as in an epoch over a million.

``detox``: the heads of one world of ``suites/detox.yaml`` on vectors of a linear truth: ours, and of before.  Seconds.

What is timed is one core: the seconds of its processor, or those of the clock where they are fewer, which they are for
a loop on several threads.  Before, both loops and ours must find the same losses.  Nothing fails on a time.
``--keep`` keeps the figures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from figures import record
from loops import BATCH, LOOPS, NAMES, SEEDS, WIDTH, D, loop, vectors_and_pairs
from numpy.typing import NDArray
from torch import Tensor

from fairl_bench.kinds.method import Method
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.science.fit import fit
from fairl_bench.science.runs import Recipe, RowPairs, TrainingRun
from fairl_bench.science.selection import Selection
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.training import Preferences, Task

PAIRS, TEXTS = 20_000, {"table1": 40_000, "million": 2_000_000}
NOTHING = RowPairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
DETOX = Path(__file__).parents[1] / "suites" / "detox.yaml"


# --- the work


def methods() -> dict[str, PairwiseMethod]:
    """The methods by their names."""
    registry = Registry(installed=False)
    losses = {"mm": {"use": "max-margin"}, "me": {"use": "max-entropy"}}
    detectors = {"threshold": {"use": "margin"}, "bottom": {"use": "bottom-fraction"}}

    def spec(name: str) -> Mapping[str, Any]:
        _, _, rest = name.rpartition("fa-")
        loss, _, detector = rest.partition("-")
        if not detector:
            return losses[loss]
        return {"use": "failure-aware", "base": losses[loss], "detector": detectors[detector], "rounds": 1}

    return {name: registry.build(Method, spec(name)) for name in NAMES}


def ours(vectors: NDArray[np.float32], pairs: RowPairs, names: Iterable[str]) -> dict[str, float]:
    """One epoch of these methods by all seeds, stacked as `PairwiseMethod` does it; each first run's mean loss."""
    found, losses = methods(), {}
    recipe = Recipe(WIDTH, 1e-3, BATCH, 1, 0.0, Selection(patience=None))
    for aware in (False, True):
        plans = {name: found[name].failure_plan() for name in names if name.startswith("fa-") == aware}
        runs = [
            TrainingRun(name, found[name].loss, 0, seed, failures=plan)
            for name, plan in plans.items()
            for seed in range(SEEDS)
        ]
        if runs:
            fitted = fit(runs, vectors, pairs, NOTHING, recipe)
            losses |= {run.name: one.train_loss[0] for run, one in zip(runs, fitted, strict=True) if run.seed == 0}
    return losses


# --- the contenders, each a process that does its work once for each line that it reads


Contender = Callable[[], object]


def contender(name: str, work: str, folder: Path) -> tuple[Contender, int]:
    """What to time, and the number of run-steps in it; of ``detox`` 1."""
    if work == "detox":
        return detox(), 1
    names = NAMES if work == "table1" else NAMES[:5]
    vectors = np.load(folder / "vectors.npy", mmap_mode="c")
    pairs = RowPairs(*np.load(folder / "pairs.npy"))
    steps = -(-PAIRS // BATCH)
    if name == "products":
        return products(names, steps), steps * len(names) * SEEDS
    if name in ("ours", "before"):
        return lambda: ours(vectors, pairs, names), steps * len(names) * SEEDS
    x, sides = torch.from_numpy(np.asarray(vectors)), torch.from_numpy(np.stack(pairs))
    return lambda: [loop(LOOPS[name], x, sides, one) for one in names], steps * len(names)


def products(names: Iterable[str], steps: int) -> Contender:
    """The products of the stacks: forward and gradient of every head in every step, and the look for failures."""
    aware = [name.startswith("fa-") for name in names]
    plain, two_paths = made(SEEDS * aware.count(False), 1), made(SEEDS * aware.count(True), 2)
    texts, out = torch.randn(8192, D), torch.empty(8192, WIDTH)

    def work() -> None:
        for x, stack in (plain, two_paths):
            for _ in range(steps):
                for weight, hidden, _, _ in stack:
                    torch.bmm(x, weight, out=hidden)
                for _, _, slope, gradient in stack:
                    torch.bmm(x.mT, slope, out=gradient)
        for weight in (one for head in two_paths[1] for one in head[0]):
            for start in range(0, 2 * PAIRS, len(texts)):
                n = min(len(texts), 2 * PAIRS - start)
                torch.mm(texts[:n], weight, out=out[:n])

    return work


def made(runs: int, paths: int) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """A batch of each run; weights, hidden activations, their slopes and room for the gradient of each path."""
    inner, outer = (runs, 2 * BATCH, WIDTH), (runs, D, WIDTH)
    stack = [(torch.randn(outer), torch.empty(inner), torch.randn(inner), torch.empty(outer)) for _ in range(paths)]
    return torch.randn(runs, 2 * BATCH, D), stack


def detox() -> Contender:
    """The training of one world's heads: 1,120 pairs, 160 for the choice of an epoch, three seeds."""
    suite = read_study(DETOX).suite
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((2560, D), np.float32) / np.float32(np.sqrt(D))
    truth = vectors @ rng.standard_normal(D, np.float32)
    sides = rng.permutation(2560).reshape(2, -1)
    chance = 1 / (1 + np.exp(-2 * (truth[sides[0]] - truth[sides[1]])))
    swapped = rng.random(1280) > chance
    sides[:, swapped] = sides[::-1, swapped]
    label = np.where(truth > 0, 1, -1).astype(np.int8)
    train, held_out = (
        Preferences(vectors, *rows, gold=(label[rows[0]], label[rows[1]])) for rows in np.split(sides, [1120], axis=1)
    )
    stacks: dict[Hashable, list[tuple[PairwiseMethod, Task]]] = {}
    for method in (entry.part for entry in suite.methods):
        if isinstance(method, PairwiseMethod):
            tasks = (Task(train, held_out, suite.head, suite.training, 0, seed) for seed in suite.seeds)
            stacks.setdefault(method.stack(), []).extend((method, task) for task in tasks)
    return lambda: [type(runs[0][0]).fit_many(runs) for runs in stacks.values()]


def serve(name: str, work: str, folder: Path) -> None:
    """Do the work for each line, which says on how many threads, and print the seconds of a run-step."""
    do, steps = contender(name, work, folder)
    print("ready", flush=True)
    for line in sys.stdin:
        torch.set_num_threads(int(line))
        begun = time.process_time(), time.perf_counter()
        do()
        print(min(time.process_time() - begun[0], time.perf_counter() - begun[1]) / steps, flush=True)


class Server:
    """A process that is a contender, with the code of a checkout."""

    def __init__(self, name: str, work: str, folder: Path, checkout: Path) -> None:
        self.threads = 1
        self.process = subprocess.Popen(
            [sys.executable, __file__, work, "--serve", name, "--data", str(folder)],
            env={**os.environ, "PYTHONPATH": str(checkout)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise SystemExit(f"{name} did not start; see its error above")

    def seconds(self) -> float:
        """The seconds of a run-step."""
        assert self.process.stdin is not None
        print(self.threads, file=self.process.stdin, flush=True)
        return float(self._line())

    def find_threads(self) -> None:
        """Take the number of threads at which it is fastest."""
        times = {}
        for self.threads in range(1, (os.cpu_count() or 1) + 1):
            times[self.threads] = min(self.seconds() for _ in range(2))
        self.threads = min(times, key=times.__getitem__)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def check() -> None:
    """Both loops and ours find the same losses.  50 steps: rounding grows with every step at a lambda of 10."""
    vectors, pairs = vectors_and_pairs(3200, 1600)
    x, sides = torch.from_numpy(vectors), torch.from_numpy(np.stack(pairs))
    for name, loss in ours(vectors, pairs, NAMES).items():
        for batches in LOOPS.values():
            np.testing.assert_allclose(loop(batches, x, sides, name), loss, rtol=1e-5, err_msg=name)


def main() -> None:
    """Measure the contenders in turn, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", choices=("table1", "million", "detox"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="an older checkout")
    parser.add_argument("--keep", action="store_true", help="keep the figures in performance.json")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.work, given.data)
        return
    here = Path(__file__).parents[1]
    names = ["ours"] if given.work == "detox" else ["ours", *LOOPS, "products"]
    checkouts = dict.fromkeys(names, here) | ({"before": given.against.resolve()} if given.against else {})
    with TemporaryDirectory() as data:
        if given.work != "detox":
            check()
            vectors, pairs = vectors_and_pairs(TEXTS[given.work], PAIRS)
            np.save(Path(data, "vectors.npy"), vectors)
            np.save(Path(data, "pairs.npy"), np.stack(pairs))
            del vectors
        servers = {name: Server(name, given.work, Path(data), checkout) for name, checkout in checkouts.items()}
        for name in servers.keys() & LOOPS.keys():
            servers[name].find_threads()
        found: dict[str, list[float]] = {name: [] for name in servers}
        for at in range(given.rounds + 1):
            for name, server in servers.items():
                seconds = server.seconds()
                if at:  # the first round warms up
                    found[name].append(seconds)
        for server in servers.values():
            server.process.communicate()
    told(given, {name: statistics.median(each) for name, each in found.items()}, servers)


def told(given: argparse.Namespace, found: Mapping[str, float], servers: Mapping[str, Server]) -> None:
    """Print what was found, and keep it."""
    scale, unit = (1.0, "CPU seconds") if given.work == "detox" else (1e3, "CPU milliseconds of a run-step")
    for name, seconds in found.items():
        ratio = f", {seconds / found['ours']:.2f} times ours" if name != "ours" else ""
        print(f"{name}: {seconds * scale:.4g} {unit} on {servers[name].threads} threads{ratio}")
    if given.keep:
        work = {
            "table1": "head training, six methods by five seeds, batch 32, 384 -> 64 -> 1",
            "million": "head training, five methods by five seeds, pairs of 2,000,000 vectors",
            "detox": "the heads of one world of suites/detox.yaml",
        }[given.work]
        measured = {name: seconds * scale for name, seconds in found.items()}
        record(work, unit, measured, command=f"python benchmarks/training.py {given.work}", note=NOTES[given.work])


NOTES: Final = {
    "table1": "products: the matrix products alone",
    "million": "products: the matrix products alone; the epoch is one over 20,000 pairs of all vectors",
    "detox": "",
}

if __name__ == "__main__":
    main()
