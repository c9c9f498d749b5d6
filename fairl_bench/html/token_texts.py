"""The texts that the page shows as evidence: of the highest and lowest rewards, and pairs in which two models part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairl_bench.html.examples import LONGEST, cut, sheets_shown
from fairl_bench.material import Material
from fairl_bench.science.agreement import standardised
from fairl_bench.values.contents import MIDDLE, PARTS_MOST, PIECES
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import GOLD, Floats
from fairl_bench.values.evidence import CellEvidence
from fairl_bench.values.references import labelled
from fairl_bench.values.rows import shown_axes
from fairl_bench.values.sheets import Sheet

EVALUATOR: Final = "token-log-ratio"
TEXTS: Final = 400  # of all views together: what keeps the section below a megabyte
PAIRS: Final = 40  # of one view, in which the models part most, and as many of the middle
RANKED: Final = 15  # texts of one reward, the highest, and as many of the lowest

_Pieces = tuple[NDArray[np.int64], Floats]  # where each one ends, and its log-ratio


def token_texts(material: Material, data: Sequence[str]) -> list[dict[str, Any]]:
    """One view for each model and each of these data, of its first replicate: its texts, each once, and lists of them.

    ``ranked`` holds, by reward, the texts of the highest and of the lowest rewards, which are standardised on the data;
    ``pairs`` those in which two language models part most, and as in half of all.  A text is bad unless its truth
    ``gold`` says that it is good.  Texts that there is no room for are counted as ``left``.
    """
    kept, tokens = (material.evidence(EVALUATOR, name) for name in ("", PIECES))
    sheets = [sheet for sheet in sheets_shown(material.sheets(data)) if sheet.rewards]
    views, room = [], TEXTS
    for index, sheet in enumerate(sheets):
        view = _View(sheet, _of_world(kept, sheet), _pieces(tokens, sheet), room // (len(sheets) - index))
        view.add_pairs(PARTS_MOST)
        view.add_pairs(MIDDLE)
        view.add_ranked(material, sheets)
        room -= len(view.rows)
        views.append(view.plain())
    return views


def _of_world(kept: Iterable[CellEvidence], sheet: Sheet) -> list[Mapping[str, Any]]:
    """The rows that were kept of the texts of a sheet."""
    return [
        row
        for one in kept
        if one.cell.world == sheet.world
        for row in one.rows.to_pylist()
        if row["data"] == sheet.data
    ]


def _pieces(kept: Iterable[CellEvidence], sheet: Sheet) -> dict[int, _Pieces]:
    """The tokens of the texts of a sheet, by text."""
    import pyarrow.compute as pc

    found: dict[int, _Pieces] = {}
    for one in kept:
        if one.cell.world == sheet.world and len(one.rows):
            rows = one.rows.filter(pc.equal(one.rows["data"], sheet.data))
            example, end, base, expert = (rows[name].to_numpy() for name in ("example", "end", "base", "expert"))
            begins = np.flatnonzero(np.diff(example, prepend=-1)).tolist()
            for begin, until in zip(begins, [*begins[1:], len(example)], strict=True):
                found[int(example[begin])] = end[begin:until], (expert - base)[begin:until]
    return found


class _View:
    """The texts of one sheet, and the lists that they stand in."""

    def __init__(
        self, sheet: Sheet, kept: Sequence[Mapping[str, Any]], tokens: Mapping[int, _Pieces], room: int
    ) -> None:
        self.sheet, self.kept, self.tokens, self.room = sheet, kept, tokens, room
        self.rows: dict[int, int] = {}  # of an example, its place among the texts
        self.left = 0
        self.pairs: list[dict[str, Any]] = []
        self.ranked: list[dict[str, Any]] = []
        self.log_ratio = {row["example"]: row["log_ratio"] for row in kept}

    def add_pairs(self, why: str) -> None:
        """Add the pairs that were kept for this reason, in their order."""
        rows = [row for row in self.kept if row["why"] == why]
        for up, down in list(zip(rows[::2], rows[1::2], strict=True))[:PAIRS]:
            places = self._places([up["example"], down["example"]])
            if places:
                self.pairs.append({"why": why, "margin": _rounded(up["margin"]), "texts": places})

    def add_ranked(self, material: Material, sheets: Sequence[Sheet]) -> None:
        """Add the texts of the highest and of the lowest reward of each row."""
        shown = [axis for axis in shown_axes(_rows(sheets)) if axis != "model"]
        for row, reward in _rewards(self.sheet).items():
            order = np.argsort(-reward, kind="stable").tolist()
            few = min(RANKED, len(order) // 2)
            ends = {"highest": order[:few], "lowest": order[: len(order) - few - 1 : -1]}
            lists = {
                end: [(places[0], _rounded(reward[at])) for at in rows if (places := self._places([at]))]
                for end, rows in ends.items()
            }
            name = " ".join(labelled(row, shown or ["method"], material.run.methods))
            self.ranked.append({"name": name, "method": row.method, **lists})

    def _places(self, examples: Sequence[int]) -> list[int]:
        """The places of these texts, all or none of which are on the page."""
        new = [one for one in examples if one not in self.rows]
        if len(self.rows) + len(new) > self.room:
            self.left += len(new)
            return []
        return [self.rows.setdefault(one, len(self.rows)) for one in examples]

    def plain(self) -> dict[str, Any]:
        """The view for the script."""
        examples, gold = self.sheet.examples, self.sheet.examples.truths.get(GOLD)
        prompts = list(dict.fromkeys(cut(examples.prompt[row]) for row in self.rows))
        codes = {prompt: code for code, prompt in enumerate(prompts)}
        return {
            "model": self.sheet.model,
            "replicate": self.sheet.replicate,
            "data": self.sheet.data,
            "text": [cut(examples.text[row]) for row in self.rows],
            "prompts": prompts,
            "prompt": [codes[cut(examples.prompt[row])] for row in self.rows],
            "side": [int(examples.role[row]) for row in self.rows],
            "bad": [int(gold is None or gold.label[row] <= 0) for row in self.rows],
            "tokens": [self._told(row) for row in self.rows],
            "ratio": [_rounded(self.log_ratio.get(row, math.nan)) for row in self.rows],
            "pairs": self.pairs,
            "ranked": self.ranked,
            "left": self.left,
        }

    def _told(self, row: int) -> list[list[float]] | None:
        """The tokens of a text as far as it is shown: where each ends, and its log-ratio; None where none is known."""
        if row not in self.tokens:
            return None
        text, (ends, ratios) = self.sheet.examples.text[row], self.tokens[row]
        inside = np.ones(len(ends), np.bool_) if len(text) <= LONGEST else ends <= LONGEST
        units = np.array(_utf16_lengths(text[:LONGEST]), np.int64)
        return [units[ends[inside]].tolist(), np.round(ratios[inside], 2).tolist()]


def _utf16_lengths(text: str) -> list[int]:
    """The length of each beginning of a text as a script counts: a letter beyond the basic plane is two.

    >>> _utf16_lengths("a🙂b")
    [0, 1, 3, 4]
    """
    lengths = [0]
    for letter in text:
        lengths.append(lengths[-1] + 1 + (ord(letter) > 0xFFFF))
    return lengths


def _rows(sheets: Iterable[Sheet]) -> dict[Row, None]:
    return dict.fromkeys(sheet.at(run).row for sheet in sheets for run in sheet.rewards)


def _rewards(sheet: Sheet) -> dict[Row, Floats]:
    """The reward of each text by row: standardised run by run, and averaged over runs."""
    runs: dict[Row, list[Floats]] = {}
    for run, reward in sheet.rewards.items():
        runs.setdefault(sheet.at(run).row, []).append(standardised(reward))
    return {row: np.mean(rewards, 0) for row, rewards in runs.items()}


def _rounded(number: float) -> float | None:
    """A number with as many digits as the page shows; None for one that is not known."""
    return round(number, 2) if math.isfinite(number) else None
