"""Texts to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from fairl_bench.component import Component
from fairl_bench.guards.truncation import Tokens
from fairl_bench.values.data import Vectors
from fairl_bench.values.resources import Needs


class Encoder(Component, ABC):
    """Texts to frozen embeddings."""

    kind = "encoder"
    fitted: ClassVar[bool] = False
    """True where it learns from the training texts first; if not, ``corpus`` is empty."""

    shards: int = Field(
        1, ge=1, le=4096, description="stages that embed side by side; another number moves the last bits"
    )
    resources: Needs = None

    @abstractmethod
    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        """One row a text ``[n, d]`` float32.  ``corpus`` holds the training texts of a `fitted` encoder.

        What `upstream` asks for comes as keyword arguments, by role: the folder of a language model.
        """

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """The tokens that it would read of texts, for an estimate before a run; None where that is slow to know."""
        return None
