"""Parts for ``page.py``: texts by the ten thousand, and methods that say something of each without learning it."""

import zlib

import numpy as np

from fairl_bench import Encoder, Examples, Field, Method, Pairs, Reward, Source, TestSet, Truth, hookimpl

WORDS = ("a", "bad", "day", "good", "and", "how", "it", "never", "of", "one", "or", "people", "read", "say", "that")


def written(n, rng):
    """``n`` different texts of about a hundred letters, and their truth: the share of good words over bad ones."""
    chosen = rng.integers(0, len(WORDS), (n, 22))
    texts = tuple(f"{i}: " + " ".join(WORDS[word] for word in row) for i, row in enumerate(chosen))
    return texts, (chosen == WORDS.index("good")).sum(1) - (chosen == WORDS.index("bad")).sum(1) + rng.normal(0, 0.5, n)


def truth(value):
    """A truth of these values ``[n]``: better than none is good."""
    return Truth(value, np.where(value > 0, 1, -1).astype(np.int8))


class ManyPairs(Source):
    """Pairs of written texts."""

    n: int = Field(10_000, ge=10, description="pairs")

    def judged(self):
        return True

    def pairs(self, rng):
        texts, value = written(2 * self.n, rng)
        value = value.reshape(-1, 2)
        best = value.argmax(1)
        rows = np.arange(self.n) * 2
        order = np.stack([rows + best, rows + 1 - best], 1).ravel()
        prompts = tuple(f"prompt {i % 500}" for i in range(self.n))
        known = {"gold": truth(value.ravel()[order])}
        return Pairs(tuple(texts[i] for i in order[::2]), tuple(texts[i] for i in order[1::2]), prompts, prompts, known)


class ManyTexts(TestSet):
    """Written texts."""

    n: int = Field(20_000, ge=10, description="texts")

    def examples(self, rng):
        texts, value = written(self.n, rng)
        return Examples(texts, truths={"gold": truth(value)})


class Zeros(Encoder):
    """No number but 0."""

    def encode(self, texts, corpus):
        return np.zeros((len(texts), 2), np.float32)


class Guess(Method):
    """Knows good words from bad ones, and adds noise that is its own."""

    reads_vectors = False
    noise: float = Field(1.0, ge=0, description="the spread of what it adds")

    def fit(self, task):
        return Reward({"seed": np.array([task.seed], np.float32)})

    def score(self, reward, inputs):
        counted = np.array([text.count(" good") - text.count(" bad") for text in inputs.text], float)
        rng = np.random.default_rng([zlib.crc32(repr(self.noise).encode()), int(reward.arrays["seed"][0])])
        return counted + self.noise * rng.normal(size=len(counted))


@hookimpl
def fairl_sources(register):
    register("many-pairs", ManyPairs)


@hookimpl
def fairl_testsets(register):
    register("many-texts", ManyTexts)


@hookimpl
def fairl_encoders(register):
    register("zeros", Zeros)


@hookimpl
def fairl_methods(register):
    register("guess", Guess)
