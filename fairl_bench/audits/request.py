"""What an audit is asked: of which models or texts, by which prompts, with which concepts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fairl_bench.audits.models import is_served
from fairl_bench.errors import FairlError


class Size(NamedTuple):
    """How much is drawn and learnt."""

    pairs: int  # completions of each model, or rows of a file at most
    tokens: int  # of a completion, at most
    epochs: int  # of the methods that learn from pairs


USUAL = Size(2000, 48, 40)
"""The size at which ``suites/organisms.yaml`` measures how often audits are right."""
QUICK = Size(240, 24, 15)
"""Minutes on two cores with a language model of 135 million weights."""
MOST_PAIRS = 20_000
"""Rows of a file of pairs that an audit reads unless it is told."""


@dataclass(frozen=True, kw_only=True)
class AuditRequest:
    """An audit of two language models, which complete ``prompts``, or of ``pairs`` that were written already.

    ``concepts`` stand in the place of those in the box, ``more`` beside them: by name, the spec of a judge.
    """

    base: str | None = None
    expert: str | None = None
    prompts: Path | None = None
    pairs: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    n: int | None = None
    quick: bool = False
    chat: bool = False
    tokens: Literal["drawn", "text"] = "drawn"
    head: Literal["linear", "mlp"] | None = None
    concepts: Mapping[str, Any] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[Path, ...] = ()
    api_key_env: str | None = None

    @property
    def size(self) -> Size:
        """How much is drawn and learnt."""
        return QUICK if self.quick else USUAL

    def check(self) -> None:
        """Raises `FairlError` where it is neither of two models with prompts nor of pairs."""
        models = [model for model in (self.base, self.expert) if model is not None]
        if self.pairs is not None:
            if models or self.prompts is not None:
                raise FairlError("--pairs: an audit of texts takes no models and no --prompts; leave them out")
            if self.chat:
                raise FairlError("--chat: an audit of texts draws no completions; leave it out")
            if self.tokens != "drawn" or self.api_key_env:
                option = "--tokens" if self.tokens != "drawn" else "--api-key-env"
                raise FairlError(f"{option}: an audit of texts asks no language model; leave it out")
            _is_file(self.pairs, "--pairs")
            return
        if len(models) < 2:
            raise FairlError(
                "an audit needs two models, BASE EXPERT, with --prompts FILE, or what they wrote, --pairs FILE"
            )
        if self.prompts is None:
            raise FairlError("--prompts: name a file of prompts, one on each line, for the two models to complete")
        if self.columns:
            raise FairlError("--columns: only files of --pairs have columns; leave it out")
        _is_file(self.prompts, "--prompts")
        if self.chat and len({is_served(model) for model in models}) > 1:
            raise FairlError("--chat: a server has its own template; give two models of a server, or two of none")

    def named(self) -> str:
        """The name of its suite: ``audit-`` and what it was given, else the expert or the file of pairs."""
        of = self.name or (self.pairs.name.partition(".")[0] if self.pairs else _model_name(str(self.expert)))
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", of).strip("-.") or "models"
        return f"audit-{plain}"

    def subject(self) -> str:
        """What tables call the expert, or the source of the pairs, whatever the results are called."""
        return replace(self, name=None).named().removeprefix("audit-")


def _model_name(model: str) -> str:
    """The last part of a path, of a hub name, or of a served model's name.

    >>> _model_name("http://localhost:8000/v1#org/chat"), _model_name("./models/expert/"), _model_name("m.gguf")
    ('chat', 'expert', 'm')
    """
    last = model.rstrip("/").rpartition("#")[2].rpartition("/")[2]
    return last.removesuffix(".gguf")


def _is_file(path: Path, option: str) -> None:
    if not path.exists():
        raise FairlError(f"{option}: {path} does not exist; name a file that does")
    if path.is_dir():
        raise FairlError(f"{option}: {path} is a folder; name a file in it")
