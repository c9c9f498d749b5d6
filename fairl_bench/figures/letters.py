"""Letters that the figures' own font lacks: drawn by another font of this machine, or written as their numbers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN: Final = "DejaVu Sans"  # comes with matplotlib
OTHERS: Final = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS"),
    *("Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Noto Sans Ethiopic"),
)


@cache
def families() -> list[str]:
    """Our own font, then those of `OTHERS` that this machine has: a letter is drawn by the first that knows it."""
    from matplotlib.font_manager import fontManager

    here = {font.name for font in fontManager.ttflist}
    return [OWN, *(name for name in OTHERS if name in here)]


@cache
def _drawable() -> frozenset[int]:
    """The letters that some of `families` has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(
        letter for name in families() for letter in get_font(findfont(FontProperties(family=name))).get_charmap()
    )


def spelt(text: str) -> str:
    r"""The text with each letter that no font here has written as its number.

    >>> spelt("toxic ✓"), spelt("\U000e0041")
    ('toxic ✓', '\\U000e0041')
    """
    drawable = _drawable()
    return "".join(
        letter if ord(letter) in drawable or letter == "\n" else letter.encode("ascii", "backslashreplace").decode()
        for letter in text
    )


def spell(figure: Figure) -> None:
    """Every text of a figure as `spelt`: titles, legends, and the names beside axes."""
    from matplotlib.text import Text

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            names = [label.get_text() for label in axis.get_ticklabels()]
            if (readable := [spelt(name) for name in names]) != names:  # an axis writes its labels anew when drawn
                axis.set_ticks(axis.get_ticklocs(), readable)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(spelt(text.get_text()))
