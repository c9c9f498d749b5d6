"""The fixtures of the tests of `completions-api`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from completions_server import Fake

from fairl_bench.builtin.shared import openai_endpoint as endpoint
from fairl_bench.values.language_models import Site


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are waited between tries; none is really waited."""
    waited: list[float] = []

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            waited.append(timeout)
            return self.is_set()

    monkeypatch.setattr(endpoint, "Event", Impatient)
    return waited


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "work").mkdir()
    (tmp_path / "answer").mkdir()
    return Site(tmp_path / "answer", tmp_path / "work")
