"""The Python face: the same numbers as the command line, as pandas frames, tables and figures that show themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import Result

import fairl_bench
from fairl_bench import FairlError, Results, Table
from fairl_bench.display.notebook import NotebookProgress, in_notebook
from fairl_bench.errors import DataError, ResultsError, SuiteError, UnknownName
from fairl_bench.results.frames import SCORE_COLUMNS
from fairl_bench.suite.read import read_study
from fairl_bench.values.coordinates import CELL_AXES
from fairl_bench.values.records import COLUMNS
from fairl_bench.values.stage import Stage

Cli = Callable[..., Result]
Write = Callable[..., Path]

CLAIM = {"id": "longer", "better": "max-margin", "than": "length", "metric": "accuracy", "data": "pairs/test"}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of this module's own, worked in."""
    folder = tmp_path_factory.mktemp("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """The tiny suite with a claim, as data."""
    from ruamel.yaml import YAML

    from tests.conftest import TINY

    suite: dict[str, Any] = YAML(typ="safe", pure=True).load(TINY)
    return suite | {"claims": [CLAIM]}


@pytest.fixture(scope="module")
def results(elsewhere: Path, content: dict[str, Any]) -> Results:
    return fairl_bench.run(content, store="store", results="results")


# --- run


def test_python_and_the_command_line_give_equal_records(
    cli: Cli, write_suite: Write, content: dict[str, Any], results: Results
) -> None:
    path = write_suite(content)
    options = ("--set", "head.width=8", "--only", "method=max-margin,length", "--results", "a")
    assert cli("run", path, *options).exit_code == 0
    only = {"method": ["max-margin", "length"]}
    ours = fairl_bench.run(path, store="other", results="b", set={"head.width": 8}, only=only)
    theirs = fairl_bench.read_results("a")
    pd.testing.assert_frame_equal(ours.records, theirs.records, check_exact=True)
    pd.testing.assert_frame_equal(ours.scores, theirs.scores, check_exact=True)
    assert set(ours.records["method"]) == {"max-margin", "length"}
    assert not ours.records.equals(results.records)


def test_a_suite_as_data_is_the_suite_of_its_file(write_suite: Write, content: dict[str, Any]) -> None:
    assert read_study(content).suite == read_study(write_suite(content)).suite


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nmae": "x"}, "the suite: unknown field 'nmae'; did you mean 'name'?"),
        ({"seeds": object()}, "the suite: holds what YAML cannot: cannot represent an object"),
        ({"extends": "gone.yaml"}, "the suite: 'extends' names 'gone.yaml', which does not exist beside this file"),
        ({"methods": [{"name": "a", "use": "max-margn"}]}, "method 'max-margn' is unknown; did you mean 'max-margin'?"),
    ],
)
def test_a_mistake_in_data_is_explained_without_a_line(
    change: dict[str, Any], reason: str, content: dict[str, Any]
) -> None:
    with pytest.raises(SuiteError, match=reason.replace("?", r"\?")):
        fairl_bench.check(content | change)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"only": {"methd": "a"}}, "^only: axis 'methd' is unknown; did you mean 'method'"),
        ({"only": {"method": "mx-margin"}}, "^only: method 'mx-margin' is unknown; did you mean 'max-margin'"),
        ({"set": {"head.witdh": 8}}, "unknown field 'witdh'"),
        ({"set": {"head.width": {8}}}, "Object of type set is not JSON serializable; give plain data"),
        ({"executor": "rey"}, "^executor 'rey' is unknown; did you mean 'ray'"),
        (
            {"executor": {"use": "pool", "jobs": 0}},
            "^executor 'pool', jobs: Input should be greater than or equal to 1",
        ),
        ({"executor": {"jobs": 2}}, "^executor None is unknown"),
        ({"set": "head.width=8"}, "set='head.width=8': needs a mapping such as {'head.width': 32}"),
        ({"set": 8}, "set=8: needs a mapping such as {'head.width': 32}"),
        ({"only": "method=focal"}, "^only='method=focal': needs a mapping such as {'method': "),
        ({"only": {"method": None}}, "^only: method is None; needs a value or a list of them"),
    ],
)
def test_what_must_be_changed_is_raised(
    arguments: dict[str, Any], reason: str, content: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(FairlError, match=reason):
        fairl_bench.run(content, store=tmp_path / "store", results=tmp_path / "results", **arguments)


def test_a_table_or_figure_that_a_plugin_left_names_the_way_to_it(content: dict[str, Any], tmp_path: Path) -> None:
    results = fairl_bench.run(content | {"seeds": [0]}, store=tmp_path / "store", results=tmp_path / "results")
    for room, file in (("tables", "above.md"), ("figures", "doubts.svg")):
        (results.folder / room).mkdir(exist_ok=True)
        (results.folder / room / file).write_text("made elsewhere")
    for find, name in ((results.table, "above"), (results.figure, "doubts")):
        with pytest.raises(FairlError, match=rf"{name}' was made by a plugin: name its file with --plugin"):
            find(name)
    with pytest.raises(FairlError, match="'abov' is unknown"):
        results.table("abov")


def test_a_part_that_fails_is_told_and_not_raised(content: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from fairl_bench import Method, hookimpl\n"
        "class Bad(Method):\n    def fit(self, task):\n        raise ValueError('boom')\n"
        "@hookimpl\ndef fairl_methods(register):\n    register('bad', Bad)\n"
    )
    methods = [{"name": "bad", "use": "bad"}, {"name": "length", "use": "length"}]
    changed = content | {"plugins": [str(tmp_path / "bad.py")], "seeds": [0], "methods": methods, "claims": []}
    results = fairl_bench.run(changed, store=tmp_path / "store", results=tmp_path / "results")
    assert list(results.failures.values()) == ["bad on toy, replicate 0, seed 0: ValueError: boom"]
    assert "1 stages failed" in repr(results)
    assert set(results.records["method"]) == {"length"}


# --- check


def test_check_says_what_the_command_prints(cli: Cli, write_suite: Write, content: dict[str, Any]) -> None:
    path = write_suite(content)
    printed = cli("check", path).stdout
    assert f"{fairl_bench.check(path)}\n" == printed
    assert repr(fairl_bench.check(path, set={"seeds": [0]})).startswith(f"{path}: fine; 4 cells\n")
    checked = fairl_bench.check(content)
    assert (checked.suite, checked.cells, checked.stages["reward"]) == ("tiny", 6, (0, 6))


# --- what results say


def test_read_results_are_those_of_the_run(results: Results) -> None:
    again = fairl_bench.read_results(results.folder)
    pd.testing.assert_frame_equal(again.records, results.records)
    pd.testing.assert_frame_equal(again.scores, results.scores)
    assert again.tables == results.tables
    assert again.claims == results.claims
    assert again.name == "tiny"


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"is no results folder: it has no suite\.yaml"):
        fairl_bench.read_results(tmp_path)


def test_records_are_the_rows_of_their_file(results: Results) -> None:
    frame = results.records
    assert tuple(frame.columns) == COLUMNS
    saved = pq.read_table(results.folder / "records.parquet").to_pandas()
    pd.testing.assert_frame_equal(frame, saved.astype(frame.dtypes), check_exact=True)
    assert str(frame.dtypes["seed"]) == "Int64"
    assert frame.loc[frame["method"] == "length", "seed"].isna().all()


def test_scores_have_a_row_for_each_example_and_run(results: Results) -> None:
    scores = results.scores
    assert tuple(scores.columns) == SCORE_COLUMNS
    runs = scores.groupby([*CELL_AXES, "dataset", "split"], observed=True, dropna=False)["example"]
    assert (runs.nunique() == runs.size()).all()
    assert set(scores["dataset"]) == {"pairs", "shifted"}
    shifted = scores[scores["dataset"] == "shifted"]
    assert len(shifted) == 60 * 6
    assert set(shifted["label"]) == {1, -1}
    assert set(shifted["role"]) == {""}


def test_the_accuracy_on_record_is_that_of_the_scores(results: Results) -> None:
    records, scores = results.records, results.scores
    where = {"method": "max-margin", "seed": 0, "dataset": "shifted"}
    rows, metrics = (frame[(frame[list(where)] == pd.Series(where)).all(axis=1)] for frame in (scores, records))
    metrics = metrics[(metrics["truth"] == "gold") & (metrics["slice"] == "all")].set_index("metric")["value"]
    called_good = rows["reward"] > metrics["threshold"]
    assert ((called_good == (rows["label"] == 1)).mean()) == pytest.approx(metrics["accuracy"], abs=1e-12)


def test_findings_are_the_verdicts_of_the_claims(results: Results) -> None:
    (verdict,) = results.claims
    assert (verdict.claim.id, verdict.verdict) == ("longer", "inconclusive")
    shown = repr(results.claims)
    assert "<claim longer: inconclusive; " in shown
    assert len(shown) < 200


def test_tables_side_by_side_show_a_line_each_and_one_alone_shows_itself(results: Results) -> None:
    from IPython.lib.pretty import pretty

    table = results.table("table1")
    assert pretty(table) == str(table)
    assert f"'table1': <table table1: {table.title}, {len(table.rows)} rows>" in repr(results.tables)
    assert max(map(len, pretty(dict(results.tables)).splitlines())) < 200
    assert len(pretty(dict(results.tables)).splitlines()) == len(results.tables)


def test_a_reward_is_found_by_its_coordinates(results: Results) -> None:
    rewards = results.rewards
    assert len(rewards) == len(list((results.folder / "rewards").iterdir())) == 6
    loaded = rewards.load(method="max-margin", seed=1)
    cell = next(cell for cell in rewards if (cell.method, cell.seed) == ("max-margin", 1))
    same = fairl_bench.load_reward(rewards.folders[cell])
    texts = ["thank you for the kind note", "what a rotten idea"]
    assert loaded(texts) == rewards[cell](texts) == same(texts)


@pytest.mark.parametrize(
    ("axes", "reason"),
    [
        ({"method": "max-margin"}, "2 rewards in .* have method='max-margin': seed is one of 0, 1"),
        ({"method": "none"}, "0 rewards in .* have method='none': method is one of 'length', 'max-entropy'"),
        ({"methd": "x"}, "a reward has no axis 'methd'; did you mean 'method'"),
    ],
)
def test_a_reward_that_is_not_one_is_refused(axes: dict[str, Any], reason: str, results: Results) -> None:
    with pytest.raises(DataError, match=reason):
        results.rewards.load(**axes)


# --- in a notebook


def test_a_table_shows_itself_with_its_texts_escaped() -> None:
    table = Table("<b>", (("", "a&b"),), (("<script>",), ("1",)), ("x < y",), bold=frozenset({(1, 0)}))
    shown = table._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<b>1</b>" in shown
    assert "a&amp;b" in shown
    assert "x &lt; y" in shown
    assert "<script>" not in shown
    ElementTree.fromstring(f"<div>{shown}</div>")  # balanced


def test_a_figure_shows_itself(results: Results) -> None:
    picture = results.figure("leaderboard")
    assert ElementTree.fromstring(picture._repr_svg_()).tag.endswith("svg")
    with pytest.raises(UnknownName, match="figure 'leaderbord' is unknown; did you mean 'leaderboard'"):
        results.figure("leaderbord")


def test_results_show_their_first_table(results: Results) -> None:
    assert results.table("table1")._repr_html_() in results._repr_html_()
    number = len(results.records)
    assert repr(results).startswith(f"results of suite 'tiny' in results: {number:,} records; tables table1")
    with pytest.raises(UnknownName, match="table 'table4' is unknown; did you mean 'table"):
        results.table("table4")


def test_progress_in_a_notebook_is_one_output_with_escaped_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, progress: NotebookProgress) -> None:
            shown.append(progress._repr_html_())

    monkeypatch.setattr("IPython.display.display", lambda progress, display_id: Handle())
    job = [Stage("reward", "key", "<one> on toy"), Stage("reward", "other", "two")]
    with NotebookProgress() as progress:
        watcher = progress.watcher()
        watcher.started(job, 0, 3)
        assert "<progress value=0 max=3></progress> 0 of 3 jobs" in shown[-1]
        assert "reward: &lt;one&gt; on toy and 1 more together 0%" in shown[-1]
        watcher.moved("key", 0.5, "epoch 3")
        watcher.moved("gone", 0.5, "nobody listens")
        watcher.finished(job, ["boom \x1b[2J"])
    assert "1 of 3 jobs<br>failed: reward: boom \N{REPLACEMENT CHARACTER}[2J" in shown[-1]
    assert "one" not in shown[-1]
    assert repr(progress) == "1 of 3 jobs\nfailed: reward: boom \N{REPLACEMENT CHARACTER}[2J"


def test_progress_in_a_notebook_says_when_there_was_nothing_to_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    handle = SimpleNamespace(update=lambda progress: shown.append(progress._repr_html_()))
    monkeypatch.setattr("IPython.display.display", lambda progress, display_id: handle)
    with NotebookProgress() as progress:
        assert repr(progress) == "no job yet"
    assert shown == ["<div>nothing to compute</div>"]


def test_a_test_is_no_notebook() -> None:
    assert not in_notebook()


# --- what the page says


def test_the_page_names_every_argument_column_and_part_of_results() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "python.md").read_text()
    for function in (fairl_bench.check, fairl_bench.run, fairl_bench.read_results):
        first, *others = inspect.signature(function).parameters
        assert f"`{function.__name__}({first}, {', '.join(f'{name}=' for name in others)})`" in page
    records, scores = page.partition("## The columns of `records`")[2].split("## The columns of `scores`")
    assert columns_in(records) == list(COLUMNS)
    assert columns_in(scores) == list(SCORE_COLUMNS)
    members = {name for name in vars(Results) if not name.startswith("_")}
    assert set(re.findall(r"`results\.(\w+)", page.partition("## Results")[2])) == members


def columns_in(section: str) -> list[str]:
    """The names in the first column of the table of a section, in order."""
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]
