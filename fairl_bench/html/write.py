"""The figures and the page of a results folder, from what lies in it alone; made anew only where that has changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from fairl_bench.figures.draw import pictures
from fairl_bench.results.folder import (
    EVIDENCE,
    FIGURES,
    HISTORIES,
    INTERVALS,
    METRICS,
    PAGE,
    RECORDS,
    SCORES,
    SUITE,
    WORLDS,
)
from fairl_bench.results.other_tables import saved_tables
from fairl_bench.results.results import StudyResults
from fairl_bench.results.writer import Writer
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import figures_of, panels_of

MEANING = 9  # raise it when equal inputs give other figures or another page
_PASSING = ("finished", "seconds", "command", "warnings")  # of run.json: what differs between runs of one answer


def write_pages(results: StudyResults, *, again: bool = False) -> Path:
    """Draw ``figures/`` and write ``report.html`` of a results folder, unless both are of what it holds now.

    The page's place.  Raises `ResultsError` where the folder cannot be written.
    """
    signature = _signature(results)
    files = Writer.of(results.files)
    if again or _drawn_by_plugins(results.asked.registry) or not _whole(files, signature):
        with files.held():
            _draw(files, results, signature)
    return results.path / PAGE


def _drawn_by_plugins(registry: Registry) -> bool:
    """Whether a plugin takes part: what it draws may have changed although the folder has not."""
    views = {"fairl_tables", "fairl_figures", "fairl_panels"}
    return any(plugin.origin != "built-in" and views & set(plugin.hooks) for plugin in registry.plugins.values())


def _whole(files: Writer, signature: str) -> bool:
    """Whether the page and the figures are there, and made from this."""
    drawn = [PAGE, *files.listed(f"{FIGURES}/")]
    return all(files.holds(name, signature) for name in drawn)


def _draw(files: Writer, results: StudyResults, signature: str) -> None:
    from fairl_bench.html.page import page  # its templates take a moment, and most runs again draw nothing

    registry = results.asked.registry
    guard = results.guard
    drawn = pictures(figures_of(registry, guard), results, guard)
    wanted = set()
    for picture in drawn.values():
        for form, content in picture.formats.items():
            files.put(f"{FIGURES}/{picture.name}.{form}", signature, content)
            wanted.add(f"{FIGURES}/{picture.name}.{form}")
    for old in files.listed(f"{FIGURES}/"):
        if old not in wanted:
            files.drop(old)
    files.put(PAGE, signature, page(results, panels_of(registry, guard), drawn, signature, guard))
    files.commit()


def _signature(results: StudyResults) -> str:
    """What the figures and the page of a folder rest on."""
    files = results.files
    whole = hashlib.sha256(f"{MEANING}\n".encode())
    names = [name for kind in (SCORES, *WORLDS, HISTORIES, EVIDENCE) for name in files.names(kind)]
    for name in (*names, INTERVALS, SUITE, RECORDS, METRICS, *saved_tables(files)):
        digest = files.digest(name) if files.has(name) else _sha256(files.path / name)
        whole.update(f"{name} {digest}\n".encode())
    run = {name: value for name, value in results.run.plain().items() if name not in _PASSING}
    run["stages"] = [{**stage, "computed": None} for stage in results.run.stages]
    whole.update(json.dumps(run, sort_keys=True).encode())
    return whole.hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
