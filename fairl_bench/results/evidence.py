"""Reads from a results folder the rows that evaluators kept beside their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from fairl_bench.results.folder import EVIDENCE, ResultsFolder
from fairl_bench.results.scores import cell_of
from fairl_bench.values.evidence import CellEvidence


def tables_of(files: ResultsFolder) -> Sequence[str]:
    """The names of the tables of evidence in a results folder, ``EVALUATOR`` or ``EVALUATOR/NAME``."""
    return list(dict.fromkeys(_table(name) for name in files.names(EVIDENCE)))


def read_evidence(files: ResultsFolder, table: str) -> list[CellEvidence]:
    """The rows of one table, cell by cell.  Raises `ResultsError` for a file that is broken."""
    found = []
    for name in files.names(EVIDENCE):
        if _table(name) == table:
            rows = files.table(name)
            found.append(CellEvidence(cell_of(rows, files.path / name).cell, rows))
    return found


def _table(name: str) -> str:
    """The table that a file in ``evidence/`` is of."""
    return PurePosixPath(name).parent.relative_to(EVIDENCE).as_posix()
