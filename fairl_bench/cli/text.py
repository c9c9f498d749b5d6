"""What may be printed: texts without control characters and secrets, and tables in the format asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairl_bench.secrets import hidden

if TYPE_CHECKING:
    from fairl_bench.table import Table


def printable(text: str) -> str:
    """A text without control characters, which could rewrite the terminal: data may be hostile."""
    return "".join(letter if letter == "\n" or letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def safe(text: str) -> str:
    """A text of ours or of a part's without control characters and without secrets."""
    return printable(hidden(text))


def rendered(tables: Sequence[Table], form: str) -> str:
    """Tables as a terminal, Markdown, LaTeX, CSV or JSON shows them, one below the other."""
    from fairl_bench.tables.formats import FORMATS, as_text

    render = {"terminal": as_text, **FORMATS, "markdown": FORMATS["md"], "latex": FORMATS["tex"]}[form]
    return "\n\n".join(printable(render(table)).rstrip("\n") for table in tables)


def print_tables(tables: Sequence[Table], form: str) -> None:
    """Print tables in the format asked for."""
    import click

    click.echo(rendered(tables, form))
