"""Fill the generated blocks of README.md and the pages of docs: ``python docs/_fill/fill.py [RESULTS]``.

A block runs from ``<!-- table: SUITE [table2] -->``, ``<!-- file: PATH -->``, ``<!-- parts -->``,
``<!-- toy: samples -->``, ``<!-- theory: statements -->``, ``<!-- calibration: alarms -->``,
``<!-- selection: rules -->``, ``<!-- gains: SUITE DATA METRIC -->``, ``<!-- real: alignment SUITE -->`` or
``<!-- real: samples SUITE PAIR ... -->`` to ``<!-- end -->``.  Tables and what else is measured come from the results
folder (default ``results``) and stay as they are where it has none; ``--check`` writes nothing and fails when anything
else has changed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import calibration
import gains
import real_text
import selection
import theory
import toy_world

from fairl_bench.kinds import KINDS
from fairl_bench.suite.registry import Registry

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(<!-- (table|file|parts|toy|theory|calibration|selection|gains|real)(?:: ([^\n]+))? -->\n)(.*?)(<!-- end -->)",
    re.S,
)


def filled(text: str, results: Path | None) -> str:
    """The page with every block that can be made made anew."""

    def fill(match: re.Match[str]) -> str:
        start, what, name, old, end = match.groups()
        if what == "file":
            return f"{start}```python\n{(ROOT / name).read_text()}```\n{end}"
        if what == "parts":
            return f"{start}{parts()}{end}"
        if what == "toy":
            return f"{start}{toy_world.TABLES[name]()}{end}"
        if what == "theory":
            return f"{start}{theory.TABLES[name]()}{end}"
        if what == "calibration":
            return f"{start}{calibration.TABLES[name]()}{end}"
        if what == "selection":
            return f"{start}{selection.TABLES[name]()}{end}"
        if what == "gains":
            return f"{start}{gains.table(name, results) or old}{end}"
        if what == "real":
            return f"{start}{real_text.table(name, results) or old}{end}"
        suite, _, which = name.partition(" ")
        table = results / suite / "tables" / f"{which or 'table1'}.md" if results else None
        return f"{start}{table.read_text()}{end}" if table and table.exists() else f"{start}{old}{end}"

    return BLOCK.sub(fill, text)


def parts() -> str:
    """Every built-in part: its kind, its name, what it is."""
    registry = Registry(installed=False)
    rows = ["| kind | name | what it is |", "|---|---|---|"]
    for kind in KINDS:
        rows += [f"| {kind} | `{name}` | {registry.find(kind, name).help()} |" for name in registry.names(kind)]
    return "\n".join(rows) + "\n"


def main(*arguments: str) -> None:
    """Fill or check every page."""
    check = "--check" in arguments
    folders = [argument for argument in arguments if argument != "--check"]
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text()
        new = filled(text, None if check else Path(folders[0] if folders else "results"))
        if check and new != text:
            sys.exit(f"{page.name} is out of date: run python docs/_fill/fill.py")
        page.write_text(new)


if __name__ == "__main__":
    main(*sys.argv[1:])
