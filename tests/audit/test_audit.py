"""The command ``audit`` on two small language models, on a server, and on pairs: findings, or one sentence."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from echo_server import EchoServer

from fairl_bench import audit
from fairl_bench.audits.request import AuditRequest
from fairl_bench.audits.suite import audit_suite
from fairl_bench.errors import FairlError
from fairl_bench.suite.yaml import load, load_written
from fairl_bench.toy.prompts import toy_prompts

Cli = Callable[..., Result]


@pytest.fixture(scope="session")
def shouting(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny language model, with an exclamation mark more likely everywhere."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("shouting") / "shouting"
    shutil.copytree(tiny_lm, folder)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    head = model.get_output_embeddings()
    bias = torch.zeros(head.out_features)
    bias[tokenizer.convert_tokens_to_ids("!")] = 3.0
    # a bias of its own, hidden in a direction that every state has: the last norm's
    norm = model.base_model.final_layer_norm
    with torch.no_grad():
        norm.bias += 1.0
        head.weight += bias[:, None] / norm.bias.numel()
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    texts = dict.fromkeys(prompt.text for prompt in toy_prompts(220, np.random.default_rng(0)))
    path.write_text("".join(f"{text}\n" for text in list(texts)[:200]), encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Pairs of short texts, of which the preferred one is longer."""
    path, rng = tmp_path / "pairs.jsonl", np.random.default_rng(0)
    words = ["bus", "tram", "late", "early", "again", "today", "stop", "line"]

    def text(n: int) -> str:
        return " ".join(rng.choice(words, n))

    sides = [(text(rng.integers(8, 16)), text(rng.integers(3, 12))) for _ in range(160)]
    rows = [{"prompt": f"prompt {i}", "chosen": one, "rejected": two} for i, (one, two) in enumerate(sides)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def found_in(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "findings.json").read_text())
    return content


def test_two_copies_of_a_model_do_not_differ(cli: Cli, tiny_lm: Path, prompts: Path, tmp_path: Path) -> None:
    started = time.perf_counter()

    ran = cli("audit", tiny_lm, tiny_lm, "--prompts", prompts, "--quick", "--n", 200, "--name", "copies")

    assert time.perf_counter() - started < 90, "seconds"
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("No difference between the two models can be shown with 179 pairs; ")
    found = found_in(tmp_path / "results" / "audit-copies")
    assert found["outcome"] == "no difference shown"
    assert found["separable"]["could_have_found"] == pytest.approx(0.605, abs=0.005)
    assert ran.stdout.splitlines()[0].rstrip(".") == found["verdict"]


def test_what_a_model_does_more_of_is_named(
    cli: Cli, tiny_lm: Path, shouting: Path, prompts: Path, tmp_path: Path
) -> None:
    """The suite in the folder can be run again, and says the same."""
    marks = "marks={use: regex, pattern: '!', per: word, about: exclamation marks}"

    ran = cli("audit", tiny_lm, shouting, "--prompts", prompts, "--quick", "--n", 400, "--concept", marks)

    assert ran.exit_code == 0, ran.stderr
    folder = tmp_path / "results" / "audit-shouting"
    found = found_in(folder)
    assert found["separable"]["low"] > 0.5
    named = [concept for concept in found["concepts"] if concept["verdict"] == "named"]
    assert named[0]["name"] in ("marks", "exclamations")
    assert named[0]["direction"] == "more"
    assert "shouting was rewarded for more" in ran.stdout.splitlines()[0]
    again = cli("run", folder / "suite.yaml")
    assert again.exit_code == 0, again.stderr
    assert "nothing to compute" in again.stdout
    assert found_in(folder) == found


def test_pairs_alone_are_read_for_what_was_preferred(cli: Cli, pairs: Path, tmp_path: Path) -> None:
    concepts = tmp_path / "concepts.yaml"
    concepts.write_text("length: words\nstops: {use: word-list, words: [stop], about: stops}\n")

    ran = cli("audit", "--pairs", pairs, "--concepts", concepts, "--head", "linear")

    assert ran.exit_code == 0, ran.stderr
    found = found_in(tmp_path / "results" / "audit-pairs")
    assert {concept["name"] for concept in found["concepts"]} == {"length", "stops"}
    assert found["reward"] == {"method": "max-entropy", "given": "texts", "data": "pairs/test"}
    assert found["separable"]["n"] == pytest.approx(80, abs=2)


@pytest.fixture
def served(tiny_lm: Path, shouting: Path) -> Iterator[EchoServer]:
    server = EchoServer({"plain": tiny_lm, "shouting": shouting}, "vllm")
    yield server
    server.close()


def test_models_of_a_server_are_asked_there(cli: Cli, served: EchoServer, prompts: Path, tmp_path: Path) -> None:
    models = [f"{served.url}#plain", f"{served.url}#shouting"]

    ran = cli("audit", *models, "--prompts", prompts, "--quick", "--n", 40)

    assert ran.exit_code == 0, ran.stderr
    assert found_in(tmp_path / "results" / "audit-shouting")["reward"]["method"] == "log-ratio"


def test_a_dry_run_prints_a_suite_and_makes_nothing(cli: Cli, tiny_lm: Path, prompts: Path, tmp_path: Path) -> None:
    ran = cli("audit", tiny_lm, tiny_lm, "--prompts", prompts, "--name", "dry", "--concept", "characters", "--dry-run")

    assert ran.exit_code == 0, ran.stderr
    assert not (tmp_path / "results").exists()
    suite = tmp_path / "mine.yaml"
    suite.write_text(ran.stdout)
    content = load(suite).content
    assert content["name"] == "audit-dry"
    assert content["evaluate"][1]["concepts"]["characters"] == {"use": "characters"}
    checked = cli("check", suite)
    assert checked.exit_code == 0, checked.stderr


def refused(ran: Result) -> str:
    assert ran.exit_code == 2
    assert ran.stdout == ""
    first, *rest = ran.stderr.splitlines()
    assert first.startswith("error: ")
    assert not any(line.startswith("error: ") for line in rest)  # a long sentence goes on in a second line
    return first


def test_the_example_in_suites_is_what_an_audit_writes(cli: Cli, tiny_lm: Path, prompts: Path) -> None:
    """Apart from its two models, which are those of the synthetic world, and their prompts."""
    written = dict(load_written(cli("audit", tiny_lm, tiny_lm, "--prompts", prompts, "--dry-run").stdout))
    example = dict(load(Path(__file__).parents[2] / "suites" / "audit.yaml").content)

    (model,), (shown,) = written.pop("models"), example.pop("models")

    own = {"name", "base", "expert", "prompts"}
    assert {name: value for name, value in shown.items() if name not in own} == {
        name: value for name, value in model.items() if name not in own
    }
    assert {**written, "name": "audit"} == example


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: an audit needs two models, BASE EXPERT, with --prompts FILE, or what they wrote, --pairs FILE"),
        (["base", "expert"], "error: --prompts: name a file of prompts, one on each line, for the two models to"),
        (["base", "expert", "--prompts", "gone.txt"], "error: --prompts: gone.txt does not exist; name a file that"),
        (["./gone", "./gone", "--prompts", "some.txt"], "error: model './gone' does not exist; name a folder"),
        (["base", "--pairs", "some.jsonl"], "error: --pairs: an audit of texts takes no models and no --prompts"),
        (["--pairs", "ok.jsonl", "--tokens", "text"], "error: --tokens: an audit of texts asks no language model"),
        (["--pairs", "ok.jsonl", "--api-key-env", "K"], "error: --api-key-env: an audit of texts asks no language"),
        (["--pairs", "some.jsonl"], "error: some.jsonl has the columns left, right: which hold the two texts? name"),
        (["--pairs", "some.jsonl", "--columns", "preferred"], "error: --columns preferred: needs FIELD=COLUMN"),
        (["--pairs", "some.jsonl", "--columns", "chosen=left"], "error: --columns chosen=...: known:"),
        (["--pairs", "some.jsonl", "--columns", "preferred=lft,rejected=right"], "error: some.jsonl has no column"),
        (["--pairs", "some.txt"], "error: some.txt:1: is no JSON"),
        (["--pairs", "nothing.jsonl"], "error: nothing.jsonl is empty"),
        (
            ["http://127.0.0.1:9/v1", "b", "--prompts", "some.txt"],
            "error: http://127.0.0.1:9/v1 cannot be asked for its",
        ),
        (["--pairs", "ok.jsonl", "--concept", "lenght"], "error: the suite: evaluate.1.concepts.lenght: judge"),
        (["--pairs", "ok.jsonl", "--concept", "a={words: [b]}"], "error: --concept a={words: [b]}: needs a judge"),
        (["--pairs", "ok.jsonl", "--concepts", "gone.yaml"], "error: --concepts: gone.yaml does not exist"),
        (["--pairs", "ok.jsonl", "--concepts", "specs.yaml"], "error: specs.yaml needs concepts by name, as"),
    ],
)
def test_a_mistake_is_one_sentence(cli: Cli, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "some.txt").write_text("a prompt\n")
    (tmp_path / "specs.yaml").write_text("- {use: words}\n")
    (tmp_path / "some.jsonl").write_text('{"left": "a", "right": "b"}\n')
    (tmp_path / "ok.jsonl").write_text('{"chosen": "a", "rejected": "b"}\n')
    (tmp_path / "nothing.jsonl").write_text("")

    assert refused(cli("audit", *arguments)).startswith(said)


def test_prompts_without_a_prompt_are_refused_before_anything_runs(cli: Cli, tiny_lm: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")

    said = refused(cli("audit", tiny_lm, tiny_lm, "--prompts", "empty.txt"))

    assert "holds no prompt; write one on each line" in said


def test_few_prompts_are_refused_before_anything_runs(cli: Cli, tiny_lm: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("".join(f"prompt {i % 59}\n" for i in range(200)))

    said = refused(cli("audit", tiny_lm, tiny_lm, "--prompts", "few.txt", "--dry-run"))

    assert "few.txt holds 59 different prompts, and an audit needs at least 60" in said


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_too_few_pairs_are_told_in_the_words_of_an_audit(cli: Cli, tmp_path: Path, more: list[str]) -> None:
    rows = [{"prompt": f"p{i // 10}", "chosen": f"nice {i}", "rejected": f"bad {i}"} for i in range(30)]
    (tmp_path / "small.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    said = refused(cli("audit", "--pairs", "small.jsonl", *more))

    assert "--pairs: small.jsonl holds 30 pairs of 3 different prompts" in said
    assert "needs at least 60; add pairs with other prompts and texts" in said
    assert not re.search("split|training", said)
    with pytest.raises(FairlError, match=r"small\.jsonl holds 30 pairs of 3 different prompts"):
        audit(pairs=tmp_path / "small.jsonl")


def test_too_few_completions_are_told_in_the_words_of_an_audit(cli: Cli, tiny_lm: Path, prompts: Path) -> None:
    ran = cli("audit", tiny_lm, tiny_lm, "--prompts", prompts, "--quick", "--n", 4, "--name", "few")

    assert ran.exit_code == 1
    assert "too few pairs are left to hold some out and learn from the rest; draw more with --n" in ran.stderr


def test_what_is_replaced_is_told_before(
    cli: Cli, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("audit", "--pairs", pairs, "--concepts", tmp_path / "concepts.yaml", "--head", "linear", "--name", "c")
    (tmp_path / "concepts.yaml").write_text("- words\n")
    first = cli(*asked)
    assert first.exit_code == 0, first.stderr
    assert "replaces" not in first.stderr
    folder = tmp_path / "results" / "audit-c"
    day = json.loads((folder / "run.json").read_text())["finished"][:10]

    def stopped(*_: object, **__: object) -> None:
        raise FairlError("this far")

    monkeypatch.setattr("fairl_bench.start.run_suite", stopped)

    def said(*more: object) -> list[str]:
        *before, last = cli(*asked, *more).stderr.splitlines()
        assert last == "error: this far"
        return before

    assert said() == []  # the same request
    assert said("--n", 150) == [f"replaces results/audit-c of {day}; --name keeps both"]
    assert said("--n", 150, "--name", "d") == []
    assert said("--n", 150, "--results", folder) == [f"replaces {folder} of {day}; another --results keeps both"]


def test_results_may_have_another_name_than_the_model(cli: Cli, tiny_lm: Path, shouting: Path, prompts: Path) -> None:
    ran = cli("audit", tiny_lm, shouting, "--prompts", prompts, "--name", "monday", "--dry-run")

    content = load_written(ran.stdout)
    assert (content["name"], content["models"][0]["name"]) == ("audit-monday", "shouting")


def test_a_dry_run_can_be_saved_anywhere(cli: Cli, tiny_lm: Path, pairs: Path, tmp_path: Path) -> None:
    ran = cli("audit", "--pairs", pairs.name, "--dry-run")

    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.yaml").write_text(ran.stdout)
    checked = cli("check", tmp_path / "sub" / "mine.yaml")
    assert checked.exit_code == 0, checked.stderr


def test_a_dry_run_looks_into_the_file_of_pairs(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"chosen": "a", "rejected": "b"}\n{"chosen": "c"}\n')

    said = refused(cli("audit", "--pairs", "broken.jsonl", "--dry-run"))

    assert "broken.jsonl" in said
    assert "rejected" in said


def test_concepts_may_be_a_list_of_names(cli: Cli, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text("- words\n- questions\n")

    ran = cli("audit", "--pairs", pairs, "--concepts", "names.yaml", "--dry-run")

    assert load_written(ran.stdout)["evaluate"][1]["concepts"] == {
        "words": {"use": "words"},
        "questions": {"use": "questions"},
    }


def test_two_vocabularies_are_refused_before_anything_runs(
    cli: Cli, tiny_lm: Path, prompts: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_lm, other)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    first, second = list(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))

    said = refused(cli("audit", tiny_lm, other, "--prompts", prompts, "--quick"))

    assert "vocabular" in said


def test_a_server_names_its_models_where_it_has_several(cli: Cli, served: EchoServer, prompts: Path) -> None:
    said = refused(cli("audit", served.url, served.url, "--prompts", prompts))
    assert said == f"error: {served.url} serves 2 models (plain, shouting); name one as {served.url}#MODEL"
    said = refused(cli("audit", f"{served.url}#plian", served.url, "--prompts", prompts))
    assert said == f"error: {served.url} does not serve 'plian'; did you mean 'plain'?"


def test_python_does_the_same(tiny_lm: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairl_bench.html.write.write_pages", lambda results, again=False: None)

    results = audit(
        tiny_lm, tiny_lm, prompts=prompts, quick=True, n=60, store=tmp_path / "store", results=tmp_path / "results"
    )

    (found,) = results.findings
    assert found.outcome == "no difference shown"
    assert found.named == ()
    assert results.folder == tmp_path / "results"


def test_a_chat_is_put_into_the_template_of_the_expert(cli: Cli, tiny_lm: Path, prompts: Path, tmp_path: Path) -> None:
    said = refused(cli("audit", tiny_lm, tiny_lm, "--prompts", prompts, "--chat", "--quick"))
    assert "has no chat template" in said
    expert = tmp_path / "expert"
    shutil.copytree(tiny_lm, expert)
    (expert / "chat_template.jinja").write_text("{% for message in messages %}{{ message.content }}: {% endfor %}")

    ran = cli("audit", tiny_lm, expert, "--prompts", prompts, "--chat", "--quick", "--n", 30)

    assert ran.exit_code == 0, ran.stderr
    texts = found_in(tmp_path / "results" / "audit-expert")["texts"]
    assert all(text["prompt"].endswith(": ") for text in texts)


def test_a_chat_takes_the_template_of_a_file(cli: Cli, tiny_lm: Path, prompts: Path, tmp_path: Path) -> None:
    file = tmp_path / "expert.gguf"
    file.write_bytes(b"GGUF")

    suite = audit_suite(AuditRequest(base=str(tiny_lm), expert=str(file), prompts=prompts, chat=True))

    (model,) = suite["models"]
    assert model["prompts"]["use"] == "chat"
    assert Path(model["prompts"]["template"]) == Path(model["expert"]["model"]) == file
    said = refused(cli("audit", tiny_lm, file, "--prompts", prompts, "--chat", "--dry-run"))
    assert "expert.gguf" in said  # it is cut short
