"""The Parquet files of worlds and cells: examples, truths, scores, histories and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from fairl_bench.digests import digest
from fairl_bench.results.folder import alike, distinct
from fairl_bench.values.arrow import arrow_table, masked, numbers, texts
from fairl_bench.values.data import Examples
from fairl_bench.values.finished import FinishedCell, FinishedWorld, Stored

ROLES = {1: "preferred", -1: "rejected", 0: None}


def file_names(worlds: Iterable[FinishedWorld], cells: Iterable[FinishedCell]) -> tuple[list[str], list[str]]:
    """The name of each world's and each cell's files, without an ending.

    It has a digest where the coordinates alone are no name for it alone.
    """
    stems = [(world.place.stem, [*world.place, *world.keys]) for world in worlds]
    count = len(stems)
    stems += [(cell.place.stem, [cell.place.axes(), *cell.answers]) for cell in cells]
    unusable = alike(stem for stem, _ in stems)
    names = [
        distinct(stem, digest(identity)) if is_unusable else stem
        for (stem, identity), is_unusable in zip(stems, unusable, strict=True)
    ]
    return names[:count], names[count:]


def signature(*keys: str) -> str:
    """The signature of a file that was made from the stages with these keys."""
    return " ".join(key[:16] for key in keys)


def world_tables(world: FinishedWorld) -> tuple[pa.Table, pa.Table]:
    """The rows of ``examples`` and of ``truths``, all data sets of a world below one another."""
    examples, truths = [], []
    for dataset in (name for name, there in world.texts.items() if there.there):
        of_dataset, split = world.examples(dataset)
        examples.append(_example_rows(dataset, of_dataset, split))
        truths += [_truth_rows(dataset, name, *truth) for name, truth in of_dataset.truths.items()]
    return pa.concat_tables(examples), pa.concat_tables(truths)


def score_table(cell: FinishedCell, world_file: str) -> pa.Table:
    """The rewards of a cell, with its coordinates and the file of its examples in the metadata."""
    scores = cell.scores.load()
    wide = np.result_type(*scores.values())  # one type a column: float64 where one data set needs it
    tables = []
    for dataset, reward in scores.items():
        scored, split = cell.world.examples(dataset)
        columns = {"dataset": texts([dataset] * len(scored)), "split": texts(split)}
        columns |= {"example": numbers(np.arange(len(scored))), "reward": numbers(reward.astype(wide))}
        tables.append(arrow_table(columns))
    return _of_cell(pa.concat_tables(tables), cell, [cell.scores.key], world=world_file)


def history_table(cell: FinishedCell) -> pa.Table:
    """A row for each epoch of a cell's training, if anything was noted; NaN past the end of a column."""
    columns = {name: list(column) for name, column in cell.reward.load().history.items() if len(column)}
    longest = max(map(len, columns.values()), default=0)
    padded = {name: column + [np.nan] * (longest - len(column)) for name, column in columns.items()}
    table = arrow_table({name: numbers(np.array(column, np.float32)) for name, column in padded.items()})
    return _of_cell(table, cell, [cell.reward.key])


def evidence_table(cell: FinishedCell, evidence: Sequence[Stored[pa.Table]]) -> pa.Table:
    """One table of what a cell's numbers rest on, the rows of all evaluators of one name below one another."""
    rows = pa.concat_tables([stored.load() for stored in evidence], promote_options="default")
    return _of_cell(rows, cell, [stored.key for stored in evidence])


def _of_cell(table: pa.Table, cell: FinishedCell, keys: Sequence[str], **more: str) -> pa.Table:
    """The table with the coordinates of its cell, and what it was made from, in its metadata."""
    more |= {"stage": " ".join(keys), "signature": signature(*keys)}
    return table.replace_schema_metadata({**cell.place.to_text(), **more})


def _example_rows(dataset: str, examples: Examples, split: list[str]) -> pa.Table:
    """The rows of ``examples`` of one data set."""
    in_pair = examples.pair >= 0
    return arrow_table(
        {
            "dataset": texts([dataset] * len(examples)),
            "split": texts(split),
            "example": numbers(np.arange(len(examples))),
            "pair": masked(examples.pair, in_pair),
            "role": texts([ROLES[code] for code in examples.role.tolist()]),
            "group": texts(examples.group),
            "prompt": texts(examples.prompt),
            "text": texts(examples.text),
        }
    )


def _truth_rows(dataset: str, truth: str, value: np.ndarray, label: np.ndarray) -> pa.Table:
    """The rows of ``truths`` of one truth of a data set."""
    n = len(value)
    columns = {"dataset": texts([dataset] * n), "example": numbers(np.arange(n)), "truth": texts([truth] * n)}
    return arrow_table({**columns, "value": numbers(value), "label": numbers(label)})
