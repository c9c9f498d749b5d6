"""Preference pairs from the completions of a base language model and of its aligned expert."""

from __future__ import annotations

from fairl_bench.data import Completions, Pairs
from fairl_bench.errors import DataError


def pairs_of(base: Completions, expert: Completions) -> Pairs:
    """The expert's completion over the base's, of each prompt row and draw, in the expert's order.

    Raises `DataError` where the two have not completed the same prompts as often.
    """
    asked = [
        {(row, draw): i for i, (row, draw) in enumerate(zip(one.row, one.draw, strict=True))} for one in (base, expert)
    ]
    order = [asked[0].get(place) for place in asked[1]]
    matched = [i for i in order if i is not None]
    same = len(matched) == len(base) == len(expert) and all(
        base.prompt[i] == prompt for i, prompt in zip(matched, expert.prompt, strict=True)
    )
    if not same:
        raise DataError(
            f"the base and the expert have not completed the same prompts ({len(base)} and {len(expert)} completions); "
            "give both the same ones"
        )
    return Pairs(expert.text, tuple(base.text[i] for i in matched), expert.prompt)
