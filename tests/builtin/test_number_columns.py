"""Truths that are numbers in a file: of both sides of a pair, of each text of a test set."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from jsonschema import Draft202012Validator

from fairl_bench.builtin.sources.hub_dataset import HubDataset
from fairl_bench.errors import DataError, SuiteError
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.pairs.judged import judged_pairs
from fairl_bench.pipeline import Finished
from fairl_bench.results.results import read_results
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.schema import json_schema
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.records import Record

Rows = Iterable[Mapping[str, Any]]
BOTH = {"preferred": "up", "rejected": "down"}
# a row: the numbers of the preferred and of the rejected text
NUMBERS = [(3, 1.5), (-2.25, 7), (0, None), (None, None), (1e-3, 1e8)]


def jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def csv(path: Path, rows: Rows) -> Path:
    found = [{name: "" if value is None else value for name, value in row.items()} for row in rows]
    lines = [",".join(found[0]), *(",".join(map(str, row.values())) for row in found)]
    path.write_text("\n".join(lines) + "\n")
    return path


def rows(numbers: Iterable[tuple[Any, Any]] = NUMBERS) -> list[dict[str, Any]]:
    return [{"chosen": f"kind {i}", "rejected": f"rude {i}", "up": u, "down": d} for i, (u, d) in enumerate(numbers)]


def source(path: Path, **gold: Any) -> Source:
    use = {".jsonl": "jsonl", ".csv": "csv"}[path.suffix]
    return Registry().build(Source, {"use": use, "path": str(path), "gold": {**BOTH, **gold}})


def gold(source: Source) -> Truth:
    return judged_pairs(source, 0, {})[0].truths[GOLD]


def texts(path: Path, numbers: Iterable[Any], **fields: Any) -> Examples:
    jsonl(path, [{"text": f"text {i}", "score": number} for i, number in enumerate(numbers)])
    given = {"use": "jsonl-texts", "path": str(path), **fields}
    return Registry().build(TestSet, {"gold": {"value": "score"}, **given}).examples(np.random.default_rng(0))


# --- pairs


@pytest.mark.parametrize("write", [jsonl, csv])
def test_both_sides_of_a_pair_get_their_number_and_no_label(write: Callable[..., Path], tmp_path: Path) -> None:
    value, label = gold(source(write(tmp_path / f"p.{write.__name__}", rows())))
    np.testing.assert_array_equal(value.reshape(-1, 2), np.array(NUMBERS, np.float64))
    assert not label.any()


@pytest.mark.parametrize("write", [jsonl, csv])
def test_a_hub_copy_tells_the_same_numbers(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(tmp_path / f"p.{write.__name__}", rows())
    spec = {"use": "hub-dataset", "dataset": "some/one", "local": str(path), "gold": BOTH}
    copy = Registry().build(Source, spec)
    assert isinstance(copy, HubDataset)
    np.testing.assert_array_equal(gold(copy).value, gold(source(path)).value)


def test_a_parquet_copy_tells_the_same_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows()), tmp_path / "p.parquet")
    spec = {"use": "hub-dataset", "dataset": "some/one", "local": str(tmp_path / "p.parquet"), "gold": BOTH}
    found = gold(Registry().build(Source, spec)).value
    np.testing.assert_array_equal(found, gold(source(jsonl(tmp_path / "p.jsonl", rows()))).value)


def test_dialogues_keep_the_numbers_of_their_sides(tmp_path: Path) -> None:
    start = "\n\nHuman: Hi\n\nAssistant:"
    talks = [{"chosen": f"{start} yes {i}", "rejected": f"{start} no {i}", "up": i, "down": -i} for i in range(3)]
    path = jsonl(tmp_path / "p.jsonl", talks)
    spec = {"use": "hub-dataset", "dataset": "a/b", "local": str(path), "layout": "transcripts", "gold": BOTH}
    assert gold(Registry().build(Source, spec)).value.tolist() == [0, 0, 1, -1, 2, -2]


def test_where_lower_is_better_the_truth_is_the_negative(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "p.jsonl", rows())
    higher, lower = gold(source(path)), gold(source(path, lower_is_better=True))
    np.testing.assert_array_equal(lower.value, -higher.value)


@pytest.mark.parametrize(("lower", "sides"), [(False, [1, -1, -1, 1, -1, 0]), (True, [-1, 1, 1, -1, 1, 0])])
def test_labels_lie_above_and_below_the_line_in_the_files_own_numbers(
    lower: bool, sides: list[int], tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "p.jsonl", rows([(0.6, 0.5), (0.4, 1), (0, None)]))
    found = gold(source(path, lower_is_better=lower, label_above=0.5))
    assert found.label.tolist() == sides  # 0.5 itself is not above
    assert (np.isnan(found.value) == (found.label == 0)).all()


def test_a_dropped_pair_takes_its_numbers_along(tmp_path: Path) -> None:
    given = rows([(1, 2), (3, 4), (5, 6)])
    given[1]["rejected"] = given[1]["chosen"]
    path = jsonl(tmp_path / "p.jsonl", given)
    spec = {"use": "jsonl", "path": str(path), "gold": BOTH, "identical": "drop", "flip": 1.0}
    assert gold(Registry().build(Source, spec)).value.tolist() == [1, 2, 5, 6]


def test_a_number_within_an_object_is_named_by_its_path(tmp_path: Path) -> None:
    nested = [{**row, "scores": {"model a": {"toxicity": i / 4}}} for i, row in enumerate(rows())]
    nested[2]["scores"] = None
    path = jsonl(tmp_path / "p.jsonl", nested)
    found = gold(source(path, rejected="scores.model a.toxicity"))
    assert [None if math.isnan(v) else v for v in found.value[1::2].tolist()] == [0, 0.25, None, 0.75, 1]
    with pytest.raises(
        DataError, match=r"p.jsonl:1: no column 'scores.model b.toxicity'; did you mean 'scores.model a'"
    ):
        gold(source(path, rejected="scores.model b.toxicity"))


def test_a_column_whose_own_name_has_a_dot_comes_first(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "p.jsonl", [{**rows()[0], "a.b": 4, "a": {"b": 5}}])
    assert gold(source(path, preferred="a.b")).value.tolist() == [4, 1.5]


@pytest.mark.parametrize(
    ("value", "shown"), [("0.5", "'0.5'"), (True, "True"), ([1], r"\[1\]"), ({"a": 1}, "{'a': 1}"), ("", "''")]
)
def test_what_is_no_number_in_json_is_refused_at_its_row(value: Any, shown: str, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "p.jsonl", rows([(1, 2), (3, value)]))
    needs = "needs a finite number, or null where it is not known"
    with pytest.raises(DataError, match=f"{path}:2: column 'down' {needs}, got {shown}"):
        gold(source(path))


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e999", "1_000", "NA", "null", "high", "٣"])
def test_what_is_no_number_in_csv_is_refused_at_its_row(value: str, tmp_path: Path) -> None:
    path = csv(tmp_path / "p.csv", rows([(1, 2), (value, 3)]))
    needs = "needs a finite number, or an empty cell where it is not known"
    with pytest.raises(DataError, match=f"{path}:3: column 'up' {needs}, got '{value}'"):
        gold(source(path))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_in_parquet_is_refused_at_its_row(value: float, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows([(1.0, 2.0), (3.0, value)])), tmp_path / "p.parquet")
    spec = {"use": "hub-dataset", "dataset": "a/b", "local": str(tmp_path / "p.parquet"), "gold": BOTH}
    with pytest.raises(DataError, match=f"row 1: column 'down' needs a finite number, .* got {value}"):
        Registry().build(Source, spec).check()


def test_a_whole_number_too_large_for_a_float_is_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "p.jsonl", rows([(1, 10**400)]))
    with pytest.raises(DataError, match=r"p\.jsonl:1: column 'down' needs a finite number"):
        gold(source(path))


def test_columns_of_null_alone_are_refused_when_the_whole_file_is_read(tmp_path: Path) -> None:
    empty = rows([(None, None)] * 1500)
    late = source(jsonl(tmp_path / "late.jsonl", [*empty, *rows([(1, 2)])]))
    late.check()  # of the first rows, which settle nothing
    assert np.isfinite(gold(late).value).sum() == 2
    with pytest.raises(DataError, match=r"column 'up' and 'down' has only null, .* none of 1,500 rows; fill it"):
        gold(source(jsonl(tmp_path / "empty.jsonl", empty)))


# --- test sets


def test_each_text_gets_its_number(tmp_path: Path) -> None:
    value, label = texts(tmp_path / "t.jsonl", [0.5, 2, None, -1]).truths[GOLD]
    np.testing.assert_array_equal(value, [0.5, 2, math.nan, -1])
    assert not label.any()


def test_texts_can_be_chosen_by_labels_made_of_numbers_and_not_by_numbers(tmp_path: Path) -> None:
    toxic = {"value": "score", "lower_is_better": True, "label_above": 0.5}
    found = texts(tmp_path / "t.jsonl", [0.1, 0.2, 0.9, 0.3, 0.7], gold=toxic, each=2)
    assert found.truths[GOLD].label.tolist() == [1, 1, -1, -1]
    with pytest.raises(ValueError, match="chooses by label, and 'gold' has only numbers: give it a 'label_above'"):
        texts(tmp_path / "t.jsonl", [1, 2], each=1)


def test_a_check_reads_every_number_that_it_reads_labels_of(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "t.jsonl", [{"text": f"text {i}", "score": i} for i in range(3000)])
    with path.open("a") as file:
        file.write('{"text": "last", "score": "none"}\n')
    testset = Registry().build(TestSet, {"use": "jsonl-texts", "path": str(path), "gold": {"value": "score"}})
    with pytest.raises(DataError, match=r"t\.jsonl:3001: column 'score' needs a finite number"):
        testset.check()


# --- suites


@pytest.fixture
def numeric(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A suite whose pairs and test set know numbers: a text's number of vowels."""

    def vowels(text: str) -> int:
        return sum(map(text.count, "aeiou"))

    rng, letters = np.random.default_rng(0), np.array([*"abcdefgh "])
    drawn = ["".join(rng.choice(letters, 12)).strip() + f" x{i}" for i in range(200)]
    both = [sorted(two, key=vowels) for two in zip(drawn[::2], drawn[1::2], strict=True)]
    told = [
        {"chosen": good, "rejected": bad, "up": vowels(good) if i % 5 else None, "down": vowels(bad)}
        for i, (bad, good) in enumerate(both)
    ]
    jsonl(tmp_path / "p.jsonl", told)
    jsonl(tmp_path / "t.jsonl", [{"text": text, "score": -vowels(text)} for text in drawn[:60]])
    tiny["models"] = [{"name": "toy", "use": "jsonl", "path": "p.jsonl", "gold": BOTH}]
    score = {"value": "score", "lower_is_better": True}
    tiny["testsets"] = {
        "plain": {"use": "jsonl-texts", "path": "t.jsonl", "gold": score},
        "labelled": {"use": "jsonl-texts", "path": "t.jsonl", "gold": {**score, "label_above": -4}},
    }
    data = ["pairs/test", "plain", "labelled"]
    tiny["methods"] = [{"name": "max-entropy", "use": "max-entropy"}]
    tiny["evaluate"] = [
        {"use": "classification", "data": ["pairs/test"]},
        {"use": "classification", "data": data, "label": "gold", "threshold": {"data": "labelled", "label": "gold"}},
        {"use": "fidelity", "data": data},
    ]
    tiny["report"] = {"table1": {"data": data, "truth": "gold", "metrics": ["auc", "starc", "epic", "spearman"]}}
    return tiny


def test_a_suite_measures_against_numbers_without_a_plugin(
    numeric: dict[str, Any], run_suite: Callable[..., Finished]
) -> None:
    finished = run_suite(numeric)
    folder = read_results(finished.folder)
    of: dict[tuple[str, str, str], Record] = {
        (r.data, r.truth, r.metric): r for r in folder.single_records if r.seed == 0
    }
    for data in ("pairs/test", "plain", "labelled"):
        assert all(math.isfinite(of[data, "gold", metric].value) for metric in ("starc", "epic", "spearman"))
    assert math.isfinite(of["pairs/test", "preferred", "pair_accuracy"].value)
    assert math.isfinite(of["labelled", "gold", "auc"].value)
    for data in ("pairs/test", "plain"):
        assert of[data, "gold", "auc"].note == "no label of the truth 'gold' is known"
    assert of["labelled", "gold", "starc"].value == of["plain", "gold", "starc"].value
    ((known, whole, of_values),) = folder.known["pairs/test", "gold"]
    assert of_values
    assert known < whole == of["pairs/test", "gold", "starc"].n + whole - known
    shown = "\n".join(note for table in finished.tables for note in table.notes)
    assert f"pairs/test: {known} of {whole} values of the truth 'gold' are known" in shown
    assert "plain auc: no label of the truth 'gold' is known." in shown


def test_a_method_that_learns_from_labels_is_refused_numbers_alone(
    numeric: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    fa = {"name": "fa", "use": "failure-aware", "base": {"use": "max-entropy"}, "detector": {"use": "supervised"}}
    numeric["methods"].append(fa)
    lack = "methods: 'fa' asks for the labels of the truth 'gold': model 'toy' has only numbers; give its 'gold' a"
    with pytest.raises(SuiteError, match=lack):
        read_study(write_suite(numeric))
    numeric["models"][0]["gold"] = {**BOTH, "label_above": 3}
    assert read_study(write_suite(numeric))


def test_pairs_are_not_selected_by_numbers_alone(numeric: dict[str, Any], write_suite: Callable[..., Path]) -> None:
    of = {key: value for key, value in numeric["models"][0].items() if key != "name"}
    numeric["models"] = [{"name": "some", "use": "select", "of": of, "keep": ["bad-to-good"]}]
    with pytest.raises(SuiteError, match="chooses by label, and the 'gold' of its pairs has only numbers"):
        read_study(write_suite(numeric))


WRONG = [
    ({"preferred": "up"}, "gold: 'rejected' is missing"),
    ({**BOTH, "label_abov": 1}, "unknown field 'label_abov'; did you mean 'label_above'"),
    ({**BOTH, "label_above": "x"}, "gold.label_above: needs a number, got 'x'"),
    ({**BOTH, "lower_is_better": 1}, "gold.lower_is_better: needs true or false, got 1"),
    ({}, "names no judge: add 'use: NAME'"),
    ({"use": "toy-trut"}, "judge 'toy-trut' is unknown; did you mean 'toy-truth'"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG)
def test_a_mistake_in_a_gold_of_pairs_is_told_in_a_sentence(
    wrong: dict[str, Any], said: str, numeric: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    numeric["models"][0]["gold"] = wrong
    with pytest.raises(SuiteError, match=said) as caught:
        read_study(write_suite(numeric))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lower_is_better": True}, "gold: 'value' is missing"),
        ({"value": "score", "column": "score"}, "unknown field 'column'; known: 'label_above'"),
        ({"colum": "score", "good": 0}, "unknown field 'colum'; did you mean 'column'"),
        ({"column": "score"}, "gold: 'good' is missing"),
    ],
)
def test_a_mistake_in_a_gold_of_texts_is_told_in_a_sentence(
    wrong: dict[str, Any], said: str, numeric: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    numeric["testsets"]["plain"]["gold"] = wrong
    with pytest.raises(SuiteError, match=said):
        read_study(write_suite(numeric))


def test_the_schema_knows_both_kinds_of_gold(numeric: dict[str, Any]) -> None:
    validator = Draft202012Validator(json_schema(Registry()))
    assert not list(validator.iter_errors(numeric))
    numeric["models"][0]["gold"] = {"use": "toy-truth"}
    assert not list(validator.iter_errors(numeric))
    for wrong in ({"preferred": "up"}, {**BOTH, "use": "toy-truth"}, {**BOTH, "value": "up"}):
        numeric["models"][0]["gold"] = wrong
        assert list(validator.iter_errors(numeric)), wrong


def test_the_command_line_shows_what_a_gold_may_be(cli: Callable[..., Result]) -> None:
    for part in ("jsonl", "csv", "hub-dataset"):
        (line,) = (one for one in cli("show", part).stdout.splitlines() if one.startswith("gold "))
        assert "judge or {" in line
        assert "preferred, rejected" in line
