"""The figures and the page of a results folder, from what lies in it alone; made anew only where that has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from fairl_bench.figures import figures, render
from fairl_bench.figures.all import Material
from fairl_bench.html.page import Content, Picture, page
from fairl_bench.html.samples import samples
from fairl_bench.results import comparisons
from fairl_bench.results.files import Writer
from fairl_bench.results.folder import PAGE, ResultsFolder, readable
from fairl_bench.results.material import FolderMaterial
from fairl_bench.results.read import RECORDS, RUN, SUITE, Folder, read_results, tables
from fairl_bench.results.realigned import read_realigned
from fairl_bench.table import Table

MEANING = 3  # raise it when equal inputs give other figures or another page
_PASSING = ("finished", "seconds", "command", "warnings")  # of run.json: what differs between runs of one answer


def write_pages(path: Path, *, again: bool = False) -> Path:
    """Draw ``figures/`` and write ``report.html`` of a results folder, unless both are of what it holds now.

    The page's place.  Raises `ResultsError` where the folder is none, or cannot be written.
    """
    files = Writer(path)
    signature = _signature(ResultsFolder(path)) if path.is_dir() else ""
    if again or not signature or not _whole(path, signature):
        read_results(path)  # a folder that is none stays as it is
        with files.held():
            _draw(files, read_results(path), _signature(files))
    return path / PAGE


def _whole(path: Path, signature: str) -> bool:
    """Whether the page and the figures are there, and made from this."""
    files = Writer(path)
    files.manifest = ResultsFolder(path).manifest
    drawn = [PAGE, *files.listed("figures/")]
    return all(files.holds(name, signature) for name in drawn)


def _draw(files: Writer, folder: Folder, signature: str) -> None:
    found = _figures_of(FolderMaterial(folder))
    pictures = []
    for name, (title, figure) in figures(found).items():
        bytes_of = render(figure)
        for form, content in bytes_of.items():
            files.put(f"figures/{name}.{form}", signature, content)
        pictures.append(Picture(name, title, bytes_of["svg"]))
    wanted = {f"figures/{picture.name}.{form}" for picture in pictures for form in ("svg", "png")}
    for old in files.listed("figures/"):
        if old not in wanted:
            files.drop(old)
    files.put(PAGE, signature, page(_content(folder, found, pictures, signature)))
    files.commit()


def _figures_of(material: FolderMaterial) -> Material:
    folder, sheets = material.folder, material.sheets(material.data)
    report, compared = folder.report, material.comparisons
    made = tables(report, material.records, compared, folder.runs, known=folder.known)
    trained = material.histories
    return Material(
        made.get("1"),
        folder.records,
        compared,
        sheets,
        trained,
        material.truth_of,
        material.methods,
        list(folder.runs),
    )


def _content(folder: Folder, found: Material, pictures: list[Picture], signature: str) -> Content:
    every = [*folder.records, *folder.paired.records]
    compared = folder.paired.comparisons
    made = tables(folder.report, every, compared, folder.runs, known=folder.known, notes=folder.notes)
    files = ResultsFolder(folder.path)
    return Content(
        name=folder.name,
        tables=[*made.values(), *_said(files, {table.name for table in made.values()})],
        pictures=pictures,
        material=found,
        records=every,
        suite=files.text(SUITE),
        run=_run(files),
        signature=signature,
        samples=samples(read_realigned(folder.path), list(folder.runs)),
    )


def _said(files: ResultsFolder, known: set[str]) -> Iterator[Table]:
    """The tables that lie in the folder and that its report does not make: claims, regressions."""
    for name in _saved(files):
        with readable(files.path / name):
            told = files.json(name) if files.has(name) else json.loads((files.path / name).read_text(encoding="utf-8"))
            rows = told.get("rows", [])
            stem = PurePosixPath(name).stem
            if stem not in known and rows:
                heads = list(dict.fromkeys(head for row in rows for head in row))
                shown = tuple(tuple(_shown(row.get(head)) for head in heads) for row in rows)
                title, notes = str(told.get("title", stem)), tuple(map(str, told.get("notes", ())))
                yield Table(title, tuple(("", head) for head in heads), shown, notes)


def _saved(files: ResultsFolder) -> list[str]:
    """The tables in the folder, also those that somebody else has put there."""
    return sorted(f"tables/{path.name}" for path in (files.path / "tables").glob("[!.]*.json") if path.is_file())


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _signature(files: ResultsFolder) -> str:
    """What the figures and the page of a folder rest on."""
    whole = hashlib.sha256(f"{MEANING}\n".encode())
    names = [name for kind in ("scores", "examples", "truths", "histories", "realigned") for name in files.names(kind)]
    for name in (*names, comparisons.FILE, SUITE, RECORDS, *_saved(files)):
        digest = files.digest(name) if files.has(name) else _sha256(files.path / name)
        whole.update(f"{name} {digest}\n".encode())
    told = {name: value for name, value in _run(files).items() if name not in _PASSING}
    told["stages"] = [{**stage, "computed": None} for stage in told.get("stages", [])]
    whole.update(json.dumps(told, sort_keys=True).encode())
    return whole.hexdigest()


def _run(files: ResultsFolder) -> Mapping[str, Any]:
    return files.json(RUN) if files.has(RUN) else {}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
