"""Single flipped bits anywhere in a store: each is found, told, and mended by the next run, which ends as ever.

The short form flips a few dozen bits; the long one (``tox -e faults``) four hundred.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fairl_bench.pipeline import Finished, run
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.housekeeping import damage
from fairl_bench.store.manifest import MANIFEST
from fairl_bench.suite.read import read_study

LONG = os.environ.get("FAIRL_FAULTS") == "long"
FLIPS = 400 if LONG else 12
SEED = int(os.environ.get("FAIRL_FAULTS_SEED", "20"))


def flip(path: Path, rng: np.random.Generator, *, silently: bool) -> None:
    """Flip one bit; ``silently`` as a disk does, which does not say when."""
    before, data = path.stat(), bytearray(path.read_bytes())
    bit = int(rng.integers(8 * len(data)))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    if silently:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def numbers(results: Path) -> dict[str, bytes]:
    return {str(path.relative_to(results)): path.read_bytes() for path in sorted(results.rglob("*.parquet"))}


def chosen(root: Path, turn: int, rng: np.random.Generator) -> Path:
    """A file of the store: every other time a manifest."""
    files = [path for path in sorted(root.glob("??/*/*")) if (path.name == MANIFEST) == (turn % 2 == 0)]
    return files[int(rng.integers(len(files)))]


def test_any_flipped_bit_is_told_and_mended_by_the_next_run(
    ran_once: tuple[Path, Finished], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, (whole, finished) = np.random.default_rng(SEED), ran_once
    study, expected = read_study(whole.parent / "suite.yaml"), numbers(finished.folder)
    found = Counter[str]()
    for turn in range(FLIPS):
        for place in (tmp_path / "store", tmp_path / "results"):
            shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(whole, tmp_path / "store")
        read_all, silently = bool(turn % 4 < 2), bool(turn % 8 < 4)
        if not read_all:
            shutil.copytree(finished.folder, tmp_path / "results")
        path = chosen(tmp_path / "store", turn, rng)
        flip(path, rng, silently=silently)
        store, key = FolderStore(tmp_path / "store"), path.parent.name
        assert [one.key for one in damage(store)] == [key], path
        again = run(study, store, tmp_path / "results")
        assert not again.outcome.lost(), path
        assert numbers(tmp_path / "results") == expected, path
        mended = key in again.outcome.damaged
        assert [one.key for one in damage(store)] == [] if mended else [key], path
        # what nothing was read of, and what looks as before, is left to `store verify`
        assert mended or (silently and path.name != MANIFEST), path
        found["mended" if mended else "not read"] += 1
    with capsys.disabled():
        print(f"\n  seed {SEED}: {FLIPS} bits flipped in a store: {dict(found)}")
