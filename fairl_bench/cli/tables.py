"""Tables as the command line prints them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from fairl_bench.guards.printable import printable

if TYPE_CHECKING:
    from fairl_bench.values.findings import Findings
    from fairl_bench.values.table import Table


def rendered(tables: Sequence[Table], form: str) -> str:
    """Tables as a terminal, Markdown, LaTeX, CSV or JSON shows them, one below the other."""
    from fairl_bench.tables.formats import FORMATS

    forms: Mapping[str, Callable[[Table], str]] = {
        "terminal": str,
        **FORMATS,
        "markdown": FORMATS["md"],
        "latex": FORMATS["tex"],
    }
    render = forms[form]
    return "\n\n".join(printable(render(table)).rstrip("\n") for table in tables)


def print_tables(tables: Sequence[Table], form: str) -> None:
    """Print tables in the format asked for."""
    click.echo(rendered(tables, form))


def print_findings(found: Sequence[Findings]) -> None:
    """Print what audits found, each in five to ten lines."""
    from fairl_bench.audits.words import lines_of
    from fairl_bench.guards.printable import safe

    for one in found:
        for line in lines_of(one):
            click.echo(safe(line))
