"""How often an attribution is right, where the truth is known: ``python benchmarks/attribution.py``.

Rewards of a known make-up on made-up concepts (are the shares inside their bounds, what is named, what would have
been), and rewards recovered from pairs whose sides are exchanged at random, where everything that is named is an alarm.
The numbers go to ``benchmarks/attribution.json``, from which ``python docs/_fill/fill.py`` makes the tables of
docs/reference/concepts.md.  It takes about twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import Prompts
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import TestSet
from fairl_bench.science.concepts import Attribution, attribution
from fairl_bench.science.subsets import gains
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import Examples
from fairl_bench.values.training import Inputs, Preferences, Stop, Task, Training

FILE = Path(__file__).with_suffix(".json")
PARTS = ("bounds", "detectable", "nulls")
PROMPTS = (200, 500, 1000)
R2 = (0.2, 0.5, 0.9)
Floats = NDArray[np.float64]


# --- concepts of a known make-up


def in_texts(rng: np.random.Generator, share: float, n: int) -> Floats:
    """A rate per word that this share of texts has at all, and short texts have much of ``[n]``."""
    found: Floats = (rng.random(n) < share) * rng.lognormal(sigma=0.75, size=n)
    return found


def concepts(rng: np.random.Generator, prompts: int) -> Floats:
    """Eight concepts of two texts a prompt ``[2 prompts, 8]``, each of about unit spread within prompts.

    Three are in every text, the second of them going along with a rate that is in 10 % of the texts; there are rates
    in 30 %, 10 %, 10 % and 3 %, and a yes or no in 20 %.
    """
    n = 2 * prompts
    often, some, other, few = (in_texts(rng, share, n) for share in (0.3, 0.1, 0.1, 0.03))
    length, tone, plain = rng.normal(size=(3, n))
    columns = [length, 0.8 * tone + 1.2 * (some > 0), plain, often, some, other, few, rng.random(n) < 0.2]
    spread = [math.sqrt(variance) for variance in VARIANCES]
    found: Floats = np.stack(columns, 1) / spread
    return found


def _rate_variance(share: float, sigma: float = 0.75) -> float:
    return share * math.exp(2 * sigma**2) - share**2 * math.exp(sigma**2)


VARIANCES = (
    *(1.0, 0.64 + 1.44 * 0.09, 1.0),
    *(_rate_variance(share) for share in (0.3, 0.1, 0.1, 0.03)),
    0.16,
)
REWARDED: Mapping[str, Sequence[float]] = {
    "one in all texts, one in 10 %": (0.7, 0, 0, 0, -0.7, 0, 0, 0),
    "one in 10 %": (0, 0, 0, 0, -1, 0, 0, 0),
    "one in 30 %, and a yes or no": (0, 0, 0, 0.7, 0, 0, 0, 0.7),
}


class World(NamedTuple):
    """Rewards of one make-up."""

    rewarded: str
    prompts: int
    explained: float  # share of the reward's variance

    def drawn(self, rng: np.random.Generator, prompts: int) -> tuple[Floats, Floats]:
        """Concepts and rewards of this many prompts."""
        table, weight = concepts(rng, prompts), np.array(REWARDED[self.rewarded])
        variance = float(weight @ np.cov(table.T) @ weight)
        noise = math.sqrt(variance * (1 - self.explained) / self.explained)
        return table, table @ weight + noise * rng.normal(size=len(table))

    def shares(self) -> Floats:
        """The shares that are true, of many prompts ``[concepts]``."""
        table, reward = self.drawn(np.random.default_rng(0), 200_000)
        gap = np.column_stack([table, reward])[::2] - np.column_stack([table, reward])[1::2]
        products = (gap.T @ gap)[None]
        alone = [[column] for column in range(table.shape[1])]
        found: Floats = gains(products, products, alone).mean[0] / products[0, -1, -1]
        return found


def attributed(table: Floats, reward: Floats, rng: np.random.Generator, resamples: int = 400) -> Attribution:
    """The attribution of a reward to the columns of a table, two texts a prompt."""
    n = len(reward) // 2
    values = {f"concept {i}": column for i, column in enumerate(table.T)}
    first = np.where(reward[::2] > reward[1::2], 1, -1)
    role = np.stack([first, -first], 1).ravel().astype(np.int8)
    return attribution(reward, values, np.repeat(np.arange(n), 2), role, rng, resamples=resamples)


def bounds(world: World, repeats: int, seed: int) -> dict[str, float]:
    """How often the true numbers are inside their bounds, how wide these are, and which verdicts are right."""
    rng, true = np.random.default_rng([seed, world.prompts, int(100 * world.explained)]), world.shares()
    counted: dict[str, list[float]] = {}
    for _ in range(repeats):
        found = attributed(*world.drawn(rng, world.prompts), rng)
        rows = [
            (share, one) for share, one in zip(true, found.concepts.values(), strict=True) if one.verdict is not None
        ]
        real = [one for share, one in rows if share >= 0.05]
        least = [one.verdict for share, one in rows if share < 0.05]
        verdicts = [one.verdict for one in real]
        told = {
            "all shares": float(all(one.share.low <= share <= one.share.high for share, one in rows)),
            "unexplained": float(found.unexplained.low <= 1 - true.sum() <= found.unexplained.high),
            "named": verdicts.count("named") / int((true >= 0.05).sum()),
            "wrongly named": float("named" in least),
            "wrongly ruled out": float("ruled out" in verdicts),
            "ruled out": least.count("ruled out") / max(len(least), 1),
        }
        for name, number in told.items():
            counted.setdefault(name, []).append(number)
        counted.setdefault("width", []).extend(one.share.high - one.share.low for one in real)
    return {name: float(np.mean(each)) for name, each in counted.items()}


# --- what would have been named


class Planted(NamedTuple):
    """A concept that a share of texts has, beside eleven others in all texts, of which one is rewarded too."""

    prompts: int
    in_texts: float

    def found(self, rng: np.random.Generator, share: float) -> tuple[float, bool]:
        """The share that could have been named, and whether this one was."""
        n = 2 * self.prompts
        table = rng.normal(size=(n, 12))
        if self.in_texts < 1:
            table[:, 0] = in_texts(rng, self.in_texts, n) / math.sqrt(_rate_variance(self.in_texts))
        rest = (table[:, 1] + rng.normal(size=n)) / math.sqrt(2)
        one = attributed(table, math.sqrt(share / (1 - share)) * table[:, 0] + rest, rng, 300).concepts["concept 0"]
        return one.detectable, one.verdict == "named"


def detectable(planted: Planted, repeats: int, seed: int) -> dict[str, float | None]:
    """The share that is said to be named four times in five, and how often a concept with that share is."""
    rng = np.random.default_rng([seed, planted.prompts, int(100 * planted.in_texts)])
    share = float(np.nanmedian([planted.found(rng, 0.15)[0] for _ in range(max(repeats // 5, 10))]))
    if share == 1:  # not even the whole reward would be
        return {"share": None, "named": None}
    return {"share": share, "named": float(np.mean([planted.found(rng, share)[1] for _ in range(repeats)]))}


# --- nulls


ASKED = {
    name.replace("toxicity-words", "toxic-words"): {"use": name}
    for name in (
        *(
            "words",
            "toxicity-words",
            "profanity",
            "sentiment",
            "praise",
            "flattery",
            "politeness",
            "apology",
            "hedging",
        ),
        *("first-person", "second-person", "questions", "exclamations", "digits", "repetition", "reading-grade"),
    )
}
METHODS = {"mean-difference": {"use": "mean-difference"}, "max-entropy": {"use": "max-entropy"}}
NULLS, EACH, PAIRS = 200, 4, 500  # worlds; completions of a prompt; pairs of a world, three tenths of them for training


class Pool(NamedTuple):
    """Completions of a base model, ``EACH`` of every prompt in a row: vectors and concepts."""

    texts: tuple[str, ...]
    vectors: NDArray[np.float32]
    concepts: Mapping[str, Floats]


def base_completions(prompts: int) -> Pool:
    """Completions of a language model that is trained on comments of the synthetic world, as in suites/detox.yaml."""
    from fairl_bench.builtin.lms.tiny import TinyLM
    from fairl_bench.science.generation import complete
    from fairl_bench.values.language_models import Site

    registry, rng = Registry(installed=False), np.random.default_rng(0)
    corpus = registry.build(TestSet, {"use": "toy-comments", "n": 6000, "shift": 0.0})
    asked = registry.build(Prompts, {"use": "toy-prompts", "stances": ["hostile", "neutral"]}).texts(prompts, rng)
    encoder = registry.build(Encoder, {"use": "sentence-transformer", "model": "all-MiniLM-L6-v2"})
    with TemporaryDirectory() as folder, TemporaryDirectory() as scratch:
        shape = {"layers": 2, "width": 128, "vocab": 1024, "steps": 280, "batch": 12, "lr": 6.0e-3}
        lm = TinyLM.named("tiny-lm", corpus=corpus, **shape).make(Site(Path(folder), Path(scratch))).folder
        rows = [prompt for prompt in asked for _ in range(EACH)]
        texts = tuple(complete(lm, rows, rng.random((len(rows), 24))).text)
    said = {name: registry.build(Judge, spec).judge(Examples(texts))["gold"].value for name, spec in ASKED.items()}
    return Pool(texts, encoder.encode(texts, ()), said)


def null(pool: Pool, method: str, seed: int) -> tuple[bool, bool, float]:
    """Whether two sides that do not differ are told apart, whether a concept is named, and the pair accuracy."""
    rng = np.random.default_rng([seed, 7])
    prompts = rng.permutation(len(pool.texts) // EACH)[:PAIRS]
    draws = rng.permuted(np.tile(np.arange(EACH), (PAIRS, 1)), axis=1)[:, :2]
    rows = prompts[:, None] * EACH + draws  # [pairs, 2]: the preferred text and the rejected one, at random
    train, validation, test = np.split(rows, [int(0.3 * PAIRS), int(0.4 * PAIRS)])
    part = Registry(installed=False).build(Method, METHODS[method])
    training = Training(epochs=40, stop=Stop(patience=40))
    pairs = [Preferences(pool.vectors, *half.T, pool.texts) for half in (train, validation)]
    reward = part.fit(Task(*pairs, training=training, seed=seed))
    score = part.score(reward, Inputs(tuple(pool.texts[i] for i in test.ravel()), pool.vectors[test.ravel()]))
    gap = score[::2] - score[1::2]
    accuracy = float(np.mean((gap > 0) + (gap == 0) / 2))
    role = np.tile(np.array([1, -1], np.int8), len(test))
    values = {name: value[test.ravel()] for name, value in pool.concepts.items()}
    found = attribution(score, values, np.repeat(np.arange(len(test)), 2), role, rng, resamples=500)
    apart = abs(accuracy - 0.5) > 1.96 * 0.5 / math.sqrt(len(test))
    return apart, any(one.verdict == "named" for one in found.concepts.values()), accuracy


def nulls(pool: Pool, method: str, seeds: Sequence[int]) -> dict[str, int]:
    """In how many worlds two sides that do not differ are told apart, a concept is named, and both: an alarm."""
    found = [null(pool, method, seed) for seed in seeds]
    return {
        "worlds": len(found),
        "told apart": sum(apart for apart, _, _ in found),
        "named": sum(named for _, named, _ in found),
        "alarms": sum(apart and named for apart, named, _ in found),
    }


# --- all of it


def measured(parts: Collection[str], repeats: int, workers: int) -> Iterator[tuple[str, list[Any]]]:
    """The wanted parts, one after the other, as plain data."""
    with ProcessPoolExecutor(workers) as pool:
        if "bounds" in parts:
            worlds = [World(*each) for each in itertools.product(REWARDED, PROMPTS, R2)]
            found = pool.map(bounds, worlds, [repeats] * len(worlds), [0] * len(worlds))
            yield "bounds", [{**world._asdict(), **told} for world, told in zip(worlds, found, strict=True)]
        if "detectable" in parts:
            planted = [Planted(*each) for each in itertools.product(PROMPTS, (1.0, 0.3, 0.1, 0.03))]
            shares = pool.map(detectable, planted, [repeats] * len(planted), [0] * len(planted))
            yield "detectable", [{**one._asdict(), **told} for one, told in zip(planted, shares, strict=True)]
        if "nulls" in parts:
            completions, each = base_completions(800), np.array_split(np.arange(NULLS), 8)
            rows = []
            for method in METHODS:
                counts = list(pool.map(nulls, [completions] * 8, [method] * 8, [part.tolist() for part in each]))
                rows.append({"method": method, **{name: sum(one[name] for one in counts) for name in counts[0]}})
            yield "nulls", rows


def main() -> None:
    """Measure, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=200, help="of each simulated world")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; the rest is kept")
    given = parser.parse_args()
    told = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name, rows in measured(given.parts, given.repeats, given.workers):
        told |= {name: rows, "repeats": given.repeats}
        FILE.write_text(json.dumps(told, indent=1) + "\n")
        for row in rows:
            print(row, flush=True)


if __name__ == "__main__":
    main()
