"""How often the leaderboard and the claims are right, where the truth is known: ``python benchmarks/calibration.py``.

Everything goes through `fairl_bench.results.paired.compared`, which writes Table 1's comparisons, and through
`fairl_bench.results.claims.judge`.  It takes half an hour on two cores; the numbers go to
``benchmarks/calibration.json``, from which ``python docs/_fill/fill.py`` makes the tables of
docs/explanation/statistics.md.
``--deals RESULTS`` takes one method of a results folder instead and deals its seeds out under many names.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fairl_bench.results import claims
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.paired import compared
from fairl_bench.results.results import read_results
from fairl_bench.science.ranks import holm
from fairl_bench.values.comparison import ALPHA, Comparison, Question
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Sheet, Values
from fairl_bench.values.verdicts import Claim

FILE = Path(__file__).with_suffix(".json")
WORLD_SD = 2.0  # of what raises or lowers all methods of a block; the interaction's sd is the unit
GAP = 3.0
REPLICATES = {
    "1 × 5 seeds": 0,
    "2 replicates": 2,
    "3 replicates": 3,
    "5 replicates": 5,
    "6 replicates": 6,
    "10 replicates": 10,
}
PARTS = ("alarms", "power", "claims")
EXAMPLES = 200  # whose noise the five seeds of one replicate share
Floats = NDArray[np.float64]


class Profile(NamedTuple):
    """How methods differ: the standard deviation of each one's interaction with blocks, and its true mean."""

    sd: list[float]
    mean: list[float]

    def null(self, pair: tuple[int, int]) -> bool:
        """Whether two methods are truly equal."""
        return self.mean[pair[0]] == self.mean[pair[1]]


def profiles(k: int) -> dict[str, Profile]:
    """The profiles of ``k`` methods, by name."""
    half, equal = k // 2, [0.0] * k
    mixed = [GAP * math.sqrt(2)] * (k // 3) + [0.0] * (k - k // 3)
    return {
        "equal variances": Profile([1.0] * k, equal),
        "half at twice the sd": Profile([2.0] * half + [1.0] * (k - half), equal),
        "near-clones beside two noisy ones": Profile([1.0, 3.0] + [0.3] * (k - 2), equal),
        "a third better, half at twice the sd": Profile([2.0] * half + [1.0] * (k - half), mixed),
        "one at four times the sd": Profile([4.0] + [1.0] * (k - 1), equal),
    }


def drawn(rng: np.random.Generator, profile: Profile, blocks: int) -> Floats:
    """``values [methods, blocks]``: the truth, what a block does to all, and the interaction."""
    k = len(profile.sd)
    interaction = rng.normal(size=(k, blocks)) * np.array(profile.sd)[:, None]
    return np.array(profile.mean)[:, None] + WORLD_SD * rng.normal(size=blocks) + interaction


# --- as the leaderboard compares


def compare(values: Floats) -> list[Comparison]:
    """Return what Table 1 rests on for ``values [methods, replicates]``."""
    examples = Examples(tuple("ab"))
    runs = [Run("e", "mlp", f"m{method}", "", None) for method in range(len(values))]
    sheets = [
        Sheet("s", "toy", world, "web", examples, dict.fromkeys(runs, np.zeros(2))) for world in range(values.shape[1])
    ]
    told = {
        (("toy", "e", run.method, "", world, None, "web", "gold"), "number"): float(value)
        for run, row in zip(runs, values, strict=True)
        for world, value in enumerate(row)
    }
    return compared(sheets, Values(told), [Question("web", "gold", ("number",))], built_in_metrics())


def on_examples(rng: np.random.Generator, profile: Profile) -> list[Comparison]:
    """Five seeds of one replicate, judged by accuracy on the same examples: their noise is a part of the error.

    An interaction of 1 is two points of accuracy; the noise of 200 examples is 2.8.
    """
    values = drawn(rng, profile, 5)
    difficulty, label = rng.normal(size=EXAMPLES), np.where(np.arange(EXAMPLES) % 2, 1, -1).astype(np.int8)
    latent = 0.85 + 0.08 * values[:, :, None] + difficulty + 0.7 * rng.normal(size=(*values.shape, EXAMPLES))
    reward = np.where(latent > 0, label, -label).astype(np.float64)

    examples = Examples(tuple(map(str, range(EXAMPLES))), truths={"gold": Truth(label.astype(float), label)})
    rewards, told = {}, dict[Any, float]()
    for method, seed in itertools.product(range(len(profile.sd)), range(5)):
        run = Run("e", "mlp", f"m{method}", "", seed)
        rewards[run] = reward[method, seed]
        place = ("toy", "e", run.method, "", 0, seed, "web", "gold")
        told |= {(place, "accuracy"): float((latent[method, seed] > 0).mean()), (place, "threshold"): 0.0}
    sheet = Sheet("s", "toy", 0, "web", examples, rewards)
    return compared([sheet], Values(told), [Question("web", "gold", ("accuracy",))], built_in_metrics(), 200)


def differ(rows: Sequence[Comparison]) -> list[bool]:
    """Whether each two methods are shown to differ, in the order of `itertools.combinations`."""
    return [row.p_holm <= ALPHA for row in rows if row.other]


class Cell(NamedTuple):
    """A cell of the grid."""

    methods: int
    blocks: str
    profile: str


def alarms(cell: Cell, repeats: int, seed: int) -> int:
    """Return in how many repeats two methods that are truly equal are shown to differ."""
    rng, profile = np.random.default_rng([seed, *cell[1].encode()]), profiles(cell.methods)[cell.profile]
    pairs = list(itertools.combinations(range(cell.methods), 2))
    found = 0
    for _ in range(repeats):
        replicates = REPLICATES[cell.blocks]
        rows = compare(drawn(rng, profile, replicates)) if replicates else on_examples(rng, profile)
        found += any(shown for shown, pair in zip(differ(rows), pairs, strict=True) if profile.null(pair))
    return found


def power(methods: int, blocks: int, gap: float, repeats: int, seed: int) -> tuple[int, int, int]:
    """Return the share of one method's differences from the others that is found: by ours, and by a plain t a pair."""
    rng, found = np.random.default_rng([seed, methods, blocks]), [0, 0]
    profile = Profile([1.0] * methods, [gap] + [0.0] * (methods - 1))
    for _ in range(repeats):
        values = drawn(rng, profile, blocks)
        plain = [stats.ttest_rel(one, other).pvalue for one, other in itertools.combinations(values, 2)]
        for at, shown in enumerate((differ(compare(values)), [p <= ALPHA for p in holm(plain)])):
            found[at] += sum(shown[: methods - 1])
    return found[0], found[1], repeats * (methods - 1)


# --- claims

CLAIMS, DEALS = 16, 200


def false_claims(blocks: int, repeats: int, seed: int) -> int:
    """Return in how many repeats one of 16 claims, each true exactly at its bound, is supported or refuted."""
    rng, count = np.random.default_rng([seed, blocks]), 0
    profile = Profile([1.0] * 6, [5.0] + [0.0] * 5)
    asked = [
        Claim(id=f"c{i}", better="m0", than="m1", metric="margin_snr", data=f"d{i}", by_at_least=5.0)
        for i in range(CLAIMS)
    ]
    place = Coordinates.of(World("toy", 0), Run("e", "mlp", "m0", "", None), "d0", "gold")
    one = Record.at(place, "s", "margin_snr", 0.0, 2)
    for _ in range(repeats):
        known = [
            Comparison(**{**vars(row), "data": f"d{i}", "metric": "margin_snr"})
            for i in range(CLAIMS)
            for row in compare(drawn(rng, profile, blocks))
        ]
        verdicts = claims.judge(asked, lambda _: [], [one], known, built_in_metrics())
        count += any(one.verdict != "inconclusive" for one in verdicts)
    return count


# --- deals


def deals(folder: Path, names: int = 11, each: int = 3, count: int = DEALS) -> dict[str, int]:
    """By column of Table 1, in how many of 200 deals two names of one method are shown to differ.

    The folder holds many seeds of one method in every replicate; each name is dealt ``each`` of them in each.
    """
    rows = [row for row in read_results(folder).single_records if row.slice == "all"]
    columns = {(row.data, row.truth, row.metric) for row in rows if row.metric in ("accuracy", "f1", "auc", "starc")}
    found = {}
    for data, truth, metric in sorted(columns):
        if truth != "gold" or data == "pairs/train":
            continue
        worlds: dict[int, list[float]] = {}
        for row in rows:
            if (row.data, row.truth, row.metric) == (data, truth, metric):
                worlds.setdefault(row.replicate, []).append(row.value)
        rng, alarmed = np.random.default_rng(0), 0
        for _ in range(count):
            values = [rng.permutation(pool)[: names * each].reshape(names, each).mean(1) for pool in worlds.values()]
            alarmed += any(differ(compare(np.array(values).T)))
        found[f"{data} {metric}"] = alarmed
    return found


# --- all of it


def grid() -> Iterator[Cell]:
    """Return every cell of the grid."""
    for methods, blocks in itertools.product((6, 11), REPLICATES):
        yield from (Cell(methods, blocks, profile) for profile in profiles(methods))


def measured(parts: Collection[str], repeats: int, workers: int) -> Mapping[str, Any]:
    """The wanted parts of the calibration as plain data."""
    told: dict[str, Any] = {"repeats": repeats}
    with ProcessPoolExecutor(workers) as pool:
        if "alarms" in parts:
            cells, told["alarms"] = list(grid()), []
            found = pool.map(alarms, cells, [repeats] * len(cells), [0] * len(cells))
            for cell, count in zip(cells, found, strict=True):
                told["alarms"].append({**cell._asdict(), "rate": count / repeats})
                print(*cell, count / repeats, flush=True)
        if "power" in parts:
            sizes = [(k, blocks, gap) for k in (6, 11) for blocks in (5, 6, 10) for gap in (2.0, GAP)]
            less, told["power"] = max(repeats // 5, 1), []
            answers = pool.map(power, *zip(*sizes, strict=True), [less] * len(sizes), [1] * len(sizes))
            for size, (ours, plain, n) in zip(sizes, answers, strict=True):
                row = dict(zip(("methods", "replicates", "gap"), size, strict=True), ours=ours / n, plain=plain / n)
                told["power"].append(row)
                print(row, flush=True)
        if "claims" in parts:
            blocks, told["claims"] = [2, 3, 5, 6, 10], []
            counts = pool.map(false_claims, blocks, [repeats] * len(blocks), [2] * len(blocks))
            for replicates, count in zip(blocks, counts, strict=True):
                told["claims"].append({"replicates": replicates, "rate": count / repeats})
                print(told["claims"][-1], flush=True)
    return told


def main() -> None:
    """Measure, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5000, help="of each cell of the grid")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; the rest is kept")
    parser.add_argument("--deals", type=Path, metavar="RESULTS", help="a folder with 40 seeds or more of one method")
    given = parser.parse_args()
    told = json.loads(FILE.read_text()) if FILE.exists() else {}
    if given.deals:
        told["deals"] = {"deals": DEALS, "columns": deals(given.deals)}
        print(told["deals"])
    else:
        told |= measured(given.parts, given.repeats, given.workers)
    FILE.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
