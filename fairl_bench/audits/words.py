"""An audit in five to ten lines that a person can act on: the verdict, what it rests on, and what it cannot tell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fairl_bench.results.findings import BOTH_MODELS, each_group_once, remarks
from fairl_bench.values.findings import ConceptFinding, Findings

_MOST_WORDS = 8
"""Words of each side that are said."""


def lines_of(found: Findings) -> list[str]:
    """The lines that the command prints, the verdict first."""
    return list(_lines(found))


def _lines(found: Findings) -> Iterator[str]:
    yield f"{found.verdict}."
    accuracy, separable = found.separable.accuracy, found.separable
    if not math.isnan(accuracy.value):
        yield (
            f"Pair accuracy of {found.method}: {accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}], "
            f"{separable.pairs:,} held-out pairs of {separable.prompts:,} prompts."
        )
    if not separable.shown:
        more = "Draw more pairs with --n, or give prompts on which the two should differ"
        yield f"{more if found.given == BOTH_MODELS else 'Give more pairs'}; nothing further is claimed."
        return
    for one in each_group_once(found.concepts):
        yield from (f"{sentence[0].upper()}{sentence[1:]}." for sentence in remarks(one) if one.verdict)
    open_ = [one for one in found.concepts if one.verdict == "cannot tell"]
    if open_:
        yield f"Cannot tell: {_names(open_)}.{_power(found)}"
    if ruled_out := [one for one in found.concepts if one.verdict == "ruled out"]:
        yield f"Ruled out, each at most 5 %: {_names(ruled_out)}."
    if missing := [one for one in found.concepts if one.verdict is None]:
        yield f"Not judged: {_names(missing)}; the page says why."
    if found.words:
        yield from _words(found)


def _power(found: Findings) -> str:
    if math.isnan(found.could_have_named):
        return " More pairs (--n) would."
    return f" One that explains {round(100 * found.could_have_named)} % would have been named four times in five."


def _names(concepts: Sequence[ConceptFinding]) -> str:
    return ", ".join(one.name for one in concepts)


def _words(found: Findings) -> Iterator[str]:
    more = [word.word for word in found.words if word.z > 0][:_MOST_WORDS]
    less = [word.word for word in found.words if word.z < 0][:_MOST_WORDS]
    sides = [f"more often {_quoted(more)}"] if more else []
    sides += [f"less often {_quoted(less)}"] if less else []
    who = f"{found.model} uses" if found.given == BOTH_MODELS else "Preferred texts use"
    yield f"{who} {'; '.join(sides)}."


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
