"""What ``fairl-bench show`` says of an evaluator and of a method."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("classification", "\n  auc: called 'AUC', higher is better, from 0 to 1\n"),
        ("best-of-n", "Its metrics depend on its fields."),
    ],
)
def test_an_evaluator_shows_its_metrics(cli: Callable[..., Result], name: str, said: str) -> None:
    assert said in cli("show", name).stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("oracle", "It is given: truth. It is a reference row: it stands above the methods, and is neither ranked nor"),
        ("log-ratio-distilled", "\nIt is given: both models.\n"),
    ],
)
def test_a_method_shows_what_it_is_given(cli: Callable[..., Result], name: str, said: str) -> None:
    assert said in cli("show", name).stdout


def test_of_a_method_that_is_given_texts_nothing_is_said(cli: Callable[..., Result]) -> None:
    assert "given" not in cli("show", "max-margin").stdout
