"""The table of the ceiling, and shares of it beside other numbers."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from fairl_bench.html.board import board as page_board
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.given import GivenMaterial
from fairl_bench.suite.registry import Registry
from fairl_bench.tables.ceiling import SharesOfCeiling
from fairl_bench.tables.leaderboard import Leaderboard
from fairl_bench.tables.slices import Slices
from fairl_bench.values.ceiling import PAIR_ACCURACY, SHARE
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Setting
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts, RunFacts
from fairl_bench.values.table import Table
from fairl_bench.views import ReportTable

METRICS = built_in_metrics()
SETTING = Setting("toy", "minilm", "")
METHODS = {
    "mm": MethodFacts("texts", reference=False),
    "log-ratio": MethodFacts("both models", reference=True, bounds=("toy",)),
}
FACTS = RunFacts(methods=METHODS, unbounded={"toy": ""})
NUMBERS = {"log-ratio": 0.78, "mm": 0.70}


def record(value: float, method: str, **changed: Any) -> Record:
    plain: dict[str, Any] = {
        **dict.fromkeys(["variant", "other", "note", "stage"], ""),
        **{"suite": "s", "model": "toy", "encoder": "minilm", "head": "mlp", "replicate": 0, "seed": None},
        **{"dataset": "pairs", "split": "test", "slice": "all", "truth": "preferred", "metric": PAIR_ACCURACY, "n": 10},
    }
    return Record(**{**plain, "value": value, "method": method, **changed})


def comparison(metric: str, method: str, value: float, half: float, **changed: Any) -> Comparison:
    plain: dict[str, Any] = {
        **{
            "data": "pairs/test",
            "truth": "preferred",
            "other": "",
            "p": math.nan,
            "p_holm": math.nan,
            "error": half / 2,
        },
        **{"freedom": 5.0, "effect": math.nan, "n": 10, "units": 6, "unit": "replicate", "resamples": 0, "note": ""},
    }
    numbers = {"metric": metric, "method": method, "value": value, "low": value - half, "high": value + half}
    return Comparison(**{**SETTING._asdict(), **plain, **numbers, **changed})


COMPARISONS = [
    comparison(PAIR_ACCURACY, "mm", 0.70, 0.02),
    comparison(PAIR_ACCURACY, "log-ratio", 0.78, 0.01),
    comparison(SHARE, "mm", 0.7143, 0.06),
    comparison(SHARE, "log-ratio", 1.0, 0.0),
]
UNDEFINED = [
    *COMPARISONS[:2],
    *(comparison(SHARE, name, math.nan, math.nan, note="the ceiling is too low") for name in NUMBERS),
]


def material(
    *parts: ReportTable,
    records: list[Record] | None = None,
    comparisons: list[Comparison] = COMPARISONS,
    run: RunFacts = FACTS,
) -> GivenMaterial:
    found = [record(value, name) for name, value in NUMBERS.items()] if records is None else records
    rows = {SETTING.row(name): Runs(1) for name in ("mm", "log-ratio")}
    report = {part.use: part for part in parts}
    return GivenMaterial(
        records=found, comparisons=comparisons, rows=rows, metrics=METRICS, run=run, report=report, name="s"
    )


def ceiling(**more: Any) -> Table:
    (table,) = SharesOfCeiling.named("ceiling").tables(material(**more))
    return table


def leaderboard(*, truth: str = "preferred", intervals: bool = False, **more: Any) -> Table:
    layout = Leaderboard.named(
        "table1", data=("pairs/test",), truth=truth, metrics=(PAIR_ACCURACY,), intervals=intervals
    )
    (table,) = layout.tables(material(**more))
    return table


# --- the table


def test_a_row_has_its_pair_accuracy_and_its_share_with_their_intervals() -> None:
    table = ceiling()
    assert table.heads == (
        ("", "method"),
        ("pairs/test", "pair accuracy ↑"),
        ("pairs/test", "share of the ceiling ↑"),
    )
    assert table.rows == (
        ("log-ratio (both models)", "0.780 [0.770, 0.790]", "100 % [100, 100]"),
        ("mm", "0.700 [0.680, 0.720]", "71 % [65, 77]"),
    )
    assert table.references == 1


def test_it_says_what_a_share_is_and_how_its_interval_is_found() -> None:
    notes = "\n".join(ceiling().notes)
    assert "½, a coin toss, to the ceiling, the pair accuracy of log-ratio;" in notes
    assert "two paired means over 6 replicates, by Student's t." in notes


def test_a_ceiling_that_is_estimated_is_said_to_be_none_that_is_too_high() -> None:
    estimated = METHODS["log-ratio"]._replace(estimated={"toy": "from 64 completions"})
    table = ceiling(run=replace(FACTS, methods={**METHODS, "log-ratio": estimated}))
    assert [row[0] for row in table.rows] == ["log-ratio (both models, estimated)", "mm"]
    (share,) = (note for note in table.notes if note.startswith("Share of the ceiling"))
    assert share.endswith("in a finite sample one may. That of toy is estimated, on average no higher than it is.")
    told = "toy, log-ratio: how likely the aligned model finds a text is estimated, from 64 completions."
    assert told in table.notes
    assert {cell["given"] for cell in table.tidy} == {"both models, estimated", "texts"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"resamples": 400, "unit": "seed", "units": 3},
            "over 3 seeds, by Student's t, with a bootstrap of the prompts.",
        ),
        ({"resamples": 400, "unit": "", "units": 1}, "two paired means by a bootstrap of the prompts."),
    ],
)
def test_the_interval_of_one_world_is_said_to_have_the_noise_of_its_pairs(changed: dict[str, Any], said: str) -> None:
    shares = [comparison(SHARE, "mm", 0.7, 0.1, **changed)]
    assert said in "\n".join(ceiling(comparisons=shares).notes)


def test_its_numbers_are_tidy_with_the_method_that_is_the_ceiling() -> None:
    of_mm = [cell for cell in ceiling().tidy if cell["method"] == "mm"]
    assert [(cell["metric"], cell["mean"], cell["ceiling"]) for cell in of_mm] == [
        (PAIR_ACCURACY, 0.70, "log-ratio"),
        (SHARE, 0.7143, "log-ratio"),
    ]
    assert [cell["low"] for cell in of_mm] == [pytest.approx(0.68), pytest.approx(0.6543)]


def test_a_share_on_the_page_leads_to_the_records_of_its_pair_accuracy() -> None:
    cells = page_board(ceiling()).rows[1]
    assert '"metric": "pair_accuracy"' in cells[1].where
    assert cells[2].where == cells[1].where
    assert cells[2].bar is not None


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (RunFacts(methods=METHODS, unbounded={"toy": "its pairs were chosen"}), "its pairs were chosen"),
        (
            RunFacts(methods={"mm": METHODS["mm"]}, unbounded={"toy": ""}),
            "no method is the log-ratio of its two language",
        ),
        (RunFacts(), "its run did not keep which method bounds it; run the suite again"),
    ],
)
def test_without_a_ceiling_there_is_no_share_and_the_reason_is_told(run: RunFacts, said: str) -> None:
    table = ceiling(run=run, comparisons=COMPARISONS[:2])
    assert {row[-1] for row in table.rows} == {"n/a"}
    assert any(note.startswith(f"toy has no ceiling: {said}") for note in table.notes)


def test_an_undefined_share_is_not_available_with_its_reason() -> None:
    table = ceiling(comparisons=UNDEFINED)
    assert [row[-1] for row in table.rows] == ["n/a", "n/a"]
    assert "mm, pairs/test, share of the ceiling: the ceiling is too low." in table.notes


def test_without_a_pair_accuracy_on_record_it_has_no_row() -> None:
    assert not ceiling(records=[record(0.7, "mm", truth="gold")]).rows


def test_pairs_that_stopped_a_training_are_said_to_favour_the_methods() -> None:
    (table,) = SharesOfCeiling.named("ceiling", data=("pairs/test", "pairs/validation")).tables(material())
    assert any(note.startswith("pairs/validation: a method that stops early") for note in table.notes)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("pairs/train", "'pairs/train' has no ceiling: methods have seen the training pairs"),
        ("shifted", "'shifted' has no ceiling: a test set holds no pairs of the two models"),
    ],
)
def test_data_without_a_ceiling_is_refused(data: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        SharesOfCeiling.named("ceiling", data=(data,))


def test_it_asks_for_pair_accuracies_against_preferred() -> None:
    part = Registry(installed=False).build(ReportTable, {"use": "ceiling"})
    assert list(part.questions()) == [Question("pairs/test", "preferred", (PAIR_ACCURACY,))]
    assert (list(part.datasets()), list(part.measures())) == (["pairs/test"], [PAIR_ACCURACY])
    assert part.truth_of("pairs/test") == "preferred"


# --- beside the numbers of a leaderboard


def test_a_share_stands_behind_its_pair_accuracy() -> None:
    table = leaderboard()
    assert table.rows == (("log-ratio (both models)", "0.780 (100 %)"), ("mm", "0.700 (71 %)"))
    assert any(note.startswith("In brackets: the share of the way from ½") for note in table.notes)


def test_it_stands_before_the_interval_which_is_not_its_own() -> None:
    assert leaderboard(intervals=True).rows[1] == ("mm", "0.700 (71 %) [0.680, 0.720]")


def test_files_have_the_share_in_columns_of_its_own() -> None:
    (cell,) = (cell for cell in leaderboard().tidy if cell["method"] == "mm")
    assert (cell["mean"], cell["share"]) == (0.70, 0.7143)
    assert (cell["share_low"], cell["share_high"]) == (pytest.approx(0.6543), pytest.approx(0.7743))


def test_a_leaderboard_of_another_truth_has_no_share() -> None:
    gold = [record(0.9, "mm", truth="gold")]
    table = leaderboard(truth="gold", records=gold)
    assert table.rows[1] == ("mm", "0.900")
    assert not any("ceiling" in note for note in table.notes)


def test_an_undefined_share_leaves_the_number_alone_and_is_explained() -> None:
    table = leaderboard(comparisons=UNDEFINED)
    assert table.rows[1] == ("mm", "0.700")
    assert table.notes.count("No share of the ceiling on pairs/test: the ceiling is too low.") == 1


def test_a_leaderboard_says_why_a_model_has_no_ceiling_only_where_a_method_may_be_one() -> None:
    chosen = {"toy": "its pairs were chosen"}
    bounded = leaderboard(run=RunFacts(methods=METHODS, unbounded=chosen), comparisons=COMPARISONS[:2])
    assert "toy has no ceiling: its pairs were chosen." in bounded.notes
    plain = leaderboard(run=RunFacts(methods={"mm": METHODS["mm"]}, unbounded=chosen), comparisons=COMPARISONS[:2])
    assert not any("ceiling" in note for note in plain.notes)


@pytest.mark.parametrize(
    ("run", "truth", "told"),
    [(FACTS, "preferred", True), (RunFacts(), "preferred", False), (FACTS, "gold", False)],
)
def test_slices_say_that_no_ceiling_bounds_what_a_method_chose(run: RunFacts, truth: str, *, told: bool) -> None:
    layout = Leaderboard.named("table1", data=("pairs/test",), truth=truth, metrics=(PAIR_ACCURACY,))
    chosen = [record(0.6, "mm", slice="misranked:mm", truth=truth)]
    (table,) = Slices.named("slices").tables(material(layout, records=chosen, run=run))
    assert ("mm", "0.600") in table.rows
    assert any(note.endswith("a slice is chosen by a method.") for note in table.notes) == told
