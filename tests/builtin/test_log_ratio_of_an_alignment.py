"""The log-ratio of a model aligned by a known reward, on a world so small that the alignment comes near its optimum.

The base writes eight words in random order, so it is nearly uniform, and the reward is a sum over words.  The optimum
of the training is ``p_base * exp(reward / kl)``, up to a factor a prompt, and its log-ratio ranks as the reward does.

The rank correlation is .97 with the reward and .08 with words that it does not know, and a word of reward is worth 1.00
nats.  Three other replicates have .97 to .98, -.03 to .01 and 1.00 to 1.01.  It takes 12 seconds of one core.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import spearmanr

from fairl_bench.builtin.lms.group_relative import Rloo
from fairl_bench.builtin.lms.tiny import TinyLM
from fairl_bench.builtin.methods.log_ratio import LogRatio
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Prompts
from fairl_bench.kinds.source import TestSet
from fairl_bench.science.streams import stream
from fairl_bench.values.data import GOLD, Examples, Floats, Rows, Truth
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import Asked, DrawnTexts, Sampling, Site
from fairl_bench.values.likelihoods import Continuations

WORDS = ("sun", "rain", "oak", "elm", "cat", "dog", "red", "blue")
SAMPLING = Sampling(max_new_tokens=8)
PROMPTS, DRAWS = 12, 8  # draws by each of the two models
KL = 1.0  # an optimal model is e times as likely to say the liked word as its base, up to a number a prompt


def sentences(n: int, words: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return so many sentences of so many words in random order."""
    return tuple(" ".join(rng.choice(WORDS, words)) for _ in range(n))


class RandomWords(TestSet):
    """Long sentences of random words: a completion seldom reaches an end."""

    def examples(self, rng: np.random.Generator) -> Examples:
        return Examples(sentences(300, 40, rng))


class Beginnings(Prompts):
    """Four random words each."""

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        return sentences(n, 4, rng)


class More(Judge):
    """How much more often a text has one word than another."""

    liked: str
    disliked: str

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        words = [text.split() for text in examples.text]
        value = np.array([float(one.count(self.liked) - one.count(self.disliked)) for one in words])
        return {GOLD: Truth(value, np.ones(len(value), np.int8))}


REWARD = More.named("more", liked="sun", disliked="rain")
INDEPENDENT = More.named("more", liked="oak", disliked="elm")  # two words that the reward does not know


class World(NamedTuple):
    """Completions by the base and by the aligned model, the row of each one's prompt, and their log-ratio."""

    completions: Examples
    row: Rows
    log_ratio: Floats

    def agreement(self, judge: Judge) -> float:
        """Return the mean over the prompts of the rank correlation of the log-ratio and what a judge says."""
        value = judge.judge(self.completions)[GOLD].value
        of_prompt = [self.row == i for i in range(PROMPTS)]
        return float(np.mean([spearmanr(self.log_ratio[rows], value[rows]).statistic for rows in of_prompt]))


def site(folder: Path, **upstream: Path) -> Site:
    """Return an empty place to work at."""
    for name in ("answer", "work"):
        (folder / name).mkdir(parents=True)
    return Site(folder / "answer", folder / "work", upstream)


def completed(lm: LM, voice: str, place: Site) -> Examples:
    """Return completions by a model, those of one prompt one after the other."""
    prompts = Beginnings.named("beginnings").texts(PROMPTS, stream("asked", place.replicate))
    row, draw = np.divmod(np.arange(PROMPTS * DRAWS), DRAWS)
    prompt = tuple(prompts[i] for i in row)
    found = lm.complete(Asked(prompt, tuple(row), tuple(draw), SAMPLING, voice, place.replicate), place)
    assert isinstance(found, DrawnTexts)
    return Examples(found.text, prompt, drawn=found.drawn)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    base = TinyLM.named(
        "tiny-lm",
        corpus=RandomWords.named("random-words"),
        layers=1,
        width=32,
        heads=2,
        vocab=320,
        steps=100,
        batch=16,
        length=32,
        lr=1e-2,
    )
    before = base.make(site(folder / "base")).folder
    aligner = Rloo.named(
        "rloo",
        base=base,
        prompts=Beginnings.named("beginnings"),
        reward=REWARD,
        sampling=SAMPLING,
        steps=60,
        batch=64,
        per_prompt=8,
        lr=3e-3,
        kl=KL,
    )
    after = aligner.make(site(folder / "aligned", base=before)).folder
    at = site(folder / "base-asked", lm=before), site(folder / "aligned-asked", lm=after)
    said = completed(base, "base", at[0]), completed(aligner, "aligned", at[1])
    drawn = DrawnTokens.joined([one.drawn for one in said if one.drawn is not None])
    completions = Examples(said[0].text + said[1].text, said[0].prompt + said[1].prompt, drawn=drawn)
    asked = Continuations.of(completions)
    log_ratio = LogRatio.named("log-ratio").ratio(base.likelihoods(asked, at[0]), aligner.likelihoods(asked, at[1]))
    return World(completions, np.tile(np.repeat(np.arange(PROMPTS), DRAWS), 2), log_ratio)


def test_the_log_ratio_ranks_the_completions_of_a_prompt_as_the_reward_of_the_alignment(world: World) -> None:
    assert world.agreement(REWARD) >= 0.8


def test_the_log_ratio_does_not_rank_them_by_words_that_the_reward_does_not_know(world: World) -> None:
    assert abs(world.agreement(INDEPENDENT)) < 0.5


def test_the_log_ratio_is_the_reward_divided_by_the_weight_of_the_penalty(world: World) -> None:
    value, ratio = REWARD.judge(world.completions)[GOLD].value, world.log_ratio
    each = [world.row == i for i in range(PROMPTS)]
    slopes = [np.polyfit(value[rows], ratio[rows], 1)[0] for rows in each]
    assert np.mean(slopes) == pytest.approx(1 / KL, rel=0.1)  # sixty steps come near the optimum, not to it
