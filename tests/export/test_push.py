"""Rewards and results on the hub: what was pushed is read back from a stand-in of its API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hub_server import TOKEN, Hub, hub
from reward_models import language_model

from fairl_bench import load_reward
from fairl_bench.export.push import PushError, push
from fairl_bench.pipeline import Finished

Cli = Callable[..., Result]
CELL = "toy-states-max-entropy-r0-s0"


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def results(run_suite: Callable[..., Finished], tiny: dict[str, Any], tmp_path: Path) -> Path:
    """The results of a suite with a reward on the states of a language model."""
    place = language_model(tmp_path / "lm", "gpt-neox")
    (place / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    lm = {"use": "pretrained", "model": str(place)}
    tiny["encoders"] = [{"name": "states", "use": "causal-lm", "lm": lm, "pooling": "last", "normalise": False}]
    tiny["models"][0] |= {"n": 60, "embed": "prompt+completion"}
    tiny |= {"methods": tiny["methods"][1:], "seeds": [0], "head": {"use": "linear"}}
    done = run_suite(tiny)
    assert done.outcome.failed == {}
    return done.folder


def test_a_reward_is_written_and_pushed_with_its_card(results: Path, listening: Hub, cli: Cli, tmp_path: Path) -> None:
    said = cli("export", results / "rewards" / CELL, "--to", "transformers", tmp_path / "out", "--push", "me/reward")
    assert said.exit_code == 0, said.stderr
    assert "out: a standard architecture, GPTNeoXForSequenceClassification, which any program" in said.stdout
    assert f"{listening.url}/me/reward" in said.stdout
    pushed = listening.repositories["models", "me/reward"]
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert pushed == written
    assert {"model.safetensors", "config.json", "tokenizer.json"} < written.keys()
    assert listening.visibility["models", "me/reward"] == "private"
    card = pushed["README.md"].decode()
    assert "license: apache-2.0" in card
    assert "| pairs/test | gold " in card  # its own numbers
    assert "- method `max-entropy` with temperature `1.0`" in card
    assert "source `toy-comments` with" in card
    constant = float(card.split("number of this folder plus ")[1].split(":")[0])
    assert constant == pytest.approx(float(load_reward(results / "rewards" / CELL).reward.arrays["bias"]))
    assert str(tmp_path) not in card
    assert TOKEN not in "".join(content.decode("utf-8", "replace") for content in pushed.values())


def test_results_are_pushed_as_a_data_set_with_table_1(results: Path, listening: Hub, cli: Cli) -> None:
    (results / "notes of mine.txt").write_text("private")
    said = cli("export", results, "--push", "me/results", "--public", "--license", "cc-by-4.0")
    assert said.exit_code == 0, said.stderr
    pushed = listening.repositories["datasets", "me/results"]
    listed = json.loads((results / "manifest.json").read_text())["files"]
    assert pushed.keys() == {*listed, "manifest.json", "README.md"}
    assert all(pushed[name] == (results / name).read_bytes() for name in listed)
    card = pushed["README.md"].decode()
    table = (results / "tables" / "table1.md").read_text().strip()
    assert table.splitlines()[2] in card
    assert "max-entropy" in card
    assert "license: cc-by-4.0" in card
    assert listening.visibility["datasets", "me/results"] == "public"
    assert not (results / "README.md").exists()


def test_a_secret_of_the_environment_is_on_no_card(
    results: Path, listening: Hub, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIDDEN_TOKEN", "my-licence-1.0")
    said = cli("export", results / "rewards" / CELL, "--push", "me/reward", "--license", "my-licence-1.0")
    assert said.exit_code == 0
    assert "license: ${HIDDEN_TOKEN}" in listening.repositories["models", "me/reward"]["README.md"].decode()


def test_a_licence_is_an_identifier(results: Path, cli: Cli) -> None:
    for what in (results, results / "rewards" / CELL):
        said = cli("export", what, "--push", "me/x", "--license", "a: b")
        assert (said.exit_code, said.stderr.splitlines()) == (
            2,
            ["error: --license 'a: b': needs an identifier of the hub, such as apache-2.0 or other"],
        )


def test_without_a_folder_and_a_repository_there_is_nothing_to_do(results: Path, cli: Cli, tmp_path: Path) -> None:
    said = cli("export", results / "rewards" / CELL)
    assert (said.exit_code, said.stderr) == (2, "error: export needs a FOLDER to write, or --push REPO\n")
    for more in ((), (tmp_path / "out", "--push", "me/results")):
        said = cli("export", results, *more)
        assert said.exit_code == 2
        assert "is a results folder, and is exported with --push REPO alone" in said.stderr


# --- what the hub refuses


def refused(sentence: str, repository: str = "me/reward") -> None:
    with pytest.raises(PushError, match=sentence):
        push({"a": b"a"}, repository, kind="model", public=False, title="a")


def test_what_the_hub_refuses_is_told_with_what_to_do(listening: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    refused("them/reward cannot be written: .*; the token may not write there; name a repository of", "them/reward")
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    refused("me/reward cannot be written: .*; set HF_TOKEN to a token of yours that may write")
    assert listening.repositories == {}
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    refused("me/reward cannot be written: .*; look at the name, the token in HF_TOKEN and the network")


def test_a_repository_that_is_there_is_written_again_and_keeps_its_visibility(listening: Hub) -> None:
    for content, public in ((b"a", True), (b"b", False)):
        push({"a": content}, "me/reward", kind="model", public=public, title="a")
    assert listening.repositories["models", "me/reward"] == {"a": b"b"}
    assert listening.visibility["models", "me/reward"] == "public"


def test_offline_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused("me/reward cannot be written: HF_HUB_OFFLINE is set; unset it for this command")
