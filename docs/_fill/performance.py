"""The generated tables of performance.md: what was measured of speed, from ``benchmarks/performance.json``.

The scripts in ``benchmarks`` measure with ``--keep``; ``python docs/_fill/fill.py`` fills the tables in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_MEASURED = Path(__file__).parents[2] / "benchmarks" / "performance.json"
_OURS, _BEFORE = "ours", "before"


def ratios() -> str:
    """Return a line for each piece of work: what it takes here, and how many times that the others take."""
    lines = ["| work | unit | takes | against | machine |", "|---|---|---|---|---|"]
    figures = _figures()
    machines = list(dict.fromkeys(one["machine"] for one in figures.values()))
    for work, one in figures.items():
        measured = one["measured"]
        place = machines.index(one["machine"]) + 1
        lines.append(f"| {work} | {one['unit']} | {measured[_OURS]:g} | {_against(measured)} | {place} |")
    return "\n".join([*lines, "", *_machines(machines)]) + "\n"


def commands() -> str:
    """Return how each piece of work is measured."""
    lines = ["| work | command | note |", "|---|---|---|"]
    lines += [f"| {work} | `{one['command']}` | {one['note']} |" for work, one in _figures().items()]
    return "\n".join(lines) + "\n"


def _figures() -> Mapping[str, Mapping[str, Any]]:
    figures: Mapping[str, Mapping[str, Any]] = json.loads(_MEASURED.read_text())
    return figures


def _against(measured: Mapping[str, float]) -> str:
    """Return each alternative's number and how many times ours it is."""
    others = [name for name in measured if name not in (_OURS, _BEFORE)]
    if _BEFORE in measured:
        others.append(_BEFORE)
    said = [f"{name} {measured[name]:g} ({measured[name] / measured[_OURS]:.1f} times)" for name in others]
    return "; ".join(said) or "–"


def _machines(machines: list[str]) -> list[str]:
    return [f"Machine {at}: {machine}." for at, machine in enumerate(machines, 1)]


TABLES: Mapping[str, Callable[[], str]] = {"ratios": ratios, "commands": commands}
