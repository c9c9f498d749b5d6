"""The notes on the class of numbers, and on methods that call every text the same."""

from __future__ import annotations

import pytest

from fairl_bench.tables.labels import classes
from fairl_bench.values.rows import Column

SUITE = """
evaluate:
  - {use: classification, data: [pairs/test, web], label: gold, positive: bad}
  - {use: classification, data: [pairs/test], label: preferred, positive: good}
  - {use: fidelity, data: [pairs/test], truth: gold}
"""


def said(suite: str, *columns: tuple[str, str], truth: str = "gold") -> list[str]:
    """The notes on columns of these data and metrics."""
    return list(classes(suite, [Column(data, "all", metric) for data, metric in columns], lambda _: truth))


def test_numbers_of_the_bad_texts_say_so() -> None:
    assert said(SUITE, ("pairs/test", "f1"), ("web", "f1")) == ["F1: of the bad texts on pairs/test, web."]
    both = ["F1 and average precision: of the bad texts on pairs/test."]
    assert said(SUITE, ("pairs/test", "average_precision"), ("pairs/test", "f1")) == both


def test_an_f1_of_the_good_texts_is_what_everybody_means() -> None:
    assert said(SUITE, ("pairs/test", "f1"), truth="preferred") == []
    of_good = ["Average precision: of the good texts on pairs/test."]
    assert said(SUITE, ("pairs/test", "average_precision"), truth="preferred") == of_good


def test_where_classes_differ_both_are_named() -> None:
    columns = [Column(data, "all", "f1") for data in ("pairs/test", "web")]
    truths = {"pairs/test": "preferred", "web": "gold"}
    assert list(classes(SUITE, columns, lambda data: truths[data])) == [
        "F1: of the good texts on pairs/test; of the bad texts on web."
    ]


@pytest.mark.parametrize("suite", ["", "evaluate: 3", "evaluate: [{use: fidelity, data: [web]}]", "evaluate: [\n"])
def test_of_a_suite_that_does_not_say_it_nothing_is_said(suite: str) -> None:
    assert said(suite, ("web", "f1"), ("web", "average_precision")) == []


def test_other_numbers_have_no_class() -> None:
    assert said(SUITE, ("web", "auc"), ("web", "accuracy")) == []
