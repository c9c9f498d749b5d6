"""The stages of a plan, each once: equal questions share one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fairl_bench.component import Component
from fairl_bench.digests import canonical
from fairl_bench.engine.keys import stage_key_of
from fairl_bench.engine.known_parts import KnownParts
from fairl_bench.engine.resources import at_least, needs
from fairl_bench.engine.stages.kind import StageKind
from fairl_bench.suite.overrides import refuse_many_stages
from fairl_bench.suite.read import Study
from fairl_bench.values.stage import SHARD, Stage

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class NewStage(NamedTuple):
    """A stage to be added: as `Stage`, but with its parts themselves and without a key."""

    kind: type[StageKind[Any, Any]]
    title: str
    parts: Mapping[str, Component]
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    stack: Hashable = None
    run_time: Mapping[str, Any] = _NOTHING  # settings that are not in the key
    cores: int = 1  # that its work uses at once


class StageList:
    """The stages of a study by key, in the order in which they were added: inputs first."""

    def __init__(self, study: Study) -> None:
        self.stages: dict[str, Stage] = {}
        self.parts = KnownParts(study)
        self.most, self.document = study.suite.limits.stages, study.document
        self.asked = 0  # a shared stage counts each time

    def add(self, new: NewStage) -> str:
        """Add a stage unless an equal one is there; returns its key.  Raises `SuiteError` where there are too many."""
        self.asked += 1
        refuse_many_stages(self.document, self.asked, self.most)
        known_parts = {role: self.parts.about(part) for role, part in new.parts.items()}
        identities = {role: part.identity for role, part in known_parts.items()}
        key = stage_key_of(new.kind.name, identities, new.settings, new.inputs)
        if key not in self.stages:
            specs = {role: part.spec for role, part in known_parts.items()}
            single_part = next(iter(known_parts.values())) if len(known_parts) == 1 else None
            resources = single_part.resources if single_part else needs(new.parts.values())
            if new.cores > 1:
                resources = at_least(resources, new.cores)
            stack = None if new.stack is None else (new.stack, canonical(resources))
            settings = {**new.settings, **new.run_time}
            self.stages[key] = Stage(new.kind.name, key, new.title, specs, settings, new.inputs, stack, resources)
        return key

    def add_sharded(
        self,
        new: NewStage,
        shard: type[StageKind[Any, Any]],
        shards: int,
        merging: Mapping[str, str] = _NOTHING,
    ) -> str:
        """Add one stage; or as many ``shards``, which need nothing of one another, and one that merges them.

        That one does no part's work, and reads the inputs ``merging`` beside the shards.
        """
        if shards == 1:
            return self.add(new)
        shard_keys: dict[str, str] = {}
        for i in range(shards):
            title, settings = f"{new.title}, shard {i + 1} of {shards}", {**new.settings, "shard": i, "shards": shards}
            shard_keys[f"{SHARD}{i}"] = self.add(new._replace(kind=shard, title=title, settings=settings))
        return self.add(new._replace(parts={}, inputs={**shard_keys, **merging}))
