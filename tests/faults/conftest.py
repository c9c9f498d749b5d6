"""The fixtures of the tests of hostile plugins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hostile_plugins import (
    LETTERS,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    lines = [
        {"chosen": f"kind word {i} {'abc'[i % 3] * i}", "rejected": f"rude text {i} {'xyz'[i % 3] * i}"}
        for i in range(24)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "letters.py").write_text(LETTERS)
    return folder
