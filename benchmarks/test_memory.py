"""Peak memory of training on 1,000,000 pairs: the embeddings' own size and little more.

``tox run -e bench`` or ``pytest benchmarks/test_memory.py -s``.  2,000,000 texts of 384 numbers lie in a store as an
encoder would leave them (3.07 GB); a fresh process loads them and trains max-entropy and a failure-aware run on all
pairs for one epoch, and the most memory that it ever held is printed.  ``FAIRL_BENCH_MEMORY_PAIRS`` sets another size.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

PAIRS = int(os.environ.get("FAIRL_BENCH_MEMORY_PAIRS", "1000000"))
D = 384


def train(folder: Path) -> None:
    """What a worker does with the embeddings, and the peak of its resident memory in KiB, printed."""
    from fairl_bench.kinds.method import Method
    from fairl_bench.store import artefacts
    from fairl_bench.suite.registry import Registry
    from fairl_bench.values.training import Preferences, Task, Training

    embeddings = artefacts.load_embeddings(folder)
    rows = np.arange(2 * PAIRS)
    held = PAIRS // 10
    task = Task(
        Preferences(embeddings.vectors, rows[:PAIRS], rows[PAIRS:]),
        Preferences(embeddings.vectors, rows[:held], rows[PAIRS : PAIRS + held]),
        training=Training(epochs=1),
    )
    base = {"use": "max-entropy"}
    aware = {"use": "failure-aware", "base": base, "detector": {"use": "bottom-fraction"}, "rounds": 1}
    for spec in (base, aware):
        method = Registry(installed=False).build(Method, spec)
        (reward,) = type(method).fit_many([(method, task)])
        assert all(np.isfinite(array).all() for array in reward.arrays.values())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def test_peak_memory(benchmark, tmp_path: Path) -> None:
    from fairl_bench.store import artefacts
    from fairl_bench.values.data import Embeddings

    rng = np.random.default_rng(0)
    vectors = np.empty((2 * PAIRS, D), np.float32)
    for start in range(0, len(vectors), 100_000):
        vectors[start : start + 100_000] = rng.normal(size=vectors[start : start + 100_000].shape) / np.sqrt(D)
    artefacts.save_embeddings(tmp_path, Embeddings(vectors, np.arange(len(vectors))))
    size = vectors.nbytes / 2**30
    del vectors
    command = [sys.executable, __file__, str(tmp_path)]
    ran = benchmark.pedantic(
        subprocess.run, (command,), {"check": True, "capture_output": True, "text": True}, rounds=1
    )
    peak = int(ran.stdout) / 2**20
    print(f"\n{PAIRS:,} pairs: embeddings {size:.2f} GiB, peak {peak:.2f} GiB, {peak - size:.2f} GiB beside them")
    benchmark.extra_info.update(embeddings_gib=size, peak_gib=peak)
    assert peak < size + 1


if __name__ == "__main__":
    train(Path(sys.argv[1]))
