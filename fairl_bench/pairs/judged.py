"""The pairs of a source as judged examples: unusable pairs are refused or dropped, then noise is added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fairl_bench.errors import DataError
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.source import Source
from fairl_bench.kinds.upstream import within
from fairl_bench.science.streams import stream
from fairl_bench.values.data import Examples, Pairs


def judged_pairs(source: Source, replicate: int, upstream: Mapping[str, Any]) -> tuple[Examples, dict[str, int]]:
    """The pairs of a replicate with their truths, and how many were dropped for what reason.

    Raises `DataError` for a pair that the source refuses, and where no pair is left.
    """
    own = {role: answer for role, answer in upstream.items() if not role.startswith("gold/")}  # `Source.starts`
    with unchanged_by(source, upstream=own):
        pairs = answers.pairs(source.use, source.pairs(stream("world", replicate), **own))
    pairs, empty = _without(pairs, _empty(pairs), source.empty, f"source {source.use!r}: a text is empty", "empty")
    same = f"source {source.use!r}: both texts are equal"
    pairs, identical = _without(pairs, _identical(pairs), source.identical, same, "identical")
    here = {"identical": identical, "empty": empty}
    dropped = {why: pairs.dropped.get(why, 0) + here.get(why, 0) for why in (*here, *pairs.dropped)}
    if not len(pairs):
        lost = "".join(f"; {n} {why} ones were dropped" for why, n in dropped.items() if n)
        raise DataError(f"source {source.use!r} holds no pair{lost}")
    examples = pairs.examples()
    if isinstance(source.gold, Judge):  # before the noise, which is in the preferences and not in the truth
        of_judge = within("gold", upstream)
        with unchanged_by(source.gold, examples=examples, upstream=of_judge):
            truths = answers.judged(source.gold.use, source.gold.ready(of_judge)(examples), len(examples))
        examples = examples.knowing(truths)
    turned = stream("flip", replicate).random(len(pairs)) < source.flip
    return examples.turned(np.flatnonzero(turned)), dropped


def _empty(pairs: Pairs) -> list[int]:
    """The pairs with a text of nothing but space."""
    return [i for i, both in enumerate(_texts(pairs)) if not all(text.strip() for text in both)]


def _identical(pairs: Pairs) -> list[int]:
    """The pairs whose two texts are equal."""
    return [i for i, (preferred, rejected) in enumerate(_texts(pairs)) if preferred == rejected]


def _texts(pairs: Pairs) -> Sequence[tuple[str, str]]:
    return list(zip(pairs.preferred, pairs.rejected, strict=True))


def _without(
    pairs: Pairs, rows: Sequence[int], rule: Literal["refuse", "drop"], what: str, field: str
) -> tuple[Pairs, int]:
    """The pairs without these rows, and the number of rows.  Raises `DataError` where the rule is to refuse them."""
    if rows and rule == "refuse":
        both = pairs.preferred[rows[0]], pairs.rejected[rows[0]]
        raise DataError(f"{what}, first in pair {rows[0]}: {both}; mend the data, or set '{field}: drop'")
    gone = set(rows)
    return (pairs.take([i for i in range(len(pairs)) if i not in gone]) if gone else pairs), len(gone)
