import numpy as np
import pytest

from fairl_bench.toy import grammar
from fairl_bench.toy.grammar import Comment, comment, comments, completion, prompt, tilted
from fairl_bench.toy.lexicon import SUBTYPES, TOXIC_FIELDS, A, B
from fairl_bench.toy.pairs import preference_pairs
from fairl_bench.toy.truth import SEVERITY, reward, subtypes, toxicity

SHIFTS = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module", params=SHIFTS)
def sample(request: pytest.FixtureRequest) -> tuple[Comment, ...]:
    return comments(5000, np.random.default_rng(11), shift=request.param)


def test_the_rule_agrees_with_the_grammars_intent(sample: tuple[Comment, ...]) -> None:
    assert np.mean([(toxicity(c.text) > 0.5) == c.toxic for c in sample]) >= 0.995
    assert np.mean([subtypes(c.text) == c.subtypes for c in sample]) >= 0.99


def test_a_prompt_never_decides_the_truth(sample: tuple[Comment, ...]) -> None:
    assert max(toxicity(c.prompt) for c in sample) < 0.5
    assert np.mean([(toxicity(f"{c.prompt} {c.text}") > 0.5) == c.toxic for c in sample]) >= 0.995


def test_texts_hold_9_to_35_words_whatever_their_class(sample: tuple[Comment, ...]) -> None:
    lengths = np.array([len(c.text.split()) for c in sample])
    toxic = np.array([c.toxic for c in sample])
    assert lengths.min() >= 9
    assert lengths.max() <= 35
    assert lengths[toxic].mean() == pytest.approx(lengths[~toxic].mean(), rel=0.05)


def test_the_toxic_share_is_the_one_asked_for(sample: tuple[Comment, ...]) -> None:
    four_standard_errors = 4 * (0.39 * 0.61 / len(sample)) ** 0.5
    assert np.mean([c.toxic for c in sample]) == pytest.approx(0.39, abs=four_standard_errors)


def test_toxic_comments_alone_have_subtypes_and_every_subtype_occurs(sample: tuple[Comment, ...]) -> None:
    assert all(bool(c.subtypes) == c.toxic for c in sample)
    assert frozenset().union(*(c.subtypes for c in sample)) == set(SUBTYPES)


def test_about_a_quarter_of_the_clean_comments_hold_toxic_words(sample: tuple[Comment, ...]) -> None:
    words = [word for table in SEVERITY.values() for word in table]
    clean = [c.text.lower() for c in sample if not c.toxic]
    assert 0.2 < np.mean([any(word in text for word in words) for text in clean]) < 0.3


def test_one_seed_gives_one_sequence_of_comments() -> None:
    first, again, other = (comments(50, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_comments_is_comment_drawn_n_times() -> None:
    one_by_one = np.random.default_rng(5)
    assert comments(20, np.random.default_rng(5)) == tuple(comment(one_by_one) for _ in range(20))
    assert comments(0, np.random.default_rng(5)) == ()


def test_under_two_percent_of_12000_texts_repeat() -> None:
    texts = [c.text for c in comments(12_000, np.random.default_rng(0))]
    assert len(set(texts)) > 0.98 * len(texts)


def test_the_lexicons_are_disjoint() -> None:
    for field in A._fields:
        assert not set(getattr(A, field)) & set(getattr(B, field)), field


@pytest.mark.parametrize(("shift", "used", "held_out"), [(0.0, A, B), (1.0, B, A)])
def test_a_full_shift_uses_the_other_lexicon_alone(shift: float, used: object, held_out: object) -> None:
    text = " ".join(f"{c.prompt} {c.text}".lower() for c in comments(2000, np.random.default_rng(2), shift=shift))
    for field in (*TOXIC_FIELDS, "group", "topic"):
        assert any(phrase.lower() in text for phrase in getattr(used, field)), field
        assert not [phrase for phrase in getattr(held_out, field) if f" {phrase.lower()}" in text], field


@pytest.mark.parametrize("frames", [grammar.FRAMES_A, grammar.FRAMES_B])
def test_every_toxic_frame_has_a_toxic_slot_and_no_prompt_frame_has_one(frames: grammar.Frames) -> None:
    assert all(any(f"{{{field}}}" in frame for field in TOXIC_FIELDS) for frame in frames.toxic)
    for frame in (*frames.greeting, *frames.neutral, *frames.challenge, *frames.hostile):
        assert not any(f"{{{field}}}" in frame for field in TOXIC_FIELDS)


def test_a_completion_keeps_its_prompt_and_is_as_toxic_as_asked() -> None:
    rng = np.random.default_rng(8)
    assert completion("Any words at all,", rng, toxic=1.0).toxic
    clean = completion("Any words at all,", rng, toxic=0.0)
    assert (clean.prompt, clean.toxic, clean.subtypes) == ("Any words at all,", False, frozenset())


def test_completions_return_to_the_topic_of_their_prompt() -> None:
    rng = np.random.default_rng(9)
    on, off = (
        np.mean(["the chess club" in completion(start, rng, toxic=0.2).text for _ in range(300)])
        for start in ("Hello, about the chess club,", "Hello,")
    )
    assert on > 3 * off


def test_tilted_averages_to_the_toxicity_asked_for() -> None:
    for toxic in (0.0, 0.07, 0.4, 0.9, 1.0):
        for hostile in (0.0, 0.3, 0.5, 1.0):
            mean = hostile * tilted(toxic, hostile, True) + (1 - hostile) * tilted(toxic, hostile, False)
            assert mean == pytest.approx(toxic, abs=1e-12)
            assert 0 <= tilted(toxic, hostile, True) <= 1 + 1e-12


def test_hostile_prompts_draw_more_toxic_comments() -> None:
    challenges = tuple(grammar.FRAMES_A.challenge)
    drawn = comments(3000, np.random.default_rng(6))
    hostile, neutral = (
        np.mean([c.toxic for c in drawn if c.prompt.startswith(challenges) == stance]) for stance in (True, False)
    )
    assert hostile > neutral + 0.2


def test_prompts_have_the_stance_asked_for() -> None:
    rng = np.random.default_rng(7)
    challenges = tuple(grammar.FRAMES_A.challenge)
    assert all(prompt(rng, hostile=1.0).startswith(challenges) for _ in range(50))
    assert not any(prompt(rng, hostile=0.0).startswith(challenges) for _ in range(50))


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
    assert len({p.prompt for p in pairs}) > 0.97 * len(pairs)
    assert len({text for p in pairs for text in (p.preferred, p.rejected)}) > 0.97 * 2 * len(pairs)
    # few rewards tie, so the truth ranks nearly every pair
    assert np.mean([reward(p.preferred) == reward(p.rejected) for p in pairs]) < 0.03


def test_one_seed_gives_one_set_of_pairs() -> None:
    first, again = (preference_pairs(20, np.random.default_rng(4), shift=0.5) for _ in range(2))
    assert first == again
