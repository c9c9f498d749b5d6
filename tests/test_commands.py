"""The commands on the pages of ``docs`` work as they stand there, in a folder that has what the pages speak of.

Tutorials and the page on rewards have tests of their own; what a block is not run for is said above it, and listed.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import fairl_bench
from fairl_bench.cli.main import main
from tests.support.pages import DOCS, Block, blocks, commands, pages

SHELL = ("sh", "console")
DETOX = """\
name: detox
replicates: [0, 1]
seeds: [0, 1]
models: [{name: toy, use: toy-comments, n: 120, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 16}]
head: {use: mlp, width: 8}
training: {epochs: 3}
methods:
  - {name: max-entropy, use: max-entropy}
  - {name: mean-difference, use: mean-difference}
evaluate:
  - {use: classification, data: [pairs/test], label: gold, threshold: {data: pairs/train, label: gold}}
  - {use: fidelity, data: [pairs/test]}
report:
  table1: {data: [pairs/test], truth: gold}
  table2: {data: [pairs/test], methods: [mean-difference, max-entropy]}
"""
MINE = """\
extends: detox.yaml
name: mine
plugins: [focal_bt]
methods:
  - {name: focal, use: focal-bt}
  - {name: length, use: length}
report:
  table1: {data: [pairs/test], truth: gold}
"""
PAPER = """\
name: paper
title: Numbers of a paper
model: toy
encoder: tfidf
mapping:
  method: {Max-Entropy: max-entropy}
  data: {pairs: pairs/test}
  metric: {AUC: auc}
margins: {auc: {within: 0.5, why: as an example}}
numbers:
  - id: auc
    value: 0.7
    sd: 0.01
    runs: 5
    metric: AUC
    method: Max-Entropy
    data: pairs
    truth: gold
    source: {table: Table 1}
"""


def test_every_command_has_the_options_that_a_page_names() -> None:
    of_all = [block for path in pages() for block in blocks(path) if block.language in SHELL]
    assert len(of_all) > 30
    assert [(block.page, option) for block in of_all for line in commands(block.text) for option in unknown(line)] == []


def unknown(arguments: list[str]) -> list[str]:
    """The options of a command that it does not have."""
    _, command, rest = main.resolve_command(click.Context(main), arguments)
    while isinstance(command, click.Group):
        _, command, rest = command.resolve_command(click.Context(command), rest)
    assert command is not None
    known = {"--help", *(option for one in command.params for option in (*one.opts, *one.secondary_opts))}
    return [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]


def test_a_command_or_an_option_that_is_not_there_is_noticed() -> None:
    (report, store) = commands("fairl-bench report X --tabel 1 | head -n 3; fairl-bench store verify --repair\n")
    assert unknown(report) == ["--tabel"]
    assert unknown(store) == []
    with pytest.raises(click.UsageError, match="'raport'"):
        unknown(["raport"])


# --- run, page by page


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with suites, the results of two of them, their store, scores, truths, pairs and published numbers."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "suites").mkdir()
    for name, text in {"detox": DETOX, "paradetox": DETOX.replace("detox", "paradetox"), "mine": MINE}.items():
        (folder / "suites" / f"{name}.yaml").write_text(text)
    for width, name in ((8, "detox"), (16, "detox-wide")):
        suite, place = {"extends": str(folder / "suites" / "detox.yaml"), "head": {"use": "mlp", "width": width}}, name
        fairl_bench.run({**suite, "name": name}, results=folder / "results" / place, store=folder / "store")
    (folder / "paper.yaml").write_text(PAPER)
    scores = fairl_bench.read_results(folder / "results" / "detox").scores
    scores = scores[(scores["dataset"] == "pairs") & (scores["split"] == "test")]
    columns = ["model", "encoder", "method", "dataset", "split", "replicate", "seed", "example", "reward", "label"]
    scores[columns].to_csv(folder / "scores.csv", index=False)
    with (folder / "truths.csv").open("w") as out:
        rows = csv.writer(out)
        rows.writerow(["dataset", "split", "replicate", "example", "truth", "label"])
        known = scores[["dataset", "split", "replicate", "example", "label"]].drop_duplicates()
        rows.writerows((*row[:4], "gold", row[4]) for row in known.itertuples(index=False))
    pairs = [
        {"prompt": f"Say {i}.", "chosen": f"Thank you, that was kind {i}.", "rejected": f"You are a fool {i}."}
        for i in range(40)
    ]
    lines = map(json.dumps, pairs)
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to work in, with two language models."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    for name in ("BASE", "EXPERT"):
        shutil.copytree(tiny_lm, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAIRL_STORE", str(tmp_path / "store"))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the command sets them; so that they are put back
    return tmp_path


def to_run(path: Path) -> list[Block]:
    """The blocks of a page whose commands are run here."""
    return [block for block in blocks(path) if block.language in SHELL and not block.mark]


@pytest.mark.parametrize("of_page", [pytest.param(to_run(path), id=path.stem) for path in pages() if to_run(path)])
def test_the_commands_of_a_page_work(of_page: list[Block], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in "".join(block.text for block in of_page).splitlines():
        line = line.replace("/mnt/team", str(place / "team"))
        if exported := re.match(r"export (\w+)=(\S+)", line):
            monkeypatch.setenv(*exported.groups())
            continue
        found = list(commands(line))
        assert found, f"{line!r} is not a command of ours: say above the block why it is not run"
        for arguments in found:
            ran = CliRunner().invoke(main, arguments)
            verdict = arguments[0] == "regress" and ran.exit_code == 1  # it ran, and the numbers differ
            assert ran.exit_code == 0 or verdict, f"{line}\n{ran.output}"


PYTHON = ("how-to/their-reward.md", "reference/python.md")


@pytest.mark.parametrize("page", PYTHON)
def test_the_python_of_a_page_works(page: str, place: Path) -> None:
    shutil.copy(place / "suites" / "detox.yaml", place / "detox.yaml")  # what "detox" names here
    found = [block.text for block in blocks(DOCS / page) if block.language == "python" and block.mark == "run"]
    assert found
    exec("\n".join(found), {"my_reward": lambda prompt, text: len(prompt) - len(text)})


def test_a_page_whose_python_is_said_to_be_run_has_a_test() -> None:
    found = {block.page for path in pages() for block in blocks(path) if (block.mark, block.said) == ("run", "python")}
    in_test_docs = {"how-to/rewards.md", "how-to/views.md", "reference/hooks.md", "reference/plugins.md"}
    assert found == {*PYTHON, *in_test_docs}


def test_a_mark_of_commands_says_what_is_done_with_them() -> None:
    marked = [block for path in pages() for block in blocks(path) if block.language in SHELL and block.mark]
    assert {block.mark for block in marked} == {"not run", "run"}
    assert all(block.said for block in marked)
