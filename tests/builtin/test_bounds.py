"""Which method is the ceiling of a source's pairs."""

from __future__ import annotations

from typing import Any

import pytest

from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source
from fairl_bench.suite.registry import Registry

REGISTRY = Registry(installed=False)
BASE = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 20}}
PAIRS = {
    "use": "aligned-lm",
    "base": BASE,
    "expert": {"use": "rloo", "reward": {"use": "toy-truth"}},
    "prompts": {"use": "toy-prompts"},
}


def source(**changed: Any) -> Source:
    return REGISTRY.build(Source, {**PAIRS, **changed})


def log_ratio(**fields: Any) -> Method:
    return REGISTRY.build(Method, {"use": "log-ratio", **fields})


def test_the_whole_log_ratio_of_the_sources_models_bounds_its_pairs() -> None:
    assert log_ratio().bounds(source())
    assert log_ratio(base=BASE).bounds(source())  # named, and the same
    assert log_ratio().of(source()).bounds(source())


@pytest.mark.parametrize(
    "fields",
    [
        {"prompts": "withheld"},
        {"normalise": "token"},
        {"base": {**BASE, "steps": 3}},
        {"expert": BASE},
    ],
)
def test_part_of_it_or_that_of_other_models_does_not(fields: dict[str, Any]) -> None:
    assert not log_ratio(**fields).bounds(source())


def test_a_source_that_knows_no_models_has_no_ceiling() -> None:
    assert not log_ratio(base=BASE, expert=BASE).bounds(REGISTRY.build(Source, {"use": "toy-comments"}))


@pytest.mark.parametrize("fields", [{"use": "length"}, {"use": "oracle", "judge": {"use": "toy-truth"}}])
def test_no_other_method_is_a_ceiling(fields: dict[str, Any]) -> None:
    assert not REGISTRY.build(Method, fields).bounds(source())
