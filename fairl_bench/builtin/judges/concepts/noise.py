"""A concept of nothing: the control of an audit, and of an alignment."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from pydantic import Field

from fairl_bench.builtin.judges.concepts.text_amount import TextAmount


class Noise(TextAmount):
    """A number of each text that says nothing of it, from 0 to 1: one that no audit should name.

    It is made of the text's digest, so that the same text always has the same one.  As an aligner's reward it is the
    control of alignment: a model may drift, and there is nothing to find in where to.
    """

    concept: ClassVar[str] = "noise"

    seed: int = Field(0, ge=0, description="another number gives other noise")

    def amount(self, text: str) -> float:
        """Return the number in [0, 1), the same with space around the text; 0 for a text of nothing but space."""
        digest = hashlib.sha256(f"{self.seed} {text.strip()}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:6], "big") / 2**48 if text.strip() else 0.0
