from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from sklearn.metrics import roc_auc_score

from fairl_bench.figures import letters
from fairl_bench.figures.draw import draw
from fairl_bench.figures.leaderboard import by_encoder, by_selection, intervals
from fairl_bench.figures.rewards import distributions, misranked_by_margin, reliability, subtypes
from fairl_bench.figures.style import LOOKS, render
from fairl_bench.figures.sweeps import lines, sweep
from fairl_bench.figures.training import curves
from fairl_bench.figures.transfer import transfer, transferred
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.given import GivenMaterial
from fairl_bench.science.agreement import standardised
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import figures_of
from fairl_bench.tables.leaderboard import Leaderboard, leaderboard
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.history import History
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.table import Table
from fairl_bench.views import Drawn

METRICS = built_in_metrics()


def gold(_: str) -> str:
    return "gold"


def preferred(_: str) -> str:
    return "preferred"


def record(value: float, **changed: object) -> Record:
    plain = {
        **{"suite": "s", "model": "toy", "encoder": "minilm", "head": "mlp", "method": "mm", "variant": ""},
        **{"replicate": 0, "seed": 0, "dataset": "shifted", "split": "", "slice": "all", "truth": "gold"},
        **{"metric": "auc", "other": "", "n": 10, "note": "" if math.isfinite(value) else "none", "stage": "k"},
    }
    return Record(**{**plain, "value": value, **changed})  # type: ignore[arg-type]


LAYOUT = Leaderboard(data=("shifted",), metrics=("auc",))


def board(rows: list[Record]) -> Table:
    runs = {row.row: Runs(1) for row in rows}
    return leaderboard(rows, LAYOUT, runs, METRICS)


def sheet(n: int = 40, model: str = "toy", data: str = "shifted", methods: tuple[str, ...] = ("mm",)) -> Sheet:
    """Texts, every second one good; pairs of neighbours; the bad ones in turn of either subtype."""
    rng = np.random.default_rng(n)
    label = np.where(np.arange(n) % 2 == 0, 1, -1).astype(np.int8)
    kind = np.where((label < 0) & (np.arange(n) % 4 == 1), 1, -1).astype(np.int8)
    truths = {
        "gold": Truth(label.astype(float), label),
        "subtype:insult": Truth(kind.astype(float), kind),
        "subtype:threat": Truth(-kind.astype(float), np.where(label < 0, -kind, -1).astype(np.int8)),
    }
    pair = np.repeat(np.arange(n // 2), 2) if data.startswith("pairs") else np.full(n, -1)
    role = label if data.startswith("pairs") else np.zeros(n, np.int8)
    rewards = {Run("minilm", "mlp", method, "", 0): label + rng.normal(size=n) for method in methods}
    return Sheet("s", model, 0, data, Examples(tuple(map(str, range(n))), pair=pair, role=role, truths=truths), rewards)


def shown(figure: Figure | None) -> list[Axes]:
    assert figure is not None
    return [axis for axis in figure.axes if axis.axison]


def test_every_series_differs_from_its_neighbour_in_grey_in_marker_and_in_line() -> None:
    def grey(colour: str) -> float:
        return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))

    for one, other in pairwise(LOOKS):
        assert abs(grey(one.colour) - grey(other.colour)) > 0.1
        assert one.marker != other.marker
        assert one.line != other.line


def test_equal_figures_are_equal_bytes() -> None:
    table = board([record(0.5), record(0.7, method="me")])
    first, second = (render(intervals(table, METRICS)) for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert b"<svg" in first["svg"]


def test_a_readers_own_style_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    table = board([record(0.5)])
    plain = render(intervals(table, METRICS))  # type: ignore[arg-type]
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)
    assert render(intervals(table, METRICS)) == plain  # type: ignore[arg-type]
    assert matplotlib.rcParams["font.size"] == 30


def test_a_name_with_a_dollar_is_no_formula() -> None:
    assert render(intervals(board([record(0.5, method="a$b$c_{")]), METRICS))  # type: ignore[arg-type]


def test_the_leaderboard_has_a_point_a_method_at_its_mean() -> None:
    (axis,) = shown(
        intervals(board([record(0.5), record(0.7, method="me"), record(0.9, method="me", seed=1)]), METRICS)
    )
    assert [line.get_xdata()[0] for line in axis.lines] == [0.5, pytest.approx(0.8)]  # type: ignore[index]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["mm", "me"]


def test_an_interval_is_drawn_from_end_to_end_and_the_best_are_filled() -> None:
    table = board([record(0.5), record(0.7, method="me")])
    tidy = (
        {**table.tidy[0], "low": 0.4, "high": 0.6, "rank": 2},
        {**table.tidy[1], "low": 0.6, "high": 0.8, "rank": 1},
    )
    (axis,) = shown(intervals(table._replace(tidy=tidy), METRICS))
    assert [list(line.get_xdata()) for line in axis.lines[::2]] == [[0.4, 0.6], [0.6, 0.8]]
    assert [line.get_markerfacecolor() for line in axis.lines[1::2]] == ["white", LOOKS[0].colour]


def test_what_is_not_known_is_drawn_as_not_available() -> None:
    (axis,) = shown(intervals(board([record(math.nan), record(0.7, method="me")]), METRICS))
    assert [text.get_text() for text in axis.texts] == ["n/a"]
    assert intervals(board([record(math.nan)]), METRICS) is None


def test_encoders_are_compared_where_there_are_two() -> None:
    one = [record(0.5), record(0.6, method="me")]
    assert by_encoder(board(one), METRICS) is None
    (axis,) = shown(by_encoder(board([*one, *(record(0.7, method=row.method, encoder="lm") for row in one)]), METRICS))
    assert {line.get_label() for line in axis.lines} == {"minilm", "lm"}
    assert len(axis.get_yticklabels()) == 2


def test_rules_for_the_kept_epoch_are_compared_method_by_method() -> None:
    rules = [f'{{"selection":"{name}"}}' for name in ("whole-run", "last")]
    rows = [record(0.5 + 0.1 * at, method=name, variant=rule) for name in ("mm", "me") for at, rule in enumerate(rules)]
    assert by_selection(board(rows[:1]), METRICS) is None
    (axis,) = shown(by_selection(board(rows), METRICS))
    assert {line.get_label() for line in axis.lines} == {"whole-run", "last"}
    assert [label.get_text() for label in axis.get_yticklabels()] == ["mm", "me"]


def test_a_standardised_reward_has_mean_0_and_spread_1_and_forgets_scale_and_shift() -> None:
    reward = np.array([1.0, 2.0, 4.0, 9.0])
    found = standardised(reward)
    np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=1e-12)  # float64
    np.testing.assert_allclose(standardised(3 * reward - 7), found, atol=1e-12)
    assert standardised(np.full(3, 2.0)).tolist() == [0, 0, 0]


def test_rewards_have_a_panel_a_method_and_need_both_classes() -> None:
    axes = shown(distributions([sheet(methods=("mm", "me"))], gold))
    assert [axis.get_title() for axis in axes] == ["mm", "me"]
    assert distributions([sheet()], preferred) is None


def test_the_reliability_of_margins_is_counted_by_tenths() -> None:
    pairs = sheet(40, data="pairs/test")
    reward = np.empty(40)
    # pair i has margin i - 3: the first four of twenty have theirs at or below zero
    reward[0::2], reward[1::2] = np.arange(20) - 3.0, 0.0
    found = misranked_by_margin(pairs, reward)
    assert found is not None
    assert found.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert misranked_by_margin(sheet(40), reward) is None  # no pairs
    assert misranked_by_margin(sheet(18, data="pairs/test"), reward[:18]) is None  # nine pairs


def test_reliability_and_subtypes_are_drawn_only_where_they_are_known() -> None:
    assert [axis.get_title() for axis in shown(reliability([sheet(data="pairs/test")]))] == ["mm"]
    assert reliability([sheet()]) is None
    (axis,) = shown(subtypes([sheet()]))
    assert [bar.get_width() for bar in axis.patches] == [25.0, 25.0]  # type: ignore[attr-defined]
    assert subtypes([]) is None


def test_a_curve_is_the_mean_of_the_runs_that_still_train() -> None:
    def history(seed: int, *losses: float) -> History:
        cell = Coordinates.of(World("toy", 0), Run("minilm", "mlp", "mm", "", seed))
        return History(cell, {"validation_loss": np.array(losses)})

    (axis,) = shown(curves([history(0, 3.0, 2.0), history(1, 1.0)]))
    assert list(axis.lines[0].get_ydata()) == [2.0, 2.0]
    without = Coordinates.of(World("toy", 0), Run("minilm", "linear", "length", "", None))
    assert curves([History(without, {})]) is None


def test_a_heat_map_has_a_row_a_model_and_a_column_a_subtype() -> None:
    one, other = sheet(model="insult"), sheet(model="threat")
    found = transferred([one, other], "mm", ["insult", "threat"], ["subtype:insult", "subtype:threat"])
    label, reward = one.examples.truths, next(iter(one.rewards.values()))
    good, insult = label["gold"].label > 0, label["subtype:insult"].label > 0
    assert found[0, 0] == pytest.approx(roc_auc_score(good[good | insult], reward[good | insult]), abs=1e-12)
    axes = shown(transfer([one, other], ["mm", "gone"]))
    assert [text.get_text() for text in axes[0].texts] == [f"{value:.2f}" for value in found.ravel()]
    assert transfer([one], ["mm"]) is None


@pytest.mark.parametrize(
    ("variants", "label", "x"),
    [
        (['{"a.width":64}', '{"a.width":32}'], "width", [32.0, 64.0]),
        (
            ['{"m.mix":{"good-to-good":1.0}}', '{"m.mix":{"bad-to-good":0.25,"good-to-good":0.75}}'],
            "pairs bad-to-good, %",
            [0.0, 25.0],
        ),
    ],
)
def test_a_sweep_runs_along_numbers_and_along_the_share_of_a_mix(
    variants: list[str], label: str, x: list[float]
) -> None:
    (line,) = lines(variants)
    assert line.label == label
    assert list(line.x.values()) == x


@pytest.mark.parametrize(
    "variants",
    [
        *([], [""], ['{"a":1}']),
        ['{"a":1,"b":1}', '{"a":2,"b":2}'],
        ['{"a":"x"}', '{"a":"y"}'],
        ['{"a":true}', '{"a":2}'],
    ],
)
def test_there_is_no_line_where_nothing_or_several_things_vary_or_no_number(variants: list[str]) -> None:
    assert list(lines(variants)) == []


def test_a_sweep_draws_means_and_the_band_from_least_to_most() -> None:
    variants = ['{"a.width":32}', '{"a.width":64}']
    rows = [record(v + s / 10, variant=name, seed=s) for v, name in enumerate(variants) for s in (0, 1, 2)]
    (line,) = lines(variants)
    (axis,) = shown(sweep(line, rows, [], [("shifted", "auc")], gold, METRICS))
    assert list(axis.lines[0].get_xdata()) == [32, 64]
    assert list(axis.lines[0].get_ydata()) == pytest.approx([0.1, 1.1])
    band = axis.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0, 1.2)  # type: ignore[index]
    assert sweep(line, rows, [], [("shifted", "f1")], gold, METRICS) is None


# --- reference rows

KNOWN = {
    **{"oracle": MethodFacts("truth", reference=True), "bound": MethodFacts("both models", reference=True)},
    **{"mm": MethodFacts("texts", reference=False), "me": MethodFacts("one model", reference=False)},
}
Drawing = tuple[str, list[float], list[float]]


def referred(rows: list[Record]) -> Table:
    return leaderboard(rows, LAYOUT, {row.row: Runs(1) for row in rows}, METRICS, methods=KNOWN)


def grey_lines(axis: Axes) -> list[Drawing]:
    """The lines of reference rows: label, where they stand, and from where to where."""
    of_references = [line for line in axis.lines if str(line.get_label()).startswith(("oracle", "bound"))]
    assert all(line.get_linestyle() != "-" and line.get_marker() in ("", "None") for line in of_references)
    assert all(len(set(to_rgb(str(line.get_color())))) == 1 for line in of_references)  # grey
    return [
        (str(line.get_label()), [float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()])  # type: ignore[union-attr]
        for line in of_references
    ]


def test_a_reference_is_a_grey_line_across_the_methods_and_no_point() -> None:
    rows = [record(0.5), record(0.6, method="me"), record(1.0, method="oracle"), record(0.9, method="bound")]
    figure = intervals(referred(rows), METRICS)
    (axis,) = shown(figure)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["mm", "me (one model)"]
    points = [line for line in axis.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == [0.5, 0.6]  # type: ignore[index]
    assert grey_lines(axis) == [
        ("oracle (truth)", [1.0, 1.0], [-0.5, 1.5]),
        ("bound (both models)", [0.9, 0.9], [-0.5, 1.5]),
    ]
    assert figure is not None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["oracle (truth)", "bound (both models)"]
    assert len({line.get_linestyle() for line in axis.lines if line not in points}) == 2


def test_a_reference_crosses_the_methods_of_its_own_model_alone() -> None:
    rows = [record(x, model=m, method=name) for m, name, x in (
        ("a", "mm", 0.1), ("a", "oracle", 0.3), ("b", "mm", 0.2), ("b", "oracle", 0.4), ("c", "mm", 0.2),
    )]  # fmt: skip
    (axis,) = shown(intervals(referred(rows), METRICS))
    assert grey_lines(axis) == [
        ("oracle (truth)", [0.3, 0.3], [-0.5, 0.5]),
        ("oracle (truth)", [0.4, 0.4], [0.5, 1.5]),
    ]


def test_the_interval_of_a_reference_is_a_band() -> None:
    table = referred([record(0.5), record(0.9, method="oracle")])
    tidy = ({**table.tidy[0], "low": 0.8, "high": 0.95}, table.tidy[1])
    (axis,) = shown(intervals(table._replace(tidy=tidy), METRICS))
    (band,) = axis.collections
    corners = np.asarray(band.get_paths()[0].vertices)
    assert (corners[:, 0].min(), corners[:, 0].max()) == (0.8, 0.95)


def test_references_without_a_method_are_drawn_as_methods_are() -> None:
    (axis,) = shown(intervals(referred([record(1.0, method="oracle"), record(0.9, method="bound")]), METRICS))
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["oracle (truth)", "bound (both models)"]
    assert [line.get_marker() for line in axis.lines] == ["o", "o"]


def test_a_column_that_references_alone_have_still_shows_them() -> None:
    (axis,) = shown(intervals(referred([record(math.nan), record(0.9, method="oracle")]), METRICS))
    assert [text.get_text() for text in axis.texts] == ["n/a"]
    assert grey_lines(axis) == [("oracle (truth)", [0.9, 0.9], [-0.5, 0.5])]


def test_a_reference_crosses_the_marks_of_every_encoder() -> None:
    rows = [
        *(record(0.5, encoder=e) for e in ("minilm", "lm")),
        *(record(0.9, encoder=e, method="oracle") for e in ("minilm", "lm")),
        *(record(x, encoder=e, method="bound") for e, x in (("minilm", 0.7), ("lm", 0.8))),
    ]
    figure = by_encoder(referred(rows), METRICS)
    (axis,) = shown(figure)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["mm"]
    assert grey_lines(axis) == [
        ("oracle (truth)", [0.9, 0.9], [-0.5, 0.5]),
        ("bound (both models)", [0.7, 0.7], [-0.5, 0.0]),
        ("bound (both models)", [0.8, 0.8], [0.0, 0.5]),
    ]
    assert figure is not None
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["oracle (truth)", "bound (both models)", "minilm", "lm"]


def test_a_reference_is_a_grey_line_along_a_sweep_and_takes_no_look_of_a_method() -> None:
    variants = ['{"a.width":32}', '{"a.width":64}']
    rows = [
        record(x + s / 10, method=name, variant=variant, seed=s)
        for x, variant in zip((0.5, 0.6), variants, strict=True)
        for name, seeds in (("oracle", (0,)), ("mm", (0, 1)))
        for s in seeds
    ]
    (line,) = lines(variants)
    (axis,) = shown(sweep(line, rows, [], [("shifted", "auc")], gold, METRICS, KNOWN))
    assert grey_lines(axis) == [("oracle (truth)", [32, 64], [0.5, 0.6])]
    assert [one.get_color() for one in axis.lines if one.get_label() == "mm"] == [LOOKS[0].colour]
    assert len(axis.collections) == 1  # the band of mm


def test_the_panel_of_a_reference_is_named_with_what_it_was_given() -> None:
    whole = [sheet(methods=("oracle", "mm")), sheet(data="pairs/test", methods=("oracle", "mm"))]
    for axes in (shown(distributions(whole[:1], gold, KNOWN)), shown(reliability(whole[1:], KNOWN))):
        assert [axis.get_title() for axis in axes] == ["oracle (truth)", "mm"]
        assert [axis.title.get_fontstyle() for axis in axes] == ["italic", "normal"]


def test_a_legend_is_as_wide_as_its_figure_and_higher_where_it_has_more_lines() -> None:
    names = [f"a-method-with-a-name-of-some-length-{i}" for i in range(6)]
    variants = ['{"a.width":32}', '{"a.width":64}']
    (line,) = lines(variants)
    heights = []
    for most in (1, 6):
        rows = [record(0.5, method=name, variant=variant) for name in names[:most] for variant in variants]
        figure = sweep(line, rows, [], [("shifted", "auc")], gold, METRICS)
        assert figure is not None
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        heights.append(figure.get_figheight())
    assert heights[1] > heights[0]


def drawn(sheets: list[Sheet], rows: list[Record]) -> dict[str, Drawn]:
    runs = {row.row: Runs(1) for row in rows}
    report = {"table1": Leaderboard.named("table1", data=("pairs/test", "shifted"), metrics=("auc",))}
    material = GivenMaterial(records=rows, rows=runs, report=report, sheets=sheets, metrics=METRICS)
    return draw(figures_of(Registry(installed=False)), material)


def test_only_what_has_data_is_drawn() -> None:
    assert drawn([], []) == {}
    rows = [record(0.5), record(0.6, method="me")]
    assert list(drawn([sheet(data="pairs/test"), sheet(methods=("mm", "me"))], rows)) == [
        *("headline", "headline-narrow", "leaderboard"),
        *("rewards-pairs-test", "rewards-shifted", "reliability", "subtypes"),
    ]
    models = [sheet(model=model, methods=("mm", "me")) for model in ("insult", "threat")]
    assert "transfer-shifted" in drawn(models, rows)
    swept = [record(0.5, variant='{"a.width":1}'), record(0.6, variant='{"a.width":2}')]
    assert list(drawn([], swept)) == ["sweep-a-width"]


# --- letters


@pytest.mark.parametrize("place", ["method", "dataset"])
def test_a_letter_that_no_font_has_is_written_as_its_number(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "families", lambda: [letters.OWN])
    letters._drawable.cache_clear()
    rows = [record(0.8), record(0.7, method="侮辱 é" if place == "method" else "other")]
    figure = intervals(board(rows), METRICS)
    assert figure is not None
    if place == "dataset":
        figure.axes[0].set_title("侮辱 é")
    render(figure)  # matplotlib warns of a letter that it lacks, and warnings are errors
    letters._drawable.cache_clear()
    texts = {text.get_text() for text in figure.findobj(Text)}
    assert any(r"\u4fae\u8fb1 é" in text for text in texts)


def test_another_font_of_the_machine_draws_what_ours_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        SimpleNamespace(name="WenQuanYi Zen Hei"),
        SimpleNamespace(name="Comic"),
        SimpleNamespace(name=letters.OWN),
    ]
    monkeypatch.setattr(fontManager, "ttflist", found)
    letters.families.cache_clear()
    assert letters.families() == [letters.OWN, "WenQuanYi Zen Hei"]
    letters.families.cache_clear()
