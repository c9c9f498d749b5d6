from __future__ import annotations

import ctypes
import errno
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from fairl_bench.errors import DamagedArtefact, MissingExtra, StoreError
from fairl_bench.store import folder as engine_store
from fairl_bench.store.folder import AT_RISK, FolderStore, _force
from fairl_bench.store.manifest import MANIFEST
from fairl_bench.store.place import default_store, open_store
from fairl_bench.store.running import announcement
from fairl_bench.store.store import Store

KEY = "ab" + "0" * 62


def saves(text: str = "hello") -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        (folder / "a.txt").write_text(text)
        (folder / "b.txt").write_text(text * 1000)

    return save


@pytest.fixture
def kept(store: Store) -> Store:
    """A store that holds one artefact under `KEY`."""
    store.write(KEY, "thing", saves(), {"seconds": 1.5})
    return store


def half_written(store: Store) -> list[Path]:
    return list((store.root / "tmp").iterdir())


def test_what_is_written_is_read_back(kept: Store) -> None:
    folder = kept.read(KEY)
    assert folder == kept.root / "ab" / KEY
    assert (folder / "a.txt").read_text() == "hello"
    assert kept.manifest(KEY)["kind"] == "thing"
    assert kept.manifest(KEY)["facts"] == {"seconds": 1.5}
    assert sorted(kept.manifest(KEY)["files"]) == ["a.txt", "b.txt"]
    assert half_written(kept) == []


def test_a_key_is_there_only_when_it_has_been_written(store: Store) -> None:
    assert not store.has(KEY)
    store.write(KEY, "thing", saves(), {})
    assert store.has(KEY)
    assert not store.has("cd" + KEY[2:])


def test_another_store_of_the_same_folder_reads_it(kept: Store) -> None:
    assert FolderStore(kept.root).read(KEY) == kept.read(KEY)


def test_a_second_write_leaves_the_first_answer(kept: Store) -> None:
    kept.write(KEY, "thing", saves("other"), {"seconds": 9})
    assert (kept.read(KEY) / "a.txt").read_text() == "hello"
    assert kept.manifest(KEY)["facts"] == {"seconds": 1.5}
    assert half_written(kept) == []


def test_a_folder_without_a_manifest_is_written_over(kept: Store) -> None:
    (kept.path(KEY) / MANIFEST).unlink()
    assert not kept.has(KEY)
    kept.write(KEY, "thing", saves("other"), {})
    assert (kept.read(KEY) / "a.txt").read_text() == "other"


# --- durable


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was forced to the disk, in order: names of files and folders, ``*`` for all at once."""
    found: list[str] = []

    def syncfs(handle: int) -> int:
        found.append("*")
        return 0

    monkeypatch.setattr(engine_store, "_syncfs", syncfs)
    monkeypatch.setattr(engine_store, "_force", lambda path: found.append(path.name))
    return found


def test_short_stages_are_forced_to_the_disk_together(
    forced: list[str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [store._settled]
    monkeypatch.setattr(engine_store.time, "monotonic", lambda: now[0])
    for number in range(20):
        store.write(f"{number:064x}", "thing", saves(), {})
        assert forced == []
    now[0] += AT_RISK + 0.01
    store.write(KEY, "thing", saves(), {})
    assert forced == ["*"]
    store.write("c" * 64, "thing", saves(), {})
    assert forced == ["*"]


def test_a_store_that_is_asked_to_settle_forces_everything(forced: list[str], kept: Store) -> None:
    kept.settle()
    assert forced == ["*"]


def test_where_a_file_system_cannot_be_forced_at_once_every_file_is_before_it_appears(
    forced: list[str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_store, "_syncfs", None)
    there = []
    monkeypatch.setattr(engine_store, "_force", lambda path: there.append((path.name, store.has(KEY))))
    store.write(KEY, "thing", saves(), {})
    store.settle()
    assert there == [("a.txt", False), ("b.txt", False), (MANIFEST, False), ("ab", True)]


def test_the_file_system_here_can_be_forced(kept: Store) -> None:
    kept.settle()
    _force(kept.path(KEY) / "a.txt")
    _force(kept.path(KEY))


def test_a_disk_that_cannot_be_forced_is_an_error(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def syncfs(handle: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(engine_store, "_syncfs", syncfs)
    with pytest.raises(StoreError, match=f"the store {kept.root} cannot be written: .*Input/output error; mend the"):
        kept.settle()


@pytest.mark.parametrize("torn", [MANIFEST, "a.txt"])
def test_an_artefact_that_a_crash_left_empty_is_damage_and_can_be_made_again(torn: str, kept: Store) -> None:
    (kept.path(KEY) / torn).write_bytes(b"")  # what ext4 leaves of a file that was renamed and never forced
    with pytest.raises(DamagedArtefact, match=f"{KEY[:12]} is damaged .*{'manifest' if torn == MANIFEST else torn}"):
        kept.read(KEY)
    kept.set_aside(KEY)
    kept.write(KEY, "thing", saves(), {})
    assert kept.checked(KEY) == ("thing", kept.path(KEY))


# --- damage


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["a.txt", "b.txt"])
def test_a_flipped_bit_is_damage(file: str, kept: Store) -> None:
    flip(kept.path(KEY) / file)
    with pytest.raises(DamagedArtefact, match=f"{KEY[:12]} is damaged .{file} does not match its checksum"):
        kept.read(KEY)


def test_a_truncated_file_is_damage(kept: Store) -> None:
    path = kept.path(KEY) / "b.txt"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedArtefact, match=r"b.txt does not match its checksum"):
        kept.read(KEY)


def test_a_missing_file_is_damage(kept: Store) -> None:
    (kept.path(KEY) / "a.txt").unlink()
    with pytest.raises(DamagedArtefact, match=r"a.txt cannot be read: No such file"):
        kept.read(KEY)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "its manifest cannot be read: "),
        ("", "its manifest cannot be read: "),
        ("\x00\xff", "its manifest cannot be read: "),
        ("{}", "its manifest lacks fields"),
        ('{"kind": "thing", "files": {}}', "its manifest lacks fields"),
        ("[]", "its manifest lacks fields"),
        ("null", "its manifest lacks fields"),
    ],
)
def test_a_broken_manifest_is_damage(text: str, reason: str, kept: Store) -> None:
    (kept.path(KEY) / MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(DamagedArtefact, match=f"{KEY[:12]} is damaged .{reason}"):
        kept.read(KEY)


def test_what_was_never_written_is_damage_when_it_is_read(store: Store) -> None:
    with pytest.raises(DamagedArtefact, match=f"{KEY[:12]} is damaged .its manifest cannot be read: .*No such file"):
        store.read(KEY)


def test_a_damaged_artefact_carries_its_key(store: Store) -> None:
    with pytest.raises(DamagedArtefact, match=KEY[:12]) as raised:
        store.read(KEY)
    assert raised.value.key == KEY


def test_what_is_set_aside_is_kept_elsewhere_and_can_be_made_again(kept: Store) -> None:
    flip(kept.path(KEY) / "a.txt")
    place = kept.set_aside(KEY)
    assert Path(place).parent == kept.root / "damaged"
    assert (Path(place) / "b.txt").exists()
    assert not kept.has(KEY)
    kept.write(KEY, "thing", saves(), {})
    assert (kept.read(KEY) / "a.txt").read_text() == "hello"


def test_a_key_can_be_set_aside_twice(kept: Store) -> None:
    places = [kept.set_aside(KEY)]
    kept.write(KEY, "thing", saves(), {})
    places.append(kept.set_aside(KEY))
    assert len({*places}) == 2
    assert all(Path(place).is_dir() for place in places)


def test_setting_aside_what_is_gone_does_nothing(store: Store) -> None:
    assert not Path(store.set_aside(KEY)).exists()


# --- failures


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt("stop")])
def test_a_save_that_fails_leaves_nothing(error: BaseException, store: Store) -> None:
    def save(folder: Path) -> None:
        (folder / "a.txt").write_text("half")
        raise error

    with pytest.raises(type(error), match=str(error)):
        store.write(KEY, "thing", save, {})
    assert not store.has(KEY)
    assert half_written(store) == []


def test_a_disk_that_is_full_is_told_with_what_to_do(store: Store) -> None:
    def save(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    sentence = f"the store {store.root} cannot be written: No space left on device; make room .*, then run the same"
    with pytest.raises(StoreError, match=sentence):
        store.write(KEY, "thing", save, {})


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"{tmp_path / 'file' / 'store'} cannot be made: Not a directory; .*--store"):
        FolderStore(tmp_path / "file" / "store")


def test_facts_that_are_no_json_leave_nothing(store: Store) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        store.write(KEY, "thing", saves(), {"x": {1}})
    assert not store.has(KEY)
    assert half_written(store) == []


# --- two processes


def many(root: Path, keys: list[str], text: str, start: Barrier) -> None:
    store = FolderStore(root)
    for key in keys:
        start.wait(20)
        store.write(key, "thing", saves(text), {})


def test_two_processes_that_write_the_same_keys_leave_one_good_artefact_each(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    keys = [f"{i:02x}" + "1" * 62 for i in range(40)]
    start = context.Barrier(2)
    workers = [
        context.Process(target=many, args=(store.root, keys, text, start), daemon=True) for text in ("one", "two")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0]
    for key in keys:
        folder = store.read(key)
        text = (folder / "a.txt").read_text()
        assert text in ("one", "two")
        assert (folder / "b.txt").read_text() == text * 1000
    assert half_written(store) == []


def test_losing_the_race_for_a_place_keeps_the_winners_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def beaten(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        store.write(KEY, "thing", saves("winner"), {})
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", beaten)
    store.write(KEY, "thing", saves("loser"), {})
    assert (store.read(KEY) / "a.txt").read_text() == "winner"
    assert half_written(store) == []


def test_a_lock_keeps_another_process_out(store: Store) -> None:
    from filelock import Timeout

    with store.lock(KEY), pytest.raises(Timeout, match=KEY), FolderStore(store.root).lock(KEY, wait=False):
        pass
    with store.lock(KEY, wait=False):
        pass


def test_who_waits_for_a_lock_says_so(store: Store) -> None:
    from fairl_bench.progress import listening

    said: list[str] = []
    held = store.lock(KEY)
    held.__enter__()

    def heard(share: float, note: str) -> None:
        said.append(note)
        held.__exit__(None, None, None)

    with listening(heard), FolderStore(store.root).lock(KEY):
        assert said == ["waiting: another process does this"]


# --- what a dead process leaves


def hold_half(root: Path, ready: Connection) -> None:
    with FolderStore(root).unfinished() as folder:
        (folder / "a.txt").write_text("half")
        ready.send(folder)
        ready.recv()


def test_a_half_written_artefact_goes_when_its_process_is_dead_and_not_before(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold_half, args=(store.root, theirs), daemon=True)
    process.start()
    folder = ours.recv()
    store.sweep(store.has)
    assert (folder / "a.txt").exists()
    process.kill()
    process.join()
    assert store.stale() == [folder]
    with store.announce("a suite", []):  # a run sweeps as it begins
        assert half_written(store) == []


def test_what_an_older_version_left_half_written_goes_too(store: Store) -> None:
    (store.root / "tmp" / "0123").mkdir()
    store.sweep(store.has)
    assert half_written(store) == []


# --- who uses it


def test_a_run_is_announced_while_it_lasts(store: Store) -> None:
    with store.announce("a suite", [KEY]):
        (run,) = FolderStore(store.root).running()
        assert (run.suite, run.pid, run.host, run.keys) == ("a suite", os.getpid(), socket.gethostname(), {KEY})
    assert store.running() == []
    assert [path.name for path in (store.root / "runs").iterdir()] == ["mutex"]


def announce(root: Path, ready: Connection) -> None:
    with FolderStore(root).announce("killed", [KEY]):
        ready.send(True)
        ready.recv()


def test_an_announcement_ends_with_its_process(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=announce, args=(store.root, theirs), daemon=True)
    process.start()
    ours.recv()
    assert [run.pid for run in store.running()] == [process.pid]
    process.kill()
    process.join()
    assert store.running() == []
    assert [path.name for path in (store.root / "runs").iterdir()] == ["mutex"]


@pytest.mark.parametrize(("age", "believed"), [(3600.0, True), (8 * 86400.0, False)])
def test_a_run_of_another_machine_is_believed_for_a_week_whatever_its_lock_says(
    age: float, believed: bool, store: Store
) -> None:
    run = announcement("far", [KEY], "abc")._replace(host="elsewhere", began=time.time() - age)
    (store.root / "runs" / "abc.json").write_text(run.text())
    assert [run.host for run in store.running()] == (["elsewhere"] if believed else [])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": 3}', "null"])
def test_an_announcement_cut_off_by_a_death_is_none(text: str, store: Store) -> None:
    (store.root / "runs" / "abc.json").write_text(text)
    assert store.running() == []
    assert not (store.root / "runs" / "abc.json").exists()


# --- where it is


def test_a_store_opens_by_its_path_and_by_a_file_url(kept: Store) -> None:
    assert open_store(kept.place).read(KEY) == kept.read(KEY)
    assert open_store(kept.root).place == kept.place
    assert open_store(f"file://{kept.place}").read(KEY) == kept.read(KEY)


def test_a_place_holds_in_another_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert FolderStore(Path("here")).place == str(tmp_path / "here")


def test_a_url_that_nothing_knows_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        MissingExtra, match="the store nowhere://x needs the fsspec package of nowhere://: Protocol not"
    ):
        open_store("nowhere://x")


def test_the_store_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAIRL_STORE", str(tmp_path))
    assert default_store() == str(tmp_path)
    monkeypatch.setenv("FAIRL_STORE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Path(default_store()).name == "store"
    assert "fairl-bench" in default_store()


def test_a_manifest_is_json_with_the_checksum_of_every_file(kept: Store) -> None:
    import hashlib

    manifest = json.loads((kept.path(KEY) / MANIFEST).read_text())
    assert manifest["files"]["a.txt"] == hashlib.sha256(b"hello").hexdigest()


# --- what others left, and what is in the way


def test_a_run_sweeps_what_killed_runs_left(store: Store) -> None:
    store.write(KEY, "thing", saves(), {})
    other = "cd" + KEY[2:]
    for key in (KEY, other):
        (store.scratch(key) / "checkpoint").write_text("")  # of finished work, killed just before it was forgotten
    (store.root / "tmp" / "0123").mkdir()
    for name in ("tmp/4567.lock", f"locks/{KEY}", f"locks/{other}"):
        (store.root / name).write_text("")
    (store.root / "tmp" / "file").write_text("")
    with store.announce("a suite", []):
        assert half_written(store) == []
        assert [path.name for path in (store.root / "scratch").iterdir()] == [other]  # work that goes on
    assert list((store.root / "locks").iterdir()) == []


def test_what_is_worked_on_is_not_swept(store: Store) -> None:
    store.write(KEY, "thing", saves(), {})
    folder = store.scratch(KEY)
    with store.lock(KEY), FolderStore(store.root).announce("a suite", []):
        assert folder.exists()
    with store.lock(KEY):
        with FolderStore(store.root).announce("another", []):
            pass
        assert (store.root / "locks" / KEY).exists()


@pytest.mark.parametrize(
    "name",
    ["../outside", "damaged/../../outside", "tmp", "tmp/", "tmp/..", "/etc", "ab/x", "", "locks/x", "scratch/a/b"],
)
def test_what_is_no_leftover_is_not_discarded(name: str, store: Store, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    with pytest.raises(StoreError, match=r"is no leftover of the store"):
        store.discard(name)
    assert (tmp_path / "outside").exists()
    assert (store.root / "tmp").exists()


def test_a_link_among_leftovers_goes_without_what_it_leads_to(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    for room in ("damaged", "scratch", "tmp"):
        (store.root / room).mkdir(exist_ok=True)
        (store.root / room / "link").symlink_to(tmp_path / "mine")
    for name in list(store.leftovers()):
        store.discard(name)
    assert store.leftovers() == {}
    assert (tmp_path / "mine" / "thesis.tex").exists()


@pytest.mark.parametrize(
    "key", ["../../x", "", "ab", "AB" + "0" * 62, "ab" + "0" * 61 + "/", "\0" * 64, "ab/../" + "0" * 58]
)
def test_what_is_no_key_leads_nowhere(key: str, store: Store) -> None:
    for ask in (store.path, store.read, store.manifest, store.set_aside, store.remove, store.verify):
        with pytest.raises(StoreError, match="is no key of an artefact: it needs 64 digits"):
            ask(key)


def in_the_way() -> dict[str, Callable[[Store], object]]:
    def replace(*name: str) -> Callable[[Store], object]:
        def put(store: Store) -> None:
            place = store.root.joinpath(*name)
            if place.is_dir():
                place.rmdir()
            place.write_text("mine")

        return put

    return {
        "the shelf of a key": replace(KEY[:2]),
        "tmp": replace("tmp"),
        "locks": replace("locks"),
        "scratch": replace("scratch"),
        "a lock": lambda store: (store.root / "locks" / KEY).mkdir(),
        "a lock that is a link": lambda store: (store.root / "locks" / KEY).symlink_to("nowhere"),
    }


def work(store: Store) -> None:
    with store.lock(KEY):
        store.scratch(KEY)
        store.write(KEY, "thing", saves(), {})


@pytest.mark.parametrize("what", in_the_way())
def test_what_lies_in_the_way_of_a_store_is_named(what: str, store: Store) -> None:
    in_the_way()[what](store)
    sentence = r"the store .* cannot be used: something else lies in the place of .*; move it away"
    with pytest.raises(StoreError, match=sentence):
        work(store)


@pytest.mark.parametrize("make", [os.mkfifo, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_lies_in_the_place_of_an_artefact_is_written_over(make: Callable[[Path], object], store: Store) -> None:
    store.path(KEY).parent.mkdir()
    make(store.path(KEY))
    assert not store.has(KEY)
    store.write(KEY, "thing", saves(), {})
    assert store.read(KEY)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_in_a_store_are_waited_for_by_nobody(kept: Store) -> None:
    os.mkfifo(kept.root / "runs" / "abc.json")
    (kept.root / "damaged").mkdir()
    for place in ("damaged/pipe", "tmp/pipe", "locks/pipe"):
        os.mkfifo(kept.root / place)
    assert kept.running() == []
    assert {"damaged/pipe", "tmp/pipe"} <= set(kept.leftovers())
    with kept.announce("a suite", []):
        assert half_written(kept) == []


HOSTILE_RUNS = [
    {"name": "../../planted"}, {"name": ""}, {"name": 3}, {"name": "a/b"}, {"host": None}, {"suite": ["x"]},
    {"pid": "1"}, {"began": "x"}, {"began": None}, {"keys": [3]}, {"keys": [[]]}, {"more": 1}, {"host": "\x1b[2J"},
]  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE_RUNS, ids=str)
def test_an_announcement_of_something_else_is_none(change: dict[str, object], store: Store, tmp_path: Path) -> None:
    told = {**json.loads(announcement("far", [KEY], "abc")._replace(host="elsewhere").text()), **change}
    (store.root / "runs" / "abc.json").write_text(json.dumps(told))
    assert store.running() == []
    assert not list(tmp_path.rglob("planted*"))


# --- what changed since it was written


def test_a_file_that_is_younger_than_its_manifest_has_changed(kept: Store) -> None:
    assert not kept.changed(KEY)
    place = kept.path(KEY) / "a.txt"
    content, later = place.read_bytes(), (kept.path(KEY) / MANIFEST).stat().st_mtime + 10
    place.write_bytes(content)
    os.utime(place, (later, later))
    assert kept.changed(KEY)
    kept.confirm(KEY)
    os.utime(kept.path(KEY) / MANIFEST, (later + 1, later + 1))
    assert not kept.changed(KEY)
    flip(place)
    os.utime(place, (later + 2, later + 2))
    with pytest.raises(DamagedArtefact, match=r"a.txt does not match"):
        kept.confirm(KEY)
