"""Figure 3: rewards learnt from one subtype, judged on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairl_bench.figures.style import SHADES, SMALL, brief, canvas, styled
from fairl_bench.figures.variants import in_file_name
from fairl_bench.material import Material
from fairl_bench.science.classification import auc
from fairl_bench.values.data import GOLD, Floats
from fairl_bench.values.sheets import Sheet
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Transfer(ReportFigure):
    """Rewards learnt from one subtype, judged on each, as the paper's Figure 3."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each test set that has several subtypes."""
        for data in sorted(material.data):
            sheets = () if data.startswith("pairs/") else material.sheets([data])
            if (figure := transfer(sheets, material.methods)) is not None:
                yield Drawn(f"transfer-{in_file_name(data)}", f"Transfer between subtypes: {data}", figure)


@styled
def transfer(sheets: Sequence[Sheet], methods: Sequence[str]) -> Figure | None:
    """A heat-map a method: AUC of good texts against the bad ones of a subtype, by what the reward was trained on.

    ``sheets`` are of one test set.  None below two models or two subtypes.
    """
    models = list(dict.fromkeys(sheet.model for sheet in sheets))
    names = list(
        dict.fromkeys(name for sheet in sheets for name in sheet.examples.truths if name.startswith("subtype:"))
    )
    names.sort(
        key=lambda name: models.index(subtype) if (subtype := name.removeprefix("subtype:")) in models else len(models)
    )
    squares = {method: transferred(sheets, method, models, names) for method in methods}
    squares = {method: square for method, square in squares.items() if np.isfinite(square).any()}
    if len(models) < 2 or len(names) < 2 or not squares:
        return None
    width = 1.6 + len(squares) * (0.6 + 0.75 * len(names))
    figure, axes = canvas(1, len(squares), width, 1.4 + 0.45 * len(models), sharey=True)
    low, high = min(map(np.nanmin, squares.values())), max(map(np.nanmax, squares.values()))
    for axis, (method, square) in zip(axes, squares.items(), strict=True):
        image = axis.imshow(square, cmap=SHADES, vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
        _numbers(axis, square, (low + high) / 2)
        axis.set_title(brief(method))
        labels = [name.removeprefix("subtype:").replace("_", " ") for name in names]
        axis.set_xticks(range(len(names)), labels, rotation=30, ha="right")
        axis.set_yticks(range(len(models)), [brief(model) for model in models])
        axis.grid(visible=False)
        axis.set_xlabel("judged on")
    axes[0].set_ylabel("trained on")
    figure.colorbar(image, ax=axes, label="AUC, good against the subtype")
    return figure


def transferred(sheets: Sequence[Sheet], method: str, models: Sequence[str], names: Sequence[str]) -> Floats:
    """The mean AUC over runs ``[models, subtypes]``; NaN where a subtype or the good texts are absent."""
    runs: dict[tuple[str, str], list[float]] = {}
    for sheet in sheets:
        gold = sheet.examples.truths.get(GOLD)
        for name in names if gold is not None else ():
            subtype = sheet.examples.truths.get(name)
            if gold is None or subtype is None:
                continue
            good, bad = gold.label > 0, (gold.label < 0) & (subtype.label > 0)
            either, known = good | bad, bool(good.any() and bad.any())
            for run, reward in sheet.rewards.items():
                if run.method == method and known:
                    runs.setdefault((sheet.model, name), []).append(auc(reward[either], gold.label[either]))
    return np.array([[np.mean(runs.get((model, name), [np.nan])) for name in names] for model in models])


def _numbers(axis: Axes, square: Floats, middle: float) -> None:
    """Write each number into its square."""
    for (row, column), value in np.ndenumerate(square):
        if np.isfinite(value):
            colour = "black" if value > middle else "white"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=SMALL)
