"""The worked example of audit.md: what the command prints of an audit, and each concept in numbers."""

from __future__ import annotations

from pathlib import Path

from fairl_bench.audits.words import lines_of
from fairl_bench.results.results import read_results
from fairl_bench.science.concepts import Interval
from fairl_bench.values.findings import ConceptFinding, Findings

_ARROWS = {1: "more", -1: "less", 0: ""}


def table(name: str, results: Path | None) -> str | None:
    """Return the block ``SUITE``: the lines of its first audit, and its concepts where a difference is shown.

    None where there is no such folder.
    """
    folder = results / name if results else None
    if folder is None or not (folder / "findings.json").exists():
        return None
    found = read_results(folder).findings[0]
    lines = ["```text", *lines_of(found), "```"]
    return "\n".join([*lines, "", *_concepts(found)] if found.separable.shown else lines) + "\n"


def _concepts(found: Findings) -> list[str]:
    """A row for each concept that was measured."""
    rows = [
        [one.called(), one.verdict or "", _ARROWS[one.sign], *_numbers(one)] for one in found.concepts if one.verdict
    ]
    rows.append(["*unexplained*", "", "", _share(found.unexplained), "", ""])
    heads = ["concept", "verdict", "rewarded for", "share of the reward", "alone", "beside all others"]
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(f"| {' | '.join(row)} |" for row in rows)]


def _numbers(one: ConceptFinding) -> list[str]:
    return [_share(one.share), *(f"{round(100 * share.value)} %" for share in (one.alone, one.beside))]


def _share(share: Interval) -> str:
    low, value, high = (round(100 * each) for each in (share.low, share.value, share.high))
    return f"{value} % [{low}, {high}]"
