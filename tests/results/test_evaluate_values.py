"""Anybody's scores against numbers: values without labels, the class of F1, constants, offsets, and what is n/a."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score

from fairl_bench.errors import DataError
from fairl_bench.results.evaluate import evaluate
from fairl_bench.science import agreement, classification, starc
from fairl_bench.values.table import Table

N = 60
RNG = np.random.default_rng(0)
PROMPT = np.arange(N) % 12
LABEL = np.where(RNG.random(N) < 0.4, 1, -1)
VALUE = LABEL + RNG.normal(size=N)
REWARD = VALUE + RNG.normal(size=N)


def write(path: Path, **columns: Iterable[object]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def tables_of(scores: Path, truth: Path | None = None, **options: Any) -> dict[str, Table]:
    scored = evaluate(scores, truth, **options)
    return scored.tables


def found(table: Table) -> Mapping[str, float]:
    """The numbers of a table of one row, by metric."""
    return {str(row["metric"]): float(row["mean"] or 0) for row in table.tidy}


def why(table: Table, metric: str) -> str:
    (note,) = (note for note in table.notes if f" {metric}: " in note)
    return note.partition(f"{metric}: ")[2]


# --- values


def test_values_without_labels_give_what_compares_rewards_and_say_why_the_rest_is_not_there(tmp_path: Path) -> None:
    table = tables_of(write(tmp_path / "s.csv", reward=REWARD, value=VALUE, prompt=PROMPT))["table1"]
    said = found(table)
    assert said["starc"] == starc.starc(REWARD, VALUE)
    assert said["starc_per_prompt"] == starc.starc_per_prompt(REWARD, VALUE, PROMPT)
    assert said["epic"] == agreement.epic(REWARD, VALUE)
    assert said["spearman"] == pytest.approx(stats.spearmanr(REWARD, VALUE).statistic, abs=1e-12)
    for metric in ("accuracy", "f1", "auc"):
        assert math.isnan(said[metric])
        assert why(table, metric) == "no label of the truth 'gold' is known."
    assert not any("threshold" in note or "F1 is of" in note for note in table.notes)


def test_values_of_another_file_are_a_truth_too(tmp_path: Path) -> None:
    scores = write(tmp_path / "s.csv", example=range(N), reward=REWARD)
    truths = write(tmp_path / "t.csv", example=range(N), value=VALUE)
    assert found(tables_of(scores, truths)["table1"])["starc"] == starc.starc(REWARD, VALUE)


def test_an_empty_value_is_unknown_and_counted(tmp_path: Path) -> None:
    told = np.arange(N) % 4 > 0
    value = [repr(float(v)) if on else "" for v, on in zip(VALUE, told, strict=True)]
    table = tables_of(write(tmp_path / "s.csv", reward=REWARD, value=value))["table1"]
    assert found(table)["starc"] == starc.starc(REWARD[told], VALUE[told])
    assert table.heads[1][0] == "texts (45 of 60 known)"
    assert "texts: 45 of 60 values of the truth 'gold' are known; its numbers are of these alone." in table.notes


def test_a_label_is_no_number_beside_numbers(tmp_path: Path) -> None:
    told = np.arange(N) % 3 > 0
    value = [repr(float(v)) if on else "" for v, on in zip(VALUE, told, strict=True)]
    said = found(tables_of(write(tmp_path / "s.csv", reward=REWARD, label=LABEL, value=value))["table1"])
    assert said["auc"] == classification.auc(REWARD, LABEL)
    assert said["starc"] == starc.starc(REWARD[told], VALUE[told])


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "high", "1_0", "٣"])
def test_a_value_that_is_no_number_is_refused_at_its_line(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", reward=[1, 2, 3], value=["0.5", "", text])
    with pytest.raises(DataError, match=f"{path}:4: 'value' needs a finite number, got '{text}'"):
        tables_of(path)


def test_without_a_label_and_a_value_both_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"add a column 'label' \(1 good, -1 not\) or 'value' \(the true reward\)"):
        tables_of(write(tmp_path / "s.csv", reward=REWARD))


# --- pairs


def in_pairs(path: Path, value: np.ndarray | None) -> Path:
    columns: dict[str, Any] = {
        "reward": REWARD,
        "pair": np.arange(N) // 2,
        "role": ["preferred", "rejected"] * (N // 2),
    }
    return write(path, **columns, **({} if value is None else {"value": value}))


def test_pair_accuracy_is_that_of_the_preferences_where_nothing_else_is_known(tmp_path: Path) -> None:
    margin = REWARD[::2] - REWARD[1::2]
    said = found(tables_of(in_pairs(tmp_path / "s.csv", None))["table1"])
    assert said["pair_accuracy"] == classification.pair_accuracy(margin)


def test_pair_accuracy_against_values_is_of_the_pairs_that_they_order(tmp_path: Path) -> None:
    value = np.round(VALUE)
    gap, margin = value[::2] - value[1::2], REWARD[::2] - REWARD[1::2]
    assert (gap == 0).any()
    right = [m * g > 0 for m, g in zip(margin, gap, strict=True) if g]
    done = evaluate(in_pairs(tmp_path / "s.csv", value))
    (one,) = (row for row in done.records if row.metric == "pair_accuracy")
    assert (one.truth, one.value, one.n) == ("gold", pytest.approx(np.mean(right)), len(right))
    (own,) = (row for row in done.comparisons if row.metric == "pair_accuracy")
    assert own.low < one.value < own.high  # its examples can be resampled


def test_pairs_that_the_truth_does_not_order_have_no_accuracy(tmp_path: Path) -> None:
    table = tables_of(in_pairs(tmp_path / "s.csv", np.repeat(VALUE[::2], 2)))["table1"]
    assert why(table, "pair_accuracy") == "the truth orders none of 30 pairs."


def test_without_prompts_and_pairs_the_table_says_so(tmp_path: Path) -> None:
    table = tables_of(write(tmp_path / "s.csv", reward=REWARD, label=LABEL))["table1"]
    assert why(table, "starc_per_prompt") == "the data has no prompts."
    assert why(table, "pair_accuracy") == "the data has no pairs."


def test_what_no_method_has_is_said_once(tmp_path: Path) -> None:
    columns = {"example": [*range(N)] * 2, "method": ["a"] * N + ["b"] * N, "label": [*LABEL] * 2}
    table = tables_of(write(tmp_path / "s.csv", **columns, reward=[*REWARD, *VALUE]))["table1"]
    assert [note for note in table.notes if "pair_accuracy" in note] == ["texts pair_accuracy: the data has no pairs."]


def test_of_one_run_a_method_nothing_is_marked_that_has_no_test(tmp_path: Path) -> None:
    columns = {"example": [*range(N)] * 2, "method": ["a"] * N + ["b"] * N, "value": [*VALUE] * 2}
    table = tables_of(write(tmp_path / "s.csv", **columns, reward=[*REWARD, *RNG.normal(size=N)]))["table1"]
    at = [head[1].partition(" ")[0] for head in table.heads]
    assert "¹" in table.rows[0][at.index("EPIC")]
    assert "¹" not in "".join(row[at.index("spearman")] for row in table.rows)
    assert "Nothing is marked in spearman: with one run of each method there is no test of it." in table.notes


# --- the class of F1


@pytest.mark.parametrize(("positive", "side"), [("good", 1), ("bad", -1)])
def test_f1_is_of_the_class_that_is_asked_for_and_the_table_says_which(
    positive: Any, side: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "s.csv", reward=REWARD, label=LABEL)
    table = tables_of(path, threshold=0.25, positive=positive)["table1"]
    expected = f1_score(LABEL, np.where(REWARD > 0.25, 1, -1), pos_label=side)
    assert found(table)["f1"] == pytest.approx(expected, abs=1e-12)
    precision = average_precision_score(np.equal(LABEL, side), side * np.array(REWARD))
    assert found(table)["average_precision"] == pytest.approx(precision, abs=1e-12)
    other = {"good": "bad", "bad": "good"}[positive]
    assert (
        f"F1 and average precision are of the {positive} texts; --positive {other} gives that of the {other} ones."
        in table.notes
    )
    (own,) = (one for one in evaluate(path, threshold=0.25, positive=positive).comparisons if one.metric == "f1")
    assert own.low < expected < own.high


def test_the_command_line_says_of_which_class_f1_is(tmp_path: Path, cli: Callable[..., Result]) -> None:
    write(tmp_path / "s.csv", predicted=[1, 1, 0, 0, 0], label=[1, 0, 0, 0, 1])
    assert " 0.500 " in cli("evaluate", "s.csv").stdout.replace("\n", " ")
    bad = cli("evaluate", "s.csv", "--positive", "bad").stdout
    assert "0.667" in bad
    assert "F1 is of the bad texts" in bad
    assert cli("evaluate", "s.csv", "--positive", "toxic").exit_code == 2


def test_a_published_f1_of_the_bad_class_is_compared_with_one(tmp_path: Path, cli: Callable[..., Result]) -> None:
    write(tmp_path / "s.csv", predicted=[1, 1, 0, 0, 0], label=[1, 0, 0, 0, 1])
    number = "{id: n, value: 0.667, metric: f1, method: s, data: texts, truth: gold, source: {table: t, row: r}}"
    margins = "margins: {f1: {kind: exact, within: 0.001, why: rounding}}"
    (tmp_path / "p.yaml").write_text(f"name: p\ntitle: A test\n{margins}\nnumbers: [{number}]\n")
    command = ("regress", "s.csv", "--against", "p.yaml")
    ran = [cli(*command, "--positive", one) for one in ("bad", "good")]
    assert [one.exit_code for one in ran] == [0, 1], ran[0].output


# --- constants


@pytest.mark.parametrize("label", [LABEL, np.ones(N, int)])
def test_a_constant_reward_is_one_away_whatever_the_labels_are(label: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", reward=[3] * N, label=label, value=VALUE, prompt=PROMPT)
    table = tables_of(path)["table1"]
    assert (found(table)["starc"], found(table)["starc_per_prompt"]) == pytest.approx((1, 1))
    assert why(table, "spearman").startswith("a rank correlation needs a reward that varies")


@pytest.mark.parametrize("reward", [np.full(N, 3.0), REWARD])
@pytest.mark.parametrize("truth", [{"label": np.ones(N, int)}, {"value": np.full(N, 0.7)}])
def test_from_a_constant_truth_nothing_has_a_distance(
    truth: dict[str, np.ndarray], reward: np.ndarray, tmp_path: Path
) -> None:
    table = tables_of(write(tmp_path / "s.csv", reward=reward, **truth))["table1"]
    assert math.isnan(found(table)["starc"])
    assert why(table, "starc").startswith("STARC needs a truth that varies, got 60 values equal to ")


# --- offsets


@pytest.mark.parametrize("offset", [1e4, -1e6, 1e8])
@pytest.mark.parametrize("written", [repr, "{:.17g}".format, "{:.9f}".format])
def test_a_large_offset_changes_no_number(offset: float, written: Callable[[float], str], tmp_path: Path) -> None:
    columns: dict[str, Any] = {"label": LABEL, "value": VALUE, "prompt": PROMPT, "pair": np.arange(N) // 2}
    columns["role"] = ["preferred", "rejected"] * (N // 2)
    near = evaluate(write(tmp_path / "near.csv", **columns, reward=REWARD))
    moved = [written(float(offset + 0.01 * reward)) for reward in REWARD]
    far = evaluate(write(tmp_path / "far.csv", **columns, reward=moved))
    for one, other in zip(near.records, far.records, strict=True):
        if one.metric != "threshold":
            assert other.value == pytest.approx(one.value, abs=1e-5), one.metric
    for own, moved_own in zip(near.comparisons, far.comparisons, strict=True):
        assert (moved_own.low, moved_own.high) == pytest.approx((own.low, own.high), abs=1e-4, nan_ok=True)


def test_a_threshold_is_said_with_all_its_digits(tmp_path: Path) -> None:
    table = tables_of(write(tmp_path / "s.csv", reward=1e8 + REWARD, label=LABEL), threshold=100000000.25)["table1"]
    assert "A text is called good above 100000000.25." in table.notes
