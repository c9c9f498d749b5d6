from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.judges import ToyTruth
from fairl_bench.builtin.testsets import GoldColumn, JsonlTexts, ToyTexts
from fairl_bench.data import GOLD, Examples
from fairl_bench.errors import DataError
from fairl_bench.toy import truth


def examples(path: Path, rows: list[dict[str, Any]], gold: GoldColumn, **fields: Any) -> Examples:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return JsonlTexts(path=str(path), gold=gold, **fields).examples(np.random.default_rng(0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "texts.jsonl"


@pytest.mark.parametrize(
    ("good", "values"), [(0, [0, 1, None, 2]), ("no", ["no", "yes", None, ""]), (False, [False, True, None, True])]
)
def test_a_label_is_good_where_it_has_the_good_value_and_unknown_where_null(
    path: Path, good: Any, values: list[Any]
) -> None:
    rows = [{"text": f"text {i}", "toxic": value} for i, value in enumerate(values)]
    found = examples(path, rows, GoldColumn(column="toxic", good=good))
    value, label = found.truths[GOLD]
    assert label.tolist() == [1, -1, 0, -1]
    assert label.dtype == np.int8
    np.testing.assert_array_equal(value, [1, -1, np.nan, -1])


def test_texts_outside_pairs_have_no_role_pair_prompt_or_group(path: Path) -> None:
    found = examples(path, [{"text": "a", "toxic": 0}, {"text": "b", "toxic": 1}], GoldColumn(column="toxic", good=0))
    assert found.text == ("a", "b")
    assert found.role.tolist() == [0, 0]
    assert found.pair.tolist() == [-1, -1]
    assert found.prompt == found.group == ("", "")


def test_subtypes_are_present_absent_or_unknown(path: Path) -> None:
    rows = [{"body": "a", "toxic": 1, "threat": 1}, {"body": "b", "toxic": 1, "threat": 0}, {"body": "c", "toxic": 0}]
    rows[2]["threat"] = None  # type: ignore[assignment]
    found = examples(path, rows, GoldColumn(column="toxic", good=0), text="body", subtypes=("threat",))
    assert set(found.truths) == {GOLD, "subtype:threat"}
    assert found.truths["subtype:threat"].label.tolist() == [1, -1, 0]


def test_limit_reads_the_first_texts(path: Path) -> None:
    rows = [{"text": f"text {i}", "toxic": 0} for i in range(5)]
    assert examples(path, rows, GoldColumn(column="toxic", good=0), limit=2).text == ("text 0", "text 1")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"text": "b", "toxik": 0}, ":2: no column 'toxic'; did you mean 'toxik'?"),
        ({"text": "b", "toxic": 0.5}, ":2: column 'toxic' needs a label, got 0.5"),
        ({"text": "b", "toxic": [0]}, ":2: column 'toxic' needs a label, got [0]"),
        ({"text": " ", "toxic": 0}, ":2: column 'text' is empty; remove the row or fill it"),
        ({"test": "b", "toxic": 0}, ":2: no column 'text'; did you mean 'test'?"),
    ],
)
def test_a_bad_row_names_its_line(path: Path, row: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        examples(path, [{"text": "a", "toxic": 0}, row], GoldColumn(column="toxic", good=0))
    assert str(caught.value) == f"{path}{complaint}"


def test_toy_texts_are_judged_by_their_truth() -> None:
    found = ToyTexts(n=40, gold=ToyTruth()).examples(np.random.default_rng(3))
    value, label = found.truths[GOLD]
    assert value.tolist() == [truth.reward(text) for text in found.text]
    assert set(label.tolist()) == {-1, 1}
    assert all(found.prompt)


@pytest.mark.parametrize("toxic", [0.1, 0.6])
def test_toy_texts_are_as_toxic_as_asked(toxic: float) -> None:
    found = ToyTexts(n=600, toxic=toxic, gold=ToyTruth()).examples(np.random.default_rng(0))
    share = (found.truths[GOLD].label == -1).mean()
    # four standard errors, and the few texts that the truth reads otherwise than they were meant
    assert share == pytest.approx(toxic, abs=4 * np.sqrt(toxic * (1 - toxic) / 600) + 0.02)


def test_shift_changes_the_words() -> None:
    def words(shift: float) -> set[str]:
        found = ToyTexts(n=300, shift=shift, gold=ToyTruth()).examples(np.random.default_rng(0))
        return {word for text in found.text for word in text.lower().split()}

    assert len(words(1.0) - words(0.0)) > 50
