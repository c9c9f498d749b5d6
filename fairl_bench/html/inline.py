"""Figures as a part of the page itself: in its colours, light and dark, where an image would stay white."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

from fairl_bench.material import Picture

_SVG: Final = "http://www.w3.org/2000/svg"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_DRAWN: Final = frozenset({"svg", "g", "defs", "path", "use", "clipPath", "rect"})
_LEFT_OUT: Final = frozenset({"metadata", "style", "title"})  # who drew it and when; what matplotlib says of every line
_KEPT: Final = frozenset({"id", "d", "x", "y", "width", "height", "transform", "style", "clip-path", "viewBox", _LINK})
_COLOURS: Final = {
    **{"#000000": "--ink", "#ffffff": "--paper", "#0072b2": "--blue", "#e69f00": "--amber", "#d55e00": "--red"},
    **{"#595959": "--soft", "#6e6e6e": "--soft", "#9c9c9c": "--soft", "#e3e3e3": "--edge"},
}
"""The colours of figures, and the page's own that stand for them."""
_WIDTH: Final = re.compile(rb"viewBox=\"\S+ \S+ ([\d.]+) ")
_COLOUR: Final = re.compile("|".join(_COLOURS), re.IGNORECASE)


def as_part_of_page(picture: Picture) -> str | None:
    """The SVG of a figure for the middle of a page: with the page's colours, and ids that no other figure has.

    None where it holds anything but shapes, such as a link or an image: such a figure is shown as an image, in which
    nothing can act.
    """
    root = ElementTree.fromstring(picture.formats["svg"])
    if not _strip(root):
        return None
    for node in root.iter():
        _rename(node, f"{picture.name}-")
    root.attrib = {
        "viewBox": root.get("viewBox", "0 0 1 1"),
        "class": "drawn",
        "role": "img",
        "aria-label": picture.title,
    }
    root.set("preserveAspectRatio", "xMinYMin")
    root.set("style", own_width(picture))
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ElementTree.tostring(root, encoding="unicode")


def own_width(picture: Picture) -> str:
    """The width that a figure was drawn for, as the property ``--own``: the style sheet sizes the figure by it."""
    found = _WIDTH.search(picture.formats["svg"])
    return f"--own: {float(found[1]):.0f}pt" if found else "--own: 30rem"


def _strip(node: ElementTree.Element) -> bool:
    """Take away what is no shape and does no harm; whether only shapes are left."""
    for child in list(node):
        if _name(child) in _LEFT_OUT:
            node.remove(child)
    if _name(node) not in _DRAWN or not node.get(_LINK, "#").startswith("#") or "url(" in node.get("style", ""):
        return False
    node.attrib = {name: value for name, value in node.attrib.items() if name in _KEPT}
    return all(map(_strip, node))


def _name(node: ElementTree.Element) -> str:
    return str(node.tag).removeprefix(f"{{{_SVG}}}")


def _rename(node: ElementTree.Element, before: str) -> None:
    """Ids, and what refers to them, begin with the figure's name; colours become the page's."""
    if "id" in node.attrib:
        node.set("id", before + node.attrib["id"])
    if _LINK in node.attrib:
        node.set(_LINK, "#" + before + node.attrib[_LINK][1:])
    if "clip-path" in node.attrib:
        node.set("clip-path", node.attrib["clip-path"].replace("url(#", f"url(#{before}"))
    if "style" in node.attrib:
        node.set("style", _COLOUR.sub(lambda found: f"var({_COLOURS[found[0].lower()]})", node.attrib["style"]))
