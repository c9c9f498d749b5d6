"""The generated tables of concepts.md: how often attributions are right, from ``benchmarks/attribution.json``.

``python benchmarks/attribution.py`` measures them, ``python docs/_fill/fill.py`` fills them in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

_MEASURED = Path(__file__).parents[2] / "benchmarks" / "attribution.json"


def _told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_MEASURED.read_text())
    return found


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)]) + "\n"


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{round(100 * share)} %"


def bounds() -> str | None:
    """Return how often true shares are inside their bounds, and what is named: a line for each made-up reward."""
    told = _told()
    if "bounds" not in told:
        return None
    heads = [
        *("rewarded concepts", "prompts", "explained", "all bounds hold", "that of the rest holds", "width of a bound"),
        *("named", "others ruled out", "wrongly named", "wrongly ruled out"),
    ]
    rows = [
        [
            *(row["rewarded"], row["prompts"], _percent(row["explained"])),
            *(_percent(row[name]) for name in ("all shares", "unexplained", "width", "named", "ruled out")),
            *(_percent(row[name]) for name in ("wrongly named", "wrongly ruled out")),
        ]
        for row in told["bounds"]
    ]
    return f"{_table(heads, rows)}\n{told['repeats']:,} repeats a line.\n"


def detectable() -> str | None:
    """Return the share that is said to be named four times in five, and how often it is."""
    if "detectable" not in _told():
        return None
    rows = [
        (row["prompts"], *(_percent(row[name]) for name in ("in_texts", "share", "named")))
        for row in _told()["detectable"]
    ]
    return _table(["prompts", "texts that have the concept", "said to be named four times in five", "named"], rows)


def nulls() -> str:
    """Return in how many worlds without a difference something is found."""
    rows = [
        [f"`{row['method']}`", row["worlds"], row["told apart"], row["named"], row["alarms"]]
        for row in _told()["nulls"]
    ]
    return _table(["reward", "worlds", "two sides told apart", "a concept named", "both: an alarm"], rows)


TABLES: dict[str, Callable[[], str | None]] = {"bounds": bounds, "detectable": detectable, "nulls": nulls}
