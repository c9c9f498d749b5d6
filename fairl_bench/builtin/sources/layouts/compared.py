"""Several answers of a prompt as pairs: all of them, neighbours in their order, or the best and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.shared.number_columns import finite
from fairl_bench.builtin.sources.layouts.layout import Compared, LaidOut, Reading, unusable
from fairl_bench.errors import DataError
from fairl_bench.textfiles import brief, number_of
from fairl_bench.values.data import Pairs

_UNRATED = {"", "n/a", "na"}


class Answer(NamedTuple):
    """One answer of a prompt."""

    row: Row  # where its text, its score and its truths stand
    text: str
    quality: float | None  # higher is better; None: not rated
    subtype: Any


class Answered(NamedTuple):
    """A prompt with its answers."""

    prompt: str
    group: str
    row: Row  # the first row of it
    answers: list[Answer]


def quality(row: Row, how: Reading) -> float | None:
    """Return how good an answer is, higher is better; None where its row does not say.

    Raises `DataError` for what is no number.
    """
    role = "score" if "score" in how.roles else "rank"
    column = how.roles[role]
    value = row.value(column)
    if value is None or (isinstance(value, str) and value.strip().casefold() in _UNRATED):
        return None
    number = number_of(value) if isinstance(value, str) else _number(value)
    if number is None:
        raise DataError(f"{row.place}: column {column!r} needs a number, or null for none, got {brief(value)}")
    return number if role == "score" else -number


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return finite(value) if is_number else None


def compared(quality: Sequence[float], compare: Compared) -> tuple[list[tuple[int, int]], int]:
    """Return pairs of answers, the better one first and the best pairs first, and how many pairs are left out as tied.

    Equal answers stay in their order.

    >>> compared([2.0, 5.0, 2.0, 1.0], "all")
    ([(1, 0), (1, 2), (1, 3), (0, 3), (2, 3)], 1)
    >>> compared([2.0, 5.0, 2.0, 1.0], "adjacent")
    ([(1, 0), (2, 3)], 1)
    >>> compared([2.0, 5.0, 2.0, 1.0], "best-worst")
    ([(1, 3)], 0)
    """
    order = sorted(range(len(quality)), key=lambda i: -quality[i])
    if compare == "all":
        every = [(one, other) for at, one in enumerate(order) for other in order[at + 1 :]]
    elif compare == "adjacent":
        every = list(pairwise(order))
    else:
        every = [(order[0], order[-1])] if len(order) > 1 else []
    pairs = [(one, other) for one, other in every if quality[one] != quality[other]]
    return pairs, len(every) - len(pairs)


def pairs_of_answers(prompts: Sequence[Answered], how: Reading) -> LaidOut:
    """Return the pairs of prompts with several answers, so weighted that each prompt with a pair counts as one.

    The pairs of one prompt are of one group, and no split divides them.  Raises `DataError` for a pair with an empty
    text and for one of equal texts, where these are not dropped.
    """
    dropped = dict.fromkeys(("tied", "unrated", "alone", "empty", "identical"), 0)
    numbers: dict[str, int] = {}
    rows, subtypes = list[Row](), list[Any]()
    chosen, of, texts = list[tuple[str, str]](), list[Answered](), list[tuple[int, int]]()
    for one in prompts:
        start = len(rows)
        rows += [answer.row for answer in one.answers]
        subtypes += [answer.subtype for answer in one.answers]
        rated = [i for i, answer in enumerate(one.answers) if answer.quality is not None]
        dropped["unrated"] += len(one.answers) - len(rated)
        dropped["alone"] += len(rated) == 1
        pairs, tied = compared([one.answers[i].quality or 0.0 for i in rated], how.compare)
        dropped["tied"] += tied
        for better, worse in pairs:
            both = one.answers[rated[better]], one.answers[rated[worse]]
            if (why := unusable(both[0].text, both[1].text)) and why in how.drops:
                dropped[why] += 1
                continue
            if why:
                what = "a text of the pair is empty" if why == "empty" else "both texts of the pair are equal"
                raise DataError(f"{both[1].row.place}: {what}; set '{why}: drop' to leave such pairs out")
            chosen.append((both[0].text, both[1].text))
            of.append(one)
            texts.append((start + rated[better], start + rated[worse]))
    names = [one.prompt or one.row.place for one in of]
    group = [f"prompt {numbers.setdefault(name, len(numbers))}" for name in names]
    count = np.bincount([numbers[name] for name in names], minlength=1)
    laid_out = Pairs(
        preferred=tuple(one for one, _ in chosen),
        rejected=tuple(other for _, other in chosen),
        prompt=tuple(one.prompt for one in of),
        group=tuple(one.group or name for one, name in zip(of, group, strict=True)),
        weight=tuple(1 / int(count[numbers[name]]) for name in names),
        dropped={why: n for why, n in dropped.items() if n or why not in ("empty", "identical")},
    )
    return LaidOut(laid_out, [one.row for one in of], rows, np.array(texts, np.int64).reshape(-1, 2), subtypes)
