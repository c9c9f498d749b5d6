"""The base of all aligners that draw completions and reward them: fields, training record, test for collapse."""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fairl_bench.builtin.shared.alignment_probe import AlignmentProbe
from fairl_bench.builtin.shared.held_out import HeldOut, changed
from fairl_bench.builtin.shared.judged_completions import Judged, Rewarding, gold_of
from fairl_bench.builtin.shared.training_environment import DEVICE, Device, check_device, quiet, seeded
from fairl_bench.errors import DataError, SuiteError
from fairl_bench.kinds.aligner import Aligner
from fairl_bench.kinds.lm import LM, LOOKED, TOKENS_OF_A_PROMPT
from fairl_bench.kinds.upstream import within
from fairl_bench.science.diversity import distinct
from fairl_bench.science.streams import stream
from fairl_bench.values.data import Floats
from fairl_bench.values.language_models import Model, Sampling, Site


class Step(NamedTuple):
    """A training step: its numbers, as `OnPolicy` keeps them, and its completions."""

    numbers: Mapping[str, float]
    completions: Sequence[str]


_MORE, _FEWEST = 4, 8  # prompts that are drawn for one held-out prompt; held-out prompts that tell something
LEAST_DISTINCT, LEAST_ENTROPY, LENGTHS = 0.6, 0.5, (0.5, 2.0)
"""An aligned model has collapsed where it keeps less than these shares of the base's, or its lengths leave this."""


_SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")


class AlignmentTask(NamedTuple):
    """What an aligner starts from: the loaded base, a prompt for every group of completions, the reward, a seed."""

    base: Path
    model: Any
    tokenizer: Any
    prompts: tuple[str, ...]
    reward: Rewarding
    seed: int
    scratch: Path
    probe: AlignmentProbe | None = None
    ends: tuple[int, ...] = ()  # the tokens that end a completion
    held_out: HeldOut | None = None


class OnPolicy(Aligner):
    """An aligner that completes prompts, rewards the completions and learns from them, step by step.

    ``alignment.json`` beside the weights keeps of each step: ``reward`` of the judge, mean; ``kl`` to the base, nats a
    completion; ``entropy``, nats a token; ``length``, tokens a completion; ``distinct_2`` of the step's completions.
    The facts tell what has changed from the base to the aligned model on held-out prompts, with intervals (`changed`),
    compare the last tenth of the steps with the first one, where the model is still near its base, and say
    ``collapsed`` where distinct-2 falls below 0.6 of what it was, entropy below 0.5, length leaves 0.5 to 2 times, or
    the model has strayed on held-out prompts.
    """

    drawn: ClassVar[bool] = True

    steps: int = Field(40, ge=1, description="updates of the weights, each from new completions")
    batch: int = Field(64, ge=2, description="completions in a step")
    parts: int = Field(1, ge=1, description="number of parts that a batch is cut into, to fit into memory")
    lr: float = Field(5e-4, gt=0, description="learning rate of the first step; it falls linearly to 0")
    sampling: Sampling = Sampling()
    held_out: int = Field(
        128, ge=0, description="prompts that are completed before and after it and not trained on; 0: none"
    )
    threads: int = Field(
        1, ge=1, le=256, description="cores that it uses, so many of --jobs; another number moves the last bits"
    )
    device: Device = Field("cpu", description=DEVICE)

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.batch % (self.group() * self.parts):
            raise ValueError(
                f"batch {self.batch} is no multiple of per_prompt {self.group()} times parts {self.parts}"
                if self.group() > 1
                else f"batch {self.batch} is no multiple of parts {self.parts}"
            )
        return self

    def group(self) -> int:
        """Return the number of completions of a prompt in a step."""
        return 1

    def completes(self) -> Sampling:
        """Return its ``sampling``."""
        return self.sampling

    @abstractmethod
    def align(self, task: AlignmentTask) -> list[Step]:
        """Train ``task.model`` in place and return a record of each step."""

    def reads(self) -> dict[str, str]:
        """Return the version of TRL, which has the algorithm."""
        return {"trl": version("trl")}

    def check(self) -> None:
        """Check the base, the prompts, the reward and the device."""
        for part in (self.base, self.prompts, self.reward):
            if part is not None:
                part.check()
        check_device(self.device, f"aligner {self.use!r}")
        self.look()

    def look(self) -> Sequence[str]:
        """Return what the base remarks on the prompts of the training and of the probe, where both are known."""
        if self.base is None or type(self.base).fits is LM.fits:
            return ()
        remarks = list[str]()
        if self.prompts is not None:
            n = min(self.steps * self.batch // self.group(), LOOKED)
            remarks += self.base.fits(self.prompts.texts(n, stream("prompts/align", 0)), self.sampling.max_new_tokens)
        if self.probe is not None:
            n = min(self.probe.n, LOOKED)
            prompts = self.probe.prompts.texts(n, stream("prompts/probe", 0))
            remarks += self.base.fits(prompts, self.probe.max_new_tokens)
        return remarks

    def weights(self) -> int | None:
        """Return how many its base has."""
        return self.base.weights() if self.base else None

    def readings(self) -> int:
        """Return how often a token of a step is read: drawn, by the reference, by the model, and learnt from, twice."""
        return 5

    def operations(self) -> float | None:
        """Return those of its steps and of its looks at held-out prompts."""
        if (weights := self.weights()) is None:
            return None
        looks = 3 * self.held_out + (self.probe.n * 2 * self.probe.times if self.probe else 0)
        tokens = (self.readings() * self.steps * self.batch + looks) * (
            self.sampling.max_new_tokens + TOKENS_OF_A_PROMPT
        )
        return 2.0 * weights * tokens

    def cores(self) -> int:
        """Return ``threads``."""
        return self.threads

    def make(self, site: Site) -> Model:
        """Align the base.  Raises `NotFinite` for a reward that is no number, naming the completion."""
        from fairl_bench.science.endings import endings
        from fairl_bench.science.language_model import read
        from fairl_bench.science.threads import threads

        numbers = (site.replicate, self.draw) if self.draw else (site.replicate,)
        base, prompts = self._base(site), self._prompts(numbers)
        judged = self._judged(site)

        def reward(prompts: Sequence[str], completions: Sequence[str]) -> Floats:
            return judged(prompts, completions).value

        with threads(self.threads), quiet(), seeded("align", *numbers) as seed:
            model, tokenizer = read(base)
            ends = endings(model, tokenizer)
            self._check_prompts(model, tokenizer, prompts, ends)
            unseen = self._unseen(numbers, prompts)
            held_out = HeldOut(*unseen, base, model, tokenizer, judged) if unseen else None
            before = held_out and held_out.before()
            probe = (
                AlignmentProbe(self.probe, self.steps, base, model, tokenizer, reward, site.scratch, site.replicate)
                if self.probe
                else None
            )
            with _settings_put_back(model):
                history = self.align(
                    AlignmentTask(base, model, tokenizer, prompts, reward, seed, site.scratch, probe, ends, held_out)
                )
            told = changed(before, held_out.last or held_out.look()) if held_out and before else {}
            model.save_pretrained(site.folder)
            tokenizer.save_pretrained(site.folder)
            if probe:
                probe.keep(site.folder)
        rows = [{**step.numbers, **_variety(step.completions)} for step in history]
        (site.folder / "alignment.json").write_text(json.dumps({"steps": rows}, indent=1))
        counts = {"steps": len(history), "completions": len(history) * self.batch}
        facts = training_facts(history)
        collapsed = bool(facts["collapsed"]) or bool(told.pop("strayed", False))
        return Model(site.folder, {**counts, **facts, **told, "collapsed": collapsed})

    def _unseen(
        self, numbers: tuple[int, ...], trained: Sequence[str]
    ) -> tuple[tuple[str, ...], NDArray[np.float64]] | None:
        """Return prompts that are not trained on, and the random numbers of their completions ``[n, tokens]``.

        None where there are too few, or none are wanted.
        """
        if self.prompts is None or not self.held_out:
            return None
        known = set(trained)
        texts = self.prompts.texts(_MORE * self.held_out, stream("prompts/held-out", *numbers))
        new = [text for text in dict.fromkeys(texts) if text.strip() and text not in known][: self.held_out]
        if len(new) < _FEWEST:
            return None
        draws = [stream("held-out", *numbers, i).random(self.sampling.max_new_tokens) for i in range(len(new))]
        return tuple(new), np.stack(draws)

    def _check_prompts(self, model: Any, tokenizer: Any, prompts: Sequence[str], ends: Sequence[int]) -> None:
        """Raise `DataError` where the model cannot continue a prompt: a trainer would stop, or cut the prompt."""
        from fairl_bench.science.language_model import positions, prompt_tokens, vocabulary

        empty = [i for i, ids in enumerate(tokenizer(list(prompts), verbose=False)["input_ids"]) if not ids]
        if empty:
            raise DataError(f"aligner {self.use!r} needs prompts of at least one token, got {prompts[empty[0]]!r}")
        prompt_tokens(
            tokenizer,
            prompts,
            ends=ends,
            vocabulary=vocabulary(model),
            longest=positions(model.config),
            new=self.sampling.max_new_tokens,
            what=f"the base of aligner {self.use!r}",
        )

    def _base(self, site: Site) -> Path:
        if "base" not in site.upstream:
            raise SuiteError(
                f"aligner {self.use!r} has nothing to align: name its 'base', or make it a source's 'expert'"
            )
        return Path(site.upstream["base"])

    def _judged(self, site: Site) -> Judged:
        judging, use = self.reward_on_base().ready(within("reward", site.upstream)), self.reward.use
        return lambda prompts, completions: gold_of(judging, use, prompts, completions)

    def _prompts(self, numbers: tuple[int, ...]) -> tuple[str, ...]:
        """Return a prompt for each group of every step; where there are too few they come again, shuffled."""
        if self.prompts is None:
            raise SuiteError(
                f"aligner {self.use!r} has nothing to complete: name its 'prompts', or make it a source's 'expert'"
            )
        needed = self.steps * self.batch // self.group()
        texts = self.prompts.texts(needed, stream("prompts/align", *numbers))
        empty = [text for text in texts if not text.strip()]
        if empty or not texts:
            raise DataError(
                f"aligner {self.use!r} needs prompts that hold text, got {len(texts) - len(empty)} with and"
                f" {len(empty)} without any"
            )
        rng, order = stream("prompts/again", *numbers), list(range(len(texts)))
        while len(order) < needed:
            order += rng.permutation(len(texts)).tolist()
        return tuple(texts[i] for i in order[:needed])


def training_facts(history: Sequence[Step]) -> dict[str, float | bool]:
    """Return the numbers of the last tenth of the steps, their share of the first tenth's, and ``collapsed``.

    A number that the first tenth does not define (texts of one word have no distinct-2) is left out and does not count
    as collapse; a number that only the last tenth does not define counts as 0.
    """
    tenth = max(1, len(history) // 10)
    first, last = _pooled(history[:tenth]), _pooled(history[-tenth:])
    kept = {name: last.get(name, 0.0) / first[name] for name in ("entropy", "distinct_2", "length") if first.get(name)}
    collapsed = (
        kept.get("distinct_2", 1.0) < LEAST_DISTINCT
        or kept.get("entropy", 1.0) < LEAST_ENTROPY
        or not LENGTHS[0] <= kept.get("length", 1.0) <= LENGTHS[1]
    )
    shares = {f"{name}_kept": share for name, share in kept.items()}
    return {"reward_first": first["reward"], **last, **shares, "collapsed": collapsed}


def _pooled(steps: Sequence[Step]) -> dict[str, float]:
    """Return the means of some steps, and the distinct-2 of all their completions together."""
    names = {name: None for step in steps for name in step.numbers if name != "step"}
    means = {name: float(np.mean([s.numbers[name] for s in steps if name in s.numbers])) for name in names}
    return means | _variety([text for step in steps for text in step.completions])


def _variety(completions: Sequence[str]) -> dict[str, float]:
    share = distinct(completions)
    return {} if np.isnan(share) else {"distinct_2": share}


@contextmanager
def _settings_put_back(model: Any) -> Iterator[None]:
    """Put back what a trainer changes in a model's settings for itself: special tokens, ``use_cache``."""
    config, settings = model.config.get_text_config(), model.generation_config
    names = [name for name in (*_SPECIAL, "use_cache") if hasattr(config, name)]
    before = {name: copy.copy(getattr(config, name)) for name in names}
    own = copy.deepcopy(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)
        model.generation_config = own
