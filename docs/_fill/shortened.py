"""The table of the README: Table 1 in the numbers that need no threshold, with the notes that its marks need."""

from __future__ import annotations

from pathlib import Path

COLUMNS = ("method", "AUC", "STARC")
NOTES = ("Truth:", "±", "Reference rows", "¹", "°")


def table(name: str, results: Path | None) -> str | None:
    """Return Table 1 of a suite's results, shortened; None where there are none."""
    path = results / name / "tables" / "table1.md" if results else None
    return shortened(path.read_text()) if path and path.exists() else None


def shortened(text: str) -> str:
    """Return a table in Markdown with its columns of `COLUMNS` and its notes of `NOTES` alone."""
    lines = text.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    kept = [i for i, head in enumerate(rows[0]) if any(column in head for column in COLUMNS)]
    shown = [[row[i] for i in kept] for row in rows if not row[0].startswith("-")]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    made = [
        "| " + " | ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) + " |" for row in shown
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    notes = [line for line in lines if line.startswith(NOTES)]
    return "\n".join([made[0], rule, *made[1:], "", *notes]) + "\n"
