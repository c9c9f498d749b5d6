"""A suite whose results are small, and a page without figures."""

from __future__ import annotations

from typing import Any

import pytest

from fairl_bench.html import write as pages


@pytest.fixture
def short(tiny: dict[str, Any]) -> dict[str, Any]:
    """The tiny suite with two methods that need no training, and one small table."""
    tiny["methods"] = tiny["methods"][-2:]
    tiny["models"][0]["n"] = 40
    tiny["evaluate"] = [{"use": "fidelity", "data": ["pairs/test"]}]
    tiny["report"] = {"table1": {"data": ["pairs/test"], "truth": "gold", "metrics": ["starc"]}}
    del tiny["testsets"]
    return tiny


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds."""
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: {})
