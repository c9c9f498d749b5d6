"""What a reader should know before trusting a number: what a run says of failures, and of what it left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fairl_bench.html.section import OurSection
from fairl_bench.material import Material, Picture
from fairl_bench.results.unread import unread
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.views import Panel


class Warnings(Panel):
    """What failed, was skipped or made again, and what was dropped or not read."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection | None:
        """The section before all others, where there is anything to say."""
        _ = material.tables  # made now, because what fails with them is told here
        found = [*warnings(material.run), *(Warned("left out", message) for message in material.warnings)]
        return OurSection("", template="warnings", values={"warnings": found}) if found else None


class Warned(NamedTuple):
    """What a reader should know before trusting a number."""

    what: str
    said: str


def warnings(run: RunFacts) -> list[Warned]:
    """What a run says of parts that failed, were skipped or made again, and of rows that were dropped."""
    titles = {stage["key"]: str(stage.get("title", stage["key"])) for stage in run.stages}
    found = [Warned("failed", str(reason)) for reason in run.failed.values()]
    if run.skipped:
        found.append(Warned("skipped", f"{len(run.skipped)} stages, because of what failed before them"))
    found += [Warned("made again", f"{titles.get(key, key)} was damaged") for key in run.damaged]
    for stage in run.stages:
        dropped = {name: n for name, n in stage.items() if name.startswith("dropped") and n}
        why = ", ".join(f"{n:,} {name.removeprefix('dropped').strip('_') or 'pairs'}" for name, n in dropped.items())
        if dropped:
            found.append(Warned("dropped", f"{stage.get('title', '')}: {why}"))
    found += [Warned("not read", sentence) for sentence in unread(run.stages)]
    return list(dict.fromkeys(found))
