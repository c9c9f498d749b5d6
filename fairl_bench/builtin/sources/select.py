"""A selection of judged pairs: only toxic to clean, only one subtype, or a mix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.errors import DataError, suggest
from fairl_bench.kinds.judge import BaseTexts, Judge
from fairl_bench.kinds.source import Origin, Source
from fairl_bench.values.data import GOLD, PREFERRED, Examples, Labels, Pairs, Rows, Truth
from fairl_bench.values.truths import Objective

Change = Literal["bad-to-good", "bad-to-bad", "good-to-good", "good-to-bad"]
"""What the truth ``gold`` says of a pair: of the rejected text, then of the preferred one."""
_LABELS: Final[Mapping[str, tuple[int, int]]] = {
    "bad-to-good": (-1, 1),
    "bad-to-bad": (-1, -1),
    "good-to-good": (1, 1),
    "good-to-bad": (1, -1),
}
_NONE = Examples(())


class Select(Source):
    """Pairs of another source, chosen by what its judge says of them (paper 5: toxic to non-toxic, or one subtype)."""

    of: Source = Field(description="a source with a judge")
    keep: tuple[Change, ...] = Field((), description="the changes from rejected to preferred that are kept; none: all")
    subtype: str | None = Field(
        None, min_length=1, description="keep the pairs whose rejected text has this subtype; none: all"
    )
    mix: dict[Change, float] = Field(
        default_factory=dict, description="share of each change, in as many pairs as these shares allow"
    )
    n: int | None = Field(None, ge=1, description="most pairs, drawn at random; none: all")

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.keep and self.mix:
            raise PydanticCustomError("two_rules", "takes 'keep' or 'mix', not both", {"field": "mix"})
        if self.mix and (min(self.mix.values()) <= 0 or abs(sum(self.mix.values()) - 1) > 1e-9):
            raise PydanticCustomError("shares", "the shares of 'mix' must be above 0 and make 1", {"field": "mix"})
        return self

    @model_validator(mode="after")
    def _labels(self) -> Self:
        if (self.keep or self.mix) and self.of.judged() and not self.of.labelled():
            known = "the 'gold' of its pairs has only numbers"
            message = f"chooses by label, and {known}: give it a 'label_above', or a judge that gives labels"
            raise PydanticCustomError("no_labels", message, {"field": "of"})
        return self

    def upstream(self) -> Mapping[str, Source]:
        """Return the judged pairs."""
        return {"of": self.of}

    def origin(self) -> Origin | None:
        """Return the origin of the pairs chosen from."""
        return self.of.origin()

    def judge(self) -> Judge | None:
        """Return its own judge, or that of the pairs chosen from."""
        return super().judge() or self.of.judge()

    def base_texts(self) -> BaseTexts:
        """Return what the base of the pairs chosen from writes."""
        return self.of.base_texts()

    def objectives(self) -> Mapping[str, Objective]:
        """Return those of its own judge, or those of the pairs chosen from."""
        return super().objectives() if self.gold is not None else self.of.objectives()

    def unbounded(self) -> str:
        """Return why the log-ratio is no bound: whoever chose the pairs treated their texts differently."""
        return "its pairs were chosen by what their texts say"

    def judged(self) -> bool:
        """Return whether the truth is known: by its own judge, or of the pairs chosen from."""
        return self.gold is not None or self.of.judged()

    def labelled(self) -> bool:
        """Return whether labels are known: by its own judge, or of the pairs chosen from."""
        return super().labelled() if self.gold is not None else self.of.labelled()

    def pairs(self, rng: np.random.Generator, *, of: Examples = _NONE) -> Pairs:
        """Return the chosen pairs, in their order.  Raises `DataError` where a truth is missing or no pair is left."""
        preferred, rejected = of.pair_rows().T
        gold = _label(of, GOLD)
        change = list(zip(gold[rejected].tolist(), gold[preferred].tolist(), strict=True))
        rows = [
            i for i, labels in enumerate(change) if not self.keep or labels in {_LABELS[name] for name in self.keep}
        ]
        if self.subtype is not None:
            present = _label(of, f"subtype:{self.subtype}")[rejected] == 1
            rows = [i for i in rows if present[i]]
        chosen = self._drawn({name: [i for i in rows if change[i] == _LABELS[name]] for name in self.mix}, rows, rng)
        if not len(chosen):
            raise DataError(f"source 'select': none of {len(preferred)} pairs is left; ask for less")
        return _pairs(of, preferred[chosen], rejected[chosen])

    def _drawn(self, mixed: Mapping[Change, list[int]], rows: list[int], rng: np.random.Generator) -> Rows:
        """Return the rows of the largest mix, or all rows; at most ``n`` of them."""
        if not self.mix:
            n = min(self.n or len(rows), len(rows))
            return np.sort(rng.permutation(rows)[:n]).astype(np.int64)
        total = min(int(len(mixed[name]) / share + 1e-9) for name, share in self.mix.items())
        total = min(self.n or total, total)
        parts = [rng.permutation(mixed[name])[: round(share * total)] for name, share in self.mix.items()]
        return np.sort(np.concatenate(parts)).astype(np.int64)


def _label(of: Examples, name: str) -> Labels:
    if name not in of.truths:
        known = sorted(truth for truth in of.truths if truth != PREFERRED)
        raise DataError(f"source 'select': its pairs have no truth {name!r}; {suggest(name, known)}")
    return of.truths[name].label


def _pairs(of: Examples, preferred: Rows, rejected: Rows) -> Pairs:
    """Return the pairs with these rows, and their truths."""
    both = np.stack([preferred, rejected], 1).ravel()
    truths = {name: Truth(value[both], label[both]) for name, (value, label) in of.truths.items() if name != PREFERRED}

    def column(values: tuple[str, ...], rows: Rows) -> tuple[str, ...]:
        return tuple(values[i] for i in rows)

    return Pairs(
        preferred=column(of.text, preferred),
        rejected=column(of.text, rejected),
        prompt=column(of.prompt, preferred),
        group=column(of.group, preferred),
        truths=truths,
        drawn=None if of.drawn is None else of.drawn.take(both),
        weight=() if of.weight is None else tuple(of.weight[preferred].tolist()),
    )
