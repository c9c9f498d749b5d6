"""The generated tables of statistics.md: how often tests are right, from ``benchmarks/calibration.json``.

``python benchmarks/calibration.py`` measures them, ``python docs/_fill/fill.py`` fills them in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MEASURED = Path(__file__).parents[2] / "benchmarks" / "calibration.json"


def _told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_MEASURED.read_text())
    return found


def alarms() -> str:
    """Return the share of false alarms: a line for each profile of methods, a column for each number of blocks."""
    told = _told()
    rows = {(row["methods"], row["profile"], row["blocks"]): row["rate"] for row in told["alarms"]}
    blocks = list(dict.fromkeys(block for _, _, block in rows))
    lines = [f"| methods | of them | {' | '.join(blocks)} |", "|" + "---|" * (2 + len(blocks))]
    for methods, profile in dict.fromkeys((methods, profile) for methods, profile, _ in rows):
        rates = " | ".join(f"{rows[methods, profile, block]:.3f}" for block in blocks)
        lines.append(f"| {methods} | {profile} | {rates} |")
    return "\n".join(lines) + f"\n\n{told['repeats']:,} repeats a cell.\n"


def power() -> str:
    """Return the share of one method's differences from the others that is found, by ours and by a plain t."""
    lines = ["| methods | replicates | a gap of | found | by a plain t a pair |", "|---|---|---|---|---|"]
    for row in _told()["power"]:
        gap = f"{row['gap']:g} sd"
        lines.append(f"| {row['methods']} | {row['replicates']} | {gap} | {row['ours']:.2f} | {row['plain']:.2f} |")
    return "\n".join(lines) + "\n"


def claims() -> str:
    """Return the share of repeats in which one of 16 claims, each true exactly at its bound, is decided."""
    lines = ["| replicates | decided |", "|---|---|"]
    lines += [f"| {row['replicates']} | {row['rate']:.3f} |" for row in _told()["claims"]]
    return "\n".join(lines) + "\n"


def deals() -> str:
    """Return in how many deals of one method under several names two names are shown to differ, by column."""
    found = _told()["deals"]
    lines = ["| column of Table 1 | deals with a false difference |", "|---|---|"]
    lines += [f"| {column} | {count} of {found['deals']} |" for column, count in found["columns"].items()]
    return "\n".join(lines) + "\n"


TABLES: dict[str, Callable[[], str]] = {"alarms": alarms, "power": power, "claims": claims, "deals": deals}
