"""Texts and what is known of them: pairs, examples, truths, splits, embeddings, scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.guards.readonly import ReadOnly, freeze_arrays, read_only
from fairl_bench.values.drawn_tokens import DrawnTokens

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int8]
Rows = NDArray[np.int64]

PREFERRED: Final = "preferred"
GOLD: Final = "gold"
TRAIN, VALIDATION, TEST, DROPPED = 0, 1, 2, -1
SPLITS = ("train", "validation", "test")
DISCORDANT: Final = "discordant"
"""The slice of the pairs whose two ``gold`` labels differ."""


class Truth(NamedTuple):
    """One truth of each example: ``value [n]`` (higher is better) and ``label [n]``.

    Labels are +1 good (a subtype: present), -1 otherwise, 0 unknown; an unknown value is NaN.  A truth of numbers alone
    has values and no label.
    """

    value: Floats
    label: Labels

    def known(self) -> NDArray[np.bool_]:
        """The examples that it knows: those with a label; in a truth of numbers alone, those with a value."""
        labelled: NDArray[np.bool_] = self.label != 0
        return labelled if labelled.any() else np.isfinite(self.value)

    @classmethod
    def numbers(cls, value: Iterable[float]) -> Truth:
        """A truth of numbers alone.

        >>> Truth.numbers([2, 5]).label.tolist()
        [0, 0]
        """
        numbers = np.array(list(value), np.float64)
        return cls(numbers, np.zeros(len(numbers), np.int8))


def column(texts: Iterable[str]) -> tuple[str, ...]:
    """A column of texts as a tuple, from any sequence.  Raises `TypeError` for a single text.

    >>> column(["a", "b"])
    ('a', 'b')
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise TypeError(f"a column needs a sequence of texts, got {type(texts).__name__}")
    return texts if type(texts) is tuple else tuple(texts)


@dataclass(frozen=True)
class Pairs:
    """Preference pairs: ``preferred[i]`` and ``rejected[i]`` answer ``prompt[i]``; an empty prompt is no prompt.

    ``group[i]`` names what must stay on one side of a split; empty where the data names none.  ``truths`` are those
    that are known already, of ``2n`` texts each: the two of a pair follow one another, the preferred first.  ``drawn``
    holds the tokens of the same ``2n`` texts, where a language model drew them here.  ``weight[i]``, above 0, is how
    much a pair counts in training, beside the others; empty where all count alike.  ``dropped`` says how many pairs the
    source has left out, by the reason.
    """

    preferred: tuple[str, ...]
    rejected: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    truths: Mapping[str, Truth] = field(default_factory=dict)
    drawn: DrawnTokens | None = None
    weight: tuple[float, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("preferred", "rejected", "prompt", "group"):
            object.__setattr__(self, name, column(getattr(self, name)))
        n = len(self.preferred)
        for name in ("prompt", "group"):
            object.__setattr__(self, name, getattr(self, name) or ("",) * n)
        lengths = {len(self.preferred), len(self.rejected), len(self.prompt), len(self.group)}
        if len(lengths) > 1:
            raise ValueError(f"pairs need columns of one length, got {sorted(lengths)}")
        if self.drawn is not None and len(self.drawn) != 2 * n:
            raise ValueError(f"{n} pairs need the tokens of {2 * n} texts, got those of {len(self.drawn)}")
        if len(self.weight) not in (0, n):
            raise ValueError(f"{n} pairs need as many weights, got {len(self.weight)}")

    def __len__(self) -> int:
        return len(self.preferred)

    def take(self, rows: Sequence[int]) -> Pairs:
        """The pairs of these rows, in this order."""

        def of(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows)

        both = np.array([2 * row + side for row in rows for side in range(2)], np.int64)
        truths = {name: Truth(value[both], label[both]) for name, (value, label) in self.truths.items()}
        drawn = None if self.drawn is None else self.drawn.take(both)
        return Pairs(
            *(of(self.preferred), of(self.rejected), of(self.prompt), of(self.group), truths, drawn),
            weight=tuple(self.weight[row] for row in rows) if self.weight else (),
            dropped=self.dropped,
        )

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
            drawn=self.drawn,
            weight=np.repeat(np.array(self.weight, np.float64), 2) if self.weight else None,
        )


@dataclass(frozen=True)
class Examples:
    """Texts to be scored, one row each, with their truths; its arrays and mappings are read-only.

    ``pair [n]`` is the pair's number, -1 outside pairs; ``role [n]`` is +1 preferred, -1 rejected, 0 neither.
    ``drawn`` holds the tokens of the texts that a language model drew here; None where it drew none of them.
    ``weight [n]`` is how much a text's pair counts in training; None where all count alike.
    """

    text: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    pair: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    role: Labels = field(default_factory=lambda: np.empty(0, np.int8))
    truths: Mapping[str, Truth] = field(default_factory=dict)
    drawn: DrawnTokens | None = None
    weight: Floats | None = None

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
        freeze_arrays(self, "pair", "role")
        if self.weight is not None:
            object.__setattr__(self, "weight", read_only(self.weight))
        known = {name: Truth(read_only(value), read_only(label)) for name, (value, label) in self.truths.items()}
        object.__setattr__(self, "truths", ReadOnly(known))
        if self.drawn is not None and len(self.drawn) != n:
            raise ValueError(f"{n} examples need the tokens of as many texts, got those of {len(self.drawn)}")
        if self.weight is not None and self.weight.shape != (n,):
            raise ValueError(f"{n} examples need as many weights, got {list(self.weight.shape)}")

    def __len__(self) -> int:
        return len(self.text)

    def knowing(self, truths: Mapping[str, Truth]) -> Examples:
        """The same examples with these truths added."""
        return replace(self, truths={**self.truths, **truths})

    def turned(self, pairs: Rows) -> Examples:
        """The same examples with the preference of these pairs reversed."""
        if not len(pairs):
            return self
        role = np.where(np.isin(self.pair, pairs), -self.role, self.role).astype(np.int8)
        truths = {**self.truths, PREFERRED: Truth(role.astype(np.float64), role)}
        return replace(self, role=role, truths=truths)

    def clusters(self) -> Rows:
        """The codes of what is resampled together ``[n]``, from 0: by group, else prompt, else pair, else example."""
        names = [
            f"g{group}" if group else f"p{prompt}" if prompt else f"c{pair}" if pair >= 0 else i
            for i, (group, prompt, pair) in enumerate(zip(self.group, self.prompt, self.pair.tolist(), strict=True))
        ]
        codes: dict[object, int] = {}
        return np.array([codes.setdefault(name, len(codes)) for name in names], np.int64)

    def pair_rows(self) -> Rows:
        """The rows of each pair's preferred and rejected text ``[pairs, 2]``; empty outside pairs."""
        sides = [np.flatnonzero(self.role == role) for role in (1, -1)]
        return np.stack([rows[np.argsort(self.pair[rows])] for rows in sides], 1)

    def discordant(self) -> Rows:
        """The rows of both texts of each pair whose ``gold`` labels are known and differ, in their order."""
        if GOLD not in self.truths:
            return np.empty(0, np.int64)
        pairs = self.pair_rows()
        label = self.truths[GOLD].label[pairs]  # [pairs, 2]
        return np.sort(pairs[label[:, 0] * label[:, 1] == -1].ravel())

    def gaps(self, truth: str) -> Floats:
        """The truth's value of each pair's preferred text less that of the rejected one ``[pairs]``; NaN: unknown."""
        preferred, rejected = self.pair_rows().T
        value = self.truths[truth].value
        gaps: Floats = value[preferred] - value[rejected]
        return gaps

    def take(self, rows: Rows) -> Examples:
        """The examples of these rows, in this order."""
        text, prompt, group = (tuple(column[i] for i in rows) for column in (self.text, self.prompt, self.group))
        truths = {name: Truth(value[rows], label[rows]) for name, (value, label) in self.truths.items()}
        drawn = None if self.drawn is None else self.drawn.take(rows)
        weight = None if self.weight is None else self.weight[rows]
        return Examples(text, prompt, group, self.pair[rows], self.role[rows], truths, drawn, weight)

    def inputs(self, embed: Literal["completion", "prompt+completion"] = "completion") -> tuple[str, ...]:
        """The text of each example that an encoder reads."""
        if embed == "completion":
            return self.text
        return tuple(f"{p} {t}".strip() for p, t in zip(self.prompt, self.text, strict=True))


@dataclass(frozen=True)
class Split:
    """The part that each pair belongs to: ``part [pairs]`` in {0 train, 1 validation, 2 test, -1 dropped}."""

    part: Labels

    def __post_init__(self) -> None:
        freeze_arrays(self, "part")

    def rows(self, name: str) -> Rows:
        """The pairs of ``train``, ``validation`` or ``test``."""
        return np.flatnonzero(self.part == SPLITS.index(name))

    def training_texts(
        self, pairs: Examples, embed: Literal["completion", "prompt+completion"] = "completion"
    ) -> tuple[str, ...]:
        """The texts of the training pairs, both sides, in order: what an encoder reads and a fitted one learns from."""
        training = self.part[pairs.pair] == TRAIN
        return tuple(text for text, is_training in zip(pairs.inputs(embed), training, strict=True) if is_training)

    def counts(self) -> dict[str, int]:
        """The number of pairs in each part, the dropped ones too."""
        codes = {"train": TRAIN, "validation": VALIDATION, "test": TEST, "dropped": DROPPED}
        return {name: int((self.part == code).sum()) for name, code in codes.items()}


@dataclass(frozen=True)
class Embeddings:
    """Frozen vectors of a data set: example ``i`` is ``vectors[row[i]]``; equal texts share a row."""

    vectors: Vectors  # [unique, d]
    row: Rows  # [n]

    def __post_init__(self) -> None:
        freeze_arrays(self, "vectors", "row")


class Scored(NamedTuple):
    """One data set with the rewards of its texts: what an evaluator reads."""

    examples: Examples
    reward: Floats  # [n]

    def truth(self, name: str) -> tuple[Truth, NDArray[np.bool_]] | None:
        """The truth of that name, and the rows that have a label; None where the data has no such truth."""
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
