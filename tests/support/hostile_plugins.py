"""Plugins that do what none should: how a test writes one, the suite that it stands in, and what it may not change."""

from __future__ import annotations

import locale
import os
import random
import signal
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from fairl_bench.suite.yaml import dump

LONG = os.environ.get("FAIRL_FAULTS") == "long"
LETTERS = """
import numpy as np
from fairl_bench import Encoder, hookimpl

class Letters(Encoder):
    def encode(self, texts, corpus):
        return np.array([[text.count(letter) for letter in "aeiourdt"] for text in texts], "float32")

@hookimpl
def fairl_encoders(register):
    register("letters", Letters)
"""
HEAD = """
import math, os, random, signal, sys, threading, time, warnings
import numpy as np
from fairl_bench import *
from fairl_bench.values.data import Pairs
from fairl_bench.values.training import Reward

class Base(Method):
    def fit(self, task):
        return self.good(task)

    def good(self, task):
        return Reward({"weight": np.arange(task.train.vectors.shape[1], dtype="float32"), "bias": np.float32(0)})
"""


class Case(NamedTuple):
    """A plugin: what it registers as 'hostile', and how its failure reads; nothing where it is right."""

    kind: str
    source: str
    sentence: str = ""


def method(body: str, sentence: str = "", base: str = "Base") -> Case:
    return Case("method", f"class Hostile({base}):\n{textwrap.indent(textwrap.dedent(body), '    ')}", sentence)


def fit(body: str, sentence: str = "") -> Case:
    lines = "\n    ".join(body.split("\n"))
    return method(f"def fit(self, task):\n    n = len(task.train.vectors)\n    {lines}", sentence)


def scoring(value: str, sentence: str = "") -> Case:
    return method(f"def score(self, reward, inputs):\n    n = len(inputs.text)\n    return {value}", sentence)


def pairwise(body: str, sentence: str = "") -> Case:
    return method(f"def loss(self, margin):\n    import torch\n    {body}", sentence, "PairwiseMethod")


def encoder(value: str, sentence: str = "") -> Case:
    body = (
        f"class Hostile(Encoder):\n    def encode(self, texts, corpus):\n        n = len(texts)\n        return {value}"
    )
    return Case("encoder", body, sentence)


def judge(value: str, sentence: str = "") -> Case:
    body = f"class Hostile(Judge):\n    def judge(self, examples):\n        n = len(examples)\n        return {value}"
    return Case("judge", body, sentence)


def source(value: str, sentence: str = "") -> Case:
    body = (
        "class Hostile(Source):\n    def pairs(self, rng):\n        n = 12\n        good = tuple(f'good {i}' for i in "
    )
    body += f"range(n))\n        bad = tuple(f'bad {{i}}' for i in range(n))\n        return {value}"
    return Case("source", body, sentence)


def evaluator(value: str, sentence: str = "") -> Case:
    body = "class Hostile(Evaluator):\n    metrics = (Metric('x'),)\n    def evaluate(self, scored):\n"
    body += f"        m = Measure\n        return {value}"
    return Case("evaluator", body, sentence)


def detector(value: str, sentence: str = "") -> Case:
    body = f"class Hostile(Detector):\n    def failures(self, signal):\n        import torch\n        return {value}"
    return Case("detector", body, sentence)


def schedule(value: str, sentence: str = "") -> Case:
    return Case(
        "schedule", f"class Hostile(Schedule):\n    def at(self, turn, rounds):\n        return {value}", sentence
    )


LABELS = "np.ones(n, np.int8)"
ONES = f"Truth(np.ones(n), {LABELS})"


def state() -> dict[str, Any]:
    """All that a plugin may have changed."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "folder": Path.cwd(),
        "environment": {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "locale": locale.setlocale(locale.LC_ALL),
        "mask": mask,
        "torch": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()),
        "numpy": (np.geterr(), np.random.get_state()[1].tolist()),  # type: ignore[index]
        "random": (random.getstate(), torch.get_rng_state().tolist()),
        "errors": sum(one[0] == "error" for one in warnings.filters),
        "signals": (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)),
        "streams": (sys.stdout, sys.stderr, os._exit, sys.path[:], sys.modules["numpy"]),
    }


def suite(case: Case | None) -> dict[str, Any]:
    """A small suite, and beside its own cells those of a hostile part."""
    train = {"data": "pairs/train", "label": "gold"}
    made: dict[str, Any] = {
        "name": "small",
        "seeds": [0],
        "plugins": ["letters.py"],
        "models": [{"name": "m", "use": "jsonl", "path": "pairs.jsonl", "gold": {"use": "role"}}],
        "encoders": [{"name": "letters", "use": "letters"}],
        "training": {"epochs": 2, "stop": None},
        "methods": [{"name": "me", "use": "max-entropy"}, {"name": "md", "use": "mean-difference"}],
        "evaluate": [{"use": "classification", "data": ["pairs/train"], "label": "gold", "threshold": train}],
    }
    if case is None:
        return made
    made["plugins"] = ["hostile.py", "letters.py"]
    aware = {"name": "hostile", "use": "failure-aware", "rounds": 3, "base": {"use": "max-entropy"}}
    part = {"use": "hostile"}
    match case.kind:
        case "method":  # first, so that others come after it, and train beside it
            made["methods"] = [{"name": "hostile", **part}, *made["methods"]]
        case "detector":
            made["methods"] = [{**aware, "detector": part}, *made["methods"]]
        case "schedule":
            detector = {"use": "bottom-fraction", "start": 0.2, "end": 0.0}
            made["methods"] = [{**aware, "detector": detector, "failure_weight": part}, *made["methods"]]
        case "encoder":
            made["encoders"] = [{"name": "hostile", **part}, *made["encoders"]]
        case "source":
            made["models"] = [{"name": "hostile", **part, "gold": {"use": "role"}}, *made["models"]]
        case "judge":
            made["models"] = [{**made["models"][0], "name": "hostile", "gold": part}, *made["models"]]
        case "evaluator":
            made["evaluate"] = [{**part, "data": ["pairs/train"]}, *made["evaluate"]]
    return made


def put(case: Case, world: Path, folder: Path) -> Path:
    """The files of a case; the path of its suite."""
    folder.mkdir(exist_ok=True)
    for name in ("pairs.jsonl", "letters.py"):
        (folder / name).write_text((world / name).read_text())
    hook = f"\n\n@hookimpl\ndef fairl_{case.kind}s(register):\n    register('hostile', Hostile)\n"
    (folder / "hostile.py").write_text(HEAD + case.source + hook)
    (folder / "suite.yaml").write_text(dump(suite(case)))
    return folder / "suite.yaml"
