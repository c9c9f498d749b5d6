"""What a run did not read of its texts, and the pairs that this made equal: sentences for whoever reads its numbers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

_NUMBERS = ("texts", "short", "blank", "units", "lost")
_PLACES = {
    **{"lm": "the language models", "completions": "the completions", "measures": "the evaluation"},
    **{"reward": "the methods", "scores": "the methods"},
}


def unread(run: Mapping[str, Any]) -> list[str]:
    """One sentence for each part and data of which something was not read, from what ``run.json`` tells of stages."""
    stages = [stage for stage in run.get("stages", ()) if not str(stage.get("kind")).endswith("-shard")]
    read: dict[tuple[str, str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(_NUMBERS, 0))
    equal: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for stage in stages:
        where = _PLACES.get(str(stage.get("kind"))) or re.sub(r", replicate \d+", "", str(stage.get("title", "")))
        for told in stage.get("read", ()):
            found = read[where, str(told["by"]), str(told["unit"])]
            for name in _NUMBERS:
                found[name] += int(told[name])
        if stage.get("equal_vectors"):
            equal[where][0] += int(stage["equal_vectors"])
            equal[where][1] += int(stage["pairs"])
    left_out = any(stage.get("equal_vectors_left_out") for stage in stages)
    sentences = [sentence for key, found in read.items() for sentence in said(key[0], key[1], key[2], **found)]
    return sentences + [_equal(where, *numbers, left_out=left_out) for where, numbers in equal.items()]


def said(where: str, by: str, unit: str, *, texts: int, short: int, blank: int, units: int, lost: int) -> Iterator[str]:
    """What one part (``by``) did not read of the texts of one place; nothing where it read all that counts."""
    if unit == "words" and blank:
        yield f"{_capital(where)}: {by} knows no word of {_of(blank, texts)} texts, and gives all of these the same."
    if unit != "words" and short:
        share = f"{lost / units:.1%}".replace("%", " %")
        yield f"{_capital(where)}: {by} cut off {_of(short, texts)} texts; {share} of all {unit} were not read."


def _equal(where: str, equal: int, pairs: int, *, left_out: bool) -> str:
    then = "; they are left out of training" if left_out else ""
    return (
        f"{_capital(where)}: the two texts of {_of(equal, pairs)} pairs have equal vectors, so that no reward of "
        f"vectors tells them apart{then}."
    )


def _of(some: int, of_all: int) -> str:
    return f"{some:,} of {of_all:,}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
