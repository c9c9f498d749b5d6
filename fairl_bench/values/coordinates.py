"""The coordinates of a number: the axes of a study, declared once, and the named groups of them that its parts use.

A cell, a record and the files of a cell are made from `Coordinates`; a row of a table, the runs of one data set and a
comparison of methods go by some of the axes, which have names here too, so that nobody takes them apart by position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, NamedTuple

_EVERY_SEED: Final = "all"  # in the text of a file


class Row(NamedTuple):
    """The row of a table: every run of one method, in one variant of the suite."""

    model: str
    encoder: str
    method: str
    variant: str

    @property
    def setting(self) -> Setting:
        """The setting that it is compared within."""
        return Setting(self.model, self.encoder, self.variant)


class Setting(NamedTuple):
    """The model, encoder and variant of a suite that methods are compared within."""

    model: str
    encoder: str
    variant: str

    def row(self, method: str) -> Row:
        """The row of a method within it."""
        return Row(self.model, self.encoder, method, self.variant)


class World(NamedTuple):
    """One draw of a model's data and of their split."""

    model: str
    replicate: int

    @property
    def stem(self) -> str:
        """The name of its files, without an ending."""
        return f"{self.model}-r{self.replicate}"


class Within(NamedTuple):
    """What the methods of one world are compared within: an encoder and a variant of the suite."""

    encoder: str
    variant: str


class Run(NamedTuple):
    """One reward of one world."""

    encoder: str
    head: str
    method: str
    variant: str
    seed: int | None  # None: holds for every seed

    @property
    def within(self) -> Within:
        """What it is compared within."""
        return Within(self.encoder, self.variant)


class CellName(NamedTuple):
    """The name of a cell in the matrix of its suite."""

    model: str
    encoder: str
    method: str
    variant: str
    replicate: int
    seed: int | None


@dataclass(frozen=True, kw_only=True)
class Group:
    """The coordinates that compared values share: a setting, data, a truth and a metric."""

    model: str
    encoder: str
    variant: str
    data: str  # of a re-alignment with its slice: realigned/kl:0.5
    truth: str
    metric: str

    @classmethod
    def of(cls, setting: Setting, data: str, truth: str, metric: str) -> Group:
        """The group of a setting."""
        return Group(**setting._asdict(), data=data, truth=truth, metric=metric)

    @property
    def setting(self) -> Setting:
        """The setting that its methods are compared within."""
        return Setting(self.model, self.encoder, self.variant)


@dataclass(frozen=True, kw_only=True)
class Coordinates:
    """The coordinates of a number; those of a whole cell name no data set."""

    model: str
    encoder: str
    head: str
    method: str
    variant: str  # canonical JSON of the point of a product, else empty
    replicate: int  # of the world and the split
    seed: int | None  # of the training; None: holds for every seed
    dataset: str = ""  # pairs, or a test set
    split: str = ""  # train, validation, test; empty for a test set
    slice: str = "all"
    truth: str = ""

    @classmethod
    def of(cls, world: World, run: Run, data: str = "", truth: str = "", part: str = "all") -> Coordinates:
        """The coordinates of a run of a world, or of one slice of its data under a truth."""
        dataset, _, split = data.partition("/")
        return Coordinates(  # written out: this is done for every record
            model=world.model,
            encoder=run.encoder,
            head=run.head,
            method=run.method,
            variant=run.variant,
            replicate=world.replicate,
            seed=run.seed,
            dataset=dataset,
            split=split,
            slice=part,
            truth=truth,
        )

    def on(self, data: str, truth: str = "", part: str = "all") -> Coordinates:
        """The coordinates of the same run on some data."""
        return self.of(self.world, self.run, data, truth, part)

    def axes(self) -> dict[str, Any]:
        """The value of every axis by name."""
        return vars(self) if type(self) is Coordinates else dict(zip(AXES, _VALUES(self), strict=True))

    @property
    def data(self) -> str:
        """The name of its data in suites: ``pairs/test``, or the test set's."""
        return f"{self.dataset}/{self.split}" if self.split else self.dataset

    @property
    def row(self) -> Row:
        """The row of a table that it belongs to."""
        return Row(self.model, self.encoder, self.method, self.variant)

    @property
    def setting(self) -> Setting:
        """The setting that its method is compared within."""
        return Setting(self.model, self.encoder, self.variant)

    @property
    def world(self) -> World:
        """The world that it belongs to."""
        return World(self.model, self.replicate)

    @property
    def run(self) -> Run:
        """The run, one reward of its world."""
        return Run(self.encoder, self.head, self.method, self.variant, self.seed)

    @property
    def cell(self) -> CellName:
        """The cell that it belongs to."""
        return CellName(self.model, self.encoder, self.method, self.variant, self.replicate, self.seed)

    @property
    def stem(self) -> str:
        """The name of its cell's files, without an ending; cells that differ by their variant alone share it."""
        return f"{self.model}-{self.encoder}-{self.method}-r{self.replicate}-s{_seed_text(self.seed)}"

    def to_text(self) -> dict[str, str]:
        """The axes of its cell as the metadata of a file, in which everything is text.

        >>> place = Coordinates(model="m", encoder="e", head="mlp", method="a", variant="", replicate=0, seed=None)
        >>> place.to_text()["seed"], Coordinates.from_text(place.to_text()) == place
        ('all', True)
        """
        seeded = {"replicate": str(self.replicate), "seed": _seed_text(self.seed)}
        return {name: seeded.get(name) or getattr(self, name) for name in CELL_AXES}

    @classmethod
    def from_text(cls, text: Mapping[str, str]) -> Coordinates:
        """The coordinates in a file's metadata.  Raises `KeyError` or `ValueError` where they are not all there."""
        whole: dict[str, Any] = {name: text[name] for name in CELL_AXES}
        whole["replicate"] = int(whole["replicate"])
        whole["seed"] = None if whole["seed"] == _EVERY_SEED else int(whole["seed"])
        return Coordinates(**whole)


def _seed_text(seed: int | None) -> str:
    return _EVERY_SEED if seed is None else str(seed)


AXES: Final = tuple(axis.name for axis in fields(Coordinates))
CELL_AXES: Final = AXES[: AXES.index("dataset")]
"""The axes of a cell; the others name its data."""
MATRIX: Final = ("model", "encoder", "method", "replicate", "seed")
"""The axes that a suite lists, and that a run may be limited to some values of."""
_VALUES = attrgetter(*AXES)
