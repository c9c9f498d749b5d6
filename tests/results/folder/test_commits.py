"""Whatever ends a run while it writes, and whoever writes at once, a results folder holds old or new files alone."""

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

import pytest
from click.testing import Result
from results_files import content, plant

from fairl_bench.engine.execute import Watcher
from fairl_bench.errors import ResultsError
from fairl_bench.pipeline import Finished, run
from fairl_bench.results import lock as alone
from fairl_bench.results import writer
from fairl_bench.results.folder import ResultsFolder, note, read_manifest
from fairl_bench.results.lock import locked
from fairl_bench.results.results import read_results
from fairl_bench.results.writer import Writer
from fairl_bench.store.disk import refusal
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

Cli = Callable[..., Result]
Run = Callable[..., Finished]


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
    write = writer._write

    def full(path: Path, content: bytes) -> None:
        write(path, content)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer, "_write", full)
    short["split"] = {"test": 0.5}
    with pytest.raises(ResultsError, match="results cannot be written: No space left on device; make room"):
        run_suite(short)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
