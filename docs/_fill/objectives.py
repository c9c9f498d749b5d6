"""The generated table of objectives.md: how often intervals hold the planted weights.

``python benchmarks/objectives.py`` measures it into ``benchmarks/objectives.json``, and
``python docs/_fill/fill.py`` fills it in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

_MEASURED = Path(__file__).parents[2] / "benchmarks" / "objectives.json"


def coverage() -> str | None:
    """Return a line for each reward and kind of interval: how often it holds each planted weight, and its width."""
    if not _MEASURED.exists():
        return None
    told = json.loads(_MEASURED.read_text())
    rows = told["rows"]
    names = [name for name in rows[0] if name not in ("reward", "interval")]
    heads = ["reward", "interval for other", *(f"holds {name}" for name in names), "mean width", "bias", "spread"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in rows:
        weights = [row[name] for name in names]
        held = [f"{weight['inside']} of {told['worlds']}" for weight in weights]
        width = sum(weight["width"] for weight in weights) / len(weights)
        first = weights[0]
        bias = first["mean"] - told["planted"][names[0]]
        numbers = [f"{width:.3f}", f"{bias:+.3f}", f"{first['sd']:.3f}"]
        lines.append(f"| {' | '.join([row['reward'], row['interval'], *held, *numbers])} |")
    return "\n".join(lines) + "\n"


TABLES: dict[str, Callable[[], str | None]] = {"coverage": coverage}
