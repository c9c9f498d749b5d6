"""Published numbers as data: the paper's tables, their arithmetic, and mistakes at their line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from fairl_bench.errors import SuiteError
from fairl_bench.results.published import RecordKey, checked, read_published, record_key
from fairl_bench.suite.read import read_study

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "results" / "published" / "learning-from-failures.yaml"
SMALL = """\
name: small
title: Small
numbers:
  - {id: a, value: 7.0, digits: 0, metric: both, source: {table: T1}}
  - {id: b, value: 3.0, digits: 0, metric: both, source: {table: T1}}
  - {id: c, value: 10.4, digits: 1, metric: both, source: {table: T1}}
checks:
  - {id: sum, sentence: all, op: sum, of: [a, b], says: c, source: {table: T1}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def put(old: str = "", new: str = "") -> Path:
        assert old in SMALL
        path = tmp_path / "small.yaml"
        path.write_text(SMALL.replace(old, new))
        return path

    return put


def test_the_paper_has_every_cell_of_its_three_tables() -> None:
    tables = [number.source.table for number in read_published(PAPER).numbers]
    # six methods by three metrics; four counts by two data sets; four subtypes by three counts by two data sets
    assert [tables.count(f"Table {i}") for i in (1, 2, 3)] == [18, 8, 24]


def test_the_papers_arithmetic_is_computed_from_its_cells() -> None:
    told = {one.check.id: one for one in checked(read_published(PAPER))}
    assert {name: told[name].computed for name in ("irl-accuracy", "fa-accuracy", "points", "mcnemar")} == {
        "irl-accuracy": "77.02", "fa-accuracy": "82.46", "points": "5.44", "mcnemar": "202.97",
    }  # fmt: skip
    assert (told["gain-mean"].computed, told["gain-sd"].computed) == ("8.06", "1.61")
    assert told["starc-fa"].computed == "23.60"
    assert told["starc-me"].computed == "11.42"
    assert told["obscene-rows"].computed == "4967.00"


def test_where_the_paper_contradicts_itself_is_listed() -> None:
    assert {outcome.check.id for outcome in checked(read_published(PAPER)) if outcome.holds is False} == {
        *("held-out-size", "obscene-rows", "starc-me", "starc-mm", "starc-lowest"),
        *("variance-f1", "variance-auc", "variance-starc"),
    }


def test_the_papers_names_are_those_of_its_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRL_DATA", "nowhere")
    suite = read_study(ROOT / "suites" / "paper" / "pythia-410m.yaml").suite
    paper = read_published(PAPER)
    places = [record_key(paper, number) for number in paper.numbers if number.method]
    assert {place.model for place in places} == {suite.models[0].name}
    assert {place.method for place in places} | {place.other for place in places if place.other} <= {
        method.name for method in suite.methods
    }
    assert {place.data for place in places} <= set(suite.datasets())
    assert paper.encoder in {encoder.name for encoder in suite.encoders}


def test_a_claimed_effect_is_the_gain_that_the_papers_table_1_prints() -> None:
    paper = read_published(PAPER)
    value = {record_key(paper, number)._replace(model=""): number.value for number in paper.numbers if number.method}
    seen = 0
    for claim in read_study(ROOT / "suites" / "claims-learning-from-failures.yaml").suite.claims:
        better = RecordKey("", claim.better, "", claim.data, "all", claim.truth, claim.metric)
        if claim.effect is not None and better in value:
            gain = value[better] - value[better._replace(method=claim.comparators()[0])]
            assert claim.effect == pytest.approx(-gain if claim.metric == "starc" else gain), claim.id
            seen += 1
    assert seen == 7


def test_a_printed_number_stands_for_all_that_round_to_it(write: Callable[..., Path]) -> None:
    assert [one.holds for one in checked(read_published(write()))] == [False]
    assert [
        one.holds for one in checked(read_published(write("value: 10.4, digits: 1", "value: 10.4, digits: 0")))
    ] == [True]
    assert [one.holds for one in checked(read_published(write("says: c,", "says: c, relation: at-most,")))] == [True]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("of: [a, b]", "of: [a, d]", "small.yaml:8: checks: number 'd' is unknown; known: 'a', 'b', 'c'"),
        ("id: b", "id: a", "small.yaml:5: numbers: the id 'a' is given twice"),
        ("value: 3.0", "value: three", "small.yaml:5: numbers.1.value: needs a number, got 'three'"),
        ("op: sum, of: [a, b]", "op: reduction, of: [a]", "'reduction' needs 2 numbers, got 1"),
        ("op: sum,", "op: sum, x: 1,", "unknown field 'x'"),
        ("digits: 0, metric", "digits: 2000000000, metric", "digits: must be at most 17, got 2000000000"),
        ("7.0, digits: 0, metric: both, source: {table: T1}", "7.0, digits: 0, metric: both, source: {}",
         "small.yaml:4: numbers.0.source: 'table' is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_line(old: str, new: str, said: str, write: Callable[..., Path]) -> None:
    with pytest.raises(SuiteError, match=re.escape(said)):
        read_published(write(old, new))


def test_published_prints_numbers_and_arithmetic(cli: Callable[..., Result], write: Callable[..., Path]) -> None:
    ran = cli("published", write())
    assert ran.exit_code == 0
    assert "CONTRADICTS" in ran.stdout
    assert "1 of 1 contradict the source's own numbers." in ran.stdout


def test_published_knows_what_comes_with_the_package_and_what_lies_here(
    cli: Callable[..., Result], write: Callable[..., Path], tmp_path: Path
) -> None:
    by_name, by_path = cli("published", PAPER.stem), cli("published", PAPER)
    assert by_name.stdout == by_path.stdout == cli("published").stdout
    here = tmp_path / "results" / "published"
    here.mkdir(parents=True)
    write().rename(here / "small.yaml")
    small = cli("published", here / "small.yaml").stdout
    assert cli("published").stdout == f"{by_path.stdout}\n{small}"
    (here / "small.yaml").rename(here / PAPER.name)  # a file of that name stands in the place of the other
    assert cli("published").stdout == small


@pytest.mark.parametrize(
    ("op", "values", "why"),
    [
        ("reduction", (0, 0.5), "a reduction is in percent of its first number, and 'n0' is 0"),
        ("reduction", (-0.0, 0.5), "a reduction is in percent of its first number, and 'n0' is 0"),
        ("mcnemar", (0.5, 1, 2, 3), "'mcnemar' is of counts, and 'n0' is 0.5, no whole number from 0"),
        ("mcnemar", (5, 1, -2, 3), "'mcnemar' is of counts, and 'n2' is -2, no whole number from 0"),
        ("points", (5, 1.25, 2, 3), "'points' is of counts, and 'n1' is 1.25, no whole number from 0"),
        ("points", (0, 0, 0, 0), "four counts of 0 are of no example"),
        ("accuracy-first", (0, 0, 0, 0), "four counts of 0 are of no example"),
        ("accuracy-second", (1, 2, 3, 1e300), "'accuracy-second' is of counts, and 'n3' is 1e+300, no whole number"),
        ("gain-mean", (0, 3, 0), "a relative gain needs an example that the first method has right, got none"),
        ("gain-sd", (1, 2, -1), "'gain-sd' is of counts, and 'n2' is -1, no whole number from 0"),
        ("sum", (1e308, 1e308), "the result is too large for a number"),
        ("difference", (1e308, -1e308), "the result is too large for a number"),
    ],
)  # fmt: skip
def test_arithmetic_that_cannot_be_done_is_told_at_its_line(
    op: str, values: tuple[float, ...], why: str, tmp_path: Path, cli: Callable[..., Result]
) -> None:
    numbers = [f"  - {{id: n{i}, value: {value}, metric: auc, source: {{table: T}}}}" for i, value in enumerate(values)]
    of = ", ".join(f"n{i}" for i in range(len(values)))
    check = f"checks:\n  - {{id: c, sentence: s, op: {op}, of: [{of}], source: {{table: T}}}}"
    (tmp_path / "file.yaml").write_text("\n".join(["name: x", "title: t", "numbers:", *numbers, check]))
    ran = cli("published", "file.yaml")
    said = f"file.yaml:{5 + len(values)}: checks: 'c' cannot be computed: {why}"
    assert (ran.exit_code, ran.stderr.startswith(f"error: {said}")) == (2, True)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("value: !x 1", "a value tagged '!x' is no text, number, list or mapping"),
        ("value: !x [1]", "a value tagged '!x' is no text, number, list or mapping"),
        ("value: " + "1" * 5000, "a number has more than 18 digits"),
        ("value: .nan", "numbers.0.value: needs a finite number, got nan"),
        ("value: -.inf", "numbers.0.value: needs a finite number, got -inf"),
        ("value: +nan", "numbers.0.value: needs a number, got '+nan'"),
        ("value: 1_000", "numbers.0.value: needs a number, got '1_000'"),
        ("value: 1, digits: 1000000000", "numbers.0.digits: must be at most 17, got 1000000000"),
    ],
)
def test_a_published_number_that_is_none_is_told_at_its_line(
    number: str, said: str, write: Callable[..., Path], cli: Callable[..., Result]
) -> None:
    ran = cli("published", write("value: 7.0, digits: 0", number))
    assert (ran.exit_code, f"small.yaml:4: {said}" in ran.stderr) == (2, True)


def test_a_published_number_of_many_digits_is_shown(write: Callable[..., Path], cli: Callable[..., Result]) -> None:
    ran = cli("published", write("value: 7.0, digits: 0", f"value: 0.{'1234567890' * 50}, digits: 17"))
    assert (ran.exit_code, "0.1234567890123456" in ran.stdout) == (0, True)
