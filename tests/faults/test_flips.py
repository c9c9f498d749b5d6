"""Damage to a results folder: readers refuse what is damaged or say what they said before, and a run mends it.

The long form (``FAIRL_FAULTS=long``) flips 600 bits; the short one flips a few.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner

from fairl_bench.cli.main import main
from fairl_bench.errors import ResultsError
from fairl_bench.html import write as pages
from fairl_bench.pipeline import run
from fairl_bench.results.folder import read_manifest
from fairl_bench.results.results import read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import Study, read_study

LONG = os.environ.get("FAIRL_FAULTS") == "long"
FLIPS, CUTS, OLD = (600, 120, 200) if LONG else (10, 4, 5)
SEED = int(os.environ.get("FAIRL_FAULTS_SEED", "20"))

PASSING = ("run.json", "report.html")  # they say when a run was

PLUGIN = """
from fairl_bench import Evaluator, Measure, Metric, Method, hookimpl
from fairl_bench.values.records import Evidence


class Shown(Evaluator):
    metrics = (Metric("shown"),)
    data: tuple[str, ...] = ()

    def evaluate(self, tasks):
        columns = {"phase": ["after"] * 4, "text": list("abcd")}
        return [Measure("pairs/test", "gold", "shown", 0.25, 4), Evidence(columns), Evidence(columns, "more")]


class Broken(Method):
    def fit(self, task):
        raise ValueError("it cannot be fitted")


@hookimpl
def fairl_evaluators(register):
    register("shown", Shown)


@hookimpl
def fairl_methods(register):
    register("broken", Broken)
"""

SUITE = """\
name: small
plugins: [plugin.py]
seeds: [0, 1]
models: [{name: toy, use: toy-comments, n: 100, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 8}]
training: {epochs: 2}
methods:
  - {name: max-entropy, use: max-entropy}
  - {name: max-margin, use: max-margin}
  - {name: length, use: length}
  - {name: broken, use: broken}
testsets: {shifted: {use: toy-comments, n: 60, gold: {use: toy-truth}}}
evaluate:
  - {use: classification, data: [pairs/test, shifted], label: gold, threshold: {data: pairs/train, label: gold}}
  - {use: fidelity, data: [pairs/test, shifted]}
  - {use: shown, data: [pairs/test]}
report:
  table1: {data: [pairs/test, shifted], truth: gold, metrics: [accuracy, starc]}
  table2: {methods: [max-entropy, max-margin], data: [pairs/test]}
  table3: {methods: [max-entropy, max-margin], data: [shifted]}
claims: [{id: better, better: max-entropy, than: length, metric: accuracy, data: shifted, truth: gold, expect: any}]
"""

PUBLISHED = """\
name: printed
title: What was printed
model: toy
encoder: tfidf
margins: {accuracy: {within: 0.1, why: because}}
numbers:
  - {id: one, value: 0.7, metric: accuracy, method: max-entropy, data: shifted, truth: gold, source: {table: Table 1}}
  - {id: two, value: 0.6, metric: accuracy, method: length, data: shifted, truth: gold, source: {table: Table 1}}
"""


class Kept(NamedTuple):
    """A study with its store and results, the bytes of each file, and what readers say of it."""

    study: Study
    store: Store
    folder: Path
    files: dict[str, str]
    said: dict[str, str]

    def again(self) -> None:
        run(self.study, self.store, self.folder, then=pages.write_pages)


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, but of those that say when a run was."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (*PASSING, "manifest.json")
    }


def read_all(folder: Path) -> dict[str, tuple[int, str, str]]:
    """The exit code, output and errors of every command that reads a results folder."""
    commands = {
        "report": ("report", folder, "--intervals", "--format", "json"),
        "compare": ("compare", f"{folder}:max-entropy", f"{folder}:length", "--format", "json"),
        "regress": ("regress", folder, "--against", folder.parent / "printed.yaml", "--format", "json"),
    }
    found = {}
    for name, arguments in commands.items():
        ran = CliRunner().invoke(main, list(map(str, arguments)))
        assert ran.exception is None or isinstance(ran.exception, SystemExit), (name, ran.exception)
        found[name] = (ran.exit_code, ran.stdout, ran.stderr)
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            patch.setenv(name, "1")  # the command sets them; so that they are put back
        if not LONG:
            patch.setattr(pages, "pictures", lambda parts, material, guard: {})  # they take seconds
        root = tmp_path_factory.mktemp("kept")
        (root / "plugin.py").write_text(PLUGIN)
        (root / "suite.yaml").write_text(SUITE)
        (root / "printed.yaml").write_text(PUBLISHED)
        study, store, folder = read_study(root / "suite.yaml"), FolderStore(root / "store"), root / "results"
        run(study, store, folder, then=pages.write_pages)
        said = read_all(folder)
        assert [code for code, _, _ in said.values()] in ([0, 0, 0], [0, 0, 1]), said
        yield Kept(study, store, folder, digests(folder), {name: out for name, (_, out, _) in said.items()})


def flip(path: Path, rng: np.random.Generator) -> str:
    data = bytearray(path.read_bytes())
    at, bit = int(rng.integers(len(data))), int(rng.integers(8))
    data[at] ^= 1 << bit
    path.write_bytes(data)
    return f"bit {bit} of byte {at} of {len(data)}"


def cut(path: Path, rng: np.random.Generator) -> str:
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(len(data)))])
    return f"cut from {len(data)} to {path.stat().st_size} bytes"


def places(folder: Path, rng: np.random.Generator, number: int) -> list[Path]:
    """Files to damage: each kind of file as often as any other, and within a kind any."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            parts = path.relative_to(folder).parts
            kinds.setdefault(path.name if parts[0] == "rewards" else parts[0], []).append(path)
    chosen = [list(kinds)[i % len(kinds)] for i in range(number)]
    return [kinds[kind][int(rng.integers(len(kinds[kind])))] for kind in chosen]


def test_no_damage_changes_a_number_without_a_word_and_a_run_mends_it(kept: Kept) -> None:
    rng = np.random.default_rng(SEED)
    refused = Counter[str]()
    for damage, number in ((flip, FLIPS), (cut, CUTS)):
        for path in places(kept.folder, rng, number):
            what = f"{path}: {damage(path, rng)}"
            for name, (code, out, err) in read_all(kept.folder).items():
                if code == 2:
                    assert err.startswith(("error: ", "note: ")), (what, name, err)
                    assert len(err.splitlines()) <= 4, (what, name, err)
                    refused[name] += 1
                else:
                    assert out == kept.said[name], (what, name)
            kept.again()
            assert digests(kept.folder) == kept.files, what
            manifest = read_manifest(kept.folder)
            assert manifest is not None, what
            passing = {name: hashlib.sha256((kept.folder / name).read_bytes()).hexdigest() for name in PASSING}
            assert {name: entry.sha256 for name, entry in manifest.files.items()} == kept.files | passing, what
    assert all(refused[name] for name in kept.said), refused


@pytest.mark.parametrize("damage", [flip, cut])
def test_damage_to_a_folder_without_a_manifest_ends_no_reader_with_a_traceback(
    damage: Callable[[Path, np.random.Generator], str], kept: Kept
) -> None:
    rng = np.random.default_rng(SEED + 1)
    (kept.folder / "manifest.json").unlink()
    for path in places(kept.folder, rng, OLD):
        before = path.read_bytes()
        what = f"{path}: {damage(path, rng)}"
        for code, _, err in read_all(kept.folder).values():
            assert "has no manifest.json: it is of an earlier version" in err, what
            assert code in (0, 1, 2), what
        with suppress(ResultsError):
            pages.write_pages(read_results(kept.folder))
        path.write_bytes(before)
    kept.again()
    assert digests(kept.folder) == kept.files


def test_every_file_of_the_folder_is_in_the_manifest_with_its_checksum(kept: Kept) -> None:
    told = json.loads((kept.folder / "manifest.json").read_text())["files"]
    there = {path.relative_to(kept.folder).as_posix() for path in kept.folder.rglob("*") if path.is_file()}
    assert there == {*told, "manifest.json"}
    assert {name.partition("/")[0] for name in there} >= {
        *("suite.yaml", "run.json", "records.parquet", "intervals.parquet", "report.html"),
        *("scores", "examples", "truths", "histories", "evidence", "rewards", "tables", "logs"),
    }
    for name, row in told.items():
        assert row["sha256"] == hashlib.sha256((kept.folder / name).read_bytes()).hexdigest()
        assert row["of"]
