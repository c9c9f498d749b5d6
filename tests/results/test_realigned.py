"""The completions of re-alignments in a results folder, and the tables made of that folder alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from fairl_bench.engine.execute import Watcher
from fairl_bench.html.write import write_pages
from fairl_bench.pipeline import Finished, run
from fairl_bench.results import results as reader
from fairl_bench.results.results import read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study

Cli = Callable[..., Result]

# what a re-alignment says, without one
PLANTED = """
from fairl_bench import Evaluator, Metric, hookimpl
from fairl_bench.values.records import Evidence, Measure


class Planted(Evaluator):
    metrics = (Metric("toxicity_rate", "lower", bounds=(0, 1)), Metric("kl_k3"))
    shift: float = 0.0

    def evaluate(self, scored):
        reward = scored["pairs/test"].reward
        toxic = float(abs(reward[0]) % 0.5) + self.shift
        rows = []
        for phase, step in (("before", 0), ("after", 20), ("along", 0), ("along", 20)):
            for row in range(12):
                bad = (row + 0.5) / 12 < (0.5 if step == 0 else toxic)
                rows.append((phase, step, row, 0, f"prompt {row}", f"{phase} {row}", 1.0 - 2 * bad, float(bad), bad,
                             float(step), 0.05 * step, 0.05 * step, 1.0, 1.0))
        names = ("phase", "step", "row", "draw", "prompt", "text", "true_reward", "toxicity", "toxic", "proxy_reward",
                 "kl_k1", "kl_k3", "surprise", "tokens")
        yield Evidence({name: [one[at] for one in rows] for at, name in enumerate(names)})
        end = sum(one[8] for one in rows if one[:2] == ("along", 20)) / 12
        for cut, value in (("step:0", 0.5), ("step:20", end), ("kl:0.5", (0.5 + end) / 2), ("all", end)):
            yield Measure("realigned", "gold", "toxicity_rate", value, 12, "", cut)
        for step in (0, 20):
            yield Measure("realigned", "", "kl_k3", 0.05 * step, 12, "", f"step:{step}")


@hookimpl
def fairl_evaluators(register):
    register("planted", Planted)
"""


SUITE = """
name: realigned
seeds: [0, 1]
plugins: [planted.py]
models:
  - {name: toy, use: toy-comments, n: 120, gold: {use: toy-truth}}
encoders: [{name: tfidf, use: tfidf, dimensions: 16}]
training: {epochs: 3}
methods:
  - {name: max-margin, use: max-margin}
  - {name: max-entropy, use: max-entropy}
evaluate:
  - {use: planted, data: [pairs/test]}
"""


def ran(root: Path, suite: str = SUITE, **only: list[str]) -> Finished:
    (root / "suite.yaml").write_text(suite)
    return run(read_study(root / "suite.yaml"), FolderStore(root / "store"), root / "results", only=only or None)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite, its plugin, its store and its results, to be read only."""
    root = tmp_path_factory.mktemp("planted")
    (root / "planted.py").write_text(PLANTED)
    assert not ran(root).outcome.failed
    return root


@pytest.fixture
def root(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "planted"))


def files(root: Path) -> set[str]:
    return {path.name for path in (root / "results").glob("evidence/planted/*")}


EVERY = {f"toy-tfidf-{method}-r0-s{seed}.parquet" for method in ("max-margin", "max-entropy") for seed in (0, 1)}


def test_the_evidence_of_each_cell_is_in_the_folder_with_its_coordinates(once: Path) -> None:
    assert files(once) == EVERY
    table = pq.read_table(once / "results" / "evidence" / "planted" / "toy-tfidf-max-entropy-r0-s1.parquet")
    told = {str(key, "utf-8"): str(value, "utf-8") for key, value in table.schema.metadata.items()}
    assert {name: told[name] for name in ("model", "encoder", "method", "variant", "replicate", "seed")} == {
        **{"model": "toy", "encoder": "tfidf", "method": "max-entropy", "variant": "", "replicate": "0", "seed": "1"},
    }
    assert len(table) == 48
    assert table["text"][12].as_py() == "after 0"
    stages = {stage["key"] for stage in json.loads((once / "results" / "run.json").read_text())["stages"]}
    assert told["stage"] in stages


def test_what_has_not_changed_is_not_written_again(root: Path) -> None:
    before = {path: path.stat().st_ino for path in (root / "results" / "evidence" / "planted").iterdir()}
    ran(root)
    assert {path: path.stat().st_ino for path in (root / "results" / "evidence" / "planted").iterdir()} == before


def test_the_file_of_a_dropped_cell_goes_and_with_only_it_stays(root: Path) -> None:
    fewer = SUITE.replace("  - {name: max-margin, use: max-margin}\n", "")
    ran(root, fewer, seed=["0"])
    assert files(root) == EVERY
    ran(root, fewer)
    assert files(root) == {name for name in EVERY if "entropy" in name}


def test_the_file_goes_with_its_evaluator(root: Path) -> None:
    ran(root, SUITE.replace("{use: planted, data: [pairs/test]}", "{use: fidelity, data: [pairs/test]}"))
    assert files(root) == set()


def test_another_question_replaces_the_evidence_of_the_wanted_cells_alone(root: Path) -> None:
    folder = root / "results" / "evidence" / "planted"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ran(root, SUITE.replace("data: [pairs/test]}", "data: [pairs/test], shift: 0.2}"), seed=["1"])
    changed = {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {name for name in EVERY if "s1" in name}


def test_an_interrupted_run_of_some_cells_keeps_the_evidence_if_the_question_is_the_same(root: Path) -> None:
    def started(*_: object) -> None:
        raise KeyboardInterrupt

    shutil.rmtree(root / "store")
    for shift, kept in (("0.0", EVERY), ("0.2", {name for name in EVERY if "entropy" in name})):
        (root / "suite.yaml").write_text(SUITE.replace("data: [pairs/test]}", f"data: [pairs/test], shift: {shift}}}"))
        study = read_study(root / "suite.yaml")
        with pytest.raises(KeyboardInterrupt):
            run(study, FolderStore(root / "store"), root / "results", Watcher(started), only={"method": ["max-margin"]})
        assert files(root) == kept


def test_the_tables_are_made_of_the_folder_alone(once: Path, tmp_path: Path, cli: Cli) -> None:
    moved = shutil.copytree(once / "results", tmp_path / "moved")
    for name in ("realignment", "realignment-steps"):
        ran_ = cli("report", moved, "-t", name, "--format", "csv")
        assert ran_.exit_code == 0
        assert ran_.stdout.strip() == (moved / "tables" / f"{name}.csv").read_text().strip()
    assert "Realignment at the same KL" in cli("report", moved).stdout


def test_statistics_are_made_anew_where_the_evidence_changed(
    root: Path, relist: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / "results"
    monkeypatch.setattr(reader, "statistics", lambda *_: pytest.fail("resampled again"))
    read_results(folder)
    monkeypatch.undo()
    for path in (folder / "evidence" / "planted").iterdir():
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"signature": b"other"}), path)
    relist(folder)
    called = []
    kept = reader.statistics
    monkeypatch.setattr(reader, "statistics", lambda *given: called.append(1) or kept(*given))
    found = read_results(folder)
    assert called == [1]
    made = found.tables
    assert list(made) == ["realignment", "realignment-steps"]


def test_the_page_has_the_samples_and_figures_of_the_folder(root: Path) -> None:
    page = write_pages(read_results(root / "results")).read_text()
    assert "Samples before and after" in page
    assert '"before 3"' in page
    drawn = {path.name for path in (root / "results" / "figures").iterdir()}
    assert {"realignment-steps.png", "realignment-kl.png"} <= drawn


def test_a_run_without_re_alignment_says_nothing_of_it(ran_once: tuple[Path, Finished], tmp_path: Path) -> None:
    folder = shutil.copytree(ran_once[1].folder, tmp_path / "plain")
    assert not (folder / "evidence").exists()
    found = read_results(folder)
    assert not {"realignment", "realignment-steps"} & set(found.tables)
