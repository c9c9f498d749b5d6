"""What an audit says: the outcome follows from intervals, and the sentence says it with its numbers."""

from __future__ import annotations

import math

from fairl_bench.audits.words import lines_of
from fairl_bench.results.findings import findings, sentence
from fairl_bench.results.given import GivenMaterial
from fairl_bench.science.concepts import Interval
from fairl_bench.values.ceiling import PAIR_ACCURACY
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.contents import BESIDE, CHOICE, CONCEPT, ENDS, REST, SHARE
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


def test_of_texts_it_says_how_they_differ_and_not_what_was_rewarded():
    one = concept("length", "named", (0.4, 0.3, 0.5), slope=(1.0, 0.8, 1.2), auc=(0.6, 0.55, 0.65))

    assert found("named", one, given="texts").verdict.startswith("The preferred texts are those with more length (40 %")


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
    last = concept("praise", "named", (0.06, 0.0549, 0.07))

    verdict = found("named", alike, other, last).verdict

    assert verdict.startswith("expert was rewarded for less fools or length or 2 others (90 %")
    assert verdict.count("fools") == 1
    assert "and less praise (6 %, 5.4 % to 7 %)" in verdict


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


def read(given, **concepts):
    """What is found of a reward with these concepts: the share of each, what it adds, and what it tells of pairs."""
    place = {"suite": "s", "model": "m", "encoder": "e", "head": "", "variant": "", "replicate": 0, "seed": 0, "n": 90}
    place |= {"dataset": "pairs", "split": "test", "slice": "all", "other": "", "note": "", "stage": "k", "method": "a"}
    records = [Record(**place, truth="", metric=REST, value=0.1)]
    for name, numbers in concepts.items():
        for metric, ends in zip((SHARE, BESIDE, CHOICE), numbers, strict=True):
            of = {"truth": f"{CONCEPT}{name}"}
            records += [
                Record(**place, **of, metric=f"{metric}{end}", value=value)
                for end, value in zip(ENDS, ends, strict=bool(ends))
            ]
    row = Row("m", "e", "a", "")
    told = Comparison(
        **{"model": "m", "encoder": "e", "variant": "", "data": "pairs/test", "truth": "preferred"},
        **{"metric": PAIR_ACCURACY, "method": "a", "other": ""},
        **{"value": 0.9, "low": 0.85, "high": 0.95, "p": math.nan, "p_holm": math.nan, "error": 0.02},
        **{"freedom": math.inf, "effect": math.nan, "n": 90, "units": 1, "unit": "", "resamples": 100, "note": ""},
    )
    run = RunFacts(methods={"a": MethodFacts(given, reference=given == "both models")})
    (one,) = findings(GivenMaterial(records=records, rows={row: Runs(1)}, run=run, comparisons=[told]), "pairs/test")
    return one


ADDS, ADDS_NOTHING, TELLS_LITTLE = (0.1, 0.05, 0.15), (0.0, -0.001, 0.001), (0.02, -0.04, 0.08)
LENGTH = ((0.6, 0.5, 0.7), (0.4, 0.3, 0.5), (0.7, 0.6, 0.8))
POLITE = (0.17, 0.12, 0.22)


def test_what_adds_nothing_beside_a_named_concept_is_said_to_go_along_with_it():
    one = read("both models", length=LENGTH, politeness=(POLITE, ADDS_NOTHING, ADDS))

    assert [(each.name, each.verdict) for each in one.concepts] == [("length", "named"), ("politeness", "cannot tell")]
    assert one.concepts[1].shortcut_for == ("length",)
    assert one.concepts[1].why == "it adds nothing beside length"
    assert "politeness" not in one.verdict
    assert "Politeness goes along with length; it adds nothing beside length, so that it is not named." in lines_of(one)


def test_what_pairs_were_not_chosen_for_is_not_named_though_a_reward_learnt_from_them_pays_for_it():
    def named(given, choice):
        return [each.name for each in read(given, length=LENGTH, politeness=(POLITE, ADDS, choice)).named]

    assert named("texts", ADDS_NOTHING) == ["length"]
    assert named("texts", ADDS) == ["length", "politeness"]
    assert named("texts", TELLS_LITTLE) == ["length", "politeness"]  # the pairs cannot say
    assert named("texts", ()) == ["length", "politeness"]
    assert named("both models", ADDS_NOTHING) == ["length", "politeness"]  # nothing was learnt from pairs


def test_where_nothing_else_would_be_named_what_adds_nothing_stays_named():
    one = read("texts", length=(LENGTH[0], ADDS_NOTHING, ADDS_NOTHING))

    assert [each.name for each in one.named] == ["length"]
