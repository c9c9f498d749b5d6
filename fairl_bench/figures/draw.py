"""The figures of a report, drawn and rendered, under names that their files can have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from fairl_bench.figures.style import render
from fairl_bench.material import Material, Picture
from fairl_bench.results.folder import alike, distinct
from fairl_bench.views import Drawn, ReportFigure


def draw(parts: Iterable[ReportFigure], material: Material) -> dict[str, Drawn]:
    """The figures of these parts by the names of their files, each only where its data is there."""
    drawn = [figure for part in parts for figure in part.figures(material)]
    no_name = alike(figure.name for figure in drawn)
    renamed = [_renamed(figure) if is_unusable else figure for figure, is_unusable in zip(drawn, no_name, strict=True)]
    return {figure.name: figure for figure in renamed}


def _renamed(figure: Drawn) -> Drawn:
    """A figure whose name no file can have, under one that a file can have."""
    return figure._replace(name=distinct(figure.name, hashlib.sha256(figure.title.encode()).hexdigest()))


def pictures(parts: Iterable[ReportFigure], material: Material) -> dict[str, Picture]:
    """The figures of these parts as they are saved, by the names of their files."""
    drawn = draw(parts, material)
    return {name: Picture(name, title, render(figure)) for name, (_, title, figure) in drawn.items()}
