"""Best-of-n: a cheap substitute for re-alignment that needs only completions that exist already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydantic import Field

from fairl_bench.errors import Undefined
from fairl_bench.kinds import Evaluator
from fairl_bench.metrics import Metric
from fairl_bench.science.realignment import best_of, best_of_kl
from fairl_bench.values.data import GOLD, Floats, Scored
from fairl_bench.values.records import Measure, measured


class BestOfN(Evaluator):
    """The true reward of the completion that the recovered reward likes best among n of a prompt.

    For a test set whose groups are a prompt's completions (`completed`).  ``best_of_8`` is the mean over prompts, exact
    over all choices of 8 of a prompt's completions; ``best_of_8_bad`` the share of bad texts among those chosen.  Best
    of n is at most log n - (n - 1) / n nats from its base: ``best_of_8_kl``.
    """

    counts: tuple[int, ...] = Field((1, 2, 4, 8, 16, 32, 64), min_length=1, description="values of n")

    @property
    def metrics(self) -> tuple[Metric, ...]:  # type: ignore[override]  # one for each of the counts
        """Return three numbers a count."""
        return tuple(Metric(f"best_of_{n}{what}") for n in self.counts for what in ("", "_bad", "_kl"))

    def truths(self) -> frozenset[str]:
        """Return the truth ``gold``."""
        return frozenset({GOLD})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterator[Measure]:
        """Return the numbers of each n; NaN with a note where a prompt has fewer completions."""
        for data in self.data:
            completions = scored[data]
            truth, known = completions.truth(GOLD) or (None, np.zeros(0, bool))
            if truth is None or not known.all():
                for n in self.counts:
                    yield Measure(
                        data, GOLD, f"best_of_{n}", float("nan"), 0, "the truth of some completions is unknown"
                    )
                continue
            groups = _groups(completions.examples.group)
            values = {"": truth.value, "_bad": (truth.label < 0).astype(np.float64)}
            for n in self.counts:
                for what, value in values.items():
                    yield measured(
                        data, GOLD, f"best_of_{n}{what}", len(groups), _mean, groups, completions.reward, value, n
                    )
                yield Measure(data, "", f"best_of_{n}_kl", best_of_kl(n), len(groups))


def _groups(group: Sequence[str]) -> list[np.ndarray]:
    rows: dict[str, list[int]] = {}
    for i, name in enumerate(group):
        rows.setdefault(name, []).append(i)
    return [np.array(numbers) for numbers in rows.values()]


def _mean(groups: Sequence[np.ndarray], proxy: Floats, true: Floats, n: int) -> float:
    if not groups:
        raise Undefined("the data hold no text")
    return float(np.mean([best_of(proxy[rows], true[rows], n) for rows in groups]))
