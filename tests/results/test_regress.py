"""A run against published numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.errors import ResultsError
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.published import Published
from fairl_bench.results.regress import Line, Measured, regress
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.records import Record

Cli = Callable[..., Result]
ROOT = Path(__file__).parent.parent.parent
PLACE = Coordinates.of(World("m", 0), Run("e", "mlp", "a", "", 0), "pairs/test", "gold")
RECORD = Record.at(PLACE, "s", "auc", 0.8, 500, stage="k")
NUMBER = {"id": "t/a", "value": 0.8, "sd": 0.01, "runs": 5, "metric": "AUC", "method": "A", "data": "test"}
NUMBER |= {"truth": "gold", "source": {"table": "T1"}}
MARGIN = {"auc": {"within": 0.02, "why": "w"}}
NAMES = {"model": {"M": "m"}, "method": {"A": "a", "B": "b"}, "data": {"test": "pairs/test"}, "metric": {"AUC": "auc"}}


def published(*numbers: dict[str, Any], **more: Any) -> Published:
    content = {"name": "p", "title": "P", "model": "M", "encoder": "e", "mapping": NAMES, "margins": MARGIN}
    return Published.model_validate(content | {"numbers": list(numbers or [NUMBER])} | more)


def measured(*values: float, **fields: Any) -> Measured:
    rows = [replace(RECORD, seed=seed, value=value, **fields) for seed, value in enumerate(values)]
    return Measured(rows, [], lambda _: [], built_in_metrics())


def line(found: Measured, known: Published | None = None) -> Line:
    return regress(found, known or published())[0]


@pytest.mark.parametrize(
    ("values", "verdict", "why"),
    [
        ((0.80, 0.805, 0.795, 0.80), "reproduced", "its interval is within ± 0.02"),
        ((0.815, 0.82, 0.81, 0.815), "differs", "its interval reaches beyond ± 0.02"),
        ((0.90, 0.905, 0.895, 0.90), "differs", "its interval is beyond ± 0.02"),
        ((0.70, 0.90), "differs", "its interval reaches beyond ± 0.02"),  # equal means, and nothing is known
        ((0.81,), "reproduced", "its interval is within ± 0.02"),  # the ± of the source alone
    ],
)
def test_a_value_is_reproduced_where_its_interval_lies_within_the_margin(
    values: tuple[float, ...], verdict: str, why: str
) -> None:
    found = line(measured(*values))
    assert (found.verdict, found.why) == (verdict, why)


def test_without_any_spread_the_margin_alone_decides() -> None:
    known = published(NUMBER | {"sd": None, "runs": None})
    assert line(measured(0.815), known)[-2:] == ("reproduced", "within ± 0.02; one run: no interval")
    assert line(measured(0.825), known)[-2:] == ("differs", "beyond ± 0.02; one run: no interval")


@pytest.mark.parametrize(
    ("fields", "known", "why"),
    [
        ({"model": "toy"}, published(), "other model: toy, not m"),
        ({"model": ""}, published(), "other model: none named, not m"),
        ({"encoder": "tfidf"}, published(), "other encoder: tfidf, not e"),
        ({}, published(NUMBER | {"n": 10_000}), "other N: 500, not 10,000"),
        ({}, published(margins={}), "no margin is stated for auc"),
    ],
)
def test_what_is_not_the_same_question_is_not_comparable_and_says_why(
    fields: dict[str, Any], known: Published, why: str
) -> None:
    found = line(measured(0.8, 0.81, **fields), known)
    assert (found.verdict, found.why) == ("not comparable", why)
    assert found.difference == pytest.approx(0.005)


def test_a_number_that_was_not_measured_says_which() -> None:
    lines = regress(measured(0.8, 0.81), published(NUMBER, NUMBER | {"id": "t/b", "method": "B"}))
    assert (lines[1].verdict, lines[1].why) == ("not comparable", "no auc of b on pairs/test against 'gold'")


def test_coordinates_are_matched_exactly() -> None:
    with pytest.raises(ResultsError, match="nothing of 'p' was measured"):
        regress(measured(0.8, method="a2"), published())


def test_several_replicates_are_the_units() -> None:
    rows = [
        replace(RECORD, replicate=world, seed=seed, value=0.8 + 0.01 * world) for world in (0, 1) for seed in (0, 1)
    ]
    found = line(Measured(rows, [], lambda _: [], built_in_metrics()), published(NUMBER | {"sd": None, "runs": None}))
    # t with one degree of freedom: 6.314 * (0.01 / sqrt 2) / sqrt 2
    assert (found.difference, found.high - found.low) == pytest.approx((0.005, 2 * 6.3138 * 0.005), rel=1e-4)


def test_an_exact_number_is_held_to_its_tolerance() -> None:
    exact = published(margins={"t/a": {"within": 1e-3, "kind": "exact", "why": "w"}})
    assert line(measured(0.8005), exact).verdict == "reproduced"
    assert line(measured(0.802), exact).verdict == "differs"


def test_a_count_of_two_methods_is_found_in_either_order() -> None:
    names = NAMES | {"metric": {"only B": "only_other"}}
    number = NUMBER | {"metric": "only B", "other": "B", "value": 30.0, "sd": None, "runs": None}
    known = published(number, mapping=names, margins={"only_other": {"within": 5.0, "why": "w"}})
    turned = measured(31.0, method="b", other="a", metric="only_method")
    assert line(turned, known)[-2:] == ("reproduced", "within ± 5; one run: no interval")


@pytest.mark.parametrize(
    ("value", "p", "verdict", "why"),
    [
        (0.03, 0.01, "reproduced", "is better"),
        (0.03, 0.20, "differs", "no difference is shown"),
        (-0.03, 0.01, "differs", "the other is better"),
    ],
)
def test_an_ordering_holds_where_it_is_shown_on_any_model(value: float, p: float, verdict: str, why: str) -> None:
    known = published(
        NUMBER | {"value": 0.85},
        NUMBER | {"id": "t/b", "method": "B"},
        orderings=[{"id": "a-b", "better": "t/a", "than": "t/b", "source": {"table": "T1"}}],
    )
    rows = [replace(RECORD, model="toy", method=method) for method in ("a", "b")]
    names = [field.name for field in fields(Comparison)]
    group = ("toy", "e", "", "pairs/test", "gold", "auc", "a", "b")
    numbers = (value, value - 0.01, value + 0.01, p, p, 0.005, 4.0, 1.0, 500, 5, "seed", 10, "")
    one = Comparison(**dict(zip(names, (*group, *numbers), strict=True)))
    found = regress(Measured(rows, [one], lambda _: [], built_in_metrics()), known)[-1]
    assert (found.kind, found.verdict, found.why) == ("ordering", verdict, why)


# --- on the command line

PUBLISHED = """\
name: p
title: P
model: toy
mapping: {method: {Margin: max-margin, Entropy: max-entropy}}
numbers:
  - {id: auc, value: 0.5, metric: auc, method: Margin, data: shifted, truth: gold, source: {table: T1}}
  - {id: auc-2, value: 0.4, metric: auc, method: Entropy, data: shifted, truth: gold, source: {table: T1}}  # a comment
margins: {auc: {within: 0.5, kind: exact, why: anything goes}}
"""


def test_a_folder_is_held_against_a_file_and_renews_it(cli: Cli, ran: Any, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PUBLISHED)
    fine = cli("regress", ran.folder, "--against", "p.yaml")
    assert fine.exit_code == 0, fine.output
    (tmp_path / "p.yaml").write_text(PUBLISHED.replace("within: 0.5", "within: 1e-9"))
    assert cli("regress", ran.folder, "--against", "p.yaml").exit_code == 1
    renewed = cli("regress", ran.folder, "--against", "p.yaml", "--renew")
    assert "p.yaml is renewed" in renewed.stderr
    assert "# a comment" in (tmp_path / "p.yaml").read_text()
    again = cli("regress", ran.folder, "--against", "p.yaml", "--format", "json")
    assert again.exit_code == 0, again.output
    assert {row["verdict"] for row in json.loads(again.stdout)["rows"]} == {"reproduced"}


def test_scores_in_a_csv_file_are_held_against_the_paper_in_one_command(cli: Cli, tmp_path: Path) -> None:
    rows = ["model,encoder,method,dataset,split,example,pair,role,seed,reward"]
    for seed in (0, 1):
        for pair in range(40):
            for role, sign in (("preferred", 1), ("rejected", -1)):
                for method, slope in (("max-entropy", 0.2), ("fa-me-margin", 2.0)):
                    reward = sign * slope + ((pair * 7 + seed) % 13 - 6) / 5
                    place = f"pythia-410m,minilm,{method},pairs,test,{pair}{role},{pair},{role}"
                    rows.append(f"{place},{seed},{reward}")
    (tmp_path / "s.csv").write_text("\n".join(rows))
    paper = ROOT / "results" / "published" / "learning-from-failures.yaml"
    ran = cli("regress", "s.csv", "--against", paper, "--format", "json")
    told = {row["number"]: row for row in json.loads(ran.stdout)["rows"]}
    assert told["table1/me/auc"]["verdict"] == "differs"
    assert told["table1/me/auc"]["difference"] < -0.1
    assert told["fa-me-margin-auc"]["verdict"] == "reproduced"
    assert told["table1/mm/auc"]["why"] == "no auc of max-margin on pairs/test against 'preferred'"
    assert ran.exit_code == 1
    by_name = cli("regress", "s.csv", "--against", paper.stem, "--format", "json")
    assert (by_name.stdout, by_name.stderr) == (ran.stdout, f"{paper.stem}: {paper}\n")
    refused = cli("regress", "s.csv", "--against", paper.stem, "--renew")
    assert refused.exit_code == 2
    assert f"--renew: {paper} comes with the package; renew a file of yours" in refused.stderr
