from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.errors import FairlError
from fairl_bench.guards import answers
from fairl_bench.html.write import write_pages
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.pipeline import Finished, run
from fairl_bench.results.compare import compare
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.folder import METRICS
from fairl_bench.results.results import read_results
from fairl_bench.science.resampling import ACCURACY, F1_BAD, F1_GOOD, FORMS, Form, Sample, mean
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.tables.comparison import comparison_tables
from fairl_bench.values.records import Measure

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "plugins" / "confidence_gap.py"
Cli = Callable[..., Result]
Write = Callable[..., Path]


# --- one metric


@pytest.mark.parametrize(
    ("metric", "head", "sign"),
    [
        (Metric("starc_per_prompt", "lower", "STARC per prompt"), "STARC per prompt ↓", -1),
        (Metric("pair_accuracy", "higher"), "pair accuracy ↑", 1),
        (Metric("kl_k3"), "kl k3", 1),
    ],
)
def test_a_metric_is_called_by_its_label_and_shows_its_better_side(metric: Metric, head: str, sign: int) -> None:
    assert (metric.head, metric.sign) == (head, sign)


def test_the_widest_difference_of_a_metric_is_between_its_bounds() -> None:
    assert Metric("starc", bounds=(0, 2)).widest == 2.0
    assert Metric("threshold").widest == math.inf


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": ""}, "a metric needs a name, got ''"),
        ({"better": "up"}, "metric 'm': better is 'higher', 'lower' or None, got 'up'"),
        ({"bounds": (1, 0)}, r"metric 'm': bounds need the least value first, got \(1, 0\)"),
        ({"resampled": ACCURACY}, "metric 'm': resampled needs a tuple of forms, got one form"),
    ],
)
def test_a_metric_that_cannot_be_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Metric(**{"name": "m", **wrong})


# --- those of a suite


def test_of_a_number_that_nobody_declares_the_name_alone_is_known() -> None:
    metrics = Metrics([("classification", Metric("auc", "higher", "AUC"))])
    assert metrics["mine"] == Metric("mine")
    assert "mine" not in metrics
    assert list(metrics) == ["auc"]


def test_two_evaluators_of_one_metric_give_the_forms_of_both() -> None:
    good, bad = (Metric("f1", "higher", resampled=(form,)) for form in (F1_GOOD, F1_BAD))
    assert good.same_as(bad)
    assert not good.same_as(replace(bad, better=None))
    assert Metrics([("one", good), ("other", bad)])["f1"].resampled == (F1_GOOD, F1_BAD)


def test_what_a_folder_keeps_is_read_again_but_for_the_forms_of_plugins() -> None:
    own = Form("own", "pairs", lambda sample: mean(sample.score))
    declared = Metrics(
        [
            ("classification", Metric("f1", "higher", "F1", (0, 1), (F1_GOOD,))),
            ("mine", Metric("gap", resampled=(own,))),
        ]
    )
    plain = json.loads(json.dumps(declared.plain()))
    assert plain[1] == {
        **{"name": "gap", "better": None, "label": "", "bounds": None, "forms": ["own"], "maker": "mine"}
    }
    found = Metrics.read(plain)
    assert found["f1"] == declared["f1"]
    assert found["gap"] == Metric("gap")
    assert found.plain()[0] == plain[0]


def test_what_one_lacks_is_taken_from_the_other() -> None:
    one, other = Metrics([("a", Metric("m", "higher"))]), Metrics([("b", Metric("m", "lower")), ("b", Metric("n"))])
    assert [(maker, metric.name, metric.better) for maker, metric in one.or_else(other).declared()] == [
        ("a", "m", "higher"),
        ("b", "n", None),
    ]


HIGHER = {
    *("accuracy", "f1", "auc", "pair_accuracy", "spearman", "kendall", "margin_snr", "true_reward", "agreement"),
    *("agreement_along", "refusal_correctness", "balanced_accuracy", "average_precision"),
}
LOWER = {
    *("starc", "starc_per_prompt", "affine_residual", "epic", "toxicity_rate", "toxicity", "toxicity_area"),
    *("expected_maximum_toxicity", "toxicity_probability"),
}


def test_the_evaluators_in_the_box_declare_what_their_numbers_mean() -> None:
    metrics = {metric.name: metric for _, metric in built_in_metrics().declared()}
    assert {name for name, metric in metrics.items() if metric.better == "higher"} == HIGHER
    assert {name for name, metric in metrics.items() if metric.better == "lower"} == LOWER
    bounds = {name: metric.bounds for name, metric in metrics.items() if metric.bounds}
    assert {name for name, ends in bounds.items() if ends == (0, 2)} == {"starc", "starc_per_prompt"}
    assert {name for name, ends in bounds.items() if ends == (-1, 1)} == {
        *("spearman", "kendall", "agreement", "agreement_along"),
        *("weight", "weight_low", "weight_high", "planted_weight"),
    }
    labels = {name: metric.label for name, metric in metrics.items() if metric.label}
    assert labels == {
        **{"f1": "F1", "auc": "AUC", "starc": "STARC", "starc_per_prompt": "STARC per prompt", "epic": "EPIC"},
        "toxicity_area": "area",
    }


def test_every_form_in_the_box_is_of_a_metric_in_the_box() -> None:
    assert {form.name for _, metric in built_in_metrics().declared() for form in metric.resampled} == set(FORMS)


def test_a_text_is_called_good_above_the_threshold_of_its_run() -> None:
    import numpy as np

    sample = Sample(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([True, True]), np.zeros(2), np.array([0.5, np.nan]))
    assert sample.called.tolist() == [[False, True], [False, False]]


# --- what a suite may name

OTHER = '''
from fairl_bench import Evaluator, Measure, Metric, hookimpl


class Other(Evaluator):
    """Gives a number under a name that another evaluator has."""

    {declares}

    def evaluate(self, scored):
        return [Measure(name, "", "accuracy", 0.5, 1) for name in self.data]


@hookimpl
def fairl_evaluators(register):
    register("other", Other)
'''


def with_plugins(tiny: dict[str, Any], *paths: Path) -> dict[str, Any]:
    return {**tiny, "plugins": [str(path) for path in paths]}


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("place", ["report", "claims"])
def test_a_misspelt_metric_is_refused_whoever_else_is_in_the_suite(
    tiny: dict[str, Any], write_suite: Write, foreign: bool, place: str
) -> None:
    if foreign:
        tiny = with_plugins(tiny, PLUGIN)
        tiny["evaluate"].append({"use": "confidence-gap", "data": ["pairs/test"]})
    if place == "report":
        tiny["report"]["table1"]["metrics"] = ["accuracy", "acuracy"]
    else:
        methods = [method["name"] for method in tiny["methods"]]
        tiny["claims"] = [
            {"id": "c", "better": methods[0], "than": methods[1], "metric": "acuracy", "data": "pairs/test"}
        ]
    with pytest.raises(FairlError, match=r"\.yaml:\d+: .*metric 'acuracy' is unknown; did you mean 'accuracy'"):
        read_study(write_suite(tiny))


@pytest.mark.parametrize(
    ("declares", "sentence"),
    [
        ("", r"metrics is \(\); it needs a tuple of fairl_bench.Metric, one for each number it gives"),
        ('metrics = ("accuracy",)', r"metrics is \('accuracy',\); it needs a tuple of fairl_bench.Metric"),
        ('metrics = Metric("accuracy")', "metrics is one Metric and no tuple; .*; for a tuple add a comma$"),
        ('metrics = (Metric("a"), Metric("a"))', "metrics has 'a' twice; declare each number once"),
        ("@property\n    def metrics(self):\n        return 1 / 0", "metrics raised ZeroDivisionError"),
        (
            'metrics = (Metric("accuracy", "lower"),)',
            r"\.yaml:\d+: evaluate: 'other' and 'classification' both declare the metric 'accuracy', and not as the "
            "same: called 'accuracy', lower is better, without bounds and called 'accuracy', higher is better, from 0 "
            "to 1; rename one",
        ),
    ],
)
def test_an_evaluator_that_does_not_say_what_it_measures_is_refused(
    tiny: dict[str, Any], write_suite: Write, tmp_path: Path, declares: str, sentence: str
) -> None:
    (tmp_path / "other.py").write_text(OTHER.format(declares=declares))
    tiny = with_plugins(tiny, tmp_path / "other.py")
    tiny["evaluate"].append({"use": "other", "data": ["pairs/test"]})
    with pytest.raises(FairlError, match=sentence):
        read_study(write_suite(tiny))


def test_a_number_that_is_not_declared_fails_its_evaluator_alone(
    tiny: dict[str, Any], write_suite: Write, tmp_path: Path
) -> None:
    (tmp_path / "other.py").write_text(OTHER.format(declares='metrics = (Metric("something"),)'))
    tiny = with_plugins(tiny, tmp_path / "other.py") | {"seeds": [0]}
    tiny["evaluate"].append({"use": "other", "data": ["pairs/test"]})
    finished = run(read_study(write_suite(tiny)), FolderStore(tmp_path / "store"), tmp_path / "results")
    sentence = "evaluator 'other' gave 'accuracy', which it does not declare; add Metric('accuracy') to its 'metrics'"
    assert finished.outcome.failed
    assert all(reason.endswith(sentence) for reason in finished.outcome.failed.values())
    assert any(record.metric == "accuracy" for record in finished.records)


def test_a_slip_in_the_name_of_a_number_names_the_declared_one() -> None:
    class Doubtful(Evaluator):
        metrics = (Metric("doubt"),)

        def evaluate(self, scored: object) -> list[Measure]:
            return []

    sentence = r"gave 'dubt', which it does not declare; did you mean 'doubt'\? if not, add Metric\('dubt'\)"
    with pytest.raises(FairlError, match=sentence):
        answers.measures(Doubtful(data=("pairs/test",)), [Measure("pairs/test", "gold", "dubt", 0.5, 10)])


# --- a plugin's metric, everywhere


SUITE = """
name: measured
seeds: [0, 1, 2]
models: [{name: toy, use: toy-comments, n: 120, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 16}]
training: {epochs: 3}
methods:
  - {name: max-margin, use: max-margin}
  - {name: max-entropy, use: max-entropy}
evaluate:
  - {use: classification, data: [pairs/test]}
  - {use: confidence-gap, data: [pairs/test]}
report:
  table1: {data: [pairs/test], truth: preferred, metrics: [accuracy, confidence_gap]}
claims:
  - {id: surer, better: max-entropy, than: max-margin, metric: confidence_gap, data: pairs/test, truth: preferred}
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """A run of a suite whose report and claim are of a plugin's metric; the plugin is gone when it is looked at."""

    folder = tmp_path_factory.mktemp("measured")
    plugin = folder / "gap.py"
    plugin.write_text(PLUGIN.read_text())
    (folder / "suite.yaml").write_text(f"plugins: [{plugin}]\n{SUITE}")
    finished = run(read_study(folder / "suite.yaml"), FolderStore(folder / "store"), folder / "results")
    assert not finished.outcome.failed
    plugin.unlink()
    return folder / "results", finished


def test_a_plugins_metric_has_an_arrow_and_ranks_in_the_leaderboard(measured: tuple[Path, Finished]) -> None:
    table = read_results(measured[0]).tables["table1"]
    assert ("pairs/test", "confidence gap ↑") in table.heads
    of_metric = [row for row in table.tidy if row["metric"] == "confidence_gap"]
    assert 1 in {row["rank"] for row in of_metric}
    assert any("¹" in row[-1] for row in table.rows)


def test_a_plugins_metric_has_intervals_of_resampled_examples(measured: tuple[Path, Finished]) -> None:
    rows = [row for row in read_results(measured[0]).comparisons if row.metric == "confidence_gap"]
    trained = [row for row in rows if row.units > 1]
    assert trained
    assert all(row.resamples > 0 and row.low < row.value < row.high for row in trained if not row.other)


def test_a_claim_may_be_of_a_plugins_metric(measured: tuple[Path, Finished]) -> None:
    (verdict,) = read_results(measured[0]).verdicts
    assert verdict.metric.better == "higher"
    assert math.isfinite(verdict.effect.gain)
    assert math.isfinite(verdict.p)


def test_the_folder_keeps_what_the_plugin_declares(measured: tuple[Path, Finished]) -> None:
    kept = {one["name"]: one for one in json.loads((measured[0] / METRICS).read_text())["metrics"]}
    assert kept["confidence_gap"] == {
        **{"name": "confidence_gap", "better": "higher", "label": "", "bounds": None},
        **{"forms": ["confidence gap"], "maker": "confidence-gap"},
    }
    assert kept["accuracy"]["forms"] == ["accuracy"]


def test_compare_knows_a_plugins_metric(measured: tuple[Path, Finished]) -> None:
    sides = (f"{measured[0]}:max-margin", f"{measured[0]}:max-entropy")
    first, *_ = comparison_tables(compare(*sides))
    (line,) = (row for row in first.rows if "confidence gap ↑" in row)
    assert "n/a" not in line


def test_figures_and_the_page_call_a_plugins_metric_by_its_head(measured: tuple[Path, Finished]) -> None:
    page = write_pages(read_results(measured[0]))
    assert "confidence gap ↑" in page.read_text()
    assert (measured[0] / "figures" / "leaderboard.svg").stat().st_size
    assert "confidence_gap" in (measured[0] / "tables" / "table1.csv").read_text()


def test_a_folder_from_before_declares_what_the_evaluators_in_the_box_do(
    ran: Finished, relist: Callable[[Path], None]
) -> None:
    (ran.folder / METRICS).unlink()
    relist(ran.folder)
    results = read_results(ran.folder)
    assert results.metrics["auc"] == built_in_metrics()["auc"]
    assert ("shifted", "AUC ↑") in results.tables["table1"].heads
