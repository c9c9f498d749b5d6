"""Re-alignments set against one another: at the same KL, after all steps, with ties called ties."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairl_bench.errors import ResultsError, Undefined
from fairl_bench.figures.realignment import first_places
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.realigned import compared
from fairl_bench.science import realignment as science
from fairl_bench.science.intervals import bounded, t_interval
from fairl_bench.science.resampling import TOXIC_AT_KL, CompletionForm, at_kl
from fairl_bench.tables.formats import as_csv, as_json
from fairl_bench.tables.realignment import realignment
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.realigned import Realigned
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts
from fairl_bench.values.table import Table

Plant = Callable[..., tuple[list[Realigned], list[Record]]]
GAINS = {"good": 0.9, "same": 0.9, "weak": 0.3, "flipped": -0.9}


def runs_of(records: list[Record], n: int) -> dict[Row, Runs]:
    return {row: Runs(n, unit="seeds") for row in dict.fromkeys(record.row for record in records)}


def cells(table: Table, metric: str, cut: str) -> dict[str, Mapping[str, Any]]:
    """The tidy rows of one column, by method."""
    return {str(one["method"]): one for one in table.tidy if (one["metric"], one["slice"]) == (metric, cut)}


def one(rows: list[Comparison], method: str, other: str = "", data: str = "realigned/kl:0.5") -> Comparison:
    (found,) = (
        row for row in rows if (row.method, row.other, row.data, row.metric) == (method, other, data, "toxicity_rate")
    )
    return found


Told = tuple[list[Realigned], list[Record], list[Comparison]]


@pytest.fixture(scope="module")
def told(realign: Plant) -> Told:
    """Four methods, two of them equal and one of the wrong sign, five seeds."""
    found, records = realign(GAINS, range(5))
    return found, records, list(compared(found, records, built_in_metrics(), 400))


@pytest.fixture(scope="module")
def tables(told: Told) -> dict[str, Table]:
    _, records, rows = told
    return realignment(records, runs_of(records, 5), built_in_metrics(), rows)


# --- the curve under weights


def test_under_weights_of_one_the_curve_is_that_of_the_science() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        kl, value = rng.random((6, 9)).cumsum(0) * rng.choice([-0.2, 1.0], (6, 1)), rng.random((6, 9))
        kl[0] = 0
        budget = 0.7 * kl.mean(1).max()
        if budget <= 0:
            continue
        for area, plain in ((False, science.at_budget), (True, science.area)):
            drawn = at_kl(kl, value, budget, area=area)(np.ones((1, 9), np.float32))
            # float32 sums
            assert drawn[0, 0] == pytest.approx(plain(kl.mean(1), value.mean(1), budget), rel=2e-5, abs=2e-6)


def test_a_prompt_that_counts_twice_is_a_prompt_that_is_there_twice() -> None:
    kl, value = np.array([[0.0, 0.0], [1.0, 3.0]]), np.array([[0.4, 0.8], [0.0, 0.2]])
    (found,) = at_kl(kl, value, 1.0)(np.array([[2.0, 1.0]], np.float32))
    # KL from 0 to 5/3, value from 1.6/3 to 0.2/3: at 1, three fifths of the way
    assert found[0] == pytest.approx(1.6 / 3 - 0.6 * 1.4 / 3, abs=1e-6)


def test_a_resample_that_ends_before_the_budget_keeps_its_last_value() -> None:
    kl, value = np.array([[0.0, 0.0], [1.0, 3.0]]), np.array([[0.4, 0.8], [0.0, 0.2]])
    weights = np.array([[2.0, 0.0]], np.float32)
    assert at_kl(kl, value, 2.0)(weights)[0, 0] == pytest.approx(0.0, abs=1e-7)
    # down from 0.4 to 0 over the first half, nothing over the second
    assert at_kl(kl, value, 2.0, area=True)(weights)[0, 0] == pytest.approx(0.1, abs=1e-6)
    with pytest.raises(Undefined, match="its KL reaches 1 nats, not 2"):
        science.at_budget(kl[:, 0], value[:, 0], 2.0)


# --- intervals and ties


def test_the_value_at_a_budget_is_the_mean_of_the_records_and_lies_in_its_interval(told: Told) -> None:
    _, records, rows = told
    recorded = [r.value for r in records if (r.method, r.slice, r.metric) == ("weak", "kl:0.5", "toxicity_rate")]
    found = one(rows, "weak")
    assert found.value == pytest.approx(np.mean(recorded), abs=1e-12)  # float64
    assert found.low < found.value < found.high
    assert (found.units, found.unit, found.n, found.resamples) == (5, "seed", 60, 400)


def test_two_equal_methods_are_a_tie_and_share_the_first_rank(told: Told, tables: dict[str, Table]) -> None:
    _, records, rows = told
    found = one(rows, "good", "same")
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert found.p_holm == 1
    ranks = {method: cell["rank"] for method, cell in cells(tables["realignment"], "toxicity_rate", "kl:1").items()}
    assert ranks == {"good": 1, "same": 1, "weak": 3, "flipped": 4}
    means = {row: {"good": 0.1, "same": 0.1, "weak": 0.3, "flipped": 0.6}[row.method] for row in runs_of(records, 5)}
    assert first_places(means, rows, "kl:1", built_in_metrics()) == {
        Row("toy", "e", "good", ""),
        Row("toy", "e", "same", ""),
    }


def test_a_tie_of_all_is_called_one(realign: Plant) -> None:
    found, records = realign({"good": 0.9, "same": 0.9}, (0, 1, 2))
    table = realignment(
        records, runs_of(records, 3), built_in_metrics(), list(compared(found, records, built_in_metrics(), 400))
    )["realignment"]
    assert table.notes[-1] == "No two methods are shown to differ in any column."
    assert not table.bold


def test_a_difference_is_paired_over_prompts(told: Told) -> None:
    _, _, rows = told
    own = [one(rows, name) for name in ("good", "weak")]
    apart = one(rows, "good", "weak")
    # unpaired, its half width would be the root of the sum of squares
    assert apart.high - apart.low < 0.9 * math.hypot(*(found.high - found.low for found in own))


def test_one_seed_has_an_interval_of_its_prompts_and_no_spread(realign: Plant) -> None:
    found, records = realign({"good": 0.9, "weak": 0.1}, prompts=100)
    rows = list(compared(found, records, built_in_metrics(), 2000))
    own = one(rows, "weak", data="realigned/all")
    p = own.value
    # the normal interval of a share, of prompts of four samples of their own luck each
    half = 1.96 * math.sqrt(p * (1 - p) / 400)
    assert (own.high - own.low) / 2 == pytest.approx(half, rel=0.25)
    made = realignment(records, runs_of(records, 1), built_in_metrics(), rows)
    assert all(math.isnan(float(cell["sd"])) for cell in made["realignment"].tidy)
    assert "prompts alone: no spread of runs is known" in " ".join(made["realignment"].notes)
    assert "±" not in "".join(cell for row in made["realignment-steps"].rows for cell in row)


@pytest.mark.parametrize("seeds", [3, 5])
def test_several_seeds_have_their_spread(realign: Plant, seeds: int) -> None:
    _, records = realign({"good": 0.9}, tuple(range(seeds)), prompts=20)
    table = realignment(records, runs_of(records, seeds), built_in_metrics())["realignment-steps"]
    cell = cells(table, "toxicity_rate", "all")["good"]
    values = [r.value for r in records if (r.slice, r.metric) == ("all", "toxicity_rate")]
    before = np.mean([r.value for r in records if (r.slice, r.metric) == ("before", "toxicity_rate")])
    assert cell["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)  # float64
    assert table.rows[0][1] == f"{before:.3f} → {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def test_replicates_are_the_units_where_there_are_several(realign: Plant) -> None:
    found, records = [], []
    for replicate in (0, 1, 2):
        more = realign({"good": 0.9, "same": 0.9, "weak": 0.1}, (0, 1), prompts=30, replicate=replicate)
        found, records = [*found, *more[0]], [*records, *more[1]]
    rows = list(compared(found, records, built_in_metrics(), 300))
    own = one(rows, "weak")
    assert (own.units, own.unit) == (3, "replicate")
    assert own.value == pytest.approx(
        np.mean([r.value for r in records if (r.method, r.slice, r.metric) == ("weak", "kl:0.5", "toxicity_rate")])
    )
    assert one(rows, "good", "same").p_holm == 1
    table = realignment(records, runs_of(records, 6), built_in_metrics(), rows)["realignment"]
    assert "[ ] is the 95 % interval (Student's t of paired differences over 3 replicates)." in table.notes


def test_below_ten_prompts_the_runs_are_all_there_is(realign: Plant) -> None:
    found, records = realign({"good": 0.9, "weak": 0.1}, (0, 1, 2), prompts=9)
    own = one(list(compared(found, records, built_in_metrics(), 400)), "weak")
    values = [r.value for r in records if (r.method, r.slice, r.metric) == ("weak", "kl:0.5", "toxicity_rate")]
    assert own.resamples == 0
    low, high = t_interval(values)
    assert (own.low, own.high) == pytest.approx(bounded(own.value, (high - low) / 2, (0.0, 1.0)), abs=1e-12)  # float64


def test_evidence_that_is_not_what_was_recorded_is_not_resampled(told: Told) -> None:
    found, records, _ = told
    moved = [replace(r, value=r.value + 0.01) if r.metric == "toxicity_rate" else r for r in records]
    rows = list(compared(found, moved, built_in_metrics(), 400))
    assert one(rows, "weak").resamples == 0
    assert {row.resamples for row in rows if row.metric == "toxicity"} == {400}


def test_seeds_with_prompts_of_their_own_are_paired_within_a_seed(told: Told) -> None:
    found, records, rows = told
    own = []
    for one_ in found:
        at = one_.rows.column_names.index("prompt")
        prompts = [f"{prompt} of seed {one_.cell.seed}" for prompt in one_.rows["prompt"].to_pylist()]
        own.append(one_._replace(rows=one_.rows.set_column(at, "prompt", [prompts])))
    other = list(compared(own, records, built_in_metrics(), 400))
    assert one(other, "good", "same").p_holm == 1
    apart, before = one(other, "good", "weak"), one(rows, "good", "weak")
    assert (apart.n, apart.units, apart.value) == (300, 5, before.value)
    # five sets of prompts say more than one: the interval is narrower, by what of it is the noise of prompts
    assert apart.high - apart.low < before.high - before.low


def test_a_look_that_lacks_a_prompt_is_refused(told: Told) -> None:
    found, records, _ = told
    cut = found[0]._replace(rows=found[0].rows.slice(0, len(found[0].rows) - 1))
    with pytest.raises(ResultsError, match="method 'good', seed 0: its 4 looks have 239 texts between them"):
        list(compared([cut, *found[1:]], records, built_in_metrics(), 10))


@pytest.mark.parametrize(("forms", "resamples"), [((CompletionForm("own", "paths", TOXIC_AT_KL.of),), 400), ((), 0)])
def test_a_metric_of_a_plugin_has_an_interval_and_a_rank(
    told: Told, forms: tuple[CompletionForm, ...], resamples: int
) -> None:
    found, records, rows = told
    own = [replace(row, metric="own") for row in records if row.metric == "toxicity_rate"]
    metrics = built_in_metrics().or_else(Metrics([("plugin", Metric("own", "lower", "own one", (0, 1), forms))]))
    both = list(compared(found, [*records, *own], metrics, 400))
    interval = next(row for row in both if (row.metric, row.method, row.other) == ("own", "weak", ""))
    assert interval.resamples == resamples
    assert math.isfinite(interval.low)
    assert (interval.low == one(rows, "weak", data=interval.data).low) is bool(forms)
    table = realignment([*records, *own], runs_of(records, 5), metrics, both, ("own",))["realignment"]
    assert table.heads[1:] == tuple((f"KL {cut}", "own one ↓") for cut in ("0.25", "0.5", "1"))
    assert {name: cell["rank"] for name, cell in cells(table, "own", "kl:1").items()}["flipped"] == 4


# --- what is seen


def test_a_reward_of_the_wrong_sign_is_last_in_every_metric(tables: dict[str, Table]) -> None:
    same, after = tables["realignment"], tables["realignment-steps"]
    for cut in ("kl:0.25", "kl:0.5", "kl:1"):
        for metric in ("toxicity_rate", "toxicity_area"):
            column = cells(same, metric, cut)
            assert max(column, key=lambda name: float(column[name]["mean"])) == "flipped"
            assert {name for name, cell in column.items() if cell["rank"] == 4} == {"flipped"}
    worst = {"toxicity_rate": max, "toxicity": max, "expected_maximum_toxicity": max, "toxicity_probability": max}
    for metric, pick in {**worst, "agreement": min}.items():
        column = cells(after, metric, "all")
        extreme = pick(float(cell["mean"]) for cell in column.values())
        assert column["flipped"]["mean"] == extreme
        assert column["good"]["mean"] != extreme or metric == "toxicity_probability"
    assert float(cells(after, "agreement", "all")["flipped"]["mean"]) < 0
    assert "flipped: over the looks the true reward falls as the proxy rises (ρ -1.00)." in after.notes


def test_what_a_run_does_not_reach_is_not_available_with_its_note(realign: Plant) -> None:
    found, records = realign({"good": 0.9, "short": 0.9}, (0, 1), kls={"short": 0.3})
    rows = list(compared(found, records, built_in_metrics(), 200))
    table = realignment(records, runs_of(records, 2), built_in_metrics(), rows)["realignment"]
    texts = {row[0]: row[1:] for row in table.rows}
    assert texts["short"][-2:] == ("n/a", "n/a")
    assert "n/a" not in texts["good"]
    note = "short, KL 1: its KL reaches 0.9 nats, not 1; align it longer, or lower 'budgets' (2 of 2 seeds)."
    assert table.notes.count(note) == 1
    assert cells(table, "toxicity_rate", "kl:1")["good"]["rank"] is None  # alone
    assert '"mean": null' in as_json(table)


def test_failed_and_unfinished_seeds_are_counted(told: Told) -> None:
    _, records, rows = told
    runs = {row: Runs(7, failed=1, unit="seeds") for row in runs_of(records, 7)} | {
        Row("toy", "e", "lost", ""): Runs(5)
    }
    made = realignment(records, runs, built_in_metrics(), rows)
    for table in made.values():
        assert "good: 1 of 7 seeds failed, 1 is not finished." in table.notes
        assert "lost: 5 of 5 runs are not finished." in table.notes
        assert set(table.rows[-1][1:]) == {"n/a"}


def test_a_second_judge_has_a_table_of_its_own(realign: Plant) -> None:
    found, records = realign({"good": 0.9, "weak": 0.1}, (0, 1, 2), second=True)
    rows = list(compared(found, records, built_in_metrics(), 200))
    made = realignment(records, runs_of(records, 3), built_in_metrics(), rows)
    assert list(made) == ["realignment", "realignment-second", "realignment-steps"]
    assert "(Student's t of paired differences over 3 seeds)" in " ".join(made["realignment-second"].notes)
    assert ("second", "rate") in made["realignment-steps"].heads


def test_refusals_stand_with_their_warning(told: Told) -> None:
    _, records, _ = told
    model = next(row for row in records if row.slice == "all")
    warned = [
        replace(model, truth="", metric=metric, value=0.5, note="a base model refuses little")
        for metric in ("refusal_correctness", "safe_answered", "unsafe_refused")
    ]
    table = realignment([*records, *warned], runs_of(records, 3), built_in_metrics())["realignment-steps"]
    assert ("refusals", "right") in table.heads
    assert table.notes[-1].endswith("unsafe ones refused; a base model refuses little.")


def test_a_reference_stands_first_at_the_same_kl_and_has_no_rank(told: Told) -> None:
    found, records, _ = told
    methods = {name: MethodFacts("truth" if name == "same" else "texts", name == "same") for name in GAINS}
    rows = list(compared(found, records, built_in_metrics(), 400, references=["same"]))
    assert not [row for row in rows if row.other and "same" in (row.method, row.other)]
    assert one(rows, "same").low < one(rows, "same").high
    made = realignment(records, runs_of(records, 5), built_in_metrics(), rows, methods=methods)
    for table in made.values():
        assert [row[0] for row in table.rows] == ["same (truth)", "good", "weak", "flipped"]
        assert table.references == 1
        assert {cell["reference"] for cell in table.tidy if cell["method"] == "same"} == {1}
    ranks = {name: cell["rank"] for name, cell in cells(made["realignment"], "toxicity_rate", "kl:1").items()}
    assert ranks == {"same": None, "good": 1, "weak": 2, "flipped": 3}


def test_texts_left_out_of_the_perplexity_are_counted(told: Told, tables: dict[str, Table]) -> None:
    _, records, _ = told
    assert "The perplexity leaves out no text." in tables["realignment-steps"].notes
    changed = [replace(r, value=2.0) if (r.metric, r.method) == ("perplexity_dropped", "weak") else r for r in records]
    table = realignment(changed, runs_of(records, 3), built_in_metrics())["realignment-steps"]
    assert "weak: the perplexity leaves out 10 of 300 texts (empty, or above 10,000)." in table.notes


def test_the_tables_fit_a_terminal_and_are_saved_under_their_names(tables: dict[str, Table]) -> None:
    for name, table in tables.items():
        body = str(table).split("\n\n")[1]
        assert max(map(len, body.splitlines())) <= 120
        assert table.name == name
        assert as_csv(table).startswith(
            "model,encoder,method,variant,given,reference,data,slice,truth,metric,mean,sd,runs"
        )


def test_nothing_is_said_where_nothing_was_aligned_again(told: Told) -> None:
    _, records, _ = told
    assert (
        realignment([replace(row, dataset="pairs") for row in records], runs_of(records, 3), built_in_metrics()) == {}
    )
    assert list(compared([], records, built_in_metrics())) == []
