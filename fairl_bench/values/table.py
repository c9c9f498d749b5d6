"""A table as it is shown, and the tidy rows behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple, Protocol

from fairl_bench.guards.printable import printable


class Printer(Protocol):
    """The printer of IPython."""

    stack: Sequence[int]  # what is being printed: a value, within it another, ...

    def text(self, text: str, /) -> None:
        """Print a text."""


Value = str | float | int | None


class Table(NamedTuple):
    """A table as it is shown: column heads (of one or two lines), rows of text, and the notes below.

    ``tidy`` has the same numbers and more, one mapping a cell or a row; ``bold`` the (row, column) of what stands out.
    ``name`` is what its files are called and what ``--table`` takes; ``caption`` stands on the page above its title.
    The first ``references`` rows are set apart from those below: bounds, which are not ranked.
    """

    title: str
    heads: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    tidy: tuple[Mapping[str, Value], ...] = ()
    bold: frozenset[tuple[int, int]] = frozenset()
    name: str = ""
    caption: str = ""
    references: int = 0

    @property
    def blocks(self) -> tuple[Sequence[int], ...]:
        """The numbers of its rows, in a block each: the reference rows, if there are any, and the others."""
        every = range(len(self.rows))
        return tuple(block for block in (every[: self.references], every[self.references :]) if block)

    def __str__(self) -> str:
        """The table as a terminal shows it; the upper line of its heads once for each run of columns that share it."""
        from tabulate import SEPARATING_LINE, tabulate

        pairs = [_two_lines(head) for head in self.heads]
        before = ["", *(top for top, _ in pairs)]
        tops = ["" if top == last else top for last, (top, _) in zip(before, pairs, strict=False)]
        upper = [f"{top}\n" if any(tops) else "" for top in tops]
        heads = [top + name for top, (_, name) in zip(upper, pairs, strict=True)]
        first, *further = self.blocks or ((),)
        rows = [self.rows[at] for at in first]
        for block in further:
            rows += [SEPARATING_LINE, *(self.rows[at] for at in block)]
        body = tabulate(rows, heads, tablefmt="simple", disable_numparse=True)
        return printable("\n".join([self.title, "", body, "", *self.notes]))

    def __repr__(self) -> str:
        return printable(f"<table {self.name}: {self.title}, {len(self.rows)} rows>")

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        """The table in IPython's terminal; in one line where it is one of several."""
        printer.text(repr(self) if len(printer.stack) > 1 else str(self))

    def _repr_html_(self) -> str:
        """The table as Jupyter shows it: texts are escaped, since names come from files of others."""
        heads = ["".join(f"<th>{escape(_two_lines(head)[at])}</th>" for head in self.heads) for at in range(2)]
        head = "".join(f"<tr>{line}</tr>" for line in heads)
        body = "".join(map(self._block, self.blocks))
        notes = "".join(f"<div>{escape(note)}</div>" for note in self.notes)
        return f"<table><caption>{escape(self.title)}</caption><thead>{head}</thead>{body}</table>{notes}"

    def _block(self, rows: Sequence[int]) -> str:
        """Rows as HTML; those of references in italics, with a line below."""
        lines = ("".join(self._cell(row, column) for column in range(len(self.rows[row]))) for row in rows)
        apart = ' style="font-style: italic; border-bottom: 2px solid"' if rows[0] < self.references else ""
        return f"<tbody{apart}>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody>"

    def _cell(self, row: int, column: int) -> str:
        text = escape(self.rows[row][column])
        return f"<td><b>{text}</b></td>" if (row, column) in self.bold else f"<td>{text}</td>"


def _two_lines(head: tuple[str, ...]) -> tuple[str, str]:
    """The upper and the lower line of a head; the upper one is empty where it has one line."""
    return (head[0] if len(head) > 1 else "", head[-1] if head else "")
