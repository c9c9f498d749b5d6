"""What the engine itself costs: cells whose parts do nothing (``nothing.py``), kept durably, three stages each.

``tox run -e bench -- benchmarks/test_engine.py -s``.  Timed is the wall time of the whole command, from the start of
Python to its end, with all that it writes: the store, records, scores, ``run.json``, figures and the page.  The suite
has no ``report:``, so no statistics are asked for: what they cost is in ``test_statistics.py``.  Bars, on two cores:
1,000 cells in 8 s, all of them again in 1.6 s, and a cell of 10,000 in no more than 1.2 times what one of 1,000 takes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

NOTHING = Path(__file__).with_name("nothing.py")
SEEDS = 10


def suite(methods: int) -> str:
    lines = "".join(f"  - {{name: m{i}, use: nothing, number: {i}}}\n" for i in range(methods))
    return (
        f"name: nothing\nplugins: [{NOTHING}]\nseeds: {list(range(SEEDS))}\nmodels: [{{name: ten, use: ten}}]\n"
        f"encoders: [{{name: zeros, use: zeros}}]\nmethods:\n{lines}evaluate: [{{use: one, data: [pairs/test]}}]\n"
    )


def seconds(folder: Path, *options: str) -> float:
    """The wall time of one run of the suite in a folder."""
    command = [sys.executable, "-m", "fairl_bench", "run", "suite.yaml", "--store", "store", *options]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    took = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    return took


def prepared(folder: Path, cells: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "suite.yaml").write_text(suite(cells // SEEDS))
    return folder


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("cells", [1_000, 10_000])
def test_cells_that_do_nothing(benchmark, tmp_path: Path, cells: int, jobs: int) -> None:
    """The first run, everything kept on the disk; then the same again, where nothing is left to do."""
    seconds(prepared(tmp_path / "warm", SEEDS))  # Python's own files are compiled and in memory
    folder = prepared(tmp_path / "cells", cells)
    first = benchmark.pedantic(seconds, (folder, "--jobs", str(jobs)), rounds=1)
    again = seconds(folder)
    benchmark.extra_info.update(first=first, again=again)
    each = f"{1000 * first / cells:.2f} and {1000 * again / cells:.2f} ms a cell"
    print(f"\n{cells} cells, --jobs {jobs}: {first:.2f} s, again {again:.2f} s; {each}")
