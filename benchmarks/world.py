"""CPU seconds of one synthetic world, from an empty store: ``python benchmarks/world.py --against FOLDER``.

The stages of the first world of ``suites/detox.yaml`` that no method has a part in are done in one process: both
language models, their completions, the texts, their vectors and their likelihoods.  What they import is imported before
and counted by itself.  With ``--against`` the world of another checkout, by its code and its suite, is made in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

OF_METHODS: Final = {"reward", "scores", "judgements", "measures"}  # kinds of stages


def made_here(replicate: int) -> Counter[str]:
    """The CPU seconds of each kind of work, in this process and by the code that it imports."""
    start = time.process_time()
    import sentence_transformers  # noqa: F401
    from trl import RLOOConfig, RLOOTrainer  # type: ignore[attr-defined]  # noqa: F401

    from fairl_bench.engine.execute import jobs, missing
    from fairl_bench.engine.planner import plan
    from fairl_bench.engine.worker import Worker
    from fairl_bench.store.folder import FolderStore
    from fairl_bench.suite.read import read_study

    study = read_study(Path("suites/detox.yaml"), [f"replicates=[{replicate}]"])
    made = plan(study)
    seconds = Counter({"imports and plan": time.process_time() - start})
    with TemporaryDirectory() as place:
        store = FolderStore(Path(place))
        worker = Worker(store, study.registry)
        for job in jobs(missing(made, store)):
            if job[0].kind not in OF_METHODS:
                start = time.process_time()
                worker.perform(job)
                seconds[_named(job[0].kind, job[0].title)] += time.process_time() - start
    return seconds


def _named(kind: str, title: str) -> str:
    return " ".join(title.split()[:3]) if kind == "lm" else kind


def made_by(folder: Path, replicate: int) -> Counter[str]:
    """The same in a new process, by the code and the suite of a checkout."""
    own = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--here", "--replicate", str(replicate)]
    said = subprocess.run(command, cwd=folder, env=os.environ | own, check=True, capture_output=True, text=True).stdout
    return Counter(json.loads(said.splitlines()[-1]))


def main() -> None:
    """Measure, print, and keep the sums if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", type=Path, help="an older checkout")
    parser.add_argument("--replicate", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="keep the figures in performance.json")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(made_here(given.replicate)))
        return
    folders = {"before": given.against.resolve()} if given.against else {}
    folders["ours"] = Path(__file__).resolve().parents[1]
    seconds = {name: made_by(folder, given.replicate) for name, folder in folders.items()}
    for work in seconds["ours"]:
        print(f"{work:28}", *(f"{name} {each[work]:6.1f}" for name, each in seconds.items()))
    sums = {name: sum(each.values()) for name, each in seconds.items()}
    print(f"{'in all':28}", *(f"{name} {total:6.1f}" for name, total in sums.items()))
    if given.keep:
        from figures import record

        each = ", ".join(f"{work} {value:.1f}" for work, value in seconds["ours"].items())
        command = "python benchmarks/world.py --against FOLDER --keep"
        record("a synthetic world of detox.yaml", "CPU seconds", sums, command=command, note=each)


if __name__ == "__main__":
    main()
