"""What an audit read: the two sides, who wrote them, and how many pairs of theirs there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from fairl_bench.errors import SuiteError
from fairl_bench.material import Material
from fairl_bench.suite.yaml import load_written
from fairl_bench.values.findings import Findings


class Audited(NamedTuple):
    """The two sides of an audit, the preferred one first."""

    expert: str
    base: str
    by_models: bool  # whether two language models completed the same prompts; else the texts were there
    pairs: int  # all of them; those alone that were held out where more is not known


def audited(material: Material, found: Findings) -> Audited:
    """What was read for some findings."""
    model = _model(material.suite, found.model)
    base, expert = model.get("base"), model.get("expert")
    counts = _split(material, found)
    pairs = max(found.separable.pairs, sum(counts))
    if isinstance(base, Mapping) and isinstance(expert, Mapping):
        return Audited(_called(expert), _called(base), by_models=True, pairs=pairs)
    return Audited("preferred texts", "rejected texts", by_models=False, pairs=pairs)


def _model(suite: str, name: str) -> Mapping[str, Any]:
    """The entry of a model in a suite; empty where it cannot be read."""
    try:
        models = load_written(suite).get("models")
    except SuiteError:
        return {}
    listed = models if isinstance(models, list) else []
    return next((model for model in listed if isinstance(model, Mapping) and model.get("name") == name), {})


def _called(model: Mapping[str, Any]) -> str:
    """How a language model is called: by its folder, file or hub name, else by the part that makes it.

    >>> _called({"use": "pretrained", "model": "/models/org/tiny"}), _called({"use": "rloo", "reward": {}})
    ('tiny', 'rloo')
    """
    name = model.get("model") or model.get("path")
    return PurePath(name).name or name if isinstance(name, str) and name else str(model.get("use", ""))


def _split(material: Material, found: Findings) -> list[int]:
    """How many pairs each part of the split has."""
    of_model = re.compile(rf"split of {re.escape(found.model)}(, replicate {found.replicate})?")
    for stage in material.run.stages:
        if stage.get("kind") == "split" and of_model.fullmatch(str(stage.get("title", ""))):
            return [int(stage[part]) for part in ("train", "validation", "test") if part in stage]
    return []
