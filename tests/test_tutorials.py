"""Each tutorial works from top to bottom, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parent.parent / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r'(<!-- not run: [^\n]+ -->\n)?^```(\w+)(?: title="([\w./-]+)")?\n(.*?)^```$', re.M | re.S)


def steps(page: Path) -> list[tuple[str, str, str]]:
    """The blocks of a page that are done: language, name of the file that the block is, or empty, and text."""
    return [(language, name, text) for skip, language, name, text in BLOCK.findall(page.read_text()) if not skip]


def do(language: str, text: str, folder: Path, environment: dict[str, str]) -> str:
    """What a block prints; fails where the block does."""
    program = {"sh": ["bash", "-euo", "pipefail", "-c", text], "python": [sys.executable, "-c", text]}[language]
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a shell whose ``fairl-bench`` and ``python`` are ours, with a store of its own."""
    place = tmp_path_factory.mktemp("bin")
    for name, rest in {"fairl-bench": '-m fairl_bench "$@"', "python": '"$@"'}.items():
        (place / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {rest}\n')
        (place / name).chmod(0o755)
    return {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "FAIRL_STORE": str(place / "store")}


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_every_step_of_a_tutorial_works(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    printed = []
    for language, name, text in steps(page):
        if name:
            (tmp_path / name).write_text(text)
        else:
            printed.append(do(language, text, tmp_path, environment))
    for said in EXPECTED[page.stem]:
        assert re.search(said, "".join(printed)), said


EXPECTED = {
    "audit": [r"are those with .*less toxic words"],
    "data": [r"max-entropy +\d\.\d{3} ± ", r"\n-?\d+\.\d+\n-?\d+\.\d+\n$"],
    "doubt": [r"because-of-failures", r"failure-aware +\d\.\d{3} ± ", r"McNemar"],
    "method": [r"squared-hinge +\d\.\d{3} ± ", r"over-the-hinge", r"learns +.*supported"],
}
"""By tutorial, what its commands print among other things."""
