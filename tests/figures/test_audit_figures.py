"""The two pictures of an audit: how it came to its verdict, and what share each concept explains."""

from __future__ import annotations

import math

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from fairl_bench.figures.pipeline import Pipeline, as_column, as_row, steps_of
from fairl_bench.figures.shares import Separable as SeparableFigure
from fairl_bench.figures.shares import Shares, separable, shares
from fairl_bench.figures.style import BAD, COLUMN, GOOD
from fairl_bench.results.audited import Audited
from fairl_bench.results.given import GivenMaterial
from fairl_bench.science.concepts import Interval
from fairl_bench.values.findings import ConceptFinding, Findings, Outcome, Separable

LESS, MORE = Interval(-1.0, -1.2, -0.8), Interval(1.0, 0.8, 1.2)
EVEN = Interval(0.5, 0.4, 0.6)
CONCEPTS = (
    ConceptFinding("toxic-words", "named", Interval(0.62, 0.51, 0.71), LESS, EVEN),
    ConceptFinding("length", "cannot tell", Interval(0.1, -0.02, 0.22), MORE, EVEN),
    ConceptFinding("questions", "ruled out", Interval(0.0, -0.01, 0.02), MORE, EVEN),
    ConceptFinding("praise", None, Interval(math.nan), Interval(math.nan), EVEN, why="it is the same in all texts"),
)
MODELS = Audited("my-expert", "my-base", by_models=True, pairs=1_600)


def audit(outcome: Outcome = "named", concepts: tuple[ConceptFinding, ...] = CONCEPTS, **changed: object) -> Findings:
    accuracy = Interval(0.51, 0.47, 0.55) if outcome == "no difference shown" else Interval(0.82, 0.75, 0.88)
    told = (Separable(accuracy, 800, 799, 0.55), concepts, Interval(0.28, 0.2, 0.4), math.nan, ())
    found = Findings("expert", 0, "log-ratio", "both models", "pairs/test", outcome, "A verdict", *told)
    return found._replace(**changed)  # type: ignore[arg-type]


def names(axis: Axes) -> list[str]:
    """The names beside the bars, from the top."""
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    return [text.get_text() for text in axis.get_yticklabels()]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


# --- shares


def test_each_measured_concept_has_a_bar_and_the_unexplained_rest_the_last() -> None:
    (axis,) = shares(audit(), 8.0).axes
    assert names(axis) == ["less toxic words", "length", "questions", "unexplained"]
    bars = [bar for bar in axis.patches if isinstance(bar, Rectangle)]
    assert [bar.get_width() for bar in bars] == [0.62, 0.1, 0.0, 0.28]


def test_a_verdict_is_told_by_a_sign_a_word_and_a_fill_and_not_by_colour_alone() -> None:
    figure = shares(audit(), 8.0)
    assert texts(figure) == [
        *("✓ named", "62 % [51, 71]"),
        *("? cannot tell", "10 % [-2, 22]"),
        *("– ruled out", "0 % [-1, 2]"),
        *("", "28 % [20, 40]"),
    ]
    filled = [bar.get_facecolor()[:3] == (1.0, 1.0, 1.0) for bar in figure.axes[0].patches]
    assert filled == [False, True, False, False]


def test_concepts_that_share_one_share_have_one_bar() -> None:
    alike = CONCEPTS[0]._replace(with_it=("profanity",))
    other = CONCEPTS[0]._replace(name="profanity", with_it=("toxic-words",))
    (axis,) = shares(audit(concepts=(alike, other, CONCEPTS[1])), 8.0).axes
    assert names(axis) == ["less toxic words or profanity", "length", "unexplained"]


def test_a_concept_that_only_stands_in_for_others_shows_what_it_would_explain_alone() -> None:
    stands_in = CONCEPTS[2]._replace(alone=Interval(0.9, 0.8, 1.0))
    (axis,) = shares(audit(concepts=(*CONCEPTS[:2], stands_in)), 8.0).axes
    diamonds = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() == "d"]  # type: ignore[index]
    assert diamonds == [(0.9, 2)]
    assert axis.get_xlim()[1] > 0.9


def test_an_interval_far_outside_of_what_a_share_can_be_does_not_stretch_the_axis() -> None:
    wild = CONCEPTS[1]._replace(share=Interval(0.3, -5.0, 9.0))
    left, right = shares(audit(concepts=(wild,)), 8.0).axes[0].get_xlim()
    assert -0.5 < left < 0
    assert 1 < right < 1.2


@pytest.mark.parametrize("width", [8.0, COLUMN])
def test_nothing_of_the_shares_overlaps_or_leaves_the_figure(width: float) -> None:
    long = CONCEPTS[0]._replace(name="a-concept-with-a-name-that-goes-on-and-on", share=Interval(1.0, 0.9, 1.1))
    figure = shares(audit(concepts=(long, *CONCEPTS)), width)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    for verdict, percent in zip(axis.texts[::2], axis.texts[1::2], strict=True):
        assert axis.get_window_extent().x1 <= verdict.get_window_extent().x0
        assert verdict.get_window_extent().x1 < percent.get_window_extent().x0
        assert percent.get_window_extent().x1 <= figure.bbox.width
    assert all(label.get_window_extent().x0 >= 0 for label in axis.get_yticklabels())
    assert figure._supxlabel.get_window_extent().width <= figure.bbox.width  # type: ignore[attr-defined]


def test_where_no_difference_is_shown_there_are_no_shares_but_what_would_have_been_found() -> None:
    material = GivenMaterial(findings=[audit("no difference shown")])
    assert list(Shares().figures(material)) == []
    wide, narrow = SeparableFigure().figures(material)
    assert [wide.name, narrow.name] == ["separable", "separable-narrow"]
    points = [line.get_xdata()[0] for line in wide.figure.axes[0].lines if line.get_marker() != "None"]  # type: ignore[index]
    assert points == [0.51, 0.55]
    assert list(SeparableFigure().figures(GivenMaterial(findings=[audit()]))) == []


def test_without_a_pair_accuracy_there_is_no_picture_of_it() -> None:
    unknown = Separable(Interval(math.nan), 0, 0, math.nan)
    nothing = audit("no difference shown", separable=unknown)
    assert list(SeparableFigure().figures(GivenMaterial(findings=[nothing]))) == []
    assert separable(audit("no difference shown", separable=unknown._replace(accuracy=EVEN)), 8.0)


def test_several_audits_have_pictures_of_their_own_and_many_have_none() -> None:
    found = [audit(), audit(replicate=1, model="a/b")]
    drawn = [one for part in (Shares(), Pipeline()) for one in part.figures(GivenMaterial(findings=found))]
    assert [one.name for one in drawn[::2]] == [
        *("shares-expert-r0", "shares-a-b-r1"),
        *("pipeline-expert-r0", "pipeline-a-b-r1"),
    ]
    assert drawn[0].title == "What share of the reward each concept explains: expert, replicate 0"
    many = GivenMaterial(findings=[audit()] * 4)
    assert [one for part in (Shares(), SeparableFigure(), Pipeline()) for one in part.figures(many)] == []


# --- the pipeline


def test_the_pipeline_has_the_numbers_of_this_audit() -> None:
    steps = [
        [(box.head, " ".join(box.lines).replace("\xa0", " ")) for box in step] for step in steps_of(audit(), MODELS)
    ]
    assert steps == [
        [("prompts", "799 held out")],
        [("base", "my-base"), ("expert", "my-expert")],
        [("pairs", "1,600, of which 800 held out")],
        [("reward", "log-ratio knows both models tells 82 % of pairs apart [75, 88]")],
        [("concepts", "3 of 4 judged; they explain 72 % of the reward")],
        [("✓ named", "less toxic words: 62 %")],
    ]


def test_texts_that_were_there_come_from_no_models() -> None:
    sides = Audited("preferred texts", "rejected texts", by_models=False, pairs=800)
    steps = steps_of(audit(given="texts"), sides)
    assert [box.head for box in steps[0]] == ["preferred texts", "rejected texts"]
    assert [step[0].head for step in steps[1:]] == ["pairs", "reward", "concepts", "✓ named"]
    assert steps[1][0].lines == ("800 held out",)


@pytest.mark.parametrize(
    ("outcome", "head", "said", "colour"),
    [
        ("named", "✓ named", "3 of 4 judged; they", GOOD.colour),
        ("nothing named", "? nothing named", "3 of 4 judged; they", BAD.colour),
        ("no difference shown", "= no difference", "4, not read", "#595959"),
    ],
)
def test_the_last_box_tells_the_outcome(outcome: Outcome, head: str, said: str, colour: str) -> None:
    from matplotlib.colors import to_hex

    steps = steps_of(audit(outcome), MODELS)
    assert steps[-1][0].head == head
    assert steps[-2][0].lines[0].startswith(said)
    last = as_row(steps, outcome).axes[0].patches[-1]
    assert to_hex(last.get_edgecolor()).upper() == colour.upper()


@pytest.mark.parametrize("draw", [as_row, as_column])
@pytest.mark.parametrize("outcome", ["named", "nothing named", "no difference shown"])
@pytest.mark.parametrize("name", ["m", "an-organisation-s-language-model-with-a-name-that-never-ends", "口" * 9, ""])
def test_every_text_of_the_pipeline_lies_in_its_box_and_no_two_boxes_overlap(draw, outcome: Outcome, name: str) -> None:
    found = audit(outcome, (CONCEPTS[0]._replace(name="a very long name of a concept"), *CONCEPTS), method=name[:30])
    figure = draw(steps_of(found, MODELS._replace(base=name, expert=name)), outcome)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    boxes = [patch.get_window_extent() for patch in axis.patches if isinstance(patch, FancyBboxPatch)]
    assert all(not one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 for box in boxes)
    for text in axis.texts:
        if text.get_text():  # an arrow has none
            extent = text.get_window_extent()
            assert any(box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 for box in boxes), text
