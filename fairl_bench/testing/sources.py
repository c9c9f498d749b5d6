"""Promises of where texts come from: sources and test sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from fairl_bench.component import Component
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.science.streams import stream
from fairl_bench.testing.promises import answer, check_spec, must
from fairl_bench.values.data import Examples, Pairs

if TYPE_CHECKING:
    from fairl_bench.suite.registry import Registry

T = TypeVar("T")


def check_source(source: Source, *, registry: Registry | None = None, **upstream: object) -> None:
    """Equal pairs for equal random numbers, and other ones for another replicate only where it says ``drawn``."""

    def drawn(replicate: int) -> Pairs:
        return answer(source, lambda: source.pairs(stream("world", replicate), **upstream), upstream=upstream)

    first = drawn(0)
    must(isinstance(first, Pairs), f"pairs gave {type(first).__name__}; return fairl_bench.Pairs")
    _check_drawn(source, drawn, lambda one: (one.preferred, one.rejected, one.prompt, one.group))
    check_spec(source, registry)


def check_testset(testset: TestSet, *, registry: Registry | None = None, **upstream: object) -> None:
    """Equal texts for equal random numbers, and other ones for another replicate only where it says ``drawn``."""

    def drawn(replicate: int) -> Examples:
        rng = stream("world/testset", replicate)
        return answer(testset, lambda: testset.examples(rng, **upstream), upstream=upstream)

    first = drawn(0)
    must(isinstance(first, Examples) and len(first) > 0, "examples gave no fairl_bench.Examples with a text in it")
    for name, (value, label) in first.truths.items():
        must(
            value.shape == label.shape == (len(first),),
            f"the truth {name!r} has shapes {[list(value.shape), list(label.shape)]} for {len(first)} texts",
        )
    _check_drawn(
        testset, drawn, lambda one: (one.text, one.prompt, {n: t.label.tolist() for n, t in one.truths.items()})
    )
    check_spec(testset, registry)


def _check_drawn(part: Component, drawn: Callable[[int], T], content: Callable[[T], object]) -> None:
    """Whether a part draws from its random numbers alone, and says whether it draws."""
    first = content(drawn(0))
    must(content(drawn(0)) == first, "asked twice, it gave other texts; draw from rng alone")
    must(
        part.draws() or content(drawn(1)) == first,
        "another replicate gave other texts; declare drawn = True, so that every replicate is made",
    )
