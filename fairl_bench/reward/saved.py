"""The rewards that a run has saved, by their cells; each is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fairl_bench.errors import DataError, suggest
from fairl_bench.reward.about import FILE, read_about
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.load import load_reward
from fairl_bench.values.coordinates import CellName


class SavedRewards(Mapping[CellName, RecoveredReward]):
    """The rewards in a folder ``rewards``, by cell.  ``plugins`` are the drop-in files that their parts come from."""

    def __init__(self, folder: Path, plugins: Sequence[Path] = ()) -> None:
        self.folder, self.plugins = folder, tuple(plugins)

    @cached_property
    def folders(self) -> Mapping[CellName, Path]:
        """The folder of each reward."""
        return {_cell(path.parent): path.parent for path in sorted(self.folder.glob(f"[!.]*/{FILE}"))}

    def __len__(self) -> int:
        return len(self.folders)

    def __iter__(self) -> Iterator[CellName]:
        return iter(self.folders)

    def __getitem__(self, cell: CellName) -> RecoveredReward:
        return load_reward(self.folders[cell], plugins=self.plugins)

    def __repr__(self) -> str:
        names = (f"  {path.name}" for path in self.folders.values())
        return "\n".join([f"{len(self)} rewards in {self.folder}", *names])

    def load(
        self,
        *,
        plugins: Sequence[Path | str] = (),
        encoder: Mapping[str, Any] | None = None,
        upstream: Mapping[str, str] | None = None,
        **axes: str | int | None,
    ) -> RecoveredReward:
        """The one reward with these coordinates: ``load(method="max-margin", seed=0)``.

        Axes are those of `CellName`; the other arguments are those of `load_reward`.  Raises `DataError` where no
        reward has these coordinates, or several have.
        """
        cells = self._cells(axes)
        if len(cells) != 1:
            named = ", ".join(f"{name}={value!r}" for name, value in axes.items()) or "no coordinates"
            raise DataError(f"{len(cells)} rewards in {self.folder} have {named}: {self._hint(cells or list(self))}")
        plugins = plugins or self.plugins
        return load_reward(self.folders[cells[0]], plugins=plugins, encoder=encoder, upstream=upstream)

    def _cells(self, axes: Mapping[str, str | int | None]) -> list[CellName]:
        """The cells that have these coordinates."""
        for name in axes:
            if name not in CellName._fields:
                raise DataError(f"a reward has no axis {name!r}; {suggest(name, CellName._fields)}")
        return [cell for cell in self if all(getattr(cell, name) == value for name, value in axes.items())]

    def _hint(self, cells: Sequence[CellName]) -> str:
        """What tells these cells apart: the values of every axis that has several."""
        values = {name: dict.fromkeys(getattr(cell, name) for cell in cells) for name in CellName._fields}
        several = [f"{name} is one of {', '.join(map(repr, each))}" for name, each in values.items() if len(each) > 1]
        return "; ".join(several) or "none other is there"


def _cell(folder: Path) -> CellName:
    """The cell that a reward is of.  Raises `DataError` for a folder that is none."""
    try:
        axes = read_about(folder).cell
        return CellName(**{name: axes[name] for name in CellName._fields})  # type: ignore[arg-type]  # checked below
    except KeyError as error:
        raise DataError(f"{folder / FILE} does not say which cell it is of") from error
