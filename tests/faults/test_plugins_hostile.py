"""Plugins that do what none should: each is right, or ends in one sentence, and no other cell's number changes.

All that can be done within this process is done in the ordinary tests.  Those that may take a process down are run by
the command line, in the long form (``tox -e faults``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile_plugins import (
    LONG,
    ONES,
    Case,
    detector,
    encoder,
    evaluator,
    fit,
    judge,
    method,
    pairwise,
    put,
    schedule,
    scoring,
    source,
    state,
    suite,
)

from fairl_bench.errors import FairlError
from fairl_bench.pipeline import Finished, run
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import dump

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
