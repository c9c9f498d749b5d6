"""The rewards of a run, one folder each below ``rewards/``.

A reward's arrays and its corpus are hard links wherever the file system has them: ten thousand rewards of one world
cost its training texts once.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path

from fairl_bench.digests import digest
from fairl_bench.results.folder import REWARDS
from fairl_bench.results.writer import Writer
from fairl_bench.reward.about import ARRAYS, CORPUS, FILE, FORMAT
from fairl_bench.reward.describe import Descriptions
from fairl_bench.suite.registry import Registry
from fairl_bench.values.finished import FinishedReward


class RewardFolders:
    """The folder ``rewards`` of a results folder, as one run fills it."""

    def __init__(self, files: Writer, suite: str, registry: Registry) -> None:
        self.files, self.describe = files, Descriptions(suite, registry)
        self.corpora: dict[tuple[str, ...], Path] = {}
        self.kept: dict[str, list[str]] = {}
        for name in files.listed(f"{REWARDS}/"):
            self.kept.setdefault(name.split("/")[1], []).append(name)

    def places(self, name: str) -> list[str]:
        """The files of a saved reward."""
        return self.kept.get(name, [])

    def keep(self, name: str, reward: FinishedReward) -> bool:
        """Save a reward unless it is saved already, and remove an older one; True where the reward is there."""
        models = [*reward.models.values(), *reward.method_models.values()]
        signature = digest([FORMAT, reward.key, [model.path for model in models]])
        if self._holds(name, signature):
            return True
        same = all((entry := self.files.entry(file)) is None or entry.of == signature for file in self.places(name))
        if not same:
            self._drop(name)
        if not reward.there or not all(model.there() for model in models):
            return same and bool(self.places(name))
        self._write(f"{REWARDS}/{name}", reward, signature)
        return True

    def forget(self, others_than: set[str]) -> None:
        """Remove all other rewards."""
        for name in self.kept.keys() - others_than:
            self._drop(name)

    def _holds(self, name: str, signature: str) -> bool:
        """True where a reward made from the same lies there, whole."""
        places = self.places(name)
        return f"{REWARDS}/{name}/{FILE}" in places and all(self.files.holds(file, signature) for file in places)

    def _drop(self, name: str) -> None:
        for file in self.places(name):
            self.files.drop(file)

    def _write(self, place: str, reward: FinishedReward, signature: str) -> None:
        """Write the folder of a reward."""
        path, sha256 = reward.arrays()
        files = {ARRAYS: self.files.stage(f"{place}/{ARRAYS}", signature, partial(_link, path), sha256).sha256}
        if self.describe.parts(reward).needs_corpus:
            corpus = partial(self._corpus, reward)
            files = {CORPUS: self.files.stage(f"{place}/{CORPUS}", signature, corpus).sha256, **files}
            self.corpora.setdefault(reward.corpus, self.files.staged(f"{place}/{CORPUS}") or Path())
        about = self.describe.about(reward, signature, files)
        self.files.put(f"{place}/{FILE}", signature, json.dumps(about.plain(), indent=1))

    def _corpus(self, reward: FinishedReward, path: Path) -> None:
        """Write the training texts, or link them to those of another reward of the same world."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if reward.corpus in self.corpora:
            _link(self.corpora[reward.corpus], path)
        else:
            pq.write_table(pa.table({"text": list(reward.training_texts())}), path)


def _link(source: Path, path: Path) -> None:
    """Link a file to another, or copy it where there are no links."""
    try:
        os.link(source, path)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, path)
