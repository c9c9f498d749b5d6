"""Finds the suite and the files of results folders that were written before there were manifests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from fairl_bench.errors import ResultsError
from fairl_bench.results.folder import PAGE, Entry, footer, parquet, readable
from fairl_bench.reward.about import ARRAYS, CORPUS
from fairl_bench.reward.about import FILE as REWARD

BEFORE = "before"
"""Stands for what a file was made from that is older than the manifest, where nothing else says it."""


def owner_of(folder: Path) -> str | None:
    """The suite of a folder from before there were manifests; None for one that no run has written."""
    if not (folder / "suite.yaml").is_file():
        return None
    story, records = folder / "run.json", folder / "records.parquet"
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
    *("suite.yaml", "run.json", "records.parquet", "metrics.json", "intervals.parquet", PAGE, "logs/[!.]*.txt"),
    *(f"{kind}/[!.]*.parquet" for kind in ("scores", "examples", "truths", "histories", "realigned")),
    *(f"rewards/[!.]*/{name}" for name in (REWARD, ARRAYS, CORPUS)),
    *("tables/[!.]*.*", "figures/[!.]*.*"),
)
_TOGETHER = {"tables": ("md", "csv", "tex", "json"), "figures": ("png", "svg")}
