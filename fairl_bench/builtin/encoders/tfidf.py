"""Embeddings without a model: words, weighted and projected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.data import Vectors
from fairl_bench.errors import DataError
from fairl_bench.kinds import Encoder


class Tfidf(Encoder):
    """TF-IDF of words and word pairs, projected by a truncated SVD (latent semantic analysis), of unit length.

    Learns its words and its projection from the training texts alone.
    """

    fitted: ClassVar[bool] = True

    dimensions: int = Field(256, ge=2, description="numbers a vector, fewer where the corpus allows no more")
    words: int = Field(20_000, ge=10, description="most frequent words and word pairs to keep")

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        """One row a text ``[n, dimensions]``; a text of unknown words alone is the zero vector."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.preprocessing import normalize

        vectorizer = TfidfVectorizer(ngram_range=(1, 2), max_features=self.words, sublinear_tf=True, dtype=np.float64)
        try:
            counts = vectorizer.fit_transform(corpus)
        except ValueError as error:
            raise DataError(f"tfidf finds no word in its {len(corpus)} training texts: {error}") from error
        if counts.shape[1] < 2:
            raise DataError(f"tfidf needs two different words in its {len(corpus)} training texts, got 1")
        dimensions = max(1, min(self.dimensions, min(counts.shape) - 1))
        with np.errstate(invalid="ignore"):  # the share of variance explained, unused, is 0/0 when all texts are equal
            svd = TruncatedSVD(dimensions, random_state=0).fit(counts)
        if not texts:
            return np.empty((0, dimensions), np.float32)
        return np.asarray(normalize(svd.transform(vectorizer.transform(texts))), np.float32)
