"""An encoder without a model: weighted words, projected."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.errors import DataError
from fairl_bench.guards.truncation import reads_are_logged, report_read
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.values.data import Floats, Vectors

_NOTHING = 1e-9  # of a vector of length 1


class Tfidf(Encoder):
    """TF-IDF of words and word pairs, projected by a truncated SVD (latent semantic analysis), of unit length.

    Learns its words and its projection from the training texts alone.
    """

    fitted: ClassVar[bool] = True

    dimensions: int = Field(256, ge=2, description="numbers in a vector; fewer where the corpus allows only fewer")
    words: int = Field(20_000, ge=10, description="how many of the most frequent words and word pairs are kept")

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        """Return one row a text ``[n, dimensions]``; a text without a known word is the zero vector."""
        from sklearn.preprocessing import normalize

        vectorizer, svd = _fitted(tuple(corpus), self.dimensions, self.words)
        if not texts:
            return np.empty((0, svd.n_components), np.float32)
        projected = svd.transform(vectorizer.transform(texts))
        # what is left of a text that has no share in any dimension is rounding, and no direction to normalise
        projected[np.linalg.norm(projected, axis=1) < _NOTHING] = 0
        self._report(vectorizer, texts, projected)
        return np.asarray(normalize(projected), np.float32)

    def _report(self, vectorizer: Any, texts: Sequence[str], vectors: Floats) -> None:
        """Report how many words of each text are known; none where its vector is zero."""
        if reads_are_logged():
            words, known = vectorizer.build_tokenizer(), vectorizer.vocabulary_
            split = [words(vectorizer.build_preprocessor()(text)) for text in texts]
            read = [
                sum(word in known for word in words_of_text) * bool(row.any())
                for words_of_text, row in zip(split, vectors, strict=True)
            ]
            report_read(self, [len(words_of_text) for words_of_text in split], read, "words")


@lru_cache(maxsize=2)  # an alignment, or a server, asks for a few texts at every step
def _fitted(corpus: tuple[str, ...], dimensions: int, words: int) -> tuple[Any, Any]:
    """Return the words and the projection of a corpus."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), max_features=words, sublinear_tf=True, dtype=np.float64)
    try:
        counts = vectorizer.fit_transform(corpus)
    except ValueError as error:
        raise DataError(f"tfidf finds no word in its {len(corpus)} training texts: {error}") from error
    if counts.shape[1] < 2:
        raise DataError(f"tfidf needs two different words in its {len(corpus)} training texts, got 1")
    dimensions = max(1, min(dimensions, min(counts.shape) - 1))
    with np.errstate(invalid="ignore"):  # the share of variance explained, unused, is 0/0 when all texts are equal
        return vectorizer, TruncatedSVD(dimensions, random_state=0).fit(counts)
