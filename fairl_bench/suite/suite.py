"""A suite as a value: models × encoders × methods × seeds, what to evaluate and what to report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import Component, DataFile, Name, PathText, RunTime, Settings
from fairl_bench.guards import secrets
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.metrics import Metrics
from fairl_bench.suite.named_files import located
from fairl_bench.values.data import SPLITS
from fairl_bench.values.training import Head, Stop, Training
from fairl_bench.values.verdicts import Claim
from fairl_bench.views import ReportTable

C = TypeVar("C", bound=Component)
Number = Annotated[int, Field(ge=0, le=32767)]
PAIRS = tuple(f"pairs/{split}" for split in SPLITS)


class Named(Settings, Generic[C]):
    """A part with the name that tables show: ``{name: ..., use: ..., fields}``."""

    name: Name
    part: C

    @model_validator(mode="wrap")
    @classmethod
    def _take_name_out(cls, value: Any, handler: Any) -> Any:
        if isinstance(value, Mapping) and "part" not in value:
            if "name" not in value:
                raise PydanticCustomError("no_name", "needs a 'name:' for the tables")
            rest = {key: entry for key, entry in value.items() if key != "name"}
            value = {"name": value["name"], "part": rest}
        return handler(value)

    def plain(self) -> dict[str, Any]:
        """Name and spec side by side, as a suite writes them."""
        return {"name": self.name, **self.part.plain()}


class Split(Settings):
    """The division of pairs.  Equal groups stay together; training never shares a text with what it is judged on."""

    by: Literal["auto", "group", "prompt", "text"] = Field(
        "auto", description="what stays together; auto: group, else prompt, else the rejected text"
    )
    validation: float = Field(0.1, ge=0, lt=1, description="share of the pairs")
    test: float = Field(0.2, ge=0, lt=1, description="share of the pairs")
    shared_text: Literal["drop-from-train"] = Field(
        "drop-from-train", description="pairs that share a text with a later part are dropped and counted"
    )

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.validation + self.test >= 1:
            message = "validation and test take {taken} of the pairs; leave some to train on"
            context = {"taken": f"{self.validation + self.test:.0%}", "field": "test"}
            raise PydanticCustomError("no_training", message, context)
        return self


def _under_their_names(report: object, info: ValidationInfo) -> Any:
    """Each entry of ``report:`` as the spec of the table that its key names; one of a known name may be null."""
    if not isinstance(report, Mapping):
        return report
    names = (info.context or {}).get("names", lambda kind: ())("table")
    return {
        name: {**entry, "use": str(name)} if isinstance(entry, Mapping) else entry
        for name, entry in report.items()
        if entry is not None or name not in names
    }


TablesByName = Annotated[dict[str, ReportTable], BeforeValidator(_under_their_names)]
"""The tables that are printed and saved when a run ends, by name, with their settings."""


class Slices(Settings):
    """Pairs to look at apart: those that a baseline misranks or barely tells apart, and those with one good text."""

    baseline: Name | None = Field(
        None, description="the method whose runs choose, by seed, the pairs that it misranks and its near-ties"
    )
    near_tie: float = Field(0.1, gt=0, lt=1, description="share of the pairs with the smallest |margin|")
    discordant: bool = Field(False, description="whether the pairs whose two 'gold' labels differ are a slice, too")

    @model_validator(mode="after")
    def _cuts_something(self) -> Self:
        if self.baseline is None and not self.discordant:
            message = "names no slice: give it a 'baseline:', whose failures are looked at, or 'discordant: true'"
            raise PydanticCustomError("no_slice", message, {"field": "baseline"})
        return self


def _by_name(plugin: object) -> Any:
    """The path of a drop-in that comes with the package; any other stays as it is."""
    return str(located("plugin", plugin, plugin.folder)) if isinstance(plugin, PathText) and plugin else plugin


PluginFile = Annotated[DataFile, BeforeValidator(_by_name)]
"""A drop-in: its path relative to the suite, or the name of one that comes with the package."""


class Limits(Settings):
    """The most that a suite may ask for: more is refused before anything is planned, for it is mostly a slip."""

    cells: int = Field(20_000, ge=1, description="models x encoders x methods x seeds, over all points of the product")
    stages: int = Field(100_000, ge=1, description="stages to plan, one that several cells share counted for each")


class ReadFrom:
    """The file's data that a suite was read from; it plays no part in whether two suites are equal."""

    def __init__(self, content: object) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadFrom)

    __hash__ = None  # type: ignore[assignment]


class Suite(Settings):
    """A table of questions: what to learn from, how, what to evaluate and what to report."""

    name: Name
    plugins: tuple[PluginFile, ...] = Field(
        (), description="drop-in plugins: files, relative to the suite, or names of those that come with the package"
    )
    replicates: tuple[Number, ...] = Field((0,), min_length=1, description="draws of the world and the split")
    seeds: tuple[Number, ...] = Field((0, 1, 2, 3, 4), min_length=1, description="draws of the training")
    models: tuple[Named[Source], ...] = Field(min_length=1)
    split: Split = Split()
    encoders: tuple[Named[Encoder], ...] = Field(min_length=1)
    head: Head = Head()
    training: Training = Training()
    defaults: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by 'use:', the fields that every method of it starts from"
    )
    methods: tuple[Named[Method], ...] = Field(min_length=1)
    product: dict[str, tuple[Any, ...]] = Field(
        default_factory=dict, description="values by path; the suite is run at every combination of them"
    )
    exclude: tuple[dict[str, Any], ...] = Field((), description="points of the product to leave out")
    selections: dict[Name, Stop] = Field(
        default_factory=dict,
        description="by name, fields that stand in the place of those of training.stop; the suite is run under each",
    )
    testsets: dict[Name, TestSet] = Field(default_factory=dict)
    evaluate: tuple[Evaluator, ...] = Field(min_length=1)
    slices: Slices | None = None
    report: TablesByName = Field(default_factory=dict, description="by name, the tables to make, with their settings")
    claims: tuple[Claim, ...] = ()
    limits: Annotated[Limits, RunTime] = Limits()
    _source: ReadFrom = PrivateAttr(default_factory=lambda: ReadFrom(None))

    @field_validator("replicates", "seeds")
    @classmethod
    def _once_each(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if (number := _repeated(numbers)) is not None:
            raise PydanticCustomError("repeated", "{number} is given twice", {"number": number})
        return numbers

    @field_validator("models", "encoders", "methods")
    @classmethod
    def _names_differ(cls, entries: tuple[Named[Any], ...]) -> tuple[Named[Any], ...]:
        if (name := _repeated([entry.name for entry in entries])) is not None:
            raise PydanticCustomError("repeated", "the name '{name}' is given twice", {"name": name})
        return entries

    def datasets(self) -> tuple[str, ...]:
        """Every name that ``data:`` may hold."""
        return (*PAIRS, *self.testsets)

    def of_models(self, chosen: Callable[[str], bool]) -> Self:
        """The suite with those of its models alone whose names are chosen."""
        return self.model_copy(update={"models": tuple(model for model in self.models if chosen(model.name))})

    def metrics(self) -> Metrics:
        """The metrics that its evaluators declare."""
        return Metrics((part.use, metric) for part in self.evaluate for metric in part.metrics)

    def seeds_of(self, method: Named[Method]) -> tuple[int | None, ...]:
        """The seeds of a method's runs; None for a single run where neither its reward nor an evaluation is drawn."""
        drawn = method.part.seeded or any(part.drawn for part in self.evaluate)
        return self.seeds if drawn else (None,)

    def cells(self) -> int:
        """The number of cells, without its product and its selections."""
        runs = sum(len(self.seeds_of(method)) for method in self.methods)
        return len(self.models) * len(self.replicates) * len(self.encoders) * runs

    def least_stages(self) -> int:
        """Stages to plan at the least, without its product and its selections: reward, scores and measures of cells."""
        sliced = self.slices is not None and any(method.name == self.slices.baseline for method in self.methods)
        stages = 0
        for model in self.models:
            read = [part for part in self.evaluate if part.evaluates(model.name) and part.reads_reward]
            of_slices = sum(part.sliced and bool(set(part.data) & set(PAIRS)) for part in read) if sliced else 0
            stages += 2 + len(read) + of_slices
        return stages * (self.cells() // len(self.models))

    def shown(self) -> dict[str, Any]:
        """The suite as plain data, with the names of variables in place of its secrets."""
        return secrets.shown(self, self._source.content)  # type: ignore[no-any-return]


def _repeated(values: Sequence[Any]) -> Any:
    """The first value that occurs twice, or None."""
    seen = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
