"""A results folder owns what its manifest lists, and nothing else; what is damaged is refused by readers and mended."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from fairl_bench.engine.execute import Watcher
from fairl_bench.errors import ResultsError
from fairl_bench.html import write as pages
from fairl_bench.html.write import write_pages
from fairl_bench.pipeline import Finished, run
from fairl_bench.results import files
from fairl_bench.results import lock as alone
from fairl_bench.results.files import Writer
from fairl_bench.results.folder import Entry, Manifest, ResultsFolder, note, read_manifest
from fairl_bench.results.lock import locked
from fairl_bench.results.results import read_results
from fairl_bench.store.disk import refusal
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

Cli = Callable[..., Result]
Run = Callable[..., Finished]
MINE = ("tables/thesis.tex", "figures/photo.png", "rewards/my-model/reward.json", "scores/mine.parquet", "notes.txt")


@pytest.fixture
def short(tiny: dict[str, Any]) -> dict[str, Any]:
    """The tiny suite with two methods that need no training, and one small table."""
    tiny["methods"] = tiny["methods"][-2:]
    tiny["models"][0]["n"] = 40
    tiny["evaluate"] = [{"use": "fidelity", "data": ["pairs/test"]}]
    tiny["report"] = {"table1": {"data": ["pairs/test"], "truth": "gold", "metrics": ["starc"]}}
    del tiny["testsets"]
    return tiny


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds."""
    monkeypatch.setattr(pages, "pictures", lambda parts, material: {})


def plant(folder: Path, names: tuple[str, ...] = MINE) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"mine: {name}")


def untouched(folder: Path, names: tuple[str, ...] = MINE) -> bool:
    return all((folder / name).read_text() == f"mine: {name}" for name in names)


def content(folder: Path) -> dict[str, bytes]:
    passing = ("run.json", "manifest.json", "report.html")  # they say when a run was
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in passing]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # not through a link to the store
    path.write_bytes(data)


# --- whose files they are


def test_a_run_leaves_alone_what_it_has_not_written(
    run_suite: Run, short: dict[str, Any], tmp_path: Path, undrawn: None
) -> None:
    folder = tmp_path / "results"
    plant(folder)
    run_suite(short)
    write_pages(read_results(folder))
    short["methods"] = short["methods"][:1]
    del short["report"]
    run_suite(short)
    write_pages(read_results(folder))
    assert untouched(folder)
    left = {name.partition("/")[0] for name in content(folder)} - {"suite.yaml", "records.parquet", "intervals.parquet"}
    assert left == {
        "tables",
        "figures",
        "rewards",
        "scores",
        "examples",
        "truths",
        "histories",
        "metrics.json",
        "notes.txt",
    }
    assert [path.name for path in (folder / "tables").iterdir()] == ["thesis.tex"]
    assert len(list((folder / "rewards").iterdir())) == 2


def test_so_does_one_of_another_suite_that_may_overwrite(
    run_suite: Run, short: dict[str, Any], store: Store, write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    folder = run_suite(short).folder
    plant(folder)
    before = content(folder).keys() - set(MINE)
    short.update(name="other", models=[{**short["models"][0], "name": "else"}])
    run(read_study(write_suite(short)), store, folder, replace_results=True)
    assert untouched(folder)
    assert not {name for name in before if "toy-" in name} & content(folder).keys()
    assert read_results(folder).name == "other"


def test_readers_do_not_read_what_is_not_listed(run_suite: Run, short: dict[str, Any]) -> None:
    folder = run_suite(short).folder
    before = read_results(folder)
    shutil.copy(folder / "scores" / "toy-tfidf-length-r0-sall.parquet", folder / "scores" / "copy.parquet")
    again = read_results(folder)
    assert repr(again.records) == repr(before.records)
    assert len(again.sheets(["pairs/test"])[0].rewards) == 2


@pytest.mark.parametrize(
    "name",
    [
        *("suite.yaml", "run.json", "records.parquet", "manifest.json", "tables/table1.md", "report.html"),
        *("scores/toy-tfidf-length-r0-sall.parquet", "rewards/toy-tfidf-length-r0-sall/reward.json"),
    ],
)
def test_somebody_elses_file_in_the_place_of_ours_is_refused_by_name(
    name: str, run_suite: Run, short: dict[str, Any], tmp_path: Path, undrawn: None
) -> None:
    plant(tmp_path / "results", (name,))
    with pytest.raises(ResultsError, match=f"results/{name} is (a file that no run has written|damaged or none of)"):
        write_pages(run_suite(short).results)
    assert untouched(tmp_path / "results", (name,))


@pytest.mark.parametrize("name", ["scores", "tables", "rewards", "rewards/toy-tfidf-length-r0-sall", "suite.yaml"])
def test_nothing_is_written_or_removed_through_a_link(
    name: str, run_suite: Run, short: dict[str, Any], tmp_path: Path
) -> None:
    there = tmp_path / "elsewhere"
    plant(there, ("thesis.tex", "reward.json"))
    place = tmp_path / "results" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(there if name != "suite.yaml" else there / "thesis.tex")
    with pytest.raises(ResultsError, match=f"results/{name} is a link that no run has written, in the place of a f"):
        run_suite(short)
    assert {path.name for path in there.iterdir()} == {"thesis.tex", "reward.json"}
    assert untouched(there, ("thesis.tex", "reward.json"))


def test_what_is_in_the_way_is_told_before_anything_is_computed(
    run_suite: Run, short: dict[str, Any], tmp_path: Path, store: Store
) -> None:
    plant(tmp_path / "results", ("scores/toy-tfidf-length-r0-sall.parquet",))
    with pytest.raises(ResultsError, match="move it away, or name another folder with --results"):
        run_suite(short)
    assert store.keys() == []


def test_the_results_folder_itself_may_be_a_link(run_suite: Run, short: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    run_suite(short)
    assert read_results(tmp_path / "disk").records


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside", "a//b", "a\\..\\b", ""])
def test_a_manifest_that_names_a_place_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(Manifest("s", {name: Entry("0" * 64, "x")}).text())
    with pytest.raises(ResultsError, match=r"manifest.json is damaged or none of ours"):
        read_manifest(tmp_path)


# --- damage


def test_a_reader_refuses_what_is_damaged_or_missing_in_one_sentence(run_suite: Run, short: dict[str, Any]) -> None:
    path = run_suite(short).folder / "records.parquet"
    spoil(path)
    with pytest.raises(ResultsError, match=r"records.parquet is damaged: its checksum differs; run the suite again"):
        read_results(path.parent)
    (path.parent / "run.json").unlink()
    with pytest.raises(ResultsError, match=r"run.json is missing; run the suite again, and it is written anew"):
        ResultsFolder(path.parent).json("run.json")


def test_a_run_says_what_it_mends(
    run_suite: Run, short: dict[str, Any], store: Store, write_suite: Callable[..., Path]
) -> None:
    folder = run_suite(short).folder
    before = content(folder)
    spoil(folder / "scores" / "toy-tfidf-length-r0-sall.parquet")
    shutil.rmtree(folder / "truths")
    said: list[str] = []
    again = run(read_study(write_suite(short)), store, folder, Watcher(damaged=said.append))
    assert again.outcome.done == []
    assert said == [
        f"{folder}/scores/toy-tfidf-length-r0-sall.parquet was damaged or missing; it is written again",
        f"{folder}/truths/toy-r0.parquet was damaged or missing; it is written again",
    ]
    assert content(folder) == before


@pytest.mark.parametrize("name", ["records.parquet", "scores/toy-tfidf-max-margin-r0-s0.parquet", "manifest.json"])
def test_a_run_of_some_cells_mends_the_files_of_all(
    name: str, ran: Finished, store: Store, write_suite: Callable[..., Path], tiny: dict[str, Any]
) -> None:
    before = content(ran.folder)
    spoil(ran.folder / name)
    run(read_study(write_suite(tiny)), store, ran.folder, only={"method": ["length"]})
    assert content(ran.folder) == before


def test_what_is_damaged_and_forgotten_by_the_store_is_left_out_with_a_word(
    ran: Finished, store: Store, write_suite: Callable[..., Path], tiny: dict[str, Any]
) -> None:
    (cell,) = [cell for cell in ran.plan.cells if (cell.method, cell.seed) == ("max-margin", 0)]
    shutil.rmtree(store.path(cell.scores))
    path = ran.folder / "scores" / "toy-tfidf-max-margin-r0-s0.parquet"
    spoil(path)
    only = {"method": ["length"]}
    warnings = run(read_study(write_suite(tiny)), store, ran.folder, only=only).outcome.warnings
    sentence = "was damaged, and the store no longer has what it was made from; it is left out until a run without"
    assert [f"{path} {sentence}" in one for one in warnings] == [True]
    assert not path.exists()
    assert read_results(ran.folder).records
    assert not run(read_study(write_suite(tiny)), store, ran.folder).outcome.warnings
    assert path.exists()


# --- a folder from before there were manifests


def test_a_folder_of_before_is_read_with_a_note_and_has_a_manifest_after_the_next_run(
    ran: Finished, run_suite: Run, tiny: dict[str, Any], cli: Cli
) -> None:
    (ran.folder / "manifest.json").unlink()
    told = cli("report", "results")
    assert told.exit_code == 0
    assert told.stderr == (
        "note: results has no manifest.json: it is of an earlier version, and damage to its files cannot be seen; "
        "the next run writes one\n"
    )
    run_suite(tiny)
    assert cli("report", "results").stdout == told.stdout
    assert cli("report", "results").stderr == ""


def test_a_run_takes_nothing_of_a_folder_of_before_for_whole(
    ran: Finished, run_suite: Run, tiny: dict[str, Any]
) -> None:
    before = content(ran.folder)
    path = ran.folder / "scores" / "toy-tfidf-length-r0-sall.parquet"
    table = pq.read_table(path)
    changed = table.set_column(3, "reward", [table["reward"].to_pylist()[::-1]])
    pq.write_table(changed, path)  # its footer says what it said
    (ran.folder / "manifest.json").unlink()
    run_suite(tiny)
    assert content(ran.folder) == before


def test_what_others_have_put_into_a_folder_of_before_stays(
    ran: Finished, run_suite: Run, tiny: dict[str, Any], undrawn: None
) -> None:
    plant(ran.folder, MINE[:3])
    (ran.folder / "manifest.json").unlink()
    write_pages(read_results(ran.folder))
    assert not (ran.folder / "manifest.json").exists()
    tiny["methods"] = tiny["methods"][:2]
    run_suite(tiny)
    write_pages(read_results(ran.folder))
    run_suite(tiny)
    assert untouched(ran.folder, MINE[:3])
    assert note(ran.folder) is None


def test_a_suite_of_the_users_own_is_not_taken_for_a_runs(
    run_suite: Run, short: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ResultsError, match=r"suite.yaml is a file that no run has written"):
        run_suite(short, results=".")  # where the suite itself lies
    assert (tmp_path / "suite.yaml").read_text().startswith("name: tiny")


# --- ended while it wrote


@pytest.mark.parametrize("moment", range(6))
def test_a_commit_that_ends_at_any_moment_leaves_old_or_new_files_and_the_next_goes_on(
    moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"kind/{i}.json" for i in range(5)]

    def write(said: str, wanted: list[str]) -> None:
        files = Writer(tmp_path / "r", "s")
        with files.held():
            for name in wanted:
                files.put(name, said, json.dumps({"said": said}))
            for name in set(files.listed()) - set(wanted):
                files.drop(name)
            files.commit()

    write("old", names[:4])
    real, count = Path.replace, iter(range(100))

    class Killed(BaseException):
        pass

    def replace(self: Path, target: Path) -> Path:
        if next(count) == moment:
            raise Killed
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            write("new", names[1:])
    folder = ResultsFolder(tmp_path / "r")
    for name in folder.names("kind", ".json"):
        assert folder.json(name)["said"] in ("old", "new")
    assert (note(tmp_path / "r") is None) == (moment == 0)
    plant(tmp_path / "r", ("kind/mine.json",))
    write("new", names[1:])
    assert note(tmp_path / "r") is None
    there = {path.relative_to(tmp_path / "r").as_posix() for path in (tmp_path / "r").rglob("*") if path.is_file()}
    assert there == {*names[1:], "kind/mine.json", "manifest.json"}
    assert {name: folder.json(name)["said"] for name in names[1:]} == dict.fromkeys(names[1:], "new")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
@pytest.mark.parametrize("moment", [1, 4, 15, 24, 30])
def test_a_run_killed_while_it_writes_leaves_a_folder_that_the_next_goes_on_with(
    moment: int, ran: Finished, run_suite: Run, tiny: dict[str, Any], tmp_path: Path
) -> None:
    child = os.fork()
    if not child:
        real, count = Path.replace, iter(range(1000))
        Path.replace = lambda self, target: os._exit(7) if next(count) == moment else real(self, target)  # type: ignore
        run_suite(tiny, results="killed")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    run_suite(tiny, results="killed")
    assert content(tmp_path / "killed") == content(ran.folder)


# --- two at once


def test_a_run_waits_for_another_that_writes_into_its_folder(
    run_suite: Run, short: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    said: list[str] = []
    done: list[Finished] = []
    with locked(tmp_path / "results", said.append):
        thread = threading.Thread(
            target=lambda: done.append(run_suite(short, watcher=Watcher(warned=said.append))), daemon=True
        )
        thread.start()
        while not said:
            time.sleep(0.01)
        assert not (tmp_path / "results" / "suite.yaml").exists()
    thread.join(60)
    assert said == [f"waiting: another run writes into {tmp_path / 'results'}"]
    assert done[0].records


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_two_runs_and_a_reader_in_one_folder_do_not_disturb_one_another(
    ran: Finished, store: Store, short: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    """The two answer different questions of other texts, so that each replaces what the other has written."""
    suites = [write_suite(short, "one.yaml")]
    short.update(methods=short["methods"][:1], models=[{**short["models"][0], "n": 60}])
    suites.append(write_suite(short, "two.yaml"))
    children = []
    for suite in suites:
        children.append(os.fork())
        if not children[-1]:
            code = 1
            try:
                for _ in range(4):
                    run(read_study(suite), store, ran.folder)
                code = 0
            finally:
                os._exit(code)
    read = 0
    over = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while any(os.waitid(os.P_PID, child, over) is None for child in children):
        assert read_results(ran.folder).records
        read += 1
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert read > 1
    manifest = read_manifest(ran.folder)
    assert manifest is not None
    for name, entry in manifest.files.items():
        assert hashlib.sha256((ran.folder / name).read_bytes()).hexdigest() == entry.sha256, name
    assert not list(ran.folder.glob(".*"))


def test_where_a_file_system_has_no_locks_a_run_goes_on(
    run_suite: Run, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(alone.fcntl, "flock", refuse)
    with locked(Path(), lambda _: None) as held:
        assert not held
    files = Writer(Path())
    monkeypatch.undo()
    assert files.manifest is None


# --- a full disk


def test_a_copy_that_finds_the_disk_full_is_a_refusal_of_the_disk_it_copies_to(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/store/reward", None, str(tmp_path / "results" / "x"))
    found = refusal(error, tmp_path / "results", "--results")
    assert found is not None
    assert found.what == "No space left on device"
    assert refusal(error, tmp_path / "other") is None


def test_a_disk_that_fills_up_leaves_the_results_of_before(
    run_suite: Run, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_suite(short).folder
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write = files._write

    def full(path: Path, content: bytes) -> None:
        write(path, content)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_write", full)
    short["split"] = {"test": 0.5}
    with pytest.raises(ResultsError, match="results cannot be written: No space left on device; make room"):
        run_suite(short)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


# --- names


def test_no_name_is_too_long_for_a_file_and_none_are_the_same_but_for_case(
    run_suite: Run, short: dict[str, Any]
) -> None:
    long = "m" * 300
    short["methods"] = [
        {"name": long, "use": "length"},
        {"name": f"{long}2", "use": "mean-difference"},
        {"name": "Length", "use": "length"},
        {"name": "length", "use": "length"},
    ]
    finished = run_suite(short)
    assert not finished.outcome.failed
    names = [path.name for path in (finished.folder / "scores").iterdir()]
    assert len({name.casefold() for name in names}) == 4
    assert max(map(len, names)) < 200
    assert {sheet.method for sheet in read_results(finished.folder).records} == {long, f"{long}2", "Length", "length"}


def test_names_that_files_can_have_are_kept(ran: Finished) -> None:
    assert {path.stem for path in (ran.folder / "scores").iterdir()} == {
        *(f"toy-tfidf-{method}-r0-s{seed}" for method in ("max-margin", "max-entropy") for seed in (0, 1)),
        *(f"toy-tfidf-{method}-r0-sall" for method in ("mean-difference", "length")),
    }


# --- the command line


@pytest.mark.parametrize("name", ["1", "table1", "table1.md", "table1.csv"])
def test_a_table_is_asked_for_by_the_name_of_its_file_too(name: str, ran: Finished, cli: Cli) -> None:
    found = cli("report", "results", "--table", name)
    assert found.exit_code == 0
    assert found.stdout.startswith("Table 1\n")


def test_a_table_that_is_asked_for_and_empty_is_not_said_to_be_unasked(
    run_suite: Run, short: dict[str, Any], cli: Cli
) -> None:
    short["report"]["table3"] = {"methods": ["mean-difference", "length"], "data": ["pairs/test"], "truth": "preferred"}
    short["models"][0]["gold"] = {"use": "role"}  # which knows no subtypes
    short["report"]["table1"]["truth"] = "preferred"
    threshold = {"data": "pairs/train", "label": "preferred"}
    short["evaluate"] = [
        {"use": "fidelity", "data": ["pairs/test"], "truth": "preferred"},
        {"use": "classification", "data": ["pairs/test"], "label": "preferred", "threshold": threshold},
    ]
    assert not run_suite(short).outcome.failed
    found = cli("report", "results", "-t", "3")
    assert found.exit_code == 2
    assert (
        "has no table 'table3' (it has: table1); its suite asks for it, and no number on record belongs" in found.stderr
    )


def test_a_flipped_digit_of_the_format_is_damage_and_mended(
    run_suite: Run, short: dict[str, Any], undrawn: None
) -> None:
    done = run_suite(short)
    path = done.folder / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 3'))
    run_suite(short)
    assert read_manifest(done.folder) is not None


def test_a_damaged_run_json_is_written_again_and_no_more_is_said(run_suite: Run, short: dict[str, Any]) -> None:
    done = run_suite(short)
    spoil(done.folder / "run.json")
    again = run_suite(short)
    assert again.outcome.warnings == []
    assert json.loads((done.folder / "run.json").read_text())["suite"] == short["name"]
