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

    kind: str  # lm, completions, examples, split, embeddings, reward, scores, measures; and shards of some
    key: str
    title: str
    parts: Mapping[str, Spec] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)  # role -> key
    stack: Hashable = None  # stages of equal value may be done as one job
    resources: Mapping[str, Any] = field(default_factory=dict)  # `Resources` as plain data
