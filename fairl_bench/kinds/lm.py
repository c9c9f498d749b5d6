"""Language models, the prompts that they go on from, and what is asked of them: each request is a stage of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal, Self

import numpy as np
from pydantic import Field

from fairl_bench.component import Component, Settings
from fairl_bench.progress import report
from fairl_bench.science.streams import stream
from fairl_bench.values.data import Examples
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import Asked, DrawnTexts, Model, Sampling, Site
from fairl_bench.values.likelihoods import Continuations, Likelihoods
from fairl_bench.values.number_format import NUMBERS, NumberFormat
from fairl_bench.values.resources import Needs

TOKENS_OF_A_PROMPT: Final = 8
"""Where the time of a run is estimated: those of a sentence, of which a model needs no logits, count half."""


LOOKED: Final = 1000
"""The most prompts that are checked before any work is done."""


class Prompts(Component, ABC):
    """Texts for a language model to go on from."""

    kind = "prompts"

    @abstractmethod
    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """``n`` prompts, or all there are if these are fewer."""


class LM(Component, ABC):
    """A causal language model."""

    kind = "lm"

    tells_ends: ClassVar[bool] = True
    """False where `likelihoods` cannot tell how likely it is that a text ends, as behind a server."""

    resources: Needs = None

    @abstractmethod
    def make(self, site: Site) -> Model:
        """Make the model in ``site.folder``, as `save_pretrained` writes it, or name the folder where it already is."""

    def of(self, base: Ask) -> Self:
        """The model as the expert of a source, with what it takes from there; by default the same for all.

        ``base`` is the request for completions of the source's base, with its prompts and its sampling.
        """
        return self

    def refuses_weights(self) -> str:
        """Why no part can start from its weights, as a training does; empty where one can."""
        return ""

    def completes_from(self, ask: Ask | AskDraws) -> Mapping[str, Settings]:
        """What `complete` starts from where it is asked like that, by role; by default the model itself.

        Each is a stage of its own, as of `upstream`.
        """
        return {"lm": self}

    def likelihoods_from(self, ask: AskLikelihoods) -> Mapping[str, Settings]:
        """What `likelihoods` starts from where it is asked like that, by role; by default the model itself.

        Each is a stage of its own, as of `upstream`; here they may also be the likelihoods of the same texts by another
        model (`AskLikelihoods`), and completions of their prompts (`AskDraws`).
        """
        return {"lm": self}

    def estimates(self) -> str:
        """How it estimates likelihoods, for the end of a sentence; empty where those that it tells are exact."""
        return ""

    def fits(self, prompts: Sequence[str], new: int) -> Sequence[str]:
        """Check, before the model is made, that it can complete these prompts by ``new`` tokens.

        Returns sentences on what a user should know.  Raises `DataError` where it cannot; by default nothing is
        checked.
        """
        return ()

    def vocabulary(self) -> str:
        """The digest of its tokens as `DrawnTokens` has it, if it is known before the model is made; else empty."""
        return ""

    def tokens_of(self) -> LM:
        """The language model that it has its tokens from: by default itself, and of an aligned one its base."""
        return self

    def weights(self) -> int | None:
        """How many weights each of its tokens passes on this machine, for the estimate of a run's time.

        None where that is not known before the model is made; 0 where others compute.
        """
        return None

    def operations(self) -> float | None:
        """Roughly the number of floating-point operations that `make` takes, for the same estimate; by default none."""
        return 0.0

    def cores(self) -> int:
        """How many cores `make` computes with; so many of the processes at once then count as busy."""
        return 1

    def complete(self, asked: Asked, site: Site) -> Sequence[str] | DrawnTexts:
        """One completion a prompt; by default drawn on this machine from the model in ``site.upstream["lm"]``.

        ``site.upstream`` holds the answers to what `completes_from` asks for.  A text depends on its prompt's row, its
        draw and the replicate (`Asked.rng`), not on what is asked beside it.  A model that knows the tokens of its
        texts returns `DrawnTexts`, others a list of texts.
        """
        from fairl_bench.science.generation import complete

        uniform = np.array([asked.rng(i).random(asked.sampling.max_new_tokens) for i in range(len(asked))])
        settings = asked.sampling.model_dump(exclude={"max_new_tokens"})
        drawn = complete(site.upstream["lm"], asked.prompt, uniform, **settings, moved=_completed)
        tokens = DrawnTokens.made(drawn.tokens, drawn.ended, drawn.vocabulary, drawn.log_probability)
        return DrawnTexts(tuple(drawn.text), tokens)

    def refuses_likelihoods(self, temperature: float = 1.0, *, values: bool = False) -> str:
        """Why it cannot tell how likely a given text is, as far as that is known beforehand; empty where it may.

        With ``values`` it is asked for the values of the states too (`Likelihoods.before` and ``after``).
        """
        return ""

    def likelihoods(self, continuations: Continuations, site: Site) -> Likelihoods:
        """How likely the texts are; by default under the model in ``site.upstream["lm"]``, on this machine.

        ``site.upstream`` holds the answers to what `likelihoods_from` asks for; `Likelihoods` there are those of these
        texts.  A model that cannot tell raises `DataError`.
        """
        from fairl_bench.science.continued_tokens import Continuation
        from fairl_bench.science.text_likelihoods import text_likelihoods

        drawn = continuations.drawn or DrawnTokens.unknown(len(continuations))
        rows = zip(continuations.prompt, continuations.text, drawn.ended.tolist(), strict=True)
        read = text_likelihoods(
            site.upstream["lm"],
            [Continuation(*row, drawn.of(i), drawn.vocabulary[i]) for i, row in enumerate(rows)],
            temperature=continuations.temperature,
            batch=continuations.batch,
            dtype=continuations.dtype,
            scratch=site.scratch,
            moved=_told,
        )
        return Likelihoods(*read)


def _completed(done: int, total: int) -> None:
    report(done, total, f"{done} of {total} completions")


def _told(done: int, total: int) -> None:
    report(done, total, f"{done} of {total} texts")


class Ask(Settings):
    """A request for completions of a language model: a stage of its own, wherever `Component.upstream` names one."""

    lm: LM
    prompts: Prompts
    n: int = Field(ge=1, description="completions; where there are fewer prompts, several of each")
    each: int = Field(1, ge=1, description="completions of a prompt")
    sampling: Sampling = Sampling()
    voice: str = Field("", description="names the random numbers: two of one voice draw the same ones")
    occasion: str = Field("", description="names the draw of the prompts: two of one occasion are asked the same")
    shards: int = Field(1, ge=1, le=4096, description="stages that draw them side by side")

    def look(self) -> Sequence[str]:
        """`LM.fits` for the first prompts of the first replicate.  Raises `DataError`."""
        if type(self.lm).fits is LM.fits:
            return ()
        purpose = f"prompts/{self.occasion}" if self.occasion else "prompts"
        prompts = self.prompts.texts(min(-(-self.n // self.each), LOOKED), stream(purpose, 0))
        return self.lm.fits(prompts, self.sampling.max_new_tokens)


class AskLikelihoods(Settings):
    """A request for the likelihoods of texts by one language model, in the `upstream` of a method or an evaluator.

    A method is given those of its pairs and of every text that it scores, or of its pairs alone where it has
    `reads_upstream` False; an evaluator those of the data that it needs.  They are stages of their own, one for each
    data set, and equal requests are one.
    """

    lm: LM
    prompts: Literal["given", "withheld"] = Field("given", description="whether a text goes on from its prompt")
    tokens: Literal["drawn", "text"] = Field(
        "drawn", description="text: every text is read as the tokens of its characters, whatever it was drawn as"
    )
    temperature: float = Field(1.0, gt=0, description="divides the logits")
    batch: int = Field(64, ge=1, description="texts in a forward pass; another number moves the last bits")
    dtype: NumberFormat = Field("float32", description=NUMBERS)
    shards: int = Field(1, ge=1, le=4096, description="stages that work side by side")
    values: bool = Field(False, description="whether the values of the states are read, which no server tells")

    def continuations(self, examples: Examples) -> Continuations:
        """The texts of examples, as they are asked for."""
        settings = self.plain()
        return Continuations.of(examples, **{name: settings[name] for name in ("prompts", "tokens", *_OF_A_PASS)})


_OF_A_PASS: Final = ("temperature", "batch", "dtype")


class AskDraws(Settings):
    """A request for completions of the prompts of the texts whose likelihoods are asked for: `LM.likelihoods_from`.

    Each different prompt is completed ``each`` times.  A completion depends on the prompt, its draw and the replicate,
    not on the other texts.  The answer is `Completions`.
    """

    lm: LM
    prompts: Literal["given", "withheld"] = Field("given", description="withheld: the empty prompt alone")
    each: int = Field(ge=1, description="completions of each prompt")
    sampling: Sampling = Sampling()
    voice: str = Field("", description="names the random numbers: two of one voice draw the same ones")
    shards: int = Field(1, ge=1, le=4096, description="stages that draw them side by side")


class Candidates(Settings):
    """A request for several completions in the place of each, for a model that chooses: `LM.completes_from`.

    Those in the place of draw ``d`` of a prompt are its draws from ``d * times`` on.
    """

    of: Ask | AskDraws
    times: int = Field(ge=1)
