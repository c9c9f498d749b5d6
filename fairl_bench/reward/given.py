"""What the method of a recovered reward is given beside texts and vectors: its language models, and what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from fairl_bench.component import Settings
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import ReadOnly, unchanged_by
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.lm import LM, AskLikelihoods
from fairl_bench.kinds.method import Method
from fairl_bench.values.data import Examples
from fairl_bench.values.language_models import Site
from fairl_bench.values.likelihoods import Likelihoods

METHOD: Final = "method"
"""Before the roles of what a method starts from, in ``reward.json`` and wherever they stand beside an encoder's."""


def starts(method: Method) -> dict[str, Settings]:
    """What a method's score needs of its `upstream`, by role."""
    return dict(method.upstream()) if method.reads_upstream else {}


def language_model(start: Settings) -> LM | None:
    """The language model that is asked for, itself or for likelihoods; None for another start."""
    model = start.lm if isinstance(start, AskLikelihoods) else start
    return model if isinstance(model, LM) else None


def language_models(method: Method, encoder: Encoder | None) -> dict[str, LM]:
    """The language models that a reward needs, by role: what its encoder starts from, and what its method reads."""
    asked = {f"{METHOD}/{role}": start for role, start in starts(method).items()}
    asked |= {} if encoder is None else dict(encoder.upstream())
    return {role: model for role, start in asked.items() if (model := language_model(start)) is not None}


def is_given_prompts(method: Method) -> bool:
    """True where a method's score is given prompts, as in a suite; if not, equal texts have one reward."""
    return method.reads_prompts or any(isinstance(start, AskLikelihoods) for start in starts(method).values())


def reads_prompts(method: Method) -> bool:
    """True where a method's score depends on prompts, by itself or by likelihoods of texts given their prompts."""
    asked = (start for start in starts(method).values() if isinstance(start, AskLikelihoods))
    return method.reads_prompts or any(ask.prompts == "given" for ask in asked)


class Given(NamedTuple):
    """What a method is given for some texts, by role."""

    likelihoods: Mapping[str, Likelihoods]
    upstream: Mapping[str, Any]


@contextmanager
def given(method: Method, upstream: Mapping[str, Any], examples: Examples) -> Iterator[Given]:
    """What a method is given to score texts, as in a suite; its folders are there until the block ends.

    ``upstream`` holds the folder of each language model by role, None for one behind a server, and the answers to its
    other requests.  Raises `DataError` where a language model cannot tell how likely the texts are.
    """
    asked = starts(method)
    if not asked:
        yield Given({}, {})
        return
    with TemporaryDirectory(prefix="fairl-bench-") as room:
        here = {role: _there(upstream[role], Path(room, f"{i}", "lm")) for i, role in enumerate(asked)}
        likelihoods = {
            role: _read(start, here[role], examples, Path(room, f"{i}"))
            for i, (role, start) in enumerate(asked.items())
            if isinstance(start, AskLikelihoods)
        }
        yield Given(likelihoods, {role: here[role] for role in asked if role not in likelihoods})


def _there(answer: Any, empty: Path) -> Any:
    """The answer; of a language model behind a server, which has no files, an empty folder."""
    if answer is None:
        empty.mkdir(parents=True)
    return empty if answer is None else answer


def _read(ask: AskLikelihoods, lm: Path, examples: Examples, room: Path) -> Likelihoods:
    """How likely a language model finds the texts."""
    site = Site(room / "folder", room / "scratch", ReadOnly({"lm": lm}))
    for folder in (site.folder, site.scratch):
        folder.mkdir(parents=True)
    continuations = ask.continuations(examples)
    with unchanged_by(ask.lm, continuations=continuations, upstream=site.upstream):
        return answers.likelihoods(ask.lm, ask.lm.likelihoods(continuations, site), len(examples))
