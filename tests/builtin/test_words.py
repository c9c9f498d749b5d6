"""The evaluator of words that one side of pairs uses more, and the table of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from fairl_bench.builtin.evaluators.words import Words
from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.given import GivenMaterial
from fairl_bench.science.word_odds import word_odds
from fairl_bench.suite.read import read_study
from fairl_bench.tables.formats import as_latex, as_markdown
from fairl_bench.tables.words import WordsTable
from fairl_bench.testing import check_evaluator
from fairl_bench.toy.pairs import preference_pairs
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.data import Examples, Pairs, Scored
from fairl_bench.values.records import Measure, Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.table import Table

DATA = "pairs/test"
Found = Mapping[tuple[str, str], Measure]


def told(preferred: Sequence[str], rejected: Sequence[str], prompts: Sequence[str] = (), **fields: int) -> Found:
    pairs = Pairs(tuple(preferred), tuple(rejected), tuple(prompts) or tuple(f"p {i}" for i in range(len(preferred))))
    return of_examples(pairs.examples(), **fields)


def of_examples(examples: Examples, **fields: int) -> Found:
    part = Words(data=(DATA,), **fields)
    scored = Scored(examples, np.full(len(examples), np.nan))
    return {(one.truth.removeprefix("word:"), one.metric): one for one in part.evaluate({DATA: scored})}


def toy(n: int = 400, seed: int = 0) -> Found:
    pairs = preference_pairs(n, np.random.default_rng(seed))
    return told([one.preferred for one in pairs], [one.rejected for one in pairs], [one.prompt.text for one in pairs])


def words(found: Found) -> list[str]:
    return list(dict.fromkeys(word for word, metric in found if metric == "word_z"))


def test_counts_and_numbers_are_those_by_hand() -> None:
    thanks = [1, 0, 2, 1] * 10
    found = told(["thanks " * n + "oh well" for n in thanks], ["Oh, WELL: no!"] * 40)
    assert found["thanks", "word_preferred"].value == 40
    assert found["thanks", "word_rejected"].value == 0
    assert (found["no", "word_preferred"].value, found["no", "word_rejected"].value) == (0, 40)
    # by the alphabet: no, oh, oh well, thanks, thanks oh, thanks thanks, well, well no
    first = np.array([[0, 1, 1, n, n > 0, max(n - 1, 0), 1, 0] for n in thanks])
    second = np.tile([1, 1, 1, 0, 0, 0, 1, 1], (40, 1))
    expected = word_odds(first, second)
    assert found["", "words_told_apart"].n == 8
    assert found["", "words_told_apart"].value == (expected.q <= 0.05).sum()
    for metric, value in (("word_z", expected.z), ("word_log_odds", expected.log_odds), ("word_q", expected.q)):
        assert found["thanks", metric].value == pytest.approx(value[3], rel=1e-9)
    assert found["thanks", "word_z"].n == 40


def test_texts_of_one_prompt_are_one_row() -> None:
    rng = np.random.default_rng(0)
    sides = [[" ".join(rng.choice(["aa", "bb", "cc"], 4)) for _ in range(60)] for _ in range(2)]
    alone = told(*sides)
    twice = told(*(side * 2 for side in sides), prompts=[f"p {i}" for i in range(60)] * 2)
    assert twice["aa", "word_z"].n == 60
    apart = told(*(side * 2 for side in sides))
    assert twice["aa", "word_z"].value == pytest.approx(alone["aa", "word_z"].value, rel=1e-9)
    assert apart["aa", "word_z"].value == pytest.approx(np.sqrt(2) * alone["aa", "word_z"].value, rel=1e-9)


def test_pairs_without_prompts_are_rows_of_their_own() -> None:
    sides = ["yes yes", "yes no"] * 15, ["no no", "no yes"] * 15
    assert told(*sides, prompts=[""] * 30) == told(*sides)


def test_a_word_that_stands_in_too_few_texts_is_not_tested() -> None:
    preferred = ["fine " * 9, *["well"] * 29]
    assert "fine" not in words(told(preferred, ["bad"] * 30, least=2))
    assert "fine" in words(told(preferred, ["bad"] * 30, least=1))


def test_only_the_words_with_the_greatest_z_of_each_side_are_on_record() -> None:
    every, few = toy(), told_few()
    assert len(words(every)) <= 80
    sides = [[word for word in words(every) if sign * every[word, "word_z"].value > 0] for sign in (1, -1)]
    assert words(few) == [word for side in sides for word in side[:3]]
    assert few["", "words_told_apart"] == every["", "words_told_apart"]


def told_few() -> Found:
    pairs = preference_pairs(400, np.random.default_rng(0))
    prompts = [one.prompt.text for one in pairs]
    return told([one.preferred for one in pairs], [one.rejected for one in pairs], prompts, most=3)


def test_insults_stand_on_the_rejected_side_of_toy_pairs() -> None:
    found = toy()
    apart = {word for word in words(found) if found[word, "word_q"].value <= 0.05}
    assert {"you are", "sloppy", "dreadful"} <= apart
    assert all(found[word, "word_z"].value < 0 for word in ("you are", "sloppy", "dreadful"))
    assert found["glad", "word_z"].value > 0


def test_sides_of_the_same_world_are_not_told_apart() -> None:
    pairs = preference_pairs(400, np.random.default_rng(1))
    turned = np.random.default_rng(2).random(400) < 0.5
    texts = [
        (one.rejected, one.preferred) if t else (one.preferred, one.rejected)
        for one, t in zip(pairs, turned, strict=True)
    ]
    assert told([a for a, _ in texts], [b for _, b in texts])["", "words_told_apart"].value == 0


@pytest.mark.parametrize(
    ("found", "note"),
    [
        (lambda: of_examples(Examples(("a text",) * 30)), "words that tell two sides apart need pairs"),
        (lambda: told(["well"] * 19, ["bad"] * 19), "words need at least 20 prompts, got 19"),
        (lambda: told(["a", "!"] * 15, ["I", "?"] * 15), "no text has a word of two letters or more"),
        (lambda: told(["well"] * 30, ["bad"] * 30, least=31), "no word stands in 31 texts or more"),
    ],
)
def test_where_nothing_is_known_the_reason_is(found: Callable[[], Found], note: str) -> None:
    (only,) = found().values()
    assert math.isnan(only.value)
    assert only.note == note


def test_a_word_without_end_is_left_out() -> None:
    assert words(told(["well " + "x" * 5000] * 30, ["bad"] * 30)) == ["well", "bad"]


def test_the_words_keep_the_contract_of_evaluators() -> None:
    pairs = Pairs(("well done",) * 30, ("bad",) * 30, tuple(map(str, range(30))))
    check_evaluator(Words(data=(DATA,)), {DATA: Scored(pairs.examples(), np.arange(60.0))})


def test_who_says_that_it_reads_no_reward_and_does_is_told() -> None:
    class Liar(Words):
        def evaluate(self, scored: Mapping[str, Scored]) -> Iterator[Measure]:
            mean = float(scored[DATA].reward.mean())
            yield Measure(DATA, "", "words_told_apart", mean, 1, "no reward" if math.isnan(mean) else "")

    pairs = Pairs(("well done",) * 30, ("bad",) * 30)
    with pytest.raises(AssertionError, match="its numbers depend on the reward; leave reads_reward = True"):
        check_evaluator(Liar(data=(DATA,)), {DATA: Scored(pairs.examples(), np.arange(60.0))})


# --- measured once


SUITE = """
name: once
models: [{name: toy, use: toy-comments, n: 40, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 8}, {name: more, use: tfidf, dimensions: 9}]
methods: [{name: first, use: max-margin}, {name: other, use: max-entropy}]
replicates: [0, 1]
seeds: [0, 1]
slices: {baseline: first}
evaluate: [{use: classification, data: [pairs/test]}, {use: words, data: [pairs/test]}]
report: {words: {}}
"""


def planned(write_suite: Callable[..., Path]) -> Plan:
    return plan(read_study(write_suite(SUITE)))


def test_words_are_measured_once_a_world_and_from_its_texts_alone(write_suite: Callable[..., Path]) -> None:
    made = planned(write_suite)
    stages = {key: stage for key, stage in made.stages.items() if stage.title.startswith("words of")}
    assert [stage.title for stage in stages.values()] == ["words of toy, replicate 0", "words of toy, replicate 1"]
    assert [set(stage.inputs) for stage in stages.values()] == [{"pairs", "split"}] * 2
    beside = [cell for cell in made.cells if set(cell.judged()) & set(stages)]
    assert [(cell.encoder, cell.method, cell.replicate, cell.seed) for cell in beside] == [
        ("tfidf", "first", 0, 0),
        ("tfidf", "first", 1, 0),
    ]


# --- the table


def material(*replicates: Found, models: Sequence[str] = ("toy",)) -> GivenMaterial:
    records = [
        Record.at(
            Coordinates.of(World(model, i), Run("minilm", "mlp", "me", "", None), one.data, one.truth, one.slice),
            "s", one.metric, one.value, one.n, note=one.note, stage=f"{model} {i}",
        )
        for model in models
        for i, found in enumerate(replicates)
        for one in found.values()
    ]  # fmt: skip
    return GivenMaterial(records=records, rows={records[0].row: Runs(1)}, metrics=built_in_metrics())


def table(*replicates: Found, **more: Sequence[str]) -> Table:
    (made,) = WordsTable().tables(material(*replicates, **more))
    return made


def test_the_table_has_a_side_beside_the_other_and_says_how_many_prompts_there_are() -> None:
    made = table(toy())
    assert made.heads[:2] == (("more in preferred", "word"), ("more in preferred", "z"))
    assert made.heads[4:6] == (("more in rejected", "word"), ("more in rejected", "z"))
    z = np.array([float(row[5]) for row in made.rows])
    assert z[0] < 0
    assert (np.diff(np.abs(z)) <= 0).all()
    assert "words and bigrams are told apart, over 400 prompts." in made.notes[-1]
    assert all(row["q"] <= 0.05 for row in made.tidy)  # type: ignore[operator]


def test_over_replicates_a_word_says_in_how_many_it_is_told_apart() -> None:
    one, other = told(["well"] * 30, ["bad"] * 30), told(["well"] * 30, ["poor"] * 30)
    made = table(one, other)
    assert [row[0] for row in made.rows] == ["well", ""]
    assert made.rows[0][3:5] == ("30 : 0", "2")
    assert {(row[5], row[9]) for row in made.rows} == {("bad", "1"), ("poor", "1")}
    assert any(note.startswith("Replicates:") for note in made.notes)


def test_a_side_without_a_word_says_none_and_what_is_not_known_says_why() -> None:
    same = table(told(["well"] * 30, ["well"] * 30))
    assert same.rows == (("none", "", "", "", "none", "", "", ""),)
    unknown = table(told(["well"] * 3, ["bad"] * 3))
    assert unknown.rows[0][0] == "n/a"
    assert unknown.notes[-1] == "toy: words need at least 20 prompts, got 3."


def test_models_are_named_where_there_are_several() -> None:
    made = table(told(["well"] * 30, ["bad"] * 30), models=("a", "b"))
    assert [row[0] for row in made.rows] == ["a", "b"]


def test_numbers_beside_several_runs_count_once() -> None:
    once = material(told(["well"] * 30, ["bad"] * 30))
    again = [Record(**{**vars(one), "method": "other", "variant": '{"head.width":3}'}) for one in once.records]
    (made,) = WordsTable().tables(GivenMaterial(records=[*once.records, *again]))
    assert [row[0] for row in made.rows] == ["well"]


def test_without_words_there_is_no_table() -> None:
    assert list(WordsTable().tables(GivenMaterial())) == []


def test_a_word_with_markup_is_shown_as_it_is() -> None:
    found = dict(told(["well"] * 30, ["bad"] * 30))
    hostile = {"<script>": "&lt;script>", "a|b": "a\\|b", "$x_1$": "$x_1$"}
    for term in hostile:
        found |= {
            (term, metric): one._replace(truth=f"word:{term}")
            for (word, metric), one in found.items()
            if word == "well"
        }
    made = table(found)
    assert {row[0] for row in made.rows} == {"well", *hostile}
    markdown = as_markdown(made)
    assert all(text in markdown for text in hostile.values())
    assert "<script>" not in markdown
    assert "<script>" not in made._repr_html_()
    assert "\\$x\\_1\\$" in as_latex(made)
    assert "a$|$b" in as_latex(made)


def test_a_text_with_markup_gives_its_words_alone() -> None:
    found = told(["<script>alert('x_1')</script>"] * 30, ["a|b $cd$"] * 30)
    assert {"script", "alert", "x_1", "cd"} <= set(words(found))
    assert not [word for word in words(found) if set(word) & set("<>|$'")]
