"""The kinds of part, one verb each.  A plugin subclasses one of these and registers the class under a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self, TypeVar

import numpy as np
from pydantic import Field

from fairl_bench.component import Component, RunTime, Settings
from fairl_bench.errors import DataError
from fairl_bench.executor import Executor
from fairl_bench.guards.truncation import Tokens
from fairl_bench.metrics import Metric
from fairl_bench.progress import report
from fairl_bench.science.streams import stream
from fairl_bench.values.data import GOLD, PREFERRED, Examples, Floats, Pairs, Scored, Truth, Vectors
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import Asked, DrawnTexts, Model, Sampling, Site
from fairl_bench.values.likelihoods import Continuations, Likelihoods
from fairl_bench.values.number_format import NUMBERS, NumberFormat
from fairl_bench.values.records import Evidence, Measure
from fairl_bench.values.resources import Resources
from fairl_bench.values.training import Head, Inputs, Reward, Task
from fairl_bench.values.truths import Objective
from fairl_bench.views import Panel, ReportFigure, ReportTable

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.science.failures import Signal


Judging = Callable[[Examples], Mapping[str, Truth]]

Needs = Annotated[
    Resources | None,
    RunTime,
    Field(description="what its stages ask of a machine, and where they are ended; in no key"),
]
"""The field ``resources`` of a kind whose work is a stage of its own."""


class Judge(Component, ABC):
    """The ground truth of a text: a classifier, a known rule, human labels."""

    kind = "judge"
    concept: ClassVar[str] = ""
    """What it measures, in a few words, for one that says how much of something a text has; empty for others.

    Such a judge is a concept: its truth is a number alone, higher for more, and has no label
    (docs/reference/concepts.md).
    """
    reads_prompts: ClassVar[bool] = False
    """True where what it says of a text depends on the text's prompt."""

    @abstractmethod
    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """The truth ``gold`` of every example, and ``subtype:NAME`` where the judge knows subtypes.

        A judge that has `objectives` gives ``gold:NAME`` for each of them too.
        """

    def objectives(self) -> Mapping[str, Objective]:
        """The objectives that ``gold`` is a blend of, by name; empty where it is no blend."""
        return {}

    def on_base(self, base: BaseTexts) -> Self:
        """The judge for the texts of one base, with what it takes from there; by default the same for all.

        It is called for a judge within another by `judges_on_base`.
        """
        return self

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """The judge as a function, given the answers of what its `upstream` asks for; by default nothing is."""
        return self.judge

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """The tokens that it would read of texts, for an estimate before a run; None where that is slow to know."""
        return None

    def badness(self, value: Floats) -> Floats:
        """The certainty in [0, 1] that a text of this ``gold`` value is bad (toxic); by default a value is log-odds."""
        return np.exp(-np.logaddexp(0.0, value))


class Origin(NamedTuple):
    """The language models that pairs come from, and what they completed."""

    base: LM
    expert: LM
    prompts: Prompts


class Source(Component, ABC):
    """A source of preference pairs."""

    kind = "source"
    at_hand: ClassVar[bool] = False
    """True where its pairs can be had at once, as from a file: then `check` shows the sizes of their split."""

    gold: Judge | None = Field(None, description="judges every completion; none: the truth 'gold' is not known")
    embed: Literal["completion", "prompt+completion"] = Field("completion", description="what an encoder reads")
    identical: Literal["refuse", "drop"] = Field("refuse", description="pairs whose two texts are equal")
    empty: Literal["refuse", "drop"] = Field("refuse", description="pairs with a text of nothing but space")
    flip: float = Field(0.0, ge=0, le=1, description="share of the pairs whose preference is turned around, as noise")
    resources: Needs = None

    def size(self) -> int | None:
        """The number of pairs, if it is known before they are made."""
        return None

    def peek(self, n: int) -> Pairs | None:
        """The first ``n`` pairs or fewer, for an estimate before a run; None where they are not at hand."""
        return None

    def models_for(self, part: Component) -> Origin:
        """The language models that its pairs come from, for a part that needs them.  Raises `DataError` without any."""
        origin = self.origin()
        if origin is None:
            raise DataError(
                f"{part.kind} {part.use!r} needs the language models that the pairs come from, and source {self.use!r} "
                f"knows none; name them in the {part.kind}, or leave it out"
            )
        return origin

    def starts(self) -> Mapping[str, Settings]:
        """What it starts from, and below ``gold`` what its judge does."""
        judge = self.judge() if isinstance(self.gold, Judge) else None
        return {**self.upstream(), **({} if judge is None else nested("gold", judge))}

    def judge(self) -> Judge | None:
        """The judge of any text that its truth ``gold`` comes from; None where the truth is data, or not known."""
        return judges_on_base(self.gold, self.base_texts()) if isinstance(self.gold, Judge) else None

    def base_texts(self) -> BaseTexts:
        """What its base writes: completions of its base model, or its own pairs, in which the rejected texts are that.

        Judges that need a scale take it from there (`Judge.on_base`).
        """
        origin = self.origin()
        if origin is None:
            return self.model_copy(update={"gold": None, "flip": 0.0})
        return base_request(origin.base, origin.prompts, Sampling())

    def objectives(self) -> Mapping[str, Objective]:
        """The objectives that its truth ``gold`` is a blend of, by name; empty where it is no blend."""
        return self.gold.objectives() if isinstance(self.gold, Judge) else {}

    def unbounded(self) -> str:
        """Why no log-ratio bounds how many of its pairs a reward can rank; empty where that of its two models does.

        It does where each pair is one draw of each model's whole distribution, and nothing chose between pairs
        (docs/explanation/log-ratio.md).
        """
        return "its pairs are not known to be draws of two language models"

    def judged(self) -> bool:
        """True where the truth ``gold`` of its pairs is known."""
        return self.gold is not None

    def labelled(self) -> bool:
        """True where that truth has labels, and not numbers alone."""
        return self.judged() and not (self.gold is not None and self.gold.concept)

    def origin(self) -> Origin | None:
        """The language models that its pairs come from; None where it does not know any."""
        return None

    @abstractmethod
    def pairs(self, rng: np.random.Generator) -> Pairs:
        """The pairs.  ``rng`` is the replicate's own; a source that draws nothing ignores it.

        What `upstream` asks for comes as keyword arguments, by role: `Completions` of an `Ask`, `Examples` of a source.
        """


class TestSet(Component, ABC):
    """Texts with a known truth to evaluate on."""

    kind = "testset"
    __test__ = False  # not a test class, whatever its name says to pytest

    resources: Needs = None

    def size(self) -> int | None:
        """The number of texts, if it is known before they are made."""
        return None

    def peek(self, n: int) -> Examples | None:
        """The first ``n`` texts or fewer, for an estimate before a run; None where they are not at hand."""
        return None

    def judged(self) -> bool:
        """True where the truth ``gold`` of its texts is known."""
        return True

    def labelled(self) -> bool:
        """True where that truth has labels, and not numbers alone."""
        return self.judged()

    def objectives(self) -> Mapping[str, Objective]:
        """The objectives that its truth ``gold`` is a blend of, by name; empty where it is no blend."""
        return {}

    @abstractmethod
    def examples(self, rng: np.random.Generator) -> Examples:
        """The examples with their truths.

        What `upstream` asks for comes as keyword arguments, by role: `Completions` of an `Ask`.  A judge in it is asked
        through `Judge.ready`, with what `within` finds for it there.
        """


class Prompts(Component, ABC):
    """Texts for a language model to go on from."""

    kind = "prompts"

    @abstractmethod
    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """``n`` prompts, or all there are if these are fewer."""


TOKENS_OF_A_PROMPT: Final = 8
"""Where the time of a run is estimated: those of a sentence, of which a model needs no logits, count half."""


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


class Probe(Settings):
    """Held-out prompts that an aligner completes along the way, drawn from the whole distribution at temperature 1."""

    prompts: Prompts
    n: int = Field(256, ge=1, description="completions each time")
    times: int = Field(4, ge=1, description="evenly over the steps, beside the one before the first step")
    max_new_tokens: int = Field(20, ge=1, description="tokens of a completion, at most")


class Aligner(LM, ABC):
    """RLHF: a language model made out of another by a reward."""

    base: LM | None = Field(None, description="what is aligned; none: the base of the source that names it")
    prompts: Prompts | None = Field(None, description="what is completed meanwhile; none: the source's prompts")
    reward: Judge = Field(description="its truth 'gold' is the reward of a completion")
    draw: int = Field(0, ge=0, description="another number draws other prompts and completions")
    probe: Probe | None = Field(None, description="looks at the model along the way; none: only at the training")

    def of(self, base: Ask) -> Self:
        """The aligner with the source's base and prompts, where it names none itself.

        A reward that needs a scale takes it from the texts that the truth of the source's pairs is scaled on.
        """
        lacks: dict[str, Component] = {"base": self.base or base.lm, "prompts": self.prompts or base.prompts}
        if self.base is None:
            lacks["reward"] = judges_on_base(self.reward, base)
        return self.model_copy(update=lacks)

    def upstream(self) -> Mapping[str, Settings]:
        """The ``base``, and what the ``reward`` starts from."""
        base = {} if self.base is None else {"base": self.base}
        return {**base, **nested("reward", self.reward_on_base())}

    def completes(self) -> Sampling:
        """How it samples the completions that it rewards; by default from the whole distribution."""
        return Sampling()

    def reward_on_base(self) -> Judge:
        """The ``reward`` with what it takes from the base, where the base and the prompts are known."""
        if self.base is None or self.prompts is None:
            return self.reward
        return judges_on_base(self.reward, base_request(self.base, self.prompts, self.completes()))

    def fits(self, prompts: Sequence[str], new: int) -> Sequence[str]:
        """As for its base: an aligned model has the same tokens and positions."""
        return () if self.base is None else self.base.fits(prompts, new)

    def tokens_of(self) -> LM:
        """Its base, or what that has its tokens from."""
        return self if self.base is None else self.base.tokens_of()

    def vocabulary(self) -> str:
        """As of its base: an aligned model has the same tokens."""
        return "" if self.base is None else self.base.vocabulary()

    def look(self) -> Sequence[str]:
        """`fits` for the prompts that it completes during the alignment, where it knows them and its base."""
        return ()


LOOKED: Final = 1000
"""The most prompts that are checked before any work is done."""


def nested(role: str, part: Component) -> dict[str, Settings]:
    """The upstream of a nested part, each role below the role of the part; `within` finds the answers again."""
    return {f"{role}/{inner}": start for inner, start in part.upstream().items()}


def within(role: str, upstream: Mapping[str, Any]) -> dict[str, Any]:
    """The answers that the part in this role asked for.

    >>> within("reward", {"base": 1, "reward/on": 2})
    {'on': 2}
    """
    return {name.removeprefix(f"{role}/"): answer for name, answer in upstream.items() if name.startswith(f"{role}/")}


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


BaseTexts = Ask | Source
"""What a base writes: its completions, or pairs whose rejected texts stand for them."""

BASE_TEXTS: Final = 1000
"""The completions of a base that a scale is taken from."""


def base_request(base: LM, prompts: Prompts, sampling: Sampling) -> Ask:
    """The request for the completions of a base that judges take their scale from.

    It has a size of its own, so that an alignment does not depend on how many pairs are made with it.
    """
    name = "base-texts"
    return Ask(lm=base, prompts=prompts, n=BASE_TEXTS, sampling=sampling, voice=name, occasion=name)


S = TypeVar("S")


def judges_on_base(value: S, base: BaseTexts) -> S:
    """The part, or any value of a field, with each judge in it told the base; the same object where nothing changes.

    The reward of an aligner within it is left out: that is told the base of its aligner.
    """
    changed: Any = value
    if value is None or isinstance(value, str | int | float | LM):
        return value
    if isinstance(value, Settings):
        before = {name: getattr(value, name) for name in type(value).model_fields}
        after = {name: judges_on_base(entry, base) for name, entry in before.items()}
        update = {name: entry for name, entry in after.items() if entry is not before[name]}
        changed = value.model_copy(update=update) if update else value
        return changed.on_base(base) if isinstance(changed, Judge) else changed  # type: ignore[return-value]
    if isinstance(value, Mapping):
        changed = {name: judges_on_base(entry, base) for name, entry in value.items()}
        return changed if any(changed[name] is not entry for name, entry in value.items()) else value
    if isinstance(value, tuple):
        changed = tuple(judges_on_base(entry, base) for entry in value)
        return changed if any(new is not old for new, old in zip(changed, value, strict=True)) else value
    return value


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


class Refits(Settings):
    """A request of an evaluator for its reward, learnt ``n`` times more, each time from resampled training pairs.

    Pairs that stay together in a split are resampled together, and the seed is that of the reward.  The answer holds
    the rewards of the texts ``[n, texts]`` by the name of each of the data that the evaluator `needs`; no row where the
    method does not learn.
    """

    n: int = Field(ge=1, description="number of trainings")


class Artefact(Settings):
    """The answer of another stage of the plan, by its key: the reward of a cell, its pairs, their split."""

    key: str


class Encoder(Component, ABC):
    """Texts to frozen embeddings."""

    kind = "encoder"
    fitted: ClassVar[bool] = False
    """True where it learns from the training texts first; if not, ``corpus`` is empty."""

    shards: int = Field(
        1, ge=1, le=4096, description="stages that embed side by side; another number moves the last bits"
    )
    resources: Needs = None

    @abstractmethod
    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        """One row a text ``[n, d]`` float32.  ``corpus`` holds the training texts of a `fitted` encoder.

        What `upstream` asks for comes as keyword arguments, by role: the folder of a language model.
        """

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """The tokens that it would read of texts, for an estimate before a run; None where that is slow to know."""
        return None


Given = Literal["texts", "both models", "one model", "truth", "scored elsewhere"]
"""What a method is given: pairs of texts alone, the language models that wrote them, or the true reward.

What stands behind scores from elsewhere is not known.
"""


class Method(Component, ABC):
    """Pairs to reward: an IRL algorithm.  For one that is a loss on margins, subclass `PairwiseMethod`."""

    kind = "method"
    seeded: ClassVar[bool] = True
    """True where another seed gives another reward; if not, one run stands for all seeds."""
    reads_vectors: ClassVar[bool] = True
    """True where a score needs the texts' vectors; if not, `score` may get vectors of no dimension."""
    reads_prompts: ClassVar[bool] = False
    """True where a score depends on the text's prompt; if not, `Inputs.prompt` is empty."""
    reads_validation: ClassVar[bool] = False
    """True where the validation pairs choose its epoch, as ``training.stop`` says; then there must be some."""
    reads_upstream: ClassVar[bool] = True
    """True where a score needs what `upstream` asks for; if not, `fit` alone is given it."""
    given: ClassVar[Given] = "texts"
    """What it knows of the models beside their pairs, for the tables."""
    reference: ClassVar[bool] = False
    """True for a reference row: it stands above the methods, and is neither ranked nor compared."""
    learns: ClassVar[bool] = True
    """False where its reward does not depend on the training pairs."""
    per_prompt: ClassVar[bool] = False
    """True for a reward that is known up to a number for each prompt, so that it says nothing between prompts."""

    resources: Needs = None

    @abstractmethod
    def fit(self, task: Task) -> Reward:
        """The reward learnt from ``task.train``; randomness from `fairl_bench.stream` with the task's two numbers."""

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """The reward of each text ``[n]``.  By default the arrays are a head on the vectors."""
        from fairl_bench.science.heads import score

        return score(reward.arrays, inputs.vectors)

    def of(self, source: Source) -> Self:
        """The method for the pairs of one source, with what it takes from there, such as its language models.

        By default it is the same for all.  Raises `DataError` where the source does not know what it needs.
        """
        return self

    def bounds(self, source: Source) -> bool:
        """True where no reward of prompt and text tells two draws apart more often in expectation, one of each model.

        That is true of the log-ratio of the source's own two models alone.  Whether the source's pairs are such draws,
        `Source.unbounded` says.
        """
        return False

    def head(self, suite_head: Head) -> str:
        """The shape of what is fitted, for the records: the suite's head unless the method has its own."""
        return suite_head.use

    def truths(self) -> frozenset[str]:
        """The truths that it must know of the training pairs; a method that learns from preferences needs none."""
        return frozenset()

    def stack(self) -> Hashable:
        """A value that is equal for runs that one `fit_many` fits, given equal data and settings; None: alone."""
        return None

    @classmethod
    def fit_many(cls, runs: Sequence[tuple[Self, Task]]) -> list[Reward]:
        """The reward of each run; override to share work between them."""
        return [method.fit(task) for method, task in runs]


class Schedule(Component, ABC):
    """A number that changes with the rounds of a training."""

    kind = "schedule"

    @abstractmethod
    def at(self, turn: int, rounds: int) -> float:
        """The value in round ``turn`` (from 0) of ``rounds``."""


class Detector(Component, ABC):
    """A rule that decides which pairs are failures now."""

    kind = "detector"
    by_step: ClassVar[bool] = True
    """True where a batch is enough for it; if not, failures are mined by round, from all pairs."""

    @abstractmethod
    def failures(self, signal: Signal) -> Tensor:
        """A mask ``[..., n]`` of the pairs that are failures, from what the reward says of them now."""

    def score(self, signal: Signal) -> Tensor:
        """The certainty that each pair is a failure ``[..., n]``, higher is surer; by default the negative margin."""
        return -signal.margin

    def truths(self) -> frozenset[str]:
        """The truths that it must know of the training pairs."""
        return frozenset()


def truth_of_labels(part: Method | Detector) -> str:
    """The truth whose labels a part is given: the one that it asks for, and ``gold`` where it asks for none.

    A suite in which a part asks for several is refused (`fairl_bench.suite.references`).
    """
    return min(part.truths() - {PREFERRED}, default=GOLD)


RECOVERED_REWARD: Final = "recovered reward"
"""The role of the judge that stands for the reward of a cell; its fields are those that a plan knows of a reward."""


class Recovered(NamedTuple):
    """A reward that a suite recovers, for an evaluator that asks more of it than scores."""

    source: Source
    reward: Judge  # of any text: its truth ``gold`` is the reward
    seed: int | None
    name: str


class Evaluator(Component, ABC):
    """Scores and truth to numbers."""

    kind = "evaluator"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    """The declaration of each number that it gives; a property where names depend on its fields."""
    reads_reward: ClassVar[bool] = True
    """False where its numbers are about texts alone: measured once a world, on record with the world's first run."""

    sliced: ClassVar[bool] = True
    """False where its numbers mean nothing on pairs that are chosen by how a baseline ranks them."""

    data: tuple[str, ...] = Field(min_length=1, description="pairs/train, pairs/validation, pairs/test or a test set")
    models: Annotated[tuple[str, ...], RunTime] = Field((), description="the models that it evaluates; none: all")
    resources: Needs = None

    @abstractmethod
    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure | Evidence]:
        """The numbers, and tables of the rows they rest on.  ``scored`` holds each of `needs` by name.

        What `upstream` asks for comes as keyword arguments, by role; of likelihoods a mapping from each of `needs` to
        its `Likelihoods`.
        """

    def of(self, cell: Recovered) -> Self:
        """The evaluator for one recovered reward, with what it takes from there; by default the same for all."""
        return self

    def evaluates(self, model: str) -> bool:
        """True where it evaluates this model."""
        return not self.models or model in self.models

    @classmethod
    def takes(cls) -> bool:
        """True where `of` takes anything."""
        return cls.of is not Evaluator.of

    def judges(self) -> Mapping[str, Judge]:
        """The judges that it asks about each text of its data, by the name of the truth that it then finds there.

        What a judge says of a data set, its truth ``gold``, is a stage of its own: the same for every reward.
        """
        return {}

    def needs(self) -> frozenset[str]:
        """The names of the data it reads: those it evaluates and, say, the one that sets its threshold."""
        return frozenset(self.data)

    def truths(self) -> frozenset[str]:
        """The truths it reads, so that a suite is checked before anything runs."""
        return frozenset()

    def measured(self) -> frozenset[str]:
        """The truths that its numbers are measured against; by default all of `truths`."""
        return self.truths()

    def truths_of(self, data: str) -> frozenset[str]:
        """The truths it reads of one of the data that it `needs`; by default all of `truths`."""
        return self.truths()

    def not_measured(self) -> Mapping[str, str]:
        """Why its fields leave some of its `metrics` undefined, by the metric's name; by default none is."""
        return {}


KINDS: dict[str, type[Component]] = {
    kind.kind: kind
    for kind in (
        *(Source, TestSet, Prompts, LM, Judge, Encoder, Method, Detector, Schedule, Evaluator),
        *(ReportTable, ReportFigure, Panel, Executor),
    )
}
