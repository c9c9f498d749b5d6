"""The measured figures of speed: ``benchmarks/performance.json``, from which ``docs/performance.md`` is made.

A benchmark measures what it compares in turn, in one run, and hands over the medians.  Each figure is of one machine;
the ratios are what may be compared with those of another.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).with_name("performance.json")


def record(work: str, unit: str, measured: Mapping[str, float], *, command: str, note: str = "") -> None:
    """Keep the figures of one piece of work: ``measured`` maps ``ours``, ``before`` and each alternative to a number.

    ``unit`` says what the numbers are, such as ``CPU seconds``; less is better.  Earlier figures of the same work are
    replaced.
    """
    figures = json.loads(FILE.read_text()) if FILE.exists() else {}
    figures[work] = {
        "unit": unit,
        "measured": {name: float(f"{value:.4g}") for name, value in measured.items()},
        "command": command,
        "note": note,
        "machine": machine(),
    }
    FILE.write_text(json.dumps(figures, indent=2) + "\n")


def machine() -> str:
    """Return the processor, the number of cores, and what it computes in, in words."""
    import torch

    found = [line for line in _cpu_lines() if line.startswith("model name")]
    name = found[0].partition(":")[2].strip() if found else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
