"""The first screen of the page: what was run, what was found, and one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from markupsafe import Markup

from fairl_bench.figures.style import NARROW
from fairl_bench.html.inline import as_part_of_page
from fairl_bench.html.page import inlined
from fairl_bench.html.section import OurSection
from fairl_bench.html.warnings import alarming
from fairl_bench.material import Material, Picture
from fairl_bench.results.summary import what_was_found, what_was_run
from fairl_bench.views import Panel

_MAIN: Final = ("claims", "headline", "selections", "encoders", "leaderboard", "sweep-", "ceiling")
"""The figures that may be the one picture, the first that there is; of another suite its first figure is."""


class Shown(NamedTuple):
    """A picture of the first screen: as a part of the page, wide and, where there is one, narrow; or as an image."""

    name: str
    title: str
    wide: Markup | None
    narrow: Markup | None
    image: str  # base64, where it cannot be a part of the page


class Summary(Panel):
    """What was run, what was found and one picture; above them what makes the numbers wrong, if anything does."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection:
        """The first screen."""
        values = {
            "alarm": alarming(material),
            "run": what_was_run(material),
            "found": what_was_found(material),
            "pictures": [shown(pictures, name) for name in _main(pictures)],
        }
        return OurSection("Summary", anchor="summary", template="summary", values=values)


def shown(pictures: Mapping[str, Picture], name: str) -> Shown:
    """A picture with its narrow twin."""
    wide, narrow = (_as_markup(pictures.get(each)) for each in (name, f"{name}{NARROW}"))
    picture = pictures[name]
    return Shown(name, picture.title, wide, narrow, "" if wide else inlined(picture)[2])


def on_first_screen(pictures: Mapping[str, Picture]) -> set[str]:
    """The names of the figures that need not be shown again: those of the first screen, and narrow twins."""
    return {*_main(pictures), *(name for name in pictures if name.endswith(NARROW))}


def _main(pictures: Mapping[str, Picture]) -> list[str]:
    """The name of the one picture; none where there is no figure."""
    by_choice = (name for start in _MAIN for name in pictures if name.startswith(start) and not name.endswith(NARROW))
    return [name for name in (next(by_choice, None) or next(iter(pictures), None),) if name is not None]


def _as_markup(picture: Picture | None) -> Markup | None:
    svg = None if picture is None else as_part_of_page(picture)
    return None if svg is None else Markup(svg)  # made of shapes alone
