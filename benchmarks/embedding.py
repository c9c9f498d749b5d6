"""CPU seconds of embedding short texts, against sentence-transformers by itself: ``python benchmarks/embedding.py``.

The texts are comments of the synthetic world, the model is MiniLM, and each way computes on one thread: ours, in
``dtype: auto`` as ``suites/detox.yaml`` has it and in float32, and sentence-transformers as it is without any setting.
They take turns.  The least cosine of a text's vectors to those of sentence-transformers is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fairl_bench.builtin.encoders.sentence_transformer import SentenceTransformer
from fairl_bench.kinds.source import TestSet
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import Vectors

Way = Callable[[], Vectors]


def texts(n: int) -> tuple[str, ...]:
    """So many comments."""
    drawn = Registry(installed=False).build(TestSet, {"use": "toy-comments", "n": n, "shift": 0.5})
    return tuple(drawn.examples(np.random.default_rng(0)).text)


def ways(given: Sequence[str]) -> dict[str, Way]:
    """Each way of embedding the texts, with its model loaded."""
    from sentence_transformers import SentenceTransformer as Model

    alone = Model(SentenceTransformer()._found()[0], device="cpu")
    encoders = {"ours": SentenceTransformer(dtype="auto", batch=64, workers=1)}
    encoders["ours in float32"] = SentenceTransformer(batch=64, workers=1)
    for encoder in encoders.values():
        encoder.encode(given[:1], ())
    own: dict[str, Way] = {name: lambda it=encoder: it.encode(given, ()) for name, encoder in encoders.items()}  # type: ignore[misc]
    return {**own, "sentence-transformers": lambda: np.asarray(alone.encode(list(given), show_progress_bar=False))}


def measured(way: Way) -> tuple[float, Vectors]:
    """The CPU seconds of a way, and its vectors."""
    start = time.process_time()
    rows = way()
    return time.process_time() - start, rows


def seconds_of(folder: Path, n: int) -> float:
    """The CPU seconds of ours by the code of another checkout, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--texts", str(n), "--here"]
    said = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(folder)}, check=True, capture_output=True, text=True
    )
    return float(json.loads(said.stdout.splitlines()[-1]))


def main() -> None:
    """Measure, print, and keep the medians if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="an older checkout")
    parser.add_argument("--keep", action="store_true", help="keep the figures in performance.json")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    each = ways(texts(asked.texts))
    if asked.here:
        print(json.dumps(measured(each["ours"])[0]))
        return
    found: dict[str, list[float]] = {name: [] for name in [*each, *(["before"] if asked.against else [])]}
    rows: dict[str, Vectors] = {}
    for _ in range(asked.rounds):
        for name, way in each.items():
            seconds, rows[name] = measured(way)
            found[name].append(seconds)
        if asked.against:
            found["before"].append(seconds_of(asked.against.resolve(), asked.texts))
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    own = rows["sentence-transformers"]
    for name, median in medians.items():
        times = medians["sentence-transformers"] / median
        print(f"{name:24} {median:6.2f} s of CPU, {times:.2f} times as fast as sentence-transformers", end="")
        print(f", cosine at least {_cosine(rows[name], own).min():.5f}" if name in rows else "")
    if asked.keep:
        from figures import record

        command = "python benchmarks/embedding.py --against FOLDER --keep"
        note = f"cosine to sentence-transformers at least {_cosine(rows['ours'], own).min():.4f}"
        record(f"embedding {asked.texts:,} short texts, MiniLM", "CPU seconds", medians, command=command, note=note)


def _cosine(one: Vectors, other: Vectors) -> Vectors:
    product: Vectors = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    return product


if __name__ == "__main__":
    main()
