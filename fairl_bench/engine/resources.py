"""The resources that a stage needs, by the parts that do its work, and the limits at which it is ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairl_bench.component import Component, Settings
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.source import Source
from fairl_bench.values.resources import Resources, size_in_bytes

if TYPE_CHECKING:
    from fairl_bench.values.stage import Stage


def needs(parts: Iterable[Component]) -> dict[str, Any]:
    """The resources of a stage as plain data: the most that its parts or what is nested in them ask for.

    Its limits are those of its outer parts: the time is theirs.
    """
    outermost = list(parts)
    of_outermost = [resources for part in outermost if (resources := _resources(part))]
    of_all = [resources for part in outermost for inner in _within(part) if (resources := _resources(inner))]
    if not of_all:
        return {}
    memory = [resources.memory for resources in of_all if resources.memory]
    limit = [resources.memory_limit for resources in of_outermost if resources.memory_limit]
    return Resources(
        num_cpus=max(resources.num_cpus for resources in of_all),
        num_gpus=max(resources.num_gpus for resources in of_all),
        memory=max(memory, key=size_in_bytes, default=None),
        time_limit=max((resources.time_limit for resources in of_outermost if resources.time_limit), default=None),
        memory_limit=max(limit, key=size_in_bytes, default=None),
    ).plain()


def at_least(resources: Mapping[str, Any], cores: int) -> dict[str, Any]:
    """The resources with so many cores, or more where they ask for more."""
    asked = Resources.model_validate(resources)
    return asked.model_copy(update={"num_cpus": max(asked.num_cpus, cores)}).plain()


def cores_of(job: Sequence[Stage]) -> int:
    """The whole cores that a job is to have for itself."""
    return math.ceil(of_job(job).num_cpus)


def _resources(part: Component) -> Resources | None:
    """The resources that a part asks for itself."""
    resources = getattr(part, "resources", None)
    return resources if isinstance(resources, Resources) else None


def _within(part: Component) -> Iterator[Component]:
    """The part and the parts nested in it, without language models and sources, which are stages of their own."""
    yield part
    for name in type(part).model_fields:
        for inner in _parts(getattr(part, name)):
            if not isinstance(inner, LM | Source):
                yield from _within(inner)


def _parts(value: Any) -> Iterator[Component]:
    """The outermost parts in a value."""
    if isinstance(value, Component):
        yield value
    elif isinstance(value, Settings):
        for name in type(value).model_fields:
            yield from _parts(getattr(value, name))
    elif isinstance(value, Mapping):
        yield from _parts(tuple(value.values()))
    elif isinstance(value, tuple):
        for entry in value:
            yield from _parts(entry)


def of_job(job: Sequence[Stage]) -> Resources:
    """The resources of a job; stages of one job ask for the same."""
    return Resources.model_validate(job[0].resources)


def limited(stages: Iterable[Stage]) -> bool:
    """True where a stage has a limit."""
    return any(stage.resources.get(name) for stage in stages for name in ("time_limit", "memory_limit"))


def exceeded(resources: Resources, seconds: float, held: int, stages: int = 1) -> str:
    """The limit that work has exceeded, in words; empty where it has exceeded none.

    It began ``seconds`` ago and its process holds ``held`` bytes; ``stages`` that are done together have the time of
    all.
    """
    limit = resources.time_limit
    if limit is not None and seconds > limit * stages:
        return f"it took longer than its time limit of {limit:g} s and was ended; raise resources.time_limit"
    if resources.memory_limit is not None and held > size_in_bytes(resources.memory_limit):
        return (
            f"its process held {held / 1e9:.2f} GB, more than its memory limit of {resources.memory_limit}, and was "
            "ended; raise resources.memory_limit"
        )
    return ""
