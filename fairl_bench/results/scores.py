"""Scores joined with what is known of their examples: from a results folder, or from anybody's CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fairl_bench.data import Examples, Floats, Rows, Truth
from fairl_bench.errors import ResultsError
from fairl_bench.results.folder import ResultsFolder, readable
from fairl_bench.sheets import Run, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

_ROLES = {"preferred": 1, "rejected": -1, None: 0}


def read_sheets(files: ResultsFolder, suite: str, wanted: Iterable[str]) -> list[Sheet]:
    """The sheets of a results folder for these data.  Raises `ResultsError` where a file is missing or broken."""
    data = sorted(set(wanted))
    if not data:
        return []
    worlds: dict[tuple[str, str, int], dict[Run, pa.Table]] = {}
    for place in files.names("scores"):
        table = files.table(place)
        told = coordinates(table, files.path / place)
        worlds.setdefault((told.world, told.model, told.replicate), {})[told.run] = table
    sheets = []
    for (name, model, replicate), runs in worlds.items():
        with readable(files.path / "examples" / name):
            for known in _worlds(files, name, data):
                scored = {run: found for run, table in runs.items() if (found := _aligned(table, *known)) is not None}
                if scored:
                    sheets.append(Sheet(suite, model, replicate, known[0], known[1], scored))
    return sheets


class Told(NamedTuple):
    """The coordinates in the metadata of a file of one cell."""

    model: str
    replicate: int
    run: Run
    world: str  # the file of its examples; empty where it names none


def coordinates(table: pa.Table, path: Path) -> Told:
    """Which run the rows of a file are of.  Raises `ResultsError`."""
    try:
        told = {str(key, "utf-8"): str(value, "utf-8") for key, value in (table.schema.metadata or {}).items()}
        seed = None if told["seed"] == "all" else int(told["seed"])
        run = Run(told["encoder"], told["head"], told["method"], told["variant"], seed)
        world = told.get("world", "")
        if "/" in world or "\\" in world:
            raise ValueError("a place elsewhere")
        return Told(told["model"], int(told["replicate"]), run, world)
    except (KeyError, ValueError) as error:
        raise ResultsError(f"{path} does not say which run it is of; run the suite again") from error


def _worlds(files: ResultsFolder, name: str, wanted: Sequence[str]) -> Iterator[tuple[str, Examples, Rows]]:
    """Each data set of a world: its name, its examples, and their numbers."""
    rows, truths = files.table(f"examples/{name}"), files.table(f"truths/{name}")
    for data in wanted:
        mine = rows.filter(_of(rows, data))
        if mine.num_rows:
            dataset = data.partition("/")[0]
            number = mine["example"].to_numpy()
            known = truths.filter(_equals(truths, "dataset", dataset))
            yield data, _examples(mine, dict(_truths(known, number))), number


def _of(table: pa.Table, data: str) -> Any:
    import pyarrow.compute as pc

    dataset, _, split = data.partition("/")
    return pc.and_(_equals(table, "dataset", dataset), _equals(table, "split", split))


def _equals(table: pa.Table, column: str, value: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(table[column], value)


def _examples(rows: pa.Table, truths: Mapping[str, Truth]) -> Examples:
    pair = rows["pair"].fill_null(-1).to_numpy().astype(np.int64)
    role = np.array([_ROLES[name] for name in rows["role"].to_pylist()], np.int8)
    text, prompt, group = (tuple(rows[name].to_pylist()) for name in ("text", "prompt", "group"))
    return Examples(text, prompt, group, pair, role, truths)


def _truths(rows: pa.Table, number: Rows) -> Iterator[tuple[str, Truth]]:
    """Each truth of a data set for these examples; one that is not told is unknown."""
    place = np.full(int(number.max(initial=-1)) + 1, -1)
    place[number] = np.arange(len(number))
    for name in sorted(set(rows["truth"].to_pylist())):
        mine = rows.filter(_equals(rows, "truth", name))
        example = mine["example"].to_numpy()
        inside = example < len(place)
        at = place[example[inside]]
        value, label = np.full(len(number), np.nan), np.zeros(len(number), np.int8)
        value[at[at >= 0]] = mine["value"].to_numpy()[inside][at >= 0]
        label[at[at >= 0]] = mine["label"].to_numpy()[inside][at >= 0]
        if label.any() or np.isfinite(value).any():
            yield name, Truth(value, label)


def _aligned(table: pa.Table, data: str, examples: Examples, number: Rows) -> Floats | None:
    """The rewards of these examples, in their order; None where the run has none of the data."""
    mine = table.filter(_of(table, data))
    if not mine.num_rows:
        return None
    scored = dict(zip(mine["example"].to_pylist(), mine["reward"].to_pylist(), strict=True))
    missing = [example for example in number.tolist() if example not in scored]
    if missing:
        raise ResultsError(
            f"scores of {data!r} lack example {missing[0]} and {len(missing) - 1} more; run the suite again"
        )
    return np.array([scored[example] for example in number.tolist()], np.float64)
