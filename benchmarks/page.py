"""What the page of a large run takes: its bytes, how fast it opens, how fast its largest table sorts.

``python benchmarks/page.py`` makes the results of 100 cells on data sets of 20,000 texts (``page_parts.py``), by the
tool's own code, and opens their ``report.html`` in chromium, driven by playwright.  Opened is a page when its ``load``
event is over and its first table is painted; sorted is a table when the frame after the press is painted.  Bars: opens
in 2 s, sorts in 100 ms, 10 MB.  With ``--against FOLDER`` the page is also made by the code of another checkout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
OPENED = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"""
SORTED = """(number) => new Promise((done) => {
  const tables = [...document.querySelectorAll("table.sortable")].sort((x, y) => y.rows.length - x.rows.length);
  const heads = tables[0].tHead.rows[0].cells, began = performance.now();
  heads[number % heads.length].querySelector("button").click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""
SIZE = """() => [...document.querySelectorAll("table.sortable")].map((table) => table.rows.length)"""


class Found(NamedTuple):
    """What one page takes."""

    bytes: float  # millions
    opens: float  # seconds
    sorts: float  # milliseconds


def suite(methods: int, seeds: int) -> dict[str, Any]:
    """A suite of so many cells on two data sets of 20,000 texts each."""
    data = ["pairs/test", "many"]
    threshold = {"data": "pairs/train", "label": "gold"}
    return {
        "name": "page",
        "plugins": [str(HERE / "page_parts.py")],
        "seeds": list(range(seeds)),
        "models": [{"name": "many", "use": "many-pairs"}],
        "encoders": [{"name": "zeros", "use": "zeros"}],
        "methods": [{"name": f"guess-{i}", "use": "guess", "noise": 0.5 + 0.05 * i} for i in range(methods)],
        "testsets": {"many": {"use": "many-texts"}},
        "evaluate": [
            {"use": "classification", "data": data, "label": "gold", "threshold": threshold, "positive": "good"},
            {"use": "fidelity", "data": data, "truth": "gold"},
        ],
        "slices": {"baseline": "guess-0"},
        "report": {
            "table1": {"data": data, "truth": "gold", "metrics": ["accuracy", "f1", "auc", "starc"]},
            "table2": {"methods": ["guess-0", "guess-1"], "data": data, "truth": "gold"},
        },
    }


def made(folder: Path, methods: int, seeds: int) -> Path:
    """The page of such a run; what its folder holds already is not computed again."""
    from fairl_bench import run

    run(suite(methods, seeds), store=folder / "store", results=folder / "results")
    return folder / "results" / "report.html"


def looked_at(page: Path, rounds: int) -> Found:
    """The medians of what a browser takes for the page."""
    from playwright.sync_api import sync_playwright

    opens, sorts = [], []
    with sync_playwright() as started:
        place = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = started.chromium.launch(executable_path=place, args=["--no-sandbox"])
        for _ in range(rounds):
            tab = browser.new_page()
            tab.goto(page.resolve().as_uri(), wait_until="load")
            opens.append(tab.evaluate(OPENED) / 1000)
            sorts += [tab.evaluate(SORTED, number) for number in range(1, 6)]
            rows = tab.evaluate(SIZE)
            tab.close()
        browser.close()
    print(f"tables that sort have {rows} rows")
    return Found(page.stat().st_size / 1e6, statistics.median(opens), statistics.median(sorts))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the results are kept; else they are made anew")
    parser.add_argument("--against", type=Path, help="another checkout, whose page is measured too")
    parser.add_argument("--keep", action="store_true", help="keep the figures in performance.json")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        made(given.folder, given.methods, given.seeds)
        return
    found: dict[str, Found] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, code in (("before", given.against), ("ours", HERE.parent)):
            if code is None:
                continue
            folder = (given.folder or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, __file__, "--make", "--folder", str(folder)]
            command += ["--methods", str(given.methods), "--seeds", str(given.seeds)]
            subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(code.resolve())})
            found[name] = looked_at(folder / "results" / "report.html", given.rounds)
            one = found[name]
            print(f"{name}: {one.bytes:.1f} MB, opens in {one.opens:.2f} s, sorts in {one.sorts:.0f} ms", flush=True)
    if given.keep:
        from figures import record

        work = f"report.html of {given.methods * given.seeds} cells × 20,000 texts"
        command_line = "python benchmarks/page.py --keep"
        for unit, what, field in (("s", "opens", "opens"), ("ms", "sorts", "sorts"), ("MB", "bytes", "bytes")):
            measured = {name: getattr(one, field) for name, one in found.items()}
            record(f"{work}, {what}", unit, measured, command=command_line)


if __name__ == "__main__":
    main()
