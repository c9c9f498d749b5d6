"""What a run did not read of its texts, and the pairs that this made equal, as sentences beside its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairl_bench.guards.truncation import TextsRead, capitalised

_PLACES = {
    **{"lm": "the language models", "completions": "the completions", "measures": "the evaluation"},
    **{"reward": "the methods", "scores": "the methods"},
}


def unread(run: Mapping[str, Any]) -> list[str]:
    """One sentence for each part and data of which something was not read, from what ``run.json`` says of stages."""
    stages = [stage for stage in run.get("stages", ()) if not str(stage.get("kind")).endswith("-shard")]
    cut_off = [line for (where, *_), reading in _readings(stages).items() for line in reading.sentences(where)]
    left_out = any(stage.get("equal_vectors_left_out") for stage in stages)
    places: dict[str, list[Mapping[str, Any]]] = {}
    for stage in stages:
        places.setdefault(_place(stage), []).append(stage)
    return cut_off + [line for where, mine in places.items() for line in _equal_pairs(where, mine, left_out=left_out)]


def _place(stage: Mapping[str, Any]) -> str:
    """What a sentence calls the work of a stage: its title in all replicates, or the kind of work."""
    return _PLACES.get(str(stage.get("kind"))) or re.sub(r", replicate \d+", "", str(stage.get("title", "")))


def _readings(stages: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], TextsRead]:
    """What each part read of the texts of each place, all stages together."""
    sums: dict[tuple[str, str, str], TextsRead] = {}
    for stage in stages:
        for fields in stage.get("read", ()):
            reading = TextsRead(
                str(fields["by"]), fields["unit"], *(int(fields[name]) for name in TextsRead._fields[2:])
            )
            key = (_place(stage), reading.by, reading.unit)
            sums[key] = sums[key].and_also(reading) if key in sums else reading
    return sums


def _equal_pairs(where: str, stages: Sequence[Mapping[str, Any]], *, left_out: bool) -> Iterator[str]:
    """How many pairs of a place have two texts of equal vectors; nothing where none has."""
    mine = [stage for stage in stages if stage.get("equal_vectors")]
    if mine:
        equal, pairs = (sum(int(stage[name]) for stage in mine) for name in ("equal_vectors", "pairs"))
        then = "; they are left out of training" if left_out else ""
        yield (
            f"{capitalised(where)}: the two texts of {equal:,} of {pairs:,} pairs have equal vectors, so that no "
            f"reward of vectors tells them apart{then}."
        )
