"""What an installation takes: ``python benchmarks/installed.py [WHEEL]``.

Builds the wheel of this checkout (or takes one), makes a fresh environment outside it, and installs the wheel there
with the extra 'offline'; ``--python`` names one that has it already.  Printed are the size of the wheel, of all that is
installed and of its largest packages, and the time to ``--help``: the median of several starts, beside those of
``python -c pass``, and the processor's share of it, which a busy machine does not change.  Nothing fails on a time or a
size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
# run by the environment itself: by distribution, the bytes that its RECORD lists, bytecode included
SIZES = """
import json
from importlib.metadata import distributions
from pathlib import Path
sizes = {}
for one in distributions():
    files = {Path(file.locate()) for file in one.files or ()}
    sizes[one.name] = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps(sizes))
"""


def built(folder: Path) -> Path:
    """The wheel of this checkout."""
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def installed(wheel: Path, folder: Path) -> tuple[Path, float]:
    """The Python of a fresh environment with the wheel, and the seconds that pip took."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    start = time.perf_counter()
    run([str(python), "-m", "pip", "install", "--quiet", f"{wheel}[offline]"])
    return python, time.perf_counter() - start


def run(command: Sequence[str]) -> str:
    """The standard output of a command in a folder that is not the checkout."""
    return subprocess.run(command, cwd="/", check=True, stdout=subprocess.PIPE, text=True).stdout


def seconds(command: Sequence[str]) -> tuple[float, float]:
    """The seconds that a command took, and those of the processor."""
    start, before = time.perf_counter(), os.times()
    run(command)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, cpu


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path, nargs="?")
    parser.add_argument("--python", type=Path, help="of an environment that has the wheel already")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--largest", type=int, default=10, help="packages to list")
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        wheel = (given.wheel or built(Path(scratch))).resolve()
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB", flush=True)
        python = given.python
        if python is None:
            python, took = installed(wheel, Path(scratch) / "venv")
            print(f"pip install {wheel.name}[offline]: {took:.0f} s", flush=True)
        sizes: dict[str, int] = json.loads(run([str(python), "-c", SIZES]))
        print(f"installed: {sum(sizes.values()) / 1e6:,.0f} MB in {len(sizes)} packages; fairl-bench itself", end=" ")
        print(f"{sizes['fairl-bench'] / 1e6:.1f} MB")
        for name, size in sorted(sizes.items(), key=lambda one: -one[1])[: given.largest]:
            print(f"  {name:<24} {size / 1e6:>7,.0f} MB")
        commands = {"--help": ["-m", "fairl_bench", "--help"], "pass": ["-c", "pass"]}
        for command in commands.values():  # once before, so that bytecode is written
            run([str(python), *command])
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(given.rounds):  # in turn: a machine may slow down
            for name, command in commands.items():
                times[name].append(seconds([str(python), *command]))
        for name, called in (("--help", "fairl-bench --help"), ("pass", "python -c pass")):
            wall, cpu = map(statistics.median, zip(*times[name], strict=True))
            print(f"{called}: {wall:.3f} s, of which {cpu:.3f} s of the processor")


if __name__ == "__main__":
    main()
