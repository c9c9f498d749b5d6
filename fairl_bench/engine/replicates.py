"""Notices when all that a replicate needs is done, while a run goes on with the others."""

from __future__ import annotations

from fairl_bench.engine.execute import Outcome
from fairl_bench.engine.plan import Plan
from fairl_bench.executor import Job
from fairl_bench.store.store import Store


class Replicates:
    """The replicates of a plan, and what each of them still lacks."""

    def __init__(self, plan: Plan, store: Store, outcome: Outcome) -> None:
        self.outcome = outcome
        self.lacks = {
            replicate: {key for key in plan.of_replicates((replicate,)).wanted() if not store.has(key)}
            for replicate in plan.replicates()
        }
        self.finished = [replicate for replicate, keys in self.lacks.items() if not keys]

    def note(self, job: Job) -> bool:
        """Note that a job has ended; True where a replicate has become finished by that, and another one is not.

        A replicate is finished when each of its stages is done, or has failed, or was skipped for one that has.
        """
        for keys in self.lacks.values():
            keys.difference_update(stage.key for stage in job)
        lost = (self.outcome.failed, self.outcome.skipped)
        finished = [
            replicate
            for replicate, keys in self.lacks.items()
            if all(any(key in those for those in lost) for key in keys)
        ]
        more, self.finished = len(finished) > len(self.finished), finished
        return more and len(finished) < len(self.lacks)
