"""Seconds of a step of RLOO, one way of training against another: ``python benchmarks/alignment.py MODEL``.

MODEL is what ``model:`` of ``pretrained`` may be: a folder, a GGUF file, a name.  Each way aligns it for a few steps
from the same prompts of the synthetic world, with a batch of 16 completions of 20 tokens, in turn; the first step of
each is left out.  The seconds of a step and the ratio of the medians are printed; nothing fails on a time.  They are
seconds of the processor on one thread; with ``--threads N``, those of the clock, with one thread and with N.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fairl_bench.builtin.lms.group_relative import Rloo
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Prompts
from fairl_bench.progress import listening
from fairl_bench.suite.registry import Registry
from fairl_bench.values.language_models import Site

WAYS: Mapping[str, Mapping[str, Any]] = {
    "all weights, as TRL reads": {},
    "all weights, read once": {"once": True},
    "adapter, as TRL reads": {"train": "lora"},
    "adapter, read once": {"train": "lora", "once": True},
}


def seconds(way: Mapping[str, Any], base: Path, steps: int, clock: Callable[[], float]) -> list[float]:
    """The seconds of each step but the first."""
    registry = Registry(installed=False)
    own = {
        "reward": registry.build(Judge, {"use": "toy-truth"}),
        "prompts": registry.build(Prompts, {"use": "toy-prompts", "stances": ["hostile", "neutral"]}),
    }
    sizes = {"steps": steps, "batch": 16, "per_prompt": 4, "sampling": {"max_new_tokens": 20}, "held_out": 0}
    aligner = Rloo.named("rloo", lr=1e-5, kl=0.1, **sizes, **own, **way)
    ends = list[float]()

    def told(*_: object) -> None:
        ends.append(clock())

    with TemporaryDirectory() as folder, TemporaryDirectory() as scratch, listening(told):
        aligner.make(Site(Path(folder), Path(scratch), {"base": base}))
    return [after - before for before, after in itertools.pairwise(ends)]


def main() -> None:
    """Measure the ways in turn, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    ways, clock = WAYS, time.process_time
    if given.threads > 1:
        quickest = list(WAYS)[-1]
        several = {**WAYS[quickest], "threads": given.threads}
        ways, clock = {"1 thread": WAYS[quickest], f"{given.threads} threads": several}, time.perf_counter
    found: dict[str, list[float]] = {way: [] for way in ways}
    with TemporaryDirectory() as folder, TemporaryDirectory() as scratch:
        made = Registry(installed=False).build(LM, {"use": "pretrained", "model": given.model})
        base = made.make(Site(Path(folder), Path(scratch))).folder
        for at in range(given.rounds):
            for way, each in found.items():
                each += seconds(ways[way], base, given.steps, clock)
                print(f"round {at + 1}, {way}: {statistics.median(each):.2f} s a step", flush=True)
    medians = {way: statistics.median(each) for way, each in found.items()}
    (first, before), *_, (last, after) = medians.items()
    print(f"{last}: {after / before:.2f} of {first}")


if __name__ == "__main__":
    main()
