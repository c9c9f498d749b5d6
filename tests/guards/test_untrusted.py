from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairl_bench.guards.untrusted import LONGEST, is_name, open_file, read_file, remove


@pytest.mark.parametrize(
    "name", ["a", "a b", "model-00001-of-00002.safetensors", ".hidden", "é", "日本", "...", "a..b"]
)
def test_what_names_one_thing_in_a_folder_is_a_name(name: str, tmp_path: Path) -> None:
    assert is_name(name)
    (tmp_path / name).write_text("")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def not_names() -> Iterator[object]:
    for part in ("a", "..", "", ".", "~"):
        yield from (f"/{part}", f"../{part}", f"{part}/..", f"a/{part}", f"..\\{part}", f"{part}\0", f"{part}\n")
    yield from ("", ".", "..", "\ud800", "a\x1b[31m", "a\x7f", "a" * (LONGEST + 1), "é" * LONGEST)
    yield from (None, 3, True, b"a", ["a"], Path("a"))


@pytest.mark.parametrize("value", list(not_names()), ids=ascii)
def test_what_leads_elsewhere_or_cannot_be_seen_is_no_name(value: object) -> None:
    assert not is_name(value)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listens(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


OTHERS: dict[str, Callable[[Path], object]] = {
    "a named pipe": pipe,
    "a socket": listens,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_file_is_not_opened(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name must be short
    OTHERS[what](Path("x"))
    with pytest.raises(OSError, match=f"it is {what}, not a file"):
        open_file(Path("x"))


def test_a_link_is_followed_unless_it_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello")
    (tmp_path / "b").symlink_to("a")
    assert read_file(tmp_path / "b", 10) == b"hello"
    with pytest.raises(OSError, match="it is a link, not a file"):
        read_file(tmp_path / "b", 10, follow=False)
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_file(tmp_path / "c", 10)


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello")
    assert read_file(tmp_path / "a", 5) == b"hello"
    with pytest.raises(OSError, match="it holds more than 4 bytes"):
        read_file(tmp_path / "a", 4)


def test_what_is_removed_takes_nothing_along_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    pipe(tmp_path / "pipe")
    for name in ("folder", "link", "pipe", "gone"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "a"]
