"""The concepts among the judges: those that say how much of something a text has."""

from __future__ import annotations

from typing import NamedTuple

from fairl_bench.errors import PluginError
from fairl_bench.kinds.judge import Judge
from fairl_bench.suite.registry import Registry


class Concept(NamedTuple):
    """A judge that is a concept, as a list of them shows it."""

    name: str
    measures: str  # empty where its fields say so
    help: str


def concepts(registry: Registry) -> tuple[Concept, ...]:
    """The concepts as they were registered, built-in ones first; a judge that cannot be loaded is left out."""
    found = []
    for name in registry.in_order(Judge.kind):
        try:
            part = registry.find(Judge.kind, name)
        except PluginError:  # `show` says what is wrong with it
            continue
        if issubclass(part, Judge) and part.concept:
            found.append(Concept(name, "" if isinstance(part.concept, property) else part.concept, part.help()))
    return tuple(found)
