from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin import prompts as module
from fairl_bench.builtin.prompts import HubPrompts, JsonlPrompts, TextPrompts, ToyPrompts
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.toy.prompts import toy_prompts

SCORED = [{"prompt": f"prompt {i}", "toxicity": i / 10} for i in range(10)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def listed(folder: Path, rows: list[Any], **fields: Any) -> JsonlPrompts:
    return JsonlPrompts.named("jsonl-prompts", path=write(folder / "prompts.jsonl", rows), **fields)


# --- of the toy world


def test_toy_prompts_are_those_of_the_grammar() -> None:
    found = ToyPrompts(stances=("hostile",), shift=0.5).texts(30, rng())
    assert found == tuple(prompt.text for prompt in toy_prompts(30, rng(), ("hostile",), 0.5))
    assert ToyPrompts().texts(30, rng()) == tuple(prompt.text for prompt in toy_prompts(30, rng()))
    assert ToyPrompts.drawn


def test_a_stance_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"(?s)stances.*input_value='angry'"):
        ToyPrompts(stances=("angry",))
    with pytest.raises(ValueError, match=r"(?s)stances.*at least 1 item"):
        ToyPrompts(stances=())


# --- of a file


def test_each_line_of_a_text_is_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("one\n\n  two \none\nthree", encoding="utf-8")
    part = TextPrompts(path=str(path))
    part.check()
    assert sorted(part.texts(9, rng())) == ["one", "three", "two"]
    assert part.texts(9, rng()) == part.texts(9, rng())
    assert part.texts(2, rng()) == part.texts(9, rng())[:2]
    assert TextPrompts(path=str(path), limit=2).texts(9, rng(3)) in {("one", "two"), ("two", "one")}


def test_a_text_without_prompts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("\n  \n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no prompt; write one on each line"):
        TextPrompts(path=str(path)).check()


def test_prompts_of_a_file_come_shuffled_each_once(tmp_path: Path) -> None:
    part = listed(tmp_path, SCORED)
    found = part.texts(100, rng())
    assert Counter(found) == Counter(row["prompt"] for row in SCORED)
    assert found == part.texts(100, rng()) != part.texts(100, rng(1))
    assert part.texts(4, rng()) == found[:4]
    assert JsonlPrompts.drawn


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"above": 0.5}, {6, 7, 8, 9}),  # 0.5 itself is not above
        ({"below": 0.2}, {0, 1}),
        ({"above": 0.3, "below": 0.6}, {4, 5}),
    ],
)
def test_only_prompts_of_the_score_asked_for(tmp_path: Path, bounds: dict[str, float], kept: set[int]) -> None:
    found = listed(tmp_path, SCORED, score="toxicity", **bounds).texts(100, rng())
    assert sorted(found) == [f"prompt {i}" for i in sorted(kept)]


def test_a_prompt_without_a_score_is_left_out_where_scores_choose(tmp_path: Path) -> None:
    rows = [*SCORED, {"prompt": "unknown", "toxicity": None}]
    assert "unknown" not in listed(tmp_path, rows, score="toxicity", above=-1.0).texts(100, rng())
    assert "unknown" in listed(tmp_path, rows).texts(100, rng())


def test_limit_reads_the_first_rows(tmp_path: Path) -> None:
    assert sorted(listed(tmp_path, SCORED, limit=3).texts(100, rng())) == ["prompt 0", "prompt 1", "prompt 2"]


def test_a_column_within_a_column_is_named_with_a_dot(tmp_path: Path) -> None:
    rows: list[Any] = [{"prompt": {"text": f"prompt {i}", "toxicity": i / 10}} for i in range(10)]
    fields = {"prompt": "prompt.text", "score": "prompt.toxicity", "above": 0.75}
    assert sorted(listed(tmp_path, rows, **fields).texts(9, rng())) == ["prompt 8", "prompt 9"]
    rows[0]["prompt.text"] = "of that very name"
    assert "of that very name" in listed(tmp_path, rows, prompt="prompt.text").texts(10, rng())


@pytest.mark.parametrize(
    ("row", "fields", "sentence"),
    [
        ({"promt": "a"}, {}, "no column 'prompt'; did you mean 'promt'?"),
        ({"prompt": {"txt": "a"}}, {"prompt": "prompt.text"}, "no column 'prompt.text'"),
        ({"prompt": 3}, {}, "column 'prompt' needs a text, got 3"),
        ({"prompt": " "}, {}, "column 'prompt' is empty"),
        ({"prompt": "a", "toxicity": "b"}, {"score": "toxicity", "above": 0.0}, "'toxicity' needs a number, got 'b'"),
        ({"prompt": "a", "toxicity": True}, {"score": "toxicity", "above": 0.0}, "'toxicity' needs a number, got True"),
        ({"prompt": "a"}, {"score": "toxicity", "above": 0.0}, "no column 'toxicity'"),
    ],
)  # fmt: skip
def test_a_row_that_holds_no_prompt_is_named(
    tmp_path: Path, row: dict[str, Any], fields: dict[str, Any], sentence: str
) -> None:
    part = listed(tmp_path, [{"prompt": {"text": "a"}} if "prompt" in fields else {**SCORED[0]}, row], **fields)
    for ask in (part.check, lambda: part.texts(1, rng())):
        with pytest.raises(DataError, match=f"prompts.jsonl:2: .*{re.escape(sentence)}"):
            ask()


def test_no_prompt_of_the_score_asked_for_is_said_with_the_bounds(tmp_path: Path) -> None:
    part = listed(tmp_path, SCORED, score="toxicity", above=0.95, below=1.5)
    part.check()
    with pytest.raises(DataError, match=r"none of 10 prompts has its 'toxicity' above 0\.95 and below 1\.5"):
        part.texts(1, rng())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"above": 0.5}, "'above' or 'below', and they need a 'score'"),
        ({"score": "toxicity"}, "a 'score' needs 'above' or 'below'"),
        ({"score": "toxicity", "above": 0.5, "below": 0.5}, "no score is above 0.5 and below 0.5"),
    ],
)
def test_bounds_that_choose_nothing_are_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        JsonlPrompts(path="/nowhere", **fields)


# --- of the hub


def test_prompts_of_the_hub_are_those_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def snapshot(name: str, revision: str | None, **how: Any) -> Path:
        asked.append((name, revision, how["repo_type"], how["files"]))
        return tmp_path

    monkeypatch.setattr(module, "snapshot", snapshot)
    write(tmp_path / "prompts.jsonl", [{"prompt": {"text": f"prompt {i}", "toxicity": i / 10}} for i in range(10)])
    part = HubPrompts.named("hub-prompts", score="prompt.toxicity", above=0.75)
    part.check()
    assert sorted(part.texts(9, rng())) == ["prompt 8", "prompt 9"]
    assert part.reads() == {"data": tmp_path.name}
    assert set(asked) == {("allenai/real-toxicity-prompts", None, "dataset", ("prompts.jsonl",))}


def test_prompts_that_are_nowhere_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingExtra, match=r"data set 'nobody/nothing' is not on this machine .*; use 'jsonl-prompts'"):
        HubPrompts(name="nobody/nothing").reads()
