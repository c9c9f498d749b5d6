"""The pictures of the pages: ``python docs/_fill/pictures.py [RESULTS]``.

Theorem 1 is drawn; the others are figures of the results of a suite, and stay as they are where the folder (default
``results``) has none of it. All are kept in few colours, which is all that they have, so that the site stays light.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import theory
from PIL import Image

from fairl_bench.figures.style import render

PAGES = Path(__file__).parents[1]
FIGURES = {
    "explanation/real-models": "real-models/figures/ceiling.png",
    "explanation/selections": "claims-learning-from-failures/figures/selections.png",
    "start/main-job": "detox/figures/headline.png",
}
"""By picture, the figure of a results folder that it is."""

COLOURS, WIDTH = 24, 1000  # pixels


def light(png: bytes) -> bytes:
    """The picture in few colours, and no wider than a page shows it."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((WIDTH, image.height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def main(results: Path) -> None:
    """Write every picture that can be made."""
    (PAGES / "explanation" / "theorem-1.png").write_bytes(light(render(theory.figure())["png"]))
    for name, path in FIGURES.items():
        if (results / path).exists():
            (PAGES / f"{name}.png").write_bytes(light((results / path).read_bytes()))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
