"""Finds the suite and the files of results folders that were written before there were manifests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from fairl_bench.errors import ResultsError
from fairl_bench.results.folder import (
    CELLS,
    EVIDENCE,
    FIGURES,
    INTERVALS,
    LOGS,
    METRICS,
    PAGE,
    RECORDS,
    REWARDS,
    RUN,
    SUITE,
    TABLES,
    WORLDS,
    Entry,
    footer,
    parquet,
    readable,
)
from fairl_bench.reward.about import ARRAYS, CORPUS
from fairl_bench.reward.about import FILE as REWARD

BEFORE = "before"
"""Stands for what a file was made from that is older than the manifest, where nothing else says it."""


def owner_of(folder: Path) -> str | None:
    """The suite of a folder from before there were manifests; None for one that no run has written."""
    if not (folder / SUITE).is_file():
        return None
    story, records = folder / RUN, folder / RECORDS
    with suppress(ResultsError), readable(story):
        return str(json.loads(story.read_bytes())["suite"])
    with suppress(ResultsError), readable(records):
        rows = parquet(records.read_bytes(), records).select(["suite", "metric", "stage"])
        return str(rows["suite"][0].as_py())
    return None


def files_of(folder: Path, digest: Callable[[str], str]) -> Iterator[tuple[str, Entry]]:
    """The files of a folder from before there were manifests that look like a run's."""
    for pattern in _OURS:
        for path in sorted(folder.glob(pattern)):
            name = path.relative_to(folder).as_posix()
            together = [path.with_suffix(f".{ending}") for ending in _TOGETHER.get(path.parent.name, ())]
            if digest(name) and all(sibling.is_file() for sibling in together):
                of = footer(path) if path.suffix == ".parquet" else None
                yield name, Entry(digest(name), of or BEFORE)


_OURS = (
    *(SUITE, RUN, RECORDS, METRICS, INTERVALS, PAGE, f"{LOGS}/[!.]*.txt"),
    *(f"{kind}/[!.]*.parquet" for kind in (*WORLDS, *CELLS)),
    *(f"{EVIDENCE}/[!.]*.parquet", f"{EVIDENCE}/[!.]*/[!.]*.parquet", f"{EVIDENCE}/[!.]*/[!.]*/[!.]*.parquet"),
    *(f"{REWARDS}/[!.]*/{name}" for name in (REWARD, ARRAYS, CORPUS)),
    *(f"{TABLES}/[!.]*.*", f"{FIGURES}/[!.]*.*"),
)
_TOGETHER = {TABLES: ("md", "csv", "tex", "json"), FIGURES: ("png", "svg")}
