"""Best-of-n: a cheap substitute for re-alignment that needs only completions that exist already."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from fairl_bench.errors import Undefined
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.metrics import Metric
from fairl_bench.science.classification import no_label
from fairl_bench.science.realignment import best_of, best_of_kl
from fairl_bench.values.data import GOLD, Floats, Scored
from fairl_bench.values.records import Measure, measured
from fairl_bench.values.truths import GoldName


class BestOfN(Evaluator):
    """The true reward of the completion that the recovered reward likes best among n of a prompt.

    For a test set whose groups are a prompt's completions (`completed`).  ``best_of_8`` is the mean over prompts, exact
    over all choices of 8 of a prompt's completions; ``best_of_8_bad`` the share of bad texts among those chosen.  Best
    of n is at most log n - (n - 1) / n nats from its base: ``best_of_8_kl``.
    """

    truth: GoldName | Annotated[tuple[GoldName, ...], Field(min_length=1)] = Field(
        GOLD, description="the true reward, or several: of a blend [gold, gold:NAME, ...]"
    )
    counts: tuple[int, ...] = Field((1, 2, 4, 8, 16, 32, 64), min_length=1, description="values of n")

    @property
    def metrics(self) -> tuple[Metric, ...]:  # type: ignore[override]  # one for each of the counts
        """Return three numbers a count."""
        return tuple(Metric(f"best_of_{n}{what}") for n in self.counts for what in ("", "_bad", "_kl"))

    def truths(self) -> frozenset[str]:
        """Return the true rewards."""
        return frozenset({self.truth} if isinstance(self.truth, str) else self.truth)

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterator[Measure]:
        """Return the numbers of each n; NaN with a note where a prompt has fewer completions."""
        for data in self.data:
            groups = _groups(scored[data].examples.group)
            for truth in sorted(self.truths()):
                yield from self._against(truth, data, scored[data], groups)
            for n in self.counts:
                yield Measure(data, "", f"best_of_{n}_kl", best_of_kl(n), len(groups))

    def _against(self, of: str, data: str, completions: Scored, groups: Sequence[np.ndarray]) -> Iterator[Measure]:
        truth, labelled = completions.truth(of) or (None, np.zeros(0, bool))
        if truth is None or not truth.known().all():
            for n in self.counts:
                yield Measure(data, of, f"best_of_{n}", math.nan, 0, "the truth of some completions is unknown")
            return
        for n in self.counts:
            of_n = (groups, completions.reward)
            yield measured(data, of, f"best_of_{n}", len(groups), _mean, *of_n, truth.value, n)
            if labelled.any():
                bad = (truth.label < 0).astype(np.float64)
                yield measured(data, of, f"best_of_{n}_bad", len(groups), _mean, *of_n, bad, n)
            else:
                yield Measure(data, of, f"best_of_{n}_bad", math.nan, 0, no_label(of))


def _groups(group: Sequence[str]) -> list[np.ndarray]:
    rows: dict[str, list[int]] = {}
    for i, name in enumerate(group):
        rows.setdefault(name, []).append(i)
    return [np.array(numbers) for numbers in rows.values()]


def _mean(groups: Sequence[np.ndarray], proxy: Floats, true: Floats, n: int) -> float:
    if not groups:
        raise Undefined("the data hold no text")
    return float(np.mean([best_of(proxy[rows], true[rows], n) for rows in groups]))
