"""A stage: one cacheable step of a plan, as plain data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairl_bench.component import Spec

UPSTREAM = "upstream/"
"""The beginning of the role of an input that a part starts from."""
SHARD = "shard/"
"""The beginning of the role of an input that is one shard of the answer; its number follows."""


@dataclass(frozen=True)
class Stage:
    """One cacheable step; beside it, a worker needs only the store and the plugins."""

    kind: str  # the name of a `fairl_bench.engine.stages.kind.StageKind`
    key: str
    title: str
    parts: Mapping[str, Spec] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)  # role -> key
    stack: Hashable = None  # stages of equal value may be done as one job
    resources: Mapping[str, Any] = field(default_factory=dict)  # `Resources` as plain data

    def upstream(self) -> dict[str, str]:
        """The keys of what its part starts from, by role."""
        return {role.removeprefix(UPSTREAM): key for role, key in self.inputs.items() if role.startswith(UPSTREAM)}

    def shards(self) -> list[str]:
        """The keys of the shards that it merges, in their order."""
        numbers = sorted(int(role.removeprefix(SHARD)) for role in self.inputs if role.startswith(SHARD))
        return [self.inputs[f"{SHARD}{i}"] for i in numbers]
