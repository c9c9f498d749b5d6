"""Fill the generated blocks of README.md and the pages of docs: ``python docs/_fill/fill.py [RESULTS]``.

A block runs from ``<!-- table: SUITE [table2] -->``, ``<!-- short: SUITE -->``, ``<!-- file: PATH -->``,
``<!-- parts -->``, ``<!-- concepts -->``, ``<!-- toy: samples -->``, ``<!-- theory: statements -->``,
``<!-- calibration: alarms -->``, ``<!-- selection: rules -->``, ``<!-- layouts: read -->``,
``<!-- attribution: bounds -->``, ``<!-- objectives: coverage -->``, ``<!-- performance: ratios -->``,
``<!-- audit: SUITE -->``, ``<!-- gains: SUITE DATA METRIC -->``, ``<!-- gained: SUITE -->``,
``<!-- real: alignment SUITE -->``,
``<!-- real: samples SUITE PAIR ... -->``, ``<!-- models: mix SUITE -->``,
``<!-- log-ratio: rows SUITE -->`` or ``<!-- log-ratio: contrasts SUITE -->`` to ``<!-- end -->``.

Tables and what else is measured come from the results folder (default ``results``) and stay as they are where it has
none; ``--check`` writes nothing and fails when anything else has changed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import attribution
import audits
import calibration
import gains
import layouts
import log_ratio
import objectives
import performance
import real_models
import real_text
import selection
import shortened
import theory
import toy_world

from fairl_bench.kinds import KINDS
from fairl_bench.suite.concepts import concepts as concepts_of
from fairl_bench.suite.registry import Registry

ROOT = Path(__file__).parents[2]


def filled(text: str, results: Path | None) -> str:
    """Return the page with every block made anew that can be made; the others stay as they are."""

    def fill(match: re.Match[str]) -> str:
        start, what, name, old, end = match.groups()
        made = MAKERS[what](name, results)
        return f"{start}{old if made is None else made}{end}"

    return BLOCK.sub(fill, text)


def file(name: str, _: Path | None) -> str:
    """Return a file of the project as a block of Python."""
    return f"```python\n{(ROOT / name).read_text()}```\n"


def table(name: str, results: Path | None) -> str | None:
    """Return a table of a results folder, ``SUITE`` or ``SUITE TABLE``; None where there is none."""
    suite, _, which = name.partition(" ")
    path = results / suite / "tables" / f"{which or 'table1'}.md" if results else None
    return path.read_text() if path and path.exists() else None


def parts(*_: object) -> str:
    """Return the table of the built-in parts: kind, name, and what each is."""
    registry = Registry(installed=False)
    rows = ["| kind | name | what it is |", "|---|---|---|"]
    for kind in KINDS:
        rows += [f"| {kind} | `{name}` | {registry.find(kind, name).help()} |" for name in registry.names(kind)]
    return "\n".join(rows) + "\n"


def concepts(*_: object) -> str:
    """Return the table of the built-in concepts: name, what each measures, and how."""
    rows = ["| name | measures | its value |", "|---|---|---|"]
    found = concepts_of(Registry(installed=False))
    rows += [f"| `{concept.name}` | {concept.measures or 'what you say'} | {concept.help} |" for concept in found]
    return "\n".join(rows) + "\n"


MAKERS: Mapping[str, Callable[[str, Path | None], str | None]] = {
    "table": table,
    "short": shortened.table,
    "file": file,
    "parts": parts,
    "concepts": concepts,
    "toy": lambda name, _: toy_world.TABLES[name](),
    "theory": lambda name, _: theory.TABLES[name](),
    "calibration": lambda name, _: calibration.TABLES[name](),
    "attribution": lambda name, _: attribution.TABLES[name](),
    "objectives": lambda name, _: objectives.TABLES[name](),
    "performance": lambda name, _: performance.TABLES[name](),
    "audit": audits.table,
    "selection": lambda name, _: selection.TABLES[name](),
    "gains": gains.table,
    "gained": gains.sentence,
    "layouts": lambda name, _: layouts.TABLES[name](),
    "log-ratio": log_ratio.table,
    "real": real_text.table,
    "models": real_models.table,
}
"""By the first word of a block, what makes it."""
BLOCK = re.compile(rf"(<!-- ({'|'.join(MAKERS)})(?:: ([^\n]+))? -->\n)(.*?)(<!-- end -->)", re.S)


def main(*arguments: str) -> None:
    """Fill every page, or with ``--check`` fail where one is out of date."""
    check = "--check" in arguments
    folders = [argument for argument in arguments if argument != "--check"]
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text()
        new = filled(text, None if check else Path(folders[0] if folders else "results"))
        if check and new != text:
            sys.exit(f"{page.relative_to(ROOT)} is out of date: run python docs/_fill/fill.py")
        page.write_text(new)


if __name__ == "__main__":
    main(*sys.argv[1:])
