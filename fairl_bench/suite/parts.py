"""The parts that a suite names, with their places: checked before any work, so that errors have a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairl_bench.component import Component, Settings, Spec
from fairl_bench.digests import canonical
from fairl_bench.errors import DataError, FairlError, SuiteError
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.suite.read import Study
from fairl_bench.suite.suite import Named, Suite
from fairl_bench.suite.yaml import Place

_LINE = re.compile(r"\S.*?:\d+: ")


def check_parts(study: Study, todo: Iterable[Mapping[str, Spec]] | None = None) -> list[str]:
    """Let every part, nested ones too, check that its work can be done, and return their remarks.

    With ``todo``, the specs by role of each stage to do, those of these stages alone.  Raises `SuiteError` with the
    line of the part and what it said.
    """
    wanted = None if todo is None else {canonical(spec) for parts in todo for spec in parts.values()}
    if wanted is not None and not wanted:
        return []
    seen, met, remarks = set[str](), set[int](), dict[str, None]()
    for suite in study.variants.values():
        for place, outer in parts_of(suite):
            if id(outer) in met:
                continue
            met.add(id(outer))
            # an evaluator that asks more of a reward than scores has another spec in each stage
            if wanted is not None and canonical(outer.plain()) not in wanted and not isinstance(outer, Evaluator):
                continue
            for inner_place, part in placed_parts(outer, place):
                spec = part.kind + canonical(part.plain())
                if spec not in seen:
                    seen.add(spec)
                    _check(part, inner_place, study)
                    remarks |= dict.fromkeys(part.remarks())
    return list(remarks)


def _check(part: Component, place: Place, study: Study) -> None:
    """Let one part check its work.  Raises its error with its line."""
    try:
        part.check()
        if isinstance(part, Source | TestSet):
            _check_size(part)
    except FairlError as error:
        raise placed_error(error, place, study) from error


MOST_ROWS = 100_000_000
"""The most pairs or texts of one data set: more would fill any memory before they are embedded."""


def _check_size(part: Source | TestSet) -> None:
    """Raise `DataError` where a data set is larger than any can be."""
    size = part.size()
    if size is not None and size > MOST_ROWS:
        what = "pairs" if isinstance(part, Source) else "texts"
        raise DataError(
            f"{part.kind} {part.use!r} is to hold {size:,} {what}, and {MOST_ROWS:,} are the most that one holds; ask "
            "for fewer"
        )


def placed_error(error: FairlError, place: Place, study: Study) -> FairlError:
    """The error with the line of its part; unchanged where it has a line already, of a data file say."""
    if _LINE.match(str(error)):
        return error
    steps = ".".join(map(str, place))
    return SuiteError(f"{steps}: {error}", *study.document.where(place))


def parts_of(suite: Suite) -> Iterator[tuple[Place, Component]]:
    """The parts that a suite names, with their places."""
    for key in ("models", "testsets", "encoders", "methods", "evaluate"):
        yield from _outermost(getattr(suite, key), (key,))


def _outermost(value: Any, place: Place) -> Iterator[tuple[Place, Component]]:
    """The outermost parts in a value, with their places."""
    if isinstance(value, Component):
        yield place, value
    elif isinstance(value, Named):
        yield place, value.part
    else:
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for step, entry in entries:
            yield from _outermost(entry, (*place, step))


def placed_parts(value: object, place: Place = ()) -> Iterator[tuple[Place, Component]]:
    """Every part in a value with its place, the inner ones first."""
    if isinstance(value, Settings):
        for name in type(value).model_fields:
            # the part that has a name stands beside it
            beside = isinstance(value, Named) and name == "part"
            yield from placed_parts(getattr(value, name), place if beside else (*place, name))
        if isinstance(value, Component):
            yield place, value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from placed_parts(entry, (*place, key))
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            yield from placed_parts(entry, (*place, index))
