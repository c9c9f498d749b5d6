"""The rows that evaluators keep beside their numbers, in a results folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fairl_bench.errors import ResultsError
from fairl_bench.pipeline import Finished, run
from fairl_bench.results.given import GivenMaterial
from fairl_bench.results.results import read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.values.evidence import CellEvidence

KEEPERS = """
from fairl_bench import Evaluator, Evidence, Measure, Metric, hookimpl


class Keeper(Evaluator):
    metrics = (Metric("texts"),)
    data: tuple[str, ...] = ("pairs/test",)
    shift: float = 0.0

    def evaluate(self, scored):
        reward = scored["pairs/test"].reward
        yield Measure("pairs/test", "", "texts", len(reward), len(reward))
        yield Evidence({"first": [float(reward[0]) + self.shift]})
        yield Evidence({"at": [0, 1], "reward": [float(reward[0]), float(reward[1])]}, "rewards")


class OfTexts(Evaluator):
    metrics = (Metric("letters"),)
    data: tuple[str, ...] = ("pairs/test",)
    reads_reward = False

    def evaluate(self, scored):
        text = scored["pairs/test"].examples.text
        yield Measure("pairs/test", "", "letters", sum(map(len, text)), len(text))
        yield Evidence({"text": list(text)})


@hookimpl
def fairl_evaluators(register):
    register("keeper", Keeper)
    register("of-texts", OfTexts)
"""

SUITE = """
name: evidence
seeds: [0, 1]
plugins: [keepers.py]
models:
  - {name: toy, use: toy-comments, n: 60, gold: {use: toy-truth}}
encoders: [{name: tfidf, use: tfidf, dimensions: 8}]
training: {epochs: 1}
methods:
  - {name: length, use: length}
  - {name: max-entropy, use: max-entropy}
evaluate: [{use: keeper}, {use: of-texts}]
"""
CELLS = {"toy-tfidf-length-r0-sall.parquet", *(f"toy-tfidf-max-entropy-r0-s{seed}.parquet" for seed in (0, 1))}


def ran(root: Path, suite: str = SUITE, **only: list[str]) -> Finished:
    (root / "suite.yaml").write_text(suite)
    return run(read_study(root / "suite.yaml"), FolderStore(root / "store"), root / "results", only=only or None)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evidence")
    (root / "keepers.py").write_text(KEEPERS)
    assert not ran(root).outcome.failed
    return root


@pytest.fixture
def root(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "evidence"))


def files(root: Path) -> dict[str, set[str]]:
    """The files of each table."""
    found: dict[str, set[str]] = {}
    for path in (root / "results" / "evidence").rglob("*.parquet"):
        found.setdefault(path.parent.relative_to(root / "results" / "evidence").as_posix(), set()).add(path.name)
    return found


def test_each_table_of_each_evaluator_has_a_folder_with_a_file_a_cell(once: Path) -> None:
    first = {"toy-tfidf-length-r0-sall.parquet"}  # of its world: what is about texts alone is measured once
    assert files(once) == {"keeper": CELLS, "keeper/rewards": CELLS, "of-texts": first}


def test_material_reads_it_by_evaluator_and_name_in_the_order_of_the_suite(once: Path) -> None:
    found = read_results(once / "results")
    kept, named = found.evidence("keeper"), found.evidence("keeper", "rewards")
    assert [(one.cell.method, one.cell.seed) for one in kept] == [
        ("length", None),
        ("max-entropy", 0),
        ("max-entropy", 1),
    ]
    assert [one.rows.column_names for one in kept] == [["first"]] * 3
    (sheet,) = found.sheets(["pairs/test"])
    for whole, both, rewards in zip(kept, named, sheet.rewards.values(), strict=True):
        assert whole.rows["first"].to_pylist() == [pytest.approx(rewards[0])]
        assert both.rows["reward"].to_pylist() == pytest.approx(rewards[:2].tolist())
    assert found.evidence("of-texts")[0].rows["text"].to_pylist() == list(sheet.examples.text)
    assert not found.evidence("of-texts", "rewards")
    assert not found.evidence("nobody")
    assert not found.realigned  # no table of completions is there


def test_what_has_not_changed_is_not_written_again(root: Path) -> None:
    before = {path: path.stat().st_ino for path in (root / "results" / "evidence").rglob("*.parquet")}
    ran(root)
    assert {path: path.stat().st_ino for path in (root / "results" / "evidence").rglob("*.parquet")} == before


def test_the_evidence_of_an_evaluator_goes_with_it(root: Path) -> None:
    ran(root, SUITE.replace("{use: keeper}, ", ""))
    assert set(files(root)) == {"of-texts"}


def test_a_run_of_some_cells_changes_the_evidence_of_these_alone(root: Path) -> None:
    folder = root / "results" / "evidence"
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    ran(root, SUITE.replace("{use: keeper}", "{use: keeper, shift: 1.0}"), seed=["1"], method=["max-entropy"])
    changed = {path.relative_to(folder).as_posix() for path, content in before.items() if path.read_bytes() != content}
    assert changed == {f"{table}/toy-tfidf-max-entropy-r0-s1.parquet" for table in ("keeper", "keeper/rewards")}


def test_the_evidence_of_a_dropped_method_goes_with_a_whole_run(root: Path) -> None:
    fewer = SUITE.replace("  - {name: length, use: length}\n", "")
    ran(root, fewer, seed=["0"])
    assert files(root)["keeper/rewards"] == CELLS
    ran(root, fewer)
    assert files(root)["keeper/rewards"] == {name for name in CELLS if "entropy" in name}


def test_damaged_evidence_is_never_read_and_is_written_again(root: Path) -> None:
    path = root / "results" / "evidence" / "keeper" / "rewards" / "toy-tfidf-length-r0-sall.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ResultsError, match=r"toy-tfidf-length-r0-sall\.parquet is damaged: its checksum differs"):
        read_results(root / "results").evidence("keeper", "rewards")
    ran(root, seed=["0"], method=["max-entropy"])
    assert path.read_bytes() == whole


def test_a_file_of_others_in_its_place_is_refused_before_anything_runs(root: Path) -> None:
    place = root / "elsewhere" / "evidence" / "keeper" / "toy-tfidf-length-r0-sall.parquet"
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    shutil.rmtree(root / "store")
    with pytest.raises(ResultsError, match=r"toy-tfidf-length-r0-sall\.parquet is a file that no run has written"):
        run(read_study(root / "suite.yaml"), FolderStore(root / "store"), root / "elsewhere")
    assert place.read_text() == "mine"
    assert not list((root / "store").glob("*/*"))


def test_given_material_has_the_evidence_that_it_is_given(once: Path) -> None:
    (one, *_) = read_results(once / "results").evidence("keeper")
    material = GivenMaterial(evidence={"keeper": [one], "keeper/rewards": []})
    assert material.evidence("keeper") == [CellEvidence(one.cell, one.rows)]
    assert material.evidence("keeper", "rewards") == []
    assert material.evidence("nobody") == ()
