"""The figures and the page of a results folder, from what lies in it alone; made anew only where that has changed."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fairl_bench.engine.report import Folder, read_results, tables
from fairl_bench.engine.suite import truth_of
from fairl_bench.errors import ResultsError
from fairl_bench.figures import figures, render
from fairl_bench.figures.all import Material
from fairl_bench.figures.training import History
from fairl_bench.html.page import PAGE, Content, Picture, made_from, page
from fairl_bench.html.samples import samples
from fairl_bench.tables import comparisons
from fairl_bench.tables.realigned import read_realigned
from fairl_bench.tables.scores import Run, Sheet, read_folder
from fairl_bench.tables.table import Table

MEANING = 3  # raise it when equal inputs give other figures or another page
_PASSING = ("finished", "seconds", "command", "warnings")  # of run.json: what differs between runs of one answer


def write_pages(path: Path, *, again: bool = False) -> Path:
    """Draw ``figures/`` and write ``report.html`` of a results folder, unless both are of what it holds now.

    The page's place.  Raises `ResultsError` where the folder is none, or cannot be written.
    """
    place, signature = path / PAGE, _signature(path)
    if not again and made_from(place) == signature and (path / "figures").is_dir():
        return place
    folder = read_results(path)
    found = _material(folder)
    pictures = []
    try:
        for name, (title, figure) in figures(found).items():
            bytes_of = render(figure)
            for form, content in bytes_of.items():
                _write(path / "figures" / f"{name}.{form}", content)
            pictures.append(Picture(name, title, bytes_of["svg"]))
        (path / "figures").mkdir(exist_ok=True)
        wanted = {f"{picture.name}.{form}" for picture in pictures for form in ("svg", "png")}
        for old in (path / "figures").iterdir():
            if old.name not in wanted:
                old.unlink()
        _write(place, page(_content(folder, found, pictures, signature)).encode())
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror}; name another folder with --results") from error
    return place


def _material(folder: Folder) -> Material:
    report = folder.report
    asked = [table for table in (report.table1, report.table2, report.table3) if table]
    data = dict.fromkeys(name for table in asked for name in table.data)
    models = list(dict.fromkeys(row[0] for row in folder.runs))
    sheets = [_in_order(sheet, folder) for sheet in read_folder(folder.path, folder.name, data)]
    sheets.sort(key=lambda sheet: models.index(sheet.model) if sheet.model in models else len(models))
    compared = folder.paired.comparisons
    made = tables(report, [*folder.records, *folder.paired.records], compared, folder.runs)
    pair = next((table.methods for table in (report.table2, report.table3) if table), None)
    methods = pair or tuple(dict.fromkeys(row.method for row in folder.records))[:2]

    def truth(name: str) -> str:
        given = next((table for table in asked if name in table.data), None)
        return given.truth_of(name) if given else truth_of("gold", name)

    trained = list(histories(folder.path))
    return Material(made.get("1"), folder.records, compared, sheets, trained, truth, methods, list(folder.runs))


def _in_order(sheet: Sheet, folder: Folder) -> Sheet:
    """The same sheet with its runs as the suite has them, not as their files are called."""
    order = {row: at for at, row in enumerate(folder.runs)}

    def place(run: Run) -> tuple[int, int]:
        row = (sheet.model, run.encoder, run.method, run.variant)
        return order.get(row, len(order)), -1 if run.seed is None else run.seed

    return replace(sheet, rewards={run: sheet.rewards[run] for run in sorted(sheet.rewards, key=place)})


def _content(folder: Folder, found: Material, pictures: list[Picture], signature: str) -> Content:
    every = [*folder.records, *folder.paired.records]
    made = tables(folder.report, every, folder.paired.comparisons, folder.runs, notes=folder.notes)
    return Content(
        name=folder.name,
        tables=[*made.values(), *_said(folder.path, {table.name for table in made.values()})],
        pictures=pictures,
        material=found,
        records=every,
        suite=(folder.path / "suite.yaml").read_text(encoding="utf-8"),
        run=_json(folder.path / "run.json"),
        signature=signature,
        samples=samples(read_realigned(folder.path), list(folder.runs)),
    )


def _said(path: Path, known: set[str]) -> Iterator[Table]:
    """The tables that lie in the folder and that its report does not make: claims, regressions."""
    for file in sorted((path / "tables").glob("*.json")):
        told = _json(file)
        rows = told.get("rows", [])
        if file.stem not in known and rows:
            heads = list(dict.fromkeys(name for row in rows for name in row))
            shown = tuple(tuple(_shown(row.get(name)) for name in heads) for row in rows)
            title, notes = str(told.get("title", file.stem)), tuple(map(str, told.get("notes", ())))
            yield Table(title, tuple(("", name) for name in heads), shown, notes)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def histories(path: Path) -> Iterator[History]:
    """What a results folder knows of the training of its rewards."""
    import pyarrow.parquet as pq

    for file in sorted((path / "histories").glob("*.parquet")):
        table = pq.ParquetFile(file).read()
        told = {str(key, "utf-8"): str(value, "utf-8") for key, value in (table.schema.metadata or {}).items()}
        seed = None if told["seed"] == "all" else int(told["seed"])
        series = {
            name: column[np.isfinite(column)]
            for name in table.column_names
            if len(column := table[name].to_numpy()) and np.isfinite(column).any()
        }
        yield History(
            told["model"], told["encoder"], told["method"], told["variant"], int(told["replicate"]), seed, series
        )


def _json(path: Path) -> Mapping[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _signature(path: Path) -> str:
    """What the figures and the page of a folder rest on."""
    whole = hashlib.sha256(f"{MEANING}\n".encode())
    for kind in ("scores", "examples", "truths", "histories", "realigned"):
        for file in sorted((path / kind).glob("*.parquet")):
            whole.update(f"{kind}/{file.name} {comparisons.signature(file)}\n".encode())
    whole.update(f"{comparisons.signature(path / comparisons.FILE)}\n".encode())
    for file in (path / "suite.yaml", path / "records.parquet", *sorted((path / "tables").glob("*.json"))):
        whole.update(file.read_bytes() if file.exists() else b"")
    told = {name: value for name, value in _json(path / "run.json").items() if name not in _PASSING}
    told["stages"] = [{**stage, "computed": None} for stage in told.get("stages", [])]
    whole.update(json.dumps(told, sort_keys=True).encode())
    return whole.hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    half = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        half.write_bytes(content)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
