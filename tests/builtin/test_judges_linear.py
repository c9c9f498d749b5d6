from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.judges import linear
from fairl_bench.builtin.judges.by_probability import log_odds
from fairl_bench.builtin.judges.linear import Linear, LinearSaved, Weights
from fairl_bench.builtin.shared.label_columns import GoldColumn
from fairl_bench.errors import DataError
from fairl_bench.science.classification import auc
from fairl_bench.toy.grammar import comments
from fairl_bench.values.data import GOLD, Examples, Truth

UNSEEN = ("thank you, that was kind", "you are a numbskull", "", "zzz qqq", "thank you, that was kind")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 comments of the synthetic world, toxic or not, a third of them insults or not; four of unknown label."""
    drawn = comments(600, np.random.default_rng(0), toxic=0.4, shift=0.0)
    rows: list[dict[str, Any]] = [
        {"text": one.text, "toxic": int(one.toxic), "insult": int("insult" in one.subtypes) if i % 3 == 0 else None}
        for i, one in enumerate(drawn)
    ]
    rows += [{"text": "you are a numbskull", "toxic": None, "insult": None}] * 4
    return write(tmp_path_factory.mktemp("labelled") / "comments.jsonl", rows)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    linear._fit.cache_clear()
    linear._loaded.cache_clear()


def judge_of(path: Path, **fields: Any) -> Linear:
    return Linear(path=str(path), gold=GoldColumn(column="toxic", good=0), **fields)


def judged(judge: Linear | LinearSaved, texts: tuple[str, ...] = UNSEEN) -> dict[str, Truth]:
    return dict(judge.judge(Examples(texts)))


# --- what it learns


def test_its_log_odds_are_those_of_the_libraries_own_pipeline(labelled: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rows = [json.loads(line) for line in labelled.read_text().splitlines()]
    known = [row for row in rows if row["toxic"] is not None]
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+")
    vectors.fit([row["text"] for row in rows])
    expected = make_pipeline(vectors, LogisticRegression(C=2.0, tol=1e-8, max_iter=10_000))
    expected[1].fit(vectors.transform([row["text"] for row in known]), [1 - row["toxic"] for row in known])
    value = judged(judge_of(labelled, l2=0.5, longest=2))[GOLD].value
    np.testing.assert_allclose(value, expected.decision_function(UNSEEN), atol=1e-3)  # two solvers, both converged


def test_it_ranks_unseen_comments_as_their_intent_does(labelled: Path) -> None:
    drawn = comments(500, np.random.default_rng(1), toxic=0.4, shift=0.0)
    value, label = judged(judge_of(labelled), tuple(one.text for one in drawn))[GOLD]
    intent = np.array([-1 if one.toxic else 1 for one in drawn])
    assert auc(value, intent) > 0.95
    assert (label == intent).mean() > 0.85
    assert label.tolist() == np.where(value > 0, 1, -1).tolist()


def test_each_subtype_has_a_regression_of_its_own_on_the_rows_that_know_it(labelled: Path) -> None:
    truths = judged(judge_of(labelled, subtypes=("insult",)))
    assert list(truths) == [GOLD, "subtype:insult"]
    alone = judge_of(labelled).model_copy(update={"gold": GoldColumn(column="insult", good=1)})
    np.testing.assert_allclose(truths["subtype:insult"].value, judged(alone)[GOLD].value, atol=1e-12)
    assert np.array_equal(truths[GOLD].value, judged(judge_of(labelled))[GOLD].value)
    assert truths["subtype:insult"].label[1] == 1


def test_a_comment_of_unknown_label_teaches_nothing_but_its_words(tmp_path: Path) -> None:
    rows = [{"text": f"kind {i}", "toxic": 0} for i in range(4)] + [{"text": f"rude {i}", "toxic": 1} for i in range(4)]
    first = judged(judge_of(write(tmp_path / "a.jsonl", [*rows, {"text": "rude kind", "toxic": None}])), ("kind",))
    other = judged(judge_of(write(tmp_path / "b.jsonl", [*rows, {"text": "kind rude", "toxic": None}])), ("kind",))
    assert first[GOLD].value == pytest.approx(other[GOLD].value, abs=1e-6)


def test_letters_see_through_spelling_where_words_do_not(labelled: Path) -> None:
    texts = ("numbskul1", "clarinet1")
    misspelt, unheard = judged(judge_of(labelled), texts)[GOLD].value
    assert misspelt == unheard
    misspelt, unheard = judged(judge_of(labelled, unit="characters", longest=4), texts)[GOLD].value
    assert misspelt < unheard - 0.5


def test_both_labels_weigh_alike_if_balanced(tmp_path: Path) -> None:
    rows = [{"text": "word", "toxic": int(i == 0)} for i in range(10)]
    path = write(tmp_path / "a.jsonl", rows)
    plain, balanced = (judged(judge_of(path, balanced=b), ("word",))[GOLD].value[0] for b in (False, True))
    assert plain > 1
    assert balanced == pytest.approx(0, abs=1e-4)  # the solver's tolerance


def test_limit_learns_from_the_first_rows(labelled: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.jsonl"
    first.write_text("".join(f"{line}\n" for line in labelled.read_text().splitlines()[:100]))
    assert np.array_equal(judged(judge_of(labelled, limit=100))[GOLD].value, judged(judge_of(first))[GOLD].value)


def test_two_fits_agree_to_the_bit(labelled: Path) -> None:
    first = judge_of(labelled).weights()
    linear._fit.cache_clear()
    again = judge_of(labelled).weights()
    assert again is not first
    assert again.terms == first.terms
    assert all(np.array_equal(getattr(again, name), getattr(first, name)) for name in ("idf", "weight", "bias"))


def test_a_process_fits_once_until_the_file_changes(tmp_path: Path) -> None:
    rows = [{"text": "kind word", "toxic": 0}, {"text": "rude word", "toxic": 1}]
    path = write(tmp_path / "a.jsonl", rows)
    first = judged(judge_of(path), ("rude",))[GOLD].value
    judged(judge_of(path), ("kind",))
    assert linear._fit.cache_info().misses == 1
    write(path, [{"text": "rude word", "toxic": 0}, {"text": "kind word", "toxic": 1}])
    os.utime(path, ns=(1, 1))  # a file of the same size, written within one tick of the clock
    assert judged(judge_of(path), ("rude",))[GOLD].value == pytest.approx(-first, abs=1e-6)


def test_a_text_of_unknown_words_has_the_share_of_good_comments_as_its_odds(labelled: Path) -> None:
    judge = judge_of(labelled)
    value = judged(judge)[GOLD].value
    assert value[2] == value[3] == pytest.approx(judge.weights().bias[0], abs=1e-9)
    assert value[0] == value[4]


# --- saved


def test_a_saved_judge_says_the_same_to_the_bit(labelled: Path, tmp_path: Path) -> None:
    judge = judge_of(labelled, subtypes=("insult",), longest=3)
    judge.save(tmp_path / "judge.safetensors")
    expected, found = judged(judge), judged(LinearSaved(path=str(tmp_path / "judge.safetensors")))
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name].value, expected[name].value) for name in expected)
    assert all(np.array_equal(found[name].label, expected[name].label) for name in expected)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b'{"text": "a"}\n'])
def test_a_file_that_is_no_saved_judge(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=f"{tmp_path}/a.safetensors holds no saved linear judge: .*; write it with Lin"):
        LinearSaved(path=str(tmp_path / "a.safetensors")).check()


def test_other_safetensors_are_no_saved_judge(labelled: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="holds no saved linear judge: 'linear'; "):
        Weights.load(tmp_path / "a.safetensors")
    weights = judge_of(labelled).weights()
    weights._replace(idf=weights.idf[1:]).save(tmp_path / "b.safetensors")
    with pytest.raises(DataError, match="its arrays do not fit its terms"):
        Weights.load(tmp_path / "b.safetensors")


# --- mistakes


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([{"text": "a", "toxic": 0}], "needs comments of both kinds in column 'toxic' of {path}, got 1 and 0"),
        (
            [{"text": "!", "toxic": 0}, {"text": "?", "toxic": 1}],
            "finds no word in the 2 comments of {path}: empty vocabulary; "
            "perhaps the documents only contain stop words",
        ),
    ],
)
def test_comments_that_teach_nothing(tmp_path: Path, rows: list[dict[str, Any]], complaint: str) -> None:
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError) as caught:
        judged(judge_of(path))
    assert str(caught.value) == f"judge 'linear' {complaint.format(path=path)}"


def test_a_subtype_without_both_kinds_is_named(tmp_path: Path) -> None:
    rows = [{"text": "a", "toxic": 0, "threat": 1}, {"text": "b", "toxic": 1, "threat": 1}]
    with pytest.raises(DataError, match=r"both kinds in column 'threat' of .*, got 2 and 0"):
        judged(judge_of(write(tmp_path / "a.jsonl", rows), subtypes=("threat",)))


def test_check_reads_every_column_and_fits_nothing(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_fit", lambda *anything: pytest.fail("fitted"))
    judge_of(labelled).check()
    with pytest.raises(DataError, match=f"{labelled}:1: no column 'insullt'; did you mean 'insult'?"):
        judge_of(labelled, subtypes=("insullt",)).check()
    with pytest.raises(DataError, match=f"{labelled}:1: no column 'test'; did you mean 'text'?"):
        judge_of(labelled, text="test").check()


@pytest.mark.parametrize(
    ("p", "expected"), [(0.0, -4.59512), (0.01, -4.59512), (0.5, 0.0), (0.75, 1.098612), (1, 4.59512)]
)
def test_log_odds_by_hand(p: float, expected: float) -> None:
    assert log_odds(np.array([p]), 0.01)[0] == pytest.approx(expected, abs=1e-5)


DATA = Path(os.environ.get("FAIRL_DATA", "/nowhere"))


@pytest.mark.skipif(not DATA.is_dir(), reason="FAIRL_DATA names no folder")
def test_trained_on_human_labels_it_ranks_the_held_out_comments() -> None:
    rows = [json.loads(line) for line in (DATA / "jigsaw_heldout_10000.jsonl").read_text().splitlines()[::5]]
    judge = judge_of(DATA / "jigsaw_train.jsonl")
    value = judged(judge, tuple(row["text"] for row in rows))[GOLD].value
    # .945 on all 10,000; a fifth of them has a standard error of about .006
    assert auc(value, np.array([1 - 2 * row["toxic"] for row in rows])) > 0.91
