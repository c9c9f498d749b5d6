"""Pairs as a method gets them: rows of unique vectors, without pairs whose texts have equal vectors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import DataError
from fairl_bench.values.data import GOLD, TRAIN, VALIDATION, Embeddings, Examples, Rows, Split
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.training import Preferences

_BLOCK = 8192  # pairs compared at once: their vectors are copied


class Parts(NamedTuple):
    """The training and the validation pairs, and how many pairs were left out of both."""

    train: Preferences
    validation: Preferences
    left_out: int
    clusters: Rows  # [training pairs] codes of what is resampled together

    def resampled(self, rng: np.random.Generator) -> Preferences:
        """As many clusters of training pairs as there are, drawn with replacement."""
        count = np.unique(self.clusters, return_counts=True)[1]
        of_cluster = np.split(np.argsort(self.clusters, kind="stable"), np.cumsum(count)[:-1])
        drawn = rng.integers(len(count), size=len(count))
        return self.train.take(np.concatenate([of_cluster[i] for i in drawn]))


def preferences(
    examples: Examples,
    split: Split,
    embeddings: Embeddings,
    likelihoods: Mapping[str, Likelihoods] = MappingProxyType({}),
    *,
    leave_equal: bool,
    truth: str = GOLD,
) -> Parts:
    """The training and the validation pairs as rows of the unique vectors, with the likelihoods of both sides.

    Their labels are those of ``truth``.  With ``leave_equal``, pairs whose two texts have equal vectors are left out: a
    reward of vectors cannot tell them apart.  Raises `DataError` where no training pair is left.
    """
    preferred, rejected = np.flatnonzero(examples.role == 1), np.flatnonzero(examples.role == -1)
    part = split.part[examples.pair[preferred]]
    first = np.unique(embeddings.row, return_index=True)[1]
    texts = tuple(examples.text[i] for i in first)
    gold = examples.truths.get(truth)
    same = _same_vectors(embeddings, preferred, rejected) if leave_equal else np.zeros(len(preferred), bool)

    def of(code: int) -> Preferences:
        good, bad = (rows[(part == code) & ~same] for rows in (preferred, rejected))
        labels = None if gold is None else (gold.label[good], gold.label[bad])
        prompt = tuple(examples.prompt[i] for i in good)
        given = {role: (one.take(good), one.take(bad)) for role, one in likelihoods.items()}
        rows = (embeddings.row[good], embeddings.row[bad])
        weight = None if examples.weight is None else examples.weight[good]
        return Preferences(embeddings.vectors, *rows, texts, labels, prompt, given, weight)

    train, clusters = of(TRAIN), examples.clusters()[preferred[(part == TRAIN) & ~same]]
    if same.any() and not len(train):
        raise DataError(
            f"the two texts of each of the {(part == TRAIN).sum():,} training pairs have equal vectors, so that there "
            "is nothing to learn from; name an encoder that tells them apart, say one that reads longer texts"
        )
    return Parts(train, of(VALIDATION), int((same & np.isin(part, (TRAIN, VALIDATION))).sum()), clusters)


def equal_pairs(examples: Examples, embeddings: Embeddings) -> dict[str, int]:
    """How many pairs there are, and of how many both texts have equal vectors, if there is one."""
    preferred, rejected = np.flatnonzero(examples.role == 1), np.flatnonzero(examples.role == -1)
    equal = int(_same_vectors(embeddings, preferred, rejected).sum())
    return {"pairs": len(preferred), "equal_vectors": equal} if equal else {}


def _same_vectors(embeddings: Embeddings, preferred: Rows, rejected: Rows) -> NDArray[np.bool_]:
    """Whether the vectors of a pair's two texts are equal ``[pairs]``."""
    vectors, rows = embeddings.vectors, (embeddings.row[preferred], embeddings.row[rejected])
    blocks = [slice(at, at + _BLOCK) for at in range(0, len(preferred), _BLOCK)]
    found = [(vectors[rows[0][block]] == vectors[rows[1][block]]).all(1) for block in blocks]
    return np.concatenate([np.zeros(0, bool), *found])
