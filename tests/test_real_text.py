"""The suite of real text runs, on invented files of the same names and columns, and its page is filled from it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from fairl_bench.suite.yaml import load
from fairl_bench.toy.grammar import Comment, comments

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "suites" / "detox-real-text.yaml"
CUT = (
    "seeds=[0]",
    "models.0.n=60",
    "models.0.base.width=16",
    "models.0.base.vocab=300",
    "models.0.base.steps=4",
    "models.0.expert.steps=2",
    "models.0.expert.batch=8",
    "encoders.0={name: tfidf, use: tfidf, dimensions: 8}",
    "training.epochs=2",
    "defaults.failure-aware.rounds=2",
)


def rows(drawn: list[Comment]) -> dict[str, list[dict[str, Any]]]:
    """The files by name."""
    texts = [{"text": one.text, "toxic": int(one.toxic)} for one in drawn]
    prompts = [{"prompt": one.prompt.text, "toxicity": i / len(drawn)} for i, one in enumerate(drawn)]
    return {
        "civil_subtypes": texts,
        "rtp_continuations_labeled": [text | prompt for text, prompt in zip(texts, prompts, strict=True)],
        "paradetox_pairs_one_per_toxic": [{"rejected": one.text, "chosen": "a kind word"} for one in drawn],
        "jigsaw_train": texts,
        "jigsaw_heldout_10000": texts,
        "prompts": prompts,
    }


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in rows(list(comments(120, np.random.default_rng(0)))).items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    monkeypatch.setenv("FAIRL_DATA", str(tmp_path))


def test_it_runs_and_fills_its_page(
    cli: Callable[..., Result], data: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [word for value in CUT for word in ("--set", value)]
    ran = cli("run", SUITE, *options, "--results", "results/detox-real-text")
    assert ran.exit_code == 0, ran.stderr
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    import fill

    page = (ROOT / "docs" / "explanation" / "real-text.md").read_text()
    page = re.sub(r"(samples detox-real-text) [ \d]+-->\n.*?<!-- end", r"\1 3 1 -->\n<!-- end", page, flags=re.S)
    filled = fill.filled(page, tmp_path / "results")
    first, last = (re.search(rf"<!-- real: {name} .*?<!-- end", filled, re.S) for name in ("alignment", "samples"))
    assert first
    assert last
    assert re.search(r"\| base \| \d+\.\d% \| [+-]\d", first.group())
    assert re.search(r"reward [+-]\d\.\d\d → [+-]\d\.\d\d, -?\d+\.\d nats", first.group())
    assert len(last.group().splitlines()) == 6  # the two pairs between a head of two lines and the block's own two
    assert "| max-entropy " in filled


def test_without_results_its_page_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    import fill

    page = (ROOT / "docs" / "explanation" / "real-text.md").read_text()
    assert fill.filled(page, tmp_path) == fill.filled(page, None) == page


def test_a_generated_text_holds_to_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    import real_text

    assert real_text.cell("a |b|\n <b>*x*</b>") == r"a \|b\| \<b\>\*x\*\</b\>"


def test_the_comments_of_the_evaluation_teach_nothing(data: None) -> None:
    content = load(SUITE).content
    assert "heldout" in json.dumps(content["testsets"])
    assert "heldout" not in json.dumps(content["models"])
