"""What a value of a column of labels means is declared; whatever else is there is refused, with the values found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairl_bench.builtin.shared import label_columns
from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.shared.label_columns import GoldColumn, SubtypeColumn
from fairl_bench.builtin.testsets import JsonlTexts
from fairl_bench.errors import DataError
from fairl_bench.values.data import GOLD


def rows(values: list[Any]) -> list[Row]:
    return [Row(f"a.jsonl:{i}", {"toxic": value}) for i, value in enumerate(values, 1)]


def gold(values: list[Any], good: Any, **fields: Any) -> list[int]:
    return GoldColumn(column="toxic", good=good, **fields).labels(rows(values)).tolist()


# --- two values: the other one is bad

scalars = st.one_of(st.integers(-3, 3), st.booleans(), st.text("abc ", min_size=1, max_size=3))


def kind(value: Any) -> type:
    return type(value)


@given(st.lists(st.none() | scalars, max_size=12), scalars)
def test_labels_are_what_was_declared_or_are_refused(values: list[Any], good: Any) -> None:
    told = {(kind(value), value) for value in values if value is not None}
    other = told - {(kind(good), good)}
    sound = other < told and len(other) <= 1
    sound &= all(of is kind(good) and str(value).strip() not in ("", "-") for of, value in other)
    if sound:
        expected = [0 if v is None else 1 if (kind(v), v) == (kind(good), good) else -1 for v in values]
        assert gold(values, good) == expected
    elif values:
        with pytest.raises(DataError, match="column 'toxic' has "):
            gold(values, good)


@given(
    st.lists(st.none() | scalars, min_size=1, max_size=12),
    st.dictionaries(scalars, st.sampled_from(["good", "bad", "unknown"]), max_size=8),
)
def test_where_all_is_named_nothing_is_guessed(values: list[Any], named: dict[Any, str]) -> None:
    # a dict takes true for 1, as a careless reader would: the first of them alone is named here
    keys = {(kind(value), value): what for value, what in named.items()}
    sides = {what: tuple(v for v, w in named.items() if w == what) for what in ("good", "bad", "unknown")}
    if not sides["good"] or not sides["bad"]:
        return
    code = {"good": 1, "bad": -1, "unknown": 0}
    expected = [0 if v is None else code.get(keys.get((kind(v), v), ""), 9) for v in values]
    if 9 in expected or not any(expected):
        with pytest.raises(DataError, match="column 'toxic' has "):
            gold(values, **sides)
    else:
        assert gold(values, **sides) == expected


@pytest.mark.parametrize(
    ("values", "good", "complaint"),
    [
        (["0", "1"], 0, 'has "0" (1×), "1" (1×), and never what is said to be good, 0;'),
        ([True, False], 0, "has true (1×), false (1×), and never what is said to be good, 0;"),
        ([1, -1, 1], 0, "has 1 (2×), -1 (1×), and never what is said to be good, 0;"),
        (["clean ", "toxic"], "clean", 'has "clean " (1×), "toxic" (1×), and never what is said to be good, "clean";'),
        ([1, 1, 1], 0, "has 1 (3×), and never what is said to be good, 0;"),
        ([0, 1, 2], 0, "has 0 (1×), 1 (1×), 2 (1×), and with more than two values 'bad' must be named;"),
        (["0", ""], "0", 'has "0" (1×), "" (1×), and "" need not mean bad;'),
        (["ok", "N/A", "ok"], "ok", 'has "ok" (2×), "N/A" (1×), and "N/A" need not mean bad;'),
        ([0, "0"], 0, 'has 0 (1×), "0" (1×), and "0" need not mean bad;'),
        ([0, 0.5], 0, "has 0 (1×), 0.5 (1×), and 0.5 need not mean bad;"),
        ([None, None], 0, "has only null: the label is known in none of 2 rows; fill the column, or leave 'gold' out"),
    ],
)
def test_what_is_not_declared_is_refused_with_the_values_found(values: list[Any], good: Any, complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        gold(values, good)
    assert f"column 'toxic' {complaint}" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_true_is_not_1_and_1_is_not_its_text() -> None:
    assert gold([True, 1, "1"], True, bad=(1, "1")) == [1, -1, -1]
    assert gold([1.0, 0.0, 1], 0) == [-1, 1, -1]  # but a number is one however it is written


def test_a_column_of_many_values_is_no_column_of_labels() -> None:
    with pytest.raises(DataError, match=r"a.jsonl:51: column 'toxic' has more than 50 different values, such as"):
        gold([f"text {i}" for i in range(60)], "good")


@pytest.mark.parametrize("value", [[0], {"of": 0}])
def test_a_label_is_a_single_value(value: Any) -> None:
    with pytest.raises(DataError, match=r"a.jsonl:1: column 'toxic' needs a label, got "):
        gold([value], 0)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"good": 0, "bad": (1, 0)}, "0 is named good and bad; it can be one of them"),
        ({"good": 0, "unknown": (0.0,)}, "0.0 is named good and unknown"),
        ({"good": ()}, "at least 1 item"),
    ],
)
def test_a_value_means_one_thing(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        GoldColumn(column="toxic", **fields)


# --- subtypes


def subtype(values: list[Any], **fields: Any) -> list[int]:
    return SubtypeColumn(column="toxic", **fields).labels(rows(values)).tolist()


@given(st.lists(st.sampled_from([0, 1, True, False, 1.0, None]), max_size=10))
def test_a_subtype_is_present_or_not(values: list[Any]) -> None:
    if 1 not in values:
        with pytest.raises(DataError, match=r"column 'toxic' has .*: the subtype is present in none of "):
            subtype([*values, 0])
    else:
        assert subtype(values) == [0 if value is None else 1 if value else -1 for value in values]


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=80), st.floats(0, 1))
def test_a_fraction_is_present_from_its_threshold_on(values: list[Any], at_least: float) -> None:
    expected = [0 if value is None else 1 if value >= at_least else -1 for value in values]
    if 1 in expected:
        assert subtype(values, at_least=at_least) == expected
    else:
        with pytest.raises(DataError, match="the subtype is present in none of"):
            subtype(values, at_least=at_least)


@pytest.mark.parametrize(
    ("values", "fields", "complaint"),
    [
        ([0, 0.25], {}, "0.25 is named neither present nor absent nor unknown; for fractions write {column: toxic, at"),
        (["1", "0"], {}, r'"1" is named neither present nor absent nor unknown; write {column: toxic, present: ...'),
        ([0.5, "?"], {"at_least": 0.5}, r"'at_least' needs numbers; name what else there is under 'unknown'"),
        ([0.5, True], {"at_least": 0.5}, "true is named neither present nor absent"),
    ],
)
def test_what_a_subtype_does_not_declare_is_refused(values: list[Any], fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        subtype(values, **fields)
    assert complaint in str(caught.value)


def test_a_subtype_may_have_words_of_its_own_and_another_name(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a", "threat_says": "yes"}\n{"text": "b", "threat_says": "no"}\n')
    threat = SubtypeColumn(column="threat_says", name="threat", present="yes", absent="no")
    found = JsonlTexts(path=str(path), subtypes=(threat,)).examples(np.random.default_rng(0))
    assert found.truths["subtype:threat"].label.tolist() == [1, -1]


def test_two_subtypes_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two subtypes are named 'threat'"):
        JsonlTexts(path="a.jsonl", subtypes=("threat", SubtypeColumn(column="other", name="threat")))


def test_a_threshold_leaves_no_value_to_be_named() -> None:
    with pytest.raises(ValidationError, match="leave 'present' and 'absent' out"):
        SubtypeColumn(column="a", at_least=0.5, present=1)


# --- a check sees more than the first rows


def texts(path: Path, values: list[Any], **fields: Any) -> JsonlTexts:
    path.write_text("".join(json.dumps({"text": f"text {i}", "toxic": v}) + "\n" for i, v in enumerate(values)))
    return JsonlTexts(path=str(path), gold=GoldColumn(column="toxic", good=0), **fields)


def test_a_check_reads_the_labels_of_the_whole_file(tmp_path: Path) -> None:
    part = texts(tmp_path / "a.jsonl", [0, 1] * 1000 + [2])
    with pytest.raises(DataError, match=r"a.jsonl:2001: column 'toxic' has "):
        part.check()
    texts(tmp_path / "b.jsonl", [0, 1] * 1000 + [2], limit=2000).check()


@pytest.mark.parametrize(
    ("values", "settled"), [([1] * 30 + [0], True), ([None] * 30 + [0, 1], True), ([1] * 30, False)]
)
def test_a_check_of_a_long_file_goes_on_while_good_is_not_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any], settled: bool
) -> None:
    monkeypatch.setattr(label_columns, "READ", 10)
    part = texts(tmp_path / "a.jsonl", values)
    if settled:
        part.check()
        assert part.examples(np.random.default_rng(0)).truths[GOLD].label.any()
    else:
        with pytest.raises(DataError, match="never what is said to be good, 0"):
            part.check()


def test_what_a_check_does_not_reach_the_run_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_columns, "READ", 10)
    part = texts(tmp_path / "a.jsonl", [0, 1] * 10 + [2])
    part.check()
    with pytest.raises(DataError, match="with more than two values 'bad' must be named"):
        part.examples(np.random.default_rng(0))
