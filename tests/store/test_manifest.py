"""Manifests: any flipped bit is found, and one that somebody made up is refused in one sentence, wherever it lies."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.errors import DamagedArtefact
from fairl_bench.store.manifest import MANIFEST, is_sealed, manifest_text, parse_manifest
from fairl_bench.store.objects import ObjectStore
from fairl_bench.store.store import Store

KEY, OTHER = "ab" + "0" * 62, "cd" + "0" * 62
SHA = "0" * 64
TOLD: dict[str, Any] = {
    "kind": "reward",
    "files": {"a.txt": SHA, "b.bin": SHA},
    "facts": {"title": "of 'é' \"and\"", "seconds": 1.5e-7, "host": "\n", "more": [1, None, True]},
}


def saves(folder: Path) -> None:
    (folder / "a.txt").write_text("hello")


def test_a_manifest_says_what_was_told_and_has_a_checksum_of_its_own() -> None:
    text = manifest_text(KEY, TOLD).encode()
    assert is_sealed(parse_manifest(KEY, text))
    found = parse_manifest(KEY, text)
    assert len(found.pop("sha256")) == 64
    assert found == TOLD
    assert manifest_text(KEY, parse_manifest(KEY, text)).encode() == text
    assert json.loads(manifest_text(KEY, {**TOLD, "facts": {}}))["facts"] == {}


def test_every_flipped_bit_of_a_manifest_is_damage() -> None:
    text = manifest_text(KEY, TOLD).encode()
    for bit in range(8 * len(text)):
        data = bytearray(text)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedArtefact, match=r"is damaged .its manifest ") as raised:
            parse_manifest(KEY, bytes(data))
        assert "\n" not in str(raised.value)


def test_a_manifest_cut_or_longer_is_damage() -> None:
    text = manifest_text(KEY, TOLD).encode()
    for other in [*(text[:end] for end in range(len(text))), text + b" ", b" " + text, text + text, text[:-1] + b",}"]:
        with pytest.raises(DamagedArtefact, match="its manifest "):
            parse_manifest(KEY, other)


def test_a_manifest_in_the_place_of_another_is_damage(store: Store) -> None:
    for key in (KEY, OTHER):
        store.write(key, "thing", saves, {})
    (store.path(OTHER) / MANIFEST).write_bytes((store.path(KEY) / MANIFEST).read_bytes())
    with pytest.raises(DamagedArtefact, match="its manifest does not match its checksum"):
        store.read(OTHER)


def hostile() -> Iterator[Any]:
    """Contents that cannot be, as JSON or as text."""
    for name in ("../../../x", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "\0", "\ud800", "x" * 300, MANIFEST):
        yield {**TOLD, "files": {name: SHA}}
    for sum_ in (None, 3, "", "0" * 63, "../" + "0" * 61, [SHA], {"a": SHA}):
        yield {**TOLD, "files": {"a.txt": sum_}}
    for value in (None, 3, "x", [], [["a", SHA]], True):
        yield from ({**TOLD, "files": value}, {**TOLD, "facts": value})
    for kind in (None, 3, "", [], {}, "a/b", "..", "\n"):
        yield {**TOLD, "kind": kind}
    for place in (None, 3, "", "files", "../x", f"files/{KEY}/../../x", f"files/{OTHER}/{'0' * 32}", f"files/{KEY}/"):
        yield {**TOLD, "place": place}
    for facts in ({"title": 3}, {"title": []}, {"seconds": "x"}, {"seconds": None}, {"seconds": 10**400}):
        yield {**TOLD, "facts": facts}
    yield from ({**TOLD, "more": 1}, {"kind": "x"}, [], None, 3, "x")
    yield from (b"", b"{", b"[" * 200_000, b"\xff\xfe", b'{"a":' * 5000, b"9" * 5000, b"PAR1")


def text_of(content: Any, key: str = KEY) -> bytes:
    """As it would be kept: with a true checksum where it can have one."""
    if isinstance(content, bytes):
        return content
    return manifest_text(key, content).encode() if isinstance(content, dict) else json.dumps(content).encode()


HOSTILE = list(hostile())


def test_manifests_that_cannot_be_are_refused_in_one_sentence() -> None:
    assert len(HOSTILE) > 55
    for content in HOSTILE:
        with pytest.raises(DamagedArtefact, match="its manifest ") as raised:
            parse_manifest(KEY, text_of(content))
        assert len(str(raised.value).splitlines()) == 1
        assert len(str(raised.value)) < 400


def test_a_store_full_of_them_is_told_kept_and_mended(store: Store, cli: Callable[..., Result]) -> None:
    for number, content in enumerate(HOSTILE):
        key = f"{number:064x}"
        store.write(key, "thing", saves, {"title": "good"})
        (store.path(key) / MANIFEST).write_bytes(text_of(content, key))
    store.write(OTHER, "thing", saves, {"title": "good"})
    assert store.keys() == sorted([*(f"{number:064x}" for number in range(len(HOSTILE))), OTHER])
    looked = cli("store", "verify")
    assert looked.exit_code == 1
    assert looked.stdout.count("is damaged (its manifest ") == len(HOSTILE)
    for command in (("store", "ls"), ("store", "size"), ("store", "prune"), ("store", "ls", "--format", "json")):
        assert cli(*command).exit_code == 0
    assert cli("store", "verify", "--repair").exit_code == 0
    assert "1 artefacts, all whole" in cli("store", "verify").stdout
    assert store.keys() == [OTHER]


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str], ObjectStore]:
    url = f"memory://{uuid.uuid4().hex}"
    return lambda name: ObjectStore(url, tmp_path / name / "copy")


def put(store: ObjectStore, name: str, content: bytes) -> None:
    store.objects.system.pipe_file(store.objects._at(name), content)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_object_store_full_of_them_writes_nothing_and_is_mended(
    machine: Callable[[str], ObjectStore], tmp_path: Path
) -> None:
    here, there = machine("here"), machine("there")
    here.write(KEY, "reward", saves, {"title": "good"})
    name = f"manifests/{KEY}.json"
    whole = here.objects.read(name)
    assert whole is not None
    before = everything(tmp_path / "there")
    for content in HOSTILE:
        put(here, name, text_of(content))
        for ask in (there.read, there.verify, there.manifest, there.checked):
            with pytest.raises(DamagedArtefact, match=r"is damaged .its manifest ") as raised:
                ask(KEY)
            assert len(str(raised.value).splitlines()) == 1
        there.keys(), there.sizes(), there.leftovers()
        assert everything(tmp_path / "there") == before
    put(here, name, whole)
    there.set_aside(KEY)
    there.write(KEY, "reward", saves, {"title": "good"})
    assert machine("third").checked(KEY)[0] == "reward"


def test_a_file_outside_of_its_folder_is_not_fetched_from_an_object_store(
    machine: Callable[[str], ObjectStore], tmp_path: Path
) -> None:
    import hashlib

    here, there = machine("here"), machine("there")
    here.write(KEY, "reward", saves, {})
    found = parse_manifest(KEY, here.objects.read(f"manifests/{KEY}.json") or b"")
    for name in ("../../../../planted", str(tmp_path / "planted"), "..\\planted"):
        planted = {**found, "files": {**found["files"], name: hashlib.sha256(b"planted").hexdigest()}}
        put(here, f"manifests/{KEY}.json", manifest_text(KEY, planted).encode())
        put(here, f"{found['place']}/{name}", b"planted")
        with pytest.raises(
            DamagedArtefact, match=r"names a file .*, and a file of an artefact has a name without a fol"
        ):
            there.read(KEY)
    assert not list(tmp_path.rglob("*planted*"))


def test_a_manifest_too_long_to_be_one_is_not_read(
    machine: Callable[[str], ObjectStore], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine("here")
    for one in (store, here):
        one.write(KEY, "thing", saves, {})
    for module in ("folder", "objects"):
        monkeypatch.setattr(f"fairl_bench.store.{module}.MOST_BYTES", 100)
    with pytest.raises(DamagedArtefact, match="it holds more than 100 bytes"):
        store.read(KEY)
    with pytest.raises(DamagedArtefact, match="its manifest holds more than 100 bytes"):
        machine("there").read(KEY)


STRAY = ("../../x.json", "a/b.json", "x.json", f"{KEY}", f"{KEY}.json.json", f"sub/{OTHER}.json", ".json")


def test_what_is_no_artefact_in_a_listing_is_none(machine: Callable[[str], ObjectStore], store: Store) -> None:
    here = machine("here")
    for name in STRAY:
        put(here, f"manifests/{name}", b"{}")
    here.write(KEY, "thing", saves, {})
    assert here.keys() == [KEY]
    assert set(here.sizes()) == {KEY}
    for folder in (f"ab/{OTHER}", "ab/xyz", f"xx/{KEY}", "ab/.."):
        (store.root / folder).mkdir(parents=True, exist_ok=True)
        (store.root / folder / MANIFEST).write_text("{}")
    assert store.keys() == []


# --- of an earlier version


def test_a_manifest_without_a_checksum_is_read_told_and_gets_one(store: Store, cli: Callable[..., Result]) -> None:
    store.write(KEY, "thing", saves, {"title": "old"})
    place = store.path(KEY) / MANIFEST
    found = json.loads(place.read_text())
    del found["sha256"]
    place.write_text(json.dumps(found, indent=1))
    looked = cli("store", "verify")
    assert looked.exit_code == 0
    assert "1 of them of an earlier version" in looked.stdout
    assert store.read(KEY)
    assert store.sealed(KEY)
    assert store.manifest(KEY)["facts"] == {"title": "old"}
    assert [path.name for path in (store.root / "tmp").iterdir()] == []
    assert "earlier version" not in cli("store", "verify").stdout


# --- what an artefact may hold


def test_a_link_that_a_part_leaves_is_kept_as_what_it_leads_to(store: Store, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("heavy")

    def save(folder: Path) -> None:
        (folder / "weights").symlink_to(tmp_path / "weights")

    store.write(KEY, "thing", save, {})
    (tmp_path / "weights").write_text("light")
    assert not (store.path(KEY) / "weights").is_symlink()
    assert (store.read(KEY) / "weights").read_text() == "heavy"


BAD: dict[str, Callable[[Path], object]] = {
    "is a folder": lambda folder: (folder / "sub").mkdir(),
    "is a named pipe": lambda folder: os.mkfifo(folder / "pipe"),
    "is a link": lambda folder: (folder / "link").symlink_to("nowhere"),
    "a file named 'manifest.json'": lambda folder: (folder / MANIFEST).write_text("{}"),
    r"a file named 'a\\nb'": lambda folder: (folder / "a\nb").write_text("{}"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_kept_is_refused_when_it_is_made(what: str, store: Store) -> None:
    from fairl_bench.errors import DataError

    with pytest.raises(DataError, match=f"what is kept in the store .*{what}"):
        store.write(KEY, "thing", lambda folder: (saves(folder), BAD[what](folder), None)[-1], {})
    assert not store.has(KEY)


CHANGES: dict[str, Callable[[Path], object]] = {
    "it is a named pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "it is a link": lambda path: (path.rename(path.with_name(".a")), path.symlink_to(".a")),
    "it is a folder": lambda path: (path.unlink(), path.mkdir()),
    "'planted.py' was not written with it": lambda path: path.with_name("planted.py").write_text(""),
}


@pytest.mark.parametrize("file", ["a.txt", MANIFEST])
@pytest.mark.parametrize("reason", CHANGES)
def test_what_is_no_file_any_more_or_came_later_is_damage(reason: str, file: str, store: Store) -> None:
    store.write(KEY, "thing", saves, {})
    CHANGES[reason](store.path(KEY) / file)
    with pytest.raises(DamagedArtefact, match=reason):
        store.read(KEY)
    store.set_aside(KEY)
    store.write(KEY, "thing", saves, {})
    assert store.read(KEY)
