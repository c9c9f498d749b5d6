"""Locks where a file system has none, and what is left of them."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from filelock import Timeout

from fairl_bench.pipeline import Finished
from fairl_bench.store import locks
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.locks import is_free, lock_at, remove_free
from fairl_bench.store.store import Store

KEY = "ab" + "0" * 62


@pytest.fixture(params=["with", "without"])
def anywhere(request: pytest.FixtureRequest) -> Iterator[str]:
    """On a file system with locks, and on one whose ``flock`` is refused."""
    locks.has_locks.cache_clear()
    if request.param == "without":
        request.getfixturevalue("refused")
    yield request.param
    locks.has_locks.cache_clear()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fcntl = pytest.importorskip("fcntl")

    def flock(handle: int, how: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    locks.has_locks.cache_clear()
    monkeypatch.setattr(fcntl, "flock", flock)
    yield
    locks.has_locks.cache_clear()


def hold(root: Path, ready: Connection) -> None:
    with FolderStore(root).lock(KEY):
        ready.send(True)
        ready.recv()


@pytest.mark.usefixtures("anywhere")
def test_a_lock_keeps_others_out_until_its_process_is_dead(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(store.root, theirs), daemon=True)
    process.start()
    ours.recv()
    with pytest.raises(Timeout, match=KEY), store.lock(KEY, wait=False):
        pass
    assert not is_free(store.root / "locks" / KEY)
    process.kill()
    process.join()
    with store.lock(KEY):
        pass
    assert is_free(store.root / "locks" / KEY)


def test_a_run_on_a_file_system_without_locks_is_right_and_says_so(
    anywhere: str,
    run_suite: Callable[..., Finished],
    ran_once: tuple[Path, Finished],
    tiny: dict[str, Any],
    store: Store,
) -> None:
    finished = run_suite(tiny)
    assert not finished.outcome.lost()
    records = finished.folder / "records.parquet"
    assert records.read_bytes() == (ran_once[1].folder / "records.parquet").read_bytes()
    (warned,) = finished.outcome.warnings or [""]
    assert ("has no locks" in warned) is (anywhere == "without")
    assert len(warned.splitlines()) <= 1
    assert list((store.root / "locks").iterdir()) == []
    assert store.running() == []


@pytest.mark.usefixtures("anywhere")
def test_what_nobody_holds_is_swept_and_what_somebody_holds_is_not(tmp_path: Path) -> None:
    held = lock_at(tmp_path / "held")
    with held:
        for name in ("a", "b"):
            (tmp_path / name).write_text("")
        remove_free(tmp_path)
        assert not is_free(tmp_path / "held")
        left = {path.name.removesuffix(locks.HELD) for path in tmp_path.iterdir()}
        assert "held" in left
    assert is_free(tmp_path / "held")


def test_a_lock_that_was_swept_while_it_was_taken_still_keeps_others_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_at(path):
        path.unlink()  # its file alone is gone
        other = lock_at(path)
        other.acquire(timeout=0)
        remove_free(tmp_path)
        assert path.exists()
        other.release()
    remove_free(tmp_path)
    assert not path.exists()


def test_looking_whether_a_lock_is_free_leaves_nothing(tmp_path: Path) -> None:
    assert is_free(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []


def test_a_forked_process_cannot_let_go_of_a_lock(tmp_path: Path) -> None:
    held = lock_at(tmp_path / "lock")
    with held:
        process = multiprocessing.get_context("fork").Process(target=held.release)
        process.start()
        process.join()
        assert not is_free(tmp_path / "lock")
    assert is_free(tmp_path / "lock")
