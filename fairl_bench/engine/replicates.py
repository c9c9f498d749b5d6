"""Notices when all that a replicate needs is done, while a run goes on with the others."""

from __future__ import annotations

from fairl_bench.engine.execute import Outcome
from fairl_bench.engine.plan import Plan
from fairl_bench.store.store import Store


class Replicates:
    """The replicates of a plan, and what each of them still lacks."""

    def __init__(self, plan: Plan, store: Store, outcome: Outcome) -> None:
        self.outcome, self.noted = outcome, len(outcome.done)
        self.lacks = {
            replicate: {key for key in plan.of_replicates((replicate,)).wanted() if not store.has(key)}
            for replicate in plan.replicates()
        }

    def finished(self) -> list[int]:
        """The replicates each of whose stages is done, or has failed, or was skipped for one that has."""
        done, self.noted = self.outcome.done[self.noted :], len(self.outcome.done)
        for keys in self.lacks.values():
            keys.difference_update(done)
        lost = (self.outcome.failed, self.outcome.skipped)
        return [
            replicate
            for replicate, keys in self.lacks.items()
            if all(any(key in those for those in lost) for key in keys)
        ]
