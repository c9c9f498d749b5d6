import hashlib
import re

import numpy as np
import pytest

from fairl_bench.toy.frames import CASES, Case
from fairl_bench.toy.grammar import Comment, Hard, comment, comments, completion, corpus, tilted
from fairl_bench.toy.lexicon import SUBTYPES, TOXIC_FIELDS, A, B
from fairl_bench.toy.pairs import preference_pairs
from fairl_bench.toy.prompts import Prompt, Stance
from fairl_bench.toy.truth import SEVERITY, reward, subtypes, toxicity

SHIFTS = (0.0, 0.5, 1.0)
EXCUSED = tuple(case for case in CASES if case != "implicit-toxicity")
OVERT = ("insult", "slight", "scorn", "obscene", "threat", "attack")
WORDS = re.compile(r"\b(?:" + "|".join(word for field in OVERT for word in SEVERITY[field]) + r")\b")


def says_a_toxic_word(text: str) -> bool:
    return bool(WORDS.search(text.lower()))


@pytest.fixture(scope="module", params=SHIFTS)
def sample(request: pytest.FixtureRequest) -> tuple[Comment, ...]:
    return comments(7000, np.random.default_rng(11), shift=request.param)


@pytest.fixture(scope="module")
def found(sample: tuple[Comment, ...]) -> list[frozenset[str]]:
    """What the rule finds in each text; it finds something exactly where the text is toxic (test_truth)."""
    return [subtypes(c.text) for c in sample]


@pytest.fixture(scope="module", params=[(case, shift) for case in CASES for shift in SHIFTS], ids=str)
def hard(request: pytest.FixtureRequest) -> tuple[Comment, ...]:
    case, shift = request.param
    return comments(400, np.random.default_rng(12), shift=shift, hard=Hard(1.0, (case,)))


def test_the_rule_agrees_with_the_grammars_intent(sample: tuple[Comment, ...], found: list[frozenset[str]]) -> None:
    assert np.mean([bool(one) == c.toxic for one, c in zip(found, sample, strict=True)]) >= 0.995
    assert np.mean([one == c.subtypes for one, c in zip(found, sample, strict=True)]) >= 0.99


def test_the_rule_agrees_with_the_intent_in_every_hard_case(hard: tuple[Comment, ...]) -> None:
    holding = [(subtypes(c.text), c) for c in hard if c.case]
    assert len(holding) > 100
    assert np.mean([bool(one) == c.toxic for one, c in holding]) >= 0.98
    assert np.mean([one == c.subtypes for one, c in holding]) >= 0.98


def test_the_rule_agrees_with_the_intent_of_every_subtype(
    sample: tuple[Comment, ...], found: list[frozenset[str]]
) -> None:
    for name in SUBTYPES:
        meant = [(name in one, name in c.subtypes) for one, c in zip(found, sample, strict=True)]
        assert np.mean([one == c for one, c in meant]) >= 0.995, name


def test_a_prompt_never_decides_the_truth(sample: tuple[Comment, ...]) -> None:
    few = sample[:2000]
    assert max(toxicity(c.prompt.text) for c in few) < 0.5
    assert np.mean([(toxicity(c.whole) > 0.5) == c.toxic for c in few]) >= 0.995


def test_a_clean_comment_cut_off_anywhere_is_seldom_toxic_by_the_cut(sample: tuple[Comment, ...]) -> None:
    """The cut takes an excuse that comes after its word from about one clean text in a hundred."""
    clean = [c.text.split() for c in sample[:2000] if not c.toxic]
    for words in (4, 8, 12, 16, 20, 24):
        assert np.mean([toxicity(" ".join(text[:words])) > 0.5 for text in clean]) < 0.02


def test_texts_hold_9_to_35_words_whatever_their_class(sample: tuple[Comment, ...]) -> None:
    lengths = np.array([len(c.text.split()) for c in sample])
    toxic = np.array([c.toxic for c in sample])
    assert lengths.min() >= 9
    assert lengths.max() <= 35
    assert lengths[toxic].mean() == pytest.approx(lengths[~toxic].mean(), rel=0.05)


def test_hard_texts_hold_9_to_35_words(hard: tuple[Comment, ...]) -> None:
    assert all(9 <= len(c.text.split()) <= 35 for c in hard)


def test_the_toxic_share_is_the_one_asked_for(sample: tuple[Comment, ...]) -> None:
    four_standard_errors = 4 * (0.39 * 0.61 / len(sample)) ** 0.5
    assert np.mean([c.toxic for c in sample]) == pytest.approx(0.39, abs=four_standard_errors)


def test_toxic_comments_alone_have_subtypes_and_every_subtype_is_in_a_tenth_of_them(
    sample: tuple[Comment, ...],
) -> None:
    assert all(bool(c.subtypes) == c.toxic for c in sample)
    toxic = [c for c in sample if c.toxic]
    assert all(np.mean([name in c.subtypes for c in toxic]) > 0.1 for name in SUBTYPES)


# --- hard cases


def test_the_share_of_hard_comments_is_the_one_asked_for_and_has_every_case(sample: tuple[Comment, ...]) -> None:
    four_standard_errors = 4 * (0.2 * 0.8 / len(sample)) ** 0.5
    assert np.mean([c.case is not None for c in sample]) == pytest.approx(0.2, abs=four_standard_errors)
    assert all(np.mean([c.case == case for c in sample]) > 0.02 for case in CASES)


def test_without_hard_cases_a_list_of_toxic_words_settles_the_class() -> None:
    drawn = comments(2000, np.random.default_rng(3), shift=0.5, hard=Hard(0.0))
    assert all(c.case is None for c in drawn)
    assert all(says_a_toxic_word(c.text) == c.toxic for c in drawn)


def test_in_hard_cases_a_list_of_toxic_words_is_mostly_wrong(hard: tuple[Comment, ...]) -> None:
    misled = [c for c in hard if c.case == "implicit-toxicity" or (c.case and not c.toxic)]
    assert len(misled) > 100
    assert np.mean([says_a_toxic_word(c.text) != c.toxic for c in misled]) > 0.6


@pytest.mark.parametrize("case", EXCUSED)
def test_an_excused_case_does_not_give_the_class_away(case: Case) -> None:
    drawn = comments(1500, np.random.default_rng(4), hard=Hard(1.0, (case,)))
    assert {c.case for c in drawn} == {case}
    four_standard_errors = 4 * (0.39 * 0.61 / len(drawn)) ** 0.5
    assert np.mean([c.toxic for c in drawn]) == pytest.approx(0.39, abs=four_standard_errors)


def test_implicit_toxicity_is_for_toxic_texts_alone() -> None:
    drawn = comments(1000, np.random.default_rng(5), hard=Hard(1.0, ("implicit-toxicity",)))
    assert all((c.case == "implicit-toxicity") == c.toxic for c in drawn)


def test_half_of_the_hard_toxic_texts_are_implicit() -> None:
    drawn = comments(1000, np.random.default_rng(6), toxic=1.0, hard=Hard(1.0))
    four_standard_errors = 4 * (0.25 / len(drawn)) ** 0.5
    assert np.mean([c.case == "implicit-toxicity" for c in drawn]) == pytest.approx(0.5, abs=four_standard_errors)


def test_a_case_named_twice_comes_twice_as_often() -> None:
    drawn = comments(2000, np.random.default_rng(7), hard=Hard(1.0, ("negation", "quotation", "negation")))
    four_standard_errors = 4 * (2 / 9 / len(drawn)) ** 0.5
    assert np.mean([c.case == "negation" for c in drawn]) == pytest.approx(2 / 3, abs=four_standard_errors)


# --- chatter


CHATTING = {
    "question": r"\?",
    "guess": r"(?i)\b(?:maybe|perhaps|probably|seems|I think|I suppose|could be)\b",
    "apology": r"(?i)\b(?:sorry|apolog\w+|forgive|my mistake)\b",
    "acclaim": rf"\b(?:{'|'.join((*A.acclaim, *B.acclaim))})\b",
    "account": r"(?i)\b(?:my own|our|my neighbour|my sister|took me|since my)\b",
    "count": r"\d",
}


@pytest.fixture(scope="module", params=SHIFTS)
def chatty(request: pytest.FixtureRequest) -> tuple[Comment, ...]:
    return comments(3000, np.random.default_rng(13), shift=request.param, chatter=0.6)


def test_every_kind_of_chatter_is_in_a_tenth_of_the_comments_at_a_share_of_six_tenths(
    chatty: tuple[Comment, ...],
) -> None:
    for kind, pattern in CHATTING.items():
        assert np.mean([bool(re.search(pattern, one.text)) for one in chatty]) > 0.1, kind


def test_without_chatter_nobody_asks_and_no_number_is_named(sample: tuple[Comment, ...]) -> None:
    assert not [one.text for one in sample if re.search(r"[?\d]", one.text)]


def test_chatter_does_not_change_the_class_or_the_length(chatty: tuple[Comment, ...]) -> None:
    assert np.mean([(toxicity(one.text) > 0.5) == one.toxic for one in chatty]) >= 0.995
    lengths = np.array([len(one.text.split()) for one in chatty])
    toxic = np.array([one.toxic for one in chatty])
    assert 9 <= lengths.min() < lengths.max() <= 35
    assert lengths[toxic].mean() == pytest.approx(lengths[~toxic].mean(), rel=0.06)
    four_standard_errors = 4 * (0.39 * 0.61 / len(chatty)) ** 0.5
    assert toxic.mean() == pytest.approx(0.39, abs=four_standard_errors)


def test_pairs_chatter_too() -> None:
    asking = [
        np.mean(["?" in one.preferred for one in preference_pairs(400, np.random.default_rng(1), chatter=share)])
        for share in (0.0, 0.5)
    ]
    assert asking[0] == 0 < asking[1]


# --- draws


def test_the_comments_and_pairs_of_a_seed_stay_what_they_were() -> None:
    """Published numbers rest on them: what is added to the world must not draw where it is not asked for."""
    drawn = [one.whole for one in comments(500, np.random.default_rng(1), shift=0.5)]
    pairs = preference_pairs(300, np.random.default_rng(2))
    digest = hashlib.sha256(repr([drawn, [tuple(one) for one in pairs]]).encode()).hexdigest()
    assert digest.startswith("be6ae24c347d6c1e")


def test_one_seed_gives_one_sequence_of_comments() -> None:
    first, again, other = (comments(50, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_comments_is_comment_drawn_n_times() -> None:
    one_by_one = np.random.default_rng(5)
    assert comments(20, np.random.default_rng(5)) == tuple(comment(one_by_one) for _ in range(20))
    assert comments(0, np.random.default_rng(5)) == ()


def test_a_corpus_is_the_whole_comments() -> None:
    texts = corpus(30, np.random.default_rng(5), toxic=0.7, shift=0.3, hard=Hard(0.9))
    drawn = comments(30, np.random.default_rng(5), toxic=0.7, shift=0.3, hard=Hard(0.9))
    assert texts == tuple(f"{c.prompt.text} {c.text}" for c in drawn)


def test_a_corpus_of_12000_repeats_nothing_and_has_few_words() -> None:
    """A small vocabulary and a plain grammar are what a tiny language model can learn in some hundred steps."""
    drawn = comments(12_000, np.random.default_rng(0))
    assert len({c.whole for c in drawn}) > 0.999 * len(drawn)
    assert len({c.text for c in drawn}) > 0.98 * len(drawn)
    words = [re.findall(r"[\w']+", c.whole.lower()) for c in drawn]
    assert len({word for text in words for word in text}) < 500
    assert 30 < np.mean([len(text) for text in words]) < 40


def test_the_lexicons_are_disjoint() -> None:
    for field in A._fields:
        assert not set(getattr(A, field)) & set(getattr(B, field)), field


@pytest.mark.parametrize(("shift", "used", "held_out"), [(0.0, A, B), (1.0, B, A)])
def test_a_full_shift_uses_the_other_lexicon_alone(shift: float, used: object, held_out: object) -> None:
    text = " ".join(c.whole.lower() for c in comments(2000, np.random.default_rng(2), shift=shift))
    for field in (*TOXIC_FIELDS, "group", "topic"):
        assert any(phrase.lower() in text for phrase in getattr(used, field)), field
        assert not [phrase for phrase in getattr(held_out, field) if f" {phrase.lower()}" in text], field


def test_a_completion_keeps_its_prompt_and_is_as_toxic_as_asked() -> None:
    rng = np.random.default_rng(8)
    opening = Prompt("Any words at all,", "neutral")
    assert completion(opening, rng, toxic=1.0).toxic
    clean = completion(opening, rng, toxic=0.0)
    assert (clean.prompt, clean.toxic, clean.subtypes) == (opening, False, frozenset())
    assert clean.whole == f"Any words at all, {clean.text}"


def test_completions_return_to_the_topic_of_their_prompt() -> None:
    rng = np.random.default_rng(9)
    on, off = (
        np.mean(["the chess club" in completion(Prompt(start, "neutral"), rng, toxic=0.2).text for _ in range(300)])
        for start in ("Hello, about the chess club,", "Hello,")
    )
    assert on > 3 * off


def test_tilted_averages_to_the_toxicity_asked_for() -> None:
    for toxic in (0.0, 0.07, 0.4, 0.9, 1.0):
        for hostile in (0.0, 0.3, 0.5, 1.0):
            mean = hostile * tilted(toxic, hostile, True) + (1 - hostile) * tilted(toxic, hostile, False)
            assert mean == pytest.approx(toxic, abs=1e-12)
            assert 0 <= tilted(toxic, hostile, True) <= 1 + 1e-12


def test_hostile_prompts_draw_more_toxic_comments(sample: tuple[Comment, ...]) -> None:
    def share(stance: Stance) -> float:
        return float(np.mean([c.toxic for c in sample if c.prompt.stance == stance]))

    assert share("hostile") > share("neutral") + 0.2


def test_the_expert_differs_from_the_base_writer_in_toxicity_and_not_in_length() -> None:
    pairs = preference_pairs(3500, np.random.default_rng(1))
    expert, base = ([getattr(p, role) for p in pairs] for role in ("preferred", "rejected"))
    for texts, share in ((expert, 0.07), (base, 0.40)):
        four_standard_errors = 4 * (share * (1 - share) / len(texts)) ** 0.5
        assert np.mean([toxicity(text) > 0.5 for text in texts]) == pytest.approx(share, abs=four_standard_errors)
    words = [np.mean([len(text.split()) for text in texts]) for texts in (expert, base)]
    assert words[0] == pytest.approx(words[1], rel=0.05)


def test_pairs_rarely_repeat_prompts_or_texts_and_never_tie_on_the_text() -> None:
    pairs = preference_pairs(3500, np.random.default_rng(1))
    assert all(p.preferred != p.rejected for p in pairs)
    assert len({p.prompt.text for p in pairs}) > 0.97 * len(pairs)
    assert len({text for p in pairs for text in (p.preferred, p.rejected)}) > 0.97 * 2 * len(pairs)
    # few rewards tie, so the truth ranks nearly every pair
    assert np.mean([reward(p.preferred) == reward(p.rejected) for p in pairs]) < 0.03


def test_one_seed_gives_one_set_of_pairs() -> None:
    first, again = (preference_pairs(20, np.random.default_rng(4), shift=0.5) for _ in range(2))
    assert first == again


def test_pairs_hold_as_many_hard_cases_as_asked() -> None:
    def misleading(hard: Hard) -> float:
        pairs = preference_pairs(400, np.random.default_rng(2), expert_toxic=0.0, hard=hard)
        return float(np.mean([says_a_toxic_word(p.preferred) for p in pairs]))

    assert misleading(Hard(0.0)) == 0.0
    assert misleading(Hard(1.0, ("negation",))) == 1.0


def test_both_stances_are_in_pairs_as_often_as_asked() -> None:
    for hostile in (0.0, 1.0):
        drawn = preference_pairs(30, np.random.default_rng(3), hostile=hostile)
        assert {p.prompt.stance for p in drawn} == {"hostile" if hostile else "neutral"}
