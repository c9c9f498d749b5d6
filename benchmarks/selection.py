"""Which rule for the epoch that is kept serves all methods: ``python benchmarks/selection.py suites/detox.yaml``.

Each method is trained to its last epoch on replicates that no table shows, and every rule then chooses an epoch of the
same training by the validation pairs.  What the kept epochs are worth is measured on the test pairs and on test sets
that are drawn anew.  The numbers go to ``benchmarks/selection.json``, from which ``python docs/_fill/fill.py`` makes
the table of docs/reference/suites.md.  Ten minutes a suite on two cores; the worlds are kept in the store.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.engine.plan import Plan, WorldKeys
from fairl_bench.engine.planner import plan
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import Undefined
from fairl_bench.pairs.preferences import preferences
from fairl_bench.pairwise import PairwiseMethod, loop_form, recipe_of, run_of
from fairl_bench.pipeline import run
from fairl_bench.science.calibrated import calibrated_loss
from fairl_bench.science.classification import auc
from fairl_bench.science.failure_stack import FailureStack
from fairl_bench.science.runs import RowPairs
from fairl_bench.science.selection import Choice, Selection
from fairl_bench.science.stack import Data, Stack
from fairl_bench.science.starc import starc
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import Study, read_study
from fairl_bench.values.data import GOLD, PREFERRED
from fairl_bench.values.training import Task

FILE = Path(__file__).with_suffix(".json")
FIRST = 100  # the first replicate: tables show those from 0
SEEDS = 3
Floats = NDArray[np.float64]


class Rule(NamedTuple):
    """A rule for the kept epoch: which epochs are admissible, and which number of the validation pairs decides."""

    selection: Selection
    watched: str = "base loss"  # or "pair accuracy", "AUC" of preferred against rejected texts, "calibrated loss"


def rules(epochs: int) -> dict[str, Rule]:
    """The candidates, by name."""
    loss, patient = Selection(15), Selection(40)
    default = patient._replace(min_delta=0.004, average=3)
    return {
        "base loss": Rule(loss),
        "base loss, failure weight at most 1": Rule(loss._replace(most_weight=1.0)),
        "base loss, from epoch 16": Rule(loss._replace(start=16)),
        "pair accuracy": Rule(patient, "pair accuracy"),
        "AUC": Rule(patient, "AUC"),
        "calibrated loss": Rule(patient, "calibrated loss"),
        "calibrated loss, by 0.004": Rule(patient._replace(min_delta=0.004), "calibrated loss"),
        "calibrated loss of 3 epochs, by 0.004": Rule(default, "calibrated loss"),
        "calibrated loss of 3 epochs, by 0.004, from epoch 16": Rule(default._replace(start=16), "calibrated loss"),
        "the last epoch": Rule(Selection(start=epochs)),
    }


class Trace(NamedTuple):
    """One run, with what each of its epochs is worth."""

    weight: list[float]  # lambda_t
    watched: dict[str, list[float]]  # by what is watched; lower is better
    worth: dict[str, list[float]]  # by what is measured on the test data

    def kept(self, rule: Rule) -> int:
        """Return the epoch that a rule keeps, counted from 0."""
        choice = Choice(rule.selection)
        for epoch, loss in enumerate(self.watched[rule.watched], 1):
            choice.takes(epoch, loss, self.weight[epoch - 1])
            if choice.ended():
                break
        return (choice.kept_epoch or len(self.weight)) - 1


class Judged(NamedTuple):
    """What the epochs of a run are worth on one data set: rows of all vectors, labels and values."""

    name: str
    rows: NDArray[np.int64]
    label: NDArray[np.int8]
    value: Floats | None


def traces(study: Study, made: Plan, worker: Worker, seeds: int) -> Iterator[tuple[str, Trace]]:
    """Every run of every trained method in every world, by the method's name."""
    for world in made.worlds:
        yield from _of_world(study, made, worker, world, seeds)


def _of_world(study: Study, made: Plan, worker: Worker, world: WorldKeys, seeds: int) -> Iterator[tuple[str, Trace]]:
    vectors = {stage.inputs["examples"]: key for key, stage in made.stages.items() if stage.kind == "embeddings"}
    pairs, split = worker.load(world.pairs), worker.load(world.split)
    mine = worker.load(vectors[world.pairs])
    test = np.flatnonzero(np.isin(pairs.pair, split.rows("test")))
    every, judged = [mine.vectors], [_judged("pairs/test", mine.row[test], pairs.take(test).truths, PREFERRED)]
    if GOLD in pairs.truths:
        judged.append(_judged("pairs/test", mine.row[test], pairs.take(test).truths, GOLD))
    for name, key in world.testsets:
        if not study.suite.testsets[name].draws():  # tables show its texts
            continue
        theirs, start = worker.load(vectors[key]), sum(map(len, every))
        every.append(theirs.vectors)
        judged.append(_judged(name, theirs.row + start, worker.load(key).truths, GOLD))
    found = preferences(pairs, split, mine, leave_equal=True)
    x = np.concatenate(every)
    forms: dict[Any, list[tuple[str, PairwiseMethod, Task]]] = {}
    for method in study.suite.methods:
        if isinstance(method.part, PairwiseMethod):
            for seed in range(seeds):
                task = Task(
                    found.train, found.validation, study.suite.head, study.suite.training, world.of.replicate, seed
                )
                forms.setdefault(loop_form(method.part, task), []).append((method.name, method.part, task))
    for form, group in forms.items():
        yield from _together(group, form[0], x, judged)
        print(f"{world.of.model}, replicate {world.of.replicate}: {len(group)} runs", flush=True)


def _judged(data: str, rows: NDArray[np.int64], truths: Mapping[str, Any], truth: str) -> Judged:
    value, label = truths[truth]
    known = label != 0
    return Judged(
        f"{data} {truth}", rows[known], label[known], value[known] if np.isfinite(value[known]).all() else None
    )


def _together(
    group: Sequence[tuple[str, PairwiseMethod, Task]], epochs: int, x: NDArray[np.float32], judged: Sequence[Judged]
) -> Iterator[tuple[str, Trace]]:
    """The traces of runs of one form, trained as one stack that nothing ends early."""
    import torch

    torch.set_num_threads(1)
    task = group[0][2]
    plans = {id(method): method.failure_plan() for _, method, _ in group}
    runs = [run_of(method, one, 0, plans[id(method)]) for _, method, one in group]
    train, validation = (RowPairs(part.preferred, part.rejected) for part in (task.train, task.validation))
    told = [Trace([], {}, {}) for _ in runs]
    with torch.no_grad():
        data = Data.of(x, train, validation, task.train.gold)
        recipe = recipe_of(task, epochs)._replace(selection=Selection(None))  # nothing ends early
        stack = (Stack if runs[0].failures is None else FailureStack)(runs, data, recipe)
        needed = np.unique(np.concatenate([*validation, *(one.rows for one in judged)]))
        both = torch.from_numpy(np.stack([needed, np.full_like(needed, needed[0])]))
        for epoch in range(1, epochs + 1):
            loss, held_out = stack.epoch(epoch), stack.held_out()
            assert held_out is not None
            reward = np.full((len(stack.active), len(x)), np.nan)
            reward[:, needed] = stack.rewards(both)[0].double().numpy()
            for at, i in enumerate(stack.active):
                _note(told[i], held_out.loss[at], stack.failure_weight(at), reward[at], validation, judged)
            stack.judge(epoch, loss, held_out)
    return zip((name for name, _, _ in group), told, strict=True)


def _note(
    told: Trace, loss: float, weight: float, reward: Floats, validation: RowPairs, judged: Sequence[Judged]
) -> None:
    """Add an epoch to a trace."""
    told.weight.append(weight)
    good, bad = reward[validation.preferred], reward[validation.rejected]
    label = np.repeat(np.array([1, -1], np.int8), [len(good), len(bad)])
    right = float((good > bad).mean() + (good == bad).mean() / 2)
    watched = {
        "base loss": loss,
        "pair accuracy": -right,
        "AUC": -auc(np.concatenate([good, bad]), label),
        "calibrated loss": calibrated_loss(good - bad),
    }
    worth = {}
    for one in judged:
        if len(set(one.label.tolist())) == 2:
            worth[f"{one.name} AUC"] = auc(reward[one.rows], one.label)
        if one.value is not None and one.value.std():
            try:
                worth[f"{one.name} STARC"] = starc(reward[one.rows], one.value)
            except Undefined:
                worth[f"{one.name} STARC"] = math.nan
    for column, numbers in ((told.watched, watched), (told.worth, worth)):
        for name, number in numbers.items():
            column.setdefault(name, []).append(number)


def measured(found: Sequence[tuple[str, Trace]]) -> dict[str, Any]:
    """By rule and method: the mean kept epoch, and the mean worth of what was kept."""
    told: dict[str, Any] = {}
    epochs = max(len(trace.weight) for _, trace in found)
    for name, rule in rules(epochs).items():
        by_method: dict[str, list[dict[str, float]]] = {}
        for method, trace in found:
            at = trace.kept(rule)
            row = {"kept epoch": at + 1.0} | {what: numbers[at] for what, numbers in trace.worth.items()}
            by_method.setdefault(method, []).append(row)
        told[name] = {
            method: {what: float(np.mean([row[what] for row in rows])) for what in rows[0]}
            for method, rows in by_method.items()
        }
    return told


def main() -> None:
    """Measure the rules on one suite, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--replicates", type=int, default=6, help=f"how many, from {FIRST} on")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--store", type=Path, default=Path(os.environ.get("FAIRL_STORE", "~/.cache/fairl-bench")))
    parser.add_argument("--results", type=Path, default=Path("results/selection"))
    given = parser.parse_args()
    worlds = list(range(FIRST, FIRST + given.replicates))
    study = read_study(given.suite, [f"replicates={worlds}"])
    store = FolderStore(given.store.expanduser())
    quick = next(one.name for one in study.suite.methods if not isinstance(one.part, PairwiseMethod))
    run(study, store, given.results / study.suite.name, jobs=given.jobs, only={"method": [quick]})  # makes the worlds
    found = list(traces(study, plan(study), Worker(store, study.registry), given.seeds))
    told = json.loads(FILE.read_text()) if FILE.exists() else {}
    told[study.suite.name] = {
        "replicates": given.replicates,
        "seeds": given.seeds,
        "rules": measured(found),
    }
    FILE.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
