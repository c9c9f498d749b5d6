"""Plugins that do what none should: each is right, or ends in one sentence, and no other cell's number changes.

All that can be done within this process is done in the ordinary tests.  Those that may take a process down are run by
the command line, in the long form (``tox -e faults``).
"""

from __future__ import annotations

import json
import locale
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from fairl_bench.errors import FairlError
from fairl_bench.pipeline import Finished, run
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
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
from fairl_bench.data import Pairs
from fairl_bench.training import Reward

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

CASES: dict[str, Case] = {
    # --- scores
    "scores of two columns": scoring("np.ones((n, 2))", r"scores \d+ texts with an array of shape \[\d+, 2\]"),
    "scores of one column": scoring("np.ones((n, 1))", r"array of shape \[\d+, 1\]; return one number a text"),
    "a score too many": scoring("np.ones(n + 1)", r"an array of shape"),
    "a score too few": scoring("np.ones(n - 1)", r"an array of shape"),
    "complex scores": scoring("np.ones(n) * 1j", "an array of complex numbers"),
    "scores as objects": scoring("np.array([object()] * n)", "an array of objects"),
    "scores as texts": scoring("np.array(['1'] * n)", "an array of texts"),
    "scores as bools": scoring("np.ones(n, bool)", "an array of true and false"),
    "no scores": scoring("None", "scores .* with None; return one number a text"),
    "a list of scores": scoring("[1.0] * n"),
    "scores of a tensor that learns": scoring("__import__('torch').ones(n, requires_grad=True)"),
    "huge scores": scoring("np.full(n, 1e300)", r"1e\+300 in entry 0, which is infinite as a float32"),
    "a generator of scores": scoring("(1.0 for _ in range(n))", "with a generator"),
    "ragged scores": scoring("[[1.0], [1.0, 2.0]]", "that is no array"),
    "scores that are not numbers": scoring("np.full(n, np.nan)", "NaN or infinite in"),
    "masked scores": scoring("np.ma.masked_equal(np.ones(n), 1)", "NaN or infinite in"),
    # --- rewards
    "no reward": fit("return None", "fit gave None; return a fairl_bench.Reward"),
    "a reward of objects": fit("return Reward({'weight': np.array([None])})", "the array 'weight' an array of objects"),
    "a reward of a long name": fit("return Reward({'w' * 300: np.ones(8)})", "a name needs 1 to 200 printable"),
    "a reward of no name": fit("return Reward({3: np.ones(8)})", "gave an array 3; a name needs"),
    "a huge reward": fit("return Reward({'weight': np.full(8, 1e200)})", "infinite as a float32"),
    "large whole numbers": fit("return Reward({'weight': np.full(8, 2**24 + 1)})", r"whole numbers above 2\^24"),
    "facts of numpy": fit("r = self.good(task)\nreturn Reward(r.arrays, {}, {'x': np.float32(1)})"),
    "facts of objects": fit("r = self.good(task)\nreturn Reward(r.arrays, {}, {'x': object()})", "as the fact 'x'"),
    "facts of the stage": fit("r = self.good(task)\nreturn Reward(r.arrays, {}, {'seconds': 'x'})", "a fact 'seconds'"),
    "history of texts": fit("r = self.good(task)\nreturn Reward(r.arrays, {'loss': ['x']})", "the history 'loss'"),
    "a reward of half a letter": fit(
        "r = self.good(task)\nreturn Reward(r.arrays, {}, {'x': '\\ud800'})", "half of a character"
    ),
    # --- losses
    "a loss of one number": pairwise("return margin.mean()", r"the loss of 'hostile' turned margins \[.*\] into \[\]"),
    "a loss that is no tensor": pairwise("return 1.0", "turned margins into a float; return a tensor"),
    "a loss cut off": pairwise("return margin.detach() ** 2", "does not depend on the margin"),
    "a complex loss": pairwise("return margin * 1j", "gave torch.complex64; return real numbers"),
    "a wide loss": pairwise("return torch.nn.functional.softplus(-margin.double())"),
    "a loss that sets the default type": pairwise(
        "torch.set_default_dtype(torch.float64)\n    return torch.nn.functional.softplus(-margin)"
    ),
    "a loss that stops gradients": pairwise(
        "found = torch.nn.functional.softplus(-margin)\n    torch.set_grad_enabled(False)\n    return found"
    ),
    "a method of its own epochs": method(
        "def loss(self, margin):\n    return (1 - margin) ** 2\n\ndef epochs(self, training):\n    return 1",
        base="PairwiseMethod",
    ),
    "a method equal to all others": method(
        "def loss(self, margin):\n    return -margin\n\ndef __eq__(self, other):\n    return True\n\n"
        "def __hash__(self):\n    return 1",
        base="PairwiseMethod",
    ),
    "a method that fits all others": method(
        "def loss(self, margin):\n    return -margin\n\n@classmethod\ndef fit_many(cls, runs):\n"
        "    return [Base().good(task) for _, task in runs]",
        base="PairwiseMethod",
    ),
    # --- detectors and schedules
    "a mask of numbers": detector("signal.margin", "gave numbers .* for a mask; return booleans"),
    "a mask too short": detector("(signal.margin < 0)[..., 1:]", "turned margins"),
    "a schedule of nothing": schedule("float('nan')", "failure_weight nan must be at least 0"),
    "a negative schedule": schedule("-1.0", "failure_weight -1.0 must be at least 0"),
    "a schedule of texts": schedule("'3'", "failure_weight 3 must be at least 0"),
    "a schedule that falls below": schedule(
        "1.0 if turn in (0, rounds - 1) else -1.0", "round 1: its failure_weight -1.0"
    ),
    # --- encoders
    "a vector too few": encoder("np.ones((n - 1, 3))", r"turned \d+ texts into \d+ vectors"),
    "vectors of one axis": encoder("np.ones(n)", "an array of shape"),
    "vectors of no dimension": encoder("np.ones((n, 0))", "vectors of no dimension"),
    "huge vectors": encoder("np.full((n, 2), 1e39)", "infinite as a float32"),
    "vectors as texts": encoder("[['a']] * n", "an array of texts"),
    "vectors as lists": encoder("[[float(sum(map(ord, text))), 1.0] for text in texts]"),
    # --- judges and sources
    "labels of two": judge("{'gold': Truth(np.ones(n), np.full(n, 2))}", r"the labels \[2\] of the truth 'gold'"),
    "labels too few": judge("{'gold': Truth(np.ones(n), np.ones(n - 1, np.int8))}", "labels of the truth 'gold'"),
    "no gold": judge(f"{{'silver': {ONES}}}", "gave no truth 'gold'"),
    "a judge of preferences": judge(f"{{'gold': {ONES}, 'preferred': {ONES}}}", "a truth 'preferred', which is"),
    "no truth": judge("None", "gave None as truths"),
    "texts that are none": source("Pairs((1,) * n, bad)", "source 'hostile': preferred gave 1 in row 0"),
    "columns of two lengths": source("Pairs(good, bad[1:])", r"columns of one length, got \[11, 12\]"),
    "generators of texts": source("Pairs((t for t in good), (t for t in bad))"),
    "half a character": source("Pairs(('\\ud800',) * n, bad)", "half of a character in row 0"),
    "a text for a column": source("Pairs('abc', 'xyz')", "a column needs a sequence of texts, got str"),
    # --- evaluators
    "a measure twice": evaluator("[m('pairs/train', '', 'x', 1.0, 1)] * 2", "gave 'x' of 'pairs/train' twice"),
    "a measure of a text": evaluator("[m('pairs/train', '', 'x', '1', 1)]", "as the text '1'; make it a number"),
    "a complex measure": evaluator("[m('pairs/train', '', 'x', 1j, 1)]", "as 1j; make it a number"),
    "an infinite measure": evaluator("[m('pairs/train', '', 'x', math.inf, 1)]", "give NaN with a note"),
    "a measure without note": evaluator("[m('pairs/train', '', 'x', math.nan, 1)]", "NaN without a note"),
    "a metric of another name": evaluator("[m('pairs/train', '', 'y', 1.0, 1)]", "gave 'y', which it does not declare"),
    "a metric of no name": evaluator("[m('pairs/train', '', 7, 1.0, 1)]", "metric is 7; make it a text"),
    "no measures": evaluator("None", "gave None; return a list of fairl_bench.Measure"),
    "measures of numpy": evaluator("(m('pairs/train', '', 'x', np.float32(1), np.int64(3)) for _ in range(1))"),
    # --- what ends
    "sys.exit": fit("sys.exit('enough')", "^SystemExit: enough$"),
    "os._exit": fit("os._exit(3)", r"it called os._exit\(3\)"),
    "a base exception": fit("class Own(BaseException): pass\nraise Own('mine')", "^Own: mine$"),
    "an interruption of its own": fit("raise KeyboardInterrupt", "^KeyboardInterrupt$"),
    "recursion": fit("return self.fit(task)", "^RecursionError: "),
    "a child": fit("os.fork()\nreturn self.good(task)"),
    "an error without a message": fit(
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd()", "its message cannot be made"
    ),
    "an error of a million letters": fit("raise ValueError('x' * 10**6)", r"^ValueError: x{1990}"),
    "an error of half a letter": fit(r"raise ValueError('\ud800')", r"^ValueError: \\ud800"),
    # --- what is changed
    "a working folder": fit("os.chdir('/')\nreturn self.good(task)"),
    "the environment": fit("os.environ['TZ_OF_NOBODY'] = 'x'\nos.environ.pop('PATH')\nreturn self.good(task)"),
    "the locale": fit("import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')\nreturn self.good(task)"),
    "torch's type": fit("import torch; torch.set_default_dtype(torch.float64)\nreturn self.good(task)"),
    "torch's gradients": fit("import torch; torch.set_grad_enabled(False)\nreturn self.good(task)"),
    "torch's threads": fit("import torch; torch.set_num_threads(2)\nreturn self.good(task)"),
    "all seeds": fit("np.random.seed(0); random.seed(0)\nimport torch; torch.manual_seed(0)\nreturn self.good(task)"),
    "warnings as errors": fit("warnings.simplefilter('error'); np.seterr(all='raise')\nreturn self.good(task)"),
    "signals": fit("signal.signal(signal.SIGINT, signal.SIG_IGN); os.umask(0o777)\nreturn self.good(task)"),
    "prints": fit("print('hello'); sys.stdout.write('there'); sys.stdout.close()\nreturn self.good(task)"),
    "modules": fit(
        "sys.modules['numpy'] = None; sys.path.insert(0, '/nowhere')\nreturn self.good(task)", "import of numpy halted"
    ),
    "a thread": fit("threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nreturn self.good(task)"),
}


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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    lines = [
        {"chosen": f"kind word {i} {'abc'[i % 3] * i}", "rejected": f"rude text {i} {'xyz'[i % 3] * i}"}
        for i in range(24)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "letters.py").write_text(LETTERS)
    return folder


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


def numbers(finished: Finished) -> dict[tuple[str, ...], tuple[float, int]]:
    """All numbers of the cells that have nothing of a hostile part."""
    return {
        (one.model, one.encoder, one.method, one.truth, one.metric, one.data): (one.value, one.n)
        for one in finished.records
        if "hostile" not in (one.model, one.encoder, one.method) and one.metric != "x"
    }


def scored(finished: Finished, store: Store) -> dict[str, bytes]:
    """The scores of each of those cells, bit for bit."""
    return {
        f"{cell.model} {cell.encoder} {cell.method}": (store.path(cell.scores) / "scores.safetensors").read_bytes()
        for cell in finished.plan.cells
        if "hostile" not in (cell.model, cell.encoder, cell.method)
    }


@pytest.fixture(scope="module")
def alone(world: Path) -> tuple[dict[Any, Any], dict[str, bytes]]:
    """The numbers without any hostile part."""
    (world / "suite.yaml").write_text(dump(suite(None)))
    store = FolderStore(world / "store")
    finished = run(read_study(world / "suite.yaml"), store, world / "results")
    assert not finished.outcome.failed
    return numbers(finished), scored(finished, store)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12: of threads and forks
@pytest.mark.parametrize("name", CASES if LONG else [*CASES][::2])
def test_a_hostile_part_fails_alone_or_is_right(
    name: str, world: Path, alone: tuple[Any, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    path, store = put(case, world, tmp_path / "case"), FolderStore(tmp_path / "store")
    torch.set_num_threads(1)
    before = state()
    try:
        finished = run(read_study(path), store, tmp_path / "results")
    except FairlError as error:  # before anything is done
        refusal = str(error)
    else:
        refusal = ""
        reasons = {reason.partition(": ")[2] for reason in finished.outcome.failed.values()}
        if case.sentence:
            assert reasons
            assert all(re.search(case.sentence, reason) and "\n" not in reason for reason in reasons), reasons
        else:
            assert not reasons
        assert (numbers(finished), scored(finished, store)) == alone
        assert len(finished.outcome.done) + len(finished.outcome.failed) + len(finished.outcome.skipped) >= len(
            finished.plan.stages
        )
    if refusal:
        assert case.sentence, refusal
        assert re.search(case.sentence, refusal), refusal
        assert len(refusal.splitlines()) <= 2
    after = state()
    assert {key for key in before if before[key] != after[key]} == set()
    assert capfd.readouterr().out == ""


def test_a_run_beside_a_hostile_part_is_done_at_all(alone: tuple[Any, Any]) -> None:
    assert {key[2] for key in alone[0]} == {"me", "md"}
    assert len(CASES) >= 70


# --- refused before anything is done

REFUSED: dict[str, tuple[str, str]] = {
    "a field called kind": ("class Hostile(Base):\n    kind: str = 'z'", "a field 'kind', a word that suites have"),
    "a field called name": ("class Hostile(Base):\n    name: str = 'z'", "a field 'name', a word that suites have"),
    "a field called use": ("class Hostile(Base):\n    use: str = 'z'", "a field 'use', a word that suites have"),
    "a field called fit": ("class Hostile(Base):\n    score: float = 1.0", "a field 'score', which hides what every"),
    "a list": ("class Hostile(Base):\n    bag: list[float] = []", r"type list\[float\]; .*make it tuple\[float, ...\]"),
    "a set": ("class Hostile(Base):\n    bag: set[str] = set()", r"type set\[str\]; .*make it tuple\[str, ...\]"),
    "a time": (
        "import datetime\nclass Hostile(Base):\n    on: datetime.date = datetime.date.min",
        "the type date; a suite",
    ),
    "a list within": ("class Hostile(Base):\n    bag: tuple[list[int], ...] = ()", r"the type list\[int\]"),
    "numbers as keys": (
        "class Hostile(Base):\n    bag: dict[int, float] = {}",
        "a mapping from int; let it be from str",
    ),
    "an array": (
        "class Hostile(Base):\n    model_config = {'arbitrary_types_allowed': True}\n    bag: np.ndarray = np.ones(3)",
        "the type ndarray; a suite holds",
    ),
    "truths of a text": (
        "class Hostile(Base):\n    def truths(self):\n        return 'gold'",
        "truths gave 'gold'; it needs a set",
    ),
    "a stack of a list": (
        "class Hostile(Base):\n    def stack(self):\n        return []",
        r"stack gave \[\]; it needs a value",
    ),
    "reads of numbers": (
        "class Hostile(Base):\n    def reads(self):\n        return 3",
        "reads gave 3; it needs digests",
    ),
    "seeded of a text": ("class Hostile(Base):\n    seeded = 'no'", "seeded is 'no'; make it True or False"),
    "another kind": ("class Hostile(Encoder):\n    def encode(self, texts, corpus): ...", "it must subclass Method"),
    "no class": ("Hostile = 3", "is 3; it must subclass Method"),
    "not whole": ("class Hostile(Method):\n    pass", "is not whole: Hostile must define fit"),
    "exit at import": ("sys.exit(3)", "is broken: SystemExit: 3"),
    "os._exit at import": ("os._exit(3)", r"is broken: it called os._exit\(3\)"),
    "a base exception at import": ("raise BaseException('x')", "is broken: BaseException: x"),
    "an interruption at import": ("raise KeyboardInterrupt", "is broken: KeyboardInterrupt"),
    "a loop at import": (
        "while True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass",
        "has not finished importing",
    ),
    "an error in a truth": (
        "class Hostile(Base):\n    def truths(self):\n        1 / 0",
        "truths raised ZeroDivisionError",
    ),
}
HOOKS: dict[str, tuple[str, str]] = {
    "no hookimpl": ("def fairl_methods(register):\n    register('hostile', Base)", "without @hookimpl"),
    "another project's hookimpl": (
        "import pluggy\n@pluggy.HookimplMarker('other')\ndef fairl_methods(register): ...",
        "without @hookimpl",
    ),
    "a coroutine": ("@hookimpl\nasync def fairl_methods(register): ...", "make it a plain function"),
    "a generator": ("@hookimpl\ndef fairl_methods(register):\n    yield", "make it a plain function"),
    "twice": (
        "@hookimpl\ndef fairl_methods(register):\n    register('a', Base)\n    register('a', Base)",
        "registered twice by",
    ),
    "a name of spaces": (
        "@hookimpl\ndef fairl_methods(register):\n    register('a b', Base)",
        "a name needs letters, digits",
    ),
    "a name of a path": (
        "@hookimpl\ndef fairl_methods(register):\n    register('../a', Base)",
        "a name needs letters, digits",
    ),
    "a long name": ("@hookimpl\ndef fairl_methods(register):\n    register('a' * 300, Base)", "at most 100 characters"),
    "a name of a number": ("@hookimpl\ndef fairl_methods(register):\n    register(3, Base)", "under the name 3"),
    "an exit": ("@hookimpl\ndef fairl_methods(register):\n    sys.exit()", "is broken: SystemExit"),
    "another argument": ("@hookimpl\ndef fairl_methods(registry): ...", "is broken: PluginValidationError"),
}


@pytest.mark.parametrize("name", [*REFUSED, *HOOKS])
def test_a_plugin_is_refused_with_one_sentence(
    name: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRL_IMPORT_SECONDS", "0.3")
    body, sentence = (REFUSED | HOOKS)[name]
    path = put(Case("method", body), world, tmp_path / "case")
    if name in HOOKS:
        (tmp_path / "case" / "hostile.py").write_text(HEAD + body)
    before = state()
    from fairl_bench.engine.planner import plan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's own, of a field that hides another
        with pytest.raises(FairlError, match=sentence) as refusal:
            plan(read_study(path))
    assert len(str(refusal.value).splitlines()) == 1
    after = state()
    assert {key for key in before if before[key] != after[key]} == set()
    assert capfd.readouterr().out == ""


# --- files beside a drop-in

BESIDE: dict[str, tuple[str, str]] = {
    "an import": (
        "import sys, os; sys.path.insert(0, os.path.dirname(__file__))\nimport beside",
        "imports .*beside.py in line",
    ),
    "an import without a path": (
        "try:\n    import beside\nexcept ImportError:\n    pass",
        "imports .*beside.py in line",
    ),
    "a relative import": ("from . import beside", "broken: ImportError|by a relative import"),
    "a late import": ("def later():\n    import beside", "imports .*beside.py in line 2"),
    "a late import by name": (
        "def later():\n    return importlib.import_module('beside')",
        "imports .*beside.py in line 2",
    ),
    "a run file": (
        "import runpy, os\nrunpy.run_path(os.path.join(os.path.dirname(__file__), 'beside.py'))",
        "runs the code of another",
    ),
    "executed text": (
        "from pathlib import Path\nexec(Path(__file__).with_name('beside.py').read_text())",
        "runs the code of another",
    ),
    "a package": (
        "import sys, os; sys.path.insert(0, os.path.dirname(__file__))\nfrom folder.inner import X",
        "imports .*folder.* in line",
    ),
    "a name that is made": (
        "import sys, os, importlib; sys.path.insert(0, os.path.dirname(__file__))\n"
        "importlib.import_module('be' + 'side')",
        "imports .*beside.py; a drop-in must be one file",
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_drop_in_that_takes_code_from_beside_is_refused(name: str, tmp_path: Path) -> None:
    from fairl_bench.suite.registry import Registry

    (tmp_path / "beside.py").write_text("X = 1\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.py").write_text("X = 1\n")
    (tmp_path / "plugin.py").write_text(BESIDE[name][0])
    for _ in range(2):  # the second time as well
        with pytest.raises(FairlError, match=BESIDE[name][1]):
            Registry([tmp_path / "plugin.py"], installed=False)
    assert not {"beside", "folder"} & set(sys.modules)


def test_a_neighbour_that_is_imported_at_work_fails_the_part(world: Path, tmp_path: Path) -> None:
    case = fit("sys.path.insert(0, os.path.dirname(__file__)); __import__('be' + 'side')\nreturn self.good(task)")
    path = put(case, world, tmp_path / "case")
    (tmp_path / "case" / "beside.py").write_text("X = 1\n")
    for _ in range(2):
        finished = run(read_study(path), FolderStore(tmp_path / "store"), tmp_path / "results")
        (reason,) = finished.outcome.failed.values()
        assert re.search(r"hostile.py imports .*beside.py while it works; a drop-in must be one file", reason)


# --- by the command line: what takes a process down

DEADLY = {
    "a signal": ("os.kill(os.getpid(), signal.SIGKILL)", "its worker process ended twice"),
    "a fault": ("import ctypes; ctypes.string_at(0)", "its worker process ended twice"),
    "os._exit": ("os._exit(0)", "its worker process ended twice"),
    "posix": ("import posix; posix._exit(0)", "its worker process ended twice"),
    "threads": ("threading.Thread(target=time.sleep, args=(600,)).start(); return self.good(task)", ""),
}


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fairl_bench", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "FAIRL_STORE": str(folder / "store"), **environment},
    )


@pytest.mark.skipif(not LONG, reason="needs the long form: tox -e faults")
@pytest.mark.parametrize("name", DEADLY)
def test_what_would_end_the_process_ends_one_cell(name: str, world: Path, tmp_path: Path) -> None:
    body, sentence = DEADLY[name]
    put(fit(body), world, tmp_path / "case")
    ran = command(tmp_path / "case", "run", "suite.yaml")
    assert ran.returncode == (1 if sentence else 0), ran.stderr
    assert sentence in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(not LONG, reason="needs the long form: tox -e faults")
@pytest.mark.parametrize("verb", ["check", "list", "show", "plugins", "schema"])
@pytest.mark.parametrize(
    "loop", ["while True: pass", "time.sleep(600)", "while True:\n    try: time.sleep(1)\n    except: pass"]
)
def test_an_endless_import_ends_every_command(verb: str, loop: str, world: Path, tmp_path: Path) -> None:
    put(Case("method", f"class Hostile(Base): pass\n{loop}"), world, tmp_path / "case")
    more = {"check": ["suite.yaml"], "show": ["hostile", "--plugin", "hostile.py"]}.get(
        verb, ["--plugin", "hostile.py"]
    )
    began = time.monotonic()
    ran = command(tmp_path / "case", verb, *more, FAIRL_IMPORT_SECONDS="1")
    assert ran.returncode == 2
    assert re.search(
        r"^error: .*plugin .*hostile.py has not finished importing after 1 s; mend", ran.stderr, re.MULTILINE
    )
    assert time.monotonic() - began < 60


Write = Callable[..., Path]
