"""How a language model changes during its alignment: held-out prompts, completed at some of the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairl_bench.builtin.shared.held_out import seen
from fairl_bench.builtin.shared.judged_completions import JudgedCompletions, judged
from fairl_bench.kinds.aligner import Probe
from fairl_bench.kinds.judge import Judge, Judging
from fairl_bench.science.streams import stream
from fairl_bench.values.data import Floats
from fairl_bench.values.language_models import Completions

FILE: Final = "along.parquet"
NUMBERS: Final = ("reward", "kl_k1", "kl_k3", "surprise", "tokens")
"""The columns of numbers in ``along.parquet``, one number a completion."""


class AlignmentProbe:
    """Completes held-out prompts while a model is trained; ``scratch`` keeps the results when a run is interrupted.

    ``along.parquet`` beside the weights: ``step``, ``row`` of the prompt, ``prompt``, ``text``, ``reward`` of the
    training, ``kl_k1`` and ``kl_k3`` from the base (nats a completion), ``surprise`` under the base (nats), ``tokens``.
    Every look of a replicate completes the same prompts with the same random numbers, whatever the reward and the seed.
    """

    def __init__(
        self,
        probe: Probe,
        steps: int,
        base: Path,
        model: Any,
        tokenizer: Any,
        reward: Callable[[Sequence[str], Sequence[str]], Floats],
        scratch: Path,
        replicate: int,
    ) -> None:
        self.steps = {round(steps * i / probe.times) for i in range(probe.times + 1)}
        self.base, self.model, self.tokenizer = base, model, tokenizer
        self.reward, self.scratch = reward, scratch
        texts = probe.prompts.texts(probe.n, stream("prompts/probe", replicate))
        self.row = [i % len(texts) for i in range(probe.n)]
        self.prompts = [texts[i] for i in self.row]
        self.uniform = np.stack([stream("probe", replicate, i).random(probe.max_new_tokens) for i in range(probe.n)])

    def look(self, step: int) -> None:
        """Complete the prompts, if this is one of the steps to look at."""
        if step not in self.steps:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq
        import torch

        # before the first step it is the base itself, unless its weights were narrowed
        unmoved = step == 0 and next(self.model.parameters()).dtype is torch.float32
        found = seen(self.model, None if unmoved else self.base, self.tokenizer, self.prompts, self.uniform)
        numbers = {name: getattr(found, name) for name in NUMBERS[1:]}
        reward = self.reward(self.prompts, found.text)
        columns = {"row": self.row, "prompt": self.prompts, "text": found.text, "reward": reward, **numbers}
        half = self.scratch / "look.parquet"
        pq.write_table(pa.table({"step": [step] * len(self.prompts), **columns}), half)
        half.replace(self._place(step))

    def keep(self, folder: Path) -> None:
        """Write ``along.parquet`` into the folder."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        # a list of tables, not a data set: in the order of the steps
        pq.write_table(
            pa.concat_tables([pq.read_table(self._place(step)) for step in sorted(self.steps)]), folder / FILE
        )

    def _place(self, step: int) -> Path:
        return self.scratch / f"look-{step}.parquet"


@dataclass(frozen=True)
class Looks:
    """What a probe saw: the completions of all looks, the step of each, and their numbers by column ``[n]``."""

    step: tuple[int, ...]
    completions: Completions
    numbers: Mapping[str, Floats]

    @classmethod
    def read(cls, folder: Path) -> Looks:
        """Read what `AlignmentProbe.keep` wrote; a look has its draws of each prompt one after another."""
        import pyarrow.parquet as pq

        table = pq.read_table(folder / FILE)
        step, row, prompt, text = (tuple(table[name].to_pylist()) for name in ("step", "row", "prompt", "text"))
        draws_so_far: dict[tuple[int, int], int] = {}
        draw = []
        for place in zip(step, row, strict=True):
            draw.append(draws_so_far.get(place, 0))
            draws_so_far[place] = draw[-1] + 1
        numbers = {name: table[name].to_numpy() for name in NUMBERS}
        return cls(step, Completions(prompt, text, row, tuple(draw)), numbers)

    def steps(self) -> list[int]:
        """Return the steps that were looked at, in order."""
        return sorted(set(self.step))

    def at(self, step: int) -> dict[str, Floats]:
        """Return the numbers of the look at one step."""
        mask = np.asarray(self.step) == step
        return {name: values[mask] for name, values in self.numbers.items()}

    def judged_by_step(self, judge: Judge, judging: Judging) -> dict[int, JudgedCompletions]:
        """Return the completions of each look with what a judge says of them."""
        all_looks = judged(judge, judging, self.completions)
        return {step: all_looks.take(np.asarray(self.step) == step) for step in self.steps()}
