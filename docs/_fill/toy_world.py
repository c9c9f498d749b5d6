"""The generated tables of toy-world.md: comments with their truth, and how often a list of words is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from fairl_bench.toy.frames import CASES
from fairl_bench.toy.grammar import Comment, Hard, comment, comments
from fairl_bench.toy.truth import SEVERITY, reward, toxicity

OVERT = ("insult", "slight", "scorn", "obscene", "threat", "attack")
WORDS = re.compile(r"\b(?:" + "|".join(word for field in OVERT for word in SEVERITY[field]) + r")\b")


def samples() -> str:
    """Return a comment of each kind, those with held-out words last."""
    rng = np.random.default_rng(0)

    def drawn(toxic: float, hard: Hard, shift: float = 0.0) -> Comment:
        return comment(rng, toxic=toxic, hard=hard, shift=shift)

    easy = [drawn(toxic, Hard(0.0)) for toxic in (0.0, 0.0, 1.0, 1.0)]
    hard = [drawn(float(case == "implicit-toxicity"), Hard(1.0, (case,))) for case in CASES]
    shifted = [drawn(toxic, Hard(0.0), shift) for shift in (0.5, 1.0) for toxic in (0.0, 1.0)]
    head = ["| shift | hard case | comment: *prompt*, text | true reward | subtypes meant |", "|---|---|---|---|---|"]
    rows = [*(_row("0", one) for one in (*easy, *hard)), *map(_row, ("0.5", "0.5", "1", "1"), shifted)]
    return "\n".join([*head, *rows]) + "\n"


def _row(shift: str, one: Comment) -> str:
    subtypes = ", ".join(sorted(one.subtypes)) or "clean"
    return f"| {shift} | {one.case or ''} | *{one.prompt.text}* {one.text} | {reward(one.text):+.2f} | {subtypes} |"


def cases() -> str:
    """Return how often the truth, and a list of all toxic words, agree with what the writer of a comment meant."""
    drawn = comments(6000, np.random.default_rng(0), shift=0.5)
    head = ["| hard case | comments | the truth agrees | a list of toxic words agrees |", "|---|---|---|---|"]
    rows = [_agreement(case or "none", [one for one in drawn if one.case == case]) for case in (None, *CASES)]
    return "\n".join([*head, *rows, _agreement("**all**", drawn)]) + "\n"


def _agreement(name: str, drawn: Sequence[Comment]) -> str:
    rule = [(toxicity(one.text) > 0.5) == one.toxic for one in drawn]
    words = [bool(WORDS.search(one.text.lower())) == one.toxic for one in drawn]
    return f"| {name} | {len(rule)} | {np.mean(rule):.1%} | {np.mean(words):.1%} |"


TABLES: dict[str, Callable[[], str]] = {"samples": samples, "cases": cases}
