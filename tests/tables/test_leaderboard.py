from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.results.declared import built_in_metrics
from fairl_bench.tables.ambiguity import ambiguity
from fairl_bench.tables.leaderboard import Leaderboard, leaderboard
from fairl_bench.tables.slices import slices
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts

METRICS = built_in_metrics()
LAYOUT = Leaderboard(data=("pairs/test",), metrics=("auc",))
ROW = Row("toy", "minilm", "mm", "")


def record(value: float, seed: int | None = 0, **changed: Any) -> Record:
    plain: dict[str, Any] = {
        **dict.fromkeys(["variant", "other", "note", "stage"], ""),
        **{"suite": "s", "model": "toy", "encoder": "minilm", "head": "mlp", "method": "mm", "replicate": 0},
        **{"dataset": "pairs", "split": "test", "slice": "all", "truth": "gold", "metric": "auc", "n": 10},
    }
    return Record(**{**plain, "value": value, "seed": seed, **changed})


def cell(records: list[Record], runs: int | None = None, layout: Leaderboard = LAYOUT) -> str:
    return leaderboard(records, layout, {ROW: Runs(len(records) if runs is None else runs)}, METRICS).rows[0][1]


def notes(records: list[Record], runs: int, failed: int = 0, unit: str = "runs") -> str:
    return "\n".join(leaderboard(records, LAYOUT, {ROW: Runs(runs, failed, unit)}, METRICS).notes)


def test_the_spread_is_the_sample_standard_deviation() -> None:
    values = [0.5, 0.6, 0.9]
    assert cell([record(value, seed) for seed, value in enumerate(values)]) == "0.667 ± 0.208"
    assert f"{statistics.stdev(values):.3f}" == "0.208"  # by n - 1; by n it is 0.170


def test_one_seed_has_no_spread() -> None:
    assert cell([record(0.5)]) == "0.500"
    assert "One training seed: no spread is known." in notes([record(0.5)], 1)


def test_a_method_that_draws_nothing_has_no_spread() -> None:
    assert cell([record(0.5, None), record(0.7, None, replicate=1)]) == "0.600"


def test_the_spread_is_pooled_within_replicates() -> None:
    # two worlds far apart, each with sd sqrt(2)/10: the distance between worlds is not the seeds'
    records = [record(v, s, replicate=r) for r, pair in enumerate([(0.1, 0.3), (0.7, 0.9)]) for s, v in enumerate(pair)]
    assert cell(records) == f"0.500 ± {math.sqrt(0.02):.3f}"
    assert "over 2 training seeds, pooled within 2 replicates" in notes(records, 4)


def test_an_undefined_number_is_not_available_with_its_reason() -> None:
    records = [record(0.5), record(math.nan, 1, note="one class alone")]
    assert cell(records) == "n/a"
    assert "mm, pairs/test auc: one class alone." in notes(records, 2)


def test_a_number_that_is_not_there_is_not_available() -> None:
    assert cell([], 2) == "n/a"


def test_a_column_measured_against_another_truth_says_so() -> None:
    said = "No evaluator measured auc of pairs/test against 'gold'; it is on record against 'preferred'."
    assert said in notes([record(0.5, truth="preferred")], 1)
    assert said not in notes([record(0.5, truth="preferred"), record(0.5)], 1)


def test_a_metric_that_needs_no_truth_is_shown_whatever_the_truth_of_the_table() -> None:
    records = [record(0.5, 0, truth=""), record(0.7, 1, truth="")]
    table = leaderboard(records, LAYOUT, {ROW: Runs(2, unit="seeds")}, METRICS)
    assert table.rows[0][1] == "0.600 ± 0.141"
    assert table.tidy[0]["truth"] == ""
    assert "auc of pairs/test needs no truth." in table.notes
    assert not [note for note in table.notes if "on record against" in note or "not finished" in note]
    assert cell([*records, record(0.9)], 2) == "0.900"  # what is measured against the table's truth goes first


def test_a_run_that_is_measured_against_another_truth_is_not_called_unfinished() -> None:
    said = notes([record(0.5, seed, truth="preferred") for seed in range(3)], 3, unit="seeds")
    assert "not finished" not in said
    assert "no spread is known" not in said
    said = notes([record(0.5, seed, truth="preferred") for seed in range(2)], 3, unit="seeds")
    assert "mm: 1 of 3 seeds is not finished." in said


@pytest.mark.parametrize(
    ("found", "failed", "unit", "said"),
    [
        (3, 2, "seeds", "mm: 2 of 5 seeds failed."),
        (3, 2, "runs", "mm: 2 of 5 runs failed."),
        (0, 5, "seeds", "mm: 5 of 5 seeds failed."),
        (2, 2, "seeds", "mm: 2 of 5 seeds failed, 1 is not finished."),
        (3, 0, "seeds", "mm: 2 of 5 seeds are not finished."),
        (4, 0, "runs", "mm: 1 of 5 runs is not finished."),
        # one evaluator failed on a seed whose other numbers are there
        (5, 1, "seeds", "mm: 1 of 5 seeds failed."),
    ],
)
def test_runs_that_failed_or_are_not_finished_are_counted(found: int, failed: int, unit: str, said: str) -> None:
    assert said in notes([record(0.5, seed) for seed in range(found)], 5, failed, unit).splitlines()


def test_a_row_that_lacks_no_run_says_nothing_of_runs() -> None:
    for records, runs in (
        ([record(0.5), record(0.6, 1)], 2),
        ([record(0.5), record(0.6, stage="another threshold")], 1),
    ):
        assert not any(note.startswith("mm: ") for note in notes(records, runs).splitlines())


@pytest.mark.parametrize(
    "changed",
    [
        {"slice": "misranked:mm"},
        {"other": "length"},
        {"truth": "preferred"},
        {"split": "train"},
        {"metric": "f1"},
        {"method": "length"},
        {"encoder": "tfidf"},
        {"model": "other"},
    ],
)
def test_a_record_with_other_coordinates_is_not_in_the_cell(changed: dict[str, str]) -> None:
    assert cell([record(0.5), record(0.9, **changed)], 1) == "0.500"


def test_each_column_is_measured_against_its_own_truth() -> None:
    layout = Leaderboard(data=("pairs/test", "x"), truth={"pairs": "preferred", "x": "gold"}, metrics=("auc",))
    records = [
        record(0.1, truth="gold"),
        record(0.2, truth="preferred"),
        record(0.3, dataset="x", split=""),
        record(0.4, dataset="x", split="", truth="preferred"),
    ]
    table = leaderboard(records, layout, {ROW: Runs(1)}, METRICS)
    assert table.rows == (("mm", "0.200", "0.300"),)
    assert table.notes[0] == "Truth: pairs/test against 'preferred', x against 'gold'."


def test_rows_come_in_the_order_of_the_runs_and_name_what_differs() -> None:
    runs = {Row("toy", "b", "mm", ""): Runs(1), Row("toy", "a", "mm", ""): Runs(1)}
    table = leaderboard([record(0.1, encoder="a"), record(0.2, encoder="b")], LAYOUT, runs, METRICS)
    assert table.rows == (("b", "mm", "0.200"), ("a", "mm", "0.100"))
    assert table.heads == (("", "encoder"), ("", "method"), ("pairs/test", "AUC ↑"))


def test_an_arrow_says_which_way_is_better() -> None:
    layout = Leaderboard(data=("x",), metrics=("starc", "auc", "accuracy", "confidence_gap"))
    heads = [head[1] for head in leaderboard([], layout, {ROW: Runs(1)}, METRICS).heads]
    assert heads == ["method", "STARC ↓", "AUC ↑", "accuracy ↑", "confidence gap"]


# --- ranks and intervals

THREE = {Row("toy", "minilm", method, ""): Runs(1) for method in ("mm", "me", "length")}


def comparison(method: str, other: str = "", **changed: Any) -> Comparison:
    plain: dict[str, Any] = {
        **{"model": "toy", "encoder": "minilm", "variant": "", "data": "pairs/test", "truth": "gold", "metric": "auc"},
        **{"value": 0.0, "low": 0.85, "high": 0.95, "p": 0.5, "p_holm": 0.5, "effect": 0.0, "n": 10, "units": 5},
        **{"error": 0.02, "freedom": 4.0},
        **{"unit": "seed", "resamples": 100, "note": ""},
    }
    return Comparison(**{**plain, "method": method, "other": other, **changed})


def ranked(length: float, me: float, *, metric: str = "auc", p: float = 0.5, intervals: bool = False) -> Any:
    """A table of three methods where mm has 0.9, mm and me differ with ``p``, and length from both."""
    records = [record(v, method=m, metric=metric) for m, v in (("mm", 0.9), ("me", me), ("length", length))]
    rows = [comparison(method, metric=metric, p=math.nan, p_holm=math.nan) for method in ("mm", "me", "length")]
    rows += [comparison("mm", "me", metric=metric, p_holm=p)]
    rows += [comparison(method, "length", metric=metric, p_holm=0.001) for method in ("mm", "me")]
    layout = Leaderboard(data=("pairs/test",), metrics=(metric,))
    return leaderboard(records, layout, THREE, METRICS, rows, intervals=intervals)


def test_methods_that_do_not_differ_from_the_best_share_the_mark() -> None:
    table = ranked(0.5, 0.88)
    assert [row[1] for row in table.rows] == ["0.900 ¹", "0.880 ¹", "0.500"]
    assert [row["rank"] for row in table.tidy] == [1, 1, 3]
    assert not table.bold


def test_bold_is_the_sole_leader_alone() -> None:
    table = ranked(0.5, 0.88, p=0.001)
    assert [row[1] for row in table.rows] == ["0.900 ¹", "0.880", "0.500"]
    assert table.bold == {(0, 1)}


def test_the_best_is_the_lowest_where_lower_is_better() -> None:
    table = ranked(1.3, 0.7, metric="starc", p=0.001)
    assert table.bold == {(1, 1)}


def test_a_metric_without_a_better_side_has_no_rank() -> None:
    table = ranked(0.5, 0.88, metric="confidence_gap", p=0.001)
    assert not table.bold
    assert not any("¹" in row[1] for row in table.rows)
    assert {row["rank"] for row in table.tidy} == {None}


def test_a_column_without_a_difference_says_so() -> None:
    rows = [comparison("mm", "me")]
    runs = {Row("toy", "minilm", method, ""): Runs(1) for method in ("mm", "me")}
    table = leaderboard([record(0.9), record(0.5, method="me")], LAYOUT, runs, METRICS, rows)
    assert "No two methods are shown to differ in pairs/test AUC." in table.notes
    assert "No two" not in "".join(ranked(0.5, 0.88).notes)


def test_ranks_are_within_a_model_and_encoder() -> None:
    runs = {Row("toy", encoder, method, ""): Runs(1) for encoder in ("a", "b") for method in ("mm", "me")}
    values = {("a", "mm"): 0.9, ("a", "me"): 0.8, ("b", "mm"): 0.6, ("b", "me"): 0.7}
    records = [record(value, encoder=encoder, method=method) for (encoder, method), value in values.items()]
    table = leaderboard(
        records, LAYOUT, runs, METRICS, [comparison("mm", "me", encoder=e, p_holm=0.001) for e in ("a", "b")]
    )
    assert table.bold == {(0, 2), (3, 2)}
    assert "its column within a model, encoder and variant" in "".join(table.notes)


def test_intervals_are_shown_on_request_and_always_in_the_tidy_rows() -> None:
    assert ranked(0.5, 0.88, intervals=True).rows[0][1] == "0.900 [0.850, 0.950] ¹"
    assert "[" not in ranked(0.5, 0.88).rows[0][1]
    assert (ranked(0.5, 0.88).tidy[0]["low"], ranked(0.5, 0.88).tidy[0]["high"]) == (0.85, 0.95)


def noted(**changed: Any) -> str:
    return "".join(leaderboard([record(0.9)], LAYOUT, THREE, METRICS, [comparison("mm", "me", **changed)]).notes)


def test_the_note_says_what_the_test_rests_on() -> None:
    assert "t of paired differences over 5 seeds, with the noise of the examples that they share; Holm" in noted()
    assert "over 5 replicates; Holm" in noted(unit="replicate", resamples=0)
    assert "moderated (Smyth 2004)" in noted(unit="replicate", resamples=0, freedom=9.0)
    assert "bootstrap of examples alone: no spread of runs is known" in noted(unit="", units=1, freedom=math.inf)


def test_two_replicates_say_what_could_have_been_found_at_all() -> None:
    said = noted(unit="replicate", units=2, resamples=0, freedom=1.0, error=0.02)
    assert "2 replicates can show little: of most pairs a gap of 0.28 of AUC would be found four times in five." in said
    wide = noted(unit="replicate", units=2, resamples=0, freedom=1.0, error=0.1)
    assert "can show little: not even the widest possible gap of AUC would be found four times in five." in wide
    assert "can show little" not in noted(unit="replicate", units=5, resamples=0)


def test_a_row_below_one_that_is_worse_has_a_sign_of_its_own() -> None:
    records = [record(v, method=m) for m, v in (("mm", 0.9), ("me", 0.8), ("length", 0.5))]
    rows = [comparison("mm", "me", p_holm=0.01), comparison("mm", "length", p_holm=0.2)]
    table = leaderboard(records, LAYOUT, THREE, METRICS, rows)
    assert [row[1] for row in table.rows] == ["0.900 ¹", "0.800", "0.500 °"]
    assert [row["differs_from_best"] for row in table.tidy] == [0, 1, 0]
    assert any(note.startswith("° is not shown to differ from the best either") for note in table.notes)
    assert "°" not in noted()


def test_the_tidy_rows_have_students_interval_over_seeds() -> None:
    (row,) = leaderboard([record(v, s) for s, v in enumerate([0.1, 0.2, 0.3])], LAYOUT, {ROW: Runs(3)}, METRICS).tidy
    assert (row["mean"], row["sd"], row["runs"]) == pytest.approx((0.2, 0.1, 3))
    assert row["t_low"] == pytest.approx(0.2 - 4.302653 * 0.1 / math.sqrt(3), abs=1e-6)  # t of 2 degrees of freedom


def test_over_several_replicates_no_interval_is_over_seeds_alone() -> None:
    (row,) = leaderboard([record(0.1), record(0.2, replicate=1)], LAYOUT, {ROW: Runs(2)}, METRICS).tidy
    assert math.isnan(float(row["t_low"] or 0))


# --- references, and what a row was given


def test_what_a_ranked_method_was_given_stands_behind_its_name() -> None:
    methods = {"mm": MethodFacts("both models", reference=False), "me": MethodFacts("texts", reference=False)}
    records = [record(0.9), record(0.8, method="me")]
    table = leaderboard(records, LAYOUT, {row.row: Runs(1) for row in records}, METRICS, methods=methods)
    assert ([row[0] for row in table.rows], table.references) == (["mm (both models)", "me"], 0)
    assert [(cell["method"], cell["given"], cell["reference"]) for cell in table.tidy] == [
        ("mm", "both models", 0), ("me", "texts", 0)
    ]  # fmt: skip
    told = "Behind a method's name, in brackets: what it was given beside the texts of the pairs."
    assert told in table.notes
    assert not any("Reference rows" in note for note in table.notes)


def test_what_is_estimated_is_said_to_be_for_the_models_where_it_is() -> None:
    known = MethodFacts("both models", reference=False, estimated={"toy": "from 64 completions", "gone": "from 2"})
    records = [record(0.9, model=model, method=name) for model in ("toy", "web") for name in ("mm", "me")]
    methods = {"mm": known, "me": known}
    table = leaderboard(records, LAYOUT, {row.row: Runs(1) for row in records}, METRICS, methods=methods)
    assert {row[:2] for row in table.rows} == {
        *{("toy", f"{name} (both models, estimated)") for name in methods},
        *{("web", f"{name} (both models)") for name in methods},
    }
    told = "toy, mm, me: how likely the aligned model finds a text is estimated, from 64 completions."
    assert [note for note in table.notes if "is estimated" in note] == [told]


def test_of_methods_that_nothing_is_known_of_nothing_is_said() -> None:
    records = [record(0.9), record(0.8, method="me")]
    table = leaderboard(records, LAYOUT, {row.row: Runs(1) for row in records}, METRICS)
    assert ([row[0] for row in table.rows], table.references) == (["mm", "me"], 0)
    assert {(cell["given"], cell["reference"]) for cell in table.tidy} == {(None, None)}
    assert not any("given" in note for note in table.notes)


def test_references_of_every_model_stand_above_all_methods() -> None:
    records = [record(0.5, model=m, method=name) for m in ("toy", "web") for name in ("mm", "oracle")]
    methods = {"mm": MethodFacts("texts", reference=False), "oracle": MethodFacts("truth", reference=True)}
    table = leaderboard(records, LAYOUT, {row.row: Runs(1) for row in records}, METRICS, methods=methods)
    assert [row[:2] for row in table.rows] == [
        ("toy", "oracle (truth)"), ("web", "oracle (truth)"), ("toy", "mm"), ("web", "mm")
    ]  # fmt: skip


def test_a_reward_that_is_known_up_to_a_number_a_prompt_has_its_starc_within_prompts_in_a_note() -> None:
    layout = Leaderboard(data=("pairs/test", "shifted"), truth="gold", metrics=("auc", "starc"))
    numbers = {"mm": (0.4, 0.3), "log-ratio": (1.2, 0.25)}
    records = [
        record(value, method=name, dataset=data, split=split, metric=metric)
        for name, both in numbers.items()
        for data, split in (("pairs", "test"), ("shifted", ""))
        for metric, value in zip(("starc", "starc_per_prompt"), both, strict=True)
        if (data, metric) != ("shifted", "starc_per_prompt")  # each prompt has one text
    ]
    known = MethodFacts("both models", reference=True, per_prompt=True)
    methods = {"mm": MethodFacts("texts", reference=False), "log-ratio": known}
    table = leaderboard(records, layout, {row.row: Runs(1) for row in records}, METRICS, methods=methods)
    assert [note for note in table.notes if "within prompts" in note] == [
        "log-ratio adds a number of its own to all texts of a prompt, and STARC charges it for that; within prompts "
        "its STARC is 0.250 on pairs/test."
    ]


# --- slices


def test_slices_are_columns_of_their_own() -> None:
    records = [record(0.9), record(0.2, slice="misranked:mm"), record(0.4, slice="near-tie:mm")]
    table = slices(records, LAYOUT, {ROW: Runs(1)}, METRICS)
    assert table.heads[1:] == (("pairs/test misranked:mm", "AUC ↑"), ("pairs/test near-tie:mm", "AUC ↑"))
    assert table.rows == (("mm", "0.200", "0.400"),)
    assert "at its worst by construction" in table.notes[-1]


def test_discordant_pairs_are_columns_of_the_table_of_slices_unless_the_leaderboard_shows_them() -> None:
    records = [record(0.9), record(0.7, slice="discordant"), record(0.2, slice="misranked:mm")]
    table = slices(records, LAYOUT, {ROW: Runs(1)}, METRICS)
    assert [head[0] for head in table.heads[1:]] == ["pairs/test discordant", "pairs/test misranked:mm"]
    assert table.rows == (("mm", "0.700", "0.200"),)
    assert "Discordant pairs are those whose two 'gold' labels differ." in table.notes
    assert table.notes[-1].startswith("The other slices are chosen by one run of the baseline")
    alone = slices([one for one in records if one.slice != "misranked:mm"], LAYOUT, {ROW: Runs(1)}, METRICS)
    assert not any("chosen by" in note for note in alone.notes)
    shown = LAYOUT.model_copy(update={"slices": ("discordant",)})
    assert [head[0] for head in slices(records, shown, {ROW: Runs(1)}, METRICS).heads[1:]] == [
        "pairs/test misranked:mm"
    ]


def test_the_leaderboard_shows_slices_of_pairs_beside_all_pairs() -> None:
    layout = Leaderboard(data=("pairs/test", "shifted"), metrics=("auc",), slices=("discordant",))
    records = [record(0.9), record(0.7, slice="discordant"), record(0.8, dataset="shifted", split="")]
    table = leaderboard(records, layout, {ROW: Runs(1)}, METRICS)
    assert [head[0] for head in table.heads[1:]] == ["pairs/test", "pairs/test discordant", "shifted"]
    assert table.rows == (("mm", "0.900", "0.700", "0.800"),)
    assert [(one["data"], one["slice"]) for one in table.tidy] == [
        *(("pairs/test", "all"), ("pairs/test", "discordant"), ("shifted", "all")),
    ]
    assert [question.data for question in layout.questions()] == ["pairs/test", "pairs/test discordant", "shifted"]


def test_a_slice_is_ranked_by_its_own_comparisons() -> None:
    """On all pairs the methods do not differ, on discordant ones me is shown to be better."""
    layout = LAYOUT.model_copy(update={"slices": ("discordant",)})
    rows = {ROW: Runs(1), ROW._replace(method="me"): Runs(1)}
    records = [
        record(value, method=method, slice=part)
        for part, both in (("all", (0.9, 0.8)), ("discordant", (0.5, 0.7)))
        for method, value in zip(("mm", "me"), both, strict=True)
    ]
    found = [
        comparison("mm", "me", value=gap, p_holm=p, data=data)
        for data, gap, p in (("pairs/test", 0.1, 0.5), ("pairs/test discordant", -0.2, 0.001))
    ]
    table = leaderboard(records, layout, rows, METRICS, found)
    assert table.rows == (("mm", "0.900 ¹", "0.500"), ("me", "0.800 ¹", "0.700 ¹"))
    assert table.bold == {(1, 2)}


def test_references_are_set_apart_in_slices_too() -> None:
    records = [record(0.9), record(0.5, slice="misranked:mm"), record(1.0, method="oracle", slice="misranked:mm")]
    rows = {ROW: Runs(1), ROW._replace(method="oracle"): Runs(1)}
    methods = {"mm": MethodFacts("texts", reference=False), "oracle": MethodFacts("truth", reference=True)}
    table = slices(records, LAYOUT, rows, METRICS, methods)
    assert ([row[0] for row in table.rows], table.references) == (["oracle (truth)", "mm"], 1)


def test_a_reference_whose_seeds_differ_is_set_apart_in_the_table_of_ambiguity() -> None:
    records = [record(0.2, method=name, metric="starc", truth="", other="seed:1") for name in ("mm", "drawn")]
    methods = {"mm": MethodFacts("texts", reference=False), "drawn": MethodFacts("truth", reference=True)}
    runs = {row.row: Runs(2) for row in records}
    table = ambiguity(records, ["pairs/test"], runs, METRICS, methods)
    assert ([row[0] for row in table.rows], table.references) == (["drawn (truth)", "mm"], 1)
    assert [(cell["method"], cell["reference"]) for cell in table.tidy] == [("drawn", 1), ("mm", 0)]
    assert any(note.startswith("Reference rows stand first") for note in table.notes)


def test_without_slices_there_is_no_row() -> None:
    assert slices([record(0.9), record(0.5, slice="subtype:threat")], LAYOUT, {ROW: Runs(1)}, METRICS).rows == ()


# --- numbers that need no truth

COUNT = '''
from fairl_bench import Evaluator, Measure, Metric, hookimpl


class Count(Evaluator):
    """Counts texts."""

    metrics = (Metric("texts_read", better="higher"),)

    def measured(self):
        return frozenset({""})

    def evaluate(self, scored):
        for name in self.data:
            yield Measure(name, "", "texts_read", float(len(scored[name].reward)), len(scored[name].reward))


@hookimpl
def fairl_evaluators(register):
    register("count", Count)
'''


def test_a_suite_shows_and_claims_a_number_that_needs_no_truth(
    tiny: dict[str, Any], run_suite: Any, tmp_path: Path
) -> None:
    (tmp_path / "count.py").write_text(COUNT)
    tiny |= {"plugins": ["count.py"], "evaluate": [{"use": "count", "data": ["pairs/test"]}]}
    tiny["report"] = {"table1": {"data": ["pairs/test"], "metrics": ["texts_read"]}}
    claim = {"id": "same", "better": "max-margin", "than": "length", "metric": "texts_read", "data": "pairs/test"}
    tiny["claims"] = [{**claim, "within": 0.5}]
    finished = run_suite(tiny)
    (table,) = (table for table in finished.tables if table.title == "Table 1")
    assert {row[1].partition(" ")[0] for row in table.rows} == {"48.000"}
    assert not [note for note in table.notes if "not finished" in note or "on record against" in note]
    assert "is on record for" not in finished.claims[0].plain()["note"]
