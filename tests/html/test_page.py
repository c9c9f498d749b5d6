from __future__ import annotations

import base64
import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from fairl_bench.errors import ResultsError
from fairl_bench.html import write as pages
from fairl_bench.html.board import board
from fairl_bench.html.examples import LONGEST, blocks
from fairl_bench.html.numbers import packed
from fairl_bench.html.page import as_script, page, without_controls
from fairl_bench.html.warnings import warnings
from fairl_bench.html.write import write_pages
from fairl_bench.material import Picture
from fairl_bench.pipeline import Finished
from fairl_bench.results import record_file
from fairl_bench.results.given import GivenMaterial
from fairl_bench.results.results import read_results
from fairl_bench.science.agreement import standardised
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import panels_of
from fairl_bench.tables.formats import as_csv
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.records import Record
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.sheets import Sheet, Values
from fairl_bench.values.table import Table

Cli = Callable[..., Result]

HOSTILE = (
    "<script>document.title='caught'</script>",
    "<img src=x onerror=\"document.title='caught'\">",
    "</textarea></script><h1 id=caught>",
    "=cmd()",
    "\x1b[2J\x1b]0;caught\x07",
    "\u202egnihtyna\u202c \u2066\u200f",
    "{{ 7 * 7 }} ${7*7} &lt;b&gt; \u2028 \ud800",
)


class Seen(HTMLParser):
    """The tags of a page, its attributes by name, and what its first script holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def data(self) -> dict[str, Any]:
        (found,) = (word for word in self.words if word.startswith('{"') and '"records":' in word)
        return json.loads(found)  # type: ignore[no-any-return]


def sheet(texts: tuple[str, ...], methods: tuple[str, ...] = ("mm", "me"), seeds: int = 1) -> Sheet:
    rng = np.random.default_rng(0)
    label = np.where(np.arange(len(texts)) % 2 == 0, 1, -1).astype(np.int8)
    rewards = {Run("e", "mlp", m, "", s): rng.normal(size=len(texts)) for m in methods for s in range(seeds)}
    return Sheet("s", "toy", 0, "web", Examples(texts, truths={"gold": Truth(label.astype(float), label)}), rewards)


def record(value: float, **changed: Any) -> Record:
    plain = {
        **{"suite": "s", "model": "toy", "encoder": "e", "head": "mlp", "method": "mm", "variant": "", "replicate": 0},
        **{"seed": 0, "dataset": "web", "split": "", "slice": "all", "truth": "gold", "metric": "threshold"},
        **{"other": "", "n": 10, "note": "", "stage": "0123456789abcdef0123"},
    }
    return Record(**{**plain, "value": value, **changed})


def written(sheets: list[Sheet], run: RunFacts | None = None, tables: tuple[Table, ...] = (), name: str = "s") -> str:
    material = GivenMaterial(
        name=name,
        suite=name,
        run=run or RunFacts(),
        records=[record(0.0)],
        sheets=sheets,
        methods=("mm", "me"),
        tables={table.name: table for table in tables},
    )
    pictures = {name: Picture(name, "A figure", {"svg": b"<svg/>"}) for name in ("a", "b")}
    return page(material, panels_of(Registry(installed=False)), pictures, "ab")


@pytest.fixture(scope="module")
def drawn(ran_once: tuple[Path, Finished], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny suite's results with figures and page, to be read only."""
    folder = tmp_path_factory.mktemp("drawn") / "results"
    shutil.copytree(ran_once[1].folder, folder)
    write_pages(read_results(folder))
    return folder


@pytest.fixture
def copy(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "copy"))


def test_hostile_texts_are_on_the_page_as_texts_alone() -> None:
    seen = Seen(written([sheet(HOSTILE)]))
    assert seen.tags.count("script") == 2
    assert not {"onerror", "src=x"} & set(seen.attributes)
    assert "caught" not in seen.attributes["id"]
    assert all(source.startswith("data:") for source in seen.attributes["src"])
    (block,) = seen.data()["examples"]["sheets"]
    assert block["text"] == [*HOSTILE[:-1], HOSTILE[-1].replace("\ud800", "?")]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_notes_and_reasons_are_escaped(text: str) -> None:
    table = Table("Table 9", ((text, text),), ((text,),), (text,))
    stages = [{"key": "k", "kind": text, "title": text, "dropped": 1}]
    run = RunFacts(failed={"k": text}, command=[text], stages=stages)
    made = written([], run, (table,), text)
    seen = Seen(made)
    assert seen.tags.count("script") == 2
    assert not {"onerror"} & set(seen.attributes)
    assert "caught" not in seen.attributes["id"]
    assert not set(made) & {"\x1b", "\x07", "\x00"}
    assert any(without_controls(text) in word for word in seen.words)


def test_hostile_cells_start_nothing_in_a_spreadsheet_or_a_terminal(cli: Cli) -> None:
    from fairl_bench.guards.printable import printable

    table = Table("Table 9", (("", "text"),), tuple((text.replace("\ud800", ""),) for text in HOSTILE), ())
    cells = [row[0] for row in csv.reader(io.StringIO(as_csv(table)))]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in cells)
    assert not set(printable(str(table))) & set("\x1b\x07\u202e\u202c\u2066\u200f")


def test_nothing_on_the_page_asks_for_anything_outside_it(drawn: Path) -> None:
    seen = Seen((drawn / "report.html").read_text())
    policy = next(value for value in seen.attributes["content"] if "default-src" in value)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "link" not in seen.tags
    assert all(link.startswith("#") for link in seen.attributes["href"])


def test_a_control_character_is_replaced_and_a_line_end_stays() -> None:
    assert without_controls("a\x1bb\x9bc\nd") == "a\ufffdb\ufffdc\nd"


def test_json_in_a_script_says_what_it_said() -> None:
    for text in HOSTILE[:-1]:
        packed_text = as_script({"a": text})
        assert not set(packed_text) & set("<>&\u2028")
        assert json.loads(packed_text) == {"a": text}


def test_a_reward_is_the_mean_of_its_standardised_runs() -> None:
    one = sheet(tuple("abcdef"), seeds=3)
    cuts = Values.read([record(0.1, method=m, seed=s) for m in ("mm", "me") for s in range(3)])
    (block,) = blocks([one], cuts, lambda _: "gold")["sheets"]
    (view,) = block["views"]
    runs = [reward for run, reward in one.rewards.items() if run.method == "mm"]
    found = np.frombuffer(base64.b64decode(view["rewards"]["mm"]), "<f4")
    np.testing.assert_allclose(found, np.mean([standardised(run) for run in runs], 0), rtol=1e-6)  # float32
    called = np.frombuffer(base64.b64decode(view["called"]["mm"]), np.uint8)
    assert called.tolist() == np.rint(255 * np.mean([run > 0.1 for run in runs], 0)).tolist()


def test_without_thresholds_no_text_is_called_good() -> None:
    (block,) = blocks([sheet(tuple("abcd"))], Values.read([]), lambda _: "gold")["sheets"]
    assert block["views"][0]["called"] == {}


def test_a_text_is_mild_by_the_gold_truth_alone_and_not_because_it_was_preferred() -> None:
    one = sheet(tuple("abc"))
    told = {name: Truth(np.zeros(3), np.array(label, np.int8)) for name, label in
            {"gold": [1, 0, -1], "preferred": [1, 1, 1]}.items()}  # fmt: skip
    both = replace(one, examples=one.examples.knowing(told))
    (block,) = blocks([both], Values.read([]), lambda _: "preferred")["sheets"]
    assert (block["label"], block["mild"]) == ([1, 1, 1], [True, False, False])
    unjudged = replace(one, examples=replace(one.examples, truths={"preferred": told["preferred"]}))
    (block,) = blocks([unjudged], Values.read([]), lambda _: "preferred")["sheets"]
    assert block["mild"] == [False, False, False]


def test_a_truth_of_numbers_alone_shows_them_and_one_with_labels_does_not() -> None:
    one = sheet(tuple("abc"))
    numbers = Truth(np.array([0.5, np.nan, -2]), np.zeros(3, np.int8))
    alone = replace(one, examples=one.examples.knowing({"gold": numbers}))
    (block,) = blocks([alone], Values.read([]), lambda _: "gold")["sheets"]
    assert (block["value"], block["label"]) == ([0.5, None, -2.0], [0, 0, 0])
    labelled = replace(
        one, examples=one.examples.knowing({"gold": numbers._replace(label=np.array([1, 0, -1], np.int8))})
    )
    assert blocks([labelled], Values.read([]), lambda _: "gold")["sheets"][0]["value"] is None


def test_of_too_many_texts_those_are_kept_that_methods_disagree_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairl_bench.html.examples.TEXTS", 4)
    one = sheet(tuple("abcdefgh"))
    paired = replace(one.examples, pair=np.repeat(np.arange(4), 2), role=np.tile(np.array([1, -1], np.int8), 4))
    found = blocks([replace(one, examples=paired)], Values.read([]), lambda _: "gold")
    (block,) = found["sheets"]
    first, second = (standardised(reward) for reward in one.rewards.values())
    most = np.sort(np.argsort(-np.abs(first - second).reshape(4, 2).max(1))[:2])
    assert block["example"] == [row for pair in most for row in (2 * pair, 2 * pair + 1)]
    assert found["left"] == 4


def test_of_many_methods_fewer_texts_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairl_bench.html.examples.NUMBERS", 12)
    for methods, shown in ((("a", "b"), 6), (("a", "b", "c"), 4)):
        found = blocks([sheet(tuple("abcdefgh"), methods)], Values.read([]), lambda _: "gold")
        assert len(found["sheets"][0]["text"]) == shown
        assert found["left"] == 8 - shown


def test_a_long_text_is_cut() -> None:
    (block,) = blocks([sheet(("x" * 5000, "y"))], Values.read([]), lambda _: "gold")["sheets"]
    assert list(map(len, block["text"])) == [LONGEST + 1, 1]


def test_ten_thousand_texts_by_ten_methods_are_below_8_megabytes() -> None:
    texts = tuple(f"{i} " + "some words " * 30 for i in range(10_000))
    made = written([sheet(texts, tuple(f"m{i}" for i in range(10)))])
    assert len(Seen(made).data()["examples"]["sheets"][0]["text"]) == 10_000
    assert len(made.encode()) < 8_000_000


def test_packed_records_are_the_records() -> None:
    rows = [record(0.25), record(float("nan"), note="none", seed=None, method="me")]
    found = packed(rows)
    assert [found["method"]["of"][code] for code in found["method"]["at"]] == ["mm", "me"]
    assert found["value"] == [0.25, None]
    assert found["seed"] == [0, None]
    assert found["stage"]["of"] == ["0123456789abcdef"]


def test_a_number_leads_to_the_records_it_rests_on(drawn: Path) -> None:
    seen = Seen((drawn / "report.html").read_text())
    data = seen.data()["records"]
    places = [json.loads(place) for place in seen.attributes["data-where"]]
    assert len(places) >= 4 * 8  # Table 1 alone
    for place in places:
        codes = [(data[name]["at"], data[name]["of"].index(value)) for name, value in place.items() if name in data]
        rows = [row for row in range(len(data["value"])) if all(column[row] == code for column, code in codes)]
        # two seeds, so two runs of what is trained, and one pair of them
        assert len(rows) == (1 if place["method"] in ("length", "mean-difference") or place.get("truth") == "" else 2)


def test_a_shared_rank_is_marked_and_a_bar_lies_within_its_column() -> None:
    place = {"model": "a", "encoder": "e", "variant": "", "data": "d", "metric": "auc"}
    means = ((0.9, 1, "a"), (0.8, 1, "b"), (0.5, 3, "c"))
    tidy = tuple({**place, "method": m, "mean": v, "low": v - 0.1, "high": v + 0.1, "rank": r} for v, r, m in means)
    table = Table("Table 1", (("", "method"), ("d", "AUC ↑")), tuple((m, f"{v} ¹") for v, _, m in means), (), tidy)
    cells = [row[1] for row in board(table).rows]
    assert [cell.rank for cell in cells] == ["1=", "1=", "3"]
    assert [cell.best for cell in cells] == [True, True, False]
    assert cells[0].bar == pytest.approx((66.67, 100, 83.33))
    assert cells[0].text == "0.9"


def test_failures_and_dropped_rows_are_told() -> None:
    stages = [{"key": "k", "kind": "split", "title": "split of toy", "dropped": 3}, {"key": "d", "title": "a reward"}]
    stages.append(
        {"key": "e", "title": "pairs of toy", "dropped_tied": 1_000, "dropped_no_choice": 2, "dropped_empty": 0}
    )
    run = RunFacts(failed={"x": "it broke"}, skipped={"y": "x"}, damaged=["d"], stages=stages)
    assert [tuple(one) for one in warnings(run)] == [
        ("failed", "it broke"),
        ("skipped", "1 stages, because of what failed before them"),
        ("made again", "a reward was damaged"),
        ("dropped", "split of toy: 3 share a text with held-out pairs (split.shared_text)"),
        ("dropped", "pairs of toy: 1,000 are tied: both texts are rated alike, 2 rows without a choice"),
    ]


def test_every_figure_lies_beside_the_page_in_both_formats(drawn: Path) -> None:
    names = {path.stem for path in (drawn / "figures").iterdir()}
    assert names >= {"leaderboard", "rewards-shifted", "rewards-pairs-test", "reliability", "training", "subtypes"}
    assert all((drawn / "figures" / f"{name}.{form}").stat().st_size for name in names for form in ("svg", "png"))


def test_the_history_of_every_trained_reward_is_in_the_folder(drawn: Path) -> None:
    found = [history for history in read_results(drawn).histories if history.series]
    runs = {(one.cell.method, one.cell.seed) for one in found}
    assert runs == {(method, seed) for method in ("max-margin", "max-entropy") for seed in (0, 1)}
    assert all(len(one.series["train_loss"]) == 3 for one in found)


def test_nothing_is_drawn_again_where_nothing_changed(
    copy: Path, relist: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(told | {"finished": "later", "seconds": 9.0, "command": ["again"]}))
    relist(copy)
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: pytest.fail("drawn again"))
    assert write_pages(read_results(copy)) == copy / "report.html"


@pytest.mark.parametrize("change", ["records", "scores", "suite", "claims", "gone", "failed"])
def test_all_is_drawn_again_where_something_changed(
    change: str, copy: Path, relist: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if change == "records":
        rows = read_results(copy).records
        fewer = record_file.table(row for row in rows if row.metric != "kendall")
        pq.write_table(fewer, copy / "records.parquet")
    elif change == "scores":
        path = copy / "scores" / "toy-tfidf-length-r0-sall.parquet"
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"signature": b"other"}), path)
    elif change == "suite":
        (copy / "suite.yaml").write_text((copy / "suite.yaml").read_text() + "# more\n")
    elif change == "claims":
        told = {"title": "Claims", "notes": [], "rows": [{"id": "better", "p": 0.25, "verdict": None}]}
        (copy / "tables" / "claims.json").write_text(json.dumps(told))
    elif change == "failed":
        told = json.loads((copy / "run.json").read_text())
        (copy / "run.json").write_text(json.dumps(told | {"failed": {"k": "it broke"}}))
    else:
        (copy / "report.html").unlink()
    (copy / "figures" / "photo.svg").write_text("somebody's own")
    relist(copy)
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: {})
    made = write_pages(read_results(copy)).read_text()
    assert [path.name for path in (copy / "figures").iterdir()] == ["photo.svg"]
    assert ("it broke" in made) == (change == "failed")
    assert ("better" in made and "0.25" in made) or change != "claims"


def test_a_half_written_page_is_none(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: {})
    (copy / "report.html").write_bytes(b"\xff\xfe")
    assert b"</html>" in write_pages(read_results(copy)).read_bytes()


def test_a_folder_that_is_no_results_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=f"{tmp_path} is no results folder: it has no suite.yaml"):
        write_pages(read_results(tmp_path))


def test_what_is_in_the_way_of_the_page_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: {})
    (copy / "report.html").unlink()
    (copy / "report.html").mkdir()
    with pytest.raises(ResultsError, match=f"{copy}/report.html is a folder that no run has written, .*move it away"):
        write_pages(read_results(copy))


def test_a_results_folder_of_an_older_version_has_a_page(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    histories: list[object] = []
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: histories.extend(material.histories) or {})
    shutil.rmtree(copy / "histories")
    (copy / "manifest.json").unlink()
    (copy / "run.json").unlink()
    made = write_pages(read_results(copy)).read_text()
    assert "Leaderboard" in made
    assert histories == []


def test_the_page_of_a_folder_with_hostile_texts_keeps_them_in(
    copy: Path, relist: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: {})
    path = next((copy / "examples").iterdir())
    table = pq.read_table(path)
    texts = [HOSTILE[i % 6] for i in range(table.num_rows)]
    hostile = table.set_column(table.column_names.index("text"), "text", pa.array(texts))
    pq.write_table(hostile.set_column(table.column_names.index("prompt"), "prompt", pa.array(texts)), path)
    relist(copy)
    seen = Seen(write_pages(read_results(copy), again=True).read_text())
    assert seen.tags.count("script") == 2
    assert "caught" not in seen.attributes["id"]


def test_the_command_draws_the_page_and_opens_it(cli: Cli, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "write_pages", write_pages)
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: {})
    opened: list[str] = []
    monkeypatch.setattr("click.launch", lambda url: opened.append(url) or 0)
    ran = cli("report", copy, "--page")
    assert (ran.exit_code, ran.stdout) == (0, f"{copy / 'report.html'}\n")
    assert opened == []
    assert cli("report", copy, "--open").exit_code == 0
    assert opened == [str(copy / "report.html")]


def test_a_run_leaves_a_page(cli: Cli, write_suite: Any, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "write_pages", write_pages)
    monkeypatch.setattr(pages, "pictures", lambda parts, material, guard: {})
    assert cli("run", write_suite(tiny), "--results", "r").exit_code == 0
    assert "Leaderboard" in Path("r/report.html").read_text()
