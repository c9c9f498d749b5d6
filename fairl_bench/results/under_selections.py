"""Claims under several selections: the verdict that differs among them, and a setting without its selection."""

from __future__ import annotations

from typing import Final

from fairl_bench.suite.selections import without_selection
from fairl_bench.values.coordinates import Setting

DEPENDS: Final = "depends on the selection"
"""The verdict on a claim that has not the same one under each of its selections."""


def apart_from_selection(setting: Setting) -> Setting:
    """The setting without the selection in its variant."""
    return setting._replace(variant=without_selection(setting.variant))
