"""Figures as pure functions of records, scores, truths and histories.  Nothing here imports torch or reads a file."""

from fairl_bench.figures.all import figures
from fairl_bench.figures.style import FORMATS, render

__all__ = ["FORMATS", "figures", "render"]
