"""A judge that learns from labelled comments: TF-IDF and logistic regression."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from fairl_bench.builtin.judges.by_probability import ByProbability
from fairl_bench.builtin.shared.file_rows import CHECKED, Row, jsonl_rows, read_jsonl
from fairl_bench.builtin.shared.label_columns import GoldColumn, Subtypes, check_labels, refuse_twice, subtypes_of
from fairl_bench.component import DataFile
from fairl_bench.digests import stamp
from fairl_bench.errors import DataError
from fairl_bench.guards.permissions import as_its_folder
from fairl_bench.guards.truncation import reads_are_logged, report_read
from fairl_bench.values.data import GOLD, Floats, Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Weights(NamedTuple):
    """What a linear judge learnt: a text's log-odds of truth k are ``tfidf(text) @ weight[k] + bias[k]``."""

    truths: tuple[str, ...]
    terms: tuple[str, ...]
    unit: str
    longest: int
    idf: Floats  # [terms]
    weight: Floats  # [truths, terms]
    bias: Floats  # [truths]

    def log_odds(self, texts: Sequence[str]) -> Floats:
        """Return the log-odds of each truth ``[n, truths]``."""
        if not texts:
            return np.empty((0, len(self.truths)))
        vectorizer = _vectorizer(self.unit, self.longest, vocabulary=self.terms)
        vectorizer.idf_ = self.idf
        odds: Floats = vectorizer.transform(texts) @ self.weight.T + self.bias
        return odds

    def known(self, texts: Sequence[str]) -> tuple[list[int], list[int]]:
        """Return how many terms each text has, and how many of them are known."""
        split, terms = _vectorizer(self.unit, self.longest).build_analyzer(), set(self.terms)
        terms_of_texts = [split(text) for text in texts]
        total = [len(terms_of_text) for terms_of_text in terms_of_texts]
        return total, [sum(term in terms for term in terms_of_text) for terms_of_text in terms_of_texts]

    def save(self, path: Path | str) -> None:
        """Write them as safetensors, the terms in its header: no pickle."""
        from safetensors.numpy import save_file

        about = {"truths": self.truths, "terms": self.terms, "unit": self.unit, "longest": self.longest}
        arrays = {"idf": self.idf, "weight": np.ascontiguousarray(self.weight), "bias": self.bias}
        save_file(arrays, path, {"linear": json.dumps(about)})
        as_its_folder(Path(path))

    @classmethod
    def load(cls, path: Path | str) -> Weights:
        """Return what `save` wrote, to the bit.  Raises `DataError` for any other file."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                about = json.loads((file.metadata() or {})["linear"])
                arrays = {name: file.get_tensor(name) for name in ("idf", "weight", "bias")}
            shape = (len(about["truths"]), len(about["terms"]))
            if (arrays["bias"].shape, arrays["idf"].shape, arrays["weight"].shape) != (shape[:1], shape[1:], shape):
                raise ValueError("its arrays do not fit its terms")
            return cls(tuple(about["truths"]), tuple(about["terms"]), about["unit"], about["longest"], **arrays)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise DataError(f"{path} holds no saved linear judge: {error}; write it with Linear.save") from error


class Linear(ByProbability):
    """TF-IDF and a logistic regression, fitted to the labelled comments of a file.

    It is fitted once in a process and draws nothing at random.  Comments of unknown label teach nothing.
    """

    path: DataFile = Field(description="the labelled comments, JSON lines, relative to the suite")
    text: str = Field("text", description="the column of the text")
    gold: GoldColumn
    subtypes: Subtypes = Field((), description="columns that say whether a subtype is present (0 or 1), or how")
    limit: int | None = Field(None, ge=1, description="read only the first rows")
    unit: Literal["words", "characters"] = Field(
        "words", description="what is counted; characters are counted within words only"
    )
    longest: int = Field(1, ge=1, description="number of units in the longest sequence that is counted")
    terms: int = Field(50_000, ge=2, description="how many of the most frequent sequences are kept")
    l2: float = Field(0.1, gt=0, description="weight of the L2 prior")
    balanced: bool = Field(False, description="give both labels the same weight, however many comments each has")

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        refuse_twice(self.subtypes)
        return self

    def probabilities(self, texts: Sequence[str]) -> Mapping[str, Floats]:
        """Return, by truth, the probability of each text ``[n]``."""
        return _probabilities(self, self.weights(), texts)

    def weights(self) -> Weights:
        """Return the weights, fitted now unless this process has fitted them since the file last changed."""
        return _fit(self, stamp(Path(self.path)))

    def save(self, path: Path | str) -> None:
        """Write the weights for the judge ``linear-saved``, which needs no comments."""
        self.weights().save(path)

    def check(self) -> None:
        """Read the first rows with all their columns."""
        rows = read_jsonl(self.path, min(self.limit or CHECKED, CHECKED))
        self._texts(rows)
        check_labels(jsonl_rows(self.path), self.limit, self.gold, self.subtypes)

    def _texts(self, rows: Sequence[Row]) -> list[str]:
        return [row.text(self.text) for row in rows]

    def _labels(self, rows: Sequence[Row]) -> dict[str, Labels]:
        """Return, by truth, the label of each row ``[n]`` in {+1, -1, 0}."""
        return {GOLD: self.gold.labels(rows)} | {one.truth(): one.labels(rows) for one in subtypes_of(self.subtypes)}


class LinearSaved(ByProbability):
    """The weights that `linear` has saved: the same verdicts without the comments it learnt from."""

    path: DataFile = Field(description="the file that Linear.save wrote, relative to the suite")

    def probabilities(self, texts: Sequence[str]) -> Mapping[str, Floats]:
        """Return, by truth, the probability of each text ``[n]``."""
        return _probabilities(self, _loaded(self.path, stamp(Path(self.path))), texts)

    def check(self) -> None:
        """Read the file."""
        Weights.load(self.path)


def _probabilities(judge: Linear | LinearSaved, weights: Weights, texts: Sequence[str]) -> dict[str, Floats]:
    from scipy.special import expit

    if reads_are_logged():
        report_read(judge, *weights.known(texts), "words")
    return dict(zip(weights.truths, expit(weights.log_odds(texts)).T, strict=True))


@lru_cache(maxsize=4)  # an aligner asks at every step
def _loaded(path: str, stamp: object) -> Weights:
    return Weights.load(path)


@lru_cache(maxsize=4)
def _fit(judge: Linear, stamp: object) -> Weights:
    rows = read_jsonl(judge.path, judge.limit)
    labels = judge._labels(rows)
    for name, known in labels.items():
        _refuse_one_class(judge, name, known)
    vectorizer = _vectorizer(judge.unit, judge.longest, max_features=judge.terms)
    try:
        vectors = vectorizer.fit_transform(judge._texts(rows))
    except ValueError as error:
        raise DataError(f"judge 'linear' finds no word in the {len(rows)} comments of {judge.path}: {error}") from error
    heads = [_regression(vectors, known, judge) for known in labels.values()]
    return Weights(
        truths=tuple(labels),
        terms=tuple(vectorizer.get_feature_names_out().tolist()),
        unit=judge.unit,
        longest=judge.longest,
        idf=vectorizer.idf_,
        weight=np.stack([weight for weight, _ in heads]),
        bias=np.array([bias for _, bias in heads]),
    )


def _vectorizer(unit: str, longest: int, **more: object) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    if unit == "words":
        more |= {"analyzer": "word", "token_pattern": r"(?u)\b\w+\b"}  # "u" and "i" are words of comments
    else:
        more["analyzer"] = "char_wb"
    return TfidfVectorizer(ngram_range=(1, longest), sublinear_tf=True, dtype=np.float64, **more)


def _regression(vectors: Any, known: Labels, judge: Linear) -> tuple[Floats, float]:
    """Return the weights ``[terms]`` and the bias of label +1 against -1, from the rows whose label is known."""
    from sklearn.linear_model import LogisticRegression

    rows: NDArray[np.int64] = np.flatnonzero(known)
    model = LogisticRegression(
        C=1 / judge.l2, class_weight="balanced" if judge.balanced else None, solver="newton-cg", tol=1e-6, max_iter=1000
    ).fit(vectors[rows], known[rows])
    return model.coef_[0], float(model.intercept_[0])


def _refuse_one_class(judge: Linear, name: str, known: Labels) -> None:
    present, absent = int((known == 1).sum()), int((known == -1).sum())
    if not (present and absent):
        column = judge.gold.column if name == GOLD else name.removeprefix("subtype:")
        raise DataError(
            f"judge 'linear' needs comments of both kinds in column {column!r} of {judge.path}, "
            f"got {present} and {absent}"
        )
