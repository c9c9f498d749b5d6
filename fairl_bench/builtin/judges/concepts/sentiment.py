"""How positive a text is, by VADER."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

from fairl_bench.builtin.judges.concepts.reading import sentences_of
from fairl_bench.builtin.judges.concepts.text_amount import TextAmount

# characters: of a sentence with "but", or with emoji, the library takes the square of its words
_LONGEST, _LONGEST_SENTENCE = 10_000, 500


class Sentiment(TextAmount):
    """The mean sentiment of its sentences by VADER, from -1, negative, to 1, positive; English.

    The library ``vaderSentiment`` (Hutto and Gilbert 2014): a lexicon of words and emoticons, with rules for negation,
    emphasis and capitals, so that a word in capitals counts for more.  Its ``compound`` score of a whole text grows
    with length, and so it is taken of each sentence, as the library's authors advise for long texts.  Of a text the
    first 10,000 characters are read, and of a sentence the first 500.
    """

    concept: ClassVar[str] = "positive sentiment"

    def amount(self, text: str) -> float:
        """Return the mean in [-1, 1]."""
        found = sentences_of(text[:_LONGEST])
        score = _analyser().polarity_scores
        return sum(score(sentence[:_LONGEST_SENTENCE])["compound"] for sentence in found) / len(found) if found else 0.0


@lru_cache(maxsize=1)
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
