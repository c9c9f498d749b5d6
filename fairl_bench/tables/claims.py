"""The table of the claims of a suite: what was measured of each, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fairl_bench.material import Material
from fairl_bench.values.coordinates import Setting
from fairl_bench.values.rows import named
from fairl_bench.values.table import Table
from fairl_bench.values.verdicts import Verdict
from fairl_bench.views import ReportTable


class Claims(ReportTable):
    """The verdicts on the suite's claims."""

    always = True

    def tables(self, material: Material) -> Iterator[Table]:
        """One table, where the suite makes claims."""
        if material.verdicts:
            yield claims_table(material.verdicts)


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    """A line for each claim, and for each model, encoder and variant where there are several."""
    several = len({verdict.setting for verdict in verdicts}) > 1
    rows = tuple(
        (*(named(verdict.setting, Setting._fields) if several else ()), *_shown(verdict)) for verdict in verdicts
    )
    names: tuple[str, ...] = Setting._fields if several else ()
    names += ("claim", "better", "than", "data", "metric", "gain", "95 %", "p (Holm)", "power", "finds", "verdict")
    notes = [
        "Gain: how much better, in the direction in which the metric is better, of several comparators against the one "
        "that decides; interval and p as in Table 1, of slices that a baseline chooses by Student's t over runs; "
        f"Holm over {_family(verdicts)}. Power: the chance of finding the "
        "gain that the source reports, with this much data. Finds: the smallest gain that would be found four times in "
        "five (both before Holm).",
        *dict.fromkeys(f"{verdict.claim.id}: {verdict.effect.note}." for verdict in verdicts if verdict.effect.note),
        *dict.fromkeys(
            f"{verdict.claim.id}: expected to be {verdict.claim.expect}, is {verdict.verdict}."
            for verdict in verdicts
            if not verdict.met
        ),
    ]
    return Table(
        "Claims",
        tuple(("", name) for name in names),
        rows,
        tuple(notes),
        tuple(verdict.plain() for verdict in verdicts),
    )


def _family(verdicts: Sequence[Verdict]) -> str:
    """The tests that Holm's correction is over."""
    if not any(verdict.claim.under for verdict in verdicts):
        return f"all {len(verdicts)} lines"
    return "all lines of a selection; the verdict of a claim under several over all claims, each with its largest p"


def _shown(verdict: Verdict) -> tuple[str, ...]:
    """The cells of a verdict, from the claim's name on."""
    claim, effect = verdict.claim, verdict.effect
    data = " ".join((claim.data, *(() if claim.slice == "all" else (claim.slice,)), f"({claim.truth})"))
    ends = "n/a" if math.isnan(effect.low) else f"[{effect.low:+.3f}, {effect.high:+.3f}]"
    p = "n/a" if math.isnan(verdict.p_holm) else "< 0.001" if verdict.p_holm < 0.001 else f"{verdict.p_holm:.3f}"
    numbers = (_number(effect.gain, "+.3f"), ends, p, _number(verdict.power, ".2f"), _number(verdict.detectable, ".3f"))
    here = "" if verdict.verdict == verdict.alone else f" (here: {verdict.alone})"
    outcome = verdict.verdict + here + ("" if verdict.met else f" (expected: {claim.expect})")
    than = " and ".join(claim.comparators())
    within = "" if claim.within is None else f", within {claim.within:g}"
    return claim.id, claim.better, than, data, verdict.metric.head + within, *numbers, outcome


def _number(value: float, form: str) -> str:
    """A number in a form; ``n/a`` where it is undefined."""
    return "n/a" if math.isnan(value) else format(value, form)
