"""Digests by content, links followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairl_bench.digests import content_sha256, file_digest, folder_files, is_folder, stamp
from fairl_bench.errors import DataError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a file, and two links: to a file and to a folder elsewhere."""
    for name, content in {
        "model/config.json": "{}",
        "elsewhere/pooling/config.json": "mean",
        "blobs/x": "weights",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "model" / "1_Pooling").symlink_to(tmp_path / "elsewhere" / "pooling")
    (tmp_path / "model" / "weights").symlink_to("../blobs/x")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["config.json", "1_Pooling/config.json", "weights"])
def test_a_change_behind_a_link_is_another_digest(model: Path, name: str) -> None:
    before, then = content_sha256(model), stamp(model)
    (model / name).write_text("other")
    assert content_sha256(model) != before
    assert stamp(model) != then


def test_a_new_file_in_a_linked_folder_is_another_digest(model: Path) -> None:
    before = content_sha256(model)
    (model / "1_Pooling" / "more.json").write_text("")
    assert content_sha256(model) != before


def test_what_is_linked_counts_like_what_lies_there(model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "1_Pooling/config.json", "weights"):
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).write_text((model / name).read_text())
    assert content_sha256(tmp_path / "copy") == content_sha256(model)


@pytest.mark.parametrize("target", [".", "..", "/", "../model"])
def test_a_link_to_a_folder_above_is_named_and_not_walked(model: Path, target: str) -> None:
    before = len(list(folder_files(model)))
    (model / "again").symlink_to(target)
    names = [name for name, _ in folder_files(model)]
    assert len(names) == before + 1
    assert any(name.startswith("again -> ") for name in names)
    assert content_sha256(model) == content_sha256(model)


def test_links_that_multiply_are_walked_once(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "x").write_text("x")
    for level in range(1, 30):  # 2^29 paths to one file
        (tmp_path / str(level)).mkdir()
        for side in "ab":
            (tmp_path / str(level) / side).symlink_to(tmp_path / str(level - 1))
    assert len(list(folder_files(tmp_path / "29"))) == 30
    before = content_sha256(tmp_path / "29")
    (tmp_path / "0" / "x").write_text("y")
    assert content_sha256(tmp_path / "29") != before


def test_where_a_name_ends_is_in_the_digest(tmp_path: Path) -> None:
    for folder, name in (("one", "a"), ("two", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("x")
    assert content_sha256(tmp_path / "one") != content_sha256(tmp_path / "two")


def test_a_broken_link_is_no_content(model: Path) -> None:
    before = content_sha256(model)
    (model / "gone").symlink_to("nowhere")
    assert content_sha256(model) == before


@pytest.mark.parametrize("made", ["pipe", "device", "gone", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(made: str, tmp_path: Path) -> None:
    path = {"device": Path("/dev/zero"), "folder": tmp_path}.get(made, tmp_path / made)
    if made == "pipe":
        os.mkfifo(path)
    with pytest.raises(
        DataError, match=f"{path} cannot be read: (it is a |Is a directory|No such file or directory|No such device)"
    ):
        file_digest(path)


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    for name, content in {"a/x": "one", "b/x": "one", "c/y": "one", "d/x": "two"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    a, b, c, d = (content_sha256(tmp_path / name) for name in "abcd")
    assert a == b
    assert len({a, c, d}) == 3
    assert content_sha256(tmp_path / "a/x") == content_sha256(tmp_path / "c/y") != content_sha256(tmp_path / "d/x")


def test_a_stamp_changes_with_any_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "x"
    file.write_text("one")
    stamps = {stamp(tmp_path)}
    assert stamp(tmp_path) in stamps
    os.utime(file, ns=(1, 1))
    stamps.add(stamp(tmp_path))
    file.write_text("longer")
    os.utime(file, ns=(1, 1))
    stamps.add(stamp(tmp_path))
    assert len(stamps) == 3


@pytest.mark.parametrize("ask", [content_sha256, stamp])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, ask: object) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}/gone cannot be read: No such file or directory"):
        ask(tmp_path / "gone")  # type: ignore[operator]


def test_a_name_too_long_for_a_path_is_no_folder() -> None:
    assert not is_folder(Path("x" * 5000))
