"""Theorem 1 and Corollary 1 of the paper, tested on the pairs and the failures of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.spelled_vectors import read
from fairl_bench.errors import DataError, Undefined
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.method import Detector, truth_of_labels
from fairl_bench.metrics import Metric
from fairl_bench.science.failures import Signal
from fairl_bench.science.streams import stream
from fairl_bench.values.data import GOLD, Floats, Scored
from fairl_bench.values.records import Measure

if TYPE_CHECKING:
    from fairl_bench.science.identifiability import Sublevel

LINEAR = 1e-3  # of a reward's sd: what float32 training leaves is below 1e-5, a bend of any size above


class Problem(NamedTuple):
    """The pairs of a run whose true reward is known, with both rewards as vectors."""

    differences: Floats  # [n, d]
    failing: np.ndarray  # bool [n]
    theta: Floats  # [d]
    truth: Floats  # [d]


class Identifiability(Evaluator):
    """How far the reward is from the true one, and whether Theorem 1 holds for what the run calls failures.

    For texts that spell vectors (`synthetic-linear`) and a linear reward.  ``theorem_...`` and ``corollary_...`` are 1
    where the statement held on these pairs, else 0:

    - ``theorem_strict``: max-margin, F_FA is smaller than F (some failure's stricter margin is not implied);
    - ``theorem_modulo_scale``: it leaves out a direction, so a ranking, and not only short vectors;
    - ``theorem_weight``, ``theorem_temperature``: max-entropy, no reward drawn from F_FA(eta) has the lower loss
      once failures are weighed up or sharpened: it would lie outside F(eta) at that eta;
    - ``corollary_width``, ``corollary_variance``, ``corollary_distance``: no axis of F_FA is wider than F's; its
      rewards vary no more; they are no further from the true one (by four standard errors).

    Sets are bounded: max |theta| is at most ``room`` times the least that gives every pair its margin.
    """

    metrics: ClassVar[tuple[Metric, ...]] = tuple(
        Metric(name)
        for name in (
            "angle",
            "volume_share",
            "direction_share",
            "implied_share",
            "width_share",
            "variance_ratio",
            "distance_ratio",
            "theorem_strict",
            "theorem_modulo_scale",
            "corollary_width",
            "corollary_variance",
            "corollary_distance",
            "weight_undercut",
            "temperature_undercut",
            "theorem_weight",
            "theorem_temperature",
        )
    )

    detector: Detector = Field(description="the rule that says which pairs are failures, by the run's own reward")
    margin: float = Field(0.8, gt=0, description="M, the margin asked of every pair")
    temperature: float = Field(1.0, gt=0, description="tau, the temperature of every pair")
    stricter: float = Field(2.0, gt=1, description="M_fail / M, tau / tau_fail, and the weight of a failure")
    room: float = Field(
        4.0, gt=1, description="the bound of a reward's length, in multiples of the least that allows every margin M"
    )
    samples: int = Field(400, ge=10, description="rewards drawn from each set")
    steps: int = Field(60, ge=2, description="steps of hit-and-run from a point within the set to a sample")

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if not self.detector.by_step:
            message = "detector {use} reads the last layer of a reward, and only its rewards are known here"
            raise PydanticCustomError("detector", message, {"use": repr(self.detector.use)})
        if self.stricter >= self.room:
            message = "room must exceed 'stricter', {stricter}, or no reward meets the stricter margin; got {room}"
            context = {"stricter": self.stricter, "room": self.room, "field": "room"}
            raise PydanticCustomError("no_room", message, context)
        return self

    def truths(self) -> frozenset[str]:
        """Return the true reward, and the truth whose labels the detector reads."""
        return frozenset({GOLD, truth_of_labels(self.detector)})

    def measured(self) -> frozenset[str]:
        """Return the true reward."""
        return frozenset({GOLD})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        """Return sixteen numbers a data set."""
        for name in self.data:
            n = len(scored[name].pair_rows())
            names, at = [metric.name for metric in self.metrics], 0
            for ask, count in ((self._angle, 1), (self._max_margin, 11), (self._max_entropy, 4)):
                part, at = names[at : at + count], at + count
                try:
                    values, note = ask(self._problem(scored[name])), ""
                except Undefined as reason:
                    values, note = (math.nan,) * count, str(reason)
                for metric, value in zip(part, values, strict=True):
                    yield Measure(name, GOLD, metric, float(value), n, note)

    def _problem(self, scored: Scored) -> Problem:
        truth = scored.examples.truths.get(GOLD)
        preferred, rejected = scored.pair_rows().T
        if truth is None or not len(preferred):
            raise Undefined("needs pairs with the truth 'gold'")
        try:
            vectors = read(scored.examples.text)
        except DataError as error:
            raise Undefined(str(error)) from error
        failing = self._failing(scored)
        if not failing.any():
            raise Undefined(f"detector {self.detector.use!r} calls none of {len(failing)} pairs a failure")
        theta, true = _linear(vectors, scored.reward, "the reward"), _linear(vectors, truth.value, "the truth")
        return Problem(vectors[preferred] - vectors[rejected], failing, theta, true)

    def _failing(self, scored: Scored) -> np.ndarray:
        """Return a mask ``[n]`` of the pairs that the detector calls failures of this reward in the first round."""
        import torch

        preferred, rejected = scored.pair_rows().T
        reward = torch.tensor(scored.reward)
        label = torch.tensor(scored.examples.truths[truth_of_labels(self.detector)].label)
        signal = Signal(
            reward[preferred],
            reward[rejected],
            uniform=torch.from_numpy(stream("identifiability/failures").random(len(preferred))),
            gold=(label[preferred], label[rejected]),
        )
        return np.asarray(self.detector.failures(signal).numpy())

    def _angle(self, problem: Problem) -> tuple[float, ...]:
        from fairl_bench.science.identifiability import angles

        return (float(angles(problem.theta, problem.truth)),)

    def _max_margin(self, problem: Problem) -> tuple[float, ...]:
        """Return the numbers from ``volume_share`` to ``corollary_distance``."""
        from fairl_bench.science import identifiability as science

        x, failing, margin = problem.differences, problem.failing, self.margin
        largest = science.largest_margin(x)
        if largest <= science.SOLVED:
            raise Undefined(f"no linear reward ranks all {len(x)} pairs right, so that F is empty")
        base = science.feasible(x, margin, self.room * margin / largest)
        strict = base.stricter(failing, self.stricter * margin)
        rng = stream("identifiability/margin")
        every, left = (science.draw(one, self.samples, rng, self.steps) for one in (base, strict))
        already = science.implied(base, x[failing], self.stricter * margin)
        wide, narrow = (science.widths(one, np.eye(x.shape[1])) for one in (base, strict))
        spreads = science.squared_distances(left), science.squared_distances(every)
        distances = science.angles(left, problem.truth), science.angles(every, problem.truth)
        direction_share = strict.scalable(every).mean()
        numbers = (
            strict.holds(every).mean(),
            direction_share,
            already.mean(),
            (narrow / wide).mean(),
            spreads[0].mean() / spreads[1].mean(),
            distances[0].mean() / distances[1].mean(),
            not already.all(),
            direction_share < 1,
            (narrow <= wide * (1 + science.SOLVED)).all(),
            not science.exceeds(*spreads),
            not science.exceeds(*distances),
        )
        return tuple(float(number) for number in numbers)

    def _max_entropy(self, problem: Problem) -> tuple[float, ...]:
        """Return the numbers from ``weight_undercut`` on: how much of F_FA(eta) has the lower stricter loss."""
        from fairl_bench.science.identifiability import sublevel

        tau, factor = self.temperature, np.where(problem.failing, self.stricter, 1.0)
        bound = 2 * float(np.abs(problem.theta).max())
        base = sublevel(problem.differences, math.inf, bound, tau)
        weight, sharp = base._replace(weight=factor), base._replace(temperature=tau / factor)
        shares = [self._undercut(one, base, problem.theta) for one in (weight, sharp)]
        return (*shares, *(share == 0 for share in shares))

    def _undercut(self, stricter: Sublevel, base: Sublevel, theta: Floats) -> float:
        from fairl_bench.science.identifiability import undercut, uniform

        # a set that holds the run's own reward, and some around it
        within = stricter._replace(eta=1.1 * float(stricter.loss(theta)))
        rng = stream("identifiability/entropy")
        # a tenth of the samples and a third of the steps: any one found refutes, and each costs thirty losses
        few, short = max(self.samples // 10, 10), max(self.steps // 3, 2)
        return float(undercut(stricter, base, uniform(within.chord, within.start(), few, rng, short)).mean())


def _linear(vectors: Floats, reward: Floats, what: str) -> Floats:
    """Return ``theta [d]`` of rewards ``theta . h + b``.  Raises `Undefined` where they are not linear, or constant."""
    design = np.column_stack([vectors, np.ones(len(vectors))])
    solution, _, rank, _ = np.linalg.lstsq(design, reward, rcond=None)
    if rank < design.shape[1]:
        raise Undefined(f"{len(vectors)} texts do not tell the {vectors.shape[1]} numbers of a linear reward apart")
    left, spread = np.abs(design @ solution - reward).max(), float(np.std(reward))
    if spread == 0:
        raise Undefined(f"{what} is constant: it has no direction")
    if left > LINEAR * spread:
        raise Undefined(f"{what} is not linear in the numbers of the texts: it is off by up to {left / spread:.2g} sd")
    return np.asarray(solution[:-1], np.float64)
