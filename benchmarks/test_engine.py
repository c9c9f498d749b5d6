"""What the engine itself costs: cells whose parts do nothing (``nothing.py``), kept durably, three stages each.

``tox run -e bench -- benchmarks/test_engine.py -s``.  Timed is the wall time of the whole command, from the start of
Python to its end, with all that it writes: the store, records, scores, ``run.json``, figures and the page.  The suite
has no ``report:``, so no statistics are asked for: what they cost is in ``test_statistics.py``.  Bars, on two cores:
1,000 cells in 8 s, all of them again in 1.6 s, and a cell of 10,000 in no more than 1.2 times what one of 1,000 takes.
Beside the wall time stands the processors' own, which other work on the machine changes less.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

NOTHING = Path(__file__).with_name("nothing.py")
SEEDS = 10


def suite(methods: int) -> str:
    lines = "".join(f"  - {{name: m{i}, use: nothing, number: {i}}}\n" for i in range(methods))
    return (
        f"name: nothing\nplugins: [{NOTHING}]\nseeds: {list(range(SEEDS))}\nmodels: [{{name: ten, use: ten}}]\n"
        f"encoders: [{{name: zeros, use: zeros}}]\nmethods:\n{lines}evaluate: [{{use: one, data: [pairs/test]}}]\n"
    )


class Took(NamedTuple):
    """Seconds of one run."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s ({self.processor:.2f} s of processor)"


def timed(folder: Path, *options: str) -> Took:
    """One run of the suite in a folder."""
    command = [sys.executable, "-m", "fairl_bench", "run", "suite.yaml", "--store", "store", *options]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def prepared(folder: Path, cells: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "suite.yaml").write_text(suite(cells // SEEDS))
    return folder


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("cells", [1_000, 10_000])
def test_cells_that_do_nothing(benchmark, tmp_path: Path, cells: int, jobs: int) -> None:
    """The first run, everything kept on the disk; then the same again, where nothing is left to do."""
    timed(prepared(tmp_path / "warm", SEEDS))  # Python's own files are compiled and in memory
    folder = prepared(tmp_path / "cells", cells)
    first = benchmark.pedantic(timed, (folder, "--jobs", str(jobs)), rounds=1)
    again = timed(folder)
    benchmark.extra_info.update(first=first, again=again)
    print(f"\n{cells} cells, --jobs {jobs}: {first}, again {again}; {1000 * first.processor / cells:.2f} ms a cell")
