"""From finished cells to tidy records: what evaluators measured, and which epoch of a run was kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fairl_bench.coordinates import Coordinates
from fairl_bench.data import PREFERRED
from fairl_bench.engine.plan import Cell, Plan
from fairl_bench.engine.slices import MISRANKED, NEAR_TIE
from fairl_bench.engine.worker import Worker
from fairl_bench.records import Measure, Record
from fairl_bench.store.store import Store

SELECTED: Final = ("kept_epoch", "admissible_from")
"""The epoch of a run that was kept, and the first that could be (0: none could, and the last was), as metrics."""


def recorded(suite: str, baseline: str, plan: Plan, worker: Worker) -> Iterator[Record]:
    """The record of every number that is finished."""
    for cell in plan.cells:
        for seed, key, measures in _measured(cell, worker):
            run = cell.run._replace(seed=seed)
            for measure in measures:
                part = f"{measure.slice}:{baseline}" if measure.slice in (MISRANKED, NEAR_TIE) else measure.slice
                place = Coordinates.of(cell.world, run, measure.data, measure.truth, part)
                yield Record.at(place, suite, measure.metric, measure.value, measure.n, note=measure.note, stage=key)


def still_answering(old: Sequence[Record], new: Sequence[Record], only: Plan) -> list[Record]:
    """The old records of cells that have no new ones; of the wanted cells, those that answer the same question."""
    answered = {row.cell for row in new}
    asked = {cell.cell: (cell.reward, *cell.judged()) for cell in only.cells}
    left = [row for row in old if row.cell not in answered]
    return [row for row in left if row.stage in asked.get(row.cell, (row.stage,))]


def _measured(cell: Cell, worker: Worker) -> Iterator[tuple[int | None, str, Sequence[Measure]]]:
    """The seed, the stage and the numbers of everything that is finished of a cell."""
    yield cell.seed, cell.reward, _selected(cell, worker.store)
    for seed, key in [*((cell.seed, key) for key in cell.measures), *cell.slices]:
        if worker.store.has(key):
            yield seed, key, worker.load(key)


def _selected(cell: Cell, store: Store) -> list[Measure]:
    """The epochs of a run's selection, made on its validation pairs; none where it has no epochs, or no scores yet."""
    facts = store.manifest(cell.reward)["facts"] if store.has(cell.reward) and store.has(cell.scores) else {}
    return [
        Measure("pairs/validation", PREFERRED, name, float(facts[name]), int(facts.get("epochs", 0)))
        for name in SELECTED
        if isinstance(facts.get(name), int)
    ]
