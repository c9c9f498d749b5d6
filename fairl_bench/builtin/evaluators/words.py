"""The words that the preferred or the rejected texts of pairs use more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.errors import Undefined
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.metrics import Metric
from fairl_bench.science.word_odds import WordOdds, word_odds
from fairl_bench.values.contents import FDR, TOLD_APART, WORD
from fairl_bench.values.data import Examples, Floats, Scored
from fairl_bench.values.records import Measure

FEWEST_PROMPTS = 20
"""A variance over fewer prompts is too rough for a normal distribution."""
_LONGEST = 100  # letters: a text in a script without spaces is one word, and names of records have bounds


class Words(Evaluator):
    """Words and bigrams that the preferred or the rejected texts use more, with a false discovery rate of 5 %.

    Log-odds with an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, "Fightin' Words"); z of a score test,
    its variance clustered by prompt; q by Benjamini & Hochberg (1995) over all words that are tested.  A word is two or
    more letters, digits or underscores, in lower case.  ``words_told_apart`` counts those with q of at most .05; a
    number of one word is about the truth ``word:WORD``.  Positive is more in preferred texts.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(TOLD_APART),
        Metric("word_z"),
        Metric("word_log_odds"),
        Metric("word_q", bounds=(0, 1)),
        Metric("word_preferred"),
        Metric("word_rejected"),
    )
    reads_reward: ClassVar[bool] = False

    least: int = Field(5, ge=1, description="texts, of both sides together, that a word stands in to be tested")
    most: int = Field(40, ge=1, description="words of each side that are on record, those with the greatest |z| first")

    def measured(self) -> frozenset[str]:
        """Return no truth, that of the number of words; which words there are is known only from the texts."""
        return frozenset({""})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterator[Measure]:
        """Return how many words are told apart, and five numbers of each word on record; NaN where there are no pairs.

        n of the first is the number of words tested, n of the others that of prompts.
        """
        for data in self.data:
            try:
                counted = _counted(scored[data].examples, self.least)
            except Undefined as reason:
                yield Measure(data, "", TOLD_APART, math.nan, len(scored[data].examples), str(reason))
                continue
            found = word_odds(counted.preferred, counted.rejected)
            yield Measure(data, "", TOLD_APART, float((found.q <= FDR).sum()), len(counted.words))
            for side in (1, -1):
                for at in _greatest(side * found.z, self.most):
                    yield from _of_word(data, counted, found, at)


class _Counted(NamedTuple):
    """How often each word stands in the texts of each side of each prompt."""

    words: Sequence[str]
    preferred: Any  # [prompts, words] sparse
    rejected: Any  # [prompts, words] sparse

    @property
    def prompts(self) -> int:
        """How many prompts there are."""
        return int(self.preferred.shape[0])

    @property
    def totals(self) -> tuple[Floats, Floats]:
        """How often each side uses each word ``[words]``."""
        return np.asarray(self.preferred.sum(0)).ravel(), np.asarray(self.rejected.sum(0)).ravel()


def _counted(examples: Examples, least: int) -> _Counted:
    """The words and bigrams of pairs that at least ``least`` texts have.  Raises `Undefined` where there are none."""
    from scipy import sparse
    from sklearn.feature_extraction.text import CountVectorizer

    from fairl_bench.science.concepts import told_prompts

    if not (examples.role != 0).any():
        raise Undefined("words that tell two sides apart need pairs")
    paired = examples.take(np.flatnonzero(examples.role))
    prompt = told_prompts(paired.prompt, paired.pair)
    prompts = int(prompt.max()) + 1
    if prompts < FEWEST_PROMPTS:
        raise Undefined(f"words need at least {FEWEST_PROMPTS} prompts, got {prompts}")
    vectorizer = CountVectorizer(lowercase=True, ngram_range=(1, 2))
    if not any(map(vectorizer.build_analyzer(), paired.text)):
        raise Undefined("no text has a word of two letters or more")
    counts = sparse.csr_array(vectorizer.fit_transform(paired.text), dtype=np.float64)
    names = vectorizer.get_feature_names_out()
    kept = np.flatnonzero([len(name) <= _LONGEST for name in names] & (np.bincount(counts.indices) >= least))
    if not len(kept):
        raise Undefined(f"no word stands in {least} texts or more")
    shape = (prompts, len(prompt))
    sides = [
        sparse.csr_array(((paired.role == side).astype(np.float64), (prompt, np.arange(len(prompt)))), shape=shape)
        for side in (1, -1)
    ]
    preferred, rejected = (sparse.csr_array(side @ counts[:, kept]) for side in sides)
    return _Counted([str(names[at]) for at in kept], preferred, rejected)


def _greatest(z: Floats, most: int) -> list[int]:
    """The words with the greatest positive z, at most ``most`` of them; equal ones by their alphabet."""
    order = np.argsort(-z, kind="stable")[:most]
    return [int(at) for at in order if z[at] > 0]


def _of_word(data: str, counted: _Counted, found: WordOdds, at: int) -> Iterator[Measure]:
    preferred, rejected = counted.totals
    numbers = {
        "word_z": found.z[at],
        "word_log_odds": found.log_odds[at],
        "word_q": found.q[at],
        "word_preferred": preferred[at],
        "word_rejected": rejected[at],
    }
    for metric, value in numbers.items():
        yield Measure(data, WORD + counted.words[at], metric, float(value), counted.prompts)
