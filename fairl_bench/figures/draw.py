"""The figures of a report, drawn and rendered, under names that their files can have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from fairl_bench.errors import PluginError
from fairl_bench.figures.style import render
from fairl_bench.guards.views import FILE_NAME, UNGUARDED, ViewGuard
from fairl_bench.material import Material, Picture
from fairl_bench.results.folder import alike, distinct
from fairl_bench.views import Drawn, ReportFigure


def draw(parts: Iterable[ReportFigure], material: Material, guard: ViewGuard = UNGUARDED) -> dict[str, Drawn]:
    """The figures of these parts by the names of their files, each only where its data is there."""
    return {figure.name: figure for _, figure in _drawn(parts, material, guard)}


def _drawn(parts: Iterable[ReportFigure], material: Material, guard: ViewGuard) -> Iterator[tuple[ReportFigure, Drawn]]:
    """Each figure, under the name of its files, with the part that has drawn it."""
    drawn: list[tuple[ReportFigure, Drawn]] = []
    for part in parts:
        of_part: list[Drawn] = []
        with guard.call(part.kind, part.use):
            of_part = list(map(_checked, part.figures(material)))
        for figure in of_part:
            if guard.may_call(part.kind, part.use, figure.name, [other.name for _, other in drawn]):
                drawn.append((part, figure))
    no_name = alike(figure.name for _, figure in drawn)
    for (part, figure), is_unusable in zip(drawn, no_name, strict=True):
        yield part, _renamed(figure) if is_unusable else figure


def _checked(figure: object) -> Drawn:
    """A figure of a part.  Raises `PluginError` for one that cannot be saved."""
    if not isinstance(figure, Drawn):
        raise PluginError(f"figures gave {figure!r:.60}; make it a fairl_bench.Drawn")
    if not isinstance(figure.name, str) or not FILE_NAME.fullmatch(figure.name):
        raise PluginError(f"{figure.name!r:.60} is no name of a file; use letters, digits and -")
    if not isinstance(figure.title, str) or not figure.title:
        raise PluginError(f"the figure {figure.name!r} has no title; say what it shows")
    return figure


def _renamed(figure: Drawn) -> Drawn:
    """A figure whose name no file can have, under one that a file can have."""
    return figure._replace(name=distinct(figure.name, hashlib.sha256(figure.title.encode()).hexdigest()))


def pictures(parts: Iterable[ReportFigure], material: Material, guard: ViewGuard = UNGUARDED) -> dict[str, Picture]:
    """The figures of these parts as they are saved, by the names of their files."""
    saved = {}
    for part, (name, title, figure) in _drawn(parts, material, guard):
        with guard.call(part.kind, part.use):
            saved[name] = Picture(name, title, render(figure))
    return saved
