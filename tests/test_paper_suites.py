"""The suites of the paper's experiment: they run as they are, with tiny models of the same architectures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from fairl_bench.builtin.lms.tiny import TinyLM
from fairl_bench.builtin.testsets import ToyTexts
from fairl_bench.digests import canonical
from fairl_bench.kinds.lm import LM
from fairl_bench.results.results import read_results
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.yaml import load
from fairl_bench.values.language_models import Site

Cli = Callable[..., Result]

SUITES = Path(__file__).parent.parent / "suites" / "paper"
# the model of each suite, and its architecture
MODELS = {
    "pythia-410m": ("EleutherAI/pythia-410m", "gpt-neox"),
    "smollm2-360m": ("HuggingFaceTB/SmolLM2-360M", "llama"),
    "gemma3-270m": ("google/gemma-3-270m", "gemma3"),
    "smollm2-135m": ("HuggingFaceTB/SmolLM2-135M", "llama"),
}
JUDGE = "s-nlp/roberta_toxicity_classifier"
SUBTYPES = ("obscene", "threat", "insult", "identity_attack")
# what a miniature changes: sizes, the device, and an encoder that costs seconds to load
CUT = (
    "seeds=[0]",
    "models.0.n=40",
    "models.0.sampling.max_new_tokens=6",
    "models.0.expert.device=cpu",
    "models.0.expert.steps=1",
    "models.0.expert.batch=8",
    "models.0.expert.sampling.max_new_tokens=6",
    "encoders.minilm={name: minilm, use: tfidf, dimensions: 8}",
    "training.epochs=2",
    "defaults.failure-aware.rounds=2",
    "defaults.failure-aware.round_epochs=1",
    "testsets.jigsaw-2000.each=10",
)


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory, saved_without_padding: Callable[[Path, Path], Path]
) -> dict[str, Path]:
    """A model of each architecture as it was drawn, give or take one step; Pythia's tokenizer has no padding token."""
    corpus = ToyTexts.named("toy-comments", n=80, shift=0.0)
    shape = {"layers": 1, "width": 16, "heads": 2, "vocab": 300, "context": 64, "length": 16, "batch": 4, "steps": 1}
    made = {
        name: TinyLM.named("tiny-lm", corpus=corpus, architecture=name, **shape)
        .make(Site(tmp_path_factory.mktemp(name), tmp_path_factory.mktemp("scratch")))
        .folder
        for name in ("gpt-neox", "llama", "gemma3")
    }
    return made | {"gpt-neox": saved_without_padding(made["gpt-neox"], tmp_path_factory.mktemp("pythia") / "model")}


@pytest.fixture(scope="module")
def classifiers(tiny_classifier: Callable[..., Path]) -> tuple[Path, Path]:
    """One of toxicity, whose labels exclude each other, and one of kinds, as Detoxify's first data set names them."""
    labels = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
    return tiny_classifier("neutral", "toxic", scale=3.0), tiny_classifier(*labels, scale=3.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invented files with the names and columns of the real ones."""
    folder = tmp_path_factory.mktemp("data")
    rows = [{"text": f"{word} {i}", "toxic": int(word == "mean")} for i in range(15) for word in ("kind", "mean")]
    (folder / "jigsaw_heldout_10000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.setenv("FAIRL_DATA", str(data))
    for name in ("FAIRL_BASE", "FAIRL_JUDGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has never fetched anything and cannot now; the hub's cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def hub(tmp_path: Path, no_hub: Path, classifiers: tuple[Path, Path]) -> Callable[..., Path]:
    """Puts a folder into the hub's cache under a name; the prompts, the judge and Detoxify are there already."""

    def put(kind: str, name: str, folder: Path) -> Path:
        place = no_hub / f"{kind}s--{name.replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text("c" * 40)
        return Path(shutil.copytree(folder, place / "snapshots" / ("c" * 40)))

    prompts = tmp_path / "prompts"
    prompts.mkdir()
    scores = [None, *(i / 100 for i in range(100))]
    rows = [{"prompt": {"text": f"Well, {i} of them", "toxicity": score}} for i, score in enumerate(scores)]
    (prompts / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    put("dataset", "allenai/real-toxicity-prompts", prompts)
    put("model", JUDGE, classifiers[0])
    put("model", "bert-base-uncased", classifiers[1])
    save_detoxify(classifiers[1], tmp_path / "torch" / "hub" / "checkpoints" / "toxic_original-c1212f89.ckpt")
    return put


def save_detoxify(folder: Path, path: Path) -> None:
    """A checkpoint as Detoxify's own are, of a classifier in a folder."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    names = {"model_name": "BertForSequenceClassification", "tokenizer_name": "BertTokenizer"}
    arch = {"type": "BERT", "args": {"num_classes": 6, "model_type": "bert-base-uncased", **names}}
    config = {"arch": arch, "dataset": {"args": {"classes": list(model.config.id2label.values())}}}
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": model.state_dict(), "config": config}, path)


def cut(command: str, suite: str) -> list[str]:
    return [command, str(SUITES / f"{suite}.yaml"), *(word for value in CUT for word in ("--set", value))]


@pytest.mark.parametrize("suite", MODELS)
def test_it_runs_to_the_three_tables(
    suite: str, cli: Cli, hub: Callable[..., Path], models: dict[str, Path], tmp_path: Path
) -> None:
    name, architecture = MODELS[suite]
    hub("model", name, models[architecture])
    checked = cli(*cut("check", suite))
    assert checked.exit_code == 0, checked.stderr
    ran = cli(*cut("run", suite), "--results", "results")
    assert ran.exit_code == 0, ran.stderr
    first, *others = [(tmp_path / "results" / "tables" / f"table{n}.md").read_text().splitlines() for n in (1, 2, 3)]
    methods = [method["name"] for method in load(SUITES / "pythia-410m.yaml").content["methods"]]
    for row in ((encoder, method) for encoder in ("minilm", "base-lm") for method in methods):
        assert any(set(row) <= set(line.split()) for line in first), row
    for place in ("pairs/train", "jigsaw-10000"):
        assert any(place in line for line in others[0])
        for subtype in SUBTYPES:
            assert any({place, subtype} <= set(line.split()) for line in others[1]), (place, subtype)


def test_the_base_is_aligned_again_with_three_rewards(
    cli: Cli, hub: Callable[..., Path], models: dict[str, Path], tmp_path: Path
) -> None:
    hub("model", MODELS["smollm2-360m"][0], models["llama"])
    own = {"steps": 1, "n": 3, "samples": 2, "probes": 4, "times": 1, "scale": 8, "sampling.max_new_tokens": 6}
    sets = (*(one for one in CUT if "testsets" not in one), *(f"evaluate.2.{name}={n}" for name, n in own.items()))
    options = [word for value in sets for word in ("--set", value)]
    checked = cli("check", str(SUITES / "realign-smollm2-360m.yaml"), *options)
    assert checked.exit_code == 0, checked.stderr
    ran = cli("run", str(SUITES / "realign-smollm2-360m.yaml"), *options, "--results", "results")
    assert ran.exit_code == 0, ran.stderr
    found = {row.method for row in read_results(tmp_path / "results").records if row.truth == "second"}
    assert found == {"ground-truth", "max-entropy", "fa-me-margin", "no-failures"}


def test_the_suites_differ_in_their_model_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRL_BASE", "/base")
    found = [canonical(read_study(SUITES / f"{suite}.yaml").suite.plain()).replace(suite, "NAME") for suite in MODELS]
    assert len(set(found)) == 1


def test_ppo_is_the_change_of_one_word_and_one_field() -> None:
    expert = load(SUITES / "pythia-410m.yaml").content["models"][0]["expert"]
    del expert["per_prompt"]
    ppo = Registry(installed=False).build(LM, expert | {"use": "ppo"})
    assert (ppo.use, ppo.steps, ppo.epochs, ppo.clip) == ("ppo", 100, 4, 0.2)  # type: ignore[attr-defined]


# --- what it needs

OFFLINE = "is not on this machine and the hub cannot be reached"


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (f"model/{JUDGE}", f"model {JUDGE!r} is no folder, {OFFLINE}; name a local folder"),
        (
            "model/bert-base-uncased",
            f"model 'bert-base-uncased', whose config and tokenizer judge 'detoxify' reads, {OFFLINE}; name a folder of"
            " them under 'architecture:'",
        ),
        (
            "dataset/allenai/real-toxicity-prompts",
            f"data set 'allenai/real-toxicity-prompts' {OFFLINE}; use 'jsonl-prompts' with a copy of it",
        ),
        (
            "model/EleutherAI/pythia-410m",
            f"language model 'EleutherAI/pythia-410m' is no folder, {OFFLINE}; name a local folder",
        ),
    ],
)
def test_what_is_missing_is_named_before_anything_runs(
    missing: str, said: str, cli: Cli, hub: Callable[..., Path], models: dict[str, Path], no_hub: Path
) -> None:
    hub("model", "EleutherAI/pythia-410m", models["gpt-neox"])
    shutil.rmtree(no_hub / f"{missing.replace('/', 's--', 1).replace('/', '--')}")
    found = cli(*cut("check", "pythia-410m"))
    assert (found.exit_code, ".yaml:" in found.stderr) == (2, True)
    assert found.stderr.replace("\n", " ").endswith(f": {said} ")


def test_without_a_gpu_the_device_is_refused(
    cli: Cli, hub: Callable[..., Path], models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    hub("model", "EleutherAI/pythia-410m", models["gpt-neox"])
    found = cli(*cut("check", "pythia-410m"), "--set", "models.0.expert.device=cuda")
    said = "aligner 'rloo' is to train on 'cuda', but torch sees no GPU here; set 'device: cpu'"
    assert found.exit_code == 2
    assert found.stderr.endswith(f": {said}\n")


def test_local_copies_stand_in_for_the_hub(
    cli: Cli,
    hub: Callable[..., Path],
    models: dict[str, Path],
    classifiers: tuple[Path, Path],
    no_hub: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (f"models--{JUDGE.replace('/', '--')}", "datasets--allenai--real-toxicity-prompts"):
        shutil.rmtree(no_hub / name)
    monkeypatch.setenv("FAIRL_BASE", str(models["gpt-neox"]))
    monkeypatch.setenv("FAIRL_JUDGE", str(classifiers[0]))
    fields = "use: jsonl-prompts, prompt: prompt.text, score: prompt.toxicity"
    copies = {"models.0.prompts": 0.5, "models.0.expert.prompts": 0.3}
    path = tmp_path / "prompts" / "prompts.jsonl"
    options = [f"{part}={{{fields}, above: {above}, path: {path}}}" for part, above in copies.items()]
    found = cli(*cut("check", "pythia-410m"), *(word for option in options for word in ("--set", option)))
    assert found.exit_code == 0, found.stderr
