"""What a node of a cluster looks at before it works, and what a user is told of it; without a cluster."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.engine.execute import Outcome
from fairl_bench.engine.executors import ray as cluster
from fairl_bench.engine.executors import ray_node as node
from fairl_bench.engine.executors.known import RayExecutor
from fairl_bench.engine.keys import identity
from fairl_bench.errors import FairlError
from fairl_bench.kinds import KINDS
from fairl_bench.pipeline import Finished, run
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry

PLUGINS = Path(__file__).parents[3] / "plugins"
MARK, ANSWER = "ab" * 32, "cd" * 32


@pytest.fixture(autouse=True)
def somewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.node", lambda: "worker-7")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)


# --- the look around


def test_a_node_that_sees_the_mark_leaves_its_answer(store: Store) -> None:
    store.write(MARK, "mark", lambda folder: None, {})
    assert node.look(store.place, MARK, node.code(), ANSWER) == ""
    assert store.has(ANSWER)


def test_a_node_that_does_not_see_the_store_is_named(store: Store, tmp_path: Path) -> None:
    place = str(tmp_path / "elsewhere")
    assert node.look(place, MARK, node.code(), ANSWER) == (
        f"node worker-7 does not see the store {place}; name a folder that all nodes share, or an object store, with "
        "--store"
    )
    assert not FolderStore(Path(place)).has(ANSWER)


def test_a_node_that_cannot_make_the_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = str(tmp_path / "file" / "store")
    said = node.look(place, MARK, node.code(), ANSWER)
    assert said == f"node worker-7: the store {place} cannot be made: Not a directory; name another with --store"


@pytest.mark.parametrize(("field", "value"), [("version", "0.0.1"), ("source", "f" * 64), ("python", "3.99")])
def test_a_node_with_other_code_is_named(field: str, value: str, store: Store) -> None:
    store.write(MARK, "mark", lambda folder: None, {})
    wanted = node.code()._replace(**{field: value})
    assert node.look(store.place, MARK, wanted, ANSWER) == (
        f"node worker-7 has {node.code()}, and {wanted} is wanted; install the same on every node"
    )
    assert not store.has(ANSWER)


def test_code_is_told_by_version_source_and_python() -> None:
    assert re.fullmatch(r"fairl-bench \S+ \([0-9a-f]{8}\) on Python 3\.\d+", str(node.code()))


# --- drop-ins travel by their content


def test_a_drop_in_is_the_same_part_where_it_is_written_again() -> None:
    path = PLUGINS / "focal_bt.py"
    (again,) = node._written(((path.name, path.read_bytes()),))
    assert again != path
    here, there = (Registry([one], installed=False) for one in (path, again))
    spec = {"use": "focal-bt", "gamma": 3.0}
    same = (identity(one.build(KINDS["method"], spec), one) for one in (here, there))
    assert next(same) == next(same)


def test_two_drop_ins_of_one_name_are_two() -> None:
    one, other = node._written((("a.py", b"x = 1"), ("a.py", b"x = 2")))
    assert (one.read_bytes(), other.read_bytes()) == (b"x = 1", b"x = 2")


def test_a_broken_drop_in_is_told_before_any_work(store: Store) -> None:
    store.write(MARK, "mark", lambda folder: None, {})
    with pytest.raises(FairlError, match=r"plugin .*late\.py is broken: RuntimeError: not here"):
        node._worker(store.place, MARK, node.code(), (("late.py", b"raise RuntimeError('not here')"),))


# --- what a user can do wrong, in the words that answer it


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--address", "auto"],
            "address 'auto': the executor 'local' has none; the one of a cluster is 'ray'",
        ),
        (
            ["--executor", "ray", "--jobs", "2"],
            "jobs 2: the executor 'ray' says itself how many it does at once; leave it out",
        ),
        (["--executor", "ray", "--address", "here"], "address 'here': needs auto or HOST:PORT"),
        (["--executor", "ray", "--address", "here:x"], "address 'here:x': needs auto or HOST:PORT"),
        (
            ["--executor", "ray", "--address", "127.0.0.1:1"],
            "nothing answers at 127.0.0.1:1 (Connection refused); is the head of the Ray cluster there, and this its "
            "port?",
        ),
    ],
)
def test_a_mistake_is_answered_in_these_words(
    options: list[str],
    said: str,
    cli: Callable[..., Result],
    tiny: dict[str, Any],
    write_suite: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "_ray", lambda: None)
    ran = cli("run", write_suite(tiny), *options)
    assert ran.exit_code == 2
    assert ran.stderr == f"error: {said}\n"


def test_what_is_finished_needs_no_cluster(
    ran: Finished, store: Store, tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    again = run(read_study(write_suite(tiny)), store, ran.folder, executor=RayExecutor(address="127.0.0.1:1"))
    assert again.outcome == Outcome()


class Refusing:
    """A Ray that cannot join."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def init(self, **options: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ConnectionError("Could not find any running Ray instance."),
            "no Ray cluster runs on this machine; start one with 'ray start --head', or give the address "
            "HOST:PORT of another",
        ),
        (
            RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.40.0\n    Python: 3.12.1"),
            "the Ray cluster at auto cannot be joined: Version mismatch: The cluster was started with: Ray: 2.40.0 "
            "Python: 3.12.1",
        ),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_told_in_these_words(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_ray", lambda: Refusing(error))
    with pytest.raises(FairlError, match=f"^{re.escape(said)}$"):
        cluster._connected("auto")


def test_an_address_where_another_server_answers_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(100)
                caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        said = f"what answers at {address} is not the head of a Ray cluster; its port is 6379 unless set"
        with pytest.raises(FairlError, match=f"^{re.escape(said)}$"):
            cluster._answers(address)


def test_without_ray_the_extra_is_named(
    cli: Callable[..., Result], tiny: dict[str, Any], write_suite: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = cli("run", write_suite(tiny), "--executor", "ray")
    assert ran.exit_code == 2
    assert ran.stderr == (
        "error: the executor 'ray' needs the package ray, which is not installed; pip install 'fairl-bench[ray]'\n"
    )


@pytest.mark.parametrize("name", ["../planted.py", "/tmp/planted.py", "..", "a/planted.py", ""])
def test_a_drop_in_file_is_written_into_its_own_folder_alone(name: str, tmp_path: Path) -> None:
    with pytest.raises(FairlError, match="a drop-in file needs a name without a folder"):
        node._written(((name, b""),))
    assert not list(tmp_path.rglob("planted.py"))
