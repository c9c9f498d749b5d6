"""The table of the words that the preferred or the rejected texts of pairs use more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.material import Material
from fairl_bench.values.contents import FDR, TOLD_APART, WORD
from fairl_bench.values.coordinates import Row
from fairl_bench.values.records import Record
from fairl_bench.values.rows import named
from fairl_bench.values.table import Table, Value
from fairl_bench.views import ReportTable

SIDES: Final = ("preferred", "rejected")


class WordsTable(ReportTable):
    """Words and bigrams that the preferred texts use more, and those that the rejected texts use more."""

    data: tuple[str, ...] = Field(("pairs/test",), min_length=1)
    most: int = Field(20, ge=1, description="words of each side that are shown")

    def tables(self, material: Material) -> Iterator[Table]:
        """One table a data set."""
        for data in self.data:
            table = words(material.records, data, self.most)
            if table.rows:
                yield table

    def datasets(self) -> Sequence[str]:
        """The data of its tables."""
        return self.data

    def truth_of(self, data: str) -> str:
        """No truth: texts are held against texts."""
        return ""

    def measures(self) -> Sequence[str]:
        """The number of words that are told apart."""
        return (TOLD_APART,)


class Word(NamedTuple):
    """A word that is told apart, over the replicates in which it is: means, and the greatest q."""

    term: str
    side: str
    z: float  # positive: more in preferred texts
    log_odds: float
    q: float
    preferred: float
    rejected: float
    replicates: int


class _Texts(NamedTuple):
    """What is on record of the texts of one model and variant."""

    row: Row
    apart: dict[int, Record]  # how many words are told apart, by replicate
    numbers: dict[tuple[int, str], dict[str, float]]  # by replicate and word, each number by its metric
    prompts: set[int]

    def words(self, side: str) -> list[Word]:
        """The words that this side uses more, those of most replicates first, then those with the greatest |z|."""
        sign = 1 if side == SIDES[0] else -1
        apart: dict[str, list[Mapping[str, float]]] = {}
        for (_, term), each in self.numbers.items():
            if each["word_q"] <= FDR and sign * each["word_z"] > 0:
                apart.setdefault(term, []).append(each)
        found = [_word(term, side, each) for term, each in apart.items()]
        return sorted(found, key=lambda word: (-word.replicates, -abs(word.z), word.term))


def words(records: Iterable[Record], data: str, most: int = 20) -> Table:
    """The words that are told apart, side by side; empty without records."""
    every = _texts([record for record in records if record.data == data and record.slice == "all"])
    shown = [axis for axis in ("model", "variant") if len({getattr(texts.row, axis) for texts in every}) > 1]
    several = any(len(texts.apart) > 1 for texts in every)
    rows, tidy = [], []
    for texts in every:
        sides = [texts.words(side)[:most] for side in SIDES]
        tidy += [_tidy(texts.row, data, word) for side in sides for word in side]
        width = len(_HEADS) + several
        nothing = "n/a" if all(math.isnan(count.value) for count in texts.apart.values()) else "none"
        lines = [[_cells(word, several=several) for word in side] or [(nothing, *[""] * (width - 1))] for side in sides]
        pairs = zip_longest(*lines, fillvalue=("",) * width)
        rows += [(*named(texts.row, shown), *one, *other) for one, other in pairs]
    heads = [("", axis) for axis in shown]
    heads += [(f"more in {side}", head) for side in SIDES for head in (*_HEADS, *_REPLICATES[: int(several)])]
    notes = tuple(_notes(every, several=several)) if every else ()
    name = f"words-{data.replace('/', '-')}"
    return Table(
        f"Words that tell the sides of pairs apart, {data}", tuple(heads), tuple(rows), notes, tuple(tidy), name=name
    )


_HEADS: Final = ("word", "z", "q", "counts")
_REPLICATES: Final = ("replicates",)


def _texts(records: Sequence[Record]) -> list[_Texts]:
    """What is on record of each model and variant; what stands beside several runs or variants counts once."""
    places: dict[str, Row] = {}  # by stage, the first row that its numbers stand beside
    found: dict[tuple[str, str], _Texts] = {}
    for record in records:
        if record.metric != TOLD_APART and not record.truth.startswith(WORD):
            continue
        row = places.setdefault(record.stage or str(record.row), record.row)
        texts = found.setdefault((row.model, row.variant), _Texts(row, {}, {}, set()))
        if record.metric == TOLD_APART:
            texts.apart[record.replicate] = record
        else:
            of = record.replicate, record.truth.removeprefix(WORD)
            texts.numbers.setdefault(of, {})[record.metric] = record.value
            texts.prompts.add(record.n)
    return [texts for texts in found.values() if texts.apart]


def _word(term: str, side: str, each: Sequence[Mapping[str, float]]) -> Word:
    z, log_odds, *counts = (float(np.mean([one[f"word_{name}"] for one in each])) for name in ("z", "log_odds", *SIDES))
    return Word(term, side, z, log_odds, max(one["word_q"] for one in each), counts[0], counts[1], len(each))


def _cells(word: Word, *, several: bool) -> tuple[str, ...]:
    q = "< 0.001" if word.q < 0.001 else f"{word.q:.3f}"
    counts = " : ".join(f"{round(count):,}" for count in (word.preferred, word.rejected))
    return (word.term, f"{word.z:+.1f}", q, counts, *([str(word.replicates)] if several else []))


def _tidy(row: Row, data: str, word: Word) -> dict[str, Value]:
    return {"model": row.model, "variant": row.variant, "data": data, **word._asdict()}


def _notes(every: Sequence[_Texts], *, several: bool) -> Iterator[str]:
    yield (
        "z: how much more the preferred texts use the word than both sides' shares tell, by its standard error over "
        "prompts (a score test); negative is more in rejected texts. q: the false discovery rate "
        f"of the list that ends at this word; words with q of at most {FDR:g} are told apart, and only these are shown."
    )
    yield (
        "Counts: how often preferred texts use the word, and how often rejected ones. Two words in a row are a bigram; "
        "it overlaps with its words and is no evidence beside them. Words stand here as the texts have them, hostile "
        "ones too."
    )
    if several:
        yield (
            "Replicates: in how many of them the word is on record and told apart on this side. z and counts are means "
            "over these, q is the greatest."
        )
    for texts in every:
        of = f"{texts.row.model}{', ' + ' '.join(named(texts.row, ['variant'])) if texts.row.variant else ''}"
        for replicate, record in sorted(texts.apart.items()):
            where = f"{of}, replicate {replicate}" if several else of
            if math.isnan(record.value):
                yield f"{where}: {record.note}."
            else:
                prompts = " or ".join(f"{n:,}" for n in sorted(texts.prompts)) or "no"
                apart = f"{round(record.value):,} of {record.n:,} words and bigrams are told apart"
                yield f"{where}: {apart}, over {prompts} prompts."
