"""The parts of a split as `check` shows them, and those that are empty and read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.engine.planner import plan
from fairl_bench.pipeline import Finished
from fairl_bench.preview.split_sizes import sizes
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

Write = Callable[..., Path]
Row = dict[str, str]


@pytest.fixture
def of_file(tiny: dict[str, Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The tiny suite on a file of these rows, judged on pairs alone."""

    def suite(rows: list[Row], **more: Any) -> dict[str, Any]:
        (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        columns = {"prompt": "prompt"} if "prompt" in rows[0] else {}
        model = {"name": "m", "use": "jsonl", "path": "pairs.jsonl", "columns": columns, "gold": {"use": "role"}}
        return {**tiny, "models": [model], **more}

    return suite


def rows(n: int, prompt: Callable[[int], str]) -> list[Row]:
    return [{"chosen": f"kind {i}", "rejected": f"rude {i}", "prompt": prompt(i)} for i in range(n)]


def test_check_shows_the_sizes_of_each_split(
    cli: Callable[..., Result], write_suite: Write, of_file: Callable[..., Any]
) -> None:
    path = write_suite(of_file(rows(100, lambda i: f"p{i // 2}"), replicates=[0, 1, 2, 4]))
    said = cli("check", path)
    assert said.exit_code == 0, said.stderr
    assert "split of m, replicates 0-2, 4: 70 train, 10 validation, 20 test, 0 dropped" in said.stdout


def test_check_says_why_pairs_are_dropped(
    cli: Callable[..., Result], write_suite: Write, of_file: Callable[..., Any]
) -> None:
    shared = [{"chosen": "kind 0", "rejected": f"bad {i}", "prompt": f"q{i}"} for i in range(10)]
    suite = of_file([*rows(100, str), *shared, {"chosen": "a", "rejected": "a", "prompt": "r"}])
    suite["models"][0]["identical"] = "drop"
    said = cli("check", write_suite(suite))
    assert said.exit_code == 0, said.stderr
    (line,) = (line for line in said.stdout.splitlines() if line.startswith("split of m"))
    found = re.search(
        r", (\d+) dropped: (\d+) shares? a text with held-out pairs \(split.shared_text\), "
        r"1 has two equal texts \(identical: drop\)$",
        line,
    )
    assert found is not None, line
    assert int(found[1]) == int(found[2]) + 1 > 1


@pytest.mark.parametrize("word", ["check", "run"])
def test_one_prompt_for_all_leaves_no_test_part(
    word: str, cli: Callable[..., Result], write_suite: Write, of_file: Callable[..., Any], tmp_path: Path
) -> None:
    path = write_suite(of_file(rows(60, lambda i: "the one prompt")))
    said = cli(word, path, *(() if word == "check" else ("--results", tmp_path / "results")))
    assert said.exit_code == 2
    assert (
        "the split leaves no pair for 'test' (20 % of the pairs, and read): its 60 pairs are one undivided group by "
        "group, prompt or rejected text; set another split.by"
    ) in said.stderr


def test_equal_pairs_leave_no_test_part(
    cli: Callable[..., Result], write_suite: Write, of_file: Callable[..., Any]
) -> None:
    same = [{"chosen": "kind", "rejected": "rude"}] * 500
    said = cli("check", write_suite(of_file(same)))
    assert said.exit_code == 2
    assert "its 500 pairs are one undivided group by group, prompt or rejected text" in said.stderr


def test_equal_pairs_of_several_prompts_say_that_they_share_their_texts(
    cli: Callable[..., Result], write_suite: Write, of_file: Callable[..., Any]
) -> None:
    same = [{"chosen": "kind", "rejected": "rude", "prompt": f"p{i}"} for i in range(50)]
    said = cli("check", write_suite(of_file(same)))
    assert said.exit_code == 2
    assert "leaves no pair to train on" in said.stderr
    assert "40 share a text with another part and are dropped" in said.stderr


def test_an_empty_validation_part_is_refused_where_early_stopping_reads_it(
    cli: Callable[..., Result], write_suite: Write, of_file: Callable[..., Any]
) -> None:
    few = rows(4, lambda i: "")
    split = {"validation": 0.1, "test": 0.4}
    stops = cli("check", write_suite(of_file(few, split=split, training={"epochs": 3})))
    assert stops.exit_code == 2
    assert "the split leaves no pair for 'validation' (10 % of the pairs, and read)" in stops.stderr
    assert "split.validation: 0 and training.stop: null" in stops.stderr
    does_not = cli("check", write_suite(of_file(few, split=split, training={"epochs": 3, "stop": None})))
    assert does_not.exit_code == 0, does_not.stderr
    assert "2 train, 0 validation, 2 test" in does_not.stdout


def test_what_no_evaluator_reads_may_be_empty(
    cli: Callable[..., Result], write_suite: Write, of_file: Callable[..., Any]
) -> None:
    suite = of_file(rows(60, lambda i: "one"), training={"epochs": 3, "stop": None})
    suite["evaluate"] = [{"use": "classification", "data": ["pairs/train"]}]
    suite["report"] = {}
    said = cli("check", write_suite(suite))
    assert said.exit_code == 0, said.stderr
    assert "split of m, replicate 0: 60 train, 0 validation, 0 test, 0 dropped" in said.stdout


@pytest.mark.parametrize(("part", "split"), [("test", {"test": 0.0}), ("validation", {"validation": 0.0})])
def test_a_part_that_gets_no_pair_is_not_evaluated(
    part: str, split: dict[str, float], cli: Callable[..., Result], write_suite: Write, of_file: Callable[..., Any]
) -> None:
    suite = of_file(rows(60, str), split=split, report={})
    suite["evaluate"] = [{"use": "classification", "data": [f"pairs/{part}"]}]
    said = cli("check", write_suite(suite))
    assert said.exit_code == 2
    assert f"evaluate: 'pairs/{part}' holds no pair, for split.{part} is 0; raise it, or evaluate on" in said.stderr


def test_pairs_that_have_to_be_made_are_told_once_they_are(
    cli: Callable[..., Result], write_suite: Write, tiny: dict[str, Any], ran: Finished, store: Store, tmp_path: Path
) -> None:
    study = read_study(write_suite(tiny))
    (found,) = sizes(plan(study), store, study.registry)
    assert sum(found.counts.values()) == 120
    assert sizes(plan(study), FolderStore(tmp_path / "empty"), study.registry) == []


def test_who_reads_a_part_is_in_no_key(write_suite: Write, of_file: Callable[..., Any]) -> None:
    suite = of_file(rows(60, str))
    keys = {world.split for world in plan(read_study(write_suite(suite))).worlds}
    suite["evaluate"] = suite["evaluate"][:1]
    suite["training"] = {"epochs": 3, "stop": None}
    suite["report"] = {}
    assert {world.split for world in plan(read_study(write_suite(suite))).worlds} == keys
