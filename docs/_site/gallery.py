"""The gallery: a card for each suite, with what it asks, what it found, how long it takes, and the command."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import NamedTuple

from fairl_bench.suite.named_files import first_sentence

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TIME = re.compile(
    r"(?:about )?(?:half a minute|half an hour|an hour|a minute|[\w.]+(?: to [\w.]+)? (?:seconds|minutes|hours))"
    r"(?: of CPU time)?(?:,? (?:on|in) (?:two|one) (?:cores?|processes))?"
)
NUMBER = re.compile(r"-?\d+\.\d+")
WIDTH, ROW, LABEL, ROWS = 300, 14, 130, 16


class Found(NamedTuple):
    """What the pages show of a suite's results: the page, and the first table of methods."""

    page: Path
    table: str


def page() -> str:
    """The gallery in Markdown."""
    shown = _found()
    suites = [*sorted((ROOT / "suites").glob("*.yaml")), *sorted((ROOT / "suites" / "paper").glob("*.yaml"))]
    suites.sort(key=lambda path: path.stem != "detox")  # the main job first
    cards = [_card(path, shown.get(path.stem)) for path in suites]
    return (
        "# Gallery: the suites in the box\n\n"
        "Each picture shows the first AUC, or else the first number, of a table of the suite's results, with the "
        "spread over seeds; the page that is named below it has the table. A suite without one has no results on "
        "these pages. Faint rows are references, which are not ranked.\n\n"
        '<div class="grid cards" markdown>\n\n' + "\n".join(cards) + "\n</div>\n"
    )


def _found() -> dict[str, Found]:
    """By suite, the first page with a table of its own numbers, Table 1 before others."""
    found: dict[str, Found] = {}
    for block in (r"table: ([\w-]+)", r"(?:table|log-ratio): (?:rows )?([\w-]+)[\w -]*"):
        for path in sorted(DOCS.rglob("*.md")):
            for suite, table in re.findall(rf"<!-- {block} -->\n(.*?)<!-- end -->", path.read_text(), re.S):
                if _columns(table):
                    found.setdefault(suite, Found(path, table))
    return found


def _card(path: Path, found: Found | None) -> str:
    """One card."""
    name = path.stem
    paper = path.parent.name == "paper"
    lines = [f"-   **{name}**", escape(_sentence(path), quote=False)]
    if found:
        lines += [_picture(found.table), f"[{_title(found.page)}]({found.page.relative_to(DOCS)})"]
    lines += [f"Takes {time}." for time in filter(None, [_time(path)])]
    lines.append(f"`fairl-bench run {'suites/paper/' + path.name if paper else name}`")
    return "\n\n    ".join(lines) + "\n"


def _sentence(path: Path) -> str:
    """The first sentence of a suite's first comment."""
    said = first_sentence(path)
    return said if said.endswith((".", "?")) else f"{said}."


def _title(path: Path) -> str:
    return path.read_text().splitlines()[0].removeprefix("# ")


def _time(suite: Path) -> str:
    """How long a suite takes, as its own comment or the sentence of a page that names its command says; or nothing."""
    comment = " ".join(line.lstrip("# ") for line in suite.read_text().splitlines() if line.startswith("#"))
    if (match := TIME.search(comment)) is not None:
        return match[0]
    command = re.compile(rf"fairl-bench run (?:suites/)?{re.escape(suite.stem)}(?:\.yaml)?(?=[ \n])")
    for path in sorted(DOCS.rglob("*.md")):
        prose = re.sub(r"<!-- [\w-]+: [^\n]+ -->\n.*?<!-- end -->", "", path.read_text(), flags=re.S)
        place = command.search(prose)
        if place and (match := TIME.search(prose[place.start() : place.start() + 300])) is not None:
            return match[0]
    return ""


class Columns(NamedTuple):
    """A table in Markdown: what it is about, by row, and its column of numbers."""

    head: str
    rows: list[tuple[str, str]]


def _columns(table: str) -> Columns | None:
    """The AUC of a table where it has one, else its first column with numbers behind the names.

    None without any, or where a name stands in several rows, so that a picture would not say which is which.
    """
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    heads, body = lines[0], [line for line in lines[1:] if not set(line[0]) <= set("-: ")]
    label = next((heads.index(name) for name in ("method", "claim") if name in heads), 0)
    numbers = [i for i in range(label + 1, len(heads)) if any(NUMBER.search(line[i]) for line in body)]
    if not numbers:
        return None
    column = next((i for i in numbers if "AUC" in heads[i]), numbers[0])
    rows = [(line[label], line[column]) for line in body if NUMBER.search(line[column])]
    if len({name for name, _ in rows}) < len(rows):
        return None
    return Columns(heads[column], rows[:ROWS])


def _picture(table: str) -> str:
    """The numbers of a table as an SVG; a dot a row."""
    columns = _columns(table)
    assert columns is not None
    points = [(name, *_numbers(cell)) for name, cell in columns.rows]
    low = min(value - spread for _, value, spread in points)
    high = max(value + spread for _, value, spread in points)
    scale = (WIDTH - LABEL - 20) / ((high - low) or 1)
    drawn = [
        _dot(i, name, *(LABEL + 10 + (end - low) * scale for end in (value - spread, value, value + spread)))
        for i, (name, value, spread) in enumerate(points)
    ]
    height = ROW * (len(points) + 1) + 6
    head = escape(columns.head)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" font-size="9" fill="currentColor">'
        f"<title>{head}</title>"
        f'<text x="{LABEL + 10}" y="10">{head}: {low:.2f} to {high:.2f}</text>{"".join(drawn)}</svg>'
    )


def _numbers(cell: str) -> tuple[float, float]:
    """The value of a cell, and its spread; 0 where it has none."""
    value = NUMBER.findall(cell)[0]
    spread = re.search(r"± (\d+\.\d+)", cell)
    return float(value), float(spread[1]) if spread else 0.0


def _dot(i: int, name: str, left: float, x: float, right: float) -> str:
    y = ROW * (i + 1) + 10
    fade = ' opacity=".5"' if name.startswith("*") else ""
    plain = escape(name.strip("*"))
    return (
        f'<g{fade}><text x="{LABEL}" y="{y + 3}" text-anchor="end">{plain[:26]}</text>'
        f'<line x1="{left:.0f}" x2="{right:.0f}" y1="{y}" y2="{y}" stroke="currentColor"/>'
        f'<circle cx="{x:.0f}" cy="{y}" r="3"/></g>'
    )
