"""The names of files and of tables in a results folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.pipeline import Finished
from fairl_bench.results.results import read_results

Cli = Callable[..., Result]
Run = Callable[..., Finished]


# --- names


def test_no_name_is_too_long_for_a_file_and_none_are_the_same_but_for_case(
    run_suite: Run, short: dict[str, Any]
) -> None:
    long = "m" * 300
    short["methods"] = [
        {"name": long, "use": "length"},
        {"name": f"{long}2", "use": "mean-difference"},
        {"name": "Length", "use": "length"},
        {"name": "length", "use": "length"},
    ]
    finished = run_suite(short)
    assert not finished.outcome.failed
    names = [path.name for path in (finished.folder / "scores").iterdir()]
    assert len({name.casefold() for name in names}) == 4
    assert max(map(len, names)) < 200
    assert {sheet.method for sheet in read_results(finished.folder).records} == {long, f"{long}2", "Length", "length"}


def test_names_that_files_can_have_are_kept(ran: Finished) -> None:
    assert {path.stem for path in (ran.folder / "scores").iterdir()} == {
        *(f"toy-tfidf-{method}-r0-s{seed}" for method in ("max-margin", "max-entropy") for seed in (0, 1)),
        *(f"toy-tfidf-{method}-r0-sall" for method in ("mean-difference", "length")),
    }


# --- the command line


@pytest.mark.parametrize("name", ["1", "table1", "table1.md", "table1.csv"])
def test_a_table_is_asked_for_by_the_name_of_its_file_too(name: str, ran: Finished, cli: Cli) -> None:
    found = cli("report", "results", "--table", name)
    assert found.exit_code == 0
    assert found.stdout.startswith("Table 1\n")


def test_a_table_that_is_asked_for_and_empty_is_not_said_to_be_unasked(
    run_suite: Run, short: dict[str, Any], cli: Cli
) -> None:
    short["report"]["table3"] = {"methods": ["mean-difference", "length"], "data": ["pairs/test"], "truth": "preferred"}
    short["models"][0]["gold"] = {"use": "role"}  # which knows no subtypes
    short["report"]["table1"]["truth"] = "preferred"
    threshold = {"data": "pairs/train", "label": "preferred"}
    short["evaluate"] = [
        {"use": "fidelity", "data": ["pairs/test"], "truth": "preferred"},
        {"use": "classification", "data": ["pairs/test"], "label": "preferred", "threshold": threshold},
    ]
    assert not run_suite(short).outcome.failed
    found = cli("report", "results", "-t", "3")
    assert found.exit_code == 2
    assert (
        "has no table 'table3' (it has: table1); its suite asks for it, and no number on record belongs" in found.stderr
    )
