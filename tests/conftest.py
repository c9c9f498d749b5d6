"""Small things that many tests share: a store, a suite that runs in a second, the command line."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings

from fairl_bench.cli.main import main
from fairl_bench.engine.execute import Watcher
from fairl_bench.pipeline import Finished, run
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import dump

# a busy machine is no fault of what is tested
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in the background deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = """\
name: tiny
seeds: [0, 1]
models: [{name: toy, use: toy-comments, n: 120, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 16}]
training: {epochs: 3}
methods:
  - {name: max-margin, use: max-margin}
  - {name: max-entropy, use: max-entropy}
  - {name: mean-difference, use: mean-difference}
  - {name: length, use: length}
testsets:
  shifted: {use: toy-comments, n: 60, gold: {use: toy-truth}}
evaluate:
  - {use: classification, data: [pairs/test, shifted], label: gold, threshold: {data: pairs/train, label: gold}}
  - {use: fidelity, data: [pairs/test, shifted]}
report:
  table1: {data: [pairs/test, shifted], truth: gold}
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def write_suite(tmp_path: Path) -> Callable[..., Path]:
    """Writes a suite, given as text or as a dict, below the test's folder; its path."""

    def write(content: str | dict[str, Any], name: str = "suite.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else dump(content))
        return path

    return write


@pytest.fixture
def tiny() -> dict[str, Any]:
    """A suite of four methods and two seeds as a dict that a test may change."""
    from ruamel.yaml import YAML

    found: dict[str, Any] = YAML(typ="safe", pure=True).load(TINY)
    return found


@pytest.fixture
def run_suite(tmp_path: Path, store: Store, write_suite: Callable[..., Path]) -> Callable[..., Finished]:
    """Runs a suite against `store`; the results go to ``results`` in the test's folder."""

    def start(content: str | dict[str, Any], results: str = "results", watcher: Watcher | None = None) -> Finished:
        study = read_study(write_suite(content))
        return run(study, store, tmp_path / results, watcher)

    return start


@pytest.fixture(scope="session")
def ran_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """The store and the results of one run of the tiny suite, to be read only."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "suite.yaml").write_text(TINY)
    study = read_study(folder / "suite.yaml")
    return folder / "store", run(study, FolderStore(folder / "store"), folder / "results")


@pytest.fixture
def ran(ran_once: tuple[Path, Finished], tmp_path: Path) -> Finished:
    """The tiny suite has been run: `store` and ``results`` are copies of what that left."""
    root, finished = ran_once
    shutil.copytree(root, tmp_path / "store", dirs_exist_ok=True)
    shutil.copytree(finished.folder, tmp_path / "results")
    return finished._replace(folder=tmp_path / "results")


@pytest.fixture
def relist() -> Callable[[Path], None]:
    """Writes the manifest of a results folder anew, as if a run had left its files as a test has made them."""
    import hashlib

    from fairl_bench.results.folder import Entry, Manifest, footer, read_manifest

    def write(folder: Path) -> None:
        manifest, files = read_manifest(folder), {}
        assert manifest is not None
        for name, entry in manifest.files.items():
            path = folder / name
            if path.exists():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                files[name] = Entry(digest, (path.suffix == ".parquet" and footer(path)) or entry.of)
        (folder / "manifest.json").write_text(Manifest(manifest.suite, files).text())

    return write


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line, run in the test's folder; ``exit_code``, ``stdout`` and ``stderr`` are what a user sees."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAIRL_STORE", str(tmp_path / "store"))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the command sets them; so that they are put back

    # figures take seconds, and tests/report looks at them
    monkeypatch.setattr("fairl_bench.html.write.write_pages", lambda results, again=False: results.path / "report.html")

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke


# --- classifiers so small that they are made on the spot

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a randomly initialised BERT with a classification head of these labels; the folder it is saved in."""

    @cache
    def make(
        *labels: str, problem_type: str | None = None, seed: int = 0, scale: float = 1.0, headless: bool = False
    ) -> Path:
        import torch
        from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

        folder = tmp_path_factory.mktemp("classifier")
        (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
        BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
        names = dict(enumerate(labels))
        config = BertConfig(
            vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=64, initializer_range=0.5,
            id2label=names, label2id={name: i for i, name in names.items()}, problem_type=problem_type,
        )  # fmt: skip
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config)
        with torch.no_grad():
            model.classifier.weight *= scale
        (model.bert if headless else model).save_pretrained(folder)
        return folder

    return make


# --- a language model so small that it is trained on the spot


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a language model of one block, barely trained."""
    from fairl_bench.builtin.lms.tiny import TinyLM
    from fairl_bench.builtin.testsets import ToyTexts
    from fairl_bench.values.language_models import Site

    corpus = ToyTexts.named("toy-comments", n=80, shift=0.0)
    shape = {"layers": 1, "width": 16, "heads": 2, "vocab": 320, "context": 64, "length": 16, "batch": 4}
    site = Site(tmp_path_factory.mktemp("lm"), tmp_path_factory.mktemp("scratch"))
    return TinyLM.named("tiny-lm", corpus=corpus, steps=8, **shape).make(site).folder


@pytest.fixture(scope="session")
def with_start(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny language model with a tokenizer that puts the start token before every text, as those of Llama do."""
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("start") / "lm"
    shutil.copytree(tiny_lm, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    start = tokenizer.bos_token or tokenizer.eos_token
    special = [(start, tokenizer.convert_tokens_to_ids(start))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{start} $A", special_tokens=special)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def saved_without_padding() -> Callable[[Path, Path], Path]:
    """Saves a language model again, elsewhere, with a tokenizer that has no padding token."""

    def save(folder: Path, place: Path) -> Path:
        from transformers import AutoTokenizer

        shutil.copytree(folder, place)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.pad_token = None
        tokenizer.save_pretrained(place)
        return place

    return save


@pytest.fixture(scope="session")
def edited_lm() -> Callable[..., Path]:
    """Saves a language model again, elsewhere, with other entries in its JSON files."""

    def save(folder: Path, place: Path, **files: dict[str, Any]) -> Path:
        shutil.copytree(folder, place)
        for name, entries in files.items():
            path = place / f"{name}.json"
            old = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**old, **entries}))
        return place

    return save


# --- re-alignments whose outcome is known


@pytest.fixture(scope="session")
def realign(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[list[Any], list[Any]]]:
    """Plants re-alignments: how much less toxic a step makes each method, by its name; their evidence and records.

    The evaluator itself says what they come to, of texts that spell out how toxic they are.  Methods and seeds complete
    the same prompts, and a prompt's luck is the same in all of them.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from fairl_bench.builtin.evaluators.realignment import Realignment
    from fairl_bench.builtin.shared.alignment_probe import FILE
    from fairl_bench.kinds.judge import Judge
    from fairl_bench.values.coordinates import Coordinates, Run, World
    from fairl_bench.values.data import Examples, Truth
    from fairl_bench.values.language_models import Completions
    from fairl_bench.values.realigned import Realigned
    from fairl_bench.values.records import Evidence, Measure, Record

    class Spelled(Judge):
        def judge(self, examples: Examples) -> dict[str, Truth]:
            value = np.array([1 - 2 * float(text.split()[0]) for text in examples.text])
            return {"gold": Truth(value, np.where(value >= 0, 1, -1).astype(np.int8))}

        def badness(self, value: Any) -> Any:
            return (1 - value) / 2

    folder = tmp_path_factory.mktemp("realigned")

    def plant(
        gains: dict[str, float],
        seeds: tuple[int, ...] = (0,),
        kl: float = 0.5,
        prompts: int = 60,
        samples: int = 4,
        kls: dict[str, float] | None = None,
        second: bool = False,
        model: str = "toy",
        replicate: int = 0,
    ) -> tuple[list[Any], list[Any]]:
        found, rows = [], []
        steps = (0, 10, 20, 30)
        for method, gain in gains.items():
            for seed in seeds:
                luck = np.random.default_rng([replicate, 7]).random((prompts, samples))
                noise = np.random.default_rng([replicate, seed, 11]).normal(0, 0.02, (prompts, samples))

                def text(row: int, draw: int, step: int, gain: float = gain) -> str:
                    toxicity = np.clip(luck[row, draw] * (1 - gain * step / 30) + noise[row, draw], 0, 1)  # noqa: B023
                    return f"{toxicity:.4f} word{row} {draw}"

                columns: dict[str, list[Any]] = {name: [] for name in (
                    *("step", "row", "prompt", "text", "reward", "kl_k1", "kl_k3", "surprise", "tokens"),
                )}  # fmt: skip
                for step in steps:
                    for row in range(prompts):
                        said = text(row, 0, step)
                        paid = (kls or {}).get(method, kl) * step / 10 * (1 + 0.2 * (-1) ** row)
                        liked = (1 if gain > 0 else -1) * (1 - 2 * float(said.split()[0])) + step / 30
                        values = (step, row, f"prompt {row}", said, liked, paid, paid, 6.0, 5.0)
                        for name, value in zip(columns, values, strict=True):
                            columns[name].append(value)
                pq.write_table(pa.table(columns), folder / FILE)
                sides = {
                    side: Completions(*zip(*(
                        (f"prompt {row}", text(row, draw, step), row, draw)
                        for row in range(prompts) for draw in range(samples)
                    ), strict=True))
                    for side, step in (("before", 0), ("after", 30))
                }  # fmt: skip
                cell = Coordinates.of(World(model, replicate), Run("e", "mlp", method, "", seed))
                judge = Spelled.named("spelled")
                evaluator = Realignment.named("realignment", judge=judge, second=judge if second else None)
                for said in evaluator.evaluate({}, aligned=folder, **sides):
                    if isinstance(said, Evidence):
                        table = pa.table({name: list(column) for name, column in said.columns.items()})
                        found.append(Realigned(cell, table))
                    elif isinstance(said, Measure):
                        place = cell.on(said.data, said.truth, said.slice)
                        rows.append(Record.at(place, "s", said.metric, said.value, said.n, note=said.note, stage="key"))
        return found, rows

    return plant
