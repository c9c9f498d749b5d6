from __future__ import annotations

import csv
import io
import math
import re
import statistics
from typing import Any

import pytest

from fairl_bench.engine.suite import Table1
from fairl_bench.records import Record
from fairl_bench.tables import Runs, Table, as_csv, as_latex, as_markdown, as_text, table1

LAYOUT = Table1(data=("pairs/test",), metrics=("auc",))
ROW = ("toy", "minilm", "mm", "")


def record(value: float, seed: int | None = 0, **changed: Any) -> Record:
    plain: dict[str, Any] = {
        **dict.fromkeys(["variant", "other", "note", "stage"], ""),
        **{"suite": "s", "model": "toy", "encoder": "minilm", "head": "mlp", "method": "mm", "replicate": 0},
        **{"dataset": "pairs", "split": "test", "slice": "all", "truth": "gold", "metric": "auc", "n": 10},
    }
    return Record(**{**plain, "value": value, "seed": seed, **changed})


def cell(records: list[Record], runs: int | None = None, layout: Table1 = LAYOUT) -> str:
    return table1(records, layout, {ROW: Runs(len(records) if runs is None else runs)}).rows[0][1]


def notes(records: list[Record], runs: int, failed: int = 0, unit: str = "runs") -> str:
    return "\n".join(table1(records, LAYOUT, {ROW: Runs(runs, failed, unit)}).notes)


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
    layout = Table1(data=("pairs/test", "x"), truth={"pairs": "preferred", "x": "gold"}, metrics=("auc",))
    records = [
        record(0.1, truth="gold"),
        record(0.2, truth="preferred"),
        record(0.3, dataset="x", split=""),
        record(0.4, dataset="x", split="", truth="preferred"),
    ]
    table = table1(records, layout, {ROW: Runs(1)})
    assert table.rows == (("mm", "0.200", "0.300"),)
    assert table.notes[0] == "Truth: pairs/test against 'preferred', x against 'gold'."


def test_rows_come_in_the_order_of_the_runs_and_name_what_differs() -> None:
    runs = {("toy", "b", "mm", ""): Runs(1), ("toy", "a", "mm", ""): Runs(1)}
    table = table1([record(0.1, encoder="a"), record(0.2, encoder="b")], LAYOUT, runs)
    assert table.rows == (("b", "mm", "0.200"), ("a", "mm", "0.100"))
    assert table.heads == (("", "encoder"), ("", "method"), ("pairs/test", "AUC ↑"))


def test_an_arrow_says_which_way_is_better() -> None:
    layout = Table1(data=("x",), metrics=("starc", "auc", "accuracy", "confidence_gap"))
    heads = [head[1] for head in table1([], layout, {ROW: Runs(1)}).heads]
    assert heads == ["method", "STARC ↓", "AUC ↑", "accuracy ↑", "confidence gap"]


def test_every_arrow_is_of_a_metric_that_an_evaluator_can_give() -> None:
    from fairl_bench.tables import ARROWS

    assert set(ARROWS.values()) == {"↑", "↓"}


# --- as text


HOSTILE = Table(
    "Table 1",
    (("", "method"), ("a|b", "x_y ↑"), ("50%", "$n$")),
    (("=cmd()", "0.5 ± 0.1", "-0.250 ± 0.010"), ("a|b", "n/a", "-0.250")),
    ("One | note.\nTwo lines.",),
)


def test_the_terminal_shows_title_heads_rows_and_notes() -> None:
    text = as_text(HOSTILE)
    for part in ("Table 1", "method", "a|b", "0.5 ± 0.1", "n/a", "One | note."):
        assert part in text


def test_data_stands_once_above_its_metrics() -> None:
    table = Table("T", (("", "m"), ("x", "a"), ("x", "b"), ("y", "a")), (("1", "2", "3", "4"),), ())
    top = as_text(table).splitlines()[2]
    assert top.split() == ["x", "y"]


def test_a_pipe_ends_no_cell_in_markdown() -> None:
    lines = as_markdown(HOSTILE).splitlines()
    grid = [line for line in lines if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in grid] == [4, 4, 4, 4]


def test_no_cell_starts_a_formula_in_csv() -> None:
    table = Table("T", (("", "m"),), tuple((cell,) for cell in ("=1+1", "+1+1", "-1+1", "@a", "\tx")), ())
    rows = list(csv.reader(io.StringIO(as_csv(table), newline="")))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+1+1", "'-1+1", "'@a", "'\tx"]


def test_a_negative_number_is_a_number_in_csv() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(HOSTILE))))
    assert rows[0] == ["method", "a|b x_y ↑", "50% $n$"]
    assert rows[2] == ["a|b", "n/a", "-0.250"]
    assert rows[1][2] == "-0.250 ± 0.010"
    assert rows[1][0] == "'=cmd()"


def test_latex_escapes_what_means_something_to_it() -> None:
    table = Table("T", (("", "m_1"), ("a&b", "50% ↑")), (("x#y", "1 ± 2"), ("$a$ {b} ~^\\", "")), ())
    text = as_latex(table)
    assert r"m\_1" in text
    assert r"a\&b 50\% $\uparrow$" in text
    assert r"x\#y" in text
    assert r"1 $\pm$ 2" in text
    assert r"\$a\$ \{b\} \textasciitilde{}\textasciicircum{}\textbackslash{}" in text


def test_latex_is_a_booktabs_tabular() -> None:
    text = as_latex(HOSTILE)
    rules = [line for line in text.splitlines() if "rule" in line or "tabular" in line]
    assert [rule.split("{")[0] for rule in rules] == ["\\begin", "\\toprule", "\\midrule", "\\bottomrule", "\\end"]
    assert text.count("\\\\") == 3


def test_a_note_of_two_lines_stays_a_comment_in_latex() -> None:
    head = as_latex(HOSTILE).partition("\\begin")[0].splitlines()
    assert head == ["% One | note.", "% Two lines."]
