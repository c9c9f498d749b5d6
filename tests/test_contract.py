from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_origin

import numpy as np
import pytest

from fairl_bench.component import Component, Settings
from fairl_bench.kinds import KINDS
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.method import Detector, Method
from fairl_bench.metrics import Metric
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.pipeline import Finished
from fairl_bench.science.failures import Signal
from fairl_bench.science.resampling import RIGHT_PAIRS
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_detector, check_encoder, check_evaluator, check_method, planted
from fairl_bench.values.data import GOLD, Pairs, Scored, Truth
from fairl_bench.values.records import Measure
from fairl_bench.values.training import Head, Reward, Task

PLUGINS = Path(__file__).parent.parent / "plugins"
BUILT_IN = Registry(installed=False)
EVERY = Registry(sorted(PLUGINS.glob("*.py")), installed=False)

# the fields that a part cannot do without
SERVED = {"use": "completions-api", "url": "http://nowhere/v1", "model": "m"}
MINIMAL: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("source", "jsonl"): {"path": "/nowhere/pairs.jsonl"},
    ("source", "csv"): {"path": "/nowhere/pairs.csv"},
    ("source", "completions-api"): {"base": SERVED, "expert": SERVED, "prompts": {"use": "toy-prompts"}},
    ("source", "hub-dataset"): {"dataset": "nobody/pairs"},
    ("source", "aligned-lm"): {"base": SERVED, "expert": SERVED, "prompts": {"use": "toy-prompts"}},
    ("source", "select"): {"of": {"use": "toy-comments"}},
    ("prompts", "chat"): {"of": {"use": "toy-prompts"}, "template": "/nowhere/model"},
    ("prompts", "text-prompts"): {"path": "/nowhere/prompts.txt"},
    ("prompts", "jsonl-prompts"): {"path": "/nowhere/prompts.jsonl"},
    ("lm", "pretrained"): {"model": "/nowhere/model"},
    ("lm", "tiny-lm"): {"corpus": {"use": "toy-comments"}},
    ("lm", "rloo"): {"reward": {"use": "toy-truth"}},
    ("lm", "grpo"): {"reward": {"use": "toy-truth"}},
    ("lm", "ppo"): {"reward": {"use": "toy-truth"}},
    ("lm", "best-of"): {"reward": {"use": "toy-truth"}},
    ("testset", "joined"): {"of": [{"use": "toy-comments"}]},
    ("testset", "completed"): {"lm": SERVED, "prompts": {"use": "toy-prompts"}},
    ("prompts", "divided"): {"of": {"use": "toy-prompts"}, "side": "held-out"},
    ("judge", "standardised"): {
        "judges": {"use": "toy-truth"},
        "on": {"lm": SERVED, "prompts": {"use": "toy-prompts"}, "n": 2},
    },
    ("judge", "blend"): {"of": {"kindness": {"use": "toy-truth"}}, "weights": {"kindness": 1.0}},
    ("judge", "recovered-cell"): {
        "method": {"use": "max-entropy"},
        "encoder": {"use": "tfidf"},
        "embed": "completion",
        "reward": "0" * 64,
    },
    ("judge", "word-list"): {"words": ["thank*"]},
    ("judge", "regex"): {"pattern": "[0-9]"},
    ("judge", "similar-to"): {"texts": ["Thank you."], "encoder": {"use": "sentence-transformer"}},
    ("judge", "concept"): {"of": {"use": "toy-truth"}, "about": "kindness"},
    ("judge", "on-prompts"): {"of": {"use": "words"}, "prompt": "^Look", "about": "length when provoked"},
    ("evaluator", "attribution"): {"data": ["pairs/test"], "concepts": {"length": {"use": "words"}}},
    ("evaluator", "best-of-n"): {"data": ["pairs/test"]},
    ("evaluator", "words"): {"data": ["pairs/test"]},
    ("evaluator", "token-log-ratio"): {"data": ["pairs/test"]},
    ("evaluator", "objectives"): {"data": ["pairs/test"]},
    ("testset", "judged"): {"of": {"use": "toy-comments"}, "judge": {"use": "toy-truth"}},
    ("lm", "completions-api"): {"url": "http://nowhere/v1", "model": "m"},
    ("encoder", "causal-lm"): {"lm": SERVED},
    ("judge", "combined"): {"gold": {"use": "toy-truth"}, "subtypes": {"use": "toy-truth"}},
    ("judge", "linear"): {"path": "/nowhere/texts.jsonl", "gold": {"column": "toxic", "good": 0}},
    ("judge", "linear-saved"): {"path": "/nowhere/judge.safetensors"},
    ("judge", "recovered"): {"folder": "/nowhere/rewards/cell"},
    ("testset", "jsonl-texts"): {"path": "/nowhere/texts.jsonl"},
    ("evaluator", "classification"): {"data": ["pairs/test"]},
    ("evaluator", "fidelity"): {"data": ["pairs/test"]},
    ("evaluator", "confidence-gap"): {"data": ["pairs/test"]},
    ("evaluator", "failure-detection"): {"data": ["pairs/test"], "detector": {"use": "margin"}},
    ("evaluator", "identifiability"): {"data": ["pairs/test"], "detector": {"use": "margin"}},
    ("method", "failure-aware"): {"base": {"use": "max-entropy"}, "detector": {"use": "bottom-fraction"}},
    ("method", "scores"): {"file": "/nowhere/scores.csv"},
    ("detector", "union"): {"of": [{"use": "margin"}, {"use": "random"}]},
    ("table", "table1"): {"data": ["pairs/test"]},
    ("table", "organisms"): {"expect": {"toy": {"names": {"length": "more"}}}},
    ("table", "extremes"): {"data": ["pairs/test"]},
    ("table", "table2"): {"data": ["pairs/test"], "methods": ["a", "b"]},
    ("table", "table3"): {"data": ["pairs/test"], "methods": ["a", "b"]},
    ("schedule", "constant"): {"value": 1.0},
    ("schedule", "linear"): {"start": 1.0, "end": 0.0},
    ("schedule", "exponential"): {"start": 1.0},
    ("schedule", "cosine"): {"start": 1.0, "end": 0.0},
}
# the control reads no vector, and the words of the planted texts say the reward only roughly
AUC = {"mean-difference": 0.95, "max-entropy": 0.95, "max-margin": 0.95, "length": 0.95, "focal-bt": 0.95}
AUC["oracle"] = 0.95  # as above
AUC["majority"] = 0.5  # it tells no text from another


def parts(registry: Registry) -> list[Any]:
    return [pytest.param(kind, name, id=f"{kind}-{name}") for kind in KINDS for name in registry.names(kind)]


def names(kind: str) -> tuple[str, ...]:
    return EVERY.names(kind)


def build(kind: str, name: str) -> Component:
    return EVERY.build(KINDS[kind], {"use": name, **MINIMAL.get((kind, name), {})})


def scored(seed: int = 0, n: int = 60) -> Scored:
    """A reward of ``n`` pairs, two to a prompt, that is right more often than not."""
    rng = np.random.default_rng(seed)
    examples = Pairs(
        tuple(f"good {i}" for i in range(n)),
        tuple(f"bad {i}" for i in range(n)),
        tuple(f"prompt {i // 2}" for i in range(n)),
    ).examples()
    gold = examples.role + rng.normal(size=2 * n)
    known = Truth(gold, np.where(gold >= 0, 1, -1).astype(np.int8))
    return Scored(examples.knowing({GOLD: known}), gold + rng.normal(size=2 * n))


# --- every part


@pytest.mark.parametrize(("kind", "name"), parts(EVERY))
def test_a_part_says_in_one_line_what_it_is(kind: str, name: str) -> None:
    line = EVERY.find(kind, name).__dict__.get("__doc__") or ""
    assert line.partition("\n")[0].strip().endswith(".")
    assert EVERY.find(kind, name).help() == line.partition("\n")[0].strip()


@pytest.mark.parametrize(("kind", "name"), parts(EVERY))
def test_every_field_says_what_it_may_be(kind: str, name: str) -> None:
    for field, info in EVERY.find(kind, name).model_fields.items():
        own = isinstance(info.annotation, type) and issubclass(info.annotation, Settings)  # its class describes it
        listed = str(get_origin(info.annotation)) == "typing.Literal"
        assert info.description or info.metadata or own or listed, f"{name}.{field} has neither bound nor description"


@pytest.mark.parametrize(("kind", "name"), parts(EVERY))
def test_a_part_needs_no_field_but_the_listed_ones(kind: str, name: str) -> None:
    required = {field for field, info in EVERY.find(kind, name).model_fields.items() if info.is_required()}
    assert required == set(MINIMAL.get((kind, name), {}))


@pytest.mark.parametrize(("kind", "name"), parts(EVERY))
def test_a_part_survives_json(kind: str, name: str) -> None:
    part = build(kind, name)
    again = EVERY.build(KINDS[kind], json.loads(json.dumps(part.plain())))
    assert again == part
    assert again.use == name
    assert again.plain() == part.plain()


@pytest.mark.parametrize(("kind", "name"), parts(EVERY))
def test_a_part_is_frozen_and_refuses_a_field_it_does_not_know(kind: str, name: str) -> None:
    part = build(kind, name)
    with pytest.raises(ValueError, match="unknown field 'widht'"):
        EVERY.build(KINDS[kind], {"use": name, **MINIMAL.get((kind, name), {}), "widht": 1})
    for field in type(part).model_fields:
        with pytest.raises(ValueError, match=f"(?s){field}.*Instance is frozen"):
            setattr(part, field, None)


def test_building_a_part_opens_no_file_and_imports_no_heavy_package() -> None:
    code = """
import json, sys
import fairl_bench.testing
from fairl_bench.suite.registry import Registry
from fairl_bench.kinds import KINDS
minimal = {tuple(key.split("/")): value for key, value in json.loads(sys.argv[1]).items()}
registry = Registry(installed=False)
for kind in KINDS:
    for name in registry.names(kind):
        registry.find(kind, name)  # imports its module, which opens a file
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
for kind in KINDS:
    for name in registry.names(kind):
        part = registry.build(KINDS[kind], {"use": name, **minimal.get((kind, name), {})})
        part.plain()
heavy = {"torch", "transformers", "trl", "sentence_transformers", "sklearn", "scipy", "pyarrow"} & set(sys.modules)
print(json.dumps([opened, sorted(heavy)]))
"""
    minimal = json.dumps({"/".join(key): value for key, value in MINIMAL.items()})
    done = subprocess.run([sys.executable, "-c", code, minimal], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [[], []]


# --- the kit, on everything that is registered


# scores have a module of their own: they need a file of the texts
@pytest.mark.parametrize("name", sorted(set(names("method")) - {"scores"}))
def test_a_method_keeps_the_contract(name: str) -> None:
    method = EVERY.build(Method, {"use": name, **MINIMAL.get(("method", name), {})})
    for head in (Head(use="linear"), Head(use="mlp", width=16)):
        check_method(method, head=head, at_least=AUC.get(name, 0.8), registry=EVERY)
        assert method.head(head) in (head.use, "linear", "")


# the sentence encoder, the language model and the numbers have modules of their own: loading the first takes seconds,
# the second needs a model, and the third reads no words
@pytest.mark.parametrize("name", sorted(set(names("encoder")) - {"sentence-transformer", "causal-lm", "numbers"}))
def test_an_encoder_keeps_the_contract(name: str) -> None:
    check_encoder(EVERY.build(Encoder, {"use": name}), registry=EVERY)


@pytest.mark.parametrize("name", names("detector"))
def test_a_detector_keeps_the_contract(name: str) -> None:
    check_detector(EVERY.build(Detector, {"use": name, **MINIMAL.get(("detector", name), {})}), registry=EVERY)


# one judges what it makes itself, another reads truths of its own, a third language models: each has its own module
@pytest.mark.parametrize("name", sorted(set(names("evaluator")) - {"objectives", "realignment", "token-log-ratio"}))
def test_an_evaluator_keeps_the_contract(name: str) -> None:
    fields = {**MINIMAL.get(("evaluator", name), {}), "data": ["pairs/test", "shifted"]}
    evaluator = EVERY.build(Evaluator, {"use": name, **fields})
    data = {part: scored(seed) for seed, part in enumerate(("pairs/train", "pairs/test", "shifted"))}
    check_evaluator(evaluator, data, registry=EVERY)


@pytest.fixture(scope="module")
def planted_judges(
    tiny_classifier: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
    ran_once: tuple[Path, Finished],
) -> Mapping[str, Mapping[str, Any]]:
    """Files for the judges that read some: comments, what a judge learnt from them, two classifiers, a reward."""
    import torch
    from transformers import AutoModelForSequenceClassification

    folder, classifier = tmp_path_factory.mktemp("judges"), tiny_classifier("neutral", "toxic")
    rows = [{"text": f"{word} {i}", "toxic": int(word == "bad")} for i in range(9) for word in ("good", "bad")]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = {"path": str(folder / "texts.jsonl"), "gold": {"column": "toxic", "good": 0}}
    EVERY.build(KINDS["judge"], {"use": "linear", **texts}).save(folder / "saved")  # type: ignore[attr-defined]
    names = {"model_name": "BertForSequenceClassification", "tokenizer_name": "BertTokenizer"}
    config = {"arch": {"args": {"num_classes": 2, **names}}, "dataset": {"args": {"classes": ["threat", "toxic"]}}}
    weights = AutoModelForSequenceClassification.from_pretrained(classifier).state_dict()
    torch.save({"state_dict": weights, "config": config}, folder / "toxic.ckpt")
    return {
        "linear": texts,
        "linear-saved": {"path": str(folder / "saved")},
        "combined": MINIMAL["judge", "combined"],
        "word-list": MINIMAL["judge", "word-list"],
        "regex": MINIMAL["judge", "regex"],
        "similar-to": {"texts": ["good 1", "good 2"], "encoder": {"use": "char-hash"}},
        "concept": MINIMAL["judge", "concept"],
        "on-prompts": MINIMAL["judge", "on-prompts"],
        "sequence-classifier": {"model": str(classifier)},
        "recovered": {"folder": str(ran_once[1].folder / "rewards" / "toy-tfidf-max-margin-r0-s0")},
        "detoxify": {"checkpoint": str(folder / "toxic.ckpt"), "architecture": str(classifier)},
    }


# three are given what other stages answer, one needs a package of its own, and these have modules of their own
@pytest.mark.parametrize(
    "name", sorted(set(EVERY.names("judge")) - {"blend", "standardised", "recovered-cell", "profanity-check"})
)
def test_a_judge_labels_every_example(name: str, planted_judges: Mapping[str, Mapping[str, Any]]) -> None:
    examples = scored().examples
    judge: Any = EVERY.build(KINDS["judge"], {"use": name, **planted_judges.get(name, {})})
    judge.check()
    truths, again = judge.judge(examples), judge.judge(examples)
    assert GOLD in truths
    assert all(found == GOLD or found.startswith("subtype:") for found in truths)
    for found, (value, label) in truths.items():
        assert value.shape == label.shape == (len(examples),)
        assert np.isfinite(value).all()
        assert np.array_equal(value, again[found].value)
        assert label.dtype == np.int8
        assert set(label.tolist()) <= {-1, 0, 1}


@pytest.mark.parametrize("name", ["toy-comments"])
@pytest.mark.parametrize("kind", ["source", "testset"])
def test_a_drawn_world_is_its_generator(kind: str, name: str) -> None:
    fields = {"use": name, "n": 20, **MINIMAL.get((kind, name), {})}
    part: Any = EVERY.build(KINDS[kind], fields)
    draw = part.pairs if kind == "source" else part.examples
    first, again, other = (draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
    texts = [one.preferred if kind == "source" else one.text for one in (first, again, other)]
    assert part.drawn
    assert len(texts[0]) == 20
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


# --- drop-ins stay short: the promise of the first screen of the README


FOLLOWERS = {"mlflow_tracking", "trackio_tracking", "wandb_tracking"}  # drop-ins that follow runs and register no part


@pytest.mark.parametrize(
    "path", sorted(path for path in PLUGINS.glob("*.py") if path.stem not in FOLLOWERS), ids=lambda path: path.stem
)
def test_a_drop_in_is_at_most_15_lines_of_code(path: Path) -> None:
    # those that ask or fit with another library, or keep several heads, do more than give a loss
    longer = {
        "pointwise_logistic": 16,
        "simpo_reward": 17,
        "profanity_judge": 26,
        "laplace_bt": 35,
        "reward_ensemble": 51,
    }
    assert 0 < code_lines(path.read_text()) <= longer.get(path.stem, 15)
    (plugin,) = (one for one in EVERY.plugins.values() if Path(one.name) == path.resolve())
    assert plugin.origin == "drop-in"
    assert len(plugin.hooks) == 1


def code_lines(source: str) -> int:
    """Lines from the first ``class`` to the end, without blank ones, comments and docstrings."""
    tree = ast.parse(source)
    start = next(node.lineno for node in tree.body if isinstance(node, ast.ClassDef))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            skipped.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(
        number >= start and number not in skipped and bool(line.strip()) and not line.strip().startswith("#")
        for number, line in lines
    )


def test_code_lines_leaves_out_docstrings_comments_and_blank_lines() -> None:
    assert code_lines('import x\n\nclass A:\n    """One\n    two."""\n\n    # why\n    a = 1\n') == 2


@pytest.mark.parametrize("margin", [-120.0, -30.0, -1.0, 0.0, 2.0, 30.0, 120.0])
def test_focal_bt_at_gamma_zero_is_bradley_terry_with_its_slope(margin: float) -> None:
    import torch

    def of(name: str, **fields: float) -> tuple[float, float]:
        method: Any = EVERY.build(Method, {"use": name, **fields})
        at = torch.tensor([margin], requires_grad=True)
        loss = method.loss(at)
        (slope,) = torch.autograd.grad(loss.sum(), at)
        return loss.item(), slope.item()

    assert of("focal-bt", gamma=0.0) == pytest.approx(of("max-entropy"), rel=1e-6)
    assert np.isfinite(of("focal-bt", gamma=0.5)).all()


def test_focal_bt_by_hand() -> None:
    import torch

    method: Any = EVERY.build(Method, {"use": "focal-bt", "gamma": 2.0})
    p = 1 / (1 + np.exp(-1.5))
    assert method.loss(torch.tensor([1.5])).item() == pytest.approx(-((1 - p) ** 2) * np.log(p), rel=1e-6)


# --- the kit itself refuses what is wrong


class Wrong(PairwiseMethod):
    """Prefers the rejected text."""

    def loss(self, margin: Any) -> Any:
        return margin.sigmoid()


class Crowded(PairwiseMethod):
    """A loss that looks at the other runs."""

    def loss(self, margin: Any) -> Any:
        return (margin.mean(0, keepdim=True) * 0.5 - margin).exp()


class _Fitted(Method):
    """A linear reward by the mean difference, with a twist a test adds."""

    def fit(self, task: Task) -> Reward:
        pairs = task.train
        mean = (pairs.vectors[pairs.preferred] - pairs.vectors[pairs.rejected]).mean(0)
        return Reward({"weight": mean.astype(np.float32), "bias": np.zeros((), np.float32)})


class Restless(_Fitted):
    """Draws what no seed says."""

    def fit(self, task: Task) -> Reward:
        arrays = dict(super().fit(task).arrays)
        return Reward({**arrays, "bias": np.array(np.random.default_rng().normal(), np.float32)})


class Steady(_Fitted):
    """Says that seeds matter, which they do not."""


class SeedsUndeclared(_Fitted):
    """Says that seeds do not matter, which they do."""

    seeded = False

    def fit(self, task: Task) -> Reward:
        return Reward({**super().fit(task).arrays, "bias": np.array(task.seed, np.float32)})


class Column(_Fitted):
    """Scores a column, not a vector."""

    seeded = False

    def score(self, reward: Reward, inputs: Any) -> Any:
        return super().score(reward, inputs)[:, None]


class Overflowing(_Fitted):
    """Gives infinity for one text."""

    seeded = False

    def score(self, reward: Reward, inputs: Any) -> Any:
        return np.where(np.arange(len(inputs.text)) == 3, np.inf, super().score(reward, inputs))


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (Wrong(), "reaches AUC 0.[0-3].* less than 0.8"),
        (Crowded(), "seed 0 fitted among 3 runs differs from seed 0 alone"),
        (Restless(), "fitted twice on equal input, it gave other arrays"),
        (Steady(), "another seed gave the same arrays; .*seeded = False"),
        (SeedsUndeclared(), "another seed gave other arrays; declare seeded = True"),
        (Column(), r"shape \[1360, 1\] for 1360 texts"),
        (Overflowing(), "score gave NaN or infinity"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Method) else "",
)
def test_the_kit_refuses_a_method(method: Method, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_method(method)


class _Lengths(Encoder):
    """Two numbers of a text."""

    def encode(self, texts: Any, corpus: Any) -> Any:
        return np.array([[len(text), text.count("a")] for text in texts], np.float32).reshape(-1, 2)


class Wide(_Lengths):
    """float64."""

    def encode(self, texts: Any, corpus: Any) -> Any:
        return super().encode(texts, corpus).astype(np.float64)


class Sorted(_Lengths):
    """Rows in order of the texts' names."""

    def encode(self, texts: Any, corpus: Any) -> Any:
        return super().encode(sorted(texts), corpus)


class Relative(_Lengths):
    """Rows relative to those beside them."""

    def encode(self, texts: Any, corpus: Any) -> Any:
        rows = super().encode(texts, corpus)
        return rows - rows.mean(0) if len(rows) else rows


class Numbered(_Lengths):
    """A row that says where it stands."""

    def encode(self, texts: Any, corpus: Any) -> Any:
        return super().encode(texts, corpus) + np.arange(len(texts), dtype=np.float32)[:, None]


class Deaf(_Lengths):
    """One row for all."""

    def encode(self, texts: Any, corpus: Any) -> Any:
        return np.ones((len(texts), 2), np.float32)


class Short(_Lengths):
    """A row is missing."""

    def encode(self, texts: Any, corpus: Any) -> Any:
        return super().encode(texts, corpus)[1:]


class Stumbling(_Lengths):
    """Cannot do without a text, and does not say so."""

    def encode(self, texts: Any, corpus: Any) -> Any:
        return super().encode((texts[0], *texts[1:]), corpus)


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        (Wide(), "encode gave float64; return float32"),
        (Sorted(), "equal texts got other rows"),
        (Relative(), "a text alone got another row than in company"),
        (Numbered(), "equal texts got other rows"),
        (Deaf(), "every text the same row"),
        (Short(), r"shape \[7, 2\] for 8 texts"),
        (Stumbling(), "no text at all raised IndexError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Encoder) else "",
)
def test_the_kit_refuses_an_encoder(encoder: Encoder, sentence: str) -> None:
    check_encoder(_Lengths())
    with pytest.raises(AssertionError, match=sentence):
        check_encoder(encoder)


class Lowest(Detector):
    """Below the mean of all runs."""

    def failures(self, signal: Signal) -> Any:
        return signal.margin < signal.margin.mean()


class Soft(Detector):
    """A mask of numbers."""

    def failures(self, signal: Signal) -> Any:
        return (signal.margin < 0).float()


class PerRun(Detector):
    """One answer a run."""

    def failures(self, signal: Signal) -> Any:
        return (signal.margin < 0).any(-1)


@pytest.mark.parametrize(
    ("detector", "sentence"),
    [
        (Lowest(), "failures of run . differs among 3 runs from alone"),
        (Soft(), "failures gave torch.float32; return a mask of booleans"),
        (PerRun(), r"failures gave shape \[\] for margins \[40\]"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Detector) else "",
)
def test_the_kit_refuses_a_detector(detector: Detector, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_detector(detector)


class Says(Evaluator):
    """Says what a test tells it."""

    metrics = (Metric("m"),)

    measures: tuple[Any, ...] = ()

    def evaluate(self, scored: Mapping[str, Scored]) -> Any:
        return self.measures


class Reaches(Evaluator):
    """Reads more than it needs."""

    metrics = (Metric("n"),)

    def evaluate(self, scored: Mapping[str, Scored]) -> Any:
        return [Measure("pairs/test", "", "n", float(len(scored["pairs/train"].reward)), 1)]


def measure(**fields: Any) -> Measure:
    return Measure(**{"data": "pairs/test", "truth": "", "metric": "m", "value": 1.0, "n": 1, **fields})


@pytest.mark.parametrize(
    ("measures", "sentence"),
    [
        ((), "gave no measure"),
        ((measure(), measure(value=2.0)), r"two measures are at \('pairs/test', '', 'm', 'all'\)"),
        ((measure(value=float("nan")),), "is NaN without a note; say why"),
        ((measure(value=float("inf")),), "is infinite"),
        ((measure(data="pairs/train"),), "is of data that 'data' does not name"),
        ((1.0,), "gave 1.0; make it a fairl_bench.Measure"),
        ((measure(metric="k"),), r"'k' of 'pairs/test' is no number that it declares; add Metric\('k'\)"),
    ],
)
def test_the_kit_refuses_measures(measures: tuple[Any, ...], sentence: str) -> None:
    says = Says(data=("pairs/test",)).model_copy(update={"measures": measures})
    with pytest.raises(AssertionError, match=sentence):
        check_evaluator(says, {"pairs/test": scored(), "pairs/train": scored()})


def test_the_kit_accepts_nan_with_a_note_and_measures_that_differ_in_slice() -> None:
    measures = (measure(value=float("nan"), note="no pair"), measure(slice="near-tie"))
    check_evaluator(Says(data=("pairs/test",)).model_copy(update={"measures": measures}), {"pairs/test": scored()})


class Declares(Evaluator):
    """Gives the share of right pairs, and declares what a test tells it."""

    metrics = (Metric("share", "higher", bounds=(0, 1), resampled=(RIGHT_PAIRS,)),)

    plus: float = 0.0

    def evaluate(self, scored: Mapping[str, Scored]) -> Any:
        margins = scored["pairs/test"].margins()
        share = float((margins > 0).mean() + 0.5 * (margins == 0).mean())
        return [Measure("pairs/test", "preferred", "share", share + self.plus, len(margins))]


def test_the_kit_accepts_a_number_that_its_form_gives() -> None:
    check_evaluator(Declares(data=("pairs/test",)), {"pairs/test": scored()})


@pytest.mark.parametrize(
    ("plus", "sentence"), [(-0.01, "no form of it gives that"), (2.0, r"beyond the bounds \(0.0, 1.0\)")]
)
def test_the_kit_refuses_a_number_that_is_not_as_declared(plus: float, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_evaluator(Declares(data=("pairs/test",), plus=plus), {"pairs/test": scored()})


def test_the_kit_refuses_an_evaluator_that_hides_what_it_needs() -> None:
    reaches = Reaches(data=("pairs/test",))
    with pytest.raises(AssertionError, match="evaluate reads 'pairs/train', which needs"):
        check_evaluator(reaches, {"pairs/test": scored(), "pairs/train": scored()})
    with pytest.raises(AssertionError, match=r"needs\(\) names \['pairs/test'\]"):
        check_evaluator(reaches, {"pairs/train": scored()})


def test_the_planted_problem_is_what_it_says() -> None:
    problem = planted(n=200, d=5, seed=3)
    train, validation = problem.task.train, problem.task.validation
    assert (len(train), len(validation)) == (200, 40)
    assert np.linalg.norm(problem.theta) == pytest.approx(1, abs=1e-12)
    assert (problem.reward[train.preferred] > problem.reward[train.rejected]).all()
    used = np.concatenate([train.preferred, train.rejected, validation.preferred, validation.rejected])
    assert len(set(used.tolist())) == 480
    assert not set(used.tolist()) & set(problem.held_out.tolist())
    assert len(problem.held_out) == 200
    assert len(set(problem.texts)) == len(problem.vectors)
    assert train.gold is not None
    assert np.array_equal(train.gold[0] > 0, problem.reward[train.preferred] >= 0)
    noisy = planted(n=2000, d=5, seed=3, noise=0.3)
    flipped = noisy.reward[noisy.task.train.preferred] < noisy.reward[noisy.task.train.rejected]
    assert flipped.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 2000))  # four standard errors
