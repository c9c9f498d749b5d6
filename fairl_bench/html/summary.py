"""The first screen of the page: what was run, what was found, and one picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from markupsafe import Markup

from fairl_bench.figures.style import NARROW
from fairl_bench.html.inline import as_part_of_page, own_width
from fairl_bench.html.page import inlined
from fairl_bench.html.section import OurSection
from fairl_bench.html.warnings import alarming
from fairl_bench.material import Material, Picture
from fairl_bench.results.summary import what_was_found, what_was_run
from fairl_bench.views import Panel

_AUDIT: Final = (("pipeline",), ("shares", "separable"))
"""The two figures of an audit, and what each may begin with: how it came to its verdict, and what it found."""
_MAIN: Final = ("organisms", "claims", "headline", "selections", "encoders", "leaderboard", "sweep-", "ceiling")
"""The figures that may be the one picture of another suite, the first that there is; else it is the first figure."""


class Shown(NamedTuple):
    """A picture of the first screen: as a part of the page, wide and, where there is one, narrow; or as an image."""

    name: str
    title: str
    wide: Markup | None
    narrow: Markup | None
    image: str  # base64, where it cannot be a part of the page
    own: str  # the width that it was drawn for


class Summary(Panel):
    """What was run and found, in a few sentences and a picture; above them what makes numbers wrong, if anything."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection:
        """The first screen."""
        values = {
            "alarm": alarming(material),
            "run": _unbroken(what_was_run(material)),
            "found": list(map(_unbroken, what_was_found(material))),
            "pictures": [shown(pictures, name) for name in _main(pictures)],
        }
        return OurSection("Summary", anchor="summary", template="summary", values=values)


def _unbroken(sentence: str) -> str:
    """A sentence in which a number and its percent sign stay on one line."""
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")


def shown(pictures: Mapping[str, Picture], name: str) -> Shown:
    """A picture with its narrow twin."""
    wide, narrow = (_as_markup(pictures.get(each)) for each in (name, f"{name}{NARROW}"))
    picture = pictures[name]
    return Shown(name, picture.title, wide, narrow, "" if wide else inlined(picture)[2], own_width(picture))


def on_first_screen(pictures: Mapping[str, Picture]) -> set[str]:
    """The names of the figures that need not be shown again: those of the first screen, and narrow twins."""
    return {*_main(pictures), *(name for name in pictures if name.endswith(NARROW))}


def _main(pictures: Mapping[str, Picture]) -> list[str]:
    """The names of the pictures of the first screen: two of an audit, one of another suite; none without a figure."""
    audit = [name for starts in _AUDIT if (name := _first(pictures, starts))]
    main = audit or [_first(pictures, _MAIN) or next(iter(pictures), "")]
    return [name for name in main if name]


def _first(pictures: Mapping[str, Picture], starts: Iterable[str]) -> str:
    """The first figure that begins like the first of these that any does; empty where none does."""
    wide = [name for name in pictures if not name.endswith(NARROW)]
    return next((name for start in starts for name in wide if name.startswith(start)), "")


def _as_markup(picture: Picture | None) -> Markup | None:
    svg = None if picture is None else as_part_of_page(picture)
    return None if svg is None else Markup(svg)  # made of shapes alone
