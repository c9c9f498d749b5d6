"""What ``fairl-bench show`` says of an evaluator."""

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
