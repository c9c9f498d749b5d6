"""How often the interval of a recovered weight holds the planted one: ``python benchmarks/objectives.py``.

Worlds are those of the source ``synthetic-linear`` with two objectives; rewards are learnt by the methods themselves,
from the training pairs and from resamples of them, and measured on the test pairs by the evaluator ``objectives``.
The numbers go to ``benchmarks/objectives.json``, from which ``python docs/_fill/fill.py`` makes the table of
docs/how-to/objectives.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.builtin.encoders.numbers import Numbers
from fairl_bench.builtin.evaluators.objectives import Objectives
from fairl_bench.builtin.methods.mean_difference import MeanDifference
from fairl_bench.builtin.methods.pairwise import MaxEntropy, MaxMargin
from fairl_bench.builtin.sources.synthetic_linear import SyntheticLinear
from fairl_bench.kinds.method import Method
from fairl_bench.pairs.judged import judged_pairs
from fairl_bench.pairs.preferences import Parts, preferences
from fairl_bench.pairs.splits import divided
from fairl_bench.science.streams import stream
from fairl_bench.suite.suite import Split
from fairl_bench.values.data import GOLD, Embeddings, Examples, Scored
from fairl_bench.values.records import Measure
from fairl_bench.values.training import Head, Inputs, Task, Training

FILE = Path(__file__).with_suffix(".json")
PLANTED = {"a": 0.7, "b": 0.3}
SOURCE = SyntheticLinear.named("synthetic-linear", n=1000, dimension=6, temperature=0.5, weights=PLANTED)
REFITS = 20
NOISE = 0.5  # standard deviations of the true reward
DATA = "pairs/test"
Floats = NDArray[np.float64]


class Learner(NamedTuple):
    """A method with the head and the training that it is used with."""

    method: Method
    head: Head = Head(use="linear")
    training: Training = Training(lr=0.05, batch=64, epochs=15)


LEARNERS: Mapping[str, Learner] = {
    "mean-difference": Learner(MeanDifference.named("mean-difference")),
    "max-entropy, linear head": Learner(MaxEntropy.named("max-entropy")),
    "max-margin, linear head": Learner(MaxMargin.named("max-margin")),
    "max-entropy, two-layer head": Learner(
        MaxEntropy.named("max-entropy"), Head(), Training(lr=0.004, batch=64, epochs=20)
    ),
}
TRUTH = "true reward with noise"


class World(NamedTuple):
    """One world: its training pairs, and its test pairs with their vectors."""

    parts: Parts
    test: Examples
    inputs: Inputs


def world(replicate: int) -> World:
    """One draw of the source, divided as a suite divides it."""
    examples, _ = judged_pairs(SOURCE, replicate, {})
    split = divided(examples, {**Split().plain(), "replicate": replicate, "reads": ("validation", "test")})
    vectors = Numbers.named("numbers").encode(examples.text, ())
    parts = preferences(examples, split, Embeddings(vectors, np.arange(len(examples))), leave_equal=True)
    rows = np.flatnonzero(np.isin(examples.pair, split.rows("test")))
    return World(parts, examples.take(rows), Inputs(tuple(examples.text[i] for i in rows), vectors[rows]))


def learnt(learner: Learner, one: World, replicate: int, refits: int) -> tuple[Floats, Floats]:
    """The rewards of the test texts ``[n]``, and those of trainings on resampled pairs ``[refits, n]``."""
    trains = [one.parts.train, *(one.parts.resampled(stream("refits", replicate, i)) for i in range(refits))]
    rewards = []
    for train in trains:
        task = Task(train, one.parts.validation, learner.head, learner.training, replicate)
        rewards.append(learner.method.score(learner.method.fit(task), one.inputs))
    return rewards[0], np.array(rewards[1:]).reshape(refits, -1)


def noisy(one: World, replicate: int) -> tuple[Floats, Floats]:
    """The true reward of the test texts with noise, and no other training."""
    true = one.test.truths[GOLD].value
    return true + NOISE * true.std() * stream("noise", replicate).normal(size=len(true)), np.empty((0, len(true)))


class Found(NamedTuple):
    """The recovered weight of one objective in one world, and the half of its interval."""

    value: float
    low: float
    high: float


def found(reward: Floats, refits: Floats, one: World) -> dict[str, Found]:
    """What the evaluator says of each objective."""
    evaluator = Objectives.named("objectives", data=(DATA,), planted=PLANTED)
    measures = [*evaluator.evaluate({DATA: Scored(one.test, reward)}, refits={DATA: refits})]
    values = {(each.truth, each.metric): each.value for each in measures if isinstance(each, Measure)}
    ends = ("weight", "weight_low", "weight_high")
    return {name: Found(*(values[f"gold:{name}", end] for end in ends)) for name in PLANTED}


Told = dict[tuple[str, str], dict[str, Found]]
"""By reward and kind of interval, what is found of each objective."""


def told_of(replicate: int, learners: Sequence[str]) -> Told:
    """What every reward and every kind of interval says in one world."""
    one = world(replicate)
    told: Told = {(TRUTH, "prompts"): found(*noisy(one, replicate), one)}
    for name in learners:
        reward, refits = learnt(LEARNERS[name], one, replicate, REFITS)
        told[name, "prompts"] = found(reward, np.empty((0, len(reward))), one)
        told[name, "prompts and training pairs"] = found(reward, refits, one)
    return told


def measured(worlds: int, learners: Sequence[str], workers: int, shown: Callable[[str], None]) -> dict[str, Any]:
    """A row for each reward and kind of interval: how often it holds the planted weight, its width and its mean."""
    every: list[Told] = []
    with ProcessPoolExecutor(workers) as pool:
        for one in pool.map(told_of, range(worlds), [learners] * worlds):
            every.append(one)
            if len(every) % 10 == 0:
                shown(f"{len(every)} of {worlds} worlds")
    rows = [_row(*place, [told[place] for told in every]) for place in every[0]]
    return {"worlds": worlds, "planted": PLANTED, "rows": rows}


def _row(reward: str, interval: str, every: Sequence[dict[str, Found]]) -> dict[str, object]:
    row: dict[str, object] = {"reward": reward, "interval": interval}
    for name, planted in PLANTED.items():
        table = np.array([each[name] for each in every])  # [worlds, 3]
        inside = (table[:, 1] <= planted) & (planted <= table[:, 2])
        row[name] = {
            "inside": int(inside.sum()),
            "width": float((table[:, 2] - table[:, 1]).mean()),
            "mean": float(table[:, 0].mean()),
            "sd": float(table[:, 0].std(ddof=1)),
        }
    return row


def main() -> None:
    """Measure, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    given = parser.parse_args()
    told = measured(given.worlds, given.learners, given.workers, lambda line: print(line, flush=True))
    FILE.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told["rows"], indent=1))


if __name__ == "__main__":
    main()
