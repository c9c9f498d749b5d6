"""Who made the results, with what, when, and in which time."""

from __future__ import annotations

from collections.abc import Mapping

from fairl_bench.html.section import OurSection
from fairl_bench.material import Material, Picture
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.views import Panel


class Suite(Panel):
    """The suite as it was resolved."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection:
        """The text of ``suite.yaml``, folded."""
        return OurSection("Suite", anchor="suite", template="suite", values={"suite": material.suite})


class Provenance(Panel):
    """The machine, the packages and the commit of a run, and the time of its stages."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection:
        """What ``run.json`` says."""
        values = {"run": _described(material.run), "stages": _stages(material.run)}
        return OurSection("Provenance", anchor="provenance", template="provenance", values=values)


def _described(run: RunFacts) -> list[tuple[str, str]]:
    """Who made the results, with what, and when."""
    git = run.git or {}
    described = {
        "finished": run.finished,
        "command": " ".join(run.command),
        "seconds": "" if run.seconds is None else run.seconds,
        "replicates": ", ".join(map(str, run.replicates)),
        "seeds": ", ".join(map(str, run.seeds)),
        "machine": ", ".join(f"{name} {value}" for name, value in run.machine.items()),
        "packages": ", ".join(f"{name} {value}" for name, value in run.packages.items()),
        "commit": f"{git.get('commit', '')}{', with changes' if git.get('dirty') else ''}",
    }
    return [(name, str(value)) for name, value in described.items() if value != ""]


def _stages(run: RunFacts) -> list[tuple[str, int, float]]:
    """Of each kind of stage, how many there are and how long they took."""
    found: dict[str, list[float]] = {}
    for stage in run.stages:
        found.setdefault(str(stage.get("kind")), []).append(float(stage.get("seconds", 0.0)))
    return [(kind, len(seconds), sum(seconds)) for kind, seconds in found.items()]
