"""The executors in the box, as parts: this process, others of this machine, a Ray cluster."""

from __future__ import annotations

from pydantic import Field

from fairl_bench.executor import Executor, JobRunner, Workplace


class HereExecutor(Executor):
    """One job after another in this process."""

    def start(self, workplace: Workplace) -> JobRunner:
        """Do each job when it is waited for."""
        from fairl_bench.engine.executors.here import Here

        return Here(workplace.perform)


class PoolExecutor(Executor):
    """Several jobs at once in processes of this machine, which are ended at the limits of their stages."""

    jobs: int = Field(1, ge=1, description="processes at once")

    def start(self, workplace: Workplace) -> JobRunner:
        """Start a process for each job that has none yet."""
        from fairl_bench.engine.executors.pool import Pool

        return Pool(self.jobs, workplace.store, workplace.drop_ins, workplace.moved)


class LocalExecutor(Executor):
    """This machine: one job after another in this process, or several jobs, or jobs apart from it, in others."""

    jobs: int = Field(1, ge=1, description="processes at once")

    def start(self, workplace: Workplace) -> JobRunner:
        """Work in this process unless there are several jobs at once, or one that must not end it."""
        others = self.jobs > 1 or workplace.apart
        return (PoolExecutor(jobs=self.jobs) if others else HereExecutor()).start(workplace)


class RayExecutor(Executor):
    """Jobs as tasks of a Ray cluster, as many at once as it has cores for."""

    address: str = Field("auto", description="HOST:PORT of its head; auto: the cluster of this machine")

    def start(self, workplace: Workplace) -> JobRunner:
        """Join the cluster."""
        from fairl_bench.engine.executors.ray import Cluster
        from fairl_bench.store.place import open_store

        return Cluster(self.address, open_store(workplace.store), workplace.drop_ins, workplace.moved)
