"""The suites of real language models, whole, with tiny models of their architectures in the packages' place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from gguf_files import write_gguf
from stand_ins import model_package, profanity_package

import fairl_bench
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.lms.tiny import TinyLM
from fairl_bench.builtin.testsets import ToyTexts
from fairl_bench.engine.planner import plan
from fairl_bench.results.results import StudyResults, read_results
from fairl_bench.suite.read import read_study
from fairl_bench.values.language_models import Asked, Sampling, Site

Cli = Callable[..., Result]

SUITES = Path(__file__).parent.parent / "suites"
# it finds about a half rude of what barely trained models write
JUDGE = """
import numpy as np


def predict_prob(texts):
    return np.array([0.9 if len(text) % 2 else 0.1 + len(text) / 1000 for text in texts])
"""
# what a miniature changes: sizes, and an encoder that costs seconds to load
SMALL = {"n": 40, "sampling.max_new_tokens": 6}
ALIGNMENT = {"steps": 2, "batch": 8, "held_out": 8, "sampling.max_new_tokens": 6}
CUT = (
    "replicates=[0]",
    "seeds=[0]",
    "encoders.minilm={name: minilm, use: tfidf, dimensions: 8}",
    "training.epochs=2",
    "defaults.failure-aware.rounds=2",
)


def cut(*models: str, chosen: bool = False) -> list[str]:
    """What is set for a miniature; where an expert is ``chosen`` among completions, that is the last model."""
    values = list(CUT)
    for i, _ in enumerate(models):
        values += [f"models.{i}.{name}={value}" for name, value in SMALL.items()]
        if not (chosen and i == len(models) - 1):
            values += [f"models.{i}.expert.{name}={value}" for name, value in ALIGNMENT.items()]
    return values


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of a barely trained Gemma 3, Llama and GPT-NeoX, and GGUF files of the first two."""
    corpus = ToyTexts.named("toy-comments", n=80, shift=0.0)
    shape = {"width": 64, "heads": 2, "vocab": 320, "context": 128, "length": 16, "batch": 4, "steps": 8}
    made = dict[str, Path]()
    for name, layers in (("gemma3", 6), ("llama", 2), ("gpt-neox", 2)):
        site = Site(tmp_path_factory.mktemp(name), tmp_path_factory.mktemp("scratch"))
        lm = TinyLM.named("tiny-lm", corpus=corpus, architecture=name, layers=layers, **shape)
        made[name] = lm.make(site).folder
        if name != "gpt-neox":
            made[f"{name}.gguf"] = write_gguf(made[name], site.scratch / f"{name}.gguf", architecture=name)
    return made


@pytest.fixture(autouse=True)
def _packages(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the suites need to have installed."""
    profanity_package(tmp_path / "site-packages", monkeypatch, JUDGE)
    model_package("gemma-3-270m", files["gemma3.gguf"], tmp_path / "gemma", monkeypatch)
    model_package("smollm2-135m-instruct", files["llama.gguf"], tmp_path / "smollm2", monkeypatch)


def answered(cli: Cli, suite: str, options: list[str]) -> StudyResults:
    """The results of a suite that is fine and runs."""
    path = str(SUITES / f"{suite}.yaml")
    checked = cli("check", path, *(word for value in options for word in ("--set", value)))
    assert checked.exit_code == 0, checked.stderr
    # in this process, which has what stands in for the packages
    ran = fairl_bench.run(path, set=options, store="store", results="results")
    assert not ran.failures
    return read_results(Path("results"))


@pytest.mark.parametrize(
    ("suite", "models"),
    [("gemma3-270m", ["gemma3-270m"]), ("smollm2-135m", ["smollm2-135m", "smollm2-135m-best-of-3"])],
)
def test_it_runs_to_its_tables(suite: str, models: list[str], cli: Cli) -> None:
    results = answered(cli, suite, cut(*models, chosen=len(models) > 1))
    assert {record.model for record in results.records} == set(models)
    methods = {method.name for method in read_study(SUITES / f"{suite}.yaml").suite.methods}
    assert {record.method for record in results.records} == methods
    tables = {name: str(table) for name, table in results.tables.items()}
    assert {"table1", "ceiling", "claims"} <= tables.keys()
    assert any(name.startswith("table2") for name in tables)
    assert "discordant" in tables["table1"]
    for method in methods:
        assert method in tables["table1"]
    known = [
        row for row in results.records if (row.method, row.metric, row.slice) == ("log-ratio", "pair_accuracy", "all")
    ]
    assert known
    assert all(0 <= row.value <= 1 for row in known)


def test_its_alignment_tells_what_it_has_changed_and_keeps_to_its_budget(cli: Cli) -> None:
    answered(cli, "gemma3-270m", cut("gemma3-270m"))
    (facts,) = (stage for stage in json.loads(Path("results/run.json").read_text())["stages"] if "collapsed" in stage)
    assert facts["held_out"] == 8
    assert facts["held_out_kl"] <= 4
    assert {"bad_before", "bad_after", "bad_change_low", "distinct_2_after", "perplexity_after"} <= facts.keys()


def test_a_folder_of_the_third_family_stands_in_the_place_of_a_packaged_model(cli: Cli, files: dict[str, Path]) -> None:
    base = f"models.0.base={{use: pretrained, model: {files['gpt-neox']}}}"
    results = answered(cli, "gemma3-270m", [*cut("gemma3-270m"), base])
    assert results.records


def test_the_suites_of_one_model_have_the_models_of_the_suite_of_both() -> None:
    def models(suite: str) -> list[Any]:
        return [model.plain() for model in read_study(SUITES / f"{suite}.yaml").suite.models]

    assert models("real-models") == models("gemma3-270m") + models("smollm2-135m")


@pytest.mark.parametrize(
    "suite",
    [
        *("gemma3-270m", "smollm2-135m", "real-models", "gemma3-270m-toxicity"),
        *("audit-gemma3-270m", "audit-smollm2-best-of-3"),
    ],
)
def test_it_is_planned_as_it_is(suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRL_DATA", str(tmp_path))
    row = {"prompt": "and so", "toxicity": 0.6, "text": "it ends", "toxic": 0}
    for name in ("prompts", "jigsaw_train", "jigsaw_heldout_10000"):
        rows = [row, {**row, "toxic": 1, "text": "it does not"}]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    study = read_study(SUITES / f"{suite}.yaml")
    assert study.suite.name == suite
    made = plan(study)
    worlds = {(world.of.model, world.of.replicate) for world in made.worlds}
    assert len(worlds) == len(study.suite.replicates) * len(study.suite.models)
    assert suite.startswith("audit") or len(study.suite.replicates) == 3
    assert all(model.part.size() >= 1500 for model in study.suite.models)


@pytest.mark.parametrize("name", ["gemma3", "llama"])
def test_a_file_its_folder_and_a_snapshot_of_the_hub_write_the_same(
    name: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(lm: Pretrained, place: str) -> Path:
        for folder in (tmp_path / place, tmp_path / f"{place}-work"):
            folder.mkdir()
        return lm.make(Site(tmp_path / place, tmp_path / f"{place}-work")).folder

    folder = made(Pretrained(model=str(files[f"{name}.gguf"])), "dequantised")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "hub" / "models--some--model"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("c" * 40)
    shutil.copytree(folder, place / "snapshots" / ("c" * 40))

    def written(where: Path, lm: Pretrained) -> tuple[str, ...]:
        prompts = ("the man said", "a dog", "the the the")
        asked = Asked(prompts, (0, 1, 2), (0, 0, 0), Sampling(max_new_tokens=12), "base", 0)
        site = Site(tmp_path / "texts", tmp_path / "texts-work", {"lm": where})
        return tuple(lm.complete(asked, site).text)

    models = [
        Pretrained(model=str(files[f"{name}.gguf"])),
        Pretrained(model=str(folder)),
        Pretrained(model="some/model"),
    ]
    places = [folder, *(made(lm, f"model-{i}") for i, lm in enumerate(models[1:]))]
    texts = [written(where, lm) for where, lm in zip(places, models, strict=True)]
    assert texts[0] == texts[1] == texts[2]
    assert any(texts[0])
