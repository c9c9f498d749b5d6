"""Sentences on the texts that a run did not read in full, and on the pairs that this made equal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairl_bench.guards.truncation import TextsRead, capitalised

_PLACES = {
    **{"lm": "the language models", "completions": "the completions", "measures": "the evaluation"},
    **{"reward": "the methods", "scores": "the methods"},
}


def unread(every_stage: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each part and data of which something was not read, from the facts of the stages of a run."""
    stages = [stage for stage in every_stage if not str(stage.get("kind")).endswith("-shard")]
    cut_off = [line for (place, *_), reading in _readings(stages).items() for line in reading.sentences(place)]
    left_out = any(stage.get("equal_vectors_left_out") for stage in stages)
    places: dict[str, list[Mapping[str, Any]]] = {}
    for stage in stages:
        places.setdefault(_place(stage), []).append(stage)
    return cut_off + [
        line for place, of_place in places.items() for line in _equal_pairs(place, of_place, left_out=left_out)
    ]


def _place(stage: Mapping[str, Any]) -> str:
    """The name of a stage's work in a sentence: its title in all replicates, or the kind of work."""
    return _PLACES.get(str(stage.get("kind"))) or re.sub(r", replicate \d+", "", str(stage.get("title", "")))


def _readings(stages: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], TextsRead]:
    """The texts that each part read at each place, all stages together."""
    sums: dict[tuple[str, str, str], TextsRead] = {}
    for stage in stages:
        for fields in stage.get("read", ()):
            reading = TextsRead(
                str(fields["by"]), fields["unit"], *(int(fields[name]) for name in TextsRead._fields[2:])
            )
            key = (_place(stage), reading.by, reading.unit)
            sums[key] = sums[key].and_also(reading) if key in sums else reading
    return sums


def _equal_pairs(place: str, stages: Sequence[Mapping[str, Any]], *, left_out: bool) -> Iterator[str]:
    """The sentence on pairs of a place whose two texts have equal vectors; none where no pair has."""
    with_equal = [stage for stage in stages if stage.get("equal_vectors")]
    if with_equal:
        equal, pairs = (sum(int(stage[name]) for stage in with_equal) for name in ("equal_vectors", "pairs"))
        consequence = "; they are left out of training" if left_out else ""
        yield (
            f"{capitalised(place)}: the two texts of {equal:,} of {pairs:,} pairs have equal vectors, so that no "
            f"reward of vectors tells them apart{consequence}."
        )
