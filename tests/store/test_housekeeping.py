from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.engine.planner import plan
from fairl_bench.errors import FairlError
from fairl_bench.pipeline import Finished, run
from fairl_bench.store import housekeeping, listing
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.housekeeping import Rule, entries, prune, removable
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

KEYS = tuple(f"{i:02x}" + "7" * 62 for i in range(3))
DAY = 86400.0


@pytest.fixture
def filled(store: Store) -> Store:
    """Three artefacts of two kinds, made today, ten and forty days ago."""
    for i, (key, kind, days) in enumerate(zip(KEYS, ("split", "reward", "reward"), (0, 10, 40), strict=True)):

        def save(folder: Path, n: int = i) -> None:
            (folder / "a.bin").write_bytes(b"x" * 1000 * (n + 1))

        store.write(key, kind, save, {"title": f"number {i}"})
        age(store.path(key), days)
    return store


def age(path: Path, days: float) -> None:
    then = path.stat().st_mtime - days * DAY
    os.utime(path, (then, then))


def spoil(store: Store, key: str) -> None:
    (store.path(key) / "a.bin").write_bytes(b"short")


def left(store: Store) -> list[str]:
    return store.keys()


# --- what is there


def test_artefacts_are_listed_by_kind_and_the_newest_first(filled: Store) -> None:
    assert [(one.kind, one.title) for one in entries(filled)] == [
        ("reward", "number 1"),
        ("reward", "number 2"),
        ("split", "number 0"),
    ]
    assert [one.name for one in entries(filled, ["split"])] == [KEYS[0]]
    assert all(1000 < one.bytes < 5000 for one in entries(filled))


def test_a_broken_manifest_is_listed_as_such(filled: Store) -> None:
    (filled.path(KEYS[0]) / "manifest.json").write_text("{")
    assert "(broken manifest)" in [one.kind for one in entries(filled)]


def test_damage_is_found_by_its_key(filled: Store) -> None:
    assert list(housekeeping.damage(filled)) == []
    spoil(filled, KEYS[1])
    assert [error.key for error in housekeeping.damage(filled)] == [KEYS[1]]


# --- what may go


def test_with_no_rule_every_artefact_stays(filled: Store) -> None:
    assert removable(filled, Rule()) == []


@pytest.mark.parametrize(("days", "gone"), [(5, KEYS[1:]), (20, KEYS[2:]), (50, ())])
def test_what_is_older_goes(days: float, gone: tuple[str, ...], filled: Store) -> None:
    assert {one.name for one in removable(filled, Rule(older_than=days * DAY))} == set(gone)


def test_what_is_needed_stays_and_both_rules_must_hold(filled: Store) -> None:
    keep = frozenset(KEYS[2:])
    assert {one.name for one in removable(filled, Rule(keep))} == set(KEYS[:2])
    assert {one.name for one in removable(filled, Rule(keep, 5 * DAY))} == {KEYS[1]}


def test_what_a_running_suite_uses_stays(filled: Store) -> None:
    everything = Rule(frozenset())
    filled.scratch("99" + KEYS[0])
    with filled.announce("running", [*KEYS[:2], "99" + KEYS[0]]):
        assert [one.name for one in prune(FolderStore(filled.root), everything)] == [KEYS[2]]
    assert len(prune(FolderStore(filled.root), everything)) == 3
    assert left(filled) == []


def test_what_somebody_makes_just_now_stays(filled: Store) -> None:
    with filled.lock(KEYS[0]):
        assert {one.name for one in prune(FolderStore(filled.root), Rule(frozenset()))} == set(KEYS[1:])
    assert left(filled) == [KEYS[0]]


def test_leftovers_go_without_a_rule(filled: Store) -> None:
    spoil(filled, KEYS[0])
    filled.set_aside(KEYS[0])
    (filled.root / "tmp" / "dead").mkdir()
    for key in KEYS[:2]:
        (filled.scratch(key) / "checkpoint").write_text("x")
    with filled.unfinished() as alive:
        found = {one.name.rpartition("/")[0] + "/" for one in prune(filled, Rule())}
        assert alive.is_dir()
    assert found == {"damaged/", "tmp/", "scratch/"}
    assert (filled.root / "scratch" / KEYS[0]).is_dir()  # its artefact is not made yet: work to go on from
    assert not (filled.root / "scratch" / KEYS[1]).exists()
    assert left(filled) == list(KEYS[1:])


def test_checkpoints_of_unfinished_work_go_by_the_rule(store: Store) -> None:
    store.scratch(KEYS[0])
    assert removable(store, Rule(frozenset(KEYS))) == []
    assert [one.name for one in prune(store, Rule(frozenset()))] == [f"scratch/{KEYS[0]}"]


def test_a_run_that_begins_while_a_prune_works_waits_and_then_sees_what_is_left(filled: Store) -> None:
    seen: list[bool] = []

    def begin() -> None:
        other = FolderStore(filled.root)
        with other.announce("late", KEYS):
            seen.append(other.has(KEYS[0]))

    thread = threading.Thread(target=begin)
    with filled.pruning():
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        filled.remove(KEYS[0])
    thread.join(20)
    assert seen == [False]


def run_often(root: Path, suite: Path, results: Path, times: int) -> None:
    for i in range(times):
        run(read_study(suite), FolderStore(root), results / str(i))


def test_a_suite_that_runs_while_another_process_prunes_ends_with_its_records(
    ran: Finished, store: Store, tmp_path: Path, tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    tiny["methods"] = tiny["methods"][2:]
    arguments = (store.root, write_suite(tiny), tmp_path / "more", 4)
    process = multiprocessing.get_context("fork").Process(target=run_often, args=arguments)
    process.start()
    removed = 0
    while process.is_alive():
        removed += len(prune(store, Rule(frozenset())))
    process.join()
    assert process.exitcode == 0
    assert removed
    first, *others = [(tmp_path / "more" / str(i) / "records.parquet").read_bytes() for i in range(4)]
    assert all(other == first for other in others)


# --- the command line

Cli = Callable[..., Result]


def test_ls_shows_a_line_an_artefact_and_filters_by_kind(filled: Store, cli: Cli) -> None:
    shown = cli("store", "ls").stdout
    assert all(key in shown for key in KEYS)
    assert "10 d" in shown
    only = cli("store", "ls", "--kind", "split", "--format", "json").stdout
    assert [(row["kind"], row["key"]) for row in json.loads(only)["rows"]] == [("split", KEYS[0])]


def test_a_kind_that_is_not_there_is_answered_with_near_ones(filled: Store, cli: Cli) -> None:
    told = cli("store", "ls", "--kind", "rewards")
    assert told.exit_code == 2
    assert "--kind rewards: the store" in told.stderr
    assert "did you mean 'reward'?" in told.stderr


def test_size_adds_up_by_kind(filled: Store, cli: Cli) -> None:
    rows = json.loads(cli("store", "size", "--format", "json").stdout)["rows"]
    assert [(row["kind"], row["number"]) for row in rows] == [("reward", 2), ("split", 1), ("all", 3)]
    assert rows[-1]["bytes"] == sum(row["bytes"] for row in rows[:-1]) == sum(one.bytes for one in entries(filled))


def test_verify_leaves_with_1_where_something_is_damaged_and_repair_sets_it_aside(filled: Store, cli: Cli) -> None:
    assert cli("store", "verify").stdout == "3 artefacts, all whole\n"
    spoil(filled, KEYS[1])
    told = cli("store", "verify")
    assert told.exit_code == 1
    assert f"artefact {KEYS[1][:12]} is damaged (a.bin does not match its checksum)" in told.stdout
    assert "1 of 3 artefacts are damaged; set them aside with --repair" in told.stderr
    mended = cli("store", "verify", "--repair")
    assert mended.exit_code == 0
    assert "the next run makes them again" in mended.stdout
    assert cli("store", "verify").stdout == "2 artefacts, all whole\n"


def test_prune_shows_what_would_go_and_does_it_when_told(filled: Store, cli: Cli) -> None:
    told = cli("store", "prune", "--older-than", "30d")
    assert "To be removed" in told.stdout
    assert KEYS[2] in told.stdout
    assert "nothing is removed yet: say --yes to do it" in told.stderr
    assert left(filled) == list(KEYS)
    done = cli("store", "prune", "--older-than", "30d", "--yes")
    assert "Removed" in done.stdout
    assert left(filled) == list(KEYS[:2])


def test_prune_keeps_what_a_suite_needs(
    ran: Finished, store: Store, cli: Cli, tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    tiny["methods"] = tiny["methods"][3:]
    suite = write_suite(tiny)
    needed = set(plan(read_study(suite)).stages)
    assert 0 < len(needed) < len(left(store))
    assert cli("store", "prune", "--keep", suite, "--yes").exit_code == 0
    assert set(left(store)) == needed
    assert "nothing to compute" in cli("run", suite).stdout


def test_prune_names_the_run_that_it_spares(filled: Store, cli: Cli) -> None:
    with filled.announce("busy", KEYS):
        told = cli("store", "prune", "--older-than", "0s", "--yes")
    assert f"spared: what suite 'busy' uses, run by process {os.getpid()} on " in told.stderr
    assert left(filled) == list(KEYS)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, cli: Cli) -> None:
    told = cli("store", "ls", "--store", tmp_path / "mistyped")
    assert told.exit_code == 2
    assert f"there is no store in {tmp_path / 'mistyped'}; name one with --store" in told.stderr
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize("text", ["30", "d", "-3d", "30 days", "1e3d", "1_0d", "٣d", "9999999999999d"])
def test_an_age_is_a_number_and_a_unit(text: str) -> None:
    with pytest.raises(FairlError, match=f"--older-than {text}: needs a number and s, m, h, d or w"):
        listing.seconds_of(text)


def test_house_is_kept_without_torch(filled: Store) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from fairl_bench.cli.main import main\n"
        "for verb in ('ls', 'size', 'verify', 'prune'):\n"
        "    assert CliRunner().invoke(main, ['store', verb, '--store', sys.argv[1]]).exit_code == 0\n"
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code, filled.place], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
