"""The real language models that benchmarks ask: one of a package, made into a folder once, or any folder."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from figures import record

SMOLLM2 = "smollm2-135m-instruct"


def folder(model: str, made: Path) -> Path:
    """The folder of a model: ``model`` itself, or where one of a package is kept in ``made``."""
    from fairl_bench.builtin.lms.packaged_model import PACKAGES, PackagedModel
    from fairl_bench.values.language_models import Site

    if model not in PACKAGES:
        return Path(model)
    place = made.expanduser() / model
    if not (place / "model.safetensors").is_file():
        place.mkdir(parents=True, exist_ok=True)
        PackagedModel(PACKAGES[model], model).make(Site(place, place))
    return place


def named(model: str) -> str:
    """How a page names a model: a package's by its name, and no path of the machine that measured."""
    return "FOLDER" if Path(model).exists() else model


def openings(n: int) -> list[str]:
    """So many different openings of texts."""
    from fairl_bench.builtin.openings import Openings
    from fairl_bench.science.streams import stream

    return list(Openings.named("openings").texts(n, stream("benchmark", 0)))


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long some work takes, and what it gives: CPU seconds, or seconds where it is done on a GPU."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    found = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start, found


class Before:
    """This script with another checkout's package, which does its part whenever it is asked to."""

    def __init__(self, checkout: Path, script: str, arguments: Sequence[str]) -> None:
        import os

        environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
        command = [sys.executable, script, *arguments, "--serve"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, case: str) -> Any:
        """What it answers to a case."""
        assert self.process.stdin
        assert self.process.stdout
        print(case, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End it."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def serve(answer: Callable[[str], Any]) -> None:
    """Answer each case that stands on a line of the input."""
    for line in sys.stdin:
        print(json.dumps(answer(line.strip())), flush=True)


def arguments(description: str) -> argparse.ArgumentParser:
    """The options of a benchmark of a real model."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--made", type=Path, default=Path("~/.cache/fairl-bench/benchmark-models"))
    parser.add_argument("--against", type=Path, help="an older checkout, to be measured too")
    parser.add_argument("--keep", action="store_true", help="record the figures")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser


def tell(work: str, told: Mapping[str, Sequence[float]], model: Any, keep: tuple[str, str] | None) -> str:
    """How many tokens a second each contender has, by the medians of its seconds for 1,000 tokens.

    They are kept as those of ``work``, where ``keep`` says by which command and with which note.
    """
    medians = {name: statistics.median(each) for name, each in told.items()}
    if keep is not None:
        unit = "CPU" if model.device.type == "cpu" else "GPU"
        record(work, f"{unit} seconds for 1,000 tokens", medians, command=keep[0], note=keep[1])
    rates = ", ".join(f"{name} {1000 / each:,.0f}" for name, each in medians.items())
    times = ", ".join(f"{each / medians['ours']:.2f} × {name}" for name, each in medians.items() if name != "ours")
    return f"tokens a second, {rates}: {times}"
