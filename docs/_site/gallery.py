"""The gallery: a card for each suite, with what it asks, what it found, how long it takes, and the command.

``python docs/_site/gallery.py RESULTS ...`` takes what the cards show from results folders, and keeps it in
``gallery.json``.  A suite that is not in there is shown by a table of a page, if one has its results.
"""

from __future__ import annotations

import json
import re
import sys
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from fairl_bench.suite.named_files import first_sentence

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
KEPT = Path(__file__).with_name("gallery.json")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?= %)|-?\d+\.\d+")
WIDTH, ROW, LETTER, ROWS, LETTERS = 420, 15, 4.8, 16, 34


class Shown(NamedTuple):
    """What the card of a suite shows of its results."""

    head: str = ""  # of the column of numbers
    rows: tuple[tuple[str, str], ...] = ()
    left_out: int = 0  # rows that have no place
    work: float | None = None  # seconds of one core
    finished: str = ""


def page() -> str:
    """The gallery in Markdown."""
    kept = {name: _read(plain) for name, plain in json.loads(KEPT.read_text()).items()}
    suites = [*sorted((ROOT / "suites").glob("*.yaml")), *sorted((ROOT / "suites" / "paper").glob("*.yaml"))]
    suites.sort(key=lambda path: path.stem != "detox")  # the main job first
    texts = {path: path.read_text() for path in sorted(DOCS.rglob("*.md"))}
    cards = [_card(path, kept.get(path.stem) or _of_pages(path.stem, texts), _about(path, texts)) for path in suites]
    return (
        "# Gallery: the suites in the box\n\n"
        "A picture shows one column of numbers of the suite's results: an AUC where it has one; a bar is the spread "
        "over seeds. Faint rows are references, which are not ranked. Times are rough: of two cores of a machine that "
        "did other work, too, with an empty store. A suite that needs more than the extra `offline` says so in its "
        "first lines. A card without a picture is of a suite that has not been run for these pages.\n\n"
        '<div class="grid cards" markdown>\n\n' + "\n".join(cards) + "\n</div>\n"
    )


def _card(path: Path, shown: Shown, about: Path | None) -> str:
    """One card."""
    command = f"suites/paper/{path.name}" if path.parent.name == "paper" else path.stem
    lines = [
        f"-   **{path.stem}**",
        escape(_sentence(path), quote=False),
        _picture(shown) if shown.rows else "",
        f"{shown.left_out} more rows are in its table." if shown.left_out else "",
        f"Takes {time_of(shown.work / 2)}." if shown.work else "",
        f"[{_title(about)}]({about.relative_to(DOCS)})" if about else "",
        f"`fairl-bench run {command}`",
    ]
    return "\n\n    ".join(filter(None, lines)) + "\n"


def _sentence(path: Path) -> str:
    """The first sentence of a suite's first comment."""
    said = first_sentence(path)
    return said if said.endswith((".", "?")) else f"{said}."


def _title(path: Path) -> str:
    return path.read_text().splitlines()[0].removeprefix("# ")


def time_of(seconds: float) -> str:
    """A length of time in words.

    >>> [time_of(seconds) for seconds in (20, 60, 400, 3700, 20000)]
    ['half a minute', 'a minute', '7 minutes', 'an hour', '5.5 hours']
    """
    if seconds < 90:
        return "half a minute" if seconds < 45 else "a minute"
    if seconds < 3600:
        return f"{seconds / 60:.0f} minutes"
    hours = round(seconds / 1800) / 2
    return "an hour" if hours == 1 else f"{hours:g} hours"


def _about(suite: Path, texts: dict[Path, str]) -> Path | None:
    """The page with results of a suite, or else the first that names it."""
    name = re.escape(suite.stem)
    for pattern in (
        rf"<!-- [\w-]+: (?:\w+ )?{name}[\w -]*-->",
        rf"suites/(?:paper/)?{name}\.yaml|fairl-bench run {name}\b|`{name}(?:\.yaml)?`",
    ):
        for path, text in texts.items():
            if re.search(pattern, text):
                return path
    return None


def _of_pages(suite: str, texts: dict[Path, str]) -> Shown:
    """What the pages show of a suite: the first table of its numbers, and the work of its run."""
    every = "\n".join(texts.values())
    work = re.search(rf"<!-- models: run {suite} -->\n.*?([\d.]+) h of work", every)
    shown = Shown(work=float(work[1]) * 3600 if work else None)
    for block in (rf"table: {suite}", rf"(?:table|log-ratio): (?:rows )?{suite}[\w -]*"):
        for table in re.findall(rf"<!-- {block} -->\n(.*?)<!-- end -->", every, re.S):
            if found := column_of(table):
                return shown._replace(**found)
    return shown


def column_of(table: str) -> dict[str, Any]:
    """The names of a table in Markdown and one column of its numbers: an AUC where it has one; empty without any."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    heads, body = lines[0], [line for line in lines[1:] if not set(line[0]) <= set("-: ")]
    numbers = [i for i in range(1, len(heads)) if any(NUMBER.search(line[i]) for line in body)]
    if not numbers:
        return {}
    column = next((i for i in numbers if "AUC" in heads[i]), numbers[0])
    # what tells rows apart: the columns before the first numbers that differ from row to row
    labels = [i for i in range(numbers[0]) if len({line[i] for line in body}) > 1] or [0]
    rows = [(" ".join(filter(None, (line[i] for i in labels))), line[column]) for line in body]
    rows = [(name, cell) for name, cell in rows if NUMBER.search(cell)]
    return {"head": heads[column], "rows": tuple(rows[:ROWS]), "left_out": max(len(rows) - ROWS, 0)}


def _picture(shown: Shown) -> str:
    """The numbers of a column as an SVG; a dot a row."""
    points = [(name, *_numbers(cell)) for name, cell in shown.rows]
    low = min(value - spread for _, value, spread in points)
    high = max(value + spread for _, value, spread in points)
    left = LETTER * max(min(len(name.strip("*")), LETTERS) for name, _, _ in points) + 12
    scale = (WIDTH - left - 12) / ((high - low) or 1)
    drawn = [
        _dot(i, name, left - 10, *(left + (end - low) * scale for end in (value - spread, value, value + spread)))
        for i, (name, value, spread) in enumerate(points)
    ]
    height = ROW * (len(points) + 1) + 6
    head = f"{escape(shown.head)}: {low:g} to {high:g}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" font-size="10" fill="currentColor" stroke-width="1.2">'
        f'<title>{head}</title><text x="{left:.0f}" y="10">{head}</text>'
        f'<g text-anchor="end">{"".join(drawn)}</g></svg>'
    )


def _numbers(cell: str) -> tuple[float, float]:
    """The value of a cell, and its spread; 0 where it has none."""
    value = NUMBER.findall(cell)[0]
    spread = re.search(r"± (\d+\.\d+)", cell)
    return float(value), float(spread[1]) if spread else 0.0


def _dot(i: int, name: str, label: float, left: float, x: float, right: float) -> str:
    y = ROW * (i + 1) + 10
    start, end = ('<g opacity=".6">', "</g>") if name.startswith("*") else ("", "")
    plain = name.replace("*", "")
    short = escape(plain if len(plain) <= LETTERS else f"{plain[: LETTERS - 1]}…")
    bar = f'<path d="M{left:.0f} {y}H{right:.0f}" stroke="currentColor"/>' if right - left > 1 else ""
    return f'{start}<text x="{label:.0f}" y="{y + 3}">{short}</text>{bar}<circle cx="{x:.0f}" cy="{y}" r="3"/>{end}'


# --- from results


def taken(folder: Path) -> Shown | None:
    """What the card of a suite shows of its results; None where no table has numbers."""
    tables = sorted((folder / "tables").glob("*.md"), key=lambda path: (path.stem not in ("table1", "findings"), path))
    column = next(filter(None, (column_of(path.read_text()) for path in tables)), None)
    if column is None:
        return None
    facts = json.loads((folder / "run.json").read_text())
    # rewards that were trained together have each the seconds of all
    work = sum(stage["seconds"] / stage.get("trained_together", 1) for stage in facts["stages"])
    return Shown(work=round(work), finished=facts["finished"][:10], **column)


def _read(plain: dict[str, Any]) -> Shown:
    return Shown(**{**plain, "rows": tuple((name, cell) for name, cell in plain["rows"])})


def main(folders: list[Path]) -> None:
    """Keep what the cards show of these results, beside what is kept of others."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found = {json.loads((folder / "run.json").read_text())["suite"]: taken(folder) for folder in folders}
    kept |= {name: shown._asdict() for name, shown in found.items() if shown}
    KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
