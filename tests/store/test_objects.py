"""The promises of an object store (docs/reference/store.md), of fsspec's memory and of a server of S3 on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.engine.execute import Watcher
from fairl_bench.errors import DamagedArtefact, StoreError
from fairl_bench.pipeline import run
from fairl_bench.store import objects
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.manifest import MANIFEST
from fairl_bench.store.objects import ObjectStore
from fairl_bench.store.place import open_store
from fairl_bench.store.running import announcement
from fairl_bench.suite.read import read_study

KEY, OTHER = "ab" + "0" * 62, "cd" + "0" * 62


def saves(text: str = "hello") -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        (folder / "a.txt").write_text(text)
        (folder / "b.txt").write_text(text * 1000)

    return save


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that speaks S3."""
    pytest.importorskip("s3fs", reason="needs s3fs and moto: tox -e s3")
    moto = pytest.importorskip("moto.server", reason="needs s3fs and moto: tox -e s3")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, and an environment that finds its server."""
    import boto3
    from s3fs import S3FileSystem

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    bucket = uuid.uuid4().hex
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/prefix"


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    return f"memory://{uuid.uuid4().hex}" if request.param == "memory" else str(request.getfixturevalue("s3"))


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Callable[[str], ObjectStore]:
    """Opens the store as another machine does, with a copy of its own."""
    return lambda name: ObjectStore(url, tmp_path / name)


@pytest.fixture
def here(machine: Callable[[str], ObjectStore]) -> ObjectStore:
    return machine("here")


@pytest.fixture
def kept(here: ObjectStore) -> ObjectStore:
    here.write(KEY, "thing", saves(), {"seconds": 1.5, "title": "a thing"})
    return here


def spoil(store: ObjectStore, name: str = "b.txt") -> None:
    """Flip a bit of an object."""
    (path,) = (path for path in store.objects.sizes("files") if path.endswith(name))
    data = bytearray(store.objects.read(path) or b"")
    data[len(data) // 2] ^= 1
    store.objects.system.pipe_file(store.objects._at(path), bytes(data))


Machine = Callable[[str], ObjectStore]


def test_another_machine_reads_what_one_has_written(kept: ObjectStore, machine: Machine) -> None:
    there = machine("there")
    assert there.has(KEY)
    assert not there.has(OTHER)
    assert there.manifest(KEY)["facts"] == {"seconds": 1.5, "title": "a thing"}
    assert not there.path(KEY).exists()  # a manifest alone fetches nothing
    folder = there.read(KEY)
    assert (folder / "a.txt").read_text() == "hello"
    assert folder == there.root / "ab" / KEY


def test_an_artefact_is_fetched_once(kept: ObjectStore, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    there = machine("there")
    there.read(KEY)
    monkeypatch.setattr(there.objects, "download", lambda *_: pytest.fail("fetched again"))
    there.read(KEY)
    machine("there").read(KEY)


def test_without_its_manifest_an_artefact_is_not_there(kept: ObjectStore, machine: Machine) -> None:
    kept.objects.remove([f"manifests/{KEY}.json"])
    assert not machine("there").has(KEY)
    with pytest.raises(DamagedArtefact, match=f"{KEY[:12]} is damaged .its manifest is gone"):
        machine("there").read(KEY)


def test_an_upload_that_ends_early_leaves_no_artefact(here: ObjectStore, machine: Machine) -> None:
    upload = here.objects.upload

    def ends(path: Path, name: str) -> None:
        if name.endswith("b.txt"):
            raise StoreError("gone")
        upload(path, name)

    here.objects.upload = ends  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="gone"):
        here.write(KEY, "thing", saves(), {})
    assert not machine("there").has(KEY)


def test_work_that_could_not_be_uploaded_is_when_the_store_is_back(here: ObjectStore, machine: Machine) -> None:
    upload = here.objects.upload
    here.objects.upload = lambda path, name: (_ for _ in ()).throw(StoreError("gone"))  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="gone"):
        here.write(KEY, "thing", saves(), {})
    here.objects.upload = upload  # type: ignore[method-assign]
    assert here.has(KEY)
    assert (machine("there").read(KEY) / "a.txt").read_text() == "hello"


def test_what_another_process_puts_just_now_is_not_put_twice(here: ObjectStore, machine: Machine) -> None:
    there = machine("there")
    there.write(KEY, "thing", saves(), {})
    there.objects.remove([f"manifests/{KEY}.json"])
    with FolderStore(there.root).lock(KEY):
        assert not machine("there").has(KEY)
    with there.lock(KEY):
        assert there.has(KEY)


def test_of_two_machines_the_first_answer_stands_for_both(here: ObjectStore, machine: Machine) -> None:
    there = machine("there")
    there.write(KEY, "thing", saves("first"), {})
    here.write(KEY, "thing", saves("later"), {})
    for store in (here, there, machine("third")):
        assert (store.read(KEY) / "a.txt").read_text() == "first"
    assert len(here.objects.sizes("files")) == 2  # the later files are gone


# --- damage


def test_a_damaged_copy_is_fetched_again(kept: ObjectStore) -> None:
    (kept.path(KEY) / "a.txt").write_text("wrong")
    assert (kept.read(KEY) / "a.txt").read_text() == "hello"
    (kept.path(KEY) / MANIFEST).write_text("{")
    assert (kept.read(KEY) / "a.txt").read_text() == "hello"


@pytest.mark.parametrize("harm", ["flipped", "lost", "manifest"])
def test_a_damaged_object_is_found_set_aside_and_made_again(harm: str, kept: ObjectStore, machine: Machine) -> None:
    if harm == "flipped":
        spoil(kept)
    elif harm == "lost":
        kept.objects.remove([name for name in kept.objects.sizes("files") if name.endswith("a.txt")])
    else:
        kept.objects.system.pipe_file(kept.objects._at(f"manifests/{KEY}.json"), b"{")
    there = machine("there")
    reason = {"flipped": "b.txt does not match its checksum", "lost": "a.txt is gone", "manifest": "cannot be read"}
    with pytest.raises(DamagedArtefact, match=reason[harm]):
        there.read(KEY)
    place = there.set_aside(KEY)
    assert "/damaged/" in place
    assert place.rpartition("/")[2] in {name.split("/")[1] for name in there.leftovers() if name.startswith("damaged")}
    assert not there.has(KEY)
    there.write(KEY, "thing", saves(), {})
    assert (machine("third").read(KEY) / "a.txt").read_text() == "hello"


def test_a_whole_copy_stands_in_for_a_damaged_object(kept: ObjectStore, machine: Machine) -> None:
    spoil(kept)
    with pytest.raises(DamagedArtefact, match=r"b.txt does not match its checksum"):
        kept.verify(KEY)
    kept.set_aside(KEY)
    assert kept.has(KEY)
    machine("there").verify(KEY)


def test_a_damaged_copy_never_stands_in(kept: ObjectStore) -> None:
    (kept.path(KEY) / "a.txt").write_text("wrong")
    kept.set_aside(KEY)
    assert not kept.has(KEY)


def test_under_its_lock_the_store_is_asked_again(kept: ObjectStore, machine: Machine) -> None:
    there = machine("there")
    assert there.has(KEY)
    kept.set_aside(KEY)
    shutil.rmtree(kept.path(KEY))
    with there.lock(KEY):
        assert not there.has(KEY)


# --- housekeeping


def test_sizes_are_those_of_the_files(kept: ObjectStore) -> None:
    (size,) = kept.sizes().values()
    assert size.bytes == 5005
    assert abs(time.time() - size.made) < 60


def test_a_removed_artefact_leaves_nothing(kept: ObjectStore) -> None:
    kept.remove(KEY)
    assert not kept.has(KEY)
    assert kept.objects.sizes("files") == kept.objects.sizes("manifests") == {}
    assert not kept.path(KEY).exists()


def test_files_without_a_manifest_are_leftovers_after_a_day(kept: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.objects.remove([f"manifests/{KEY}.json"])
    assert kept.leftovers() == {}
    monkeypatch.setattr(objects, "_DAY", -60.0)
    (name,) = kept.leftovers()
    assert name.startswith(f"files/{KEY}/")
    kept.discard(name)
    assert kept.objects.sizes("files") == {}


def test_files_with_a_manifest_are_no_leftovers(kept: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_DAY", -60.0)
    assert kept.leftovers() == {}


def test_a_run_is_announced_to_other_machines(here: ObjectStore, machine: Machine) -> None:
    there = machine("there")
    with here.announce("a suite", [KEY]):
        assert [(run.suite, run.keys) for run in there.running()] == [("a suite", {KEY})]
        assert [run.suite for run in here.running()] == ["a suite"]
    assert there.running() == []


@pytest.mark.parametrize(("days", "believed"), [(6, True), (8, False)])
def test_a_run_that_took_no_leave_is_believed_for_a_week(days: float, believed: bool, here: ObjectStore) -> None:
    run = announcement("far", [KEY], "abc")._replace(host="elsewhere", began=time.time() - days * 86400)
    here.objects.create("runs/abc.json", run.text().encode())
    assert [run.suite for run in here.running()] == (["far"] if believed else [])


# --- a whole suite


def test_two_machines_do_a_suite_once(
    url: str, tmp_path: Path, tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    study = read_study(write_suite(tiny))
    first = run(study, ObjectStore(url, tmp_path / "here"), tmp_path / "one")
    again = run(study, ObjectStore(url, tmp_path / "there"), tmp_path / "two")
    assert len(first.outcome.done) == len(first.plan.stages)
    assert again.outcome.done == []
    assert (tmp_path / "one" / "records.parquet").read_bytes() == (tmp_path / "two" / "records.parquet").read_bytes()


def test_a_run_finds_damaged_objects_and_makes_them_again(
    url: str, tmp_path: Path, tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    study = read_study(write_suite(tiny))
    store = ObjectStore(url, tmp_path / "here")
    first = run(study, store, tmp_path / "one")
    scores = first.plan.cells[0].scores
    spoil_of(store, scores)
    told: list[str] = []
    again = run(study, ObjectStore(url, tmp_path / "there"), tmp_path / "two", Watcher(damaged=told.append))
    assert again.outcome.done == [scores]
    assert "is damaged (scores.safetensors does not match its checksum); moved to" in told[0]
    assert (tmp_path / "one" / "records.parquet").read_bytes() == (tmp_path / "two" / "records.parquet").read_bytes()


def spoil_of(store: ObjectStore, key: str) -> None:
    (path,) = store.objects.sizes(f"files/{key}")
    store.objects.system.pipe_file(store.objects._at(path), (store.objects.read(path) or b"")[:-10])


# --- what S3 alone has


def test_a_bucket_that_is_not_there_is_named(s3: str) -> None:
    with pytest.raises(
        StoreError, match="the store s3://nobodys/x cannot be used: The specified bucket does not exist"
    ):
        open_store("s3://nobodys/x")


def test_missing_credentials_say_what_to_set(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nowhere")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=f"the store {s3} needs credentials and found none .*; set AWS_ACCESS_KEY_ID"):
        open_store(s3)


def test_a_server_that_is_gone_is_told_and_work_goes_on_when_it_is_back(s3: str, tmp_path: Path) -> None:
    from moto.server import ThreadedMotoServer

    store = ObjectStore(s3, tmp_path / "here")
    address = os.environ["AWS_ENDPOINT_URL"]
    gone = ThreadedMotoServer("127.0.0.1", 0, verbose=False)  # a port that nothing listens on
    gone.start()
    _, port = gone.get_host_and_port()
    gone.stop()
    store.objects.system.client_kwargs = {"endpoint_url": f"http://127.0.0.1:{port}"}
    store.objects.system.connect(refresh=True)
    with pytest.raises(
        StoreError, match=f"the store {s3} cannot be reached: Could not connect .*; run the same command"
    ):
        store.write(KEY, "thing", saves(), {})
    store.objects.system.client_kwargs = {"endpoint_url": address}
    store.objects.system.connect(refresh=True)
    assert store.has(KEY)
    assert (ObjectStore(s3, tmp_path / "there").read(KEY) / "a.txt").read_text() == "hello"


def test_a_store_that_may_be_read_alone_says_so(kept: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(kept.objects.system, "put_file", refused)
    with pytest.raises(StoreError, match=r"does not let you: Access Denied; ask for the right to .* or name another"):
        kept.write(OTHER, "thing", saves(), {})
    monkeypatch.setattr(kept.objects.system, "pipe_file", refused)
    with kept.announce("a suite that is finished", [KEY]):
        assert kept.read(KEY)


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_command_line_takes_a_url(
    jobs: int, s3: str, tmp_path: Path, tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    tiny["methods"] = [{"name": "mean-difference", "use": "mean-difference"}, {"name": "length", "use": "length"}]
    suite = write_suite(tiny)
    command = [sys.executable, "-m", "fairl_bench", "run", str(suite), "--store", s3, "--jobs", str(jobs)]
    environment = {**os.environ, "FAIRL_COPY": str(tmp_path / "copies")}
    first, again = (
        subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120)
        for _ in range(2)
    )
    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert "nothing to compute: all was finished" in again.stdout
