"""What Tab offers in a shell: asked as a shell asks, by click's protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fairl_bench.cli.main import main
from fairl_bench.kinds import KINDS
from fairl_bench.suite.named_files import shipped
from fairl_bench.suite.registry import Registry

Cli = Callable[..., Result]
BROKEN = "name: [unclosed\n"


def offered(line: str) -> list[str]:
    """What zsh is told for a line whose last word is not finished yet: type, value and help, three lines each."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_FAIRL_BENCH_COMPLETE": "zsh_complete"}
    told = CliRunner().invoke(main, prog_name="fairl-bench", env=asked)
    assert told.stderr == ""
    lines = told.stdout.split("\n")[:-1] if told.stdout.strip() else []
    return [value for of, value in zip(lines[::3], lines[1::3], strict=True) if of == "plain"]


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_commands_and_options_are_offered() -> None:
    assert offered("fairl-bench sh") == ["show"]
    assert offered("fairl-bench run --replace") == ["--replace-results"]


def test_show_offers_every_part_and_list_every_kind() -> None:
    registry = Registry()
    assert offered("fairl-bench show ") == [name for kind in KINDS for name in registry.names(kind)]
    assert offered("fairl-bench show max-m") == ["max-margin"]
    assert offered("fairl-bench list ") == [*KINDS, "concepts", "suites", "published"]


def test_show_offers_the_parts_of_a_drop_in_that_the_line_names(tmp_path: Path) -> None:
    assert offered("fairl-bench show capit") == []
    assert offered("fairl-bench show --plugin capitals capit") == ["capitals"]


@pytest.mark.parametrize("line", ["run", "check", "store prune --keep"])
def test_a_suite_is_a_name_of_the_package_or_a_file(line: str) -> None:
    assert offered(f"fairl-bench {line} ") == list(shipped("suite"))
    assert offered(f"fairl-bench {line} paper/") == [name for name in shipped("suite") if name.startswith("paper/")]


def test_only_offers_the_matrix_of_the_suite_that_stands_before() -> None:
    every = offered("fairl-bench run detox --only ")
    assert {value.partition("=")[0] for value in every} == {"model", "encoder", "method", "replicate", "seed"}
    assert offered("fairl-bench run detox --only method=fa-me") == ["method=fa-me-gold", "method=fa-me-margin"]
    assert offered("fairl-bench run detox --only method=length --only seed=") == ["seed=0", "seed=1", "seed=2"]


def test_only_offers_the_axes_where_no_suite_stands_before_and_nothing_of_one_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    assert offered("fairl-bench run --only m") == ["model=", "method="]
    assert offered("fairl-bench run broken.yaml --only ") == []
    assert offered("fairl-bench run missing.yaml --only ") == []


@pytest.mark.parametrize("command", ["report", "regress", "compare results/first"])
def test_results_folders_are_offered_and_no_others(command: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "run.json").touch()
    (tmp_path / "results" / "empty").mkdir()
    assert offered(f"fairl-bench {command} ") == ["results/first", "results/second"]
    assert offered(f"fairl-bench {command} results/s") == ["results/second"]
    assert offered(f"fairl-bench {command} ./results/s") == ["./results/second"]
    assert offered(f"fairl-bench {command} {tmp_path}/results/f") == [f"{tmp_path}/results/first"]


def test_concepts_executors_and_published_files_are_offered() -> None:
    assert "toxicity-words" in offered("fairl-bench audit a b --concept toxicity")
    assert offered("fairl-bench run detox --executor lo") == ["local"]
    assert offered("fairl-bench regress results/x --against learn") == ["learning-from-failures"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", staticmethod(lambda: None))
    told = CliRunner().invoke(main, prog_name="fairl-bench", env={"_FAIRL_BENCH_COMPLETE": f"{shell}_source"})
    assert f"_FAIRL_BENCH_COMPLETE={shell}_complete" in told.stdout
