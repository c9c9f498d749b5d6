"""What a reader should know before trusting a number: what a run says of failures, and of what it left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from fairl_bench.html.section import OurSection
from fairl_bench.material import Material, Picture
from fairl_bench.results.unread import unread
from fairl_bench.values.dropped import dropped_in, told
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.views import Panel


class Warnings(Panel):
    """What failed, was skipped or made again, and what was dropped or not read."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection | None:
        """Every one of them, where there is anything to say."""
        found = every_warning(material)
        values = {"warnings": found}
        return OurSection("Left out", anchor="left-out", template="warnings", values=values) if found else None


class Warned(NamedTuple):
    """What a reader should know before trusting a number."""

    what: str
    said: str


def every_warning(material: Material) -> list[Warned]:
    """What a run says, and which tables, figures and panels could not be shown."""
    _ = material.tables  # made now, because what fails with them is told
    return [*warnings(material.run), *(Warned("left out", message) for message in material.warnings)]


def alarming(material: Material) -> str:
    """What makes numbers wrong or leaves them out, in a sentence; empty where nothing does."""
    counts = Counter(warned.what for warned in every_warning(material))
    parts = []
    if n := counts["failed"]:
        skipped = len(material.run.skipped)
        after = f", {skipped} more {'was' if skipped == 1 else 'were'} skipped" if skipped else ""
        steps = "1 step" if n == 1 else f"{n} steps"
        parts.append(f"{steps} of the run failed{after}, so that numbers are missing or rest on fewer runs")
    if n := counts["left out"]:
        parts.append(f"{n} {'part' if n == 1 else 'parts'} of this page could not be shown")
    return "; ".join(parts)


def dropped(run: RunFacts) -> Counter[str]:
    """How many pairs and texts were dropped by each reason, in all replicates together."""
    counts = Counter[str]()
    for stage in run.stages:
        counts.update(dropped_in(stage))
    return counts


def warnings(run: RunFacts) -> list[Warned]:
    """What a run says of parts that failed, were skipped or made again, and of rows that were dropped."""
    titles = {stage["key"]: str(stage.get("title", stage["key"])) for stage in run.stages}
    found = [Warned("failed", str(reason)) for reason in run.failed.values()]
    if run.skipped:
        found.append(Warned("skipped", f"{len(run.skipped)} stages, because of what failed before them"))
    found += [Warned("made again", f"{titles.get(key, key)} was damaged") for key in run.damaged]
    for stage in run.stages:
        if why := told(dropped_in(stage)):
            found.append(Warned("dropped", f"{stage.get('title', '')}: {why}"))
    found += [Warned("not read", sentence) for sentence in unread(run.stages)]
    return list(dict.fromkeys(found))
