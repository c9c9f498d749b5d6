"""The figures and the page of a results folder, from what lies in it alone; made anew only where that has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from fairl_bench.figures import figures, render
from fairl_bench.figures.all import Material
from fairl_bench.html.page import Content, Picture, page
from fairl_bench.html.samples import samples
from fairl_bench.results import comparisons
from fairl_bench.results.files import Writer
from fairl_bench.results.folder import PAGE, ResultsFolder, readable
from fairl_bench.results.results import RECORDS, SUITE, Results
from fairl_bench.table import Table
from fairl_bench.tables.report import tables

MEANING = 3  # raise it when equal inputs give other figures or another page
_PASSING = ("finished", "seconds", "command", "warnings")  # of run.json: what differs between runs of one answer


def write_pages(results: Results, *, again: bool = False) -> Path:
    """Draw ``figures/`` and write ``report.html`` of a results folder, unless both are of what it holds now.

    The page's place.  Raises `ResultsError` where the folder cannot be written.
    """
    signature = _signature(results)
    if again or not _whole(results, signature):
        files = Writer(results.path)
        with files.held():
            _draw(files, results, signature)
    return results.path / PAGE


def _whole(results: Results, signature: str) -> bool:
    """Whether the page and the figures are there, and made from this."""
    files = Writer(results.path)
    files.manifest = results.files.manifest
    drawn = [PAGE, *files.listed("figures/")]
    return all(files.holds(name, signature) for name in drawn)


def _draw(files: Writer, results: Results, signature: str) -> None:
    found = _figures_of(results)
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
    files.put(PAGE, signature, page(_content(results, found, pictures, signature)))
    files.commit()


def _figures_of(results: Results) -> Material:
    return Material(
        tables(results.report, results).get("1"),
        results.single_records,
        results.comparisons,
        results.sheets(results.data),
        results.histories,
        results.truth_of,
        results.methods,
        list(results.rows),
        results.metrics,
    )


def _content(results: Results, found: Material, pictures: list[Picture], signature: str) -> Content:
    made = tables(results.report, results)
    return Content(
        name=results.name,
        tables=[*made.values(), *_said(results.files, {table.name for table in made.values()})],
        pictures=pictures,
        material=found,
        records=results.records,
        suite=results.suite,
        run=results.run,
        signature=signature,
        samples=samples(results.realigned, list(results.rows)),
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


def _signature(results: Results) -> str:
    """What the figures and the page of a folder rest on."""
    files = results.files
    whole = hashlib.sha256(f"{MEANING}\n".encode())
    names = [name for kind in ("scores", "examples", "truths", "histories", "realigned") for name in files.names(kind)]
    for name in (*names, comparisons.FILE, SUITE, RECORDS, *_saved(files)):
        digest = files.digest(name) if files.has(name) else _sha256(files.path / name)
        whole.update(f"{name} {digest}\n".encode())
    run = {name: value for name, value in results.run.items() if name not in _PASSING}
    run["stages"] = [{**stage, "computed": None} for stage in run.get("stages", [])]
    whole.update(json.dumps(run, sort_keys=True).encode())
    return whole.hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
