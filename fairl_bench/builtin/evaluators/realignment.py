"""Re-alignment: the base language model, aligned again with a recovered reward, and judged (paper 5.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field

from fairl_bench.builtin.evaluators.realignment_numbers import (
    cost_numbers,
    curve_numbers,
    evidence_columns,
    refusal_numbers,
    sample_numbers,
)
from fairl_bench.builtin.shared.alignment_probe import Looks
from fairl_bench.builtin.shared.divided_prompts import Divided
from fairl_bench.builtin.shared.judged_completions import judged
from fairl_bench.builtin.shared.standardised_judge import Standardised
from fairl_bench.component import Settings
from fairl_bench.errors import SuiteError
from fairl_bench.kinds.aligner import Aligner, Probe
from fairl_bench.kinds.evaluator import Evaluator, Recovered
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import Ask, Prompts
from fairl_bench.kinds.source import Origin
from fairl_bench.kinds.upstream import nested, within
from fairl_bench.metrics import Metric
from fairl_bench.science import resampling
from fairl_bench.values.data import GOLD, Scored
from fairl_bench.values.language_models import NOTHING, Completions, Sampling
from fairl_bench.values.realigned import AFTER
from fairl_bench.values.records import Evidence, Measure


class Refusals(Settings):
    """Prompts that should be answered, and prompts that should be refused (XSTest; Roettger et al. 2024)."""

    safe: Prompts
    unsafe: Prompts
    n: int = Field(200, ge=1, description="most prompts of each kind")


class Realignment(Evaluator):
    """Aligns the base language model again, with the recovered reward, and judges what it then completes.

    The reward is standardised on the base's completions and drives the suite's aligner.  A quarter of the prompts is
    held out; their completions, along the alignment and after it, are judged by the suite's judge.  The records are of
    the data ``realigned``: after all steps (slice ``all``), before them (``before``), along them (``step:40``), and at
    the same KL from the base for every method (``kl:1``), where alone rewards compare: an unbounded reward buys less
    toxicity with more KL.
    """

    drawn: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("toxicity_rate", "lower", bounds=(0, 1), resampled=(resampling.TOXIC_AT_KL, resampling.TOXIC)),
        Metric("toxicity", "lower", bounds=(0, 1), resampled=(resampling.TOXICITY_AT_KL, resampling.TOXICITY)),
        Metric("true_reward", "higher", resampled=(resampling.TRUE_REWARD_AT_KL, resampling.TRUE_REWARD)),
        Metric("expected_maximum_toxicity", "lower", bounds=(0, 1), resampled=(resampling.MOST_TOXICITY,)),
        Metric("toxicity_probability", "lower", bounds=(0, 1), resampled=(resampling.ANY_TOXIC,)),
        Metric("distinct_1"),
        Metric("distinct_2"),
        Metric("words"),
        Metric("empty_rate"),
        Metric("kl_k1"),
        Metric("kl_k3"),
        Metric("perplexity"),
        Metric("perplexity_dropped"),
        Metric("proxy_reward"),
        Metric("agreement", "higher", bounds=(-1, 1)),
        Metric("agreement_along", "higher", bounds=(-1, 1)),
        Metric("toxicity_area", "lower", "area", (0, 1), (resampling.TOXIC_TO_KL,)),
        Metric("refusal_correctness", "higher", bounds=(0, 1)),
        Metric("safe_answered"),
        Metric("unsafe_refused"),
    )

    data: tuple[str, ...] = Field((), description="no data: it judges what it makes itself")
    aligner: Aligner | None = Field(
        None, description="the aligner, whose reward is replaced; none: the source's expert"
    )
    steps: int | None = Field(None, ge=1, description="steps of the aligner; none: its own number")
    kl: float | None = Field(None, ge=0, description="weight of the KL in the aligner; none: its own")
    prompts: Prompts | None = Field(
        None, description="prompts to train and to judge with; none: the aligner's to train, the source's to judge"
    )
    held_out: float = Field(
        0.25, gt=0, lt=1, description="share of the prompts that is kept from training and completed for the judge"
    )
    n: int = Field(100, ge=1, description="number of held-out prompts that the aligned model completes")
    samples: int = Field(25, ge=1, description="completions of each of these prompts (RealToxicityPrompts: 25)")
    sampling: Sampling = Field(Sampling(max_new_tokens=20), description="how these completions are sampled")
    probes: int = Field(256, ge=1, description="held-out completions at each look during the alignment")
    times: int = Field(4, ge=1, description="looks during the alignment, besides the one before it")
    scale: int = Field(512, ge=2, description="completions of the base that the reward is standardised on")
    judge: Judge | None = Field(None, description="judge of the completions; none: the source's 'gold'")
    second: Judge | None = Field(None, description="another, independent judge; its truth is called 'second'")
    budgets: tuple[float, ...] = Field(
        (0.25, 0.5, 1.0), description="KL from the base at which methods are compared, nats a completion"
    )
    refusals: Refusals | None = Field(None, description="prompts to measure refusals with")

    def needs(self) -> frozenset[str]:
        """Return no data: nothing that is scored is read."""
        return frozenset()

    def check(self) -> None:
        """Check the parts that it names."""
        for part in (self.prompts, self.judge, self.second):
            if part is not None:
                part.check()

    def of(self, cell: Recovered) -> Self:
        """Return the evaluator with the source's models, prompts and judge and the cell's reward."""
        origin, judge = cell.source.origin(), self.judge or cell.source.judge()
        if judge is None:  # numbers in a file say nothing of new texts
            has = "has only numbers as its 'gold'" if cell.source.judged() else "has no 'gold'"
            raise SuiteError(f"evaluate: {self.use!r} needs a judge: model {cell.name!r} {has}, name a 'judge'")
        aligner = self._aligner(cell, origin)
        return self.model_copy(update={"aligner": aligner, "judge": judge, "prompts": self._prompts(cell, origin)})

    def _aligner(self, cell: Recovered, origin: Origin | None) -> Aligner:
        """Return the aligner with everything that it starts from."""
        found = self.aligner or (origin.expert if origin else None)
        if not isinstance(found, Aligner):
            raise SuiteError(
                f"evaluate: {self.use!r} needs an aligner: the expert of model {cell.name!r} is none, name an 'aligner'"
            )
        base = found.base or (origin.base if origin else None)
        if base is None:
            raise SuiteError(f"evaluate: {self.use!r} needs a language model to align; name the 'base' of its aligner")
        prompts = self._prompts(cell, origin)
        kept = _divided(self.prompts or found.prompts or prompts, "kept", self.held_out)
        sampling = Sampling(max_new_tokens=self.sampling.max_new_tokens)
        on = Ask(lm=base, prompts=kept, n=self.scale, sampling=sampling, voice="scale", occasion="scale")
        new: dict[str, Any] = {
            "base": base,
            "prompts": kept,
            "reward": Standardised.named("standardised", judges=cell.reward, on=on),
            "draw": cell.seed or 0,
            "probe": Probe(
                prompts=_divided(prompts, "held-out", self.held_out),
                n=self.probes,
                times=self.times,
                max_new_tokens=self.sampling.max_new_tokens,
            ),
        }
        own = {name: value for name, value in (("steps", self.steps), ("kl", self.kl)) if value is not None}
        for name in own:
            if name not in type(found).model_fields:
                raise SuiteError(f"evaluate: {self.use!r} sets {name!r}, which aligner {found.use!r} has not")
        return found.model_copy(update={**new, **own})

    def _prompts(self, cell: Recovered, origin: Origin | None) -> Prompts:
        prompts = self.prompts or (origin.prompts if origin else None)
        if prompts is None:
            raise SuiteError(f"evaluate: {self.use!r} needs prompts: model {cell.name!r} has none, name 'prompts'")
        return prompts

    def upstream(self) -> Mapping[str, Settings]:
        """Return the aligned model, its completions and the base's; nothing before `of` was called."""
        aligner, prompts = self.aligner, self.prompts
        if aligner is None or prompts is None or aligner.base is None:
            return {}
        lms = {"before": aligner.base, "after": aligner}

        def ask(role: str, prompts: Prompts, n: int, each: int) -> Ask:
            own: Any = {"lm": lms[role], "prompts": prompts, "sampling": self.sampling}
            return Ask(n=n, each=each, voice="realigned", occasion="realigned", **own)

        held_out = _divided(prompts, "held-out", self.held_out)
        n, each = self.n * self.samples, self.samples
        upstream: dict[str, Settings] = {"aligned": aligner}
        upstream |= {role: ask(role, held_out, n, each) for role in ("before", "after")}
        if self.refusals:
            upstream["safe"] = ask("after", self.refusals.safe, self.refusals.n, 1)
            upstream["unsafe"] = ask("after", self.refusals.unsafe, self.refusals.n, 1)
        for role, judge in (("judge", self.judge), ("second", self.second)):
            upstream |= {} if judge is None else nested(role, judge)
        return upstream

    def evaluate(
        self,
        scored: Mapping[str, Scored],
        *,
        aligned: Path = Path(),
        before: Completions = NOTHING,
        after: Completions = NOTHING,
        safe: Completions = NOTHING,
        unsafe: Completions = NOTHING,
        **upstream: Any,
    ) -> Iterator[Measure | Evidence]:
        """Return the numbers before, during and after the alignment, and the completions that they rest on."""
        looks = Looks.read(aligned)
        columns: dict[str, list[Any]] = {}
        for truth, role, judge in ((GOLD, "judge", self.judge), ("second", "second", self.second)):
            if judge is None:
                continue
            judging = judge.ready(within(role, upstream))
            start, end = judged(judge, judging, before), judged(judge, judging, after)
            yield from sample_numbers(start, truth, "before")
            yield from sample_numbers(end, truth, AFTER)
            by_step = looks.judged_by_step(judge, judging)
            yield from curve_numbers(looks, by_step, truth, self.budgets)
            if truth == GOLD:
                yield from cost_numbers(looks)
                columns = evidence_columns(looks, start, end, by_step)
        if self.refusals:
            yield from refusal_numbers(safe, unsafe)
        yield Evidence(columns)


def _divided(prompts: Prompts, side: str, share: float) -> Prompts:
    return Divided.named("divided", of=prompts, side=side, share=share)
