"""A run looks first whether its parts can do their work, as `check` does: of those that have some to do, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from fairl_bench.store.store import Store

Write = Callable[..., Path]
Cli = Callable[..., Result]

PLUGIN = """
from pathlib import Path
import numpy as np
from fairl_bench import DataError, Method, Reward, hookimpl

class Looked(Method):
    needs: str = ""

    def check(self):
        with Path(__file__).with_name("looked.txt").open("a") as file:
            file.write("looked\\n")
        if self.needs:
            raise DataError(f"{self.needs} is not there; name another")

    def fit(self, task):
        return Reward({"weight": np.ones(1, "float32")})

    def score(self, reward, inputs):
        return inputs.vectors.sum(1)

@hookimpl
def fairl_methods(register):
    register("looked", Looked)
"""
SUITE = """\
name: looked
plugins: [looked.py]
seeds: [0]
models: [{name: toy, use: toy-comments, n: 60, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 4}]
methods:
  - {name: length, use: length}
  - {name: looked, use: looked}
evaluate: [{use: fidelity, data: [pairs/test]}]
"""


@pytest.fixture
def looked(tmp_path: Path) -> Callable[[], int]:
    """Writes the plugin; how often its part has looked."""
    (tmp_path / "looked.py").write_text(PLUGIN)
    log = tmp_path / "looked.txt"
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0


def test_a_run_tells_what_a_part_lacks_before_any_work(
    write_suite: Write, cli: Cli, store: Store, looked: Callable[[], int]
) -> None:
    write_suite(SUITE.replace("use: looked}", "use: looked, needs: w.bin}"))
    said = "error: suite.yaml:8: methods.1: w.bin is not there; name another\n"
    for command in ("check", "run"):
        ran = cli(command, "suite.yaml")
        assert (ran.exit_code, ran.stderr) == (2, said)
    assert list(store.keys()) == []
    assert looked() == 2


def test_a_part_looks_once_a_run_and_not_where_its_work_is_done(
    write_suite: Write, cli: Cli, looked: Callable[[], int]
) -> None:
    write_suite(SUITE)
    assert cli("run", "suite.yaml").exit_code == 0
    assert looked() == 1
    assert "nothing to compute" in cli("run", "suite.yaml").stdout
    assert looked() == 1
    write_suite(SUITE.replace("use: length}", "use: length, unit: words}"))
    assert cli("run", "suite.yaml", "--only", "method=length").exit_code == 0
    assert looked() == 1


def test_a_data_file_that_is_not_there_is_told_at_the_line_that_names_it(
    write_suite: Write, cli: Cli, store: Store, tmp_path: Path
) -> None:
    more = "testsets:\n  texts: {use: jsonl-texts, path: gone.jsonl, gold: {column: toxic, good: 0}}\n"
    write_suite(SUITE.replace("plugins: [looked.py]\n", "").replace("use: looked", "use: max-margin") + more)
    ran = cli("run", "suite.yaml")
    said = f"error: suite.yaml:10: testsets.texts: {tmp_path}/gone.jsonl cannot be read: No such file or directory\n"
    assert (ran.exit_code, ran.stderr) == (2, said)
    assert list(store.keys()) == []
