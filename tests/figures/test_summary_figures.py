"""The pictures of the first screen: the leaderboard's main number, and the claims."""

from __future__ import annotations

import re

import pytest
from matplotlib.figure import Figure

from fairl_bench.figures.claims import Claims, forest
from fairl_bench.figures.headline import Headline
from fairl_bench.figures.style import COLUMN, render
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.given import GivenMaterial
from fairl_bench.tables.leaderboard import Leaderboard
from fairl_bench.values.coordinates import Setting
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts, RunFacts
from fairl_bench.values.verdicts import Claim, Effect, Verdict

METRICS = built_in_metrics()


def record(value: float, **changed: object) -> Record:
    plain = {
        **{"suite": "s", "model": "toy", "encoder": "minilm", "head": "mlp", "method": "mm", "variant": ""},
        **{"replicate": 0, "seed": 0, "dataset": "web", "split": "", "slice": "all", "truth": "gold"},
        **{"metric": "auc", "other": "", "n": 10, "note": "", "stage": "k"},
    }
    return Record(**{**plain, "value": value, **changed})  # type: ignore[arg-type]


def material(rows: list[Record], **given: object) -> GivenMaterial:
    metrics = tuple(dict.fromkeys(row.metric for row in rows))
    layout = Leaderboard.named("table1", data=("web",), metrics=metrics)
    report = {"table1": layout}
    runs = {row.row: Runs(1) for row in rows}
    return GivenMaterial(records=rows, rows=runs, report=report, metrics=METRICS, **given)


def names(figure: Figure) -> list[str]:
    """The names beside the first panel, from the top."""
    axis = figure.axes[0]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    return [text.get_text() for text in axis.get_yticklabels()]


def test_the_best_method_stands_on_top_and_only_the_main_number_is_drawn() -> None:
    rows = [record(value, method=name) for name, value in (("worst", 0.5), ("best", 0.9), ("middle", 0.7))]
    starc = [record(value, method=name, metric="starc") for name, value in (("worst", 0.1), ("best", 0.9))]
    wide, narrow = Headline().figures(material([*rows, *starc]))
    assert [drawn.name for drawn in (wide, narrow)] == ["headline", "headline-narrow"]
    assert names(wide.figure) == names(narrow.figure) == ["best", "middle", "worst"]
    assert len([axis for axis in wide.figure.axes if axis.axison]) == 1
    assert narrow.figure.get_figwidth() == COLUMN


def test_where_lower_is_better_the_lowest_stands_on_top() -> None:
    rows = [record(value, method=name, metric="starc") for name, value in (("high", 0.9), ("low", 0.1))]
    assert names(next(iter(Headline().figures(material(rows)))).figure) == ["low", "high"]


def test_of_a_suite_at_several_points_or_with_very_many_rows_there_is_no_such_picture() -> None:
    assert list(Headline().figures(material([record(0.5, variant='{"a":1}'), record(0.6, variant='{"a":2}')]))) == []
    assert list(Headline().figures(material([record(0.5, method=f"m{at}") for at in range(41)]))) == []
    assert list(Headline().figures(GivenMaterial())) == []


def test_what_a_method_was_given_stands_on_a_line_of_its_own_in_a_narrow_column() -> None:
    name = "log-ratio-distilled"
    facts = RunFacts(methods={name: MethodFacts("both models", False)})
    wide, narrow = Headline().figures(material([record(0.5, method=name), record(0.4)], run=facts))
    assert names(wide.figure)[0] == f"{name} (both models)"
    assert names(narrow.figure)[0] == f"{name}\n(both models)"


def verdict(name: str, outcome: str, gain: float = 0.1, variant: str = "", effect: float | None = None) -> Verdict:
    found = Effect("me", gain, gain - 0.1, gain + 0.1, 0.01, 0.1, 5.0, 6, "replicate", 10, "")
    said = {"id": name, "better": "fa", "than": "me", "metric": "auc", "data": "web", "effect": effect}
    place = Setting("toy", "minilm", variant)
    numbers = (found, 0.01, 0.02, 0.8, 0.1)
    return Verdict(Claim.model_validate(said), METRICS["auc"], place, *numbers, outcome, outcome)  # type: ignore[arg-type]


def test_a_line_of_the_claims_says_its_verdict_by_a_sign_and_a_word() -> None:
    outcomes = ("supported", "refuted", "equivalent", "inconclusive", "depends on the selection")
    figure = forest([verdict(f"c{at}", outcome) for at, outcome in enumerate(outcomes)], 8.0)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["✓ supported", "✗ refuted", "= equivalent", "? inconclusive", "≠ depends"]
    assert names(figure) == [f"c{at}\nfa over me" for at in range(5)]


def test_each_selection_has_a_mark_and_what_the_source_reports_one_a_claim() -> None:
    under = [verdict("a", "refuted", at / 10, f'{{"selection":"{name}"}}', 0.05) for at, name in enumerate(("x", "y"))]
    figure = forest(under, 8.0)
    marks = {line.get_label(): line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() != "None"}  # type: ignore[index]
    assert marks == {"x": 0.0, "y": 0.1, "what the source reports": 0.05}
    assert len(names(figure)) == 1


@pytest.mark.parametrize("width", [8.0, COLUMN])
def test_claims_without_numbers_and_with_long_names_are_drawn_inside_the_figure(width: float) -> None:
    nan = float("nan")
    figure = forest([verdict("a-claim-with-a-name-that-goes-on-and-on-and-on", "inconclusive", nan)], width)
    figure.draw_without_rendering()
    for text in (*figure.axes[0].texts, *figure.axes[0].get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width


def test_claims_are_drawn_where_there_are_some_but_not_very_many() -> None:
    def drawn(n: int) -> list[str]:
        found = GivenMaterial(verdicts=[verdict(f"c{at}", "refuted") for at in range(n)])
        return [one.name for one in Claims().figures(found)]

    assert [drawn(n) for n in (0, 1, 41)] == [[], ["claims", "claims-narrow"], []]


def test_a_sign_of_a_verdict_is_a_letter_that_every_machine_can_draw() -> None:
    outcomes = ("supported", "refuted", "depends on the selection")
    figure = forest([verdict(f"c{at}", outcome) for at, outcome in enumerate(outcomes)], 8.0)
    render(figure)  # spells what no font has
    assert not any(re.search(r"\\u", text.get_text()) for text in figure.axes[0].texts)
