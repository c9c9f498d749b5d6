"""The commands and the suites of docs/how-to/cluster.md and served-models.md are what the program takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from fairl_bench.cli.main import main
from fairl_bench.engine.executors import ray as cluster
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import load
from fairl_bench.values.resources import Resources

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
PAGE = "".join((HOW_TO / name).read_text() for name in ("cluster.md", "served-models.md"))
BLOCKS = [(language, text) for language, text in re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S)]
LINES = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
INLINE = re.findall(r"`((?:ray|fairl-bench) [^`]+)`", PAGE.replace("\n", " "))
WORDS = [shlex.split(line, comments=True) for line in (*LINES, *INLINE)]
COMMANDS = [words for words in WORDS if words and words[0] != "export"]


def of(program: str) -> list[Any]:
    found = [command for command in COMMANDS if command[0] == program]
    return [pytest.param(command[1:], id=" ".join(command)) for command in found]


def test_the_page_has_commands_of_each_program() -> None:
    assert {command[0] for command in COMMANDS} == {"fairl-bench", "ray", "vllm"}
    assert {language for language, _ in BLOCKS} == {"sh", "yaml"}


@pytest.mark.parametrize("arguments", of("fairl-bench"))
def test_the_command_line_takes_what_the_page_says(arguments: list[str]) -> None:
    name, command, rest = main.resolve_command(click.Context(main), list(arguments))
    assert name == "run"
    assert command is not None
    assert command.make_context(name, rest).params["executor"] in ("local", "ray")


@pytest.mark.parametrize("arguments", of("ray"))
def test_ray_takes_what_the_page_says(arguments: list[str]) -> None:
    scripts = pytest.importorskip("ray.scripts.scripts", reason="needs ray: tox -e ray")
    _, command, rest = scripts.cli.resolve_command(click.Context(scripts.cli), list(arguments))
    assert command.make_context("ray", rest).params is not None


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language == "yaml"])
def test_a_suite_takes_what_the_page_says(
    text: str, tiny: dict[str, Any], tmp_path: Path, write_suite: Callable[..., Path]
) -> None:
    (tmp_path / "fragment.yaml").write_text(text)
    study = read_study(write_suite({**tiny, "slices": None, **_plain(load(tmp_path / "fragment.yaml").content)}))
    assert study.suite.models


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, str) else value


def test_the_page_names_every_resource_and_the_number_of_tries() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE.partition("| field |")[2].partition("\n\n")[0]))
    assert named - {"jobs"} == set(Resources.model_fields)
    assert f"up to {cluster.RETRIES} times" in PAGE
