"""What a part starts from: the requests of parts within parts, and of evaluators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import Field

from fairl_bench.component import Component, Settings
from fairl_bench.kinds.judge import BaseTexts, Judge
from fairl_bench.kinds.lm import LM, Ask, Prompts
from fairl_bench.values.language_models import Sampling


def nested(role: str, part: Component) -> dict[str, Settings]:
    """The upstream of a nested part, each role below the role of the part; `within` finds the answers again."""
    return {f"{role}/{inner}": start for inner, start in part.upstream().items()}


def within(role: str, upstream: Mapping[str, Any]) -> dict[str, Any]:
    """The answers that the part in this role asked for.

    >>> within("reward", {"base": 1, "reward/on": 2})
    {'on': 2}
    """
    return {name.removeprefix(f"{role}/"): answer for name, answer in upstream.items() if name.startswith(f"{role}/")}


BASE_TEXTS: Final = 1000
"""The completions of a base that a scale is taken from."""


def base_request(base: LM, prompts: Prompts, sampling: Sampling) -> Ask:
    """The request for the completions of a base that judges take their scale from.

    It has a size of its own, so that an alignment does not depend on how many pairs are made with it.
    """
    name = "base-texts"
    return Ask(lm=base, prompts=prompts, n=BASE_TEXTS, sampling=sampling, voice=name, occasion=name)


S = TypeVar("S")


def judges_on_base(value: S, base: BaseTexts) -> S:
    """The part, or any value of a field, with each judge in it told the base; the same object where nothing changes.

    The reward of an aligner within it is left out: that is told the base of its aligner.
    """
    changed: Any = value
    if value is None or isinstance(value, str | int | float | LM):
        return value
    if isinstance(value, Settings):
        before = {name: getattr(value, name) for name in type(value).model_fields}
        after = {name: judges_on_base(entry, base) for name, entry in before.items()}
        update = {name: entry for name, entry in after.items() if entry is not before[name]}
        changed = value.model_copy(update=update) if update else value
        return changed.on_base(base) if isinstance(changed, Judge) else changed  # type: ignore[return-value]
    if isinstance(value, Mapping):
        changed = {name: judges_on_base(entry, base) for name, entry in value.items()}
        return changed if any(changed[name] is not entry for name, entry in value.items()) else value
    if isinstance(value, tuple):
        changed = tuple(judges_on_base(entry, base) for entry in value)
        return changed if any(new is not old for new, old in zip(changed, value, strict=True)) else value
    return value


class Refits(Settings):
    """A request of an evaluator for its reward, learnt ``n`` times more, each time from resampled training pairs.

    Pairs that stay together in a split are resampled together, and the seed is that of the reward.  The answer holds
    the rewards of the texts ``[n, texts]`` by the name of each of the data that the evaluator `needs`; no row where the
    method does not learn.
    """

    n: int = Field(ge=1, description="number of trainings")


class Artefact(Settings):
    """The answer of another stage of the plan, by its key: the reward of a cell, its pairs, their split."""

    key: str
