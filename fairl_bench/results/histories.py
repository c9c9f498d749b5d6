"""The histories of trainings, as a results folder keeps them."""

from __future__ import annotations

import numpy as np

from fairl_bench.results.folder import HISTORIES, ResultsFolder, readable
from fairl_bench.results.scores import cell_of
from fairl_bench.values.history import History


def read_histories(files: ResultsFolder) -> list[History]:
    """The history of each training.  Raises `ResultsError` for a file that is broken."""
    return [_read(files, name) for name in files.names(HISTORIES)]


def _read(files: ResultsFolder, name: str) -> History:
    """The history in one file."""
    table = files.table(name)
    cell, _ = cell_of(table, files.path / name)
    with readable(files.path / name):
        columns = {column: table[column].to_numpy() for column in table.column_names}
        series = {column: numbers[np.isfinite(numbers)] for column, numbers in columns.items()}
    finite = {column: numbers for column, numbers in series.items() if len(numbers)}
    return History(cell, finite)
