"""The plan of a run: the stages, each with its key, and the worlds and cells that they serve."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairl_bench.values.coordinates import Coordinates, World
from fairl_bench.values.stage import Stage


@dataclass(frozen=True)
class WorldKeys:
    """The keys of the texts of a world: its pairs, their split and its test sets."""

    of: World
    pairs: str
    split: str
    testsets: tuple[tuple[str, str], ...]  # name, key

    def texts(self) -> dict[str, str]:
        """The key of every data set by name, the pairs first."""
        return {"pairs": self.pairs, **dict(self.testsets)}


@dataclass(frozen=True, kw_only=True)
class Cell(Coordinates):
    """One (model, encoder, method, seed) of the matrix, in one replicate, with the keys of what answers it."""

    reward: str
    scores: str
    measures: tuple[str, ...]
    inputs: WorldKeys  # the texts that it learns from and is judged on
    slices: tuple[tuple[int | None, str], ...] = ()  # seed of the baseline, key of its slices' measures

    def judged(self) -> tuple[str, ...]:
        """The keys of all its numbers."""
        return (*self.measures, *(key for _, key in self.slices))


@dataclass(frozen=True)
class Plan:
    """All stages by key, inputs before what reads them, with the worlds and cells they belong to."""

    stages: Mapping[str, Stage]
    worlds: tuple[WorldKeys, ...]
    cells: tuple[Cell, ...]

    def wanted(self) -> list[str]:
        """The keys that a results folder is made of."""
        keys: dict[str, None] = {}
        for world in self.worlds:
            keys.update(dict.fromkeys((*world.texts().values(), world.split)))
        for cell in self.cells:
            keys.update(dict.fromkeys((cell.reward, cell.scores, *cell.judged())))
        return list(keys)

    def turns(self) -> dict[str, int]:
        """In which turn each stage is needed first: the replicates take turns in their order."""
        turns: dict[str, int] = {}
        for turn, replicate in enumerate(self.replicates()):
            waiting = self.of_replicates((replicate,)).wanted()
            while waiting:
                if (key := waiting.pop()) not in turns:
                    turns[key] = turn
                    waiting += self.stages[key].inputs.values()
        return turns

    def replicates(self) -> list[int]:
        """The replicates of the cells, each once, in their order."""
        return list(dict.fromkeys(cell.replicate for cell in self.cells))

    def only(self, wanted: Mapping[str, Sequence[str]]) -> Plan:
        """The cells whose axes have one of the wanted values, with their worlds; a cell without a seed has any."""
        return self._of(
            cell
            for cell in self.cells
            if all(
                str(getattr(cell, axis)) in values or (axis == "seed" and cell.seed is None)
                for axis, values in wanted.items()
            )
        )

    def of_replicates(self, replicates: Collection[int]) -> Plan:
        """The cells of these replicates, with their worlds."""
        return self._of(cell for cell in self.cells if cell.replicate in replicates)

    def _of(self, chosen: Iterable[Cell]) -> Plan:
        cells = tuple(chosen)
        return Plan(self.stages, tuple(dict.fromkeys(cell.inputs for cell in cells)), cells)
