"""Why pairs were dropped, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SHARED: Final = ""
"""The reason of a split: a pair shares a text with a later part."""
_FACT: Final = "dropped"
_WORDS: Final[Mapping[str, tuple[str, str]]] = {  # of one, of several
    SHARED: (
        "shares a text with held-out pairs (split.shared_text)",
        "share a text with held-out pairs (split.shared_text)",
    ),
    "identical": ("has two equal texts (identical: drop)", "have two equal texts (identical: drop)"),
    "empty": ("has an empty text (empty: drop)", "have an empty text (empty: drop)"),
    "tied": ("is tied: both texts are rated alike", "are tied: both texts are rated alike"),
    "unrated": ("answer without a rating", "answers without a rating"),
    "alone": ("prompt with a single rated answer", "prompts with a single rated answer"),
    "no_choice": ("row without a choice", "rows without a choice"),
    "below_min_ratio": ("row below min_ratio", "rows below min_ratio"),
}


def dropped_in(facts: Mapping[str, Any]) -> dict[str, int]:
    """How many were dropped by each reason, from the facts of a stage; reasons of none are left out.

    >>> dropped_in({"dropped_empty": 2, "dropped_tied": 0, "dropped": 3, "examples": 9})
    {'empty': 2, '': 3}
    """
    counts = {name: int(n) for name, n in facts.items() if name.partition("_")[0] == _FACT and n}
    return {name.removeprefix(_FACT).removeprefix("_"): n for name, n in counts.items()}


def told(dropped: Mapping[str, int]) -> str:
    """The reasons by count.

    >>> told({"": 139, "empty": 1, "too_long": 2, "tied": 0})
    '139 share a text with held-out pairs (split.shared_text), 1 has an empty text (empty: drop), 2 too long'
    """
    return ", ".join(f"{n:,} {_words(why, n)}" for why, n in dropped.items() if n)


def _words(why: str, n: int) -> str:
    """The words for a reason; one that a plugin gave is its name."""
    one, several = _WORDS.get(why, (why.replace("_", " "),) * 2)
    return one if n == 1 else several
