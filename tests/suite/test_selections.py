"""Which epoch a suite keeps: one rule for all rows, several side by side, and what the records say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.errors import SuiteError
from fairl_bench.pipeline import Finished
from fairl_bench.suite.read import read_study
from fairl_bench.values.records import Record

Write = Callable[..., Path]
RULES = {"whole": {"admissible": "all"}, "late": {"admissible": {"from": 2}}, "last": {"admissible": "last"}}
FA = {"name": "fa", "use": "failure-aware", "base": {"use": "max-entropy"}, "detector": {"use": "bottom-fraction"}}
NO_FAILURES = {
    "name": "no-failures", "use": "failure-aware", "base": {"use": "max-entropy"}, "detector": {"use": "all"},
    "failure_head": False, "failure_loss": "same", "sampling": {"use": "constant", "value": 0.0},
}  # fmt: skip


def of(found: Finished, metric: str, method: str = "max-entropy") -> dict[str, list[Record]]:
    """The records of a metric, by variant."""
    rows: dict[str, list[Record]] = {}
    for row in found.records:
        if (row.metric, row.method) == (metric, method):
            rows.setdefault(row.variant, []).append(row)
    return rows


def test_a_suite_is_run_under_each_of_its_selections(tiny: dict[str, Any], write_suite: Write) -> None:
    study = read_study(write_suite(tiny | {"selections": RULES, "product": {"head.width": [4, 8]}}))
    assert list(study.variants) == [
        f'{{"head.width":{width},"selection":"{name}"}}' for width in (4, 8) for name in RULES
    ]
    stops = [suite.training.stop for suite in study.variants.values()]
    assert [stop and stop.admissible for stop in stops] == ["all", {"from": 2}, "last"] * 2


def test_a_selection_changes_the_fields_that_it_names_alone(tiny: dict[str, Any], write_suite: Write) -> None:
    tiny["training"]["stop"] = {"patience": 7, "min_delta": 0.25}
    study = read_study(write_suite(tiny | {"selections": {"late": {"admissible": "last", "patience": 9}}}))
    (suite,) = study.variants.values()
    assert suite.training.stop is not None
    assert (suite.training.stop.patience, suite.training.stop.min_delta) == (9, 0.25)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"selections": ["last"]}, "selections: needs a mapping"),
        ({"selections": {"last": "last"}}, "selections.last: needs a mapping"),
        ({"product": {"selections": [{}]}}, "'product' cannot vary 'selections'"),
        ({"selections": {"last": {"admissable": "last"}}}, "unknown field 'admissable'"),
        ({"selections": {"late": {"admissible": {"from": 0}}}}, "must be at least 1"),
        ({"selections": {"late": {"admissible": {}}}}, "admissible"),
        ({"selections": {"late": {"admissible": {"from": 4}}}}, "begins at epoch 4, and there are 3"),
        ({"selections": {"late": {"admissible": "some"}}}, "needs 'all', 'failure-weight-at-most-1' or 'last'"),
        ({"selections": RULES, "training": {"stop": None}}, "training.stop, which is null; give it a mapping"),
    ],
)
def test_a_selection_that_means_nothing_is_refused_with_its_line(
    fields: dict[str, Any], said: str, tiny: dict[str, Any], write_suite: Write
) -> None:
    with pytest.raises(SuiteError) as refused:
        read_study(write_suite(tiny | fields))
    assert said in str(refused.value)
    assert "suite.yaml:" in str(refused.value)


def test_a_claim_under_a_selection_that_there_is_not_is_refused(tiny: dict[str, Any], write_suite: Write) -> None:
    one = {"id": "c", "better": "max-entropy", "than": "length", "metric": "auc", "data": "shifted", "under": ["lost"]}
    with pytest.raises(SuiteError, match=r"claims: selection 'lost' is unknown; .*last"):
        read_study(write_suite(tiny | {"selections": RULES, "claims": [one]}))


def test_records_say_which_epoch_was_kept_and_from_which_on_it_could_be(
    tiny: dict[str, Any], run_suite: Callable[..., Finished]
) -> None:
    found = run_suite(tiny | {"selections": RULES})
    first = {variant: {row.value for row in rows} for variant, rows in of(found, "admissible_from").items()}
    assert first == {'{"selection":"whole"}': {1}, '{"selection":"late"}': {2}, '{"selection":"last"}': {3}}
    kept = of(found, "kept_epoch")
    assert {row.value for row in kept['{"selection":"last"}']} == {3}
    assert {row.seed for row in kept['{"selection":"last"}']} == {0, 1}
    assert all(row.value >= 2 for row in kept['{"selection":"late"}'])
    assert {(row.data, row.truth, row.n) for row in kept['{"selection":"last"}']} == {
        ("pairs/validation", "preferred", 3)
    }
    assert not of(found, "kept_epoch", "mean-difference")


def test_a_table_whose_rows_could_not_keep_the_same_epochs_says_so_first(
    tiny: dict[str, Any], run_suite: Callable[..., Finished]
) -> None:
    tiny["methods"] = [tiny["methods"][1], FA | {"rounds": 20}, tiny["methods"][3]]
    tiny["training"] = {"epochs": 20, "stop": {"admissible": "failure-weight-at-most-1"}}
    said = run_suite(tiny).tables[0].notes[0]
    assert said.startswith("Rows were selected differently")
    assert "1 for max-entropy; 16 for fa" in said
    tiny["training"]["stop"]["admissible"] = {"from": 16}
    assert not any("selected differently" in note for note in run_suite(tiny).tables[0].notes)


def test_without_a_failure_learnt_from_the_schedule_alone_is_its_base(
    tiny: dict[str, Any], run_suite: Callable[..., Finished]
) -> None:
    """The control `no-failures`: with all epochs admissible it is its base to the last digit."""
    tiny["methods"] = [tiny["methods"][1], NO_FAILURES | {"rounds": 8}]
    tiny["training"] = {"epochs": 8, "stop": {"admissible": "all"}}
    found = run_suite(tiny)
    for metric in ("auc", "starc", "kept_epoch"):
        own, control = (of(found, metric, name)[""] for name in ("max-entropy", "no-failures"))
        assert sorted((row.seed, row.data, row.value) for row in own) == sorted(
            (row.seed, row.data, row.value) for row in control
        )


def test_selections_stand_beside_one_another_in_the_table(
    tiny: dict[str, Any], cli: Callable[..., Result], write_suite: Write
) -> None:
    path = write_suite(tiny | {"selections": RULES})
    checked = cli("check", path)
    assert "3 variants" in checked.output
    ran = cli("run", path, "--results", "r")
    assert ran.exit_code == 0, ran.output
    assert "selection=last" in ran.stdout
