"""From scores to intervals, paired differences, disagreement and ambiguity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from fairl_bench.errors import Undefined
from fairl_bench.results import interval_file
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.folder import footer
from fairl_bench.results.paired import compared
from fairl_bench.results.two_runs import ambiguities, disagreements
from fairl_bench.science import agreement, classification, starc
from fairl_bench.science.intervals import bounded, t_interval
from fairl_bench.tables.disagreement import table2, table3
from fairl_bench.values.comparison import Comparison, Question, TwoMethods
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Sheet, Values

N = 120
CUT = 0.2


def run(method: str, seed: int | None = 0, **changed: Any) -> Run:
    return Run(**{"encoder": "e", "head": "mlp", "variant": "", **changed}, method=method, seed=seed)


def sheet(gains: Mapping[Run, float], replicate: int = 0, data: str = "web", seed: int = 0) -> Sheet:
    """Examples with a known truth, and runs that see it through noise; a higher gain is a better reward."""
    rng = np.random.default_rng([seed, replicate])
    value = rng.normal(size=N)
    label = np.where(value > 0, 1, -1).astype(np.int8)
    subtype = np.where(np.arange(N) % 3 == 0, -label, -1).astype(np.int8)
    truths = {"gold": Truth(value, label), "subtype:threat": Truth(subtype * 1.0, subtype)}
    texts = tuple(f"text {replicate} {i}" for i in range(N))
    shared = rng.normal(size=N)
    rewards = {one: gain * value + shared + 0.3 * rng.normal(size=N) for one, gain in gains.items()}
    return Sheet("s", "toy", replicate, data, Examples(texts, truths=truths), rewards)


def records(*sheets: Sheet) -> list[Record]:
    """What the evaluators say of these sheets."""
    found = []
    for one in sheets:
        truth = one.examples.truths["gold"]
        for who, score in one.rewards.items():
            numbers = {
                "threshold": CUT,
                "accuracy": classification.accuracy(score, truth.label, CUT),
                "f1": classification.f1(score, truth.label, CUT, positive=-1),
                "auc": classification.auc(score, truth.label),
                "starc": starc.starc(score, truth.value),
                "epic": agreement.epic(score, truth.value),
                "kendall": agreement.kendall(score, truth.value),
            }
            for metric, number in numbers.items():
                found.append(Record.at(one.at(who, "gold"), "s", metric, number, N))
    return found


def asked(*metrics: str) -> Question:
    return Question("web", "gold", metrics)


def answers(*sheets: Sheet, metrics: tuple[str, ...] = ("auc",), resamples: int = 400) -> list[Comparison]:
    return compared(sheets, Values.read(records(*sheets)), [asked(*metrics)], built_in_metrics(), resamples)


def one(rows: list[Comparison], method: str, other: str = "", metric: str = "auc") -> Comparison:
    (found,) = (row for row in rows if (row.method, row.other, row.metric) == (method, other, metric))
    return found


SEEDS = {run(method, seed): gain for method, gain in (("a", 2.0), ("b", 1.0)) for seed in range(3)}


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc", "starc", "epic"])
def test_every_metric_of_the_science_is_resampled(metric: str) -> None:
    rows = answers(sheet(SEEDS), metrics=(metric,))
    own = one(rows, "a", metric=metric)
    assert own.resamples == 400
    assert own.low < own.value < own.high
    assert own.value == pytest.approx(
        np.mean([row.value for row in records(sheet(SEEDS)) if (row.method, row.metric) == ("a", metric)])
    )


def test_a_difference_is_the_method_less_the_other_seed_by_seed() -> None:
    rows = answers(sheet(SEEDS))
    paired = one(rows, "a", "b")
    assert paired.value == pytest.approx(one(rows, "a").value - one(rows, "b").value)
    assert (paired.units, paired.unit, paired.n) == (3, "seed", N)
    # noise that both share cancels
    assert paired.high - paired.low < one(rows, "a").high - one(rows, "b").low


def test_every_two_methods_are_compared_once_and_holm_is_over_all_of_them() -> None:
    rows = answers(sheet({run(m, s): g for m, g in (("a", 2.0), ("b", 1.9), ("c", 1.0)) for s in range(3)}))
    paired = [row for row in rows if row.other]
    assert [(row.method, row.other) for row in paired] == [("a", "b"), ("a", "c"), ("b", "c")]
    least = min(paired, key=lambda row: row.p)
    assert least.p_holm == pytest.approx(3 * least.p)
    assert all(math.isnan(row.p_holm) and math.isnan(row.p) for row in rows if not row.other)


def test_no_effect_size_where_a_method_has_no_spread() -> None:
    seeded = {run("a", seed): 2.0 for seed in range(3)}
    rows = answers(sheet({**seeded, run("b", None): 1.0}))
    assert math.isnan(one(rows, "a", "b").effect)
    assert math.isfinite(one(rows, "a", "b").p)
    assert math.isfinite(one(answers(sheet(SEEDS)), "a", "b").effect)


def test_a_number_without_a_truth_is_compared_whatever_the_truth_that_is_asked_for() -> None:
    whole = sheet(SEEDS)
    without = [replace(row, truth="") for row in records(whole)]
    expected = one(answers(whole), "a", "b")
    found = one(compared([whole], Values.read(without), [asked("auc")], built_in_metrics(), 400), "a", "b")
    assert (found.value, found.p) == (expected.value, expected.p)


def test_a_reference_has_an_interval_and_changes_no_comparison_of_others() -> None:
    # six seeds of four methods: variances are moderated by what all pairs have in common
    gains = {run(m, s): g for m, g in (("a", 2.0), ("b", 1.9), ("c", 1.0), ("d", 0.9)) for s in range(6)}
    whole = sheet({run("bound", None): 9.0, **gains})
    alone = replace(whole, rewards={one: whole.rewards[one] for one in gains})
    told = Values.read(records(whole))
    rows = compared([whole], told, [asked("auc")], built_in_metrics(), 400, references=["bound"])
    assert [row for row in rows if row.method != "bound"] == compared(
        [alone], told, [asked("auc")], built_in_metrics(), 400
    )
    bound = [row for row in rows if "bound" in (row.method, row.other)]
    assert [(row.method, row.other) for row in bound] == [("bound", "")]
    assert bound[0].low < bound[0].value < bound[0].high


def test_references_alone_have_their_intervals() -> None:
    whole = sheet(SEEDS)
    rows = compared(
        [whole], Values.read(records(whole)), [asked("auc")], built_in_metrics(), 100, references=("a", "b")
    )
    assert [(row.method, row.other) for row in rows] == [("a", ""), ("b", "")]


def test_a_method_that_draws_nothing_is_set_against_each_seed() -> None:
    rows = answers(sheet({**SEEDS, run("still", None): 1.5}))
    assert (one(rows, "still").units, one(rows, "still").unit) == (1, "")
    assert (one(rows, "a", "still").units, one(rows, "a", "still").unit) == (3, "seed")


def test_seeds_that_only_one_method_has_are_left_out_of_the_difference() -> None:
    gains = {key: gain for key, gain in SEEDS.items() if (key.method, key.seed) != ("b", 1)}
    rows = answers(sheet(gains))
    assert (one(rows, "a").units, one(rows, "b").units, one(rows, "a", "b").units) == (3, 2, 2)


def test_without_a_shared_seed_there_is_no_difference_and_its_reason() -> None:
    rows = answers(sheet({run("a", 0): 1.0, run("b", 1): 1.0}))
    assert math.isnan(one(rows, "a", "b").value)
    assert one(rows, "a", "b").note == "no run of both"


def test_where_there_are_several_replicates_they_are_the_units() -> None:
    rows = answers(*(sheet(SEEDS, replicate) for replicate in range(4)))
    assert (one(rows, "a").units, one(rows, "a").unit) == (4, "replicate")
    assert one(rows, "a").value == pytest.approx(
        np.mean([r.value for i in range(4) for r in records(sheet(SEEDS, i)) if (r.method, r.metric) == ("a", "auc")])
    )


def test_a_metric_without_a_form_for_weights_gets_students_t_over_seeds() -> None:
    rows = answers(sheet(SEEDS), metrics=("kendall",))
    values = {m: [r.value for r in records(sheet(SEEDS)) if (r.method, r.metric) == (m, "kendall")] for m in "ab"}
    own = one(rows, "a", metric="kendall")
    assert own.resamples == 0
    mean, (low, high) = np.mean(values["a"]), t_interval(values["a"])
    assert own.error == pytest.approx((high - low) / 2 / 4.302653, rel=1e-6)  # t of 2 degrees of freedom
    assert (own.low, own.high) == pytest.approx(bounded(float(mean), (high - low) / 2, (-1.0, 1.0)))
    test = stats.ttest_1samp(np.subtract(values["a"], values["b"]), 0)
    assert one(rows, "a", "b", "kendall").p == pytest.approx(test.pvalue)


def test_a_metric_that_an_evaluator_means_otherwise_is_not_resampled_as_ours() -> None:
    told = [replace(row, value=row.value**2) if row.metric == "auc" else row for row in records(sheet(SEEDS))]
    rows = compared([sheet(SEEDS)], Values.read(told), [asked("auc")], built_in_metrics(), 400)
    assert one(rows, "a").resamples == 0


def test_a_number_that_is_missing_costs_its_own_run_alone() -> None:
    whole = sheet(SEEDS)
    told = [row for row in records(whole) if (row.method, row.seed, row.metric) != ("b", 1, "auc")]
    rows = compared([whole], Values.read(told), [asked("auc")], built_in_metrics(), 400)
    assert (one(rows, "a").units, one(rows, "b").units, one(rows, "a", "b").units) == (3, 2, 2)
    assert one(rows, "a").resamples == 400


def test_a_number_that_is_undefined_makes_its_method_undefined() -> None:
    whole = sheet(SEEDS)
    flat = replace(whole, rewards={**whole.rewards, run("b", 1): np.ones(N)})
    told = [row for row in records(whole) if (row.method, row.seed, row.metric) != ("b", 1, "epic")]
    told.append(Record.at(flat.at(run("b", 1), "gold"), "s", "epic", math.nan, N, note="constant"))
    rows = compared([flat], Values.read(told), [asked("epic")], built_in_metrics(), 400)
    assert math.isfinite(one(rows, "a", metric="epic").low)
    assert one(rows, "b", metric="epic").note == "the metric is undefined in a unit"
    assert math.isnan(one(rows, "a", "b", "epic").p)


def test_a_single_run_has_no_students_t() -> None:
    rows = answers(sheet({run("a"): 1.0}), metrics=("kendall",))
    assert math.isnan(one(rows, "a", metric="kendall").low)
    assert one(rows, "a", metric="kendall").note == "an interval over runs needs at least 2, got 1"


def test_a_handful_of_clusters_is_not_resampled() -> None:
    whole = sheet(SEEDS)
    nine, ten = (
        replace(whole, examples=replace(whole.examples, prompt=tuple(f"p{i % n}" for i in range(N)))) for n in (9, 10)
    )
    assert one(answers(nine), "a").resamples == 0
    assert one(answers(ten), "a").resamples == 400


def test_much_work_takes_fewer_resamples_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairl_bench.results.paired.MANY", N)
    assert one(answers(sheet(SEEDS), resamples=500), "a").resamples == 100


def test_the_same_scores_give_the_same_intervals() -> None:
    assert answers(sheet(SEEDS)) == answers(sheet(SEEDS))


def test_another_method_changes_no_interval() -> None:
    few, more = answers(sheet(SEEDS)), answers(sheet({**SEEDS, run("c", 0): 0.1, run("c", 1): 0.2}))
    # sums of another number of columns differ in the last bits of float32
    assert one(few, "a", "b").low == pytest.approx(one(more, "a", "b").low, abs=1e-5)


def test_the_noise_of_examples_is_added_where_seeds_share_them_and_nowhere_else() -> None:
    alone, several = answers(sheet(SEEDS)), answers(*(sheet(SEEDS, replicate) for replicate in range(3)))
    gaps = [
        np.mean([row.value for row in records(sheet(SEEDS, i)) if (row.method, row.metric) == ("a", "auc")])
        - np.mean([row.value for row in records(sheet(SEEDS, i)) if (row.method, row.metric) == ("b", "auc")])
        for i in range(3)
    ]
    found = one(several, "a", "b")
    assert (found.error, found.freedom, found.resamples) == (pytest.approx(np.std(gaps, ddof=1) / 3**0.5), 2.0, 0)
    values = {m: [r.value for r in records(sheet(SEEDS)) if (r.method, r.metric) == (m, "auc")] for m in "ab"}
    between = np.var(np.subtract(values["a"], values["b"]), ddof=1) / 3
    assert one(alone, "a", "b").error ** 2 > between
    assert one(alone, "a", "b").freedom == 2.0


def test_six_replicates_of_many_methods_learn_their_spread_from_one_another() -> None:
    gains = {run(name, 0): 1.0 + 0.1 * i for i, name in enumerate("abcdef")}
    paired = [row for row in answers(*(sheet(gains, replicate) for replicate in range(6))) if row.other]
    assert {row.unit for row in paired} == {"replicate"}
    assert all(5 < row.freedom <= 25 for row in paired)


def test_no_interval_of_a_method_leaves_the_bounds_of_its_metric() -> None:
    good = {run(m, s): g for m, g in (("a", 30.0), ("b", 1.0)) for s in range(2)}
    for sheets in ([sheet(good)], [sheet(good), sheet(good, 1)]):
        for row in answers(*sheets, metrics=("auc", "starc", "kendall")):
            top = 2.0 if row.metric == "starc" else 1.0
            assert row.other or (-1.0 if row.metric == "kendall" else 0.0) <= row.low <= row.high <= top


def test_clusters_are_groups_else_prompts_else_pairs_else_examples() -> None:
    examples = Examples(
        ("1", "2", "3", "4", "5", "6", "7"),
        prompt=("p", "p", "q", "", "", "", ""),
        group=("g", "", "g", "", "", "", ""),
        pair=np.array([0, 1, 2, 3, 3, -1, -1]),
    )
    codes = Sheet("s", "m", 0, "web", examples, {}).clusters().tolist()
    assert codes == [0, 1, 0, 2, 2, 3, 4]


def test_comparisons_are_read_back_as_they_were(tmp_path: Any) -> None:
    rows = answers(sheet(SEEDS), metrics=("auc", "kendall"))
    pq.write_table(interval_file.table(rows, "made of this"), tmp_path / "x.parquet")
    assert repr(interval_file.rows(pq.read_table(tmp_path / "x.parquet"), tmp_path)) == repr(rows)
    assert footer(tmp_path / "x.parquet") == "made of this"
    assert footer(tmp_path / "gone.parquet") is None


# --- disagreement


def test_counts_are_of_the_examples_on_the_right_side_of_each_runs_threshold() -> None:
    whole = sheet(SEEDS)
    rows = list(disagreements(whole, Values.read(records(whole)), TwoMethods(("a", "b"), "web", "gold")))
    truth = whole.examples.truths["gold"].label > 0
    right = {who: (score > CUT) == truth for who, score in whole.rewards.items()}
    for seed in range(3):
        mine = {row.metric: row.value for row in rows if row.seed == seed}
        first, second = right[run("a", seed)], right[run("b", seed)]
        assert mine["both"] == (first & second).sum()
        assert mine["only_method"] == (first & ~second).sum()
        assert mine["only_other"] == (~first & second).sum()
        assert mine["neither"] == (~first & ~second).sum()
    assert {(row.method, row.other, row.slice, row.n) for row in rows} == {("a", "b", "all", N)}


def test_subtypes_count_what_is_of_them_alone() -> None:
    whole = sheet(SEEDS)
    rows = list(disagreements(whole, Values.read(records(whole)), TwoMethods(("a", "b"), "web", "gold", subtypes=True)))
    present = int((whole.examples.truths["subtype:threat"].label > 0).sum())
    assert {(row.slice, row.n) for row in rows} == {("subtype:threat", present)}
    table = table3(rows, ("a", "b"), ["web"])
    assert [row[:2] for row in table.rows] == [("web", "threat")]
    assert table.tidy[0]["n"] == present


def test_a_subtype_that_never_occurs_has_no_numbers_and_is_said_to() -> None:
    whole = sheet(SEEDS)
    value, label = whole.examples.truths["subtype:threat"]
    absent = Truth(np.full_like(value, -1), np.full_like(label, -1))
    whole = replace(whole, examples=whole.examples.knowing({"subtype:insult": absent}))
    rows = list(disagreements(whole, Values.read(records(whole)), TwoMethods(("a", "b"), "web", "gold", subtypes=True)))
    table = table3(rows, ("a", "b"), ["web"])
    line = next(row for row in table.rows if row[1] == "insult")
    assert set(line[2:]) == {"n/a"}
    assert "web: no text is of the subtype 'insult'." in table.notes
    assert not any("threat" in note for note in table.notes)


def test_where_no_label_is_known_nothing_is_resampled() -> None:
    whole = sheet(SEEDS)
    n = len(whole.examples)
    unknown = Truth(np.full(n, np.nan), np.zeros(n, np.int8))
    blind = replace(whole, examples=whole.examples.knowing({"gold": unknown}))
    told = [replace(row, value=math.nan, note="nothing is known") for row in records(whole)]
    questions = [asked("accuracy", "f1", "auc", "starc", "epic", "affine_residual")]
    found = compared([blind], Values.read(told), questions, built_in_metrics(), 100)
    assert found
    assert all(math.isnan(row.value) for row in found)


def test_of_the_training_texts_so_many_are_drawn_once() -> None:
    whole = sheet(SEEDS, data="pairs/train")
    told = [replace(row, dataset="pairs", split="train") for row in records(whole)]
    asked = TwoMethods(("a", "b"), "pairs/train", "gold", texts=50)
    rows = list(disagreements(whole, Values.read(told), asked))
    assert {row.n for row in rows} == {50}
    assert rows == list(disagreements(whole, Values.read(told), asked))
    assert {row.n for row in disagreements(whole, Values.read(told), asked._replace(texts=10 * N))} == {N}


def test_a_run_without_a_threshold_is_not_counted() -> None:
    whole = sheet(SEEDS)
    told = [row for row in records(whole) if row.metric != "threshold"]
    assert list(disagreements(whole, Values.read(told), TwoMethods(("a", "b"), "web", "gold"))) == []


def test_several_runs_are_shown_by_their_mean_and_by_how_many_tests_reject() -> None:
    whole = sheet({run(m, s): g for m, g in (("a", 0.3), ("b", 3.0)) for s in range(3)})
    rows = list(disagreements(whole, Values.read(records(whole)), TwoMethods(("a", "b"), "web", "gold")))
    table = table2(rows, ("a", "b"), ["web"])
    assert table.rows[-1] == ("McNemar", "p < 0.05 in 3 of 3 runs, 3 for the second")
    both = np.mean([row.value for row in rows if row.metric == "both"])
    assert table.rows[0][1] == f"{both:.0f} ({100 * both / N:.2f} %)"
    assert "Mean counts over 3 runs" in table.notes[0]


def test_data_without_a_disagreement_is_not_available() -> None:
    whole = sheet(SEEDS)
    rows = list(disagreements(whole, Values.read(records(whole)), TwoMethods(("a", "b"), "web", "gold")))
    assert {row[2] for row in table2(rows, ("a", "b"), ["web", "gone"]).rows} == {"n/a"}


# --- ambiguity


def test_each_two_seeds_of_a_method_are_compared_whatever_the_truth() -> None:
    whole = sheet({**SEEDS, run("still", None): 1.0})
    rows = list(ambiguities([whole]))
    assert {(row.method, row.seed, row.other) for row in rows} == {
        (m, *pair) for m in "ab" for pair in ((0, "seed:1"), (0, "seed:2"), (1, "seed:2"))
    }
    value = {(row.method, row.seed, row.other, row.metric): row.value for row in rows}
    one_reward, other = whole.rewards[run("a", 0)], whole.rewards[run("a", 2)]
    assert value["a", 0, "seed:2", "starc"] == starc.starc(one_reward, other)
    assert value["a", 0, "seed:2", "kendall"] == agreement.kendall(one_reward, other)
    assert {row.truth for row in rows} == {""}


def test_seeds_of_other_encoders_or_variants_are_not_compared() -> None:
    whole = sheet({run("a", 0): 1.0, run("a", 1, encoder="f"): 1.0, run("a", 2, variant="{}"): 1.0})
    assert list(ambiguities([whole])) == []


def test_a_constant_reward_has_no_rank_agreement_and_its_reason() -> None:
    whole = sheet({run("a", 0): 1.0, run("a", 1): 1.0})
    flat = replace(whole, rewards={**whole.rewards, run("a", 1): np.ones(N)})
    found = {row.metric: row for row in ambiguities([flat])}
    assert found["starc"].value == 1.0
    assert math.isnan(found["kendall"].value)
    with pytest.raises(Undefined, match="120 values equal to 1") as reason:
        agreement.kendall(flat.rewards[run("a", 0)], np.ones(N))
    assert found["kendall"].note == str(reason.value)
