"""The conformance kit: what a plugin's own tests run on its parts, so that they keep the promises the harness makes.

In pytest, beside a drop-in file ``focal_bt.py``::

    from pathlib import Path
    from fairl_bench.engine.registry import Registry
    from fairl_bench.kinds import Method
    from fairl_bench.testing import check_method

    def test_focal_bt_keeps_the_contract():
        registry = Registry([Path(__file__).with_name("focal_bt.py")])
        check_method(registry.build(Method, {"use": "focal-bt"}), registry=registry)

Each check returns nothing, or raises `AssertionError` with a sentence that says what to mend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairl_bench.component import Component
from fairl_bench.data import Floats, Head, Inputs, Preferences, Reward, Rows, Scored, Task, Training, Vectors
from fairl_bench.errors import FairlError
from fairl_bench.kinds import KINDS, Detector, Encoder, Evaluator, Method
from fairl_bench.records import Evidence, Measure
from fairl_bench.science.classification import auc

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.engine.registry import Registry

TEXTS = (
    "Thank you, that was kind.",
    "What a rotten idea, and you know it.",
    "Could we meet on Tuesday instead? The train is late and the road is closed, so I would rather wait a while.",
    "Déjà vu: 東京 – naïve café ☕",
    "Thank you, that was kind.",
    "ok",
    "THE SAME WORDS IN ANOTHER ORDER ARE ANOTHER TEXT",
    "another text are in order the same words another",
)
"""What `check_encoder` reads: short, long, not ASCII, and one text twice."""


class Planted(NamedTuple):
    """A problem whose answer is known: rewards ``vectors @ theta``.  The last rows are in no pair."""

    task: Task
    theta: Floats  # [d]
    vectors: Vectors  # [rows, d]
    texts: tuple[str, ...]  # the better, the shorter
    held_out: Rows  # rows in no pair

    @property
    def reward(self) -> Floats:
        """The true reward of each row ``[rows]``."""
        return self.vectors.astype(np.float64) @ self.theta


def planted(n: int = 400, d: int = 16, seed: int = 0, noise: float = 0.0, head: Head | None = None) -> Planted:
    """``n`` training pairs, a fifth as many validation pairs and ``n`` rows for testing, of Gaussian vectors.

    The preferred row of a pair is the one of higher reward ``theta . h``; a share ``noise`` of the pairs is flipped.
    """
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=d)
    theta /= np.linalg.norm(theta)
    pairs = n + n // 5
    vectors = rng.normal(size=(2 * pairs + n, d)).astype(np.float32)
    reward = vectors.astype(np.float64) @ theta
    words = 1 + np.round(4 * (reward.max() - reward)).astype(int)
    texts = tuple(f"{row:06d} " + "word " * count for row, count in enumerate(words))
    sides = np.arange(2 * pairs, dtype=np.int64).reshape(pairs, 2)
    better = np.where(reward[sides[:, 0]] > reward[sides[:, 1]], 0, 1) ^ (rng.random(pairs) < noise)
    preferred, rejected = sides[np.arange(pairs), better], sides[np.arange(pairs), 1 - better]
    gold = np.where(reward >= 0, 1, -1).astype(np.int8)

    def part(rows: slice) -> Preferences:
        good, bad = preferred[rows], rejected[rows]
        return Preferences(vectors, good, bad, texts, (gold[good], gold[bad]))

    training = Training(lr=3e-3, epochs=30)
    task = Task(part(slice(n)), part(slice(n, None)), head or Head(width=16), training, replicate=0, seed=seed)
    return Planted(task, theta, vectors, texts, np.arange(2 * pairs, len(vectors), dtype=np.int64))


def check_method(
    method: Method,
    *,
    at_least: float = 0.8,
    head: Head | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    registry: Registry | None = None,
) -> None:
    """The method learns, repeats itself, means what it says of seeds and stacks, and scores every text.

    ``at_least`` is the AUC that it must reach against the sign of the true reward, on texts it has not seen.
    """
    problem = planted(head=head)
    tasks = [_with_seed(problem.task, seed) for seed in seeds]
    alone = [method.fit(task) for task in tasks]
    _must(
        _equal(method.fit(tasks[0]), alone[0]),
        "fitted twice on one task, it gave other arrays; draw all randomness from fairl_bench.stream",
    )
    differs = not all(_equal(alone[0], other) for other in alone[1:])
    if method.seeded:
        _must(differs, "another seed gave the same arrays; use task.seed, or declare seeded = False")
    else:
        _must(not differs, "another seed gave other arrays; declare seeded = True, so that every seed is run")
    if method.stack() is not None:
        for seed, one, other in zip(seeds, alone, type(method).fit_many([(method, t) for t in tasks]), strict=True):
            _must(
                _equal(one, other),
                f"seed {seed} fitted among {len(seeds)} runs differs from seed {seed} alone; make the loss "
                "elementwise over the leading axes, or let stack() return None",
            )
    score = np.asarray(method.score(alone[0], Inputs(problem.texts, problem.vectors)))
    _must(
        score.shape == (len(problem.texts),),
        f"score gave shape {list(score.shape)} for {len(problem.texts)} texts; return one number a text",
    )
    _must(bool(np.isfinite(score).all()), "score gave NaN or infinity; keep rewards finite")
    label = np.where(problem.reward >= 0, 1, -1)[problem.held_out]
    reached = auc(score[problem.held_out], label)
    _must(
        reached >= at_least,
        f"its reward reaches AUC {reached:.3f} on the planted problem, less than {at_least}; "
        "is the sign of the margin right, and is it trained long enough?",
    )
    _check_spec(method, registry)


def check_encoder(
    encoder: Encoder, texts: Sequence[str] = TEXTS, *, tolerance: float = 1e-5, registry: Registry | None = None
) -> None:
    """A finite float32 row a text that depends on the text alone, up to ``tolerance``, whatever its company."""
    corpus = tuple(texts) if encoder.fitted else ()
    rows = encoder.encode(tuple(texts), corpus)
    _must(
        isinstance(rows, np.ndarray) and rows.ndim == 2 and len(rows) == len(texts),
        f"encode gave {type(rows).__name__} of shape {list(np.shape(rows))} for {len(texts)} texts; return [n, d]",
    )
    _must(rows.dtype == np.float32, f"encode gave {rows.dtype}; return float32")
    _must(bool(np.isfinite(rows).all()), "encode gave NaN or infinity; keep vectors finite")
    _must(bool(np.ptp(rows, axis=0).any()), "encode gave every text the same row; let it depend on the text")
    _must(_same(encoder.encode(tuple(texts), corpus), rows), "encoded twice, the texts got other rows; fix its seed")
    first = [texts.index(text) for text in texts]
    _must(_close(rows[first], rows, tolerance), "equal texts got other rows; let a row depend on its text alone")
    backwards = encoder.encode(tuple(texts)[::-1], corpus)[::-1]
    _must(_close(backwards, rows, tolerance), "the texts in another order got other rows; return them as they came")
    single = np.concatenate([encoder.encode((text,), corpus) for text in texts])
    _must(
        _close(single, rows, tolerance),
        "a text alone got another row than in company; learn from corpus alone, not from the texts",
    )
    try:
        none = np.shape(encoder.encode((), corpus))
    except (FairlError, ValueError):
        pass  # said clearly
    except Exception as error:
        raise AssertionError(f"no text at all raised {error!r}; return no row, or raise DataError") from error
    else:
        _must(none[:1] == (0,), f"no text at all gave shape {list(none)}; return no row, or raise DataError")
    _check_spec(encoder, registry)


def check_detector(detector: Detector, *, n: int = 40, registry: Registry | None = None) -> None:
    """A boolean mask and a finite score a pair, the same for a run alone as among others."""
    import torch

    from fairl_bench.science.failures import Signal

    draw = torch.Generator().manual_seed(0)
    preferred, rejected, uniform = (torch.randn(3, n, generator=draw).sigmoid() for _ in range(3))
    features, weights = torch.randn(3, n, 5, generator=draw), torch.randn(3, 5, generator=draw)
    gold = (torch.where(uniform[0] < 0.5, -1, 1), torch.where(uniform[1] < 0.5, -1, 1))

    def signal_of(which: int | slice) -> Signal:
        def read() -> tuple[Tensor, Tensor]:
            return features[which], weights[which]

        return Signal(preferred[which], rejected[which], 0.25, uniform[which], gold, read)

    many = signal_of(slice(None))
    for name in ("failures", "score"):
        ask = getattr(detector, name)
        together: Tensor = ask(many)
        for run in range(3):
            alone: Tensor = ask(signal_of(run))
            for got, shape in ((alone, [n]), (together, [3, n])):
                _must(
                    list(got.shape) == shape,
                    f"{name} gave shape {list(got.shape)} for margins {shape}; reduce over the last axis alone",
                )
            _must(
                torch.allclose(together[run], alone)
                if together.is_floating_point()
                else torch.equal(together[run], alone),
                f"{name} of run {run} differs among 3 runs from alone; reduce over the last axis alone",
            )
        if name == "failures":
            _must(together.dtype == torch.bool, f"failures gave {together.dtype}; return a mask of booleans")
        else:
            _must(bool(together.isfinite().all()), "score gave NaN or infinity; keep scores finite")
    _check_spec(detector, registry)


def check_evaluator(evaluator: Evaluator, scored: Mapping[str, Scored], *, registry: Registry | None = None) -> None:
    """Measures of the data it names, each once, NaN only with a note; ``scored`` holds what a suite would give."""
    lacking = sorted(evaluator.needs() - set(scored))
    _must(not lacking, f"needs() names {lacking}, which this check was not given; add it to 'scored'")
    try:
        told = list(evaluator.evaluate({name: scored[name] for name in evaluator.needs()}))
    except KeyError as error:
        raise AssertionError(f"evaluate reads {error}, which needs() does not name; add it there") from error
    measures = [one for one in told if not isinstance(one, Evidence)]
    _must(len(told) - len(measures) <= 1, "evaluate gave several tables of evidence; give one")
    _must(bool(measures), "evaluate gave no measure; where a number is undefined, give NaN with a note")
    seen = set()
    for one in measures:
        _must(isinstance(one, Measure), f"evaluate gave {one!r}; make it a fairl_bench.Measure")
        where = (one.data, one.truth, one.metric, one.slice)
        _must(one.data in evaluator.data, f"{where} is of data that 'data' does not name; use a name of self.data")
        _must(where not in seen, f"two measures are at {where}; give each its own metric or slice")
        seen.add(where)
        _must(not math.isinf(one.value), f"{where} is infinite; give NaN with a note")
        _must(not math.isnan(one.value) or bool(one.note), f"{where} is NaN without a note; say why")
    _check_spec(evaluator, registry)


def _must(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


def _with_seed(task: Task, seed: int) -> Task:
    return Task(task.train, task.validation, task.head, task.training, task.replicate, seed)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)


def _close(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max() <= tolerance)


def _equal(one: Reward, other: Reward) -> bool:
    return one.arrays.keys() == other.arrays.keys() and all(
        _same(one.arrays[name], other.arrays[name]) for name in one.arrays
    )


def _check_spec(part: Component, registry: Registry | None) -> None:
    """A part that a registry built is built again, equal, from its own spec."""
    if registry is not None and part.use:
        again = registry.build(KINDS[part.kind], part.plain())
        _must(again == part, f"built from its spec {part.plain()}, it is another part; keep all state in fields")
