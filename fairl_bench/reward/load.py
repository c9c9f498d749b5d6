"""The rewards of a results folder, one folder each, and any saved reward again.

A reward's arrays and its corpus are hard links wherever the file system has them: ten thousand rewards of one world
cost its training texts once.  An encoder can be kept that starts from nothing, or from a language model.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fairl_bench.component import Component, parts_within, plain
from fairl_bench.data import Examples, Split
from fairl_bench.digests import digest
from fairl_bench.engine.plan import Cell, Plan
from fairl_bench.engine.stage import Stage
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import DataError
from fairl_bench.kinds import Encoder, Method
from fairl_bench.results.files import Writer
from fairl_bench.reward.folder import (
    ARRAYS,
    CORPUS,
    FILE,
    FORMAT,
    About,
    FromPlugin,
    Made,
    Start,
    folder_sha256,
    identity,
    read_reward,
    source,
)
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.store.artefacts import PLACE
from fairl_bench.suite.registry import Registry

_OF_THE_RUN = ("title", "seconds", "host", "pid", "trained_together", "read")  # facts that are not the reward's
_PACKAGES = ("fairl-bench", "numpy", "scikit-learn", "sentence-transformers", "torch", "transformers")


def load_reward(
    folder: Path | str,
    *,
    plugins: Sequence[Path | str] = (),
    encoder: Mapping[str, Any] | None = None,
    upstream: Mapping[str, str] | None = None,
) -> RecoveredReward:
    """The reward that a run has saved in ``RESULTS/rewards/CELL``: ``reward(["text", ...])``.

    ``plugins`` are the drop-in files that its parts come from.  ``encoder`` has fields of the encoder that differ on
    this machine, such as ``{"model": FOLDER}``, and ``upstream`` the folder of the language model that it starts from,
    as ``{"lm": FOLDER}``.  Raises `DataError` where the encoder is not the one that the reward was fitted on.
    """
    registry = Registry([Path(path) for path in plugins])
    return read_reward(Path(folder), registry.find, encoder=encoder, upstream=upstream)


class Shelf:
    """The folder ``rewards`` of a results folder, as one plan fills it."""

    def __init__(self, files: Writer, suite: str, plan: Plan, worker: Worker) -> None:
        self.files, self.suite, self.plan, self.worker = files, suite, plan, worker
        self.made = cache(self._made)
        self.start = cache(self._start)
        self.corpora: dict[tuple[str, ...], Path] = {}
        self.kept: dict[str, list[str]] = {}
        for name in files.listed("rewards/"):
            self.kept.setdefault(name.split("/")[1], []).append(name)

    def places(self, name: str) -> list[str]:
        """The files of a reward that lies there."""
        return self.kept.get(name, [])

    def keep(self, name: str, cell: Cell) -> bool:
        """Save the reward of a cell unless it lies there; take away what the cell was before. Whether it is there."""
        store, place, embeddings = self.worker.store, f"rewards/{name}", self._embeddings(cell)
        if embeddings is None:
            return False
        started = embeddings.upstream().values()
        signature = digest([FORMAT, cell.reward, [str(store.path(key)) for key in started]])
        there = all(self.files.holds(one, signature) for one in self.places(name))
        there &= f"{place}/{FILE}" in self.places(name)
        if there:
            return True
        same = all((entry := self.files.entry(one)) is None or entry.of == signature for one in self.places(name))
        if not same:
            self._drop(name)
        if not store.has(cell.reward) or not all(map(self._has, started)):
            return same and bool(self.places(name))
        self._write(place, cell, embeddings, signature)
        return True

    def _drop(self, name: str) -> None:
        for one in self.places(name):
            self.files.drop(one)

    def _has(self, key: str) -> bool:
        """Whether a language model is still there: once all is embedded, nothing but a reward of use elsewhere asks."""
        try:
            return self.worker.store.has(key) and self._place(key).is_dir()
        except DataError:
            return False

    def _place(self, key: str) -> Path:
        """Where a language model lies: in the store, or where its artefact says."""
        folder = self.worker.store.path(key)
        if not (folder / PLACE).exists():
            return folder  # not loaded: that would read all of it
        place: Path = self.worker.load(key)
        return place

    def forget(self, others_than: set[str]) -> None:
        """Remove all other rewards."""
        for name in self.kept.keys() - others_than:
            self._drop(name)

    def _embeddings(self, cell: Cell) -> Stage | None:
        """The stage that a reward's vectors come from; None where its encoder starts from what cannot be kept."""
        stage = self.plan.stages[self.plan.stages[cell.reward].inputs["embeddings"]]
        if not stage.parts:  # merged of shards, each of which knows all
            stage = self.plan.stages[stage.shards()[0]]
        return stage if all(self.plan.stages[key].kind == "lm" for key in stage.upstream().values()) else None

    def _write(self, place: str, cell: Cell, embeddings: Stage, signature: str) -> None:
        """The folder of a reward."""
        told = self._about(place, cell, embeddings, signature)
        self.files.put(f"{place}/{FILE}", signature, json.dumps(told.plain(), indent=1))

    def _about(self, place: str, cell: Cell, embeddings: Stage, signature: str) -> About:
        """Put a reward's files into a folder; what there is to say of them."""
        store, stage = self.worker.store, self.plan.stages[cell.reward]
        method, made = self.made(Method, json.dumps(stage.parts["method"]))
        reads = method.reads_vectors
        encoder, encoded = self.made(Encoder, json.dumps(embeddings.parts["encoder"]))
        arrays = store.read(cell.reward) / ARRAYS
        files = {ARRAYS: self.files.stage(f"{place}/{ARRAYS}", signature, partial(_link, arrays)).sha256}
        if reads and encoder.fitted:
            corpus = partial(self._corpus, embeddings)
            files = {CORPUS: self.files.stage(f"{place}/{CORPUS}", signature, corpus).sha256, **files}
            self.corpora.setdefault(_corpus_of(embeddings), self.files.staged(f"{place}/{CORPUS}") or Path())
        started = embeddings.upstream() if reads else {}
        return About(
            signature=signature,
            format=FORMAT,
            cell={"suite": self.suite, **cell.cell._asdict()},
            embed=embeddings.settings["embed"],
            head=stage.settings["head"],
            method=made,
            encoder=encoded if reads else None,
            upstream={role: self.start(key) for role, key in started.items()},
            plugins=tuple(self._plugins(method, *([encoder] if reads else []))),
            files=files,
            facts={name: one for name, one in store.manifest(cell.reward)["facts"].items() if name not in _OF_THE_RUN},
            packages=_packages(),
        )

    def _made(self, kind: type[Method] | type[Encoder], spec: str) -> tuple[Any, Made]:
        """The part of a spec, once for all cells that share it: its digests may read large files."""
        part = self.worker.registry.build(kind, json.loads(spec))
        return part, Made(spec=part.plain(), identity=plain(identity(part)))

    def _start(self, key: str) -> Start:
        """The language model under a key; one of the store has its digests in its manifest."""
        place = self._place(key)
        own = place == self.worker.store.path(key)
        return Start(
            place=str(place.resolve()),
            sha256=folder_sha256(place, self.worker.store.manifest(key)["files"] if own else None),
        )

    def _corpus(self, embeddings: Stage, path: Path) -> None:
        """The training texts, linked to those of another reward of the same world where there is one."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        known = self.corpora.get(_corpus_of(embeddings))
        if known is not None:
            _link(known, path)
            return
        pairs: Examples = self.worker.load(embeddings.inputs["pairs"])
        split: Split = self.worker.load(embeddings.inputs["split"])
        texts = split.training_texts(pairs, embeddings.settings["embed"])
        pq.write_table(pa.table({"text": list(texts)}), path)

    def _plugins(self, *parts: Component) -> Iterator[FromPlugin]:
        """The plugins that parts and the parts within them come from."""
        registry = self.worker.registry
        used: dict[str, set[tuple[str, str]]] = {}
        for part in parts_within(parts):
            used.setdefault(registry.plugin_of(part.kind, part.use).name, set()).add((part.kind, part.use))
        for name, found in sorted(used.items()):
            plugin = registry.plugins[name]
            if plugin.origin != "built-in":
                dropped = plugin.origin == "drop-in"
                kind, use = min(found)
                yield FromPlugin(
                    name=Path(name).name if dropped else name,
                    version=plugin.version,
                    sha256=source(registry.find(kind, use)) if dropped else None,
                    parts=tuple(sorted(found)),
                )


def _corpus_of(embeddings: Stage) -> tuple[str, ...]:
    return embeddings.inputs["pairs"], embeddings.inputs["split"], embeddings.settings["embed"]


def _link(there: Path, path: Path) -> None:
    try:
        os.link(there, path)
    except OSError:  # another file system, or one without links
        shutil.copyfile(there, path)


@cache
def _packages() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
