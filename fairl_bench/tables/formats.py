"""The texts that a table is printed and saved as."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping

from fairl_bench.values.table import Table, Value


def as_markdown(table: Table) -> str:
    """The table as GitHub's Markdown; reference rows are in italics, for it has no line between rows."""
    from tabulate import tabulate

    heads, *rows = ([_plain_md(cell).replace("|", "\\|") for cell in row] for row in (_flat(table), *table.rows))
    for row, column in table.bold:
        rows[row][column] = f"**{rows[row][column]}**"
    for of_reference in rows[: table.references]:
        of_reference[:] = [f"*{cell}*" if cell else cell for cell in of_reference]
    body = tabulate(rows, heads, tablefmt="github", disable_numparse=True)
    notes = [f"{_plain_md(note)}  " for note in table.notes]
    return "\n".join([f"**{_plain_md(table.title)}**", "", body, "", *notes, ""])


# what begins a tag, an entity, an image, and what makes a link of brackets: names come from files of others
_MARKUP = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)|\\(?=[^\w\s])|!(?=\[)|(?<=\])(?=[(\[])|`")


def _plain_md(text: str) -> str:
    """A text that Markdown shows as it is, on one line.

    >>> _plain_md("<b>1 < 2</b>"), _plain_md("![x](y)"), _plain_md("p < 0.05, [0.1, 0.2]")
    ('&lt;b>1 < 2&lt;/b>', '&#33;[x]&#8203;(y)', 'p < 0.05, [0.1, 0.2]')
    """
    entity_of = {"<": "&lt;", "&": "&amp;", "": "&#8203;"}
    return _MARKUP.sub(lambda match: entity_of.get(match[0]) or f"&#{ord(match[0])};", " ".join(text.splitlines()))


def as_latex(table: Table) -> str:
    """The table as a booktabs tabular; it needs ``\\usepackage{booktabs}``."""
    from tabulate import tabulate

    heads = [_tex(head) for head in _flat(table)]
    rows = [[_tex(cell) for cell in row] for row in table.rows]
    for row, column in table.bold:
        rows[row][column] = f"\\textbf{{{rows[row][column]}}}"
    body: str = tabulate(rows, heads, tablefmt="latex_raw", disable_numparse=True)
    first, head, lines, end = body.split("\\hline\n")
    below = lines.splitlines(keepends=True)
    blocks = "\\midrule\n".join("".join(below[at] for at in block) for block in table.blocks)
    body = f"{first}\\toprule\n{head}\\midrule\n{blocks}\\bottomrule\n{end}"
    return "".join(f"% {line}\n" for note in table.notes for line in note.splitlines()) + body + "\n"


def as_csv(table: Table) -> str:
    """Comma-separated values for a spreadsheet, a line for each number where the table has tidy rows.

    No cell can start a formula.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in _tidy(table) if table.tidy else [_flat(table), *map(list, table.rows)]:
        writer.writerow(["'" + cell if _formula(cell) else cell for cell in row])
    return out.getvalue()


def as_json(table: Table) -> str:
    """The tidy rows with title and notes; a number that is not defined is null."""
    rows = table.tidy or tuple(dict(zip(_flat(table), row, strict=True)) for row in table.rows)
    plain = [{name: None if _missing(value) else value for name, value in row.items()} for row in rows]
    return json.dumps({"title": table.title, "notes": table.notes, "rows": plain}, indent=1, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Callable[[Table], str]] = {"md": as_markdown, "csv": as_csv, "tex": as_latex, "json": as_json}
"""The formats in which a table is saved, by the ending of the file."""


def rendered_files(tables: Iterable[Table]) -> dict[str, str]:
    """The text of every file that tables are saved as, by its name."""
    return {f"{table.name}.{ending}": render(table) for table in tables for ending, render in FORMATS.items()}


def _tidy(table: Table) -> list[list[str]]:
    names = list(dict.fromkeys(name for row in table.tidy for name in row))
    return [names, *([_plain(row.get(name)) for name in names] for row in table.tidy)]


def _plain(value: Value) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return "" if value is None else str(value)


def _missing(value: Value) -> bool:
    """True where a value is a number that is not finite."""
    return isinstance(value, float) and not math.isfinite(value)


_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?( ± \d+(\.\d+)?)?")


def _formula(cell: str) -> bool:
    """True where a spreadsheet would take a cell for a formula."""
    return cell.startswith(("=", "+", "-", "@", "\t")) and not _NUMBER.fullmatch(cell)


def _flat(table: Table) -> list[str]:
    return [" ".join(head).strip() for head in table.heads]


_TEX = {
    **{letter: f"\\{letter}" for letter in "_%&#${}"},
    **{"↑": "$\\uparrow$", "↓": "$\\downarrow$", "±": "$\\pm$", "¹": "$^{1}$", "−": "$-$", "→": "$\\to$"},
    **{"χ": "$\\chi$", "²": "$^{2}$", "α": "$\\alpha$", "<": "$<$", ">": "$>$", "|": "$|$"},
    **{"~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "\\": "\\textbackslash{}"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
