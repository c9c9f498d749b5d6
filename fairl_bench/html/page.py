"""A results folder as one HTML file: a section for each panel, with one style sheet and one script.

Everything is inlined, and its content security policy forbids every request and every script but ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import category

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairl_bench.guards.views import UNGUARDED, ViewGuard
from fairl_bench.html.inline import own_width
from fairl_bench.html.section import OurSection
from fairl_bench.material import Material, Picture
from fairl_bench.views import Panel, Section

_HERE = Path(__file__).parent
_STYLES = ("page.css", "evidence.css")
_SCRIPTS = ("evidence.js", "page.js")  # the last one begins the work


class _Shown(NamedTuple):
    """A section as it stands on the page; no link leads to one without a title."""

    anchor: str
    title: str
    markup: Markup
    data: Mapping[str, Any]  # for the script of the page


def page(
    material: Material,
    panels: Sequence[Panel],
    pictures: Mapping[str, Picture],
    signature: str,
    guard: ViewGuard = UNGUARDED,
) -> str:
    """The page.  Texts of data sets reach it as JSON alone, and names and notes escaped."""
    room = _environment()
    # those of plugins first, so that ours can tell which of them failed
    ours = [not guard.plugin_of(panel.kind, panel.use) for panel in panels]
    sections: dict[int, _Shown | None] = {}
    for at in sorted(range(len(panels)), key=ours.__getitem__):
        with guard.call(panels[at].kind, panels[at].use):
            sections[at] = _shown(panels[at], material, pictures, room, ours=ours[at])
    shown = [section for at in range(len(panels)) if (section := sections.get(at)) is not None]
    style, script = (_together(names) for names in (_STYLES, _SCRIPTS))
    return room.get_template("page.html").render(
        name=material.name,
        signature=signature,
        style=style,
        script=script,
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        links=[(one.anchor, one.title) for one in shown if one.title],
        sections=[one.markup for one in shown],
        data=as_script({name: value for one in shown for name, value in one.data.items()}),
    )


def _together(names: Sequence[str]) -> str:
    """The files that are one style sheet or one script of the page."""
    return "\n".join((_HERE / name).read_text(encoding="utf-8") for name in names)


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: without_controls(value) if type(value) is str else value,
    )


def _shown(
    panel: Panel, material: Material, pictures: Mapping[str, Picture], room: Environment, *, ours: bool
) -> _Shown | None:
    """What a panel gives, rendered: one of ours by its own template, any other by the plain one."""
    section = panel.section(material, pictures)
    if section is None:
        return None
    if ours and isinstance(section, OurSection):
        markup = room.get_template(f"sections/{section.template}.html").render(section.values)
        return _Shown(section.anchor, section.title, Markup(markup), section.data)
    anchor = f"panel-{panel.use}"
    return _Shown(anchor, section.title, Markup(_plain(section, anchor, room)), {})


def _plain(section: Section, anchor: str, room: Environment) -> str:
    return room.get_template("sections/plain.html").render(
        anchor=anchor,
        title=section.title,
        paragraphs=section.paragraphs,
        tables=section.tables,
        pictures=[inlined(picture) for picture in section.pictures],
        html=section.html,
    )


def inlined(picture: Picture) -> tuple[str, str, str, str]:
    """A picture for a template: name, title, its SVG in base64, and the width that it was drawn for."""
    return picture.name, picture.title, base64.b64encode(picture.formats["svg"]).decode(), own_width(picture)


def as_script(data: object) -> str:
    """JSON that cannot leave a ``script`` element: no ``<``, ``>`` or ``&`` and no line separators are in it.

    >>> as_script("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    for letter in "<>&\u2028\u2029\x7f":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def without_controls(text: str) -> str:
    """A text without control characters but line ends, and without halves of surrogate pairs."""
    return "".join("\ufffd" if one not in "\n\t" and category(one) in ("Cc", "Cs") else one for one in text)
