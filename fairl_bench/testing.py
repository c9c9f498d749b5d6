"""The conformance kit: what a plugin's own tests run on its parts, so that they keep the promises the harness makes.

In pytest, beside a drop-in file ``focal_bt.py``::

    from pathlib import Path
    from fairl_bench.suite.registry import Registry
    from fairl_bench.kinds import Method
    from fairl_bench.testing import check_method

    def test_focal_bt_keeps_the_contract():
        registry = Registry([Path(__file__).with_name("focal_bt.py")])
        check_method(registry.build(Method, {"use": "focal-bt"}), registry=registry)

Each check returns nothing, or raises `AssertionError` with a sentence that says what to mend.  There is one for each
kind; all of them look whether the part changes what it is given, and whether it gives the same a second time.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from fairl_bench.component import Component
from fairl_bench.data import (
    GOLD,
    Asked,
    Examples,
    Floats,
    Head,
    Inputs,
    Pairs,
    Preferences,
    Reward,
    Rows,
    Sampling,
    Scored,
    Site,
    Task,
    Training,
    Truth,
    Vectors,
)
from fairl_bench.errors import Changed, FairlError
from fairl_bench.kinds import (
    KINDS,
    LM,
    Detector,
    Encoder,
    Evaluator,
    Judge,
    Method,
    Prompts,
    Schedule,
    Source,
    TestSet,
)
from fairl_bench.readonly import ReadOnly, lent, read_only
from fairl_bench.records import Evidence, Measure
from fairl_bench.science.classification import auc
from fairl_bench.science.streams import stream

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.suite.registry import Registry

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
    inputs = Inputs(problem.texts, problem.vectors)

    def fitted(task: Task) -> Reward:
        return _copied(_done(method, lambda: method.fit(task), task=task))

    def scored(reward: Reward) -> Any:
        return np.array(_done(method, lambda: method.score(reward, inputs), reward=reward, inputs=inputs))

    first = fitted(tasks[0])
    score = scored(first.kept())
    alone = [first, *map(fitted, tasks[1:])]
    again = fitted(_with_seed(planted(head=head).task, seeds[0]))  # equal, and not the same objects
    _must(
        _equal(again, first),
        "fitted twice on equal input, it gave other arrays; draw all randomness from fairl_bench.stream, and keep "
        "nothing from one fit to the next",
    )
    differs = not all(_equal(alone[0], other) for other in alone[1:])
    if method.seeded:
        _must(differs, "another seed gave the same arrays; use task.seed, or declare seeded = False")
    else:
        _must(not differs, "another seed gave other arrays; declare seeded = True, so that every seed is run")
    if method.stack() is not None:
        together = _done(method, lambda: type(method).fit_many([(method, t) for t in tasks]), task=tasks[0])
        for seed, one, other in zip(seeds, alone, together, strict=True):
            _must(
                _equal(one, other),
                f"seed {seed} fitted among {len(seeds)} runs differs from seed {seed} alone; make the loss "
                "elementwise over the leading axes, or let stack() return None",
            )
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
    _must(
        np.array_equal(scored(first.kept()), score),
        "after it was fitted again, it scores an older reward otherwise; let score read the reward's arrays alone",
    )
    _must(
        bool(np.allclose(scored(_stored(first)), score, rtol=1e-3, atol=1e-3 * float(np.abs(score).max()))),
        "a reward that was stored and read again scores otherwise; keep all that score needs in the reward's arrays, "
        "which are stored as float32",
    )
    another = planted(head=head, seed=1)
    reward = fitted(another.task)
    more = np.asarray(method.score(reward, Inputs(another.texts, another.vectors)))[another.held_out]
    reached = auc(more, np.where(another.reward >= 0, 1, -1)[another.held_out])
    _must(
        reached >= at_least - 0.1,
        f"fitted on another problem after the first, its reward reaches AUC {reached:.3f} there; keep nothing from one "
        "fit to the next",
    )
    _check_spec(method, registry)


def check_encoder(
    encoder: Encoder, texts: Sequence[str] = TEXTS, *, tolerance: float = 1e-5, registry: Registry | None = None
) -> None:
    """A finite float32 row a text that depends on the text alone, up to ``tolerance``, whatever its company."""
    corpus = tuple(texts) if encoder.fitted else ()
    rows = encoder.encode(tuple(texts), corpus)
    before = np.array(rows)
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
    backwards = np.array(encoder.encode(tuple(texts)[::-1], corpus)[::-1])
    _must(_same(rows, before), "its next call changed the rows it gave before; return a new array each time")
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
        verb = getattr(detector, name)
        shared = {"preferred": preferred, "rejected": rejected, "uniform": uniform, "gold": gold}
        shared |= {"features": features, "weights": weights}

        def ask(signal: Signal, verb: Callable[[Signal], Tensor] = verb, shared: dict[str, Any] = shared) -> Tensor:
            return _done(detector, lambda: verb(signal), **shared)

        together = ask(many)
        for run in range(3):
            alone = ask(signal_of(run))
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
    given = ReadOnly({name: Scored(scored[name][0], read_only(scored[name][1])) for name in evaluator.needs()})

    def evaluated() -> list[Measure | Evidence]:
        return _done(evaluator, lambda: list(evaluator.evaluate(given)), scored=given)

    try:
        told = evaluated()
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
    again = [one for one in evaluated() if isinstance(one, Measure)]
    _must(
        repr(again) == repr(measures), "evaluated twice, it gave other numbers; keep nothing from one call to the next"
    )
    _check_spec(evaluator, registry)


def check_judge(
    judge: Judge, texts: Sequence[str] = TEXTS, *, tolerance: float = 1e-5, registry: Registry | None = None
) -> None:
    """The truth ``gold`` of every text, which depends on the text alone, up to ``tolerance``; known ones finite."""
    n = len(texts)

    def judged(some: Sequence[str]) -> dict[str, Truth]:
        examples = Examples(tuple(some))
        told = _done(judge, lambda: judge.judge(examples), examples=examples)
        return {name: Truth(np.array(value), np.array(label)) for name, (value, label) in told.items()}

    told = judged(texts)
    _must(GOLD in told, f"judge gave the truths {sorted(told)}; it must give 'gold'")
    for name, (value, label) in told.items():
        shapes = [list(value.shape), list(label.shape)]
        _must(shapes == [[n], [n]], f"the truth {name!r} has shapes {shapes} for {n} texts; give one of each a text")
        _must(bool(np.isin(label, (-1, 0, 1)).all()), f"labels of {name!r} must be 1, -1 or 0 (unknown)")
        _must(bool(np.isfinite(value[label != 0]).all()), f"known values of {name!r} must be finite")
    for some, back, why in (
        (texts, slice(None), "judged twice, the texts got other values; keep nothing from one call to the next"),
        (texts[::-1], slice(None, None, -1), "in another order the texts got other values; judge each by itself"),
    ):
        other = judged(some)
        same = all(_close(other[name].value[back], told[name].value, tolerance) for name in told)
        _must(other.keys() == told.keys() and same, why)
    _check_spec(judge, registry)


def check_source(source: Source, *, registry: Registry | None = None, **upstream: Any) -> None:
    """Equal pairs for equal random numbers, and other ones for another replicate only where it says ``drawn``."""

    def drawn(replicate: int) -> Pairs:
        return _done(source, lambda: source.pairs(stream("world", replicate), **upstream), upstream=upstream)

    first = drawn(0)
    _must(isinstance(first, Pairs), f"pairs gave {type(first).__name__}; return fairl_bench.Pairs")
    _check_drawn(source, drawn, lambda one: (one.preferred, one.rejected, one.prompt, one.group))
    _check_spec(source, registry)


def check_testset(testset: TestSet, *, registry: Registry | None = None, **upstream: Any) -> None:
    """Equal texts for equal random numbers, and other ones for another replicate only where it says ``drawn``."""

    def drawn(replicate: int) -> Examples:
        rng = stream("world/testset", replicate)
        return _done(testset, lambda: testset.examples(rng, **upstream), upstream=upstream)

    first = drawn(0)
    _must(isinstance(first, Examples) and len(first) > 0, "examples gave no fairl_bench.Examples with a text in it")
    for name, (value, label) in first.truths.items():
        _must(
            value.shape == label.shape == (len(first),),
            f"the truth {name!r} has shapes {[list(value.shape), list(label.shape)]} for {len(first)} texts",
        )
    _check_drawn(
        testset, drawn, lambda one: (one.text, one.prompt, {n: t.label.tolist() for n, t in one.truths.items()})
    )
    _check_spec(testset, registry)


def check_prompts(prompts: Prompts, n: int = 5, *, registry: Registry | None = None) -> None:
    """``n`` texts or fewer, the same for equal random numbers."""
    found = prompts.texts(n, stream("prompts", 0))
    texts = all(isinstance(text, str) for text in found)
    _must(texts and 0 < len(found) <= n, f"texts gave {len(found)} prompts for {n}; give 1 to {n} texts")
    _must(prompts.texts(n, stream("prompts", 0)) == found, "asked twice, it gave other prompts; draw from rng alone")
    _check_spec(prompts, registry)


def check_schedule(schedule: Schedule, rounds: int = 10, *, registry: Registry | None = None) -> None:
    """A finite number in every round, the same whenever it is asked for."""
    found = [schedule.at(turn, rounds) for turn in range(rounds)]
    _must(all(map(math.isfinite, found)), f"at gave {found}; give finite numbers")
    again = [schedule.at(turn, rounds) for turn in reversed(range(rounds))][::-1]
    _must(again == found, "asked in another order, it gave other numbers; let a number depend on the round alone")
    _check_spec(schedule, registry)


def check_lm(
    lm: LM, prompts: Sequence[str] = ("Well,", "I think", "Well,"), *, registry: Registry | None = None, **upstream: Any
) -> None:
    """It makes a model and completes each prompt, in the same way whatever is asked beside it.

    ``upstream`` is what it starts from, by role.
    """
    with tempfile.TemporaryDirectory() as room:
        place, scratch = Path(room, "model"), Path(room, "scratch")
        place.mkdir()
        scratch.mkdir()
        site = Site(place, scratch, ReadOnly(upstream))
        made = _done(lm, lambda: lm.make(site), upstream=site.upstream)
        _must(made.folder.is_dir(), f"make says that the model lies in {made.folder}, where no folder is")
        at = Site(place, scratch, ReadOnly({"lm": made.folder}))
        n = len(prompts)
        asked = Asked(tuple(prompts), tuple(range(n)), (0,) * n, Sampling(max_new_tokens=8), "check", 0)
        found = list(_done(lm, lambda: lm.complete(asked, at), upstream=at.upstream))
        _must(
            len(found) == n and all(isinstance(text, str) for text in found),
            f"complete gave {len(found)} answers for {n} prompts; return one text a prompt",
        )
        alone = [text for i in range(n) for text in lm.complete(asked.take([i]), at)]
        _must(alone == found, "a prompt alone got another completion than in company; draw from asked.rng(i) alone")
    _check_spec(lm, registry)


def _must(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


T = TypeVar("T")


def _done(part: Component, verb: Callable[[], T], **given: object) -> T:
    """What a part makes of what it is given, which must stay as it is."""
    try:
        with lent(part, look=True, **given):
            return verb()
    except Changed as error:
        raise AssertionError(str(error)) from error


def _check_drawn(part: Component, drawn: Callable[[int], T], content: Callable[[T], object]) -> None:
    """Whether a part draws from its random numbers alone, and says whether it draws."""
    first = content(drawn(0))
    _must(content(drawn(0)) == first, "asked twice, it gave other texts; draw from rng alone")
    _must(
        part.draws() or content(drawn(1)) == first,
        "another replicate gave other texts; declare drawn = True, so that every replicate is made",
    )


def _copied(reward: Reward) -> Reward:
    """The same in arrays of its own: a part may fill those that it gave anew."""
    return Reward({name: np.array(array) for name, array in reward.arrays.items()}, reward.history, reward.facts)


def _stored(reward: Reward) -> Reward:
    """The reward as another process reads it."""
    from fairl_bench.store.artefacts import load_reward, save_reward

    with tempfile.TemporaryDirectory() as folder:
        save_reward(Path(folder), reward)
        return load_reward(Path(folder))


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
