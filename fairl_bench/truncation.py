"""How much of its texts a part reads: a part calls `report_read`, and whoever runs it listens.

Encoders and classifiers read so many tokens and leave the rest of a text; what counts words does not know them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fairl_bench.component import Component

Unit = Literal["tokens", "words"]


class Reading(NamedTuple):
    """What one part read of texts, all calls together."""

    by: str  # encoder 'sentence-transformer'
    unit: Unit  # tokens: the end of a text is cut off; words: those that it does not know are left out
    texts: int = 0
    short: int = 0  # texts of which some is not read
    blank: int = 0  # texts of which nothing is read
    units: int = 0  # of all texts
    lost: int = 0  # those that are not read

    def and_also(self, other: Reading) -> Reading:
        """The sums of two readings by one part."""
        return Reading(self.by, self.unit, *(one + more for one, more in zip(self[2:], other[2:], strict=True)))

    def sentences(self, where: str) -> Iterator[str]:
        """What the part did not read of the texts of one place; nothing where it read all that counts.

        >>> list(Reading("encoder 'lm'", "tokens", texts=4, short=1, units=100, lost=5).sentences("pairs of a"))
        ["Pairs of a: encoder 'lm' cut off 1 of 4 texts; 5.0 % of all tokens were not read."]
        """
        if self.unit == "words" and self.blank:
            unknown = f"{self.by} knows no word of {self.blank:,} of {self.texts:,} texts"
            yield f"{capitalised(where)}: {unknown}, and gives all of these the same."
        if self.unit != "words" and self.short:
            share = f"{self.lost / self.units:.1%}".replace("%", " %")
            cut_off = f"{self.by} cut off {self.short:,} of {self.texts:,} texts"
            yield f"{capitalised(where)}: {cut_off}; {share} of all {self.unit} were not read."


def capitalised(text: str) -> str:
    """The text with a capital first letter and all others as they are."""
    return text[:1].upper() + text[1:]


class Tokens(NamedTuple):
    """What a part would read of texts, told without the work: the number of tokens of each, and those that are read."""

    whole: Sequence[int]
    read: Sequence[Sequence[int]]


class Readings:
    """The readings of some work, a sum for each part."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Reading] = {}

    def add(self, reading: Reading) -> None:
        """Take in one more."""
        before = self.found.get(reading[:2], Reading(*reading[:2]))
        self.found[reading[:2]] = before.and_also(reading)

    def plain(self) -> list[dict[str, str | int]]:
        """The same as plain data."""
        return [one._asdict() for one in self.found.values()]


_listener: ContextVar[Readings | None] = ContextVar("readings", default=None)


def report_read(part: Component, whole: Sequence[int], read: Sequence[int], unit: Unit = "tokens") -> None:
    """Say that of each text, which has so many tokens (or words) as a ``whole``, so many are ``read``.

    An encoder or judge that cannot read every text to its end calls it once for the texts of each call; silent where
    nobody listens.
    """
    listener = _listener.get()
    if listener is None:
        return
    all_of, seen = np.asarray(whole, np.int64), np.asarray(read, np.int64)
    lost = all_of - seen
    numbers = (len(all_of), (lost > 0).sum(), (seen == 0).sum(), all_of.sum(), lost.sum())
    listener.add(Reading(f"{part.kind} {(part.use or type(part).__name__)!r}", unit, *map(int, numbers)))


def report_again(reading: Reading) -> None:
    """Say once more what was read of texts whose vectors are used again."""
    if (listener := _listener.get()) is not None:
        listener.add(reading)


def heard() -> bool:
    """Whether anybody listens to `report_read`: what costs time to count may be left."""
    return _listener.get() is not None


@contextmanager
def readings() -> Iterator[Readings]:
    """What is reported by the work inside."""
    found = Readings()
    token = _listener.set(found)
    try:
        yield found
    finally:
        _listener.reset(token)
