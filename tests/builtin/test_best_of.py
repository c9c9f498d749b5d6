"""The best of n by a judge, against a base whose few texts and their chances are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fairl_bench.builtin.lms.best_of import BestOf
from fairl_bench.builtin.prompts import ToyPrompts
from fairl_bench.builtin.sources.aligned_lm import AlignedLM
from fairl_bench.engine.stages.models import ask_each
from fairl_bench.errors import DataError, NotFinite
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Ask, AskDraws, AskLikelihoods, Candidates
from fairl_bench.science.realignment import best_of_kl
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_lm
from fairl_bench.values.data import GOLD, Examples, Floats, Truth
from fairl_bench.values.drawn_tokens import DrawnTokens, offsets_of
from fairl_bench.values.language_models import Asked, Completions, DrawnTexts, Model, Sampling, Site
from fairl_bench.values.likelihoods import Continuations, Likelihoods

REGISTRY = Registry(installed=False)
TEXTS = ("bad", "fine", "good", "kind", "best")
CHANCE = {"p": np.array([0.3, 0.2, 0.1, 0.25, 0.15]), "q": np.array([0.05, 0.3, 0.3, 0.05, 0.3])}
VALUE = {"bad": 0.0, "fine": 1.0, "good": 1.0, "kind": 1.0, "best": 2.0}  # three are liked equally
SAMPLING = Sampling(max_new_tokens=3)
TINY = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}}


class Dice(LM):
    """One of five texts, by a throw for each."""

    tells_ends: ClassVar[bool] = True

    def make(self, site: Site) -> Model:
        return Model(site.folder)

    def complete(self, asked: Asked, site: Site) -> DrawnTexts:
        thrown = [asked.rng(i).choice(5, p=CHANCE[prompt]) for i, prompt in enumerate(asked.prompt)]
        tokens = DrawnTokens.made([[i, 5] for i in thrown], [True] * len(thrown), "dice", [-1.0] * len(thrown))
        return DrawnTexts(tuple(TEXTS[i] for i in thrown), tokens)

    def likelihoods(self, continuations: Continuations, site: Site) -> Likelihoods:
        pairs = zip(continuations.prompt, continuations.text, strict=True)
        total = np.array([np.log(CHANCE[prompt][TEXTS.index(text)]) for prompt, text in pairs])
        zeros, n = np.zeros(len(total)), len(total)
        flags = np.ones(n, np.bool_), np.zeros(n, np.bool_)
        return Likelihoods(total, total.astype(np.float32), offsets_of([1] * n), zeros, zeros, *flags)


class Liking(Judge):
    """A number a text."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        value = np.array([VALUE.get(text, np.nan) for text in examples.text])
        return {GOLD: Truth(value, np.ones(len(value), np.int8))}


DICE, LIKING = Dice.named("dice"), Liking.named("liking")


def best_of(**fields: Any) -> BestOf:
    return BestOf.named("best-of", **{"base": DICE, "reward": LIKING, "n": 3, "sampling": SAMPLING, **fields})


def site(**upstream: Any) -> Site:
    return Site(Path(), Path(), upstream)


def answered(asked: Asked, lm: LM) -> Completions:
    """What a stage gives for these requests: the best of n after its candidates."""
    at = site()
    if isinstance(lm, BestOf):
        request = lm.completes_from(Ask(lm=lm, prompts=ToyPrompts.named("toy-prompts"), n=1, voice=asked.voice))
        candidates = request["candidates"]
        assert isinstance(candidates, Candidates)
        voiced = Asked(asked.prompt, asked.row, asked.draw, asked.sampling, candidates.of.voice, asked.replicate)
        at = site(candidates=answered(voiced.repeated(candidates.times), candidates.of.lm))
    found = lm.complete(asked, at)
    assert isinstance(found, DrawnTexts)
    return Completions(asked.prompt, found.text, asked.row, asked.draw, found.drawn)


def asked(n: int, voice: str = "expert", prompts: Sequence[str] = ("p", "q")) -> Asked:
    row = tuple(i % len(prompts) for i in range(n))
    draw = tuple(i // len(prompts) for i in range(n))
    return Asked(tuple(prompts[i] for i in row), row, draw, SAMPLING, voice, 0)


def exact(prompt: str, n: int) -> Floats:
    """The chance of each text to be chosen, by counting all possibilities."""
    chance, value = CHANCE[prompt], np.array([VALUE[text] for text in TEXTS])
    found = np.zeros(5)
    for rows in product(range(5), repeat=n):
        found[rows[int(value[list(rows)].argmax())]] += chance[list(rows)].prod()
    return found


def shares(texts: Sequence[str]) -> Floats:
    return np.array([texts.count(text) for text in TEXTS]) / len(texts)


# --- completions


@pytest.mark.parametrize("prompt", ["p", "q"])
def test_texts_are_chosen_as_often_as_all_possibilities_say(prompt: str) -> None:
    n = 3000
    found = answered(asked(n, prompts=[prompt]), best_of())
    expected = exact(prompt, 3)
    assert np.abs(shares(found.text) - expected).max() < 4 * (0.25 / n) ** 0.5


def test_a_choice_is_independent_of_what_the_base_writes_beside_it() -> None:
    n = 3000
    texts = [answered(asked(n, voice, ["p"]), lm).text for voice, lm in (("base", DICE), ("expert", best_of()))]
    both = list(zip(*texts, strict=True))
    together = np.array([[both.count((one, other)) for other in TEXTS] for one in TEXTS]) / n
    apart = np.outer(CHANCE["p"], exact("p", 3))
    assert np.abs(together - apart).max() < 4 * (0.25 / n) ** 0.5


def test_a_choice_depends_on_its_prompt_and_draw_alone() -> None:
    every, lm = asked(40), best_of()
    whole = answered(every, lm).text
    assert answered(every.take([7, 3]), lm).text == (whole[7], whole[3])
    assert [answered(every.take([i]), lm).text[0] for i in range(5)] == list(whole[:5])
    assert answered(asked(40, "other"), lm).text != whole


def test_it_keeps_the_contract() -> None:
    prompts = ("p", "q", "p")
    candidates = answered(Asked(prompts, (0, 1, 2), (0, 0, 0), SAMPLING, "check", 0).repeated(3), DICE)
    lm = REGISTRY.build(BestOf, {"use": "best-of", "reward": {"use": "toy-truth"}, "base": TINY, "n": 3})
    check_lm(lm, prompts, registry=REGISTRY, candidates=candidates)


def test_of_candidates_that_are_liked_equally_it_takes_the_first() -> None:
    texts = ("fine", "kind", "bad", "bad", "bad", "good", "kind", "best", "best")
    candidates = Completions(("p",) * 9, texts, (0,) * 9, tuple(range(9)))
    requests = Asked(("p",) * 3, (0,) * 3, (0, 1, 2), SAMPLING, "expert", 0)
    chosen = best_of().complete(requests, site(candidates=candidates))
    assert chosen.text == ("fine", "good", "best")
    assert chosen.drawn is None  # as of candidates from a server
    assert chosen.facts == {
        "best_of": 3,
        "kl_at_most": best_of_kl(3),
        "reward": pytest.approx(4 / 3),
        "reward_of_candidates": pytest.approx(8 / 9),
        "tied": pytest.approx(2 / 3),
    }


def test_what_was_drawn_keeps_its_tokens_and_not_how_likely_the_base_found_it() -> None:
    found = answered(asked(6), best_of())
    assert found.drawn is not None
    assert [TEXTS[found.drawn.of(i)[0]] for i in range(6)] == list(found.text)
    assert found.drawn.ended.all()
    assert np.isnan(found.drawn.log_probability).all()


def test_the_best_of_one_is_the_base() -> None:
    chosen = answered(asked(2000, prompts=["p"]), best_of(n=1))
    assert np.abs(shares(chosen.text) - CHANCE["p"]).max() < 4 * (0.25 / 2000) ** 0.5


def test_the_best_of_the_best_is_the_best_of_all_their_candidates() -> None:
    n = 2000
    chosen = answered(asked(n, prompts=["p"]), best_of(base=best_of(n=2)))
    assert np.abs(shares(chosen.text) - exact("p", 6)).max() < 4 * (0.25 / n) ** 0.5


def test_a_reward_that_is_no_number_is_refused() -> None:
    candidates = Completions(("p",) * 3, ("fine", "unheard", "bad"), (0,) * 3, (0, 1, 2))
    with pytest.raises(NotFinite, match="judge 'liking' rewards the completion 'unheard' with nan"):
        best_of().complete(asked(1), site(candidates=candidates))


# --- likelihoods


def told(lm: BestOf, continuations: Continuations, replicate: int = 0) -> Likelihoods:
    """What a stage gives of these texts."""
    draws = lm.likelihoods_from(AskLikelihoods(lm=lm))["draws"]
    assert isinstance(draws, AskDraws)
    drawn = answered(ask_each(continuations.prompt, draws.each, draws.sampling, draws.voice, replicate), draws.lm)
    inner = draws.lm
    of_base = told(inner, continuations) if isinstance(inner, BestOf) else inner.likelihoods(continuations, site())
    return lm.likelihoods(continuations, site(draws=drawn, base=of_base))


def every_text() -> Continuations:
    return Continuations(("p",) * 5 + ("q",) * 5, TEXTS * 2)


def ratios(prompt: str, n: int) -> Floats:
    """The true log-ratio of each text to the base."""
    return np.log(exact(prompt, n) / CHANCE[prompt])


def noise(prompt: str, n: int, draws: int) -> Floats:
    """The standard error of an estimate, at most: that of ``(n - 1) log F``."""
    value = np.array([VALUE[text] for text in TEXTS])
    up_to = np.array([CHANCE[prompt][value <= one].sum() for one in value])
    return (n - 1) * np.sqrt((1 - up_to).clip(0) / up_to / draws)


@pytest.mark.parametrize("prompt", ["p", "q"])
def test_from_many_draws_texts_are_as_likely_as_all_possibilities_say(prompt: str) -> None:
    asked_for = Continuations((prompt,) * 5, TEXTS)
    found = told(best_of(estimate_from=2000), asked_for)
    assert found.whole is not None
    assert (np.abs(found.whole - ratios(prompt, 3)) < 4 * noise(prompt, 3, 2000) + 0.06).all()
    assert found.total == pytest.approx(np.log(CHANCE[prompt]) + found.whole, abs=1e-12)
    assert np.isnan(found.before).all()


def test_from_few_draws_it_is_near_on_average() -> None:
    asked_for = Continuations(("p",) * 5, TEXTS)
    found = [told(best_of(estimate_from=32), asked_for, replicate).whole for replicate in range(60)]
    mean = np.mean([one for one in found if one is not None], 0)
    # its bias is of the order of 1 / draws, see tests/science/test_best_of_n.py
    assert (np.abs(mean - ratios("p", 3)) < 4 * noise("p", 3, 32 * 60) + 0.1).all()


def test_a_text_is_told_alike_in_any_company() -> None:
    lm, asked_for = best_of(estimate_from=16), every_text()
    whole = told(lm, asked_for)
    for rows in ([9, 2, 2], [4]):
        assert told(lm, asked_for.take(rows)).total.tolist() == whole.total[rows].tolist()


def test_the_best_of_the_best_is_told_as_the_best_of_all() -> None:
    asked_for = Continuations(("p",) * 5, TEXTS)
    found = told(best_of(n=2, base=best_of(n=2, estimate_from=1000), estimate_from=1000), asked_for)
    assert found.whole is not None
    assert (np.abs(found.whole - ratios("p", 4)) < 4 * noise("p", 4, 1000) + 0.06).all()


# --- what it asks for


def test_it_asks_its_base_for_candidates_with_random_numbers_of_their_own() -> None:
    lm = best_of()
    request = Ask(lm=lm, prompts=ToyPrompts.named("toy-prompts"), n=9, voice="expert", shards=2)
    (candidates,) = lm.completes_from(request).values()
    assert isinstance(candidates, Candidates)
    assert candidates.times == 3
    assert candidates.of == request.model_copy(update={"lm": DICE, "voice": "expert/candidates"})


@pytest.mark.parametrize("prompts", ["given", "withheld"])
def test_it_asks_its_base_for_the_same_likelihoods_and_for_draws_of_the_same_prompts(prompts: Any) -> None:
    lm = best_of(estimate_from=7)
    request = AskLikelihoods(lm=lm, prompts=prompts, batch=3)
    starts = lm.likelihoods_from(request)
    assert starts["base"] == request.model_copy(update={"lm": DICE})
    assert starts["draws"] == AskDraws(lm=DICE, prompts=prompts, each=7, sampling=SAMPLING, voice="draws")


BLEND = {"use": "blend", "of": {"words": {"use": "words"}}, "weights": {"words": -1.0}}


def source(**expert: Any) -> AlignedLM:
    expert = {"use": "best-of", "reward": BLEND, **expert}
    found = REGISTRY.build(
        AlignedLM,
        {"use": "aligned-lm", "base": TINY, "expert": expert, "prompts": {"use": "toy-prompts"}, "gold": BLEND},
    )
    assert isinstance(found, AlignedLM)
    return found


def test_in_a_source_it_takes_its_base_its_sampling_and_the_scale_of_its_reward() -> None:
    base, expert = (of := source()).models()
    assert isinstance(expert, BestOf)
    assert (expert.base, expert.sampling) == (base, of.sampling)
    assert expert.reward == of.judge()  # one scale, so that the truth of the pairs is its reward
    assert of.unbounded() == ""


def test_what_it_names_itself_it_keeps() -> None:
    _, expert = source(base={**TINY, "steps": 3}, sampling={"max_new_tokens": 5}).models()
    assert isinstance(expert, BestOf)
    assert expert.base is not None
    assert (expert.base.steps, expert.sampling) == (3, Sampling(max_new_tokens=5))  # type: ignore[attr-defined]


def test_without_a_source_it_needs_a_base() -> None:
    lm = BestOf.named("best-of", reward=LIKING)
    with pytest.raises(
        DataError, match="language model 'best-of' has nothing to choose from: name its 'base', or make"
    ):
        lm.completes_from(Ask(lm=lm, prompts=ToyPrompts.named("toy-prompts"), n=1))


LLAMA = REGISTRY.build(LM, {"use": "completions-api", "url": "http://a/v1", "model": "m", "server": "llama.cpp"})


@pytest.mark.parametrize(
    ("fields", "how", "said"),
    [
        ({"base": None}, {}, "outside of a source its 'base' is not known; name it in"),
        ({"sampling": None}, {}, "outside of a source its 'sampling' is not known"),
        ({}, {"temperature": 2.0}, "no logits that a temperature divides, got 2; set"),
        ({}, {"values": True}, "best of n has no logits, and so no values of states"),
        ({"base": LLAMA}, {}, LLAMA.refuses_likelihoods()),
    ],
)
def test_it_says_why_it_cannot_tell_likelihoods(fields: dict[str, Any], how: dict[str, Any], said: str) -> None:
    assert said in best_of(**fields).refuses_likelihoods(**how)
    assert best_of().refuses_likelihoods() == ""


def test_it_has_no_weights() -> None:
    sentence = "language model 'best-of' chooses among texts and has no weights of its own; name its base instead"
    with pytest.raises(DataError, match=sentence):
        best_of().make(site())


def test_it_counts_ends_as_its_base_does() -> None:
    served = REGISTRY.build(LM, {"use": "completions-api", "url": "http://a/v1", "model": "m"})
    assert best_of().tells_ends
    assert not best_of(base=served).tells_ends
    assert BestOf(reward=LIKING).tells_ends
