"""The sizes of training, validation and test, before a run, where the pairs can be read without work."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

from fairl_bench.engine.plan import Plan
from fairl_bench.errors import DataError, StoreError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.source import Source
from fairl_bench.pairs.judged import judged_pairs
from fairl_bench.pairs.splits import divided
from fairl_bench.store import artefacts
from fairl_bench.store.store import Store
from fairl_bench.suite.parts import placed_error
from fairl_bench.suite.read import Study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import Examples, Split
from fairl_bench.values.dropped import SHARED, dropped_in
from fairl_bench.values.stage import Stage

MOST = 50_000
"""Pairs of a source that are read for their split alone; a larger one is divided when it is run."""


class Sizes(NamedTuple):
    """How many pairs each part of one model's split holds in one replicate, and how many were dropped by reason."""

    model: str
    replicate: int
    counts: Mapping[str, int]  # of the split: what the source dropped is not in it
    dropped: Mapping[str, int]


def sizes(plan: Plan, store: Store, registry: Registry, only: Container[str] | None = None) -> list[Sizes]:
    """The sizes of each split that is finished, or whose pairs can be had without work; of these keys alone.

    Raises `DataError` where a run would, for a part that is read and is empty.
    """
    pairs: dict[str, tuple[Examples, Mapping[str, int]] | None] = {}
    found: dict[str, Sizes] = {}
    for world in plan.worlds:
        if only is not None and world.split not in only:
            continue
        stage = plan.stages[world.split]
        if world.pairs not in pairs:
            pairs[world.pairs] = _pairs(plan.stages[world.pairs], registry)
        if world.split in found:
            continue
        if (read := pairs[world.pairs]) is not None:
            examples, dropped = read
            counts = divided(examples, stage.settings).counts()
        elif (kept := _kept(world.split, store)) is not None:
            counts, dropped = kept.counts(), _dropped_by_source(world.pairs, store)
        else:
            continue
        found[world.split] = Sizes(world.of.model, world.of.replicate, counts, {SHARED: counts["dropped"], **dropped})
    return list(found.values())


def checked_sizes(study: Study, plan: Plan, store: Store, only: Container[str] | None = None) -> list[Sizes]:
    """The `sizes`.  Raises `SuiteError` with the line of the split for a part that is read and is empty."""
    try:
        return sizes(plan, store, study.registry, only)
    except DataError as error:
        raise placed_error(error, ("split",), study) from error


def _kept(key: str, store: Store) -> Split | None:
    """The split of an earlier run; None where there is none, or it is damaged: a run tells of that."""
    try:
        return artefacts.load_split(store.checked(key)[1]) if store.has(key) else None
    except StoreError:
        return None


def _dropped_by_source(key: str, store: Store) -> Mapping[str, int]:
    """What was dropped of the pairs of an earlier run, by reason; nothing where these are gone or damaged."""
    try:
        return dropped_in(store.manifest(key)["facts"]) if store.has(key) else {}
    except StoreError:
        return {}


def _pairs(stage: Stage, registry: Registry) -> tuple[Examples, Mapping[str, int]] | None:
    """The pairs of a stage and what was dropped, from where they lie; None where they have to be made."""
    source = registry.build(Source, stage.parts["source"])
    size = source.size() if source.at_hand else None
    if size is None or size > MOST:
        return None
    if isinstance(source.gold, Judge):  # a split does not depend on what is judged
        source = source.model_copy(update={"gold": None})
    return judged_pairs(source, stage.settings["replicate"], {})
