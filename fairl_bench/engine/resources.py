"""What a stage asks of a machine, from the parts that do its work, and when it has taken more than it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairl_bench.component import Component, Settings
from fairl_bench.kinds import LM, Source
from fairl_bench.resources import Resources, size_in_bytes

if TYPE_CHECKING:
    from fairl_bench.stage import Stage


def needs(parts: Iterable[Component]) -> dict[str, Any]:
    """The resources of a stage as plain data: the most that its parts or what is nested in them ask for.

    Its limits are those of its parts alone: a nested part is not what takes the time.
    """
    own = list(parts)
    outer = [found for part in own if (found := _resources(part))]
    every = [found for part in own for inner in _within(part) if (found := _resources(inner))]
    if not every:
        return {}
    memory = [one.memory for one in every if one.memory]
    limit = [one.memory_limit for one in outer if one.memory_limit]
    return Resources(
        num_cpus=max(one.num_cpus for one in every),
        num_gpus=max(one.num_gpus for one in every),
        memory=max(memory, key=size_in_bytes, default=None),
        time_limit=max((one.time_limit for one in outer if one.time_limit), default=None),
        memory_limit=max(limit, key=size_in_bytes, default=None),
    ).plain()


def _resources(part: Component) -> Resources | None:
    found = getattr(part, "resources", None)
    return found if isinstance(found, Resources) else None


def _within(part: Component) -> Iterator[Component]:
    """The part and what is nested in it, but language models and sources: each of these is a stage of its own."""
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
    """What a job asks for; stages of one job ask for the same."""
    return Resources.model_validate(job[0].resources)


def limited(stages: Iterable[Stage]) -> bool:
    """Whether any stage has a limit."""
    return any(stage.resources.get(name) for stage in stages for name in ("time_limit", "memory_limit"))


def exceeded(resources: Resources, seconds: float, held: int, stages: int = 1) -> str:
    """Which limit work has exceeded, in words; empty where it has not.

    ``seconds`` since it began, ``held`` bytes by its process; ``stages`` done together have the time of all.
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
