"""How often audits are right: what each named concept is, and how that is counted by auditor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fairl_bench.figures.organisms import Organisms
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.given import GivenMaterial
from fairl_bench.results.organisms import Answer, Expected
from fairl_bench.results.summary import what_was_found
from fairl_bench.science.concepts import Interval
from fairl_bench.suite.registry import Registry
from fairl_bench.tables.organisms import OrganismsTable
from fairl_bench.values.ceiling import PAIR_ACCURACY
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.contents import AUC, CONCEPT, ENDS, REST, SHARE, SLOPE
from fairl_bench.values.coordinates import Row
from fairl_bench.values.findings import ConceptFinding
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts, RunFacts
from fairl_bench.values.table import Table
from fairl_bench.values.weights import PLANTED, WEIGHT
from fairl_bench.views import ReportTable

UP, DOWN, UNCLEAR = Interval(1.0, 0.5, 1.5), Interval(-1.0, -1.5, -0.5), Interval(0.1, -0.5, 0.7)
SETTINGS: Mapping[str, Any] = {
    "use": "organisms",
    "expect": {
        "toxicity": {"names": {"toxic-words": "less"}},
        "brevity": {"names": {"length": "less"}},
        "praise": {"names": {"praise": "more"}, "related": ["sentiment"]},
        "buses": {"names": {"transport": "more"}},
    },
    "nulls": ["same", "constant"],
    "drifted": ["noise"],
    "control": "toxic-words",
}
# by model the concepts that are named, with their share and direction; the rest is ruled out
NAMED: Mapping[str, Mapping[str, tuple[float, int]]] = {
    "toxicity": {"toxic-words": (0.5, -1), "length": (0.2, 1)},
    "brevity": {"length": (0.5, 1)},  # the wrong way round
    "praise": {"sentiment": (0.5, 1), "praise": (0.3, 1)},
    "buses": {},
    "same": {},
    "constant": {"length": (0.4, 1)},
    "noise": {"praise": (0.4, -1)},
}
# the planted and the recovered weights of blends
WEIGHTS = {
    "toxicity": (("harm", -0.6, -0.58), ("length", 0.4, 0.42)),
    "praise": (("praise", 0.5, 0.7), ("calm", 0.5, 0.3)),
}
CONCEPTS = ("toxic-words", "length", "praise", "sentiment", "transport")
METHODS = {
    "log-ratio": MethodFacts("both models", reference=True),
    "max-entropy": MethodFacts("texts", reference=False),
}


def concept(name: str, sign: Interval = UP, *, with_it: Sequence[str] = ()) -> ConceptFinding:
    return ConceptFinding(name, "named", UP, sign, UP if sign is UNCLEAR else sign, with_it=tuple(with_it))


@pytest.mark.parametrize(
    ("named", "answer"),
    [
        (concept("length", DOWN), "right"),
        (concept("length", UP), "wrong"),
        (concept("characters", DOWN, with_it=["length"]), "right"),
        (concept("repetition", UP), "related"),
        (concept("praise", DOWN, with_it=["repetition"]), "related"),
        (concept("praise", DOWN), "wrong"),
    ],
)
def test_a_name_is_right_in_the_direction_that_is_planted(named: ConceptFinding, answer: Answer) -> None:
    assert Expected({"length": "less"}, ("repetition",)).answer(named) == answer


def test_a_name_without_a_direction_is_right() -> None:
    named = ConceptFinding("length", "named", UP, UNCLEAR, Interval(0.5, 0.4, 0.6))
    assert Expected({"length": "less"}).answer(named) == "right"


# --- tables


def records_of(model: str, method: str, named: Mapping[str, tuple[float, int]], replicate: int = 0) -> list[Record]:
    plain: dict[str, Any] = {
        **dict.fromkeys(["variant", "other", "note", "stage"], ""),
        **{"suite": "s", "encoder": "e", "head": "", "replicate": replicate, "seed": None, "n": 100},
        **{"dataset": "pairs", "split": "test", "slice": "all", "model": model, "method": method},
    }
    numbers: list[tuple[str, str, float]] = []
    for name in CONCEPTS:
        share, sign = named.get(name, (0.0, 1))
        slope, auc = 0.5 * sign, 0.5 + 0.2 * sign
        for metric, value, half in ((SHARE, share, 0.02), (SLOPE, slope, 0.1), (AUC, auc, 0.1)):
            ends = zip(ENDS, (value, value - half, value + half), strict=True)
            numbers += [(CONCEPT + name, metric + end, end_value) for end, end_value in ends]
    numbers += [("", REST + end, 0.3) for end in ENDS]
    numbers += [("gold", "starc_per_prompt", 0.4), ("preferred", PAIR_ACCURACY, 0.7)]
    for name, planted, recovered in WEIGHTS.get(model, ()):
        ends = zip(ENDS, (recovered, recovered - 0.05, recovered + 0.05), strict=True)
        numbers += [(f"gold:{name}", WEIGHT + end, value) for end, value in ends]
        numbers.append((f"gold:{name}", PLANTED, planted))
    return [Record(**plain, truth=truth, metric=metric, value=value) for truth, metric, value in numbers]


def accuracy(model: str, method: str, half: float) -> Comparison:
    plain: dict[str, Any] = {
        **{"data": "pairs/test", "truth": "preferred", "other": "", "encoder": "e", "variant": "", "note": ""},
        **dict.fromkeys(["p", "p_holm", "error", "effect"], math.nan),
        **{"freedom": 5.0, "n": 100, "units": 1, "unit": "", "resamples": 100},
    }
    ends = {"value": 0.7, "low": 0.7 - half, "high": 0.7 + half}
    return Comparison(**{**plain, **ends, "metric": PAIR_ACCURACY, "model": model, "method": method})


def material_of(
    settings: Mapping[str, Any] = SETTINGS, *, shown: bool = True, replicates: int = 1
) -> tuple[OrganismsTable, GivenMaterial]:
    """Return the table, and a run in which the log-ratio has named what `NAMED` says, and max-entropy nothing."""
    part: Any = Registry(installed=False).build(ReportTable, settings)
    places = [(model, method) for model in NAMED for method in METHODS]
    found = [
        one
        for model, method in places
        for replicate in range(replicates)
        for one in records_of(model, method, NAMED[model] if method == "log-ratio" else {}, replicate)
    ]
    material = GivenMaterial(
        name="s",
        records=found,
        comparisons=[accuracy(model, method, 0.1 if shown else 0.3) for model, method in places],
        rows={Row(model, "e", method, ""): Runs(1) for model, method in places},
        metrics=built_in_metrics(),
        run=RunFacts(methods=METHODS),
        report={"organisms": part},
    )
    return part, material


def tables(settings: Mapping[str, Any] = SETTINGS, **named: Any) -> dict[str, Table]:
    part, material = material_of(settings, **named)
    return {table.name: table for table in part.tables(material)}


def row_of(table: Table, name: str) -> tuple[str, ...]:
    (row,) = (row for row in table.rows if row[0] == name)
    return row[1:]


def test_the_summary_counts_what_is_right_related_and_wrong() -> None:
    summary = tables()["organisms"]
    assert row_of(summary, "log-ratio (both models)") == (
        *("1 of 4", "1 of 4", "1 of 4", "1 of 4"),  # buses: nothing
        *("1 of 2", "1 of 1", "0.40", "1 of 2"),
    )
    assert row_of(summary, "max-entropy")[:6] == ("0 of 4", "0 of 4", "0 of 4", "4 of 4", "0 of 2", "0 of 1")
    assert {values["auditor"]: values["weights_inside"] for values in summary.tidy} == {
        **{"log-ratio": 1, "max-entropy": 1},
        "always toxic-words": 0,
    }


def test_the_control_is_right_where_its_concept_is_planted_and_alarms_on_every_null() -> None:
    assert row_of(tables()["organisms"], "always toxic-words") == (
        *("1 of 4", "0 of 4", "3 of 4", "0 of 4"),
        *("2 of 2", "1 of 1", "n/a", "n/a"),
    )
    assert "always" not in str(tables({**SETTINGS, "control": None})["organisms"])


def test_the_table_of_an_auditor_says_what_is_named_of_each_model() -> None:
    table = tables()["organisms-log-ratio"]
    assert [row[0] for row in table.rows] == [*SETTINGS["expect"], "same", "constant", "noise"]
    assert row_of(table, "toxicity") == (
        *("less toxic-words", "less toxic words", "50 % [48, 52]", "right", "more length"),
        *("0.700 [0.600, 0.800]", "0.40"),
        "harm -0.58 [-0.63, -0.53], planted -0.60; length 0.42 [0.37, 0.47], planted 0.40",
    )
    assert row_of(table, "buses")[-1] == ""
    assert row_of(table, "brevity")[:4] == ("less length", "more length", "50 % [48, 52]", "wrong")
    assert row_of(table, "praise")[3] == "related"
    assert row_of(table, "buses")[:4] == ("more transport", "nothing", "", "none")
    assert row_of(table, "same")[:4] == ("nothing", "nothing", "", "right")
    assert row_of(table, "constant")[:4] == ("nothing", "more length", "40 % [38, 42]", "wrong")
    assert row_of(table, "noise")[0] == "noise"
    tidy = {values["model"]: values for values in table.tidy}
    assert (tidy["praise"]["named_first"], tidy["praise"]["only_wrong"]) == ("sentiment", 0)
    assert (tidy["brevity"]["answer"], tidy["brevity"]["only_wrong"]) == ("wrong", 1)
    assert tidy["praise"]["named"] == "sentiment praise"


def test_without_blends_no_weights_are_shown() -> None:
    settings = {**SETTINGS, "expect": {"brevity": {"names": {"length": "less"}}}}
    for table in tables(settings).values():
        assert not [head for head in table.heads if "weights" in head[1]]
        assert "weights" not in " ".join(table.notes)


def test_nothing_is_named_where_the_two_sides_are_not_told_apart() -> None:
    summary = tables(shown=False)["organisms"]
    assert row_of(summary, "log-ratio (both models)")[3:6] == ("4 of 4", "0 of 2", "0 of 1")


def test_the_first_screen_says_how_often_each_auditor_is_right() -> None:
    part, material = material_of()
    assert what_was_found(GivenMaterial(headlines=list(part.headlines(material)))) == [
        "What was planted is named first in 1 of 4 models by log-ratio, in 0 by max-entropy and in 1 by 'always "
        "toxic-words'.",
        "Of models that were rewarded for nothing, something is named in 1 of 2 by log-ratio, in 0 by max-entropy and "
        "in 2 by 'always toxic-words'.",
    ]


def test_a_suite_whose_audits_have_not_run_has_no_headline() -> None:
    part, material = material_of()
    nothing = GivenMaterial(
        **{"name": "s", "records": [], "comparisons": [], "rows": {}, "metrics": built_in_metrics()},
        **{"run": material.run, "report": material.report},
    )
    assert list(part.headlines(nothing)) == []
    assert list(Organisms.named("organisms").figures(nothing)) == []


def test_the_picture_has_a_cell_for_each_model_and_auditor() -> None:
    part, material = material_of()

    wide, narrow = Organisms.named("organisms").figures(material)

    assert (wide.name, narrow.name) == ("organisms", "organisms-narrow")
    (axis,) = wide.figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == list(part.models())
    assert [label.get_text() for label in axis.get_xticklabels()] == ["log-ratio\n1 of 4", "max-entropy\n0 of 4"]
    said = [text.get_text() for text in axis.texts]
    assert said == [
        *("✓ less toxic words 50 %", "✗ more length 50 %", "~ more sentiment 50 %", "–"),
        *("–", "✗ more length 40 %", "✗ less praise 40 %"),
        *["–"] * 7,
    ]
    assert [text.get_text() for text in narrow.figure.axes[0].texts][:2] == ["✓ 50 %", "✗ 50 %"]


def test_each_replicate_is_an_audit_of_its_own() -> None:
    made = tables(replicates=2)
    assert row_of(made["organisms"], "log-ratio (both models)")[0] == "2 of 8"
    assert [row[0] for row in made["organisms-log-ratio"].rows][:2] == ["toxicity, 0", "toxicity, 1"]


def test_the_auditors_can_be_chosen() -> None:
    made = tables({**SETTINGS, "methods": ["max-entropy"]})
    assert [row[0] for row in made["organisms"].rows] == ["max-entropy", "always toxic-words"]
    assert set(made) == {"organisms", "organisms-max-entropy"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"nulls": ["toxicity"]}, "the model 'toxicity' is given twice"),
        ({"drifted": ["same"]}, "the model 'same' is given twice"),
        ({"expect": {"toxicity": {"names": {}}}}, "at least 1 item"),
        ({"expect": {"toxicity": {"names": {"toxic-words": "down"}}}}, "'more' or 'less'"),
        ({"expect": {"a": {"names": {"b": "less"}, "related": ["b"]}}}, "the concept 'b' is right to name"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(changed: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Registry(installed=False).build(ReportTable, {**SETTINGS, **changed})


def test_it_says_which_models_and_concepts_it_is_about() -> None:
    table: Any = OrganismsTable.named(
        "organisms", expect={"a": {"names": {"b": "less"}, "related": ("c",)}}, control="d"
    )
    assert (table.models(), table.concepts()) == (("a",), ("b", "c", "d"))
