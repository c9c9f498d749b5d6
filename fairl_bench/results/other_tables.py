"""The tables that lie in a results folder and that its readers do not make, such as one of a plugin elsewhere."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from pathlib import PurePosixPath

from fairl_bench.results.folder import TABLES, ResultsFolder, readable
from fairl_bench.values.table import Table


def tables_besides(files: ResultsFolder, names: Container[str]) -> Iterator[Table]:
    """The saved tables except those of these names, as their JSON files have them."""
    for name in saved_tables(files):
        with readable(files.path / name):
            content = (
                files.json(name) if files.has(name) else json.loads((files.path / name).read_text(encoding="utf-8"))
            )
            rows = content.get("rows", [])
            stem = PurePosixPath(name).stem
            if stem not in names and rows:
                heads = list(dict.fromkeys(head for row in rows for head in row))
                shown = tuple(tuple(_as_text(row.get(head)) for head in heads) for row in rows)
                title, notes = str(content.get("title", stem)), tuple(map(str, content.get("notes", ())))
                yield Table(title, tuple(("", head) for head in heads), shown, notes, name=stem)


def saved_tables(files: ResultsFolder) -> list[str]:
    """The tables in the folder, also those that somebody else has put there."""
    return sorted(f"{TABLES}/{path.name}" for path in (files.path / TABLES).glob("[!.]*.json") if path.is_file())


def _as_text(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
