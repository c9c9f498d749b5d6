"""A section of the page that a template of ours makes, and that the script of the page may fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairl_bench.views import Section


@dataclass(frozen=True)
class OurSection(Section):
    """Which template of ``sections/`` makes it, what that is given, and the ``data`` that the script reads.

    Without a title no link leads to it.
    """

    anchor: str = ""
    template: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
