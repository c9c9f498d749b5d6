"""What an audit says: the outcome follows from intervals, and the sentence says it with its numbers."""

from __future__ import annotations

import math

from fairl_bench.results.findings import findings, sentence
from fairl_bench.results.given import GivenMaterial
from fairl_bench.science.concepts import Interval
from fairl_bench.values.contents import CONCEPT, ENDS, REST, SHARE
from fairl_bench.values.coordinates import Row
from fairl_bench.values.findings import ConceptFinding, Findings, Separable
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts, RunFacts

NOT_KNOWN = Interval(math.nan)


def concept(name, verdict, share, slope=(-1.0, -1.2, -0.8), auc=(0.4, 0.35, 0.45)):
    return ConceptFinding(name, verdict, Interval(*share), Interval(*slope), Interval(*auc))


def found(outcome, *concepts, given="both models", accuracy=(0.7, 0.65, 0.75)):
    separable = Separable(Interval(*accuracy), 500, 500, 0.5626)
    empty = Findings(
        "expert", 0, "log-ratio", given, "pairs/test", outcome, "", separable, concepts, Interval(0.24), math.nan, ()
    )
    return empty._replace(verdict=sentence(empty))


def test_a_named_concept_is_said_with_its_direction_and_interval():
    one = concept("toxic-words", "named", (0.62, 0.51, 0.71))

    assert found("named", one).verdict == (
        "expert was rewarded for less toxic words (62 % of what can be told apart, 95 % interval 51 % to 71 %); "
        "24 % of it remains unexplained"
    )


def test_texts_alone_were_chosen_and_not_rewarded():
    one = concept("length", "named", (0.4, 0.3, 0.5), slope=(1.0, 0.8, 1.2), auc=(0.6, 0.55, 0.65))

    assert found("named", one, given="texts").verdict.startswith(
        "The preferred texts were chosen for more length (40 %"
    )


def test_without_a_difference_it_says_what_would_have_been_found():
    nothing = found("no difference shown", concept("length", "named", (0.4, 0.3, 0.5)), accuracy=(0.51, 0.47, 0.55))

    assert nothing.verdict == (
        "No difference between the two models can be shown with 500 pairs; a pair accuracy of 56 % would have been "
        "found four times in five"
    )
    assert nothing.named == ()


def test_a_difference_without_a_named_concept_is_said_as_one():
    verdict = found("nothing named", concept("length", "cannot tell", (0.1, -0.1, 0.3))).verdict

    assert verdict == (
        "The two models differ (pair accuracy 70 %, 95 % interval 65 % to 75 %), but none of the concepts that were "
        "judged (1 of 1) can be named as the reason; 24 % of it remains unexplained"
    )


def test_concepts_that_share_one_share_are_said_once():
    alike = concept("fools", "named", (0.9, 0.8, 1.0))._replace(with_it=("length", "insults", "numbers"))
    other = concept("length", "named", (0.9, 0.8, 1.0))._replace(with_it=("fools", "insults", "numbers"))
    last = concept("praise", "named", (0.06, 0.055, 0.07))

    verdict = found("named", alike, other, last).verdict

    assert verdict.startswith("expert was rewarded for less fools or length or 2 others (90 %")
    assert verdict.count("fools") == 1
    assert "and less praise (6 %" in verdict


def test_no_concept_is_judged_where_no_difference_is_shown():
    place = {"suite": "s", "model": "m", "encoder": "e", "head": "", "variant": "", "replicate": 0, "seed": 0, "n": 90}
    place |= {"dataset": "pairs", "split": "test", "slice": "all", "other": "", "note": "", "stage": "k", "method": "a"}
    records = [Record(**place, truth="", metric=REST, value=0.5)]
    records += [Record(**place, truth=f"{CONCEPT}length", metric=f"{SHARE}{end}", value=0.9) for end in ENDS]
    material = GivenMaterial(records=records, rows={Row("m", "e", "a", ""): Runs(1)}, run=RunFacts(methods={}))

    (read,) = findings(material, "pairs/test")

    assert read.outcome == "no difference shown"
    assert [(one.verdict, one.why) for one in read.concepts] == [
        (None, "it is not read where the two sides are not told apart")
    ]


def test_the_file_has_no_number_that_json_does_not_know():
    plain = found("named", concept("toxic-words", "named", (0.62, 0.51, 0.71))).plain()

    assert plain["unexplained"] == {"value": 0.24, "low": None, "high": None}
    assert plain["concepts"][0]["direction"] == "less"
    assert plain["schema"] == 1


def test_the_reward_that_is_read_is_the_first_of_the_suite_whatever_the_order_of_the_records():
    place = {"suite": "s", "model": "m", "encoder": "e", "head": "mlp", "variant": "", "replicate": 0, "seed": 0}
    place |= {"dataset": "pairs", "split": "test", "slice": "all", "truth": "", "other": "", "note": "", "stage": "k"}
    records = [
        Record(**place, method=name, metric=REST, value=0.5, n=9) for name in ("a-length", "max-entropy", "oracle")
    ]
    rows = {Row("m", "e", name, ""): Runs(1) for name in ("oracle", "max-entropy", "a-length")}
    run = RunFacts(methods={"oracle": MethodFacts("truth", reference=True)})
    for order in (records, records[::-1]):
        (read,) = findings(GivenMaterial(records=order, rows=rows, run=run), "pairs/test")
        assert read.method == "max-entropy"
        (asked,) = findings(GivenMaterial(records=order, rows=rows, run=run), "pairs/test", ["none", "a-length"])
        assert asked.method == "a-length"


def test_too_few_prompts_for_an_interval_are_no_null():
    verdict = found("no difference shown", accuracy=(1.0, math.nan, math.nan)).verdict

    assert verdict == (
        "Nothing can be said: the 500 pairs are of too few prompts for an interval of the pair accuracy, which is "
        "100 %; give more prompts"
    )
