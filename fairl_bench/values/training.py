"""The inputs and outputs of a method: settings of the training, tasks, rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import RunTime, Settings
from fairl_bench.guards.readonly import ReadOnly, freeze_arrays, read_only
from fairl_bench.values.data import Floats, Labels, Rows, Vectors
from fairl_bench.values.likelihoods import Likelihoods


class Head(Settings):
    """The shape of a trained reward: ``linear`` (paper 4.1) or ``mlp`` (two layers, ReLU; paper 5)."""

    use: Literal["linear", "mlp"] = "mlp"
    width: int = Field(64, ge=1, description="hidden units of an mlp")


Admissible = (
    Literal["all", "failure-weight-at-most-1", "last"]
    | Annotated[dict[Literal["from"], Annotated[int, Field(ge=1)]], Field(min_length=1)]
)
"""The epochs of a run that may be kept."""


class Stop(Settings):
    """Which epoch of a run is kept, one rule for all methods, by the pairs of the validation split.

    An admissible epoch replaces the kept one if its averaged loss is lower by more than ``min_delta``.  A run ends
    after ``patience`` admissible epochs that do not.  The defaults were found on worlds that no table shows; see
    docs/reference/suites.md.
    """

    monitor: Literal["calibrated-loss", "base-loss"] = Field(
        "calibrated-loss",
        description="what is watched on the validation pairs: the Bradley-Terry loss of the margins at their best "
        "scale, which means the same for every method, or the method's own base loss",
    )
    patience: int = Field(40, ge=1, description="admissible epochs in a row that replace nothing before a run stops")
    min_delta: float = Field(0.004, ge=0, description="how much lower the loss must be than that of the kept epoch")
    average: int = Field(
        3, ge=1, description="epochs that the watched loss is averaged over: one that is good by luck is not kept"
    )
    admissible: Admissible = Field(
        "all",
        description="which epochs may be kept: all; those whose failure weight is at most 1 (all of a method without "
        "failures); from an epoch on, as {from: 16}; or the last one alone",
    )

    def first(self, epochs: int) -> int:
        """The first epoch that may be kept, of so many."""
        if isinstance(self.admissible, dict):
            return self.admissible["from"]
        return epochs if self.admissible == "last" else 1


class Training(Settings):
    """The settings of a head's training (Adam; paper 5)."""

    lr: float = Field(1e-3, gt=0)
    batch: int = Field(32, ge=1, description="pairs a step")
    epochs: int = Field(60, ge=1, description="at most")
    l2: float = Field(0.0, ge=0, description="weight of the L2 prior of Eq. 9")
    stop: Stop | None = Field(Stop(), description="which epoch is kept; null: the last, and no validation pair is read")
    equal_vectors: Literal["drop", "keep"] = Field(
        "drop", description="pairs whose two texts have equal vectors, which no reward of vectors can tell apart"
    )
    device: Annotated[Literal["cpu", "cuda"], RunTime] = Field("cpu", description="rewards agree to rounding")

    @model_validator(mode="after")
    def _reaches_the_first_epoch(self) -> Self:
        if self.stop is not None and (first := self.stop.first(self.epochs)) > self.epochs:
            message = "stop.admissible begins at epoch {first}, and there are {epochs}; begin earlier, or train longer"
            raise PydanticCustomError("epochs", message, {"first": first, "epochs": self.epochs, "field": "stop"})
        return self


@dataclass(frozen=True)
class Preferences:
    """Pairs as a method gets them: pair ``i`` prefers row ``preferred[i]`` of ``vectors`` to row ``rejected[i]``.

    ``texts`` are the rows' texts; ``prompt [n]`` is what both texts of a pair answer, empty where there is none.
    ``gold`` holds the labels of both sides by the truth that the method asks for (`Method.truths`; by ``gold`` where it
    asks for none), where the data has it.  ``likelihoods`` holds how likely both sides are, by the role of each
    `AskLikelihoods` in the method's `upstream`.  ``weight`` is how much each pair counts beside the others, above 0;
    None where all count alike.  All arrays are read-only.
    """

    vectors: Vectors  # [rows, d]
    preferred: Rows  # [n]
    rejected: Rows  # [n]
    texts: tuple[str, ...] = ()
    gold: tuple[Labels, Labels] | None = None  # labels [n] of the preferred and of the rejected side
    prompt: tuple[str, ...] = ()  # [n]
    likelihoods: Mapping[str, tuple[Likelihoods, Likelihoods]] = field(default_factory=dict)
    weight: Floats | None = None  # [n]

    def __post_init__(self) -> None:
        freeze_arrays(self, "vectors", "preferred", "rejected")
        if self.weight is not None:
            object.__setattr__(self, "weight", read_only(self.weight))
        object.__setattr__(self, "prompt", self.prompt or ("",) * len(self.preferred))
        object.__setattr__(self, "likelihoods", ReadOnly(self.likelihoods))
        if self.gold is not None:
            object.__setattr__(self, "gold", (read_only(self.gold[0]), read_only(self.gold[1])))

    def __len__(self) -> int:
        return len(self.preferred)

    def take(self, pairs: Rows) -> Preferences:
        """These pairs, in this order; one may be there several times."""
        gold = None if self.gold is None else (self.gold[0][pairs], self.gold[1][pairs])
        prompt = tuple(self.prompt[i] for i in pairs)
        likelihoods = {role: (one.take(pairs), other.take(pairs)) for role, (one, other) in self.likelihoods.items()}
        rows = (self.preferred[pairs], self.rejected[pairs])
        weight = None if self.weight is None else self.weight[pairs]
        return Preferences(self.vectors, *rows, self.texts, gold, prompt, likelihoods, weight)


@dataclass(frozen=True)
class Task:
    """One training: data, head, settings, and the two numbers that seed it.

    ``upstream`` holds the other answers that the method's `upstream` asks for, by role, such as the folder of a
    language model.
    """

    train: Preferences
    validation: Preferences
    head: Head = field(default_factory=Head)
    training: Training = field(default_factory=Training)
    replicate: int = 0
    seed: int = 0
    upstream: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """The texts that a reward scores, with their vectors, one row each, read-only.

    ``prompt`` is empty unless the method says that it `reads_prompts` or asks for likelihoods: otherwise equal texts
    are scored once, whatever their prompts.  ``likelihoods`` and ``upstream`` hold what the method's `upstream` asks
    for, by role: how likely the texts are, and all other answers; nothing where the method says that it has
    `reads_upstream` False.
    """

    text: tuple[str, ...]
    vectors: Vectors  # [n, d]
    prompt: tuple[str, ...] = ()
    likelihoods: Mapping[str, Likelihoods] = field(default_factory=dict)
    upstream: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        freeze_arrays(self, "vectors")


@dataclass(frozen=True)
class Reward:
    """A fitted reward as plain arrays, with the history of its training.

    The arrays ``weight [d]``, ``bias []`` are a linear head, ``hidden.weight [d, width]``, ``hidden.bias [width]``,
    ``weight [width]``, ``bias []`` a two-layer one; a method may have others, with a `score` of its own.
    """

    arrays: Mapping[str, NDArray[np.float32]]
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    facts: Mapping[str, float | int | str | bool] = field(default_factory=dict)

    def kept(self) -> Reward:
        """The same reward, read-only, as parts are given it."""
        arrays = ReadOnly({name: read_only(array) for name, array in self.arrays.items()})
        history = ReadOnly({name: tuple(column) for name, column in self.history.items()})
        return Reward(arrays, history, ReadOnly(self.facts))
