"""How likely texts are under a language model, given their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairl_bench.guards.readonly import freeze_arrays
from fairl_bench.values.data import Examples, Floats, Rows, Vectors
from fairl_bench.values.drawn_tokens import DrawnTokens, merged_rows, offsets_of, taken
from fairl_bench.values.number_format import NumberFormat


@dataclass(frozen=True)
class Continuations:
    """Texts whose likelihood is asked for: ``text[i]`` goes on from ``prompt[i]``, or from nothing where it is empty.

    ``drawn`` holds the tokens of those texts that a language model drew.  ``temperature`` divides the logits.
    """

    prompt: tuple[str, ...]
    text: tuple[str, ...]
    drawn: DrawnTokens | None = None
    temperature: float = 1.0
    batch: int = 64
    dtype: NumberFormat = "float32"

    def __len__(self) -> int:
        return len(self.text)

    def take(self, rows: Sequence[int]) -> Continuations:
        """Those in these rows, in this order."""
        prompt, text = (tuple(column[i] for i in rows) for column in (self.prompt, self.text))
        drawn = None if self.drawn is None else self.drawn.take(rows)
        return Continuations(prompt, text, drawn, self.temperature, self.batch, self.dtype)

    @staticmethod
    def of(
        examples: Examples,
        prompts: Literal["given", "withheld"] = "given",
        *,
        tokens: Literal["drawn", "text"] = "drawn",
        temperature: float = 1.0,
        batch: int = 64,
        dtype: NumberFormat = "float32",
    ) -> Continuations:
        """Those of examples.

        Where prompts are withheld, a text stands alone: neither its tokens nor whether it had ended is known.  With
        ``tokens="text"`` only the tokens are not.
        """
        if prompts == "withheld":
            return Continuations(("",) * len(examples), examples.text, None, temperature, batch, dtype)
        drawn = examples.drawn
        if drawn is not None and tokens == "text":
            drawn = drawn.forgotten()
        return Continuations(examples.prompt, examples.text, drawn, temperature, batch, dtype)


@dataclass(frozen=True)
class Likelihoods:
    """The log-probability of each of ``n`` texts under one language model, in nats; all arrays are read-only.

    That of token ``j`` of text ``i`` is ``token[offsets[i] + j]``, and ``total[i]`` is their sum.  Where a text is
    known to have ended by itself, its end token is one of them.  ``before`` and ``after`` are the values that the
    model's logits give to the states before a text's first and behind its last token,
    ``temperature * logsumexp(logits / temperature)``; 0 behind an end token, NaN where a server does not tell.
    ``spelled`` is how many characters of its text a token and those before it spell; None where that is not known.
    ``whole`` is what a model says of a text as a whole and of none of its tokens; ``total`` is then the sum of the
    tokens and this.
    """

    total: Floats  # [n]
    token: Vectors  # [tokens]
    offsets: Rows  # [n + 1]
    before: Floats  # [n]
    after: Floats  # [n]
    ended: NDArray[np.bool_]  # [n] the end token is counted
    tokenised: NDArray[np.bool_]  # [n] its tokens were not known, and the text was tokenised
    spelled: NDArray[np.int32] | None = None  # [tokens]
    whole: Floats | None = None  # [n]

    def __post_init__(self) -> None:
        freeze_arrays(self, "total", "token", "offsets", "before", "after", "ended", "tokenised")
        freeze_arrays(self, *(name for name in ("spelled", "whole") if getattr(self, name) is not None))
        of_texts = (self.total, self.before, self.after, self.ended, self.tokenised, self.whole)
        lengths = {len(column) for column in of_texts if column is not None}
        of_tokens = {len(column) for column in (self.token, self.spelled) if column is not None}
        if lengths != {len(self.offsets) - 1} or of_tokens != {self.offsets[-1]}:
            raise ValueError("the columns of likelihoods do not fit together")

    def __len__(self) -> int:
        return len(self.total)

    @property
    def tokens(self) -> Rows:
        """The number of tokens of each text ``[n]``."""
        return np.diff(self.offsets)

    def take(self, rows: Sequence[int] | Rows) -> Likelihoods:
        """Those of these texts, in this order."""
        picked = np.asarray(rows, np.int64)
        token, offsets = taken(self.token, self.offsets, picked)
        spelled = None if self.spelled is None else taken(self.spelled, self.offsets, picked)[0]
        states = (self.before[picked], self.after[picked])
        flags = (self.ended[picked], self.tokenised[picked])
        whole = None if self.whole is None else self.whole[picked]
        return Likelihoods(self.total[picked], token, offsets, *states, *flags, spelled, whole)

    def without_end(self, rows: NDArray[np.bool_]) -> Likelihoods:
        """Those where the end of these texts ``[n]`` is not counted; the values behind it are not known then."""
        left_out = rows & self.ended
        last = self.offsets[1:][left_out] - 1
        total = self.total.copy()
        total[left_out] -= self.token[last]
        offsets = offsets_of(self.tokens - left_out)
        after = np.where(left_out, np.nan, self.after)
        spelled = None if self.spelled is None else np.delete(self.spelled, last)
        columns = (self.before, after, self.ended & ~left_out, self.tokenised)
        return Likelihoods(total, np.delete(self.token, last), offsets, *columns, spelled, self.whole)

    def reweighted(self, ratio: Floats) -> Likelihoods:
        """Those under a model by which each text is ``exp(ratio)`` times as likely ``[n]``.

        What is said of tokens stays as it is; the values of states are not known then.
        """
        unknown = np.full(len(self), np.nan)
        whole = ratio if self.whole is None else self.whole + ratio
        return replace(self, total=self.total + ratio, before=unknown, after=unknown, whole=whole)

    @staticmethod
    def merged(shards: Sequence[Likelihoods]) -> Likelihoods:
        """Those of all shards; each shard has every ``len(shards)``-th text."""
        return Likelihoods.joined(shards).take(merged_rows(list(map(len, shards))))

    @staticmethod
    def joined(parts: Sequence[Likelihoods]) -> Likelihoods:
        """Those of all texts, one part after the other."""

        def column(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(part, name) for part in parts])

        offsets = offsets_of(np.concatenate([part.tokens for part in parts]))
        columns = {name: column(name) for name in ("before", "after", "ended", "tokenised")}
        if all(part.spelled is not None for part in parts):
            columns["spelled"] = column("spelled")
        if any(part.whole is not None for part in parts):
            each = (np.zeros(len(part)) if part.whole is None else part.whole for part in parts)
            columns["whole"] = np.concatenate(list(each))
        return Likelihoods(column("total"), column("token"), offsets, **columns)
