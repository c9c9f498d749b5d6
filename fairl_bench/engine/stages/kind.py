"""The base of a kind of stage, and the inputs of its work: parts by their specs, answers of other stages."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from fairl_bench.errors import DamagedArtefact, DataError, FairlError
from fairl_bench.guards.readonly import ReadOnly
from fairl_bench.store.store import Store
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import Examples, Rows, Split
from fairl_bench.values.language_models import Site
from fairl_bench.values.stage import Stage

Made = TypeVar("Made")
Loaded = TypeVar("Loaded")


class Answer(NamedTuple, Generic[Made]):
    """The answer of one stage, and what is noted about its work."""

    stage: Stage
    value: Made
    facts: Mapping[str, Any]


class StageKind(ABC, Generic[Made, Loaded]):
    """A kind of stage.  Each also has a static ``title``: what its stages are called in messages."""

    name: ClassVar[str]
    checkpoints: ClassVar[bool] = False
    """True where its work keeps checkpoints, which are removed when the answer is kept."""

    @abstractmethod
    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Made]]:
        """The answer of each stage of one job: one stage, or rewards that train together."""

    @abstractmethod
    def save(self, folder: Path, value: Made, /) -> None:
        """Write an answer into an empty folder."""

    @abstractmethod
    def load(self, folder: Path, /) -> Loaded:
        """Read the answer that `save` wrote."""


class StageInputs:
    """The answers that stages start from, read from the store; the last few are kept in memory."""

    def __init__(self, store: Store, registry: Registry, kinds: Mapping[str, StageKind[Any, Any]]) -> None:
        self.store, self.registry, self.kinds = store, registry, kinds
        self.load = lru_cache(maxsize=24)(self._load)
        self.part = lru_cache(maxsize=24)(self._part)

    def forget(self) -> None:
        """Empty the memory: what was loaded is no longer what the store holds."""
        self.load.cache_clear()
        self.part.cache_clear()

    def _load(self, key: str) -> Any:
        """The answer under a key.  Raises `DamagedArtefact` for one that cannot be read."""
        kind, folder = self.store.checked(key)
        if kind not in self.kinds:
            raise DamagedArtefact(key, f"its kind is {kind!r:.60}, which is none")
        try:
            return self.kinds[kind].load(folder)
        except (FairlError, MemoryError):  # a language model that lay elsewhere is gone, say
            raise
        except Exception as error:  # whole, and yet not what its kind is kept as: each format has errors of its own
            raise DamagedArtefact(key, f"it cannot be read as {kind}: {_one_line(error)}") from error

    def texts(self, examples: str, split: str, part: str) -> tuple[Examples, Rows]:
        """The texts under a key with their rows: all of them, or those of one part of the pairs."""
        if part:
            return self.part(examples, split, part)
        every: Examples = self.load(examples)
        return every, np.arange(len(every))

    def _part(self, pairs: str, split: str, name: str) -> tuple[Examples, Rows]:
        """The examples of one part of the pairs, and their rows among all."""
        examples: Examples = self.load(pairs)
        divided: Split = self.load(split)
        rows = np.flatnonzero(np.isin(examples.pair, divided.rows(name)))
        if not len(rows):  # a split that was kept when nothing read this part
            raise DataError(f"the split has no pair for {name!r}; set split.{name} above 0, or add pairs")
        return examples.take(rows), rows

    def shards(self, stage: Stage) -> list[Any]:
        """The answers that a stage merges, in their order."""
        return [self.load(key) for key in stage.shards()]

    def upstream(self, stage: Stage) -> ReadOnly[str, Any]:
        """The answers of the parts that a stage's part starts from, by role."""
        return ReadOnly({role: self.load(key) for role, key in stage.upstream().items()})

    def site(self, stage: Stage) -> Site:
        """A place for long work: its scratch outlives an interruption, its folder starts empty."""
        scratch = self.store.scratch(stage.key)
        folder = scratch / "answer"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (scratch / "work").mkdir(exist_ok=True)
        return Site(folder, scratch / "work", self.upstream(stage), stage.settings["replicate"])


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
