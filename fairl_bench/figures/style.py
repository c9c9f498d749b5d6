"""The one look of all figures: colours that colour-blind readers tell apart and that differ in grey."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, TypeVar

from fairl_bench.figures.letters import families, spell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")

FORMATS: Final = ("svg", "png")


class Look(NamedTuple):
    """The look of one series: each of the three alone tells it from its neighbours."""

    colour: str
    marker: str
    line: str


# Okabe and Ito (2008), without its yellow, which vanishes on white; ordered so that neighbours differ in lightness
LOOKS: Final = (
    Look("#0072B2", "o", "-"),
    Look("#E69F00", "s", "--"),
    Look("#000000", "^", "-."),
    Look("#56B4E9", "D", ":"),
    Look("#D55E00", "v", "-"),
    Look("#CC79A7", "X", "--"),
    Look("#009E73", "P", "-."),
)
GOOD, BAD = LOOKS[0], LOOKS[1]
MUTED: Final = "#595959"
NARROW: Final = "-narrow"
"""The end of the name of a figure that is drawn again for a narrow column of a page or a paper."""
COLUMN: Final = 3.7
"""The width of such a column, in inches."""
SMALL: Final = 9
"""The size of what is said below and beside a figure, in points: 12 pixels on a page that shows it as it was drawn."""
SHADES: Final = "cividis"  # rises evenly in lightness, and reads the same without red or green

_SETTINGS: Final[Mapping[Any, Any]] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "text.parse_math": False,  # names of data sets are no formulas
    "svg.hashsalt": "fairl-bench",  # equal figures are equal files
}


def look(index: int) -> Look:
    """The look of the ``index``-th series; they come round again."""
    return LOOKS[index % len(LOOKS)]


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """The same function, its figure in our style whatever the reader's own settings."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update({**_SETTINGS, "font.family": families()})
            return draw(*args, **kwargs)

    return drawn


def canvas(rows: int, columns: int, width: float, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    """An empty figure of ``width × height`` inches and its axes, row by row; no window, no global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, list(axes.ravel())


@styled
def render(figure: Figure) -> dict[str, bytes]:
    """The bytes of a figure by format; equal figures give equal bytes."""
    content = {}
    spell(figure)
    for form in FORMATS:
        out = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, dpi=150, facecolor="white", metadata=metadata)
        content[form] = out.getvalue()
    return content


def grid(n: int, most: int = 4) -> tuple[int, int]:
    """Rows and columns for ``n`` panels of at most ``most`` in a row.

    >>> grid(3), grid(4), grid(11)
    ((1, 3), (1, 4), (3, 4))
    """
    columns = min(n, most)
    return -(-n // columns), columns


def title_lines(name: str, most: int = 32) -> str:
    """A name above a panel: where it is long, what stands in brackets at its end is on a line of its own.

    >>> title_lines("oracle (truth)"), title_lines("log-ratio-distilled (both models)")
    ('oracle (truth)', 'log-ratio-distilled\\n(both models)')
    """
    before, bracket, after = name.rpartition(" (")
    if len(name) <= most or not bracket:
        return brief(name, most)
    return f"{brief(before, most)}\n({brief(after, most)}"


def brief(name: str, most: int = 32) -> str:
    """A name that fits beside an axis.

    >>> brief("max-entropy"), brief("a" * 40)
    ('max-entropy', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…')
    """
    return name if len(name) <= most else name[: most - 1] + "…"


def wrapped(sentence: str, width: float) -> str:
    """A sentence of `SMALL` points in lines that fit below a figure of so many inches."""
    return textwrap.fill(sentence, max(20, int(width * 14)), break_on_hyphens=False)
