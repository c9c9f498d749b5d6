"""Failure slices: which pairs they hold, and that every evaluator tells of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from fairl_bench.engine.finished_work import SELECTED
from fairl_bench.engine.slices import discordant, evaluate_slices, slices_of
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.metrics import Metric
from fairl_bench.pipeline import Finished
from fairl_bench.values.data import GOLD, Pairs, Scored, Truth
from fairl_bench.values.records import Measure

Run = Callable[..., Finished]


def scored(margins: list[float]) -> Scored:
    """Pairs whose margins are as given."""
    n = len(margins)
    examples = Pairs(tuple(f"a{i}" for i in range(n)), tuple(f"b{i}" for i in range(n))).examples()
    return Scored(examples, np.array([half for margin in margins for half in (margin / 2, -margin / 2)]))


def pairs(found: Scored) -> list[int]:
    return sorted(set(found.examples.pair.tolist()))


MARGINS = [0.5, -2.0, 0.0, 3.0, -0.1, 0.2, 1.0, 1.5, 2.0, 2.5]


def test_a_misranked_pair_has_no_positive_margin() -> None:
    found = slices_of(scored(MARGINS), scored(MARGINS).reward, 0.1)
    assert pairs(found["misranked"]) == [1, 2, 4]


@pytest.mark.parametrize(("share", "expected"), [(0.1, [2]), (0.3, [2, 4, 5]), (0.01, [2])])
def test_near_ties_are_the_share_with_the_smallest_margin_and_at_least_one(share: float, expected: list[int]) -> None:
    assert pairs(slices_of(scored(MARGINS), scored(MARGINS).reward, share)["near-tie"]) == expected


def test_the_baselines_margins_choose_and_the_runs_own_rewards_are_kept() -> None:
    other = scored([-margin for margin in MARGINS])
    found = slices_of(other, scored(MARGINS).reward, 0.1)["misranked"]
    assert pairs(found) == [1, 2, 4]
    assert found.margins().tolist() == [2.0, 0.0, 0.1]


def test_a_slice_without_a_pair_is_left_out() -> None:
    assert set(slices_of(scored([1.0, 2.0]), scored([1.0, 2.0]).reward, 0.5)) == {"near-tie"}


class Count(Evaluator):
    """Counts the examples of its data, and of what it reads besides."""

    metrics = (Metric("seen"), Metric("besides"), Metric("own"))

    besides: str = "pairs/train"

    def needs(self) -> frozenset[str]:
        return frozenset({*self.data, self.besides})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        for name in self.data:
            yield Measure(name, "", "seen", len(scored[name].reward), 1)
            yield Measure(name, "", "besides", len(scored[self.besides].reward), 1)
            yield Measure(name, "", "own", 0.0, 1, slice="long")


def test_an_evaluator_tells_of_slices_without_knowing_of_them_and_reads_the_rest_whole() -> None:
    whole = {"pairs/train": scored(MARGINS)}
    cut = {"pairs/train": slices_of(whole["pairs/train"], whole["pairs/train"].reward, 0.1)}
    found = list(evaluate_slices(Count(data=("pairs/train",)), whole, cut))
    assert [(m.data, m.slice, m.metric, m.value) for m in found] == [
        ("pairs/train", "misranked", "seen", 6.0),
        ("pairs/train", "misranked", "besides", 20.0),
        ("pairs/train", "near-tie", "seen", 2.0),
        ("pairs/train", "near-tie", "besides", 20.0),
    ]


def test_without_a_slice_nothing_is_evaluated() -> None:
    assert list(evaluate_slices(Count(data=("pairs/train",)), {}, {"pairs/train": {}})) == []


# --- pairs whose labels differ


def judged(labels: list[tuple[int, int]]) -> Scored:
    """Pairs with these labels of their two texts."""
    bare = scored([float(at) for at in range(len(labels))])
    label = np.array(labels, np.int8).ravel()
    gold = Truth(np.where(label == 0, np.nan, label).astype(float), label)
    return Scored(bare.examples.knowing({GOLD: gold}), bare.reward)


class Margins(Evaluator):
    """Sums the margins of its data, against a truth that it names."""

    metrics = (Metric("sum"), Metric("count"))

    def measured(self) -> frozenset[str]:
        return frozenset({GOLD})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        for name in self.data:
            yield Measure(name, GOLD, "sum", float(scored[name].margins().sum()), len(scored[name].reward))
            yield Measure(name, GOLD, "count", float(len(scored[name].margins())), 1)


def of_discordant(labels: Scored) -> list[Measure]:
    return list(discordant(Margins(data=("pairs/test",)), {"pairs/test": labels}, ["pairs/test"]))


def test_a_pair_is_discordant_where_both_labels_are_known_and_differ() -> None:
    labels = judged([(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (1, 0)])
    assert labels.examples.discordant().tolist() == [2, 3, 4, 5]
    found = {one.metric: one for one in of_discordant(labels)}
    assert (found["count"].value, found["sum"].value, found["sum"].slice) == (2.0, 1.0 + 2.0, "discordant")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (scored([1.0, 2.0]), "no label of the truth 'gold' is known, so that no pair is discordant"),
        (judged([(0, 0)]), "no label of the truth 'gold' is known, so that no pair is discordant"),
        (judged([(1, 1), (-1, -1), (0, 1)]), "the 'gold' labels differ in none of 3 pairs"),
    ],
)
def test_without_a_discordant_pair_every_number_says_why_there_is_none(labels: Scored, reason: str) -> None:
    found = of_discordant(labels)
    assert [(one.metric, one.truth, one.n, one.slice, one.note) for one in found] == [
        (metric, GOLD, 0, "discordant", reason) for metric in ("sum", "count")
    ]
    assert all(math.isnan(one.value) for one in found)


# --- in a run


@pytest.fixture
def sliced(run_suite: Run, tiny: dict[str, Any]) -> Finished:
    tiny["slices"] = {"baseline": "max-entropy", "near_tie": 0.25}
    return run_suite(tiny)


def test_records_have_every_metric_of_each_slice_seed_by_seed(sliced: Finished) -> None:
    cut = [row for row in sliced.records if row.slice != "all"]
    names = {"misranked:max-entropy", "near-tie:max-entropy"}
    assert {row.slice for row in cut} == names
    assert {row.data for row in cut} == {"pairs/test"}  # a test set holds no pairs
    # a method that draws nothing has a number for each of the baseline's seeds
    assert {(row.method, row.seed) for row in cut} == {
        (method, seed) for method in ("max-margin", "max-entropy", "mean-difference", "length") for seed in (0, 1)
    }
    whole = {row.metric for row in sliced.records if row.slice == "all" and not row.other} - set(SELECTED)
    for name in names:
        assert {row.metric for row in cut if row.slice == name} == whole


def test_the_threshold_of_a_slice_is_that_of_all_training_texts(sliced: Finished) -> None:
    found: dict[tuple[str, int | None], set[float]] = {}
    for row in sliced.records:
        if row.metric == "threshold" and row.data == "pairs/test" and row.method == "max-entropy":
            found.setdefault((row.method, row.seed), set()).add(row.value)
    assert len(found) == 2
    assert all(len(values) == 1 for values in found.values())


def test_a_near_tie_slice_holds_its_share_of_the_pairs(sliced: Finished) -> None:
    n = {row.slice: row.n for row in sliced.records if (row.metric, row.method, row.seed) == ("auc", "length", 0)}
    whole = next(
        row.n for row in sliced.records if (row.metric, row.method, row.data) == ("auc", "length", "pairs/test")
    )
    assert n["near-tie:max-entropy"] == 2 * round(0.25 * whole / 2)


def test_the_table_of_slices_is_printed_and_saved(sliced: Finished) -> None:
    assert [table.title for table in sliced.tables] == ["Table 1", "Slices", "Ambiguity"]
    assert (sliced.folder / "tables" / "slices.md").exists()


def test_slices_change_no_other_key(run_suite: Run, tiny: dict[str, Any]) -> None:
    before = run_suite(tiny)
    tiny["slices"] = {"baseline": "max-entropy", "near_tie": 0.25}
    after = run_suite(tiny)
    assert set(before.plan.stages) < set(after.plan.stages)
    assert len(after.outcome.done) == 2 * (2 + 2 + 2 + 2)  # two evaluators by method and seed of the baseline
    tiny["slices"]["near_tie"] = 0.5
    again = run_suite(tiny)
    assert len(again.outcome.done) == len(after.outcome.done)


def test_discordant_pairs_need_no_baseline_and_are_measured_once_a_run(run_suite: Run, tiny: dict[str, Any]) -> None:
    before = run_suite(tiny)
    tiny["slices"] = {"discordant": True}
    after = run_suite(tiny)
    assert set(before.plan.stages) < set(after.plan.stages)
    assert len(after.outcome.done) == 2 * (2 + 2 + 1 + 1)  # two evaluators by method and its own seeds
    cut = [row for row in after.records if row.slice != "all"]
    assert {row.slice for row in cut} == {"discordant"}
    assert {row.data for row in cut} == {"pairs/test"}
    assert {(row.method, row.seed) for row in cut if row.method == "length"} == {("length", None)}
    whole = {row.metric for row in after.records if row.slice == "all" and not row.other} - set(SELECTED)
    assert {row.metric for row in cut} == whole


def test_the_table_of_slices_holds_discordant_pairs_beside_the_failures(run_suite: Run, tiny: dict[str, Any]) -> None:
    tiny["slices"] = {"baseline": "max-entropy", "discordant": True}
    (table,) = (one for one in run_suite(tiny).tables if one.name == "slices")
    assert list(dict.fromkeys(head[0] for head in table.heads[1:])) == [
        *("pairs/test discordant", "pairs/test misranked:max-entropy", "pairs/test near-tie:max-entropy"),
    ]
