"""The evaluator of recovered weights, the trainings that it asks for, and its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from fairl_bench.builtin.encoders.numbers import Numbers
from fairl_bench.builtin.evaluators.objectives import Objectives
from fairl_bench.builtin.methods.mean_difference import MeanDifference
from fairl_bench.builtin.sources.synthetic_linear import SyntheticLinear
from fairl_bench.engine.planner import plan
from fairl_bench.engine.stages.rewards import RESAMPLE
from fairl_bench.errors import DataError
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.pairs.preferences import preferences
from fairl_bench.pipeline import Finished
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_evaluator
from fairl_bench.values.data import GOLD, Embeddings, Examples, Scored, Split, Truth
from fairl_bench.values.records import Measure, Record
from fairl_bench.values.training import Inputs, Task

REGISTRY = Registry(installed=False)
WEIGHTS = {"a": 0.6, "b": -0.4}
LINEAR = {"name": "linear", "use": "synthetic-linear", "n": 120, "dimension": 3, "temperature": 0.5, "weights": WEIGHTS}


def suite(**fields: Any) -> dict[str, Any]:
    return {
        "name": "blend",
        "seeds": [0, 1],
        "models": [LINEAR],
        "encoders": [{"name": "numbers", "use": "numbers"}],
        "head": {"use": "linear"},
        "training": {"epochs": 10, "lr": 0.05},
        "methods": [
            {"name": "max-entropy", "use": "max-entropy"},
            {"name": "length", "use": "length"},
        ],
        "evaluate": [{"use": "objectives", "data": ["pairs/test"], "refits": 3}],
        "report": {"objectives": {"data": ["pairs/test"]}},
        **fields,
    }


def by_metric(finished: Finished, method: str) -> Mapping[tuple[str, str], list[Record]]:
    rows: dict[tuple[str, str], list[Record]] = {}
    for record in finished.records:
        if record.method == method:
            rows.setdefault((record.truth, record.metric), []).append(record)
    return rows


@pytest.fixture(scope="module")
def examples() -> Examples:
    source = SyntheticLinear(n=200, dimension=3, weights=WEIGHTS)
    return source.pairs(np.random.default_rng(0)).examples()


# --- the source


def test_the_linear_source_gives_the_truth_of_each_objective(examples: Examples) -> None:
    a, b = (examples.truths[f"gold:{name}"].value for name in WEIGHTS)
    np.testing.assert_allclose(examples.truths[GOLD].value, 0.6 * a - 0.4 * b, atol=1e-12)
    assert np.std(a) == pytest.approx(1, abs=0.15)  # four standard errors of 400 texts


def test_without_weights_it_is_the_world_that_it_was() -> None:
    plain = SyntheticLinear(n=50).pairs(np.random.default_rng(3))
    alone = SyntheticLinear(n=50, weights={"a": 1.0}).pairs(np.random.default_rng(3))
    assert plain.preferred == alone.preferred
    assert set(plain.truths) == {GOLD}
    np.testing.assert_array_equal(alone.truths["gold:a"].value, plain.truths[GOLD].value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dimension": 2, "weights": {"a": 1.0, "b": 1.0, "c": 1.0}}, "3 objectives need a dimension of as many"),
        ({"weights": {"a": 0.0}}, "weights of 0 alone make no reward"),
    ],
)
def test_objectives_that_make_no_world_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SyntheticLinear(**fields)


# --- the evaluator


def measures(scored: Scored, **fields: Any) -> dict[tuple[str, str], Measure]:
    planted = {"planted": WEIGHTS, **fields}
    evaluator = Objectives.named("objectives", data=("pairs/test",), resamples=200, **planted)
    return {(one.truth, one.metric): one for one in evaluator.evaluate({"pairs/test": scored})}


def test_the_true_reward_has_the_planted_weights(examples: Examples) -> None:
    found = measures(Scored(examples, examples.truths[GOLD].value))
    for name, weight in WEIGHTS.items():
        assert found[f"gold:{name}", "weight"].value == pytest.approx(weight)
        assert found[f"gold:{name}", "planted_weight"].value == weight
    assert found[GOLD, "explained_by_objectives"].value == pytest.approx(1)


def test_planted_weights_are_shown_by_their_sizes(examples: Examples) -> None:
    found = measures(Scored(examples, examples.truths[GOLD].value), planted={"a": 6.0, "b": -4.0})
    assert [found[f"gold:{name}", "planted_weight"].value for name in WEIGHTS] == pytest.approx([0.6, -0.4])


def test_a_reward_that_does_not_vary_has_no_weights_and_a_reason(examples: Examples) -> None:
    found = measures(Scored(examples, np.ones(len(examples))))
    assert np.isnan(found["gold:a", "weight"].value)
    assert found["gold:a", "weight_low"].note == "the reward is the same for all texts of each prompt"
    assert found["gold:a", "planted_weight"].value == 0.6


def test_texts_of_which_an_objective_is_not_known_are_left_out(examples: Examples) -> None:
    value = np.array(examples.truths["gold:a"].value)
    value[:100] = np.nan
    shy = examples.knowing({"gold:a": Truth(value, examples.truths["gold:a"].label)})
    assert measures(Scored(shy, examples.truths[GOLD].value))["gold:a", "weight"].n == len(examples) - 100


def test_texts_that_stand_alone_say_nothing(examples: Examples) -> None:
    texts = Examples(examples.text, truths=examples.truths)
    note = measures(Scored(texts, examples.truths[GOLD].value))["gold:a", "weight"].note
    assert note == "no two of the texts answer one prompt, so that nothing varies within prompts"


def test_it_keeps_the_promises_of_an_evaluator(examples: Examples) -> None:
    data = {"pairs/test": Scored(examples, examples.truths[GOLD].value)}
    spec = {"use": "objectives", "data": ["pairs/test"], "planted": WEIGHTS, "resamples": 100}
    check_evaluator(REGISTRY.build(Evaluator, spec), data, registry=REGISTRY)
    with pytest.raises(DataError, match="knows no objective; name the weight of each as 'planted'"):
        list(REGISTRY.build(Evaluator, {**spec, "planted": {}}).evaluate(data))


# --- trainings on other pairs


def test_a_suite_learns_each_reward_again_and_measures_it_once(
    write_suite: Callable[..., Any], run_suite: Callable[..., Finished]
) -> None:
    found = plan(read_study(write_suite(suite())))
    again = [stage for stage in found.stages.values() if stage.kind == "reward" and RESAMPLE in stage.settings]
    assert {(stage.settings["seed"], stage.settings[RESAMPLE]) for stage in again} == {
        (seed, i) for seed in (0, 1) for i in range(3)
    }  # and none of `length`, which does not learn
    finished = run_suite(suite())
    assert not finished.outcome.failed
    weights = by_metric(finished, "max-entropy")
    assert [record.seed for record in weights["gold:a", "weight"]] == [0, 1]
    width = weights["gold:a", "weight_high"][0].value - weights["gold:a", "weight_low"][0].value
    alone = run_suite(suite(evaluate=[{"use": "objectives", "data": ["pairs/test"], "refits": 0}]), results="alone")
    narrow = by_metric(alone, "max-entropy")
    assert narrow["gold:a", "weight"][0].value == weights["gold:a", "weight"][0].value
    assert width > 3 * (narrow["gold:a", "weight_high"][0].value - narrow["gold:a", "weight_low"][0].value)


def test_refits_leave_the_keys_of_the_rewards_alone(write_suite: Callable[..., Any]) -> None:
    def rewards(refits: int) -> list[str]:
        content = suite(evaluate=[{"use": "objectives", "data": ["pairs/test"], "refits": refits}])
        return [cell.reward for cell in plan(read_study(write_suite(content))).cells]

    assert rewards(0) == rewards(3)


def test_a_resample_draws_whole_groups_of_training_pairs(examples: Examples) -> None:
    n = 30
    rows = np.arange(2 * n)
    grouped = Examples(
        tuple(f"t{i}" for i in range(2 * n)),
        group=tuple(f"g{i // 6}" for i in range(2 * n)),  # three pairs a group
        pair=np.repeat(np.arange(n), 2),
        role=np.tile(np.array([1, -1], np.int8), n),
        truths={GOLD: Truth(rows.astype(float), np.where(rows % 3, 1, -1).astype(np.int8))},
    )
    split = Split(np.where(np.arange(n) < 24, 0, 1).astype(np.int8))
    vectors = np.random.default_rng(0).normal(size=(2 * n, 2)).astype(np.float32)
    parts = preferences(grouped, split, Embeddings(vectors, rows), leave_equal=True)
    drawn = parts.resampled(np.random.default_rng(1))
    assert len(drawn) == 24
    groups = (drawn.preferred // 6).tolist()
    counts = {group: groups.count(group) for group in groups}
    assert all(count % 3 == 0 for count in counts.values())
    assert len(counts) < 8
    assert drawn.gold is not None
    assert drawn.gold[0].tolist() == [1 if row % 3 else -1 for row in drawn.preferred]


def test_slices_of_misranked_pairs_have_no_weights(write_suite: Callable[..., Any]) -> None:
    content = suite(slices={"baseline": "max-entropy"})
    assert not any(cell.slices for cell in plan(read_study(write_suite(content))).cells)


def test_a_source_of_one_objective_is_refused(cli: Callable[..., Result], write_suite: Callable[..., Any]) -> None:
    plain = {name: value for name, value in LINEAR.items() if name != "weights"}
    result = cli("check", str(write_suite(suite(models=[plain]))))
    assert result.exit_code == 2
    assert (
        "needs a 'gold' of several objectives, and that of model 'linear' is none; make it a 'blend'" in result.stderr
    )


# --- the table


def test_the_table_shows_planted_against_recovered(run_suite: Callable[..., Finished]) -> None:
    finished = run_suite(suite(replicates=[0, 1]))
    table = finished.results.tables["objectives-pairs-test"]
    assert table.title == "Recovered weights, pairs/test"
    heads = ["method", "objective", "planted", "recovered", "planted in interval", "explained"]
    assert [head for _, head in table.heads] == heads
    (a, b, *_) = table.rows
    assert a[:3] == ("max-entropy", "a", "0.60")
    assert b[:3] == ("max-entropy", "b", "-0.40")
    assert a[4].endswith("of 4 runs")
    values = [record.value for record in by_metric(finished, "max-entropy")["gold:a", "weight"]]
    assert table.tidy[0]["weight"] == pytest.approx(np.mean(values))
    ends = {end: [one.value for one in by_metric(finished, "max-entropy")["gold:a", f"weight_{end}"]]
            for end in ("low", "high")}  # fmt: skip
    inside = sum(low <= 0.6 <= high for low, high in zip(ends["low"], ends["high"], strict=True))
    assert (table.tidy[0]["planted_inside"], table.tidy[0]["runs"]) == (inside, 4)


def test_numbers_of_one_run_are_not_called_means(run_suite: Callable[..., Finished]) -> None:
    """A row that draws nothing at random has one run, beside rows of several seeds."""
    methods = [{"name": name, "use": name} for name in ("mean-difference", "max-entropy")]

    finished = run_suite(suite(replicates=[0], seeds=[0], methods=methods))

    assert "means over the runs" not in str(finished.results.tables["objectives-pairs-test"])


# --- mined for one objective: what becomes of another


def kinder(**report: Any) -> dict[str, Any]:
    judges = {"kindness": {"use": "toy-truth"}, "thanks": {"use": "thankful"}}
    labels = [f"gold:{name}" for name in judges]
    fa = {"use": "failure-aware", "base": {"use": "max-entropy"}, "rounds": 3}
    detector = {"use": "supervised", "truth": "gold:kindness"}
    return suite(
        plugins=["thankful.py"],
        models=[{"name": "toy", "use": "toy-comments", "n": 100, "gold":
                 {"use": "blend", "of": judges, "weights": dict.fromkeys(judges, 0.5)}}],
        encoders=[{"name": "tfidf", "use": "tfidf", "dimensions": 8}],
        methods=[{"name": "max-entropy", "use": "max-entropy"}, {"name": "fa", **fa, "detector": detector}],
        evaluate=[{"use": "classification", "data": ["pairs/test"], "label": label,
                   "threshold": {"data": "pairs/train", "label": label}} for label in labels],
        report={"table3": {"methods": ["max-entropy", "fa"], "data": ["pairs/test"], "by": "objective",
                           "objectives": list(judges)}, **report},
    )  # fmt: skip


THANKFUL = '''
import numpy as np

from fairl_bench import Judge, Truth, hookimpl


class Thankful(Judge):
    """Good are texts of an even number of letters."""

    def judge(self, examples):
        value = np.array([(-1.0) ** len(text) + len(text) / 100 for text in examples.text])
        return {"gold": Truth(value, np.where(value > 0.5, 1, -1).astype(np.int8))}


@hookimpl
def fairl_judges(register):
    register("thankful", Thankful)
'''


def test_table_3_counts_right_texts_by_objective(tmp_path: Path, run_suite: Callable[..., Finished]) -> None:
    (tmp_path / "thankful.py").write_text(THANKFUL)
    finished = run_suite(kinder(table2={"methods": ["max-entropy", "fa"], "data": ["pairs/test"],
                                        "truth": "gold:thanks"}))  # fmt: skip
    assert not finished.outcome.failed
    table = finished.results.tables["table3"]
    assert [head for _, head in table.heads][:2] == ["data", "objective"]
    assert [row[1] for row in table.rows] == ["kindness", "thanks"]
    accuracy = {
        (row.method, row.truth, row.seed): row.value
        for row in finished.records
        if row.metric == "accuracy" and not row.other
    }
    for cell, truth in zip(table.tidy, ("gold:kindness", "gold:thanks"), strict=True):
        gains = [accuracy["fa", truth, seed] - accuracy["max-entropy", truth, seed] for seed in (0, 1)]
        assert cell["difference_points"] == pytest.approx(100 * np.mean(gains))
    assert finished.results.tables["table2"].tidy[0]["both"] == table.tidy[1]["both"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objectives": ["kindness", "thank"]}, "no truth 'gold:thank'; did you mean 'gold:thanks'"),
        ({"objectives": []}, "'by: objective' and the names of 'objectives' go together; write both, or neither"),
    ],
)
def test_objectives_that_table_3_cannot_show_are_refused(
    change: dict[str, Any], message: str, tmp_path: Path, cli: Callable[..., Result], write_suite: Callable[..., Any]
) -> None:
    (tmp_path / "thankful.py").write_text(THANKFUL)
    content = kinder()
    content["report"]["table3"].update(change)
    result = cli("check", str(write_suite(content)))
    assert result.exit_code == 2
    assert message in result.stderr


# --- how often an interval holds the planted weight


def coverage(reward: Callable[[Any, int], tuple[np.ndarray, np.ndarray]], worlds: int = 40) -> int:
    """In how many worlds of the linear source the interval of ``a`` holds its planted weight."""
    inside = 0
    source = SyntheticLinear(n=400, dimension=5, temperature=0.5, weights=WEIGHTS)
    for replicate in range(worlds):
        examples = source.pairs(np.random.default_rng([replicate, 1])).examples()
        vectors = Numbers.named("numbers").encode(examples.text, ())
        split = Split((np.arange(400) >= 300).astype(np.int8) * 2)
        parts = preferences(examples, split, Embeddings(vectors, np.arange(800)), leave_equal=True)
        test = np.arange(600, 800)
        found, refits = reward((parts, examples, vectors, test), replicate)
        planted = {"planted": WEIGHTS, "resamples": 300}
        evaluator = Objectives.named("objectives", data=("pairs/test",), **planted)
        scored = {"pairs/test": Scored(examples.take(test), found)}
        values = {
            (one.truth, one.metric): one.value for one in evaluator.evaluate(scored, refits={"pairs/test": refits})
        }
        inside += values["gold:a", "weight_low"] <= 0.6 <= values["gold:a", "weight_high"]
    return inside


def learnt(world: Any, replicate: int, refits: int) -> tuple[np.ndarray, np.ndarray]:
    parts, examples, vectors, test = world
    trains = [parts.train, *(parts.resampled(np.random.default_rng([replicate, i])) for i in range(refits))]
    method = MeanDifference.named("mean-difference")
    inputs = Inputs(tuple(examples.text[i] for i in test), vectors[test])
    rewards = [method.score(method.fit(Task(train, parts.validation)), inputs) for train in trains]
    return rewards[0], np.array(rewards[1:]).reshape(refits, len(test))


def noisy(world: Any, replicate: int) -> tuple[np.ndarray, np.ndarray]:
    _, examples, _, test = world
    true = examples.truths[GOLD].value[test]
    return true + 0.5 * np.random.default_rng([replicate, 9]).normal(size=len(test)), np.empty((0, len(test)))


# of 40 intervals at 95 % at least 36 hold the number in 95 of 100 draws; benchmarks/objectives.py measures more worlds
def test_of_the_true_reward_with_noise_nine_in_ten_intervals_hold_the_planted_weight() -> None:
    assert coverage(noisy) >= 36


def test_of_a_learnt_reward_they_do_with_trainings_on_other_pairs_and_not_without() -> None:
    assert coverage(lambda world, replicate: learnt(world, replicate, 20)) >= 36
    assert coverage(lambda world, replicate: learnt(world, replicate, 0)) <= 25


def test_best_of_n_is_told_of_each_objective_and_bad_only_where_there_are_labels() -> None:
    group = tuple(f"{i // 4}" for i in range(12))
    a = np.arange(12.0)
    truths = {GOLD: Truth(-a, np.where(a < 6, 1, -1).astype(np.int8)), "gold:a": Truth.numbers(a)}
    texts = Examples(tuple(map(str, range(12))), group=group, truths=truths)
    spec = {"use": "best-of-n", "data": ["web"], "truth": ["gold", "gold:a"], "counts": [4]}
    part = REGISTRY.build(Evaluator, spec)
    found = {
        (one.truth, one.metric): one for one in part.evaluate({"web": Scored(texts, a)}) if isinstance(one, Measure)
    }
    assert found["gold:a", "best_of_4"].value == np.mean([3, 7, 11])
    assert found[GOLD, "best_of_4"].value == -np.mean([3, 7, 11])
    assert found[GOLD, "best_of_4_bad"].value == pytest.approx(2 / 3)
    assert found["gold:a", "best_of_4_bad"].note == "no label of the truth 'gold:a' is known"
    assert len([metric for _, metric in found if metric == "best_of_4_kl"]) == 1


def test_only_an_evaluator_may_ask_for_other_trainings(
    tmp_path: Path, cli: Callable[..., Result], write_suite: Callable[..., Any]
) -> None:
    (tmp_path / "again.py").write_text(
        "from fairl_bench import PairwiseMethod, Refits, hookimpl\n\n\n"
        "class Again(PairwiseMethod):\n    '''Asks for itself.'''\n\n"
        "    def loss(self, margin):\n        return -margin\n\n"
        "    def upstream(self):\n        return {'more': Refits(n=2)}\n\n\n"
        "@hookimpl\ndef fairl_methods(register):\n    register('again', Again)\n"
    )
    content = suite(plugins=["again.py"], methods=[{"name": "again", "use": "again"}])
    result = cli("check", str(write_suite(content)))
    assert result.exit_code == 2
    assert "upstream asks for a reward to be learnt again as 'more', as evaluators alone may" in result.stderr
