"""The share of the ceiling: its name among numbers, and where there is none."""

from __future__ import annotations

from typing import Final

from fairl_bench.values.data import DISCORDANT, PREFERRED

PAIR_ACCURACY: Final = "pair_accuracy"
"""The metric that has a ceiling."""
SHARE: Final = "share_of_ceiling"
"""What a share is called where it stands beside metrics; it is no record, for it follows from two of them."""
COIN: Final = 0.5
"""The pair accuracy of a coin toss, from which a share of the ceiling starts."""
_TRAINING: Final = "pairs/train"


def no_ceiling(data: str, truth: str, part: str = "all") -> str:
    """Why a pair accuracy on this data, against this truth, has no ceiling; empty where the log-ratio may be one.

    >>> no_ceiling("pairs/test", "preferred"), no_ceiling("pairs/test", "gold")
    ('', "only the truth 'preferred' has a ceiling")
    >>> no_ceiling("pairs/test", "preferred", "misranked:max-entropy")
    'a slice is chosen by a method'

    Discordant pairs are chosen by their texts, whichever is whose, and what bounds all pairs bounds them too.

    >>> no_ceiling("pairs/test", "preferred", "discordant")
    ''
    """
    if truth != PREFERRED:
        return f"only the truth {PREFERRED!r} has a ceiling"
    if data.partition("/")[0] != "pairs":
        return "a test set holds no pairs of the two models"
    if data == _TRAINING:
        return "methods have seen the training pairs"
    return "" if part in ("all", DISCORDANT) else "a slice is chosen by a method"
