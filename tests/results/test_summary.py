"""A run in a few sentences, computed from records and comparisons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pytest

from fairl_bench.guards.views import ViewGuard
from fairl_bench.material import Material
from fairl_bench.results.audited import Audited, audited
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.failure_aware import Comparators, comparators
from fairl_bench.results.findings import sentence
from fairl_bench.results.given import GivenMaterial
from fairl_bench.results.summary import main_columns, what_was_found, what_was_run
from fairl_bench.science.concepts import Interval
from fairl_bench.tables.leaderboard import Leaderboard
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Setting
from fairl_bench.values.findings import ConceptFinding, Findings, Outcome, Separable
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts, RunFacts
from fairl_bench.values.table import Table
from fairl_bench.values.verdicts import Claim, Effect, Verdict
from fairl_bench.views import ReportTable, headlines

METRICS = built_in_metrics()
SUITE = """\
methods:
  - {name: mm, use: max-margin, margin: 0.8}
  - {name: me, use: max-entropy, temperature: 1.0}
  - {name: fa, use: failure-aware, base: {use: max-margin, margin: 0.8}, detector: {use: bottom-fraction}}
  - {name: no-failures, use: failure-aware, base: {use: max-margin, margin: 0.8}, detector: {use: bottom-fraction}, failure_head: false}
  - {name: at-random, use: failure-aware, base: {use: max-entropy, temperature: 1.0}, detector: {use: random}}
"""  # noqa: E501


def record(value: float, **changed: object) -> Record:
    plain = {
        **{"suite": "s", "model": "toy", "encoder": "minilm", "head": "mlp", "method": "mm", "variant": ""},
        **{"replicate": 0, "seed": 0, "dataset": "web", "split": "", "slice": "all", "truth": "gold"},
        **{"metric": "auc", "other": "", "n": 10, "note": "" if math.isfinite(value) else "none", "stage": "k"},
    }
    return Record(**{**plain, "value": value, **changed})  # type: ignore[arg-type]


def difference(method: str, other: str, value: float, p: float, **changed: object) -> Comparison:
    plain = {
        **{"model": "toy", "encoder": "minilm", "variant": "", "data": "web", "truth": "gold", "metric": "auc"},
        **{"low": value - 0.1, "high": value + 0.1, "p": p, "error": 0.1, "freedom": 5.0, "effect": 1.0, "n": 10},
        **{"units": 6, "unit": "replicate", "resamples": 0, "note": ""},
    }
    return Comparison(**{**plain, "method": method, "other": other, "value": value, "p_holm": p, **changed})  # type: ignore[arg-type]


def material(
    means: Mapping[str, float],
    comparisons: Sequence[Comparison] = (),
    metrics: Sequence[str] = ("auc",),
    records: Sequence[Record] = (),
    **given: object,
) -> GivenMaterial:
    rows = [*(record(mean, method=method) for method, mean in means.items()), *records]
    layout = Leaderboard.named("table1", data=("web",), metrics=tuple(metrics))
    return GivenMaterial(
        records=rows,
        rows={row.row: Runs(1) for row in rows},
        comparisons=comparisons,
        report={"table1": layout},
        metrics=METRICS,
        **given,
    )


# --- what was run


def test_a_run_is_told_with_its_methods_models_replicates_pairs_and_data() -> None:
    splits = [{"kind": "split", "train": 350, "test": test} for test in (100, 1_200)]
    facts = {"oracle": MethodFacts("truth", True), "mm": MethodFacts("texts", False), "me": MethodFacts("texts", False)}
    run = RunFacts(replicates=(0, 1, 2), seeds=(0, 1), stages=splits, methods=facts)
    more = [record(0.7, replicate=replicate) for replicate in (0, 1, 2)]
    found = material({"mm": 0.7, "me": 0.6, "oracle": 1.0}, records=more, run=run)
    assert what_was_run(found) == (
        "2 methods, beside the reference row oracle, learnt the reward behind the pairs of toy, read by the encoder "
        "minilm, in 3 replicates with 2 training seeds each: 350 pairs to learn from and 100 to 1,200 to test on. "
        "They are judged on web."
    )


def test_a_run_that_goes_on_says_how_many_replicates_there_are_so_far() -> None:
    rows = [record(0.7, replicate=1), record(0.6, replicate=0)]
    run = RunFacts(replicates=(0, 1, 2), seeds=(0,))
    assert "toy, read by the encoder minilm, in 3 replicates (so far 2 replicates)." in what_was_run(
        material({"mm": 0.5}, records=rows, run=run)
    )


def test_a_folder_that_says_little_of_its_run_is_told_from_its_records() -> None:
    rows = [record(0.7, replicate=1, encoder="tfidf", variant='{"a":1}')]
    assert what_was_run(material({"mm": 0.5}, records=rows)) == (
        "1 method learnt the reward behind the pairs of toy, read by the encoders minilm and tfidf, at 2 points of the "
        "suite, in 2 replicates. They are judged on web."
    )


def test_nothing_finished_is_told_too() -> None:
    assert what_was_run(GivenMaterial()) == "Nothing has finished."
    assert what_was_found(GivenMaterial()) == []


# --- the best


def test_auc_is_the_main_number_wherever_it_is_measured() -> None:
    assert [column.metric for column in main_columns(material({}, metrics=("accuracy", "auc")))] == ["auc"]
    assert [column.metric for column in main_columns(material({}, metrics=("accuracy", "f1")))] == ["accuracy"]
    assert main_columns(material({}, metrics=("nobody_declares_it",))) == []


def test_a_method_that_is_best_alone_is_shown_to_be_better_than_the_next() -> None:
    tests = [
        difference("mm", "me", 0.2, 0.01),
        difference("mm", "length", 0.4, 0.001),
        difference("me", "length", 0.2, 0.9),
    ]
    assert what_was_found(material({"mm": 0.9, "me": 0.7, "length": 0.5}, tests)) == [
        "Best in AUC: mm on web (0.900; shown to be better than the next of 3 methods)."
    ]


def test_methods_that_are_not_shown_to_be_worse_are_counted() -> None:
    means = {"a": 0.9, "b": 0.89, "c": 0.88, "d": 0.87, "e": 0.5}
    tests = [difference("a", name, 0.1, 0.01 if name == "e" else 0.6) for name in "bcde"]
    assert what_was_found(material(means, tests)) == [
        "Best in AUC: a on web (0.900; 3 of the other 4 methods are not shown to be worse)."
    ]
    assert what_was_found(material(means, [one for one in tests if one.other != "e"])) == [
        "Best in AUC: a on web (0.900; none of the other 3 methods is shown to be worse)."
    ]
    assert what_was_found(material({"a": 0.9, "b": 0.89}, tests[:1])) == [
        "Best in AUC: a on web (0.900; b is not shown to be worse)."
    ]


def test_the_lowest_is_best_where_lower_is_better() -> None:
    rows = [record(0.3, metric="starc", method="low"), record(0.4, metric="starc", method="high")]
    tests = [difference("low", "high", -0.1, 0.01, metric="starc")]
    assert what_was_found(material({}, tests, ("starc",), rows)) == [
        "Best in STARC: low on web (0.300; shown to be better than the next of 2 methods)."
    ]


def test_without_a_test_no_difference_is_claimed() -> None:
    (found,) = what_was_found(material({"mm": 0.9, "me": 0.5}))
    assert found == "Best in AUC: mm on web (0.900; there is no test of it, with one run of each method)."


def test_a_reference_row_is_never_best_and_a_number_that_is_unknown_neither() -> None:
    facts = {"oracle": MethodFacts("truth", True)}
    found = material({"oracle": 1.0, "mm": 0.7, "me": math.nan}, run=RunFacts(methods=facts))
    assert what_was_found(found)[0].startswith("Best in AUC: mm on web (0.700;")


def test_over_several_encoders_a_method_is_best_that_is_among_the_best_with_each() -> None:
    rows = [record(0.9, encoder="tfidf", method="mm"), record(0.5, encoder="tfidf", method="me")]
    tests = [difference("mm", "me", 0.2, 0.8), difference("mm", "me", 0.4, 0.01, encoder="tfidf")]
    assert what_was_found(material({"mm": 0.8, "me": 0.7}, tests, records=rows)) == [
        "Best in AUC: on web mm, not shown to be worse than any other in all 2 settings."
    ]
    other = [difference("mm", "me", 0.1, 0.01), difference("mm", "me", -0.4, 0.01, encoder="tfidf")]
    rows = [record(0.5, encoder="tfidf", method="mm"), record(0.9, encoder="tfidf", method="me")]
    assert what_was_found(material({"mm": 0.8, "me": 0.7}, other, records=rows)) == [
        "Best in AUC: on web no method in all 2 settings; mm in 1."
    ]


def test_few_replicates_are_said_to_show_little() -> None:
    found = what_was_found(material({"mm": 0.9, "me": 0.7}, [difference("mm", "me", 0.2, 0.01, units=2)]))
    assert found[-1] == "2 replicates can show little."


# --- learning from failures


def test_a_failure_aware_method_is_held_against_its_own_base_and_the_controls_of_that_base() -> None:
    assert comparators(SUITE) == {"fa": Comparators(("mm",), ("no-failures",))}


@pytest.mark.parametrize(
    "suite", ["", "- a", "methods: 3", "methods: [3, {use: failure-aware}]", "a: ${NO_SUCH", "[", "{a"]
)
def test_a_suite_without_readable_methods_has_no_failure_aware_ones(suite: str) -> None:
    assert comparators(suite) == {}


def test_a_variable_in_a_suite_stays_as_it_is() -> None:
    assert comparators(SUITE + 'models: [{path: "${NO_SUCH_VARIABLE}"}]\n') == comparators(SUITE)


def test_where_no_comparison_shows_a_difference_that_is_said() -> None:
    tests = [
        difference("fa", "mm", 0.1, 0.2),
        difference("fa", "no-failures", 0.1, 0.051),
        difference("fa", "me", 0.3, 0.001),
    ]
    assert what_was_found(material({}, tests, suite=SUITE)) == [
        "Methods that learn from failures are not shown to differ from their baselines in any of 1 comparison; they "
        "are not shown to differ from their controls in any of 1 comparison."
    ]


def test_better_and_worse_are_counted_by_the_better_side_and_whichever_comes_first() -> None:
    tests = [
        difference("mm", "fa", -0.1, 0.05),  # p is at most alpha: fa is better
        difference("fa", "mm", 0.2, 0.01, metric="starc"),  # lower is better: fa is worse
        difference("fa", "mm", 0.2, 0.01, metric="f1"),
        difference("fa", "mm", 0.2, 0.01, metric="accuracy"),  # in no column of the report
        difference("fa", "no-failures", -0.2, 0.01),
        difference("fa", "no-failures", -0.2, 0.01, units=1),  # nothing to test by
    ]
    assert what_was_found(material({}, tests[:5], ("auc", "starc", "f1"), suite=SUITE)) == [
        "Methods that learn from failures are shown to be better than their baselines in 2 of 3 comparisons and worse "
        "in 1; they are shown to be worse than their controls in 1 of 1 comparison and better in none."
    ]
    assert what_was_found(material({}, tests[5:], suite=SUITE)) == []


# --- claims


def verdict(name: str, outcome: str, variant: str = "", model: str = "toy", **claim: object) -> Verdict:
    effect = Effect("me", 0.1, 0.0, 0.2, 0.01, 0.1, 5.0, 6, "replicate", 10, "")
    made = Claim.model_validate({"id": name, "better": "fa", "than": "me", "metric": "auc", "data": "web", **claim})
    setting = Setting(model, "minilm", variant)
    return Verdict(made, METRICS["auc"], setting, effect, 0.01, 0.02, 0.8, 0.1, outcome, outcome)  # type: ignore[arg-type]


def test_the_verdicts_on_claims_come_before_everything_else() -> None:
    verdicts = [
        verdict("a", "supported"),
        verdict("b", "inconclusive", expect="supported"),
        verdict("c", "inconclusive"),
        verdict("d", "depends on the selection"),
    ]
    found = material({"mm": 0.9}, verdicts=verdicts, suite=SUITE)
    assert what_was_found(found) == [
        "Of 4 claims, 1 is supported (a), 1 depends on the selection (d) and 2 are inconclusive (b and c).",
        "Otherwise than the suite expects: b.",
    ]


def test_claims_that_all_came_out_alike_are_said_in_one() -> None:
    verdicts = [verdict(name, "inconclusive") for name in ("a", "b", "c")]
    assert what_was_found(material({}, verdicts=verdicts)) == ["All 3 claims are inconclusive (a, b and c)."]


def test_a_claim_under_several_selections_counts_once_and_one_on_two_models_twice() -> None:
    under = [verdict("a", "refuted", f'{{"selection":"{name}"}}') for name in ("last", "whole-run")]
    assert what_was_found(material({}, verdicts=under)) == ["Of 1 claim, 1 is refuted (a)."]
    both = [verdict("a", "refuted"), verdict("a", "supported", model="other")]
    assert what_was_found(material({}, verdicts=both)) == [
        "Of 2 verdicts on 1 claim in 2 settings, 1 is supported (a) and 1 is refuted (a)."
    ]


# --- audits

MODELS = """\
models:
  - {name: expert, use: aligned-lm, base: {use: pretrained, model: org/tiny}, expert: {use: rloo, reward: {use: words}}}
  - {name: file, use: jsonl, path: a.jsonl}
"""


def audit(outcome: Outcome = "named", model: str = "expert", replicate: int = 0, **concept: object) -> Findings:
    shown = outcome != "no difference shown"
    accuracy = Interval(0.7, 0.65, 0.75) if shown else Interval(0.51, 0.47, 0.55)
    share = Interval(0.6, 0.5, 0.7) if outcome == "named" else Interval(0.1, -0.1, 0.3)
    down = Interval(-1.0, -1.2, -0.8)
    one = ConceptFinding("toxicity", "named", share, down, Interval(0.4, 0.35, 0.45))._replace(**concept)  # type: ignore[arg-type]
    one = one if outcome == "named" else one._replace(verdict="cannot tell")
    separable = Separable(accuracy, 200, 150, 0.57)
    given = "both models" if model == "expert" else "texts"
    numbers = (separable, (one,), Interval(0.25), math.nan, ())
    found = Findings(model, replicate, "log-ratio", given, "pairs/test", outcome, "", *numbers)
    return found._replace(verdict=sentence(found))


def of_audits(*found: Findings, **given: object) -> GivenMaterial:
    split = {"key": "k", "kind": "split", "title": "split of expert", "train": 240, "validation": 60, "test": 200}
    return material({"mm": 0.9}, findings=found, suite=MODELS, run=RunFacts(stages=[split]), **given)


def test_an_audit_is_told_with_both_models_and_all_of_its_pairs() -> None:
    assert what_was_run(of_audits(audit())) == (
        "tiny and rloo completed the same prompts: 500 pairs, of which 200 were held out. On pairs/test the reward of "
        "log-ratio was held against 1 concept."
    )


def test_an_audit_of_pairs_names_no_models_and_counts_what_is_known() -> None:
    found = audit(model="file")
    assert audited(of_audits(found), found) == Audited("preferred texts", "rejected texts", by_models=False, pairs=200)
    assert what_was_run(of_audits(found)).startswith("200 pairs of a preferred and a rejected text. On pairs/test")


def test_the_split_of_another_model_or_replicate_is_not_counted() -> None:
    stage = {"key": "k", "kind": "split", "title": "split of expert, replicate 1", "train": 9_000, "test": 200}
    material = GivenMaterial(run=RunFacts(stages=[stage]))
    pairs = {
        (name, replicate): audited(material, audit()._replace(model=name, replicate=replicate)).pairs
        for name, replicate in (("expert", 1), ("expert", 11), ("expert", 0), ("exp.rt", 1), ("other expert", 1))
    }
    assert pairs == dict.fromkeys(pairs, 200) | {("expert", 1): 9_200}


@pytest.mark.parametrize("outcome", ["named", "nothing named", "no difference shown"])
def test_the_verdict_of_an_audit_is_what_was_found(outcome: Outcome) -> None:
    found = audit(outcome)
    assert what_was_found(of_audits(found)) == [f"{found.verdict}."]


def test_what_is_to_be_said_of_a_named_concept_follows_its_verdict() -> None:
    found = audit(shortcut_for=("length",))
    assert what_was_found(of_audits(found)) == [
        f"{found.verdict}.",
        "Toxicity goes along with length, so that one may stand for the other.",
    ]
    assert len(what_was_found(of_audits(audit("no difference shown", shortcut_for=("length",))))) == 1


def test_a_concept_that_could_not_be_measured_is_not_counted_and_not_said_twice() -> None:
    found = audit()
    unknown = found.concepts[0]._replace(name="praise", verdict=None, why="it is constant")
    found = found._replace(concepts=(*found.concepts, unknown))
    assert what_was_run(of_audits(found)).endswith("held against 1 concept; 1 more were not judged.")
    assert what_was_found(of_audits(found)) == [f"{found.verdict}."]


def test_of_several_audits_each_is_named_and_many_are_counted() -> None:
    one, other = audit(), audit("no difference shown", replicate=1)
    assert what_was_found(of_audits(one, other)) == [
        f"expert, replicate 0: {one.verdict}.",
        f"expert, replicate 1: {other.verdict}.",
    ]
    assert what_was_found(of_audits(one, one, one, other, audit("nothing named"))) == [
        "Of 5 audits: in 3 a concept is named; in 1 the two sides differ, but no concept can be named as the reason; "
        "in 1 no difference is shown."
    ]
    assert what_was_run(of_audits(one, other)).startswith("1 method learnt")


def test_claims_about_audits_follow_their_verdicts() -> None:
    found = audit()
    assert what_was_found(of_audits(found, verdicts=[verdict("a", "refuted")])) == [
        f"{found.verdict}.",
        "Of 1 claim, 1 is refuted (a).",
    ]


# --- headlines of tables


class Says(ReportTable):
    """Has a headline, or what is none."""

    said: tuple[str, ...] | str = ()

    def tables(self, material: Material) -> Iterable[Table]:
        return ()

    def headlines(self, material: Material) -> Iterable[str]:
        if self.said == "nothing":
            raise ValueError("no number")
        return self.said


def test_headlines_come_first_and_one_of_a_plugin_that_fails_is_left_out() -> None:
    report = {
        "broken": Says.named("broken", said="nothing"),
        "text": Says.named("text", said="one sentence"),
        "mine": Says.named("mine", said=["The buses came first."]),
    }
    guard = ViewGuard({("table", name): "mine.py" for name in ("broken", "text")})

    assert headlines(report, GivenMaterial(), guard) == ["The buses came first."]
    assert [warning.partition(": ")[2] for warning in guard.warnings] == [
        "ValueError: no number",
        "its headlines are the text 'one sentence'; give a list of sentences",
    ]
    assert what_was_found(GivenMaterial(headlines=["The buses came first."])) == ["The buses came first."]
