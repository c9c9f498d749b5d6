"""What a run will do: the stages, each with its key, and the worlds and cells that they serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairl_bench.engine.stage import Stage


@dataclass(frozen=True)
class World:
    """The data of one model in one replicate: the keys of its pairs, their split and its test sets."""

    model: str
    replicate: int
    pairs: str
    split: str
    testsets: tuple[tuple[str, str], ...]  # name, key

    def texts(self) -> dict[str, str]:
        """The key of every data set by name, the pairs first."""
        return {"pairs": self.pairs, **dict(self.testsets)}


AXES = ("model", "encoder", "method", "replicate", "seed")


@dataclass(frozen=True)
class Cell:
    """One (model, encoder, method, seed) of the matrix, in one replicate; seed None holds for every seed."""

    model: str
    encoder: str
    head: str
    method: str
    variant: str
    replicate: int
    seed: int | None
    reward: str
    scores: str
    measures: tuple[str, ...]
    world: World
    slices: tuple[tuple[int | None, str], ...] = ()  # seed of the baseline, key of its slices' measures

    def judged(self) -> tuple[str, ...]:
        """The keys of all its numbers."""
        return (*self.measures, *(key for _, key in self.slices))

    def row(self) -> tuple[str, str, str, str]:
        """The row of a table that it belongs to: model, encoder, method, variant."""
        return self.model, self.encoder, self.method, self.variant


@dataclass(frozen=True)
class Plan:
    """All stages by key, inputs before what reads them, with the worlds and cells they belong to."""

    stages: Mapping[str, Stage]
    worlds: tuple[World, ...]
    cells: tuple[Cell, ...]

    def wanted(self) -> list[str]:
        """The keys that a results folder is made of."""
        keys: dict[str, None] = {}
        for world in self.worlds:
            keys.update(dict.fromkeys((*world.texts().values(), world.split)))
        for cell in self.cells:
            keys.update(dict.fromkeys((cell.reward, cell.scores, *cell.judged())))
        return list(keys)

    def only(self, wanted: Mapping[str, Sequence[str]]) -> Plan:
        """The cells whose axes have one of the wanted values, with their worlds; a cell without a seed has any."""
        cells = tuple(
            cell
            for cell in self.cells
            if all(
                str(getattr(cell, axis)) in values or (axis == "seed" and cell.seed is None)
                for axis, values in wanted.items()
            )
        )
        return Plan(self.stages, tuple(dict.fromkeys(cell.world for cell in cells)), cells)
