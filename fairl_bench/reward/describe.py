"""What ``reward.json`` says of a reward that a run has recovered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

from fairl_bench.component import Component, Spec, parts_within, plain
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.method import Method
from fairl_bench.reward.about import FORMAT, About, FromPlugin, Made, Served, Start
from fairl_bench.reward.given import METHOD, language_models
from fairl_bench.reward.identity import folder_sha256, identity, source
from fairl_bench.suite.registry import Registry
from fairl_bench.values.finished import FinishedModel, FinishedReward

_OF_THE_RUN: Final = ("title", "seconds", "host", "pid", "trained_together", "read")  # facts that are not the reward's
_PACKAGES: Final = ("fairl-bench", "numpy", "scikit-learn", "sentence-transformers", "torch", "transformers")


class Parts(NamedTuple):
    """The parts that a reward is made of."""

    method: Method
    encoder: Encoder | None  # None: the method reads no vectors

    @property
    def needs_corpus(self) -> bool:
        """Whether the encoder learns from the training texts."""
        return self.encoder is not None and self.encoder.fitted


class Descriptions:
    """Says what rewards are made of.  What cells share is looked up once: its digests may read large files."""

    def __init__(self, suite: str, registry: Registry) -> None:
        self.suite, self.registry = suite, registry
        self._built = cache(self._build)
        self._models: dict[str, Start | Served] = {}

    def parts(self, reward: FinishedReward) -> Parts:
        """The method of a reward, and the encoder whose vectors it reads."""
        method, _ = self._made(Method, reward.method)
        return Parts(method, self._made(Encoder, reward.encoder)[0] if method.reads_vectors else None)

    def about(self, reward: FinishedReward, signature: str, files: Mapping[str, str]) -> About:
        """What there is to say of a reward; ``files`` are the digests of what lies beside it."""
        method, encoder = self.parts(reward)
        return About(
            signature=signature,
            format=FORMAT,
            cell={"suite": self.suite, **reward.place.cell._asdict()},
            embed=reward.embed,
            head=reward.head,
            method=self._made(Method, reward.method)[1],
            encoder=self._made(Encoder, reward.encoder)[1] if encoder else None,
            upstream=self._upstream(method, encoder, reward),
            plugins=tuple(self._plugins(method, *([encoder] if encoder else []))),
            files=files,
            facts={name: fact for name, fact in reward.facts().items() if name not in _OF_THE_RUN},
            packages=_packages(),
        )

    def _made(self, kind: type[Method] | type[Encoder], spec: Spec) -> tuple[Any, Made]:
        return self._built(kind, json.dumps(spec))

    def _build(self, kind: type[Method] | type[Encoder], spec: str) -> tuple[Any, Made]:
        part = self.registry.build(kind, json.loads(spec))
        return part, Made(spec=part.plain(), identity=plain(identity(part)))

    def _upstream(self, method: Method, encoder: Encoder | None, reward: FinishedReward) -> dict[str, Start | Served]:
        """The language models that an encoder starts from and that a method reads, by role."""
        models = {f"{METHOD}/{role}": model for role, model in reward.method_models.items()}
        models |= reward.models if encoder else {}
        parts = language_models(method, encoder)
        return {role: self._start(model, parts[role]) for role, model in models.items()}

    def _start(self, model: FinishedModel, part: LM) -> Start | Served:
        if model.path not in self._models:
            place, digests = model.folder(), model.digests()
            self._models[model.path] = (
                Served(identity=plain(identity(part)))
                if digests is not None and not digests
                else Start(place=str(place.resolve()), sha256=folder_sha256(place, digests))
            )
        return self._models[model.path]

    def _plugins(self, *parts: Component) -> Iterator[FromPlugin]:
        """The plugins that parts and the parts within them come from."""
        used: dict[str, set[tuple[str, str]]] = {}
        for part in parts_within(parts):
            used.setdefault(self.registry.plugin_of(part.kind, part.use).name, set()).add((part.kind, part.use))
        for name, names in sorted(used.items()):
            plugin = self.registry.plugins[name]
            if plugin.origin != "built-in":
                dropped = plugin.origin == "drop-in"
                kind, use = min(names)
                yield FromPlugin(
                    name=Path(name).name if dropped else name,
                    version=plugin.version,
                    sha256=source(self.registry.find(kind, use)) if dropped else None,
                    parts=tuple(sorted(names)),
                )


@cache
def _packages() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
