"""What the engine itself costs: cells whose parts do nothing (``nothing.py``), and a run with nothing to compute.

``python benchmarks/engine.py`` runs 1,000 cells of three stages each, kept durably, with ``--jobs`` 1 and 2, and then
the same again, where nothing is left to do.  With ``--suite``, ``--store`` and ``--results`` of a finished run, such as
that of ``detox``, its repeat is measured too.  Timed is the whole command, from the start of Python to its end, with
all that it writes: the store, records, scores, ``run.json``, figures and the page.  Bars, on two idle cores: 1,000
cells in 4 s, again in 1 s, the repeat of ``detox`` in 1.2 s.  Beside the wall time stands the processors' own, which
other work on the machine changes less.  With ``--against FOLDER`` another checkout takes turns with this one; its
repeat needs a store that was filled by its own code, where parts have changed since.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from test_engine import SEEDS, suite

HERE = Path(__file__).parent


class Took(NamedTuple):
    """Seconds of one command."""

    wall: float
    processor: float


def timed(code: Path, folder: Path, *options: str) -> Took:
    """One run of a suite in a folder, by the code of a checkout."""
    command = [sys.executable, "-m", "fairl_bench", "run", *options]
    environment = {**os.environ, "PYTHONPATH": str(code.resolve())}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def nothing(code: Path, folder: Path, jobs: int, repeats: int) -> dict[str, Sequence[Took]]:
    """The cells that do nothing, from an empty store and again."""
    for name in ("store", "results"):
        shutil.rmtree(folder / name, ignore_errors=True)
    options = ["suite.yaml", "--store", "store", "--results", "results", "--jobs", str(jobs)]
    first = timed(code, folder, *options)
    return {"cold": [first], "again": [timed(code, folder, *options) for _ in range(repeats)]}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--suite", type=Path, help="a suite whose run is finished")
    parser.add_argument("--store", help="the store of that run")
    parser.add_argument("--results", type=Path, help="the results folder of that run, which is copied")
    parser.add_argument("--against", type=Path, help="another checkout, which takes turns with this one")
    parser.add_argument("--keep", action="store_true", help="keep the figures in performance.json")
    given = parser.parse_args()
    codes = {**({"before": given.against} if given.against else {}), "ours": HERE.parent}
    found: dict[str, dict[str, list[Took]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "suite.yaml").write_text(suite(given.cells // SEEDS))
        (folder / "few.yaml").write_text(suite(1))
        for name, code in codes.items():  # Python's own files are compiled and in memory
            timed(code, folder, "few.yaml", "--store", f"few-{name}", "--results", f"few-{name}-results")
        for _ in range(given.rounds):
            for jobs in (1, 2):
                for name, code in codes.items():
                    for what, took in nothing(code, folder, jobs, 2).items():
                        work = f"{given.cells:,} do-nothing cells, {what}, --jobs {jobs}"
                        found.setdefault(work, {}).setdefault(name, []).extend(took)
        if given.suite and given.store and given.results:
            options = [str(given.suite.resolve()), "--store", str(Path(given.store).resolve()), "--results"]
            for name in codes:
                shutil.copytree(given.results, folder / f"repeat-{name}")
                timed(codes[name], folder, *options, f"repeat-{name}")
            for _ in range(3 * given.rounds):
                for name, code in codes.items():
                    took_one = timed(code, folder, *options, f"repeat-{name}")
                    found.setdefault(f"repeat of {given.suite.stem}", {}).setdefault(name, []).append(took_one)
    for work, by_name in found.items():
        for name, all_took in by_name.items():
            wall, processor = (statistics.median(column) for column in zip(*all_took, strict=True))
            print(f"{work}, {name}: {wall:.2f} s ({processor:.2f} s of processor)")
        if given.keep:
            from figures import record

            for at, unit in enumerate(("s", "CPU seconds")):
                medians = {name: statistics.median(took[at] for took in many) for name, many in by_name.items()}
                record(f"{work}, {unit}", unit, medians, command="python benchmarks/engine.py --keep")


if __name__ == "__main__":
    main()
