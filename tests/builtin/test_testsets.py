from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fairl_bench.builtin.judges.known import ToyTruth
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.prompts import ToyPrompts
from fairl_bench.builtin.shared.label_columns import GoldColumn
from fairl_bench.builtin.testsets import Completed, Joined, JsonlTexts, Judged, ToyTexts
from fairl_bench.errors import DataError
from fairl_bench.kinds.source import TestSet
from fairl_bench.toy import truth
from fairl_bench.toy.grammar import Hard, comments
from fairl_bench.values.data import GOLD, Examples
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import Completions

TOXIC = GoldColumn(column="toxic", good=0)


def examples(path: Path, rows: list[dict[str, Any]], gold: GoldColumn, **fields: Any) -> Examples:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return JsonlTexts(path=str(path), gold=gold, **fields).examples(np.random.default_rng(0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "texts.jsonl"


@pytest.mark.parametrize(
    ("good", "values"), [(0, [0, 1, None, 1]), ("no", ["no", "yes", None, "yes"]), (False, [False, True, None, True])]
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


def test_each_takes_the_first_of_either_label_in_their_order(path: Path) -> None:
    rows = [{"text": f"text {i}", "toxic": label} for i, label in enumerate([1, 1, None, 1, 0, 0, 0])]
    found = examples(path, rows, TOXIC, each=2)
    assert found.text == ("text 0", "text 1", "text 4", "text 5")
    assert found.truths[GOLD].label.tolist() == [-1, -1, 1, 1]
    assert JsonlTexts(path=str(path), gold=TOXIC, each=2).size() == 4
    with pytest.raises(DataError, match="has 2 good texts and 3 that are not; 'each' asks for 3"):
        examples(path, rows, TOXIC, each=3, limit=6)


def test_each_needs_a_label() -> None:
    with pytest.raises(ValidationError, match="chooses by label: name the label under 'gold'"):
        JsonlTexts(path="texts.jsonl", each=3)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"text": "b", "toxik": 0}, ":2: no column 'toxic'; did you mean 'toxik'?"),
        (
            {"text": "b", "toxic": 0.5},
            ":2: column 'toxic' has 0 (1×), 0.5 (1×), and 0.5 need not mean bad; say what each value means under "
            "'good', 'bad' and 'unknown', typed as it stands there",
        ),
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


def test_toy_texts_are_the_comments_of_the_world() -> None:
    part = ToyTexts(n=30, shift=0.3, toxic=0.8, hard=0.7, cases=("quotation",), gold=ToyTruth())
    hard = Hard(0.7, ("quotation",))
    drawn = comments(30, np.random.default_rng(5), shift=0.3, toxic=0.8, hard=hard)
    found = part.examples(np.random.default_rng(5))
    assert found.text == tuple(one.text for one in drawn)
    assert found.prompt == tuple(one.prompt.text for one in drawn)


def test_shift_changes_the_words() -> None:
    def words(shift: float) -> set[str]:
        found = ToyTexts(n=300, shift=shift, gold=ToyTruth()).examples(np.random.default_rng(0))
        return {word for text in found.text for word in text.lower().split()}

    assert len(words(1.0) - words(0.0)) > 50


def test_texts_without_labels_are_a_corpus(path: Path) -> None:
    rows = [{"text": "b", "prompt": "a"}, {"text": "d", "prompt": None}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    part = JsonlTexts(path=str(path), prompt="prompt")
    part.check()
    found = part.examples(np.random.default_rng(0))
    assert found.inputs("prompt+completion") == ("a b", "d")
    assert found.truths == {}
    assert not part.judged()
    assert JsonlTexts(path=str(path), gold=GoldColumn(column="toxic", good=0)).judged()


# --- with a judge


def test_a_judge_adds_the_truths_that_the_texts_come_without(path: Path) -> None:
    rows = [{"text": "you are a numbskull", "toxic": 0}, {"text": "Have a good day.", "toxic": 1}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    part = Judged(of=JsonlTexts(path=str(path), gold=TOXIC), judge=ToyTruth())
    found = part.examples(np.random.default_rng(0))
    assert found.truths[GOLD].label.tolist() == [1, -1]  # the humans', not the judge's
    assert found.truths["subtype:insult"].label.tolist() == [1, -1]
    assert (part.size(), part.judged(), part.draws()) == (2, True, False)


def test_texts_without_a_label_are_judged(path: Path) -> None:
    part = Judged(of=ToyTexts(n=20), judge=ToyTruth())
    known = ToyTexts(n=20, gold=ToyTruth()).examples(np.random.default_rng(1)).truths
    found = part.examples(np.random.default_rng(1)).truths
    assert part.draws()
    assert part.judged()
    assert not part.of.judged()
    assert {name: truth.label.tolist() for name, truth in found.items()} == {
        name: truth.label.tolist() for name, truth in known.items()
    }


# --- several as one


def joined(path: Path, *labels: dict[str, int]) -> Joined:
    """Toy texts with their truth, then rows of a file with these labels."""
    rows = [{"text": f"row {i}", **row} for i, row in enumerate(labels)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    gold = GoldColumn(column="toxic", good=0) if "toxic" in labels[0] else None
    subtypes = ("insult",) if "insult" in labels[0] else ()
    return Joined(of=(ToyTexts(n=3, gold=ToyTruth()), JsonlTexts(path=str(path), gold=gold, subtypes=subtypes)))


def test_joined_test_sets_come_one_after_the_other(path: Path) -> None:
    part = joined(path, {"toxic": 1, "insult": 1}, {"toxic": 0, "insult": 0})
    part.check()
    found = part.examples(np.random.default_rng(5))
    toy = part.of[0].examples(np.random.default_rng(5))
    assert found.text == (*toy.text, "row 0", "row 1")
    assert found.prompt == (*toy.prompt, "", "")
    assert len(found) == part.size() == 5
    assert set(found.truths) == {GOLD, "subtype:insult"}  # the file knows no other
    assert found.truths[GOLD].label.tolist() == [*toy.truths[GOLD].label.tolist(), -1, 1]
    assert found.truths[GOLD].value[:3].tolist() == toy.truths[GOLD].value.tolist()
    assert part.judged()
    assert part.draws()
    assert not Joined(of=part.of[1:]).draws()


def test_a_part_that_knows_no_truth_leaves_none(path: Path) -> None:
    part = joined(path, {})
    assert not part.judged()
    assert part.examples(np.random.default_rng(5)).truths == {}


def test_a_part_that_is_not_there_is_named(path: Path) -> None:
    part = Joined(of=(ToyTexts(n=3), JsonlTexts(path=f"{path}.gone")))
    with pytest.raises(DataError, match=r"texts.jsonl.gone cannot be read"):
        part.check()


def test_test_sets_of_equal_drawing_parts_differ() -> None:
    found = Joined(of=(ToyTexts(n=5), ToyTexts(n=5))).examples(np.random.default_rng(0)).text
    assert found[:5] != found[5:]


class Drawn(TestSet):
    """Texts of a language model, with their tokens."""

    tokens: tuple[int, ...] = (1, 2)

    def examples(self, rng: np.random.Generator) -> Examples:
        drawn = DrawnTokens.made([[token] for token in self.tokens], [False] * len(self.tokens), "v", [-1.0, -2.0])
        return Examples(tuple(map(str, self.tokens)), drawn=drawn)


def test_joined_and_judged_texts_keep_their_tokens(path: Path) -> None:
    path.write_text('{"text": "a row"}\n')
    file = JsonlTexts(path=str(path))
    found = Joined(of=(Drawn(), file, Drawn(tokens=(3, 4)))).examples(np.random.default_rng(0))
    assert found.drawn is not None
    assert [found.drawn.of(i) for i in range(5)] == [[1], [2], [], [3], [4]]
    assert found.drawn.vocabulary == ("v", "v", "", "v", "v")
    assert Joined(of=(file, file)).examples(np.random.default_rng(0)).drawn is None
    judged = Judged(of=Drawn(), judge=ToyTruth()).examples(np.random.default_rng(0))
    assert judged.drawn == Drawn().examples(np.random.default_rng(0)).drawn


def test_completed_prompts_keep_the_tokens_of_their_texts() -> None:
    drawn = DrawnTokens.made([[1], [2, 0]], [False, True], "v", [-1.0, -2.0])
    part = Completed(lm=Pretrained(model="somebody/model"), prompts=ToyPrompts(), gold=ToyTruth())
    found = part.examples(
        np.random.default_rng(0), completions=Completions(("p", "p"), ("a", "b"), (0, 0), (0, 1), drawn)
    )
    assert found.drawn == drawn
