"""Claims of a suite: their verdicts, and the exit code that expectations decide."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.results import claims
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.science.ranks import holm
from fairl_bench.tables.claims import claims_table
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.verdicts import Claim, Verdict

Cli = Callable[..., Result]
ERROR = 0.02 / 2.1788128  # the half-width of an interval in the quantile of t with 12 degrees of freedom
OWN = Comparison(
    **{"model": "toy", "encoder": "tfidf", "variant": "", "data": "shifted", "truth": "gold", "metric": "auc"},
    **{"method": "a", "other": "b", "value": 0.04, "low": 0.02, "high": 0.06, "p": 0.001, "p_holm": 0.01},
    **{"error": ERROR, "freedom": 12.0, "effect": 2.0, "n": 500, "units": 5, "unit": "seed", "resamples": 100},
    note="",
)
PLACE = Coordinates.of(World("toy", 0), Run("tfidf", "mlp", "a", "", 0), "shifted", "gold")
RECORD = Record.at(PLACE, "s", "auc", 0.8, 500, stage="k")


def claim(**fields: Any) -> Claim:
    given = {"id": "c", "better": "a", "than": "b", "metric": "auc", "data": "shifted"}
    return Claim.model_validate(given | fields)


def nothing(_: Iterable[str]) -> list[Sheet]:
    """No scores lie anywhere."""
    return []


def verdict(one: Claim, known: Comparison = OWN) -> Verdict:
    (found,) = claims.judge([one], nothing, [RECORD], [known], built_in_metrics())
    return found


@pytest.mark.parametrize(
    ("fields", "known", "said"),
    [
        ({}, {}, "supported"),
        ({"better": "b", "than": "a"}, {}, "refuted"),
        ({}, {"p": 0.2}, "inconclusive"),
        ({"alpha": 0.0005}, {}, "inconclusive"),
        ({"by_at_least": 0.01}, {}, "supported"),
        ({"by_at_least": 0.04}, {}, "inconclusive"),
        ({"by_at_least": 0.07}, {}, "refuted"),
        ({"metric": "starc"}, {"metric": "starc"}, "refuted"),  # lower is better
        ({"metric": "threshold"}, {"metric": "threshold"}, "inconclusive"),
        ({"data": "pairs/test"}, {}, "inconclusive"),  # nothing on record
        ({"within": 0.1}, {}, "equivalent"),
        ({"within": 0.05}, {}, "inconclusive"),
        ({"within": 0.01}, {}, "refuted"),
    ],
)
def test_a_claim_is_judged_by_its_effect(fields: dict[str, Any], known: dict[str, Any], said: str) -> None:
    assert verdict(claim(**fields), replace(OWN, **known)).verdict == said


def test_a_gain_is_told_in_the_direction_that_is_better() -> None:
    found = verdict(claim(metric="starc"), replace(OWN, metric="starc")).effect
    assert (found.gain, found.low, found.high) == (-0.04, -0.06, -0.02)


def test_power_is_that_of_the_effect_that_the_source_reports() -> None:
    found = (2.1788128 + 0.8726090) * ERROR  # the quantiles .975 and .8 of t with 12 degrees of freedom
    assert verdict(claim(effect=found)).power == pytest.approx(0.8, abs=0.02)
    assert verdict(claim(effect=0.1)).power > 0.999
    assert math.isnan(verdict(claim()).power)
    assert verdict(claim()).detectable == pytest.approx(found, rel=1e-6)


def test_p_is_adjusted_over_all_claims_of_the_suite() -> None:
    asked = [claim(id="one"), claim(id="two", metric="f1"), claim(id="three", metric="accuracy")]
    p = (0.001, 0.03, 0.02)
    known = [replace(OWN, metric=one.metric, p=each) for one, each in zip(asked, p, strict=True)]
    found = claims.judge(asked, nothing, [RECORD], known, built_in_metrics())
    assert [one.p_holm for one in found] == holm(p)


def test_a_gain_of_at_least_so_much_is_tested_by_t_at_the_same_degrees_of_freedom() -> None:
    from scipy.stats import t

    found = verdict(claim(by_at_least=0.01))
    assert found.p == pytest.approx(2 * t.sf(0.03 / ERROR, 12), rel=1e-6)


def several(p: dict[str, float], gains: dict[str, float], **fields: Any) -> Verdict:
    known = [replace(OWN, other=name, p=p[name], value=gains[name]) for name in p]
    (found,) = claims.judge([claim(than=list(p), **fields)], nothing, [RECORD], known, built_in_metrics())
    return found


def test_several_comparators_are_one_hypothesis_with_the_largest_p() -> None:
    found = several({"b": 0.001, "c": 0.03}, {"b": 0.05, "c": 0.04})
    assert (found.p, found.effect.than, found.verdict) == (0.03, "c", "supported")
    assert several({"b": 0.001, "c": 0.06}, {"b": 0.05, "c": 0.04}).verdict == "inconclusive"


def test_one_comparator_that_is_better_refutes_a_claim_against_several() -> None:
    found = several({"b": 0.001, "c": 0.02}, {"b": 0.05, "c": -0.04})
    # it was looked for among two
    assert (found.p, found.effect.than, found.verdict) == (0.04, "c", "refuted")


def test_a_comparator_that_is_not_on_record_leaves_the_claim_open() -> None:
    asked = claim(than=["b", "c"])
    (found,) = claims.judge([asked], nothing, [RECORD], [OWN], built_in_metrics())
    assert found.verdict == "inconclusive"
    assert "on record for both 'a' and 'c'" in found.effect.note


def test_a_claim_is_of_a_gain_or_of_equivalence() -> None:
    with pytest.raises(ValueError, match="leave one out"):
        claim(within=0.1, by_at_least=0.1)


def test_an_expectation_is_met_by_its_verdict_alone() -> None:
    assert verdict(claim(expect="supported")).met
    assert verdict(claim(expect="any")).met
    assert not verdict(claim(expect="refuted")).met
    assert not verdict(claim(expect="inconclusive")).met


# --- under several selections

RULES = ("whole", "late", "last")


def under(p: dict[str, float], **fields: Any) -> list[Verdict]:
    """The verdicts of one claim under three selections with these p."""
    variants = {name: f'{{"selection":"{name}"}}' for name in p}
    found = [replace(RECORD, variant=variant) for variant in variants.values()]
    known = [replace(OWN, variant=variants[name], p=each) for name, each in p.items()]
    return claims.judge([claim(under=list(RULES), **fields)], nothing, found, known, built_in_metrics())


def two_claims(p: dict[tuple[str, str], float]) -> list[Verdict]:
    """The verdicts of a claim on the AUC and one on F1 under two selections, with these p by selection and metric."""
    variants = {name: f'{{"selection":"{name}"}}' for name in ("whole", "late")}
    found = [replace(RECORD, variant=variant) for variant in variants.values()]
    known = [replace(OWN, variant=variants[name], metric=metric, p=each) for (name, metric), each in p.items()]
    asked = [claim(id=name, under=["whole", "late"], metric=name) for name in ("auc", "f1")]
    return claims.judge(asked, nothing, found, known, built_in_metrics())


def test_a_claim_that_holds_under_every_selection_is_supported() -> None:
    found = under(dict.fromkeys(RULES, 0.001))
    assert [one.verdict for one in found] == ["supported"] * 3


def test_a_claim_that_holds_under_some_selections_depends_on_them() -> None:
    found = under({"whole": 0.001, "late": 0.5, "last": 0.001}, expect="depends on the selection")
    assert [one.verdict for one in found] == ["depends on the selection"] * 3
    assert [one.alone for one in found] == ["supported", "inconclusive", "supported"]
    assert all(one.met for one in found)
    said = [row[-1] for row in claims_table(found).rows]
    assert said[1] == "depends on the selection (here: inconclusive)"


def test_a_claim_is_judged_under_its_own_selections_alone() -> None:
    found = under({"whole": 0.001, "late": 0.001, "last": 0.001, "other": 0.5})
    assert [claims.selection_of(one.setting.variant) for one in found] == list(RULES)


def test_a_selection_of_which_nothing_is_on_record_leaves_the_claim_open() -> None:
    found = under({"whole": 0.001, "late": 0.001})
    assert [one.alone for one in found] == ["supported", "supported", "inconclusive"]
    assert {one.verdict for one in found} == {"depends on the selection"}
    assert "is on record for both 'a' and 'b'" in found[-1].effect.note


def test_a_claim_under_several_selections_is_one_hypothesis_with_the_largest_p() -> None:
    """Else a claim that holds by chance under one rule, and surely under the others, would be found too often."""
    said = two_claims({("whole", "auc"): 0.001, ("whole", "f1"): 0.03, ("late", "auc"): 0.03, ("late", "f1"): 0.001})
    assert [one.alone for one in said] == ["supported"] * 4  # 0.03 is the larger of two under its selection
    assert {one.verdict for one in said} == {"inconclusive"}  # and 2 x 0.03 of the two claims


def test_a_gain_under_one_rule_and_a_loss_under_another_depend_on_the_selection() -> None:
    variants = {name: f'{{"selection":"{name}"}}' for name in ("whole", "late")}
    found = [replace(RECORD, variant=variant) for variant in variants.values()]
    known = [replace(OWN, variant=variants["whole"]), replace(OWN, variant=variants["late"], value=-0.04)]
    said = claims.judge([claim(under=["whole", "late"])], nothing, found, known, built_in_metrics())
    assert [one.alone for one in said] == ["supported", "refuted"]
    assert {one.verdict for one in said} == {"depends on the selection"}


def test_holms_family_is_what_is_judged_under_one_selection() -> None:
    said = two_claims({("whole", "auc"): 0.02, ("whole", "f1"): 0.03, ("late", "auc"): 0.04, ("late", "f1"): 0.01})
    told = {(claims.selection_of(one.setting.variant), one.claim.metric): one.p_holm for one in said}
    assert told == {("whole", "auc"): 0.04, ("whole", "f1"): 0.04, ("late", "auc"): 0.04, ("late", "f1"): 0.02}
    assert "Holm over all lines of a selection" in claims_table(said).notes[0]


def test_points_of_a_product_are_not_taken_together() -> None:
    variants = [f'{{"head.width":{width},"selection":"{name}"}}' for width in (4, 8) for name in RULES]
    found = [replace(RECORD, variant=variant) for variant in variants]
    known = [replace(OWN, variant=variant, p=0.001 if "4" in variant else 0.5) for variant in variants]
    said = claims.judge([claim(under=list(RULES))], nothing, found, known, built_in_metrics())
    assert [one.verdict for one in said] == ["supported"] * 3 + ["inconclusive"] * 3


def rows(method: str, part: str, values: dict[int | None, float]) -> list[Record]:
    return [replace(RECORD, method=method, seed=seed, slice=part, value=value) for seed, value in values.items()]


def test_a_slice_is_judged_by_students_t_over_runs() -> None:
    from scipy.stats import ttest_rel

    one, other = {0: 0.9, 1: 0.8, 2: 0.85}, {0: 0.7, 1: 0.65, 2: 0.6}
    found = [*rows("a", "near-tie:b", one), *rows("b", "near-tie:b", other)]
    (said,) = claims.judge([claim(slice="near-tie:b")], nothing, found, [OWN], built_in_metrics())
    assert said.p == pytest.approx(ttest_rel(list(one.values()), list(other.values())).pvalue)
    assert (said.effect.units, said.effect.unit) == (3, "seed")


def test_a_run_without_a_seed_stands_beside_every_other_in_a_slice() -> None:
    found = [*rows("a", "x", {0: 0.9, 1: 0.8}), *rows("b", "x", {None: 0.5})]
    (said,) = claims.judge([claim(slice="x")], nothing, found, [OWN], built_in_metrics())
    assert said.effect.gain == pytest.approx(0.35)
    assert said.effect.units == 2


def test_of_one_run_a_slice_says_nothing() -> None:
    found = [*rows("a", "x", {0: 0.9}), *rows("b", "x", {0: 0.5})]
    (said,) = claims.judge([claim(slice="x")], nothing, found, [OWN], built_in_metrics())
    assert said.verdict == "inconclusive"
    assert said.effect.note == "an interval over runs needs at least 2, got 1"


# --- in a run

CLAIMS = [
    {"id": "table1", "better": "max-entropy", "than": "length", "metric": "auc", "data": "shifted", "expect": "any"},
    {"id": "else", "better": "max-entropy", "than": "length", "metric": "pair_accuracy", "data": "pairs/test",
     "truth": "preferred", "source": "our own"},
    {"id": "no-number", "better": "max-entropy", "than": "length", "metric": "pair_accuracy", "data": "pairs/test",
     "truth": "gold", "expect": "inconclusive"},
]  # fmt: skip


def test_a_run_judges_its_claims_and_a_report_says_the_same(
    cli: Cli, write_suite: Callable[..., Path], tiny: dict[str, Any], tmp_path: Path
) -> None:
    evaluate = {"use": "classification", "data": ["pairs/test"], "label": "preferred"}
    evaluate["threshold"] = {"data": "pairs/train", "label": "preferred"}
    tiny["evaluate"].append(evaluate)
    path = write_suite(tiny | {"claims": CLAIMS})
    ran = cli("run", path, "--results", "r")
    assert ran.exit_code == 0, ran.output
    told = {row["claim"]: row for row in json.loads((tmp_path / "r" / "run.json").read_text())["claims"]}
    assert told["table1"]["p_holm"] >= told["table1"]["p"]
    assert told["else"]["gain"] == pytest.approx((told["else"]["low"] + told["else"]["high"]) / 2, abs=0.05)
    assert told["no-number"]["gain"] is None
    said = "no pair_accuracy of pairs/test against 'gold' is on record for both 'max-entropy' and 'length'"
    assert told["no-number"]["note"] == f"{said}; it is on record against 'preferred'"
    shown = cli("report", "r", "-t", "claims", "--format", "md")
    assert shown.stdout.strip() == (tmp_path / "r" / "tables" / "claims.md").read_text().strip()
    refused = {"supported": "refuted", "refuted": "supported", "inconclusive": "supported"}[told["table1"]["verdict"]]
    CHANGED = [CLAIMS[0] | {"expect": refused}]
    ran = cli("run", write_suite(tiny | {"claims": CHANGED}), "--results", "r")
    assert ran.exit_code == 1
    assert f"claim 'table1' is {told['table1']['verdict']}, expected to be {refused}" in ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("nothing to compute")
