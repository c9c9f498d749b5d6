"""Promises of language models and of the prompts that they go on from."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairl_bench.guards.readonly import ReadOnly
from fairl_bench.kinds.lm import LM, Prompts
from fairl_bench.science.streams import stream
from fairl_bench.testing.promises import answer, check_spec, must
from fairl_bench.values.language_models import Asked, DrawnTexts, Sampling, Site

if TYPE_CHECKING:
    from fairl_bench.suite.registry import Registry


def check_prompts(prompts: Prompts, n: int = 5, *, registry: Registry | None = None) -> None:
    """``n`` texts or fewer, the same for equal random numbers."""
    found = prompts.texts(n, stream("prompts", 0))
    texts = all(isinstance(text, str) for text in found)
    must(texts and 0 < len(found) <= n, f"texts gave {len(found)} prompts for {n}; give 1 to {n} texts")
    must(prompts.texts(n, stream("prompts", 0)) == found, "asked twice, it gave other prompts; draw from rng alone")
    check_spec(prompts, registry)


def check_lm(
    lm: LM,
    prompts: Sequence[str] = ("Well,", "I think", "Well,"),
    *,
    registry: Registry | None = None,
    **upstream: object,
) -> None:
    """It makes a model and completes each prompt, in the same way whatever is asked beside it.

    ``upstream`` is what it starts from, by role, and what its `completes_from` asks for besides its own folder.  One
    that has no weights (`refuses_weights`) is not made.
    """
    with tempfile.TemporaryDirectory() as room:
        place, scratch = Path(room, "model"), Path(room, "scratch")
        place.mkdir()
        scratch.mkdir()
        site = Site(place, scratch, ReadOnly(upstream))
        at = site if lm.refuses_weights() else Site(place, scratch, ReadOnly({**upstream, "lm": _made(lm, site)}))
        n = len(prompts)
        asked = Asked(tuple(prompts), tuple(range(n)), (0,) * n, Sampling(max_new_tokens=8), "check", 0)
        found = _texts(answer(lm, lambda: lm.complete(asked, at), upstream=at.upstream), n)
        alone = [text for i in range(n) for text in _texts(lm.complete(asked.take([i]), at), 1)]
        must(alone == found, "a prompt alone got another completion than in company; draw from asked.rng(i) alone")
    check_spec(lm, registry)


def _made(lm: LM, site: Site) -> Path:
    """The folder that a language model makes, or names."""
    made = answer(lm, lambda: lm.make(site), upstream=site.upstream)
    must(made.folder.is_dir(), f"make says that the model lies in {made.folder}, where no folder is")
    return made.folder


def _texts(completed: Sequence[str] | DrawnTexts, n: int) -> list[str]:
    """The completions of ``n`` prompts, with or without their tokens."""
    found = list(completed.text if isinstance(completed, DrawnTexts) else completed)
    must(
        len(found) == n and all(isinstance(text, str) for text in found),
        f"complete gave {len(found)} answers for {n} prompts; return one text a prompt",
    )
    return found
