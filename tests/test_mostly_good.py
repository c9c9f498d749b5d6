"""Where nine texts of ten are good, accuracy and F1 say nothing of a method; what does, and that the tables say so.

How many letters a text has says something about its label, how many words says nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from fairl_bench.pipeline import Finished, run
from fairl_bench.results.results import StudyResults, read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import dump
from fairl_bench.values.sheets import Sheet

METHODS = ("majority", "letters", "words")
SUITE: Mapping[str, Any] = {
    "name": "mostly-good",
    "seeds": [0],
    "models": [{"name": "comments", "use": "jsonl", "path": "pairs.jsonl"}],
    "split": {"by": "text", "validation": 0.1, "test": 0.4},
    "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 4}],
    "methods": [
        {"name": "majority", "use": "majority"},
        {"name": "letters", "use": "length"},
        {"name": "words", "use": "length", "unit": "words"},
    ],
    "slices": {"discordant": True},
    "report": {
        "table1": {
            "data": ["pairs/test"],
            "slices": ["discordant"],
            "metrics": ["accuracy", "f1", "balanced_accuracy", "auc", "average_precision", "starc"],
        }
    },
}
CLAIM = {"better": "letters", "than": "words", "data": "pairs/test", "slice": "discordant", "expect": "any"}
CLAIMS = [
    {**CLAIM, "id": "in-the-table", "metric": "auc", "truth": "gold"},
    {**CLAIM, "id": "in-no-table", "metric": "pair_accuracy", "truth": "preferred"},
]
GOLD = {"preferred": "good", "rejected": "other_good", "label_above": 0.5}


def pairs(n: int = 600) -> list[dict[str, object]]:
    """Pairs of texts of which nine of ten are good; where one is, it is preferred."""
    rng = np.random.default_rng(0)
    rows = []
    for pair in range(n):
        sides = []
        for side in range(2):
            good = rng.random() < 0.9
            letters, words = int(rng.integers(1 if good else 3, 6)), int(rng.integers(1, 4))
            text = f"{2 * pair + side:05d}{'x' * (20 * letters - 2 * words)}{' y' * words}"
            sides.append((text, float(good)))
        sides.sort(key=lambda side: -side[1])  # stable: of two good ones the first is preferred
        (chosen, good), (rejected, other) = sides
        rows.append({"chosen": chosen, "rejected": rejected, "good": good, "other_good": other})
    return rows


def evaluators(maximise: str, label: str = "gold") -> list[dict[str, Any]]:
    threshold = {"data": "pairs/train", "label": label, "maximise": maximise}
    judged = {"use": "classification", "data": ["pairs/test"], "label": label, "positive": "bad"}
    return [
        {**judged, "threshold": threshold},
        *([{"use": "classification", "data": ["pairs/test"], "label": "preferred"}] if label == "gold" else []),
        {"use": "fidelity", "data": ["pairs/test"], "truth": label},
    ]


def made(folder: Path, maximise: str, *, gold: bool = True) -> Finished:
    folder.mkdir()
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs()))
    truth = "gold" if gold else "preferred"
    suite = json.loads(json.dumps(SUITE)) | {"evaluate": evaluators(maximise, truth)}
    suite["report"]["table1"]["truth"] = truth
    if gold:
        suite["models"][0]["gold"] = GOLD
        suite["claims"] = CLAIMS
    (folder / "suite.yaml").write_text(dump(suite))
    finished = run(read_study(folder / "suite.yaml"), FolderStore(folder / "store"), folder / "results")
    assert not finished.outcome.failed
    return finished


@pytest.fixture(scope="module")
def by_accuracy(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    return read_results(made(tmp_path_factory.mktemp("skewed") / "accuracy", "accuracy").folder)


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    return read_results(made(tmp_path_factory.mktemp("skewed") / "balanced", "balanced").folder)


def numbers(results: StudyResults, metric: str, part: str = "all", truth: str = "gold") -> dict[str, float]:
    """The number of each method."""
    chosen = [one for one in results.single_records if (one.metric, one.slice, one.truth) == (metric, part, truth)]
    return {one.method: one.value for one in chosen}


def sheet_of(results: StudyResults) -> tuple[Sheet, dict[str, np.ndarray]]:
    """The test texts, and the rewards of each method."""
    (sheet,) = results.sheets(["pairs/test"])
    return sheet, {run.method: reward for run, reward in sheet.rewards.items()}


def test_every_method_has_the_accuracy_of_the_majority_and_auc_tells_them_apart(by_accuracy: StudyResults) -> None:
    sheet, _ = sheet_of(by_accuracy)
    good = float(np.mean(sheet.examples.truths["gold"].label > 0))
    assert 0.88 < good < 0.92
    assert numbers(by_accuracy, "accuracy") == dict.fromkeys(METHODS, pytest.approx(good))
    assert numbers(by_accuracy, "f1") == dict.fromkeys(METHODS, 0.0)  # of the bad texts, which nobody calls so
    assert numbers(by_accuracy, "balanced_accuracy") == dict.fromkeys(METHODS, 0.5)
    auc = numbers(by_accuracy, "auc")
    assert auc["letters"] > 0.65
    assert abs(auc["words"] - 0.5) < 0.1
    assert auc["majority"] == 0.5


def test_the_table_says_that_accuracy_tells_no_methods_apart_and_what_does(by_accuracy: StudyResults) -> None:
    table, (sheet, _) = by_accuracy.tables["table1"], sheet_of(by_accuracy)
    good = round(100 * float(np.mean(sheet.examples.truths["gold"].label > 0)))
    assert table.notes[0] == (
        f"Every method calls every text good on pairs/test ({good} % are) and pairs/test discordant (50 % are), so "
        "that accuracy, F1 and balanced accuracy tell no two methods apart there. Read AUC and average precision, or "
        "choose the threshold with 'maximise: balanced' and read balanced accuracy."
    )
    assert "F1 and average precision: of the bad texts on pairs/test, pairs/test discordant." in table.notes


def test_the_majority_is_a_reference_row_of_a_constant_reward(by_accuracy: StudyResults) -> None:
    sheet, rewards = sheet_of(by_accuracy)
    assert len(set(rewards["majority"].tolist())) == 1
    assert rewards["majority"][0] == pytest.approx(math.log(0.9 / 0.1), abs=0.2)  # the log-odds of a good text
    table = by_accuracy.tables["table1"]
    assert (table.rows[0][0], table.references) == ("majority", 1)
    assert not any("¹" in cell for cell in table.rows[0])
    assert not [one for one in by_accuracy.comparisons if one.other and "majority" in (one.method, one.other)]
    bad = float(np.mean(sheet.examples.truths["gold"].label < 0))
    assert numbers(by_accuracy, "average_precision")["majority"] == pytest.approx(bad)
    assert numbers(by_accuracy, "pair_accuracy", truth="preferred")["majority"] == 0.5
    assert numbers(by_accuracy, "starc")["majority"] == 1.0


def test_a_threshold_of_balanced_accuracy_tells_the_methods_apart(balanced: StudyResults) -> None:
    found = numbers(balanced, "balanced_accuracy")
    assert found["letters"] > 0.6
    assert abs(found["words"] - 0.5) < 0.1
    assert found["majority"] == 0.5
    assert numbers(balanced, "accuracy")["majority"] > 0.88  # it calls every text good here too
    f1 = numbers(balanced, "f1")
    assert f1["letters"] > f1["words"]
    assert not any("Every method calls" in note for note in balanced.tables["table1"].notes)


def test_the_thresholds_change_no_other_number(by_accuracy: StudyResults, balanced: StudyResults) -> None:
    for metric in ("auc", "average_precision", "starc"):
        assert numbers(by_accuracy, metric) == numbers(balanced, metric)


def test_the_numbers_are_scikit_learns(balanced: StudyResults) -> None:
    sheet, rewards = sheet_of(balanced)
    bad = sheet.examples.truths["gold"].label < 0
    for method, reward in rewards.items():
        cut = numbers(balanced, "threshold")[method]
        assert numbers(balanced, "auc")[method] == pytest.approx(roc_auc_score(~bad, reward), abs=1e-12)
        precision = average_precision_score(bad, -reward)
        assert numbers(balanced, "average_precision")[method] == pytest.approx(precision, abs=1e-12)
        assert numbers(balanced, "f1")[method] == pytest.approx(f1_score(bad, reward <= cut), abs=1e-12)


# --- pairs whose labels differ


def test_the_discordant_slice_holds_the_pairs_with_one_good_text(by_accuracy: StudyResults) -> None:
    sheet, rewards = sheet_of(by_accuracy)
    both = sheet.examples.truths["gold"].label[sheet.examples.pair_rows()]
    differ = both[:, 0] != both[:, 1]
    records = [one for one in by_accuracy.single_records if one.slice == "discordant" and one.truth == "gold"]
    assert {one.n for one in records if one.metric == "auc"} == {2 * int(differ.sum())}
    assert 0 < differ.sum() < len(differ) / 2
    # the preferred text is the good one there
    rows = sheet.examples.pair_rows()[differ]
    margins = rewards["letters"][rows[:, 0]] - rewards["letters"][rows[:, 1]]
    expected = np.mean(margins > 0) + np.mean(margins == 0) / 2
    assert numbers(by_accuracy, "pair_accuracy", "discordant", "preferred")["letters"] == pytest.approx(expected)
    assert numbers(by_accuracy, "pair_accuracy", "discordant", "preferred")["majority"] == 0.5
    assert {one.metric for one in records} >= {"starc", "epic", "auc", "average_precision"}


def test_discordant_columns_have_intervals_and_tests_of_their_own(by_accuracy: StudyResults) -> None:
    table = by_accuracy.tables["table1"]
    assert [head[0] for head in table.heads[1:]] == ["pairs/test"] * 6 + ["pairs/test discordant"] * 6
    cut, whole = (
        [row for row in table.tidy if (row["slice"], row["metric"]) == (part, "auc")] for part in ("discordant", "all")
    )
    for one, other in zip(cut, whole, strict=True):
        if one["method"] != "majority":
            assert one["low"] < one["mean"] < one["high"]  # type: ignore[operator]
            assert one["high"] - one["low"] > other["high"] - other["low"]  # type: ignore[operator]  # fewer texts
    tested = [one for one in by_accuracy.comparisons if one.data == "pairs/test discordant" and one.other]
    assert {(one.method, one.other) for one in tested} == {("letters", "words")}
    # it shows what it does not show on all texts, where most pairs say nothing
    assert "slices" not in by_accuracy.tables


def test_claims_on_discordant_pairs_are_judged_as_those_on_all_pairs(by_accuracy: StudyResults) -> None:
    """By a bootstrap of the pairs: of one run each, Student's t over runs would know nothing."""
    in_table, elsewhere = by_accuracy.verdicts
    assert [one.verdict for one in (in_table, elsewhere)] == ["supported", "supported"]
    (known,) = (
        one
        for one in by_accuracy.comparisons
        if one.other and (one.data, one.metric) == ("pairs/test discordant", "auc")
    )
    assert (in_table.effect.gain, in_table.p) == (known.value, known.p)
    accuracy = numbers(by_accuracy, "pair_accuracy", "discordant", "preferred")
    assert elsewhere.effect.gain == pytest.approx(accuracy["letters"] - accuracy["words"])
    assert 0 < elsewhere.p < 0.05


def test_without_gold_labels_the_discordant_slice_is_not_available_with_the_reason(tmp_path: Path) -> None:
    results = read_results(made(tmp_path / "bare", "accuracy", gold=False).folder)
    reason = "no label of the truth 'gold' is known, so that no pair is discordant"
    cut = [one for one in results.single_records if one.slice == "discordant"]
    assert {one.metric for one in cut} >= {"accuracy", "auc", "starc"}
    assert all(math.isnan(one.value) and one.note == reason for one in cut)
    table = results.tables["table1"]
    assert {row[-1] for row in table.rows} == {"n/a"}
    assert f"pairs/test discordant auc: {reason}." in table.notes
