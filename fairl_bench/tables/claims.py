"""The claims of a suite, one line a claim: what was measured, and the verdict."""

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
    """One line a claim (and model, encoder and variant, where there are several)."""
    several = len({one.setting for one in verdicts}) > 1
    rows = tuple((*(named(one.setting, Setting._fields) if several else ()), *_shown(one)) for one in verdicts)
    names: tuple[str, ...] = Setting._fields if several else ()
    names += ("claim", "better", "than", "data", "metric", "gain", "95 %", "p (Holm)", "power", "finds", "verdict")
    notes = [
        "Gain: how much better, in the direction in which the metric is better, of several comparators against the one "
        "that decides; interval and p as in Table 1, of "
        f"slices by Student's t over runs; Holm over {_family(verdicts)}. Power: the chance of finding the "
        "gain that the source reports, with this much data. Finds: the smallest gain that would be found four times in "
        "five (both before Holm).",
        *dict.fromkeys(f"{one.claim.id}: {one.effect.note}." for one in verdicts if one.effect.note),
        *dict.fromkeys(
            f"{one.claim.id}: expected to be {one.claim.expect}, is {one.verdict}." for one in verdicts if not one.met
        ),
    ]
    return Table(
        "Claims", tuple(("", name) for name in names), rows, tuple(notes), tuple(one.plain() for one in verdicts)
    )


def _family(verdicts: Sequence[Verdict]) -> str:
    if not any(one.claim.under for one in verdicts):
        return f"all {len(verdicts)} lines"
    return "all lines of a selection; the verdict of a claim under several over all claims, each with its largest p"


def _shown(one: Verdict) -> tuple[str, ...]:
    claim, effect = one.claim, one.effect
    data = " ".join((claim.data, *(() if claim.slice == "all" else (claim.slice,)), f"({claim.truth})"))
    ends = "n/a" if math.isnan(effect.low) else f"[{effect.low:+.3f}, {effect.high:+.3f}]"
    p = "n/a" if math.isnan(one.p_holm) else "< 0.001" if one.p_holm < 0.001 else f"{one.p_holm:.3f}"
    numbers = (_number(effect.gain, "+.3f"), ends, p, _number(one.power, ".2f"), _number(one.detectable, ".3f"))
    here = "" if one.verdict == one.alone else f" (here: {one.alone})"
    verdict = one.verdict + here + ("" if one.met else f" (expected: {claim.expect})")
    than = " and ".join(claim.comparators())
    asked = "" if claim.within is None else f", within {claim.within:g}"
    return claim.id, claim.better, than, data, one.metric.head + asked, *numbers, verdict


def _number(value: float, form: str) -> str:
    return "n/a" if math.isnan(value) else format(value, form)
