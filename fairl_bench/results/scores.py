"""The scores of a results folder, joined with the examples that they are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fairl_bench.errors import ResultsError
from fairl_bench.results.folder import EXAMPLES, SCORES, ResultsFolder, readable
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.data import Examples, Floats, Rows, Truth
from fairl_bench.values.sheets import Sheet

if TYPE_CHECKING:
    import pyarrow as pa

_ROLES = {"preferred": 1, "rejected": -1, None: 0}


def read_sheets(files: ResultsFolder, suite: str, wanted: Iterable[str]) -> list[Sheet]:
    """The sheets of a results folder for these data.  Raises `ResultsError` where a file is missing or broken."""
    data = sorted(set(wanted))
    worlds: dict[tuple[str, World], dict[Run, pa.Table]] = {}
    for name in files.names(SCORES) if data else ():
        table = files.table(name)
        cell, examples = cell_of(table, files.path / name)
        worlds.setdefault((examples, cell.world), {})[cell.run] = table
    sheets = []
    for (examples_name, world), runs in worlds.items():
        with readable(files.path / EXAMPLES / examples_name):
            for dataset, examples_of, numbers in _examples_by_data(files, examples_name, data):
                scores = {run: _scores_of(table, dataset, numbers) for run, table in runs.items()}
                rewards = {run: reward for run, reward in scores.items() if reward is not None}
                if rewards:
                    sheets.append(Sheet(suite, world.model, world.replicate, dataset, examples_of, rewards))
    return sheets


class OfCell(NamedTuple):
    """The metadata of a file of one cell."""

    cell: Coordinates
    examples: str  # the file of its world's examples; empty where it names none


def cell_of(table: pa.Table, path: Path) -> OfCell:
    """The cell that the rows of a file are of.  Raises `ResultsError`."""
    try:
        text = {str(key, "utf-8"): str(value, "utf-8") for key, value in (table.schema.metadata or {}).items()}
        examples = text.get("world", "")
        if "/" in examples or "\\" in examples:
            raise ValueError("a place elsewhere")
        return OfCell(Coordinates.from_text(text), examples)
    except (KeyError, ValueError) as error:
        raise ResultsError(f"{path} does not say which run it is of; run the suite again") from error


def _examples_by_data(files: ResultsFolder, name: str, wanted: Sequence[str]) -> Iterator[tuple[str, Examples, Rows]]:
    """Each data set of a world: its name, its examples, and the numbers by which score files name them."""
    rows, truths = files.table(f"examples/{name}"), files.table(f"truths/{name}")
    for data in wanted:
        of_data = rows.filter(_of(rows, data))
        if of_data.num_rows:
            dataset = data.partition("/")[0]
            number = of_data["example"].to_numpy()
            of_dataset = truths.filter(_equals(truths, "dataset", dataset))
            yield data, _examples(of_data, dict(_truths(of_dataset, number))), number


def _of(table: pa.Table, data: str) -> Any:
    """The mask of the rows of one data set and split."""
    import pyarrow.compute as pc

    dataset, _, split = data.partition("/")
    return pc.and_(_equals(table, "dataset", dataset), _equals(table, "split", split))


def _equals(table: pa.Table, column: str, value: str) -> Any:
    """The mask of the rows with a value in a column."""
    import pyarrow.compute as pc

    return pc.equal(table[column], value)


def _examples(rows: pa.Table, truths: Mapping[str, Truth]) -> Examples:
    """The examples in rows, with their truths."""
    pair = rows["pair"].fill_null(-1).to_numpy().astype(np.int64)
    role = np.array([_ROLES[name] for name in rows["role"].to_pylist()], np.int8)
    text, prompt, group = (tuple(rows[name].to_pylist()) for name in ("text", "prompt", "group"))
    return Examples(text, prompt, group, pair, role, truths)


def _truths(rows: pa.Table, number: Rows) -> Iterator[tuple[str, Truth]]:
    """Each truth of a data set for these examples; one that has no row is unknown."""
    position = np.full(int(number.max(initial=-1)) + 1, -1)
    position[number] = np.arange(len(number))
    for name in sorted(set(rows["truth"].to_pylist())):
        of_truth = rows.filter(_equals(rows, "truth", name))
        example = of_truth["example"].to_numpy()
        inside = example < len(position)
        at = position[example[inside]]
        value, label = np.full(len(number), np.nan), np.zeros(len(number), np.int8)
        value[at[at >= 0]] = of_truth["value"].to_numpy()[inside][at >= 0]
        label[at[at >= 0]] = of_truth["label"].to_numpy()[inside][at >= 0]
        if label.any() or np.isfinite(value).any():
            yield name, Truth(value, label)


def _scores_of(table: pa.Table, data: str, number: Rows) -> Floats | None:
    """The rewards of the examples with these numbers, in their order; None where the run has none of the data."""
    of_data = table.filter(_of(table, data))
    if not of_data.num_rows:
        return None
    example, reward = of_data["example"].to_numpy(), np.asarray(of_data["reward"].to_numpy(), np.float64)
    if np.array_equal(example, number):  # as a run writes them
        return reward
    position = dict(zip(example.tolist(), range(len(example)), strict=True))
    missing = [wanted for wanted in number.tolist() if wanted not in position]
    if missing:
        raise ResultsError(
            f"scores of {data!r} lack example {missing[0]} and {len(missing) - 1} more; run the suite again"
        )
    return reward[[position[wanted] for wanted in number.tolist()]]
