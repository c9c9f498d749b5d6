"""Every concept in the box: cases by hand, what it does not depend on, hostile texts, speed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.judges.concepts.lexicon import LISTS, Lexicon, own_lexicon, read_lexicon
from fairl_bench.builtin.judges.concepts.reading import ending, sentences_of, words_of
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.suite.concepts import concepts
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import TEXTS, check_judge
from fairl_bench.values.data import GOLD, Examples, Floats

BUILT_IN = Registry(installed=False)
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "word-list": {"words": ["train*", "my fault"]},
    "regex": {"pattern": "(?i)rain"},
}
"""The fields of those that need some."""
ELSEWHERE = ("similar-to", "concept", "on-prompts", "noise")  # what needs an encoder or another judge, or is of no text
NAMES = [concept.name for concept in concepts(BUILT_IN) if concept.name not in ELSEWHERE]


def built(name: str) -> Judge:
    return BUILT_IN.build(Judge, {"use": name, **FIELDS.get(name, {})})


def amounts(name: str, *texts: str) -> Floats:
    return built(name).judge(Examples(texts))[GOLD].value


# --- by hand

BY_HAND: tuple[tuple[str, str, float], ...] = (
    ("words", "It's a well-known fact: 3.5 litres!", 8),  # it's a well known fact 3 5 litres
    ("words", "... -- !!!", 0),
    ("words", "Déjà vu, naïve café", 4),
    ("characters", "  two words\n", 9),
    ("repetition", "a b a b a", 0.5),  # ab ba ab ba: two of four are new
    ("repetition", "ha ha", 0),
    ("repetition", "no, no, no, no", 2 / 3),
    ("repetition", "one two three four", 0),
    ("questions", "Is it late? I think so.", 0.5),
    ("questions", 'He asked "Why?" Then he left. Really?!', 2 / 3),
    ("questions", "It is late.", 0),
    ("questions", "没有问题吗？没有。", 0.5),
    ("exclamations", "Stop! Please stop!! It is late. What?!", 0.75),
    ("exclamations", "It is late.", 0),
    ("digits", "In 2024 we had 3rd place", 2 / 6),
    ("digits", "In that year we had third place", 0),
    ("lists", "Buy:\n- milk\n- bread\n\n1. first\n2) second\n", 0.8),
    ("lists", "- not a list of -1.5 degrees\n-1.5 degrees\n*so* it is", 1 / 3),
    ("lists", "I am here.\na dog is here", 0),
    ("first-person", "I'm sure that we lost my keys", 3 / 7),
    ("first-person", "You lost the keys", 0),
    ("second-person", "You\u2019re late, and your friend is too", 2 / 7),
    ("second-person", "I was late", 0),
    ("hedging", "I think it is sort of late, maybe", 3 / 8),  # "i think" and "sort of" count once each
    ("hedging", "It is late", 0),
    ("apology", "Sorry! My apologies.", 2 / 3),
    ("apology", "Thank you, that was kind.", 0),
    ("refusal", "As an AI, I can't help with that", 2 / 8),
    ("refusal", "I can help with that", 0),
    ("praise", "Excellent, well done", 2 / 3),
    ("praise", "It is done", 0),
    ("flattery", "Great question! You are absolutely right.", 2 / 6),
    ("flattery", "It is a question", 0),
    ("politeness", "Hello, could you please wait? Thank you!", 4 / 7),
    ("politeness", "Wait here", 0),
    ("profanity", "What the hell, damned bus", 2 / 5),
    ("profanity", "What a late bus", 0),
    ("toxicity-words", "Shut up, you numbskulls", 2 / 4),
    ("toxicity-words", "Thank you, that was kind.", 0),
    ("reading-grade", "The train is late. I am here.", 5.88 * 21 / 7 - 29.6 * 2 / 7 - 15.8),
    ("word-list", "Trains are late, my fault", 2 / 5),
    ("word-list", "Buses are late, not my business", 0),
    ("regex", "Rain, brain", 2),
    ("regex", "Sun", 0),
)


@pytest.mark.parametrize(("name", "text", "value"), BY_HAND)
def test_a_concept_is_what_a_hand_counts(name: str, text: str, value: float) -> None:
    assert amounts(name, text).tolist() == pytest.approx([value], abs=1e-12)  # float64


def test_every_concept_is_counted_by_hand() -> None:
    assert {name for name, _, _ in BY_HAND} | {"sentiment"} == set(NAMES)


def test_sentiment_is_the_mean_of_what_vader_says_of_the_sentences() -> None:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    score = SentimentIntensityAnalyzer().polarity_scores
    (both,) = amounts("sentiment", "I love it. The food was awful!")
    parts = [score("I love it.")["compound"], score("The food was awful!")["compound"]]
    assert parts[0] > 0.5 > -0.4 > parts[1]
    assert both == pytest.approx(sum(parts) / 2, abs=1e-12)  # float64


def test_sentiment_does_not_grow_with_length() -> None:
    short, long = amounts("sentiment", "I love it.", " ".join(["I love it."] * 50))
    assert short == pytest.approx(long, abs=1e-12)  # float64


def test_the_reading_grade_is_that_of_the_example_of_coleman_and_liau() -> None:
    # 639 letters, 119 words, 5 sentences: L = 537, S = 4.20, and the grade is 14.5
    words = ["a" * 6] * 44 + ["a" * 5] * 75
    text = " ".join(" ".join(words[i::5]) + "." for i in range(5))
    assert amounts("reading-grade", text).tolist() == pytest.approx([14.5], abs=0.05)  # told to one decimal


# --- more of it is more

MORE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("words", ("late", "so late", "so very late")),
    ("characters", ("late", "later")),
    ("repetition", ("it was so late", "it was so late it was so", "it was so late it was so late it was so late")),
    ("questions", ("Late. Here.", "Late? Here.", "Late? Here?")),
    ("exclamations", ("Late. Here.", "Late! Here.", "Late! Here!")),
    ("digits", ("two or three", "2 or three", "2 or 3")),
    ("lists", ("a\nb", "- a\nb", "- a\n- b")),
    ("first-person", ("they like them", "i like them", "i like us")),
    ("second-person", ("they like them", "you like them", "you like yourself")),
    ("hedging", ("it is late", "it seems late", "perhaps it seems late")),
    ("apology", ("it was late", "sorry it was late", "sorry, my fault, it was late")),
    ("refusal", ("it is hard to say", "i cannot say", "as an ai i cannot")),
    ("praise", ("a job", "a superb job", "a superb, superb job")),
    ("flattery", ("that is a question", "that is a great question", "great question and you are right")),
    ("politeness", ("wait here", "please wait here", "hello, please wait here")),
    ("profanity", ("the bus", "the damn bus", "the damn crappy bus")),
    ("toxicity-words", ("the idea", "the stupid idea", "the stupid, worthless idea")),
    ("sentiment", ("It is awful.", "It is there.", "It is good.", "It is VERY good!")),
    ("reading-grade", ("We go. We eat.", "We go and eat.", "Subsequently everybody celebrates extensively.")),
    ("word-list", ("it is late", "trains run late", "trains run, my fault")),
    ("regex", ("sun", "rain", "rain rain")),
)


@pytest.mark.parametrize(("name", "texts"), MORE)
def test_a_text_with_more_of_it_has_a_higher_value(name: str, texts: tuple[str, ...]) -> None:
    values = amounts(name, *texts)
    assert (np.diff(values) > 0).all(), values


def test_every_concept_is_shown_to_rise() -> None:
    assert {name for name, _ in MORE} == set(NAMES)


# --- what it does not depend on

SENTENCES = (
    "I think you can't be serious. Is it 9:30? Sorry, my fault!",
    "Great question! The train is late, you idiot, damn it.",
    "- could you please wait\n- it is lovely, it is lovely",
)


@pytest.mark.parametrize("name", NAMES)
def test_space_around_a_text_does_not_count(name: str) -> None:
    assert amounts(name, *SENTENCES).tolist() == amounts(name, *(f"\n {text} \n\t" for text in SENTENCES)).tolist()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"sentiment"}))  # for VADER capitals are emphasis
def test_case_does_not_count(name: str) -> None:
    assert amounts(name, *SENTENCES).tolist() == amounts(name, *map(str.upper, SENTENCES)).tolist()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"words", "characters", "repetition", "regex", "reading-grade"}))
def test_a_text_written_three_times_has_as_much_of_it(name: str) -> None:
    once, thrice = amounts(name, SENTENCES[0], "\n".join([SENTENCES[0]] * 3))
    assert once == pytest.approx(thrice, abs=1e-12)  # float64


@pytest.mark.parametrize("name", NAMES)
def test_a_concept_keeps_the_contract_and_gives_no_label(name: str) -> None:
    judge = built(name)
    check_judge(judge, (*TEXTS, *SENTENCES), registry=BUILT_IN)
    truths = judge.judge(Examples(SENTENCES))
    assert list(truths) == [GOLD]
    assert truths[GOLD].label.tolist() == [0, 0, 0]
    assert truths[GOLD].known().all()
    assert judge.concept


@pytest.mark.parametrize("name", NAMES)
def test_no_text_at_all_has_no_value_and_an_empty_one_0(name: str) -> None:
    assert built(name).judge(Examples(()))[GOLD].value.tolist() == []
    assert amounts(name, "", " \n").tolist() == [0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_the_prompt_is_not_read(name: str) -> None:
    judge = built(name)
    alone, prompted = (judge.judge(Examples(SENTENCES, prompt)) for prompt in ((), ("Sorry, 3 damn trains?",) * 3))
    assert alone[GOLD].value.tolist() == prompted[GOLD].value.tolist()


# --- hostile texts and speed

N = 20_000
HOSTILE = (
    "a" * N,
    "a " * N,
    "'" * N,
    "a'" * N,
    "?!" * N,
    '."' * N,
    "." + '"' * N,
    "a" + "\u0315\u0300" * 3 * N,  # accents, which normalisation sorts one by one
    "".join(map(chr, range(32))) * 100,
    "\ud800 \udfff",
    "\U0001f600" * N,
    "but good " * N,
    "GOOD a " * N,
    "i can't " * N,
    "- a\n" * N,
    " \n" * N,
    "東京。" * N,
    "हिन्दी " * N,
    "שלום עולם",
    "\u202e\u200b\ufeff",
    "nan inf -1e999",
    "[1;31m",
)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_texts_have_finite_values_in_time(name: str) -> None:
    judge = built(name)
    judge.judge(Examples(("lists are read now",)))
    for text in HOSTILE:
        start = time.process_time()
        (value,) = judge.judge(Examples((text,)))[GOLD].value
        assert np.isfinite(value)
        # the worst takes 0.1 s on the machine that this was written on; what takes the square takes minutes
        assert time.process_time() - start < 5, text[:20]


@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_short_texts_take_two_seconds_at_most(name: str) -> None:
    texts = tuple(f"{SENTENCES[i % 3]} {i} {i * i}" for i in range(10_000))
    judge = built(name)
    judge.judge(Examples(texts[:1]))
    # the slowest, sentiment, takes 0.8 s on the machine that this was written on; a busy one may need another try
    assert any(_seconds(judge, texts) <= 2 for _ in range(3))


def _seconds(judge: Judge, texts: tuple[str, ...]) -> float:
    start = time.process_time()
    judge.judge(Examples(texts))
    return time.process_time() - start


# --- words and sentences


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("O'Neill's 'quoted' dogs'", ["o'neill's", "quoted", "dogs"]),
        ("f**k snake_case *bold*", ["f", "k", "snake", "case", "bold"]),
        ("don\u2019t don\u02bct", ["don't", "don't"]),
        ("cafe\u0301 CAFÉ", ["café", "café"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("東京タワー", ["東京タワー"]),
    ],
)
def test_words_are_runs_of_letters_and_digits(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_a_sentence_ends_at_marks_before_space_and_at_lines() -> None:
    text = 'One (two.) "Three?" Four... five\nsix 3.5 e.g.seven 「八。」九！十'
    assert sentences_of(text) == [
        "One (two.",
        '"Three?',
        "Four...",
        "five",
        "six 3.5 e.g.seven 「八。",
        "」九！",
        "十",
    ]
    assert [ending(sentence) for sentence in ("Why?!", "**Why?**", "Why", '"So."')] == ["?!", "?", "", "."]


# --- lists


@pytest.mark.parametrize("path", sorted(LISTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_list_says_what_it_is_and_holds_each_entry_once_in_order_in_lower_case(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    entries = [line for line in lines if not line.startswith("#")]
    assert len(set(entries)) == len(entries) > 10
    for entry in entries:
        assert words_of(entry.rstrip("*")) == entry.rstrip("*").split()
        assert "*" not in entry[:-1]
    sections = "\n".join("#" if line.startswith("#") else line for line in lines).split("#")
    inner = [section.strip("\n").split("\n") for section in sections]
    assert [section for section in inner if section != sorted(section)] == []


@pytest.mark.parametrize("path", sorted(LISTS.glob("*.txt")), ids=lambda path: path.stem)
def test_no_entry_of_a_list_is_covered_by_a_stem_of_it(path: Path) -> None:
    lexicon = own_lexicon(path.stem)
    assert not [word for word in lexicon.words if word.startswith(lexicon.stems)]
    others = {stem: lexicon.stems[:i] + lexicon.stems[i + 1 :] for i, stem in enumerate(lexicon.stems)}
    assert not [stem for stem, rest in others.items() if stem.startswith(rest)]


def test_every_list_is_of_a_concept() -> None:
    from fairl_bench.builtin.judges.concepts.lexical import OwnList

    parts = [BUILT_IN.find("judge", name) for name in NAMES]
    listed = {part.listed for part in parts if issubclass(part, OwnList)}
    assert listed == {path.stem for path in LISTS.glob("*.txt")}


def test_another_list_is_another_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from fairl_bench.builtin.judges.concepts import lexical

    before = built("apology").reads()
    (tmp_path / "apology.txt").write_text("# Words.\nsorry\n")
    monkeypatch.setattr(lexical, "LISTS", tmp_path)
    assert set(before) == {"list"}
    assert built("apology").reads() != before


def test_the_longest_entry_counts_and_no_word_counts_twice() -> None:
    entries = ("sorry", "so sorry", "so sorry for*", "for you", "i am", "so sorry for you")
    lexicon = Lexicon.of(("", entry) for entry in entries)
    assert lexicon.count(words_of("I am so sorry forever, sorry")) == 3  # i am, so sorry forever, sorry
    assert lexicon.count(words_of("so sorry for you")) == 1
    assert lexicon.count(words_of("so so sorry")) == 1
    assert lexicon.count(words_of("so")) == 0
    assert lexicon.count([]) == 0


def test_a_list_may_have_comments_and_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# what it is\n\n  Train*  # and trains\nMy fault\n")
    lexicon = read_lexicon(tmp_path / "list")
    assert lexicon == Lexicon(frozenset(), ("train",), {"my": (("my", "fault"),)})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# nothing\n\n", "list holds no word; write one word or phrase a line"),
        ("fine\n!!!\n", r"list:2: the entry '!!!' has no letter or digit, and words are looked for; .*judge 'regex'"),
        ("*\n", r"list:1: the entry '\*' has no letter or digit"),
    ],
)
def test_a_list_without_a_word_is_refused_with_its_line(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_lexicon(tmp_path / "list")
