"""A concept that is the likeness to texts of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.judges.concepts.text_amount import About, ListOrFile
from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.judge import Judge, Judging
from fairl_bench.kinds.upstream import nested, within
from fairl_bench.textfiles import lines
from fairl_bench.values.data import GOLD, Examples, Floats, Truth, Vectors


class SimilarTo(Judge):
    """How like some texts of your own a text is, by an encoder: the cosine of its vector with the mean of theirs.

    Each vector is scaled to unit length first.  A text of nothing but space has 0, and so has one whose vector is zero.
    """

    texts: ListOrFile = Field(description="the texts, or a file of one a line, relative to the suite")
    encoder: Encoder = Field(description="turns texts into vectors; it must not learn from training texts first")
    about: About = Field("", description="what they have in common, in a few words; none: the first text")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if isinstance(self.texts, tuple) and any(not text.strip() for text in self.texts):
            raise PydanticCustomError("empty", "has an empty text among 'texts'; take it out", {"field": "texts"})
        if self.encoder.fitted:
            message = "needs an encoder that learns from no text, such as a sentence encoder; this one is fitted"
            raise PydanticCustomError("fitted", message, {"field": "encoder"})
        return self

    @property
    def concept(self) -> str:  # type: ignore[override]  # what it measures is the user's to say
        """What the texts have in common: ``about``, or where they are."""
        if self.about:
            return self.about
        if isinstance(self.texts, tuple):
            return f"likeness to {self.texts[0]!r:.60}"
        return f"likeness to {Path(self.texts).name:.60}"

    def upstream(self) -> Mapping[str, Settings]:
        """Return what the encoder starts from."""
        return nested("encoder", self.encoder)

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return the cosine of each text.  Raises `DataError` where the encoder starts from a language model."""
        if self.upstream():
            raise DataError(
                f"judge {self.use or 'similar-to'!r}: encoder {self.encoder.use!r} starts from a language model, which "
                "is not known here; name an encoder that needs none"
            )
        return self.ready({})(examples)

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """Return the judge with the mean of its texts.  Raises `DataError` where that is zero."""
        given = within("encoder", upstream)

        def directions(texts: tuple[str, ...]) -> Floats:
            return _unit(self.encoder.encode(texts, (), **given))

        mean = directions(self._texts()).mean(0)
        length = float(np.linalg.norm(mean))
        if length == 0:
            raise DataError(
                f"judge {self.use or 'similar-to'!r}: encoder {self.encoder.use!r} gives its texts vectors whose mean "
                "is zero, and nothing is like that; name other texts"
            )

        def likeness(examples: Examples) -> Mapping[str, Truth]:
            texts = tuple(text for text in dict.fromkeys(examples.text) if text.strip())
            cosine = (directions(texts) @ (mean / length)).clip(-1, 1).tolist() if texts else []
            known = dict(zip(texts, cosine, strict=True))
            return {GOLD: Truth.numbers(known.get(text, 0.0) for text in examples.text)}

        return likeness

    def check(self) -> None:
        """Read the file."""
        self._texts()

    def _texts(self) -> tuple[str, ...]:
        if isinstance(self.texts, tuple):
            return self.texts
        found = tuple(text for _, line in lines(self.texts) if (text := line.strip()))
        if not found:
            raise DataError(f"{self.texts} holds no text; write one a line")
        return found


def _unit(vectors: Vectors) -> Floats:
    """Return the vectors scaled to length 1; zero stays zero."""
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.where(lengths > 0, lengths, 1)
    return unit
