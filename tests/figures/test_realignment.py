"""Re-alignments drawn, from planted ones whose outcome is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from fairl_bench.figures.best_of_n import best_of_n
from fairl_bench.figures.draw import draw
from fairl_bench.figures.realignment import against_kl, over_steps, proxy_against_truth
from fairl_bench.figures.style import LOOKS
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.given import GivenMaterial
from fairl_bench.results.realigned import compared
from fairl_bench.science.realignment import best_of_kl
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import figures_of
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.realigned import Realigned
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts

Plant = Callable[..., tuple[list[Realigned], list[Record]]]
ROWS: list[Row] = [Row("toy", "e", name, "") for name in ("good", "weak", "flipped")]


@pytest.fixture(scope="module")
def told(realign: Plant) -> tuple[list[Record], list[Comparison]]:
    found, records = realign({"good": 0.9, "weak": 0.2, "flipped": -0.9}, range(5), kls={"weak": 0.3})
    return records, list(compared(found, records, built_in_metrics(), 300))


def shown(figure: Figure | None) -> list[Axes]:
    assert figure is not None
    figure.draw_without_rendering()
    return [axis for axis in figure.axes if axis.axison]


def rates(records: list[Record], method: str, cut: str) -> list[float]:
    return [r.value for r in records if (r.method, r.slice, r.metric) == (method, cut, "toxicity_rate")]


def test_toxicity_over_steps_is_the_mean_with_the_band_of_its_runs(told: tuple[list[Record], list[Comparison]]) -> None:
    records, _ = told
    (axis,) = shown(over_steps(records, ROWS))
    for at, row in enumerate(ROWS):
        values = [rates(records, row[2], f"step:{step}") for step in (0, 10, 20, 30)]
        line = next(one for one in axis.lines[at:] if one.get_color() == LOOKS[at].colour)
        assert list(line.get_xdata()) == [0, 10, 20, 30]
        assert list(line.get_ydata()) == pytest.approx([np.mean(one) for one in values])
        band = np.asarray(axis.collections[at].get_paths()[0].vertices)
        assert band[:, 1].min() == pytest.approx(min(map(min, values)))
        assert band[:, 1].max() == pytest.approx(max(map(max, values)))


def test_every_method_is_named_beside_its_line_and_no_two_names_overlap(realign: Plant) -> None:
    _, records = realign({f"method-{i}": 0.8 for i in range(9)}, prompts=12)
    (axis,) = shown(over_steps(records, list(dict.fromkeys(record.row for record in records))))
    figure = axis.figure
    boxes = [text.get_window_extent() for text in axis.texts if text.get_text()]
    assert len(boxes) == 9
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.height and box.x1 <= figure.bbox.width for box in boxes)


def test_the_eighth_method_differs_from_the_first_by_an_open_mark(realign: Plant) -> None:
    _, records = realign({f"method-{i}": 0.8 for i in range(8)}, prompts=12)
    (axis,) = shown(over_steps(records, list(dict.fromkeys(record.row for record in records))))
    faces = [line.get_markerfacecolor() for line in axis.lines if line.get_color() == LOOKS[0].colour]
    assert set(faces) == {LOOKS[0].colour, "white"}


def test_against_kl_every_look_is_a_mark_and_every_budget_a_panel(
    told: tuple[list[Record], list[Comparison]],
) -> None:
    records, comparisons = told
    curve, *panels = shown(against_kl(records, ROWS, comparisons, built_in_metrics()))
    assert [panel.get_title() for panel in panels] == ["at KL 0.25", "at KL 0.5", "at KL 1"]
    marks = [line for line in curve.lines if line.get_linestyle() == "None" and len(line.get_xdata()) == 4]  # type: ignore[arg-type]
    assert len(marks) == 15
    at_half = panels[1]
    ends = [line.get_xdata() for line in at_half.lines if len(line.get_xdata()) == 2]  # type: ignore[arg-type]
    own = {c.method: (c.low, c.high) for c in comparisons
           if (c.data, c.metric, c.other) == ("realigned/kl:0.5", "toxicity_rate", "")}  # fmt: skip
    assert [tuple(map(float, end)) for end in ends] == [own[row[2]] for row in ROWS]
    points = [line for line in at_half.lines if len(line.get_xdata()) == 1]  # type: ignore[arg-type]
    assert [float(point.get_xdata()[0]) for point in points] == pytest.approx(  # type: ignore[index]
        [np.mean(rates(records, row[2], "kl:0.5")) for row in ROWS]
    )
    assert [point.get_markerfacecolor() for point in points] == [LOOKS[0].colour, "white", "white"]
    assert [text.get_text() for text in panels[2].texts] == ["n/a"]  # weak ends at 0.9


def test_an_over_optimised_reward_goes_right_and_down(told: tuple[list[Record], list[Comparison]]) -> None:
    records, _ = told
    panels = {axis.get_title(): axis for axis in shown(proxy_against_truth(records, ROWS))}
    assert list(panels) == ["good", "weak", "flipped"]
    for name, sign in (("good", 1), ("flipped", -1)):
        mean = next(line for line in panels[name].lines if line.get_marker() != "None")
        assert np.all(np.diff(mean.get_xdata()) > 0)
        assert np.all(sign * np.diff(mean.get_ydata()) > 0)


def test_best_of_n_is_drawn_against_its_bound(told: tuple[list[Record], list[Comparison]]) -> None:
    plain = replace(told[0][0], dataset="completed", split="", slice="all", note="", seed=0)
    rows = []
    for n in (1, 2, 4):
        for seed in (0, 1):
            rows.append(
                replace(plain, seed=seed, truth="gold", metric=f"best_of_{n}", value=n + 0.2 * seed, method="good")
            )
            rows.append(replace(plain, seed=seed, truth="gold", metric=f"best_of_{n}_bad", value=9.0, method="good"))
            rows.append(
                replace(plain, seed=seed, truth="", metric=f"best_of_{n}_kl", value=best_of_kl(n), method="good")
            )
    lost = replace(plain, truth="gold", metric="best_of_8", value=math.nan, note="a prompt has 4 samples, fewer than 8")
    figure = best_of_n([*rows, lost], ROWS, "completed")
    (axis,) = shown(figure)
    assert list(axis.lines[0].get_xdata()) == [best_of_kl(n) for n in (1, 2, 4)]
    assert list(axis.lines[0].get_ydata()) == pytest.approx([1.1, 2.1, 4.1])
    assert best_of_n(rows, ROWS, "other") is None


def test_models_have_panels_of_their_own_and_share_the_looks(realign: Plant) -> None:
    records = [row for model in ("a", "b") for row in realign({"good": 0.9}, prompts=12, model=model)[1]]
    axes = shown(over_steps(records, list(dict.fromkeys(record.row for record in records))))
    assert [axis.get_title() for axis in axes] == ["a", "b"]
    assert {axis.lines[0].get_color() for axis in axes} == {LOOKS[0].colour}


# --- reference rows

KNOWN = {
    **{"good": MethodFacts("truth", reference=True), "weak": MethodFacts("texts", reference=False)},
    **{"flipped": MethodFacts("one model", reference=False)},
}


def test_a_reference_is_a_grey_line_over_steps_and_takes_no_look_of_a_method(
    told: tuple[list[Record], list[Comparison]],
) -> None:
    records, _ = told
    (axis,) = shown(over_steps(records, ROWS, KNOWN))
    means = [line for line in axis.lines if len(line.get_xdata()) == 4]  # type: ignore[arg-type]
    assert [line.get_color() for line in means][1:] == [LOOKS[0].colour, LOOKS[1].colour]
    assert len(set(to_rgb(str(means[0].get_color())))) == 1
    assert (means[0].get_linestyle(), means[0].get_marker()) == ("--", "")
    assert len(axis.collections) == 2  # bands of the two methods
    names = {text.get_text() for text in axis.texts} - {""}
    assert names == {"good (truth)", "weak", "flipped (one model)"}


def test_at_a_budget_a_reference_is_a_line_across_the_methods(realign: Plant) -> None:
    found, records = realign({"good": 0.9, "weak": 0.2, "flipped": -0.9}, range(3), prompts=20)
    comparisons = list(compared(found, records, built_in_metrics(), 100, references=["good"]))
    figure = against_kl(records, ROWS, comparisons, built_in_metrics(), KNOWN)
    curve, *panels = shown(figure)
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["weak", "flipped (one model)"]
    for panel, cut in zip(panels, ("kl:0.25", "kl:0.5", "kl:1"), strict=True):
        (line,) = (one for one in panel.lines if one.get_label() == "good (truth)")
        assert [float(x) for x in line.get_xdata()] == pytest.approx([np.mean(rates(records, "good", cut))] * 2)  # type: ignore[union-attr]
        assert [float(y) for y in line.get_ydata()] == [-0.5, 1.5]  # type: ignore[union-attr]
        points = [one for one in panel.lines if len(one.get_xdata()) == 1]  # type: ignore[arg-type]
        assert len(points) == 2
    grey = [one for one in curve.lines if one.get_linestyle() == "--" and one.get_marker() == ""]
    assert len(grey) == 1
    assert figure is not None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["good (truth)"]


def test_a_reference_has_a_panel_of_proxy_and_truth_with_its_ends_marked(
    told: tuple[list[Record], list[Comparison]],
) -> None:
    panels = {axis.get_title(): axis for axis in shown(proxy_against_truth(told[0], ROWS, KNOWN))}
    assert list(panels) == ["good (truth)", "weak", "flipped (one model)"]
    assert [line.get_marker() for line in panels["good (truth)"].lines[-2:]] == ["o", "o"]


def test_only_what_was_aligned_again_is_drawn(told: tuple[list[Record], list[Comparison]]) -> None:
    records, comparisons = told
    parts = figures_of(Registry(installed=False))
    assert draw(parts, GivenMaterial()) == {}
    rows = dict.fromkeys(ROWS, Runs(5))
    made = draw(parts, GivenMaterial(records=records, comparisons=comparisons, rows=rows, metrics=built_in_metrics()))
    assert list(made) == ["realignment-steps", "realignment-kl", "realignment-proxy"]
