"""Notes how much of its texts a part reads: the part calls `report_read`, and its stage keeps the sums.

Encoders and classifiers read a limited number of tokens and ignore the rest of a text; an encoder that counts words
ignores those that it does not know.
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


class TextsRead(NamedTuple):
    """The share of its texts that one part read, summed over all calls."""

    by: str  # encoder 'sentence-transformer'
    unit: Unit  # tokens: the end of a text is cut off; words: those that it does not know are left out
    texts: int = 0
    short: int = 0  # texts that were not read to their end
    blank: int = 0  # texts of which nothing was read
    units: int = 0  # tokens or words of all texts
    lost: int = 0  # those of them that were not read

    def and_also(self, other: TextsRead) -> TextsRead:
        """The sum of both, which are of one part."""
        return TextsRead(self.by, self.unit, *(mine + theirs for mine, theirs in zip(self[2:], other[2:], strict=True)))

    def sentences(self, where: str) -> Iterator[str]:
        """Sentences about the texts of one place that the part did not read in full; none where it read all of them.

        >>> list(TextsRead("encoder 'lm'", "tokens", texts=4, short=1, units=100, lost=5).sentences("pairs of a"))
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
    """The tokens of texts: the number that each has, and those that a part would read."""

    whole: Sequence[int]
    read: Sequence[Sequence[int]]


class ReadLog:
    """The log of how much each part has read of its texts during some work."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], TextsRead] = {}

    def add(self, reading: TextsRead) -> None:
        """Add one more report."""
        before = self.sums.get(reading[:2], TextsRead(*reading[:2]))
        self.sums[reading[:2]] = before.and_also(reading)

    def plain(self) -> list[dict[str, str | int]]:
        """The sums as plain data."""
        return [entry._asdict() for entry in self.sums.values()]


_log: ContextVar[ReadLog | None] = ContextVar("log of reads", default=None)


def report_read(part: Component, whole: Sequence[int], read: Sequence[int], unit: Unit = "tokens") -> None:
    """Report how many tokens (or words) each text has as a ``whole``, and how many of them the part ``read``.

    An encoder or judge that cannot read every text to its end calls this once for the texts of each of its calls.
    Outside `log_of_reads` it does nothing.
    """
    log = _log.get()
    if log is None:
        return
    total, seen = np.asarray(whole, np.int64), np.asarray(read, np.int64)
    lost = total - seen
    numbers = (len(total), (lost > 0).sum(), (seen == 0).sum(), total.sum(), lost.sum())
    log.add(TextsRead(f"{part.kind} {(part.use or type(part).__name__)!r}", unit, *map(int, numbers)))


def report_texts_read(reading: TextsRead) -> None:
    """Report sums that were noted before, of texts whose vectors are used again."""
    if (log := _log.get()) is not None:
        log.add(reading)


def reads_are_logged() -> bool:
    """True where `report_read` has an effect; if not, a part need not count what is slow to count."""
    return _log.get() is not None


@contextmanager
def log_of_reads() -> Iterator[ReadLog]:
    """The log of what parts report with `report_read` inside."""
    log = ReadLog()
    token = _log.set(log)
    try:
        yield log
    finally:
        _log.reset(token)
