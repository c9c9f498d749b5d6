"""Installed packages with small files in the place of large ones: a judge's model, language models in parts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairl_bench.builtin.lms.packaged_model import PACKAGES, Package
from fairl_bench.digests import file_digest

PROFANITY = """
import numpy as np
import warnings


def predict_prob(texts):
    if not texts:
        raise ValueError("no texts")
    return np.array([1.0 if "surely" in text else 0.75 if "rotten" in text else 0.25 for text in texts])
"""


def profanity_package(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str = PROFANITY) -> Path:
    """The package alt-profanity-check, version 0.7, in place of the real one; return its module."""
    (folder / "alt_profanity_check-0.7.dist-info").mkdir(parents=True)
    about = "Metadata-Version: 2.1\nName: alt-profanity-check\nVersion: 0.7\n"
    (folder / "alt_profanity_check-0.7.dist-info" / "METADATA").write_text(about)
    path = folder / "profanity_check.py"
    path.write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "profanity_check"]:
        monkeypatch.delitem(sys.modules, name)
    # so that what the test has imported goes when it ends
    monkeypatch.setitem(sys.modules, "profanity_check", None)  # type: ignore[arg-type]
    del sys.modules["profanity_check"]
    return path


def model_package(name: str, file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, parts: int = 2) -> None:
    """A GGUF file in parts of installed packages, under the name of a model; importing one of them would fail."""
    content, module = file.read_bytes(), name.replace("-", "_")
    size = -(-len(content) // parts)
    for i in range(parts):
        place = folder / f"{module}_part{i}"
        (place / "data").mkdir(parents=True)
        (place / "__init__.py").write_text("raise SystemExit")
        (place / "data" / "part").write_bytes(content[i * size : (i + 1) * size])
    places = tuple((f"{module}_part{i}", "data/part") for i in range(parts))
    monkeypatch.setitem(PACKAGES, name, Package(places, file_digest(file), f"pip install {name}"))
    monkeypatch.syspath_prepend(str(folder))
