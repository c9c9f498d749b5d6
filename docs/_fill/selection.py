"""The generated table of suites.md: what each rule for the kept epoch costs, from ``benchmarks/selection.json``.

``python benchmarks/selection.py SUITE`` measures it, ``python docs/_fill/fill.py`` fills it in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

_MEASURED = Path(__file__).parents[2] / "benchmarks" / "selection.json"


def rules() -> str:
    """Return a line for each suite and rule: what its epochs are worth, and the method that it serves worst."""
    lines = ["| suite | kept is the best by | kept epoch | mean AUC | costs most | AUC below its best rule |"]
    lines.append("|" + "---|" * 6)
    for suite, told in json.loads(_MEASURED.read_text()).items():
        worth = {
            rule: {method: _worth(row) for method, row in methods.items()} for rule, methods in told["rules"].items()
        }
        best = {method: max(row[method] for row in worth.values()) for method in next(iter(worth.values()))}
        for rule, row in worth.items():
            behind = {method: best[method] - found for method, found in row.items()}
            most = max(behind, key=lambda method: behind[method])
            kept = [one["kept epoch"] for one in told["rules"][rule].values()]
            mean = sum(row.values()) / len(row)
            epochs = f"{min(kept):.0f} to {max(kept):.0f}" if max(kept) - min(kept) >= 0.5 else f"{max(kept):.0f}"
            lines.append(f"| {suite} | {rule} | {epochs} | {mean:.3f} | {most} | {behind[most]:.3f} |")
    return "\n".join(lines) + "\n"


def _worth(row: dict[str, float]) -> float:
    """Return the mean AUC over the data that a suite judges, which the rule has not seen."""
    found = [number for name, number in row.items() if name.endswith(" AUC")]
    return sum(found) / len(found)


TABLES: dict[str, Callable[[], str]] = {"rules": rules}
