"""One cacheable step as plain data: what every room of the engine passes around."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairl_bench.component import Spec

UPSTREAM = "upstream/"
"""Before the role of an input that a part starts from."""
SHARD = "shard/"
"""Before the number of an input that is a part of the answer."""


@dataclass(frozen=True)
class Stage:
    """One cacheable step, as plain data: a worker needs nothing else but the store and the plugins."""

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
