"""Values that travel between parts: pairs, examples, splits, embeddings, training tasks, rewards, scores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import RunTime, Settings
from fairl_bench.readonly import ReadOnly, read_only
from fairl_bench.science.streams import stream

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int8]
Rows = NDArray[np.int64]

PREFERRED: Final = "preferred"
GOLD: Final = "gold"
TRAIN, VALIDATION, TEST, DROPPED = 0, 1, 2, -1
SPLITS = ("train", "validation", "test")


def _keep(value: object, *names: str) -> None:
    """Make these arrays of a frozen value read-only: whoever is given it shares it with others."""
    for name in names:
        object.__setattr__(value, name, read_only(getattr(value, name)))


def size_in_bytes(size: str) -> int:
    """The bytes of a size like ``8GB`` (MB, GB, TB, in powers of ten).  Raises `ValueError` for any other text.

    >>> size_in_bytes("0.5GB")
    500000000
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(MB|GB|TB)", size)
    if found is None or not float(found[1]):
        raise ValueError(size)
    return round(float(found[1]) * {"MB": 10**6, "GB": 10**9, "TB": 10**12}[found[2]])


def _a_size(text: str) -> str:
    try:
        size_in_bytes(text)
    except ValueError:
        reason = f"needs a size like 500MB or 8GB, got {text!r}"
        raise PydanticCustomError("size", "{reason}", {"reason": reason}) from None
    return text


Size = Annotated[str, AfterValidator(_a_size)]
"""An amount of memory, like ``8GB``."""


class Resources(Settings):
    """What the work of a part asks of a machine, and where it is ended; no number depends on it."""

    num_cpus: float = Field(1.0, gt=0, description="cores of a cluster's node: a share of one, or whole ones")
    num_gpus: float = Field(0.0, ge=0, description="GPUs of a cluster's node: a share of one, or whole ones")
    memory: Size | None = Field(None, description="what a cluster's node must have left, like 8GB")
    time_limit: float | None = Field(None, gt=0, description="seconds; a stage that takes longer is ended and fails")
    memory_limit: Size | None = Field(
        None,
        description="what its process may hold, libraries too; a stage that takes more is ended and fails",
    )

    @field_validator("num_cpus", "num_gpus")
    @classmethod
    def _whole_above_one(cls, number: float) -> float:
        """Refuse what no scheduler hands out."""
        if number > 1 and not number.is_integer():
            reason = f"needs a share of one or a whole number, got {number:g}"
            raise PydanticCustomError("share", "{reason}", {"reason": reason})
        return number


class Truth(NamedTuple):
    """What is known of each example under one name: ``value [n]`` (higher is better) and ``label [n]``.

    Labels are +1 good (a subtype: present), -1 otherwise, 0 unknown; an unknown value is NaN.  A truth of numbers alone
    has values and no label.
    """

    value: Floats
    label: Labels

    def known(self) -> NDArray[np.bool_]:
        """Of which examples it says something: those with a label; in a truth of numbers alone, those with a value."""
        told: NDArray[np.bool_] = self.label != 0
        return told if told.any() else np.isfinite(self.value)


def column(texts: Iterable[str]) -> tuple[str, ...]:
    """A column of texts as a tuple, whatever holds it; a text alone is no column.

    >>> column(["a", "b"])
    ('a', 'b')
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise TypeError(f"a column needs a sequence of texts, got {type(texts).__name__}")
    return texts if type(texts) is tuple else tuple(texts)


@dataclass(frozen=True)
class Pairs:
    """Preference pairs: ``preferred[i]`` and ``rejected[i]`` answer ``prompt[i]``; an empty prompt is no prompt.

    ``group[i]`` names what must stay on one side of a split; empty where the data names none.  ``truths`` are known
    beforehand: each holds ``2n`` texts, those of a pair beside one another, the preferred first.
    """

    preferred: tuple[str, ...]
    rejected: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    truths: Mapping[str, Truth] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("preferred", "rejected", "prompt", "group"):
            object.__setattr__(self, name, column(getattr(self, name)))
        n = len(self.preferred)
        for name in ("prompt", "group"):
            object.__setattr__(self, name, getattr(self, name) or ("",) * n)
        lengths = {len(self.preferred), len(self.rejected), len(self.prompt), len(self.group)}
        if len(lengths) > 1:
            raise ValueError(f"pairs need columns of one length, got {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.preferred)

    def take(self, rows: Sequence[int]) -> Pairs:
        """The pairs of these rows, in this order."""

        def of(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows)

        both = np.array([2 * row + side for row in rows for side in range(2)], np.int64)
        truths = {name: Truth(value[both], label[both]) for name, (value, label) in self.truths.items()}
        return Pairs(of(self.preferred), of(self.rejected), of(self.prompt), of(self.group), truths)

    def examples(self) -> Examples:
        """Each pair as two examples, the preferred first, with the truth ``preferred``."""
        n = len(self)
        role = np.tile(np.array([1, -1], np.int8), n)
        return Examples(
            text=tuple(text for both in zip(self.preferred, self.rejected, strict=True) for text in both),
            prompt=tuple(prompt for prompt in self.prompt for _ in range(2)),
            group=tuple(group for group in self.group for _ in range(2)),
            pair=np.repeat(np.arange(n, dtype=np.int64), 2),
            role=role,
            truths={**self.truths, PREFERRED: Truth(role.astype(np.float64), role)},
        )


@dataclass(frozen=True)
class Examples:
    """Texts to be scored, one row each, with what is known of them; its arrays and mappings are read-only.

    ``pair [n]`` is the pair's number, -1 outside pairs; ``role [n]`` is +1 preferred, -1 rejected, 0 neither.
    """

    text: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    pair: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    role: Labels = field(default_factory=lambda: np.empty(0, np.int8))
    truths: Mapping[str, Truth] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("text", "prompt", "group"):
            object.__setattr__(self, name, column(getattr(self, name)))
        n = len(self.text)
        for name in ("prompt", "group"):
            object.__setattr__(self, name, getattr(self, name) or ("",) * n)
        if not len(self.pair):
            object.__setattr__(self, "pair", np.full(n, -1, np.int64))
        if not len(self.role):
            object.__setattr__(self, "role", np.zeros(n, np.int8))
        _keep(self, "pair", "role")
        known = {name: Truth(read_only(value), read_only(label)) for name, (value, label) in self.truths.items()}
        object.__setattr__(self, "truths", ReadOnly(known))

    def __len__(self) -> int:
        return len(self.text)

    def knowing(self, truths: Mapping[str, Truth]) -> Examples:
        """The same examples with these truths added."""
        return Examples(self.text, self.prompt, self.group, self.pair, self.role, {**self.truths, **truths})

    def turned(self, pairs: Rows) -> Examples:
        """The same examples with the preference of these pairs turned around."""
        if not len(pairs):
            return self
        role = np.where(np.isin(self.pair, pairs), -self.role, self.role).astype(np.int8)
        truths = {**self.truths, PREFERRED: Truth(role.astype(np.float64), role)}
        return Examples(self.text, self.prompt, self.group, self.pair, role, truths)

    def pair_rows(self) -> Rows:
        """The rows of each pair's preferred and rejected text ``[pairs, 2]``; empty outside pairs."""
        sides = [np.flatnonzero(self.role == role) for role in (1, -1)]
        return np.stack([rows[np.argsort(self.pair[rows])] for rows in sides], 1)

    def gaps(self, truth: str) -> Floats:
        """How much better each pair's preferred text is by the value of a truth ``[pairs]``; NaN: unknown."""
        preferred, rejected = self.pair_rows().T
        value = self.truths[truth].value
        gaps: Floats = value[preferred] - value[rejected]
        return gaps

    def take(self, rows: Rows) -> Examples:
        """The examples of these rows, in this order."""
        text, prompt, group = (tuple(column[i] for i in rows) for column in (self.text, self.prompt, self.group))
        truths = {name: Truth(value[rows], label[rows]) for name, (value, label) in self.truths.items()}
        return Examples(text, prompt, group, self.pair[rows], self.role[rows], truths)

    def inputs(self, embed: Literal["completion", "prompt+completion"] = "completion") -> tuple[str, ...]:
        """What an encoder reads of each example."""
        if embed == "completion":
            return self.text
        return tuple(f"{p} {t}".strip() for p, t in zip(self.prompt, self.text, strict=True))


@dataclass(frozen=True)
class Completions:
    """What a language model made of prompts: ``text[i]`` is draw ``draw[i]`` for the prompt in row ``row[i]``."""

    prompt: tuple[str, ...]
    text: tuple[str, ...]
    row: tuple[int, ...]
    draw: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.text)

    def take(self, rows: Rows) -> Completions:
        """The completions of these rows, in this order."""
        prompt, text = (tuple(column[i] for i in rows) for column in (self.prompt, self.text))
        row, draw = (tuple(column[i] for i in rows) for column in (self.row, self.draw))
        return Completions(prompt, text, row, draw)


NOTHING: Final = Completions((), (), (), ())


class Model(NamedTuple):
    """A language model: the folder that transformers loads, and what is known of how it was made."""

    folder: Path
    facts: Mapping[str, float | int | str | bool] = {}


@dataclass(frozen=True)
class Site:
    """Where long work is done: for a language model, for completions.

    ``folder`` is empty and takes the answer's files.  ``scratch`` is kept until the work is finished: a checkpoint
    there is found again after an interruption.  ``upstream`` holds the answers of the parts that the work starts from,
    by role: the folder of a language model, `Completions` of an `Ask`, `Examples` of a source.
    """

    folder: Path
    scratch: Path
    upstream: Mapping[str, Any] = field(default_factory=dict)
    replicate: int = 0


@dataclass(frozen=True)
class Split:
    """Where each pair went: ``part [pairs]`` in {0 train, 1 validation, 2 test, -1 dropped}."""

    part: Labels

    def __post_init__(self) -> None:
        _keep(self, "part")

    def rows(self, name: str) -> Rows:
        """The pairs of ``train``, ``validation`` or ``test``."""
        return np.flatnonzero(self.part == SPLITS.index(name))

    def training_texts(
        self, pairs: Examples, embed: Literal["completion", "prompt+completion"] = "completion"
    ) -> tuple[str, ...]:
        """What an encoder reads of the training pairs, both sides, in their order: what a fitted one learns from."""
        training = self.part[pairs.pair] == TRAIN
        return tuple(text for text, mine in zip(pairs.inputs(embed), training, strict=True) if mine)

    def counts(self) -> dict[str, int]:
        """How many pairs each part holds, the dropped ones too."""
        codes = {"train": TRAIN, "validation": VALIDATION, "test": TEST, "dropped": DROPPED}
        return {name: int((self.part == code).sum()) for name, code in codes.items()}


@dataclass(frozen=True)
class Embeddings:
    """Frozen vectors of a data set: example ``i`` is ``vectors[row[i]]``; equal texts share a row."""

    vectors: Vectors  # [unique, d]
    row: Rows  # [n]

    def __post_init__(self) -> None:
        _keep(self, "vectors", "row")

    def of_examples(self) -> Vectors:
        """One vector an example ``[n, d]``."""
        return self.vectors[self.row]


class Sampling(Settings):
    """How a language model draws its tokens."""

    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1, description="the most likely tokens that hold this much probability")
    top_k: int = Field(0, ge=0, description="the most likely tokens; 0: all")
    max_new_tokens: int = Field(24, ge=1, description="tokens of a completion, at most")
    batch: int = Field(64, ge=1, description="prompts completed at once; another number moves the logits' last bits")
    dtype: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class Asked:
    """Prompts to be completed: ``prompt[i]`` stands in row ``row[i]`` and is completed for the ``draw[i]``-th time."""

    prompt: tuple[str, ...]
    row: tuple[int, ...]
    draw: tuple[int, ...]
    sampling: Sampling
    voice: str
    replicate: int

    def __len__(self) -> int:
        return len(self.prompt)

    def take(self, rows: Sequence[int]) -> Asked:
        """The same questions in these rows alone: each keeps its random numbers."""
        prompt = tuple(self.prompt[i] for i in rows)
        row, draw = (tuple(column[i] for i in rows) for column in (self.row, self.draw))
        return Asked(prompt, row, draw, self.sampling, self.voice, self.replicate)

    def rng(self, i: int) -> np.random.Generator:
        """The random numbers of completion ``i`` alone: they do not depend on its company."""
        return stream(f"completion/{self.voice}", self.replicate, self.row[i], self.draw[i])


class Head(Settings):
    """The shape of a trained reward: ``linear`` (paper 4.1) or ``mlp`` (two layers, ReLU; paper 5)."""

    use: Literal["linear", "mlp"] = "mlp"
    width: int = Field(64, ge=1, description="hidden units of an mlp")


Admissible = (
    Literal["all", "failure-weight-at-most-1", "last"]
    | Annotated[dict[Literal["from"], Annotated[int, Field(ge=1)]], Field(min_length=1)]
)
"""Which epochs of a run may be kept."""


class Stop(Settings):
    """Which epoch of a run is kept, one rule for all methods, by the pairs of the validation split.

    An admissible epoch replaces the kept one if its averaged loss is lower by more than ``min_delta``, and a run ends
    early after ``patience`` of them that do not.  The defaults were found on worlds that no table shows; see
    docs/suites.md.
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
    """How a head is trained (Adam; paper 5)."""

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
    """Pairs as a method sees them: pair ``i`` prefers row ``preferred[i]`` of ``vectors`` to row ``rejected[i]``.

    ``texts`` are the rows' texts.  ``gold`` holds the truth ``gold`` of both sides, where the data has one.  All arrays
    are read-only.
    """

    vectors: Vectors  # [rows, d]
    preferred: Rows  # [n]
    rejected: Rows  # [n]
    texts: tuple[str, ...] = ()
    gold: tuple[Labels, Labels] | None = None  # labels [n] of the preferred and of the rejected side

    def __post_init__(self) -> None:
        _keep(self, "vectors", "preferred", "rejected")
        if self.gold is not None:
            object.__setattr__(self, "gold", (read_only(self.gold[0]), read_only(self.gold[1])))

    def __len__(self) -> int:
        return len(self.preferred)


@dataclass(frozen=True)
class Task:
    """One training run: data, head, settings and the two numbers that seed it."""

    train: Preferences
    validation: Preferences
    head: Head = field(default_factory=Head)
    training: Training = field(default_factory=Training)
    replicate: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Inputs:
    """What a reward scores: texts and their vectors, one row each, read-only."""

    text: tuple[str, ...]
    vectors: Vectors  # [n, d]

    def __post_init__(self) -> None:
        _keep(self, "vectors")


@dataclass(frozen=True)
class Reward:
    """A fitted reward as plain arrays, with the history of its training.

    The arrays ``weight [d]``, ``bias []`` are a linear head, ``hidden.weight [d, width]``, ``hidden.bias [width]``,
    ``weight [width]``, ``bias []`` a two-layer one; a method may keep others and score them itself.
    """

    arrays: Mapping[str, NDArray[np.float32]]
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    facts: Mapping[str, float | int | str | bool] = field(default_factory=dict)

    def kept(self) -> Reward:
        """The same, so that it cannot be changed: as a part is given it."""
        arrays = ReadOnly({name: read_only(array) for name, array in self.arrays.items()})
        history = ReadOnly({name: tuple(column) for name, column in self.history.items()})
        return Reward(arrays, history, ReadOnly(self.facts))


class Scored(NamedTuple):
    """One data set as one reward sees it: what an evaluator reads."""

    examples: Examples
    reward: Floats  # [n]

    def truth(self, name: str) -> tuple[Truth, NDArray[np.bool_]] | None:
        """The truth of that name and which rows know it; None where the data has none."""
        truth = self.examples.truths.get(name)
        return None if truth is None else (truth, truth.label != 0)

    def pair_rows(self) -> Rows:
        """The rows of each pair's preferred and rejected text ``[pairs, 2]``; empty outside pairs."""
        return self.examples.pair_rows()

    def margins(self) -> Floats:
        """Reward of the preferred minus reward of the rejected text ``[pairs]``; empty outside pairs."""
        preferred, rejected = self.pair_rows().T
        margins: Floats = self.reward[preferred] - self.reward[rejected]
        return margins
