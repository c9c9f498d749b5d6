"""Secrets: what is planted in a suite, the environment and a command line stands in nothing that is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from fairl_bench.engine.planner import plan
from fairl_bench.guards import secrets
from fairl_bench.guards.secrets import hidden, hidden_in
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import load

Write = Callable[..., Path]
Cli = Callable[..., Result]

# a service's client as a stranger would write it: a key of its own, one of pydantic's type, and an error that tells it
PLUGIN = """
import numpy as np
from typing import Annotated
from pydantic import SecretStr
from fairl_bench import Field, Method, Reward, Secret, hookimpl

class Client(Method):
    key: Annotated[str | None, Secret] = None
    other: SecretStr | None = None
    address: str = ""
    fails: bool = False

    def fit(self, task):
        if self.fails:
            raise RuntimeError(f"{self.address} answered 401 to {self.key} and {self.other.get_secret_value()}")
        return Reward({"weight": np.ones(1, "float32")})

    def score(self, reward, inputs):
        return inputs.vectors.sum(1)

@hookimpl
def fairl_methods(register):
    register("client", Client)
"""
SUITE = """\
name: secret
plugins: [client.py]
seeds: [0]
models: [{name: toy, use: toy-comments, n: 60, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 4}]
methods:
  - {name: works, use: client, key: "${CRED}", other: "${CRED_2}", address: "https://${MY_TOKEN}@host/v1"}
  - {name: fails, use: client, key: "${CRED}", other: written-out, address: "${FAIRL_PLACE}/${DB_PASSWORD}",
     fails: true}
product: {methods.works.address: ["${MY_TOKEN}", "none"]}
evaluate: [{use: fidelity, data: [pairs/test]}]
claims: [{id: c, better: works, than: fails, metric: starc, data: pairs/test, source: "says ${MY_TOKEN}"}]
"""
PLANTED = {
    "CRED": "planted-by-field",
    "CRED_2": "planted-by-type",
    "MY_TOKEN": "planted/by+name",
    "DB_PASSWORD": "pl4nt",  # too short to be looked for, and yet named by the suite
    "SERVICE_API_KEY": "planted-in-the-environment",
}
WRITTEN = "written-out"


@pytest.fixture(autouse=True)
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_kept", {})
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAIRL_PLACE", "https://plain.example")
    (tmp_path / "client.py").write_text(PLUGIN)


def planted_in(folder: Path) -> list[str]:
    """The files below a folder that hold a planted secret, with it."""
    return [
        f"{path.relative_to(folder)}: {value}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for value in (*PLANTED.values(), WRITTEN)
        if value.encode() in path.read_bytes() or value in str(path)
    ]


def test_a_results_folder_and_a_store_hold_no_planted_secret(
    write_suite: Write, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    command = ["fairl-bench", "run", "suite.yaml", "--store", "s3://planted:SE/CRET@bucket"]
    monkeypatch.setattr(sys, "argv", [*command, "--set", "x=planted/by+name"])
    ran = cli("run", write_suite(SUITE), "--results", "results")
    assert ran.exit_code == 1  # one method fails, and tells what it knows
    assert "answered 401 to ${CRED} and ***" in ran.stderr
    assert not [value for value in (*PLANTED.values(), WRITTEN) if value in ran.output]
    assert planted_in(tmp_path / "results") == []
    assert planted_in(tmp_path / "store") == []
    told = json.loads((tmp_path / "results" / "run.json").read_text())
    assert told["command"][4:] == ["s3://bucket", "--set", "x=${MY_TOKEN}"]
    assert any(path.is_file() for path in (tmp_path / "results" / "logs").iterdir())
    works, fails = load(tmp_path / "results" / "suite.yaml").content["methods"]
    assert (works["key"].raw, works["other"].raw, works["address"].raw) == ("${CRED}", "${CRED_2}", "https://host/v1")
    assert (fails["other"], fails["address"].raw) == ("***", "https://plain.example/${DB_PASSWORD}")


def test_a_plugin_that_follows_the_run_is_told_no_secret(write_suite: Write) -> None:
    study = read_study(write_suite(SUITE))
    told = json.dumps(study.suite.shown())
    assert not [value for value in (*PLANTED.values(), WRITTEN) if value in told]


def test_a_secret_of_a_part_is_in_no_key_and_reaches_the_part(
    write_suite: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_suite(SUITE.replace("product:", "# product:"))
    before = plan(read_study(path))
    monkeypatch.setenv("CRED", "another")
    monkeypatch.setenv("CRED_2", "another too")
    after = plan(read_study(path))
    assert before.stages.keys() == after.stages.keys()
    method = next(stage for stage in after.stages.values() if stage.kind == "reward" and "works" in stage.title)
    assert (method.parts["method"]["key"], method.parts["method"]["other"]) == ("another", "another too")


def test_an_error_shows_a_variable_and_not_its_value(write_suite: Write, cli: Cli) -> None:
    ran = cli("check", write_suite(SUITE.replace("seeds: [0]", 'seeds: ["${MY_TOKEN}"]')))
    assert (ran.exit_code, "needs a whole number, got '${MY_TOKEN}'" in ran.stderr) == (2, True)


@pytest.mark.parametrize("value", ["128000", "reward"])
def test_a_number_or_a_word_in_the_environment_is_no_secret(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_MAX_TOKENS", value)
    assert hidden(f'{{"n": {value}}}') == f'{{"n": {value}}}'


def test_a_value_of_the_environment_is_a_secret_by_its_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-or-true")
    monkeypatch.setenv("SSH_KEY_FILE", "/usr")
    assert hidden("false-or-true in /usr, planted-in-the-environment") == "false-or-true in /usr, ${SERVICE_API_KEY}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://KEY:SECRET@bucket/a", "s3://bucket/a"),
        ("s3://KEY:SEC/RET+x=@bucket/a", "s3://bucket/a"),
        ("https://user@host/a", "https://host/a"),
        ("https://user:p@ss@host/a@b", "https://host/a@b"),
        ("https://host:8000/a@b", "https://host:8000/a@b"),
        ("https://host/a@b and mail@example.org", "https://host/a@b and mail@example.org"),
        ("see https://u:p@one/x, http://two", "see https://one/x, http://two"),
        ("https://host/?n=1&X-Amz-Signature=abc&m=2", "https://host/?n=1&X-Amz-Signature=***&m=2"),
    ],
)
def test_a_url_loses_its_user_and_its_password(text: str, said: str) -> None:
    assert hidden(text) == said
    assert hidden_in({"a": [text, 1, None]}) == {"a": [said, 1, None]}


def test_a_results_folder_is_read_where_its_variables_are_not_set(
    write_suite: Write, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = SUITE.replace(", fails: true", "").replace("     fails: true}", "    }")
    assert cli("run", write_suite(works), "--results", "results").exit_code == 0
    for name in PLANTED:
        monkeypatch.delenv(name)
    for command in (["report", "results"], ["report", "results", "--format", "csv"]):
        ran = cli(*command)
        assert (ran.exit_code, ran.stderr) == (0, "")
